//! How can a C program make kith panic, or learn how much it computed? Only in a build with the feature `test-hooks`, which is never
//! shipped. No header declares these functions.

use super::arguments::borrow;
use super::enter::change;
use super::types::{kith_index, kith_status};
use crate::index::Index;

/// Panics inside a changing call, as a defect of kith would. Not part of the interface: no header declares it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_test_panic(index: *mut kith_index) -> kith_status {
    // SAFETY: `index` is NULL or a live handle: the room's safety chapter.
    unsafe { change("kith_test_panic", index, |_| panic!("asked to")) }
}

/// Distances that the searches of one thread computed on this index, all in all; for `benches/work`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_test_distances(index: *const kith_index) -> u64 {
    // SAFETY: `index` is NULL or a live handle: the room's safety chapter.
    unsafe { borrow(index) }.map_or(0, Index::scored)
}
