//! Where do vectors live, and under which key? Slots with stable addresses.
//!
//! A *slot* is a u32 that numbers the places for vectors: handed out in order, and again when what it held is gone (`reuse`). Per slot there are separate arrays (each on cache
//! lines and huge pages, none ever moving; see `util::memory`):
//!
//! | array | bytes per slot | content |
//! |---|---|---|
//! | vectors | padded vector | as the caller gave it, or a byte or 16 bits per component (see `whole`), zeros behind |
//! | keys | 8 | the caller's key |
//! | states | 1 | [`EMPTY`], [`LIVE`] or [`REMOVED`] |
//! | scales | 4, cosine only | 1 / norm of the vector |
//!
//! Life of a slot: allocated (`EMPTY`, its key entered into the key map as a *claim*), written, published (`LIVE`), in the end
//! `REMOVED`, and freed (`EMPTY` again). Vector, key and scale are written before the state becomes `LIVE` (release) and not again before
//! all have left that may have met the slot, so a reader that sees `LIVE` (acquire) reads them without a lock and without ever
//! seeing half of one.
//!
//! A key names at most one live slot: states change to and from `LIVE` under the lock of the key's shard only.
//!
//! A store can be made anew with its vectors held in another way ([`Store::held_as`]); everything else is then shared by both. Readers go on
//! in the one they have, and whoever grows one grows all that are left, so that a slot can be looked at in each, whenever it came; but
//! its vector stands only in the newest.

mod allocate;
mod kept;
mod keys;
mod life;
mod reuse;
mod run;
mod whole;

pub(crate) use keys::KeyMap;
pub(crate) use whole::Held;

pub(crate) use life::{EMPTY, LIVE, Moved, REMOVED};
pub(crate) use run::Run;

use crate::util::epoch::Guard;
use crate::util::error::{Error, Result, Status};
use crate::util::memory::{Foreign, LINE, Segments, prefetch, rounded_capacity};
use crate::util::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use kept::Kept;
use life::{End, Life, Slots};
use parking_lot::Mutex;
use reuse::Reuse;
use std::sync::{Arc, Weak};

/// Slots there can be; the two highest numbers mean something else in key map and links.
pub(crate) const MAX_SLOTS: u64 = u32::MAX as u64 - 1;

/// Bytes from one stored vector to the next: kernels read whole 32-byte pieces, and long vectors start on a cache line.
pub(crate) fn padded(vector_bytes: usize) -> usize {
    if vector_bytes > 8 * LINE { vector_bytes.next_multiple_of(LINE) } else { vector_bytes.next_multiple_of(32) }
}

/// The vectors of an index.
#[derive(Debug)]
pub(crate) struct Store {
    held: Held,
    vector_bytes: usize,
    vectors: Segments,
    /// Whether vectors are held at the length that their scales belong to.
    scaled: bool,
    shared: Arc<Shared>,
}

/// What does not depend on how vectors are held.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Bytes of a vector as callers give it.
    given_bytes: usize,
    keys: Segments,
    states: Segments,
    scales: Option<Segments>,
    /// Slots allocated so far; every array has at least `capacity` >= `next` records.
    next: Arc<AtomicU32>,
    capacity: AtomicU32,
    /// Held by whoever makes arrays larger: all stores that share this, once there are several.
    growing: Mutex<Vec<Weak<Store>>>,
    life: Life,
    kept: Kept,
    reuse: Reuse,
}

impl std::ops::Deref for Store {
    type Target = Shared;
    #[inline(always)]
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// What becomes of removed vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Removal {
    /// They are gone for good.
    #[default]
    Final,
    /// They can come back.
    Kept,
}

/// What the arrays of a store are made of, when it is not empty from the start.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Bytes of a vector as callers give it.
    pub(crate) given_bytes: usize,
    pub(crate) held: Held,
    pub(crate) vectors: Segments,
    pub(crate) keys: Segments,
    pub(crate) states: Segments,
    pub(crate) scales: Option<Segments>,
    /// Slots in use; every array has room for them, and every state is one of the three.
    pub(crate) slots: u32,
}

