//! How do bytes become the arrays of an index, without believing any of them too early?
//!
//! 1. Header: every offset and length is held against the real size of the file, so nothing is allocated that the file does not
//!    fill (`header`).
//! 2. Checksums: the table is checked as a whole and against the header.
//! 3. Payload: blocks are read straight into their place in the arrays (or looked at in the mapping), each is held against its
//!    checksum and against the rules of its section (`content`). Threads take blocks in order, and the error of the lowest block
//!    wins, so that a damaged file gives the same sentence each time.
//! 4. States are counted; keys are entered by `Store::from_parts`.
//!
//! Vectors that are to stay in the file (`load_beside`) are read and checked all the same, but kept nowhere.
//!
//! With `unchecked`, step 2 is left out, and of step 3 only the reading remains.

use super::content::{Rows, StateCount, check_scales};
use super::header::{BLOCK, Header, PAGE, Section, SectionKind, get_u32, scaled};
use super::links::Links;
use super::write::reserved;
use crate::disk::Source;
use crate::graph::{self, Entry, Graph};
use crate::index::config::{Kind, OpenFlags};
use crate::quant::{Codec, Codes, Reducer, check_codes};
use crate::store::Parts;
use crate::util::error::{Error, Result, Status};
use crate::util::memory::{Foreign, LINE, Segments};
use crate::util::pool::{Pool, cores};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks that a thread takes at a time, and that make it worth while to wake another thread. Several, because two threads that first
/// touch one huge page at the same time both clear it.
const TURN: u64 = 4;

/// Reads and checks the header only.
pub(super) fn read_header(source: &(impl Source + ?Sized)) -> Result<Header> {
    let bytes = source.bytes();
    if bytes == 0 {
        return Err(Error::corrupt("not a kith file: it is empty"));
    }
    let mut page = [0; PAGE];
    let there = bytes.min(PAGE as u64) as usize;
    source.read_at(0, &mut page[..there]).map_err(|cause| unreadable(0, there, &cause))?;
    if there < PAGE {
        let mark = there.min(super::header::MAGIC.len());
        return Err(Error::corrupt(if page[..mark] == super::header::MAGIC[..mark] {
            format!("the file has {bytes} bytes, a header has {PAGE}: it was truncated")
        } else {
            "not a kith file: it does not begin with the mark of one".to_owned()
        }));
    }
    Header::decode(&page, bytes)
}

/// The arrays that the sections of a file become.
struct Arrays {
    store: Parts,
    links: Option<LinkArrays>,
    codes: Option<CodeArrays>,
    reducer: Option<Segments>,
}

struct CodeArrays {
    codec: Segments,
    codes: Segments,
}

struct LinkArrays {
    rows: Segments,
    first_upper: Segments,
    upper: Segments,
    entry: Segments,
}

impl Arrays {
    /// Memory for every section of a header.
    fn allocate(header: &Header) -> Result<Self> {
        let config = &header.config;
        let store = Parts::empty(config.vector_bytes(), header.held, scaled(config));
        store.grow(usize::try_from(header.slots.all).map_err(|_| Error::memory(usize::MAX))?)?;
        let of = |kind: SectionKind| -> Result<Segments> {
            let section = required(header, kind)?;
            let array = Segments::new(section.record_bytes as usize);
            array.grow(section.count as usize)?;
            Ok(array)
        };
        Ok(Self {
            store,
            links: LinkArrays::of(config.kind, of)?,
            codes: CodeArrays::of(header, of)?,
            reducer: reducer_of(header, of)?,
        })
    }

    /// The sections of a mapped file in their places.
    fn in_file(header: &Header, map: &Arc<Foreign>) -> Result<Self> {
        Self::of(header, |section| Ok(Segments::in_file(map, section.offset as usize, section.record_bytes as usize)))
    }

