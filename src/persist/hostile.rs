//! Which bytes would somebody write who wants the reader to fail? Samples, mutations that keep the checksums right, and the
//! judge that every outcome must satisfy. Used by the tests and by the fuzz target; not part of a normal build.

use super::header::{BLOCK, FORMAT, PAGE, at, checksum_of, get_u32, get_u64, put_u32, put_u64};
use super::write::{Keep, Serializer};
use super::{Image, links, read};
use crate::disk::Source;
use crate::distance::{Element, Metric};
use crate::graph::{Entry, Graph, KEEP};
use crate::index::config::{Config, Kind, OpenFlags, Options, Quantizer};
use crate::quant::{self, Codes, Coding, Reducer, Width, Workspace};
use crate::store::{EMPTY, Held, LIVE, Store};
use crate::util::epoch::Epochs;
use crate::util::error::{Result, Status};
use crate::util::hands::Hands;
use crate::util::memory::Foreign;
use crate::util::pool::Pool;
use std::sync::Arc;

/// Numbers that look random and are the same on every run (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// A small index, made through the store alone.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) config: Config,
    pub(super) epochs: Epochs,
    pub(super) store: Arc<Store>,
    pub(super) graph: Option<Graph>,
    pub(super) codes: Option<Codes>,
    pub(super) reducer: Option<Reducer>,
}

impl Sample {
    /// `vectors` random vectors under the keys 1000, 1001, ...
    pub(super) fn new(element: Element, metric: Metric, dimensions: u32, vectors: u32) -> Self {
        Self::held_as(Element::F32, (element, metric, dimensions), vectors)
    }

    /// The same with vectors that are held rounded, or as they are given.
    fn held_as(held: Element, (element, metric, dimensions): (Element, Metric, u32), vectors: u32) -> Self {
        let kind = Kind::Flat;
        let options = Options { element, metric, dimensions, kind, held, seed: 0x5eed, ..Options::default() };
        let config = Config::new(&options).expect("a valid shape");
        let shape = (config.vector_bytes(), config.held);
        let store = Store::empty(shape, super::header::scaled(&config), config.removal);
        let sample = Self { config, epochs: Epochs::new(), store, graph: None, codes: None, reducer: None };
        let mut random = Random::new(u64::from(dimensions) << 32 | u64::from(vectors));
        for key in 0..u64::from(vectors) {
            sample.insert(1000 + key, &mut random);
        }
        sample
    }

    pub(super) fn insert(&self, key: u64, random: &mut Random) {
        let guard = self.epochs.pin();
        let slot = self.store.allocate(1).expect("memory for a sample");
        self.store.write(slot, key, &self.vector(random), 0.25 + random.below(4) as f32);
        self.store.claim(slot, &guard).expect("a fresh key");
        self.store.publish(slot, &guard);
    }

    /// Random bytes, with an exponent bit cleared where there are exponents, so that every component is finite.
    fn vector(&self, random: &mut Random) -> Vec<u8> {
        if self.config.held.is_rounded() {
            let components = (0..self.config.dimensions).map(|_| random.below(1 << 20) as f32 / 1000.0 - 500.0);
            return components.flat_map(f32::to_ne_bytes).collect();
        }
        let mut bytes: Vec<u8> = (0..self.store.vector_bytes()).map(|_| random.next() as u8).collect();
        let size = self.config.element.bits() / 8;
        if matches!(self.config.element, Element::F32 | Element::F16 | Element::Bf16) {
            bytes.iter_mut().skip(size - 1).step_by(size).for_each(|high| *high &= !0x40);
        }
        bytes
    }

    pub(super) fn states(&self) -> Vec<u8> {
        (0..self.store.slots()).map(|slot| self.store.state(slot)).collect()
    }

    /// What a save would write.
    pub(super) fn bytes(&self, keep: Keep) -> Vec<u8> {
        let parts = (&*self.store, self.graph.as_ref(), self.codes.as_ref(), self.reducer.as_ref());
        serialize(&self.config, parts, &self.states(), keep)
    }

