//! What does durability cost, and what do checkpoints and saves cost beside writers?
//!
//!     cargo bench --features test-hooks --bench durable -- --folder DIRECTORY [--base base.npy] [--only commit,recover,save]
//!
//! `commit`: writers that share syncs, with syncs of 2 ms and as the disk is. `recover`: how fast a log is replayed. `save`: the rate of
//! one writer alone, during `kith_save` and during a checkpoint, on 500,000 vectors of `--base` (u8 or f32). Prints rates and CPU seconds; alternates
//! what it compares. benches/record/durable.md has what came of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::expect_used)]

mod common;

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Index, Kind, LogOptions, OpenFlags, Options, Rows, SyncPolicy};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DIMENSIONS: u32 = 128;
/// Vectors that a save is measured with.
const SAVED: usize = 500_000;

fn main() {
    let options = common::options();
    let Some(folder) = options.get("folder").map(PathBuf::from) else {
        println!("durable: needs --folder; see its head");
        return;
    };
    let only = options.get("only").map_or("commit,recover,save", String::as_str);
    if only.contains("commit") {
        commit(&folder);
    }
    if only.contains("recover") {
        recover(&folder);
    }
    if let Some(base) = options.get("base").filter(|_| only.contains("save")) {
        let base = common::Array::open(base);
        assert!(base.rows > SAVED && base.columns == DIMENSIONS as usize, "{} x {}", base.rows, base.columns);
        save(&folder, &base.vectors(Element::F32));
    }
}

fn options(kind: Kind) -> Options {
    Options { dimensions: DIMENSIONS, metric: Metric::L2, element: Element::F32, kind, ..Options::default() }
}

fn some_vector(of: u64) -> Vec<u8> {
    (0..u64::from(DIMENSIONS))
        .flat_map(|i| ((of.wrapping_mul(2_654_435_761) >> (i % 17)) as u16 as f32).to_le_bytes())
        .collect()
}

