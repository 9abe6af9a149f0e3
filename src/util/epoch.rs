//! When may memory that readers might still look at be freed? When every reader that was inside has left.
//!
//! Each index has a collector of its own (crossbeam-epoch). The handles that readers pin with are kept in a queue inside the
//! index, not in thread-local storage: thread-local destructors would keep the shared library from being unloaded and would tie
//! reclamation to threads that the host owns.

pub(crate) use crossbeam_epoch::{Atomic, Guard, Owned};

use crossbeam_epoch::{Collector, LocalHandle};
use crossbeam_queue::ArrayQueue;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Idle handles kept for the next readers; more readers than this at once register anew each time.
const IDLE: usize = 64;
/// About what the collector takes for itself, and what it takes for a handle: places for 64 things to free.
const COLLECTOR: usize = 3 << 10;
const HANDLE: usize = 2304;

struct Handle(LocalHandle);

// SAFETY: a LocalHandle is not Send only because its counters are plain cells. A Handle is used by one thread at a time: it is
// owned by one Pin or by the queue, and the queue orders what the last owner did before what the next one does. It is never
// pinned while it lies in the queue.
unsafe impl Send for Handle {}

/// The reclamation domain of one index.
pub(crate) struct Epochs {
    collector: Collector,
    idle: ArrayQueue<Handle>,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self { collector: Collector::new(), idle: ArrayQueue::new(IDLE) }
    }

    /// Marks the caller as reading until the pin is dropped. What a pinned reader can reach stays allocated.
    pub(crate) fn pin(&self) -> Pin<'_> {
        let handle = self.idle.pop().unwrap_or_else(|| Handle(self.collector.register()));
        let guard = ManuallyDrop::new(handle.0.pin());
        Pin { epochs: self, handle: ManuallyDrop::new(handle), guard }
    }

    /// Memory of the collector and its idle handles, but for what it is about to free.
    pub(crate) fn bytes(&self) -> usize {
        COLLECTOR + IDLE * size_of::<(usize, Handle)>() + self.idle.len() * HANDLE
    }

    /// As [`Epochs::pin`], for a piece of work that goes on over several calls. What is unlinked meanwhile stays allocated.
    pub(crate) fn hold(&self) -> Hold {
        let handle = Handle(self.collector.register());
        Hold { guard: handle.0.pin(), _handle: handle }
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs").field("idle", &self.idle.len()).finish()
    }
}

/// A reader that is inside for longer than a call, and may move to another thread.
pub(crate) struct Hold {
    // The guard goes first: what it points to belongs to the handle.
    guard: Guard,
    _handle: Handle,
}

// SAFETY: guard and handle are not Send only because the counters they point to, which are theirs alone, are plain cells. They move
// together, and are used by whoever owns the Hold, one thread at a time; handing it over orders what the threads do.
unsafe impl Send for Hold {}

impl Deref for Hold {
    type Target = Guard;
    fn deref(&self) -> &Guard {
        &self.guard
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

/// A reader that is inside. Stays on the thread that made it.
pub(crate) struct Pin<'a> {
    epochs: &'a Epochs,
    handle: ManuallyDrop<Handle>,
    guard: ManuallyDrop<Guard>,
}

impl Deref for Pin<'_> {
    type Target = Guard;
    fn deref(&self) -> &Guard {
        &self.guard
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        // SAFETY: neither field is used again; the guard goes first, so that the handle enters the queue unpinned.
        let handle = unsafe {
            ManuallyDrop::drop(&mut self.guard);
            ManuallyDrop::take(&mut self.handle)
        };
        // A full queue drops the handle, which unregisters it.
        drop(self.epochs.idle.push(handle));
    }
}

impl fmt::Debug for Pin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn nothing_is_freed_under_a_pin_and_everything_after() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let epochs = Epochs::new();
        let reader = epochs.pin();
        {
            let writer = epochs.pin();
            let shared = Owned::new(Counted(Arc::clone(&dropped))).into_shared(&writer);
            // SAFETY: `shared` was never published, so no reader that pins later can reach it.
            unsafe { writer.defer_destroy(shared) };
            writer.flush();
        }
        for _ in 0..1000 {
            epochs.pin().flush();
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        drop(reader);
        for _ in 0..1000 {
            epochs.pin().flush();
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}
