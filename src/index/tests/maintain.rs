//! Are places of removed vectors used again, and does everything hold meanwhile?

use crate::distance::Metric;
use crate::index::config::{BuildOptions, OpenFlags, Options, SearchOptions};
use crate::index::{Index, Kind, Rows};
use crate::util::error::Status;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const DIMENSIONS: usize = 12;

pub(super) struct Random(pub(super) u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::util::random::mix(self.0)
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    pub(super) fn vector(&mut self) -> Vec<f32> {
        (0..DIMENSIONS).map(|_| (self.bits() >> 40) as f32 / (1 << 20) as f32 - 8.0).collect()
    }
}

pub(super) fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

pub(super) fn options(kind: Kind, m: u32) -> Options {
    let dimensions = DIMENSIONS as u32;
    Options { dimensions, metric: Metric::L2, kind, m, ef_construction: 60, seed: 5, ..Options::default() }
}

pub(super) fn whole(index: &Index) {
    if let Some(audit) = index.audit() {
        assert!(audit.is_clean(), "{audit:#?}");
    }
}

/// Everything is free, and nothing is left of what was removed.
pub(super) fn settled(index: &Index) {
    assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
    // An empty queue drains to nothing.
    assert_eq!(index.maintain(Duration::ZERO).unwrap(), 0);
    let info = index.describe();
    if let Some(audit) = index.audit() {
        assert!(audit.is_clean() && audit.leaving == 0, "{audit:#?}");
        assert_eq!(u64::from(audit.linked), info.count);
    }
    let health = index.check().unwrap();
    assert!(health.is_sound(), "{health:?}");
    assert_eq!(health.graph.linked, if index.config.kind == Kind::Graph { info.count } else { 0 });
}

pub(super) type Model = BTreeMap<u64, Vec<f32>>;

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum()
}

/// What the index holds is what the model holds, and what searches say of it is true; all of it is found where searches are exact.
pub(super) fn agrees(index: &Index, model: &Model, random: &mut Random) {
    let mut keys = vec![0; model.len()];
    assert_eq!(index.keys(&mut keys).unwrap(), model.len());
    keys.sort_unstable();
    assert!(keys.iter().eq(model.keys()));
    let mut back = vec![0; DIMENSIONS * 4];
    for (&key, vector) in model {
        index.get(key, &mut back).unwrap();
        assert_eq!(back, bytes(vector));
    }
    for ef in [0, 4096] {
        let query = random.vector();
        let (mut found, mut distances) = ([0; 10], [0.0; 10]);
        let options = SearchOptions { ef, ..SearchOptions::default() };
        let count = index.search(&bytes(&query), &mut found, Some(&mut distances), &options).unwrap();
        assert_eq!(count, model.len().min(10));
        let mut exact: Vec<(f64, u64)> = model.iter().map(|(&key, vector)| (distance(&query, vector), key)).collect();
        exact.sort_by(|a, b| a.partial_cmp(b).unwrap());
        for i in 0..count {
            let true_distance = distance(&query, &model[&found[i]]);
            assert!((f64::from(distances[i]) - true_distance).abs() <= 1e-4 * true_distance.max(1.0));
            assert!(i == 0 || distances[i - 1] <= distances[i]);
            assert!(ef == 0 || found[i] == exact[i].1);
        }
    }
}

/// How many vectors a search with themselves does not find.
pub(super) fn lost(index: &Index, model: &Model) -> usize {
    let finds = |key: u64, vector: &[f32]| {
        let mut found = [0];
        index.search(&bytes(vector), &mut found, None, &SearchOptions::default()).unwrap();
        found[0] == key
    };
    model.iter().filter(|(key, vector)| !finds(**key, vector)).count()
}

pub(super) fn reopened(index: &Index) -> Index {
    let mut file = Vec::new();
    index.save_to(&mut file).unwrap();
    let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
    whole(&opened);
    assert_eq!(opened.describe().count, index.describe().count);
    opened
}

