//! How does a pile of vectors become a graph all at once?
//!
//! | stage | file |
//! |---|---|
//! | vectors become codes, which integers compare exactly | `source`, `codes`, `guard` |
//! | equal vectors are set aside | `twins` |
//! | long codes become narrow ones | `narrow`, `guard` |
//! | how many links the data ask for, where that is open | `degree` |
//! | sketches, for directions | `sketch` |
//! | the pile is carved into leaves; each vector is in about twenty | `carve` |
//! | within a leaf all are compared with all; the nearest are offered | `leaf` |
//! | a vector keeps the nearest offers of different directions | `reservoir` |
//! | of these it chooses neighbours, and gets links back | `prune` |
//! | the upper levels, by the same stages | here |
//! | tight clusters get links of another scale | `reach` |
//! | a tree of kept links, which joins what is apart | `kept` |
//! | rows are written into the graph, all at once | `install` |
//! | or only those of new vectors, where a graph is there already | `append` |
//!
//! (Stages 4 to 7: PiPNN, arXiv 2602.21247; in integers here.) Every stage is a function of what the ones before left, whatever thread
//! runs which piece, and after the first there are only integers: the same vectors, seed and options give the same graph with any number
//! of threads on any machine. Nothing is published before the end, so a build that is cancelled leaves no trace.

mod append;
mod carve;
mod codes;
pub(crate) mod degree;
mod guard;
mod install;
mod kept;
mod layer;
mod leaf;
mod narrow;
mod prune;
mod reach;
#[cfg(test)]
#[path = "tests/reference.rs"]
mod reference;
mod reservoir;
mod sketch;
mod source;
mod team;
mod twins;

pub(crate) use append::{append, install as install_new, memory as memory_of_appending};
pub(crate) use install::install;
pub(crate) use source::Pile;
pub(crate) use team::Team;

use crate::distance::Element;
use crate::graph::{Entry, Graph, level_of};
use crate::util::error::Result;
use crate::util::memory::{gather, roomy};
use crate::util::random::mix;
use carve::{Carver, Carving};
use codes::Codes;
use layer::{Layer, Rows};
use leaf::Bench;
use reach::Noted;
use reservoir::{Reservoirs, Sketch};
use twins::Twins;

/// The largest degree whose rows the reservoirs, and the links back, can fill.
pub(crate) const MOST_M: usize = 32;
/// Neighbours that a leaf offers a vector, and where it is the only leaf.
const NEAR: usize = 4;
const NEAR_OF_ALL: usize = 48;

/// About the most memory that a build of so many vectors takes while it works, where bytes do for codes: codes, sketches, reservoirs, and
/// clusters or rows.
pub(crate) fn memory(count: usize, element: Element, dimensions: usize, m: usize) -> usize {
    let code = if element == Element::B1 { dimensions / 8 } else { dimensions };
    let kept = code + size_of::<Sketch>() + reservoir::BYTES + 24;
    let passing = (4 * FULL.copies.0).max(12 * m);
    count * (kept + passing)
}

/// How much work a graph is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Clusters that a vector goes to when the pile is carved, and within each.
    copies: (usize, usize),
}

/// As good as one by one, or better.
pub(crate) const FULL: Effort = Effort { copies: (10, 2) };
/// Half the time; a walk needs some more distances.
pub(crate) const FAST: Effort = Effort { copies: (8, 1) };

/// The rows of one level; links and members are places in the pile.
#[derive(Debug)]
struct Level {
    members: Vec<u32>,
    rows: Rows,
}

/// A graph that is not published yet.
#[derive(Debug)]
pub(crate) struct Built {
    /// The degree it was built for.
    pub(crate) m: u32,
    /// From 0 upwards.
    levels: Vec<Level>,
    entry: Entry,
}

/// The degree for a pile whose graph will be built bit by bit.
pub(crate) fn degree_of(pile: Pile<'_>, team: &Team<'_>) -> Result<u32> {
    match pile.slots.len() {
        ..degree::GROWING_FROM => Ok(degree::USUAL),
        _ => degree::degree(&guard::codes(pile, team, 0)?, team),
    }
}

