//! Who is whose neighbour? Rows of slots that are read without locks while they are edited.
//!
//! | array | record | content |
//! |---|---|---|
//! | rows | `2 m` ids, padded to 64 bytes, per slot | neighbours at level 0 |
//! | upper | `m` ids, padded to 64 bytes, per (slot, level >= 1) | neighbours above |
//! | first_upper | u32 per slot | number of its row at level 1; the rows of its higher levels follow |
//! | locks | one byte per slot | held while one of the slot's rows is edited; says whether the slot is leaving |
//!
//! A row is an array of atomic u32 links, a slot and the [`KEEP`] bit each; [`NONE`] ends it. A reader loads ids until `NONE` and then
//! issues one acquire fence: every id it saw was stored (release) after that slot's vector and rows were written, so each can be
//! followed. While a row is edited a reader may see some old and some new ids; both are neighbours, and a search needs no more than
//! that. The loads and stores themselves are in `row` and `entry`.
//!
//! Links with the `KEEP` bit are never pruned. At level 0 they form a spanning tree, each of its edges linked both ways: every slot,
//! when it is linked, gets a parent. So every slot is reachable from every other at all times, whatever the pruning does elsewhere.
//!
//! A slot that is *leaving* is linked to no more, has no kept links, and is not the entry; what is left of links to it is swept out
//! (`build::mend`). Once nobody is inside who may have met it, it can be prepared anew.
//!
//! A graph may be made *open*: its degree, on which the strides of all rows hang, is settled later, once, before or when the first row is
//! prepared. Until then it is empty.
//!
//! A slot's level is a hash of (seed, slot), geometric with ratio 1/m (Malkov and Yashunin, arXiv 1603.09320). The entry point is one
//! atomic word of level and slot, promoted only after its slot is linked.

#[cfg(any(test, feature = "test-hooks"))]
mod audit;
mod check;
mod entry;
mod lock;
pub(crate) mod row;
mod wishes;

#[cfg(any(test, feature = "test-hooks"))]
pub use audit::Audit;
pub use check::Check;
pub(crate) use entry::Entry;
pub(crate) use lock::Locked;
#[cfg(any(test, feature = "test-hooks"))]
pub(crate) use lock::Waits;
pub(crate) use row::{KEEP, NONE};

use crate::util::error::{Error, Result};
use crate::util::memory::{LINE, Segments, rounded_capacity};
use crate::util::random::mix;
use crate::util::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use entry::EntryPoint;
use std::sync::OnceLock;
use wishes::Wishes;

/// Slots a graph can have: links use one bit for something else, and one number ends a row.
pub(crate) const MAX_SLOTS: u64 = (1 << 31) - 1;
/// So many levels are added up one by one where memory is estimated.
const KNOWN: usize = 1 << 20;
/// Highest level a slot can have.
pub(crate) const MAX_LEVEL: u32 = 31;

/// The links between slots.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The degree, unless it is settled to be another.
    likely: u32,
    seed: u64,
    /// What hangs on the degree, once that is settled.
    shape: OnceLock<Shape>,
    first_upper: Segments,
    /// Rows of `upper` in use, and how many there is memory for.
    upper_used: AtomicU32,
    upper_room: AtomicU32,
    /// The slot whose row at level 1 is row 0 of `upper`; 0 in `first_upper` of other slots says that they have none yet.
    first_high: AtomicU32,
    locks: Segments,
    entry: EntryPoint,
    /// Slots that were hung into the tree of kept links by insertions.
    adoptions: AtomicU64,
    /// Links that are left to whoever edits a row.
    wishes: Wishes,
    #[cfg(any(test, feature = "test-hooks"))]
    pub(crate) waits: Waits,
}

/// What hangs on the degree of a graph.
#[derive(Debug)]
struct Shape {
    m: u32,
    /// Slots whose hash is below it have rows above level 0.
    upper_bound: u64,
    rows: Segments,
    upper: Segments,
}

impl Shape {
    fn new(m: u32) -> Self {
        let (rows, upper) = (Segments::new(row_bytes(2 * m)), Segments::new(row_bytes(m)));
        Self { m, upper_bound: u64::MAX / u64::from(m.max(1)), rows, upper }
    }
}

/// What the arrays of a graph are made of, when it is not empty from the start.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) rows: Segments,
    pub(crate) first_upper: Segments,
    pub(crate) upper: Segments,
    /// Rows of `upper` in use.
    pub(crate) upper_used: u32,
    pub(crate) entry: Option<Entry>,
}

