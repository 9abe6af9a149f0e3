//! Indexes that hold bytes in place of their vectors: recall with nothing else to rank by, distances near the truth, files, changes.

#![allow(clippy::unwrap_used, missing_docs)]

mod surface;

use kith::distance::{Element, Metric, exact};
use kith::{BuildOptions, Format, Index, Kind, OpenFlags, Options, Quantizer, Rows, SearchOptions, Status};

/// Vectors of a curved surface, away from the origin.
fn vectors(seed: u64, count: usize, dimensions: usize, rank: usize) -> Vec<Vec<f32>> {
    let mut vectors = surface::vectors(seed, count, dimensions, rank);
    vectors.iter_mut().flatten().for_each(|value| *value += 0.3);
    vectors
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn options(metric: Metric, dimensions: usize, quantizer: Quantizer) -> Options {
    let dimensions = dimensions as u32;
    Options { metric, element: Element::F32, dimensions, kind: Kind::Graph, quantizer, ..Options::default() }
}

fn filled(options: &Options, vectors: &[Vec<f32>], threads: u32) -> Index {
    let index = Index::create(options).unwrap();
    let keys: Vec<u64> = (0..vectors.len() as u64).collect();
    let all: Vec<u8> = vectors.iter().flat_map(|vector| bytes(vector)).collect();
    let build = BuildOptions { threads, ..BuildOptions::default() };
    index.insert_batch(&keys, Rows::packed(&all, index.vector_bytes()), &build).unwrap();
    index
}

fn search(index: &Index, query: &[f32], k: usize, ef: u32) -> Vec<(u64, f32)> {
    let (mut keys, mut distances) = (vec![0; k], vec![0.0; k]);
    let options = SearchOptions { ef, ..SearchOptions::default() };
    let count = index.search(&bytes(query), &mut keys, Some(&mut distances), &options).unwrap();
    keys.into_iter().zip(distances).take(count).collect()
}

fn truth(metric: Metric, base: &[Vec<f32>], query: &[f32]) -> Vec<(u64, f32)> {
    let distance =
        |row: &Vec<f32>| exact(metric, Element::F32, query.len() as u32, &bytes(query), &bytes(row)).unwrap();
    let mut all: Vec<(u64, f32)> = (0..).zip(base.iter().map(distance)).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all.truncate(10);
    all
}

#[test]
fn recall_without_the_vectors_is_above_its_floor() {
    for (metric, dimensions, rank) in [(Metric::L2, 160, 24), (Metric::Cosine, 160, 24), (Metric::InnerProduct, 96, 12)]
    {
        let base = vectors(1, 4000, dimensions, rank);
        let queries = vectors(2, 60, dimensions, rank);
        let plain = filled(&options(metric, dimensions, Quantizer::None), &base, 2).describe();
        for (quantizer, floor, bytes) in [
            (Quantizer::Bytes, 0.95, dimensions),
            (Quantizer::BytesProjected4, 0.95, dimensions + 64),
            (Quantizer::Leading8, 0.9, 128),
            (Quantizer::Leading8Fine, 0.9, 256),
        ] {
            let index = filled(&options(metric, dimensions, quantizer), &base, 2);
            let info = index.describe();
            assert_eq!((info.quantizer, info.held, info.element), (quantizer, Element::I8, Element::F32));
            let saved = 4000 * (4 * dimensions - bytes) as u64;
            assert!(info.bytes < plain.bytes - saved + 300_000, "{} bytes, plain {}", info.bytes, plain.bytes);
            let mut found = 0;
            for query in &queries {
                let (hits, nearest) = (search(&index, query, 10, 80), truth(metric, &base, query));
                found += hits.iter().filter(|hit| nearest.iter().any(|other| other.0 == hit.0)).count();
                let (told, wanted) = (hits[0].1, nearest[0].1);
                assert!(
                    (told - wanted).abs() <= 0.06 * (wanted.abs() + 1.0),
                    "{metric:?} {quantizer:?}: {told}, {wanted}"
                );
                assert!(hits.is_sorted_by(|a, b| a.1 <= b.1));
            }
            let recall = found as f32 / 600.0;
            assert!(recall >= floor, "{metric:?} {quantizer:?}: {recall}");
        }
    }
}

#[test]
fn one_by_one_and_in_batches_and_what_comes_back_is_near() {
    let (dimensions, base) = (150, vectors(3, 900, 150, 10));
    for metric in [Metric::L2, Metric::Cosine] {
        for quantizer in [Quantizer::Bytes, Quantizer::BytesProjected4, Quantizer::Leading8] {
            let index = Index::create(&options(metric, dimensions, quantizer)).unwrap();
            let mut given = vec![0; 4 * dimensions];
            for (key, vector) in (0..).zip(&base[..600]) {
                // The call that finds so many reduces them.
                assert_eq!(index.describe().held == Element::I8, key > 256, "{key} vectors");
                index.insert(key, &bytes(vector)).unwrap();
                index.get(key, &mut given).unwrap();
                assert!(key >= 256 || given == bytes(vector));
            }
            let keys: Vec<u64> = (600..900).collect();
            let rest: Vec<u8> = base[600..].iter().flat_map(|vector| bytes(vector)).collect();
            index.insert_batch(&keys, Rows::packed(&rest, 4 * dimensions), &BuildOptions::default()).unwrap();
            index.upsert(5, &bytes(&base[6])).unwrap();
            index.remove(7).unwrap();
            let none = bytes(&vec![0.0; dimensions]);
            for (key, vector) in (0..).zip(&base).filter(|(key, _)| ![5, 7].contains(key)) {
                index.get(key, &mut given).unwrap();
                let of = |a: &[u8], b: &[u8]| exact(Metric::L2, Element::F32, dimensions as u32, a, b).unwrap();
                let lost = of(&given, &bytes(vector)) / of(&bytes(vector), &none);
                assert!(lost < 0.02, "{metric:?} {quantizer:?} {key}: {lost}");
            }
            let own = (0..900).filter(|&key| search(&index, &base[key], 1, 40)[0].0 == key as u64).count();
            assert!(own > 885, "{metric:?} {quantizer:?}: {own} of 900");
            assert_eq!(index.row(3).unwrap_err().status(), Status::Unsupported);
            assert_eq!(index.export_bytes(Format::Hnswlib, 0).unwrap_err().status(), Status::Unsupported);
        }
    }
}

#[test]
fn files_keep_what_reduces_vectors() {
    let base = vectors(5, 1200, 140, 12);
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("reduced.kith"), folder.path().join("again.kith"));
    for (metric, quantizer) in [
        (Metric::L2, Quantizer::Bytes),
        (Metric::L2, Quantizer::BytesProjected4),
        (Metric::Cosine, Quantizer::BytesProjected4),
        (Metric::InnerProduct, Quantizer::BytesProjected4),
        (Metric::Cosine, Quantizer::Bytes),
        (Metric::Cosine, Quantizer::Leading8),
        (Metric::InnerProduct, Quantizer::Leading8),
        (Metric::L2, Quantizer::Leading8Fine),
    ] {
        let index = filled(&options(metric, 140, quantizer), &base[..1000], 2);
        let answers =
            |index: &Index| -> Vec<_> { base.iter().step_by(31).map(|query| search(index, query, 10, 40)).collect() };
        let vector = |index: &Index| {
            let mut vector = vec![0; 560];
            index.get(77, &mut vector).unwrap();
            vector
        };
        index.save(&path).unwrap();
        let info = Index::file_info(&path).unwrap();
        let format = if quantizer == Quantizer::BytesProjected4 { 10 } else { 5 };
        assert_eq!((info.format, info.quantizer, info.held), (format, quantizer, Element::I8));
        for mapped in [false, true] {
            let opened = Index::open(&path, OpenFlags { mapped, ..OpenFlags::default() }).unwrap();
            assert_eq!(
                (answers(&opened), vector(&opened)),
                (answers(&index), vector(&index)),
                "{metric:?} {quantizer:?}"
            );
            opened.save(&again).unwrap();
            assert!(std::fs::read(&again).unwrap() == std::fs::read(&path).unwrap());
            if !mapped {
                (1000..1200).for_each(|key| opened.insert(key, &bytes(&base[key as usize])).unwrap());
                let own = (1000..1200)
                    .filter(|&key| search(&opened, &base[key], 3, 60).iter().any(|hit| hit.0 == key as u64));
                assert!(metric == Metric::InnerProduct || own.count() > 195);
            }
        }
        // A file from before there was enough to learn from.
        let few = filled(&options(metric, 140, quantizer), &base[..100], 1);
        few.save(&path).unwrap();
        let opened = Index::open(&path, OpenFlags::default()).unwrap();
        assert_eq!((opened.describe().held, opened.describe().quantizer), (Element::F32, Quantizer::None));
        (100..600).for_each(|key| opened.insert(key, &bytes(&base[key as usize])).unwrap());
        assert_eq!((opened.describe().held, opened.describe().quantizer), (Element::I8, quantizer));
    }
}