    /// The same vectors with a graph of random links.
    pub(super) fn linked(mut self, m: u32, random: &mut Random) -> Self {
        self.config.kind = Kind::Graph;
        self.config.m = m;
        let graph = Graph::new(m, self.config.seed);
        let slots = self.store.slots();
        (0..slots).for_each(|slot| graph.prepare(slot).expect("memory for a sample"));
        for slot in 0..slots {
            // Kept links make a chain; the others go anywhere on their level.
            let chain = [slot.checked_sub(1), (slot + 1 < slots).then_some(slot + 1)];
            for level in 0..=graph.level(slot) {
                let others: Vec<u32> = (0..slots).filter(|&to| graph.level(to) >= level).collect();
                let mut links: Vec<u32> = chain.iter().flatten().filter(|_| level == 0).map(|&to| to | KEEP).collect();
                let more = random.below(graph.degree(level) + 1 - links.len());
                links.extend((0..more).map(|_| others[random.below(others.len())]));
                graph.lock(slot).set(level, &links);
            }
        }
        (0..slots).for_each(|slot| graph.promote(Entry { slot, level: graph.level(slot) }));
        self.graph = Some(graph);
        self
    }

    /// The same with a fixed capacity.
    fn limited(mut self, limit: u64) -> Self {
        self.config.limit = Some(limit);
        self
    }

    /// The same links between other vectors: whole numbers, held as bytes.
    pub(super) fn whole(mut self, random: &mut Random) -> Self {
        self.config.quantizer = Quantizer::Auto;
        let shape = (self.config.vector_bytes(), Held::AsGiven);
        let given = Store::empty(shape, super::header::scaled(&self.config), self.config.removal);
        let links = self.graph.take();
        let slots = std::mem::replace(&mut self.store, given).slots();
        for slot in 0..slots {
            let components = (0..self.config.dimensions).map(|_| random.below(256) as f32);
            let vector: Vec<u8> = components.flat_map(f32::to_ne_bytes).collect();
            let guard = self.epochs.pin();
            assert_eq!(self.store.allocate(1).ok(), Some(slot));
            self.store.write(slot, 1000 + u64::from(slot), &vector, 0.25);
            self.store.claim(slot, &guard).expect("a fresh key");
            self.store.publish(slot, &guard);
        }
        let held = self.store.held_as(Held::U8).expect("memory for a sample");
        (0..slots).for_each(|slot| held.put_vector(slot, self.store.vector_slice(slot)));
        (self.store, self.graph) = (held, links);
        self
    }

    /// The same links between the same vectors, reduced.
    pub(super) fn reduced(mut self, quantizer: Quantizer) -> Self {
        self.config.quantizer = quantizer;
        let Config { metric, element, dimensions, .. } = self.config;
        let slots = 0..self.store.slots();
        let vectors = slots.clone().map(|slot| self.store.vector_slice(slot)).collect();
        let sample = quant::Sample { metric, element, dimensions: dimensions as usize, vectors };
        let reduction = quantizer.reduction().expect("a quantizer that reduces");
        let reducer = quant::train_reducer(reduction, &sample, 1, &Hands::quiet(&Pool::default(), 1))
            .expect("memory for a reducer");
        let reducer = reducer.expect("vectors that vary");
        let held = self.store.held_as(Held::Reduced(reducer.components() as u32)).expect("memory for a sample");
        let (mut work, mut reduced) = (Workspace::default(), Vec::new());
        for slot in slots {
            reducer.reduce(element, self.store.vector_slice(slot), 1.0, &mut work, &mut reduced);
            held.put_vector(slot, &reduced);
        }
        (self.store, self.reducer) = (held, Some(reducer));
        self
    }

