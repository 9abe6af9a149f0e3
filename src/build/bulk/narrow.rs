//! Which few bytes stand for a long code while a graph is built? What it holds along the leading directions of a sample.
//!
//! Vectors of many dimensions differ in few directions, and all that the stages after this one ask is which of two codes is nearer. The
//! covariance of the sample and the projections are sums of integers, which the tiles compute exactly; the directions are floats in a
//! fixed order of operations. So narrow codes, too, are the same on every machine and with any number of threads.

use super::codes::Codes;
use super::source::{LARGEST, whole};
use super::team::Team;
use crate::distance::tile::{Form, Point, Side, distances};
use crate::distance::{LevelJob, run_on};
use crate::quant::{Matrix, leading, spread};
use crate::simd::Simd;
use crate::util::error::Result;
use crate::util::hands::Hands;
use crate::util::memory::{roomy, zeroed};
use parking_lot::Mutex;

/// Bytes of codes that are made narrow.
const LONG: std::ops::RangeInclusive<usize> = 256..=4096;
/// Codes from which it pays.
const MANY: usize = 4096;
/// Codes that are looked at.
const SAMPLE: usize = 4096;
/// Directions at most, and a step between their possible numbers.
const MOST: usize = 256;
const STEP: usize = 16;
/// Share of the variance that is kept, if so many directions hold it.
const ENOUGH: f32 = 0.95;
/// Of the projections of the sample, one in this many is clipped.
const CLIPPED: usize = 2000;
/// Words of codes that a thread turns into columns at a time: a cache line of each.
const PLACES: usize = 16;
/// Rows that a thread computes at a time, and codes.
const ROWS: usize = 16;
const PART: usize = 64;
/// Rounds of looking for directions: these need not be the best ones, only hold enough.
const ROUNDS: usize = 2;
/// Bytes a vector that may be taken before reservoirs are, and bytes that the directions take for each pair of dimensions.
const LATER: usize = 700;
const PAIR: usize = 12;

/// Narrow codes in place of long ones; `None` where codes are short, few, or differ in too many directions.
pub(super) fn narrow(codes: &Codes, seed: u64, team: &Team<'_>, share: usize) -> Result<Option<Codes>> {
    let length = codes.words() * 4;
    if codes.form != Form::Squares
        || !LONG.contains(&length)
        || codes.len() < MANY
        || codes.len() * LATER < length * length * PAIR
    {
        return Ok(None);
    }
    let sample: Vec<u32> = (0..codes.len() as u32).step_by(codes.len().div_ceil(SAMPLE)).collect();
    let covariance = covariance(codes, &sample, team)?;
    let total: f32 = (0..length).map(|i| covariance.row(i)[i]).sum();
    if !total.is_normal() {
        return Ok(None);
    }
    let most = MOST.min(length / 2 / STEP * STEP);
    let (mut directions, weights) = leading(&covariance, (most, ROUNDS), seed, &Hands::quiet(team.pool, team.threads))?;
    drop(covariance);
    let enough = |count: &usize| weights[..*count].iter().sum::<f32>() >= ENOUGH * total;
    let Some(count) = (STEP..=most).step_by(STEP).find(enough) else { return Ok(None) };
    directions.data.truncate(count * length);
    spread(&mut directions, seed);
    let projection = Projection::new(codes, &directions, &sample, team)?;
    let narrow = projection.of_all(codes, team, share)?;
    Ok(Some(narrow))
}

/// The covariance of a sample of codes, byte by byte, times their number.
fn covariance(codes: &Codes, sample: &[u32], team: &Team<'_>) -> Result<Matrix> {
    let (length, words) = (codes.words() * 4, sample.len() / 4);
    // Of each byte its values in all codes of the sample: what a code is to the tiles.
    let mut columns = zeroed::<u32>(length * words)?;
    team.each(columns.chunks_mut(PLACES * 4 * words), 0, |part, columns, (): &mut ()| {
        for (at, four) in sample.chunks_exact(4).enumerate() {
            for (place, columns) in columns.chunks_exact_mut(4 * words).enumerate() {
                let words_here: [u32; 4] = std::array::from_fn(|i| codes.words_of(four[i])[part * PLACES + place]);
                let bytes = words_here.map(u32::to_ne_bytes);
                for byte in 0..4 {
                    columns[byte * words + at] = u32::from_ne_bytes(std::array::from_fn(|i| bytes[i][byte]));
                }
            }
        }
    })?;
    let points: Vec<Point<'_>> = columns.chunks_exact(words).map(Point::of_bytes).collect();
    let mut side = Side::default();
    side.pack(codes.level, codes.form, points.iter().copied());
    let mut covariance = Matrix::zero(length, length)?;
    let count = 4.0 * words as f64;
    team.each(covariance.data.chunks_mut(ROWS * length), 0, |piece, rows, out: &mut Vec<u32>| {
        out.resize(ROWS * side.stride(), 0);
        let own = &points[piece * ROWS..][..rows.len() / length];
        distances(codes.level, codes.form, own, &side, out);
        for ((row, out), point) in rows.chunks_exact_mut(length).zip(out.chunks(side.stride())).zip(own) {
            for ((to, &distance), other) in row.iter_mut().zip(out).zip(&points) {
                let sums = f64::from(point.sum.cast_signed()) * f64::from(other.sum.cast_signed());
                *to = (f64::from(product(point.norm, other.norm, distance)) - sums / count) as f32;
            }
        }
    })?;
    Ok(covariance)
}

