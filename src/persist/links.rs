//! The graph in a file: what is written of rows that others may be editing, and which links are believed when they are read.
//!
//! | section | rule |
//! |---|---|
//! | rows, upper rows | slots that are in the file and reach up to the row's level, then `NONE` to the end; zeros behind the degree |
//! | rows | the kept links form one tree of all slots in the file |
//! | first upper rows | the sum of the levels of all slots before |
//! | entry | a slot that is in the file, with its level; none only if no slot is |
//!
//! Links are checked on every open, unchecked ones too: a search follows them without looking.

use super::Image;
use super::header::Header;
use crate::graph::{Entry, Graph, KEEP, NONE, level_of, row_bytes};
use crate::index::config::Config;
use crate::store::{EMPTY, LIVE, REMOVED};
use crate::util::error::{Error, Result};
use crate::util::memory::Segments;
use crate::util::pool::{Pool, cores};
use crate::util::progress::Work;
use std::sync::atomic::Ordering;

/// Slots that a thread checks at a time.
const PIECE: usize = 4096;

/// The tree of kept links as it was at one instant: what a file says of them, whatever happens to the rows while it is written. A
/// cancelled batch may be taken out of the graph meanwhile, and its children hung elsewhere; a file that had some rows from before and
/// some from after would have no tree.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Per slot its parent, or `NONE`.
    parent: Vec<u32>,
    /// Per slot one of its children, and the next child of the same parent.
    child: Vec<u32>,
    sibling: Vec<u32>,
}

impl Tree {
    fn of_none(slots: usize) -> Result<Self> {
        let array = || -> Result<Vec<u32>> {
            let mut array = Vec::new();
            array.try_reserve_exact(slots).map_err(|_| Error::memory(slots * 4))?;
            array.resize(slots, NONE);
            Ok(array)
        };
        Ok(Self { parent: array()?, child: array()?, sibling: array()? })
    }

    fn add(&mut self, parent: u32, child: u32) {
        self.parent[child as usize] = parent;
        self.sibling[child as usize] = std::mem::replace(&mut self.child[parent as usize], child);
    }

    /// Whether there is an edge between two slots.
    fn joins(&self, a: u32, b: u32) -> bool {
        self.parent[a as usize] == b || self.parent[b as usize] == a
    }

    /// The slots at the other ends of a slot's edges.
    fn ends(&self, slot: u32) -> impl Iterator<Item = u32> + '_ {
        let there = |&slot: &u32| slot != NONE;
        let first = Some(self.child[slot as usize]).filter(there);
        let children = std::iter::successors(first, move |&child| Some(self.sibling[child as usize]).filter(there));
        Some(self.parent[slot as usize]).filter(there).into_iter().chain(children)
    }
}

/// Takes down the tree of kept links, and makes the snapshot of states fit it. A slot that is linked but was not published at the
/// instant of the snapshot is saved as removed, because others may be reachable only through it; a removed one that has left the tree
/// is saved as empty. What is saved is what kept links lead to from any published slot; every published slot is among it, as its
/// ancestors were linked before it and nobody unlinks meanwhile. (Whoever sees a link sees a whole vector behind it.)
pub(crate) fn keep_linked(graph: &Graph, states: &mut [u8]) -> Result<Tree> {
    let mut tree = Tree::of_none(states.len())?;
    let mut reached = vec![false; states.len()];
    if let Some(first) = first_of_tree(graph, states) {
        graph.spread_along(first, &mut reached, |parent, child| tree.add(parent, child));
    }
    for (state, reached) in states.iter_mut().zip(reached) {
        match (*state, reached) {
            (EMPTY, true) => *state = REMOVED,
            (REMOVED, false) => *state = EMPTY,
            _ => {}
        }
    }
    Ok(tree)
}

/// A slot of the tree that was there at the instant of the snapshot.
fn first_of_tree(graph: &Graph, states: &[u8]) -> Option<u32> {
    let live = states.iter().position(|&state| state == LIVE).map(|slot| slot as u32);
    let entry = graph.entry().map(|entry| entry.slot);
    let in_tree = |&slot: &u32| states[slot as usize] == REMOVED && (graph.is_linked(slot) || Some(slot) == entry);
    live.or_else(|| (0..states.len() as u32).find(in_tree))
}

