//! One query through the graph, from the entry point to hits.

use super::nearest::Hit;
use super::walk::{Descend, End, Everything, Field, Only, Walk};
use super::{Admit, Scratch, flat};
use crate::store::LIVE;

/// A walk that must keep more than one in this many of all slots is a scan in disguise.
const SCAN_SHARE: usize = 4;

/// Leaves the k nearest of query 0 of `scratch` among its candidates ([`Scratch::finish`] makes them hits).
///
/// Always finds min(k, live vectors that pass): where the walk comes back short (most of its slots are removed, or the filter passes
/// few) the exact scan answers.
pub(crate) fn search(field: Field<'_>, k: usize, ef: usize, admit: &Admit<'_>, scratch: &mut Scratch) {
    let store = field.store;
    let passes = |slot: u32| store.state(slot) == LIVE && admit.passes(store.key(slot));
    let ef = ef.max(k);
    let plain = matches!(admit, Admit::All);
    if ef <= store.slots() as usize / SCAN_SHARE {
        // Slots in the middle of an insertion or removal are few; they are looked for among the candidates at the end.
        if plain && store.removed() == 0 {
            walk(field, ef, scratch, Everything);
            scratch.nearest[0].reset(k);
            for (distance, slot) in scratch.trail.frontier.candidates() {
                if distance > scratch.nearest[0].worst() {
                    break;
                }
                if store.state(slot) == LIVE {
                    scratch.nearest[0].offer(Hit { distance, key: store.key(slot), slot });
                }
            }
        } else if walk(field, ef, scratch, Only(&passes)) == End::Whole {
            scratch.nearest[0].reset(k);
            for (distance, slot) in scratch.trail.passing() {
                scratch.nearest[0].offer(Hit { distance, key: store.key(slot), slot });
            }
        } else {
            scratch.nearest[0].reset(0);
        }
        let enough = if plain { k.min(store.live() as usize) } else { k };
        if scratch.nearest[0].len() >= enough {
            return;
        }
    }
    flat::scan(field.scoring, store, flat::Span::all(store), k, admit, scratch);
}

fn walk(field: Field<'_>, ef: usize, scratch: &mut Scratch, admission: impl super::walk::Admission) -> End {
    let probe = scratch.probe(0);
    let trail = &mut scratch.trail;
    let Some(entry) = field.graph.entry() else {
        // Slots are allocated, but none is linked yet. The candidates of an earlier query must not be taken for this one's.
        trail.frontier.reset(0);
        return End::GaveUp;
    };
    let start = field.run(Descend { field, probe, start: (entry.slot, entry.level), level: 0, trail });
    field.run(Walk { field, probe, start, level: 0, ef, admission, trail })
}
