//! Does an index of kind auto become a graph bit by bit, with nothing lost on the way?

use crate::index::config::Quantizer;
use crate::index::config::{BuildOptions, OpenFlags, Options, SearchOptions};
use crate::index::{Format, Index, Kind, Rows};
use crate::util::error::Status;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Many components: each call links two vectors of those that were there before.
const DIMENSIONS: usize = 2048;
const FROM: u64 = 150;

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        crate::util::random::mix(self.0)
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }
}

fn options() -> Options {
    Options {
        dimensions: DIMENSIONS as u32,
        graph_from: FROM,
        quantizer: Quantizer::None,
        ef_construction: 40,
        ..Options::default()
    }
}

/// A vector that no other key has; where `round` differs, too.
fn vector(key: u64, round: u64) -> Vec<u8> {
    let mut random = Random(key << 20 | round);
    (0..DIMENSIONS).flat_map(|_| ((random.bits() >> 40) as f32 / (1 << 20) as f32 + 0.03).to_le_bytes()).collect()
}

fn nearest(index: &Index, vector: &[u8]) -> (u64, f32) {
    let (mut keys, mut distances) = ([0], [0.0]);
    index.search(vector, &mut keys, Some(&mut distances), &SearchOptions::default()).unwrap();
    (keys[0], distances[0])
}

fn kind(index: &Index) -> Kind {
    index.describe().kind
}

fn filled(count: u64) -> Index {
    let index = Index::create(&options()).unwrap();
    (0..count).for_each(|key| index.insert(key, &vector(key, 0)).unwrap());
    index
}

fn is_whole(index: &Index, model: &BTreeMap<u64, u64>) {
    if let Some(audit) = index.audit() {
        assert!(audit.is_clean(), "{audit:#?}");
    }
    assert_eq!(index.describe().count, model.len() as u64);
    for (&key, &round) in model {
        assert_eq!(nearest(index, &vector(key, round)), (key, 0.0), "{:?}", kind(index));
    }
}

#[test]
fn every_call_takes_a_bounded_share_until_the_graph_leads_to_all() {
    let index = filled(FROM - 1);
    assert_eq!((kind(&index), index.describe().m, index.check().unwrap().graph.linked), (Kind::Flat, 0, 0));
    assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
    assert_eq!(kind(&index), Kind::Flat, "too few");
    let mut calls = 0;
    for key in FROM - 1.. {
        index.insert(key, &vector(key, 0)).unwrap();
        calls += 1;
        // What was acknowledged is found, however far the index is.
        for other in [0, key / 2, key] {
            assert_eq!(nearest(&index, &vector(other, 0)), (other, 0.0));
        }
        if kind(&index) == Kind::Graph {
            break;
        }
        assert!(index.maintain(Duration::ZERO).is_ok());
    }
    // Two a call by the insertion, some more by `maintain`.
    assert!((20..80).contains(&calls), "{calls}");
    let health = index.check().unwrap();
    assert!(health.is_sound() && health.graph.linked == index.describe().count, "{health:?}");
    is_whole(&index, &(0..index.describe().count).map(|key| (key, 0)).collect());
}

#[test]
fn searches_alone_change_nothing_and_maintain_goes_all_the_way() {
    let index = filled(FROM);
    (0..FROM).for_each(|key| assert_eq!(nearest(&index, &vector(key, 0)), (key, 0.0)));
    assert_eq!(kind(&index), Kind::Flat);
    assert!(index.maintain(Duration::ZERO).unwrap() > 0);
    assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
    assert_eq!((kind(&index), index.describe().m), (Kind::Graph, 16));
    is_whole(&index, &(0..FROM).map(|key| (key, 0)).collect());
    // There is no way back but to begin anew.
    index.remove_batch(&(0..FROM).collect::<Vec<_>>()).unwrap();
    assert_eq!(kind(&index), Kind::Graph);
    index.clear().unwrap();
    assert_eq!(kind(&index), Kind::Flat);
}

