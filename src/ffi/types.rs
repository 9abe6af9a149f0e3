//! What does C see? The structs, constants and callback types of `include/kith.h`.
//!
//! An enumeration here only names constants; parameters and fields are plain integers (`kith_metric` is a `u32`), because a C
//! caller may pass any number, and a Rust enum with an unknown number would be undefined behaviour.

use crate::index::Index;
use crate::util::worker::Worker;
use parking_lot::Mutex;
use std::ffi::{c_int, c_void};

/// An index: its vectors, their keys and whatever finds them. Made by kith_create() or kith_open(), ended by kith_free().
#[derive(Debug)]
pub struct kith_index {
    pub(super) index: Index,
    /// Where the host asked for one that does the upkeep.
    pub(super) worker: Mutex<Option<Box<Worker>>>,
}

impl kith_index {
    /// A handle for C.
    pub(super) fn handle(index: Index) -> *mut Self {
        Box::into_raw(Box::new(Self { index, worker: Mutex::new(None) }))
    }
}

/// What a call returns: KITH_OK, or a negative KITH_ERROR_ number. Numbers are never reused; new ones may come, so treat an
/// unknown negative number as an error like the others.
pub type kith_status = i32;

/// Values of kith_status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_status_values {
    /// The call did what it should.
    KITH_OK = 0,
    /// An argument is NULL, out of range, NaN or infinite, a zero vector under cosine, the reserved key, ...; the text names it.
    KITH_ERROR_ARGUMENT = -1,
    /// No memory: the system refused it, or the index's memory_limit. The index is as it was.
    KITH_ERROR_MEMORY = -2,
    /// The system refused a file operation. The text holds path and cause.
    KITH_ERROR_IO = -3,
    /// Not a kith file, truncated, a wrong checksum, or content that cannot be.
    KITH_ERROR_CORRUPT = -4,
    /// A file of a newer format, or of the other byte order.
    KITH_ERROR_VERSION = -5,
    /// No vector has this key.
    KITH_ERROR_NOT_FOUND = -6,
    /// A vector has this key already.
    KITH_ERROR_EXISTS = -7,
    /// The index was opened with KITH_OPEN_MAPPED, KITH_OPEN_VECTORS_MAPPED or KITH_OPEN_READ_ONLY.
    KITH_ERROR_READ_ONLY = -8,
    /// This version of kith cannot do what was asked.
    KITH_ERROR_UNSUPPORTED = -9,
    /// The progress callback asked to stop.
    KITH_ERROR_CANCELLED = -10,
    /// Another call is in the way: one that called this callback and is not over, or one that only one at a time may make.
    KITH_ERROR_BUSY = -11,
    /// The index was made with KITH_FIXED_CAPACITY and is full.
    KITH_ERROR_FULL = -12,
    /// A defect of kith: please report the text. Later changes of this index give this status too; reading goes on.
    KITH_ERROR_INTERNAL = -99,
}

/// A distance between two vectors. Smaller is always nearer, and identical vectors are 0 apart (but for inner product).
pub type kith_metric = u32;

/// Values of kith_metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_metric_values {
    /// Sum of squared differences, without a root.
    KITH_L2 = 0,
    /// 1 - sum of products. Can be negative.
    KITH_INNER_PRODUCT = 1,
    /// 1 - cosine, 0 to 2. Vectors need not be normalised, and kith_get() returns them as they were given.
    KITH_COSINE = 2,
    /// Sum of absolute differences.
    KITH_L1 = 3,
    /// Number of differing bits. For KITH_B1 only.
    KITH_HAMMING = 4,
    /// 1 - |a and b| / |a or b|, and 0 when both are empty. For KITH_B1 only.
    KITH_JACCARD = 5,
    /// The function in kith_options.distance. Goes with KITH_BYTES.
    KITH_CUSTOM = 6,
}

/// The type of a vector's components.
pub type kith_element = u32;

/// Values of kith_element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_element_values {
    /// IEEE single precision: float.
    KITH_F32 = 0,
    /// IEEE half precision.
    KITH_F16 = 1,
    /// The upper half of a float.
    KITH_BF16 = 2,
    /// int8_t.
    KITH_I8 = 3,
    /// uint8_t.
    KITH_U8 = 4,
    /// Bits. `dimensions` is a multiple of 8; component 0 is the lowest bit of byte 0.
    KITH_B1 = 5,
    /// Bytes that mean something to kith_options.distance only; `dimensions` is their number. Goes with KITH_CUSTOM.
    KITH_BYTES = 6,
}

