//! What goes on over several steps, while vectors are held in one way and then in another.

use crate::disk::System;
use crate::distance::Metric;
use crate::index::config::{BuildOptions, Kind, OpenFlags, Options};
use crate::index::{Index, Rows};
use crate::persist::{Saving, Written};
use crate::store::Held;
use std::sync::Arc;

const DIMENSIONS: usize = 48;

fn vectors(count: usize) -> Vec<u8> {
    let component = |i: usize, j: usize| ((i * 7 + j * (i % 13) * 5 + j * j + i / 50) % 251) as f32;
    (0..count).flat_map(|i| (0..DIMENSIONS).map(move |j| component(i, j))).flat_map(f32::to_ne_bytes).collect()
}

fn index(count: u64) -> Index {
    let options =
        Options { dimensions: DIMENSIONS as u32, metric: Metric::L2, kind: Kind::Graph, m: 4, ..Options::default() };
    let index = Index::create(&options).unwrap();
    let keys: Vec<u64> = (0..count).collect();
    let all = vectors(count as usize);
    index.insert_batch(&keys, Rows::packed(&all, 4 * DIMENSIONS), &BuildOptions::default()).unwrap();
    index
}

#[test]
fn a_save_in_steps_writes_what_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let (path, first) = (folder.path().join("steps.kith"), folder.path().join("first.kith"));
    let index = index(600);
    index.save(&first).unwrap();
    let hold = index.epochs.hold();
    let (core, snapshot) = index.snapshot(&hold).unwrap();
    let mut saving = Saving::begin(Arc::new(System), &snapshot.image(core), &path).unwrap();
    saving.step(&snapshot.image(core), 5000).unwrap();
    index.insert(9000, &[0.25_f32; DIMENSIONS].map(f32::to_ne_bytes).concat()).unwrap();
    assert_eq!(index.core(&index.pin()).store(&index.pin()).held(), Held::AsGiven);
    while saving.step(&snapshot.image(core), 5000).unwrap() == Written::Some {}
    saving.finish().unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&first).unwrap());
    assert_eq!(Index::open(&path, OpenFlags::default()).unwrap().describe().count, 600);
}

#[test]
fn an_old_view_can_be_asked_for_slots_that_came_later() {
    let index = index(600);
    let pin = index.pin();
    let core = index.core(&pin);
    let old = core.view(&pin);
    index.insert(9000, &[0.25_f32; DIMENSIONS].map(f32::to_ne_bytes).concat()).unwrap();
    assert!(!core.is_in_force(old, &pin));
    // Far beyond what there was room for when the view was replaced.
    index.reserve(70_000).unwrap();
    let slot = core.store(&pin).allocate(60_000).unwrap() + 59_999;
    assert_eq!(old.store.vector_slice(slot), [0; DIMENSIONS]);
    assert_eq!(
        old.store.vector_slice(3),
        vectors(4)[12 * DIMENSIONS..]
            .chunks(4)
            .map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap()) as u8)
            .collect::<Vec<u8>>()
    );
}
