//! What may a callback do, and what does a defect inside a call look like from outside?

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::undocumented_unsafe_blocks)] // callbacks get the ctx that the test passed, which lives until the call returns

mod ffi_support;

use ffi_support::*;
use kith::ffi::*;
use std::ffi::{c_int, c_void};
use std::process::Command;
use std::ptr::{null, null_mut};
use std::thread::ThreadId;

/// Flat and graph.
const KINDS: [u32; 2] = [1, 2];

/// What the callbacks of these tests know and note.
struct Scene {
    index: *mut kith_index,
    other: *mut kith_index,
    calls: u32,
    statuses: Vec<i32>,
    reads: Vec<i32>,
    threads: Vec<ThreadId>,
    seen: Vec<(u64, u64)>,
}

impl Scene {
    fn new(index: &Handle, other: &Handle) -> Self {
        Self {
            index: index.0,
            other: other.0,
            calls: 0,
            statuses: vec![],
            reads: vec![],
            threads: vec![],
            seen: vec![],
        }
    }

    /// Tries every change and every way to read, on the first call only.
    fn try_everything(&mut self) {
        self.calls += 1;
        self.threads.push(std::thread::current().id());
        if self.calls > 1 {
            return;
        }
        let (index, vector, key) = (self.index, [5.0_f32, 5.0], 5_u64);
        let place = vector.as_ptr().cast::<c_void>();
        let mut number = 0_usize;
        unsafe {
            self.statuses = vec![
                kith_insert(index, 77, place),
                kith_upsert(index, 1, place),
                kith_insert_batch(index, 1, &raw const key, place, 0, null()),
                kith_remove(index, 1),
                kith_remove_batch(index, 1, &raw const key, &raw mut number),
                kith_clear(index),
                kith_reserve(index, 1000),
            ];
            let (mut found, mut keys, mut back) = (0, [0_u64; 2], [0.0_f32; 2]);
            let mut info = [0_u64; 11];
            let info = info.as_mut_ptr().cast::<kith_info>();
            (*info).size = 88;
            self.reads = vec![
                kith_contains(index, 1, &raw mut found),
                kith_get(index, 1, back.as_mut_ptr().cast()),
                kith_keys(index, keys.as_mut_ptr(), 2, &raw mut number),
                kith_describe(index, info),
                kith_search(index, place, 2, null(), keys.as_mut_ptr(), null_mut(), &raw mut number),
                kith_upsert(self.other, 1, place),
            ];
        }
    }
}

unsafe extern "C-unwind" fn filter(ctx: *mut c_void, key: u64) -> c_int {
    let scene = unsafe { &mut *ctx.cast::<Scene>() };
    scene.try_everything();
    (key % 2 == 1).into()
}

unsafe extern "C-unwind" fn progress(ctx: *mut c_void, done: u64, total: u64) -> c_int {
    let scene = unsafe { &mut *ctx.cast::<Scene>() };
    scene.try_everything();
    scene.seen.push((done, total));
    0
}

unsafe extern "C-unwind" fn cancel_after_half(ctx: *mut c_void, done: u64, total: u64) -> c_int {
    let calls = unsafe { &mut *ctx.cast::<u32>() };
    *calls += 1;
    (done * 2 >= total).into()
}

#[test]
fn a_filter_may_read_but_not_change_its_index() {
    KINDS.into_iter().for_each(filter_tries_everything);
}

fn filter_tries_everything(kind: u32) {
    let (index, other) = (Handle::of_kind(kind, 1..=9), Handle::with_keys([]));
    let before = index.contents();
    let mut scene = Scene::new(&index, &other);
    let options = kith_search_options { filter: Some(filter), filter_ctx: (&raw mut scene).cast(), ..search_options() };
    let (status, keys, _) = index.search(&[1.0, 0.0], 9, Some(&options));
    assert_eq!((status, keys), (0, vec![1, 3, 5, 7, 9]), "{}", last_error());
    assert_eq!(scene.statuses, [BUSY; 7]);
    assert_eq!(scene.reads, [0; 6]);
    assert!(index.contents() == before);
    assert_eq!(other.contents().1, [1]);
    assert_eq!(index.insert(77, &[0.0_f32, 0.0]), 0, "after the search it may change again: {}", last_error());
}

