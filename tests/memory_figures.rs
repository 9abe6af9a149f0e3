//! Does an index say truly how much memory it has? Held against the allocator and the kernel.
//!
//! What the process took is what its allocator handed out and did not get back, plus the pages that are there of anonymous mappings
//! which are not the allocator's (it is told to make none). `Info::bytes` must be within 2 % of how much that grew since before the index was.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::print_stderr, reason = "with KITH_FIGURES set the figures are printed, and not judged")]

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Index, Kind, OpenFlags, Options, Quantizer, Rows, SearchOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

static HEAP: AtomicIsize = AtomicIsize::new(0);
/// The most heap that was there at a time, since it was set.
static PEAK: AtomicIsize = AtomicIsize::new(0);
/// The figures are the process's, so one test measures at a time.
static TURN: Mutex<()> = Mutex::new(());

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

fn add(bytes: isize) {
    let now = HEAP.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Before any thread begins: all comes from the allocator's one heap, which has a name among the mappings.
extern "C" fn one_heap() {
    // SAFETY: settings of the allocator.
    unsafe { (libc::mallopt(libc::M_MMAP_MAX, 0), libc::mallopt(libc::M_ARENA_MAX, 1)) };
}

// SAFETY: functions in this section run when the program begins; this one is sound to call then.
#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = one_heap;

/// Bytes that are there of anonymous mappings without a name, so neither the allocator's nor the main stack.
fn mapped() -> isize {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut ours, mut bytes) = (false, 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if words[0].contains('-') && !words[0].ends_with(':') {
            ours = words.len() == 5;
        } else if ours && words[0] == "Rss:" {
            bytes += words[1].parse::<isize>().unwrap() * 1024;
        }
    }
    bytes
}

struct Truth {
    heap: isize,
    mapped: isize,
}

impl Truth {
    fn now() -> Self {
        let mapped = mapped();
        Self { heap: HEAP.load(Ordering::Relaxed), mapped }
    }

    /// Holds what an index says against what came since.
    fn check(&self, index: &Index, what: &str) {
        let now = Self::now();
        let (heap, mapped) = (now.heap - self.heap, now.mapped - self.mapped);
        let (told, true_bytes) = (index.describe().bytes as isize, heap + mapped);
        let off = 100.0 * (told - true_bytes) as f64 / true_bytes as f64;
        if std::env::var_os("KITH_FIGURES").is_some() {
            eprintln!("{what}: {told} told, {true_bytes} true ({heap} heap, {mapped} mapped): {off:+.2} %");
        } else {
            assert!(
                off.abs() <= 2.0,
                "{what}: {told} told, {true_bytes} true ({heap} heap, {mapped} mapped): {off:+.2} %"
            );
        }
    }
}

/// Whole numbers, or with fractions.
fn vectors(count: usize, dimensions: u32, element: Element, whole: bool) -> Vec<u8> {
    let mut state = 9u64;
    let mut component = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = (state >> 56) as f32;
        if whole { value } else { value / 255.0 + 0.25 }
    };
    let values = (0..count * dimensions as usize).map(|_| component());
    match element {
        Element::F32 => values.flat_map(f32::to_le_bytes).collect(),
        Element::Bf16 => values.flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()).collect(),
        Element::B1 => values.take(count * dimensions as usize / 8).map(|value| (value * 51.0) as u8).collect(),
        _ => values.map(|value| value as u8).collect(),
    }
}

struct Case {
    name: &'static str,
    options: Options,
    whole: bool,
    count: usize,
}

fn search(index: &Index, data: &[u8]) {
    let size = index.vector_bytes();
    for query in data.chunks(size).take(300) {
        index.search(query, &mut [0; 10], None, &SearchOptions::default()).unwrap();
    }
    let mut keys = vec![0; 1000];
    let options = SearchOptions { threads: 1, ..Default::default() };
    index.search_batch(Rows::packed(&data[..100 * size], size), 10, &mut keys, None, None, &options).unwrap();
}

