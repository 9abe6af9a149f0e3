//! How long does a distance take, in kith and in the numkong and simsimd crates?
//!
//! `cargo run --release --manifest-path benches/vs_numkong/Cargo.toml [filter]`
//!
//! One query against 8 rows that stay in the L1 cache. All contestants of a line take turns in one process, and each
//! figure is its best turn, so the ratios hold even where the machine is shared. Columns of kith: `call` is one
//! pair through a function pointer (what the other crates' calls are), `one` the same inlined in a loop, `four` four
//! rows at a time; then the same `four` on AVX2 and, inlined one by one, in plain Rust.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kith::distance::{Element, Job, Kernel, KernelId, Metric, Padded, Panel, four, kernels, one, padded_bytes, run};
use kith::simd::{Level, Simd, detect};

const ROWS: usize = 8;
const TURNS: usize = 25;
const TURN: Duration = Duration::from_micros(250);

/// One query against every row, one by one or four at a time, `repeats` times; the sum keeps it from being skipped.
struct Scan<'a> {
    query: &'a Padded,
    rows: &'a [Padded],
    by_four: bool,
    repeats: usize,
}

impl Job for Scan<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> f32 {
        let bytes = self.query.bytes();
        let mut sum = 0.0;
        for _ in 0..self.repeats {
            let query = black_box(self.query.as_ptr());
            if self.by_four {
                for rows in self.rows.as_chunks::<4>().0 {
                    let rows = [rows[0].as_ptr(), rows[1].as_ptr(), rows[2].as_ptr(), rows[3].as_ptr()];
                    // SAFETY: query and rows are padded to the same length.
                    sum += unsafe { four::<S, K>(s, query, rows, bytes) }.into_iter().sum::<f32>();
                }
            } else {
                for row in self.rows {
                    // SAFETY: query and rows are padded to the same length.
                    sum += unsafe { one::<S, K>(s, query, row.as_ptr(), bytes) };
                }
            }
        }
        sum
    }
}

/// Twelve independent chains of multiply-adds: the most this level can do. Returns operations done.
struct Peak(usize);

impl Job for Peak {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd, K: Kernel<S>>(self, s: S) -> f64 {
        let ones = [1.0_f32; 16];
        // SAFETY: 64 bytes are at least a register.
        let (x, y) =
            unsafe { (s.load_f32(black_box(&ones).as_ptr().cast()), s.load_f32(black_box(&ones).as_ptr().cast())) };
        let mut sums = [s.zero_f(); 12];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = s.mul_add_f(x, y, *sum);
            }
        }
        black_box(sums.into_iter().map(|sum| s.sum_f(sum)).sum::<f32>());
        (self.0 * 12 * S::BYTES / 4 * 2) as f64
    }
}

/// Nanoseconds per call of each contestant: the best of its turns.
fn race(calls_per_run: usize, contestants: &mut [(&str, Box<dyn FnMut(usize) -> f64 + '_>)]) -> Vec<f64> {
    let mut repeats = vec![1_usize; contestants.len()];
    let mut best = vec![f64::INFINITY; contestants.len()];
    for turn in 0..TURNS {
        for (i, (_, contestant)) in contestants.iter_mut().enumerate() {
            let start = Instant::now();
            black_box(contestant(repeats[i]));
            let taken = start.elapsed();
            best[i] = best[i].min(taken.as_secs_f64() * 1e9 / (repeats[i] * calls_per_run) as f64);
            if turn < 4 {
                repeats[i] = (TURN.as_secs_f64() * 1e9 / best[i] / calls_per_run as f64).max(1.0) as usize;
            }
        }
    }
    best
}

/// Another crate's call for this metric and element, looped over the rows.
type Peer<'a> = Option<Box<dyn FnMut(usize) -> f64 + 'a>>;

fn peer<'a, T>(query: &'a [T], rows: &'a [Vec<T>], call: impl Fn(&[T], &[T]) -> Option<f64> + 'a) -> Peer<'a> {
    Some(Box::new(move |repeats| {
        let mut sum = 0.0;
        for _ in 0..repeats {
            for row in rows {
                sum += call(black_box(query), row).unwrap();
            }
        }
        sum
    }))
}

/// Typed copies of the data for the other crates.
struct Typed<T> {
    query: Vec<T>,
    rows: Vec<Vec<T>>,
}

