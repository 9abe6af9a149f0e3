//! What is allocated, counted: nothing per query once the buffers are warm, and nothing as large as a vector's data per batch but the
//! slots themselves.

#![allow(clippy::unwrap_used, missing_docs)]

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Index, Kind, Options, Rows, SearchOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// The counters are the process's, so one test counts at a time.
static TURN: Mutex<()> = Mutex::new(());

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

fn note(bytes: usize) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(bytes, Ordering::Relaxed);
    LARGEST.fetch_max(bytes, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DIMENSIONS: u32 = 96;

fn vectors(count: usize) -> Vec<u8> {
    let mut state = 9u64;
    let mut component = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count * DIMENSIONS as usize).flat_map(|_| component().to_le_bytes()).collect()
}

fn index(kind: Kind, metric: Metric) -> Index {
    let options = Options { dimensions: DIMENSIONS, metric, element: Element::F32, kind, ..Default::default() };
    Index::create(&options).unwrap()
}

#[test]
fn a_warm_search_allocates_nothing() {
    let _turn = TURN.lock().unwrap();
    let data = vectors(3_000);
    let keys: Vec<u64> = (0..3_000).collect();
    for kind in [Kind::Flat, Kind::Graph] {
        for metric in [Metric::L2, Metric::Cosine] {
            let index = index(kind, metric);
            let size = index.vector_bytes();
            index.insert_batch(&keys, Rows::packed(&data, size), &BuildOptions::default()).unwrap();
            let (mut found, mut distances) = ([0; 10], [0.0; 10]);
            let mut search = |query: &[u8]| {
                index.search(query, &mut found, Some(&mut distances), &SearchOptions::default()).unwrap();
            };
            for removed in [false, true] {
                if removed {
                    index.remove_batch(&keys[..100]).unwrap();
                }
                data.chunks(size).take(400).for_each(&mut search);
                let before = COUNT.load(Ordering::Relaxed);
                data.chunks(size).take(1_000).for_each(&mut search);
                assert_eq!(COUNT.load(Ordering::Relaxed) - before, 0, "{kind:?} {metric:?}, removed: {removed}");
            }
        }
    }
}

#[test]
fn a_batch_copies_each_vector_once_into_its_slot() {
    let _turn = TURN.lock().unwrap();
    let count = 20_000;
    let data = vectors(count);
    let keys: Vec<u64> = (0..count as u64).collect();
    for threads in [1, 2] {
        let index = index(Kind::Flat, Metric::L2);
        // The slots' memory is there before; what the batch still allocates are the tables of its keys.
        index.reserve(count as u64).unwrap();
        BYTES.store(0, Ordering::Relaxed);
        LARGEST.store(0, Ordering::Relaxed);
        let options = BuildOptions { threads, ..Default::default() };
        index.insert_batch(&keys, Rows::packed(&data, index.vector_bytes()), &options).unwrap();
        let (bytes, largest) = (BYTES.load(Ordering::Relaxed), LARGEST.load(Ordering::Relaxed));
        // The data is 7.7 MB; the keys' tables double from 8 cells on, about 32 bytes a key in all, and rayon's threads take a little.
        assert!(bytes < count * 64, "{bytes} bytes in all");
        assert!(largest < 64 * 1024, "one allocation of {largest} bytes");
    }
}
