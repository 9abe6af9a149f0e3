//! The graph through the public interface: recall on data that is hard for graphs, short results, cancelled batches.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Filter, Index, Kind, Options, Rows, SearchOptions, Status};
use std::cell::Cell;

/// A seeded generator of nearly normal numbers.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn normal(&mut self) -> f32 {
        let uniform = |bits: u64| (bits >> 40) as f32 / (1u64 << 24) as f32;
        (0..12).map(|_| uniform(self.bits())).sum::<f32>() - 6.0
    }
}

fn gaussian(count: usize, dimensions: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    (0..count * dimensions).map(|_| random.normal()).collect()
}

/// `clusters` tight clusters of `each` vectors, cluster by cluster.
fn clustered(clusters: usize, each: usize, dimensions: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    let mut out = Vec::new();
    for _ in 0..clusters {
        let centre: Vec<f32> = (0..dimensions).map(|_| random.normal()).collect();
        for _ in 0..each {
            out.extend(centre.iter().map(|c| c + 0.05 * random.normal()));
        }
    }
    out
}

fn bytes(vectors: &[f32]) -> Vec<u8> {
    vectors.iter().flat_map(|component| component.to_le_bytes()).collect()
}

struct Setup {
    metric: Metric,
    dimensions: u32,
    m: u32,
    ef_construction: u32,
}

impl Setup {
    fn index(&self, kind: Kind) -> Index {
        let (metric, dimensions, m, ef_construction) = (self.metric, self.dimensions, self.m, self.ef_construction);
        Index::create(&Options { dimensions, metric, kind, m, ef_construction, seed: 3, ..Default::default() }).unwrap()
    }

    /// recall@10 of the graph over these vectors, inserted in this order by single calls or by a batch.
    fn recall(&self, vectors: &[f32], queries: &[f32], ef: u32, batch: bool) -> f64 {
        let (graph, flat) = (self.index(Kind::Graph), self.index(Kind::Flat));
        let (data, queries) = (bytes(vectors), bytes(queries));
        let size = graph.vector_bytes();
        let keys: Vec<u64> = (0..(data.len() / size) as u64).collect();
        flat.insert_batch(&keys, Rows::packed(&data, size), &BuildOptions::default()).unwrap();
        if batch {
            graph.insert_batch(&keys, Rows::packed(&data, size), &BuildOptions::default()).unwrap();
        } else {
            keys.iter().zip(data.chunks(size)).for_each(|(&key, vector)| graph.insert(key, vector).unwrap());
        }
        let (mut found, mut asked) = (0, 0);
        for query in queries.chunks(size) {
            let (mut a, mut b) = ([0; 10], [0; 10]);
            let options = SearchOptions { ef, ..Default::default() };
            assert_eq!(graph.search(query, &mut a, None, &options).unwrap(), 10.min(keys.len()));
            flat.search(query, &mut b, None, &SearchOptions::default()).unwrap();
            found += b.iter().filter(|key| a.contains(key)).count();
            asked += 10;
        }
        found as f64 / f64::from(asked)
    }
}

const PLAIN: Setup = Setup { metric: Metric::L2, dimensions: 32, m: 16, ef_construction: 128 };

#[test]
fn clusters_inserted_one_after_the_other_are_found_as_well_as_shuffled() {
    let vectors = clustered(400, 50, 32, 1);
    let queries: Vec<f32> = vectors.chunks(32).step_by(40).flatten().map(|c| c + 0.01).collect();
    let mut order: Vec<usize> = (0..20_000).collect();
    let mut random = Random(2);
    (1..order.len()).rev().for_each(|i| order.swap(i, (random.bits() % (i as u64 + 1)) as usize));
    let shuffled: Vec<f32> = order.iter().flat_map(|&i| vectors[i * 32..][..32].iter().copied()).collect();
    let [mixed, in_order, batch] = [
        PLAIN.recall(&shuffled, &queries, 64, false),
        PLAIN.recall(&vectors, &queries, 64, false),
        PLAIN.recall(&vectors, &queries, 64, true),
    ];
    println!("shuffled {mixed:.4}, in order {in_order:.4}, in order as a batch {batch:.4}");
    assert!(in_order > mixed - 0.01, "in order {in_order}, shuffled {mixed}");
    assert!(batch > mixed - 0.01, "batch {batch}, shuffled {mixed}");
}