#[test]
fn any_number_of_threads_makes_the_same_file() {
    let base = vectors(7, 3000, 100, 14);
    let folder = tempfile::tempdir().unwrap();
    for quantizer in [Quantizer::Bytes, Quantizer::BytesProjected4, Quantizer::Leading8] {
        let file = |threads: u32| {
            let path = folder.path().join("index.kith");
            filled(&options(Metric::L2, 100, quantizer), &base, threads).save(&path).unwrap();
            std::fs::read(&path).unwrap()
        };
        assert!(file(1) == file(3), "{quantizer:?}");
    }
}

#[test]
fn what_one_index_learnt_serves_others() {
    let base = vectors(9, 2000, 110, 12);
    let all: Vec<u8> = base.iter().flat_map(|vector| bytes(vector)).collect();
    let rows = Rows::packed(&all, 440);
    for quantizer in
        [Quantizer::Auto, Quantizer::Projected4, Quantizer::Bytes, Quantizer::BytesProjected4, Quantizer::Leading8]
    {
        let options = options(Metric::L2, 110, quantizer);
        let teacher = Index::create(&options).unwrap();
        assert_eq!(teacher.export_codec().unwrap_err().status(), Status::NotFound);
        teacher.train(rows, &BuildOptions { threads: 2, ..BuildOptions::default() }).unwrap();
        let blob = teacher.export_codec().unwrap();
        assert_eq!(teacher.train(rows, &BuildOptions::default()).unwrap_err().status(), Status::Exists);
        // Two parts of a collection, one vector by one.
        let parts = [0, 1].map(|part| {
            let index = Index::create(&options).unwrap();
            index.import_codec(&blob).unwrap();
            assert_eq!(index.export_codec().unwrap(), blob);
            for (key, vector) in (0..).zip(&base).filter(|(key, _)| key % 2 == part).take(200) {
                index.insert(key, &bytes(vector)).unwrap();
            }
            index
        });
        let whole = Index::create(&options).unwrap();
        whole.import_codec(&blob).unwrap();
        (0..).zip(&base).take(400).for_each(|(key, vector)| whole.insert(key, &bytes(vector)).unwrap());
        for query in base[1500..].iter().step_by(100) {
            let mut merged: Vec<(u64, f32)> = parts.iter().flat_map(|part| search(part, query, 10, 300)).collect();
            merged.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
            merged.truncate(10);
            assert_eq!(merged, search(&whole, query, 10, 300), "{quantizer:?}");
        }
        assert_eq!(whole.import_codec(&blob).unwrap_err().status(), Status::Exists);
        whole.clear().unwrap();
        let other = Index::create(&Options { metric: Metric::Cosine, ..options.clone() }).unwrap();
        assert_eq!(other.import_codec(&blob).unwrap_err().status(), Status::Argument);
        for at in [0, 9, 13, 25, 40, blob.len() - 1] {
            let mut bad = blob.clone();
            bad[at] ^= 1;
            assert_eq!(whole.import_codec(&bad).unwrap_err().status(), Status::Corrupt, "{at}");
        }
        for length in 0..blob.len().min(200) {
            assert_eq!(whole.import_codec(&blob[..length]).unwrap_err().status(), Status::Corrupt);
        }
        // What was learnt is saved before there is anything else.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.kith");
        teacher.save(&path).unwrap();
        assert_eq!(Index::open(&path, OpenFlags::default()).unwrap().export_codec().unwrap(), blob);
    }
    let refused = |quantizer, status| {
        let index = Index::create(&options(Metric::L2, 110, quantizer)).unwrap();
        assert_eq!(
            index.train(Rows::packed(&all[..440 * 100], 440), &BuildOptions::default()).unwrap_err().status(),
            status
        );
    };
    refused(Quantizer::None, Status::Unsupported);
    refused(Quantizer::Bytes, Status::Argument);
}

