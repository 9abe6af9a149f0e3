//! A long life at random: does an index hold what a map holds, and answer as a scan of the map does, whatever is called and whatever fails?
//!
//! Insertions, replacements, removals, batches, searches, upkeep, saves and openings in any order; now and then the system refuses memory or the
//! disk fails in the middle of a call. `KITH_STEPS` says how many steps are taken in all (1,000,000 for the record).

use super::refusing::refusing_at;
use crate::disk::simulated::{Fault, Random, Simulated};
use crate::persist;
use crate::util::error::{Error, Result, Status};
use crate::util::pool::Pool;
use crate::{BuildOptions, Filter, Index, Kind, LogOptions, OpenFlags, Options, Quantizer, Rows, SearchOptions};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ROOT: &str = "/disk";
const FILE: &str = "/disk/saved";
const PLACE: &str = "/disk/index";
/// Keys there are, and ways a vector can be.
const KEYS: usize = 700;
const WAYS: usize = 4000;
const STEPS: usize = 12_000;

type Model = BTreeMap<u64, usize>;

/// A world in which an index lives.
#[derive(Clone, Copy, Debug)]
struct World {
    name: &'static str,
    kind: Kind,
    quantizer: Quantizer,
    dimensions: usize,
    graph_from: u64,
    lasting: bool,
}

const WORLDS: [World; 7] = {
    let plain = World {
        name: "flat",
        kind: Kind::Flat,
        quantizer: Quantizer::Auto,
        dimensions: 16,
        graph_from: 0,
        lasting: false,
    };
    let graph = World { name: "graph", kind: Kind::Graph, quantizer: Quantizer::None, ..plain };
    [
        plain,
        graph,
        World { name: "codes", quantizer: Quantizer::Projected4, ..graph },
        World { name: "flat codes", quantizer: Quantizer::Projected4, ..plain },
        // Whole numbers, and few that are not: held as bytes, and turned back.
        World { name: "growing", kind: Kind::Auto, dimensions: 64, graph_from: 200, ..plain },
        World { name: "lasting flat", lasting: true, ..plain },
        World { name: "lasting graph", lasting: true, ..graph },
    ]
};

struct Life {
    world: World,
    random: Random,
    disk: Simulated,
    index: Option<Index>,
    model: Model,
    refused: usize,
    failed: usize,
}

impl World {
    fn options(self) -> Options {
        let Self { kind, quantizer, dimensions, graph_from, .. } = self;
        let dimensions = dimensions as u32;
        Options { dimensions, kind, quantizer, graph_from, m: 6, ef_construction: 30, ..Options::default() }
    }

    fn components(self, of: usize) -> impl Iterator<Item = f32> {
        let mut random = Random(of as u64);
        let half = if of.is_multiple_of(997) { 0.5 } else { 0.0 };
        (0..self.dimensions).map(move |_| random.below(16) as f32 + half)
    }

    fn vector(self, of: usize) -> Vec<u8> {
        self.components(of).flat_map(f32::to_le_bytes).collect()
    }

    /// Exact: halves, squared and added up.
    fn distance(self, a: usize, b: usize) -> f32 {
        self.components(a).zip(self.components(b)).map(|(a, b)| (a - b) * (a - b)).sum()
    }

    fn open(self, disk: &Simulated) -> Result<Index> {
        let log = LogOptions { threads: 1, checkpoint_bytes: 40_000, ..LogOptions::default() };
        Index::open_directory_on(Arc::new(disk.clone()), Path::new(PLACE), Some(&self.options()), &log)
    }
}

/// What a call made of the model, if it took place.
type Change = Box<dyn FnOnce(&mut Model)>;

impl Life {
    fn new(world: World, seed: u64) -> Self {
        let disk = Simulated::with_root(Path::new(ROOT));
        let index = if world.lasting { world.open(&disk) } else { Index::create(&world.options()) };
        let index = Some(index.unwrap());
        Self { world, random: Random(seed), disk, index, model: Model::new(), refused: 0, failed: 0 }
    }

    fn index(&self) -> &Index {
        self.index.as_ref().unwrap()
    }

    fn key(&mut self) -> u64 {
        self.random.below(KEYS) as u64
    }

    /// Makes a call, sometimes without all the memory or files that it asks for.
    fn call(&mut self, call: impl Fn(&Index) -> Result<()>, change: Change) {
        let luck = self.random.below(1000);
        if self.world.lasting && luck < 4 {
            let fault = if luck < 2 { Fault::Once } else { Fault::ForGood };
            self.disk.fail(self.random.below(4), fault);
        }
        let at = if luck >= 850 { self.random.below(4) } else { usize::MAX };
        let ended = refusing_at(at, || call(self.index.as_ref().unwrap()));
        match ended.result {
            Ok(()) => change(&mut self.model),
            Err(error) if error.status() == Status::Memory => {
                assert!(ended.refused, "{error}");
                self.refused += 1;
            }
            Err(error) => self.begin_again(&error, change),
        }
    }

