//! What may a caller choose, and which choices are valid together? Options in, a checked `Config` out.

use crate::distance::{Custom, Element, Metric};
use crate::quant::{self, Coding, Reduction, Width};
use crate::store::{Held, Removal};
use crate::util::error::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Largest number of dimensions of a vector.
pub const MAX_DIMENSIONS: u32 = 65_536;
/// Most bytes of an element that only the caller's distance can read.
pub const MAX_BYTES: u32 = 1 << 20;
/// The reserved key: never a vector's, fills unused result slots.
pub const NO_KEY: u64 = u64::MAX;
/// Largest degree that can be asked for.
pub const MAX_M: u32 = 512;
/// Largest breadth that can be asked for; more than that is an exact scan in disguise.
pub const MAX_EF: u32 = 1 << 20;

/// Most vectors of a graph.
pub(crate) const MAX_GRAPH: u64 = (1 << 31) - 1;
pub(crate) const DEFAULT_M: u32 = 16;
pub(crate) const DEFAULT_GRAPH_FROM: u64 = 5000;
pub(crate) const DEFAULT_EF_CONSTRUCTION: u32 = 200;
pub(crate) const DEFAULT_EF_SEARCH: u32 = 64;

/// How the index finds neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// The library's choice.
    #[default]
    Auto = 0,
    /// Exact: every vector is looked at.
    Flat = 1,
    /// HNSW graph.
    Graph = 2,
}

/// How vectors are coded for the walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Quantizer {
    /// The library's choice; answers are ranked by exact distances.
    #[default]
    Auto = 0,
    /// Plain vectors.
    None = 1,
    /// 4 bits for each of the leading directions; walks go by these codes, answers are ranked by exact distances.
    Projected4 = 2,
    /// A byte for each component, in place of the vectors.
    Bytes = 3,
    /// A byte for each of the leading directions, in place of the vectors.
    Leading8 = 4,
    /// The same with more directions.
    Leading8Fine = 5,
    /// As `Projected4`, with 2 bits for each direction, and twice as many directions in the same memory.
    Projected2 = 6,
    /// As `Projected4`, with 1 bit for each direction, and four times as many directions in the same memory.
    Projected1 = 7,
    /// As `Projected4`, with a byte for each of several groups of directions (product quantisation).
    Product = 8,
    /// As `Projected4`, with the sign of each component, and queries alike (Hamming).
    Signs = 9,
    /// `Bytes` in place of the vectors, and beside them codes as `Projected4`: walks go by 4 bits for each leading direction, answers are ranked by bytes.
    BytesProjected4 = 10,
}

impl Quantizer {
    /// How vectors are reduced, if they are.
    pub(crate) fn reduction(self) -> Option<Reduction> {
        match self {
            Self::Auto
            | Self::None
            | Self::Projected4
            | Self::Projected2
            | Self::Projected1
            | Self::Product
            | Self::Signs => None,
            Self::Bytes | Self::BytesProjected4 => Some(Reduction::Every),
            Self::Leading8 => Some(Reduction::Leading),
            Self::Leading8Fine => Some(Reduction::Fine),
        }
    }

    /// What reduces vectors so.
    pub(crate) fn of_reduction(reduction: Reduction) -> Self {
        match reduction {
            Reduction::Every => Self::Bytes,
            Reduction::Leading => Self::Leading8,
            Reduction::Fine => Self::Leading8Fine,
        }
    }

    /// The kind of the codes that walks go by, where there are such.
    pub(crate) fn coding(self) -> Option<Coding> {
        match self {
            Self::Auto | Self::Projected4 | Self::BytesProjected4 => Some(Width::Four.into()),
            Self::Projected2 => Some(Width::Two.into()),
            Self::Projected1 => Some(Width::One.into()),
            Self::Product => Some(Coding::Product),
            Self::Signs => Some(Coding::Signs),
            Self::None | Self::Bytes | Self::Leading8 | Self::Leading8Fine => None,
        }
    }

    /// What codes of this kind are called.
    pub(crate) fn of_coding(coding: Coding) -> Self {
        match coding {
            Coding::Rounded(Width::Four) => Self::Projected4,
            Coding::Rounded(Width::Two) => Self::Projected2,
            Coding::Rounded(Width::One) => Self::Projected1,
            Coding::Product => Self::Product,
            Coding::Signs => Self::Signs,
        }
    }
}

impl TryFrom<u32> for Kind {
    type Error = Error;
    fn try_from(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self::Auto),
            1 => Ok(Self::Flat),
            2 => Ok(Self::Graph),
            _ => Err(Error::argument(format!("kind is {value}, known are 0 (auto), 1 (flat), 2 (graph)"))),
        }
    }
}

