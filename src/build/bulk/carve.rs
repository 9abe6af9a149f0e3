//! Which vectors are compared with each other? Those that share a leaf.
//!
//! *Leaders* are drawn by a hash; each vector goes to the few that are nearest to it, so neighbours share several clusters. A cluster
//! is carved again, with fewer copies, until it is a leaf of at most [`LEAF`]. Vectors that no leader tells apart are dealt out by a hash.

use super::layer::Layer;
use super::team::{Hand, Team};
use crate::distance::tile::{Own, Point, Selection, Side, nearest};
use crate::util::error::Result;
use crate::util::memory::{gather, zeroed};
use crate::util::random::mix;

/// Vectors of a leaf, at most; at least two.
const LEAF: usize = 512;
/// Vectors of a leaf, as aimed at.
const AIM: usize = 200;
/// So many are one leaf if they are all.
const ALL_AT_ONCE: usize = 2048;
/// Leaders of the first level: one in so many vectors, up to a number.
const FOLLOWERS: usize = 200;
const MOST_LEADERS: usize = 1000;
const FEWEST_LEADERS: usize = 20;
/// Levels of carving after which vectors are dealt out.
const DEEPEST: u32 = 6;
/// Vectors that a thread assigns at a time.
const PART: usize = 1024;

/// How the tree is carved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carving {
    /// Clusters that a vector goes to on the first level, and on the second.
    pub(super) copies: (usize, usize),
    pub(super) seed: u64,
}

/// The clusters of the first level.
#[derive(Debug)]
pub(super) struct Clusters {
    /// Where each begins among the members; one more for the end.
    starts: Vec<usize>,
    members: Vec<u32>,
    /// Largest first.
    order: Vec<u32>,
}

/// Who leads whom on the first level.
#[derive(Debug)]
pub(super) struct Leaders {
    leaders: Vec<u32>,
    copies: usize,
    /// Of each member the leaders nearest to it.
    chosen: Vec<u16>,
    /// And how far the last of these is.
    reach: Vec<u32>,
}

impl Leaders {
    /// The leaders nearest to a member.
    pub(super) fn of(&self, i: u32) -> impl Iterator<Item = u32> + '_ {
        let chosen = &self.chosen[i as usize * self.copies..][..self.copies];
        chosen.iter().map(|&leader| self.leaders[usize::from(leader)])
    }

    /// How far the farthest of these is.
    pub(super) fn reach(&self, i: u32) -> u32 {
        self.reach[i as usize]
    }
}

impl Clusters {
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// Member lists, largest first: the last to be worked on are short.
    fn cluster(&self, place: usize) -> (u32, &[u32]) {
        let cluster = self.order[place];
        (cluster, &self.members[self.starts[cluster as usize]..self.starts[cluster as usize + 1]])
    }
}

/// Buffers of a thread that carves.
#[derive(Default)]
pub(super) struct Carver<'a> {
    points: Vec<Point<'a>>,
    side: Side,
    selection: Selection,
    keys: Vec<u64>,
}

/// What is drawn by, and the member.
fn drawn_by(path: u64) -> impl Fn(u32) -> (u64, u32) {
    move |i| (mix(path ^ mix(u64::from(i))), i)
}

/// The members of a cluster that lead its parts.
fn leaders(mut drawn: Vec<(u64, u32)>, count: usize) -> Vec<u32> {
    if count < drawn.len() {
        drawn.select_nth_unstable(count);
        drawn.truncate(count);
    }
    drawn.sort_unstable();
    drawn.into_iter().map(|(_, i)| i).collect()
}

impl<'a> Carver<'a> {
    fn pack(&mut self, layer: Layer<'a>, leaders: &[u32]) {
        self.side.pack(layer.codes.level, layer.codes.form, leaders.iter().map(|&leader| layer.point(leader)));
    }

    /// The `copies` leaders nearest to each member of a list, into `self.keys`.
    fn assign(
        &mut self,
        layer: Layer<'a>,
        side: Option<&Side>,
        list: impl Iterator<Item = u32> + Clone,
        copies: usize,
    ) {
        let Self { points, selection, keys, .. } = self;
        list.clone().for_each(|i| layer.fetch(i));
        points.clear();
        points.extend(list.map(|i| layer.point(i)));
        keys.clear();
        keys.resize(points.len() * copies, 0);
        let side = side.unwrap_or(&self.side);
        nearest(layer.codes.level, layer.codes.form, points, side, (copies, Own::Other), selection, keys);
    }
}

