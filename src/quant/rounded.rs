//! How do floats become bytes with the least loss, and how do parts of such rows look to those that compare them?

use super::{largest, round};
use crate::distance::tile::Point;
use crate::util::error::{Error, Result};

/// Points of which more are not looked at: sums of so many bytes fit 32 bits.
pub(crate) const MOST_POINTS: usize = 1 << 24;
/// The largest component of a rounded point.
pub(super) const MOST: f32 = 127.0;
/// Shares of the largest value at which values are clipped, of which the best is taken.
const CLIPS: [f32; 10] = [1.0, 0.85, 0.7, 0.55, 0.45, 0.35, 0.25, 0.18, 0.12, 0.08];
/// Values by which the best is chosen.
#[cfg(any(test, feature = "test-hooks"))]
const CHOSEN_BY: usize = 1 << 19;

/// The step that loses least of these values when they are rounded to bytes: a shorter one rounds less and clips more.
pub(super) fn best_step(values: &[f32]) -> f32 {
    let most = largest(values);
    let loss = |step: f32| -> f64 {
        let lost = |value: &f32| f64::from(value - rounded(*value, step) * step);
        values.iter().map(|value| lost(value) * lost(value)).sum()
    };
    let steps = CLIPS.map(|clip| clip * most / MOST);
    steps.into_iter().map(|step| (loss(step), step)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |best| best.1)
}

/// A value in steps, as a whole number that fits a byte.
pub(super) fn rounded(value: f32, step: f32) -> f32 {
    round((value / step).clamp(-MOST, MOST))
}

/// Rows of signed bytes, each a number of words; what does not fill a row is zero.
#[derive(Debug)]
pub(crate) struct Rounded {
    words: Vec<u32>,
    stride: usize,
}

impl Rounded {
    /// Rows of zeros.
    pub(crate) fn zero(rows: usize, stride: usize) -> Result<Self> {
        let mut words = Vec::new();
        words.try_reserve_exact(rows * stride).map_err(|_| Error::memory(rows * stride * 4))?;
        words.resize(rows * stride, 0);
        Ok(Self { words, stride })
    }

    /// Rounds rows of `columns` floats, with the step that loses least of some of them; and that step.
    #[cfg(any(test, feature = "test-hooks"))]
    pub(crate) fn of(values: &[f32], columns: usize) -> Result<(Self, f32)> {
        let rows = values.len() / columns.max(1);
        let every = (values.len() / CHOSEN_BY).max(1);
        let some: Vec<f32> = values.chunks_exact(columns).step_by(every).flatten().copied().collect();
        let step = best_step(&some).max(f32::MIN_POSITIVE);
        let mut all = Self::zero(rows, columns.div_ceil(4))?;
        let inverse = 1.0 / step;
        for (to, from) in all.words.chunks_exact_mut(all.stride).zip(values.chunks_exact(columns)) {
            for (word, values) in to.iter_mut().zip(from.chunks(4)) {
                let mut bytes = [0; 4];
                for (byte, value) in bytes.iter_mut().zip(values) {
                    *byte = super::whole((value * inverse).clamp(-MOST, MOST)) as u8;
                }
                *word = u32::from_ne_bytes(bytes);
            }
        }
        Ok((all, step))
    }

    pub(super) fn count(&self) -> usize {
        self.words.len() / self.stride
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u32] {
        &mut self.words[row * self.stride..][..self.stride]
    }

    /// Words `first..first + words` of every row.
    pub(crate) fn view(&self, first: usize, words: usize) -> Points<'_> {
        assert!(first + words <= self.stride && words > 0);
        Points { words: &self.words, stride: self.stride, first, len: words }
    }
}

/// Points of signed bytes, each some words of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points<'a> {
    words: &'a [u32],
    stride: usize,
    first: usize,
    len: usize,
}

impl<'a> Points<'a> {
    pub(super) fn count(&self) -> usize {
        (self.words.len() / self.stride).min(MOST_POINTS)
    }

    /// Words of a point.
    pub(super) fn words(&self) -> usize {
        self.len
    }

    pub(super) fn point(&self, i: usize) -> Point<'a> {
        point_of(self.plain(i).words)
    }

    /// A point that was not measured yet.
    pub(super) fn plain(&self, i: usize) -> Point<'a> {
        Point { words: &self.words[i * self.stride + self.first..][..self.len], norm: 0, sum: 0, lift: 0 }
    }
}

/// A vector of signed bytes with what comparing needs to know of it.
pub(super) fn point_of(words: &[u32]) -> Point<'_> {
    let (mut norm, mut sum) = (0_i32, 0_i32);
    for word in words {
        for byte in word.to_ne_bytes() {
            let value = i32::from(byte.cast_signed());
            norm = norm.wrapping_add(value * value);
            sum += value;
        }
    }
    Point { words, norm: norm.cast_unsigned(), sum: sum.cast_unsigned(), lift: 0 }
}