/// A row as it is written: links to slots in the file, at level 0 the kept ones as they stand in the tree; then `NONE`, then zeros
/// behind the degree.
pub(super) fn encode_row(image: &Image<'_>, slot: Option<u32>, level: u32, links: &mut Vec<u32>, out: &mut Vec<u8>) {
    let Image { graph: Some(graph), tree: Some(tree), states, .. } = image else { return };
    let degree = graph.degree(level);
    links.clear();
    if let Some(slot) = slot {
        {
            let _still = graph.still(slot);
            let cells = graph.row(slot, level).iter().map(|cell| cell.load(Ordering::Acquire));
            links.extend(cells.take_while(|&link| link != NONE));
        }
        links.retain(|link| states.get((link & !KEEP) as usize).is_some_and(|&state| state != EMPTY));
        if level == 0 {
            mark_kept(tree, slot, degree, links);
        }
    }
    out.clear();
    links.iter().for_each(|link| out.extend_from_slice(&link.to_le_bytes()));
    out.resize(degree * 4, 0xff);
    out.resize(row_bytes(degree as u32), 0);
}

/// Leaves the mark of a kept link on the edges of the tree only, and adds those that the row has lost since.
fn mark_kept(tree: &Tree, slot: u32, degree: usize, links: &mut Vec<u32>) {
    links.iter_mut().filter(|link| !tree.joins(slot, **link & !KEEP)).for_each(|link| *link &= !KEEP);
    for end in tree.ends(slot) {
        if links.contains(&(end | KEEP)) {
            continue;
        }
        if let Some(plain) = links.iter_mut().find(|link| **link == end) {
            *plain |= KEEP;
            continue;
        }
        if links.len() == degree
            && let Some(plain) = links.iter().rposition(|link| link & KEEP == 0)
        {
            links.remove(plain);
        }
        links.push(end | KEEP);
    }
}

/// The entry point as it is written: that of the graph, or, where it came after the snapshot, the highest slot in the file.
pub(super) fn entry_of(graph: &Graph, states: &[u8]) -> Option<Entry> {
    let there = |slot: u32| states.get(slot as usize).is_some_and(|&state| state != EMPTY);
    graph.entry().filter(|entry| there(entry.slot)).or_else(|| {
        let slots = (0..states.len() as u32).filter(|&slot| there(slot));
        slots
            .map(|slot| Entry { slot, level: graph.level(slot) })
            .max_by_key(|entry| (entry.level, u32::MAX - entry.slot))
    })
}

/// Upper rows of so many slots.
pub(super) fn upper_rows(config: &Config, slots: u64) -> u64 {
    (0..slots as u32).map(|slot| u64::from(level_of(config.seed, config.m, slot))).sum()
}

/// The sections of a graph as they were read, not believed yet.
pub(super) struct Links<'a> {
    pub(super) header: &'a Header,
    pub(super) states: &'a Segments,
    pub(super) rows: &'a Segments,
    pub(super) first_upper: &'a Segments,
    pub(super) upper: &'a Segments,
    pub(super) upper_used: u64,
    pub(super) entry: Option<Entry>,
}

