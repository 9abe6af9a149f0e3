//! Is a graph whole and good, and always the same, when a large batch comes into one that is far larger?

use super::tests::{assert_found, assert_whole, bytes, file_of, options, recall, surface};
use crate::distance::Metric;
use crate::index::config::{BuildOptions, Kind, Options, Quantizer};
use crate::{Index, Rows, Status};
use std::cell::Cell;

const DIMENSIONS: usize = 24;
const BYTES: usize = 4 * DIMENSIONS;
/// More than four times the batch, and fewer than sixteen times.
const OLD: usize = 12_000;
const NEW: usize = 1_500;
/// In one batch.
const WHOLE: usize = OLD + NEW;

fn insert(index: &Index, vectors: &[u8], first: u64, pieces: usize, build: &BuildOptions<'_>) -> crate::Result<()> {
    let keys: Vec<u64> = (first..).take(vectors.len() / BYTES).collect();
    let mut batches = keys.chunks(pieces).zip(vectors.chunks(pieces * BYTES));
    batches.try_for_each(|(keys, rows)| index.insert_batch(keys, Rows::packed(rows, BYTES), build))
}

/// An index of the old vectors.
fn old(metric: Metric, vectors: &[u8]) -> Index {
    let index =
        Index::create(&Options { quantizer: Quantizer::None, ..options(metric, DIMENSIONS, Kind::Graph) }).unwrap();
    insert(&index, vectors, 0, WHOLE, &BuildOptions { threads: 2, ..Default::default() }).unwrap();
    index
}

fn threads(threads: u32) -> BuildOptions<'static> {
    BuildOptions { threads, ..Default::default() }
}

/// Whether the next batch of so many will be appended as a whole.
fn is_appended(index: &Index, count: usize) -> bool {
    let pin = index.pin();
    let core = index.core(&pin);
    !index.is_bulk(core, count, &pin) && index.is_appended(core, count, &pin)
}

#[test]
fn any_number_of_threads_appends_the_same_and_as_well_as_one_by_one() {
    for metric in [Metric::L2, Metric::Cosine, Metric::InnerProduct] {
        let vectors = surface(OLD + NEW, DIMENSIONS, 21);
        let data = bytes(&vectors);
        let (first, rest) = data.split_at(OLD * BYTES);
        let appended = [1, 2, 7].map(|count| {
            let index = old(metric, first);
            assert!(is_appended(&index, NEW));
            insert(&index, rest, OLD as u64, WHOLE, &threads(count)).unwrap();
            assert_whole(&index, "appended");
            index
        });
        let files = appended.each_ref().map(file_of);
        assert!(files[0] == files[1] && files[1] == files[2], "{metric:?}");
        if metric != Metric::InnerProduct {
            assert_found(&appended[0], &data, "appended");
        }
        let single = old(metric, first);
        insert(&single, rest, OLD as u64, 500, &threads(1)).unwrap();
        // Queries near the new ones, which are what may be worse.
        let queries: Vec<f32> = vectors[OLD * DIMENSIONS..].iter().take(300 * DIMENSIONS).map(|c| c * 1.01).collect();
        let [together, single] =
            [&appended[0], &single].map(|index| recall(index, metric, DIMENSIONS, &vectors, &queries, 20));
        assert!(together >= single - 0.01, "{metric:?}: {together} together, {single} one by one");
    }
}

#[test]
fn batches_that_are_unlike_what_is_there_are_whole() {
    let old_ones = bytes(&surface(OLD, DIMENSIONS, 22));
    let far: Vec<f32> = surface(NEW, DIMENSIONS, 23).iter().map(|c| c * 0.01 + 500.0).collect();
    let mut twins = bytes(&surface(NEW, DIMENSIONS, 24));
    // Some of each: copies of old ones, and of each other.
    for i in 0..30 {
        twins.copy_within(i * BYTES..(i + 1) * BYTES, (1_400 + i) * BYTES);
        twins[(1_440 + i) * BYTES..][..BYTES].copy_from_slice(&old_ones[i * 7 * BYTES..][..BYTES]);
    }
    let copies = old_ones[..NEW * BYTES].to_vec();
    let equal = old_ones[..BYTES].repeat(NEW);
    for (name, new) in [("far away", bytes(&far)), ("some twins", twins), ("copies", copies), ("all equal", equal)] {
        let files = [1, 3].map(|count| {
            let index = old(Metric::L2, &old_ones);
            insert(&index, &new, OLD as u64, WHOLE, &threads(count)).unwrap();
            assert_whole(&index, name);
            assert_found(&index, &[&old_ones[..], &new].concat(), name);
            (index.describe().count == (OLD + NEW) as u64).then(|| file_of(&index)).unwrap()
        });
        // One by one the order in which threads come decides.
        assert!(files[0] == files[1] || ["copies", "all equal"].contains(&name), "{name}");
    }
}

#[test]
fn an_append_that_is_cancelled_leaves_no_trace() {
    let vectors = bytes(&surface(OLD + NEW, DIMENSIONS, 25));
    let (first, rest) = vectors.split_at(OLD * BYTES);
    let index = old(Metric::L2, first);
    let before = file_of(&index);
    for word in [1, 2, u32::MAX] {
        let (told, last) = (Cell::new(0), Cell::new(0));
        let cancel = |done, total| {
            assert!(done >= last.get() && done <= total && total == NEW as u64);
            last.set(done);
            told.set(told.get() + 1);
            told.get() == word || done == total
        };
        let build = BuildOptions { progress: Some(&cancel), threads: 2, ..Default::default() };
        let error = insert(&index, rest, OLD as u64, WHOLE, &build).unwrap_err();
        assert_eq!(error.status(), Status::Cancelled);
        assert!(file_of(&index) == before, "word {word}");
    }
    insert(&index, rest, OLD as u64, WHOLE, &threads(2)).unwrap();
    assert_whole(&index, "after");
}

#[test]
fn others_change_the_index_while_a_batch_is_appended() {
    let vectors = bytes(&surface(OLD + NEW + 2_000, DIMENSIONS, 26));
    let (first, rest) = vectors.split_at(OLD * BYTES);
    let (batch, singles) = rest.split_at(NEW * BYTES);
    let index = old(Metric::L2, first);
    // So that there are free slots among the others.
    (0..600).for_each(|i| index.remove(i * 20).unwrap());
    assert_eq!(index.maintain(std::time::Duration::MAX).unwrap(), 0);
    let over = std::sync::atomic::AtomicBool::new(false);
    let count = std::thread::scope(|scope| {
        let single = scope.spawn(|| {
            let mut count = 0;
            for (i, vector) in (0..).zip(singles.chunks(BYTES)) {
                index.insert(100_000 + i, vector).unwrap();
                index.remove(i * 5 + 1).unwrap();
                count += 1;
                if over.load(std::sync::atomic::Ordering::Acquire) {
                    break;
                }
            }
            count
        });
        insert(&index, batch, OLD as u64, WHOLE, &threads(2)).unwrap();
        over.store(true, std::sync::atomic::Ordering::Release);
        single.join().unwrap()
    });
    assert_eq!(index.describe().count, (OLD - 600 + NEW) as u64 + count - count);
    assert_whole(&index, "with others");
    for (key, vector) in
        (OLD as u64..).zip(batch.chunks(BYTES)).chain((100_000..).zip(singles.chunks(BYTES).take(count as usize)))
    {
        let mut found = [0];
        index.search(vector, &mut found, None, &crate::SearchOptions::default()).unwrap();
        assert_eq!(found[0], key);
    }
}
