//! What do the tests of the C layer share? A handle that frees itself, structs with their size set, and the last error as text.

#![allow(dead_code)] // each test program uses a part

use kith::ffi::*;
use std::ffi::CStr;
use std::mem::size_of;
use std::ptr::{null, null_mut};

/// KITH_ERROR_ numbers as C sees them.
pub(crate) const ARGUMENT: i32 = kith_status_values::KITH_ERROR_ARGUMENT as i32;
pub(crate) const NOT_FOUND: i32 = kith_status_values::KITH_ERROR_NOT_FOUND as i32;
pub(crate) const EXISTS: i32 = kith_status_values::KITH_ERROR_EXISTS as i32;
pub(crate) const UNSUPPORTED: i32 = kith_status_values::KITH_ERROR_UNSUPPORTED as i32;
pub(crate) const BUSY: i32 = kith_status_values::KITH_ERROR_BUSY as i32;
pub(crate) const INTERNAL: i32 = kith_status_values::KITH_ERROR_INTERNAL as i32;

/// This thread's last error.
pub(crate) fn last_error() -> String {
    // SAFETY: kith_last_error gives a C string, valid until this thread's next failure.
    unsafe { CStr::from_ptr(kith_last_error()) }.to_str().unwrap().to_owned()
}

/// The call failed with this status, and its sentence begins with `function: ` and has each of `parts`.
#[track_caller]
pub(crate) fn refused(status: i32, wanted: i32, function: &str, parts: &[&str]) {
    let text = last_error();
    assert_eq!(status, wanted, "{function} {parts:?}: {text}");
    assert!(text.starts_with(&format!("{function}: ")), "{text:?} does not begin with {function}");
    for part in parts {
        assert!(text.contains(part), "{text:?} does not contain {part:?}");
    }
}

pub(crate) fn options(dimensions: u32) -> kith_options {
    kith_options {
        size: size_of::<kith_options>() as u32,
        dimensions,
        metric: 0,
        element: 0,
        kind: 0,
        quantizer: 0,
        m: 0,
        ef_construction: 0,
        ef_search: 0,
        flags: 0,
        capacity: 0,
        seed: 0,
        distance: None,
        distance_ctx: null_mut(),
        graph_from: 0,
        memory_limit: 0,
        held: 0,
        bytes_per_vector: 0,
    }
}

pub(crate) fn search_options() -> kith_search_options {
    kith_search_options {
        size: size_of::<kith_search_options>() as u32,
        ef: 0,
        threads: 0,
        recall: 0.0,
        filter: None,
        filter_ctx: null_mut(),
        flags: 0,
        stats: null_mut(),
    }
}

pub(crate) fn build_options() -> kith_build_options {
    kith_build_options {
        size: size_of::<kith_build_options>() as u32,
        threads: 0,
        progress: None,
        progress_ctx: null_mut(),
        flags: 0,
    }
}

/// An index that is freed when it goes.
pub(crate) struct Handle(pub(crate) *mut kith_index);

impl Handle {
    pub(crate) fn new(options: &kith_options) -> Self {
        let mut index = null_mut();
        // SAFETY: valid pointers.
        let status = unsafe { kith_create(options, &raw mut index) };
        assert_eq!(status, 0, "{}", last_error());
        assert!(!index.is_null());
        Self(index)
    }

    /// Two dimensions, f32, L2, the library's choice of kind, with key k at (k, 0) for each of `keys`.
    pub(crate) fn with_keys(keys: impl IntoIterator<Item = u64>) -> Self {
        Self::of_kind(0, keys)
    }

    /// As `with_keys`, of this kind.
    pub(crate) fn of_kind(kind: u32, keys: impl IntoIterator<Item = u64>) -> Self {
        let handle = Self::new(&kith_options { kind, ..options(2) });
        for key in keys {
            assert_eq!(handle.insert(key, &[key as f32, 0.0]), 0, "{}", last_error());
        }
        handle
    }

    pub(crate) fn insert<T>(&self, key: u64, vector: &[T]) -> i32 {
        // SAFETY: a live handle; tests pass vectors of the index's shape.
        unsafe { kith_insert(self.0, key, vector.as_ptr().cast()) }
    }

    pub(crate) fn search(
        &self,
        query: &[f32],
        k: usize,
        options: Option<&kith_search_options>,
    ) -> (i32, Vec<u64>, Vec<f32>) {
        let (mut keys, mut distances, mut count) = (vec![7; k], vec![7.0; k], 7);
        let options = options.map_or(null(), |options| &raw const *options);
        // SAFETY: a live handle, a query of the index's shape, k places.
        let status = unsafe {
            kith_search(
                self.0,
                query.as_ptr().cast(),
                k,
                options,
                keys.as_mut_ptr(),
                distances.as_mut_ptr(),
                &raw mut count,
            )
        };
        if status != 0 {
            assert_eq!(count, 0);
        }
        keys.truncate(count);
        distances.truncate(count);
        (status, keys, distances)
    }

    /// Everything that can be read: description, keys in order, and their vectors.
    pub(crate) fn contents(&self) -> (Vec<u64>, Vec<u64>, Vec<Vec<u8>>) {
        let mut info = [0u64; size_of::<kith_info>() / 8];
        let mut count = 0;
        let info_place = (&raw mut info).cast::<kith_info>();
        // SAFETY: room for a kith_info; NULL keys with capacity 0.
        unsafe {
            (*info_place).size = size_of::<kith_info>() as u32;
            assert_eq!(kith_describe(self.0, info_place), 0, "{}", last_error());
            assert_eq!(kith_keys(self.0, null_mut(), 0, &raw mut count), 0, "{}", last_error());
        }
        let mut keys = vec![0; count];
        // SAFETY: `count` places.
        assert_eq!(unsafe { kith_keys(self.0, keys.as_mut_ptr(), count, &raw mut count) }, 0, "{}", last_error());
        keys.sort_unstable();
        let vectors = keys.iter().map(|&key| {
            let mut vector = vec![0u8; 4096];
            // SAFETY: tests use vectors of up to 4096 bytes.
            assert_eq!(unsafe { kith_get(self.0, key, vector.as_mut_ptr().cast()) }, 0, "{}", last_error());
            vector
        });
        let vectors = vectors.collect();
        info[8] = 0; // bytes: the first search of a thread adds its scratch memory
        (info.to_vec(), keys, vectors)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: a live handle, used by nobody else now.
        unsafe { kith_free(self.0) };
    }
}
