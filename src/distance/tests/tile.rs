//! Are the builder's kernels exact on every level, form and length?

use super::*;
use crate::simd;

const FORMS: [Form; 7] = [
    Form::Squares,
    Form::Lifted,
    Form::Differences,
    Form::Hamming,
    Form::Jaccard,
    Form::RealSquares,
    Form::RealDifferences,
];

struct Code {
    words: Vec<u32>,
    lift: u32,
}

fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 32) as u32
}

fn bytes(code: &Code) -> Vec<u8> {
    code.words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn codes(form: Form, count: usize, words: usize, state: &mut u64) -> Vec<Code> {
    let word = |state: &mut u64| match form {
        // All kinds of bytes, the extreme ones often.
        _ if random(state).is_multiple_of(8) => [0x8080_8080, 0x7f7f_7f7f, 0, u32::MAX][random(state) as usize % 4],
        _ => random(state),
    };
    let real = |state: &mut u64| (((random(state) >> 8) as f32 / (1 << 24) as f32 - 0.5) * 100.0).to_bits();
    let is_real = matches!(form, Form::RealSquares | Form::RealDifferences);
    (0..count)
        .map(|_| Code {
            words: (0..words).map(|_| if is_real { real(state) } else { word(state) }).collect(),
            lift: random(state) % 1000,
        })
        .collect()
}

fn signed(byte: u8) -> i64 {
    i64::from(byte.cast_signed())
}

fn norm(form: Form, code: &Code) -> u32 {
    let squares = || bytes(code).iter().map(|&byte| signed(byte) * signed(byte)).sum::<i64>() as u32;
    match form {
        Form::Squares => squares(),
        Form::Lifted => squares() + code.lift * code.lift,
        Form::Jaccard => code.words.iter().map(|word| word.count_ones()).sum(),
        _ => 0,
    }
}

fn point(form: Form, code: &Code) -> Point<'_> {
    let sum = bytes(code).iter().map(|&byte| signed(byte)).sum::<i64>() as u32;
    Point { words: &code.words, norm: norm(form, code), sum, lift: code.lift }
}

/// The distance, as plainly as can be.
fn plainly(form: Form, a: &Code, b: &Code) -> u32 {
    let pairs = || bytes(a).into_iter().zip(bytes(b));
    let words = || a.words.iter().zip(&b.words);
    let squares = || pairs().map(|(a, b)| (signed(a) - signed(b)).pow(2)).sum::<i64>();
    let reals = || words().map(|(a, b)| f32::from_bits(*a) - f32::from_bits(*b));
    match form {
        Form::Squares => squares() as u32,
        Form::Lifted => (squares() + (i64::from(a.lift) - i64::from(b.lift)).pow(2)) as u32,
        Form::Differences => pairs().map(|(a, b)| u32::from(a.abs_diff(b))).sum(),
        Form::Hamming => words().map(|(a, b)| (a ^ b).count_ones()).sum(),
        Form::Jaccard => {
            let or: u32 = words().map(|(a, b)| (a | b).count_ones()).sum();
            let xor: u32 = words().map(|(a, b)| (a ^ b).count_ones()).sum();
            if or == 0 { 0 } else { (xor as f32 / or as f32).to_bits() }
        }
        Form::RealSquares => reals().fold(0.0, |sum, d| sum + d * d).to_bits(),
        Form::RealDifferences => reals().fold(0.0, |sum, d| sum + d.abs()).to_bits(),
    }
}

