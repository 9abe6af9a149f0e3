//! How does a vector fit into less than it was given in?
//!
//! Vectors that callers give as f32 often hold nothing but whole numbers: histograms, pixels, counts. They lie in a quarter of the memory as
//! bytes, and nothing is lost: a component fits only if the byte gives back each of its bits, so a negative zero does not. Where it was asked for, they lie in half of the memory as
//! floats of 16 bits, each rounded to the nearest.

use crate::simd::half::{TOO_LARGE_FOR_BF16, TOO_LARGE_FOR_F16, bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// How a store holds its vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Held {
    /// As callers give them.
    #[default]
    AsGiven,
    /// A signed byte for each f32.
    I8,
    /// An unsigned byte for each f32.
    U8,
    /// The nearest IEEE half for each f32.
    F16,
    /// The nearest bfloat for each f32.
    Bf16,
    /// As so many bytes that somebody else makes of them, nearly.
    Reduced(u32),
}

/// Bytes of a component as callers give it, where it is held as something else; and as a float of 16 bits.
const GIVEN: usize = 4;
const ROUNDED: usize = 2;

impl Held {
    /// Bytes of a vector as it is held, that has so many as callers give it.
    pub(crate) fn bytes_of(self, given: usize) -> usize {
        match self {
            Self::AsGiven => given,
            Self::I8 | Self::U8 => given / GIVEN,
            Self::F16 | Self::Bf16 => given / GIVEN * ROUNDED,
            Self::Reduced(bytes) => bytes as usize,
        }
    }

    /// Whether vectors are held rounded to floats of 16 bits.
    pub(crate) fn is_rounded(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16)
    }

    /// Numbers from here on cannot be held so, where vectors are rounded.
    pub(crate) fn too_large(self) -> f32 {
        match self {
            Self::F16 => TOO_LARGE_FOR_F16,
            Self::Bf16 => TOO_LARGE_FOR_BF16,
            Self::AsGiven | Self::I8 | Self::U8 | Self::Reduced(_) => f32::INFINITY,
        }
    }

    /// Whether a vector can be held so.
    pub(crate) fn fits(self, given: &[u8]) -> bool {
        match self {
            Self::AsGiven | Self::Reduced(_) => true,
            Self::U8 => all(given, |value| (value as u8 as f32).to_bits() == value.to_bits()),
            Self::I8 => all(given, |value| (value as i8 as f32).to_bits() == value.to_bits()),
            Self::F16 | Self::Bf16 => all(given, |value| value.abs() < self.too_large()),
        }
    }

    /// Writes a vector as floats of 16 bits. Always inlined, so that it is compiled for the instruction set of its caller.
    #[inline(always)]
    pub(crate) fn round(self, given: &[u8], held: &mut [u8]) {
        let (components, held) = (given.as_chunks::<GIVEN>().0, held.as_chunks_mut::<ROUNDED>().0);
        if self == Self::F16 {
            for (to, from) in held.iter_mut().zip(components) {
                *to = f32_to_f16(f32::from_ne_bytes(*from)).to_ne_bytes();
            }
        } else {
            for (to, from) in held.iter_mut().zip(components) {
                *to = f32_to_bf16(f32::from_ne_bytes(*from)).to_ne_bytes();
            }
        }
    }

    /// Writes a vector that fits as it is held; one that is reduced as it is.
    pub(crate) fn pack(self, given: &[u8], held: &mut [u8]) {
        let components = given.as_chunks::<GIVEN>().0;
        match self {
            Self::AsGiven | Self::Reduced(_) => held.copy_from_slice(given),
            Self::U8 => held.iter_mut().zip(components).for_each(|(to, from)| *to = f32::from_ne_bytes(*from) as u8),
            Self::I8 => {
                held.iter_mut()
                    .zip(components)
                    .for_each(|(to, from)| *to = (f32::from_ne_bytes(*from) as i8).cast_unsigned());
            }
            Self::F16 | Self::Bf16 => self.round(given, held),
        }
    }

    /// Writes a vector as callers give it; one that is reduced as it is.
    pub(crate) fn unpack(self, held: &[u8], given: &mut [u8]) {
        let components = given.as_chunks_mut::<GIVEN>().0;
        match self {
            Self::AsGiven | Self::Reduced(_) => given.copy_from_slice(held),
            Self::U8 => components.iter_mut().zip(held).for_each(|(to, from)| *to = f32::from(*from).to_ne_bytes()),
            Self::I8 => {
                components
                    .iter_mut()
                    .zip(held)
                    .for_each(|(to, from)| *to = f32::from(from.cast_signed()).to_ne_bytes());
            }
            Self::F16 | Self::Bf16 => {
                let widen = if self == Self::F16 { f16_to_f32 } else { bf16_to_f32 };
                for (to, from) in components.iter_mut().zip(held.as_chunks::<ROUNDED>().0) {
                    *to = widen(u16::from_ne_bytes(*from)).to_ne_bytes();
                }
            }
        }
    }
}

