//! Where do walks begin? One atomic word of level and slot.

use crate::util::sync::{AtomicU64, Ordering};

const NO_ENTRY: u64 = u64::MAX;

/// Where walks begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) slot: u32,
    pub(crate) level: u32,
}

impl Entry {
    fn word(self) -> u64 {
        u64::from(self.level) << 32 | u64::from(self.slot)
    }

    /// An entry, or none, as one number.
    pub(crate) fn encode(entry: Option<Self>) -> u64 {
        entry.map_or(NO_ENTRY, Self::word)
    }

    /// Undoes [`Entry::encode`].
    pub(crate) fn decode(word: u64) -> Option<Self> {
        (word != NO_ENTRY).then_some(Self { slot: word as u32, level: (word >> 32) as u32 })
    }
}

/// The entry of a graph, if it has one. Whoever reads it sees what was written before it was set.
#[derive(Debug)]
pub(super) struct EntryPoint(AtomicU64);

impl EntryPoint {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(NO_ENTRY))
    }

    pub(super) fn get(&self) -> Option<Entry> {
        Entry::decode(self.0.load(Ordering::Acquire))
    }

    /// Sets the first entry; says whether there was none.
    pub(super) fn found(&self, entry: Entry) -> bool {
        self.0.compare_exchange(NO_ENTRY, entry.word(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Sets the entry if it is higher than what is there.
    pub(super) fn promote(&self, entry: Entry) {
        let mut word = self.0.load(Ordering::Acquire);
        while word == NO_ENTRY || (word >> 32) < u64::from(entry.level) {
            match self.0.compare_exchange_weak(word, entry.word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Puts another in the place of `from`, unless that is the entry no more.
    pub(super) fn hand_over(&self, from: Entry, to: Option<Entry>) -> bool {
        let to = Entry::encode(to);
        self.0.compare_exchange(from.word(), to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn replace(&self, entry: Option<Entry>) {
        self.0.store(Entry::encode(entry), Ordering::Release);
    }
}
