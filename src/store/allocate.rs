//! Which slots does a store hand out, and what becomes of those that come back?

use super::{Run, Store};
use crate::util::epoch::Guard;
use crate::util::error::Result;
use crate::util::sync::{AtomicU32, Ordering};
use std::sync::Arc;

impl Store {
    /// Allocates `count` adjacent slots that were never used, `EMPTY`.
    pub(crate) fn allocate(&self, count: u32) -> Result<u32> {
        loop {
            let first = self.next.load(Ordering::Acquire);
            let end = u64::from(first) + u64::from(count);
            if end > self.capacity() {
                self.reserve(end)?;
            }
            if self.next.compare_exchange(first, end as u32, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Ok(first);
            }
        }
    }

    /// A slot for a vector, `EMPTY`: a free one if there is one.
    pub(crate) fn take_one(&self) -> Result<u32> {
        self.reuse.take_one(|| self.allocate(1))
    }

    /// Slots for `count` vectors: see [`Store::take_one`].
    pub(crate) fn take(&self, count: u32) -> Result<Run> {
        self.reuse.take(count, |rest| self.allocate(rest))
    }

    /// Gives slots back that were never claimed or linked. Those at the end are allocated again as if nothing had been; the others are
    /// free.
    pub(crate) fn give_back(&self, run: &Run) {
        if !give_back(&self.next, run.first, run.rest) {
            self.reuse.free_now((run.first..run.first + run.rest).collect::<Vec<u32>>().into_iter());
        }
        self.reuse.free_now(run.reused.iter().copied());
    }

    /// As [`Store::give_back`], for one slot.
    pub(crate) fn give_back_one(&self, slot: u32) {
        if !give_back(&self.next, slot, 1) {
            self.reuse.free_now(std::iter::once(slot));
        }
    }

    /// As [`Store::give_back`], for slots that were claimed or linked and are not any more. A reader may have met their numbers and
    /// be about to read key or vector, so they are given back when all have left that are inside now.
    pub(crate) fn give_back_seen(&self, run: Run, guard: &Guard) {
        if run.rest > 0 {
            let (next, reuse) = (Arc::clone(&self.next), self.reuse.clone());
            let Run { first, rest, .. } = run;
            reuse.return_later(rest);
            guard.defer(move || {
                reuse.returned(rest);
                if !give_back(&next, first, rest) {
                    reuse.free_now(first..first + rest);
                }
            });
        }
        if run.reused.is_empty() {
            guard.flush();
        } else {
            self.reuse.free(run.reused, guard);
        }
    }

    /// Hands over the slots that were retired, to whoever unlinks them.
    pub(crate) fn take_retired(&self) -> Vec<u32> {
        self.reuse.take_retired()
    }

    /// Frees retired slots that nobody links to, and that nobody counts on who is inside. They are allocated again when all have left that
    /// are inside now.
    pub(crate) fn free(&self, slots: Vec<u32>, guard: &Guard) {
        self.life.free(self, slots.iter().copied());
        self.reuse.free(slots, guard);
    }

    /// Takes free slots off the end, as many as lie there, and gives their memory back to the system; `cut` is told how many slots are left
    /// and gives back what lies elsewhere. Tables of keys shrink to what they hold.
    pub(crate) fn trim(&self, guard: &Guard, cut: impl FnOnce(u32)) {
        let end = self.slots();
        self.reuse.trim(end, |start| {
            let trimmed = self.next.compare_exchange(end, start, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if trimmed {
                for array in [Some(&self.vectors), Some(&self.keys), self.scales.as_ref()].into_iter().flatten() {
                    array.release(start as usize);
                }
                cut(start);
            }
            trimmed
        });
        self.life.shrink(self, guard);
    }
}

impl Store {
    /// Gives the memory behind the last slot back to the system, which a batch touched that is not to be. `also` is told where that is and
    /// gives back what lies elsewhere. Tables of keys shrink to what they hold.
    pub(crate) fn release_behind(&self, guard: &Guard, also: impl FnOnce(u32)) {
        self.reuse.apart(|| {
            let end = self.slots();
            for array in [Some(&self.vectors), Some(&self.keys), self.scales.as_ref()].into_iter().flatten() {
                array.release(end as usize);
            }
            also(end);
        });
        self.life.shrink(self, guard);
    }
}

/// Takes back the last slots; `false` if others were handed out behind them.
fn give_back(next: &AtomicU32, first: u32, count: u32) -> bool {
    next.compare_exchange(first + count, first, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}
