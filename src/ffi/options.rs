//! How do C structs become options of the index, and how does an `Info` become a C struct? The size rule lives here.
//!
//! A struct begins with the size that the caller's header gave it. Shorter than ours: the fields it lacks are 0. Longer: the
//! bytes we do not know must be 0, else the program asks for something this version cannot do.

use super::durable::{kith_log_info, kith_log_options};
use super::types::{
    KITH_BUILD_FAST, KITH_FILTER_ANY_THREAD, KITH_FIXED_CAPACITY, KITH_KEEP_REMOVED, KITH_OPEN_MAPPED,
    KITH_OPEN_ONE_THREAD, KITH_OPEN_READ_ONLY, KITH_OPEN_UNCHECKED, KITH_OPEN_VECTORS_MAPPED, KITH_STATS_NEARLY,
    KITH_UPSERT, kith_build_options, kith_estimate_result, kith_export_options, kith_health, kith_info, kith_observer,
    kith_options, kith_search_options, kith_search_stats,
};
use crate::distance::{Custom, Element, Metric};
use crate::index::config::{BuildOptions, Counters, Filter, Info, Kind, OpenFlags, Options, Quantizer, SearchOptions};
use crate::index::{Estimate, Health, LogInfo, LogOptions, Observer, SyncPolicy};
use crate::util::error::{Error, Result};
use std::ffi::c_void;
use std::mem::{MaybeUninit, offset_of, size_of};
use std::sync::atomic::Ordering;

/// Larger than any struct will ever be: a size beyond it is memory that nobody initialised, and is not followed.
const MOST_SIZE: usize = 4096;

/// A struct of the C interface that begins with its size.
///
/// # Safety
/// - `repr(C)`, without padding, its first field a `u32` size, and valid when every byte is 0.
unsafe trait Sized32: Copy {
    const TYPE: &str;
    /// Where each field begins.
    const OFFSETS: &[usize];
}

macro_rules! sized32 {
    ($type:ident: $($field:ident)*) => {
        // SAFETY: a repr(C) struct of numbers, pointers and optional functions beginning with `size: u32`; tests/abi_layout.rs
        // shows that its fields leave no gaps.
        unsafe impl Sized32 for $type {
            const TYPE: &str = stringify!($type);
            const OFFSETS: &[usize] = &[$(offset_of!($type, $field)),*];
        }
        // A field added to the struct must be added here.
        const _: fn($type) = |$type { $($field: _),* }| ();
    };
}

sized32!(kith_options: size dimensions metric element kind quantizer m ef_construction ef_search flags capacity seed
    distance distance_ctx graph_from memory_limit held bytes_per_vector);
sized32!(kith_search_options: size ef threads recall filter filter_ctx flags stats);
sized32!(kith_search_stats: size flags distances hops);
sized32!(kith_estimate_result: size flags least most quantizer held recall_least recall_most);
sized32!(kith_health: size flags linked links unreachable faults min_inbound max_inbound min_outbound max_outbound live removed
    free key_faults count_faults vector_faults codes code_faults file_faults);
sized32!(kith_observer: size flags ctx stop consider add drop excess hit);
sized32!(kith_build_options: size threads progress progress_ctx flags);
sized32!(kith_export_options: size flags capacity);
sized32!(kith_info: size dimensions metric element kind quantizer m ef_construction ef_search format count removed capacity bytes
    seed flags held code_bytes memory_limit mapped);
sized32!(kith_log_options: size sync interval_ms threads checkpoint_bytes flags);
sized32!(kith_log_info: size sync failed flags last durable checkpoint log_bytes replayed cut_bytes syncs checkpoints
    failed_checkpoints);

/// The size that the caller wrote into its struct, if it can be one.
///
/// # Safety
/// - `place` is readable for 4 bytes.
unsafe fn plausible_size<T: Sized32>(place: *const T, name: &str) -> Result<usize> {
    // SAFETY: readable by promise.
    let size = unsafe { place.cast::<u32>().read_unaligned() } as usize;
    let whole = size_of::<T>();
    let ends_between_fields = size >= whole || T::OFFSETS.contains(&size);
    if size == 0 || size > MOST_SIZE || !ends_between_fields {
        let rule = format!("set it to sizeof({}), here {whole}", T::TYPE);
        return Err(Error::argument(format!("{name}->size is {size}; {rule}")));
    }
    Ok(size)
}