    /// The same with codes. The vectors are not empty.
    pub(super) fn coded(mut self, coding: impl Into<Coding>) -> Self {
        let coding = coding.into();
        if self.store.held() == Held::AsGiven || coding != Width::Four.into() {
            self.config.quantizer = Quantizer::of_coding(coding);
        }
        let Config { metric, element, dimensions, .. } = self.config;
        let slots = 0..self.store.slots();
        let vectors = slots.clone().map(|slot| self.store.vector_slice(slot)).collect();
        let metric = if self.reducer.is_some() && metric == Metric::Cosine { Metric::L2 } else { metric };
        let element = match self.store.held() {
            Held::U8 => Element::U8,
            Held::Reduced(_) => Element::I8,
            Held::F16 | Held::Bf16 => self.config.held_element(),
            _ => element,
        };
        let sample = quant::Sample { metric, element, dimensions: dimensions as usize, vectors };
        let codec = quant::train(coding, &sample, 1, &Hands::quiet(&Pool::default(), 1))
            .expect("memory for a codec")
            .expect("vectors that vary");
        let codes = Codes::new(codec);
        codes.grow(slots.end as usize).expect("memory for codes");
        let mut work = Workspace::default();
        slots.for_each(|slot| {
            let vector = (element, self.store.vector_slice(slot));
            codes.write(slot, vector, self.store.scale(slot), &mut work);
        });
        self.codes = Some(codes);
        self
    }
}

/// What a save of these parts writes.
type Saved<'a> = (&'a Store, Option<&'a Graph>, Option<&'a Codes>, Option<&'a Reducer>);

fn serialize(config: &Config, (store, graph, codes, reducer): Saved<'_>, states: &[u8], keep: Keep) -> Vec<u8> {
    let mut states = states.to_vec();
    let tree = graph.map(|graph| links::keep_linked(graph, &mut states).expect("memory for a tree"));
    let image = Image { config, store, graph, states: &states, tree: tree.as_ref(), codes, reducer };
    let mut bytes = Vec::new();
    Serializer::new(&image, keep).expect("memory for a block").write(&image, &mut bytes).expect("writing to memory");
    bytes
}

/// Small valid files of several shapes: what mutations begin with.
pub(crate) fn samples() -> Vec<Vec<u8>> {
    let removed = Sample::new(Element::F32, Metric::L2, 5, 70);
    let guard = removed.epochs.pin();
    assert!((1000..1020).all(|key| removed.store.remove(key, &guard)));
    drop(guard);
    vec![
        Sample::new(Element::F32, Metric::L2, 3, 4).bytes(Keep::Live),
        Sample::new(Element::F16, Metric::Cosine, 9, 3).bytes(Keep::Live),
        Sample::new(Element::B1, Metric::Jaccard, 16, 130).bytes(Keep::Live),
        Sample::new(Element::I8, Metric::L1, 1, 0).bytes(Keep::Live),
        removed.bytes(Keep::Live),
        removed.bytes(Keep::All),
        removed.linked(4, &mut Random::new(3)).bytes(Keep::All),
        Sample::new(Element::U8, Metric::Cosine, 8, 40).linked(2, &mut Random::new(4)).bytes(Keep::All),
        Sample::new(Element::U8, Metric::L2, 24, 50).linked(3, &mut Random::new(6)).coded(Width::Four).bytes(Keep::All),
        Sample::new(Element::F16, Metric::L2, 70, 40)
            .linked(3, &mut Random::new(13))
            .coded(Width::Two)
            .bytes(Keep::All),
        Sample::new(Element::I8, Metric::Cosine, 460, 40)
            .linked(3, &mut Random::new(14))
            .coded(Width::One)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::Cosine, 20, 40)
            .linked(3, &mut Random::new(17))
            .coded(Coding::Product)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::InnerProduct, 450, 40)
            .linked(3, &mut Random::new(18))
            .coded(Coding::Signs)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::L2, 60, 40)
            .linked(3, &mut Random::new(7))
            .whole(&mut Random::new(8))
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::Cosine, 50, 40)
            .linked(3, &mut Random::new(9))
            .whole(&mut Random::new(10))
            .coded(Width::Four)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::L2, 60, 40)
            .linked(3, &mut Random::new(15))
            .whole(&mut Random::new(16))
            .coded(Width::Two)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::L2, 30, 40)
            .linked(3, &mut Random::new(11))
            .reduced(Quantizer::Bytes)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::Cosine, 70, 40)
            .linked(3, &mut Random::new(20))
            .reduced(Quantizer::BytesProjected4)
            .coded(Width::Four)
            .bytes(Keep::All),
        Sample::new(Element::F32, Metric::InnerProduct, 130, 40)
            .linked(3, &mut Random::new(12))
            .reduced(Quantizer::Leading8)
            .bytes(Keep::All),
        Sample::held_as(Element::F16, (Element::F32, Metric::Cosine, 60), 40)
            .linked(3, &mut Random::new(19))
            .coded(Width::Two)
            .bytes(Keep::All),
        Sample::held_as(Element::Bf16, (Element::F32, Metric::L1, 7), 9).bytes(Keep::Live),
        Sample::new(Element::F32, Metric::InnerProduct, 3, 5).limited(5).bytes(Keep::Live),
        Sample::new(Element::F32, Metric::L2, 2, 0).linked(16, &mut Random::new(5)).bytes(Keep::All),
        Sample::new(Element::F32, Metric::L2, 40, 50).coded(Width::Four).bytes(Keep::Live),
        with_optional_section(&Sample::new(Element::U8, Metric::InnerProduct, 40, 2).bytes(Keep::Live)),
    ]
}

