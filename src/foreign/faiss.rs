//! Files of faiss: `IndexHNSWFlat` (`IHNf`), `IndexFlat` (`IxF2`, `IxFI`, `IxFl`), either also inside an `IndexIDMap` (`IxMp`, `IxM2`).
//!
//! Every index is a mark of four letters and a head (i32 dimensions, i64 vectors, two i64 without meaning, u8 trained, i32 metric, and
//! f32 more where the metric is above 1); vectors of numbers are u64 count and the numbers. Then:
//!
//! | index | content |
//! |---|---|
//! | flat | u64 number of floats, floats |
//! | HNSW | f64s of levels; i32s: links up to each level; i32s: levels of each element, counted from 1; u64s: where its links begin; i32s: links, -1 for none; i32 entry, highest level, breadth of insertion and of search, 1; then the flat index |
//! | map | the index inside; i64s: ids |

use super::{Element, Elements, Found, agree, read_at, u32_at, u64_at};
use crate::disk::Source;
use crate::distance::{Element as Component, Metric};
use crate::index::config::{Kind, MAX_EF, MAX_M, Options, check_shape};
use crate::store::MAX_SLOTS;
use crate::util::error::{Error, Result};

/// Reads numbers one after the other.
struct Cursor<'a> {
    source: &'a dyn Source,
    at: u64,
}

impl Cursor<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        read_at(self.source, self.at, &mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.bytes::<4>().map(|bytes| u32_at(&bytes, 0))
    }

    fn u64(&mut self) -> Result<u64> {
        self.bytes::<8>().map(|bytes| u64_at(&bytes, 0))
    }

    /// Passes over an array and says where it lies.
    fn array(&mut self, name: &str, record: u64) -> Result<Array> {
        let count = self.u64()?;
        let left = self.source.bytes() - self.at;
        let Some(bytes) = count.checked_mul(record).filter(|&bytes| bytes <= left) else {
            return Err(Error::corrupt(format!("{count} {name} do not fit into the {left} bytes left")));
        };
        let start = self.at;
        self.at += bytes;
        Ok(Array { start, count })
    }
}

/// `count` records from `start` on.
#[derive(Clone, Copy)]
struct Array {
    start: u64,
    count: u64,
}

impl Array {
    fn expect(self, name: &str, count: u64) -> Result<Self> {
        if self.count == count {
            return Ok(self);
        }
        Err(Error::corrupt(format!("{} {name}, there should be {count}", self.count)))
    }
}

struct Head {
    dimensions: u32,
    count: u64,
    metric: Metric,
}

/// The links of a file.
struct Links {
    /// Places in a list of links up to each level.
    ends: Vec<u32>,
    levels: Vec<u8>,
    lists: Array,
    /// Where each element's list begins, in links.
    offsets: Vec<u64>,
    entry: u32,
}

struct File<'a> {
    source: &'a dyn Source,
    count: u32,
    vector_bytes: usize,
    vectors: u64,
    ids: Option<Array>,
    links: Option<Links>,
}

/// Reads everything but vectors and links.
pub(super) fn find<'a>(source: &'a dyn Source, options: &Options) -> Result<Found<'a>> {
    let mut cursor = Cursor { source, at: 0 };
    let mut mark = cursor.bytes::<4>()?;
    let mapped = matches!(&mark, b"IxMp" | b"IxM2");
    if mapped {
        head(&mut cursor)?;
        mark = cursor.bytes::<4>()?;
    }
    let graph = &mark == b"IHNf";
    let mut shape = head_of(&mut cursor, mark, graph)?;
    let mut found = options.clone();
    found.kind = if graph && options.kind != Kind::Flat { Kind::Graph } else { Kind::Flat };
    let links = if graph {
        let (links, base_degree, breadth) = hnsw(&mut cursor, shape.count)?;
        let mark = cursor.bytes::<4>()?;
        let stored = head_of(&mut cursor, mark, false)?;
        if (stored.dimensions, stored.count) != (shape.dimensions, shape.count) {
            return Err(Error::corrupt("the graph and its vectors do not fit each other"));
        }
        shape = stored;
        if found.m == 0 {
            found.m = base_degree.div_ceil(2).clamp(2, MAX_M);
        }
        if found.ef_construction == 0 {
            found.ef_construction = breadth.clamp(1, MAX_EF);
        }
        Some(links)
    } else {
        None
    };
    found.dimensions = agree("dimensions", options.dimensions, shape.dimensions)?;
    (found.metric, found.element) = (shape.metric, Component::F32);
    check_shape(found.metric, found.element, found.dimensions)?;
    let floats = shape.count.checked_mul(shape.dimensions.into()).ok_or_else(|| Error::corrupt("too many vectors"))?;
    let vectors = cursor.array("floats", 4)?.expect("floats", floats)?.start;
    let ids = if mapped { Some(cursor.array("ids", 8)?.expect("ids", shape.count)?) } else { None };
    if shape.count > MAX_SLOTS {
        return Err(Error::corrupt(format!("{} vectors are more than an index holds", shape.count)));
    }
    let vector_bytes = found.element.vector_bytes(found.dimensions);
    let file = File { source, count: shape.count as u32, vector_bytes, vectors, ids, links };
    Ok(Found { options: found, elements: Box::new(file) })
}

