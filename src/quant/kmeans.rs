//! Which few vectors stand best for many? (k-means)
//!
//! Points are rounded to signed bytes once (`rounded`); so all distances are products of integers, four in a lane, and a sum is the same in any order:
//! clusters depend on the seed, not on the level or the number of threads. What rounding adds to a squared distance is a ten thousandth of the square of the
//! largest component, far below what any clustering leaves. Means are kept as floats, and compared with as bytes.
//!
//! First come rounds over a part of the points each (Sculley, Web-scale k-means clustering, 2010), then rounds over all of them (Lloyd). A cluster that
//! nobody is nearest to goes to where most is lost: to the farthest point of the cluster that loses most.
//!
//! A view of the points may leave out bytes in front and behind ([`Points`]): sub-spaces of product codes are clustered where they lie.

use super::rounded::{Points, point_of};
use super::whole;
use crate::distance::closest::{self, Book};
use crate::distance::tile::{self, Form, Own, Point, Selection, Side};
use crate::simd::{Level, detect};
use crate::util::error::{Error, Result, Status};
use crate::util::pool::Pool;
use crate::util::progress::Work;
use crate::util::random::mix;
use parking_lot::Mutex;

/// Points that a thread takes at a time.
const PIECE: usize = 256;
/// A round of the first kind takes one point in so many.
const PART: usize = 8;
/// Seeds are spread over so many points for each cluster.
const SPREAD_OVER: usize = 8;

/// Where clusters begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeding {
    /// At points that are taken evenly.
    Sampled,
    /// At points, each taken the more likely the farther it is from those before (k-means++, Arthur and Vassilvitskii, 2007).
    Spread,
}

/// How points are clustered.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) clusters: usize,
    pub(crate) seeding: Seeding,
    /// Rounds over a part of the points, and over all of them.
    pub(crate) partial: usize,
    pub(crate) whole: usize,
    pub(crate) seed: u64,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Clusters {
    /// The mean of each cluster, in units of a byte, and rounded to bytes, `words` each.
    pub(crate) means: Vec<f32>,
    pub(crate) words: Vec<u32>,
    /// The sum of squared distances of all points from the vectors of the last round, in units of a byte.
    pub(crate) loss: u64,
}

/// Sees how far clustering has come, in rounds; what it answers is whether to stop.
pub(crate) type Watch<'a> = &'a dyn Fn(usize, usize) -> bool;

/// Clusters points. Where there are fewer different ones than clusters, some are alike.
///
/// # Errors
/// `Cancelled` if `watch` says so; `Argument` if there are no points or no clusters; `Memory`.
pub(crate) fn cluster(
    points: Points<'_>,
    plan: &Plan,
    (threads, pool): (usize, &Pool),
    watch: Watch<'_>,
) -> Result<Clusters> {
    if points.count() == 0 || plan.clusters == 0 {
        return Err(Error::argument("nothing to cluster, or into nothing"));
    }
    let mut run = Run::new(points, plan)?;
    let all = plan.partial + plan.whole;
    let mut before = u64::MAX;
    for round in 0..all {
        let every = if round < plan.partial { PART.min(points.count()) } else { 1 };
        let tally = run.pass((round % every, every), threads, pool);
        run.clusters.loss = tally.each.iter().map(|each| each.loss).sum();
        if every > 1 {
            run.follow(&tally);
        } else if std::mem::replace(&mut before, run.clusters.loss) == run.clusters.loss {
            break;
        } else {
            run.settle(&tally);
        }
        if watch(round + 1, all) {
            return Err(Error::new(Status::Cancelled, format!("stopped after {} of {all} rounds", round + 1)));
        }
    }
    Ok(run.clusters)
}

/// What is compared with.
enum Centres {
    Books(Vec<Book>),
    /// Longer vectors than books hold.
    Side(Box<Side>),
}

impl Centres {
    fn of(level: Level, words: &[u32], len: usize) -> Self {
        let points = || words.chunks_exact(len).map(point_of);
        if len > closest::MOST_WORDS {
            let mut side = Box::<Side>::default();
            side.pack(level, Form::Squares, points());
            return Self::Side(side);
        }
        let books =
            words.chunks(closest::MOST * len).map(|words| Book::new(level, words.chunks_exact(len).map(point_of)));
        Self::Books(books.collect())
    }

