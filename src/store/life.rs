//! How does a slot come to life under its key, and how does it end?
//!
//! Life of a slot: allocated (`EMPTY`), its key entered into the key map (a *claim*), published (`LIVE`), in the end `REMOVED`, and
//! `EMPTY` again when it is freed (`reuse`). A key names at most one live slot: states change to and from `LIVE` under the lock of the
//! key's shard only. `tests/loom` tries all interleavings of these functions.
//!
//! Of several slots in which a reader met one key, the one that the map names is the newest: a replacement makes its slot live, then
//! enters it, and only then ends the old one.

use super::keys::KeyMap;
use crate::util::epoch::Guard;
use crate::util::error::Result;
use crate::util::sync::{AtomicU8, AtomicU64, Ordering};

/// State of a slot that holds nothing that anybody may read.
pub(crate) const EMPTY: u8 = 0;
/// State of a slot whose vector can be found.
pub(crate) const LIVE: u8 = 1;
/// State of a slot whose vector was removed or replaced.
pub(crate) const REMOVED: u8 = 2;

/// In [`Life::replacements`], one replacement that began; those that are under way count 1 more each.
const REPLACED: u64 = 1 << 20;

/// Where keys and states stand.
pub(crate) trait Slots {
    fn key(&self, slot: u32) -> u64;
    fn state(&self, slot: u32) -> &AtomicU8;
    /// The vector of a slot ended. Told under the lock of its key's shard.
    fn ended(&self, slot: u32, end: End);
    /// A slot lives. Told under the lock of its key's shard.
    fn began(&self, slot: u32);
}

/// Why the vector of a slot is none of the index any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its key has another.
    Replaced,
    /// Its key was removed.
    Removed,
}

/// Where a vector stands that is to be copied to another slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Yes,
    /// Its key has been removed or has another vector.
    Outdated,
}

