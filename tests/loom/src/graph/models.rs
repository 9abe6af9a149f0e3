//! Rows that are read while they are edited, the entry point, and the tree that a snapshot takes down.

use super::entry::{Entry, EntryPoint};
use super::row::{self, KEEP, NONE};
use super::wishes::{Wish, Wishes};
use crate::explore;
use crate::index::gate::Gate;
use crate::util::sync::{AtomicU8, AtomicU32, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const DEGREE: usize = 4;

/// Some slots: vectors as plain memory, where loom sees every race, a row and a byte each, and the entry.
struct Field {
    vectors: Vec<UnsafeCell<u32>>,
    rows: Vec<[AtomicU32; DEGREE]>,
    bytes: Vec<AtomicU8>,
    entry: EntryPoint,
}

impl Field {
    fn new(slots: u32) -> Arc<Self> {
        Arc::new(Self {
            vectors: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
            // As memory is before a row is prepared.
            rows: (0..slots).map(|_| std::array::from_fn(|_| AtomicU32::new(0))).collect(),
            bytes: (0..slots).map(|_| AtomicU8::new(0)).collect(),
            entry: EntryPoint::new(),
        })
    }

    /// As `Store::write` and `Graph::prepare`.
    fn prepare(&self, slot: u32) {
        // SAFETY: nobody can reach the slot yet; loom fails the model if that is not so.
        self.vectors[slot as usize].with_mut(|vector| unsafe { *vector = slot + 100 });
        row::clear(&self.rows[slot as usize]);
    }

    fn append(&self, to: u32, link: u32) -> bool {
        row::acquire(&self.bytes[to as usize]);
        let appended = row::append(&self.rows[to as usize], link);
        assert!(row::release(&self.bytes[to as usize]));
        appended
    }

    /// As a walk reads a row; every vector it leads to must be whole.
    fn read(&self, slot: u32) -> Vec<u32> {
        let mut links = Vec::new();
        row::read(&self.rows[slot as usize], |link| links.push(link & !KEEP));
        row::behind();
        links.iter().for_each(|&link| self.look(link));
        links
    }

    fn look(&self, slot: u32) {
        // SAFETY: a slot that was reached is written and stays as it is; loom fails the model if that is not so.
        let vector = self.vectors[slot as usize].with(|vector| unsafe { *vector });
        assert_eq!(vector, slot + 100);
    }
}

/// Who sees a link sees the vector and the row behind it, prepared and linked back.
pub fn a_link_leads_to_a_whole_slot() {
    explore(4, &["[]", "[1]"], |outcomes| {
        let field = Field::new(2);
        field.prepare(0);
        let reads = {
            let field = Arc::clone(&field);
            thread::spawn(move || {
                let links = field.read(0);
                for &slot in &links {
                    assert_eq!((slot, field.read(slot)), (1, vec![0]));
                }
                links
            })
        };
        field.prepare(1);
        assert!(field.append(1, KEEP));
        assert!(field.append(0, 1 | KEEP));
        outcomes.note(&reads.join().unwrap());
    });
}

/// A row that is pruned shows links of before and after, and nothing else.
pub fn a_row_shows_old_and_new_links_only() {
    explore(4, &["[1, 2, 3]", "[1, 4]", "[1, 4, 3]"], |outcomes| {
        let field = Field::new(5);
        (0..4).for_each(|slot| field.prepare(slot));
        (1..4).for_each(|slot| assert!(field.append(0, slot)));
        let reads = {
            let field = Arc::clone(&field);
            thread::spawn(move || field.read(0))
        };
        field.prepare(4);
        row::acquire(&field.bytes[0]);
        row::set(&field.rows[0], &[1, 4]);
        assert!(row::release(&field.bytes[0]));
        let seen = reads.join().unwrap();
        outcomes.note(&seen);
        assert!(seen.len() < DEGREE && seen[0] == 1 && seen[1..].iter().all(|slot| (2..5).contains(slot)), "{seen:?}");
        assert_eq!(field.read(0), [1, 4]);
    });
}

/// Of two threads that edit one row, one by pruning it, neither undoes what the other did.
pub fn no_edit_of_a_row_is_lost() {
    explore(3, &["[1, 4, 5]", "[1, 5, 4]"], |outcomes| {
        let field = Field::new(6);
        (0..4).for_each(|slot| field.prepare(slot));
        (1..4).for_each(|slot| assert!(field.append(0, slot)));
        let appends = {
            let field = Arc::clone(&field);
            thread::spawn(move || {
                field.prepare(5);
                assert!(field.append(0, 5));
            })
        };
        field.prepare(4);
        row::acquire(&field.bytes[0]);
        let mut links: Vec<u32> = row::own(&field.rows[0]).filter(|&link| link == 1 || link > 3).collect();
        links.push(4);
        row::set(&field.rows[0], &links);
        assert!(row::release(&field.bytes[0]));
        appends.join().unwrap();
        let rest = field.read(0);
        outcomes.note(&rest);
        let mut sorted = rest.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 4, 5]);
        assert!(field.rows[0][3].load(Ordering::Relaxed) == NONE);
    });
}

impl Field {
    /// As `Locked::finish`.
    fn finish(&self, slot: u32, wishes: &Wishes) {
        while !row::release(&self.bytes[slot as usize]) {
            wishes.take(slot, |wish| {
                // What is wished for is whole.
                self.look(wish.link);
                assert!(row::append(&self.rows[slot as usize], wish.link));
            });
        }
    }

