//! How does other code get its loop compiled for every kernel on every level?
//!
//! Another room writes its loop once, generic over [`Simd`] and [`Kernel`], as a [`Job`]; [`run`] calls the copy for
//! the level and kernel asked for. Each copy is one function with the level's target features and everything inlined
//! into it. Choosing costs two predictable jumps, so it is done per search, not per index.
//!
//! ```
//! use kith::distance::{Element, Job, Kernel, KernelId, Metric, one, run};
//! use kith::simd::{Simd, detect};
//!
//! /// Index of the row nearest to the query.
//! struct Nearest<'a> { query: &'a [u8], rows: &'a [&'a [u8]] }
//!
//! impl Job for Nearest<'_> {
//!     type Output = usize;
//!     #[inline(always)] // always: `run` has the target features, this has not
//!     fn run<S: Simd, K: Kernel<S>>(self, s: S) -> usize {
//!         let bytes = self.query.len();
//!         let mut best = (f32::INFINITY, 0);
//!         for (i, row) in self.rows.iter().enumerate() {
//!             assert_eq!(row.len(), bytes);
//!             // SAFETY: both have `bytes` bytes, a multiple of 32 (checked by the caller below).
//!             let score = unsafe { one::<S, K>(s, self.query.as_ptr(), row.as_ptr(), bytes) };
//!             if score < best.0 {
//!                 best = (score, i);
//!             }
//!         }
//!         best.1
//!     }
//! }
//!
//! let (a, b, query) = ([1_u8; 32], [9_u8; 32], [8_u8; 32]);
//! let kernel = KernelId::new(Metric::L2, Element::U8).unwrap();
//! assert_eq!(run(detect(), kernel, Nearest { query: &query, rows: &[&a, &b] }), 1);
//! ```
//!
//! A job's `run` and all it calls down to the kernels must be `#[inline(always)]`, closures too where they grow beyond
//! a line; calls that leave the hot path (`#[cold]`, allocation, callbacks) need not be.

use super::kernel::{self as k, Kernel};
use super::mixed as x;
use super::rows::{self, Panel};
use super::{Element, Metric};
use crate::simd::{Level, Portable, Simd, Words};
use crate::util::error::{Error, Result};

/// A loop over kernels, compiled once per level and kernel.
pub trait Job {
    /// What it returns.
    type Output;
    /// The loop. Must be `#[inline(always)]`.
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> Self::Output;
}

/// A loop that needs no kernel, compiled once per level.
pub trait LevelJob {
    /// What it returns.
    type Output;
    /// The loop. Must be `#[inline(always)]`.
    fn run<S: Words>(self, s: S) -> Self::Output;
}

/// Runs `job` on the level. A level the machine lacks falls back to portable.
#[inline]
pub fn run_on<J: LevelJob>(level: Level, job: J) -> J::Output {
    let entry = match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 if level.is_available() => avx512::level_job::<J>,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if level.is_available() => avx2::level_job::<J>,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => neon::level_job::<J>,
        _ => portable::level_job::<J>,
    };
    // SAFETY: the machine has the level, as just checked.
    unsafe { entry(job) }
}

/// Which kernel: the raw score (products for both inner product and cosine) between which elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "distance, then element")]
pub enum KernelId {
    L2F32,
    L2F16,
    L2Bf16,
    L2I8,
    L2U8,
    DotF32,
    DotF16,
    DotBf16,
    DotI8,
    DotU8,
    L1F32,
    L1F16,
    L1Bf16,
    L1I8,
    L1U8,
    HammingB1,
    JaccardB1,
    L2F32U8,
    L2F32I8,
    DotF32U8,
    DotF32I8,
}

