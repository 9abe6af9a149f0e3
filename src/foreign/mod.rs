//! How does an index of another library become one of ours, and ours one of theirs?
//!
//! A reader (`hnswlib`, `usearch`, `faiss`) checks a file's head and sizes and hands out its [`Elements`] one by one; `fill` puts them
//! into an empty index and `tree` makes their links one that has all that ours promises, whatever the file says. `export` writes
//! hnswlib's format; the others are read only.
//!
//! Files are believed as little as our own: any bytes give an index or an error, and no more memory than a few times the file.

mod export;
mod faiss;
mod fill;
mod hnswlib;
#[cfg(test)]
mod tests;
mod tree;
mod upper;
mod usearch;

pub(crate) use export::{Export, file_bytes, write};
pub(crate) use fill::{Target, fill};

use crate::disk::Source;
use crate::index::config::{Kind, Options};
use crate::util::error::{Error, Result};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Format {
    /// hnswlib's `HierarchicalNSW`.
    Hnswlib = 1,
    /// hnswlib's `BruteforceSearch`.
    HnswlibFlat = 2,
    /// usearch.
    Usearch = 3,
    /// faiss: `IndexHNSWFlat` or `IndexFlat`, by itself or in an `IndexIDMap`.
    Faiss = 4,
}

impl TryFrom<u32> for Format {
    type Error = Error;
    fn try_from(value: u32) -> Result<Self> {
        [Self::Hnswlib, Self::HnswlibFlat, Self::Usearch, Self::Faiss]
            .into_iter()
            .find(|&format| format as u32 == value)
            .ok_or_else(|| Error::argument(format!("format is {value}, known are 1 to 4")))
    }
}

/// A vector of a file with its links, in buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) key: u64,
    pub(crate) removed: bool,
    pub(crate) vector: Vec<u8>,
    /// Per level, level 0 first, the numbers of other elements; none of them checked.
    pub(crate) links: Vec<Vec<u32>>,
}

/// The elements of a file whose sizes were checked.
pub(crate) trait Elements {
    fn count(&self) -> u32;
    /// The highest level on which an element has links.
    fn level(&self, element: u32) -> u32;
    /// Where searches begin, if the file says so.
    fn entry(&self) -> Option<u32>;
    fn read(&self, element: u32, into: &mut Element) -> Result<()>;
}

/// What a file says about its index, and its elements.
pub(crate) struct Found<'a> {
    /// The caller's options with what the file knows better.
    pub(crate) options: Options,
    pub(crate) elements: Box<dyn Elements + 'a>,
}

/// Reads a file's head.
pub(crate) fn find<'a>(source: &'a dyn Source, format: Format, options: &Options) -> Result<Found<'a>> {
    let found = match format {
        Format::Hnswlib => hnswlib::graph(source, options),
        Format::HnswlibFlat => hnswlib::flat(source, options),
        Format::Usearch => usearch::find(source, options),
        Format::Faiss => faiss::find(source, options),
    }?;
    if options.kind == Kind::Graph && found.options.kind == Kind::Flat {
        return Err(Error::argument(
            "kind is graph, but the file has vectors only; import it flat and insert from there",
        ));
    }
    Ok(found)
}

/// Fills `into` from a place in the file.
fn read_at(source: &dyn Source, offset: u64, into: &mut [u8]) -> Result<()> {
    source
        .read_at(offset, into)
        .map_err(|cause| Error::corrupt(format!("{} bytes at offset {offset} cannot be read: {cause}", into.len())))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// A caller's number that must agree with the file's where it is given.
fn agree<T: PartialEq + Default + std::fmt::Debug>(name: &str, asked: T, stated: T) -> Result<T> {
    if asked != T::default() && asked != stated {
        return Err(Error::argument(format!("{name} is {asked:?}, the file has {stated:?}")));
    }
    Ok(stated)
}
