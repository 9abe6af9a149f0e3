//! Is each thing noticed that can be wrong?

use crate::distance::Metric;
use crate::graph::KEEP;
use crate::store::Store;
use crate::util::memory::{Foreign, Lent};
use crate::{BuildOptions, Health, Index, Kind, OpenFlags, Options, Quantizer, Rows};

const COUNT: u64 = 600;
const DIMENSIONS: u32 = 64;

fn index(kind: Kind, metric: Metric) -> Index {
    let quantizer = if kind == Kind::Graph { Quantizer::Projected4 } else { Quantizer::Auto };
    let index =
        Index::create(&Options { dimensions: DIMENSIONS, kind, metric, quantizer, ..Options::default() }).unwrap();
    let mut state = 3_u64;
    let mut component = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 + 0.1
    };
    let vectors: Vec<u8> = (0..COUNT * u64::from(DIMENSIONS)).flat_map(|_| component().to_le_bytes()).collect();
    let keys: Vec<u64> = (0..COUNT).map(|key| 3 * key).collect();
    index.insert_batch(&keys, Rows::packed(&vectors, index.vector_bytes()), &BuildOptions::default()).unwrap();
    index
}

/// Writes a component of a slot's vector, as no call of the index does.
fn scribble(store: &Store, slot: u32, value: f32) {
    // SAFETY: the slot is there, and nobody else uses the index.
    unsafe { store.vector(slot).cast_mut().cast::<f32>().write(value) };
}

/// What is sound before is not after.
fn broken(kind: Kind, metric: Metric, how: impl FnOnce(&Index, &Store)) -> Health {
    let index = index(kind, metric);
    index.remove(30).unwrap();
    assert!(index.check().unwrap().is_sound());
    {
        let pin = index.pin();
        how(&index, index.core(&pin).store(&pin));
    }
    let health = index.check().unwrap();
    assert!(!health.is_sound());
    health
}

#[test]
fn a_sound_index_is_sound_whatever_it_went_through() {
    for (kind, metric) in [(Kind::Flat, Metric::L2), (Kind::Graph, Metric::L2), (Kind::Graph, Metric::Cosine)] {
        let index = index(kind, metric);
        let size = index.vector_bytes();
        let mut vector = vec![0; size];
        index.get(3, &mut vector).unwrap();
        for key in 0..100 {
            index.remove(3 * key).unwrap();
            index.upsert(300 + 3 * key, &vector).unwrap();
            index.insert(3 * key + 1, &vector).unwrap();
        }
        let health = index.check().unwrap();
        assert!(health.is_sound() && health.removed > 0, "{health:?}");
        assert_eq!(health.live, COUNT);
        while index.maintain(std::time::Duration::MAX).unwrap() > 0 {}
        let health = index.check().unwrap();
        assert!(health.is_sound() && health.removed == 0 && health.free > 0, "{health:?}");
        assert_eq!(health.codes, if kind == Kind::Graph { COUNT } else { 0 });
        index.compact(&BuildOptions::default()).unwrap();
        index.optimize(&BuildOptions::default()).unwrap();
        let health = index.check().unwrap();
        assert!(health.is_sound() && health.free == 0, "{health:?}");
        assert!(kind == Kind::Flat || (1..=32).contains(&health.graph.min_outbound), "{health:?}");
        let mut bytes = Vec::new();
        index.save_to(&mut bytes).unwrap();
        let opened = Index::open_buffer(&bytes, OpenFlags::default()).unwrap().check().unwrap();
        assert!(opened.is_sound() && opened.live == COUNT, "{opened:?}");
    }
}

#[test]
fn a_vector_that_its_key_does_not_lead_to_is_noticed() {
    for kind in [Kind::Flat, Kind::Graph] {
        let health = broken(kind, Metric::L2, |index, store| store.release(7, &index.pin()));
        // The vector, and one key less than there are vectors.
        assert_eq!((health.key_faults, health.graph.faults + health.count_faults + health.vector_faults), (2, 0));
    }
}

#[test]
fn counters_that_are_off_are_noticed() {
    let health = broken(Kind::Flat, Metric::L2, |_, store| assert!(store.allocate(3).is_ok()));
    assert_eq!((health.count_faults, health.key_faults + health.vector_faults), (3, 0));
}

#[test]
fn vectors_that_nobody_inserted_are_noticed() {
    let health = broken(Kind::Flat, Metric::L2, |_, store| scribble(store, 7, f32::NAN));
    assert_eq!((health.vector_faults, health.key_faults + health.count_faults), (1, 0));
    // Finite, but not as long as it was.
    let health = broken(Kind::Flat, Metric::Cosine, |_, store| scribble(store, 7, 50.0));
    assert_eq!(health.vector_faults, 1);
}

