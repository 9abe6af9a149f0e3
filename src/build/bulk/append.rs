//! How do many vectors come into a graph that holds several times as many? Its rows stay as they are; only theirs are made.
//!
//! All vectors, old and new, are carved into leaves as for a whole graph, but in a leaf only the new ones are compared with all; so they find
//! their neighbours among the old ones and among each other. This looks at no row of the graph, so it may take as long as it takes beside
//! insertions and searches. Then, while nobody else links: rows of the new ones are written, each gets a parent in the tree, and the
//! links back are applied grouped by the row that they go into, each row once, by what it holds by then.
//!
//! New vectors that equal another come last, one by one; and where those are many, nothing is done here.

use super::carve::{self, Carver, Carving};
use super::layer::{Layer, Rows, filled};
use super::prune::Chooser;
use super::reservoir::{self, Reservoirs, Sketch};
use super::team::{Hand, Team};
use super::twins::Twins;
use super::{Effort, NEAR, NEAR_OF_ALL, Pile, guard, sketch};
use crate::build::insert::{self, Linker};
use crate::distance::tile::{Own, Point, Selection, Side, nearest};
use crate::distance::{Element, LevelJob, run_on};
use crate::graph::{Entry, Graph, NONE};
use crate::search::walk::Field;
use crate::simd::Words;
use crate::util::error::Result;
use crate::util::memory::{gather, roomy, zeroed};
use crate::util::random::mix;
use std::cell::Cell;

/// New vectors, or rows, that a thread works on at a time.
const PART: usize = 64;
/// Where more than one in so many new vectors equals another, they are linked one by one.
const TWINS: usize = 16;

/// About the most memory that this takes for so many vectors in all, so many of which are new; as [`super::memory`].
pub(crate) fn memory(count: usize, new: usize, element: Element, dimensions: usize, m: usize) -> usize {
    let code = if element == Element::B1 { dimensions / 8 } else { dimensions };
    let each = code + size_of::<Sketch>() + 36 + 8 * super::FULL.copies.0;
    count * each + new * (reservoir::BYTES + 40 * m)
}

/// The rows of the new vectors on one level; links and members are places in the pile.
#[derive(Debug)]
struct Addition {
    members: Vec<u32>,
    rows: Rows,
    /// The links back: the place whose row they go into, and the new vector. Sorted.
    back: Vec<(u32, u32)>,
}

/// What is to come into a graph, and is not yet.
#[derive(Debug)]
pub(crate) struct Appended {
    /// From 0 upwards.
    levels: Vec<Addition>,
    /// Places of new vectors that equal others.
    late: Vec<u32>,
    /// The first of the highest.
    highest: Entry,
}

/// Finds the neighbours of those vectors of a pile that are `new`, which are some. Nothing is written to the graph. `None`: better one by one.
pub(crate) fn append(
    pile: Pile<'_>,
    new: &(dyn Fn(u32) -> bool + Sync),
    graph: &Graph,
    effort: Effort,
    team: &Team<'_>,
) -> Result<Option<Appended>> {
    let left = team.total - team.done.get();
    let share = |percent: usize| left * percent / 100;
    let codes = guard::codes(pile, team, share(9))?;
    let count = codes.len() as u32;
    let (slot, is_new) = (|place: u32| pile.slots[place as usize], |place: u32| new(pile.slots[place as usize]));
    let twins = Twins::find(&codes, gather(0..count)?, team)?;
    let mut late: Vec<u32> = roomy((0..count).filter(|&place| is_new(place)).count())?;
    late.extend((0..count).filter(|&place| is_new(place) && twins.distinct.binary_search(&place).is_err()));
    if late.len() * TWINS > late.capacity() {
        return Ok(None);
    }
    let codes = &guard::narrow(codes, pile, graph.seed(), team, share(1))?;
    let sketches = sketch::sketches(codes, &twins.distinct, graph.seed(), team, share(5))?;
    let firsts = || twins.distinct.iter().copied().filter(|&place| is_new(place));
    let height = |place: u32| graph.level(slot(place));
    let Some(highest) = firsts().max_by_key(|&place| (height(place), u32::MAX - place)) else { return Ok(None) };
    let mut levels = Vec::new();
    for level in 0..=height(highest) {
        let there = |place: &&u32| level == 0 || height(**place) >= level;
        let mut members = roomy(twins.distinct.iter().filter(there).count())?;
        members.extend(twins.distinct.iter().filter(there));
        let sticky = vec![false; members.len()];
        let layer = Layer { codes, sketches: &sketches, members: &members, sticky: &sticky };
        let carving =
            Carving { copies: effort.copies, seed: mix(graph.seed() ^ u64::from(level) ^ u64::from(count) << 8) };
        let share = share(if level == 0 { 70 } else { 3 });
        levels.push(add(layer, &is_new, graph.degree(level), carving, (team, share))?);
    }
    Ok(Some(Appended { levels, late, highest: Entry { slot: slot(highest), level: height(highest) } }))
}

