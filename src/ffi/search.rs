//! How does C find neighbours?

use super::arguments::{borrow, check_k, check_queries, optional_slice_mut, output, rows, slice_mut, vector};
use super::enter::enter;
use super::options::{watcher, with_search_options};
use super::types::{kith_index, kith_observer, kith_search_options, kith_status};
use crate::index::{Index, Opaque, Query};
use crate::util::error::{Error, Result};
use std::ffi::c_void;

/// Finds the vectors nearest to one query: min(k, vectors that may be returned) hits, ordered by distance and, where distances
/// are equal, by key. Few or no hits are not an error.
///
/// - index: the index
/// - query: `dimensions` components of the index's element type, at any address; with KITH_CUSTOM whatever the distance function takes
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
/// - KITH_ERROR_UNSUPPORTED: a recall under KITH_CUSTOM, an unknown flag, or options of a newer version
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
        let query = query_of(index, query)?;
        let keys = slice_mut(keys, k, "keys")?;
        let distances = optional_slice_mut(distances, k, "distances")?;
        *count = with_search_options(options, |options| match query {
            Query::Vector(query) => index.search(query, keys, distances, options),
            Query::Opaque(query) => {
                let mut wide = vec![0.0; k];
                let count = index.search_opaque(query, keys, Some(&mut wide), options)?;
                distances.into_iter().flatten().zip(wide).for_each(|(place, distance)| *place = distance as f32);
                Ok(count)
            }
        })?;
        Ok(())
    })
}

/// A query from C. What only the caller's distance function reads is not looked at, not even at its length.
///
/// # Safety
/// - `query` is NULL, or readable for a vector of the index or, where it has a distance function, for that function, during `'a`.
unsafe fn query_of<'a>(index: &Index, query: *const c_void) -> Result<Query<'a>> {
    if index.is_custom() {
        if query.is_null() {
            return Err(Error::argument("query is NULL"));
        }
        // SAFETY: the caller's promise, passed on.
        return Ok(Query::Opaque(unsafe { Opaque::new(query.cast()) }));
    }
    // SAFETY: the caller's promise, passed on.
    unsafe { vector(query, index.vector_bytes(), "query") }.map(Query::Vector)
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

/// As kith_search(), with distances in double precision: under KITH_CUSTOM just what the distance function returned, else the floats
/// that kith_search() gives.
///
/// - index, query, k, options, keys, count: as for kith_search()
/// - distances: `k` places; receives the distances of the hits, then +infinity; may be NULL
///
/// Errors: those of kith_search().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_search_double(
    index: *const kith_index,
    query: *const c_void,
    k: usize,
    options: *const kith_search_options,
    keys: *mut u64,
    distances: *mut f64,
    count: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_search_double", || unsafe {
        let count = output(count, "count")?.write(0);
        let index = borrow(index)?;
        check_k(k)?;
        let query = query_of(index, query)?;
        let keys = slice_mut(keys, k, "keys")?;
        let distances = optional_slice_mut(distances, k, "distances")?;
        *count = with_search_options(options, |options| match query {
            Query::Vector(query) => index.search_wide(query, keys, distances, options),
            Query::Opaque(query) => index.search_opaque(query, keys, distances, options),
        })?;
        Ok(())
    })
}

/// Searches for as long as an observer lets it, for ends that are no number of hits: all vectors within a distance, vectors of
/// so many different documents, a budget of time.
///
/// - index: the index
/// - query: `dimensions` components of the index's element type, at any address
/// - observer: copied; its functions run on the calling thread and are told the hits at the end
/// - options: filter and stats; the rest must be 0. May be NULL
///
/// The search begins with one candidate near the query (on a flat index: with all vectors, nearest first). As long as a candidate is left
/// and `stop` lets it, it takes the nearest one and looks at the vectors that are linked to it: what `consider` accepts is a candidate
/// and, unless the filter refuses it, a hit, which `add` is told; then the farthest hits are dropped as long as `excess` asks for it.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL that must not be; a component is NaN or infinite; under KITH_COSINE, the query is zero
/// - KITH_ERROR_UNSUPPORTED: an unknown flag, an option that this call does not have, or options of a newer version
/// - KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_search_observed(
    index: *const kith_index,
    query: *const c_void,
    observer: *const kith_observer,
    options: *const kith_search_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_search_observed", || unsafe {
        let index = borrow(index)?;
        let query = query_of(index, query)?;
        let watcher = watcher(observer)?;
        with_search_options(options, |options| {
            if options.ef != 0 || options.recall != 0.0 || options.threads > 1 {
                return Err(Error::unsupported(
                    "a search with an observer has no ef, no recall and one thread; they must be 0",
                ));
            }
            index.search_observed(query, &mut &watcher, options, &mut |key, vector, distance| {
                watcher.hit(key, vector, distance);
            })
        })
    })
}