/// Chooses leaders of all members of a layer.
pub(super) fn lead(layer: Layer<'_>, carving: Carving, team: &Team<'_>, share: usize) -> Result<Leaders> {
    let count = layer.len();
    let most = (count / FOLLOWERS).clamp(FEWEST_LEADERS, MOST_LEADERS);
    let leaders = leaders(gather((0..count as u32).map(drawn_by(mix(carving.seed))))?, most);
    let copies = carving.copies.0.min(leaders.len());
    let mut packer = Carver::default();
    packer.pack(layer, &leaders);
    let side = &packer.side;
    let (mut chosen, mut reach) = (zeroed::<u16>(count * copies)?, zeroed::<u32>(count)?);
    let parts = chosen.chunks_mut(PART * copies).zip(reach.chunks_mut(PART));
    team.each(parts, share, |piece, (chosen, reach), carver: &mut Carver<'_>| {
        let first = (piece * PART) as u32;
        carver.assign(layer, Some(side), first..first + reach.len() as u32, copies);
        chosen.iter_mut().zip(&carver.keys).for_each(|(chosen, &key)| *chosen = key as u16);
        reach
            .iter_mut()
            .zip(carver.keys.chunks(copies))
            .for_each(|(reach, keys)| *reach = (keys[copies - 1] >> 32) as u32);
    })?;
    Ok(Leaders { leaders, copies, chosen, reach })
}

/// The clusters of all members of a layer: one, if they are few, or those whom each leader leads.
pub(super) fn clusters(leaders: &Leaders) -> Result<Clusters> {
    let (count, copies) = (leaders.reach.len(), leaders.copies);
    if count <= ALL_AT_ONCE {
        return Ok(Clusters { starts: vec![0, count], members: gather(0..count as u32)?, order: vec![0] });
    }
    let mut starts = vec![0_usize; leaders.leaders.len() + 1];
    leaders.chosen.iter().for_each(|&leader| starts[usize::from(leader) + 1] += 1);
    (1..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
    let (mut members, mut ends) = (zeroed(count * copies)?, starts.clone());
    for (i, chosen) in (0..).zip(leaders.chosen.chunks(copies)) {
        for &leader in chosen {
            members[ends[usize::from(leader)]] = i;
            ends[usize::from(leader)] += 1;
        }
    }
    let mut order: Vec<u32> = (0..leaders.leaders.len() as u32).collect();
    let size = |&cluster: &u32| starts[cluster as usize + 1] - starts[cluster as usize];
    order.sort_by_key(|cluster| (usize::MAX - size(cluster), *cluster));
    Ok(Clusters { starts, members, order })
}

/// Carves a cluster down to its leaves, and hands each on.
pub(super) fn leaves<'a>(
    layer: Layer<'a>,
    carving: Carving,
    (clusters, place): (&Clusters, usize),
    carver: &mut Carver<'a>,
    hand: &Hand<'_>,
    leaf: &mut impl FnMut(&[u32]),
) {
    let (number, list) = clusters.cluster(place);
    if clusters.count() == 1 {
        return leaf(list);
    }
    let path = mix(carving.seed ^ mix(u64::from(number) + 1));
    part(layer, list, (carving.copies.1, 1, path), carver, hand, leaf);
}

fn part<'a>(
    layer: Layer<'a>,
    list: &[u32],
    (copies, depth, path): (usize, u32, u64),
    carver: &mut Carver<'a>,
    hand: &Hand<'_>,
    leaf: &mut impl FnMut(&[u32]),
) {
    if list.len() < 2 || hand.stops() {
        return;
    }
    if list.len() <= LEAF {
        return leaf(list);
    }
    if depth > DEEPEST {
        return deal(list, path, leaf);
    }
    let leaders = leaders(list.iter().copied().map(drawn_by(path)).collect(), list.len() * copies / AIM + 1);
    let copies = copies.min(leaders.len());
    carver.pack(layer, &leaders);
    carver.assign(layer, None, list.iter().copied(), copies);
    let mut parts = vec![Vec::new(); leaders.len()];
    for (&i, keys) in list.iter().zip(carver.keys.chunks(copies)) {
        keys.iter().for_each(|&key| parts[key as u32 as usize].push(i));
    }
    for (number, members) in (1..).zip(parts) {
        if members.len() == list.len() {
            // All of them went here, and would again.
            deal(&members, path ^ number, leaf);
        } else {
            part(layer, &members, (1, depth + 1, mix(path ^ mix(number))), carver, hand, leaf);
        }
    }
}

/// Leaves of vectors that a hash brings together.
fn deal(list: &[u32], path: u64, leaf: &mut impl FnMut(&[u32])) {
    let mixed = leaders(list.iter().copied().map(drawn_by(path)).collect(), list.len());
    // Of nearly equal size, so that none has a single member.
    for members in mixed.chunks(list.len().div_ceil(list.len().div_ceil(LEAF))) {
        let mut members = members.to_vec();
        members.sort_unstable();
        leaf(&members);
    }
}
