//! An index of many places and few vectors: does upkeep move them together, beside everything else, and lose nothing?

use super::{DIMENSIONS, content, options, vector};
use crate::disk::simulated::Random;
use crate::index::config::{BuildOptions, Kind, Options, SearchOptions};
use crate::index::{Index, Rows};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MANY: u64 = 70_000;
/// One key in so many stays.
const STAYS: u64 = 7;

fn insert(index: &Index, keys: std::ops::Range<u64>) {
    let data: Vec<u8> = keys.clone().flat_map(|key| vector(key as u32)).collect();
    let keys: Vec<u64> = keys.collect();
    index.insert_batch(&keys, Rows::packed(&data, DIMENSIONS * 4), &BuildOptions::default()).unwrap();
}

/// An index of which six in seven are gone.
fn sparse(options: &Options) -> Index {
    let index = Index::create(options).unwrap();
    insert(&index, 0..MANY);
    let gone: Vec<u64> = (0..MANY).filter(|key| key % STAYS != 3).collect();
    index.remove_batch(&gone).unwrap();
    index
}

fn left() -> BTreeMap<u64, Vec<u8>> {
    (0..MANY).filter(|key| key % STAYS == 3).map(|key| (key, vector(key as u32))).collect()
}

fn finds_all(index: &Index, model: &BTreeMap<u64, Vec<u8>>) {
    for (&key, vector) in model {
        let (mut keys, mut distances) = ([0], [1.0]);
        index.search(vector, &mut keys, Some(&mut distances), &SearchOptions::default()).unwrap();
        assert_eq!((keys[0], distances[0]), (key, 0.0));
    }
}

fn is_whole(index: &Index, model: &BTreeMap<u64, Vec<u8>>) {
    assert_eq!(&content(index), model);
    assert!(index.check().unwrap().is_sound());
    assert!(index.audit().is_none_or(|audit| audit.is_clean()));
}

#[test]
fn upkeep_moves_few_vectors_together_and_gives_memory_back() {
    for kind in [Kind::Flat, Kind::Graph] {
        let index = sparse(&options(kind));
        let before = index.describe();
        // In steps, each of which says how much is left.
        let mut calls = 0;
        while index.maintain(Duration::ZERO).unwrap() > 0 {
            calls += 1;
            assert!(calls < 100_000);
        }
        let after = index.describe();
        assert!(calls > 10 && after.removed == 0, "{kind:?}: {calls} calls, {} places are left", after.removed);
        assert!(after.bytes < before.bytes / 2, "{kind:?}: {} bytes of {}", after.bytes, before.bytes);
        is_whole(&index, &left());
        finds_all(&index, &left());
        assert_eq!(index.maintain(Duration::ZERO).unwrap(), 0);
        insert(&index, MANY..MANY + 100);
        assert_eq!(index.describe().count, left().len() as u64 + 100);
    }
}

#[test]
fn an_index_that_lost_all_gives_all_back() {
    let index = Index::create(&options(Kind::Flat)).unwrap();
    insert(&index, 0..MANY);
    index.remove_batch(&(0..MANY).collect::<Vec<_>>()).unwrap();
    assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
    assert_eq!((index.describe().count, index.describe().removed), (0, 0));
}

#[test]
fn places_that_are_kept_for_their_keys_stay() {
    let index = sparse(&Options { keep_removed: true, ..options(Kind::Flat) });
    assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
    assert_eq!(index.describe().removed, MANY - left().len() as u64);
    is_whole(&index, &left());
}

#[test]
fn vectors_come_go_and_are_found_while_they_are_moved() {
    let index = sparse(&options(Kind::Graph));
    let stop = AtomicBool::new(false);
    let mut model = left();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(1);
            let known = left();
            while !stop.load(Ordering::Relaxed) {
                // A key that nobody touches is found, wherever its vector is.
                let key = random.below((MANY / 2 / STAYS) as usize) as u64 * STAYS + 3;
                let (mut keys, mut distances) = ([0], [1.0]);
                index.search(&known[&key], &mut keys, Some(&mut distances), &SearchOptions::default()).unwrap();
                assert_eq!((keys[0], distances[0]), (key, 0.0));
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                index.maintain(Duration::from_millis(2)).unwrap();
            }
        });
        let mut random = Random(2);
        for _ in 0..3000 {
            let key = MANY / 2 + random.below((MANY / 2) as usize) as u64;
            if model.remove(&key).is_some() {
                index.remove(key).unwrap();
            } else {
                index.insert(key, &vector(key as u32)).unwrap();
                model.insert(key, vector(key as u32));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
    is_whole(&index, &model);
    finds_all(&index, &model);
    assert_eq!(index.describe().removed, 0);
}
