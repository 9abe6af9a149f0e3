//! Indexes of f32 that hold their vectors as floats of 16 bits: half of the memory, and distances of what is held.

#![allow(clippy::unwrap_used, missing_docs)]

mod surface;

use kith::distance::{Element, Metric, exact};
use kith::simd::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use kith::{
    BuildOptions, Counters, Format, Index, Kind, Observer, OpenFlags, Options, Quantizer, Query, Rows, SearchOptions,
    Status,
};
use std::sync::atomic::Ordering;

const DIMENSIONS: usize = 72;
const HALVES: [Element; 2] = [Element::F16, Element::Bf16];

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn rounded(held: Element, vector: &[f32]) -> Vec<f32> {
    let round = |&value: &f32| match held {
        Element::F16 => f16_to_f32(f32_to_f16(value)),
        _ => bf16_to_f32(f32_to_bf16(value)),
    };
    vector.iter().map(round).collect()
}

fn vectors(seed: u64, count: usize) -> Vec<Vec<f32>> {
    surface::vectors(seed, count, DIMENSIONS, 9)
}

fn options(metric: Metric, held: Element, kind: Kind) -> Options {
    Options { metric, held, kind, dimensions: DIMENSIONS as u32, ..Options::default() }
}

fn insert(index: &Index, first: u64, vectors: &[Vec<f32>]) {
    let keys: Vec<u64> = (first..).take(vectors.len()).collect();
    let all: Vec<u8> = vectors.iter().flat_map(|vector| bytes(vector)).collect();
    index.insert_batch(&keys, Rows::packed(&all, 4 * DIMENSIONS), &BuildOptions::default()).unwrap();
}

fn get(index: &Index, key: u64) -> Vec<u8> {
    let mut vector = vec![0; 4 * DIMENSIONS];
    index.get(key, &mut vector).unwrap();
    vector
}

fn search(index: &Index, query: &[f32], options: &SearchOptions<'_>) -> Vec<(u64, f32)> {
    let (mut keys, mut distances) = ([0; 10], [0.0; 10]);
    let count = index.search(&bytes(query), &mut keys, Some(&mut distances), options).unwrap();
    keys.into_iter().zip(distances).take(count).collect()
}

/// The ten nearest of rounded vectors to a rounded query, by number.
fn truth(metric: Metric, held: Element, base: &[Vec<f32>], query: &[f32]) -> Vec<(u64, f32)> {
    let query = bytes(&rounded(held, query));
    let distance =
        |row: &Vec<f32>| exact(metric, Element::F32, DIMENSIONS as u32, &query, &bytes(&rounded(held, row))).unwrap();
    let mut all: Vec<(u64, f32)> = (0..).zip(base.iter().map(distance)).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all.truncate(10);
    all
}

#[test]
fn vectors_take_half_of_the_memory_and_distances_are_those_of_what_is_held() {
    let (base, queries) = (vectors(1, 3000), vectors(2, 40));
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct, Metric::L1] {
        let plain = Index::create(&options(metric, Element::F32, Kind::Flat)).unwrap();
        insert(&plain, 0, &base);
        for held in HALVES {
            let index = Index::create(&options(metric, held, Kind::Flat)).unwrap();
            insert(&index, 0, &base);
            let info = index.describe();
            assert_eq!((info.element, info.held, info.quantizer), (Element::F32, held, Quantizer::None));
            // 144 bytes lie in 160, 288 in 288; a huge page may be begun or not.
            let saved = plain.describe().bytes - info.bytes;
            assert!(saved > 3000 * 110 && saved < 3000 * 144 + (2 << 20), "{saved} bytes saved");
            for query in &queries {
                for threads in [1, 2] {
                    let options = SearchOptions { threads, ..SearchOptions::default() };
                    let (hits, nearest) = (search(&index, query, &options), truth(metric, held, &base, query));
                    for (hit, wanted) in hits.iter().zip(&nearest) {
                        let most = 2e-5 * (1.0 + wanted.1.abs());
                        assert!((hit.1 - wanted.1).abs() <= most, "{metric:?} {held:?}: {hit:?}, {wanted:?}");
                    }
                }
            }
            for key in [0, 17, 2999] {
                assert_eq!(get(&index, key), bytes(&rounded(held, &base[key as usize])));
                // A vector is nothing apart from itself, as queries are rounded like vectors.
                let hit = search(&index, &base[key as usize], &SearchOptions::default())[0];
                assert!(metric == Metric::InnerProduct || hit == (key, 0.0), "{metric:?} {held:?} {key}: {hit:?}");
            }
        }
    }
}

