//! Taking a batch that was cancelled out of the graph again.
//!
//! While a batch is linked, its workers note the rows of older slots before they change them for the first time. Undoing puts these
//! rows back, so that the graph is what it was. Links that other threads' insertions made meanwhile stay, and slots that they hung
//! below a slot of the batch get another parent. Nobody else may link while this runs; searches go on.
//!
//! Several batches may be under way, and more than one of them cancelled. So what a batch noted may name slots of another that is
//! gone by now: only slots that are linked still are put back. Kept links are never pruned; so those of a row as it is now are all
//! there are, and a noted row adds none. The slots of an undone batch lose their kept links, by which others see that they are gone;
//! their plain links stay for searches that are among them.

use super::insert::{Journal, Linker, adopt_again};
use crate::graph::{Entry, Graph, KEEP, Locked};
use crate::search::walk::Field;
use crate::store::{REMOVED, Run};
use crate::util::error::{Error, Result};
use crate::util::memory::make_room;
use parking_lot::Mutex;
use std::collections::HashSet;

/// A row as it was before the batch.
#[derive(Debug)]
struct Before {
    owner: u32,
    level: u32,
    /// Where its links end among all.
    end: usize,
}

/// The rows that a batch has changed, as they were.
#[derive(Debug)]
pub(crate) struct Undo {
    batch: Run,
    entry: Option<Entry>,
    noted: Mutex<Noted>,
    /// For undoing, which must not fail: room for a mark for each slot, twice.
    marks: [Vec<bool>; 2],
}

#[derive(Debug, Default)]
struct Noted {
    /// Owner and level of the rows below.
    rows: HashSet<(u32, u32)>,
    before: Vec<Before>,
    /// Their links, one row after the other.
    links: Vec<u32>,
    /// Slots that are being linked, and may each add as many rows as they get neighbours.
    coming: usize,
}

impl Journal for &Undo {
    const HEARS: bool = true;

    fn before(&mut self, owner: u32, level: u32, row: &Locked<'_>) {
        if self.batch.contains(owner) {
            return;
        }
        let mut noted = self.noted.lock();
        if noted.rows.insert((owner, level)) {
            let Noted { before, links, .. } = &mut *noted;
            row.more_links(level, links);
            before.push(Before { owner, level, end: links.len() });
        }
    }
}

/// Levels that are counted on: of m to that power slots one stands higher, and it changes few rows there.
const LEVELS: usize = 4;

impl Undo {
    /// For the slots of a batch that is about to be linked.
    pub(crate) fn new(graph: &Graph, batch: Run, slots: u32) -> Result<Self> {
        let mut marks = [const { Vec::new() }; 2];
        // Others insert meanwhile.
        let room = slots as usize + slots as usize / 8;
        marks.iter_mut().try_for_each(|marks| make_room(marks, room))?;
        Ok(Self { batch, entry: graph.entry(), noted: Mutex::default(), marks })
    }

    /// Makes room for what linking so many slots may change.
    pub(crate) fn expect(&self, graph: &Graph, slots: usize) -> Result<()> {
        let noted = &mut *self.noted.lock();
        let coming = noted.coming + slots;
        // Its neighbours' rows at each level; above level 0 they are half as many, of half as many links, and few slots are there.
        let rows = coming * (graph.m() + 2) + LEVELS * graph.degree(0);
        noted.rows.try_reserve(rows).map_err(|_| Error::memory(rows * size_of::<(u32, u32)>()))?;
        noted.before.try_reserve(rows).map_err(|_| Error::memory(rows * size_of::<Before>()))?;
        noted.links.try_reserve(rows * graph.degree(0)).map_err(|_| Error::memory(rows * graph.degree(0) * 4))?;
        noted.coming = coming;
        Ok(())
    }

    /// So many slots that were expected are linked.
    pub(crate) fn expected(&self, slots: usize) {
        self.noted.lock().coming -= slots;
    }

