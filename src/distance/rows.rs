//! How are the scores of several queries and several rows computed together?
//!
//! [`block`] is the only loop over the components of vectors in kith. One-to-one, one-to-four and the register tile
//! of a batch search are the same code with other constants, and every pair is summed in the same order in all of
//! them: an answer never depends on how rows were grouped.
//!
//! # How vectors lie in memory
//!
//! Zero-padded to [`padded_bytes`], a multiple of 32 bytes, and best aligned to 64. Zeros change no score, so no
//! kernel has a tail loop; on AVX-512 a last half register is loaded as such.

// Loops count to a const parameter and index several arrays at once: after unrolling every index is a constant.
#![expect(clippy::needless_range_loop, reason = "iterators over several arrays hide which lane is meant")]

use super::kernel::Kernel;
use crate::simd::Simd;

/// Every stored vector's length in bytes is a multiple of this.
pub const PAD: usize = 32;

/// Bytes of a stored vector of `bytes` bytes.
pub const fn padded_bytes(bytes: usize) -> usize {
    bytes.next_multiple_of(PAD)
}

/// Scores of `Q` queries with `R` rows, summed in `A` accumulators a pair.
///
/// # Safety
/// - Each row has `bytes` readable bytes, each query `K::QUERY` times as many.
/// - `bytes` is a multiple of [`PAD`].
/// - For speed only: inlined into a function that has the level's target features (see [`super::run()`]).
#[inline(always)]
unsafe fn block<S: Simd, K: Kernel<S>, const Q: usize, const R: usize, const A: usize>(
    s: S,
    queries: [*const u8; Q],
    rows: [*const u8; R],
    bytes: usize,
) -> [[f32; R]; Q] {
    debug_assert!(bytes.is_multiple_of(PAD));
    let mut sums = Sums::<S, K, Q, R, A>::new(s);
    let mut at = 0;
    while at + K::CHUNK * A <= bytes {
        for a in 0..A {
            // SAFETY: the chunks of this step end at or before `bytes`.
            unsafe { sums.add(s, &queries, &rows, at + a * K::CHUNK, a) };
        }
        at += K::CHUNK * A;
    }
    for a in 0..A - 1 {
        if at + K::CHUNK <= bytes {
            // SAFETY: this chunk ends at or before `bytes`.
            unsafe { sums.add(s, &queries, &rows, at, a) };
            at += K::CHUNK;
        }
    }
    if K::CHUNK > PAD && at < bytes {
        // SAFETY: `bytes` is a multiple of 32 and so is `at`: 32 bytes are left at least.
        unsafe { sums.add_half(s, &queries, &rows, at, A - 1) };
    }
    sums.scores(s)
}

/// The running sums of a block. Lives in registers: every index into it is a constant after unrolling.
struct Sums<S: Simd, K: Kernel<S>, const Q: usize, const R: usize, const A: usize> {
    pairs: [[[K::Acc; A]; R]; Q],
    queries: [[K::Side; A]; Q],
    rows: [[K::Side; A]; R],
}

impl<S: Simd, K: Kernel<S>, const Q: usize, const R: usize, const A: usize> Sums<S, K, Q, R, A> {
    #[inline(always)]
    fn new(s: S) -> Self {
        let (pair, side) = K::zero(s);
        Self { pairs: [[[pair; A]; R]; Q], queries: [[side; A]; Q], rows: [[side; A]; R] }
    }

    /// Adds the chunk at `at` to accumulator `a` of every pair.
    /// # Safety
    /// - Each row has `K::CHUNK` readable bytes at offset `at`, each query what [`Kernel::load_query`] asks for.
    #[inline(always)]
    unsafe fn add(&mut self, s: S, queries: &[*const u8; Q], rows: &[*const u8; R], at: usize, a: usize) {
        // Loops, not `map` or `from_fn`: those have inner functions that a compiler may leave as calls.
        // SAFETY: the caller's promise.
        let mut items = [unsafe { K::load_query(s, queries[0], at) }; Q];
        for q in 1..Q {
            // SAFETY: the caller's promise.
            items[q] = unsafe { K::load_query(s, queries[q], at) };
        }
        for r in 0..R {
            // SAFETY: the caller's promise.
            let row = unsafe { K::load(s, rows[r].add(at)) };
            self.add_row(s, &items, row, r, a);
        }
        self.add_queries(s, &items, a);
    }

    /// As `add`, for the last 32 bytes.
    /// # Safety
    /// - Each pointer has 32 readable bytes at offset `at`.
    #[inline(always)]
    unsafe fn add_half(&mut self, s: S, queries: &[*const u8; Q], rows: &[*const u8; R], at: usize, a: usize) {
        // Loops, not `map` or `from_fn`: those have inner functions that a compiler may leave as calls.
        // SAFETY: the caller's promise.
        let mut items = [unsafe { K::load_half(s, queries[0].add(at)) }; Q];
        for q in 1..Q {
            // SAFETY: the caller's promise.
            items[q] = unsafe { K::load_half(s, queries[q].add(at)) };
        }
        for r in 0..R {
            // SAFETY: the caller's promise.
            let row = unsafe { K::load_half(s, rows[r].add(at)) };
            self.add_row(s, &items, row, r, a);
        }
        self.add_queries(s, &items, a);
    }

