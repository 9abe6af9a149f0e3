//! How far does a log reach, and what is in it?
//!
//! Every record behind the snapshot is handed on in its order, up to the last whole change. What stands behind that was cut by a
//! crash, and is cut off, if three things hold: it is the end of the last file, no record behind it says that it lasted, and the
//! snapshot reaches no further. Otherwise the log is damaged, and nothing is opened.

use super::commit::{LogFile, Standing, Writer};
use super::files::{Files, Log, log_name};
use super::record::{FILE_HEADER, FileHeader, Kind, Part, Reader, Record, Shape};
use crate::disk::{Disk, Source};
use crate::util::error::{Error, Result, Status};
use std::collections::VecDeque;
use std::io;
use std::path::Path;

/// One record, or one of several that count together, of which all are there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// As many keys as vectors, 8 bytes each.
    Put {
        keys: &'a [u8],
        vectors: &'a [u8],
    },
    Remove {
        keys: &'a [u8],
    },
    Clear,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) standing: Standing,
    /// Records that were handed on.
    pub(super) replayed: u64,
    /// Bytes that were cut off.
    pub(super) cut: u64,
}

/// Where a log file is, and whether more files follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Middle,
    End,
}

/// Reads the logs of a directory from the first record behind a snapshot on.
pub(super) fn recover(
    disk: &dyn Disk,
    directory: &Path,
    files: &Files,
    snapshot: u64,
    shape: &Shape,
    replay: &mut dyn FnMut(Change<'_>) -> Result<()>,
) -> Result<Recovered> {
    // The snapshot was begun when this one was: all before it are needless.
    let from = files.logs.partition_point(|&first| first <= snapshot + 1).saturating_sub(1);
    let logs = without_unborn(disk, directory, &files.logs[from..])?;
    let Some((&last, &first)) = logs.last().zip(logs.first()) else {
        return Err(Error::corrupt(format!("{}: the log is missing", directory.display())));
    };
    if first > snapshot + 1 {
        let text = format!("{}: the log of record {} is missing", directory.display(), snapshot + 1);
        return Err(Error::corrupt(text));
    }
    let mut scan = Scan { snapshot, shape, replay, next: first, replayed: 0 };
    let (mut kept, mut end) = (VecDeque::new(), None);
    for &number in &logs {
        let path = directory.join(log_name(number));
        let place = if number == last { Place::End } else { Place::Middle };
        let source = disk.read(&path).map_err(|cause| Error::io("opening", &path, &cause))?;
        let (header, bytes) = scan.file(&*source, number, place).map_err(|error| at(&path, &error))?;
        kept.push_back(LogFile { first: number, bytes });
        end = Some((path, header, bytes, source.bytes() - bytes));
    }
    let Some((path, header, bytes, cut)) = end else { return Err(Error::internal("a log without files")) };
    if scan.next <= snapshot {
        let text = format!("{}: it ends before record {snapshot}, up to which the snapshot goes", path.display());
        return Err(Error::corrupt(text));
    }
    let log = continued(disk, &path, header, bytes, cut).map_err(|cause| Error::io("continuing", &path, &cause))?;
    let folder = disk.folder(directory).map_err(|cause| Error::io("opening", directory, &cause))?;
    let standing = Standing { writer: Writer { log, folder }, files: kept, next: scan.next };
    Ok(Recovered { standing, replayed: scan.replayed, cut })
}

fn at(path: &Path, error: &Error) -> Error {
    Error::new(error.status(), format!("{}: {}", path.display(), error.text()))
}

/// The logs without those that hold no record: a crash came while they were made, or making them failed and the one before went on.
/// They are removed, as they must not lie between others later. Only the first may be empty.
fn without_unborn(disk: &dyn Disk, directory: &Path, all: &[u64]) -> Result<Vec<u64>> {
    let mut logs = Vec::new();
    for &first in all {
        let path = directory.join(log_name(first));
        let failed = |cause| Error::io("opening", &path, &cause);
        if logs.is_empty() || disk.read(&path).map_err(failed)?.bytes() > FILE_HEADER as u64 {
            logs.push(first);
        } else {
            disk.remove(&path).map_err(failed)?;
        }
    }
    if logs.len() < all.len() {
        let synced = disk.folder(directory).and_then(|folder| folder.sync());
        synced.map_err(|cause| Error::io("opening", directory, &cause))?;
    }
    Ok(logs)
}

/// The last file, without what a crash left behind its last change, ready to be appended to.
fn continued(disk: &dyn Disk, path: &Path, header: FileHeader, bytes: u64, cut: u64) -> io::Result<Log> {
    let mut file = disk.append(path)?;
    if cut > 0 {
        file.truncate(bytes)?;
    }
    // What was replayed may have been written but never synced; from here on it must last.
    file.sync()?;
    Ok(Log { file, path: path.to_owned(), header, bytes })
}

struct Scan<'a> {
    snapshot: u64,
    shape: &'a Shape,
    replay: &'a mut dyn FnMut(Change<'_>) -> Result<()>,
    /// Number of the record that comes next.
    next: u64,
    replayed: u64,
}

