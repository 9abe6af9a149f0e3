//! When is a batch built into the graph as a whole, and how does it get in?

use super::config::BuildOptions;
use super::holding::View;
use super::{Core, Index};
use crate::build::bulk::{self, Pile, Team};
use crate::store::Run;
use crate::util::error::Result;
use crate::util::memory::make_room;
use crate::util::pool::threads_or_cores;
use crate::util::reentry;
use crossbeam_epoch::Guard;
use std::cell::Cell;

/// Smaller batches are linked one by one, unless the graph is empty.
pub(super) const FROM: usize = 1000;
/// So many times as many vectors may be in the graph already: all are linked anew, which costs a small part of linking the batch one by
/// one.
const LARGER: usize = 4;

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
        let kept = store.kept_slots();
        let linked = |slot: u32| core.belongs(slot, &kept, guard) && !graph.is_leaving(slot);
        let mut slots: Vec<u32> = Vec::new();
        make_room(&mut slots, store.slots() as usize)?;
        slots.extend((0..store.slots()).filter(|&slot| run.contains(slot) || linked(slot)));
        if slots.is_empty() {
            return ready();
        }
        if growing.is_some() {
            let late = slots.iter().filter(|&&slot| !run.contains(slot) && !core.is_linked(slot));
            late.copied().try_for_each(|slot| graph.prepare(slot))?;
        }
        let pile = Pile { store, scoring, slots: &slots };
        let team = Team {
            pool: &self.pool,
            threads: threads_or_cores(options.threads),
            progress: options.progress,
            total: work.total,
            done: Cell::new(work.done),
            afford: &|more| self.afford(0, |_, _| more).map(drop),
        };
        let effort = if options.fast { bulk::FAST } else { bulk::FULL };
        let built = reentry::calling_back(self.name(), || {
            let built = bulk::build(pile, graph, effort, &team)?;
            // The last word comes when all is built and nothing is in place yet.
            team.tell_all()?;
            Ok(built)
        })?;
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
#[path = "tests/bulk.rs"]
pub(super) mod tests;