#[test]
fn a_filter_without_the_flag_runs_on_the_calling_thread_only() {
    let (index, other) = (Handle::with_keys(1..=3000), Handle::with_keys([]));
    let mut scene = Scene::new(&index, &other);
    scene.calls = 1; // nothing but noting threads
    let options = kith_search_options {
        filter: Some(filter),
        filter_ctx: (&raw mut scene).cast(),
        threads: 8,
        ..search_options()
    };
    let queries = [0.0_f32; 40];
    let (mut keys, mut counts) = ([0; 40], [0; 20]);
    let place = queries.as_ptr().cast();
    let status = unsafe {
        kith_search_batch(
            index.0,
            20,
            place,
            0,
            2,
            &raw const options,
            keys.as_mut_ptr(),
            null_mut(),
            counts.as_mut_ptr(),
        )
    };
    assert_eq!((status, counts), (0, [2; 20]), "{}", last_error());
    assert_eq!(index.search(&[0.0, 0.0], 2, Some(&options)).1, [1, 3]);
    let me = std::thread::current().id();
    assert!(!scene.threads.is_empty() && scene.threads.iter().all(|thread| *thread == me));
}

#[test]
fn progress_is_told_on_the_calling_thread_and_may_not_change_the_index() {
    KINDS.into_iter().for_each(progress_tries_everything);
}

fn progress_tries_everything(kind: u32) {
    let (index, other) = (Handle::of_kind(kind, [1]), Handle::with_keys([]));
    let mut scene = Scene::new(&index, &other);
    let keys: Vec<u64> = (100..5100).collect();
    let rows = vec![1.0_f32; 10_000];
    let options = kith_build_options {
        progress: Some(progress),
        progress_ctx: (&raw mut scene).cast(),
        threads: 2,
        ..build_options()
    };
    let status =
        unsafe { kith_insert_batch(index.0, keys.len(), keys.as_ptr(), rows.as_ptr().cast(), 0, &raw const options) };
    assert_eq!(status, 0, "{}", last_error());
    assert_eq!(scene.statuses, [BUSY; 7]);
    assert_eq!(scene.reads, [0; 6]);
    let me = std::thread::current().id();
    assert!(scene.threads.iter().all(|thread| *thread == me));
    let seen = &scene.seen;
    assert!(
        seen.is_sorted() && seen.iter().all(|&(done, total)| done <= total && total == 5000),
        "kind {kind}: {seen:?}"
    );
    assert_eq!(seen.last(), Some(&(5000, 5000)));
    assert_eq!(index.contents().1.len(), 5001);
}

unsafe extern "C-unwind" fn read(
    ctx: *mut c_void,
    first: usize,
    count: usize,
    keys: *mut u64,
    vectors: *mut c_void,
) -> c_int {
    let scene = unsafe { &mut *ctx.cast::<Scene>() };
    scene.try_everything();
    scene.seen.push((first as u64, count as u64));
    for i in 0..count {
        unsafe {
            *keys.add(i) = (100 + first + i) as u64;
            *vectors.cast::<[f32; 2]>().add(i) = [first as f32, i as f32];
        }
    }
    0
}

#[test]
fn a_function_that_brings_vectors_is_called_on_the_calling_thread_and_may_not_change_the_index() {
    for kind in KINDS {
        let (index, other) = (Handle::of_kind(kind, [1]), Handle::with_keys([]));
        let mut scene = Scene::new(&index, &other);
        let options = kith_build_options { threads: 2, ..build_options() };
        let ctx = (&raw mut scene).cast();
        let status = unsafe { kith_insert_from(index.0, 3_000, Some(read), ctx, &raw const options) };
        assert_eq!(status, 0, "{}", last_error());
        assert_eq!((&scene.statuses[..], &scene.reads[..]), (&[BUSY; 7][..], &[0; 6][..]));
        let me = std::thread::current().id();
        assert!(scene.threads.iter().all(|thread| *thread == me));
        let end = scene.seen.iter().fold(0, |end, &(first, count)| {
            assert_eq!(first, end);
            end + count
        });
        assert!(end == 3_000 && scene.seen.len() == 1, "{:?}", scene.seen);
        assert_eq!(index.contents().1.len(), 3_001);
    }
}