/// A life: one by one, a batch, searches, removal, maintenance, more, compaction, a save and back, clear.
fn live(case: &Case) {
    let Case { name, options, whole, count } = case;
    let data = vectors(*count, options.dimensions, options.element, *whole);
    let keys: Vec<u64> = (0..*count as u64).map(|key| key * 7).collect();
    let again: Vec<u64> = (0..*count as u64).map(|i| if i + 1 == *count as u64 { 0 } else { i * 7 + 1 }).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let before = Truth::now();
    let index = Index::create(options).unwrap();
    let size = index.vector_bytes();
    let check = |index: &Index, what: &str| before.check(index, &format!("{name}, {what}"));
    if std::env::var_os("KITH_FIGURES").is_some() {
        check(&index, "empty");
    }
    let build = BuildOptions { threads: 1, ..Default::default() };
    let singles = count / 10;
    for (&key, vector) in keys.iter().zip(data.chunks(size)).take(singles) {
        index.insert(key, vector).unwrap();
    }
    check(&index, "singles");
    index.insert_batch(&keys[singles..], Rows::packed(&data[singles * size..], size), &build).unwrap();
    check(&index, "batch");
    search(&index, &data);
    check(&index, "searched");
    // A batch that fails leaves nothing behind: its last key is there already.
    index.insert_batch(&again, Rows::packed(&data, size), &build).unwrap_err();
    check(&index, "failed batch");
    for &key in &keys[..count / 2] {
        index.remove(key).unwrap();
    }
    check(&index, "half removed");
    while index.maintain(Duration::MAX).unwrap() > 0 {}
    check(&index, "maintained");
    for &key in &keys[..count / 20] {
        index.upsert(key, &data[..size]).unwrap();
    }
    check(&index, "some again");
    index.compact(&build).unwrap();
    check(&index, "compacted");
    index.optimize(&build).unwrap();
    check(&index, "optimized");
    index.save(&path).unwrap();
    check(&index, "saved");
    index.clear().unwrap();
    let cleared = HEAP.load(Ordering::Relaxed) - before.heap + mapped() - before.mapped;
    assert!(cleared < 200_000, "{name}: {cleared} bytes are left after kith_clear");
    drop(index);
    let before = Truth::now();
    let index = Index::open(&path, OpenFlags { one_thread: true, ..Default::default() }).unwrap();
    before.check(&index, &format!("{name}, opened"));
    search(&index, &data);
    index.insert(u64::MAX - 1, &data[..size]).unwrap();
    before.check(&index, &format!("{name}, opened and used"));
}

#[test]
fn what_an_index_says_is_what_it_takes() {
    let _turn = TURN.lock().unwrap();
    let of = |dimensions, element, kind| Options { dimensions, element, kind, ..Options::default() };
    let plain = |options: Options| Options { quantizer: Quantizer::None, ..options };
    let case = |name, options, whole, count| Case { name, options, whole, count };
    let (flat, graph) = (Kind::Flat, Kind::Graph);
    for case in [
        case("flat f32", of(128, Element::F32, flat), false, 60_000),
        case("small flat f32", of(64, Element::F32, flat), false, 3_000),
        case(
            "flat bits under Hamming",
            Options { metric: Metric::Hamming, ..of(256, Element::B1, flat) },
            true,
            100_000,
        ),
        case("graph of f32", plain(of(96, Element::F32, graph)), false, 12_000),
        case("small graph of f32", plain(of(96, Element::F32, graph)), false, 3_000),
        case("graph with codes", of(256, Element::F32, graph), false, 12_000),
        case("graph held as bytes", of(128, Element::F32, graph), true, 12_000),
        case(
            "graph of bf16 under cosine",
            Options { metric: Metric::Cosine, ..plain(of(64, Element::Bf16, graph)) },
            false,
            10_000,
        ),
        case(
            "graph of reduced vectors",
            Options { quantizer: Quantizer::Bytes, ..of(256, Element::F32, graph) },
            false,
            12_000,
        ),
        case("graph of m 48", Options { m: 48, ..plain(of(16, Element::U8, graph)) }, true, 3_000),
    ] {
        live(&case);
    }
}