#[test]
fn a_large_batch_makes_it_a_graph_at_once_and_a_cancelled_one_does_not() {
    let data: Vec<u8> = (1000..2000).flat_map(|key| vector(key, 0)).collect();
    let keys: Vec<u64> = (1000..2000).collect();
    for before in [0, FROM - 1] {
        let index = filled(before);
        let rows = Rows::packed(&data, DIMENSIONS * 4);
        let stop = |done: u64, total: u64| done == total;
        let how = BuildOptions { progress: Some(&stop), ..BuildOptions::default() };
        assert_eq!(index.insert_batch(&keys, rows, &how).unwrap_err().status(), Status::Cancelled);
        assert_eq!((kind(&index), index.describe().count), (Kind::Flat, before));
        index.insert_batch(&keys, rows, &BuildOptions::default()).unwrap();
        assert_eq!(kind(&index), Kind::Graph);
        is_whole(&index, &(0..before).chain(1000..2000).map(|key| (key, 0)).collect());
    }
    // A batch that does not reach so far stays flat, and one that is small moves it like single insertions.
    let index = Index::create(&options()).unwrap();
    index
        .insert_batch(
            &keys[..100],
            Rows::packed(&data[..100 * DIMENSIONS * 4], DIMENSIONS * 4),
            &BuildOptions::default(),
        )
        .unwrap();
    assert_eq!(kind(&index), Kind::Flat);
    let rest = Rows::packed(&data[100 * DIMENSIONS * 4..200 * DIMENSIONS * 4], DIMENSIONS * 4);
    index.insert_batch(&keys[100..200], rest, &BuildOptions::default()).unwrap();
    assert_eq!(kind(&index), Kind::Flat);
    index.maintain(Duration::MAX).unwrap();
    is_whole(&index, &(1000..1200).map(|key| (key, 0)).collect());
    assert_eq!(kind(&index), Kind::Graph);
}

#[test]
fn files_say_how_far_it_is() {
    let image = |index: &Index| {
        let mut file = Vec::new();
        index.save_to(&mut file).unwrap();
        file
    };
    let half = filled(FROM);
    half.remove(3).unwrap();
    half.insert(FROM, &vector(FROM, 0)).unwrap();
    assert!(half.maintain(Duration::ZERO).unwrap() > 0);
    let model: BTreeMap<u64, u64> = (0..=FROM).filter(|&key| key != 3).map(|key| (key, 0)).collect();
    for (index, model) in [(&filled(20), (0..20).map(|key| (key, 0)).collect()), (&half, model)] {
        let file = image(index);
        let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
        assert_eq!(kind(&opened), Kind::Flat);
        assert_eq!(opened.describe().format, index.describe().format);
        assert_eq!(image(&opened), file);
        is_whole(&opened, &model);
        let path = tempfile::tempdir().unwrap();
        let path = path.path().join("small.kith");
        index.save(&path).unwrap();
        assert_eq!(Index::file_info(&path).unwrap().kind, Kind::Flat);
        let mapped = Index::open(&path, OpenFlags { mapped: true, ..OpenFlags::default() }).unwrap();
        is_whole(&mapped, &model);
        assert_eq!(mapped.maintain(Duration::MAX).unwrap_err().status(), Status::ReadOnly);
        // It goes on where it was.
        for key in 1000..1000 + FROM {
            opened.insert(key, &vector(key, 0)).unwrap();
        }
        opened.maintain(Duration::MAX).unwrap();
        assert_eq!(kind(&opened), Kind::Graph);
        let whole = model.iter().map(|(&key, &round)| (key, round)).chain((1000..1000 + FROM).map(|key| (key, 0)));
        let whole = whole.collect();
        is_whole(&opened, &whole);
        let again = Index::open_buffer(&image(&opened), OpenFlags::default()).unwrap();
        assert_eq!(kind(&again), Kind::Graph);
        is_whole(&again, &whole);
    }
}

#[test]
fn exported_it_is_a_graph_or_flat_as_it_is_asked_for() {
    let mut file = Vec::new();
    let index = filled(10);
    index.export_to(&mut file, Format::HnswlibFlat, 0).unwrap();
    assert_eq!(kind(&index), Kind::Flat);
    index.export_to(&mut file, Format::Hnswlib, 0).unwrap();
    assert_eq!(kind(&index), Kind::Graph);
    is_whole(&index, &(0..10).map(|key| (key, 0)).collect());
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |options| Index::create(&options).unwrap_err().status() == Status::Argument;
    assert!(refused(Options { kind: Kind::Flat, ..options() }));
    assert!(refused(Options { kind: Kind::Graph, ..options() }));
    assert!(refused(Options { graph_from: 1 << 31, ..options() }));
    let at_once = Index::create(&Options { graph_from: 1, ..options() }).unwrap();
    assert_eq!(kind(&at_once), Kind::Graph);
    let reduced = Options { quantizer: Quantizer::Bytes, dimensions: 64, ..options() };
    assert_eq!(kind(&Index::create(&reduced).unwrap()), Kind::Graph);
}

