//! How does a vector become a small code that tells its distance nearly?
//!
//! A walk looks at hundreds of vectors and returns ten. So each vector gets a *code* of one or a few cache lines, the walk goes by what the
//! codes say, and the best that it finds are ranked by their exact distances. The code:
//!
//! 1. *Project.* Subtract the mean, keep the leading directions of a sample's covariance (as LeanVec does, arXiv 2312.16335), turned
//!    among themselves so that each holds as much as the others. How many: as fill the fewest lines that keep [`train::ENOUGH`].
//! 2. *Round* to 4, 2 or 1 bits a direction (or let a byte stand for several of them: `product`; or keep the signs of all components and no more: `signs`), on the grid whose angle to the projection is smallest, and keep two numbers that make the
//!    estimate of a product unbiased along the projection (extended RaBitQ, arXiv 2409.09913). They stand in the last 8 bytes of the code.
//!
//! A query is projected the same way and rounded to 8 bits, or beside codes of one bit to 4; a distance is one integer product and two
//! multiplications. The projection is an integer matrix, so encoding and estimating give the same bits on every level.
//!
//! How far an estimate can be off: let *o* and *q* be the projections of vector and query, *v* what the code stands for, and *c* the cosine of the
//! angle between *o* and *v*. The product of *o* and *q* is then estimated with an error of |o| |q| sqrt(1 / c² - 1) at most; and since the directions are
//! turned at random, it is about normal with that divided by sqrt(directions - 1) as its deviation. What the directions leave out of vector and
//! query adds a product of at most the lengths of the two. `bound_tests` holds the estimates against this.
//!
//! `coding` names the kinds of codes; `width` is what follows from the number of bits of rounded ones, `product` makes product codes from what `kmeans` learns; `subspace` finds directions, `train` makes a [`Codec`] from a sample, `codes` holds a code per slot, `blob` is a codec in a file. `reduce` is
//! about something else: vectors of bytes that take the place of vectors, to save memory.

mod blob;
#[cfg(test)]
mod bound_tests;
mod codes;
mod coding;
mod kmeans;
#[cfg(test)]
mod kmeans_tests;
#[cfg(any(test, feature = "test-hooks"))]
mod measured;
mod product;
#[cfg(test)]
mod product_tests;
mod reduce;
#[cfg(test)]
mod rough_bound_tests;
mod rounded;
mod signs;
mod subspace;
#[cfg(test)]
mod tests;
mod train;
mod width;

pub(crate) use blob::{blob_bytes, is_code};
pub(crate) use codes::{Codes, Estimator, check_codes};
pub(crate) use coding::{Coding, most_code_bytes};
#[cfg(any(test, feature = "test-hooks"))]
pub use measured::{ProductCodec, cluster_rows};
pub(crate) use reduce::{Asked, Reducer, Reduction, train_reducer};
pub(crate) use subspace::{Matrix, leading, spread};
pub(crate) use train::{MOST_DIMENSIONS, Sample, is_possible, is_worth_it, train};
pub(crate) use width::Width;

use crate::distance::{self, Element, KernelId, LevelJob, Metric, Panel};
use crate::simd::{Level, Simd, detect};
use crate::util::memory::{LINE, Lines};
use coding::{Rule, code_bytes};
use subspace::dot;

/// The last bytes of a code hold two floats.
const FACTORS: usize = 8;
/// Squared lengths from here on have no estimates: sums with them might overflow.
const HUGE: f32 = 1e36;
/// A query whose largest component is this many times the usual one is projected with 16 bits instead of 8.
const SPIKE: f32 = 8.0;

/// What turns vectors into codes.
#[derive(Debug)]
pub(crate) struct Codec {
    metric: Metric,
    dimensions: usize,
    /// How a projection becomes a code.
    rule: Rule,
    /// Cache lines of a code.
    lines: usize,
    mean: Vec<f32>,
    /// A row of signed bytes per direction, `stride` bytes each; times `unit` they are nearly orthonormal.
    matrix: Lines,
    unit: f32,
    level: Level,
}

/// A query as codes are compared with it.
#[derive(Debug, Default)]
pub(crate) struct Query {
    /// What codes are multiplied with: lines for each line of a code, as the packing has them.
    weights: Lines,
    /// Estimate = add + code's own + code's factor * (scale * product - offset).
    add: f32,
    scale: f32,
    offset: f32,
}

