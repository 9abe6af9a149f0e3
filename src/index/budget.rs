//! How does an index stay within the memory that its owner allows it?
//!
//! A call that needs memory says beforehand how much more it may take at most, and is refused where that, what the index has and what others
//! announced come to more than the limit. So nothing has to be undone, and the index is as it was. What is announced counts until the call
//! ends, even as it comes to be held: near the limit calls that go on at the same time may be refused a little early.
//!
//! Searches are never refused; the buffers that they leave for the next ones count as held. So does nothing that readers still hold of what was
//! replaced, nor the stacks of helping threads.

use super::config::{Config, Quantizer};
use super::{Core, Index};
use crate::build::bulk;
use crate::quant::{self, Reduction};
use crate::store::{Held, padded};
use crate::util::error::{Error, Result, Status};
use crossbeam_epoch::Guard;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Buffers of a thread that inserts, but for its marks of seen slots.
const BUFFERS: usize = 64 << 10;
/// What a batch notes of a row beside its links.
const NOTE: usize = 40;

/// What the owner allows, and what calls that are under way may still take.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// 0: any amount.
    limit: AtomicU64,
    /// Vectors that come. Counted together, because what one more takes depends on how many come before.
    vectors: AtomicUsize,
    /// Bytes besides.
    bytes: AtomicUsize,
}

/// Leave to take so much, while this lives.
#[derive(Debug)]
pub(super) struct Grant<'a> {
    budget: &'a Budget,
    vectors: usize,
    bytes: usize,
}