/// The arrays of a new store, empty: for vectors that callers give as `given_bytes`, with or without scales.
impl Parts {
    pub(crate) fn empty(given_bytes: usize, held: Held, scaled: bool) -> Self {
        Self {
            given_bytes,
            held,
            vectors: Segments::new(padded(held.bytes_of(given_bytes))),
            keys: Segments::new(8),
            states: Segments::new(1),
            scales: scaled.then(|| Segments::new(4)),
            slots: 0,
        }
    }

    /// Makes room for `slots` slots in every array.
    pub(crate) fn grow(&self, slots: usize) -> Result<()> {
        self.vectors.grow(slots)?;
        self.keys.grow(slots)?;
        self.states.grow(slots)?;
        self.scales.as_ref().map_or(Ok(()), |scales| scales.grow(slots))
    }
}

impl Store {
    /// A store of vectors that callers give as so many bytes.
    pub(crate) fn empty((given_bytes, held): (usize, Held), scaled: bool, removal: Removal) -> Arc<Self> {
        Arc::new(Self::around(Parts::empty(given_bytes, held, scaled), 0, removal))
    }

    fn around(parts: Parts, capacity: u32, removal: Removal) -> Self {
        let Parts { given_bytes, held, vectors, keys, states, scales, slots } = parts;
        let kept = match removal {
            Removal::Final => Kept::default(),
            Removal::Kept => Kept::begin(),
        };
        let shared = Shared {
            given_bytes,
            keys,
            states,
            scales,
            next: Arc::new(AtomicU32::new(slots)),
            capacity: AtomicU32::new(capacity),
            growing: Mutex::default(),
            life: Life::new(),
            kept,
            reuse: Reuse::default(),
        };
        Self::with(held, vectors, Arc::new(shared))
    }

    fn with(held: Held, vectors: Segments, shared: Arc<Shared>) -> Self {
        let scaled = shared.scales.is_some() && !matches!(held, Held::Reduced(_));
        Self { held, vector_bytes: held.bytes_of(shared.given_bytes), vectors, scaled, shared }
    }

    /// A store that shares everything with this one but the vectors, which it holds in another way. They are not there yet: see
    /// [`Store::put_vector`].
    pub(crate) fn held_as(self: &Arc<Self>, held: Held) -> Result<Arc<Self>> {
        let mut stores = self.growing.lock();
        let vectors = Segments::new(padded(held.bytes_of(self.given_bytes)));
        vectors.grow(self.capacity() as usize)?;
        let fresh = Arc::new(Self::with(held, vectors, Arc::clone(&self.shared)));
        stores.retain(|store| store.strong_count() > 0);
        if stores.is_empty() {
            stores.push(Arc::downgrade(self));
        }
        stores.push(Arc::downgrade(&fresh));
        Ok(fresh)
    }

    /// Writes the vector of a slot that stands in another store that shares slots with this one: as a caller gives it, or reduced if
    /// that is how vectors are held. It must fit; nobody fills slots meanwhile, and nobody reads this store's vectors yet.
    pub(crate) fn put_vector(&self, slot: u32, given: &[u8]) {
        // SAFETY: the record exists: `held_as` made as many as there is capacity for, and slots are below it. Nobody else touches it,
        // as the caller promises.
        let place = unsafe { std::slice::from_raw_parts_mut(self.vectors.address(slot), self.vector_bytes) };
        self.held.pack(given, place);
    }

    /// A store around arrays that are filled already. Enters every live key; a key that is live twice is an error. Removed slots are
    /// retired, empty ones free.
    pub(crate) fn from_parts(parts: Parts, guard: &Guard) -> Result<Arc<Self>> {
        /// Keys whose cells are on their way from memory.
        const AHEAD: u32 = 16;
        let slots = parts.slots;
        let store = Self::around(parts, slots, Removal::Final);
        store.life.map.reserve(slots as usize, guard)?;
        let (mut live, mut removed) = (0, 0);
        for slot in 0..slots {
            if slots - slot > AHEAD {
                store.life.map.prefetch(store.key(slot + AHEAD), guard);
            }
            if store.state(slot) != LIVE {
                if store.state(slot) == REMOVED {
                    removed += 1;
                    store.reuse.retire(slot);
                } else {
                    store.reuse.free_now(std::iter::once(slot));
                }
                continue;
            }
            let key = store.key(slot);
            if key == u64::MAX {
                return Err(Error::corrupt(format!("slot {slot} has the reserved key {key}")));
            }
            if !store.claim_if_absent(slot, guard)? {
                return Err(Error::corrupt(format!("key {key} stands in slot {slot} and in an earlier one")));
            }
            live += 1;
        }
        store.life.begin_with(live, removed);
        Ok(Arc::new(store))
    }