/// How an index finds neighbours.
pub type kith_kind = u32;

/// Values of kith_kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_kind_values {
    /// Exact while there are few vectors, and a graph from kith_options.graph_from on (5,000 unless you say otherwise): answers are exact and inserts
    /// cost next to nothing as long as looking at every vector takes no longer than a walk. When there are enough, each call that changes the
    /// index links a few of the vectors that were there before, and kith_maintain() as many as it has time for; a kith_insert_batch() of 1,000 and more that reaches so far
    /// does all at once. Searches take no part and see every vector that was acknowledged: they go by the graph as soon as it leads to all, and
    /// look at every vector until then. An index that is only searched stays as it is, so call kith_maintain() after the last insert.
    /// kith_describe() says KITH_KIND_FLAT until the graph is in force. With KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 and _LEADING8: a graph from
    /// the start. kith_clear() begins anew.
    KITH_KIND_AUTO = 0,
    /// Exact: a search looks at every vector. With one of KITH_QUANTIZER_PROJECTED4, 2 and 1, _PRODUCT and _SIGNS (never by the library's choice) it looks at every code
    /// and ranks the nearest by exact distances: about half of the time with 4 or 2 bits, and nearly exact; see `ef`.
    KITH_KIND_FLAT = 1,
    /// HNSW graph: a search looks at few vectors and may miss some of the nearest. It looks at all while its breadth (see `ef`) is
    /// more than a quarter of them.
    KITH_KIND_GRAPH = 2,
}

/// How vectors are coded for the search, or held. Unless KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 or one of _LEADING8 was asked for, or kith_options.held,
/// kith_get() returns what was inserted and distances are exact.
pub type kith_quantizer = u32;

