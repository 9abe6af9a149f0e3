//! What does one kernel do with one register's worth of a query and of a row?
//!
//! A kernel is an element type times a distance. There are two families: [`Real`] sums floats in float lanes,
//! [`Whole`] counts integers or bits in 32-bit lanes, exactly. Each element and each distance is one short `impl`;
//! their product is the list of type aliases at the end.
//!
//! Kernels return the raw score: dot products come out as they are, the caller turns them into `1 - dot` or a cosine.

use std::marker::PhantomData;

use crate::simd::Simd;

/// Element x distance on one level. The loop over a vector is in `rows`; this is its body.
///
/// A score is `done(sum of pair over the chunks, sum of query, sum of row)`. Most kernels use only `pair`; the two
/// side sums hold what depends on one vector alone, so that several rows share the query's part.
pub trait Kernel<S: Simd>: 'static {
    /// Bytes of a vector that one step takes: 64, or a divisor of 32.
    const CHUNK: usize;
    /// Sums are integers: any order of adding gives the same bits.
    const EXACT: bool;
    /// Bytes of a query for each byte of a row.
    const QUERY: usize = 1;
    /// One chunk in registers.
    type Item: Copy;
    /// What is summed for a pair.
    type Acc: Copy;
    /// What is summed for a query or a row alone.
    type Side: Copy;

    /// A chunk.
    /// # Safety
    /// - `CHUNK` bytes at `p` are readable.
    unsafe fn load(s: S, p: *const u8) -> Self::Item;
    /// The 32 bytes at `p` as a chunk with zeros behind. Asked only where `CHUNK` is 64.
    /// # Safety
    /// - 32 bytes at `p` are readable.
    unsafe fn load_half(s: S, p: *const u8) -> Self::Item;
    /// The chunk of a query that meets the chunk `at` bytes behind the start of a row.
    /// # Safety
    /// - `CHUNK` bytes at `query + at` are readable, where `QUERY` is 1; else `QUERY` times as many at `QUERY` times `at`.
    #[inline(always)]
    unsafe fn load_query(s: S, query: *const u8, at: usize) -> Self::Item {
        // SAFETY: the caller's promise.
        unsafe { Self::load(s, query.add(at)) }
    }
    /// Nothing summed yet.
    fn zero(s: S) -> (Self::Acc, Self::Side);
    /// Adds a chunk of a pair.
    fn pair(s: S, acc: Self::Acc, q: Self::Item, r: Self::Item) -> Self::Acc;
    /// Adds a chunk of a query.
    fn query(s: S, side: Self::Side, q: Self::Item) -> Self::Side;
    /// Adds a chunk of a row.
    fn row(s: S, side: Self::Side, r: Self::Item) -> Self::Side;
    /// The sum of two partial sums.
    fn join(s: S, a: Self::Acc, b: Self::Acc) -> Self::Acc;
    /// The sum of two partial side sums.
    fn join_side(s: S, a: Self::Side, b: Self::Side) -> Self::Side;
    /// The score.
    fn done(s: S, acc: Self::Acc, q: Self::Side, r: Self::Side) -> f32;
    /// Four scores of one query, each bit for bit what `done` gives.
    fn done4(s: S, acc: [Self::Acc; 4], q: Self::Side, r: [Self::Side; 4]) -> [f32; 4];
}

/// A component type whose arithmetic is single-precision floats.
pub trait RealElement: 'static {
    /// Bytes of a component.
    const BYTES: usize;
    /// A register of components, widened.
    /// # Safety
    /// - `S::BYTES / 4` components at `p` are readable.
    unsafe fn load<S: Simd>(s: S, p: *const u8) -> S::F;
}

/// A distance that sums a function of two floats.
pub trait RealDistance: 'static {
    /// Adds that function.
    fn step<S: Simd>(s: S, acc: S::F, q: S::F, r: S::F) -> S::F;
}

