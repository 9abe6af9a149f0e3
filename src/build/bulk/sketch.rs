//! In which direction does one vector lie from another? Sketches, for the reservoirs.
//!
//! A pair of vectors drawn from the pile is a hyperplane halfway between them; the difference of a vector's distances to both says how
//! far it lies on which side. So the directions are those in which the data differ, and every metric has them.

use super::codes::Codes;
use super::reservoir::Sketch;
use super::team::Team;
use crate::distance::tile::{Point, Side, distances};
use crate::util::error::Result;
use crate::util::memory::zeroed;
use crate::util::random::mix;

/// Vectors that a thread sketches at a time.
const PART: usize = 512;
/// Two for each direction.
const DRAWN: usize = 32;

/// The sketches of all codes; planes are drawn from the distinct ones.
pub(super) fn sketches(
    codes: &Codes,
    distinct: &[u32],
    seed: u64,
    team: &Team<'_>,
    share: usize,
) -> Result<Vec<Sketch>> {
    let count = codes.len();
    let mut sketches = zeroed::<Sketch>(count)?;
    let drawn = draw(distinct, seed);
    let mut side = Side::default();
    side.pack(codes.level, codes.form, drawn.iter().map(|&i| codes.point(i)));
    team.each(sketches.chunks_mut(PART), share, |piece, sketches, (points, rows): &mut (Vec<Point<'_>>, Vec<u32>)| {
        let first = (piece * PART) as u32;
        points.clear();
        points.extend((first..first + sketches.len() as u32).map(|i| codes.point(i)));
        rows.resize(PART * side.stride(), 0);
        distances(codes.level, codes.form, points, &side, rows);
        for (sketch, row) in sketches.iter_mut().zip(rows.chunks(side.stride())) {
            for (place, pair) in sketch.iter_mut().zip(row.as_chunks::<2>().0) {
                let difference = (i64::from(pair[0]) - i64::from(pair[1])) >> 1;
                *place = (difference as i32).cast_unsigned() ^ 1 << 31;
            }
        }
    })?;
    Ok(sketches)
}

/// As many codes as there are to be drawn, by a hash; some more than once where there are few.
fn draw(distinct: &[u32], seed: u64) -> Vec<u32> {
    let mut state = mix(seed ^ 0x5eed);
    let next = |state: &mut u64| {
        *state = mix(*state);
        distinct[(*state % distinct.len() as u64) as usize]
    };
    (0..DRAWN).map(|_| next(&mut state)).collect()
}
