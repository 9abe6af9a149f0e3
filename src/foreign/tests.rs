//! Do files of the other libraries become whole indexes, and do damaged ones become errors?
//!
//! The fixtures were written by the libraries themselves (tests/fixtures/foreign/make.py says how).

use super::Format;
use crate::distance::{Element, Metric, exact};
use crate::index::config::{Kind, Options, SearchOptions};
use crate::util::error::Status;
use crate::{Filter, Index};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/foreign/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// As in make.py.
fn vector(label: u64, dimensions: u64) -> Vec<f32> {
    (0..dimensions).map(|j| ((label * 7 + j * 13 + label / 5) % 61) as f32 / 8.0 - 3.0).collect()
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn options(dimensions: u32) -> Options {
    Options { dimensions, keep_removed: true, ..Options::default() }
}

fn import(name: &str, format: Format, options: &Options) -> Index {
    Index::import_buffer(&fixture(name), format, options).unwrap()
}

/// Every key must be there with its vector, the graph whole, and searches right.
fn check(index: &Index, keys: &[u64], dimensions: u64) {
    if let Some(audit) = index.audit() {
        assert!(audit.is_clean(), "{:?}", audit.texts);
    }
    let mut held = vec![0; keys.len() + 1];
    assert_eq!(index.keys(&mut held).unwrap(), keys.len());
    held.truncate(keys.len());
    held.sort_unstable();
    assert_eq!(held, keys);
    let info = index.describe();
    if info.element == Element::F32 {
        let mut stored = vec![0; 4 * dimensions as usize];
        for &key in keys {
            index.get(key, &mut stored).unwrap();
            assert_eq!(stored, bytes(&vector(key, dimensions)), "{key}");
        }
    }
    finds(index, keys, dimensions);
}

/// Walks (not the scan that small indexes are answered by) find what there is: each vector finds one as near as itself.
fn finds(index: &Index, keys: &[u64], dimensions: u64) {
    let info = index.describe();
    if info.element != Element::F32 || info.metric == Metric::InnerProduct {
        return;
    }
    let mut found = 0;
    for &key in keys {
        let query = bytes(&vector(key, dimensions));
        let (mut hits, mut distances) = ([0; 3], [0.0; 3]);
        let search = SearchOptions { ef: 20, ..SearchOptions::default() };
        assert_eq!(index.search(&query, &mut hits, Some(&mut distances), &search).unwrap(), 3);
        for (hit, distance) in hits.into_iter().zip(distances) {
            let there = bytes(&vector(hit, dimensions));
            let due = exact(info.metric, info.element, info.dimensions, &query, &there).unwrap();
            assert!((due - distance).abs() <= 1e-5 * due.abs().max(1.0), "{due} {distance}");
        }
        found += usize::from(distances[0].abs() < 1e-6);
    }
    assert!(found * 100 >= keys.len() * 99, "{found} of {}", keys.len());
}

#[test]
fn a_graph_of_hnswlib_is_taken_over_with_its_deleted_labels() {
    let index = import("hnswlib-l2.bin", Format::Hnswlib, &options(7));
    let info = index.describe();
    assert_eq!((info.m, info.ef_construction, info.count, info.removed), (5, 40, 180, 20));
    let live: Vec<u64> = (3..603).step_by(3).filter(|label| label % 10 != 0).collect();
    check(&index, &live, 7);
    let mut removed = vec![0; 30];
    assert_eq!(index.removed_keys(&mut removed).unwrap(), 20);
    assert!(removed[..20].iter().all(|key| key % 30 == 0));
    index.undelete(300).unwrap();
    let mut stored = vec![0; 28];
    index.get(300, &mut stored).unwrap();
    assert_eq!(stored, bytes(&vector(300, 7)));
    assert_eq!(index.undelete(300).unwrap_err().status(), Status::Exists);
    // Insertion goes on.
    for key in 5000..5400 {
        index.insert(key, &bytes(&vector(key, 7))).unwrap();
    }
    assert!(index.audit().unwrap().is_clean());
    let all: Vec<u64> = live.iter().copied().chain([300]).chain(5000..5400).collect();
    finds(&index, &all, 7);
}

#[test]
fn replaced_and_empty_and_flat_files_of_hnswlib_are_read() {
    let index = import("hnswlib-l2-replaced.bin", Format::Hnswlib, &options(7));
    let info = index.describe();
    assert_eq!((info.count, info.removed), (183, 17));
    assert!([1001, 1002, 1003].into_iter().all(|key| index.contains(key).unwrap()));
    let ip = Options { metric: Metric::InnerProduct, ..options(3) };
    let index = import("hnswlib-empty.bin", Format::Hnswlib, &ip);
    assert_eq!(index.describe().count, 0);
    index.insert(1, &bytes(&[1.0, 2.0, 3.0])).unwrap();
    let index = import("hnswlib-flat.bin", Format::HnswlibFlat, &options(4));
    assert_eq!(index.describe().kind, Kind::Flat);
    check(&index, &(3..93).step_by(3).collect::<Vec<u64>>(), 4);
    assert_eq!(index.export_bytes(Format::HnswlibFlat, 40).unwrap(), 24 + 40 * 24);
    assert_eq!(index.export_bytes(Format::HnswlibFlat, u64::MAX / 16).unwrap_err().status(), Status::Argument);
    // The graph can be left out.
    let flat = Options { kind: Kind::Flat, ..options(7) };
    assert_eq!(import("hnswlib-l2.bin", Format::Hnswlib, &flat).describe().kind, Kind::Flat);
    let graph = Options { kind: Kind::Graph, ..options(4) };
    let refused = Index::import_buffer(&fixture("hnswlib-flat.bin"), Format::HnswlibFlat, &graph);
    assert_eq!(refused.unwrap_err().status(), Status::Argument);
}

#[test]
fn files_of_usearch_are_read() {
    let keys: Vec<u64> = (500..650).filter(|&key| key != 520).collect();
    for (name, metric, element) in [
        ("l2sq-f32", Metric::L2, Element::F32),
        ("cos-f32", Metric::Cosine, Element::F32),
        ("ip-f16", Metric::InnerProduct, Element::F16),
    ] {
        let index = import(&format!("usearch-{name}.usearch"), Format::Usearch, &Options::default());
        let info = index.describe();
        assert_eq!((info.metric, info.element, info.dimensions, info.removed), (metric, element, 6, 1), "{name}");
        check(&index, &keys, 6);
    }
    let wrong = Index::import_buffer(&fixture("usearch-l2sq-f32.usearch"), Format::Usearch, &options(5));
    assert_eq!(wrong.unwrap_err().text(), "dimensions is 5, the file has 6");
}

#[test]
fn files_of_faiss_are_read() {
    for (name, metric, keys) in
        [("hnsw-l2", Metric::L2, 0..150), ("hnsw-ip", Metric::InnerProduct, 0..150), ("map-hnsw", Metric::L2, 70..220)]
    {
        let index = import(&format!("faiss-{name}.index"), Format::Faiss, &Options::default());
        let info = index.describe();
        assert_eq!((info.metric, info.kind, info.m), (metric, Kind::Graph, 5), "{name}");
        check(&index, &keys.collect::<Vec<u64>>(), 6);
    }
    let index = import("faiss-flat-ip.index", Format::Faiss, &Options::default());
    assert_eq!((index.describe().kind, index.describe().metric), (Kind::Flat, Metric::InnerProduct));
    check(&index, &(0..30).collect::<Vec<u64>>(), 4);
}

#[test]
fn what_is_exported_is_what_was_there() {
    let index = import("hnswlib-l2.bin", Format::Hnswlib, &options(7));
    index.remove(3).unwrap();
    index.insert(9999, &bytes(&vector(9999, 7))).unwrap();
    let mut file = Vec::new();
    index.export_to(&mut file, Format::Hnswlib, 777).unwrap();
    assert_eq!(index.export_bytes(Format::Hnswlib, 777).unwrap(), file.len() as u64);
    assert_eq!(file[8..16], 777u64.to_le_bytes());
    let again = Index::import_buffer(&file, Format::Hnswlib, &options(7)).unwrap();
    let keys: Vec<u64> = (6..603).step_by(3).filter(|label| label % 10 != 0).chain([9999]).collect();
    check(&again, &keys, 7);
    let removed = |index: &Index| {
        let mut keys = vec![0; 30];
        let count = index.removed_keys(&mut keys).unwrap();
        keys.truncate(count);
        keys.sort_unstable();
        keys
    };
    assert_eq!(removed(&again), removed(&index));
    assert_eq!(removed(&index).len(), 21);
    assert_eq!(index.export_bytes(Format::HnswlibFlat, 0).unwrap_err().status(), Status::Argument);
    assert_eq!(index.export_bytes(Format::Faiss, 0).unwrap_err().status(), Status::Unsupported);
}

/// After nearly everything was removed for good, what is left hangs together in the file by itself.
#[test]
fn an_exported_file_has_no_gaps() {
    for seed in 0..6 {
        let few = Options { dimensions: 3, m: 2, ef_construction: 8, seed, ..Options::default() };
        let index = Index::create(&few).unwrap();
        for key in 0..2000 {
            index.insert(key, &bytes(&vector(key * 31 + seed, 3))).unwrap();
        }
        for key in (0..2000).filter(|key| (key * 2_654_435_761 + seed) % 100 < 85) {
            index.remove(key).unwrap();
        }
        let left = index.describe().count;
        let mut file = Vec::new();
        index.export_to(&mut file, Format::Hnswlib, 0).unwrap();
        assert_eq!(reached(&file, 3), left, "seed {seed}");
        let again = Index::import_buffer(&file, Format::Hnswlib, &options(3)).unwrap();
        assert!(again.audit().unwrap().is_clean());
        assert_eq!((again.describe().count, again.describe().removed), (left, 0));
    }
}

/// Records of a file that hnswlib's walk at level 0 can reach from the entry.
fn reached(file: &[u8], dimensions: usize) -> u64 {
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let (count, record) = (number(16), number(24));
    assert_eq!(record, 4 + 4 * number(64) + 4 * dimensions + 8);
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut seen = vec![false; count];
    let mut open = vec![word(52) as usize];
    while let Some(element) = open.pop() {
        if !std::mem::replace(&mut seen[element], true) {
            let at = 96 + element * record;
            let links = u16::from_le_bytes(file[at..at + 2].try_into().unwrap());
            open.extend((0..usize::from(links)).map(|i| word(at + 4 + 4 * i) as usize));
        }
    }
    seen.into_iter().filter(|&seen| seen).count() as u64
}

#[test]
fn cosine_is_exported_normalised() {
    let cosine = Options { dimensions: 3, metric: Metric::Cosine, ..Options::default() };
    let index = Index::create(&cosine).unwrap();
    (1..50).for_each(|key| index.insert(key, &bytes(&vector(key, 3))).unwrap());
    let mut file = Vec::new();
    index.export_to(&mut file, Format::Hnswlib, 0).unwrap();
    let ip = Options { metric: Metric::InnerProduct, ..options(3) };
    let products = Index::import_buffer(&file, Format::Hnswlib, &ip).unwrap();
    for key in 1..50 {
        let query = vector(key, 3);
        let norm = query.iter().map(|x| x * x).sum::<f32>().sqrt();
        let unit = bytes(&query.iter().map(|x| x / norm).collect::<Vec<f32>>());
        let (mut ours, mut theirs) = ([0.0; 5], [0.0; 5]);
        index.search(&unit, &mut [0; 5], Some(&mut ours), &SearchOptions::default()).unwrap();
        products.search(&unit, &mut [0; 5], Some(&mut theirs), &SearchOptions::default()).unwrap();
        assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-5), "{ours:?} {theirs:?}");
    }
}