#[test]
fn what_cannot_be_reduced_is_refused_when_the_index_is_made() {
    let refused = |options: &Options| Index::create(options).unwrap_err().status() == Status::Unsupported;
    for quantizer in [Quantizer::Bytes, Quantizer::BytesProjected4, Quantizer::Leading8, Quantizer::Leading8Fine] {
        let sound = options(Metric::L2, 64, quantizer);
        assert!(refused(&Options { metric: Metric::L1, ..sound.clone() }));
        assert!(refused(&Options { element: Element::F16, ..sound.clone() }));
        assert!(refused(&Options { kind: Kind::Flat, ..sound.clone() }));
        assert!(refused(&Options { keep_removed: true, ..sound }));
    }
    assert!(refused(&options(Metric::L2, 5000, Quantizer::Leading8)));
    assert!(refused(&options(Metric::L2, 5000, Quantizer::BytesProjected4)));
    // Vectors that do not vary stay as they are.
    let index = filled(&options(Metric::L2, 8, Quantizer::Bytes), &vec![vec![2.0; 8]; 400], 1);
    assert_eq!((index.describe().held, search(&index, &[2.0; 8], 1, 10)[0].1), (Element::F32, 0.0));
}

#[test]
fn two_levels_answer_as_bytes_alone_and_look_at_fewer() {
    let (dimensions, base, queries) = (256, vectors(11, 6000, 256, 30), vectors(12, 60, 256, 30));
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        let bytes_alone = filled(&options(metric, dimensions, Quantizer::Bytes), &base, 2);
        let index = filled(&options(metric, dimensions, Quantizer::BytesProjected4), &base, 2);
        let info = index.describe();
        assert_eq!((info.quantizer, info.held, info.code_bytes), (Quantizer::BytesProjected4, Element::I8, 64));
        let more = info.bytes - bytes_alone.describe().bytes;
        assert!((6000 * 60..6000 * 64 + (4 << 20)).contains(&more), "{more} bytes more");
        let (mut same, mut found) = (0, [0, 0]);
        for query in &queries {
            let (one, other) = (search(&index, query, 10, 200), search(&bytes_alone, query, 10, 200));
            let nearest = truth(metric, &base, query);
            for (found, hits) in found.iter_mut().zip([&one, &other]) {
                *found += hits.iter().filter(|hit| nearest.iter().any(|other| other.0 == hit.0)).count();
            }
            // Distances are those of bytes, to the bit.
            same += one.iter().filter(|hit| other.contains(hit)).count();
        }
        assert!(same >= 590 && found[0] + 6 >= found[1], "{metric:?}: {same} of 600 alike, {found:?} right");
        // What was inserted one by one has both, and goes when it is removed or replaced.
        let fresh = vectors(13, 100, dimensions, 30);
        (7000..).zip(&fresh).for_each(|(key, vector)| index.insert(key, &bytes(vector)).unwrap());
        index.upsert(5, &bytes(&fresh[3])).unwrap();
        (100..200).for_each(|key| index.remove(key).unwrap());
        index.optimize(&BuildOptions::default()).unwrap();
        index.compact(&BuildOptions::default()).unwrap();
        let health = index.check().unwrap();
        assert_eq!((health.codes, health.code_faults, health.vector_faults, health.live), (6000, 0, 0, 6000));
        if metric != Metric::InnerProduct {
            let own = (7000..)
                .zip(&fresh)
                .filter(|(key, query)| search(&index, query, 3, 60).iter().any(|hit| hit.0 == *key));
            assert!(own.count() > 97);
        }
    }
}
