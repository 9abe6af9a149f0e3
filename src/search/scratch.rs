//! A query's buffers, and where they wait for the next query.

use super::Scoring;
use super::nearest::{Hit, Nearest};
use super::walk::{Probe, Trail};
use crate::quant::{Query, Workspace};
use crate::store::Store;
use crate::util::error::Result;
use crate::util::memory::{Lines, make_room};
use crossbeam_queue::ArrayQueue;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Scratches kept for later queries.
const IDLE: usize = 64;
/// A scratch that grew beyond this (by a huge k, say) is freed instead of kept. Its marks of seen slots do not count.
const KEEP_BYTES: usize = 4 << 20;

/// Everything a search writes to, but its results. One search at a time uses it.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The queries, padded to the stride that the scoring has for them, one behind the other.
    pub(super) lines: Lines,
    stride: usize,
    /// The query rounded to what stored vectors are, and what its scores are multiplied with, where walks may go by that.
    rounded: Lines,
    rounded_factor: Option<f32>,
    /// Per query: what its scores are multiplied with.
    pub(crate) factors: Vec<f32>,
    /// Per query: its best so far.
    pub(crate) nearest: Vec<Nearest>,
    /// Raw scores of a panel.
    pub(crate) scores: Vec<f32>,
    /// Buffers of a walk through a graph.
    pub(crate) trail: Trail,
    /// Candidates of a walk by codes: estimate and slot.
    pub(super) ranked: Vec<(f32, u32)>,
    /// For the code of a query.
    pub(crate) work: Workspace,
    /// Per query: what codes are compared with, in a scan by codes.
    pub(super) prepared: Vec<Query>,
    /// Slots of a block of a scan by codes.
    pub(super) slots: Vec<u32>,
    /// Distances that scans computed since the scratch was made.
    pub(super) scanned: u64,
    /// Distances and hops of searches that are over.
    told: (u64, u64),
    /// Slots that a walk met when their vectors were removed already.
    pub(crate) gone: Vec<u32>,
    /// The hits of the query that was finished last, best first.
    pub(crate) hits: Vec<Hit>,
}

impl Scratch {
    /// Makes room for searches of so many queries, of so many bytes each as stored, for the k nearest among `slots` with a breadth of `ef`: what grows
    /// with the index or with what is asked for. The rest is a few kilobytes.
    pub(crate) fn make_room(
        &mut self,
        (queries, stride): (usize, usize),
        (k, ef): (usize, usize),
        slots: usize,
    ) -> Result<()> {
        let k = k.min(slots);
        let kept = ef.max(k).min(slots) + k;
        self.lines.make_room(queries * stride)?;
        make_room(&mut self.factors, queries)?;
        make_room(&mut self.nearest, queries)?;
        if ef > 0 {
            self.trail.make_room(slots, kept)?;
            make_room(&mut self.ranked, kept)?;
        }
        self.nearest.resize_with(self.nearest.len().max(queries), Nearest::default);
        self.nearest.iter_mut().take(queries).try_for_each(|nearest| nearest.make_room(k))?;
        make_room(&mut self.hits, k)
    }

    /// Makes room for so many candidates of a scan by codes.
    pub(crate) fn make_room_to_rank(&mut self, candidates: usize) -> Result<()> {
        make_room(&mut self.ranked, candidates)
    }

    /// Takes in the next queries, which `scoring` has checked.
    pub(crate) fn set_queries<'q>(
        &mut self,
        scoring: &Scoring,
        queries: impl ExactSizeIterator<Item = (&'q [u8], f32)>,
    ) {
        self.stride = scoring.query_stride;
        self.rounded_factor = None;
        self.lines.reset(queries.len() * self.stride);
        self.factors.clear();
        for (i, (query, scale)) in queries.enumerate() {
            self.factors.push(scoring.factor(scale));
            let at = i * self.stride;
            scoring.put_query(query, &mut self.lines.bytes_mut()[at..]);
        }
        if self.nearest.len() < self.factors.len() {
            self.nearest.resize_with(self.factors.len(), Nearest::default);
        }
    }