#[test]
fn inner_product_with_uneven_norms() {
    let mut random = Random(5);
    let setup = Setup { metric: Metric::InnerProduct, ..PLAIN };
    let vectors: Vec<f32> = gaussian(20_000, 32, 6)
        .chunks(32)
        .flat_map(|v| {
            let norm = random.normal().exp();
            v.iter().map(move |c| c * norm).collect::<Vec<_>>()
        })
        .collect();
    let recall = setup.recall(&vectors, &gaussian(300, 32, 7), 64, false);
    println!("inner product, uneven norms {recall:.4}");
    assert!(recall > 0.95, "{recall}");
}

#[test]
fn duplicates_do_not_cut_off_the_rest() {
    let mut vectors = gaussian(20_000, 32, 8);
    let copy = vectors[..32].to_vec();
    (0..20_000).step_by(10).for_each(|i| vectors[i * 32..][..32].copy_from_slice(&copy));
    let recall = PLAIN.recall(&vectors, &gaussian(300, 32, 9), 64, false);
    println!("a tenth copies of one {recall:.4}");
    assert!(recall > 0.90, "{recall}");
    let mut ten = Vec::new();
    (0..5_000).for_each(|i| ten.extend_from_slice(&vectors[(i * 7 % 10 + 1) * 32..][..32]));
    let (index, data) = (PLAIN.index(Kind::Graph), bytes(&ten));
    for (key, vector) in data.chunks(128).enumerate() {
        index.insert(key as u64, vector).unwrap();
    }
    // 500 copies each: all at distance 0, lowest keys first.
    for (i, query) in data.chunks(128).take(10).enumerate() {
        let (mut keys, mut distances) = ([0; 20], [1.0; 20]);
        index.search(query, &mut keys, Some(&mut distances), &SearchOptions::default()).unwrap();
        assert_eq!(distances, [0.0; 20]);
        assert!(keys.iter().all(|key| key % 10 == i as u64), "{keys:?}");
    }
}

#[test]
fn results_are_never_short() {
    let vectors = bytes(&gaussian(20_000, 16, 10));
    let setup = Setup { dimensions: 16, ..PLAIN };
    let index = setup.index(Kind::Graph);
    let keys: Vec<u64> = (0..20_000).collect();
    index.insert_batch(&keys, Rows::packed(&vectors, 64), &BuildOptions::default()).unwrap();
    let rare = |key: u64| key % 2000 == 7;
    let mut found = [0; 20];
    let options = SearchOptions { filter: Some(Filter::Caller(&rare)), ..Default::default() };
    assert_eq!(index.search(&vectors[..64], &mut found, None, &options).unwrap(), 10);
    assert!(found[..10].iter().all(|&key| rare(key)));
    let most: Vec<u64> = keys.iter().copied().filter(|key| key % 100 != 0).collect();
    assert_eq!(index.remove_batch(&most).unwrap(), 19_800);
    for query in vectors.chunks(64).take(50) {
        let (mut found, mut distances) = ([0; 100], [0.0; 100]);
        assert_eq!(index.search(query, &mut found, Some(&mut distances), &SearchOptions::default()).unwrap(), 100);
        assert!(found.iter().all(|key| key % 100 == 0));
        assert!(distances.is_sorted());
    }
    let mut all = [0; 300];
    assert_eq!(index.search(&vectors[..64], &mut all, None, &SearchOptions::default()).unwrap(), 200);
}

