//! What do the builder's distances work on? Vectors as words that integers compare exactly.
//!
//! | vectors | code |
//! |---|---|
//! | bits | as they are |
//! | bytes under L2 or L1, and floats whose values are whole numbers within a range of 255 | a byte a component, nothing lost |
//! | other floats | centred, multiplied with one number for all components, rounded to a signed byte; cosine: divided by their length before |
//! | inner product | as other floats, and one more component that makes all vectors equally long, so that the nearest has the largest product |
//! | floats that bytes tell too little of (see `guard`) | floats |
//!
//! Arithmetic on floats ends here, and what there is of it is done one operation at a time in a fixed order: codes are the same on every
//! machine and with any number of threads.

use super::source::{LARGEST, Pile, Sample, Source, whole};
use super::team::Team;
use crate::distance::tile::{Form, Point};
use crate::distance::{Element, LevelJob, Metric, run_on};
use crate::search::Scoring;
use crate::simd::{Level, Simd};
use crate::util::error::Result;
use crate::util::memory::{roomy, zeroed};
use std::sync::atomic::{AtomicBool, Ordering};

/// Vectors that a thread codes at a time.
const PART: usize = 512;

/// What is known of a code beside its words; see [`Point`].
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    norm: u32,
    sum: u32,
    lift: u32,
}

/// The codes of a pile, numbered as its slots are.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) level: Level,
    pub(super) form: Form,
    words: usize,
    data: Vec<u32>,
    known: Vec<Known>,
    /// Whether codes order as vectors do.
    pub(super) lossless: bool,
}

