//! Is a graph that rests whole? One pass over its rows; for tests only.
//!
//! What must hold is what insertion promises (see `graph` and `build::insert`): every linked slot can be reached from the entry at
//! level 0, through kept links alone, too; kept links go both ways and form one tree; a link leads to a linked slot that exists
//! on its level, or, plain, to one that is leaving; and the entry is as high as any slot.

use super::{Graph, KEEP, NONE};
use std::sync::atomic::Ordering;

/// Faults that are put into words; more are only counted.
const TOLD: usize = 20;

/// What a look at all rows showed.
#[derive(Clone, Debug, Default)]
#[doc(hidden)]
pub struct Audit {
    /// Slots that are part of the graph.
    pub linked: u32,
    /// Links at level 0.
    pub links: u64,
    /// Links to slots that are leaving.
    pub leaving: u64,
    /// Things that must not be, as many as were found.
    pub faults: u64,
    /// The first of them in words.
    pub texts: Vec<String>,
}

impl Audit {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults == 0
    }

    pub(crate) fn fault(&mut self, text: impl FnOnce() -> String) {
        self.faults += 1;
        if self.texts.len() < TOLD {
            self.texts.push(text());
        }
    }
}

impl Graph {
    /// Looks at slots `0..slots`, of which `must` be linked those that it names. Nobody may change the graph meanwhile.
    pub(crate) fn audit(&self, slots: u32, must: impl Fn(u32) -> bool) -> Audit {
        let mut audit = Audit::default();
        let entry = self.entry();
        let linked: Vec<bool> = (0..slots).map(|slot| self.is_in(slot)).collect();
        for slot in 0..slots {
            if linked[slot as usize] {
                audit.linked += 1;
                self.audit_rows(slot, &linked, &mut audit);
            } else if must(slot) {
                audit.fault(|| format!("slot {slot} is not linked, and should be"));
            }
        }
        let Some(entry) = entry else {
            if audit.linked > 0 {
                audit.fault(|| "slots are linked, but there is no entry".to_owned());
            }
            return audit;
        };
        if entry.slot >= slots || entry.level != self.level(entry.slot) {
            audit.fault(|| format!("{entry:?} among {slots} slots, its level is {}", self.level(entry.slot)));
            return audit;
        }
        let higher = |&slot: &u32| linked[slot as usize] && self.level(slot) > entry.level;
        if let Some(slot) = (0..slots).find(higher) {
            audit.fault(|| format!("slot {slot} is higher ({}) than {entry:?}", self.level(slot)));
        }
        for (name, bit) in [("links", 0), ("kept links", KEEP)] {
            let reached = self.reached(entry.slot, &linked, bit);
            for slot in (0..slots).filter(|&slot| linked[slot as usize] && !reached[slot as usize]) {
                audit.fault(|| format!("slot {slot} cannot be reached from the entry through {name}"));
            }
        }
        let kept: usize = (0..slots).filter(|&slot| linked[slot as usize]).map(|slot| self.kept(slot).count()).sum();
        let linked = audit.linked as usize;
        if kept + 2 != 2 * linked {
            audit.fault(|| format!("{kept} kept links, {linked} slots: not a tree linked both ways"));
        }
        audit
    }

    fn is_in(&self, slot: u32) -> bool {
        self.is_linked(slot) || self.entry().is_some_and(|entry| entry.slot == slot)
    }

    fn audit_rows(&self, slot: u32, linked: &[bool], audit: &mut Audit) {
        for level in 0..=self.level(slot) {
            let cells: Vec<u32> = self.row(slot, level).iter().map(|cell| cell.load(Ordering::Acquire)).collect();
            let end = cells.iter().position(|&link| link == NONE).unwrap_or(cells.len());
            if cells[end..].iter().any(|&link| link != NONE) {
                audit.fault(|| format!("the row of slot {slot} at level {level} goes on behind its end"));
            }
            audit.links += if level == 0 { end as u64 } else { 0 };
            for (i, &link) in cells[..end].iter().enumerate() {
                let to = link & !KEEP;
                if self.is_leaving(to) && link & KEEP == 0 {
                    audit.leaving += 1;
                    continue;
                }
                let mut wrong = |what: &str| audit.fault(|| format!("slot {slot}, level {level}, to {to}: {what}"));
                if to == slot {
                    wrong("links to itself");
                } else if !linked.get(to as usize).is_some_and(|&linked| linked) {
                    wrong("dangles");
                } else if self.level(to) < level {
                    wrong("does not exist on this level");
                }
                if cells[..i].iter().any(|other| other & !KEEP == to) {
                    wrong("stands twice");
                }
                if link & KEEP != 0 && level > 0 {
                    wrong("is kept above level 0");
                }
                if link & KEEP != 0 && (to as usize) < linked.len() && !self.kept(to).any(|back| back == slot) {
                    wrong("is kept in one direction only");
                }
            }
        }
    }

