//! Save and open as a program uses them: through the index.

#![allow(clippy::unwrap_used, missing_docs)]

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Index, Kind, OpenFlags, Options, Rows, SearchOptions, Status};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const PLAIN: OpenFlags =
    OpenFlags { mapped: false, vectors_mapped: false, read_only: false, unchecked: false, one_thread: false };
const MAPPED: OpenFlags = OpenFlags { mapped: true, ..PLAIN };

/// Raises the flag when dropped, so that a failed assertion ends the threads that wait for it.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn f32s(components: &[f32]) -> Vec<u8> {
    components.iter().flat_map(|component| component.to_le_bytes()).collect()
}

/// A vector that belongs to its key.
fn vector(key: u64) -> Vec<u8> {
    f32s(&[key as f32, (key * key % 101) as f32, (key % 7) as f32 - 3.0, 1.0])
}

fn create(metric: Metric) -> Index {
    Index::create(&Options { dimensions: 4, metric, element: Element::F32, kind: Kind::Flat, ..Options::default() })
        .unwrap()
}

fn filled(metric: Metric, keys: std::ops::Range<u64>) -> Index {
    let index = create(metric);
    keys.for_each(|key| index.insert(key, &vector(key)).unwrap());
    index
}

fn answers(index: &Index, k: usize) -> Vec<(Vec<u64>, Vec<u32>)> {
    (0..20)
        .map(|query| {
            let (mut keys, mut distances) = (vec![0; k], vec![0.0f32; k]);
            index.search(&vector(query * 31), &mut keys, Some(&mut distances), &SearchOptions::default()).unwrap();
            (keys, distances.into_iter().map(f32::to_bits).collect())
        })
        .collect()
}

#[test]
fn answers_are_the_same_after_saving_and_opening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
        let index = filled(metric, 0..500);
        (0..500).step_by(4).for_each(|key| index.remove(key).unwrap());
        index.upsert(1, &vector(9999)).unwrap();
        index.save(&path).unwrap();
        for flags in [PLAIN, MAPPED, OpenFlags { unchecked: true, ..PLAIN }, OpenFlags { unchecked: true, ..MAPPED }] {
            let opened = Index::open(&path, flags).unwrap();
            assert_eq!(answers(&opened, 10), answers(&index, 10));
            let info = opened.describe();
            assert_eq!((info.count, info.removed, info.kind, info.format), (375, 0, Kind::Flat, 1));
            let mut stored = vec![0; opened.vector_bytes()];
            opened.get(1, &mut stored).unwrap();
            assert_eq!(stored, vector(9999));
            assert!(!opened.contains(4).unwrap());
        }
    }
}

#[test]
fn an_opened_index_takes_changes_and_a_mapped_or_read_only_one_refuses_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    filled(Metric::L2, 0..100).save(&path).unwrap();
    let opened = Index::open(&path, PLAIN).unwrap();
    (100..300).for_each(|key| opened.insert(key, &vector(key)).unwrap());
    opened.remove(5).unwrap();
    assert_eq!(opened.insert(6, &vector(6)).unwrap_err().status(), Status::Exists);
    for flags in [MAPPED, OpenFlags { read_only: true, ..PLAIN }] {
        let fixed = Index::open(&path, flags).unwrap();
        let refused = [
            fixed.insert(1000, &vector(0)),
            fixed.upsert(1, &vector(0)),
            fixed.remove(1),
            fixed.clear(),
            fixed.remove_batch(&[1]).map(drop),
        ];
        for result in refused {
            assert_eq!(result.unwrap_err().status(), Status::ReadOnly);
        }
        // Saving over the file that is mapped replaces it; what is mapped stays.
        fixed.save(&path).unwrap();
        assert_eq!(fixed.describe().count, 100);
    }
    opened.save(&path).unwrap();
    assert_eq!(Index::file_info(&path).unwrap().count, 299);
    assert_eq!(answers(&Index::open(&path, PLAIN).unwrap(), 30), answers(&opened, 30));
}

