//! Which candidates become neighbours? The nearest that no chosen one is nearer to (Malkov and Yashunin, algorithm 4), and the links
//! back to whoever chose them.

use super::layer::{Layer, Rows, filled};
use super::reservoir::Reservoirs;
use super::team::Team;
use crate::distance::tile::{Choice, Side, choose, distances};
use crate::graph::NONE;
use crate::util::error::Result;
use crate::util::memory::{repeated, zeroed};

/// Vectors that a thread works on at a time.
const PART: usize = 256;

/// Lists of missing links at most: all are looked through for every so many rows that get links back.
const LISTS: usize = 512;
const GATHERED: usize = 2048;

/// Buffers of a thread that chooses.
#[derive(Default)]
pub(super) struct Chooser {
    choice: Choice,
    side: Side,
    row: Vec<u32>,
    ranked: Vec<u64>,
    next: Vec<u64>,
}

impl Chooser {
    /// Chooses among candidates, nearest first, each its distance and number in one; writes as many as the row holds.
    pub(super) fn choose(&mut self, layer: Layer<'_>, i: u32, ranked: &[u64], row: &mut [u32]) {
        let choice = &mut self.choice;
        let (level, form) = (layer.codes.level, layer.codes.form);
        let distances = ranked.iter().map(|&key| (key >> 32) as u32);
        choose(level, form, distances, |place| layer.point(ranked[place] as u32), row.len(), choice);
        row.fill(NONE);
        let chosen = choice.chosen();
        row.iter_mut().zip(chosen).for_each(|(link, &place)| *link = ranked[place as usize] as u32);
        if layer.sticky[i as usize] {
            let others = (0..ranked.len()).filter(|&place| choice.is_ruled_out(place));
            row[chosen.len()..].iter_mut().zip(others).for_each(|(link, place)| *link = ranked[place] as u32);
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
    let mut links = zeroed::<u32>(layer.len() * degree)?;
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
    let part = PART.max(count.div_ceil(LISTS));
    let mut missing: Vec<Vec<(u32, u32)>> = repeated(Vec::new(), count.div_ceil(part))?;
    team.each(missing.iter_mut(), share, |piece, missing, (): &mut ()| {
        let first = (piece * part) as u32;
        for i in first..(first + part as u32).min(count as u32) {
            if i + 1 < count as u32 {
                rows.row(i + 1).iter().for_each(|&to| rows.fetch(to));
            }
            missing.extend(rows.row(i).iter().filter(|&&to| !rows.row(to).contains(&i)).map(|&to| (to, i)));
        }
        missing.sort_unstable();
    })?;
    let parts = rows.links.chunks_mut(GATHERED * degree);
    team.each(parts, share, |piece, links, (chooser, all, missing_here): &mut (Chooser, Vec<u32>, Vec<_>)| {
        let first = (piece * GATHERED) as u32;
        let end = first + (links.len() / degree) as u32;
        missing_here.clear();
        for missing in &missing {
            let at = |i: u32| missing.partition_point(|&(to, _)| to < i);
            missing_here.extend_from_slice(&missing[at(first)..at(end)]);
        }
        missing_here.sort_unstable();
        let mut rest = &missing_here[..];
        for (i, row) in (first..).zip(links.chunks_mut(degree)) {
            let more = rest.iter().take_while(|(to, _)| *to <= i).count();
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