/// hnswlib writes elements that nothing links to, and files without upper levels: both become whole graphs.
#[test]
fn elements_without_links_are_linked() {
    let file = fixture("hnswlib-l2.bin");
    let record = 4 + 40 + 28 + 8;
    let mut cut = file.clone();
    // All links of all elements gone.
    for element in 0..200 {
        cut[96 + element * record..96 + element * record + 2].fill(0);
    }
    let index = Index::import_buffer(&cut, Format::Hnswlib, &options(7)).unwrap();
    let live: Vec<u64> = (3..603).step_by(3).filter(|label| label % 10 != 0).collect();
    check(&index, &live, 7);

    // Only level 0: the sizes of the upper rows are all 0, and so is the highest level.
    let mut flat = file[..96 + 200 * record].to_vec();
    flat[48..52].fill(0);
    flat.resize(flat.len() + 200 * 4, 0);
    check(&Index::import_buffer(&flat, Format::Hnswlib, &options(7)).unwrap(), &live, 7);

    // A label that stands twice names one vector.
    let mut twice = file;
    let (first, second) = (96 + record - 8, 96 + 2 * record - 8);
    twice.copy_within(first..first + 8, second);
    let index = Index::import_buffer(&twice, Format::Hnswlib, &options(7)).unwrap();
    assert!(index.audit().unwrap().is_clean());
    assert_eq!((index.describe().count, index.describe().removed), (179, 21));
    let none = |_: u64| true;
    let search = SearchOptions { filter: Some(Filter::Caller(&none)), ..SearchOptions::default() };
    let mut keys = [0; 190];
    let found = index.search(&bytes(&vector(3, 7)), &mut keys, None, &search).unwrap();
    assert_eq!((found, keys.iter().filter(|&&key| key == 3).count()), (179, 1));
}

