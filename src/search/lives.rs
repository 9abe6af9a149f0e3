//! Which slots live, if some are replaced while one looks?
//!
//! A vector that is replaced has a new slot, which may lie anywhere: a pass over the slots may come too early for the new one and too late
//! for the old one, or in time for both. So a pass notes the slots that it finds removed, and where something was replaced
//! meanwhile, it asks the key map where their keys live now. (What lived when the pass began is live, or removed, in its slot as long as
//! the pass is pinned; `store::reuse`.) Of two slots of one key the newer is the one that the map names.

use crate::store::{LIVE, REMOVED, Store};
use crate::util::epoch::Guard;

/// Calls `each` with the slot of every vector that lives while this runs; with two of them, perhaps, where a vector is replaced meanwhile.
pub(crate) fn each_live(store: &Store, guard: &Guard, mut each: impl FnMut(u32)) {
    let since = store.replacements();
    let mut gone = Vec::new();
    for slot in 0..store.slots() {
        match store.state(slot) {
            LIVE => each(slot),
            REMOVED => gone.push(slot),
            _ => {}
        }
    }
    if !store.undisturbed(since) {
        gone.into_iter().filter_map(|slot| store.find(store.key(slot), guard)).for_each(each);
    }
}

/// Leaves one of the items for each key: that in the newest slot. Leaves them in no order.
pub(crate) fn newest<T>(items: &mut Vec<T>, slot_of: impl Fn(&T) -> u32, store: &Store, guard: &Guard) {
    items.sort_unstable_by_key(|item| (store.key(slot_of(item)), slot_of(item)));
    // The first of equal keys stays: it gets the place of a newer one.
    items.dedup_by(|later, stays| {
        let key = store.key(slot_of(stays));
        if store.key(slot_of(later)) != key {
            return false;
        }
        if store.find(key, guard) == Some(slot_of(later)) {
            std::mem::swap(later, stays);
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Removal;
    use crate::util::epoch::Epochs;

    fn put(store: &Store, slot: u32, key: u64, guard: &Guard) {
        store.write(slot, key, &[slot as u8; 4], 1.0);
        store.claim_if_absent(slot, guard).unwrap();
        store.publish_replacing(slot, guard);
    }

    #[test]
    fn a_vector_that_moves_down_behind_a_pass_is_met() {
        let (epochs, store) = (Epochs::new(), Store::empty((4, crate::store::Held::AsGiven), false, Removal::Final));
        let guard = epochs.pin();
        store.allocate(3).unwrap();
        put(&store, 1, 10, &guard);
        put(&store, 2, 20, &guard);
        let mut met = Vec::new();
        each_live(&store, &guard, |slot| {
            if met.is_empty() {
                // The pass has gone by slot 0.
                put(&store, 0, 20, &guard);
            }
            met.push(slot);
        });
        assert_eq!(met, [1, 0]);
    }

    #[test]
    fn of_two_slots_of_a_key_the_newer_stays() {
        let (epochs, store) = (Epochs::new(), Store::empty((4, crate::store::Held::AsGiven), false, Removal::Final));
        let guard = epochs.pin();
        store.allocate(4).unwrap();
        for (slot, key) in [(3, 5), (2, 6), (1, 6), (0, 5)] {
            put(&store, slot, key, &guard);
        }
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            let mut items = order.to_vec();
            newest(&mut items, |&slot| slot, &store, &guard);
            items.sort_unstable();
            assert_eq!(items, [0, 1]);
        }
    }
}
