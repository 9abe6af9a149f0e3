//! Which slots wait to be used again, and which can be?
//!
//! A slot whose vector was removed or replaced goes through four steps, each of which somebody else may be in the middle of using it:
//!
//! | step | state | ends when |
//! |---|---|---|
//! | retired | `REMOVED` | whoever tends the index takes it ([`Reuse::take_retired`]) and unlinks it |
//! | unlinked | `REMOVED` | all have left that were inside when it was retired |
//! | freed | `EMPTY` | all have left that were inside when it was freed ([`Reuse::free`]) |
//! | free | `EMPTY` | it is allocated, the lowest one first |
//!
//! The second step is for those who count on a vector that was there when they began: they meet it removed, not empty, and look where
//! its key lives now. The third is for those who saw the slot removed and read its vector all the same.

use super::Run;
use crate::util::epoch::Guard;
use crate::util::error::{Error, Result};
use crate::util::sync::{AtomicU64, Mutex, Ordering};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// The slots of a store that hold nothing that lives.
#[derive(Clone, Debug, Default)]
pub(super) struct Reuse {
    retired: Arc<Mutex<Vec<u32>>>,
    places: Arc<Places>,
}

#[derive(Debug, Default)]
struct Places {
    free: Mutex<BinaryHeap<Reverse<u32>>>,
    /// Slots that are freed or free.
    waiting: AtomicU64,
    /// New slots that were handed out in vain, and come back when all have left that are inside.
    returning: AtomicU64,
}

impl Places {
    /// Takes in slots that nobody looks at any more. Those that there is no memory to remember are not used again before the index is
    /// saved and opened.
    fn put(&self, slots: impl ExactSizeIterator<Item = u32>) {
        let mut free = self.free.lock();
        if free.try_reserve(slots.len()).is_ok() {
            free.extend(slots.map(Reverse));
        }
    }
}

impl Reuse {
    /// A slot's vector ended.
    pub(super) fn retire(&self, slot: u32) {
        let mut retired = self.retired.lock();
        // As for `Places::put`.
        if retired.try_reserve(1).is_ok() {
            retired.push(slot);
        }
    }

    /// Slots that are retired.
    pub(super) fn retired(&self) -> usize {
        self.retired.lock().len()
    }

    /// Hands over the slots that were retired.
    pub(super) fn take_retired(&self) -> Vec<u32> {
        std::mem::take(&mut *self.retired.lock())
    }

    /// Slots that are freed or free.
    pub(super) fn waiting(&self) -> u64 {
        self.places.waiting.load(Ordering::Acquire)
    }

    /// Slots that are on their way back.
    pub(super) fn returning(&self) -> u64 {
        self.places.returning.load(Ordering::Acquire)
    }

    /// So many slots are on their way back from now on.
    pub(super) fn return_later(&self, slots: u32) {
        self.places.returning.fetch_add(slots.into(), Ordering::AcqRel);
    }

    /// So many are back.
    pub(super) fn returned(&self, slots: u32) {
        self.places.returning.fetch_sub(slots.into(), Ordering::AcqRel);
    }

    /// Slots that can be allocated.
    pub(super) fn available(&self) -> u64 {
        self.places.free.lock().len() as u64
    }

    /// Slots, `EMPTY` by now, are free when all have left that are inside.
    pub(super) fn free(&self, slots: Vec<u32>, guard: &Guard) {
        self.places.waiting.fetch_add(slots.len() as u64, Ordering::AcqRel);
        let places = Arc::clone(&self.places);
        guard.defer(move || places.put(slots.into_iter()));
        guard.flush();
    }

    /// As [`Reuse::free`], for slots that nobody has seen.
    pub(super) fn free_now(&self, slots: impl ExactSizeIterator<Item = u32>) {
        self.places.waiting.fetch_add(slots.len() as u64, Ordering::AcqRel);
        self.places.put(slots);
    }

