//! Codes against plain arithmetic: estimates near the distance, the same bits on every level, hard data.

use super::*;
use crate::simd::available;
use crate::util::hands::Hands;
use crate::util::pool::Pool;

/// Numbers that look random, about normal, the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    pub(super) fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform() - 0.5).sum::<f32>() * 1.4
    }
}

/// Vectors around 8 centres, most of their variance along `rank` mixed directions.
pub(super) fn vectors(count: usize, dimensions: usize, rank: usize) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(7);
    let basis: Vec<Vec<f32>> = (0..rank).map(|_| (0..dimensions).map(|_| numbers.normal()).collect()).collect();
    let centres: Vec<Vec<f32>> = (0..8).map(|_| (0..rank).map(|_| numbers.normal()).collect()).collect();
    (0..count)
        .map(|i| {
            let mut vector: Vec<f32> = (0..dimensions).map(|_| 0.05 * numbers.normal() + 0.3).collect();
            for (direction, centre) in basis.iter().zip(&centres[i % 8]) {
                let along = centre + 0.4 * numbers.normal();
                vector.iter_mut().zip(direction).for_each(|(value, step)| *value += along * step);
            }
            vector
        })
        .collect()
}

pub(super) fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn trained(coding: impl Into<Coding>, metric: Metric, rows: &[Vec<u8>], dimensions: usize) -> Option<Codec> {
    let sample =
        Sample { metric, element: Element::F32, dimensions, vectors: rows.iter().map(Vec::as_slice).collect() };
    train(coding, &sample, 5, &Hands::quiet(&Pool::default(), 1)).unwrap()
}

/// The width of rounded codes.
fn width_of(codec: &Codec) -> Width {
    match codec.coding() {
        Coding::Rounded(width) => width,
        Coding::Product | Coding::Signs => panic!("such codes have no width"),
    }
}

/// Every kind of codes, and by what part of the distances' spread its estimates are off at most.
const CODINGS: [(Coding, f32); 5] = [
    (Coding::Rounded(Width::Four), 0.06),
    (Coding::Rounded(Width::Two), 0.14),
    (Coding::Rounded(Width::One), 0.3),
    (Coding::Product, 0.2),
    (Coding::Signs, 0.6),
];

impl Codec {
    fn use_level(&mut self, level: Level) {
        self.level = level;
        if let Rule::Product(product) = &mut self.rule {
            product.use_level(level);
        }
    }
}

/// The weights of a query, by direction.
pub(super) fn weights_of(codec: &Codec, query: &Query) -> Vec<i32> {
    let (per_byte, bytes) = (8 / width_of(codec) as usize, query.weights.bytes());
    spread_out(codec, |line, part, b| match width_of(codec) {
        Width::One => (0..4).map(|t| [1, 2, 4, -8][t] * i32::from(bytes[64 * (4 * line + t) + b] >> part & 1)).sum(),
        _ => i32::from(bytes[64 * (per_byte * line + part) + b].cast_signed()),
    })
}

/// What the parts of a code stand for, by direction, in steps.
pub(super) fn levels_of(codec: &Codec, code: &[u8]) -> Vec<f32> {
    let bits = width_of(codec) as usize;
    let mask = ((1_u32 << bits) - 1) as u8;
    let parts = spread_out(codec, |line, part, b| i32::from(code[64 * line + b] >> (bits * part) & mask));
    parts.into_iter().map(|part| part as f32 - width_of(codec).centre()).collect()
}

/// One number for each direction, from its line, its part of a byte, and that byte of the line.
fn spread_out(codec: &Codec, number: impl Fn(usize, usize, usize) -> i32) -> Vec<i32> {
    let per_byte = 8 / width_of(codec) as usize;
    let mut all = Vec::new();
    for line in 0..codec.lines {
        let half = if line + 1 == codec.lines { 64 - FACTORS } else { 64 };
        all.extend(
            (0..per_byte).flat_map(|part| (0..half).map(move |b| (part, b))).map(|(part, b)| number(line, part, b)),
        );
    }
    assert_eq!(all.len(), codec.directions());
    all
}

/// The two factors of a code.
pub(super) fn factors_of(codec: &Codec, code: &[u8]) -> (f32, f32) {
    let float = |at: usize| f32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]]);
    (float(codec.stride() - FACTORS), float(codec.stride() - 4))
}

