//! How does an index get onto a disk and back?
//!
//! One self-describing little-endian file whose sections are the arrays of the index as they lie in memory, so that a file can be
//! used in place. FORMAT.md has every byte; `header` decides which headers are believed, `write` and `replace` save, `read`, `content`
//! and `links` open. `hostile` makes the files that tests and the fuzzer throw at the reader.
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
#[cfg(test)]
mod tests;
mod write;

pub(crate) use header::format_for;
pub(crate) use replace::{Replacement, is_beside};
pub(crate) use write::Written;

use crate::disk::{Disk, RegularFile, Source, System};
use crate::graph::Graph;
use crate::index::config::{Config, Info, OpenFlags, Quantizer};
use crate::quant::{Codes, Reducer};
use crate::store::{Parts, Store};
use crate::util::error::{Error, Result, Status};
use crate::util::memory::{Foreign, LINE};
use crate::util::pool::Pool;
use header::{Header, SectionKind};
use memmap2::MmapOptions;
use read::Content;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use write::Serializer;

/// What a save writes: an index as it was at one instant.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    pub(crate) config: &'a Config,
    /// Vectors, keys and scales are read from here while others go on; the caller holds a pin, so that those of slots which
    /// `states` has live or removed stay as they are.
    pub(crate) store: &'a Store,
    /// The links, where the kind is graph. Whatever happens to them while they are written: see `tree`.
    pub(crate) graph: Option<&'a Graph>,
    /// The state of every slot at that instant, as [`links::keep_linked`] left them where there is a graph.
    pub(crate) states: &'a [u8],
    /// What [`links::keep_linked`] took down of the graph.
    pub(crate) tree: Option<&'a links::Tree>,
    /// The codes, if there were some at that instant.
    pub(crate) codes: Option<&'a Codes>,
    /// What reduces vectors, where `store` holds them so.
    pub(crate) reducer: Option<&'a Reducer>,
}

/// What an open found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) config: Config,
    /// Filled, or looking into the mapped file. States are valid; keys are not yet checked against each other.
    pub(crate) parts: Parts,
    /// Where the kind is graph; links are checked.
    pub(crate) graph: Option<Graph>,
    pub(crate) codes: Option<Codes>,
    /// What reduces vectors, where `parts` holds them so.
    pub(crate) reducer: Option<Reducer>,
}

/// Writes an index beside `path` and puts it in its place. On failure `path` is as it was.
pub(crate) fn save(image: &Image<'_>, path: &Path) -> Result<()> {
    replace::check_target(path)?;
    save_on(Arc::new(System), image, path)
}

/// As [`save`], on another disk.
pub(crate) fn save_on(disk: Arc<dyn Disk>, image: &Image<'_>, path: &Path) -> Result<()> {
    let serializer = Serializer::of(image)?;
    replace::replace(disk, path, |file| serializer.write(image, file))
}

/// Puts a file of another kind, which `fill` writes, in the place of `path`.
pub(crate) fn put(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    replace::check_target(path)?;
    let mut file = Replacement::begin(Arc::new(System), path)?;
    fill(&mut file).map_err(|error| at(path, &error))?;
    file.finish()
}

/// Writes the bytes of a file to wherever `out` takes them.
pub(crate) fn save_to(image: &Image<'_>, out: &mut impl Write) -> Result<()> {
    let serializer = Serializer::of(image)?;
    serializer.write(image, out).map_err(|cause| Error::new(Status::Io, format!("writing: {cause}")))
}

/// A save that goes on step by step. Every step gets the same image.
#[derive(Debug)]
pub(crate) struct Saving {
    serializer: Serializer,
    file: Replacement,
    unsynced: u64,
}

/// Bytes after which a save in steps makes last what it has written, so that no step waits for all of it.
const SYNC_EVERY: u64 = 16 << 20;

impl Saving {
    pub(crate) fn begin(disk: Arc<dyn Disk>, image: &Image<'_>, path: &Path) -> Result<Self> {
        Ok(Self { serializer: Serializer::of(image)?, file: Replacement::begin(disk, path)?, unsynced: 0 })
    }

    /// Bytes of the file when it is done.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.serializer.file_bytes()
    }

    /// Writes on, about so many bytes.
    pub(crate) fn step(&mut self, image: &Image<'_>, bytes: u64) -> io::Result<Written> {
        let written = self.serializer.step(image, &mut self.file, bytes)?;
        self.unsynced = self.unsynced.saturating_add(bytes);
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.sync()?;
        }
        Ok(written)
    }

    /// Puts the file in its place, once all is written.
    pub(crate) fn finish(self) -> Result<()> {
        self.file.finish()
    }
}

