//! Does an index stay within its limit, and is it as it was when a call is refused?

use crate::distance::{Element, Metric};
use crate::{BuildOptions, Index, Kind, LogOptions, Options, Quantizer, Rows, SearchOptions, Status};
use std::collections::BTreeMap;

const DIMENSIONS: usize = 64;

fn vector(of: u64, whole: bool) -> Vec<u8> {
    let mut state = of.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut component = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as f32 + if whole { 0.0 } else { 0.25 }
    };
    (0..DIMENSIONS).flat_map(|_| component().to_le_bytes()).collect()
}

fn rows(of: impl Iterator<Item = u64>, whole: bool) -> Vec<u8> {
    of.flat_map(|of| vector(of, whole)).collect()
}

fn options(kind: Kind, quantizer: Quantizer, memory_limit: u64) -> Options {
    Options { dimensions: DIMENSIONS as u32, kind, quantizer, memory_limit, ..Options::default() }
}

fn batch(index: &Index, keys: &[u64], whole: bool) -> crate::util::error::Result<()> {
    let data = rows(keys.iter().copied(), whole);
    let build = BuildOptions { threads: 1, upsert: true, ..BuildOptions::default() };
    index.insert_batch(keys, Rows::packed(&data, 4 * DIMENSIONS), &build)
}

/// Every key of the model is there with its vector, and no other key.
fn agrees(index: &Index, model: &BTreeMap<u64, u64>) {
    assert_eq!(index.describe().count, model.len() as u64);
    let (mut vector_of, reduced) = (vec![0; 4 * DIMENSIONS], index.config.quantizer.reduction().is_some());
    for (&key, &of) in model {
        index.get(key, &mut vector_of).unwrap();
        assert!(reduced || vector_of == vector(of, false) || vector_of == vector(of, true), "{key}");
    }
    let mut keys = vec![0; model.len()];
    assert_eq!(index.keys(&mut keys).unwrap(), model.len());
    keys.sort_unstable();
    assert!(keys.iter().eq(model.keys()));
    assert_eq!(index.audit().map_or(0, |audit| audit.faults), 0);
}

fn refused<T: std::fmt::Debug>(result: crate::util::error::Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.status(), Status::Memory, "{error}");
    assert!(error.text().contains("memory_limit is "), "{error}");
    error.text().to_owned()
}

fn all_kinds() -> [(Kind, Quantizer); 4] {
    [
        (Kind::Flat, Quantizer::Auto),
        (Kind::Graph, Quantizer::None),
        (Kind::Graph, Quantizer::Projected4),
        (Kind::Graph, Quantizer::Bytes),
    ]
}

#[test]
fn insertions_stop_at_the_limit_and_go_on_when_there_is_room() {
    for (kind, quantizer) in all_kinds() {
        const LIMIT: u64 = 4 << 20;
        let index = Index::create(&options(kind, quantizer, LIMIT)).unwrap();
        let mut model = BTreeMap::new();
        let error = loop {
            let key = model.len() as u64;
            match index.insert(key, &vector(key, false)) {
                Ok(()) => assert_eq!(model.insert(key, key), None),
                Err(error) => break error,
            }
            assert!(model.len() < 20_000, "{kind:?}");
        };
        refused::<()>(Err(error));
        let held = index.describe().bytes;
        assert!((LIMIT / 2..=LIMIT).contains(&held), "{kind:?} {quantizer:?}: {held} of {LIMIT}");
        // Nothing that takes memory, and nothing is lost by trying.
        let fresh: Vec<u64> = (1_000_000..1_003_000).collect();
        refused(batch(&index, &fresh, false));
        refused(index.reserve(100_000));
        agrees(&index, &model);
        // Searches go on.
        let found = index.search(&vector(5, false), &mut [0; 10], None, &SearchOptions::default()).unwrap();
        assert_eq!(found, 10);
        // Half of it removed: as much fits again.
        for key in 0..model.len() as u64 / 2 {
            index.remove(key).unwrap();
            model.remove(&key);
        }
        index.compact(&BuildOptions { threads: 1, ..BuildOptions::default() }).unwrap();
        agrees(&index, &model);
        for key in 2_000_000..2_000_000 + model.len() as u64 / 2 {
            index.insert(key, &vector(key, false)).unwrap_or_else(|error| panic!("{kind:?} {quantizer:?}: {error}"));
            model.insert(key, key);
        }
        assert!(index.describe().bytes <= LIMIT);
        agrees(&index, &model);
        // The limit is not the file's.
        let folder = tempfile::tempdir().unwrap();
        index.save(&folder.path().join("index")).unwrap();
        let again = Index::open(&folder.path().join("index"), crate::OpenFlags::default()).unwrap();
        assert_eq!((again.describe().memory_limit, index.describe().memory_limit), (0, LIMIT));
        again.set_memory_limit(1 << 20);
        refused(again.insert(9_999_999, &vector(1, false)));
        again.set_memory_limit(0);
        again.insert(9_999_999, &vector(1, false)).unwrap();
    }
}

