//! Links that no save writes are refused though every checksum is right: a search follows links without looking.

use super::super::header::{at, put_u32, put_u64};
use super::super::hostile::Random;
use super::damage::{offset_of, refusal};
use super::*;
use crate::distance::{Element, Metric};
use crate::graph::{KEEP, NONE, level_of, row_bytes};
use crate::store::Held;

const M: u32 = 4;
const SLOTS: u32 = 40;

/// A file with a graph, and where its sections begin.
struct File {
    bytes: Vec<u8>,
    rows: usize,
    first_upper: usize,
    upper: usize,
    entry: usize,
    /// A slot of level 1 or more.
    high: u32,
    /// A slot of level 0.
    low: u32,
}

impl File {
    fn new() -> Self {
        let sample = Sample::new(Element::U8, Metric::L2, 7, SLOTS).linked(M, &mut Random::new(6));
        let level = |slot: &u32| level_of(sample.config.seed, M, *slot);
        let (high, low) = ((0..SLOTS).find(|slot| level(slot) > 0), (0..SLOTS).find(|slot| level(slot) == 0));
        let bytes = sample.bytes(Keep::All);
        let [rows, first_upper, upper, entry] = [3, 4, 5, 6].map(|i| offset_of(&bytes, i));
        Self { bytes, rows, first_upper, upper, entry, high: high.unwrap(), low: low.unwrap() }
    }

    /// Where a link of a row at level 0 stands.
    fn link(&self, slot: u32, i: usize) -> usize {
        self.rows + slot as usize * row_bytes(2 * M) + 4 * i
    }

    /// The sentence of the refusal after these changes of four bytes each.
    fn refused(&self, changes: &[(usize, u32)]) -> String {
        let error =
            refusal(&self.bytes, |bytes| changes.iter().for_each(|&(place, value)| put_u32(bytes, place, value)));
        assert_eq!(error.status(), Status::Corrupt, "{error}");
        error.text().to_owned()
    }
}

#[test]
fn rows_lead_to_slots_of_their_level_only() {
    let file = File::new();
    let absent = format!("slot 5 at level 0 links to {SLOTS}, which is not there");
    assert!(file.refused(&[(file.link(5, 0), SLOTS)]).contains(&absent));
    assert!(file.refused(&[(file.link(5, 0), SLOTS | KEEP)]).contains(&absent));
    assert!(file.refused(&[(file.upper, file.low)]).contains(&format!(
        "section upper rows: slot {} at level 1 links to {}, which is not there",
        file.high, file.low
    )));
    // A row that ends goes on with nothing but ends, and behind the degree stand zeros.
    let behind = "slot 5 at level 0 goes on behind its end";
    assert!(file.refused(&[(file.link(5, 0), NONE), (file.link(5, 1), 6)]).contains(behind));
    assert!(file.refused(&[(file.link(5, 2 * M as usize), 1)]).contains(behind));
}

#[test]
fn every_slot_must_be_reached_by_kept_links() {
    let file = File::new();
    // The kept links of the sample are a chain through all slots.
    let cut = [(file.link(19, 1), 20), (file.link(20, 0), 19)];
    let text = file.refused(&cut);
    assert!(text.contains("the kept links lead to") && text.contains("of 40 slots"), "{text}");
    // One link more makes a circle, one in a single direction has no way back, and two make the same edge twice.
    let circle = [(file.link(5, 2), 9 | KEEP), (file.link(9, 2), 5 | KEEP)];
    assert!(file.refused(&circle).contains("not of a tree"));
    assert!(file.refused(&circle[..1]).contains("not of a tree"));
    assert!(file.refused(&[(file.link(5, 2), 4 | KEEP)]).contains("not of a tree"));
    // A star of five: slot 39, the end of the chain, hangs on 5, and so on from there, until 5 has more than `M` + 1.
    let mut star = Vec::new();
    for (i, end) in (0..4).map(|i| (i, SLOTS - 1 - i)) {
        star.extend([(file.link(5, 2 + i as usize), end | KEEP), (file.link(end, 0), 5 | KEEP)]);
        star.push((file.link(end, 1), NONE));
        (2..2 * M as usize).for_each(|i| star.push((file.link(end, i), NONE)));
    }
    star.push((file.link(SLOTS - 5, 1), NONE));
    (2..2 * M as usize).for_each(|i| star.push((file.link(SLOTS - 5, i), NONE)));
    assert!(file.refused(&star).contains("slot 5 has 6 kept links"));
}

#[test]
fn numbers_of_upper_rows_and_the_entry_follow_from_the_levels() {
    let file = File::new();
    assert!(file.refused(&[(file.first_upper, 1)]).contains("section first upper rows: slot 0 has 1, it should be 0"));
    let text = refusal(&file.bytes, |bytes| put_u64(bytes, at::SEED, 1)).text().to_owned();
    assert!(text.contains("section first upper rows") || text.contains("section upper rows"), "{text}");
    assert!(file.refused(&[(file.entry, SLOTS)]).contains("section entry names slot 40"));
    assert!(file.refused(&[(file.entry, file.low), (file.entry + 4, 1)]).contains("section entry"));
    assert!(file.refused(&[(file.entry, NONE), (file.entry + 4, NONE)]).contains("section entry names no slot"));
    assert!(file.refused(&[(at::KIND, 0)]).contains("an index of this kind has 8"));
}

#[test]
fn a_graph_comes_back_link_by_link_loaded_and_mapped() {
    let file = File::new();
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("graph.kith"), folder.path().join("again.kith"));
    std::fs::write(&path, &file.bytes).unwrap();
    for flags in [PLAIN, MAPPED, UNCHECKED] {
        let Opened { config, parts, graph, .. } = open(&path, flags, &Pool::default()).unwrap();
        let epochs = Epochs::new();
        let store = Store::from_parts(parts, &epochs.pin()).unwrap();
        let mut states: Vec<u8> = (0..SLOTS).map(|slot| store.state(slot)).collect();
        let tree = graph.as_ref().map(|graph| crate::persist::links::keep_linked(graph, &mut states).unwrap());
        let image = Image {
            config: &config,
            store: &store,
            graph: graph.as_ref(),
            states: &states,
            tree: tree.as_ref(),
            codes: None,
            reducer: None,
        };
        save(&image, &again).unwrap();
        assert!(std::fs::read(&again).unwrap() == file.bytes, "{flags:?}");
        for step in [1, 700, 100_000] {
            let mut saving = Saving::begin(Arc::new(System), &image, &again).unwrap();
            assert_eq!(saving.file_bytes(), file.bytes.len() as u64);
            while saving.step(&image, step).unwrap() == Written::Some {}
            saving.finish().unwrap();
            assert!(std::fs::read(&again).unwrap() == file.bytes, "in steps of {step}");
        }
        assert_eq!(format_for(&config, Held::AsGiven), 2);
    }
}
