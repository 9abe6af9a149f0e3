//! Calls that touch files: save, open, file info.

use super::config::{Info, OpenFlags};
use super::{Core, Index};
use crate::persist::{self, Image, Opened};
use crate::store::Store;
use crate::util::epoch::Epochs;
use crate::util::error::Result;
use std::path::Path;

impl Index {
    /// Writes the index as it is at one instant of the call: beside the file, synced, then renamed over it. Writers go on.
    ///
    /// # Errors
    /// `Io` with path and cause; the file that was there is then untouched.
    pub fn save(&self, path: &Path) -> Result<()> {
        let pin = self.pin();
        // The instant: no publication is under way while the states are copied. What they name stays as it is under the pin.
        let (core, mut states) = {
            let _alone = self.gate.write();
            let core = self.core(&pin);
            (core, core.store.copy_states()?)
        };
        let graph = core.graph.as_ref();
        // Insertions go on; only a cancelled batch waits with taking its links back.
        let _linking = core.linking.read();
        if let Some(graph) = graph {
            persist::links::keep_linked(graph, &mut states);
        }
        persist::save(&Image { config: &self.config, store: &core.store, graph, states: &states }, path)
    }

    /// Opens a file written by [`Index::save`].
    ///
    /// # Errors
    /// `Io`, `Corrupt`, `Version`, `Memory`, with the path and the place in the file.
    pub fn open(path: &Path, flags: OpenFlags) -> Result<Self> {
        let pool = crate::util::pool::Pool::default();
        let Opened { config, parts, graph, format } = persist::open(path, flags, &pool)?;
        let epochs = Epochs::new();
        let store = Store::from_parts(parts, &epochs.pin()).map_err(|error| persist::at(path, &error))?;
        let core = Core::around(store, graph);
        let mut index = Self::around(config, core)?;
        index.pool = pool;
        index.format = format;
        index.read_only = match flags {
            OpenFlags { mapped: true, .. } => Some("mapped"),
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
