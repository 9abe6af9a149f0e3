//! Where do the bytes of a file come from? A file that is read at offsets, or bytes that are in memory already.
//!
//! The reader sees only [`Source`], so a file, a mapping and (in the fuzzer) a mutated buffer go through the same checks.

use crate::util::error::{Error, Result, Status};
use std::fs::File;
use std::io;
use std::path::Path;

/// Bytes of known number that several threads may read at any offset.
pub(super) trait Source: Sync {
    /// How many there are. Asked once; every offset and length in the header is held against it.
    fn bytes(&self) -> u64;

    /// Fills `into` with the bytes from `offset` on; fewer left is [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
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

/// An open regular file, with the length it had when it was opened.
#[derive(Debug)]
pub(super) struct FileSource {
    file: File,
    bytes: u64,
}

impl FileSource {
    /// Opens `path` for reading, if it is a regular file: a pipe or a device has no length to hold a header against, and
    /// opening one may wait for ever.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = options().open(path).map_err(|cause| Error::io("opening", path, &cause))?;
        let meta = file.metadata().map_err(|cause| Error::io("opening", path, &cause))?;
        if !meta.is_file() {
            let what = if meta.is_dir() { "a directory" } else { "not a regular file" };
            return Err(Error::new(Status::Io, format!("opening {}: it is {what}", path.display())));
        }
        Ok(Self { file, bytes: meta.len() })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

#[cfg(unix)]
fn options() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    // Without NONBLOCK, opening a pipe waits for its writer. For a regular file the flag means nothing.
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

#[cfg(not(unix))]
fn options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true);
    options
}

impl Source for FileSource {
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