fn typed<T>(query: &[u8], rows: &[Vec<u8>], of: impl Fn(&[u8]) -> Vec<T>) -> Typed<T> {
    Typed { query: of(query), rows: rows.iter().map(|r| of(r)).collect() }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b)).collect()
}

fn random_vectors(element: Element, dimensions: u32, count: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 20
    };
    let bytes = element.vector_bytes(dimensions);
    (0..count)
        .map(|_| match element {
            Element::F32 => {
                (0..dimensions).flat_map(|_| ((next() % 2000) as f32 / 1000.0 - 1.0).to_ne_bytes()).collect()
            }
            Element::F16 | Element::Bf16 => {
                (0..dimensions).flat_map(|_| (0x3800_u16 + next() as u16 % 0x400).to_ne_bytes()).collect()
            }
            _ => (0..bytes).map(|_| next() as u8).collect(),
        })
        .collect()
}

fn line(metric: Metric, element: Element, dimensions: u32) {
    let kernel = KernelId::new(metric, element).unwrap();
    let vectors = random_vectors(element, dimensions, ROWS + 1);
    let (query, rows) = (&vectors[0], &vectors[1..]);
    let padded_query = Padded::new(query).unwrap();
    let padded_rows: Vec<Padded> = rows.iter().map(|r| Padded::new(r).unwrap()).collect();
    let scan = |level: Level, by_four: bool| {
        let (query, rows) = (&padded_query, &padded_rows[..]);
        Box::new(move |repeats| f64::from(run(level, kernel, Scan { query, rows, by_four, repeats })))
            as Box<dyn FnMut(usize) -> f64>
    };
    let plain = kernels(detect(), kernel);
    let call = Box::new(|repeats| {
        let mut sum = 0.0;
        for _ in 0..repeats {
            for row in &padded_rows {
                // SAFETY: query and rows are padded to the same length.
                sum += unsafe { (plain.one)(black_box(padded_query.as_ptr()), row.as_ptr(), padded_query.bytes()) };
            }
        }
        f64::from(sum)
    });
    let f = typed(query, rows, floats);
    let u = typed(query, rows, <[u8]>::to_vec);
    let i = typed(query, rows, |b| b.iter().map(|x| x.cast_signed()).collect::<Vec<i8>>());
    let b = typed(query, rows, |b| b.iter().map(|x| numkong::u1x8(*x)).collect::<Vec<_>>());
    let (numkong, simsimd): (Peer<'_>, Peer<'_>) = match (metric, element) {
        (Metric::L2, Element::F32) => (
            peer(&f.query, &f.rows, |a, b| <f32 as numkong::Euclidean>::sqeuclidean(a, b).map(f64::from)),
            peer(&f.query, &f.rows, |a, b| <f32 as simsimd::SpatialSimilarity>::l2sq(a, b)),
        ),
        (Metric::InnerProduct, Element::F32) => (
            peer(&f.query, &f.rows, |a, b| <f32 as numkong::Dot>::dot(a, b)),
            peer(&f.query, &f.rows, |a, b| <f32 as simsimd::SpatialSimilarity>::dot(a, b)),
        ),
        (Metric::L2, Element::I8) => (
            peer(&i.query, &i.rows, |a, b| <i8 as numkong::Euclidean>::sqeuclidean(a, b).map(f64::from)),
            peer(&i.query, &i.rows, |a, b| <i8 as simsimd::SpatialSimilarity>::l2sq(a, b)),
        ),
        (Metric::InnerProduct, Element::I8) => (
            peer(&i.query, &i.rows, |a, b| <i8 as numkong::Dot>::dot(a, b).map(f64::from)),
            peer(&i.query, &i.rows, |a, b| <i8 as simsimd::SpatialSimilarity>::dot(a, b)),
        ),
        (Metric::L2, Element::U8) => {
            (peer(&u.query, &u.rows, |a, b| <u8 as numkong::Euclidean>::sqeuclidean(a, b).map(f64::from)), None)
        }
        (Metric::InnerProduct, Element::U8) => {
            (peer(&u.query, &u.rows, |a, b| <u8 as numkong::Dot>::dot(a, b).map(f64::from)), None)
        }
        (Metric::Hamming, _) => (
            peer(&b.query, &b.rows, |a, b| <numkong::u1x8 as numkong::Hamming>::hamming(a, b).map(f64::from)),
            peer(&u.query, &u.rows, |a, b| <u8 as simsimd::BinarySimilarity>::hamming(a, b)),
        ),
        _ => (None, None),
    };
    let mut contestants: Vec<(&str, Box<dyn FnMut(usize) -> f64 + '_>)> = vec![
        ("call", call),
        ("one", scan(detect(), false)),
        ("four", scan(detect(), true)),
        ("avx2", scan(Level::Avx2, true)),
        ("portable", scan(Level::Portable, false)),
    ];
    let has = [numkong.is_some(), simsimd.is_some()];
    contestants.extend(numkong.map(|p| ("numkong", p)));
    contestants.extend(simsimd.map(|p| ("simsimd", p)));
    let times = race(ROWS, &mut contestants);
    print!("| {} {} {dimensions} |", element.name(), metric.name());
    for time in &times[..5] {
        print!(" {time:.1} |");
    }
    let mut peers = times[5..].iter();
    let peers = has.map(|has| if has { peers.next() } else { None });
    for peer in peers {
        print!(" {} |", peer.map_or("".into(), |time| format!("{time:.1}")));
    }
    for peer in peers {
        let ratios = |peer: &f64| format!("{:.2} / {:.2} / {:.2}", peer / times[0], peer / times[1], peer / times[2]);
        print!(" {} |", peer.map_or("".into(), ratios));
    }
    println!();
}

