//! The same vectors, order, seed and options give the same file, byte for byte: with any number of threads, with any instructions.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use kith::distance::{Element, Metric};
use kith::simd::available;
use kith::{BuildOptions, Index, Kind, Options, Rows};
use std::hash::{DefaultHasher, Hasher};
use std::process::Command;

const VECTORS: usize = 3000;
const DIMENSIONS: usize = 100;

/// Clusters on a curved surface: components of very different sizes, so that codes and leaves have something to decide.
fn vectors() -> Vec<u8> {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let basis: Vec<f32> = (0..12 * DIMENSIONS).map(|_| uniform()).collect();
    let mut bytes = Vec::new();
    for i in 0..VECTORS {
        let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| 0.1 * uniform()).collect();
        for (j, direction) in basis.chunks_exact(DIMENSIONS).enumerate() {
            let along = (uniform() + ((i % 9) * (j + 1) % 5) as f32) / (j + 1) as f32;
            vector.iter_mut().zip(direction).for_each(|(value, step)| *value += along * step);
        }
        bytes.extend(vector.into_iter().flat_map(f32::to_le_bytes));
    }
    bytes
}

/// Prints what the file of an index hashes to. Run by the test below, in processes of its own, because the level is chosen once per process.
#[test]
#[ignore = "run by the_same_file_everywhere"]
fn print_hash() {
    let threads = std::env::var("KITH_TEST_THREADS").unwrap().parse().unwrap();
    let (fractions, folder) = (vectors(), tempfile::tempdir().unwrap());
    let keys: Vec<u64> = (0..VECTORS as u64).collect();
    let round = |value: &[u8]| (f32::from_le_bytes(value.try_into().unwrap()) * 20.0 + 128.0).round().clamp(0.0, 255.0);
    let whole: Vec<u8> = fractions.chunks(4).flat_map(|value| round(value).to_le_bytes()).collect();
    let sets = [&fractions, &whole].into_iter();
    for (base, metric) in
        sets.flat_map(|base| [Metric::L2, Metric::Cosine, Metric::InnerProduct].map(|metric| (base, metric)))
    {
        let dimensions = DIMENSIONS as u32;
        let options = Options { metric, element: Element::F32, dimensions, kind: Kind::Graph, ..Options::default() };
        let index = Index::create(&options).unwrap();
        let build = BuildOptions { threads, ..BuildOptions::default() };
        index.insert_batch(&keys, Rows::packed(base, 4 * DIMENSIONS), &build).unwrap();
        let path = folder.path().join("index.kith");
        index.save(&path).unwrap();
        let mut hasher = DefaultHasher::new();
        hasher.write(&std::fs::read(&path).unwrap());
        println!("file: {metric:?} {:016x}", hasher.finish());
    }
}

#[test]
fn the_same_file_everywhere() {
    let mut all = Vec::new();
    for (i, level) in available().iter().enumerate() {
        for threads in if i == 0 { &[1, 2, 7][..] } else { &[2] } {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "print_hash", "--ignored", "--nocapture"])
                .env("KITH_CPU", level.name())
                .env("KITH_TEST_THREADS", threads.to_string())
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            // With --nocapture the first line shares its place with the name of the test.
            let hashes: Vec<String> =
                text.split('\n').filter_map(|line| line.split("file: ").nth(1)).map(str::to_owned).collect();
            assert_eq!(hashes.len(), 6, "{text}");
            all.push((level.name(), *threads, hashes));
        }
    }
    for (level, threads, hashes) in &all {
        assert_eq!(hashes, &all[0].2, "{level} with {threads} threads; first {} with {}", all[0].0, all[0].1);
    }
}