/// Bytes of a row of so many links.
pub(crate) fn row_bytes(links: u32) -> usize {
    (links as usize * 4).next_multiple_of(LINE)
}

impl Graph {
    pub(crate) fn new(m: u32, seed: u64) -> Self {
        let graph = Self::open(m, seed);
        graph.settle(m);
        graph
    }

    /// An empty graph whose degree will be settled, `likely` if nobody does.
    pub(crate) fn open(likely: u32, seed: u64) -> Self {
        Self {
            likely,
            seed,
            shape: OnceLock::new(),
            first_upper: Segments::new(4),
            upper_used: AtomicU32::new(0),
            upper_room: AtomicU32::new(0),
            first_high: AtomicU32::new(NONE),
            locks: Segments::new(1),
            entry: EntryPoint::new(),
            adoptions: AtomicU64::new(0),
            wishes: Wishes::new(wishes::ROOM),
            #[cfg(any(test, feature = "test-hooks"))]
            waits: Waits::default(),
        }
    }

    /// A graph around arrays that are filled already; links and first rows were checked (`persist::links`).
    pub(crate) fn from_parts(m: u32, seed: u64, parts: Parts) -> Self {
        let Parts { rows, first_upper, upper, upper_used, entry } = parts;
        let shape = OnceLock::from(Shape { rows, upper, ..Shape::new(m) });
        let graph = Self { shape, first_upper, ..Self::open(m, seed) };
        graph.upper_used.store(upper_used, Ordering::Relaxed);
        graph.upper_room.store(upper_used, Ordering::Relaxed);
        if upper_used > 0 {
            let first_high = (0..NONE).find(|&slot| level_of(seed, m, slot) > 0).unwrap_or(NONE);
            graph.first_high.store(first_high, Ordering::Relaxed);
        }
        graph.replace_entry(entry);
        graph
    }

    /// Settles the degree of a graph that is open, and answers the one that is settled: whoever comes first decides.
    pub(crate) fn settle(&self, m: u32) -> u32 {
        self.shape.get_or_init(|| Shape::new(m)).m
    }

    /// Whether the degree can still be settled. Such a graph has no rows.
    pub(crate) fn is_open(&self) -> bool {
        self.shape.get().is_none()
    }

    /// What hangs on the degree; settles it.
    #[inline(always)]
    fn shape(&self) -> &Shape {
        self.shape.get_or_init(|| Shape::new(self.likely))
    }

    /// Makes room for `slots` slots. On failure nothing has changed.
    pub(crate) fn reserve(&self, slots: u64) -> Result<()> {
        if slots > MAX_SLOTS {
            return Err(Error::argument(format!("{slots} vectors are more than a graph holds ({MAX_SLOTS})")));
        }
        let wanted = rounded_capacity(slots as usize);
        self.shape().rows.grow(wanted)?;
        self.first_upper.grow(wanted)?;
        self.locks.grow(wanted)
    }

