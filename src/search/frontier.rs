//! The candidates of a walk: one sorted array.
//!
//! An entry packs (distance, slot, expanded) into a u64 whose order is the order of the candidates: the distance's bits, made
//! monotone, above the slot, above the flag. A sorted array beats heaps here: its worst entry is known, its next unexpanded one is
//! found by walking on from the last, and it is the result when the walk ends.

use crate::util::error::Result;
use crate::util::memory::make_room;

const EXPANDED: u64 = 1;
/// Up to this many entries the place of a new one is counted, not searched for.
const COUNTED: usize = 128;

/// Candidates, best first.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    entries: Vec<u64>,
    /// Nothing before it is unexpanded.
    cursor: usize,
    /// Entries kept.
    limit: usize,
    /// Entries that may be expanded: the first so many.
    window: usize,
}

/// Bits of a distance that order as the distance does. Not for NaN.
#[inline(always)]
fn ordered(distance: f32) -> u32 {
    // -0.0 becomes 0.0, so that equal distances have equal bits.
    let bits = (distance + 0.0).to_bits();
    bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | 0x8000_0000)
}

/// A candidate as one number that orders by distance, then slot.
#[inline(always)]
pub(crate) fn pack(distance: f32, slot: u32) -> u64 {
    u64::from(ordered(distance)) << 32 | u64::from(slot) << 1
}

/// Distance and slot of a packed candidate.
#[inline(always)]
pub(crate) fn unpack(entry: u64) -> (f32, u32) {
    let ordered = (entry >> 32) as u32;
    // Undoes `ordered`: a set top bit was a positive number, a clear one a negative number with all bits flipped.
    let bits = ordered ^ ((!ordered.cast_signed() >> 31).cast_unsigned() | 0x8000_0000);
    (f32::from_bits(bits), entry as u32 >> 1)
}

impl Frontier {
    /// Makes room for the `limit` best, so that walks which keep no more need no memory.
    pub(crate) fn make_room(&mut self, limit: usize) -> Result<()> {
        make_room(&mut self.entries, limit + 1)
    }

    /// Forgets all candidates and keeps the `limit` best from now on.
    pub(crate) fn reset(&mut self, limit: usize) {
        self.entries.clear();
        self.entries.reserve(limit.min(4096) + 1);
        self.cursor = 0;
        self.limit = limit;
        self.window = limit;
    }

    /// As [`Frontier::reset`]; expands the `window` best only. The rest are candidates for a ranking that knows better.
    pub(crate) fn reset_window(&mut self, limit: usize, window: usize) {
        self.reset(limit);
        self.window = window.min(limit);
    }

    /// A candidate farther than this would not be kept.
    #[inline(always)]
    pub(crate) fn worst(&self) -> f32 {
        if self.entries.len() < self.limit {
            f32::INFINITY
        } else {
            self.entries.last().map_or(f32::INFINITY, |&last| unpack(last).0)
        }
    }

    /// Takes in a candidate; says whether it is now the next one to expand.
    #[inline(always)]
    pub(crate) fn insert(&mut self, distance: f32, slot: u32) -> bool {
        let entry = pack(distance, slot);
        if self.entries.len() >= self.limit {
            if self.entries.last().is_some_and(|&last| entry >= last) {
                return false;
            }
            self.entries.pop();
        }
        let place = if self.entries.len() <= COUNTED {
            // Without a branch that depends on the values: becomes a few vector compares.
            self.entries.iter().map(|&other| u64::from(other < entry)).sum::<u64>() as usize
        } else {
            self.entries.partition_point(|&other| other < entry)
        };
        self.entries.insert(place, entry);
        let next = place <= self.cursor;
        if next {
            self.cursor = place;
        }
        next
    }

    /// The best candidate that was not expanded, marked as expanded from now on.
    #[inline(always)]
    pub(crate) fn expand(&mut self) -> Option<(f32, u32)> {
        let end = self.window.min(self.entries.len());
        while let Some(entry) = self.entries[..end].get_mut(self.cursor) {
            self.cursor += 1;
            if *entry & EXPANDED == 0 {
                *entry |= EXPANDED;
                return Some(unpack(*entry));
            }
        }
        None
    }

    /// The candidate that comes next, unless a better one turns up.
    #[inline(always)]
    pub(crate) fn next(&self) -> Option<u32> {
        let rest = self.entries.get(self.cursor..)?;
        rest.iter().find(|&&entry| entry & EXPANDED == 0).map(|&entry| unpack(entry).1)
    }

    /// All candidates, best first.
    pub(crate) fn candidates(&self) -> impl ExactSizeIterator<Item = (f32, u32)> + '_ {
        self.entries.iter().map(|&entry| unpack(entry))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_order_and_value() {
        let values = [f32::NEG_INFINITY, -3.5, -1e-40, -0.0, 1e-40, 0.5, 7.0, f32::MAX, f32::INFINITY];
        for pair in values.windows(2) {
            assert!(pack(pair[0], 9) < pack(pair[1], 3) || pair[0] == pair[1], "{pair:?}");
        }
        for value in values {
            assert_eq!(unpack(pack(value, 123)), (value, 123));
        }
        assert_eq!(pack(0.0, 5), pack(-0.0, 5));
        assert_eq!(unpack(pack(1.0, (1 << 31) - 1)).1, (1 << 31) - 1);
    }

    #[test]
    fn expands_the_window_and_keeps_more() {
        let mut frontier = Frontier::default();
        frontier.reset_window(3, 2);
        for (distance, slot) in [(3.0, 3), (1.0, 1), (2.0, 2), (4.0, 4)] {
            frontier.insert(distance, slot);
        }
        assert_eq!((frontier.expand(), frontier.expand(), frontier.expand()), (Some((1.0, 1)), Some((2.0, 2)), None));
        assert_eq!(frontier.candidates().count(), 3);
        frontier.insert(0.0, 9);
        assert_eq!((frontier.expand(), frontier.expand()), (Some((0.0, 9)), None));
    }

    #[test]
    fn keeps_the_best_and_expands_in_order() {
        let mut frontier = Frontier::default();
        frontier.reset(3);
        assert!(frontier.insert(5.0, 1));
        assert_eq!(frontier.expand(), Some((5.0, 1)));
        assert!(!frontier.insert(7.0, 2) || frontier.cursor == 1);
        assert!(frontier.insert(4.0, 3));
        assert_eq!(frontier.worst(), 7.0);
        assert!(!frontier.insert(9.0, 4));
        assert!(frontier.insert(1.0, 5));
        assert_eq!(frontier.expand(), Some((1.0, 5)));
        assert_eq!(frontier.expand(), Some((4.0, 3)));
        assert_eq!(frontier.expand(), None);
        assert_eq!(frontier.candidates().map(|(_, slot)| slot).collect::<Vec<_>>(), [5, 3, 1]);
    }
}
