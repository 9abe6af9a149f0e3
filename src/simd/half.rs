//! What number does a 16-bit float stand for?
//!
//! Exact in every case, denormals, infinities and NaN included, and independent of the processor's flush-to-zero
//! mode: f16 is assembled with integer operations and one exact multiplication of normal numbers.

/// Value of an IEEE half.
#[inline]
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff);
    let bits = match magnitude {
        // Normal: the exponent's bias goes from 15 to 127.
        0x0400..=0x7bff => (magnitude << 13) + ((127 - 15) << 23),
        // Infinity and NaN keep their payload.
        0x7c00.. => (magnitude << 13) | 0x7f80_0000,
        // Denormal: an integer below 1024 in units of 2^-24; both factors and the product are normal singles.
        _ => (magnitude as f32 * 2.0_f32.powi(-24)).to_bits(),
    };
    f32::from_bits(sign | bits)
}

/// Value of a bfloat: the upper half of a single.
#[inline]
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_exact() {
        for bits in 0..=u16::MAX {
            let value = f16_to_f32(bits);
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
            let expected = match exponent {
                0 => sign * fraction * 2.0_f64.powi(-24),
                31 if fraction == 0.0 => sign * f64::INFINITY,
                31 => f64::NAN,
                e => sign * (1.0 + fraction / 1024.0) * 2.0_f64.powi(e - 15),
            };
            assert!(f64::from(value) == expected || value.is_nan() && expected.is_nan(), "{bits:#06x}");
            assert_eq!(value.is_sign_negative(), bits & 0x8000 != 0, "{bits:#06x}");
        }
    }

    #[test]
    fn bfloats_are_upper_halves() {
        assert_eq!(bf16_to_f32(0x3f80), 1.0);
        assert_eq!(bf16_to_f32(0x0001), f32::from_bits(0x0001_0000));
        assert!(bf16_to_f32(0x7fc0).is_nan());
    }
}
