//! The exact scan: every live vector against every query.
//!
//! Vectors are taken in blocks that stay in the L2 cache while all queries of the call pass over them in register tiles
//! ([`Kernels::panel`](crate::distance::Kernels)), so a batch reads memory once per group of queries, and a single query reads it once at full bandwidth.

use super::nearest::Hit;
use super::{Admit, Scoring, Scratch};
use crate::distance::Panel;
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
}

/// Scans the slots of a span for the k nearest of each query in `scratch`.
pub(crate) fn scan(
    scoring: &Scoring,
    store: &Store,
    span: Span,
    k: usize,
    admit: &Admit<'_>,
    scratch: &mut Scratch,
    guard: &Guard,
) {
    let since = store.replacements();
    scratch.gone.clear();
    let most = (BLOCK_BYTES / scoring.stride).clamp(4, BLOCK_ROWS as usize) as u32;
    let queries = scratch.queries();
    for nearest in &mut scratch.nearest[..queries] {
        nearest.reset(k);
    }
    scratch.scores.resize(queries * most as usize, 0.0);
    let (mut slot, mut end) = (span.start, span.end);
    loop {
        while slot < end {
            let rows = store.run(slot, end.min(slot.saturating_add(most)));
            scan_block(scoring, store, slot, rows, admit, scratch);
            slot += rows;
        }
        if !span.open || store.slots() <= end {
            break;
        }
        end = store.slots();
    }
    if span.open && !store.undisturbed(since) {
        look_up(scoring, store, admit, scratch, guard);
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
