//! The best-first walk through the graph: one body, compiled for every kernel and level.
//!
//! A hop takes the nearest candidate that was not expanded, gathers those of its neighbours that are new, asks for all their
//! cache lines, scores them four at a time (or those of the hop before: [`AHEAD_FROM`]), and drops whatever is farther than the worst candidate kept. The walk is generic over
//! the scorer (through [`Job`]) and over admission: [`Everything`] lets every slot be a hit and compiles to nothing; [`Only`] keeps
//! the `ef` best that pass beside the candidates, which then lead through slots that do not pass (as hnswlib does it).

use super::Scoring;
use super::frontier::{Frontier, unpack};
use super::intake::{Intake, Sink};
use super::visited::Visited;
use crate::distance::{self, Job, Kernel, LevelJob};
use crate::graph::{Graph, KEEP, row};
use crate::quant::{Codes, Estimator};
use crate::simd::Simd;
use crate::store::Store;
use crate::util::error::{Error, Result};
use crate::util::memory::{LINE, prefetch};
use crate::util::sync::AtomicU32;
use std::collections::BinaryHeap;
use std::marker::PhantomData;

/// Lines of one vector that are prefetched; the hardware streams what follows. Asking for all lines of long vectors fills the miss
/// registers and was slower: 24 lines 0.92, 8 lines 0.97 of the rate with 4 (384-d); 8 lines 0.96 (128-d).
const LINES: usize = 4;
/// A walk that wants few slots among many gives up after this share of them; a scan is then cheaper.
const GIVE_UP: usize = 8;
/// But not before it has seen this many.
const GIVE_UP_FROM: usize = 4096;
/// And at the latest after this many: candidates are a sorted array, which costs more than a scan when it is longer.
const GIVE_UP_AT: usize = 16_384;

/// Hops after which a walk goes one ahead: it fetches the neighbours of the next candidate before it scores those of the last one, so that memory
/// works while the processor does. What the last one's neighbours say comes too late for one choice; on the way in, where each hop leads nearer, that
/// would cost more than it gains.
const AHEAD_FROM: u64 = 4;

/// What is looked for: a padded vector and what its scores are multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Probe {
    /// `scoring.query_stride` readable bytes.
    pub(crate) vector: *const u8,
    pub(crate) factor: f32,
}

/// What a walk goes through.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) scoring: &'a Scoring,
    pub(crate) store: &'a Store,
    pub(crate) graph: &'a Graph,
    /// Where walks go by codes.
    pub(crate) codes: Option<&'a Codes>,
}

/// Buffers of a walk.
#[derive(Default)]
pub(crate) struct Trail {
    visited: Visited,
    pub(crate) frontier: Frontier,
    /// The best that pass, worst on top; used where not everything passes.
    passing: BinaryHeap<u64>,
    gathered: Vec<u32>,
    /// Gathered one hop earlier.
    fetched: Vec<u32>,
    /// Distances computed since the trail was made.
    pub(crate) scored: u64,
    /// Slots whose links were followed since the trail was made.
    pub(crate) hops: u64,
}

impl Trail {
    /// What the marks of seen slots take: as much as the index has slots, whatever is asked for.
    pub(crate) fn visited_bytes(&self) -> usize {
        self.visited.bytes()
    }

    /// Makes room for walks through so many slots that keep the `ef` best, so that they need no memory.
    pub(crate) fn make_room(&mut self, slots: usize, ef: usize) -> Result<()> {
        self.visited.make_room(slots)?;
        self.frontier.make_room(ef)?;
        self.passing.try_reserve(ef.saturating_sub(self.passing.len())).map_err(|_| Error::memory(8 * ef))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.visited.bytes()
            + self.frontier.bytes()
            + self.passing.capacity() * 8
            + (self.gathered.capacity() + self.fetched.capacity()) * 4
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

/// Tells how far slots are from what is looked for.
pub(crate) trait Scorer<S: Simd>: Copy {
    /// Where what is scored of a slot begins.
    fn address(self, slot: u32) -> *const u8;
    /// How many bytes from there on are fetched ahead.
    fn ahead(self) -> usize;
    /// Never NaN. The slot comes from a row of the graph or is the entry.
    fn one(self, s: S, slot: u32) -> f32;
    /// As `one`, for four slots.
    fn four(self, s: S, slots: [u32; 4]) -> [f32; 4];
}

/// Exact distances, from the vectors.
pub(super) struct Exact<'a, K> {
    scoring: &'a Scoring,
    store: &'a Store,
    probe: Probe,
    kernel: PhantomData<K>,
}

impl<K> Clone for Exact<'_, K> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Exact<'_, K> {}

impl<'a, K> Exact<'a, K> {
    #[inline(always)]
    pub(super) fn new(scoring: &'a Scoring, store: &'a Store, probe: Probe) -> Self {
        Self { scoring, store, probe, kernel: PhantomData }
    }

