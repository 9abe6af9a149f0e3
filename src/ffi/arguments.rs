//! Which promises of a C caller can be checked? NULL, alignment, sizes that overflow, texts: checked here, in one place.
//!
//! Every function names the argument in its sentence. What cannot be checked (that memory is really there) is the caller's
//! promise, see the room's safety chapter.

use super::types::kith_index;
use crate::index::{Index, Rows};
use crate::util::error::{Error, Result};
use std::ffi::{CStr, c_char, c_void};
use std::mem::{MaybeUninit, align_of, size_of};
use std::path::PathBuf;

/// Most results of one query, and most queries of one batch.
const MOST: usize = u32::MAX as usize;

/// The index behind a handle.
///
/// # Safety
/// - `index` is NULL or a handle that stays alive for `'a`.
pub(super) unsafe fn borrow<'a>(index: *const kith_index) -> Result<&'a Index> {
    check(index, "index")?;
    // SAFETY: not NULL, so it is a handle; handles are made from boxes (see kith_create) and stay alive by promise.
    Ok(unsafe { &(*index).index })
}

/// A place for one result.
///
/// # Safety
/// - `place` is NULL or writable for one `T` and not otherwise used during `'a`.
pub(super) unsafe fn output<'a, T>(place: *mut T, name: &str) -> Result<&'a mut MaybeUninit<T>> {
    check(place, name)?;
    // SAFETY: not NULL, aligned, writable by promise; MaybeUninit accepts whatever is there.
    Ok(unsafe { &mut *place.cast::<MaybeUninit<T>>() })
}

/// `length` values for reading; NULL is fine when there are none.
///
/// # Safety
/// - `first` is NULL or readable for `length` values that nobody changes during `'a`.
pub(super) unsafe fn slice<'a, T: Plain>(first: *const T, length: usize, name: &str) -> Result<&'a [T]> {
    if length == 0 {
        return Ok(&[]);
    }
    check(first, name)?;
    check_length::<T>(length, name)?;
    // SAFETY: not NULL, aligned, not longer than isize::MAX bytes; readable by promise; Plain types have no invalid values.
    Ok(unsafe { std::slice::from_raw_parts(first, length) })
}

/// `length` places for writing; NULL is fine when there are none.
///
/// # Safety
/// - `first` is NULL or writable for `length` values that nobody else uses during `'a`.
pub(super) unsafe fn slice_mut<'a, T: Plain>(first: *mut T, length: usize, name: &str) -> Result<&'a mut [T]> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(first, name)?;
    check_length::<T>(length, name)?;
    // SAFETY: not NULL, aligned, not longer than isize::MAX bytes; writable by promise; Plain types have no invalid values, and
    // the index writes to these places without reading them first.
    Ok(unsafe { std::slice::from_raw_parts_mut(first, length) })
}

/// As `slice_mut`, for an output that may be NULL.
///
/// # Safety
/// - as for `slice_mut`.
pub(super) unsafe fn optional_slice_mut<'a, T: Plain>(
    first: *mut T,
    length: usize,
    name: &str,
) -> Result<Option<&'a mut [T]>> {
    if first.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise, passed on.
    unsafe { slice_mut(first, length, name) }.map(Some)
}

/// One vector of `bytes` bytes.
///
/// # Safety
/// - `vector` is NULL or readable for `bytes` bytes that nobody changes during `'a`.
pub(super) unsafe fn vector<'a>(vector: *const c_void, bytes: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise, passed on.
    unsafe { slice(vector.cast::<u8>(), bytes, name) }
}

/// `count` vectors of `bytes` bytes, `stride` bytes apart; stride 0 means packed.
///
/// # Safety
/// - `first` is NULL or, for every i below `count`, readable for `bytes` bytes at `i * stride`; nobody changes them during `'a`.
pub(super) unsafe fn rows<'a>(
    first: *const c_void,
    count: usize,
    stride: usize,
    bytes: usize,
    name: &str,
) -> Result<Rows<'a>> {
    if stride != 0 && stride < bytes {
        return Err(Error::argument(format!("stride is {stride}, a vector has {bytes} bytes (0 means packed)")));
    }
    if count == 0 {
        return Ok(Rows::packed(&[], bytes));
    }
    check(first.cast::<u8>(), name)?;
    let stride = if stride == 0 { bytes } else { stride };
    let extent = (count - 1).checked_mul(stride).and_then(|last| last.checked_add(bytes));
    if extent.is_none_or(|extent| extent > isize::MAX as usize) {
        return Err(Error::argument(format!("{name}: {count} vectors {stride} bytes apart do not fit into memory")));
    }
    // SAFETY: the extent does not overflow; readable by promise.
    Ok(unsafe { Rows::from_raw(first.cast::<u8>(), count, stride, bytes) })
}

/// Checks the number of results asked for.
pub(super) fn check_k(k: usize) -> Result<()> {
    if k == 0 || k > MOST {
        return Err(Error::argument(format!("k is {k}, allowed are 1 to {MOST}")));
    }
    Ok(())
}

/// Checks the number of queries of a batch, and with it that queries x k results can exist.
pub(super) fn check_queries(queries: usize, k: usize) -> Result<()> {
    if queries > MOST {
        return Err(Error::argument(format!("queries is {queries}, allowed are up to {MOST}")));
    }
    check_length::<u64>(queries.saturating_mul(k), "keys (queries x k)")
}

/// A path from C.
///
/// # Safety
/// - `path` is NULL or ends with a zero byte.
pub(super) unsafe fn path(path: *const c_char) -> Result<PathBuf> {
    check(path, "path")?;
    // SAFETY: not NULL; ends with a zero byte by promise.
    let bytes = unsafe { CStr::from_ptr(path) };
    if bytes.is_empty() {
        return Err(Error::argument("path is empty"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes.to_bytes())))
    }
    #[cfg(not(unix))]
    {
        let text = bytes.to_str().map_err(|_| Error::argument("path is not UTF-8"))?;
        Ok(PathBuf::from(text))
    }
}

/// Types without invalid values, whose memory may come from C.
///
/// # Safety
/// - every pattern of bits is a value.
pub(super) unsafe trait Plain {}
// SAFETY: numbers without invalid values, here and below.
unsafe impl Plain for u8 {}
// SAFETY: see u8.
unsafe impl Plain for u64 {}
// SAFETY: see u8.
unsafe impl Plain for usize {}
// SAFETY: see u8.
unsafe impl Plain for f32 {}
// SAFETY: see u8.
unsafe impl Plain for f64 {}

fn check<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::argument(format!("{name} is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Error::argument(format!("{name} is {pointer:p}, not a multiple of {}", align_of::<T>())));
    }
    Ok(())
}

fn check_length<T>(length: usize, name: &str) -> Result<()> {
    match length.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
        _ => Err(Error::argument(format!("{name}: {length} values do not fit into memory"))),
    }
}
