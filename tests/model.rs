//! Random operations against a plain model: a map from key to vector, searched by brute force in f64.

#![allow(clippy::unwrap_used, missing_docs)]

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Filter, Index, Kind, Options, Rows, SearchOptions, Status};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DIMENSIONS: u32 = 24;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u8),
    Upsert(u64, u8),
    Batch(Vec<(u64, u8)>, bool),
    Remove(u64),
    RemoveBatch(Vec<u64>),
    Search { of: u8, k: usize, odd_only: bool },
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..60u64;
    let step = prop_oneof![
        6 => (key.clone(), any::<u8>()).prop_map(|(key, of)| Step::Insert(key, of)),
        4 => (key.clone(), any::<u8>()).prop_map(|(key, of)| Step::Upsert(key, of)),
        2 => (prop::collection::vec((key.clone(), any::<u8>()), 0..20), any::<bool>()).prop_map(|(rows, up)| Step::Batch(rows, up)),
        4 => key.clone().prop_map(Step::Remove),
        1 => prop::collection::vec(key, 0..10).prop_map(Step::RemoveBatch),
        6 => (any::<u8>(), 1..80usize, any::<bool>()).prop_map(|(of, k, odd_only)| Step::Search { of, k, odd_only }),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..120)
}

/// One of 256 vectors, as small integers so that every element type holds them exactly and ties are common.
fn vector(of: u8, element: Element) -> Vec<u8> {
    let mut state = u64::from(of).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut component = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 5) as u8 + 1
    };
    match element {
        Element::B1 => (0..DIMENSIONS / 8).map(|_| component().wrapping_mul(37)).collect(),
        Element::I8 | Element::U8 | Element::Byte => (0..DIMENSIONS).map(|_| component()).collect(),
        Element::F32 => (0..DIMENSIONS).flat_map(|_| f32::from(component()).to_le_bytes()).collect(),
        Element::Bf16 => {
            (0..DIMENSIONS).flat_map(|_| ((f32::from(component()).to_bits() >> 16) as u16).to_le_bytes()).collect()
        }
        Element::F16 => (0..DIMENSIONS)
            .flat_map(|_| {
                // 1 to 5 as IEEE halves.
                [0x3c00u16, 0x4000, 0x4200, 0x4400, 0x4500][usize::from(component()) - 1].to_le_bytes()
            })
            .collect(),
    }
}

fn widen(element: Element, vector: &[u8]) -> Vec<f64> {
    match element {
        Element::B1 => vector.iter().flat_map(|byte| (0..8).map(move |bit| f64::from(byte >> bit & 1))).collect(),
        Element::I8 => vector.iter().map(|&byte| f64::from(byte as i8)).collect(),
        Element::U8 | Element::Byte => vector.iter().map(|&byte| f64::from(byte)).collect(),
        Element::F32 => vector.chunks(4).map(|c| f64::from(f32::from_le_bytes([c[0], c[1], c[2], c[3]]))).collect(),
        Element::Bf16 => vector.chunks(2).map(|c| f64::from(f32::from_le_bytes([0, 0, c[0], c[1]]))).collect(),
        Element::F16 => vector
            .chunks(2)
            .map(|c| {
                let half = u16::from_le_bytes([c[0], c[1]]);
                f64::from(f32::from_bits((u32::from(half >> 10) + 112) << 23 | u32::from(half & 1023) << 13))
            })
            .collect(),
    }
}

fn plain_distance(metric: Metric, a: &[f64], b: &[f64]) -> f64 {
    let sum = |f: fn(f64, f64) -> f64| a.iter().zip(b).map(|(&a, &b)| f(a, b)).sum::<f64>();
    match metric {
        Metric::L2 => sum(|a, b| (a - b) * (a - b)),
        Metric::InnerProduct => 1.0 - sum(|a, b| a * b),
        Metric::Cosine => 1.0 - sum(|a, b| a * b) / (sum(|a, _| a * a) * sum(|_, b| b * b)).sqrt(),
        Metric::L1 | Metric::Hamming => sum(|a, b| (a - b).abs()),
        Metric::Jaccard => 1.0 - sum(|a, b| a * b) / sum(f64::max),
        Metric::Custom => unreachable!("kith does not compute it"),
    }
}