    /// The vectors of a mapped file in their place, and memory for all other sections.
    fn beside(header: &Header, map: &Arc<Foreign>) -> Result<Self> {
        Self::of(header, |section| {
            let bytes = section.record_bytes as usize;
            if section.kind == SectionKind::VECTORS {
                map.read_at_random(section.offset as usize, section.bytes as usize);
                return Ok(Segments::in_file(map, section.offset as usize, bytes));
            }
            let array = Segments::new(bytes);
            array.grow(section.count as usize)?;
            Ok(array)
        })
    }

    /// An array for every section of a header.
    fn of(header: &Header, array: impl Fn(&Section) -> Result<Segments>) -> Result<Self> {
        let of = |kind: SectionKind| array(required(header, kind)?);
        let store = Parts {
            given_bytes: header.config.vector_bytes(),
            held: header.held,
            vectors: of(SectionKind::VECTORS)?,
            keys: of(SectionKind::KEYS)?,
            states: of(SectionKind::STATES)?,
            scales: if scaled(&header.config) { Some(of(SectionKind::SCALES)?) } else { None },
            slots: 0,
        };
        Ok(Self {
            store,
            links: LinkArrays::of(header.config.kind, of)?,
            codes: CodeArrays::of(header, of)?,
            reducer: reducer_of(header, of)?,
        })
    }

    /// The array that a section fills.
    fn array(&self, kind: SectionKind) -> Option<&Segments> {
        let (links, codes) = (self.links.as_ref(), self.codes.as_ref());
        match kind {
            SectionKind::CODEC => codes.map(|codes| &codes.codec),
            SectionKind::CODES => codes.map(|codes| &codes.codes),
            SectionKind::REDUCER => self.reducer.as_ref(),
            SectionKind::VECTORS => Some(&self.store.vectors),
            SectionKind::KEYS => Some(&self.store.keys),
            SectionKind::STATES => Some(&self.store.states),
            SectionKind::SCALES => self.store.scales.as_ref(),
            SectionKind::ROWS => links.map(|links| &links.rows),
            SectionKind::FIRST_UPPER => links.map(|links| &links.first_upper),
            SectionKind::UPPER => links.map(|links| &links.upper),
            SectionKind::ENTRY => links.map(|links| &links.entry),
            _ => None,
        }
    }

    /// Checks what is checked across sections, and lets go of the arrays.
    fn finish(mut self, header: &Header, flags: OpenFlags, pool: &Pool) -> Result<Content> {
        self.store.slots = header.slots.all as u32;
        count_states(&self.store, header)?;
        let codes = self.codes.map(|codes| codes.finish(header)).transpose()?;
        let reducer = self.reducer.map(|array| read_reducer(&array, header)).transpose()?;
        let Some(LinkArrays { rows, first_upper, upper, entry }) = self.links else {
            return Ok(Content { parts: self.store, graph: None, codes, reducer });
        };
        // SAFETY: the section has one record of eight bytes on an 8-byte boundary, and nobody writes it.
        let entry = Entry::decode(u64::from_le(unsafe { entry.address(0).cast::<u64>().read() }));
        let upper_used = required(header, SectionKind::UPPER)?.count;
        let states = &self.store.states;
        let links = Links { header, states, rows: &rows, first_upper: &first_upper, upper: &upper, upper_used, entry };
        links.check(if flags.one_thread { 1 } else { cores() }, pool)?;
        let parts = graph::Parts { rows, first_upper, upper, upper_used: upper_used as u32, entry };
        let graph = Graph::from_parts(header.config.m, header.config.seed, parts);
        if !flags.mapped && !flags.vectors_mapped {
            graph.reserve(header.slots.all)?;
        }
        Ok(Content { parts: self.store, graph: Some(graph), codes, reducer })
    }
}

impl CodeArrays {
    fn of(header: &Header, of: impl Fn(SectionKind) -> Result<Segments>) -> Result<Option<Self>> {
        if header.section(SectionKind::CODES).is_none() {
            return Ok(None);
        }
        Ok(Some(Self { codec: of(SectionKind::CODEC)?, codes: of(SectionKind::CODES)? }))
    }

