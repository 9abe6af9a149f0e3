//! The candidates of a walk: one sorted array.
//!
//! An entry packs (distance, slot, expanded) into a u64 whose order is the order of the candidates: the distance's bits, made
//! monotone, above the slot, above the flag. A sorted array beats heaps here: its worst entry is known, its next unexpanded one is
//! found by walking on from the last, and it is the result when the walk ends.
//!
//! The array is made of blocks of the size of a register. What is new finds its place without a branch: in a sorted array with a new entry, each place holds
//! the larger of what stood before it and the smaller of what stood in it and the new one.

use crate::simd::Simd;
use crate::util::error::Result;
use crate::util::memory::make_room;

const EXPANDED: u64 = 1;
/// Entries of a block, and the bytes they take.
const BLOCK: usize = 8;
const BLOCK_BYTES: usize = 8 * BLOCK;
/// Behind the last entry, up to the end of its block. No entry is as large.
const NOTHING: u64 = u64::MAX;
/// Up to this many places the place of a new one is counted, not searched for.
const COUNTED: usize = 128;

/// Candidates, best first.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    /// A block of zeros, which stands before all, then those of the entries. Before them, what it takes to have blocks begin with a cache line.
    entries: Vec<u64>,
    /// Where the first entry stands.
    first: usize,
    /// Entries there are. Those beyond the limit, up to the end of its block, do not count.
    held: usize,
    /// Nothing before it is unexpanded.
    cursor: usize,
    /// Entries kept.
    limit: usize,
    /// Entries that may be expanded: the first so many.
    window: usize,
    /// The last entry within the limit; what is not smaller is not kept.
    worst: u64,
    /// Its distance; NaN as long as there is none, or where it is infinite and the slot decides.
    edge: f32,
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
        make_room(&mut self.entries, places_for(limit))
    }

    /// Forgets all candidates and keeps the `limit` best from now on.
    pub(crate) fn reset(&mut self, limit: usize) {
        self.entries.clear();
        self.entries.reserve(places_for(limit.min(4096)));
        self.first = self.entries.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK - 1) + BLOCK;
        self.entries.resize(self.first, 0);
        (self.held, self.cursor) = (0, 0);
        (self.limit, self.window) = (limit, limit);
        (self.worst, self.edge) = if limit == 0 { (0, f32::NEG_INFINITY) } else { (NOTHING, f32::NAN) };
    }

    /// As [`Frontier::reset`]; expands the `window` best only. The rest are candidates for a ranking that knows better.
    pub(crate) fn reset_window(&mut self, limit: usize, window: usize) {
        self.reset(limit);
        self.window = window.min(limit);
    }

    #[inline(always)]
    fn entry(&self, place: usize) -> u64 {
        self.entries[self.first + place]
    }

    /// What is so far away or farther is not wanted; NaN if all is.
    #[inline(always)]
    pub(crate) fn edge(&self) -> f32 {
        self.edge
    }

    /// Takes in a candidate; says whether it is now the next one to expand.
    #[inline(always)]
    pub(crate) fn insert<S: Simd>(&mut self, s: S, distance: f32, slot: u32) -> bool {
        let entry = pack(distance, slot);
        if entry >= self.worst {
            return false;
        }
        if self.first + self.held == self.entries.len() && self.held < self.limit {
            self.entries.extend([NOTHING; BLOCK]);
        }
        let next = self.cursor >= self.held || entry < self.entry(self.cursor);
        let places = self.entries.len() - self.first;
        self.held = (self.held + 1).min(places);
        // The last one of all makes room: it is nothing, or beyond the limit once the entry is in.
        if places <= S::PUT_IN {
            put(s, &mut self.entries[self.first - BLOCK..], entry);
        } else {
            move_up(&mut self.entries[self.first..], entry);
        }
        if self.held >= self.limit {
            self.worst = self.entry(self.limit - 1);
            let edge = unpack(self.worst).0;
            self.edge = if edge == f32::INFINITY { f32::NAN } else { edge };
        }
        if next {
            while self.cursor > 0 && self.entry(self.cursor - 1) >= entry {
                self.cursor -= 1;
            }
        }
        next
    }

    /// The best candidate that was not expanded, marked as expanded from now on.
    #[inline(always)]
    pub(crate) fn expand(&mut self) -> Option<(f32, u32)> {
        let end = self.window.min(self.held);
        while self.cursor < end {
            let entry = &mut self.entries[self.first + self.cursor];
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
        let mut place = self.cursor;
        while place < self.held.min(self.limit) {
            let entry = self.entry(place);
            if entry & EXPANDED == 0 {
                return Some(unpack(entry).1);
            }
            place += 1;
        }
        None
    }

    /// All candidates, best first.
    pub(crate) fn candidates(&self) -> impl ExactSizeIterator<Item = (f32, u32)> + '_ {
        (0..self.held.min(self.limit)).map(|place| unpack(self.entry(place)))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }
}

/// Places that `limit` entries take, with the blocks they fill and what is before them.
fn places_for(limit: usize) -> usize {
    2 * BLOCK - 1 + limit.next_multiple_of(BLOCK)
}

