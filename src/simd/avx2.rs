//! How do kernels run on AVX2 with FMA and F16C?
//!
//! Byte products are widened to 16 bits and paired by `vpmaddwd`, which is exact; `vpmaddubsw` would saturate.

use std::arch::x86_64::*;

use super::{Level, Simd, read};

/// Token of [`Level::Avx2`]: exists only on machines that have it.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

pub(super) fn present() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("popcnt")
}

/// An expression of intrinsics that touch no memory.
macro_rules! op {
    ($e:expr) => {{
        // SAFETY: a token (here or in the caller, who got the registers from one) is made only by `new`, which has
        // checked that the machine has the instructions, and they touch nothing but registers.
        unsafe { $e }
    }};
}

/// Which of four numbers are not at or above an edge.
#[inline(always)]
pub(super) fn below(numbers: [f32; 4], edge: f32) -> u32 {
    op!({
        let numbers = std::mem::transmute::<[f32; 4], __m128>(numbers);
        _mm_movemask_ps(_mm_cmp_ps::<_CMP_NGE_UQ>(numbers, _mm_set1_ps(edge))).cast_unsigned()
    })
}

/// Sum of 8 lanes: halves, then quarters, then neighbours.
#[inline(always)]
pub(super) fn sum_f(a: __m256) -> f32 {
    op!({
        let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
        _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)))
    })
}

/// Four sums in the order of [`sum_f`], by transposing: 4 + 3 + 2 instructions less than four separate ones.
#[inline(always)]
pub(super) fn sum4_f(a: [__m256; 4]) -> [f32; 4] {
    op!({
        let pair = |x, y| _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(x, y), _mm256_permute2f128_ps::<0x31>(x, y));
        // Each half of `x` and `y` is one vector's 4 lanes: 0 and 1 in x, 2 and 3 in y.
        let (x, y) = (pair(a[0], a[1]), pair(a[2], a[3]));
        let sums = _mm256_add_ps(
            _mm256_shuffle_ps::<0b01_00_01_00>(x, y), // lanes 0 1 of both
            _mm256_shuffle_ps::<0b11_10_11_10>(x, y), // lanes 2 3 of both
        );
        let sums = _mm256_add_ps(sums, _mm256_movehdup_ps(sums)); // lane 0: vector 0 | 1, lane 2: vector 2 | 3
        let (even, odd) = (_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
        let mixed = _mm_unpacklo_ps(even, odd);
        let sums = _mm_movelh_ps(mixed, _mm_unpackhi_ps(even, odd));
        std::mem::transmute::<__m128, [f32; 4]>(sums)
    })
}

/// Sum of 8 counters.
#[inline(always)]
pub(super) fn sum_i(a: __m256i) -> u32 {
    op!({
        let a = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
        let a = _mm_add_epi32(a, _mm_shuffle_epi32::<0b01_00_11_10>(a));
        _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32::<0b10_11_00_01>(a))).cast_unsigned()
    })
}

/// Four sums of 8 counters.
#[inline(always)]
pub(super) fn sum4_i(a: [__m256i; 4]) -> [u32; 4] {
    op!({
        let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
        let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        std::mem::transmute::<__m128i, [u32; 4]>(sums)
    })
}

impl Avx2 {
    /// Flips the top bit of every byte: maps signed order to unsigned.
    #[inline(always)]
    fn flip(self, a: __m256i) -> __m256i {
        op!(_mm256_xor_si256(a, _mm256_set1_epi8(i8::MIN)))
    }

    /// Adds the products of neighbouring 16-bit lanes.
    #[inline(always)]
    fn products(self, acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        op!(_mm256_add_epi32(acc, _mm256_madd_epi16(a, b)))
    }

    /// Bits set in each byte, by looking up both halves of it, summed by eights.
    #[inline(always)]
    fn popcount(self, a: __m256i) -> __m256i {
        op!({
            let table = _mm256_setr_epi8(
                0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
            );
            let low = _mm256_set1_epi8(0x0f);
            let lower = _mm256_shuffle_epi8(table, _mm256_and_si256(a, low));
            let upper = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(a), low));
            _mm256_sad_epu8(_mm256_add_epi8(lower, upper), _mm256_setzero_si256())
        })
    }
}

/// Even bytes of 16-bit lanes, unsigned.
#[inline(always)]
fn even_u8(a: __m256i) -> __m256i {
    op!(_mm256_and_si256(a, _mm256_set1_epi16(0xff)))
}

/// Odd bytes of 16-bit lanes, unsigned.
#[inline(always)]
fn odd_u8(a: __m256i) -> __m256i {
    op!(_mm256_srli_epi16::<8>(a))
}

/// Even bytes of 16-bit lanes, signed.
#[inline(always)]
fn even_i8(a: __m256i) -> __m256i {
    op!(_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(a)))
}

/// Odd bytes of 16-bit lanes, signed.
#[inline(always)]
fn odd_i8(a: __m256i) -> __m256i {
    op!(_mm256_srai_epi16::<8>(a))
}

