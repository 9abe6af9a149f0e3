//! How many bits does a direction get in a code, and what follows from that?
//!
//! Grids that values are rounded to, the order in which codes stand in a line, and how a query is spelt beside them. Line for line: with `n` codes to
//! a byte, and `h` bytes of codes in the line (64, but in the last line less, for the factors), byte `b` holds the codes of directions `b`, `h + b`, ... of
//! those that the line has, lowest bits first. So directions that are neighbours are neighbours in registers, too, and all of this becomes
//! vector code.

use super::subspace::dot;
use super::{FACTORS, largest, round, whole};
use crate::util::memory::LINE;

/// Bits of a direction in a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One = 1,
    Two = 2,
    Four = 4,
}

/// The largest weight beside codes of one bit, and its bits.
const MOST_WEIGHT: f32 = 7.0;
const PLANES: usize = 4;
/// Steps of such weights that are tried, as multiples of a component's mean size.
const WEIGHT_STEPS: [f32; 3] = [0.32, 0.38, 0.45];

impl Width {
    /// Every width.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::One, Self::Two, Self::Four];

    /// Codes in a byte.
    fn per_byte(self) -> usize {
        8 / self as usize
    }

    /// Directions that a code of so many lines holds.
    pub(crate) fn directions(self, lines: usize) -> usize {
        self.per_byte() * (LINE * lines - FACTORS)
    }

    /// What is subtracted from a code to get what it stands for, in steps.
    pub(super) fn centre(self) -> f32 {
        ((1 << self as usize) - 1) as f32 / 2.0
    }

    /// Widths of a step that are tried, as multiples of a direction's mean size. Among them those best for a normal distribution (Max, 1960). What one
    /// bit stands for has no size.
    fn steps(self) -> &'static [f32] {
        match self {
            Self::One => &[1.0],
            Self::Two => &[0.80, 0.90, 1.0, 1.15],
            Self::Four => &[0.30, 0.335, 0.37, 0.42],
        }
    }

    /// Bytes of a query's weights for each byte of a code.
    pub(super) fn weights(self) -> usize {
        match self {
            Self::One => PLANES,
            Self::Two | Self::Four => self.per_byte(),
        }
    }

    /// Rounds values, of which a used one has this size on the average, to the grid point whose angle to them is smallest; as steps from the middle.
    #[inline(always)]
    pub(super) fn round(self, values: &[f32], size: f32, levels: &mut Vec<f32>) {
        let steps = self.steps();
        let centre = self.centre();
        best(
            values,
            steps,
            size,
            levels,
            #[inline(always)]
            |values, step, levels| grid(values, step, centre, levels),
        );
    }

    /// Packs levels of [`Self::round`] into a code, all of whose bytes are zero.
    #[inline(always)]
    pub(super) fn pack(self, levels: &[f32], code: &mut [u8]) {
        let (bits, centre) = (self as usize, self.centre());
        for (levels, bytes) in self.lines(levels, code, LINE, FACTORS) {
            for (part, levels) in levels.chunks_exact(bytes.len()).enumerate() {
                for (to, level) in bytes.iter_mut().zip(levels) {
                    *to |= (whole(level + centre) << (bits * part)) as u8;
                }
            }
        }
    }

    /// Writes a projected query, of a vector of so many dimensions, as what codes are multiplied with, over zeros. Returns what a unit of the product stands
    /// for, and the sum of all weights.
    #[inline(always)]
    pub(super) fn spell(
        self,
        projected: &[f32],
        dimensions: usize,
        levels: &mut Vec<f32>,
        weights: &mut [u8],
    ) -> (f32, i32) {
        match self {
            Self::One => self.spell_planes(projected, dimensions, levels, weights),
            Self::Two | Self::Four => self.spell_bytes(projected, weights),
        }
    }

    /// Weights of signed bytes.
    #[inline(always)]
    fn spell_bytes(self, projected: &[f32], weights: &mut [u8]) -> (f32, i32) {
        let most = largest(projected);
        let scale = if most > f32::MIN_POSITIVE { most / 127.0 } else { 1.0 };
        let inverse = 1.0 / scale;
        let mut sum = 0;
        let per_line = self.weights() * LINE;
        for (values, weights) in self.lines(projected, weights, per_line, 0) {
            let half = values.len() / self.per_byte();
            for (values, weights) in values.chunks_exact(half).zip(weights.chunks_exact_mut(LINE)) {
                for (to, value) in weights.iter_mut().zip(values) {
                    let weight = whole(value * inverse);
                    sum += weight;
                    *to = weight as u8;
                }
            }
        }
        (scale, sum)
    }

    /// Weights of 4 bits in planes. What they stand for is as long along the query as it is itself, so that estimates stay unbiased.
    #[inline(always)]
    fn spell_planes(
        self,
        projected: &[f32],
        dimensions: usize,
        levels: &mut Vec<f32>,
        weights: &mut [u8],
    ) -> (f32, i32) {
        let used = projected.len().min(dimensions);
        let squares = dot(projected, projected);
        if squares < f32::MIN_POSITIVE {
            return (1.0, 0);
        }
        let size = (squares / used as f32).sqrt();
        best(projected, &WEIGHT_STEPS, size, levels, weigh);
        let mut sum = 0;
        for (levels, planes) in self.lines(levels, weights, PLANES * LINE, 0) {
            let half = levels.len() / self.per_byte();
            for (part, levels) in levels.chunks_exact(half).enumerate() {
                for (t, plane) in planes.chunks_exact_mut(LINE).enumerate() {
                    for (to, level) in plane.iter_mut().zip(levels) {
                        *to |= ((whole(*level) >> t & 1) << part) as u8;
                    }
                }
                levels.iter().for_each(|level| sum += whole(*level));
            }
        }
        (squares / dot(projected, levels), sum)
    }

    /// The lines of a code: what belongs to a line of values in the order of directions, and of bytes, `per_line` of them for each, less `less` in the last.
    #[inline(always)]
    fn lines<'a>(
        self,
        values: &'a [f32],
        bytes: &'a mut [u8],
        per_line: usize,
        less: usize,
    ) -> impl Iterator<Item = (&'a [f32], &'a mut [u8])> {
        let all = bytes.len() / per_line;
        let whole = self.per_byte() * LINE;
        bytes.chunks_exact_mut(per_line).enumerate().map(move |(line, bytes)| {
            let last = line + 1 == all;
            let end = if last { values.len() } else { whole * (line + 1) };
            let room = if last { per_line - less } else { per_line };
            (&values[whole * line..end], &mut bytes[..room])
        })
    }
}