/// The estimate that a code and a query give, in the codec's unit.
pub(super) fn estimate(codec: &Codec, query: &Query, code: &[u8]) -> f32 {
    // Whole numbers: weights times codes from 0 on, as the kernels compute it.
    let product: i32 = match codec.coding() {
        Coding::Rounded(width) => {
            let (levels, weights) = (levels_of(codec, code), weights_of(codec, query));
            levels.iter().zip(&weights).map(|(level, weight)| (level + width.centre()) as i32 * weight).sum()
        }
        Coding::Product => {
            let entries = query.weights.bytes().as_chunks::<2>().0;
            let entry =
                |(part, &code): (usize, &u8)| i32::from(i16::from_ne_bytes(entries[256 * part + usize::from(code)]));
            code[..codec.stride() - FACTORS].iter().enumerate().map(entry).sum()
        }
        Coding::Signs => {
            let signs = code[..codec.stride() - FACTORS].iter().zip(query.weights.bytes());
            let differ = signs.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            let angle = std::f64::consts::PI * f64::from(differ) / codec.dimensions as f64;
            (angle.cos() * 32_768.0).round() as i32
        }
    };
    let (own, factor) = factors_of(codec, code);
    query.add + own + factor * (query.scale * product as f32 - query.offset)
}

/// An estimate of the distance of `row` from `query`, and the distance.
fn compare(codec: &Codec, metric: Metric, query: &[u8], row: &[u8]) -> (f32, f32) {
    let mut work = Workspace::default();
    let mut code = vec![0; codec.stride()];
    codec.encode(Element::F32, row, f32::NAN, &mut work, &mut code);
    let query_of = codec.prepare(Element::F32, query, f32::NAN, &mut work).unwrap();
    let estimate = estimate(codec, query_of, &code);
    let dimensions = (row.len() / 4) as u32;
    (codec.unit_of_estimates() * estimate, distance::exact(metric, Element::F32, dimensions, query, row).unwrap())
}

#[test]
fn estimates_are_near_the_distance() {
    for (metric, dimensions, rank) in
        [(Metric::L2, 128, 20), (Metric::Cosine, 384, 60), (Metric::InnerProduct, 200, 30), (Metric::L2, 61, 61)]
    {
        let rows: Vec<Vec<u8>> = vectors(1500, dimensions, rank).iter().map(|vector| bytes(vector)).collect();
        for (coding, most) in CODINGS {
            let codec = trained(coding, metric, &rows[..1000], dimensions).unwrap();
            let pairs: Vec<(f32, f32)> =
                (0..400).map(|i| compare(&codec, metric, &rows[1000 + i], &rows[(i * 7) % 1000])).collect();
            let mean = pairs.iter().map(|pair| pair.1).sum::<f32>() / 400.0;
            let spread = (pairs.iter().map(|pair| (pair.1 - mean).powi(2)).sum::<f32>() / 400.0).sqrt();
            let error = (pairs.iter().map(|pair| (pair.0 - pair.1).powi(2)).sum::<f32>() / 400.0).sqrt();
            assert!(
                error < most * spread,
                "{metric:?} {dimensions} {coding:?}: error {error}, distances vary by {spread}"
            );
        }
    }
}

#[test]
fn estimates_are_what_plain_arithmetic_gives() {
    struct Both<'a>(Estimator<'a>);
    impl LevelJob for Both<'_> {
        type Output = [f32; 6];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [f32; 6] {
            // SAFETY: slots 0 to 5 are written.
            unsafe {
                let [a, b, c, d] = self.0.four(s, [3, 0, 5, 1]);
                [b, d, self.0.one(s, 2), a, self.0.one(s, 4), c]
            }
        }
    }
    for dimensions in [48, 240, 700] {
        let rows: Vec<Vec<u8>> = vectors(600, dimensions, 400).iter().map(|vector| bytes(vector)).collect();
        for (coding, _) in CODINGS {
            let codes = Codes::new(trained(coding, Metric::L2, &rows, dimensions).unwrap());
            codes.grow(6).unwrap();
            let mut work = Workspace::default();
            (0..6).for_each(|slot| codes.write(slot, (Element::F32, &rows[slot as usize]), f32::NAN, &mut work));
            let query = codes.codec.prepare(Element::F32, &rows[9], f32::NAN, &mut work).unwrap();
            let wanted: Vec<f32> = (0..6).map(|slot| estimate(&codes.codec, query, codes.code(slot))).collect();
            for &level in available() {
                let found = distance::run_on(level, Both(codes.estimator(query)));
                assert_eq!(found[..], wanted[..], "{level:?} {coding:?} {dimensions}");
            }
        }
    }
}

