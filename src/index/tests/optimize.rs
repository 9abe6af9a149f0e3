//! Is an index that grew bit by bit as good as a new one when it was optimised, and does everything hold meanwhile?

use crate::distance::Metric;
use crate::index::config::{BuildOptions, OpenFlags, Options, SearchOptions};
use crate::index::{Index, Kind, Rows};
use crate::util::error::Status;
use std::sync::atomic::{AtomicBool, Ordering};

const DIMENSIONS: usize = 96;
const RANK: usize = 6;

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (crate::util::random::mix(self.0) >> 40) as f32 / (1 << 24) as f32 - 0.5
    }

    /// A vector near a plane of few dimensions, another one on each side: what is learnt on one side says nothing about the other.
    fn vector(&mut self, side: usize) -> Vec<u8> {
        let along: [f32; RANK] = std::array::from_fn(|_| self.uniform());
        let mut vector = [0.0; DIMENSIONS];
        for (i, value) in vector.iter_mut().enumerate() {
            let on_side = (i < DIMENSIONS / 2) == (side == 0);
            // Each of the plane's directions has its own pattern of signs.
            let sum = along.iter().enumerate().map(|(j, along)| if (i * (j + 3)) % 7 < 3 { *along } else { -along });
            *value = if on_side { sum.sum::<f32>() } else { 0.0 } + 0.01 * self.uniform();
        }
        vector.into_iter().flat_map(f32::to_le_bytes).collect()
    }
}

fn options() -> Options {
    let dimensions = DIMENSIONS as u32;
    Options {
        dimensions,
        metric: Metric::L2,
        kind: Kind::Graph,
        m: 8,
        ef_construction: 40,
        seed: 3,
        ..Options::default()
    }
}

fn grown(vectors: &[Vec<u8>]) -> Index {
    let index = Index::create(&options()).unwrap();
    for (key, vector) in vectors.iter().enumerate() {
        index.insert(key as u64, vector).unwrap();
    }
    index
}

fn whole(index: &Index) {
    let audit = index.audit().unwrap();
    assert!(audit.is_clean(), "{audit:#?}");
}

fn found(index: &Index, query: &[u8], ef: u32) -> Vec<u64> {
    let mut keys = vec![0; 10];
    index.search(query, &mut keys, None, &SearchOptions { ef, ..SearchOptions::default() }).unwrap();
    keys
}

/// recall@10 beside searches so wide that they are exact.
fn recall(index: &Index, queries: &[Vec<u8>], ef: u32) -> f64 {
    let hits = queries.iter().map(|query| {
        let truth = found(index, query, 8192);
        found(index, query, ef).iter().filter(|key| truth.contains(key)).count()
    });
    hits.sum::<usize>() as f64 / (10 * queries.len()) as f64
}

/// Share of the vectors, under the keys 0 and so on, that are the nearest to themselves in a search.
fn own(index: &Index, vectors: &[Vec<u8>]) -> f64 {
    let hits = vectors.iter().enumerate().filter(|(key, vector)| found(index, vector, 64)[0] == *key as u64);
    hits.count() as f64 / vectors.len() as f64
}

#[test]
fn codes_are_learnt_anew_and_the_graph_is_built_anew() {
    let mut random = Random(1);
    let vectors: Vec<Vec<u8>> = (0..6000).map(|i| random.vector(usize::from(i >= 2100))).collect();
    let queries: Vec<Vec<u8>> = (0..100).map(|_| random.vector(1)).collect();
    let index = grown(&vectors);
    (0..500).for_each(|key| index.remove(key * 3).unwrap());
    let before = recall(&index, &queries, 12);
    index.optimize(&BuildOptions::default()).unwrap();
    let after = recall(&index, &queries, 12);
    assert!(after > before + 0.02 && after > 0.9, "{before} before, {after} after");
    whole(&index);
    let info = index.describe();
    assert_eq!((info.count, info.removed), (5500, 500));
    // It goes on like any other, and is saved and opened.
    for (key, vector) in vectors.iter().enumerate().take(1500).step_by(3) {
        index.insert(key as u64, vector).unwrap();
    }
    whole(&index);
    assert!(own(&index, &vectors) > 0.99);
    let mut file = Vec::new();
    index.save_to(&mut file).unwrap();
    let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
    assert_eq!(recall(&opened, &queries, 12), recall(&index, &queries, 12));
}

#[test]
fn others_search_insert_and_save_meanwhile() {
    let mut random = Random(2);
    let vectors: Vec<Vec<u8>> = (0..4000).map(|i| random.vector(usize::from(i >= 2000))).collect();
    let (first, later) = vectors.split_at(3000);
    let index = grown(first);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                assert!(own(&index, &first[..300]) > 0.97);
                let mut file = Vec::new();
                index.save_to(&mut file).unwrap();
                assert!(Index::open_buffer(&file, OpenFlags::default()).unwrap().describe().count >= 3000);
            }
        });
        scope.spawn(|| {
            for (key, vector) in (3000..).zip(later) {
                index.insert(key, vector).unwrap();
            }
        });
        for _ in 0..3 {
            index.optimize(&BuildOptions { threads: 1, ..BuildOptions::default() }).unwrap();
        }
        done.store(true, Ordering::Release);
    });
    whole(&index);
    assert!(own(&index, &vectors) > 0.99);
}

#[test]
fn a_cancelled_call_leaves_the_graph_and_small_indexes_are_no_trouble() {
    let mut random = Random(3);
    let vectors: Vec<Vec<u8>> = (0..600).map(|_| random.vector(0)).collect();
    let index = grown(&vectors);
    let answers = || vectors.iter().map(|vector| found(&index, vector, 20)).collect::<Vec<_>>();
    let before = answers();
    let stop = |_, _| true;
    let cancelled = index.optimize(&BuildOptions { progress: Some(&stop), ..BuildOptions::default() });
    assert_eq!(cancelled.unwrap_err().status(), Status::Cancelled);
    assert!(answers() == before);
    for count in [0, 1, 2] {
        let index = grown(&vectors[..count]);
        index.optimize(&BuildOptions::default()).unwrap();
        whole(&index);
        assert_eq!(index.describe().count, count as u64);
    }
    let flat = Index::create(&Options { kind: Kind::Flat, ..options() }).unwrap();
    flat.insert_batch(&[1], Rows::packed(&vectors[0], 4 * DIMENSIONS), &BuildOptions::default()).unwrap();
    flat.optimize(&BuildOptions::default()).unwrap();
    assert_eq!(found(&flat, &vectors[0], 0)[0], 1);
}
