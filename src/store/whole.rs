//! How does a vector of whole numbers fit a byte per component?
//!
//! Vectors that callers give as f32 often hold nothing but whole numbers: histograms, pixels, counts. They lie in a quarter of the memory as
//! bytes, and nothing is lost: a component fits only if the byte gives back each of its bits, so a negative zero does not.

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
    /// As so many bytes that somebody else makes of them, nearly.
    Reduced(u32),
}

/// Bytes of a component as callers give it, where it is held as a byte.
const GIVEN: usize = 4;

impl Held {
    /// Bytes of a vector as it is held, that has so many as callers give it.
    pub(crate) fn bytes_of(self, given: usize) -> usize {
        match self {
            Self::AsGiven => given,
            Self::I8 | Self::U8 => given / GIVEN,
            Self::Reduced(bytes) => bytes as usize,
        }
    }

    /// Whether a vector can be held so.
    pub(crate) fn fits(self, given: &[u8]) -> bool {
        match self {
            Self::AsGiven | Self::Reduced(_) => true,
            Self::U8 => all(given, |value| (value as u8 as f32).to_bits() == value.to_bits()),
            Self::I8 => all(given, |value| (value as i8 as f32).to_bits() == value.to_bits()),
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
}