/// The file with a section of an unknown kind in it that readers may skip.
pub(super) fn with_optional_section(file: &[u8]) -> Vec<u8> {
    with_section(file, 77, super::header::OPTIONAL, &[0xab; 5000])
}

/// The file with a section more, in front of the checksums.
pub(super) fn with_section(file: &[u8], kind: u32, flags: u32, content: &[u8]) -> Vec<u8> {
    let count = get_u32(file, at::SECTION_COUNT) as usize;
    let (table, old) = (at::SECTIONS + (count - 1) * 64, at::SECTIONS + count * 64);
    let offset = get_u64(file, table + 8) as usize;
    let mut bytes = file[..offset].to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    let checksums = bytes.len();
    let words = get_u64(file, table + 24) as usize + content.len().div_ceil(BLOCK);
    bytes.resize(checksums + words * 4, 0);
    bytes.copy_within(table..old, old);
    put_u64(&mut bytes, old + 8, checksums as u64);
    put_u64(&mut bytes, old + 16, words as u64 * 4);
    put_u64(&mut bytes, old + 24, words as u64);
    put_u32(&mut bytes, table, kind);
    put_u32(&mut bytes, table + 4, flags);
    put_u64(&mut bytes, table + 8, offset as u64);
    put_u64(&mut bytes, table + 16, content.len() as u64);
    put_u64(&mut bytes, table + 24, content.len() as u64);
    put_u32(&mut bytes, table + 32, 1);
    put_u32(&mut bytes, at::SECTION_COUNT, count as u32 + 1);
    let length = bytes.len() as u64;
    put_u64(&mut bytes, at::FILE_BYTES, length);
    fix_checksums(&mut bytes);
    bytes
}

/// Makes every checksum right that can be found, whatever else is wrong.
pub(crate) fn fix_checksums(bytes: &mut [u8]) {
    if bytes.len() < PAGE {
        return;
    }
    let (page, _) = bytes.split_first_chunk::<PAGE>().expect("at least a page");
    let header = checksum_of(page);
    put_u32(bytes, at::CHECKSUM, header);
    let count = (get_u32(bytes, at::SECTION_COUNT) as usize).min(super::header::MOST_SECTIONS);
    let mut table = header.to_le_bytes().to_vec();
    for i in 0..count {
        let entry = at::SECTIONS + i * 64;
        let offset = usize::try_from(get_u64(bytes, entry + 8)).unwrap_or(usize::MAX);
        let length = usize::try_from(get_u64(bytes, entry + 16)).unwrap_or(usize::MAX);
        if i + 1 < count {
            let Some(section) = bytes.get(offset..).and_then(|rest| rest.get(..length)) else { return };
            section.chunks(BLOCK).for_each(|block| table.extend_from_slice(&crc32c::crc32c(block).to_le_bytes()));
        } else {
            let own = crc32c::crc32c(&table);
            table.extend_from_slice(&own.to_le_bytes());
            let place = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..table.len()));
            if let Some(place) = place.filter(|_| offset >= PAGE) {
                place.copy_from_slice(&table);
            }
        }
    }
}

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    3,
    5,
    63,
    64,
    65,
    255,
    4095,
    4096,
    65_536,
    65_537,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64 - 1,
    u32::MAX as u64,
    1 << 52,
    i64::MAX as u64,
    u64::MAX,
];