#[test]
fn a_vector_is_near_itself() {
    let rows: Vec<Vec<u8>> = vectors(1200, 96, 16).iter().map(|vector| bytes(vector)).collect();
    for (coding, _) in CODINGS {
        let codec = trained(coding, Metric::L2, &rows, 96).unwrap();
        let is_nearest = |&i: &usize| {
            let (own, _) = compare(&codec, Metric::L2, &rows[i], &rows[i]);
            let others = (1..20).map(|j| compare(&codec, Metric::L2, &rows[i], &rows[i + j]).0);
            others.fold(f32::INFINITY, f32::min) > own.abs()
        };
        // One bit says so little that the nearest of 19 others may look nearer than the vector itself, once in a while.
        let rough = matches!(coding, Coding::Rounded(Width::One) | Coding::Signs);
        let nearest = (0..50).filter(is_nearest).count();
        assert!(nearest >= if rough { 48 } else { 50 }, "{coding:?}: {nearest} of 50");
    }
}

#[test]
fn codes_and_queries_have_the_same_bits_on_every_level() {
    for (dimensions, coding) in [48, 100, 384, 500].into_iter().flat_map(|d| CODINGS.map(|(coding, _)| (d, coding))) {
        let rows: Vec<Vec<u8>> = vectors(600, dimensions, 24).iter().map(|vector| bytes(vector)).collect();
        let mut codec = trained(coding, Metric::L2, &rows, dimensions).unwrap();
        let mut seen: Option<(Vec<u8>, Vec<u8>)> = None;
        for &level in available() {
            codec.use_level(level);
            let mut work = Workspace::default();
            let mut codes = Vec::new();
            let mut queries = Vec::new();
            for row in &rows[..40] {
                let mut code = vec![0; codec.stride()];
                codec.encode(Element::F32, row, f32::NAN, &mut work, &mut code);
                codes.extend(code);
                let query = codec.prepare(Element::F32, row, f32::NAN, &mut work).unwrap();
                queries.extend_from_slice(query.weights.bytes());
                queries.extend([query.add, query.scale, query.offset].into_iter().flat_map(f32::to_le_bytes));
            }
            let now = (codes, queries);
            assert!(
                seen.get_or_insert_with(|| now.clone()) == &now,
                "{level:?} at {dimensions} dimensions, {coding:?}"
            );
        }
    }
}

#[test]
fn hard_data_is_coded_or_refused() {
    let dimensions = 64;
    let equal = vec![bytes(&vec![1.5; dimensions]); 300];
    let huge: Vec<Vec<u8>> = (0..300).map(|i| bytes(&vec![1e30 * i as f32; dimensions])).collect();
    let mut plain = vectors(800, dimensions, 10);
    for (i, vector) in plain.iter_mut().enumerate() {
        vector[3] = 42.0;
        vector[5] *= 1000.0;
        if i % 2 == 0 {
            vector.copy_from_slice(&vec![0.25; dimensions]);
        }
    }
    let rows: Vec<Vec<u8>> = plain.iter().map(|vector| bytes(vector)).collect();
    for (coding, _) in CODINGS {
        assert!(trained(coding, Metric::L2, &equal, dimensions).is_none(), "nothing varies");
        assert!(trained(coding, Metric::L2, &huge, dimensions).is_none(), "squares overflow");
        let codec = trained(coding, Metric::L2, &rows, dimensions).unwrap();
        if coding == Width::Four.into() {
            for i in (1..200).step_by(2) {
                let (estimate, exact) = compare(&codec, Metric::L2, &rows[i], &rows[i + 100]);
                assert!((estimate - exact).abs() <= 0.1 * exact + 1.0, "{i}: {estimate} for {exact}");
            }
        }
        // What does not fit in single precision has no code that could mislead: it always counts as near.
        let far = bytes(&vec![1e20; dimensions]);
        let (estimate, _) = compare(&codec, Metric::L2, &rows[1], &far);
        assert!(estimate < -1e37, "{estimate}");
        assert!(codec.prepare(Element::F32, &far, f32::NAN, &mut Workspace::default()).is_none());
        // A vector, and a query, at the mean: what is left of them has no directions.
        let mean = bytes(&codec.mean);
        let (estimate, _) = compare(&codec, Metric::L2, &mean, &mean);
        assert!(estimate.abs() < 1e-3, "{coding:?}: {estimate}");
    }
}
