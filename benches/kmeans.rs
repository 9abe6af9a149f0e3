//! How much processor time does clustering take, and how much does product coding?
//!
//!     cargo bench --features test-hooks --bench kmeans -- --base base.npy [--clusters 256] [--rounds 10] [--partial 0] [--threads 2] [--product 1]
//!
//! Clusters all rows of `--base` (f32) and writes the means to `--out`, if it is given, as raw f32; or (`--product`) learns product codes and codes all rows. `benches/peers/kmeans.py` runs it beside faiss and
//! judges both by the same sums; benches/record/codes.md has what came of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::expect_used)]

mod common;

use std::time::Instant;

/// Seconds of processor time that this process has used.
fn cpu() -> f64 {
    // SAFETY: a struct of numbers that the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &raw mut usage), 0);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn main() {
    let options = common::options();
    let Some(base) = options.get("base").map(|path| common::Array::open(path)) else {
        println!("kmeans: needs --base; see its head");
        return;
    };
    let number = |name: &str, default: usize| options.get(name).map_or(default, |text| text.parse().unwrap());
    let (clusters, threads) = (number("clusters", 256), number("threads", 2));
    let rounds = (number("partial", 0), number("rounds", 10));
    let bytes = base.vectors(kith::distance::Element::F32);
    if number("product", 0) > 0 {
        let (before, began) = (cpu(), Instant::now());
        let codec = kith::ProductCodec::learn(&bytes, base.columns, threads).unwrap().unwrap();
        println!("learning: cpu {:.3} s, wall {:.3} s", cpu() - before, began.elapsed().as_secs_f64());
        let (before, began) = (cpu(), Instant::now());
        let codes = codec.encode(&bytes, base.columns, threads).unwrap();
        let (used, took) = (cpu() - before, began.elapsed().as_secs_f64());
        println!("{} codes of {} bytes: cpu {used:.3} s, wall {took:.3} s", base.rows, codes.len() / base.rows);
        return;
    }
    let rows: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    drop(bytes);
    let (before, began) = (cpu(), Instant::now());
    let means = kith::cluster_rows((&rows, base.columns), clusters, rounds, 1, threads).unwrap();
    println!("{} x {} into {clusters}", base.rows, base.columns);
    println!("cpu {:.3} s, wall {:.3} s", cpu() - before, began.elapsed().as_secs_f64());
    if let Some(out) = options.get("out") {
        let bytes: Vec<u8> = means.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(out, bytes).unwrap();
    }
}