/// Seconds of processor time that this process has used, or (`RUSAGE_THREAD`) this thread.
fn cpu(whose: libc::c_int) -> f64 {
    // SAFETY: a struct of numbers that the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(whose, &raw mut usage), 0);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Inserts per second of so many writers, and records per sync.
fn rate(folder: &Path, sync: Option<Duration>, writers: u64, time: Duration) -> (f64, f64) {
    let path = folder.join("commit");
    let (flat, log) = (options(Kind::Flat), LogOptions::default());
    let index = match sync {
        Some(sync) => Index::open_directory_slowed(&path, Some(&flat), &log, sync),
        None => Index::open_directory(&path, Some(&flat), &log),
    };
    let (index, stop, done) = (index.unwrap(), AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (index, stop, done) = (&index, &stop, &done);
            scope.spawn(move || {
                let vector = some_vector(writer);
                for key in (writer << 40).. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    index.insert(key, &vector).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    let done = done.into_inner() as f64;
    let rate = done / began.elapsed().as_secs_f64();
    let syncs = index.log_info().unwrap().syncs as f64;
    drop(index);
    std::fs::remove_dir_all(&path).unwrap();
    (rate, done / syncs)
}

fn commit(folder: &Path) {
    println!("| sync | writers | inserts per second | records per sync | times one writer |\n|---|---|---|---|---|");
    for (name, sync) in [("made 2 ms", Some(Duration::from_millis(2))), ("of this disk", None)] {
        let writers = [1, 2, 4, 8, 16, 32];
        let mut best = vec![(0.0, 0.0); writers.len()];
        for _ in 0..3 {
            for (best, &writers) in best.iter_mut().zip(&writers) {
                let (rate, share) = rate(folder, sync, writers, Duration::from_millis(1500));
                if rate > best.0 {
                    *best = (rate, share);
                }
            }
        }
        for (writers, (rate, share)) in writers.into_iter().zip(&best) {
            println!("| {name} | {writers} | {rate:.0} | {share:.1} | {:.1} |", rate / best[0].0);
        }
    }
}

fn recover(folder: &Path) {
    println!(
        "| kind | log | records | vectors | seconds | CPU seconds | vectors per second |\n|---|---|---|---|---|---|---|"
    );
    for (kind, count, batch) in [(Kind::Flat, 400_000u64, 1), (Kind::Flat, 400_000, 10_000), (Kind::Graph, 30_000, 1)] {
        let path = folder.join("recover");
        let log = LogOptions { sync: SyncPolicy::Never, checkpoint_bytes: u64::MAX, ..LogOptions::default() };
        let index = Index::open_directory(&path, Some(&options(kind)), &log).unwrap();
        for first in (0..count).step_by(batch as usize) {
            let keys: Vec<u64> = (first..first + batch).collect();
            let vectors: Vec<u8> = keys.iter().flat_map(|&key| some_vector(key)).collect();
            let rows = Rows::packed(&vectors, index.vector_bytes());
            index.insert_batch(&keys, rows, &BuildOptions { threads: 1, ..BuildOptions::default() }).unwrap();
        }
        let bytes = index.log_info().unwrap().log_bytes;
        drop(index);
        let (began, used) = (Instant::now(), cpu(libc::RUSAGE_SELF));
        let index = Index::open_directory(&path, None, &log).unwrap();
        let (seconds, used) = (began.elapsed().as_secs_f64(), cpu(libc::RUSAGE_SELF) - used);
        assert_eq!(index.describe().count, count);
        println!(
            "| {kind:?} | {} MB | {} | {count} | {seconds:.2} | {used:.2} | {:.0} |",
            bytes / 1_000_000,
            index.log_info().unwrap().replayed,
            count as f64 / seconds
        );
        drop(index);
        std::fs::remove_dir_all(&path).unwrap();
    }
}

/// What goes on beside a writer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Nothing,
    Save,
    /// As a save, but nothing is done with the bytes.
    Discard,
}

/// Seconds that one writer takes for so many inserts while something goes on beside, and seconds of its processor time.
fn writer(index: &Index, rows: Rows<'_>, inserts: usize, beside: Beside, path: &Path) -> (f64, f64) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let saving = scope.spawn(move || {
            while beside != Beside::Nothing && !stop.load(Ordering::Relaxed) {
                match beside {
                    Beside::Save => index.save(path).unwrap(),
                    _ => index.save_to(&mut std::io::sink()).unwrap(),
                }
            }
        });
        // The save has begun.
        std::thread::sleep(Duration::from_millis(20));
        let (began, used) = (Instant::now(), cpu(libc::RUSAGE_THREAD));
        for next in SAVED + 1..SAVED + 1 + inserts {
            index.insert(next as u64, rows.row(next % rows.count())).unwrap();
        }
        let took = (began.elapsed().as_secs_f64(), cpu(libc::RUSAGE_THREAD) - used);
        stop.store(true, Ordering::Relaxed);
        saving.join().unwrap();
        took
    })
}

fn save(folder: &Path, data: &[u8]) {
    let rows = Rows::packed(data, DIMENSIONS as usize * 4);
    println!("| kind | beside | inserts per second | per second of the writer's processor |");
    println!("|---|---|---|---|");
    for (kind, inserts) in [(Kind::Flat, 400_000), (Kind::Graph, 2000)] {
        let stored = folder.join(format!("saved-{kind:?}.kith"));
        if Index::file_info(&stored).is_err() {
            let index = Index::create(&options(kind)).unwrap();
            let keys: Vec<u64> = (0..SAVED as u64).collect();
            let first = Rows::packed(&data[..SAVED * 512], 512);
            index.insert_batch(&keys, first, &BuildOptions::default()).unwrap();
            index.save(&stored).unwrap();
        }
        let path = folder.join("beside.kith");
        for beside in [Beside::Nothing, Beside::Save, Beside::Discard].into_iter().cycle().take(9) {
            // Anew each time, so that what is inserted and saved is the same.
            let index = Index::open(&stored, OpenFlags::default()).unwrap();
            // The first may bring codes.
            index.insert(SAVED as u64, rows.row(0)).unwrap();
            let (seconds, used) = writer(&index, rows, inserts, beside, &path);
            println!("| {kind:?} | {beside:?} | {:.0} | {:.0} |", inserts as f64 / seconds, inserts as f64 / used);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
