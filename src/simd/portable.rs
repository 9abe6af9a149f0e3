//! How do kernels run on a machine of which nothing is known?
//!
//! Plain arrays of a 16-byte register's size, which compilers turn into whatever vector instructions the target's
//! base set has. Multiplies and adds are rounded separately: a fused one would be a library call on old x86.

use super::half::{bf16_to_f32, f16_to_f32};
use super::{Level, Simd, read};

/// Token of [`Level::Portable`].
#[derive(Clone, Copy, Debug)]
pub struct Portable(());

/// A lane-wise function of two registers.
#[inline(always)]
fn zip<T: Copy, const N: usize>(mut a: [T; N], b: [T; N], f: impl Fn(T, T) -> T) -> [T; N] {
    for i in 0..N {
        a[i] = f(a[i], b[i]);
    }
    a
}

/// Adds `f` of each pair of bytes to a counter. Every fourth byte shares one, so that four neighbours are one vector
/// operation.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "one index for three arrays")]
fn fold(mut acc: [u32; 4], q: [u8; 16], r: [u8; 16], f: impl Fn(u8, u8) -> i32) -> [u32; 4] {
    for group in 0..4 {
        for lane in 0..4 {
            let i = 4 * group + lane;
            acc[lane] = acc[lane].wrapping_add(f(q[i], r[i]).cast_unsigned());
        }
    }
    acc
}

/// Adds the number of bits set, register by register of 32 bits.
#[inline(always)]
fn count_bits(mut acc: [u32; 4], a: [u8; 16]) -> [u32; 4] {
    for i in 0..4 {
        acc[i] += u32::from_ne_bytes([a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]]).count_ones();
    }
    acc
}

impl Simd for Portable {
    const LEVEL: Level = Level::Portable;
    const BYTES: usize = 16;
    const TILE: (usize, usize) = (1, 4);
    type F = [f32; 4];
    type I = [u32; 4];
    type B = [u8; 16];

    fn new() -> Option<Self> {
        Some(Self(()))
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 16 readable bytes; any bits are floats.
        unsafe { read(p) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 8 readable bytes.
        unsafe { read::<[u16; 4]>(p) }.map(f16_to_f32)
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 8 readable bytes.
        unsafe { read::<[u16; 4]>(p) }.map(bf16_to_f32)
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 4 readable bytes.
        unsafe { read::<[u8; 4]>(p) }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_i8(self, p: *const u8) -> Self::F {
        // SAFETY: the caller vouches for 4 readable bytes.
        unsafe { read::<[i8; 4]>(p) }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> Self::B {
        // SAFETY: the caller vouches for 16 readable bytes.
        unsafe { read(p) }
    }

    #[inline(always)]
    fn zero_f(self) -> Self::F {
        [0.0; 4]
    }
    #[inline(always)]
    fn add_f(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub_f(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul_add_f(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        zip(zip(a, b, |a, b| a * b), c, |ab, c| ab + c)
    }
    #[inline(always)]
    fn abs_f(self, a: Self::F) -> Self::F {
        a.map(f32::abs)
    }
    #[inline(always)]
    fn sum_f(self, a: Self::F) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }

    #[inline(always)]
    fn zero_i(self) -> Self::I {
        [0; 4]
    }
    #[inline(always)]
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn sum_i(self, a: Self::I) -> u32 {
        a.into_iter().fold(0, u32::wrapping_add)
    }

    #[inline(always)]
    fn l2_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        fold(acc, q, r, |q, r| (i32::from(q) - i32::from(r)).pow(2))
    }
    #[inline(always)]
    fn l2_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        fold(acc, q, r, |q, r| (i32::from(q.cast_signed()) - i32::from(r.cast_signed())).pow(2))
    }
    #[inline(always)]
    fn l1_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        fold(acc, q, r, |q, r| i32::from(q.abs_diff(r)))
    }
    #[inline(always)]
    fn l1_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        fold(acc, q, r, |q, r| i32::from(q.cast_signed().abs_diff(r.cast_signed())))
    }
    #[inline(always)]
    fn dot_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        fold(acc, q, r, |q, r| i32::from(q) * i32::from(r))
    }
    #[inline(always)]
    fn dot_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I {
        fold(acc, q, r, |q, r| i32::from(q.cast_signed()) * i32::from(r.cast_signed()))
    }

    #[inline(always)]
    fn dot_nibbles(self, acc: Self::I, codes: Self::B, low: Self::B, high: Self::B) -> Self::I {
        let acc = fold(acc, low, codes, |q, code| i32::from(q.cast_signed()) * i32::from(code & 15));
        fold(acc, high, codes, |q, code| i32::from(q.cast_signed()) * i32::from(code >> 4))
    }
    #[inline(always)]
    fn dot_quarters(self, acc: Self::I, codes: Self::B, weights: [Self::B; 4]) -> Self::I {
        let acc = fold(acc, weights[0], codes, |q, code| i32::from(q.cast_signed()) * i32::from(code & 3));
        let acc = fold(acc, weights[1], codes, |q, code| i32::from(q.cast_signed()) * i32::from(code >> 2 & 3));
        let acc = fold(acc, weights[2], codes, |q, code| i32::from(q.cast_signed()) * i32::from(code >> 4 & 3));
        fold(acc, weights[3], codes, |q, code| i32::from(q.cast_signed()) * i32::from(code >> 6))
    }

    #[inline(always)]
    fn count(self, acc: Self::I, a: Self::B) -> Self::I {
        count_bits(acc, a)
    }
    #[inline(always)]
    fn count_xor(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        count_bits(acc, zip(a, b, |a, b| a ^ b))
    }
    #[inline(always)]
    fn count_and(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I {
        count_bits(acc, zip(a, b, |a, b| a & b))
    }
}
