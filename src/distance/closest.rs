//! Which of up to 256 short vectors of bytes is nearest, and how far along each of them does another one reach?
//!
//! What clustering and product codes ask, millions of times. The vectors are packed into a [`Book`] like the side of a tile (`tile.rs`): 16 beside each
//! other, a word of each in a register. Those that ask pass over it up to eight at a time. No distance is written down: each lane keeps the least of
//! *keys* that hold both distance and number, a key being 24 bits of (|c|² - 2 c p + 2^23), which lies between 0 and 2^24 where vectors have at most 128 bytes,
//! and 8 bits of the number. So the nearest, and of equally near ones the first, is one minimum. All is exact, and the same on every level.

// Loops count to a const parameter and index several arrays at once: after unrolling every index is a constant.
#![expect(clippy::needless_range_loop, reason = "iterators over several arrays hide which lane is meant")]

use super::run::{LevelJob, run_on};
use super::tile::{Form, GROUP, Point, Side};
use crate::simd::{Level, Words};

/// The most vectors of a book.
pub const MOST: usize = 256;
/// The most words, of four bytes, of such a vector.
pub const MOST_WORDS: usize = 32;
/// Columns are a multiple of this: behind the last vector it is packed again.
const COLUMNS: usize = 64;
/// Added to what is compared, so that it is not negative.
const LIFT: u32 = 1 << 23;
/// Bits of a number in a key; `Words::times_512` shifts twice a product behind them.
const NUMBER: u32 = 8;

/// Up to [`MOST`] vectors of signed bytes, packed for a level.
#[derive(Debug)]
pub struct Book {
    level: Level,
    side: Side,
    keys: Vec<u32>,
}

impl Book {
    /// Packs vectors. Of a [`Point`] its words and norm count.
    ///
    /// # Panics
    /// If there is none, more than [`MOST`], or they are not of one length up to [`MOST_WORDS`].
    pub fn new<'a>(level: Level, points: impl IntoIterator<Item = Point<'a>>) -> Self {
        let mut points: Vec<Point<'a>> = points.into_iter().collect();
        assert!((1..=MOST).contains(&points.len()) && points[0].words.len() <= MOST_WORDS, "a book of short vectors");
        points.resize(points.len().next_multiple_of(COLUMNS), points[points.len() - 1]);
        let mut side = Side::default();
        side.pack(level, Form::Squares, points.iter().copied());
        let keys = points.iter().zip(0..).map(|(point, i)| ((point.norm + LIFT) << NUMBER) | i).collect();
        Self { level, side, keys }
    }

    /// Words of a vector.
    pub fn words(&self) -> usize {
        self.side.words
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.side.bytes() + 4 * self.keys.capacity()
    }

    /// The vector that is nearest to each point, the first of those equally near: its squared distance times 2^32 plus its number.
    ///
    /// # Panics
    /// If points are of another length than the book's vectors, or `out` is shorter than there are points.
    pub fn closest(&self, points: &[Point<'_>], out: &mut [u64]) {
        assert!(points.iter().all(|point| point.words.len() == self.words()) && out.len() >= points.len());
        run_on(self.level, Closest { book: self, points, out });
    }
}

/// Sums over the words of `R` points and `C` registers of columns: products, once started with what flipping adds.
///
/// # Safety
/// - Every point has `side.words` words; the columns from `column` on, `C` registers of them, are packed.
#[inline(always)]
unsafe fn sums<S: Words, const R: usize, const C: usize>(
    s: S,
    points: &[Point<'_>],
    side: &Side,
    column: usize,
) -> [[S::I; C]; R] {
    let mut rows = [points[0].words.as_ptr(); R];
    let mut sums = [[s.zero_i(); C]; R];
    for r in 0..R {
        rows[r] = points[r].words.as_ptr();
        let flipped = if S::FLIP == 0 { 0 } else { points[r].sum.wrapping_mul(128).wrapping_neg() };
        sums[r] = [s.splat(flipped); C];
    }
    let first = side.lines.as_ptr().wrapping_add(column / GROUP * side.words).cast::<u32>();
    for w in 0..side.words {
        let mut sides = [s.zero_i(); C];
        for c in 0..C {
            let at = (c * S::LANES / GROUP * side.words + w) * GROUP + (column + c * S::LANES) % GROUP;
            // SAFETY: word w of a group of the side, which the caller says is packed.
            sides[c] = unsafe { s.load(first.add(at)) };
        }
        for r in 0..R {
            // SAFETY: every point has so many words.
            let word = s.splat(unsafe { *rows[r].add(w) });
            for c in 0..C {
                sums[r][c] = s.dot(sums[r][c], sides[c], word);
            }
        }
    }
    sums
}

struct Closest<'a> {
    book: &'a Book,
    points: &'a [Point<'a>],
    out: &'a mut [u64],
}