impl TryFrom<u32> for Quantizer {
    type Error = Error;
    fn try_from(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self::Auto),
            1 => Ok(Self::None),
            2 => Ok(Self::Projected4),
            3 => Ok(Self::Bytes),
            4 => Ok(Self::Leading8),
            5 => Ok(Self::Leading8Fine),
            6 => Ok(Self::Projected2),
            7 => Ok(Self::Projected1),
            8 => Ok(Self::Product),
            9 => Ok(Self::Signs),
            10 => Ok(Self::BytesProjected4),
            _ => Err(Error::unsupported(format!(
                "quantizer is {value}, known are 0 (auto), 1 (none), 2, 6 and 7 (projected, 4, 2 and 1 bits), 3 (bytes), 4 \
                 and 5 (leading, 8 bits), 8 (product), 9 (signs), 10 (bytes and 4 bits)"
            ))),
        }
    }
}

/// What an index is created with. Zero in a number means its default.
#[derive(Clone, Debug)]
pub struct Options {
    /// Components per vector, 1 to [`MAX_DIMENSIONS`]; a multiple of 8 for [`Element::B1`].
    pub dimensions: u32,
    /// Distance.
    pub metric: Metric,
    /// Type of a component.
    pub element: Element,
    /// Exact or graph.
    pub kind: Kind,
    /// With [`Kind::Auto`]: so many vectors make the index a graph. Default 5,000; 1: it is one from the start.
    pub graph_from: u64,
    /// Codes.
    pub quantizer: Quantizer,
    /// Degree: `m` above level 0, `2 m` at level 0. 0: 16, or 8 where the vectors ask for no more.
    pub m: u32,
    /// Breadth while inserting. Default 200.
    pub ef_construction: u32,
    /// Breadth of a search that names none. Default 64.
    pub ef_search: u32,
    /// Vectors to make room for at once; a hint, unless `fixed_capacity`.
    pub capacity: u64,
    /// There are never more than `capacity` live vectors.
    pub fixed_capacity: bool,
    /// Decides levels; equal seeds and equal inserts in equal order on one thread give equal graphs.
    pub seed: u64,
    /// Removed vectors can come back ([`crate::Index::undelete`]).
    pub keep_removed: bool,
    /// The distance, where the metric is [`Metric::Custom`].
    pub custom: Option<Custom>,
    /// Most bytes that the index may hold; 0: any amount. Not in files.
    pub memory_limit: u64,
    /// [`Element::F16`] or [`Element::Bf16`]: vectors of f32 are held rounded to that. [`Element::F32`]: as they are given, or in less memory where nothing is lost.
    pub held: Element,
    /// With [`Quantizer::Auto`]: most bytes that a vector should take, all in; 0: any amount. Not in files. See `index::choice`.
    pub bytes_per_vector: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dimensions: 0,
            metric: Metric::L2,
            element: Element::F32,
            kind: Kind::Auto,
            graph_from: 0,
            quantizer: Quantizer::Auto,
            m: 0,
            ef_construction: 0,
            ef_search: 0,
            capacity: 0,
            fixed_capacity: false,
            seed: 0,
            keep_removed: false,
            custom: None,
            memory_limit: 0,
            held: Element::F32,
            bytes_per_vector: 0,
        }
    }
}

/// Who decides on the degree of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Degree {
    /// Whoever made the index.
    Given,
    /// The vectors (`build::bulk::degree`).
    ByData,
}

impl Degree {
    /// What it means that nobody asked for one: where distances say how many dimensions there are, the vectors decide.
    pub(crate) fn left_open(metric: Metric) -> Self {
        match metric {
            Metric::L2 | Metric::Cosine | Metric::L1 => Self::ByData,
            Metric::InnerProduct | Metric::Hamming | Metric::Jaccard | Metric::Custom => Self::Given,
        }
    }
}

/// Options with every default filled in and every rule checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) dimensions: u32,
    pub(crate) metric: Metric,
    pub(crate) element: Element,
    /// `Auto` only in files, of an index that is to become a graph and is not one yet.
    pub(crate) kind: Kind,
    /// `AsGiven`, `F16` or `Bf16`: how vectors are held from the first on, if not in another way for the sake of codes.
    pub(crate) held: Held,
    /// So many vectors make the index a graph, if it is not one from the start.
    pub(crate) graph_from: Option<u64>,
    /// `None` for flat indexes, which are exact, and where codes are left to the library and would not be worth it.
    pub(crate) quantizer: Quantizer,
    pub(crate) m: u32,
    /// Whether the first vectors of a graph decide on its degree, which is `m` otherwise.
    pub(crate) degree: Degree,
    pub(crate) ef_construction: u32,
    pub(crate) ef_search: u32,
    pub(crate) seed: u64,
    /// Most bytes that a vector should take; 0: any amount. Not in files. See `index::choice`.
    pub(crate) bytes_per_vector: u32,
    /// Most live vectors, as the index was made or saved; see `index::room`.
    pub(crate) limit: Option<u64>,
    /// Not in files.
    pub(crate) removal: Removal,
    /// Set if and only if the metric is [`Metric::Custom`]. Not in files.
    pub(crate) custom: Option<Custom>,
}