    /// The nearest of each point: its squared distance times 2^32 plus its number.
    fn nearest(&self, level: Level, points: &[Point<'_>], work: &mut Selection, out: &mut [u64]) {
        match self {
            Self::Side(side) => tile::nearest(level, Form::Squares, points, side, (1, Own::Other), work, out),
            Self::Books(books) => {
                let mut others = [0; PIECE];
                for (number, book) in books.iter().enumerate() {
                    if number == 0 {
                        book.closest(points, out);
                        continue;
                    }
                    book.closest(points, &mut others);
                    for (out, other) in out.iter_mut().zip(&others[..points.len()]) {
                        *out = (*out).min(other + (number * closest::MOST) as u64);
                    }
                }
            }
        }
    }
}

/// What a pass finds of a cluster.
#[derive(Clone, Copy, Default)]
struct Each {
    count: u32,
    loss: u64,
    /// The farthest point, the first of equally far ones: its distance times 2^32, and its number from the end.
    farthest: u64,
}

struct Tally {
    each: Vec<Each>,
    sums: Vec<i32>,
}

impl Tally {
    fn new(clusters: usize, bytes: usize) -> Self {
        Self { each: vec![Each::default(); clusters], sums: vec![0; clusters * bytes] }
    }

    fn add(&mut self, other: &Self) {
        for (to, from) in self.each.iter_mut().zip(&other.each) {
            to.count += from.count;
            to.loss += from.loss;
            to.farthest = to.farthest.max(from.farthest);
        }
        self.sums.iter_mut().zip(&other.sums).for_each(|(to, from)| *to += from);
    }
}

struct Run<'a> {
    points: Points<'a>,
    level: Level,
    /// Points that each cluster has seen in rounds over a part of them.
    seen: Vec<u64>,
    clusters: Clusters,
}

impl<'a> Run<'a> {
    fn new(points: Points<'a>, plan: &Plan) -> Result<Self> {
        let (level, len) = (detect(), points.words());
        let seeds = match plan.seeding {
            Seeding::Sampled => evenly(points.count(), plan.clusters, plan.seed),
            Seeding::Spread => spread(points, plan, level),
        };
        let mut words = Vec::new();
        words.try_reserve_exact(plan.clusters * len).map_err(|_| Error::memory(plan.clusters * len * 4))?;
        seeds.into_iter().for_each(|i| words.extend_from_slice(points.point(i).words));
        let means =
            words.iter().flat_map(|word| word.to_ne_bytes()).map(|byte| f32::from(byte.cast_signed())).collect();
        Ok(Self { points, level, seen: vec![0; plan.clusters], clusters: Clusters { means, words, loss: 0 } })
    }

    fn bytes(&self) -> usize {
        4 * self.points.words()
    }

    /// Finds the nearest of one point in `every`, from the point `first` on.
    fn pass(&self, (first, every): (usize, usize), threads: usize, pool: &Pool) -> Tally {
        let centres = Centres::of(self.level, &self.clusters.words, self.points.words());
        let clusters = self.seen.len();
        let total = Mutex::new(Tally::new(clusters, self.bytes()));
        let work = Work::new((self.points.count() - first).div_ceil(every), PIECE);
        let run = || {
            let mut tally = Tally::new(clusters, self.bytes());
            let (mut points, mut nearest, mut selection) = (Vec::new(), [0; PIECE], Selection::default());
            while let Some(piece) = work.take() {
                points.clear();
                points.extend(piece.clone().map(|i| self.points.plain(first + i * every)));
                closest::measure(self.level, &mut points);
                centres.nearest(self.level, &points, &mut selection, &mut nearest);
                closest::add_up(self.level, &points, &nearest, &mut tally.sums);
                for (i, found) in piece.zip(nearest) {
                    let each = &mut tally.each[(found & u64::from(u32::MAX)) as usize];
                    each.count += 1;
                    each.loss += found >> 32;
                    each.farthest =
                        each.farthest.max(found >> 32 << 32 | u64::from(u32::MAX - (first + i * every) as u32));
                }
            }
            total.lock().add(&tally);
        };
        if pool.run(threads, |_| run(), run).is_err() {
            run();
        }
        total.into_inner()
    }