/// The product of two codes, from their distance and what is known of each.
#[inline(always)]
fn product(norm: u32, other: u32, distance: u32) -> i32 {
    norm.wrapping_add(other).wrapping_sub(distance).cast_signed() >> 1
}

/// What makes narrow codes.
struct Projection {
    side: Side,
    norms: Vec<u32>,
    /// The mean product with each direction.
    offsets: Vec<i32>,
    factor: f32,
}

impl Projection {
    fn new(codes: &Codes, directions: &Matrix, sample: &[u32], team: &Team<'_>) -> Result<Self> {
        let largest = directions.data.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        let words: Vec<u32> = directions
            .data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|values| u32::from_ne_bytes(values.map(|value| whole(value * (LARGEST / largest)).cast_unsigned())))
            .collect();
        let points: Vec<Point<'_>> = words.chunks_exact(codes.words()).map(Point::of_bytes).collect();
        let mut side = Side::default();
        side.pack(codes.level, codes.form, points.iter().copied());
        let norms: Vec<u32> = points.iter().map(|point| point.norm).collect();
        let mut projection = Self { side, offsets: vec![0; norms.len()], norms, factor: 1.0 };
        let (stride, count) = (projection.side.stride(), projection.norms.len());
        let mut out = zeroed::<u32>(sample.len() * stride)?;
        let sums = Mutex::new(vec![0_i64; count]);
        let parts = out.chunks_mut(PART * stride).zip(sample.chunks(PART));
        team.each(parts, 0, |_, (out, sample), own: &mut Vec<i64>| {
            let points: Vec<Point<'_>> = sample.iter().map(|&i| codes.point(i)).collect();
            projection.products(codes, &points, out);
            own.clear();
            own.resize(count, 0);
            for row in out.chunks_exact(stride) {
                own.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i64::from(value.cast_signed()));
            }
            sums.lock().iter_mut().zip(own).for_each(|(sum, own)| *sum += *own);
        })?;
        let offsets: Vec<i32> = sums.into_inner().iter().map(|sum| (sum / sample.len() as i64) as i32).collect();
        let size = |(value, offset): (&u32, &i32)| value.cast_signed().abs_diff(*offset);
        // The largest of all are among the largest of each part.
        let clipped = sample.len() * count / CLIPPED;
        let sizes = Mutex::new(roomy(sample.len() * count)?);
        team.each(out.chunks(PART * stride), 0, |_, out, own: &mut Vec<u32>| {
            own.clear();
            own.extend(out.chunks_exact(stride).flat_map(|row| row.iter().zip(&offsets).map(size)));
            if own.len() > clipped + 1 {
                own.select_nth_unstable_by(clipped, |a, b| b.cmp(a));
                own.truncate(clipped + 1);
            }
            sizes.lock().extend_from_slice(own);
        })?;
        let mut sizes: Vec<u32> = sizes.into_inner();
        let largest = *sizes.select_nth_unstable_by(clipped, |a, b| b.cmp(a)).1;
        projection.offsets = offsets;
        projection.factor = LARGEST / largest.max(1) as f32;
        Ok(projection)
    }

    /// The products of codes and directions, as signed numbers: a stride of the side for each code.
    fn products(&self, codes: &Codes, points: &[Point<'_>], out: &mut [u32]) {
        let stride = self.side.stride();
        distances(codes.level, codes.form, points, &self.side, out);
        for (row, point) in out.chunks_exact_mut(stride).zip(points) {
            for (value, &norm) in row.iter_mut().zip(&self.norms) {
                *value = product(point.norm, norm, *value).cast_unsigned();
            }
        }
    }

    fn of_all(&self, codes: &Codes, team: &Team<'_>, share: usize) -> Result<Codes> {
        let count = self.norms.len();
        codes.narrowed(count / 4, PART, (team, share), |points, narrow, out: &mut Vec<u32>| {
            out.resize(points.len() * self.side.stride(), 0);
            self.products(codes, points, out);
            run_on(codes.level, Rounding { projection: self, rows: out, narrow });
        })
    }
}

