//! When does an index get codes, and who gives every vector its own?
//!
//! An index of kind graph with the quantizer left to the library gets codes once it holds enough vectors to learn from: in the call
//! that brings them, before its vectors are linked. From then on whoever fills a slot writes its code, too. Searches find the codes by one
//! pointer, or none.

use super::config::{BuildOptions, Quantizer};
use super::holding::View;
use super::{Core, Index};
use crate::quant::{self, Codes, Sample, Workspace};
use crate::util::error::Result;
use crate::util::hands::Hands;
use crate::util::pool::threads_or_cores;
use crossbeam_epoch::{Guard, Owned, Shared};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Slots from which on an index has codes: by the library's choice, and where they were asked for.
const BY_CHOICE: u32 = 2048;
pub(super) const ON_DEMAND: u32 = 256;
/// Product codes have 256 places for each part to learn.
const FOR_PLACES: u32 = 4096;
/// Slots that a thread codes at a time.
const PIECE: usize = 256;

/// Whether a call gave the index its codes.
pub(super) enum Coded {
    Now(Arc<Codes>),
    BeforeOrNot,
}

/// Slots from which on an index has codes.
pub(super) fn codes_from(quantizer: Quantizer) -> u32 {
    match quantizer {
        Quantizer::Auto | Quantizer::None => BY_CHOICE,
        Quantizer::Product => FOR_PLACES,
        _ => ON_DEMAND,
    }
}

impl Core {
    /// The codes of the index, if it has some.
    pub(super) fn codes<'g>(&self, guard: &'g Guard) -> Option<&'g Codes> {
        self.codes_in_force(guard).map(|codes| &**codes)
    }

    /// The same, for whoever looks into them longer.
    pub(super) fn codes_in_force<'g>(&self, guard: &'g Guard) -> Option<&'g Arc<Codes>> {
        // SAFETY: codes that are taken away are freed through the index's collector, in which `guard` is pinned.
        unsafe { self.codes.load(Ordering::Acquire, guard).as_ref() }
    }

    /// Puts other codes, or none, in place of those in force. The caller has `coding` alone.
    pub(super) fn replace_codes(&self, codes: Option<Arc<Codes>>, guard: &Guard) {
        if let Some(old) = self.codes_in_force(guard) {
            self.older_codes.add(old);
        }
        let fresh = codes.map_or_else(Shared::null, |codes| Owned::new(codes).into_shared(guard));
        let old = self.codes.swap(fresh, Ordering::AcqRel, guard);
        if !old.is_null() {
            // SAFETY: just unlinked, once; readers that still use it are pinned in the same collector.
            unsafe { guard.defer_destroy(old) };
            guard.flush();
        }
    }

    /// Writes the code of a slot that was just filled. The caller shares `coding`.
    pub(super) fn write_code(&self, slot: u32, work: &mut Workspace, guard: &Guard) -> Result<()> {
        self.older_codes.grow(slot as usize + 1)?;
        let view = self.view(guard);
        if let Some(codes) = self.codes(guard) {
            codes.grow(slot as usize + 1)?;
            let View { store, scoring, .. } = view;
            codes.write(slot, (scoring.element, store.vector_slice(slot)), store.scale(slot), work);
        }
        self.coming.write(slot, view, work)
    }
}

/// Codes that were replaced. A search that began with them may meet slots that came since: so they grow along, as long as there are such
/// searches. What such a slot's code says there is nothing, but it can be asked.
#[derive(Debug, Default)]
pub(super) struct OlderCodes {
    any: AtomicBool,
    all: Mutex<Vec<Weak<Codes>>>,
}

impl OlderCodes {
    fn add(&self, codes: &Arc<Codes>) {
        self.all.lock().push(Arc::downgrade(codes));
        self.any.store(true, Ordering::Release);
    }

    fn grow(&self, slots: usize) -> Result<()> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut all = self.all.lock();
        all.retain(|codes| codes.strong_count() > 0);
        self.any.store(!all.is_empty(), Ordering::Release);
        all.iter().filter_map(Weak::upgrade).try_for_each(|codes| codes.grow(slots))
    }
}

impl Index {
    /// The threads of a call that learns while `done` of `total` is done of what its host waits for.
    pub(super) fn hands<'a>(&'a self, options: &BuildOptions<'a>, done: usize, total: usize) -> Hands<'a> {
        let threads = threads_or_cores(options.threads);
        Hands::watched(&self.pool, threads, self.name(), options.progress, (done, total))
    }

