//! How do calls fare while an index lives: while it becomes a graph, and while others write?
//!
//!     cargo bench --bench living -- --base base.npy --query query.npy [--only migrate,mixed,upkeep,threads,hub] [--seconds 20]
//!
//! `migrate`: the first vectors of `--base` go one by one into an index of kind auto, as f32; the calls around the move are timed, and once more those of
//! `kith_maintain` where nobody writes. `mixed`: two threads that each alternate a write and a search on an index of 100,000, beside two that only
//! search, three times alternating. `upkeep`: replacements, while links are mended by nobody, by the calls, or by a thread beside. `threads`: searches by one
//! thread, by two, and by two beside one that inserts 1,000 a second. `hub` (made vectors; needs `--features test-hooks` to say how long anybody waited for a row): single insertions by 2, 16 and 64
//! threads of vectors that all have one and the same nearest neighbour. benches/record/living.md has what came of them.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::expect_used)]

mod common;
#[path = "common/cpu.rs"]
mod cpu;

use common::Array;
use cpu::cpu_seconds;
use kith::distance::Element;
use kith::{BuildOptions, Index, Kind, Options, Rows, SearchOptions};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const K: usize = 10;
/// Where the library makes an index a graph by itself.
const FROM: usize = 5000;
/// Vectors of the index that is searched and written at once.
const LIVING: usize = 100_000;

fn main() {
    let options = common::options();
    if options.get("only").is_some_and(|only| only == "hub") {
        return hub();
    }
    let (Some(base), Some(query)) = (options.get("base"), options.get("query")) else {
        println!("living: needs --base and --query; see its head");
        return;
    };
    let (base, query) = (Array::open(base), Array::open(query));
    assert!(base.rows > LIVING, "{} vectors", base.rows);
    let sets = Sets {
        dimensions: base.columns as u32,
        base: base.vectors(Element::F32).into_owned(),
        queries: query.vectors(Element::F32).into_owned(),
    };
    let only = options.get("only").map_or("migrate,mixed", String::as_str);
    if only.contains("migrate") {
        migrate(&sets);
    }
    if only.contains("upkeep") {
        upkeep(&sets);
    }
    if only.contains("threads") {
        threads(&sets);
    }
    if only.contains("mixed") {
        let seconds = options.get("seconds").map_or(20, |seconds| seconds.parse().unwrap());
        mixed(&sets, Duration::from_secs(seconds));
    }
}

struct Sets {
    dimensions: u32,
    base: Vec<u8>,
    queries: Vec<u8>,
}

impl Sets {
    fn base(&self) -> Rows<'_> {
        Rows::packed(&self.base, self.dimensions as usize * 4)
    }

    fn queries(&self) -> Rows<'_> {
        Rows::packed(&self.queries, self.dimensions as usize * 4)
    }

    fn options(&self) -> Options {
        Options { dimensions: self.dimensions, ..Options::default() }
    }

    fn filled(&self, count: usize) -> Index {
        let index = Index::create(&self.options()).unwrap();
        (0..count).for_each(|i| index.insert(i as u64, self.base().row(i)).unwrap());
        index
    }

    /// A graph of [`LIVING`], built as a whole.
    fn living(&self) -> Index {
        let index = Index::create(&Options { kind: Kind::Graph, ..self.options() }).unwrap();
        let keys: Vec<u64> = (0..LIVING as u64).collect();
        let bytes = index.vector_bytes();
        index.insert_batch(&keys, Rows::packed(&self.base[..LIVING * bytes], bytes), &BuildOptions::default()).unwrap();
        index
    }

    /// Keys of the hits of some queries.
    fn answers(&self, index: &Index, exact: bool) -> Vec<[u64; K]> {
        let ef = if exact { 1 << 20 } else { 0 };
        let ask = |i| {
            let mut keys = [0; K];
            index.search(self.queries().row(i), &mut keys, None, &SearchOptions { ef, ..Default::default() }).unwrap();
            keys
        };
        (0..self.queries().count().min(1000)).map(ask).collect()
    }
}

/// Vectors of unit length around one at the origin: their distance from it is 1, from each other about 2.
fn around_a_hub(count: usize, dimensions: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut bytes = vec![0; 4 * dimensions];
    for _ in 1..count {
        let vector: Vec<f32> = (0..dimensions).map(|_| (0..4).map(|_| next()).sum()).collect();
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        bytes.extend(vector.iter().flat_map(|value| (value / length).to_le_bytes()));
    }
    bytes
}