/// Products become bytes.
struct Rounding<'a> {
    projection: &'a Projection,
    rows: &'a [u32],
    narrow: &'a mut [u32],
}

impl LevelJob for Rounding<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Projection { side, offsets, factor, .. } = self.projection;
        for (row, code) in self.rows.chunks_exact(side.stride()).zip(self.narrow.chunks_exact_mut(offsets.len() / 4)) {
            let values = row.as_chunks::<4>().0.iter().zip(offsets.as_chunks::<4>().0);
            for (word, (values, offsets)) in code.iter_mut().zip(values) {
                *word = u32::from_ne_bytes(std::array::from_fn(|i| {
                    let centred = values[i].cast_signed().wrapping_sub(offsets[i]) as f32;
                    whole((centred * factor).clamp(-LARGEST, LARGEST)).cast_unsigned()
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{available, detect};
    use crate::util::pool::Pool;
    use std::cell::Cell;

    fn team(pool: &Pool, threads: usize) -> Team<'_> {
        Team { pool, threads, progress: None, total: 0, done: Cell::new(0), afford: &|_| Ok(()) }
    }

    /// Bytes that differ in `directions` random directions, and a little in all.
    fn words(count: usize, length: usize, directions: usize) -> Vec<u32> {
        let mut state = 3_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let basis: Vec<f32> = (0..length * directions).map(|_| random()).collect();
        (0..count)
            .flat_map(|_| {
                let along: Vec<f32> = (0..directions).map(|_| random() * 120.0 / (directions as f32).sqrt()).collect();
                let byte = |at: usize| {
                    let sum: f32 = along.iter().zip(&basis[at * directions..]).map(|(a, b)| a * b).sum();
                    (sum + 6.0 * random()).round() as i8 as u8
                };
                let bytes: Vec<u8> = (0..length).map(byte).collect();
                bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_ne_bytes(*bytes)).collect::<Vec<_>>()
            })
            .collect()
    }

    fn codes(count: usize, length: usize, directions: usize) -> Codes {
        Codes::of_words(detect(), length / 4, words(count, length, directions))
    }

    fn plain(codes: &Codes, i: u32, j: u32) -> i64 {
        let bytes = |i| codes.words_of(i).iter().flat_map(|word| word.to_ne_bytes().map(u8::cast_signed));
        bytes(i).zip(bytes(j)).map(|(a, b)| (i64::from(a) - i64::from(b)).pow(2)).sum()
    }

    #[test]
    fn narrow_codes_order_pairs_as_long_ones_do_on_any_threads_and_levels() {
        let (pool, codes) = (Pool::default(), codes(5000, 256, 24));
        let narrow = narrow(&codes, 7, &team(&pool, 1), 0).unwrap().expect("few directions hold enough");
        assert!(narrow.words() <= 64 / 4 && narrow.len() == codes.len(), "{} words", narrow.words());
        let pairs = || (0..4000_u32).map(|i| (i, (i * 37 + 11) % 5000, (i * 91 + 5) % 5000));
        let agree = pairs().filter(|&(i, j, k)| {
            (plain(&codes, i, j) < plain(&codes, i, k)) == (plain(&narrow, i, j) < plain(&narrow, i, k))
        });
        let agree = agree.count();
        assert!(agree > 3800, "{agree} of 4000 pairs");
        for &level in available() {
            let codes = Codes::of_words(level, 64, words(5000, 256, 24));
            let again = super::narrow(&codes, 7, &team(&pool, 3), 0).unwrap().unwrap();
            assert!((0..5000).all(|i| again.words_of(i) == narrow.words_of(i)), "{level:?}");
        }
    }

    #[test]
    fn codes_that_differ_in_all_directions_stay_long() {
        let pool = Pool::default();
        assert!(narrow(&codes(5000, 256, 256), 7, &team(&pool, 1), 0).unwrap().is_none());
        assert!(narrow(&codes(3000, 256, 8), 7, &team(&pool, 1), 0).unwrap().is_none(), "too few codes");
        let equal = Codes::of_words(detect(), 64, vec![0x0101_0101; 64 * 5000]);
        assert!(narrow(&equal, 7, &team(&pool, 1), 0).unwrap().is_none(), "nothing varies");
    }
}