    fn finish(self, header: &Header) -> Result<Codes> {
        let blob = read_lines(&self.codec, required(header, SectionKind::CODEC)?)?;
        let config = &header.config;
        let lines = required(header, SectionKind::CODES)?.record_bytes as usize / LINE;
        let Some(coding) = config.quantizer.coding() else {
            return Err(Error::internal("a header with codes and no kind of codes was believed"));
        };
        let codec = Codec::from_blob(header.metric_of_codes(), config.dimensions as usize, (coding, lines), &blob)?;
        Ok(Codes::from_parts(codec, self.codes))
    }
}

/// The bytes of a section that is made of lines.
fn read_lines(array: &Segments, section: &Section) -> Result<Vec<u8>> {
    let mut bytes = reserved(section.bytes as usize)?;
    for line in 0..section.count as u32 {
        // SAFETY: the section has that many records of a line each, all initialised, and nobody writes them.
        bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(array.address(line), LINE) });
    }
    Ok(bytes)
}

/// Where what reduces vectors is read to, if there is such.
fn reducer_of(header: &Header, of: impl Fn(SectionKind) -> Result<Segments>) -> Result<Option<Segments>> {
    header.section(SectionKind::REDUCER).map(|_| of(SectionKind::REDUCER)).transpose()
}

fn read_reducer(array: &Segments, header: &Header) -> Result<Reducer> {
    let blob = read_lines(array, required(header, SectionKind::REDUCER)?)?;
    let config = &header.config;
    let Some(reduction) = config.quantizer.reduction() else {
        return Err(Error::internal("a header with a reducer and no reduction was believed"));
    };
    Reducer::from_blob(reduction, (config.metric, config.dimensions as usize), header.vector_bytes(), &blob)
}

impl LinkArrays {
    fn of(kind: Kind, of: impl Fn(SectionKind) -> Result<Segments>) -> Result<Option<Self>> {
        if kind != Kind::Graph {
            return Ok(None);
        }
        let (rows, first_upper) = (of(SectionKind::ROWS)?, of(SectionKind::FIRST_UPPER)?);
        Ok(Some(Self { rows, first_upper, upper: of(SectionKind::UPPER)?, entry: of(SectionKind::ENTRY)? }))
    }
}

fn required(header: &Header, kind: SectionKind) -> Result<&Section> {
    header
        .section(kind)
        .ok_or_else(|| Error::internal(format!("a header without section {} was believed", kind.name())))
}

/// What the sections of a file became.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) parts: Parts,
    pub(super) graph: Option<Graph>,
    pub(super) codes: Option<Codes>,
    pub(super) reducer: Option<Reducer>,
}

/// What an open gives.
pub(super) type Read = (Header, Content);

/// Reads a file into memory of its own.
pub(super) fn load(source: &(impl Source + ?Sized), flags: OpenFlags, pool: &Pool) -> Result<Read> {
    let header = read_header(source)?;
    let check = Check::prepare(source, &header, flags)?;
    let arrays = Arrays::allocate(&header)?;
    Reader { source, header: &header, check, place: Place::Memory(&arrays) }.run(flags, pool)?;
    let content = arrays.finish(&header, flags, pool)?;
    Ok((header, content))
}

/// Reads a file into memory of its own, but for the vectors, which stay in `map`: the bytes of the same file.
pub(super) fn load_beside(
    source: &(impl Source + ?Sized),
    map: &Arc<Foreign>,
    flags: OpenFlags,
    pool: &Pool,
) -> Result<Read> {
    let header = read_header(source)?;
    // The header was held against the length of the source; the arrays lie in the map.
    if source.bytes() != map.len() as u64 {
        return Err(Error::corrupt(format!("the file had {} bytes and has {}", map.len(), source.bytes())));
    }
    let check = Check::prepare(source, &header, flags)?;
    let arrays = Arrays::beside(&header, map)?;
    Reader { source, header: &header, check, place: Place::Memory(&arrays) }.run(flags, pool)?;
    let content = arrays.finish(&header, flags, pool)?;
    Ok((header, content))
}

