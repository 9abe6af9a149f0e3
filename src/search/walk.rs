//! The best-first walk through the graph: one body, compiled for every kernel and level.
//!
//! A hop takes the nearest candidate that was not expanded, gathers those of its neighbours that are new, asks for all their
//! cache lines, scores them four at a time, and drops whatever is farther than the worst candidate kept. The walk is generic over
//! the scorer (through [`Job`]) and over admission: [`Everything`] lets every slot be a hit and compiles to nothing; [`Only`] keeps
//! the `ef` best that pass beside the candidates, which then lead through slots that do not pass (as hnswlib does it).

use super::Scoring;
use super::frontier::{Frontier, pack, unpack};
use super::visited::Visited;
use crate::distance::{self, Job, Kernel};
use crate::graph::{Graph, KEEP, row};
use crate::simd::Simd;
use crate::store::Store;
use crate::util::memory::{LINE, prefetch};
use crate::util::sync::AtomicU32;
use std::collections::BinaryHeap;

/// Lines of one vector that are prefetched; the hardware streams what follows. Asking for all lines of long vectors fills the miss
/// registers and was slower: 24 lines 0.92, 8 lines 0.97 of the rate with 4 (384-d); 8 lines 0.96 (128-d).
const LINES: usize = 4;
/// A walk that wants few slots among many gives up after this share of them; a scan is then cheaper.
const GIVE_UP: usize = 8;
/// But not before it has seen this many.
const GIVE_UP_FROM: usize = 4096;
/// And at the latest after this many: candidates are a sorted array, which costs more than a scan when it is longer.
const GIVE_UP_AT: usize = 16_384;

/// What is looked for: a padded vector and what its scores are multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Probe {
    /// `scoring.stride` readable bytes.
    pub(crate) vector: *const u8,
    pub(crate) factor: f32,
}

/// What a walk goes through.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) graph: &'a Graph,
}

/// Buffers of a walk.
#[derive(Default)]
pub(crate) struct Trail {
    visited: Visited,
    pub(crate) frontier: Frontier,
    /// The best that pass, worst on top; used where not everything passes.
    passing: BinaryHeap<u64>,
    gathered: Vec<u32>,
    /// Distances computed since the trail was made.
    pub(crate) scored: u64,
}

impl Trail {
    /// What the marks of seen slots take: as much as the index has slots, whatever is asked for.
    pub(crate) fn visited_bytes(&self) -> usize {
        self.visited.bytes()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.visited.bytes() + self.frontier.bytes() + self.passing.capacity() * 8 + self.gathered.capacity() * 4
    }

    /// The passing hits of the last walk with [`Only`], in no order.
    pub(crate) fn passing(&self) -> impl ExactSizeIterator<Item = (f32, u32)> + '_ {
        self.passing.iter().map(|&entry| unpack(entry))
    }
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// No candidate could lead to anything nearer.
    Whole,
    /// It saw so much without finding enough that a scan is cheaper.
    GaveUp,
}

/// Which slots may be hits.
pub(crate) trait Admission {
    /// Whether every slot passes.
    const EVERYTHING: bool;
    fn passes(&self, slot: u32) -> bool;
}

/// Every slot.
pub(crate) struct Everything;

/// Slots that a test passes.
pub(crate) struct Only<'a>(pub(crate) &'a dyn Fn(u32) -> bool);

impl Admission for Everything {
    const EVERYTHING: bool = true;
    #[inline(always)]
    fn passes(&self, _slot: u32) -> bool {
        true
    }
}

impl Admission for Only<'_> {
    const EVERYTHING: bool = false;
    #[inline(always)]
    fn passes(&self, slot: u32) -> bool {
        (self.0)(slot)
    }
}

/// Goes down from `start` to the nearest slot that greedy steps find, level by level, above `level`.
pub(crate) struct Descend<'a> {
    pub(crate) field: Field<'a>,
    pub(crate) probe: Probe,
    /// Slot and its level.
    pub(crate) start: (u32, u32),
    /// Levels down to this one are left out.
    pub(crate) level: u32,
    pub(crate) trail: &'a mut Trail,
}

