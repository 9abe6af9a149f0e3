//! kith as an engine of a comparison of engines: builds an index from .npy files and times searches.
//!
//! A flat index also prints the time in which one thread reads the bytes of its vectors. Speaks this protocol: `--base base.npy --query query.npy --metric l2|cosine --k K --threads T`; prints one JSON object a line:
//! first `{"build_seconds", "rss_bytes", "peak_bytes", "version"}`, then per search parameter
//! `{"param", "qps", "ids_file", "p50_us", "p99_us"}`; then `{"end": true}`, and waits for a line with a JSON array of parameters to
//! time again (`[]`: all), until standard input ends.
//!
//! Further options: `--m 16 --efc 200 --kind graph|flat --element f32|u8 --insert batch|single --fast no|yes --build-threads N --efs 10,20,.. --quantizer N --held f32|f16|bf16 --bytes-per-vector N` (as in kith.h), and
//! `--there N`: so many are in the index already, in a batch of their own, when the time begins; `--pieces N`: the others come in batches of so many; `--callers N`: queries per second are those of N host threads that make single calls, instead of one call for all queries.
//! `--open loaded|vectors|mapped`: before it is searched the index is saved and opened again, with nothing, the vectors or all of it left in the file.
//! `held_bytes` of the first line are those in memory, `mapped_bytes` those in the file; then the line at the end of a round says by how much the
//! process grew since just before opening, `own_bytes` in memory of its own, `file_bytes` of pages of files (which the system may drop).

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, clippy::expect_used)]

mod common;
#[path = "common/cpu.rs"]
mod cpu;

use common::Array;
use cpu::cpu_seconds;
use kith::distance::{Element, Metric};
use kith::{BuildOptions, Index, Kind, OpenFlags, Options, Quantizer, Rows, SearchOptions};
use std::io::{BufRead, Write};
use std::time::Instant;

fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) * 1024
}

/// Distances that a query takes on average; known only with the feature `test-hooks`.
fn distances(index: &Index, before: u64, queries: usize) -> f64 {
    (scored(index) - before) as f64 / queries as f64
}

#[cfg(feature = "test-hooks")]
fn scored(index: &Index) -> u64 {
    index.scored()
}

#[cfg(not(feature = "test-hooks"))]
fn scored(_index: &Index) -> u64 {
    0
}

