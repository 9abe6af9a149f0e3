//! Is every kernel right on every level this machine has?
//!
//! Each kernel runs at every length from 0 to four registers and three components, and at the lengths of real
//! embeddings, on misaligned, unpadded input, against sums in f64 or i64. Integers must come out exactly, floats within
//! the bound of their rounding errors. A level that the machine lacks is named on stderr, not passed over.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;

use kith::distance::{
    Element, KernelId, Metric, Padded, Panel, cosine, cosine_far, cosine_scale, exact, exact_on, first_not_finite,
    inner_product, is_zero, kernels, norm, pad, padded_bytes, to_f32,
};
use kith::simd::{Level, available};

/// Metrics and elements that go together.
fn pairs() -> impl Iterator<Item = (Metric, Element)> {
    let all = Metric::ALL.into_iter().flat_map(|m| Element::ALL.map(|e| (m, e)));
    all.filter(|(m, e)| KernelId::new(*m, *e).is_ok())
}

/// xorshift64*; seeds differ per case, so a failure names a case that repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

/// What the components of a test vector are drawn from.
#[derive(Clone, Copy, Debug)]
enum Draw {
    /// Anything ordinary of either sign.
    Ordinary,
    /// The type's largest, smallest and odd values.
    Extreme,
    /// Numbers whose squares do not overflow but reach far.
    Wide,
    /// Denormals and zeros of both signs.
    Tiny,
    /// One value everywhere: the largest.
    Largest,
}

const DRAWS: [Draw; 5] = [Draw::Ordinary, Draw::Extreme, Draw::Wide, Draw::Tiny, Draw::Largest];

fn component(element: Element, draw: Draw, random: &mut Random, out: &mut Vec<u8>) {
    let r = random.next();
    let pick = |of: &[f32]| of[r as usize % of.len()];
    let unit = (r & 0xff_ffff) as f32 / 8_388_608.0 - 1.0;
    match element {
        Element::F32 => {
            let value = match draw {
                Draw::Ordinary => unit,
                Draw::Extreme => pick(&[1e38, -1e38, 0.0, -0.0, 3.4e38, 1e-40, 1.0, f32::MIN_POSITIVE]),
                Draw::Wide => unit * pick(&[1e17, 1.0, 1e-17]),
                Draw::Tiny => pick(&[1e-40, -1e-40, 0.0, -0.0, 1e-45, 1e-20, -1e-20]),
                Draw::Largest => f32::MAX,
            };
            out.extend(value.to_ne_bytes());
        }
        Element::F16 | Element::Bf16 => {
            let infinity: u16 = if element == Element::F16 { 0x7c00 } else { 0x7f80 };
            let one: u16 = if element == Element::F16 { 0x3c00 } else { 0x3f80 };
            let sign = (r as u16 & 1) << 15;
            let low = (r >> 8) as u16;
            let bits = match draw {
                Draw::Ordinary => sign | (one - 0x300 + low % 0x380),
                Draw::Extreme => sign | [0, 1, infinity - 1, one, 0x3ff, 0x400][usize::from(low % 6)],
                Draw::Wide => sign | (one / 2 + low % one),
                Draw::Tiny => sign | (low % 0x80),
                Draw::Largest => infinity - 1,
            };
            out.extend(bits.to_ne_bytes());
        }
        Element::I8 | Element::U8 | Element::B1 | Element::Byte => out.push(match draw {
            Draw::Ordinary | Draw::Wide => r as u8,
            Draw::Extreme => [0, 1, 127, 128, 129, 255][r as usize % 6],
            Draw::Tiny => (r % 3) as u8,
            Draw::Largest => [255, 128][usize::from(element == Element::I8)],
        }),
    }
}

/// Bytes a component takes in these tests; bits come by the byte.
fn step(element: Element) -> usize {
    element.bits().div_ceil(8)
}

/// `count` vectors of `length` steps.
fn vectors(element: Element, draw: Draw, length: usize, count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(length as u64 * 977 + element as u64 * 31 + 12345);
    (0..count)
        .map(|_| {
            let mut bytes = Vec::new();
            (0..length).for_each(|_| component(element, draw, &mut random, &mut bytes));
            bytes
        })
        .collect()
}

fn dimensions(element: Element, length: usize) -> u32 {
    u32::try_from(length * step(element) * 8 / element.bits()).unwrap()
}

