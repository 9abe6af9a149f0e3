//! How does an index that grew bit by bit become as good as one that was built as a whole?
//!
//! What was learnt from the first vectors may not suit those that came since, and rows that were filled one link at a time are not what
//! they would be if all had been known. So codes are learnt anew, and then the graph is built anew from all that is there. Searches go
//! on with what they have; what is inserted meanwhile is linked into the new graph in the end.

use super::Index;
use super::bulk::Relinking;
use super::config::{BuildOptions, Kind};
use crate::build::bulk;
use crate::store::Run;
use crate::util::error::Result;
use crate::util::pool::threads_or_cores;

impl Index {
    /// Learns codes anew and builds the graph anew, from the vectors that are there. Of `options`, threads, progress and `fast` count. An
    /// index without a graph, or without one yet, or whose distance function is the caller's, has nothing to gain; a degree above 32 keeps its graph.
    ///
    /// # Errors
    /// `Cancelled` if the progress callback asked for it: the graph is as it was; `ReadOnly`, `Memory`, `Busy`, `Internal`.
    pub fn optimize(&self, options: &BuildOptions<'_>) -> Result<()> {
        self.check_change()?;
        if self.is_custom() || self.config.kind != Kind::Graph {
            return Ok(());
        }
        // Removed vectors leave the graph first: a new one would lead through them.
        self.settle()?;
        let _grant = self.afford_building(threads_or_cores(options.threads))?;
        let pin = self.pin();
        let core = self.core(&pin);
        if core.graph().is_none() {
            return Ok(());
        }
        let alone = core.coding.write();
        if core.codes(&pin).is_some() {
            self.learn_codes(core, &self.hands(options, 0, core.store(&pin).slots() as usize), &pin)?;
        }
        drop(alone);
        if core.graph.as_ref().is_some_and(|graph| graph.m() > bulk::MOST_M) {
            return Ok(());
        }
        let work = Relinking { total: core.store(&pin).slots() as usize, done: 0, options };
        self.relink(core, &Run::default(), &work, &mut || Ok(()), &pin)?;
        drop(pin);
        self.sweep();
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/optimize.rs"]
mod tests;
