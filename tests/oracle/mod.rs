//! Could these answers have been given? Judges what threads saw of an index against what threads did to it, after the fact.
//!
//! Every call is noted with two stamps of one clock, taken before and after it. A vector is *possibly* there from the start of the
//! call that put it in to the end of the first later call that took it out; a key is *surely* there from the end of the call
//! that put it in until a call that could take it out begins.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

pub const DIMENSIONS: usize = 16;

/// Stamps.
#[derive(Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }
}

/// Every vector that is ever used has a number of its own.
pub fn vector(version: u64) -> [f32; DIMENSIONS] {
    let mut random = Random(version);
    std::array::from_fn(|_| (random.bits() >> 40) as f32 / (1u64 << 24) as f32)
}

pub fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// What a call did to a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Done {
    Inserted(u64),
    Upserted(u64),
    Removed,
    /// It was refused because the key was there.
    Exists,
    /// It was refused because the key was not there.
    Absent,
    /// A batch that was cancelled or failed for another key.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub key: u64,
    pub from: u64,
    pub to: u64,
    pub done: Done,
}

/// What a call saw.
#[derive(Debug)]
pub enum Seen {
    Search { query: [f32; DIMENSIONS], k: usize, odd_only: bool, hits: Vec<(u64, f32)> },
    Vector(u64, Option<Vec<u8>>),
    Contains(u64, bool),
    Keys(Vec<u64>),
    Count(u64),
}

#[derive(Debug)]
pub struct Look {
    pub from: u64,
    pub to: u64,
    pub seen: Seen,
}

/// What happened to one key.
#[derive(Default)]
struct Story {
    changes: Vec<Change>,
}

/// All that happened.
pub struct Oracle {
    stories: HashMap<u64, Story>,
    clears: Vec<(u64, u64)>,
}

