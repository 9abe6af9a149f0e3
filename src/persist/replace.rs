//! How does a new file take the place of an old one so that a crash at any moment leaves one of them whole?
//!
//! Written under another name in the same directory, synced, renamed, and the directory synced: before the first sync the name
//! could survive a power loss without the content, before the second the content without the name.

use crate::disk::{Disk, File, Folder};
use crate::util::error::{Error, Result, Status};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the name of a file in the making ends. One that is left behind by a process that was killed may be deleted.
const ENDING: &str = ".kith.tmp";

/// Whether this is the name of a file in the making.
pub(crate) fn is_beside(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(ENDING)
}

/// A file that is on its way to the place of another. Removed when dropped, unless it arrived.
#[derive(Debug)]
pub(crate) struct Replacement {
    disk: Arc<dyn Disk>,
    target: PathBuf,
    beside: PathBuf,
    /// Gone once the file has arrived.
    file: Option<Box<dyn File>>,
    folder: Box<dyn Folder>,
}

impl Replacement {
    /// Begins a file beside `target`.
    pub(crate) fn begin(disk: Arc<dyn Disk>, target: &Path) -> Result<Self> {
        let failed = |cause: io::Error| Error::io("saving", target, &cause);
        let place = folder_of(target);
        // Opened before anything is written: if it cannot be synced, nothing must be begun.
        let folder = disk.folder(place).map_err(failed)?;
        let (beside, file) = create_beside(&*disk, place).map_err(failed)?;
        Ok(Self { disk, target: target.to_owned(), beside, file: Some(file), folder })
    }

    /// Makes what was written so far last, so that less is left for the end.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.sync())
    }

    /// Puts the file in place. On failure the target is as it was, unless the text says otherwise.
    pub(crate) fn finish(mut self) -> Result<()> {
        let failed = |cause: io::Error| Error::io("saving", &self.target, &cause);
        // A failed sync is final: the kernel may have dropped the pages it could not write, so a second try could lie.
        self.file.as_mut().map_or(Ok(()), |file| file.sync()).map_err(failed)?;
        self.disk.rename(&self.beside, &self.target).map_err(failed)?;
        self.file = None;
        self.folder.sync().map_err(|cause| {
            let target = self.target.display();
            let text = format!("saving {target}: the file is in place, but its directory cannot be synced: {cause}");
            Error::new(Status::Io, text)
        })
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(()), |file| file.append(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing more can be done about a file that cannot be removed; the save has failed already and says why.
            drop(self.disk.remove(&self.beside));
        }
    }
}

/// Puts what `fill` writes in place of `path`. On failure `path` is as it was and nothing else is left behind.
pub(super) fn replace(
    disk: Arc<dyn Disk>,
    path: &Path,
    fill: impl FnOnce(&mut Replacement) -> io::Result<()>,
) -> Result<()> {
    let mut file = Replacement::begin(disk, path)?;
    fill(&mut file).map_err(|cause| Error::io("saving", path, &cause))?;
    file.finish()
}

/// Only a regular file may be replaced: renaming over /dev/null or a socket would succeed, and break whatever uses it.
pub(super) fn check_target(path: &Path) -> Result<()> {
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

/// Creates a file of a name that nobody else has. The name does not contain the target's, which may be as long as a name can be.
fn create_beside(disk: &dyn Disk, folder: &Path) -> io::Result<(PathBuf, Box<dyn File>)> {
    static SAVES: AtomicU64 = AtomicU64::new(0);
    loop {
        let save = SAVES.fetch_add(1, Ordering::Relaxed);
        // The standard library's hash keys are the random numbers at hand; two machines may save into one shared directory
        // with equal process numbers.
        let random = std::hash::RandomState::new().build_hasher().finish();
        let path = folder.join(format!(".{:x}-{save:x}-{random:016x}{ENDING}", std::process::id()));
        match disk.create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause),
        }
    }
}
