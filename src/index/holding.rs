//! How are an index's vectors held, and when does that change?
//!
//! Vectors that are given as f32 and turn out to be whole numbers, 0 to 255 or -128 to 127, are held in a byte per component: a quarter of
//! the memory, and distances of integers, which are exact. It is tried when the index gets codes, or with a batch into an empty index. The
//! first vector that does not fit turns all back into what was given, for good.
//!
//! A change makes a new [`View`] while nobody fills or links a slot. Readers keep the view that they began with: it can be asked for any
//! slot, but knows nothing of vectors that came since, so a search ends by looking whether its view is still the one in force, and
//! else runs again. Slots, keys, links and codes are the same in every view.

use super::{Core, Index};
use crate::graph::Graph;
use crate::search::Scoring;
use crate::search::walk::Field;
use crate::store::{Held, Store};
use crate::util::error::Result;
use crate::util::progress::Work;
use crossbeam_epoch::{Guard, Owned};
use parking_lot::RwLockReadGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Slots that a thread copies at a time.
const PIECE: usize = 1024;

/// Vectors in one way of holding them, and how distances from them are computed.
#[derive(Debug)]
pub(super) struct View {
    pub(super) store: Arc<Store>,
    /// Between stored vectors, and for queries that can be held as they are.
    pub(super) scoring: Scoring,
    /// For other queries.
    as_given: Option<Scoring>,
}

impl View {
    /// `given` is for vectors as callers give them.
    pub(super) fn new(given: &Scoring, store: Arc<Store>) -> Result<Self> {
        let scoring = given.of_held(store.held(), store.stride())?;
        let as_given = match store.held() {
            Held::AsGiven => None,
            Held::I8 | Held::U8 => Some(scoring.asked_as(given.element)?),
        };
        Ok(Self { store, scoring, as_given })
    }

    /// What tells distances from a query.
    pub(super) fn asked(&self, query: &[u8]) -> &Scoring {
        match &self.as_given {
            Some(scoring) if !self.store.held().fits(query) => scoring,
            _ => &self.scoring,
        }
    }
}

impl Core {
    /// The view in force.
    pub(super) fn view<'g>(&self, guard: &'g Guard) -> &'g View {
        let view = self.view.load(Ordering::Acquire, guard);
        // SAFETY: the pointer is never null, and a view that is replaced is freed through the index's collector, in which `guard` is
        // pinned.
        unsafe { view.deref() }
    }

    /// The store of the view in force.
    pub(super) fn store<'g>(&self, guard: &'g Guard) -> &'g Store {
        &self.view(guard).store
    }

    /// What walks between stored vectors go through, in the view in force. Who changes the graph shares `coding`, so that it stays in force.
    pub(super) fn field<'a>(&'a self, graph: &'a Graph, guard: &'a Guard) -> Field<'a> {
        let View { store, scoring, .. } = self.view(guard);
        Field { scoring, store, graph, codes: self.codes(guard) }
    }

    /// Whether a view is the one in force.
    pub(super) fn is_in_force(&self, view: &View, guard: &Guard) -> bool {
        std::ptr::eq(view, self.view(guard))
    }
}

impl Index {
    /// Holds all vectors as bytes if they fit. The caller has `coding` alone.
    pub(super) fn hold_as_bytes(&self, core: &Core, threads: usize, guard: &Guard) -> Result<()> {
        let store = core.store(guard);
        if !self.may_narrow(core) || store.held() != Held::AsGiven {
            return Ok(());
        }
        let fits = |held: Held| (0..store.slots()).all(|slot| held.fits(store.vector_slice(slot)));
        match [Held::U8, Held::I8].into_iter().find(|held| fits(*held)) {
            Some(held) => self.hold(core, held, threads, guard),
            None => {
                core.as_given.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Holds vectors as bytes from the first on, where a batch for an empty index shows that they fit.
    pub(super) fn hold_batch<'v>(
        &self,
        core: &Core,
        vectors: impl Iterator<Item = &'v [u8]> + Clone,
        guard: &Guard,
    ) -> Result<()> {
        let empty = || core.store(guard).slots() == 0 && core.store(guard).held() == Held::AsGiven;
        if !self.may_narrow(core) || !empty() {
            return Ok(());
        }
        let bytes = self.vector_bytes();
        let fits = |held: Held| vectors.clone().all(|vector| vector.len() == bytes && held.fits(vector));
        if let Some(held) = [Held::U8, Held::I8].into_iter().find(|held| fits(*held)) {
            let _alone = core.coding.write();
            if self.may_narrow(core) && empty() {
                return self.hold(core, held, 1, guard);
            }
        }
        Ok(())
    }

    /// Holds vectors as they are given, from now on.
    pub(super) fn hold_as_given(&self, core: &Core, threads: usize, guard: &Guard) -> Result<()> {
        if !self.config.may_be_bytes() || (core.as_given.load(Ordering::Acquire) && self.is_as_given(core, guard)) {
            return Ok(());
        }
        let _alone = core.coding.write();
        if !self.is_as_given(core, guard) {
            self.hold(core, Held::AsGiven, threads, guard)?;
        }
        core.as_given.store(true, Ordering::Release);
        Ok(())
    }

    fn is_as_given(&self, core: &Core, guard: &Guard) -> bool {
        core.store(guard).held() == Held::AsGiven
    }

    fn may_narrow(&self, core: &Core) -> bool {
        self.config.may_be_bytes() && !core.as_given.load(Ordering::Relaxed)
    }

    /// The right to fill slots, shared, once what is to be filled in `fits` the way vectors are held.
    pub(super) fn filling<'c>(
        &self,
        core: &'c Core,
        fits: impl Fn(Held) -> bool,
        guard: &Guard,
    ) -> Result<RwLockReadGuard<'c, ()>> {
        loop {
            let coding = core.coding.read();
            let held = core.store(guard).held();
            if held == Held::AsGiven || fits(held) {
                return Ok(coding);
            }
            drop(coding);
            self.hold_as_given(core, 1, guard)?;
        }
    }

    /// Changes how vectors are held. They fit; the caller has `coding` alone.
    fn hold(&self, core: &Core, held: Held, threads: usize, guard: &Guard) -> Result<()> {
        let from = &core.view(guard).store;
        let store = from.held_as(held)?;
        let work = Work::new(store.slots() as usize, PIECE);
        let run = || {
            let mut given = Vec::new();
            while let Some(piece) = work.take() {
                piece.for_each(|slot| store.copy_vector(from, slot as u32, &mut given));
            }
        };
        if self.pool.run(threads, |_| run(), run).is_err() {
            run();
        }
        let fresh = Owned::new(View::new(&self.scoring, Arc::clone(&store))?);
        // What is learnt depends on how vectors are held.
        core.codes_from.store(super::coding::codes_from(self.config.quantizer), Ordering::Relaxed);
        let old = core.view.swap(fresh, Ordering::AcqRel, guard);
        // SAFETY: just unlinked, once; readers that still use it are pinned in the same collector.
        unsafe { guard.defer_destroy(old) };
        guard.flush();
        Ok(())
    }
}
