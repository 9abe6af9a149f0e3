//! Which codes of a side are nearest to each point?

use super::{Differences, Hamming, Jaccard, Lifted, RealDifferences, RealSquares, Squares};
use super::{Form, GROUP, NOWHERE, Point, Shape, Side, some};
use crate::distance::{LevelJob, run_on};
use crate::simd::{Level, Words};

/// Buffers of [`nearest`].
#[derive(Debug, Default)]
pub struct Selection {
    rows: Vec<u32>,
    values: Vec<u32>,
    columns: Vec<u32>,
    keys: Vec<u64>,
}

/// Which code a point must not find: that with its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Point `i` is code `i` of the side, and is left out.
    LeftOut,
    /// Points are none of the codes.
    Other,
}

struct Nearest<'a> {
    form: Form,
    points: &'a [Point<'a>],
    side: &'a Side,
    count: usize,
    own: Own,
    selection: &'a mut Selection,
    out: &'a mut [u64],
}

impl LevelJob for Nearest<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { form, points, side, count, own, selection, out } = self;
        by_form!(form, F => nearest_by::<S, F>(s, points, side, count, own, selection, out));
    }
}

#[inline(always)]
fn nearest_by<S: Words, F: Shape<S>>(
    s: S,
    points: &[Point<'_>],
    side: &Side,
    count: usize,
    own: Own,
    selection: &mut Selection,
    out: &mut [u64],
) {
    let stride = side.stride();
    let mut done = 0;
    while done < points.len() {
        let rows = some::<S, F>(s, &points[done..], (side, 0), &mut selection.rows);
        for row in 0..rows {
            let line = row * stride;
            selection.rows[line + side.count..line + stride].fill(NOWHERE);
            if own == Own::LeftOut {
                selection.rows[line + done + row] = NOWHERE;
            }
            let found = &mut out[(done + row) * count..][..count];
            select::<S>(s, line..line + stride, count, selection, found);
        }
        done += rows;
    }
}

/// So many are sorted as they come.
const FEW: usize = 4;

/// The least of some values and their columns, in order, without a branch that depends on a value.
#[inline(always)]
fn least_few(values: &[u32], columns: &[u32], found: &mut [u64]) {
    let mut least = [u64::MAX; FEW];
    for (&value, &column) in values.iter().zip(columns) {
        let mut key = u64::from(value) << 32 | u64::from(column);
        // What is nowhere has no column either.
        key |= if value == NOWHERE { u64::MAX } else { 0 };
        for place in &mut least {
            (*place, key) = (key.min(*place), key.max(*place));
        }
    }
    found.copy_from_slice(&least[..found.len()]);
}

/// The `count`-th least of 16 numbers.
#[inline(always)]
fn bound_of<S: Words>(s: S, least: &mut [S::I], count: usize) -> u32 {
    let mut bound = NOWHERE;
    for _ in 0..count {
        bound = least.iter().fold(NOWHERE, |bound, &least| bound.min(s.least(least)));
        let known = s.splat(bound);
        for least in least.iter_mut() {
            *least = s.without(*least, known);
        }
    }
    bound
}

/// What at least [`FEW`] of 16 numbers are not above: each quarter has one. Seldom the least such number, but soon found.
#[inline(always)]
fn bound_of_few<S: Words>(s: S, least: &[S::I]) -> u32 {
    let mut lanes = [0_u32; GROUP];
    for (lanes, &least) in lanes.chunks_exact_mut(S::LANES).zip(least) {
        // SAFETY: the chunk is as long as a register.
        unsafe { s.store(lanes.as_mut_ptr(), least) };
    }
    let mut bound = 0;
    for quarter in lanes.as_chunks::<FEW>().0 {
        bound = bound.max(quarter[0].min(quarter[1]).min(quarter[2].min(quarter[3])));
    }
    bound
}

/// The `count` least of a row, in order: without a branch that depends on a distance until few are left. The least of every 16th
/// column are 16 numbers; the `count`-th of these is not below the `count`-th of all, so what is above it is out.
#[inline(always)]
fn select<S: Words>(s: S, row: std::ops::Range<usize>, count: usize, selection: &mut Selection, found: &mut [u64]) {
    let Selection { rows, values, columns, keys } = selection;
    let row = &rows[row];
    let registers = GROUP / S::LANES;
    let all = s.splat(NOWHERE);
    let mut least = [all; 4];
    for group in row.chunks_exact(GROUP) {
        for (r, least) in least.iter_mut().enumerate().take(registers) {
            // SAFETY: a group has 16 words.
            *least = s.min(*least, unsafe { s.load(group.as_ptr().add(r * S::LANES)) });
        }
    }
    // With more than 16 there is no bound.
    let bound = match count {
        0..=FEW => bound_of_few(s, &least[..registers]),
        5..=GROUP => bound_of(s, &mut least[..registers], count),
        _ => NOWHERE,
    };
    let bound = s.splat(bound);
    let mut kept = 0;
    for column in (0..row.len()).step_by(S::LANES) {
        assert!(kept + GROUP <= values.len() && kept + GROUP <= columns.len());
        // SAFETY: rows are multiples of every register; at most `column` words are kept so far, and there is room for 16 more.
        kept += unsafe {
            let lanes = s.load(row.as_ptr().add(column));
            s.keep(lanes, bound, column as u32, values.as_mut_ptr().add(kept), columns.as_mut_ptr().add(kept))
        };
    }
    if count <= FEW {
        return least_few(&values[..kept], &columns[..kept], found);
    }
    keys.clear();
    let kept = values[..kept].iter().zip(&columns[..kept]).filter(|(value, _)| **value != NOWHERE);
    keys.extend(kept.map(|(&value, &column)| u64::from(value) << 32 | u64::from(column)));
    if keys.len() > 4 * count {
        keys.select_nth_unstable(count - 1);
        keys.truncate(count);
    }
    keys.sort_unstable();
    for (i, found) in found.iter_mut().enumerate() {
        *found = keys.get(i).copied().unwrap_or(u64::MAX);
    }
}

/// The `count` codes that are nearest to each point (quick up to 16): those of point `p` are `out[p * count..][..count]`, nearest
/// first, each its distance times 2^32 plus its number; `u64::MAX` where there are fewer.
///
/// # Panics
/// If codes differ in length, `out` is too short or `count` is 0.
pub fn nearest(
    level: Level,
    form: Form,
    points: &[Point<'_>],
    side: &Side,
    (count, own): (usize, Own),
    selection: &mut Selection,
    out: &mut [u64],
) {
    assert!(count > 0 && out.len() >= points.len() * count);
    assert!(own == Own::Other || points.len() <= side.count);
    selection.rows.resize(selection.rows.len().max(8 * side.stride()), 0);
    selection.values.resize(selection.values.len().max(side.stride() + GROUP), 0);
    selection.columns.resize(selection.values.len(), 0);
    run_on(level, Nearest { form, points, side, count, own, selection, out });
}
