//! Are the structs of the C layer laid out as pinned, and do they grow by the rule?

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::undocumented_unsafe_blocks)] // every call passes live local arrays of the size that it names

mod ffi_support;

use ffi_support::*;
use kith::ffi::*;
use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::ptr::null_mut;

const TABLE: &str = include_str!("abi/layout.def");
const HEADER: &str = include_str!("../include/kith.h");

/// The table's lines: `SIZE(a, 1)` becomes ("SIZE", ["a"]) -> [1].
fn table() -> BTreeMap<(String, Vec<String>), Vec<i128>> {
    let mut lines = BTreeMap::new();
    for line in TABLE.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())) {
        let (kind, rest) = line.trim_end_matches(')').split_once('(').unwrap();
        let (mut names, mut numbers) = (Vec::new(), Vec::new());
        for word in rest.split(", ") {
            match word.strip_prefix("0x") {
                Some(hex) => numbers.push(i128::from_str_radix(hex, 16).unwrap()),
                None => word.parse().map_or_else(|_| names.push(word.to_owned()), |number| numbers.push(number)),
            }
        }
        assert!(lines.insert((kind.to_owned(), names), numbers).is_none(), "{line} twice");
    }
    lines
}

macro_rules! rust_side {
    ($lines:ident, $($type:ident: $($field:ident)*;)*) => {$(
        $lines.insert(("SIZE".to_owned(), vec![stringify!($type).to_owned()]), vec![size_of::<$type>() as i128]);
        $(
            let names = vec![stringify!($type).to_owned(), stringify!($field).to_owned()];
            let bytes = { fn of<T, F>(_: fn(&T) -> &F) -> i128 { size_of::<F>() as i128 } of(|s: &$type| &s.$field) };
            $lines.insert(("FIELD".to_owned(), names), vec![offset_of!($type, $field) as i128, bytes]);
        )*
    )*};
}

macro_rules! values {
    ($lines:ident, $($type:ident: $($name:ident)*;)*) => {
        $($({
            let value = $type::$name as i32;
            $lines.insert(("VALUE".to_owned(), vec![stringify!($name).to_owned()]), vec![i128::from(value)]);
        })*)*
    };
}

#[test]
fn rust_has_the_layout_of_the_table() {
    let mut ours = BTreeMap::new();
    rust_side! {ours,
        kith_options: size dimensions metric element kind quantizer m ef_construction ef_search flags capacity seed
            distance distance_ctx graph_from memory_limit held bytes_per_vector;
        kith_search_options: size ef threads recall filter filter_ctx flags stats;
        kith_search_stats: size flags distances hops;
        kith_observer: size flags ctx stop consider add drop excess hit;
        kith_export_options: size flags capacity;
        kith_estimate_result: size flags least most quantizer held recall_least recall_most;
        kith_health: size flags linked links unreachable faults min_inbound max_inbound min_outbound max_outbound live removed free
            key_faults count_faults vector_faults codes code_faults file_faults;
        kith_build_options: size threads progress progress_ctx flags;
        kith_info: size dimensions metric element kind quantizer m ef_construction ef_search format count removed capacity bytes
            seed flags held code_bytes memory_limit mapped;
        kith_log_options: size sync interval_ms threads checkpoint_bytes flags;
        kith_log_info: size sync failed flags last durable checkpoint log_bytes replayed cut_bytes syncs checkpoints
            failed_checkpoints;
    }
    values! {ours,
        kith_status_values: KITH_OK KITH_ERROR_ARGUMENT KITH_ERROR_MEMORY KITH_ERROR_IO KITH_ERROR_CORRUPT KITH_ERROR_VERSION
            KITH_ERROR_NOT_FOUND KITH_ERROR_EXISTS KITH_ERROR_READ_ONLY KITH_ERROR_UNSUPPORTED KITH_ERROR_CANCELLED
            KITH_ERROR_BUSY KITH_ERROR_FULL KITH_ERROR_INTERNAL;
        kith_metric_values: KITH_L2 KITH_INNER_PRODUCT KITH_COSINE KITH_L1 KITH_HAMMING KITH_JACCARD KITH_CUSTOM;
        kith_element_values: KITH_F32 KITH_F16 KITH_BF16 KITH_I8 KITH_U8 KITH_B1 KITH_BYTES;
        kith_kind_values: KITH_KIND_AUTO KITH_KIND_FLAT KITH_KIND_GRAPH;
        kith_quantizer_values: KITH_QUANTIZER_AUTO KITH_QUANTIZER_NONE KITH_QUANTIZER_PROJECTED4 KITH_QUANTIZER_BYTES
            KITH_QUANTIZER_LEADING8 KITH_QUANTIZER_LEADING8_FINE KITH_QUANTIZER_PROJECTED2 KITH_QUANTIZER_PROJECTED1
            KITH_QUANTIZER_PRODUCT KITH_QUANTIZER_SIGNS KITH_QUANTIZER_BYTES_PROJECTED4;
        kith_sync_values: KITH_SYNC_COMMIT KITH_SYNC_INTERVAL KITH_SYNC_NEVER;
        kith_format_values: KITH_FORMAT_HNSWLIB KITH_FORMAT_HNSWLIB_FLAT KITH_FORMAT_USEARCH KITH_FORMAT_FAISS;
    }
    for (name, value) in [
        ("KITH_FILTER_ANY_THREAD", u64::from(KITH_FILTER_ANY_THREAD)),
        ("KITH_STATS_NEARLY", KITH_STATS_NEARLY.into()),
        ("KITH_KEEP_REMOVED", KITH_KEEP_REMOVED.into()),
        ("KITH_FIXED_CAPACITY", KITH_FIXED_CAPACITY.into()),
        ("KITH_UPSERT", KITH_UPSERT.into()),
        ("KITH_BUILD_FAST", KITH_BUILD_FAST.into()),
        ("KITH_OPEN_MAPPED", KITH_OPEN_MAPPED.into()),
        ("KITH_OPEN_READ_ONLY", KITH_OPEN_READ_ONLY.into()),
        ("KITH_OPEN_UNCHECKED", KITH_OPEN_UNCHECKED.into()),
        ("KITH_OPEN_ONE_THREAD", KITH_OPEN_ONE_THREAD.into()),
        ("KITH_OPEN_VECTORS_MAPPED", KITH_OPEN_VECTORS_MAPPED.into()),
        ("KITH_NO_KEY", KITH_NO_KEY),
    ] {
        ours.insert(("VALUE".to_owned(), vec![name.to_owned()]), vec![value.into()]);
    }
    assert_eq!(ours, table(), "left: src/ffi, right: tests/abi/layout.def");
}

