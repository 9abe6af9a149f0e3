//! How many links do these vectors ask for? The degree of a graph whose owner left it open.
//!
//! A row of pruned links is as long as the data ask for, and that hangs on their *intrinsic dimension*: 4 links in two or three dimensions, 9 to 14 in
//! the ten to fifteen that photographs, digits and texts have. A degree above 16 costs memory wherever it helps, so none is chosen; one of 8
//! halves the rows, and costs nothing as long as no row is cut short by it. That is so up to some six dimensions.
//!
//! In d dimensions a ball of half the squared radius holds 2^(-d/2) of the neighbours. So for some vectors the neighbours are counted that are nearer than that of
//! the 8th, the 24th and the 96th nearest: at every scale, because tight clusters look like few dimensions at the scale that they are told apart at, and like
//! many within. Most vectors must agree at the largest scale, so that a part of the data does not speak for the rest. All of it is integers, the same on every machine.

use super::codes::Codes;
use super::guard::{NEAR, nearest};
use super::team::Team;
use crate::distance::tile::Form;
use crate::util::error::Result;
use crate::util::random::mix;

/// Vectors from which on a pile decides; `index::estimate` counts on it, too. Those that are there when a graph of so many begins to grow may be fewer.
pub(crate) const FROM: usize = 5000;
pub(crate) const GROWING_FROM: usize = 4000;
/// The degree where vectors differ in few dimensions, and otherwise.
pub(crate) const LOW: u32 = 8;
pub(crate) const USUAL: u32 = 16;
/// Vectors that are asked, and those among which their neighbours are looked for, at most.
const ASKED: u64 = 64;
const AMONG: usize = 1 << 16;
/// Neighbours that are counted; fewer than [`NEAR`], because equal vectors are passed over.
const SCALES: [usize; 3] = [8, 24, 96];
/// One neighbour in so many within half the squared distance: 6.3 dimensions.
const INNER: usize = 9;

/// The degree for vectors with these codes.
pub(super) fn degree(codes: &Codes, team: &Team<'_>) -> Result<u32> {
    let measured = matches!(codes.form, Form::Squares | Form::RealSquares | Form::Differences | Form::RealDifferences);
    if !measured {
        return Ok(USUAL);
    }
    let asked: Vec<u32> = (0..ASKED).map(|i| (mix(!i) % codes.len() as u64) as u32).collect();
    let found = nearest(codes, &asked, codes.len().div_ceil(AMONG), team)?;
    let mut inner = [0; SCALES.len()];
    let mut agree = 0;
    for keys in &found {
        let distances: Vec<u32> = keys.iter().map(|key| (key >> 32) as u32).filter(|&distance| distance > 0).collect();
        for (inner, scale) in inner.iter_mut().zip(SCALES) {
            let Some(&edge) = distances.get(scale - 1) else { return Ok(USUAL) };
            let here = distances[..scale].iter().filter(|&&distance| codes.exceeds(edge, distance, 2.0)).count();
            *inner += here;
            agree += usize::from(scale == SCALES[2] && here * INNER >= scale);
        }
    }
    let is_low = inner.iter().zip(SCALES).all(|(inner, scale)| inner * INNER >= scale * found.len());
    Ok(if is_low && agree * 4 >= found.len() * 3 { LOW } else { USUAL })
}

const _: () = assert!(SCALES[2] + SCALES[2] / 4 <= NEAR);

#[cfg(test)]
#[path = "tests/degree.rs"]
mod tests;
