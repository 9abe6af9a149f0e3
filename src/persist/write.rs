//! How does an index become bytes? Front to back, in blocks, each with its checksum.
//!
//! The header needs only counts, so it can be written first and nothing is ever written twice: the output may be a pipe.

use super::content::FAR;
use super::header::{BLOCK, Counts, Header, PAGE, SectionKind, get_u32, scaled};
use super::{Image, links};
use crate::graph::{Entry, level_of};
use crate::store::{EMPTY, LIVE, REMOVED};
use crate::util::error::{Error, Result};
use std::io::{self, Write};
use std::ops::RangeInclusive;

/// Which slots go into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Live ones only, numbered anew in their order: removed vectors leave no byte behind.
    Live,
    /// All, under their numbers, because links name them. Slots that were empty in the image are written as zeros.
    All,
}

/// An image on its way into a file.
pub(super) struct Serializer<'a> {
    image: &'a Image<'a>,
    keep: Keep,
    header: Header,
    /// One block in the making. Allocated at its full size before anything is written.
    block: Vec<u8>,
    /// Of every block so far.
    checksums: Vec<u8>,
    /// Bytes written so far.
    position: u64,
}

impl<'a> Serializer<'a> {
    pub(super) fn new(image: &'a Image<'a>, keep: Keep) -> Result<Self> {
        let count = |state: u8| image.states.iter().filter(|&&other| other == state).count() as u64;
        let (live, removed) = (count(LIVE), count(REMOVED));
        let slots = match keep {
            Keep::Live => Counts { all: live, live, removed: 0 },
            Keep::All => Counts { all: image.states.len() as u64, live, removed },
        };
        let upper_rows = if image.graph.is_some() { links::upper_rows(image.config, slots.all) } else { 0 };
        let header = Header::plan(image.config, slots, upper_rows);
        let checksum_bytes = header.section(SectionKind::CHECKSUMS).map_or(0, |section| section.bytes) as usize;
        Ok(Self { image, keep, header, block: reserved(BLOCK)?, checksums: reserved(checksum_bytes)?, position: 0 })
    }

    /// Writes the whole file.
    pub(super) fn write(mut self, out: &mut impl Write) -> io::Result<()> {
        let page = self.header.encode();
        // The table of checksums begins with the header's, so that it belongs to this header only.
        self.checksums.extend_from_slice(&get_u32(&page, super::header::at::CHECKSUM).to_le_bytes());
        out.write_all(&page)?;
        self.position = PAGE as u64;
        for section in self.header.payload().to_vec() {
            self.pad(section.offset, out)?;
            self.section(section.kind, out)?;
            self.flush(out)?;
            debug_assert_eq!(self.position, section.end());
        }
        self.pad(self.header.section(SectionKind::CHECKSUMS).map_or(self.position, |section| section.offset), out)?;
        let last = crc32c::crc32c(&self.checksums);
        self.checksums.extend_from_slice(&last.to_le_bytes());
        out.write_all(&self.checksums)
    }