#[test]
fn a_search_says_that_its_distances_are_those_of_rounded_vectors() {
    let base = vectors(3, 300);
    for (held, nearly) in [(Element::F32, false), (Element::F16, true), (Element::Bf16, true)] {
        let index = Index::create(&options(Metric::L2, held, Kind::Graph)).unwrap();
        insert(&index, 0, &base);
        let counters = Counters::default();
        search(&index, &base[3], &SearchOptions { counters: Some(&counters), ..SearchOptions::default() });
        assert_eq!(counters.nearly.load(Ordering::Relaxed), nearly, "{held:?}");
        let queries: Vec<u8> = base[..3].iter().flat_map(|vector| bytes(vector)).collect();
        let (counters, mut keys) = (Counters::default(), [0; 6]);
        let options = SearchOptions { counters: Some(&counters), ..SearchOptions::default() };
        index.search_batch(Rows::packed(&queries, 4 * DIMENSIONS), 2, &mut keys, None, None, &options).unwrap();
        assert_eq!((counters.nearly.load(Ordering::Relaxed), keys[0], keys[2], keys[4]), (nearly, 0, 1, 2));
    }
    let reduced = Options { quantizer: Quantizer::Bytes, ..options(Metric::L2, Element::F32, Kind::Graph) };
    let index = Index::create(&reduced).unwrap();
    let nearly = || {
        let counters = Counters::default();
        search(&index, &base[3], &SearchOptions { counters: Some(&counters), ..SearchOptions::default() });
        counters.nearly.load(Ordering::Relaxed)
    };
    insert(&index, 0, &base[..40]);
    assert!(!nearly());
    insert(&index, 40, &base[40..]);
    assert!(nearly());
}

#[test]
fn recall_of_graphs_with_and_without_codes_is_above_its_floor() {
    let (base, queries) = (vectors(4, 4000), vectors(5, 80));
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        for (held, floor) in [(Element::F16, 0.99), (Element::Bf16, 0.98)] {
            for quantizer in [Quantizer::None, Quantizer::Projected4, Quantizer::Projected2] {
                let options = Options { quantizer, ..options(metric, held, Kind::Graph) };
                let index = Index::create(&options).unwrap();
                insert(&index, 0, &base);
                let info = index.describe();
                assert_eq!((info.held, info.quantizer), (held, quantizer));
                let mut found = 0;
                for query in &queries {
                    // Of the vectors as they were given.
                    let nearest = plain_truth(metric, &base, query);
                    let hits = search(&index, query, &SearchOptions { ef: 120, ..SearchOptions::default() });
                    found += hits.iter().filter(|hit| nearest.contains(&hit.0)).count();
                }
                let recall = found as f32 / 800.0;
                assert!(recall >= floor, "{metric:?} {held:?} {quantizer:?}: {recall}");
            }
        }
    }
}