    /// As `Locked::or_leave`, by one who looks once; says whether it was left to another.
    fn append_or_leave(&self, to: u32, link: u32, wishes: &Wishes) -> bool {
        let byte = &self.bytes[to as usize];
        loop {
            if row::try_acquire(byte) {
                assert!(row::append(&self.rows[to as usize], link));
                self.finish(to, wishes);
                return false;
            }
            if wishes.leave(byte, Wish { owner: to, level: 0, link }) {
                return true;
            }
        }
    }
}

/// A link to be put into a row gets in, whoever does it, and no row stays held.
pub fn what_is_left_to_an_editor_is_done() {
    explore(3, &["([1, 2, 3], [true, true])", "([1, 3, 2], [false, false])", "([1, 2, 3], [false, true])"], |outcomes| {
        let (field, wishes) = (Field::new(4), Arc::new(Wishes::new(2)));
        (0..2).for_each(|slot| field.prepare(slot));
        row::acquire(&field.bytes[0]);
        let others = [2, 3].map(|slot| {
            let (field, wishes) = (Arc::clone(&field), Arc::clone(&wishes));
            thread::spawn(move || {
                field.prepare(slot);
                field.append_or_leave(0, slot, &wishes)
            })
        });
        assert!(row::append(&field.rows[0], 1));
        field.finish(0, &wishes);
        let left = others.map(|other| other.join().unwrap());
        let links = field.read(0);
        outcomes.note(&(&links, left));
        let mut sorted = links.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3]);
        assert!(row::try_acquire(&field.bytes[0]), "held still");
        wishes.take(0, |wish| unreachable!("{wish:?} was forgotten"));
    });
}

impl Field {
    /// As `build::insert::link`; says whether the slot founded the graph.
    fn link(&self, slot: u32, level: u32) -> bool {
        self.prepare(slot);
        if self.entry.found(Entry { slot, level }) {
            return true;
        }
        let entry = self.entry.get().expect("a graph never loses its entry");
        assert_ne!(entry.slot, slot);
        self.look(entry.slot);
        assert!(self.append(slot, entry.slot | KEEP));
        assert!(self.append(entry.slot, slot | KEEP));
        self.entry.promote(Entry { slot, level });
        false
    }
}

/// One slot founds the graph, and whoever loses the race finds the winner whole.
pub fn one_slot_founds_the_graph() {
    explore(4, &["(true, false)", "(false, true)"], |outcomes| {
        let field = Field::new(2);
        let other = {
            let field = Arc::clone(&field);
            thread::spawn(move || field.link(1, 3))
        };
        let founders = (field.link(0, 0), other.join().unwrap());
        outcomes.note(&founders);
        assert!(founders.0 != founders.1);
        assert_eq!(field.entry.get(), Some(Entry { slot: 1, level: 3 }));
        assert_eq!((field.read(0), field.read(1)), (vec![1], vec![0]));
    });
}

/// A walk begins at a slot that is whole, with its level, and, but for the founder, linked.
pub fn walks_begin_at_linked_slots() {
    explore(4, &["None", "Some((0, []))", "Some((0, [1]))", "Some((1, [0]))"], |outcomes| {
        let field = Field::new(2);
        let walks = {
            let field = Arc::clone(&field);
            thread::spawn(move || {
                let entry = field.entry.get()?;
                field.look(entry.slot);
                assert_eq!(entry.level, if entry.slot == 0 { 0 } else { 3 });
                Some((entry.slot, field.read(entry.slot)))
            })
        };
        assert!(field.link(0, 0));
        assert!(!field.link(1, 3));
        let begun = walks.join().unwrap();
        outcomes.note(&begun);
        let linked = |(slot, links): &(u32, Vec<u32>)| *slot == 0 || *links == [0];
        assert!(begun.as_ref().is_none_or(linked), "{begun:?}");
    });
}

/// What lives at the instant of a snapshot can be reached in the tree that is taken down behind it, and all that is reached is whole: a file has
/// the vectors of slots, too, that were linked and did not live yet.
pub fn a_snapshot_has_a_tree_of_what_lives() {
    explore(3, &["([false, false], [])", "([false, false], [1])", "([true, false], [1])", "([true, true], [1, 2])"], |outcomes| {
        let field = Field::new(3);
        let (gate, lives) = (Arc::new(Gate::default()), Arc::new([AtomicU8::new(0), AtomicU8::new(0)]));
        assert!(field.link(0, 3));
        let saves = {
            let (field, gate, lives) = (Arc::clone(&field), Arc::clone(&gate), Arc::clone(&lives));
            thread::spawn(move || {
                let instant = gate.write();
                let states: Vec<bool> = lives.iter().map(|state| state.load(Ordering::Acquire) == 1).collect();
                drop(instant);
                let (mut open, mut reached) = (vec![0], Vec::new());
                while let Some(slot) = open.pop() {
                    // As `Graph::spread_along`: nobody edits meanwhile.
                    row::acquire(&field.bytes[slot as usize]);
                    let links = row::own(&field.rows[slot as usize]).filter(|link| link & KEEP != 0);
                    let links: Vec<u32> = links.map(|link| link & !KEEP).collect();
                    assert!(row::release(&field.bytes[slot as usize]));
                    for link in links {
                        if link != 0 && !reached.contains(&link) {
                            field.look(link);
                            reached.push(link);
                            open.push(link);
                        }
                    }
                }
                (states, reached)
            })
        };
        for slot in [1, 2] {
            assert!(!field.link(slot, 0));
            let shared = gate.read();
            lives[slot as usize - 1].store(1, Ordering::Release);
            drop(shared);
        }
        let (states, reached) = saves.join().unwrap();
        outcomes.note(&(&states, &reached));
        assert!((1..).zip(&states).all(|(slot, lives)| !lives || reached.contains(&slot)), "{states:?} {reached:?}");
    });
}