    // ---- reading ----------------------------------------------------------------------------------------------------------

    /// Slots allocated so far. Every slot below it can be asked for its state.
    #[inline]
    pub(crate) fn slots(&self) -> u32 {
        self.next.load(Ordering::Acquire)
    }

    /// Live vectors.
    pub(crate) fn live(&self) -> u64 {
        self.life.live()
    }

    /// Slots that hold a vector that was removed or replaced: walks may meet them.
    pub(crate) fn removed(&self) -> u64 {
        self.life.removed()
    }

    /// Slots that wait to be used again: removed, freed and free ones.
    pub(crate) fn waiting(&self) -> u64 {
        self.life.removed() + self.reuse.waiting()
    }

    /// Slots that hold nothing and are not free yet: those of insertions that failed, while somebody is inside who may have met them.
    pub(crate) fn returning(&self) -> u64 {
        self.reuse.returning()
    }

    /// Slots that are retired and were not taken by [`Store::take_retired`] yet.
    pub(crate) fn retired(&self) -> usize {
        self.reuse.retired()
    }

    /// Free slots, which the next allocations take.
    pub(crate) fn available(&self) -> u64 {
        self.reuse.available()
    }

    /// Vectors that fit before the next growth.
    pub(crate) fn capacity(&self) -> u64 {
        u64::from(self.capacity.load(Ordering::Acquire))
    }

    /// For [`Store::undisturbed`]: taken before something is read.
    pub(crate) fn replacements(&self) -> u64 {
        self.life.replacements()
    }

    /// Whether no vector was in the middle of being replaced since [`Store::replacements`] gave this number; if so, a reader met
    /// no key twice.
    pub(crate) fn undisturbed(&self, since: u64) -> bool {
        self.life.undisturbed(since)
    }

    /// The file that the arrays lie in, if they do.
    pub(crate) fn file(&self) -> Option<&Foreign> {
        self.vectors.file()
    }

    /// Keys that lead to a slot, claimed ones among them.
    pub(crate) fn keys_held(&self) -> usize {
        self.life.map.held()
    }

    /// Bytes of a vector as it is held.
    pub(crate) fn vector_bytes(&self) -> usize {
        self.vector_bytes
    }

    /// How vectors are held.
    pub(crate) fn held(&self) -> Held {
        self.held
    }

    /// Bytes from one stored vector to the next.
    #[inline]
    pub(crate) fn stride(&self) -> usize {
        self.vectors.stride()
    }

    /// Memory held: arrays, tables.
    pub(crate) fn bytes(&self, guard: &Guard) -> u64 {
        let slots = self.slots() as usize;
        let arrays = [Some(&self.vectors), Some(&self.keys), Some(&self.states), self.scales.as_ref()];
        let bytes: usize = arrays.into_iter().flatten().map(|array| array.bytes(slots)).sum();
        let shared = size_of::<Self>() + size_of::<Shared>();
        (bytes + self.life.map.bytes(guard) + self.kept.bytes() + self.reuse.bytes() + shared) as u64
    }

    /// The most memory that `count` more vectors can add, of which so many take new slots.
    pub(crate) fn growth(&self, count: usize, slots: usize, guard: &Guard) -> usize {
        let there = self.slots() as usize;
        let arrays = [Some(&self.vectors), Some(&self.keys), Some(&self.states), self.scales.as_ref()];
        let arrays: usize = arrays.into_iter().flatten().map(|array| array.growth(there, there + slots)).sum();
        arrays + self.life.map.growth(count, guard)
    }

