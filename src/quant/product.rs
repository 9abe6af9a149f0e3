//! How does a byte stand for several directions at once?
//!
//! Product quantisation (Jégou and others, 2011): the directions of the projection are divided into *parts*, and of each part a byte says which of 256
//! learnt places is nearest. A code's product with a query is then a sum of one entry of a table for each part, and the tables, products of the query
//! with all places, are made once per query. What remains is as for rounded codes (`mod.rs`): a factor makes the estimate right along the vector.
//!
//! Parts get directions so that each has about as much to tell (optimised product quantisation, Ge and others, 2013, in its parametric form): a direction
//! tells half a bit for each doubling of its variance above a level that all bits together reach; the weightiest go first, each to the part that has least to
//! tell yet. So a part has one strong direction or several weak ones.
//!
//! Projections are rounded to bytes, with a step of the codec's: places, too, are bytes, so that encoding and the tables are exact integers, and a
//! code is the same on every level.

use super::kmeans::{Clusters, Plan, Seeding, cluster};
use super::rounded::{MOST, Rounded, best_step, point_of};
use super::{code_bytes, largest, whole};
use crate::distance::closest::{self, Book};
use crate::simd::Level;
use crate::util::error::{Error, Result};
use crate::util::hands::Hands;
use parking_lot::Mutex;

/// Directions of a part, at most.
pub(super) const MOST_OF_A_PART: usize = 8;
/// Places of a part.
const PLACES: usize = closest::MOST;
/// Vectors of a sample, at least: 64 for each place.
pub(super) const SAMPLE: usize = 64 * PLACES;
/// Rounds over parts of the sample, and over all of it.
const ROUNDS: (usize, usize) = (8, 12);
/// Bytes of an entry of a query's tables.
const ENTRY: usize = 2;
/// A factor is at most so many steps: where a place has nearly nothing in common with the vector, what it tells is not blown up.
const MOST_FACTOR: f32 = 4.0;

/// Parts of codes of so many lines: a byte each.
pub(super) fn parts(lines: usize) -> usize {
    code_bytes(lines)
}

/// Words of a part, where so many directions are divided. With one word a part has four at most, which must leave room to choose.
fn words_of(directions: usize, lines: usize) -> usize {
    if directions <= 3 * parts(lines) { 1 } else { 2 }
}

/// Bytes in a file of what is learnt: where each direction stands, then the places.
pub(super) fn blob_bytes(directions: usize, lines: usize) -> usize {
    2 * directions + parts(lines) * PLACES * 4 * words_of(directions, lines)
}

/// Memory that is held for it, about: places twice, and for each its norm, its key and a word more.
pub(super) fn memory(directions: usize, lines: usize) -> usize {
    let each = 2 * 4 * words_of(directions, lines) + 12;
    size_of::<Product>() + 2 * directions + parts(lines) * (PLACES * each + size_of::<Book>())
}

/// What product codes have learnt.
#[derive(Debug, Default)]
pub(crate) struct Product {
    /// For each direction, which byte of a spelt projection is its: part by part.
    stands: Vec<u16>,
    /// Words of a part.
    words: usize,
    /// What one unit of a byte stands for.
    pub(super) step: f32,
    /// The places of each part, and the same for looking them up.
    places: Vec<u32>,
    books: Vec<Book>,
}

/// Where each direction stands: the weightiest first, each in the part that has least to tell yet.
pub(super) fn divide(weights: &[f32], lines: usize) -> Vec<u16> {
    let (parts, of_part) = (parts(lines), 4 * words_of(weights.len(), lines));
    let bits = bits_of(weights, 8.0 * parts as f64);
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| bits[b].total_cmp(&bits[a]).then(a.cmp(&b)));
    let mut held = vec![(0.0_f64, 0_usize); parts];
    let mut stands = vec![0; weights.len()];
    for direction in order {
        let open = (0..parts).filter(|&part| held[part].1 < of_part);
        let least = open.min_by(|&a, &b| held[a].0.total_cmp(&held[b].0).then(held[a].1.cmp(&held[b].1)));
        let Some(part) = least else { continue };
        stands[direction] = (part * of_part + held[part].1) as u16;
        held[part] = (held[part].0 + bits[direction], held[part].1 + 1);
    }
    stands
}

