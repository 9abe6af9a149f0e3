//! Which few directions hold most of what vectors differ by?
//!
//! The covariance of a sample, and its leading subspace by orthogonal iteration from a fixed start (Golub and Van Loan, Matrix
//! Computations, 8.2.4). Every float operation is done in one order, whatever the level and the number of threads: sums run over
//! independent columns, or in [`LANES`] lanes that are added up in the end, and nothing is fused. So the same sample gives
//! the same bits everywhere.

use crate::distance::{LevelJob, run_on};
use crate::simd::{Simd, detect};
use crate::util::error::{Error, Result};
use crate::util::hands::Hands;
use parking_lot::Mutex;

/// Lanes of a sum.
const LANES: usize = 16;
/// Rounds of the iteration: what is left out after four differs from the best subspace in directions of nearly equal weight only.
pub(super) const ROUNDS: usize = 4;
/// Rows that a thread takes at a time.
const PIECE: usize = 8;
/// Rows that are made orthonormal as a block, and of these those that a thread takes at a time.
const BLOCK: usize = 16;
const TOGETHER: usize = 4;
/// Floats of rows before a block that one thread does by itself.
const LITTLE: usize = 1 << 14;

/// Rows of floats of one length behind each other.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(super) columns: usize,
    pub(crate) data: Vec<f32>,
}

impl Matrix {
    pub(crate) fn zero(rows: usize, columns: usize) -> Result<Self> {
        let mut data = Vec::new();
        data.try_reserve_exact(rows * columns).map_err(|_| Error::memory(rows * columns * 4))?;
        data.resize(rows * columns, 0.0);
        Ok(Self { columns, data })
    }

    pub(super) fn rows(&self) -> usize {
        self.data.len() / self.columns
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.data[row * self.columns..(row + 1) * self.columns]
    }
}

impl Matrix {
    /// Runs `body` for all rows, `piece` at a time: it is told the first of them, and gets buffers of its thread.
    pub(super) fn share<T: Default>(
        &mut self,
        piece: usize,
        hands: &Hands<'_>,
        body: impl Fn(usize, &mut [f32], &mut T) + Sync,
    ) -> Result<()> {
        let parts: Vec<_> = self.data.chunks_mut(piece * self.columns).map(|part| Mutex::new(Some(part))).collect();
        hands.run(parts.len(), 1, |range, buffers| {
            for i in range {
                if let Some(part) = parts[i].lock().take() {
                    body(i * piece, part, buffers);
                }
            }
        })
    }
}

/// The sum of products, in lanes.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *lane += a * b;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `to += factor * from`
#[inline(always)]
fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Some rows of `left` transposed times `right`, rows of `right` being those of `left`: row `i` is the sum of `left[s][i] * right[s]`.
struct Products<'a> {
    left: &'a Matrix,
    right: &'a Matrix,
    /// First row of the result, and the rows.
    first: usize,
    /// First column that is computed.
    from: usize,
    out: &'a mut [f32],
}

impl LevelJob for Products<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let columns = self.right.columns;
        for s in 0..self.left.rows() {
            let from = &self.right.row(s)[self.from..];
            let factors = &self.left.row(s)[self.first..self.first + self.out.len() / columns];
            for (to, &factor) in self.out.chunks_exact_mut(columns).zip(factors) {
                add_scaled(&mut to[self.from..], factor, from);
            }
        }
    }
}

/// `left` transposed times `right`.
pub(super) fn transposed_product(left: &Matrix, right: &Matrix, hands: &Hands<'_>) -> Result<Matrix> {
    product_of(left, right, Half::Both, hands)
}

/// What of a product is computed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Both,
    /// On and above the diagonal, and some more.
    Upper,
}

fn product_of(left: &Matrix, right: &Matrix, half: Half, hands: &Hands<'_>) -> Result<Matrix> {
    let mut product = Matrix::zero(left.columns, right.columns)?;
    {
        product.share(PIECE, hands, |first, out, (): &mut ()| {
            let from = if half == Half::Upper { first } else { 0 };
            run_on(detect(), Products { left, right, first, from, out });
        })?;
    }
    Ok(product)
}

