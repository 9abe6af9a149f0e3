//! Which changes are in a snapshot? Those that were published before its instant, each of them whole.
//!
//! Whoever makes vectors live, or removes them, shares the gate from the first of them to the last. A snapshot is alone with it while it copies the
//! states of all slots, and so is whoever puts another core in place of the one that is there. `tests/loom` tries all interleavings of this.

use crate::util::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What writers share, and a snapshot has alone.
#[derive(Debug, Default)]
pub(crate) struct Gate(RwLock<()>);

impl Gate {
    /// Leave to publish and remove, until it is dropped: a snapshot has all of that, or nothing.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read()
    }

    /// An instant, until it is dropped: nobody is in the middle of a change that can be seen.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write()
    }
}