impl Job for Descend<'_> {
    type Output = (f32, u32);

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> (f32, u32) {
        let Self { field, probe, start, level, trail } = self;
        let mut best = (score_one::<S, K>(s, field, probe, start.0), start.0);
        let mut at = start.1;
        while at > level {
            loop {
                let from = best.1;
                trail.gathered.clear();
                field.graph.neighbours(from, at, &mut trail.gathered);
                trail.scored += trail.gathered.len() as u64;
                fetch(field, &trail.gathered);
                score::<S, K>(
                    s,
                    field,
                    probe,
                    &trail.gathered,
                    #[inline(always)]
                    |distance, slot| {
                        if distance < best.0 {
                            best = (distance, slot);
                        }
                    },
                );
                if best.1 == from {
                    break;
                }
            }
            at -= 1;
        }
        best
    }
}

/// Finds the `ef` nearest at one level.
pub(crate) struct Walk<'a, A> {
    pub(crate) field: Field<'a>,
    pub(crate) probe: Probe,
    /// Where to begin: distance and slot.
    pub(crate) start: (f32, u32),
    pub(crate) level: u32,
    pub(crate) ef: usize,
    pub(crate) admission: A,
    pub(crate) trail: &'a mut Trail,
}

impl<A: Admission> Job for Walk<'_, A> {
    type Output = End;

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> End {
        let Self { field, probe, start, level, ef, admission, trail } = self;
        let Trail { visited, frontier, passing, gathered, scored } = trail;
        let slots = field.store.slots() as usize;
        let patience = (slots / GIVE_UP).clamp(GIVE_UP_FROM, GIVE_UP_AT);
        visited.reset(slots);
        frontier.reset(if A::EVERYTHING { ef } else { patience });
        passing.clear();
        visited.insert(start.1);
        take(&admission, ef, frontier, passing, start);
        let mut seen = 0;
        while let Some((distance, slot)) = frontier.expand() {
            if !A::EVERYTHING {
                if passing.len() == ef && passing.peek().is_some_and(|&worst| distance > unpack(worst).0) {
                    break;
                }
                if seen > patience {
                    return End::GaveUp;
                }
            }
            gathered.clear();
            // A slot of the upper levels lends its wider links to the walk at level 0: the way out of a tight cluster that was inserted
            // in one go, whose own links lead to itself.
            let reach = if level == 0 { field.graph.level(slot).min(1) } else { level };
            for at in level..=reach {
                gather(field.graph.row(slot, at), visited, gathered);
            }
            row::behind();
            seen += gathered.len();
            fetch(field, gathered);
            score::<S, K>(
                s,
                field,
                probe,
                gathered,
                #[inline(always)]
                |distance, slot| {
                    let worst = if A::EVERYTHING {
                        frontier.worst()
                    } else if passing.len() == ef {
                        passing.peek().map_or(f32::INFINITY, |&worst| unpack(worst).0)
                    } else {
                        f32::INFINITY
                    };
                    if (distance < worst || worst == f32::INFINITY)
                        && take(&admission, ef, frontier, passing, (distance, slot))
                        && level == 0
                    {
                        field.graph.prefetch_row(slot);
                    }
                },
            );
        }
        *scored += seen as u64;
        End::Whole
    }
}

/// Collects the slots of a row that the walk has not seen.
#[inline(always)]
fn gather(row: &[AtomicU32], visited: &mut Visited, gathered: &mut Vec<u32>) {
    row::read(
        row,
        #[inline(always)]
        |link| {
            let slot = link & !KEEP;
            if visited.insert(slot) {
                gathered.push(slot);
            }
        },
    );
}

/// Takes in a candidate, and as a hit if it may be one; says whether it is the next to expand.
#[inline(always)]
fn take<A: Admission>(
    admission: &A,
    ef: usize,
    frontier: &mut Frontier,
    passing: &mut BinaryHeap<u64>,
    (distance, slot): (f32, u32),
) -> bool {
    if !A::EVERYTHING && admission.passes(slot) {
        passing.push(pack(distance, slot));
        if passing.len() > ef {
            passing.pop();
        }
    }
    frontier.insert(distance, slot)
}

/// Asks for the lines of the vectors that are about to be scored.
#[inline(always)]
fn fetch(field: Field<'_>, links: &[u32]) {
    let bytes = field.scoring.stride.min(LINES * LINE);
    for &link in links {
        let vector = field.store.vector(link & !KEEP);
        let mut at = 0;
        while at < bytes {
            prefetch(vector.wrapping_add(at));
            at += LINE;
        }
    }
}

