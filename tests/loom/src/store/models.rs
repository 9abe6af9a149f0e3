//! Slots that come to life under one key, and end.

use super::life::{End, LIVE, Life, REMOVED, Slots};
use crate::explore;
use crate::util::epoch::Guard;
use crate::util::sync::{AtomicU8, AtomicU64, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const KEY: u64 = 7;

/// Some slots that all get one key; vectors are plain memory, where loom sees every race.
struct Field {
    life: Life,
    keys: Vec<AtomicU64>,
    states: Vec<AtomicU8>,
    vectors: Vec<UnsafeCell<u32>>,
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
            life: Life::new(),
            keys: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            states: (0..slots).map(|_| AtomicU8::new(0)).collect(),
            vectors: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn write(&self, slot: u32) {
        // SAFETY: the slot is the caller's until it is published; loom fails the model if that is not so.
        self.vectors[slot as usize].with_mut(|vector| unsafe { *vector = slot + 100 });
        self.keys[slot as usize].store(KEY, Ordering::Relaxed);
    }

    fn look(&self, slot: u32) {
        // SAFETY: a slot that was seen live is written and stays as it is; loom fails the model if that is not so.
        assert_eq!(self.vectors[slot as usize].with(|vector| unsafe { *vector }), slot + 100);
    }

    fn insert(&self, slot: u32) -> bool {
        self.write(slot);
        let claimed = self.life.claim_if_absent(self, slot, &Guard).unwrap();
        if claimed {
            self.life.publish(self, slot, &Guard);
        }
        claimed
    }

    fn upsert(&self, slot: u32) {
        self.write(slot);
        self.life.claim_if_absent(self, slot, &Guard).unwrap();
        self.life.publish_replacing(self, slot, &Guard);
    }

    fn remove(&self) -> bool {
        self.life.remove(self, KEY, &Guard).is_some()
    }

    fn lives(&self) -> Vec<u32> {
        (0..self.states.len() as u32).filter(|&slot| self.state(slot).load(Ordering::Acquire) == LIVE).collect()
    }

    /// All have come to rest.
    fn settle(&self) {
        let lives = self.lives();
        assert!(lives.len() <= 1, "{lives:?}");
        assert_eq!(self.life.live(), lives.len() as u64);
        assert_eq!(self.life.find(self, KEY, &Guard), lives.first().copied());
        assert!(self.life.undisturbed(self.life.replacements()));
    }
}

fn with<T: 'static>(field: &Arc<Field>, act: impl Fn(&Field) -> T + 'static) -> thread::JoinHandle<T> {
    let field = Arc::clone(field);
    thread::spawn(move || act(&field))
}

/// Who finds a key sees a whole vector.
pub fn a_found_slot_is_whole() {
    explore(4, &["None", "Some(0)"], |outcomes| {
        let field = Field::new(1);
        let finds = with(&field, |field| {
            let found = field.life.find(field, KEY, &Guard);
            found.into_iter().for_each(|slot| field.look(slot));
            found
        });
        assert!(field.insert(0));
        outcomes.note(&finds.join().unwrap());
        field.settle();
    });
}

/// Who sees a slot live sees a whole vector.
pub fn a_live_slot_is_whole() {
    explore(4, &["[]", "[0]"], |outcomes| {
        let field = Field::new(1);
        let scans = with(&field, |field| {
            let lives = field.lives();
            lives.iter().for_each(|&slot| field.look(slot));
            lives
        });
        assert!(field.insert(0));
        outcomes.note(&scans.join().unwrap());
        field.settle();
    });
}

/// Of two insertions one gets the key, unless a removal comes between them.
pub fn one_insertion_gets_the_key() {
    let outcomes = ["[true, false, false]", "[false, true, false]", "[true, false, true]", "[true, true, true]"];
    explore(3, &outcomes, |outcomes| {
        let field = Field::new(2);
        let (second, removes) = (with(&field, |field| field.insert(1)), with(&field, Field::remove));
        let first = field.insert(0);
        let [second, removed] = [second.join().unwrap(), removes.join().unwrap()];
        outcomes.note(&[first, second, removed]);
        assert!(first || second);
        assert!(!(first && second) || removed);
        field.settle();
        assert_eq!(field.lives().len(), usize::from(first) + usize::from(second) - usize::from(removed));
    });
}

