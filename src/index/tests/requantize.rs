//! Do codes change while others search, insert, remove and save, and is the index as it was where they cannot?

use crate::distance::{Element, Metric};
use crate::index::config::{BuildOptions, OpenFlags, Options, Quantizer, SearchOptions};
use crate::index::{Index, Kind, Rows};
use crate::util::error::Status;
use std::sync::atomic::{AtomicBool, Ordering};

const DIMENSIONS: usize = 96;
const RANK: usize = 20;

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (crate::util::random::mix(self.0) >> 40) as f32 / (1 << 24) as f32 - 0.5
    }

    /// A vector near a plane of some dimensions.
    fn vector(&mut self) -> Vec<f32> {
        let along: [f32; RANK] = std::array::from_fn(|_| self.uniform());
        (0..DIMENSIONS)
            .map(|i| {
                let sign = |j: usize| if (i * (j + 3)) % 7 < 3 { 1.0 } else { -1.0 };
                along.iter().enumerate().map(|(j, along)| sign(j + i / 7) * along).sum::<f32>() + 0.05 * self.uniform()
            })
            .collect()
    }
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn options(quantizer: Quantizer) -> Options {
    let (dimensions, metric) = (DIMENSIONS as u32, Metric::L2);
    Options {
        dimensions,
        metric,
        kind: Kind::Graph,
        m: 8,
        ef_construction: 60,
        seed: 3,
        quantizer,
        ..Options::default()
    }
}

fn vectors(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(seed);
    (0..count).map(|_| bytes(&random.vector())).collect()
}

fn filled(quantizer: Quantizer, vectors: &[Vec<u8>]) -> Index {
    let index = Index::create(&options(quantizer)).unwrap();
    let keys: Vec<u64> = (0..vectors.len() as u64).collect();
    index.insert_batch(&keys, Rows::packed(&vectors.concat(), 4 * DIMENSIONS), &BuildOptions::default()).unwrap();
    index
}

fn found(index: &Index, query: &[u8], ef: u32) -> Vec<u64> {
    let mut keys = vec![0; 10];
    index.search(query, &mut keys, None, &SearchOptions { ef, ..SearchOptions::default() }).unwrap();
    keys
}

/// recall@10 beside searches so wide that they are exact.
fn recall(index: &Index, queries: &[Vec<u8>]) -> f64 {
    let hits = queries.iter().map(|query| {
        let truth = found(index, query, 8192);
        found(index, query, 40).iter().filter(|key| truth.contains(key)).count()
    });
    hits.sum::<usize>() as f64 / (10 * queries.len()) as f64
}

/// Whether every code is what the codec makes of the vector that the slot has.
fn codes_fit(index: &Index) -> bool {
    let pin = index.pin();
    let core = index.core(&pin);
    let (view, Some(codes)) = (core.view(&pin), core.codes(&pin)) else { return true };
    let (mut work, mut code) = (crate::quant::Workspace::default(), vec![0; codes.codec.stride()]);
    (0..view.store.slots()).filter(|&slot| view.store.state(slot) == crate::store::LIVE).all(|slot| {
        let vector = view.store.vector_slice(slot);
        codes.codec.encode(view.scoring.element, vector, view.store.scale(slot), &mut work, &mut code);
        codes.code(slot) == code
    })
}

#[test]
fn every_quantizer_becomes_every_other() {
    // Enough for product codes, too.
    let base = vectors(1, 4200);
    let queries = vectors(2, 60);
    let ways = [Quantizer::Auto, Quantizer::Projected2, Quantizer::None, Quantizer::Projected1, Quantizer::Projected4];
    let index = filled(Quantizer::Auto, &base);
    let plain = recall(&index, &queries);
    for (from, to) in ways.iter().flat_map(|from| ways.iter().map(move |to| (*from, *to))) {
        index.requantize(from, &BuildOptions::default()).unwrap();
        index.requantize(to, &BuildOptions { threads: 1, ..BuildOptions::default() }).unwrap();
        let wanted = if to == Quantizer::Auto { Quantizer::Projected4 } else { to };
        assert_eq!(index.describe().quantizer, wanted, "{from:?} to {to:?}");
        assert!(codes_fit(&index), "{from:?} to {to:?}");
        assert!(recall(&index, &queries) > plain - 0.06, "{from:?} to {to:?}");
    }
    // As good as if it had been so from the start, and so it is saved.
    for quantizer in [Quantizer::Projected2, Quantizer::Product, Quantizer::Signs, Quantizer::None, Quantizer::Auto] {
        index.requantize(quantizer, &BuildOptions::default()).unwrap();
        assert!(codes_fit(&index), "{quantizer:?}");
        let (mut one, mut other) = (Vec::new(), Vec::new());
        index.save_to(&mut one).unwrap();
        filled(quantizer, &base).save_to(&mut other).unwrap();
        assert!(one == other, "{quantizer:?}");
        let opened = Index::open_buffer(&one, OpenFlags::default()).unwrap();
        assert_eq!(recall(&opened, &queries), recall(&index, &queries));
        assert_eq!(opened.describe().format, index.describe().format);
    }
}

