//! What an index learns from vectors, and how indexes share it.

use super::arguments::{borrow, output, rows, slice, slice_mut};
use super::enter::{change, enter};
use super::options::with_build_options;
use super::types::{kith_build_options, kith_index, kith_status};
use std::ffi::c_void;

/// Learns from vectors, of which none is inserted, what an index would learn from its first ones (see kith_quantizer): directions, ranges and
/// steps of its codes. For indexes that hold parts of one collection: train one, and give what it learnt to the others. kith_clear() makes
/// the index forget it; a durable directory keeps it from the next checkpoint on.
///
/// - index: the index; it never held a vector, or was cleared
/// - count: number of vectors, at least 256; a few thousand are looked at
/// - vectors: the first vector; the others follow `stride` bytes apart, 0 meaning packed
/// - options: how many threads; what else they say does not matter. NULL: all cores
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; too few vectors, or all alike; as for kith_insert()
/// - KITH_ERROR_EXISTS: the index holds vectors, or has learnt already
/// - KITH_ERROR_UNSUPPORTED: such an index learns nothing (a flat one without codes, KITH_QUANTIZER_NONE, or short vectors with KITH_QUANTIZER_AUTO); an unknown
///   flag, or options of a newer version
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_train(
    index: *mut kith_index,
    count: usize,
    vectors: *const c_void,
    stride: usize,
    options: *const kith_build_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_train", index, |index| {
            let vectors = rows(vectors, count, stride, index.vector_bytes(), "vectors")?;
            with_build_options(options, |options| index.train(vectors, options))
        })
    }
}

/// Copies out what an index has learnt, for kith_codec_import(). The bytes carry a checksum, and are the same for indexes that learnt the same.
///
/// - index: the index
/// - data: room for `capacity` bytes; they are written only if all fit
/// - capacity: to learn the number only, pass 0, and NULL for data
/// - bytes: receives how many there are; 0 on failure
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: the index has learnt nothing yet
/// - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be
/// - KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_codec_export(
    index: *const kith_index,
    data: *mut c_void,
    capacity: usize,
    bytes: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_codec_export", || unsafe {
        let bytes = output(bytes, "bytes")?.write(0);
        let index = borrow(index)?;
        let room = slice_mut(data.cast::<u8>(), capacity, "data")?;
        let codec = index.export_codec()?;
        if let Some(place) = room.get_mut(..codec.len()) {
            place.copy_from_slice(&codec);
        }
        *bytes = codec.len();
        Ok(())
    })
}

/// Takes over what another index learnt: of the same metric, dimensions and quantizer (KITH_QUANTIZER_AUTO is KITH_QUANTIZER_PROJECTED4 here).
///
/// - index: the index; it never held a vector, or was cleared
/// - data: what kith_codec_export() wrote; believed in no way
/// - bytes: how many there are
///
/// Errors:
/// - KITH_ERROR_CORRUPT: the bytes are not those of a codec; KITH_ERROR_VERSION: they are of a newer version
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; the codec is for other indexes
/// - KITH_ERROR_EXISTS: the index holds vectors, or has learnt already
/// - KITH_ERROR_UNSUPPORTED: such an index learns nothing
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_codec_import(index: *mut kith_index, data: *const c_void, bytes: usize) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_codec_import", index, |index| index.import_codec(slice(data.cast::<u8>(), bytes, "data")?)) }
}
