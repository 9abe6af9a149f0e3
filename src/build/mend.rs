//! How does the graph close over slots that leave it?
//!
//! A removed slot leaves in two steps. *Detaching* takes it out of what holds the graph together: nothing is linked to it any more, its
//! neighbours in the tree of kept links are joined to each other, and the entry goes elsewhere. What is left are plain links to it, in
//! rows that nobody knows. *Mending* finds them: it goes through the rows of all slots, once for all that have been detached before, takes
//! the links out and puts others in their place.
//!
//! What a row gets instead is what its lost neighbours lead to: the nearest of different directions, at most [`INSTEAD`] for each, linked both
//! ways. Where all of those are leaving, too, it is what they lead to, and so on. A row that is left with few links looks for others by
//! a walk, like that of a slot which is inserted; and a slot that few of its neighbours link back to makes some of them do so.
//!
//! One thread does this at a time, beside any number that insert and search. It may hold two rows at once: whoever holds one and waits
//! for another is linking a new slot and waits for that slot's own row, which nobody else can reach.

use super::insert::{Linker, connect, relink};
use crate::graph::{Entry, Graph, KEEP, Locked};
use crate::search::walk::{Distances, Diverse, Field};
use crate::store::LIVE;

/// Neighbours that a row gets at most for each that it loses.
const INSTEAD: usize = 2;
/// Candidates that are looked at for each of them.
const CHOICE: usize = 4;
/// Slots that leave are followed so many links deep.
const DEPTH: usize = 4;
/// Candidates that end the search for more.
const ENOUGH: usize = 48;

/// Buffers of a mend.
#[derive(Default)]
pub(crate) struct Mender {
    linker: Linker,
    links: Vec<u32>,
    found: Vec<u32>,
    open: Vec<u32>,
    seen: Vec<u32>,
    distances: Vec<f32>,
    ranked: Vec<(f32, u32)>,
    taken: Vec<u32>,
}

/// Whether a slot is out of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detached {
    Yes,
    /// It is the last one of the graph, where insertions that are under way begin.
    Last,
}