/// Everything a host can see of an index: its counts and answers.
fn look(index: &Index, queries: &[u8]) -> (u64, u64, Vec<u64>) {
    let mut seen = Vec::new();
    for query in queries.chunks(index.vector_bytes()) {
        let mut keys = [0; 30];
        index.search(query, &mut keys, None, &SearchOptions { ef: 30, ..Default::default() }).unwrap();
        seen.extend(keys);
    }
    let info = index.describe();
    (info.count, info.removed, seen)
}

#[test]
fn a_cancelled_or_failed_batch_leaves_the_index_as_it_was() {
    let (old, new, queries) = (gaussian(4_000, 32, 11), gaussian(6_000, 32, 12), bytes(&gaussian(100, 32, 13)));
    let (old, new) = (bytes(&old), bytes(&new));
    let index = PLAIN.index(Kind::Graph);
    let keys: Vec<u64> = (0..10_000).collect();
    let told = Cell::new(0);
    let cancel = |done, total| {
        told.set(told.get() + 1);
        done * 2 > total
    };
    let options = BuildOptions { progress: Some(&cancel), ..Default::default() };
    // Into an empty index.
    let error = index.insert_batch(&keys[4_000..], Rows::packed(&new, 128), &options).unwrap_err();
    assert_eq!(error.status(), Status::Cancelled);
    assert!(told.get() > 0);
    assert_eq!(index.describe().count, 0);
    assert_eq!(index.search(&queries[..128], &mut [0; 5], None, &SearchOptions::default()).unwrap(), 0);
    // Into a living one: answers stay the same, to the last.
    index.insert_batch(&keys[..4_000], Rows::packed(&old, 128), &BuildOptions::default()).unwrap();
    let before = look(&index, &queries);
    let error = index.insert_batch(&keys[4_000..], Rows::packed(&new, 128), &options).unwrap_err();
    assert_eq!(error.status(), Status::Cancelled);
    assert_eq!(look(&index, &queries), before);
    // A bad row refuses the batch before anything is linked.
    let mut bad = new.clone();
    bad[5_000 * 128..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = index.insert_batch(&keys[4_000..], Rows::packed(&bad, 128), &BuildOptions::default()).unwrap_err();
    assert!(error.text().contains("5000") && error.text().contains("NaN"), "{error}");
    assert_eq!(look(&index, &queries), before);
    // And the keys are free again.
    index.insert_batch(&keys[4_000..], Rows::packed(&new, 128), &BuildOptions::default()).unwrap();
    assert_eq!(index.describe().count, 10_000);
    for (key, vector) in new.chunks(128).enumerate().step_by(97) {
        let mut found = [0; 1];
        index.search(vector, &mut found, None, &SearchOptions::default()).unwrap();
        assert_eq!(found[0], key as u64 + 4_000);
    }
}

#[test]
fn saved_and_opened_it_answers_the_same_and_goes_on() {
    let (vectors, queries) = (bytes(&gaussian(6_000, 32, 20)), bytes(&gaussian(100, 32, 21)));
    let keys: Vec<u64> = (0..6_000).collect();
    let index = PLAIN.index(Kind::Graph);
    index.insert_batch(&keys[..4_000], Rows::packed(&vectors[..4_000 * 128], 128), &BuildOptions::default()).unwrap();
    index.remove_batch(&keys[..500]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph.kith");
    // A file does not have the rest of links to slots that are leaving.
    assert_eq!(index.maintain(std::time::Duration::MAX).unwrap(), 0);
    index.save(&path).unwrap();
    let before = look(&index, &queries);
    for mapped in [false, true] {
        let opened = Index::open(&path, kith::OpenFlags { mapped, ..Default::default() }).unwrap();
        assert_eq!(look(&opened, &queries), before);
        let info = opened.describe();
        assert_eq!((info.kind, info.m, info.format), (Kind::Graph, 16, 2));
        if mapped {
            assert_eq!(opened.insert(9_999, &vectors[..128]).unwrap_err().status(), Status::ReadOnly);
            continue;
        }
        opened
            .insert_batch(&keys[4_000..], Rows::packed(&vectors[4_000 * 128..], 128), &BuildOptions::default())
            .unwrap();
        for key in (500..6_000).step_by(11) {
            let mut found = [0];
            opened.search(&vectors[key * 128..][..128], &mut found, None, &SearchOptions::default()).unwrap();
            assert_eq!(found[0], key as u64);
        }
    }
}

#[test]
fn a_save_while_others_insert_is_whole() {
    let vectors = bytes(&gaussian(8_000, 32, 22));
    let index = PLAIN.index(Kind::Graph);
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2u64 {
            let (index, vectors) = (&index, &vectors);
            scope.spawn(move || {
                for key in (thread..8_000).step_by(2) {
                    index.insert(key, &vectors[key as usize * 128..][..128]).unwrap();
                }
            });
        }
        for round in 0..6 {
            let path = folder.path().join(format!("{round}.kith"));
            let acknowledged = index.describe().count;
            index.save(&path).unwrap();
            let opened = Index::open(&path, kith::OpenFlags::default()).unwrap();
            assert!(opened.describe().count >= acknowledged);
            let mut keys = vec![0; opened.describe().count as usize];
            opened.keys(&mut keys).unwrap();
            for &key in keys.iter().step_by(17) {
                let mut found = [0];
                let options = SearchOptions { ef: 100, ..Default::default() };
                opened.search(&vectors[key as usize * 128..][..128], &mut found, None, &options).unwrap();
                assert_eq!(found[0], key, "round {round}");
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
}

#[test]
fn one_thread_and_one_seed_give_one_graph() {
    let vectors = bytes(&gaussian(3_000, 32, 14));
    let queries = bytes(&gaussian(200, 32, 15));
    let build = || {
        let index = PLAIN.index(Kind::Graph);
        for (key, vector) in vectors.chunks(128).enumerate() {
            index.insert(key as u64, vector).unwrap();
        }
        look(&index, &queries)
    };
    assert_eq!(build(), build());
}

#[test]
fn every_metric_and_element_is_walked() {
    for metric in Metric::ALL {
        for element in Element::ALL {
            let Ok(index) =
                Index::create(&Options { dimensions: 64, metric, element, kind: Kind::Graph, ..Default::default() })
            else {
                continue;
            };
            let flat =
                Index::create(&Options { dimensions: 64, metric, element, kind: Kind::Flat, ..Default::default() })
                    .unwrap();
            let mut random = Random(16);
            let size = index.vector_bytes();
            let component = |random: &mut Random| -> Vec<u8> {
                let value = random.normal();
                match element {
                    Element::F32 => value.to_le_bytes().to_vec(),
                    Element::Bf16 => value.to_le_bytes()[2..].to_vec(),
                    // A half with a middling exponent.
                    Element::F16 => ((random.bits() as u16 & 0x83ff) | 0x3800).to_le_bytes().to_vec(),
                    Element::I8 => vec![(value * 30.0) as i8 as u8],
                    Element::U8 | Element::Byte => vec![(value * 30.0 + 128.0) as u8],
                    Element::B1 => vec![random.bits() as u8],
                }
            };
            let mut vector = || {
                let mut bytes = Vec::new();
                while bytes.len() < size {
                    bytes.extend(component(&mut random));
                }
                bytes
            };
            for key in 0..3_000 {
                let vector = vector();
                index.insert(key, &vector).unwrap();
                flat.insert(key, &vector).unwrap();
            }
            let mut found = 0.0;
            for _ in 0..50 {
                let (query, mut a, mut b) = (vector(), [0.0; 10], [0.0; 10]);
                index
                    .search(&query, &mut [0; 10], Some(&mut a), &SearchOptions { ef: 200, ..Default::default() })
                    .unwrap();
                flat.search(&query, &mut [0; 10], Some(&mut b), &SearchOptions::default()).unwrap();
                // Bits tie often: a hit as near as the tenth counts.
                found += a.iter().filter(|&&distance| distance <= b[9]).count() as f64;
            }
            assert!(found / 500.0 > 0.9, "{metric:?} {element:?}: {}", found / 500.0);
        }
    }
}
