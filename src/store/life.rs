//! How does a slot come to life under its key, and how does it end?
//!
//! Life of a slot: allocated (`EMPTY`), its key entered into the key map (a *claim*), published (`LIVE`), and in the end `REMOVED`.
//! A key names at most one live slot: states change to and from `LIVE` under the lock of the key's shard only. `tests/loom` tries
//! all interleavings of these functions.

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

    pub(crate) fn removed(&self) -> u64 {
        self.removed.load(Ordering::Acquire)
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
        } else {
            self.retire(slots, slot);
        }
    }

    pub(crate) fn publish_replacing(&self, slots: &impl Slots, slot: u32, guard: &Guard) {
        let mut entry = self.map.lock(slots.key(slot), guard);
        let Some(old) = entry.slot(|slot| slots.key(slot)) else {
            // Somebody had the key when the caller looked: a vector that has been removed since, or a claim that was released.
            if entry.enter(slot, |slot| slots.key(slot)).is_err() {
                // No memory for a larger table. Only a removal is likely here; then it counts as having come after this call.
                return self.retire(slots, slot);
            }
            self.live.fetch_add(1, Ordering::AcqRel);
            return slots.state(slot).store(LIVE, Ordering::SeqCst);
        };
        let replaces = old != slot && slots.state(old).load(Ordering::Acquire) == LIVE;
        if replaces && old > slot {
            // A replacement that began later was faster: it counts as the later one. A key's newest vector is always in its highest
            // slot; scans, which go upwards, rely on it.
            return self.retire(slots, slot);
        }
        if replaces {
            self.begin_replacing();
        } else {
            self.live.fetch_add(1, Ordering::AcqRel);
        }
        slots.state(slot).store(LIVE, Ordering::SeqCst);
        entry.replace(slot, |slot| slots.key(slot));
        if replaces {
            self.retire(slots, old);
            self.end_replacing();
        }
    }

    fn retire(&self, slots: &impl Slots, slot: u32) {
        slots.state(slot).store(REMOVED, Ordering::SeqCst);
        self.removed.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes a written slot, which nobody claimed, one whose vector was removed.
    pub(super) fn bury(&self, slots: &impl Slots, slot: u32) {
        self.retire(slots, slot);
    }

    /// Ends the live slot of a key and says which it was.
    pub(crate) fn remove(&self, slots: &impl Slots, key: u64, guard: &Guard) -> Option<u32> {
        let mut entry = self.map.lock(key, guard);
        let slot = entry.slot(|slot| slots.key(slot))?;
        if slots.state(slot).load(Ordering::Acquire) != LIVE {
            return None;
        }
        entry.remove(|slot| slots.key(slot));
        self.retire(slots, slot);
        self.live.fetch_sub(1, Ordering::AcqRel);
        Some(slot)
    }

    /// Makes a removed slot live again, unless its key has another by now; says whether it did.
    pub(crate) fn revive(&self, slots: &impl Slots, slot: u32, guard: &Guard) -> Result<bool> {
        let mut entry = self.map.lock(slots.key(slot), guard);
        let taken = entry.slot(|slot| slots.key(slot)).is_some();
        if taken || slots.state(slot).load(Ordering::Acquire) != REMOVED {
            return Ok(false);
        }
        entry.enter(slot, |slot| slots.key(slot))?;
        self.removed.fetch_sub(1, Ordering::AcqRel);
        self.live.fetch_add(1, Ordering::AcqRel);
        slots.state(slot).store(LIVE, Ordering::SeqCst);
        Ok(true)
    }
}
