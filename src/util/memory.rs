//! Where do large arrays live so that they never move, sit on huge pages, and can fail politely?
//!
//! [`Block`] is one zeroed allocation. [`Segments`] is an array of fixed-size records that grows by appending blocks of doubling
//! size; a record's address never changes, so readers need no lock while it grows.
//!
//! Record `i` lies in segment `segment_of(i)`; segment 0 holds the first 64 records, segment `s > 0` holds records
//! `64 << (s-1) .. 64 << s`. The table stores *biased* bases (address of record 0 as if the segment began there), so an address is
//! one table load, one multiply and one add.

use crate::util::error::{Error, Result};
use parking_lot::Mutex;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

const FIRST_BITS: u32 = 6;
/// Segments that 2^32 records need.
pub(crate) const SEGMENTS: usize = (32 - FIRST_BITS) as usize + 1;

/// From this size on a block is mapped by itself; smaller ones come from the allocator, which packs them tighter.
const MAP_FROM: usize = 1 << 20;
const HUGE_PAGE: usize = 2 << 20;
const PAGE: usize = 4096;
/// Every block starts on a cache line.
pub(crate) const LINE: usize = 64;

/// Asks the processor to fetch the cache line of an address, which need not be valid.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address has no effect that a program can see; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; prfm is part of the base instruction set.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "read as bytes")] [u8; LINE]);

/// Bytes that begin on a cache line, for vectors that kernels read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// As many lines as `bytes` fill, all zero. Keeps the memory it has.
    pub(crate) fn reset(&mut self, bytes: usize) {
        self.0.clear();
        self.0.resize(bytes.div_ceil(LINE), Line([0; LINE]));
    }

    /// Room for so many bytes in all.
    pub(crate) fn make_room(&mut self, bytes: usize) -> Result<()> {
        make_room(&mut self.0, bytes.div_ceil(LINE))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: as in `bytes_mut`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: lines are plain bytes without padding, and a Vec's elements lie behind each other.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }

    /// Bytes there is memory for.
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity() * LINE
    }
}

/// Room for `count` items in all.
pub(crate) fn make_room<T>(items: &mut Vec<T>, count: usize) -> Result<()> {
    let more = count.saturating_sub(items.len());
    items.try_reserve(more).map_err(|_| Error::memory(more.saturating_mul(size_of::<T>())))
}

/// What an iterator of known length has.
pub(crate) fn gather<T>(items: impl ExactSizeIterator<Item = T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    make_room(&mut all, items.len())?;
    all.extend(items);
    Ok(all)
}

/// `count` times the same.
pub(crate) fn repeated<T: Clone>(value: T, count: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    make_room(&mut all, count)?;
    all.resize(count, value);
    Ok(all)
}

/// An empty vector with room for `count` items, on huge pages if it is large. Items must not be touched at random before these
/// pages exist: a vector that was written once is read and written at random without a page walk for each access.
pub(crate) fn roomy<T>(count: usize) -> Result<Vec<T>> {
    let mut items: Vec<T> = Vec::new();
    items.try_reserve_exact(count).map_err(|_| Error::memory(count.saturating_mul(size_of::<T>())))?;
    want_huge_pages(&mut items);
    Ok(items)
}