    #[inline(always)]
    fn finish(self, raw: f32, slot: u32) -> f32 {
        let Self { scoring, store, .. } = self;
        let distance = scoring.base + self.probe.factor * raw * store.scale(slot);
        if distance.is_nan() { scoring.far_of(self.probe.vector, store, slot) } else { distance }
    }
}

impl<S: Simd, K: Kernel<S>> Scorer<S> for Exact<'_, K> {
    #[inline(always)]
    fn address(self, slot: u32) -> *const u8 {
        self.store.vector(slot)
    }

    #[inline(always)]
    fn ahead(self) -> usize {
        self.scoring.stride.min(LINES * LINE)
    }

    #[inline(always)]
    fn one(self, s: S, slot: u32) -> f32 {
        let Self { scoring, store, .. } = self;
        if scoring.custom.is_some() {
            return scoring.distance(self.probe, store, slot);
        }
        // SAFETY: slots come from rows of the graph, so their vectors are written; probe and vectors have the bytes of their strides.
        let raw = unsafe { distance::one::<S, K>(s, self.probe.vector, store.vector(slot), scoring.stride) };
        self.finish(raw, slot)
    }

    #[inline(always)]
    fn four(self, s: S, slots: [u32; 4]) -> [f32; 4] {
        let Self { scoring, store, .. } = self;
        if scoring.custom.is_some() {
            return slots.map(|slot| scoring.distance(self.probe, store, slot));
        }
        let rows = [store.vector(slots[0]), store.vector(slots[1]), store.vector(slots[2]), store.vector(slots[3])];
        // SAFETY: as in `one`.
        let raw = unsafe { distance::four::<S, K>(s, self.probe.vector, rows, scoring.stride) };
        [
            self.finish(raw[0], slots[0]),
            self.finish(raw[1], slots[1]),
            self.finish(raw[2], slots[2]),
            self.finish(raw[3], slots[3]),
        ]
    }
}