/// One random change, made to the index and to the model.
fn change(index: &Index, model: &mut Model, keys: u64, random: &mut Random) {
    let key = random.below(keys);
    match random.below(100) {
        0..30 => {
            let vector = random.vector();
            let inserted = index.insert(key, &bytes(&vector)).map_err(|error| error.status());
            assert_eq!(inserted, if model.contains_key(&key) { Err(Status::Exists) } else { Ok(()) });
            model.entry(key).or_insert(vector);
        }
        30..55 => {
            let vector = random.vector();
            index.upsert(key, &bytes(&vector)).unwrap();
            model.insert(key, vector);
        }
        55..90 => assert_eq!(index.remove(key).is_ok(), model.remove(&key).is_some()),
        90..94 => {
            let gone: Vec<u64> = (0..random.below(60)).map(|_| random.below(keys)).collect();
            let there = gone.iter().filter(|key| model.remove(key).is_some()).count();
            assert_eq!(index.remove_batch(&gone).unwrap(), there);
        }
        94..97 => {
            let cancel = random.below(2) == 0;
            let rows: Vec<(u64, Vec<f32>)> = (0..50).map(|_| (random.below(keys), random.vector())).collect();
            let data: Vec<u8> = rows.iter().flat_map(|row| bytes(&row.1)).collect();
            let names: Vec<u64> = rows.iter().map(|row| row.0).collect();
            let progress = |_, _| cancel;
            let how = BuildOptions { threads: 2, upsert: true, progress: Some(&progress), ..BuildOptions::default() };
            let done = index.insert_batch(&names, Rows::packed(&data, DIMENSIONS * 4), &how);
            assert_eq!(done.is_err(), cancel);
            if !cancel {
                model.extend(rows);
            }
        }
        97..99 => drop(index.maintain(Duration::from_micros(random.below(300))).unwrap()),
        _ => drop(index.maintain(Duration::ZERO).unwrap()),
    }
}

/// Thousands of random changes, and between them all that an index can go through.
fn lives(kind: Kind, m: u32, keys: u64, seed: u64) {
    let mut random = Random(seed);
    let mut index = Index::create(&options(kind, m)).unwrap();
    let mut model = Model::new();
    for phase in 0..12 {
        for _ in 0..700 {
            change(&index, &mut model, keys, &mut random);
        }
        whole(&index);
        agrees(&index, &model, &mut random);
        match phase % 6 {
            0 => settled(&index),
            1 | 4 => index = reopened(&index),
            2 => {
                index.compact(&BuildOptions::default()).unwrap();
                settled(&index);
                let info = index.describe();
                assert_eq!(info.removed, 0, "{info:?}");
            }
            3 => {
                // All but a few go, and come again.
                let gone: Vec<u64> = model.keys().copied().skip(phase / 4).collect();
                assert_eq!(index.remove_batch(&gone).unwrap(), gone.len());
                gone.iter().for_each(|key| drop(model.remove(key)));
                settled(&index);
            }
            _ => {}
        }
        agrees(&index, &model, &mut random);
        assert_eq!(index.describe().count, model.len() as u64);
    }
    settled(&index);
    if m >= 16 {
        assert_eq!(lost(&index, &model), 0);
    }
    // Places are used again: never more than about twice as many as there were vectors.
    let info = index.describe();
    assert!(info.count + info.removed < 2 * keys, "{info:?}");
}

#[test]
fn a_graph_lives() {
    (0..3).for_each(|seed| lives(Kind::Graph, 16, 3000, seed));
}

#[test]
fn a_small_or_narrow_graph_lives() {
    (0..3).for_each(|seed| lives(Kind::Graph, 16, 100, 10 + seed));
    (0..3).for_each(|seed| lives(Kind::Graph, [2, 3, 4][seed as usize], 1500, 20 + seed));
}

#[test]
fn a_flat_index_lives() {
    (0..3).for_each(|seed| lives(Kind::Flat, 16, 800, 30 + seed));
}

pub(super) fn filled(kind: Kind, count: u64) -> (Index, Model) {
    let (index, mut random) = (Index::create(&options(kind, 16)).unwrap(), Random(77));
    let model: Model = (0..count).map(|key| (key, random.vector())).collect();
    let data: Vec<u8> = model.values().flat_map(|vector| bytes(vector)).collect();
    let keys: Vec<u64> = model.keys().copied().collect();
    index.insert_batch(&keys, Rows::packed(&data, DIMENSIONS * 4), &BuildOptions::default()).unwrap();
    (index, model)
}

