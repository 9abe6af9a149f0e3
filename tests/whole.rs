//! Indexes of f32 whose vectors turn out to be whole numbers, and so are held as bytes: nothing a caller can see but memory may change.

#![allow(clippy::unwrap_used, missing_docs)]

use kith::distance::{Element, Metric, exact};
use kith::{BuildOptions, Format, Index, Kind, Observer, OpenFlags, Options, Quantizer, Query, Rows, SearchOptions};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const DIMENSIONS: usize = 64;

/// Numbers that look random, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % end
    }
}

/// Whole numbers around 16 centres, from `least` up to 255 more.
fn whole(seed: u64, count: usize, least: i32) -> Vec<Vec<f32>> {
    let mut centres = Numbers(3);
    let centres: Vec<Vec<u32>> = (0..16).map(|_| (0..DIMENSIONS).map(|_| centres.below(200)).collect()).collect();
    let mut numbers = Numbers(seed);
    (0..count)
        .map(|i| centres[i % 16].iter().map(|centre| (centre + numbers.below(56)) as f32 + least as f32).collect())
        .collect()
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn options(metric: Metric) -> Options {
    let dimensions = DIMENSIONS as u32;
    Options { metric, element: Element::F32, dimensions, kind: Kind::Graph, m: 8, ..Options::default() }
}

fn batch(index: &Index, first: u64, vectors: &[Vec<f32>], threads: u32) {
    let keys: Vec<u64> = (first..).take(vectors.len()).collect();
    let all: Vec<u8> = vectors.iter().flat_map(|vector| bytes(vector)).collect();
    let build = BuildOptions { threads, ..BuildOptions::default() };
    index.insert_batch(&keys, Rows::packed(&all, 4 * DIMENSIONS), &build).unwrap();
}

fn search(index: &Index, query: &[f32], k: usize, ef: u32) -> Vec<(u64, f32)> {
    let (mut keys, mut distances) = (vec![0; k], vec![0.0; k]);
    let options = SearchOptions { ef, ..SearchOptions::default() };
    let count = index.search(&bytes(query), &mut keys, Some(&mut distances), &options).unwrap();
    keys.into_iter().zip(distances).take(count).collect()
}

fn get(index: &Index, key: u64) -> Vec<u8> {
    let mut vector = vec![0; 4 * DIMENSIONS];
    index.get(key, &mut vector).unwrap();
    vector
}

/// Queries with fractions and negative numbers among whole ones.
fn queries(least: i32) -> Vec<Vec<f32>> {
    let mut queries = whole(77, 40, least);
    for (i, query) in queries.iter_mut().enumerate().skip(20) {
        query.iter_mut().for_each(|value| *value = *value * 1.003 - 0.4);
        query[i] = -300.5;
    }
    queries
}

#[test]
fn answers_are_exact_and_vectors_come_back_bit_for_bit() {
    for (metric, least, held) in [
        (Metric::L2, 0, Element::U8),
        (Metric::L2, -128, Element::I8),
        (Metric::Cosine, 0, Element::U8),
        (Metric::Cosine, -128, Element::I8),
        (Metric::InnerProduct, 0, Element::U8),
        (Metric::InnerProduct, -128, Element::I8),
    ] {
        let base = whole(1, 3000, least);
        let plain = Index::create(&Options { quantizer: Quantizer::None, ..options(metric) }).unwrap();
        let index = Index::create(&options(metric)).unwrap();
        batch(&plain, 0, &base, 2);
        batch(&index, 0, &base, 2);
        let (info, other) = (index.describe(), plain.describe());
        assert_eq!((info.held, info.element, other.held), (held, Element::F32, Element::F32), "{metric:?} {least}");
        assert!(info.bytes + 3000 * 150 < other.bytes, "{} bytes for {}", info.bytes, other.bytes);
        assert!((0..3000).all(|key| get(&index, key) == bytes(&base[key as usize])));
        let (mut found, mut plainly) = (0, 0);
        for query in queries(least) {
            let hits = search(&index, &query, 10, 100);
            for &(key, distance) in &hits {
                let row = bytes(&base[key as usize]);
                let wanted = exact(metric, Element::F32, DIMENSIONS as u32, &bytes(&query), &row).unwrap();
                assert!((distance - wanted).abs() <= 2e-6 * wanted.abs().max(1.0), "{distance} for {wanted}");
            }
            let nearest = search(&plain, &query, 10, 3000);
            let among =
                |hits: &[(u64, f32)]| hits.iter().filter(|hit| nearest.iter().any(|other| other.0 == hit.0)).count();
            found += among(&hits);
            plainly += among(&search(&plain, &query, 10, 100));
            // As wide as this, a search looks at all vectors one after the other.
            let all = search(&index, &query, 10, 3000);
            assert_eq!(
                all.iter().map(|hit| hit.0).collect::<Vec<_>>(),
                nearest.iter().map(|hit| hit.0).collect::<Vec<_>>()
            );
        }
        assert!(found >= 350 && found + 8 >= plainly, "{metric:?} {least}: {found} of 400, as floats {plainly}");
        if metric != Metric::InnerProduct {
            assert!((0..3000).step_by(71).all(|key| search(&index, &base[key], 1, 30) == [(key as u64, 0.0)]));
        }
    }
}

#[test]
fn the_first_vector_that_does_not_fit_is_found_as_it_is() {
    let base = whole(4, 2600, 0);
    for misfit in [-0.0_f32, 0.5, 256.0, -1.0, 1e30] {
        let index = Index::create(&options(Metric::L2)).unwrap();
        for (key, vector) in base.iter().enumerate().take(2400) {
            // The call that finds so many has all of them held as bytes.
            assert_eq!(index.describe().held == Element::U8, key > 2048, "{key} vectors");
            index.insert(key as u64, &bytes(vector)).unwrap();
        }
        let mut odd = base[7].clone();
        odd[9] = misfit;
        index.upsert(7, &bytes(&odd)).unwrap();
        assert_eq!(index.describe().held, Element::F32);
        batch(&index, 2400, &base[2400..], 2);
        assert_eq!(index.describe().held, Element::F32);
        assert_eq!(search(&index, &odd, 1, 40)[0], (7, 0.0));
        for key in 0..2600 {
            assert_eq!(
                get(&index, key),
                if key == 7 { bytes(&odd) } else { bytes(&base[key as usize]) },
                "{misfit} {key}"
            );
        }
        let own = (0..2600).filter(|&key| search(&index, &base[key as usize], 1, 40)[0].0 == key).count();
        assert!(own > 2590, "{misfit}: {own}");
    }
}

#[test]
fn a_batch_with_one_misfit_is_held_as_given() {
    let mut base = whole(5, 3000, 0);
    base[2999][63] = 0.25;
    let index = Index::create(&options(Metric::L2)).unwrap();
    batch(&index, 0, &base, 2);
    assert_eq!(index.describe().held, Element::F32);
    let index = Index::create(&options(Metric::L2)).unwrap();
    batch(&index, 0, &base[..2000], 2);
    assert_eq!(index.describe().held, Element::U8);
    batch(&index, 2000, &base[2000..], 2);
    assert_eq!(index.describe().held, Element::F32);
    assert!((0..3000).all(|key| get(&index, key) == bytes(&base[key as usize])));
    // What is refused does not count.
    let index = Index::create(&options(Metric::L2)).unwrap();
    batch(&index, 0, &base[..2000], 2);
    base[2999][63] = f32::NAN;
    let all: Vec<u8> = base[2000..].iter().flat_map(|vector| bytes(vector)).collect();
    let keys: Vec<u64> = (2000..3000).collect();
    index.insert_batch(&keys, Rows::packed(&all, 4 * DIMENSIONS), &BuildOptions::default()).unwrap_err();
    assert_eq!((index.describe().held, index.describe().count), (Element::U8, 2000));
    index.clear().unwrap();
    index.insert(1, &bytes(&vec![0.5; DIMENSIONS])).unwrap();
    assert_eq!(search(&index, &[0.5; DIMENSIONS], 1, 10), [(1, 0.0)]);
}

#[test]
fn files_hold_bytes_and_open_loaded_and_mapped() {
    let base = whole(6, 2500, 0);
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("whole.kith"), folder.path().join("again.kith"));
    for metric in [Metric::L2, Metric::Cosine] {
        let index = Index::create(&options(metric)).unwrap();
        batch(&index, 0, &base, 2);
        index.save(&path).unwrap();
        let info = Index::file_info(&path).unwrap();
        assert_eq!((info.format, info.held, info.element), (4, Element::U8, Element::F32));
        let answers =
            |index: &Index| -> Vec<_> { queries(0).iter().map(|query| search(index, query, 10, 50)).collect() };
        for mapped in [false, true] {
            let opened = Index::open(&path, OpenFlags { mapped, ..OpenFlags::default() }).unwrap();
            assert_eq!((opened.describe().format, opened.describe().held), (4, Element::U8));
            assert_eq!(answers(&opened), answers(&index));
            opened.save(&again).unwrap();
            assert!(std::fs::read(&again).unwrap() == std::fs::read(&path).unwrap());
            if mapped {
                // A place to read from has to be made.
                // SAFETY: `row` gives the address of a vector, which stays while the index lives.
                let row = unsafe { std::slice::from_raw_parts(opened.row(11).unwrap(), 4 * DIMENSIONS) };
                assert_eq!(row, bytes(&base[11]));
            } else {
                opened.insert(9_000, &bytes(&base[3].iter().map(|value| value + 0.5).collect::<Vec<_>>())).unwrap();
            }
            assert_eq!(opened.describe().held, Element::F32);
            assert!((0..2500).all(|key| get(&opened, key) == bytes(&base[key as usize])));
        }
    }
}

