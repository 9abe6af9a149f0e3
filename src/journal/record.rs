//! What are the bytes of a log file, and which of them are believed?
//!
//! A header, then records. Each record has a checksum that begins with the file's salt, a number one above that of the record
//! before, and says up to where the file was known to last when the record was written. So a record that is not whole is told
//! apart: if any record behind it says that the place lasted, the file was damaged; if none does, the place is where a crash
//! cut the file. FORMAT.md has every byte.

use crate::disk::Source;
use crate::util::error::{Error, Result, Status};
use std::io;

/// First bytes of a log file.
const MARK: [u8; 8] = *b"\x89KITHLOG";
const FORMAT: u32 = 1;
const BYTE_ORDER: u32 = 0x0102_0304;

/// Bytes of the header of a file.
pub(crate) const FILE_HEADER: usize = 64;
/// Bytes in front of a record's payload.
pub(crate) const RECORD_HEADER: usize = 32;
/// Most bytes of a payload: more is split into records that go together.
pub(crate) const MOST_PAYLOAD: usize = 1 << 20;
/// Records begin at multiples of this.
const ALIGN: usize = 8;
/// In a record's kind: the next record belongs to the same change.
const MORE: u32 = 1 << 31;

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Vectors get these keys, in place of those that have them: keys, then vectors.
    Put = 1,
    /// These keys go: keys.
    Remove = 2,
    /// Everything goes.
    Clear = 3,
    /// Nothing changes; says only up to where the file lasts. Has the number of the record that comes next.
    Mark = 4,
}

/// Whether a change ends with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// More records follow, and count only together.
    More,
    Last,
}

/// What the vectors of an index look like: a log fits one index only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) dimensions: u32,
    pub(crate) element: u32,
    pub(crate) metric: u32,
    pub(crate) vector_bytes: usize,
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// Number of the first record.
    pub(crate) first: u64,
    /// A random number that every checksum of the file begins with, so that records of other files, which may still lie in the
    /// same blocks of the disk, or in a vector, are none of this one.
    pub(crate) salt: u64,
}

impl FileHeader {
    pub(crate) fn encode(&self, shape: &Shape) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(&MARK);
        let words = [(8, FORMAT), (12, BYTE_ORDER), (32, shape.dimensions), (36, shape.element), (40, shape.metric)];
        words.into_iter().for_each(|(at, word)| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes()));
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header of a file, if it is one and of this index.
    pub(crate) fn decode(bytes: &[u8; FILE_HEADER], shape: &Shape) -> Result<Self> {
        if bytes[..8] != MARK {
            return Err(Error::corrupt("not a log of kith: it does not begin with the mark of one"));
        }
        if u32_at(bytes, 12) == BYTE_ORDER.swap_bytes() {
            return Err(Error::new(Status::Version, "the log was written with the other byte order"));
        }
        if u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            return Err(Error::corrupt("the header of the log has a wrong checksum"));
        }
        if u32_at(bytes, 8) != FORMAT {
            return Err(Error::new(Status::Version, format!("the log has format {}, known is 1", u32_at(bytes, 8))));
        }
        let header = Self { first: u64_at(bytes, 16), salt: u64_at(bytes, 24) };
        if header.encode(shape) != *bytes {
            return Err(Error::corrupt("the log belongs to an index of other vectors"));
        }
        Ok(header)
    }
}

/// Bytes that a payload takes in a file.
pub(crate) fn record_bytes(payload: usize) -> usize {
    (RECORD_HEADER + payload).next_multiple_of(ALIGN)
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) part: Part,
    /// Its number.
    pub(crate) number: u64,
    /// Bytes from the start of the file that were known to last when it was written.
    pub(crate) lasting: u64,
}

/// Appends a record. `out` has room for [`record_bytes`] more.
pub(crate) fn encode(out: &mut Vec<u8>, salt: u64, head: Head, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.resize(start + RECORD_HEADER, 0);
    fill(out);
    let payload = (out.len() - start - RECORD_HEADER) as u32;
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    let record = &mut out[start..];
    let kind = head.kind as u32 | if head.part == Part::More { MORE } else { 0 };
    record[4..8].copy_from_slice(&kind.to_le_bytes());
    record[8..16].copy_from_slice(&head.number.to_le_bytes());
    record[16..24].copy_from_slice(&head.lasting.to_le_bytes());
    record[24..28].copy_from_slice(&payload.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &record[4..]);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// A record that was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) head: Head,
    pub(crate) payload: &'a [u8],
    /// Where the next one begins.
    pub(crate) end: u64,
}

/// Reads the records of a file, one behind the other.
pub(crate) struct Reader<'a> {
    source: &'a dyn Source,
    salt: u64,
    bytes: u64,
    /// A part of the file, and where it begins.
    window: Vec<u8>,
    window_at: u64,
}