/// Puts an entry into sorted blocks, of which the first is smaller as a whole and stays as it is: what is larger moves on by one place, the last one is lost.
#[inline(always)]
fn put<S: Simd>(s: S, entries: &mut [u64], entry: u64) {
    let Some((last, mut rest)) = entries.as_chunks_mut::<BLOCK>().0.split_last_mut() else { return };
    let (mut block, mut place) = (*last, last);
    while let Some((last, before)) = rest.split_last_mut() {
        let next = *last;
        *place = s.put_in(next, block, entry);
        (block, place, rest) = (next, last, before);
    }
}

/// Puts an entry into sorted ones, as [`put`] does: looks for its place, and moves what is behind it.
#[inline(always)]
fn move_up(entries: &mut [u64], entry: u64) {
    let mut place = 0;
    if entries.len() <= COUNTED {
        // Without a branch that depends on the values: becomes a few vector compares.
        for other in &*entries {
            place += usize::from(*other < entry);
        }
    } else {
        place = entries.partition_point(|&other| other < entry);
    }
    entries.copy_within(place..entries.len() - 1, place + 1);
    entries[place] = entry;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Portable, Simd};

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
        let (s, mut frontier) = (Portable::new().unwrap(), Frontier::default());
        frontier.reset_window(3, 2);
        for (distance, slot) in [(3.0, 3), (1.0, 1), (2.0, 2), (4.0, 4)] {
            frontier.insert(s, distance, slot);
        }
        assert_eq!((frontier.expand(), frontier.expand(), frontier.expand()), (Some((1.0, 1)), Some((2.0, 2)), None));
        assert_eq!(frontier.candidates().count(), 3);
        frontier.insert(s, 0.0, 9);
        assert_eq!((frontier.expand(), frontier.expand()), (Some((0.0, 9)), None));
    }

    #[test]
    fn keeps_the_best_and_expands_in_order() {
        let (s, mut frontier) = (Portable::new().unwrap(), Frontier::default());
        frontier.reset(3);
        assert!(frontier.insert(s, 5.0, 1));
        assert_eq!(frontier.expand(), Some((5.0, 1)));
        assert!(!frontier.insert(s, 7.0, 2) || frontier.cursor == 1);
        assert!(frontier.insert(s, 4.0, 3));
        assert_eq!(frontier.edge(), 7.0);
        assert!(!frontier.insert(s, 9.0, 4));
        assert!(frontier.insert(s, 1.0, 5));
        assert_eq!(frontier.expand(), Some((1.0, 5)));
        assert_eq!(frontier.expand(), Some((4.0, 3)));
        assert_eq!(frontier.expand(), None);
        assert_eq!(frontier.candidates().map(|(_, slot)| slot).collect::<Vec<_>>(), [5, 3, 1]);
    }

    /// The same candidates in a list that is sorted anew each time.
    struct Model {
        entries: Vec<(f32, u32, bool)>,
        limit: usize,
        window: usize,
    }

    impl Model {
        fn insert(&mut self, distance: f32, slot: u32) -> bool {
            self.entries.push((distance, slot, false));
            self.entries.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            self.entries.truncate(self.limit);
            self.next() == Some(slot)
        }

        fn next(&self) -> Option<u32> {
            self.entries.iter().find(|entry| !entry.2).map(|entry| entry.1)
        }

        fn expand(&mut self) -> Option<(f32, u32)> {
            let entry = self.entries.iter_mut().take(self.window).find(|entry| !entry.2)?;
            entry.2 = true;
            Some((entry.0, entry.1))
        }
    }

    fn follows_the_model<S: Simd>() {
        let Some(s) = S::new() else { return };
        let mut state = 7_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let mut frontier = Frontier::default();
        for (limit, window) in
            [(1, 1), (7, 7), (8, 5), (9, 9), (30, 20), (64, 64), (127, 127), (129, 100), (300, 300), (0, 0)]
        {
            frontier.reset_window(limit, window);
            let mut model = Model { entries: Vec::new(), limit, window };
            for slot in 0..1500 {
                // Few different distances, so that slots decide, and some that are infinite.
                let distance = [random(1000) as f32, random(8) as f32 - 4.0, f32::INFINITY][random(9) as usize / 4];
                let next = frontier.insert(s, distance, slot);
                let is_next = model.insert(distance, slot);
                // Not always seen: the entry behind the one that was expanded last may be expanded, too.
                assert!(is_next || !next, "{limit} {slot}");
                let full = model.entries.len() == limit;
                let edge = model.entries.last().map_or(f32::NEG_INFINITY, |last| last.0);
                assert!(if full && edge < f32::INFINITY { frontier.edge() == edge } else { frontier.edge().is_nan() });
                if random(3) == 0 {
                    assert_eq!(frontier.expand(), model.expand(), "{limit} {slot}");
                    assert_eq!(frontier.next(), model.next());
                }
            }
            assert!(frontier.candidates().eq(model.entries.iter().map(|entry| (entry.0, entry.1))), "{limit}");
        }
    }

    #[test]
    fn every_level_keeps_what_a_sorted_list_keeps() {
        follows_the_model::<Portable>();
        #[cfg(target_arch = "x86_64")]
        {
            follows_the_model::<crate::simd::Avx2>();
            follows_the_model::<crate::simd::Avx512>();
        }
    }
}
