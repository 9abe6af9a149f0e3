//! What is linked at one level: some vectors of a pile, no two of them equal, and their rows.

use super::codes::Codes;
use super::reservoir::Sketch;
use crate::distance::tile::Point;
use crate::graph::NONE;
use crate::util::memory::{LINE, prefetch};

/// Vectors of one level; numbered 0 and up, whatever their place in the pile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub(super) codes: &'a Codes,
    pub(super) sketches: &'a [Sketch],
    /// Their places in the pile, ascending.
    pub(super) members: &'a [u32],
    /// Whether a walk may be stuck at a member, so that its row should be full: it has many twins, which fill the breadth of a walk.
    pub(super) sticky: &'a [bool],
}

impl<'a> Layer<'a> {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    #[inline(always)]
    pub(super) fn point(&self, i: u32) -> Point<'a> {
        self.codes.point(self.members[i as usize])
    }

    /// Asks for the beginning of a code; the hardware streams the rest.
    #[inline(always)]
    pub(super) fn fetch(&self, i: u32) {
        const LINES: usize = 4;
        let words = self.codes.words_of(self.members[i as usize]);
        for line in words.chunks(LINE / 4).take(LINES) {
            prefetch(line.as_ptr().cast());
        }
    }

    #[inline(always)]
    pub(super) fn fetch_sketch(&self, i: u32) {
        prefetch(std::ptr::from_ref(self.sketch(i)).cast());
    }

    #[inline(always)]
    pub(super) fn sketch(&self, i: u32) -> &'a Sketch {
        &self.sketches[self.members[i as usize] as usize]
    }
}

/// Rows of equal room; [`NONE`] behind the last link of each.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) degree: usize,
    pub(super) links: Vec<u32>,
}

impl Rows {
    pub(super) fn row(&self, i: u32) -> &[u32] {
        filled(&self.links[i as usize * self.degree..][..self.degree])
    }

    /// Asks for a row.
    #[inline]
    pub(super) fn fetch(&self, i: u32) {
        let row = &self.links[i as usize * self.degree..][..self.degree];
        row.iter().step_by(LINE / 4).for_each(|link| prefetch(std::ptr::from_ref(link).cast()));
    }

    pub(super) fn row_mut(&mut self, i: u32) -> &mut [u32] {
        &mut self.links[i as usize * self.degree..][..self.degree]
    }
}

/// The links of a row.
pub(super) fn filled(row: &[u32]) -> &[u32] {
    &row[..row.iter().position(|&link| link == NONE).unwrap_or(row.len())]
}
