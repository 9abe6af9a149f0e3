//! How is the nearest found? Scores of a prepared query against stored vectors, and the loops that look for the best.
//!
//! - [`Scoring`]: what a raw kernel score means under the index's metric; chosen once per index.
//! - `flat`: the exact scan, and `coded`: the one that goes by codes first. `graph`: a graph search from entry to hits, around `walk`, the best-first walk with its `frontier`, its
//!   `visited` set and `intake`, which takes in what was scored. `rank`: which of many
//!   candidates are the nearest, exactly; `nearest`: the k best so far; `scratch`: a query's buffers, reused from query to query.

mod coded;
pub(crate) mod custom;
pub(crate) mod flat;
mod frontier;
pub(crate) mod graph;
mod intake;
pub(crate) mod lives;
pub(crate) mod nearest;
pub(crate) mod observed;
mod rank;
mod scratch;
mod visited;
pub(crate) mod walk;

pub(crate) use scratch::{Scratch, Scratches};

use crate::distance::{self, Custom, Element, KernelId, Kernels, LevelJob, Metric};
use crate::simd::{self, Level, Simd};
use crate::store::{Held, Store};
use crate::util::error::{Error, Result};

/// Norms whose products with each other neither overflow nor lose digits in single precision.
const NORMS: std::ops::Range<f64> = 1e-15..1e15;

/// Turns raw kernel scores into distances, for vectors of one shape under one metric.
///
/// `distance = base + factor * raw * scale`, where factor belongs to the query (-1 for inner product, -1/norm for cosine) and scale
/// to the stored vector (1/norm for cosine, else 1). A distance that comes out NaN (a product that overflowed, or a norm outside
/// [`NORMS`], whose scale is NaN on purpose) is computed again in f64 ([`Scoring::far`]); so the loops pay nothing for
/// extreme vectors but a comparison that lets NaN through.
#[derive(Clone, Debug)]
pub(crate) struct Scoring {
    pub(crate) metric: Metric,
    /// Of stored vectors.
    pub(crate) element: Element,
    /// Of queries, as the loops see them.
    pub(crate) asked: Element,
    /// Of vectors as callers give them.
    given: Element,
    /// How those become what is stored.
    held: Held,
    pub(crate) dimensions: u32,
    /// Bytes of a vector as it is stored, and of a query.
    pub(crate) stride: usize,
    pub(crate) query_stride: usize,
    pub(crate) level: Level,
    pub(crate) kernel: KernelId,
    pub(crate) kernels: &'static Kernels,
    /// Added to every product.
    pub(crate) base: f32,
    /// What scores are multiplied with, beside what belongs to query and vector.
    gain: f32,
    /// Between stored vectors, where a query can be rounded to be like them.
    pub(crate) between: Option<Box<Self>>,
    /// Asked instead of the kernels.
    pub(crate) custom: Option<Custom>,
}

impl Scoring {
    pub(crate) fn new(metric: Metric, element: Element, dimensions: u32, stride: usize) -> Result<Self> {
        let (level, kernel) = (simd::detect(), KernelId::new(metric, element)?);
        let kernels = distance::kernels(level, kernel);
        let base = if matches!(metric, Metric::InnerProduct | Metric::Cosine) { 1.0 } else { 0.0 };
        Ok(Self {
            metric,
            element,
            asked: element,
            given: element,
            held: Held::AsGiven,
            dimensions,
            stride,
            query_stride: stride,
            level,
            kernel,
            kernels,
            base,
            gain: 1.0,
            between: None,
            custom: None,
        })
    }

    /// The same for vectors that are held so, `stride` bytes each: of queries that can be held so, too.
    pub(crate) fn of_held(&self, held: Held, stride: usize) -> Result<Self> {
        let element = match held {
            _ if held == self.held => return Ok(self.clone()),
            Held::AsGiven => self.given,
            Held::I8 => Element::I8,
            Held::U8 => Element::U8,
            Held::F16 => Element::F16,
            Held::Bf16 => Element::Bf16,
            Held::Reduced(_) => return Err(Error::internal("reduced vectors have a metric of their own")),
        };
        Ok(Self { held, given: self.given, ..Self::new(self.metric, element, self.dimensions, stride)? })
    }

