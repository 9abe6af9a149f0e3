//! How does an index live in a directory, so that no acknowledged change is lost?

use super::arguments::{borrow, output, path as checked_path};
use super::enter::{change, enter};
use super::options::{Place, log_options, optional_index_options};
use super::types::{kith_index, kith_options, kith_status};
use crate::index::Index;
use std::ffi::c_char;

/// When changes of a durable directory are made to last. A program that is killed loses nothing that was acknowledged, whatever is
/// chosen; this is about a machine that stops.
pub type kith_sync = u32;

/// Values of kith_sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum kith_sync_values {
    /// Before the call returns that makes them. Calls that run at the same time share one sync. What 0 means.
    KITH_SYNC_COMMIT = 1,
    /// By the first change that comes when the last sync was `interval_ms` milliseconds ago.
    KITH_SYNC_INTERVAL = 2,
    /// When the operating system likes, and at checkpoints.
    KITH_SYNC_NEVER = 3,
}

/// How a durable directory is kept. Set `size`; 0 in any other field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_log_options {
    /// sizeof(kith_log_options).
    pub size: u32,
    /// When changes are made to last. Default KITH_SYNC_COMMIT.
    pub sync: kith_sync,
    /// For KITH_SYNC_INTERVAL, in milliseconds. Default 100. No change, no sync: call kith_sync_log() before a long rest.
    pub interval_ms: u32,
    /// Threads that load and replay while the directory is opened; 0 means all cores.
    pub threads: u32,
    /// Bytes of log after which a checkpoint begins. Default: half of the snapshot's bytes, at least 64 MiB.
    pub checkpoint_bytes: u64,
    /// Must be 0.
    pub flags: u64,
}

/// How far the log of a durable directory is. The caller sets `size` before the call; nothing else is read. Records are numbered from
/// 1 for the life of the directory; most changes are one record, a large batch is several.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct kith_log_info {
    /// sizeof(kith_log_info), set by the caller.
    pub size: u32,
    /// As in force.
    pub sync: kith_sync,
    /// 1 if changes are refused because the log could not be written or synced; else 0.
    pub failed: u32,
    /// 0 in this version.
    pub flags: u32,
    /// Number of the last record.
    pub last: u64,
    /// Number of the last record that a crash of the machine leaves.
    pub durable: u64,
    /// The records up to this one are in the snapshot.
    pub checkpoint: u64,
    /// Bytes of log that opening the directory would read.
    pub log_bytes: u64,
    /// Records that were replayed when the directory was opened.
    pub replayed: u64,
    /// Bytes behind the last whole change that opening cut off: what a crash had left of changes that were never acknowledged under
    /// KITH_SYNC_COMMIT.
    pub cut_bytes: u64,
    /// Syncs of the log since the directory was opened.
    pub syncs: u64,
    /// Checkpoints that were completed since the directory was opened.
    pub checkpoints: u64,
    /// Checkpoints that were given up because the disk or the memory was full, for example; the log goes on, and grows.
    pub failed_checkpoints: u64,
}

