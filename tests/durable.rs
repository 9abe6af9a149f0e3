//! Durable directories on the real disk: owners, and processes that are killed in the middle of their work.
//!
//! `KITH_KILLS=1000` kills that many processes; `benches/record/durable.md` has what came of it.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use kith::{BuildOptions, Index, Kind, LogOptions, Options, Rows, Status};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const THREADS: u64 = 3;
const DIMENSIONS: u32 = 8;

fn options(kind: Kind) -> Options {
    Options { dimensions: DIMENSIONS, kind, m: 6, ef_construction: 20, ..Options::default() }
}

/// Checkpoints all the time, so that some kills meet one.
fn log() -> LogOptions {
    LogOptions { checkpoint_bytes: 30_000, threads: 1, ..LogOptions::default() }
}

fn vector(of: u64) -> Vec<u8> {
    (0..u64::from(DIMENSIONS)).flat_map(|i| ((of % 1000 * 7 + i * 13) as f32).to_le_bytes()).collect()
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a thread does in one of its steps, with keys that are its own.
fn step(thread: u64, step: u64, mut put: impl FnMut(&[u64], u64), mut remove: impl FnMut(u64)) {
    let random = mix(thread << 40 | step);
    let key = |i: u64| thread * 1000 + (random / 16 + i) % 200;
    match random % 16 {
        0..3 => remove(key(0)),
        3 => put(&(0..60).map(key).collect::<Vec<_>>(), random),
        _ => put(&[key(0)], random),
    }
}

/// What a thread's keys are after so many steps.
fn model(thread: u64, steps: u64) -> BTreeMap<u64, u64> {
    let model = std::cell::RefCell::new(BTreeMap::new());
    for at in 0..steps {
        let put = |keys: &[u64], of| model.borrow_mut().extend(keys.iter().map(|&key| (key, of)));
        step(thread, at, put, |key| model.borrow_mut().retain(|other, _| *other != key));
    }
    model.into_inner()
}

/// The child: goes on with each thread's steps for ever, and says on stdout which are acknowledged.
fn work(path: &Path, kind: Kind, from: &[u64]) {
    let index = Index::open_directory(path, Some(&options(kind)), &log()).unwrap();
    // Ends the line that the test harness has begun.
    println!();
    std::thread::scope(|scope| {
        for (thread, &from) in (0..).zip(from) {
            let index = &index;
            scope.spawn(move || {
                for at in from.. {
                    let put = |keys: &[u64], of: u64| {
                        let vectors: Vec<u8> = keys.iter().flat_map(|_| vector(of)).collect();
                        let options = BuildOptions { threads: 1, upsert: true, ..BuildOptions::default() };
                        match keys {
                            [key] => index.upsert(*key, &vectors).unwrap(),
                            _ => {
                                let rows = Rows::packed(&vectors, index.vector_bytes());
                                index.insert_batch(keys, rows, &options).unwrap();
                            }
                        }
                    };
                    let remove = |key| match index.remove(key) {
                        Err(error) if error.status() != Status::NotFound => panic!("{error}"),
                        _ => {}
                    };
                    step(thread, at, put, remove);
                    // One write, so that the line is whole or not there.
                    std::io::stdout().lock().write_all(format!("{thread} {at}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

/// Lets a child work, kills it after so many acknowledgements, and says up to which step each thread was acknowledged.
fn kill_one(path: &Path, kind: Kind, from: &[u64], acknowledgements: usize) -> Vec<u64> {
    let from_text = from.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed_loses_nothing_it_acknowledged", "--nocapture", "--test-threads=1"])
        .env("KITH_TEST_CHILD", path)
        .env("KITH_TEST_FROM", from_text)
        .env("KITH_TEST_KIND", (kind as u32).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = from.to_vec();
    let mut take = |line: std::io::Result<String>| {
        let line = line.unwrap();
        let Some((thread, at)) = line.split_once(' ').and_then(|(a, b)| a.parse().ok().zip(b.parse::<u64>().ok()))
        else {
            return false; // of the test harness
        };
        let thread: usize = thread;
        assert_eq!(next[thread], at);
        next[thread] = at + 1;
        true
    };
    let mut seen = 0;
    while seen < acknowledgements {
        let Some(line) = lines.next() else { panic!("the child ended by itself") };
        seen += usize::from(take(line));
    }
    child.kill().unwrap();
    // What it said before it died counts.
    for line in lines {
        take(line);
    }
    child.wait().unwrap();
    next
}

#[test]
fn a_process_that_is_killed_loses_nothing_it_acknowledged() {
    if let Some(path) = std::env::var_os("KITH_TEST_CHILD") {
        let from = std::env::var("KITH_TEST_FROM").unwrap();
        let from: Vec<u64> = from.split(',').map(|step| step.parse().unwrap()).collect();
        let kind = std::env::var("KITH_TEST_KIND").unwrap().parse::<u32>().unwrap();
        return work(Path::new(&path), Kind::try_from(kind).unwrap(), &from);
    }
    let kills = std::env::var("KITH_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let (mut replayed, mut torn) = (0, 0);
    for kind in [Kind::Flat, Kind::Graph] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut from = vec![0; THREADS as usize];
        for round in 0..kills / 2 {
            let acknowledged = kill_one(&path, kind, &from, (mix(round) % 300) as usize);
            let index = Index::open_directory(&path, Some(&options(kind)), &log()).unwrap();
            let info = index.log_info().unwrap();
            let mut count = 0;
            for (thread, from) in (0..).zip(&mut from) {
                let has = |model: &BTreeMap<u64, u64>| {
                    (thread * 1000..thread * 1000 + 200).all(|key| {
                        let mut found = vec![0; index.vector_bytes()];
                        match model.get(&key) {
                            Some(&of) => index.get(key, &mut found).is_ok() && found == vector(of),
                            None => !index.contains(key).unwrap(),
                        }
                    })
                };
                // The step that was under way may be there, too.
                let at_least = acknowledged[thread as usize];
                let step = (at_least..=at_least + 1).find(|&steps| has(&model(thread, steps)));
                *from = step.unwrap_or_else(|| panic!("round {round}, {kind:?}: thread {thread} after {at_least}"));
                count += model(thread, *from).len() as u64;
            }
            assert_eq!(index.describe().count, count);
            replayed += info.replayed;
            torn += u32::from(info.cut_bytes > 0);
        }
        println!("{kind:?}: {from:?} steps; all so far: {replayed} records replayed, {torn} ends torn");
    }
}

#[test]
fn the_lock_ends_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = Index::open_directory(&path, Some(&options(Kind::Flat)), &log()).unwrap();
    for _ in 0..2 {
        let error = Index::open_directory(&path, None, &log()).unwrap_err();
        assert_eq!(error.status(), Status::Busy);
        assert!(error.text().contains(path.to_str().unwrap()), "{error}");
    }
    index.insert(1, &vector(1)).unwrap();
    drop(index);
    let index = Index::open_directory(&path, None, &log()).unwrap();
    assert_eq!(index.describe().count, 1);
    // A snapshot is a file like any other.
    index.checkpoint().unwrap();
    let snapshot = path.join("snapshot-0000000000000001.kith");
    assert_eq!(Index::file_info(&snapshot).unwrap().count, 1);
}

#[test]
fn a_path_that_is_no_directory_or_has_no_parent_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for path in [file.clone(), folder.path().join("missing/index"), file.join("index")] {
        let error = Index::open_directory(&path, Some(&options(Kind::Flat)), &log()).unwrap_err();
        assert_eq!(error.status(), Status::Io);
        assert!(error.text().contains(path.to_str().unwrap()), "{error}");
    }
    let error = Index::open_directory(&folder.path().join("missing"), None, &log()).unwrap_err();
    assert_eq!(error.status(), Status::Io);
}
