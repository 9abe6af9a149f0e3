//! What if the graph of an index is not what it should be?
//!
//! The vectors and their keys are what counts; links can always be made anew from them. So a graph with a fault is not patched: it is built
//! again.

use super::bulk::Relinking;
use super::config::BuildOptions;
use super::{Core, Health, Index};
use crate::build::bulk;
use crate::build::insert::{self, NoJournal};
use crate::graph::Graph;
use crate::store::{LIVE, Run};
use crate::util::error::Result;
use crate::util::reentry;
use crossbeam_epoch::Guard;

impl Index {
    /// Looks at the graph as a whole and, if there is a fault in it, builds it anew on this thread; says how the index is then.
    ///
    /// # Errors
    /// `ReadOnly`, `Memory`, `Busy`, `Internal`.
    pub fn repair(&self) -> Result<Health> {
        self.check_change()?;
        let pin = self.pin();
        let core = self.core(&pin);
        let Some(graph) = core.graph() else { return self.check() };
        let slots = core.store(&pin).slots();
        let check = graph.check(slots)?;
        let entry = graph.entry().map(|entry| entry.slot);
        // Without an entry nothing can be met, whatever the rows say.
        let linked = |slot| entry.is_some_and(|entry| slot == entry || graph.is_linked(slot));
        let astray = |slot| core.store(&pin).state(slot) == LIVE && !linked(slot);
        if check.faults == 0 && check.unreachable == 0 && !(0..slots).any(astray) {
            return self.check();
        }
        if self.is_custom() || graph.m() > bulk::MOST_M {
            self.link_all_anew(core, graph, &pin);
        } else {
            let _grant = self.afford_building(1)?;
            let options = BuildOptions { threads: 1, ..BuildOptions::default() };
            let work = Relinking { total: slots as usize, done: 0, options: &options };
            self.relink(core, &Run::default(), &work, &mut || Ok(()), &pin)?;
        }
        self.check()
    }

    /// Links every slot anew, one by one. Searches beside this see the part that is there.
    fn link_all_anew(&self, core: &Core, graph: &Graph, guard: &Guard) {
        let _building = core.tending.building();
        let _coding = core.coding.read();
        let _alone = core.linking.write();
        let field = core.field(graph, guard);
        let kept = field.store.kept_slots();
        let written = |slot: &u32| core.belongs(*slot, &kept, guard) && !graph.is_leaving(*slot);
        let slots: Vec<u32> = (0..field.store.slots()).filter(written).collect();
        graph.replace_entry(None);
        for &slot in &slots {
            (0..=graph.level(slot)).for_each(|level| graph.lock(slot).set(level, &[]));
        }
        let mut linker = self.linkers.take();
        let ef = self.config.ef_construction as usize;
        reentry::calling_back(self.name(), || {
            slots.iter().for_each(|&slot| insert::link(field, slot, ef, &mut linker, &mut NoJournal));
        });
        self.linkers.give(linker);
    }
}

#[cfg(test)]
#[path = "tests/repair.rs"]
mod tests;
