//! Which of the candidates that estimates brought are the nearest? Exact distances decide, until no later candidate can matter.

use super::Scoring;
use super::nearest::{Hit, Nearest};
use super::walk::{Exact, Probe, Scorer};
use crate::distance::{Job, Kernel};
use crate::quant::{Codec, Coding, Width};
use crate::simd::Simd;
use crate::store::{LIVE, REMOVED, Store};
use crate::util::memory::{LINE, prefetch};

/// What is known of estimates beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimates {
    /// What they are multiplied with to be like distances.
    pub(crate) unit: f32,
    /// Spreads of their errors by which a candidate must be too far.
    pub(crate) spreads: f32,
}

impl Estimates {
    /// Of a query rounded to bytes from vectors held as bytes.
    pub(super) const BETWEEN_BYTES: Self = Self { unit: 1.0, spreads: FINE_SPREADS };

    /// Of a query from what codes stand for.
    pub(super) fn by(codec: &Codec, scoring: &Scoring) -> Self {
        Self { unit: scoring.gain * codec.unit_of_estimates(), spreads: spreads_of(codec.coding()) }
    }
}

/// Spreads of the errors of estimates by which a candidate must be too far: by codes of 4 bits or a rounded query, of 2 bits or product codes, of 1 bit or signs. The candidates
/// that look best are those whose errors are on the low side, the more so the larger errors are; so what is learnt from them judges later ones too
/// sternly. With 2 spreads for all, recall ends at 0.991 and 0.973 on packages with codes of 2 bits and 1 bit; so it is 0.997 and 0.998.
const FINE_SPREADS: f32 = 2.0;

fn spreads_of(coding: Coding) -> f32 {
    match coding {
        Coding::Rounded(Width::Four) => FINE_SPREADS,
        Coding::Rounded(Width::Two) | Coding::Product => 3.0,
        Coding::Rounded(Width::One) | Coding::Signs => 4.0,
    }
}

/// Exact distances of candidates, in the order of their estimates, until what follows cannot be among the nearest any more.
///
/// How far estimates are off is learnt from the candidates themselves: the differences between estimate and distance of those that were
/// looked at have a mean and a spread. A candidate whose estimate, so corrected, is some spreads too far ends the search.
pub(crate) struct Rank<'a> {
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) probe: Probe,
    pub(crate) kind: Estimates,
    /// Estimate and slot, nearest first.
    pub(crate) candidates: &'a [(f32, u32)],
    pub(crate) nearest: &'a mut Nearest,
    pub(crate) k: usize,
    /// Takes the candidates whose vectors were removed since they were found: what replaced them must be looked up.
    pub(crate) gone: &'a mut Vec<u32>,
}

/// Lines of each vector that are fetched while the four before are ranked; the hardware streams what follows.
const RANK_LINES: usize = 8;

impl Job for Rank<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) {
        let Self { scoring, store, probe, kind: Estimates { unit, spreads }, candidates, nearest, k, gone } = self;
        let scorer = Exact::<K>::new(scoring, store, probe);
        let ahead = scoring.stride.min(RANK_LINES * LINE);
        let fetch = |group: &[(f32, u32)]| {
            for &(_, slot) in group {
                store.prefetch_key(slot);
                (0..ahead).step_by(LINE).for_each(|at| prefetch(store.vector(slot).wrapping_add(at)));
            }
        };
        let (mut count, mut sum, mut squares) = (0.0_f32, 0.0_f32, 0.0_f32);
        fetch(&candidates[..candidates.len().min(4)]);
        for (i, group) in candidates.chunks(4).enumerate() {
            if 4 * i >= k && nearest.len() >= k {
                let mean = sum / count;
                let spread = (squares / count - mean * mean).max(0.0).sqrt();
                if unit * group[0].0 - mean - spreads * spread > nearest.worst() {
                    break;
                }
            }
            fetch(candidates.get(4 * i + 4..).map_or(&[], |rest| &rest[..rest.len().min(4)]));
            let mut distances = [0.0; 4];
            if let &[a, b, c, d] = group {
                distances = scorer.four(s, [a.1, b.1, c.1, d.1]);
            } else {
                for (distance, &(_, slot)) in distances.iter_mut().zip(group) {
                    *distance = scorer.one(s, slot);
                }
            }
            for (&(estimate, slot), distance) in group.iter().zip(distances) {
                let error = unit * estimate - distance;
                (count, sum, squares) = (count + 1.0, sum + error, squares + error * error);
                match store.state(slot) {
                    LIVE => nearest.offer(Hit { distance, key: store.key(slot), slot }),
                    REMOVED => gone.push(slot),
                    _ => {}
                }
            }
        }
    }
}