/// By how much the pages of this process grow at most while an index is made, above what it says it takes in the end.
fn most_above(make: impl FnOnce() -> Index) -> isize {
    let pages = |field: &str| {
        let text = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<isize>().unwrap() * 1024
    };
    // SAFETY: gives back what the allocator does not use.
    unsafe { libc::malloc_trim(0) };
    // From here on the kernel notes the most anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = pages("VmRSS");
    let index = make();
    pages("VmHWM") - before - index.describe().bytes as isize
}

#[test]
fn vectors_in_pieces_are_never_there_together() {
    let _turn = TURN.lock().unwrap();
    let graph = |quantizer| Options { dimensions: 512, kind: Kind::Graph, quantizer, ..Options::default() };
    let flat = Options { kind: Kind::Flat, ..graph(Quantizer::Auto) };
    for (name, options, whole) in [
        ("flat f32", flat, false),
        ("graph of f32 with codes", graph(Quantizer::Auto), false),
        ("graph held as bytes", graph(Quantizer::Auto), true),
        ("graph of reduced vectors", graph(Quantizer::Bytes), false),
    ] {
        const COUNT: usize = 20_000;
        let size = 4 * 512;
        let data = vectors(COUNT, 512, Element::F32, whole);
        let keys: Vec<u64> = (0..COUNT as u64).collect();
        let build = BuildOptions { threads: 1, ..Default::default() };
        let pieces = most_above(|| {
            let index = Index::create(&options).unwrap();
            let mut read = |first: usize, places: &mut [u64], vectors: &mut [u8]| {
                places.copy_from_slice(&keys[first..][..places.len()]);
                vectors.copy_from_slice(&data[first * size..][..vectors.len()]);
                false
            };
            index.insert_from(COUNT, &mut read, &build).unwrap();
            index
        });
        // The vectors of a batch are the caller's: what it takes above the index is the builder's.
        let batch = most_above(|| {
            let index = Index::create(&options).unwrap();
            index.insert_batch(&keys, Rows::packed(&data, size), &build).unwrap();
            index
        });
        // A piece of as many vectors as learning looks at, the keys, and what a page more here or there comes to.
        let more = (4_096 * size + 8 * COUNT + (6 << 20)) as isize;
        assert!(more < data.len() as isize / 2);
        assert!(pieces <= batch + more, "{name}: {pieces} bytes above the index in pieces, {batch} as a batch");
    }
}

#[test]
fn a_batch_takes_no_more_than_the_limit_that_lets_it_in() {
    let _turn = TURN.lock().unwrap();
    let dense =
        |dimensions, m| Options { dimensions, m, kind: Kind::Graph, quantizer: Quantizer::None, ..Options::default() };
    for (name, options, whole, count) in [
        ("64 f32", dense(64, 16), false, 20_000),
        ("384 f32 with codes", Options { dimensions: 384, kind: Kind::Graph, ..Options::default() }, false, 5_000),
        ("16 u8, m 32", Options { element: Element::U8, ..dense(16, 32) }, true, 20_000),
        ("1024 f32", dense(1024, 16), false, 4_000),
    ] {
        let data = vectors(count, options.dimensions, options.element, whole);
        let keys: Vec<u64> = (0..count as u64).collect();
        let build = BuildOptions { threads: 1, ..Default::default() };
        // What is refused is refused at once, so the least limit is found quickly.
        let (mut refused, mut limit) = (false, 1 << 20);
        loop {
            let before = Truth::now();
            PEAK.store(before.heap, Ordering::Relaxed);
            let index = Index::create(&Options { memory_limit: limit, ..options.clone() }).unwrap();
            let done = index.insert_batch(&keys, Rows::packed(&data, index.vector_bytes()), &build);
            if done.is_ok() {
                let most = PEAK.load(Ordering::Relaxed) - before.heap + mapped() - before.mapped;
                if std::env::var_os("KITH_FIGURES").is_some() {
                    eprintln!("{name}: limit {limit}, at most {most}: {:.2}", most as f64 / limit as f64);
                } else {
                    assert!(most as u64 <= limit + limit / 50, "{name}: {most} bytes under a limit of {limit}");
                    assert!(most as u64 >= limit * 6 / 10, "{name}: {most} bytes need a limit of {limit}");
                }
                break;
            }
            refused = true;
            limit += limit / 16;
        }
        assert!(refused, "{name}");
    }
}
