//! Which vector instructions may this process use, and what can each instruction set do?
//!
//! A [`Level`] names an instruction set. [`detect`] chooses one, once per process. For each level there is one
//! zero-sized *token* type (`Portable`, `Avx2`, ...) that implements [`Simd`]: the handful of vector operations the
//! distance kernels are written with. A token exists only where the machine has the instructions, so code that
//! holds one may use them.
//!
//! # The rule that keeps this fast
//!
//! Methods here are `#[inline(always)]` and carry no `#[target_feature]`; the feature sits only on the outermost
//! function (`distance::run`). One function in between that is not inlined turns every instruction into a call that
//! passes vectors through memory: measured 70 to 80 times slower, without a warning. A test in `tests/kernels.rs` looks
//! for such calls in its own binary.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod half;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod words;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use portable::Portable;
pub use words::Words;

use std::fmt::Debug;
use std::sync::OnceLock;

/// An instruction set that kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Plain Rust, any machine.
    Portable,
    /// x86-64 with AVX2, FMA, F16C and POPCNT (2013 and later).
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL, VNNI and VPOPCNTDQ (Ice Lake, Zen 4 and later).
    Avx512,
    /// 64-bit Arm; part of its base instruction set.
    Neon,
}

impl Level {
    /// Every level, present on this machine or not.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Neon];

    /// Its name, as `KITH_CPU` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Whether this machine can run it, whatever `KITH_CPU` says.
    pub fn is_available(self) -> bool {
        available().contains(&self)
    }

    /// The next lower level of the same family.
    fn below(self) -> Option<Self> {
        match self {
            Self::Portable => None,
            Self::Avx2 | Self::Neon => Some(Self::Portable),
            Self::Avx512 => Some(Self::Avx2),
        }
    }
}

/// The levels this machine can run, lowest first.
pub fn available() -> &'static [Level] {
    static FOUND: OnceLock<Vec<Level>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if avx2::present() {
                found.push(Level::Avx2);
            }
            if avx2::present() && avx512::present() {
                found.push(Level::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Level::Neon);
        found
    })
}

/// The level this process uses: the best available, capped by the environment variable `KITH_CPU`. Chosen once.
pub fn detect() -> Level {
    static CHOSEN: OnceLock<Level> = OnceLock::new();
    *CHOSEN.get_or_init(|| cap(std::env::var("KITH_CPU").ok().as_deref(), available()))
}

/// The best of `present` that `wish` allows: empty or unknown wishes are ignored, a level that is missing means the
/// best one below it.
fn cap(wish: Option<&str>, present: &[Level]) -> Level {
    let best = present.last().copied().unwrap_or(Level::Portable);
    let Some(mut level) = Level::ALL.into_iter().find(|l| Some(l.name()) == wish) else { return best };
    while !present.contains(&level) {
        level = level.below().unwrap_or(Level::Portable);
    }
    level
}

/// A register's content at any address.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Unaligned<T>(T);

/// A register's content from memory, as a plain read: the load intrinsics are functions with checks of their own, which
/// a build with debug assertions leaves as calls.
/// # Safety
/// - `T` is a register or an array of numbers, of which any bits are a value.
/// - `size_of::<T>()` bytes at `p` are readable.
#[inline(always)]
unsafe fn read<T: Copy>(p: *const u8) -> T {
    // SAFETY: the caller's promise; a packed struct asks for no alignment.
    unsafe { (*p.cast::<Unaligned<T>>()).0 }
}