/// Copies a struct in, by the size rule.
///
/// # Safety
/// - `place` is NULL or readable for as many bytes as its size field says.
unsafe fn read<T: Sized32>(place: *const T, name: &str) -> Result<T> {
    if place.is_null() {
        return Err(Error::argument(format!("{name} is NULL")));
    }
    // SAFETY: readable by promise; a promise about fewer than 4 bytes is refused by the size rule, as no size field fits.
    let size = unsafe { plausible_size(place, name) }?;
    let known = size.min(size_of::<T>());
    // SAFETY: `size` bytes are readable by promise, and known <= size.
    let beyond = unsafe { std::slice::from_raw_parts(place.cast::<u8>().add(known), size - known) };
    if let Some(at) = beyond.iter().position(|&byte| byte != 0) {
        let (byte, at) = (beyond[at], known + at);
        return Err(Error::unsupported(format!(
            "byte {at} of {name} is {byte}; this version knows the first {known} bytes of {}, the others must be 0",
            T::TYPE
        )));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `known` bytes are readable by promise and fit into a T; the rest stays 0, and a T may be all 0.
    unsafe {
        std::ptr::copy_nonoverlapping(place.cast::<u8>(), value.as_mut_ptr().cast::<u8>(), known);
        Ok(value.assume_init())
    }
}

/// As `read`; NULL gives the defaults.
///
/// # Safety
/// - as for `read`.
unsafe fn read_optional<T: Sized32>(place: *const T, name: &str) -> Result<T> {
    if place.is_null() {
        // SAFETY: a T may be all 0.
        return Ok(unsafe { MaybeUninit::zeroed().assume_init() });
    }
    // SAFETY: the caller's promise, passed on.
    unsafe { read(place, name) }
}

fn check_flags(flags: u64, known: u32, names: &str) -> Result<()> {
    let unknown = flags & !u64::from(known);
    if unknown != 0 {
        return Err(Error::unsupported(format!(
            "flags is {flags:#x}, of which this version does not know {unknown:#x} ({names})"
        )));
    }
    Ok(())
}

/// The options of a new index.
///
/// # Safety
/// - `options` is NULL or readable for as many bytes as its size field says.
pub(super) unsafe fn index_options(options: *const kith_options) -> Result<Options> {
    // SAFETY: the caller's promise, passed on.
    let options = unsafe { read(options, "options") }?;
    let known = KITH_KEEP_REMOVED | KITH_FIXED_CAPACITY;
    check_flags(options.flags.into(), known, "it knows KITH_KEEP_REMOVED and KITH_FIXED_CAPACITY")?;
    Ok(Options {
        dimensions: options.dimensions,
        metric: if options.metric == Metric::Custom as u32 { Metric::Custom } else { options.metric.try_into()? },
        element: if options.element == Element::Byte as u32 { Element::Byte } else { options.element.try_into()? },
        kind: Kind::try_from(options.kind)?,
        graph_from: options.graph_from,
        quantizer: Quantizer::try_from(options.quantizer)?,
        m: options.m,
        ef_construction: options.ef_construction,
        ef_search: options.ef_search,
        capacity: options.capacity,
        seed: options.seed,
        custom: options.distance.map(|distance| {
            let ctx = Context(options.distance_ctx);
            // SAFETY: distance and ctx belong together and may be used, from any thread, as long as the index lives, by promise; a
            // is a query that the caller says it can read, or an element, and b is an element.
            Custom::new(move |a, b| unsafe { distance(ctx.pointer(), a.cast(), b.cast()) })
        }),
        keep_removed: options.flags & KITH_KEEP_REMOVED != 0,
        fixed_capacity: options.flags & KITH_FIXED_CAPACITY != 0,
        memory_limit: options.memory_limit,
        held: Element::try_from(options.held)?,
        bytes_per_vector: options.bytes_per_vector,
    })
}

/// The options of an index that may be there already; NULL if the caller says nothing of it.
///
/// # Safety
/// - as for `index_options`.
pub(super) unsafe fn optional_index_options(options: *const kith_options) -> Result<Option<Options>> {
    if options.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise, passed on.
    unsafe { index_options(options) }.map(Some)
}

/// The options of a durable directory.
///
/// # Safety
/// - `options` is NULL or readable for as many bytes as its size field says.
pub(super) unsafe fn log_options(options: *const kith_log_options) -> Result<LogOptions> {
    // SAFETY: the caller's promise, passed on.
    let options = unsafe { read_optional(options, "log_options") }?;
    check_flags(options.flags, 0, "it knows none")?;
    Ok(LogOptions {
        sync: SyncPolicy::try_from(options.sync)?,
        interval_ms: options.interval_ms,
        threads: options.threads,
        checkpoint_bytes: options.checkpoint_bytes,
        ..LogOptions::default()
    })
}

/// The capacity that an exported file states.
///
/// # Safety
/// - `options` is NULL or readable for as many bytes as its size field says.
pub(super) unsafe fn export_capacity(options: *const kith_export_options) -> Result<u64> {
    // SAFETY: the caller's promise, passed on.
    let options = unsafe { read_optional(options, "options") }?;
    check_flags(options.flags.into(), 0, "it knows none")?;
    Ok(options.capacity)
}

/// A callback's `ctx`.
#[derive(Clone, Copy)]
struct Context(*mut c_void);

// SAFETY: kith never follows the pointer, it only hands it back. A filter is called from several threads only when the caller
// set KITH_FILTER_ANY_THREAD, which promises that filter and ctx bear it.
unsafe impl Sync for Context {}
// SAFETY: as above; only a distance function's ctx moves to other threads, and its manual says that it must bear it.
unsafe impl Send for Context {}

impl Context {
    /// A method, so that closures capture the whole `Context` and not its pointer.
    fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// Reads the options of a search and runs `body` with them.
///
/// # Safety
/// - `options` is NULL or readable for as many bytes as its size field says; its filter may be called until this returns.
pub(super) unsafe fn with_search_options<T>(
    options: *const kith_search_options,
    body: impl FnOnce(&SearchOptions<'_>) -> Result<T>,
) -> Result<T> {
    // SAFETY: the caller's promise, passed on.
    let options = unsafe { read_optional(options, "options") }?;
    check_flags(options.flags, KITH_FILTER_ANY_THREAD, "it knows KITH_FILTER_ANY_THREAD")?;
    let place = if options.stats.is_null() {
        None
    } else {
        // SAFETY: not NULL, so readable and writable for as many bytes as its size field says, by promise.
        Some(unsafe { Place::new(options.stats, "options->stats") }?)
    };
    let counters = Counters::default();
    let counted = place.is_some().then_some(&counters);
    let (ef, recall, threads) = (options.ef, options.recall, options.threads);
    let search = SearchOptions { ef, recall, threads, filter: None, counters: counted };
    // SAFETY: the filter and its ctx may be used until this function returns, by promise.
    let result = unsafe { with_filter(&options, search, body) }?;
    if let Some(place) = place {
        place.fill(&counters);
    }
    Ok(result)
}

/// Runs `body` with a search's options and its filter, if there is one.
///
/// # Safety
/// - the filter may be called with its ctx until this returns.
unsafe fn with_filter<T>(
    options: &kith_search_options,
    search: SearchOptions<'_>,
    body: impl FnOnce(&SearchOptions<'_>) -> Result<T>,
) -> Result<T> {
    let Some(filter) = options.filter else {
        return body(&search);
    };
    let ctx = Context(options.filter_ctx);
    // SAFETY: filter and ctx belong together and may be used until this function returns, by promise.
    let keep = move |key: u64| unsafe { filter(ctx.pointer(), key) } != 0;
    let filter = Some(if options.flags & u64::from(KITH_FILTER_ANY_THREAD) != 0 {
        Filter::AnyThread(&keep)
    } else {
        Filter::Caller(&keep)
    });
    body(&SearchOptions { filter, ..search })
}

/// Reads the options of a batch insert and runs `body` with them.
///
/// # Safety
/// - `options` is NULL or readable for as many bytes as its size field says; its progress function may be called until this
///   returns.
pub(super) unsafe fn with_build_options<T>(
    options: *const kith_build_options,
    body: impl FnOnce(&BuildOptions<'_>) -> Result<T>,
) -> Result<T> {
    // SAFETY: the caller's promise, passed on.
    let options = unsafe { read_optional(options, "options") }?;
    check_flags(options.flags, KITH_UPSERT | KITH_BUILD_FAST, "it knows KITH_UPSERT and KITH_BUILD_FAST")?;
    let has = |flag: u32| options.flags & u64::from(flag) != 0;
    let (upsert, fast) = (has(KITH_UPSERT), has(KITH_BUILD_FAST));
    let mut build = BuildOptions { threads: options.threads, progress: None, upsert, fast };
    let Some(progress) = options.progress else {
        return body(&build);
    };
    let ctx = options.progress_ctx;
    // SAFETY: progress and ctx belong together and may be used until this function returns, by promise.
    let cancel = move |done: u64, total: u64| unsafe { progress(ctx, done, total) } != 0;
    build.progress = Some(&cancel);
    body(&build)
}

/// A caller's observer, every function of it there.
pub(super) struct Watcher {
    raw: kith_observer,
}

/// The observer of a search.
///
/// # Safety
/// - `observer` is NULL or readable for as many bytes as its size field says; its functions may be called as long as the result lives.
pub(super) unsafe fn watcher(observer: *const kith_observer) -> Result<Watcher> {
    // SAFETY: the caller's promise, passed on.
    let raw = unsafe { read(observer, "observer") }?;
    check_flags(raw.flags.into(), 0, "it knows none")?;
    for (name, missing) in [
        ("stop", raw.stop.is_none()),
        ("consider", raw.consider.is_none()),
        ("add", raw.add.is_none()),
        ("drop", raw.drop.is_none()),
        ("excess", raw.excess.is_none()),
        ("hit", raw.hit.is_none()),
    ] {
        if missing {
            return Err(Error::argument(format!("observer->{name} is NULL")));
        }
    }
    Ok(Watcher { raw })
}

impl Watcher {
    pub(super) fn hit(&self, key: u64, vector: *const u8, distance: f64) {
        if let Some(hit) = self.raw.hit {
            // SAFETY: functions and ctx belong together and may be called as long as this lives, by promise; here and below. The
            // vector is a stored one, and the search holds the epoch.
            unsafe { hit(self.raw.ctx, key, vector.cast(), distance) }
        }
    }
}

impl Observer for &Watcher {
    fn stop(&mut self, candidate: f64, bound: f64) -> bool {
        // SAFETY: see `hit`.
        self.raw.stop.is_none_or(|stop| unsafe { stop(self.raw.ctx, candidate, bound) } != 0)
    }

    fn consider(&mut self, distance: f64, bound: f64) -> bool {
        // SAFETY: see `hit`.
        self.raw.consider.is_some_and(|consider| unsafe { consider(self.raw.ctx, distance, bound) } != 0)
    }

    fn add(&mut self, key: u64, vector: *const u8, distance: f64) {
        if let Some(add) = self.raw.add {
            // SAFETY: see `hit`; the vector is a stored one, and the search holds the epoch.
            unsafe { add(self.raw.ctx, key, vector.cast(), distance) }
        }
    }

    fn drop(&mut self, key: u64, vector: *const u8, distance: f64) {
        if let Some(drop) = self.raw.drop {
            // SAFETY: see `add`.
            unsafe { drop(self.raw.ctx, key, vector.cast(), distance) }
        }
    }

    fn excess(&mut self) -> bool {
        // SAFETY: see `hit`.
        self.raw.excess.is_some_and(|excess| unsafe { excess(self.raw.ctx) } != 0)
    }
}

/// The flags of `kith_open`.
pub(super) fn open_flags(flags: u64) -> Result<OpenFlags> {
    let known =
        KITH_OPEN_MAPPED | KITH_OPEN_READ_ONLY | KITH_OPEN_UNCHECKED | KITH_OPEN_ONE_THREAD | KITH_OPEN_VECTORS_MAPPED;
    check_flags(flags, known, "it knows MAPPED, READ_ONLY, UNCHECKED, ONE_THREAD and VECTORS_MAPPED")?;
    let has = |flag: u32| flags & u64::from(flag) != 0;
    Ok(OpenFlags {
        mapped: has(KITH_OPEN_MAPPED),
        vectors_mapped: has(KITH_OPEN_VECTORS_MAPPED),
        read_only: has(KITH_OPEN_READ_ONLY),
        unchecked: has(KITH_OPEN_UNCHECKED),
        one_thread: has(KITH_OPEN_ONE_THREAD),
    })
}

/// A caller's struct for results, its size checked before the work whose result it will hold.
pub(super) struct Place<T> {
    /// Never a reference: the caller's struct may be shorter than ours.
    place: *mut T,
    size: usize,
}

/// A caller's `kith_info`.
pub(super) type InfoPlace = Place<kith_info>;

#[allow(private_bounds, reason = "only the structs of this file have a size rule")]
impl<T: Sized32> Place<T> {
    /// # Safety
    /// - `place` is NULL, or its first 4 bytes are readable and as many bytes as they say are writable until the place is dropped.
    pub(super) unsafe fn new(place: *mut T, name: &str) -> Result<Self> {
        if place.is_null() {
            return Err(Error::argument(format!("{name} is NULL")));
        }
        // SAFETY: not NULL, so 4 bytes are readable by promise.
        let size = unsafe { plausible_size(place, name) }?;
        Ok(Self { place, size })
    }

    /// Writes the fields that the caller's struct has, but for its size; bytes that this version does not know become 0.
    fn write(self, value: &T) {
        let Self { place, size } = self;
        let (known, target) = (size.min(size_of::<T>()), place.cast::<u8>());
        // SAFETY: `size` bytes are writable by the promise of `new`; known is within them and within `value`. The first four are the
        // size, which stays.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const *value).cast::<u8>().add(4), target.add(4), known - 4);
            target.add(known).write_bytes(0, size - known);
        }
    }
}

impl Place<kith_info> {
    /// Writes the fields that the caller's struct has; bytes that this version does not know become 0.
    pub(super) fn fill(self, info: &Info) {
        self.write(&kith_info {
            size: 0,
            dimensions: info.dimensions,
            metric: info.metric as u32,
            element: info.element as u32,
            kind: info.kind as u32,
            quantizer: info.quantizer as u32,
            m: info.m,
            ef_construction: info.ef_construction,
            ef_search: info.ef_search,
            format: info.format,
            count: info.count,
            removed: info.removed,
            capacity: info.capacity,
            bytes: info.bytes,
            seed: info.seed,
            flags: if info.fixed_capacity { KITH_FIXED_CAPACITY.into() } else { 0 },
            held: info.held as u32,
            code_bytes: info.code_bytes,
            memory_limit: info.memory_limit,
            mapped: info.mapped,
        });
    }
}

impl Place<kith_estimate_result> {
    /// As [`Place::<kith_info>::fill`].
    pub(super) fn fill(self, estimate: Estimate) {
        let Estimate { least, most, quantizer, held, recall } = estimate;
        self.write(&kith_estimate_result {
            size: 0,
            flags: 0,
            least,
            most,
            quantizer: quantizer as u32,
            held: held as u32,
            recall_least: recall.0,
            recall_most: recall.1,
        });
    }
}

impl Place<kith_health> {
    /// As [`Place::<kith_info>::fill`].
    pub(super) fn fill(self, health: &Health) {
        let check = &health.graph;
        self.write(&kith_health {
            size: 0,
            flags: 0,
            linked: check.linked,
            links: check.links,
            unreachable: check.unreachable,
            faults: check.faults,
            min_inbound: check.min_inbound,
            max_inbound: check.max_inbound,
            min_outbound: check.min_outbound,
            max_outbound: check.max_outbound,
            live: health.live,
            removed: health.removed,
            free: health.free,
            key_faults: health.key_faults,
            count_faults: health.count_faults,
            vector_faults: health.vector_faults,
            codes: health.codes,
            code_faults: health.code_faults,
            file_faults: health.file_faults,
        });
    }
}

impl Place<kith_search_stats> {
    /// As [`Place::<kith_info>::fill`].
    fn fill(self, counters: &Counters) {
        self.write(&kith_search_stats {
            size: 0,
            flags: if counters.nearly.load(Ordering::Relaxed) { KITH_STATS_NEARLY } else { 0 },
            distances: counters.distances.load(Ordering::Relaxed),
            hops: counters.hops.load(Ordering::Relaxed),
        });
    }
}

impl Place<kith_log_info> {
    /// As [`Place::<kith_info>::fill`].
    pub(super) fn fill(self, info: &LogInfo) {
        self.write(&kith_log_info {
            size: 0,
            sync: info.sync as u32,
            failed: info.failed.into(),
            flags: 0,
            last: info.last,
            durable: info.durable,
            checkpoint: info.checkpoint,
            log_bytes: info.log_bytes,
            replayed: info.replayed,
            cut_bytes: info.cut_bytes,
            syncs: info.syncs,
            checkpoints: info.checkpoints,
            failed_checkpoints: info.failed_checkpoints,
        });
    }
}
