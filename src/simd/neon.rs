//! How do kernels run on 64-bit Arm?
//!
//! With its base instruction set, so every such machine has this level. Bytes are multiplied by the widening
//! instructions; `udot` would halve the work but is an extension.

use std::arch::aarch64::*;

use super::{Level, Simd, read};

/// Token of [`Level::Neon`].
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

/// An expression of intrinsics that touch no memory.
macro_rules! op {
    ($e:expr) => {{
        // SAFETY: NEON is part of the base instruction set of aarch64, and these touch nothing but registers.
        unsafe { $e }
    }};
}

/// Bits set in each byte, summed into four counters.
#[inline(always)]
fn add_counts(acc: uint32x4_t, counts: uint8x16_t) -> uint32x4_t {
    op!(vpadalq_u16(acc, vpaddlq_u8(counts)))
}

impl Simd for Neon {
    const LEVEL: Level = Level::Neon;
    const BYTES: usize = 16;
    const TILE: (usize, usize) = (3, 4);
    type F = float32x4_t;
    type I = uint32x4_t;
    type B = uint8x16_t;

    fn new() -> Option<Self> {
        Some(Self(()))
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 16 readable bytes; loading as bytes asks for no alignment.
        unsafe { vreinterpretq_f32_u8(vld1q_u8(p)) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 8 readable bytes.
        let halves = unsafe { vld1_u8(p) };
        let floats: float32x4_t;
        // The intrinsic needs the type f16, which stable Rust has not.
        // SAFETY: one base instruction from one register to another.
        unsafe {
            std::arch::asm!("fcvtl {f:v}.4s, {h:v}.4h", f = lateout(vreg) floats, h = in(vreg) halves,
                options(pure, nomem, nostack, preserves_flags));
        }
        floats
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 8 readable bytes.
        let upper = unsafe { vreinterpret_u16_u8(vld1_u8(p)) };
        op!(vreinterpretq_f32_u32(vshll_n_u16::<16>(upper)))
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 4 readable bytes.
        let bytes = unsafe { vreinterpret_u8_u32(vdup_n_u32(read(p))) };
        op!(vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes)))))
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 4 readable bytes.
        let bytes = unsafe { vreinterpret_s8_u32(vdup_n_u32(read(p))) };
        op!(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))))
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> Self::B {
        // SAFETY: the caller vouches for 16 readable bytes.
        unsafe { vld1q_u8(p) }
    }

    #[inline(always)]
    fn zero_f(self) -> Self::F {
        op!(vdupq_n_f32(0.0))
    }
    #[inline(always)]
    fn add_f(self, a: Self::F, b: Self::F) -> Self::F {
        op!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub_f(self, a: Self::F, b: Self::F) -> Self::F {
        op!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul_add_f(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        op!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn abs_f(self, a: Self::F) -> Self::F {
        op!(vabsq_f32(a))
    }
    #[inline(always)]
    fn sum_f(self, a: Self::F) -> f32 {
        op!(vaddvq_f32(a))
    }
    #[inline(always)]
    fn sum4_f(self, a: [Self::F; 4]) -> [f32; 4] {
        op!({
            let sums = vpaddq_f32(vpaddq_f32(a[0], a[1]), vpaddq_f32(a[2], a[3]));
            std::mem::transmute::<float32x4_t, [f32; 4]>(sums)
        })
    }

    #[inline(always)]
    fn zero_i(self) -> Self::I {
        op!(vdupq_n_u32(0))
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        op!(vaddq_u32(a, b))
    }
    #[inline(always)]
    fn sum_i(self, a: Self::I) -> u32 {
        op!(vaddvq_u32(a))
    }
    #[inline(always)]
    fn sum4_i(self, a: [Self::I; 4]) -> [u32; 4] {
        op!({
            let sums = vpaddq_u32(vpaddq_u32(a[0], a[1]), vpaddq_u32(a[2], a[3]));
            std::mem::transmute::<uint32x4_t, [u32; 4]>(sums)
        })
    }

    #[inline(always)]
    fn l2_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        let difference = op!(vabdq_u8(q, r));
        self.dot_u8(acc, difference, difference)
    }
    #[inline(always)]
    fn l2_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        let difference = op!(vreinterpretq_u8_s8(vabdq_s8(vreinterpretq_s8_u8(q), vreinterpretq_s8_u8(r))));
        self.dot_u8(acc, difference, difference)
    }
    #[inline(always)]
    fn l1_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        add_counts(acc, op!(vabdq_u8(q, r)))
    }
    #[inline(always)]
    fn l1_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        add_counts(acc, op!(vreinterpretq_u8_s8(vabdq_s8(vreinterpretq_s8_u8(q), vreinterpretq_s8_u8(r)))))
    }
    #[inline(always)]
    fn dot_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        op!({
            let acc = vpadalq_u16(acc, vmull_u8(vget_low_u8(q), vget_low_u8(r)));
            vpadalq_u16(acc, vmull_high_u8(q, r))
        })
    }
    #[inline(always)]
    fn dot_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        op!({
            let (q, r) = (vreinterpretq_s8_u8(q), vreinterpretq_s8_u8(r));
            let acc = vpadalq_s16(vreinterpretq_s32_u32(acc), vmull_s8(vget_low_s8(q), vget_low_s8(r)));
            vreinterpretq_u32_s32(vpadalq_s16(acc, vmull_high_s8(q, r)))
        })
    }

    #[inline(always)]
    fn dot_nibbles(self, acc: Self::I, codes: Self::B, low: Self::B, high: Self::B) -> Self::I {
        let (lows, highs) = op!((vandq_u8(codes, vdupq_n_u8(15)), vshrq_n_u8::<4>(codes)));
        self.dot_i8(self.dot_i8(acc, low, lows), high, highs)
    }
    #[inline(always)]
    fn dot_quarters(self, acc: Self::I, codes: Self::B, weights: [Self::B; 4]) -> Self::I {
        let mask = op!(vdupq_n_u8(3));
        let acc = self.dot_i8(acc, weights[0], op!(vandq_u8(codes, mask)));
        let acc = self.dot_i8(acc, weights[1], op!(vandq_u8(vshrq_n_u8::<2>(codes), mask)));
        let acc = self.dot_i8(acc, weights[2], op!(vandq_u8(vshrq_n_u8::<4>(codes), mask)));
        self.dot_i8(acc, weights[3], op!(vshrq_n_u8::<6>(codes)))
    }

    #[inline(always)]
    fn count(self, acc: Self::I, a: Self::B) -> Self::I {
        add_counts(acc, op!(vcntq_u8(a)))
    }
    #[inline(always)]
    fn count_xor(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        self.count(acc, op!(veorq_u8(a, b)))
    }
    #[inline(always)]
    fn count_and(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        self.count(acc, op!(vandq_u8(a, b)))
    }
}