#[test]
fn others_search_insert_remove_and_save_meanwhile() {
    let all = vectors(3, 6000);
    let (first, later) = all.split_at(4000);
    let index = filled(Quantizer::Auto, first);
    let own = |index: &Index| {
        let hits = (0..300).filter(|&key| found(index, &first[key], 64)[0] == key as u64);
        hits.count()
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                assert!(own(&index) > 295);
                let mut file = Vec::new();
                index.save_to(&mut file).unwrap();
                let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
                assert!(codes_fit(&opened) && own(&opened) > 295);
            }
        });
        scope.spawn(|| {
            for (key, vector) in (4000..).zip(later) {
                index.insert(key, vector).unwrap();
                // The places of others are used again.
                index.remove(key - 3000).unwrap();
            }
        });
        for quantizer in
            [Quantizer::Projected1, Quantizer::None, Quantizer::Projected2, Quantizer::Projected4].repeat(3)
        {
            index.requantize(quantizer, &BuildOptions { threads: 1, ..BuildOptions::default() }).unwrap();
        }
        done.store(true, Ordering::Release);
    });
    assert!(index.audit().unwrap().is_clean() && codes_fit(&index));
    assert_eq!(index.describe().quantizer, Quantizer::Projected4);
}

#[test]
fn vectors_held_as_bytes_stay_so() {
    let mut random = Random(4);
    let whole = |random: &mut Random| {
        bytes(&random.vector().iter().map(|v| (v * 20.0 + 120.0).round().clamp(0.0, 255.0)).collect::<Vec<f32>>())
    };
    let base: Vec<Vec<u8>> = (0..2500).map(|_| whole(&mut random)).collect();
    let index = filled(Quantizer::Auto, &base);
    assert_eq!(index.describe().held, Element::U8);
    let folder = tempfile::tempdir().unwrap();
    for (quantizer, format) in
        [(Quantizer::Projected2, 7), (Quantizer::Projected4, 7), (Quantizer::None, 7), (Quantizer::Auto, 4)]
    {
        index.requantize(quantizer, &BuildOptions::default()).unwrap();
        // Short rows of bytes have no codes by the library's choice.
        let coded = if quantizer == Quantizer::Auto { Quantizer::None } else { quantizer };
        assert_eq!((index.describe().held, index.describe().quantizer), (Element::U8, coded));
        assert!(codes_fit(&index));
        let path = folder.path().join("whole.kith");
        index.save(&path).unwrap();
        for mapped in [false, true] {
            let opened = Index::open(&path, OpenFlags { mapped, ..OpenFlags::default() }).unwrap();
            let info = opened.describe();
            assert_eq!((info.held, info.quantizer, info.format), (Element::U8, coded, format), "{quantizer:?}");
            assert_eq!(found(&opened, &base[7], 40), found(&index, &base[7], 40));
            if !mapped {
                // What is no whole number turns all back.
                let between: Vec<f32> =
                    base[7].as_chunks::<4>().0.iter().map(|v| f32::from_le_bytes(*v) + 0.25).collect();
                opened.insert(9_000_000, &bytes(&between)).unwrap();
                assert_eq!(opened.describe().held, Element::F32);
                assert!(codes_fit(&opened));
                assert_eq!(found(&opened, &bytes(&between), 40)[0], 9_000_000);
            }
        }
    }
}

#[test]
fn what_cannot_be_leaves_the_index_as_it_was() {
    let base = vectors(5, 1200);
    let index = filled(Quantizer::Projected4, &base);
    let answers = |index: &Index| base.iter().map(|vector| found(index, vector, 20)).collect::<Vec<_>>();
    let before = answers(&index);
    let stop = |_, _| true;
    let cancel = BuildOptions { progress: Some(&stop), ..BuildOptions::default() };
    assert_eq!(index.requantize(Quantizer::Projected1, &cancel).unwrap_err().status(), Status::Cancelled);
    for refused in [Quantizer::Bytes, Quantizer::Leading8, Quantizer::Leading8Fine] {
        let error = index.requantize(refused, &BuildOptions::default()).unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
    }
    assert_eq!(index.describe().quantizer, Quantizer::Projected4);
    assert!(answers(&index) == before && codes_fit(&index));

    // None of these can have codes, or others than it has.
    let refused = |options: &Options, status| {
        let index = Index::create(options).unwrap();
        let error = index.requantize(Quantizer::Projected2, &BuildOptions::default()).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
    };
    refused(&Options { metric: Metric::L1, ..options(Quantizer::None) }, Status::Unsupported);
    refused(&options(Quantizer::Bytes), Status::Unsupported);
    let equal = filled(Quantizer::None, &vec![base[0].clone(); 400]);
    let error = equal.requantize(Quantizer::Projected2, &BuildOptions::default()).unwrap_err();
    assert_eq!((error.status(), equal.describe().quantizer), (Status::Argument, Quantizer::None));
}