    /// Between reduced vectors of so many components, and from queries of f32.
    pub(crate) fn of_reduced((metric, gain): (Metric, f32), components: u32, stride: usize) -> Result<(Self, Self)> {
        let between = Self { gain, ..Self::new(metric, Element::I8, components, stride)? };
        let asked = Self { between: Some(Box::new(between.clone())), ..between.asked_as(Element::F32)? };
        Ok((between, asked))
    }

    /// The same for queries that stay as callers give them.
    pub(crate) fn asked_as(&self, asked: Element) -> Result<Self> {
        let kernel = KernelId::between(self.metric, asked, self.element)?;
        let kernels = distance::kernels(self.level, kernel);
        let query_stride = self.stride * asked.bits() / self.element.bits();
        Ok(Self { asked, held: Held::AsGiven, query_stride, kernel, kernels, ..self.clone() })
    }

    /// Writes a query as the loops see it.
    fn put_query(&self, query: &[u8], place: &mut [u8]) {
        let place = &mut place[..self.asked.vector_bytes(self.dimensions)];
        if self.held.is_rounded() {
            distance::run_on(self.level, Round { held: self.held, query, place });
        } else {
            self.held.pack(query, place);
        }
    }

    /// Checks a vector from the caller and returns its scale.
    pub(crate) fn check(&self, name: &str, vector: &[u8]) -> Result<f32> {
        let bytes = self.given.vector_bytes(self.dimensions);
        if vector.len() != bytes {
            return Err(Error::argument(format!("{name} has {} bytes, vectors here have {bytes}", vector.len())));
        }
        let rounded = self.held.is_rounded();
        // What is asked of every query is compiled for the level; which component it is, if one is not finite, need not be quick.
        let (finite, length) = match (self.given, self.metric) {
            (Element::F32, Metric::Cosine) if !rounded => {
                let length = distance::run_on(self.level, Length { vector });
                (length.is_some(), length)
            }
            (Element::F32, _) => (distance::run_on(self.level, Finite { vector }), None),
            _ => (false, None),
        };
        if !finite && let Some(i) = distance::first_not_finite(self.given, vector) {
            let mut widened = vec![0.0; i + 1];
            distance::to_f32(self.given, vector, &mut widened);
            return Err(Error::argument(format!(
                "{name} has {} in component {i}, components must be finite",
                widened[i]
            )));
        }
        if rounded && !self.held.fits(vector) {
            return Err(self.not_held(name, vector));
        }
        if self.metric != Metric::Cosine {
            return Ok(1.0);
        }
        let norm = match length {
            Some(norm) => norm,
            None if rounded => distance::norm_rounded(self.element, vector),
            None => distance::norm(self.given, vector),
        };
        if norm == 0.0 {
            let how = if rounded { format!(" when rounded to {}", self.element.name()) } else { String::new() };
            return Err(Error::argument(format!(
                "{name} is a zero vector{how}, which has no direction: cosine needs one"
            )));
        }
        Ok(if NORMS.contains(&norm) { (1.0 / norm) as f32 } else { f32::NAN })
    }

