//! How do links from anywhere become a graph whose kept links form one tree (see `graph`)?
//!
//! A breadth-first walk from the entry adopts whatever it meets, each slot at most `m` children. Slots that it does not meet look for a
//! parent among their own links; those that find none (hnswlib leaves elements behind that nothing links to) lose their links and are
//! inserted like new ones.

use crate::build::insert::{Linker, NoJournal, connect, link};
use crate::graph::{Graph, KEEP};
use crate::search::walk::Field;
use std::collections::VecDeque;

/// Rounds in which slots look for a parent among their own links; a chain made by hand could need one per slot.
const ROUNDS: u32 = 8;

/// No parent.
const NOBODY: u32 = u32::MAX;

/// Who adopted whom.
pub(super) struct Tree {
    entry: u32,
    parents: Vec<u32>,
    /// Slots in the order in which they were adopted; parents before children.
    order: Vec<u32>,
}

impl Tree {
    /// Adopts all slots that links lead to, or whose links lead to the tree.
    pub(super) fn over(graph: &Graph, slots: u32, entry: u32) -> Self {
        let mut tree = Self { entry, parents: vec![NOBODY; slots as usize], order: Vec::new() };
        tree.parents[entry as usize] = entry;
        let mut children = vec![0u16; slots as usize];
        let mut open = VecDeque::from([entry]);
        let mut links = Vec::new();
        for round in 0.. {
            while let Some(slot) = open.pop_front() {
                tree.order.push(slot);
                links.clear();
                graph.neighbours(slot, 0, &mut links);
                for &other in &links {
                    if tree.parents[other as usize] == NOBODY && usize::from(children[slot as usize]) < graph.m() {
                        tree.adopt(slot, other, &mut children, &mut open);
                    }
                }
            }
            if round == ROUNDS {
                break;
            }
            for slot in 0..slots {
                if tree.parents[slot as usize] != NOBODY {
                    continue;
                }
                links.clear();
                graph.neighbours(slot, 0, &mut links);
                let willing = |&&other: &&u32| {
                    tree.parents[other as usize] != NOBODY && usize::from(children[other as usize]) < graph.m()
                };
                if let Some(&parent) = links.iter().find(willing) {
                    tree.adopt(parent, slot, &mut children, &mut open);
                }
            }
            if open.is_empty() {
                break;
            }
        }
        tree
    }

    fn adopt(&mut self, parent: u32, child: u32, children: &mut [u16], open: &mut VecDeque<u32>) {
        self.parents[child as usize] = parent;
        children[parent as usize] += 1;
        open.push_back(child);
    }

    /// Makes the links between parents and children kept ones, in both rows, and cuts those to slots without a parent.
    pub(super) fn tie(&self, field: Field<'_>, linker: &mut Linker) {
        let graph = field.graph;
        if self.order.len() < self.parents.len() {
            self.cut_strays(graph);
        }
        for &child in self.order.iter().filter(|&&slot| slot != self.entry) {
            let parent = self.parents[child as usize];
            connect(field, &graph.lock(parent), parent, child | KEEP, 0, linker);
            connect(field, &graph.lock(child), child, parent | KEEP, 0, linker);
        }
    }

    fn cut_strays(&self, graph: &Graph) {
        let mut links = Vec::new();
        for slot in 0..self.parents.len() as u32 {
            for level in 0..=graph.level(slot) {
                links.clear();
                graph.neighbours(slot, level, &mut links);
                let before = links.len();
                let stray = self.parents[slot as usize] == NOBODY;
                links.retain(|&other| !stray && self.parents[other as usize] != NOBODY);
                if links.len() < before {
                    graph.lock(slot).set(level, &links);
                }
            }
        }
    }

    /// Inserts the slots without a parent into the graph, which has its entry by now.
    pub(super) fn take_in_strays(&self, field: Field<'_>, ef: usize, linker: &mut Linker) {
        for slot in (0..self.parents.len() as u32).filter(|&slot| self.parents[slot as usize] == NOBODY) {
            link(field, slot, ef, linker, &mut NoJournal);
        }
    }
}
