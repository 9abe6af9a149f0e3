//! How far is each vector of a small set from each of another, in exact integers?
//!
//! The bulk builder's kernels. Vectors are *codes*: a number of 32-bit words, whose meaning a [`Form`] gives. One set is packed into a
//! [`Side`], 16 vectors side by side; the vectors of the other pass over it, up to eight at a time, with every word broadcast to all
//! lanes (`simd::Words`). A distance is a `u32` that orders as the metric does, and is the same on every level: sums of integers are
//! exact, and floats are added in the order of the components.

// Loops count to a const parameter and index several arrays at once: after unrolling every index is a constant.
#![expect(clippy::needless_range_loop, reason = "iterators over several arrays hide which lane is meant")]

use super::run::{LevelJob, run_on};
use crate::simd::{Level, Words};

/// Vectors side by side in a line.
pub(super) const GROUP: usize = 16;
/// A side's columns are a multiple of this.
const COLUMNS: usize = 32;
/// No distance: behind the last vector, and of a vector from itself where that is left out.
pub const NOWHERE: u32 = u32::MAX;

/// What the words of a code mean, and the distance between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Four signed bytes a word: the sum of squared differences, by products. Codes have at most 65,536 bytes.
    Squares,
    /// As `Squares`, of vectors with one more component, [`Point::lift`], which is larger than a byte.
    Lifted,
    /// Four unsigned bytes a word: the sum of absolute differences.
    Differences,
    /// Bits: how many differ.
    Hamming,
    /// Bits: 1 - |and| / |or| as the bits of a float, 0 when both are empty.
    Jaccard,
    /// Floats: the sum of squared differences as the bits of a float.
    RealSquares,
    /// Floats: the sum of absolute differences as the bits of a float.
    RealDifferences,
}

/// A code and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// Its words.
    pub words: &'a [u32],
    /// `Squares`, `Lifted`: the sum of its squares, that of the lift included. `Jaccard`: its bits.
    pub norm: u32,
    /// `Squares`, `Lifted`: the sum of its bytes, modulo 2^32.
    pub sum: u32,
    /// `Lifted`: its last component.
    pub lift: u32,
}

impl<'a> Point<'a> {
    /// A code of signed bytes, for `Squares`.
    #[must_use]
    #[inline(always)]
    pub fn of_bytes(words: &'a [u32]) -> Self {
        let (mut norm, mut sum) = (0_u32, 0_i32);
        for word in words {
            for byte in word.to_ne_bytes() {
                let value = i32::from(byte.cast_signed());
                norm += (value * value).cast_unsigned();
                sum += value;
            }
        }
        Self { words, norm, sum: sum.cast_unsigned(), lift: 0 }
    }
}

/// One word of the vectors of a group.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line([u32; GROUP]);

/// A set of codes packed for a level; reused from set to set.
#[derive(Debug, Default)]
pub struct Side {
    pub(super) lines: Vec<Line>,
    pub(super) words: usize,
    count: usize,
    pub(super) norms: Vec<u32>,
    lifts: Vec<u32>,
}

impl Side {
    /// Packs codes of equal length for use with this level and form.
    pub fn pack<'a>(&mut self, level: Level, form: Form, points: impl ExactSizeIterator<Item = Point<'a>>) {
        self.count = points.len();
        self.norms.clear();
        self.lifts.clear();
        self.words = 0;
        let mut points = points.peekable();
        if let Some(first) = points.peek() {
            self.words = first.words.len();
            let lines = self.stride() / GROUP * self.words;
            if self.lines.len() < lines {
                self.lines.resize(lines, Line([0; GROUP]));
            }
        }
        let mut group: [&[u32]; GROUP] = [&[]; GROUP];
        let (mut held, mut number) = (0, 0);
        while let Some(point) = points.next() {
            assert_eq!(point.words.len(), self.words, "codes of one length");
            self.norms.push(point.norm);
            self.lifts.push(point.lift);
            group[held] = point.words;
            held += 1;
            if held == GROUP || points.peek().is_none() {
                // What stands in the columns behind the last code means nothing.
                group[held..].fill(point.words);
                let lines = &mut self.lines[number * self.words..][..self.words];
                run_on(level, Pack { group: &group, form, lines });
                (held, number) = (0, number + 1);
            }
        }
        self.norms.resize(self.stride(), 0);
        self.lifts.resize(self.stride(), 0);
    }

    /// Codes that are packed.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Distances of one code from all that are packed, with what is written behind the last.
    pub fn stride(&self) -> usize {
        self.count.next_multiple_of(COLUMNS)
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>() + (self.norms.capacity() + self.lifts.capacity()) * 4
    }
}

