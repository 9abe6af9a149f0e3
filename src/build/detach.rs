//! How does a slot leave the tree of kept links?
//!
//! Without it the tree is in pieces, one for each of its neighbours there. All pieces but one are small as a rule: most slots of a tree have
//! little below them. So the pieces are gone through side by side until one is left, or it takes too long; then each of the others gets
//! a new parent as an inserted slot does: the nearest that has room and is not of the piece itself, among the neighbours or, if that fails or
//! rows are narrow, so that kept links are most of what they hold, among what a walk finds. Where that fails, the pieces are joined to each other.
//!
//! Insertions go on meanwhile, and each hangs a new slot somewhere. They count themselves before they do (`Graph::adoptions`), so whoever
//! knows a piece, holds both rows, and finds the count as it was before, knows that the piece has not grown.
//!
//! One thread does this at a time. It may hold two rows at once: whoever else holds one and waits for another is linking a new slot, and
//! waits for that slot's own row, which nobody can reach yet.

use super::insert::{Linker, candidates, connect};
use super::mend::Mender;
use crate::graph::{Entry, Graph, KEEP, Locked};
use crate::search::walk::{Distances, Field};
use crate::store::LIVE;
use std::collections::HashSet;

/// Slots of all pieces together that are gone through at most.
const SLOTS: usize = 256;
/// Parents that are tried, and how often because of insertions.
const PARENTS: usize = 64;
const TRIES: usize = 3;
/// Rows of so many links at most are narrow.
const NARROW: usize = 8;

/// Whether a slot is out of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detached {
    Yes,
    /// It is the last one of the graph, where insertions that are under way begin.
    Last,
}

/// Takes a linked slot out of the tree of kept links, and lets nothing be linked to it any more.
pub(crate) fn detach(field: Field<'_>, slot: u32, ef: usize, mender: &mut Mender) -> Detached {
    let graph = field.graph;
    if let Some(entry) = graph.entry().filter(|entry| entry.slot == slot) {
        let Some(next) = heir(field, slot) else { return Detached::Last };
        graph.hand_over(entry, Some(next));
        if next.level < entry.level {
            // One that is higher may have been linked beside the search for the highest.
            heir(field, slot).into_iter().for_each(|entry| graph.promote(entry));
        }
    }
    let (mut plain, mut kept) = (Vec::new(), Vec::new());
    {
        let row = graph.lock(slot);
        row.leave();
        row.links(0, &mut plain);
        kept.extend(plain.iter().filter(|&link| link & KEEP != 0).map(|link| link & !KEEP));
        // Plain links stay, for walks that are here.
        plain.iter_mut().for_each(|link| *link &= !KEEP);
        row.set(0, &plain);
    }
    for &other in &kept {
        let row = graph.lock(other);
        row.links(0, &mut mender.links);
        mender.links.retain(|link| link & !KEEP != slot);
        row.set(0, &mender.links);
    }
    if kept.len() > 1 {
        reunite(field, &kept, (&plain, ef), mender);
    }
    Detached::Yes
}

/// Takes the last slot out of the graph, which is empty then. Nobody else may link meanwhile. `false` if it is not the last any more.
pub(crate) fn detach_last(field: Field<'_>, slot: u32) -> bool {
    let graph = field.graph;
    let Some(entry) = graph.entry().filter(|entry| entry.slot == slot) else { return false };
    if graph.is_linked(slot) || !graph.hand_over(entry, None) {
        return false;
    }
    graph.lock(slot).leave();
    true
}

/// The highest slot but this one, to be the entry in its place.
fn heir(field: Field<'_>, slot: u32) -> Option<Entry> {
    let graph = field.graph;
    let stays = |other: u32| other != slot && !graph.is_leaving(other) && graph.is_linked(other);
    let level = graph.level(slot);
    let mut near = Vec::new();
    graph.neighbours(slot, level, &mut near);
    let equal = near.into_iter().find(|&other| graph.level(other) == level && stays(other));
    let highest = || {
        let mut best: Option<Entry> = None;
        for other in 0..field.store.slots() {
            let level = graph.level(other);
            if best.is_none_or(|best| level > best.level) && stays(other) {
                best = Some(Entry { slot: other, level });
            }
        }
        best
    };
    equal.map(|slot| Entry { slot, level }).or_else(highest)
}

/// A piece of the tree.
struct Piece {
    /// The slot that lost its neighbour.
    root: u32,
    /// What was found of it so far.
    known: HashSet<u32>,
    open: Vec<u32>,
    /// Adoptions before it was gone through.
    adoptions: u64,
}

impl Piece {
    fn of(graph: &Graph, root: u32) -> Self {
        Self { root, known: HashSet::from([root]), open: vec![root], adoptions: graph.adoptions() }
    }

    /// Whether a slot is outside, and stays.
    fn may_hang_on(&self, field: Field<'_>, slot: u32) -> bool {
        !self.known.contains(&slot) && !field.graph.is_leaving(slot) && field.store.state(slot) == LIVE
    }

    fn is_known(&self) -> bool {
        self.open.is_empty()
    }

    /// Goes one slot further.
    fn step(&mut self, graph: &Graph, links: &mut Vec<u32>) {
        let Some(at) = self.open.pop() else { return };
        graph.lock(at).links(0, links);
        let kept = links.iter().filter(|&link| link & KEEP != 0).map(|link| link & !KEEP);
        let Self { known, open, .. } = self;
        open.extend(kept.filter(|&slot| known.insert(slot)));
    }
}

