//! How does a search reach the recall that it asks for?

use super::arguments::{borrow, check_k, output, rows};
use super::enter::{change, enter};
use super::options::with_build_options;
use super::types::{kith_build_options, kith_index, kith_status};
use crate::util::error::{Error, Result};
use std::ffi::c_void;

/// Measures which breadth gives which recall on this index, for searches that ask for a recall (kith_search_options.recall). Compares
/// searches of 16 breadths from 10 to 2,048 with exact scans, for 1, 10 and 100 hits.
///
/// - index: the index. A flat one has no breadth to learn: nothing is measured
/// - queries: queries like those to come, the first byte of each `stride` bytes after that of the one before; NULL with a count of 0: up to
///   about 500 of the index's own vectors stand for them, each looking for the others
/// - count: number of queries. Some hundred are enough
/// - stride: bytes from one query to the next, at least those of a vector; 0 means packed
/// - options: threads, progress; may be NULL. Flags must be 0
///
/// Searches and changes go on meanwhile. A later call measures anew. What was measured lives with the handle: a file does not keep it.
/// Takes the time of `count` exact scans and some 48 searches for each query. A handle that was opened read-only can be calibrated too.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL; queries is NULL and count is not 0; a bad query, which is named by its place
/// - KITH_ERROR_CANCELLED: progress returned non-zero; what was measured before stays
/// - KITH_ERROR_UNSUPPORTED: the index is KITH_CUSTOM; an unknown flag, or options of a newer version
/// - KITH_ERROR_MEMORY, KITH_ERROR_BUSY
///
/// ```c
/// if (kith_calibrate(index, NULL, 0, 0, NULL)) fprintf(stderr, "%s\n", kith_last_error());
/// kith_search_options options = {.size = sizeof options, .recall = 0.95f};
/// kith_search(index, query, 10, &options, keys, distances, &found);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_calibrate(
    index: *mut kith_index,
    queries: *const c_void,
    count: usize,
    stride: usize,
    options: *const kith_build_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_calibrate", index, |index| {
            let queries = if queries.is_null() && count == 0 {
                None
            } else {
                Some(rows(queries, count, stride, index.vector_bytes(), "queries")?)
            };
            with_build_options(options, |options| {
                if options.upsert || options.fast {
                    return Err(Error::unsupported("kith_calibrate takes no flags; they must be 0"));
                }
                index.calibrate(queries, options)
            })
        })
    }
}

/// The breadth that a search for k hits with this recall has at present, from what kith_calibrate() measured and searches learnt since.
///
/// - index: the index
/// - k: hits wanted
/// - recall: above 0 and up to 1
/// - ef: receives the breadth; beyond what was measured the largest, 2,048. On a flat index, and before kith_calibrate(): 0
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; k is 0; recall is out of range
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_breadth_for(
    index: *const kith_index,
    k: usize,
    recall: f32,
    ef: *mut u32,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_breadth_for", || unsafe {
        let index = borrow(index)?;
        check_k(k)?;
        check_recall(recall)?;
        output(ef, "ef")?.write(index.breadth_for(k, recall).unwrap_or(0));
        Ok(())
    })
}

fn check_recall(recall: f32) -> Result<()> {
    if recall > 0.0 && recall <= 1.0 {
        return Ok(());
    }
    Err(Error::argument(format!("recall is {recall}, allowed are numbers above 0 up to 1")))
}
