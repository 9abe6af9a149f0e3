//! How do the codes of an index change while it serves?
//!
//! A codec is learnt from what is there while everything goes on. Then the index has two sets of codes for a while: those in force, and those that are
//! *coming*. Whoever fills a slot writes its code in both; the slots that were there before get theirs in steps, each of which keeps changes waiting for
//! some thousand codes at most. In the end the coming codes are put in force. Searches that began with the old ones go on with them ([`super::coding::OlderCodes`]).
//!
//! A call that fails or is cancelled has changed nothing but that.

use super::config::{BuildOptions, Config, Quantizer};
use super::holding::View;
use super::{Core, Index};
use crate::quant::{self, Codes, Coding, Sample, Workspace};
use crate::store::LIVE;
use crate::util::error::{Error, Result, Status};
use crate::util::memory::make_room;
use crate::util::pool::threads_or_cores;
use crate::util::progress::Work;
use crossbeam_epoch::Guard;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Slots that are coded in a step, and by a thread at a time.
const STEP: u32 = 4096;
const PIECE: usize = 128;

/// Codes that are not in force yet. They come and go while the core's `coding` is held alone, so that whoever shares it sees them or not throughout.
#[derive(Debug, Default)]
pub(super) struct Coming {
    any: AtomicBool,
    codes: RwLock<Option<Arc<Codes>>>,
    /// Held by whoever changes the codes.
    turn: Mutex<()>,
}

impl Coming {
    fn set(&self, codes: Option<Arc<Codes>>) {
        self.any.store(codes.is_some(), Ordering::Release);
        *self.codes.write() = codes;
    }

    fn get(&self) -> Option<Arc<Codes>> {
        if self.any.load(Ordering::Acquire) { self.codes.read().clone() } else { None }
    }

    /// Writes the code of a slot that was just filled. The caller shares `coding`.
    pub(super) fn write(&self, slot: u32, view: &View, work: &mut Workspace) -> Result<()> {
        let Some(codes) = self.get() else { return Ok(()) };
        codes.grow(slot as usize + 1)?;
        put(&codes, slot, view, work);
        Ok(())
    }

    /// The most memory that slots `slots..more` can add to them.
    pub(super) fn growth(&self, slots: usize, more: usize) -> usize {
        self.get().map_or(0, |codes| codes.growth(slots, more))
    }

    /// Memory that they take.
    pub(super) fn bytes(&self, slots: u32) -> usize {
        self.get().map_or(0, |codes| codes.bytes(slots))
    }
}

/// Writes the code of a slot's vector.
fn put(codes: &Codes, slot: u32, View { store, scoring, .. }: &View, work: &mut Workspace) {
    codes.write(slot, (scoring.element, store.vector_slice(slot)), store.scale(slot), work);
}

impl Index {
    /// Gives the index codes of another kind, or none; what is inserted later gets such, too. Of `options`, threads and progress count. Searches and changes
    /// go on meanwhile.
    ///
    /// # Errors
    /// `Unsupported` for quantizers that hold something else in place of the vectors, an index that has such, and what [`Index::create`] refuses;
    /// `Argument` if there is nothing to learn codes from: the vectors do not vary, or by too much; `Busy` if another such call is under way, or the index was
    /// cleared meanwhile; `Cancelled`, `ReadOnly`, `Memory`, `Internal`. The index is then as it was.
    pub fn requantize(&self, quantizer: Quantizer, options: &BuildOptions<'_>) -> Result<()> {
        self.check_change()?;
        let asked = self.check_requantize(quantizer)?;
        let pin = self.pin();
        let core = self.core(&pin);
        let Some(_turn) = core.coming.turn.try_lock() else {
            return Err(Error::new(Status::Busy, "the codes of the index are being changed by another call"));
        };
        let slots = core.store(&pin).slots();
        let there = core.codes(&pin).map(|codes| codes.codec.coding());
        let wanted = asked.coding().filter(|_| {
            let worth = asked != Quantizer::Auto || self.is_worth_codes(core, &pin);
            // An index that is flat still gets its codes when it becomes a graph.
            let due = !core.growth.is_flat() && slots >= super::coding::codes_from(asked);
            worth && (there.is_some() || due)
        });
        match wanted {
            Some(coding) if there != Some(coding) => self.change_codes(core, (asked, coding), options, &pin),
            Some(_) => {
                let _alone = core.coding.write();
                self.ask_for(asked, core, &pin)
            }
            None => {
                let _alone = core.coding.write();
                self.ask_for(asked, core, &pin)?;
                core.replace_codes(None, &pin);
                Ok(())
            }
        }
    }