#[test]
fn structs_have_no_gaps() {
    let table = table();
    for ((kind, names), size) in &table {
        if kind == "SIZE" {
            let fields = table.iter().filter(|((kind, of), _)| kind == "FIELD" && of[0] == names[0]);
            let bytes: i128 = fields.map(|(_, numbers)| numbers[1]).sum();
            assert_eq!(bytes, size[0], "the fields of {}", names[0]);
        }
    }
}

#[test]
fn nothing_in_the_header_is_missing_in_the_table() {
    let table = table();
    let mut inside = None;
    for line in HEADER.lines() {
        if let Some(rest) = line.strip_prefix("typedef struct ").and_then(|rest| rest.strip_suffix(" {")) {
            inside = Some(rest.to_owned());
            assert!(table.contains_key(&("SIZE".to_owned(), vec![rest.to_owned()])), "{rest}");
        } else if line.starts_with('}') {
            inside = None;
        } else if let (Some(of), Some(field)) = (&inside, line.strip_suffix(';')) {
            let field = field.rsplit([' ', '*']).next().unwrap();
            let names = vec![of.clone(), field.to_owned()];
            assert!(table.contains_key(&("FIELD".to_owned(), names)), "{of}.{field}");
        }
        let constant = line.strip_prefix("    KITH_").and_then(|rest| rest.split_once(" = "));
        let constant = constant.or_else(|| line.strip_prefix("#define KITH_").and_then(|rest| rest.split_once(' ')));
        if let Some((name, _)) = constant
            && !name.starts_with("VERSION")
            && !name.starts_with("API")
        {
            let names = vec![format!("KITH_{name}")];
            assert!(table.contains_key(&("VALUE".to_owned(), names)), "KITH_{name}");
        }
    }
}

#[test]
fn the_numbers_of_c_are_those_of_rust() {
    for (i, metric) in kith::distance::Metric::ALL.into_iter().enumerate() {
        assert_eq!(metric as usize, i);
    }
    for (i, element) in kith::distance::Element::ALL.into_iter().enumerate() {
        assert_eq!(element as usize, i);
    }
    use kith::Status::*;
    let statuses =
        [Argument, Memory, Io, Corrupt, Version, NotFound, Exists, ReadOnly, Unsupported, Cancelled, Busy, Internal];
    let numbers: Vec<i32> = statuses.into_iter().map(|status| status as i32).collect();
    assert_eq!(numbers, [-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -99]);
}

/// kith_create with the first `size` bytes of (options with `dimensions`, then zeros), byte `at` set to 2.
fn create(size: u32, dimensions: u32, at: Option<usize>) -> i32 {
    let mut space = [0_u64; 1024];
    let options = kith_options { size, ..options(dimensions) };
    unsafe { space.as_mut_ptr().cast::<kith_options>().write(options) };
    if let Some(at) = at {
        unsafe { space.as_mut_ptr().cast::<u8>().add(at).write(128) };
    }
    let mut index = null_mut();
    let status = unsafe { kith_create(space.as_ptr().cast(), &raw mut index) };
    assert_eq!(status == 0, !index.is_null());
    unsafe { kith_free(index) };
    status
}