impl<S: Simd> Scorer<S> for Estimator<'_> {
    #[inline(always)]
    fn address(self, slot: u32) -> *const u8 {
        Self::address(&self, slot)
    }

    #[inline(always)]
    fn ahead(self) -> usize {
        self.stride()
    }

    #[inline(always)]
    fn one(self, s: S, slot: u32) -> f32 {
        // SAFETY: slots come from rows of the graph; a slot's code is written before it is linked.
        unsafe { Self::one(&self, s, slot) }
    }

    #[inline(always)]
    fn four(self, s: S, slots: [u32; 4]) -> [f32; 4] {
        // SAFETY: as in `one`.
        unsafe { Self::four(&self, s, slots) }
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

impl Descend<'_> {
    #[inline(always)]
    fn go<S: Simd, C: Scorer<S>>(self, s: S, scorer: C) -> (f32, u32) {
        let Self { field, start, level, trail, .. } = self;
        let mut best = (scorer.one(s, start.0), start.0);
        let mut at = start.1;
        while at > level {
            loop {
                let from = best.1;
                trail.gathered.clear();
                field.graph.neighbours(from, at, &mut trail.gathered);
                trail.scored += trail.gathered.len() as u64;
                trail.hops += 1;
                fetch(scorer, &trail.gathered);
                // The way on leads through one of them: where its rows are must be known before they can be fetched.
                for &slot in &trail.gathered {
                    field.graph.prefetch_number_of_rows(slot);
                }
                score(
                    s,
                    scorer,
                    &trail.gathered,
                    #[inline(always)]
                    |distance, slot| {
                        if distance < best.0 {
                            best = (distance, slot);
                            field.graph.prefetch_upper_rows(slot, at);
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

impl Job for Descend<'_> {
    type Output = (f32, u32);

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> (f32, u32) {
        let scorer = Exact::<K>::new(self.field.scoring, self.field.store, self.probe);
        self.go(s, scorer)
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
    /// Candidates kept beyond `ef`, which are not expanded.
    pub(crate) spare: usize,
    pub(crate) admission: A,
    pub(crate) trail: &'a mut Trail,
}

impl<A: Admission> Walk<'_, A> {
    #[inline(always)]
    fn go<S: Simd, C: Scorer<S>>(self, s: S, scorer: C) -> End {
        let Self { field, start, level, ef, spare, admission, trail, .. } = self;
        let Trail { visited, frontier, passing, gathered, fetched, scored, hops } = trail;
        let slots = field.store.slots() as usize;
        let patience = (slots / GIVE_UP).clamp(GIVE_UP_FROM, GIVE_UP_AT);
        visited.reset(slots);
        if A::EVERYTHING {
            frontier.reset_window(ef + spare, ef);
        } else {
            frontier.reset(patience);
        }
        let ef = ef + spare;
        passing.clear();
        visited.insert(start.1);
        Intake { graph: field.graph, admission: &admission, frontier, passing, ef, level }.add(s, start);
        let (mut seen, mut steps) = (0, 0);
        // Neighbours that were fetched and wait to be scored.
        let mut waiting = 0;
        loop {
            let mut count = 0;
            if let Some((distance, slot)) = frontier.expand() {
                if !A::EVERYTHING {
                    if passing.len() == ef && passing.peek().is_some_and(|&worst| distance > unpack(worst).0) {
                        break;
                    }
                    if seen > patience {
                        return End::GaveUp;
                    }
                }
                // Most often the next one now is the next one then.
                if level == 0
                    && let Some(next) = frontier.next()
                {
                    field.graph.prefetch_row(next);
                }
                // A slot of the upper levels lends its wider links to the walk at level 0: the way out of a tight cluster that was inserted
                // in one go, whose own links lead to itself.
                let reach = if level == 0 { u32::from(field.graph.is_upper(slot)) } else { level };
                for at in level..=reach {
                    count = gather(field.graph.row(slot, at), visited, gathered, count);
                }
                row::behind();
                fetch(scorer, &gathered[..count]);
                (seen, steps) = (seen + count, steps + 1);
            } else if waiting == 0 {
                break;
            }
            let ahead = A::EVERYTHING && steps > AHEAD_FROM;
            if !ahead {
                std::mem::swap(gathered, fetched);
                (waiting, count) = (count, 0);
            }
            let intake = Intake {
                graph: field.graph,
                admission: &admission,
                frontier: &mut *frontier,
                passing: &mut *passing,
                ef,
                level,
            };
            score(s, scorer, &fetched[..waiting], intake);
            if ahead {
                std::mem::swap(gathered, fetched);
            }
            waiting = count;
        }
        *hops += steps;
        *scored += seen as u64;
        End::Whole
    }
}

impl<A: Admission> Job for Walk<'_, A> {
    type Output = End;

    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> End {
        let scorer = Exact::<K>::new(self.field.scoring, self.field.store, self.probe);
        self.go(s, scorer)
    }
}

/// A [`Descend`] or [`Walk`] that goes by what codes say; its probe is not used.
pub(crate) struct ByCodes<'a, J>(pub(crate) J, pub(crate) Estimator<'a>);

impl LevelJob for ByCodes<'_, Descend<'_>> {
    type Output = (f32, u32);

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> (f32, u32) {
        self.0.go(s, self.1)
    }
}

impl<A: Admission> LevelJob for ByCodes<'_, Walk<'_, A>> {
    type Output = End;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> End {
        self.0.go(s, self.1)
    }
}

/// Collects the slots of a row that the walk has not seen, behind the first `count` of `gathered`; says how many there are then.
#[inline(always)]
fn gather(row: &[AtomicU32], visited: &mut Visited, gathered: &mut Vec<u32>, mut count: usize) -> usize {
    let room = count + row.len();
    if gathered.len() < room {
        gathered.resize(room, 0);
    }
    let (out, mut marks) = (&mut gathered[..room], visited.marks());
    // Every link is written and only the new ones counted: half of them are new, which no branch predictor foresees.
    row::read_cells(
        row,
        #[inline(always)]
        |link| {
            let slot = link & !KEEP;
            out[count] = slot;
            count += usize::from(marks.insert(slot));
        },
    );
    count
}

/// Asks for the lines that are about to be scored.
#[inline(always)]
fn fetch<S: Simd>(scorer: impl Scorer<S>, links: &[u32]) {
    let bytes = scorer.ahead();
    for &link in links {
        let address = scorer.address(link & !KEEP);
        let mut at = 0;
        while at < bytes {
            prefetch(address.wrapping_add(at));
            at += LINE;
        }
    }
}

/// Scores the slots of links four at a time and hands on what is wanted. Never hands on NaN.
#[inline(always)]
fn score<S: Simd>(s: S, scorer: impl Scorer<S>, links: &[u32], mut sink: impl Sink) {
    let mut groups = links.chunks_exact(4);
    for group in &mut groups {
        let group = [group[0] & !KEEP, group[1] & !KEEP, group[2] & !KEEP, group[3] & !KEEP];
        let distances = scorer.four(s, group);
        take_four(s, distances, group, &mut sink);
    }
    for &link in groups.remainder() {
        let slot = link & !KEEP;
        sink.take(s, scorer.one(s, slot), slot);
    }
}

/// Hands on four slots, or those of them that are wanted.
#[inline(always)]
fn take_four<S: Simd, T: Sink>(s: S, distances: [f32; 4], slots: [u32; 4], sink: &mut T) {
    if !T::CHOOSES {
        for i in 0..4 {
            sink.take(s, distances[i], slots[i]);
        }
        return;
    }
    // All are compared before the first is taken: one branch that cannot be foreseen, for how many are wanted, instead of four.
    let mut wanted = sink.wanted(s, distances);
    while wanted != 0 {
        let i = wanted.trailing_zeros() as usize & 3;
        wanted &= wanted - 1;
        sink.take(s, distances[i], slots[i]);
    }
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
        let scorer = Exact::<K>::new(field.scoring, field.store, probe);
        fetch(scorer, links);
        score(
            s,
            scorer,
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
                    score(
                        s,
                        Exact::<K>::new(field.scoring, field.store, probe),
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
