//! How is a query multiplied with rows of small codes, several of which share a byte?
//!
//! A row is a number of 64-byte lines, and a query has several lines of weights for each of them. Byte `b` of a row's line holds 2, 4 or 8 codes; the
//! one in its lowest bits meets byte `b` of the query's first line, the next one byte `b` of the second, and so on. So a register of codes is unpacked by
//! masks and shifts, on every level and at every width; nothing is shuffled, and no loop goes over parts of a byte.
//!
//! Codes of one bit are counted, not multiplied: there the query's weights are numbers of 4 bits, -8 to 7, in four lines. Line `t` holds bit `t` of each
//! weight, at the place that the weight's code has in the row; so a product is four counts of bits that both have.
//!
//! Bytes of a row that are no codes meet zeros in the query.

use crate::simd::Simd;

/// Bytes of a line of codes.
const LINE: usize = 64;

/// How codes are packed into bytes.
pub trait Packing {
    /// Lines of the query for each line of codes.
    const WEIGHTS: usize;
    /// Registers of the query.
    type Query<S: Simd>: Copy;
    /// Sums over the lines so far.
    type Sums<S: Simd>: Copy;

    /// Reads the query's registers, which lie in lines behind each other.
    /// # Safety
    /// - `S::BYTES` bytes at `query`, and at each of the `WEIGHTS` - 1 lines behind it, are readable.
    unsafe fn load<S: Simd>(s: S, query: *const u8) -> Self::Query<S>;
    /// Nothing summed.
    fn zero<S: Simd>(s: S) -> Self::Sums<S>;
    /// Adds the products of a register of codes.
    fn add<S: Simd>(s: S, sums: Self::Sums<S>, codes: S::B, query: Self::Query<S>) -> Self::Sums<S>;
    /// The sum.
    fn total<S: Simd>(s: S, sums: Self::Sums<S>) -> i32;
    /// Four sums.
    fn total4<S: Simd>(s: S, sums: [Self::Sums<S>; 4]) -> [i32; 4];
}

/// Two codes a byte, 0 to 15, times signed bytes.
#[derive(Debug)]
pub enum Nibbles {}
/// Four codes a byte, 0 to 3, times signed bytes.
#[derive(Debug)]
pub enum Quarters {}
/// Eight codes a byte, 0 or 1, times numbers from -8 to 7 in four planes of bits.
#[derive(Debug)]
pub enum Singles {}

/// Eight signs a byte, beside signs: how many differ. Here what is no code counts, too.
#[derive(Debug)]
pub enum Signs {}

impl Packing for Signs {
    const WEIGHTS: usize = 1;
    type Query<S: Simd> = S::B;
    type Sums<S: Simd> = S::I;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, query: *const u8) -> S::B {
        // SAFETY: the caller's promise.
        unsafe { s.load_bytes(query) }
    }
    #[inline(always)]
    fn zero<S: Simd>(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, sums: S::I, codes: S::B, query: S::B) -> S::I {
        s.count_xor(sums, codes, query)
    }
    #[inline(always)]
    fn total<S: Simd>(s: S, sums: S::I) -> i32 {
        s.sum_i(sums).cast_signed()
    }
    #[inline(always)]
    fn total4<S: Simd>(s: S, sums: [S::I; 4]) -> [i32; 4] {
        signed(s.sum4_i(sums))
    }
}

impl Packing for Nibbles {
    const WEIGHTS: usize = 2;
    type Query<S: Simd> = [S::B; 2];
    type Sums<S: Simd> = S::I;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, query: *const u8) -> [S::B; 2] {
        // SAFETY: the caller's promise.
        unsafe { [s.load_bytes(query), s.load_bytes(query.add(LINE))] }
    }
    #[inline(always)]
    fn zero<S: Simd>(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, sums: S::I, codes: S::B, [low, high]: [S::B; 2]) -> S::I {
        s.dot_nibbles(sums, codes, low, high)
    }
    #[inline(always)]
    fn total<S: Simd>(s: S, sums: S::I) -> i32 {
        s.sum_i(sums).cast_signed()
    }
    #[inline(always)]
    fn total4<S: Simd>(s: S, sums: [S::I; 4]) -> [i32; 4] {
        signed(s.sum4_i(sums))
    }
}