#[test]
fn a_cancelled_batch_leaves_the_index_as_it_was() {
    KINDS.into_iter().for_each(cancelled_batch);
}

fn cancelled_batch(kind: u32) {
    let index = Handle::of_kind(kind, [1]);
    let (_, keys_before, vectors_before) = index.contents();
    let keys: Vec<u64> = (1..5001).collect();
    let rows = vec![3.0_f32; 10_000];
    let mut calls = 0_u32;
    let options = kith_build_options {
        progress: Some(cancel_after_half),
        progress_ctx: (&raw mut calls).cast(),
        flags: KITH_UPSERT.into(),
        ..build_options()
    };
    let status =
        unsafe { kith_insert_batch(index.0, keys.len(), keys.as_ptr(), rows.as_ptr().cast(), 0, &raw const options) };
    refused(status, -10, "kith_insert_batch", &[]);
    assert!(calls > 0);
    let (_, keys_after, vectors_after) = index.contents();
    assert_eq!((keys_before, vectors_before), (keys_after, vectors_after));
}

unsafe extern "C-unwind" fn panicking_filter(_: *mut c_void, key: u64) -> c_int {
    panic!("key {key} is too much")
}

unsafe extern "C-unwind" fn panicking_progress(_: *mut c_void, _: u64, _: u64) -> c_int {
    panic!("progress is too much")
}

/// A callback in Rust that panics stands in for a defect inside the call: both unwind to the guard of the C layer.
fn meet_two_defects() {
    let index = Handle::with_keys([1, 2]);
    let options = kith_search_options { filter: Some(panicking_filter), ..search_options() };
    let (status, ..) = index.search(&[0.0, 0.0], 2, Some(&options));
    refused(status, INTERNAL, "kith_search", &["defect", "is too much", "tests/ffi_callbacks.rs:"]);
    assert_eq!(index.insert(3, &[3.0_f32, 0.0]), 0, "a defect in a search changes nothing: {}", last_error());

    let options = kith_build_options { progress: Some(panicking_progress), ..build_options() };
    let (key, row) = (9_u64, [9.0_f32, 0.0]);
    let status = unsafe { kith_insert_batch(index.0, 1, &raw const key, row.as_ptr().cast(), 0, &raw const options) };
    refused(status, INTERNAL, "kith_insert_batch", &["progress is too much", "tests/ffi_callbacks.rs:"]);
    let calls = [
        ("kith_insert", index.insert(4, &row)),
        ("kith_remove", unsafe { kith_remove(index.0, 1) }),
        ("kith_clear", unsafe { kith_clear(index.0) }),
    ];
    for (function, status) in calls {
        assert_eq!(status, INTERNAL, "{function} after a defect in a change");
    }
    refused(unsafe { kith_reserve(index.0, 100) }, INTERNAL, "kith_reserve", &["progress is too much"]);
    let (status, keys, _) = index.search(&[1.0, 0.0], 1, None);
    assert_eq!((status, keys), (0, vec![1]), "reading goes on: {}", last_error());
    let mut back = [0.0_f32; 2];
    assert_eq!(unsafe { kith_get(index.0, 2, back.as_mut_ptr().cast()) }, 0, "{}", last_error());
    assert_eq!(back, [2.0, 0.0]);
}

const CHILD: &str = "KITH_TEST_DEFECT_CHILD";

/// Runs in a process of its own, whose stderr can be looked at.
#[test]
fn a_defect_is_a_status_with_its_place_nothing_is_printed_and_reading_goes_on() {
    if std::env::var_os(CHILD).is_some() {
        return meet_two_defects();
    }
    let name = "a_defect_is_a_status_with_its_place_nothing_is_printed_and_reading_goes_on";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let (said, complained) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "{said}");
    assert_eq!(complained, "", "a library must not write to stderr");
}

#[cfg(feature = "test-hooks")]
#[test]
fn the_hook_for_c_programs_is_a_defect_in_a_change() {
    let index = Handle::with_keys([1]);
    refused(unsafe { kith_test_panic(index.0) }, INTERNAL, "kith_test_panic", &["src/ffi/hooks.rs:"]);
    assert_eq!(index.insert(4, &[0.0_f32, 0.0]), INTERNAL);
}
