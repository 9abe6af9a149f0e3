//! What may be asked of a vector as a whole: is it sound, how long is it, how far exactly from another?
//!
//! Vectors are bytes as a caller passes them, of any alignment, components in the machine's byte order.

use super::{Element, KernelId, Metric, kernels, padded_bytes};
use crate::simd::half::{bf16_to_f32, f16_to_f32, rounded_to_bf16, rounded_to_f16};
use crate::simd::{Level, detect};
use crate::util::error::{Error, Result};

/// Up to here integer scores are below 2^32 and bit counts exact as floats.
const MAX_DIMENSIONS: u32 = 65_536;

/// A cache line, the unit of [`Padded`].
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A vector copied to where kernels like it: 64-byte aligned, zeros behind. What a search keeps its query in.
#[derive(Debug, Default)]
pub struct Padded {
    lines: Vec<Line>,
    bytes: usize,
}

impl Padded {
    /// A copy of `vector`.
    pub fn new(vector: &[u8]) -> Result<Self> {
        let mut padded = Self::default();
        padded.set(vector)?;
        Ok(padded)
    }

    /// Holds a copy of `vector` from now on; allocates only when it is longer than any before.
    pub fn set(&mut self, vector: &[u8]) -> Result<()> {
        let bytes = padded_bytes(vector.len());
        let lines = bytes.div_ceil(64);
        self.lines.clear();
        self.lines.try_reserve_exact(lines).map_err(|_| Error::memory(bytes))?;
        for part in vector.chunks(64) {
            let mut line = Line([0; 64]);
            line.0[..part.len()].copy_from_slice(part);
            self.lines.push(line);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The first byte of [`Self::bytes`] readable ones.
    pub fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    /// The padded length.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Copies `vector` to the start of `slot` and zeroes the rest.
///
/// # Panics
/// When the slot is shorter than the vector.
pub fn pad(vector: &[u8], slot: &mut [u8]) {
    let (front, back) = slot.split_at_mut(vector.len());
    front.copy_from_slice(vector);
    back.fill(0);
}

/// The components of `vector` as floats into `out`; bits become 0 and 1. Exact for every element type.
///
/// # Panics
/// When `out` has more components than the vector.
pub fn to_f32(element: Element, vector: &[u8], out: &mut [f32]) {
    assert!(element.vector_bytes(u32::try_from(out.len()).unwrap_or(u32::MAX)) <= vector.len());
    match element {
        Element::F32 => fill(out, vector.as_chunks::<4>().0, |b| f32::from_ne_bytes(*b)),
        Element::F16 => fill(out, vector.as_chunks::<2>().0, |b| f16_to_f32(u16::from_ne_bytes(*b))),
        Element::Bf16 => fill(out, vector.as_chunks::<2>().0, |b| bf16_to_f32(u16::from_ne_bytes(*b))),
        Element::I8 => fill(out, vector, |b| f32::from(b.cast_signed())),
        Element::U8 | Element::Byte => fill(out, vector, |b| f32::from(*b)),
        Element::B1 => {
            for (i, o) in out.iter_mut().enumerate() {
                *o = f32::from(vector[i / 8] >> (i % 8) & 1);
            }
        }
    }
}

fn fill<T>(out: &mut [f32], from: &[T], value: impl Fn(&T) -> f32) {
    for (o, i) in out.iter_mut().zip(from) {
        *o = value(i);
    }
}

/// Index of the first component that is NaN or infinite.
pub fn first_not_finite(element: Element, vector: &[u8]) -> Option<usize> {
    // Not finite: all exponent bits set. Whole blocks are looked at without a branch, so compilers vectorise it.
    match element {
        Element::F32 => first(vector.as_chunks::<4>().0, |b| u32::from_ne_bytes(*b) & 0x7f80_0000 == 0x7f80_0000),
        Element::F16 => first(vector.as_chunks::<2>().0, |b| u16::from_ne_bytes(*b) & 0x7c00 == 0x7c00),
        Element::Bf16 => first(vector.as_chunks::<2>().0, |b| u16::from_ne_bytes(*b) & 0x7f80 == 0x7f80),
        Element::I8 | Element::U8 | Element::B1 | Element::Byte => None,
    }
}

/// Index of the first part that `is` something.
fn first<T>(parts: &[T], is: impl Fn(&T) -> bool) -> Option<usize> {
    const BLOCK: usize = 64;
    let block = parts.chunks(BLOCK).position(|block| block.iter().fold(false, |any, part| any | is(part)))?;
    let start = block * BLOCK;
    parts[start..].iter().position(is).map(|i| start + i)
}

/// Whether every component is zero, of either sign: such a vector has no direction.
pub fn is_zero(element: Element, vector: &[u8]) -> bool {
    match element {
        Element::F32 => vector.as_chunks::<4>().0.iter().all(|b| u32::from_ne_bytes(*b) << 1 == 0),
        Element::F16 | Element::Bf16 => vector.as_chunks::<2>().0.iter().all(|b| u16::from_ne_bytes(*b) << 1 == 0),
        Element::I8 | Element::U8 | Element::B1 | Element::Byte => vector.iter().all(|b| *b == 0),
    }
}

/// Euclidean length, summed in f64: right for components from 1e-45 to 3e38, as their squares are normal doubles.
pub fn norm(element: Element, vector: &[u8]) -> f64 {
    match element {
        Element::F32 => length(vector.as_chunks::<4>().0).unwrap_or_else(|| products(element, vector, vector).sqrt()),
        _ => products(element, vector, vector).sqrt(),
    }
}

/// Whether all components of a vector of f32 are finite. For what is compiled for a level.
#[inline(always)]
pub fn is_finite(components: &[[u8; 4]]) -> bool {
    // Without their signs, sizes order as whole numbers.
    let mut most = [0_u32; 16];
    let (blocks, rest) = components.as_chunks::<16>();
    for block in blocks {
        for i in 0..16 {
            most[i] = most[i].max(u32::from_ne_bytes(block[i]) << 1);
        }
    }
    for (most, bytes) in most.iter_mut().zip(rest) {
        *most = (*most).max(u32::from_ne_bytes(*bytes) << 1);
    }
    let mut largest = 0;
    for most in most {
        largest = largest.max(most);
    }
    largest < f32::INFINITY.to_bits() << 1
}

/// The length of a vector of f32, `None` if it has a component that is not finite. For what is compiled for a level.
#[inline(always)]
pub fn length(components: &[[u8; 4]]) -> Option<f64> {
    // Several sums, which do not wait for each other: one of all took half a microsecond of a query.
    let mut sums = [0.0_f64; 8];
    let (blocks, rest) = components.as_chunks::<8>();
    for block in blocks {
        for i in 0..8 {
            let value = f64::from(f32::from_ne_bytes(block[i]));
            sums[i] += value * value;
        }
    }
    for (sum, bytes) in sums.iter_mut().zip(rest) {
        let value = f64::from(f32::from_ne_bytes(*bytes));
        *sum += value * value;
    }
    let mut sum = 0.0;
    for part in sums {
        sum += part;
    }
    // Squares of singles do not overflow, so only what is not finite makes a sum that is not.
    sum.is_finite().then(|| sum.sqrt())
}

/// The length that a vector of f32 has when its components, which must fit, are rounded to another element type: f16 or bf16.
pub fn norm_rounded(element: Element, vector: &[u8]) -> f64 {
    let components = vector.as_chunks::<4>().0;
    match element {
        Element::F16 => squares(components, rounded_to_f16),
        Element::Bf16 => squares(components, rounded_to_bf16),
        _ => squares(components, |value| value),
    }
    .sqrt()
}

/// Sum of the squares of rounded components, in f64 and several parts, which do not wait for each other.
#[inline(always)]
fn squares(components: &[[u8; 4]], round: impl Fn(f32) -> f32) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (blocks, rest) = components.as_chunks::<8>();
    let square = |bytes: &[u8; 4]| {
        let value = f64::from(round(f32::from_ne_bytes(*bytes)));
        value * value
    };
    for block in blocks {
        for i in 0..8 {
            sums[i] += square(&block[i]);
        }
    }
    sums[0] += rest.iter().map(square).sum::<f64>();
    sums.iter().sum()
}

/// Sum of products in f64.
fn products(element: Element, a: &[u8], b: &[u8]) -> f64 {
    /// Components widened at a time.
    const PART: usize = 256;
    let part_bytes = PART * element.bits() / 8;
    let (mut x, mut y) = ([0.0_f32; PART], [0.0_f32; PART]);
    let mut sum = 0.0;
    for (a, b) in a.chunks(part_bytes).zip(b.chunks(part_bytes)) {
        let n = a.len() * 8 / element.bits();
        to_f32(element, a, &mut x[..n]);
        to_f32(element, b, &mut y[..n]);
        sum += x[..n].iter().zip(&y[..n]).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    }
    sum
}

/// Inner-product distance from a kernel's sum of products.
#[inline(always)]
pub fn inner_product(dot: f32) -> f32 {
    1.0 - dot
}

/// What [`cosine`] multiplies by for a vector whose kernel product with itself is `self_dot`: `1 / length`, or 0 when
/// the vector is so long or short (outside 2^-50 to 2^50) that single-precision products with it may overflow or
/// vanish. A pair with a 0 goes to [`cosine_far`].
pub fn cosine_scale(self_dot: f32) -> f64 {
    const FAR: f32 = (1_u128 << 100) as f32;
    if (1.0 / FAR..=FAR).contains(&self_dot) { 1.0 / f64::from(self_dot).sqrt() } else { 0.0 }
}

/// Cosine distance from a kernel's sum of products and both vectors' [`cosine_scale`], neither 0.
///
/// Exactly 0 for identical vectors: the kernel's product of equal vectors is the `self_dot` of both, the scales undo
/// it to within 2^-52, and rounding to single precision gives 1.
#[inline(always)]
pub fn cosine(dot: f32, scale_a: f64, scale_b: f64) -> f32 {
    let cosine = (f64::from(dot) * (scale_a * scale_b)) as f32;
    (1.0 - cosine).clamp(0.0, 2.0)
}

/// Cosine distance in f64, for vectors of which one is too long or short for the kernels. Slow and rare.
#[cold]
pub fn cosine_far(element: Element, a: &[u8], b: &[u8]) -> f32 {
    let scale = (products(element, a, a) * products(element, b, b)).sqrt();
    (1.0 - (products(element, a, b) / scale) as f32).clamp(0.0, 2.0)
}

/// The distance of two vectors of `dimensions` components: bit for bit what a flat search reports.
///
/// Refuses a metric that does not go with the element, components that are not finite, and a zero vector under cosine.
pub fn exact(metric: Metric, element: Element, dimensions: u32, a: &[u8], b: &[u8]) -> Result<f32> {
    exact_on(detect(), metric, element, dimensions, a, b)
}

/// As [`exact`], on a level of one's choice; one the machine lacks falls back to portable.
pub fn exact_on(level: Level, metric: Metric, element: Element, dimensions: u32, a: &[u8], b: &[u8]) -> Result<f32> {
    let kernels = kernels(level, KernelId::new(metric, element)?);
    if dimensions > MAX_DIMENSIONS {
        return Err(Error::argument(format!("dimensions is {dimensions}, allowed are up to {MAX_DIMENSIONS}")));
    }
    let bytes = element.vector_bytes(dimensions);
    for (name, vector) in [("a", a), ("b", b)] {
        if vector.len() != bytes {
            return Err(Error::argument(format!(
                "{name} has {} bytes, {dimensions} dimensions take {bytes}",
                vector.len()
            )));
        }
        if let Some(i) = first_not_finite(element, vector) {
            return Err(Error::argument(format!("{name} is not finite in component {i}")));
        }
        if metric == Metric::Cosine && is_zero(element, vector) {
            return Err(Error::argument(format!("{name} is a zero vector, which has no cosine")));
        }
    }
    let (x, y) = (Padded::new(a)?, Padded::new(b)?);
    let one = |x: &Padded, y: &Padded| {
        // SAFETY: both hold `x.bytes()` readable bytes, a multiple of PAD.
        unsafe { (kernels.one)(x.as_ptr(), y.as_ptr(), x.bytes()) }
    };
    let raw = one(&x, &y);
    Ok(match metric {
        Metric::L2 | Metric::L1 | Metric::Hamming | Metric::Jaccard | Metric::Custom => raw,
        Metric::InnerProduct => inner_product(raw),
        Metric::Cosine => match (cosine_scale(one(&x, &x)), cosine_scale(one(&y, &y))) {
            (far, other) if far == 0.0 || other == 0.0 => cosine_far(element, a, b),
            (scale_a, scale_b) => cosine(raw, scale_a, scale_b),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_plain_sums_and_what_is_not_finite_has_none_wherever_it_stands() {
        for count in [1, 7, 8, 9, 15, 16, 17, 33, 100] {
            let values: Vec<f32> =
                (0..count).map(|i| (i as f32 - 5.3) * if i % 3 == 0 { 1e30 } else { 1e-3 }).collect();
            let components: Vec<[u8; 4]> = values.iter().map(|value| value.to_ne_bytes()).collect();
            let plain = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
            assert!((length(&components).unwrap() - plain).abs() <= 1e-14 * plain, "{count}");
            assert_eq!(norm(Element::F32, components.as_flattened()), length(&components).unwrap());
            assert!(is_finite(&components));
            for place in 0..count {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut components = components.clone();
                    components[place] = bad.to_ne_bytes();
                    assert!(!is_finite(&components) && length(&components).is_none(), "{count} {place} {bad}");
                }
            }
        }
        assert!(length(&[f32::MAX.to_ne_bytes(); 5000]).is_some(), "squares of singles do not overflow");
    }
}
