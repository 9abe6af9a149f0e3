//! What does a C caller get for a wrong argument? A status, a sentence that names argument and value, and nothing changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// Tests pass what no careful program passes; what makes each call sound is that the library refuses before it follows a pointer.
#![allow(clippy::undocumented_unsafe_blocks)]

mod ffi_support;

use ffi_support::*;
use kith::ffi::*;
use std::ffi::c_void;
use std::ptr::{null, null_mut};

const VECTOR: [f32; 2] = [1.0, 2.0];

fn bytes<T>(values: &[T]) -> *const c_void {
    values.as_ptr().cast()
}

/// Every function and pointer argument that may be NULL; all others are in the table of the test below.
const MAY_BE_NULL: [(&str, &str); 26] = [
    ("kith_compact", "options"),
    ("kith_maintain", "pending"),
    ("kith_optimize", "options"),
    ("kith_requantize", "options"),
    ("kith_repair", "health"),
    ("kith_calibrate", "options"),
    ("kith_codec_export", "data"),
    ("kith_train", "options"),
    ("kith_search_double", "options"),
    ("kith_search_double", "distances"),
    ("kith_search_observed", "options"),
    ("kith_export", "options"),
    ("kith_export_to", "options"),
    ("kith_export_to", "ctx"),
    ("kith_export_size", "options"),
    ("kith_open_directory", "options"),
    ("kith_open_directory", "log_options"),
    ("kith_save_to", "ctx"),
    ("kith_free", "index"),
    ("kith_insert_batch", "options"),
    ("kith_insert_from", "ctx"),
    ("kith_insert_from", "options"),
    ("kith_search", "options"),
    ("kith_search", "distances"),
    ("kith_search_batch", "options"),
    ("kith_search_batch", "distances"),
];

unsafe extern "C-unwind" fn discard(_: *mut c_void, _: *const c_void, _: usize) -> std::ffi::c_int {
    0
}

type Call<'a> = (&'static str, &'static str, Box<dyn Fn() -> i32 + 'a>);

macro_rules! call {
    ($function:ident, $argument:literal, $($value:expr),*) => {
        (stringify!($function), $argument, Box::new(|| unsafe { $function($($value),*) }))
    };
}

