//! When is a batch built into the graph as a whole, and how does it get in?

use super::config::BuildOptions;
use super::holding::View;
use super::{Core, Index};
use crate::build::bulk::{self, Pile, Team};
use crate::distance::Metric;
use crate::graph::Graph;
use crate::store::Run;
use crate::util::error::Result;
use crate::util::hands::Hands;
use crate::util::memory::make_room;
use crate::util::pool::threads_or_cores;
use crate::util::reentry;
use crossbeam_epoch::Guard;
use parking_lot::Mutex;
use std::cell::Cell;

/// Smaller batches are linked one by one, unless the graph is empty.
pub(super) const FROM: usize = 1000;
/// So many times as many vectors may be in the graph already: all are linked anew, which costs a small part of linking the batch one by
/// one.
const LARGER: usize = 4;

/// Up to so many times as many vectors in the graph their rows stay, and the batch is appended as a whole; with more it costs more than one by one.
const FAR_LARGER: usize = 16;

/// Rows that a thread prepares at a time.
const PREPARED: usize = 4096;

/// Of the vectors of a batch for a graph, as many as its filling counts for.
pub(super) fn filling(total: usize) -> usize {
    total / 20
}

impl Index {
    /// Whether a batch is built as a whole. Under a caller's distance it is not: there are no codes to build by.
    pub(super) fn is_bulk(&self, core: &Core, total: usize, guard: &Guard) -> bool {
        if self.is_custom() {
            return false;
        }
        let store = core.store(guard);
        let there = store.live() + store.removed();
        core.graph.as_ref().is_some_and(|graph| graph.m() <= bulk::MOST_M)
            && (there == 0 || total >= FROM && there <= (total * LARGER) as u64)
    }

    /// Whether a batch that is not built with all that is there is appended as a whole.
    pub(super) fn is_appended(&self, core: &Core, total: usize, guard: &Guard) -> bool {
        let store = core.store(guard);
        let there = store.live() + store.removed();
        // For inner products what leaves find is worse than what walks find, and here the rest of the graph does not make up for it.
        !matches!(self.config.metric, Metric::Custom | Metric::InnerProduct)
            && core.graph().is_some_and(|graph| graph.m() <= bulk::MOST_M)
            && total >= FROM
            && there <= (total * FAR_LARGER) as u64
    }

    /// Appends a batch to the graph as a whole and logs it. `false`: nothing was done, because its vectors are better linked one by one. An error leaves the
    /// graph as it was.
    pub(super) fn append(
        &self,
        (core, run, graph): (&Core, &Run, &Graph),
        options: &BuildOptions<'_>,
        log: &mut dyn FnMut() -> Result<()>,
        guard: &Guard,
    ) -> Result<bool> {
        // Nothing leaves the graph meanwhile.
        let _building = core.tending.building();
        let View { store, scoring, .. } = core.view(guard);
        let slots = self.linked_or(core, run, graph, guard)?;
        let pile = Pile { store, scoring, slots: &slots };
        let afford = |more| self.afford(0, |_, _| more).map(drop);
        let team = self.team(options, run.len(), Cell::new(filling(run.len())), &afford);
        let effort = if options.fast { bulk::FAST } else { bulk::FULL };
        let appended = reentry::calling_back(self.name(), || {
            let appended = bulk::append(pile, &|slot| run.contains(slot), graph, effort, &team)?;
            if appended.is_some() {
                team.tell_all()?;
            }
            Ok(appended)
        })?;
        let Some(appended) = appended else { return Ok(false) };
        self.prepare_rows(graph, run.len(), |i| Some(run.slot(i)), team.threads)?;
        let mut reached: Vec<bool> = Vec::new();
        make_room(&mut reached, store.slots() as usize + store.slots() as usize / 8)?;
        let mut linker = self.linkers.take();
        let ready = self.make_linking_room(core, graph, &mut linker, guard).and_then(|()| log());
        let mut installed = Ok(());
        if ready.is_ok() {
            let _coding = core.coding.read();
            let _alone = core.linking.write();
            reached.resize(store.slots() as usize, false);
            slots.iter().for_each(|&slot| reached[slot as usize] = !run.contains(slot));
            let field = core.field(graph, guard);
            let ef = self.config.ef_construction as usize;
            let silent = Team { progress: None, ..team };
            installed = bulk::install_new(&appended, pile, (field, ef, &mut linker), (&mut reached, &silent));
        }
        self.linkers.give(linker);
        ready.and(installed).map(|()| true)
    }

    /// The slots of a batch and all that are linked: what others have published is, and stays.
    fn linked_or(&self, core: &Core, run: &Run, graph: &Graph, guard: &Guard) -> Result<Vec<u32>> {
        let store = core.store(guard);
        let kept = store.kept_slots();
        let linked = |slot: u32| core.belongs(slot, &kept, guard) && !graph.is_leaving(slot);
        let mut slots: Vec<u32> = Vec::new();
        make_room(&mut slots, store.slots() as usize)?;
        slots.extend((0..store.slots()).filter(|&slot| run.contains(slot) || linked(slot)));
        Ok(slots)
    }

