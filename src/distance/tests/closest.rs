//! Is the nearest found exactly, on every level, at every number and length of vectors?

use super::*;
use crate::simd::available;

struct Short {
    words: Vec<u32>,
}

impl Short {
    fn random(words: usize, extreme: bool, state: &mut u64) -> Self {
        let mut next = || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state >> 32) as u32
        };
        let ends = [0x8080_8080, 0x7f7f_7f7f, 0x807f_807f];
        let words = (0..words).map(|_| if extreme { ends[next() as usize % 3] } else { next() }).collect();
        Self { words }
    }

    fn bytes(&self) -> impl Iterator<Item = i64> {
        self.words.iter().flat_map(|word| word.to_ne_bytes()).map(|byte| i64::from(byte.cast_signed()))
    }

    fn point(&self) -> Point<'_> {
        let (norm, sum) = (self.bytes().map(|byte| byte * byte).sum::<i64>(), self.bytes().sum::<i64>());
        Point { words: &self.words, norm: norm as u32, sum: sum as u32, lift: 0 }
    }

    fn distance(&self, other: &Self) -> u64 {
        self.bytes().zip(other.bytes()).map(|(a, b)| ((a - b) * (a - b)) as u64).sum()
    }
}

#[test]
fn the_first_of_the_nearest_is_found() {
    let mut state = 7;
    for (count, words) in [(1, 1), (3, 2), (64, 1), (65, 3), (255, 4), (256, 2), (256, 7), (256, 32), (17, 32)] {
        for extreme in [false, true] {
            let mut all: Vec<Short> = (0..count).map(|_| Short::random(words, extreme, &mut state)).collect();
            if count > 3 {
                all[count - 1] = Short { words: all[1].words.clone() };
            }
            let mut asking: Vec<Short> = (0..19).map(|_| Short::random(words, extreme, &mut state)).collect();
            asking.push(Short { words: all[count - 1].words.clone() });
            let points: Vec<Point<'_>> = asking.iter().map(Short::point).collect();
            let wanted: Vec<u64> = asking
                .iter()
                .map(|one| all.iter().zip(0..).map(|(other, i)| (one.distance(other) << 32) | i).min().unwrap())
                .collect();
            for &level in available() {
                let book = Book::new(level, all.iter().map(Short::point));
                for few in [1, 2, 3, 5, 20] {
                    let mut found = vec![0; few];
                    book.closest(&points[..few], &mut found);
                    assert_eq!(found, wanted[..few], "{level:?} {count} {words} {extreme}");
                }
            }
        }
    }
}

#[test]
fn parts_are_chosen_and_tabulated_each_by_its_book() {
    let mut state = 9;
    for (count, words, shift) in [(2, 1, 0), (100, 2, 2), (256, 1, 1), (256, 2, 2)] {
        for extreme in [false, true] {
            let all: Vec<Vec<Short>> =
                (0..5).map(|_| (0..count).map(|_| Short::random(words, extreme, &mut state)).collect()).collect();
            let point: Vec<Short> = (0..5).map(|_| Short::random(words, extreme, &mut state)).collect();
            let spelt: Vec<u32> = point.iter().flat_map(|part| part.words.iter().copied()).collect();
            let nearest = |(part, all): (&Short, &Vec<Short>)| {
                all.iter().zip(0_u32..).map(|(other, i)| (part.distance(other), i)).min().unwrap().1 as u8
            };
            let chosen: Vec<u8> = point.iter().zip(&all).map(nearest).collect();
            let half = 1 << shift >> 1;
            let product = |a: &Short, b: &Short| a.bytes().zip(b.bytes()).map(|(a, b)| a * b).sum::<i64>();
            for &level in available() {
                let books: Vec<Book> = all.iter().map(|all| Book::new(level, all.iter().map(Short::point))).collect();
                let (mut found, mut tables) = (vec![0; 5], vec![0; 5 * 512]);
                choose(&books, &spelt, &mut found);
                assert_eq!(found, chosen, "{level:?} {count} {words} {extreme}");
                tabulate(&books, &spelt, shift, &mut tables);
                let entries = tables.as_chunks::<2>().0;
                for (part, all) in all.iter().enumerate() {
                    for (i, other) in all.iter().enumerate() {
                        let wanted = ((product(&point[part], other) + half) >> shift) as i16;
                        let entry = i16::from_ne_bytes(entries[256 * part + i]);
                        assert_eq!(entry, wanted, "{level:?} {count} {words} {extreme}");
                    }
                }
            }
        }
    }
}

#[test]
fn sums_are_those_of_the_bytes() {
    let mut state = 11;
    let all: Vec<Short> = (0..40).map(|_| Short::random(5, false, &mut state)).collect();
    let points: Vec<Point<'_>> = all.iter().map(Short::point).collect();
    let of: Vec<u64> = (0..40).map(|i| (99 << 32) | (i % 3)).collect();
    let mut wanted = vec![0; 60];
    for (i, one) in all.iter().enumerate() {
        wanted[i % 3 * 20..][..20].iter_mut().zip(one.bytes()).for_each(|(sum, byte)| *sum += byte as i32);
    }
    for &level in available() {
        let mut sums = vec![0; 60];
        add_up(level, &points, &of, &mut sums);
        assert_eq!(sums, wanted, "{level:?}");
    }
}
