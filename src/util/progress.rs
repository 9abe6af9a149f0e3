//! How do several threads share a long piece of work that can fail, be watched and be cancelled?

use crate::util::error::{Error, Result, Status};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Progress is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// `total` items, handed out in pieces and in order, until one fails.
#[derive(Debug)]
pub(crate) struct Work {
    total: usize,
    piece: usize,
    next: AtomicUsize,
    done: AtomicUsize,
    /// No piece from here on is handed out any more.
    end: AtomicUsize,
    failure: Mutex<Option<(usize, Error)>>,
}

impl Work {
    pub(crate) fn new(total: usize, piece: usize) -> Self {
        Self {
            total,
            piece: piece.max(1),
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            end: AtomicUsize::new(total),
            failure: Mutex::new(None),
        }
    }

    /// The next piece. After a failure at item `i` pieces before `i` are still handed out, so that the first failure is known.
    pub(crate) fn take(&self) -> Option<Range<usize>> {
        let start = self.next.fetch_add(self.piece, Ordering::Relaxed);
        (start < self.end.load(Ordering::Relaxed)).then(|| start..(start + self.piece).min(self.total))
    }

    pub(crate) fn done(&self, items: usize) {
        self.done.fetch_add(items, Ordering::Relaxed);
    }

    /// Notes that item `i` failed; the failure with the smallest `i` is kept.
    pub(crate) fn fail(&self, i: usize, error: Error) {
        self.end.fetch_min(i, Ordering::Relaxed);
        let mut failure = self.failure.lock();
        if failure.as_ref().is_none_or(|(first, _)| i < *first) {
            *failure = Some((i, error));
        }
    }

    /// Whether no more is handed out because of a failure.
    pub(crate) fn has_failed(&self) -> bool {
        self.end.load(Ordering::Relaxed) < self.total
    }

    pub(crate) fn into_result(self) -> Result<()> {
        self.failure.into_inner().map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// Tells the host how far a piece of work has come.
pub(crate) struct Meter<'a> {
    progress: Option<&'a dyn Fn(u64, u64) -> bool>,
    total: usize,
    /// The part of the total that this work is.
    part: Range<usize>,
    told: Instant,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(progress: Option<&'a dyn Fn(u64, u64) -> bool>, total: usize) -> Self {
        Self::of_part(progress, 0..total, total)
    }

    /// For work that is only part of what the host waits for.
    pub(crate) fn of_part(progress: Option<&'a dyn Fn(u64, u64) -> bool>, part: Range<usize>, total: usize) -> Self {
        Self { progress, total, part, told: Instant::now() }
    }

    /// Tells, if it is time; a host that cancels makes the work fail.
    pub(crate) fn tell(&mut self, work: &Work) {
        let Some(progress) = self.progress else { return };
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let done = work.done.load(Ordering::Relaxed) as u128 * self.part.len() as u128 / work.total.max(1) as u128;
        let done = self.part.start + done as usize;
        if progress(done as u64, self.total as u64) {
            work.fail(0, cancelled(done, self.total));
        }
    }

    /// Tells that everything is done.
    pub(crate) fn tell_all(&mut self) -> Result<()> {
        match self.progress {
            Some(progress) if progress(self.total as u64, self.total as u64) => Err(cancelled(self.total, self.total)),
            _ => Ok(()),
        }
    }
}

fn cancelled(done: usize, total: usize) -> Error {
    Error::new(Status::Cancelled, format!("the progress callback stopped it at {done} of {total}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_handed_out_once_and_the_first_failure_is_kept() {
        let work = Work::new(10, 3);
        let pieces: Vec<_> = std::iter::from_fn(|| work.take()).collect();
        assert_eq!(pieces, [0..3, 3..6, 6..9, 9..10]);
        let work = Work::new(100, 10);
        work.take();
        work.fail(55, Error::argument("later"));
        work.fail(31, Error::argument("earlier"));
        assert_eq!(std::iter::from_fn(|| work.take()).last(), Some(30..40));
        assert_eq!(work.into_result().unwrap_err().text(), "earlier");
    }

    #[test]
    fn a_host_that_cancels_ends_the_work() {
        let work = Work::new(10, 1);
        let stop = |_, _| true;
        let mut meter = Meter::new(Some(&stop), 10);
        meter.told -= TELL_EVERY;
        meter.tell(&work);
        assert!(work.take().is_none());
        assert_eq!(work.into_result().unwrap_err().status(), Status::Cancelled);
    }
}