    /// Neighbours that a row of this level holds at most.
    pub(crate) fn degree(&self, level: u32) -> usize {
        if level == 0 { 2 * self.m() } else { self.m() }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// The degree; of an open graph the likely one.
    #[inline(always)]
    pub(crate) fn m(&self) -> usize {
        self.shape.get().map_or(self.likely, |shape| shape.m) as usize
    }

    /// The level of a slot.
    #[inline]
    pub(crate) fn level(&self, slot: u32) -> u32 {
        level_of(self.seed, self.m() as u32, slot)
    }

    /// Whether a slot has rows above level 0.
    #[inline(always)]
    pub(crate) fn is_upper(&self, slot: u32) -> bool {
        hash(self.seed, slot) < self.shape().upper_bound
    }

    /// Prepares the rows of a slot, empty. Called before it is linked, by the thread that allocated it; again when a slot that was
    /// given back, or has left, is allocated anew.
    pub(crate) fn prepare(&self, slot: u32) -> Result<()> {
        self.reserve(u64::from(slot) + 1)?;
        let levels = self.level(slot);
        // SAFETY: `reserve` made the record; cells of this array are only ever accessed as atomics.
        let first_upper = unsafe { AtomicU32::from_ptr(self.first_upper.address(slot).cast()) };
        // A slot that is allocated anew has its upper rows already.
        let has_rows = first_upper.load(Ordering::Relaxed) != 0 || self.first_high.load(Ordering::Relaxed) == slot;
        if levels > 0 && !has_rows {
            let first = self.upper_used.fetch_add(levels, Ordering::Relaxed);
            if first + levels > self.upper_room.load(Ordering::Acquire) {
                let room = rounded_capacity((first + levels) as usize);
                self.shape().upper.grow(room)?;
                self.upper_room.fetch_max(room as u32, Ordering::AcqRel);
            }
            // Not before there is memory: who prepares the slot anew after a refusal must not take it for one that has rows.
            if first == 0 {
                self.first_high.store(slot, Ordering::Relaxed);
            }
            first_upper.store(first, Ordering::Relaxed);
        }
        for level in 0..=levels {
            row::clear(self.row(slot, level));
        }
        row::begin(self.byte(slot));
        Ok(())
    }

    /// The byte of a slot that has room in the arrays.
    fn byte(&self, slot: u32) -> &AtomicU8 {
        // SAFETY: as in `row`; the byte is only ever accessed as an atomic.
        unsafe { AtomicU8::from_ptr(self.locks.address(slot)) }
    }

    /// Whether nothing may be linked to a slot any more. Any slot number may be asked for.
    #[inline(always)]
    pub(crate) fn is_leaving(&self, slot: u32) -> bool {
        self.locks.holds(slot) && row::is_leaving(self.byte(slot))
    }

    /// Gives the memory of the rows of slots from `slots` on back to the system. Nobody may use them, or be allocated one, meanwhile; their
    /// upper rows stay.
    pub(crate) fn release(&self, slots: u32) {
        self.shape.get().into_iter().for_each(|shape| shape.rows.release(slots as usize));
    }

    /// The cells of a prepared slot's row; `level` is at most the slot's.
    #[inline(always)]
    pub(crate) fn row(&self, slot: u32, level: u32) -> &[AtomicU32] {
        let address = if level == 0 { self.shape().rows.address(slot) } else { self.upper_row(slot, level) };
        // SAFETY: slots that are prepared have rows of at least `degree` ids in memory that stays until the graph is dropped, and
        // ids are only ever accessed as atomics. Slots come from rows and from the entry point, which hold prepared ones only.
        unsafe { std::slice::from_raw_parts(address.cast::<AtomicU32>().cast_const(), self.degree(level)) }
    }

    #[inline(always)]
    fn upper_row(&self, slot: u32, level: u32) -> *mut u8 {
        // SAFETY: as in `prepare`.
        let first = unsafe { AtomicU32::from_ptr(self.first_upper.address(slot).cast()) }.load(Ordering::Relaxed);
        self.shape().upper.address(first + level - 1)
    }

    /// Asks the processor to fetch a slot's level-0 row.
    #[inline(always)]
    pub(crate) fn prefetch_row(&self, slot: u32) {
        let rows = &self.shape().rows;
        let row = rows.address(slot);
        for line in (0..rows.stride()).step_by(LINE) {
            crate::util::memory::prefetch(row.wrapping_add(line));
        }
    }

    /// Asks the processor to fetch what tells where a slot's rows above level 0 are.
    #[inline(always)]
    pub(crate) fn prefetch_number_of_rows(&self, slot: u32) {
        crate::util::memory::prefetch(self.first_upper.address(slot));
    }

    /// Asks the processor to fetch a slot's row at a level, and that below.
    #[inline(always)]
    pub(crate) fn prefetch_upper_rows(&self, slot: u32, level: u32) {
        crate::util::memory::prefetch(self.upper_row(slot, level));
        if level > 1 {
            crate::util::memory::prefetch(self.upper_row(slot, level - 1));
        } else {
            self.prefetch_row(slot);
        }
    }

    /// Appends the neighbours in a row to `slots`.
    #[inline(always)]
    pub(crate) fn neighbours(&self, slot: u32, level: u32, slots: &mut Vec<u32>) {
        row::read(self.row(slot, level), |link| slots.push(link & !KEEP));
        row::behind();
    }

    /// Whether a slot has a parent or a child. Any slot number may be asked for.
    ///
    /// The caller holds no row. A kept link that comes to another place while a row is edited may stand in none for a moment: so what is not seen is
    /// looked for again while nobody edits.
    pub(crate) fn is_linked(&self, slot: u32) -> bool {
        let kept = || {
            self.row(slot, 0).iter().any(|cell| {
                let link = cell.load(Ordering::Acquire);
                link != NONE && link & KEEP != 0
            })
        };
        self.shape.get().is_some_and(|shape| shape.rows.holds(slot))
            && (kept() || {
                let _still = self.still(slot);
                kept()
            })
    }

    /// Marks the slots that kept links lead to from one, itself among them; those that are marked already, and those beyond the marks,
    /// end the way.
    pub(crate) fn spread(&self, from: u32, reached: &mut [bool]) {
        self.spread_along(from, reached, |_, _| ());
    }

    /// As [`Graph::spread`]; tells of each slot that is reached, but the first, from which one.
    pub(crate) fn spread_along(&self, from: u32, reached: &mut [bool], mut edge: impl FnMut(u32, u32)) {
        let mut open = vec![(from, from)];
        while let Some((slot, before)) = open.pop() {
            match reached.get_mut(slot as usize) {
                Some(reached) if !*reached => *reached = true,
                _ => continue,
            }
            if slot != before {
                edge(before, slot);
            }
            let _still = self.still(slot);
            let row =
                self.row(slot, 0).iter().map(|cell| cell.load(Ordering::Acquire)).take_while(|&link| link != NONE);
            open.extend(row.filter(|link| link & KEEP != 0).map(|link| (link & !KEEP, slot)));
        }
    }

    /// To be called before a new slot gets kept links, while its parent's row is held.
    pub(crate) fn count_adoption(&self) {
        self.adoptions.fetch_add(1, Ordering::SeqCst);
    }

    /// If this is as before, no slot has come to be met in the tree since.
    pub(crate) fn adoptions(&self) -> u64 {
        self.adoptions.load(Ordering::SeqCst)
    }

    /// Where walks begin; `None` while the graph is empty.
    pub(crate) fn entry(&self) -> Option<Entry> {
        self.entry.get()
    }

    /// Makes a prepared slot the first of an empty graph; says whether it was empty.
    pub(crate) fn found(&self, entry: Entry) -> bool {
        self.entry.found(entry)
    }

    /// Makes a linked slot the entry point if its level is higher than the entry's.
    pub(crate) fn promote(&self, entry: Entry) {
        self.entry.promote(entry);
    }

    /// Puts another slot in the place of an entry point that is being taken back.
    pub(crate) fn replace_entry(&self, entry: Option<Entry>) {
        self.entry.replace(entry);
    }

    /// Keeps the rows of a slot from being edited while they are read as a whole: in a row that is being pruned a kept link may stand
    /// in two places for a moment, or in none. A mapped graph has no locks, and nobody edits it.
    pub(crate) fn still(&self, slot: u32) -> Option<Locked<'_>> {
        self.locks.holds(slot).then(|| self.lock(slot))
    }

