//! The scan that goes by codes: every live vector's code against every query, then exact distances of the best.
//!
//! Codes are an eighth of the vectors or less, so a scan that reads them first reads so much less. What it keeps of each query is a
//! pool of the nearest by estimate; [`Rank`] ends with exact distances, so a hit's distance is exact, and that it is among the nearest is nearly
//! certain: it is missed only if its estimate is so far off that the pool is full of others.

use super::flat::Scan;
use super::nearest::Hit;
use super::rank::{Estimates, Rank};
use super::{Admit, Scoring, Scratch};
use crate::distance::{LevelJob, run, run_on};
use crate::quant::{Codes, Coding, Estimator, Width};
use crate::simd::Simd;
use crate::store::{LIVE, REMOVED, Store};
use std::sync::atomic::Ordering;

/// Codes of a block fill about this many bytes, so that all queries of a call find them in the cache.
const BLOCK_BYTES: usize = 64 * 1024;

/// A pool is chosen among all vectors, not among the few that a walk meets: what looks best there has errors that are farther on the low side.
const MORE_SPREADS: f32 = 1.5;

/// A scan that would rank more than one in this many of all slots looks at the vectors at once.
const EXACT_SHARE: usize = 4;

/// How many of the nearest by their codes a scan ranks that has a breadth of `ef`: estimates of fewer bits need more.
pub(super) fn depth(coding: Coding, k: usize, ef: usize) -> usize {
    let times = match coding {
        Coding::Rounded(Width::Four) => 1,
        Coding::Rounded(Width::Two) | Coding::Product => 2,
        Coding::Rounded(Width::One) | Coding::Signs => 8,
    };
    ef.max(k).saturating_mul(times)
}

/// Scans by codes; `false`, and nothing is done, if one of the queries has no estimates or most vectors would be ranked anyway. `ef` is the breadth: how many are ranked, at 4 bits.
pub(super) fn scan(
    Scan { scoring, store, span, k, .. }: Scan<'_>,
    (codes, ef): (&Codes, usize),
    admit: &Admit<'_>,
    scratch: &mut Scratch,
) -> bool {
    let depth = depth(codes.codec.coding(), k, ef);
    if depth > store.slots() as usize / EXACT_SHARE || !prepare(scoring, codes, scratch) {
        return false;
    }
    let queries = scratch.queries();
    for nearest in &mut scratch.nearest[..queries] {
        nearest.reset(depth);
    }
    let most = (BLOCK_BYTES / codes.codec.stride()) as u32;
    span.blocks(store, most, |slot, rows| scan_block(scoring, store, codes, (slot, rows), admit, scratch));
    for query in 0..queries {
        rank(scoring, store, codes, (query, k), scratch);
    }
    true
}

/// Prepares all queries; `false` if one of them has no estimates.
fn prepare(scoring: &Scoring, codes: &Codes, scratch: &mut Scratch) -> bool {
    let bytes = scoring.asked.vector_bytes(scoring.dimensions);
    let queries = scratch.queries();
    scratch.prepared.resize_with(scratch.prepared.len().max(queries), Default::default);
    for query in 0..queries {
        let (at, factor) = (query * scoring.query_stride, scratch.factors[query]);
        let Scratch { lines, work, prepared, .. } = &mut *scratch;
        if !codes.codec.prepare_into(scoring.asked, &lines.bytes()[at..at + bytes], -factor, work, &mut prepared[query])
        {
            return false;
        }
    }
    true
}

/// Estimates the live ones of adjacent slots and keeps the nearest.
fn scan_block(
    scoring: &Scoring,
    store: &Store,
    codes: &Codes,
    (first, rows): (u32, u32),
    admit: &Admit<'_>,
    scratch: &mut Scratch,
) {
    scratch.slots.clear();
    for (slot, state) in (first..).zip(store.states(first, rows)) {
        match state.load(Ordering::Acquire) {
            LIVE => scratch.slots.push(slot),
            REMOVED => scratch.gone.push(slot),
            _ => {}
        }
    }
    scratch.scanned += (scratch.queries() * scratch.slots.len()) as u64;
    for query in 0..scratch.queries() {
        let Scratch { slots, prepared, nearest, ranked, gone, .. } = &mut *scratch;
        let (estimator, nearest) = (codes.estimator(&prepared[query]), &mut nearest[query]);
        ranked.clear();
        run_on(scoring.level, Block { estimator, slots, worst: nearest.worst(), found: ranked });
        for &(estimate, slot) in &*ranked {
            if estimate > nearest.worst() {
                continue;
            }
            if store.state(slot) != LIVE {
                gone.push(slot);
                continue;
            }
            let key = store.key(slot);
            if admit.passes(key) {
                nearest.offer(Hit { distance: estimate, key, slot });
            }
        }
    }
}

/// Puts the exact distances of a query's k nearest in place of the estimates of its pool.
fn rank(scoring: &Scoring, store: &Store, codes: &Codes, (query, k): (usize, usize), scratch: &mut Scratch) {
    let probe = scratch.probe(query);
    let mut pool = std::mem::take(&mut scratch.hits);
    let Scratch { nearest, ranked, gone, .. } = scratch;
    let nearest = &mut nearest[query];
    nearest.drain_into(&mut pool);
    ranked.clear();
    ranked.extend(pool.iter().map(|hit| (hit.distance, hit.slot)));
    nearest.reset(k);
    let kind = Estimates::by(&codes.codec, scoring);
    let kind = Estimates { spreads: MORE_SPREADS * kind.spreads, ..kind };
    run(scoring.level, scoring.kernel, Rank { scoring, store, probe, kind, candidates: ranked, nearest, k, gone });
    scratch.hits = pool;
}

/// The estimates of slots that are not farther than `worst`.
struct Block<'a> {
    estimator: Estimator<'a>,
    /// Their codes are written.
    slots: &'a [u32],
    worst: f32,
    found: &'a mut Vec<(f32, u32)>,
}

impl LevelJob for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { estimator, slots, worst, found } = self;
        let (groups, rest) = slots.as_chunks::<4>();
        for &group in groups {
            // SAFETY: the slots were seen live, so their codes are written.
            let estimates = unsafe { estimator.four(s, group) };
            for i in 0..4 {
                if estimates[i] <= worst {
                    found.push((estimates[i], group[i]));
                }
            }
        }
        for &slot in rest {
            // SAFETY: as above.
            let estimate = unsafe { estimator.one(s, slot) };
            if estimate <= worst {
                found.push((estimate, slot));
            }
        }
    }
}
