//! Linking one slot into the graph, beside any number of threads that do the same and others that search.
//!
//! The slot's vector is written and its rows are prepared before; nobody can reach it yet. First a walk on each of its levels finds
//! candidates and picks diverse neighbours. Then the levels are linked from 0 upwards, so that whoever meets the slot on a level
//! finds it linked on all levels below: its own rows are written while nobody can reach it, then each neighbour's row gets the link back under
//! that row's lock, pruned on its current content if it is full. Nobody waits for a row that is being edited: the link is left to whoever edits it
//! (`graph::wishes`). Last, the slot may become the entry point.
//!
//! At level 0 the slot gets a parent before anything else, by two links that are never pruned (see `graph`): usually its nearest
//! neighbour. Every slot that can be met has a parent or is the root, so the kept links form one tree. Slots that are leaving are linked to
//! no more (`graph`), and neither are, where there are others, those whose vector was removed.

use crate::distance::{Metric, run_on};
use crate::graph::{Entry, Graph, KEEP, Locked, NONE};
use crate::quant::{Estimator, Workspace};
use crate::search::walk::{ByCodes, Descend, Distances, Diverse, Everything, Field, Probe, Trail, Walk};
use crate::store::REMOVED;
use crate::util::error::Result;
use crate::util::memory::make_room;

/// Slots that are asked to be a parent before something must be wrong with the tree.
const HOPELESS: usize = 10_000;

/// Candidates whose distances differ by more than this factor are a crowd.
const CROWDED: f32 = 16.0;

/// Buffers of an insertion.
#[derive(Default)]
pub(crate) struct Linker {
    pub(crate) trail: Trail,
    /// For codes.
    pub(crate) work: Workspace,
    /// Per level of the slot: the neighbours chosen.
    chosen: Vec<Vec<u32>>,
    /// Candidates of one level: distance and link, nearest first.
    candidates: Vec<(f32, u32)>,
    links: Vec<u32>,
    distances: Vec<f32>,
    ranked: Vec<(f32, u32)>,
    pruned: Vec<u32>,
}

impl Linker {
    /// Makes room for linking slots of a graph that has so many, so that it needs no memory that grows with either.
    pub(crate) fn make_room(&mut self, graph: &Graph, slots: usize, ef: usize) -> Result<()> {
        let most = ef.max(4 * graph.m()) + graph.degree(0) + 1;
        self.trail.make_room(slots, most)?;
        make_room(&mut self.candidates, most)?;
        make_room(&mut self.ranked, most)?;
        make_room(&mut self.links, most)?;
        make_room(&mut self.distances, most)?;
        make_room(&mut self.pruned, most)
    }

    pub(crate) fn bytes(&self) -> usize {
        let links: usize = self.chosen.iter().map(Vec::capacity).sum();
        size_of::<Self>()
            + self.trail.bytes()
            + self.work.bytes()
            + self.chosen.capacity() * size_of::<Vec<u32>>()
            + 4 * (links + self.links.capacity() + self.distances.capacity() + self.pruned.capacity())
            + 8 * (self.candidates.capacity() + self.ranked.capacity())
    }
}