/// A distance between bytes or bits that sums integers.
pub trait WholeDistance: 'static {
    /// Adds a chunk of a pair.
    fn pair<S: Simd>(s: S, acc: S::I, q: S::B, r: S::B) -> S::I;
    /// Adds a chunk of a query.
    #[inline(always)]
    fn query<S: Simd>(_s: S, side: S::I, _q: S::B) -> S::I {
        side
    }
    /// Adds a chunk of a row.
    #[inline(always)]
    fn row<S: Simd>(_s: S, side: S::I, _r: S::B) -> S::I {
        side
    }
    /// Puts pair and side sums together, lane by lane.
    #[inline(always)]
    fn total<S: Simd>(_s: S, acc: S::I, _q: S::I, _r: S::I) -> S::I {
        acc
    }
    /// The score from the total and the side sums.
    fn score<S: Simd>(s: S, total: u32, q: S::I, r: S::I) -> f32;
}

/// IEEE singles.
#[derive(Debug)]
pub enum F32 {}
/// IEEE halves.
#[derive(Debug)]
pub enum F16 {}
/// Upper halves of singles.
#[derive(Debug)]
pub enum Bf16 {}

impl RealElement for F32 {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load_f32(p) }
    }
}
impl RealElement for F16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load_f16(p) }
    }
}
impl RealElement for Bf16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load_bf16(p) }
    }
}

/// Sum of squared differences.
#[derive(Debug)]
pub enum L2 {}
/// Sum of products.
#[derive(Debug)]
pub enum Dot {}
/// Sum of absolute differences.
#[derive(Debug)]
pub enum L1 {}

impl RealDistance for L2 {
    #[inline(always)]
    fn step<S: Simd>(s: S, acc: S::F, q: S::F, r: S::F) -> S::F {
        let difference = s.sub_f(q, r);
        s.mul_add_f(difference, difference, acc)
    }
}
impl RealDistance for Dot {
    #[inline(always)]
    fn step<S: Simd>(s: S, acc: S::F, q: S::F, r: S::F) -> S::F {
        s.mul_add_f(q, r, acc)
    }
}
impl RealDistance for L1 {
    #[inline(always)]
    fn step<S: Simd>(s: S, acc: S::F, q: S::F, r: S::F) -> S::F {
        s.add_f(acc, s.abs_f(s.sub_f(q, r)))
    }
}

/// The family of float kernels.
#[derive(Debug)]
pub struct Real<E, D>(PhantomData<(E, D)>);

impl<S: Simd, E: RealElement, D: RealDistance> Kernel<S> for Real<E, D> {
    const CHUNK: usize = S::BYTES / 4 * E::BYTES;
    const EXACT: bool = false;
    type Item = S::F;
    type Acc = S::F;
    type Side = ();

    #[inline(always)]
    unsafe fn load(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise: CHUNK bytes are S::BYTES / 4 components.
        unsafe { E::load(s, p) }
    }
    #[inline(always)]
    unsafe fn load_half(s: S, p: *const u8) -> S::F {
        // A 64-byte chunk means 4-byte components.
        // SAFETY: the caller's promise.
        unsafe { s.load_f32_half(p) }
    }
    #[inline(always)]
    fn zero(s: S) -> (S::F, ()) {
        (s.zero_f(), ())
    }
    #[inline(always)]
    fn pair(s: S, acc: S::F, q: S::F, r: S::F) -> S::F {
        D::step(s, acc, q, r)
    }
    #[inline(always)]
    fn query(_s: S, _side: (), _q: S::F) {}
    #[inline(always)]
    fn row(_s: S, _side: (), _r: S::F) {}
    #[inline(always)]
    fn join(s: S, a: S::F, b: S::F) -> S::F {
        s.add_f(a, b)
    }
    #[inline(always)]
    fn join_side(_s: S, _a: (), _b: ()) {}
    #[inline(always)]
    fn done(s: S, acc: S::F, _q: (), _r: ()) -> f32 {
        s.sum_f(acc)
    }
    #[inline(always)]
    fn done4(s: S, acc: [S::F; 4], _q: (), _r: [(); 4]) -> [f32; 4] {
        s.sum4_f(acc)
    }
}

