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

/// Linkers kept for later insertions.
const IDLE: usize = 64;

/// The idle linkers of an index.
pub(crate) struct Linkers(ArrayQueue<Box<Linker>>);

impl Linkers {
    pub(crate) fn new() -> Self {
        Self(ArrayQueue::new(IDLE))
    }

    pub(crate) fn take(&self) -> Box<Linker> {
        self.0.pop().unwrap_or_default()
    }

    pub(crate) fn give(&self, linker: Box<Linker>) {
        // A full queue drops it.
        drop(self.0.push(linker));
    }
}

impl fmt::Debug for Linkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linkers").field("idle", &self.0.len()).finish()
    }
}