impl Query {
    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.weights.capacity()
    }
}

/// Room for the steps between vector and code.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    centred: Vec<f32>,
    /// The vector as one or two planes of signed bytes.
    planes: Lines,
    products: Vec<f32>,
    projected: Vec<f32>,
    query: Query,
    /// A projection as bytes, part by part, for product codes.
    parts: Vec<u32>,
    /// Components of a reduced vector before they are rounded.
    spelt: Vec<f32>,
    /// A reduced vector, and a query beside such.
    pub(crate) reduced: Vec<u8>,
    pub(crate) asked: Asked,
}

impl Workspace {
    pub(crate) fn bytes(&self) -> usize {
        let floats =
            self.centred.capacity() + self.products.capacity() + self.projected.capacity() + self.spelt.capacity();
        4 * floats
            + 4 * self.parts.capacity()
            + self.reduced.capacity()
            + self.asked.whole.capacity()
            + self.asked.rounded.capacity()
            + self.planes.capacity()
            + self.query.weights.capacity()
    }
}

impl Codec {
    /// Bytes of a code.
    pub(crate) fn stride(&self) -> usize {
        self.lines * LINE
    }

    /// Directions kept.
    pub(crate) fn directions(&self) -> usize {
        self.coding().rows(self.dimensions, self.lines)
    }

    /// The kind of its codes.
    pub(crate) fn coding(&self) -> Coding {
        self.rule.coding()
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.mean.capacity() * 4 + self.matrix.capacity() + self.rule.bytes() + size_of::<Self>()
    }

    /// Bytes from one row of the matrix to the next.
    fn row_bytes(&self) -> usize {
        distance::padded_bytes(self.dimensions)
    }

    /// What an estimate is multiplied with to stand for a distance.
    pub(crate) fn unit_of_estimates(&self) -> f32 {
        // Vectors of length 1: their squared distance is twice what their cosine lacks.
        if self.metric == Metric::Cosine { 0.5 } else { 1.0 }
    }

    /// Widens a vector, at length 1 under cosine. `scale` is 1 / its norm as `Scoring::check` gives it.
    #[inline(always)]
    fn widen(&self, element: Element, vector: &[u8], scale: f32, out: &mut Vec<f32>) {
        out.resize(self.dimensions, 0.0);
        distance::to_f32(element, vector, out);
        if self.metric != Metric::Cosine {
            return;
        }
        if scale.is_nan() {
            let factor = 1.0 / distance::norm(element, vector);
            out.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        } else {
            out.iter_mut().for_each(|value| *value *= scale);
        }
    }

    #[inline(always)]
    fn centre(&self, values: &mut [f32]) {
        for (value, mean) in values.iter_mut().zip(&self.mean) {
            *value -= mean;
        }
    }

    /// Projects `work.centred`, whose largest component has this size, into `work.projected`.
    #[inline(always)]
    fn project(&self, work: &mut Workspace, most: f32, wide: Wide) {
        let Workspace { centred, planes, products, projected, .. } = work;
        if let Rule::Signs(_) = self.rule {
            projected.clone_from(centred);
            return;
        }
        let (row, rows) = (self.row_bytes(), self.directions());
        projected.resize(rows, 0.0);
        if most < f32::MIN_POSITIVE {
            projected.fill(0.0);
            return;
        }
        planes.reset(row * wide.planes());
        let unit = wide.fill(centred, most, planes.bytes_mut(), row);
        products.resize(rows * wide.planes(), 0.0);
        let panel = Panel {
            queries: planes.bytes().as_ptr(),
            query_count: wide.planes(),
            query_stride: row,
            rows: self.matrix.bytes().as_ptr(),
            row_count: rows,
            row_stride: row,
            bytes: row,
            scores: products.as_mut_ptr(),
            scores_stride: rows,
        };
        let kernels = distance::kernels(self.level, KernelId::DotI8);
        // SAFETY: planes holds that many padded vectors of `row` bytes, the matrix has that many rows of them, and products as
        // many places; `row` is a multiple of 32.
        unsafe { (kernels.panel)(&panel) };
        let unit = unit * self.unit;
        match wide {
            Wide::Eight => projected.iter_mut().zip(&*products).for_each(|(to, low)| *to = low * unit),
            Wide::Sixteen => {
                let (low, high) = products.split_at(rows);
                for (to, (low, high)) in projected.iter_mut().zip(low.iter().zip(high)) {
                    *to = (high * 256.0 + low) * unit;
                }
            }
        }
    }

