//! Is a graph in use as it should be? Numbers for its owner; `audit` looks closer, for tests.

use super::Graph;
use crate::util::error::Result;
use crate::util::memory::{gather, make_room, repeated};

/// What a look at all rows showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Slots that are part of the graph.
    pub linked: u64,
    /// Links at level 0.
    pub links: u64,
    /// Slots that cannot be reached from the entry at level 0.
    pub unreachable: u64,
    /// Least and most links that lead to a slot at level 0; 0 where there is one slot or none.
    pub min_inbound: u64,
    /// See `min_inbound`.
    pub max_inbound: u64,
    /// Links that must not be, on any level: to slots that are not there, to the slot itself, to one slot twice.
    pub faults: u64,
    /// Least and most links of a slot at level 0.
    pub min_outbound: u64,
    /// See `min_outbound`.
    pub max_outbound: u64,
}

impl Graph {
    /// Looks at slots `0..slots`. What is changed meanwhile may be counted as it was, or as a fault.
    pub(crate) fn check(&self, slots: u32) -> Result<Check> {
        let mut check = Check::default();
        let Some(entry) = self.entry() else { return Ok(check) };
        let linked =
            gather((0..slots as usize).map(|slot| slot == entry.slot as usize || self.is_linked(slot as u32)))?;
        let mut inbound = repeated(0u32, slots as usize)?;
        let mut row = Vec::new();
        check.min_outbound = u64::MAX;
        for slot in (0..slots).filter(|&slot| linked[slot as usize]) {
            check.linked += 1;
            row.clear();
            self.neighbours(slot, 0, &mut row);
            check.links += row.len() as u64;
            check.min_outbound = check.min_outbound.min(row.len() as u64);
            check.max_outbound = check.max_outbound.max(row.len() as u64);
            row.sort_unstable();
            check.faults += row.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
            for &other in &row {
                match inbound.get_mut(other as usize) {
                    Some(count) if other != slot && linked[other as usize] => *count += 1,
                    Some(_) if self.is_leaving(other) => {}
                    _ => check.faults += 1,
                }
            }
            check.faults += (1..=self.level(slot)).map(|level| self.faults_above(slot, level, &linked)).sum::<u64>();
        }
        if check.linked == 0 {
            check.min_outbound = 0;
        }
        let counts = || inbound.iter().zip(&linked).filter(|(_, linked)| **linked).map(|(&count, _)| u64::from(count));
        if check.linked > 1 {
            check.min_inbound = counts().min().unwrap_or(0);
            check.max_inbound = counts().max().unwrap_or(0);
        }
        check.unreachable = check.linked - self.count_reached(entry.slot, &linked)?;
        Ok(check)
    }

    /// Links of a row above level 0 that must not be.
    fn faults_above(&self, slot: u32, level: u32, linked: &[bool]) -> u64 {
        let mut row = Vec::new();
        self.neighbours(slot, level, &mut row);
        row.sort_unstable();
        let doubles = row.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let there = |other: u32| linked.get(other as usize).is_some_and(|&linked| linked || self.is_leaving(other));
        let wrong = |&&other: &&u32| other == slot || !there(other) || self.level(other) < level;
        (doubles + row.iter().filter(wrong).count()) as u64
    }

    fn count_reached(&self, entry: u32, linked: &[bool]) -> Result<u64> {
        // Slots that are not linked count as passed already.
        let mut reached = gather(linked.iter().map(|linked| !linked))?;
        let (mut open, mut count, mut row) = (vec![entry], 0, Vec::new());
        while let Some(slot) = open.pop() {
            match reached.get_mut(slot as usize) {
                Some(reached) if !*reached => *reached = true,
                _ => continue,
            }
            count += 1;
            row.clear();
            self.neighbours(slot, 0, &mut row);
            let room = open.len() + row.len();
            make_room(&mut open, room)?;
            open.append(&mut row);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Entry, Graph, KEEP};

    #[test]
    fn counts_links_and_finds_what_must_not_be() {
        let graph = Graph::new(4, 7);
        (0..5).for_each(|slot| graph.prepare(slot).unwrap());
        graph.found(Entry { slot: 0, level: 0 });
        graph.lock(0).set(0, &[1 | KEEP, 2 | KEEP]);
        graph.lock(1).set(0, &[KEEP]);
        graph.lock(2).set(0, &[KEEP, 1]);
        let check = graph.check(5).unwrap();
        assert_eq!((check.linked, check.links, check.unreachable, check.faults), (3, 5, 0, 0));
        assert_eq!((check.min_inbound, check.max_inbound), (1, 2));
        assert_eq!((check.min_outbound, check.max_outbound), (1, 2));
        // To itself, twice, to a slot that is not linked, and one that nothing leads to.
        graph.lock(1).set(0, &[KEEP, 1, 2, 2, 4]);
        graph.lock(3).set(0, &[KEEP]);
        let check = graph.check(5).unwrap();
        assert_eq!((check.linked, check.unreachable, check.faults, check.min_inbound), (4, 1, 3, 0));
        // Above level 0: to a slot that does not stand so high, and to itself.
        let high = (5..1000).find(|&slot| graph.level(slot) == 1).unwrap();
        (5..=high).for_each(|slot| graph.prepare(slot).unwrap());
        graph.lock(high).set(0, &[KEEP]);
        let low = (0..3).find(|&slot| graph.level(slot) == 0).unwrap();
        let faults = |graph: &Graph| graph.check(high + 1).unwrap().faults;
        let before = faults(&graph);
        graph.lock(high).set(1, &[low]);
        assert_eq!(faults(&graph), before + 1);
        graph.lock(high).set(1, &[low, high]);
        assert_eq!(faults(&graph), before + 2);
    }
}
