//! The index object: what each call does, in terms of the other rooms.
//!
//! An [`Index`] is a configuration and a *core* (the vectors and their graph). Readers reach the core by one pointer under an
//! epoch pin and take no lock. Changes prepare their slot unseen and then publish it inside the *gate*, which is shared among
//! writers; only `clear` (a new core) and the instant of a snapshot hold it alone, both for microseconds.

mod budget;
pub(crate) mod bulk;
mod calibrate;
mod changes;
mod checkpoint;
mod choice;
mod coding;
mod compact;
pub mod config;
mod directory;
pub(crate) mod disk;
mod durable;
mod estimate;
mod exchange;
mod gate;
mod growth;
mod health;
mod holding;
mod learning;
pub(crate) mod maintain;
mod observed;
mod opaque;
mod optimize;
mod pieces;
mod reading;
mod repair;
mod requantize;
mod room;
mod rows;
#[cfg(test)]
mod tests;
mod tuning;

use crate::build::Linkers;
use crate::distance::{Element, Metric};
use crate::graph::Graph;
use crate::quant::Codes;
use crate::search::{Scoring, Scratches};
use crate::store::{Held, Store};
use crate::util::epoch::{Epochs, Pin};
use crate::util::error::{Error, Result, Status};
use crate::util::fork::Presence;
use crate::util::pool::Pool;
use crate::util::reentry;
use budget::Budget;
use coding::OlderCodes;
use compact::Gathering;
use config::{Config, Degree, Kind, Options, Quantizer};
use crossbeam_epoch::{Atomic, Guard, Owned};
use durable::Durable;
use gate::Gate;
use growth::Growth;
use holding::View;
use maintain::Tending;
use parking_lot::RwLock;
use requantize::Coming;
use room::Room;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tuning::Tuning;

pub use crate::foreign::Format;
pub use crate::graph::Check;
pub use crate::journal::{LogInfo, LogOptions, SyncPolicy};
pub use crate::search::observed::Observer;
pub use estimate::Estimate;
pub use health::Health;
pub use observed::Query;
pub use pieces::Read;
pub use rows::{Opaque, Rows};

/// What `clear` replaces: everything that depends on the vectors.
#[derive(Debug)]
struct Core {
    /// The vectors as they are held now; never null.
    view: Atomic<View>,
    /// Set when vectors are to stay as they are given.
    as_given: AtomicBool,
    /// Where the kind is graph, or is to be; searches go by it once `growth` is over.
    graph: Option<Graph>,
    /// How far the index is on its way there.
    growth: Growth,
    /// Shared by whoever links slots; exclusive while a cancelled batch is unlinked.
    linking: RwLock<()>,
    /// Unlinks what was removed.
    tending: Tending,
    /// Moves together what is left.
    gathering: Gathering,
    /// Codes that walks go by; null until there are some.
    codes: Atomic<Arc<Codes>>,
    /// Those that were replaced, while somebody may still look into them.
    older_codes: OlderCodes,
    /// Those that will be in force.
    coming: Coming,
    /// Slots from which on there should be some.
    codes_from: AtomicU32,
    /// Shared by whoever fills or links slots; exclusive while the index gets its codes, or its vectors are held in another way.
    coding: RwLock<()>,
}

impl Core {
    fn empty(config: &Config, scoring: &Scoring) -> Result<Self> {
        let shape = (config.vector_bytes(), config.held);
        let store = Store::empty(shape, config.metric == Metric::Cosine, config.removal);
        let graph = (config.kind == Kind::Graph).then(|| empty_graph(config));
        Self::around(config, View::new(scoring, store, None)?, graph, Growth::new(config, true))
    }

    fn around(config: &Config, view: View, graph: Option<Graph>, growth: Growth) -> Result<Self> {
        let codes_from = AtomicU32::new(coding::codes_from(config.quantizer));
        Ok(Self {
            view: Atomic::new(view),
            as_given: AtomicBool::new(false),
            graph,
            growth,
            linking: RwLock::new(()),
            tending: Tending::default(),
            gathering: Gathering::default(),
            codes: Atomic::null(),
            older_codes: OlderCodes::default(),
            coming: Coming::default(),
            codes_from,
            coding: RwLock::new(()),
        })
    }
}

