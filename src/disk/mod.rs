//! What does kith ask of a file system? Files that are appended to, names that are changed, and both made to last.
//!
//! Everything that writes goes through [`Disk`], so that tests can put a simulated disk in the place of the real one: one that loses
//! what was not synced, tears it, reorders it, fails the n-th call or takes its time. `system` is the real one.
//!
//! What a disk promises is little. Bytes of a file last from [`File::sync`] on, names from [`Folder::sync`] on; before that a crash
//! keeps any part of them, in any order. A rename is whole or not at all.

#[cfg(any(test, fuzzing))]
pub(crate) mod simulated;
#[cfg(feature = "test-hooks")]
pub(crate) mod slow;
mod system;

pub(crate) use system::{RegularFile, System};

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::Path;

/// A file system.
pub(crate) trait Disk: Send + Sync + Debug {
    /// Makes a directory, whose parent must be there; one that is there already is fine.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// A directory whose names will be made to last.
    fn folder(&self, path: &Path) -> io::Result<Box<dyn Folder>>;

    /// The names in a directory, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Makes a file that is not there yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// A file that is there, to be appended to.
    fn append(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// A regular file, to be read.
    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>>;

    /// Gives a file another name, in place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes this process the only one that holds the lock of that file, which is made if it is not there, until the result is
    /// dropped or the process ends; `None` if another holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;
}

/// Held while it lives.
pub(crate) type Lock = Box<dyn Any + Send + Sync>;

/// A file that is being written.
pub(crate) trait File: Send + Debug {
    /// Writes behind what is there. On an error any part may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when the content lasts. A failure is final: the system may have dropped what it could not write, so that a second
    /// try could succeed without it.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// A directory.
pub(crate) trait Folder: Send + Debug {
    /// Returns when its names last.
    fn sync(&self) -> io::Result<()>;
}

/// Bytes of known number that several threads may read at any offset.
pub(crate) trait Source: Send + Sync {
    /// How many there are. Asked once; every offset and length in the content is held against it.
    fn bytes(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on; fewer left is [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

impl<T: Source + ?Sized> Source for &T {
    fn bytes(&self) -> u64 {
        (**self).bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, into)
    }
}

impl Source for [u8] {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|start| self.get(start..)?.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.as_slice().bytes()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, into)
    }
}
