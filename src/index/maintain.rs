//! How does the place of a removed vector become free again?
//!
//! Slots that were retired (`store::reuse`) are taken out of the graph in batches, in small steps, by whoever has time: every call that
//! removes or replaces does its share once enough are waiting, and [`Index::maintain`] does as much as it is told to. One thread does it
//! at a time; the others go on with what they came for.
//!
//! | phase | what happens | work |
//! |---|---|---|
//! | detaching | each slot of the batch leaves the tree of kept links; nothing is linked to it any more | per slot |
//! | settling | all leave that were inside: who may not know yet that the slots are leaving, or looks for what was in them | none |
//! | mending | the rows of all slots are gone through; links to the batch are replaced | per slot of the index |
//! | | the batch is freed; it can be allocated when once more all have left that were inside | none |
//!
//! A flat index has no links: its batches only settle. Nothing of this is saved: in a file a slot is live, removed, or empty, and what is
//! removed there is retired when the file is opened.

use super::{Core, Index};
use crate::build::detach::{Detached, detach, detach_last};
use crate::build::mend::{Mender, mend};
use crate::store::EMPTY;
use crate::util::error::{Error, Result};
use crate::util::reentry;
use crossbeam_epoch::Guard;
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Retired slots that make a batch worth while: this many, and one in so many of all slots.
const BATCH: usize = 64;
const BATCH_SHARE: usize = 100;
/// Units of work that are worth a look at the clock; a unit is about the time to look at a row.
const STEP: usize = 512;
/// Units that a call does for each vector that it brought or removed, and for how many vectors at most.
const SHARE: usize = 1500;
const MOST_SHARES: usize = 64;
/// Where a worker does it, calls help from so many batches on.
const BEHIND: usize = 8;
/// From so many on nobody goes on before it has helped.
const CROWDED: usize = 16;
/// Units that detaching a slot counts for, and changing a row.
const DETACHING: usize = 40;
const CHANGING: usize = 20;
/// How often a call that can do nothing but wait looks again, and how long it sleeps in between.
const LOOKS: u32 = 40;
const NAP: Duration = Duration::from_micros(50);
/// Longer than all its naps, which the system makes longer than they are asked to be.
pub(crate) const LEAST_UPKEEP: Duration = Duration::from_millis(10);

/// What is being unlinked.
#[derive(Debug, Default)]
pub(super) struct Tending {
    job: Mutex<Job>,
    /// Slots of the batch in `job`.
    under_way: AtomicU64,
    /// Memory of the job, when somebody worked on it last.
    bytes: AtomicUsize,
    /// Batches that are built as a whole, during which nothing may leave the graph.
    buildings: AtomicU64,
}

#[derive(Default)]
struct Job {
    phase: Phase,
    batch: Vec<u32>,
    mender: Mender,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("phase", &self.phase).field("slots", &self.batch.len()).finish()
    }
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    /// So many of the batch are detached.
    Detaching(usize),
    /// True when all have left.
    Settling(Arc<AtomicBool>),
    /// The next row, and the end of those that can link to the batch.
    Mending(u32, u32),
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is more.
    Worked,
    /// Others must leave or finish first.
    Waits,
    /// Nothing is left.
    Done,
}

/// What upkeep is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upkeep {
    Whole,
    /// All but moving vectors together.
    Places,
}

/// Nothing leaves the graph while this lives.
pub(super) struct Still<'a>(MutexGuard<'a, Job>);

/// As [`Still`], without keeping anybody waiting.
pub(super) struct Building<'a>(&'a Tending);

impl Drop for Building<'_> {
    fn drop(&mut self) {
        self.0.buildings.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Tending {
    pub(super) fn still(&self) -> Still<'_> {
        Still(self.job.lock())
    }

    /// Whether it is this one that is held.
    pub(super) fn is_held_by(&self, still: &Still<'_>) -> bool {
        std::ptr::eq(MutexGuard::mutex(&still.0), &raw const self.job)
    }

    /// Memory of what is being unlinked, and of the buffers for it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether nothing is being unlinked.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    pub(super) fn building(&self) -> Building<'_> {
        let _job = self.job.lock();
        self.buildings.fetch_add(1, Ordering::AcqRel);
        Building(self)
    }
}

impl Core {
    /// Slots whose vectors are gone and that cannot be allocated yet, and, unless it cannot go on, those that are on their way into a graph.
    fn pending(&self, grows: bool, guard: &Guard) -> u64 {
        let store = self.store(guard);
        let growing = if grows { self.growth.left(store.live()) } else { 0 };
        let freed = (store.waiting() - store.removed()).saturating_sub(store.available());
        growing + store.retired() as u64 + self.tending.under_way.load(Ordering::Acquire) + freed
    }

    /// Whether calls that change the index should help.
    fn is_due(&self, guard: &Guard) -> bool {
        self.tending.under_way.load(Ordering::Relaxed) > 0 || self.has_batches(1, guard)
    }