impl Config {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        check_shape(options.metric, options.element, options.dimensions)?;
        if options.custom.is_some() != (options.metric == Metric::Custom) {
            return Err(Error::argument("distance and metric custom go together: set both or none"));
        }
        let kind = match options.kind {
            Kind::Flat => Kind::Flat,
            Kind::Auto | Kind::Graph => Kind::Graph,
        };
        let graph_from = graph_from(options)?;
        let m = or_default(options.m, DEFAULT_M);
        if !(2..=MAX_M).contains(&m) {
            return Err(Error::argument(format!("m is {m}, allowed are 2 to {MAX_M}")));
        }
        if options.quantizer.reduction().is_some() {
            check_reduction(options, kind)?;
        }
        let held = check_held(options)?;
        let shape = (options.metric, element_of(options.element, held), options.dimensions);
        let quantizer = check_quantizer(kind, shape, options.quantizer)?;
        let breadth = |name: &str, value: u32, default: u32| {
            let value = or_default(value, default);
            if value > MAX_EF {
                return Err(Error::argument(format!("{name} is {value}, allowed are 1 to {MAX_EF}")));
            }
            Ok(value)
        };
        Ok(Self {
            dimensions: options.dimensions,
            metric: options.metric,
            element: options.element,
            kind,
            held,
            graph_from,
            quantizer,
            m,
            degree: if options.m == 0 { Degree::left_open(options.metric) } else { Degree::Given },
            ef_construction: breadth("ef_construction", options.ef_construction, DEFAULT_EF_CONSTRUCTION)?,
            ef_search: breadth("ef_search", options.ef_search, DEFAULT_EF_SEARCH)?,
            seed: options.seed,
            bytes_per_vector: options.bytes_per_vector,
            limit: options.fixed_capacity.then_some(options.capacity),
            custom: options.custom.clone(),
            removal: if options.keep_removed { Removal::Kept } else { Removal::Final },
        })
    }

    /// Whether vectors are held as bytes by choice, where they turn out to be such whole numbers.
    pub(crate) fn may_become_bytes(&self, quantizer: Quantizer) -> bool {
        self.may_be_bytes() && quantizer == Quantizer::Auto
    }

    /// Whether vectors may be held as bytes: by choice, or because they were when the quantizer was changed.
    pub(crate) fn may_be_bytes(&self) -> bool {
        self.element == Element::F32
            && self.kind != Kind::Flat
            && self.held == Held::AsGiven
            && self.quantizer.reduction().is_none()
            && matches!(self.metric, Metric::L2 | Metric::InnerProduct | Metric::Cosine)
    }

    /// Bytes of one vector as the caller passes it.
    pub(crate) fn vector_bytes(&self) -> usize {
        self.element.vector_bytes(self.dimensions)
    }

    /// Type of a component as vectors are held, if not in another way for the sake of codes.
    pub(crate) fn held_element(&self) -> Element {
        element_of(self.element, self.held)
    }

    /// The part of an [`Info`] that follows from the configuration; the counts are zero.
    /// Vectors are as they are given, and there are no codes.
    pub(crate) fn info(&self, format: u32) -> Info {
        Info {
            dimensions: self.dimensions,
            metric: self.metric,
            element: self.element,
            kind: if self.kind == Kind::Graph { Kind::Graph } else { Kind::Flat },
            quantizer: Quantizer::None,
            m: if self.kind == Kind::Graph { self.m } else { 0 },
            ef_construction: self.ef_construction,
            ef_search: self.ef_search,
            format,
            count: 0,
            removed: 0,
            capacity: self.limit.unwrap_or(0),
            fixed_capacity: self.limit.is_some(),
            bytes: 0,
            seed: self.seed,
            held: self.held_element(),
            code_bytes: 0,
            memory_limit: 0,
            mapped: 0,
        }
    }
}

