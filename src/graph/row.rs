//! How is a row read while it is edited? The order of loads and stores that makes it safe, in one place.
//!
//! A row is an array of cells. Readers load links until [`NONE`] and then call [`behind`] once: what was written before a link was
//! stored can be read from there on. Editors hold the row's byte ([`acquire`], [`release`]); nobody holds two that somebody waits for.
//! `tests/loom` tries all interleavings of these functions.

use crate::util::memory::LINE;
use crate::util::sync::{AtomicU8, AtomicU32, Ordering, SPINS, fence, pause};

/// Ends a row; never a link.
pub(crate) const NONE: u32 = u32::MAX;
/// The bit of a link that must not be pruned.
pub(crate) const KEEP: u32 = 1 << 31;

/// One fence for many loads is cheaper than an acquire per load. ThreadSanitizer does not understand fences, so its build
/// (`--cfg kith_tsan`) loads with acquire.
const READ: Ordering = if cfg!(kith_tsan) { Ordering::Acquire } else { Ordering::Relaxed };

/// Hands on the links of a row as it is, was, or partly both. Before anything behind them is read: [`behind`].
#[inline(always)]
pub(crate) fn read(row: &[AtomicU32], mut each: impl FnMut(u32)) {
    for cell in row {
        let link = cell.load(READ);
        if link == NONE {
            break;
        }
        each(link);
    }
}

/// Hands on every cell of a row, those that hold [`NONE`] too, but for whole lines of them: for loops that are cheaper without a branch per
/// link. A row that is being shortened may give an old link behind a `NONE`; it was a neighbour, as the others are.
#[inline(always)]
pub(crate) fn read_cells(row: &[AtomicU32], mut each: impl FnMut(u32)) {
    for line in row.chunks(LINE / 4) {
        if line[0].load(READ) == NONE {
            break;
        }
        for cell in line {
            each(cell.load(READ));
        }
    }
}

/// From here on a reader may look at the vectors and rows of the links it has read.
#[inline(always)]
pub(crate) fn behind() {
    // Pairs with the release that stored the links.
    fence(Ordering::Acquire);
}

/// The bit of a slot's byte that is set while its rows are edited.
const HELD: u8 = 1;
/// The bit of a slot's byte that says that nothing may be linked to the slot any more.
const LEAVING: u8 = 2;
/// The bit of a slot's byte that says that something was left to whoever holds it.
const MORE: u8 = 4;

/// Gets the right to edit the rows of the slot that has this byte. A holder edits a few hundred bytes, or prunes a full row (some
/// microseconds).
pub(super) fn acquire(byte: &AtomicU8) {
    let mut tries = 0;
    while byte.fetch_or(HELD, Ordering::Acquire) & HELD != 0 {
        // Looks until it is free; only then it is worth another try.
        while byte.load(Ordering::Relaxed) & HELD != 0 {
            tries += 1;
            pause(tries);
        }
    }
}

/// As [`acquire`], but gives up where the holder takes longer than an edit.
pub(super) fn try_acquire(byte: &AtomicU8) -> bool {
    for tries in 0..SPINS {
        if byte.load(Ordering::Relaxed) & HELD == 0 && byte.fetch_or(HELD, Ordering::Acquire) & HELD == 0 {
            return true;
        }
        pause(tries);
    }
    false
}

/// Tells whoever holds the byte that something was left to it; `false` if nobody does.
pub(super) fn ask(byte: &AtomicU8) -> bool {
    // Release: the holder finds what was left.
    byte.fetch_update(Ordering::Release, Ordering::Relaxed, |now| (now & HELD != 0).then_some(now | MORE)).is_ok()
}

/// Ends it; `false`, and the byte is held still, if something was left to the holder since it looked last.
#[must_use = "the byte may be held still"]
pub(super) fn release(byte: &AtomicU8) -> bool {
    let end = |now: u8| (now & MORE == 0).then_some(now & !HELD);
    let ended = byte.fetch_update(Ordering::Release, Ordering::Relaxed, end).is_ok();
    if !ended {
        byte.fetch_and(!MORE, Ordering::Acquire);
    }
    ended
}

/// Says that the slot of a byte, which is held, is leaving: whoever edits a row afterwards puts no link to it in.
pub(super) fn leave(byte: &AtomicU8) {
    byte.fetch_or(LEAVING, Ordering::Relaxed);
}

/// Whether a slot is leaving. Who holds the byte of a row that somebody has looked at since is told the truth.
#[inline(always)]
pub(super) fn is_leaving(byte: &AtomicU8) -> bool {
    byte.load(Ordering::Relaxed) & LEAVING != 0
}

/// A slot that nobody can reach is to be linked anew.
pub(super) fn begin(byte: &AtomicU8) {
    byte.store(0, Ordering::Relaxed);
}

/// Empties a row that nobody can reach yet.
pub(super) fn clear(row: &[AtomicU32]) {
    row.iter().for_each(|cell| cell.store(NONE, Ordering::Relaxed));
}

/// The links of a row whose byte is held.
pub(super) fn own(row: &[AtomicU32]) -> impl Iterator<Item = u32> + '_ {
    row.iter().map(|cell| cell.load(Ordering::Relaxed)).take_while(|&link| link != NONE)
}

/// Replaces a row whose byte is held: links first, then the end, so that a reader never runs past what was a row at some time.
pub(super) fn set(row: &[AtomicU32], links: &[u32]) {
    assert!(links.len() <= row.len());
    for (cell, &link) in row.iter().zip(links) {
        cell.store(link, Ordering::Release);
    }
    for cell in &row[links.len()..] {
        cell.store(NONE, Ordering::Release);
    }
}

/// Appends a link to a row whose byte is held; `false` if the row is full. A slot that is linked already stays linked once, and is
/// kept if either says so.
pub(super) fn append(row: &[AtomicU32], link: u32) -> bool {
    for cell in row {
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