impl Simd for Avx2 {
    const LEVEL: Level = Level::Avx2;
    const BYTES: usize = 32;
    const TILE: (usize, usize) = (2, 3);
    type F = __m256;
    type I = __m256i;
    type B = __m256i;

    fn new() -> Option<Self> {
        Level::Avx2.is_available().then_some(Self(()))
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 32 readable bytes.
        unsafe { read(p) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 16 readable bytes.
        unsafe { _mm256_cvtph_ps(read(p)) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 16 readable bytes.
        let upper = unsafe { _mm256_cvtepu16_epi32(read(p)) };
        op!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(upper)))
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 8 readable bytes.
        let bytes = unsafe { _mm_cvtsi64_si128(read(p)) };
        op!(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)))
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 8 readable bytes.
        let bytes = unsafe { _mm_cvtsi64_si128(read(p)) };
        op!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)))
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> Self::B {
        // SAFETY: token; the caller vouches for 32 readable bytes.
        unsafe { read(p) }
    }

    #[inline(always)]
    fn zero_f(self) -> Self::F {
        op!(_mm256_setzero_ps())
    }
    #[inline(always)]
    fn add_f(self, a: Self::F, b: Self::F) -> Self::F {
        op!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub_f(self, a: Self::F, b: Self::F) -> Self::F {
        op!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul_add_f(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        op!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn abs_f(self, a: Self::F) -> Self::F {
        op!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn sum_f(self, a: Self::F) -> f32 {
        sum_f(a)
    }
    #[inline(always)]
    fn sum4_f(self, a: [Self::F; 4]) -> [f32; 4] {
        sum4_f(a)
    }

    #[inline(always)]
    fn zero_i(self) -> Self::I {
        op!(_mm256_setzero_si256())
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        op!(_mm256_add_epi32(a, b))
    }
    #[inline(always)]
    fn sum_i(self, a: Self::I) -> u32 {
        sum_i(a)
    }
    #[inline(always)]
    fn sum4_i(self, a: [Self::I; 4]) -> [u32; 4] {
        sum4_i(a)
    }

    #[inline(always)]
    fn l2_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        let even = op!(_mm256_sub_epi16(even_u8(q), even_u8(r)));
        let odd = op!(_mm256_sub_epi16(odd_u8(q), odd_u8(r)));
        self.products(self.products(acc, even, even), odd, odd)
    }
    #[inline(always)]
    fn l2_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        self.l2_u8(acc, self.flip(q), self.flip(r))
    }
    #[inline(always)]
    fn l1_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        op!(_mm256_add_epi32(acc, _mm256_sad_epu8(q, r)))
    }
    #[inline(always)]
    fn l1_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        self.l1_u8(acc, self.flip(q), self.flip(r))
    }
    #[inline(always)]
    fn dot_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        self.products(self.products(acc, even_u8(q), even_u8(r)), odd_u8(q), odd_u8(r))
    }
    #[inline(always)]
    fn dot_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        self.products(self.products(acc, even_i8(q), even_i8(r)), odd_i8(q), odd_i8(r))
    }

    #[inline(always)]
    fn dot_nibbles(self, acc: Self::I, codes: Self::B, low: Self::B, high: Self::B) -> Self::I {
        // Pairs are at most 2 * 15 * 128, two of them far below what `maddubs` saturates at.
        op!({
            let mask = _mm256_set1_epi8(15);
            let lows = _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), low);
            let highs = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask), high);
            let sums = _mm256_madd_epi16(_mm256_add_epi16(lows, highs), _mm256_set1_epi16(1));
            _mm256_add_epi32(acc, sums)
        })
    }
    #[inline(always)]
    fn dot_quarters(self, acc: Self::I, codes: Self::B, weights: [Self::B; 4]) -> Self::I {
        // Pairs are at most 2 * 3 * 128, four of them far below what `maddubs` and its sums hold.
        op!({
            let mask = _mm256_set1_epi8(3);
            let first = _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), weights[0]);
            let second = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<2>(codes), mask), weights[1]);
            let third = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask), weights[2]);
            let fourth = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<6>(codes), mask), weights[3]);
            let pairs = _mm256_add_epi16(_mm256_add_epi16(first, second), _mm256_add_epi16(third, fourth));
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        })
    }

    #[inline(always)]
    fn count(self, acc: Self::I, a: Self::B) -> Self::I {
        op!(_mm256_add_epi32(acc, self.popcount(a)))
    }
    #[inline(always)]
    fn count_xor(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        self.count(acc, op!(_mm256_xor_si256(a, b)))
    }
    #[inline(always)]
    fn count_and(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        self.count(acc, op!(_mm256_and_si256(a, b)))
    }

    #[inline(always)]
    fn below(self, numbers: [f32; 4], edge: f32) -> u32 {
        below(numbers, edge)
    }
}
