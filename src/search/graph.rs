//! One query through the graph, from the entry point to hits.
//!
//! A walk meets slots in no order, so a vector that is replaced meanwhile may be met twice or not at all: its new slot before that is
//! live, its old one when it is removed already. Slots that were removed when the walk met them are noted, and if a replacement took
//! place meanwhile, their keys are looked up: a key that lives on in another slot is a candidate there.

use super::flat::{Scan, Span};
use super::nearest::Hit;
use super::rank::{Estimates, Rank};
use super::walk::{Admission, ByCodes, Descend, End, Everything, Field, Only, Walk};
use super::{Admit, Scratch};
use crate::distance::run_on;
use crate::store::{LIVE, REMOVED};
use crossbeam_epoch::Guard;
use std::cell::RefCell;

/// A walk that must keep more than one in this many of all slots is a scan in disguise.
const SCAN_SHARE: usize = 4;
/// How much wider a walk begins anew that ended in a crowd.
const WIDER: usize = 8;

/// A walk by codes keeps this many times k candidates, if it can do so with k more than it expands.
const SPARE: usize = 4;

/// Leaves the k nearest of query 0 of `scratch` among its candidates ([`Scratch::finish`] makes them hits), or a few more than k.
///
/// Always finds min(k, live vectors that pass): where the walk comes back short (most of its slots are removed, or the filter passes
/// few) the exact scan answers.
pub(crate) fn search(field: Field<'_>, k: usize, ef: usize, admit: &Admit<'_>, scratch: &mut Scratch, guard: &Guard) {
    let store = field.store;
    let mut ef = ef.max(k);
    let plain = matches!(admit, Admit::All);
    // Where there is no memory for a wider walk, the scan answers.
    let slots = store.slots() as usize;
    while ef <= slots / SCAN_SHARE && scratch.make_room((0, 0), (k, ef), slots).is_ok() {
        let plainly = plain && store.removed() == 0 && walk_plainly(field, k, ef, scratch);
        if !plainly {
            walk_choosily(field, k, ef, admit, scratch, guard);
        }
        let enough = if plain { k.min(store.live() as usize) } else { k };
        if scratch.nearest[0].len() < enough {
            break;
        }
        let lost =
            if plainly { lost(scratch.trail.frontier.candidates(), ef) } else { lost(scratch.trail.passing(), ef) };
        if !lost {
            return;
        }
        ef *= WIDER;
    }
    Scan { scoring: field.scoring, store, by: None, span: Span::all(store), k }.run(admit, scratch, guard);
}

/// Whether a walk ended among vectors that are all equally far: a crowd of equal vectors, say, from which no link leads nearer.
fn lost(found: impl ExactSizeIterator<Item = (f32, u32)>, ef: usize) -> bool {
    let (full, mut distances) = (found.len() >= ef && ef > 1, found.map(|(distance, _)| distance));
    // Nothing is nearer than 0 but under inner product.
    full && distances.next().is_some_and(|first| first != 0.0 && distances.all(|distance| distance == first))
}

/// A walk on which every slot counts. Those in the middle of an insertion are few and are left out at the end. `false` if vectors
/// were replaced meanwhile.
fn walk_plainly(field: Field<'_>, k: usize, ef: usize, scratch: &mut Scratch) -> bool {
    let store = field.store;
    let since = store.replacements();
    let (_, estimates) = walk(field, k, ef, scratch, Everything);
    let probe = scratch.probe(0);
    let Scratch { trail, nearest, ranked, gone, .. } = scratch;
    let nearest = &mut nearest[0];
    nearest.reset(k);
    if let Some(kind) = estimates {
        ranked.clear();
        ranked.extend(trail.frontier.candidates());
        field.run(Rank { scoring: field.scoring, store, probe, kind, candidates: ranked, nearest, k, gone });
        return store.undisturbed(since);
    }
    for (distance, slot) in trail.frontier.candidates() {
        if distance > nearest.worst() {
            break;
        }
        if store.state(slot) == LIVE {
            nearest.offer(Hit { distance, key: store.key(slot), slot });
        }
    }
    store.undisturbed(since)
}

