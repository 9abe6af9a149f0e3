//! Files of hnswlib 0.8: which bytes are what, and which are believed?
//!
//! | offset | type | HierarchicalNSW |
//! |---|---|---|
//! | 0 | u64 | 0 |
//! | 8 | u64 | capacity; not believed |
//! | 16 | u64 | elements, deleted ones included |
//! | 24 | u64 | bytes of a record |
//! | 32, 40 | u64 | in a record: where the label stands, where the vector stands |
//! | 48, 52 | i32, u32 | highest level, entry point |
//! | 56, 64, 72 | u64 | links above level 0, at level 0, per new element |
//! | 80, 88 | f64, u64 | factor of the levels; breadth of insertions |
//! | 96 | | records: u16 number of links, u8 deleted, u8 0, u32 links, vector, u64 label |
//! | then | | per element u32 bytes, and so many bytes of rows, each u16 number, u16 0, u32 links |
//!
//! `BruteforceSearch`: u64 capacity, bytes of a record, elements; records of vector and u64 label.

use super::{Element, Elements, Found, read_at, u16_at, u32_at, u64_at};
use crate::disk::Source;
use crate::index::config::{Kind, MAX_EF, MAX_M, Options};
use crate::store::MAX_SLOTS;
use crate::util::error::{Error, Result};

pub(super) const HEAD: usize = 96;
pub(super) const FLAT_HEAD: usize = 24;
/// Highest level that hnswlib's factor can give in a file of any size.
const MOST_LEVELS: u64 = 255;
/// Bytes that are read ahead of the upper rows.
const AHEAD: usize = 1 << 16;

struct GraphFile<'a> {
    source: &'a dyn Source,
    count: u32,
    record: usize,
    /// In a record.
    vector_at: usize,
    label_at: usize,
    base_degree: usize,
    upper_degree: usize,
    entry: u32,
    levels: Vec<u8>,
    /// Elements above level 0 and where their upper rows stand, in order.
    uppers: Vec<(u32, u64)>,
}

/// Reads the head of a `HierarchicalNSW` and where its upper rows are.
pub(super) fn graph<'a>(source: &'a dyn Source, options: &Options) -> Result<Found<'a>> {
    let mut head = [0; HEAD];
    if source.bytes() < HEAD as u64 {
        return Err(Error::corrupt(format!("{} bytes, a file of hnswlib has at least {HEAD}", source.bytes())));
    }
    read_at(source, 0, &mut head)?;
    let number = |at: usize| u64_at(&head, at);
    let bound = |name: &str, value: u64, most: u64| -> Result<usize> {
        if (1..=most).contains(&value) {
            return Ok(value as usize);
        }
        Err(Error::corrupt(format!("{name} is {value}, which cannot be")))
    };
    if number(0) != 0 {
        return Err(Error::corrupt(format!("it begins with {}, a file of hnswlib with 0", number(0))));
    }
    let degree = bound("M", number(72), 10_000)?;
    let upper_degree = bound("maxM", number(56), 65_535)?;
    let base_degree = bound("maxM0", number(64), 65_535)?;
    let vector_at = 4 + 4 * base_degree;
    let label_at = vector_at + options.element.vector_bytes(options.dimensions);
    let record = label_at + 8;
    for (name, stated, due) in [
        ("vectors begin at", number(40), vector_at),
        ("labels begin at", number(32), label_at),
        ("a record's size is", number(24), record),
    ] {
        if stated != due as u64 {
            return Err(Error::corrupt(format!("{name} {stated}, with these dimensions it is {due}")));
        }
    }
    let count = number(16);
    let upper_from = count.checked_mul(record as u64).and_then(|records| records.checked_add(HEAD as u64));
    let least = upper_from.and_then(|from| count.checked_mul(4)?.checked_add(from));
    let Some(upper_from) =
        upper_from.filter(|_| count <= MAX_SLOTS && least <= Some(source.bytes()) && least.is_some())
    else {
        return Err(Error::corrupt(format!("{count} elements do not fit into {} bytes", source.bytes())));
    };
    let mut file = GraphFile {
        source,
        count: count as u32,
        record,
        vector_at,
        label_at,
        base_degree,
        upper_degree,
        entry: u32_at(&head, 52),
        levels: Vec::new(),
        uppers: Vec::new(),
    };
    file.find_uppers(upper_from)?;
    file.check_entry(u32_at(&head, 48).cast_signed())?;
    let breadth = number(88).clamp(degree as u64, u64::from(MAX_EF)) as u32;
    let options = Options {
        kind: if options.kind == Kind::Flat { Kind::Flat } else { Kind::Graph },
        // So that the rows of the file fit into ours.
        m: if options.m == 0 { (base_degree as u32).div_ceil(2).clamp(2, MAX_M) } else { options.m },
        ef_construction: if options.ef_construction == 0 { breadth } else { options.ef_construction },
        ..options.clone()
    };
    Ok(Found { options, elements: Box::new(file) })
}

