//! How does an index become a file of hnswlib's?
//!
//! Live vectors are written, and removed ones that can come back, marked as deleted. What was removed for good is left out: where
//! links went through it, they are led on to its neighbours, and what would be cut off then is linked again, so that hnswlib
//! reaches every vector. hnswlib knows no cosine; such vectors are written normalised, for its inner product.

use super::hnswlib::{FLAT_HEAD, HEAD};
use crate::distance::{Element, Metric};
use crate::graph::{Graph, KEEP};
use crate::index::config::Config;
use crate::search::Scoring;
use crate::search::walk::{Distances, Field};
use crate::store::{EMPTY, LIVE, Store};
use crate::util::error::{Error, Result, Status};
use std::collections::VecDeque;
use std::io::{self, Write};

/// Links through vectors that are left out are followed so far.
const DETOUR: usize = 3;
/// A slot that is not written.
const LEFT_OUT: u32 = u32::MAX;

/// An index at one instant.
pub(crate) struct Export<'a> {
    pub(crate) config: &'a Config,
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) graph: Option<&'a Graph>,
    /// Of every slot; linked ones that nobody can see yet count as removed.
    pub(crate) states: &'a [u8],
    /// Slots of removed vectors that can come back, in order.
    pub(crate) kept: &'a [u32],
    /// The capacity that the file states, if it is more than the elements.
    pub(crate) capacity: u64,
}

/// The slots that are written, and the numbers they get.
struct Plan {
    slots: Vec<u32>,
    numbers: Vec<u32>,
    /// Whether links lead through slots that are left out.
    gaps: bool,
}

impl Plan {
    fn of(export: &Export<'_>) -> Self {
        let mut plan = Self { slots: Vec::new(), numbers: vec![LEFT_OUT; export.states.len()], gaps: false };
        for (slot, &state) in (0..).zip(export.states) {
            let kept = export.graph.is_some() && state != EMPTY && export.kept.binary_search(&slot).is_ok();
            if state == LIVE || kept {
                plan.numbers[slot as usize] = plan.slots.len() as u32;
                plan.slots.push(slot);
            } else if state != EMPTY {
                plan.gaps = true;
            }
        }
        plan
    }

    fn has(&self, slot: u32) -> bool {
        self.numbers.get(slot as usize).is_some_and(|&number| number != LEFT_OUT)
    }
}

fn check(export: &Export<'_>) -> Result<()> {
    if export.config.metric == Metric::Cosine && export.config.element != Element::F32 {
        let element = export.config.element.name();
        return Err(Error::unsupported(format!("hnswlib has no cosine, and {element} cannot be normalised for it")));
    }
    // A flat file holds all of its room.
    let record = export.store.vector_bytes() as u64 + 8;
    let bytes = export.capacity.checked_mul(record).filter(|&bytes| bytes < i64::MAX as u64 - FLAT_HEAD as u64);
    if export.graph.is_none() && bytes.is_none() {
        return Err(Error::argument(format!(
            "capacity is {}, and a file with room for so many vectors cannot be",
            export.capacity
        )));
    }
    Ok(())
}

/// Bytes that [`write()`] writes.
pub(crate) fn file_bytes(export: &Export<'_>) -> Result<u64> {
    check(export)?;
    let plan = Plan::of(export);
    let (count, vector) = (plan.slots.len() as u64, export.config.vector_bytes() as u64);
    let Some(graph) = export.graph else {
        return Ok(FLAT_HEAD as u64 + export.capacity.max(count) * (vector + 8));
    };
    let record = 4 + 4 * graph.degree(0) as u64 + vector + 8;
    let row = 4 + 4 * graph.degree(1) as u64;
    let levels: u64 = plan.slots.iter().map(|&slot| u64::from(graph.level(slot))).sum();
    Ok(HEAD as u64 + count * (record + 4) + levels * row)
}

/// Writes the file, front to back.
pub(crate) fn write(export: &Export<'_>, out: &mut dyn Write) -> Result<()> {
    check(export)?;
    let plan = Plan::of(export);
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let written = match export.graph {
        Some(graph) => write_graph(export, graph, &plan, &mut out),
        None => write_flat(export, &plan, &mut out),
    };
    written.and_then(|()| out.flush()).map_err(|cause| {
        // Whoever refused some bytes is not asked to take the rest, as a buffer does when it is dropped.
        drop(out.into_parts());
        Error::new(Status::Io, format!("writing: {cause}"))
    })
}