impl Links<'_> {
    /// Checks everything that a search follows.
    pub(super) fn check(&self, threads: usize, pool: &Pool) -> Result<()> {
        let slots = self.header.slots.all as u32;
        self.check_numbers(slots)?;
        self.check_entry(slots)?;
        let work = Work::new(slots as usize, PIECE);
        let check = || {
            while let Some(piece) = work.take() {
                for slot in piece {
                    if let Err(error) = self.check_slot(slot as u32) {
                        work.fail(slot, error);
                        break;
                    }
                }
            }
        };
        if pool.run(threads.min(cores()), |_| check(), check).is_err() {
            check();
        }
        work.into_result()?;
        self.check_kept(slots)
    }

    /// Kept links form one tree of all slots, each edge of it in both rows, and no slot has more of them than insertions make: they
    /// look for a leaf with room there, and would look for ever in a circle of full rows.
    fn check_kept(&self, slots: u32) -> Result<()> {
        let most = self.header.config.m as usize + 1;
        let mut reached = vec![false; slots as usize];
        let mut open: Vec<(u32, Option<u32>)> = self.entry.map(|entry| (entry.slot, None)).into_iter().collect();
        let (mut count, mut kept) = (0, Vec::new());
        while let Some((slot, parent)) = open.pop() {
            kept.clear();
            kept.extend(self.kept(slot));
            let back = kept.iter().filter(|&&to| Some(to) == parent).count();
            if std::mem::replace(&mut reached[slot as usize], true) || back != usize::from(parent.is_some()) {
                return Err(Error::corrupt(format!("section rows: the kept links of slot {slot} are not of a tree")));
            }
            if kept.len() > most {
                return Err(Error::corrupt(format!("section rows: slot {slot} has {} kept links", kept.len())));
            }
            count += 1;
            open.extend(kept.iter().filter(|&&to| Some(to) != parent).map(|&to| (to, Some(slot))));
        }
        let there = (0..slots).filter(|&slot| self.state(slot) != EMPTY).count();
        if count != there {
            return Err(Error::corrupt(format!("section rows: the kept links lead to {count} of {there} slots")));
        }
        Ok(())
    }

    /// Kept links of a slot at level 0.
    fn kept(&self, slot: u32) -> impl Iterator<Item = u32> + '_ {
        let row = self.row(slot, 0).iter().take_while(|&&link| link != NONE);
        row.filter(|&link| link & KEEP != 0).map(|link| link & !KEEP)
    }

    /// The cells of a row. `check_numbers` must have passed.
    fn row(&self, slot: u32, level: u32) -> &[u32] {
        let m = self.header.config.m as usize;
        &self.record(slot, level)[..if level == 0 { 2 * m } else { m }]
    }

    /// The cells of a row and what lies behind them.
    fn record(&self, slot: u32, level: u32) -> &[u32] {
        let (record, bytes) = match level {
            0 => (self.rows.address(slot), self.rows.stride()),
            _ => (self.upper.address(self.word(self.first_upper, slot) + level - 1), self.upper.stride()),
        };
        // SAFETY: the sections have a row per slot, and upper rows up to the sum of the levels, which `check_numbers` compared; they
        // lie on a 4-byte boundary; nobody writes them yet.
        unsafe { std::slice::from_raw_parts(record.cast::<u32>().cast_const(), bytes / 4) }
    }

    /// Levels follow from the seed, and the numbers of upper rows from the levels.
    fn check_numbers(&self, slots: u32) -> Result<()> {
        let config = &self.header.config;
        let mut next = 0;
        for slot in 0..slots {
            let stated = u64::from(self.word(self.first_upper, slot));
            if stated != next {
                return Err(Error::corrupt(format!(
                    "section first upper rows: slot {slot} has {stated}, it should be {next}"
                )));
            }
            next += u64::from(level_of(config.seed, config.m, slot));
            if next > self.upper_used {
                break;
            }
        }
        if next == self.upper_used {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "section upper rows has {} records, the levels of the slots need others",
            self.upper_used
        )))
    }

    fn check_entry(&self, slots: u32) -> Result<()> {
        let Some(entry) = self.entry else {
            return match (0..slots).find(|&slot| self.state(slot) != EMPTY) {
                Some(slot) => Err(Error::corrupt(format!("section entry names no slot, though slot {slot} is there"))),
                None => Ok(()),
            };
        };
        let Entry { slot, level } = entry;
        if slot < slots && self.state(slot) != EMPTY && level == self.level(slot) {
            return Ok(());
        }
        Err(Error::corrupt(format!("section entry names slot {slot} at level {level}, which is not there")))
    }

    fn check_slot(&self, slot: u32) -> Result<()> {
        for level in 0..=self.level(slot) {
            let what = if level == 0 { "rows" } else { "upper rows" };
            let links = self.row(slot, level);
            let end = links.iter().position(|&link| link == NONE).unwrap_or(links.len());
            let empty = self.state(slot) == EMPTY;
            let bad = links[..end].iter().find(|&&link| empty || !self.leads(link & !KEEP, level));
            if let Some(&link) = bad {
                let to = link & !KEEP;
                return Err(Error::corrupt(format!(
                    "section {what}: slot {slot} at level {level} links to {to}, which is not there"
                )));
            }
            let behind = &self.record(slot, level)[links.len()..];
            if links[end..].iter().any(|&link| link != NONE) || behind.iter().any(|&word| word != 0) {
                return Err(Error::corrupt(format!(
                    "section {what}: slot {slot} at level {level} goes on behind its end"
                )));
            }
        }
        Ok(())
    }

    /// Whether there is such a slot on that level.
    fn leads(&self, to: u32, level: u32) -> bool {
        u64::from(to) < self.header.slots.all && self.state(to) != EMPTY && (level == 0 || self.level(to) >= level)
    }

    fn level(&self, slot: u32) -> u32 {
        level_of(self.header.config.seed, self.header.config.m, slot)
    }

    fn state(&self, slot: u32) -> u8 {
        // SAFETY: the section has a byte per slot, and nobody writes it yet.
        let state = unsafe { self.states.address(slot).read() };
        debug_assert!([EMPTY, LIVE, REMOVED].contains(&state));
        state
    }

    fn word(&self, array: &Segments, record: u32) -> u32 {
        // SAFETY: the array has four bytes per slot on a 4-byte boundary, and nobody writes them yet.
        u32::from_le(unsafe { array.address(record).cast::<u32>().read() })
    }
}
