//! How are an index's vectors held, and when does that change?
//!
//! Vectors that are given as f32 and turn out to be whole numbers, 0 to 255 or -128 to 127, are held in a byte per component: a quarter of
//! the memory, and distances of integers, which are exact. It is tried when the index gets codes, or with a batch into an empty index. The
//! first vector that does not fit turns all back into what was given, for good.
//!
//! A change makes a new [`View`] while nobody fills or links a slot. Readers keep the view that they began with: it can be asked for any
//! slot, but knows nothing of vectors that came since, so a search ends by looking whether its view is still the one in force, and
//! else runs again. Slots, keys, links and codes are the same in every view.

use super::config::{Config, Quantizer};
use super::{Core, Index, Rows};
use crate::distance::Metric;
use crate::graph::Graph;
use crate::quant::{Reducer, Reduction, Sample, Workspace};
use crate::search::walk::Field;
use crate::search::{Scoring, Scratch};
use crate::store::{Held, Store};
use crate::util::error::Result;
use crate::util::hands::Hands;
use crossbeam_epoch::{Guard, Owned};
use parking_lot::RwLockReadGuard;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Slots that a thread copies at a time, or vectors that it looks at.
const PIECE: usize = 1024;

/// Vectors in one way of holding them, and how distances from them are computed.
#[derive(Debug)]
pub(super) struct View {
    pub(super) store: Arc<Store>,
    /// Between stored vectors, and for queries that can be held as they are.
    pub(super) scoring: Scoring,
    /// For other queries.
    as_given: Option<Scoring>,
    /// What reduces vectors, where they are held so; every query is then another.
    reducer: Option<Arc<Reducer>>,
}

impl View {
    /// `given` is for vectors as callers give them.
    pub(super) fn new(given: &Scoring, store: Arc<Store>, reducer: Option<Arc<Reducer>>) -> Result<Self> {
        if let Some(by) = &reducer {
            let (scoring, asked) = Scoring::of_reduced(by.metric(), by.components() as u32, store.stride())?;
            return Ok(Self { store, scoring, as_given: Some(asked), reducer });
        }
        let scoring = given.of_held(store.held(), store.stride())?;
        let as_given = match store.held() {
            Held::I8 | Held::U8 => Some(scoring.asked_as(given.element)?),
            Held::AsGiven | Held::F16 | Held::Bf16 | Held::Reduced(_) => None,
        };
        Ok(Self { store, scoring, as_given, reducer })
    }