#[test]
fn files_of_another_shape_are_refused() {
    let refused = |name: &str, format, options: &Options| {
        Index::import_buffer(&fixture(name), format, options).unwrap_err().status()
    };
    assert_eq!(refused("hnswlib-l2.bin", Format::Hnswlib, &options(8)), Status::Corrupt);
    assert_eq!(refused("hnswlib-flat.bin", Format::HnswlibFlat, &options(5)), Status::Corrupt);
    assert_eq!(refused("hnswlib-flat.bin", Format::Hnswlib, &options(4)), Status::Corrupt);
    assert_eq!(refused("hnswlib-l2.bin", Format::Usearch, &options(7)), Status::Corrupt);
    assert_eq!(refused("hnswlib-l2.bin", Format::Faiss, &options(7)), Status::Unsupported);
}

/// Any change of one byte, and any cut, gives an index or an error; an index works and is whole.
#[test]
fn damage_gives_an_error_or_a_whole_index() {
    let (mut whole, mut errors) = (0, 0);
    for (name, format, dimensions) in [
        ("hnswlib-l2.bin", Format::Hnswlib, 7),
        ("hnswlib-flat.bin", Format::HnswlibFlat, 4),
        ("usearch-l2sq-f32.usearch", Format::Usearch, 0),
        ("faiss-map-hnsw.index", Format::Faiss, 0),
    ] {
        let file = fixture(name);
        let mut step = 1;
        let mut at = 0;
        while at < file.len() {
            for change in [0xff, 0x80, 1] {
                let mut damaged = file.clone();
                damaged[at] ^= change;
                match try_out(&damaged, format, dimensions) {
                    true => whole += 1,
                    false => errors += 1,
                }
            }
            // A flat file of hnswlib ends with unused room.
            if format != Format::HnswlibFlat || at < 24 + 30 * 24 {
                assert!(!try_out(&file[..at], format, dimensions), "{name} cut at {at}");
            }
            // Every byte of the heads, then a sample.
            step = if at < 128 { 1 } else { (step * 7 + at) % 97 + 1 };
            at += step;
        }
    }
    assert!(whole > 1000 && errors > 500, "{whole} {errors}");
}