impl KernelId {
    /// The kernel behind a metric between elements; an argument error where there is none.
    pub fn new(metric: Metric, element: Element) -> Result<Self> {
        use Element::{B1, Bf16, Byte, F16, F32, I8, U8};
        use Metric::{Cosine, Custom, Hamming, InnerProduct, Jaccard, L1, L2};
        Ok(match (metric, element) {
            (L2, F32) => Self::L2F32,
            (L2, F16) => Self::L2F16,
            (L2, Bf16) => Self::L2Bf16,
            (L2, I8) => Self::L2I8,
            (L2, U8) => Self::L2U8,
            (InnerProduct | Cosine, F32) => Self::DotF32,
            (InnerProduct | Cosine, F16) => Self::DotF16,
            (InnerProduct | Cosine, Bf16) => Self::DotBf16,
            (InnerProduct | Cosine, I8) => Self::DotI8,
            (InnerProduct | Cosine, U8) => Self::DotU8,
            (L1, F32) => Self::L1F32,
            (L1, F16) => Self::L1F16,
            (L1, Bf16) => Self::L1Bf16,
            (L1, I8) => Self::L1I8,
            (L1, U8) => Self::L1U8,
            (Hamming, B1) => Self::HammingB1,
            (Jaccard, B1) => Self::JaccardB1,
            // Names the copy of a loop that asks the caller's function instead of a kernel.
            (Custom, Byte) => Self::L2U8,
            (Hamming | Jaccard, F32 | F16 | Bf16 | I8 | U8)
            | (L2 | InnerProduct | Cosine | L1, B1)
            | (Custom, _)
            | (_, Byte) => {
                return Err(Error::argument(format!(
                    "metric is {}, element is {}: Hamming and Jaccard are for b1, the others for the rest",
                    metric.name(),
                    element.name()
                )));
            }
        })
    }
}

impl KernelId {
    /// The kernel behind a metric between queries of one element type and rows of another, which is the same, or bytes for queries of f32.
    pub fn between(metric: Metric, query: Element, row: Element) -> Result<Self> {
        use Metric::{Cosine, InnerProduct, L2};
        match (metric, query, row) {
            (_, query, row) if query == row => Self::new(metric, row),
            (L2, Element::F32, Element::U8) => Ok(Self::L2F32U8),
            (L2, Element::F32, Element::I8) => Ok(Self::L2F32I8),
            (InnerProduct | Cosine, Element::F32, Element::U8) => Ok(Self::DotF32U8),
            (InnerProduct | Cosine, Element::F32, Element::I8) => Ok(Self::DotF32I8),
            _ => Err(Error::argument(format!(
                "metric is {}: it is not computed between {} and {}",
                metric.name(),
                query.name(),
                row.name()
            ))),
        }
    }
}

/// The copy of a job for one level and kernel.
pub struct Entry<J: Job>(unsafe fn(J) -> J::Output);

impl<J: Job> Entry<J> {
    /// Runs it.
    #[inline(always)]
    pub fn call(self, job: J) -> J::Output {
        // SAFETY: `entry` is the only maker and has checked that the machine has the level.
        unsafe { (self.0)(job) }
    }
}

impl<J: Job> std::fmt::Debug for Entry<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").finish()
    }
}

/// Runs `job` with the kernel on the level. A level the machine lacks falls back to portable.
#[inline]
pub fn run<J: Job>(level: Level, kernel: KernelId, job: J) -> J::Output {
    entry::<J>(level, kernel).call(job)
}

/// The copy of a job for a level and kernel. A level the machine lacks falls back to portable.
pub fn entry<J: Job>(level: Level, kernel: KernelId) -> Entry<J> {
    Entry(match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 if level.is_available() => avx512::entry::<J>(kernel),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if level.is_available() => avx2::entry::<J>(kernel),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => neon::entry::<J>(kernel),
        _ => portable::entry::<J>(kernel),
    })
}

/// Plain functions of one kernel on one level, for code that is not worth a copy per kernel. All pointers follow the
/// rules of [`one`](super::one), [`four`](super::four) and [`panel`](super::panel).
#[derive(Debug)]
pub struct Kernels {
    /// [`one`](super::one)
    pub one: unsafe fn(*const u8, *const u8, usize) -> f32,
    /// [`four`](super::four)
    pub four: unsafe fn(*const u8, [*const u8; 4], usize) -> [f32; 4],
    /// [`panel`](super::panel)
    pub panel: unsafe fn(&Panel),
}

