//! Which atomics and locks do rows, entry point, key map, slot states and the gate use?
//!
//! Those of std and parking_lot. The models of `tests/loom` compile the same sources with loom's in their place, so these files
//! take them from here.

pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// How often a thread looks before it gives its time slice away.
pub(crate) const SPINS: u32 = 64;

/// Lets time pass before the next try: briefly at first, then by giving the time slice away, as with more threads than cores the
/// one that is waited for may not be running.
pub(crate) fn pause(tries: u32) {
    if tries < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// A number that nobody can foresee.
pub(crate) fn random() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0)
}