    /// The quantizer as it then is, if it can be.
    fn check_requantize(&self, quantizer: Quantizer) -> Result<Quantizer> {
        for one in [quantizer, self.quantizer()] {
            if one.reduction().is_some() {
                return Err(Error::unsupported(format!(
                    "quantizer is {}, which holds something else in place of the vectors; that is chosen when an index is made",
                    one as u32
                )));
            }
        }
        let Config { kind, metric, dimensions, .. } = self.config;
        super::config::check_quantizer(kind, (metric, self.config.held_element(), dimensions), quantizer)
    }

    /// Whether vectors as they are held gain by codes.
    fn is_worth_codes(&self, core: &Core, guard: &Guard) -> bool {
        let scoring = &core.view(guard).scoring;
        quant::is_worth_it(scoring.metric, scoring.element, self.config.dimensions as usize)
    }

    /// From now on the index has this quantizer, unless it was cleared. The caller has `coding` alone.
    fn ask_for(&self, asked: Quantizer, core: &Core, guard: &Guard) -> Result<()> {
        // Nobody clears the index meanwhile: a core that comes later knows of it.
        let _gate = self.gate.read();
        if !std::ptr::eq(core, self.core(guard)) {
            return Err(Error::new(Status::Busy, "the index was cleared meanwhile"));
        }
        self.quantizer.store(asked as u32, Ordering::Release);
        core.codes_from.store(super::coding::codes_from(asked), Ordering::Relaxed);
        Ok(())
    }

    fn change_codes(
        &self,
        core: &Core,
        (asked, coding): (Quantizer, Coding),
        options: &BuildOptions<'_>,
        guard: &Guard,
    ) -> Result<()> {
        let _grant = self.afford_codes()?;
        let threads = threads_or_cores(options.threads);
        let codec = {
            let view = core.view(guard);
            let slots = view.store.slots() as usize;
            let sample = self.live_sample(view, coding)?;
            quant::train(coding, &sample, self.config.seed, &self.hands(options, 0, slots))?
        };
        let codec = codec.ok_or_else(|| Error::argument("the vectors do not vary, or by too much, to be coded"))?;
        let codes = Arc::new(Codes::new(codec));
        let slots = {
            let _alone = core.coding.write();
            let slots = core.store(guard).slots();
            codes.grow(slots as usize)?;
            core.coming.set(Some(Arc::clone(&codes)));
            slots
        };
        let coded = self.code_all(core, (&codes, slots), (threads, options), guard);
        let _alone = core.coding.write();
        core.coming.set(None);
        coded?;
        self.ask_for(asked, core, guard)?;
        core.replace_codes(Some(codes), guard);
        Ok(())
    }

    /// Live vectors of a view, evenly: they stay as they are while the caller is inside.
    fn live_sample<'v>(&self, View { store, scoring, .. }: &'v View, coding: Coding) -> Result<Sample<'v>> {
        let dimensions = self.config.dimensions as usize;
        let size = Sample::size(dimensions, Some(coding));
        let step = (store.live() / size as u64).max(1) as usize;
        let live = (0..store.slots()).filter(|&slot| store.state(slot) == LIVE).step_by(step);
        let mut vectors = Vec::new();
        make_room(&mut vectors, size.min(store.slots() as usize))?;
        vectors.extend(live.take(size).map(|slot| store.vector_slice(slot)));
        Ok(Sample { metric: scoring.metric, element: scoring.element, dimensions, vectors })
    }

    /// Writes the codes of the first `slots` slots, step by step.
    fn code_all(
        &self,
        core: &Core,
        (codes, slots): (&Codes, u32),
        (threads, options): (usize, &BuildOptions<'_>),
        guard: &Guard,
    ) -> Result<()> {
        let mut done = 0;
        while done < slots {
            let end = slots.min(done.saturating_add(STEP));
            {
                // Nobody fills a slot meanwhile, and how vectors are held stays as it is.
                let _alone = core.coding.write();
                let view = core.view(guard);
                let work = Work::new((end - done) as usize, PIECE);
                let run = || {
                    let mut workspace = Workspace::default();
                    while let Some(piece) = work.take() {
                        piece.for_each(|i| put(codes, done + i as u32, view, &mut workspace));
                    }
                };
                if self.pool.run(threads, |_| run(), run).is_err() {
                    run();
                }
            }
            done = end;
            let cancelled = options.progress.is_some_and(|progress| {
                crate::util::reentry::calling_back(self.name(), || progress(done.into(), slots.into()))
            });
            if cancelled {
                return Err(Error::new(
                    Status::Cancelled,
                    "the progress callback stopped it; the codes are as they were",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/requantize.rs"]
mod tests;
