//! A search that somebody watches and ends: which candidates are worth a look, which hits are kept, when is it enough?
//!
//! Like `walk`, but distances are asked for one by one and every step is told to an [`Observer`], so it is for searches whose end is not
//! a number of hits: everything within a distance, vectors of so many different documents.

use super::Admit;
use super::lives::each_live;
use super::visited::Visited;
use crate::graph::Graph;
use crate::store::{LIVE, Store};
use crate::util::epoch::Guard;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Watches a search. The bound is the distance of the farthest hit kept, infinite while there is none.
pub trait Observer {
    /// Asked before the links of the nearest candidate left are followed; true ends the search.
    fn stop(&mut self, candidate: f64, bound: f64) -> bool;
    /// Whether a vector that the search came to is a candidate, and so may be a hit.
    fn consider(&mut self, distance: f64, bound: f64) -> bool;
    /// A vector became a hit.
    fn add(&mut self, key: u64, vector: *const u8, distance: f64);
    /// The farthest hit is one no more.
    fn drop(&mut self, key: u64, vector: *const u8, distance: f64);
    /// Whether the farthest hit is to go; asked until it says no.
    fn excess(&mut self) -> bool;
}

/// A slot and how far it is; nearer is less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) distance: f64,
    pub(crate) slot: u32,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.slot.cmp(&other.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Takes the address of a vector.
pub(crate) type Shown<'s> = &'s mut dyn FnMut(*const u8);

/// What a search needs, and how many distances and hops it took.
pub(crate) struct Watched<'a> {
    pub(crate) store: &'a Store,
    pub(crate) admit: &'a Admit<'a>,
    pub(crate) observer: &'a mut dyn Observer,
    /// The distance of a slot from the query. Never NaN.
    pub(crate) distance: &'a dyn Fn(u32) -> f64,
    /// Hands on where a slot's vector stands, as callers give it, for the time of the call.
    pub(crate) show: &'a dyn Fn(u32, Shown<'_>),
    pub(crate) distances: u64,
    pub(crate) hops: u64,
    pub(crate) guard: &'a Guard,
}

impl Watched<'_> {
    /// Searches a graph; the hits that were kept, nearest first.
    pub(crate) fn walk(&mut self, graph: &Graph) -> Vec<Ranked> {
        let Some(entry) = graph.entry() else { return Vec::new() };
        let start = self.descend(graph, Ranked { distance: self.measure(entry.slot), slot: entry.slot }, entry.level);
        self.distances += 1;
        let mut hits = Hits::default();
        let mut visited = Visited::default();
        visited.reset(self.store.slots() as usize);
        visited.insert(start.slot);
        self.offer(start, &mut hits);
        let mut open = BinaryHeap::from([Reverse(start)]);
        let mut links = Vec::new();
        while let Some(Reverse(nearest)) = open.pop() {
            if self.observer.stop(nearest.distance, hits.bound()) {
                break;
            }
            self.hops += 1;
            links.clear();
            graph.neighbours(nearest.slot, 0, &mut links);
            for &slot in &links {
                if !visited.insert(slot) {
                    continue;
                }
                let found = Ranked { distance: self.measure(slot), slot };
                self.distances += 1;
                if self.observer.consider(found.distance, hits.bound()) {
                    open.push(Reverse(found));
                    self.offer(found, &mut hits);
                    self.trim(&mut hits);
                }
            }
        }
        hits.0.into_sorted_vec()
    }

    /// The same without a graph: every vector is a candidate, the nearest first.
    pub(crate) fn scan(&mut self) -> Vec<Ranked> {
        let mut all = Vec::new();
        each_live(self.store, self.guard, |slot| all.push(Ranked { distance: self.measure(slot), slot }));
        self.distances += all.len() as u64;
        all.sort_unstable();
        let mut hits = Hits::default();
        for found in all {
            if self.observer.stop(found.distance, hits.bound()) {
                break;
            }
            if self.observer.consider(found.distance, hits.bound()) {
                self.offer(found, &mut hits);
                self.trim(&mut hits);
            }
        }
        hits.0.into_sorted_vec()
    }

    fn measure(&self, slot: u32) -> f64 {
        (self.distance)(slot)
    }

    /// Greedy steps down to level 0.
    fn descend(&mut self, graph: &Graph, mut best: Ranked, from: u32) -> Ranked {
        let mut links = Vec::new();
        for level in (1..=from).rev() {
            loop {
                let here = best;
                links.clear();
                graph.neighbours(here.slot, level, &mut links);
                self.hops += 1;
                self.distances += links.len() as u64;
                for &slot in &links {
                    best = best.min(Ranked { distance: self.measure(slot), slot });
                }
                if best.slot == here.slot {
                    break;
                }
            }
        }
        best
    }

    /// Makes a candidate a hit, if it may be one.
    fn offer(&mut self, found: Ranked, hits: &mut Hits) {
        let store = self.store;
        if store.state(found.slot) == LIVE && self.admit.passes(store.key(found.slot)) {
            hits.0.push(found);
            (self.show)(found.slot, &mut |vector| self.observer.add(store.key(found.slot), vector, found.distance));
        }
    }

    fn trim(&mut self, hits: &mut Hits) {
        let store = self.store;
        while self.observer.excess() {
            let Some(farthest) = hits.0.pop() else { return };
            let key = store.key(farthest.slot);
            (self.show)(farthest.slot, &mut |vector| self.observer.drop(key, vector, farthest.distance));
        }
    }
}

/// The hits kept, the farthest on top.
#[derive(Default)]
struct Hits(BinaryHeap<Ranked>);

impl Hits {
    fn bound(&self) -> f64 {
        self.0.peek().map_or(f64::INFINITY, |farthest| farthest.distance)
    }
}
