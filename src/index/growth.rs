//! How does a small index become a graph?
//!
//! An index of kind auto begins flat: a few thousand vectors are passed over in the time that a walk would take, and the answers are
//! exact. Once it holds `graph_from` vectors it moves into a graph, a bounded share in every call that changes it and as much as it is told to in
//! [`Index::maintain`]. Searches take no part, and go on with the exact scan until every vector is linked.
//!
//! | phase | what is inserted | searches |
//! |---|---|---|
//! | flat | is not linked | scan |
//! | moving | is linked; those that were there before are linked one by one | scan |
//! | graph | is linked | walk |
//!
//! There is no way back but `clear`. Who brings a vector without linking it shares `unlinked` from the moment in which it finds the index flat until the
//! vector can be seen. So when the index is moving and nobody shares `unlinked`, no further vector will come that is not linked,
//! and one more look at all slots finds the last ones. Nothing leaves the graph while the index moves (`index::maintain`).

use super::changes::spread;
use super::config::Config;
use super::holding::View;
use super::maintain::Outcome;
use super::{Core, Index};
use crate::build::bulk::{self, Pile, Team};
use crate::build::insert::{self, NoJournal};
use crate::graph::Graph;
use crate::store::{LIVE, REMOVED, Removal};
use crate::util::error::Result;
use crate::util::memory::make_room;
use crate::util::reentry;
use crossbeam_epoch::Guard;
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::cell::Cell;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Units of work: looking at a slot is one, linking it so many.
const LINKING: usize = 256;
/// Components that a call links for each vector that it brought or removed, in vectors of at least so many; and for how many vectors at most.
const SHARE: usize = 4096;
const LEAST: usize = 64;
const MOST_SHARES: usize = 16;

/// Among so few slots vectors are linked with this breadth, if not a smaller one was asked for: it sees as much of them as the full one does of
/// many, in half of the time.
const FEW: u32 = 20_000;
const BREADTH: usize = 100;

/// Slots that are looked at, at most, to settle the degree.
const LOOKED_AT: usize = 1 << 14;

const FLAT: u8 = 0;
const MOVING: u8 = 1;
const GRAPH: u8 = 2;

/// How far an index is on its way into a graph.
#[derive(Debug)]
pub(super) struct Growth {
    phase: AtomicU8,
    /// Vectors that make the index a graph.
    from: u64,
    /// Shared by whoever brings vectors that are not linked.
    unlinked: RwLock<()>,
    /// One thread links those that were there before.
    mover: Mutex<Mover>,
    /// Slots that it has not come to.
    left: AtomicU64,
    /// Slots there were when the memory for the move was refused; 0: it was not.
    refused: AtomicU64,
}

/// Where the look at the slots is.
#[derive(Debug, Default)]
pub(super) struct Mover {
    /// Slots of the first round, in an order that spreads runs of similar vectors.
    total: u32,
    next: u32,
    round: Round,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Round {
    #[default]
    First,
    /// Nobody brings vectors that are not linked any more.
    Last,
}

impl Growth {
    /// Of an index that is what its configuration says from the start, or begins flat.
    pub(super) fn new(config: &Config, begins_flat: bool) -> Self {
        let from = config.graph_from.filter(|_| begins_flat);
        Self {
            phase: AtomicU8::new(if from.is_some() { FLAT } else { GRAPH }),
            from: from.unwrap_or(0),
            unlinked: RwLock::new(()),
            mover: Mutex::default(),
            left: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether a share of the move is worth a try: where it was refused, not before there is somewhat more.
    fn is_worth_trying(&self, slots: u32) -> bool {
        let refused = self.refused.load(Ordering::Relaxed);
        refused == 0 || u64::from(slots) > refused + refused / 8
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::Acquire)
    }

    /// Whether the graph, if there is one, leads to every vector.
    pub(super) fn is_over(&self) -> bool {
        self.phase() == GRAPH
    }

    /// Whether nothing is linked yet.
    pub(super) fn is_flat(&self) -> bool {
        self.phase() == FLAT
    }

    pub(super) fn is_moving(&self) -> bool {
        self.phase() == MOVING
    }

    /// Leave to bring vectors that are not linked, until it is dropped.
    pub(super) fn stay_flat(&self) -> Option<RwLockReadGuard<'_, ()>> {
        if !self.is_flat() {
            return None;
        }
        let unlinked = self.unlinked.read();
        self.is_flat().then_some(unlinked)
    }

    /// Whether `live` vectors make the index a graph.
    pub(super) fn is_enough(&self, live: u64) -> bool {
        live >= self.from
    }