/// The nearest of each of the first `R` points.
///
/// # Safety
/// - There are `R` points and places, and the points have as many words as the book's.
#[inline(always)]
unsafe fn band<S: Words, const R: usize, const C: usize>(s: S, book: &Book, points: &[Point<'_>], out: &mut [u64]) {
    let mut least = [s.splat(u32::MAX); R];
    let mut column = 0;
    while column < book.keys.len() {
        // SAFETY: the caller's promise; columns are a multiple of 64, so of every C registers.
        let sums = unsafe { sums::<S, R, C>(s, points, &book.side, column) };
        for c in 0..C {
            // SAFETY: there is a key for every column.
            let keys = unsafe { s.load(book.keys.as_ptr().add(column + c * S::LANES)) };
            for r in 0..R {
                least[r] = s.min(least[r], s.sub(keys, s.times_512(sums[r][c])));
            }
        }
        column += C * S::LANES;
    }
    for r in 0..R {
        let key = s.least(least[r]);
        let distance = (key >> NUMBER).wrapping_sub(LIFT).wrapping_add(points[r].norm);
        out[r] = (u64::from(distance) << 32) | u64::from(key & ((1 << NUMBER) - 1));
    }
}

impl LevelJob for Closest<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { book, points, out } = self;
        let mut done = 0;
        while done < points.len() {
            let (points, out) = (&points[done..], &mut out[done..]);
            // SAFETY (all arms): `closest` compared lengths; there are as many points as the arm says.
            done += match (S::LANES, points.len()) {
                (16, 8..) => {
                    // SAFETY: as above.
                    unsafe { band::<S, 8, 2>(s, book, points, out) };
                    8
                }
                (8 | 16, 4..) => {
                    // SAFETY: as above.
                    unsafe { band::<S, 4, 2>(s, book, points, out) };
                    4
                }
                (4, 2..) => {
                    // SAFETY: as above.
                    unsafe { band::<S, 2, 4>(s, book, points, out) };
                    2
                }
                _ => {
                    // SAFETY: as above.
                    unsafe { band::<S, 1, 4>(s, book, points, out) };
                    1
                }
            };
        }
    }
}

/// A point with the sum of its bytes; its norm is left open.
#[inline(always)]
fn summed(words: &[u32]) -> Point<'_> {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    let sum: i32 = bytes.map(|byte| i32::from(byte.cast_signed())).sum();
    Point { words, norm: 0, sum: sum.cast_unsigned(), lift: 0 }
}

struct Choose<'a> {
    books: &'a [Book],
    words: &'a [u32],
    out: &'a mut [u8],
}

impl LevelJob for Choose<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let of_each = self.words.len() / self.books.len();
        let parts = self.books.iter().zip(self.words.chunks_exact(of_each)).zip(self.out);
        for ((book, words), out) in parts {
            assert!(book.words() == of_each);
            let mut found = [0];
            // SAFETY: one point with as many words as the book's, and one place.
            unsafe { band::<S, 1, 4>(s, book, &[summed(words)], &mut found) };
            *out = found[0] as u8;
        }
    }
}