    /// The slots that a slot keeps links to.
    fn kept(&self, slot: u32) -> impl Iterator<Item = u32> + '_ {
        let row = self.row(slot, 0).iter().map(|cell| cell.load(Ordering::Acquire));
        row.take_while(|&link| link != NONE).filter(|link| link & KEEP != 0).map(|link| link & !KEEP)
    }

    /// What can be reached from a slot at level 0 through links that have all of these bits. Does not follow dangling links.
    fn reached(&self, from: u32, linked: &[bool], bits: u32) -> Vec<bool> {
        let mut reached: Vec<bool> = linked.iter().map(|linked| !linked).collect();
        let mut open = vec![from];
        reached[from as usize] = true;
        while let Some(slot) = open.pop() {
            let row = self.row(slot, 0).iter().map(|cell| cell.load(Ordering::Acquire));
            for link in row.take_while(|&link| link != NONE).filter(|link| link & bits == bits) {
                if let Some(seen) = reached.get_mut((link & !KEEP) as usize)
                    && !std::mem::replace(seen, true)
                {
                    open.push(link & !KEEP);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Entry;

    /// A path 0 - 1 - 2 of kept links, and a plain link from 0 to 2.
    fn path() -> Graph {
        let graph = Graph::new(4, 7);
        (0..3).for_each(|slot| graph.prepare(slot).unwrap());
        graph.lock(0).set(0, &[1 | KEEP, 2]);
        graph.lock(1).set(0, &[KEEP, 2 | KEEP]);
        graph.lock(2).set(0, &[1 | KEEP]);
        let entry = (0..3).map(|slot| Entry { slot, level: graph.level(slot) }).max_by_key(|entry| entry.level);
        graph.replace_entry(entry);
        graph
    }

    #[test]
    fn each_fault_is_seen() {
        let audit = |graph: &Graph| graph.audit(3, |_| true);
        let clean = audit(&path());
        assert!(clean.is_clean() && clean.linked == 3 && clean.links == 5, "{clean:?}");
        let broken = |row: &[u32], what: &str| {
            let graph = path();
            graph.lock(0).set(0, row);
            let audit = audit(&graph);
            assert!(audit.texts.iter().any(|text| text.contains(what)), "{what}: {audit:?}");
        };
        broken(&[1 | KEEP, 3], "dangles");
        broken(&[1 | KEEP, 0], "itself");
        broken(&[1 | KEEP, 2, 2], "twice");
        broken(&[1, 2], "should be");
        broken(&[1 | KEEP, 2 | KEEP], "one direction");
        let graph = path();
        graph.prepare(3).unwrap();
        for (slot, other) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            graph.lock(slot).set(0, &[other | KEEP]);
        }
        let apart = graph.audit(4, |_| true);
        assert!(apart.texts.iter().any(|text| text.contains("cannot be reached")), "{apart:?}");
        let graph = path();
        graph.lock(2).set(0, &[KEEP, 1 | KEEP]);
        graph.lock(0).set(0, &[1 | KEEP, 2 | KEEP]);
        assert!(audit(&graph).texts.iter().any(|text| text.contains("not a tree")));
        graph.row(1, 0)[5].store(0, Ordering::Relaxed);
        assert!(audit(&graph).texts.iter().any(|text| text.contains("behind its end")));
        let low = (0..3).min_by_key(|&slot| graph.level(slot)).unwrap();
        graph.replace_entry(Some(Entry { slot: low, level: graph.level(low) + 1 }));
        assert!(!audit(&graph).is_clean());
        graph.replace_entry(None);
        assert!(audit(&graph).texts.iter().any(|text| text.contains("no entry")));
    }
}
