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
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Linkers kept for later insertions.
const IDLE: usize = 64;

/// The idle linkers of an index; the place for them is made with the first, as an index that waits should be small.
pub(crate) struct Linkers {
    idle: OnceLock<ArrayQueue<Box<Linker>>>,
    bytes: AtomicUsize,
}

impl Linkers {
    pub(crate) fn new() -> Self {
        Self { idle: OnceLock::new(), bytes: AtomicUsize::new(0) }
    }

    pub(crate) fn take(&self) -> Box<Linker> {
        let Some(linker) = self.idle.get().and_then(ArrayQueue::pop) else { return Box::default() };
        self.bytes.fetch_sub(linker.bytes(), Ordering::Relaxed);
        linker
    }

    pub(crate) fn give(&self, linker: Box<Linker>) {
        let bytes = linker.bytes();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A full queue drops it.
        if self.idle.get_or_init(|| ArrayQueue::new(IDLE)).push(linker).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Memory of the idle linkers.
    pub(crate) fn bytes(&self) -> usize {
        let places = self.idle.get().map_or(0, |_| IDLE * size_of::<(usize, Box<Linker>)>());
        self.bytes.load(Ordering::Relaxed) + places
    }
}

impl fmt::Debug for Linkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linkers").field("idle", &self.idle.get().map_or(0, ArrayQueue::len)).finish()
    }
}