#[test]
fn a_vector_whose_place_is_known_stays_there() {
    let base = whole(8, 3000, 0);
    let index = Index::create(&options(Metric::L2)).unwrap();
    index.insert(0, &bytes(&base[0])).unwrap();
    let place = index.row(0).unwrap();
    (1..3000).for_each(|key| index.insert(key, &bytes(&base[key as usize])).unwrap());
    assert_eq!((index.describe().held, index.row(0).unwrap()), (Element::F32, place));
}

#[test]
fn other_libraries_get_floats() {
    let base = whole(9, 2500, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.bin");
    let index = Index::create(&options(Metric::L2)).unwrap();
    batch(&index, 0, &base, 2);
    index.export(&path, Format::Hnswlib, 0).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), index.export_bytes(Format::Hnswlib, 0).unwrap());
    let back = Index::import(&path, Format::Hnswlib, &options(Metric::L2)).unwrap();
    assert_eq!(back.describe().held, Element::U8);
    assert!((0..2500).all(|key| get(&back, key) == bytes(&base[key as usize])));
}

/// Keeps what lies within a distance.
struct Within(f64, Vec<(u64, f64)>);

impl Observer for Within {
    fn stop(&mut self, candidate: f64, _bound: f64) -> bool {
        candidate > 4.0 * self.0
    }
    fn consider(&mut self, _distance: f64, _bound: f64) -> bool {
        true
    }
    fn add(&mut self, key: u64, vector: *const u8, distance: f64) {
        // SAFETY: an observer is shown a vector for the time of the call.
        let first = unsafe { vector.cast::<f32>().read_unaligned() };
        assert!(first >= 0.0 && first.fract() == 0.0);
        self.1.push((key, distance));
    }
    fn drop(&mut self, _key: u64, _vector: *const u8, _distance: f64) {}
    fn excess(&mut self) -> bool {
        false
    }
}

