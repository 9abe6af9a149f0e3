//! Does the work on links that were left behind do no more than it should? What is done twice, comes too late or finds nothing must change nothing;
//! and whoever clears or saves the index in the middle of it gets what the index holds.
//!
//! Here the steps are taken one by one, so that each test stops where it wants to.

use super::tests::{DIMENSIONS, Model, Random, agrees, bytes, filled, lost, options, reopened, settled, whole};
use super::{Job, Outcome, Phase};
use crate::build::detach::{Detached, detach, detach_last};
use crate::build::mend::{Mender, mend};
use crate::index::config::{BuildOptions, OpenFlags};
use crate::index::{Core, Index, Kind, Rows};
use crate::search::walk::Field;
use crate::store::{EMPTY, LIVE, REMOVED};
use crossbeam_epoch::Guard;
use std::time::Duration;

const COUNT: u64 = 600;
const EF: usize = 60;

/// Where a test stops: in the middle of a phase.
#[derive(Clone, Copy, Debug)]
enum At {
    Detaching,
    Settling,
    Mending,
}

/// One step; says what it was, and what is being unlinked then.
fn step(index: &Index) -> (Outcome, Vec<u32>) {
    let pin = index.pin();
    let core = index.core(&pin);
    let mut job = core.tending.job.lock();
    let outcome = index.tend(core, &mut job, 1, &pin).unwrap();
    (outcome, job.batch.clone())
}

fn is_at(job: &Job, at: At) -> bool {
    match (&job.phase, at) {
        (Phase::Detaching(done), At::Detaching) => 2 * done >= job.batch.len(),
        (Phase::Settling(_), At::Settling) => true,
        (Phase::Mending(next, end), At::Mending) => 2 * next >= *end,
        _ => false,
    }
}

/// Takes steps up to the middle of a phase; answers the batch.
fn bring_to(index: &Index, at: At) -> Vec<u32> {
    for _ in 0..100_000 {
        {
            let pin = index.pin();
            let job = index.core(&pin).tending.job.lock();
            if is_at(&job, at) {
                return job.batch.clone();
            }
        }
        step(index);
    }
    panic!("it never came to {at:?}");
}

/// Takes steps until this batch is freed. The next one may have begun.
fn free(index: &Index, batch: &[u32]) {
    assert!((0..100_000).any(|_| step(index).1 != batch));
}

/// An index of some vectors, of whose upkeep calls do nothing, with free places, and with some keys removed: every tenth, and that of the entry.
fn lived_in(kind: Kind) -> (Index, Model) {
    let (index, mut model) = filled(kind, COUNT);
    index.leave_upkeep_to_worker(true).unwrap();
    for key in (5..COUNT).step_by(20) {
        index.remove(key).unwrap();
        model.remove(&key);
    }
    settled(&index);
    remove(&index, &mut model, (0..COUNT).step_by(10));
    let entry = {
        let pin = index.pin();
        let core = index.core(&pin);
        let entry = core.graph().and_then(crate::graph::Graph::entry);
        entry.filter(|entry| core.store(&pin).state(entry.slot) == LIVE).map(|entry| core.store(&pin).key(entry.slot))
    };
    remove(&index, &mut model, entry.into_iter());
    (index, model)
}

fn remove(index: &Index, model: &mut Model, keys: impl Iterator<Item = u64>) {
    for key in keys {
        index.remove(key).unwrap();
        model.remove(&key);
    }
}

fn put(index: &Index, model: &mut Model, key: u64) {
    let vector = Random(key + 7_000_000).vector();
    index.upsert(key, &bytes(&vector)).unwrap();
    model.insert(key, vector);
}

