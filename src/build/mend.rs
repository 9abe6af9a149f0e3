//! How does the graph close over slots that leave it?
//!
//! A removed slot leaves in two steps. *Detaching* (`detach`) takes it out of what holds the graph together: nothing is linked to it any
//! more, its neighbours in the tree of kept links hold together without it, and the entry goes elsewhere. What is left are plain links to
//! it, in rows that nobody knows. *Mending* finds them: it goes through the rows of all slots, once for all that have been detached before,
//! takes the links out and puts others in their place.
//!
//! What a row gets instead is what its lost neighbours lead to: the nearest of different directions, at most [`INSTEAD`] for each, linked both
//! ways. Where all of those are leaving, too, it is what they lead to, and so on. A row that is left with few links, or is narrow, looks for others by
//! a walk, like that of a slot which is inserted.
//!
//! One thread does this at a time, beside any number that insert and search.

use super::insert::{Linker, connect, relink};
use crate::graph::{Graph, KEEP};
use crate::search::walk::{Distances, Diverse, Field};
use crate::store::LIVE;
use crate::util::error::Result;

/// Neighbours that a row gets at most for each that it loses.
const INSTEAD: usize = 2;
/// Candidates that are looked at for each of them.
const CHOICE: usize = 4;
/// Slots that leave are followed so many links deep.
const DEPTH: usize = 4;
/// A row that is left with this share of what it holds at most is linked anew.
const FEW: (usize, usize) = (3, 8);
/// Rows of so many links at most are narrow: they are always linked anew, too.
const NARROW: usize = 8;
/// Candidates that end the search for more.
const ENOUGH: usize = 48;

/// Buffers of a mend.
#[derive(Default)]
pub(crate) struct Mender {
    pub(super) linker: Linker,
    pub(super) links: Vec<u32>,
    found: Vec<u32>,
    open: Vec<u32>,
    seen: Vec<u32>,
    pub(super) distances: Vec<f32>,
    pub(super) ranked: Vec<(f32, u32)>,
    taken: Vec<u32>,
}

impl Mender {
    /// As [`Linker::make_room`].
    pub(crate) fn make_room(&mut self, graph: &Graph, slots: usize, ef: usize) -> Result<()> {
        self.linker.make_room(graph, slots, ef)
    }

    pub(crate) fn bytes(&self) -> usize {
        let Self { linker, links, found, open, seen, distances, ranked, taken } = self;
        let numbers = [links, found, open, seen, taken].map(Vec::capacity).iter().sum::<usize>();
        linker.bytes() + 4 * (numbers + distances.capacity()) + 8 * ranked.capacity()
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
        let few = if graph.degree(level) <= NARROW { NARROW } else { graph.degree(level) * FEW.0 / FEW.1 };
        if left <= few && field.store.state(slot) == LIVE {
            relink(field, slot, level, ef, &mut mender.linker);
            changed += graph.m();
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
