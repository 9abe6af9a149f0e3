//! Which slot holds a key? A sharded open-addressing table of slots; the keys themselves lie in the store.
//!
//! A cell is an atomic u32: a slot, `EMPTY`, or `GONE` (a removed entry that probes pass over). Readers probe without a lock under
//! an epoch pin; writers hold their shard's lock. A shard that is full is copied into a larger table, which readers see by one
//! pointer; the old table is freed when the last reader of it has left.
//!
//! Invariant: before a slot enters a cell its key stands in the store, and it does not change while the slot is in the table.

use crate::util::epoch::{Atomic, Guard, Owned};
use crate::util::error::{Error, Result};
use crate::util::memory::prefetch;
use crate::util::sync::{AtomicU32, Mutex, MutexGuard, Ordering};

const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;
const EMPTY: u32 = u32::MAX;
const GONE: u32 = u32::MAX - 1;
const SMALLEST: usize = 8;

#[derive(Debug)]
struct Table {
    cells: Box<[AtomicU32]>,
}

impl Table {
    fn new(cells: usize) -> Result<Self> {
        let mut room = Vec::new();
        room.try_reserve_exact(cells).map_err(|_| Error::memory(cells * size_of::<AtomicU32>()))?;
        room.resize_with(cells, || AtomicU32::new(EMPTY));
        Ok(Self { cells: room.into_boxed_slice() })
    }

    fn mask(&self) -> usize {
        self.cells.len() - 1
    }
}

/// What a shard's lock protects, besides the right to write its table.
#[derive(Debug, Default)]
struct Counts {
    /// Cells that hold a slot.
    held: usize,
    /// Cells that are not `EMPTY`: held or gone.
    used: usize,
}

#[derive(Debug)]
struct Shard {
    counts: Mutex<Counts>,
    table: Atomic<Table>,
}

/// Key to slot.
#[derive(Debug)]
pub(crate) struct KeyMap {
    shards: Box<[Shard]>,
    /// Random, so that nobody can choose keys (in a file, say) that all land in one place and make every probe a scan.
    seed: u64,
}

/// Murmur3's finaliser: every bit of the key and of the seed moves every bit of the hash.
fn hash(key: u64, seed: u64) -> u64 {
    let mut h = key ^ seed;
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

fn shard_of(hash: u64) -> usize {
    (hash >> (64 - SHARD_BITS)) as usize
}

impl KeyMap {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Shard { counts: Mutex::default(), table: Atomic::null() }).collect();
        Self { shards, seed: crate::util::sync::random() }
    }

    /// The slot of a key. `key_of` reads a slot's key from the store. Takes no lock.
    pub(crate) fn find(&self, key: u64, key_of: impl Fn(u32) -> u64, guard: &Guard) -> Option<u32> {
        let hash = hash(key, self.seed);
        let table = self.shards[shard_of(hash)].table.load(Ordering::Acquire, guard);
        // SAFETY: the pointer is null or a table that is freed through the collector of `guard` only.
        let table = unsafe { table.as_ref() }?;
        probe(table, hash, key, key_of).map(|(_, slot)| slot)
    }

    /// Locks the shard of a key for changing.
    pub(crate) fn lock<'a>(&'a self, key: u64, guard: &'a Guard) -> Locked<'a> {
        let hash = hash(key, self.seed);
        let shard = &self.shards[shard_of(hash)];
        Locked { shard, counts: shard.counts.lock(), key, hash, seed: self.seed, guard }
    }

    /// Makes room for about `keys` keys in all, so that entering them copies no table.
    pub(crate) fn reserve(&self, keys: usize, guard: &Guard) -> Result<()> {
        // Shards get equal shares but for chance.
        let share = keys / SHARDS + keys / SHARDS / 16 + 1;
        for shard in &self.shards {
            let counts = shard.counts.lock();
            let mut locked = Locked { shard, counts, key: 0, hash: 0, seed: self.seed, guard };
            if locked.counts.used == 0 {
                locked.rebuild(share, |_| 0)?;
            }
        }
        Ok(())
    }

    /// Copies tables that are far larger than their keys need into smaller ones, where there is memory for them.
    pub(crate) fn shrink(&self, key_of: impl Fn(u32) -> u64, guard: &Guard) {
        for shard in &self.shards {
            let counts = shard.counts.lock();
            let mut locked = Locked { shard, counts, key: 0, hash: 0, seed: self.seed, guard };
            let held = locked.counts.held;
            if locked.table().is_some_and(|table| table.cells.len() > 4 * (held * 2).next_power_of_two().max(SMALLEST))
            {
                // A refusal leaves the larger one.
                drop(locked.rebuild(held, &key_of));
            }
        }
    }

    /// Asks the processor to fetch the cell where the search for a key begins.
    #[inline]
    pub(crate) fn prefetch(&self, key: u64, guard: &Guard) {
        let hash = hash(key, self.seed);
        let table = self.shards[shard_of(hash)].table.load(Ordering::Acquire, guard);
        // SAFETY: as in `find`.
        if let Some(table) = unsafe { table.as_ref() } {
            prefetch(table.cells.as_ptr().wrapping_add(hash as usize & table.mask()).cast());
        }
    }

    /// Bytes held by the tables.
    pub(crate) fn bytes(&self, guard: &Guard) -> usize {
        let tables = self.shards.iter().map(|shard| {
            let table = shard.table.load(Ordering::Acquire, guard);
            // SAFETY: as in `find`.
            unsafe { table.as_ref() }.map_or(0, |table| table.cells.len() * size_of::<AtomicU32>())
        });
        tables.sum::<usize>() + self.shards.len() * size_of::<Shard>()
    }
}