impl Packing for Quarters {
    const WEIGHTS: usize = 4;
    type Query<S: Simd> = [S::B; 4];
    type Sums<S: Simd> = S::I;

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, query: *const u8) -> [S::B; 4] {
        // SAFETY: the caller's promise.
        unsafe { four_lines(s, query) }
    }
    #[inline(always)]
    fn zero<S: Simd>(s: S) -> S::I {
        s.zero_i()
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, sums: S::I, codes: S::B, query: [S::B; 4]) -> S::I {
        s.dot_quarters(sums, codes, query)
    }
    #[inline(always)]
    fn total<S: Simd>(s: S, sums: S::I) -> i32 {
        s.sum_i(sums).cast_signed()
    }
    #[inline(always)]
    fn total4<S: Simd>(s: S, sums: [S::I; 4]) -> [i32; 4] {
        signed(s.sum4_i(sums))
    }
}

impl Packing for Singles {
    const WEIGHTS: usize = 4;
    type Query<S: Simd> = [S::B; 4];
    /// What bits 0 to 2 of the weights count for, and how many have bit 3, which counts -8.
    type Sums<S: Simd> = (S::I, S::I);

    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, query: *const u8) -> [S::B; 4] {
        // SAFETY: the caller's promise.
        unsafe { four_lines(s, query) }
    }
    #[inline(always)]
    fn zero<S: Simd>(s: S) -> (S::I, S::I) {
        (s.zero_i(), s.zero_i())
    }
    #[inline(always)]
    fn add<S: Simd>(s: S, (low, high): (S::I, S::I), codes: S::B, query: [S::B; 4]) -> (S::I, S::I) {
        let fours = s.count_and(s.zero_i(), codes, query[2]);
        let twos = s.count_and(s.add_i(fours, fours), codes, query[1]);
        let ones = s.count_and(s.add_i(twos, twos), codes, query[0]);
        (s.add_i(low, ones), s.count_and(high, codes, query[3]))
    }
    #[inline(always)]
    fn total<S: Simd>(s: S, (low, high): (S::I, S::I)) -> i32 {
        s.sum_i(low).wrapping_sub(s.sum_i(high).wrapping_mul(8)).cast_signed()
    }
    #[inline(always)]
    fn total4<S: Simd>(s: S, sums: [(S::I, S::I); 4]) -> [i32; 4] {
        let low = s.sum4_i([sums[0].0, sums[1].0, sums[2].0, sums[3].0]);
        let high = s.sum4_i([sums[0].1, sums[1].1, sums[2].1, sums[3].1]);
        let mut totals = [0; 4];
        for i in 0..4 {
            totals[i] = low[i].wrapping_sub(high[i].wrapping_mul(8)).cast_signed();
        }
        totals
    }
}

#[inline(always)]
fn signed(sums: [u32; 4]) -> [i32; 4] {
    [sums[0].cast_signed(), sums[1].cast_signed(), sums[2].cast_signed(), sums[3].cast_signed()]
}

/// A register of each of four lines behind each other.
/// # Safety
/// - `S::BYTES` bytes at `lines`, and at each of the three lines behind it, are readable.
#[inline(always)]
unsafe fn four_lines<S: Simd>(s: S, lines: *const u8) -> [S::B; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            s.load_bytes(lines),
            s.load_bytes(lines.add(LINE)),
            s.load_bytes(lines.add(2 * LINE)),
            s.load_bytes(lines.add(3 * LINE)),
        ]
    }
}

/// Sums of products of the query with `R` rows: exact, so the same on every level.
///
/// # Safety
/// - `query` has `lines` times `64 * P::WEIGHTS` readable bytes, each row `lines` times 64.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
unsafe fn sums<S: Simd, P: Packing, const R: usize>(
    s: S,
    query: *const u8,
    rows: [*const u8; R],
    lines: usize,
) -> [P::Sums<S>; R] {
    let mut sums = [P::zero(s); R];
    for line in 0..lines {
        let mut at = 0;
        while at < LINE {
            // SAFETY: this part of the row's line, and of the query's lines for it, ends at or before its end.
            unsafe {
                let weights = P::load(s, query.add(P::WEIGHTS * LINE * line + at));
                for r in 0..R {
                    let codes = s.load_bytes(rows[r].add(LINE * line + at));
                    sums[r] = P::add(s, sums[r], codes, weights);
                }
            }
            at += S::BYTES;
        }
    }
    sums
}