/// The family of integer and bit kernels.
#[derive(Debug)]
pub struct Whole<D>(PhantomData<D>);

impl<S: Simd, D: WholeDistance> Kernel<S> for Whole<D> {
    const CHUNK: usize = S::BYTES;
    const EXACT: bool = true;
    type Item = S::B;
    type Acc = S::I;
    type Side = S::I;

    #[inline(always)]
    unsafe fn load(s: S, p: *const u8) -> S::B {
        // SAFETY: the caller's promise.
        unsafe { s.load_bytes(p) }
    }
    #[inline(always)]
    unsafe fn load_half(s: S, p: *const u8) -> S::B {
        // SAFETY: the caller's promise.
        unsafe { s.load_bytes_half(p) }
    }
    #[inline(always)]
    fn zero(s: S) -> (S::I, S::I) {
        (s.zero_i(), s.zero_i())
    }
    #[inline(always)]
    fn pair(s: S, acc: S::I, q: S::B, r: S::B) -> S::I {
        D::pair(s, acc, q, r)
    }
    #[inline(always)]
    fn query(s: S, side: S::I, q: S::B) -> S::I {
        D::query(s, side, q)
    }
    #[inline(always)]
    fn row(s: S, side: S::I, r: S::B) -> S::I {
        D::row(s, side, r)
    }
    #[inline(always)]
    fn join(s: S, a: S::I, b: S::I) -> S::I {
        s.add_i(a, b)
    }
    #[inline(always)]
    fn join_side(s: S, a: S::I, b: S::I) -> S::I {
        s.add_i(a, b)
    }
    #[inline(always)]
    fn done(s: S, acc: S::I, q: S::I, r: S::I) -> f32 {
        D::score(s, s.sum_i(D::total(s, acc, q, r)), q, r)
    }
    #[inline(always)]
    fn done4(s: S, acc: [S::I; 4], q: S::I, r: [S::I; 4]) -> [f32; 4] {
        let totals = s.sum4_i([
            D::total(s, acc[0], q, r[0]),
            D::total(s, acc[1], q, r[1]),
            D::total(s, acc[2], q, r[2]),
            D::total(s, acc[3], q, r[3]),
        ]);
        [
            D::score(s, totals[0], q, r[0]),
            D::score(s, totals[1], q, r[1]),
            D::score(s, totals[2], q, r[2]),
            D::score(s, totals[3], q, r[3]),
        ]
    }
}

/// A distance that is one `Simd` method, perhaps with one to end with, and an unsigned sum.
macro_rules! unsigned_sum {
    ($(#[$doc:meta] $name:ident = $step:ident $(then $total:ident)?;)*) => {$(
        #[$doc]
        #[derive(Debug)]
        pub enum $name {}
        impl WholeDistance for $name {
            #[inline(always)]
            fn pair<S: Simd>(s: S, acc: S::I, q: S::B, r: S::B) -> S::I {
                s.$step(acc, q, r)
            }
            $(
                #[inline(always)]
                fn total<S: Simd>(s: S, acc: S::I, _q: S::I, _r: S::I) -> S::I {
                    s.$total(acc)
                }
            )?
            #[inline(always)]
            fn score<S: Simd>(_s: S, total: u32, _q: S::I, _r: S::I) -> f32 {
                total as f32
            }
        }
    )*};
}

unsigned_sum! {
    /// Sum of squared differences of unsigned bytes; below 2^32 up to 65,536 components.
    ByteL2 = l2_u8 then l2_total;
    /// Sum of squared differences of signed bytes.
    SignedL2 = l2_i8 then l2_total;
    /// Sum of absolute differences of unsigned bytes.
    ByteL1 = l1_u8;
    /// Sum of absolute differences of signed bytes.
    SignedL1 = l1_i8;
    /// Differing bits.
    Hamming = count_xor;
}

