//! An index that lives in a directory: opening it, logging its changes, and folding the log into a new snapshot bit by bit.
//!
//! A checkpoint has no thread of its own. It begins when the log has grown enough, and from then on every change writes a share of it,
//! in proportion to what it logged, before its call returns: a new log file is begun, the index is taken down at one instant, the
//! snapshot is written piece by piece, put in place, and then the old files go.

use super::config::{BuildOptions, Kind, OpenFlags, Options};
use super::disk::Snapshot;
use super::{Index, LogInfo, LogOptions, Rows};
use crate::disk::{Disk, System};
use crate::journal::{self, Change, Directory, Journal, Keys, Shape, snapshot_name};
use crate::persist::{self, Saving, Written};
use crate::util::epoch::Hold;
use crate::util::error::{Error, Result, Status};
use crate::util::pool::Pool;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a snapshot that a change writes per byte that it logged, while a checkpoint is under way.
const SHARE: u64 = 8;
/// Fewer bytes of a snapshot are not worth a write.
const STEP: u64 = 256 << 10;
/// Log that is never worth a checkpoint, unless the caller says otherwise.
const SMALL_LOG: u64 = 64 << 20;
/// Bytes of vectors that are replayed at a time.
const REPLAY: usize = 64 << 20;

/// What makes an index durable.
#[derive(Debug)]
pub(super) struct Durable {
    journal: Journal,
    /// As in the options: 0 follows the size of the snapshot.
    checkpoint_bytes: u64,
    job: Mutex<Job>,
    /// Bytes that the log has grown since the last checkpoint, or its failure.
    grown: AtomicU64,
    /// Bytes after which the next one begins.
    limit: AtomicU64,
    /// Bytes of the snapshot that may be written for what was logged.
    credit: AtomicU64,
    /// Records up to this one are in the snapshot.
    checkpoint: AtomicU64,
    checkpoints: AtomicU64,
    failed_checkpoints: AtomicU64,
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

impl Durable {
    fn new(journal: Journal, options: &LogOptions, snapshot: u64, snapshot_bytes: u64) -> Self {
        let durable = Self {
            grown: AtomicU64::new(journal.bytes()),
            journal,
            checkpoint_bytes: options.checkpoint_bytes,
            job: Mutex::new(Job::Idle),
            limit: AtomicU64::new(0),
            credit: AtomicU64::new(0),
            checkpoint: AtomicU64::new(snapshot),
            checkpoints: AtomicU64::new(0),
            failed_checkpoints: AtomicU64::new(0),
        };
        durable.set_limit(snapshot_bytes);
        durable
    }

    fn set_limit(&self, snapshot_bytes: u64) {
        let by_size = (snapshot_bytes / 2).max(SMALL_LOG);
        self.limit.store(if self.checkpoint_bytes == 0 { by_size } else { self.checkpoint_bytes }, Ordering::Relaxed);
    }

