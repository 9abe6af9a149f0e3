//! Made data of a known intrinsic dimension.

use super::*;
use crate::simd::{available, detect};
use crate::util::pool::Pool;
use crate::util::random::mix;
use std::cell::Cell;

fn asked_for(codes: &Codes) -> u32 {
    let pool = Pool::default();
    let team = Team { pool: &pool, threads: 2, progress: None, total: 0, done: Cell::new(0), afford: &|_| Ok(()) };
    degree(codes, &team).unwrap()
}

/// About normal, of deviation 1; the `i`-th number of a seed.
fn normal(seed: u64, i: u64) -> f32 {
    let parts = mix(seed ^ mix(i)).to_ne_bytes();
    parts.iter().map(|&part| f32::from(part) / 255.0 - 0.5).sum::<f32>() / (8.0_f32 / 12.0).sqrt()
}

/// `count` codes of 32 bytes, of vectors that `of` makes of a number.
fn codes(count: u64, of: impl Fn(u64) -> Vec<f32>) -> Codes {
    let mut bytes = Vec::new();
    for i in 0..count {
        let mut vector = of(i);
        vector.resize(32, 0.0);
        bytes.extend(vector.into_iter().map(|value| value.round().clamp(-127.0, 127.0) as i8 as u8));
    }
    let words = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_ne_bytes(*bytes)).collect();
    Codes::of_words(detect(), 8, words)
}

fn along(dimensions: u64, seed: u64, i: u64) -> Vec<f32> {
    (0..dimensions).map(|d| 40.0 * normal(seed, i * 32 + d)).collect()
}

#[test]
fn few_dimensions_ask_for_few_links_and_many_for_the_usual() {
    for count in [GROWING_FROM as u64, 20_000, 150_000] {
        for (dimensions, wanted) in
            [(2, LOW), (3, LOW), (4, LOW), (5, LOW), (8, USUAL), (10, USUAL), (16, USUAL), (32, USUAL)]
        {
            if dimensions == 2 && count > 20_000 {
                // More than there are different bytes for.
                continue;
            }
            let found = asked_for(&codes(count, |i| along(dimensions, 1, i)));
            assert_eq!(found, wanted, "{count} vectors of {dimensions} dimensions");
        }
    }
}

#[test]
fn a_surface_in_many_dimensions_has_few() {
    let bent = |i: u64| {
        let (x, y) = (normal(5, 2 * i), normal(5, 2 * i + 1));
        (0..32).map(|d| 100.0 * (x * normal(6, d) + y * normal(7, d) + normal(8, d)).sin()).collect()
    };
    assert_eq!(asked_for(&codes(20_000, bent)), LOW);
}

#[test]
fn what_looks_like_few_dimensions_and_is_none_is_told() {
    // Tight clusters of any size: seen from one all others lie at about the same distance.
    for size in [3, 10, 40, 100, 1000] {
        let clustered = |i: u64| {
            let (centre, own) = (along(32, 1, i / size), along(32, 2, i));
            centre.iter().zip(own).map(|(centre, own)| centre + 0.2 * own).collect()
        };
        assert_eq!(asked_for(&codes(20_000, clustered)), USUAL, "clusters of {size}");
    }
    // Ten values, or one.
    assert_eq!(asked_for(&codes(20_000, |i| along(32, 1, i % 10))), USUAL);
    assert_eq!(asked_for(&codes(20_000, |_| along(32, 1, 0))), USUAL);
    // A part of few dimensions does not speak for the rest.
    for others in [2, 3] {
        let mixed = |i: u64| {
            let mut vector = along(if i.is_multiple_of(others) { 32 } else { 3 }, 1, i);
            vector[0] += if i.is_multiple_of(others) { 80.0 } else { 0.0 };
            vector
        };
        assert_eq!(asked_for(&codes(20_000, mixed)), USUAL, "one in {others}");
    }
}

#[test]
fn every_level_finds_the_same() {
    for dimensions in [3, 6, 7, 12] {
        let codes = codes(6000, |i| along(dimensions, 3, i));
        let wanted = asked_for(&codes);
        for &level in available() {
            let words = (0..6000).flat_map(|i| codes.words_of(i).to_vec()).collect();
            assert_eq!(asked_for(&Codes::of_words(level, 8, words)), wanted, "{level:?}, {dimensions}");
        }
    }
}