/// Asks for huge pages for the memory of a vector, as far as it covers some.
fn want_huge_pages<T>(items: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        let start = items.as_mut_ptr().cast::<u8>();
        let (before, bytes) = (start.align_offset(HUGE_PAGE), items.capacity() * size_of::<T>());
        if bytes > before + HUGE_PAGE {
            let bytes = (bytes - before) / HUGE_PAGE * HUGE_PAGE;
            // SAFETY: advice on whole pages inside an allocation of our own; it changes no content, and a refusal changes nothing.
            unsafe { libc::madvise(start.wrapping_add(before).cast(), bytes, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = items;
}

/// Types of which zero bytes are a value.
///
/// # Safety
/// They are, and dropping one does nothing.
pub(crate) unsafe trait Zero: Copy {}
// SAFETY: a number whose bytes are zero is 0.
unsafe impl Zero for u16 {}
// SAFETY: as above.
unsafe impl Zero for u32 {}
// SAFETY: as above.
unsafe impl Zero for u64 {}
// SAFETY: `false` is a byte of zero.
unsafe impl Zero for bool {}
// SAFETY: an array is its items, one after the other.
unsafe impl<T: Zero, const N: usize> Zero for [T; N] {}

/// `count` zeros, on huge pages if they are many. Large ones are pages that the system makes when they are first written: so threads that each write a part make
/// them together.
pub(crate) fn zeroed<T: Zero>(count: usize) -> Result<Vec<T>> {
    let too_many = || Error::memory(count.saturating_mul(size_of::<T>()));
    let layout = Layout::array::<T>(count).map_err(|_| too_many())?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout has a size.
    let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).ok_or_else(too_many)?;
    // SAFETY: allocated by the global allocator with the layout of `count` items, whose zero bytes are values (`Zero`).
    let mut items = unsafe { Vec::from_raw_parts(start.as_ptr().cast::<T>(), count, count) };
    want_huge_pages(&mut items);
    Ok(items)
}

/// A zeroed allocation that frees itself.
#[derive(Debug)]
pub(crate) struct Block {
    start: NonNull<u8>,
    bytes: usize,
    mapped: bool,
}

// SAFETY: a Block owns its memory and gives out raw pointers only; who reads or writes through them answers for races.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// `bytes` zeroed bytes on a 64-byte boundary; from 2 MiB on they start on a huge page and ask for huge pages.
    pub(crate) fn zeroed(bytes: usize) -> Result<Self> {
        if bytes == 0 || bytes > isize::MAX as usize - 2 * HUGE_PAGE {
            return Err(Error::memory(bytes));
        }
        if bytes >= MAP_FROM
            && let Some(result) = map_anonymous(bytes)
        {
            return result;
        }
        let layout = Layout::from_size_align(bytes, LINE).map_err(|_| Error::memory(bytes))?;
        // SAFETY: the layout's size is not zero.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or_else(|| Error::memory(bytes))?;
        Ok(Self { start, bytes, mapped: false })
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Gives the memory of whole pages from `from` bytes on back to the system. They read as zeros from then on; nobody may use them
    /// meanwhile. Small blocks, which are not mapped by themselves, stay as they are.
    fn release(&self, from: usize) {
        #[cfg(target_os = "linux")]
        if self.mapped {
            let from = from.next_multiple_of(PAGE);
            if from < self.bytes {
                // SAFETY: whole pages of a private mapping of our own, which nobody uses meanwhile; a refusal changes nothing.
                unsafe {
                    libc::madvise(self.start.as_ptr().add(from).cast(), self.bytes - from, libc::MADV_DONTNEED);
                }
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = from;
    }

    /// Memory that a block holds when only its first `used` bytes were ever touched. The system gives whole huge pages where it can, so
    /// it is asked about the last one.
    fn resident(&self, used: usize) -> usize {
        if !self.mapped {
            return self.bytes;
        }
        let touched = used.next_multiple_of(PAGE).min(self.bytes);
        let whole = if self.bytes < HUGE_PAGE { 0 } else { touched / HUGE_PAGE * HUGE_PAGE };
        let rest = (self.bytes - whole).min(HUGE_PAGE);
        whole + present(self.start.as_ptr().wrapping_add(whole), rest).unwrap_or(touched - whole)
    }

    /// Memory that a block of so many bytes may hold at most when its first `used` bytes are touched.
    fn most(bytes: usize, used: usize) -> usize {
        if bytes < MAP_FROM || used == 0 {
            return if bytes < MAP_FROM { bytes } else { 0 };
        }
        used.next_multiple_of(if bytes < HUGE_PAGE { PAGE } else { HUGE_PAGE }).min(bytes.next_multiple_of(PAGE))
    }
}

/// How much of a piece of an anonymous mapping, of at most a huge page, is there; `None` where the system does not tell.
#[cfg(target_os = "linux")]
fn present(start: *mut u8, bytes: usize) -> Option<usize> {
    let mut pages = [0u8; HUGE_PAGE / PAGE];
    let count = bytes / PAGE;
    if count == 0 {
        return Some(0);
    }
    // SAFETY: whole pages of a mapping of ours, at most as many as `pages` has bytes, one of which is written for each.
    let told = unsafe { libc::mincore(start.cast(), bytes, pages.as_mut_ptr()) };
    (told == 0).then(|| pages[..count].iter().filter(|&&page| page & 1 != 0).count() * PAGE)
}

#[cfg(not(target_os = "linux"))]
fn present(_start: *mut u8, _bytes: usize) -> Option<usize> {
    None
}

impl Drop for Block {
    fn drop(&mut self) {
        #[cfg(unix)]
        if self.mapped {
            // SAFETY: start and bytes are what map_anonymous mapped, and nobody uses a block after it is dropped.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
            return;
        }
        // The same layout was valid when the block was made.
        if let Ok(layout) = Layout::from_size_align(self.bytes, LINE) {
            // SAFETY: allocated by alloc_zeroed with this layout.
            unsafe { std::alloc::dealloc(self.start.as_ptr(), layout) };
        }
    }
}

/// Maps private zero pages; `None` where the platform has no such call.
#[cfg(unix)]
fn map_anonymous(bytes: usize) -> Option<Result<Block>> {
    let bytes = bytes.next_multiple_of(PAGE);
    let slack = if bytes >= HUGE_PAGE { HUGE_PAGE } else { 0 };
    // Address space, not memory: pages are committed when they are first touched. NORESERVE, because a segment that doubles the
    // index must not be refused for a size that it may never reach.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh anonymous mapping touches nothing that exists.
    let raw =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes + slack, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if raw == libc::MAP_FAILED {
        return Some(Err(Error::memory(bytes)));
    }
    let raw: *mut u8 = raw.cast();
    let before = raw.align_offset(HUGE_PAGE.min(slack.max(1)));
    let start = raw.wrapping_add(before);
    if slack > 0 {
        let after = slack - before;
        // SAFETY: both pieces lie inside the mapping made above, outside start..start+bytes, on page boundaries.
        unsafe {
            if before > 0 {
                libc::munmap(raw.cast(), before);
            }
            if after > 0 {
                libc::munmap(start.wrapping_add(bytes).cast(), after);
            }
        }
        #[cfg(target_os = "linux")]
        // SAFETY: advice on a mapping of our own; a refusal changes nothing.
        unsafe {
            libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE);
        }
    }
    NonNull::new(start).map(|start| Ok(Block { start, bytes, mapped: true }))
}

#[cfg(not(unix))]
fn map_anonymous(_bytes: usize) -> Option<Result<Block>> {
    None
}

/// Bytes that an array looks into without owning or changing them.
#[derive(Debug)]
pub(crate) enum Foreign {
    /// A mapped file.
    Mapped(memmap2::Mmap),
    /// Memory of the host program.
    Lent(Lent),
}

impl Foreign {
    /// Tells the system that a part will be read here and there, so that nothing around what is read needs to be there.
    pub(crate) fn read_at_random(&self, start: usize, bytes: usize) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            // A refusal changes nothing but speed.
            let _ = map.advise_range(memmap2::Advice::Random, start, bytes);
        }
        #[cfg(not(unix))]
        let _ = (start, bytes);
    }
}

impl std::ops::Deref for Foreign {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            // SAFETY: readable and unchanged while the `Lent` lives, by the promise of `Lent::new`.
            Self::Lent(lent) => unsafe { std::slice::from_raw_parts(lent.start, lent.bytes) },
        }
    }
}

