//! How do kernels run on AVX-512 with VNNI and VPOPCNTDQ?
//!
//! One level for Ice Lake, Sapphire Rapids, Zen 4 and later; machines with the older AVX-512 use AVX2. The bfloat
//! dot instruction is not used: it flushes denormals and rounds otherwise than shift and multiply-add, so answers
//! would depend on it. Byte products use `vpdpbusd`, which does not saturate (its sibling `vpdpbusds` does).

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Level, Simd, read};

/// Token of [`Level::Avx512`]: exists only on machines that have it.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

pub(super) fn present() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vpopcntdq")
}

/// An expression of intrinsics that touch no memory.
macro_rules! op {
    ($e:expr) => {{
        // SAFETY: the token in `self` is made only by `new`, which has checked that the machine has the
        // instructions, and they touch nothing but registers.
        unsafe { $e }
    }};
}

/// Lanes of 512 folded to 256 by adding halves.
#[inline(always)]
fn fold_f(a: __m512) -> __m256 {
    // SAFETY: called with registers that only a token could have filled.
    unsafe { _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)) }
}

#[inline(always)]
fn fold_i(a: __m512i) -> __m256i {
    // SAFETY: called with registers that only a token could have filled.
    unsafe { _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64::<1>(a)) }
}

/// Lane 0 of each quarter, in the first four lanes.
#[inline(always)]
fn firsts() -> __m512i {
    // SAFETY: called with registers that only a token could have filled.
    unsafe { _mm512_zextsi128_si512(_mm_setr_epi32(0, 4, 8, 12)) }
}

impl Avx512 {
    /// Subtracts the squares of unsigned bytes. VNNI multiplies unsigned by signed only, so a square is taken apart:
    /// `-d * d = d * (128 - d) + d * -128`, where `128 - d` fits a signed byte but for `d = 0`, which multiplies it.
    #[inline(always)]
    fn subtract_squares(self, acc: __m512i, d: __m512i) -> __m512i {
        op!({
            let top = _mm512_set1_epi8(i8::MIN);
            _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(acc, d, _mm512_sub_epi8(top, d)), d, top)
        })
    }

    /// Flips the top bit of every byte: maps signed order to unsigned and back, and shifts values by 128.
    #[inline(always)]
    fn flip(self, a: __m512i) -> __m512i {
        op!(_mm512_xor_si512(a, _mm512_set1_epi8(i8::MIN)))
    }
}

impl Simd for Avx512 {
    const LEVEL: Level = Level::Avx512;
    const BYTES: usize = 64;
    const TILE: (usize, usize) = (3, 4);
    const PUT_IN: usize = 512;
    type F = __m512;
    type I = __m512i;
    type B = __m512i;

    fn new() -> Option<Self> {
        Level::Avx512.is_available().then_some(Self(()))
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 64 readable bytes.
        unsafe { read(p) }
    }
    #[inline(always)]
    unsafe fn load_f32_half(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 32 readable bytes.
        unsafe { _mm512_zextps256_ps512(read(p)) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 32 readable bytes.
        unsafe { _mm512_cvtph_ps(read(p)) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 32 readable bytes.
        let upper = unsafe { _mm512_cvtepu16_epi32(read(p)) };
        op!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(upper)))
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 16 readable bytes.
        let bytes = unsafe { _mm512_cvtepu8_epi32(read(p)) };
        op!(_mm512_cvtepi32_ps(bytes))
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const u8) -> Self::F {
        // SAFETY: token; the caller vouches for 16 readable bytes.
        let bytes = unsafe { _mm512_cvtepi8_epi32(read(p)) };
        op!(_mm512_cvtepi32_ps(bytes))
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> Self::B {
        // SAFETY: token; the caller vouches for 64 readable bytes.
        unsafe { read(p) }
    }
    #[inline(always)]
    unsafe fn load_bytes_half(self, p: *const u8) -> Self::B {
        // SAFETY: token; the caller vouches for 32 readable bytes.
        unsafe { _mm512_zextsi256_si512(read(p)) }
    }

    #[inline(always)]
    fn zero_f(self) -> Self::F {
        op!(_mm512_setzero_ps())
    }
    #[inline(always)]
    fn add_f(self, a: Self::F, b: Self::F) -> Self::F {
        op!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub_f(self, a: Self::F, b: Self::F) -> Self::F {
        op!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul_add_f(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        op!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn abs_f(self, a: Self::F) -> Self::F {
        op!(_mm512_abs_ps(a))
    }
    #[inline(always)]
    fn sum_f(self, a: Self::F) -> f32 {
        super::avx2::sum_f(fold_f(a))
    }
    #[inline(always)]
    fn sum4_f(self, a: [Self::F; 4]) -> [f32; 4] {
        op!({
            // The order of `sum_f`: halves, quarters, then lanes 0 + 2 and 1 + 3 of what is left.
            let halves = |x, y| _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(x, y), _mm512_shuffle_f32x4::<0xee>(x, y));
            let (x, y) = (halves(a[0], a[1]), halves(a[2], a[3]));
            let sums = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(x, y), _mm512_shuffle_f32x4::<0xdd>(x, y));
            let sums = _mm512_add_ps(sums, _mm512_permute_ps::<0b01_00_11_10>(sums));
            let sums = _mm512_add_ps(sums, _mm512_permute_ps::<0b10_11_00_01>(sums));
            std::mem::transmute::<__m128, [f32; 4]>(_mm512_castps512_ps128(_mm512_permutexvar_ps(firsts(), sums)))
        })
    }

    #[inline(always)]
    fn zero_i(self) -> Self::I {
        op!(_mm512_setzero_si512())
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        op!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn sum_i(self, a: Self::I) -> u32 {
        super::avx2::sum_i(fold_i(a))
    }
    #[inline(always)]
    fn sum4_i(self, a: [Self::I; 4]) -> [u32; 4] {
        op!({
            let halves =
                |x, y| _mm512_add_epi32(_mm512_shuffle_i32x4::<0x44>(x, y), _mm512_shuffle_i32x4::<0xee>(x, y));
            let (x, y) = (halves(a[0], a[1]), halves(a[2], a[3]));
            let sums = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(x, y), _mm512_shuffle_i32x4::<0xdd>(x, y));
            let sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32::<0b01_00_11_10>(sums));
            let sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32::<0b10_11_00_01>(sums));
            transmute::<__m128i, [u32; 4]>(_mm512_castsi512_si128(_mm512_permutexvar_epi32(firsts(), sums)))
        })
    }