#[test]
fn every_pointer_may_be_null_in_turn_and_is_named() {
    let handle = Handle::with_keys([1, 2]);
    let index = handle.0;
    let (mut keys, mut distances, mut count) = ([0u64; 4], [0f32; 4], [0usize; 2]);
    let (keys, distances, count) = (keys.as_mut_ptr(), distances.as_mut_ptr(), count.as_mut_ptr());
    let (vector, path) = (bytes(&VECTOR), c"null.kith".as_ptr());
    let (mut found, mut made) = (0, null_mut());
    let (found, made) = (&raw mut found, &raw mut made);
    let (mut info, options) = ([0u64; 11], options(2));
    let info = info.as_mut_ptr().cast::<kith_info>();
    unsafe { (*info).size = 88 };
    let mut log_info = [0u64; 11];
    let log_info = log_info.as_mut_ptr().cast::<kith_log_info>();
    let (mut wide, mut row, mut bytes_there) = ([0f64; 4], null(), 0u64);
    let (wide, row, bytes_place) = (wide.as_mut_ptr(), &raw mut row, &raw mut bytes_there);
    let (mut health, mut observer) = ([0u64; 7], [0u64; 8]);
    let mut estimate = kith_estimate_result {
        size: size_of::<kith_estimate_result>() as u32,
        flags: 0,
        least: 0,
        most: 0,
        quantizer: 0,
        held: 0,
        recall_least: 0.0,
        recall_most: 0.0,
    };
    let estimate = &raw mut estimate;
    let mut ef = 0;
    let ef = &raw mut ef;
    let health = health.as_mut_ptr().cast::<kith_health>();
    let observer = observer.as_mut_ptr().cast::<kith_observer>();
    unsafe {
        (*health).size = 56;
        (*observer).size = 64;
    }
    let before = handle.contents();
    let table: Vec<Call<'_>> = vec![
        call!(kith_estimate, "options", null(), 9, estimate),
        call!(kith_estimate, "result", &raw const options, 9, null_mut()),
        call!(kith_create, "options", null(), made),
        call!(kith_create, "index", &raw const options, null_mut()),
        call!(kith_insert, "index", null_mut(), 9, vector),
        call!(kith_insert, "vector", index, 9, null()),
        call!(kith_upsert, "index", null_mut(), 9, vector),
        call!(kith_upsert, "vector", index, 9, null()),
        call!(kith_insert_batch, "index", null_mut(), 1, keys, vector, 0, null()),
        call!(kith_insert_batch, "keys", index, 1, null(), vector, 0, null()),
        call!(kith_insert_batch, "vectors", index, 1, keys, null(), 0, null()),
        call!(kith_insert_from, "index", null_mut(), 1, None, null_mut(), null()),
        call!(kith_remove, "index", null_mut(), 1),
        call!(kith_remove_batch, "index", null_mut(), 1, keys, count),
        call!(kith_remove_batch, "keys", index, 1, null(), count),
        call!(kith_remove_batch, "removed", index, 1, keys, null_mut()),
        call!(kith_clear, "index", null_mut()),
        call!(kith_maintain, "index", null_mut(), 0, null_mut()),
        call!(kith_set_upkeep, "index", null_mut(), 1),
        call!(kith_compact, "index", null_mut(), null()),
        call!(kith_optimize, "index", null_mut(), null()),
        call!(kith_repair, "index", null_mut(), null_mut()),
        call!(kith_requantize, "index", null_mut(), 0, null()),
        call!(kith_reserve, "index", null_mut(), 10),
        call!(kith_set_memory_limit, "index", null_mut(), 10),
        call!(kith_search, "index", null(), vector, 2, null(), keys, distances, count),
        call!(kith_search, "query", index, null(), 2, null(), keys, distances, count),
        call!(kith_search, "keys", index, vector, 2, null(), null_mut(), distances, count),
        call!(kith_search, "count", index, vector, 2, null(), keys, distances, null_mut()),
        call!(kith_search_batch, "index", null(), 1, vector, 0, 2, null(), keys, distances, count),
        call!(kith_search_batch, "vectors", index, 1, null(), 0, 2, null(), keys, distances, count),
        call!(kith_search_batch, "keys", index, 1, vector, 0, 2, null(), null_mut(), distances, count),
        call!(kith_search_batch, "counts", index, 1, vector, 0, 2, null(), keys, distances, null_mut()),
        call!(kith_calibrate, "index", null_mut(), null(), 0, 0, null()),
        call!(kith_calibrate, "queries", index, null(), 1, 0, null()),
        call!(kith_breadth_for, "index", null(), 10, 0.9, ef),
        call!(kith_breadth_for, "ef", index, 10, 0.9, null_mut()),
        call!(kith_get, "index", null(), 1, keys.cast()),
        call!(kith_get, "vector", index, 1, null_mut()),
        call!(kith_contains, "index", null(), 1, found),
        call!(kith_contains, "found", index, 1, null_mut()),
        call!(kith_keys, "index", null(), keys, 4, count),
        call!(kith_keys, "keys", index, null_mut(), 4, count),
        call!(kith_keys, "count", index, keys, 4, null_mut()),
        call!(kith_describe, "index", null(), info),
        call!(kith_describe, "info", index, null_mut()),
        call!(kith_distance, "a", 0, 0, 2, null(), vector, distances),
        call!(kith_distance, "b", 0, 0, 2, vector, null(), distances),
        call!(kith_distance, "distance", 0, 0, 2, vector, vector, null_mut()),
        call!(kith_save, "index", null(), path),
        call!(kith_save, "path", index, null()),
        call!(kith_open_directory, "path", null(), &raw const options, null(), made),
        call!(kith_open_directory, "index", path, &raw const options, null(), null_mut()),
        call!(kith_sync_log, "index", null_mut()),
        call!(kith_checkpoint, "index", null_mut()),
        call!(kith_describe_log, "index", null(), log_info),
        call!(kith_describe_log, "info", index, null_mut()),
        call!(kith_save_to, "index", null(), Some(discard), null_mut()),
        call!(kith_open_buffer, "data", null(), 0, 0, made),
        call!(kith_open_buffer, "index", vector, 8, 0, null_mut()),
        call!(kith_open, "path", null(), 0, made),
        call!(kith_open, "index", path, 0, null_mut()),
        call!(kith_file_info, "path", null(), info),
        call!(kith_file_info, "info", path, null_mut()),
        call!(kith_search_double, "index", null(), vector, 2, null(), keys, wide, count),
        call!(kith_search_double, "query", index, null(), 2, null(), keys, wide, count),
        call!(kith_search_double, "keys", index, vector, 2, null(), null_mut(), wide, count),
        call!(kith_search_double, "count", index, vector, 2, null(), keys, wide, null_mut()),
        call!(kith_search_observed, "index", null(), vector, observer, null()),
        call!(kith_search_observed, "query", index, null(), observer, null()),
        call!(kith_search_observed, "observer", index, vector, null(), null()),
        call!(kith_undelete, "index", null_mut(), 1),
        call!(kith_forget, "index", null_mut(), 1),
        call!(kith_row, "index", null(), 1, row),
        call!(kith_row, "vector", index, 1, null_mut()),
        call!(kith_removed_keys, "index", null(), keys, 4, count),
        call!(kith_removed_keys, "keys", index, null_mut(), 4, count),
        call!(kith_removed_keys, "count", index, keys, 4, null_mut()),
        call!(kith_neighbours, "index", null(), 1, 0, keys, 4, count),
        call!(kith_neighbours, "keys", index, 1, 0, null_mut(), 4, count),
        call!(kith_neighbours, "count", index, 1, 0, keys, 4, null_mut()),
        call!(kith_train, "index", null_mut(), 300, vector, 0, null()),
        call!(kith_train, "vectors", index, 300, null(), 0, null()),
        call!(kith_codec_export, "index", null(), null_mut(), 0, count),
        call!(kith_codec_export, "bytes", index, null_mut(), 0, null_mut()),
        call!(kith_codec_import, "index", null_mut(), vector, 8),
        call!(kith_codec_import, "data", index, null(), 8),
        call!(kith_check, "index", null(), health),
        call!(kith_check, "health", index, null_mut()),
        call!(kith_import, "path", null(), 1, &raw const options, made),
        call!(kith_import, "options", path, 1, null(), made),
        call!(kith_import, "index", path, 1, &raw const options, null_mut()),
        call!(kith_import_buffer, "data", null(), 8, 1, &raw const options, made),
        call!(kith_import_buffer, "options", vector, 8, 1, null(), made),
        call!(kith_import_buffer, "index", vector, 8, 1, &raw const options, null_mut()),
        call!(kith_export, "index", null(), path, 1, null()),
        call!(kith_export, "path", index, null(), 1, null()),
        call!(kith_export_to, "index", null(), Some(discard), null_mut(), 1, null()),
        call!(kith_export_size, "index", null(), 1, null(), bytes_place),
        call!(kith_export_size, "bytes", index, 1, null(), null_mut()),
    ];
    for (function, argument, call) in &table {
        assert_eq!(call(), ARGUMENT, "{function} with {argument} NULL: {}", last_error());
        assert_eq!(last_error(), format!("{function}: {argument} is NULL"));
    }
    refused(unsafe { kith_save_to(index, None, null_mut()) }, ARGUMENT, "kith_save_to", &["write is NULL"]);
    let exported = unsafe { kith_export_to(index, None, null_mut(), 1, null()) };
    refused(exported, ARGUMENT, "kith_export_to", &["write is NULL"]);
    let watched = unsafe { kith_search_observed(index, vector, observer, null()) };
    refused(watched, ARGUMENT, "kith_search_observed", &["observer->stop is NULL"]);
    assert!(handle.contents() == before);
    let mut covered: Vec<(String, String)> = table.iter().map(|(f, a, _)| ((*f).into(), (*a).into())).collect();
    covered.extend(MAY_BE_NULL.iter().map(|(f, a)| ((*f).into(), (*a).into())));
    covered.sort();
    assert_eq!(covered, pointers_in_the_header(), "left: this test, right: include/kith.h");
}

