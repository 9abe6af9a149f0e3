//! Does any sequence of bytes make importing another library's file, or using what was imported, fail in another way than by an error?
//!
//! From the root of the repository: `cargo +nightly fuzz run import -- -max_len=65536 -max_total_time=300 -rss_limit_mb=1024`. Of an input the
//! first byte is the format, the second the dimensions, the rest the file; tests/fixtures/foreign has files to begin with.

#![no_main]

use kith::{Format, Index, Options, SearchOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [format, dimensions, file @ ..] = input else { return };
    let format = Format::try_from(u32::from(format % 4) + 1).expect("a format");
    let options = Options { dimensions: u32::from(dimensions % 17), keep_removed: true, ..Options::default() };
    let Ok(index) = Index::import_buffer(file, format, &options) else { return };
    let bytes = index.vector_bytes();
    // What a file fills is bounded by the file.
    assert!(index.describe().bytes < 16 * file.len() as u64 + (64 << 20), "{:?} of {} bytes", index.describe(), file.len());
    if let Some(check) = index.check() {
        assert_eq!((check.faults, check.unreachable), (0, 0), "{check:?}");
    }
    // Finite and not zero in every element type.
    let vector = |i: usize| vec![0x11 + (i % 7) as u8; bytes];
    let mut keys = [0; 20];
    for i in 0..20 {
        let found = index.search(&vector(i), &mut keys, None, &SearchOptions::default()).expect("a search");
        assert_eq!(found as u64, index.describe().count.min(20));
        index.upsert(i as u64, &vector(i)).expect("an insert");
    }
    if format == Format::Hnswlib {
        let mut again = Vec::new();
        index.export_to(&mut again, format, 0).expect("an export");
        let again = Index::import_buffer(&again, format, &options).expect("what was exported");
        assert_eq!(again.describe().count, index.describe().count);
    }
});
