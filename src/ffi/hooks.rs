//! How can a C program make kith panic? Only in a build with the feature `test-hooks`, which is never shipped.

use super::enter::change;
use super::types::{kith_index, kith_status};

/// Panics inside a changing call, as a defect of kith would. Not part of the interface: no header declares it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_test_panic(index: *mut kith_index) -> kith_status {
    // SAFETY: `index` is NULL or a live handle: the room's safety chapter.
    unsafe { change("kith_test_panic", index, |_| panic!("asked to")) }
}