/// How many vectors make an index of these options a graph, if it is not one from the start.
fn graph_from(options: &Options) -> Result<Option<u64>> {
    let from = if options.graph_from == 0 { DEFAULT_GRAPH_FROM } else { options.graph_from };
    if options.graph_from != 0 && options.kind != Kind::Auto {
        return Err(Error::argument(format!("graph_from is {from}, which goes with kind auto only")));
    }
    if from > MAX_GRAPH {
        return Err(Error::argument(format!("graph_from is {from}, allowed are 1 to {MAX_GRAPH}")));
    }
    // Reduced vectors are not exact, whatever the kind.
    let grows = options.kind == Kind::Auto && from > 1 && options.quantizer.reduction().is_none();
    Ok(grows.then_some(from))
}

/// The quantizer that vectors of this shape then have in an index of this kind, if they can.
pub(crate) fn check_quantizer(
    kind: Kind,
    (metric, element, dimensions): (Metric, Element, u32),
    asked: Quantizer,
) -> Result<Quantizer> {
    let has_codes = asked != Quantizer::Auto && asked.coding().is_some();
    let held = asked.coding().is_none_or(|coding| coding.holds(dimensions as usize));
    if has_codes && !(held && quant::is_possible(metric, dimensions as usize)) {
        return Err(Error::unsupported(format!(
            "quantizer is {} (codes) with metric {} and dimensions {dimensions}: it needs L2, inner product or cosine and at most {} dimensions, \
             for 9 (signs) 4032",
            asked as u32,
            metric.name(),
            quant::MOST_DIMENSIONS
        )));
    }
    let by_choice = asked == Quantizer::Auto;
    if by_choice && (kind == Kind::Flat || !quant::is_worth_it(metric, element, dimensions as usize)) {
        // A flat index is exact unless it is asked to go by codes.
        return Ok(Quantizer::None);
    }
    Ok(asked)
}

/// Type of a component that is given as one type and held so.
fn element_of(given: Element, held: Held) -> Element {
    match held {
        Held::F16 => Element::F16,
        Held::Bf16 => Element::Bf16,
        _ => given,
    }
}

/// How vectors of these options are held from the first on.
fn check_held(options: &Options) -> Result<Held> {
    let held = match options.held {
        Element::F32 => return Ok(Held::AsGiven),
        Element::F16 => Held::F16,
        Element::Bf16 => Held::Bf16,
        other => {
            return Err(Error::argument(format!(
                "held is {}, known are 0 (as given), 1 (f16) and 2 (bf16)",
                other as u32
            )));
        }
    };
    if options.element != Element::F32 || options.quantizer.reduction().is_some() {
        return Err(Error::argument(format!(
            "held is {} with element {} and quantizer {}: it is for vectors of f32, and not with what takes their place (3 to 5, 10)",
            options.held.name(),
            options.element.name(),
            options.quantizer as u32
        )));
    }
    Ok(held)
}

/// Checks that vectors of these options can be reduced.
fn check_reduction(options: &Options, kind: Kind) -> Result<()> {
    let (metric, element) = (options.metric, options.element);
    let leading = options.quantizer != Quantizer::Bytes;
    if matches!(metric, Metric::L2 | Metric::InnerProduct | Metric::Cosine)
        && element == Element::F32
        && kind == Kind::Graph
        && !options.keep_removed
        && (!leading || options.dimensions as usize <= quant::MOST_DIMENSIONS)
    {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "quantizer is {} with metric {}, element {} and dimensions {}: it needs a graph without removed vectors that are kept, L2, inner \
         product or cosine, f32, and for 4 and 5 (leading, 8 bits) and 10 (bytes and 4 bits) at most {} dimensions",
        options.quantizer as u32,
        metric.name(),
        element.name(),
        options.dimensions,
        quant::MOST_DIMENSIONS
    )))
}

/// Checks that a distance of this kind between vectors of this shape exists.
pub(crate) fn check_shape(metric: Metric, element: Element, dimensions: u32) -> Result<()> {
    let most = if element == Element::Byte { MAX_BYTES } else { MAX_DIMENSIONS };
    if dimensions == 0 || dimensions > most {
        return Err(Error::argument(format!("dimensions is {dimensions}, allowed are 1 to {most}")));
    }
    if (metric == Metric::Custom) != (element == Element::Byte) {
        return Err(Error::argument(format!(
            "metric is {} with element {}: custom goes with bytes, and bytes with no other metric",
            metric.name(),
            element.name()
        )));
    }
    let of_bits = matches!(metric, Metric::Hamming | Metric::Jaccard);
    if of_bits != (element == Element::B1) {
        return Err(Error::argument(format!(
            "metric is {} with element {}: Hamming and Jaccard go with b1, and b1 with no other metric",
            metric.name(),
            element.name()
        )));
    }
    if element == Element::B1 && !dimensions.is_multiple_of(8) {
        return Err(Error::argument(format!("dimensions is {dimensions}, with element b1 it must be a multiple of 8")));
    }
    Ok(())
}