fn hub() {
    const COUNT: usize = 20_000;
    const DIMENSIONS: usize = 32;
    let data = around_a_hub(COUNT, DIMENSIONS);
    println!("| threads | a second | processor s | longest call, ms | longest wait for a row, ms | waits over 5 ms |");
    println!("|---|---|---|---|---|---|");
    for threads in [2, 16, 64].into_iter().cycle().take(9) {
        let options = Options { dimensions: DIMENSIONS as u32, kind: Kind::Graph, ..Options::default() };
        let index = Index::create(&options).unwrap();
        let next = AtomicU64::new(0);
        let (start, before) = (Instant::now(), cpu_seconds());
        let longest = std::thread::scope(|scope| {
            let work = || {
                let mut longest = Duration::ZERO;
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(vector) = data.get(i * 4 * DIMENSIONS..(i + 1) * 4 * DIMENSIONS) else { return longest };
                    let begun = Instant::now();
                    index.insert(i as u64, vector).unwrap();
                    longest = longest.max(begun.elapsed());
                }
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
        });
        let seconds = start.elapsed().as_secs_f64();
        let (waited, long) = waits(&index);
        println!(
            "| {threads} | {:.0} | {:.2} | {:.1} | {:.2} | {long} |",
            COUNT as f64 / seconds,
            cpu_seconds() - before,
            longest.as_secs_f64() * 1e3,
            waited.as_secs_f64() * 1e3,
        );
    }
}

#[cfg(feature = "test-hooks")]
fn waits(index: &Index) -> (Duration, u64) {
    index.waits()
}

#[cfg(not(feature = "test-hooks"))]
fn waits(_index: &Index) -> (Duration, u64) {
    (Duration::ZERO, 0)
}

fn percentile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
}

fn migrate(sets: &Sets) {
    println!("| how | calls | in all, ms | of which as before | median call, ms | longest call, ms | recall after |");
    println!("|---|---|---|---|---|---|---|");
    for how in ["inserts", "maintain"].into_iter().cycle().take(6) {
        let index = sets.filled(FROM - 1);
        // What an insertion takes where nothing else is to do.
        let mut before: Vec<Duration> = Vec::new();
        for i in 0..200 {
            let start = Instant::now();
            index.upsert(i, sets.base().row(i as usize)).unwrap();
            before.push(start.elapsed());
        }
        let flat: Duration = before.iter().sum::<Duration>() / before.len() as u32;
        let mut times = Vec::new();
        let mut next = FROM - 1;
        while index.describe().kind == Kind::Flat {
            let start = Instant::now();
            if how == "inserts" || next == FROM - 1 {
                index.insert(next as u64, sets.base().row(next)).unwrap();
                next += 1;
            } else {
                index.maintain(Duration::from_millis(1)).unwrap();
            }
            times.push(start.elapsed());
        }
        let (all, calls): (Duration, usize) = (times.iter().sum(), times.len());
        let truth = sets.answers(&index, true);
        let found = sets.answers(&index, false);
        let hits: usize = truth.iter().zip(&found).map(|(t, f)| f.iter().filter(|key| t.contains(key)).count()).sum();
        println!(
            "| {how} | {calls} | {:.0} | {:.1} | {:.2} | {:.2} | {:.4} |",
            all.as_secs_f64() * 1e3,
            flat.as_secs_f64() * 1e3 * calls as f64,
            percentile(&mut times, 0.5),
            percentile(&mut times, 1.0),
            hits as f64 / (K * truth.len()) as f64
        );
    }
}