/// A matrix transposed times itself: the upper half is computed, the lower one is its image.
pub(super) fn square(matrix: &Matrix, hands: &Hands<'_>) -> Result<Matrix> {
    let mut product = product_of(matrix, matrix, Half::Upper, hands)?;
    let columns = product.columns;
    for i in 1..columns {
        for j in 0..i / PIECE * PIECE {
            product.data[i * columns + j] = product.data[j * columns + i];
        }
    }
    Ok(product)
}

/// Makes the rows of a matrix orthonormal, each against those before it; a row that lies in their span becomes zero.
///
/// Block by block: what the rows of a block have of all rows before the block is taken away from each of them by itself, so threads share it; what
/// they have of each other, row by row. Twice, because once leaves rounding errors behind where little of a row remains.
fn orthonormalise(matrix: &mut Matrix, hands: &Hands<'_>) -> Result<()> {
    let columns = matrix.columns;
    for first in (0..matrix.rows()).step_by(BLOCK) {
        let (done, rest) = matrix.data.split_at_mut(first * columns);
        let block = rest.len().min(BLOCK * columns);
        let block = &mut rest[..block];
        for _ in 0..2 {
            let whole: Vec<f32> = block.chunks_exact(columns).map(|row| dot(row, row)).collect();
            if first > 0 {
                let parts: Vec<_> = block.chunks_mut(TOGETHER * columns).map(|rows| Mutex::new(Some(rows))).collect();
                // Little is not worth waking anybody.
                let piece = if done.len() < LITTLE { parts.len() } else { 1 };
                hands.run(parts.len(), piece, |range, along: &mut Vec<f32>| {
                    for part in &parts[range] {
                        if let Some(rows) = part.lock().take() {
                            run_on(detect(), Apart { done, rows, columns, along });
                        }
                    }
                })?;
            }
            run_on(detect(), Orthonormalise { rows: block, columns, whole: &whole });
        }
        hands.ask()?;
    }
    Ok(())
}

/// Takes from some rows what they have of orthonormal ones.
struct Apart<'a> {
    done: &'a [f32],
    rows: &'a mut [f32],
    columns: usize,
    along: &'a mut Vec<f32>,
}

impl LevelJob for Apart<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Self { done, rows, columns, along } = self;
        let count = rows.len() / columns;
        along.clear();
        // All products first: none waits for another, and each row that is done is fetched once.
        for other in done.chunks_exact(columns) {
            for row in rows.chunks_exact(columns) {
                along.push(dot(row, other));
            }
        }
        for (along, other) in along.chunks_exact(count).zip(done.chunks_exact(columns)) {
            for (row, along) in rows.chunks_exact_mut(columns).zip(along) {
                add_scaled(row, -along, other);
            }
        }
    }
}

/// A few rows.
struct Orthonormalise<'a> {
    rows: &'a mut [f32],
    columns: usize,
    /// The squared length of each when nothing was taken away from it.
    whole: &'a [f32],
}

impl LevelJob for Orthonormalise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Self { rows, columns, whole } = self;
        for (i, whole) in whole.iter().enumerate() {
            let (before, rest) = rows.split_at_mut(i * columns);
            let row = &mut rest[..columns];
            for other in before.chunks_exact(columns) {
                let along = dot(row, other);
                add_scaled(row, -along, other);
            }
            let norm = dot(row, row);
            let factor = if norm > whole * 1e-10 && norm.is_normal() { 1.0 / norm.sqrt() } else { 0.0 };
            for value in row {
                *value *= factor;
            }
        }
    }
}

/// The leading directions of a symmetric matrix: `most` orthonormal rows, the weightiest first (roughly), and the weight of each.
pub(crate) fn leading(
    covariance: &Matrix,
    (most, rounds): (usize, usize),
    seed: u64,
    hands: &Hands<'_>,
) -> Result<(Matrix, Vec<f32>)> {
    let dimensions = covariance.columns;
    // Columns are directions while multiplying, rows while making them orthonormal.
    let mut directions = Matrix::zero(most, dimensions)?;
    for (i, value) in directions.data.iter_mut().enumerate() {
        *value = random_sign(seed, i as u64);
    }
    orthonormalise(&mut directions, hands)?;
    for _ in 0..rounds {
        let columns = transposed(&directions)?;
        let product = transposed_product(covariance, &columns, hands)?;
        directions = transposed(&product)?;
        orthonormalise(&mut directions, hands)?;
    }
    let product = transposed(&transposed_product(covariance, &transposed(&directions)?, hands)?)?;
    let weights = (0..most).map(|i| dot(directions.row(i), product.row(i)).max(0.0)).collect();
    Ok((directions, weights))
}

