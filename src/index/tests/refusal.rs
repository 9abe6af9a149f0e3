//! What if the system refuses memory? The call says so, and the index is as it was: tried for every allocation of every call.
//!
//! Tried for allocations from `refusing::LEAST` bytes on, but for some that are bounded, whatever the index holds (`only_known_places`). Smaller
//! ones are few and bounded, too: nodes of the epochs, sentences of errors, names of files, what rayon and the standard library keep. Rust
//! ends the process where such a one fails.

use super::refusing::{Ended, granted_places, refusing_at};
use crate::disk::simulated::Simulated;
use crate::distance::Element;
use crate::util::error::{Result, Status};
use crate::{BuildOptions, Index, Kind, LogOptions, OpenFlags, Options, Quantizer, Rows, SearchOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) const DIMENSIONS: u32 = 64;
const FEW: u64 = 400;

/// Keys and what their vectors are made of.
pub(super) type Model = BTreeMap<u64, u64>;

pub(super) fn vector(of: u64, whole: bool) -> Vec<u8> {
    let mut state = of.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut component = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as f32 + if whole { 0.0 } else { 0.25 }
    };
    (0..DIMENSIONS).flat_map(|_| component().to_le_bytes()).collect()
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) quantizer: Quantizer,
    pub(super) whole: bool,
    pub(super) held: Element,
}

pub(super) const CASES: [Case; 10] = {
    let flat = Case { kind: Kind::Flat, quantizer: Quantizer::Auto, whole: false, held: Element::F32 };
    let graph = Case { kind: Kind::Graph, quantizer: Quantizer::None, ..flat };
    // These are in the middle of moving into a graph.
    let moving = Case { kind: Kind::Auto, ..flat };
    [
        flat,
        graph,
        Case { quantizer: Quantizer::Projected4, ..graph },
        Case { quantizer: Quantizer::Auto, whole: true, ..graph },
        Case { quantizer: Quantizer::Bytes, ..graph },
        Case { quantizer: Quantizer::Projected4, ..flat },
        // Whole numbers below 256 stay what they are in both.
        Case { held: Element::F16, whole: true, ..graph },
        Case { held: Element::Bf16, whole: true, quantizer: Quantizer::Projected4, ..graph },
        Case { quantizer: Quantizer::Projected4, ..moving },
        Case { whole: true, ..moving },
    ]
};

/// Keys that bring an index of kind auto so far that it moves.
const LATER: std::ops::Range<u64> = 10_000..10_000 + FEW / 2;

impl Case {
    pub(super) fn options(self) -> Options {
        let Self { kind, quantizer, held, .. } = self;
        let graph_from = if kind == Kind::Auto { FEW + 1 } else { 0 };
        Options { dimensions: DIMENSIONS, kind, quantizer, held, graph_from, ef_construction: 40, ..Options::default() }
    }

    /// Opens what [`Case::seasoned`] gave, for calls to be refused something.
    pub(super) fn open(self, bytes: &[u8], model: &mut Model) -> Index {
        let index = open(bytes).unwrap();
        if self.kind == Kind::Auto {
            for key in LATER {
                let began = is_moving(&index);
                index.insert(key, &vector(key, self.whole)).unwrap();
                model.insert(key, key);
                if began {
                    break;
                }
            }
            // Some are linked, not all.
            let pin = index.pin();
            let (core, graph) = (index.core(&pin), index.core(&pin).graph.as_ref().unwrap());
            let linked = (0..core.store(&pin).slots()).filter(|&slot| graph.is_linked(slot)).count();
            assert!(is_moving(&index) && linked > 10 && linked < 400, "{linked}");
        }
        index
    }

    pub(super) fn batch(self, index: &Index, keys: impl Iterator<Item = u64>) -> Result<()> {
        let keys: Vec<u64> = keys.collect();
        let data: Vec<u8> = keys.iter().flat_map(|&key| vector(key, self.whole)).collect();
        index.insert_batch(&keys, Rows::packed(&data, index.vector_bytes()), &one_thread())
    }