fn check_search(
    index: &Index,
    model: &BTreeMap<u64, u8>,
    metric: Metric,
    element: Element,
    of: u8,
    k: usize,
    odd_only: bool,
) {
    let query = vector(of, element);
    let (mut keys, mut distances) = (vec![0; k], vec![0.0; k]);
    let odd = |key: u64| key % 2 == 1;
    let options = SearchOptions { filter: odd_only.then_some(Filter::Caller(&odd)), ..Default::default() };
    let count = index.search(&query, &mut keys, Some(&mut distances), &options).unwrap();
    let wide = widen(element, &query);
    let mut expected: Vec<(f64, u64)> = model
        .iter()
        .filter(|(key, _)| !odd_only || odd(**key))
        .map(|(&key, &of)| (plain_distance(metric, &wide, &widen(element, &vector(of, element))), key))
        .collect();
    expected.sort_by(|a, b| a.partial_cmp(b).unwrap());
    expected.truncate(k);
    assert_eq!(count, expected.len());
    for (i, &(distance, key)) in expected.iter().enumerate() {
        assert!(
            (f64::from(distances[i]) - distance).abs() <= 1e-5 * distance.abs().max(1.0),
            "{} != {distance}",
            distances[i]
        );
        // Only cosine rounds here; everything else must also agree on the order of ties.
        if !matches!(metric, Metric::Cosine | Metric::Jaccard) {
            assert_eq!(keys[i], key);
        }
    }
    assert!(keys[count..].iter().all(|&key| key == u64::MAX));
    assert!(distances[count..].iter().all(|&distance| distance == f32::INFINITY));
    for i in 1..count {
        assert!((distances[i - 1], keys[i - 1]) < (distances[i], keys[i]));
    }
}

fn run(kind: Kind, metric: Metric, element: Element, steps: &[Step]) {
    // So few that a run of steps comes to be on both sides.
    let graph_from = if kind == Kind::Auto { 12 } else { 0 };
    let options = Options { dimensions: DIMENSIONS, metric, element, kind, graph_from, ..Default::default() };
    let index = Index::create(&options).unwrap();
    let mut model = BTreeMap::new();
    for step in steps {
        match step {
            Step::Insert(key, of) => match index.insert(*key, &vector(*of, element)) {
                Ok(()) => assert_eq!(model.insert(*key, *of), None),
                Err(error) => assert!(error.status() == Status::Exists && model.contains_key(key)),
            },
            Step::Upsert(key, of) => {
                index.upsert(*key, &vector(*of, element)).unwrap();
                model.insert(*key, *of);
            }
            Step::Batch(rows, upsert) => {
                let keys: Vec<u64> = rows.iter().map(|row| row.0).collect();
                let data: Vec<u8> = rows.iter().flat_map(|row| vector(row.1, element)).collect();
                let options = BuildOptions { threads: 2, upsert: *upsert, ..Default::default() };
                let result = index.insert_batch(&keys, Rows::packed(&data, index.vector_bytes()), &options);
                let distinct = keys.iter().collect::<std::collections::BTreeSet<_>>().len() == keys.len();
                let fits = *upsert || (distinct && keys.iter().all(|key| !model.contains_key(key)));
                assert_eq!(result.is_ok(), fits, "{result:?}");
                if fits {
                    model.extend(rows.iter().copied());
                }
            }
            Step::Remove(key) => assert_eq!(index.remove(*key).is_ok(), model.remove(key).is_some()),
            Step::RemoveBatch(keys) => {
                let there = keys.iter().filter(|key| model.remove(key).is_some()).count();
                assert_eq!(index.remove_batch(keys).unwrap(), there);
            }
            Step::Search { of, k, odd_only } => check_search(&index, &model, metric, element, *of, *k, *odd_only),
            Step::Clear => {
                index.clear().unwrap();
                model.clear();
            }
        }
        assert_eq!(index.describe().count, model.len() as u64);
    }
    let mut keys = vec![0; model.len()];
    assert_eq!(index.keys(&mut keys).unwrap(), model.len());
    keys.sort_unstable();
    assert!(keys.iter().eq(model.keys()));
    let mut back = vec![0; index.vector_bytes()];
    for (&key, &of) in &model {
        index.get(key, &mut back).unwrap();
        assert_eq!(back, vector(of, element));
    }
    check_search(&index, &model, metric, element, 1, 100, false);
}

fn shapes() -> impl Strategy<Value = (Metric, Element)> {
    let plain = prop::sample::select(vec![Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1]);
    let elements = prop::sample::select(vec![Element::F32, Element::F16, Element::Bf16, Element::I8, Element::U8]);
    let bits = prop::sample::select(vec![Metric::Hamming, Metric::Jaccard]);
    prop_oneof![4 => (plain, elements), 1 => bits.prop_map(|metric| (metric, Element::B1))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn flat_agrees_with_the_model((metric, element) in shapes(), steps in steps()) {
        run(Kind::Flat, metric, element, &steps);
    }

    /// So few vectors are all candidates of a walk, so a graph must be exact here, too.
    #[test]
    fn a_small_graph_agrees_with_the_model((metric, element) in shapes(), steps in steps()) {
        run(Kind::Graph, metric, element, &steps);
    }

    /// And so must one that becomes a graph on the way.
    #[test]
    fn an_index_that_grows_agrees_with_the_model((metric, element) in shapes(), steps in steps()) {
        run(Kind::Auto, metric, element, &steps);
    }
}
