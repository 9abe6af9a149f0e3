//! What stands in the first 4 KiB of a file, and which headers are believed?
//!
//! FORMAT.md has the byte table; the constants below are its offsets. A header is decoded strictly: everything that follows from
//! something else (offsets, lengths, record sizes) is computed and compared, and what was understood is encoded again and must
//! give the same 4 KiB. So no byte of a header is free, and later code may rely on every number in [`Header`].

use crate::distance::{Element, Metric};
use crate::graph;
use crate::index::config::{Config, DEFAULT_M, Degree, Kind, Options, Quantizer};
use crate::quant::{Coding, Reducer, blob_bytes, is_code};
use crate::store::{Held, MAX_SLOTS, padded};
use crate::util::error::{Error, Result, Status};
use crate::util::memory::LINE;

/// The newest format. Formats 1 to this one are read.
pub(crate) const FORMAT: u32 = 10;

/// The format that an index is written in: the oldest that can hold it, so that older versions of kith read what they can.
pub(crate) fn format_for(config: &Config, held: Held) -> u32 {
    match (config.kind, config.quantizer) {
        (_, Quantizer::BytesProjected4) => 10,
        _ if held.is_rounded() => 10,
        (_, Quantizer::Product | Quantizer::Signs) => 9,
        (Kind::Flat, quantizer) if quantizer.coding().is_some() => 9,
        (Kind::Auto, _) => 8,
        (_, Quantizer::Projected2 | Quantizer::Projected1) => 7,
        (_, quantizer) if matches!(held, Held::I8 | Held::U8) && quantizer != Quantizer::Auto => 7,
        _ if config.limit.is_some() => 6,
        (_, quantizer) if quantizer.reduction().is_some() => 5,
        _ if held != Held::AsGiven => 4,
        (Kind::Flat, _) => 1,
        (Kind::Graph, Quantizer::None) => 2,
        (Kind::Graph, _) => 3,
    }
}

/// Sections start on multiples of this, and the header takes one.
pub(super) const PAGE: usize = 4096;
/// Bytes of a section under one checksum.
pub(super) const BLOCK: usize = 1 << 20;

/// Not text, so that nobody opens it as text; a line end that a text-mode copy would change; the end-of-file mark of old consoles.
pub(super) const MAGIC: [u8; 8] = *b"\x89KITH\r\n\x1a";
/// Reads as this number on a machine of the writer's byte order only.
const BYTE_ORDER: u32 = 0x0102_0304;
/// Bytes of one entry of the section table.
const ENTRY: usize = 64;
/// Says that vectors are held reduced, where else an element type would stand.
const REDUCED: u32 = 16;
/// Entries that fit between the fixed fields and the checksum.
pub(super) const MOST_SECTIONS: usize = (at::CHECKSUM - at::SECTIONS) / ENTRY;

/// In the header's flags: the capacity is fixed.
const FIXED_CAPACITY: u32 = 1;

/// Offsets in the header.
pub(super) mod at {
    pub(in crate::persist) const FORMAT: usize = 8;
    pub(in crate::persist) const BYTE_ORDER: usize = 12;
    pub(in crate::persist) const FILE_BYTES: usize = 16;
    pub(in crate::persist) const SECTION_COUNT: usize = 24;
    pub(in crate::persist) const BLOCK_BYTES: usize = 28;
    pub(in crate::persist) const DIMENSIONS: usize = 32;
    pub(in crate::persist) const METRIC: usize = 36;
    pub(in crate::persist) const ELEMENT: usize = 40;
    pub(in crate::persist) const KIND: usize = 44;
    pub(in crate::persist) const QUANTIZER: usize = 48;
    pub(in crate::persist) const M: usize = 52;
    pub(in crate::persist) const EF_CONSTRUCTION: usize = 56;
    pub(in crate::persist) const EF_SEARCH: usize = 60;
    pub(in crate::persist) const SEED: usize = 64;
    pub(in crate::persist) const SLOTS: usize = 72;
    pub(in crate::persist) const LIVE: usize = 80;
    pub(in crate::persist) const REMOVED: usize = 88;
    pub(in crate::persist) const HELD: usize = 96;
    pub(in crate::persist) const HELD_BYTES: usize = 100;
    pub(in crate::persist) const FLAGS: usize = 104;
    pub(in crate::persist) const CAPACITY: usize = 112;
    pub(in crate::persist) const GRAPH_FROM: usize = 120;
    pub(in crate::persist) const SECTIONS: usize = 128;
    pub(in crate::persist) const CHECKSUM: usize = super::PAGE - 4;
}

