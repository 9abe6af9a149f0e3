//! Files of usearch 2: which bytes are what, and which are believed?
//!
//! | part | content |
//! |---|---|
//! | vectors | u32 rows, u32 bytes of each, the rows |
//! | head, 64 bytes | "usearch", three u16 of its version, then one byte each: metric, component type, key type, slot type; u64 present, deleted, dimensions; u8 several vectors per key |
//! | graph | u64 nodes, links above level 0, links at level 0, highest level, entry |
//! | levels | i16 per node |
//! | nodes | u64 key (all ones: removed), i16 level, then per level u32 number of links and room for all of them |

use super::{Element, Elements, Found, agree, read_at, u16_at, u32_at, u64_at};
use crate::disk::Source;
use crate::distance::{Element as Component, Metric};
use crate::index::config::{Kind, MAX_M, Options, check_shape};
use crate::store::MAX_SLOTS;
use crate::util::error::{Error, Result};

const HEAD: u64 = 64;
const GRAPH_HEAD: u64 = 40;
const NODE_HEAD: u64 = 10;
/// Most links of a node that a file can ask for.
const MOST_LINKS: u64 = 65_535;

struct File<'a> {
    source: &'a dyn Source,
    count: u32,
    vector_bytes: usize,
    base_degree: u64,
    upper_degree: u64,
    entry: u32,
    levels: Vec<u8>,
    /// Where each node begins.
    nodes: Vec<u64>,
}

/// Reads what stands before the nodes.
pub(super) fn find<'a>(source: &'a dyn Source, options: &Options) -> Result<Found<'a>> {
    let all = source.bytes();
    if all < 8 + HEAD + GRAPH_HEAD {
        return Err(Error::corrupt(format!("{all} bytes are too few for a file of usearch")));
    }
    let mut start = [0; 8];
    read_at(source, 0, &mut start)?;
    let (rows, bytes) = (u64::from(u32_at(&start, 0)), u64::from(u32_at(&start, 4)));
    // Products of 32-bit numbers fit.
    let head_at = 8 + rows * bytes;
    if head_at > all - HEAD - GRAPH_HEAD {
        return Err(Error::corrupt(format!("{rows} vectors of {bytes} bytes do not fit into {all} bytes")));
    }
    let mut head = [0; (HEAD + GRAPH_HEAD) as usize];
    read_at(source, head_at, &mut head)?;
    if &head[..7] != b"usearch" {
        return Err(Error::corrupt("not a file of usearch: its mark does not stand behind the vectors"));
    }
    let shaped = shape(&head, options)?;
    let graph = &head[HEAD as usize..];
    let (count, upper_degree, base_degree) = (u64_at(graph, 0), u64_at(graph, 8), u64_at(graph, 16));
    if count != rows || count > MAX_SLOTS {
        return Err(Error::corrupt(format!("{count} nodes and {rows} vectors")));
    }
    let vector_bytes = shaped.element.vector_bytes(shaped.dimensions);
    if rows > 0 && bytes != vector_bytes as u64 {
        return Err(Error::corrupt(format!(
            "vectors have {bytes} bytes, with {} dimensions {vector_bytes}",
            shaped.dimensions
        )));
    }
    if !(1..=MOST_LINKS).contains(&upper_degree) || !(1..=MOST_LINKS).contains(&base_degree) {
        return Err(Error::corrupt(format!("nodes have {upper_degree} and {base_degree} links, which cannot be")));
    }
    let entry = u64_at(graph, 32);
    let mut file = File {
        source,
        count: count as u32,
        vector_bytes,
        base_degree,
        upper_degree,
        entry: u32::try_from(entry).unwrap_or(u32::MAX),
        levels: Vec::new(),
        nodes: Vec::new(),
    };
    file.find_nodes(head_at + HEAD + GRAPH_HEAD)?;
    if count > 0 && u64::from(file.entry) >= count {
        return Err(Error::corrupt(format!("the entry is {entry} of {count} nodes")));
    }
    let m = if options.m == 0 { (base_degree as u32).div_ceil(2).clamp(2, MAX_M) } else { options.m };
    Ok(Found { options: Options { m, ..shaped }, elements: Box::new(file) })
}

