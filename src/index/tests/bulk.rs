//! Is a graph that was built as a whole the same on any number of threads and any level, whole, and good, whatever the data?

#![allow(clippy::print_stdout, reason = "recall, for whoever asks for it")]

use crate::build::bulk::{self, Pile, Team};
use crate::distance::{Element, Metric};
use crate::index::config::{BuildOptions, Filter, Kind, OpenFlags, Options, Quantizer, SearchOptions};
use crate::simd;
use crate::util::pool::Pool;
use crate::{Index, Rows, Status};
use std::cell::Cell;

/// A seeded generator of nearly normal numbers.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        crate::util::random::mix(self.0)
    }
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| (self.bits() >> 40) as f32 / (1u64 << 24) as f32).sum::<f32>() - 6.0
    }
    fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }
}

/// Vectors near a surface of few dimensions, in many: as real ones are.
pub(crate) fn surface(count: usize, dimensions: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed << 32);
    let latent = 8.min(dimensions);
    let map: Vec<f32> = (0..latent * dimensions).map(|_| random.normal()).collect();
    let mut out = Vec::new();
    for _ in 0..count {
        let place: Vec<f32> = (0..latent).map(|_| random.normal()).collect();
        for d in 0..dimensions {
            let along: f32 = (0..latent).map(|l| place[l] * map[l * dimensions + d]).sum();
            out.push(along + 0.1 * random.normal());
        }
    }
    out
}

pub(crate) fn bytes(vectors: &[f32]) -> Vec<u8> {
    vectors.iter().flat_map(|component| component.to_le_bytes()).collect()
}

pub(crate) fn options(metric: Metric, dimensions: usize, kind: Kind) -> Options {
    Options { dimensions: dimensions as u32, metric, kind, seed: 3, ..Default::default() }
}

/// Everything in one batch.
fn fill(index: &Index, data: &[u8], threads: u32) {
    let size = index.vector_bytes();
    let keys: Vec<u64> = (0..(data.len() / size) as u64).collect();
    let build = BuildOptions { threads, ..Default::default() };
    index.insert_batch(&keys, Rows::packed(data, size), &build).unwrap();
}

fn built(metric: Metric, dimensions: usize, vectors: &[f32]) -> Index {
    let index = Index::create(&options(metric, dimensions, Kind::Graph)).unwrap();
    fill(&index, &bytes(vectors), 2);
    index
}

pub(crate) fn assert_whole(index: &Index, what: &str) {
    let audit = index.audit().unwrap();
    assert!(audit.is_clean(), "{what}: {audit:?}");
    assert_eq!(index.maintain(std::time::Duration::MAX).unwrap(), 0, "{what}");
    let audit = index.audit().unwrap();
    assert!(audit.is_clean() && audit.leaving == 0, "{what}: {audit:?}");
    assert_eq!(u64::from(audit.linked), index.describe().count, "{what}");
}

/// recall@10 by distance: what is as near as the tenth counts.
pub(crate) fn recall(
    index: &Index,
    metric: Metric,
    dimensions: usize,
    vectors: &[f32],
    queries: &[f32],
    ef: u32,
) -> f64 {
    let flat = Index::create(&options(metric, dimensions, Kind::Flat)).unwrap();
    fill(&flat, &bytes(vectors), 2);
    let (mut found, mut asked) = (0, 0);
    for query in bytes(queries).chunks(index.vector_bytes()) {
        let (mut keys, mut near, mut exact) = ([0; 10], [0.0; 10], [0.0; 10]);
        let count = flat.search(query, &mut keys, Some(&mut exact), &SearchOptions::default()).unwrap();
        let search = SearchOptions { ef, ..Default::default() };
        assert_eq!(index.search(query, &mut keys, Some(&mut near), &search).unwrap(), count);
        found += near[..count].iter().filter(|&&distance| distance <= exact[count - 1]).count();
        asked += count;
    }
    found as f64 / f64::from(asked as u32)
}