/// Gigaflops of the register tile against the peak of this level's multiply-add.
fn tile(metric: Metric, dimensions: u32, level: Level) {
    let kernel = KernelId::new(metric, Element::F32).unwrap();
    let (queries, rows) = (24, 96);
    let bytes = padded_bytes(dimensions as usize * 4);
    let memory = Padded::new(&vec![0; bytes * (queries + rows)]).unwrap();
    let mut scores = vec![0.0_f32; queries * rows];
    let panel = Panel {
        queries: memory.as_ptr(),
        query_count: queries,
        query_stride: bytes,
        rows: memory.as_ptr().wrapping_add(queries * bytes),
        row_count: rows,
        row_stride: bytes,
        bytes,
        scores: scores.as_mut_ptr(),
        scores_stride: rows,
    };
    let plain = kernels(level, kernel);
    let times = race(
        1,
        &mut [
            (
                "panel",
                Box::new(|repeats| {
                    for _ in 0..repeats {
                        // SAFETY: the panel describes `memory` and `scores`.
                        unsafe { (plain.panel)(black_box(&panel)) };
                    }
                    0.0
                }),
            ),
            ("peak", Box::new(|repeats| run(level, kernel, Peak(repeats * 1000)))),
        ],
    );
    let peak = run(level, kernel, Peak(1000)) / times[1];
    let done = (queries * rows * dimensions as usize * 2) as f64 / times[0];
    println!("| f32 {} {dimensions} {} | {done:.0} | {peak:.0} | {:.2} |", metric.name(), level.name(), done / peak);
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    numkong::configure_thread();
    println!("level {}; ns per distance; last columns: the peer's time over our call / one / four\n", detect().name());
    println!(
        "| | call | one | four | four avx2 | portable | numkong | simsimd | numkong over ours | simsimd over ours |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for metric in [Metric::L2, Metric::InnerProduct, Metric::L1] {
        for element in [Element::F32, Element::I8, Element::U8, Element::F16, Element::Bf16] {
            for dimensions in [96, 128, 384, 768, 1024] {
                if format!("{} {} {dimensions}", element.name(), metric.name()).contains(&filter) {
                    line(metric, element, dimensions);
                }
            }
        }
    }
    for metric in [Metric::Hamming, Metric::Jaccard] {
        for dimensions in [256, 512, 1024] {
            if format!("b1 {} {dimensions}", metric.name()).contains(&filter) {
                line(metric, Element::B1, dimensions);
            }
        }
    }
    println!("\n| tile | GFLOP/s | peak of multiply-add | share |\n|---|---|---|---|");
    for level in [Level::Avx512, Level::Avx2] {
        for metric in [Metric::InnerProduct, Metric::L2] {
            for dimensions in [96, 128, 384, 768, 1024] {
                tile(metric, dimensions, level);
            }
        }
    }
}