    /// From now on what is inserted is linked. The degree of the graph is settled.
    pub(super) fn start(&self) {
        let _ = self.phase.compare_exchange(FLAT, MOVING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Keeps others from linking what was there before, as long as there may be such.
    pub(super) fn alone(&self) -> Option<MutexGuard<'_, Mover>> {
        (!self.is_over()).then(|| self.mover.lock())
    }

    /// Slots that are still to be looked at.
    pub(super) fn left(&self, live: u64) -> u64 {
        match self.phase() {
            FLAT if self.is_enough(live) => live,
            MOVING => self.left.load(Ordering::Relaxed).max(1),
            _ => 0,
        }
    }
}

impl Core {
    /// The graph that searches go by, if there is one.
    pub(super) fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref().filter(|_| self.growth.is_over())
    }

    /// Whether walks can meet a slot.
    pub(super) fn is_linked(&self, slot: u32) -> bool {
        let entry = |graph: &Graph| graph.entry().is_some_and(|entry| entry.slot == slot);
        self.graph.as_ref().is_some_and(|graph| graph.is_linked(slot) || entry(graph))
    }

    /// Whether a slot's vector is one that the graph leads to, or should: not one that was removed for good while the index was flat, which has no
    /// rows. `kept` are the slots of those that can come back, in order.
    pub(super) fn belongs(&self, slot: u32, kept: &[u32], guard: &Guard) -> bool {
        match self.store(guard).state(slot) {
            LIVE => true,
            REMOVED => self.is_linked(slot) || kept.binary_search(&slot).is_ok(),
            _ => false,
        }
    }
}

impl Index {
    /// What a call does for the vectors that it brought or removed. What goes wrong here is met again by the next. The caller holds nothing.
    pub(super) fn grow_a_share(&self, core: &Core, vectors: usize, guard: &Guard) {
        if core.growth.is_over() || core.growth.left(core.store(guard).live()) == 0 {
            return;
        }
        if !core.growth.is_worth_trying(core.store(guard).slots()) {
            return;
        }
        let each = SHARE / (self.config.dimensions as usize).max(LEAST);
        if let Some(mut mover) = core.growth.mover.try_lock() {
            drop(self.grow(core, &mut mover, LINKING * each.max(1) * vectors.min(MOST_SHARES), guard));
        }
    }

    /// As far as it goes without waiting for others.
    pub(super) fn grow_up(&self, core: &Core, guard: &Guard) -> Result<()> {
        if let Some(mut mover) = core.growth.alone() {
            while self.grow(core, &mut mover, usize::MAX, guard)? == Outcome::Worked {}
        }
        Ok(())
    }

    /// A piece of work of about so many units.
    pub(super) fn grow_some(&self, core: &Core, units: usize, guard: &Guard) -> Result<Outcome> {
        if core.growth.is_over() || core.growth.left(core.store(guard).live()) == 0 {
            return Ok(Outcome::Done);
        }
        match core.growth.mover.try_lock() {
            Some(mut mover) => self.grow(core, &mut mover, units, guard),
            None => Ok(Outcome::Waits),
        }
    }

    fn grow(&self, core: &Core, mover: &mut Mover, units: usize, guard: &Guard) -> Result<Outcome> {
        let growth = &core.growth;
        if growth.is_flat() {
            let slots = core.store(guard).slots();
            let grant = self.afford_growing_up();
            growth.refused.store(if grant.is_err() { u64::from(slots) } else { 0 }, Ordering::Relaxed);
            let _grant = grant?;
            // Either takes milliseconds, so a call does one: vectors get their codes, or are held as bytes; then the degree is settled.
            if mover.total == 0 {
                mover.begin(slots);
                self.code_if_due(core, &self.alone(), guard)?;
            } else {
                mover.begin(slots);
                // From here on the rows of all that is there count as held.
                self.begin_to_move(core, guard);
            }
            return Ok(Outcome::Worked);
        }
        self.code_if_due(core, &self.alone(), guard)?;
        let mut done = 0;
        while growth.is_moving() {
            if done >= units {
                return Ok(Outcome::Worked);
            }
            let slots = core.store(guard).slots();
            growth.left.store(mover.left(slots), Ordering::Relaxed);
            if let Some(slot) = mover.take(slots) {
                done += 1;
                if self.is_astray(core, slot, guard) {
                    self.link_late(core, slot, guard)?;
                    done += LINKING;
                }
            } else if mover.round == Round::Last {
                if self.become_graph(core, guard)? {
                    return Ok(Outcome::Done);
                }
            } else if growth.unlinked.try_write().is_some() {
                *mover = Mover { total: slots, next: 0, round: Round::Last };
            } else {
                return Ok(Outcome::Waits);
            }
        }
        Ok(Outcome::Done)
    }