#[test]
fn a_save_beside_many_writers_holds_a_whole_graph() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { dimensions: 4, kind: Kind::Graph, m: 4, ef_construction: 20, ..Options::default() };
    let index = Index::create(&options).unwrap();
    let (stop, number) = (AtomicBool::new(false), AtomicU64::new(0));
    let writer = |own: u64| {
        for step in 0u64.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let key = own << 32 | step;
            index.insert(key, &vector(number.fetch_add(1, Ordering::Relaxed))).unwrap();
            if step % 3 == 0 {
                index.remove(key).unwrap();
            }
        }
    };
    let canceller = || {
        let keys: Vec<u64> = (9 << 32..(9 << 32) + 200).collect();
        let vectors: Vec<u8> = keys.iter().flat_map(|&key| vector(key % 1000)).collect();
        let stopping = |done, total| done * 2 > total;
        let options = BuildOptions { progress: Some(&stopping), ..BuildOptions::default() };
        while !stop.load(Ordering::SeqCst) {
            let error = index.insert_batch(&keys, Rows::packed(&vectors, 16), &options).unwrap_err();
            assert_eq!(error.status(), Status::Cancelled);
        }
    };
    std::thread::scope(|scope| {
        let writer = &writer;
        (0..2).for_each(|own| drop(scope.spawn(move || writer(own))));
        scope.spawn(canceller);
        let _ended = Raise(&stop);
        for save in 0..15 {
            let path = folder.path().join("graph.kith");
            index.save(&path).unwrap();
            // Opening checks every link, and that kept links make one tree.
            let opened = Index::open(&path, OpenFlags { mapped: save % 2 == 0, ..PLAIN }).unwrap();
            let mut keys = vec![0; opened.describe().count as usize];
            assert_eq!(opened.keys(&mut keys).unwrap(), keys.len());
            assert!(keys.iter().all(|key| key >> 32 < 9), "a vector of a cancelled batch was saved");
        }
    });
}

#[test]
fn a_save_that_takes_its_time_stops_nobody_and_holds_what_was_there_when_it_began() {
    struct Slow<'a> {
        bytes: Vec<u8>,
        meanwhile: Option<Box<dyn FnOnce() + 'a>>,
    }
    impl std::io::Write for Slow<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.bytes.extend_from_slice(bytes);
            // Behind the header: the vectors are being written, the links are not.
            if self.bytes.len() > 4096
                && let Some(meanwhile) = self.meanwhile.take()
            {
                meanwhile();
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let options = Options { dimensions: 4, kind: Kind::Graph, m: 4, ef_construction: 20, ..Options::default() };
    let index = Index::create(&options).unwrap();
    (0..400).for_each(|key| index.insert(key, &vector(key)).unwrap());
    let (began, may_end) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        // A batch is linked, but not published, when the save begins, and is taken back while it is written.
        scope.spawn(|| {
            let keys: Vec<u64> = (1000..1300).collect();
            let vectors: Vec<u8> = keys.iter().flat_map(|&key| vector(key)).collect();
            let cancel = |done, total| {
                if done == total {
                    began.wait();
                    may_end.wait();
                }
                done == total
            };
            let options = BuildOptions { threads: 1, progress: Some(&cancel), ..BuildOptions::default() };
            let error = index.insert_batch(&keys, Rows::packed(&vectors, 16), &options).unwrap_err();
            assert_eq!(error.status(), Status::Cancelled);
            began.wait();
        });
        began.wait();
        let meanwhile = || {
            let write = || {
                may_end.wait();
                began.wait();
                (400..600).for_each(|key| index.insert(key, &vector(key)).unwrap());
                (0..100).for_each(|key| index.remove(key).unwrap());
            };
            std::thread::scope(|scope| drop(scope.spawn(write)));
        };
        let mut slow = Slow { bytes: Vec::new(), meanwhile: Some(Box::new(meanwhile)) };
        index.save_to(&mut slow).unwrap();
        let opened = Index::open_buffer(&slow.bytes, PLAIN).unwrap();
        let mut keys = vec![0; 400];
        assert_eq!((opened.describe().count, opened.keys(&mut keys).unwrap()), (400, 400));
        keys.sort_unstable();
        assert_eq!(keys, (0..400).collect::<Vec<_>>());
    });
    assert_eq!(index.describe().count, 500);
}

#[test]
fn what_is_handed_over_is_what_a_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    for kind in [Kind::Flat, Kind::Graph] {
        let index = Index::create(&Options { dimensions: 4, kind, ..Options::default() }).unwrap();
        (0..3000).for_each(|key| index.insert(key, &vector(key)).unwrap());
        (0..3000).step_by(7).for_each(|key| index.remove(key).unwrap());
        index.save(&path).unwrap();
        let mut bytes = Vec::new();
        index.save_to(&mut bytes).unwrap();
        assert!(bytes == std::fs::read(&path).unwrap());
        let opened = Index::open_buffer(&bytes, PLAIN).unwrap();
        assert_eq!(answers(&opened, 10), answers(&index, 10));
        opened.insert(9999, &vector(9999)).unwrap();
        let read_only = Index::open_buffer(&bytes, OpenFlags { read_only: true, ..PLAIN }).unwrap();
        assert_eq!(read_only.remove(1).unwrap_err().status(), Status::ReadOnly);
        for end in [0, 100, 4096, bytes.len() - 1] {
            assert_eq!(Index::open_buffer(&bytes[..end], PLAIN).unwrap_err().status(), Status::Corrupt);
        }
    }
}