/// The rows of a layer's new vectors.
fn add(
    layer: Layer<'_>,
    is_new: &(impl Fn(u32) -> bool + Sync),
    degree: usize,
    carving: Carving,
    (team, share): (&Team<'_>, usize),
) -> Result<Addition> {
    let mut numbers: Vec<u32> = roomy((0..).zip(layer.members).filter(|(_, place)| is_new(**place)).count())?;
    numbers.extend((0..).zip(layer.members).filter(|(_, place)| is_new(**place)).map(|(i, _): (u32, _)| i));
    let mut links = zeroed::<u32>(numbers.len() * degree)?;
    if layer.len() <= reservoir::SIZE {
        let (mut chooser, all): (Chooser, Vec<u32>) = (Chooser::default(), (0..layer.len() as u32).collect());
        for (&i, row) in numbers.iter().zip(links.chunks_mut(degree)) {
            let others: Vec<u32> = all.iter().copied().filter(|&other| other != i).collect();
            chooser.choose_among(layer, i, &others, row);
        }
    } else {
        let mut places = zeroed::<u32>(layer.len())?;
        places.fill(NONE);
        (0..).zip(&numbers).for_each(|(place, &i)| places[i as usize] = place);
        let reservoirs = meet(layer, &places, numbers.len(), carving, (team, share * 7 / 8))?;
        let parts = numbers.chunks(PART).zip(links.chunks_mut(PART * degree));
        team.each(parts, share / 8, |piece, (numbers, links), (chooser, ranked): &mut (Chooser, Vec<u64>)| {
            for (place, (&i, row)) in numbers.iter().zip(links.chunks_mut(degree)).enumerate() {
                reservoirs.of((piece * PART + place) as u32).lock().ranked(ranked);
                chooser.choose(layer, i, ranked, row);
            }
        })?;
    }
    let rename = |link: u32| if link == NONE { NONE } else { layer.members[link as usize] };
    links.iter_mut().for_each(|link| *link = rename(*link));
    numbers.iter_mut().for_each(|i| *i = rename(*i));
    let rows = Rows { degree, links };
    let linked = |i: usize| filled(rows.row(i as u32)).iter();
    let mut back = roomy((0..numbers.len()).map(|i| linked(i).len()).sum())?;
    numbers.iter().enumerate().for_each(|(i, &from)| back.extend(linked(i).map(|&to| (to, from))));
    back.sort_unstable();
    Ok(Addition { members: numbers, rows, back })
}

/// Candidates of the new vectors of a layer: `places` says which reservoir each has, of so many; `NONE` for old ones.
fn meet(
    layer: Layer<'_>,
    places: &[u32],
    new: usize,
    carving: Carving,
    (team, share): (&Team<'_>, usize),
) -> Result<Reservoirs> {
    let reservoirs = Reservoirs::new(new, team)?;
    let leaders = carve::lead(layer, carving, team, share / 4)?;
    let clusters = carve::clusters(&leaders)?;
    let near = if clusters.count() == 1 { NEAR_OF_ALL } else { NEAR_NEW };
    team.run(
        clusters.count(),
        share * 3 / 4,
        |place, (carver, bench): &mut (Carver<'_>, Bench<'_>), hand: &Hand<'_>| {
            let mut leaf = |members: &[u32]| bench.work(layer, members, near, (places, &reservoirs));
            carve::leaves(layer, carving, (&clusters, place), carver, hand, &mut leaf);
        },
    )?;
    Ok(reservoirs)
}

/// Neighbours that a leaf offers a new vector: more than where all are new, because the old ones offer themselves to nobody.
const NEAR_NEW: usize = 2 * NEAR;

/// Buffers of a thread that works on leaves.
#[derive(Default)]
struct Bench<'a> {
    /// The members, new ones first.
    leaf: Vec<u32>,
    points: Vec<Point<'a>>,
    side: Side,
    selection: Selection,
    /// Of each new one its nearest: distance and place in the leaf.
    nearest: Vec<u64>,
}

impl<'a> Bench<'a> {
    /// Offers every new member its `near` nearest, and those new ones to which it is among the nearest.
    fn work(&mut self, layer: Layer<'a>, members: &[u32], near: usize, (places, reservoirs): (&[u32], &Reservoirs)) {
        let Self { leaf, points, side, selection, nearest: found } = self;
        let is_new = |&&i: &&u32| places[i as usize] != NONE;
        leaf.clear();
        leaf.extend(members.iter().filter(is_new));
        let new = leaf.len();
        if new == 0 {
            return;
        }
        leaf.extend(members.iter().filter(|i| !is_new(i)));
        let near = near.min(leaf.len() - 1);
        leaf.iter().for_each(|&i| layer.fetch(i));
        points.clear();
        points.extend(leaf.iter().map(|&i| layer.point(i)));
        let (level, form) = (layer.codes.level, layer.codes.form);
        side.pack(level, form, points.iter().copied());
        found.clear();
        found.resize(new * near, 0);
        nearest(level, form, &points[..new], side, (near, Own::LeftOut), selection, found);
        run_on(level, Offers { layer, leaf, near, places, reservoirs, found });
    }
}