impl GraphFile<'_> {
    /// Goes through the sizes of the upper rows, which must end where the file does.
    fn find_uppers(&mut self, from: u64) -> Result<()> {
        let row = 4 + 4 * self.upper_degree as u64;
        let end = self.source.bytes();
        let mut ahead = Ahead { source: self.source, start: from, bytes: Vec::new() };
        let mut at = from;
        self.levels.try_reserve_exact(self.count as usize).map_err(|_| Error::memory(self.count as usize))?;
        for element in 0..self.count {
            let bytes = u64::from(ahead.u32(at)?);
            at += 4;
            if bytes % row != 0 || bytes / row > MOST_LEVELS || bytes > end - at {
                return Err(Error::corrupt(format!(
                    "element {element} has upper rows of {bytes} bytes, one has {row}"
                )));
            }
            if bytes > 0 {
                self.uppers.push((element, at));
            }
            self.levels.push((bytes / row) as u8);
            at += bytes;
        }
        if at != end {
            return Err(Error::corrupt(format!("the elements end at offset {at}, the file at {end}")));
        }
        Ok(())
    }

    fn check_entry(&self, level: i32) -> Result<()> {
        let highest = self.levels.iter().max().map_or(-1, |&level| i32::from(level));
        let right = match self.levels.get(self.entry as usize) {
            Some(&of_entry) => i32::from(of_entry) == level,
            None => self.count == 0 && self.entry == u32::MAX,
        };
        if right && level == highest {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "entry {} and highest level {level} do not fit {} elements up to level {highest}",
            self.entry, self.count
        )))
    }

    /// The links of a row.
    fn row(bytes: &[u8], degree: usize, links: &mut Vec<u32>) -> Result<()> {
        let count = usize::from(u16_at(bytes, 0));
        if count > degree {
            return Err(Error::corrupt(format!("a row has {count} links, it has room for {degree}")));
        }
        // What stands behind them are remains.
        links.extend((0..count).map(|i| u32_at(bytes, 4 + 4 * i)));
        Ok(())
    }
}

impl Elements for GraphFile<'_> {
    fn count(&self) -> u32 {
        self.count
    }

    fn level(&self, element: u32) -> u32 {
        self.levels[element as usize].into()
    }

    fn entry(&self) -> Option<u32> {
        (self.count > 0).then_some(self.entry)
    }

    fn read(&self, element: u32, into: &mut Element) -> Result<()> {
        let levels = self.level(element) as usize;
        into.links.resize_with(levels + 1, Vec::new);
        into.links.iter_mut().for_each(Vec::clear);
        let mut bytes = vec![0; self.record];
        read_at(self.source, HEAD as u64 + u64::from(element) * self.record as u64, &mut bytes)?;
        Self::row(&bytes, self.base_degree, &mut into.links[0])?;
        into.removed = bytes[2] & 1 != 0;
        into.key = u64_at(&bytes, self.label_at);
        into.vector.clear();
        into.vector.extend_from_slice(&bytes[self.vector_at..self.label_at]);
        if levels > 0
            && let Ok(place) = self.uppers.binary_search_by_key(&element, |upper| upper.0)
        {
            let row = 4 + 4 * self.upper_degree;
            bytes.resize(levels * row, 0);
            read_at(self.source, self.uppers[place].1, &mut bytes)?;
            for level in 1..=levels {
                Self::row(&bytes[(level - 1) * row..], self.upper_degree, &mut into.links[level])?;
            }
        }
        Ok(())
    }
}

/// Reads small numbers that stand near each other.
struct Ahead<'a> {
    source: &'a dyn Source,
    start: u64,
    bytes: Vec<u8>,
}

impl Ahead<'_> {
    fn u32(&mut self, at: u64) -> Result<u32> {
        if at + 4 > self.start + self.bytes.len() as u64 || at < self.start {
            let left = self.source.bytes().saturating_sub(at);
            self.bytes.resize((AHEAD as u64).min(left) as usize, 0);
            read_at(self.source, at, &mut self.bytes)?;
            self.start = at;
        }
        if self.bytes.len() < 4 {
            return Err(Error::corrupt(format!("the file ends at offset {at}, within its upper rows")));
        }
        Ok(u32_at(&self.bytes, (at - self.start) as usize))
    }
}

struct FlatFile<'a> {
    source: &'a dyn Source,
    count: u32,
    vector_bytes: usize,
}

/// Reads the head of a `BruteforceSearch`.
pub(super) fn flat<'a>(source: &'a dyn Source, options: &Options) -> Result<Found<'a>> {
    let mut head = [0; FLAT_HEAD];
    if source.bytes() < FLAT_HEAD as u64 {
        return Err(Error::corrupt(format!("{} bytes, such a file has at least {FLAT_HEAD}", source.bytes())));
    }
    read_at(source, 0, &mut head)?;
    let (capacity, record, count) = (u64_at(&head, 0), u64_at(&head, 8), u64_at(&head, 16));
    let vector_bytes = options.element.vector_bytes(options.dimensions);
    if record != vector_bytes as u64 + 8 {
        return Err(Error::corrupt(format!("a record has {record} bytes, with these dimensions {}", vector_bytes + 8)));
    }
    let fits = count.checked_mul(record).is_some_and(|bytes| bytes <= source.bytes() - FLAT_HEAD as u64);
    if count > capacity || count > MAX_SLOTS || !fits {
        return Err(Error::corrupt(format!("{count} elements do not fit into {} bytes", source.bytes())));
    }
    let elements = Box::new(FlatFile { source, count: count as u32, vector_bytes });
    Ok(Found { options: Options { kind: Kind::Flat, ..options.clone() }, elements })
}

impl Elements for FlatFile<'_> {
    fn count(&self) -> u32 {
        self.count
    }

    fn level(&self, _element: u32) -> u32 {
        0
    }

    fn entry(&self) -> Option<u32> {
        None
    }

    fn read(&self, element: u32, into: &mut Element) -> Result<()> {
        let record = self.vector_bytes + 8;
        into.links.clear();
        into.removed = false;
        into.vector.resize(record, 0);
        read_at(self.source, FLAT_HEAD as u64 + u64::from(element) * record as u64, &mut into.vector)?;
        into.key = u64_at(&into.vector, self.vector_bytes);
        into.vector.truncate(self.vector_bytes);
        Ok(())
    }
}