    /// The calling thread, for learning that the host hears nothing of.
    pub(super) fn alone(&self) -> Hands<'_> {
        Hands::quiet(&self.pool, 1)
    }

    /// Gives the index codes if it is time. The caller holds nothing. An error leaves it without.
    pub(super) fn code_if_due(&self, core: &Core, hands: &Hands<'_>, guard: &Guard) -> Result<Coded> {
        let due = |core: &Core| {
            let learns = self.quantizer().coding().is_some() || core.view(guard).reducer().is_none();
            (self.quantizer() != Quantizer::None && learns)
                && core.codes.load(Ordering::Relaxed, guard).is_null()
                && core.store(guard).slots() >= core.codes_from.load(Ordering::Relaxed)
        };
        if !due(core) {
            return Ok(Coded::BeforeOrNot);
        }
        // Nobody fills a slot meanwhile, so every slot is either coded here or by whoever fills it later.
        let _alone = core.coding.write();
        if !due(core) {
            return Ok(Coded::BeforeOrNot);
        }
        if let Some(reduction) = self.quantizer().reduction().filter(|_| core.view(guard).reducer().is_none()) {
            let store = core.store(guard);
            let vectors = (0..store.slots()).map(|slot| store.vector_slice(slot));
            self.reduce(core, reduction, vectors, hands, guard)?;
            // Codes are of what is held, so they come after.
            if !due(core) {
                return Ok(Coded::BeforeOrNot);
            }
        }
        self.hold_as_bytes(core, hands, guard)?;
        self.learn_codes(core, hands, guard)
    }

    /// Learns codes from what is there and gives each slot its own. The caller has `coding` alone.
    pub(super) fn learn_codes(&self, core: &Core, hands: &Hands<'_>, guard: &Guard) -> Result<Coded> {
        let dimensions = self.config.dimensions as usize;
        let View { store, scoring, .. } = core.view(guard);
        let (metric, element, slots) = (scoring.metric, scoring.element, store.slots());
        if self.quantizer() == Quantizer::Auto && !quant::is_worth_it(metric, element, dimensions) {
            // Never, as long as vectors are held like this.
            core.codes_from.store(u32::MAX, Ordering::Relaxed);
            return Ok(Coded::BeforeOrNot);
        }
        let Some(coding) = self.quantizer().coding() else { return Ok(Coded::BeforeOrNot) };
        let wanted = Sample::size(dimensions, Some(coding)) as u64;
        let step = (u64::from(slots) / wanted).max(1);
        let vectors = (0..wanted.min(u64::from(slots))).map(|i| store.vector_slice((i * step) as u32)).collect();
        let sample = Sample { metric, element, dimensions, vectors };
        let Some(codec) = quant::train(coding, &sample, self.config.seed, hands)? else {
            // Asked again when there is twice as much to learn from.
            core.codes_from.store(slots.saturating_mul(2), Ordering::Relaxed);
            return Ok(Coded::BeforeOrNot);
        };
        let codes = Arc::new(Codes::new(codec));
        codes.grow(slots as usize)?;
        hands.run(slots as usize, PIECE, |piece, workspace: &mut Workspace| {
            for slot in piece {
                let slot = slot as u32;
                codes.write(slot, (element, store.vector_slice(slot)), store.scale(slot), workspace);
            }
        })?;
        core.replace_codes(Some(Arc::clone(&codes)), guard);
        Ok(Coded::Now(codes))
    }

    /// Takes the codes away that a batch brought which is not to be.
    pub(super) fn forget_codes(&self, core: &Core, coded: Coded, guard: &Guard) {
        if let Coded::Now(codes) = coded {
            let _alone = core.coding.write();
            // Another call may have chosen others since.
            if core.codes_in_force(guard).is_some_and(|now| Arc::ptr_eq(now, &codes)) {
                core.replace_codes(None, guard);
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let codes = std::mem::replace(&mut self.codes, crossbeam_epoch::Atomic::null());
        let view = std::mem::replace(&mut self.view, crossbeam_epoch::Atomic::null());
        // SAFETY: `&mut self`: no reader is left, and codes and view are owned by these pointers alone.
        unsafe { (drop(codes.try_into_owned()), drop(view.try_into_owned())) };
    }
}
