//! How do indexes share what they learn from vectors? Learning without inserting, and what was learnt as bytes. FORMAT.md has the bytes.
//!
//! An index learns by itself, from the first vectors that it gets. Several indexes that each hold a part of one collection should learn once, so that
//! distances between query and vectors mean the same in all of them, and so that none learns from a part that is unlike the rest.

use super::config::{BuildOptions, Quantizer};
use super::{Core, Index, Rows};
use crate::distance::Metric;
use crate::quant::{self, Codec, Codes, Coding, Reducer, Sample};
use crate::store::Held;
use crate::util::error::{Error, Result, Status};
use crate::util::memory::gather;
use crossbeam_epoch::{Guard, Owned};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MARK: [u8; 8] = *b"KITHCODC";
const VERSION: u32 = 1;
/// Bytes before what was learnt.
const HEAD: usize = 32;

/// What an index learns.
#[derive(Debug)]
enum Learnt {
    Codec(Codec),
    Reducer(Reducer),
}

impl Index {
    /// Learns from vectors, of which none is inserted, what an index that holds nothing would learn from its first ones. `clear` forgets it.
    ///
    /// # Errors
    /// `Unsupported` if such an index learns nothing; `Exists` if it holds vectors or has learnt; `Argument` for vectors that an insertion would refuse,
    /// fewer than 256, or all alike; `Cancelled` if the progress callback asked for it; `Memory`, `ReadOnly`, `Busy`, `Internal`.
    pub fn train(&self, vectors: Rows<'_>, options: &BuildOptions<'_>) -> Result<()> {
        self.check_learning()?;
        let quantizer = self.quantizer();
        let least = match quantizer.coding() {
            Some(Coding::Product) => super::coding::codes_from(quantizer) as usize,
            _ => super::coding::ON_DEMAND as usize,
        };
        if vectors.count() < least {
            return Err(Error::argument(format!("count is {}, at least {least} vectors are needed", vectors.count())));
        }
        let dimensions = self.config.dimensions as usize;
        let size = Sample::size(dimensions, quantizer.coding());
        let step = (vectors.count() / size).max(1);
        let taken = gather((0..vectors.count()).step_by(step).take(size))?;
        for &i in &taken {
            let checked = self.scoring.check("vector", vectors.row(i));
            checked.map_err(|error| Error::new(error.status(), format!("at position {i}: {}", error.text())))?;
        }
        let sample = Sample {
            metric: self.config.metric,
            element: self.config.element,
            dimensions,
            vectors: gather(taken.iter().map(|&i| vectors.row(i)))?,
        };
        let seed = self.config.seed;
        let hands = self.hands(options, 0, taken.len());
        let learnt = match (quantizer.reduction(), quantizer.coding()) {
            (Some(reduction), _) => self.learn_reducer(reduction, &sample, &hands)?.map(Learnt::Reducer),
            (None, Some(coding)) => quant::train(coding, &sample, seed, &hands)?.map(Learnt::Codec),
            (None, None) => return Err(Error::internal("an index without codes was to learn some")),
        };
        self.know(learnt.ok_or_else(|| Error::argument("the vectors do not vary, or by too much"))?)
    }

    /// What the index has learnt, as bytes for [`Index::import_codec`].
    ///
    /// # Errors
    /// `NotFound` if it has learnt nothing.
    pub fn export_codec(&self) -> Result<Vec<u8>> {
        let pin = self.pin();
        let core = self.core(&pin);
        let (quantizer, shape, payload) = match (core.view(&pin).reducer(), core.codes(&pin)) {
            (Some(reducer), _) => {
                (Quantizer::of_reduction(reducer.reduction()), reducer.components(), reducer.to_blob())
            }
            (None, Some(codes)) => {
                (Quantizer::of_coding(codes.codec.coding()), codes.codec.lines(), codes.codec.to_blob())
            }
            (None, None) => return Err(Error::new(Status::NotFound, "the index has learnt nothing yet")),
        };
        let mut blob = Vec::with_capacity(HEAD + payload.len() + 4);
        blob.extend_from_slice(&MARK);
        for number in [
            VERSION,
            quantizer as u32,
            self.config.metric as u32,
            self.config.dimensions,
            shape as u32,
            payload.len() as u32,
        ] {
            blob.extend_from_slice(&number.to_le_bytes());
        }
        blob.extend_from_slice(&payload);
        blob.extend_from_slice(&crc32c::crc32c(&blob).to_le_bytes());
        Ok(blob)
    }