/// (function, argument) for each pointer argument that the header declares.
fn pointers_in_the_header() -> Vec<(String, String)> {
    let header = include_str!("../include/kith.h");
    let mut pointers = Vec::new();
    for declaration in header.split("KITH_API ").skip(1).filter_map(|text| text.split(");").next()) {
        let Some((head, arguments)) = declaration.split_once('(') else { continue };
        let function = head.rsplit([' ', '*']).next().unwrap();
        if !function.starts_with("kith_") || head.contains("defined") {
            continue;
        }
        for argument in arguments.split(',').filter(|argument| argument.contains('*')) {
            pointers.push((function.to_owned(), argument.rsplit(['*', ' ']).next().unwrap().to_owned()));
        }
    }
    pointers.sort();
    pointers
}

#[test]
fn outputs_of_failed_calls_are_null_or_zero() {
    let handle = Handle::with_keys([1]);
    let mut made = handle.0;
    assert_eq!(unsafe { kith_create(null(), &raw mut made) }, ARGUMENT);
    assert!(made.is_null());
    made = handle.0;
    assert_eq!(unsafe { kith_open(c"no/such/file".as_ptr(), 0, &raw mut made) }, -3);
    assert!(made.is_null());
    let (mut count, mut counts, mut keys) = (7, [7, 7], [0; 2]);
    let search = |index, count| unsafe { kith_search(index, null(), 1, null(), null_mut(), null_mut(), count) };
    assert_eq!(search(null(), &raw mut count), ARGUMENT);
    assert_eq!(count, 0);
    count = 7;
    assert_eq!(unsafe { kith_keys(null(), null_mut(), 0, &raw mut count) }, ARGUMENT);
    assert_eq!(count, 0);
    count = 7;
    assert_eq!(unsafe { kith_remove_batch(null_mut(), 0, null(), &raw mut count) }, ARGUMENT);
    assert_eq!(count, 0);
    let bad = [1.0, 1.0, 1.0, f32::NAN];
    let status = unsafe {
        kith_search_batch(handle.0, 2, bytes(&bad), 0, 1, null(), keys.as_mut_ptr(), null_mut(), counts.as_mut_ptr())
    };
    refused(status, ARGUMENT, "kith_search_batch", &["NaN", "1"]);
    assert_eq!(counts, [0, 0]);
}

