//! What number does a 16-bit float stand for, and which one is nearest to a number?
//!
//! Widening is exact in every case, denormals, infinities and NaN included, and independent of the processor's flush-to-zero
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

/// Numbers from here on, of either sign, are infinite as halves, and as bfloats.
pub const TOO_LARGE_FOR_F16: f32 = 65_520.0;
/// As [`TOO_LARGE_FOR_F16`].
pub const TOO_LARGE_FOR_BF16: f32 = f32::from_bits(0x7f7f_8000);

/// The IEEE half nearest to a value, the even one of two; infinity from [`TOO_LARGE_FOR_F16`] on.
#[inline(always)]
pub fn f32_to_f16(value: f32) -> u16 {
    /// Its last digit is a half's smallest denormal.
    const HALF: f32 = 0.5;
    let bits = value.to_bits();
    let (sign, size) = (bits >> 16 & 0x8000, bits & 0x7fff_ffff);
    // All three are computed, without a branch, so that loops over many values are vectorised.
    let normal = size.wrapping_sub((127 - 15) << 23).wrapping_add(0xfff + (size >> 13 & 1)) >> 13;
    let denormal = (f32::from_bits(size.min(HALF.to_bits())) + HALF).to_bits() - HALF.to_bits();
    let endless = 0x7c00 | u32::from(size > 0x7f80_0000) << 9;
    let magnitude = if size < (127 - 14) << 23 { denormal } else { normal };
    let magnitude = if size >= (127 + 16) << 23 { endless } else { magnitude };
    (sign | magnitude) as u16
}

/// The bfloat nearest to a value, the even one of two; infinity from [`TOO_LARGE_FOR_BF16`] on.
#[inline(always)]
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let not_a_number = bits >> 16 | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { not_a_number } else { rounded }) as u16
}

/// What the IEEE half nearest to a value stands for, for sizes below [`TOO_LARGE_FOR_F16`].
#[inline(always)]
pub fn rounded_to_f16(value: f32) -> f32 {
    /// Its last digit is a half's smallest denormal.
    const HALF: f32 = 0.5;
    let bits = value.to_bits();
    let (sign, size) = (bits & 0x8000_0000, bits & 0x7fff_ffff);
    let normal = size.wrapping_add(0xfff + (size >> 13 & 1)) & !0x1fff;
    let denormal = f32::from_bits(size.min(HALF.to_bits())) + HALF - HALF;
    f32::from_bits(sign | if size < (127 - 14) << 23 { denormal.to_bits() } else { normal })
}

/// What the bfloat nearest to a value stands for, for sizes below [`TOO_LARGE_FOR_BF16`].
#[inline(always)]
pub fn rounded_to_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
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

    /// Held against the two neighbours of every value: no other is nearer, and of two equally near the even one is taken.
    fn check_nearest(value: f32, rounded: u16, widen: impl Fn(u16) -> f32, infinity: u16, too_large: f32) {
        let magnitude = rounded & 0x7fff;
        assert_eq!(rounded >> 15, u16::from(value.is_sign_negative()), "{value}");
        if value.abs() >= too_large {
            return assert_eq!(magnitude, infinity, "{value}");
        }
        assert!(magnitude < infinity, "{value}");
        let off = |bits: u16| (f64::from(widen(bits)) - f64::from(value.abs())).abs();
        let own = off(magnitude);
        for other in [magnitude.wrapping_sub(1), magnitude + 1] {
            if other < infinity {
                assert!(
                    own < off(other) || own == off(other) && magnitude.is_multiple_of(2),
                    "{value}: {magnitude:#x}"
                );
            }
        }
    }

    #[test]
    fn rounding_takes_the_nearest_and_of_two_the_even_one() {
        for bits in 0..=u16::MAX {
            let (half, upper) = (f16_to_f32(bits), bf16_to_f32(bits));
            if half.is_nan() {
                assert!(f16_to_f32(f32_to_f16(half)).is_nan());
            } else {
                assert_eq!(f32_to_f16(half), bits);
            }
            if upper.is_nan() {
                assert!(bf16_to_f32(f32_to_bf16(upper)).is_nan());
            } else {
                assert_eq!(f32_to_bf16(upper), bits);
            }
        }
        // Every half way between two, and what lies next to it; and numbers from all over.
        let halves = (0..0x7c00_u16).flat_map(|bits| {
            let middle = f32::midpoint(f16_to_f32(bits), f16_to_f32(bits + 1));
            [middle.next_down(), middle, middle.next_up(), -middle]
        });
        let all = halves.chain((0..1 << 18).map(|i: u32| f32::from_bits(i.wrapping_mul(0x9e37_79b9))));
        for value in all.filter(|value| value.is_finite()) {
            check_nearest(value, f32_to_f16(value), f16_to_f32, 0x7c00, TOO_LARGE_FOR_F16);
            check_nearest(value, f32_to_bf16(value), bf16_to_f32, 0x7f80, TOO_LARGE_FOR_BF16);
            if value.abs() < TOO_LARGE_FOR_F16 {
                assert_eq!(rounded_to_f16(value).to_bits(), f16_to_f32(f32_to_f16(value)).to_bits(), "{value}");
            }
            if value.abs() < TOO_LARGE_FOR_BF16 {
                assert_eq!(rounded_to_bf16(value).to_bits(), bf16_to_f32(f32_to_bf16(value)).to_bits(), "{value}");
            }
        }
        assert_eq!([65_519.99, 65_520.0, f32::MAX, f32::INFINITY].map(f32_to_f16), [0x7bff, 0x7c00, 0x7c00, 0x7c00]);
        assert_eq!(f32_to_bf16(f32::MAX), 0x7f80);
        assert_eq!(f32_to_bf16(TOO_LARGE_FOR_BF16.next_down()), 0x7f7f);
    }
}
