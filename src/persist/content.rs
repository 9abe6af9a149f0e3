//! Can the values in a file have come from an index? Checked on every open that reads them, besides the checksums, which a
//! hostile writer gets right.
//!
//! | section | rule |
//! |---|---|
//! | vectors | components of floating-point types are finite; the rest of a row is zero |
//! | states | one of the three; as many live and removed ones as the header says |
//! | scales | finite and not negative, or the one NaN that says that single precision cannot hold the norm |
//! | keys | live ones are unique and not reserved: `Store::from_parts` |
//!
//! A search survives NaN all the same: files opened unchecked skip the rules for vectors and scales.

use super::header::Counts;
use crate::distance::Element;
use crate::store::{EMPTY, LIVE, REMOVED};
use crate::util::error::{Error, Result};

/// The shape of the rows in the section of vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) element: Element,
    pub(super) vector_bytes: usize,
    pub(super) stride: usize,
}

impl Rows {
    /// Checks the bytes that lie `position` bytes behind the start of the section. `position` is a multiple of 4.
    pub(super) fn check(&self, position: u64, mut bytes: &[u8]) -> Result<()> {
        let mut row = position / self.stride as u64;
        let mut within = (position % self.stride as u64) as usize;
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(self.stride - within));
            let (vector, padding) = piece.split_at(piece.len().min(self.vector_bytes.saturating_sub(within)));
            if !all_finite(self.element, vector) {
                return Err(Error::corrupt(format!("section vectors: row {row} has a component that is not finite")));
            }
            if padding.iter().fold(0, |any, &byte| any | byte) != 0 {
                return Err(Error::corrupt(format!("section vectors: row {row} is not zero behind its vector")));
            }
            (row, within, bytes) = (row + 1, 0, rest);
        }
        Ok(())
    }
}

/// Whether no component has all exponent bits set. Written without an early exit, so that it becomes vector code.
fn all_finite(element: Element, bytes: &[u8]) -> bool {
    let any16 = |mask: u16| {
        let (components, _) = bytes.as_chunks::<2>();
        components.iter().fold(false, |any, &component| any | (u16::from_le_bytes(component) & mask == mask))
    };
    match element {
        Element::F32 => {
            let (components, _) = bytes.as_chunks::<4>();
            !components
                .iter()
                .fold(false, |any, &component| any | (u32::from_le_bytes(component) & 0x7f80_0000 == 0x7f80_0000))
        }
        Element::F16 => !any16(0x7c00),
        Element::Bf16 => !any16(0x7f80),
        Element::I8 | Element::U8 | Element::B1 | Element::Byte => true,
    }
}

/// The scale of a vector that is too long or too short for single precision: searches then compute its distances in double.
pub(super) const FAR: u32 = 0x7fc0_0000;

/// Checks scales that lie `position` bytes behind the start of their section.
pub(super) fn check_scales(position: u64, bytes: &[u8]) -> Result<()> {
    let (scales, _) = bytes.as_chunks::<4>();
    let sound = |bits: u32| bits == FAR || bits < f32::INFINITY.to_bits();
    match scales.iter().position(|&scale| !sound(u32::from_le_bytes(scale))) {
        Some(i) => Err(Error::corrupt(format!("section scales: record {} is not a scale", position / 4 + i as u64))),
        None => Ok(()),
    }
}

/// Counts states, and holds them against the header in the end.
#[derive(Debug, Default)]
pub(super) struct StateCount {
    slots: u64,
    live: u64,
    removed: u64,
}

impl StateCount {
    pub(super) fn add(&mut self, states: &[u8]) -> Result<()> {
        for &state in states {
            match state {
                EMPTY => {}
                LIVE => self.live += 1,
                REMOVED => self.removed += 1,
                other => {
                    return Err(Error::corrupt(format!("section states: slot {} has state {other}", self.slots)));
                }
            }
            self.slots += 1;
        }
        Ok(())
    }

    pub(super) fn compare(&self, stated: Counts) -> Result<()> {
        if (self.live, self.removed) != (stated.live, stated.removed) {
            return Err(Error::corrupt(format!(
                "section states: {} live and {} removed slots, the header says {} and {}",
                self.live, self.removed, stated.live, stated.removed
            )));
        }
        Ok(())
    }
}