fn write_flat(export: &Export<'_>, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let count = plan.slots.len() as u64;
    let record = export.config.vector_bytes() as u64 + 8;
    let capacity = export.capacity.max(count);
    for number in [capacity, record, count] {
        out.write_all(&number.to_le_bytes())?;
    }
    let mut vector = Vec::new();
    for &slot in &plan.slots {
        vector_of(export, slot, &mut vector);
        out.write_all(&vector)?;
        out.write_all(&export.store.key(slot).to_le_bytes())?;
    }
    io::copy(&mut io::Read::take(io::repeat(0), (capacity - count) * record), out).map(drop)
}

fn write_graph(export: &Export<'_>, graph: &Graph, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let (base, upper) = (graph.degree(0), graph.degree(1));
    let top = graph.entry().map(|entry| entry.slot).filter(|&slot| plan.has(slot));
    let highest = |&slot: &u32| (graph.level(slot), Some(slot) == top, u32::MAX - slot);
    let entry = plan.slots.iter().copied().max_by_key(highest);
    let vector_at = 4 + 4 * base;
    let label_at = vector_at + export.config.vector_bytes();
    let capacity = export.capacity.max(plan.slots.len() as u64);
    for number in [0, capacity, plan.slots.len() as u64, label_at as u64 + 8, label_at as u64, vector_at as u64] {
        out.write_all(&number.to_le_bytes())?;
    }
    let level = entry.map_or(-1, |slot| graph.level(slot).cast_signed());
    out.write_all(&level.to_le_bytes())?;
    out.write_all(&entry.map_or(u32::MAX, |slot| plan.numbers[slot as usize]).to_le_bytes())?;
    for number in [upper as u64, base as u64, graph.m() as u64] {
        out.write_all(&number.to_le_bytes())?;
    }
    out.write_all(&(1.0 / (graph.m() as f64).ln()).to_le_bytes())?;
    let breadth = export.config.ef_construction.max(graph.m() as u32);
    out.write_all(&u64::from(breadth).to_le_bytes())?;

    let rows = if plan.gaps { Some(Mended::of(export, graph, plan, entry)) } else { None };
    let (mut links, mut vector) = (Vec::new(), Vec::new());
    for &slot in &plan.slots {
        match &rows {
            Some(rows) => rows.row(plan.numbers[slot as usize], &mut links),
            None => plan.row(graph, slot, 0, &mut links),
        }
        let deleted = export.states[slot as usize] != LIVE;
        write_row(&links, base, deleted, out)?;
        vector_of(export, slot, &mut vector);
        out.write_all(&vector)?;
        out.write_all(&export.store.key(slot).to_le_bytes())?;
    }
    for &slot in &plan.slots {
        let levels = graph.level(slot);
        out.write_all(&(levels * (4 + 4 * upper as u32)).to_le_bytes())?;
        for level in 1..=levels {
            plan.row(graph, slot, level, &mut links);
            write_row(&links, upper, false, out)?;
        }
    }
    Ok(())
}

impl Plan {
    /// The links of a row to slots that are written, as their numbers.
    fn row(&self, graph: &Graph, slot: u32, level: u32, links: &mut Vec<u32>) {
        links.clear();
        // While a row is pruned, a kept link may be missing from it for a moment.
        let _still = graph.still(slot);
        graph.neighbours(slot, level, links);
        links.retain(|&other| self.has(other));
        links.iter_mut().for_each(|link| *link = self.numbers[*link as usize]);
    }
}

fn write_row(links: &[u32], degree: usize, deleted: bool, out: &mut impl Write) -> io::Result<()> {
    let count = links.len().min(degree);
    out.write_all(&(count as u16).to_le_bytes())?;
    out.write_all(&[u8::from(deleted), 0])?;
    for at in 0..degree {
        out.write_all(&links.get(at).copied().unwrap_or(0).to_le_bytes())?;
    }
    Ok(())
}

fn vector_of(export: &Export<'_>, slot: u32, into: &mut Vec<u8>) {
    export.store.unpack(slot, into);
    if export.config.metric == Metric::Cosine {
        let components: Vec<f64> = into
            .chunks_exact(4)
            .map(|four| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]])))
            .collect();
        let norm = components.iter().map(|x| x * x).sum::<f64>().sqrt();
        into.clear();
        components.iter().for_each(|x| into.extend_from_slice(&((x / norm) as f32).to_le_bytes()));
    }
}

