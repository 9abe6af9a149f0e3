//! The index object: what a call does, in terms of the other rooms.

pub mod config;

use crate::distance::{Element, Metric};
use crate::util::error::Result;
use config::{BuildOptions, Info, OpenFlags, Options, SearchOptions};
use std::path::Path;

/// A sequence of vectors in the caller's memory, `stride` bytes apart.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    first: *const u8,
    count: usize,
    stride: usize,
    bytes: usize,
    life: std::marker::PhantomData<&'a [u8]>,
}

// SAFETY: a `Rows` is a shared borrow of plain bytes.
unsafe impl Send for Rows<'_> {}
// SAFETY: as above.
unsafe impl Sync for Rows<'_> {}

impl<'a> Rows<'a> {
    /// Packed vectors of `bytes` bytes each.
    pub fn packed(data: &'a [u8], bytes: usize) -> Self {
        let count = if bytes == 0 { 0 } else { data.len() / bytes };
        Self { first: data.as_ptr(), count, stride: bytes, bytes, life: std::marker::PhantomData }
    }

    /// `count` vectors of `bytes` bytes, each starting `stride` bytes after the one before.
    ///
    /// # Safety
    /// - `first + i * stride` is readable for `bytes` bytes for every `i < count` and stays unchanged for `'a`.
    pub unsafe fn from_raw(first: *const u8, count: usize, stride: usize, bytes: usize) -> Self {
        Self { first, count, stride, bytes, life: std::marker::PhantomData }
    }

    /// Number of vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Vector `i`.
    pub fn row(&self, i: usize) -> &'a [u8] {
        assert!(i < self.count);
        // SAFETY: i < count, so the constructor's promise covers this row.
        unsafe { std::slice::from_raw_parts(self.first.add(i * self.stride), self.bytes) }
    }
}

/// A vector index. Every method may run at the same time as every other, from any number of threads.
#[derive(Debug)]
pub struct Index {}

#[allow(missing_docs, unused_variables, clippy::todo)]
impl Index {
    pub fn create(options: &Options) -> Result<Self> {
        todo!()
    }
    /// Bytes of one vector as callers pass it.
    pub fn vector_bytes(&self) -> usize {
        todo!()
    }
    pub fn insert(&self, key: u64, vector: &[u8]) -> Result<()> {
        todo!()
    }
    pub fn upsert(&self, key: u64, vector: &[u8]) -> Result<()> {
        todo!()
    }
    pub fn insert_batch(&self, keys: &[u64], vectors: Rows<'_>, options: &BuildOptions<'_>) -> Result<()> {
        todo!()
    }
    pub fn remove(&self, key: u64) -> Result<()> {
        todo!()
    }
    /// Removes those that are there; says how many.
    pub fn remove_batch(&self, keys: &[u64]) -> Result<usize> {
        todo!()
    }
    pub fn clear(&self) -> Result<()> {
        todo!()
    }
    pub fn reserve(&self, capacity: u64) -> Result<()> {
        todo!()
    }
    /// Writes the hits into the first places of `keys` (length k) and `distances` (length k if given), fills the rest with
    /// `NO_KEY` and +infinity, and says how many hits there are.
    pub fn search(
        &self,
        query: &[u8],
        keys: &mut [u64],
        distances: Option<&mut [f32]>,
        options: &SearchOptions<'_>,
    ) -> Result<usize> {
        todo!()
    }
    /// k = keys.len() / queries.count(); counts, if given, has one place per query.
    pub fn search_batch(
        &self,
        queries: Rows<'_>,
        k: usize,
        keys: &mut [u64],
        distances: Option<&mut [f32]>,
        counts: Option<&mut [usize]>,
        options: &SearchOptions<'_>,
    ) -> Result<()> {
        todo!()
    }
    /// Bit for bit what was inserted.
    pub fn get(&self, key: u64, vector: &mut [u8]) -> Result<()> {
        todo!()
    }
    pub fn contains(&self, key: u64) -> Result<bool> {
        todo!()
    }
    /// Fills `keys` with as many live keys as fit; returns how many there are in all.
    pub fn keys(&self, keys: &mut [u64]) -> Result<usize> {
        todo!()
    }
    pub fn describe(&self) -> Info {
        todo!()
    }
    pub fn save(&self, path: &Path) -> Result<()> {
        todo!()
    }
    pub fn open(path: &Path, flags: OpenFlags) -> Result<Self> {
        todo!()
    }
    /// What a file's header says, without loading it.
    pub fn file_info(path: &Path) -> Result<Info> {
        todo!()
    }
    /// Refuses changes from now on with `Status::Internal`: a defect was met in a call that changes the index.
    pub fn poison(&self, text: &str) {
        todo!()
    }
}

/// The distance between two vectors of this shape, as searches report it.
#[allow(unused_variables, clippy::todo)]
pub fn distance(metric: Metric, element: Element, dimensions: u32, a: &[u8], b: &[u8]) -> Result<f32> {
    todo!()
}
