//! How does an index get to a file and back?

use super::arguments::{borrow, output, path as checked_path};
use super::enter::enter;
use super::options::{InfoPlace, open_flags};
use super::types::{kith_index, kith_info, kith_status};
use crate::index::Index;
use std::ffi::c_char;

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
/// - flags: 0 or an or of KITH_OPEN_MAPPED, KITH_OPEN_READ_ONLY, KITH_OPEN_UNCHECKED, KITH_OPEN_ONE_THREAD
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
        place.write(Box::into_raw(Box::new(kith_index { index })));
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
        let place = InfoPlace::new(info)?;
        place.fill(&Index::file_info(&checked_path(path)?)?);
        Ok(())
    })
}