    /// A vector that is too long to be rounded to what is stored.
    #[cold]
    fn not_held(&self, name: &str, vector: &[u8]) -> Error {
        let values = vector.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes));
        let (i, value) = values.enumerate().find(|(_, value)| value.abs() >= self.held.too_large()).unwrap_or_default();
        let wider = if self.held == Held::F16 { ", bf16 and f32 do" } else { ", f32 does" };
        Error::argument(format!(
            "{name} has {value} in component {i}, which {} does not hold, as vectors here are held{wider}",
            self.element.name()
        ))
    }

    /// The factor of a query that [`Scoring::check`] gave this scale.
    pub(crate) fn factor(&self, scale: f32) -> f32 {
        match self.metric {
            Metric::InnerProduct => -self.gain,
            Metric::Cosine => -scale,
            _ => self.gain,
        }
    }

    /// The distance in f64, where single precision gives no number. Never NaN: what has no distance at all (a NaN or a zero vector
    /// under cosine, which only a file that was not checked can bring in) is farther than everything.
    #[cold]
    pub(crate) fn far(&self, query: &[u8], vector: &[u8]) -> f32 {
        let distance = self.far_unguarded(query, vector);
        if distance.is_nan() { f32::INFINITY } else { distance }
    }

    fn far_unguarded(&self, query: &[u8], vector: &[u8]) -> f32 {
        if self.metric == Metric::Cosine {
            if self.asked == self.element {
                return distance::cosine_far(self.element, query, vector);
            }
            let bytes =
                |components: Vec<f32>| -> Vec<u8> { components.into_iter().flat_map(f32::to_ne_bytes).collect() };
            let (query, vector) = (self.widened(self.asked, query), self.widened(self.element, vector));
            return distance::cosine_far(Element::F32, &bytes(query), &bytes(vector));
        }
        // Only sums with both signs can become infinity minus infinity: products.
        let (query, vector) = (self.widened(self.asked, query), self.widened(self.element, vector));
        let products = query.into_iter().zip(vector).map(|(a, b)| f64::from(a) * f64::from(b));
        (1.0 - f64::from(self.gain) * products.sum::<f64>()) as f32
    }

    fn widened(&self, element: Element, vector: &[u8]) -> Vec<f32> {
        let mut components = vec![0.0; self.dimensions as usize];
        distance::to_f32(element, vector, &mut components);
        components
    }

    /// As [`Scoring::far`], for a padded query and a slot that is written (linked or live).
    #[cold]
    pub(crate) fn far_of(&self, query: *const u8, store: &Store, slot: u32) -> f32 {
        // SAFETY: a padded query has at least the bytes of a vector.
        let query = unsafe { std::slice::from_raw_parts(query, self.asked.vector_bytes(self.dimensions)) };
        // SAFETY: so has a stored vector, which is not written any more.
        let vector = unsafe { std::slice::from_raw_parts(store.vector(slot), store.vector_bytes()) };
        self.far(query, vector)
    }

    /// The distance of a live slot from what is looked for, as the loops compute it.
    pub(crate) fn distance(&self, probe: walk::Probe, store: &Store, slot: u32) -> f32 {
        if let Some(custom) = &self.custom {
            return custom.between(probe.vector, store.vector(slot)) as f32;
        }
        // SAFETY: a probe has `query_stride` readable bytes, and the vector of a live slot `stride`.
        let raw = unsafe { (self.kernels.one)(probe.vector, store.vector(slot), self.stride) };
        let distance = self.base + probe.factor * raw * store.scale(slot);
        if distance.is_nan() { self.far_of(probe.vector, store, slot) } else { distance }
    }

    /// Puts the distances that are reported in the place of those by which the loops found some hits.
    ///
    /// Only cosine has something to do: a vector's distance to itself must be exactly 0, which the product of two rounded norms
    /// does not give, so the hits get their cosine from three products of one kernel. Says whether there was something to do.
    pub(crate) fn report(&self, query: *const u8, store: &Store, hits: &mut [nearest::Hit]) -> bool {
        if self.metric != Metric::Cosine {
            return false;
        }
        // SAFETY: the query is padded to its stride.
        let aa = unsafe { self.square_of_query(query) };
        for hit in hits {
            // SAFETY: as above, and the vector of a slot that was a hit to the store's stride.
            hit.distance = unsafe { self.cosine_between((query, aa), store.vector(hit.slot)) };
        }
        true
    }

    /// The product of vectors of one element type.
    fn product_of(&self, element: Element) -> unsafe fn(*const u8, *const u8, usize) -> f32 {
        let kernel = match element {
            Element::I8 => KernelId::DotI8,
            Element::U8 => KernelId::DotU8,
            _ if self.asked != self.element => KernelId::DotF32,
            _ => self.kernel,
        };
        distance::kernels(self.level, kernel).one
    }

    /// # Safety
    /// - `a` has `query_stride` readable bytes, zero-padded.
    unsafe fn square_of_query(&self, a: *const u8) -> f32 {
        // SAFETY: the caller's promise; strides are multiples of 32.
        unsafe { self.product_of(self.asked)(a, a, self.query_stride) }
    }

    /// # Safety
    /// - `a` has `query_stride` readable bytes, `b` has `stride`, zero-padded.
    unsafe fn cosine_between(&self, (a, aa): (*const u8, f32), b: *const u8) -> f32 {
        // SAFETY: the caller's promise; strides are multiples of 32.
        let (ab, bb) =
            unsafe { ((self.kernels.one)(a, b, self.stride), self.product_of(self.element)(b, b, self.stride)) };
        let norms = f64::from(aa) * f64::from(bb);
        let normal = NORMS.start * NORMS.start..NORMS.end * NORMS.end;
        if normal.contains(&f64::from(aa)) && normal.contains(&f64::from(bb)) {
            // The root of a square is exact in f64, so a vector's cosine with itself is 1 and its distance 0.
            let cosine = (f64::from(ab) / norms.sqrt()) as f32;
            return (1.0 - cosine).clamp(0.0, 2.0);
        }
        let bytes = |element: Element| element.vector_bytes(self.dimensions);
        // SAFETY: the caller's promise.
        let (a, b) = unsafe {
            (std::slice::from_raw_parts(a, bytes(self.asked)), std::slice::from_raw_parts(b, bytes(self.element)))
        };
        self.far(a, b)
    }

    /// The distance between two vectors that [`Scoring::check`] accepted, as a search would report it.
    pub(crate) fn between(&self, a: &[u8], b: &[u8]) -> f32 {
        let mut scratch = Scratch::default();
        scratch.set_queries(self, [(a, 1.0), (b, 1.0)].into_iter());
        // SAFETY: the scratch holds both vectors padded to the stride.
        unsafe {
            if self.metric == Metric::Cosine {
                let first = (scratch.query(0), self.square_of_query(scratch.query(0)));
                return self.cosine_between(first, scratch.query(1));
            }
            let raw = (self.kernels.one)(scratch.query(0), scratch.query(1), self.stride);
            let distance = self.base + self.factor(1.0) * raw;
            if distance.is_nan() { self.far(a, b) } else { distance }
        }
    }
}