fn transposed(matrix: &Matrix) -> Result<Matrix> {
    let (rows, columns) = (matrix.rows(), matrix.columns);
    let mut out = Matrix::zero(columns, rows)?;
    // Some rows at a time, so that what is written lies together.
    for first in (0..rows).step_by(LANES) {
        for c in 0..columns {
            for r in first..rows.min(first + LANES) {
                out.data[c * rows + r] = matrix.data[r * columns + c];
            }
        }
    }
    Ok(out)
}

/// Turns the directions among themselves, so that each holds about the same weight: rounds of random signs and fast Hadamard transforms
/// on the first and on the last power of two of them.
pub(crate) fn spread(directions: &mut Matrix, seed: u64) {
    const TURNS: usize = 6;
    let rows = directions.rows();
    let half = if rows.is_power_of_two() { rows } else { rows.next_power_of_two() / 2 };
    for turn in 0..TURNS {
        for r in 0..rows {
            let sign = random_sign(seed ^ 0x5eed, (turn * rows + r) as u64);
            directions.row_mut(r).iter_mut().for_each(|value| *value *= sign);
        }
        let first = if turn % 2 == 0 { 0 } else { rows - half };
        hadamard(directions, first, half);
    }
}

/// The normalised Hadamard transform over the rows from `first` on, `count` of them, a power of two.
fn hadamard(matrix: &mut Matrix, first: usize, count: usize) {
    let columns = matrix.columns;
    let mut width = 1;
    while width < count {
        for start in (first..first + count).step_by(2 * width) {
            for r in start..start + width {
                let (head, tail) = matrix.data.split_at_mut((r + width) * columns);
                let (upper, lower) = (&mut head[r * columns..(r + 1) * columns], &mut tail[..columns]);
                for (a, b) in upper.iter_mut().zip(lower) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
        }
        width *= 2;
    }
    let factor = 1.0 / (count as f32).sqrt();
    matrix.data[first * columns..(first + count) * columns].iter_mut().for_each(|value| *value *= factor);
}

fn random_sign(seed: u64, i: u64) -> f32 {
    let mut z = (seed ^ (i.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^= z >> 29;
    if z.wrapping_mul(0x94d0_49bb_1331_11eb) >> 63 == 0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::pool::Pool;

    /// A sample that varies by 10, 5, 2, 1 along four mixed directions and by little along the rest.
    fn covariance() -> Matrix {
        let mut basis = Matrix::zero(40, 40).unwrap();
        for (i, value) in basis.data.iter_mut().enumerate() {
            *value = random_sign(9, i as u64);
        }
        orthonormalise(&mut basis, &Hands::quiet(&Pool::default(), 1)).unwrap();
        for (i, weight) in [10.0_f32, 5.0, 2.0, 1.0].into_iter().chain(std::iter::repeat_n(0.01, 36)).enumerate() {
            basis.row_mut(i).iter_mut().for_each(|value| *value *= weight.sqrt());
        }
        transposed_product(&basis, &basis, &Hands::quiet(&Pool::default(), 1)).unwrap()
    }

    #[test]
    fn products_are_sums_in_the_order_of_the_rows_whatever_the_shape() {
        let pool = Pool::default();
        for (rows, columns, wide) in [(1, 1, 1), (7, 5, 33), (33, 16, 16), (70, 9, 100), (100, 67, 67)] {
            let filled = |columns: usize, seed: u64| {
                let mut matrix = Matrix::zero(rows, columns).unwrap();
                let random = |i| random_sign(seed, i) * (1.0 + (i * 37 % 101) as f32 / 7.0);
                matrix.data.iter_mut().enumerate().for_each(|(i, value)| *value = random(i as u64));
                matrix
            };
            let (left, right) = (filled(columns, 1), filled(wide, 2));
            let plain = |i: usize, j: usize| (0..rows).fold(0.0, |sum, s| sum + left.row(s)[i] * right.row(s)[j]);
            for threads in [1, 3] {
                let product = transposed_product(&left, &right, &Hands::quiet(&pool, threads)).unwrap();
                assert!(
                    (0..columns).all(|i| (0..wide).all(|j| product.row(i)[j] == plain(i, j))),
                    "{rows} {columns} {wide}"
                );
            }
            let own = square(&left, &Hands::quiet(&pool, 2)).unwrap();
            let both = transposed_product(&left, &left, &Hands::quiet(&pool, 1)).unwrap();
            assert!(
                (0..columns)
                    .all(|i| (i..columns).all(|j| own.row(i)[j] == both.row(i)[j] && own.row(j)[i] == own.row(i)[j]))
            );
        }
    }

    #[test]
    fn rows_become_orthonormal_and_those_that_others_span_vanish() {
        let pool = Pool::default();
        for rows in [1, 15, 16, 17, 50] {
            let mut matrix = Matrix::zero(rows, 64).unwrap();
            matrix.data.iter_mut().enumerate().for_each(|(i, value)| *value = random_sign(4, i as u64));
            // The last one is the sum of the first and the middle one.
            if rows > 2 {
                for i in 0..64 {
                    matrix.data[(rows - 1) * 64 + i] = matrix.data[i] + matrix.data[rows / 2 * 64 + i];
                }
            }
            let mut again = matrix.clone();
            orthonormalise(&mut matrix, &Hands::quiet(&pool, 1)).unwrap();
            orthonormalise(&mut again, &Hands::quiet(&pool, 3)).unwrap();
            assert_eq!(matrix.data, again.data);
            for i in 0..rows {
                for j in 0..=i {
                    let spanned = rows > 2 && i == rows - 1;
                    let wanted = if i == j && !spanned { 1.0 } else { 0.0 };
                    assert!((dot(matrix.row(i), matrix.row(j)) - wanted).abs() < 1e-5, "{rows}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn the_leading_directions_hold_the_weight() {
        let pool = Pool::default();
        // With a seed of 3 the first directions have nothing of the fourth one, and find it by rounding errors only.
        let (directions, weights) = leading(&covariance(), (4, ROUNDS), 5, &Hands::quiet(&pool, 2)).unwrap();
        for (found, wanted) in weights.iter().zip([10.0, 5.0, 2.0, 1.0]) {
            assert!((found - wanted).abs() < 0.02 * wanted, "{weights:?}");
        }
        for i in 0..4 {
            for j in 0..4 {
                let wanted = if i == j { 1.0 } else { 0.0 };
                assert!((dot(directions.row(i), directions.row(j)) - wanted).abs() < 1e-5);
            }
        }
        let (again, _) = leading(&covariance(), (4, ROUNDS), 5, &Hands::quiet(&pool, 1)).unwrap();
        assert_eq!(directions.data, again.data, "threads change nothing");
    }

    #[test]
    fn spreading_keeps_lengths_and_evens_weights() {
        let pool = Pool::default();
        let covariance = covariance();
        let (mut directions, weights) = leading(&covariance, (12, ROUNDS), 3, &Hands::quiet(&pool, 1)).unwrap();
        spread(&mut directions, 1);
        let product =
            transposed_product(&covariance, &transposed(&directions).unwrap(), &Hands::quiet(&pool, 1)).unwrap();
        let product = transposed(&product).unwrap();
        let spread: Vec<f32> = (0..12).map(|i| dot(directions.row(i), product.row(i))).collect();
        let (sum, most) = (spread.iter().sum::<f32>(), spread.iter().copied().fold(0.0, f32::max));
        assert!((sum - weights.iter().sum::<f32>()).abs() < 0.01, "{spread:?}");
        assert!(most < 5.0, "the weightiest direction held 10 of 18: {spread:?}");
    }
}