/// Uses a mapped file, or a file that lies in memory, in place.
pub(super) fn attach(map: &Arc<Foreign>, flags: OpenFlags, pool: &Pool) -> Result<Read> {
    let bytes: &[u8] = map;
    let header = read_header(bytes)?;
    if !flags.unchecked {
        let check = Check::prepare(bytes, &header, flags)?;
        Reader { source: bytes, header: &header, check, place: Place::Map(bytes) }.run(flags, pool)?;
    }
    let flags = OpenFlags { mapped: true, ..flags };
    let content = Arrays::in_file(&header, map)?.finish(&header, flags, pool)?;
    Ok((header, content))
}

/// Blocks of a whole file whose checksum or content is wrong; 1 where header or table of checksums are.
pub(super) fn bad_blocks(bytes: &[u8]) -> Result<u64> {
    let prepared = read_header(bytes).and_then(|header| {
        let check = Check::prepare(bytes, &header, OpenFlags::default())?;
        Ok((header, check))
    });
    let (header, check) = match prepared {
        Ok(prepared) => prepared,
        Err(error) if error.status() == Status::Memory => return Err(error),
        Err(_) => return Ok(1),
    };
    let reader = Reader { source: bytes, header: &header, check, place: Place::Map(bytes) };
    let blocks: u64 = header.payload().iter().map(Section::blocks).sum();
    Ok((0..blocks).filter(|&number| reader.block(number, &mut Vec::new()).is_err()).count() as u64)
}

fn count_states(parts: &Parts, header: &Header) -> Result<()> {
    let mut count = StateCount::default();
    let mut slot = 0;
    while slot < parts.slots {
        let run = parts.states.run(slot, parts.slots);
        // SAFETY: the array has `slots` one-byte records, `run` of them behind each other, all initialised; the parts are not
        // shared yet, so nobody writes them.
        count.add(unsafe { std::slice::from_raw_parts(parts.states.address(slot), run as usize) })?;
        slot += run;
    }
    count.compare(header.slots)
}

/// What blocks are held against.
enum Check {
    /// The table of checksums: the header's, one per block, the table's own.
    Table(Vec<u8>),
    Nothing,
}

impl Check {
    /// Reads the table of checksums and checks it and the gaps between sections.
    fn prepare(source: &(impl Source + ?Sized), header: &Header, flags: OpenFlags) -> Result<Self> {
        if flags.unchecked {
            return Ok(Self::Nothing);
        }
        let Some(section) = header.section(SectionKind::CHECKSUMS) else {
            return Err(Error::internal("a header without checksums was believed"));
        };
        let mut table = reserved(section.bytes as usize)?;
        table.resize(section.bytes as usize, 0);
        source.read_at(section.offset, &mut table).map_err(|cause| unreadable(section.offset, table.len(), &cause))?;
        let own = table.len() - 4;
        let computed = crc32c::crc32c(&table[..own]);
        if computed != get_u32(&table, own) {
            return Err(mismatch("section checksums", section.offset, section.bytes, computed, get_u32(&table, own)));
        }
        let mut page = [0; 4];
        let at = super::header::at::CHECKSUM;
        source.read_at(at as u64, &mut page).map_err(|cause| unreadable(at as u64, page.len(), &cause))?;
        if page != table[..4] {
            return Err(Error::corrupt("section checksums belongs to another header"));
        }
        check_gaps(source, header)?;
        Ok(Self::Table(table))
    }
}

/// Between sections there are zeros.
fn check_gaps(source: &(impl Source + ?Sized), header: &Header) -> Result<()> {
    let mut end = PAGE as u64;
    for section in &header.sections {
        let mut gap = [0; PAGE];
        let gap = &mut gap[..(section.offset - end) as usize];
        source.read_at(end, gap).map_err(|cause| unreadable(end, gap.len(), &cause))?;
        if let Some(i) = gap.iter().position(|&byte| byte != 0) {
            let at = end + i as u64;
            return Err(Error::corrupt(format!("byte {at}, before section {}, is not zero", section.kind.name())));
        }
        end = section.end();
    }
    Ok(())
}

