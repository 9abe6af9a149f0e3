//! How good is a search of each breadth? Measured on the index itself.

use super::config::BuildOptions;
use super::tuning::{BREADTHS, DEPTHS, Table};
use super::{Index, Rows};
use crate::search::flat::{Scan, Span};
use crate::search::nearest::Hit;
use crate::search::{Admit, Scratch};
use crate::store::LIVE;
use crate::util::error::{Error, Result, Status};
use crate::util::pool::threads_or_cores;
use crate::util::progress::{Meter, Work};
use crate::util::reentry;
use std::sync::atomic::{AtomicU64, Ordering};

/// Vectors of the index that stand for queries where none are given.
const SAMPLE: usize = 500;
/// Queries that a thread takes at a time.
const PIECE: usize = 4;

/// A query, and whose vector it is if it is one of the index: that one is no hit.
struct Asked {
    vector: Vec<u8>,
    own: Option<u64>,
}

/// Hits found for each k and breadth, and hits there are for each k.
#[derive(Default)]
struct Tally {
    found: [[AtomicU64; BREADTHS.len()]; DEPTHS.len()],
    wanted: [AtomicU64; DEPTHS.len()],
}

impl Tally {
    fn table(&self) -> Table {
        let mut table = Table::default();
        for ((recalls, found), wanted) in table.iter_mut().zip(&self.found).zip(&self.wanted) {
            let wanted = wanted.load(Ordering::Relaxed).max(1) as f32;
            for (recall, found) in recalls.iter_mut().zip(found) {
                *recall = found.load(Ordering::Relaxed) as f32 / wanted;
            }
        }
        table
    }
}

impl Index {
    /// Measures which breadth gives which recall, and keeps that for searches that ask for a recall. Queries are `queries`, or a sample of
    /// the index's own vectors, each of which then looks for the others. An index without a graph is exact: nothing is measured.
    ///
    /// # Errors
    /// `Argument` for a bad query; `Cancelled`; `Unsupported` under a caller's distance. What was measured before then stays.
    pub fn calibrate(&self, queries: Option<Rows<'_>>, options: &BuildOptions<'_>) -> Result<()> {
        if reentry::is_calling_back(self.name()) {
            return Err(Error::new(Status::Busy, "a callback of this index must not calibrate it"));
        }
        if self.is_custom() {
            return Err(Error::unsupported("an index with a distance function of the caller's has no calibration"));
        }
        let asked = match queries {
            Some(rows) => (0..rows.count()).map(|i| Asked { vector: rows.row(i).to_vec(), own: None }).collect(),
            None => self.sample(),
        };
        let scales = asked.iter().enumerate().map(|(i, asked)| {
            let scale = self.scoring.check("query", &asked.vector);
            scale.map_err(|error| Error::new(error.status(), format!("at position {i}: {}", error.text())))
        });
        let scales = scales.collect::<Result<Vec<f32>>>()?;
        let (work, tally) = (Work::new(asked.len(), PIECE), Tally::default());
        let pieces = |mut tell: Option<&mut Meter<'_>>| {
            let mut scratch = self.scratches.take();
            while let Some(piece) = work.take() {
                self.measure(&asked[piece.clone()], &scales[piece.clone()], &tally, &mut scratch);
                work.done(piece.len());
                if let Some(meter) = &mut tell {
                    reentry::calling_back(self.name(), || meter.tell(&work));
                }
            }
            self.scratches.give(scratch);
        };
        let mut meter = Meter::new(options.progress, asked.len());
        let threads = threads_or_cores(options.threads).min(asked.len().div_ceil(PIECE).max(1));
        self.pool.run(threads, |_| pieces(None), || pieces(Some(&mut meter)))?;
        work.into_result()?;
        reentry::calling_back(self.name(), || meter.tell_all())?;
        self.tuning.set(&tally.table());
        Ok(())
    }

    /// The breadth that a search for k hits with this recall has at present; `None` if nothing was measured.
    pub fn breadth_for(&self, k: usize, recall: f32) -> Option<u32> {
        self.tuning.breadth(recall, k)
    }

    /// Vectors of the index, evenly spread over its slots.
    fn sample(&self) -> Vec<Asked> {
        let pin = self.pin();
        let view = self.core(&pin).view(&pin);
        let store = &view.store;
        let step = (store.slots() as usize / SAMPLE).max(1);
        let live = (0..store.slots()).step_by(step).filter(|&slot| store.state(slot) == LIVE);
        let mut asked: Vec<Asked> = Vec::new();
        for slot in live {
            let mut vector = Vec::new();
            view.unpack(&self.scoring, slot, &mut vector);
            asked.push(Asked { vector, own: Some(store.key(slot)) });
        }
        asked
    }

    /// Searches for some queries at every breadth.
    fn measure(&self, asked: &[Asked], scales: &[f32], tally: &Tally, scratch: &mut Scratch) {
        let pin = self.pin();
        let core = self.core(&pin);
        if core.graph().is_none() {
            return;
        }
        // One more than is wanted: the query itself may be among them.
        let most = DEPTHS[DEPTHS.len() - 1] + 1;
        for (asked, &scale) in asked.iter().zip(scales) {
            let query = (&asked.vector[..], scale);
            let view = core.view(&pin);
            let scoring = view.ask(&self.scoring, query, scratch);
            let store = &*view.store;
            Scan { scoring, store, by: None, span: Span::all(store), k: most }.run(&Admit::All, scratch, &pin);
            scratch.finish(0, scoring, &view.store);
            let truth: Vec<Hit> = scratch.hits.iter().filter(|hit| Some(hit.key) != asked.own).copied().collect();
            for (depth, &k) in DEPTHS.iter().enumerate() {
                let Some(last) = truth.get(..k.min(truth.len())).and_then(<[Hit]>::last) else { continue };
                let wanted = k.min(truth.len());
                tally.wanted[depth].fetch_add(wanted as u64, Ordering::Relaxed);
                let mut best = 0;
                for (&ef, found) in BREADTHS.iter().zip(&tally.found[depth]) {
                    // A query that has found everything finds it with more breadth, too.
                    if best < wanted {
                        let k = wanted + usize::from(asked.own.is_some());
                        self.search_here(core, query, (k, ef as usize), &Admit::All, scratch, &pin);
                        let near = |hit: &&Hit| hit.distance <= last.distance && Some(hit.key) != asked.own;
                        best = scratch.hits.iter().filter(near).count().min(wanted);
                    }
                    found.fetch_add(best as u64, Ordering::Relaxed);
                }
            }
        }
    }
}
