//! Does opening take time in proportion to the file? `cargo bench --bench open`; figures in benches/record/open.md.
//!
//! 100,000, 200,000 and 400,000 vectors of 128 f32 (`cargo bench --bench open -- 400000`: that many, twice and four times as many). Sizes alternate in one run, so that whatever else the machine does meets all of
//! them; the smallest time of each is taken.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use kith::{BuildOptions, Index, Kind, OpenFlags, Options, Rows};
use std::path::PathBuf;
use std::time::Instant;

const DIMENSIONS: usize = 128;
const ROUNDS: usize = 9;

fn index_of(vectors: usize) -> Index {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let data: Vec<u8> = (0..vectors * DIMENSIONS).flat_map(|_| (random() as f32).to_le_bytes()).collect();
    let keys: Vec<u64> = (0..vectors).map(|i| random() << 30 | i as u64).collect();
    let index =
        Index::create(&Options { dimensions: DIMENSIONS as u32, kind: Kind::Flat, ..Options::default() }).unwrap();
    index.insert_batch(&keys, Rows::packed(&data, DIMENSIONS * 4), &BuildOptions::default()).unwrap();
    index
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Seconds of processor time, of all threads: what a busy machine changes least.
fn processor_seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        // SAFETY: plain data, for which zeros are valid, and a call that fills it.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
            usage
        };
        let sum = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        sum(usage.ru_utime) + sum(usage.ru_stime)
    };
    let start = now();
    work();
    now() - start
}

fn main() {
    let first = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let sizes = [first, 2 * first, 4 * first];
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |i: usize| -> PathBuf { folder.path().join(format!("{i}.kith")) };
    let mut saving = [0.0; 3];
    for (i, &vectors) in sizes.iter().enumerate() {
        let index = index_of(vectors);
        saving[i] = seconds(|| index.save(&path(i)).unwrap());
    }
    let plain = OpenFlags::default();
    let ways = [
        ("open, all cores", plain),
        ("open, one thread", OpenFlags { one_thread: true, ..plain }),
        ("open, unchecked", OpenFlags { unchecked: true, ..plain }),
        ("map, all cores", OpenFlags { mapped: true, ..plain }),
        ("map, unchecked", OpenFlags { mapped: true, unchecked: true, ..plain }),
    ];
    let mut best = [[f64::INFINITY; 3]; 5];
    let mut processor = [[f64::INFINITY; 3]; 5];
    let mut read = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        for i in 0..3 {
            for (way, (_, flags)) in ways.iter().enumerate() {
                let mut index = None;
                let mut wall = 0.0;
                let used = processor_seconds(|| {
                    wall = seconds(|| index = Some(Index::open(&path(i), *flags).unwrap()));
                });
                best[way][i] = best[way][i].min(wall);
                processor[way][i] = processor[way][i].min(used);
                assert_eq!(index.unwrap().describe().count, sizes[i] as u64);
            }
            read[i] = read[i].min(seconds(|| drop(std::fs::read(path(i)).unwrap())));
        }
    }
    let k = sizes.map(|size| size / 1000);
    println!("| | {}k ms | {}k ms | {}k ms | twice / 2 | four times / 4 | GB/s at {}k |", k[0], k[1], k[2], k[2]);
    println!("|---|---|---|---|---|---|---|");
    let bytes = path(2).metadata().unwrap().len() as f64;
    let line = |name: &str, t: &[f64; 3]| {
        let ms = t.map(|t| t * 1e3);
        let (two, four, rate) = (t[1] / t[0] / 2.0, t[2] / t[0] / 4.0, bytes / t[2] / 1e9);
        println!("| {name} | {:.1} | {:.1} | {:.1} | {two:.2} | {four:.2} | {rate:.1} |", ms[0], ms[1], ms[2]);
    };
    ways.iter().zip(&best).for_each(|((name, _), times)| line(name, times));
    ways.iter().zip(&processor).for_each(|((name, _), times)| line(&format!("{name}: processor"), times));
    line("(std::fs::read)", &read);
    line("save, one run", &saving);
}