    /// Takes a query into a scratch, and says what tells distances from it. The query is of `given`'s element type.
    pub(super) fn ask<'v>(&'v self, given: &Scoring, query: (&[u8], f32), scratch: &mut Scratch) -> &'v Scoring {
        match (&self.as_given, &self.reducer) {
            (Some(scoring), Some(reducer)) => {
                let mut asked = std::mem::take(&mut scratch.work.asked);
                reducer.ask(given.element, query.0, query.1, &mut scratch.work, &mut asked);
                scratch.set_queries(scoring, std::iter::once((&*asked.whole, 1.0)));
                if !asked.rounded.is_empty() {
                    scratch.set_rounded(&self.scoring, &asked.rounded);
                }
                scratch.work.asked = asked;
                scoring
            }
            (as_given, _) => {
                let other = as_given.as_ref().filter(|_| !self.store.held().fits(query.0));
                let scoring = other.unwrap_or(&self.scoring);
                scratch.set_queries(scoring, std::iter::once(query));
                scoring
            }
        }
    }

    /// Fills a slot with a vector of `given`'s element type, which fits.
    pub(super) fn write(
        &self,
        given: &Scoring,
        (slot, key): (u32, u64),
        (vector, scale): (&[u8], f32),
        work: &mut Workspace,
    ) {
        let Some(reducer) = &self.reducer else { return self.store.write(slot, key, vector, scale) };
        let mut reduced = std::mem::take(&mut work.reduced);
        reducer.reduce(given.element, vector, scale, work, &mut reduced);
        self.store.write(slot, key, &reduced, scale);
        work.reduced = reduced;
    }

    /// The vector of a slot that can be met, as callers give it: bit for bit, or nearly if it was reduced.
    pub(super) fn unpack(&self, given: &Scoring, slot: u32, out: &mut Vec<u8>) {
        let store = &self.store;
        let Some(reducer) = &self.reducer else { return store.unpack(slot, out) };
        let mut values = Vec::new();
        reducer.restore(store.vector_slice(slot), &mut values);
        let norm = 1.0 / store.own_scale(slot);
        if given.metric == Metric::Cosine && norm.is_finite() {
            values.iter_mut().for_each(|value| *value *= norm);
        }
        out.clear();
        out.extend(values.into_iter().flat_map(f32::to_ne_bytes));
    }

    /// Whether vectors and queries alike are as `given` says, so that several queries can be asked at once.
    pub(super) fn is_plain(&self) -> bool {
        self.as_given.is_none()
    }

    /// Whether distances are those of vectors as they were given.
    pub(super) fn is_exact(&self) -> bool {
        self.reducer.is_none() && !self.store.held().is_rounded()
    }

    /// What outlives the view for whoever goes on reading in it.
    pub(super) fn shared(&self) -> (Arc<Store>, Option<Arc<Reducer>>) {
        (Arc::clone(&self.store), self.reducer.clone())
    }

    /// Memory held beside the store.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.reducer.as_ref().map_or(0, |reducer| reducer.bytes())
    }

    /// What reduces vectors, where they are held so.
    pub(super) fn reducer(&self) -> Option<&Reducer> {
        self.reducer.as_deref()
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

    /// How vectors will be held, if there is none.
    pub(super) fn held_while_empty(&self, guard: &Guard) -> Option<Held> {
        let store = self.store(guard);
        (store.slots() == 0).then(|| store.held())
    }

    /// Whether a view is the one in force.
    pub(super) fn is_in_force(&self, view: &View, guard: &Guard) -> bool {
        std::ptr::eq(view, self.view(guard))
    }
}

