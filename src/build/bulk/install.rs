//! How do finished rows get into the graph? Nobody else links meanwhile, searches go on.
//!
//! A slot of the pile that was in the graph before has an old row until it gets its new one; both lead to slots that are written, and
//! both graphs hold together, so a walk in between comes through. Slots that others linked since the pile was taken are linked anew.

use super::{Built, Pile, Team};
use crate::build::insert::{self, Linker, NoJournal};
use crate::graph::{Graph, KEEP, NONE};
use crate::search::walk::Field;
use crate::util::error::Result;

/// Rows that a thread writes at a time.
const PART: usize = 4096;

/// Writes what was built. The caller holds the right to link alone; every slot of the pile has its rows prepared.
pub(crate) fn install(
    built: &Built,
    pile: Pile<'_>,
    graph: &Graph,
    (field, ef, linker): (Field<'_>, usize, &mut Linker),
    team: &Team<'_>,
) -> Result<()> {
    let later = linked_since(pile, graph);
    for (level, made) in (0..).zip(&built.levels) {
        let parts = made.members.chunks(PART).zip(made.rows.links.chunks(PART * made.rows.degree));
        team.each(parts, 0, |_, (members, links), buffer: &mut Vec<u32>| {
            for (&place, row) in members.iter().zip(links.chunks(made.rows.degree)) {
                buffer.clear();
                let links = row.iter().take_while(|&&link| link != NONE);
                buffer.extend(links.map(|link| pile.slots[(link & !KEEP) as usize] | link & KEEP));
                graph.lock(pile.slots[place as usize]).set(level, buffer);
            }
        })?;
    }
    graph.replace_entry(Some(built.entry));
    for slot in later {
        (0..=graph.level(slot)).for_each(|level| graph.lock(slot).set(level, &[]));
        insert::link(field, slot, ef, linker, &mut NoJournal);
    }
    Ok(())
}

/// Slots that are linked and not in the pile.
fn linked_since(pile: Pile<'_>, graph: &Graph) -> Vec<u32> {
    let entry = graph.entry().map(|entry| entry.slot);
    let mut slots = pile.slots.iter().copied().peekable();
    let others = (0..pile.store.slots()).filter(|&slot| slots.next_if_eq(&slot).is_none());
    others.filter(|&slot| Some(slot) == entry || graph.is_linked(slot)).collect()
}
