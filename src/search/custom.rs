//! The nearest under a caller's distance, which is compared in double precision from end to end.
//!
//! The walk orders candidates by distances that were rounded to single precision; those it ends with are measured again.
//! The scan rounds nothing.

use super::lives::{each_live, newest};
use super::observed::Ranked;
use super::walk::{Admission, Descend, End, Everything, Field, Only, Probe, Trail, Walk};
use super::{Admit, Scoring};
use crate::distance::Custom;
use crate::graph::Graph;
use crate::store::{LIVE, Store};
use crate::util::epoch::Guard;
use std::collections::BinaryHeap;

/// As in `graph`: a walk that must keep more than one in this many of all slots is a scan in disguise.
const SCAN_SHARE: usize = 4;

/// A search for the `k` nearest of a query.
#[derive(Clone, Copy)]
pub(crate) struct Quest<'a> {
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) graph: Option<&'a Graph>,
    pub(crate) custom: &'a Custom,
    pub(crate) query: *const u8,
    pub(crate) admit: &'a Admit<'a>,
    pub(crate) k: usize,
    pub(crate) ef: usize,
    pub(crate) guard: &'a Guard,
}

impl Quest<'_> {
    /// The hits, nearest first and by key where distances are equal.
    pub(crate) fn run(&self, trail: &mut Trail) -> Vec<Ranked> {
        let since = self.store.replacements();
        let mut found = self.walk(trail).unwrap_or_else(|| self.scan(trail));
        if !self.store.undisturbed(since) {
            // The walk may have met a vector in its old slot and its new one, or in neither; a scan meets one of them.
            found = self.scan(trail);
        }
        found
    }

    fn passes(&self, slot: u32) -> bool {
        self.store.state(slot) == LIVE && self.admit.passes(self.store.key(slot))
    }

    fn measure(&self, slot: u32) -> Ranked {
        Ranked { distance: self.custom.between(self.query, self.store.vector(slot)), slot }
    }

    /// Walks the graph; nothing where that does not find enough.
    fn walk(&self, trail: &mut Trail) -> Option<Vec<Ranked>> {
        let store = self.store;
        let (graph, ef) = (self.graph?, self.ef.max(self.k));
        if ef > store.slots() as usize / SCAN_SHARE {
            return None;
        }
        let field = Field { scoring: self.scoring, store, graph, codes: None };
        let plain = matches!(self.admit, Admit::All) && store.removed() == 0;
        let slots: Vec<u32> = if plain {
            self.walk_with(field, ef, Everything, trail)?;
            trail.frontier.candidates().map(|(_, slot)| slot).filter(|&slot| self.passes(slot)).collect()
        } else {
            self.walk_with(field, ef, Only(&|slot| self.passes(slot)), trail)?;
            trail.passing().map(|(_, slot)| slot).collect()
        };
        let live = if matches!(self.admit, Admit::All) { store.live() as usize } else { usize::MAX };
        if slots.len() < self.k.min(live) {
            return None;
        }
        trail.scored += slots.len() as u64;
        let found: Vec<Ranked> = slots.into_iter().map(|slot| self.measure(slot)).collect();
        // All equally far: a crowd of equal elements, from which no link may lead nearer.
        let lost = found.len() >= ef && ef > 1 && found.iter().all(|hit| hit.distance == found[0].distance);
        if lost && found[0].distance != 0.0 { None } else { Some(self.best(found)) }
    }

    fn walk_with(&self, field: Field<'_>, ef: usize, admission: impl Admission, trail: &mut Trail) -> Option<()> {
        let entry = field.graph.entry()?;
        let probe = Probe { vector: self.query, factor: 1.0 };
        let start = field.run(Descend { field, probe, start: (entry.slot, entry.level), level: 0, trail });
        (field.run(Walk { field, probe, start, level: 0, ef, spare: 0, admission, trail }) == End::Whole).then_some(())
    }

    /// Looks at every vector.
    fn scan(&self, trail: &mut Trail) -> Vec<Ranked> {
        let mut best: BinaryHeap<ByKey> = BinaryHeap::new();
        each_live(self.store, self.guard, |slot| {
            if self.passes(slot) {
                trail.scored += 1;
                let found = self.measure(slot);
                best.push(ByKey { found, key: self.store.key(slot) });
                if best.len() > self.k {
                    best.pop();
                }
            }
        });
        self.best(best.into_iter().map(|hit| hit.found).collect())
    }

    /// The nearest of what was found, each key once: in its newest slot.
    fn best(&self, mut found: Vec<Ranked>) -> Vec<Ranked> {
        newest(&mut found, |hit| hit.slot, self.store, self.guard);
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        found.truncate(self.k);
        found
    }
}

/// A hit that orders by distance, then key.
#[derive(PartialEq, Eq)]
struct ByKey {
    found: Ranked,
    key: u64,
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.found.distance.total_cmp(&other.found.distance).then(self.key.cmp(&other.key))
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
