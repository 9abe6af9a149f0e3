//! Slots that are used again.

use super::life::{EMPTY, End, LIVE, Life, REMOVED, Slots};
use super::reuse::Reuse;
use crate::explore;
use crate::util::epoch::{Guard, Pin};
use crate::util::error::Error;
use crate::util::sync::{AtomicU8, AtomicU64, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const OLD: u64 = 7;
const NEW: u64 = 8;

/// One slot; its vector is plain memory, where loom sees every race.
struct Field {
    life: Life,
    reuse: Reuse,
    key: AtomicU64,
    state: AtomicU8,
    vector: UnsafeCell<u64>,
}

impl Slots for Field {
    fn key(&self, _slot: u32) -> u64 {
        self.key.load(Ordering::Relaxed)
    }

    fn state(&self, _slot: u32) -> &AtomicU8 {
        &self.state
    }

    fn ended(&self, slot: u32, _end: End) {
        self.reuse.retire(slot);
    }

    fn began(&self, _slot: u32) {}
}

impl Field {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            life: Life::new(),
            reuse: Reuse::default(),
            key: AtomicU64::new(0),
            state: AtomicU8::new(EMPTY),
            vector: UnsafeCell::new(0),
        })
    }

    fn insert(&self, slot: u32, key: u64) {
        // SAFETY: the slot is the caller's until it is published; loom fails the model if that is not so.
        self.vector.with_mut(|vector| unsafe { *vector = key + 100 });
        self.key.store(key, Ordering::Relaxed);
        assert!(self.life.claim_if_absent(self, slot, &Guard).unwrap());
        self.life.publish(self, slot, &Guard);
    }

    /// As `Store::free` does with what was retired and unlinked.
    fn free(&self) {
        let slots = self.reuse.take_retired();
        self.life.free(self, slots.iter().copied());
        self.reuse.free(slots, &Guard);
    }

    /// Takes the slot if it is free, for another key; says whether it was.
    fn use_again(&self) -> bool {
        let slot = self.reuse.take_one(|| Err(Error::memory(0)));
        slot.is_ok_and(|slot| {
            self.insert(slot, NEW);
            true
        })
    }

    fn look(&self) -> u64 {
        // SAFETY: a slot that was seen live or removed stays as it is while its reader is pinned; loom fails the model if not.
        self.vector.with(|vector| unsafe { *vector })
    }
}

/// Who finds a key, or sees the slot live or removed, sees a whole vector, and that of the key.
fn beside(reader: impl Fn(&Field) -> (Option<u64>, u64) + Send + Sync + Copy + 'static, outcomes: &'static [&'static str]) {
    explore(4, outcomes, move |outcomes| {
        let field = Field::new();
        field.insert(0, OLD);
        let reads = {
            let field = Arc::clone(&field);
            thread::spawn(move || {
                let _pin = Pin::new();
                reader(&field)
            })
        };
        {
            let _pin = Pin::new();
            assert_eq!(field.life.remove(&*field, OLD, &Guard), Some(0));
            // The first wait is not needed for this: it is for who counts on what was there.
            field.free();
        }
        let again = field.use_again();
        let (key, vector) = reads.join().unwrap();
        if let Some(key) = key {
            assert_eq!(vector, key + 100);
        }
        outcomes.note(&(key, again));
        // Now nobody is inside.
        assert!(again || field.use_again());
        assert_eq!((field.life.live(), field.life.removed(), field.reuse.waiting()), (1, 0, 0));
    });
}

/// By its key.
pub fn a_found_slot_is_not_used_again() {
    let reader = |field: &Field| {
        let found = field.life.find(field, OLD, &Guard);
        (found.map(|_| OLD), found.map_or(0, |_| field.look()))
    };
    beside(reader, &["(Some(7), false)", "(None, true)", "(None, false)"]);
}

/// By a pass over the slots: what was seen removed is read all the same, as flat scans do, and counts if it is live then.
pub fn a_scanned_slot_is_not_used_again() {
    let reader = |field: &Field| {
        let state = field.state.load(Ordering::Acquire);
        if state != LIVE && state != REMOVED {
            return (None, 0);
        }
        let vector = field.look();
        let lives = field.state.load(Ordering::Acquire) == LIVE;
        (lives.then(|| field.key(0)), vector)
    };
    beside(reader, &["(Some(7), false)", "(Some(8), true)", "(None, true)", "(None, false)"]);
}