/// Values of kith_quantizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_quantizer_values {
    /// The library's choice: KITH_QUANTIZER_PROJECTED4 for a graph that holds 2,048 vectors or more, if the metric is L2, inner product or
    /// cosine and a vector has at least 192 bytes and at most 4,096 dimensions; else none. Under the same metrics and from as many bytes
    /// on, f32 vectors that are all whole numbers from 0 to 255, or from -128 to 127, are held in a byte per component from then on, or from
    /// the first batch on: nothing is lost, and distances are those of integers. Such vectors have codes only from 192 dimensions on. The
    /// first vector that does not fit makes all be held as they were given again, for good; that insertion takes longer.
    KITH_QUANTIZER_AUTO = 0,
    /// Plain vectors.
    KITH_QUANTIZER_NONE = 1,
    /// For graphs and, where it is asked for, flat indexes: beside each vector a code of 64, 128, 192, 256 or 512 bytes. It holds 4 bits for each of the leading directions of a
    /// sample of the vectors: 112, 240, 368, 496 or 1,008, the fewest that hold 95 % of the variance, or 1,008 if none do. Searches walk
    /// by the codes and rank what they find by exact distances; so distances are exact, and only which vectors are looked at depends on
    /// the codes. They are learnt once, in the first insertion that finds 256 vectors there (2,048 with KITH_QUANTIZER_AUTO), or brings
    /// them in a batch. It takes longer by that: with 2,048 vectors and one core 20 ms at 128 dimensions and 0.3 s at 1,024, more where
    /// the variance is spread over many directions. With other metrics than L2, inner product and cosine, with more than 4,096
    /// dimensions: KITH_ERROR_UNSUPPORTED.
    KITH_QUANTIZER_PROJECTED4 = 2,
    /// For graphs of f32 under L2, inner product or cosine: a byte per component in place of the vectors, a quarter of their memory. The first
    /// insertion that finds 256 vectors, or brings them in a batch, learns from a sample where the components of each dimension lie and one
    /// step for all; each is then rounded to a multiple of it, at most 127 steps from the middle, and the f32 are gone. What follows
    /// from it: distances, also those that searches report, are between the query as it was given and the rounded vector; kith_get() returns the
    /// rounded vector (under cosine at the length that was given); kith_row() and kith_export() are not to be had (KITH_ERROR_UNSUPPORTED), nor
    /// KITH_KEEP_REMOVED. Later vectors should be like those that were learnt from: what lies beyond the range is clipped.
    KITH_QUANTIZER_BYTES = 3,
    /// As KITH_QUANTIZER_BYTES, of at most 4,096 dimensions, but of the leading directions of the sample only: 112, 240, 368, 496 or 1,008, the
    /// fewest that hold 95 % of the variance (or 1,008 if none do); and 16 bytes for the length of what is left out. So a vector takes 128,
    /// 256, 384, 512 or 1,024 bytes, whatever its dimensions, and kith_get() returns it without what was left out.
    KITH_QUANTIZER_LEADING8 = 4,
    /// As KITH_QUANTIZER_LEADING8, with the fewest directions that hold 98.5 % of the variance: more memory, more recall.
    KITH_QUANTIZER_LEADING8_FINE = 5,
    /// As KITH_QUANTIZER_PROJECTED4, but a code holds 2 bits for each of 224, 480, 736, 992 or 2,016 directions: half the memory of a code for
    /// the same directions, or twice the directions in the same memory. Estimates are about twice as far off, so that a search needs more
    /// breadth for the same recall.
    KITH_QUANTIZER_PROJECTED2 = 6,
    /// As KITH_QUANTIZER_PROJECTED4, but a code holds 1 bit for each of 448, 960, 1,472, 1,984 or 4,032 directions. For vectors of many
    /// dimensions whose variance is spread over most of them.
    KITH_QUANTIZER_PROJECTED1 = 7,
    /// As KITH_QUANTIZER_PROJECTED4, but with product codes (OPQ): the leading directions, at most 448, 960, 1,472, 1,984 or 4,032, are divided into 56,
    /// 120, 184, 248 or 504 groups that have about as much to tell, and a code has a byte for each: which of 256 places, learnt by k-means, is nearest.
    /// A search makes tables of its query and all places, and adds up an entry for each byte. Holds as much of a vector in 64 bytes as
    /// codes of 2 bits do, or a little more, for 1.5 to 2 times the time of a search. Learnt from 16,384 vectors where there are so many, from 4,096 on at
    /// the earliest; that takes about a second of one core.
    KITH_QUANTIZER_PRODUCT = 8,
    /// As KITH_QUANTIZER_PROJECTED4, but a code holds the sign of each component, less the mean, and the vector's length: 64 bytes up to 448 dimensions, 128, 192, 256
    /// and 512 up to 960, 1,472, 1,984 and 4,032. Of a query, too, only the signs count: their number of differences (the Hamming distance) tells the angle. Nothing is
    /// projected, so that codes are made fastest; estimates are the roughest, so that a search ranks many candidates. For vectors whose variance is spread
    /// over all of many dimensions.
    KITH_QUANTIZER_SIGNS = 9,
    /// Two levels (in the field: LVQ-4x8): the vectors are held as with KITH_QUANTIZER_BYTES, with all that follows from it, and beside each stands a code as with KITH_QUANTIZER_PROJECTED4, of
    /// its bytes: a search walks by 4 bits for each leading direction and ranks what it finds by 8 bits for each component. Faster than KITH_QUANTIZER_BYTES, at the same distances, for
    /// 64 to 512 bytes more. kith_train(), kith_codec_export() and kith_codec_import() are about the bytes, which KITH_QUANTIZER_BYTES shares; each index learns the codes by itself. Of at most 4,096
    /// dimensions.
    KITH_QUANTIZER_BYTES_PROJECTED4 = 10,
}

/// Whose file something is, for kith_import() and kith_export().
pub type kith_format = u32;

/// Values of kith_format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_format_values {
    /// hnswlib 0.8, HierarchicalNSW::saveIndex(). Read and written.
    KITH_FORMAT_HNSWLIB = 1,
    /// hnswlib 0.8, BruteforceSearch::saveIndex(). Read and written.
    KITH_FORMAT_HNSWLIB_FLAT = 2,
    /// usearch 2, usearch_save(): 64-bit keys, one vector per key. Read only.
    KITH_FORMAT_USEARCH = 3,
    /// faiss, faiss_write_index(): IndexHNSWFlat or IndexFlat, also in an IndexIDMap. Read only.
    KITH_FORMAT_FAISS = 4,
}

