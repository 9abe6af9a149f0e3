//! How does an index become bytes? Front to back, in blocks, each with its checksum.
//!
//! The header needs only counts, so it can be written first and nothing is ever written twice: the output may be a pipe.

use super::content::FAR;
use super::header::{BLOCK, Counts, Header, PAGE, SectionKind, get_u32, scaled};
use super::{Image, links};
use crate::graph::{Entry, level_of};
use crate::index::config::Kind;
use crate::quant::Reducer;
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

/// An image on its way into a file. Every call gets the same image.
#[derive(Debug)]
pub(super) struct Serializer {
    keep: Keep,
    header: Header,
    /// One block in the making. Allocated at its full size before anything is written.
    block: Vec<u8>,
    /// Of every block so far.
    checksums: Vec<u8>,
    /// Bytes written so far.
    position: u64,
    /// Sections that are written, and slots of the next that are.
    sections: usize,
    slots: usize,
    /// Upper rows of the slots so far, in the section that counts them.
    upper: u32,
    /// Buffers of a row.
    links: Vec<u32>,
    row: Vec<u8>,
}

/// Whether there is more to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Some,
    All,
}

impl Serializer {
    /// Exact indexes leave out what is not live; with a graph the links name every slot.
    pub(super) fn of(image: &Image<'_>) -> Result<Self> {
        super::check_byte_order()?;
        let keep = match image.config.kind {
            Kind::Auto | Kind::Flat => Keep::Live,
            Kind::Graph => Keep::All,
        };
        Self::new(image, keep)
    }

    pub(super) fn new(image: &Image<'_>, keep: Keep) -> Result<Self> {
        let count = |state: u8| image.states.iter().filter(|&&other| other == state).count() as u64;
        let (live, removed) = (count(LIVE), count(REMOVED));
        let slots = match keep {
            Keep::Live => Counts { all: live, live, removed: 0 },
            Keep::All => Counts { all: image.states.len() as u64, live, removed },
        };
        let upper_rows = if image.graph.is_some() { links::upper_rows(image.config, slots.all) } else { 0 };
        let code = image.codes.map(|codes| (codes.codec.coding(), codes.codec.lines()));
        let header = Header::plan(image.config, image.store.held(), slots, upper_rows, code);
        let checksum_bytes = header.section(SectionKind::CHECKSUMS).map_or(0, |section| section.bytes) as usize;
        Ok(Self {
            keep,
            header,
            block: reserved(BLOCK)?,
            checksums: reserved(checksum_bytes)?,
            position: 0,
            sections: 0,
            slots: 0,
            upper: 0,
            links: Vec::new(),
            row: Vec::new(),
        })
    }

