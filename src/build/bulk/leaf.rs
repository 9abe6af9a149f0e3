//! What does a leaf do? It compares all its vectors with each other, and offers each its nearest.

use super::layer::Layer;
use super::reservoir::Reservoirs;
use crate::distance::tile::{NOWHERE, Own, Point, Selection, Side, nearest};
use crate::distance::{LevelJob, run_on};
use crate::simd::Words;

/// Vectors ahead whose reservoirs are asked for.
const AHEAD: usize = 2;

/// Buffers of a thread that works on leaves.
#[derive(Default)]
pub(super) struct Bench<'a> {
    points: Vec<Point<'a>>,
    side: Side,
    selection: Selection,
    /// Of each vector its nearest: distance and place in the leaf.
    nearest: Vec<u64>,
    /// Of each vector those to which it is among the nearest, behind each other, and where they begin.
    backward: Vec<u64>,
    starts: Vec<u32>,
}

impl Bench<'_> {
    /// Of each member of the last leaf its nearest: distance and place in the leaf.
    pub(super) fn nearest(&self) -> &[u64] {
        &self.nearest
    }
}

/// Offers every member of a leaf its `near` nearest, and those to which it is among the nearest. There are at least `near` others.
pub(super) fn work<'a>(layer: Layer<'a>, leaf: &[u32], near: usize, reservoirs: &Reservoirs, bench: &mut Bench<'a>) {
    let (level, form) = (layer.codes.level, layer.codes.form);
    let Bench { points, side, selection, nearest: found, .. } = bench;
    // A leaf's codes lie anywhere: all misses at once, not one after the other.
    leaf.iter().for_each(|&i| layer.fetch(i));
    points.clear();
    points.extend(leaf.iter().map(|&i| layer.point(i)));
    side.pack(level, form, points.iter().copied());
    found.clear();
    found.resize(leaf.len() * near, 0);
    nearest(level, form, points, side, (near, Own::LeftOut), selection, found);
    leaf.iter().for_each(|&i| layer.fetch_sketch(i));
    turn_around(leaf.len(), near, bench);
    run_on(level, Offers { layer, leaf, near, reservoirs, bench });
}

/// Fills `backward`: pairs that are in each other's nearest are left out.
fn turn_around(count: usize, near: usize, bench: &mut Bench<'_>) {
    let Bench { nearest, backward, starts, .. } = bench;
    starts.clear();
    starts.resize(count + 1, 0);
    nearest.iter().for_each(|&key| starts[key as u32 as usize + 1] += 1);
    (0..count).for_each(|i| starts[i + 1] += starts[i]);
    backward.clear();
    backward.resize(nearest.len(), u64::MAX);
    // Filled from behind each start; the starts are put back afterwards.
    for (i, keys) in (0..).zip(nearest.chunks(near)) {
        for &key in keys {
            let to = key as u32 as usize;
            let mutual = nearest[to * near..][..near].iter().any(|&back| back as u32 == i);
            backward[starts[to] as usize] = if mutual { u64::MAX } else { key >> 32 << 32 | u64::from(i) };
            starts[to] += 1;
        }
    }
    (0..count).rev().for_each(|i| starts[i + 1] = starts[i]);
    starts[0] = 0;
}

struct Offers<'a, 'b> {
    layer: Layer<'a>,
    leaf: &'b [u32],
    near: usize,
    reservoirs: &'b Reservoirs,
    bench: &'b Bench<'a>,
}

impl LevelJob for Offers<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { layer, leaf, near, reservoirs, bench } = self;
        leaf.iter().take(AHEAD).for_each(|&i| reservoirs.fetch(i));
        for (place, &i) in leaf.iter().enumerate() {
            if let Some(&next) = leaf.get(place + AHEAD) {
                reservoirs.fetch(next);
            }
            let own = layer.sketch(i);
            let forward = &bench.nearest[place * near..][..near];
            let backward = &bench.backward[bench.starts[place] as usize..bench.starts[place + 1] as usize];
            let mut reservoir = reservoirs.of(i).lock();
            for &key in forward.iter().chain(backward) {
                let distance = (key >> 32) as u32;
                if distance != NOWHERE {
                    let other = leaf[key as u32 as usize];
                    reservoir.offer(s, own, (distance, other), layer.sketch(other));
                }
            }
        }
    }
}