/// Vectors that are stored are found, at distance 0 or the like.
pub(crate) fn assert_found(index: &Index, vectors: &[u8], what: &str) {
    let size = index.vector_bytes();
    let count = vectors.len() / size;
    for i in (0..count).step_by(count.div_ceil(200).max(1)) {
        let query = &vectors[i * size..][..size];
        let (mut keys, mut near) = ([0; 1], [1.0; 1]);
        index.search(query, &mut keys, Some(&mut near), &SearchOptions::default()).unwrap();
        let stored = &vectors[keys[0] as usize * size..][..size];
        assert!(stored == query || near[0] <= 0.0, "{what}: vector {i} gives {} at {}", keys[0], near[0]);
    }
}

pub(crate) fn file_of(index: &Index) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    index.save(&path).unwrap();
    Index::open(&path, OpenFlags::default()).unwrap();
    std::fs::read(&path).unwrap()
}

#[test]
fn one_file_comes_out_whatever_the_number_of_threads() {
    let vectors = bytes(&surface(20_000, 24, 1));
    let file = |threads, quantizer| {
        let index = Index::create(&Options { quantizer, ..options(Metric::L2, 24, Kind::Graph) }).unwrap();
        fill(&index, &vectors, threads);
        assert_whole(&index, "threads");
        file_of(&index)
    };
    let one = file(1, Quantizer::None);
    // The graph that this version builds of these vectors, on every machine. A change of it is a change of the format of nothing, but
    // must be meant.
    let hash = one.iter().fold(0_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(hash, GOLDEN, "{hash:#018x}");
    assert!(file(2, Quantizer::None) == one && file(7, Quantizer::None) == one);
    assert!(file(1, Quantizer::Auto) == file(3, Quantizer::Auto));
}

const GOLDEN: u64 = 0x4fba_dae3_c356_8950;

#[test]
fn every_level_builds_the_same_graph() {
    for (metric, element) in [
        (Metric::L2, Element::F32),
        (Metric::Cosine, Element::F16),
        (Metric::InnerProduct, Element::F32),
        (Metric::L1, Element::U8),
        (Metric::Hamming, Element::B1),
        (Metric::Jaccard, Element::B1),
    ] {
        let index = Index::create(&Options { element, ..options(metric, 40, Kind::Flat) }).unwrap();
        let mut random = Random(9);
        let component = |random: &mut Random| match element {
            Element::F32 => random.normal().to_le_bytes().to_vec(),
            Element::F16 => ((random.bits() as u16 & 0x83ff) | 0x3800).to_le_bytes().to_vec(),
            _ => vec![(random.normal() * 30.0 + 128.0) as u8],
        };
        let mut vectors = Vec::new();
        while vectors.len() < 4_000 * index.vector_bytes() {
            vectors.extend(component(&mut random));
        }
        fill(&index, &vectors, 1);
        let pin = index.pin();
        let store = index.core(&pin).store(&pin);
        let slots: Vec<u32> = (0..store.slots()).collect();
        let graph = crate::graph::Graph::new(8, 5);
        let mut first = None;
        for (&level, threads) in simd::available().iter().flat_map(|level| [(level, 1), (level, 3)]) {
            let mut scoring = index.scoring.clone();
            scoring.level = level;
            let pile = Pile { store, scoring: &scoring, slots: &slots };
            let team = Team {
                pool: &Pool::default(),
                threads,
                progress: None,
                total: slots.len(),
                done: Cell::new(0),
                afford: &|_| Ok(()),
            };
            let built = format!("{:?}", bulk::build(pile, &graph, bulk::FULL, &team).unwrap());
            let first = first.get_or_insert_with(|| built.clone());
            assert!(*first == built, "{metric:?} {element:?} {level:?} {threads} threads");
        }
    }
}

#[test]
fn small_and_odd_sizes_are_whole() {
    for count in [0, 1, 2, 3, 10, 511, 512, 513, 2047, 2048, 2049, 3000] {
        let vectors = surface(count, 5, 2);
        let index = built(Metric::L2, 5, &vectors);
        assert_whole(&index, &format!("{count} vectors"));
        assert_found(&index, &bytes(&vectors), &format!("{count} vectors"));
    }
    for dimensions in [1, 3, 15, 16, 17, 1023] {
        let vectors = surface(3000, dimensions, 3);
        let index = built(Metric::L2, dimensions, &vectors);
        assert_whole(&index, &format!("{dimensions} dimensions"));
        assert_found(&index, &bytes(&vectors), &format!("{dimensions} dimensions"));
        let recall = recall(&index, Metric::L2, dimensions, &vectors, &surface(100, dimensions, 3), 64);
        assert!(recall > 0.97, "{dimensions} dimensions: {recall}");
    }
    for m in [2, 3, 5, 32, 33, 64] {
        let vectors = bytes(&surface(5000, 8, 4));
        let index = Index::create(&Options { m, ..options(Metric::L2, 8, Kind::Graph) }).unwrap();
        fill(&index, &vectors, 2);
        assert_whole(&index, &format!("m {m}"));
        if m > 3 {
            assert_found(&index, &vectors, &format!("m {m}"));
        }
    }
}

/// Data that is hard for graphs or for codes: a name, a metric, vectors, queries, the least recall.
type Hard = (&'static str, Metric, usize, Vec<f32>, Vec<f32>, f64);
fn hard() -> Vec<Hard> {
    let plain = surface(20_000, 32, 5);
    let queries = surface(300, 32, 5);
    let mut sets = Vec::new();
    let mut set = |name, metric, vectors: Vec<f32>, queries: Vec<f32>, least| {
        sets.push((name, metric, 32, vectors, queries, least));
    };
    set("plain", Metric::L2, plain.clone(), queries.clone(), 0.98);
    set("cosine", Metric::Cosine, plain.clone(), queries.clone(), 0.98);
    set("sums of differences", Metric::L1, plain.clone(), queries.clone(), 0.98);
    set("all equal", Metric::L2, plain[..32].repeat(5000), queries.clone(), 1.0);
    let mut half = plain.clone();
    half.chunks_mut(32).step_by(2).for_each(|vector| vector.copy_from_slice(&plain[..32]));
    set("half equal", Metric::L2, half, queries.clone(), 0.98);
    let ten: Vec<f32> = (0..10_000).flat_map(|i| plain[(i * 7 % 10) * 32..][..32].to_vec()).collect();
    set("ten values", Metric::L2, ten, queries.clone(), 1.0);
    let mut random = Random(6);
    let mut clusters = Vec::new();
    for _ in 0..400 {
        let centre: Vec<f32> = (0..32).map(|_| random.normal()).collect();
        (0..50).for_each(|_| clusters.extend(centre.iter().map(|c| c + 0.02 * random.normal())));
    }
    let near: Vec<f32> = clusters.chunks(32).step_by(61).flatten().map(|c| c + 0.01).collect();
    set("tight clusters", Metric::L2, clusters, near, 0.98);
    let mut tighter = Vec::new();
    for _ in 0..40 {
        let centre: Vec<f32> = (0..32).map(|_| random.normal()).collect();
        (0..500).for_each(|_| tighter.extend(centre.iter().map(|c| c + 1e-4 * random.normal())));
    }
    let near: Vec<f32> = tighter.chunks(32).step_by(61).flatten().map(|c| c + 1e-5).collect();
    set("clusters finer than a byte", Metric::L2, tighter, near, 0.97);
    let mut uneven = plain.clone();
    uneven.chunks_mut(32).for_each(|vector| {
        let factor = random.normal().exp();
        vector.iter_mut().for_each(|c| *c *= factor);
    });
    set("uneven lengths", Metric::InnerProduct, uneven.clone(), queries.clone(), 0.95);
    set("even lengths", Metric::InnerProduct, plain.clone(), queries.clone(), 0.95);
    let change = |vectors: &[f32], f: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
        vectors.iter().enumerate().map(|(i, &c)| f(i % 32, c)).collect()
    };
    let constant = |d, c| if d == 3 { 7.5 } else { c };
    set("a constant component", Metric::L2, change(&plain, &constant), change(&queries, &constant), 0.98);
    let huge = |d, c| if d == 3 { c * 1e6 } else { c };
    set("a huge component", Metric::L2, change(&plain, &huge), change(&queries, &huge), 0.95);
    let beside = |d, c| if d == 3 { 1e9 } else { c };
    set("a huge constant", Metric::L2, change(&plain, &beside), change(&queries, &beside), 0.6);
    let tails = |_, c: f32| c.powi(7);
    set("heavy tails", Metric::L2, change(&plain, &tails), change(&queries, &tails), 0.95);
    let tiny = |_, c| c * 1e-30;
    set("tiny", Metric::Cosine, change(&plain, &tiny), change(&queries, &tiny), 0.98);
    let far = |_, c| c * 1e25;
    set("beyond single precision", Metric::Cosine, change(&plain, &far), change(&queries, &far), 0.98);
    sets
}

#[test]
fn hard_data_are_whole_and_found() {
    let mut poor = Vec::new();
    for (name, metric, dimensions, vectors, queries, least) in hard() {
        let index = built(metric, dimensions, &vectors);
        assert_whole(&index, name);
        if metric != Metric::InnerProduct {
            assert_found(&index, &bytes(&vectors), name);
        }
        let recall = recall(&index, metric, dimensions, &vectors, &queries, 64);
        println!("{name}: recall {recall:.4}");
        if recall < least {
            poor.push((name, recall, least));
        }
    }
    assert!(poor.is_empty(), "{poor:?}");
}

#[test]
fn a_build_that_is_cancelled_leaves_no_trace() {
    let (old, new) = (bytes(&surface(2_000, 32, 7)), bytes(&surface(6_000, 32, 8)));
    let keys: Vec<u64> = (0..8_000).collect();
    let index = Index::create(&options(Metric::L2, 32, Kind::Graph)).unwrap();
    let plain = BuildOptions::default();
    index.insert_batch(&keys[..2_000], Rows::packed(&old, 128), &plain).unwrap();
    let before = file_of(&index);
    // At every word that is told, and at the last.
    for word in [1, 2, 3, 5, u32::MAX] {
        let (told, last) = (Cell::new(0), Cell::new(0));
        let cancel = |done, total| {
            assert!(done >= last.get() && done <= total && total == 6_000);
            last.set(done);
            told.set(told.get() + 1);
            told.get() == word || done == total
        };
        let build = BuildOptions { progress: Some(&cancel), threads: 2, ..Default::default() };
        let error = index.insert_batch(&keys[2_000..], Rows::packed(&new, 128), &build).unwrap_err();
        assert_eq!(error.status(), Status::Cancelled);
        assert!(file_of(&index) == before, "word {word}");
    }
    index.insert_batch(&keys[2_000..], Rows::packed(&new, 128), &plain).unwrap();
    assert_whole(&index, "after");
    assert_found(&index, &[old, new].concat(), "after");
}

/// Learning from vectors of so many components takes far longer than a host waits for a word.
#[test]
fn learning_hears_that_it_is_cancelled() {
    const DIMENSIONS: usize = 1500;
    let data = bytes(&surface(4_500, DIMENSIONS, 11));
    let keys: Vec<u64> = (0..4_500).collect();
    let rows = Rows::packed(&data, 4 * DIMENSIONS);
    // Says no at the first word of learning, and hears no other then.
    let cancelled = |learning_at: u64, call: &dyn Fn(&BuildOptions<'_>) -> crate::Result<()>| {
        let told = Cell::new(0);
        let progress = |done, _| {
            assert!(told.get() == 0 && done <= learning_at, "at {done} after a no");
            told.set(u32::from(done == learning_at));
            told.get() == 1
        };
        let build = BuildOptions { progress: Some(&progress), threads: 1, ..Default::default() };
        let error = call(&build).unwrap_err();
        assert_eq!((error.status(), told.get()), (Status::Cancelled, 1), "{error}");
    };
    let plain = BuildOptions::default();
    for (quantizer, learning_at) in [(Quantizer::Auto, super::filling(4_500) as u64), (Quantizer::Leading8, 0)] {
        let index = Index::create(&Options { quantizer, ..options(Metric::L2, DIMENSIONS, Kind::Graph) }).unwrap();
        let before = file_of(&index);
        cancelled(learning_at, &|build| index.insert_batch(&keys, rows, build));
        assert!(file_of(&index) == before && index.describe().count == 0, "{quantizer:?}");
        cancelled(0, &|build| index.train(rows, build));
        index.train(rows, &plain).unwrap();
    }
    let index = Index::create(&options(Metric::L2, DIMENSIONS, Kind::Graph)).unwrap();
    index.insert_batch(&keys, rows, &plain).unwrap();
    let before = file_of(&index);
    cancelled(0, &|build| index.optimize(build));
    cancelled(0, &|build| index.requantize(Quantizer::Projected1, build));
    assert!(file_of(&index) == before);
}

/// What an empty index would reduce by was learnt from vectors that never came.
#[test]
fn a_cancelled_batch_leaves_nothing_that_was_learnt() {
    let (one, other) = (bytes(&surface(3_000, 48, 12)), bytes(&surface(3_000, 48, 13)));
    let keys: Vec<u64> = (0..3_000).collect();
    let at_the_end = |done, total| done == total;
    let cancel = BuildOptions { progress: Some(&at_the_end), ..Default::default() };
    for quantizer in [Quantizer::Bytes, Quantizer::Auto] {
        let index = Index::create(&Options { quantizer, ..options(Metric::L2, 48, Kind::Graph) }).unwrap();
        let empty = file_of(&index);
        let error = index.insert_batch(&keys, Rows::packed(&one, 192), &cancel).unwrap_err();
        assert_eq!(error.status(), Status::Cancelled);
        assert!(file_of(&index) == empty, "{quantizer:?}");
        fill(&index, &other, 2);
        let fresh = Index::create(&Options { quantizer, ..options(Metric::L2, 48, Kind::Graph) }).unwrap();
        fill(&fresh, &other, 2);
        assert!(file_of(&index) == file_of(&fresh), "{quantizer:?}");
    }
}

#[test]
fn others_change_the_index_while_a_batch_is_built() {
    let vectors = bytes(&surface(34_000, 32, 9));
    let keys: Vec<u64> = (0..34_000).collect();
    let index = Index::create(&options(Metric::L2, 32, Kind::Graph)).unwrap();
    let part = |range: std::ops::Range<usize>| {
        (&keys[range.clone()], Rows::packed(&vectors[range.start * 128..range.end * 128], 128))
    };
    let (first, rows) = part(0..2_000);
    index.insert_batch(first, rows, &BuildOptions::default()).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    let singles = std::thread::scope(|scope| {
        let single = scope.spawn(|| {
            let mut key = 30_000;
            while !over.load(std::sync::atomic::Ordering::Acquire) && key < 34_000 {
                index.insert(key, &vectors[key as usize * 128..][..128]).unwrap();
                if key % 3 == 0 {
                    index.remove(key).unwrap();
                }
                key += 1;
            }
            key
        });
        scope.spawn(|| {
            let mut random = Random(4);
            while !over.load(std::sync::atomic::Ordering::Acquire) {
                let key = random.below(2_000);
                let mut found = [0];
                index.search(&vectors[key * 128..][..128], &mut found, None, &SearchOptions::default()).unwrap();
                assert_eq!(found[0], key as u64);
            }
        });
        let (keys, rows) = part(2_000..30_000);
        index.insert_batch(keys, rows, &BuildOptions { threads: 2, ..Default::default() }).unwrap();
        over.store(true, std::sync::atomic::Ordering::Release);
        single.join().unwrap()
    });
    assert!(singles > 30_000);
    assert_whole(&index, "with others");
    let info = index.describe();
    assert_eq!(info.count + info.removed, singles);
    for key in (0..singles).filter(|key| *key < 30_000 || key % 3 != 0).step_by(7) {
        let mut found = [0];
        index.search(&vectors[key as usize * 128..][..128], &mut found, None, &SearchOptions::default()).unwrap();
        assert_eq!(found[0], key);
    }
    let odd = |key: u64| key % 2 == 1;
    let filtered = SearchOptions { filter: Some(Filter::Caller(&odd)), ..Default::default() };
    assert_eq!(index.search(&vectors[..128], &mut [0; 10], None, &filtered).unwrap(), 10);
}