    /// Takes up to `count` free slots, the lowest; the rest comes from `more`, which is asked for so many adjacent slots and says which is
    /// the first.
    pub(super) fn take(&self, count: u32, more: impl FnOnce(u32) -> Result<u32>) -> Result<Run> {
        let mut free = self.places.free.lock();
        let wanted = free.len().min(count as usize);
        let mut reused = Vec::new();
        reused.try_reserve_exact(wanted).map_err(|_| Error::memory(wanted * 4))?;
        let rest = count - wanted as u32;
        // Under the lock, so that no slot is handed out behind the last one while the end is moved (`trim`).
        let first = if rest > 0 { more(rest)? } else { 0 };
        while reused.len() < wanted
            && let Some(Reverse(slot)) = free.pop()
        {
            reused.push(slot);
        }
        self.places.waiting.fetch_sub(reused.len() as u64, Ordering::AcqRel);
        Ok(Run { reused, first, rest })
    }

    /// As [`Reuse::take`], for one slot.
    pub(super) fn take_one(&self, more: impl FnOnce() -> Result<u32>) -> Result<u32> {
        let mut free = self.places.free.lock();
        let Some(Reverse(slot)) = free.pop() else { return more() };
        self.places.waiting.fetch_sub(1, Ordering::AcqRel);
        Ok(slot)
    }

    /// Takes the free slots off the end: those that no other slot below `end` follows. `cut` is told the new end and says whether it took
    /// place; no slot is handed out meanwhile.
    pub(super) fn trim(&self, end: u32, cut: impl FnOnce(u32) -> bool) {
        let mut free = self.places.free.lock();
        let mut slots: Vec<u32> = std::mem::take(&mut *free).into_iter().map(|Reverse(slot)| slot).collect();
        slots.sort_unstable();
        let mut start = end;
        let mut kept = slots.len();
        while kept > 0 && start > 0 && slots[kept - 1] == start - 1 {
            (start, kept) = (start - 1, kept - 1);
        }
        if start < end && cut(start) {
            self.places.waiting.fetch_sub((slots.len() - kept) as u64, Ordering::AcqRel);
            slots.truncate(kept);
            slots.shrink_to_fit();
        }
        *free = slots.into_iter().map(Reverse).collect();
    }

    /// Does something while no slot is handed out.
    pub(super) fn apart(&self, act: impl FnOnce()) {
        let _free = self.places.free.lock();
        act();
    }

    pub(super) fn bytes(&self) -> usize {
        (self.retired.lock().capacity() + self.places.free.lock().capacity()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::epoch::Epochs;

    fn slots(run: &Run) -> Vec<u32> {
        run.iter().collect()
    }

    #[test]
    fn the_lowest_free_slots_are_taken_first_and_then_new_ones() {
        let reuse = Reuse::default();
        reuse.free_now([7, 3, 5].into_iter());
        assert_eq!((reuse.waiting(), reuse.available()), (3, 3));
        assert_eq!(reuse.take_one(|| unreachable!()).unwrap(), 3);
        let run = reuse.take(4, |rest| Ok(100 + rest)).unwrap();
        assert_eq!(slots(&run), [5, 7, 102, 103]);
        assert_eq!((reuse.waiting(), reuse.take_one(|| Ok(9)).unwrap()), (0, 9));
        // A refusal takes nothing.
        reuse.free_now([1].into_iter());
        assert!(reuse.take(2, |_| Err(Error::memory(1))).is_err());
        assert_eq!((reuse.waiting(), reuse.take_one(|| unreachable!()).unwrap()), (1, 1));
    }

    #[test]
    fn a_freed_slot_is_free_when_all_have_left() {
        let (reuse, epochs) = (Reuse::default(), Epochs::new());
        let reader = epochs.pin();
        reuse.free(vec![4], &epochs.pin());
        (0..100).for_each(|_| epochs.pin().flush());
        assert_eq!((reuse.waiting(), reuse.available()), (1, 0));
        drop(reader);
        (0..100).for_each(|_| epochs.pin().flush());
        assert_eq!((reuse.waiting(), reuse.available()), (1, 1));
    }

    #[test]
    fn only_what_lies_at_the_end_is_trimmed() {
        let reuse = Reuse::default();
        reuse.free_now([2, 9, 8, 5, 7].into_iter());
        reuse.trim(10, |_| false);
        assert_eq!(reuse.waiting(), 5);
        reuse.trim(10, |end| end == 7);
        assert_eq!((reuse.waiting(), reuse.available()), (2, 2));
        reuse.trim(7, |_| unreachable!());
        assert_eq!(reuse.take_one(|| unreachable!()).unwrap(), 2);
    }
}
