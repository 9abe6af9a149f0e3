//! How is a query multiplied with rows of 4-bit codes?
//!
//! A row is a number of 64-byte lines. Byte `b` of a line holds two codes, 0 to 15 each: the low half is multiplied with byte `b` of
//! the query's 128 for this line, the high half with byte `64 + b`. The query's bytes are signed. So a register of codes is unpacked
//! by a mask and a shift, on every level and at every width; nothing is shuffled. Bytes of a row that are no codes meet zeros in the query.

use crate::simd::Simd;

/// Bytes of a line of codes.
const LINE: usize = 64;

/// Sums of products of the query with `R` rows: exact, so the same on every level.
///
/// # Safety
/// - `query` has `lines` times 128 readable bytes, each row `lines` times 64.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
unsafe fn sums<S: Simd, const R: usize>(s: S, query: *const u8, rows: [*const u8; R], lines: usize) -> [S::I; R] {
    let mut sums = [s.zero_i(); R];
    for line in 0..lines {
        let mut at = 0;
        while at < LINE {
            // SAFETY: this part of the line, and of the query's two halves for it, ends at or before its end.
            unsafe {
                let low = s.load_bytes(query.add(2 * LINE * line + at));
                let high = s.load_bytes(query.add(2 * LINE * line + LINE + at));
                for r in 0..R {
                    let codes = s.load_bytes(rows[r].add(LINE * line + at));
                    sums[r] = s.dot_nibbles(sums[r], codes, low, high);
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
/// - `query` has `lines` times 128 readable bytes, the row `lines` times 64.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
pub unsafe fn nibbles<S: Simd>(s: S, query: *const u8, row: *const u8, lines: usize) -> i32 {
    // SAFETY: the caller's promise.
    let [sum] = unsafe { sums::<S, 1>(s, query, [row], lines) };
    s.sum_i(sum).cast_signed()
}

/// The products of a query with four rows.
///
/// # Safety
/// - `query` has `lines` times 128 readable bytes, each row `lines` times 64.
/// - For speed only: inlined under [`super::run_on()`].
#[inline(always)]
pub unsafe fn nibbles4<S: Simd>(s: S, query: *const u8, rows: [*const u8; 4], lines: usize) -> [i32; 4] {
    // SAFETY: the caller's promise.
    let sums = s.sum4_i(unsafe { sums::<S, 4>(s, query, rows, lines) });
    [sums[0].cast_signed(), sums[1].cast_signed(), sums[2].cast_signed(), sums[3].cast_signed()]
}

#[cfg(test)]
mod tests {
    use super::super::{LevelJob, run_on};
    use super::*;
    use crate::simd::available;

    struct Products<'a> {
        query: &'a [u8],
        rows: [&'a [u8]; 4],
    }

    impl LevelJob for Products<'_> {
        type Output = [i32; 8];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [i32; 8] {
            let lines = self.query.len() / 128;
            let mut all = [0; 8];
            // SAFETY: the test makes rows of 64 and queries of 128 bytes a line.
            unsafe {
                all[..4].copy_from_slice(&nibbles4(s, self.query.as_ptr(), self.rows.map(<[u8]>::as_ptr), lines));
                for (one, row) in all[4..].iter_mut().zip(self.rows) {
                    *one = nibbles(s, self.query.as_ptr(), row.as_ptr(), lines);
                }
            }
            all
        }
    }

    #[test]
    fn every_level_gives_the_sum_of_products() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for lines in [1, 2, 3, 8, 33] {
            for extreme in [false, true] {
                let query: Vec<u8> = (0..128 * lines).map(|_| if extreme { 0x80 } else { next() }).collect();
                let rows: Vec<Vec<u8>> =
                    (0..4).map(|_| (0..64 * lines).map(|_| if extreme { 0xff } else { next() }).collect()).collect();
                let plain = |row: &[u8]| -> i32 {
                    (0..row.len())
                        .map(|i| {
                            let (line, b) = (i / 64, i % 64);
                            let q = |at: usize| i32::from(query[128 * line + at].cast_signed());
                            i32::from(row[i] & 15) * q(b) + i32::from(row[i] >> 4) * q(64 + b)
                        })
                        .sum()
                };
                for &level in available() {
                    let found =
                        run_on(level, Products { query: &query, rows: [&rows[0], &rows[1], &rows[2], &rows[3]] });
                    for r in 0..4 {
                        assert_eq!((found[r], found[4 + r]), (plain(&rows[r]), plain(&rows[r])), "{level:?} {lines}");
                    }
                }
            }
        }
    }
}
