//! Do vectors that come in pieces make the index that they make in one batch, and nothing if they do not all come?

use crate::disk::simulated::Simulated;
use crate::index::bulk::tests::{assert_whole, bytes, file_of, surface};
use crate::index::config::{BuildOptions, Kind, Options, Quantizer};
use crate::{Index, LogOptions, Rows, Status};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

const DIMENSIONS: usize = 512;
const BYTES: usize = 4 * DIMENSIONS;
/// More than two pieces.
const COUNT: usize = 5_000;

fn options(quantizer: Quantizer) -> Options {
    Options { dimensions: DIMENSIONS as u32, kind: Kind::Graph, quantizer, seed: 5, ..Options::default() }
}

fn index(quantizer: Quantizer) -> Index {
    Index::create(&options(quantizer)).unwrap()
}

/// Brings vectors with keys from `key` on, but for what `spoil` does to a piece; says with `true` at the position `stop` that it ends.
fn bring<'a>(
    data: &'a [u8],
    key: u64,
    stop: usize,
    spoil: impl Fn(usize, &mut [u64], &mut [u8]) + 'a,
) -> impl FnMut(usize, &mut [u64], &mut [u8]) -> bool + 'a {
    let mut expected = 0;
    move |first, keys, vectors| {
        assert_eq!(first, expected, "in order, each once");
        assert!(vectors.len() == keys.len() * BYTES && (vectors.as_ptr().addr()).is_multiple_of(64));
        assert!(keys.len() * BYTES <= 4 << 20 || first == 0);
        expected += keys.len();
        (first as u64..).zip(keys.iter_mut()).for_each(|(i, place)| *place = key + i);
        vectors.copy_from_slice(&data[first * BYTES..][..vectors.len()]);
        spoil(first, keys, vectors);
        first + keys.len() > stop
    }
}

fn insert_from(index: &Index, data: &[u8], key: u64, threads: u32) {
    let mut read = bring(data, key, usize::MAX, |_, _, _| ());
    let build = BuildOptions { threads, ..Default::default() };
    index.insert_from(data.len() / BYTES, &mut read, &build).unwrap();
}

fn insert_batch(index: &Index, data: &[u8], key: u64) {
    let keys: Vec<u64> = (key..).take(data.len() / BYTES).collect();
    index.insert_batch(&keys, Rows::packed(data, BYTES), &BuildOptions::default()).unwrap();
}

#[test]
fn pieces_make_the_file_that_one_batch_makes() {
    let data = bytes(&surface(COUNT, DIMENSIONS, 1));
    let whole = bytes(
        &surface(COUNT, DIMENSIONS, 1)
            .iter()
            .map(|c| (c * 9.0).round() + 128.0)
            .map(|c| c.clamp(0.0, 255.0))
            .collect::<Vec<_>>(),
    );
    for (quantizer, data) in [(Quantizer::None, &data), (Quantizer::Auto, &data), (Quantizer::Auto, &whole)] {
        let (first, rest) = data.split_at(300 * BYTES);
        for (before, part) in [(&[][..], &data[..]), (first, rest)] {
            let files = [0, 1, 3].map(|threads| {
                let index = index(quantizer);
                insert_batch(&index, before, 0);
                let key = (before.len() / BYTES) as u64;
                match threads {
                    0 => insert_batch(&index, part, key),
                    _ => insert_from(&index, part, key, threads),
                }
                assert_whole(&index, "pieces");
                file_of(&index)
            });
            assert!(files[0] == files[1] && files[1] == files[2], "{quantizer:?}, {} before", before.len());
        }
    }
}

#[test]
fn a_vector_that_is_no_byte_turns_those_before_it_back() {
    let whole: Vec<f32> =
        surface(COUNT, DIMENSIONS, 2).iter().map(|c| (c * 9.0 + 128.0).round().clamp(0.0, 255.0)).collect();
    let mut data = bytes(&whole);
    data[4_900 * BYTES..][..4].copy_from_slice(&0.5_f32.to_le_bytes());
    let (pieces, batch) = (index(Quantizer::Auto), index(Quantizer::Auto));
    insert_from(&pieces, &data, 0, 2);
    insert_batch(&batch, &data, 0);
    assert!(file_of(&pieces) == file_of(&batch));
}

#[test]
fn what_does_not_all_come_leaves_no_trace() {
    let data = bytes(&surface(COUNT, DIMENSIONS, 3));
    let old = bytes(&surface(500, DIMENSIONS, 4));
    for (quantizer, there) in
        [Quantizer::Auto, Quantizer::None, Quantizer::Bytes].into_iter().flat_map(|q| [(q, 0), (q, 500)])
    {
        let index = index(quantizer);
        insert_batch(&index, &old[..there * BYTES], 90_000);
        let before = file_of(&index);
        let refused = |read: &mut crate::Read<'_>, status, text: &str| {
            let error = index.insert_from(COUNT, read, &BuildOptions::default()).unwrap_err();
            assert!(error.status() == status && error.text().contains(text), "{error}");
            assert!(file_of(&index) == before, "{quantizer:?}, {there} there: {error}");
            assert_eq!(index.describe().count, there as u64);
        };
        let last = COUNT - 1;
        refused(&mut bring(&data, 0, 0, |_, _, _| ()), Status::Cancelled, "at 0 of 5000");
        refused(&mut bring(&data, 0, last, |_, _, _| ()), Status::Cancelled, "of 5000");
        let end = |first: usize, keys: &[u64]| first + keys.len() == COUNT;
        let no_key = |first, keys: &mut [u64], _: &mut [u8]| {
            if end(first, keys) {
                *keys.last_mut().unwrap() = u64::MAX;
            }
        };
        refused(&mut bring(&data, 0, COUNT, no_key), Status::Argument, "at position 4999: key");
        let twice = |first, keys: &mut [u64], _: &mut [u8]| {
            if end(first, keys) {
                *keys.last_mut().unwrap() = 17;
            }
        };
        refused(&mut bring(&data, 0, COUNT, twice), Status::Exists, "at position 4999: key is 17");
        if there > 0 {
            let present = |_, keys: &mut [u64], _: &mut [u8]| keys[5] = 90_007;
            refused(&mut bring(&data, 0, COUNT, present), Status::Exists, "at position 5: key is 90007");
        }
        // What is not written is no vector.
        let mut lazy = |first: usize, keys: &mut [u64], _: &mut [u8]| {
            (first as u64..).zip(keys).for_each(|(i, key)| *key = i);
            false
        };
        refused(&mut lazy, Status::Argument, "at position 0: vector");
        let mut nothing = |_: usize, _: &mut [u64], _: &mut [u8]| false;
        refused(&mut nothing, Status::Argument, "at position 0: key");
        insert_from(&index, &data, 0, 2);
        assert_eq!(index.describe().count, (COUNT + there) as u64);
    }
}