/// Removed, replaced, cancelled, compacted and saved at every stage of the way.
#[test]
fn anything_may_happen_on_the_way() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let keep_removed = seed % 3 == 0;
        let mut index = Index::create(&Options { keep_removed, ..options() }).unwrap();
        let mut model = BTreeMap::new();
        let mut hidden = BTreeMap::new();
        for round in 0..420 {
            let key = random.below(400);
            match random.below(20) {
                0..11 => {
                    index.upsert(key, &vector(key, round)).unwrap();
                    model.insert(key, round);
                    hidden.remove(&key);
                }
                11..15 => {
                    let gone = model.remove(&key);
                    assert_eq!(index.remove(key).is_ok(), gone.is_some());
                    if let Some(gone) = gone {
                        hidden.insert(key, gone);
                    }
                }
                15 if keep_removed => {
                    let back = hidden.remove(&key);
                    assert_eq!(index.undelete(key).is_ok(), back.is_some());
                    if let Some(back) = back {
                        model.insert(key, back);
                    }
                }
                16 => {
                    let keys: Vec<u64> = (400..400 + random.below(60)).collect();
                    let data: Vec<u8> = keys.iter().flat_map(|&key| vector(key, round)).collect();
                    let cancel = random.below(2) == 0;
                    let progress = |_, _| cancel;
                    let how = BuildOptions { upsert: true, progress: Some(&progress), ..BuildOptions::default() };
                    let done = index.insert_batch(&keys, Rows::packed(&data, DIMENSIONS * 4), &how);
                    assert_eq!(done.is_err(), cancel && !keys.is_empty());
                    if done.is_ok() {
                        model.extend(keys.iter().map(|&key| (key, round)));
                        hidden.retain(|key, _| !keys.contains(key));
                    }
                }
                17 => {
                    index.maintain(Duration::from_micros(random.below(200))).unwrap();
                }
                18 if !keep_removed && random.below(4) == 0 => index.compact(&BuildOptions::default()).unwrap(),
                19 if !keep_removed && random.below(4) == 0 => {
                    let mut file = Vec::new();
                    index.save_to(&mut file).unwrap();
                    index = Index::open_buffer(&file, OpenFlags::default()).unwrap();
                }
                _ => {}
            }
            if round % 70 == 0 {
                is_whole(&index, &model);
            }
        }
        index.maintain(Duration::MAX).unwrap();
        assert_eq!(kind(&index), Kind::Graph, "{}", model.len());
        is_whole(&index, &model);
        for (key, round) in hidden.into_iter().filter(|_| keep_removed) {
            index.undelete(key).unwrap();
            model.insert(key, round);
        }
        is_whole(&index, &model);
    }
}

#[test]
fn codes_and_bytes_come_with_the_graph() {
    for (whole_numbers, dimensions) in [(true, 64), (false, 256)] {
        let number = |random: &mut Random| random.below(200) as f32 + if whole_numbers { 0.0 } else { 0.25 };
        let vector = |key: u64| -> Vec<u8> {
            let mut random = Random(key);
            (0..dimensions).flat_map(|_| number(&mut random).to_le_bytes()).collect()
        };
        let options = Options { dimensions, graph_from: 2100, ..Options::default() };
        let index = Index::create(&options).unwrap();
        for key in 0..2200 {
            index.insert(key, &vector(key)).unwrap();
            let info = index.describe();
            if info.count < 2100 {
                assert_eq!((info.kind, info.quantizer), (Kind::Flat, Quantizer::None));
            }
            if key > 2050 {
                assert_eq!(nearest(&index, &vector(key / 2)), (key / 2, 0.0));
            }
        }
        // Batches of queries while the index is flat and its vectors are bytes already.
        let queries: Vec<u8> = (0..50).flat_map(vector).collect();
        let (mut keys, how) = (vec![0; 50], SearchOptions { threads: 2, ..SearchOptions::default() });
        index.search_batch(Rows::packed(&queries, dimensions as usize * 4), 1, &mut keys, None, None, &how).unwrap();
        assert!(keys.iter().copied().eq(0..50));
        index.maintain(Duration::MAX).unwrap();
        let info = index.describe();
        assert_eq!(info.kind, Kind::Graph);
        if whole_numbers {
            assert_eq!(info.held, crate::distance::Element::U8);
        } else {
            assert_eq!(info.quantizer, Quantizer::Projected4);
        }
        assert!(index.audit().unwrap().is_clean());
    }
}

