//! The degree that is left to the vectors: when it is settled, by whom, and what becomes of it.

use super::*;
use crate::index::config::{Kind, OpenFlags, Options};
use crate::index::{Rows, config::DEFAULT_M};
use crate::util::error::Status;

const COUNT: usize = 6000;

/// Vectors of so many dimensions.
fn vectors(dimensions: u32, count: usize) -> Vec<u8> {
    let mut state = u64::from(dimensions);
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (crate::util::random::mix(state) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count * dimensions as usize).flat_map(|_| (0..4).map(|_| next()).sum::<f32>().to_le_bytes()).collect()
}

fn options(dimensions: u32, kind: Kind, m: u32) -> Options {
    Options { dimensions, kind, m, ef_construction: 40, ..Options::default() }
}

fn insert(index: &Index, data: &[u8], keys: std::ops::Range<u64>, how: &BuildOptions<'_>) -> Result<()> {
    let bytes = index.vector_bytes();
    let rows = Rows::packed(&data[keys.start as usize * bytes..keys.end as usize * bytes], bytes);
    index.insert_batch(&keys.collect::<Vec<_>>(), rows, how)
}

fn built(dimensions: u32, kind: Kind, m: u32) -> Index {
    let index = Index::create(&options(dimensions, kind, m)).unwrap();
    insert(&index, &vectors(dimensions, COUNT), 0..COUNT as u64, &BuildOptions::default()).unwrap();
    index
}

fn is_sound(index: &Index, count: usize) {
    let health = index.check().unwrap();
    assert!(health.is_sound() && health.graph.linked == count as u64, "{health:?}");
    assert!(index.audit().unwrap().is_clean());
}

#[test]
fn a_batch_settles_it() {
    for kind in [Kind::Graph, Kind::Auto] {
        for (dimensions, m, wanted) in [(3, 0, 8), (24, 0, 16), (3, 16, 16), (24, 8, 8), (3, 5, 5)] {
            let index = built(dimensions, kind, m);
            assert_eq!(index.describe().m, wanted, "{kind:?}, {dimensions} dimensions, m {m}");
            is_sound(&index, COUNT);
        }
    }
    let few = Index::create(&options(3, Kind::Graph, 0)).unwrap();
    insert(&few, &vectors(3, 4999), 0..4999, &BuildOptions::default()).unwrap();
    assert_eq!(few.describe().m, DEFAULT_M, "too few to tell");
    let slim = built(3, Kind::Graph, 0).describe().bytes;
    assert!(slim + COUNT as u64 * 60 < built(3, Kind::Graph, 16).describe().bytes, "rows are half as long: {slim}");
}

#[test]
fn an_empty_graph_from_a_file_is_as_open_as_it_was() {
    for (kind, m, wanted) in [(Kind::Graph, 0, 8), (Kind::Auto, 0, 8), (Kind::Graph, 12, 12)] {
        let mut bytes = Vec::new();
        Index::create(&options(3, kind, m)).unwrap().save_to(&mut bytes).unwrap();
        let index = Index::open_buffer(&bytes, OpenFlags::default()).unwrap();
        insert(&index, &vectors(3, COUNT), 0..COUNT as u64, &BuildOptions::default()).unwrap();
        assert_eq!(index.describe().m, wanted, "{kind:?}, m {m}");
        is_sound(&index, COUNT);
    }
}

#[test]
fn metrics_that_measure_no_dimension_have_the_usual_one() {
    for (metric, wanted) in [(Metric::Cosine, 8), (Metric::L1, 8), (Metric::InnerProduct, 16)] {
        for kind in [Kind::Graph, Kind::Auto] {
            let index = Index::create(&Options { metric, ..options(3, kind, 0) }).unwrap();
            insert(&index, &vectors(3, COUNT), 0..COUNT as u64, &BuildOptions::default()).unwrap();
            assert_eq!(index.describe().m, wanted, "{metric:?}");
        }
    }
}

#[test]
fn threads_and_speed_do_not_change_it_and_the_graph_is_the_one_of_that_degree() {
    let data = vectors(3, COUNT);
    let file = |m: u32, threads: u32| {
        let index = Index::create(&options(3, Kind::Graph, m)).unwrap();
        let how = BuildOptions { threads, ..BuildOptions::default() };
        insert(&index, &data, 0..COUNT as u64, &how).unwrap();
        let mut bytes = Vec::new();
        index.save_to(&mut bytes).unwrap();
        bytes
    };
    let wanted = file(8, 1);
    assert!([1, 2, 7].iter().all(|&threads| file(0, threads) == wanted));
}

#[test]
fn one_by_one_settles_the_usual_and_growing_what_is_there_asks_for() {
    let data = vectors(3, COUNT);
    let one_by_one = |kind| {
        let index = Index::create(&options(3, kind, 0)).unwrap();
        data.chunks(12).zip(0..).for_each(|(vector, key)| index.insert(key, vector).unwrap());
        index.maintain(std::time::Duration::MAX).unwrap();
        is_sound(&index, COUNT);
        index.describe().m
    };
    assert_eq!((one_by_one(Kind::Graph), one_by_one(Kind::Auto)), (DEFAULT_M, 8));
    // A batch that is too small beside what is there makes it move, and does not build.
    let index = Index::create(&options(3, Kind::Auto, 0)).unwrap();
    (0..45).for_each(|i| insert(&index, &data, i * 100..(i + 1) * 100, &BuildOptions::default()).unwrap());
    insert(&index, &data, 4500..5600, &BuildOptions::default()).unwrap();
    assert_eq!(index.describe().m, 0);
    index.maintain(std::time::Duration::MAX).unwrap();
    assert_eq!(index.describe().m, 8);
    is_sound(&index, 5600);
    // What there is then settles it, not what comes later.
    let few = Index::create(&options(3, Kind::Graph, 0)).unwrap();
    insert(&few, &data, 0..100, &BuildOptions::default()).unwrap();
    insert(&few, &data, 100..COUNT as u64, &BuildOptions::default()).unwrap();
    assert_eq!(few.describe().m, DEFAULT_M);
    is_sound(&few, COUNT);
}

