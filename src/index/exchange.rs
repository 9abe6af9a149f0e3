//! Calls that take in files of other libraries and write such.

use super::config::Options;
use super::holding::View;
use super::{Index, disk::Snapshot};
use crate::disk::{RegularFile, Source};
use crate::foreign::{self, Export, Format, Target};
use crate::persist;
use crate::util::epoch::Guard;
use crate::util::error::{Error, Result, Status};
use crate::util::reentry;
use std::io::Write;
use std::path::Path;

impl Index {
    /// An index with the content of another library's file. What the file does not say comes from `options`.
    ///
    /// # Errors
    /// `Io` if the file cannot be read; `Corrupt` for content that cannot be; `Unsupported` for what has no like here; `Argument` for
    /// options that do not fit the file; `Memory`.
    pub fn import(path: &Path, format: Format, options: &Options) -> Result<Self> {
        let file = RegularFile::open(path).map_err(|cause| Error::io("opening", path, &cause))?;
        Self::import_from(&file, format, options).map_err(|error| persist::at(path, &error))
    }

    /// As [`Index::import`], from the bytes of a file.
    ///
    /// # Errors
    /// As [`Index::import`], but not `Io`.
    pub fn import_buffer(bytes: &[u8], format: Format, options: &Options) -> Result<Self> {
        Self::import_from(&bytes, format, options)
    }

    fn import_from(source: &dyn Source, format: Format, options: &Options) -> Result<Self> {
        let found = foreign::find(source, format, options)?;
        let index = Self::create(&Options { capacity: 0, ..found.options })?;
        {
            let _grant = index.afford_batch(found.elements.count() as usize, 1)?;
            let pin = index.pin();
            let core = index.core(&pin);
            let View { store, scoring, .. } = core.view(&pin);
            let target = Target {
                scoring,
                store,
                graph: core.graph.as_ref(),
                ef_construction: index.config.ef_construction as usize,
                guard: &pin,
            };
            foreign::fill(target, &*found.elements)?;
            index.code_if_due(core, &index.alone(), &pin)?;
        }
        let capacity =
            if options.fixed_capacity { options.capacity.max(index.describe().count) } else { options.capacity };
        index.reserve(capacity)?;
        Ok(index)
    }

    /// Writes the index as a file of another library, of which it becomes the content at one instant of the call. `capacity` is the one
    /// that the file states, if it is more than the elements.
    ///
    /// # Errors
    /// `Io`, and then a file that was there is as it was; `Unsupported` for what the format cannot hold; `Memory`.
    pub fn export(&self, path: &Path, format: Format, capacity: u64) -> Result<()> {
        self.exporting(format, capacity, |export| persist::put(path, |out| foreign::write(export, out)))
    }

    /// As [`Index::export`], but the bytes go to `out`, which must not change the index.
    ///
    /// # Errors
    /// As [`Index::export`].
    pub fn export_to(&self, out: &mut dyn Write, format: Format, capacity: u64) -> Result<()> {
        self.exporting(format, capacity, |export| reentry::calling_back(self.name(), || foreign::write(export, out)))
    }

    /// Bytes that [`Index::export`] would write now.
    ///
    /// # Errors
    /// As [`Index::export`], but not `Io`.
    pub fn export_bytes(&self, format: Format, capacity: u64) -> Result<u64> {
        self.exporting(format, capacity, foreign::file_bytes)
    }

    fn exporting<T>(&self, format: Format, capacity: u64, write: impl FnOnce(&Export<'_>) -> Result<T>) -> Result<T> {
        let pin: &Guard = &self.pin();
        // What links an index is a change, for which a callback is not the place.
        if format == Format::Hnswlib && self.check_change().is_ok() {
            self.grow_up(self.core(pin), pin)?;
        }
        let (core, snapshot) = self.snapshot(pin)?;
        let graph = snapshot.graph(core);
        let Snapshot { states, kept, .. } = snapshot;
        let fits = match format {
            Format::Hnswlib => graph.is_some(),
            Format::HnswlibFlat => graph.is_none(),
            Format::Usearch | Format::Faiss => {
                return Err(Error::unsupported("kith reads files of usearch and faiss and does not write them"));
            }
        };
        if self.config.quantizer.reduction().is_some() {
            return Err(Error::unsupported("an index of reduced vectors has none to write"));
        }
        if !fits {
            let text =
                "format does not go with the index's kind: hnswlib's graph files with graph, its flat files with flat";
            return Err(Error::new(Status::Argument, text));
        }
        let (config, View { store, scoring, .. }) = (&self.config, core.view(pin));
        write(&Export { config, scoring, store, graph, states: &states, kept: &kept, capacity })
    }
}
