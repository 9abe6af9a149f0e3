//! How is the nearest found? Scores of a prepared query against stored vectors, and the loops that look for the best.
//!
//! - [`Scoring`]: what a raw kernel score means under the index's metric; chosen once per index.
//! - `flat`: the exact scan. `graph`: a graph search from entry to hits, around `walk`, the best-first walk with its `frontier` and
//!   `visited` set. `nearest`: the k best so far; `scratch`: a query's buffers, reused from query to query.

pub(crate) mod custom;
pub(crate) mod flat;
mod frontier;
pub(crate) mod graph;
pub(crate) mod lives;
pub(crate) mod nearest;
pub(crate) mod observed;
mod scratch;
mod visited;
pub(crate) mod walk;

pub(crate) use scratch::{Scratch, Scratches};

use crate::distance::{self, Custom, Element, KernelId, Kernels, Metric};
use crate::simd::{self, Level};
use crate::store::Store;
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
    pub(crate) element: Element,
    pub(crate) dimensions: u32,
    /// Bytes of a vector as it is stored.
    pub(crate) stride: usize,
    pub(crate) level: Level,
    pub(crate) kernel: KernelId,
    pub(crate) kernels: &'static Kernels,
    /// Added to every product.
    pub(crate) base: f32,
    /// Asked instead of the kernels.
    pub(crate) custom: Option<Custom>,
}

impl Scoring {
    pub(crate) fn new(metric: Metric, element: Element, dimensions: u32, stride: usize) -> Result<Self> {
        let (level, kernel) = (simd::detect(), KernelId::new(metric, element)?);
        let kernels = distance::kernels(level, kernel);
        let base = if matches!(metric, Metric::InnerProduct | Metric::Cosine) { 1.0 } else { 0.0 };
        Ok(Self { metric, element, dimensions, stride, level, kernel, kernels, base, custom: None })
    }

    /// Checks a vector from the caller and returns its scale.
    pub(crate) fn check(&self, name: &str, vector: &[u8]) -> Result<f32> {
        let bytes = self.element.vector_bytes(self.dimensions);
        if vector.len() != bytes {
            return Err(Error::argument(format!("{name} has {} bytes, vectors here have {bytes}", vector.len())));
        }
        if let Some(i) = distance::first_not_finite(self.element, vector) {
            let mut widened = vec![0.0; i + 1];
            distance::to_f32(self.element, vector, &mut widened);
            return Err(Error::argument(format!(
                "{name} has {} in component {i}, components must be finite",
                widened[i]
            )));
        }
        if self.metric != Metric::Cosine {
            return Ok(1.0);
        }
        if distance::is_zero(self.element, vector) {
            return Err(Error::argument(format!("{name} is a zero vector, which has no direction: cosine needs one")));
        }
        let norm = distance::norm(self.element, vector);
        Ok(if NORMS.contains(&norm) { (1.0 / norm) as f32 } else { f32::NAN })
    }

    /// The factor of a query that [`Scoring::check`] gave this scale.
    pub(crate) fn factor(&self, scale: f32) -> f32 {
        match self.metric {
            Metric::InnerProduct => -1.0,
            Metric::Cosine => -scale,
            _ => 1.0,
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
            return distance::cosine_far(self.element, query, vector);
        }
        // Only sums with both signs can become infinity minus infinity: products.
        let widen = |vector: &[u8]| {
            let mut components = vec![0.0; self.dimensions as usize];
            distance::to_f32(self.element, vector, &mut components);
            components
        };
        let products = widen(query).into_iter().zip(widen(vector)).map(|(a, b)| f64::from(a) * f64::from(b));
        (1.0 - products.sum::<f64>()) as f32
    }

    /// As [`Scoring::far`], for a padded query and a slot that is written (linked or live).
    #[cold]
    pub(crate) fn far_of(&self, query: *const u8, store: &Store, slot: u32) -> f32 {
        // SAFETY: a padded query has at least the bytes of a vector.
        let query = unsafe { std::slice::from_raw_parts(query, store.vector_bytes()) };
        // SAFETY: so has a stored vector, which is not written any more.
        let vector = unsafe { std::slice::from_raw_parts(store.vector(slot), store.vector_bytes()) };
        self.far(query, vector)
    }

    /// The distance of a live slot from what is looked for, as the loops compute it.
    pub(crate) fn distance(&self, probe: walk::Probe, store: &Store, slot: u32) -> f32 {
        if let Some(custom) = &self.custom {
            return custom.between(probe.vector, store.vector(slot)) as f32;
        }
        // SAFETY: a probe has `stride` readable bytes, and so has the vector of a live slot.
        let raw = unsafe { (self.kernels.one)(probe.vector, store.vector(slot), self.stride) };
        let distance = self.base + probe.factor * raw * store.scale(slot);
        if distance.is_nan() { self.far_of(probe.vector, store, slot) } else { distance }
    }

    /// The distance that is reported for a stored vector whose distance in the loop was `distance`.
    ///
    /// Only cosine has something to do: a vector's distance to itself must be exactly 0, which the product of two rounded norms
    /// does not give, so the hits get their cosine from three products of one kernel.
    pub(crate) fn reported(&self, query: *const u8, store: &Store, slot: u32, distance: f32) -> f32 {
        if self.metric != Metric::Cosine {
            return distance;
        }
        // SAFETY: the query is padded to the store's stride, and so is the vector of a slot that was a hit.
        unsafe { self.cosine_between(query, store.vector(slot)) }
    }

    /// # Safety
    /// - Both vectors have `stride` readable bytes, zero-padded.
    unsafe fn cosine_between(&self, a: *const u8, b: *const u8) -> f32 {
        let one = self.kernels.one;
        // SAFETY: the caller's promise; the stride is a multiple of 32.
        let (ab, aa, bb) = unsafe { (one(a, b, self.stride), one(a, a, self.stride), one(b, b, self.stride)) };
        let norms = f64::from(aa) * f64::from(bb);
        let normal = NORMS.start * NORMS.start..NORMS.end * NORMS.end;
        if normal.contains(&f64::from(aa)) && normal.contains(&f64::from(bb)) {
            // The root of a square is exact in f64, so a vector's cosine with itself is 1 and its distance 0.
            let cosine = (f64::from(ab) / norms.sqrt()) as f32;
            return (1.0 - cosine).clamp(0.0, 2.0);
        }
        let bytes = self.element.vector_bytes(self.dimensions);
        // SAFETY: the caller's promise.
        let (a, b) = unsafe { (std::slice::from_raw_parts(a, bytes), std::slice::from_raw_parts(b, bytes)) };
        self.far(a, b)
    }

    /// The distance between two vectors that [`Scoring::check`] accepted, as a search would report it.
    pub(crate) fn between(&self, a: &[u8], b: &[u8]) -> f32 {
        let mut scratch = Scratch::default();
        scratch.set_queries(self, [(a, 1.0), (b, 1.0)].into_iter());
        // SAFETY: the scratch holds both vectors padded to the stride.
        unsafe {
            if self.metric == Metric::Cosine {
                return self.cosine_between(scratch.query(0), scratch.query(1));
            }
            let raw = (self.kernels.one)(scratch.query(0), scratch.query(1), self.stride);
            let distance = self.base + self.factor(1.0) * raw;
            if distance.is_nan() { self.far(a, b) } else { distance }
        }
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