/// Writers, removers, searchers and a maintainer at once while the index moves; nothing acknowledged is ever missed.
#[test]
fn threads_meet_on_the_way() {
    for turn in 0..4 {
        let index = Index::create(&options()).unwrap();
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let acknowledged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let key = next.fetch_add(1, Ordering::Relaxed);
                        if key >= 3 * FROM {
                            break;
                        }
                        if key % 16 == 15 {
                            let data: Vec<u8> = (0..8).flat_map(|i| vector(key << 8 | i, turn)).collect();
                            let keys: Vec<u64> = (0..8).map(|i| key << 8 | i).collect();
                            let rows = Rows::packed(&data, DIMENSIONS * 4);
                            index.insert_batch(&keys, rows, &BuildOptions::default()).unwrap();
                            index.remove_batch(&keys[1..]).unwrap();
                        }
                        index.insert(key, &vector(key, turn)).unwrap();
                        assert_eq!(nearest(&index, &vector(key, turn)), (key, 0.0));
                        acknowledged.fetch_max(key, Ordering::Relaxed);
                    }
                    stop.store(true, Ordering::Relaxed);
                });
            }
            scope.spawn(|| {
                let mut random = Random(turn);
                while !stop.load(Ordering::Relaxed) {
                    // The newest of others may still be on their way.
                    let known = acknowledged.load(Ordering::Relaxed).saturating_sub(8);
                    let key = random.below(known.max(1));
                    if known > 0 && index.contains(key).unwrap() {
                        assert_eq!(nearest(&index, &vector(key, turn)), (key, 0.0));
                    }
                    index.maintain(Duration::from_micros(random.below(100))).unwrap();
                }
            });
        });
        index.maintain(Duration::MAX).unwrap();
        assert_eq!(kind(&index), Kind::Graph);
        let singles = (0..3 * FROM).map(|key| (key, turn));
        let batches = (0..3 * FROM).filter(|key| key % 16 == 15).map(|key| (key << 8, turn));
        is_whole(&index, &singles.chain(batches).collect());
    }
}

#[test]
fn what_was_learnt_before_is_in_the_file_of_a_small_index() {
    let dimensions = 200;
    let vector = |key: u64| -> Vec<u8> {
        let mut random = Random(key);
        (0..dimensions).flat_map(|_| ((random.bits() >> 40) as f32 / (1 << 20) as f32).to_le_bytes()).collect()
    };
    let index = Index::create(&Options { dimensions, graph_from: 300, ..Options::default() }).unwrap();
    let sample: Vec<u8> = (1000..1400).flat_map(vector).collect();
    index.train(Rows::packed(&sample, dimensions as usize * 4), &BuildOptions::default()).unwrap();
    (0..100).for_each(|key| index.insert(key, &vector(key)).unwrap());
    let mut file = Vec::new();
    index.save_to(&mut file).unwrap();
    let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
    assert_eq!((kind(&opened), opened.describe().quantizer), (Kind::Flat, Quantizer::Projected4));
    assert_eq!(opened.export_codec().unwrap(), index.export_codec().unwrap());
    (100..320).for_each(|key| opened.insert(key, &vector(key)).unwrap());
    opened.maintain(Duration::MAX).unwrap();
    assert_eq!((kind(&opened), opened.describe().quantizer), (Kind::Graph, Quantizer::Projected4));
    for key in 0..320 {
        assert_eq!(nearest(&opened, &vector(key)), (key, 0.0));
    }
}

fn small() -> Options {
    let quantizer = Quantizer::None;
    Options { dimensions: 16, graph_from: 300, m: 4, quantizer, ef_construction: 40, ..Options::default() }
}

fn short(key: u64) -> Vec<u8> {
    let mut random = Random(key << 20);
    (0..16).flat_map(|_| ((random.bits() >> 40) as f32 / (1 << 20) as f32 + 0.03).to_le_bytes()).collect()
}

fn small_until_it_is_a_graph(index: &Index) {
    for key in 1000.. {
        index.insert(key, &short(key)).unwrap();
        if kind(index) == Kind::Graph {
            break;
        }
    }
}

fn sound(index: &Index) {
    let (health, audit) = (index.check().unwrap(), index.audit().unwrap());
    assert!(health.is_sound() && audit.is_clean(), "{health:?} {audit:#?}");
}

