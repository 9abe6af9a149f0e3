//! What `src/util/sync.rs` offers, made of loom's parts.

pub(crate) use loom::sync::MutexGuard;
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// A lock that cannot be poisoned, as parking_lot's.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model that panics ends")
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