#[test]
fn options_of_create_that_cannot_be_are_refused() {
    type Case = (fn(&mut kith_options), i32, &'static [&'static str]);
    let cases: &[Case] = &[
        (|o| o.dimensions = 0, ARGUMENT, &["dimensions is 0"]),
        (|o| o.dimensions = 65_537, ARGUMENT, &["dimensions is 65537"]),
        (|o| o.dimensions = u32::MAX, ARGUMENT, &["dimensions is 4294967295"]),
        (|o| o.metric = 7, ARGUMENT, &["metric is 7"]),
        (|o| o.metric = 6, ARGUMENT, &["metric is custom with element f32"]),
        (|o| o.metric = u32::MAX, ARGUMENT, &["metric is 4294967295"]),
        (|o| o.element = 7, ARGUMENT, &["element is 7"]),
        (|o| o.element = 6, ARGUMENT, &["metric is L2 with element bytes"]),
        (|o| (o.metric, o.element) = (6, 6), ARGUMENT, &["distance and metric custom"]),
        (|o| o.kind = 3, ARGUMENT, &["kind is 3"]),
        (|o| o.quantizer = 999, UNSUPPORTED, &["quantizer is 999"]),
        (|o| o.flags = 4, UNSUPPORTED, &["flags is 0x4"]),
        (|o| o.m = 1, ARGUMENT, &["m is 1"]),
        (|o| o.m = 513, ARGUMENT, &["m is 513"]),
        (|o| o.ef_construction = 1_048_577, ARGUMENT, &["ef_construction is 1048577"]),
        (|o| o.ef_search = u32::MAX, ARGUMENT, &["ef_search is 4294967295"]),
        (|o| o.metric = 4, ARGUMENT, &["Hamming", "f32"]),
        (|o| o.element = 5, ARGUMENT, &["L2", "b1"]),
        (
            |o| {
                o.metric = 5;
                o.element = 5;
                o.dimensions = 12;
            },
            ARGUMENT,
            &["dimensions is 12", "multiple of 8"],
        ),
        (|o| o.capacity = u64::MAX, -2, &["memory"]),
    ];
    for (spoil, status, parts) in cases {
        let mut options = options(4);
        spoil(&mut options);
        let mut index = std::ptr::dangling_mut();
        let got = unsafe { kith_create(&raw const options, &raw mut index) };
        if options.capacity != 0 && got == ARGUMENT {
            continue; // more slots than an index can number is as good an answer as too little memory
        }
        refused(got, *status, "kith_create", parts);
        assert!(index.is_null());
    }
}

