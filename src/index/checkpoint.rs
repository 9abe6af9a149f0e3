//! How does the log of a durable directory become a new snapshot, bit by bit?
//!
//! A checkpoint has no thread of its own. It begins when the log has grown enough, and from then on every change writes a share of it,
//! in proportion to what it logged, before its call returns: a new log file is begun, the index is taken down at one instant, the
//! snapshot is written piece by piece, put in place, and then the old files go.

use super::disk::Snapshot;
use super::durable::Durable;
use super::{Index, LogInfo};
use crate::journal::snapshot_name;
use crate::persist::{Saving, Written};
use crate::util::epoch::Hold;
use crate::util::error::{Error, Result};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a snapshot that a change writes per byte that it logged, while a checkpoint is under way.
const SHARE: u64 = 8;
/// Fewer bytes of a snapshot are not worth a write.
const STEP: u64 = 256 << 10;
/// Log that is never worth a checkpoint, unless the caller says otherwise.
const SMALL_LOG: u64 = 64 << 20;

/// When checkpoints are due, and the one that is under way.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// As in the options: 0 follows the size of the snapshot.
    bytes: u64,
    job: Mutex<Job>,
    /// Bytes that the log has grown since the last checkpoint, or its failure.
    grown: AtomicU64,
    /// Bytes after which the next one begins.
    limit: AtomicU64,
    /// Bytes of the snapshot that may be written for what was logged.
    credit: AtomicU64,
    /// Records up to this one are in the snapshot.
    snapshot: AtomicU64,
    completed: AtomicU64,
    failed: AtomicU64,
}

/// How far a checkpoint is.
#[derive(Debug)]
enum Job {
    Idle,
    /// The log goes on in a new file, which begins with this record.
    Turned(u64),
    Writing(Box<Writing>),
}

#[derive(Debug)]
struct Writing {
    saving: Saving,
    snapshot: Snapshot,
    /// Where the core was that the snapshot is of.
    core: usize,
    /// Keeps that core, and what the snapshot names in it.
    hold: Hold,
}

/// Whether a step waits for what others do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    None,
    /// The caller wants the checkpoint now.
    Now,
}