/// Metric, component type and dimensions of the head.
fn shape(head: &[u8], options: &Options) -> Result<Options> {
    let (metric, component, key, slot) = (head[13], head[14], head[15], head[16]);
    let element = match component {
        11 => Component::F32,
        12 => Component::F16,
        4 => Component::Bf16,
        23 => Component::I8,
        17 => Component::U8,
        1 => Component::B1,
        _ => return Err(Error::unsupported(format!("components of usearch's type {component} have no like in kith"))),
    };
    let metric = match metric {
        b'e' => Metric::L2,
        b'i' => Metric::InnerProduct,
        b'c' => Metric::Cosine,
        b'b' => Metric::Hamming,
        b't' | b'j' => Metric::Jaccard,
        _ => return Err(Error::unsupported(format!("usearch's metric {:?} has no like in kith", char::from(metric)))),
    };
    if key != 14 || slot != 15 {
        return Err(Error::unsupported("only files with 64-bit keys and 32-bit slots can be imported"));
    }
    if head[41] != 0 {
        return Err(Error::unsupported("the file may have several vectors per key, an index of kith has one"));
    }
    let stated = u32::try_from(u64_at(head, 33)).map_err(|_| Error::corrupt("the number of dimensions cannot be"))?;
    let dimensions = agree("dimensions", options.dimensions, stated)?;
    check_shape(metric, element, dimensions)?;
    let kind = if options.kind == Kind::Flat { Kind::Flat } else { Kind::Graph };
    Ok(Options { metric, element, dimensions, kind, ..options.clone() })
}

impl File<'_> {
    fn node_bytes(&self, level: u64) -> u64 {
        NODE_HEAD + 4 + 4 * self.base_degree + level * (4 + 4 * self.upper_degree)
    }

    /// Where nodes begin follows from the levels; the last must end with the file.
    fn find_nodes(&mut self, from: u64) -> Result<()> {
        let count = u64::from(self.count);
        let (all, least) = (self.source.bytes(), count * (2 + self.node_bytes(0)));
        if least > all - from {
            return Err(Error::corrupt(format!("{count} nodes do not fit into {all} bytes")));
        }
        let mut levels = vec![0; 2 * self.count as usize];
        read_at(self.source, from, &mut levels)?;
        let mut at = from + 2 * count;
        for node in 0..self.count as usize {
            let level = u16_at(&levels, 2 * node);
            let bytes = self.node_bytes(level.into());
            if level > 255 || bytes > all - at {
                return Err(Error::corrupt(format!("node {node} has level {level}, which does not fit into the file")));
            }
            self.levels.push(level as u8);
            self.nodes.push(at);
            at += bytes;
        }
        if at != all {
            return Err(Error::corrupt(format!("the nodes end at offset {at}, the file at {all}")));
        }
        Ok(())
    }
}

impl Elements for File<'_> {
    fn count(&self) -> u32 {
        self.count
    }

    fn level(&self, element: u32) -> u32 {
        self.levels[element as usize].into()
    }

    fn entry(&self) -> Option<u32> {
        (self.count > 0).then_some(self.entry)
    }

    fn read(&self, element: u32, into: &mut Element) -> Result<()> {
        into.vector.resize(self.vector_bytes, 0);
        read_at(self.source, 8 + u64::from(element) * self.vector_bytes as u64, &mut into.vector)?;
        let levels = self.level(element) as usize;
        let mut node = vec![0; self.node_bytes(levels as u64) as usize];
        read_at(self.source, self.nodes[element as usize], &mut node)?;
        into.key = u64_at(&node, 0);
        into.removed = into.key == u64::MAX;
        into.links.resize_with(levels + 1, Vec::new);
        let (mut at, mut degree) = (NODE_HEAD as usize, self.base_degree as usize);
        for links in &mut into.links {
            links.clear();
            let count = u32_at(&node, at) as usize;
            if count > degree {
                return Err(Error::corrupt(format!("node {element} has {count} links, it has room for {degree}")));
            }
            links.extend((0..count).map(|i| u32_at(&node, at + 4 + 4 * i)));
            at += 4 + 4 * degree;
            degree = self.upper_degree as usize;
        }
        Ok(())
    }
}
