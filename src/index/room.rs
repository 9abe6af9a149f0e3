//! How does an index of fixed capacity never hold more than that, with any number of threads adding at once?
//!
//! A call that adds announces the most it could add and goes on beside others if all that is there and announced fits. Near the limit that
//! says too little: upserts may replace, calls may fail. There calls add one at a time, and each counts what is really new.

use super::Index;
use crate::util::error::{Error, Result, Status};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// The limit of an index, and who is adding to it.
#[derive(Debug)]
pub(super) struct Room {
    limit: AtomicU64,
    /// The most that calls which share `adding` may add between them.
    announced: AtomicU64,
    /// Shared by calls that fit whatever the others do; alone where what is new must be counted, or the limit changes.
    adding: RwLock<()>,
}

/// Leave to add. Given back when the vectors are live, or never will be.
#[derive(Debug)]
pub(super) enum Admission<'a> {
    /// Beside others, up to so many.
    Shared { room: &'a Room, most: u64, _adding: RwLockReadGuard<'a, ()> },
    /// While nobody else adds.
    Alone { _adding: RwLockWriteGuard<'a, ()> },
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Self::Shared { room, most, .. } = self {
            room.announced.fetch_sub(*most, Ordering::SeqCst);
        }
    }
}

impl Room {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit: AtomicU64::new(limit), announced: AtomicU64::new(0), adding: RwLock::new(()) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::SeqCst)
    }

    /// Changes the limit, if it is not less than what is there.
    fn resize(&self, limit: u64, live: impl FnOnce() -> u64) -> Result<()> {
        let _alone = self.adding.write();
        let live = live();
        if limit < live {
            return Err(Error::new(
                Status::Full,
                format!("capacity is {limit}, the index holds {live} vectors; its capacity is fixed"),
            ));
        }
        self.limit.store(limit, Ordering::SeqCst);
        Ok(())
    }

    fn admit(&self, most: u64, live: impl Fn() -> u64, new: impl FnOnce() -> Result<u64>) -> Result<Admission<'_>> {
        let shared = self.adding.read();
        // Announced before what is there is counted, and taken back after it became live: whoever counts sees it once at least.
        let announced = self.announced.fetch_add(most, Ordering::SeqCst).saturating_add(most);
        let admission = Admission::Shared { room: self, most, _adding: shared };
        if live().saturating_add(announced) <= self.limit() {
            return Ok(admission);
        }
        drop(admission);
        let alone = self.adding.write();
        let (live, new, limit) = (live(), new()?, self.limit());
        if live.saturating_add(new) <= limit {
            return Ok(Admission::Alone { _adding: alone });
        }
        Err(Error::new(
            Status::Full,
            format!("the index holds {live} vectors, {new} more do not fit: its capacity is fixed at {limit}"),
        ))
    }
}

