//! Searches that ask for a recall instead of a breadth, on real text embeddings: what a calibration promises, and what is learnt when the
//! queries change their nature.

#![allow(clippy::unwrap_used, missing_docs)]

use kith::distance::{Element, Metric};
use kith::{BuildOptions, Index, Kind, Options, Rows, SearchOptions, Status};

const DIMENSIONS: u32 = 384;
const BYTES: usize = 2 * DIMENSIONS as usize;
const K: usize = 10;

fn data() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/c_examples/data/packages10k.bin");
    // Behind the number of vectors and that of components.
    std::fs::read(path).unwrap().split_off(8)
}

fn index(kind: Kind, vectors: &[u8]) -> Index {
    let (metric, element) = (Metric::Cosine, Element::F16);
    let options = Options { metric, element, dimensions: DIMENSIONS, kind, ..Options::default() };
    let index = Index::create(&options).unwrap();
    let keys: Vec<u64> = (0..(vectors.len() / BYTES) as u64).collect();
    index.insert_batch(&keys, Rows::packed(vectors, BYTES), &BuildOptions::default()).unwrap();
    index
}

fn search(index: &Index, query: &[u8], recall: f32) -> Vec<u64> {
    let mut keys = vec![0; K];
    index.search(query, &mut keys, None, &SearchOptions { recall, ..SearchOptions::default() }).unwrap();
    keys
}

/// Mean recall of queries that ask for one.
fn reached<'q>(index: &Index, exact: &Index, queries: impl Iterator<Item = &'q [u8]>, recall: f32) -> f32 {
    let (mut found, mut wanted) = (0, 0);
    for query in queries {
        let truth = search(exact, query, 0.0);
        found += search(index, query, recall).iter().filter(|key| truth.contains(key)).count();
        wanted += K;
    }
    found as f32 / wanted as f32
}

/// Every other component of a vector set to nothing: a query of another nature.
fn halved(vector: &[u8]) -> Vec<u8> {
    vector
        .chunks_exact(2)
        .enumerate()
        .flat_map(|(i, value)| if i % 2 == 0 { [value[0], value[1]] } else { [0; 2] })
        .collect()
}

#[test]
fn a_calibrated_index_reaches_the_recall_that_is_asked_for() {
    let data = data();
    let (base, queries) = data.split_at(8000 * BYTES);
    let (index, exact) = (index(Kind::Graph, base), index(Kind::Flat, base));
    // They are in alphabetical order: every fourth measures for the others.
    let (mut measured, mut asked) = (Vec::new(), Vec::new());
    for (i, query) in queries.chunks_exact(BYTES).enumerate() {
        if i % 4 == 0 { &mut measured } else { &mut asked }.extend_from_slice(query);
    }
    assert_eq!(index.breadth_for(K, 0.9), None);
    index.calibrate(Some(Rows::packed(&measured, BYTES)), &BuildOptions::default()).unwrap();
    let breadths = [0.85, 0.95, 0.99].map(|recall| index.breadth_for(K, recall).unwrap());
    assert!(breadths.is_sorted() && breadths[0] < breadths[2], "{breadths:?}");
    for recall in [0.93, 0.97] {
        // What few searches learn varies by chance: so all are asked several times over.
        let again = asked.chunks_exact(BYTES).cycle().take(4 * asked.len() / BYTES);
        let reached = reached(&index, &exact, again, recall);
        assert!((recall - 0.012..1.0).contains(&reached), "{recall}: {reached}");
    }
    // Its own vectors, each of which finds itself, will do where there are no queries.
    index.calibrate(None, &BuildOptions::default()).unwrap();
    let reached = reached(&index, &exact, asked.chunks_exact(BYTES), 0.95);
    assert!(reached > 0.92, "{reached}");
}

#[test]
fn queries_that_change_their_nature_are_followed() {
    let data = data();
    let (base, queries) = data.split_at(8000 * BYTES);
    let (index, exact) = (index(Kind::Graph, base), index(Kind::Flat, base));
    index.calibrate(Some(Rows::packed(&queries[..500 * BYTES], BYTES)), &BuildOptions::default()).unwrap();
    let odd: Vec<Vec<u8>> = data.chunks_exact(BYTES).skip(4000).step_by(2).map(halved).collect();
    let before = reached(&index, &exact, odd[..100].iter().map(|query| &query[..]), 0.97);
    // The first thousand teach; the second are judged.
    odd[..1000].iter().for_each(|query| drop(search(&index, query, 0.97)));
    let after = reached(&index, &exact, odd[1000..2000].iter().map(|query| &query[..]), 0.97);
    assert!((after - 0.97).abs() < 0.01, "{before} before, {after} after");
}

#[test]
fn a_flat_index_is_exact_and_what_makes_no_sense_is_refused() {
    let data = data();
    let base = &data[..300 * BYTES];
    let flat = index(Kind::Flat, base);
    flat.calibrate(None, &BuildOptions::default()).unwrap();
    assert_eq!(flat.breadth_for(K, 0.9), None);
    assert_eq!(search(&flat, &base[..BYTES], 0.5)[0], 0);
    let graph = index(Kind::Graph, base);
    for recall in [-0.5, 1.5, f32::NAN] {
        let options = SearchOptions { recall, ..SearchOptions::default() };
        let error = graph.search(&base[..BYTES], &mut [0; K], None, &options).unwrap_err();
        assert_eq!((error.status(), error.text().contains("recall")), (Status::Argument, true), "{recall}");
    }
    let stop = |_, _| true;
    let options = BuildOptions { progress: Some(&stop), ..BuildOptions::default() };
    assert_eq!(graph.calibrate(None, &options).unwrap_err().status(), Status::Cancelled);
    assert_eq!(graph.breadth_for(K, 0.9), None);
    // A batch asks like single searches; a most is kept.
    graph.calibrate(None, &BuildOptions::default()).unwrap();
    let (mut keys, options) = (vec![0; 300 * K], SearchOptions { recall: 0.9, ef: 40, ..SearchOptions::default() });
    graph.search_batch(Rows::packed(base, BYTES), K, &mut keys, None, None, &options).unwrap();
    assert!(keys.chunks_exact(K).enumerate().all(|(i, keys)| keys.contains(&(i as u64))));
}
