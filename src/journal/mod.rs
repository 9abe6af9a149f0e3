//! How does no change get lost that a caller was told of?
//!
//! A durable directory holds a snapshot of the index and a log of the changes since (`files`). A change takes its turn (`turns`), is
//! written to the log together with those that come at the same time (`commit`), and is seen when its record lasts. Opening reads
//! the log from the snapshot on (`recover`, `record`). FORMAT.md has every byte of a log.
//!
//! This room knows records, not indexes: what a change does to the vectors, and how a snapshot is made, is the business of `index::directory` and `index::checkpoint`.

mod commit;
mod files;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, reason = "tests and fuzzing end in a panic when something is not as it must be")]
pub(crate) mod hostile;
mod options;
mod record;
mod recover;
mod turns;

pub(crate) use files::{Files, snapshot_name};
pub use options::{LogInfo, LogOptions, SyncPolicy};
pub(crate) use record::Shape;
pub(crate) use recover::Change;
pub(crate) use turns::Keys;

use crate::disk::{Disk, Lock};
use crate::util::error::{Error, Result, Status};
use commit::{Commits, LogFile, Standing, Writer};
use files::{Log, log_name};
use record::{Kind, MOST_PAYLOAD};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use turns::{Held, Turns};

/// Default of [`LogOptions::interval_ms`].
const DEFAULT_INTERVAL: u32 = 100;

/// A durable directory that this process alone has open.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) files: Files,
    lock: Lock,
}

impl Directory {
    /// Locks a directory and looks what is in it.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let failed = |cause| Error::io("opening", path, &cause);
        let lock = disk.lock(&path.join(files::LOCK)).map_err(failed)?;
        let Some(lock) = lock else {
            let text = format!("{}: the directory is open already, in this process or another", path.display());
            return Err(Error::new(Status::Busy, text));
        };
        let files = Files::of(&disk.list(path).map_err(failed)?);
        Ok(Self { disk, path: path.to_owned(), files, lock })
    }

    /// The snapshot to begin with.
    pub(crate) fn snapshot(&self) -> Option<u64> {
        self.files.snapshots.last().copied()
    }

    /// Takes away what a first open left that did not get to its snapshot: logs without a record.
    pub(crate) fn clear_unborn(&self) -> Result<()> {
        for &first in &self.files.logs {
            let path = self.path.join(log_name(first));
            let failed = |cause| Error::io("opening", &path, &cause);
            let bytes = self.disk.read(&path).map_err(failed)?.bytes();
            if bytes > record::FILE_HEADER as u64 {
                return Err(Error::corrupt(format!("{}: there is a log, but no snapshot", self.path.display())));
            }
            self.disk.remove(&path).map_err(failed)?;
        }
        Ok(())
    }

    /// Begins a log in a directory that has none.
    pub(crate) fn begin(self, shape: Shape, options: &LogOptions) -> Result<Journal> {
        let failed = |cause| Error::io("writing", &self.path, &cause);
        let folder = self.disk.folder(&self.path).map_err(failed)?;
        let log = Log::create(&*self.disk, &self.path, &*folder, 1, &shape).map_err(failed)?;
        let files = VecDeque::from([LogFile { first: 1, bytes: log.bytes }]);
        let standing = Standing { writer: Writer { log, folder }, files, next: 1 };
        Ok(Journal::new(self, shape, standing, options))
    }

    /// Reads the log behind a snapshot, and goes on with it.
    pub(crate) fn resume(
        self,
        snapshot: u64,
        shape: Shape,
        options: &LogOptions,
        mut replay: impl FnMut(Change<'_>) -> Result<()>,
    ) -> Result<Journal> {
        let found = recover::recover(&*self.disk, &self.path, &self.files, snapshot, &shape, &mut replay)?;
        let mut journal = Journal::new(self, shape, found.standing, options);
        (journal.replayed, journal.cut) = (found.replayed, found.cut);
        Ok(journal)
    }
}

/// The log of an open index.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    shape: Shape,
    policy: SyncPolicy,
    /// Most bytes of a payload.
    record_bytes: usize,
    commits: Commits,
    turns: Turns,
    /// The process that opened the directory. A child that it forks has the same files open, and must leave them alone.
    process: u32,
    replayed: u64,
    cut: u64,
    _lock: Lock,
}

impl Journal {
    fn new(directory: Directory, shape: Shape, standing: Standing, options: &LogOptions) -> Self {
        let Directory { disk, path, lock, .. } = directory;
        let interval = if options.interval_ms == 0 { DEFAULT_INTERVAL } else { options.interval_ms };
        let commits = Commits::new(standing, options.sync, Duration::from_millis(interval.into()));
        Self {
            disk,
            path,
            shape,
            policy: options.sync,
            record_bytes: if options.record_bytes == 0 { MOST_PAYLOAD } else { options.record_bytes.min(MOST_PAYLOAD) },
            commits,
            turns: Turns::default(),
            process: std::process::id(),
            replayed: 0,
            cut: 0,
            _lock: lock,
        }
    }

