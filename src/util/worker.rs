//! Who does work beside the calls? A thread that the host asked for, which looks now and then whether there is something to do.
//!
//! A fork waits until it rests (`fork`). While it rests it must hold nothing that calls in the child need: so it waits by std's locks, which share
//! nothing with others, where parking_lot's all lie in one table.

use crate::util::error::{Error, Result, Status};
use crate::util::fork;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that works until this is dropped, which waits for its end.
#[derive(Debug)]
pub(crate) struct Worker {
    end: Arc<End>,
    thread: Option<JoinHandle<()>>,
    process: u32,
}

#[derive(Debug, Default)]
struct End {
    reached: AtomicBool,
    /// Held while that is looked at before a rest, and changed.
    resting: Mutex<()>,
    told: Condvar,
}

impl End {
    fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // Nobody can panic with it.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so long, or until the end is reached.
    fn rest(&self, every: Duration) {
        let resting = self.lock();
        if !self.is_reached() {
            drop(self.told.wait_timeout(resting, every));
        }
    }

    fn reach(&self) {
        let resting = self.lock();
        self.reached.store(true, Ordering::Release);
        drop(resting);
        self.told.notify_one();
    }
}

impl Worker {
    /// Starts a thread that calls `work` every so often, and at once again whenever it says that there is more to do. A fork waits for each call.
    ///
    /// # Errors
    /// `Memory` if the system gives no thread.
    pub(crate) fn start(every: Duration, mut work: impl FnMut() -> bool + Send + 'static) -> Result<Self> {
        fork::prepare()?;
        let end = Arc::new(End::default());
        let ours = Arc::clone(&end);
        let run = move || {
            while !ours.is_reached() {
                if !fork::work(&mut work) {
                    ours.rest(every);
                }
            }
        };
        let thread = std::thread::Builder::new().name("kith-worker".to_owned()).spawn(run);
        let thread = thread.map_err(|cause| Error::new(Status::Memory, format!("cannot start a thread: {cause}")))?;
        Ok(Self { end, thread: Some(thread), process: std::process::id() })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.process != std::process::id() {
            // After a fork: the thread stayed in the parent, perhaps with the lock.
            std::mem::forget(thread);
            return;
        }
        self.end.reach();
        // One that ended by a panic has told so already.
        drop(thread.join());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    #[test]
    fn works_again_at_once_while_there_is_more_and_ends_with_its_owner() {
        let times = Arc::new(AtomicU32::new(0));
        let (counted, start) = (Arc::clone(&times), Instant::now());
        // An hour between two looks: only `more` can bring it to 100, and only the owner's end ends it.
        let worker =
            Worker::start(Duration::from_secs(3600), move || counted.fetch_add(1, Ordering::Relaxed) < 99).unwrap();
        while times.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        drop(worker);
        assert_eq!(times.load(Ordering::Relaxed), 100);
        assert!(start.elapsed() < Duration::from_secs(600));
    }

    #[test]
    fn looks_again_after_a_while() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&times);
        let worker = Worker::start(Duration::from_millis(1), move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        });
        while times.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        drop(worker.unwrap());
    }
}
