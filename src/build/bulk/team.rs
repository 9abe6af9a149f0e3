//! How do the threads of a build share its stages, tell of progress and stop when they are told to?
//!
//! A stage is a number of pieces, each a pure function of what earlier stages left. Which thread works on which piece changes nothing.

use crate::util::error::Result;
use crate::util::pool::Pool;
use crate::util::progress::{Meter, Work};
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};

/// The threads of a build.
pub(crate) struct Team<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) threads: usize,
    /// Told by the calling thread of (done, total); `true` cancels.
    pub(crate) progress: Option<&'a dyn Fn(u64, u64) -> bool>,
    /// What progress is told in.
    pub(crate) total: usize,
    /// How much of the total is done.
    pub(crate) done: Cell<usize>,
    /// Asked before so many bytes are taken that [`super::memory`] does not count.
    pub(crate) afford: &'a dyn Fn(usize) -> Result<()>,
}

/// What a piece of work may ask of its team.
pub(super) struct Hand<'a> {
    work: &'a Work,
    meter: Option<RefCell<Meter<'a>>>,
}

impl Hand<'_> {
    /// Whether the build is cancelled: the piece ends as it is. Asked every millisecond or so.
    pub(super) fn stops(&self) -> bool {
        if let Some(meter) = &self.meter {
            meter.borrow_mut().tell(self.work);
        }
        self.work.has_failed()
    }
}

impl<'a> Team<'a> {
    /// Runs `body` for every piece, with buffers of the thread that runs it. `share` of the total is done afterwards.
    pub(super) fn run<T: Default>(
        &self,
        pieces: usize,
        share: usize,
        body: impl Fn(usize, &mut T, &Hand<'_>) + Sync,
    ) -> Result<()> {
        let start = self.done.get();
        let end = (start + share).min(self.total);
        let (work, threads) = (Work::new(pieces, 1), self.threads.min(pieces));
        let each = |hand: Hand<'_>| {
            let mut buffers = T::default();
            while let Some(piece) = work.take() {
                body(piece.start, &mut buffers, &hand);
                work.done(1);
                if hand.stops() {
                    break;
                }
            }
        };
        let meter = RefCell::new(Meter::of_part(self.progress, start..end, self.total));
        self.pool.run(
            threads,
            |_| each(Hand { work: &work, meter: None }),
            || each(Hand { work: &work, meter: Some(meter) }),
        )?;
        self.done.set(end);
        work.into_result()
    }

    /// As `run`, for pieces that each own a part of what is written.
    pub(super) fn each<P: Send, T: Default>(
        &self,
        parts: impl Iterator<Item = P>,
        share: usize,
        body: impl Fn(usize, P, &mut T) + Sync,
    ) -> Result<()> {
        let parts: Vec<Mutex<Option<P>>> = parts.map(|part| Mutex::new(Some(part))).collect();
        self.run(parts.len(), share, |piece, buffers, _| {
            let part = parts[piece].lock().take();
            if let Some(part) = part {
                body(piece, part, buffers);
            }
        })
    }

    /// The last word before the result is taken over.
    pub(crate) fn tell_all(&self) -> Result<()> {
        Meter::new(self.progress, self.total).tell_all()
    }
}