    /// Gives up the checkpoint that is under way; the next one begins when the log has grown by as much again.
    fn give_up(&self, job: &mut Job) {
        *job = Job::Idle;
        self.grown.store(0, Ordering::Relaxed);
        self.failed_checkpoints.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if self.journal.is_inherited() {
            // The file in the making is the parent's, which goes on with it.
            std::mem::forget(std::mem::replace(self.job.get_mut(), Job::Idle));
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
    /// Logs that keys get vectors. When this returns the change lasts as the policy says, so it must take place.
    pub(super) fn put<'v>(&mut self, keys: &[u64], vector: impl Fn(usize) -> &'v [u8]) -> Result<()> {
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
    /// Opens the index that lives in a directory, or begins one there if there is none and `options` says what it is to be. From
    /// then on every change is logged there before it is seen.
    ///
    /// # Errors
    /// `Busy` if the directory is open already; `Argument` if `options` do not fit the index that is there; `Io`, `Corrupt`,
    /// `Version`, `Memory`.
    pub fn open_directory(path: &Path, options: Option<&Options>, log: &LogOptions) -> Result<Self> {
        // The host may change its directory while the index is open.
        let path = std::path::absolute(path).map_err(|cause| Error::io("opening", path, &cause))?;
        Self::open_directory_on(Arc::new(System), &path, options, log)
    }

    /// As [`Index::open_directory`], with syncs that take so long in all, to measure how they are shared.
    ///
    /// # Errors
    /// As for [`Index::open_directory`].
    #[cfg(feature = "test-hooks")]
    #[doc(hidden)]
    pub fn open_directory_slowed(
        path: &Path,
        options: Option<&Options>,
        log: &LogOptions,
        sync: std::time::Duration,
    ) -> Result<Self> {
        let disk = crate::disk::slow::Slow { disk: Arc::new(System), sync };
        Self::open_directory_on(Arc::new(disk), path, options, log)
    }

    pub(crate) fn open_directory_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        options: Option<&Options>,
        log: &LogOptions,
    ) -> Result<Self> {
        let failed = |cause| Error::io("opening", path, &cause);
        if options.is_some() {
            disk.create_folder(path).map_err(failed)?;
        }
        let directory = Directory::open(Arc::clone(&disk), path)?;
        for name in disk.list(path).map_err(failed)?.iter().filter(|name| persist::is_beside(name)) {
            disk.remove(&path.join(name)).map_err(failed)?;
        }
        let mut index = match (directory.snapshot(), options) {
            (Some(snapshot), _) => Self::resume(directory, snapshot, options, log)?,
            (None, Some(options)) => Self::begin(directory, options, log)?,
            (None, None) => {
                let text =
                    format!("{}: no index is there, and options that say what to begin are NULL", path.display());
                return Err(Error::new(Status::Io, text));
            }
        };
        if let Some(options) = options {
            // A hint; and nothing is logged of it.
            let durable = index.durable.take();
            let reserved = index.reserve(options.capacity);
            index.durable = durable;
            reserved?;
        }
        Ok(index)
    }

    /// An empty index in a directory that has none. The log comes first: a snapshot without a log is damage.
    fn begin(directory: Directory, options: &Options, log: &LogOptions) -> Result<Self> {
        let mut index = Self::create(&Options { capacity: 0, ..options.clone() })?;
        let (disk, path) = (Arc::clone(&directory.disk), directory.path.clone());
        directory.clear_unborn()?;
        let journal = directory.begin(index.shape(), log)?;
        let pin = index.pin();
        let (core, snapshot) = index.snapshot(&pin)?;
        persist::save_on(Arc::clone(&disk), &snapshot.image(&index, core), &path.join(snapshot_name(0)))?;
        drop(pin);
        sync_parent(&*disk, &path).map_err(|cause| Error::io("syncing the directory that holds", &path, &cause))?;
        index.durable = Some(Box::new(Durable::new(journal, log, 0, 0)));
        Ok(index)
    }

    /// The index of a directory as its snapshot and its log have it.
    fn resume(directory: Directory, snapshot: u64, options: Option<&Options>, log: &LogOptions) -> Result<Self> {
        let path = directory.path.join(snapshot_name(snapshot));
        let source = directory.disk.read(&path).map_err(|cause| Error::io("opening", &path, &cause))?;
        let flags = OpenFlags { one_thread: log.threads == 1, ..OpenFlags::default() };
        let pool = Pool::default();
        let mut index = persist::open_from(&*source, flags, &pool)
            .and_then(|opened| Self::opened(opened, flags, pool))
            .map_err(|error| persist::at(&path, &error))?;
        if let Some(options) = options {
            index.check_agrees(options, &directory.path)?;
        }
        let mut replay = Replay::new(&index, log.threads);
        let journal = directory.resume(snapshot, index.shape(), log, |change| replay.take(change))?;
        replay.flush()?;
        let durable = Durable::new(journal, log, snapshot, source.bytes());
        durable.journal.retire(snapshot);
        index.durable = Some(Box::new(durable));
        Ok(index)
    }

    fn check_agrees(&self, options: &Options, path: &Path) -> Result<()> {
        let Options { dimensions, metric, element, kind, .. } = *options;
        let (asked, there) = (
            (dimensions, metric, element, if kind == Kind::Auto { self.config.kind } else { kind }),
            (self.config.dimensions, self.config.metric, self.config.element, self.config.kind),
        );
        if asked == there {
            return Ok(());
        }
        Err(Error::argument(format!(
            "options ask for {} dimensions, metric {}, element {}, kind {:?}; the index in {} has {}, {}, {}, {:?}",
            asked.0,
            asked.1.name(),
            asked.2.name(),
            asked.3,
            path.display(),
            there.0,
            there.1.name(),
            there.2.name(),
            there.3
        )))
    }

    fn shape(&self) -> Shape {
        let config = &self.config;
        Shape {
            dimensions: config.dimensions,
            element: config.element as u32,
            metric: config.metric as u32,
            vector_bytes: config.vector_bytes(),
        }
    }

    /// An error if changes cannot be logged any more.
    pub(super) fn check_log(&self) -> Result<()> {
        self.durable.as_ref().map_or(Ok(()), |durable| durable.journal.check())
    }

    /// Waits until nobody else changes these keys, where there is a log that must tell of changes in their order.
    pub(super) fn turn(&self, keys: Keys<'_>) -> Result<Turn<'_>> {
        let turn = self.durable.as_ref().map(|durable| durable.journal.turn(keys));
        Ok(Turn { index: self, turn })
    }

    /// Number of the last record that can be seen with all before it.
    pub(super) fn seen_up_to(&self) -> u64 {
        self.durable.as_ref().map_or(0, |durable| durable.journal.seen_up_to())
    }

    fn durable(&self) -> Result<&Durable> {
        self.durable.as_deref().ok_or_else(|| Error::argument("the index does not live in a directory"))
    }

    /// How far the log is.
    ///
    /// # Errors
    /// `Argument` if the index does not live in a directory.
    pub fn log_info(&self) -> Result<LogInfo> {
        let durable = self.durable()?;
        Ok(LogInfo {
            checkpoint: durable.checkpoint.load(Ordering::Relaxed),
            checkpoints: durable.checkpoints.load(Ordering::Relaxed),
            failed_checkpoints: durable.failed_checkpoints.load(Ordering::Relaxed),
            ..durable.journal.info()
        })
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

    /// Folds the log into a new snapshot, to the end, on this thread. Others go on.
    ///
    /// # Errors
    /// `Argument` if the index does not live in a directory; `Io`, `Memory`, `ReadOnly`, after which the log goes on as it was.
    pub fn checkpoint(&self) -> Result<()> {
        let durable = self.durable()?;
        self.check_change()?;
        let target = durable.journal.last();
        let mut job = durable.job.lock();
        while durable.checkpoint.load(Ordering::Relaxed) < target || !matches!(*job, Job::Idle) {
            let before = durable.checkpoint.load(Ordering::Relaxed);
            if let Err(error) = self.step(durable, &mut job, u64::MAX, Haste::Now) {
                durable.give_up(&mut job);
                return Err(error);
            }
            // What others have logged but not shown yet is in the next checkpoint.
            let after = durable.checkpoint.load(Ordering::Relaxed);
            if after > before && after >= target.min(durable.journal.seen_up_to()) {
                break;
            }
        }
        Ok(())
    }

    /// Writes a share of a checkpoint, if one is due and nobody else does.
    fn help_checkpoint(&self, bytes: u64) {
        let Some(durable) = &self.durable else { return };
        let grown = durable.grown.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let credit = durable.credit.fetch_add(bytes.saturating_mul(SHARE), Ordering::Relaxed);
        let Some(mut job) = durable.job.try_lock() else { return };
        let due = match *job {
            Job::Idle => grown >= durable.limit.load(Ordering::Relaxed),
            Job::Turned(_) => true,
            Job::Writing(_) => credit >= STEP,
        };
        if !due {
            return;
        }
        let credit = durable.credit.swap(0, Ordering::Relaxed);
        if self.step(durable, &mut job, credit, Haste::None).is_err() {
            // The change itself is safe; `log_info` tells of it.
            durable.give_up(&mut job);
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
                let image = writing.snapshot.image(self, core);
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
        let saving = Saving::begin(Arc::clone(&durable.journal.disk), &snapshot.image(self, core), &path)?;
        let core = std::ptr::from_ref(core).addr();
        Ok(Writing { saving, snapshot, core, hold })
    }
}

/// Makes the name of a directory last. Where its parent may not be looked at, it was not made here.
fn sync_parent(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match path.parent().map(|parent| disk.folder(parent)) {
        Some(Ok(parent)) => parent.sync(),
        Some(Err(cause)) if cause.kind() != io::ErrorKind::PermissionDenied => Err(cause),
        _ => Ok(()),
    }
}

fn finish_writing(durable: &Durable, writing: Writing) -> Result<()> {
    let (number, bytes) = (writing.snapshot.logged, writing.saving.file_bytes());
    // A snapshot must not reach further than the log, which goes on behind it.
    durable.journal.sync()?;
    writing.saving.finish()?;
    durable.checkpoint.store(number, Ordering::Relaxed);
    durable.checkpoints.fetch_add(1, Ordering::Relaxed);
    durable.journal.retire(number);
    durable.grown.store(durable.journal.bytes(), Ordering::Relaxed);
    durable.set_limit(bytes);
    Ok(())
}

/// The records of a log on their way into an index that nobody else has yet: gathered, so that the batch builder takes them.
struct Replay<'a> {
    index: &'a Index,
    threads: u32,
    /// Keys and their vectors, and where in them a key stands.
    keys: Vec<u64>,
    vectors: Vec<u8>,
    places: HashMap<u64, usize>,
    /// Keys that go before these come.
    gone: Vec<u64>,
}

impl<'a> Replay<'a> {
    fn new(index: &'a Index, threads: u32) -> Self {
        Self { index, threads, keys: Vec::new(), vectors: Vec::new(), places: HashMap::new(), gone: Vec::new() }
    }

    fn take(&mut self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Put { keys, vectors } => {
                let bytes = self.index.vector_bytes();
                self.vectors.try_reserve(vectors.len()).map_err(|_| Error::memory(vectors.len()))?;
                for (key, vector) in numbers(keys).zip(vectors.chunks_exact(bytes)) {
                    let place = *self.places.entry(key).or_insert(self.keys.len());
                    if place == self.keys.len() {
                        self.keys.push(key);
                        self.vectors.extend_from_slice(vector);
                    } else {
                        self.vectors[place * bytes..(place + 1) * bytes].copy_from_slice(vector);
                    }
                }
            }
            Change::Remove { keys } => numbers(keys).for_each(|key| self.remove(key)),
            Change::Clear => {
                *self = Self::new(self.index, self.threads);
                self.index.clear()?;
            }
        }
        if self.vectors.len() + 8 * self.gone.len() >= REPLAY { self.flush() } else { Ok(()) }
    }

    fn remove(&mut self, key: u64) {
        self.gone.push(key);
        let Some(place) = self.places.remove(&key) else { return };
        // The last one takes its place.
        let (bytes, last) = (self.index.vector_bytes(), self.keys.len() - 1);
        self.keys.swap_remove(place);
        self.vectors.copy_within(last * bytes.., place * bytes);
        self.vectors.truncate(last * bytes);
        if place < last {
            self.places.insert(self.keys[place], place);
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.index.remove_batch(&self.gone)?;
        let options = BuildOptions { threads: self.threads, upsert: true, ..BuildOptions::default() };
        let vectors = Rows::packed(&self.vectors, self.index.vector_bytes());
        self.index.insert_batch(&self.keys, vectors, &options).map_err(|error| match error.status() {
            Status::Argument => Error::corrupt(format!("the log holds what no index takes: {}", error.text())),
            _ => error,
        })?;
        self.keys.clear();
        self.vectors.clear();
        self.places.clear();
        self.gone.clear();
        Ok(())
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|bytes| u64::from_le_bytes(*bytes))
}
