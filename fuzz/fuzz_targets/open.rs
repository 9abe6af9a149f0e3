//! Does any sequence of bytes make opening a file, or using what was opened, fail in another way than by an error?
//!
//! From the root of the repository: `cargo +nightly fuzz run open -- -max_len=65536 -max_total_time=300`. The mutator keeps checksums right
//! most of the time: otherwise they would turn away everything before the code behind them runs.

#![no_main]

use kith::{Index, OpenFlags, SearchOptions, fuzzing};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::path::PathBuf;
use std::sync::LazyLock;

static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(fuzzing::samples);

/// A file of this process, in memory where there is such a place.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("kith-fuzz-{}.kith", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    if fuzzing::open(bytes) {
        search(bytes);
    }
});

/// Searches what opens, through the same calls that a program makes.
fn search(bytes: &[u8]) {
    std::fs::write(&*PLACE, bytes).expect("a place to write to");
    for (mapped, unchecked) in [(false, false), (true, false), (false, true), (true, true)] {
        let flags = OpenFlags { mapped, unchecked, one_thread: true, read_only: false };
        let opened = Index::open(&PLACE, flags);
        if !mapped {
            let buffer = Index::open_buffer(bytes, flags);
            assert_eq!(buffer.as_ref().err().map(kith::Error::status), opened.as_ref().err().map(kith::Error::status));
        }
        let Ok(index) = opened else { continue };
        let mut keys = [0; 100];
        let mut distances = [0.0; 100];
        // Finite and not zero in every element type.
        let query = vec![0x11; index.vector_bytes()];
        let hits = index.search(&query, &mut keys, Some(&mut distances), &SearchOptions::default()).expect("a search");
        assert_eq!(hits as u64, index.describe().count.min(100));
        assert!(distances.is_sorted(), "{distances:?}");
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut bytes = if size < 4096 || seed % 64 == 0 {
        SAMPLES[seed as usize / 64 % SAMPLES.len()].clone()
    } else {
        data[..size].to_vec()
    };
    if seed % 2 == 0 {
        fuzzing::mutate(&mut bytes, u64::from(seed));
    } else {
        let length = bytes.len();
        bytes.resize(max_size.max(length), 0);
        let length = fuzzer_mutate(&mut bytes, length, max_size);
        bytes.truncate(length);
        if seed % 8 != 1 {
            fuzzing::fix_checksums(&mut bytes);
        }
    }
    let length = bytes.len().min(max_size);
    data[..length].copy_from_slice(&bytes[..length]);
    length
});