/// A key that is replaced is found at all times, with the old or the new vector.
pub fn a_replaced_key_never_goes_away() {
    explore(3, &["Some(0)", "Some(1)", "Some(2)"], |outcomes| {
        let field = Field::new(3);
        field.insert(0);
        let second = with(&field, |field| field.upsert(2));
        let finds = with(&field, |field| {
            let found = field.life.find(field, KEY, &Guard);
            field.look(found.expect("it is there all the time"));
            found
        });
        field.upsert(1);
        second.join().unwrap();
        outcomes.note(&finds.join().unwrap());
        field.settle();
        // Whichever came later stays.
        assert!([vec![1], vec![2]].contains(&field.lives()));
    });
}

/// A pass over the slots, which asks the map about those that it finds removed if it was disturbed, meets a key that is replaced, wherever
/// its new slot lies; once, if it was not disturbed.
pub fn a_pass_meets_a_replaced_key() {
    explore(3, &["[0]", "[1]", "[2]", "[1, 2]"], |outcomes| {
        let field = Field::new(3);
        field.insert(1);
        let second = with(&field, |field| field.upsert(2));
        let passes = with(&field, |field| {
            let before = field.life.replacements();
            let (mut met, mut gone) = (Vec::new(), Vec::new());
            for slot in 0..3 {
                match field.state(slot).load(Ordering::Acquire) {
                    LIVE => met.push(slot),
                    REMOVED => gone.push(slot),
                    _ => {}
                }
            }
            if field.life.undisturbed(before) {
                assert_eq!(met.len(), 1);
            } else {
                met.extend(gone.into_iter().filter_map(|slot| field.life.find(field, field.key(slot), &Guard)));
                met.sort_unstable();
                met.dedup();
            }
            assert!(!met.is_empty());
            met.iter().for_each(|&slot| field.look(slot));
            met
        });
        // Below the old one: a pass has gone by it already.
        field.upsert(0);
        second.join().unwrap();
        outcomes.note(&passes.join().unwrap());
        field.settle();
    });
}

/// A vector that is moved to another slot lives in one of the two, or not at all once it is removed.
pub fn a_move_beside_a_removal() {
    explore(4, &["(Yes, [])", "(Outdated, [])"], |outcomes| {
        let field = Field::new(2);
        field.insert(1);
        let removes = with(&field, Field::remove);
        field.write(0);
        let moved = field.life.publish_moved(&*field, 0, 1, &Guard);
        assert!(removes.join().unwrap());
        field.settle();
        outcomes.note(&(moved, field.lives()));
    });
}

/// Two keys that are replaced at once: the end of one replacement does not hide the other from a scan.
pub fn two_replacements_at_once_disturb() {
    explore(3, &["(true, 1)", "(false, 1)", "(false, 2)"], |outcomes| {
        // The other key is only counted: it has other slots.
        let field = Field::new(2);
        field.insert(0);
        let scans = with(&field, |field| {
            let before = field.life.replacements();
            let lives = field.lives().len();
            (field.life.undisturbed(before), lives)
        });
        field.life.begin_replacing();
        field.upsert(1);
        field.life.end_replacing();
        let (undisturbed, lives) = scans.join().unwrap();
        outcomes.note(&(undisturbed, lives));
        assert!(lives == 1 || !undisturbed);
        field.settle();
    });
}

/// A replacement counts, whatever becomes of an insertion under way.
pub fn a_replacement_beside_a_claim_that_is_released() {
    explore(4, &["true", "false"], |outcomes| {
        let field = Field::new(2);
        let upserts = with(&field, |field| field.upsert(1));
        field.write(0);
        let claimed = field.life.claim_if_absent(&*field, 0, &Guard).unwrap();
        if claimed {
            field.life.release(&*field, 0, &Guard);
        }
        outcomes.note(&claimed);
        upserts.join().unwrap();
        field.settle();
        assert_eq!(field.lives(), [1]);
    });
}

/// Removal and replacement at once: the key is there with the new vector, or not at all.
pub fn removal_beside_replacement() {
    explore(4, &["[]", "[1]"], |outcomes| {
        let field = Field::new(2);
        field.insert(0);
        let removes = with(&field, Field::remove);
        field.upsert(1);
        assert!(removes.join().unwrap());
        field.settle();
        outcomes.note(&field.lives());
        assert!([vec![], vec![1]].contains(&field.lives()));
    });
}
