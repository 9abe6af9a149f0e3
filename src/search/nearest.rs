//! The k best hits so far, ordered by (distance, key).

use super::lives::newest;
use crate::store::Store;
use crate::util::epoch::Guard;
use crate::util::error::{Error, Result};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A vector that a search found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    /// Never NaN.
    pub(crate) distance: f32,
    pub(crate) key: u64,
    pub(crate) slot: u32,
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        // Distances are never NaN, so partial_cmp always answers; 0.0 and -0.0 are equal, which total_cmp would deny.
        let distances = self.distance.partial_cmp(&other.distance).unwrap_or(Ordering::Equal);
        distances.then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Hit {}

/// Keeps the `k` best of the hits offered.
#[derive(Debug, Default)]
pub(crate) struct Nearest {
    heap: BinaryHeap<Hit>,
    k: usize,
}

impl Nearest {
    /// Makes room for k hits.
    pub(crate) fn make_room(&mut self, k: usize) -> Result<()> {
        let more = k.saturating_sub(self.heap.len());
        self.heap.try_reserve(more).map_err(|_| Error::memory(more * size_of::<Hit>()))
    }

    /// Forgets all hits; keeps the memory.
    pub(crate) fn reset(&mut self, k: usize) {
        self.heap.clear();
        self.k = k;
    }

    /// A hit farther than this would not be kept.
    #[inline]
    pub(crate) fn worst(&self) -> f32 {
        if self.heap.len() < self.k {
            f32::INFINITY
        } else {
            self.heap.peek().map_or(f32::INFINITY, |hit| hit.distance)
        }
    }

    #[inline]
    pub(crate) fn offer(&mut self, hit: Hit) {
        debug_assert!(!hit.distance.is_nan());
        if self.heap.len() < self.k {
            self.heap.push(hit);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// Of several hits with one key keeps the one in the newest slot.
    pub(crate) fn keep_newest(&mut self, store: &Store, guard: &Guard) {
        let mut hits = std::mem::take(&mut self.heap).into_vec();
        newest(&mut hits, |hit| hit.slot, store, guard);
        self.heap = hits.into();
    }

    /// Whether a slot is among the hits.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.heap.iter().any(|hit| hit.slot == slot)
    }

    /// Hits kept.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Hits there is memory for.
    pub(crate) fn capacity(&self) -> usize {
        self.heap.capacity()
    }

    /// Moves the hits into `hits`, best first.
    pub(crate) fn drain_into(&mut self, hits: &mut Vec<Hit>) {
        hits.clear();
        hits.extend(self.heap.drain());
        hits.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_best_by_distance_then_key() {
        let mut nearest = Nearest::default();
        nearest.reset(3);
        assert_eq!(nearest.worst(), f32::INFINITY);
        for (distance, key) in [(2.0, 1), (1.0, 9), (f32::INFINITY, 0), (1.0, 4), (2.0, 0), (-0.0, 7), (0.0, 6)] {
            nearest.offer(Hit { distance, key, slot: 0 });
        }
        assert_eq!(nearest.worst(), 1.0);
        let mut hits = Vec::new();
        nearest.drain_into(&mut hits);
        assert_eq!(hits.iter().map(|hit| hit.key).collect::<Vec<_>>(), [6, 7, 4]);
    }
}
