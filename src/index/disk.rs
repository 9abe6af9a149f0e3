//! Calls that touch files, streams and buffers: save, open, file info.

use super::config::{Config, Info, Kind, OpenFlags};
use super::growth::Growth;
use super::holding::View;
use super::room::Room;
use super::{Core, Index};
use crate::graph::Graph;
use crate::persist::links::{Tree, keep_linked};
use crate::persist::{self, Image, Opened};
use crate::quant::{Codes, Reducer};
use crate::store::Store;
use crate::util::epoch::{Epochs, Guard};
use crate::util::error::{Error, Result};
use crate::util::memory::Foreign;
use crate::util::pool::Pool;
use crate::util::reentry;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// The index at one instant: what may change of it, as it was. The rest is read while it is written.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) states: Vec<u8>,
    /// With the capacity of that instant.
    config: Config,
    /// Holds the vectors of all slots that the states name, whatever becomes of the view.
    store: Arc<Store>,
    reducer: Option<Arc<Reducer>>,
    tree: Option<Tree>,
    codes: Option<Arc<Codes>>,
    /// Every record of the log up to this number is in it.
    pub(super) logged: u64,
    /// Slots of removed vectors that can come back, in order.
    pub(super) kept: Vec<u32>,
}

impl Snapshot {
    /// The graph that the snapshot is of. `core` is the one that it was taken of.
    pub(super) fn graph<'a>(&self, core: &'a Core) -> Option<&'a Graph> {
        self.tree.as_ref().and(core.graph.as_ref())
    }

    /// What a save writes. `core` is the one that the snapshot was taken of.
    pub(super) fn image<'a>(&'a self, core: &'a Core) -> Image<'a> {
        Image {
            config: &self.config,
            store: &self.store,
            reducer: self.reducer.as_deref(),
            graph: self.graph(core),
            states: &self.states,
            tree: self.tree.as_ref(),
            codes: self.codes.as_deref(),
        }
    }
}

impl Index {
    /// Whether files can hold the index.
    fn check_saving(&self) -> Result<()> {
        if self.is_custom() {
            return Err(Error::unsupported("a file cannot hold the distance function; export it as a file of hnswlib"));
        }
        Ok(())
    }

