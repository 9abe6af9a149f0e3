//! Snapshots beside changes that are published, replaced and removed.

use super::gate::Gate;
use crate::explore;
use crate::store::life::{EMPTY, End, LIVE, Life, REMOVED, Slots};
use crate::util::epoch::Guard;
use crate::util::sync::{AtomicU8, AtomicU64, Mutex, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Some slots and their keys; vectors are plain memory, where loom sees every race.
struct Field {
    gate: Gate,
    life: Life,
    keys: Vec<AtomicU64>,
    states: Vec<AtomicU8>,
    vectors: Vec<UnsafeCell<u32>>,
    log: Mutex<Log>,
    /// Changes that were asked for, and those that were acknowledged.
    begun: AtomicU64,
    ended: AtomicU64,
}

/// As `journal::commit` numbers changes.
#[derive(Debug, Default)]
struct Log {
    last: u64,
    unseen: Vec<u64>,
}

impl Slots for Field {
    fn key(&self, slot: u32) -> u64 {
        self.keys[slot as usize].load(Ordering::Relaxed)
    }

    fn state(&self, slot: u32) -> &AtomicU8 {
        &self.states[slot as usize]
    }

    fn ended(&self, _slot: u32, _end: End) {}

    fn began(&self, _slot: u32) {}
}

impl Field {
    fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::default(),
            life: Life::new(),
            keys: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            states: (0..slots).map(|_| AtomicU8::new(EMPTY)).collect(),
            vectors: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
            log: Mutex::default(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        })
    }

    fn claim(&self, slot: u32, key: u64) {
        // SAFETY: the slot is the caller's until it is published; loom fails the model if that is not so.
        self.vectors[slot as usize].with_mut(|vector| unsafe { *vector = slot + 100 });
        self.keys[slot as usize].store(key, Ordering::Relaxed);
        self.life.claim_if_absent(self, slot, &Guard).unwrap();
    }

    /// As `Index::publish`.
    fn publish(&self, slots: &[u32]) {
        let _gate = self.gate.read();
        slots.iter().for_each(|&slot| self.life.publish_replacing(self, slot, &Guard));
    }

    /// As `Index::remove_batch`.
    fn remove(&self, key: u64) {
        let _gate = self.gate.read();
        assert!(self.life.remove(self, key, &Guard).is_some());
    }

    fn acknowledged(&self, change: impl FnOnce(&Self)) {
        self.begun.fetch_add(1, Ordering::AcqRel);
        change(self);
        self.ended.fetch_add(1, Ordering::AcqRel);
    }

    /// As `Index::snapshot`: the states of one instant, and the number of the last change that is in them with all before; the vectors of what
    /// lives are read afterwards.
    fn snapshot(&self) -> (Vec<u8>, u64) {
        let (states, logged) = {
            let _alone = self.gate.write();
            let states: Vec<u8> = self.states.iter().map(|state| state.load(Ordering::Acquire)).collect();
            let log = self.log.lock();
            (states, log.unseen.iter().min().map_or(log.last, |first| first - 1))
        };
        for (slot, vector) in self.vectors.iter().enumerate().filter(|(slot, _)| states[*slot] == LIVE) {
            // SAFETY: a slot that was seen live is written and stays as it is; loom fails the model if that is not so.
            assert_eq!(vector.with(|vector| unsafe { *vector }), slot as u32 + 100);
        }
        (states, logged)
    }
}

/// Nothing that was acknowledged before is missing, nothing is there that was not asked for yet, and nothing of a replacement but before and after.
pub fn a_snapshot_is_what_was_at_one_instant() {
    explore(3, &["0", "1", "2", "3"], |outcomes| {
        let field = Field::new(2);
        let saves = {
            let field = Arc::clone(&field);
            thread::spawn(move || {
                let least = field.ended.load(Ordering::Acquire);
                let (states, _) = field.snapshot();
                (least, states, field.begun.load(Ordering::Acquire))
            })
        };
        field.acknowledged(|field| {
            field.claim(0, 7);
            field.publish(&[0]);
        });
        field.acknowledged(|field| {
            field.claim(1, 7);
            field.publish(&[1]);
        });
        field.acknowledged(|field| field.remove(7));
        let (least, states, most) = saves.join().unwrap();
        let was = [[EMPTY, EMPTY], [LIVE, EMPTY], [REMOVED, LIVE], [REMOVED, REMOVED]];
        let at = was.iter().position(|then| *then == states[..]);
        let at = at.unwrap_or_else(|| panic!("the index was never {states:?}")) as u64;
        outcomes.note(&at);
        assert!((least..=most).contains(&at), "{states:?} after {least} changes and before {most}");
    });
}

/// A batch that replaces one key and brings another, beside an insertion.
pub fn a_snapshot_has_all_of_a_batch_or_nothing() {
    let outcomes = ["[1, 0, 0, 0]", "[2, 1, 1, 0]", "[1, 0, 0, 1]", "[2, 1, 1, 1]"];
    explore(3, &outcomes, |outcomes| {
        let field = Field::new(4);
        field.claim(0, 7);
        field.publish(&[0]);
        let saves = {
            let field = Arc::clone(&field);
            thread::spawn(move || field.snapshot().0)
        };
        let inserts = {
            let field = Arc::clone(&field);
            thread::spawn(move || {
                field.claim(3, 9);
                field.publish(&[3]);
            })
        };
        field.claim(1, 7);
        field.claim(2, 8);
        field.publish(&[1, 2]);
        let states = saves.join().unwrap();
        inserts.join().unwrap();
        outcomes.note(&states);
        assert!([[LIVE, EMPTY, EMPTY], [REMOVED, LIVE, LIVE]].iter().any(|then| *then == states[..3]), "{states:?}");
    });
}

/// Recovery replays what comes behind the number of a snapshot only: what it says must be in it.
pub fn a_snapshot_has_what_its_number_says() {
    explore(3, &["(0, [0, 0])", "(0, [1, 0])", "(1, [1, 0])", "(0, [0, 1])", "(2, [1, 1])"], |outcomes| {
        let field = Field::new(2);
        let change = |field: &Field, slot: u32| {
            field.claim(slot, u64::from(slot));
            let number = {
                let mut log = field.log.lock();
                log.last += 1;
                let number = log.last;
                log.unseen.push(number);
                number
            };
            field.publish(&[slot]);
            field.log.lock().unseen.retain(|&unseen| unseen != number);
            number
        };
        let saves = {
            let field = Arc::clone(&field);
            thread::spawn(move || field.snapshot())
        };
        let other = {
            let field = Arc::clone(&field);
            thread::spawn(move || change(&field, 1))
        };
        let numbers = [change(&field, 0), other.join().unwrap()];
        let (states, logged) = saves.join().unwrap();
        outcomes.note(&(logged, &states));
        for (slot, number) in numbers.into_iter().enumerate() {
            assert!(number > logged || states[slot] == LIVE, "{states:?} up to {logged}, {numbers:?}");
        }
    });
}
