//! What does an index hold, and how far apart are two vectors?

use super::arguments::{borrow, output, slice_mut, vector as one_vector};
use super::enter::enter;
use super::options::{InfoPlace, Place};
use super::types::{kith_element, kith_health, kith_index, kith_info, kith_metric, kith_status};
use crate::distance::{Element, Metric};
use crate::index::config::check_shape;
use std::ffi::{c_int, c_void};

/// Copies out the vector of a key, bit for bit as it was inserted; with KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 or one of _LEADING8, and with kith_options.held, the
/// vector that is held instead.
///
/// - index: the index
/// - key: its key
/// - vector: room for `dimensions` components of the index's element type, at any address
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: no vector has this key
/// - KITH_ERROR_ARGUMENT: a pointer is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_get(index: *const kith_index, key: u64, vector: *mut c_void) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_get", || unsafe {
        let index = borrow(index)?;
        index.get(key, slice_mut(vector.cast::<u8>(), index.vector_bytes(), "vector")?)
    })
}

/// Says whether a vector has this key.
///
/// - index: the index
/// - key: the key
/// - found: receives 1 or 0
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_contains(index: *const kith_index, key: u64, found: *mut c_int) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_contains", || unsafe {
        let index = borrow(index)?;
        let place = output(found, "found")?;
        place.write(index.contains(key)?.into());
        Ok(())
    })
}

/// Copies out the keys, in no particular order.
///
/// - index: the index
/// - keys: `capacity` places; receives as many keys as fit, the other places are left alone. May be NULL when capacity is 0
/// - capacity: places
/// - count: receives the number of all keys there are, which may be more than fit; 0 on failure
///
/// To learn the number only, pass NULL and 0. Beside changes, each key that is present during the whole call is among them.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; capacity x 8 bytes do not fit into memory
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_keys(
    index: *const kith_index,
    keys: *mut u64,
    capacity: usize,
    count: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_keys", || unsafe {
        let count = output(count, "count")?.write(0);
        let index = borrow(index)?;
        *count = index.keys(slice_mut(keys, capacity, "keys")?)?;
        Ok(())
    })
}

/// Copies out the keys whose removed vectors kith_undelete() can bring back, in no particular order.
///
/// - index, keys, capacity, count: as for kith_keys()
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; capacity x 8 bytes do not fit into memory
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_removed_keys(
    index: *const kith_index,
    keys: *mut u64,
    capacity: usize,
    count: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_removed_keys", || unsafe {
        let count = output(count, "count")?.write(0);
        let index = borrow(index)?;
        *count = index.removed_keys(slice_mut(keys, capacity, "keys")?)?;
        Ok(())
    })
}

/// Says where the vector of a key is stored, for reading it without a copy.
///
/// - index: the index
/// - key: its key, or one whose removed vector kith_undelete() can bring back
/// - vector: receives the address of `dimensions` components of the index's element type; NULL on failure
///
/// The bytes stay there, as they are, until the key gets another vector, or is removed for good (kith_remove() without KITH_KEEP_REMOVED,
/// kith_forget()), or the index is cleared or freed. To be read only. An index that held its vectors in less memory (see KITH_QUANTIZER_AUTO)
/// holds them as they were given from the first call that finds one on, which takes the time for a copy of all.
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: no vector has this key
/// - KITH_ERROR_ARGUMENT: a pointer is NULL
/// - KITH_ERROR_MEMORY: there is none for vectors as they were given
/// - KITH_ERROR_UNSUPPORTED: something else is held in place of the vectors (KITH_QUANTIZER_BYTES and the like, kith_options.held)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_row(index: *const kith_index, key: u64, vector: *mut *const c_void) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_row", || unsafe {
        let place = output(vector, "vector")?.write(std::ptr::null());
        *place = borrow(index)?.row(key)?.cast();
        Ok(())
    })
}

/// Says what the index is and holds.
///
/// - index: the index
/// - info: `size` must be set; the rest is written
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; info->size is 0 or no size of this struct
///
/// ```c
/// kith_info info = {.size = sizeof info};
/// if (kith_describe(index, &info) == KITH_OK) printf("%llu vectors\n", (unsigned long long)info.count);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_describe(index: *const kith_index, info: *mut kith_info) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_describe", || unsafe {
        let index = borrow(index)?;
        InfoPlace::new(info, "info")?.fill(&index.describe());
        Ok(())
    })
}

/// Copies out the keys of the vectors that a vector of a graph is linked to, in no particular order. Removed vectors are passed over.
///
/// - index: the index
/// - key: the vector's key
/// - level: 0, where all vectors are, or a level above, where the vector is one of the few
/// - keys: `capacity` places; receives as many keys as fit, the other places are left alone. May be NULL when capacity is 0
/// - capacity: places; there are at most 2 m neighbours at level 0 and m above
/// - count: receives the number of all there are; 0 on failure
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: no vector has this key, or it is not on that level
/// - KITH_ERROR_UNSUPPORTED: the index is flat
/// - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; capacity x 8 bytes do not fit into memory
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_neighbours(
    index: *const kith_index,
    key: u64,
    level: u32,
    keys: *mut u64,
    capacity: usize,
    count: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_neighbours", || unsafe {
        let count = output(count, "count")?.write(0);
        let index = borrow(index)?;
        *count = index.neighbours(key, level, slice_mut(keys, capacity, "keys")?)?;
        Ok(())
    })
}

/// Looks at the whole index and counts: links, the table of keys, counters, vectors, codes, and the file where it is used in place. Meant
/// for an index that rests: what is changed beside the call may be counted as it was, or as a fault. Reads all there is, so it takes
/// about as long as opening the index from a file does, and some bytes for each place.
///
/// - index: the index
/// - health: `size` must be set; the rest is written
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; health->size is 0 or no size of this struct
/// - KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_check(index: *const kith_index, health: *mut kith_health) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_check", || unsafe {
        let place = Place::new(health, "health")?;
        place.fill(&borrow(index)?.check()?);
        Ok(())
    })
}

/// The distance between two vectors, as searches report it. Needs no index.
///
/// - metric, element, dimensions: as in kith_options
/// - a, b: `dimensions` components each, at any address
/// - distance: receives the distance
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; metric, element or dimensions is unknown, out of range or does not go with the
///   others; a component is NaN or infinite; under KITH_COSINE, a vector is zero
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_distance(
    metric: kith_metric,
    element: kith_element,
    dimensions: u32,
    a: *const c_void,
    b: *const c_void,
    distance: *mut f32,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_distance", || unsafe {
        let (metric, element) = (Metric::try_from(metric)?, Element::try_from(element)?);
        check_shape(metric, element, dimensions)?;
        let bytes = element.vector_bytes(dimensions);
        let (a, b) = (one_vector(a, bytes, "a")?, one_vector(b, bytes, "b")?);
        let place = output(distance, "distance")?;
        place.write(crate::index::distance(metric, element, dimensions, a, b)?);
        Ok(())
    })
}
