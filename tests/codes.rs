//! Indexes whose walks go by codes, through the public API: recall, exact distances, what a save keeps, data that changes its nature.

#![allow(clippy::unwrap_used, missing_docs)]

mod surface;

use kith::distance::{Element, Metric, exact};
use kith::{BuildOptions, Index, Kind, OpenFlags, Options, Quantizer, Rows, SearchOptions};
use surface::vectors;

fn bytes(vectors: &[Vec<f32>]) -> Vec<u8> {
    vectors.iter().flatten().flat_map(|value| value.to_le_bytes()).collect()
}

fn options(metric: Metric, dimensions: u32, quantizer: Quantizer) -> Options {
    Options { metric, element: Element::F32, dimensions, kind: Kind::Graph, quantizer, ..Options::default() }
}

fn filled(options: &Options, vectors: &[Vec<f32>]) -> Index {
    let index = Index::create(options).unwrap();
    let keys: Vec<u64> = (0..vectors.len() as u64).collect();
    let bytes = bytes(vectors);
    index.insert_batch(&keys, Rows::packed(&bytes, index.vector_bytes()), &BuildOptions::default()).unwrap();
    index
}

fn search(index: &Index, query: &[u8], k: usize, ef: u32) -> Vec<(u64, f32)> {
    let (mut keys, mut distances) = (vec![0; k], vec![0.0; k]);
    let options = SearchOptions { ef, ..SearchOptions::default() };
    let count = index.search(query, &mut keys, Some(&mut distances), &options).unwrap();
    keys.into_iter().zip(distances).take(count).collect()
}

/// The 10 nearest, by plain arithmetic.
fn truth(metric: Metric, base: &[u8], query: &[u8]) -> Vec<u64> {
    let dimensions = (query.len() / 4) as u32;
    let mut all: Vec<(f32, u64)> = base
        .chunks_exact(query.len())
        .zip(0..)
        .map(|(row, key)| (exact(metric, Element::F32, dimensions, query, row).unwrap(), key))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(10);
    all.into_iter().map(|(_, key)| key).collect()
}

#[test]
fn recall_with_codes_is_that_of_plain_vectors_and_distances_are_exact() {
    for (metric, dimensions, rank) in [(Metric::L2, 96, 12), (Metric::Cosine, 160, 16), (Metric::InnerProduct, 64, 10)]
    {
        let base = vectors(1, 6000, dimensions, rank);
        let queries = vectors(2, 100, dimensions, rank);
        let all = bytes(&base);
        let truths: Vec<Vec<u64>> =
            queries.iter().map(|query| truth(metric, &all, &bytes(std::slice::from_ref(query)))).collect();
        let mut recalls = Vec::new();
        for quantizer in [
            Quantizer::None,
            Quantizer::Auto,
            Quantizer::Projected2,
            Quantizer::Projected1,
            Quantizer::Product,
            Quantizer::Signs,
        ] {
            let index = filled(&options(metric, dimensions as u32, quantizer), &base);
            let coded = if quantizer == Quantizer::Auto { Quantizer::Projected4 } else { quantizer };
            assert_eq!(index.describe().quantizer, coded);
            let mut found = 0;
            for (query, truth) in queries.iter().zip(&truths) {
                let query = bytes(std::slice::from_ref(query));
                let hits = search(&index, &query, 10, 32);
                for &(key, distance) in &hits {
                    let row = bytes(std::slice::from_ref(&base[key as usize]));
                    let wanted = exact(metric, Element::F32, dimensions as u32, &query, &row).unwrap();
                    assert!(
                        (distance - wanted).abs() <= 1e-4 * wanted.abs().max(1.0),
                        "{metric:?}: {distance} for {wanted}"
                    );
                }
                assert!(hits.is_sorted_by(|a, b| a.1 <= b.1));
                found += hits.iter().filter(|hit| truth.contains(&hit.0)).count();
            }
            recalls.push(found as f32 / 1000.0);
        }
        assert!(recalls[1] > recalls[0] - 0.015 && recalls[1] > 0.9, "{metric:?}: plain and by codes {recalls:?}");
        assert!(recalls[2] > recalls[0] - 0.04 && recalls[3] > 0.8, "{metric:?}: of 2 bits and 1 bit {recalls:?}");
        assert!(recalls[4] > recalls[0] - 0.04 && recalls[4] > 0.86, "{metric:?}: product codes {recalls:?}");
        assert!(recalls[5] > 0.7, "{metric:?}: signs {recalls:?}");
    }
}