impl Drop for Grant<'_> {
    fn drop(&mut self) {
        self.budget.vectors.fetch_sub(self.vectors, Ordering::SeqCst);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

impl Index {
    /// Most bytes that the index may hold; 0: any amount.
    pub fn memory_limit(&self) -> u64 {
        self.budget.limit.load(Ordering::SeqCst)
    }

    /// Changes how much memory the index may hold; 0: any amount. What is there stays, even if it is more.
    pub fn set_memory_limit(&self, bytes: u64) {
        self.budget.limit.store(bytes, Ordering::SeqCst);
    }

    /// Leave to add so many vectors and to take as many more bytes as `most` says, where there is a limit.
    pub(super) fn afford(
        &self,
        vectors: usize,
        most: impl FnOnce(&Core, &Guard) -> usize,
    ) -> Result<Option<Grant<'_>>> {
        let (limit, budget) = (self.memory_limit(), &self.budget);
        if limit == 0 {
            return Ok(None);
        }
        let pin = self.pin();
        let core = self.core(&pin);
        let bytes = most(core, &pin);
        // Announced before what is held is counted: of two that come at once one sees the other.
        let all_vectors = budget.vectors.fetch_add(vectors, Ordering::SeqCst) + vectors;
        let all_bytes = budget.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let grant = Grant { budget, vectors, bytes };
        let held = self.bytes(core, &pin);
        let more = (self.growth(core, all_vectors, &pin) + all_bytes) as u64;
        if held.saturating_add(more) <= limit {
            return Ok(Some(grant));
        }
        let others = if all_vectors > vectors || all_bytes > bytes { ", beside other calls," } else { "" };
        Err(Error::new(
            Status::Memory,
            format!("memory_limit is {limit} bytes: the index holds {held}, and this{others} may take {more} more"),
        ))
    }

    /// Leave to insert a vector.
    pub(super) fn afford_one(&self) -> Result<Option<Grant<'_>>> {
        self.afford(1, |core, guard| self.learning(core, 1, guard) + self.buffers(core, 1, 1, guard))
    }

    /// Leave to insert vectors together.
    pub(super) fn afford_batch(&self, count: usize, threads: usize) -> Result<Option<Grant<'_>>> {
        self.afford(count, |core, guard| {
            let bulk = self.links(core, count, guard) && self.is_bulk(core, count, guard);
            let appended = self.links(core, count, guard) && self.is_appended(core, count, guard);
            let work = match (bulk, appended) {
                (true, _) => self.building(core, count, guard),
                // It may still turn out that they are linked one by one.
                (false, true) => self.appending(core, count, guard).max(self.undoing(core, count, guard)),
                (false, false) => self.undoing(core, count, guard),
            };
            work.max(self.learning(core, count, guard)) + self.buffers(core, count, threads, guard)
        })
    }

    /// Leave to build the graph of all that is there anew, and to learn anew before.
    pub(super) fn afford_building(&self, threads: usize) -> Result<Option<Grant<'_>>> {
        self.afford(0, |core, guard| {
            let codes = core.codes(guard).map_or(0, |codes| codes.bytes(core.store(guard).slots()));
            let work = self.building(core, 0, guard).max(self.sampling());
            work + codes + self.buffers(core, 0, threads, guard)
        })
    }

    /// Leave to begin to link what is there.
    pub(super) fn afford_growing_up(&self) -> Result<Option<Grant<'_>>> {
        self.afford(0, |core, guard| {
            let slots = core.store(guard).slots() as usize;
            let graph = core.graph.as_ref().map_or(0, |graph| graph.growth(0, slots));
            let learnt = if self.quantizer() == Quantizer::None { 0 } else { slots * self.learnt_bytes() };
            graph + learnt + self.sampling() + slots + slots / 4 + BUFFERS
        })
    }

    /// Leave to learn codes anew, beside those there are.
    pub(super) fn afford_codes(&self) -> Result<Option<Grant<'_>>> {
        self.afford(0, |core, guard| {
            let dimensions = self.config.dimensions as usize;
            core.store(guard).slots() as usize * quant::most_code_bytes(dimensions) + self.sampling()
        })
    }

    /// Leave to hold all vectors in another way.
    pub(super) fn afford_holding(&self, core: &Core, held: Held, guard: &Guard) -> Result<Option<Grant<'_>>> {
        let slots = core.store(guard).slots() as usize;
        self.afford(0, |_, _| slots * padded(held.bytes_of(self.vector_bytes())))
    }

    /// Leave to make room for so many vectors in all.
    pub(super) fn afford_capacity(&self, capacity: u64) -> Result<Option<Grant<'_>>> {
        let pin = self.pin();
        let store = self.core(&pin).store(&pin);
        let used = u64::from(store.slots()).saturating_sub(store.available());
        self.afford(capacity.min(crate::store::MAX_SLOTS).saturating_sub(used) as usize, |_, _| 0)
    }

    /// The most memory that so many more vectors take in the end.
    fn growth(&self, core: &Core, count: usize, guard: &Guard) -> usize {
        if count == 0 {
            return 0;
        }
        let store = core.store(guard);
        let slots = store.slots() as usize;
        let more = count.saturating_sub(store.available() as usize);
        let graph = core.graph.as_ref().map_or(0, |graph| match core.growth.is_flat() {
            false => graph.growth(slots, more),
            true if self.becomes_graph(core, count, guard) => graph.growth(0, slots + more),
            true => 0,
        });
        let codes = core.codes(guard).map_or(0, |codes| codes.growth(slots, slots + more));
        store.growth(count, more, guard) + graph + codes + core.coming.growth(slots, slots + more)
    }

    /// What a batch that is linked one by one notes, so that it can be taken back: rows as they were, and marks of slots.
    fn undoing(&self, core: &Core, count: usize, guard: &Guard) -> usize {
        if !self.links(core, count, guard) {
            return 0;
        }
        let (slots, m) = (core.store(guard).slots() as usize, self.config.m as usize);
        slots.min(count.saturating_mul(m + 2)) * (8 * m + NOTE) + slots * 9 / 4
    }

    /// Whether so many more vectors make a flat index a graph at once.
    fn becomes_graph(&self, core: &Core, count: usize, guard: &Guard) -> bool {
        count >= super::bulk::FROM && core.growth.is_enough(core.store(guard).live() + count as u64)
    }

    /// Whether so many more vectors are linked when they come.
    fn links(&self, core: &Core, count: usize, guard: &Guard) -> bool {
        core.graph.is_some() && (!core.growth.is_flat() || self.becomes_graph(core, count, guard))
    }

    /// What it takes to learn when so many more vectors come, and what is learnt; 0 where it is not time.
    fn learning(&self, core: &Core, count: usize, guard: &Guard) -> usize {
        let config = &self.config;
        let slots = core.store(guard).slots() as usize + count;
        let auto = self.quantizer() == Quantizer::Auto;
        let learns = (core.graph.is_none() || self.links(core, count, guard))
            && self.quantizer() != Quantizer::None
            && core.codes(guard).is_none()
            && slots >= core.codes_from.load(Ordering::Relaxed) as usize
            && (!auto || quant::is_worth_it(config.metric, config.held_element(), config.dimensions as usize));
        if learns { self.sampling() + slots * self.learnt_bytes() } else { 0 }
    }

    /// Bytes of what is learnt of a vector, beside it or in its place.
    fn learnt_bytes(&self) -> usize {
        let dimensions = self.config.dimensions as usize;
        match self.quantizer().reduction() {
            Some(Reduction::Every) if self.quantizer().coding().is_none() => padded(dimensions),
            Some(Reduction::Every) => padded(dimensions) + quant::most_code_bytes(dimensions),
            // A byte for each direction, where codes have half of one.
            Some(_) => 2 * quant::most_code_bytes(dimensions),
            None => {
                quant::most_code_bytes(dimensions) + if self.config.may_be_bytes() { padded(dimensions) } else { 0 }
            }
        }
    }

    /// Memory while learning: the sample, and products of its dimensions.
    fn sampling(&self) -> usize {
        let dimensions = (self.config.dimensions as usize).min(quant::MOST_DIMENSIONS);
        8 * quant::Sample::size(dimensions, self.quantizer().coding()) * dimensions + 16 * dimensions * dimensions
    }

    /// Memory for building the graph of what is there and so many more as a whole.
    fn building(&self, core: &Core, more: usize, guard: &Guard) -> usize {
        let all = core.store(guard).slots() as usize + more;
        bulk::memory(all, self.config.element, self.config.dimensions as usize, self.config.m as usize)
    }

    /// Memory for appending so many to the graph of what is there as a whole.
    fn appending(&self, core: &Core, more: usize, guard: &Guard) -> usize {
        let all = core.store(guard).slots() as usize + more;
        let Config { element, dimensions, m, .. } = self.config;
        bulk::memory_of_appending(all, more, element, dimensions as usize, m as usize)
    }

    /// Buffers of threads that insert so many more, beyond those that lie idle.
    fn buffers(&self, core: &Core, count: usize, threads: usize, guard: &Guard) -> usize {
        if !self.links(core, count, guard) {
            return 0;
        }
        let slots = core.store(guard).slots() as usize + count;
        let needed = threads * (slots + slots / 4 + BUFFERS);
        // Those that others take are not idle, and are not counted as held before they come back.
        let alone = self.budget.vectors.load(Ordering::SeqCst) == 0;
        if alone { needed.saturating_sub(self.linkers.bytes()) } else { needed }
    }
}

#[cfg(test)]
#[path = "tests/budget.rs"]
mod tests;
