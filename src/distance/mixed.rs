//! How far is a query of floats from a row of bytes?
//!
//! Vectors of whole numbers may lie in a byte per component, and queries may have fractions all the same. A chunk of such a row is
//! widened in a register; the query has four bytes for each of the row's. What is summed, and in which order, is what the kernels
//! for floats sum of the widened row.

use std::marker::PhantomData;

use super::kernel::{Dot, Kernel, L2, RealDistance};
use crate::simd::Simd;

/// A component type of rows: bytes that become floats.
pub trait ByteElement: 'static {
    /// A register of components, widened.
    /// # Safety
    /// - `S::BYTES / 4` bytes at `p` are readable.
    unsafe fn widen<S: Simd>(s: S, p: *const u8) -> S::F;
}

/// Unsigned bytes.
#[derive(Debug)]
pub enum Unsigned {}
/// Signed bytes.
#[derive(Debug)]
pub enum Signed {}

impl ByteElement for Unsigned {
    #[inline(always)]
    unsafe fn widen<S: Simd>(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load_u8(p) }
    }
}
impl ByteElement for Signed {
    #[inline(always)]
    unsafe fn widen<S: Simd>(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise.
        unsafe { s.load_i8(p) }
    }
}

/// The family of kernels between f32 queries and rows of bytes.
#[derive(Debug)]
pub struct Mixed<E, D>(PhantomData<(E, D)>);

impl<S: Simd, E: ByteElement, D: RealDistance> Kernel<S> for Mixed<E, D> {
    const CHUNK: usize = S::BYTES / 4;
    const EXACT: bool = false;
    const QUERY: usize = 4;
    type Item = S::F;
    type Acc = S::F;
    type Side = ();

    #[inline(always)]
    unsafe fn load(s: S, p: *const u8) -> S::F {
        // SAFETY: the caller's promise: CHUNK bytes.
        unsafe { E::widen(s, p) }
    }
    #[inline(always)]
    unsafe fn load_half(s: S, p: *const u8) -> S::F {
        // Not asked: no chunk has 64 bytes.
        // SAFETY: the caller's promise is more than this needs.
        unsafe { E::widen(s, p) }
    }
    #[inline(always)]
    unsafe fn load_query(s: S, query: *const u8, at: usize) -> S::F {
        // SAFETY: the caller's promise: QUERY times CHUNK bytes, a register, at QUERY times `at`.
        unsafe { s.load_f32(query.add(4 * at)) }
    }
    #[inline(always)]
    fn zero(s: S) -> (S::F, ()) {
        (s.zero_f(), ())
    }
    #[inline(always)]
    fn pair(s: S, acc: S::F, q: S::F, r: S::F) -> S::F {
        D::step(s, acc, q, r)
    }
    #[inline(always)]
    fn query(_s: S, _side: (), _q: S::F) {}
    #[inline(always)]
    fn row(_s: S, _side: (), _r: S::F) {}
    #[inline(always)]
    fn join(s: S, a: S::F, b: S::F) -> S::F {
        s.add_f(a, b)
    }
    #[inline(always)]
    fn join_side(_s: S, _a: (), _b: ()) {}
    #[inline(always)]
    fn done(s: S, acc: S::F, _q: (), _r: ()) -> f32 {
        s.sum_f(acc)
    }
    #[inline(always)]
    fn done4(s: S, acc: [S::F; 4], _q: (), _r: [(); 4]) -> [f32; 4] {
        s.sum4_f(acc)
    }
}

/// f32 query, u8 row, squared differences.
pub type L2F32U8 = Mixed<Unsigned, L2>;
/// f32 query, i8 row, squared differences.
pub type L2F32I8 = Mixed<Signed, L2>;
/// f32 query, u8 row, products.
pub type DotF32U8 = Mixed<Unsigned, Dot>;
/// f32 query, i8 row, products.
pub type DotF32I8 = Mixed<Signed, Dot>;