/// Memory of the host program.
#[derive(Debug)]
pub(crate) struct Lent {
    start: *const u8,
    bytes: usize,
}

// SAFETY: plain bytes that nobody changes, by the promise of `Lent::new`.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// # Safety
    /// - `start` is not null and readable for `bytes` bytes, at most `isize::MAX`, which nobody changes while this lives.
    pub(crate) unsafe fn new(start: *const u8, bytes: usize) -> Self {
        Self { start, bytes }
    }
}

/// Records of one size that never move. Grows by blocks; or looks into foreign bytes and never grows.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Address of record 0 as if it lay in that segment; null until the segment exists.
    biased: [AtomicPtr<u8>; SEGMENTS],
    stride: usize,
    blocks: Mutex<Vec<Block>>,
    /// Keeps a mapped file alive.
    _file: Option<Arc<Foreign>>,
}

#[inline(always)]
fn segment_of(record: u32) -> usize {
    (32 - (record >> FIRST_BITS).leading_zeros()) as usize
}

/// First record of a segment.
fn segment_start(segment: usize) -> usize {
    if segment == 0 { 0 } else { 1 << (FIRST_BITS as usize + segment - 1) }
}

/// One past the last record of a segment.
pub(crate) fn segment_end(segment: usize) -> usize {
    1 << (FIRST_BITS as usize + segment)
}

