//! What do benches see of this room? Clustering and coding by themselves, of rows of floats.

use super::kmeans::{Plan, Seeding, cluster};
use super::rounded::Rounded;
use super::{Codec, Coding, Sample, Workspace, train};
use crate::distance::{Element, Metric};
use crate::util::error::Result;
use crate::util::hands::Hands;
use crate::util::pool::Pool;
use crate::util::progress::Work;
use parking_lot::Mutex;

/// Clusters rows in so many rounds over parts and over all. Returns the means.
///
/// # Errors
/// `Argument` if there is nothing to cluster; `Memory`.
pub fn cluster_rows(
    (rows, columns): (&[f32], usize),
    clusters: usize,
    (partial, whole): (usize, usize),
    seed: u64,
    threads: usize,
) -> Result<Vec<f32>> {
    let (all, step) = Rounded::of(rows, columns)?;
    let words = columns.div_ceil(4);
    let plan = Plan { clusters, seeding: Seeding::Sampled, partial, whole, seed };
    let found = cluster(all.view(0, words), &plan, (threads, &Pool::default()), &|_, _| false)?;
    let rows = found.means.chunks_exact(4 * words);
    Ok(rows.flat_map(|mean| &mean[..columns]).map(|mean| mean * step).collect())
}

/// A codec of product codes under L2.
#[derive(Debug)]
pub struct ProductCodec(Codec);

impl ProductCodec {
    /// Learns from rows of `columns` f32, as bytes; `None` if they do not vary.
    ///
    /// # Errors
    /// `Memory`.
    pub fn learn(rows: &[u8], columns: usize, threads: usize) -> Result<Option<Self>> {
        let size = Sample::size(columns, Some(Coding::Product));
        let vectors: Vec<&[u8]> = rows.chunks_exact(4 * columns).collect();
        let every = (vectors.len() / size).max(1);
        let vectors = vectors.into_iter().step_by(every).take(size).collect();
        let sample = Sample { metric: Metric::L2, element: Element::F32, dimensions: columns, vectors };
        let learnt = train(Coding::Product, &sample, 1, &Hands::quiet(&Pool::default(), threads))?;
        Ok(learnt.map(Self))
    }

    /// Codes rows. Returns the codes, behind each other.
    ///
    /// # Errors
    /// `Memory`.
    pub fn encode(&self, rows: &[u8], columns: usize, threads: usize) -> Result<Vec<u8>> {
        const PIECE: usize = 256;
        let stride = self.0.stride();
        let mut codes = vec![0; rows.len() / (4 * columns) * stride];
        {
            let pieces: Vec<_> = codes.chunks_mut(PIECE * stride).map(|piece| Mutex::new(Some(piece))).collect();
            let work = Work::new(pieces.len(), 1);
            let run = || {
                let mut room = Workspace::default();
                while let Some(range) = work.take() {
                    let Some(codes) = pieces[range.start].lock().take() else { continue };
                    let rows = rows[4 * columns * PIECE * range.start..].chunks_exact(4 * columns);
                    for (code, row) in codes.chunks_exact_mut(stride).zip(rows) {
                        self.0.encode(Element::F32, row, 1.0, &mut room, code);
                    }
                }
            };
            Pool::default().run(threads, |_| run(), run)?;
        }
        Ok(codes)
    }
}