    /// Bytes of the whole file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.header.file_bytes()
    }

    /// Writes the whole file.
    pub(super) fn write(mut self, image: &Image<'_>, out: &mut impl Write) -> io::Result<()> {
        while self.step(image, out, u64::MAX)? == Written::Some {}
        Ok(())
    }

    /// Writes on, about so many bytes.
    pub(super) fn step(&mut self, image: &Image<'_>, out: &mut impl Write, bytes: u64) -> io::Result<Written> {
        let until = (self.position + self.block.len() as u64).saturating_add(bytes);
        if self.position == 0 {
            let page = self.header.encode();
            // The table of checksums begins with the header's, so that it belongs to this header only.
            self.checksums.extend_from_slice(&get_u32(&page, super::header::at::CHECKSUM).to_le_bytes());
            out.write_all(&page)?;
            self.position = PAGE as u64;
        }
        while let Some(section) = self.header.payload().get(self.sections).cloned() {
            if self.slots == 0 && self.block.is_empty() {
                self.pad(section.offset, out)?;
            }
            if self.section(image, section.kind, until, out)? == Written::Some {
                return Ok(Written::Some);
            }
            self.flush(out)?;
            debug_assert_eq!(self.position, section.end());
            (self.sections, self.slots) = (self.sections + 1, 0);
        }
        self.pad(self.header.section(SectionKind::CHECKSUMS).map_or(self.position, |section| section.offset), out)?;
        let last = crc32c::crc32c(&self.checksums);
        self.checksums.extend_from_slice(&last.to_le_bytes());
        out.write_all(&self.checksums)?;
        Ok(Written::All)
    }

    fn section(
        &mut self,
        image: &Image<'_>,
        kind: SectionKind,
        until: u64,
        out: &mut impl Write,
    ) -> io::Result<Written> {
        let store = image.store;
        match kind {
            SectionKind::VECTORS => {
                // Only the vector is copied and the rest of the row is zeros by construction, whatever lies in memory.
                let padding = vec![0; store.stride() - store.vector_bytes()];
                self.each_slot(image, until, out, |this, slot, out| match slot {
                    Some(slot) => {
                        this.push(store.vector_slice(slot), out)?;
                        this.push(&padding, out)
                    }
                    None => this.push_zeros(store.stride(), out),
                })
            }
            SectionKind::KEYS => self.each_slot(image, until, out, |this, slot, out| {
                this.push(&slot.map_or(0, |slot| store.key(slot)).to_le_bytes(), out)
            }),
            SectionKind::STATES => self.each_slot(image, until, out, |this, slot, out| {
                this.push(&[slot.map_or(EMPTY, |slot| image.states[slot as usize])], out)
            }),
            SectionKind::SCALES => {
                debug_assert!(scaled(image.config));
                self.each_slot(image, until, out, |this, slot, out| {
                    let scale = slot.map_or(0.0, |slot| store.own_scale(slot));
                    this.push(&if scale.is_nan() { FAR } else { scale.to_bits() }.to_le_bytes(), out)
                })
            }
            SectionKind::ROWS => self.rows(image, |_| 0..=0, until, out),
            SectionKind::UPPER => self.rows(image, |level| 1..=level, until, out),
            SectionKind::FIRST_UPPER => {
                if self.slots == 0 {
                    self.upper = 0;
                }
                let config = image.config;
                self.each_slot(image, until, out, |this, _, out| {
                    let next = this.upper;
                    this.upper += level_of(config.seed, config.m, this.slots as u32);
                    this.push(&next.to_le_bytes(), out)
                })
            }
            SectionKind::ENTRY => {
                let entry = image.graph.and_then(|graph| links::entry_of(graph, image.states));
                self.push(&Entry::encode(entry).to_le_bytes(), out)?;
                Ok(Written::All)
            }
            SectionKind::CODEC => {
                let blob = image.codes.map(|codes| codes.codec.to_blob()).unwrap_or_default();
                self.push(&blob, out)?;
                Ok(Written::All)
            }
            SectionKind::CODES => {
                let Some(codes) = image.codes else { return Err(io::Error::other("codes went away during a save")) };
                self.each_slot(image, until, out, |this, slot, out| match slot {
                    Some(slot) => this.push(codes.code(slot), out),
                    None => this.push_zeros(codes.codec.stride(), out),
                })
            }
            SectionKind::REDUCER => {
                let blob = image.reducer.map(Reducer::to_blob).unwrap_or_default();
                self.push(&blob, out)?;
                Ok(Written::All)
            }
            other => Err(io::Error::other(format!("section {} was planned but cannot be written", other.name()))),
        }
    }

    /// The rows of every slot at the levels that `levels` picks of those up to the slot's own.
    fn rows<W: Write>(
        &mut self,
        image: &Image<'_>,
        levels: impl Fn(u32) -> RangeInclusive<u32>,
        until: u64,
        out: &mut W,
    ) -> io::Result<Written> {
        let Some(graph) = image.graph else { return Ok(Written::All) };
        let (mut links, mut row) = (std::mem::take(&mut self.links), std::mem::take(&mut self.row));
        let written = self.each_slot(image, until, out, |this, slot, out| {
            for level in levels(graph.level(this.slots as u32)) {
                links::encode_row(image, slot, level, &mut links, &mut row);
                this.push(&row, out)?;
            }
            Ok(())
        });
        (self.links, self.row) = (links, row);
        written
    }

    /// Calls `write` for every slot that goes into the file and is not written yet, until so many bytes are out: with its number, or
    /// with `None` if the image has it empty (somebody may be filling it now, so nothing of it is read).
    fn each_slot<W: Write>(
        &mut self,
        image: &Image<'_>,
        until: u64,
        out: &mut W,
        mut write: impl FnMut(&mut Self, Option<u32>, &mut W) -> io::Result<()>,
    ) -> io::Result<Written> {
        while let Some(&state) = image.states.get(self.slots) {
            if self.position + self.block.len() as u64 >= until {
                return Ok(Written::Some);
            }
            match (self.keep, state) {
                (_, LIVE) | (Keep::All, REMOVED) => write(self, Some(self.slots as u32), out)?,
                (Keep::Live, _) => {}
                (Keep::All, _) => write(self, None, out)?,
            }
            self.slots += 1;
        }
        Ok(Written::All)
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
