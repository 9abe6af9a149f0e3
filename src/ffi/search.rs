//! How does C find neighbours?

use super::arguments::{borrow, check_k, check_queries, optional_slice_mut, output, rows, slice_mut, vector};
use super::enter::enter;
use super::options::with_search_options;
use super::types::{kith_index, kith_search_options, kith_status};
use std::ffi::c_void;

/// Finds the vectors nearest to one query: min(k, vectors that may be returned) hits, ordered by distance and, where distances
/// are equal, by key. Few or no hits are not an error.
///
/// - index: the index
/// - query: `dimensions` components of the index's element type, at any address
/// - k: hits wanted, 1 to 4,294,967,295
/// - options: breadth, threads, filter; may be NULL
/// - keys: `k` places; receives the keys of the hits, then KITH_NO_KEY
/// - distances: `k` places; receives the distances of the hits, then +infinity; may be NULL
/// - count: receives the number of hits; 0 on failure
///
/// Takes no lock, so it never waits for a change.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; k is 0 or too large; a component is NaN or infinite; under
///   KITH_COSINE, the query is zero; a field of options is out of range
/// - KITH_ERROR_UNSUPPORTED: recall is not 0, an unknown flag, or options of a newer version
/// - KITH_ERROR_MEMORY
///
/// ```c
/// uint64_t keys[10]; float distances[10]; size_t found;
/// if (kith_search(index, query, 10, NULL, keys, distances, &found)) fprintf(stderr, "%s\n", kith_last_error());
/// for (size_t i = 0; i < found; i++) printf("%llu at %g\n", (unsigned long long)keys[i], distances[i]);
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_search(
    index: *const kith_index,
    query: *const c_void,
    k: usize,
    options: *const kith_search_options,
    keys: *mut u64,
    distances: *mut f32,
    count: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_search", || unsafe {
        let count = output(count, "count")?.write(0);
        let index = borrow(index)?;
        check_k(k)?;
        let query = vector(query, index.vector_bytes(), "query")?;
        let keys = slice_mut(keys, k, "keys")?;
        let distances = optional_slice_mut(distances, k, "distances")?;
        *count = with_search_options(options, |options| index.search(query, keys, distances, options))?;
        Ok(())
    })
}

/// Answers many queries, on several threads. Each answer is that of kith_search().
///
/// - index: the index
/// - queries: number of queries; 0 succeeds, and then the pointers may be NULL
/// - vectors: the queries, the first byte of each `stride` bytes after that of the one before
/// - stride: bytes from one query to the next, at least those of a vector; 0 means packed
/// - k: hits wanted per query
/// - options: breadth, threads, filter, for all queries; may be NULL
/// - keys: `queries` x `k` places, row by row
/// - distances: `queries` x `k` places, row by row; may be NULL
/// - counts: `queries` places; receives the number of hits of each query; 0 on failure
///
/// Errors: those of kith_search(), where one bad query refuses the batch and is named by its place; and
/// - KITH_ERROR_ARGUMENT: stride smaller than a vector; queries x k results do not fit into memory
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_search_batch(
    index: *const kith_index,
    queries: usize,
    vectors: *const c_void,
    stride: usize,
    k: usize,
    options: *const kith_search_options,
    keys: *mut u64,
    distances: *mut f32,
    counts: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_search_batch", || unsafe {
        // Before anything is written: of an absurd number of queries nobody has the counts.
        check_queries(queries, k)?;
        let counts = slice_mut(counts, queries, "counts")?;
        counts.fill(0);
        let index = borrow(index)?;
        check_k(k)?;
        let vectors = rows(vectors, queries, stride, index.vector_bytes(), "vectors")?;
        let keys = slice_mut(keys, queries * k, "keys")?;
        let distances = optional_slice_mut(distances, queries * k, "distances")?;
        let outcome = with_search_options(options, |options| {
            index.search_batch(vectors, k, keys, distances, Some(&mut *counts), options)
        });
        if outcome.is_err() {
            counts.fill(0);
        }
        outcome
    })
}
