//! Is a graph whole again that was broken on purpose?

use crate::graph::KEEP;
use crate::index::config::{BuildOptions, Options, SearchOptions};
use crate::index::{Index, Kind, Rows};

const COUNT: u64 = 900;

/// Points on a line; with an m of 40 the graph cannot be built as a whole.
fn line(m: u32) -> Index {
    let index = Index::create(&Options { dimensions: 2, kind: Kind::Graph, m, ..Options::default() }).unwrap();
    let vectors: Vec<u8> = (0..COUNT).flat_map(|i| [i as f32, 1.0]).flat_map(f32::to_le_bytes).collect();
    let keys: Vec<u64> = (0..COUNT).collect();
    index.insert_batch(&keys, Rows::packed(&vectors, 8), &BuildOptions::default()).unwrap();
    index
}

fn all_are_found(index: &Index) -> bool {
    (0..COUNT).all(|key| {
        let query: Vec<u8> = [key as f32, 1.0].into_iter().flat_map(f32::to_le_bytes).collect();
        let mut found = [0];
        index.search(&query, &mut found, None, &SearchOptions { ef: 4, ..SearchOptions::default() }).unwrap();
        found[0] == key
    })
}

#[test]
fn a_whole_graph_is_left_alone() {
    let index = line(8);
    let before = index.check().unwrap();
    assert!(before.is_sound());
    assert_eq!(index.repair().unwrap(), before);
    for count in [0, 1] {
        let few = Index::create(&Options { dimensions: 2, kind: Kind::Graph, ..Options::default() }).unwrap();
        (0..count).for_each(|key| few.insert(key, &[0; 8]).unwrap());
        assert_eq!(few.repair().unwrap(), few.check().unwrap());
    }
    let flat = Index::create(&Options { dimensions: 2, kind: Kind::Flat, ..Options::default() }).unwrap();
    assert_eq!(flat.repair().unwrap(), Default::default());
}

#[test]
fn a_broken_graph_is_built_anew() {
    type Break = fn(&Index);
    let breaks: [(&str, Break); 4] = [
        ("no entry", |index| {
            let pin = index.pin();
            index.core(&pin).graph.as_ref().unwrap().replace_entry(None);
        }),
        ("rows emptied", |index| {
            let pin = index.pin();
            let graph = index.core(&pin).graph.as_ref().unwrap();
            (100..400).for_each(|slot| graph.lock(slot).set(0, &[]));
        }),
        ("a link to itself", |index| {
            let pin = index.pin();
            index.core(&pin).graph.as_ref().unwrap().lock(7).set(0, &[7 | KEEP, 8, 8]);
        }),
        ("two parts", |index| {
            let pin = index.pin();
            let graph = index.core(&pin).graph.as_ref().unwrap();
            for slot in 0..COUNT as u32 {
                let mut row = Vec::new();
                graph.neighbours(slot, 0, &mut row);
                row.retain(|&other| (other < 450) == (slot < 450));
                row.iter_mut().for_each(|link| *link |= KEEP);
                graph.lock(slot).set(0, &row);
            }
        }),
    ];
    for m in [8, 40] {
        for (name, how) in &breaks {
            let index = line(m);
            index.remove(3).unwrap();
            how(&index);
            let broken = index.check().unwrap();
            assert!(!broken.is_sound(), "{name}");
            let health = index.repair().unwrap();
            assert!(health.is_sound() && health.graph.linked == COUNT, "{name}, m {m}: {health:?}");
            let audit = index.audit().unwrap();
            assert!(audit.is_clean(), "{name}, m {m}: {audit:#?}");
            index.insert(3, &[0, 0, 64, 64, 0, 0, 128, 63]).unwrap();
            assert!(all_are_found(&index), "{name}, m {m}");
        }
    }
}