/// The vector operations of one level. `Self` is the token that proves the machine has them.
///
/// Vectors of unnamed width: `F` holds `BYTES / 4` floats, `I` as many 32-bit counters, `B` holds `BYTES` bytes.
/// Every counter wraps modulo 2^32; the kernels see to it that the totals fit.
///
/// Loads are the only unsafe methods. They need no alignment.
pub trait Simd: Copy + Debug + Send + Sync + 'static {
    /// The level this is.
    const LEVEL: Level;
    /// Bytes of one register.
    const BYTES: usize;
    /// Queries x rows of the register tile for kernels with two accumulators per pair.
    const TILE: (usize, usize);

    /// Up to how many numbers [`Self::put_in`] puts one into a sorted row sooner than a search for its place and a move of what is behind it.
    const PUT_IN: usize = 32;

    /// A register of floats.
    type F: Copy;
    /// A register of 32-bit counters.
    type I: Copy;
    /// A register of bytes.
    type B: Copy;

    /// The token, where the machine has the level.
    fn new() -> Option<Self>;

    /// `BYTES / 4` floats.
    /// # Safety
    /// - `BYTES` bytes at `p` are readable.
    unsafe fn load_f32(self, p: *const u8) -> Self::F;
    /// The 8 floats at `p`, zero in the other lanes. Asked only of levels with `BYTES` 64; elsewhere no half exists.
    /// # Safety
    /// - 32 bytes at `p` are readable.
    #[inline(always)]
    unsafe fn load_f32_half(self, p: *const u8) -> Self::F {
        debug_assert!(Self::BYTES <= 32);
        // SAFETY: BYTES is at most 32 here, and the caller vouches for 32.
        unsafe { self.load_f32(p) }
    }
    /// `BYTES / 4` halves, widened.
    /// # Safety
    /// - `BYTES / 2` bytes at `p` are readable.
    unsafe fn load_f16(self, p: *const u8) -> Self::F;
    /// `BYTES / 4` bfloats, widened.
    /// # Safety
    /// - `BYTES / 2` bytes at `p` are readable.
    unsafe fn load_bf16(self, p: *const u8) -> Self::F;
    /// `BYTES / 4` unsigned bytes, widened.
    /// # Safety
    /// - `BYTES / 4` bytes at `p` are readable.
    unsafe fn load_u8(self, p: *const u8) -> Self::F;
    /// `BYTES / 4` signed bytes, widened.
    /// # Safety
    /// - `BYTES / 4` bytes at `p` are readable.
    unsafe fn load_i8(self, p: *const u8) -> Self::F;
    /// `BYTES` bytes.
    /// # Safety
    /// - `BYTES` bytes at `p` are readable.
    unsafe fn load_bytes(self, p: *const u8) -> Self::B;
    /// The 32 bytes at `p`, zero in the others. Asked only of levels with `BYTES` 64; elsewhere no half exists.
    /// # Safety
    /// - 32 bytes at `p` are readable.
    #[inline(always)]
    unsafe fn load_bytes_half(self, p: *const u8) -> Self::B {
        debug_assert!(Self::BYTES <= 32);
        // SAFETY: BYTES is at most 32 here, and the caller vouches for 32.
        unsafe { self.load_bytes(p) }
    }

    /// All lanes zero.
    fn zero_f(self) -> Self::F;
    /// `a + b`
    fn add_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a - b`
    fn sub_f(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`; rounded once where the level has the instruction.
    fn mul_add_f(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `|a|`
    fn abs_f(self, a: Self::F) -> Self::F;
    /// The sum of the lanes, always in the same order.
    fn sum_f(self, a: Self::F) -> f32;
    /// Four sums, each bit for bit what [`Self::sum_f`] gives.
    #[inline(always)]
    fn sum4_f(self, a: [Self::F; 4]) -> [f32; 4] {
        a.map(
            #[inline(always)]
            |a| self.sum_f(a),
        )
    }

    /// All lanes zero.
    fn zero_i(self) -> Self::I;
    /// `a + b`
    fn add_i(self, a: Self::I, b: Self::I) -> Self::I;
    /// The sum of the lanes modulo 2^32.
    fn sum_i(self, a: Self::I) -> u32;
    /// Four sums.
    #[inline(always)]
    fn sum4_i(self, a: [Self::I; 4]) -> [u32; 4] {
        a.map(
            #[inline(always)]
            |a| self.sum_i(a),
        )
    }

    /// Counts the squares of the differences of unsigned bytes; a level may count downwards, see [`Self::l2_total`].
    fn l2_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I;
    /// As [`Self::l2_u8`], of signed bytes.
    fn l2_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I;
    /// The sum that `l2_u8` or `l2_i8` counted.
    #[inline(always)]
    fn l2_total(self, acc: Self::I) -> Self::I {
        acc
    }
    /// Adds the absolute differences of unsigned bytes.
    fn l1_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I;
    /// Adds the absolute differences of signed bytes.
    fn l1_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I;

    /// Adds this level's share of the products of unsigned bytes. VNNI multiplies unsigned by signed only, so it
    /// works on `q - 128` and the rest depends on the row alone: `dot_u8_row` collects it, `dot_u8_total` puts both
    /// together. A level without the trick does everything here.
    fn dot_u8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I;
    /// Adds what `dot_u8_total` needs to know of a row.
    #[inline(always)]
    fn dot_u8_row(self, side: Self::I, _r: Self::B) -> Self::I {
        side
    }
    /// The products, from the pair's share and the row's.
    #[inline(always)]
    fn dot_u8_total(self, acc: Self::I, _row: Self::I) -> Self::I {
        acc
    }
    /// Adds this level's share of the products of signed bytes; as [`Self::dot_u8`], but the rest depends on the query.
    fn dot_i8(self, acc: Self::I, q: Self::B, r: Self::B) -> Self::I;
    /// Adds what `dot_i8_total` needs to know of a query.
    #[inline(always)]
    fn dot_i8_query(self, side: Self::I, _q: Self::B) -> Self::I {
        side
    }
    /// The products, from the pair's share and the query's.
    #[inline(always)]
    fn dot_i8_total(self, acc: Self::I, _query: Self::I) -> Self::I {
        acc
    }

    /// Adds the products of the low halves of `codes`, each 0 to 15, with the signed bytes of `low`, and of the high halves with those
    /// of `high`.
    fn dot_nibbles(self, acc: Self::I, codes: Self::B, low: Self::B, high: Self::B) -> Self::I;
    /// Adds the products of the quarters of the bytes of `codes`, lowest bits first, each 0 to 3, with the signed bytes of the four `weights`.
    fn dot_quarters(self, acc: Self::I, codes: Self::B, weights: [Self::B; 4]) -> Self::I;

    /// Adds the number of bits set in `a`.
    fn count(self, acc: Self::I, a: Self::B) -> Self::I;
    /// Adds the number of bits set in `a ^ b`.
    fn count_xor(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I;
    /// Adds the number of bits set in `a & b`.
    fn count_and(self, acc: Self::I, a: Self::B, b: Self::B) -> Self::I;

    /// Which of four numbers are not at or above an edge, as bits: all if it is NaN.
    #[inline(always)]
    fn below(self, numbers: [f32; 4], edge: f32) -> u32 {
        let mut bits = 0;
        for (i, number) in numbers.into_iter().enumerate() {
            bits |= u32::from(edge.is_nan() || number < edge) << i;
        }
        bits
    }

    /// A part of a sorted row of numbers after one more was put into the row, from what it and the part before it were: the last of all moves out.
    #[inline(always)]
    fn put_in(self, before: [u64; 8], part: [u64; 8], number: u64) -> [u64; 8] {
        let [first, second, third, fourth, fifth, sixth, seventh, _] = part;
        let (moved, mut all) = ([before[7], first, second, third, fourth, fifth, sixth, seventh], [0; 8]);
        // What stood before each place, and the smaller of what stood in it and the number: the larger of the two.
        for i in 0..8 {
            let smaller = if part[i] < number { part[i] } else { number };
            all[i] = if moved[i] > smaller { moved[i] } else { smaller };
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_cap_and_never_raise() {
        let x86 = [Level::Portable, Level::Avx2, Level::Avx512];
        assert_eq!(cap(None, &x86), Level::Avx512);
        assert_eq!(cap(Some(""), &x86), Level::Avx512);
        assert_eq!(cap(Some("AVX2"), &x86), Level::Avx512, "names are exact; an unknown one is ignored");
        assert_eq!(cap(Some("avx2"), &x86), Level::Avx2);
        assert_eq!(cap(Some("portable"), &x86), Level::Portable);
        assert_eq!(cap(Some("neon"), &x86), Level::Portable);
        assert_eq!(cap(Some("avx512"), &x86[..2]), Level::Avx2);
        assert_eq!(cap(Some("avx512"), &x86[..1]), Level::Portable);
        assert_eq!(cap(Some("avx2"), &[Level::Portable, Level::Neon]), Level::Portable);
        assert_eq!(cap(None, &[Level::Portable, Level::Neon]), Level::Neon);
    }

    fn numbers_go_where_they_belong<S: Simd>() {
        let Some(s) = S::new() else { return };
        let before = [0, 1, 2, 3, 4, 5, 6, 7];
        for base in [10, u64::MAX - 20, (1 << 63) - 10] {
            let part = [0, 2, 4, 6, 8, 10, 12, 14].map(|step| base + step);
            for number in (base - 1..base + 16).filter(|number| !part.contains(number)) {
                let mut all: Vec<u64> = before.iter().chain(&part).copied().chain([number]).collect();
                all.sort_unstable();
                assert_eq!(s.put_in(before, part, number), all[8..16], "{number}");
                assert_eq!(s.put_in([0; 8], before, number), before, "what is larger than all changes nothing");
            }
        }
        let numbers = [1.0, -2.0, f32::INFINITY, 3.0];
        for (edge, bits) in [(3.0, 0b0011), (3.5, 0b1011), (-2.0, 0), (f32::INFINITY, 0b1011), (f32::NAN, 0b1111)] {
            assert_eq!(s.below(numbers, edge), bits, "{edge}");
        }
    }

    #[test]
    fn every_level_puts_numbers_where_they_belong_and_tells_which_are_below() {
        numbers_go_where_they_belong::<Portable>();
        #[cfg(target_arch = "x86_64")]
        {
            numbers_go_where_they_belong::<Avx2>();
            numbers_go_where_they_belong::<Avx512>();
        }
    }

    #[test]
    fn the_choice_is_available() {
        assert!(detect().is_available());
        assert_eq!(available()[0], Level::Portable);
    }
}