/// The plain functions of a kernel on a level. A level the machine lacks falls back to portable.
pub fn kernels(level: Level, kernel: KernelId) -> &'static Kernels {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 if level.is_available() => avx512::kernels(kernel),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 if level.is_available() => avx2::kernels(kernel),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => neon::kernels(kernel),
        _ => portable::kernels(kernel),
    }
}

/// `$make::<kernel type>` for a kernel's id.
macro_rules! by_id {
    ($id:expr, $kernel:ident => $make:expr) => {
        by_id!(@ $id, $kernel, $make, L2F32 L2F16 L2Bf16 L2I8 L2U8 DotF32 DotF16 DotBf16 DotI8 DotU8
               L1F32 L1F16 L1Bf16 L1I8 L1U8 HammingB1 JaccardB1; L2F32U8 L2F32I8 DotF32U8 DotF32I8)
    };
    (@ $id:expr, $kernel:ident, $make:expr, $($name:ident)*; $($mixed:ident)*) => {
        match $id {
            $(KernelId::$name => { type $kernel = k::$name; $make })*
            $(KernelId::$mixed => { type $kernel = x::$mixed; $make })*
        }
    };
}

/// The outermost functions of a level: the only ones that carry its target features.
macro_rules! level {
    ($level:ident, $token:ty $(, $features:literal)?) => {
        mod $level {
            use super::*;

            pub(super) fn entry<J: Job>(kernel: KernelId) -> unsafe fn(J) -> J::Output {
                by_id!(kernel, K => job::<J, K>)
            }

            pub(super) fn kernels(kernel: KernelId) -> &'static Kernels {
                by_id!(kernel, K => const { &Kernels { one: one::<K>, four: four::<K>, panel: panel::<K> } })
            }

            /// The token, for functions that only run where the level is present.
            #[inline(always)]
            fn token() -> $token {
                // SAFETY: a token has no fields, and the functions below are only handed out by `super::entry` and
                // `super::kernels`, after checking that the machine has the level.
                unsafe { std::mem::transmute::<(), $token>(()) }
            }

            /// # Safety
            /// - The machine has the level.
            $(#[target_feature(enable = $features)])?
            unsafe fn job<J: Job, K: Kernel<$token>>(job: J) -> J::Output {
                job.run::<$token, K>(token())
            }

            /// # Safety
            /// - The machine has the level.
            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn level_job<J: LevelJob>(job: J) -> J::Output {
                job.run::<$token>(token())
            }

            /// # Safety
            /// - The machine has the level; the rules of [`rows::one`].
            $(#[target_feature(enable = $features)])?
            unsafe fn one<K: Kernel<$token>>(query: *const u8, row: *const u8, bytes: usize) -> f32 {
                // SAFETY: the caller's promise.
                unsafe { rows::one::<$token, K>(token(), query, row, bytes) }
            }

            /// # Safety
            /// - The machine has the level; the rules of [`rows::four`].
            $(#[target_feature(enable = $features)])?
            unsafe fn four<K: Kernel<$token>>(query: *const u8, rows: [*const u8; 4], bytes: usize) -> [f32; 4] {
                // SAFETY: the caller's promise.
                unsafe { rows::four::<$token, K>(token(), query, rows, bytes) }
            }

            /// # Safety
            /// - The machine has the level; the rules of [`rows::panel`].
            $(#[target_feature(enable = $features)])?
            unsafe fn panel<K: Kernel<$token>>(panel: &Panel) {
                // SAFETY: the caller's promise.
                unsafe { rows::panel::<$token, K>(token(), panel) }
            }
        }
    };
}

level!(portable, Portable);
#[cfg(target_arch = "x86_64")]
level!(avx2, crate::simd::Avx2, "avx2,fma,f16c,popcnt");
#[cfg(target_arch = "x86_64")]
level!(
    avx512,
    crate::simd::Avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,avx2,fma,f16c,popcnt"
);
#[cfg(target_arch = "aarch64")]
level!(neon, crate::simd::Neon, "neon");
