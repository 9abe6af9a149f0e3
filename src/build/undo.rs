//! Taking a batch that was cancelled out of the graph again.
//!
//! While a batch is linked, its workers note the rows of older slots before they change them for the first time. Undoing puts these
//! rows back, so that the graph is what it was. Links that other threads' insertions made meanwhile stay, and slots that they hung
//! below a slot of the batch get another parent. Nobody else may link while this runs; searches go on.

use super::insert::{Journal, Linker, adopt_again};
use crate::graph::{Entry, Graph, KEEP, Locked};
use crate::search::walk::Field;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::ops::Range;

/// A row as it was before the batch.
#[derive(Debug)]
struct Before {
    owner: u32,
    level: u32,
    links: Vec<u32>,
}

/// The rows that a batch has changed, as they were.
#[derive(Debug)]
pub(crate) struct Undo {
    batch: Range<u32>,
    entry: Option<Entry>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// Owner and level of the rows below.
    rows: HashSet<(u32, u32)>,
    before: Vec<Before>,
}

impl Journal for &Undo {
    fn before(&mut self, owner: u32, level: u32, row: &Locked<'_>) {
        if self.batch.contains(&owner) {
            return;
        }
        let mut noted = self.noted.lock();
        if noted.rows.insert((owner, level)) {
            let mut links = Vec::new();
            row.links(level, &mut links);
            noted.before.push(Before { owner, level, links });
        }
    }
}

impl Undo {
    /// For the slots of a batch that is about to be linked.
    pub(crate) fn new(graph: &Graph, batch: Range<u32>) -> Self {
        Self { batch, entry: graph.entry(), noted: Mutex::default() }
    }

    /// Unlinks the batch.
    pub(crate) fn undo(self, field: Field<'_>, linker: &mut Linker) {
        let Field { graph, store, .. } = field;
        let batch = self.batch.clone();
        for Before { owner, level, links } in self.noted.into_inner().before {
            restore(graph, owner, level, links, &batch);
        }
        // Rows that only other threads have written since: they may name slots of the batch, too.
        let slots = store.slots();
        let others = || (0..slots).filter(|slot| !batch.contains(slot) && graph.is_linked(*slot));
        let mut links = Vec::new();
        for owner in others() {
            for level in 0..=graph.level(owner) {
                let row = graph.lock(owner);
                row.links(level, &mut links);
                let before = links.len();
                links.retain(|link| !batch.contains(&(link & !KEEP)));
                if links.len() < before {
                    row.set(level, &links);
                }
            }
        }
        let entry = graph.entry().filter(|entry| !batch.contains(&entry.slot)).or(self.entry);
        let entry = entry
            .or_else(|| others().map(|slot| Entry { slot, level: graph.level(slot) }).max_by_key(|entry| entry.level));
        graph.replace_entry(entry);
        if let Some(entry) = entry {
            reconnect(field, entry, slots, others(), linker);
        }
    }
}

/// Puts a row back, and keeps what others linked to it since.
fn restore(graph: &Graph, owner: u32, level: u32, mut links: Vec<u32>, batch: &Range<u32>) {
    let row = graph.lock(owner);
    let mut now = Vec::new();
    row.links(level, &mut now);
    now.retain(|link| !batch.contains(&(link & !KEEP)));
    for link in now {
        match links.iter_mut().find(|old| **old & !KEEP == link & !KEEP) {
            Some(old) => *old |= link,
            None => links.push(link),
        }
    }
    // Kept links first: they must stay if the row is over-full.
    links.sort_by_key(|link| link & KEEP == 0);
    links.truncate(graph.degree(level));
    row.set(level, &links);
}

/// Gives a new parent to every slot that lost its way to the entry through kept links.
fn reconnect(field: Field<'_>, entry: Entry, slots: u32, others: impl Iterator<Item = u32>, linker: &mut Linker) {
    let mut reached = vec![false; slots as usize];
    field.graph.spread(entry.slot, &mut reached);
    for slot in others {
        if !reached[slot as usize] {
            adopt_again(field, slot, entry, &reached, linker);
            field.graph.spread(slot, &mut reached);
        }
    }
}
