//! Searches that a caller's observer watches and ends.

use super::config::{Counters, Filter, SearchOptions};
use super::holding::View;
use super::{Core, Index, Opaque};
use crate::distance::Metric;
use crate::search::lives::newest;
use crate::search::nearest::Hit;
use crate::search::observed::{Observer, Ranked, Shown, Watched};
use crate::search::walk::Probe;
use crate::search::{Admit, Scoring, Scratch};
use crate::store::{Held, Store};
use crate::util::error::Result;
use crate::util::reentry;
use crossbeam_epoch::Guard;
use std::cell::RefCell;

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
                show(&self.scoring, core.view(&pin), slot, &mut |vector| {
                    hit(core.store(&pin).key(slot), vector, distance);
                });
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
        let store = core.store(guard);
        let scale = match query {
            Query::Vector(query) => self.scoring.check("query", query)?,
            Query::Opaque(_) => 1.0,
        };
        // What was told cannot be taken back, so a change of views cannot end in a second search: each distance is asked of the view then in
        // force, which has the vector of every slot that can be met.
        let probing = RefCell::new(Probing::default());
        let distance = |slot: u32| match query {
            Query::Vector(query) => {
                probing.borrow_mut().distance(&self.scoring, core.view(guard), (query, scale), slot)
            }
            Query::Opaque(query) => {
                let probe = Probe { vector: query.first(), factor: 1.0 };
                distance_of(&self.scoring, probe, store, slot)
            }
        };
        let show = |slot: u32, to: Shown<'_>| show(&self.scoring, core.view(guard), slot, to);
        let mut watched =
            Watched { store, admit, observer, distance: &distance, show: &show, distances: 0, hops: 0, guard };
        let mut found = match core.graph() {
            Some(graph) => watched.walk(graph),
            None => watched.scan(),
        };
        if let Some(counters) = counters {
            counters.add(watched.distances, watched.hops);
        }
        self.tell_nearly(counters);
        // A vector that was replaced meanwhile may have been met in both its slots.
        newest(&mut found, |hit| hit.slot, store, guard);
        found.sort_unstable();
        let reported = |hit: Ranked| match query {
            Query::Vector(query) if self.scoring.metric == Metric::Cosine => {
                let view = core.view(guard);
                (hit.slot, probing.borrow_mut().reported(&self.scoring, view, (query, scale), hit))
            }
            _ => (hit.slot, hit.distance),
        };
        Ok(found.into_iter().map(reported).collect())
    }
}

/// Hands on where a slot's vector stands, as callers give it.
fn show(given: &Scoring, view: &View, slot: u32, to: Shown<'_>) {
    if view.store.held() == Held::AsGiven {
        return to(view.store.vector(slot));
    }
    let mut vector = Vec::new();
    view.unpack(given, slot, &mut vector);
    to(vector.as_ptr());
}

fn distance_of(scoring: &Scoring, probe: Probe, store: &Store, slot: u32) -> f64 {
    match &scoring.custom {
        Some(custom) => custom.between(probe.vector, store.vector(slot)),
        None => f64::from(scoring.distance(probe, store, slot)),
    }
}

/// A query as the view in force sees it.
#[derive(Default)]
struct Probing<'v> {
    scratch: Scratch,
    /// The view that `scratch` is for, and what tells distances there.
    scoring: Option<(usize, &'v Scoring)>,
}

impl<'v> Probing<'v> {
    fn of(&mut self, given: &Scoring, view: &'v View, query: (&[u8], f32)) -> &'v Scoring {
        let name = std::ptr::from_ref(view).addr();
        match self.scoring {
            Some((known, scoring)) if known == name => scoring,
            _ => {
                let scoring = view.ask(given, query, &mut self.scratch);
                self.scoring = Some((name, scoring));
                scoring
            }
        }
    }

    fn distance(&mut self, given: &Scoring, view: &'v View, query: (&[u8], f32), slot: u32) -> f64 {
        let scoring = self.of(given, view, query);
        distance_of(scoring, self.scratch.probe(0), &view.store, slot)
    }

    fn reported(&mut self, given: &Scoring, view: &'v View, query: (&[u8], f32), hit: Ranked) -> f64 {
        let scoring = self.of(given, view, query);
        let mut hit = Hit { distance: hit.distance as f32, key: 0, slot: hit.slot };
        scoring.report(self.scratch.query(0), &view.store, std::slice::from_mut(&mut hit));
        f64::from(hit.distance)
    }
}