/// Looks at the graph as those do who work on it.
fn look<T>(index: &Index, act: impl FnOnce(&Core, Field<'_>, &Guard) -> T) -> T {
    let pin = index.pin();
    let core = index.core(&pin);
    act(core, core.field(core.graph().unwrap(), &pin), &pin)
}

/// All rows of all slots that stay, with their bits, and the entry. (In the row of one that left stands whatever walks may need that are there still.)
fn rows(index: &Index) -> (Vec<Vec<u32>>, Option<crate::graph::Entry>) {
    look(index, |_, field, _| {
        let mut rows = Vec::new();
        for slot in (0..field.store.slots()).filter(|&slot| !field.graph.is_leaving(slot)) {
            for level in 0..=field.graph.level(slot) {
                let mut row = Vec::new();
                field.graph.lock(slot).links(level, &mut row);
                rows.push(row);
            }
        }
        (rows, field.graph.entry())
    })
}

/// Whether a row of another slot that is not empty leads to one of these.
fn lead_to(index: &Index, slots: &[u32]) -> bool {
    look(index, |core, field, guard| {
        let mut row = Vec::new();
        let others = |&slot: &u32| core.store(guard).state(slot) != EMPTY && !slots.contains(&slot);
        (0..field.store.slots()).filter(others).any(|slot| {
            row.clear();
            (0..=field.graph.level(slot)).for_each(|level| field.graph.neighbours(slot, level, &mut row));
            row.iter().any(|link| slots.contains(link))
        })
    })
}

fn mender(field: Field<'_>) -> Mender {
    let mut mender = Mender::default();
    mender.make_room(field.graph, field.store.slots() as usize, EF).unwrap();
    mender
}

/// Goes through all rows; says how many were changed.
fn mend_all(index: &Index) -> usize {
    look(index, |core, field, _| {
        let mut mender = mender(field);
        let linked = (0..field.store.slots()).filter(|&slot| core.is_linked(slot));
        linked.map(|slot| mend(field, slot, EF, &mut mender)).sum()
    })
}

fn ends_well(index: &Index, model: &Model) {
    whole(index);
    agrees(index, model, &mut Random(3));
    settled(index);
    agrees(index, model, &mut Random(4));
    if index.config.kind == Kind::Graph {
        assert_eq!(lost(index, model), 0);
    }
}

#[test]
fn a_slot_that_is_detached_already_is_detached_no_further() {
    let (index, model) = lived_in(Kind::Graph);
    for at in [At::Detaching, At::Settling, At::Mending] {
        let batch = bring_to(&index, at);
        let done = if let At::Detaching = at { batch.len() / 2 } else { batch.len() };
        whole(&index);
        let before = rows(&index);
        look(&index, |_, field, _| {
            let (mut mender, adoptions) = (mender(field), field.graph.adoptions());
            for &slot in &batch[..done] {
                assert!(field.graph.is_leaving(slot) && !field.graph.is_linked(slot));
                assert_eq!(detach(field, slot, EF, &mut mender), Detached::Yes);
            }
            assert_eq!(field.graph.adoptions(), adoptions);
        });
        assert_eq!(rows(&index), before, "{at:?}");
        whole(&index);
    }
    ends_well(&index, &model);
}

#[test]
fn the_last_slot_leaves_once() {
    let (index, mut model) = filled(Kind::Graph, 1);
    index.leave_upkeep_to_worker(true).unwrap();
    remove(&index, &mut model, 0..1);
    let batch = bring_to(&index, At::Settling);
    look(&index, |_, field, _| {
        assert_eq!(field.graph.entry(), None);
        assert!(!detach_last(field, batch[0]));
        assert_eq!(detach(field, batch[0], EF, &mut mender(field)), Detached::Yes);
        assert_eq!(field.graph.entry(), None);
    });
    // Whoever comes now founds the graph; the one that left may not end that.
    put(&index, &mut model, 7);
    let entry = rows(&index).1;
    look(&index, |_, field, _| assert!(entry.is_some() && !detach_last(field, batch[0])));
    assert_eq!(rows(&index).1, entry);
    ends_well(&index, &model);
}

#[test]
fn a_row_that_is_mended_already_is_mended_no_further() {
    let (index, model) = lived_in(Kind::Graph);
    let batch = bring_to(&index, At::Mending);
    assert!(lead_to(&index, &batch));
    let mut changed = 0;
    look(&index, |core, field, _| {
        let mut mender = mender(field);
        for slot in (0..field.store.slots()).filter(|&slot| core.is_linked(slot)) {
            changed += mend(field, slot, EF, &mut mender);
            let mut links = [Vec::new(), Vec::new()];
            field.graph.lock(slot).links(0, &mut links[0]);
            assert_eq!(mend(field, slot, EF, &mut mender), 0);
            field.graph.lock(slot).links(0, &mut links[1]);
            assert_eq!(links[0], links[1]);
        }
    });
    assert!(changed > 0 && !lead_to(&index, &batch));
    let before = rows(&index);
    assert_eq!(mend_all(&index), 0);
    // And the one whose work it is comes to the same rows.
    free(&index, &batch);
    assert_eq!(rows(&index), before);
    ends_well(&index, &model);
}

#[test]
fn rows_whose_owners_go_or_come_meanwhile_are_mended_too() {
    let (index, mut model) = lived_in(Kind::Graph);
    // Between their removal and the work on them: free places are taken, among and behind those that wait.
    (0..5).for_each(|key| put(&index, &mut model, 10_000 + key));
    for at in [At::Detaching, At::Settling, At::Mending] {
        let batch = bring_to(&index, at);
        // Of those whose rows lead to the batch some go, and some get another vector; the last ones are those that the work comes to last.
        let mut owners: Vec<u64> = look(&index, |_, field, _| {
            let leads = |slot: u32| {
                let mut row = Vec::new();
                field.graph.neighbours(slot, 0, &mut row);
                row.iter().any(|link| batch.contains(link))
            };
            let live = (0..field.store.slots()).filter(|&slot| field.store.state(slot) == LIVE && leads(slot));
            live.map(|slot| field.store.key(slot)).collect()
        });
        assert!(owners.len() > 12);
        let late = owners.split_off(owners.len() - 6);
        remove(&index, &mut model, owners[..3].iter().chain(&late[..3]).copied());
        owners[3..6].iter().chain(&late[3..]).for_each(|&key| put(&index, &mut model, key));
        // And free places are taken, before and behind the row that is the next.
        let slots = look(&index, |_, field, _| field.store.slots());
        (0..2).for_each(|key| put(&index, &mut model, 20_000 + key + 100 * at as u64));
        assert_eq!(look(&index, |_, field, _| field.store.slots()), slots, "no free place was taken");
        whole(&index);
        agrees(&index, &model, &mut Random(5));
    }
    let batch = bring_to(&index, At::Mending);
    free(&index, &batch);
    assert!(!lead_to(&index, &batch));
    let removed =
        look(&index, |_, field, _| (0..field.store.slots()).filter(|&slot| field.store.state(slot) == REMOVED).count());
    assert_eq!(removed, 36, "those that went or were replaced meanwhile wait for the next batch");
    ends_well(&index, &model);
}

#[test]
fn a_slot_that_is_used_again_keeps_its_new_links() {
    let (index, mut model) = lived_in(Kind::Graph);
    let batch = bring_to(&index, At::Mending);
    free(&index, &batch);
    assert!(!lead_to(&index, &batch));
    index.sweep();
    let before = look(&index, |_, field, _| field.store.slots());
    let count = batch.len() as u64 + 30;
    (0..count).for_each(|key| put(&index, &mut model, 30_000 + key));
    look(&index, |core, field, guard| {
        assert_eq!(field.store.slots(), before);
        let again = |&slot: &u32| core.store(guard).state(slot) == LIVE && core.store(guard).key(slot) >= 30_000;
        assert!(batch.iter().all(again));
        assert!(batch.iter().all(|&slot| !field.graph.is_leaving(slot)));
    });
    // The work on what these slots were, once more: from the first row, and with the slots themselves.
    let there = rows(&index);
    assert_eq!(mend_all(&index), 0);
    {
        let pin = index.pin();
        let core = index.core(&pin);
        let mut job = core.tending.job.lock();
        job.phase = Phase::Mending(0, before);
        while index.tend(core, &mut job, 1000, &pin).unwrap() == Outcome::Worked {}
    }
    assert_eq!(rows(&index), there);
    ends_well(&index, &model);
}

#[test]
fn a_link_that_is_left_to_an_editor_twice_comes_once_and_one_to_a_slot_that_leaves_not_at_all() {
    let (index, model) = lived_in(Kind::Graph);
    let gone = bring_to(&index, At::Settling)[0];
    look(&index, |core, field, _| {
        let graph = field.graph;
        let links = |slot: u32| {
            let mut row = Vec::new();
            graph.neighbours(slot, 0, &mut row);
            row
        };
        let mut live = (0..field.store.slots()).filter(|&slot| field.store.state(slot) == LIVE && core.is_linked(slot));
        let owner = live.find(|&slot| links(slot).len() + 3 < graph.degree(0)).unwrap();
        let other = live.find(|slot| !links(owner).contains(slot)).unwrap();
        for (owner, wishes, more) in
            [(owner, &[other, other, gone, other][..], &[other][..]), (gone, &[gone, gone][..], &[][..])]
        {
            let before = links(owner);
            let held = graph.lock(owner);
            assert!(wishes.iter().all(|&wish| graph.lock_or_leave(owner, 0, wish).is_none()));
            drop(held);
            assert_eq!(links(owner), [&before, more].concat());
        }
    });
    ends_well(&index, &model);
}

#[test]
fn nothing_is_done_where_nothing_waits() {
    for kind in [Kind::Graph, Kind::Flat] {
        let empty = Index::create(&options(kind, 16)).unwrap();
        assert_eq!(step(&empty), (Outcome::Done, Vec::new()));
        assert!(!empty.do_upkeep(Duration::from_millis(20)).unwrap());
        settled(&empty);
        let (index, model) = filled(kind, COUNT);
        let image = |index: &Index| {
            let mut file = Vec::new();
            index.save_to(&mut file).unwrap();
            file
        };
        let before = image(&index);
        for _ in 0..3 {
            assert_eq!(step(&index), (Outcome::Done, Vec::new()));
            assert_eq!(index.maintain(Duration::ZERO).unwrap(), 0);
            assert_eq!(index.maintain(Duration::MAX).unwrap(), 0);
        }
        assert!(image(&index) == before);
        ends_well(&index, &model);
    }
}

#[test]
fn an_index_that_is_cleared_in_the_middle_begins_anew() {
    for (kind, at) in [
        (Kind::Graph, At::Detaching),
        (Kind::Graph, At::Settling),
        (Kind::Graph, At::Mending),
        (Kind::Flat, At::Detaching),
        (Kind::Flat, At::Settling),
    ] {
        let (index, old) = lived_in(kind);
        bring_to(&index, at);
        // As a checkpoint that began before.
        let hold = index.epochs.hold();
        let (core, snapshot) = index.snapshot(&hold).unwrap();
        index.clear().unwrap();
        assert_eq!((step(&index).0, index.maintain(Duration::MAX).unwrap()), (Outcome::Done, 0), "{kind:?} {at:?}");
        let info = index.describe();
        assert_eq!((info.count, info.removed), (0, 0));
        let mut model = Model::new();
        (0..50).for_each(|key| put(&index, &mut model, key));
        agrees(&index, &model, &mut Random(1));
        let mut file = Vec::new();
        crate::persist::save_to(&snapshot.image(core), &mut file).unwrap();
        drop((snapshot, hold));
        let then = Index::open_buffer(&file, OpenFlags::default()).unwrap();
        ends_well(&then, &old);
        // Places of the new life are made free as those of the old one would have been.
        remove(&index, &mut model, (0..50).step_by(2));
        let data: Vec<u8> = old.values().flat_map(|vector| bytes(vector)).collect();
        let keys: Vec<u64> = old.keys().map(|key| key + 1_000).collect();
        let rows = Rows::packed(&data, DIMENSIONS * 4);
        index.insert_batch(&keys, rows, &BuildOptions::default()).unwrap();
        model.extend(old.iter().map(|(key, vector)| (key + 1_000, vector.clone())));
        ends_well(&index, &model);
    }
}

#[test]
fn what_is_saved_in_the_middle_is_what_the_index_holds() {
    for (kind, at) in [
        (Kind::Graph, At::Detaching),
        (Kind::Graph, At::Settling),
        (Kind::Graph, At::Mending),
        (Kind::Flat, At::Detaching),
        (Kind::Flat, At::Settling),
    ] {
        let (index, mut model) = lived_in(kind);
        let batch = bring_to(&index, at);
        put(&index, &mut model, 40_000);
        let opened = reopened(&index);
        let health = opened.check().unwrap();
        assert!(health.is_sound(), "{kind:?} {at:?}: {health:?}");
        ends_well(&opened, &model);
        // Nothing was lost of the work either.
        free(&index, &batch);
        ends_well(&index, &model);
    }
}