#[test]
fn values_that_have_no_distance_are_refused() {
    let handle = Handle::with_keys([1, 2]);
    let before = handle.contents();
    for (bad, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let vector = [0.5, bad];
        refused(handle.insert(9, &vector), ARGUMENT, "kith_insert", &[name, "1"]);
        refused(unsafe { kith_upsert(handle.0, 1, bytes(&vector)) }, ARGUMENT, "kith_upsert", &[name, "1"]);
        let batch = [1.0, 1.0, 2.0, 2.0, 0.5, bad];
        let status = unsafe { kith_insert_batch(handle.0, 3, [7, 8, 9].as_ptr(), bytes(&batch), 0, null()) };
        refused(status, ARGUMENT, "kith_insert_batch", &[name, "position 2"]);
        refused(handle.search(&vector, 1, None).0, ARGUMENT, "kith_search", &[name, "1"]);
        let mut distance = 7.0;
        let status = unsafe { kith_distance(0, 0, 2, bytes(&VECTOR), bytes(&vector), &raw mut distance) };
        refused(status, ARGUMENT, "kith_distance", &[name, "1"]);
        assert_eq!(distance, 7.0);
    }
    assert!(handle.contents() == before);
}

#[test]
fn half_precision_values_that_are_not_finite_are_refused() {
    for (element, infinity, nan) in [(1, 0x7c00_u16, 0x7e01_u16), (2, 0xff80, 0x7fc0)] {
        let handle = Handle::new(&kith_options { element, ..options(3) });
        for bad in [infinity, nan] {
            refused(handle.insert(1, &[0_u16, bad, 0]), ARGUMENT, "kith_insert", &["1"]);
        }
        assert_eq!(handle.insert(1, &[0_u16, 0x3c00, 0]), 0, "{}", last_error());
    }
}

#[test]
fn zero_has_no_direction() {
    for (element, width) in [(0, 4), (1, 2), (2, 2), (3, 1), (4, 1)] {
        let handle = Handle::new(&kith_options { metric: 2, element, ..options(3) });
        let zero = vec![0_u8; 3 * width];
        refused(handle.insert(1, &zero), ARGUMENT, "kith_insert", &["zero"]);
        let (mut key, mut count) = (0, 0);
        let status =
            unsafe { kith_search(handle.0, bytes(&zero), 1, null(), &raw mut key, null_mut(), &raw mut count) };
        refused(status, ARGUMENT, "kith_search", &["zero"]);
        let mut distance = 7.0;
        let status = unsafe { kith_distance(2, element, 3, bytes(&zero), bytes(&zero), &raw mut distance) };
        refused(status, ARGUMENT, "kith_distance", &["zero"]);
        assert!(handle.contents().1.is_empty());
    }
}