    /// Writes the code of a vector of any element type. `scale` as in `widen`.
    pub(crate) fn encode(&self, element: Element, vector: &[u8], scale: f32, work: &mut Workspace, code: &mut [u8]) {
        distance::run_on(self.level, Encode { codec: self, vector: (element, vector), scale, work, code });
    }

    #[inline(always)]
    fn encode_here(&self, vector: (Element, &[u8]), scale: f32, work: &mut Workspace, code: &mut [u8]) {
        self.widen(vector.0, vector.1, scale, &mut work.centred);
        self.centre(&mut work.centred);
        let norm = dot(&work.centred, &work.centred);
        code.fill(0);
        if norm.is_nan() || norm >= HUGE {
            // No estimate: always among the nearest, so that its exact distance decides.
            self.set_factors(code, f32::MIN, 0.0);
            return;
        }
        self.project(work, largest(&work.centred), Wide::Sixteen);
        let Workspace { projected: values, products: levels, parts, .. } = work;
        let kept = dot(values, values);
        let own = if self.metric == Metric::InnerProduct { 0.0 } else { norm };
        if kept < f32::MIN_POSITIVE {
            self.set_factors(code, own, 0.0);
            return;
        }
        let factor = match &self.rule {
            Rule::Rounded(width) => {
                let used = values.len().min(self.dimensions);
                width.round(values, (kept / used as f32).sqrt(), levels);
                width.pack(levels, code);
                -kept / dot(values, levels)
            }
            Rule::Product(product) => -product.encode((values, kept), parts, levels, code),
            Rule::Signs(_) => {
                signs::write(values, code);
                -kept.sqrt()
            }
        };
        self.set_factors(code, own, if self.metric == Metric::InnerProduct { factor } else { 2.0 * factor });
    }

    fn set_factors(&self, code: &mut [u8], own: f32, factor: f32) {
        let at = self.stride() - FACTORS;
        code[at..at + 4].copy_from_slice(&own.to_le_bytes());
        code[at + 4..at + 8].copy_from_slice(&factor.to_le_bytes());
    }

    /// Prepares a query; `None` if it has no estimates (its numbers overflow). `scale` as in `widen`.
    pub(crate) fn prepare<'w>(
        &self,
        element: Element,
        vector: &[u8],
        scale: f32,
        work: &'w mut Workspace,
    ) -> Option<&'w Query> {
        distance::run_on(self.level, Prepare { codec: self, vector: (element, vector), scale, work })
            .then_some(&work.query)
    }

    /// As [`Codec::prepare`], into a place of the caller's; says whether the query has estimates.
    pub(crate) fn prepare_into(
        &self,
        element: Element,
        vector: &[u8],
        scale: f32,
        work: &mut Workspace,
        query: &mut Query,
    ) -> bool {
        std::mem::swap(&mut work.query, query);
        let prepared = self.prepare(element, vector, scale, work).is_some();
        std::mem::swap(&mut work.query, query);
        prepared
    }

    #[inline(always)]
    fn prepare_here(&self, vector: (Element, &[u8]), scale: f32, work: &mut Workspace) -> bool {
        self.widen(vector.0, vector.1, scale, &mut work.centred);
        let mut add = 0.0;
        if self.metric == Metric::InnerProduct {
            add = 1.0 - dot(&work.centred, &self.mean);
        } else {
            self.centre(&mut work.centred);
        }
        let norm = dot(&work.centred, &work.centred);
        if self.metric != Metric::InnerProduct {
            add = norm;
        }
        if add.is_nan() || add.abs() >= HUGE || norm.is_nan() || norm >= HUGE {
            return false;
        }
        let most = largest(&work.centred);
        let spiky = most * most * self.dimensions as f32 > SPIKE * SPIKE * norm;
        self.project(work, most, if spiky { Wide::Sixteen } else { Wide::Eight });
        let Workspace { projected, products, query, parts, .. } = work;
        query.add = add;
        match &self.rule {
            Rule::Rounded(width) => {
                query.weights.reset(width.weights() * self.stride());
                let (scale, sum) = width.spell(projected, self.dimensions, products, query.weights.bytes_mut());
                query.scale = scale;
                query.offset = scale * width.centre() * sum as f32;
            }
            Rule::Product(product) => {
                query.weights.reset(product.table_bytes());
                query.scale = product.tabulate(projected, parts, query.weights.bytes_mut());
                query.offset = 0.0;
            }
            Rule::Signs(_) => {
                query.weights.reset(self.stride());
                signs::write(projected, query.weights.bytes_mut());
                query.scale = norm.sqrt() / signs::WHOLE;
                query.offset = 0.0;
            }
        }
        true
    }
}

