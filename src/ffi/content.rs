//! How do vectors get into an index and out of it?

use super::arguments::{borrow, output, rows, slice, vector as one_vector};
use super::enter::{change, enter};
use super::options::with_build_options;
use super::types::{kith_build_options, kith_index, kith_read_fn, kith_status};
use crate::util::error::Error;
use std::ffi::c_void;

/// Adds one vector under a new key.
///
/// - index: the index
/// - key: chosen by the caller, anything but KITH_NO_KEY
/// - vector: `dimensions` components of the index's element type, at any address; copied before the call returns
///
/// A search that starts after this returned finds the vector.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; key is KITH_NO_KEY; a component is NaN or infinite; under KITH_COSINE, the vector is
///   zero
/// - KITH_ERROR_EXISTS: a vector has this key (kith_upsert() replaces it)
/// - KITH_ERROR_FULL: the capacity is fixed and reached
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_insert(index: *mut kith_index, key: u64, vector: *const c_void) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_insert", index, |index| index.insert(key, one_vector(vector, index.vector_bytes(), "vector")?))
    }
}

/// Adds one vector, or replaces the one that has this key. A search beside it sees the old vector or the new one, never both and
/// never neither.
///
/// Arguments and errors are those of kith_insert(), without KITH_ERROR_EXISTS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_upsert(index: *mut kith_index, key: u64, vector: *const c_void) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_upsert", index, |index| index.upsert(key, one_vector(vector, index.vector_bytes(), "vector")?))
    }
}

/// Adds many vectors, on several threads, all of them or none.
///
/// - index: the index
/// - count: number of vectors; 0 succeeds, and then keys and vectors may be NULL
/// - keys: `count` keys, each new and different from the others (but see KITH_UPSERT)
/// - vectors: `count` vectors, the first byte of each `stride` bytes after that of the one before
/// - stride: bytes from one vector to the next, at least those of a vector; 0 means packed
/// - options: threads, progress, KITH_UPSERT, KITH_BUILD_FAST; may be NULL
///
/// A graph is built as a whole, many times as fast as vector by vector, if it was empty, or if there are at least 1,000 vectors and
/// the graph had no more than four times as many (and m is at most 32). While that lasts it takes about 1 KB of memory per vector
/// plus a byte per component, and searches find nothing of the batch. From the same vectors in the same order, into an empty index
/// of the same options, any number of threads on any machine makes the same graph. A batch of at least 1,000 into a graph of up to sixteen times as many
/// is appended as a whole, with the same memory, unless many of its vectors equal others; any number of threads makes the same of it. Bring such batches one after the other, with all threads: of two at the
/// same time, the one that is done later links the vectors of the other one by one, while inserts wait.
///
/// One bad or present key, or one bad vector, refuses the whole batch; the text names its place. Searches beside
/// the call may find some of the vectors before it returns.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: as for kith_insert(); stride smaller than a vector; count x stride does not fit
///   into memory
/// - KITH_ERROR_EXISTS: a key is present or stands twice in the batch, and KITH_UPSERT is not set
/// - KITH_ERROR_FULL: the capacity is fixed, and not all vectors fit
/// - KITH_ERROR_CANCELLED: progress returned non-zero
/// - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
///
/// ```c
/// kith_build_options options = {.size = sizeof options, .progress = report};
/// if (kith_insert_batch(index, n, keys, rows, 0, &options)) fprintf(stderr, "%s\n", kith_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_insert_batch(
    index: *mut kith_index,
    count: usize,
    keys: *const u64,
    vectors: *const c_void,
    stride: usize,
    options: *const kith_build_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_insert_batch", index, |index| {
            let keys = slice(keys, count, "keys")?;
            let vectors = rows(vectors, count, stride, index.vector_bytes(), "vectors")?;
            with_build_options(options, |options| index.insert_batch(keys, vectors, options))
        })
    }
}

/// Adds many vectors that need not be in memory together, on several threads, all of them or none: a function of yours brings them
/// piece by piece, a few MiB at a time, from a file, a socket or a generator.
///
/// - index: the index
/// - count: number of vectors that read will bring; 0 succeeds, and read is not called
/// - read: called on this thread until all are there; may read the index, must not change it
/// - ctx: handed to read; may be NULL
/// - options: as for kith_insert_batch(); may be NULL
///
/// All that is said of kith_insert_batch() holds here: the graph is built as a whole from the same number on, takes as much memory while that lasts, and the same
/// vectors in the same order make the same graph. Beside the index there is memory for a piece of 4 MiB (or 64 vectors, if those are more), and for all keys. What
/// an index learns before it holds anything (KITH_QUANTIZER_BYTES, KITH_QUANTIZER_LEADING8 and KITH_QUANTIZER_LEADING8_FINE) it learns from the first piece, which
/// then has at least 4,096 vectors: where those are not like the rest, call kith_train() before. Places of removed vectors are not used again while read
/// is awaited.
///
/// A kith_clear() beside the call takes the vectors along, even those that are yet to come.
///
/// Errors: those of kith_insert_batch(), and
/// - KITH_ERROR_ARGUMENT: read is NULL; a key or a component was not written
/// - KITH_ERROR_CANCELLED: read, or progress, returned non-zero
/// - KITH_ERROR_UNSUPPORTED: the index is a durable directory and holds reduced vectors in place of those that are given, which its
///   log would have to tell
///
/// ```c
/// static int next(void *ctx, size_t first, size_t count, uint64_t *keys, void *vectors) {
///     for (size_t i = 0; i < count; i++) keys[i] = first + i;
///     return fread(vectors, DIMENSIONS * sizeof(float), count, ctx) != count;
/// }
/// if (kith_insert_from(index, n, next, file, NULL)) fprintf(stderr, "%s\n", kith_last_error());
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_insert_from(
    index: *mut kith_index,
    count: usize,
    read: kith_read_fn,
    ctx: *mut c_void,
    options: *const kith_build_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_insert_from", index, |index| {
            let Some(read) = read else { return Err(Error::argument("read is NULL")) };
            let mut fill = |first: usize, keys: &mut [u64], vectors: &mut [u8]| {
                // read and ctx belong together and may be used until this returns, by promise; both places are as long as the type says.
                read(ctx, first, keys.len(), keys.as_mut_ptr(), vectors.as_mut_ptr().cast()) != 0
            };
            with_build_options(options, |options| index.insert_from(count, &mut fill, options))
        })
    }
}