#[test]
fn keys_that_cannot_be_are_refused() {
    let handle = Handle::with_keys([1, 2]);
    let before = handle.contents();
    let none = KITH_NO_KEY;
    refused(handle.insert(none, &VECTOR), ARGUMENT, "kith_insert", &["key", "18446744073709551615"]);
    refused(unsafe { kith_upsert(handle.0, none, bytes(&VECTOR)) }, ARGUMENT, "kith_upsert", &["key"]);
    refused(handle.insert(2, &VECTOR), EXISTS, "kith_insert", &["2"]);
    refused(unsafe { kith_remove(handle.0, 3) }, NOT_FOUND, "kith_remove", &["3"]);
    refused(unsafe { kith_remove(handle.0, none) }, NOT_FOUND, "kith_remove", &["18446744073709551615"]);
    let (mut back, mut found) = ([7.0_f32; 2], 7);
    let place = back.as_mut_ptr().cast();
    refused(unsafe { kith_get(handle.0, none, place) }, NOT_FOUND, "kith_get", &["18446744073709551615"]);
    assert_eq!(unsafe { kith_contains(handle.0, none, &raw mut found) }, 0, "{}", last_error());
    assert_eq!((back, found), ([7.0; 2], 0));
    let rows = [0.0_f32; 6];
    for (keys, status, named) in
        [([7, 8, 2], EXISTS, "2"), ([7, 8, 7], EXISTS, "key is 7"), ([7, none, 9], ARGUMENT, "1")]
    {
        let got = unsafe { kith_insert_batch(handle.0, 3, keys.as_ptr(), bytes(&rows), 0, null()) };
        refused(got, status, "kith_insert_batch", &[named]);
    }
    assert!(handle.contents() == before);
}

#[test]
fn absurd_numbers_are_refused_before_memory_is_touched() {
    let handle = Handle::with_keys([1, 2]);
    let before = handle.contents();
    let (index, vector) = (handle.0, bytes(&VECTOR));
    let (mut keys, mut count) = ([0_u64; 2], [0_usize; 2]);
    let (keys, count) = (keys.as_mut_ptr(), count.as_mut_ptr());
    for k in [0, 1 << 32, usize::MAX / 8, usize::MAX / 4, usize::MAX] {
        let status = unsafe { kith_search(index, vector, k, null(), keys, null_mut(), count) };
        refused(status, ARGUMENT, "kith_search", &[&format!("k is {k}")]);
    }
    for (queries, k) in [(1, 0), (usize::MAX, 1), (1 << 40, 1 << 40), (0xffff_ffff, 0xffff_ffff), (2, usize::MAX)] {
        let status = unsafe { kith_search_batch(index, queries, vector, 0, k, null(), keys, null_mut(), count) };
        refused(status, ARGUMENT, "kith_search_batch", &[]);
    }
    for stride in [1, 7, usize::MAX / 2 + 1, usize::MAX] {
        let status = unsafe { kith_insert_batch(index, 2, [8, 9].as_ptr(), vector, stride, null()) };
        refused(status, ARGUMENT, "kith_insert_batch", &[&stride.to_string()]);
        let status = unsafe { kith_search_batch(index, 2, vector, stride, 1, null(), keys, null_mut(), count) };
        refused(status, ARGUMENT, "kith_search_batch", &[&stride.to_string()]);
    }
    for many in [usize::MAX, usize::MAX / 8, isize::MAX as usize] {
        let status = unsafe { kith_insert_batch(index, many, keys, vector, 0, null()) };
        refused(status, ARGUMENT, "kith_insert_batch", &[&many.to_string()]);
        refused(unsafe { kith_remove_batch(index, many, keys, count) }, ARGUMENT, "kith_remove_batch", &["keys"]);
        refused(unsafe { kith_keys(index, keys, many, count) }, ARGUMENT, "kith_keys", &["keys"]);
    }
    let status = unsafe { kith_reserve(index, u64::MAX) };
    assert!(status == ARGUMENT || status == -2, "{status}: {}", last_error());
    for dimensions in [0, 65_537, u32::MAX] {
        let status = unsafe { kith_distance(0, 0, dimensions, vector, vector, keys.cast()) };
        refused(status, ARGUMENT, "kith_distance", &[&format!("dimensions is {dimensions}")]);
    }
    refused(
        unsafe { kith_distance(77, 0, 2, vector, vector, keys.cast()) },
        ARGUMENT,
        "kith_distance",
        &["metric is 77"],
    );
    refused(
        unsafe { kith_distance(0, 77, 2, vector, vector, keys.cast()) },
        ARGUMENT,
        "kith_distance",
        &["element is 77"],
    );
    refused(unsafe { kith_save(index, c"".as_ptr()) }, ARGUMENT, "kith_save", &["path is empty"]);
    assert!(handle.contents() == before);
}