fn main() {
    let options = common::options();
    let option = |name: &str, default: &str| options.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let number = |name: &str, default: usize| options.get(name).map_or(default, |text| text.parse().unwrap());
    if !options.contains_key("base") {
        println!("peer: needs --base and --query; see its head");
        return;
    }
    let (base, query) = (Array::open(&option("base", "")), Array::open(&option("query", "")));
    let element = match option("element", "f32").as_str() {
        "u8" => Element::U8,
        _ => Element::F32,
    };
    let metric = match option("metric", "l2").as_str() {
        "cosine" => Metric::Cosine,
        "ip" => Metric::InnerProduct,
        "hamming" => Metric::Hamming,
        _ => Metric::L2,
    };
    let element = if metric == Metric::Hamming { Element::B1 } else { element };
    let (k, threads, callers) = (number("k", 10), number("threads", 1), number("callers", 0));
    let kind = if option("kind", "graph") == "flat" { Kind::Flat } else { Kind::Graph };
    let count = number("count", base.rows).min(base.rows);
    let load = |array: &Array, rows: usize| -> Vec<u8> {
        let element = if element == Element::B1 { Element::U8 } else { element };
        let mut vectors = array.vectors(element).into_owned();
        vectors.truncate(rows * element.vector_bytes(array.columns as u32));
        vectors
    };
    let vectors = load(&base, count);
    let queries = load(&query, query.rows);
    let dimensions = if element == Element::B1 { base.columns * 8 } else { base.columns } as u32;
    let index = Index::create(&Options {
        dimensions,
        metric,
        element,
        kind,
        m: number("m", 16) as u32,
        ef_construction: number("efc", 200) as u32,
        quantizer: Quantizer::try_from(number("quantizer", 0) as u32).unwrap(),
        held: match option("held", "f32").as_str() {
            "f16" => Element::F16,
            "bf16" => Element::Bf16,
            _ => Element::F32,
        },
        bytes_per_vector: number("bytes-per-vector", 0) as u32,
        seed: number("seed", 1) as u64,
        ..Default::default()
    })
    .unwrap();
    let bytes = index.vector_bytes();
    let keys: Vec<u64> = (0..count as u64).collect();
    let there = number("there", 0).min(count);
    let rows = |range: std::ops::Range<usize>| Rows::packed(&vectors[range.start * bytes..range.end * bytes], bytes);
    index.insert_batch(&keys[..there], rows(0..there), &BuildOptions::default()).unwrap();
    let (anonymous, resident) = (status("RssAnon"), status("VmRSS"));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let build_threads =
        number("build-threads", threads.max(std::thread::available_parallelism().map_or(1, usize::from)));
    if option("insert", "batch") == "batch" {
        let fast = option("fast", "no") == "yes";
        let build = BuildOptions { threads: build_threads as u32, fast, ..Default::default() };
        let pieces = number("pieces", count);
        for start in (there..count).step_by(pieces) {
            let end = (start + pieces).min(count);
            index.insert_batch(&keys[start..end], rows(start..end), &build).unwrap();
        }
    } else {
        let next = std::sync::atomic::AtomicUsize::new(there);
        std::thread::scope(|scope| {
            for _ in 0..build_threads {
                scope.spawn(|| {
                    loop {
                        let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if i >= count {
                            return;
                        }
                        index.insert(i as u64, &vectors[i * bytes..][..bytes]).unwrap();
                    }
                });
            }
        });
    }
    let built = start.elapsed().as_secs_f64();
    let built_cpu = cpu_seconds() - cpu;
    let (grown, peak) = (status("RssAnon").saturating_sub(anonymous), status("VmHWM").saturating_sub(resident));
    let scanned = vectors.len();
    drop(vectors);
    let mut before = (status("RssAnon"), status("RssFile"));
    let index = match options.get("open") {
        Some(how) => {
            let path = std::env::temp_dir().join(format!("kith-peer-{}.kith", std::process::id()));
            index.save(&path).unwrap();
            drop(index);
            before = (status("RssAnon"), status("RssFile"));
            let (mapped, vectors_mapped) = (how == "mapped", how == "vectors");
            let opened =
                Index::open(&path, OpenFlags { mapped, vectors_mapped, read_only: true, ..OpenFlags::default() });
            std::fs::remove_file(&path).unwrap();
            opened.unwrap()
        }
        None => index,
    };
    let info = index.describe();
    println!(
        "{{\"build_seconds\": {built:.4}, \"build_cpu_seconds\": {:.3}, \"rss_bytes\": {}, \"peak_bytes\": {}, \"version\": \"{}\", \"held_bytes\": {}, \"mapped_bytes\": {}}}",
        built_cpu,
        grown,
        peak,
        env!("CARGO_PKG_VERSION"),
        info.bytes - info.mapped,
        info.mapped,
    );
    if kind == Kind::Flat {
        let seconds = reading_time(scanned);
        println!(
            "{{\"reading_us\": {:.1}, \"gigabytes_per_second\": {:.1}}}",
            seconds * 1e6,
            scanned as f64 / seconds / 1e9
        );
    }
    std::io::stdout().flush().unwrap();
    let own: Vec<usize> =
        option("efs", "10,12,14,17,20,24,28,34,40,48,56,68,80,96,112,136,160,192,224,272,320,384,512,768,1024")
            .split(',')
            .map(|ef| ef.parse().unwrap())
            .collect();
    let is_exact = kind == Kind::Flat && info.quantizer == Quantizer::None;
    let mut wanted = own.clone();
    let staying = option("once", "") != "yes";
    let mut input = std::io::stdin().lock().lines();
    loop {
        if staying {
            let Some(Ok(line)) = input.next() else { return };
            let listed: Vec<usize> =
                line.trim().trim_matches(['[', ']']).split(',').filter_map(|part| part.trim().parse().ok()).collect();
            wanted = if listed.is_empty() { own.clone() } else { listed };
        }
        for &ef in if is_exact { &[0][..] } else { &wanted } {
            measure(&index, &queries, bytes, ef, k, threads, callers);
        }
        let grown = |field: &str, before: usize| status(field).saturating_sub(before);
        println!(
            "{{\"end\": true, \"own_bytes\": {}, \"file_bytes\": {}}}",
            grown("RssAnon", before.0),
            grown("RssFile", before.1)
        );
        std::io::stdout().flush().unwrap();
        if !staying {
            return;
        }
    }
}