#[test]
fn a_save_during_inserts_is_the_index_at_one_instant() {
    let folder = tempfile::tempdir().unwrap();
    let index = create(Metric::L2);
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // One key after the other, and key 0 replaced each time: a file with n keys must hold exactly 0..n.
            for key in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                index.insert(key, &vector(key)).unwrap();
                index.upsert(0, &vector(key)).unwrap();
                done.store(key + 1, Ordering::SeqCst);
            }
        });
        let _ended = Raise(&stop);
        for saves in 0..12 {
            let path = folder.path().join(format!("{saves}.kith"));
            let before = done.load(Ordering::SeqCst);
            index.save(&path).unwrap();
            let after = done.load(Ordering::SeqCst) + 1;
            let opened = Index::open(&path, PLAIN).unwrap();
            let count = opened.describe().count;
            assert!((before..=after).contains(&count), "{before} {count} {after}");
            let mut keys = vec![0; count as usize];
            assert_eq!(opened.keys(&mut keys).unwrap() as u64, count);
            keys.sort_unstable();
            assert_eq!(keys, (0..count).collect::<Vec<_>>());
            let mut stored = vec![0; 16];
            for key in 1..count {
                opened.get(key, &mut stored).unwrap();
                assert_eq!(stored, vector(key));
            }
            if count > 0 {
                opened.get(0, &mut stored).unwrap();
                assert!([count - 1, count.saturating_sub(2)].map(vector).contains(&stored));
            }
        }
    });
}

#[test]
fn vectors_beyond_single_precision_come_back_under_cosine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    let index = create(Metric::Cosine);
    for (key, size) in [(1, 1e-44f32), (2, 1e38), (3, 1.0), (4, 1e-20), (5, 1e20)] {
        index.insert(key, &f32s(&[size, size, 0.0, size])).unwrap();
    }
    index.save(&path).unwrap();
    for flags in [PLAIN, MAPPED] {
        assert_eq!(answers(&Index::open(&path, flags).unwrap(), 5), answers(&index, 5));
    }
}

#[test]
fn numbers_that_no_index_would_take_do_no_harm_when_a_file_is_not_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1] {
        filled(metric, 1..200).save(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // The vectors are the first section, in rows of 32 bytes.
        for (row, content) in [(3, f32::NAN), (50, f32::INFINITY), (51, f32::NEG_INFINITY), (100, 0.0), (101, f32::NAN)]
        {
            let start = 4096 + 32 * row;
            bytes[start..start + 16].copy_from_slice(&f32s(&[content; 4]));
        }
        for row in (110..199).step_by(2) {
            bytes[4096 + 32 * row..4096 + 32 * row + 16].copy_from_slice(&f32s(&[f32::NAN; 4]));
        }
        std::fs::write(&path, &bytes).unwrap();
        for flags in [PLAIN, MAPPED] {
            let error = Index::open(&path, flags).unwrap_err();
            assert_eq!(error.status(), Status::Corrupt);
            assert!(error.text().contains("section vectors"), "{error}");
            let opened = Index::open(&path, OpenFlags { unchecked: true, ..flags }).unwrap();
            for (keys, distances) in answers(&opened, 199) {
                let mut keys = keys;
                keys.sort_unstable();
                assert_eq!(keys, (1..200).collect::<Vec<_>>(), "{metric:?}");
                assert!(distances.iter().all(|&bits| !f32::from_bits(bits).is_nan()));
            }
        }
    }
}

#[test]
fn a_duplicate_key_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    filled(Metric::L2, 1..3).save(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The keys are the second section; two vectors fill one page.
    bytes.copy_within(8192..8200, 8200);
    std::fs::write(&path, &bytes).unwrap();
    let error = Index::open(&path, OpenFlags { unchecked: true, ..PLAIN }).unwrap_err();
    assert_eq!(error.status(), Status::Corrupt);
    assert!(error.text().contains("index.kith") && error.text().contains("key 1"), "{error}");
}

#[test]
fn a_missing_file_is_an_io_error_that_names_it() {
    for error in [
        Index::open(Path::new("no/such.kith"), PLAIN).unwrap_err(),
        Index::file_info(Path::new("no/such.kith")).unwrap_err(),
        create(Metric::L2).save(Path::new("no/such.kith")).unwrap_err(),
    ] {
        assert_eq!(error.status(), Status::Io);
        assert!(error.text().contains("no/such.kith"), "{error}");
    }
}