#[test]
fn a_shorter_struct_has_zeros_for_the_missing_fields() {
    for size in [8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 88, 92, 96] {
        assert_eq!(create(size, 3, None), 0, "size {size}: {}", last_error());
    }
    // Beyond the size stands a flag that would be refused: it is not read.
    assert_eq!(create(36, 3, Some(36)), 0, "{}", last_error());
    refused(create(40, 3, Some(36)), UNSUPPORTED, "kith_create", &["flags is 0x80"]);
    refused(create(4, 3, None), ARGUMENT, "kith_create", &["dimensions is 0"]);
}

#[test]
fn a_longer_struct_must_end_in_zeros() {
    for size in [97, 104, 112, 4096] {
        assert_eq!(create(size, 3, None), 0, "size {size}: {}", last_error());
        for at in [96, size as usize - 1] {
            let parts = [&*format!("byte {at} of options is 128"), "96 bytes"];
            refused(create(size, 3, Some(at)), UNSUPPORTED, "kith_create", &parts);
        }
        if size < 4096 {
            assert_eq!(create(size, 3, Some(size as usize)), 0, "beyond the struct: {}", last_error());
        }
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for size in [0, 1, 3, 6, 44, 55, 60, 71, 79, 87, 4097, u32::MAX] {
        refused(
            create(size, 3, None),
            ARGUMENT,
            "kith_create",
            &[&format!("options->size is {size};"), "kith_options"],
        );
    }
    let handle = Handle::with_keys([1]);
    let search = kith_search_options { size: 0, ..search_options() };
    refused(handle.search(&[0.0, 0.0], 1, Some(&search)).0, ARGUMENT, "kith_search", &["options->size is 0", "48"]);
    let build = kith_build_options { size: 0, ..build_options() };
    let status = unsafe { kith_insert_batch(handle.0, 0, std::ptr::null(), std::ptr::null(), 0, &raw const build) };
    refused(status, ARGUMENT, "kith_insert_batch", &["options->size is 0", "32"]);
    let mut info = [7_u64; size_of::<kith_info>() / 8];
    let place = info.as_mut_ptr().cast::<kith_info>();
    for size in [0, 2, 10, 44, 5000] {
        unsafe { (*place).size = size };
        let status = unsafe { kith_describe(handle.0, place) };
        refused(
            status,
            ARGUMENT,
            "kith_describe",
            &[&format!("info->size is {size};"), &size_of::<kith_info>().to_string()],
        );
        let status = unsafe { kith_file_info(c"nowhere".as_ptr(), place) };
        refused(status, ARGUMENT, "kith_file_info", &[&format!("info->size is {size};")]);
    }
    assert!(info[1..].iter().all(|&word| word == 7));
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let handle = Handle::with_keys([1]);
    type Case = (fn(&mut kith_search_options), &'static [&'static str]);
    let cases: &[Case] = &[(|o| o.flags = 2, &["flags is 0x2"]), (|o| o.flags = 1 << 63 | 1, &["0x8000000000000000"])];
    for (set, parts) in cases {
        let mut options = search_options();
        set(&mut options);
        refused(handle.search(&[0.0, 0.0], 1, Some(&options)).0, UNSUPPORTED, "kith_search", parts);
    }
    for (recall, text) in [(1.5, "recall is 1.5"), (-0.1, "recall is -0.1"), (f32::NAN, "recall is NaN")] {
        let options = kith_search_options { recall, ..search_options() };
        refused(handle.search(&[0.0, 0.0], 1, Some(&options)).0, ARGUMENT, "kith_search", &[text]);
    }
    let build = kith_build_options { flags: 6, ..build_options() };
    let status = unsafe { kith_insert_batch(handle.0, 0, std::ptr::null(), std::ptr::null(), 0, &raw const build) };
    refused(status, UNSUPPORTED, "kith_insert_batch", &["flags is 0x6"]);
    let mut index = std::ptr::dangling_mut();
    let status = unsafe { kith_open(c"nowhere".as_ptr(), 32, &raw mut index) };
    refused(status, UNSUPPORTED, "kith_open", &["flags is 0x20"]);
    assert!(index.is_null());
}

#[test]
fn info_fills_what_the_caller_has_and_clears_what_nobody_knows() {
    let handle = Handle::with_keys([1, 2, 3]);
    let mut space = [u64::MAX; 16];
    let place = space.as_mut_ptr().cast::<kith_info>();
    unsafe { (*place).size = 48 };
    assert_eq!(unsafe { kith_describe(handle.0, place) }, 0, "{}", last_error());
    let info = unsafe { *place };
    assert_eq!((info.size, info.dimensions, info.count), (48, 2, 3));
    assert_eq!(space[6..], [u64::MAX; 10], "beyond the caller's struct");
    let place = space.as_mut_ptr().cast::<kith_info>();
    unsafe { (*place).size = 120 };
    assert_eq!(unsafe { kith_describe(handle.0, place) }, 0, "{}", last_error());
    assert_eq!(unsafe { (*place).count }, 3);
    assert_eq!(space[13..], [0, 0, u64::MAX], "two unknown words, then not the caller's struct");
}