    fn section(&mut self, kind: SectionKind, out: &mut impl Write) -> io::Result<()> {
        let store = self.image.store;
        match kind {
            SectionKind::VECTORS => {
                // Only the vector is copied and the rest of the row is zeros by construction, whatever lies in memory.
                let padding = vec![0; store.stride() - store.vector_bytes()];
                self.each_slot(out, |this, slot, out| match slot {
                    Some(slot) => {
                        this.push(store.vector_slice(slot), out)?;
                        this.push(&padding, out)
                    }
                    None => this.push_zeros(store.stride(), out),
                })
            }
            SectionKind::KEYS => self.each_slot(out, |this, slot, out| {
                this.push(&slot.map_or(0, |slot| store.key(slot)).to_le_bytes(), out)
            }),
            SectionKind::STATES => {
                let states = self.image.states;
                self.each_slot(out, |this, slot, out| {
                    this.push(&[slot.map_or(EMPTY, |slot| states[slot as usize])], out)
                })
            }
            SectionKind::SCALES => {
                debug_assert!(scaled(self.image.config));
                self.each_slot(out, |this, slot, out| {
                    let scale = slot.map_or(0.0, |slot| store.scale(slot));
                    this.push(&if scale.is_nan() { FAR } else { scale.to_bits() }.to_le_bytes(), out)
                })
            }
            SectionKind::ROWS => self.rows(|_| 0..=0, out),
            SectionKind::UPPER => self.rows(|level| 1..=level, out),
            SectionKind::FIRST_UPPER => {
                let mut next = 0;
                let config = self.image.config;
                for slot in 0..self.image.states.len() as u32 {
                    self.push(&u32::to_le_bytes(next), out)?;
                    next += level_of(config.seed, config.m, slot);
                }
                Ok(())
            }
            SectionKind::ENTRY => {
                let entry = self.image.graph.and_then(|graph| links::entry_of(graph, self.image.states));
                self.push(&Entry::encode(entry).to_le_bytes(), out)
            }
            other => Err(io::Error::other(format!("section {} was planned but cannot be written", other.name()))),
        }
    }

    /// The rows of every slot at the levels that `levels` picks of those up to the slot's own.
    fn rows<W: Write>(&mut self, levels: impl Fn(u32) -> RangeInclusive<u32>, out: &mut W) -> io::Result<()> {
        let Some(graph) = self.image.graph else { return Ok(()) };
        let (states, mut row) = (self.image.states, Vec::new());
        let mut number = 0;
        self.each_slot(out, |this, slot, out| {
            for level in levels(graph.level(number)) {
                links::encode_row(graph, slot, level, states, &mut row);
                this.push(&row, out)?;
            }
            number += 1;
            Ok(())
        })
    }

    /// Calls `write` for every slot that goes into the file: with its number, or with `None` if the image has it empty (somebody
    /// may be filling it now, so nothing of it is read).
    fn each_slot<W: Write>(
        &mut self,
        out: &mut W,
        mut write: impl FnMut(&mut Self, Option<u32>, &mut W) -> io::Result<()>,
    ) -> io::Result<()> {
        let states = self.image.states;
        for (slot, &state) in states.iter().enumerate() {
            match (self.keep, state) {
                (_, LIVE) | (Keep::All, REMOVED) => write(self, Some(slot as u32), out)?,
                (Keep::Live, _) => {}
                (Keep::All, _) => write(self, None, out)?,
            }
        }
        Ok(())
    }

    /// Appends to the block in the making, and writes it each time it is full.
    fn push(&mut self, mut bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        while self.block.len() + bytes.len() >= BLOCK {
            let (now, later) = bytes.split_at(BLOCK - self.block.len());
            self.block.extend_from_slice(now);
            self.flush(out)?;
            bytes = later;
        }
        self.block.extend_from_slice(bytes);
        Ok(())
    }

    fn push_zeros(&mut self, mut count: usize, out: &mut impl Write) -> io::Result<()> {
        while count > 0 {
            let now = count.min(PAGE);
            self.push(&[0; PAGE][..now], out)?;
            count -= now;
        }
        Ok(())
    }

    /// Writes what there is of a block; blocks never reach over the end of a section.
    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.block.is_empty() {
            self.checksums.extend_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
            out.write_all(&self.block)?;
            self.position += self.block.len() as u64;
            self.block.clear();
        }
        Ok(())
    }

    /// Writes zeros up to the next section.
    fn pad(&mut self, offset: u64, out: &mut impl Write) -> io::Result<()> {
        let padding = (offset - self.position) as usize;
        out.write_all(&[0; PAGE][..padding])?;
        self.position = offset;
        Ok(())
    }
}

/// An empty vector with room for `bytes`, or an error instead of an abort.
pub(super) fn reserved(bytes: usize) -> Result<Vec<u8>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(bytes).map_err(|_| Error::memory(bytes))?;
    Ok(vector)
}