/// What a section holds. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SectionKind(pub(super) u32);

impl SectionKind {
    pub(super) const VECTORS: Self = Self(1);
    pub(super) const KEYS: Self = Self(2);
    pub(super) const STATES: Self = Self(3);
    pub(super) const SCALES: Self = Self(4);
    /// Links at level 0, a row per slot.
    pub(super) const ROWS: Self = Self(5);
    /// Per slot: the number of its row at level 1 among the upper rows.
    pub(super) const FIRST_UPPER: Self = Self(6);
    /// Links above level 0, a row per slot and level.
    pub(super) const UPPER: Self = Self(7);
    /// The entry point.
    pub(super) const ENTRY: Self = Self(8);
    /// What makes codes of vectors.
    pub(super) const CODEC: Self = Self(9);
    /// A code per slot.
    pub(super) const CODES: Self = Self(10);
    /// What reduces vectors.
    pub(super) const REDUCER: Self = Self(11);
    /// The highest kind that this version knows but the checksums.
    const LAST: Self = Self::REDUCER;
    /// Checksums of everything before it. Always the last section.
    pub(super) const CHECKSUMS: Self = Self(u32::MAX);

    /// Its name in messages.
    pub(super) fn name(self) -> String {
        match self {
            Self::VECTORS => "vectors".into(),
            Self::KEYS => "keys".into(),
            Self::STATES => "states".into(),
            Self::SCALES => "scales".into(),
            Self::ROWS => "rows".into(),
            Self::FIRST_UPPER => "first upper rows".into(),
            Self::UPPER => "upper rows".into(),
            Self::ENTRY => "entry".into(),
            Self::CODEC => "codec".into(),
            Self::CODES => "codes".into(),
            Self::REDUCER => "reducer".into(),
            Self::CHECKSUMS => "checksums".into(),
            Self(other) => format!("{other}"),
        }
    }
}

/// Flag of a section that a reader may leave alone if it does not know its kind.
pub(super) const OPTIONAL: u32 = 1;

/// An entry of the section table: `count` records of `record_bytes` from `offset` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: SectionKind,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) count: u64,
    pub(super) record_bytes: u32,
}

impl Section {
    /// A required section, not placed yet.
    fn of(kind: SectionKind, count: u64, record_bytes: usize) -> Self {
        // Records are at most 256 KiB and there are fewer than 2^32: the product fits.
        Self { kind, flags: 0, offset: 0, bytes: count * record_bytes as u64, count, record_bytes: record_bytes as u32 }
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes
    }

    /// Pieces of at most [`BLOCK`] bytes that have a checksum each.
    pub(super) fn blocks(&self) -> u64 {
        self.bytes.div_ceil(BLOCK as u64)
    }
}

/// Slots of an image by state; those of `all` that are neither live nor removed are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) all: u64,
    pub(super) live: u64,
    pub(super) removed: u64,
}

/// A header that was checked, or that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: u32,
    pub(super) config: Config,
    /// How the vectors in the file are held.
    pub(super) held: Held,
    pub(super) slots: Counts,
    /// In the order of the file; the checksums are the last.
    pub(super) sections: Vec<Section>,
}

impl Header {
    /// The header of an image that is to be written; `code` says the width and lines of codes, if there are some.
    pub(super) fn plan(
        config: &Config,
        held: Held,
        slots: Counts,
        upper_rows: u64,
        code: Option<(Coding, usize)>,
    ) -> Self {
        let mut sections = known_sections((config, held), slots.all, upper_rows, code);
        let blocks: u64 = sections.iter().map(Section::blocks).sum();
        sections.push(Section::of(SectionKind::CHECKSUMS, blocks + 2, 4));
        let mut end = PAGE as u64;
        for section in &mut sections {
            section.offset = end.next_multiple_of(PAGE as u64);
            end = section.end();
        }
        Self { format: format_for(config, held), config: config.clone(), held, slots, sections }
    }

    /// Type of the components in the file.
    pub(super) fn element(&self) -> Element {
        match self.held {
            Held::AsGiven => self.config.element,
            Held::I8 => Element::I8,
            Held::U8 => Element::U8,
            Held::F16 => Element::F16,
            Held::Bf16 => Element::Bf16,
            Held::Reduced(_) => Element::I8,
        }
    }