/// Has values rounded with each step, and leaves those levels that make the smallest angle with them.
#[inline(always)]
fn best(values: &[f32], steps: &[f32], size: f32, levels: &mut Vec<f32>, round: impl Fn(&[f32], f32, &mut Vec<f32>)) {
    let mut found = (0.0, steps[0] * size);
    for step in steps.iter().map(|step| step * size) {
        round(values, step, levels);
        let along = dot(values, levels);
        let cosine = along * along / dot(levels, levels);
        if cosine > found.0 {
            found = (cosine, step);
        }
    }
    if steps.len() > 1 {
        round(values, found.1, levels);
    }
}

/// Values on a grid of so many levels around 0, `step` apart, as levels.
#[inline(always)]
fn grid(values: &[f32], step: f32, centre: f32, levels: &mut Vec<f32>) {
    let inverse = 1.0 / step;
    levels.resize(values.len(), 0.0);
    for (level, value) in levels.iter_mut().zip(values) {
        let scaled = value * inverse + centre;
        let bounded = if scaled < 0.0 { 0.0 } else { scaled };
        let bounded = if bounded > 2.0 * centre { 2.0 * centre } else { bounded };
        *level = round(bounded) - centre;
    }
}

/// Values in steps, rounded to weights that planes hold.
#[inline(always)]
fn weigh(values: &[f32], step: f32, levels: &mut Vec<f32>) {
    let inverse = 1.0 / step;
    levels.resize(values.len(), 0.0);
    for (level, value) in levels.iter_mut().zip(values) {
        let scaled = value * inverse;
        let bounded = if scaled < -MOST_WEIGHT { -MOST_WEIGHT } else { scaled };
        let bounded = if bounded > MOST_WEIGHT { MOST_WEIGHT } else { bounded };
        *level = round(bounded);
    }
}