/// Records that fit when room for at least `records` is made.
pub(crate) fn rounded_capacity(records: usize) -> usize {
    if records == 0 { 0 } else { records.next_power_of_two().max(segment_end(0)) }
}

impl Segments {
    /// An empty array of records of `stride` bytes.
    pub(crate) fn new(stride: usize) -> Self {
        Self {
            biased: [const { AtomicPtr::new(std::ptr::null_mut()) }; SEGMENTS],
            stride,
            blocks: Mutex::new(Vec::new()),
            _file: None,
        }
    }

    /// An array that lies in foreign bytes, `offset` from their start.
    pub(crate) fn in_file(file: &Arc<Foreign>, offset: usize, stride: usize) -> Self {
        let base = file.as_ptr().wrapping_add(offset).cast_mut();
        Self {
            biased: std::array::from_fn(|_| AtomicPtr::new(base)),
            stride,
            blocks: Mutex::new(Vec::new()),
            _file: Some(Arc::clone(file)),
        }
    }

    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The foreign bytes that the array lies in, if it does.
    pub(crate) fn file(&self) -> Option<&Foreign> {
        self._file.as_deref()
    }

    /// Makes room for `records` records; those that exist stay where they are. On failure nothing has changed.
    /// Concurrent calls are allowed; each waits for the other.
    pub(crate) fn grow(&self, records: usize) -> Result<()> {
        let mut blocks = self.blocks.lock();
        while records > 0 && (blocks.is_empty() || segment_end(blocks.len() - 1) < records) {
            let segment = blocks.len();
            if segment >= SEGMENTS {
                return Err(Error::memory(usize::MAX));
            }
            let (start, end) = (segment_start(segment), segment_end(segment));
            let bytes = (end - start).checked_mul(self.stride).ok_or_else(|| Error::memory(usize::MAX))?;
            let block = Block::zeroed(bytes)?;
            let biased = block.start().wrapping_sub(start.wrapping_mul(self.stride));
            self.biased[segment].store(biased, Ordering::Release);
            blocks.push(block);
        }
        Ok(())
    }

    /// Address of a record. Only an address: who dereferences it must know that the record exists (`grow` made it).
    #[inline(always)]
    pub(crate) fn address(&self, record: u32) -> *mut u8 {
        // Acquire costs nothing on x86 and pairs with `grow` for a reader that learnt the record's number by any path.
        let base = self.biased[segment_of(record)].load(Ordering::Acquire);
        base.wrapping_add(record as usize * self.stride)
    }

    /// Whether there is memory for a record.
    pub(crate) fn holds(&self, record: u32) -> bool {
        !self.biased[segment_of(record)].load(Ordering::Acquire).is_null()
    }

    /// Records from `record` on that lie behind each other in memory, at most up to `end`.
    pub(crate) fn run(&self, record: u32, end: u32) -> u32 {
        if self._file.is_some() {
            end - record
        } else {
            (segment_end(segment_of(record)) as u64).min(u64::from(end)) as u32 - record
        }
    }

    /// Gives the memory of records from `records` on back to the system, as far as it lies in pages of its own. Nobody may use them
    /// meanwhile; they can be used anew afterwards.
    pub(crate) fn release(&self, records: usize) {
        for (segment, block) in self.blocks.lock().iter().enumerate() {
            if records < segment_end(segment) {
                block.release(records.saturating_sub(segment_start(segment)) * self.stride);
            }
        }
    }

    /// Whether the records lie in foreign bytes.
    pub(crate) fn is_foreign(&self) -> bool {
        self._file.is_some()
    }

    /// Bytes of the first `used` records, if they lie in foreign bytes.
    pub(crate) fn mapped(&self, used: usize) -> usize {
        if self.is_foreign() { used * self.stride } else { 0 }
    }