    /// Between what codes are of: reduced vectors are of length 1 under cosine.
    pub(super) fn metric_of_codes(&self) -> Metric {
        match (self.held, self.config.metric) {
            (Held::Reduced(_), Metric::Cosine) => Metric::L2,
            (_, metric) => metric,
        }
    }

    /// Bytes of a vector in the file, before it is padded.
    pub(super) fn vector_bytes(&self) -> usize {
        self.held.bytes_of(self.config.vector_bytes())
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.sections.last().map_or(PAGE as u64, Section::end)
    }

    /// The sections that checksums stand for: all but the checksums themselves.
    pub(super) fn payload(&self) -> &[Section] {
        self.sections.split_last().map_or(&[], |(_, payload)| payload)
    }

    pub(super) fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// The first page of the file.
    pub(super) fn encode(&self) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        page[..MAGIC.len()].copy_from_slice(&MAGIC);
        put_u32(&mut page, at::FORMAT, self.format);
        put_u32(&mut page, at::BYTE_ORDER, BYTE_ORDER);
        put_u64(&mut page, at::FILE_BYTES, self.file_bytes());
        put_u32(&mut page, at::SECTION_COUNT, self.sections.len() as u32);
        put_u32(&mut page, at::BLOCK_BYTES, BLOCK as u32);
        let config = &self.config;
        put_u32(&mut page, at::DIMENSIONS, config.dimensions);
        put_u32(&mut page, at::METRIC, config.metric as u32);
        put_u32(&mut page, at::ELEMENT, config.element as u32);
        put_u32(&mut page, at::KIND, config.kind as u32);
        put_u32(&mut page, at::QUANTIZER, config.quantizer as u32);
        put_u32(&mut page, at::M, config.m);
        put_u32(&mut page, at::EF_CONSTRUCTION, config.ef_construction);
        put_u32(&mut page, at::EF_SEARCH, config.ef_search);
        put_u64(&mut page, at::SEED, config.seed);
        put_u64(&mut page, at::SLOTS, self.slots.all);
        put_u64(&mut page, at::LIVE, self.slots.live);
        put_u64(&mut page, at::REMOVED, self.slots.removed);
        let (held, bytes) = match self.held {
            Held::AsGiven => (0, 0),
            Held::I8 | Held::U8 | Held::F16 | Held::Bf16 => (self.element() as u32, 0),
            Held::Reduced(bytes) => (REDUCED, bytes),
        };
        put_u32(&mut page, at::HELD, held);
        put_u32(&mut page, at::HELD_BYTES, bytes);
        if let Some(limit) = config.limit {
            put_u32(&mut page, at::FLAGS, FIXED_CAPACITY);
            put_u64(&mut page, at::CAPACITY, limit);
        }
        if let (Kind::Auto, Some(from)) = (config.kind, config.graph_from) {
            put_u64(&mut page, at::GRAPH_FROM, from);
        }
        for (i, section) in self.sections.iter().enumerate() {
            let entry = at::SECTIONS + i * ENTRY;
            put_u32(&mut page, entry, section.kind.0);
            put_u32(&mut page, entry + 4, section.flags);
            put_u64(&mut page, entry + 8, section.offset);
            put_u64(&mut page, entry + 16, section.bytes);
            put_u64(&mut page, entry + 24, section.count);
            put_u32(&mut page, entry + 32, section.record_bytes);
        }
        let checksum = checksum_of(&page);
        put_u32(&mut page, at::CHECKSUM, checksum);
        page
    }

    /// Reads the first page of a file of `file_bytes` bytes.
    pub(super) fn decode(page: &[u8; PAGE], file_bytes: u64) -> Result<Self> {
        let format = check_kind_of_file(page)?;
        let stated = get_u64(page, at::FILE_BYTES);
        if stated != file_bytes {
            let what = if file_bytes < stated { "it was truncated" } else { "something was appended" };
            return Err(Error::corrupt(format!("the file has {file_bytes} bytes, its header says {stated}: {what}")));
        }
        if get_u32(page, at::BLOCK_BYTES) != BLOCK as u32 {
            return Err(Error::corrupt(format!("the header says blocks of {} bytes", get_u32(page, at::BLOCK_BYTES))));
        }
        let config = decode_config(page)?;
        let held = decode_held(page, &config)?;
        if format != format_for(&config, held) {
            return Err(Error::corrupt(format!(
                "the header says format {format}, an index of this kind has {}",
                format_for(&config, held)
            )));
        }
        let slots = Counts {
            all: get_u64(page, at::SLOTS),
            live: get_u64(page, at::LIVE),
            removed: get_u64(page, at::REMOVED),
        };
        let most = if config.kind != Kind::Flat { graph::MAX_SLOTS } else { MAX_SLOTS };
        if slots.all > most || slots.live.checked_add(slots.removed).is_none_or(|used| used > slots.all) {
            return Err(Error::corrupt(format!(
                "the header says {} live and {} removed of {} slots",
                slots.live, slots.removed, slots.all
            )));
        }
        if config.limit.is_some_and(|limit| slots.live > limit) {
            return Err(Error::corrupt(format!(
                "the header says {} live vectors and a capacity of {}",
                slots.live,
                get_u64(page, at::CAPACITY)
            )));
        }
        let sections = decode_sections(page, (&config, held), slots.all, file_bytes)?;
        let header = Self { format, config, held, slots, sections };
        if header.encode() != *page {
            return Err(Error::corrupt("the header has bytes that no save writes"));
        }
        Ok(header)
    }
}

