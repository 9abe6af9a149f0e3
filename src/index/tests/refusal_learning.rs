//! What if the system refuses memory to a call that learns, or changes the codes? The index knows what it knew before.

use super::refusal::{CASES, Case, DIMENSIONS, agrees, each_refused, one_thread, only_known_places, vector};
use super::refusing::{Ended, refusing_at};
use crate::util::error::Status;
use crate::{Index, Kind, Quantizer, Rows};

#[test]
fn training() {
    let size = 4 * DIMENSIONS as usize;
    // A flat index has codes where they are asked for.
    let learns = |case: &Case| match case.quantizer {
        Quantizer::Auto => case.kind != Kind::Flat,
        quantizer => quantizer != Quantizer::None,
    };
    for case in CASES.into_iter().filter(learns) {
        let sample: Vec<u8> = (0..500).flat_map(|of| vector(of, case.whole)).collect();
        let train = |index: &Index| index.train(Rows::packed(&sample, size), &one_thread());
        let learnt = {
            let index = Index::create(&case.options()).unwrap();
            train(&index).unwrap();
            index.export_codec().unwrap()
        };
        for number in 0.. {
            let (index, copy) = (Index::create(&case.options()).unwrap(), Index::create(&case.options()).unwrap());
            let trained = refusing_at(number, || train(&index));
            knows(&index, &trained, &learnt);
            let imported = refusing_at(number, || copy.import_codec(&learnt));
            knows(&copy, &imported, &learnt);
            if trained.result.is_err() {
                train(&index).unwrap();
                assert!(index.export_codec().unwrap() == learnt);
            }
            case.batch(&index, 0..50).unwrap();
            agrees(case, &index, &(0..50).map(|key| (key, key)).collect(), "trained");
            if !trained.reached && !imported.reached {
                break;
            }
        }
    }
    only_known_places();
}

/// The index has learnt all, or nothing.
fn knows(index: &Index, ended: &Ended<crate::util::error::Result<()>>, learnt: &[u8]) {
    match &ended.result {
        Ok(()) => assert!(index.export_codec().unwrap() == learnt),
        Err(error) => {
            assert!(ended.refused && error.status() == Status::Memory, "{error}");
            assert_eq!(index.export_codec().unwrap_err().status(), Status::NotFound);
        }
    }
}

#[test]
fn changing_the_codes() {
    let changes = |case: &Case| case.kind != Kind::Flat && case.quantizer.reduction().is_none();
    for case in CASES.into_iter().filter(changes) {
        for to in [Quantizer::Projected4, Quantizer::Projected1, Quantizer::None, Quantizer::Auto] {
            let before = {
                let (bytes, mut model) = case.seasoned();
                case.open(&bytes, &mut model).describe().quantizer
            };
            let call = |index: &Index| {
                let done = index.requantize(to, &one_thread());
                if done.is_err() {
                    assert_eq!(index.describe().quantizer, before, "{case:?} to {to:?}");
                }
                done
            };
            each_refused(case, &format!("requantize to {to:?}"), &call, &|_| ());
        }
    }
}
