//! How does an index stay small and fast while vectors come and go?

use super::arguments::output;
use super::enter::change;
use super::options::{Place, with_build_options};
use super::types::{kith_build_options, kith_health, kith_index, kith_quantizer, kith_status};
use crate::index::config::Quantizer;
use crate::index::maintain::LEAST_UPKEEP;
use crate::util::error::Result;
use crate::util::worker::Worker;
use std::time::Duration;

/// How long a worker works between two looks at whether it is to end.
const SLICE: Duration = LEAST_UPKEEP;
/// How often it looks for work at most.
const EVERY: Duration = Duration::from_millis(1);

/// Makes places of removed and replaced vectors free for others, and moves an index of KITH_KIND_AUTO into a graph when it holds enough, for about
/// as long as the caller says.
///
/// - index: the index
/// - budget_us: microseconds to work for; 0 does a little, UINT64_MAX goes on until nothing is left to do
/// - pending: receives how many places are not free yet, and vectors not linked or not moved, 0 on failure; may be NULL
///
/// Searches do not find a vector any more when kith_remove() has returned; but the graph still leads through its place. Calls that
/// remove, replace or insert take such places out of the graph by and by, a bounded share each, once a hundredth of all places (and at least
/// 64) have gathered. Nobody needs to call this function: a program that has time to spare can, after it removed much, or in place of doing
/// the work in the calls that are waited for.
///
/// Where of 65,536 places or more only a quarter or less has a vector, it moves vectors together as well, a few at a time, and gives the memory behind them back, as kith_compact()
/// does: spread over so much memory they would be found more slowly. Moving costs as much as inserting; `pending` then counts vectors to be moved, too.
///
/// Places become free many at a time, so `pending` stays for a while and then falls at once. Where neighbours are hard to tell apart (random vectors), a graph of which much
/// was removed misses more of them than one that was built of the rest: kith_optimize() makes it so.
///
/// A place is free when every search and change that was under way has ended, and every save and checkpoint that began before. Where
/// nothing is left to do but to wait for those, the call returns early, with pending above 0: call again later.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_maintain(index: *mut kith_index, budget_us: u64, pending: *mut u64) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        let place =
            if pending.is_null() { Ok(None) } else { output(pending, "pending").map(|place| Some(place.write(0))) };
        change("kith_maintain", index, |index| {
            let place = place?;
            let left = index.maintain(Duration::from_micros(budget_us))?;
            place.into_iter().for_each(|place| *place = left);
            Ok(())
        })
    }
}

/// Starts a thread that does the upkeep of an index, or ends it: what else the calls do that change the index, a share each, and what kith_maintain()
/// does. None is there before this is called.
///
/// - index: the index
/// - every_us: how often the thread looks whether there is enough to do, in microseconds: 100,000, say; less than 1,000 counts as 1,000. 0 ends the
///   thread, and waits for that. Called again, it changes the interval
///
/// While it is there, calls that remove, replace or insert do no share of making places free, unless the thread does not keep up: when a twelfth of all
/// places waits, or 512, they help, and from twice as many on each waits for its turn to help, as it does without such a thread. The thread belongs to this handle: kith_free() ends it. It
/// calls a metric of the host's own (kith_distance_fn) from outside of any call; so hold no lock that such a function needs while you call this or kith_free(), which wait for the thread, or
/// fork. A fork waits until the thread rests (some 10 milliseconds as a rule, one second at most): the child can use the index as the fork chapter says, has no such thread, and may start one;
/// until then its calls do their share.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_READ_ONLY: the index cannot be changed; not for 0
/// - KITH_ERROR_MEMORY: the system gives no thread
/// - KITH_ERROR_BUSY: called from a callback of this index
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_set_upkeep(index: *mut kith_index, every_us: u64) -> kith_status {
    // SAFETY: the pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_set_upkeep", index, |inner| {
            // From a callback it would wait for itself.
            inner.leave_upkeep_to_worker(false)?;
            let mut worker = (*index).worker.lock();
            drop(worker.take());
            inner.leave_upkeep_to_worker(every_us > 0)?;
            if every_us > 0 {
                let started = start_worker(Kept(index), Duration::from_micros(every_us).max(EVERY));
                if started.is_err() {
                    inner.leave_upkeep_to_worker(false)?;
                }
                *worker = Some(Box::new(started?));
            }
            Ok(())
        })
    }
}

/// A handle that is not ended before the worker that has this.
struct Kept(*mut kith_index);

// SAFETY: a handle is used from any thread, and lives for as long as the worker: `kith_free` ends that first.
unsafe impl Send for Kept {}

fn start_worker(kept: Kept, every: Duration) -> Result<Worker> {
    Worker::start(every, move || {
        let kept = &kept;
        let mut more = false;
        // What goes wrong here is met again, and told, by the calls that change the index.
        // SAFETY: the handle is live, as `Kept` says.
        let _ = unsafe {
            change("kith_set_upkeep", kept.0, |index| {
                more = index.do_upkeep(SLICE)?;
                Ok(())
            })
        };
        more
    })
}