/// Is it a kith file of a format and byte order that can be read here? Answers the format.
fn check_kind_of_file(page: &[u8; PAGE]) -> Result<u32> {
    if page[..MAGIC.len()] != MAGIC {
        return Err(Error::corrupt("not a kith file: it does not begin with the mark of one"));
    }
    if get_u32(page, at::BYTE_ORDER) == BYTE_ORDER.swap_bytes() {
        return Err(Error::new(Status::Version, "written on a machine of the other byte order"));
    }
    let (stated, computed) = (get_u32(page, at::CHECKSUM), checksum_of(page));
    if stated != computed {
        return Err(Error::corrupt(format!("the header's checksum is {computed:08x}, it says {stated:08x}")));
    }
    match get_u32(page, at::FORMAT) {
        0 => Err(Error::corrupt("the header says format 0, which never was")),
        format if format > FORMAT => {
            Err(Error::new(Status::Version, format!("format {format}, this version of kith reads up to {FORMAT}")))
        }
        format => Ok(format),
    }
}

fn decode_config(page: &[u8; PAGE]) -> Result<Config> {
    let parse = || -> Result<Config> {
        let kind = Kind::try_from(get_u32(page, at::KIND))?;
        let options = Options {
            dimensions: get_u32(page, at::DIMENSIONS),
            metric: Metric::try_from(get_u32(page, at::METRIC))?,
            element: Element::try_from(get_u32(page, at::ELEMENT))?,
            kind,
            graph_from: get_u64(page, at::GRAPH_FROM),
            quantizer: Quantizer::try_from(get_u32(page, at::QUANTIZER))?,
            m: get_u32(page, at::M),
            ef_construction: get_u32(page, at::EF_CONSTRUCTION),
            ef_search: get_u32(page, at::EF_SEARCH),
            capacity: get_u64(page, at::CAPACITY),
            fixed_capacity: get_u32(page, at::FLAGS) & FIXED_CAPACITY != 0,
            seed: get_u64(page, at::SEED),
            keep_removed: false,
            custom: None,
            memory_limit: 0,
            held: match get_u32(page, at::HELD) {
                code if code == Element::F16 as u32 => Element::F16,
                code if code == Element::Bf16 as u32 => Element::Bf16,
                _ => Element::F32,
            },
            bytes_per_vector: 0,
        };
        // The usual degree may have been asked for by nobody: what has no graph yet may choose another.
        let degree = if options.m == DEFAULT_M { Degree::left_open(options.metric) } else { Degree::Given };
        let config = Config { kind, degree, ..Config::new(&options)? };
        if config.kind == Kind::Auto && config.graph_from.is_none() {
            return Err(Error::argument("kind is auto, of an index that is a graph from the start"));
        }
        Ok(config)
    };
    // What this version cannot do, a later one wrote; what no version can do is damage. Zeros, which would mean defaults in
    // options, differ from what is encoded again and are refused there.
    parse().map_err(|error| match error.status() {
        Status::Unsupported => Error::new(Status::Version, format!("the header says: {}", error.text())),
        Status::Argument => Error::corrupt(format!("the header says: {}", error.text())),
        _ => error,
    })
}

