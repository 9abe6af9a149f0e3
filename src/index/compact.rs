//! How does an index that has lost vectors give their memory back?
//!
//! Vectors in the highest slots are copied into free slots below, each as if it was inserted anew, and published in place of the old ones;
//! in the end the slots behind the last live one are cut off, and the system gets their pages. Readers and writers go on all the while.

use super::changes::{Batch, Intent};
use super::config::BuildOptions;
use super::{Core, Index, Rows};
use crate::store::{LIVE, Run, Store};
use crate::util::error::{Error, Result, Status};
use crate::util::pool::threads_or_cores;
use crate::util::reentry;
use crossbeam_epoch::Guard;
use std::time::Duration;

/// Vectors that are moved at a time, and bytes of them at most.
const MOVED: usize = 4096;
const MOVED_BYTES: usize = 16 << 20;
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
            high(self.core(&pin).store(&pin)).count()
        };
        let mut done = 0;
        // Where others go on inserting there may be something to move for ever.
        while done < total {
            let pin = self.pin();
            let moved = self.move_some(self.core(&pin), options, &pin)?;
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
        let core = self.core(&pin);
        // Whoever writes the index down reads its rows.
        let still = core.tending.still();
        core.store(&pin).trim(&pin, |slots| {
            core.graph().into_iter().for_each(|graph| graph.release(slots));
            core.codes(&pin).into_iter().for_each(|codes| codes.release(slots));
        });
        drop(still);
        drop(pin);
        self.sweep();
        Ok(())
    }

    /// Makes places of removed vectors free, as far as readers that are inside allow it.
    pub(super) fn settle(&self) -> Result<()> {
        let mut before = u64::MAX;
        let mut waits = 0;
        loop {
            // Where there is no memory to become a graph, there is all the more reason to make room.
            let (pending, _) = self.work_for(Duration::from_secs(1))?;
            if pending == 0 || waits == WAITS {
                return Ok(());
            }
            waits = if pending < before { 0 } else { waits + 1 };
            before = pending;
            std::thread::sleep(WAIT);
        }
    }

    /// Moves some vectors from the end into free slots; says how many.
    fn move_some(&self, core: &Core, options: &BuildOptions<'_>, guard: &Guard) -> Result<usize> {
        let bytes = self.vector_bytes();
        let most = (MOVED_BYTES / bytes).clamp(1, MOVED).min(core.store(guard).available() as usize);
        // From the end: what lies there is in the way of the cut.
        let from: Vec<u32> = high(core.store(guard)).take(most).collect();
        if from.is_empty() {
            return Ok(0);
        }
        let run = core.store(guard).take(from.len() as u32)?;
        // Somebody may have taken the free slots meanwhile.
        let down = run.iter().zip(&from).take_while(|(to, from)| to < *from).count();
        if down < from.len() {
            core.store(guard).give_back(&run);
            return Ok(0);
        }
        let moved = self.move_to(core, &from, &run, options, guard);
        if moved.is_err() {
            core.store(guard).give_back_seen(run, guard);
        }
        moved.map(|()| from.len())
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

/// Live slots that would not be there if all lay together, the last one first.
fn high(store: &Store) -> impl Iterator<Item = u32> + '_ {
    let slots = (store.live() as u32).min(store.slots())..store.slots();
    slots.rev().filter(|&slot| store.state(slot) == LIVE)
}
