//! What becomes of work beside the calls when the process forks? It pauses.
//!
//! A child has the thread that forked and no other. What another one was in the middle of stays so for ever: locks held, readers inside. Calls are the
//! host's to keep out of the way; threads that kith started are not. So a worker marks its pieces of work, a fork waits until none is under way, and
//! none begins before it is over. The child takes no part in the parent's work: [`Presence`] tells it that it has no worker.
//!
//! The handlers are the system's `pthread_atfork`, made known with the first worker; unloading the library takes them back.

use crate::util::error::{Error, Result, Status};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Pieces of work that are under way, and forks.
static WORKING: AtomicUsize = AtomicUsize::new(0);
static FORKING: AtomicUsize = AtomicUsize::new(0);
/// Forks between the process that knew the handlers first and this one, and 1.
static GENERATION: AtomicU32 = AtomicU32::new(1);

/// How long a fork waits at most: a worker that waits for the thread that forks, which is in the middle of a call, would wait for ever.
const PATIENCE: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_micros(50);

extern "C" fn before() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let start = Instant::now();
    while WORKING.load(Ordering::SeqCst) > 0 && start.elapsed() < PATIENCE {
        std::thread::sleep(NAP);
    }
}

extern "C" fn in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

extern "C" fn in_child() {
    FORKING.store(0, Ordering::SeqCst);
    WORKING.store(0, Ordering::SeqCst);
    GENERATION.fetch_add(1, Ordering::SeqCst);
}

#[cfg(unix)]
fn tell_the_system() -> std::ffi::c_int {
    type Handler = Option<extern "C" fn()>;
    unsafe extern "C" {
        fn pthread_atfork(before: Handler, in_parent: Handler, in_child: Handler) -> std::ffi::c_int;
    }
    // SAFETY: the handlers touch atomics, sleep, and look at the clock. They stay where they are until the library is unloaded, which takes them back.
    unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) }
}

#[cfg(not(unix))]
fn tell_the_system() -> std::ffi::c_int {
    let _ = (before, in_parent, in_child);
    0
}

/// From now on forks wait for what is done in [`work`].
///
/// # Errors
/// `Memory` if the system has no room for the handlers.
pub(crate) fn prepare() -> Result<()> {
    static TOLD: OnceLock<std::ffi::c_int> = OnceLock::new();
    match *TOLD.get_or_init(tell_the_system) {
        0 => Ok(()),
        error => Err(Error::new(Status::Memory, format!("pthread_atfork says {error}"))),
    }
}

/// A piece of work that a fork waits for. Short, and not within another one.
pub(crate) fn work<T>(act: impl FnOnce() -> T) -> T {
    /// Also when `act` panics.
    struct Over;
    impl Drop for Over {
        fn drop(&mut self) {
            WORKING.fetch_sub(1, Ordering::SeqCst);
        }
    }
    loop {
        WORKING.fetch_add(1, Ordering::SeqCst);
        let over = Over;
        // Who forks says so first and looks then, as this does.
        if FORKING.load(Ordering::SeqCst) == 0 {
            let result = act();
            drop(over);
            return result;
        }
        drop(over);
        std::thread::sleep(NAP);
    }
}

/// Whether something has a worker in this process.
#[derive(Debug, Default)]
pub(crate) struct Presence(AtomicU32);

impl Presence {
    /// There is one from now on.
    pub(crate) fn begin(&self) {
        self.0.store(GENERATION.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed) == GENERATION.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_fork_waits_for_work_and_work_for_a_fork() {
        let (begun, worked, forked) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                work(|| {
                    begun.store(true, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    worked.store(true, Ordering::SeqCst);
                });
            });
            while !begun.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            before();
            assert!(worked.load(Ordering::SeqCst));
            scope.spawn(|| work(|| assert!(forked.load(Ordering::SeqCst))));
            std::thread::sleep(Duration::from_millis(5));
            forked.store(true, Ordering::SeqCst);
            in_parent();
        });
        assert_eq!(FORKING.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn presence_begins_and_ends() {
        let presence = Presence::default();
        assert!(!presence.is_there());
        presence.begin();
        assert!(presence.is_there());
        // As in a child.
        assert!(!Presence(AtomicU32::new(GENERATION.load(Ordering::Relaxed) - 1)).is_there());
        presence.end();
        assert!(!presence.is_there());
    }
}
