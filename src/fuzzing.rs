//! What do the fuzz targets in `fuzz/` call? Exists under `--cfg fuzzing` only, which cargo-fuzz sets.

use crate::disk::simulated::Random as LogRandom;
use crate::journal::hostile as log;
use crate::persist::hostile::{self, Outcome, Random};

/// Opens the bytes in every way and uses what opens; says whether anything did. Panics if anything is not as it must be.
pub fn open(bytes: &[u8]) -> bool {
    hostile::judge(bytes) == Outcome::Opened
}

/// Small valid files of several shapes.
pub fn samples() -> Vec<Vec<u8>> {
    hostile::samples()
}

/// Changes a file as somebody would who knows the format.
pub fn mutate(bytes: &mut Vec<u8>, seed: u64) {
    hostile::mutate(bytes, &mut Random::new(seed));
}

/// Makes the checksums of a file fit its content.
pub fn fix_checksums(bytes: &mut [u8]) {
    hostile::fix_checksums(bytes);
}

/// Reads the bytes as the log behind a snapshot with the records up to a number; says whether they were believed. Panics if anything is
/// not as it must be.
pub fn open_log(bytes: &[u8], snapshot: u64) -> bool {
    log::judge(bytes, snapshot)
}

/// A small valid log.
pub fn log_sample() -> Vec<u8> {
    log::sample()
}

/// Changes a log as somebody would who knows the format.
pub fn mutate_log(bytes: &mut Vec<u8>, seed: u64) {
    log::mutate(bytes, &mut LogRandom(seed));
}

/// Makes the checksums of a log fit its content.
pub fn fix_log_checksums(bytes: &mut [u8]) {
    log::fix_checksums(bytes);
}