    /// Bytes of the arrays that lie in foreign bytes.
    pub(crate) fn mapped(&self) -> usize {
        let arrays = [Some(&self.vectors), Some(&self.keys), Some(&self.states), self.scales.as_ref()];
        arrays.into_iter().flatten().map(|array| array.mapped(self.slots() as usize)).sum()
    }

    /// The state of a slot below [`Store::slots`].
    #[inline]
    pub(crate) fn state(&self, slot: u32) -> u8 {
        self.state_cell(slot).load(Ordering::Acquire)
    }

    #[inline]
    fn state_cell(&self, slot: u32) -> &AtomicU8 {
        debug_assert!(u64::from(slot) < self.capacity());
        // SAFETY: slots below `next` exist in every array, records never move or go away before the store, and states are only
        // ever accessed as atomics.
        unsafe { AtomicU8::from_ptr(self.states.address(slot)) }
    }

    /// The states of `count` slots from `slot` on, which lie behind each other (see [`Store::run`]).
    #[inline]
    pub(crate) fn states(&self, slot: u32, count: u32) -> &[AtomicU8] {
        debug_assert!(u64::from(slot) + u64::from(count) <= self.capacity());
        // SAFETY: as in `state_cell`; `run` promised that the records are adjacent.
        unsafe { std::slice::from_raw_parts(self.states.address(slot).cast::<AtomicU8>().cast_const(), count as usize) }
    }

    /// How many slots from `slot` on, at most up to `end`, lie behind each other in every array.
    pub(crate) fn run(&self, slot: u32, end: u32) -> u32 {
        // Vectors can lie in a file while the rest, which is all of one kind, is in segments.
        self.vectors.run(slot, end).min(self.states.run(slot, end))
    }

    /// The key of an allocated slot.
    #[inline]
    pub(crate) fn key(&self, slot: u32) -> u64 {
        debug_assert!(u64::from(slot) < self.capacity());
        // SAFETY: as in `state_cell`; records are 8 bytes on an 8-byte boundary, and keys are only ever accessed as atomics.
        unsafe { AtomicU64::from_ptr(self.keys.address(slot).cast()) }.load(Ordering::Relaxed)
    }

    /// Asks the processor to fetch the key of a slot, its state, and what is kept of its length.
    #[inline(always)]
    pub(crate) fn prefetch_key(&self, slot: u32) {
        prefetch(self.keys.address(slot));
        prefetch(self.states.address(slot));
        if let Some(scales) = self.scales.as_ref().filter(|_| self.scaled) {
            prefetch(scales.address(slot));
        }
    }

    /// Start of the padded vector of a slot: [`Store::stride`] readable bytes, which stay as they are once the slot was seen `LIVE`.
    #[inline(always)]
    pub(crate) fn vector(&self, slot: u32) -> *const u8 {
        self.vectors.address(slot).cast_const()
    }

    /// The vector of a slot that was seen `LIVE` or `REMOVED`, or that the graph links to.
    pub(crate) fn vector_slice(&self, slot: u32) -> &[u8] {
        // SAFETY: the record has stride() >= vector_bytes bytes and is not written any more once it is linked or published.
        unsafe { std::slice::from_raw_parts(self.vector(slot), self.vector_bytes) }
    }

    /// The vector of such a slot as the caller gave it, or as it is held if it is reduced.
    pub(crate) fn unpack(&self, slot: u32, given: &mut Vec<u8>) {
        given.resize(if let Held::Reduced(bytes) = self.held { bytes as usize } else { self.given_bytes }, 0);
        self.held.unpack(self.vector_slice(slot), given);
    }

    /// What distances of a slot are multiplied with: 1 / norm of its vector, where the metric keeps it and the vector is held at that length;
    /// else 1.
    #[inline(always)]
    pub(crate) fn scale(&self, slot: u32) -> f32 {
        if self.scaled { self.own_scale(slot) } else { 1.0 }
    }

    /// 1 / norm of the vector of a slot as the caller gave it, where the metric keeps it; else 1.
    #[inline(always)]
    pub(crate) fn own_scale(&self, slot: u32) -> f32 {
        match &self.scales {
            Some(scales) => {
                // SAFETY: as in `state_cell`; scales are only ever accessed as atomics.
                let cell = unsafe { AtomicU32::from_ptr(scales.address(slot).cast()) };
                f32::from_bits(cell.load(Ordering::Relaxed))
            }
            None => 1.0,
        }
    }