/// Where the payload is to be found once it is read.
enum Place<'a> {
    /// In these arrays, which have room for it.
    Memory(&'a Arrays),
    /// In the file.
    Map(&'a [u8]),
}

/// One block of one section.
struct Block<'a> {
    section: &'a Section,
    /// First byte, counted from the start of the section.
    start: u64,
    bytes: usize,
    /// Its number in the file, which is also its place in the table of checksums.
    number: u64,
}

struct Reader<'a, S: ?Sized> {
    source: &'a S,
    header: &'a Header,
    check: Check,
    place: Place<'a>,
}

impl<S: Source + ?Sized> Reader<'_, S> {
    /// Goes through all blocks on up to as many threads as there are cores.
    fn run(&self, flags: OpenFlags, pool: &Pool) -> Result<()> {
        let blocks: u64 = self.header.payload().iter().map(Section::blocks).sum();
        let threads = if flags.one_thread { 1 } else { (blocks / TURN).clamp(1, cores() as u64) as usize };
        let next = AtomicU64::new(0);
        let failed = AtomicBool::new(false);
        let first: Mutex<Option<(u64, Error)>> = Mutex::new(None);
        let work = || {
            let mut scratch = Vec::new();
            // Blocks are taken in ascending order and a taken turn ends with its first bad block or its last, so the lowest bad
            // block is always met.
            while !failed.load(Ordering::Relaxed) {
                let turn = next.fetch_add(TURN, Ordering::Relaxed);
                if turn >= blocks {
                    break;
                }
                let bad = (turn..blocks.min(turn + TURN))
                    .find_map(|number| self.block(number, &mut scratch).err().map(|error| (number, error)));
                if let Some((number, error)) = bad {
                    failed.store(true, Ordering::Relaxed);
                    let mut first = first.lock();
                    if first.as_ref().is_none_or(|(lowest, _)| number < *lowest) {
                        *first = Some((number, error));
                    }
                }
            }
        };
        if pool.run(threads, |_worker| work(), work).is_err() {
            // The system gives no more threads; this one is enough.
            work();
        }
        first.into_inner().map_or(Ok(()), |(_, error)| Err(error))
    }

    fn block(&self, number: u64, scratch: &mut Vec<u8>) -> Result<()> {
        let block = self.find(number)?;
        match &self.place {
            Place::Map(map) => {
                // The header was held against the length of the map.
                let start = (block.section.offset + block.start) as usize;
                let bytes = &map[start..start + block.bytes];
                self.compare(&block, crc32c::crc32c(bytes))?;
                self.content(&block, block.start, bytes)
            }
            Place::Memory(arrays) => match arrays.array(block.section.kind) {
                Some(array) if !array.is_foreign() => self.read_into(array, &block),
                _ => self.look_at(&block, scratch),
            },
        }
    }

    /// Reads a block into the records that it belongs to.
    fn read_into(&self, array: &Segments, block: &Block<'_>) -> Result<()> {
        let mut checksum = 0;
        for (position, piece) in pieces(array, block) {
            // SAFETY: `pieces` gives addresses of records that `Arrays::allocate` made (as many as the section has records), each byte of a section once, and each block is taken by one thread: nobody else touches them now.
            // They were zeroed when they were made.
            let into = unsafe { std::slice::from_raw_parts_mut(piece.address, piece.bytes) };
            let offset = block.section.offset + position;
            self.source.read_at(offset, into).map_err(|cause| unreadable(offset, into.len(), &cause))?;
            if matches!(self.check, Check::Table(_)) {
                checksum = crc32c::crc32c_append(checksum, into);
            }
        }
        self.compare(block, checksum)?;
        if matches!(self.check, Check::Table(_)) {
            for (position, piece) in pieces(array, block) {
                // SAFETY: as above; the exclusive borrow has ended.
                self.content(block, position, unsafe { std::slice::from_raw_parts(piece.address, piece.bytes) })?;
            }
        }
        Ok(())
    }

    /// Checks a block that is not read into memory: of vectors that stay in the file, or of a section that this version does not know. It is read
    /// all the same, not looked at in the mapping, whose pages would stay.
    fn look_at(&self, block: &Block<'_>, scratch: &mut Vec<u8>) -> Result<()> {
        if matches!(self.check, Check::Nothing) {
            return Ok(());
        }
        if scratch.is_empty() {
            *scratch = reserved(BLOCK)?;
            scratch.resize(BLOCK, 0);
        }
        let into = &mut scratch[..block.bytes];
        let offset = block.section.offset + block.start;
        self.source.read_at(offset, into).map_err(|cause| unreadable(offset, into.len(), &cause))?;
        self.compare(block, crc32c::crc32c(into))?;
        self.content(block, block.start, into)
    }

    fn find(&self, number: u64) -> Result<Block<'_>> {
        let mut before = 0;
        for section in self.header.payload() {
            let blocks = section.blocks();
            if number - before < blocks {
                let start = (number - before) * BLOCK as u64;
                let bytes = (section.bytes - start).min(BLOCK as u64) as usize;
                return Ok(Block { section, start, bytes, number });
            }
            before += blocks;
        }
        Err(Error::internal(format!("there is no block {number}")))
    }

    fn compare(&self, block: &Block<'_>, computed: u32) -> Result<()> {
        let Check::Table(table) = &self.check else { return Ok(()) };
        // Entry 0 is the header's. The table has an entry for every block: the header was checked for it.
        let stated = get_u32(table, (block.number as usize + 1) * 4);
        if stated == computed {
            return Ok(());
        }
        let what = format!("section {}", block.section.kind.name());
        Err(mismatch(&what, block.section.offset + block.start, block.bytes as u64, computed, stated))
    }

    fn content(&self, block: &Block<'_>, position: u64, bytes: &[u8]) -> Result<()> {
        match block.section.kind {
            SectionKind::VECTORS => {
                let stride = block.section.record_bytes as usize;
                let element = self.header.element();
                let vector_bytes = self.header.vector_bytes();
                Rows { element, vector_bytes, stride }.check(position, bytes)
            }
            SectionKind::SCALES => check_scales(position, bytes),
            SectionKind::CODES => check_codes(block.section.record_bytes as usize, position, bytes),
            _ => Ok(()),
        }
    }
}

