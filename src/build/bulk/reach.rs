//! How do tight clusters hold together? By links of another scale.
//!
//! In data of tight clusters all that leaves offer a vector is of its own cluster, however far the walk must go. Where the nearest of a
//! leaf are many times nearer than the leaders, a few members of the leaf that a hash draws are noted; in the end those outside the
//! cluster, and the leaders, are candidates for links of their own, which near neighbours do not rule out.

use super::carve::Leaders;
use super::layer::{Layer, Rows, filled};
use super::prune::Chooser;
use crate::distance::tile::Form;
use crate::graph::NONE;
use crate::util::random::mix;
use parking_lot::Mutex;

/// Squared distances that differ by this factor are of different scales. In two or three dimensions it occurs in any data.
const CROWDED: f64 = 64.0;
/// What is so many times farther than the farthest neighbour is not of the same cluster.
const OUTSIDE: f64 = 16.0;
/// Members of leaves that are noted for each that is crowded, all leaves together.
const DRAWN: usize = 40;

/// Pairs of a crowded vector and another that shared a leaf with it.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<Vec<(u32, u32)>>);

impl Noted {
    /// Looks at a leaf, of which each member's `near` nearest are known.
    ///
    /// `leaves`: of how many each vector is a member.
    pub(super) fn look(
        &self,
        layer: Layer<'_>,
        (leaders, leaves): (&Leaders, usize),
        leaf: &[u32],
        (near, nearest): (usize, &[u64]),
    ) {
        // Inner product is no measure of being apart.
        if layer.codes.form == Form::Lifted {
            return;
        }
        let crowded = leaf.iter().zip(nearest.chunks(near)).filter(|(i, keys)| {
            let edge = (keys[(near - 1).min(3)] >> 32) as u32;
            layer.codes.exceeds(leaders.reach(**i), edge, CROWDED)
        });
        let mut noted = None;
        for (&i, _) in crowded {
            let noted = noted.get_or_insert_with(|| self.0.lock());
            for draw in 0..DRAWN.div_ceil(leaves) as u64 {
                let hash = mix(u64::from(i) << 32 | u64::from(leaf[0])).wrapping_add(draw);
                noted.push((i, leaf[(mix(hash) % leaf.len() as u64) as usize]));
            }
        }
    }

    /// Gives crowded vectors links beyond their cluster, and those that they lead to links back.
    pub(super) fn link(self, layer: Layer<'_>, rows: &mut Rows, leaders: &Leaders) {
        let mut noted = self.0.into_inner();
        noted.sort_unstable();
        noted.dedup();
        let (mut chooser, mut ranked, mut all) = (Chooser::default(), Vec::new(), Vec::new());
        let mut far = vec![NONE; rows.degree / 2];
        let mut back = Vec::new();
        for group in noted.chunk_by(|a, b| a.0 == b.0) {
            let i = group[0].0;
            chooser.rank(layer, i, filled(rows.row(i)), &mut ranked);
            let edge = ranked.last().map_or(0, |key| (key >> 32) as u32);
            all.clear();
            all.extend(group.iter().map(|&(_, other)| other).chain(leaders.of(i)).filter(|&other| other != i));
            all.sort_unstable();
            all.dedup();
            chooser.rank(layer, i, &all, &mut ranked);
            ranked.retain(|key| layer.codes.exceeds((key >> 32) as u32, edge, OUTSIDE));
            chooser.choose(layer, i, &ranked, &mut far);
            back.extend(filled(&far).iter().map(|&other| (other, i)));
            add(rows.row_mut(i), filled(&far));
        }
        back.sort_unstable();
        for group in back.chunk_by(|a, b| a.0 == b.0) {
            all.clear();
            all.extend(group.iter().map(|&(_, i)| i));
            chooser.choose_among(layer, group[0].0, &all, &mut far);
            add(rows.row_mut(group[0].0), filled(&far));
        }
    }
}

/// Puts links that are new at the end of a row, as many as fit.
fn add(row: &mut [u32], links: &[u32]) {
    for &link in links {
        if let Some(place) = row.iter().position(|&held| held == NONE || held == link) {
            row[place] = link;
        }
    }
}