impl Index {
    /// Leave to add vectors under these keys, as long as the result lives, if the index has a limit. Changes of the limit and of what is
    /// there by others wait, or are such that the limit holds.
    pub(super) fn make_room(&self, keys: &[u64]) -> Result<Option<Admission<'_>>> {
        let Some(room) = &self.room else { return Ok(None) };
        let live = || {
            let pin = self.pin();
            self.core(&pin).store(&pin).live()
        };
        let new = || {
            let pin = self.pin();
            let store = self.core(&pin).store(&pin);
            let mut absent = HashSet::new();
            absent.try_reserve(keys.len()).map_err(|_| Error::memory(8 * keys.len()))?;
            absent.extend(keys.iter().copied().filter(|&key| store.find(key, &pin).is_none()));
            Ok(absent.len() as u64)
        };
        room.admit(keys.len() as u64, live, new).map(Some)
    }

    /// Changes the limit of an index that has one; says whether it has.
    pub(super) fn resize_room(&self, limit: u64) -> Result<bool> {
        let Some(room) = &self.room else { return Ok(false) };
        let live = || {
            let pin = self.pin();
            self.core(&pin).store(&pin).live()
        };
        room.resize(limit, live).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildOptions, Kind, OpenFlags, Options, Rows};
    use std::sync::atomic::AtomicBool;

    fn index(capacity: u64, kind: Kind) -> Index {
        let options =
            Options { dimensions: 1, kind, capacity, fixed_capacity: true, keep_removed: true, ..Options::default() };
        Index::create(&options).unwrap()
    }

    fn vector(key: u64) -> [u8; 4] {
        (key as f32).to_le_bytes()
    }

    fn insert(index: &Index, key: u64) -> Result<()> {
        index.insert(key, &vector(key))
    }

    fn status<T: std::fmt::Debug>(result: Result<T>) -> Status {
        result.unwrap_err().status()
    }

    #[test]
    fn a_full_index_takes_nothing_new_until_there_is_room() {
        for kind in [Kind::Flat, Kind::Graph] {
            let index = index(3, kind);
            (0..3).for_each(|key| insert(&index, key).unwrap());
            assert_eq!(status(insert(&index, 3)), Status::Full);
            assert_eq!(status(insert(&index, 2)), Status::Exists);
            assert_eq!(status(index.upsert(3, &vector(3))), Status::Full);
            index.upsert(2, &vector(20)).unwrap();
            assert_eq!((index.describe().count, index.describe().capacity), (3, 3));
            index.remove(1).unwrap();
            insert(&index, 3).unwrap();
            assert_eq!(status(index.undelete(1)), Status::Full);
            index.remove(0).unwrap();
            index.undelete(1).unwrap();
            assert!(index.contains(1).unwrap() && !index.contains(0).unwrap());
            assert_eq!(status(index.reserve(2)), Status::Full);
            index.reserve(4).unwrap();
            insert(&index, 5).unwrap();
            index.clear().unwrap();
            (10..14).for_each(|key| insert(&index, key).unwrap());
            assert_eq!(status(insert(&index, 14)), Status::Full);
        }
        let none = index(0, Kind::Graph);
        assert_eq!((status(insert(&none, 1)), none.describe().capacity), (Status::Full, 0));
    }

    #[test]
    fn a_batch_fits_whole_or_not_at_all() {
        let index = index(5, Kind::Graph);
        let batch = |keys: &[u64], upsert| {
            let rows: Vec<u8> = keys.iter().flat_map(|&key| vector(key)).collect();
            let options = BuildOptions { upsert, ..BuildOptions::default() };
            index.insert_batch(keys, Rows::packed(&rows, 4), &options)
        };
        batch(&[1, 2, 3], false).unwrap();
        assert_eq!(status(batch(&[4, 5, 6], false)), Status::Full);
        assert_eq!((index.describe().count, index.contains(4).unwrap()), (3, false));
        // Two that are new, whatever the rest is.
        batch(&[1, 2, 3, 4, 4, 5, 1], true).unwrap();
        assert_eq!(index.describe().count, 5);
        assert_eq!(status(batch(&[1, 6], true)), Status::Full);
        batch(&[5, 4, 3], true).unwrap();
        assert_eq!(status(batch(&[5], false)), Status::Exists);
    }

    #[test]
    fn files_hold_the_capacity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fixed");
        for kind in [Kind::Flat, Kind::Graph] {
            let made = index(3, kind);
            insert(&made, 1).unwrap();
            made.reserve(2).unwrap();
            made.save(&path).unwrap();
            let info = Index::file_info(&path).unwrap();
            assert_eq!((info.format, info.capacity, info.fixed_capacity), (6, 2, true));
            let again = Index::open(&path, OpenFlags::default()).unwrap();
            assert_eq!((again.describe().capacity, again.describe().fixed_capacity), (2, true));
            insert(&again, 2).unwrap();
            assert_eq!(status(insert(&again, 3)), Status::Full);
        }
    }

    #[test]
    fn threads_never_get_more_in_and_never_less() {
        const LIMIT: u64 = 200;
        for round in 0..20 {
            let index = index(LIMIT, Kind::Flat);
            let done = AtomicBool::new(false);
            let added = std::thread::scope(|scope| {
                let adders: Vec<_> = (0..4)
                    .map(|thread| {
                        let index = &index;
                        scope.spawn(move || {
                            // Beside new keys, those of the neighbours: whoever comes first adds them.
                            (0..100)
                                .filter(|i| index.upsert(thread * 75 + i, &vector(*i)).is_ok())
                                .map(|i| thread * 75 + i)
                                .collect::<Vec<u64>>()
                        })
                    })
                    .collect();
                let watcher = scope.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        assert!(index.describe().count <= LIMIT);
                    }
                });
                let added: Vec<u64> = adders.into_iter().flat_map(|adder| adder.join().unwrap()).collect();
                done.store(true, Ordering::Release);
                watcher.join().unwrap();
                added
            });
            // 325 different keys were tried, so the index is full; and who was told that a key is in finds it.
            assert_eq!(index.describe().count, LIMIT, "round {round}");
            assert!(added.iter().all(|&key| index.contains(key).unwrap()));
        }
    }
}
