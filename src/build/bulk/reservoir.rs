//! Which candidates does a vector keep of all that its leaves offer? The nearest ones, at most one in each direction.
//!
//! A *sketch* says on which side of 16 hyperplanes a vector lies and how far; comparing two vectors' sketches gives 16 signs of their
//! difference: its *direction*. A reservoir keeps the nearest candidate of each direction, and of these the nearest [`SIZE`]. What it
//! holds in the end depends on the set of offers, not on their order, so threads may offer in any: a candidate that is dropped for a
//! nearer one could never come back, because the farthest of a full reservoir only gets nearer. (HashPrune of PiPNN, arXiv 2602.21247.)

use super::team::Team;
use crate::simd::Words;
use crate::util::error::Result;
use crate::util::memory::{LINE, prefetch, roomy};
use parking_lot::Mutex;

/// Candidates of a vector: with all that belongs to them they fill ten cache lines.
pub(super) const SIZE: usize = 61;

/// Signed distances from 16 hyperplanes, in an unsigned order.
pub(super) type Sketch = [u32; 16];

/// The candidates of one vector.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Reservoir {
    count: u8,
    farthest_at: u8,
    /// Of the candidates; behind the last they mean nothing.
    directions: [u16; 64],
    /// The farthest, once it is full.
    farthest: u64,
    /// Distance and id of each as one number.
    candidates: [u64; SIZE],
}

impl Default for Reservoir {
    fn default() -> Self {
        Self { count: 0, farthest_at: 0, directions: [0; 64], farthest: u64::MAX, candidates: [0; SIZE] }
    }
}

#[inline(always)]
fn key(distance: u32, id: u32) -> u64 {
    u64::from(distance) << 32 | u64::from(id)
}

impl Reservoir {
    /// Takes in a candidate, if it is one of the best.
    #[inline(always)]
    pub(super) fn offer<S: Words>(&mut self, s: S, own: &Sketch, (distance, id): (u32, u32), other: &Sketch) {
        let new = key(distance, id);
        if new >= self.farthest {
            return;
        }
        let direction = s.above(other, own) as u16;
        let count = usize::from(self.count);
        let there = s.same(&self.directions, direction) & ((1 << count) - 1);
        let at = if there != 0 {
            let at = there.trailing_zeros() as usize;
            if self.candidates[at] <= new {
                return;
            }
            at
        } else if count < SIZE {
            self.count += 1;
            count
        } else {
            usize::from(self.farthest_at)
        };
        self.directions[at] = direction;
        self.candidates[at] = new;
        if usize::from(self.count) == SIZE && (self.farthest == u64::MAX || at == usize::from(self.farthest_at)) {
            self.find_farthest();
        }
    }

    #[inline(always)]
    fn find_farthest(&mut self) {
        self.farthest = self.candidates.iter().fold(0, |farthest, &candidate| farthest.max(candidate));
        // As wide as what it is found by, so that both are registers full.
        let mut at = 0_u64;
        for (i, &candidate) in (0..).zip(&self.candidates) {
            at |= if candidate == self.farthest { i } else { 0 };
        }
        self.farthest_at = at as u8;
    }

    /// The candidates, distance and id as one number, nearest first.
    pub(super) fn ranked(&self, out: &mut Vec<u64>) {
        out.clear();
        out.extend_from_slice(&self.candidates[..usize::from(self.count)]);
        out.sort_unstable();
    }
}

/// A reservoir on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(Mutex<Reservoir>);

/// Memory of a vector's reservoir.
pub(super) const BYTES: usize = size_of::<Place>();

/// Reservoirs in a part.
const PART: usize = 8192;

/// One reservoir per vector. In parts, so that threads make them together.
#[derive(Debug)]
pub(super) struct Reservoirs(Vec<Vec<Place>>);

impl Reservoirs {
    pub(super) fn new(count: usize, team: &Team<'_>) -> Result<Self> {
        let mut parts = Vec::new();
        for start in (0..count).step_by(PART) {
            parts.push(roomy(PART.min(count - start))?);
        }
        team.each(parts.iter_mut(), 0, |_, part: &mut Vec<_>, (): &mut ()| {
            part.resize_with(part.capacity(), Place::default);
        })?;
        Ok(Self(parts))
    }

    #[inline(always)]
    pub(super) fn of(&self, i: u32) -> &Mutex<Reservoir> {
        &self.0[i as usize / PART][i as usize % PART].0
    }

    /// Asks for the memory of a reservoir.
    #[inline(always)]
    pub(super) fn fetch(&self, i: u32) {
        let place = std::ptr::from_ref(&self.0[i as usize / PART][i as usize % PART]).cast::<u8>();
        for line in (0..size_of::<Place>()).step_by(LINE) {
            prefetch(place.wrapping_add(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;
    use crate::simd::Simd;

    fn offers() -> Vec<(u32, u32, Sketch)> {
        let mut state = 5_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            (state >> 40) as u32
        };
        // Few distances and directions: many ties, many of one direction.
        (0..1000).map(|id| (random() % 50, id, std::array::from_fn(|i| if i < 8 { random() % 3 } else { 1 }))).collect()
    }

    fn content(offers: &[(u32, u32, Sketch)]) -> Vec<u64> {
        let (s, mut reservoir, mut ranked) = (Portable::new().unwrap(), Reservoir::default(), Vec::new());
        for (distance, id, sketch) in offers {
            reservoir.offer(s, &[1; 16], (*distance, *id), sketch);
        }
        reservoir.ranked(&mut ranked);
        ranked
    }

    #[test]
    fn it_holds_the_nearest_of_the_nearest_of_each_direction_in_any_order() {
        let mut offers = offers();
        let mut sorted: Vec<_> = offers.iter().map(|(d, id, sketch)| (key(*d, *id), sketch.map(|s| s > 1))).collect();
        sorted.sort_unstable();
        let mut directions = std::collections::HashSet::new();
        let mut wanted: Vec<u64> = sorted.iter().filter(|one| directions.insert(one.1)).map(|one| one.0).collect();
        assert!(wanted.len() > SIZE && wanted.len() < 500, "{}", wanted.len());
        wanted.truncate(SIZE);
        for _ in 0..50 {
            assert_eq!(content(&offers), wanted);
            let cut = offers.len() * 7 / 19;
            offers.rotate_left(cut);
            offers[..cut].reverse();
        }
        offers.extend(offers.clone());
        assert_eq!(content(&offers), wanted);
    }
}