/// Bits that each direction has to tell, together so many, or all nothing.
pub(super) fn bits_of(weights: &[f32], all: f64) -> Vec<f64> {
    let logs: Vec<f64> = weights.iter().map(|&weight| 0.5 * f64::from(weight.max(f32::MIN_POSITIVE)).log2()).collect();
    let at = |level: f64| logs.iter().map(move |&log| (log - level).max(0.0));
    let highest = logs.iter().copied().fold(f64::MIN, f64::max);
    // All bits are reached between one direction that tells all and the lowest one that tells its share.
    let (mut low, mut high) = (highest - all - 1.0, highest);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if at(middle).sum::<f64>() > all { low = middle } else { high = middle }
    }
    at(high).collect()
}

impl Product {
    /// Learns from projections of a sample, `weights.len()` floats each, of which these are the directions' variances; `None` if they do not vary.
    pub(super) fn learn(
        (projections, weights): (&[f32], &[f32]),
        (lines, seed, level): (usize, u64, Level),
        hands: &Hands<'_>,
    ) -> Result<Option<Self>> {
        let (directions, parts) = (weights.len(), parts(lines));
        let step = best_step(projections);
        if !step.is_normal() {
            return Ok(None);
        }
        let words = words_of(directions, lines);
        let stands = divide(weights, lines);
        let mut rows = Rounded::zero(projections.len() / directions, parts * words)?;
        let mut spelt = Vec::new();
        for (i, projection) in projections.chunks_exact(directions).enumerate() {
            spell(projection, 1.0 / step, &stands, parts * words, &mut spelt);
            rows.row_mut(i).copy_from_slice(&spelt);
        }
        let found = cluster_parts(&rows, (parts, words, seed), hands)?;
        let places = found.into_iter().flat_map(|found| found.words).collect();
        Ok(Some(Self::from_parts((stands, places), (words, step), level)))
    }

    fn from_parts((stands, places): (Vec<u16>, Vec<u32>), (words, step): (usize, f32), level: Level) -> Self {
        let mut product = Self { stands, words, step, places, books: Vec::new() };
        product.use_level(level);
        product
    }

    /// Packs the places for a level.
    pub(super) fn use_level(&mut self, level: Level) {
        let parts = self.places.chunks_exact(PLACES * self.words);
        self.books = parts.map(|places| Book::new(level, places.chunks_exact(self.words).map(point_of))).collect();
    }

    pub(super) fn bytes(&self) -> usize {
        let books: usize = self.books.iter().map(Book::bytes).sum();
        size_of::<Self>()
            + 2 * self.stands.capacity()
            + 4 * self.places.capacity()
            + self.books.capacity() * size_of::<Book>()
            + books
    }

    /// Writes a byte for each part of a projection. Leaves in `levels` what they stand for, direction by direction, in steps. Returns what a unit of their
    /// product with a query must be multiplied with to estimate that of the projection, whose square is `kept`.
    #[inline(always)]
    pub(super) fn encode(
        &self,
        (projection, kept): (&[f32], f32),
        spelt: &mut Vec<u32>,
        levels: &mut Vec<f32>,
        code: &mut [u8],
    ) -> f32 {
        spell(projection, 1.0 / self.step, &self.stands, self.places.len() / PLACES, spelt);
        closest::choose(&self.books, spelt, code);
        let places = self.places.chunks_exact(PLACES * self.words);
        for ((part, places), code) in spelt.chunks_exact_mut(self.words).zip(places).zip(code) {
            part.copy_from_slice(&places[usize::from(*code) * self.words..][..self.words]);
        }
        levels.clear();
        levels.extend(self.stands.iter().map(|&stands| {
            let stands = usize::from(stands);
            f32::from(spelt[stands / 4].to_ne_bytes()[stands % 4].cast_signed())
        }));
        let along = super::subspace::dot(projection, levels);
        let most = MOST_FACTOR * self.step;
        if along * most > kept { kept / along } else { most }
    }

    /// Bytes of a query's tables.
    pub(super) fn table_bytes(&self) -> usize {
        ENTRY * PLACES * self.books.len()
    }

