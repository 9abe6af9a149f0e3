//! How does an index that has lost vectors give their memory back?
//!
//! Upkeep does so as well where few of many places have a vector, a few vectors at a time. Vectors in the highest slots are copied into free slots below, each as if it was inserted anew, and published in place of the old ones;
//! in the end the slots behind the last live one are cut off, and the system gets their pages. Readers and writers go on all the while.

use super::changes::{Batch, Intent};
use super::config::BuildOptions;
use super::maintain::{Outcome, Upkeep};
use super::{Core, Index, Rows};
use crate::store::{LIVE, Removal, Run, Store};
use crate::util::error::{Error, Result, Status};
use crate::util::pool::threads_or_cores;
use crate::util::reentry;
use crossbeam_epoch::Guard;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Vectors that are moved at a time, and bytes of them at most.
const MOVED: usize = 4096;
const MOVED_BYTES: usize = 16 << 20;
/// Where only one place in so many has a vector, of so many places at least, upkeep moves vectors together unasked: spread over many times the memory that they need they
/// lie on more pages than a processor keeps the addresses of, which costs searches an eighth of their rate (`benches/record/living.md`).
const SPARSE: u64 = 4;
const SPARSE_FROM: u32 = 1 << 16;
/// Vectors that upkeep moves at a time, and those that it moves before the places that they had are made free.
const FEW: usize = 16;
const GATHERED: usize = 4096;
/// How often, and how long each time, a compaction waits for readers that are inside.
const WAITS: u32 = 20;
const WAIT: Duration = Duration::from_millis(5);

impl Index {
    /// Makes places of removed vectors free, moves vectors together, and gives the memory that is free then back to the system. Of
    /// `options`, threads and progress count.
    ///
    /// What readers that are inside for long still hold is given back by a later call.
    ///
    /// # Errors
    /// `Cancelled` if the progress callback asked for it: the index is whole, and somewhat smaller; `ReadOnly`, `Memory`, `Busy`,
    /// `Internal`.
    pub fn compact(&self, options: &BuildOptions<'_>) -> Result<()> {
        self.check_change()?;
        self.settle()?;
        let total = {
            let pin = self.pin();
            high(self.core(&pin).store(&pin), u32::MAX).count()
        };
        let mut done = 0;
        // Where others go on inserting there may be something to move for ever.
        while done < total {
            let pin = self.pin();
            let (moved, _) = self.move_some(self.core(&pin), (MOVED, u32::MAX), options, &pin)?;
            if moved == 0 {
                break;
            }
            done = (done + moved).min(total);
            let cancels = |progress: &dyn Fn(u64, u64) -> bool| {
                reentry::calling_back(self.name(), || progress(done as u64, total as u64))
            };
            if options.progress.is_some_and(cancels) {
                return Err(Error::new(
                    Status::Cancelled,
                    format!("the progress callback stopped it at {done} of {total}"),
                ));
            }
        }
        self.settle()?;
        let pin = self.pin();
        self.cut(self.core(&pin), &pin);
        drop(pin);
        self.sweep();
        Ok(())
    }

    /// Gives what is behind the last live slot back to the system. The caller holds nothing.
    fn cut(&self, core: &Core, guard: &Guard) {
        // Whoever writes the index down reads its rows.
        let _still = core.tending.still();
        core.store(guard).trim(guard, |slots| {
            core.graph().into_iter().for_each(|graph| graph.release(slots));
            core.codes(guard).into_iter().for_each(|codes| codes.release(slots));
        });
    }

    /// Whether few of many places have a vector, and all others are free or will be.
    fn is_sparse(&self, core: &Core, guard: &Guard) -> bool {
        let store = core.store(guard);
        let slots = store.slots();
        let is_sparse = slots >= SPARSE_FROM && store.live().saturating_mul(SPARSE) <= u64::from(slots);
        is_sparse && self.config.removal == Removal::Final && !core.growth.is_moving()
    }

    /// Vectors that upkeep has still to move together.
    pub(super) fn scattered(&self, core: &Core, guard: &Guard) -> u64 {
        if self.is_sparse(core, guard) { high(core.store(guard), core.gathering.below()).count() as u64 } else { 0 }
    }

    /// Whether [`Index::gather_some`] has something to do before places are made free.
    pub(super) fn gathers(&self, core: &Core, guard: &Guard) -> bool {
        let store = core.store(guard);
        self.is_sparse(core, guard)
            && (store.retired() < GATHERED && store.available() > 0 && core.tending.is_idle())
            && high(store, core.gathering.below()).next().is_some()
    }