    /// An error if this process may not change the directory, or cannot any more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_inherited() {
            return Err(Error::new(
                Status::ReadOnly,
                format!("the directory belongs to process {}, which forked this one", self.process),
            ));
        }
        self.commits.check()
    }

    /// Whether this process is a child of the one that opened the directory.
    pub(crate) fn is_inherited(&self) -> bool {
        self.process != std::process::id()
    }

    /// Waits until nobody else changes these keys. To be taken before the index is looked at, and kept until the change is seen.
    pub(crate) fn turn(&self, keys: Keys<'_>) -> Result<Turn<'_>> {
        Ok(Turn { journal: self, logged: None, bytes: 0, _held: self.turns.take(keys)? })
    }

    /// Number of the last record such that it and all before can be seen.
    pub(crate) fn seen_up_to(&self) -> u64 {
        self.commits.seen_up_to()
    }

    /// Number of the last record.
    pub(crate) fn last(&self) -> u64 {
        self.commits.last()
    }

    /// Bytes of log that an open would read now.
    pub(crate) fn bytes(&self) -> u64 {
        self.commits.progress().bytes
    }

    /// Makes everything last that was logged.
    pub(crate) fn sync(&self) -> Result<()> {
        self.commits.sync()
    }

    /// Goes on in a new file; says which record is the first in it.
    pub(crate) fn turn_page(&self) -> Result<u64> {
        self.commits.turn(|first, folder| Log::create(&*self.disk, &self.path, folder, first, &self.shape))
    }

    /// Takes away what a snapshot makes needless: older ones, and logs whose records are all in it. What cannot be removed is left
    /// to the next open.
    pub(crate) fn retire(&self, snapshot: u64) {
        let oldest = self.commits.retire(snapshot);
        let Ok(names) = self.disk.list(&self.path) else { return };
        let Files { snapshots, logs } = Files::of(&names);
        let snapshots = snapshots.into_iter().filter(|&other| other < snapshot).map(snapshot_name);
        let logs = logs.into_iter().filter(|&first| first < oldest).map(log_name);
        snapshots.chain(logs).for_each(|name| drop(self.disk.remove(&self.path.join(name))));
    }

    /// What is known of the log; checkpoints are the caller's.
    pub(crate) fn info(&self) -> LogInfo {
        let progress = self.commits.progress();
        LogInfo {
            failed: progress.failed,
            sync: self.policy,
            last: progress.last,
            durable: progress.durable,
            log_bytes: progress.bytes,
            replayed: self.replayed,
            cut_bytes: self.cut,
            syncs: progress.syncs,
            ..LogInfo::default()
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !self.is_inherited() {
            self.commits.close();
        }
    }
}

/// A change on its way: nobody else changes its keys until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    journal: &'a Journal,
    /// Number of the first record.
    logged: Option<u64>,
    bytes: u64,
    _held: Held<'a>,
}

impl Turn<'_> {
    /// Logs that keys get vectors, whose bytes `vector` appends; returns when that is as durable as the policy asks.
    pub(crate) fn put(&mut self, keys: &[u64], vector: impl Fn(usize, &mut Vec<u8>)) -> Result<()> {
        let each = 8 + self.journal.shape.vector_bytes;
        self.log(Kind::Put, keys, each, |from, keys, out| {
            keys.iter().for_each(|key| out.extend_from_slice(&key.to_le_bytes()));
            (from..from + keys.len()).for_each(|i| vector(i, out));
        })
    }

    /// As [`Turn::put`], that keys go.
    pub(crate) fn remove(&mut self, keys: &[u64]) -> Result<()> {
        self.log(Kind::Remove, keys, 8, |_, keys, out| {
            keys.iter().for_each(|key| out.extend_from_slice(&key.to_le_bytes()));
        })
    }

    /// As [`Turn::put`], that everything goes.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.log(Kind::Clear, &[], 0, |_, _, _| ())
    }

    /// Bytes that this change added to the log.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Logs a change of `each` bytes per key: whole, or split into records.
    fn log(&mut self, kind: Kind, keys: &[u64], each: usize, fill: impl Fn(usize, &[u64], &mut Vec<u8>)) -> Result<()> {
        let Journal { commits, record_bytes, .. } = self.journal;
        let bytes = keys.len() * each;
        self.bytes += bytes as u64;
        let logged = if bytes <= *record_bytes {
            commits.log(kind, bytes, |out| fill(0, keys, out))?
        } else {
            let at_once = (record_bytes / each).max(1);
            let part = |i: usize| keys.chunks(at_once).nth(i);
            commits.log_parts(kind, keys.len().div_ceil(at_once), |i, out| {
                fill(i * at_once, part(i).unwrap_or_default(), out);
            })?
        };
        self.logged = Some(logged);
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(first) = self.logged {
            self.journal.commits.seen(first);
        }
    }
}