impl KeyMap {
    /// Keys that are in.
    pub(crate) fn held(&self) -> usize {
        self.shards.iter().map(|shard| shard.counts.lock().held).sum()
    }

    /// The memory that so many keys take which came one after the other, but for chance.
    pub(crate) fn planned(keys: usize) -> usize {
        let share = keys as f64 / SHARDS as f64;
        let mut cells = SMALLEST as f64;
        while share > cells * 0.875 {
            cells *= 2.0;
        }
        // Shards hold more and less than their share, by about its root: some have the next larger table, or still the one before.
        let above = |room: f64| 1.0 / (1.0 + (1.7 * (room + 0.5 - share) / share.sqrt().max(1e-9)).exp());
        let mean = cells * (1.0 + above(0.875 * cells) - (1.0 - above(0.4375 * cells)) / 2.0);
        (SHARDS as f64 * mean) as usize * size_of::<AtomicU32>()
    }

    /// The most memory that so many more keys can add, while the tables that are copied are still there.
    pub(crate) fn growth(&self, keys: usize, guard: &Guard) -> usize {
        let mut grown = 0;
        for shard in &self.shards {
            let held = shard.counts.lock().held;
            let table = shard.table.load(Ordering::Acquire, guard);
            // SAFETY: as in `find`.
            let cells = unsafe { table.as_ref() }.map_or(0, |table| table.cells.len());
            // A share, and some for chance.
            let share = held + 1 + keys.div_ceil(SHARDS) + keys / SHARDS / 8;
            if share * 8 > cells * 7 {
                grown += (share * 2).next_power_of_two().max(SMALLEST) * size_of::<AtomicU32>();
            }
        }
        grown
    }
}

impl Drop for KeyMap {
    fn drop(&mut self) {
        for shard in &mut self.shards {
            let table = std::mem::replace(&mut shard.table, Atomic::null());
            // SAFETY: `&mut self`: no reader is left; a non-null table is owned by this shard alone.
            drop(unsafe { table.try_into_owned() });
        }
    }
}

/// Cell and slot of a key.
fn probe(table: &Table, hash: u64, key: u64, key_of: impl Fn(u32) -> u64) -> Option<(usize, u32)> {
    let mut cell = hash as usize & table.mask();
    loop {
        match table.cells[cell].load(Ordering::Acquire) {
            EMPTY => return None,
            GONE => {}
            slot if key_of(slot) == key => return Some((cell, slot)),
            _ => {}
        }
        cell = (cell + 1) & table.mask();
    }
}

/// A key whose shard is locked.
pub(crate) struct Locked<'a> {
    shard: &'a Shard,
    counts: MutexGuard<'a, Counts>,
    key: u64,
    hash: u64,
    seed: u64,
    guard: &'a Guard,
}

