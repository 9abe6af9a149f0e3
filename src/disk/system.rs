//! The file system of the machine.

use super::{Disk, File, Folder, Lock, Source};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The file system of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Disk for System {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn folder(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(Directory::open(path)?))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string()));
        // A name that is no text is none of ours.
        names.filter_map(|name: io::Result<_>| name.map(Result::ok).transpose()).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Written(fs::File::options().write(true).create_new(true).open(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Written(fs::File::options().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        Ok(Box::new(RegularFile::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = fs::File::options().write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(cause)) => Err(cause),
        }
    }
}

#[derive(Debug)]
struct Written(fs::File);

impl File for Written {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The length belongs to what is needed to read the content back; times do not.
        self.0.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}

/// A directory that will be synced. Opened before anything is written: if it cannot be, nothing must be begun.
#[derive(Debug)]
struct Directory {
    #[cfg(unix)]
    handle: fs::File,
}

impl Directory {
    #[cfg(unix)]
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: fs::File::open(path)? })
    }

    #[cfg(not(unix))]
    fn open(_path: &Path) -> io::Result<Self> {
        Ok(Self {})
    }
}

impl Folder for Directory {
    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        match self.handle.sync_all() {
            // File systems that cannot sync a directory (some network and user-space ones) say so with EINVAL or ENOTSUP; they
            // have no stronger promise to give.
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP | libc::EBADF)) => Ok(()),
            result => result,
        }
    }

    /// Windows journals renames itself and has no call for it.
    #[cfg(not(unix))]
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// An open regular file, with the length it had when it was opened.
#[derive(Debug)]
pub(crate) struct RegularFile {
    file: fs::File,
    bytes: u64,
}

impl RegularFile {
    /// Opens `path` for reading, if it is a regular file: a pipe or a device has no length to hold a header against, and
    /// opening one may wait for ever.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = options().open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other(if meta.is_dir() { "it is a directory" } else { "it is not a regular file" }));
        }
        Ok(Self { file, bytes: meta.len() })
    }

    pub(crate) fn file(&self) -> &fs::File {
        &self.file
    }
}

#[cfg(unix)]
fn options() -> fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::File::options();
    // Without NONBLOCK, opening a pipe waits for its writer. For a regular file the flag means nothing.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

#[cfg(not(unix))]
fn options() -> fs::OpenOptions {
    let mut options = fs::File::options();
    options.read(true);
    options
}

impl Source for RegularFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut offset: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, into, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    offset += n as u64;
                    into = &mut into[n..];
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }
}
