//! The exact scan: every live vector against every query. With codes, `coded` scans those first.
//!
//! Vectors are taken in blocks that stay in the L2 cache while all queries of the call pass over them in register tiles
//! ([`Kernels::panel`](crate::distance::Kernels)), so a batch reads memory once per group of queries, and a single query reads it once at full bandwidth.

use super::nearest::Hit;
use super::{Admit, Scoring, Scratch, coded};
use crate::distance::Panel;
use crate::quant::Codes;
use crate::store::{EMPTY, LIVE, REMOVED, Store};
use crate::util::epoch::Guard;
use std::sync::atomic::Ordering;

/// Rows of a block fill about this many bytes.
const BLOCK_BYTES: usize = 128 * 1024;
/// Most rows of a block.
const BLOCK_ROWS: u32 = 256;

/// Slots to scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Goes on into slots that were allocated while the scan was under way, and looks for vectors that were replaced meanwhile, so that it
    /// sees each in its old slot or its new one, or in both (`lives`).
    pub(crate) open: bool,
}

impl Span {
    /// Every slot.
    pub(crate) fn all(store: &Store) -> Self {
        Self { start: 0, end: store.slots(), open: true }
    }

    /// Its slots, at most so many at a time, which lie behind each other.
    pub(super) fn blocks(self, store: &Store, most: u32, mut scan: impl FnMut(u32, u32)) {
        let (mut slot, mut end) = (self.start, self.end);
        loop {
            while slot < end {
                let rows = store.run(slot, end.min(slot.saturating_add(most)));
                scan(slot, rows);
                slot += rows;
            }
            if !self.open || store.slots() <= end {
                break;
            }
            end = store.slots();
        }
    }
}

/// What a scan goes by: codes, with the breadth that is asked for, or the vectors alone.
pub(crate) type By<'a> = Option<(&'a Codes, usize)>;

/// How many hits the buffers of a scan must hold for each query.
pub(crate) fn kept(by: By<'_>, k: usize) -> usize {
    by.map_or(k, |(codes, ef)| coded::depth(codes.codec.coding(), k, ef))
}

/// A scan for the k nearest.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a> {
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) by: By<'a>,
    pub(crate) span: Span,
    pub(crate) k: usize,
}

impl Scan<'_> {
    /// Leaves the nearest of each query of `scratch` among its candidates.
    pub(crate) fn run(self, admit: &Admit<'_>, scratch: &mut Scratch, guard: &Guard) {
        let Self { scoring, store, by, span, k } = self;
        let since = store.replacements();
        scratch.gone.clear();
        if !by.is_some_and(|by| coded::scan(self, by, admit, scratch)) {
            let most = (BLOCK_BYTES / scoring.stride).clamp(4, BLOCK_ROWS as usize) as u32;
            let queries = scratch.queries();
            scratch.scores.resize(queries * most as usize, 0.0);
            for nearest in &mut scratch.nearest[..queries] {
                nearest.reset(k);
            }
            span.blocks(store, most, |slot, rows| scan_block(scoring, store, slot, rows, admit, scratch));
        }
        if span.open && !store.undisturbed(since) {
            look_up(scoring, store, admit, scratch, guard);
        }
    }
}

/// Offers the vectors that the keys of removed slots have now.
fn look_up(scoring: &Scoring, store: &Store, admit: &Admit<'_>, scratch: &mut Scratch, guard: &Guard) {
    let gone = std::mem::take(&mut scratch.gone);
    for &slot in &gone {
        let key = store.key(slot);
        let Some(slot) = store.find(key, guard).filter(|_| admit.passes(key)) else { continue };
        for query in 0..scratch.queries() {
            let distance = scoring.distance(scratch.probe(query), store, slot);
            if !scratch.nearest[query].has(slot) {
                scratch.nearest[query].offer(Hit { distance, key, slot });
            }
        }
    }
    scratch.gone = gone;
}

/// Scores `rows` adjacent slots and offers the live ones.
fn scan_block(scoring: &Scoring, store: &Store, first: u32, rows: u32, admit: &Admit<'_>, scratch: &mut Scratch) {
    let states = store.states(first, rows);
    let mut start = 0;
    while start < states.len() {
        // A slot that is not live yet may be in the middle of being written: its vector must not even be read.
        let mut length = 0;
        for state in &states[start..] {
            match state.load(Ordering::Acquire) {
                EMPTY => break,
                REMOVED => scratch.gone.push(first + (start + length) as u32),
                _ => {}
            }
            length += 1;
        }
        if length > 0 {
            scan_written(scoring, store, first + start as u32, length, admit, scratch);
            start += length;
        } else {
            start += 1;
        }
    }
}

/// Scores adjacent slots that were all seen written.
fn scan_written(scoring: &Scoring, store: &Store, first: u32, rows: usize, admit: &Admit<'_>, scratch: &mut Scratch) {
    let queries = scratch.queries();
    scratch.scanned += (queries * rows) as u64;
    let panel = Panel {
        queries: scratch.query(0),
        query_count: queries,
        query_stride: scoring.query_stride,
        rows: store.vector(first),
        row_count: rows,
        row_stride: scoring.stride,
        bytes: scoring.stride,
        scores: scratch.scores.as_mut_ptr(),
        scores_stride: rows,
    };
    // SAFETY: the scratch holds that many padded queries; the slots are adjacent, written, and padded to the same stride; scores
    // has room for queries x (most rows of a block).
    unsafe { (scoring.kernels.panel)(&panel) };
    for query in 0..queries {
        let factor = scratch.factors[query];
        let mut worst = scratch.nearest[query].worst();
        for row in 0..rows {
            let slot = first + row as u32;
            let mut distance = scoring.base + factor * scratch.scores[query * rows + row] * store.scale(slot);
            if distance > worst {
                continue;
            }
            if distance.is_nan() {
                distance = scoring.far_of(scratch.query(query), store, slot);
                if distance > worst {
                    continue;
                }
            }
            if store.state(slot) != LIVE {
                // Noted already if it was removed before it was scored.
                scratch.gone.push(slot);
                continue;
            }
            let key = store.key(slot);
            if admit.passes(key) {
                scratch.nearest[query].offer(Hit { distance, key, slot });
                worst = scratch.nearest[query].worst();
            }
        }
    }
}