/// Whether every component passes. Whole blocks are looked at without a branch, so that compilers vectorise it.
fn all(given: &[u8], passes: impl Fn(f32) -> bool) -> bool {
    const BLOCK: usize = 64;
    let components = given.as_chunks::<GIVEN>().0;
    components.chunks(BLOCK).all(|block| block.iter().fold(true, |all, bytes| all & passes(f32::from_ne_bytes(*bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_ne_bytes()).collect()
    }

    #[test]
    fn what_fits_comes_back_bit_for_bit_and_nothing_else_fits() {
        let all: Vec<f32> = (-130..260).map(|value| value as f32).collect();
        for (held, least, most) in [(Held::U8, 0.0, 255.0), (Held::I8, -128.0, 127.0)] {
            for &value in &all {
                assert_eq!(held.fits(&bytes(&[1.0, value])), (least..=most).contains(&value), "{held:?} {value}");
            }
            for value in [-0.0, 0.5, 1.000_000_1, f32::MIN_POSITIVE, 1e30, f32::NAN, f32::INFINITY] {
                let mut vector = vec![7.0; 100];
                for place in [0, 63, 64, 99] {
                    vector[place] = value;
                    assert!(!held.fits(&bytes(&vector)), "{held:?} {value} at {place}");
                    vector[place] = 7.0;
                }
            }
            let fitting: Vec<f32> = all.iter().copied().filter(|value| (least..=most).contains(value)).collect();
            let given = bytes(&fitting);
            let (mut packed, mut back) = (vec![0; held.bytes_of(given.len())], vec![1; given.len()]);
            held.pack(&given, &mut packed);
            held.unpack(&packed, &mut back);
            assert_eq!(back, given);
        }
    }

    #[test]
    fn rounded_vectors_come_back_nearly_and_then_stay() {
        let values = [0.1, -3.0e-6, 1.0, 65_504.0, -65_519.0, 0.0, -0.0, 7.0e-10, 123.456];
        for (held, most) in [(Held::F16, 1.0 / 2048.0), (Held::Bf16, 1.0 / 256.0)] {
            let given = bytes(&values);
            assert!(held.fits(&given) && held.is_rounded());
            assert!(
                !held.fits(&bytes(&[1.0, -held.too_large()])) && held.fits(&bytes(&[held.too_large().next_down()]))
            );
            let (mut packed, mut back) = (vec![0; held.bytes_of(given.len())], vec![1; given.len()]);
            assert_eq!(packed.len(), 2 * values.len());
            held.pack(&given, &mut packed);
            held.unpack(&packed, &mut back);
            for (value, back) in values.iter().zip(back.as_chunks::<4>().0) {
                let off = (f32::from_ne_bytes(*back) - value).abs();
                assert!(off <= most * value.abs() || off <= 2.0_f32.powi(-25), "{held:?}: {value} is off by {off}");
            }
            let (mut again, mut whole) = (vec![0; packed.len()], vec![1; given.len()]);
            held.pack(&back, &mut again);
            held.unpack(&again, &mut whole);
            assert_eq!((again, whole), (packed, back));
        }
    }
}