#[test]
fn progress_goes_up_over_reading_and_building_and_can_cancel_both() {
    let data = bytes(&surface(COUNT, DIMENSIONS, 6));
    let index = index(Quantizer::Auto);
    let before = file_of(&index);
    for word in [1, 4, u32::MAX] {
        let (told, last) = (Cell::new(0), Cell::new(0));
        let progress = |done, total| {
            assert!(done >= last.get() && done <= total && total == COUNT as u64);
            last.set(done);
            told.set(told.get() + 1);
            told.get() == word || done == total
        };
        let build = BuildOptions { progress: Some(&progress), ..Default::default() };
        let error = index.insert_from(COUNT, &mut bring(&data, 0, usize::MAX, |_, _, _| ()), &build).unwrap_err();
        assert!(error.status() == Status::Cancelled && error.text().contains("progress"), "{error}");
        assert!(file_of(&index) == before, "word {word}");
    }
}

#[test]
fn a_durable_index_has_in_its_log_what_came_in_pieces() {
    let disk = Simulated::with_root(Path::new("/root"));
    let place = Path::new("/root/index");
    let open = |quantizer| {
        Index::open_directory_on(Arc::new(disk.clone()), place, Some(&options(quantizer)), &LogOptions::default())
    };
    let data = bytes(&surface(COUNT, DIMENSIONS, 7));
    let index = open(Quantizer::Auto).unwrap();
    insert_batch(&index, &data[..BYTES], 1_000);
    let mut read = bring(&data, 0, usize::MAX, |_, _, _| ());
    let build = BuildOptions { upsert: true, ..Default::default() };
    index.insert_from(COUNT, &mut read, &build).unwrap();
    let last = index.log_info().unwrap().last;
    let error = index.insert_from(COUNT, &mut bring(&data, 0, usize::MAX, |_, _, _| ()), &BuildOptions::default());
    assert_eq!(error.unwrap_err().status(), Status::Exists);
    assert_eq!(index.log_info().unwrap().last, last, "what is refused is not logged");
    drop(index);
    let index = open(Quantizer::Auto).unwrap();
    assert_eq!((index.describe().count, index.log_info().unwrap().replayed), (COUNT as u64, last));
    let mut vector = vec![0; BYTES];
    for key in 0..COUNT {
        index.get(key as u64, &mut vector).unwrap();
        assert!(vector == data[key * BYTES..][..BYTES], "key {key}");
    }
    drop(index);
    let other = Index::open_directory_on(
        Arc::new(disk.clone()),
        Path::new("/root/other"),
        Some(&options(Quantizer::Bytes)),
        &LogOptions::default(),
    );
    let error =
        other.unwrap().insert_from(COUNT, &mut bring(&data, 0, usize::MAX, |_, _, _| ()), &BuildOptions::default());
    assert_eq!(error.unwrap_err().status(), Status::Unsupported);
}

/// Of a key that comes in pieces and is replaced before they are seen, the log has the vector that the index has.
#[test]
fn the_log_and_the_index_agree_on_a_key_that_others_change_meanwhile() {
    const LARGE: usize = 4 * 4096;
    let disk = Simulated::with_root(Path::new("/root"));
    let large = Options { dimensions: 4096, ..options(Quantizer::None) };
    let open = || {
        Index::open_directory_on(Arc::new(disk.clone()), Path::new("/root/index"), Some(&large), &LogOptions::default())
            .unwrap()
    };
    for upsert in [false, true] {
        let index = open();
        let first_key = if upsert { 2_000 } else { 0 };
        let count = 600;
        let mut read = |first: usize, keys: &mut [u64], vectors: &mut [u8]| {
            for (i, (key, vector)) in (first..).zip(keys.iter_mut().zip(vectors.chunks_mut(LARGE))) {
                *key = first_key + i as u64;
                vector.copy_from_slice(&(i as f32).to_le_bytes().repeat(4096));
            }
            if first > 0 {
                // The keys of the first piece are claimed.
                std::thread::scope(|scope| {
                    scope.spawn(|| index.upsert(first_key + 3, &[0_u8; LARGE]).unwrap());
                });
            }
            false
        };
        let build = BuildOptions { upsert, ..Default::default() };
        index.insert_from(count, &mut read, &build).unwrap();
        let now = |index: &Index| {
            let mut vector = vec![1; LARGE];
            index.get(first_key + 3, &mut vector).unwrap();
            (vector, index.describe().count)
        };
        let before = now(&index);
        assert_eq!(
            before.0 == [0; LARGE],
            !upsert,
            "who claimed a key and lost it came first; an upsert comes when it is seen"
        );
        drop(index);
        assert_eq!(now(&open()), before);
    }
}
