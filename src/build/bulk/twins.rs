//! What becomes of vectors that are equal? One of them, the *first*, is linked like any other; the others, its *twins*, have its links.
//!
//! Linked like any other, twins would fill their rows with each other, and a walk that comes among them would find no way out.

use super::codes::Codes;
use super::kept::{tie, with_room};
use super::layer::Rows;
use super::team::Team;
use crate::graph::{KEEP, NONE};
use crate::util::error::Result;
use crate::util::memory::{gather, make_room, repeated, roomy, zeroed};
use crate::util::random::mix;
use parking_lot::Mutex;

/// Vectors that a thread hashes at a time.
const PART: usize = 4096;

/// The members of a level, and which of them are equal.
#[derive(Debug)]
pub(super) struct Twins {
    /// Places in the pile, ascending.
    pub(super) members: Vec<u32>,
    /// Of each member, the number of the first that equals it; its own if it is that one.
    firsts: Vec<u32>,
    /// Those that are the first, ascending.
    pub(super) distinct: Vec<u32>,
    /// Of each of these, whether it has many twins.
    pub(super) sticky: Vec<bool>,
}

/// Parts of the hashes.
const SHARDS: usize = 16;

/// So many equal vectors keep a walk of the usual breadth from seeing much else.
const MANY: u32 = 8;

impl Twins {
    pub(super) fn find(codes: &Codes, members: Vec<u32>, team: &Team<'_>) -> Result<Self> {
        let firsts = firsts(codes, &members, team)?;
        let own = (0..).zip(&firsts).filter(|(i, first)| i == *first);
        let (mut distinct, mut sticky) = (roomy(members.len())?, roomy(members.len())?);
        distinct.extend(own.map(|(i, _): (u32, _)| members[i as usize]));
        let mut equal = zeroed::<u32>(members.len())?;
        firsts.iter().for_each(|&first| equal[first as usize] += 1);
        sticky.extend(equal.into_iter().filter(|&equal| equal > 0).map(|equal| equal > MANY));
        Ok(Self { members, firsts, distinct, sticky })
    }

    /// The number among the distinct ones of the first that equals the member at this place.
    pub(super) fn number(&self, place: u32) -> u32 {
        let number = |list: &[u32], place: u32| list.partition_point(|&other| other < place);
        let first = self.firsts[number(&self.members, place)];
        number(&self.distinct, self.members[first as usize]) as u32
    }

    /// Rows of all members from those of the distinct ones; links become places. A twin has the links of the first, which are not kept,
    /// and one to it.
    pub(super) fn spread(&self, rows: Rows) -> Result<Rows> {
        let degree = rows.degree;
        let rename = |link: u32| match link {
            NONE => NONE,
            _ => self.distinct[(link & !KEEP) as usize] | link & KEEP,
        };
        if self.distinct.len() == self.members.len() {
            let mut links = rows.links;
            links.iter_mut().for_each(|link| *link = rename(*link));
            return Ok(Rows { degree, links });
        }
        let mut links = roomy(self.members.len() * degree)?;
        // Of each member that is the first, its number among the distinct ones.
        let mut numbers = zeroed::<u32>(self.members.len())?;
        let mut next = 0;
        for (i, &first) in (0..).zip(&self.firsts) {
            if first == i {
                numbers[i as usize] = next;
                next += 1;
                links.extend(
                    rows.links[numbers[i as usize] as usize * degree..][..degree].iter().map(|&link| rename(link)),
                );
            } else {
                let row = &rows.links[numbers[first as usize] as usize * degree..][..degree - 1];
                links.push(self.members[first as usize]);
                links.extend(row.iter().map(|&link| if link == NONE { NONE } else { rename(link) & !KEEP }));
            }
        }
        Ok(Rows { degree, links })
    }

    /// Hangs the twins of level 0, whose members are the whole pile, below their firsts: one below it, and the others below that one.
    pub(super) fn hang(&self, rows: &mut Rows, m: usize) -> Result<()> {
        if self.distinct.len() == self.members.len() {
            return Ok(());
        }
        let children = (m / 2).max(2);
        let mut groups: Vec<(u32, u32)> = roomy(self.members.len() - self.distinct.len())?;
        groups.extend((0..).zip(&self.firsts).map(|(i, &first)| (first, i)).filter(|(first, twin)| first != twin));
        groups.sort_unstable();
        for group in groups.chunk_by(|a, b| a.0 == b.0) {
            let (first, twin) = group[0];
            tie(rows, with_room(rows, first, m, mix(u64::from(twin))), twin);
            for (i, &(_, twin)) in group.iter().enumerate().skip(1) {
                tie(rows, group[(i - 1) / children].1, twin);
            }
        }
        Ok(())
    }
}

/// Of each member of a list, the number of the first that equals it; its own if it is that one.
fn firsts(codes: &Codes, members: &[u32], team: &Team<'_>) -> Result<Vec<u32>> {
    let mut hashes = zeroed::<u64>(members.len())?;
    team.each(hashes.chunks_mut(PART).zip(members.chunks(PART)), 0, |_, (hashes, members), (): &mut ()| {
        for (hash, &member) in hashes.iter_mut().zip(members) {
            let words = codes.words_of(member).as_chunks::<2>();
            let tail = words.1.first().copied().unwrap_or(0);
            let pairs = words.0.iter().map(|pair| u64::from(pair[0]) << 32 | u64::from(pair[1]));
            *hash = pairs
                .fold(u64::from(tail), |hash, pair| (hash.rotate_left(23) ^ pair).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
    })?;
    // Each shard of the hashes is looked through for itself, in order.
    let shards: Vec<_> = (0..SHARDS).map(|_| Mutex::new(Ok(Vec::new()))).collect();
    team.run(SHARDS, 0, |shard, own: &mut Vec<u32>, _| {
        *shards[shard].lock() = repeats(codes, members, (&hashes, shard), own);
    })?;
    let mut firsts = gather(0..members.len() as u32)?;
    for shard in shards {
        shard.into_inner()?.into_iter().for_each(|(i, first)| firsts[i as usize] = first);
    }
    Ok(firsts)
}

/// The shard of a hash. Its lower bits choose the place in a table.
fn shard_of(hash: u64) -> usize {
    (mix(hash) >> 32) as usize % SHARDS
}

/// Of the members of a shard, the numbers of those that equal an earlier one, and of the first that does.
fn repeats(
    codes: &Codes,
    members: &[u32],
    (hashes, shard): (&[u64], usize),
    numbers: &mut Vec<u32>,
) -> Result<Vec<(u32, u32)>> {
    let here = || (0..).zip(hashes).filter(|(_, hash)| shard_of(**hash) == shard);
    numbers.clear();
    make_room(numbers, here().count())?;
    numbers.extend(here().map(|(i, _): (u32, _)| i));
    // Open addressing at half load; the hash of the lower bits, mixed, is the place.
    let mut table = repeated(u32::MAX, (numbers.len() * 2).next_power_of_two())?;
    let mask = table.len() - 1;
    let mut found: Vec<(u32, u32)> = Vec::new();
    for &i in &*numbers {
        let mut at = mix(hashes[i as usize]) as usize & mask;
        loop {
            let there = table[at];
            if there == u32::MAX {
                table[at] = i;
                break;
            }
            let equal = hashes[there as usize] == hashes[i as usize]
                && codes.are_equal(members[there as usize], members[i as usize]);
            if equal {
                let more = found.len() + 1;
                make_room(&mut found, more)?;
                found.push((i, there));
                break;
            }
            at = (at + 1) & mask;
        }
    }
    Ok(found)
}