    /// An index as it is in the middle of its life, and what it holds.
    pub(super) fn seasoned(self) -> (Vec<u8>, Model) {
        let index = Index::create(&self.options()).unwrap();
        self.batch(&index, 0..FEW).unwrap();
        for key in 0..FEW / 4 {
            index.remove(key * 3).unwrap();
        }
        let model = (0..FEW).filter(|key| *key >= FEW / 4 * 3 || key % 3 > 0).map(|key| (key, key)).collect();
        let mut bytes = Vec::new();
        index.save_to(&mut bytes).unwrap();
        (bytes, model)
    }
}

fn is_moving(index: &Index) -> bool {
    let pin = index.pin();
    index.core(&pin).growth.is_moving()
}

pub(super) fn one_thread() -> BuildOptions<'static> {
    BuildOptions { threads: 1, upsert: true, ..BuildOptions::default() }
}

fn open(bytes: &[u8]) -> Result<Index> {
    Index::open_buffer(bytes, OpenFlags { one_thread: true, ..OpenFlags::default() })
}

pub(super) fn agrees(case: Case, index: &Index, model: &Model, what: &str) {
    let mut keys = vec![0; model.len() + 1];
    assert_eq!(index.keys(&mut keys).unwrap(), model.len(), "{case:?} {what}");
    keys.truncate(model.len());
    keys.sort_unstable();
    assert!(keys.iter().eq(model.keys()), "{case:?} {what}");
    let mut there = vec![0; index.vector_bytes()];
    for (&key, &of) in model {
        index.get(key, &mut there).unwrap();
        assert!(case.quantizer == Quantizer::Bytes || there == vector(of, case.whole), "{case:?} {what}: {key}");
    }
    if let Some(audit) = index.audit() {
        assert_eq!(audit.faults, 0, "{case:?} {what}: {:?}", audit.texts);
    }
    // No slot is forgotten, no key left behind.
    let health = index.check().unwrap();
    assert!(health.is_sound(), "{case:?} {what}: {health:?}");
    // A search of all finds all.
    let mut found = vec![0; model.len().max(1)];
    let all = SearchOptions { ef: 100_000, ..SearchOptions::default() };
    assert_eq!(index.search(&vector(1, case.whole), &mut found, None, &all).unwrap(), model.len(), "{case:?} {what}");
}

/// Has a call refused each allocation in turn, on an index that is made anew each time. `change` is what the call does to the model.
pub(super) fn each_refused(case: Case, what: &str, call: &dyn Fn(&Index) -> Result<()>, change: &dyn Fn(&mut Model)) {
    let (bytes, mut before) = case.seasoned();
    drop(case.open(&bytes, &mut before));
    let mut after = before.clone();
    change(&mut after);
    for number in 0.. {
        let index = case.open(&bytes, &mut Model::new());
        let what = format!("{what}, allocation {number}");
        let Ended { result, refused, reached } = refusing_at(number, || call(&index));
        match result {
            Ok(()) => agrees(case, &index, &after, &what),
            Err(error) => {
                assert!(refused && error.status() == Status::Memory, "{case:?} {what}: {error}");
                agrees(case, &index, &before, &what);
                call(&index).unwrap_or_else(|error| panic!("{case:?} {what}, again: {error}"));
                agrees(case, &index, &after, &what);
            }
        }
        if !reached {
            break;
        }
    }
    only_known_places();
}

/// Where allocations of more than [`super::refusing::LEAST`] bytes cannot be refused: none of them grows with the index. Buffers of
/// a thread that builds, for so many vectors at a time; those for what was learnt; a query; a piece of a record; the first candidates of a walk.
pub(super) fn only_known_places() {
    const KNOWN: [&str; 20] = [
        "build/bulk/carve.rs",
        "build/bulk/codes.rs",
        "build/bulk/guard.rs",
        "build/bulk/leaf.rs",
        "build/bulk/prune.rs",
        "build/bulk/sketch.rs",
        "build/bulk/source.rs",
        "build/bulk/twins.rs",
        "disk/simulated.rs",
        "distance/tile.rs",
        "distance/tile/nearest.rs",
        "index/coding.rs",
        "index/directory.rs",
        "journal/record.rs",
        "quant/blob.rs",
        "search/flat.rs",
        "search/frontier.rs",
        "util/memory.rs",
        "quant/mod.rs",
        "quant/subspace.rs",
    ];
    let unknown: Vec<String> = granted_places().into_iter().filter(|place| !KNOWN.contains(&place.as_str())).collect();
    assert!(unknown.is_empty(), "memory that cannot be refused is asked for in {unknown:?}");
}