/// For each book the number of its vector that is nearest to the point's part: equal parts of `words`, one after the other.
///
/// # Panics
/// If there is no book, or parts are of another length than the vectors of the books, which must be of one level.
pub fn choose(books: &[Book], words: &[u32], out: &mut [u8]) {
    assert!(books.iter().all(|book| book.level == books[0].level) && words.len().is_multiple_of(books.len()));
    run_on(books[0].level, Choose { books, words, out });
}

struct Tabulate<'a> {
    books: &'a [Book],
    words: &'a [u32],
    shift: u32,
    tables: &'a mut [u8],
}

impl LevelJob for Tabulate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let of_each = self.words.len() / self.books.len();
        let half = 1 << self.shift >> 1;
        let parts = self.books.iter().zip(self.words.chunks_exact(of_each));
        for ((book, words), table) in parts.zip(self.tables.chunks_exact_mut(2 * MOST)) {
            assert!(book.words() == of_each);
            let mut products = [0_i32; MOST];
            let point = [summed(words)];
            let mut column = 0;
            while column < book.keys.len() {
                // SAFETY: the point has as many words as the book's; columns are a multiple of 64, at most 256 of them.
                unsafe {
                    let [sums] = sums::<S, 1, 4>(s, &point, &book.side, column);
                    for c in 0..4 {
                        s.store(products.as_mut_ptr().add(column + c * S::LANES).cast(), sums[c]);
                    }
                }
                column += 4 * S::LANES;
            }
            for (entry, product) in table.as_chunks_mut::<2>().0.iter_mut().zip(products) {
                *entry = (((product + half) >> self.shift) as i16).to_ne_bytes();
            }
        }
    }
}

/// Fills a table of 256 entries of 16 bits for each book: the products of its vectors with the point's part (as in [`choose`]), divided by 2^`shift` and rounded. What
/// stands behind the last vector means nothing.
///
/// # Panics
/// As [`choose`].
pub fn tabulate(books: &[Book], words: &[u32], shift: u32, tables: &mut [u8]) {
    assert!(books.iter().all(|book| book.level == books[0].level) && words.len().is_multiple_of(books.len()));
    run_on(books[0].level, Tabulate { books, words, shift, tables });
}

struct Measure<'a, 'p>(&'a mut [Point<'p>]);

impl LevelJob for Measure<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, _s: S) {
        for point in self.0 {
            let bytes = 4 * point.words.len();
            // SAFETY: any four bytes of a word are bytes.
            let values = unsafe { std::slice::from_raw_parts(point.words.as_ptr().cast::<i8>(), bytes) };
            let (mut norm, mut sum) = (0_i32, 0_i32);
            for &value in values {
                norm = norm.wrapping_add(i32::from(value) * i32::from(value));
                sum = sum.wrapping_add(i32::from(value));
            }
            (point.norm, point.sum) = (norm.cast_unsigned(), sum.cast_unsigned());
        }
    }
}

/// Fills in norms and sums of points of signed bytes.
pub fn measure(level: Level, points: &mut [Point<'_>]) {
    run_on(level, Measure(points));
}

struct Sums<'a> {
    points: &'a [Point<'a>],
    of: &'a [u64],
    sums: &'a mut [i32],
}

impl LevelJob for Sums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, _s: S) {
        for (point, of) in self.points.iter().zip(self.of) {
            let bytes = 4 * point.words.len();
            // SAFETY: any four bytes of a word are bytes.
            let point = unsafe { std::slice::from_raw_parts(point.words.as_ptr().cast::<i8>(), bytes) };
            let sums = &mut self.sums[(of & u64::from(u32::MAX)) as usize * bytes..][..bytes];
            for (sum, byte) in sums.iter_mut().zip(point) {
                *sum += i32::from(*byte);
            }
        }
    }
}

/// Adds the bytes of each point to the sums of the vector that it belongs to: the number in the lower half of `of`, as [`Book::closest`] gives it.
///
/// # Panics
/// If there are no sums for such a number.
pub fn add_up(level: Level, points: &[Point<'_>], of: &[u64], sums: &mut [i32]) {
    run_on(level, Sums { points, of, sums });
}

#[cfg(test)]
#[path = "tests/closest.rs"]
mod tests;
