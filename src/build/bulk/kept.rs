//! Does every vector lead to every other? A tree of kept links through the finished rows of level 0, and what it takes to span them.
//!
//! The tree is grown breadth first from the entry along links that go both ways, each vector taking few children, so that later
//! insertions find room. Whatever is left then is joined by a link that goes one way, or, if it has none to the tree, to the nearest
//! vector of the tree that a descent finds. Twins hang below the first of them. One pass; no search begins anew for each piece.

use super::layer::{Layer, Rows, filled};
use crate::distance::tile::{Side, distances};
use crate::graph::{KEEP, NONE};
use crate::util::error::Result;
use crate::util::memory::{roomy, zeroed};
use crate::util::random::mix;

/// Vectors from which a descent to a piece's nearest neighbour begins at the best.
const STARTS: usize = 256;

/// A tree as it grows.
struct Tree<'a> {
    layer: Layer<'a>,
    rows: &'a mut Rows,
    m: usize,
    /// Kept links of each vector; at most m + 1.
    kept: Vec<u16>,
    reached: Vec<bool>,
    /// Reached vectors in the order of growth; those from `next` on were not looked at.
    queue: Vec<u32>,
    next: usize,
}

/// Marks and adds links so that kept ones form one tree of all vectors. The first `STARTS` of the queue are near the root.
pub(super) fn span(layer: Layer<'_>, rows: &mut Rows, m: usize, root: u32) -> Result<()> {
    let count = layer.len();
    let (kept, reached) = (zeroed(count)?, zeroed(count)?);
    let mut tree = Tree { layer, rows, m, kept, reached, queue: roomy(count)?, next: 0 };
    tree.reach(root);
    let few = (m / 2).max(1);
    tree.grow(few);
    if tree.queue.len() < count {
        // Once more with more children each.
        tree.next = 0;
        tree.grow(m);
    }
    for i in 0..count as u32 {
        if !tree.reached[i as usize] {
            tree.join(i);
            tree.grow(m);
        }
    }
    Ok(())
}

impl Tree<'_> {
    fn reach(&mut self, i: u32) {
        self.reached[i as usize] = true;
        self.queue.push(i);
    }

    fn has_room(&self, i: u32, most: usize) -> bool {
        usize::from(self.kept[i as usize]) <= most
    }

    /// Takes in what the reached vectors link to, if it links back.
    fn grow(&mut self, most: usize) {
        while self.next < self.queue.len() {
            let i = self.queue[self.next];
            self.next += 1;
            if let Some(&later) = self.queue.get(self.next + 2) {
                self.rows.fetch(later);
            }
            for place in 0..self.rows.degree {
                let link = self.rows.row_mut(i)[place];
                if link == NONE || !self.has_room(i, most) {
                    break;
                }
                let to = link & !KEEP;
                if self.reached[to as usize] {
                    continue;
                }
                if let Some(back) = self.rows.row_mut(to).iter_mut().find(|back| **back == i) {
                    *back |= KEEP;
                    self.rows.row_mut(i)[place] |= KEEP;
                    self.kept[i as usize] += 1;
                    self.kept[to as usize] += 1;
                    self.reach(to);
                }
            }
        }
    }

    /// Joins a vector that is not reached to one that is.
    fn join(&mut self, i: u32) {
        let linked = filled(self.rows.row(i)).iter().map(|link| link & !KEEP);
        let mut near = linked.filter(|&to| self.reached[to as usize]);
        let parent = match near.find(|&to| self.has_room(to, self.m)) {
            Some(parent) => parent,
            None => {
                let nearest = self.descend(i);
                with_room(self.rows, nearest, self.m, mix(u64::from(i)))
            }
        };
        self.kept[parent as usize] += 1;
        self.kept[i as usize] += 1;
        tie(self.rows, parent, i);
        self.reach(i);
    }

    /// A reached vector that is near.
    fn descend(&self, i: u32) -> u32 {
        let (mut side, mut row) = (Side::default(), Vec::new());
        let mut nearest = |others: &[u32]| {
            let codes = self.layer.codes;
            side.pack(codes.level, codes.form, others.iter().map(|&other| self.layer.point(other)));
            row.resize(side.stride().max(row.len()), 0);
            distances(codes.level, codes.form, &[self.layer.point(i)], &side, &mut row);
            row.iter().copied().zip(others.iter().copied()).take(others.len()).min()
        };
        let step = self.queue.len().div_ceil(STARTS);
        let starts: Vec<u32> = self.queue.iter().step_by(step).copied().collect();
        let mut best = nearest(&starts).unwrap_or((u32::MAX, self.queue[0]));
        loop {
            let row = filled(self.rows.row(best.1)).iter().map(|link| link & !KEEP);
            let around: Vec<u32> = row.filter(|&to| self.reached[to as usize]).collect();
            match nearest(&around) {
                Some(better) if better < best => best = better,
                _ => return best.1,
            }
        }
    }
}

/// A vector of the tree that can take another child: on the way from one that never turns back, chosen by `choice`; it ends at a leaf, and
/// leaves have room.
pub(super) fn with_room(rows: &Rows, from: u32, m: usize, choice: u64) -> u32 {
    let (mut before, mut at, mut choice) = (NONE, from, choice);
    loop {
        let kept = || filled(rows.row(at)).iter().filter(|&link| link & KEEP != 0).map(|link| link & !KEEP);
        if kept().count() <= m {
            return at;
        }
        let ways: Vec<u32> = kept().filter(|&to| to != before).collect();
        choice = mix(choice);
        (before, at) = (at, ways[(choice % ways.len() as u64) as usize]);
    }
}

/// Two kept links between a vector with room and its new child.
pub(super) fn tie(rows: &mut Rows, parent: u32, child: u32) {
    for (from, to) in [(parent, child), (child, parent)] {
        let row = rows.row_mut(from);
        // In place of itself, of nothing, or of the last that is not kept: rows hold 2 m links, of which at most m + 1 are kept.
        let place = row
            .iter()
            .position(|&link| link & !KEEP == to || link == NONE)
            .or_else(|| row.iter().rposition(|link| link & KEEP == 0));
        if let Some(place) = place {
            row[place] = to | KEEP;
        }
    }
}