impl Codes {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    #[inline]
    pub(super) fn point(&self, i: u32) -> Point<'_> {
        let Known { norm, sum, lift } = self.known[i as usize];
        Point { words: self.words_of(i), norm, sum, lift }
    }

    #[inline]
    pub(super) fn words_of(&self, i: u32) -> &[u32] {
        &self.data[i as usize * self.words..][..self.words]
    }

    /// Whether one distance is `times` another; for sums that are no squares, the root of that.
    pub(super) fn exceeds(&self, far: u32, near: u32, times: f64) -> bool {
        let real = |distance| f64::from(f32::from_bits(distance));
        match self.form {
            Form::Squares | Form::Lifted => f64::from(near) * times < f64::from(far),
            Form::RealSquares => real(near) * times < real(far),
            Form::Differences | Form::Hamming => f64::from(near) * times.sqrt() < f64::from(far),
            Form::RealDifferences | Form::Jaccard => real(near) * times.sqrt() < real(far),
        }
    }

    /// Codes of these words.
    #[cfg(test)]
    pub(super) fn of_words(level: Level, words: usize, data: Vec<u32>) -> Self {
        let form = Form::Squares;
        let known = data.chunks_exact(words).map(|code| Known::of(form, code, 0)).collect();
        Self { level, form, words, data, known, lossless: true }
    }

    /// Words of a code.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Codes of as many bytes in their place, `part` at a time, that `code` writes.
    pub(super) fn narrowed<T: Default>(
        &self,
        words: usize,
        part: usize,
        (team, share): (&Team<'_>, usize),
        code: impl Fn(&[Point<'_>], &mut [u32], &mut T) + Sync,
    ) -> Result<Self> {
        let (mut data, mut known) = (zeroed(self.len() * words)?, unknown(self.len())?);
        let parts = data.chunks_mut(part * words).zip(known.chunks_mut(part));
        team.each(parts, share, |piece, (codes, known), buffers| {
            let first = (piece * part) as u32;
            let points: Vec<Point<'_>> = (first..first + known.len() as u32).map(|i| self.point(i)).collect();
            code(&points, codes, buffers);
            for (one, known) in codes.chunks_exact(words).zip(known) {
                *known = Known::of(self.form, one, 0);
            }
        })?;
        Ok(Self { level: self.level, form: self.form, words, data, known, lossless: false })
    }

    /// Whether two codes are equal.
    pub(super) fn are_equal(&self, i: u32, j: u32) -> bool {
        self.words_of(i) == self.words_of(j) && self.known[i as usize].lift == self.known[j as usize].lift
    }

    /// Bytes, where bytes can do; else words as they are.
    pub(super) fn of(pile: Pile<'_>, team: &Team<'_>, share: usize) -> Result<Self> {
        let Scoring { metric, element, .. } = *pile.scoring;
        match (metric, element) {
            (Metric::Hamming, _) => Self::copied(pile, team, share, Form::Hamming, 0),
            (Metric::Jaccard, _) => Self::copied(pile, team, share, Form::Jaccard, 0),
            (Metric::L2, Element::I8) => Self::copied(pile, team, share, Form::Squares, 0),
            (Metric::L2, Element::U8) => Self::copied(pile, team, share, Form::Squares, 0x80),
            (Metric::L1, Element::I8) => Self::copied(pile, team, share, Form::Differences, 0x80),
            (Metric::L1, Element::U8) => Self::copied(pile, team, share, Form::Differences, 0),
            _ => Self::rounded(pile, team, share),
        }
    }

    /// Bytes of the vectors, each xored.
    fn copied(pile: Pile<'_>, team: &Team<'_>, share: usize, form: Form, flip: u8) -> Result<Self> {
        let words = pile.store.vector_bytes().div_ceil(4);
        Self::coded(
            pile,
            team,
            share,
            (form, words),
            #[inline(always)]
            |slot, code, _: &mut Vec<f32>| {
                let (whole, rest) = pile.store.vector_slice(slot).as_chunks::<4>();
                for (word, bytes) in code.iter_mut().zip(whole) {
                    *word = u32::from_ne_bytes(*bytes) ^ u32::from_ne_bytes([flip; 4]);
                }
                if let Some(last) = code.last_mut().filter(|_| !rest.is_empty()) {
                    let mut bytes = [0; 4];
                    bytes.iter_mut().zip(rest).for_each(|(to, byte)| *to = byte ^ flip);
                    *last = u32::from_ne_bytes(bytes);
                }
                0
            },
        )
    }

    /// A signed byte per component.
    fn rounded(pile: Pile<'_>, team: &Team<'_>, share: usize) -> Result<Self> {
        let source = Source::new(pile, team)?;
        let sample = Sample::of(&source, team)?;
        if let Some(offset) = sample.whole_numbers(&source) {
            let all_whole = AtomicBool::new(true);
            let codes = Self::rounded_by(
                &source,
                team,
                share,
                #[inline(always)]
                |components, bytes| {
                    let mut whole = true;
                    for (byte, &component) in bytes.iter_mut().zip(components) {
                        let value = component - offset;
                        let rounded = value as i32;
                        whole &= rounded as f32 == value && (0..=255).contains(&rounded);
                        *byte = (rounded - 128) as i8;
                    }
                    if !whole {
                        all_whole.store(false, Ordering::Relaxed);
                    }
                },
            )?;
            if all_whole.into_inner() {
                return Ok(Self { lossless: true, ..codes });
            }
            team.done.set(team.done.get() - share);
        }
        let Sample { centre, factor, .. } = sample;
        Self::rounded_by(
            &Source { factor: f64::from(factor), ..source },
            team,
            share,
            #[inline(always)]
            |components, bytes| {
                for ((byte, component), centre) in bytes.iter_mut().zip(components).zip(&centre) {
                    let value = ((component - centre) * factor).clamp(-LARGEST, LARGEST);
                    *byte = whole(value);
                }
            },
        )
    }

    /// Bytes that `round` makes of components.
    fn rounded_by(
        source: &Source<'_>,
        team: &Team<'_>,
        share: usize,
        round: impl Fn(&[f32], &mut [i8]) + Sync,
    ) -> Result<Self> {
        let dimensions = source.dimensions;
        let form = match source.pile.scoring.metric {
            Metric::L1 => Form::Differences,
            Metric::InnerProduct => Form::Lifted,
            _ => Form::Squares,
        };
        let flip = if form == Form::Differences { 0x8080_8080 } else { 0 };
        let words = dimensions.div_ceil(4);
        Self::coded(
            source.pile,
            team,
            share,
            (form, words),
            #[inline(always)]
            |slot, code, buffers: &mut (Vec<f32>, Vec<i8>)| {
                let (components, bytes) = buffers;
                source.components(slot, components);
                bytes.clear();
                bytes.resize(words * 4, 0);
                round(components, &mut bytes[..dimensions]);
                for (word, bytes) in code.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *word = u32::from_ne_bytes(bytes.map(i8::cast_unsigned)) ^ flip;
                }
                source.lift(components)
            },
        )
    }

    /// Bytes that floats take.
    pub(super) fn real_bytes(pile: Pile<'_>) -> usize {
        pile.slots.len() * 4 * (pile.scoring.dimensions as usize + 1)
    }

    /// Floats: what bytes tell too little of.
    pub(super) fn real(pile: Pile<'_>, team: &Team<'_>, share: usize) -> Result<Self> {
        let source = Source::new(pile, team)?;
        let lifted = pile.scoring.metric == Metric::InnerProduct;
        let form = if pile.scoring.metric == Metric::L1 { Form::RealDifferences } else { Form::RealSquares };
        let words = source.dimensions + usize::from(lifted);
        let unit = Sample::of(&source, team)?.unit;
        let codes = Self::coded(pile, team, share, (form, words), |slot, code, components: &mut Vec<f32>| {
            source.components(slot, components);
            if lifted {
                components.push(source.missing(components).sqrt() as f32);
            }
            for (word, component) in code.iter_mut().zip(components) {
                *word = (*component * unit).to_bits();
            }
            0
        })?;
        Ok(Self { lossless: true, ..codes })
    }

    /// Codes of one form, as many words each, that `code` writes; it returns the lift.
    fn coded<T: Default>(
        pile: Pile<'_>,
        team: &Team<'_>,
        share: usize,
        (form, words): (Form, usize),
        code: impl Fn(u32, &mut [u32], &mut T) -> u32 + Sync,
    ) -> Result<Self> {
        let count = pile.slots.len();
        let (mut data, mut known) = (zeroed(count * words)?, unknown(count)?);
        let parts = data.chunks_mut(PART * words).zip(known.chunks_mut(PART)).zip(pile.slots.chunks(PART));
        team.each(parts, share, |_, ((codes, known), slots), buffers| {
            run_on(pile.scoring.level, Part { form, words, codes, known, slots, buffers, code: &code });
        })?;
        let bytes = matches!(pile.scoring.element, Element::I8 | Element::U8);
        let lossless = match pile.scoring.metric {
            Metric::Hamming | Metric::Jaccard => true,
            Metric::L2 | Metric::L1 => bytes,
            Metric::InnerProduct | Metric::Cosine | Metric::Custom => false,
        };
        Ok(Self { level: pile.scoring.level, form, words, data, known, lossless })
    }
}

/// Some codes of a pile.
struct Part<'a, T, C> {
    form: Form,
    words: usize,
    codes: &'a mut [u32],
    known: &'a mut [Known],
    slots: &'a [u32],
    buffers: &'a mut T,
    code: &'a C,
}

impl<T, C: Fn(u32, &mut [u32], &mut T) -> u32> LevelJob for Part<'_, T, C> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Self { form, words, codes, known, slots, buffers, code } = self;
        for ((one, known), slot) in codes.chunks_exact_mut(words).zip(known).zip(slots) {
            let lift = code(*slot, one, buffers);
            *known = Known::of(form, one, lift);
        }
    }
}

fn unknown(count: usize) -> Result<Vec<Known>> {
    let mut known = roomy(count)?;
    known.resize(count, Known::default());
    Ok(known)
}

impl Known {
    #[inline(always)]
    fn of(form: Form, words: &[u32], lift: u32) -> Self {
        match form {
            Form::Squares | Form::Lifted => {
                let Point { norm, sum, .. } = Point::of_bytes(words);
                Self { norm: norm.wrapping_add(lift * lift), sum, lift }
            }
            Form::Jaccard => Self { norm: words.iter().map(|word| word.count_ones()).sum(), ..Self::default() },
            _ => Self::default(),
        }
    }
}