/// A walk that counts live slots which pass.
fn walk_choosily(field: Field<'_>, k: usize, ef: usize, admit: &Admit<'_>, scratch: &mut Scratch, guard: &Guard) {
    let store = field.store;
    let since = store.replacements();
    let gone = RefCell::new(std::mem::take(&mut scratch.gone));
    gone.borrow_mut().clear();
    let passes = |slot: u32| match store.state(slot) {
        LIVE => admit.passes(store.key(slot)),
        REMOVED => {
            gone.borrow_mut().push(slot);
            false
        }
        _ => false,
    };
    let (end, estimates) = walk(field, k, ef, scratch, Only(&passes));
    let mut gone = gone.into_inner();
    let mut disturbed = !store.undisturbed(since);
    let probe = scratch.probe(0);
    let Scratch { trail, nearest, ranked, .. } = scratch;
    let nearest = &mut nearest[0];
    nearest.reset(0);
    if end == End::Whole {
        loop {
            let wanted = if disturbed { ef + gone.len() } else { k };
            nearest.reset(0);
            if nearest.make_room(wanted).is_err() {
                // The scan answers, as it keeps k.
                scratch.gone = gone;
                return;
            }
            nearest.reset(wanted);
            match estimates {
                Some(kind) => {
                    ranked.clear();
                    ranked.extend(trail.passing());
                    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                    let (scoring, gone) = (field.scoring, &mut gone);
                    field.run(Rank { scoring, store, probe, kind, candidates: ranked, nearest, k: wanted, gone });
                }
                None => trail.passing().for_each(|(distance, slot)| {
                    nearest.offer(Hit { distance, key: store.key(slot), slot });
                }),
            }
            // Exact distances take their time: what was replaced meanwhile needs the room that replacements need.
            if disturbed || store.undisturbed(since) {
                break;
            }
            disturbed = true;
        }
        if disturbed {
            for key in gone.iter().map(|&slot| store.key(slot)).filter(|&key| admit.passes(key)) {
                if let Some(slot) = store.find(key, guard) {
                    nearest.offer(Hit { distance: field.scoring.distance(probe, store, slot), key, slot });
                }
            }
            nearest.keep_newest(store, guard);
        }
    }
    scratch.gone = gone;
}

/// Walks by codes if there are some, or by a rounded query where vectors are reduced; then the candidates are estimates, and it says which.
fn walk(
    field: Field<'_>,
    k: usize,
    ef: usize,
    scratch: &mut Scratch,
    admission: impl Admission,
) -> (End, Option<Estimates>) {
    let (probe, rounded) = (scratch.probe(0), scratch.rounded_probe());
    let Scratch { lines, trail, work, .. } = scratch;
    let Some(entry) = field.graph.entry() else {
        // Slots are allocated, but none is linked yet. The candidates of an earlier query must not be taken for this one's.
        trail.frontier.reset(0);
        return (End::GaveUp, None);
    };
    let (from, level) = ((entry.slot, entry.level), field.scoring.level);
    let (asked, bytes) = (field.scoring.asked, field.scoring.asked.vector_bytes(field.scoring.dimensions));
    if let Some(codes) = field.codes
        && let Some(query) = codes.codec.prepare(asked, &lines.bytes()[..bytes], -probe.factor, work)
    {
        let estimator = codes.estimator(query);
        // Estimates rank the nearest roughly, so a narrow walk hands on more than it expands.
        let spare = (SPARE * k).saturating_sub(ef).min(k);
        let start = run_on(level, ByCodes(Descend { field, probe, start: from, level: 0, trail }, estimator));
        let end =
            run_on(level, ByCodes(Walk { field, probe, start, level: 0, ef, spare, admission, trail }, estimator));
        return (end, Some(Estimates::by(&codes.codec, field.scoring)));
    }
    if let (Some(between), Some(probe)) = (field.scoring.between.as_deref(), rounded) {
        let field = Field { scoring: between, ..field };
        let spare = (SPARE * k).saturating_sub(ef).min(k);
        let start = field.run(Descend { field, probe, start: from, level: 0, trail });
        let end = field.run(Walk { field, probe, start, level: 0, ef, spare, admission, trail });
        return (end, Some(Estimates::BETWEEN_BYTES));
    }
    let start = field.run(Descend { field, probe, start: from, level: 0, trail });
    (field.run(Walk { field, probe, start, level: 0, ef, spare: 0, admission, trail }), None)
}
