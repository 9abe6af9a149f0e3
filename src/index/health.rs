//! Is an index in use as it should be, as a whole? Links, keys, counts, vectors, codes, and the file under it.

use super::holding::View;
use super::{Core, Index};
use crate::distance::Metric;
use crate::graph::Check;
use crate::persist;
use crate::quant::{Codes, Workspace};
use crate::store::{EMPTY, LIVE, REMOVED, Store};
use crate::util::error::Result;
use crossbeam_epoch::Guard;

/// Vectors whose codes are made again, at most, evenly spread.
const CODES: usize = 20_000;
/// How far 1 / norm may be from what it is computed to be again, relatively.
const CLOSE: f32 = 1e-4;

/// What a look at an index showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its graph; zeros if it has none.
    pub graph: Check,
    /// Places of vectors that searches can find.
    pub live: u64,
    /// Places of removed vectors that are not free yet.
    pub removed: u64,
    /// Places that hold nothing.
    pub free: u64,
    /// Live places that their key does not lead to, and keys that lead to none.
    pub key_faults: u64,
    /// By how much the counters of live, removed and free places are off.
    pub count_faults: u64,
    /// Live vectors that no insertion would have taken, or whose length is not the one that is kept.
    pub vector_faults: u64,
    /// Codes that were held against their vectors.
    pub codes: u64,
    /// Of those, how many are another vector's.
    pub code_faults: u64,
    /// Blocks of a file used in place whose checksum or content is wrong.
    pub file_faults: u64,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        let Self { graph, key_faults, count_faults, vector_faults, code_faults, file_faults, .. } = self;
        graph.faults + graph.unreachable + key_faults + count_faults + vector_faults + code_faults + file_faults == 0
    }
}

impl Index {
    /// Looks at everything there is. Meant for an index that rests: what is changed meanwhile may be counted as it was, or as a fault.
    ///
    /// # Errors
    /// `Memory`.
    pub fn check(&self) -> Result<Health> {
        let pin = self.pin();
        let core = self.core(&pin);
        let View { store, .. } = core.view(&pin);
        let mut health = Health { graph: check_graph(core, store)?, ..Health::default() };
        check_states(store, &mut health);
        check_keys(store, &mut health, &pin);
        self.check_vectors(core, &mut health, &pin);
        if let Some(codes) = core.codes(&pin) {
            check_codes(codes, core.view(&pin), &mut health);
        }
        if let Some(file) = store.file() {
            health.file_faults = persist::bad_blocks(file)?;
        }
        Ok(health)
    }

    /// NaN, infinity, and under cosine a length that is not what is kept of it.
    fn check_vectors(&self, core: &Core, health: &mut Health, guard: &Guard) {
        let view = core.view(guard);
        if view.reducer().is_some() || self.is_custom() {
            return;
        }
        let mut vector = Vec::new();
        for slot in live(&view.store) {
            view.store.unpack(slot, &mut vector);
            let sound = self.scoring.check("vector", &vector).is_ok_and(|scale| {
                let kept = view.store.own_scale(slot);
                self.config.metric != Metric::Cosine || (kept - scale).abs() <= CLOSE * scale.abs()
            });
            health.vector_faults += u64::from(!sound);
        }
    }
}

fn live(store: &Store) -> impl Iterator<Item = u32> + '_ {
    (0..store.slots()).filter(|&slot| store.state(slot) == LIVE)
}

/// The graph, and live slots that it does not know of.
fn check_graph(core: &Core, store: &Store) -> Result<Check> {
    let Some(graph) = core.graph() else { return Ok(Check::default()) };
    let mut check = graph.check(store.slots())?;
    let entry = graph.entry().map(|entry| entry.slot);
    // Without an entry nothing can be met, whatever the rows say.
    let linked = |slot| entry.is_some_and(|entry| slot == entry || graph.is_linked(slot));
    check.unreachable += live(store).filter(|&slot| !linked(slot)).count() as u64;
    Ok(check)
}

fn check_states(store: &Store, health: &mut Health) {
    for slot in 0..store.slots() {
        match store.state(slot) {
            LIVE => health.live += 1,
            REMOVED => health.removed += 1,
            EMPTY => health.free += 1,
            _ => health.count_faults += 1,
        }
    }
    let free = store.waiting() - store.removed() + store.returning();
    health.count_faults +=
        health.live.abs_diff(store.live()) + health.removed.abs_diff(store.removed()) + health.free.abs_diff(free);
}

fn check_keys(store: &Store, health: &mut Health, guard: &Guard) {
    // Two live slots of one key: it leads to one of them at most.
    let astray = |slot: &u32| store.find(store.key(*slot), guard) != Some(*slot);
    health.key_faults = live(store).filter(astray).count() as u64;
    health.key_faults += (store.keys_held() as u64).abs_diff(health.live);
}

fn check_codes(codes: &Codes, view: &View, health: &mut Health) {
    let mut work = Workspace::default();
    let step = (view.store.slots() as usize / CODES).max(1);
    for slot in live(&view.store).step_by(step) {
        let vector = (view.scoring.element, view.store.vector_slice(slot));
        health.codes += 1;
        health.code_faults += u64::from(!codes.is_of(slot, vector, view.store.scale(slot), &mut work));
    }
}

#[cfg(test)]
#[path = "tests/health.rs"]
mod tests;