    /// Locks the rows of a slot for editing.
    pub(crate) fn lock(&self, slot: u32) -> Locked<'_> {
        Locked::new(self, slot, self.byte(slot))
    }

    /// As [`Graph::lock`]; `None` if somebody else holds the rows for longer than most edits take.
    pub(crate) fn lock_soon(&self, slot: u32) -> Option<Locked<'_>> {
        Locked::soon(self, slot, self.byte(slot))
    }

    /// As [`Graph::lock_soon`], to put in one link: where it answers `None`, whoever holds the rows does that.
    pub(crate) fn lock_or_leave(&self, slot: u32, level: u32, link: u32) -> Option<Locked<'_>> {
        Locked::or_leave(self, slot, self.byte(slot), level, link)
    }

    /// Puts another slot, or none, in the place of an entry that leaves; `false` if there is a higher one by now.
    pub(crate) fn hand_over(&self, from: Entry, to: Option<Entry>) -> bool {
        self.entry.hand_over(from, to)
    }

    /// The most memory that `more` slots behind so many can add.
    pub(crate) fn growth(&self, slots: usize, more: usize) -> usize {
        let likely;
        let shape = match self.shape.get() {
            Some(shape) => shape,
            None => {
                likely = Shape::new(self.likely);
                &likely
            }
        };
        let rows: usize =
            [&shape.rows, &self.first_upper, &self.locks].map(|array| array.growth(slots, slots + more)).iter().sum();
        let used = self.upper_used.load(Ordering::Relaxed) as usize;
        // Of very many the levels are what they are on the average, and a little.
        let upper = match more {
            0..KNOWN => (slots..slots + more).map(|slot| self.level(slot as u32) as usize).sum(),
            _ => more / (self.m() - 1) + more / 64,
        };
        rows + shape.upper.growth(used, used + upper)
    }

    /// Memory held for `slots` slots.
    pub(crate) fn bytes(&self, slots: u32) -> usize {
        let slots = slots as usize;
        let upper = self.upper_used.load(Ordering::Relaxed) as usize;
        let shaped = self.shape.get().map_or(0, |shape| shape.rows.bytes(slots) + shape.upper.bytes(upper));
        shaped + self.first_upper.bytes(slots) + self.locks.bytes(slots) + size_of::<Self>() + wishes::ROOM * 8
    }

    /// Bytes of this that lie in foreign bytes.
    pub(crate) fn mapped(&self, slots: u32) -> usize {
        let upper = self.upper_used.load(Ordering::Relaxed) as usize;
        let shaped = self.shape.get().map_or(0, |shape| shape.rows.mapped(slots as usize) + shape.upper.mapped(upper));
        shaped + self.first_upper.mapped(slots as usize)
    }
}