impl Locked<'_> {
    fn table(&self) -> Option<&Table> {
        let table = self.shard.table.load(Ordering::Acquire, self.guard);
        // SAFETY: as in `KeyMap::find`; besides, only the holder of the lock replaces the table.
        unsafe { table.as_ref() }
    }

    /// The key's slot.
    pub(crate) fn slot(&self, key_of: impl Fn(u32) -> u64) -> Option<u32> {
        probe(self.table()?, self.hash, self.key, key_of).map(|(_, slot)| slot)
    }

    /// Enters the key, which is not in.
    pub(crate) fn enter(&mut self, slot: u32, key_of: impl Fn(u32) -> u64) -> Result<()> {
        if self.table().is_none_or(|table| (self.counts.used + 1) * 8 > table.cells.len() * 7) {
            self.rebuild(self.counts.held + 1, key_of)?;
        }
        if let Some(table) = self.table() {
            place(table, self.hash, slot);
        }
        self.counts.held += 1;
        self.counts.used += 1;
        Ok(())
    }

    /// Gives the key, which is in, another slot.
    pub(crate) fn replace(&mut self, slot: u32, key_of: impl Fn(u32) -> u64) {
        if let Some(table) = self.table()
            && let Some((cell, _)) = probe(table, self.hash, self.key, key_of)
        {
            table.cells[cell].store(slot, Ordering::Release);
        }
    }

    /// Takes the key out, if it is in; returns its slot.
    pub(crate) fn remove(&mut self, key_of: impl Fn(u32) -> u64) -> Option<u32> {
        let table = self.table()?;
        let (cell, slot) = probe(table, self.hash, self.key, key_of)?;
        table.cells[cell].store(GONE, Ordering::Release);
        self.counts.held -= 1;
        Some(slot)
    }

    /// Copies the held cells into a table of which `keys` keys fill at most half.
    fn rebuild(&mut self, keys: usize, key_of: impl Fn(u32) -> u64) -> Result<()> {
        let fresh = Table::new((keys * 2).next_power_of_two().max(SMALLEST))?;
        if let Some(old) = self.table() {
            for cell in &old.cells {
                let slot = cell.load(Ordering::Relaxed);
                if slot < GONE {
                    place(&fresh, hash(key_of(slot), self.seed), slot);
                }
            }
        }
        let old = self.shard.table.swap(Owned::new(fresh), Ordering::AcqRel, self.guard);
        if !old.is_null() {
            // SAFETY: the table was just unlinked; readers that still hold it are pinned in the same collector.
            unsafe { self.guard.defer_destroy(old) };
        }
        self.counts.used = self.counts.held;
        Ok(())
    }
}

/// Puts a slot into the first cell of its probe sequence that was never used. (Not into a `GONE` one: a reader that passed it
/// already must not miss the key it looks for, so cells only go from empty to held to gone within one table.)
fn place(table: &Table, hash: u64, slot: u32) {
    let mut cell = hash as usize & table.mask();
    while table.cells[cell].load(Ordering::Relaxed) != EMPTY {
        cell = (cell + 1) & table.mask();
    }
    table.cells[cell].store(slot, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::epoch::Epochs;
    use std::collections::HashMap;

    #[test]
    fn agrees_with_a_plain_map() {
        let (epochs, map) = (Epochs::new(), KeyMap::new());
        let mut keys: Vec<u64> = Vec::new(); // slot -> key
        let mut model = HashMap::new();
        let mut state = 7u64;
        for step in 0..200_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (state >> 33) % 5000;
            let guard = epochs.pin();
            if step % 3 == 0 {
                let removed = map.lock(key, &guard).remove(|slot| keys[slot as usize]);
                assert_eq!(removed, model.remove(&key));
            } else {
                let slot = keys.len() as u32;
                keys.push(key);
                let mut entry = map.lock(key, &guard);
                let old = entry.slot(|slot| keys[slot as usize]);
                match old {
                    Some(_) => entry.replace(slot, |slot| keys[slot as usize]),
                    None => entry.enter(slot, |slot| keys[slot as usize]).unwrap(),
                }
                assert_eq!(old, model.insert(key, slot));
            }
            assert_eq!(map.find(key, |slot| keys[slot as usize], &guard), model.get(&key).copied());
        }
        let guard = epochs.pin();
        for key in 0..5000 {
            assert_eq!(map.find(key, |slot| keys[slot as usize], &guard), model.get(&key).copied());
        }
    }

    #[test]
    fn readers_never_miss_a_key_while_its_shard_grows() {
        use std::sync::atomic::AtomicBool;
        let (epochs, map, stop) = (Epochs::new(), KeyMap::new(), AtomicBool::new(false));
        let guard = epochs.pin();
        for key in 0..100u64 {
            map.lock(key, &guard).enter(key as u32, u64::from).unwrap();
        }
        drop(guard);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let guard = epochs.pin();
                    for key in 0..100u64 {
                        assert_eq!(map.find(key, u64::from, &guard), Some(key as u32));
                    }
                }
            });
            for round in 0..3u64 {
                for key in 100..60_000u64 {
                    let guard = epochs.pin();
                    let mut entry = map.lock(key, &guard);
                    if entry.slot(u64::from).is_none() {
                        entry.enter(key as u32, u64::from).unwrap();
                    }
                    if (key + round) % 2 == 0 {
                        entry.remove(u64::from);
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