    /// Whether so many slots are retired that they make so many batches.
    fn has_batches(&self, batches: usize, guard: &Guard) -> bool {
        let store = self.store(guard);
        store.retired() >= batches * BATCH.max(store.slots() as usize / BATCH_SHARE)
    }
}

impl Index {
    /// Works for about `budget` on moving an index of kind auto into a graph, if it is time, on making places of removed vectors free
    /// again, and on moving vectors together where few of many places have one; says how many vectors and places are left. A budget of 0 does a little.
    ///
    /// Where nothing is left to do but to wait for readers that are inside, it returns early.
    ///
    /// # Errors
    /// `ReadOnly`, `Busy`, `Memory`, `Internal`.
    pub fn maintain(&self, budget: Duration) -> Result<u64> {
        let (pending, refused) = self.work_for(Upkeep::Whole, budget)?;
        refused.map_or(Ok(pending), Err)
    }

    /// As [`Index::maintain`]; where there is no memory for becoming a graph or for moving vectors, does the rest and says so in the end.
    pub(super) fn work_for(&self, what: Upkeep, budget: Duration) -> Result<(u64, Option<Error>)> {
        self.check_change()?;
        let gathers = what == Upkeep::Whole;
        let start = Instant::now();
        let mut looks = 0;
        let mut refused = None;
        loop {
            let pin = self.pin();
            let core = self.core(&pin);
            let left = budget.saturating_sub(start.elapsed());
            let grown = if refused.is_some() { Ok(Outcome::Done) } else { self.grow_some(core, STEP, &pin) };
            let outcome = match grown {
                Ok(Outcome::Worked | Outcome::Waits) => grown?,
                Ok(Outcome::Done) if gathers && refused.is_none() && self.gathers(core, &pin) => {
                    self.gather_some(core, &pin).unwrap_or_else(|error| {
                        refused = Some(error);
                        Outcome::Worked
                    })
                }
                Ok(Outcome::Done) | Err(_) => {
                    refused = refused.or(grown.err());
                    match core.tending.job.try_lock_for(left) {
                        Some(mut job) => self.tend(core, &mut job, STEP, &pin)?,
                        None => Outcome::Waits,
                    }
                }
            };
            let mut pending = core.pending(refused.is_none(), &pin);
            let is_over = start.elapsed() >= budget;
            if gathers && refused.is_none() && (pending == 0 || is_over) {
                pending += self.scattered(core, &pin);
            }
            if gathers && pending == 0 {
                self.end_gathering(core, &pin);
            }
            if pending == 0 || is_over {
                return Ok((pending, refused));
            }
            if outcome == Outcome::Worked {
                looks = 0;
                continue;
            }
            pin.flush();
            drop(pin);
            looks += 1;
            if looks > LOOKS {
                return Ok((pending, refused));
            }
            if looks > LOOKS / 4 {
                std::thread::sleep(NAP);
            }
        }
    }

    /// Says that a thread calls [`Index::do_upkeep`] from now on, or no longer: calls that change the index leave it to that while it keeps up.
    ///
    /// # Errors
    /// `Busy`; `ReadOnly` and `Internal` only if there is one from now on.
    pub fn leave_upkeep_to_worker(&self, has_worker: bool) -> Result<()> {
        if has_worker || reentry::is_calling_back(self.name()) {
            self.check_change()?;
        }
        if has_worker {
            self.worker.begin();
        } else {
            self.worker.end();
        }
        Ok(())
    }

    /// As [`Index::maintain`], if enough is waiting that it is worth while; says whether there is more that can be done now. The budget is longer than
    /// [`Index::maintain`] waits for others before it gives up: `LEAST_UPKEEP` or more.
    ///
    /// # Errors
    /// As [`Index::maintain`].
    pub fn do_upkeep(&self, budget: Duration) -> Result<bool> {
        let is_due = || {
            let pin = self.pin();
            let core = self.core(&pin);
            core.growth.left(core.store(&pin).live()) > 0 || core.is_due(&pin) || self.gathers(core, &pin)
        };
        let start = Instant::now();
        if !is_due() {
            return Ok(false);
        }
        self.maintain(budget)?;
        // It came back early if it could only wait for others.
        Ok(start.elapsed() >= budget && is_due())
    }

    /// What a call does for the vectors that it brought or removed. What goes wrong here is met again by the next.
    pub(super) fn tend_a_share(&self, core: &Core, vectors: usize, guard: &Guard) {
        self.grow_a_share(core, vectors, guard);
        let helps = if self.worker.is_there() { core.has_batches(BEHIND, guard) } else { core.is_due(guard) };
        if !helps {
            return;
        }
        // One thread tends at a time. Where many bring more than it can take away, they wait for their turn.
        let crowded = core.has_batches(CROWDED, guard);
        let job = if crowded { Some(core.tending.job.lock()) } else { core.tending.job.try_lock() };
        if let Some(mut job) = job {
            drop(self.tend(core, &mut job, SHARE * vectors.min(MOST_SHARES), guard));
        }
    }