/// Never a key. Fills the result places that a search had no hit for, with distance +infinity.
pub const KITH_NO_KEY: u64 = u64::MAX;

/// kith_search_options.flags: the filter may be called from several threads at once.
pub const KITH_FILTER_ANY_THREAD: u32 = 1;

/// kith_build_options.flags: a vector whose key is present replaces the old one instead of being refused; of
/// a key twice in the batch the later vector counts.
pub const KITH_UPSERT: u32 = 1;

/// kith_build_options.flags: build the graph of a large batch in about two thirds of the time. Searches then look at more vectors for the
/// same recall: on 384-dimensional text embeddings a third more. Changes nothing for small batches and flat indexes.
pub const KITH_BUILD_FAST: u32 = 2;

/// kith_search_stats.flags: the distances that the search reported are those of what is held in place of the vectors: rounded ones (kith_options.held), or reduced ones
/// (KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 and _LEADING8, once there are such). Without it they are those of the vectors as they were given.
pub const KITH_STATS_NEARLY: u32 = 1;

/// kith_options.flags: vectors that are removed can be brought back with kith_undelete(), until their key gets another vector,
/// kith_forget() gives them up, or the index is cleared. They keep their memory that long. Files that kith_save() writes do not know
/// of them, those of kith_export() do.
pub const KITH_KEEP_REMOVED: u32 = 1;

/// kith_options.flags: the index never holds more than `capacity` vectors that searches can find. What would exceed it gives KITH_ERROR_FULL
/// and changes nothing, a batch as a whole; replacing a vector needs no room. kith_reserve() then changes the capacity, to no less than
/// there are. Memory is taken as vectors come. Files keep the capacity. kith_info.flags says that it is fixed. Not for durable directories.
pub const KITH_FIXED_CAPACITY: u32 = 2;

/// kith_open(): use the file in place, read-only, without loading it. Do not truncate or overwrite a mapped file: replace it, as
/// kith_save() does. Cutting it short kills the process with SIGBUS. kith_open_buffer(): use the bytes where they lie.
pub const KITH_OPEN_MAPPED: u32 = 1;

/// kith_open(): refuse changes with KITH_ERROR_READ_ONLY.
pub const KITH_OPEN_READ_ONLY: u32 = 2;

/// kith_open(): skip the checksums of the payload; ids are still checked. For files of one's own.
pub const KITH_OPEN_UNCHECKED: u32 = 4;

/// kith_open(): use the calling thread only. Without it opening uses the cores to check and load.
pub const KITH_OPEN_ONE_THREAD: u32 = 8;

/// kith_open(): leave the vectors in the file, which is mapped and read-only as with KITH_OPEN_MAPPED, and load links, keys and codes. For indexes with
/// codes (KITH_QUANTIZER_PROJECTED4, 2, 1, _PRODUCT, _SIGNS, _BYTES_PROJECTED4) whose vectors are more than memory: a search walks in memory and reads a few vectors of the file, of
/// which the system keeps what fits. kith_info tells what is held in memory, `bytes` less `mapped`. Means nothing beside KITH_OPEN_MAPPED.
/// kith_open_buffer(): leave the vectors where they lie.
pub const KITH_OPEN_VECTORS_MAPPED: u32 = 16;

/// A distance of your own between two elements of KITH_BYTES. `a` is what is looked for: the query as it was passed (kith does not read
/// it, so it may be of any length that the function copes with), or a stored element while the graph is built; `b` is a stored element,
/// at a multiple of 32. Smaller is nearer, NaN is farther than everything; the same two elements must always get the same distance.
/// Runs on every thread that calls kith with this index, and on helping threads of calls that have some: it must bear being
/// called from several threads at once. See "Callbacks" above; it is called as long as the index lives.
pub type kith_distance_fn =
    Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, a: *const c_void, b: *const c_void) -> f64>;

/// Which keys may a search return? Non-zero keeps the key. Called with keys of the index only, any number of times, in any
/// order; the same key must get the same answer during one search. See "Callbacks" above.
pub type kith_filter_fn = Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, key: u64) -> c_int>;