#[test]
fn distances_are_exact_on_every_level_form_and_length() {
    let mut state = 7;
    for &level in simd::available() {
        for form in FORMS {
            for (words, rows, columns) in [(1, 1, 1), (2, 3, 17), (5, 9, 33), (32, 21, 70), (256, 8, 64), (7, 13, 31)] {
                let (a, b) = (codes(form, rows, words, &mut state), codes(form, columns, words, &mut state));
                let points: Vec<_> = a.iter().map(|code| point(form, code)).collect();
                let mut side = Side::default();
                side.pack(level, form, b.iter().map(|code| point(form, code)));
                let mut out = vec![0; rows * side.stride()];
                distances(level, form, &points, &side, &mut out);
                for (r, a) in a.iter().enumerate() {
                    for (c, b) in b.iter().enumerate() {
                        let found = out[r * side.stride() + c];
                        assert_eq!(found, plainly(form, a, b), "{level:?} {form:?} {words} words, {r} {c}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_largest_distances_fit() {
    for &level in simd::available() {
        let (low, high) =
            (Code { words: vec![0x8080_8080; 16_384], lift: 0 }, Code { words: vec![0x7f7f_7f7f; 16_384], lift: 0 });
        let mut side = Side::default();
        side.pack(level, Form::Squares, [point(Form::Squares, &low)].into_iter());
        let mut out = vec![0; side.stride()];
        distances(level, Form::Squares, &[point(Form::Squares, &high)], &side, &mut out);
        assert_eq!(out[0], 255 * 255 * 65_536, "{level:?}");
    }
}

#[test]
fn the_nearest_are_those_of_a_sorted_row() {
    let mut state = 11;
    for &level in simd::available() {
        for form in [Form::Squares, Form::Hamming] {
            for (columns, count) in [(1, 1), (3, 4), (16, 4), (40, 10), (200, 4), (512, 16), (1000, 10), (90, 64)] {
                // One word of two bits has many ties.
                let words = if form == Form::Hamming { 1 } else { 3 };
                let mut all = codes(form, columns, words, &mut state);
                if form == Form::Hamming {
                    all.iter_mut().for_each(|code| code.words[0] &= 3);
                }
                let points: Vec<_> = all.iter().map(|code| point(form, code)).collect();
                let mut side = Side::default();
                side.pack(level, form, points.iter().copied());
                for own in [Own::LeftOut, Own::Other] {
                    let mut out = vec![0; columns * count];
                    nearest(level, form, &points, &side, (count, own), &mut Selection::default(), &mut out);
                    for (i, a) in all.iter().enumerate() {
                        let others = all.iter().enumerate().filter(|(j, _)| own == Own::Other || *j != i);
                        let mut wanted: Vec<u64> =
                            others.map(|(j, b)| u64::from(plainly(form, a, b)) << 32 | j as u64).collect();
                        wanted.sort_unstable();
                        wanted.resize(count, u64::MAX);
                        assert_eq!(
                            out[i * count..][..count],
                            wanted,
                            "{level:?} {form:?} {columns} {count} {own:?} {i}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_chosen_are_those_of_one_look_at_each_after_the_other() {
    let mut state = 5;
    for &level in simd::available() {
        for form in FORMS {
            for (count, words, most) in [(1, 1, 4), (7, 2, 3), (33, 4, 32), (64, 5, 20), (130, 3, 200)] {
                let all = codes(form, count + 1, words, &mut state);
                let (one, others) = all.split_first().unwrap();
                let mut ranked: Vec<(u32, &Code)> =
                    others.iter().map(|code| (plainly(form, one, code), code)).collect();
                ranked.sort_by_key(|&(distance, _)| distance);
                let mut choice = Choice::default();
                let candidate = |place: usize| point(form, ranked[place].1);
                choose(level, form, ranked.iter().map(|&(distance, _)| distance), candidate, most, &mut choice);
                let mut wanted: Vec<u32> = Vec::new();
                for (place, &(distance, code)) in ranked.iter().enumerate() {
                    let ruled_out =
                        wanted.iter().any(|&other| plainly(form, ranked[other as usize].1, code) < distance);
                    if wanted.len() == most {
                        break;
                    }
                    assert_eq!(choice.is_ruled_out(place), ruled_out, "{level:?} {form:?} {count} {place}");
                    if !ruled_out {
                        wanted.push(place as u32);
                    }
                }
                assert_eq!(choice.chosen(), wanted, "{level:?} {form:?} {count}");
            }
        }
    }
}