fn or_default(value: u32, default: u32) -> u32 {
    if value == 0 { default } else { value }
}

/// Which keys a search may return. Called with live keys only.
#[derive(Clone, Copy)]
pub enum Filter<'a> {
    /// Called on the searching thread only.
    Caller(&'a dyn Fn(u64) -> bool),
    /// May be called from several threads at once.
    AnyThread(&'a (dyn Fn(u64) -> bool + Sync)),
}

impl std::fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Caller(_) => "Filter::Caller",
            Self::AnyThread(_) => "Filter::AnyThread",
        })
    }
}

/// What searches took, added up.
#[derive(Debug, Default)]
pub struct Counters {
    /// Distances computed.
    pub distances: AtomicU64,
    /// Vectors whose links were followed.
    pub hops: AtomicU64,
    /// Distances are those of what is held in place of the vectors: rounded or reduced ones.
    pub nearly: AtomicBool,
}

impl Counters {
    pub(crate) fn add(&self, distances: u64, hops: u64) {
        self.distances.fetch_add(distances, Ordering::Relaxed);
        self.hops.fetch_add(hops, Ordering::Relaxed);
    }
}

/// How one search (or batch) runs. The default: the index's breadth, no filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchOptions<'a> {
    /// Breadth of a graph search; 0: the index's `ef_search`. Raised to `k`. With a recall: the most breadth it may take, 0: any.
    pub ef: u32,
    /// Recall to be reached in place of a breadth; 0: none.
    pub recall: f32,
    /// One query: 0 or 1 = the caller's thread, more = up to that many for a flat scan. Batch: 0 = all cores.
    pub threads: u32,
    /// Keys that may be returned; the result is min(k, live keys that pass) hits, always.
    pub filter: Option<Filter<'a>>,
    /// Told what the search took.
    pub counters: Option<&'a Counters>,
}

/// How a batch is inserted.
#[derive(Clone, Copy, Default)]
pub struct BuildOptions<'a> {
    /// 0 = all cores.
    pub threads: u32,
    /// Called on the calling thread with (done, total); `true` cancels.
    pub progress: Option<&'a dyn Fn(u64, u64) -> bool>,
    /// Present keys are replaced instead of refused.
    pub upsert: bool,
    /// A batch that is built as a whole gets a graph for half the time, in which searches look at some more vectors.
    pub fast: bool,
}

impl std::fmt::Debug for BuildOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildOptions")
            .field("threads", &self.threads)
            .field("progress", &self.progress.is_some())
            .field("upsert", &self.upsert)
            .field("fast", &self.fast)
            .finish()
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Use the file in place, read-only.
    pub mapped: bool,
    /// Leave the vectors in the file, and load the rest; read-only.
    pub vectors_mapped: bool,
    /// Refuse changes.
    pub read_only: bool,
    /// Skip payload checksums; ids are still checked.
    pub unchecked: bool,
    /// Use the caller's thread only.
    pub one_thread: bool,
}

/// What an index is and holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Components per vector.
    pub dimensions: u32,
    /// Distance.
    pub metric: Metric,
    /// Type of a component.
    pub element: Element,
    /// As in force: never `Auto`.
    pub kind: Kind,
    /// As in force: never `Auto`.
    pub quantizer: Quantizer,
    /// As in force; 0 for flat.
    pub m: u32,
    /// As in force.
    pub ef_construction: u32,
    /// Breadth of a search that names none.
    pub ef_search: u32,
    /// Version of the file it came from, or would be written in.
    pub format: u32,
    /// Live vectors.
    pub count: u64,
    /// Slots of removed and replaced vectors.
    pub removed: u64,
    /// Vectors that fit before the next growth; all that may be there, if that is fixed.
    pub capacity: u64,
    /// The index never holds more than `capacity`.
    pub fixed_capacity: bool,
    /// Memory held in bytes: heap and mapped.
    pub bytes: u64,
    /// Seed of the levels.
    pub seed: u64,
    /// Type of a component as it is held: bytes where all f32 turned out to be such whole numbers.
    pub held: Element,
    /// Bytes of a code, of which each vector has one; 0 if there are none.
    pub code_bytes: u32,
    /// Most bytes that the index may hold; 0: any amount.
    pub memory_limit: u64,
    /// Of `bytes`, those in the file or buffer that the index was opened from.
    pub mapped: u64,
}