/// Whether all components of a vector of f32 are finite.
struct Finite<'a> {
    vector: &'a [u8],
}

impl LevelJob for Finite<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, _s: S) -> bool {
        distance::is_finite(self.vector.as_chunks::<4>().0)
    }
}

/// The length of a vector of f32; `None` if it has a component that is not finite.
struct Length<'a> {
    vector: &'a [u8],
}

impl LevelJob for Length<'_> {
    type Output = Option<f64>;

    #[inline(always)]
    fn run<S: Simd>(self, _s: S) -> Option<f64> {
        distance::length(self.vector.as_chunks::<4>().0)
    }
}

/// Rounds a query to what is stored.
struct Round<'a> {
    held: Held,
    query: &'a [u8],
    place: &'a mut [u8],
}

impl LevelJob for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        self.held.round(self.query, self.place);
    }
}

/// Which live vectors may be hits.
#[derive(Clone, Copy)]
pub(crate) enum Admit<'a> {
    /// Every one.
    All,
    /// Those whose key passes; may be asked from several threads.
    Shared(&'a (dyn Fn(u64) -> bool + Sync)),
    /// Those whose key passes; asked on the calling thread only.
    Caller(&'a dyn Fn(u64) -> bool),
}

impl<'a> Admit<'a> {
    #[inline(always)]
    pub(crate) fn passes(&self, key: u64) -> bool {
        match self {
            Self::All => true,
            Self::Shared(passes) => passes(key),
            Self::Caller(passes) => passes(key),
        }
    }

    /// The same, for use by several threads at once; `None` if it must stay on this one.
    pub(crate) fn shared(&self) -> Option<SharedAdmit<'a>> {
        match *self {
            Self::All => Some(SharedAdmit(None)),
            Self::Shared(passes) => Some(SharedAdmit(Some(passes))),
            Self::Caller(_) => None,
        }
    }
}

/// An [`Admit`] that several threads may use.
#[derive(Clone, Copy)]
pub(crate) struct SharedAdmit<'a>(Option<&'a (dyn Fn(u64) -> bool + Sync)>);

impl<'a> SharedAdmit<'a> {
    pub(crate) fn admit(self) -> Admit<'a> {
        self.0.map_or(Admit::All, Admit::Shared)
    }
}
