//! How does an index begin and end?

use super::arguments::output;
use super::enter::{enter, guarded};
use super::options::{Place, index_options};
use super::types::{kith_estimate_result, kith_index, kith_options, kith_status};
use crate::index::Index;

/// Makes an empty index.
///
/// - options: what it is to be; `dimensions` must be set. Copied: it need not outlive the call.
/// - index: receives the handle, to be ended with kith_free(). NULL on failure.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; a field is out of range or names an unknown metric, element or kind; metric and
///   element do not go together (Hamming and Jaccard go with KITH_B1, and only they)
/// - KITH_ERROR_UNSUPPORTED: an unknown quantizer or flag, a kind that this version does not have, or options of a newer version
/// - KITH_ERROR_MEMORY: `capacity` is more than the system gives
///
/// ```c
/// kith_options options = {.size = sizeof options, .dimensions = 384, .metric = KITH_COSINE};
/// kith_index *index;
/// if (kith_create(&options, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_create(options: *const kith_options, index: *mut *mut kith_index) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_create", || unsafe {
        let place = output(index, "index")?;
        place.write(std::ptr::null_mut());
        let index = Index::create(&index_options(options)?)?;
        place.write(kith_index::handle(index));
        Ok(())
    })
}

/// Says how much memory an index will hold, before there is one. Divided by `count`: the bytes per vector, all in.
///
/// - options: as for kith_create(). `capacity` and `memory_limit` do not matter
/// - count: vectors that it is to hold
/// - result: `size` must be set; receives the least and the most, 2 % less or more from a megabyte on. They are near each other where the length of codes follows from the
///   dimensions (no codes, KITH_QUANTIZER_BYTES, or up to 112 dimensions; _PROJECTED2: 224, _PROJECTED1 and _PRODUCT: 448; _SIGNS always), `m` is given (with 0 rows may turn out 64 bytes shorter) and the arrays
///   are many times as large as a huge page of the system, of which each may hold a part that is not used: 2 % apart at a million vectors, up to a half at 10,000
///
/// Vectors that turn out to be whole numbers, and are held as bytes (see KITH_QUANTIZER_AUTO), take less than either. Not counted is what searches and insertions keep for the
/// next ones, and what building takes while it goes on: a memory_limit of the
/// most does not let a large batch in. What recall a quantizer has depends on the vectors: the result says between which bounds
/// it was on some, and docs/memory.md has measured tables.
///
/// Errors: those of kith_create(); and
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; count is more than such an index can hold; result->size is 0 or no size of this struct
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_estimate(
    options: *const kith_options,
    count: u64,
    result: *mut kith_estimate_result,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_estimate", || unsafe {
        let place = Place::<kith_estimate_result>::new(result, "result")?;
        place.fill(Index::estimate(&index_options(options)?, count)?);
        Ok(())
    })
}

/// Ends an index and gives back its memory, threads and files. Nothing is saved. NULL is fine. Cannot fail.
///
/// The one call that must not run beside another on the same index: all others must have returned, and none may follow. Not to
/// be called from a callback of that index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_free(index: *mut kith_index) {
    if index.is_null() {
        return;
    }
    // A defect met here has nowhere to go: there is no status, and the index is gone either way.
    // SAFETY: handles come from Box::into_raw (kith_index::handle), and this one is not used again, by promise. The worker, which uses it,
    // ends before.
    let _ = guarded(|| unsafe {
        let worker = (*index).worker.lock().take();
        drop(worker);
        drop(Box::from_raw(index));
    });
}