    #[inline(always)]
    fn add_row(&mut self, s: S, queries: &[K::Item; Q], row: K::Item, r: usize, a: usize) {
        for q in 0..Q {
            self.pairs[q][r][a] = K::pair(s, self.pairs[q][r][a], queries[q], row);
        }
        self.rows[r][a] = K::row(s, self.rows[r][a], row);
    }

    #[inline(always)]
    fn add_queries(&mut self, s: S, queries: &[K::Item; Q], a: usize) {
        for q in 0..Q {
            self.queries[q][a] = K::query(s, self.queries[q][a], queries[q]);
        }
    }

    /// Everything summed for a pair.
    #[inline(always)]
    fn pair(&self, s: S, q: usize, r: usize) -> K::Acc {
        let mut sum = self.pairs[q][r][0];
        for a in 1..A {
            sum = K::join(s, sum, self.pairs[q][r][a]);
        }
        sum
    }

    #[inline(always)]
    fn scores(self, s: S) -> [[f32; R]; Q] {
        let mut queries = [K::zero(s).1; Q];
        for q in 0..Q {
            queries[q] = join_sides::<S, K, A>(s, self.queries[q]);
        }
        let mut rows = [K::zero(s).1; R];
        for r in 0..R {
            rows[r] = join_sides::<S, K, A>(s, self.rows[r]);
        }
        let mut scores = [[0.0; R]; Q];
        for q in 0..Q {
            let mut r = 0;
            while r + 4 <= R {
                let sums = [self.pair(s, q, r), self.pair(s, q, r + 1), self.pair(s, q, r + 2), self.pair(s, q, r + 3)];
                let four = K::done4(s, sums, queries[q], [rows[r], rows[r + 1], rows[r + 2], rows[r + 3]]);
                scores[q][r..r + 4].copy_from_slice(&four);
                r += 4;
            }
            while r < R {
                scores[q][r] = K::done(s, self.pair(s, q, r), queries[q], rows[r]);
                r += 1;
            }
        }
        scores
    }
}

/// Everything summed for a vector.
#[inline(always)]
fn join_sides<S: Simd, K: Kernel<S>, const A: usize>(s: S, parts: [K::Side; A]) -> K::Side {
    let mut sum = parts[0];
    for a in 1..A {
        sum = K::join_side(s, sum, parts[a]);
    }
    sum
}

/// Score of one pair.
///
/// # Safety
/// - The row has `bytes` readable bytes, a multiple of [`PAD`], the query `K::QUERY` times as many.
/// - For speed only: inlined under [`super::run()`].
#[inline(always)]
pub unsafe fn one<S: Simd, K: Kernel<S>>(s: S, query: *const u8, row: *const u8, bytes: usize) -> f32 {
    // SAFETY: the caller's promise.
    let [[score]] = unsafe {
        if K::EXACT {
            block::<S, K, 1, 1, 4>(s, [query], [row], bytes)
        } else {
            block::<S, K, 1, 1, 2>(s, [query], [row], bytes)
        }
    };
    score
}

/// Scores of one query with four rows: each bit for bit what [`one`] gives, at less than four times the cost.
///
/// # Safety
/// - The rows have `bytes` readable bytes, a multiple of [`PAD`], the query `K::QUERY` times as many.
/// - For speed only: inlined under [`super::run()`].
#[inline(always)]
pub unsafe fn four<S: Simd, K: Kernel<S>>(s: S, query: *const u8, rows: [*const u8; 4], bytes: usize) -> [f32; 4] {
    // SAFETY: the caller's promise.
    let [scores] = unsafe { block::<S, K, 1, 4, 2>(s, [query], rows, bytes) };
    scores
}

/// Several queries against several rows, each at a fixed distance from the one before, and where the scores go.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    /// First query.
    pub queries: *const u8,
    /// Number of queries.
    pub query_count: usize,
    /// Bytes from a query to the next.
    pub query_stride: usize,
    /// First row.
    pub rows: *const u8,
    /// Number of rows.
    pub row_count: usize,
    /// Bytes from a row to the next.
    pub row_stride: usize,
    /// Bytes of a row, a multiple of [`PAD`].
    pub bytes: usize,
    /// Where the score of query 0 and row 0 goes; that of query `q` and row `r` goes to `q * scores_stride + r`.
    pub scores: *mut f32,
    /// Floats from one query's scores to the next one's.
    pub scores_stride: usize,
}

impl Panel {
    #[inline(always)]
    fn query(&self, q: usize) -> *const u8 {
        self.queries.wrapping_add(q * self.query_stride)
    }

