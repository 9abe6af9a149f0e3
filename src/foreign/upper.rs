//! Which slots have no links on a level of theirs, and how do they get some?
//!
//! A slot may stand higher than its element did: in files without upper levels all do. They are linked there as an insertion does it.

use crate::build::insert::{Linker, connect};
use crate::graph::{Entry, Graph};
use crate::search::walk::{Descend, Diverse, Everything, Field, Walk};

/// Links every slot on the levels where it has no links.
pub(super) fn complete(field: Field<'_>, slots: u32, ef: usize, linker: &mut Linker) {
    let Some(entry) = field.graph.entry() else { return };
    let mut links = Vec::new();
    for slot in (0..slots).filter(|&slot| slot != entry.slot) {
        for level in (1..=field.graph.level(slot)).rev() {
            links.clear();
            field.graph.neighbours(slot, level, &mut links);
            if links.is_empty() {
                link_on(field, slot, level, entry, ef, linker);
            }
        }
    }
}

/// Links a slot to its nearest on one level.
fn link_on(field: Field<'_>, slot: u32, level: u32, entry: Entry, ef: usize, linker: &mut Linker) {
    let graph: &Graph = field.graph;
    let probe = field.probe_of(slot);
    let trail = &mut linker.trail;
    let start = field.run(Descend { field, probe, start: (entry.slot, entry.level), level, trail });
    field.run(Walk { field, probe, start, level, ef, spare: 0, admission: Everything, trail });
    let candidates: Vec<(f32, u32)> = trail.frontier.candidates().filter(|&(_, other)| other != slot).collect();
    let mut chosen = Vec::new();
    field.run(Diverse { field, candidates: &candidates, most: graph.m(), taken: &mut chosen });
    graph.lock(slot).set(level, &chosen);
    for &other in &chosen {
        connect(field, &graph.lock(other), other, slot, level, linker);
    }
}