impl Index {
    /// Holds all vectors as bytes if they fit. The caller has `coding` alone.
    pub(super) fn hold_as_bytes(&self, core: &Core, hands: &Hands<'_>, guard: &Guard) -> Result<()> {
        let store = core.store(guard);
        if !self.may_narrow(core) || store.held() != Held::AsGiven {
            return Ok(());
        }
        let fits = |held: Held| (0..store.slots()).all(|slot| held.fits(store.vector_slice(slot)));
        match [Held::U8, Held::I8].into_iter().find(|held| fits(*held)) {
            Some(held) => self.hold(core, held, None, hands, guard),
            None => {
                core.as_given.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Holds vectors as bytes from the first on, where a batch for an empty index shows that they fit.
    pub(super) fn hold_batch(&self, core: &Core, vectors: Rows<'_>, hands: &Hands<'_>, guard: &Guard) -> Result<()> {
        let empty = || core.store(guard).slots() == 0 && core.store(guard).held() == Held::AsGiven;
        if let (Some(reduction), true) = (self.quantizer().reduction(), empty()) {
            if vectors.count() < super::coding::ON_DEMAND as usize {
                return Ok(());
            }
            let _alone = core.coding.write();
            return if empty() { self.reduce(core, reduction, vectors.iter(), hands, guard) } else { Ok(()) };
        }
        if !self.may_narrow(core) || !empty() {
            return Ok(());
        }
        let bytes = self.vector_bytes();
        let fits = |held: Held| {
            let all = AtomicBool::new(true);
            hands.run(vectors.count(), PIECE, |range, (): &mut ()| {
                let mut here = range.map(|i| vectors.row(i));
                if all.load(Ordering::Relaxed) && !here.all(|vector| vector.len() == bytes && held.fits(vector)) {
                    all.store(false, Ordering::Relaxed);
                }
            })?;
            Ok(all.into_inner())
        };
        let held = if fits(Held::U8)? { Some(Held::U8) } else { fits(Held::I8)?.then_some(Held::I8) };
        if let Some(held) = held {
            let _alone = core.coding.write();
            if self.may_narrow(core) && empty() {
                return self.hold(core, held, None, hands, guard);
            }
        }
        Ok(())
    }

    /// Holds vectors as they are given, from now on.
    pub(super) fn hold_as_given(&self, core: &Core, guard: &Guard) -> Result<()> {
        if !self.config.may_be_bytes() || (core.as_given.load(Ordering::Acquire) && self.is_as_given(core, guard)) {
            return Ok(());
        }
        let _alone = core.coding.write();
        if !self.is_as_given(core, guard) {
            let _grant = self.afford_holding(core, Held::AsGiven, guard)?;
            self.hold(core, Held::AsGiven, None, &self.alone(), guard)?;
        }
        core.as_given.store(true, Ordering::Release);
        Ok(())
    }

    fn is_as_given(&self, core: &Core, guard: &Guard) -> bool {
        core.store(guard).held() == Held::AsGiven
    }

    fn may_narrow(&self, core: &Core) -> bool {
        self.config.may_become_bytes(self.quantizer()) && !core.as_given.load(Ordering::Relaxed)
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
            self.hold_as_given(core, guard)?;
        }
    }

    /// Learns from vectors and holds all reduced. The caller has `coding` alone.
    pub(super) fn reduce<'v>(
        &self,
        core: &Core,
        reduction: Reduction,
        vectors: impl ExactSizeIterator<Item = &'v [u8]>,
        hands: &Hands<'_>,
        guard: &Guard,
    ) -> Result<()> {
        let dimensions = self.config.dimensions as usize;
        let all = vectors.len();
        let step = (all / Sample::size(dimensions, None)).max(1);
        // What an insertion will refuse is nothing to learn from.
        let sound = |vector: &&[u8]| self.scoring.check("vector", vector).is_ok();
        let vectors = vectors.step_by(step).take(Sample::size(dimensions, None)).filter(sound).collect();
        let Config { metric, element, .. } = self.config;
        let sample = Sample { metric, element, dimensions, vectors };
        match self.learn_reducer(reduction, &sample, hands)? {
            Some(reducer) => self.hold_reduced(core, Arc::new(reducer), hands, guard),
            None => {
                // Asked again when there is twice as much to learn from.
                core.codes_from.store((all as u32).saturating_mul(2), Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Holds all reduced. The caller has `coding` alone.
    pub(super) fn hold_reduced(&self, core: &Core, by: Arc<Reducer>, hands: &Hands<'_>, guard: &Guard) -> Result<()> {
        let reduction = by.reduction();
        self.hold(core, Held::Reduced(by.components() as u32), Some(by), hands, guard)?;
        if self.quantizer().reduction() != Some(reduction) {
            // Another one than was asked for, which would have taken more memory than vectors may.
            self.quantizer.store(Quantizer::of_reduction(reduction) as u32, Ordering::Release);
        }
        if self.quantizer().coding().is_none() {
            core.codes_from.store(u32::MAX, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Changes how vectors are held. They fit, and are not reduced yet; the caller has `coding` alone.
    fn hold(
        &self,
        core: &Core,
        held: Held,
        reducer: Option<Arc<Reducer>>,
        hands: &Hands<'_>,
        guard: &Guard,
    ) -> Result<()> {
        let from = &core.view(guard).store;
        let store = from.held_as(held)?;
        type Buffers = (Vec<u8>, Vec<u8>, Workspace);
        hands.run(store.slots() as usize, PIECE, |piece, (given, reduced, workspace): &mut Buffers| {
            for slot in piece {
                let slot = slot as u32;
                from.unpack(slot, given);
                let Some(reducer) = &reducer else {
                    store.put_vector(slot, given);
                    continue;
                };
                let scale = from.own_scale(slot);
                reducer.reduce(self.config.element, given, scale, workspace, reduced);
                store.put_vector(slot, reduced);
            }
        })?;
        let fresh = Owned::new(View::new(&self.scoring, Arc::clone(&store), reducer.clone())?);
        // What is learnt depends on how vectors are held.
        core.codes_from.store(super::coding::codes_from(self.quantizer()), Ordering::Relaxed);
        let old = core.view.swap(fresh, Ordering::AcqRel, guard);
        // SAFETY: just unlinked, once; readers that still use it are pinned in the same collector.
        unsafe { guard.defer_destroy(old) };
        guard.flush();
        Ok(())
    }
}