/// How the vectors of a file are held: rounded where it was asked for, as bytes only where a library's choice may make them so.
fn decode_held(page: &[u8; PAGE], config: &Config) -> Result<Held> {
    let stated = get_u32(page, at::HELD);
    let held = match stated {
        0 => return Ok(Held::AsGiven),
        _ if config.held.is_rounded() => return Ok(config.held),
        code if code == Element::I8 as u32 => Held::I8,
        code if code == Element::U8 as u32 => Held::U8,
        REDUCED => {
            let bytes = get_u32(page, at::HELD_BYTES);
            return match reducer_bytes(config, bytes) {
                Some(_) => Ok(Held::Reduced(bytes)),
                None => Err(Error::corrupt(format!("the header says that such vectors are reduced to {bytes} bytes"))),
            };
        }
        _ => return Err(Error::corrupt(format!("the header says that vectors are held as element {stated}"))),
    };
    if !config.may_be_bytes() {
        return Err(Error::corrupt(format!("the header says that such vectors are held as element {stated}")));
    }
    Ok(held)
}

/// Bytes of what reduces the vectors of such an index to so many; `None` if nothing does.
fn reducer_bytes(config: &Config, bytes: u32) -> Option<usize> {
    Reducer::blob_bytes(config.quantizer.reduction()?, config.dimensions as usize, bytes as usize)
}

/// The payload sections that an index of this configuration must have, in order, not placed yet.
fn known_sections(
    (config, held): (&Config, Held),
    slots: u64,
    upper_rows: u64,
    code: Option<(Coding, usize)>,
) -> Vec<Section> {
    let mut sections = vec![
        Section::of(SectionKind::VECTORS, slots, padded(held.bytes_of(config.vector_bytes()))),
        Section::of(SectionKind::KEYS, slots, 8),
        Section::of(SectionKind::STATES, slots, 1),
    ];
    if scaled(config) {
        sections.push(Section::of(SectionKind::SCALES, slots, 4));
    }
    if config.kind == Kind::Graph {
        sections.push(Section::of(SectionKind::ROWS, slots, graph::row_bytes(2 * config.m)));
        sections.push(Section::of(SectionKind::FIRST_UPPER, slots, 4));
        sections.push(Section::of(SectionKind::UPPER, upper_rows, graph::row_bytes(config.m)));
        sections.push(Section::of(SectionKind::ENTRY, 1, 8));
    }
    if let Some(code) = code {
        let blob = blob_bytes(config.dimensions as usize, code);
        sections.push(Section::of(SectionKind::CODEC, (blob / LINE) as u64, LINE));
        sections.push(Section::of(SectionKind::CODES, slots, code.1 * LINE));
    }
    if let Held::Reduced(bytes) = held {
        let blob = reducer_bytes(config, bytes).unwrap_or(0);
        sections.push(Section::of(SectionKind::REDUCER, (blob / LINE) as u64, LINE));
    }
    sections
}

/// Whether an index keeps 1 / norm of its vectors.
pub(super) fn scaled(config: &Config) -> bool {
    config.metric == Metric::Cosine
}