/// Rows at level 0 after slots were left out, by the numbers of the file.
struct Mended {
    degree: usize,
    /// `degree` places per row, the first `counts` of them links.
    links: Vec<u32>,
    counts: Vec<u16>,
}

impl Mended {
    fn of(export: &Export<'_>, graph: &Graph, plan: &Plan, entry: Option<u32>) -> Self {
        let (degree, count) = (graph.degree(0), plan.slots.len());
        let mut mended = Self { degree, links: vec![0; degree * count], counts: vec![0; count] };
        let field = Field { scoring: export.scoring, store: export.store, graph, codes: None };
        let (mut links, mut distances) = (Vec::new(), Vec::new());
        for (number, &slot) in plan.slots.iter().enumerate() {
            detour(graph, plan, slot, &mut links);
            if links.len() > degree {
                field.run(Distances { field, probe: field.probe_of(slot), links: &links, distances: &mut distances });
                let mut ranked: Vec<(f32, u32)> = distances.iter().copied().zip(links.iter().copied()).collect();
                ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                links.clear();
                links.extend(ranked[..degree].iter().map(|&(_, link)| link));
            }
            for (place, &link) in mended.links[number * degree..].iter_mut().zip(&links) {
                *place = plan.numbers[link as usize];
            }
            mended.counts[number] = links.len() as u16;
        }
        if let Some(entry) = entry {
            mended.reach_all(plan.numbers[entry as usize]);
        }
        mended
    }

    fn slice(&self, number: u32) -> &[u32] {
        &self.links[number as usize * self.degree..][..self.counts[number as usize].into()]
    }

    fn row(&self, number: u32, links: &mut Vec<u32>) {
        links.clear();
        links.extend_from_slice(self.slice(number));
    }

    /// Links whatever cannot be reached from the entry.
    fn reach_all(&mut self, entry: u32) {
        let mut reached = vec![false; self.counts.len()];
        let mut open = VecDeque::new();
        self.spread(entry, &mut reached, &mut open);
        for number in 0..self.counts.len() as u32 {
            if !reached[number as usize] {
                // Something near, if there is something near that can be reached.
                let from = self.slice(number).iter().copied().find(|&link| reached[link as usize]).unwrap_or(entry);
                self.put_behind(from, number);
                self.spread(number, &mut reached, &mut open);
            }
        }
    }

    fn spread(&self, from: u32, reached: &mut [bool], open: &mut VecDeque<u32>) {
        reached[from as usize] = true;
        open.push_back(from);
        while let Some(number) = open.pop_front() {
            for &link in self.slice(number) {
                if !std::mem::replace(&mut reached[link as usize], true) {
                    open.push_back(link);
                }
            }
        }
    }

    /// Links `from` to `to`. Where the row is full `to` takes the place of the last link and leads on to it.
    fn put_behind(&mut self, from: u32, to: u32) {
        let Some(displaced) = self.put_last(from, to) else { return };
        if displaced != to && !self.slice(to).contains(&displaced) {
            // What this displaces in turn could not be reached through `to` before either.
            self.put_last(to, displaced);
        }
    }

    /// Puts a link last in a row; says which it displaced.
    fn put_last(&mut self, row: u32, link: u32) -> Option<u32> {
        let (count, first) = (usize::from(self.counts[row as usize]), row as usize * self.degree);
        if count < self.degree {
            self.links[first + count] = link;
            self.counts[row as usize] += 1;
            return None;
        }
        Some(std::mem::replace(&mut self.links[first + count - 1], link))
    }
}

/// The slots that are written which a slot's row leads to, by itself or through slots that are left out.
fn detour(graph: &Graph, plan: &Plan, slot: u32, links: &mut Vec<u32>) {
    let (mut open, mut seen, mut row) = (vec![slot], vec![slot], Vec::new());
    let most = 8 * graph.degree(0);
    links.clear();
    for _ in 0..=DETOUR {
        for from in std::mem::take(&mut open) {
            row.clear();
            let _still = graph.still(from);
            graph.neighbours(from, 0, &mut row);
            for &other in &row {
                let other = other & !KEEP;
                if seen.contains(&other) || links.len() >= most {
                    continue;
                }
                seen.push(other);
                if plan.has(other) {
                    links.push(other);
                } else {
                    open.push(other);
                }
            }
        }
        // Enough, or nowhere to go on.
        if open.is_empty() || links.len() >= graph.degree(0) {
            break;
        }
    }
}