/// A flat index that goes by codes.
fn flat(metric: Metric, dimensions: u32, quantizer: Quantizer) -> Options {
    Options { kind: Kind::Flat, ..options(metric, dimensions, quantizer) }
}

#[test]
fn a_scan_by_codes_finds_nearly_all_at_exact_distances() {
    for (metric, dimensions, rank) in [(Metric::L2, 96, 12), (Metric::Cosine, 160, 16), (Metric::InnerProduct, 64, 10)]
    {
        let base = vectors(1, 6000, dimensions, rank);
        let all = bytes(&base);
        let queries = bytes(&vectors(2, 100, dimensions, rank));
        let queries: Vec<&[u8]> = queries.chunks_exact(4 * dimensions).collect();
        let truths: Vec<Vec<u64>> = queries.iter().map(|query| truth(metric, &all, query)).collect();
        for quantizer in [Quantizer::Projected4, Quantizer::Projected2, Quantizer::Projected1] {
            let index = filled(&flat(metric, dimensions as u32, quantizer), &base);
            assert_eq!((index.describe().quantizer, index.describe().kind), (quantizer, Kind::Flat));
            let mut found = 0;
            for (query, truth) in queries.iter().zip(&truths) {
                let hits = search(&index, query, 10, 0);
                for &(key, distance) in &hits {
                    let row = bytes(std::slice::from_ref(&base[key as usize]));
                    let wanted = exact(metric, Element::F32, dimensions as u32, query, &row).unwrap();
                    assert!((distance - wanted).abs() <= 1e-4 * wanted.abs().max(1.0));
                }
                found += hits.iter().filter(|hit| truth.contains(&hit.0)).count();
                // Broad enough it is exact.
                assert_eq!(search(&index, query, 10, 2000).iter().map(|hit| hit.0).collect::<Vec<_>>(), *truth);
            }
            assert!(found >= 998, "{metric:?} {quantizer:?}: {found} of 1000");
            in_every_way_the_same(&index, &queries);
        }
    }
}

/// One by one, in a batch, on several threads and through a filter that passes all.
fn in_every_way_the_same(index: &Index, queries: &[&[u8]]) {
    let (count, k) = (queries.len(), 10);
    let (mut keys, mut distances) = (vec![0; count * k], vec![0.0; count * k]);
    let packed = queries.concat();
    let rows = Rows::packed(&packed, index.vector_bytes());
    index
        .search_batch(
            rows,
            k,
            &mut keys,
            Some(&mut distances),
            None,
            &SearchOptions { threads: 2, ..Default::default() },
        )
        .unwrap();
    let every = |_: u64| true;
    for (i, query) in queries.iter().enumerate() {
        let alone = search(index, query, k, 0);
        let together: Vec<(u64, f32)> =
            keys[i * k..][..k].iter().copied().zip(distances[i * k..][..k].iter().copied()).collect();
        assert_eq!(alone, together);
        let options = SearchOptions { filter: Some(kith::Filter::Caller(&every)), ..SearchOptions::default() };
        let mut passed = vec![0; k];
        index.search(query, &mut passed, None, &options).unwrap();
        assert!(alone.iter().map(|hit| hit.0).eq(passed));
    }
}

#[test]
fn several_threads_find_what_one_finds_by_codes() {
    let (dimensions, count) = (32, 70_000);
    let base = vectors(5, count, dimensions, 8);
    let index = filled(&flat(Metric::L2, dimensions as u32, Quantizer::Projected2), &base);
    for vector in base.iter().step_by(701) {
        let query = bytes(std::slice::from_ref(vector));
        let alone = search(&index, &query, 10, 100);
        for threads in [2, 4] {
            let options = SearchOptions { threads, ef: 100, ..SearchOptions::default() };
            let (mut keys, mut distances) = ([0; 10], [0.0; 10]);
            assert_eq!(index.search(&query, &mut keys, Some(&mut distances), &options).unwrap(), 10);
            assert!(alone.iter().copied().eq(keys.into_iter().zip(distances)));
        }
    }
}

