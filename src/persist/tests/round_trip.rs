//! What is saved comes back bit for bit.

use super::super::hostile::{Random, Way, open_bytes};
use super::*;
use crate::distance::{Element, Metric};
use crate::store::{EMPTY, REMOVED};

#[test]
fn every_element_and_metric_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut shapes = 0;
    for element in Element::ALL {
        for metric in Metric::ALL {
            for dimensions in [1, 8, 72, 1000] {
                if check_shape(metric, element, dimensions).is_err() {
                    continue;
                }
                shapes += 1;
                let sample = Sample::new(element, metric, dimensions, 10);
                let path = folder.path().join(format!("{shapes}.kith"));
                save_sample(&sample, &path).unwrap();
                assert_holds(&path, &sample);
            }
        }
    }
    assert_eq!(shapes, 5 * 4 * 4 + 2 * 3);
}

#[test]
fn every_count_around_the_edges_of_segments_and_pages_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    for vectors in [0, 1, 2, 63, 64, 65, 127, 128, 129, 511, 512, 513, 4096, 4097] {
        let sample = Sample::new(Element::F32, Metric::Cosine, 3, vectors);
        save_sample(&sample, &path).unwrap();
        assert_holds(&path, &sample);
        let info = file_info(&path).unwrap();
        assert_eq!((info.count, info.removed, info.dimensions, info.format), (u64::from(vectors), 0, 3, 1));
        assert_eq!((info.metric, info.element, info.kind), (Metric::Cosine, Element::F32, Kind::Flat));
        assert_eq!((info.bytes, info.seed, info.m), (path.metadata().unwrap().len(), 0x5eed, 0));
    }
}

#[test]
fn several_blocks_on_several_threads_come_back() {
    // Rows of 12,320 bytes: blocks end inside of rows and segments end inside of blocks.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    let sample = Sample::new(Element::U8, Metric::L2, 12_300, 1500);
    save_sample(&sample, &path).unwrap();
    assert!(path.metadata().unwrap().len() > 16 << 20);
    assert_holds(&path, &sample);
}

#[test]
fn removed_vectors_leave_no_byte_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    let sample = Sample::new(Element::U8, Metric::L2, 64, 200);
    let before = content(&sample.store);
    let guard = sample.epochs.pin();
    for key in (1000..1200).step_by(3) {
        assert!(sample.store.remove(key, &guard));
    }
    drop(guard);
    save_sample(&sample, &path).unwrap();
    assert_holds(&path, &sample);
    let bytes = std::fs::read(&path).unwrap();
    let (mut live, mut gone) = (0, 0);
    for (key, vector, _) in before {
        let found = bytes.windows(vector.len()).any(|window| window == vector);
        assert_eq!(found, (key - 1000) % 3 != 0, "key {key}");
        if found { live += 1 } else { gone += 1 }
    }
    assert_eq!((live, gone), (133, 67));
}

#[test]
fn all_slots_keep_their_numbers_when_links_need_them() {
    let sample = Sample::new(Element::F32, Metric::Cosine, 6, 100);
    let guard = sample.epochs.pin();
    assert!((1010..1050).all(|key| sample.store.remove(key, &guard)));
    // Somebody has a slot in hand that is not published: it is written as if it did not exist.
    let unpublished = sample.store.allocate(1).unwrap();
    sample.store.write(unpublished, 7777, &[0x11; 24], 1.0);
    sample.insert(5000, &mut Random::new(1));
    drop(guard);
    let bytes = sample.bytes(Keep::All);
    assert!(!bytes.windows(8).any(|window| window == 7777u64.to_le_bytes()));
    for way in Way::ALL {
        let (header, Content { parts, .. }) = open_bytes(&bytes, way, PLAIN, &Pool::default()).unwrap();
        assert_eq!((header.slots.all, header.slots.live, header.slots.removed), (102, 61, 40));
        let epochs = Epochs::new();
        let store = Store::from_parts(parts, &epochs.pin()).unwrap();
        for slot in 0..store.slots() {
            assert_eq!(store.state(slot), sample.store.state(slot));
            match store.state(slot) {
                EMPTY => assert_eq!((store.key(slot), slot), (0, unpublished)),
                LIVE | REMOVED => {
                    assert_eq!(store.key(slot), sample.store.key(slot));
                    assert_eq!(store.vector_slice(slot), sample.store.vector_slice(slot));
                }
                other => panic!("state {other}"),
            }
        }
    }
}

#[test]
fn an_opened_index_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.kith");
    let sample = Sample::new(Element::F32, Metric::L2, 4, 70);
    save_sample(&sample, &path).unwrap();
    let (config, store) = open_store(&path, PLAIN).unwrap();
    let again = Sample { config, store, epochs: Epochs::new(), graph: None, codes: None, reducer: None };
    let guard = again.epochs.pin();
    assert!(again.store.remove(1003, &guard));
    drop(guard);
    (2000..2500).for_each(|key| again.insert(key, &mut Random::new(key)));
    save_sample(&again, &path).unwrap();
    assert_holds(&path, &again);
    assert_eq!(file_info(&path).unwrap().count, 569);
}

#[test]
fn what_is_kept_is_the_same_whether_saved_from_memory_or_from_a_map() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.kith"), folder.path().join("second.kith"));
    let sample = Sample::new(Element::Bf16, Metric::Cosine, 33, 90);
    save_sample(&sample, &first).unwrap();
    let (config, store) = open_store(&first, MAPPED).unwrap();
    let mapped = Sample { config, store, epochs: Epochs::new(), graph: None, codes: None, reducer: None };
    save_sample(&mapped, &second).unwrap();
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
}