#[cfg(test)]
mod tests {
    use crate::distance::{Element, KernelId, Metric, Panel, kernels, pad, padded_bytes};
    use crate::simd::available;
    use crate::util::memory::Lines;

    fn lines(bytes: &[u8], room: usize) -> Lines {
        let mut lines = Lines::default();
        lines.reset(room);
        pad(bytes, &mut lines.bytes_mut()[..room]);
        lines
    }

    /// Sums over bytes widened to floats, in f64.
    fn plain(metric: Metric, query: &[f32], row: &[f32]) -> f64 {
        let pairs = query.iter().zip(row).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        if metric == Metric::L2 { pairs.map(|(a, b)| (a - b) * (a - b)).sum() } else { pairs.map(|(a, b)| a * b).sum() }
    }

    #[test]
    fn every_level_gives_what_floats_give() {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for dimensions in (1..70).chain([128, 129, 300, 784]) {
            let room = padded_bytes(dimensions);
            let queries: Vec<Vec<f32>> =
                (0..3).map(|_| (0..dimensions).map(|_| next() as f32 / 65_536.0 - 90.0).collect()).collect();
            let rows: Vec<Vec<u8>> = (0..5).map(|_| (0..dimensions).map(|_| next() as u8).collect()).collect();
            let mut asked = Lines::default();
            asked.reset(3 * 4 * room);
            for (i, query) in queries.iter().enumerate() {
                let bytes: Vec<u8> = query.iter().flat_map(|value| value.to_ne_bytes()).collect();
                asked.bytes_mut()[i * 4 * room..][..bytes.len()].copy_from_slice(&bytes);
            }
            let stored: Vec<u8> = rows.iter().flat_map(|row| lines(row, room).bytes()[..room].to_vec()).collect();
            let stored = lines(&stored, stored.len());
            for element in [Element::U8, Element::I8] {
                let widened: Vec<Vec<f32>> = rows
                    .iter()
                    .map(|row| {
                        let signed = element == Element::I8;
                        row.iter().map(|&b| if signed { f32::from(b.cast_signed()) } else { f32::from(b) }).collect()
                    })
                    .collect();
                for (metric, &level) in
                    [Metric::L2, Metric::Cosine].iter().flat_map(|m| available().iter().map(move |l| (*m, l)))
                {
                    let kernels = kernels(level, KernelId::between(metric, Element::F32, element).unwrap());
                    let mut scores = [0.0_f32; 15];
                    let panel = Panel {
                        queries: asked.bytes().as_ptr(),
                        query_count: 3,
                        query_stride: 4 * room,
                        rows: stored.bytes().as_ptr(),
                        row_count: 5,
                        row_stride: room,
                        bytes: room,
                        scores: scores.as_mut_ptr(),
                        scores_stride: 5,
                    };
                    // SAFETY: three queries of 4 * room bytes, five rows of room bytes, room a multiple of 32, fifteen scores.
                    unsafe { (kernels.panel)(&panel) };
                    for (i, &score) in scores.iter().enumerate() {
                        let (q, r) = (i / 5, i % 5);
                        let expected = plain(metric, &queries[q], &widened[r]);
                        let size: f64 = plain(Metric::L2, &queries[q], &vec![0.0; dimensions]).sqrt()
                            * plain(Metric::L2, &widened[r], &vec![0.0; dimensions]).sqrt();
                        let most = 1e-5 * (size + expected.abs());
                        assert!(
                            (f64::from(score) - expected).abs() <= most,
                            "{level:?} {metric:?} {element:?} {dimensions}"
                        );
                        let (query, row) =
                            (panel.queries.wrapping_add(q * 4 * room), panel.rows.wrapping_add(r * room));
                        // SAFETY: as above.
                        assert_eq!(unsafe { (kernels.one)(query, row, room) }.to_bits(), score.to_bits());
                    }
                }
            }
        }
    }
}