    /// Makes the rows of slots that nothing leads to yet, the `i`-th of `count` being `slot(i)`, if any.
    pub(super) fn prepare_rows(
        &self,
        graph: &Graph,
        count: usize,
        slot: impl Fn(usize) -> Option<u32> + Sync,
        threads: usize,
    ) -> Result<()> {
        let failure = Mutex::new(Ok(()));
        Hands::quiet(&self.pool, threads).run(count, PREPARED, |piece, (): &mut ()| {
            let prepared = piece.filter_map(&slot).try_for_each(|slot| graph.prepare(slot));
            if prepared.is_err() {
                *failure.lock() = prepared;
            }
        })?;
        failure.into_inner()
    }

    fn team<'a>(
        &'a self,
        options: &BuildOptions<'a>,
        total: usize,
        done: Cell<usize>,
        afford: &'a dyn Fn(usize) -> Result<()>,
    ) -> Team<'a> {
        let threads = threads_or_cores(options.threads);
        Team { pool: &self.pool, threads, progress: options.progress, total, done, afford }
    }

    /// Builds the graph of a batch, with all that is there, logs the batch and puts the graph in place. An error leaves the graph as it was.
    pub(super) fn link_in_bulk(
        &self,
        (core, run): (&Core, &Run),
        options: &BuildOptions<'_>,
        log: &mut dyn FnMut() -> Result<()>,
        guard: &Guard,
    ) -> Result<()> {
        let work = Relinking { total: run.len(), done: filling(run.len()), options };
        self.relink(core, run, &work, log, guard)
    }

    /// Some slots of an index that rests, as the builder sees them.
    #[cfg(test)]
    pub(crate) fn with_pile<T>(&self, slots: &[u32], look: impl FnOnce(Pile<'_>) -> T) -> T {
        let pin = self.pin();
        let View { store, scoring, .. } = self.core(&pin).view(&pin);
        look(Pile { store, scoring, slots })
    }

    /// Builds the graph of all that is there, and of the slots of `run`, calls `ready` and puts the graph in place. An error leaves the
    /// graph as it was.
    pub(super) fn relink(
        &self,
        core: &Core,
        run: &Run,
        work: &Relinking<'_>,
        ready: &mut dyn FnMut() -> Result<()>,
        guard: &Guard,
    ) -> Result<()> {
        let Some(graph) = &core.graph else { return Ok(()) };
        let options = work.options;
        // Nothing leaves the graph meanwhile, and nobody else links what was inserted without.
        let _building = core.tending.building();
        let growing = core.growth.alone();
        // What others have published is linked, and stays; what they have linked only is linked anew in the end.
        // Vectors say the same however they are held, so the pile may keep the view that it began with.
        let View { store, scoring, .. } = core.view(guard);
        let slots = self.linked_or(core, run, graph, guard)?;
        if slots.is_empty() {
            return ready();
        }
        let pile = Pile { store, scoring, slots: &slots };
        let afford = |more| self.afford(0, |_, _| more).map(drop);
        let team = self.team(options, work.total, Cell::new(work.done), &afford);
        let effort = if options.fast { bulk::FAST } else { bulk::FULL };
        let mut built = reentry::calling_back(self.name(), || {
            let built = bulk::build(pile, graph, effort, &team)?;
            // The last word comes when all is built and nothing is in place yet.
            team.tell_all()?;
            Ok(built)
        })?;
        if graph.settle(built.m) != built.m {
            // Somebody has linked a vector meanwhile, and so settled another degree. What is done stands still at all for the host, which may still cancel.
            let stands_still = options.progress.map(|progress| move |_, total| progress(total, total));
            let progress = stands_still.as_ref().map(|progress| progress as &dyn Fn(u64, u64) -> bool);
            let again = self.team(&BuildOptions { progress, ..*options }, work.total, Cell::new(work.done), &afford);
            built = reentry::calling_back(self.name(), || bulk::build(pile, graph, effort, &again))?;
        }
        let is_late = |&slot: &u32| run.contains(slot) || growing.is_some() && !core.is_linked(slot);
        self.prepare_rows(graph, slots.len(), |i| Some(slots[i]).filter(is_late), team.threads)?;
        ready()?;
        let _coding = core.coding.read();
        let _alone = core.linking.write();
        core.growth.start();
        let mut linker = self.linkers.take();
        let field = core.field(graph, guard);
        let silent = Team { progress: None, ..team };
        let ef = self.config.ef_construction as usize;
        let mut install = |team: &Team<'_>| bulk::install(&built, pile, graph, (field, ef, &mut linker), team);
        // Only starting threads can fail, and one thread is there.
        let installed = install(&silent).or_else(|_| install(&Team { threads: 1, ..silent }));
        self.linkers.give(linker);
        installed
    }
}

/// What the host is told of while a graph is built.
pub(super) struct Relinking<'a> {
    /// Vectors that the host waits for, and how many count as done.
    pub(super) total: usize,
    pub(super) done: usize,
    pub(super) options: &'a BuildOptions<'a>,
}

#[cfg(test)]
#[path = "tests/append.rs"]
mod append_tests;
#[cfg(test)]
#[path = "tests/degree.rs"]
mod degree_tests;
#[cfg(test)]
#[path = "tests/bulk.rs"]
pub(crate) mod tests;
