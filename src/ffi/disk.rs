//! How does an index get to a file and back?

use super::arguments::{borrow, output, path as checked_path, slice};
use super::enter::enter;
use super::options::{InfoPlace, open_flags};
use super::types::{kith_index, kith_info, kith_status, kith_write_fn};
use crate::index::Index;
use crate::util::error::Error;
use crate::util::memory::{Foreign, Lent};
use std::ffi::{c_char, c_int, c_void};
use std::io;

/// Writes the index to a file: whole or not at all. It is written beside `path`, synced, renamed to `path`, and the directory is
/// synced; so whoever opens `path` finds the old file or the new one, and several saves to one path at once leave one of them
/// whole.
///
/// - index: the index; searches and changes may go on meanwhile, and a change beside the call is in the file or not
/// - path: UTF-8 on Windows, else the bytes of a path; ends with a zero byte
///
/// Errors:
/// - KITH_ERROR_IO: the system refused; the text holds path and cause, and a file that was there before is as it was
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty
/// - KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_save(index: *const kith_index, path: *const c_char) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_save", || unsafe { borrow(index)?.save(&checked_path(path)?) })
}

/// Opens a file that kith_save() wrote. The index can do everything the saved one could, inserting included. The file may come
/// from anywhere: sizes, checksums and ids are checked before use.
///
/// - path: the file
/// - flags: 0 or an or of KITH_OPEN_MAPPED, KITH_OPEN_VECTORS_MAPPED, KITH_OPEN_READ_ONLY, KITH_OPEN_UNCHECKED, KITH_OPEN_ONE_THREAD
/// - index: receives the handle, to be ended with kith_free(). NULL on failure
///
/// Errors:
/// - KITH_ERROR_IO: the file cannot be read
/// - KITH_ERROR_CORRUPT: not a kith file, truncated, a wrong checksum, impossible content
/// - KITH_ERROR_VERSION: a newer format, or the other byte order
/// - KITH_ERROR_UNSUPPORTED: an unknown flag, or content that this version cannot use
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty
/// - KITH_ERROR_MEMORY
///
/// ```c
/// kith_index *index;
/// if (kith_open("packages.kith", KITH_OPEN_MAPPED, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_open(path: *const c_char, flags: u64, index: *mut *mut kith_index) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_open", || unsafe {
        let place = output(index, "index")?;
        place.write(std::ptr::null_mut());
        let path = checked_path(path)?;
        let index = Index::open(&path, open_flags(flags)?)?;
        place.write(kith_index::handle(index));
        Ok(())
    })
}

/// Hands the bytes that kith_save() would write to a function of yours, front to back: for files of your own kind, sockets, blocks of
/// a database. Together they are one file, which kith_open() and kith_open_buffer() take.
///
/// - index: the index; searches and changes may go on meanwhile, and a change beside the call is in the bytes or not
/// - write: gets the pieces in their order; may read the index, must not change it
/// - ctx: handed to write; may be NULL
///
/// Errors:
/// - KITH_ERROR_IO: write returned something else than 0; the text has the number
/// - KITH_ERROR_ARGUMENT: a pointer is NULL
/// - KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_save_to(index: *const kith_index, write: kith_write_fn, ctx: *mut c_void) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_save_to", || unsafe {
        let index = borrow(index)?;
        let Some(write) = write else { return Err(Error::argument("write is NULL")) };
        index.save_to(&mut Pieces { write, ctx })
    })
}

/// A host's function that takes bytes.
pub(super) struct Pieces {
    pub(super) write: unsafe extern "C-unwind" fn(ctx: *mut c_void, bytes: *const c_void, count: usize) -> c_int,
    pub(super) ctx: *mut c_void,
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // SAFETY: write and ctx belong together and may be used until the call that made this returns, by promise.
        match unsafe { (self.write)(self.ctx, bytes.as_ptr().cast(), bytes.len()) } {
            0 => Ok(bytes.len()),
            number => Err(io::Error::other(format!("the write function returned {number}"))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens the bytes of a file that lie in memory: what kith_save() wrote or kith_save_to() handed out. They may come from anywhere:
/// sizes, checksums and ids are checked before use.
///
/// - data: the bytes. They are copied, unless flags has KITH_OPEN_MAPPED or KITH_OPEN_VECTORS_MAPPED: then they, or the vectors among them, are used
///   where they lie; the bytes must start at a multiple of 64, and must stay there unchanged until kith_free() has returned
/// - length: their number
/// - flags: as for kith_open()
/// - index: receives the handle, to be ended with kith_free(). NULL on failure
///
/// Errors: those of kith_open(), without KITH_ERROR_IO; and
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; data with KITH_OPEN_MAPPED or KITH_OPEN_VECTORS_MAPPED is not a multiple of 64
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_open_buffer(
    data: *const c_void,
    length: usize,
    flags: u64,
    index: *mut *mut kith_index,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_open_buffer", || unsafe {
        let place = output(index, "index")?;
        place.write(std::ptr::null_mut());
        if data.is_null() {
            return Err(Error::argument("data is NULL"));
        }
        let bytes = slice(data.cast::<u8>(), length, "data")?;
        let flags = open_flags(flags)?;
        let index = if flags.mapped || flags.vectors_mapped {
            Index::open_in_place(Foreign::Lent(Lent::new(data.cast(), bytes.len())), flags)?
        } else {
            Index::open_buffer(bytes, flags)?
        };
        place.write(kith_index::handle(index));
        Ok(())
    })
}

/// Says what the head of a file says, without loading the file.
///
/// - path: the file
/// - info: `size` must be set; the rest is written. `capacity` is the number of places in the
///   file and `bytes` its length
///
/// Errors:
/// - KITH_ERROR_IO, KITH_ERROR_CORRUPT, KITH_ERROR_VERSION: as for kith_open(), as far as the head of the file tells
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; info->size is 0 or no size of this struct
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_file_info(path: *const c_char, info: *mut kith_info) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_file_info", || unsafe {
        let place = InfoPlace::new(info, "info")?;
        place.fill(&Index::file_info(&checked_path(path)?)?);
        Ok(())
    })
}