#[test]
fn what_cannot_be_held_is_refused_and_changes_nothing() {
    for kind in [Kind::Flat, Kind::Graph, Kind::Auto] {
        for metric in [Metric::L2, Metric::Cosine] {
            let index = Index::create(&options(metric, Element::F16, kind)).unwrap();
            insert(&index, 0, &vectors(6, 50));
            let mut vector = vectors(7, 1).remove(0);
            vector[5] = -65_519.9;
            index.insert(100, &bytes(&vector)).unwrap();
            vector[5] = 65_520.0;
            let error = index.insert(101, &bytes(&vector)).unwrap_err();
            assert_eq!(error.status(), Status::Argument);
            let told =
                "vector has 65520 in component 5, which f16 does not hold, as vectors here are held, bf16 and f32 do";
            assert_eq!(error.text(), told);
            let found = index.search(&bytes(&vector), &mut [0; 3], None, &SearchOptions::default());
            assert!(found.unwrap_err().text().starts_with("query has 65520 in component 5, which f16 does not hold"));
            let mut all: Vec<u8> = vectors(8, 3).iter().flat_map(|vector| bytes(vector)).collect();
            all[4 * (DIMENSIONS + 2)..][..4].copy_from_slice(&1e30_f32.to_ne_bytes());
            let rows = Rows::packed(&all, 4 * DIMENSIONS);
            let error = index.insert_batch(&[200, 201, 202], rows, &BuildOptions::default()).unwrap_err();
            assert!(
                error.text().starts_with("at position 1: vector has 1e30") || error.text().contains("1000000"),
                "{error:?}"
            );
            assert_eq!(index.describe().count, 51);
            assert!(!index.contains(200).unwrap() && !index.contains(101).unwrap());
            // Zero once it is rounded: it has no direction.
            let tiny = bytes(&[1e-9; DIMENSIONS]);
            let inserted = index.insert(300, &tiny);
            assert_eq!(inserted.is_err(), metric == Metric::Cosine, "{inserted:?}");
        }
    }
    let wide = Index::create(&options(Metric::L2, Element::Bf16, Kind::Flat)).unwrap();
    let mut vector = vec![1.0; DIMENSIONS];
    vector[0] = 3.0e38;
    wide.insert(1, &bytes(&vector)).unwrap();
    vector[0] = f32::MAX;
    let error = wide.insert(2, &bytes(&vector)).unwrap_err();
    assert!(error.text().contains("which bf16 does not hold, as vectors here are held, f32 does"), "{error:?}");
    for bad in [
        Options { element: Element::F16, ..options(Metric::L2, Element::F16, Kind::Flat) },
        Options { quantizer: Quantizer::Bytes, ..options(Metric::L2, Element::F16, Kind::Graph) },
        options(Metric::L2, Element::I8, Kind::Flat),
    ] {
        assert_eq!(Index::create(&bad).unwrap_err().status(), Status::Argument);
    }
}

#[test]
fn whole_numbers_stay_rounded_and_have_no_row_to_show() {
    let index = Index::create(&options(Metric::L2, Element::Bf16, Kind::Graph)).unwrap();
    let whole: Vec<Vec<f32>> =
        (0..2500).map(|i| (0..DIMENSIONS).map(|j| ((i * 7 + j * j * 3 + i * j) % 200) as f32).collect()).collect();
    insert(&index, 0, &whole);
    assert_eq!(index.describe().held, Element::Bf16);
    assert_eq!(index.row(3).unwrap_err().status(), Status::Unsupported);
    // An observer is shown the rounded vector, as kith_get returns it.
    struct Ten(usize);
    impl Observer for &mut Ten {
        fn stop(&mut self, _candidate: f64, _bound: f64) -> bool {
            self.0 > 10
        }
        fn consider(&mut self, _distance: f64, _bound: f64) -> bool {
            true
        }
        fn add(&mut self, _key: u64, _vector: *const u8, _distance: f64) {
            self.0 += 1;
        }
        fn drop(&mut self, _key: u64, _vector: *const u8, _distance: f64) {}
        fn excess(&mut self) -> bool {
            false
        }
    }
    let (mut observer, mut nearest) = (Ten(0), None);
    let query = bytes(&whole[9]);
    index
        .search_observed(Query::Vector(&query), &mut &mut observer, &SearchOptions::default(), &mut |key, vector, _| {
            // SAFETY: the vector of a hit can be read while it is shown.
            let shown = unsafe { std::slice::from_raw_parts(vector, 4 * DIMENSIONS) }.to_vec();
            nearest.get_or_insert((key, shown));
        })
        .unwrap();
    let (key, shown) = nearest.unwrap();
    assert_eq!((key, &shown), (9, &bytes(&rounded(Element::Bf16, &whole[9]))));
}