/// Which slot lives under which key, and how many do.
#[derive(Debug)]
pub(crate) struct Life {
    pub(super) map: KeyMap,
    live: AtomicU64,
    removed: AtomicU64,
    replaced: AtomicU64,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self { map: KeyMap::new(), live: AtomicU64::new(0), removed: AtomicU64::new(0), replaced: AtomicU64::new(0) }
    }

    /// Starts with slots that stand in a file.
    pub(super) fn begin_with(&self, live: u64, removed: u64) {
        self.live.store(live, Ordering::Release);
        self.removed.store(removed, Ordering::Release);
    }

    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Acquire)
    }

    /// Slots that are `REMOVED`.
    pub(crate) fn removed(&self) -> u64 {
        self.removed.load(Ordering::Acquire)
    }

    /// Removed slots that nobody links to are `EMPTY` from now on.
    pub(crate) fn free(&self, slots: &impl Slots, freed: impl ExactSizeIterator<Item = u32>) {
        self.removed.fetch_sub(freed.len() as u64, Ordering::AcqRel);
        freed.for_each(|slot| slots.state(slot).store(EMPTY, Ordering::Release));
    }

    pub(crate) fn replacements(&self) -> u64 {
        self.replaced.load(Ordering::SeqCst)
    }

    pub(crate) fn undisturbed(&self, since: u64) -> bool {
        since.is_multiple_of(REPLACED) && since == self.replacements()
    }

    pub(super) fn begin_replacing(&self) {
        self.replaced.fetch_add(REPLACED + 1, Ordering::SeqCst);
    }

    pub(super) fn end_replacing(&self) {
        self.replaced.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn find(&self, slots: &impl Slots, key: u64, guard: &Guard) -> Option<u32> {
        // A replacement makes the new slot live before it retires the old one, so the second look finds it.
        loop {
            let slot = self.map.find(key, |slot| slots.key(slot), guard)?;
            match slots.state(slot).load(Ordering::Acquire) {
                LIVE => return Some(slot),
                EMPTY => return None,
                _ => {}
            }
        }
    }

    pub(crate) fn claim_if_absent(&self, slots: &impl Slots, slot: u32, guard: &Guard) -> Result<bool> {
        let mut entry = self.map.lock(slots.key(slot), guard);
        if entry.slot(|slot| slots.key(slot)).is_some() {
            return Ok(false);
        }
        entry.enter(slot, |slot| slots.key(slot)).map(|()| true)
    }

    pub(crate) fn release(&self, slots: &impl Slots, slot: u32, guard: &Guard) {
        let mut entry = self.map.lock(slots.key(slot), guard);
        if entry.slot(|slot| slots.key(slot)) == Some(slot) {
            entry.remove(|slot| slots.key(slot));
        }
    }

    pub(crate) fn publish(&self, slots: &impl Slots, slot: u32, guard: &Guard) {
        let entry = self.map.lock(slots.key(slot), guard);
        if entry.slot(|slot| slots.key(slot)) == Some(slot) {
            slots.state(slot).store(LIVE, Ordering::Release);
            self.live.fetch_add(1, Ordering::AcqRel);
            slots.began(slot);
        } else {
            self.retire(slots, slot, End::Replaced);
        }
    }

    pub(crate) fn publish_replacing(&self, slots: &impl Slots, slot: u32, guard: &Guard) {
        let mut entry = self.map.lock(slots.key(slot), guard);
        let Some(old) = entry.slot(|slot| slots.key(slot)) else {
            // Somebody had the key when the caller looked: a vector that has been removed since, or a claim that was released.
            if entry.enter(slot, |slot| slots.key(slot)).is_err() {
                // No memory for a larger table. Only a removal is likely here; then it counts as having come after this call.
                return self.retire(slots, slot, End::Replaced);
            }
            self.live.fetch_add(1, Ordering::AcqRel);
            slots.state(slot).store(LIVE, Ordering::SeqCst);
            return slots.began(slot);
        };
        let replaces = old != slot && slots.state(old).load(Ordering::Acquire) == LIVE;
        if replaces {
            self.begin_replacing();
        } else {
            self.live.fetch_add(1, Ordering::AcqRel);
        }
        slots.state(slot).store(LIVE, Ordering::SeqCst);
        entry.replace(slot, |slot| slots.key(slot));
        slots.began(slot);
        if replaces {
            self.retire(slots, old, End::Replaced);
            self.end_replacing();
        }
    }

    /// Makes a written slot, the copy of another with the same key, live in its place, if the key lives there still.
    pub(crate) fn publish_moved(&self, slots: &impl Slots, slot: u32, from: u32, guard: &Guard) -> Moved {
        let mut entry = self.map.lock(slots.key(slot), guard);
        let there = entry.slot(|slot| slots.key(slot)) == Some(from);
        if !there || slots.state(from).load(Ordering::Acquire) != LIVE {
            self.retire(slots, slot, End::Replaced);
            return Moved::Outdated;
        }
        self.begin_replacing();
        slots.state(slot).store(LIVE, Ordering::SeqCst);
        entry.replace(slot, |slot| slots.key(slot));
        self.retire(slots, from, End::Replaced);
        self.end_replacing();
        Moved::Yes
    }

    fn retire(&self, slots: &impl Slots, slot: u32, end: End) {
        slots.state(slot).store(REMOVED, Ordering::SeqCst);
        self.removed.fetch_add(1, Ordering::AcqRel);
        slots.ended(slot, end);
    }

    /// Makes a written slot, which nobody claimed, one whose vector was removed.
    pub(super) fn bury(&self, slots: &impl Slots, slot: u32, guard: &Guard) {
        let _entry = self.map.lock(slots.key(slot), guard);
        self.retire(slots, slot, End::Removed);
    }

    /// Ends the live slot of a key and says which it was.
    pub(crate) fn remove(&self, slots: &impl Slots, key: u64, guard: &Guard) -> Option<u32> {
        let mut entry = self.map.lock(key, guard);
        let slot = entry.slot(|slot| slots.key(slot))?;
        if slots.state(slot).load(Ordering::Acquire) != LIVE {
            return None;
        }
        entry.remove(|slot| slots.key(slot));
        self.retire(slots, slot, End::Removed);
        self.live.fetch_sub(1, Ordering::AcqRel);
        Some(slot)
    }

    /// Makes the removed slot of a key live again, which `kept` tells, unless the key has another by now; says whether it did.
    pub(crate) fn revive(
        &self,
        slots: &impl Slots,
        key: u64,
        kept: impl FnOnce() -> Option<u32>,
        guard: &Guard,
    ) -> Result<bool> {
        let mut entry = self.map.lock(key, guard);
        if entry.slot(|slot| slots.key(slot)).is_some() {
            return Ok(false);
        }
        let Some(slot) = kept() else { return Ok(false) };
        entry.enter(slot, |slot| slots.key(slot))?;
        self.removed.fetch_sub(1, Ordering::AcqRel);
        self.live.fetch_add(1, Ordering::AcqRel);
        slots.state(slot).store(LIVE, Ordering::SeqCst);
        slots.began(slot);
        Ok(true)
    }

    /// Gives up room in the key map that its keys do not need.
    pub(super) fn shrink(&self, slots: &impl Slots, guard: &Guard) {
        self.map.shrink(|slot| slots.key(slot), guard);
    }

    /// Does something about a key while none of its slots comes to life or ends.
    pub(super) fn apart<T>(&self, key: u64, guard: &Guard, act: impl FnOnce() -> T) -> T {
        let _entry = self.map.lock(key, guard);
        act()
    }
}