/// Where a change ends, or where the first record is that is not whole.
enum Whole {
    Until(u64),
    Broken(u64),
}

impl Scan<'_> {
    /// Reads one file; says where its last whole change ends.
    fn file(&mut self, source: &dyn Source, number: u64, place: Place) -> Result<(FileHeader, u64)> {
        let mut header = [0; FILE_HEADER];
        if source.bytes() < FILE_HEADER as u64 {
            return Err(Error::corrupt("the log has no whole header"));
        }
        source.read_at(0, &mut header).map_err(|cause| unreadable(&cause))?;
        let header = FileHeader::decode(&header, self.shape)?;
        if (header.first, self.next) != (number, number) {
            let text = format!("it begins with record {}, it should be {}", header.first, self.next);
            return Err(Error::corrupt(text));
        }
        let mut reader = Reader::new(source, header.salt);
        let mut place_in_file = FILE_HEADER as u64;
        loop {
            match self.whole(&mut reader, place_in_file)? {
                Whole::Until(end) => {
                    self.hand_on(&mut reader, place_in_file, end)?;
                    place_in_file = end;
                }
                Whole::Broken(_) if place_in_file == source.bytes() => return Ok((header, place_in_file)),
                Whole::Broken(bad) => {
                    if place == Place::Middle || reader.lasted(bad).map_err(|cause| unreadable(&cause))? {
                        let text = format!("record {} at offset {place_in_file} is damaged", self.next);
                        return Err(Error::corrupt(text));
                    }
                    return Ok((header, place_in_file));
                }
            }
        }
    }

    /// Whether a whole change begins at a place.
    fn whole(&self, reader: &mut Reader<'_>, place: u64) -> Result<Whole> {
        let (mut at, mut number, mut kind) = (place, self.next, None);
        loop {
            let Some(Record { head, end, .. }) = reader.at(at).map_err(|cause| unreadable(&cause))? else {
                return Ok(Whole::Broken(at));
            };
            if head.number != number || kind.is_some_and(|kind| kind != head.kind) {
                return Ok(Whole::Broken(at));
            }
            if head.part == Part::Last {
                return Ok(Whole::Until(end));
            }
            (at, number, kind) = (end, number + 1, Some(head.kind));
        }
    }

    /// Hands on the records of a whole change.
    fn hand_on(&mut self, reader: &mut Reader<'_>, mut place: u64, end: u64) -> Result<()> {
        while place < end {
            let Some(record) = reader.at(place).map_err(|cause| unreadable(&cause))? else {
                return Err(Error::new(Status::Io, "the log changed while it was read"));
            };
            place = record.end;
            if record.head.kind == Kind::Mark {
                continue;
            }
            if record.head.number > self.snapshot {
                (self.replay)(change(&record, self.shape)?)?;
                self.replayed += 1;
            }
            self.next = record.head.number + 1;
        }
        Ok(())
    }
}

/// What a record says.
fn change<'a>(record: &Record<'a>, shape: &Shape) -> Result<Change<'a>> {
    let payload = record.payload;
    let odd = || Error::corrupt(format!("record {} has {} bytes, which cannot be", record.head.number, payload.len()));
    match record.head.kind {
        Kind::Put => {
            let count = payload.len() / (8 + shape.vector_bytes);
            if count * (8 + shape.vector_bytes) != payload.len() {
                return Err(odd());
            }
            let (keys, vectors) = payload.split_at(count * 8);
            Ok(Change::Put { keys, vectors })
        }
        Kind::Remove if payload.len().is_multiple_of(8) => Ok(Change::Remove { keys: payload }),
        Kind::Clear if payload.is_empty() => Ok(Change::Clear),
        Kind::Remove | Kind::Clear | Kind::Mark => Err(odd()),
    }
}

fn unreadable(cause: &io::Error) -> Error {
    Error::new(Status::Io, format!("reading: {cause}"))
}