#[test]
fn observers_see_floats() {
    let base = whole(10, 2500, 0);
    let index = Index::create(&options(Metric::Cosine)).unwrap();
    batch(&index, 0, &base, 2);
    for query in [base[5].clone(), base[5].iter().map(|value| value + 0.25).collect()] {
        let (mut observer, mut hits) = (Within(0.05, Vec::new()), Vec::new());
        let mut hit = |key, vector: *const u8, distance| {
            // SAFETY: as above.
            let vector = unsafe { std::slice::from_raw_parts(vector, 4 * DIMENSIONS) };
            assert_eq!(vector, bytes(&base[key as usize]));
            hits.push((key, distance));
        };
        index
            .search_observed(Query::Vector(&bytes(&query)), &mut observer, &SearchOptions::default(), &mut hit)
            .unwrap();
        let nearest = search(&index, &query, 1, 100)[0];
        assert_eq!((hits[0].0, hits[0].1 as f32), nearest);
        assert!(observer.1.len() >= hits.len());
    }
}

#[test]
fn readers_and_writers_go_on_while_vectors_change_their_form() {
    for round in 0..6 {
        let base = whole(20 + round, 6000, 0);
        let index = Index::create(&options(Metric::L2)).unwrap();
        let (inserted, done) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut numbers = Numbers(round);
                    while !done.load(Ordering::Acquire) {
                        let there = inserted.load(Ordering::Acquire);
                        if there == 0 {
                            continue;
                        }
                        let key = u64::from(numbers.below(there as u32));
                        assert_eq!(get(&index, key), bytes(&base[key as usize]));
                        let fraction = f32::from(u8::from(key % 2 == 0)) * 0.25;
                        let query: Vec<f32> = base[key as usize].iter().map(|value| value + fraction).collect();
                        for (key, distance) in search(&index, &query, 4, 40) {
                            let Some(row) = base.get(key as usize) else { continue };
                            let wanted =
                                exact(Metric::L2, Element::F32, DIMENSIONS as u32, &bytes(&query), &bytes(row));
                            let wanted = wanted.unwrap();
                            assert!((distance - wanted).abs() <= 1e-5 * wanted.max(1.0), "{distance} for {wanted}");
                        }
                    }
                });
            }
            let one_by_one = |keys: std::ops::Range<usize>| {
                for key in keys {
                    index.insert(key as u64, &bytes(&base[key])).unwrap();
                    inserted.store(key as u64 + 1, Ordering::Release);
                }
            };
            one_by_one(0..2300);
            // Beside a batch somebody brings a misfit.
            let misfit = scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(5 * round));
                index.insert(1_000_000, &bytes(&[0.5; DIMENSIONS])).unwrap();
            });
            batch(&index, 2300, &base[2300..2900], 2);
            inserted.store(2900, Ordering::Release);
            batch(&index, 2900, &base[2900..5900], 2);
            inserted.store(5900, Ordering::Release);
            misfit.join().unwrap();
            one_by_one(5900..6000);
            done.store(true, Ordering::Release);
        });
        assert_eq!((index.describe().held, index.describe().count), (Element::F32, 6001));
        assert!((0..6000).all(|key| get(&index, key) == bytes(&base[key as usize])));
        let own = (0..6000).filter(|&key| search(&index, &base[key], 1, 40)[0].0 == key as u64).count();
        assert!(own > 5980, "{own} of 6000");
    }
}
