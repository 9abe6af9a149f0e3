//! Which of some codes are nearer to a point than to each other? The nearest one is chosen, what is nearer to it than to the point is
//! ruled out, and so on with the nearest that is left.

use super::{COLUMNS, Form, GROUP, Point, Shape, Side, some};
use super::{Differences, Hamming, Jaccard, Lifted, RealDifferences, RealSquares, Squares};
use crate::distance::{LevelJob, run_on};
use crate::simd::{Level, Words};

/// Candidates whose distances are computed together: one after the other, a row of them keeps too few sums going.
const BAND: usize = 4;

/// Buffers of [`choose`], and what it found.
#[derive(Debug, Default)]
pub struct Choice {
    side: Side,
    rows: Vec<u32>,
    own: Vec<u32>,
    /// A bit for each candidate that is ruled out, 16 to a number.
    out: Vec<u32>,
    chosen: Vec<u32>,
}

impl Choice {
    /// The places of the candidates that were chosen, nearest first.
    #[must_use]
    pub fn chosen(&self) -> &[u32] {
        &self.chosen
    }

    /// Whether a chosen candidate is nearer to this one than the point is.
    #[must_use]
    pub fn is_ruled_out(&self, place: usize) -> bool {
        self.out[place / GROUP] >> (place % GROUP) & 1 != 0
    }
}

struct Choose<'c, P> {
    form: Form,
    candidate: P,
    most: usize,
    choice: &'c mut Choice,
}

impl<'a, P: Fn(usize) -> Point<'a>> LevelJob for Choose<'_, P> {
    type Output = ();
    #[inline(always)]
    fn run<S: Words>(self, s: S) {
        let Self { form, candidate, most, choice } = self;
        by_form!(form, F => choose_by::<S, F>(s, &candidate, most, choice));
    }
}

#[inline(always)]
fn choose_by<'a, S: Words, F: Shape<S>>(
    s: S,
    candidate: &impl Fn(usize) -> Point<'a>,
    most: usize,
    choice: &mut Choice,
) {
    let Choice { side, rows, own, out, chosen } = choice;
    let (count, stride) = (side.count, side.stride());
    let mut next = 0;
    while next < count && chosen.len() < most {
        let (mut places, mut points, mut held) = ([0; BAND], [candidate(next); BAND], 0);
        while next < count && held < BAND {
            if out[next / GROUP] >> (next % GROUP) & 1 == 0 {
                (places[held], points[held]) = (next, candidate(next));
                held += 1;
            }
            next += 1;
        }
        let Some(&first) = places[..held].first() else { return };
        let mut done = 0;
        while done < held {
            let from = first / COLUMNS * COLUMNS;
            done += some::<S, F>(s, &points[done..held], (side, from), &mut rows[done * stride..]);
        }
        for (row, &place) in rows.chunks_exact(stride).zip(&places[..held]) {
            if out[place / GROUP] >> (place % GROUP) & 1 != 0 {
                continue;
            }
            chosen.push(place as u32);
            if chosen.len() == most {
                return;
            }
            // Of the columns up to its own only bits that mean nothing any more are changed: they were chosen or ruled out before, and
            // those chosen are put back in the end.
            for (group, out) in out.iter_mut().enumerate().skip((place + 1) / GROUP) {
                *out |= nearer::<S>(s, &row[group * GROUP..][..GROUP], &own[group * GROUP..][..GROUP]);
            }
        }
    }
}

/// A bit for each of 16 places where `a` is below `b`.
#[inline(always)]
fn nearer<S: Words>(s: S, a: &[u32], b: &[u32]) -> u32 {
    let mut mask = 0;
    for at in (0..GROUP).step_by(S::LANES) {
        // SAFETY: 16 is a multiple of the lanes, so both have as many words from `at` on.
        let (a, b) = unsafe { (s.load(a[at..].as_ptr()), s.load(b[at..].as_ptr())) };
        mask |= s.at_most(b, a) << at;
    }
    !mask & 0xffff
}

/// Chooses at most `most` of some candidates, nearest first, with their distances from the point. `candidate` gives the code of each.
pub fn choose<'a>(
    level: Level,
    form: Form,
    distances: impl ExactSizeIterator<Item = u32>,
    candidate: impl Fn(usize) -> Point<'a>,
    most: usize,
    choice: &mut Choice,
) {
    choice.chosen.clear();
    let count = distances.len();
    choice.side.pack(level, form, (0..count).map(&candidate));
    let stride = choice.side.stride();
    choice.own.clear();
    choice.own.extend(distances);
    choice.own.resize(stride, 0);
    choice.out.clear();
    choice.out.resize(stride / GROUP, 0);
    choice.rows.resize(choice.rows.len().max(BAND * stride), 0);
    if count > 0 && most > 0 {
        run_on(level, Choose { form, candidate, most, choice });
    }
    for &place in &choice.chosen {
        choice.out[place as usize / GROUP] &= !(1 << (place as usize % GROUP));
    }
}