fn floats(element: Element, bytes: &[u8]) -> Vec<f64> {
    let mut out = vec![0.0; bytes.len() * 8 / element.bits()];
    to_f32(element, bytes, &mut out);
    out.into_iter().map(f64::from).collect()
}

/// What a score should be.
#[derive(Debug)]
struct Reference {
    /// In f64; exact for integers below 2^53.
    sum: f64,
    /// Sum of the absolute terms.
    size: f64,
    /// Terms have both signs.
    mixed: bool,
}

fn reference(metric: Metric, element: Element, a: &[u8], b: &[u8]) -> Reference {
    let (x, y) = (floats(element, a), floats(element, b));
    let terms: Vec<f64> = x
        .iter()
        .zip(&y)
        .map(|(x, y)| match metric {
            Metric::L2 => (x - y) * (x - y),
            Metric::InnerProduct | Metric::Cosine => x * y,
            Metric::L1 => (x - y).abs(),
            Metric::Hamming => f64::from(x != y),
            Metric::Jaccard => f64::from(*x + *y == 2.0),
            Metric::Custom => unreachable!("kith does not compute it"),
        })
        .collect();
    let mixed = terms.iter().any(|t| *t < 0.0) && terms.iter().any(|t| *t > 0.0);
    let sum: f64 = terms.iter().sum();
    let size = terms.iter().map(|t| t.abs()).sum();
    if metric == Metric::Jaccard {
        let either = x.iter().zip(&y).filter(|(x, y)| **x + **y > 0.0).count() as f64;
        return Reference { sum: if either == 0.0 { 0.0 } else { (either - sum) / either }, size, mixed };
    }
    Reference { sum, size, mixed }
}

/// Whether `got` may stand for the reference summed from `n` float terms.
fn close(got: f32, &Reference { sum, size, mixed }: &Reference, n: usize) -> bool {
    let largest = f64::from(f32::MAX);
    if mixed && size > largest / 2.0 {
        // Part of the sum may have overflowed: any infinity, or NaN where infinities of both signs met, is right.
        return true;
    }
    if sum.abs() > largest * 1.001 {
        return f64::from(got) == f64::INFINITY.copysign(sum);
    }
    if sum.abs() > largest * 0.999 {
        return !got.is_nan();
    }
    // Each of at least 8 running sums takes n / 8 adds; a term is rounded up to three times; a few adds join the sums.
    let rounding = (n as f64 / 8.0 + 12.0) * 2.0_f64.powi(-24) * size;
    let vanishing = n as f64 * 2.0_f64.powi(-149);
    (f64::from(got) - sum).abs() <= rounding + vanishing
}

fn is_whole(element: Element) -> bool {
    matches!(element, Element::I8 | Element::U8 | Element::B1)
}

/// Raw score through the plain functions, from misaligned input.
fn raw(level: Level, metric: Metric, element: Element, a: &[u8], b: &[u8]) -> f32 {
    let kernels = kernels(level, KernelId::new(metric, element).unwrap());
    let (a, b) = (Padded::new(a).unwrap(), Padded::new(b).unwrap());
    // SAFETY: both have the same padded length.
    unsafe { (kernels.one)(a.as_ptr(), b.as_ptr(), a.bytes()) }
}

fn lengths(level: Level, element: Element) -> Vec<usize> {
    let register = match level {
        Level::Avx512 => 64,
        Level::Avx2 => 32,
        Level::Portable | Level::Neon => 16,
    };
    let lanes = register / step(element);
    (0..=4 * lanes + 3).chain([96, 128, 384, 768, 1000, 1024, 1536, 4099]).collect()
}

/// Runs `check` on every level of this machine and names the others on stderr (which the test harness does not hold back, as it
/// does with `eprintln!`).
#[expect(clippy::explicit_write, reason = "eprintln! is held back while tests pass")]
fn on_each_level(test: &str, check: impl Fn(Level)) {
    for level in Level::ALL {
        if available().contains(&level) {
            check(level);
        } else {
            writeln!(std::io::stderr(), "{test}: NOT RUN on {}, this machine lacks it", level.name()).unwrap();
        }
    }
}