    /// Does so many units of work. The caller holds nothing else.
    fn tend(&self, core: &Core, job: &mut Job, units: usize, guard: &Guard) -> Result<Outcome> {
        let outcome = self.work_off(core, job, units, guard);
        core.tending.bytes.store(job.batch.capacity() * 4 + job.mender.bytes(), Ordering::Relaxed);
        outcome
    }

    fn work_off(&self, core: &Core, job: &mut Job, mut units: usize, guard: &Guard) -> Result<Outcome> {
        // Also for work that was begun before there was a graph.
        if let Some(graph) = core.graph() {
            let slots = core.store(guard).slots();
            graph.reserve(slots.into())?;
            job.mender.make_room(graph, slots as usize, self.config.ef_construction as usize)?;
        }
        while units > 0 {
            if core.tending.buildings.load(Ordering::Acquire) > 0 || core.growth.is_moving() {
                return Ok(Outcome::Waits);
            }
            match &mut job.phase {
                Phase::Idle => {
                    job.batch = core.store(guard).take_retired();
                    if job.batch.is_empty() {
                        return Ok(Outcome::Done);
                    }
                    core.tending.under_way.store(job.batch.len() as u64, Ordering::Release);
                    job.phase = Phase::Detaching(0);
                }
                Phase::Detaching(done) => {
                    if *done < job.batch.len() {
                        let slot = job.batch[*done];
                        if !self.detach(core, slot, &mut job.mender, guard) {
                            return Ok(Outcome::Waits);
                        }
                        *done += 1;
                        units = units.saturating_sub(DETACHING);
                        continue;
                    }
                    let settled = Arc::new(AtomicBool::new(false));
                    job.phase = Phase::Settling(Arc::clone(&settled));
                    guard.defer(move || settled.store(true, Ordering::Release));
                    guard.flush();
                    return Ok(Outcome::Waits);
                }
                Phase::Settling(settled) => {
                    if !settled.load(Ordering::Acquire) {
                        guard.flush();
                        return Ok(Outcome::Waits);
                    }
                    let end = if core.graph().is_some() { core.store(guard).slots() } else { 0 };
                    job.phase = Phase::Mending(0, end);
                }
                Phase::Mending(next, end) if *next < *end => {
                    units = units.saturating_sub(self.mend(core, (next, *end), units, &mut job.mender, guard));
                }
                Phase::Mending(..) => {
                    job.phase = Phase::Idle;
                    core.store(guard).free(std::mem::take(&mut job.batch), guard);
                    core.tending.under_way.store(0, Ordering::Release);
                }
            }
        }
        Ok(Outcome::Worked)
    }

    /// Takes a slot out of the tree; `false` if it is the last of the graph, and somebody is inserting.
    fn detach(&self, core: &Core, slot: u32, mender: &mut Mender, guard: &Guard) -> bool {
        let _coding = core.coding.read();
        let Some(graph) = &core.graph else { return true };
        // Asked after the slot was retired: if the index was flat then, nobody will link it.
        if core.growth.is_moving() {
            return false;
        }
        if core.growth.is_flat() || !core.is_linked(slot) {
            return true;
        }
        let field = core.field(graph, guard);
        let detached = {
            let _linking = core.linking.read();
            let ef = self.config.ef_construction as usize;
            reentry::calling_back(self.name(), || detach(field, slot, ef, mender))
        };
        if detached == Detached::Yes {
            return true;
        }
        let Some(_alone) = core.linking.try_write() else { return false };
        detach_last(field, slot)
    }

    /// Mends rows from `next` on for so many units of work; says how many it did.
    fn mend(
        &self,
        core: &Core,
        (next, end): (&mut u32, u32),
        units: usize,
        mender: &mut Mender,
        guard: &Guard,
    ) -> usize {
        let _coding = core.coding.read();
        let _linking = core.linking.read();
        let Some(graph) = core.graph() else { return 0 };
        let field = core.field(graph, guard);
        let mut done = 0;
        while *next < end && done < units {
            let slot = *next;
            // Who is filling a slot now began when all knew what is leaving. What was removed while the index was flat has no rows.
            if core.store(guard).state(slot) != EMPTY && core.is_linked(slot) {
                let ef = self.config.ef_construction as usize;
                let changed = reentry::calling_back(self.name(), || mend(field, slot, ef, mender));
                done += CHANGING * changed;
            }
            *next += 1;
            done += 1;
        }
        done
    }
}

#[cfg(test)]
#[path = "tests/relinking.rs"]
mod relinking;
#[cfg(test)]
#[path = "tests/maintain.rs"]
mod tests;