    #[inline(always)]
    fn l2_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        let difference = op!(_mm512_sub_epi8(_mm512_max_epu8(q, r), _mm512_min_epu8(q, r)));
        self.subtract_squares(acc, difference)
    }
    #[inline(always)]
    fn l2_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        let difference = op!(_mm512_sub_epi8(_mm512_max_epi8(q, r), _mm512_min_epi8(q, r)));
        self.subtract_squares(acc, difference)
    }
    #[inline(always)]
    fn l2_total(self, acc: Self::I) -> Self::I {
        op!(_mm512_sub_epi32(_mm512_setzero_si512(), acc))
    }
    #[inline(always)]
    fn l1_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        op!(_mm512_add_epi32(acc, _mm512_sad_epu8(q, r)))
    }
    #[inline(always)]
    fn l1_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        self.l1_u8(acc, self.flip(q), self.flip(r))
    }

    #[inline(always)]
    fn dot_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        // (q - 128) * r; at most 4 * 128 * 255 a lane and step, so no lane overflows below 2^14 steps.
        op!(_mm512_dpbusd_epi32(acc, r, self.flip(q)))
    }
    #[inline(always)]
    fn dot_u8_row(self, side: Self::I, r: Self::B) -> Self::I {
        op!(_mm512_add_epi32(side, _mm512_sad_epu8(r, _mm512_setzero_si512())))
    }
    #[inline(always)]
    fn dot_u8_total(self, acc: Self::I, row: Self::I) -> Self::I {
        op!(_mm512_add_epi32(acc, _mm512_slli_epi32::<7>(row)))
    }
    #[inline(always)]
    fn dot_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        // q * (r + 128)
        op!(_mm512_dpbusd_epi32(acc, self.flip(r), q))
    }
    #[inline(always)]
    fn dot_i8_query(self, side: Self::I, q: Self::B) -> Self::I {
        // 128 * q
        op!(_mm512_dpbusd_epi32(side, _mm512_set1_epi8(i8::MIN), q))
    }
    #[inline(always)]
    fn dot_i8_total(self, acc: Self::I, query: Self::I) -> Self::I {
        op!(_mm512_sub_epi32(acc, query))
    }

    #[inline(always)]
    fn dot_nibbles(self, acc: Self::I, codes: Self::B, low: Self::B, high: Self::B) -> Self::I {
        op!({
            let mask = _mm512_set1_epi8(15);
            let acc = _mm512_dpbusd_epi32(acc, _mm512_and_si512(codes, mask), low);
            _mm512_dpbusd_epi32(acc, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), mask), high)
        })
    }
    #[inline(always)]
    fn dot_quarters(self, acc: Self::I, codes: Self::B, weights: [Self::B; 4]) -> Self::I {
        op!({
            let mask = _mm512_set1_epi8(3);
            let acc = _mm512_dpbusd_epi32(acc, _mm512_and_si512(codes, mask), weights[0]);
            let acc = _mm512_dpbusd_epi32(acc, _mm512_and_si512(_mm512_srli_epi16::<2>(codes), mask), weights[1]);
            let acc = _mm512_dpbusd_epi32(acc, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), mask), weights[2]);
            _mm512_dpbusd_epi32(acc, _mm512_and_si512(_mm512_srli_epi16::<6>(codes), mask), weights[3])
        })
    }

    #[inline(always)]
    fn count(self, acc: Self::I, a: Self::B) -> Self::I {
        op!(_mm512_add_epi32(acc, _mm512_popcnt_epi32(a)))
    }
    #[inline(always)]
    fn count_xor(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        self.count(acc, op!(_mm512_xor_si512(a, b)))
    }
    #[inline(always)]
    fn count_and(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        self.count(acc, op!(_mm512_and_si512(a, b)))
    }

    #[inline(always)]
    fn below(self, numbers: [f32; 4], edge: f32) -> u32 {
        super::avx2::below(numbers, edge)
    }
    #[inline(always)]
    fn put_in(self, before: [u64; 8], part: [u64; 8], number: u64) -> [u64; 8] {
        op!({
            let (before, part) = (transmute::<[u64; 8], __m512i>(before), transmute::<[u64; 8], __m512i>(part));
            let smaller = _mm512_min_epu64(part, _mm512_set1_epi64(number.cast_signed()));
            transmute::<__m512i, [u64; 8]>(_mm512_max_epu64(_mm512_alignr_epi64::<7>(part, before), smaller))
        })
    }
}