/// The least time in which one thread reads so many bytes: what bounds an exact search.
fn reading_time(bytes: usize) -> f64 {
    let words: Vec<u64> = (0..bytes as u64 / 8).collect();
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let start = Instant::now();
        let mut sums = [0u64; 64];
        for line in std::hint::black_box(&words).chunks_exact(64) {
            sums.iter_mut().zip(line).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
        }
        std::hint::black_box(sums);
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// Host threads that make single calls, each for every n-th block of queries.
fn call_beside_each_other(index: &Index, queries: &[u8], keys: &mut [u64], k: usize, callers: usize, ef: usize) {
    const BLOCK: usize = 16;
    let bytes = index.vector_bytes();
    let mut shares: Vec<Vec<_>> = (0..callers).map(|_| Vec::new()).collect();
    for (i, block) in queries.chunks(BLOCK * bytes).zip(keys.chunks_mut(BLOCK * k)).enumerate() {
        shares[i % callers].push(block);
    }
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| {
                let options = SearchOptions { ef: ef as u32, ..Default::default() };
                for (queries, keys) in share {
                    for (query, keys) in queries.chunks(bytes).zip(keys.chunks_mut(k)) {
                        index.search(query, keys, None, &options).unwrap();
                    }
                }
            });
        }
    });
}

/// Times one search parameter and prints its line.
fn measure(index: &Index, queries: &[u8], bytes: usize, ef: usize, k: usize, threads: usize, callers: usize) {
    let count = queries.len() / bytes;
    let mut keys = vec![0u64; count * k];
    let options = SearchOptions { ef: ef as u32, threads: threads as u32, ..Default::default() };
    let (start, cpu) = (Instant::now(), cpu_seconds());
    if callers == 0 {
        index.search_batch(Rows::packed(queries, bytes), k, &mut keys, None, None, &options).unwrap();
    } else {
        call_beside_each_other(index, queries, &mut keys, k, callers, ef);
    }
    let qps = count as f64 / start.elapsed().as_secs_f64();
    let cpu_us = (cpu_seconds() - cpu) * 1e6 / count as f64;
    let before = scored(index);
    let mut times: Vec<f64> = (0..count.min(2000))
        .map(|i| {
            let start = Instant::now();
            let options = SearchOptions { ef: ef as u32, ..Default::default() };
            index.search(&queries[i * bytes..][..bytes], &mut keys[i * k..][..k], None, &options).unwrap();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    let distances = distances(index, before, times.len());
    times.sort_by(f64::total_cmp);
    let path = std::env::temp_dir().join(format!("kith-peer-{}-{ef}.npy", std::process::id()));
    let mut header = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({count}, {k}), }}");
    header.push_str(&" ".repeat(64 - (10 + header.len() + 1) % 64));
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(keys.iter().flat_map(|key| key.to_le_bytes()));
    std::fs::write(&path, file).unwrap();
    println!(
        "{{\"param\": {ef}, \"qps\": {qps:.1}, \"ids_file\": \"{}\", \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"cpu_us\": {cpu_us:.2}, \"cpu_qps\": {:.1}, \"distances\": {distances:.1}}}",
        path.display(),
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        1e6 / cpu_us
    );
    std::io::stdout().flush().unwrap();
}