/// Changes a file in one to four ways; in most cases with checksums that fit.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        mutate_once(bytes, random);
    }
    if random.below(5) > 0 {
        if bytes.len() > at::FILE_BYTES + 8 && random.below(4) > 0 {
            let length = bytes.len() as u64;
            put_u64(bytes, at::FILE_BYTES, length);
        }
        fix_checksums(bytes);
    }
}

fn mutate_once(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.len() < PAGE {
        bytes.resize(PAGE + random.below(PAGE), 0);
        return;
    }
    let sections = (get_u32(bytes, at::SECTION_COUNT) as usize).clamp(1, super::header::MOST_SECTIONS);
    let entry = |random: &mut Random| at::SECTIONS + random.below(sections) * 64;
    match random.below(9) {
        0 => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        1 => {
            // Numbers of 4 bytes in the fixed part and in the table.
            let at = at::FORMAT + 4 * random.below((at::SECTIONS + sections * 64 - at::FORMAT) / 4);
            put_u32(bytes, at, EDGES[random.below(EDGES.len())] as u32);
        }
        2 => {
            // Numbers of 8 bytes of a section: offset, bytes, count.
            let at = entry(random) + 8 * (1 + random.below(3));
            let near = get_u64(bytes, at).wrapping_add(random.below(9) as u64).wrapping_sub(4);
            put_u64(bytes, at, if random.below(2) == 0 { near } else { EDGES[random.below(EDGES.len())] });
        }
        3 => {
            let at = [at::SLOTS, at::LIVE, at::REMOVED, at::FILE_BYTES, at::SEED][random.below(5)];
            let near = get_u64(bytes, at).wrapping_add(random.below(5) as u64).wrapping_sub(2);
            put_u64(bytes, at, if random.below(2) == 0 { near } else { EDGES[random.below(EDGES.len())] });
        }
        4 => bytes.truncate(random.below(bytes.len() + 1)),
        5 => bytes.resize(bytes.len() + random.below(2 * PAGE), random.next() as u8),
        6 => {
            let (from, to) = (entry(random), entry(random));
            bytes.copy_within(from..from + 64, to);
        }
        7 => {
            // Content: a few bytes anywhere behind the header.
            let at = PAGE.min(bytes.len() - 1) + random.below(bytes.len() - PAGE.min(bytes.len() - 1));
            for i in at..(at + random.below(16)).min(bytes.len()) {
                bytes[i] = random.next() as u8;
            }
        }
        _ => {
            let to = at::SECTION_COUNT;
            put_u32(bytes, to, random.below(super::header::MOST_SECTIONS + 2) as u32);
        }
    }
}

/// How the reader is asked to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Into memory.
    Loaded,
    /// In place.
    Mapped,
    /// Into memory, but for the vectors.
    Beside,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Loaded, Self::Mapped, Self::Beside];
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An index that could be used.
    Opened,
    /// An error of an expected kind.
    Refused,
}

/// Opens the bytes in every way, uses what opens in full, and panics if anything is not as it must be.
pub(crate) fn judge(bytes: &[u8]) -> Outcome {
    let mut outcome = Outcome::Refused;
    let pool = Pool::default();
    for unchecked in [false, true] {
        for way in Way::ALL {
            let flags = OpenFlags { unchecked, one_thread: true, ..OpenFlags::default() };
            match open_bytes(bytes, way, flags, &pool).and_then(|read| use_fully(read, flags)) {
                Ok(()) => outcome = Outcome::Opened,
                Err(error) => {
                    assert!(matches!(error.status(), Status::Corrupt | Status::Version), "{error:?}");
                    assert!(!error.text().is_empty());
                }
            }
        }
    }
    outcome
}