/// The same with numbers put in many places at once, and more is asked of what is taken: inserts, and a file that is read again.
#[test]
fn what_is_made_of_random_damage_can_be_used() {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut taken = 0;
    for round in 0..1800 {
        let (name, format, dimensions) = [
            ("hnswlib-l2.bin", Format::Hnswlib, 7),
            ("usearch-l2sq-f32.usearch", Format::Usearch, 0),
            ("faiss-map-hnsw.index", Format::Faiss, 0),
        ][round % 3];
        let mut file = fixture(name);
        for _ in 0..=random(12) {
            let at = random(file.len() / 4 - 1) * 4;
            let number = [random(200) as u32, random(7) as u32, u32::MAX][random(3)];
            file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let Ok(index) = Index::import_buffer(&file, format, &options(dimensions)) else { continue };
        taken += 1;
        let size = index.vector_bytes();
        for key in 0..10 {
            let vector: Vec<u8> = [0u8, 0, 0x40 + key, 0x40].into_iter().cycle().take(size).collect();
            index.upsert(70_000 + u64::from(key), &vector).unwrap();
            index.remove(70_000 + u64::from(key)).unwrap();
        }
        assert!(index.audit().unwrap().is_clean());
        let health = index.check().unwrap();
        assert!(health.is_sound(), "{health:?}");
        let mut again = Vec::new();
        index.export_to(&mut again, Format::Hnswlib, 0).unwrap();
        let shape = index.describe();
        let again = Index::import_buffer(&again, Format::Hnswlib, &options(shape.dimensions)).unwrap();
        assert_eq!(again.describe().count, shape.count);
    }
    assert!(taken > 200, "{taken}");
}

fn try_out(file: &[u8], format: Format, dimensions: u32) -> bool {
    let index = match Index::import_buffer(file, format, &options(dimensions)) {
        Ok(index) => index,
        Err(error) => {
            let status = error.status();
            assert!([Status::Corrupt, Status::Unsupported, Status::Argument].contains(&status), "{error}");
            return false;
        }
    };
    if let Some(audit) = index.audit() {
        assert!(audit.is_clean(), "{:?}", audit.texts);
    }
    let query = vec![0x3f; index.vector_bytes()];
    index.search(&query, &mut [0; 10], None, &SearchOptions { ef: 12, ..SearchOptions::default() }).unwrap();
    true
}