/// Searches by several threads, call by call.
fn threads(sets: &Sets) {
    let index = sets.living();
    let next = AtomicU64::new(LIVING as u64);
    println!("| searching | inserts a second | searches a second |");
    println!("|---|---|---|");
    for (searching, inserts) in [(1, 0), (2, 0), (2, 1000)].into_iter().cycle().take(15) {
        let over = AtomicBool::new(false);
        let (start, first) = (Instant::now(), next.load(Ordering::Relaxed));
        let searches: u64 = std::thread::scope(|scope| {
            let search = |first: usize| {
                let mut done = 0;
                while !over.load(Ordering::Relaxed) {
                    let query = sets.queries().row((first + done) % sets.queries().count());
                    index.search(query, &mut [0; K], None, &SearchOptions::default()).unwrap();
                    done += 1;
                }
                done as u64
            };
            let searching: Vec<_> = (0..searching).map(|thread| scope.spawn(move || search(thread * 500))).collect();
            while start.elapsed() < Duration::from_secs(3) {
                std::thread::sleep(Duration::from_millis(5));
                let due = (start.elapsed().as_secs_f64() * f64::from(inserts)) as u64;
                while next.load(Ordering::Relaxed) < first + due {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    index.upsert(key, sets.base().row(key as usize % sets.base().count())).unwrap();
                }
            }
            over.store(true, Ordering::Relaxed);
            searching.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let a_second = |count: u64| count as f64 / start.elapsed().as_secs_f64();
        let inserted = next.load(Ordering::Relaxed) - first;
        println!("| {searching} | {:.0} | {:.0} |", a_second(inserted), a_second(searches));
    }
}

/// Replacements, while the links around what was replaced are mended by nobody, by the calls, or by a thread beside them.
fn upkeep(sets: &Sets) {
    const REPLACED: usize = 7_000; // fewer than a twelfth of all, from which on the calls help
    let index = sets.living();
    println!(
        "| links are mended by | a second | median call, ms | p99, ms | longest, ms | processor us each | left to do |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut next = LIVING;
    for who in ["nobody", "the calls", "a worker"].into_iter().cycle().take(9) {
        index.leave_upkeep_to_worker(who != "the calls").unwrap();
        let over = AtomicBool::new(false);
        let (mut times, before) = (Vec::new(), cpu_seconds());
        std::thread::scope(|scope| {
            if who == "a worker" {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        if !index.do_upkeep(Duration::from_millis(10)).unwrap() {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                });
            }
            for _ in 0..REPLACED {
                let start = Instant::now();
                index.upsert((next * 31 % LIVING) as u64, sets.base().row(next % sets.base().count())).unwrap();
                times.push(start.elapsed());
                next += 1;
            }
            over.store(true, Ordering::Relaxed);
        });
        let all: Duration = times.iter().sum();
        let cpu = (cpu_seconds() - before) / REPLACED as f64;
        let left = index.maintain(Duration::ZERO).unwrap();
        println!(
            "| {who} | {:.0} | {:.3} | {:.3} | {:.1} | {:.0} | {left} |",
            REPLACED as f64 / all.as_secs_f64(),
            percentile(&mut times, 0.5),
            percentile(&mut times, 0.99),
            percentile(&mut times, 1.0),
            cpu * 1e6,
        );
        index.maintain(Duration::MAX).unwrap();
    }
}

fn mixed(sets: &Sets, time: Duration) {
    let index = sets.living();
    let (newest, oldest) = (AtomicU64::new(LIVING as u64), AtomicU64::new(0));
    println!("| | searches | median, ms | p99, ms | writes |");
    println!("|---|---|---|---|---|");
    for writing in [false, true].into_iter().cycle().take(6) {
        let over = AtomicBool::new(false);
        let written = AtomicU64::new(0);
        let mut times: Vec<Duration> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2u64)
                .map(|thread| {
                    let (index, over, newest, oldest, written) = (&index, &over, &newest, &oldest, &written);
                    scope.spawn(move || {
                        let mut times = Vec::new();
                        for turn in thread * 500.. {
                            if over.load(Ordering::Relaxed) {
                                return times;
                            }
                            if writing {
                                // A key goes, another comes: the index stays as large as it is.
                                if turn % 2 == 0 {
                                    let key = newest.fetch_add(1, Ordering::Relaxed);
                                    index.insert(key, sets.base().row(key as usize % sets.base().count())).unwrap();
                                } else {
                                    index.remove(oldest.fetch_add(1, Ordering::Relaxed)).unwrap();
                                }
                                written.fetch_add(1, Ordering::Relaxed);
                            }
                            let query = sets.queries().row(turn as usize % sets.queries().count());
                            let start = Instant::now();
                            let mut keys = [0; K];
                            index.search(query, &mut keys, None, &SearchOptions::default()).unwrap();
                            times.push(start.elapsed());
                        }
                        times
                    })
                })
                .collect();
            std::thread::sleep(time);
            over.store(true, Ordering::Relaxed);
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        println!(
            "| {} | {} | {:.3} | {:.3} | {} |",
            if writing { "half writes" } else { "searches only" },
            times.len(),
            percentile(&mut times, 0.5),
            percentile(&mut times, 0.99),
            written.load(Ordering::Relaxed)
        );
    }
    // Nothing is lost, and nothing is left.
    let keys = oldest.into_inner()..newest.into_inner();
    assert_eq!(index.describe().count, keys.end - keys.start);
    assert!(keys.clone().all(|key| index.contains(key).unwrap()));
}