/// Builds the graph of a pile that is not empty. `graph` gives seed and degree, unless that is open: then the vectors do. Nothing is written to it.
pub(crate) fn build(pile: Pile<'_>, graph: &Graph, effort: Effort, team: &Team<'_>) -> Result<Built> {
    let left = team.total - team.done.get();
    let share = |percent: usize| left * percent / 100;
    let codes = guard::codes(pile, team, share(2))?;
    let twins = Twins::find(&codes, gather(0..codes.len() as u32)?, team)?;
    let codes = &guard::narrow(codes, pile, graph.seed(), team, share(1))?;
    let m = match graph.is_open() {
        true if codes.len() >= degree::FROM => degree::degree(codes, team)?,
        _ => graph.m() as u32,
    };
    let sketches = sketch::sketches(codes, &twins.distinct, graph.seed(), team, share(2))?;
    let height = |place: u32| level_of(graph.seed(), m, pile.slots[place as usize]);
    let (top, entry) = (0..codes.len() as u32).map(|place| (height(place), u32::MAX - place)).max().unwrap_or_default();
    let entry = u32::MAX - entry;
    let order = |level| {
        let carving = Carving { copies: effort.copies, seed: mix(graph.seed() ^ u64::from(level)) };
        let degree = if level == 0 { 2 * m as usize } else { m as usize };
        Order { degree, carving, share: share(if level == 0 { 85 } else { 4 }) }
    };
    let mut levels = vec![whole_level(codes, &sketches, twins, (m as usize, entry), order(0), team)?];
    for level in 1..=top {
        let there = |place: &u32| height(*place) >= level;
        let mut members = roomy((0..codes.len() as u32).filter(there).count())?;
        members.extend((0..codes.len() as u32).filter(there));
        levels.push(upper_level(codes, &sketches, members, order(level), team)?);
    }
    Ok(Built { m, levels, entry: Entry { slot: pile.slots[entry as usize], level: top } })
}

/// What is to be made of the vectors of a level.
#[derive(Clone, Copy)]
struct Order {
    degree: usize,
    carving: Carving,
    share: usize,
}

/// Level 0: every vector leads to every other, by a tree of kept links from the entry.
fn whole_level(
    codes: &Codes,
    sketches: &[Sketch],
    twins: Twins,
    (m, entry): (usize, u32),
    order: Order,
    team: &Team<'_>,
) -> Result<Level> {
    let layer = Layer { codes, sketches, members: &twins.distinct, sticky: &twins.sticky };
    let mut rows = link(layer, order, team)?;
    kept::span(layer, &mut rows, m, twins.number(entry))?;
    let mut rows = twins.spread(rows)?;
    twins.hang(&mut rows, m)?;
    Ok(Level { members: twins.members, rows })
}

/// A level above, where no more is asked of links than that they lead near.
fn upper_level(codes: &Codes, sketches: &[Sketch], members: Vec<u32>, order: Order, team: &Team<'_>) -> Result<Level> {
    let twins = Twins::find(codes, members, team)?;
    let layer = Layer { codes, sketches, members: &twins.distinct, sticky: &twins.sticky };
    let rows = twins.spread(link(layer, order, team)?)?;
    Ok(Level { members: twins.members, rows })
}

/// Links the vectors of a layer, no two of which are equal.
fn link(layer: Layer<'_>, order: Order, team: &Team<'_>) -> Result<Rows> {
    let Order { degree, carving, share } = order;
    if layer.len() <= reservoir::SIZE {
        return prune::rows_of_few(layer, degree);
    }
    let reservoirs = Reservoirs::new(layer.len(), team)?;
    let leaders = carve::lead(layer, carving, team, share / 8)?;
    let clusters = carve::clusters(&leaders)?;
    let (near, leaves) = match clusters.count() {
        1 => (NEAR_OF_ALL, 1),
        _ => (NEAR, carving.copies.0 * carving.copies.1),
    };
    let noted = Noted::default();
    team.run(clusters.count(), share * 5 / 8, |place, (carver, bench): &mut (Carver<'_>, Bench<'_>), hand| {
        let mut leaf = |members: &[u32]| {
            let near = near.min(members.len() - 1);
            leaf::work(layer, members, near, &reservoirs, bench);
            noted.look(layer, (&leaders, leaves), members, (near, bench.nearest()));
        };
        carve::leaves(layer, carving, (&clusters, place), carver, hand, &mut leaf);
    })?;
    drop(clusters);
    let mut rows = prune::rows(layer, &reservoirs, degree, team, share / 8)?;
    drop(reservoirs);
    prune::link_back(layer, &mut rows, team, share / 16)?;
    noted.link(layer, &mut rows, &leaders);
    Ok(rows)
}