/// Bytes that are read at a time; at least the largest record.
const WINDOW: usize = 4 << 20;

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a dyn Source, salt: u64) -> Self {
        Self { source, salt, bytes: source.bytes(), window: Vec::new(), window_at: 0 }
    }

    /// The record at a place, whatever its number, or `None` where no whole record is.
    pub(crate) fn at(&mut self, place: u64) -> io::Result<Option<Record<'_>>> {
        let left = self.bytes.saturating_sub(place);
        if left < RECORD_HEADER as u64 {
            return Ok(None);
        }
        let Some((head, payload)) = head_of(self.look(place, RECORD_HEADER)?) else { return Ok(None) };
        let length = record_bytes(payload);
        if left < length as u64 {
            return Ok(None);
        }
        let salt = self.salt;
        let record = self.look(place, length)?;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &record[4..]);
        if checksum != u32_at(record, 0) || record[28..32] != [0; 4] {
            return Ok(None);
        }
        let payload = &record[RECORD_HEADER..RECORD_HEADER + payload];
        Ok(Some(Record { head, payload, end: place + length as u64 }))
    }

    /// Whether a record behind a place that holds none says that the place lasted.
    pub(crate) fn lasted(&mut self, place: u64) -> io::Result<bool> {
        let mut at = place + ALIGN as u64;
        while at + RECORD_HEADER as u64 <= self.bytes {
            match self.at(at)? {
                Some(record) if record.head.lasting > place => return Ok(true),
                Some(record) => at = record.end,
                None => at += ALIGN as u64,
            }
        }
        Ok(false)
    }

    fn look(&mut self, place: u64, length: usize) -> io::Result<&[u8]> {
        let from = place.wrapping_sub(self.window_at) as usize;
        if place < self.window_at || from + length > self.window.len() {
            self.window.resize((self.bytes - place).min(WINDOW as u64) as usize, 0);
            self.window_at = place;
            self.source.read_at(place, &mut self.window)?;
            return Ok(&self.window[..length]);
        }
        Ok(&self.window[from..from + length])
    }
}

/// What the first bytes of a record say, and the bytes of its payload, if they can be.
fn head_of(bytes: &[u8]) -> Option<(Head, usize)> {
    let kind = match u32_at(bytes, 4) & !MORE {
        1 => Kind::Put,
        2 => Kind::Remove,
        3 => Kind::Clear,
        4 => Kind::Mark,
        _ => return None,
    };
    let part = if u32_at(bytes, 4) & MORE == 0 { Part::Last } else { Part::More };
    let payload = u32_at(bytes, 24) as usize;
    let head = Head { kind, part, number: u64_at(bytes, 8), lasting: u64_at(bytes, 16) };
    (payload <= MOST_PAYLOAD).then_some((head, payload))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u64, lasting: u64) -> Head {
        Head { kind: Kind::Put, part: Part::Last, number, lasting }
    }

    #[test]
    fn records_come_back_and_every_changed_bit_is_noticed() {
        let mut bytes = Vec::new();
        for number in 1..=4 {
            encode(&mut bytes, 7, head(number, 0), |out| out.extend_from_slice(&[number as u8; 21]));
        }
        let first = record_bytes(21) as u64;
        let numbers = |bytes: &[u8]| {
            let source = bytes.to_vec();
            let mut reader = Reader { source: &source, ..Reader::new(&source, 7) };
            let (mut place, mut numbers) = (0, Vec::new());
            while let Some(record) = reader.at(place).unwrap() {
                assert_eq!(record.payload, [record.head.number as u8; 21]);
                numbers.push(record.head.number);
                place = record.end;
            }
            numbers
        };
        assert_eq!(numbers(&bytes), [1, 2, 3, 4]);
        for bit in 0..first * 8 {
            let mut changed = bytes.clone();
            changed[(bit / 8) as usize] ^= 1 << (bit % 8);
            assert!(numbers(&changed).is_empty(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert_eq!(numbers(&bytes[..end]).len(), end / first as usize);
        }
        let source = bytes;
        assert!(Reader::new(&source, 8).at(0).unwrap().is_none(), "a record of a file with another salt");
    }

    #[test]
    fn a_hole_is_damage_only_if_a_record_behind_it_says_that_it_lasted() {
        let length = record_bytes(8) as u64;
        for (lasting, damage) in [(0, false), (length, false), (length + 1, true), (3 * length, true)] {
            let mut bytes = Vec::new();
            for number in 1..=3 {
                encode(&mut bytes, 7, head(number, lasting), |out| out.extend_from_slice(&number.to_le_bytes()));
            }
            bytes[length as usize + 40 - 1] ^= 1;
            let mut reader = Reader::new(&bytes, 7);
            assert!(reader.at(0).unwrap().is_some() && reader.at(length).unwrap().is_none());
            assert_eq!(reader.lasted(length).unwrap(), damage, "{lasting}");
        }
    }
}