/// The product of a query with a row.
///
/// # Safety
/// - `query` has `lines` times `64 * P::WEIGHTS` readable bytes, the row `lines` times 64.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
pub unsafe fn product<S: Simd, P: Packing>(s: S, query: *const u8, row: *const u8, lines: usize) -> i32 {
    // SAFETY: the caller's promise.
    let [sum] = unsafe { sums::<S, P, 1>(s, query, [row], lines) };
    P::total(s, sum)
}

/// The products of a query with four rows.
///
/// # Safety
/// - `query` has `lines` times `64 * P::WEIGHTS` readable bytes, each row `lines` times 64.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
pub unsafe fn product4<S: Simd, P: Packing>(s: S, query: *const u8, rows: [*const u8; 4], lines: usize) -> [i32; 4] {
    // SAFETY: the caller's promise.
    P::total4(s, unsafe { sums::<S, P, 4>(s, query, rows, lines) })
}

/// Entries of a table of [`looked_up`], one for each byte that a code can be.
const ENTRIES: usize = 256;

/// Sums of entries of tables of 16 bits: byte `b` of a row picks one of the 256 of table `b`.
///
/// The same code on every level: a load for each entry. Instructions that gather load one after the other just as well, and need their indexes widened before.
///
/// # Safety
/// - `bytes` is a multiple of 8; each row has so many readable bytes, and `tables` as many tables.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
pub unsafe fn looked_up<const R: usize>(tables: *const u8, rows: [*const u8; R], bytes: usize) -> [i32; R] {
    debug_assert!(bytes.is_multiple_of(8));
    let mut sums = [0_i32; R];
    let mut at = 0;
    while at < bytes {
        for r in 0..R {
            // SAFETY: the row has eight bytes from here on.
            let codes = u64::from_le(unsafe { rows[r].add(at).cast::<u64>().read_unaligned() });
            for b in 0..8 {
                let code = (codes >> (8 * b)) as usize & (ENTRIES - 1);
                // SAFETY: a table for each byte of a row, and an entry for each value of a byte.
                let entry = unsafe { tables.cast::<i16>().add((at + b) * ENTRIES + code).read_unaligned() };
                sums[r] += i32::from(entry);
            }
        }
        at += 8;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::{LevelJob, run_on};
    use super::*;
    use crate::simd::available;
    use std::marker::PhantomData;

    struct Products<'a, P> {
        query: &'a [u8],
        rows: [&'a [u8]; 4],
        packing: PhantomData<P>,
    }

    impl<P: Packing> LevelJob for Products<'_, P> {
        type Output = [i32; 8];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [i32; 8] {
            let lines = self.query.len() / (64 * P::WEIGHTS);
            let mut all = [0; 8];
            // SAFETY: the test makes rows of 64 bytes a line, and queries of as many lines for each as the packing has.
            unsafe {
                let rows = self.rows.map(<[u8]>::as_ptr);
                all[..4].copy_from_slice(&product4::<S, P>(s, self.query.as_ptr(), rows, lines));
                for (one, row) in all[4..].iter_mut().zip(self.rows) {
                    *one = product::<S, P>(s, self.query.as_ptr(), row.as_ptr(), lines);
                }
            }
            all
        }
    }

    /// A product by plain arithmetic, from the weight of the `part`th code of byte `b` of a line.
    fn plain(query: &[u8], row: &[u8], bits: usize, weight: fn(&[u8], usize, usize) -> i32) -> i32 {
        let per_line = query.len() / row.len() * 64;
        let code = |i: usize, part: usize| i32::from((row[i] >> (bits * part)) & (((1_u16 << bits) - 1) as u8));
        let of_byte = |i: usize| {
            let line = &query[i / 64 * per_line..][..per_line];
            (0..8 / bits).map(|part| code(i, part) * weight(line, part, i % 64)).sum::<i32>()
        };
        (0..row.len()).map(of_byte).sum()
    }

    fn weight_of_bytes(line: &[u8], part: usize, b: usize) -> i32 {
        i32::from(line[64 * part + b].cast_signed())
    }

    fn weight_of_planes(line: &[u8], part: usize, b: usize) -> i32 {
        [1, 2, 4, -8].iter().enumerate().map(|(t, worth)| worth * i32::from(line[64 * t + b] >> part & 1)).sum()
    }

    fn every_level_agrees<P: Packing>(bits: usize, weight: fn(&[u8], usize, usize) -> i32) {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for lines in [1, 2, 3, 8, 33] {
            for extreme in [None, Some((0x80, 0xff)), Some((0x7f, 0xff)), Some((0xff, 0xff)), Some((0xff, 0))] {
                let bytes = 64 * P::WEIGHTS * lines;
                let query: Vec<u8> = (0..bytes).map(|_| extreme.map_or_else(&mut next, |bytes| bytes.0)).collect();
                let row = |next: &mut dyn FnMut() -> u8| -> Vec<u8> {
                    (0..64 * lines).map(|_| extreme.map_or_else(&mut *next, |bytes| bytes.1)).collect()
                };
                let rows: Vec<Vec<u8>> = (0..4).map(|_| row(&mut next)).collect();
                let rows = [&*rows[0], &rows[1], &rows[2], &rows[3]];
                for &level in available() {
                    let found = run_on(level, Products::<P> { query: &query, rows, packing: PhantomData });
                    for r in 0..4 {
                        let wanted = plain(&query, rows[r], bits, weight);
                        assert_eq!((found[r], found[4 + r]), (wanted, wanted), "{level:?} {lines} {bits} {extreme:?}");
                    }
                }
            }
        }
    }

    struct LookedUp<'a> {
        tables: &'a [u8],
        rows: [&'a [u8]; 4],
    }

    impl LevelJob for LookedUp<'_> {
        type Output = [i32; 5];
        #[inline(always)]
        fn run<S: Simd>(self, _s: S) -> [i32; 5] {
            let (rows, bytes) = (self.rows.map(<[u8]>::as_ptr), self.rows[0].len());
            // SAFETY: the test makes rows of one length, a multiple of 8, and a table for each byte.
            let (four, [one]) = unsafe {
                (looked_up(self.tables.as_ptr(), rows, bytes), looked_up(self.tables.as_ptr(), [rows[2]], bytes))
            };
            [four[0], four[1], four[2], four[3], one]
        }
    }

    #[test]
    fn every_level_gives_the_sum_of_entries() {
        let mut state = 5_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for bytes in [8, 56, 120, 504] {
            let tables: Vec<u8> = (0..512 * bytes).map(|_| next()).collect();
            let rows: Vec<Vec<u8>> = (0..4).map(|_| (0..bytes).map(|_| next()).collect()).collect();
            let entry = |b: usize, code: u8| {
                let at = 2 * (256 * b + usize::from(code));
                i32::from(i16::from_ne_bytes([tables[at], tables[at + 1]]))
            };
            let wanted: Vec<i32> =
                rows.iter().map(|row| row.iter().enumerate().map(|(b, &code)| entry(b, code)).sum()).collect();
            for &level in available() {
                let job = LookedUp { tables: &tables, rows: [&rows[0], &rows[1], &rows[2], &rows[3]] };
                let found = run_on(level, job);
                assert_eq!((&found[..4], found[4]), (&wanted[..], wanted[2]), "{level:?} {bytes}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_sum_of_products() {
        every_level_agrees::<Nibbles>(4, weight_of_bytes);
        every_level_agrees::<Quarters>(2, weight_of_bytes);
        every_level_agrees::<Singles>(1, weight_of_planes);
    }

    #[test]
    fn every_level_counts_the_signs_that_differ() {
        let mut state = 3_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for lines in [1, 2, 3, 8, 33] {
            let mut bytes = || -> Vec<u8> { (0..64 * lines).map(|_| next()).collect() };
            let query = bytes();
            let rows = [bytes(), query.clone(), query.iter().map(|byte| !byte).collect(), bytes()];
            let wanted = |row: &[u8]| row.iter().zip(&query).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() as i32;
            for &level in available() {
                let job = Products::<Signs> {
                    query: &query,
                    rows: [&rows[0], &rows[1], &rows[2], &rows[3]],
                    packing: PhantomData,
                };
                let found = run_on(level, job);
                for r in 0..4 {
                    assert_eq!((found[r], found[4 + r]), (wanted(&rows[r]), wanted(&rows[r])), "{level:?} {lines} {r}");
                }
            }
        }
    }
}