    /// Fills tables for a query's projection; says what one unit of an entry stands for, in units of the projection and of steps.
    #[inline(always)]
    pub(super) fn tabulate(&self, projection: &[f32], spelt: &mut Vec<u32>, tables: &mut [u8]) -> f32 {
        let most = largest(projection);
        if most < f32::MIN_POSITIVE {
            return 0.0;
        }
        let unit = most / MOST;
        spell(projection, 1.0 / unit, &self.stands, self.places.len() / PLACES, spelt);
        // Eight products of signed bytes reach 2^17, four 2^16: an entry has 16 bits.
        let shift = self.words as u32;
        closest::tabulate(&self.books, spelt, shift, tables);
        unit * (1 << shift) as f32
    }

    pub(super) fn to_blob(&self, blob: &mut Vec<u8>) {
        self.stands.iter().for_each(|stands| blob.extend_from_slice(&stands.to_le_bytes()));
        self.places.iter().for_each(|word| blob.extend_from_slice(&word.to_ne_bytes()));
    }

    /// From bytes that somebody wrote: [`blob_bytes`] of them.
    pub(super) fn from_blob(directions: usize, lines: usize, step: f32, blob: &[u8], level: Level) -> Result<Self> {
        let bad = |what: &str| Err(Error::corrupt(format!("section codec: {what}")));
        if !step.is_normal() || step < 0.0 {
            return bad("its step is not a positive number");
        }
        let words = words_of(directions, lines);
        let (stands, places) = blob.split_at(2 * directions);
        let stands: Vec<u16> = stands.as_chunks::<2>().0.iter().map(|&bytes| u16::from_le_bytes(bytes)).collect();
        let mut taken = vec![false; 4 * words * parts(lines)];
        for &stands in &stands {
            match taken.get_mut(usize::from(stands)) {
                Some(taken) if !*taken => *taken = true,
                _ => return bad("a direction stands where another does, or nowhere"),
            }
        }
        let of_part = 4 * words;
        let in_part = |at: usize| at / (of_part * PLACES) * of_part + at % of_part;
        if places.iter().enumerate().any(|(at, &byte)| byte != 0 && !taken[in_part(at)]) {
            return bad("it has bytes that no save writes");
        }
        let places = places.as_chunks::<4>().0.iter().map(|&bytes| u32::from_ne_bytes(bytes)).collect();
        Ok(Self::from_parts((stands, places), (words, step), level))
    }
}

/// Writes a projection as bytes, each direction where it stands.
#[inline(always)]
fn spell(projection: &[f32], inverse: f32, stands: &[u16], words: usize, spelt: &mut Vec<u32>) {
    spelt.clear();
    spelt.resize(words, 0);
    for (value, &stands) in projection.iter().zip(stands) {
        let byte = whole((value * inverse).clamp(-MOST, MOST)) as u8;
        let mut bytes = spelt[usize::from(stands) / 4].to_ne_bytes();
        bytes[usize::from(stands) % 4] = byte;
        spelt[usize::from(stands) / 4] = u32::from_ne_bytes(bytes);
    }
}

/// The places of every part.
fn cluster_parts(
    rows: &Rounded,
    (parts, words, seed): (usize, usize, u64),
    hands: &Hands<'_>,
) -> Result<Vec<Clusters>> {
    // Of few points nearly all are taken either way.
    let seeding = if rows.count() < 4 * PLACES { Seeding::Sampled } else { Seeding::Spread };
    let found: Vec<Mutex<Option<Result<Clusters>>>> = (0..parts).map(|_| Mutex::new(None)).collect();
    let pool = hands.pool;
    hands.run(parts, 1, |range, (): &mut ()| {
        for part in range {
            let plan = Plan {
                clusters: PLACES,
                seeding,
                partial: ROUNDS.0,
                whole: ROUNDS.1,
                seed: seed ^ (part as u64) << 32,
            };
            *found[part].lock() = Some(cluster(rows.view(part * words, words), &plan, (1, pool), &|_, _| false));
        }
    })?;
    let missing = || Err(Error::internal("a part without places"));
    found.into_iter().map(|found| found.into_inner().unwrap_or_else(missing)).collect()
}
