//! Which threads does a call use? The caller's, and up to `threads - 1` of a pool that belongs to one index.
//!
//! The pool starts with the first call that may use more than one thread. After a fork the child has none of its threads, so a
//! pool remembers the process that made it and is made anew elsewhere.

use crate::util::error::{Error, Result, Status};
use parking_lot::Mutex;
use std::thread::JoinHandle;

#[derive(Debug)]
struct Crew {
    pool: Option<rayon::ThreadPool>,
    threads: Vec<JoinHandle<()>>,
    process: u32,
}

impl Crew {
    fn start(helpers: usize) -> Result<Self> {
        let mut threads = Vec::with_capacity(helpers);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(helpers)
            .spawn_handler(|thread| {
                let builder = std::thread::Builder::new().name(format!("kith-{}", thread.index()));
                threads.push(builder.spawn(|| thread.run())?);
                Ok(())
            })
            .build()
            .map_err(|cause| Error::new(Status::Memory, format!("cannot start {helpers} threads: {cause}")))?;
        Ok(Self { pool: Some(pool), threads, process: std::process::id() })
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        if self.process != std::process::id() {
            // The threads stayed in the parent: waiting for them to end would wait for ever.
            std::mem::forget((pool, std::mem::take(&mut self.threads)));
            return;
        }
        // rayon tells them to end but does not wait; a host that unloads the library after the last index is gone needs them gone.
        drop(pool);
        for thread in self.threads.drain(..) {
            // A thread that ended by a panic has told so already.
            drop(thread.join());
        }
    }
}

/// The helping threads of one index.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// The crew that is not at work.
    idle: Mutex<Option<Crew>>,
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// `threads` as asked for in an option: 0 means all cores.
pub(crate) fn threads_or_cores(threads: u32) -> usize {
    if threads == 0 { cores() } else { threads as usize }
}

/// More threads than this are never started for one call.
const MOST: usize = 1024;

impl Pool {
    /// Runs `lead` on the calling thread and `help` on up to `threads - 1` others at the same time; returns when all have ended.
    /// Only `lead` may run callbacks of the host. `help` gets its worker's number, 1 and up.
    pub(crate) fn run(&self, threads: usize, help: impl Fn(usize) + Sync, lead: impl FnOnce()) -> Result<()> {
        let threads = threads.min(MOST);
        if threads <= 1 {
            lead();
            return Ok(());
        }
        // A crew works for one call at a time: with a shared one a short search would wait for the helpers of a long build.
        let crew = self.take(threads - 1)?;
        let Some(pool) = crew.pool.as_ref() else {
            return Err(Error::internal("a thread pool without threads"));
        };
        let help = &help;
        pool.in_place_scope(|scope| {
            for worker in 1..threads {
                scope.spawn(move |_| {
                    // The host's rounding and denormal modes are not inherited reliably: every worker sets its own.
                    let _mode = crate::util::float_mode::Guard::new();
                    help(worker);
                });
            }
            lead();
        });
        self.give(crew);
        Ok(())
    }

    fn take(&self, helpers: usize) -> Result<Crew> {
        let idle = self.idle.lock().take();
        match idle {
            Some(crew) if crew.process == std::process::id() && crew.threads.len() >= helpers => Ok(crew),
            other => {
                // Too small, or of another process; ends without the lock held.
                drop(other);
                Crew::start(helpers)
            }
        }
    }

    /// Keeps the larger of two crews for the next call.
    fn give(&self, crew: Crew) {
        let mut idle = self.idle.lock();
        let spare = match &*idle {
            Some(other) if other.threads.len() >= crew.threads.len() => Some(crew),
            _ => idle.replace(crew),
        };
        drop(idle);
        drop(spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;

    #[test]
    fn runs_exactly_the_threads_asked_for() {
        let pool = Pool::default();
        for threads in [1, 2, 5, 3] {
            let seen = Mutex::new(HashSet::new());
            let together = Barrier::new(threads);
            let arrive = |worker: usize| {
                together.wait();
                seen.lock().insert((worker, std::thread::current().id()));
            };
            pool.run(threads, arrive, || arrive(0)).unwrap();
            let seen = seen.into_inner();
            assert_eq!(seen.len(), threads);
            assert!(seen.contains(&(0, std::thread::current().id())));
        }
    }

    #[test]
    fn a_short_call_does_not_wait_for_a_long_one() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let (pool, short_done) = (Pool::default(), AtomicBool::new(false));
        let wait = || {
            while !short_done.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        };
        // The long call ends only when a short one, on the same pool, has come back.
        let lead = || {
            pool.run(2, |_| (), || ()).unwrap();
            short_done.store(true, Ordering::Release);
        };
        pool.run(2, |_| wait(), lead).unwrap();
    }
}