/// Takes a linked slot out of the tree of kept links, and lets nothing be linked to it any more.
pub(crate) fn detach(field: Field<'_>, slot: u32, mender: &mut Mender) -> Detached {
    let graph = field.graph;
    if let Some(entry) = graph.entry().filter(|entry| entry.slot == slot) {
        let Some(next) = heir(field, slot) else { return Detached::Last };
        graph.hand_over(entry, Some(next));
        if next.level < entry.level {
            // One that is higher may have been linked beside the search for the highest.
            heir(field, slot).into_iter().for_each(|entry| graph.promote(entry));
        }
    }
    let mut kept = Vec::new();
    {
        let row = graph.lock(slot);
        row.leave();
        row.links(0, &mut kept);
        // Plain links stay, for walks that are here.
        let plain: Vec<u32> = kept.iter().map(|link| link & !KEEP).collect();
        row.set(0, &plain);
    }
    kept.retain(|link| link & KEEP != 0);
    kept.iter_mut().for_each(|link| *link &= !KEEP);
    for &other in &kept {
        let row = graph.lock(other);
        row.links(0, &mut mender.links);
        mender.links.retain(|link| link & !KEEP != slot);
        row.set(0, &mender.links);
    }
    for pair in kept.windows(2) {
        join(field, pair[0], pair[1], &mut mender.linker);
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

/// Joins two trees by kept links between a slot of each: these ones, if they have room.
fn join(field: Field<'_>, one: u32, other: u32, linker: &mut Linker) {
    let graph = field.graph;
    loop {
        let (a, b) = (near_with_room(graph, one), near_with_room(graph, other));
        let (first, second) = (graph.lock(a), graph.lock(b));
        let has_room = |row: &Locked<'_>| row.kept(0) <= graph.m();
        // An insertion may have been faster.
        if has_room(&first) && has_room(&second) {
            connect(field, &first, a, b | KEEP, 0, linker);
            connect(field, &second, b, a | KEEP, 0, linker);
            return;
        }
    }
}

/// The slot of a tree that can take another kept link and is the fewest steps away: most slots of a tree have few kept links.
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

/// Mends the rows of a slot that is linked, on all its levels. Says how many rows were changed, others' among them.
pub(crate) fn mend(field: Field<'_>, slot: u32, ef: usize, mender: &mut Mender) -> usize {
    let graph = field.graph;
    if graph.is_leaving(slot) {
        return 0;
    }
    let mut changed = 0;
    for level in 0..=graph.level(slot) {
        mender.links.clear();
        graph.neighbours(slot, level, &mut mender.links);
        if !mender.links.iter().any(|&link| graph.is_leaving(link)) {
            continue;
        }
        changed += 1;
        choose_instead(field, slot, level, mender);
        let left = put_instead(field, slot, level, mender);
        for i in 0..mender.taken.len() {
            let other = mender.taken[i];
            connect(field, &graph.lock(other), other, slot, level, &mut mender.linker);
            changed += 1;
        }
        if field.store.state(slot) != LIVE {
            continue;
        }
        if left <= graph.degree(level) / 4 {
            relink(field, slot, level, ef, &mut mender.linker);
            changed += graph.m();
        }
        changed += rescue(field, slot, level, mender);
    }
    changed
}

/// Sees to it that a few of a slot's neighbours link back to it, the nearest first, whatever they must give up for it: else nothing but a kept
/// link may lead to the slot, and perhaps from far away. Says how many rows it changed.
fn rescue(field: Field<'_>, slot: u32, level: u32, mender: &mut Mender) -> usize {
    let Mender { links, found, distances, ranked, .. } = mender;
    let graph = field.graph;
    links.clear();
    graph.neighbours(slot, level, links);
    let mut back = 0;
    links.retain(|&other| {
        found.clear();
        graph.neighbours(other, level, found);
        let links_back = found.contains(&slot);
        back += usize::from(links_back);
        !links_back && field.store.state(other) == LIVE
    });
    let wanted = (graph.degree(level) / 8).max(1);
    if back >= wanted || links.is_empty() {
        return 0;
    }
    field.run(Distances { field, probe: field.probe_of(slot), links, distances });
    ranked.clear();
    ranked.extend(distances.iter().copied().zip(links.iter().copied()));
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut changed = 0;
    for &(_, other) in ranked.iter().take(wanted - back) {
        let row = graph.lock(other);
        changed += 1;
        if row.append(level, slot) {
            continue;
        }
        row.links(level, links);
        field.run(Distances { field, probe: field.probe_of(other), links, distances });
        let plain = (0..links.len()).filter(|&i| links[i] & KEEP == 0);
        if let Some(farthest) = plain.max_by(|&a, &b| distances[a].total_cmp(&distances[b])) {
            links[farthest] = slot;
            row.set(level, links);
        }
    }
    changed
}

/// Leaves in `taken` what a row of links, of which some are leaving, gets in their place.
fn choose_instead(field: Field<'_>, slot: u32, level: u32, mender: &mut Mender) {
    let Mender { links, found, open, seen, distances, ranked, taken, .. } = mender;
    let graph = field.graph;
    open.clear();
    open.extend(links.iter().copied().filter(|&link| graph.is_leaving(link)));
    let lost = open.len();
    links.retain(|&link| !graph.is_leaving(link));
    seen.clear();
    seen.extend(links.iter().chain(&*open).chain([&slot]));
    found.clear();
    let mut next = Vec::new();
    for _ in 0..DEPTH {
        for from in std::mem::take(open) {
            next.clear();
            graph.neighbours(from, level, &mut next);
            for &other in &next {
                if seen.contains(&other) || seen.len() > 8 * ENOUGH {
                    continue;
                }
                seen.push(other);
                if graph.is_leaving(other) {
                    open.push(other);
                } else if field.store.state(other) == LIVE {
                    found.push(other);
                }
            }
        }
        if found.len() >= ENOUGH || open.is_empty() {
            break;
        }
    }
    taken.clear();
    let allowed = (INSTEAD * lost).min(graph.degree(level).saturating_sub(links.len()));
    if found.is_empty() || allowed == 0 {
        return;
    }
    let probe = field.probe_of(slot);
    field.run(Distances { field, probe, links: found, distances });
    ranked.clear();
    ranked.extend(distances.iter().copied().zip(found.iter().copied()));
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    ranked.truncate(CHOICE * allowed);
    // Of what stays nothing is given up; it only rules out what lies behind it.
    field.run(Distances { field, probe, links, distances });
    ranked.extend(distances.iter().copied().zip(links.iter().map(|link| link | KEEP)));
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1 & !KEEP).cmp(&(b.1 & !KEEP))));
    field.run(Diverse { field, candidates: ranked, most: links.len() + allowed, taken });
    taken.retain(|link| link & KEEP == 0);
}

/// Takes what leaves out of a row and puts `taken` in; of that, leaves what found room. Says how many links there are.
fn put_instead(field: Field<'_>, slot: u32, level: u32, mender: &mut Mender) -> usize {
    let Mender { links, taken, .. } = mender;
    let graph = field.graph;
    let row = graph.lock(slot);
    row.links(level, links);
    links.retain(|&link| !graph.is_leaving(link & !KEEP));
    let most = graph.degree(level);
    taken.retain(|&other| {
        let fits = links.len() < most && !links.iter().any(|&link| link & !KEEP == other);
        if fits {
            links.push(other);
        }
        fits
    });
    row.set(level, links);
    links.len()
}