    /// Takes in what the only query is when it is rounded to what stored vectors are, between which `scoring` tells distances.
    pub(crate) fn set_rounded(&mut self, scoring: &Scoring, query: &[u8]) {
        self.rounded.reset(scoring.stride);
        self.rounded.bytes_mut()[..query.len()].copy_from_slice(query);
        self.rounded_factor = Some(scoring.factor(1.0));
    }

    /// The rounded query as what a walk looks for.
    pub(super) fn rounded_probe(&self) -> Option<Probe> {
        self.rounded_factor.map(|factor| Probe { vector: self.rounded.bytes().as_ptr(), factor })
    }

    /// Takes over the queries of another scratch.
    pub(crate) fn copy_queries(&mut self, from: &Self) {
        self.stride = from.stride;
        self.lines.clone_from(&from.lines);
        self.factors.clone_from(&from.factors);
        if self.nearest.len() < self.factors.len() {
            self.nearest.resize_with(self.factors.len(), Nearest::default);
        }
    }

    /// Query `i`: `stride` readable bytes.
    pub(crate) fn query(&self, i: usize) -> *const u8 {
        debug_assert!((i + 1) * self.stride <= self.lines.bytes().len());
        self.lines.bytes().as_ptr().wrapping_add(i * self.stride)
    }

    /// Distances and hops since this was asked last.
    pub(crate) fn news(&mut self) -> (u64, u64) {
        let now = (self.trail.scored + self.scanned, self.trail.hops);
        let before = std::mem::replace(&mut self.told, now);
        (now.0 - before.0, now.1 - before.1)
    }

    /// Query `i` as what a walk looks for.
    pub(crate) fn probe(&self, i: usize) -> Probe {
        Probe { vector: self.query(i), factor: self.factors[i] }
    }

    /// Number of queries.
    pub(crate) fn queries(&self) -> usize {
        self.factors.len()
    }

    /// Puts the best of query `i` into `hits`, with the distances that are reported, in order.
    pub(crate) fn finish(&mut self, i: usize, scoring: &Scoring, store: &Store) {
        let mut hits = std::mem::take(&mut self.hits);
        self.nearest[i].drain_into(&mut hits);
        if scoring.report(self.query(i), store, &mut hits) {
            hits.sort_unstable();
        }
        self.hits = hits;
    }

    fn bytes(&self) -> usize {
        let hit = size_of::<Hit>();
        let nearest: usize = self.nearest.iter().map(|nearest| nearest.capacity() * hit).sum();
        size_of::<Self>()
            + self.nearest.capacity() * size_of::<Nearest>()
            + self.lines.capacity()
            + self.rounded.capacity()
            + self.factors.capacity() * 4
            + self.scores.capacity() * 4
            + (self.gone.capacity() + self.slots.capacity()) * 4
            + self.prepared.iter().map(Query::bytes).sum::<usize>()
            + self.ranked.capacity() * 8
            + self.work.bytes()
            + self.hits.capacity() * hit
            + nearest
            + self.trail.bytes()
    }
}

/// The idle scratches of an index.
pub(crate) struct Scratches {
    idle: ArrayQueue<Box<Scratch>>,
    bytes: AtomicUsize,
}

impl Scratches {
    pub(crate) fn new() -> Self {
        Self { idle: ArrayQueue::new(IDLE), bytes: AtomicUsize::new(0) }
    }

    pub(crate) fn take(&self) -> Box<Scratch> {
        let Some(scratch) = self.idle.pop() else { return Box::default() };
        self.bytes.fetch_sub(scratch.bytes(), Ordering::Relaxed);
        scratch
    }

    pub(crate) fn give(&self, scratch: Box<Scratch>) {
        let bytes = scratch.bytes();
        if bytes - scratch.trail.visited_bytes() <= KEEP_BYTES {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            if let Err(full) = self.idle.push(scratch) {
                self.bytes.fetch_sub(full.bytes(), Ordering::Relaxed);
            }
        }
    }

    /// Memory of the idle scratches.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + IDLE * size_of::<(usize, Box<Scratch>)>()
    }
}

impl fmt::Debug for Scratches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratches").field("idle", &self.idle.len()).finish()
    }
}
