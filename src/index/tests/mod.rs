//! Is a durable directory what it says, whatever the disk does? And (`holding`) what goes on while vectors change how they are held?

mod crash;
mod durable;
mod gathering;
mod holding;
mod linking;
mod long_life;
mod refusal;
mod refusal_learning;
mod refusing;

use super::config::{Kind, Options};
use super::{Index, LogOptions};
use crate::disk::simulated::{Random, Simulated};
use crate::util::error::Result;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "/disk";
const PLACE: &str = "/disk/index";
const DIMENSIONS: usize = 4;

/// Keys and what their vectors are made of.
type Model = BTreeMap<u64, u32>;

fn vector(of: u32) -> Vec<u8> {
    (0..DIMENSIONS as u32).flat_map(|i| ((of * 7 + i * 13) as f32).to_le_bytes()).collect()
}

fn options(kind: Kind) -> Options {
    Options { dimensions: DIMENSIONS as u32, kind, m: 4, ef_construction: 20, ..Options::default() }
}

/// Small records and checkpoints all the time, so that a short run meets everything.
fn busy() -> LogOptions {
    LogOptions { threads: 1, checkpoint_bytes: 600, record_bytes: 256, ..LogOptions::default() }
}

fn open(disk: &Simulated, kind: Kind, log: &LogOptions) -> Result<Index> {
    Index::open_directory_on(Arc::new(disk.clone()), Path::new(PLACE), Some(&options(kind)), log)
}

/// What an index holds.
fn content(index: &Index) -> BTreeMap<u64, Vec<u8>> {
    let mut keys = vec![0; index.describe().count as usize];
    assert_eq!(index.keys(&mut keys).unwrap(), keys.len());
    let vector_of = |key| {
        let mut vector = vec![0; index.vector_bytes()];
        index.get(key, &mut vector).unwrap();
        vector
    };
    keys.into_iter().map(|key| (key, vector_of(key))).collect()
}

fn holds(index: &Index, model: &Model) -> bool {
    content(index) == model.iter().map(|(&key, &of)| (key, vector(of))).collect()
}

/// One change, and what it makes of a model.
#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u32),
    Upsert(u64, u32),
    Batch(Vec<(u64, u32)>),
    Remove(u64),
    RemoveBatch(Vec<u64>),
    Clear,
}

impl Step {
    fn random(random: &mut Random) -> Self {
        let (key, of) = (random.below(30) as u64, random.below(1000) as u32);
        match random.below(20) {
            0..6 => Self::Insert(key, of),
            6..12 => Self::Upsert(key, of),
            12..15 => {
                // From one record to several that belong together.
                let count = [2, 5, 40][random.below(3)];
                Self::Batch((0..count).map(|_| (random.below(60) as u64, random.below(1000) as u32)).collect())
            }
            15..18 => Self::Remove(key),
            18 => Self::RemoveBatch((0..random.below(50)).map(|_| random.below(60) as u64).collect()),
            _ => Self::Clear,
        }
    }

    fn apply(&self, model: &mut Model) {
        match self {
            Self::Insert(key, of) => drop(model.entry(*key).or_insert(*of)),
            Self::Upsert(key, of) => drop(model.insert(*key, *of)),
            Self::Batch(rows) => model.extend(rows.iter().copied()),
            Self::Remove(key) => drop(model.remove(key)),
            Self::RemoveBatch(keys) => model.retain(|key, _| !keys.contains(key)),
            Self::Clear => model.clear(),
        }
    }

    /// Does it; that a key is there or not is no error here.
    fn run(&self, index: &Index) -> Result<()> {
        use crate::util::error::Status;
        let done = match self {
            Self::Insert(key, of) => index.insert(*key, &vector(*of)),
            Self::Upsert(key, of) => index.upsert(*key, &vector(*of)),
            Self::Batch(rows) => {
                let keys: Vec<u64> = rows.iter().map(|row| row.0).collect();
                let vectors: Vec<u8> = rows.iter().flat_map(|row| vector(row.1)).collect();
                let options = super::config::BuildOptions { threads: 1, upsert: true, ..Default::default() };
                index.insert_batch(&keys, super::Rows::packed(&vectors, index.vector_bytes()), &options)
            }
            Self::Remove(key) => index.remove(*key),
            Self::RemoveBatch(keys) => index.remove_batch(keys).map(drop),
            Self::Clear => index.clear(),
        };
        match done {
            Err(error) if [Status::Exists, Status::NotFound].contains(&error.status()) => Ok(()),
            done => done,
        }
    }
}
