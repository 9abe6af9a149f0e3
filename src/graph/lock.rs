//! Editing a slot's rows: one byte per slot says that somebody does. Only writers look at the byte.

use super::{Graph, KEEP, row};
use crate::util::sync::AtomicU8;

/// The right to edit the rows of one slot.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    graph: &'a Graph,
    slot: u32,
    byte: &'a AtomicU8,
}

impl<'a> Locked<'a> {
    pub(super) fn new(graph: &'a Graph, slot: u32, byte: &'a AtomicU8) -> Self {
        row::acquire(byte);
        Self { graph, slot, byte }
    }

    /// The links of a row, with their bits.
    pub(crate) fn links(&self, level: u32, links: &mut Vec<u32>) {
        links.clear();
        links.extend(row::own(self.graph.row(self.slot, level)));
    }

    /// Replaces a row. A reader sees old links, new links, or some of both.
    pub(crate) fn set(&self, level: u32, links: &[u32]) {
        row::set(self.graph.row(self.slot, level), links);
    }

    /// Appends a link; `false` if the row is full. A slot that is linked already stays linked once, and is kept if either says so.
    pub(crate) fn append(&self, level: u32, link: u32) -> bool {
        row::append(self.graph.row(self.slot, level), link)
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
        row::release(self.byte);
    }
}
