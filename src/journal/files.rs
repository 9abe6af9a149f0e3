//! Which files are in a durable directory, and how does a new log file begin?
//!
//! | name | content |
//! |---|---|
//! | `LOCK` | nothing; locked by the process that has the directory open |
//! | `snapshot-S.kith` | the index with all records up to number S, and perhaps some later ones: a file as `kith_save` writes it |
//! | `log-N.kithlog` | records from number N on, up to the next file |
//! | `.*.kith.tmp` | a snapshot in the making, or left behind by a crash |
//!
//! Numbers are 16 hexadecimal digits, so names sort as numbers do.

use super::record::{FILE_HEADER, FileHeader, Shape};
use crate::disk::{Disk, File, Folder};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const LOCK: &str = "LOCK";

pub(crate) fn snapshot_name(number: u64) -> String {
    format!("snapshot-{number:016x}.kith")
}

pub(crate) fn log_name(first: u64) -> String {
    format!("log-{first:016x}.kithlog")
}

/// What is in a directory, in ascending order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) snapshots: Vec<u64>,
    pub(crate) logs: Vec<u64>,
}

impl Files {
    pub(crate) fn of(names: &[String]) -> Self {
        let numbers = |before: &str, behind: &str| {
            let number = |name: &String| {
                let digits = name.strip_prefix(before)?.strip_suffix(behind)?;
                let number = u64::from_str_radix(digits, 16).ok()?;
                // Exactly the name that is written, no other spelling of the number.
                (format!("{number:016x}") == digits).then_some(number)
            };
            let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
            numbers.sort_unstable();
            numbers
        };
        Self { snapshots: numbers("snapshot-", ".kith"), logs: numbers("log-", ".kithlog") }
    }
}

/// The log file that is written to.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) file: Box<dyn File>,
    pub(crate) path: PathBuf,
    pub(crate) header: FileHeader,
    /// Bytes written.
    pub(crate) bytes: u64,
}

impl Log {
    /// Makes a log file that begins with a record, and returns when it lasts. A file of that name, left behind by a crash in
    /// here, is replaced.
    pub(crate) fn create(
        disk: &dyn Disk,
        directory: &Path,
        folder: &dyn Folder,
        first: u64,
        shape: &Shape,
    ) -> io::Result<Self> {
        let path = directory.join(log_name(first));
        let mut file = match disk.create(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&path)?;
                disk.create(&path)?
            }
            result => result?,
        };
        let header = FileHeader { first, salt: crate::util::sync::random() };
        file.append(&header.encode(shape))?;
        file.sync()?;
        folder.sync()?;
        Ok(Self { file, path, header, bytes: FILE_HEADER as u64 })
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_no_others() {
        let names = [snapshot_name(0), log_name(u64::MAX), log_name(1), snapshot_name(77)];
        let others =
            ["LOCK", "snapshot-1.kith", "log-000000000000000A.kithlog", ".snapshot-0000000000000001.kith", "log-"];
        let names: Vec<String> = names.into_iter().chain(others.map(str::to_owned)).collect();
        assert_eq!(Files::of(&names), Files { snapshots: vec![0, 77], logs: vec![1, u64::MAX] });
    }
}
