//! What does an index hold, and how far apart are two vectors?

use super::arguments::{borrow, output, slice_mut, vector as one_vector};
use super::enter::enter;
use super::options::InfoPlace;
use super::types::{kith_element, kith_index, kith_info, kith_metric, kith_status};
use crate::distance::{Element, Metric};
use crate::index::config::check_shape;
use std::ffi::{c_int, c_void};

/// Copies out the vector of a key, bit for bit as it was inserted.
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
        InfoPlace::new(info)?.fill(&index.describe());
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
