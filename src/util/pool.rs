//! Which threads does a call use? The caller's, and up to `threads - 1` of a pool that belongs to one index.
//!
//! The pool starts with the first call that may use more than one thread. After a fork the child has none of its threads, so a
//! pool remembers the process that made it and is made anew elsewhere.

use crate::util::error::{Error, Result, Status};
use parking_lot::Mutex;
use std::sync::Arc;

#[derive(Debug)]
struct Crew {
    pool: Option<rayon::ThreadPool>,
    process: u32,
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take()
            && self.process != std::process::id()
        {
            // The threads stayed in the parent: waiting for them to end would wait for ever.
            std::mem::forget(pool);
        }
    }
}

/// The helping threads of one index.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    crew: Mutex<Option<Arc<Crew>>>,
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
        let crew = self.crew(threads - 1)?;
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
        Ok(())
    }

    fn crew(&self, helpers: usize) -> Result<Arc<Crew>> {
        let mut crew = self.crew.lock();
        if let Some(crew) = crew.as_ref()
            && crew.process == std::process::id()
            && crew.pool.as_ref().is_some_and(|pool| pool.current_num_threads() >= helpers)
        {
            return Ok(Arc::clone(crew));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(helpers)
            .thread_name(|i| format!("kith-{i}"))
            .build()
            .map_err(|cause| Error::new(Status::Memory, format!("cannot start {helpers} threads: {cause}")))?;
        let fresh = Arc::new(Crew { pool: Some(pool), process: std::process::id() });
        *crew = Some(Arc::clone(&fresh));
        Ok(fresh)
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
}