    #[inline(always)]
    fn row(&self, r: usize) -> *const u8 {
        self.rows.wrapping_add(r * self.row_stride)
    }

    /// Scores of the tile whose first pair is `(q, r)`.
    /// # Safety
    /// - Those of [`panel`], and the tile lies inside the panel.
    #[inline(always)]
    unsafe fn tile<S: Simd, K: Kernel<S>, const Q: usize, const R: usize, const A: usize>(
        &self,
        s: S,
        q: usize,
        r: usize,
    ) {
        let mut queries = [self.query(q); Q];
        for i in 1..Q {
            queries[i] = self.query(q + i);
        }
        let mut rows = [self.row(r); R];
        for i in 1..R {
            rows[i] = self.row(r + i);
        }
        // SAFETY: the tile lies inside the panel, whose vectors the caller vouches for.
        let scores = unsafe { block::<S, K, Q, R, A>(s, queries, rows, self.bytes) };
        for (i, line) in scores.into_iter().enumerate() {
            let out = self.scores.wrapping_add((q + i) * self.scores_stride + r);
            // SAFETY: the caller vouches for the scores of every pair of the panel.
            unsafe { out.cast::<[f32; R]>().write_unaligned(line) };
        }
    }

    /// The whole panel in tiles of `Q` x `R`. Queries are taken in bands that stay in the L1 cache with a few rows, so
    /// that a row comes from further away once per band.
    /// # Safety
    /// - Those of [`panel`].
    #[inline(always)]
    unsafe fn tiles<S: Simd, K: Kernel<S>, const Q: usize, const R: usize, const A: usize>(&self, s: S) {
        /// Two thirds of the smallest L1 cache of the machines that matter.
        const BAND_BYTES: usize = 20 << 10;
        let band = (BAND_BYTES / self.bytes.max(1)).max(Q).next_multiple_of(Q);
        let mut start = 0;
        while start < self.query_count {
            let end = self.query_count.min(start + band);
            let mut r = 0;
            while r + R <= self.row_count {
                // SAFETY: the queries from start to end and the rows up to r + R exist.
                unsafe { self.column::<S, K, Q, R, A>(s, start, end, r) };
                r += R;
            }
            while r < self.row_count {
                // SAFETY: the queries from start to end and row r exist.
                unsafe { self.column::<S, K, Q, 1, A>(s, start, end, r) };
                r += 1;
            }
            start = end;
        }
    }

    /// `R` rows from `r` on with the queries from `start` to `end`.
    /// # Safety
    /// - Those of [`panel`], and these rows and queries exist.
    #[inline(always)]
    unsafe fn column<S: Simd, K: Kernel<S>, const Q: usize, const R: usize, const A: usize>(
        &self,
        s: S,
        start: usize,
        end: usize,
        r: usize,
    ) {
        let mut q = start;
        while q + Q <= end {
            // SAFETY: the queries up to q + Q exist.
            unsafe { self.tile::<S, K, Q, R, A>(s, q, r) };
            q += Q;
        }
        while q < end {
            // SAFETY: query q exists.
            unsafe { self.tile::<S, K, 1, R, A>(s, q, r) };
            q += 1;
        }
    }
}

/// Scores of every query of the panel with every row: each bit for bit what [`one`] gives.
///
/// Fastest when the rows of one call stay in the L2 cache (about half of it), as every few queries pass over them
/// again; the caller cuts a larger set into panels.
///
/// # Safety
/// - `row_count` rows with `bytes` readable bytes each, a multiple of [`PAD`], and `query_count` queries with `K::QUERY` times as many.
/// - `row_count` floats are writable at `scores + q * scores_stride` for every query `q`, and nobody else uses them.
/// - For speed only: inlined under [`super::run()`].
#[inline(always)]
pub unsafe fn panel<S: Simd, K: Kernel<S>>(s: S, panel: &Panel) {
    // Two accumulators a pair hide the latency of an add when there are few pairs, and the order of adding floats is
    // part of the answer, so the tile keeps both. Integer sums come out the same in any order: one is enough.
    // SAFETY (all arms): the caller's promise.
    match (S::TILE, K::EXACT) {
        // SAFETY: as above.
        ((3, 4), false) => unsafe { panel.tiles::<S, K, 3, 4, 2>(s) },
        // SAFETY: as above.
        ((3, 4), true) => unsafe { panel.tiles::<S, K, 4, 4, 1>(s) },
        // SAFETY: as above.
        ((2, 3), false) => unsafe { panel.tiles::<S, K, 2, 3, 2>(s) },
        // SAFETY: as above.
        ((2, 3), true) => unsafe { panel.tiles::<S, K, 2, 4, 1>(s) },
        // SAFETY: as above.
        _ => unsafe { panel.tiles::<S, K, 1, 4, 2>(s) },
    }
}
