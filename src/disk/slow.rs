//! A disk whose syncs take a given time, to measure how callers share them, whatever disk the machine has.

use super::{Disk, File, Folder, Lock, Source};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Another disk, with syncs that take at least so long.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) sync: Duration,
}

#[derive(Debug)]
struct SlowFile {
    file: Box<dyn File>,
    sync: Duration,
}

impl Disk for Slow {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }

    fn folder(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        self.disk.folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(SlowFile { file: self.disk.create(path)?, sync: self.sync }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(SlowFile { file: self.disk.append(path)?, sync: self.sync }))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        self.disk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.disk.lock(path)
    }
}

impl File for SlowFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let until = Instant::now() + self.sync;
        self.file.sync()?;
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }
}