struct Offers<'a, 'b> {
    layer: Layer<'a>,
    leaf: &'b [u32],
    near: usize,
    places: &'b [u32],
    reservoirs: &'b Reservoirs,
    found: &'b [u64],
}

impl Offers<'_, '_> {
    /// Offers a new vector a neighbour. A method, because vector code is fast only within the function that runs it, and a closure is not always inlined.
    #[inline(always)]
    fn offer<S: Words>(&self, s: S, to: u32, distance: u32, other: u32) {
        let layer = self.layer;
        let mut reservoir = self.reservoirs.of(self.places[to as usize]).lock();
        reservoir.offer(s, layer.sketch(to), (distance, other), layer.sketch(other));
    }
}

impl LevelJob for Offers<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { leaf, near, found, .. } = self;
        let new = found.len() / near;
        for (&i, keys) in leaf.iter().zip(found.chunks(near)) {
            for &key in keys {
                let (distance, place) = ((key >> 32) as u32, key as u32 as usize);
                let Some(&other) = leaf.get(place) else { continue };
                self.offer(s, i, distance, other);
                if place < new {
                    self.offer(s, other, distance, i);
                }
            }
        }
    }
}

/// Lets the new vectors into the graph. The caller holds the right to link alone; the rows of all are prepared.
pub(crate) fn install(
    appended: &Appended,
    pile: Pile<'_>,
    (field, ef, linker): (Field<'_>, usize, &mut Linker),
    (reached, team): (&mut [bool], &Team<'_>),
) -> Result<()> {
    let (graph, slot) = (field.graph, |place: u32| pile.slots[place as usize]);
    // Nobody can meet them yet.
    for (level, added) in (0..).zip(&appended.levels) {
        let mut row: Vec<u32> = Vec::new();
        for (i, &place) in (0..).zip(&added.members) {
            row.clear();
            row.extend(filled(added.rows.row(i)).iter().map(|&link| slot(link)));
            graph.lock(slot(place)).set(level, &row);
        }
    }
    hang(&appended.levels[0], pile, (field, linker), reached);
    for (level, added) in (0..).zip(&appended.levels) {
        let groups: Vec<&[(u32, u32)]> = added.back.chunk_by(|a, b| a.0 == b.0).collect();
        let link_back = |team: &Team<'_>| {
            team.run(groups.len().div_ceil(PART), 0, |piece, (linker, links): &mut (Linker, Vec<u32>), _| {
                for group in groups[piece * PART..].iter().take(PART) {
                    let to = slot(group[0].0);
                    links.clear();
                    links.extend(group.iter().map(|&(_, from)| slot(from)));
                    insert::connect_all(field, &graph.lock(to), to, links, level, linker);
                }
            })
        };
        // There is no way back from here. Only starting threads can fail, and one thread is there; a link that is there already stays one.
        link_back(team).or_else(|_| link_back(&Team { threads: 1, done: Cell::new(team.done.get()), ..*team }))?;
    }
    graph.promote(appended.highest);
    for &place in &appended.late {
        insert::link(field, slot(place), ef, linker, &mut insert::NoJournal);
    }
    Ok(())
}

/// Gives each new vector a parent: the nearest neighbour that is in the tree and has room. `reached` are the slots that are in it.
fn hang(added: &Addition, pile: Pile<'_>, (field, linker): (Field<'_>, &mut Linker), reached: &mut [bool]) {
    let slot = |place: u32| pile.slots[place as usize];
    let mut open: Vec<u32> = (0..added.members.len() as u32).collect();
    while !open.is_empty() {
        let before = open.len();
        open.retain(|&i| {
            let child = slot(added.members[i as usize]);
            let near = filled(added.rows.row(i)).iter().map(|&link| slot(link));
            let mut near = near.filter(|&parent| reached[parent as usize]);
            let tied = near.any(|parent| insert::hang(field, parent, child, linker));
            reached[child as usize] |= tied;
            !tied
        });
        if open.len() == before {
            // They lead to each other only: one of them is taken to the nearest that a walk finds.
            let child = slot(added.members[open.remove(0) as usize]);
            if let Some(entry) = field.graph.entry() {
                insert::adopt_again(field, child, entry, reached, linker);
            }
            reached[child as usize] = true;
        }
    }
}