    /// The states of all slots, at one instant if nobody publishes or removes meanwhile.
    pub(crate) fn copy_states(&self) -> Result<Vec<u8>> {
        let slots = self.slots();
        let mut states = Vec::new();
        states.try_reserve_exact(slots as usize).map_err(|_| Error::memory(slots as usize))?;
        let mut slot = 0;
        while slot < slots {
            let run = self.run(slot, slots);
            states.extend(self.states(slot, run).iter().map(|state| state.load(Ordering::Acquire)));
            slot += run;
        }
        Ok(states)
    }

    /// The slot of a removed key that can come back.
    pub(crate) fn find_removed(&self, key: u64) -> Option<u32> {
        self.kept.slot(key)
    }

    /// Removed keys that can come back and their slots, in order of slots.
    pub(crate) fn all_removed(&self) -> Vec<(u64, u32)> {
        self.kept.all()
    }

    /// The slots of those, in order.
    pub(crate) fn kept_slots(&self) -> Vec<u32> {
        let mut slots: Vec<u32> = self.kept.all().into_iter().map(|(_, slot)| slot).collect();
        slots.sort_unstable();
        slots
    }

    /// Whether the key of a claimed slot leads to it, and not to one that replaced it.
    pub(crate) fn names(&self, slot: u32, guard: &Guard) -> bool {
        self.life.map.find(self.key(slot), |slot| self.key(slot), guard) == Some(slot)
    }

    /// The live slot of a key.
    pub(crate) fn find(&self, key: u64, guard: &Guard) -> Option<u32> {
        self.life.find(self, key, guard)
    }

    // ---- changing ---------------------------------------------------------------------------------------------------------

    /// Makes room for `slots` slots in all. On failure the index is as before.
    pub(crate) fn reserve(&self, slots: u64) -> Result<()> {
        if slots > MAX_SLOTS {
            return Err(Error::argument(format!("{slots} vectors are more than an index holds ({MAX_SLOTS})")));
        }
        if slots <= self.capacity() {
            return Ok(());
        }
        let stores = self.growing.lock();
        let wanted = rounded_capacity(slots as usize);
        self.vectors.grow(wanted)?;
        for store in stores.iter().filter_map(Weak::upgrade) {
            store.vectors.grow(wanted)?;
        }
        self.keys.grow(wanted)?;
        self.states.grow(wanted)?;
        if let Some(scales) = &self.scales {
            scales.grow(wanted)?;
        }
        self.capacity.fetch_max(wanted.min(MAX_SLOTS as usize) as u32, Ordering::AcqRel);
        Ok(())
    }

    /// Fills an allocated slot with a vector, which must fit, or is reduced if that is how vectors are held. Only the caller that allocated
    /// it may do so, before it claims or publishes it, and only in the newest of the stores that share slots.
    pub(crate) fn write(&self, slot: u32, key: u64, vector: &[u8], scale: f32) {
        assert!(vector.len() == self.given_bytes || Held::Reduced(vector.len() as u32) == self.held);
        debug_assert!(self.state(slot) == EMPTY && self.held.fits(vector));
        // SAFETY: the slot exists, has stride() >= vector_bytes bytes, and is the caller's alone: nobody reads vector, key or
        // scale of a slot that is neither claimed nor published, and whoever met what it held before has left (`reuse`). The padding is zero: records start zeroed, and only vectors of
        // this length are ever written.
        unsafe {
            self.held.pack(vector, std::slice::from_raw_parts_mut(self.vectors.address(slot), self.vector_bytes));
            AtomicU64::from_ptr(self.keys.address(slot).cast()).store(key, Ordering::Relaxed);
            if let Some(scales) = &self.scales {
                AtomicU32::from_ptr(scales.address(slot).cast()).store(scale.to_bits(), Ordering::Relaxed);
            }
        }
    }