    /// Unlinks the batch.
    pub(crate) fn undo(self, field: Field<'_>, linker: &mut Linker) {
        let Field { graph, store, .. } = field;
        let (batch, entry) = (self.batch.clone(), graph.entry());
        // Before anything changes: who hangs on the batch alone will not look linked in between.
        let [mut rest, reached] = self.marks;
        rest.resize(store.slots() as usize, false);
        for (slot, rest) in (0..).zip(&mut rest) {
            let is_entry = entry.is_some_and(|entry| entry.slot == slot);
            *rest = !batch.contains(slot) && (is_entry || graph.is_linked(slot));
        }
        let Noted { before, links, .. } = self.noted.into_inner();
        let mut start = 0;
        for Before { owner, level, end } in before {
            if rest[owner as usize] {
                restore(graph, owner, level, links[start..end].to_vec(), &rest);
            }
            start = end;
        }
        // Rows that only other threads have written since: they may name slots of the batch, too. What is leaving is put up with until
        // something else is put in its place.
        for owner in others(&rest) {
            let stays = |link: u32| rest[slot_of(link)] || link & KEEP == 0 && graph.is_leaving(link);
            (0..=graph.level(owner)).for_each(|level| drop_links(graph, owner, level, stays));
        }
        // So walks still come to slots that are leaving, and must not come from there to the batch.
        for owner in (0..store.slots()).filter(|&slot| store.state(slot) == REMOVED && graph.is_leaving(slot)) {
            let stays = |link: u32| !batch.contains(link & !KEEP);
            (0..=graph.level(owner)).for_each(|level| drop_links(graph, owner, level, stays));
        }
        let entry = entry.filter(|entry| !batch.contains(entry.slot)).or_else(|| {
            let height = |&slot: &u32| (graph.level(slot), self.entry.is_some_and(|entry| entry.slot == slot));
            others(&rest).max_by_key(height).map(|slot| Entry { slot, level: graph.level(slot) })
        });
        graph.replace_entry(entry);
        if let Some(entry) = entry {
            reconnect(field, entry, &rest, reached, linker);
        }
        for slot in batch.iter().filter(|&slot| graph.is_linked(slot)) {
            let row = graph.lock(slot);
            let mut links = Vec::new();
            row.links(0, &mut links);
            links.iter_mut().for_each(|link| *link &= !KEEP);
            row.set(0, &links);
        }
    }
}

fn slot_of(link: u32) -> usize {
    (link & !KEEP) as usize
}

/// The slots that stay.
fn others(rest: &[bool]) -> impl Iterator<Item = u32> + '_ {
    (0..).zip(rest).filter(|(_, rest)| **rest).map(|(slot, _)| slot)
}

/// Takes the links out of a row that do not stay.
fn drop_links(graph: &Graph, owner: u32, level: u32, stays: impl Fn(u32) -> bool) {
    let row = graph.lock(owner);
    let mut links = Vec::new();
    row.links(level, &mut links);
    let before = links.len();
    links.retain(|&link| stays(link));
    if links.len() < before {
        row.set(level, &links);
    }
}

/// Puts a row back, and keeps what others linked to it since.
fn restore(graph: &Graph, owner: u32, level: u32, mut links: Vec<u32>, rest: &[bool]) {
    let row = graph.lock(owner);
    links.retain(|&link| rest[slot_of(link)]);
    links.iter_mut().for_each(|link| *link &= !KEEP);
    let mut now = Vec::new();
    row.links(level, &mut now);
    now.retain(|&link| rest[slot_of(link)]);
    for link in now {
        match links.iter_mut().find(|old| **old == link & !KEEP) {
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
fn reconnect(field: Field<'_>, entry: Entry, rest: &[bool], mut reached: Vec<bool>, linker: &mut Linker) {
    reached.resize(rest.len(), false);
    field.graph.spread(entry.slot, &mut reached);
    for slot in others(rest) {
        if !reached[slot as usize] {
            adopt_again(field, with_room(field.graph, slot), entry, &reached, linker);
            field.graph.spread(slot, &mut reached);
        }
    }
}

/// A slot of the same tree that can take another kept link: going on without turning back ends at a leaf.
fn with_room(graph: &Graph, from: u32) -> u32 {
    let (mut before, mut at, mut links) = (from, from, Vec::new());
    loop {
        graph.lock(at).links(0, &mut links);
        links.retain(|link| link & KEEP != 0);
        if links.len() <= graph.m() {
            return at;
        }
        let on = links.iter().map(|link| link & !KEEP).find(|&slot| slot != before).unwrap_or(at);
        (before, at) = (at, on);
    }
}