#[test]
fn a_file_keeps_it_and_an_index_that_was_flat_is_open_still() {
    let reopened = |index: &Index| {
        let mut bytes = Vec::new();
        index.save_to(&mut bytes).unwrap();
        Index::open_buffer(&bytes, OpenFlags::default()).unwrap()
    };
    let index = reopened(&built(3, Kind::Auto, 0));
    assert_eq!(index.describe().m, 8);
    is_sound(&index, COUNT);
    let data = vectors(3, COUNT);
    let flat = |m: u32| {
        let index = Index::create(&options(3, Kind::Auto, m)).unwrap();
        insert(&index, &data, 0..900, &BuildOptions::default()).unwrap();
        let index = reopened(&index);
        insert(&index, &data, 900..COUNT as u64, &BuildOptions::default()).unwrap();
        is_sound(&index, COUNT);
        index.describe().m
    };
    assert_eq!((flat(0), flat(12), flat(8)), (8, 12, 8));
}

#[test]
fn clear_and_a_cancelled_batch_leave_it_open() {
    let (slim, wide) = (vectors(3, COUNT), vectors(24, COUNT));
    for kind in [Kind::Graph, Kind::Auto] {
        let index = built(3, kind, 0);
        index.clear().unwrap();
        assert_eq!(index.describe().m, if kind == Kind::Graph { DEFAULT_M } else { 0 });
        insert(&index, &slim, 0..100, &BuildOptions::default()).unwrap();
        index.clear().unwrap();
        insert(&index, &slim, 0..COUNT as u64, &BuildOptions::default()).unwrap();
        assert_eq!(index.describe().m, 8);
    }
    let index = Index::create(&options(3, Kind::Graph, 0)).unwrap();
    let stop = |done: u64, total: u64| done == total;
    let how = BuildOptions { progress: Some(&stop), ..BuildOptions::default() };
    assert_eq!(insert(&index, &slim, 0..COUNT as u64, &how).unwrap_err().status(), Status::Cancelled);
    assert!(index.core(&index.pin()).graph.as_ref().unwrap().is_open());
    let index = Index::create(&options(24, Kind::Graph, 0)).unwrap();
    insert(&index, &wide, 0..COUNT as u64, &BuildOptions::default()).unwrap();
    assert_eq!(index.describe().m, DEFAULT_M);
}

#[test]
fn a_vector_that_comes_while_a_batch_is_built_settles_it_for_both() {
    let data = vectors(3, COUNT);
    let index = Index::create(&options(3, Kind::Graph, 0)).unwrap();
    let inserted = std::cell::Cell::new(false);
    let beside = |done: u64, total: u64| {
        if done == total && !inserted.replace(true) {
            // All is built, and nothing in place.
            std::thread::scope(|scope| {
                scope.spawn(|| index.insert(COUNT as u64 - 1, &data[..12]).unwrap());
            });
        }
        false
    };
    let how = BuildOptions { progress: Some(&beside), ..BuildOptions::default() };
    insert(&index, &data, 0..COUNT as u64 - 1, &how).unwrap();
    assert!(inserted.get());
    assert_eq!(index.describe().m, DEFAULT_M);
    is_sound(&index, COUNT);
}

#[test]
fn an_estimate_covers_both() {
    let options = |m| options(3, Kind::Graph, m);
    let open = Index::estimate(&options(0), COUNT as u64).unwrap();
    let (slim, usual) = [8, 16].map(|m| Index::estimate(&options(m), COUNT as u64).unwrap()).into();
    assert_eq!((open.least, open.most), (slim.least, usual.most));
    let held = built(3, Kind::Graph, 0).describe().bytes;
    assert!(open.least <= held + held / 50 && held <= open.most, "{open:?}, {held}");
    assert_eq!(Index::estimate(&options(0), 4999).unwrap(), Index::estimate(&options(16), 4999).unwrap());
}

#[test]
fn a_save_beside_the_first_batch_holds_nothing_yet() {
    let index = Index::create(&options(3, Kind::Graph, 0)).unwrap();
    let pin = index.pin();
    // As a batch does: it takes slots, and settles the degree when its graph is built.
    index.core(&pin).store(&pin).allocate(5000).unwrap();
    let (core, snapshot) = index.snapshot(&pin).unwrap();
    assert_eq!(core.graph.as_ref().unwrap().settle(8), 8);
    let mut file = Vec::new();
    crate::persist::save_to(&snapshot.image(core), &mut file).unwrap();
    let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
    assert_eq!(opened.describe().count, 0);
    opened.insert(1, &vectors(3, 1)).unwrap();
    is_sound(&opened, 1);
}
