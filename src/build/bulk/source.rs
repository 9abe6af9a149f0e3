//! What are the vectors of a pile as floats, and what does a sample say about their range?
//!
//! What is computed here is computed one operation at a time in a fixed order: it is the same on every machine.

use super::team::Team;
use crate::distance::{self, LevelJob, Metric, run_on};
use crate::search::Scoring;
use crate::simd::Simd;
use crate::store::Store;
use crate::util::error::Result;
use parking_lot::Mutex;

/// Vectors that a thread looks at at a time.
const PART: usize = 512;
/// Vectors that are looked at to choose centre and scale.
const SAMPLE: usize = 4096;
/// Of these so many are a part, whatever the number of threads.
const SEEN: usize = 256;
/// Of the components in the sample, one in this many is clipped.
const CLIPPED: usize = 2000;
/// The largest code of a component that is not a whole number.
pub(super) const LARGEST: f32 = 127.0;
/// The largest last component: its square leaves room for those of the others.
const LARGEST_LIFT: f64 = 32_000.0;

/// The nearest whole number of a value that a signed byte holds, halves to even ones: what is added leaves no bits for fractions. An
/// addition, which every level does the same way, where a cast would ask of each value whether it fits.
#[inline(always)]
pub(super) fn whole(value: f32) -> i8 {
    const WHOLE: f32 = 12_582_912.0;
    ((value + WHOLE).to_bits() as u8).cast_signed()
}

/// Slots with their vectors, written and at rest.
#[derive(Clone, Copy)]
pub(crate) struct Pile<'a> {
    pub(crate) store: &'a Store,
    pub(crate) scoring: &'a Scoring,
    /// Ascending.
    pub(crate) slots: &'a [u32],
}

/// Vectors as floats, of a length that suits the metric.
pub(super) struct Source<'a> {
    pub(super) pile: Pile<'a>,
    pub(super) dimensions: usize,
    /// Inner product: the largest squared length of a vector.
    pub(super) longest: f64,
    /// What codes are multiplied with.
    pub(super) factor: f64,
}

impl<'a> Source<'a> {
    pub(super) fn new(pile: Pile<'a>, team: &Team<'_>) -> Result<Self> {
        let dimensions = pile.scoring.dimensions as usize;
        let source = Self { pile, dimensions, longest: 0.0, factor: 1.0 };
        if pile.scoring.metric != Metric::InnerProduct {
            return Ok(source);
        }
        let mut longest = vec![0.0_f64; pile.slots.len().div_ceil(PART)];
        team.each(longest.iter_mut().zip(pile.slots.chunks(PART)), 0, |_, (longest, slots), buffer| {
            for &slot in slots {
                source.components(slot, buffer);
                *longest = longest.max(squares(buffer));
            }
        })?;
        let longest = longest.into_iter().fold(0.0, f64::max);
        Ok(Self { longest, ..source })
    }

    pub(super) fn components(&self, slot: u32, out: &mut Vec<f32>) {
        let Pile { store, scoring, .. } = self.pile;
        out.clear();
        out.resize(self.dimensions, 0.0);
        let vector = store.vector_slice(slot);
        distance::to_f32(scoring.element, vector, out);
        if scoring.metric == Metric::Cosine {
            let scale = store.scale(slot);
            if scale.is_nan() {
                let norm = distance::norm(scoring.element, vector);
                out.iter_mut().for_each(|component| *component = (f64::from(*component) / norm) as f32);
            } else {
                out.iter_mut().for_each(|component| *component *= scale);
            }
        }
    }

    /// What a vector's squared length lacks to the longest.
    pub(super) fn missing(&self, components: &[f32]) -> f64 {
        (self.longest - squares(components)).max(0.0)
    }

    /// The last component of a code under inner product, else 0.
    pub(super) fn lift(&self, components: &[f32]) -> u32 {
        if self.pile.scoring.metric != Metric::InnerProduct {
            return 0;
        }
        (self.missing(components).sqrt() * self.factor).round().min(LARGEST_LIFT) as u32
    }
}

/// The sum of squares, added in an order of its own: eight sums side by side.
fn squares(components: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    for part in components.chunks(8) {
        for (sum, component) in sums.iter_mut().zip(part) {
            *sum += f64::from(*component) * f64::from(*component);
        }
    }
    sums.iter().sum()
}

impl Source<'_> {
    /// The distance between two vectors that codes are to order as; `others` are buffers.
    pub(super) fn distance(&self, a: u32, b: u32, [x, y]: &mut [Vec<f32>; 2]) -> f64 {
        self.components(a, x);
        self.components(b, y);
        let differences = x.iter().zip(y.iter()).map(|(x, y)| f64::from(*x) - f64::from(*y));
        match self.pile.scoring.metric {
            Metric::L1 => differences.map(f64::abs).sum(),
            Metric::InnerProduct => {
                let last = self.missing(x).sqrt() - self.missing(y).sqrt();
                differences.map(|difference| difference * difference).sum::<f64>() + last * last
            }
            _ => differences.map(|difference| difference * difference).sum(),
        }
    }
}

