//! Editing a slot's rows: one byte per slot says that somebody does.
//!
//! Only writers look at the byte; nobody holds two of them, so there is no deadlock. A holder edits a few hundred bytes, or prunes a
//! full row (some microseconds); a waiter spins briefly and then gives its time slice away, as with more threads than cores the
//! holder may not be running.

use super::{Graph, KEEP, NONE};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

const SPINS: u32 = 64;

/// The right to edit the rows of one slot.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    graph: &'a Graph,
    slot: u32,
    byte: &'a AtomicU8,
}

impl<'a> Locked<'a> {
    pub(super) fn new(graph: &'a Graph, slot: u32, byte: &'a AtomicU8) -> Self {
        let mut tries = 0;
        while byte.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            tries += 1;
            if tries < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        Self { graph, slot, byte }
    }

    /// The links of a row, with their bits.
    pub(crate) fn links(&self, level: u32, links: &mut Vec<u32>) {
        links.clear();
        let row = self.graph.row(self.slot, level).iter();
        links.extend(row.map(|cell| cell.load(Ordering::Relaxed)).take_while(|&link| link != NONE));
    }

    /// Replaces a row. A reader sees old links, new links, or some of both.
    pub(crate) fn set(&self, level: u32, links: &[u32]) {
        let row = self.graph.row(self.slot, level);
        assert!(links.len() <= row.len());
        write(row, links);
    }

    /// Appends a link; `false` if the row is full. A slot that is linked already stays linked once, and is kept if either says so.
    pub(crate) fn append(&self, level: u32, link: u32) -> bool {
        for cell in self.graph.row(self.slot, level) {
            let present = cell.load(Ordering::Relaxed);
            if present == NONE {
                // Release: whoever sees the link sees the vector and rows behind it.
                cell.store(link, Ordering::Release);
                return true;
            }
            if present & !KEEP == link & !KEEP {
                cell.store(present | link, Ordering::Release);
                return true;
            }
        }
        false
    }

    /// Makes every kept link of a row one like others.
    pub(crate) fn release(&self, level: u32) {
        for cell in self.graph.row(self.slot, level) {
            match cell.load(Ordering::Relaxed) {
                NONE => break,
                link => cell.store(link & !KEEP, Ordering::Release),
            }
        }
    }

    /// Links of a row that are kept.
    pub(crate) fn kept(&self, level: u32) -> usize {
        let row = self.graph.row(self.slot, level).iter();
        row.map(|cell| cell.load(Ordering::Relaxed))
            .take_while(|&link| link != NONE)
            .filter(|link| link & KEEP != 0)
            .count()
    }
}

/// Links first, then the end: a reader that loads cells in order never runs past what was a row at some time.
fn write(row: &[AtomicU32], links: &[u32]) {
    for (cell, &link) in row.iter().zip(links) {
        cell.store(link, Ordering::Release);
    }
    for cell in &row[links.len()..] {
        cell.store(NONE, Ordering::Release);
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.byte.store(0, Ordering::Release);
    }
}