    /// Takes down the index at one instant. What the states name stays as it is while `guard` is pinned.
    pub(super) fn snapshot<'a>(&self, guard: &'a Guard) -> Result<(&'a Core, Snapshot)> {
        let (core, mut states, config, kept, logged, still) = loop {
            // From the instant until the tree is taken down nothing leaves the graph.
            let still = self.core(guard).tending.still();
            // The instant: no publication is under way while the states are copied.
            let _alone = self.gate.write();
            let core = self.core(guard);
            if core.tending.is_held_by(&still) {
                let store = core.store(guard);
                let kept = store.all_removed().into_iter().map(|(_, slot)| slot).collect();
                let (kind, m) = self.kind_and_degree(core);
                let mut states = store.copy_states()?;
                if kind == Kind::Graph && core.graph.as_ref().is_some_and(Graph::is_open) {
                    // Nothing was ever published. Slots that a batch has taken stay out, as its degree may be settled before they are written.
                    states.clear();
                }
                let config = Config { kind, m, limit: self.room.as_ref().map(Room::limit), ..self.config.clone() };
                break (core, states, config, kept, self.seen_up_to(), still);
            }
            // Cleared in between.
        };
        let ((store, reducer), codes, quantizer) = {
            // What belongs together: nobody changes how vectors are held or coded meanwhile. And who fills a slot writes into the codes that are in force
            // then: none is being filled now.
            let _coding = core.coding.read();
            (core.view(guard).shared(), core.codes_in_force(guard).cloned(), self.quantizer())
        };
        let config = Config { quantizer, ..config };
        // Insertions go on; only a cancelled batch waits with taking its links back until the tree is taken down.
        let _linking = core.linking.read();
        let graph = core.graph.as_ref().filter(|_| config.kind == Kind::Graph);
        let tree = graph.map(|graph| keep_linked(graph, &mut states)).transpose()?;
        drop(still);
        Ok((core, Snapshot { states, config, store, reducer, tree, codes, kept, logged }))
    }

    /// Writes the index as it is at one instant of the call: beside the file, synced, then renamed over it. Writers go on.
    ///
    /// # Errors
    /// `Io` with path and cause; the file that was there is then untouched.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.check_saving()?;
        let pin = self.pin();
        let (core, snapshot) = self.snapshot(&pin)?;
        persist::save(&snapshot.image(core), path)
    }

    /// As [`Index::save`], but the bytes go to `out`, front to back, in pieces of at most 1 MiB. `out` must not change the index.
    ///
    /// # Errors
    /// `Io` with what `out` said.
    pub fn save_to(&self, out: &mut impl Write) -> Result<()> {
        self.check_saving()?;
        let pin = self.pin();
        let (core, snapshot) = self.snapshot(&pin)?;
        reentry::calling_back(self.name(), || persist::save_to(&snapshot.image(core), out))
    }

    /// Opens a file written by [`Index::save`].
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Version`, `Memory`, with the path and the place in the file.
    pub fn open(path: &Path, flags: OpenFlags) -> Result<Self> {
        let pool = Pool::default();
        let opened = persist::open(path, flags, &pool)?;
        Self::opened(opened, flags, pool).map_err(|error| persist::at(path, &error))
    }

    /// Opens the bytes of a file, into memory of the index. `flags.mapped` and `flags.vectors_mapped` are not for this.
    ///
    /// # Errors
    /// `Corrupt`, `Version`, `Memory`, with the place in the bytes.
    pub fn open_buffer(bytes: &[u8], flags: OpenFlags) -> Result<Self> {
        if flags.mapped || flags.vectors_mapped {
            return Err(Error::unsupported("borrowed bytes cannot be used in place"));
        }
        let pool = Pool::default();
        let opened = persist::open_from(bytes, flags, &pool)?;
        Self::opened(opened, flags, pool)
    }

    /// Opens the bytes of a file and uses them where they lie.
    pub(crate) fn open_in_place(bytes: Foreign, flags: OpenFlags) -> Result<Self> {
        let pool = Pool::default();
        let opened = persist::open_in_place(&Arc::new(bytes), flags, &pool)?;
        Self::opened(opened, flags, pool)
    }

    pub(super) fn opened(opened: Opened, flags: OpenFlags, pool: Pool) -> Result<Self> {
        let Opened { mut config, parts, mut graph, codes, reducer } = opened;
        let begins_flat = config.kind == Kind::Auto;
        if begins_flat {
            config.kind = Kind::Graph;
        }
        let scoring = super::scoring_of(&config)?;
        let epochs = Epochs::new();
        let store = Store::from_parts(parts, &epochs.pin())?;
        // The degree of a graph without vectors is as open as it was.
        if begins_flat || graph.is_some() && store.slots() == 0 {
            graph = Some(super::empty_graph(&config));
        }
        let loaded = !flags.mapped && !flags.vectors_mapped;
        if let Some(graph) = graph.as_ref().filter(|graph| loaded && !begins_flat && !graph.is_open()) {
            graph.reserve(store.slots().into())?;
        }
        let mut core = Core::around(
            &config,
            View::new(&scoring, store, reducer.map(Arc::new))?,
            graph,
            Growth::new(&config, begins_flat),
        )?;
        core.codes =
            codes.map_or_else(crossbeam_epoch::Atomic::null, |codes| crossbeam_epoch::Atomic::new(Arc::new(codes)));
        let mut index = Self::around(config, scoring, core);
        index.pool = pool;
        index.read_only = match flags {
            OpenFlags { mapped: true, .. } => Some("mapped"),
            OpenFlags { vectors_mapped: true, .. } => Some("with its vectors mapped"),
            OpenFlags { read_only: true, .. } => Some("read-only"),
            _ => None,
        };
        Ok(index)
    }

    /// What a file's header says, without loading the file.
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Version`.
    pub fn file_info(path: &Path) -> Result<Info> {
        persist::file_info(path)
    }
}
