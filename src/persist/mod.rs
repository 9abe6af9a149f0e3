//! How does an index get onto a disk and back?
//!
//! One self-describing little-endian file whose sections are the arrays of the index as they lie in memory, so that a file can be
//! used in place. FORMAT.md has every byte; `header` decides which headers are believed, `write` and `replace` save, `source`,
//! `read`, `content` and `links` open. `hostile` makes the files that tests and the fuzzer throw at the reader.
//!
//! Any bytes are safe to open: the outcome is an index or an error, never a panic, a hang, or memory that the file does not fill.

mod content;
mod header;
#[cfg(any(test, fuzzing))]
#[allow(clippy::expect_used, reason = "tests and fuzzing end in a panic when something is not as it must be")]
pub(crate) mod hostile;
pub(crate) mod links;
mod read;
mod replace;
mod source;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use header::format_for;

use crate::graph::Graph;
use crate::index::config::{Config, Info, Kind, OpenFlags};
use crate::store::{Parts, Store};
use crate::util::error::{Error, Result};
use crate::util::pool::Pool;
use header::Header;
use memmap2::{Mmap, MmapOptions};
use source::{FileSource, Source};
use std::path::Path;
use std::sync::Arc;
use write::{Keep, Serializer};

/// What a save writes: an index as it was at one instant.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    pub(crate) config: &'a Config,
    /// Vectors, keys and scales are read from here while others go on; the caller holds a pin, so that those of slots which
    /// `states` has live or removed stay as they are.
    pub(crate) store: &'a Store,
    /// The links, where the kind is graph; the caller sees to it that nobody unlinks slots meanwhile.
    pub(crate) graph: Option<&'a Graph>,
    /// The state of every slot at that instant, as [`links::keep_linked`] left them where there is a graph.
    pub(crate) states: &'a [u8],
}

/// What an open found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) config: Config,
    /// Filled, or looking into the mapped file. States are valid; keys are not yet checked against each other.
    pub(crate) parts: Parts,
    /// Where the kind is graph; links are checked.
    pub(crate) graph: Option<Graph>,
    /// Format of the file.
    pub(crate) format: u32,
}

/// Writes an index beside `path` and puts it in its place. On failure `path` is as it was.
pub(crate) fn save(image: &Image<'_>, path: &Path) -> Result<()> {
    check_byte_order()?;
    let keep = match image.config.kind {
        Kind::Auto | Kind::Flat => Keep::Live,
        Kind::Graph => Keep::All,
    };
    let serializer = Serializer::new(image, keep)?;
    replace::replace(path, |file| serializer.write(file))
}

/// Opens a file, checks it as far as `flags` say, and loads or maps it. Uses the cores through `pool` unless `flags` forbid it.
pub(crate) fn open(path: &Path, flags: OpenFlags, pool: &Pool) -> Result<Opened> {
    check_byte_order()?;
    let file = FileSource::open(path)?;
    let result = if flags.mapped {
        map(&file).and_then(|map| read::attach(&map, flags, pool))
    } else {
        read::load(&file, flags, pool)
    };
    let (header, parts, graph) = result.map_err(|error| at(path, &error))?;
    Ok(Opened { config: header.config, parts, graph, format: header.format })
}

/// What the header of a file says about the index in it. `bytes` is the length of the file.
pub(crate) fn file_info(path: &Path) -> Result<Info> {
    check_byte_order()?;
    let file = FileSource::open(path)?;
    let header = read::read_header(&file).map_err(|error| at(path, &error))?;
    Ok(info_of(&header))
}

fn info_of(header: &Header) -> Info {
    Info {
        count: header.slots.live,
        removed: header.slots.removed,
        capacity: header.slots.all,
        bytes: header.file_bytes(),
        ..header.config.info(header.format)
    }
}

fn map(file: &FileSource) -> Result<Arc<Mmap>> {
    if file.bytes() == 0 {
        return Err(Error::corrupt("not a kith file: it is empty"));
    }
    let bytes = usize::try_from(file.bytes()).map_err(|_| Error::memory(usize::MAX))?;
    // SAFETY: the mapping is only ever read. That nobody truncates or changes the file while it is mapped is asked of the user in
    // the manual (replacing it by a rename, as `save` does, is fine); no check of ours could keep that promise for them.
    let map = unsafe { MmapOptions::new().len(bytes).map(file.file()) };
    map.map(Arc::new)
        .map_err(|cause| Error::new(crate::util::error::Status::Io, format!("mapping {bytes} bytes: {cause}")))
}

/// The error with the path of the file in front of its sentence.
pub(crate) fn at(path: &Path, error: &Error) -> Error {
    Error::new(error.status(), format!("{}: {}", path.display(), error.text()))
}

/// Files are little-endian, and arrays are read and written without conversion.
fn check_byte_order() -> Result<()> {
    if cfg!(target_endian = "big") {
        return Err(Error::unsupported("saving and opening need a little-endian machine"));
    }
    Ok(())
}