    /// Moves a few vectors together.
    pub(super) fn gather_some(&self, core: &Core, guard: &Guard) -> Result<Outcome> {
        let one_thread = BuildOptions { threads: 1, ..BuildOptions::default() };
        let (moved, below) = self.move_some(core, (FEW, core.gathering.below()), &one_thread, guard)?;
        core.gathering.below.store(below, Ordering::Relaxed);
        // None, if others took the free places.
        Ok(if moved > 0 { Outcome::Worked } else { Outcome::Waits })
    }

    /// Nothing is left to move or to make free: gives memory back, if there is much to give.
    pub(super) fn end_gathering(&self, core: &Core, guard: &Guard) {
        if self.is_sparse(core, guard) {
            self.cut(core, guard);
        }
        core.gathering.below.store(u32::MAX, Ordering::Relaxed);
    }

    /// Makes places of removed vectors free, as far as readers that are inside allow it.
    pub(super) fn settle(&self) -> Result<()> {
        let mut before = u64::MAX;
        let mut waits = 0;
        loop {
            // Where there is no memory to become a graph, there is all the more reason to make room.
            let (pending, _) = self.work_for(Upkeep::Places, Duration::from_secs(1))?;
            if pending == 0 || waits == WAITS {
                return Ok(());
            }
            waits = if pending < before { 0 } else { waits + 1 };
            before = pending;
            std::thread::sleep(WAIT);
        }
    }

    /// Moves some vectors, at most so many of those below a slot, from the end into free slots; says how many, and below which slot there may be more.
    fn move_some(
        &self,
        core: &Core,
        (most, below): (usize, u32),
        options: &BuildOptions<'_>,
        guard: &Guard,
    ) -> Result<(usize, u32)> {
        let bytes = self.vector_bytes();
        let most = (MOVED_BYTES / bytes).clamp(1, most).min(core.store(guard).available() as usize);
        // From the end: what lies there is in the way of the cut.
        let from: Vec<u32> = high(core.store(guard), below).take(most).collect();
        let Some(&last) = from.last() else { return Ok((0, u32::MAX)) };
        let run = core.store(guard).take(from.len() as u32)?;
        // Somebody may have taken the free slots meanwhile.
        let down = run.iter().zip(&from).take_while(|(to, from)| to < *from).count();
        if down < from.len() {
            core.store(guard).give_back(&run);
            return Ok((0, u32::MAX));
        }
        let moved = self.move_to(core, &from, &run, options, guard);
        if moved.is_err() {
            core.store(guard).give_back_seen(run, guard);
        }
        moved.map(|()| (from.len(), last))
    }

    fn move_to(&self, core: &Core, from: &[u32], run: &Run, options: &BuildOptions<'_>, guard: &Guard) -> Result<()> {
        let bytes = self.vector_bytes();
        let mut keys = Vec::new();
        keys.try_reserve_exact(from.len()).map_err(|_| Error::memory(from.len() * 8))?;
        keys.extend(from.iter().map(|&slot| core.store(guard).key(slot)));
        // What is moved is read where it stands.
        let vectors = Rows::packed(&[], bytes);
        let unlinked = core.growth.stay_flat();
        let graph = core.graph.as_ref().filter(|_| unlinked.is_none());
        let batch = Batch { core, run, first: 0, keys: &keys, vectors, intent: Intent::Move(from), graph };
        let quiet = BuildOptions { threads: threads_or_cores(options.threads) as u32, ..BuildOptions::default() };
        self.fill(&batch, &quiet)?;
        if let Some(graph) = graph {
            self.link_batch((core, run, graph), &quiet, &mut || Ok(()), guard)?;
        }
        // A core that is cleared meanwhile takes its slots along.
        let _ = self.publish(core, run, batch.intent, guard);
        Ok(())
    }
}

/// How far upkeep has moved vectors together.
#[derive(Debug)]
pub(super) struct Gathering {
    /// From this slot on there are none; the most if it has not begun. Others may have come since, which the next round finds.
    below: AtomicU32,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { below: AtomicU32::new(u32::MAX) }
    }
}

impl Gathering {
    fn below(&self) -> u32 {
        self.below.load(Ordering::Relaxed)
    }
}

/// Live slots below another that would not be there if all lay together, the last one first.
fn high(store: &Store, below: u32) -> impl Iterator<Item = u32> + '_ {
    let slots = (store.live() as u32).min(store.slots())..store.slots().min(below);
    slots.rev().filter(|&slot| store.state(slot) == LIVE)
}
