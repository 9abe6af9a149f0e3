//! What went wrong, for a program (`Status`) and for a person (`text`)?
//!
//! Inner rooms return `Error`; only the C layer turns it into a status number and a thread-local sentence.

use std::fmt;

/// The kind of an error: what a caller can decide on. The numbers are those of the C ABI and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// An argument is out of range, not finite, or reserved.
    Argument = -1,
    /// The system, or the limit of the index, refused memory; the index is as before.
    Memory = -2,
    /// The operating system refused a file operation.
    Io = -3,
    /// Not a kith file, truncated, checksum mismatch, impossible content.
    Corrupt = -4,
    /// Written by a newer format, or with the other byte order.
    Version = -5,
    /// No live vector has this key.
    NotFound = -6,
    /// A live vector has this key already.
    Exists = -7,
    /// The index is mapped or was opened read-only.
    ReadOnly = -8,
    /// This build of kith cannot do what was asked.
    Unsupported = -9,
    /// The progress callback asked to stop.
    Cancelled = -10,
    /// A callback tried to change the index that called it.
    Busy = -11,
    /// The index has a fixed capacity, and that is reached.
    Full = -12,
    /// A defect of kith; later changes are refused, reading goes on.
    Internal = -99,
}

/// A status and one sentence that names the argument and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: Status,
    text: String,
}

/// Result of every fallible call.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of this kind with its sentence.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The kind.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The sentence, without the name of the function that failed (the C layer puts it in front).
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::new(Status::Argument, text)
    }

    pub(crate) fn memory(bytes: usize) -> Self {
        Self::new(Status::Memory, format!("the system refused {bytes} bytes of memory"))
    }

    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self::new(Status::Unsupported, text)
    }

    pub(crate) fn corrupt(text: impl Into<String>) -> Self {
        Self::new(Status::Corrupt, text)
    }

    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::new(Status::Internal, text)
    }

    /// An operating-system error with the path it concerns.
    pub(crate) fn io(doing: &str, path: &std::path::Path, cause: &std::io::Error) -> Self {
        Self::new(Status::Io, format!("{doing} {}: {cause}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
