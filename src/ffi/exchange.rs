//! How do files of other libraries become an index, and an index such a file?

use super::arguments::{borrow, output, path as checked_path, slice};
use super::disk::Pieces;
use super::enter::enter;
use super::options::{export_capacity, index_options};
use super::types::{kith_export_options, kith_format, kith_index, kith_options, kith_status, kith_write_fn};
use crate::index::{Format, Index};
use crate::util::error::Error;
use std::ffi::{c_char, c_void};

/// Makes an index of another library's file: its vectors, keys and links. The graph is taken over, not built anew, and what it lacks is
/// added (vectors that nothing links to are linked); so opening takes little longer than reading, and inserting goes on from there. The
/// file may come from anywhere: sizes and ids are checked before use.
///
/// - path: the file
/// - format: whose file it is
/// - options: as for kith_create(). KITH_FORMAT_HNSWLIB and KITH_FORMAT_HNSWLIB_FLAT: the file does not say what its vectors are, so
///   dimensions, metric and element must be right. KITH_FORMAT_USEARCH and KITH_FORMAT_FAISS: the file says it; dimensions may be 0,
///   metric and element are not looked at. m and ef_construction: 0 means those of the file. kind: KITH_KIND_FLAT leaves the
///   graph out
/// - index: receives the handle, to be ended with kith_free(). NULL on failure
///
/// With KITH_FIXED_CAPACITY the capacity is that of options or, if there are more, the number of vectors.
///
/// Vectors that hnswlib has marked as deleted come back with kith_undelete(), if options has KITH_KEEP_REMOVED. Of a label that stands
/// twice in the file one vector is taken.
///
/// Errors:
/// - KITH_ERROR_IO: the file cannot be read
/// - KITH_ERROR_CORRUPT: truncated, impossible content, NaN or infinity, a label that is KITH_NO_KEY, other dimensions
/// - KITH_ERROR_UNSUPPORTED: a metric, a type of component or a kind of index that kith does not have
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; format is unknown; options are out of range or do not fit the file
/// - KITH_ERROR_MEMORY
///
/// ```c
/// kith_options options = {.size = sizeof options, .dimensions = 384, .metric = KITH_INNER_PRODUCT};
/// kith_index *index;
/// if (kith_import("hnsw.bin", KITH_FORMAT_HNSWLIB, &options, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_import(
    path: *const c_char,
    format: kith_format,
    options: *const kith_options,
    index: *mut *mut kith_index,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_import", || unsafe {
        let place = output(index, "index")?;
        place.write(std::ptr::null_mut());
        let (path, format) = (checked_path(path)?, Format::try_from(format)?);
        let index = Index::import(&path, format, &index_options(options)?)?;
        place.write(kith_index::handle(index));
        Ok(())
    })
}

/// As kith_import(), from the bytes of a file.
///
/// - data: the bytes; not needed any more when the call has returned
/// - length: their number
/// - format, options, index: as for kith_import()
///
/// Errors: those of kith_import(), without KITH_ERROR_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_import_buffer(
    data: *const c_void,
    length: usize,
    format: kith_format,
    options: *const kith_options,
    index: *mut *mut kith_index,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_import_buffer", || unsafe {
        let place = output(index, "index")?;
        place.write(std::ptr::null_mut());
        let format = Format::try_from(format)?;
        let bytes = slice(data.cast::<u8>(), length, "data")?;
        let index = Index::import_buffer(bytes, format, &index_options(options)?)?;
        place.write(kith_index::handle(index));
        Ok(())
    })
}

/// Writes the index as a file that another library loads, whole or not at all, as kith_save() does.
///
/// - index: the index; searches and changes may go on meanwhile, and a change beside the call is in the file or not
/// - path: UTF-8 on Windows, else the bytes of a path; ends with a zero byte
/// - format: KITH_FORMAT_HNSWLIB for a graph, KITH_FORMAT_HNSWLIB_FLAT for a flat index. The components are written as they are, and
///   whoever loads the file needs a space of that type. Under KITH_COSINE (KITH_F32 only) the vectors are written normalised, for
///   hnswlib's inner product
/// - options: may be NULL
///
/// Removed vectors that kith_undelete() could bring back are in a KITH_FORMAT_HNSWLIB file, marked as deleted.
///
/// Errors:
/// - KITH_ERROR_IO: the system refused; the text holds path and cause, and a file that was there before is as it was
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; format is unknown or not for the index's kind
/// - KITH_ERROR_UNSUPPORTED: a format that kith only reads, or an index that it cannot hold
/// - KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_export(
    index: *const kith_index,
    path: *const c_char,
    format: kith_format,
    options: *const kith_export_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_export", || unsafe {
        let (index, path, format) = (borrow(index)?, checked_path(path)?, Format::try_from(format)?);
        index.export(&path, format, export_capacity(options)?)
    })
}

/// Hands the bytes that kith_export() would write to a function of yours, front to back.
///
/// - index, format, options: as for kith_export()
/// - write: gets the pieces in their order; may read the index, must not change it
/// - ctx: handed to write; may be NULL
///
/// Errors: those of kith_export(), where
/// - KITH_ERROR_IO: write returned something else than 0; the text has the number
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_export_to(
    index: *const kith_index,
    write: kith_write_fn,
    ctx: *mut c_void,
    format: kith_format,
    options: *const kith_export_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_export_to", || unsafe {
        let (index, format) = (borrow(index)?, Format::try_from(format)?);
        let Some(write) = write else { return Err(Error::argument("write is NULL")) };
        index.export_to(&mut Pieces { write, ctx }, format, export_capacity(options)?)
    })
}

/// Says how many bytes kith_export() would write now.
///
/// - index, format, options: as for kith_export()
/// - bytes: receives the number; 0 on failure
///
/// Errors: those of kith_export(), without KITH_ERROR_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_export_size(
    index: *const kith_index,
    format: kith_format,
    options: *const kith_export_options,
    bytes: *mut u64,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_export_size", || unsafe {
        let bytes = output(bytes, "bytes")?.write(0);
        let (index, format) = (borrow(index)?, Format::try_from(format)?);
        *bytes = index.export_bytes(format, export_capacity(options)?)?;
        Ok(())
    })
}
