//! How does a pile of vectors become a graph all at once?
//!
//! | stage | file |
//! |---|---|
//! | vectors become codes, which integers compare exactly | `codes` |
//! | sketches, for directions | `sketch` |
//! | equal vectors are set aside | `twins` |
//! | the pile is carved into leaves; each vector is in about twenty | `carve` |
//! | within a leaf all are compared with all; the nearest are offered | `leaf` |
//! | a vector keeps the nearest offers of different directions | `reservoir` |
//! | of these it chooses neighbours, and gets links back | `prune` |
//! | the upper levels, by the same stages | here |
//! | a tree of kept links, which joins what is apart | `kept` |
//! | rows are written into the graph, all at once | `install` |
//!
//! (Stages 4 to 7: PiPNN, arXiv 2602.21247; in integers here.) Every stage is a function of what the ones before left, whatever thread
//! runs which piece, and after the first there are only integers: the same vectors, seed and options give the same graph with any number
//! of threads on any machine. Nothing is published before the end, so a build that is cancelled leaves no trace.

mod carve;
mod codes;
mod install;
mod kept;
mod layer;
mod leaf;
mod prune;
mod reservoir;
mod sketch;
mod team;
mod twins;

pub(crate) use codes::Pile;
pub(crate) use install::install;
pub(crate) use team::Team;

use crate::graph::{Entry, Graph, mix};
use crate::util::error::Result;
use carve::{Carver, Carving};
use codes::Codes;
use layer::{Layer, Rows};
use leaf::Bench;
use reservoir::{Reservoirs, Sketch};
use twins::Twins;

/// The largest degree whose rows the reservoirs can fill.
pub(crate) const MOST_M: usize = 32;
/// Neighbours that a leaf offers a vector, and where it is the only leaf.
const NEAR: usize = 4;
const NEAR_OF_ALL: usize = 48;

/// How much work a graph is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Quality {
    /// As good as one by one, or better.
    #[default]
    Full,
    /// Half the time; a walk needs some more distances.
    Fast,
}

/// The rows of one level; links and members are places in the pile.
#[derive(Debug)]
struct Level {
    members: Vec<u32>,
    rows: Rows,
}

/// A graph that is not published yet.
#[derive(Debug)]
pub(crate) struct Built {
    /// From 0 upwards.
    levels: Vec<Level>,
    entry: Entry,
}

/// Builds the graph of a pile that is not empty. `graph` gives seed, degrees and levels; nothing is written to it.
pub(crate) fn build(pile: Pile<'_>, graph: &Graph, quality: Quality, team: &Team<'_>) -> Result<Built> {
    let left = team.total - team.done.get();
    let share = |percent: usize| left * percent / 100;
    let codes = Codes::of(pile, team, share(3))?;
    let sketches = sketch::sketches(&codes, graph.seed(), team, share(2))?;
    let height = |place: u32| graph.level(pile.slots[place as usize]);
    let (top, entry) = (0..codes.len() as u32).map(|place| (height(place), u32::MAX - place)).max().unwrap_or_default();
    let entry = u32::MAX - entry;
    let copies = match quality {
        Quality::Full => (10, 2),
        Quality::Fast => (8, 1),
    };
    let mut levels = Vec::new();
    for level in 0..=top {
        let members: Vec<u32> = (0..codes.len() as u32).filter(|&place| height(place) >= level).collect();
        let seed = mix(graph.seed() ^ u64::from(level));
        let order = Order { degree: graph.degree(level), carving: Carving { copies, seed }, share: share(LEVEL_SHARES[level.min(1) as usize]) };
        levels.push(match level {
            0 => whole_level(&codes, &sketches, members, (graph.m(), entry), order, team)?,
            _ => upper_level(&codes, &sketches, members, order, team)?,
        });
    }
    Ok(Built { levels, entry: Entry { slot: pile.slots[entry as usize], level: top } })
}

/// Percent of the work that level 0 is, and that each of the next is taken for.
const LEVEL_SHARES: [usize; 2] = [85, 4];

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
    members: Vec<u32>,
    (m, entry): (usize, u32),
    order: Order,
    team: &Team<'_>,
) -> Result<Level> {
    let twins = Twins::find(codes, members, team)?;
    let layer = Layer { codes, sketches, members: &twins.distinct };
    let mut rows = link(layer, order, team)?;
    kept::span(layer, &mut rows, m, twins.number(entry));
    let mut rows = twins.spread(rows);
    twins.hang(&mut rows, m);
    Ok(Level { members: twins.members, rows })
}

/// A level above, where no more is asked of links than that they lead near.
fn upper_level(
    codes: &Codes,
    sketches: &[Sketch],
    members: Vec<u32>,
    order: Order,
    team: &Team<'_>,
) -> Result<Level> {
    let twins = Twins::find(codes, members, team)?;
    let layer = Layer { codes, sketches, members: &twins.distinct };
    let rows = twins.spread(link(layer, order, team)?);
    Ok(Level { members: twins.members, rows })
}

/// Links the vectors of a layer, no two of which are equal.
fn link(layer: Layer<'_>, order: Order, team: &Team<'_>) -> Result<Rows> {
    let Order { degree, carving, share } = order;
    let reservoirs = Reservoirs::new(layer.len(), team)?;
    let clusters = carve::first(layer, carving, team, share / 8)?;
    let near = if clusters.count() == 1 { NEAR_OF_ALL } else { NEAR };
    team.run(clusters.count(), share * 5 / 8, |place, (carver, bench): &mut (Carver<'_>, Bench<'_>), hand| {
        let mut leaf = |members: &[u32]| leaf::work(layer, members, near, &reservoirs, bench);
        carve::leaves(layer, carving, (&clusters, place), carver, hand, &mut leaf);
    })?;
    drop(clusters);
    let mut rows = prune::rows(layer, &reservoirs, degree, team, share / 8)?;
    drop(reservoirs);
    prune::link_back(layer, &mut rows, team, share / 16)?;
    Ok(rows)
}
