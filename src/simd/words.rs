//! What does a level do with vectors that lie side by side, one per 32-bit lane?
//!
//! The bulk builder compares every vector of a small set with every other. There a lane belongs to a vector: a register holds one
//! *word* (4 bytes) of `LANES` vectors, another the same word of one vector in every lane, and after the last word each lane holds
//! that pair's result. No sum over lanes is needed, and as each lane adds in the order of the words, results are the same on every
//! level, floats too (which are multiplied and added separately).

use super::{Portable, Simd};

/// The operations of one level on words.
pub trait Words: Simd {
    /// Vectors side by side in a register.
    const LANES: usize = Self::BYTES / 4;
    /// What the words of vectors side by side are xored with where [`Words::dot`] needs it: VNNI multiplies unsigned by signed
    /// bytes only, and flipping the top bits adds 128 to each byte.
    const FLIP: u32;

    /// `LANES` words.
    /// # Safety
    /// - `BYTES` bytes at `p` are readable.
    unsafe fn load(self, p: *const u32) -> Self::I;
    /// Writes `LANES` words.
    /// # Safety
    /// - `BYTES` bytes at `p` are writable.
    unsafe fn store(self, p: *mut u32, a: Self::I);
    /// The same word in every lane.
    fn splat(self, word: u32) -> Self::I;
    /// `a - b`, wrapping.
    fn sub(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a * b`, the lower 32 bits.
    fn mul(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a * 512`, the lower 32 bits.
    fn times_512(self, a: Self::I) -> Self::I;
    /// The lesser, unsigned.
    fn min(self, a: Self::I, b: Self::I) -> Self::I;
    /// The least of the lanes, unsigned.
    fn least(self, a: Self::I) -> u32;
    /// One bit per lane: whether `a <= b`, unsigned.
    fn at_most(self, a: Self::I, b: Self::I) -> u32;
    /// `a` where it is not `b`, else all ones.
    fn without(self, a: Self::I, b: Self::I) -> Self::I;

    /// Adds the products of the four signed bytes of each lane. The bytes of `side` are flipped by [`Words::FLIP`], those of `word`
    /// are not, and then 128 times the sum of the bytes of `word` is added, too.
    fn dot(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I;
    /// Adds the absolute differences of the four unsigned bytes of each lane.
    fn distance(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I;
    /// Adds the bits that are set in each lane.
    fn bits(self, acc: Self::I, a: Self::I) -> Self::I;
    /// `a & b`
    fn and(self, a: Self::I, b: Self::I) -> Self::I;
    /// `a ^ b`
    fn xor(self, a: Self::I, b: Self::I) -> Self::I;
    /// Lanes as floats, bit for bit.
    fn as_f(self, a: Self::I) -> Self::F;
    /// Floats as lanes, bit for bit.
    fn as_i(self, a: Self::F) -> Self::I;
    /// `a * b`, rounded.
    fn mul_f(self, a: Self::F, b: Self::F) -> Self::F;

    /// Writes 16 words of 16 vectors, word by word: those of vector `v` go to `out[v]`, `out[16 + v]` and on, xored with `flip`.
    /// # Safety
    /// - 64 bytes at every one of `vectors` are readable, and 1,024 at `out` are writable.
    #[inline(always)]
    unsafe fn turn(self, vectors: [*const u32; 16], flip: u32, out: *mut u32) {
        for (v, vector) in vectors.into_iter().enumerate() {
            for word in 0..16 {
                // SAFETY: the caller vouches for 16 words here and 256 there.
                unsafe { out.add(16 * word + v).write(vector.add(word).read() ^ flip) };
            }
        }
    }

    /// One bit per place: whether the number there is `value`.
    #[inline(always)]
    fn same(self, all: &[u16; 64], value: u16) -> u64 {
        let mut mask = 0;
        for (i, &one) in all.iter().enumerate() {
            mask |= u64::from(one == value) << i;
        }
        mask
    }

    /// One bit per place: whether `a` is above `b` there, unsigned.
    #[inline(always)]
    fn above(self, a: &[u32; 16], b: &[u32; 16]) -> u32 {
        let mut mask = 0;
        for at in (0..16).step_by(Self::LANES) {
            // SAFETY: 16 is a multiple of the lanes, so both have as many words from `at` on.
            let (a, b) = unsafe { (self.load(a.as_ptr().add(at)), self.load(b.as_ptr().add(at))) };
            mask |= self.at_most(a, b) << at;
        }
        !mask & 0xffff
    }

    /// Writes the lanes of `values` that are at most `bound`, and the number of their column, behind each other, and says how many
    /// they were.
    /// # Safety
    /// - `BYTES` bytes are writable at `out` and at `columns`.
    #[inline(always)]
    unsafe fn keep(self, values: Self::I, bound: Self::I, first: u32, out: *mut u32, columns: *mut u32) -> usize {
        let mut mask = self.at_most(values, bound);
        let mut lanes = [0u32; 16];
        // SAFETY: the array has room for the widest register.
        unsafe { self.store(lanes.as_mut_ptr(), values) };
        let mut kept = 0;
        while mask != 0 {
            let lane = mask.trailing_zeros();
            // SAFETY: at most LANES values are kept, for which there is room.
            unsafe {
                out.add(kept).write(lanes[lane as usize]);
                columns.add(kept).write(first + lane);
            }
            kept += 1;
            mask &= mask - 1;
        }
        kept
    }
}

fn each(mut a: [u32; 4], b: [u32; 4], f: impl Fn(u32, u32) -> u32) -> [u32; 4] {
    for i in 0..4 {
        a[i] = f(a[i], b[i]);
    }
    a
}

impl Words for Portable {
    const FLIP: u32 = 0;

    #[inline(always)]
    unsafe fn load(self, p: *const u32) -> Self::I {
        // SAFETY: the caller vouches for 16 readable bytes.
        unsafe { super::read(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u32, a: Self::I) {
        // SAFETY: the caller vouches for 16 writable bytes.
        unsafe { p.cast::<[u32; 4]>().write_unaligned(a) };
    }
    #[inline(always)]
    fn splat(self, word: u32) -> Self::I {
        [word; 4]
    }
    #[inline(always)]
    fn sub(self, a: Self::I, b: Self::I) -> Self::I {
        each(a, b, u32::wrapping_sub)
    }
    #[inline(always)]
    fn mul(self, a: Self::I, b: Self::I) -> Self::I {
        each(a, b, u32::wrapping_mul)
    }
    #[inline(always)]
    fn times_512(self, a: Self::I) -> Self::I {
        a.map(
            #[inline(always)]
            |a| a << 9,
        )
    }
    #[inline(always)]
    fn min(self, a: Self::I, b: Self::I) -> Self::I {
        each(a, b, u32::min)
    }
    #[inline(always)]
    fn least(self, a: Self::I) -> u32 {
        a[0].min(a[1]).min(a[2].min(a[3]))
    }
    #[inline(always)]
    fn at_most(self, a: Self::I, b: Self::I) -> u32 {
        (0..4).fold(0, |mask, i| mask | u32::from(a[i] <= b[i]) << i)
    }
    #[inline(always)]
    fn without(self, a: Self::I, b: Self::I) -> Self::I {
        each(a, b, |a, b| if a == b { u32::MAX } else { a })
    }
    #[inline(always)]
    fn dot(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
        let mut sums = acc;
        for i in 0..4 {
            let (a, b) = (side[i].to_ne_bytes(), word[i].to_ne_bytes());
            for byte in 0..4 {
                let product = i32::from(a[byte].cast_signed()) * i32::from(b[byte].cast_signed());
                sums[i] = sums[i].wrapping_add(product.cast_unsigned());
            }
        }
        sums
    }
    #[inline(always)]
    fn distance(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
        let mut sums = acc;
        for i in 0..4 {
            let (a, b) = (side[i].to_ne_bytes(), word[i].to_ne_bytes());
            for byte in 0..4 {
                sums[i] += u32::from(a[byte].abs_diff(b[byte]));
            }
        }
        sums
    }
    #[inline(always)]
    fn bits(self, acc: Self::I, a: Self::I) -> Self::I {
        each(acc, a, |acc, a| acc + a.count_ones())
    }
    #[inline(always)]
    fn and(self, a: Self::I, b: Self::I) -> Self::I {
        each(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn xor(self, a: Self::I, b: Self::I) -> Self::I {
        each(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn as_f(self, a: Self::I) -> Self::F {
        a.map(f32::from_bits)
    }
    #[inline(always)]
    fn as_i(self, a: Self::F) -> Self::I {
        a.map(f32::to_bits)
    }
    #[inline(always)]
    fn mul_f(self, a: Self::F, b: Self::F) -> Self::F {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Words;
    use crate::simd::{Avx2, Avx512, read};
    use std::arch::x86_64::*;

    /// An expression of intrinsics that touch no memory.
    macro_rules! op {
        ($e:expr) => {{
            // SAFETY: the token in `self` is made only by `new`, which has checked that the machine has the instructions, and they
            // touch nothing but registers.
            unsafe { $e }
        }};
    }

    impl Words for Avx512 {
        const FLIP: u32 = 0x8080_8080;

        #[inline(always)]
        unsafe fn load(self, p: *const u32) -> Self::I {
            // SAFETY: token; the caller vouches for 64 readable bytes.
            unsafe { read(p.cast()) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut u32, a: Self::I) {
            // SAFETY: token; the caller vouches for 64 writable bytes.
            unsafe { p.cast::<__m512i>().write_unaligned(a) };
        }
        #[inline(always)]
        fn splat(self, word: u32) -> Self::I {
            op!(_mm512_set1_epi32(word.cast_signed()))
        }
        #[inline(always)]
        fn sub(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm512_sub_epi32(a, b))
        }
        #[inline(always)]
        fn mul(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm512_mullo_epi32(a, b))
        }
        #[inline(always)]
        fn times_512(self, a: Self::I) -> Self::I {
            op!(_mm512_slli_epi32::<9>(a))
        }
        #[inline(always)]
        fn min(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm512_min_epu32(a, b))
        }
        #[inline(always)]
        fn least(self, a: Self::I) -> u32 {
            op!(_mm512_reduce_min_epu32(a))
        }
        #[inline(always)]
        fn at_most(self, a: Self::I, b: Self::I) -> u32 {
            u32::from(op!(_mm512_cmple_epu32_mask(a, b)))
        }
        #[inline(always)]
        fn without(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm512_mask_mov_epi32(a, _mm512_cmpeq_epi32_mask(a, b), _mm512_set1_epi32(-1)))
        }
        #[inline(always)]
        fn dot(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
            op!(_mm512_dpbusd_epi32(acc, side, word))
        }
        #[inline(always)]
        fn distance(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
            op!({
                let difference = _mm512_sub_epi8(_mm512_max_epu8(side, word), _mm512_min_epu8(side, word));
                _mm512_dpbusd_epi32(acc, difference, _mm512_set1_epi8(1))
            })
        }
        #[inline(always)]
        fn bits(self, acc: Self::I, a: Self::I) -> Self::I {
            op!(_mm512_add_epi32(acc, _mm512_popcnt_epi32(a)))
        }
        #[inline(always)]
        fn and(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm512_and_si512(a, b))
        }
        #[inline(always)]
        fn xor(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm512_xor_si512(a, b))
        }
        #[inline(always)]
        fn as_f(self, a: Self::I) -> Self::F {
            op!(_mm512_castsi512_ps(a))
        }
        #[inline(always)]
        fn as_i(self, a: Self::F) -> Self::I {
            op!(_mm512_castps_si512(a))
        }
        #[inline(always)]
        fn mul_f(self, a: Self::F, b: Self::F) -> Self::F {
            op!(_mm512_mul_ps(a, b))
        }
        #[inline(always)]
        unsafe fn turn(self, vectors: [*const u32; 16], flip: u32, out: *mut u32) {
            op!({
                // Squares of 1, 2, 4 and 8 words change places with those across the diagonal; four registers at a time.
                let flip = _mm512_set1_epi32(flip.cast_signed());
                let mut a = [flip; 16];
                for v in 0..16 {
                    // 64 bytes of a vector are readable, by the caller's promise.
                    a[v] = _mm512_xor_si512(read(vectors[v].cast()), flip);
                }
                let mut b = a;
                for i in 0..8 {
                    b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
                    b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
                }
                for i in 0..4 {
                    a[4 * i] = _mm512_unpacklo_epi64(b[4 * i], b[4 * i + 2]);
                    a[4 * i + 1] = _mm512_unpackhi_epi64(b[4 * i], b[4 * i + 2]);
                    a[4 * i + 2] = _mm512_unpacklo_epi64(b[4 * i + 1], b[4 * i + 3]);
                    a[4 * i + 3] = _mm512_unpackhi_epi64(b[4 * i + 1], b[4 * i + 3]);
                }
                for i in 0..4 {
                    b[i] = _mm512_shuffle_i32x4::<0x88>(a[i], a[i + 4]);
                    b[i + 4] = _mm512_shuffle_i32x4::<0xdd>(a[i], a[i + 4]);
                    b[i + 8] = _mm512_shuffle_i32x4::<0x88>(a[i + 8], a[i + 12]);
                    b[i + 12] = _mm512_shuffle_i32x4::<0xdd>(a[i + 8], a[i + 12]);
                }
                for i in 0..8 {
                    let (low, high) = (b[i], b[i + 8]);
                    // 64 bytes for each word of 16 are writable, by the caller's promise.
                    let to = |word: usize| out.add(16 * word).cast::<__m512i>();
                    to(i).write_unaligned(_mm512_shuffle_i32x4::<0x88>(low, high));
                    to(i + 8).write_unaligned(_mm512_shuffle_i32x4::<0xdd>(low, high));
                }
            });
        }
        #[inline(always)]
        fn same(self, all: &[u16; 64], value: u16) -> u64 {
            // SAFETY: token; 64 bytes at the start and in the middle of 128.
            unsafe {
                let value = _mm512_set1_epi16(value.cast_signed());
                let (low, high): (__m512i, __m512i) = (read(all.as_ptr().cast()), read(all.as_ptr().add(32).cast()));
                let low = _mm512_cmpeq_epi16_mask(low, value);
                u64::from(low) | u64::from(_mm512_cmpeq_epi16_mask(high, value)) << 32
            }
        }
        #[inline(always)]
        unsafe fn keep(self, values: Self::I, bound: Self::I, first: u32, out: *mut u32, columns: *mut u32) -> usize {
            op!({
                let mask = _mm512_cmple_epu32_mask(values, bound);
                let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let lanes = _mm512_add_epi32(lanes, _mm512_set1_epi32(first.cast_signed()));
                // Compressed in a register and stored whole: compressing stores are slow on some machines. The caller vouches for 64
                // writable bytes at both places.
                out.cast::<__m512i>().write_unaligned(_mm512_maskz_compress_epi32(mask, values));
                columns.cast::<__m512i>().write_unaligned(_mm512_maskz_compress_epi32(mask, lanes));
                mask.count_ones() as usize
            })
        }
    }

    impl Words for Avx2 {
        const FLIP: u32 = 0;

        #[inline(always)]
        unsafe fn load(self, p: *const u32) -> Self::I {
            // SAFETY: token; the caller vouches for 32 readable bytes.
            unsafe { read(p.cast()) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut u32, a: Self::I) {
            // SAFETY: token; the caller vouches for 32 writable bytes.
            unsafe { p.cast::<__m256i>().write_unaligned(a) };
        }
        #[inline(always)]
        fn splat(self, word: u32) -> Self::I {
            op!(_mm256_set1_epi32(word.cast_signed()))
        }
        #[inline(always)]
        fn sub(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm256_sub_epi32(a, b))
        }
        #[inline(always)]
        fn mul(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm256_mullo_epi32(a, b))
        }
        #[inline(always)]
        fn times_512(self, a: Self::I) -> Self::I {
            op!(_mm256_slli_epi32::<9>(a))
        }
        #[inline(always)]
        fn min(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm256_min_epu32(a, b))
        }
        #[inline(always)]
        fn least(self, a: Self::I) -> u32 {
            op!({
                let a = _mm_min_epu32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
                let a = _mm_min_epu32(a, _mm_shuffle_epi32::<0b01_00_11_10>(a));
                _mm_cvtsi128_si32(_mm_min_epu32(a, _mm_shuffle_epi32::<0b10_11_00_01>(a))).cast_unsigned()
            })
        }
        #[inline(always)]
        fn at_most(self, a: Self::I, b: Self::I) -> u32 {
            op!({
                let lesser = _mm256_cmpeq_epi32(_mm256_min_epu32(a, b), a);
                _mm256_movemask_ps(_mm256_castsi256_ps(lesser)).cast_unsigned()
            })
        }
        #[inline(always)]
        fn without(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm256_or_si256(a, _mm256_cmpeq_epi32(a, b)))
        }
        #[inline(always)]
        fn dot(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
            op!({
                let even = |a| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(a));
                let odd = |a| _mm256_srai_epi16::<8>(a);
                let acc = _mm256_add_epi32(acc, _mm256_madd_epi16(even(side), even(word)));
                _mm256_add_epi32(acc, _mm256_madd_epi16(odd(side), odd(word)))
            })
        }
        #[inline(always)]
        fn distance(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
            op!({
                let difference = _mm256_sub_epi8(_mm256_max_epu8(side, word), _mm256_min_epu8(side, word));
                let pairs = _mm256_maddubs_epi16(difference, _mm256_set1_epi8(1)); // at most 510: no saturation
                _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            })
        }
        #[inline(always)]
        fn bits(self, acc: Self::I, a: Self::I) -> Self::I {
            op!({
                let table = _mm256_setr_epi8(
                    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                );
                let low = _mm256_set1_epi8(0x0f);
                let lower = _mm256_shuffle_epi8(table, _mm256_and_si256(a, low));
                let upper = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(a), low));
                let pairs = _mm256_maddubs_epi16(_mm256_add_epi8(lower, upper), _mm256_set1_epi8(1));
                _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            })
        }
        #[inline(always)]
        fn and(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm256_and_si256(a, b))
        }
        #[inline(always)]
        fn xor(self, a: Self::I, b: Self::I) -> Self::I {
            op!(_mm256_xor_si256(a, b))
        }
        #[inline(always)]
        fn as_f(self, a: Self::I) -> Self::F {
            op!(_mm256_castsi256_ps(a))
        }
        #[inline(always)]
        fn as_i(self, a: Self::F) -> Self::I {
            op!(_mm256_castps_si256(a))
        }
        #[inline(always)]
        fn mul_f(self, a: Self::F, b: Self::F) -> Self::F {
            op!(_mm256_mul_ps(a, b))
        }
        #[inline(always)]
        fn same(self, all: &[u16; 64], value: u16) -> u64 {
            let mut mask = 0;
            for at in (0..64).step_by(32) {
                // SAFETY: token; 64 bytes from places 0 and 32 of 64 numbers.
                mask |= u64::from(unsafe {
                    let value = _mm256_set1_epi16(value.cast_signed());
                    let (low, high): (__m256i, __m256i) =
                        (read(all.as_ptr().add(at).cast()), read(all.as_ptr().add(at + 16).cast()));
                    let both = _mm256_packs_epi16(_mm256_cmpeq_epi16(low, value), _mm256_cmpeq_epi16(high, value));
                    _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(both)).cast_unsigned()
                }) << at;
            }
            mask
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Words;
    use crate::simd::Neon;
    use std::arch::aarch64::*;

    /// An expression of intrinsics that touch no memory.
    macro_rules! op {
        ($e:expr) => {{
            // SAFETY: NEON is part of the base instruction set of aarch64, and these touch nothing but registers.
            unsafe { $e }
        }};
    }

    impl Words for Neon {
        const FLIP: u32 = 0;

        #[inline(always)]
        unsafe fn load(self, p: *const u32) -> Self::I {
            // SAFETY: the caller vouches for 16 readable bytes.
            unsafe { vld1q_u32(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut u32, a: Self::I) {
            // SAFETY: the caller vouches for 16 writable bytes.
            unsafe { vst1q_u32(p, a) };
        }
        #[inline(always)]
        fn splat(self, word: u32) -> Self::I {
            op!(vdupq_n_u32(word))
        }
        #[inline(always)]
        fn sub(self, a: Self::I, b: Self::I) -> Self::I {
            op!(vsubq_u32(a, b))
        }
        #[inline(always)]
        fn mul(self, a: Self::I, b: Self::I) -> Self::I {
            op!(vmulq_u32(a, b))
        }
        #[inline(always)]
        fn times_512(self, a: Self::I) -> Self::I {
            op!(vshlq_n_u32::<9>(a))
        }
        #[inline(always)]
        fn min(self, a: Self::I, b: Self::I) -> Self::I {
            op!(vminq_u32(a, b))
        }
        #[inline(always)]
        fn least(self, a: Self::I) -> u32 {
            op!(vminvq_u32(a))
        }
        #[inline(always)]
        fn at_most(self, a: Self::I, b: Self::I) -> u32 {
            op!({
                let bits = std::mem::transmute::<[u32; 4], uint32x4_t>([1, 2, 4, 8]);
                vaddvq_u32(vandq_u32(vcleq_u32(a, b), bits))
            })
        }
        #[inline(always)]
        fn without(self, a: Self::I, b: Self::I) -> Self::I {
            op!(vorrq_u32(a, vceqq_u32(a, b)))
        }
        #[inline(always)]
        fn dot(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
            op!({
                let (a, b) = (vreinterpretq_s8_u32(side), vreinterpretq_s8_u32(word));
                let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
                let high = vpaddlq_s16(vmull_high_s8(a, b));
                vaddq_u32(acc, vreinterpretq_u32_s32(vpaddq_s32(low, high)))
            })
        }
        #[inline(always)]
        fn distance(self, acc: Self::I, side: Self::I, word: Self::I) -> Self::I {
            op!(vpadalq_u16(acc, vpaddlq_u8(vabdq_u8(vreinterpretq_u8_u32(side), vreinterpretq_u8_u32(word)))))
        }
        #[inline(always)]
        fn bits(self, acc: Self::I, a: Self::I) -> Self::I {
            op!(vpadalq_u16(acc, vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u32(a)))))
        }
        #[inline(always)]
        fn and(self, a: Self::I, b: Self::I) -> Self::I {
            op!(vandq_u32(a, b))
        }
        #[inline(always)]
        fn xor(self, a: Self::I, b: Self::I) -> Self::I {
            op!(veorq_u32(a, b))
        }
        #[inline(always)]
        fn as_f(self, a: Self::I) -> Self::F {
            op!(vreinterpretq_f32_u32(a))
        }
        #[inline(always)]
        fn as_i(self, a: Self::F) -> Self::I {
            op!(vreinterpretq_u32_f32(a))
        }
        #[inline(always)]
        fn mul_f(self, a: Self::F, b: Self::F) -> Self::F {
            op!(vmulq_f32(a, b))
        }
    }
}
