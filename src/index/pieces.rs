//! How do vectors get in whose host does not hold them all at once?
//!
//! A function of the host fills a buffer of a few MiB again and again. What it brings goes to the store at once, in the way it will be held,
//! and its keys are claimed; the rest is as for any batch, and like one it is seen as a whole or not at all. What a batch does with all its
//! vectors before it begins is done with the first piece here: whether they are whole numbers that fit a byte, and learning how to reduce
//! them. The keys are known late, so where there is a log the call waits for its turn when all are there, and leaves out of its record what
//! somebody else's change has replaced since it was claimed.

use super::bulk::filling;
use super::changes::{Batch, Intent, Linking, Present, Published, check_count};
use super::coding::Coded;
use super::config::{BuildOptions, NO_KEY};
use super::{Core, Index, Rows};
use crate::journal::Keys;
use crate::quant::Sample;
use crate::store::Run;
use crate::util::error::{Error, Result, Status};
use crate::util::memory::{Lines, make_room};
use crate::util::progress::{Meter, Work};
use crate::util::reentry;
use crossbeam_epoch::Guard;
use std::cell::RefCell;

/// Bytes of vectors that are asked for at a time, and the fewest vectors.
const PIECE_BYTES: usize = 4 << 20;
const FEWEST: usize = 64;
/// What memory holds where nothing was written: no key, and no number.
const UNWRITTEN: u8 = 0xff;

/// Fills keys and vectors, packed, from the given position on; `true` cancels.
pub type Read<'a> = dyn FnMut(usize, &mut [u64], &mut [u8]) -> bool + 'a;

impl Index {
    /// As [`Index::insert_batch`], of `count` vectors that `read` brings piece by piece: in order, each once, on this thread. Beside the index there is memory for a piece
    /// and for all keys. What `read` does not write is refused like a bad vector, where that can be told.
    ///
    /// # Errors
    /// As [`Index::insert_batch`]; `Cancelled` if `read` asked for it; `Unsupported` for a durable index of reduced vectors, whose log could not tell what
    /// was given.
    pub fn insert_from(&self, count: usize, read: &mut Read<'_>, options: &BuildOptions<'_>) -> Result<()> {
        self.check_change()?;
        if count == 0 {
            return Ok(());
        }
        let slots = check_count(count)?;
        if self.durable.is_some() && self.quantizer().reduction().is_some() {
            return Err(Error::unsupported(
                "a durable index that holds reduced vectors in their place logs what it is given: insert it as batches",
            ));
        }
        let intent = Intent::Put(if options.upsert { Present::Replace } else { Present::Refuse });
        let hands = self.hands(options, 0, count);
        let _grant = self.afford_batch(count, hands.threads)?;
        let mut pieces = Pieces { index: self, source: read, keys: Vec::new(), vectors: Lines::default() };
        let _buffers = self.afford(0, |_, _| 8 * count + pieces.most(0, count) * self.vector_bytes())?;
        make_room(&mut pieces.keys, count)?;
        // Until the batch is published, and its pin is gone, nobody else changes its keys or adds too many.
        let (mut turn, mut _room) = (self.unlogged(), None);
        let pin = self.pin();
        let core = self.core(&pin);
        let unlinked = self.stay_flat(core, count, &pin);
        let graph = core.graph.as_ref().filter(|_| unlinked.is_none());
        let before = core.held_while_empty(&pin);
        // Before there is a slot: how vectors are held, as long as there are none, follows from the first piece.
        pieces.next(count)?;
        if unlinked.is_none() {
            self.hold_batch(core, pieces.read(0), &hands, &pin)?;
        }
        let run = core.store(&pin).take(slots)?;
        let mut linking = Linking { graph, options, is_bulk: false, coded: Coded::BeforeOrNot };
        let done = pieces.fill((core, &run), intent, &linking).and_then(|()| {
            let keys = pieces.into_keys();
            turn = self.turn(Keys::Many(&keys))?;
            _room = self.make_room(&keys)?;
            linking.is_bulk = self.begin_linking(core, graph, count, &pin);
            let mut log = || {
                // What a `clear` has taken along is none of the log.
                if !std::ptr::eq(core, self.core(&pin)) || self.durable.is_none() {
                    return Ok(());
                }
                let own = self.still_claimed((core, &run), &keys, options.upsert, &pin)?;
                let (view, given) = (core.view(&pin), RefCell::new(Vec::new()));
                let keys: Vec<u64> = own.iter().map(|&i| keys[i as usize]).collect();
                turn.put(&keys, |i, out| {
                    view.unpack(&self.scoring, run.slot(own[i] as usize), &mut given.borrow_mut());
                    out.extend_from_slice(&given.borrow());
                })
            };
            self.code_and_link((core, &run), &mut linking, &mut log, &pin)
        });
        if let Err(error) = done {
            self.forget_codes(core, linking.coded, &pin);
            self.give_back_batch(core, run, &pin);
            drop(unlinked);
            drop(pin);
            self.clean_up_after(before);
            return Err(error);
        }
        // Who cleared the index meanwhile came after this.
        let published = self.publish(core, &run, intent, &pin);
        drop(unlinked);
        if published == Published::Yes {
            self.end_batch(core, &run, linking.is_bulk, &pin);
        }
        drop(pin);
        self.sweep_after(count);
        Ok(())
    }

