//! What becomes of the slots that a walk has scored?
//!
//! Distances come four at a time. Which of them are wanted at all is asked of all four before the first is taken, so that a processor meets one branch that
//! it cannot foresee instead of four.

use super::frontier::{Frontier, pack, unpack};
use super::walk::Admission;
use crate::graph::Graph;
use crate::simd::Simd;
use std::collections::BinaryHeap;

/// What slots with their distances go to.
pub(super) trait Sink {
    /// Whether it has no use for some.
    const CHOOSES: bool;
    /// Which of four slots that are so far away it has a use for, as bits.
    fn wanted<S: Simd>(&self, s: S, distances: [f32; 4]) -> u32;
    /// Takes a slot in, unless it has no use for it.
    fn take<S: Simd>(&mut self, s: S, distance: f32, slot: u32);
}

/// A function that is told all of them.
impl<F: FnMut(f32, u32)> Sink for F {
    const CHOOSES: bool = false;
    #[inline(always)]
    fn wanted<S: Simd>(&self, _s: S, _distances: [f32; 4]) -> u32 {
        0b1111
    }
    #[inline(always)]
    fn take<S: Simd>(&mut self, _s: S, distance: f32, slot: u32) {
        self(distance, slot);
    }
}

/// What a walk takes in: candidates, and hits if not all of them may be.
pub(super) struct Intake<'a, A> {
    pub(super) graph: &'a Graph,
    pub(super) admission: &'a A,
    pub(super) frontier: &'a mut Frontier,
    pub(super) passing: &'a mut BinaryHeap<u64>,
    pub(super) ef: usize,
    pub(super) level: u32,
}

impl<A: Admission> Intake<'_, A> {
    /// What is so far away or farther is not wanted; NaN if all is.
    #[inline(always)]
    fn edge(&self) -> f32 {
        if A::EVERYTHING {
            return self.frontier.edge();
        }
        match self.passing.peek() {
            Some(&worst) if self.passing.len() == self.ef && unpack(worst).0 != f32::INFINITY => unpack(worst).0,
            _ => f32::NAN,
        }
    }

    /// Takes in a candidate, and as a hit if it may be one; says whether it is the next to expand.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, s: S, (distance, slot): (f32, u32)) -> bool {
        if !A::EVERYTHING && self.admission.passes(slot) {
            self.passing.push(pack(distance, slot));
            if self.passing.len() > self.ef {
                self.passing.pop();
            }
        }
        self.frontier.insert(s, distance, slot)
    }
}

impl<A: Admission> Sink for Intake<'_, A> {
    const CHOOSES: bool = true;
    #[inline(always)]
    fn wanted<S: Simd>(&self, s: S, distances: [f32; 4]) -> u32 {
        s.below(distances, self.edge())
    }

    #[inline(always)]
    fn take<S: Simd>(&mut self, s: S, distance: f32, slot: u32) {
        // Since it was wanted, nearer ones may have come.
        let edge = self.edge();
        if (distance < edge || edge.is_nan()) && self.add(s, (distance, slot)) && self.level == 0 {
            self.graph.prefetch_row(slot);
        }
    }
}
