//! Which removed vectors can come back, and in which slots do they wait?
//!
//! Only for indexes that keep what was removed. The key map does not know removed keys, so they stand here, each with the slot of the
//! vector that was removed last. Entries of a key are changed under the lock of the key's shard only (`life`), so they are in the order
//! in which its vectors came and went.

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

    /// The vector of this key was removed. Says which slot is kept no more: that of an older vector, or, where nothing is kept, this one.
    pub(super) fn keep(&self, key: u64, slot: u32) -> Option<u32> {
        match &self.0 {
            Some(slots) => slots.lock().insert(key, slot).filter(|&older| older != slot),
            None => Some(slot),
        }
    }

    /// Nobody can have the key's vector back any more. Says in which slot it is.
    pub(super) fn forget(&self, key: u64) -> Option<u32> {
        self.0.as_ref()?.lock().remove(&key)
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
