//! Files of every format that was ever released open for ever: tests/fixtures holds one of each kind.
//!
//! A fixture is never rewritten. A new one is added to the list below and made by
//! `cargo test --test persist_fixtures -- --ignored`, which writes those that are missing.

#![allow(clippy::unwrap_used, missing_docs)]

use kith::distance::{Element, Metric, exact};
use kith::{BuildOptions, Index, Kind, OpenFlags, Options, Quantizer, Rows, SearchOptions};
use std::io::Write;
use std::path::PathBuf;

struct Fixture {
    name: &'static str,
    format: u32,
    kind: Kind,
    m: u32,
    element: Element,
    metric: Metric,
    dimensions: u32,
    vectors: u64,
    quantizer: Quantizer,
    /// Of a component in the file.
    held: Element,
    /// Where it is fixed.
    capacity: Option<u64>,
    /// The nearest to vector 17, by number; computed by another program.
    nearest: [u64; 4],
}

const FIXTURES: [Fixture; 17] = [
    Fixture {
        name: "format1-f32-cosine",
        format: 1,
        kind: Kind::Flat,
        m: 12,
        element: Element::F32,
        metric: Metric::Cosine,
        dimensions: 6,
        vectors: 70,
        quantizer: Quantizer::None,
        held: Element::F32,
        capacity: None,
        nearest: [17, 23, 59, 49],
    },
    Fixture {
        name: "format1-u8-l2",
        format: 1,
        kind: Kind::Flat,
        m: 12,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 40,
        quantizer: Quantizer::None,
        held: Element::U8,
        capacity: None,
        nearest: [17, 16, 21, 11],
    },
    Fixture {
        name: "format1-b1-hamming",
        format: 1,
        kind: Kind::Flat,
        m: 12,
        element: Element::B1,
        metric: Metric::Hamming,
        dimensions: 64,
        vectors: 130,
        quantizer: Quantizer::None,
        held: Element::B1,
        capacity: None,
        nearest: [17, 34, 58, 38],
    },
    // Rows of fewer links than fill a line, three levels, and removed vectors that links lead through.
    Fixture {
        name: "format2-f32-l2-graph",
        format: 2,
        kind: Kind::Graph,
        m: 4,
        element: Element::F32,
        metric: Metric::L2,
        dimensions: 6,
        vectors: 60,
        quantizer: Quantizer::None,
        held: Element::F32,
        capacity: None,
        nearest: [17, 23, 49, 59],
    },
    // With a codec and codes.
    Fixture {
        name: "format3-u8-l2-codes",
        format: 3,
        kind: Kind::Graph,
        m: 4,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 300,
        quantizer: Quantizer::Projected4,
        held: Element::U8,
        capacity: None,
        nearest: [17, 69, 43, 147],
    },
    // Given as f32, held as bytes.
    Fixture {
        name: "format4-f32-cosine-whole",
        format: 4,
        kind: Kind::Graph,
        m: 4,
        element: Element::F32,
        metric: Metric::Cosine,
        dimensions: 50,
        vectors: 200,
        quantizer: Quantizer::None,
        held: Element::U8,
        capacity: None,
        nearest: [17, 43, 69, 121],
    },
    // A byte per component in place of the vectors.
    Fixture {
        name: "format5-f32-l2-bytes",
        format: 5,
        kind: Kind::Graph,
        m: 4,
        element: Element::F32,
        metric: Metric::L2,
        dimensions: 30,
        vectors: 300,
        quantizer: Quantizer::Bytes,
        held: Element::I8,
        capacity: None,
        nearest: [17, 69, 43, 121],
    },
    Fixture {
        name: "format6-f32-cosine-fixed",
        format: 6,
        kind: Kind::Flat,
        m: 12,
        element: Element::F32,
        metric: Metric::Cosine,
        dimensions: 6,
        vectors: 70,
        quantizer: Quantizer::None,
        held: Element::F32,
        capacity: Some(200),
        nearest: [17, 23, 59, 49],
    },
    // To become a graph when there are more.
    Fixture {
        name: "format8-f32-l2-small",
        format: 8,
        kind: Kind::Auto,
        m: 6,
        element: Element::F32,
        metric: Metric::L2,
        dimensions: 9,
        vectors: 80,
        quantizer: Quantizer::None,
        held: Element::F32,
        capacity: None,
        nearest: [17, 23, 49, 34],
    },
    // Codes of 2 bits and of 1 bit, with removed vectors.
    Fixture {
        name: "format7-u8-l2-codes2",
        format: 7,
        kind: Kind::Graph,
        m: 4,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 300,
        quantizer: Quantizer::Projected2,
        held: Element::U8,
        capacity: None,
        nearest: [17, 69, 43, 147],
    },
    Fixture {
        name: "format7-u8-l2-codes1",
        format: 7,
        kind: Kind::Graph,
        m: 4,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 100,
        vectors: 300,
        quantizer: Quantizer::Projected1,
        held: Element::U8,
        capacity: None,
        nearest: [17, 69, 43, 121],
    },
    // A flat index that goes by codes.
    Fixture {
        name: "format9-u8-l2-flat-codes",
        format: 9,
        kind: Kind::Flat,
        m: 12,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 300,
        quantizer: Quantizer::Projected4,
        held: Element::U8,
        capacity: None,
        nearest: [17, 69, 43, 147],
    },
    // Product codes, learnt from more vectors than are there.
    Fixture {
        name: "format9-u8-l2-product",
        format: 9,
        kind: Kind::Graph,
        m: 4,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 300,
        quantizer: Quantizer::Product,
        held: Element::U8,
        capacity: None,
        nearest: [17, 69, 43, 147],
    },
    Fixture {
        name: "format9-u8-l2-signs",
        format: 9,
        kind: Kind::Graph,
        m: 4,
        element: Element::U8,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 300,
        quantizer: Quantizer::Signs,
        held: Element::U8,
        capacity: None,
        nearest: [17, 69, 43, 147],
    },
    // Bytes in place of f32, and codes of these.
    Fixture {
        name: "format10-f32-l2-bytes-codes",
        format: 10,
        kind: Kind::Graph,
        m: 4,
        element: Element::F32,
        metric: Metric::L2,
        dimensions: 30,
        vectors: 300,
        quantizer: Quantizer::BytesProjected4,
        held: Element::I8,
        capacity: None,
        nearest: [17, 69, 43, 121],
    },
    // Floats of 16 bits in place of f32, with codes and without.
    Fixture {
        name: "format10-f32-l2-half-codes",
        format: 10,
        kind: Kind::Graph,
        m: 4,
        element: Element::F32,
        metric: Metric::L2,
        dimensions: 20,
        vectors: 300,
        quantizer: Quantizer::Projected2,
        held: Element::F16,
        capacity: None,
        nearest: [17, 69, 43, 147],
    },
    Fixture {
        name: "format10-f32-cosine-bf16",
        format: 10,
        kind: Kind::Flat,
        m: 12,
        element: Element::F32,
        metric: Metric::Cosine,
        dimensions: 6,
        vectors: 70,
        quantizer: Quantizer::None,
        held: Element::Bf16,
        capacity: None,
        nearest: [17, 23, 59, 49],
    },
];