/// Makes one tree of the pieces that these roots are in. `near` are slots near all of them; walks look for `ef` candidates.
fn reunite(field: Field<'_>, roots: &[u32], (near, ef): (&[u32], usize), mender: &mut Mender) {
    let graph = field.graph;
    let mut pieces: Vec<Piece> = roots.iter().map(|&root| Piece::of(graph, root)).collect();
    for _ in 0..SLOTS / roots.len() {
        let mut unknown = pieces.iter_mut().filter(|piece| !piece.is_known());
        let (Some(first), Some(second)) = (unknown.next(), unknown.next()) else { break };
        for piece in [first, second].into_iter().chain(unknown) {
            piece.step(graph, &mut mender.links);
        }
    }
    // Those that are large become one. If all are known it is the largest.
    pieces.sort_by_key(|piece| (piece.is_known(), std::cmp::Reverse(piece.known.len())));
    let large = pieces.iter().filter(|piece| !piece.is_known()).count().max(1);
    for i in 1..large {
        join(field, pieces[0].root, pieces[i].root, &mut mender.linker);
    }
    let mut rest: Vec<Piece> = pieces.drain(large..).collect();
    let main = pieces[0].root;
    while let Some(mut piece) = rest.pop() {
        let parent = (0..TRIES).find_map(|_| {
            let wide = graph.degree(0) > NARROW;
            if wide {
                rank(field, &piece, near, mender);
            }
            let mut parent = if wide { adopt(field, &piece, mender) } else { Adopted::No };
            if parent == Adopted::No {
                rank_by_walk(field, &piece, ef, mender);
                parent = adopt(field, &piece, mender);
            }
            if parent == Adopted::Disturbed {
                piece = Piece::of(graph, piece.root);
                while !piece.is_known() && piece.known.len() < SLOTS {
                    piece.step(graph, &mut mender.links);
                }
                return (!piece.is_known()).then_some(Adopted::No);
            }
            Some(parent)
        });
        match parent {
            Some(Adopted::By(parent)) => {
                // Where it hangs on another piece, that one still has to find its place, with all of this one.
                if let Some(other) = rest.iter_mut().find(|other| other.known.contains(&parent)) {
                    other.known.extend(piece.known);
                    other.adoptions = other.adoptions.min(piece.adoptions);
                }
            }
            _ => join(field, main, piece.root, &mut mender.linker),
        }
    }
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adopted {
    By(u32),
    /// Nobody near has room.
    No,
    /// Slots were inserted meanwhile, perhaps into the piece.
    Disturbed,
}

/// Leaves in `mender.ranked` what is near the root of a piece and not of the piece, nearest first.
fn rank(field: Field<'_>, piece: &Piece, near: &[u32], mender: &mut Mender) {
    let Mender { links, distances, ranked, .. } = mender;
    let (graph, root) = (field.graph, piece.root);
    links.clear();
    graph.neighbours(root, 0, links);
    links.extend_from_slice(near);
    links.retain(|&other| piece.may_hang_on(field, other));
    links.sort_unstable();
    links.dedup();
    field.run(Distances { field, probe: field.probe_of(root), links, distances });
    ranked.clear();
    ranked.extend(distances.iter().copied().zip(links.iter().copied()));
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
}

/// As `rank`, from a walk.
fn rank_by_walk(field: Field<'_>, piece: &Piece, ef: usize, mender: &mut Mender) {
    let Mender { ranked, linker, .. } = mender;
    ranked.clear();
    candidates(field, piece.root, ef, linker, ranked);
    ranked.retain(|&(_, other)| piece.may_hang_on(field, other));
}

/// Gives the root of a piece one of the parents in `mender.ranked`, if nothing was adopted since the piece was gone through.
fn adopt(field: Field<'_>, piece: &Piece, mender: &mut Mender) -> Adopted {
    let Mender { ranked, linker, .. } = mender;
    let (graph, root) = (field.graph, piece.root);
    for &(_, parent) in ranked.iter().take(PARENTS) {
        let (own, row) = (graph.lock(root), graph.lock(parent));
        if graph.adoptions() != piece.adoptions {
            return Adopted::Disturbed;
        }
        if !has_room(graph, &own) {
            return Adopted::No;
        }
        if has_room(graph, &row) {
            connect(field, &own, root, parent | KEEP, 0, linker);
            connect(field, &row, parent, root | KEEP, 0, linker);
            return Adopted::By(parent);
        }
    }
    Adopted::No
}

fn has_room(graph: &Graph, row: &Locked<'_>) -> bool {
    row.kept(0) <= graph.m()
}

/// Joins two trees by kept links between a slot of each: these ones, if they have room.
fn join(field: Field<'_>, one: u32, other: u32, linker: &mut Linker) {
    let graph = field.graph;
    loop {
        let (a, b) = (near_with_room(graph, one), near_with_room(graph, other));
        let (first, second) = (graph.lock(a), graph.lock(b));
        // An insertion may have been faster.
        if has_room(graph, &first) && has_room(graph, &second) {
            connect(field, &first, a, b | KEEP, 0, linker);
            connect(field, &second, b, a | KEEP, 0, linker);
            return;
        }
    }
}

/// The slot of a tree that can take another kept link and is the fewest steps away.
fn near_with_room(graph: &Graph, from: u32) -> u32 {
    let (mut queue, mut next, mut links) = (vec![from], 0, Vec::new());
    loop {
        let at = queue[next];
        graph.lock(at).links(0, &mut links);
        links.retain(|link| link & KEEP != 0);
        if links.len() <= graph.m() {
            return at;
        }
        next += 1;
        let new = |on: &u32| !queue[..next].contains(on);
        let on: Vec<u32> = links.iter().map(|link| link & !KEEP).filter(new).collect();
        queue.extend(on);
    }
}