struct Encode<'a> {
    codec: &'a Codec,
    vector: (Element, &'a [u8]),
    scale: f32,
    work: &'a mut Workspace,
    code: &'a mut [u8],
}

impl LevelJob for Encode<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        self.codec.encode_here(self.vector, self.scale, self.work, self.code);
    }
}

struct Prepare<'a> {
    codec: &'a Codec,
    vector: (Element, &'a [u8]),
    scale: f32,
    work: &'a mut Workspace,
}

impl LevelJob for Prepare<'_> {
    type Output = bool;
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) -> bool {
        self.codec.prepare_here(self.vector, self.scale, self.work)
    }
}

/// The largest size of a value; there is no NaN.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    // As whole numbers, which order as sizes do: their maximum is one instruction on every level.
    let mut lanes = [0_u32; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for values in blocks {
        for i in 0..16 {
            lanes[i] = lanes[i].max(values[i].to_bits() << 1);
        }
    }
    let mut most = 0;
    for lane in lanes {
        most = most.max(lane);
    }
    for value in rest {
        most = most.max(value.to_bits() << 1);
    }
    f32::from_bits(most >> 1)
}

/// The nearest whole number, halves to even ones, of a value between -2^22 and 2^22: what is added leaves no bits for fractions.
#[inline(always)]
fn round(value: f32) -> f32 {
    (value + WHOLE) - WHOLE
}

/// As [`round`], as a whole number: a cast would ask of each value whether it fits.
#[inline(always)]
fn whole(value: f32) -> i32 {
    (value + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()).cast_signed()
}

/// Numbers of its size have no bits for fractions.
const WHOLE: f32 = 12_582_912.0;

/// How finely a vector is rounded before it is projected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wide {
    Eight,
    Sixteen,
}

impl Wide {
    fn planes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }

    /// Rounds values of at most `most` into planes of signed bytes, `row` apart; says what one unit of the result stands for.
    #[inline(always)]
    fn fill(self, values: &[f32], most: f32, planes: &mut [u8], row: usize) -> f32 {
        match self {
            Self::Eight => {
                let unit = most / 127.0;
                let inverse = 1.0 / unit;
                for (to, value) in planes.iter_mut().zip(values) {
                    *to = whole(value * inverse) as u8;
                }
                unit
            }
            Self::Sixteen => {
                // 127 * 256 + 127, so that the high plane stays within a signed byte.
                let unit = most / 32_639.0;
                let inverse = 1.0 / unit;
                let (low, high) = planes.split_at_mut(row);
                for ((low, high), value) in low.iter_mut().zip(high).zip(values) {
                    let wide = whole(value * inverse);
                    *low = wide as u8;
                    *high = ((wide - i32::from(wide as i8)) >> 8) as u8;
                }
                unit
            }
        }
    }
}

impl Codec {
    /// A codec without directions, which only centres.
    fn plain(metric: Metric, mean: Vec<f32>) -> Self {
        let dimensions = mean.len();
        Self {
            metric,
            dimensions,
            rule: Rule::Rounded(Width::Four),
            lines: 0,
            mean,
            matrix: Lines::default(),
            unit: 1.0,
            level: detect(),
        }
    }

    /// A codec around trained parts. `rows` has a row per direction a code of `lines` lines holds, fewer are filled up with zeros.
    fn around(metric: Metric, (rule, lines): (Rule, usize), mean: Vec<f32>, rows: &subspace::Matrix) -> Self {
        let most = rows.data.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let mut codec = Self {
            metric,
            dimensions: mean.len(),
            rule,
            lines,
            mean,
            matrix: Lines::default(),
            unit: most / 127.0,
            level: detect(),
        };
        let row = codec.row_bytes();
        codec.matrix.reset(row * codec.directions());
        for (to, from) in codec.matrix.bytes_mut().chunks_exact_mut(row).zip(rows.data.chunks_exact(rows.columns)) {
            for (to, value) in to.iter_mut().zip(from) {
                *to = whole(value / codec.unit) as u8;
            }
        }
        codec
    }
}