/// Sum of products of unsigned bytes.
#[derive(Debug)]
pub enum ByteDot {}
impl WholeDistance for ByteDot {
    #[inline(always)]
    fn pair<S: Simd>(s: S, acc: S::I, q: S::B, r: S::B) -> S::I {
        s.dot_u8(acc, q, r)
    }
    #[inline(always)]
    fn row<S: Simd>(s: S, side: S::I, r: S::B) -> S::I {
        s.dot_u8_row(side, r)
    }
    #[inline(always)]
    fn total<S: Simd>(s: S, acc: S::I, _q: S::I, r: S::I) -> S::I {
        s.dot_u8_total(acc, r)
    }
    #[inline(always)]
    fn score<S: Simd>(_s: S, total: u32, _q: S::I, _r: S::I) -> f32 {
        total as f32
    }
}

/// Sum of products of signed bytes.
#[derive(Debug)]
pub enum SignedDot {}
impl WholeDistance for SignedDot {
    #[inline(always)]
    fn pair<S: Simd>(s: S, acc: S::I, q: S::B, r: S::B) -> S::I {
        s.dot_i8(acc, q, r)
    }
    #[inline(always)]
    fn query<S: Simd>(s: S, side: S::I, q: S::B) -> S::I {
        s.dot_i8_query(side, q)
    }
    #[inline(always)]
    fn total<S: Simd>(s: S, acc: S::I, q: S::I, _r: S::I) -> S::I {
        s.dot_i8_total(acc, q)
    }
    #[inline(always)]
    fn score<S: Simd>(_s: S, total: u32, _q: S::I, _r: S::I) -> f32 {
        total.cast_signed() as f32
    }
}

/// `1 - |and| / |or|`, finished: 0 when both are empty.
#[derive(Debug)]
pub enum Jaccard {}
impl WholeDistance for Jaccard {
    #[inline(always)]
    fn pair<S: Simd>(s: S, acc: S::I, q: S::B, r: S::B) -> S::I {
        s.count_and(acc, q, r)
    }
    #[inline(always)]
    fn query<S: Simd>(s: S, side: S::I, q: S::B) -> S::I {
        s.count(side, q)
    }
    #[inline(always)]
    fn row<S: Simd>(s: S, side: S::I, r: S::B) -> S::I {
        s.count(side, r)
    }
    #[inline(always)]
    fn score<S: Simd>(s: S, both: u32, q: S::I, r: S::I) -> f32 {
        let either = s.sum_i(s.add_i(q, r)) - both;
        // Both counts are below 2^24, so exact as floats, and the quotient is rounded once.
        if either == 0 { 0.0 } else { (either - both) as f32 / either as f32 }
    }
}

/// f32, squared differences.
pub type L2F32 = Real<F32, L2>;
/// f32, products.
pub type DotF32 = Real<F32, Dot>;
/// f32, absolute differences.
pub type L1F32 = Real<F32, L1>;
/// f16, squared differences.
pub type L2F16 = Real<F16, L2>;
/// f16, products.
pub type DotF16 = Real<F16, Dot>;
/// f16, absolute differences.
pub type L1F16 = Real<F16, L1>;
/// bf16, squared differences.
pub type L2Bf16 = Real<Bf16, L2>;
/// bf16, products.
pub type DotBf16 = Real<Bf16, Dot>;
/// bf16, absolute differences.
pub type L1Bf16 = Real<Bf16, L1>;
/// i8, squared differences.
pub type L2I8 = Whole<SignedL2>;
/// i8, products.
pub type DotI8 = Whole<SignedDot>;
/// i8, absolute differences.
pub type L1I8 = Whole<SignedL1>;
/// u8, squared differences.
pub type L2U8 = Whole<ByteL2>;
/// u8, products.
pub type DotU8 = Whole<ByteDot>;
/// u8, absolute differences.
pub type L1U8 = Whole<ByteL1>;
/// b1, differing bits.
pub type HammingB1 = Whole<Hamming>;
/// b1, 1 - |and| / |or|.
pub type JaccardB1 = Whole<Jaccard>;