    /// Memory held when the first `used` records were touched.
    pub(crate) fn bytes(&self, used: usize) -> usize {
        if self._file.is_some() {
            return used * self.stride;
        }
        let blocks = self.blocks.lock();
        let list = blocks.capacity() * size_of::<Block>();
        let touched = |segment| used.saturating_sub(segment_start(segment)) * self.stride;
        list + blocks.iter().enumerate().map(|(segment, block)| block.resident(touched(segment))).sum::<usize>()
    }

    /// The least and the most memory that an array of records of `stride` bytes holds when the first `used` were made and touched: the system may
    /// give whole huge pages.
    pub(crate) fn planned(stride: usize, used: usize) -> (usize, usize) {
        let (mut least, mut most) = (0, 0);
        for segment in (0..SEGMENTS).take_while(|&segment| segment_start(segment) < used) {
            let (start, end) = (segment_start(segment), segment_end(segment));
            let (bytes, touched) = ((end - start).saturating_mul(stride), (used.min(end) - start) * stride);
            least += if bytes < MAP_FROM { bytes } else { touched.next_multiple_of(PAGE) };
            most += Block::most(bytes, touched);
        }
        (least, most)
    }

    /// The most memory that can be added when records `used..more` are made and touched, where those before are.
    pub(crate) fn growth(&self, used: usize, more: usize) -> usize {
        if self._file.is_some() || more <= used {
            return 0;
        }
        let blocks = self.blocks.lock();
        let first = segment_of(used as u32);
        let segments = (first..SEGMENTS).take_while(|&segment| segment_start(segment) < more);
        segments
            .map(|segment| {
                let (start, end) = (segment_start(segment), segment_end(segment));
                let touched = |records: usize| (records.clamp(start, end) - start) * self.stride;
                let most = Block::most((end - start).saturating_mul(self.stride), touched(more));
                most.saturating_sub(blocks.get(segment).map_or(0, |block| block.resident(touched(used))))
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_every_record_once() {
        let mut expected = 0;
        for segment in 0..SEGMENTS - 1 {
            assert_eq!(segment_start(segment), expected);
            assert_eq!(segment_of(segment_start(segment) as u32), segment);
            assert_eq!(segment_of((segment_end(segment) - 1) as u32), segment);
            expected = segment_end(segment);
        }
        assert_eq!(segment_of(u32::MAX), SEGMENTS - 1);
    }

    #[test]
    fn records_keep_address_and_content_while_growing() {
        let records = Segments::new(48);
        let mut seen = Vec::new();
        for n in [1usize, 64, 65, 1000, 70_000] {
            records.grow(n).unwrap();
            for (i, address) in seen.iter().enumerate() {
                assert_eq!(records.address(i as u32) as usize, *address);
            }
            while seen.len() < n {
                let i = seen.len() as u32;
                // SAFETY: grow(n) made records 0..n of 48 bytes.
                unsafe {
                    assert_eq!(records.address(i).read(), 0);
                    records.address(i).write_bytes(i as u8, 48);
                }
                seen.push(records.address(i) as usize);
            }
        }
        for i in 0..70_000u32 {
            // SAFETY: as above.
            assert_eq!(unsafe { records.address(i).add(47).read() }, i as u8);
        }
        assert!(records.bytes(70_000) >= 70_000 * 48);
    }

    #[test]
    fn zeros_are_zeros_of_any_number() {
        for count in [0, 1, 1000, 3 << 20] {
            let mut items = zeroed::<[u16; 3]>(count).unwrap();
            assert!(items.len() == count && items.iter().all(|item| *item == [0; 3]));
            items.push([1; 3]);
            assert_eq!(items.pop(), Some([1; 3]));
        }
        assert!(zeroed::<u64>(usize::MAX).is_err() && zeroed::<u64>(1 << 50).is_err());
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        assert!(Segments::new(1 << 40).grow(1 << 25).is_err());
        assert!(Block::zeroed(usize::MAX).is_err());
        assert!(Block::zeroed(0).is_err());
    }

    #[test]
    fn large_blocks_start_on_a_huge_page() {
        let block = Block::zeroed(3 << 20).unwrap();
        if cfg!(unix) {
            assert_eq!(block.start() as usize % HUGE_PAGE, 0);
        }
        assert_eq!(block.bytes % 4096, 0);
    }
}