/// Scores the slots of links four at a time and hands on (distance, slot). Never hands on NaN.
#[inline(always)]
fn score<S: Simd, K: Kernel<S>>(s: S, field: Field<'_>, probe: Probe, links: &[u32], mut found: impl FnMut(f32, u32)) {
    let mut groups = links.chunks_exact(4);
    for group in &mut groups {
        let group = [group[0] & !KEEP, group[1] & !KEEP, group[2] & !KEEP, group[3] & !KEEP];
        let rows = group.map(
            #[inline(always)]
            |slot| field.store.vector(slot),
        );
        // SAFETY: slots come from rows of the graph, so their vectors are written; probe and vectors have `stride` bytes.
        let raw = unsafe { distance::four::<S, K>(s, probe.vector, rows, field.scoring.stride) };
        for i in 0..4 {
            found(finish(field, probe, raw[i], group[i]), group[i]);
        }
    }
    for &link in groups.remainder() {
        let slot = link & !KEEP;
        found(score_one::<S, K>(s, field, probe, slot), slot);
    }
}

#[inline(always)]
fn score_one<S: Simd, K: Kernel<S>>(s: S, field: Field<'_>, probe: Probe, slot: u32) -> f32 {
    // SAFETY: as in `score`.
    let raw = unsafe { distance::one::<S, K>(s, probe.vector, field.store.vector(slot), field.scoring.stride) };
    finish(field, probe, raw, slot)
}

#[inline(always)]
fn finish(field: Field<'_>, probe: Probe, raw: f32, slot: u32) -> f32 {
    let distance = field.scoring.base + probe.factor * raw * field.store.scale(slot);
    if distance.is_nan() { field.scoring.far_of(probe.vector, field.store, slot) } else { distance }
}

/// Distances of links from what is looked for.
pub(crate) struct Distances<'a> {
    pub(crate) field: Field<'a>,
    pub(crate) probe: Probe,
    pub(crate) links: &'a [u32],
    pub(crate) distances: &'a mut Vec<f32>,
}

impl Job for Distances<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) {
        let Self { field, probe, links, distances } = self;
        distances.clear();
        fetch(field, links);
        score::<S, K>(
            s,
            field,
            probe,
            links,
            #[inline(always)]
            |distance, _| distances.push(distance),
        );
    }
}

/// How much nearer a neighbour that was taken must be to a candidate to rule it out: above 1 more candidates pass, near ties first. 1 won
/// (`benches/record/graph.md`).
const ALPHA: f32 = 1.0;

/// Picks diverse neighbours from candidates: one is taken unless a neighbour that was taken before is nearer to it than the slot that
/// looks for neighbours (Malkov and Yashunin, algorithm 4). Links with `KEEP` are always taken.
pub(crate) struct Diverse<'a> {
    pub(crate) field: Field<'a>,
    /// Distance and link, nearest first.
    pub(crate) candidates: &'a [(f32, u32)],
    pub(crate) most: usize,
    pub(crate) taken: &'a mut Vec<u32>,
}

impl Job for Diverse<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) {
        let Self { field, candidates, most, taken } = self;
        taken.clear();
        let mut owed = candidates.iter().filter(|(_, link)| link & KEEP != 0).count();
        for &(distance, link) in candidates {
            if link & KEEP != 0 {
                owed -= 1;
                taken.push(link);
                continue;
            }
            if taken.len() + owed >= most {
                continue;
            }
            let probe = field.probe_of(link);
            // Groups of four: most candidates are ruled out by the first few distances.
            let occluded = taken.chunks(4).any(
                #[inline(always)]
                |group| {
                    let mut nearer = false;
                    score::<S, K>(
                        s,
                        field,
                        probe,
                        group,
                        #[inline(always)]
                        |between, _| nearer |= between * ALPHA < distance,
                    );
                    nearer
                },
            );
            if !occluded {
                taken.push(link);
            }
        }
    }
}

impl Field<'_> {
    /// A stored vector as what is looked for.
    #[inline(always)]
    pub(crate) fn probe_of(&self, link: u32) -> Probe {
        let slot = link & !KEEP;
        Probe { vector: self.store.vector(slot), factor: self.scoring.factor(self.store.scale(slot)) }
    }

    /// Runs a job with the index's kernel on this machine's level.
    #[inline(always)]
    pub(crate) fn run<J: Job>(&self, job: J) -> J::Output {
        distance::run(self.scoring.level, self.scoring.kernel, job)
    }
}