/// Whether a file holds these bytes anywhere.
fn holds(file: &[u8], bytes: &[u8]) -> bool {
    file.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn after_compacting_nothing_of_a_removed_vector_is_saved() {
    for kind in [Kind::Graph, Kind::Flat] {
        let (index, mut model) = filled(kind, 3000);
        let gone: Vec<u64> = (0..3000).filter(|key| key % 10 != 3).collect();
        index.remove_batch(&gone).unwrap();
        let gone: Vec<Vec<f32>> = gone.iter().map(|key| model.remove(key).unwrap()).collect();
        let replaced = model.insert(3, vec![0.25; DIMENSIONS]).unwrap();
        index.upsert(3, &bytes(&model[&3])).unwrap();
        index.compact(&BuildOptions::default()).unwrap();
        let info = index.describe();
        assert_eq!((info.count, info.removed), (300, 0));
        agrees(&index, &model, &mut Random(1));
        assert_eq!(lost(&index, &model), 0);
        let mut file = Vec::new();
        index.save_to(&mut file).unwrap();
        assert!(holds(&file, &bytes(&model[&13])) && !holds(&file, &bytes(&replaced)));
        // Two components tell vectors apart.
        let known: std::collections::HashSet<&[u8]> = file.windows(8).step_by(4).collect();
        assert!(gone.iter().all(|vector| bytes(vector).windows(8).step_by(4).all(|pair| !known.contains(pair))));
        settled(&reopened(&index));
    }
}

#[test]
fn the_last_vector_can_go_and_others_can_come() {
    let (index, model) = filled(Kind::Graph, 40);
    for round in 0..3 {
        for key in model.keys() {
            index.remove(*key).unwrap();
            whole(&index);
        }
        index.compact(&BuildOptions::default()).unwrap();
        let info = index.describe();
        assert_eq!((info.count, info.removed, index.check().unwrap().graph.linked), (0, 0, 0));
        let opened = reopened(&index);
        for (key, vector) in &model {
            let to = if round == 1 { &opened } else { &index };
            to.insert(*key, &bytes(vector)).unwrap();
        }
        if round == 1 {
            agrees(&opened, &model, &mut Random(3));
            settled(&opened);
            model.iter().for_each(|(key, vector)| index.insert(*key, &bytes(vector)).unwrap());
        }
        agrees(&index, &model, &mut Random(2));
        settled(&index);
    }
}

#[test]
fn places_wait_for_whoever_is_inside() {
    for kind in [Kind::Graph, Kind::Flat] {
        let (index, model) = filled(kind, 500);
        // As a checkpoint that goes on over many calls.
        let hold = index.epochs.hold();
        let (core, snapshot) = index.snapshot(&hold).unwrap();
        for key in 0..400 {
            index.remove(key).unwrap();
        }
        assert!(index.maintain(Duration::from_millis(20)).unwrap() > 0);
        for key in 1000..1400u64 {
            index.insert(key, &bytes(&Random(key).vector())).unwrap();
        }
        assert!(index.maintain(Duration::from_millis(20)).unwrap() > 0);
        let mut file = Vec::new();
        crate::persist::save_to(&snapshot.image(core), &mut file).unwrap();
        drop((snapshot, hold));
        // What is written is what was there, to the last vector.
        let then = Index::open_buffer(&file, OpenFlags::default()).unwrap();
        agrees(&then, &model, &mut Random(4));
        settled(&then);
        settled(&index);
        assert_eq!(index.describe().removed, 400);
        for key in 2000..2400u64 {
            index.insert(key, &bytes(&Random(key).vector())).unwrap();
        }
        let info = index.describe();
        assert_eq!((info.count, info.removed), (900, 0));
    }
}

#[test]
fn what_can_come_back_keeps_its_place() {
    for kind in [Kind::Graph, Kind::Flat] {
        let index = Index::create(&Options { keep_removed: true, ..options(kind, 16) }).unwrap();
        let vector = |key: u64| bytes(&Random(key).vector());
        (0..300).for_each(|key| index.insert(key, &vector(key)).unwrap());
        (0..200).for_each(|key| index.remove(key).unwrap());
        // 50 get another vector, 50 are given up, 100 can come back.
        (0..50).for_each(|key| index.insert(key, &vector(key + 1000)).unwrap());
        (50..100).for_each(|key| index.forget(key).unwrap());
        assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
        assert_eq!(index.removed_keys(&mut []).unwrap(), 100);
        whole(&index);
        (400..500).for_each(|key| index.insert(key, &vector(key)).unwrap());
        let mut back = vec![0; DIMENSIONS * 4];
        for key in 100..200 {
            index.undelete(key).unwrap();
            index.get(key, &mut back).unwrap();
            assert_eq!(back, vector(key));
        }
        assert_eq!(index.undelete(60).unwrap_err().status(), Status::NotFound);
        let info = index.describe();
        assert_eq!((info.count, info.removed), (350, 0));
        settled(&index);
    }
}

#[test]
fn compacting_gives_memory_back() {
    for kind in [Kind::Graph, Kind::Flat] {
        let (index, mut model) = filled(kind, 70_000);
        let gone: Vec<u64> = (0..70_000).filter(|key| key % 10 != 3).collect();
        index.remove_batch(&gone).unwrap();
        gone.iter().for_each(|key| drop(model.remove(key)));
        let before = index.describe();
        index.compact(&BuildOptions::default()).unwrap();
        let info = index.describe();
        assert_eq!((info.count, info.removed), (7_000, 0));
        assert!(info.bytes < before.bytes / 2, "{} of {} bytes", info.bytes, before.bytes);
        agrees(&index, &model, &mut Random(8));
        // What was given back is there when it is needed.
        for key in 100_000..110_000 {
            let vector = Random(key).vector();
            index.insert(key, &bytes(&vector)).unwrap();
            model.insert(key, vector);
        }
        agrees(&index, &model, &mut Random(9));
        settled(&index);
    }
}

#[test]
fn a_compaction_can_be_cancelled() {
    let (index, mut model) = filled(Kind::Graph, 20_000);
    let gone: Vec<u64> = (0..20_000).filter(|key| key % 3 == 0).collect();
    index.remove_batch(&gone).unwrap();
    gone.iter().for_each(|key| drop(model.remove(key)));
    let stop = |_, _| true;
    let how = BuildOptions { progress: Some(&stop), ..BuildOptions::default() };
    assert_eq!(index.compact(&how).unwrap_err().status(), Status::Cancelled);
    whole(&index);
    agrees(&index, &model, &mut Random(5));
    index.compact(&BuildOptions::default()).unwrap();
    assert_eq!(index.describe().removed, 0);
    agrees(&index, &model, &mut Random(6));
    settled(&index);
}

#[test]
fn calls_leave_the_upkeep_to_a_worker_that_keeps_up() {
    let retired = |index: &Index| {
        let pin = index.pin();
        index.core(&pin).store(&pin).retired()
    };
    let (index, mut model) = filled(Kind::Graph, 2_000);
    index.leave_upkeep_to_worker(true).unwrap();
    let remove = |keys: std::ops::Range<u64>, model: &mut Model| {
        for key in keys {
            index.remove(key).unwrap();
            model.remove(&key);
        }
    };
    remove(0..400, &mut model);
    assert_eq!(retired(&index), 400);

    // Where it does not keep up they help; 512 is eight times 64.
    remove(400..1_000, &mut model);
    assert!(retired(&index) < 512);
    while index.do_upkeep(Duration::from_micros(50)).unwrap() {}
    assert!(retired(&index) < 64);
    index.leave_upkeep_to_worker(false).unwrap();
    settled(&index);
    whole(&index);
    agrees(&index, &model, &mut Random(5));
}

#[test]
fn a_worker_that_can_only_wait_rests() {
    let (index, mut model) = filled(Kind::Graph, 2_000);
    index.leave_upkeep_to_worker(true).unwrap();
    let inside = index.epochs.hold();
    for key in 0..100 {
        index.remove(key).unwrap();
        model.remove(&key);
    }
    let budget = crate::index::maintain::LEAST_UPKEEP;
    // It detaches them, and then whoever is inside must leave.
    assert!((0..3).any(|_| !index.do_upkeep(budget).unwrap()), "it would begin again at once, and again");
    drop(inside);
    index.leave_upkeep_to_worker(false).unwrap();
    settled(&index);
    agrees(&index, &model, &mut Random(6));
}
