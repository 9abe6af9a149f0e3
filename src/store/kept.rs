//! Which removed vectors can come back, and in which slots do they wait?
//!
//! Only for indexes that keep what was removed. The key map does not know removed keys, so they stand here. A removal and an insertion
//! of one key that overtake each other may leave an older slot behind; it does no harm, because a key's newest vector is always in
//! its highest slot, and whoever brings one back looks first whether the key lives.

use parking_lot::Mutex;
use std::collections::HashMap;

/// Slots of removed keys.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<Mutex<HashMap<u64, u32>>>);

impl Kept {
    /// Keeps from now on.
    pub(super) fn begin() -> Self {
        Self(Some(Mutex::default()))
    }

    /// The vector of this key was removed.
    pub(super) fn keep(&self, key: u64, slot: u32) {
        if let Some(slots) = &self.0 {
            slots.lock().entry(key).and_modify(|kept| *kept = slot.max(*kept)).or_insert(slot);
        }
    }

    /// The key has a newer vector, in this slot.
    pub(super) fn supersede(&self, key: u64, by: u32) {
        if let Some(slots) = &self.0 {
            let mut slots = slots.lock();
            if slots.get(&key).is_some_and(|&slot| slot < by) {
                slots.remove(&key);
            }
        }
    }

    /// Nobody wants the vector back. Says whether there was one.
    pub(super) fn forget(&self, key: u64) -> bool {
        self.0.as_ref().is_some_and(|slots| slots.lock().remove(&key).is_some())
    }

    pub(super) fn slot(&self, key: u64) -> Option<u32> {
        self.0.as_ref()?.lock().get(&key).copied()
    }

    /// Keys and slots, the lowest slot first.
    pub(super) fn all(&self) -> Vec<(u64, u32)> {
        let slots = self.0.as_ref().map(|slots| slots.lock().iter().map(|(&key, &slot)| (key, slot)).collect());
        let mut slots: Vec<(u64, u32)> = slots.unwrap_or_default();
        slots.sort_unstable_by_key(|&(_, slot)| slot);
        slots
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |slots| slots.lock().capacity() * (size_of::<(u64, u32)>() + 1))
    }
}
