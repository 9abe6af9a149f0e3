//! How does a durable directory become an index? Begun empty, or its snapshot loaded and its log replayed.

use super::config::{BuildOptions, Kind, OpenFlags, Options};
use super::durable::Durable;
use super::{Index, LogOptions, Rows};
use crate::disk::{Disk, System};
use crate::journal::{Change, Directory, Shape, snapshot_name};
use crate::persist;
use crate::util::error::{Error, Result, Status};
use crate::util::pool::Pool;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes of vectors that are replayed at a time.
const REPLAY: usize = 64 << 20;

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
        if options.is_some_and(|options| options.custom.is_some() || options.keep_removed || options.fixed_capacity) {
            let text = "a directory can hold neither a distance function nor removed vectors that come back nor a fixed capacity";
            return Err(Error::unsupported(text));
        }
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
        index.checkpoint_if_due();
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
        persist::save_on(Arc::clone(&disk), &snapshot.image(core), &path.join(snapshot_name(0)))?;
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
        let limit = options.map_or(0, |options| options.memory_limit);
        if limit > 0 && source.bytes() > limit {
            let text = format!("memory_limit is {limit} bytes, the snapshot has {}", source.bytes());
            return Err(persist::at(&path, &Error::new(Status::Memory, text)));
        }
        let pool = Pool::default();
        let mut index = persist::open_from(&*source, flags, &pool)
            .and_then(|opened| Self::opened(opened, flags, pool))
            .map_err(|error| persist::at(&path, &error))?;
        if let Some(options) = options {
            index.check_agrees(options, &directory.path)?;
        }
        index.set_memory_limit(limit);
        // Nothing more than what is there.
        drop(index.afford(0, |_, _| 0)?);
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
}

/// Makes the name of a directory last. Where its parent may not be looked at, it was not made here.
fn sync_parent(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match path.parent().map(|parent| disk.folder(parent)) {
        Some(Ok(parent)) => parent.sync(),
        Some(Err(cause)) if cause.kind() != io::ErrorKind::PermissionDenied => Err(cause),
        _ => Ok(()),
    }
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