#[test]
fn a_flat_index_with_codes_changes_is_saved_and_changes_its_codes() {
    let dimensions = 96;
    let base = vectors(3, 2000, dimensions, 12);
    let index = filled(&flat(Metric::Cosine, dimensions as u32, Quantizer::Projected2), &base);
    let one = |i: usize| bytes(std::slice::from_ref(&base[i]));
    for i in (0..2000).step_by(3) {
        index.remove(i as u64).unwrap();
    }
    for i in (0..2000).step_by(9) {
        index.upsert(i as u64, &one(i + 1)).unwrap();
    }
    let near = |index: &Index| -> Vec<Vec<(u64, f32)>> {
        (0..2000).step_by(7).map(|i| search(index, &one(i), 5, 32)).collect()
    };
    for i in 0..2000 {
        let hits = search(&index, &one(i), 2, 0);
        let wanted: &[u64] = match (i % 3, i % 9) {
            (0, _) => &[],
            (1, 1) => &[i as u64 - 1, i as u64],
            _ => &[i as u64],
        };
        let found: Vec<u64> = hits.iter().filter(|hit| hit.1.abs() < 1e-6).map(|hit| hit.0).collect();
        assert_eq!(found, wanted, "{i}");
    }
    a_save_keeps(&index, (9, Quantizer::Projected2), dimensions, near, &near(&index));
    index.compact(&BuildOptions::default()).unwrap();
    for quantizer in [Quantizer::Projected4, Quantizer::None, Quantizer::Projected1] {
        index.requantize(quantizer, &BuildOptions::default()).unwrap();
        assert_eq!(index.describe().quantizer, quantizer);
        assert!((1..2000).step_by(3).all(|i| search(&index, &one(i), 1, 0)[0].1.abs() < 1e-6));
    }
}

#[test]
fn codes_come_with_the_vectors_that_are_enough_and_stay() {
    let dimensions = 64;
    let base = vectors(3, 3000, dimensions, 8);
    let index = Index::create(&options(Metric::L2, dimensions as u32, Quantizer::Auto)).unwrap();
    for (key, vector) in base.iter().enumerate() {
        let coded = index.describe().quantizer;
        // The call that finds so many in the index gives it codes.
        assert_eq!(coded == Quantizer::Projected4, key > 2048, "{key} vectors");
        index.insert(key as u64, &bytes(std::slice::from_ref(vector))).unwrap();
    }
    let near = |index: &Index| -> Vec<Vec<(u64, f32)>> {
        base.iter().step_by(97).map(|vector| search(index, &bytes(std::slice::from_ref(vector)), 10, 24)).collect()
    };
    let before = near(&index);
    assert!(before.iter().all(|hits| hits[0].1 == 0.0), "every vector finds itself");

    a_save_keeps(&index, (3, Quantizer::Projected4), dimensions, near, &before);
}

/// Saves and opens an index in every way, and holds what it answers against what it answered.
fn a_save_keeps<A: PartialEq + std::fmt::Debug>(
    index: &Index,
    (format, quantizer): (u32, Quantizer),
    dimensions: usize,
    near: impl Fn(&Index) -> A,
    before: &A,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coded.kith");
    index.save(&path).unwrap();
    let info = Index::file_info(&path).unwrap();
    assert_eq!((info.format, info.quantizer), (format, quantizer));
    for mapped in [false, true] {
        let opened = Index::open(&path, OpenFlags { mapped, ..OpenFlags::default() }).unwrap();
        assert_eq!((opened.describe().quantizer, opened.describe().format), (quantizer, format));
        assert_eq!(near(&opened), *before, "the same codes give the same answers, mapped: {mapped}");
        let again = folder.path().join("again.kith");
        opened.save(&again).unwrap();
        assert!(std::fs::read(&again).unwrap() == std::fs::read(&path).unwrap());
        if !mapped {
            opened.insert(9_000_000, &bytes(&[vec![0.5; dimensions]])).unwrap();
            assert_eq!(search(&opened, &bytes(&[vec![0.5; dimensions]]), 1, 24), [(9_000_000, 0.0)]);
        }
    }
}