#[test]
fn scores_match_the_reference_at_every_length() {
    on_each_level("scores_match_the_reference_at_every_length", |level| {
        for (metric, element) in pairs() {
            for length in lengths(level, element) {
                for draw in DRAWS {
                    let v = vectors(element, draw, length, 2);
                    let got = raw(level, metric, element, &v[0], &v[1]);
                    let expected = reference(metric, element, &v[0], &v[1]);
                    let right = match is_whole(element) {
                        true => got == expected.sum as f32,
                        false => close(got, &expected, length),
                    };
                    assert!(
                        right,
                        "{} {metric:?} {element:?} length {length} {draw:?}: {got:e}, {expected:?}",
                        level.name()
                    );
                }
            }
        }
    });
}

#[test]
fn integers_are_exact_at_the_largest_size() {
    on_each_level("integers_are_exact_at_the_largest_size", |level| {
        for (element, a, b) in
            [(Element::U8, 255, 0), (Element::U8, 255, 255), (Element::I8, 128, 127), (Element::I8, 128, 128)]
        {
            for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
                let (a, b) = (vec![a; 65_536], vec![b; 65_536]);
                let sum = reference(metric, element, &a, &b).sum;
                assert_eq!(raw(level, metric, element, &a, &b), sum as f32, "{} {metric:?} {element:?}", level.name());
            }
        }
    });
}

