//! How do vectors become a graph? One by one (`insert`), many at once (`bulk`), taking a cancelled batch back (`undo`), and closing over
//! what was removed (`detach`, `mend`).

pub(crate) mod bulk;
pub(crate) mod detach;
pub(crate) mod insert;
pub(crate) mod mend;
pub(crate) mod undo;

use crossbeam_queue::ArrayQueue;
use insert::Linker;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Linkers kept for later insertions.
const IDLE: usize = 64;

/// The idle linkers of an index.
pub(crate) struct Linkers {
    idle: ArrayQueue<Box<Linker>>,
    bytes: AtomicUsize,
}

impl Linkers {
    pub(crate) fn new() -> Self {
        Self { idle: ArrayQueue::new(IDLE), bytes: AtomicUsize::new(0) }
    }

    pub(crate) fn take(&self) -> Box<Linker> {
        let Some(linker) = self.idle.pop() else { return Box::default() };
        self.bytes.fetch_sub(linker.bytes(), Ordering::Relaxed);
        linker
    }

    pub(crate) fn give(&self, linker: Box<Linker>) {
        let bytes = linker.bytes();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A full queue drops it.
        if self.idle.push(linker).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Memory of the idle linkers.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + IDLE * size_of::<(usize, Box<Linker>)>()
    }
}

impl fmt::Debug for Linkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linkers").field("idle", &self.idle.len()).finish()
    }
}