#[test]
fn files_directories_changes_and_exports_keep_what_is_held() {
    let base = vectors(9, 3000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rounded.kith");
    for (held, metric) in [(Element::F16, Metric::Cosine), (Element::Bf16, Metric::L2)] {
        let options = Options { quantizer: Quantizer::Projected4, ..options(metric, held, Kind::Graph) };
        let index = Index::create(&options).unwrap();
        insert(&index, 0, &base[..2000]);
        (0..500).for_each(|key| index.remove(key).unwrap());
        base[2000..2400].iter().zip(2000..).for_each(|(vector, key)| index.insert(key, &bytes(vector)).unwrap());
        (600..700).for_each(|key| index.upsert(key, &bytes(&base[key as usize + 2300])).unwrap());
        index.requantize(Quantizer::Projected2, &BuildOptions::default()).unwrap();
        index.compact(&BuildOptions::default()).unwrap();
        let answers = |index: &Index| -> Vec<Vec<(u64, f32)>> {
            base.iter().step_by(97).map(|query| search(index, query, &SearchOptions::default())).collect()
        };
        assert_eq!(get(&index, 650), bytes(&rounded(held, &base[2950])));
        assert_eq!(index.check().unwrap().vector_faults + index.check().unwrap().code_faults, 0);
        index.save(&path).unwrap();
        let info = Index::file_info(&path).unwrap();
        assert_eq!((info.format, info.held, info.element), (10, held, Element::F32));
        for (mapped, vectors_mapped) in [(false, false), (true, false), (false, true)] {
            let again = Index::open(&path, OpenFlags { mapped, vectors_mapped, ..OpenFlags::default() }).unwrap();
            assert_eq!((answers(&again), get(&again, 1234)), (answers(&index), get(&index, 1234)));
        }
        let again = Index::open(&path, OpenFlags::default()).unwrap();
        again.clear().unwrap();
        again.insert(1, &bytes(&base[1])).unwrap();
        assert_eq!((again.describe().held, get(&again, 1)), (held, bytes(&rounded(held, &base[1]))));

        if metric == Metric::L2 {
            let (there, file) = (index.describe().count, folder.path().join("rounded.hnsw"));
            index.export(&file, Format::Hnswlib, 0).unwrap();
            let plain = Options { dimensions: DIMENSIONS as u32, metric, ..Options::default() };
            for held in [Element::F32, held] {
                let back = Index::import(&file, Format::Hnswlib, &Options { held, ..plain.clone() }).unwrap();
                assert_eq!((back.describe().count, back.describe().held), (there, held));
                assert_eq!(get(&back, 1234), get(&index, 1234));
            }
        }
        let home = folder.path().join(format!("home{}", held as u32));
        let directory = Index::open_directory(&home, Some(&options), &kith::LogOptions::default()).unwrap();
        insert(&directory, 0, &base[..600]);
        drop(directory);
        let directory = Index::open_directory(&home, None, &kith::LogOptions::default()).unwrap();
        assert_eq!((directory.describe().held, directory.describe().count), (held, 600));
        assert_eq!(get(&directory, 77), bytes(&rounded(held, &base[77])));
    }
}

/// The ten nearest of the vectors as they are.
fn plain_truth(metric: Metric, base: &[Vec<f32>], query: &[f32]) -> Vec<u64> {
    let query = bytes(query);
    let distance = |row: &Vec<f32>| exact(metric, Element::F32, DIMENSIONS as u32, &query, &bytes(row)).unwrap();
    let mut all: Vec<(u64, f32)> = (0..).zip(base.iter().map(distance)).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all.into_iter().take(10).map(|(key, _)| key).collect()
}