#[test]
fn creating_and_opening() {
    for case in CASES {
        let (bytes, model) = case.seasoned();
        let options = Options { capacity: 5_000, ..case.options() };
        for number in 0.. {
            let made = refusing_at(number, || Index::create(&options));
            assert!(made.result.is_ok_and(|index| index.describe().count == 0) || made.refused);
            let opened = refusing_at(number, || open(&bytes));
            match opened.result {
                Ok(index) => agrees(case, &index, &model, "opening"),
                Err(error) => assert!(opened.refused && error.status() == Status::Memory, "{case:?}: {error}"),
            }
            if !made.reached && !opened.reached {
                break;
            }
        }
    }
    only_known_places();
}

#[test]
fn single_changes() {
    for case in CASES {
        let new = vector(5_000, case.whole);
        each_refused(case, "insert", &|index| index.insert(5_000, &new), &|model| {
            model.insert(5_000, 5_000);
        });
        each_refused(case, "upsert", &|index| index.upsert(350, &new), &|model| {
            model.insert(350, 5_000);
        });
        each_refused(
            case,
            "remove",
            &|index| if index.contains(350)? { index.remove(350) } else { Ok(()) },
            &|model| {
                model.remove(&350);
            },
        );
        each_refused(case, "reserve", &|index| index.reserve(3_000), &|_| ());
        each_refused(case, "clear", &|index| index.clear(), &Model::clear);
    }
}

#[test]
fn the_first_of_an_empty_graph() {
    // At degree 2 every other slot has rows above level 0.
    let options =
        Options { dimensions: DIMENSIONS, kind: Kind::Graph, m: 2, quantizer: Quantizer::None, ..Options::default() };
    let new: Vec<Vec<u8>> = (0..60).map(|key| vector(key, false)).collect();
    for number in 0.. {
        let index = Index::create(&options).unwrap();
        let insert = |key: u64| index.insert(key, &new[key as usize]);
        let Ended { result, refused, reached } = refusing_at(number, || (0..60).try_for_each(insert));
        assert!(result.is_ok() || refused && result.is_err_and(|error| error.status() == Status::Memory));
        (0..60).filter(|&key| !index.contains(key).unwrap()).for_each(|key| insert(key).unwrap());
        let audit = index.audit().unwrap();
        assert_eq!((audit.faults, audit.linked), (0, 60), "allocation {number}: {:?}", audit.texts);
        if !reached {
            break;
        }
    }
    only_known_places();
}

#[test]
fn what_fits_bytes_no_more() {
    let new = vector(5_000, false);
    let call = |index: &Index| {
        index.insert(5_000, &new)?;
        index.remove(5_000)
    };
    each_refused(CASES[3], "a wide vector", &call, &|_| ());
}

#[test]
fn batches() {
    for case in CASES {
        for (name, keys) in [("small batch", 380..480_u64), ("large batch", 1_000..2_200)] {
            let keys: Vec<u64> = keys.collect();
            let data: Vec<u8> = keys.iter().flat_map(|&key| vector(key, case.whole)).collect();
            let call =
                |index: &Index| index.insert_batch(&keys, Rows::packed(&data, 4 * DIMENSIONS as usize), &one_thread());
            each_refused(case, name, &call, &|model| model.extend(keys.iter().map(|&key| (key, key))));
        }
    }
}

#[test]
fn upkeep() {
    for case in CASES {
        each_refused(case, "maintain", &|index| index.maintain(Duration::MAX).map(drop), &|_| ());
        each_refused(case, "compact", &|index| index.compact(&one_thread()), &|_| ());
        each_refused(case, "optimize", &|index| index.optimize(&one_thread()), &|_| ());
        each_refused(case, "repair", &|index| index.repair().map(drop), &|_| ());
    }
}