/// How far is a batch? Called now and then with vectors done and vectors in all; done never goes back, stands still while codes are learnt,
/// and the last call of a batch that succeeds has done equal to total. Non-zero cancels: the call returns KITH_ERROR_CANCELLED and the index is as it was
/// before. While codes are learnt other threads' changes wait for it. See "Callbacks" above.
pub type kith_progress_fn = Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, done: u64, total: u64) -> c_int>;

/// Brings vectors: fills `keys` with `count` keys and `vectors` with as many vectors of the index's element type, one behind the other, at a multiple
/// of 64. They are those at positions `first` to `first + count - 1` of all that the call was promised; what of them stays unwritten is refused like a
/// bad vector, where that can be told. Called with `first` 0, then with what follows, each position once; `count` may differ from call to call. 0 goes on; anything else cancels: the call
/// returns KITH_ERROR_CANCELLED and the index is as it was before. See "Callbacks" above.
pub type kith_read_fn = Option<
    unsafe extern "C-unwind" fn(
        ctx: *mut c_void,
        first: usize,
        count: usize,
        keys: *mut u64,
        vectors: *mut c_void,
    ) -> c_int,
>;

/// Takes the bytes of a file, one piece after the other: `count` bytes, 1 to 1,048,576, which may be read until this returns. 0 goes
/// on; anything else ends the call with KITH_ERROR_IO. See "Callbacks" above.
pub type kith_write_fn =
    Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, bytes: *const c_void, count: usize) -> c_int>;

/// What an index is created with. Set `size` and `dimensions`; 0 in any other field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_options {
    /// sizeof(kith_options).
    pub size: u32,
    /// Components per vector: 1 to 65,536, with KITH_B1 a multiple of 8, with KITH_BYTES up to 1,048,576. Has no default.
    pub dimensions: u32,
    /// Distance. Default KITH_L2 (so KITH_B1 needs KITH_HAMMING or KITH_JACCARD to be set).
    pub metric: kith_metric,
    /// Type of a component. Default KITH_F32.
    pub element: kith_element,
    /// Exact or graph. Default KITH_KIND_AUTO.
    pub kind: kith_kind,
    /// Codes. Default KITH_QUANTIZER_AUTO.
    pub quantizer: kith_quantizer,
    /// Degree of a graph: m links per vector above level 0, 2 m at level 0. 2 to 512. More: better recall, more
    /// memory, slower inserts. Default (0): chosen from the vectors when the graph is made, from a batch into an empty graph, or from what is there when an
    /// index of KITH_KIND_AUTO becomes one: 8 where at least 5,000 vectors under L2, cosine or L1 have an intrinsic dimension of about 6 or less, which saves memory and costs
    /// nothing, else 16. Never changed afterwards (kith_clear chooses anew); 16 where vectors are inserted into an empty KITH_KIND_GRAPH index one by one.
    /// A file of an index that has no graph yet does not tell a 16 that was asked for from one that was not: such an index, opened, chooses.
    /// kith_describe says which.
    pub m: u32,
    /// Breadth of the search that finds a new vector's neighbours. 1 to 1,048,576, default 200. More: better recall, slower
    /// inserts.
    pub ef_construction: u32,
    /// Breadth of a search that names none. 1 to 1,048,576, default 64. More: better recall, slower searches.
    pub ef_search: u32,
    /// 0 or a sum of KITH_KEEP_REMOVED and KITH_FIXED_CAPACITY.
    pub flags: u32,
    /// Vectors to make room for at once. A hint: the index grows by itself, unless KITH_FIXED_CAPACITY makes this its limit.
    pub capacity: u64,
    /// Decides the levels of a graph. The same seed and the same inserts in the same order on one thread give the same graph; and so
    /// does one kith_insert_batch() into an empty index on any number of threads.
    pub seed: u64,
    /// The distance, with KITH_CUSTOM; else NULL.
    pub distance: kith_distance_fn,
    /// Handed to distance.
    pub distance_ctx: *mut c_void,
    /// With KITH_KIND_AUTO: so many vectors make the index a graph. 1 to 2,147,483,647, default 5,000; 1: it is one from the start.
    pub graph_from: u64,
    /// Most bytes of memory, heap and mapped, that the index may hold, as kith_info.bytes tells them. 0: any amount. See
    /// kith_set_memory_limit(), which says what it means and sets it for an index that was opened: files do not hold it.
    pub memory_limit: u64,
    /// KITH_F16 or KITH_BF16: vectors of KITH_F32 are held rounded to that, each component to the nearest, in half of the memory, beside what codes
    /// there are; with KITH_QUANTIZER_BYTES, _BYTES_PROJECTED4 and _LEADING8 KITH_ERROR_ARGUMENT. Queries are rounded alike: distances, also those that searches
    /// report, are between the rounded query and the rounded vector (so a vector is 0 apart from itself), and kith_get() returns the rounded vector. A component
    /// that it cannot hold (from 65,520 on with KITH_F16; with KITH_BF16 from 3.396e38 on) is refused like NaN, in a vector and in a query, and so is, under cosine, a vector that is zero once it is rounded. f16
    /// keeps 11 bits of each component from 0.00006 on, bf16 8 bits of each: take KITH_F16 for vectors whose components lie between. kith_row() is not to be had
    /// (KITH_ERROR_UNSUPPORTED); files of other libraries take rounded vectors. KITH_F32, the default: as they are given, or in less where nothing is lost (see
    /// KITH_QUANTIZER_AUTO).
    pub held: kith_element,
    /// With KITH_QUANTIZER_AUTO: an index of many vectors is to take at most so many bytes for each, all in (vectors, graph, keys, codes), as kith_info.bytes
    /// tells them: divide the memory that you have by the vectors that you will have. The library chooses what keeps most recall under it, and kith_describe() says
    /// what it chose (`quantizer` and `held`). In this order: plain KITH_QUANTIZER_AUTO, the same with `held` KITH_F16, KITH_QUANTIZER_PROJECTED2 with KITH_F16, KITH_QUANTIZER_BYTES_PROJECTED4, KITH_QUANTIZER_BYTES,
    /// KITH_QUANTIZER_LEADING8_FINE or _LEADING8, which of the two is decided when the index learns how many directions it takes. What all that means for distances stands there.
    /// kith_estimate() says what would be chosen. Not a limit: see `memory_limit`. Not in files, which hold what was chosen. KITH_ERROR_ARGUMENT if quantizer or `held` is set, with KITH_KIND_FLAT, and
    /// if even the last takes more in the best case. KITH_ERROR_UNSUPPORTED if only the last four are small enough and the index cannot have them: they are for KITH_F32 under L2, inner product or
    /// cosine, without KITH_KEEP_REMOVED. 0: any amount.
    pub bytes_per_vector: u32,
}

