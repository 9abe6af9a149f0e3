//! Do rows that get their links back grouped, by several threads, hold what they would if each link was put in at once? A reference for tests: one
//! thread goes through all links in the builder's order, from the first vector's row to the last's, and puts each into the row it leads to there and
//! then; rows that have become too long choose in the end.

use super::layer::{Layer, Rows, filled};
use super::prune::{Chooser, link_back};
use super::source::Pile;
use super::team::Team;
use super::{codes::Codes, reservoir::Sketch};
use crate::distance::Metric;
use crate::graph::NONE;
use crate::index::bulk::tests::{bytes, options, surface};
use crate::index::{Index, Rows as Given, config::Kind};
use crate::util::pool::Pool;
use proptest::prelude::*;
use std::cell::Cell;

const VECTORS: usize = 700;

fn at_once(layer: Layer<'_>, rows: &Rows) -> Vec<Vec<u32>> {
    let mut full: Vec<Vec<u32>> = (0..VECTORS as u32).map(|i| filled(rows.row(i)).to_vec()).collect();
    for from in 0..VECTORS as u32 {
        for &to in filled(rows.row(from)) {
            if !full[to as usize].contains(&from) {
                full[to as usize].push(from);
            }
        }
    }
    let mut chooser = Chooser::default();
    for (i, all) in (0..).zip(&mut full) {
        if all.len() > rows.degree {
            let mut row = vec![NONE; rows.degree];
            chooser.choose_among(layer, i, all, &mut row);
            *all = filled(&row).to_vec();
        }
    }
    full
}

fn team<'a>(pool: &'a Pool, threads: usize) -> Team<'a> {
    Team { pool, threads, progress: None, total: VECTORS, done: Cell::new(0), afford: &|_| Ok(()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn grouped_links_back_are_those_put_in_at_once(
        seed in 0..1000_u64,
        degree in 2..24_usize,
        hubs in 1..40_u32,
        threads in 1..5_usize,
        metric in prop::sample::select(vec![Metric::L2, Metric::L1, Metric::InnerProduct, Metric::Cosine]),
    ) {
        let vectors = bytes(&surface(VECTORS, 12, seed));
        let index = Index::create(&options(metric, 12, Kind::Flat)).unwrap();
        let keys: Vec<u64> = (0..VECTORS as u64).collect();
        index.insert_batch(&keys, Given::packed(&vectors, 48), &Default::default()).unwrap();
        let slots: Vec<u32> = (0..VECTORS as u32).collect();
        index.with_pile(&slots, |pile: Pile<'_>| {
            let pool = Pool::default();
            let codes = Codes::of(pile, &team(&pool, 1), 0).unwrap();
            let sticky: Vec<bool> = slots.iter().map(|i| i % 13 == 0).collect();
            let sketches: [Sketch; 0] = [];
            let layer = Layer { codes: &codes, sketches: &sketches, members: &slots, sticky: &sticky };
            // Each leads to a few others, many of them to a few hubs; rows of any length.
            let mut state = seed;
            let mut random = |below: u32| {
                state = crate::util::random::mix(state);
                (state % u64::from(below)) as u32
            };
            let mut rows = Rows { degree, links: vec![NONE; VECTORS * degree] };
            for i in 0..VECTORS as u32 {
                let mut links: Vec<u32> = Vec::new();
                for _ in 0..random(degree as u32 + 1) {
                    let to = if random(2) == 0 { random(hubs) } else { random(VECTORS as u32) };
                    if to != i && !links.contains(&to) {
                        links.push(to);
                    }
                }
                rows.row_mut(i)[..links.len()].copy_from_slice(&links);
            }
            let wanted = at_once(layer, &rows);
            link_back(layer, &mut rows, &team(&pool, threads), 0).unwrap();
            for i in 0..VECTORS as u32 {
                assert_eq!(filled(rows.row(i)), wanted[i as usize], "row {i}");
            }
        });
    }
}