/// Bytes of an array that lie behind each other.
struct Piece {
    address: *mut u8,
    bytes: usize,
}

/// The places of a block's bytes in an array, each with its position in the section.
fn pieces<'a>(array: &'a Segments, block: &Block<'_>) -> impl Iterator<Item = (u64, Piece)> + use<'a> {
    let stride = array.stride() as u64;
    let (mut position, end, records) = (block.start, block.start + block.bytes as u64, block.section.count as u32);
    std::iter::from_fn(move || {
        if position == end {
            return None;
        }
        let (record, within) = ((position / stride) as u32, position % stride);
        let run = u64::from(array.run(record, records)) * stride - within;
        let bytes = run.min(end - position) as usize;
        let piece = Piece { address: array.address(record).wrapping_add(within as usize), bytes };
        let at = position;
        position += bytes as u64;
        Some((at, piece))
    })
}

fn mismatch(what: &str, offset: u64, bytes: u64, computed: u32, stated: u32) -> Error {
    Error::corrupt(format!(
        "{what}: the {bytes} bytes at offset {offset} have checksum {computed:08x}, it should be {stated:08x}"
    ))
}

fn unreadable(offset: u64, bytes: usize, cause: &io::Error) -> Error {
    if cause.kind() == io::ErrorKind::UnexpectedEof {
        return Error::corrupt(format!("the file ended before {bytes} bytes at offset {offset} were read"));
    }
    Error::new(Status::Io, format!("reading {bytes} bytes at offset {offset}: {cause}"))
}