/// How much memory an index will hold: see kith_estimate(). The caller sets `size` before the call; nothing else is read.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_estimate_result {
    /// sizeof(kith_estimate_result), set by the caller.
    pub size: u32,
    /// 0.
    pub flags: u32,
    /// Bytes, as kith_info.bytes tells them, if codes turn out as short as they can be and the system gives no huge pages.
    pub least: u64,
    /// Bytes, if codes turn out as long as they can be and the system gives huge pages.
    pub most: u64,
    /// What kith_describe() will say then: the library's choice, or what was asked for. Of KITH_QUANTIZER_LEADING8_FINE that `bytes_per_vector` chose, _LEADING8 may become.
    pub quantizer: kith_quantizer,
    /// How vectors will be held; KITH_F32 also where they turn out to be whole numbers and are held as bytes.
    pub held: kith_element,
    /// A prediction, from measurements of other vectors: the least recall of the ten nearest that this quantizer had on four public sets of 128 to 1,024 dimensions, with an `ef` of 256
    /// (tables in benches/record/codes.md). What it has on yours kith_calibrate() measures.
    pub recall_least: f32,
    /// The most of the same.
    pub recall_most: f32,
}

/// How a file of another library is written. Set `size`; 0 in any other field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_export_options {
    /// sizeof(kith_export_options).
    pub size: u32,
    /// Must be 0.
    pub flags: u32,
    /// Capacity that the file states for its reader (hnswlib's max_elements); raised to the number of vectors in it.
    pub capacity: u64,
}