    /// The disk failed: the directory is opened again, with what was acknowledged, and with what was under way or without.
    fn begin_again(&mut self, error: &Error, change: Change) {
        assert!(self.world.lasting, "{}: {error}", self.world.name);
        self.failed += 1;
        self.index = None;
        self.disk = self.disk.settled();
        self.index = Some(self.world.open(&self.disk).unwrap());
        let mut after = self.model.clone();
        change(&mut after);
        let keys = self.keys();
        if !keys.iter().eq(self.model.keys()) || !self.holds(&self.model) {
            self.model = after;
        }
        assert!(self.holds(&self.model), "{}: {error}", self.world.name);
    }

    fn keys(&self) -> Vec<u64> {
        let mut keys = vec![0; KEYS];
        let count = self.index().keys(&mut keys).unwrap();
        keys.truncate(count);
        keys.sort_unstable();
        keys
    }

    fn holds(&self, model: &Model) -> bool {
        let mut vector = vec![0; 4 * self.world.dimensions];
        self.keys().iter().eq(model.keys())
            && model
                .iter()
                .all(|(&key, &of)| self.index().get(key, &mut vector).is_ok() && vector == self.world.vector(of))
    }

    fn step(&mut self) {
        let world = self.world;
        let (key, of) = (self.key(), self.random.below(WAYS));
        match self.random.below(1000) {
            0..250 => {
                let there = self.model.contains_key(&key);
                let insert = move |index: &Index| match index.insert(key, &world.vector(of)) {
                    Err(error) if error.status() == Status::Exists => {
                        if there {
                            Ok(())
                        } else {
                            Err(error)
                        }
                    }
                    Ok(()) => {
                        assert!(!there);
                        Ok(())
                    }
                    done => done,
                };
                self.call(
                    insert,
                    Box::new(move |model| {
                        model.entry(key).or_insert(of);
                    }),
                );
            }
            250..420 => self.call(
                move |index| index.upsert(key, &world.vector(of)),
                Box::new(move |model| {
                    model.insert(key, of);
                }),
            ),
            420..600 => {
                let there = self.model.contains_key(&key);
                let remove = move |index: &Index| match index.remove(key) {
                    Err(error) if error.status() == Status::NotFound && !there => Ok(()),
                    done => done,
                };
                self.call(
                    remove,
                    Box::new(move |model| {
                        model.remove(&key);
                    }),
                );
            }
            600..620 => self.batch(),
            620..630 => {
                let keys: Vec<u64> = (0..self.random.below(60)).map(|_| self.key()).collect();
                let gone = keys.clone();
                let remove = move |index: &Index| index.remove_batch(&keys).map(drop);
                self.call(
                    remove,
                    Box::new(move |model| {
                        gone.iter().for_each(|key| {
                            model.remove(key);
                        });
                    }),
                );
            }
            630..850 => self.search(of),
            850..930 => {
                let mut vector = vec![0; 4 * world.dimensions];
                let got = self.index().get(key, &mut vector).is_ok();
                assert_eq!((got, self.index().contains(key).unwrap()), (self.model.contains_key(&key), got));
                assert!(!got || vector == world.vector(self.model[&key]));
            }
            930..975 => {
                let budget = Duration::from_micros(self.random.below(200) as u64);
                self.call(move |index| index.maintain(budget).map(drop), Box::new(|_| ()));
            }
            975..979 => self.call(|index| index.compact(&one_thread()), Box::new(|_| ())),
            979 => self.call(|index| index.optimize(&one_thread()), Box::new(|_| ())),
            980..985 => self.save_and_open(),
            985..990 => {
                let health = self.index().check().unwrap();
                assert!(health.is_sound() && health.live == self.model.len() as u64, "{}: {health:?}", world.name);
                assert!(self.holds(&self.model), "{}", world.name);
            }
            990 if self.random.below(20) == 0 => self.call(Index::clear, Box::new(Model::clear)),
            _ if world.lasting => self.call(|index| index.checkpoint(), Box::new(|_| ())),
            _ => self.call(|index| index.repair().map(drop), Box::new(|_| ())),
        }
        assert_eq!(self.index().describe().count, self.model.len() as u64, "{}", world.name);
    }

    fn batch(&mut self) {
        let world = self.world;
        let count = [1, 3, 20, 150][self.random.below(4)];
        let rows: Vec<(u64, usize)> = (0..count).map(|_| (self.key(), self.random.below(WAYS))).collect();
        let keys: Vec<u64> = rows.iter().map(|row| row.0).collect();
        let vectors: Vec<u8> = rows.iter().flat_map(|row| world.vector(row.1)).collect();
        let insert =
            move |index: &Index| index.insert_batch(&keys, Rows::packed(&vectors, index.vector_bytes()), &one_thread());
        self.call(insert, Box::new(move |model| model.extend(rows)));
    }

