//! Do codes tell the neighbours of a vector from each other? If not, they are replaced by floats.
//!
//! Bytes are too little where one component is far larger than the others, where tails are heavy, or where clusters are finer than a step
//! of the code. For a few vectors the nearest by code are looked for among all; the real nearest of these should come first.

use super::codes::Codes;
use super::narrow;
use super::source::{Pile, Source};
use super::team::Team;
use crate::distance::tile::{Point, Side, distances};
use crate::util::error::Result;
use crate::util::random::mix;
use parking_lot::Mutex;

/// Vectors whose neighbours are looked at.
const ASKED: usize = 16;
/// Codes that are compared with these.
pub(super) const NEAR: usize = 128;
/// Of the real nearest among those, so many are looked for among so many of the nearest by code, and this share must be there.
const REAL: usize = 10;
const CODED: usize = 20;
const SHARE: f64 = 0.9;
/// Codes that a thread compares at a time.
const PART: usize = 4096;

/// Codes of a pile: bytes if they do, else floats.
pub(super) fn codes(pile: Pile<'_>, team: &Team<'_>, share: usize) -> Result<Codes> {
    let codes = Codes::of(pile, team, share)?;
    if codes.lossless || agreement(&codes, pile, team)? >= SHARE {
        return Ok(codes);
    }
    drop(codes);
    (team.afford)(Codes::real_bytes(pile))?;
    Codes::real(pile, team, 0)
}

/// Narrow codes in place of others, where they tell as much.
pub(super) fn narrow(codes: Codes, pile: Pile<'_>, seed: u64, team: &Team<'_>, share: usize) -> Result<Codes> {
    match narrow::narrow(&codes, seed, team, share)? {
        Some(narrow) if agreement(&narrow, pile, team)? >= SHARE => Ok(narrow),
        _ => Ok(codes),
    }
}

/// Share of the real nearest that are among the nearest by code.
fn agreement(codes: &Codes, pile: Pile<'_>, team: &Team<'_>) -> Result<f64> {
    let count = codes.len();
    let asked: Vec<u32> = (0..ASKED as u64).map(|i| (mix(i) % count as u64) as u32).collect();
    let near = nearest(codes, &asked, 1, team)?;
    let source = Source::new(pile, team)?;
    let slot = |place: u32| pile.slots[place as usize];
    let mut looked = vec![(0, 0); asked.len()];
    team.each(looked.iter_mut().zip(asked.iter().zip(near)), 0, |_, (looked, (&asked, near)), buffers| {
        let real: Vec<f64> = near.iter().map(|&key| source.distance(slot(asked), slot(key as u32), buffers)).collect();
        let mut ranked = real.clone();
        ranked.sort_unstable_by(f64::total_cmp);
        let wanted = REAL.min(real.len());
        if let Some(&edge) = ranked.get(wanted.wrapping_sub(1)) {
            // By distance: which of equal ones come first means nothing.
            let there = real.iter().take(CODED).filter(|&&distance| distance <= edge).count();
            *looked = (there.min(wanted), wanted);
        }
    })?;
    let (found, wanted) = looked.into_iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    Ok(if wanted == 0 { 1.0 } else { found as f64 / wanted as f64 })
}

/// The codes nearest to each of some among every `step`-th, without itself, nearest first: distance and place.
pub(super) fn nearest(codes: &Codes, asked: &[u32], step: usize, team: &Team<'_>) -> Result<Vec<Vec<u64>>> {
    let mut side = Side::default();
    side.pack(codes.level, codes.form, asked.iter().map(|&i| codes.point(i)));
    let all: Vec<Mutex<Vec<u64>>> = asked.iter().map(|_| Mutex::default()).collect();
    let (stride, count) = (side.stride(), codes.len().div_ceil(step));
    team.run(count.div_ceil(PART), 0, |piece, (points, rows, keys): &mut (Vec<Point<'_>>, Vec<u32>, Vec<u64>), _| {
        let range = piece * PART..count.min((piece + 1) * PART);
        let places = range.map(|i| (i * step) as u32);
        points.clear();
        points.extend(places.clone().map(|i| codes.point(i)));
        rows.resize(PART * stride, 0);
        distances(codes.level, codes.form, points, &side, rows);
        for (column, all) in all.iter().enumerate() {
            keys.clear();
            let others = places.clone().zip(rows.chunks(stride)).filter(|(i, _)| *i != asked[column]);
            keys.extend(others.map(|(i, row)| u64::from(row[column]) << 32 | u64::from(i)));
            shorten(keys);
            let mut all = all.lock();
            all.append(keys);
            if all.len() > 8 * NEAR {
                shorten(&mut all);
            }
        }
    })?;
    Ok(all
        .into_iter()
        .map(Mutex::into_inner)
        .map(|mut keys| (shorten(&mut keys), keys.sort_unstable(), keys).2)
        .collect())
}

/// Keeps the least.
fn shorten(keys: &mut Vec<u64>) {
    if keys.len() > NEAR {
        keys.select_nth_unstable(NEAR);
        keys.truncate(NEAR);
    }
}