    /// Takes the key for a written slot, so that no other insert gets it; readers do not see it yet. A key that is live or
    /// claimed already is refused.
    pub(crate) fn claim(&self, slot: u32, guard: &Guard) -> Result<()> {
        if self.claim_if_absent(slot, guard)? {
            Ok(())
        } else {
            Err(Error::new(Status::Exists, format!("key is {}, which the index holds already", self.key(slot))))
        }
    }

    /// Takes the key for a written slot unless another slot has it; says whether it did.
    pub(crate) fn claim_if_absent(&self, slot: u32, guard: &Guard) -> Result<bool> {
        self.life.claim_if_absent(self, slot, guard)
    }

    /// Undoes [`Store::claim`].
    pub(crate) fn release(&self, slot: u32, guard: &Guard) {
        self.life.release(self, slot, guard);
    }

    /// Makes a claimed slot live. Should a replacement have taken the key meanwhile, the slot counts as replaced at once.
    pub(crate) fn publish(&self, slot: u32, guard: &Guard) {
        self.life.publish(self, slot, guard);
    }

    /// Makes a written slot live under its key, in place of the slot that has it; before, the caller called
    /// [`Store::claim_if_absent`]. A reader sees the old vector or the new one: the new one is live before the old one is not.
    pub(crate) fn publish_replacing(&self, slot: u32, guard: &Guard) {
        self.life.publish_replacing(self, slot, guard);
    }

    /// Makes a written slot, the copy of slot `from`, live in its place, if its key lives there still; else it counts as replaced at once.
    pub(crate) fn publish_moved(&self, slot: u32, from: u32, guard: &Guard) -> Moved {
        self.life.publish_moved(self, slot, from, guard)
    }

    /// Removes a live key; says whether it was there.
    pub(crate) fn remove(&self, key: u64, guard: &Guard) -> bool {
        self.life.remove(self, key, guard).is_some()
    }

    /// Makes the vector live that was removed last under this key; says whether there is one.
    pub(crate) fn revive(&self, key: u64, guard: &Guard) -> Result<bool> {
        self.life.revive(self, key, || self.kept.slot(key), guard)
    }

    /// Makes a written slot, which nobody claimed, one whose vector was removed.
    pub(crate) fn bury(&self, slot: u32, guard: &Guard) {
        self.life.bury(self, slot, guard);
    }

    /// Gives up the removed vector of a key; says whether there was one.
    pub(crate) fn forget_removed(&self, key: u64, guard: &Guard) -> bool {
        self.life.apart(key, guard, || self.forget(key)).is_some()
    }

    fn forget(&self, key: u64) -> Option<u32> {
        self.kept.forget(key).inspect(|&slot| self.reuse.retire(slot))
    }
}

impl Slots for Store {
    #[inline]
    fn key(&self, slot: u32) -> u64 {
        self.key(slot)
    }

    #[inline]
    fn state(&self, slot: u32) -> &AtomicU8 {
        self.state_cell(slot)
    }

    fn ended(&self, slot: u32, end: End) {
        let gone = if end == End::Removed { self.kept.keep(self.key(slot), slot) } else { Some(slot) };
        gone.into_iter().for_each(|slot| self.reuse.retire(slot));
    }