    /// From now on what is inserted is linked, into a graph of the degree that what is there asks for, if that is open.
    pub(super) fn begin_to_move(&self, core: &Core, guard: &Guard) {
        if let Some(graph) = core.graph.as_ref().filter(|graph| graph.is_open()) {
            // Where there is no memory for looking, it is the usual one.
            graph.settle(self.degree_asked_for(core, guard).unwrap_or(bulk::degree::USUAL));
        }
        core.growth.start();
    }

    /// The degree that a sample of what is there asks for.
    fn degree_asked_for(&self, core: &Core, guard: &Guard) -> Result<u32> {
        let View { store, scoring, .. } = core.view(guard);
        let step = (store.slots() as usize).div_ceil(LOOKED_AT).max(1);
        let mut slots: Vec<u32> = Vec::new();
        make_room(&mut slots, LOOKED_AT)?;
        slots.extend((0..store.slots()).step_by(step).filter(|&slot| store.state(slot) == LIVE));
        let afford = |more| self.afford(0, |_, _| more).map(drop);
        afford(slots.len() * (self.config.dimensions as usize + size_of::<u64>()))?;
        let team = Team { pool: &self.pool, threads: 1, progress: None, total: 0, done: Cell::new(0), afford: &afford };
        bulk::degree_of(Pile { store, scoring, slots: &slots }, &team)
    }

    /// Whether a slot has a vector that nothing leads to.
    fn is_astray(&self, core: &Core, slot: u32, guard: &Guard) -> bool {
        core.store(guard).state(slot) == LIVE && !core.is_linked(slot)
    }

    /// Links a vector that was inserted without.
    fn link_late(&self, core: &Core, slot: u32, guard: &Guard) -> Result<()> {
        let Some(graph) = &core.graph else { return Ok(()) };
        graph.prepare(slot)?;
        let mut linker = self.linkers.take();
        linker.make_room(graph, core.store(guard).slots() as usize, self.config.ef_construction as usize)?;
        {
            let _coding = core.coding.read();
            let _linking = core.linking.read();
            let field = core.field(graph, guard);
            let few = if field.store.slots() <= FEW { BREADTH } else { usize::MAX };
            let ef = few.min(self.config.ef_construction as usize);
            reentry::calling_back(self.name(), || insert::link(field, slot, ef, &mut linker, &mut NoJournal));
        }
        self.linkers.give(linker);
        Ok(())
    }

    /// Lets searches go by the graph, once it leads to all that is there. `false`: there was something to link.
    fn become_graph(&self, core: &Core, guard: &Guard) -> Result<bool> {
        let astray: Vec<u32> = {
            // Nobody brings a removed vector back meanwhile.
            let _alone = self.gate.write();
            let store = core.store(guard);
            let kept = store.all_removed().into_iter().map(|(_, slot)| slot);
            let come_back = (0..store.slots()).filter(|_| self.config.removal == Removal::Kept);
            let astray: Vec<u32> = kept
                .chain(come_back.filter(|&slot| store.state(slot) == LIVE))
                .filter(|&slot| matches!(store.state(slot), LIVE | REMOVED) && !core.is_linked(slot))
                .collect();
            if astray.is_empty() {
                core.growth.phase.store(GRAPH, Ordering::Release);
                return Ok(true);
            }
            astray
        };
        astray.into_iter().try_for_each(|slot| self.link_late(core, slot, guard))?;
        Ok(false)
    }
}

impl Mover {
    fn begin(&mut self, slots: u32) {
        *self = Self { total: slots, next: 0, round: Round::First };
    }

    /// The next slot to look at.
    fn take(&mut self, slots: u32) -> Option<u32> {
        let end = if self.round == Round::First { self.total } else { slots };
        if self.next >= end {
            return None;
        }
        let at = self.next;
        self.next += 1;
        match self.round {
            Round::First => Some((u64::from(at) * spread(self.total as usize) % u64::from(self.total)) as u32),
            Round::Last => Some(at),
        }
    }

    fn left(&self, slots: u32) -> u64 {
        match self.round {
            Round::First => u64::from(self.total - self.next),
            Round::Last => u64::from(slots.saturating_sub(self.next)) / LINKING as u64,
        }
    }
}

#[cfg(test)]
#[path = "tests/growth.rs"]
mod tests;
