//! Which distances exist between which elements, and which kernel computes each?
//!
//! - [`Metric`], [`Element`]: the caller's choice; [`KernelId::new`] says whether the two go together.
//! - [`Kernel`] (kernel.rs): element x distance, a few lines each, generic over the level.
//! - [`one`], [`four`], [`panel`] (rows.rs): the one loop over components, for a pair, four rows, a register tile.
//! - [`run()`], [`Job`] (run.rs): how another room has its own loop compiled for every kernel and level; has an example.
//! - [`kernels`]: plain function pointers where that is not worth it.
//! - mixed.rs: kernels between queries of floats and rows of bytes.
//! - [`product4()`] (codes.rs): a query times rows of codes of 4, 2 or 1 bits, inside a [`LevelJob`].
//! - tile.rs: every vector of a small set with every one of another, in integers; closest.rs: the nearest of up to 256 small vectors.
//! - vectors.rs: padding, checks, norms, the forms of inner product and cosine, [`exact`] for one pair.

pub mod closest;
mod codes;
mod custom;
mod kernel;
mod mixed;
mod rows;
mod run;
pub mod tile;
mod vectors;

pub use codes::{Nibbles, Packing, Quarters, Signs, Singles, looked_up, product, product4};
pub use custom::Custom;
pub use kernel::*;
pub use mixed::*;
pub use rows::{PAD, Panel, four, one, padded_bytes, panel};
pub use run::{Entry, Job, KernelId, Kernels, LevelJob, entry, kernels, run, run_on};
pub use vectors::{
    Padded, cosine, cosine_far, cosine_scale, exact, exact_on, first_not_finite, inner_product, is_finite, is_zero,
    length, norm, norm_rounded, pad, to_f32,
};

use crate::util::error::{Error, Result};

/// A distance: smaller is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Metric {
    /// Sum of squared differences, no root.
    L2 = 0,
    /// 1 - sum of products.
    InnerProduct = 1,
    /// 1 - cosine, 0 to 2.
    Cosine = 2,
    /// Sum of absolute differences.
    L1 = 3,
    /// Differing bits.
    Hamming = 4,
    /// 1 - |and| / |or|, 0 when both are empty.
    Jaccard = 5,
    /// A function of the caller's.
    Custom = 6,
}

/// The type of a vector's components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Element {
    /// IEEE single.
    F32 = 0,
    /// IEEE half.
    F16 = 1,
    /// Upper half of a single.
    Bf16 = 2,
    /// Signed byte.
    I8 = 3,
    /// Unsigned byte.
    U8 = 4,
    /// Bit; component 0 is the lowest bit of byte 0.
    B1 = 5,
    /// Byte of an opaque element; goes with [`Metric::Custom`] only.
    Byte = 6,
}

impl Metric {
    /// Every metric that kith computes.
    pub const ALL: [Self; 6] = [Self::L2, Self::InnerProduct, Self::Cosine, Self::L1, Self::Hamming, Self::Jaccard];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::InnerProduct => "inner product",
            Self::Cosine => "cosine",
            Self::L1 => "L1",
            Self::Hamming => "Hamming",
            Self::Jaccard => "Jaccard",
            Self::Custom => "custom",
        }
    }
}

impl Element {
    /// Every element type that kith knows how to compare.
    pub const ALL: [Self; 6] = [Self::F32, Self::F16, Self::Bf16, Self::I8, Self::U8, Self::B1];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::B1 => "b1",
            Self::Byte => "bytes",
        }
    }

    /// Bits of one component.
    pub fn bits(self) -> usize {
        match self {
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::I8 | Self::U8 | Self::Byte => 8,
            Self::B1 => 1,
        }
    }

    /// Bytes of one vector as a caller passes it.
    pub fn vector_bytes(self, dimensions: u32) -> usize {
        (dimensions as usize * self.bits()).div_ceil(8)
    }
}

impl TryFrom<u32> for Metric {
    type Error = Error;
    fn try_from(value: u32) -> Result<Self> {
        Self::ALL
            .get(value as usize)
            .copied()
            .ok_or_else(|| Error::argument(format!("metric is {value}, known are 0 to {}", Self::ALL.len() - 1)))
    }
}

impl TryFrom<u32> for Element {
    type Error = Error;
    fn try_from(value: u32) -> Result<Self> {
        Self::ALL
            .get(value as usize)
            .copied()
            .ok_or_else(|| Error::argument(format!("element is {value}, known are 0 to {}", Self::ALL.len() - 1)))
    }
}