#[test]
fn codes_of_few_bits_are_saved_and_shared() {
    let dimensions = 300;
    for (quantizer, format, count) in [
        (Quantizer::Projected2, 7, 1500),
        (Quantizer::Projected1, 7, 1500),
        (Quantizer::Product, 9, 4200),
        (Quantizer::Signs, 9, 1500),
    ] {
        let base = vectors(8, count, dimensions, 100);
        let mut wanted = options(Metric::Cosine, dimensions as u32, quantizer);
        let index = filled(&wanted, &base);
        // More directions than a line of four bits holds.
        assert_eq!(index.describe().code_bytes, 64, "{quantizer:?}");
        let near = |index: &Index| -> Vec<Vec<(u64, f32)>> {
            base.iter().step_by(31).map(|vector| search(index, &bytes(std::slice::from_ref(vector)), 10, 40)).collect()
        };
        let before = near(&index);
        assert!(before.iter().all(|hits| hits[0].1.abs() < 1e-6), "every vector finds itself");
        a_save_keeps(&index, (format, quantizer), dimensions, near, &before);

        // One bit by one, by what another index learnt; and nobody else takes that.
        let codec = index.export_codec().unwrap();
        let other = Index::create(&wanted).unwrap();
        other.import_codec(&codec).unwrap();
        for (key, vector) in base.iter().enumerate().take(400) {
            other.insert(key as u64, &bytes(std::slice::from_ref(vector))).unwrap();
        }
        assert_eq!((other.describe().quantizer, other.export_codec().unwrap()), (quantizer, codec.clone()));
        assert!(search(&other, &bytes(&base[7..8]), 1, 40)[0].1.abs() < 1e-6);
        wanted.quantizer = Quantizer::Projected4;
        let refused = Index::create(&wanted).unwrap().import_codec(&codec).unwrap_err();
        assert_eq!(refused.status(), kith::Status::Argument);

        // A fixed capacity is told in the same format.
        let fixed = Options { capacity: 5000, fixed_capacity: true, quantizer, ..options(Metric::L2, 300, quantizer) };
        let index = filled(&fixed, &base);
        a_save_keeps(&index, (format, quantizer), dimensions, near, &near(&index));
    }
}

#[test]
fn vectors_unlike_all_before_are_found_as_without_codes() {
    let dimensions = 64;
    let base = vectors(4, 3000, dimensions, 6);
    // Each in a direction of its own, most of which the codec has never seen; one without extent, and two far away.
    let mut strange: Vec<Vec<f32>> = vectors(5, 60, dimensions, 0);
    strange.iter_mut().flatten().for_each(|value| *value *= 60.0);
    strange[0] = vec![0.0; dimensions];
    strange[1] = vec![3e3; dimensions];
    strange[2] = vec![-3e3; dimensions];
    let found = |quantizer| {
        let index = filled(&options(Metric::L2, dimensions as u32, quantizer), &base);
        for (i, vector) in strange.iter().enumerate() {
            index.insert(10_000 + i as u64, &bytes(std::slice::from_ref(vector))).unwrap();
        }
        let own =
            |i: usize| search(&index, &bytes(std::slice::from_ref(&strange[i])), 1, 24) == [(10_000 + i as u64, 0.0)];
        (0..strange.len()).filter(|&i| own(i)).count()
    };
    let (plain, coded) = (found(Quantizer::None), found(Quantizer::Auto));
    assert!(coded + 1 >= plain && coded > 50, "{coded} of {}, without codes {plain}", strange.len());
}

#[test]
fn a_batch_that_is_cancelled_leaves_no_codes() {
    let index = Index::create(&options(Metric::L2, 64, Quantizer::Auto)).unwrap();
    let base = bytes(&vectors(6, 3000, 64, 8));
    let keys: Vec<u64> = (0..3000).collect();
    let at_the_end = |done: u64, total: u64| done == total;
    let build = BuildOptions { progress: Some(&at_the_end), ..BuildOptions::default() };
    let error = index.insert_batch(&keys, Rows::packed(&base, 256), &build).unwrap_err();
    assert_eq!(error.status(), kith::Status::Cancelled);
    assert_eq!(index.describe().quantizer, Quantizer::None);
}