#[test]
fn an_index_that_is_too_small_gets_such_codes_later() {
    let base = vectors(6, 600);
    let index = filled(Quantizer::None, &base[..100]);
    index.requantize(Quantizer::Projected2, &BuildOptions::default()).unwrap();
    assert_eq!(index.describe().quantizer, Quantizer::None);
    (100..).zip(&base[100..]).for_each(|(key, vector)| index.insert(key, vector).unwrap());
    assert_eq!(index.describe().quantizer, Quantizer::Projected2);
    assert!(codes_fit(&index));
    // And keeps to it when it is cleared.
    index.clear().unwrap();
    let keys: Vec<u64> = (0..600).collect();
    index.insert_batch(&keys, Rows::packed(&base.concat(), 4 * DIMENSIONS), &BuildOptions::default()).unwrap();
    assert_eq!(index.describe().quantizer, Quantizer::Projected2);
}

/// The files of an index whose codes were asked for by several calls at once open again.
fn opens_again(index: &Index) {
    let mut file = Vec::new();
    index.save_to(&mut file).unwrap();
    let opened = Index::open_buffer(&file, OpenFlags::default()).unwrap();
    assert_eq!(opened.describe().quantizer, index.describe().quantizer);
}

#[test]
fn a_cancelled_batch_takes_no_codes_of_another_call_away() {
    let all = vectors(5, 2200);
    let index = Index::create(&options(Quantizer::Auto)).unwrap();
    (0..2000).for_each(|key| index.insert(key as u64, &all[key]).unwrap());
    let keys: Vec<u64> = (5000..5200).collect();
    let changed = AtomicBool::new(false);
    let progress = |at: u64, _: u64| {
        if at > 20 && !changed.swap(true, Ordering::Relaxed) {
            std::thread::scope(|scope| {
                scope.spawn(|| index.requantize(Quantizer::Projected1, &BuildOptions::default()).unwrap());
            });
        }
        at == 200
    };
    let how = BuildOptions { threads: 1, progress: Some(&progress), ..BuildOptions::default() };
    let done = index.insert_batch(&keys, Rows::packed(&all[2000..].concat(), 4 * DIMENSIONS), &how);
    assert_eq!(done.unwrap_err().status(), Status::Cancelled);
    assert!(changed.load(Ordering::Relaxed));
    assert_eq!(index.describe().quantizer, Quantizer::Projected1);
}

#[test]
fn optimising_brings_no_codes_back_that_were_given_up() {
    let index = filled(Quantizer::Auto, &vectors(6, 2200));
    assert_eq!(index.describe().quantizer, Quantizer::Projected4);
    let pin = index.pin();
    let coding = index.core(&pin).coding.read();
    std::thread::scope(|scope| {
        scope.spawn(|| index.requantize(Quantizer::None, &BuildOptions::default()).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(200));
        scope.spawn(|| index.optimize(&BuildOptions::default()).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(coding);
    });
    assert_eq!(index.describe().quantizer, Quantizer::None);
    opens_again(&index);
}

#[test]
fn codes_that_were_imported_are_those_that_were_asked_for_last() {
    let other = Index::create(&options(Quantizer::Projected4)).unwrap();
    let sample = vectors(7, 600).concat();
    other.train(Rows::packed(&sample, 4 * DIMENSIONS), &BuildOptions::default()).unwrap();
    let codec = other.export_codec().unwrap();
    let index = Index::create(&options(Quantizer::Projected4)).unwrap();
    let pin = index.pin();
    let coding = index.core(&pin).coding.read();
    std::thread::scope(|scope| {
        scope.spawn(|| index.requantize(Quantizer::Projected1, &BuildOptions::default()).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(200));
        // Which of the two comes first is left open.
        scope.spawn(|| drop(index.import_codec(&codec)));
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(coding);
    });
    drop(pin);
    opens_again(&index);
}
