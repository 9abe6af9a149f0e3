//! How is a codec made from a sample of vectors, and is one worth having?

use super::coding::{Coding, Rule};
use super::product::Product;
use super::signs::Angles;
use super::subspace::{self, Matrix, ROUNDS, dot, square};
use super::{Codec, Wide, Width, Workspace, largest};
use crate::distance::{Element, Metric};
use crate::util::error::Result;
use crate::util::hands::Hands;

/// Share of the sample's variance that the kept directions must hold.
pub(super) const ENOUGH: f32 = 0.95;
/// Lines of the codes tried, fewest first.
pub(super) const LINES: [usize; 5] = [1, 2, 3, 4, 8];
/// Vectors of which a covariance is taken, at least.
const SAMPLE: usize = 4096;
/// Vectors that a thread looks at at a time.
const PART: usize = 64;
/// Dimensions up to which a covariance is computed.
pub(crate) const MOST_DIMENSIONS: usize = 4096;
/// Vectors whose components are all below this are learnt from at another size.
const TINY: f32 = 1e-6;
/// The codes of vectors shorter than this many bytes would save too little.
const LEAST_BYTES: usize = 192;

/// Whether vectors of this shape can have codes.
pub(crate) fn is_possible(metric: Metric, dimensions: usize) -> bool {
    matches!(metric, Metric::L2 | Metric::InnerProduct | Metric::Cosine) && dimensions <= MOST_DIMENSIONS
}

/// Whether vectors of this shape gain by codes.
pub(crate) fn is_worth_it(metric: Metric, element: Element, dimensions: usize) -> bool {
    is_possible(metric, dimensions) && element.vector_bytes(dimensions as u32) >= LEAST_BYTES
}

/// Vectors to learn from.
pub(crate) struct Sample<'a> {
    pub(crate) metric: Metric,
    pub(crate) element: Element,
    pub(crate) dimensions: usize,
    /// The vectors, as callers give them.
    pub(crate) vectors: Vec<&'a [u8]>,
}

impl Sample<'_> {
    /// How many vectors are looked at for codes of this kind, or for reducing, of however many there are.
    pub(crate) fn size(dimensions: usize, coding: Option<Coding>) -> usize {
        coding.map_or(SAMPLE.max(4 * dimensions), |coding| coding.sample(dimensions))
    }
}

/// Where directions go out from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Centre {
    Mean,
    Origin,
}

impl Sample<'_> {
    /// The vectors as floats, at length 1 under cosine.
    pub(super) fn widened(&self, hands: &Hands<'_>) -> Result<Matrix> {
        // Only its metric is used here.
        let shape = Codec::plain(self.metric, vec![0.0; self.dimensions]);
        let mut rows = Matrix::zero(self.vectors.len(), self.dimensions)?;
        rows.share(PART, hands, |first, part, values: &mut Vec<f32>| {
            for (row, vector) in part.chunks_exact_mut(self.dimensions).zip(&self.vectors[first..]) {
                // The norm is computed here: a sample has no scales.
                shape.widen(self.element, vector, f32::NAN, values);
                row.copy_from_slice(values);
            }
        })?;
        Ok(rows)
    }
}

/// A codec of this kind for vectors like these; `None` if they do not vary, or so much that their squares overflow.
pub(crate) fn train(
    coding: impl Into<Coding>,
    sample: &Sample<'_>,
    seed: u64,
    hands: &Hands<'_>,
) -> Result<Option<Codec>> {
    match coding.into() {
        Coding::Rounded(width) => learn(sample, (Centre::Mean, width, ENOUGH), seed, hands),
        Coding::Product => learn_product(sample, seed, hands),
        Coding::Signs => learn_signs(sample, hands),
    }
}

/// A codec of rounded codes, with directions from a centre of one's choice that hold as much of the variance as is `enough`.
pub(super) fn learn(
    sample: &Sample<'_>,
    (centre, width, enough): (Centre, Width, f32),
    seed: u64,
    hands: &Hands<'_>,
) -> Result<Option<Codec>> {
    let (rows, mean) = centred(sample, centre, hands)?;
    let Some(found) = principal(rows, &mean, (width.into(), enough), seed, hands)? else { return Ok(None) };
    let Principal { lines, mut directions, .. } = found;
    subspace::spread(&mut directions, seed);
    let codec = Codec::around(sample.metric, (Rule::Rounded(width), lines), mean, &directions);
    Ok((codec.unit.is_normal() && dot(&directions.data, &directions.data).is_finite()).then_some(codec))
}