/// Removes the vector of a key. A search that starts after this returned does not find it.
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: no vector has this key
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_remove(index: *mut kith_index, key: u64) -> kith_status {
    // SAFETY: index is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_remove", index, |index| index.remove(key)) }
}

/// Removes the vectors of many keys; keys that are absent are passed over.
///
/// - index: the index
/// - count: number of keys; 0 succeeds, and then keys may be NULL
/// - keys: `count` keys
/// - removed: receives how many vectors were removed; 0 on failure
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; count x 8 bytes do not fit into memory
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_remove_batch(
    index: *mut kith_index,
    count: usize,
    keys: *const u64,
    removed: *mut usize,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        // Before the handle is looked at: a count is 0 on every failure.
        let place = output(removed, "removed").map(|place| place.write(0));
        change("kith_remove_batch", index, |index| {
            let removed = place?;
            *removed = index.remove_batch(slice(keys, count, "keys")?)?;
            Ok(())
        })
    }
}

/// Brings back the vector that was removed last under a key, in an index with KITH_KEEP_REMOVED. A search that starts after this
/// returned finds it.
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: there is none: never removed, given up by kith_forget(), or the index does not keep them
/// - KITH_ERROR_EXISTS: the key has a vector
/// - KITH_ERROR_FULL: the capacity is fixed and reached
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_undelete(index: *mut kith_index, key: u64) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_undelete", index, |index| index.undelete(key)) }
}

/// Gives up what kith_undelete() could bring back under a key.
///
/// Errors:
/// - KITH_ERROR_NOT_FOUND: there is nothing
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_forget(index: *mut kith_index, key: u64) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_forget", index, |index| index.forget(key)) }
}

/// Removes every vector. Options, capacity and seed stay.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_clear(index: *mut kith_index) -> kith_status {
    // SAFETY: index is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_clear", index, |index| index.clear()) }
}

/// Makes room for `capacity` vectors in all, so that inserts up to there need no more memory for vectors. Less than there is
/// already: nothing happens. With KITH_FIXED_CAPACITY this changes the capacity instead, up or down, and asks for no memory.
///
/// Errors:
/// - KITH_ERROR_MEMORY: the system refused, or so many vectors would be more than memory_limit; the index is as it was
/// - KITH_ERROR_ARGUMENT: index is NULL; capacity is more than an index can hold
/// - KITH_ERROR_FULL: the capacity is fixed, and there are more vectors than that
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_reserve(index: *mut kith_index, capacity: u64) -> kith_status {
    // SAFETY: index is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_reserve", index, |index| index.reserve(capacity)) }
}

/// Says how much memory an index may hold from now on: as kith_options.memory_limit does for a new one.
///
/// - index: the index, new or opened, also a mapped one
/// - bytes: the most that kith_info.bytes may come to; 0: any amount. What is there stays, even if it is more
///
/// Insertions, batches, kith_reserve(), kith_optimize(), kith_requantize(), kith_repair(), kith_import() and kith_open_directory() that could go above it give KITH_ERROR_MEMORY
/// with the figures, before they change anything. What counts is the most that a call may take, buffers included: a batch that is built
/// as a whole needs about 1 KB for each vector that is there and comes, while it works, so smaller batches, or kith_insert(), may
/// still fit where a large one does not; an insertion after which an array needs another page is counted with a huge one of 2 MiB for each, so that an index that was
/// compacted wants some megabytes of room; and several calls at the same time may be refused a little early. Removal goes on, and kith_maintain()
/// and kith_compact() make room. An index of KITH_KIND_AUTO that cannot become a graph within the limit stays exact: kith_maintain() does what else there
/// is to do and gives the status then, and so does kith_export() of a graph. Searches are never refused; the buffers that they keep count. Files do not hold the limit, and a saved
/// index of more than the limit can be opened.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_set_memory_limit(index: *mut kith_index, bytes: u64) -> kith_status {
    enter("kith_set_memory_limit", || {
        // SAFETY: index is NULL or as the header says: the room's safety chapter.
        unsafe { borrow(index) }?.set_memory_limit(bytes);
        Ok(())
    })
}