    /// Takes over what another index learnt, as if from vectors of its own.
    ///
    /// # Errors
    /// `Corrupt` for bytes that [`Index::export_codec`] did not write; `Version` for those of a later version; `Argument` for what an index of another
    /// quantizer, metric or number of dimensions learnt; `Unsupported`, `Exists` as for [`Index::train`]; `Memory`, `ReadOnly`, `Busy`, `Internal`.
    pub fn import_codec(&self, bytes: &[u8]) -> Result<()> {
        self.check_learning()?;
        self.know(self.decode_codec(bytes)?)
    }

    fn decode_codec(&self, bytes: &[u8]) -> Result<Learnt> {
        let bad = |what: &str| Error::corrupt(format!("data is no codec: {what}"));
        if bytes.len() < HEAD + 4 || bytes[..MARK.len()] != MARK {
            return Err(bad("it does not begin with the mark of one"));
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let end = bytes.len() - 4;
        if crc32c::crc32c(&bytes[..end]) != number(end) {
            return Err(bad("its checksum does not fit"));
        }
        if number(8) != VERSION {
            return Err(Error::new(Status::Version, format!("data is a codec of version {}", number(8))));
        }
        let (quantizer, metric) = (Quantizer::try_from(number(12)), Metric::try_from(number(16)));
        let (quantizer, metric) =
            quantizer.and_then(|quantizer| Ok((quantizer, metric?))).map_err(|_| bad("its head"))?;
        let config = &self.config;
        let asked = self.quantizer();
        let own = match (asked, asked.reduction()) {
            (Quantizer::Auto, _) => Quantizer::Projected4,
            // Codes beside it are learnt by each index for itself: distances do not depend on them.
            (_, Some(reduction)) => Quantizer::of_reduction(reduction),
            _ => asked,
        };
        if (quantizer, metric, number(20)) != (own, config.metric, config.dimensions) {
            return Err(Error::argument(format!(
                "data is a codec for quantizer {}, metric {} and dimensions {}; the index has {}, {} and {}",
                quantizer as u32,
                metric.name(),
                number(20),
                own as u32,
                config.metric.name(),
                config.dimensions
            )));
        }
        let (shape, payload) = (number(24) as usize, &bytes[HEAD..end]);
        if number(28) as usize != payload.len() {
            return Err(bad("its length"));
        }
        let dimensions = config.dimensions as usize;
        match (quantizer.reduction(), quantizer.coding()) {
            (Some(reduction), _) => {
                Reducer::from_blob(reduction, (metric, dimensions), shape, payload).map(Learnt::Reducer)
            }
            (None, Some(coding)) if quant::is_code(shape) => {
                Codec::from_blob(metric, dimensions, (coding, shape), payload).map(Learnt::Codec)
            }
            _ => Err(bad("there are no codes of such a size")),
        }
    }

    fn check_learning(&self) -> Result<()> {
        self.check_change()?;
        if self.quantizer() == Quantizer::None {
            return Err(Error::unsupported("an index without codes learns nothing"));
        }
        Ok(())
    }

    /// Goes by what was learnt, from the first vector on.
    fn know(&self, learnt: Learnt) -> Result<()> {
        let pin = self.pin();
        let core = self.core(&pin);
        let _alone = core.coding.write();
        if !Self::knows_nothing(core, &pin) {
            return Err(Error::new(Status::Exists, "the index holds vectors, or has learnt already"));
        }
        match learnt {
            Learnt::Codec(codec) if self.quantizer().coding() != Some(codec.coding()) => {
                Err(Error::new(Status::Busy, "another call chose other codes for the index meanwhile"))
            }
            Learnt::Codec(codec) => {
                core.codes.store(Owned::new(Arc::new(Codes::new(codec))), Ordering::Release);
                Ok(())
            }
            Learnt::Reducer(reducer) => self.hold_reduced(core, Arc::new(reducer), &self.alone(), &pin),
        }
    }

    fn knows_nothing(core: &Core, guard: &Guard) -> bool {
        let store = core.store(guard);
        store.slots() == 0 && !matches!(store.held(), Held::Reduced(_)) && core.codes(guard).is_none()
    }
}