fn learn_product(sample: &Sample<'_>, seed: u64, hands: &Hands<'_>) -> Result<Option<Codec>> {
    let (rows, mean) = centred(sample, Centre::Mean, hands)?;
    // A part of the sample tells the directions as well, in a part of the time.
    let every = (rows.rows() / SAMPLE.max(4 * sample.dimensions)).max(1);
    let mut some = Matrix::zero(rows.rows().div_ceil(every), rows.columns)?;
    (0..some.rows()).for_each(|i| some.row_mut(i).copy_from_slice(rows.row(i * every)));
    let Some(found) = principal(some, &mean, (Coding::Product, ENOUGH), seed, hands)? else {
        return Ok(None);
    };
    let Principal { lines, directions, weights } = found;
    // Places are learnt from what this codec projects.
    let mut codec = Codec::around(sample.metric, (Rule::Product(Box::default()), lines), mean, &directions);
    if !(codec.unit.is_normal() && dot(&directions.data, &directions.data).is_finite()) {
        return Ok(None);
    }
    let mut work = Workspace::default();
    let mut projections = Matrix::zero(rows.rows(), weights.len())?;
    for i in 0..rows.rows() {
        work.centred.clear();
        work.centred.extend_from_slice(rows.row(i));
        if i % 256 == 0 {
            hands.ask()?;
        }
        let most = largest(&work.centred);
        codec.project(&mut work, most, Wide::Sixteen);
        projections.row_mut(i).copy_from_slice(&work.projected[..weights.len()]);
    }
    drop(rows);
    let learnt = Product::learn((&projections.data, &weights), (lines, seed, codec.level), hands)?;
    let Some(product) = learnt else { return Ok(None) };
    codec.rule = Rule::Product(Box::new(product));
    Ok(Some(codec))
}

/// Signs need no more than a mean.
fn learn_signs(sample: &Sample<'_>, hands: &Hands<'_>) -> Result<Option<Codec>> {
    let (rows, mean) = centred(sample, Centre::Mean, hands)?;
    // As for the others: neither alike all, nor too large for single precision.
    let total = (0..rows.rows()).map(|i| dot(rows.row(i), rows.row(i))).sum::<f32>();
    let lines = Coding::Signs.possible_lines(sample.dimensions).1;
    let varies = largest(&rows.data) > 0.0 && total.is_finite() && mean.iter().all(|value| value.is_finite());
    let rule = Rule::Signs(Angles::new(sample.dimensions, lines));
    Ok(varies.then(|| Codec { rule, lines, ..Codec::plain(sample.metric, mean) }))
}

/// A sample as floats around a centre, and the centre.
fn centred(sample: &Sample<'_>, centre: Centre, hands: &Hands<'_>) -> Result<(Matrix, Vec<f32>)> {
    let mut rows = sample.widened(hands)?;
    if centre == Centre::Origin {
        return Ok((rows, vec![0.0; sample.dimensions]));
    }
    let mean = mean_of(&rows);
    rows.share(PART, hands, |_, part, (): &mut ()| {
        for row in part.chunks_exact_mut(mean.len()) {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        }
    })?;
    Ok((rows, mean))
}

/// Leading directions.
struct Principal {
    lines: usize,
    directions: Matrix,
    /// The variance along each, in a unit of its own.
    weights: Vec<f32>,
}

/// The directions that the fewest lines hold which hold enough; `None` if nothing varies, or too much.
fn principal(
    mut rows: Matrix,
    mean: &[f32],
    (coding, enough): (Coding, f32),
    seed: u64,
    hands: &Hands<'_>,
) -> Result<Option<Principal>> {
    let dimensions = rows.columns;
    // Directions do not depend on the size of the vectors, but squares of tiny ones vanish.
    let most = largest(&rows.data);
    if most > 0.0 && most < TINY {
        rows.data.iter_mut().for_each(|value| *value /= most);
    }
    let covariance = square(&rows, hands)?;
    let total: f32 = (0..dimensions).map(|i| covariance.row(i)[i]).sum();
    if !(total.is_normal() && mean.iter().all(|value| value.is_finite())) {
        return Ok(None);
    }
    choose(&covariance, (coding, enough * total), seed, hands).map(Some)
}

/// The fewest lines that hold enough of the variance, and their directions.
fn choose(covariance: &Matrix, (coding, enough): (Coding, f32), seed: u64, hands: &Hands<'_>) -> Result<Principal> {
    let dimensions = covariance.columns;
    let mut lines = LINES.into_iter().peekable();
    loop {
        let now = lines.next().unwrap_or(LINES[LINES.len() - 1]);
        let most = coding.most_directions(now).min(dimensions);
        let last = most == dimensions || lines.peek().is_none();
        let (mut directions, weights) = subspace::leading(covariance, (most, ROUNDS), seed, hands)?;
        if last || weights.iter().sum::<f32>() >= enough {
            directions.data.truncate(most * dimensions);
            return Ok(Principal { lines: now, directions, weights });
        }
    }
}

pub(super) fn mean_of(rows: &Matrix) -> Vec<f32> {
    let mut sums = vec![0.0_f64; rows.columns];
    for i in 0..rows.rows() {
        for (sum, &value) in sums.iter_mut().zip(rows.row(i)) {
            *sum += f64::from(value);
        }
    }
    let count = rows.rows().max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}
