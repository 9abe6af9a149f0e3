//! Searches that a caller's observer watches and ends.

use super::config::{Counters, Filter, SearchOptions};
use super::{Core, Index, Opaque};
use crate::distance::Metric;
use crate::search::lives::newest;
use crate::search::observed::{Observer, Ranked, Watched};
use crate::search::walk::Probe;
use crate::search::{Admit, Scratch};
use crate::util::error::Result;
use crate::util::reentry;
use crossbeam_epoch::Guard;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Query<'a> {
    /// A vector of the index's shape.
    Vector(&'a [u8]),
    /// What the index's own distance function reads.
    Opaque(Opaque<'a>),
}

impl Index {
    /// Searches until `observer` ends it and hands the hits that it kept to `hit`, nearest first: key, vector and
    /// distance. Of `options` only
    /// the filter counts.
    ///
    /// # Errors
    /// `Argument` for a query of a wrong length, with NaN or infinity, or zero under cosine.
    pub fn search_observed(
        &self,
        query: Query<'_>,
        observer: &mut dyn Observer,
        options: &SearchOptions<'_>,
        hit: &mut dyn FnMut(u64, *const u8, f64),
    ) -> Result<()> {
        let admit = match options.filter {
            None => Admit::All,
            Some(Filter::AnyThread(passes)) => Admit::Shared(passes),
            Some(Filter::Caller(passes)) => Admit::Caller(passes),
        };
        let pin = self.pin();
        reentry::calling_back(self.name(), || {
            let core = self.core(&pin);
            for (slot, distance) in self.watch((core, &pin), query, &admit, observer, options.counters)? {
                hit(core.store.key(slot), core.store.vector(slot), distance);
            }
            Ok(())
        })
    }

    fn watch(
        &self,
        (core, guard): (&Core, &Guard),
        query: Query<'_>,
        admit: &Admit<'_>,
        observer: &mut dyn Observer,
        counters: Option<&Counters>,
    ) -> Result<Vec<(u32, f64)>> {
        let store = &core.store;
        let mut scratch = Scratch::default();
        let probe = match query {
            Query::Vector(query) => {
                let scale = self.scoring.check("query", query)?;
                scratch.set_queries(&self.scoring, std::iter::once((query, scale)));
                scratch.probe(0)
            }
            Query::Opaque(query) => Probe { vector: query.first(), factor: 1.0 },
        };
        let distance = |slot: u32| match &self.scoring.custom {
            Some(custom) => custom.between(probe.vector, store.vector(slot)),
            None => f64::from(self.scoring.distance(probe, store, slot)),
        };
        let mut watched = Watched { store, admit, observer, distance: &distance, distances: 0, hops: 0, guard };
        let mut found = match &core.graph {
            Some(graph) => watched.walk(graph),
            None => watched.scan(),
        };
        if let Some(counters) = counters {
            counters.add(watched.distances, watched.hops);
        }
        // A vector that was replaced meanwhile may have been met in both its slots.
        newest(&mut found, |hit| hit.slot, store, guard);
        found.sort_unstable();
        let reported = |hit: Ranked| {
            let distance = if self.scoring.metric == Metric::Cosine {
                f64::from(self.scoring.reported(probe.vector, store, hit.slot, hit.distance as f32))
            } else {
                hit.distance
            };
            (hit.slot, distance)
        };
        Ok(found.into_iter().map(reported).collect())
    }
}