    /// Which of the vectors of a batch stand under their keys still, or will: all, but for those that somebody replaced who came after their
    /// keys were claimed.
    fn still_claimed(&self, (core, run): (&Core, &Run), keys: &[u64], upsert: bool, guard: &Guard) -> Result<Vec<u32>> {
        let store = core.store(guard);
        let mut own = Vec::new();
        make_room(&mut own, keys.len())?;
        own.extend((0..keys.len() as u32).filter(|&i| upsert || store.names(run.slot(i as usize), guard)));
        Ok(own)
    }
}

/// What the host has brought so far.
struct Pieces<'a, 'r> {
    index: &'a Index,
    source: &'a mut Read<'r>,
    keys: Vec<u64>,
    vectors: Lines,
}

impl Pieces<'_, '_> {
    /// Vectors of the piece that begins at a position of so many.
    fn most(&self, first: usize, count: usize) -> usize {
        let index = self.index;
        let usual = (PIECE_BYTES / index.vector_bytes()).max(FEWEST);
        // What the index learns before it holds anything, it learns from the first piece.
        let learns = first == 0 && index.quantizer().reduction().is_some();
        let least = if learns { Sample::size(index.config.dimensions as usize, index.quantizer().coding()) } else { 0 };
        usual.max(least).min(count - first)
    }

    /// The vectors of the last piece, which begins at a position.
    fn read(&self, first: usize) -> Rows<'_> {
        let bytes = self.index.vector_bytes();
        Rows::packed(&self.vectors.bytes()[..(self.keys.len() - first) * bytes], bytes)
    }

    /// Lets the host fill the next piece.
    fn next(&mut self, count: usize) -> Result<()> {
        let (first, bytes) = (self.keys.len(), self.index.vector_bytes());
        let most = self.most(first, count);
        self.vectors.make_room(most * bytes)?;
        self.vectors.reset(most * bytes);
        self.keys.resize(first + most, NO_KEY);
        let vectors = &mut self.vectors.bytes_mut()[..most * bytes];
        vectors.fill(UNWRITTEN);
        let (keys, read) = (&mut self.keys[first..], &mut *self.source);
        if reentry::calling_back(self.index.name(), || read(first, keys, vectors)) {
            return Err(Error::new(
                Status::Cancelled,
                format!("the function that reads vectors stopped it at {first} of {count}"),
            ));
        }
        Ok(())
    }

    /// Brings the first piece, which is there, and all others into the slots of a batch. On an error some of them may be claimed.
    fn fill(&mut self, (core, run): (&Core, &Run), intent: Intent<'_>, linking: &Linking<'_>) -> Result<()> {
        let (index, count, options, graph) = (self.index, run.len(), linking.options, linking.graph);
        let quiet = BuildOptions { progress: None, ..*options };
        let part = if graph.is_some() { filling(count) } else { count };
        let (work, mut meter) = (Work::new(count, 1), Meter::of_part(options.progress, 0..part, count));
        let mut first = 0;
        loop {
            let keys = &self.keys[first..];
            index.fill(&Batch { core, run, first, keys, vectors: self.read(first), intent, graph }, &quiet)?;
            work.done(keys.len());
            reentry::calling_back(index.name(), || meter.tell(&work));
            if work.has_failed() {
                return work.into_result();
            }
            first = self.keys.len();
            if first == count {
                break;
            }
            self.next(count)?;
        }
        if linking.graph.is_none() {
            // The last word comes when all is in and can still be taken back.
            reentry::calling_back(index.name(), || meter.tell_all())?;
        }
        Ok(())
    }

    /// All keys; the buffer of vectors is no longer needed.
    fn into_keys(self) -> Vec<u64> {
        self.keys
    }
}

#[cfg(test)]
#[path = "tests/pieces.rs"]
mod tests;