/// A vector index. Every method may run at the same time as every other, from any number of threads.
#[derive(Debug)]
pub struct Index {
    /// As it was made; its quantizer may be another one by now.
    config: Config,
    /// What `requantize` changes, while the core's `coding` is held alone.
    quantizer: AtomicU32,
    /// For vectors as callers give them; each view has its own.
    scoring: Scoring,
    scratches: Scratches,
    linkers: Linkers,
    core: Atomic<Core>,
    epochs: Epochs,
    /// Shared by whoever publishes or removes; exclusive for the instant of a snapshot and for `clear`.
    gate: Gate,
    pool: Pool,
    /// What breadth a recall takes.
    tuning: Tuning,
    read_only: Option<&'static str>,
    /// Set by a defect met inside a changing call.
    poison: OnceLock<String>,
    /// Where the index may hold so many vectors only.
    room: Option<Room>,
    /// How much memory the index may hold.
    budget: Budget,
    /// Where the index keeps a log of its changes.
    durable: Option<Box<Durable>>,
    /// The thread that does the upkeep, so that calls that change the index need not.
    worker: Presence,
}

impl Index {
    /// An empty index.
    ///
    /// # Errors
    /// `Argument` or `Unsupported` for options that are out of range or do not go together; `Memory` if `capacity` does not fit.
    pub fn create(options: &Options) -> Result<Self> {
        let config = Config::new(&choice::choose(options)?)?;
        let scoring = scoring_of(&config)?;
        let core = Core::empty(&config, &scoring)?;
        let index = Self::around(config, scoring, core);
        index.set_memory_limit(options.memory_limit);
        if index.room.is_none() {
            index.reserve(options.capacity)?;
        }
        Ok(index)
    }

    fn around(config: Config, scoring: Scoring, core: Core) -> Self {
        let room = config.limit.map(Room::new);
        Self {
            worker: Presence::default(),
            quantizer: AtomicU32::new(config.quantizer as u32),
            config,
            scoring,
            scratches: Scratches::new(),
            core: Atomic::new(core),
            linkers: Linkers::new(),
            epochs: Epochs::new(),
            gate: Gate::default(),
            pool: Pool::default(),
            tuning: Tuning::new(),
            read_only: None,
            poison: OnceLock::new(),
            room,
            budget: Budget::default(),
            durable: None,
        }
    }

    /// Bytes of one vector as callers pass it.
    pub fn vector_bytes(&self) -> usize {
        self.config.vector_bytes()
    }

    /// Refuses changes from now on with `Status::Internal`: a defect was met in a call that changes the index.
    pub fn poison(&self, text: &str) {
        // The first defect is the one to tell of.
        let _ = self.poison.set(text.to_owned());
    }

    /// Looks for faults in the graph of an index that rests; `None` if it has no graph. For tests.
    #[cfg(any(test, feature = "test-hooks"))]
    #[doc(hidden)]
    pub fn audit(&self) -> Option<crate::graph::Audit> {
        let pin = self.pin();
        let (store, graph) = (self.core(&pin).store(&pin), self.core(&pin).graph());
        let must = |slot| store.state(slot) == crate::store::LIVE;
        graph.map(|graph| graph.audit(store.slots(), must))
    }

    /// Distances that walks have computed, of the searches of one thread; for comparisons of graphs.
    #[cfg(any(test, feature = "test-hooks"))]
    #[doc(hidden)]
    pub fn scored(&self) -> u64 {
        let scratch = self.scratches.take();
        let scored = scratch.trail.scored;
        self.scratches.give(scratch);
        scored
    }

    /// The longest that anybody waited for a row of the graph since it was made, and how many waited more than five milliseconds; for tests.
    #[cfg(any(test, feature = "test-hooks"))]
    #[doc(hidden)]
    pub fn waits(&self) -> (std::time::Duration, u64) {
        let pin = self.pin();
        self.core(&pin).graph.as_ref().map_or_else(Default::default, |graph| {
            let longest = graph.waits.longest.load(Ordering::Relaxed);
            (std::time::Duration::from_nanos(longest), graph.waits.long.load(Ordering::Relaxed))
        })
    }