/// Opens a file, checks it as far as `flags` say, and loads or maps it. Uses the cores through `pool` unless `flags` forbid it.
pub(crate) fn open(path: &Path, flags: OpenFlags, pool: &Pool) -> Result<Opened> {
    let file = RegularFile::open(path).map_err(|cause| Error::io("opening", path, &cause))?;
    let opened = if flags.mapped {
        map(&file).and_then(|map| open_in_place(&map, flags, pool))
    } else if flags.vectors_mapped {
        map(&file).and_then(|map| open_beside(&file, &map, flags, pool))
    } else {
        open_from(&file, flags, pool)
    };
    opened.map_err(|error| at(path, &error))
}

/// As [`open`], from anywhere, into memory.
pub(crate) fn open_from(source: &(impl Source + ?Sized), flags: OpenFlags, pool: &Pool) -> Result<Opened> {
    check_byte_order()?;
    read::load(source, flags, pool).map(Opened::of)
}

/// As [`open`], from bytes that are used where they lie.
pub(crate) fn open_in_place(bytes: &Arc<Foreign>, flags: OpenFlags, pool: &Pool) -> Result<Opened> {
    if flags.vectors_mapped && !flags.mapped {
        return open_beside(&bytes[..], bytes, flags, pool);
    }
    check_in_place(bytes)?;
    read::attach(bytes, flags, pool).map(Opened::of)
}

/// As [`open_from`], but the vectors stay in `bytes`, which are those of `source`.
fn open_beside(source: &(impl Source + ?Sized), bytes: &Arc<Foreign>, flags: OpenFlags, pool: &Pool) -> Result<Opened> {
    check_in_place(bytes)?;
    read::load_beside(source, bytes, flags, pool).map(Opened::of)
}

fn check_in_place(bytes: &Foreign) -> Result<()> {
    check_byte_order()?;
    if !bytes.as_ptr().addr().is_multiple_of(LINE) {
        return Err(Error::argument(format!(
            "data is {:p}, not a multiple of {LINE}: it cannot be used in place",
            bytes.as_ptr()
        )));
    }
    Ok(())
}

/// Blocks of a file that is used in place which are not what they were when it was written.
pub(crate) fn bad_blocks(bytes: &[u8]) -> Result<u64> {
    read::bad_blocks(bytes)
}

impl Opened {
    fn of((header, Content { parts, graph, codes, reducer }): read::Read) -> Self {
        Self { config: header.config, parts, graph, codes, reducer }
    }
}

/// What the header of a file says about the index in it. `bytes` is the length of the file.
pub(crate) fn file_info(path: &Path) -> Result<Info> {
    check_byte_order()?;
    let file = RegularFile::open(path).map_err(|cause| Error::io("opening", path, &cause))?;
    let header = read::read_header(&file).map_err(|error| at(path, &error))?;
    Ok(info_of(&header))
}

fn info_of(header: &Header) -> Info {
    Info {
        count: header.slots.live,
        removed: header.slots.removed,
        capacity: header.config.limit.unwrap_or(header.slots.all),
        bytes: header.file_bytes(),
        quantizer: match (header.section(SectionKind::REDUCER), header.section(SectionKind::CODES)) {
            (Some(_), _) => header.config.quantizer,
            (None, Some(_)) => header.config.quantizer.coding().map_or(Quantizer::None, Quantizer::of_coding),
            (None, None) => Quantizer::None,
        },
        held: header.element(),
        code_bytes: header.section(SectionKind::CODES).map_or(0, |codes| codes.record_bytes),
        ..header.config.info(header.format)
    }
}

fn map(file: &RegularFile) -> Result<Arc<Foreign>> {
    if file.bytes() == 0 {
        return Err(Error::corrupt("not a kith file: it is empty"));
    }
    let bytes = usize::try_from(file.bytes()).map_err(|_| Error::memory(usize::MAX))?;
    // SAFETY: the mapping is only ever read. That nobody truncates or changes the file while it is mapped is asked of the user in
    // the manual (replacing it by a rename, as `save` does, is fine); no check of ours could keep that promise for them.
    let map = unsafe { MmapOptions::new().len(bytes).map(file.file()) };
    map.map(|map| Arc::new(Foreign::Mapped(map)))
        .map_err(|cause| Error::new(Status::Io, format!("mapping {bytes} bytes: {cause}")))
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
