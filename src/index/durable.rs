//! How does a change get into the log of a durable directory before it is seen?

use super::checkpoint::Checkpoints;
use super::{Index, LogInfo, LogOptions};
use crate::journal::{self, Journal, Keys};
use crate::util::error::{Error, Result};

/// What makes an index durable.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) journal: Journal,
    pub(super) checkpoints: Checkpoints,
}

impl Durable {
    /// For a log behind a snapshot of so many bytes, which has the records up to a number.
    pub(super) fn new(journal: Journal, options: &LogOptions, snapshot: u64, snapshot_bytes: u64) -> Self {
        let checkpoints = Checkpoints::new(options.checkpoint_bytes, journal.bytes(), snapshot, snapshot_bytes);
        Self { journal, checkpoints }
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if self.journal.is_inherited() {
            self.checkpoints.leave();
        }
    }
}

/// A change on its way; nobody else changes its keys meanwhile. Does nothing where there is no log. When it ends, the caller writes
/// its share of a checkpoint.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    index: &'a Index,
    turn: Option<journal::Turn<'a>>,
}

impl Turn<'_> {
    /// Logs that keys get vectors, whose bytes `vector` appends. When this returns the change lasts as the policy says, so it must take place.
    pub(super) fn put(&mut self, keys: &[u64], vector: impl Fn(usize, &mut Vec<u8>)) -> Result<()> {
        self.turn.as_mut().map_or(Ok(()), |turn| turn.put(keys, vector))
    }

    /// As [`Turn::put`], that those keys go which are there.
    pub(super) fn remove(&mut self, there: impl FnOnce() -> Vec<u64>) -> Result<()> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        let keys = there();
        if keys.is_empty() { Ok(()) } else { turn.remove(&keys) }
    }

    /// As [`Turn::put`], that everything goes.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.turn.as_mut().map_or(Ok(()), journal::Turn::clear)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let bytes = turn.bytes();
        drop(turn);
        if bytes > 0 && !std::thread::panicking() {
            self.index.help_checkpoint(bytes);
        }
    }
}

impl Index {
    /// An error if changes cannot be logged any more.
    pub(super) fn check_log(&self) -> Result<()> {
        self.durable.as_ref().map_or(Ok(()), |durable| durable.journal.check())
    }

    /// Waits until nobody else changes these keys, where there is a log that must tell of changes in their order.
    pub(super) fn turn(&self, keys: Keys<'_>) -> Result<Turn<'_>> {
        let turn = self.durable.as_ref().map(|durable| durable.journal.turn(keys)).transpose()?;
        Ok(Turn { index: self, turn })
    }

    /// A turn of a change that has no keys yet.
    pub(super) fn unlogged(&self) -> Turn<'_> {
        Turn { index: self, turn: None }
    }

    /// Number of the last record that can be seen with all before it.
    pub(super) fn seen_up_to(&self) -> u64 {
        self.durable.as_ref().map_or(0, |durable| durable.journal.seen_up_to())
    }

    pub(super) fn durable(&self) -> Result<&Durable> {
        self.durable.as_deref().ok_or_else(|| Error::argument("the index does not live in a directory"))
    }

    /// How far the log is.
    ///
    /// # Errors
    /// `Argument` if the index does not live in a directory.
    pub fn log_info(&self) -> Result<LogInfo> {
        let durable = self.durable()?;
        Ok(durable.checkpoints.tell(durable.journal.info()))
    }

    /// Makes every change last that was acknowledged before, whatever the policy.
    ///
    /// # Errors
    /// `Argument` if the index does not live in a directory; `Io`, `ReadOnly`.
    pub fn sync_log(&self) -> Result<()> {
        let durable = self.durable()?;
        durable.journal.check()?;
        durable.journal.sync()
    }
}