fn head_of(cursor: &mut Cursor<'_>, mark: [u8; 4], graph: bool) -> Result<Head> {
    if graph || matches!(&mark, b"IxF2" | b"IxFI" | b"IxFl") {
        return head(cursor);
    }
    let mark = String::from_utf8_lossy(&mark).into_owned();
    Err(Error::unsupported(format!(
        "an index of faiss's kind {mark:?}; IHNf and flat ones can be imported, alone or in an IDMap"
    )))
}

fn head(cursor: &mut Cursor<'_>) -> Result<Head> {
    let dimensions = cursor.u32()?;
    let count = cursor.u64()?;
    cursor.bytes::<17>()?;
    let metric = match cursor.u32()? {
        0 => Metric::InnerProduct,
        1 => Metric::L2,
        2 => Metric::L1,
        other => return Err(Error::unsupported(format!("faiss's metric {other} has no like in kith"))),
    };
    if metric == Metric::L1 {
        cursor.u32()?;
    }
    Ok(Head { dimensions, count, metric })
}

/// The links, the room at level 0, and the breadth of insertions.
fn hnsw(cursor: &mut Cursor<'_>, count: u64) -> Result<(Links, u32, u32)> {
    cursor.array("probabilities", 8)?;
    let ends = cursor.array("sums of links", 4)?;
    let levels = cursor.array("levels", 4)?.expect("levels", count)?;
    let offsets = cursor.array("offsets", 8)?.expect("offsets", count + 1)?;
    let lists = cursor.array("links", 4)?;
    let (entry, _highest, breadth) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    cursor.bytes::<8>()?;
    if !(2..=256).contains(&ends.count) || count > MAX_SLOTS {
        return Err(Error::corrupt(format!("links for {} levels of {count} elements", ends.count.saturating_sub(1))));
    }
    let ends = numbers(cursor.source, ends, 4, u32_at)?;
    if ends[0] != 0 || ends.windows(2).any(|pair| pair[0] >= pair[1]) || ends[1] > 65_535 {
        return Err(Error::corrupt("the sums of links do not rise"));
    }
    let stated = numbers(cursor.source, levels, 4, u32_at)?;
    let offsets = numbers(cursor.source, offsets, 8, u64_at)?;
    let mut levels = Vec::with_capacity(stated.len());
    for (element, &level) in stated.iter().enumerate() {
        let end = level.checked_sub(1).and_then(|_| ends.get(level as usize).copied());
        let here = offsets[element];
        let right = end.is_some_and(|end| here.checked_add(end.into()).is_some_and(|to| to <= lists.count));
        if !right {
            return Err(Error::corrupt(format!("element {element} has {level} levels and links from {here} on")));
        }
        levels.push((level - 1) as u8);
    }
    if count > 0 && u64::from(entry) >= count {
        return Err(Error::corrupt(format!("the entry is {entry} of {count} elements")));
    }
    let base_degree = ends[1];
    Ok((Links { ends, levels, lists, offsets, entry }, base_degree, breadth))
}

/// A whole array, which is known to lie in the file.
fn numbers<T>(source: &dyn Source, array: Array, record: usize, number: fn(&[u8], usize) -> T) -> Result<Vec<T>> {
    let mut bytes = vec![0; array.count as usize * record];
    read_at(source, array.start, &mut bytes)?;
    Ok((0..array.count as usize).map(|i| number(&bytes, i * record)).collect())
}

impl Elements for File<'_> {
    fn count(&self) -> u32 {
        self.count
    }

    fn level(&self, element: u32) -> u32 {
        self.links.as_ref().map_or(0, |links| links.levels[element as usize].into())
    }

    fn entry(&self) -> Option<u32> {
        self.links.as_ref().filter(|_| self.count > 0).map(|links| links.entry)
    }

    fn read(&self, element: u32, into: &mut Element) -> Result<()> {
        into.removed = false;
        into.vector.resize(self.vector_bytes, 0);
        read_at(self.source, self.vectors + u64::from(element) * self.vector_bytes as u64, &mut into.vector)?;
        into.key = match self.ids {
            Some(ids) => {
                let mut id = [0; 8];
                read_at(self.source, ids.start + 8 * u64::from(element), &mut id)?;
                u64_at(&id, 0)
            }
            None => element.into(),
        };
        let Some(links) = &self.links else { return Ok(()) };
        let levels = self.level(element) as usize;
        let mut list = vec![0; links.ends[levels + 1] as usize * 4];
        read_at(self.source, links.lists.start + 4 * links.offsets[element as usize], &mut list)?;
        into.links.resize_with(levels + 1, Vec::new);
        for (level, theirs) in into.links.iter_mut().enumerate() {
            theirs.clear();
            let places = links.ends[level] as usize..links.ends[level + 1] as usize;
            theirs.extend(places.map(|place| u32_at(&list, 4 * place)).take_while(|&link| link != u32::MAX));
            // Nearest first here, last in hnswlib, whose order is the one that is expected.
            theirs.reverse();
        }
        Ok(())
    }
}