#[test]
fn codes_of_other_vectors_are_noticed() {
    let health = broken(Kind::Graph, Metric::L2, |_, store| scribble(store, 7, 5.0));
    assert_eq!((health.code_faults, health.codes, health.vector_faults), (1, COUNT - 1, 0));
}

#[test]
fn links_that_must_not_be_are_noticed_on_every_level() {
    for level in [0, 1] {
        let health = broken(Kind::Graph, Metric::L2, |index, _| {
            let pin = index.pin();
            let graph = index.core(&pin).graph.as_ref().unwrap();
            let slot = (0..COUNT as u32).find(|&slot| graph.level(slot) == level).unwrap();
            let mut row = Vec::new();
            graph.lock(slot).links(level, &mut row);
            row.truncate(2);
            row.push(slot);
            graph.lock(slot).set(level, &row);
        });
        assert!(health.graph.faults >= 1, "{level}: {health:?}");
    }
    // A leaf of the tree that nothing leads to any more.
    let health = broken(Kind::Graph, Metric::L2, |index, _| {
        let pin = index.pin();
        let graph = index.core(&pin).graph.as_ref().unwrap();
        let kept = |slot: u32| graph.lock(slot).kept(0);
        let parent = |slot: u32| {
            let mut row = Vec::new();
            graph.lock(slot).links(0, &mut row);
            row.into_iter().find(|link| link & KEEP != 0).unwrap() & !KEEP
        };
        let entry = graph.entry().unwrap().slot;
        let leaf = (0..COUNT as u32).find(|&slot| slot != entry && kept(slot) == 1 && kept(parent(slot)) > 1).unwrap();
        for slot in 0..COUNT as u32 {
            let mut row = Vec::new();
            graph.lock(slot).links(0, &mut row);
            row.retain(|link| link & !KEEP != leaf);
            graph.lock(slot).set(0, if slot == leaf { &[] } else { &row });
        }
        // Those above level 0 are fewer, and count as faults.
        (1..=graph.level(leaf)).for_each(|level| graph.lock(leaf).set(level, &[]));
    });
    assert_eq!(health.graph.unreachable, 1, "{health:?}");
}

#[test]
fn damage_of_a_file_in_use_is_noticed() {
    let index = index(Kind::Graph, Metric::L2);
    let mut bytes = Vec::new();
    index.save_to(&mut bytes).unwrap();
    // In memory that begins on a cache line.
    let mut place = crate::util::memory::Lines::default();
    place.reset(bytes.len());
    place.bytes_mut()[..bytes.len()].copy_from_slice(&bytes);
    for damage in [None, Some(4096 + 7), Some(bytes.len() - 5), Some(9)] {
        // SAFETY: `place` outlives the index; what is changed below is changed as somebody else's writing to a mapped file is.
        let lent = unsafe { Lent::new(place.bytes().as_ptr(), bytes.len()) };
        let mapped = OpenFlags { mapped: true, ..OpenFlags::default() };
        let index = Index::open_in_place(Foreign::Lent(lent), mapped).unwrap();
        let health = index.check().unwrap();
        assert!(health.is_sound(), "{damage:?}: {health:?}");
        if let Some(at) = damage {
            place.bytes_mut()[at] ^= 1;
            assert_eq!(index.check().unwrap().file_faults, 1, "byte {at}");
            place.bytes_mut()[at] ^= 1;
        }
    }
}

#[test]
fn slots_that_come_back_later_are_no_fault() {
    for kind in [Kind::Flat, Kind::Graph] {
        let index = index(kind, Metric::L2);
        let mut vector = vec![0; index.vector_bytes()];
        index.get(3, &mut vector).unwrap();
        let vectors = vector.repeat(50);
        // The last key is there already; a reader, a checkpoint say, keeps the slots from coming back.
        let keys: Vec<u64> = (0..49).map(|key| 3 * key + 1).chain([3]).collect();
        let reader = index.pin();
        index.insert_batch(&keys, Rows::packed(&vectors, vector.len()), &BuildOptions::default()).unwrap_err();
        let health = index.check().unwrap();
        assert!(health.is_sound() && health.free == 50, "{health:?}");
        drop(reader);
        index.sweep();
        let health = index.check().unwrap();
        assert!(health.is_sound() && health.free == 0, "{health:?}");
    }
}