/// Opens bytes as if they were a file.
pub(super) fn open_bytes(bytes: &[u8], way: Way, flags: OpenFlags, pool: &Pool) -> Result<read::Read> {
    match way {
        Way::Loaded => read::load(bytes, flags, pool),
        Way::Mapped | Way::Beside => {
            let mut map = memmap2::MmapMut::map_anon(bytes.len().max(1)).expect("memory for a map");
            map[..bytes.len()].copy_from_slice(bytes);
            if bytes.is_empty() {
                return read::load(bytes, flags, pool);
            }
            let map = Arc::new(Foreign::Mapped(map.make_read_only().expect("a read-only map")));
            match way {
                Way::Beside => read::load_beside(bytes, &map, OpenFlags { vectors_mapped: true, ..flags }, pool),
                _ => read::attach(&map, flags, pool),
            }
        }
    }
}

/// Does with an opened index what a program may do, and saves it again.
fn use_fully((header, read::Content { parts, graph, codes, reducer }): read::Read, flags: OpenFlags) -> Result<()> {
    let epochs = Epochs::new();
    let guard = epochs.pin();
    let store = Store::from_parts(parts, &guard)?;
    assert!((1..=FORMAT).contains(&header.format));
    assert_eq!(u64::from(store.slots()), header.slots.all);
    assert_eq!(store.live(), header.slots.live);
    let mut sum = 0u64;
    let mut states = Vec::new();
    for slot in 0..store.slots() {
        states.push(store.state(slot));
        if store.state(slot) == EMPTY {
            continue;
        }
        sum = store.vector_slice(slot).iter().fold(sum, |sum, &byte| sum.wrapping_add(u64::from(byte)));
        sum = sum.wrapping_add(u64::from(store.scale(slot).to_bits()));
        let code = codes.iter().flat_map(|codes| codes.code(slot));
        sum = code.fold(sum, |sum, &byte| sum.wrapping_add(u64::from(byte)));
        if store.state(slot) == LIVE {
            assert_eq!(store.find(store.key(slot), &guard), Some(slot));
        }
    }
    std::hint::black_box(sum);
    if let Some(graph) = &graph {
        follow(graph, &store);
    }
    if let Some(codes) = &codes {
        let query = vec![1; store.vector_bytes()];
        let _ = codes.codec.prepare(header.element(), &query, 1.0, &mut Workspace::default());
    }
    if let Some(reducer) = &reducer {
        let (query, mut work, mut out) = (vec![1; header.config.vector_bytes()], Workspace::default(), Vec::new());
        reducer.ask(Element::F32, &query, 1.0, &mut work, &mut quant::Asked::default());
        reducer.reduce(Element::F32, &query, 1.0, &mut work, &mut out);
        reducer.restore(&out, &mut Vec::new());
    }
    if !flags.unchecked {
        let parts = (&*store, graph.as_ref(), codes.as_ref(), reducer.as_ref());
        let again = serialize(&header.config, parts, &states, Keep::All);
        let (other, ..) = read::load(&again[..], flags, &Pool::default()).expect("what was opened and saved opens");
        assert_eq!((&other.config, other.slots), (&header.config, header.slots));
        assert_eq!(Source::bytes(&again[..]), other.file_bytes());
    }
    Ok(())
}

/// Goes wherever a search could go.
fn follow(graph: &Graph, store: &Store) {
    let mut seen = vec![false; store.slots() as usize];
    let mut open: Vec<u32> = graph.entry().map(|entry| entry.slot).into_iter().collect();
    let mut links = Vec::new();
    while let Some(slot) = open.pop() {
        if std::mem::replace(&mut seen[slot as usize], true) {
            continue;
        }
        assert_ne!(store.state(slot), EMPTY);
        for level in 0..=graph.level(slot) {
            links.clear();
            graph.neighbours(slot, level, &mut links);
            assert!(links.iter().all(|&to| graph.level(to) >= level));
            open.extend(&links);
        }
    }
}