/// Opens the index that lives in a directory, or begins one there. From then on every change (kith_insert(), kith_upsert(),
/// kith_insert_batch(), kith_remove(), kith_remove_batch(), kith_clear()) is written to a log in the directory before it is seen and
/// before the call returns. Opening reads the last snapshot and the log behind it, up to the last whole change; a batch is there whole
/// or not at all.
///
/// - path: the directory; made if it is missing and its parent is there
/// - options: what a new index is to be; for an index that is there, dimensions, metric, element and (unless it is KITH_KIND_AUTO)
///   kind must be those it has, capacity is a hint, and the rest means nothing. May be NULL: then an index must be there
/// - log_options: when changes are made to last, and more; may be NULL
/// - index: receives the handle, to be ended with kith_free(). NULL on failure
///
/// Under KITH_SYNC_COMMIT nothing that was acknowledged is lost: a change whose call returned KITH_OK is there after the program is
/// killed or the machine stops. A change is seen by searches only when it lasts, so nobody sees what a crash undoes. One whose call had not
/// returned may be there or not.
///
/// When the log cannot be written or synced, the call that met this returns KITH_ERROR_IO and the index stays as it was; every later
/// change gives KITH_ERROR_READ_ONLY; reading, searching and kith_save() go on. Free the index and open the directory again: then the
/// change that failed is there or not.
///
/// Changes of one key wait for each other, and kith_clear() for all; so a callback must not wait for another thread that changes the index.
/// Checkpoints are written by the changes, each a share that is in proportion to what it logged, and by opening where the log is due for one;
/// see kith_checkpoint().
/// A directory has one owner: the process that has it open, until kith_free() or its end. A child that it forks may search, not change. The
/// files named snapshot- are as kith_save() writes them; nothing in the directory is to be changed or removed while it is open.
///
/// Errors:
/// - KITH_ERROR_BUSY: the directory is open already, in this process or another
/// - KITH_ERROR_IO: the system refused; or nothing is there and options is NULL
/// - KITH_ERROR_CORRUPT: a file is damaged or missing; the text names it. An end that a crash has torn is cut off, which is no error
///   (kith_log_info.cut_bytes)
/// - KITH_ERROR_VERSION: a newer format, or the other byte order
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; path is empty; options are out of range or not those of the index that is there; sync is
///   unknown
/// - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
/// - KITH_ERROR_MEMORY
///
/// ```c
/// kith_options options = {.size = sizeof options, .dimensions = 384, .metric = KITH_COSINE};
/// kith_index *index;
/// if (kith_open_directory("packages", &options, NULL, &index)) { fprintf(stderr, "%s\n", kith_last_error()); exit(1); }
/// ```
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_open_directory(
    path: *const c_char,
    options: *const kith_options,
    log_options: *const kith_log_options,
    index: *mut *mut kith_index,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_open_directory", || unsafe {
        let place = output(index, "index")?;
        place.write(std::ptr::null_mut());
        let path = checked_path(path)?;
        let options = optional_index_options(options)?;
        let index = Index::open_directory(&path, options.as_ref(), &self::log_options(log_options)?)?;
        place.write(kith_index::handle(index));
        Ok(())
    })
}

/// Makes every change last that was acknowledged before, whatever `sync` says.
///
/// - index: of kith_open_directory()
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL or does not live in a directory
/// - KITH_ERROR_IO, KITH_ERROR_READ_ONLY: the log cannot be written; see kith_open_directory()
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_sync_log(index: *mut kith_index) -> kith_status {
    // SAFETY: index is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_sync_log", index, |index| index.sync_log()) }
}

/// Folds the log into a new snapshot, all of it on the calling thread; searches and changes go on meanwhile. Nobody needs to call this:
/// once the log has grown by `checkpoint_bytes`, changes do the same piece by piece. It makes the next opening quick, and spares the changes
/// the work: call it from a thread of your own, or before a long rest.
///
/// - index: of kith_open_directory()
///
/// Errors:
/// - KITH_ERROR_IO, KITH_ERROR_MEMORY: the snapshot could not be written; the index and its log go on as they were
/// - KITH_ERROR_ARGUMENT: index is NULL or does not live in a directory
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_checkpoint(index: *mut kith_index) -> kith_status {
    // SAFETY: index is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_checkpoint", index, |index| index.checkpoint()) }
}

/// Says how far the log of an index is, and what opening its directory found.
///
/// - index: of kith_open_directory()
/// - info: `size` must be set; the rest is written
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: a pointer is NULL; index does not live in a directory; info->size is 0 or no size of this struct
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_describe_log(index: *const kith_index, info: *mut kith_log_info) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    enter("kith_describe_log", || unsafe {
        let index = borrow(index)?;
        let place = Place::<kith_log_info>::new(info, "info")?;
        place.fill(&index.log_info()?);
        Ok(())
    })
}
