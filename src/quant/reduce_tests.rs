//! Reduced vectors against plain arithmetic: distances within what rounding and clipping may take, on soft and hard data.

use super::*;
use crate::util::pool::Pool;

/// Numbers that look random, the same in every run.
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

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

/// Vectors along `rank` mixed directions, with a little noise.
fn vectors(count: usize, dimensions: usize, rank: usize, shape: impl Fn(f32) -> f32) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(5);
    let basis: Vec<Vec<f32>> = (0..rank).map(|_| (0..dimensions).map(|_| numbers.normal()).collect()).collect();
    (0..count)
        .map(|_| {
            let mut vector: Vec<f32> = (0..dimensions).map(|_| 0.05 * numbers.normal() + 0.5).collect();
            for direction in &basis {
                let along = shape(numbers.normal());
                vector.iter_mut().zip(direction).for_each(|(value, step)| *value += along * step);
            }
            vector
        })
        .collect()
}

fn trained(reduction: Reduction, metric: Metric, rows: &[Vec<u8>]) -> Option<Reducer> {
    let dimensions = rows[0].len() / 4;
    let sample =
        Sample { metric, element: Element::F32, dimensions, vectors: rows.iter().map(Vec::as_slice).collect() };
    train_reducer(reduction, &sample, 3, &Hands::quiet(&Pool::default(), 1)).unwrap()
}

/// The distance that a reduced row has from a query.
fn told(reducer: &Reducer, query: &[u8], row: &[u8]) -> f64 {
    let (mut work, mut asked, mut reduced) = (Workspace::default(), Asked::default(), Vec::new());
    reducer.ask(Element::F32, query, f32::NAN, &mut work, &mut asked);
    reducer.reduce(Element::F32, row, f32::NAN, &mut work, &mut reduced);
    let asked = asked.whole;
    assert_eq!((reduced.len(), asked.len()), (reducer.components(), 4 * reducer.components()));
    let asked = asked.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_ne_bytes(*bytes)));
    let pairs = asked.zip(reduced.iter().map(|byte| f64::from(byte.cast_signed())));
    let (metric, gain) = reducer.metric();
    if metric == Metric::L2 {
        f64::from(gain) * pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
    } else {
        1.0 - f64::from(gain) * pairs.map(|(a, b)| a * b).sum::<f64>()
    }
}

#[test]
fn distances_are_those_of_the_vectors_but_for_rounding() {
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        for (reduction, rank, most) in [(Reduction::Every, 150, 0.02), (Reduction::Leading, 60, 0.06)] {
            let rows: Vec<Vec<u8>> = vectors(900, 150, rank, |along| along).iter().map(|row| bytes(row)).collect();
            let reducer = trained(reduction, metric, &rows).unwrap();
            let (mut errors, mut sizes, mut bias) = (0.0, 0.0, 0.0);
            let mean: f64 = (0..200).map(|i| f64::from(exact(metric, &rows[i], &rows[i + 300]))).sum::<f64>() / 200.0;
            for i in 0..200 {
                let wanted = f64::from(exact(metric, &rows[i], &rows[i + 300]));
                let error = told(&reducer, &rows[i], &rows[i + 300]) - wanted;
                errors += error * error;
                bias += error;
                sizes += if metric == Metric::InnerProduct { (wanted - mean).powi(2) } else { wanted * wanted };
            }
            let relative = (errors / sizes).sqrt();
            assert!(relative < most, "{metric:?} {reduction:?}: off by {relative}");
            assert!((bias / 200.0).abs() <= most * (sizes / 200.0).sqrt(), "{metric:?} {reduction:?}: bias");
        }
    }
}

fn exact(metric: Metric, a: &[u8], b: &[u8]) -> f32 {
    crate::distance::exact(metric, Element::F32, (a.len() / 4) as u32, a, b).unwrap()
}

#[test]
fn hard_data_are_ordered_nearly_as_they_are() {
    type Harden = fn(usize, &mut Vec<f32>);
    let cases: [(&str, Harden); 5] = [
        ("heavy tails", |_, row| row.iter_mut().for_each(|value| *value = value.powi(3))),
        ("constant dimensions", |_, row| row[..40].fill(7.0)),
        ("one huge dimension", |i, row| row[0] = 1000.0 + (i % 7) as f32),
        ("tiny", |_, row| row.iter_mut().for_each(|value| *value *= 1e-12)),
        ("duplicates", |i, row| {
            if i % 2 == 1 {
                row.fill(0.25);
            }
        }),
    ];
    for (name, harden) in cases {
        let mut rows = vectors(700, 120, 30, |along| along);
        rows.iter_mut().enumerate().for_each(|(i, row)| harden(i, row));
        let rows: Vec<Vec<u8>> = rows.iter().map(|row| bytes(row)).collect();
        for reduction in [Reduction::Every, Reduction::Leading] {
            let reducer = trained(reduction, Metric::L2, &rows).expect(name);
            // Of pairs whose distances differ by a fifth, nearly all keep their order.
            let (mut kept, mut all) = (0, 0);
            for i in 0..300 {
                let (query, a, b) = (&rows[i], &rows[i + 200], &rows[i + 400]);
                let (near, far) = (exact(Metric::L2, query, a), exact(Metric::L2, query, b));
                if near.max(far) > 1.2 * near.min(far) {
                    all += 1;
                    kept += usize::from((near < far) == (told(&reducer, query, a) < told(&reducer, query, b)));
                }
            }
            assert!(all > 10 && kept * 100 >= all * 97, "{name} {reduction:?}: {kept} of {all}");
        }
    }
    assert!(trained(Reduction::Every, Metric::L2, &vec![bytes(&[3.0; 20]); 300]).is_none());
    assert!(trained(Reduction::Leading, Metric::L2, &vec![bytes(&[3.0; 20]); 300]).is_none());
}

#[test]
fn what_is_restored_is_near_and_a_blob_makes_the_same_bytes() {
    for (reduction, most) in [(Reduction::Every, 3e-4), (Reduction::Leading, 0.02)] {
        let rows: Vec<Vec<u8>> = vectors(800, 130, 40, |along| along).iter().map(|row| bytes(row)).collect();
        for metric in [Metric::L2, Metric::InnerProduct] {
            let reducer = trained(reduction, metric, &rows).unwrap();
            let blob = reducer.to_blob();
            let again = Reducer::from_blob(reduction, (metric, 130), reducer.components(), &blob).unwrap();
            let (mut work, mut one, mut other, mut back) = (Workspace::default(), Vec::new(), Vec::new(), Vec::new());
            for row in rows.iter().step_by(50) {
                reducer.reduce(Element::F32, row, f32::NAN, &mut work, &mut one);
                again.reduce(Element::F32, row, f32::NAN, &mut work, &mut other);
                assert_eq!(one, other);
                reducer.restore(&one, &mut back);
                let zero = bytes(&[0.0; 130]);
                let lost = exact(Metric::L2, row, &bytes(&back)) / exact(Metric::L2, row, &zero);
                assert!(lost < most, "{reduction:?} {metric:?}: {lost}");
            }
            for at in [0, 5, HEAD] {
                let mut bad = blob.clone();
                bad[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
                assert!(Reducer::from_blob(reduction, (metric, 130), reducer.components(), &bad).is_err(), "{at}");
            }
        }
    }
}