impl Fixture {
    fn path(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{}.kith", self.name))
    }

    /// The key of vector `i`: spread over all 64 bits.
    fn key(i: u64) -> u64 {
        i.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn vector(&self, i: u64) -> Vec<u8> {
        let component = |j: u32| (i * 7 + u64::from(j) * (i % 13) * 5 + u64::from(j * j)) % 61;
        match (self.element, self.held) {
            (Element::F32, Element::U8) => {
                (0..self.dimensions).flat_map(|j| (component(j) as f32 * 4.0).to_le_bytes()).collect()
            }
            (Element::F32, _) => {
                (0..self.dimensions).flat_map(|j| (component(j) as f32 - 17.5).to_le_bytes()).collect()
            }
            (element, _) => (0..element.vector_bytes(self.dimensions) as u32).map(|j| component(j) as u8 * 4).collect(),
        }
    }

    fn is_reduced(&self) -> bool {
        matches!(self.quantizer, Quantizer::Bytes | Quantizer::BytesProjected4)
    }

    /// Whether a distance is that of a vector from itself: where components are rounded, and a few of them clipped, far below that of others.
    fn is_nothing(&self, distance: f32) -> bool {
        if self.is_reduced() { distance < 100.0 } else { distance == 0.0 }
    }

    /// Whether a vector is the one with this number, or as near to it as can be.
    fn holds(&self, stored: &[u8], i: u64) -> bool {
        if !self.is_reduced() {
            return stored == self.vector(i);
        }
        self.is_nothing(exact(Metric::L2, Element::F32, self.dimensions, stored, &self.vector(i)).unwrap())
    }

    /// The index that the fixture was saved from: every fifth vector was removed.
    fn index(&self) -> Index {
        let (dimensions, metric, element) = (self.dimensions, self.metric, self.element);
        let index = Index::create(&Options {
            dimensions,
            metric,
            element,
            kind: self.kind,
            graph_from: if self.kind == Kind::Auto { 100 } else { 0 },
            quantizer: if self.held == Element::U8 && self.element == Element::F32 {
                Quantizer::Auto
            } else {
                self.quantizer
            },
            seed: 42,
            m: self.m,
            held: match self.held {
                Element::F16 | Element::Bf16 => self.held,
                _ => Element::F32,
            },
            capacity: self.capacity.unwrap_or(0),
            fixed_capacity: self.capacity.is_some(),
            ..Options::default()
        })
        .unwrap();
        if self.quantizer == Quantizer::Product {
            let vectors: Vec<u8> = (0..4096).flat_map(|i| self.vector(i)).collect();
            index.train(Rows::packed(&vectors, index.vector_bytes()), &BuildOptions::default()).unwrap();
        }
        if self.held == self.element || self.is_reduced() {
            (0..self.vectors).for_each(|i| index.insert(Self::key(i), &self.vector(i)).unwrap());
        } else {
            let keys: Vec<u64> = (0..self.vectors).map(Self::key).collect();
            let vectors: Vec<u8> = (0..self.vectors).flat_map(|i| self.vector(i)).collect();
            let rows = Rows::packed(&vectors, index.vector_bytes());
            index.insert_batch(&keys, rows, &BuildOptions::default()).unwrap();
        }
        (0..self.vectors).step_by(5).for_each(|i| index.remove(Self::key(i)).unwrap());
        index
    }
}

#[test]
fn fixtures_open_and_answer_as_ever() {
    for fixture in &FIXTURES {
        for (mapped, unchecked) in [(false, false), (true, false), (false, true), (true, true)] {
            let flags = OpenFlags { mapped, unchecked, ..OpenFlags::default() };
            let index = Index::open(&fixture.path(), flags).unwrap();
            let info = index.describe();
            assert_eq!((info.format, info.count), (fixture.format, fixture.vectors - fixture.vectors.div_ceil(5)));
            assert_eq!(
                (info.dimensions, info.metric, info.element, info.held),
                (fixture.dimensions, fixture.metric, fixture.element, fixture.held)
            );
            let (kind, m) = if fixture.kind == Kind::Graph { (Kind::Graph, fixture.m) } else { (Kind::Flat, 0) };
            assert_eq!((info.kind, info.m, info.quantizer), (kind, m, fixture.quantizer));
            assert_eq!(info.fixed_capacity.then_some(info.capacity), fixture.capacity);
            assert_eq!((info.seed, info.ef_construction, info.ef_search), (42, 200, 64));
            for i in 0..fixture.vectors {
                assert_eq!(index.contains(Fixture::key(i)).unwrap(), i % 5 != 0);
                if i % 5 != 0 {
                    let mut stored = vec![0; index.vector_bytes()];
                    index.get(Fixture::key(i), &mut stored).unwrap();
                    assert!(fixture.holds(&stored, i), "{} {i}", fixture.name);
                }
            }
            // The default breadth looks at every vector of an index this small; 8 follows the links.
            for ef in [0, 8] {
                let (mut keys, mut distances) = ([0; 4], [0.0; 4]);
                let options = SearchOptions { ef, ..SearchOptions::default() };
                index.search(&fixture.vector(17), &mut keys, Some(&mut distances), &options).unwrap();
                assert_eq!(keys, fixture.nearest.map(Fixture::key), "{} {ef}", fixture.name);
                assert!(fixture.is_nothing(distances[0]));
            }
        }
    }
}

/// Equal content gives equal bytes: whoever changes what is written changes the format, and notices here. A graph is opened for
/// that, not built: which links an insertion chooses is no matter of the format.
#[test]
fn what_is_written_now_is_what_the_newest_fixtures_hold() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in &FIXTURES {
        let path = folder.path().join(fixture.name);
        let index = match fixture.kind {
            Kind::Graph => Index::open(&fixture.path(), OpenFlags::default()).unwrap(),
            _ => fixture.index(),
        };
        index.save(&path).unwrap();
        assert!(std::fs::read(&path).unwrap() == std::fs::read(fixture.path()).unwrap(), "{}", fixture.name);
    }
}

#[test]
fn fixtures_take_more_vectors() {
    for fixture in &FIXTURES {
        let index = Index::open(&fixture.path(), OpenFlags::default()).unwrap();
        let new = fixture.vectors..fixture.vectors + 100;
        new.clone().for_each(|i| index.insert(Fixture::key(i), &fixture.vector(i)).unwrap());
        for i in new.chain([17]) {
            let mut distance = [f32::NAN];
            let options = SearchOptions { ef: 20, ..SearchOptions::default() };
            index.search(&fixture.vector(i), &mut [0], Some(&mut distance), &options).unwrap();
            assert!(fixture.is_nothing(distance[0]), "{} {i}", fixture.name);
        }
    }
}

#[test]
#[ignore = "writes fixtures that are missing"]
fn write_missing_fixtures() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in FIXTURES.iter().filter(|fixture| !fixture.path().exists()) {
        let path = folder.path().join(fixture.name);
        fixture.index().save(&path).unwrap();
        std::fs::File::create_new(fixture.path()).unwrap().write_all(&std::fs::read(&path).unwrap()).unwrap();
    }
}