/// What decides about a slot's level.
#[inline(always)]
fn hash(seed: u64, slot: u32) -> u64 {
    mix(seed ^ mix(u64::from(slot) + 1))
}

/// The level of a slot in a graph of this seed and degree.
#[inline]
pub(crate) fn level_of(seed: u64, m: u32, slot: u32) -> u32 {
    let hash = hash(seed, slot);
    let (mut level, mut bound) = (0, u64::MAX / u64::from(m));
    while hash < bound && level < MAX_LEVEL {
        level += 1;
        bound /= u64::from(m);
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_thin_out_by_m_and_follow_the_seed() {
        let graph = Graph::new(16, 1);
        assert!((0..10_000).all(|slot| graph.is_upper(slot) == (graph.level(slot) > 0)));
        let count = |level| (0..160_000).filter(|&slot| graph.level(slot) >= level).count();
        assert!((9_600..10_400).contains(&count(1)), "{}", count(1));
        assert!((540..710).contains(&count(2)), "{}", count(2));
        let other = Graph::new(16, 2);
        assert!((0..1000).any(|slot| graph.level(slot) != other.level(slot)));
    }

    #[test]
    fn an_open_graph_takes_the_first_degree_it_is_given_or_the_likely_one_with_its_first_row() {
        let graph = Graph::open(16, 1);
        assert!((graph.is_open(), graph.m(), graph.degree(0)) == (true, 16, 32) && !graph.is_linked(7));
        assert_eq!((graph.growth(0, 5000), graph.mapped(10)), (Graph::new(16, 1).growth(0, 5000), 0));
        graph.release(0);
        assert!(graph.is_open(), "asking settles nothing");
        assert_eq!((graph.settle(8), graph.settle(16), graph.is_open()), (8, 8, false));
        graph.prepare(70).unwrap();
        assert_eq!((graph.m(), graph.row(70, 0).len()), (8, 16));
        assert!((0..1000).all(|slot| graph.level(slot) == Graph::new(8, 1).level(slot)));
        let unasked = Graph::open(16, 1);
        unasked.prepare(0).unwrap();
        assert_eq!((unasked.settle(8), unasked.row(0, 0).len()), (16, 32));
    }

    #[test]
    fn rows_hold_what_was_set_and_end_at_none() {
        let graph = Graph::new(4, 7);
        for slot in 0..1000 {
            graph.prepare(slot).unwrap();
        }
        let mut ids = Vec::new();
        graph.neighbours(999, 0, &mut ids);
        assert!(ids.is_empty());
        graph.lock(5).set(0, &[1, 2, 3]);
        let high = (0..1000).find(|&slot| graph.level(slot) >= 2).unwrap();
        graph.lock(high).set(2, &[9]);
        graph.neighbours(5, 0, &mut ids);
        graph.neighbours(high, 2, &mut ids);
        assert_eq!(ids, [1, 2, 3, 9]);
        graph.lock(5).set(0, &[8]);
        ids.clear();
        graph.neighbours(5, 0, &mut ids);
        assert_eq!(ids, [8]);
    }

    #[test]
    fn the_entry_only_rises() {
        let graph = Graph::new(16, 0);
        assert_eq!(graph.entry(), None);
        assert!(graph.found(Entry { slot: 3, level: 1 }));
        assert!(!graph.found(Entry { slot: 4, level: 3 }));
        graph.promote(Entry { slot: 4, level: 1 });
        assert_eq!(graph.entry(), Some(Entry { slot: 3, level: 1 }));
        graph.promote(Entry { slot: 5, level: 2 });
        assert_eq!(graph.entry(), Some(Entry { slot: 5, level: 2 }));
    }
}