impl Checkpoints {
    pub(super) fn new(bytes: u64, log_bytes: u64, snapshot: u64, snapshot_bytes: u64) -> Self {
        let checkpoints = Self {
            bytes,
            job: Mutex::new(Job::Idle),
            grown: AtomicU64::new(log_bytes),
            limit: AtomicU64::new(0),
            credit: AtomicU64::new(0),
            snapshot: AtomicU64::new(snapshot),
            completed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        checkpoints.set_limit(snapshot_bytes);
        checkpoints
    }

    fn set_limit(&self, snapshot_bytes: u64) {
        let by_size = (snapshot_bytes / 2).max(SMALL_LOG);
        self.limit.store(if self.bytes == 0 { by_size } else { self.bytes }, Ordering::Relaxed);
    }

    /// Gives up the checkpoint that is under way; the next one begins when the log has grown by as much again.
    fn give_up(&self, job: &mut Job) {
        *job = Job::Idle;
        self.grown.store(0, Ordering::Relaxed);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves the file in the making to the parent process, which goes on with it.
    pub(super) fn leave(&mut self) {
        std::mem::forget(std::mem::replace(self.job.get_mut(), Job::Idle));
    }

    /// What is known of checkpoints, beside what is known of the log.
    pub(super) fn tell(&self, info: LogInfo) -> LogInfo {
        LogInfo {
            checkpoint: self.snapshot.load(Ordering::Relaxed),
            checkpoints: self.completed.load(Ordering::Relaxed),
            failed_checkpoints: self.failed.load(Ordering::Relaxed),
            ..info
        }
    }
}

impl Index {
    /// Folds the log into a new snapshot, to the end, on this thread. Others go on.
    ///
    /// # Errors
    /// `Argument` if the index does not live in a directory; `Io`, `Memory`, `ReadOnly`, after which the log goes on as it was.
    pub fn checkpoint(&self) -> Result<()> {
        let durable = self.durable()?;
        self.check_change()?;
        let target = durable.journal.last();
        let checkpoints = &durable.checkpoints;
        let mut job = checkpoints.job.lock();
        while checkpoints.snapshot.load(Ordering::Relaxed) < target || !matches!(*job, Job::Idle) {
            let before = checkpoints.snapshot.load(Ordering::Relaxed);
            if let Err(error) = self.step(durable, &mut job, u64::MAX, Haste::Now) {
                checkpoints.give_up(&mut job);
                return Err(error);
            }
            // What others have logged but not shown yet is in the next checkpoint.
            let after = checkpoints.snapshot.load(Ordering::Relaxed);
            if after > before && after >= target.min(durable.journal.seen_up_to()) {
                break;
            }
        }
        Ok(())
    }

    /// Makes a checkpoint if the log that was just replayed is long enough for one: processes that live shortly would never get to the end
    /// of theirs, and the log would grow from one to the next.
    pub(super) fn checkpoint_if_due(&self) {
        let Some(durable) = &self.durable else { return };
        let checkpoints = &durable.checkpoints;
        if checkpoints.grown.load(Ordering::Relaxed) >= checkpoints.limit.load(Ordering::Relaxed) {
            // The index is open without it, too; `log_info` tells of a failure.
            drop(self.checkpoint());
        }
    }

    /// Writes a share of a checkpoint, if one is due and nobody else does.
    pub(super) fn help_checkpoint(&self, bytes: u64) {
        let Some(durable) = &self.durable else { return };
        let checkpoints = &durable.checkpoints;
        let grown = checkpoints.grown.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let credit = checkpoints.credit.fetch_add(bytes.saturating_mul(SHARE), Ordering::Relaxed);
        let Some(mut job) = checkpoints.job.try_lock() else { return };
        let due = match *job {
            Job::Idle => grown >= checkpoints.limit.load(Ordering::Relaxed),
            Job::Turned(_) => true,
            Job::Writing(_) => credit >= STEP,
        };
        if !due {
            return;
        }
        let credit = checkpoints.credit.swap(0, Ordering::Relaxed);
        if self.step(durable, &mut job, credit, Haste::None).is_err() {
            // The change itself is safe; `log_info` tells of it.
            checkpoints.give_up(&mut job);
        }
    }

    /// One step of a checkpoint.
    fn step(&self, durable: &Durable, job: &mut Job, bytes: u64, haste: Haste) -> Result<()> {
        match job {
            Job::Idle => *job = Job::Turned(durable.journal.turn_page()?),
            Job::Turned(first) => {
                // Changes of the old file that cannot be seen yet would keep it from going.
                if haste == Haste::Now || durable.journal.seen_up_to() + 1 >= *first {
                    *job = Job::Writing(Box::new(self.begin_writing(durable)?));
                }
            }
            Job::Writing(writing) => {
                let core = self.core(&writing.hold);
                if std::ptr::from_ref(core).addr() != writing.core {
                    // Cleared meanwhile: the snapshot would be of nothing that is needed.
                    *job = Job::Turned(0);
                    return Ok(());
                }
                let image = writing.snapshot.image(core);
                let failed = |cause| Error::io("writing a snapshot in", &durable.journal.path, &cause);
                if writing.saving.step(&image, bytes).map_err(failed)? == Written::All
                    && let Job::Writing(writing) = std::mem::replace(job, Job::Idle)
                {
                    finish_writing(durable, *writing)?;
                }
            }
        }
        Ok(())
    }

    fn begin_writing(&self, durable: &Durable) -> Result<Writing> {
        let hold = self.epochs.hold();
        let (core, snapshot) = self.snapshot(&hold)?;
        let path = durable.journal.path.join(snapshot_name(snapshot.logged));
        let saving = Saving::begin(Arc::clone(&durable.journal.disk), &snapshot.image(core), &path)?;
        let core = std::ptr::from_ref(core).addr();
        Ok(Writing { saving, snapshot, core, hold })
    }
}

fn finish_writing(durable: &Durable, writing: Writing) -> Result<()> {
    let (number, bytes) = (writing.snapshot.logged, writing.saving.file_bytes());
    // A snapshot must not reach further than the log, which goes on behind it.
    durable.journal.sync()?;
    writing.saving.finish()?;
    let checkpoints = &durable.checkpoints;
    checkpoints.snapshot.store(number, Ordering::Relaxed);
    checkpoints.completed.fetch_add(1, Ordering::Relaxed);
    durable.journal.retire(number);
    checkpoints.grown.store(durable.journal.bytes(), Ordering::Relaxed);
    checkpoints.set_limit(bytes);
    Ok(())
}