    /// How vectors are to be coded, as it was asked for last.
    fn quantizer(&self) -> Quantizer {
        Quantizer::try_from(self.quantizer.load(Ordering::Acquire)).unwrap_or(self.config.quantizer)
    }

    fn pin(&self) -> Pin<'_> {
        self.epochs.pin()
    }

    fn core<'a>(&self, guard: &'a Guard) -> &'a Core {
        let core = self.core.load(Ordering::Acquire, guard);
        // SAFETY: the pointer is never null, and a core that `clear` unlinks is freed through this index's collector, in which
        // `guard` is pinned.
        unsafe { core.deref() }
    }

    /// Forgets what an index that holds nothing learnt from a batch that is not to be; before, vectors were to be held as it is told.
    fn begin_anew(&self, before: Held) {
        let pin = self.pin();
        let is_settled = |graph: &Graph| self.config.degree == Degree::ByData && !graph.is_open();
        let differs = |core: &Core| {
            let differs = core.store(&pin).held() != before || core.graph.as_ref().is_some_and(is_settled);
            core.store(&pin).slots() == 0 && differs
        };
        if differs(self.core(&pin)) {
            // Where memory is refused for that, the next vectors are held as these would have been.
            drop(self.replace_core(differs, &pin));
        }
    }

    /// Puts an empty core in place of the current one, if it is still such.
    fn replace_core(&self, is_such: impl FnOnce(&Core) -> bool, guard: &Guard) -> Result<()> {
        let config = Config { quantizer: self.quantizer(), ..self.config.clone() };
        let fresh = Owned::new(Core::empty(&config, &self.scoring)?);
        let _alone = self.gate.write();
        if !is_such(self.core(guard)) {
            return Ok(());
        }
        fresh.codes_from.store(coding::codes_from(self.quantizer()), Ordering::Relaxed);
        let old = self.core.swap(fresh, Ordering::AcqRel, guard);
        // SAFETY: just unlinked, once; readers that still use it are pinned in the same collector.
        unsafe { guard.defer_destroy(old) };
        guard.flush();
        Ok(())
    }

    /// Errors that every changing call begins with.
    fn check_change(&self) -> Result<()> {
        if reentry::is_calling_back(self.name()) {
            return Err(Error::new(Status::Busy, "a callback of this index must not change it"));
        }
        if let Some(why) = self.read_only {
            return Err(Error::new(Status::ReadOnly, format!("the index was opened {why}")));
        }
        if let Some(text) = self.poison.get() {
            return Err(Error::internal(format!("changes are refused since a defect of kith: {text}")));
        }
        self.check_log()
    }

    /// A number that names this index among all that exist.
    fn name(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let core = std::mem::replace(&mut self.core, Atomic::null());
        // SAFETY: `&mut self`: no reader is left, and the core is owned by this pointer alone.
        drop(unsafe { core.try_into_owned() });
    }
}

/// A graph without vectors.
fn empty_graph(config: &Config) -> Graph {
    match config.degree {
        Degree::Given => Graph::new(config.m, config.seed),
        Degree::ByData => Graph::open(config.m, config.seed),
    }
}

/// Distances between vectors as callers give them.
fn scoring_of(config: &Config) -> Result<Scoring> {
    let stride = crate::store::padded(config.vector_bytes());
    let mut scoring = Scoring::new(config.metric, config.element, config.dimensions, stride)?;
    scoring.custom.clone_from(&config.custom);
    scoring.of_held(config.held, crate::store::padded(config.held.bytes_of(config.vector_bytes())))
}

/// The distance between two vectors of this shape, as searches report it.
///
/// # Errors
/// `Argument` for a shape that does not exist, vectors of another length, NaN or infinity, a zero vector under cosine.
pub fn distance(metric: Metric, element: Element, dimensions: u32, a: &[u8], b: &[u8]) -> Result<f32> {
    config::check_shape(metric, element, dimensions)?;
    let bytes = element.vector_bytes(dimensions);
    let scoring = Scoring::new(metric, element, dimensions, crate::store::padded(bytes))?;
    for (name, vector) in [("a", a), ("b", b)] {
        scoring.check(name, vector)?;
    }
    Ok(scoring.between(a, b))
}
