//! How does a short vector of bytes take the place of a long one of floats?
//!
//! Where the vectors themselves are too much memory, an index holds *reduced* ones instead: signed bytes whose distances are nearly those of the
//! vectors. They are vectors like any others, so graph, builder and kernels need not know. Two ways:
//!
//! - [`Reduction::Every`]: each component less its mean, rounded to a common step.
//! - [`Reduction::Leading`] and, with more directions, [`Reduction::Fine`]: the projection on the leading directions of a sample (those of a [`Codec`]), rounded, and what it leaves out, as a
//!   length: spread over [`SPARE`] further bytes, and in a query over another [`SPARE`], so that in a squared distance the two lengths add up as
//!   if they were at right angles, as they nearly are.
//!
//! The step is the one that loses least in a sample: a shorter one rounds less and clips more. Under cosine vectors have length 1 before, so
//! that squared distances are twice the cosine's; for inner products nothing is subtracted.

use super::rounded::{MOST, best_step, rounded};
use super::train::{Centre, ENOUGH, learn, mean_of};
use super::{Codec, Sample, Wide, Width, Workspace, blob_bytes, is_code, largest, round, subspace::dot};
use crate::distance::{Element, Metric};
use crate::util::error::{Error, Result};
use crate::util::hands::Hands;
use crate::util::memory::{LINE, make_room, repeated};

/// Bytes for what a projection leaves out of a vector, and as many for what it leaves out of a query.
const SPARE: usize = 8;
/// Vectors by which it is chosen.
const CHOSEN_BY: usize = 1024;
/// Share of the variance that directions must hold for [`Reduction::Fine`].
const FINE: f32 = 0.985;
/// As many directions are kept as codes of this width hold.
const SAME: Width = Width::Four;
/// Bytes before the parts in a blob.
const HEAD: usize = 16;

/// How vectors are reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// Component by component.
    Every,
    /// To leading directions, as many as the codes of walks hold.
    Leading,
    /// To more of them.
    Fine,
}

/// What reduces vectors.
#[derive(Debug)]
pub(crate) struct Reducer {
    /// Centres and projects; where nothing is projected, only centres.
    codec: Codec,
    reduction: Reduction,
    /// What one unit of a byte stands for.
    step: f32,
}

/// A query beside reduced vectors.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) whole: Vec<u8>,
    pub(crate) rounded: Vec<u8>,
}

/// Learns to reduce vectors like these; `None` if they do not vary, or so much that their squares overflow.
pub(crate) fn train_reducer(
    reduction: Reduction,
    sample: &Sample<'_>,
    seed: u64,
    hands: &Hands<'_>,
) -> Result<Option<Reducer>> {
    let centre = if sample.metric == Metric::InnerProduct { Centre::Origin } else { Centre::Mean };
    let codec = match reduction {
        Reduction::Leading => learn(sample, (centre, SAME, ENOUGH), seed, hands)?,
        Reduction::Fine => learn(sample, (centre, SAME, FINE), seed, hands)?,
        Reduction::Every => Some(Codec::plain(sample.metric, mean_of_sample(sample, centre, hands)?)),
    };
    let Some(codec) = codec else { return Ok(None) };
    let mut reducer = Reducer { codec, reduction, step: 1.0 };
    let (mut values, mut one, mut work) = (Vec::new(), Vec::new(), Workspace::default());
    let every = sample.vectors.len().div_ceil(CHOSEN_BY).max(1);
    for vector in sample.vectors.iter().step_by(every) {
        hands.ask()?;
        reducer.spell(sample.element, vector, f32::NAN, &mut work, Side::Stored, &mut one);
        let all = values.len() + one.len();
        make_room(&mut values, all)?;
        values.extend_from_slice(&one);
    }
    reducer.step = best_step(&values);
    let square = reducer.step * reducer.step;
    Ok((square.is_normal() && reducer.codec.mean.iter().all(|value| value.is_finite())).then_some(reducer))
}

fn mean_of_sample(sample: &Sample<'_>, centre: Centre, hands: &Hands<'_>) -> Result<Vec<f32>> {
    match centre {
        Centre::Origin => repeated(0.0, sample.dimensions),
        Centre::Mean => Ok(mean_of(&sample.widened(hands)?)),
    }
}

/// Whose components are spelt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Stored,
    Asked,
}

impl Reducer {
    /// How it reduces vectors.
    pub(crate) fn reduction(&self) -> Reduction {
        self.reduction
    }

    /// Components, and bytes, of a reduced vector.
    pub(crate) fn components(&self) -> usize {
        match self.reduction {
            Reduction::Every => self.codec.dimensions,
            Reduction::Leading | Reduction::Fine => self.codec.directions() + 2 * SPARE,
        }
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.codec.bytes() + size_of::<Self>() - size_of::<Codec>()
    }

    /// The metric between reduced vectors, and what its scores are multiplied with.
    pub(crate) fn metric(&self) -> (Metric, f32) {
        let square = self.step * self.step;
        match self.codec.metric {
            Metric::InnerProduct => (Metric::InnerProduct, square),
            Metric::Cosine => (Metric::L2, 0.5 * square),
            _ => (Metric::L2, square),
        }
    }

    /// The components before they are rounded, in the vector's own unit.
    fn spell(&self, element: Element, vector: &[u8], scale: f32, work: &mut Workspace, side: Side, out: &mut Vec<f32>) {
        self.codec.widen(element, vector, scale, &mut work.centred);
        self.codec.centre(&mut work.centred);
        out.clear();
        if self.reduction == Reduction::Every {
            out.extend_from_slice(&work.centred);
            return;
        }
        self.codec.project(work, largest(&work.centred), Wide::Sixteen);
        out.extend_from_slice(&work.projected);
        let (whole, kept) = (dot(&work.centred, &work.centred), dot(&work.projected, &work.projected));
        let left = if self.codec.metric == Metric::InnerProduct { 0.0 } else { (whole - kept).max(0.0) };
        let each = (left / SPARE as f32).sqrt();
        let (own, other) = if side == Side::Stored { (each, 0.0) } else { (0.0, each) };
        out.extend([own; SPARE].into_iter().chain([other; SPARE]));
    }