/// One life at many limits: each call takes place or is refused, and the index has what the model has.
#[test]
fn whatever_the_limit_each_call_happens_or_does_not() {
    for (kind, quantizer) in all_kinds() {
        let mut refusals = 0;
        for step in 0..24 {
            let limit = (64 << 10) * (step + 1) * (step + 1) / 4;
            let index = Index::create(&options(kind, quantizer, limit)).unwrap();
            let mut model = BTreeMap::new();
            let mut note =
                |done: crate::util::error::Result<()>, keys: &[u64], model: &mut BTreeMap<u64, u64>| match done {
                    Ok(()) => model.extend(keys.iter().map(|&key| (key, key))),
                    Err(error) => {
                        refused::<()>(Err(error));
                        refusals += 1;
                    }
                };
            let first: Vec<u64> = (0..300).collect();
            note(batch(&index, &first, true), &first, &mut model);
            for key in 200..400 {
                note(index.upsert(key, &vector(key, true)), &[key], &mut model);
            }
            let second: Vec<u64> = (350..1500).collect();
            note(batch(&index, &second, true), &second, &mut model);
            // What does not fit bytes.
            note(index.upsert(7, &vector(7, false)), &[7], &mut model);
            note(index.optimize(&BuildOptions { threads: 1, ..BuildOptions::default() }), &[], &mut model);
            note(index.reserve(3000), &[], &mut model);
            agrees(&index, &model);
            let held = index.describe().bytes;
            assert!(held <= limit.max(48 << 10), "{kind:?} {quantizer:?}: {held} of {limit}");
        }
        assert!(refusals > 20, "{kind:?} {quantizer:?}");
    }
}

#[test]
fn a_large_batch_is_refused_for_the_memory_of_its_building_before_it_begins() {
    let index = Index::create(&options(Kind::Graph, Quantizer::None, 12 << 20)).unwrap();
    let keys: Vec<u64> = (0..10_000).collect();
    let data = rows(keys.iter().copied(), false);
    let progress = |_, _| panic!("nothing has begun");
    let build = BuildOptions { progress: Some(&progress), ..BuildOptions::default() };
    refused(index.insert_batch(&keys, Rows::packed(&data, 4 * DIMENSIONS), &build));
    // What is there in the end would fit.
    for keys in keys.chunks(900) {
        batch(&index, keys, false).unwrap();
    }
    assert!(index.describe().bytes < 12 << 20);
    refused(index.optimize(&BuildOptions::default()));
    assert_eq!(index.audit().unwrap().faults, 0);
}

#[test]
fn vectors_that_would_be_held_at_full_length_are_refused_where_that_is_too_much() {
    let index = Index::create(&options(Kind::Graph, Quantizer::Auto, 0)).unwrap();
    let keys: Vec<u64> = (0..20_000).collect();
    batch(&index, &keys, true).unwrap();
    assert_eq!(index.describe().held, Element::U8);
    index.set_memory_limit(index.describe().bytes + (2 << 20));
    refused(index.insert(20_000, &vector(1, false)));
    assert_eq!((index.describe().held, index.describe().count), (Element::U8, 20_000));
    index.insert(20_000, &vector(1, true)).unwrap();
    index.set_memory_limit(0);
    index.insert(20_001, &vector(1, false)).unwrap();
    assert_eq!(index.describe().held, Element::F32);
}

#[test]
fn a_directory_is_opened_within_the_limit_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let of = |limit| Options { metric: Metric::L2, ..options(Kind::Flat, Quantizer::Auto, limit) };
    let open = |limit| Index::open_directory(&path, Some(&of(limit)), &LogOptions::default());
    let keys: Vec<u64> = (0..8_000).collect();
    {
        let index = open(1 << 20).unwrap();
        refused(batch(&index, &keys, false));
        index.set_memory_limit(0);
        batch(&index, &keys, false).unwrap();
    }
    // From the log, then from the snapshot.
    refused(open(1 << 20));
    open(0).unwrap().checkpoint().unwrap();
    refused(open(1 << 20));
    let index = open(8 << 20).unwrap();
    assert_eq!((index.describe().count, index.describe().memory_limit), (8_000, 8 << 20));
}

#[test]
fn threads_that_insert_at_once_stay_within_the_limit() {
    for kind in [Kind::Flat, Kind::Graph] {
        const LIMIT: u64 = 3 << 20;
        let index = Index::create(&options(kind, Quantizer::None, LIMIT)).unwrap();
        let added: u64 = std::thread::scope(|scope| {
            let adders: Vec<_> = (0..4)
                .map(|thread| {
                    let index = &index;
                    scope.spawn(move || {
                        let keys = (0..5_000).map(|i| thread * 5_000 + i);
                        keys.take_while(|&key| index.insert(key, &vector(key, false)).is_ok()).count() as u64
                    })
                })
                .collect();
            adders.into_iter().map(|adder| adder.join().unwrap()).sum()
        });
        let info = index.describe();
        assert_eq!(info.count, added);
        assert!((LIMIT / 2..=LIMIT).contains(&info.bytes), "{kind:?}: {} of {LIMIT}", info.bytes);
    }
}
