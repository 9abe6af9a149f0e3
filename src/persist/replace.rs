//! How does a new file take the place of an old one so that a crash at any moment leaves one of them whole?
//!
//! Written under another name in the same directory, synced, renamed, and the directory synced: before the first sync the name
//! could survive a power loss without the content, before the second the content without the name.

use crate::util::error::{Error, Result, Status};
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Puts what `fill` writes in place of `path`. On failure `path` is as it was and nothing else is left behind.
pub(super) fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let failed = |cause: io::Error| Error::io("saving", path, &cause);
    check_target(path)?;
    let folder = folder_of(path);
    let directory = Directory::open(folder).map_err(failed)?;
    let (mut beside, mut file) = Beside::create(folder).map_err(failed)?;
    fill(&mut file).map_err(failed)?;
    // A failed sync is final: the kernel may have dropped the pages it could not write, so a second try could lie.
    file.sync_all().map_err(failed)?;
    drop(file);
    std::fs::rename(&beside.path, path).map_err(failed)?;
    beside.renamed = true;
    directory.sync().map_err(|cause| {
        Error::new(
            Status::Io,
            format!("saving {}: the file is in place, but its directory cannot be synced: {cause}", path.display()),
        )
    })
}

/// Only a regular file may be replaced: renaming over /dev/null or a socket would succeed, and break whatever uses it.
fn check_target(path: &Path) -> Result<()> {
    if path.file_name().is_none() {
        return Err(Error::new(Status::Io, format!("saving {:?}: the path names no file", path.as_os_str())));
    }
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            Err(Error::new(Status::Io, format!("saving {}: it is a directory", path.display())))
        }
        Ok(meta) if !meta.is_file() => {
            Err(Error::new(Status::Io, format!("saving {}: it is not a regular file", path.display())))
        }
        Ok(_) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::io("saving", path, &cause)),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file in the making. Removed when dropped, unless it was renamed.
struct Beside {
    path: PathBuf,
    renamed: bool,
}

impl Beside {
    /// Creates a file of a name that nobody else has. The name does not contain the target's, which may be as long as a name
    /// can be.
    fn create(folder: &Path) -> io::Result<(Self, File)> {
        static SAVES: AtomicU64 = AtomicU64::new(0);
        loop {
            let save = SAVES.fetch_add(1, Ordering::Relaxed);
            // The standard library's hash keys are the random numbers at hand; two machines may save into one shared directory
            // with equal process numbers.
            let random = std::hash::RandomState::new().build_hasher().finish();
            let path = folder.join(format!(".{:x}-{save:x}-{random:016x}.kith.tmp", std::process::id()));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self { path, renamed: false }, file)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing more can be done about a file that cannot be removed; the save has failed already and says why.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// A directory that will be synced. Opened before anything is written: if it cannot be, the save must not begin.
struct Directory {
    #[cfg(unix)]
    handle: File,
}

impl Directory {
    #[cfg(unix)]
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: File::open(path)? })
    }

    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        match self.handle.sync_all() {
            // File systems that cannot sync a directory (some network and user-space ones) say so with EINVAL or ENOTSUP; they
            // have no stronger promise to give.
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP | libc::EBADF)) => Ok(()),
            result => result,
        }
    }

    #[cfg(not(unix))]
    fn open(_path: &Path) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Windows journals renames itself and has no call for it.
    #[cfg(not(unix))]
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
