//! What may a caller choose about the log of a durable directory, and what is it told?

use crate::util::error::{Error, Result};

/// When is a change made to last?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum SyncPolicy {
    /// Before the call returns that made it. Calls that wait at the same time share one sync.
    #[default]
    Commit = 1,
    /// By the first change that comes when the last sync is so many milliseconds ago.
    Interval = 2,
    /// When the operating system likes.
    Never = 3,
}

impl TryFrom<u32> for SyncPolicy {
    type Error = Error;
    fn try_from(value: u32) -> Result<Self> {
        match value {
            0 | 1 => Ok(Self::Commit),
            2 => Ok(Self::Interval),
            3 => Ok(Self::Never),
            _ => {
                Err(Error::argument(format!("sync is {value}, known are 0 and 1 (commit), 2 (interval) and 3 (never)")))
            }
        }
    }
}

/// How a durable directory is kept. Zero in a number means its default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOptions {
    /// When changes are made to last.
    pub sync: SyncPolicy,
    /// For [`SyncPolicy::Interval`]: default 100.
    pub interval_ms: u32,
    /// Threads that load and replay; 0 = all cores.
    pub threads: u32,
    /// Bytes of log after which a checkpoint begins; default: half of the snapshot, at least 64 MiB.
    pub checkpoint_bytes: u64,
    /// Most bytes of a record's payload; longer changes become several. Default, and most: 1 MiB. For tests.
    #[doc(hidden)]
    pub record_bytes: usize,
}

/// How far the log of a durable directory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogInfo {
    /// Changes are refused since the log could not be written.
    pub failed: bool,
    /// When changes are made to last.
    pub sync: SyncPolicy,
    /// Number of the last record. Records are numbered from 1 for the life of the directory.
    pub last: u64,
    /// Number of the last record that is known to last.
    pub durable: u64,
    /// Records up to this one are in the snapshot.
    pub checkpoint: u64,
    /// Bytes of log that the next open reads.
    pub log_bytes: u64,
    /// Records that the open replayed.
    pub replayed: u64,
    /// Bytes behind the last whole record that the open cut off.
    pub cut_bytes: u64,
    /// Syncs of the log since the open.
    pub syncs: u64,
    /// Checkpoints since the open: ended, and given up.
    pub checkpoints: u64,
    /// See `checkpoints`.
    pub failed_checkpoints: u64,
}