/// How one search, or one batch of searches, runs. Set `size`; 0 in any other field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_search_options {
    /// sizeof(kith_search_options).
    pub size: u32,
    /// Breadth of a graph search: up to 1,048,576; 0 means the index's ef_search. Raised to k. A flat index with codes ranks that many
    /// of the nearest by their codes, with 2 bits and product codes twice, with 1 bit and signs eight times as many, and is exact where that is more than a quarter of all. Other
    /// flat indexes ignore it.
    pub ef: u32,
    /// kith_search(): 0 or 1 means the calling thread, more means up to that many for a flat scan. kith_search_batch(): 0 means
    /// all cores. A filter keeps all work on the calling thread unless KITH_FILTER_ANY_THREAD is set.
    pub threads: u32,
    /// Share of the true nearest that a graph search is to find on average, above 0 and up to 1, in place of a breadth; 0: ef says how
    /// broad. Then ef is the most breadth that a search may take, 0 meaning any. The breadth comes from what kith_calibrate() measured
    /// and, in any case, from what searches learn: every 64th of those that ask for a recall, or up to every 4th while the target is missed,
    /// is done again eight times as broad (so answers may change a little from call to call). Searches that ask for no recall are left alone.
    /// Flat indexes ignore it.
    pub recall: f32,
    /// Which keys may be returned; may be NULL. There are always min(k, keys that pass) hits.
    pub filter: kith_filter_fn,
    /// Handed to filter.
    pub filter_ctx: *mut c_void,
    /// 0 or KITH_FILTER_ANY_THREAD.
    pub flags: u64,
    /// Receives what the call took, when it succeeds; may be NULL.
    pub stats: *mut kith_search_stats,
}

/// What a search took. The caller sets `size` before the call; the rest is written.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_search_stats {
    /// sizeof(kith_search_stats), set by the caller.
    pub size: u32,
    /// 0 or KITH_STATS_NEARLY.
    pub flags: u32,
    /// Distances computed, of all queries of a batch together.
    pub distances: u64,
    /// Vectors whose links were followed.
    pub hops: u64,
}

/// What kith_check() found, or kith_repair() left. The caller sets `size` before the call; the rest is written. Of a flat index all numbers of the graph, which come first, are 0.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_health {
    /// sizeof(kith_health), set by the caller.
    pub size: u32,
    /// 0 in this version.
    pub flags: u32,
    /// Places that are part of the graph, those of removed vectors included.
    pub linked: u64,
    /// Links between them at level 0.
    pub links: u64,
    /// Places that a search could not come to, those of vectors that are no part of the graph among them. Always 0, but for defects of kith.
    pub unreachable: u64,
    /// Links that must not be, on any level. Always 0, but for defects of kith.
    pub faults: u64,
    /// Least links that lead to a place at level 0; 0 where there are fewer than two places.
    pub min_inbound: u64,
    /// Most links that lead to a place at level 0.
    pub max_inbound: u64,
    /// Least links of a place at level 0.
    pub min_outbound: u64,
    /// Most links of a place at level 0.
    pub max_outbound: u64,
    /// Places of vectors that searches can find: kith_info.count, counted.
    pub live: u64,
    /// Places of removed and replaced vectors that are not free yet (kith_info.removed counts the free ones, too).
    pub removed: u64,
    /// Places that hold nothing.
    pub free: u64,
    /// Vectors that their key does not lead to, two of one key among them, and keys that lead to no vector. Always 0, but for defects of
    /// kith; here and in what follows.
    pub key_faults: u64,
    /// By how much what is counted differs from what the index keeps count of.
    pub count_faults: u64,
    /// Vectors that no insertion takes (NaN, infinity, zero under KITH_COSINE), or whose length is not the one that is kept; memory that
    /// somebody else wrote to looks like this. 0 where a quantizer changed the vectors, and under KITH_CUSTOM.
    pub vector_faults: u64,
    /// Codes that were made again from their vectors: of all, or of 20,000 evenly spread ones.
    pub codes: u64,
    /// Of these, codes that are not what their vector's is.
    pub code_faults: u64,
    /// Of a file that is used in place: blocks that are not what they were when it was written, by their checksums. A file that was
    /// loaded was checked then.
    pub file_faults: u64,
}

/// Judges the distance of a candidate. The bound is the distance of the farthest hit kept, infinity while there is none.
pub type kith_judge_fn = Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, distance: f64, bound: f64) -> c_int>;

/// Hears of a hit. The vector is the stored one, to be read during the call.
pub type kith_hit_fn =
    Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, key: u64, vector: *const c_void, distance: f64)>;