#[test]
fn searches_and_saves() {
    for case in CASES {
        let query: Vec<u8> = (0..70).flat_map(|of| vector(of, case.whole)).collect();
        let size = 4 * DIMENSIONS as usize;
        let search =
            |index: &Index| index.search(&query[..size], &mut [0; 10], None, &SearchOptions::default()).map(drop);
        each_refused(case, "search", &search, &|_| ());
        let wide = SearchOptions { ef: 3_000, ..SearchOptions::default() };
        let mut keys = vec![0; 300];
        let keys = std::cell::RefCell::new(&mut keys);
        let search = |index: &Index| index.search(&query[..size], &mut keys.borrow_mut(), None, &wide).map(drop);
        each_refused(case, "wide search", &search, &|_| ());
        let all = std::cell::RefCell::new(vec![0; 700]);
        let search = |index: &Index| {
            let options = SearchOptions { threads: 1, ..SearchOptions::default() };
            index.search_batch(Rows::packed(&query, size), 10, &mut all.borrow_mut(), None, None, &options)
        };
        each_refused(case, "batch of searches", &search, &|_| ());
        let room = std::cell::RefCell::new(Vec::with_capacity(1 << 20));
        let save = |index: &Index| {
            room.borrow_mut().clear();
            index.save_to(&mut *room.borrow_mut())?;
            Ok(())
        };
        each_refused(case, "save", &save, &|_| ());
    }
}

#[test]
fn directories() {
    let (root, place) = (Path::new("/disk"), Path::new("/disk/index"));
    let log = LogOptions { threads: 1, checkpoint_bytes: 20_000, ..LogOptions::default() };
    for case in &CASES[..2] {
        let case = *case;
        let open =
            |disk: &Simulated| Index::open_directory_on(Arc::new(disk.clone()), place, Some(&case.options()), &log);
        let keys: Vec<u64> = (0..60).collect();
        let data: Vec<u8> = keys.iter().flat_map(|&key| vector(key, case.whole)).collect();
        let disk = Simulated::with_root(root);
        let mut before = Model::new();
        {
            let index = open(&disk).unwrap();
            index.insert_batch(&keys, Rows::packed(&data, index.vector_bytes()), &one_thread()).unwrap();
            index.remove(7).unwrap();
        }
        before.extend(keys.iter().filter(|key| **key != 7).map(|&key| (key, key)));
        let new = vector(5_000, case.whole);
        type Call<'a> = (&'a str, &'a dyn Fn(&Index) -> Result<()>, &'a dyn Fn(&mut Model));
        let calls: [Call<'_>; 4] = [
            ("insert", &|index| index.insert(5_000, &new), &|model| {
                model.insert(5_000, 5_000);
            }),
            (
                "batch",
                &|index| index.insert_batch(&keys, Rows::packed(&data, index.vector_bytes()), &one_thread()),
                &|model| {
                    model.insert(7, 7);
                },
            ),
            ("remove", &|index| index.remove_batch(&[9]).map(drop), &|model| {
                model.remove(&9);
            }),
            ("checkpoint", &|index| index.checkpoint(), &|_| ()),
        ];
        for (what, call, change) in calls {
            let mut after = before.clone();
            change(&mut after);
            for number in 0.. {
                let disk = disk.settled();
                // Opening, too.
                let opened = refusing_at(number, || open(&disk).map(drop));
                assert!(opened.result.is_ok() || opened.refused);
                let index = open(&disk).unwrap();
                let Ended { result, reached, refused } = refusing_at(number, || call(&index));
                assert!(result.is_ok() || refused, "{what}: {result:?}");
                let now = if result.is_ok() { &after } else { &before };
                agrees(case, &index, now, &format!("{what} {number}"));
                drop(index);
                // What was acknowledged is there; what was refused may not come back by itself.
                agrees(case, &open(&disk).unwrap(), now, &format!("{what} {number}, opened again"));
                if !reached && !opened.reached {
                    break;
                }
            }
        }
    }
}