#[test]
fn grouping_never_changes_a_bit() {
    const QUERIES: usize = 7;
    const ROWS: usize = 9;
    on_each_level("grouping_never_changes_a_bit", |level| {
        for (metric, element) in pairs() {
            let kernels = kernels(level, KernelId::new(metric, element).unwrap());
            for length in (1..70).chain([96, 128, 384, 768, 1000]) {
                let v = vectors(element, Draw::Ordinary, length, QUERIES + ROWS);
                let bytes = padded_bytes(v[0].len());
                // One byte in: neither queries nor rows are aligned.
                let mut memory = vec![0; 1 + bytes * (QUERIES + ROWS)];
                for (vector, slot) in v.iter().zip(memory[1..].chunks_mut(bytes)) {
                    pad(vector, slot);
                }
                let at = |i: usize| memory[1 + i * bytes..].as_ptr();
                let mut scores = [[f32::NAN; ROWS]; QUERIES];
                let panel = Panel {
                    queries: at(0),
                    query_count: QUERIES,
                    query_stride: bytes,
                    rows: at(QUERIES),
                    row_count: ROWS,
                    row_stride: bytes,
                    bytes,
                    scores: scores.as_mut_ptr().cast(),
                    scores_stride: ROWS,
                };
                // SAFETY: the panel describes `memory` and `scores`.
                unsafe { (kernels.panel)(&panel) };
                for (q, scores) in scores.iter().enumerate() {
                    for r in 0..ROWS {
                        let rows = [0, 1, 2, 3].map(|i| at(QUERIES + (r + i) % ROWS));
                        // SAFETY: all are vectors of `bytes` bytes in `memory`.
                        let (one, four) =
                            unsafe { ((kernels.one)(at(q), rows[0], bytes), (kernels.four)(at(q), rows, bytes)) };
                        let case = format!("{} {metric:?} {element:?} length {length}", level.name());
                        assert_eq!(one.to_bits(), four[0].to_bits(), "{case}: one and four");
                        assert_eq!(one.to_bits(), scores[r].to_bits(), "{case}: one and panel");
                        for i in 1..4 {
                            assert_eq!(
                                four[i].to_bits(),
                                scores[(r + i) % ROWS].to_bits(),
                                "{case}: place {i} of four"
                            );
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn identical_vectors_are_at_distance_zero_and_order_does_not_matter() {
    on_each_level("identical_vectors_are_at_distance_zero_and_order_does_not_matter", |level| {
        for (metric, element) in pairs() {
            for length in [1, 5, 96, 100, 768] {
                for draw in [Draw::Ordinary, Draw::Wide] {
                    let v = vectors(element, draw, length, 2);
                    let dims = dimensions(element, length);
                    if metric == Metric::Cosine && v.iter().any(|v| is_zero(element, v)) {
                        continue;
                    }
                    let there = exact_on(level, metric, element, dims, &v[0], &v[1]).unwrap();
                    let back = exact_on(level, metric, element, dims, &v[1], &v[0]).unwrap();
                    assert_eq!(there.to_bits(), back.to_bits(), "{level:?} {metric:?} {element:?} {length}");
                    if metric != Metric::InnerProduct {
                        let same = exact_on(level, metric, element, dims, &v[0], &v[0]).unwrap();
                        assert_eq!(same, 0.0, "{level:?} {metric:?} {element:?} {length} {draw:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn exact_takes_unaligned_slices_and_forms_each_metric() {
    let bytes = |v: &[f32]| v.iter().flat_map(|x| x.to_ne_bytes()).collect::<Vec<u8>>();
    let mut memory = vec![0_u8];
    memory.extend(bytes(&[3.0, 4.0, 0.0]));
    memory.extend(bytes(&[4.0, 3.0, 0.0]));
    let (a, b) = (&memory[1..13], &memory[13..25]);
    let on = |metric| exact(metric, Element::F32, 3, a, b).unwrap();
    assert_eq!(on(Metric::L2), 2.0);
    assert_eq!(on(Metric::InnerProduct), -23.0);
    assert_eq!(on(Metric::L1), 2.0);
    assert!((on(Metric::Cosine) - 0.04).abs() < 1e-7);
    assert_eq!(exact(Metric::Hamming, Element::B1, 16, &[0b1100, 1], &[0b1010, 1]).unwrap(), 2.0);
    assert_eq!(exact(Metric::Jaccard, Element::B1, 16, &[0b1100, 1], &[0b1010, 1]).unwrap(), 0.5);
    assert_eq!(exact(Metric::Jaccard, Element::B1, 8, &[0], &[0]).unwrap(), 0.0);
    assert_eq!(exact(Metric::Cosine, Element::I8, 2, &[1, 0], &[255, 0]).unwrap(), 2.0);
}

#[test]
fn exact_names_what_it_refuses() {
    let text = |r: kith::Result<f32>| r.unwrap_err().text().to_owned();
    let nan = [1.0_f32, f32::NAN].map(f32::to_ne_bytes).concat();
    let ones = [1.0_f32, 1.0].map(f32::to_ne_bytes).concat();
    assert!(text(exact(Metric::L2, Element::F32, 2, &ones, &nan)).contains("b is not finite in component 1"));
    assert!(text(exact(Metric::Cosine, Element::F32, 2, &[0; 8], &ones)).contains("a is a zero vector"));
    assert!(text(exact(Metric::L2, Element::F32, 3, &ones, &ones)).contains("a has 8 bytes"));
    assert!(text(exact(Metric::Hamming, Element::F32, 2, &ones, &ones)).contains("Hamming"));
    assert!(text(exact(Metric::L2, Element::U8, 65_537, &[], &[])).contains("65537"));
}

#[test]
fn cosine_is_right_for_very_long_and_very_short_vectors() {
    let direction = [0.6_f32, -0.8, 0.0, 0.3];
    let other = [0.1_f32, 0.9, -0.4, 0.2];
    let bytes = |v: [f32; 4], scale: f32| v.map(|x| (x * scale).to_ne_bytes()).concat();
    let plain = exact(Metric::Cosine, Element::F32, 4, &bytes(direction, 1.0), &bytes(other, 1.0)).unwrap();
    for (x, y) in [(1e38, 1e38), (1e38, 1e-35), (1e-35, 1e-35), (1e-38, 1.0), (1e18, 1e18), (1e-15, 1e-15), (1e20, 1.0)]
    {
        let (a, b) = (bytes(direction, x), bytes(other, y));
        let got = exact(Metric::Cosine, Element::F32, 4, &a, &b).unwrap();
        // At 1e-38 the components themselves have lost bits.
        let slack = if x.min(y) < 1e-36 { 1e-6 } else { 2e-7 };
        assert!((got - plain).abs() <= slack, "scales {x:e} {y:e}: {got}, at scale 1 {plain}");
        assert_eq!(exact(Metric::Cosine, Element::F32, 4, &a, &a).unwrap(), 0.0, "scale {x:e}");
    }
    assert_eq!(cosine_scale(0.0), 0.0);
    assert_eq!(cosine_scale(f32::INFINITY), 0.0);
    assert_eq!(cosine_scale(f32::NAN), 0.0);
    assert_eq!(cosine(2.0, cosine_scale(4.0), cosine_scale(1.0)), 0.0);
    assert_eq!(cosine_far(Element::F32, &bytes(direction, 1e38), &bytes(direction, -1e38)), 2.0);
    assert_eq!(inner_product(0.25), 0.75);
}

#[test]
fn norms_neither_overflow_nor_vanish() {
    for scale in [1e-40_f32, 1e-20, 1.0, 1e20, 1e38] {
        let v = [scale; 4].map(f32::to_ne_bytes).concat();
        let expected = 2.0 * f64::from(scale);
        assert!((norm(Element::F32, &v) / expected - 1.0).abs() < 1e-15, "{scale:e}");
    }
    assert_eq!(norm(Element::I8, &[253, 4]), 5.0);
    assert_eq!(norm(Element::U8, &[255; 65_536]), 255.0 * 256.0);
    assert_eq!(norm(Element::B1, &[0xff, 0xff]), 4.0);
    assert_eq!(norm(Element::F32, &[]), 0.0);
}

#[test]
fn every_not_finite_component_is_found_and_named() {
    for length in [1, 3, 63, 64, 65, 200] {
        for at in 0..length {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut v = vec![f32::MAX; length];
                v[at] = bad;
                let bytes: Vec<u8> = v.iter().flat_map(|x| x.to_ne_bytes()).collect();
                assert_eq!(first_not_finite(Element::F32, &bytes), Some(at));
            }
            for (element, bad, good) in [(Element::F16, 0xfc00_u16, 0x7bff_u16), (Element::Bf16, 0x7f81, 0xff7f)] {
                let mut v = vec![good; length];
                assert_eq!(
                    first_not_finite(element, &v.iter().flat_map(|x| x.to_ne_bytes()).collect::<Vec<u8>>()),
                    None
                );
                v[at] = bad;
                assert_eq!(
                    first_not_finite(element, &v.iter().flat_map(|x| x.to_ne_bytes()).collect::<Vec<u8>>()),
                    Some(at)
                );
            }
        }
    }
    assert_eq!(first_not_finite(Element::U8, &[255; 9]), None);
}

#[test]
fn zero_has_two_signs() {
    let v = [0.0_f32, -0.0].map(f32::to_ne_bytes).concat();
    assert!(is_zero(Element::F32, &v));
    assert!(!is_zero(Element::F32, &[0.0_f32, 1e-45].map(f32::to_ne_bytes).concat()));
    assert!(is_zero(Element::F16, &0x8000_u16.to_ne_bytes()));
    assert!(!is_zero(Element::Bf16, &0x8001_u16.to_ne_bytes()));
    assert!(!is_zero(Element::I8, &[0, 128]));
}

/// An intrinsic left as a call passes its vectors through memory and is 70 times slower, without a warning.
#[test]
fn every_vector_instruction_is_inlined() {
    let say =
        |why: &str| writeln!(std::io::stderr(), "every_vector_instruction_is_inlined: NOT CHECKED, {why}").unwrap();
    let binary = std::env::current_exe().unwrap();
    let Ok(symbols) = std::process::Command::new("nm").arg("-C").arg(&binary).output() else {
        return say("there is no nm");
    };
    if !symbols.status.success() {
        return say("nm does not know this binary");
    }
    let symbols = String::from_utf8_lossy(&symbols.stdout);
    assert!(symbols.contains("kith::distance"), "nm shows this binary's functions");
    // Detecting the level takes two instructions that may well be calls.
    let calls: Vec<&str> =
        symbols.lines().filter(|l| l.contains("core_arch") && !l.contains("_xgetbv") && !l.contains("cpuid")).collect();
    assert!(calls.is_empty(), "left as calls:\n{}", calls.join("\n"));
}

#[test]
fn the_length_of_a_rounded_vector_is_that_of_its_rounded_components() {
    use kith::distance::norm_rounded;
    use kith::simd::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
    for dimensions in (1..40).chain([128, 385]) {
        let values: Vec<f32> =
            (0..dimensions).map(|i| ((i * 37 % 101) as f32 - 50.0) * 10.0_f32.powi(i % 9 - 6) / 3.0).collect();
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>();
        let f16: Vec<f32> = values.iter().map(|&value| f16_to_f32(f32_to_f16(value))).collect();
        let bf16: Vec<f32> = values.iter().map(|&value| bf16_to_f32(f32_to_bf16(value))).collect();
        for (element, rounded) in [(Element::F16, f16), (Element::Bf16, bf16), (Element::F32, values.clone())] {
            let (told, wanted) = (norm_rounded(element, &bytes(&values)), norm(Element::F32, &bytes(&rounded)));
            assert!((told - wanted).abs() <= 1e-14 * wanted, "{element:?} {dimensions}: {told}, {wanted}");
        }
    }
}