fn decode_sections(
    page: &[u8; PAGE],
    (config, held): (&Config, Held),
    slots: u64,
    file_bytes: u64,
) -> Result<Vec<Section>> {
    let count = get_u32(page, at::SECTION_COUNT) as usize;
    if count == 0 || count > MOST_SECTIONS {
        return Err(Error::corrupt(format!("the header says {count} sections, possible are 1 to {MOST_SECTIONS}")));
    }
    // How many upper rows there are is known when the levels are computed: `links` compares. More than this can never be.
    let most = slots * u64::from(graph::MAX_LEVEL);
    let stated = (0..count).map(|i| decode_section(page, at::SECTIONS + i * ENTRY));
    let upper_rows = stated.filter(|section| section.kind == SectionKind::UPPER).map(|section| section.count).next();
    let mut stated = (0..count).map(|i| decode_section(page, at::SECTIONS + i * ENTRY));
    let lines =
        stated.find(|section| section.kind == SectionKind::CODES).map(|codes| codes.record_bytes as usize / LINE);
    // Sections of codes where there cannot be any are then known, but not expected.
    // Codes beside reduced vectors are of what these are, so there are none before.
    let coded = config.quantizer.reduction().is_none() || matches!(held, Held::Reduced(_));
    let code = config.quantizer.coding().filter(|_| coded).zip(lines.filter(|&lines| is_code(lines)));
    let mut expected = known_sections((config, held), slots, upper_rows.unwrap_or(0).min(most), code);
    let mut sections: Vec<Section> = Vec::with_capacity(count);
    let (mut end, mut blocks) = (PAGE as u64, 0);
    for i in 0..count {
        if i + 1 == count {
            expected.push(Section::of(SectionKind::CHECKSUMS, blocks + 2, 4));
        }
        let section = decode_section(page, at::SECTIONS + i * ENTRY);
        let after = sections.last().map_or(SectionKind(0), |before| before.kind);
        check_section(&section, after, end, file_bytes)?;
        match expected.iter().position(|known| known.kind == section.kind) {
            Some(known) => {
                let known = expected.remove(known);
                if (known.count, known.record_bytes, known.flags)
                    != (section.count, section.record_bytes, section.flags)
                {
                    return Err(Error::corrupt(format!(
                        "section {} has {} records of {} bytes, expected are {} of {}",
                        section.kind.name(),
                        section.count,
                        section.record_bytes,
                        known.count,
                        known.record_bytes
                    )));
                }
            }
            None if section.flags & OPTIONAL == 0 || section.kind <= SectionKind::LAST => {
                return Err(unknown_section(&section));
            }
            None => {}
        }
        end = section.end();
        blocks += section.blocks();
        sections.push(section);
    }
    match expected.first() {
        Some(missing) => Err(Error::corrupt(format!("section {} is missing", missing.kind.name()))),
        None if end != file_bytes => Err(Error::corrupt(format!("the sections end at {end} of {file_bytes} bytes"))),
        None => Ok(sections),
    }
}

/// A section of a kind that this version knows but that has no place in such an index, or of a kind that it does not know.
fn unknown_section(section: &Section) -> Error {
    if section.kind <= SectionKind::LAST || section.kind == SectionKind::CHECKSUMS {
        Error::corrupt(format!("section {} has no place there", section.kind.name()))
    } else {
        Error::new(
            Status::Version,
            format!("section {} is of a kind that this version does not know", section.kind.name()),
        )
    }
}

fn decode_section(page: &[u8; PAGE], entry: usize) -> Section {
    Section {
        kind: SectionKind(get_u32(page, entry)),
        flags: get_u32(page, entry + 4),
        offset: get_u64(page, entry + 8),
        bytes: get_u64(page, entry + 16),
        count: get_u64(page, entry + 24),
        record_bytes: get_u32(page, entry + 32),
    }
}

/// Rules for sections of every kind: ascending, behind each other without gaps, inside the file, made of records.
fn check_section(section: &Section, after: SectionKind, end: u64, file_bytes: u64) -> Result<()> {
    let name = section.kind.name();
    if section.kind <= after {
        return Err(Error::corrupt(format!("section {name} stands behind section {}", after.name())));
    }
    if section.flags & !OPTIONAL != 0 {
        return Err(Error::new(
            Status::Version,
            format!("section {name} has flags {:#x}, which this version does not know", section.flags),
        ));
    }
    // `end` is inside the file, so rounding it up cannot overflow before the comparison with the file's length catches it.
    let start = end.checked_next_multiple_of(PAGE as u64);
    if start != Some(section.offset) {
        return Err(Error::corrupt(format!(
            "section {name} begins at {}, the one before ends at {end}",
            section.offset
        )));
    }
    if section.offset.checked_add(section.bytes).is_none_or(|end| end > file_bytes) {
        return Err(Error::corrupt(format!(
            "section {name} has {} bytes at {}, the file ends at {file_bytes}",
            section.bytes, section.offset
        )));
    }
    if section.count.checked_mul(u64::from(section.record_bytes)) != Some(section.bytes) {
        return Err(Error::corrupt(format!(
            "section {name} has {} records of {} bytes in {} bytes",
            section.count, section.record_bytes, section.bytes
        )));
    }
    Ok(())
}

/// The checksum that belongs at the end of a header.
pub(super) fn checksum_of(page: &[u8; PAGE]) -> u32 {
    crc32c::crc32c(&page[..at::CHECKSUM])
}

pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

pub(super) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
