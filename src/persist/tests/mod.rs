//! Do files come back as they were, and is everything else refused?

mod damage;
mod links;
mod round_trip;
mod target;

use super::hostile::Sample;
use super::write::Keep;
use super::*;
use crate::index::config::{Kind, check_shape};
use crate::store::LIVE;
use crate::util::epoch::Epochs;
use crate::util::error::Status;

const PLAIN: OpenFlags =
    OpenFlags { mapped: false, vectors_mapped: false, read_only: false, unchecked: false, one_thread: false };
const MAPPED: OpenFlags = OpenFlags { mapped: true, ..PLAIN };
const UNCHECKED: OpenFlags = OpenFlags { unchecked: true, ..PLAIN };

fn save_sample(sample: &Sample, path: &Path) -> Result<()> {
    let states = sample.states();
    save(
        &Image {
            config: &sample.config,
            store: &sample.store,
            graph: None,
            states: &states,
            tree: None,
            codes: None,
            reducer: None,
        },
        path,
    )
}

/// Every live vector with its key and scale, in order.
fn content(store: &Store) -> Vec<(u64, Vec<u8>, u32)> {
    (0..store.slots())
        .filter(|&slot| store.state(slot) == LIVE)
        .map(|slot| (store.key(slot), store.vector_slice(slot).to_vec(), store.scale(slot).to_bits()))
        .collect()
}

fn open_store(path: &Path, flags: OpenFlags) -> Result<(Config, Arc<Store>)> {
    let opened = open(path, flags, &Pool::default())?;
    let epochs = Epochs::new();
    let store = Store::from_parts(opened.parts, &epochs.pin())?;
    Ok((opened.config, store))
}

/// Asserts that what lies at `path` is the sample, however it is opened.
fn assert_holds(path: &Path, sample: &Sample) {
    for flags in
        [PLAIN, MAPPED, UNCHECKED, OpenFlags { mapped: true, ..UNCHECKED }, OpenFlags { one_thread: true, ..PLAIN }]
    {
        let (config, store) = open_store(path, flags).unwrap();
        assert_eq!(config, sample.config);
        assert_eq!(content(&store), content(&sample.store));
        assert_eq!(store.live(), sample.store.live());
        let epochs = Epochs::new();
        let guard = epochs.pin();
        for slot in 0..store.slots() {
            assert_eq!(store.find(store.key(slot), &guard), Some(slot));
        }
    }
}
