//! How do threads share work of which the host hears only that it goes on, and which ends when it says no?
//!
//! Learning is such: a few steps whose share of the whole nobody knows. The host is told the same number again and again meanwhile.

use crate::util::error::Result;
use crate::util::pool::Pool;
use crate::util::progress::{Meter, Work};
use crate::util::reentry;
use std::cell::RefCell;
use std::ops::Range;

/// The threads that a step may use, and whom to ask whether it goes on.
pub(crate) struct Hands<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) threads: usize,
    /// With the number that names the index that calls back.
    asked: Option<(usize, RefCell<Meter<'a>>)>,
}

impl<'a> Hands<'a> {
    /// For work that cannot be stopped.
    pub(crate) fn quiet(pool: &'a Pool, threads: usize) -> Self {
        Self { pool, threads, asked: None }
    }

    /// For work of the index of that name, while `done` of `total` is done of what the host waits for.
    pub(crate) fn watched(
        pool: &'a Pool,
        threads: usize,
        index: usize,
        progress: Option<&'a dyn Fn(u64, u64) -> bool>,
        (done, total): (usize, usize),
    ) -> Self {
        let meter = Meter::of_part(progress, done..done, total);
        Self { pool, threads, asked: Some((index, RefCell::new(meter))) }
    }

    /// Runs `body` for all of `total` in pieces, with buffers of the thread that runs it; by one thread if others cannot be started.
    ///
    /// # Errors
    /// `Cancelled`, and then some pieces are left out.
    pub(crate) fn run<T: Default>(
        &self,
        total: usize,
        piece: usize,
        body: impl Fn(Range<usize>, &mut T) + Sync,
    ) -> Result<()> {
        let work = Work::new(total, piece);
        let each = |asked: Option<&Self>| {
            let mut buffers = T::default();
            while let Some(piece) = work.take() {
                body(piece, &mut buffers);
                asked.iter().for_each(|hands| hands.tell(&work));
            }
        };
        let threads = self.threads.min(total.div_ceil(piece.max(1)));
        if self.pool.run(threads, |_| each(None), || each(Some(self))).is_err() {
            each(Some(self));
        }
        work.into_result()
    }

    /// Whether a step that one thread does goes on. To be asked every few milliseconds.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn ask(&self) -> Result<()> {
        let work = Work::new(1, 1);
        self.tell(&work);
        work.into_result()
    }

    fn tell(&self, work: &Work) {
        if let Some((index, meter)) = &self.asked {
            reentry::calling_back(*index, || meter.borrow_mut().tell(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::error::Status;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn a_host_that_says_no_ends_the_step_it_is_in_and_every_later_one() {
        let (pool, told, done) = (Pool::default(), Cell::new(0), AtomicUsize::new(0));
        let no = |done, total| {
            assert_eq!((done, total), (7, 100));
            told.set(told.get() + 1);
            true
        };
        let hands = Hands::watched(&pool, 2, 1, Some(&no), (7, 100));
        hands.ask().unwrap();
        assert_eq!(told.get(), 0, "it is not asked at once");
        let step = |_, (): &mut ()| {
            std::thread::sleep(Duration::from_millis(5));
            done.fetch_add(1, Ordering::Relaxed);
        };
        assert_eq!(hands.run(1000, 1, step).unwrap_err().status(), Status::Cancelled);
        assert!(told.get() > 0 && done.load(Ordering::Relaxed) < 500);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(hands.ask().unwrap_err().status(), Status::Cancelled);
        let all = AtomicUsize::new(0);
        let count = |piece: Range<usize>, (): &mut ()| {
            all.fetch_add(piece.len(), Ordering::Relaxed);
        };
        Hands::quiet(&pool, 3).run(1000, 7, count).unwrap();
        assert_eq!(all.into_inner(), 1000);
    }
}