#[test]
fn codes_that_cannot_be_are_refused_when_the_index_is_made() {
    let refused = |options: &Options| Index::create(options).unwrap_err().status() == kith::Status::Unsupported;
    for quantizer in
        [Quantizer::Projected4, Quantizer::Projected2, Quantizer::Projected1, Quantizer::Product, Quantizer::Signs]
    {
        assert!(refused(&options(Metric::L1, 64, quantizer)) && refused(&options(Metric::L2, 5000, quantizer)));
        assert!(refused(&Options { kind: Kind::Flat, ..options(Metric::L1, 64, quantizer) }));
    }
    assert_eq!(
        filled(&options(Metric::L1, 64, Quantizer::Auto), &vectors(7, 2500, 64, 8)).describe().quantizer,
        Quantizer::None
    );
}

/// What the system holds in memory of the pages that this process has mapped of a file, in bytes.
#[cfg(target_os = "linux")]
fn resident(path: &std::path::Path) -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let name = path.to_str().unwrap();
    let mut lines = text.lines().skip_while(|line| !line.ends_with(name)).skip(1);
    let found = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
    found.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn vectors_can_stay_in_the_file() {
    let (dimensions, count) = (200, 3000);
    let base = vectors(9, count, dimensions, 20);
    let folder = tempfile::tempdir().unwrap();
    for (kind, quantizer) in [
        (Kind::Graph, Quantizer::Auto),
        (Kind::Graph, Quantizer::Projected2),
        (Kind::Graph, Quantizer::None),
        (Kind::Graph, Quantizer::Bytes),
        (Kind::Flat, Quantizer::Projected1),
    ] {
        let index = filled(&Options { kind, ..options(Metric::L2, dimensions as u32, quantizer) }, &base);
        let path = folder.path().join(format!("{}.kith", quantizer as u32));
        index.save(&path).unwrap();
        let loaded = Index::open(&path, OpenFlags { read_only: true, ..OpenFlags::default() }).unwrap();
        let flags = OpenFlags { vectors_mapped: true, ..OpenFlags::default() };
        let beside = Index::open(&path, flags).unwrap();
        #[cfg(target_os = "linux")]
        assert!(resident(&path) <= 64 << 10, "checking the vectors leaves none of them in memory");
        let whole = Index::open(&path, OpenFlags { mapped: true, ..flags }).unwrap();
        let (loaded_info, info) = (loaded.describe(), beside.describe());
        let held = if quantizer == Quantizer::Bytes { 224 } else { 832 };
        assert_eq!((loaded_info.mapped, info.mapped), (0, (held * count) as u64), "{quantizer:?}");
        assert!(whole.describe().mapped > info.mapped);
        // Rounding to whole pages, and places for 4,096 vectors where vectors are in memory.
        let (own, other) = (info.bytes - info.mapped, loaded_info.bytes - info.mapped);
        let ready = ((4096 - count) * held + (64 << 10)) as u64;
        assert!(own <= other && own + ready > other, "{quantizer:?}: {own}, loaded {other}");
        for vector in base.iter().step_by(61) {
            let query = bytes(std::slice::from_ref(vector));
            assert_eq!(search(&beside, &query, 10, 40), search(&loaded, &query, 10, 40), "{quantizer:?}");
            assert_eq!(search(&beside, &query, 10, 0), search(&loaded, &query, 10, 0), "{quantizer:?}");
        }
        let mut stored = (vec![0; 4 * dimensions], vec![0; 4 * dimensions]);
        beside.get(77, &mut stored.0).unwrap();
        loaded.get(77, &mut stored.1).unwrap();
        assert_eq!(stored.0, stored.1);
        let refused = beside.insert(9_000_000, &stored.0).unwrap_err();
        assert_eq!(refused.status(), kith::Status::ReadOnly);
        assert!(refused.text().contains("with its vectors mapped"), "{refused}");
        // A save over the file replaces it; what is mapped stays.
        beside.save(&path).unwrap();
        assert_eq!(search(&beside, &stored.0, 1, 40)[0].0, 77);
        assert_eq!(Index::open(&path, flags).unwrap().describe().count, count as u64);
    }
}