    /// Puts every cluster where its points are on the average.
    fn settle(&mut self, tally: &Tally) {
        let (bytes, mut each) = (self.bytes(), tally.each.clone());
        for (c, sums) in tally.sums.chunks_exact(bytes).enumerate() {
            let count = each[c].count;
            if count > 0 {
                let means = &mut self.clusters.means[c * bytes..][..bytes];
                means.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (f64::from(*sum) / f64::from(count)) as f32);
            }
        }
        for c in 0..each.len() {
            if each[c].count == 0 {
                self.rescue(c, &mut each);
            }
        }
        self.round();
    }

    /// Puts a cluster without points on the farthest point of the cluster that loses most, if any loses something.
    fn rescue(&mut self, empty: usize, each: &mut [Each]) {
        let most = (0..each.len()).max_by_key(|&c| (each[c].loss, std::cmp::Reverse(c)));
        let Some(most) = most.filter(|&most| each[most].loss > 0) else { return };
        let farthest = u32::MAX - each[most].farthest as u32;
        // What it loses without that point, about; a further cluster goes elsewhere, since this one's next farthest is not known.
        each[most].loss = 0;
        let (bytes, point) = (self.bytes(), self.points.point(farthest as usize));
        let values = point.words.iter().flat_map(|word| word.to_ne_bytes()).map(|byte| f32::from(byte.cast_signed()));
        self.clusters.means[empty * bytes..][..bytes].iter_mut().zip(values).for_each(|(mean, value)| *mean = value);
    }

    /// Moves every cluster towards those of its points that were looked at, the less the more it has seen.
    fn follow(&mut self, tally: &Tally) {
        let bytes = self.bytes();
        for (c, sums) in tally.sums.chunks_exact(bytes).enumerate() {
            let count = f64::from(tally.each[c].count);
            self.seen[c] += u64::from(tally.each[c].count);
            let seen = self.seen[c].max(1) as f64;
            for (mean, sum) in self.clusters.means[c * bytes..][..bytes].iter_mut().zip(sums) {
                *mean += ((f64::from(*sum) - count * f64::from(*mean)) / seen) as f32;
            }
        }
        self.round();
    }

    fn round(&mut self) {
        for (word, means) in self.clusters.words.iter_mut().zip(self.clusters.means.as_chunks::<4>().0) {
            *word = u32::from_ne_bytes(means.map(|mean| whole(mean) as u8));
        }
    }
}

/// A random number, the same for the same seed and place: of a sequence of SplitMix64.
fn random(seed: u64, i: u64) -> u64 {
    mix(seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A random number below `below`.
fn random_below(below: u64, seed: u64, i: u64) -> u64 {
    ((u128::from(random(seed, i)) * u128::from(below)) >> 64) as u64
}

/// `wanted` of `count` numbers, one out of each of so many equal parts; all different where there are so many.
pub(super) fn evenly(count: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let end = |i: usize| (i as u64 * count as u64 / wanted as u64) as usize;
    (0..wanted)
        .map(|i| {
            let part = end(i)..end(i + 1).max(end(i) + 1);
            (part.start + random_below(part.len() as u64, seed, i as u64) as usize).min(count - 1)
        })
        .collect()
}

/// Points far from each other, more likely than others.
fn spread(points: Points<'_>, plan: &Plan, level: Level) -> Vec<usize> {
    let among = evenly(points.count(), points.count().min(SPREAD_OVER * plan.clusters), plan.seed);
    let all: Vec<Point<'_>> = among.iter().map(|&i| points.point(i)).collect();
    let mut far = vec![u32::MAX; all.len()];
    let mut seeds = Vec::with_capacity(plan.clusters);
    let (mut work, mut found) = (Selection::default(), [0; PIECE]);
    let mut next = random_below(all.len() as u64, !plan.seed, 0) as usize;
    while seeds.len() < plan.clusters {
        seeds.push(among[next]);
        let newest = Centres::of(level, all[next].words, points.words());
        for (points, far) in all.chunks(PIECE).zip(far.chunks_mut(PIECE)) {
            newest.nearest(level, points, &mut work, &mut found);
            far.iter_mut().zip(found).for_each(|(far, found)| *far = (*far).min((found >> 32) as u32));
        }
        let total: u64 = far.iter().map(|&far| u64::from(far)).sum();
        let mut left = random_below(total.max(1), !plan.seed, seeds.len() as u64);
        let here = far.iter().position(|&far| {
            let here = left < u64::from(far);
            left = left.saturating_sub(u64::from(far));
            here
        });
        next = here.unwrap_or(seeds.len() % all.len());
    }
    seeds
}