    /// As broad as the index: held against a scan. Else what is found is true, and as much as there must be.
    fn search(&mut self, of: usize) {
        let (world, k) = (self.world, 1 + self.random.below(20));
        let (broad, odd_only) = (self.random.below(2) == 0, self.random.below(4) == 0);
        let odd = |key: u64| key % 2 == 1;
        let filter = odd_only.then_some(Filter::Caller(&odd));
        let options = SearchOptions { ef: if broad { 100_000 } else { 0 }, filter, ..SearchOptions::default() };
        let (mut keys, mut distances) = (vec![0; k], vec![0.0; k]);
        let query = world.vector(of);
        let at = if self.random.below(20) == 0 { self.random.below(4) } else { usize::MAX };
        let ended =
            refusing_at(at, || self.index.as_ref().unwrap().search(&query, &mut keys, Some(&mut distances), &options));
        let found = match ended.result {
            Err(error) => {
                assert!(ended.refused && error.status() == Status::Memory, "{error}");
                self.refused += 1;
                return;
            }
            Ok(found) => found,
        };
        let passing = self.model.iter().filter(|(key, _)| !odd_only || odd(**key));
        let mut all: Vec<(f32, u64)> = passing.map(|(&key, &there)| (world.distance(of, there), key)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        assert_eq!(found, k.min(all.len()), "{}", world.name);
        let hits: Vec<(f32, u64)> = distances.iter().copied().zip(keys).take(found).collect();
        if broad || world.kind == Kind::Flat && world.quantizer == Quantizer::Auto {
            assert_eq!(hits, all[..found], "{}", world.name);
        } else {
            assert!(hits.windows(2).all(|pair| pair[0] < pair[1]) && hits.iter().all(|hit| all.contains(hit)));
        }
    }

    /// A file that is written whole or not at all, and what it opens to; the life goes on with that.
    fn save_and_open(&mut self) {
        let path = Path::new(FILE);
        let fails = self.random.below(3) == 0;
        if fails {
            self.disk.fail(self.random.below(12), Fault::Once);
        }
        let saved = {
            let index = self.index();
            let pin = index.pin();
            let (core, snapshot) = index.snapshot(&pin).unwrap();
            persist::save_on(Arc::new(self.disk.clone()), &snapshot.image(core), path)
        };
        if self.world.lasting {
            // What failed may have been the index's own.
            return self.begin_again(&Error::internal("closed"), Box::new(|_| ()));
        }
        assert!(saved.is_ok() || fails);
        self.failed += usize::from(saved.is_err());
        // Calls that did not come to pass must not fail later.
        self.disk = self.disk.settled();
        if saved.is_ok() {
            let source = crate::disk::Disk::read(&self.disk, path).unwrap();
            let flags = OpenFlags { one_thread: true, ..OpenFlags::default() };
            let pool = Pool::default();
            let opened = persist::open_from(&*source, flags, &pool).unwrap();
            self.index = Some(Index::opened(opened, flags, pool).unwrap());
            assert!(self.holds(&self.model), "{}", self.world.name);
        }
    }
}

fn one_thread() -> BuildOptions<'static> {
    BuildOptions { threads: 1, upsert: true, ..BuildOptions::default() }
}

fn live(name: &str) {
    let world = *WORLDS.iter().find(|world| world.name == name).unwrap();
    let steps = std::env::var("KITH_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(STEPS);
    let mut life = Life::new(world, 77);
    for _ in 0..steps / WORLDS.len() {
        life.step();
    }
    assert!(life.holds(&life.model) && life.index().check().unwrap().is_sound(), "{}", world.name);
    // What is meant to go wrong did.
    let refused = life.refused > 0 || world.kind == Kind::Flat;
    assert!(steps < STEPS || refused && life.failed > 0, "{}: {} {}", world.name, life.refused, life.failed);
    if std::env::var_os("KITH_STEPS").is_some() {
        let told = format!("{}: {} refusals, {} failures of the disk\n", world.name, life.refused, life.failed);
        std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes()).unwrap();
    }
}

#[test]
fn flat() {
    live("flat");
}

#[test]
fn a_graph() {
    live("graph");
}

#[test]
fn with_codes() {
    live("codes");
}

#[test]
fn flat_with_codes() {
    live("flat codes");
}

#[test]
fn growing_into_a_graph() {
    live("growing");
}

#[test]
fn a_lasting_flat_one() {
    live("lasting flat");
}

#[test]
fn a_lasting_graph() {
    live("lasting graph");
}