/// Packs 16 codes.
struct Pack<'a> {
    group: &'a [&'a [u32]; GROUP],
    form: Form,
    lines: &'a mut [Line],
}

impl LevelJob for Pack<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { group, form, lines } = self;
        let flip = if matches!(form, Form::Squares | Form::Lifted) { S::FLIP } else { 0 };
        assert!(group.iter().all(|words| words.len() == lines.len()), "codes of one length");
        let (mut squares, mut at) = (lines.chunks_exact_mut(GROUP), 0);
        for square in &mut squares {
            let mut starts = [group[0].as_ptr(); GROUP];
            for v in 0..GROUP {
                starts[v] = group[v].as_ptr().wrapping_add(at);
            }
            // SAFETY: every code has 16 words from `at` on, and 16 lines are 256 words.
            unsafe { s.turn(starts, flip, square.as_mut_ptr().cast()) };
            at += GROUP;
        }
        for (line, word) in squares.into_remainder().iter_mut().zip(at..) {
            for v in 0..GROUP {
                line.0[v] = group[v][word] ^ flip;
            }
        }
    }
}

/// How a form computes.
trait Shape<S: Words> {
    type Acc: Copy;
    fn zero(s: S) -> Self::Acc;
    /// Adds a word of several vectors and the same word of one.
    fn step(s: S, acc: Self::Acc, side: S::I, word: S::I) -> Self::Acc;
    /// The distances, from the sums and what is known of both vectors.
    fn done(s: S, acc: Self::Acc, point: &Point<'_>, norms: S::I, lifts: S::I) -> S::I;
    /// What remains to be done with the distances of one vector.
    #[inline(always)]
    fn after(_point: &Point<'_>, _norms: &[u32], _row: &mut [u32]) {}
}

struct Squares;
struct Lifted;
struct Differences;
struct Hamming;
struct Jaccard;
struct RealSquares;
struct RealDifferences;

impl<S: Words> Shape<S> for Squares {
    type Acc = S::I;
    #[inline(always)]
    fn zero(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn step(s: S, acc: S::I, side: S::I, word: S::I) -> S::I {
        s.dot(acc, side, word)
    }
    #[inline(always)]
    fn done(s: S, acc: S::I, point: &Point<'_>, norms: S::I, _lifts: S::I) -> S::I {
        // Where the side is flipped, the sum holds 128 times the bytes of the point, too. Everything modulo 2^32; the distance fits.
        let flipped = if S::FLIP == 0 { 0 } else { point.sum.wrapping_mul(256) };
        let known = s.add_i(norms, s.splat(point.norm.wrapping_add(flipped)));
        s.sub(known, s.add_i(acc, acc))
    }
}

impl<S: Words> Shape<S> for Lifted {
    type Acc = S::I;
    #[inline(always)]
    fn zero(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn step(s: S, acc: S::I, side: S::I, word: S::I) -> S::I {
        s.dot(acc, side, word)
    }
    #[inline(always)]
    fn done(s: S, acc: S::I, point: &Point<'_>, norms: S::I, lifts: S::I) -> S::I {
        let product = s.mul(lifts, s.splat(point.lift));
        Squares::done(s, s.add_i(acc, product), point, norms, lifts)
    }
}

impl<S: Words> Shape<S> for Differences {
    type Acc = S::I;
    #[inline(always)]
    fn zero(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn step(s: S, acc: S::I, side: S::I, word: S::I) -> S::I {
        s.distance(acc, side, word)
    }
    #[inline(always)]
    fn done(_s: S, acc: S::I, _point: &Point<'_>, _norms: S::I, _lifts: S::I) -> S::I {
        acc
    }
}

impl<S: Words> Shape<S> for Hamming {
    type Acc = S::I;
    #[inline(always)]
    fn zero(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn step(s: S, acc: S::I, side: S::I, word: S::I) -> S::I {
        s.bits(acc, s.xor(side, word))
    }
    #[inline(always)]
    fn done(_s: S, acc: S::I, _point: &Point<'_>, _norms: S::I, _lifts: S::I) -> S::I {
        acc
    }
}

impl<S: Words> Shape<S> for Jaccard {
    type Acc = S::I;
    #[inline(always)]
    fn zero(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn step(s: S, acc: S::I, side: S::I, word: S::I) -> S::I {
        s.bits(acc, s.and(side, word))
    }
    #[inline(always)]
    fn done(_s: S, acc: S::I, _point: &Point<'_>, _norms: S::I, _lifts: S::I) -> S::I {
        acc
    }
    #[inline(always)]
    fn after(point: &Point<'_>, norms: &[u32], row: &mut [u32]) {
        for (shared, norm) in row.iter_mut().zip(norms) {
            let all = point.norm + norm - *shared;
            // Both are exact as floats, and a quotient is rounded the same way everywhere.
            let distance = if all == 0 { 0.0 } else { (all - *shared) as f32 / all as f32 };
            *shared = distance.to_bits();
        }
    }
}

impl<S: Words> Shape<S> for RealSquares {
    type Acc = S::F;
    #[inline(always)]
    fn zero(s: S) -> S::F {
        s.zero_f()
    }
    #[inline(always)]
    fn step(s: S, acc: S::F, side: S::I, word: S::I) -> S::F {
        let difference = s.sub_f(s.as_f(side), s.as_f(word));
        s.add_f(acc, s.mul_f(difference, difference))
    }
    #[inline(always)]
    fn done(s: S, acc: S::F, _point: &Point<'_>, _norms: S::I, _lifts: S::I) -> S::I {
        s.as_i(acc)
    }
}

impl<S: Words> Shape<S> for RealDifferences {
    type Acc = S::F;
    #[inline(always)]
    fn zero(s: S) -> S::F {
        s.zero_f()
    }
    #[inline(always)]
    fn step(s: S, acc: S::F, side: S::I, word: S::I) -> S::F {
        s.add_f(acc, s.abs_f(s.sub_f(s.as_f(side), s.as_f(word))))
    }
    #[inline(always)]
    fn done(s: S, acc: S::F, _point: &Point<'_>, _norms: S::I, _lifts: S::I) -> S::I {
        s.as_i(acc)
    }
}

/// `$make` with `$shape` standing for the type of a form.
macro_rules! by_form {
    ($form:expr, $shape:ident => $make:expr) => {
        by_form!(@ $form, $shape, $make, Squares Lifted Differences Hamming Jaccard RealSquares RealDifferences)
    };
    (@ $form:expr, $shape:ident, $make:expr, $($name:ident)*) => {
        match $form { $(Form::$name => { type $shape = $name; $make })* }
    };
}

/// Distances of `R` points from `C` registers of columns.
///
/// # Safety
/// - Every point has `side.words` words; the columns from `column` on, `C` registers of them, are of the side's stride.
/// - `out + r * stride` is writable for these columns, for every `r` below `R`.
#[inline(always)]
unsafe fn block<S: Words, F: Shape<S>, const R: usize, const C: usize>(
    s: S,
    points: &[Point<'_>],
    side: &Side,
    column: usize,
    out: *mut u32,
    stride: usize,
) {
    let mut rows = [points[0].words.as_ptr(); R];
    for r in 1..R {
        rows[r] = points[r].words.as_ptr();
    }
    let mut sums = [[F::zero(s); C]; R];
    let words = side.words;
    let first = side.lines.as_ptr().wrapping_add(column / GROUP * words).cast::<u32>();
    for w in 0..words {
        let mut sides = [s.zero_i(); C];
        for c in 0..C {
            let at = (c * S::LANES / GROUP * words + w) * GROUP + c * S::LANES % GROUP;
            // SAFETY: word w of a group of the side.
            sides[c] = unsafe { s.load(first.add(at)) };
        }
        for r in 0..R {
            // SAFETY: every point has so many words.
            let word = s.splat(unsafe { *rows[r].add(w) });
            for c in 0..C {
                sums[r][c] = F::step(s, sums[r][c], sides[c], word);
            }
        }
    }
    for c in 0..C {
        let at = column + c * S::LANES;
        // SAFETY: norms and lifts are as long as the stride.
        let (norms, lifts) = unsafe { (s.load(side.norms.as_ptr().add(at)), s.load(side.lifts.as_ptr().add(at))) };
        for r in 0..R {
            // SAFETY: the caller vouches for the place.
            unsafe { s.store(out.add(r * stride + at), F::done(s, sums[r][c], &points[r], norms, lifts)) };
        }
    }
}

/// Distances of `R` points from the columns from `from` on, a multiple of 32; see [`block`].
///
/// # Safety
/// - Every point has `side.words` words, and there are `R`; `out` is writable for `R` strides of the side.
#[inline(always)]
unsafe fn band<S: Words, F: Shape<S>, const R: usize>(
    s: S,
    points: &[Point<'_>],
    (side, from): (&Side, usize),
    out: *mut u32,
) {
    let stride = side.stride();
    let mut column = from;
    // SAFETY (all blocks): the caller's promise; the columns of each step lie within the stride, which is a multiple of 32.
    if S::LANES == 16 && R == 1 {
        while column + 64 <= stride {
            // SAFETY: as above.
            unsafe { block::<S, F, R, 4>(s, points, side, column, out, stride) };
            column += 64;
        }
    }
    while column < stride {
        if S::LANES == 4 {
            // SAFETY: as above.
            unsafe { block::<S, F, R, 4>(s, points, side, column, out, stride) };
            column += 16;
        } else {
            // SAFETY: as above.
            unsafe { block::<S, F, R, 2>(s, points, side, column, out, stride) };
            column += 2 * S::LANES;
        }
    }
    for (r, point) in points[..R].iter().enumerate() {
        // SAFETY: the row was just written.
        let row = unsafe { std::slice::from_raw_parts_mut(out.add(r * stride), side.count) };
        F::after(point, &side.norms[from..], &mut row[from..]);
    }
}

/// Distances of the first points of a slice from the columns from `from` on, a multiple of 32; says of how many.
#[inline(always)]
fn some<S: Words, F: Shape<S>>(s: S, points: &[Point<'_>], (side, from): (&Side, usize), out: &mut [u32]) -> usize {
    let many = match S::LANES {
        16 => 8,
        8 => 4,
        _ => 2,
    };
    let points = &points[..many.min(points.len())];
    assert!(points.iter().all(|point| point.words.len() == side.words), "codes of one length");
    assert!(out.len() >= points.len() * side.stride() && from.is_multiple_of(COLUMNS) && from <= side.count);
    let out = out.as_mut_ptr();
    // SAFETY (all arms): lengths were just compared.
    match points.len() {
        0 => 0,
        8 => {
            // SAFETY: as above.
            unsafe { band::<S, F, 8>(s, points, (side, from), out) };
            8
        }
        4..8 => {
            // SAFETY: as above.
            unsafe { band::<S, F, 4>(s, points, (side, from), out) };
            4
        }
        2 if S::LANES == 4 => {
            // SAFETY: as above.
            unsafe { band::<S, F, 2>(s, points, (side, from), out) };
            2
        }
        _ => {
            // SAFETY: as above.
            unsafe { band::<S, F, 1>(s, points, (side, from), out) };
            1
        }
    }
}

mod choose;
mod nearest;

pub use choose::{Choice, choose};
pub use nearest::{Own, Selection, nearest};

struct Distances<'a> {
    form: Form,
    points: &'a [Point<'a>],
    side: &'a Side,
    out: &'a mut [u32],
}

impl LevelJob for Distances<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { form, points, side, out } = self;
        by_form!(form, F => {
            let mut done = 0;
            while done < points.len() {
                done += some::<S, F>(s, &points[done..], (side, 0), &mut out[done * side.stride()..]);
            }
        });
    }
}

/// Distances of every point from every packed code: that of point `p` and code `c` goes to `out[p * side.stride() + c]`; what stands
/// behind the last code of a point means nothing.
///
/// # Panics
/// If codes differ in length, or `out` is too short.
pub fn distances(level: Level, form: Form, points: &[Point<'_>], side: &Side, out: &mut [u32]) {
    if side.count > 0 {
        run_on(level, Distances { form, points, side, out });
    }
}

#[cfg(test)]
#[path = "tests/tile.rs"]
mod tests;
