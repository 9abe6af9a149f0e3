//! What `src/util/sync.rs` offers, made of loom's parts.

pub(crate) use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// A lock that cannot be poisoned, as parking_lot's.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model that panics ends")
    }
}

/// As [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect("a model that panics ends")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect("a model that panics ends")
    }
}

pub(crate) const SPINS: u32 = 1;

pub(crate) fn pause(_tries: u32) {
    loom::thread::yield_now();
}

/// Always the same: a model must do the same each time.
pub(crate) fn random() -> u64 {
    0
}
