//! Vectors in the caller's memory.

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
    /// Packed vectors of `bytes` bytes each; bytes behind the last whole vector are left out.
    pub fn packed(data: &'a [u8], bytes: usize) -> Self {
        let count = data.len().checked_div(bytes).unwrap_or(0);
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

    /// One after the other.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        (0..self.count).map(move |i| self.row(i))
    }

    /// Vector `i`.
    ///
    /// # Panics
    /// If there is no vector `i`.
    pub fn row(&self, i: usize) -> &'a [u8] {
        assert!(i < self.count, "row {i} of {}", self.count);
        // SAFETY: i < count, so the constructor's promise covers this row.
        unsafe { std::slice::from_raw_parts(self.first.add(i * self.stride), self.bytes) }
    }
}

/// A query that only the index's own distance function reads.
#[derive(Clone, Copy, Debug)]
pub struct Opaque<'a> {
    first: *const u8,
    life: std::marker::PhantomData<&'a u8>,
}

impl<'a> Opaque<'a> {
    /// An element.
    pub fn of(element: &'a [u8]) -> Self {
        Self { first: element.as_ptr(), life: std::marker::PhantomData }
    }

    /// Whatever lies behind a pointer.
    ///
    /// # Safety
    /// - the index's distance function may read whatever it reads of a query behind `first` during `'a`.
    pub unsafe fn new(first: *const u8) -> Self {
        Self { first, life: std::marker::PhantomData }
    }

    pub(super) fn first(self) -> *const u8 {
        self.first
    }
}
