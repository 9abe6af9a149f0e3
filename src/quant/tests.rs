//! Codes against plain arithmetic: estimates near the distance, the same bits on every level, hard data.

use super::*;
use crate::simd::available;
use crate::util::pool::Pool;

/// Numbers that look random, about normal, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform() - 0.5).sum::<f32>() * 1.4
    }
}

/// Vectors around 8 centres, most of their variance along `rank` mixed directions.
fn vectors(count: usize, dimensions: usize, rank: usize) -> Vec<Vec<f32>> {
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

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn trained(metric: Metric, rows: &[Vec<u8>], dimensions: usize) -> Option<Codec> {
    let sample =
        Sample { metric, element: Element::F32, dimensions, vectors: rows.iter().map(Vec::as_slice).collect() };
    train(&sample, 5, 1, &Pool::default()).unwrap()
}

/// An estimate of the distance of `row` from `query`, and the distance.
fn compare(codec: &Codec, metric: Metric, query: &[u8], row: &[u8]) -> (f32, f32) {
    let mut work = Workspace::default();
    let mut code = vec![0; codec.stride()];
    codec.encode(Element::F32, row, f32::NAN, &mut work, &mut code);
    let weights = codec.prepare(Element::F32, query, f32::NAN, &mut work).unwrap();
    let (mut product, last) = (0, codec.stride() - FACTORS);
    for (i, &byte) in code[..last].iter().enumerate() {
        let weight = |at: usize| i32::from(weights.weights.bytes()[at].cast_signed());
        let at = 128 * (i / 64) + i % 64;
        product += i32::from(byte & 15) * weight(at) + i32::from(byte >> 4) * weight(at + 64);
    }
    let float = |at: usize| f32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]]);
    let estimate = weights.add + float(last) + float(last + 4) * (weights.scale * product as f32 - weights.offset);
    let dimensions = (row.len() / 4) as u32;
    (codec.unit_of_estimates() * estimate, distance::exact(metric, Element::F32, dimensions, query, row).unwrap())
}

#[test]
fn estimates_are_near_the_distance() {
    for (metric, dimensions, rank) in
        [(Metric::L2, 128, 20), (Metric::Cosine, 384, 60), (Metric::InnerProduct, 200, 30), (Metric::L2, 61, 61)]
    {
        let rows: Vec<Vec<u8>> = vectors(1500, dimensions, rank).iter().map(|vector| bytes(vector)).collect();
        let codec = trained(metric, &rows[..1000], dimensions).unwrap();
        let pairs: Vec<(f32, f32)> =
            (0..400).map(|i| compare(&codec, metric, &rows[1000 + i], &rows[(i * 7) % 1000])).collect();
        let mean = pairs.iter().map(|pair| pair.1).sum::<f32>() / 400.0;
        let spread = (pairs.iter().map(|pair| (pair.1 - mean).powi(2)).sum::<f32>() / 400.0).sqrt();
        let error = (pairs.iter().map(|pair| (pair.0 - pair.1).powi(2)).sum::<f32>() / 400.0).sqrt();
        assert!(error < 0.06 * spread, "{metric:?} {dimensions}: error {error}, distances vary by {spread}");
    }
}

#[test]
fn a_vector_is_near_itself() {
    let rows: Vec<Vec<u8>> = vectors(1200, 96, 16).iter().map(|vector| bytes(vector)).collect();
    let codec = trained(Metric::L2, &rows, 96).unwrap();
    for i in 0..50 {
        let (own, _) = compare(&codec, Metric::L2, &rows[i], &rows[i]);
        let others = (1..20).map(|j| compare(&codec, Metric::L2, &rows[i], &rows[i + j]).0);
        assert!(others.fold(f32::INFINITY, f32::min) > own.abs(), "{i}: {own}");
    }
}

#[test]
fn codes_and_queries_have_the_same_bits_on_every_level() {
    for dimensions in [48, 100, 384] {
        let rows: Vec<Vec<u8>> = vectors(600, dimensions, 24).iter().map(|vector| bytes(vector)).collect();
        let mut codec = trained(Metric::L2, &rows, dimensions).unwrap();
        let mut seen: Option<(Vec<u8>, Vec<u8>)> = None;
        for &level in available() {
            codec.level = level;
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
            assert!(seen.get_or_insert_with(|| now.clone()) == &now, "{level:?} at {dimensions} dimensions");
        }
    }
}

#[test]
fn hard_data_is_coded_or_refused() {
    let dimensions = 64;
    let equal = vec![bytes(&vec![1.5; dimensions]); 300];
    assert!(trained(Metric::L2, &equal, dimensions).is_none(), "nothing varies");
    let huge: Vec<Vec<u8>> = (0..300).map(|i| bytes(&vec![1e30 * i as f32; dimensions])).collect();
    assert!(trained(Metric::L2, &huge, dimensions).is_none(), "squares overflow");

    let mut plain = vectors(800, dimensions, 10);
    for (i, vector) in plain.iter_mut().enumerate() {
        vector[3] = 42.0;
        vector[5] *= 1000.0;
        if i % 2 == 0 {
            vector.copy_from_slice(&vec![0.25; dimensions]);
        }
    }
    let rows: Vec<Vec<u8>> = plain.iter().map(|vector| bytes(vector)).collect();
    let codec = trained(Metric::L2, &rows, dimensions).unwrap();
    for i in (1..200).step_by(2) {
        let (estimate, exact) = compare(&codec, Metric::L2, &rows[i], &rows[i + 100]);
        assert!((estimate - exact).abs() <= 0.1 * exact + 1.0, "{i}: {estimate} for {exact}");
    }
    // What does not fit in single precision has no code that could mislead: it always counts as near.
    let (estimate, _) = compare(&codec, Metric::L2, &rows[1], &bytes(&vec![1e20; dimensions]));
    assert!(estimate < -1e37, "{estimate}");
    assert!(
        codec.prepare(Element::F32, &bytes(&vec![1e20; dimensions]), f32::NAN, &mut Workspace::default()).is_none()
    );
}
