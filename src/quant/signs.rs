//! How far apart are two vectors of which only signs are known?
//!
//! The share of signs that differ is nearly the angle between the vectors, less the mean, in half turns (Charikar, 2002): so their product is that of their lengths and the
//! cosine of that angle. A code holds the signs and the length; a table says the cosine for each number of differences.

use super::coding::code_bytes;

/// What a whole cosine is in the table.
pub(super) const WHOLE: f32 = 32_768.0;

/// The cosine of the angle that so many differences tell, for every number that there can be.
#[derive(Debug)]
pub(super) struct Angles(Box<[i32]>);

impl Angles {
    /// For vectors of so many dimensions with codes of so many lines.
    pub(super) fn new(dimensions: usize, lines: usize) -> Self {
        let cosine = |differ: usize| {
            let turn = (differ as f64 / dimensions as f64).min(1.0);
            ((turn * std::f64::consts::PI).cos() * f64::from(WHOLE)).round() as i32
        };
        Self((0..=8 * code_bytes(lines)).map(cosine).collect())
    }

    /// For so many differences, of a code's bits at most.
    #[inline(always)]
    pub(super) fn cosine(&self, differ: i32) -> i32 {
        self.0[differ as usize]
    }

    pub(super) fn bytes(&self) -> usize {
        4 * self.0.len()
    }

    pub(super) fn memory(lines: usize) -> usize {
        4 * (8 * code_bytes(lines) + 1)
    }
}

/// Writes the signs of values as bits, over zeros: a bit is set where the value is not negative.
#[inline(always)]
pub(super) fn write(values: &[f32], bits: &mut [u8]) {
    for (values, byte) in values.chunks(8).zip(bits) {
        for (i, value) in values.iter().enumerate() {
            *byte |= u8::from(*value >= 0.0) << i;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_tell_angles() {
        let angles = Angles::new(100, 1);
        assert_eq!([0, 50, 100, 448].map(|differ| angles.cosine(differ)), [32_768, 0, -32_768, -32_768]);
        assert!((1..=100).all(|differ| angles.cosine(differ) < angles.cosine(differ - 1)));
        assert_eq!(angles.bytes(), Angles::memory(1));
    }

    #[test]
    fn a_bit_is_set_where_a_value_is_not_negative() {
        let mut bits = [0; 3];
        write(&[1.0, -1.0, 0.0, -0.5, 2.0, -3.0, -1.0, -2.0, -1.0, 5.0], &mut bits);
        assert_eq!(bits, [0b1_0101, 0b10, 0]);
    }
}