/// Says whether there are more hits than wanted.
pub type kith_excess_fn = Option<unsafe extern "C-unwind" fn(ctx: *mut c_void) -> c_int>;

/// Watches a search and says when it ends: see kith_search_observed(). All functions must be set. See "Callbacks" above.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_observer {
    /// sizeof(kith_observer).
    pub size: u32,
    /// Must be 0.
    pub flags: u32,
    /// Handed to the functions.
    pub ctx: *mut c_void,
    /// Asked before the search goes on from the nearest candidate that is left; non-zero ends it.
    pub stop: kith_judge_fn,
    /// Asked for each vector that the search comes to; non-zero makes it a candidate.
    pub consider: kith_judge_fn,
    /// A candidate that may be returned became a hit.
    pub add: kith_hit_fn,
    /// The farthest hit was dropped because excess asked for it.
    pub drop: kith_hit_fn,
    /// Asked after each hit, and again after each one that was dropped; non-zero drops the farthest.
    pub excess: kith_excess_fn,
    /// Told the hits that are left at the end, nearest first.
    pub hit: kith_hit_fn,
}

/// How a batch is inserted. Set `size`; 0 in any other field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_build_options {
    /// sizeof(kith_build_options).
    pub size: u32,
    /// Threads to use; 0 means all cores.
    pub threads: u32,
    /// Reports progress and can cancel; may be NULL.
    pub progress: kith_progress_fn,
    /// Handed to progress.
    pub progress_ctx: *mut c_void,
    /// 0 or a sum of KITH_UPSERT and KITH_BUILD_FAST.
    pub flags: u64,
}

/// What an index is and holds. The caller sets `size` before the call; nothing else is read. Bytes between the library's struct
/// and a longer one of the caller become 0.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_info {
    /// sizeof(kith_info), set by the caller.
    pub size: u32,
    /// Components per vector.
    pub dimensions: u32,
    /// Distance.
    pub metric: kith_metric,
    /// Type of a component.
    pub element: kith_element,
    /// As in force: never KITH_KIND_AUTO.
    pub kind: kith_kind,
    /// As in force: never KITH_QUANTIZER_AUTO. KITH_QUANTIZER_NONE until there are codes.
    pub quantizer: kith_quantizer,
    /// As in force; 0 for a flat index. 16 while a graph is empty whose degree its first vectors will choose.
    pub m: u32,
    /// As in force.
    pub ef_construction: u32,
    /// Breadth of a search that names none.
    pub ef_search: u32,
    /// Format of the file the index came from, or would be written in.
    pub format: u32,
    /// Vectors that searches can find.
    pub count: u64,
    /// Places that removed and replaced vectors had and no other has yet, free or not: kith_maintain() makes them free, and vectors that come, or kith_compact(), take
    /// them away.
    pub removed: u64,
    /// Vectors that fit before the index grows again; with KITH_FIXED_CAPACITY all that may be there.
    pub capacity: u64,
    /// Memory held in bytes, heap and mapped: what the allocator gave and the pages that are there, within 2 % from a megabyte on. Counts
    /// what searches and insertions keep for the next ones, not what a call under way works with, the stacks of helping threads, or what
    /// readers still hold of what was replaced. Of a file that is used in place: all of it, whether its pages are there or not.
    pub bytes: u64,
    /// Seed of the levels.
    pub seed: u64,
    /// KITH_FIXED_CAPACITY if the capacity is fixed, else 0.
    pub flags: u64,
    /// Type of a component in memory: `element`; or KITH_U8 or KITH_I8 where all vectors were found to be such whole numbers (KITH_F32
    /// under KITH_QUANTIZER_AUTO), so that vectors, queries and distances are the same either way; or KITH_I8 where `quantizer` says that
    /// vectors were rounded.
    pub held: kith_element,
    /// Bytes of a code, of which each vector has one; 0 while there are none.
    pub code_bytes: u32,
    /// Most memory that the index may hold; 0: any amount.
    pub memory_limit: u64,
    /// Of `bytes`, those that lie in the file or the buffer that the index was opened from, not in memory of its own: all of the arrays with
    /// KITH_OPEN_MAPPED, the vectors with KITH_OPEN_VECTORS_MAPPED, else 0. The system keeps of a file what was used and fits into memory.
    pub mapped: u64,
}