/// Hears of rows before they change.
pub(crate) trait Journal {
    /// Whether it hears anything. Then rows change while they are held by whoever it listens to only.
    const HEARS: bool;
    /// The locked row of `owner` is about to be changed.
    fn before(&mut self, owner: u32, level: u32, row: &Locked<'_>);
}

/// Nobody hears.
pub(crate) struct NoJournal;

impl Journal for NoJournal {
    const HEARS: bool = false;
    fn before(&mut self, _owner: u32, _level: u32, _row: &Locked<'_>) {}
}

/// Links a prepared slot. Cannot fail.
pub(crate) fn link(field: Field<'_>, slot: u32, ef: usize, linker: &mut Linker, journal: &mut impl Journal) {
    let graph = field.graph;
    let level = graph.level(slot);
    let Some(entry) = graph.entry() else {
        if !graph.found(Entry { slot, level }) {
            // Another thread's slot came first. The graph has an entry now, and does not lose it while anybody links.
            link(field, slot, ef, linker, journal);
        }
        return;
    };
    let top = level.min(entry.level);
    choose(field, slot, entry, ef, linker);
    {
        let own = graph.lock(slot);
        for at in 0..=top {
            // One place is the parent's.
            let room = graph.degree(at) - usize::from(at == 0);
            for &other in linker.chosen[at as usize].iter().take(room) {
                own.append(at, other);
            }
        }
    }
    let parent = adopt(field, slot, entry, linker, journal);
    linker.chosen[0].retain(|&other| other != parent);
    for at in 0..=top {
        let chosen = std::mem::take(&mut linker.chosen[at as usize]);
        chosen.iter().for_each(|&other| link_back(field, (other, slot, at), linker, journal));
        linker.chosen[at as usize] = chosen;
    }
    graph.promote(Entry { slot, level });
}

/// Links a slot to another on a level, or leaves it to whoever edits its row.
fn link_back<J: Journal>(field: Field<'_>, (from, to, at): (u32, u32, u32), linker: &mut Linker, journal: &mut J) {
    let row = if J::HEARS { Some(field.graph.lock(from)) } else { field.graph.lock_or_leave(from, at, to) };
    let Some(row) = row else { return };
    journal.before(from, at, &row);
    connect(field, &row, from, to, at, linker);
    let_go(field, row, from, linker, journal);
}

/// Ends an edit, with the links that others left to it.
fn let_go<J: Journal>(field: Field<'_>, row: Locked<'_>, owner: u32, linker: &mut Linker, journal: &mut J) {
    row.finish(|row, level, link| {
        journal.before(owner, level, row);
        connect(field, row, owner, link, level, linker);
    });
}

/// Appends what a walk finds near a slot at level 0: distance and slot, nearest first.
pub(crate) fn candidates(field: Field<'_>, slot: u32, ef: usize, linker: &mut Linker, found: &mut Vec<(f32, u32)>) {
    if let Some(entry) = field.graph.entry() {
        choose(field, slot, entry, ef, linker);
        found.extend_from_slice(&linker.candidates);
    }
}

/// Gives a linked slot further neighbours on one of its levels, as if it was inserted now.
pub(crate) fn relink(field: Field<'_>, slot: u32, level: u32, ef: usize, linker: &mut Linker) {
    let graph = field.graph;
    let Some(entry) = graph.entry().filter(|entry| entry.level >= level) else { return };
    choose(field, slot, entry, ef, linker);
    let chosen = std::mem::take(&mut linker.chosen[level as usize]);
    for &other in &chosen {
        if graph.lock(slot).append(level, other) {
            connect(field, &graph.lock(other), other, slot, level, linker);
        }
    }
    linker.chosen[level as usize] = chosen;
}

/// Walks down from the entry and picks neighbours on every level that the slot shares with the graph. Leaves the candidates of
/// level 0 in `linker.candidates`.
fn choose(field: Field<'_>, slot: u32, entry: Entry, ef: usize, linker: &mut Linker) {
    let Linker { trail, chosen, candidates, work, links, distances, .. } = linker;
    let probe = field.probe_of(slot);
    let top = field.graph.level(slot).min(entry.level);
    if chosen.len() <= top as usize {
        chosen.resize_with(top as usize + 1, Vec::new);
    }
    let estimator = field.codes.and_then(|codes| {
        let query =
            codes.codec.prepare(field.scoring.element, field.store.vector_slice(slot), field.store.scale(slot), work);
        query.map(|query| codes.estimator(query))
    });
    let mut start =
        descend(field, Descend { field, probe, start: (entry.slot, entry.level), level: top, trail }, estimator);
    for at in (0..=top).rev() {
        let walk = Walk { field, probe, start, level: at, ef, spare: 0, admission: Everything, trail };
        match estimator {
            Some(estimator) => run_on(field.scoring.level, ByCodes(walk, estimator)),
            None => field.run(walk),
        };
        candidates.clear();
        candidates.extend(trail.frontier.candidates());
        start = candidates[0];
        // A slot that is linked already meets itself.
        candidates.retain(|&(_, other)| other != slot);
        stay(field, candidates);
        if estimator.is_some() {
            links.clear();
            links.extend(candidates.iter().map(|candidate| candidate.1));
            field.run(Distances { field, probe, links, distances });
            candidates.iter_mut().zip(&*distances).for_each(|(candidate, &distance)| candidate.0 = distance);
            candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        field.run(Diverse { field, candidates, most: field.graph.m(), taken: &mut chosen[at as usize] });
    }
    if entry.level > 0 && crowded(field, candidates) {
        reach_out(field, probe, entry, linker);
    }
}

/// Leaves those candidates that are worth a link: not what goes away soon, unless there is nothing else. What is leaving already is linked
/// to by nobody who begins now: its place is used again when all have left that began before.
fn stay(field: Field<'_>, candidates: &mut Vec<(f32, u32)>) {
    if field.store.removed() == 0 {
        return;
    }
    let stays = |&(_, slot): &(f32, u32)| field.store.state(slot) != REMOVED;
    if candidates.iter().any(stays) {
        candidates.retain(stays);
    } else {
        candidates.retain(|&(_, slot)| !field.graph.is_leaving(slot));
    }
}

fn descend(field: Field<'_>, job: Descend<'_>, estimator: Option<Estimator<'_>>) -> (f32, u32) {
    match estimator {
        Some(estimator) => run_on(field.scoring.level, ByCodes(job, estimator)),
        None => field.run(job),
    }
}

/// Whether the candidates are a few tight clusters: the m-th lies far nearer than the last. (Between 1.5 and 4 times is usual for
/// squared distances.) When clusters are inserted one after the other, all candidates of a slot may come from two or three of them, so
/// that the graph gets no other links than these.
fn crowded(field: Field<'_>, candidates: &[(f32, u32)]) -> bool {
    // Inner product is no measure of being apart, and of a caller's distance nobody knows.
    !matches!(field.scoring.metric, Metric::InnerProduct | Metric::Custom)
        && candidates.get(field.graph.m()).zip(candidates.last()).is_some_and(|(near, last)| near.0 * CROWDED < last.0)
}

/// Chooses further neighbours among the slots of level 1, which are spread over all clusters.
fn reach_out(field: Field<'_>, probe: Probe, entry: Entry, linker: &mut Linker) {
    let Linker { trail, chosen, candidates, ranked, pruned, .. } = linker;
    let m = field.graph.m();
    let edge = candidates.last().map_or(0.0, |last| last.0);
    let start = field.run(Descend { field, probe, start: (entry.slot, entry.level), level: 1, trail });
    field.run(Walk { field, probe, start, level: 1, ef: 4 * m, spare: 0, admission: Everything, trail });
    ranked.clear();
    ranked.extend(trail.frontier.candidates().filter(|candidate| candidate.0 > edge));
    field.run(Diverse { field, candidates: ranked, most: m, taken: pruned });
    chosen[0].append(pruned);
}

/// Links a slot to a parent for good: its nearest candidate that has room.
fn adopt(field: Field<'_>, slot: u32, entry: Entry, linker: &mut Linker, journal: &mut impl Journal) -> u32 {
    let mut parent = linker.candidates.first().map_or(entry.slot, |&(_, nearest)| nearest);
    let (mut tries, mut came_from) = (0, NONE);
    loop {
        let row = match (field.graph.lock_soon(parent), linker.candidates.get(tries + 1)) {
            (Some(row), _) => row,
            // Somebody edits it, who may be off its core: the next one does as well.
            (None, Some(&(_, next))) => {
                (tries, parent) = (tries + 1, next);
                continue;
            }
            (None, None) => field.graph.lock(parent),
        };
        if tries > HOPELESS {
            // Only links that no insertion makes, from a file made by hand, leave no room anywhere: let some go.
            row.release(0);
        }
        if row.kept(0) <= field.graph.m() && !row.is_leaving() {
            tie(field, &row, parent, slot, linker, journal);
            let_go(field, row, parent, linker, journal);
            return parent;
        }
        tries += 1;
        parent = match linker.candidates.get(tries) {
            Some(&(_, candidate)) => candidate,
            None => {
                let on = wander(&row, came_from, slot, &mut linker.links);
                came_from = parent;
                // A slot that has left the tree leads nowhere; the entry is in it.
                on.or_else(|| field.graph.entry().map(|entry| entry.slot)).unwrap_or(parent)
            }
        };
    }
}

/// Makes a slot that is linked to nothing for good the child of another, unless that has no room.
pub(crate) fn hang(field: Field<'_>, parent: u32, child: u32, linker: &mut Linker) -> bool {
    let row = field.graph.lock(parent);
    let has_room = row.kept(0) <= field.graph.m() && !row.is_leaving();
    if has_room {
        tie(field, &row, parent, child, linker, &mut NoJournal);
    }
    has_room
}

/// As `adopt`, for a slot with everything below it that lost its parent: only what is `reached` may be the new one.
pub(crate) fn adopt_again(field: Field<'_>, slot: u32, entry: Entry, reached: &[bool], linker: &mut Linker) {
    choose(field, slot, entry, field.graph.degree(0), linker);
    linker.candidates.retain(|&(_, other)| reached[other as usize]);
    adopt(field, slot, entry, linker, &mut NoJournal);
}

/// The two kept links between a locked parent with room and its new child. A slot takes at most `m` children, so that half of its
/// row stays free for better neighbours.
fn tie(field: Field<'_>, row: &Locked<'_>, parent: u32, child: u32, linker: &mut Linker, journal: &mut impl Journal) {
    field.graph.count_adoption();
    // Two locks at once, but nobody waits for the child's: it cannot be reached before the parent's row names it.
    let own = field.graph.lock(child);
    connect(field, &own, child, parent | KEEP, 0, linker);
    drop(own);
    journal.before(parent, 0, row);
    connect(field, row, parent, child | KEEP, 0, linker);
}

/// The next slot on a way through the tree, where every candidate is full (a crowd of duplicates). A way that never turns back ends
/// at a leaf, and leaves have room. Which one depends on `choice`, so that not all newcomers end at the same.
fn wander(row: &Locked<'_>, came_from: u32, choice: u32, links: &mut Vec<u32>) -> Option<u32> {
    row.links(0, links);
    links.retain(|link| link & KEEP != 0 && link & !KEEP != came_from);
    links.get(choice as usize % links.len().max(1)).map(|link| link & !KEEP)
}

/// Puts a link into a locked row, pruning the row if it is full.
pub(crate) fn connect(field: Field<'_>, row: &Locked<'_>, owner: u32, link: u32, level: u32, linker: &mut Linker) {
    if !row.append(level, link) {
        replace(field, row, owner, &[link], level, linker);
    }
}

/// As [`connect`], for many links at a time: the row is pruned once.
pub(crate) fn connect_all(
    field: Field<'_>,
    row: &Locked<'_>,
    owner: u32,
    all: &[u32],
    level: u32,
    linker: &mut Linker,
) {
    // Those that fit, or are there; what is left makes room for itself.
    let rest = all.iter().position(|&link| !row.append(level, link));
    let mut rest = rest.map_or(Vec::new(), |first| all[first..].to_vec());
    rest.retain(|&link| !row.has(level, link));
    if !rest.is_empty() {
        replace(field, row, owner, &rest, level, linker);
    }
}

/// Chooses a full row anew from what it holds and others.
fn replace(field: Field<'_>, row: &Locked<'_>, owner: u32, more: &[u32], level: u32, linker: &mut Linker) {
    let Linker { links, distances, ranked, pruned, .. } = linker;
    row.links(level, links);
    links.extend(more);
    links.retain(|&other| !field.graph.is_leaving(other & !KEEP));
    if links.len() <= field.graph.degree(level) {
        return row.set(level, links);
    }
    field.run(Distances { field, probe: field.probe_of(owner), links, distances });
    ranked.clear();
    ranked.extend(distances.iter().copied().zip(links.iter().copied()));
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1 & !KEEP).cmp(&(b.1 & !KEEP))));
    field.run(Diverse { field, candidates: ranked, most: field.graph.degree(level), taken: pruned });
    row.set(level, pruned);
}