#[test]
fn misaligned_arrays_are_refused_but_vectors_may_stand_anywhere() {
    let handle = Handle::with_keys([1, 2]);
    let mut space = [0_u64; 8];
    let odd = unsafe { space.as_mut_ptr().cast::<u8>().add(1) };
    let mut count = 0;
    let status = unsafe { kith_keys(handle.0, odd.cast(), 2, &raw mut count) };
    refused(status, ARGUMENT, "kith_keys", &["keys is 0x", "multiple of 8"]);
    let status =
        unsafe { kith_search(handle.0, bytes(&VECTOR), 1, null(), space.as_mut_ptr(), odd.cast(), &raw mut count) };
    refused(status, ARGUMENT, "kith_search", &["distances is 0x", "multiple of 4"]);
    unsafe { odd.cast::<[f32; 2]>().write_unaligned([3.0, 0.0]) };
    assert_eq!(unsafe { kith_insert(handle.0, 3, odd.cast()) }, 0, "{}", last_error());
    assert_eq!(unsafe { kith_get(handle.0, 2, odd.cast()) }, 0, "{}", last_error());
    assert_eq!(unsafe { odd.cast::<[f32; 2]>().read_unaligned() }, [2.0, 0.0]);
}

#[test]
fn nothing_to_do_succeeds_with_null() {
    let handle = Handle::with_keys([1, 2]);
    let before = handle.contents();
    let mut removed = 7;
    unsafe {
        assert_eq!(kith_insert_batch(handle.0, 0, null(), null(), 0, null()), 0, "{}", last_error());
        assert_eq!(kith_remove_batch(handle.0, 0, null(), &raw mut removed), 0, "{}", last_error());
        let status = kith_search_batch(handle.0, 0, null(), 0, 3, null(), null_mut(), null_mut(), null_mut());
        assert_eq!(status, 0, "{}", last_error());
        kith_free(null_mut());
    }
    assert_eq!(removed, 0);
    assert!(handle.contents() == before);
}

#[test]
fn fewer_vectors_than_asked_for_are_no_error() {
    let handle = Handle::with_keys([]);
    assert_eq!(handle.search(&VECTOR, 3, None), (0, vec![], vec![]));
    let handle = Handle::with_keys([4, 5]);
    let (mut keys, mut distances, mut count) = ([7; 4], [7.0; 4], 7);
    let status = unsafe {
        kith_search(
            handle.0,
            bytes(&[4.0_f32, 0.0]),
            4,
            null(),
            keys.as_mut_ptr(),
            distances.as_mut_ptr(),
            &raw mut count,
        )
    };
    assert_eq!((status, count), (0, 2), "{}", last_error());
    assert_eq!(keys, [4, 5, KITH_NO_KEY, KITH_NO_KEY]);
    assert_eq!(distances, [0.0, 1.0, f32::INFINITY, f32::INFINITY]);
}
