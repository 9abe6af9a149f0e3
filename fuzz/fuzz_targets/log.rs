//! Does any sequence of bytes make reading the log of a durable directory fail in another way than by an error?
//!
//! From the root of the repository: `cargo +nightly fuzz run log -- -max_len=8192 -max_total_time=300`. The mutator keeps checksums right
//! most of the time: otherwise they would turn away everything before the code behind them runs.

#![no_main]

use kith::fuzzing;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| {
    let snapshot = bytes.last().map_or(0, |&byte| u64::from(byte) % 9);
    fuzzing::open_log(bytes, snapshot);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut bytes = if size < 64 || seed % 64 == 0 { fuzzing::log_sample() } else { data[..size].to_vec() };
    if seed % 2 == 0 {
        fuzzing::mutate_log(&mut bytes, u64::from(seed));
    } else {
        let length = bytes.len();
        bytes.resize(max_size.max(length), 0);
        let length = fuzzer_mutate(&mut bytes, length, max_size);
        bytes.truncate(length);
        if seed % 8 != 1 {
            fuzzing::fix_log_checksums(&mut bytes);
        }
    }
    let length = bytes.len().min(max_size);
    data[..length].copy_from_slice(&bytes[..length]);
    length
});