/// What was removed while the index was flat is never linked, whoever builds the graph anew later.
#[test]
fn what_was_removed_while_flat_stays_out() {
    for reader in [false, true] {
        let index = Index::create(&small()).unwrap();
        (0..299).for_each(|key| index.insert(key, &short(key)).unwrap());
        // A reader that is inside keeps the places from being free before there is a graph.
        let pin = reader.then(|| index.pin());
        index.remove_batch(&(0..64).collect::<Vec<_>>()).unwrap();
        small_until_it_is_a_graph(&index);
        let keys: Vec<u64> = (5000..7000).collect();
        let data: Vec<u8> = keys.iter().flat_map(|&key| short(key)).collect();
        index.insert_batch(&keys, Rows::packed(&data, 64), &BuildOptions::default()).unwrap();
        let linked = index.audit().unwrap().linked;
        assert_eq!(u64::from(linked), index.describe().count);
        index.optimize(&BuildOptions::default()).unwrap();
        drop(pin);
        index.maintain(Duration::MAX).unwrap();
        (9000..9100).for_each(|key| index.insert(key, &short(key)).unwrap());
        sound(&index);
    }
}

#[test]
fn room_is_made_where_there_is_no_memory_to_become_a_graph() {
    let index = Index::create(&small()).unwrap();
    (0..299).for_each(|key| index.insert(key, &short(key)).unwrap());
    index.set_memory_limit(index.describe().bytes + 20_000);
    let mut key = 1000;
    while key < 1300 && index.insert(key, &short(key)).is_ok() {
        key += 1;
    }
    assert_eq!(kind(&index), Kind::Flat);
    index.remove_batch(&(0..100).collect::<Vec<_>>()).unwrap();
    assert_eq!(index.maintain(Duration::MAX).unwrap_err().status(), Status::Memory);
    index.compact(&BuildOptions::default()).unwrap();
    assert_eq!(index.describe().removed, 0);
    index.set_memory_limit(0);
    index.maintain(Duration::MAX).unwrap();
    assert_eq!(kind(&index), Kind::Graph);
    sound(&index);
}

/// A callback may read, and an export that would have to link first is refused in one.
#[test]
fn an_export_in_a_callback_does_not_wait_for_itself() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let index = Index::create(&small()).unwrap();
        (0..50).for_each(|key| index.insert(key, &short(key)).unwrap());
        let keys: Vec<u64> = (1000..3000).collect();
        let data: Vec<u8> = keys.iter().flat_map(|&key| short(key)).collect();
        let progress = |_: u64, _: u64| {
            assert!(index.export_to(&mut Vec::new(), Format::Hnswlib, 0).is_err());
            false
        };
        let how = BuildOptions { threads: 1, progress: Some(&progress), ..BuildOptions::default() };
        tell.send(index.insert_batch(&keys, Rows::packed(&data, 64), &how).is_ok()).unwrap();
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
}

/// A slot that is linked looks so all the while its row is edited.
#[test]
fn a_linked_slot_always_looks_linked() {
    use crate::graph::{Graph, KEEP};
    let graph = Graph::new(16, 1);
    (0..40).for_each(|slot| graph.prepare(slot).unwrap());
    let with = |place: usize| -> Vec<u32> {
        let mut links: Vec<u32> = (1..33).filter(|&link| link != 7).collect();
        links.insert(place, 7 | KEEP);
        links
    };
    let (early, late) = (with(3), with(28));
    graph.lock(0).set(0, &early);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                graph.lock(0).set(0, &late);
                graph.lock(0).set(0, &early);
            }
        });
        let missed = (0..1_000_000).filter(|_| !graph.is_linked(0)).count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(missed, 0);
    });
}

#[test]
fn codes_that_are_asked_for_while_it_is_flat_come_with_the_graph() {
    let dimensions = 200;
    let vector = |key: u64| -> Vec<u8> {
        let mut random = Random(key);
        (0..dimensions).flat_map(|_| ((random.bits() >> 40) as f32 / (1 << 20) as f32).to_le_bytes()).collect()
    };
    let index = Index::create(&Options { dimensions, graph_from: 400, ..Options::default() }).unwrap();
    (0..350).for_each(|key| index.insert(key, &vector(key)).unwrap());
    index.requantize(Quantizer::Projected2, &BuildOptions::default()).unwrap();
    assert_eq!((kind(&index), index.describe().quantizer), (Kind::Flat, Quantizer::None));
    let mut file = Vec::new();
    index.save_to(&mut file).unwrap();
    for index in [index, Index::open_buffer(&file, OpenFlags::default()).unwrap()] {
        (350..420).for_each(|key| index.insert(key, &vector(key)).unwrap());
        index.maintain(Duration::MAX).unwrap();
        assert_eq!((kind(&index), index.describe().quantizer), (Kind::Graph, Quantizer::Projected2));
        (0..420).for_each(|key| assert_eq!(nearest(&index, &vector(key)), (key, 0.0)));
        sound(&index);
    }
}