/// What was seen of some vectors of the sample.
#[derive(Clone)]
struct Seen {
    sums: Vec<f64>,
    low: f32,
    high: f32,
    whole: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self { sums: Vec::new(), low: f32::INFINITY, high: f32::NEG_INFINITY, whole: true }
    }
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum += other);
        (self.low, self.high) = (self.low.min(other.low), self.high.max(other.high));
        self.whole &= other.whole;
    }
}

/// A look at one vector.
struct Look<'a> {
    components: &'a [f32],
    seen: &'a mut Seen,
}

impl LevelJob for Look<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Self { components, seen } = self;
        for (sum, &component) in seen.sums.iter_mut().zip(components) {
            *sum += f64::from(component);
        }
        let (mut low, mut high, mut fractions) = (seen.low, seen.high, 0);
        for &component in components {
            low = if component < low { component } else { low };
            high = if component > high { component } else { high };
            fractions |= (component.trunc() - component).to_bits() << 1;
        }
        (seen.low, seen.high) = (low, high);
        seen.whole &= fractions == 0;
    }
}

/// What a sample of the vectors says about all.
pub(super) struct Sample {
    pub(super) centre: Vec<f32>,
    /// What a centred component is multiplied with so that nearly all fit a byte.
    pub(super) factor: f32,
    /// A power of two that brings the largest component near 1.
    pub(super) unit: f32,
    /// Where all components of the sample are whole numbers, their range.
    whole: Option<(f32, f32)>,
}

impl Sample {
    pub(super) fn of(source: &Source<'_>, team: &Team<'_>) -> Result<Self> {
        let all = source.pile.slots;
        let slots: Vec<u32> = all.iter().step_by(all.len().div_ceil(SAMPLE).max(1)).copied().collect();
        let level = source.pile.scoring.level;
        let mut parts = vec![Seen::default(); slots.len().div_ceil(SEEN)];
        team.each(parts.iter_mut().zip(slots.chunks(SEEN)), 0, |_, (seen, slots), components| {
            seen.sums.resize(source.dimensions, 0.0);
            for &slot in slots {
                source.components(slot, components);
                run_on(level, Look { components, seen });
            }
        })?;
        let mut seen = Seen { sums: vec![0.0; source.dimensions], ..Seen::default() };
        parts.iter().for_each(|part| seen.add(part));
        let centre: Vec<f32> = seen.sums.iter().map(|sum| (sum / slots.len() as f64) as f32).collect();
        // How often each size occurs: by the upper half of a float, so within one part in 128.
        let sizes = Mutex::new(vec![0_u32; 1 << 16]);
        team.each(slots.chunks(SEEN), 0, |_, slots, (components, own): &mut (Vec<f32>, Vec<u32>)| {
            own.clear();
            own.resize(1 << 16, 0);
            for &slot in slots {
                source.components(slot, components);
                for (component, centre) in components.iter().zip(&centre) {
                    own[((component - centre).abs().to_bits() >> 16) as usize] += 1;
                }
            }
            sizes.lock().iter_mut().zip(own).for_each(|(all, own)| *all += *own);
        })?;
        let sizes = sizes.into_inner();
        let mut clipped = slots.len() * source.dimensions / CLIPPED;
        let largest = (0..sizes.len()).rev().find(|&size| {
            let found = sizes[size] as usize > clipped;
            clipped = clipped.saturating_sub(sizes[size] as usize);
            found
        });
        let largest = f32::from_bits((largest.unwrap_or(0) as u32 + 1) << 16).min(f32::MAX);
        let exponent = (seen.low.abs().max(seen.high.abs()).to_bits() >> 23 & 0xff).clamp(1, 253);
        Ok(Self {
            centre,
            factor: (LARGEST / largest).clamp(f32::MIN_POSITIVE, f32::MAX),
            unit: f32::from_bits((254 - exponent) << 23),
            whole: seen.whole.then_some((seen.low, seen.high)),
        })
    }

    /// What to take from whole numbers so that they fit a byte, if the sample's do and the metric bears it.
    pub(super) fn whole_numbers(&self, source: &Source<'_>) -> Option<f32> {
        let (low, high) = self.whole?;
        if !matches!(source.pile.scoring.metric, Metric::L2 | Metric::L1) || high - low > 255.0 {
            return None;
        }
        // The ranges of bytes first: others may reach further than the sample does.
        Some(if low >= 0.0 && high <= 255.0 {
            0.0
        } else if low >= -128.0 && high <= 127.0 {
            -128.0
        } else {
            low - ((255.0 - (high - low)) / 2.0).trunc()
        })
    }
}