/// Gives memory back to the system that removed and replaced vectors took: makes their places free as kith_maintain() does, moves vectors
/// together, and gives back what is behind them. Searches and changes go on meanwhile.
///
/// - index: the index
/// - options: threads, progress; may be NULL
///
/// Moving costs as much as inserting, for at most as many vectors as were removed. A file that kith_save() writes afterwards has no byte
/// of a vector whose kith_remove() or replacement had returned before this was called; nor has memory that other vectors use by then.
/// What searches, saves and checkpoints that are under way for long still hold is given back by a later call. Memory is given back by pages: each array
/// of the index keeps the one, of the system's size or a huge one of 2 MiB, that its end lies in. A graph stays one, however few vectors are left.
///
/// Errors:
/// - KITH_ERROR_CANCELLED: progress returned non-zero. The index is whole, and moved together in part
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_compact(index: *mut kith_index, options: *const kith_build_options) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_compact", index, |index| with_build_options(options, |options| index.compact(options))) }
}

/// Makes an index that grew bit by bit as good as one that was built as a whole: learns codes anew from the vectors that are there now, and
/// builds the graph anew, as kith_insert_batch() does for a large batch into an empty index.
///
/// - index: the index. A flat one, or one that is KITH_CUSTOM, has nothing to gain: nothing is done
/// - options: threads, progress, and KITH_BUILD_FAST among the flags; may be NULL
///
/// Worth calling after many single insertions, after the data have changed their nature, or after much was removed. Searches go on
/// with the old graph and see the new one when it is complete; insertions go on, too, but for the moment in which it is put in place.
/// Keys, vectors and files are what they were. Takes the time and the memory of building the graph in one batch: about 1 KB for each vector
/// while it works. With an m above 32 the graph stays, and only codes are learnt.
///
/// Errors:
/// - KITH_ERROR_CANCELLED: progress returned non-zero; the graph is as it was
/// - KITH_ERROR_ARGUMENT: index is NULL
/// - KITH_ERROR_UNSUPPORTED: an unknown flag, or options of a newer version
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_optimize(index: *mut kith_index, options: *const kith_build_options) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe { change("kith_optimize", index, |index| with_build_options(options, |options| index.optimize(options))) }
}

/// Gives a graph codes of another kind, or none, while it is used: KITH_QUANTIZER_AUTO, _NONE, _PROJECTED4, _PROJECTED2, _PROJECTED1, _PRODUCT or _SIGNS. What is
/// inserted later gets such, too; files are then as if the index had been made so.
///
/// - index: the index
/// - quantizer: what is wanted. Nothing is done if the index has such codes already (kith_optimize() learns codes anew); and if it holds too few
///   vectors to learn from, it gets them when there are enough
/// - options: threads and progress, which counts places coded; may be NULL
///
/// Codes are learnt from a sample of the vectors that are there, and written for a few thousand at a time; searches go on, and insertions wait for
/// such a step at most. Takes the memory of both codes until the last is written. Vectors that are held as bytes without loss (see
/// KITH_QUANTIZER_AUTO) stay so. An index of KITH_KIND_AUTO that is flat still gets its codes when it becomes a graph. A durable directory keeps the change from the next checkpoint on.
///
/// Errors:
/// - KITH_ERROR_CANCELLED: progress returned non-zero; the codes are as they were
/// - KITH_ERROR_UNSUPPORTED: KITH_QUANTIZER_BYTES or one of _LEADING8, here or when the index was made: these replace the vectors; metric or
///   dimensions as for kith_create(); an unknown quantizer, flag, or options of a newer version
/// - KITH_ERROR_ARGUMENT: index is NULL; the vectors do not vary, or by too much to be coded
/// - KITH_ERROR_BUSY: another such call is under way, or the index was cleared meanwhile
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_requantize(
    index: *mut kith_index,
    quantizer: kith_quantizer,
    options: *const kith_build_options,
) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_requantize", index, |index| {
            let quantizer = Quantizer::try_from(quantizer)?;
            with_build_options(options, |options| index.requantize(quantizer, options))
        })
    }
}

/// Looks at the whole graph as kith_check() does and, if anything is not as it should be, builds it anew from the vectors, on the calling
/// thread. A sound graph is left alone.
///
/// - index: the index
/// - health: `size` must be set; receives how the graph is then. May be NULL
///
/// There is nothing to repair but for defects of kith: files are checked when they are opened. Meant for an index that rests: what others
/// change beside the call may be taken for a fault, and costs a build that was not needed. Searches go on meanwhile; where m is above
/// 32 or the index is KITH_CUSTOM, they may miss vectors until the call returns.
///
/// Errors:
/// - KITH_ERROR_ARGUMENT: index is NULL; health->size is 0 or no size of this struct
/// - KITH_ERROR_READ_ONLY, KITH_ERROR_MEMORY, KITH_ERROR_BUSY
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kith_repair(index: *mut kith_index, health: *mut kith_health) -> kith_status {
    // SAFETY: each pointer is NULL or as the header says: the room's safety chapter.
    unsafe {
        change("kith_repair", index, |index| {
            let place = if health.is_null() { None } else { Some(Place::new(health, "health")?) };
            let check = index.repair()?;
            place.into_iter().for_each(|place| place.fill(&check));
            Ok(())
        })
    }
}