impl Oracle {
    pub fn new(changes: Vec<Change>, clears: Vec<(u64, u64)>) -> Self {
        let mut stories: HashMap<u64, Story> = HashMap::new();
        for change in changes {
            stories.entry(change.key).or_default().changes.push(change);
        }
        Self { stories, clears }
    }

    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.stories.keys().copied()
    }

    /// The vectors that may have been there at some time of an interval.
    pub fn possible(&self, key: u64, from: u64, to: u64) -> Vec<u64> {
        let Some(story) = self.stories.get(&key) else { return Vec::new() };
        let put = |change: &Change| match change.done {
            Done::Inserted(version) | Done::Upserted(version) => Some(version),
            _ => None,
        };
        let takes_out = |change: &&Change| put(change).is_some() || change.done == Done::Removed;
        let versions = story.changes.iter().filter_map(|change| Some((put(change)?, change)));
        let alive = versions.filter(|(_, put)| put.from <= to).filter(|(_, put)| {
            let later =
                story.changes.iter().filter(takes_out).filter(|change| change.from > put.to).map(|change| change.to);
            let cleared = self.clears.iter().filter(|clear| clear.0 > put.to).map(|clear| clear.1);
            let end = later.chain(cleared).min().unwrap_or(u64::MAX);
            end >= from
        });
        alive.map(|(version, _)| version).collect()
    }

    /// Whether a key was there during a whole interval.
    pub fn sure(&self, key: u64, from: u64, to: u64) -> bool {
        let Some(story) = self.stories.get(&key) else { return false };
        let put = |change: &&Change| matches!(change.done, Done::Inserted(_) | Done::Upserted(_)) && change.to < from;
        let removals = || story.changes.iter().filter(|change| change.done == Done::Removed);
        story.changes.iter().filter(put).any(|put| {
            let after = |start: u64, end: u64| end > put.from && start < to;
            !removals().any(|change| after(change.from, change.to))
                && !self.clears.iter().any(|&(start, end)| after(start, end))
        })
    }

    /// What is wrong with what a call saw.
    pub fn judge(&self, look: &Look) -> Result<(), String> {
        let (from, to) = (look.from, look.to);
        let fail = |what: String| Err(format!("{what}\nseen from {from} to {to}"));
        match &look.seen {
            Seen::Search { query, k, odd_only, hits } => {
                let passes = |key: u64| !odd_only || key % 2 == 1;
                let mut known = std::collections::HashSet::new();
                for &(key, got) in hits {
                    let fits = |&version: &u64| (distance(query, &vector(version)) - f64::from(got)).abs() < 1e-4;
                    let versions = self.possible(key, from, to);
                    if !versions.iter().any(fits) {
                        return fail(format!("key {key} at {got}, possible were {versions:?}: {}", self.tell(key)));
                    }
                    if !known.insert(key) {
                        return fail(format!("key {key} twice: {hits:?}: {}", self.tell(key)));
                    }
                    if !passes(key) {
                        return fail(format!("key {key} does not pass"));
                    }
                }
                if !hits.is_sorted_by(|a, b| (a.1, a.0) < (b.1, b.0)) {
                    return fail(format!("not in order: {hits:?}"));
                }
                // Counting who was surely there is dear; a full answer needs no proof.
                let there = |key: &u64| passes(*key) && self.sure(*key, from, to);
                if hits.len() < *k && self.keys().filter(there).count() > hits.len() {
                    return fail(format!("{} hits of {k}, and more were there", hits.len()));
                }
            }
            Seen::Vector(key, Some(got)) => {
                if !self.possible(*key, from, to).iter().any(|&version| bytes(&vector(version)) == *got) {
                    return fail(format!("a vector of {key} that it cannot have: {}", self.tell(*key)));
                }
            }
            Seen::Vector(key, None) | Seen::Contains(key, false) => {
                if self.sure(*key, from, to) {
                    return fail(format!("key {key} not there: {}", self.tell(*key)));
                }
            }
            Seen::Contains(key, true) => {
                if self.possible(*key, from, to).is_empty() {
                    return fail(format!("key {key} there: {}", self.tell(*key)));
                }
            }
            Seen::Keys(keys) => {
                let mut sorted = keys.clone();
                sorted.sort_unstable();
                if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                    return fail(format!("keys() has {} twice: {}", pair[0], self.tell(pair[0])));
                }
                if let Some(&key) = keys.iter().find(|&&key| self.possible(key, from, to).is_empty()) {
                    return fail(format!("keys() has {key}: {}", self.tell(key)));
                }
                let missing = |key: &u64| self.sure(*key, from, to) && sorted.binary_search(key).is_err();
                if let Some(key) = self.keys().find(missing) {
                    return fail(format!("keys() lacks {key}: {}", self.tell(key)));
                }
            }
            Seen::Count(count) => {
                let sure = self.keys().filter(|&key| self.sure(key, from, to)).count() as u64;
                let possible = self.keys().filter(|&key| !self.possible(key, from, to).is_empty()).count() as u64;
                if !(sure..=possible).contains(count) {
                    return fail(format!("{count} vectors, at least {sure} and at most {possible} could be"));
                }
            }
        }
        Ok(())
    }

    /// What is wrong with what a call did.
    pub fn judge_change(&self, change: &Change) -> Result<(), String> {
        let Change { key, from, to, done } = *change;
        let others = self.stories[&key].changes.iter().filter(|other| (other.from, other.to) != (from, to));
        let mut beside = others.filter(|other| other.from < to && other.to > from);
        let right = match done {
            Done::Inserted(_) | Done::Absent => !self.sure(key, from, to),
            // The key of another insertion under way is taken, too, whatever becomes of that one.
            Done::Exists => !self.possible(key, from, to).is_empty() || beside.any(|other| other.done != Done::Removed),
            Done::Removed => !self.possible(key, from, to).is_empty(),
            Done::Upserted(_) | Done::Nothing => true,
        };
        if right { Ok(()) } else { Err(format!("{change:?}: {}", self.tell(key))) }
    }

    /// Where a key was never upserted or cleared: insertions minus removals.
    pub fn balance(&self, key: u64) -> Option<i64> {
        let changes = &self.stories[&key].changes;
        let upserted = changes.iter().any(|change| matches!(change.done, Done::Upserted(_)));
        (self.clears.is_empty() && !upserted).then(|| {
            let count = |wanted: fn(&Done) -> bool| changes.iter().filter(|change| wanted(&change.done)).count() as i64;
            count(|done| matches!(done, Done::Inserted(_))) - count(|done| *done == Done::Removed)
        })
    }

    fn tell(&self, key: u64) -> String {
        let changes = self.stories.get(&key).map_or(&[][..], |story| &story.changes);
        let lines: Vec<String> = changes.iter().map(|change| format!("\n  {change:?}")).collect();
        format!("its story:{}\nclears: {:?}", lines.concat(), self.clears)
    }
}
