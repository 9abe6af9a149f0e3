//! How do the elements of a file get into an empty index?
//!
//! Our levels are hashes of slots, theirs stand in the file. So elements go to slots by rank: the higher an element's level, the higher
//! the level of its slot. Both thin out alike, so nearly every upper row finds its place; what has none on its level
//! is linked there anew (`upper`). Links at level 0 are taken as they are and made one tree (`tree`).

use super::tree::Tree;
use super::{Element, Elements, upper};
use crate::build::insert::Linker;
use crate::graph::{Entry, Graph};
use crate::search::Scoring;
use crate::search::walk::Field;
use crate::store::Store;
use crate::util::epoch::Guard;
use crate::util::error::{Error, Result};

/// An index with nothing in it, which nobody else uses yet.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) graph: Option<&'a Graph>,
    pub(crate) ef_construction: usize,
    pub(crate) guard: &'a Guard,
}

/// Puts all elements into an index.
pub(crate) fn fill(target: Target<'_>, elements: &dyn Elements) -> Result<()> {
    let Target { store, graph, guard, .. } = target;
    let count = elements.count();
    if count == 0 {
        return Ok(());
    }
    store.reserve(count.into())?;
    store.allocate(count)?;
    let slots = match graph {
        Some(graph) => {
            graph.reserve(count.into())?;
            (0..count).try_for_each(|slot| graph.prepare(slot))?;
            places(graph, elements)?
        }
        None => Vec::new(),
    };
    let slot_of = |element: u32| slots.get(element as usize).copied().unwrap_or(element);
    let (mut element, mut removed) = (Element::default(), Vec::new());
    for number in 0..count {
        let slot = slot_of(number);
        elements.read(number, &mut element)?;
        put(target, slot, &element)
            .map_err(|error| Error::corrupt(format!("element {number} (label {}): {}", element.key, error.text())))?;
        if element.removed {
            removed.push(slot);
        }
        if let Some(graph) = graph {
            take_links(graph, slot, &element, count, &slot_of)
                .map_err(|text| Error::corrupt(format!("element {number} (label {}): {text}", element.key)))?;
        }
    }
    for slot in removed {
        // A label that is deleted in one element and not in another.
        if store.find(store.key(slot), guard).is_some() {
            store.forget_removed(store.key(slot), guard);
        }
    }
    if let Some(graph) = graph {
        link(target, graph, elements.entry().map(slot_of));
    }
    Ok(())
}

/// The slot of each element: both ordered by level, highest first.
fn places(graph: &Graph, elements: &dyn Elements) -> Result<Vec<u32>> {
    let count = elements.count();
    let room = |_| Error::memory(count as usize * 4);
    let mut ranked = Vec::new();
    ranked.try_reserve_exact(count as usize).map_err(room)?;
    ranked.extend(0..count);
    // Stable, so that elements of one level stay in the order of the file, which often is one of nearness.
    ranked.sort_by_key(|&element| {
        let entry = elements.entry() == Some(element);
        std::cmp::Reverse((elements.level(element), entry))
    });
    let mut slots = Vec::new();
    slots.try_reserve_exact(count as usize).map_err(room)?;
    slots.extend(0..count);
    slots.sort_by_key(|&slot| std::cmp::Reverse(graph.level(slot)));
    let mut places = vec![0; count as usize];
    ranked.into_iter().zip(slots).for_each(|(element, slot)| places[element as usize] = slot);
    Ok(places)
}

/// Writes vector, key and state.
fn put(target: Target<'_>, slot: u32, element: &Element) -> Result<()> {
    let Target { scoring, store, guard, .. } = target;
    let scale = scoring.check("its vector", &element.vector)?;
    if element.key == u64::MAX && !element.removed {
        return Err(Error::corrupt("the label is the reserved key"));
    }
    store.write(slot, element.key, &element.vector, scale);
    if element.removed {
        store.bury(slot, guard);
    } else {
        // Files of programs that inserted from several threads can have a label twice; the later one stays.
        store.claim_if_absent(slot, guard)?;
        store.publish_replacing(slot, guard);
    }
    Ok(())
}

/// Writes a slot's rows: the file's links, without those that lead nowhere in our graph.
fn take_links(
    graph: &Graph,
    slot: u32,
    element: &Element,
    count: u32,
    slot_of: &impl Fn(u32) -> u32,
) -> std::result::Result<(), String> {
    let mut links = Vec::new();
    for (level, theirs) in (0..=graph.level(slot)).zip(&element.links) {
        links.clear();
        for &other in theirs {
            if other >= count {
                return Err(format!("it links to {other} of {count} at level {level}"));
            }
            let other = slot_of(other);
            if other != slot && !links.contains(&other) && graph.level(other) >= level {
                links.push(other);
            }
        }
        // hnswlib has the nearest last.
        let most = graph.degree(level);
        let from = links.len().saturating_sub(most);
        graph.lock(slot).set(level, &links[from..]);
    }
    Ok(())
}

/// Makes what the file's links gave us a graph of ours.
fn link(target: Target<'_>, graph: &Graph, entry: Option<u32>) {
    let field = Field { scoring: target.scoring, store: target.store, graph, codes: None };
    let slots = target.store.slots();
    let highest = (0..slots).map(|slot| graph.level(slot)).max().unwrap_or(0);
    // The file's own entry, if its slot is as high as any.
    let entry = entry
        .filter(|&slot| graph.level(slot) == highest)
        .or_else(|| (0..slots).find(|&slot| graph.level(slot) == highest))
        .unwrap_or(0);
    let mut linker = Linker::default();
    let tree = Tree::over(graph, slots, entry);
    tree.tie(field, &mut linker);
    graph.replace_entry(Some(Entry { slot: entry, level: highest }));
    tree.take_in_strays(field, target.ef_construction, &mut linker);
    upper::complete(field, slots, target.ef_construction, &mut linker);
}
