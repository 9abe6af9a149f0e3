//! Which candidates become neighbours? The nearest that no chosen one is nearer to (Malkov and Yashunin, algorithm 4), and the links
//! back to whoever chose them.

use super::layer::{Layer, Rows, filled};
use super::reservoir::Reservoirs;
use super::team::{Team, zeros};
use crate::distance::tile::{Side, distances};
use crate::graph::NONE;
use crate::util::error::Result;
use crate::util::memory::{repeated, roomy};

/// Vectors that a thread works on at a time.
const PART: usize = 256;

/// Buffers of a thread that chooses.
#[derive(Default)]
pub(super) struct Chooser {
    side: Side,
    row: Vec<u32>,
    dead: Vec<bool>,
    ranked: Vec<u64>,
    next: Vec<u64>,
}

impl Chooser {
    /// Chooses among candidates, nearest first, each its distance and number in one; writes as many as the row holds.
    pub(super) fn choose(&mut self, layer: Layer<'_>, i: u32, ranked: &[u64], row: &mut [u32]) {
        let Self { side, row: between, dead, .. } = self;
        let (level, form) = (layer.codes.level, layer.codes.form);
        row.fill(NONE);
        side.pack(level, form, ranked.iter().map(|&key| layer.point(key as u32)));
        between.resize(between.len().max(side.stride()), 0);
        dead.clear();
        dead.resize(ranked.len(), false);
        let mut taken = 0;
        for (place, &key) in ranked.iter().enumerate() {
            if dead[place] {
                continue;
            }
            row[taken] = key as u32;
            taken += 1;
            if taken == row.len() {
                break;
            }
            distances(level, form, &[layer.point(key as u32)], side, between);
            for ((dead, &between), &key) in dead.iter_mut().zip(between.iter()).zip(ranked).skip(place + 1) {
                *dead |= between < (key >> 32) as u32;
            }
        }
        if layer.sticky[i as usize] {
            let others = ranked.iter().zip(dead.iter()).filter(|(_, dead)| **dead);
            row[taken..].iter_mut().zip(others).for_each(|(link, (&key, _))| *link = key as u32);
        }
    }

    /// Chooses for a vector among others whose distances are not known.
    pub(super) fn choose_among(&mut self, layer: Layer<'_>, i: u32, all: &[u32], row: &mut [u32]) {
        let mut ranked = std::mem::take(&mut self.ranked);
        self.rank(layer, i, all, &mut ranked);
        self.choose(layer, i, &ranked, row);
        self.ranked = ranked;
    }

    /// Others and their distances from a vector, nearest first.
    pub(super) fn rank(&mut self, layer: Layer<'_>, i: u32, all: &[u32], ranked: &mut Vec<u64>) {
        let Self { side, row: between, .. } = self;
        let (level, form) = (layer.codes.level, layer.codes.form);
        side.pack(level, form, all.iter().map(|&other| layer.point(other)));
        between.resize(between.len().max(side.stride()), 0);
        distances(level, form, &[layer.point(i)], side, between);
        ranked.clear();
        ranked.extend(between.iter().zip(all).map(|(&distance, &other)| u64::from(distance) << 32 | u64::from(other)));
        ranked.sort_unstable();
    }
}

/// Rows of so few vectors that each may choose among all.
pub(super) fn rows_of_few(layer: Layer<'_>, degree: usize) -> Result<Rows> {
    let (mut links, mut chooser) = (repeated(NONE, layer.len() * degree)?, Chooser::default());
    for (i, row) in (0..).zip(links.chunks_mut(degree)) {
        let others: Vec<u32> = (0..layer.len() as u32).filter(|&other| other != i).collect();
        chooser.choose_among(layer, i, &others, row);
    }
    Ok(Rows { degree, links })
}

/// Rows of chosen candidates.
pub(super) fn rows(
    layer: Layer<'_>,
    reservoirs: &Reservoirs,
    degree: usize,
    team: &Team<'_>,
    share: usize,
) -> Result<Rows> {
    let mut links = zeros::<u32>(layer.len() * degree)?;
    team.each(links.chunks_mut(PART * degree), share, |piece, links, chooser: &mut Chooser| {
        let first = (piece * PART) as u32;
        let end = first + (links.len() / degree) as u32;
        let (mut ranked, mut next) = (std::mem::take(&mut chooser.ranked), std::mem::take(&mut chooser.next));
        reservoirs.of(first).lock().ranked(&mut next);
        for (i, row) in (first..end).zip(links.chunks_mut(degree)) {
            std::mem::swap(&mut ranked, &mut next);
            if i + 1 < end {
                reservoirs.of(i + 1).lock().ranked(&mut next);
                next.iter().for_each(|&key| layer.fetch(key as u32));
            }
            chooser.choose(layer, i, &ranked, row);
        }
        (chooser.ranked, chooser.next) = (ranked, next);
    })?;
    Ok(Rows { degree, links })
}

/// Adds the links back: those that are missing, grouped by the row that lacks them, each row once.
pub(super) fn link_back(layer: Layer<'_>, rows: &mut Rows, team: &Team<'_>, share: usize) -> Result<()> {
    let (count, degree) = (layer.len(), rows.degree);
    let mut missing: Vec<Vec<(u32, u32)>> = repeated(Vec::new(), count.div_ceil(PART))?;
    team.each(missing.iter_mut(), share, |piece, missing, (): &mut ()| {
        let first = (piece * PART) as u32;
        for i in first..(first + PART as u32).min(count as u32) {
            if i + 1 < count as u32 {
                rows.row(i + 1).iter().for_each(|&to| rows.fetch(to));
            }
            missing.extend(rows.row(i).iter().filter(|&&to| !rows.row(to).contains(&i)).map(|&to| (to, i)));
        }
    })?;
    let parts = missing;
    let mut missing: Vec<(u32, u32)> = roomy(parts.iter().map(Vec::len).sum())?;
    missing.extend(parts.into_iter().flatten());
    missing.sort_unstable();
    team.each(rows.links.chunks_mut(PART * degree), share, |piece, links, (chooser, all): &mut (Chooser, Vec<u32>)| {
        let first = (piece * PART) as u32;
        let begin = missing.partition_point(|&(to, _)| to < first);
        let mut rest = &missing[begin..];
        for (i, row) in (first..).zip(links.chunks_mut(degree)) {
            let more = rest.partition_point(|&(to, _)| to <= i);
            let (here, later) = rest.split_at(more);
            rest = later;
            if here.is_empty() {
                continue;
            }
            all.clear();
            all.extend(filled(row));
            all.extend(here.iter().map(|&(_, from)| from));
            if all.len() <= degree {
                row[..all.len()].copy_from_slice(all);
            } else {
                chooser.choose_among(layer, i, all, row);
            }
        }
    })
}
