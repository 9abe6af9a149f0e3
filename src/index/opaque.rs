//! Searches in an index whose elements only the caller's distance function can read.

use super::config::{Counters, Filter, NO_KEY, SearchOptions};
use super::{Index, Opaque};
use crate::search::custom::Quest;
use crate::search::{Admit, Scratch};
use crate::util::error::{Error, Result};
use crate::util::reentry;
use std::sync::atomic::Ordering;

impl Index {
    /// Whether distances are computed by a function of the caller.
    pub fn is_custom(&self) -> bool {
        self.scoring.custom.is_some()
    }

    /// As [`Index::search_wide`], in an index with a distance function, which alone reads the query.
    ///
    /// # Errors
    /// As [`Index::search`]; `Argument` if the index has no distance function.
    pub fn search_opaque(
        &self,
        query: Opaque<'_>,
        keys: &mut [u64],
        distances: Option<&mut [f64]>,
        options: &SearchOptions<'_>,
    ) -> Result<usize> {
        self.check_search(keys.len(), options)?;
        let mut scratch = self.scratches.take();
        let found = match options.filter {
            None => self.quest(query, keys.len(), options, &Admit::All, &mut scratch),
            Some(Filter::AnyThread(passes)) => {
                self.quest(query, keys.len(), options, &Admit::Shared(passes), &mut scratch)
            }
            Some(Filter::Caller(passes)) => {
                self.quest(query, keys.len(), options, &Admit::Caller(passes), &mut scratch)
            }
        };
        self.give(scratch, options.counters);
        let found = found?;
        keys.fill(NO_KEY);
        keys.iter_mut().zip(&found).for_each(|(place, hit)| *place = hit.0);
        if let Some(distances) = distances {
            distances.fill(f64::INFINITY);
            distances.iter_mut().zip(&found).for_each(|(place, hit)| *place = hit.1);
        }
        Ok(found.len())
    }

    /// The hits of one query: key and distance, nearest first.
    pub(super) fn quest(
        &self,
        query: Opaque<'_>,
        k: usize,
        options: &SearchOptions<'_>,
        admit: &Admit<'_>,
        scratch: &mut Scratch,
    ) -> Result<Vec<(u64, f64)>> {
        let Some(custom) = &self.scoring.custom else {
            return Err(Error::argument("query: the index has no distance function"));
        };
        let pin = self.pin();
        let core = self.core(&pin);
        let store = core.store(&pin);
        let quest = Quest {
            scoring: &self.scoring,
            store,
            graph: core.graph(),
            custom,
            query: query.first(),
            admit,
            k,
            ef: self.breadth(options),
            guard: &pin,
        };
        // The distance function is a callback, too.
        let found = reentry::calling_back(self.name(), || quest.run(&mut scratch.trail));
        Ok(found.into_iter().map(|hit| (store.key(hit.slot), hit.distance)).collect())
    }

    /// Tells whether the distances of a search that is over are those of what is held in place of the vectors.
    pub(super) fn tell_nearly(&self, counters: Option<&Counters>) {
        let Some(counters) = counters else { return };
        let pin = self.pin();
        // Vectors are rounded from the first on, and once they are reduced they stay so.
        if !self.core(&pin).view(&pin).is_exact() {
            counters.nearly.store(true, Ordering::Relaxed);
        }
    }

    /// Puts a scratch back when its search is over, and tells what it took.
    pub(super) fn give(&self, mut scratch: Box<Scratch>, counters: Option<&Counters>) {
        let (distances, hops) = scratch.news();
        if let Some(counters) = counters {
            counters.add(distances, hops);
        }
        self.tell_nearly(counters);
        self.scratches.give(scratch);
    }
}
