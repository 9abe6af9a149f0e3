//! Editing a slot's rows: one byte per slot says that somebody does, and whether the slot is leaving. Only writers look at the byte.
//!
//! No edit puts a link into a row that leads to a slot which is leaving. Who wants one link in a row that somebody edits may leave it to that
//! one (`graph::wishes`).

use super::wishes::Wish;
use super::{Graph, KEEP, row};
use crate::util::sync::AtomicU8;
#[cfg(any(test, feature = "test-hooks"))]
use crate::util::sync::{AtomicU64, Ordering};
#[cfg(any(test, feature = "test-hooks"))]
use std::time::{Duration, Instant};

/// The right to edit the rows of one slot.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    graph: &'a Graph,
    slot: u32,
    byte: &'a AtomicU8,
}

/// How long editors waited for a row. Measured for tests only: it takes longer than most edits.
#[cfg(any(test, feature = "test-hooks"))]
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// Nanoseconds of the longest wait.
    pub(crate) longest: AtomicU64,
    /// Waits of more than five milliseconds.
    pub(crate) long: AtomicU64,
}

#[cfg(any(test, feature = "test-hooks"))]
impl Waits {
    fn note(&self, waited: Duration) {
        self.longest.fetch_max(waited.as_nanos() as u64, Ordering::Relaxed);
        self.long.fetch_add(u64::from(waited > Duration::from_millis(5)), Ordering::Relaxed);
    }
}

impl<'a> Locked<'a> {
    pub(super) fn new(graph: &'a Graph, slot: u32, byte: &'a AtomicU8) -> Self {
        #[cfg(any(test, feature = "test-hooks"))]
        let begun = Instant::now();
        row::acquire(byte);
        #[cfg(any(test, feature = "test-hooks"))]
        graph.waits.note(begun.elapsed());
        Self { graph, slot, byte }
    }

    /// `None` if somebody else holds the rows for longer than most edits take. Nobody is waited for.
    pub(super) fn soon(graph: &'a Graph, slot: u32, byte: &'a AtomicU8) -> Option<Self> {
        // Not made before it is true: it lets go when it is dropped.
        row::try_acquire(byte).then(|| Self { graph, slot, byte })
    }

    /// `None` if the link was left to whoever holds the rows.
    pub(super) fn or_leave(graph: &'a Graph, slot: u32, byte: &'a AtomicU8, level: u32, link: u32) -> Option<Self> {
        if level > Wish::LEVELS {
            return Some(Self::new(graph, slot, byte));
        }
        loop {
            let locked = Self::soon(graph, slot, byte);
            if locked.is_some() || graph.wishes.leave(byte, Wish { owner: slot, level, link }) {
                return locked;
            }
        }
    }

    /// Ends the edit; what others left to it meanwhile, level and link, is put in by `put`.
    pub(crate) fn finish(self, mut put: impl FnMut(&Self, u32, u32)) {
        while !row::release(self.byte) {
            self.graph.wishes.take(self.slot, |wish| put(&self, wish.level, wish.link));
        }
        std::mem::forget(self);
    }

    /// The links of a row, with their bits.
    pub(crate) fn links(&self, level: u32, links: &mut Vec<u32>) {
        links.clear();
        links.extend(row::own(self.graph.row(self.slot, level)));
    }

    /// Appends the links of a row.
    pub(crate) fn more_links(&self, level: u32, links: &mut Vec<u32>) {
        links.extend(row::own(self.graph.row(self.slot, level)));
    }

    /// Replaces a row, leaving out what is leaving. A reader sees old links, new links, or some of both.
    pub(crate) fn set(&self, level: u32, links: &[u32]) {
        let row = self.graph.row(self.slot, level);
        if links.iter().any(|&link| self.graph.is_leaving(link & !KEEP)) {
            let links: Vec<u32> = links.iter().copied().filter(|link| !self.graph.is_leaving(link & !KEEP)).collect();
            row::set(row, &links);
        } else {
            row::set(row, links);
        }
    }

    /// Appends a link; `false` if the row is full. A slot that is linked already stays linked once, and is kept if either says so. One that
    /// is leaving is passed over.
    pub(crate) fn append(&self, level: u32, link: u32) -> bool {
        self.graph.is_leaving(link & !KEEP) || row::append(self.graph.row(self.slot, level), link)
    }

    /// Whether a row links to a slot.
    pub(crate) fn has(&self, level: u32, link: u32) -> bool {
        row::own(self.graph.row(self.slot, level)).any(|other| other & !KEEP == link & !KEEP)
    }

    /// Nothing may be linked to the slot from now on, until it is prepared anew.
    pub(crate) fn leave(&self) {
        row::leave(self.byte);
    }

    /// Whether [`Locked::leave`] was called.
    pub(crate) fn is_leaving(&self) -> bool {
        row::is_leaving(self.byte)
    }

    /// Makes every kept link of a row one like others.
    pub(crate) fn release(&self, level: u32) {
        let mut links = Vec::new();
        self.links(level, &mut links);
        links.iter_mut().for_each(|link| *link &= !KEEP);
        self.set(level, &links);
    }

    /// Links of a row that are kept.
    pub(crate) fn kept(&self, level: u32) -> usize {
        row::own(self.graph.row(self.slot, level)).filter(|link| link & KEEP != 0).count()
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Who could choose a full row anew calls `finish`.
        while !row::release(self.byte) {
            self.graph.wishes.take(self.slot, |wish| {
                self.append(wish.level, wish.link);
            });
        }
    }
}