    /// Reduces a vector. `scale` is 1 / its norm as `Scoring::check` gives it.
    pub(crate) fn reduce(&self, element: Element, vector: &[u8], scale: f32, work: &mut Workspace, out: &mut Vec<u8>) {
        let mut spelt = std::mem::take(&mut work.spelt);
        self.spell(element, vector, scale, work, Side::Stored, &mut spelt);
        out.clear();
        out.extend(spelt.iter().map(|&value| rounded(value, self.step) as i8 as u8));
        work.spelt = spelt;
    }

    /// A query as it is compared with reduced vectors: f32 components, as bytes; and rounded to be like them, which is empty if a component
    /// is beyond them.
    pub(crate) fn ask(&self, element: Element, query: &[u8], scale: f32, work: &mut Workspace, out: &mut Asked) {
        let mut spelt = std::mem::take(&mut work.spelt);
        self.spell(element, query, scale, work, Side::Asked, &mut spelt);
        let inverse = 1.0 / self.step;
        spelt.iter_mut().for_each(|value| *value *= inverse);
        out.whole.clear();
        out.whole.extend(spelt.iter().flat_map(|value| value.to_ne_bytes()));
        out.rounded.clear();
        if largest(&spelt) <= MOST {
            out.rounded.extend(spelt.iter().map(|&value| round(value) as i32 as u8));
        }
        work.spelt = spelt;
    }

    /// The vector that a reduced one stands for, nearly; of length 1 under cosine.
    pub(crate) fn restore(&self, reduced: &[u8], out: &mut Vec<f32>) {
        out.clear();
        out.extend_from_slice(&self.codec.mean);
        let values = reduced.iter().map(|&byte| f32::from(byte.cast_signed()) * self.step);
        match self.reduction {
            Reduction::Every => out.iter_mut().zip(values).for_each(|(to, value)| *to += value),
            Reduction::Leading | Reduction::Fine => {
                let row = self.codec.row_bytes();
                let rows = self.codec.matrix.bytes().chunks_exact(row);
                for (direction, value) in rows.take(self.codec.directions()).zip(values) {
                    let weight = value * self.codec.unit;
                    out.iter_mut().zip(direction).for_each(|(to, &part)| *to += weight * f32::from(part.cast_signed()));
                }
            }
        }
    }

    /// Bytes of the blob of what reduces vectors of so many dimensions to so many components; `None` if nothing does.
    pub(crate) fn blob_bytes(reduction: Reduction, dimensions: usize, components: usize) -> Option<usize> {
        match reduction {
            Reduction::Every => (components == dimensions).then(|| (HEAD + 4 * dimensions).next_multiple_of(LINE)),
            Reduction::Leading | Reduction::Fine => {
                let lines =
                    (1..=8).find(|&lines| is_code(lines) && SAME.directions(lines) + 2 * SPARE == components)?;
                Some((HEAD + blob_bytes(dimensions, (SAME.into(), lines))).next_multiple_of(LINE))
            }
        }
    }

    /// The bytes of FORMAT.md.
    pub(crate) fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        blob.extend_from_slice(&self.step.to_le_bytes());
        blob.resize(HEAD, 0);
        match self.reduction {
            Reduction::Every => self.codec.mean.iter().for_each(|value| blob.extend_from_slice(&value.to_le_bytes())),
            Reduction::Leading | Reduction::Fine => blob.extend_from_slice(&self.codec.to_blob()),
        }
        blob.resize(blob.len().next_multiple_of(LINE), 0);
        blob
    }

    /// A reducer from bytes that somebody wrote.
    pub(crate) fn from_blob(
        reduction: Reduction,
        shape: (Metric, usize),
        components: usize,
        blob: &[u8],
    ) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(format!("section reducer: {what}"));
        let (metric, dimensions) = shape;
        if Self::blob_bytes(reduction, dimensions, components) != Some(blob.len()) {
            return Err(bad("its length fits no reducer of these vectors"));
        }
        let number = |at: usize| f32::from_le_bytes([blob[at], blob[at + 1], blob[at + 2], blob[at + 3]]);
        let step = number(0);
        if !(step * step).is_normal() || step < 0.0 {
            return Err(bad("its step is not a positive number"));
        }
        let (codec, used) = match reduction {
            Reduction::Every => {
                let mean: Vec<f32> = (0..dimensions).map(|i| number(HEAD + 4 * i)).collect();
                if let Some(i) = mean.iter().position(|value| !value.is_finite()) {
                    return Err(bad(&format!("component {i} of its mean is not finite")));
                }
                (Codec::plain(metric, mean), HEAD + 4 * dimensions)
            }
            Reduction::Leading | Reduction::Fine => {
                let lines = (components - 2 * SPARE).div_ceil(2 * LINE);
                let end = HEAD + blob_bytes(dimensions, (SAME.into(), lines));
                (Codec::from_blob(metric, dimensions, (SAME.into(), lines), &blob[HEAD..end])?, end)
            }
        };
        if blob[4..HEAD].iter().chain(&blob[used..]).any(|&byte| byte != 0) {
            return Err(bad("it has bytes that no save writes"));
        }
        Ok(Self { codec, reduction, step })
    }
}

#[cfg(test)]
#[path = "reduce_tests.rs"]
mod tests;