    fn began(&self, slot: u32) {
        // The slot itself, if it is one that comes back.
        self.kept
            .forget(self.key(slot))
            .filter(|&older| older != slot)
            .into_iter()
            .for_each(|older| self.reuse.retire(older));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::epoch::Epochs;

    fn store_with(keys: &[u64]) -> (Epochs, Arc<Store>) {
        let (epochs, store) = (Epochs::new(), Store::empty((4, Held::AsGiven), false, Removal::Final));
        for &key in keys {
            insert(&store, &epochs, key).unwrap();
        }
        (epochs, store)
    }

    fn insert(store: &Store, epochs: &Epochs, key: u64) -> Result<u32> {
        let guard = epochs.pin();
        let slot = store.take_one()?;
        store.write(slot, key, &(key as u32).to_le_bytes(), 1.0);
        store.claim(slot, &guard).inspect_err(|_| store.give_back_one(slot))?;
        store.publish(slot, &guard);
        Ok(slot)
    }

    #[test]
    fn a_key_is_found_until_it_is_removed() {
        let (epochs, store) = store_with(&[5, 6, 7]);
        let guard = epochs.pin();
        assert_eq!(store.live(), 3);
        assert_eq!(
            store.find(6, &guard).map(|slot| store.vector_slice(slot).to_vec()),
            Some(6u32.to_le_bytes().to_vec())
        );
        assert!(store.remove(6, &guard));
        assert!(!store.remove(6, &guard));
        assert_eq!(store.find(6, &guard), None);
        assert_eq!((store.live(), store.slots()), (2, 3));
    }

    #[test]
    fn a_present_key_is_refused_and_its_slot_given_back() {
        let (epochs, store) = store_with(&[1]);
        assert_eq!(insert(&store, &epochs, 1).unwrap_err().status(), Status::Exists);
        assert_eq!(store.slots(), 1);
        assert_eq!(insert(&store, &epochs, 2).unwrap(), 1);
    }

    #[test]
    fn a_claim_hides_until_published_and_can_be_released() {
        let (epochs, store) = store_with(&[]);
        let guard = epochs.pin();
        let run = store.take(1).unwrap();
        let slot = run.slot(0);
        store.write(slot, 9, &[0; 4], 1.0);
        store.claim(slot, &guard).unwrap();
        assert_eq!(store.find(9, &guard), None);
        assert!(!store.remove(9, &guard));
        assert_eq!(insert(&store, &epochs, 9).unwrap_err().status(), Status::Exists);
        store.release(slot, &guard);
        store.give_back_seen(run, &guard);
        // Not as long as somebody is inside who may have seen the slot.
        (0..100).for_each(|_| epochs.pin().flush());
        assert_eq!(store.slots(), 1);
        drop(guard);
        (0..100).for_each(|_| epochs.pin().flush());
        assert_eq!(insert(&store, &epochs, 9).unwrap(), 0);
    }

    #[test]
    fn a_replacement_of_a_claim_that_is_released_stays() {
        let (epochs, store) = store_with(&[]);
        let guard = epochs.pin();
        let (claimed, newer) = (store.allocate(1).unwrap(), store.allocate(1).unwrap());
        store.write(claimed, 9, &[1; 4], 1.0);
        store.claim(claimed, &guard).unwrap();
        store.write(newer, 9, &[2; 4], 1.0);
        assert!(!store.claim_if_absent(newer, &guard).unwrap());
        store.release(claimed, &guard);
        store.publish_replacing(newer, &guard);
        assert_eq!((store.find(9, &guard), store.live()), (Some(newer), 1));
    }

    #[test]
    fn of_two_replacements_the_later_one_stays() {
        let (epochs, store) = store_with(&[9]);
        let guard = epochs.pin();
        let (slow, fast) = (store.allocate(1).unwrap(), store.allocate(1).unwrap());
        for slot in [slow, fast] {
            store.write(slot, 9, &[slot as u8; 4], 1.0);
            assert!(!store.claim_if_absent(slot, &guard).unwrap());
        }
        store.publish_replacing(fast, &guard);
        store.publish_replacing(slow, &guard);
        assert_eq!((store.find(9, &guard), store.live(), store.removed()), (Some(slow), 1, 2));
        assert_eq!((store.take_retired(), store.waiting()), (vec![0, fast], 2));
    }

    #[test]
    fn replacements_that_overlap_do_not_look_settled() {
        let (epochs, store) = store_with(&[9]);
        let before = store.replacements();
        assert!(store.undisturbed(before));
        // Two of them, as by two threads with two keys.
        (0..2).for_each(|_| store.life.begin_replacing());
        assert!(!store.undisturbed(before) && !store.undisturbed(store.replacements()));
        (0..2).for_each(|_| store.life.end_replacing());
        assert!(!store.undisturbed(before) && store.undisturbed(store.replacements()));
        drop(epochs);
    }

    #[test]
    fn a_replacement_overtakes_a_claim() {
        let (epochs, store) = store_with(&[]);
        let guard = epochs.pin();
        let claimed = store.allocate(1).unwrap();
        store.write(claimed, 9, &[1; 4], 1.0);
        store.claim(claimed, &guard).unwrap();
        let newer = store.allocate(1).unwrap();
        store.write(newer, 9, &[2; 4], 1.0);
        assert!(!store.claim_if_absent(newer, &guard).unwrap());
        store.publish_replacing(newer, &guard);
        store.publish(claimed, &guard);
        assert_eq!(store.find(9, &guard), Some(newer));
        assert_eq!((store.live(), store.state(claimed)), (1, REMOVED));
    }

    #[test]
    fn a_removed_vector_comes_back_unless_its_key_has_a_newer_one() {
        let (epochs, store) = (Epochs::new(), Store::empty((4, Held::AsGiven), false, Removal::Kept));
        assert_eq!([1, 2].map(|key| insert(&store, &epochs, key).unwrap()), [0, 1]);
        let guard = epochs.pin();
        assert!(!store.revive(1, &guard).unwrap());
        assert!(store.remove(1, &guard) && store.remove(2, &guard));
        assert_eq!((store.all_removed(), store.removed()), (vec![(1, 0), (2, 1)], 2));
        assert!(store.revive(1, &guard).unwrap() && !store.revive(1, &guard).unwrap());
        assert_eq!((store.find(1, &guard), store.live(), store.removed()), (Some(0), 1, 1));
        // A newer vector of the key: the old one is no more to be had, and the newer one comes back.
        let newer = insert(&store, &epochs, 2).unwrap();
        assert_eq!((store.find_removed(2), store.revive(2, &guard).unwrap()), (None, false));
        assert_eq!(store.take_retired(), [1]);
        assert!(store.remove(2, &guard));
        assert!(store.revive(2, &guard).unwrap());
        assert_eq!(store.find(2, &guard), Some(newer));
        assert!(store.take_retired().is_empty());
        assert!(store.remove(1, &guard) && store.forget_removed(1, &guard) && !store.forget_removed(1, &guard));
        assert!(!store.revive(1, &guard).unwrap());
        assert_eq!(store.take_retired(), [0]);
    }

    #[test]
    fn a_moved_vector_lives_where_it_was_moved_unless_it_is_outdated() {
        let (epochs, store) = store_with(&[7, 8]);
        let guard = epochs.pin();
        let (first, second) = (store.allocate(1).unwrap(), store.allocate(1).unwrap());
        store.write(first, 7, &[7, 0, 0, 0], 1.0);
        store.write(second, 8, &[8, 0, 0, 0], 1.0);
        assert_eq!(store.publish_moved(first, 0, &guard), Moved::Yes);
        assert!(store.remove(8, &guard));
        assert_eq!(store.publish_moved(second, 1, &guard), Moved::Outdated);
        assert_eq!((store.find(7, &guard), store.find(8, &guard), store.live()), (Some(first), None, 1));
        assert_eq!(store.take_retired(), [0, 1, second]);
    }

    #[test]
    fn freed_slots_are_used_again_and_those_at_the_end_given_back() {
        let (epochs, store) = store_with(&[0, 1, 2, 3, 4, 5]);
        for key in [1, 4, 5] {
            assert!(store.remove(key, &epochs.pin()));
        }
        let retired = store.take_retired();
        store.free(retired, &epochs.pin());
        (0..100).for_each(|_| epochs.pin().flush());
        assert_eq!((store.removed(), store.waiting(), store.available(), store.slots()), (0, 3, 3, 6));
        store.trim(&epochs.pin(), |left| assert_eq!(left, 4));
        assert_eq!((store.waiting(), store.slots()), (1, 4));
        assert_eq!((insert(&store, &epochs, 9).unwrap(), insert(&store, &epochs, 5).unwrap()), (1, 4));
        let guard = epochs.pin();
        assert!([0, 2, 3, 5, 9].iter().all(|&key| store.find(key, &guard).is_some()));
    }

    #[test]
    fn too_many_slots_are_refused() {
        let (_epochs, store) = store_with(&[]);
        assert_eq!(store.reserve(1 << 33).unwrap_err().status(), Status::Argument);
        assert_eq!(store.capacity(), 0);
    }
}
