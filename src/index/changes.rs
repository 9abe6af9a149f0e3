//! Calls that change the index: insert, upsert, batch, remove, clear, reserve.
//!
//! Every insertion goes the same way: allocate a slot, write it, claim its key, (link it), publish it inside the gate. Whatever
//! fails before the publication is undone, so an error leaves the index as it was.

use super::bulk::filling;
use super::coding::Coded;
use super::config::{BuildOptions, NO_KEY};
use super::{Core, Index, Rows};
use crate::build::insert::{self, Linker, NoJournal};
use crate::build::undo::Undo;
use crate::graph::Graph;
use crate::journal::Keys;
use crate::store::{Held, Run};
use crate::util::error::{Error, Result, Status};
use crate::util::pool::threads_or_cores;
use crate::util::progress::{Meter, Work};
use crate::util::reentry;
use crossbeam_epoch::Guard;
use parking_lot::RwLockReadGuard;

/// Vectors that a worker of a batch takes at a time.
const PIECE: usize = 64;

/// Turns of the epoch after which what was deferred has run if nobody else is inside.
const FLUSHES: usize = 8;

/// What to do with a key that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    Refuse,
    Replace,
}

/// What a batch is.
#[derive(Clone, Copy)]
pub(super) enum Intent<'a> {
    /// Vectors of the caller.
    Put(Present),
    /// Copies of vectors in these slots.
    Move(&'a [u32]),
}

/// Whether a publication took place, or met an index that was cleared since the slot was allocated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Yes,
    Cleared,
}

/// A batch on its way in, or a part of one.
pub(super) struct Batch<'a> {
    pub(super) core: &'a Core,
    /// The slots of all of it.
    pub(super) run: &'a Run,
    /// The position of the first vector that is here, and the keys and vectors from there on.
    pub(super) first: usize,
    pub(super) keys: &'a [u64],
    pub(super) vectors: Rows<'a>,
    pub(super) intent: Intent<'a>,
    /// What its vectors are linked into, if they are.
    pub(super) graph: Option<&'a Graph>,
}

/// How a batch gets into the graph, if there is one.
pub(super) struct Linking<'a> {
    pub(super) graph: Option<&'a Graph>,
    pub(super) options: &'a BuildOptions<'a>,
    /// Whether it is built as a whole.
    pub(super) is_bulk: bool,
    /// Codes that the batch brought.
    pub(super) coded: Coded,
}

impl Index {
    /// Inserts one vector.
    ///
    /// # Errors
    /// `Exists` if the key is present; `Argument` for the reserved key, a wrong length, NaN, infinity, a zero vector under cosine;
    /// `Memory`, `ReadOnly`, `Busy`, `Internal`.
    pub fn insert(&self, key: u64, vector: &[u8]) -> Result<()> {
        self.insert_one(key, vector, Present::Refuse)
    }

    /// Inserts one vector, in place of the one that has this key, if there is one. Searches see the old or the new one.
    ///
    /// # Errors
    /// As [`Index::insert`], but not `Exists`.
    pub fn upsert(&self, key: u64, vector: &[u8]) -> Result<()> {
        self.insert_one(key, vector, Present::Replace)
    }

    fn insert_one(&self, key: u64, vector: &[u8], present: Present) -> Result<()> {
        self.check_change()?;
        check_key(key)?;
        let scale = self.scoring.check("vector", vector)?;
        let mut turn = self.turn(Keys::One(key))?;
        let _room = self.make_room(&[key])?;
        let _grant = self.afford_one()?;
        let pin = self.pin();
        loop {
            let core = self.core(&pin);
            let unlinked = core.growth.stay_flat();
            if unlinked.is_none() {
                self.code_if_due(core, &self.alone(), &pin)?;
            }
            let coding = self.filling(core, |held| held.fits(vector), &pin)?;
            let store = core.store(&pin);
            let graph = core.graph.as_ref().filter(|_| unlinked.is_none());
            let mut linker = self.linkers.take();
            graph.map_or(Ok(()), |graph| self.make_linking_room(core, graph, &mut linker, &pin))?;
            let slot = store.take_one()?;
            core.view(&pin).write(&self.scoring, (slot, key), (vector, scale), &mut linker.work);
            let claimed = match present {
                Present::Refuse => store.claim(slot, &pin),
                Present::Replace => store.claim_if_absent(slot, &pin).map(drop),
            };
            if let Err(error) = claimed {
                self.linkers.give(linker);
                store.give_back_one(slot);
                return Err(error);
            }
            let coded = core.write_code(slot, &mut linker.work, &pin);
            let prepared = coded.and_then(|()| graph.map_or(Ok(()), |graph| graph.prepare(slot)));
            let ready = prepared.and_then(|()| turn.put(&[key], |_, out| out.extend_from_slice(vector)));
            if let Err(error) = ready {
                store.release(slot, &pin);
                store.give_back_seen(Run::one(slot), &pin);
                return Err(error);
            }
            if let Some(graph) = graph {
                let _linking = core.linking.read();
                let field = core.field(graph, &pin);
                let ef = self.config.ef_construction as usize;
                // A distance function of the caller's is a callback like others.
                reentry::calling_back(self.name(), || insert::link(field, slot, ef, &mut linker, &mut NoJournal));
            }
            self.linkers.give(linker);
            if self.publish(core, &Run::one(slot), Intent::Put(present), &pin) == Published::Yes {
                drop((coding, unlinked));
                self.tend_a_share(core, 1, &pin);
                return Ok(());
            }
        }
    }

    /// Makes room for linking a slot, and some that come at the same time.
    pub(super) fn make_linking_room(
        &self,
        core: &Core,
        graph: &Graph,
        linker: &mut Linker,
        guard: &Guard,
    ) -> Result<()> {
        linker.make_room(graph, core.store(guard).slots() as usize + PIECE, self.config.ef_construction as usize)
    }

    /// Makes filled slots live, in one turn through the gate.
    pub(super) fn publish(&self, core: &Core, run: &Run, intent: Intent<'_>, guard: &Guard) -> Published {
        let _gate = self.gate.read();
        if !std::ptr::eq(core, self.core(guard)) {
            return Published::Cleared;
        }
        let store = core.store(guard);
        for (i, slot) in run.iter().enumerate() {
            match intent {
                Intent::Put(Present::Refuse) => store.publish(slot, guard),
                Intent::Put(Present::Replace) => store.publish_replacing(slot, guard),
                Intent::Move(from) => drop(store.publish_moved(slot, from[i], guard)),
            }
        }
        Published::Yes
    }

    /// Inserts many vectors: all of them or, on any error, none. A key that stands twice in the batch is refused, or, with
    /// `upsert`, names the later of its vectors.
    ///
    /// # Errors
    /// As [`Index::insert`]; the text names the first bad position. `Cancelled` if the progress callback asked for it.
    pub fn insert_batch(&self, keys: &[u64], vectors: Rows<'_>, options: &BuildOptions<'_>) -> Result<()> {
        self.check_change()?;
        if keys.len() != vectors.count() {
            return Err(Error::argument(format!("{} keys for {} vectors", keys.len(), vectors.count())));
        }
        if keys.is_empty() {
            return Ok(());
        }
        let count = check_count(keys.len())?;
        let intent = Intent::Put(if options.upsert { Present::Replace } else { Present::Refuse });
        let mut turn = self.turn(Keys::Many(keys))?;
        let _room = self.make_room(keys)?;
        let threads = threads_or_cores(options.threads);
        let _grant = self.afford_batch(keys.len(), threads)?;
        let pin = self.pin();
        loop {
            let core = self.core(&pin);
            let unlinked = self.stay_flat(core, keys.len(), &pin);
            let graph = core.graph.as_ref().filter(|_| unlinked.is_none());
            let before = core.held_while_empty(&pin);
            if unlinked.is_none() {
                let hands = self.hands(options, 0, keys.len());
                self.hold_batch(core, vectors, &hands, &pin)?;
            }
            let run = core.store(&pin).take(count)?;
            let batch = Batch { core, run: &run, first: 0, keys, vectors, intent, graph };
            let mut linking = Linking {
                graph,
                options,
                is_bulk: self.begin_linking(core, graph, keys.len(), &pin),
                coded: Coded::BeforeOrNot,
            };
            let mut log = || turn.put(keys, |i, out| out.extend_from_slice(vectors.row(i)));
            let done = self
                .fill(&batch, options)
                .and_then(|()| self.code_and_link((core, &run), &mut linking, &mut log, &pin));
            if let Err(error) = done {
                self.forget_codes(core, linking.coded, &pin);
                self.give_back_batch(core, run, &pin);
                drop(unlinked);
                drop(pin);
                self.clean_up_after(before);
                return Err(error);
            }
            if self.publish(core, &run, intent, &pin) == Published::Yes {
                drop(unlinked);
                self.end_batch(core, &run, linking.is_bulk, &pin);
                drop(pin);
                self.sweep_after(keys.len());
                return Ok(());
            }
        }
    }

    /// Whether a batch will be built as a whole. One that will not makes a flat index move, if it links.
    pub(super) fn begin_linking(&self, core: &Core, graph: Option<&Graph>, vectors: usize, guard: &Guard) -> bool {
        let is_bulk = graph.is_some() && self.is_bulk(core, vectors, guard);
        if graph.is_some() && !is_bulk {
            // Others came meanwhile, so that it is not large any more beside what is there.
            self.begin_to_move(core, guard);
        }
        is_bulk
    }

    /// Gives the filled slots of a batch codes, if it is time, and links, and logs it.
    pub(super) fn code_and_link(
        &self,
        (core, run): (&Core, &Run),
        linking: &mut Linking<'_>,
        log: &mut dyn FnMut() -> Result<()>,
        guard: &Guard,
    ) -> Result<()> {
        if linking.graph.is_some() || core.graph.is_none() {
            let hands = self.hands(linking.options, filling(run.len()), run.len());
            linking.coded = self.code_if_due(core, &hands, guard)?;
        }
        let Some(graph) = linking.graph else { return log() };
        match linking.is_bulk {
            true => self.link_in_bulk((core, run), linking.options, log, guard),
            false
                if self.is_appended(core, run.len(), guard)
                    && self.append((core, run, graph), linking.options, log, guard)? =>
            {
                Ok(())
            }
            false => self.link_batch((core, run, graph), linking.options, log, guard),
        }
    }

    /// Takes back slots that a batch took and may have claimed.
    pub(super) fn give_back_batch(&self, core: &Core, run: Run, guard: &Guard) {
        run.iter().for_each(|slot| core.store(guard).release(slot, guard));
        core.store(guard).give_back_seen(run, guard);
    }

    /// Where no reader is inside, the slots of a batch that was given back are free when the call returns.
    pub(super) fn clean_up_after(&self, before: Option<Held>) {
        self.sweep();
        self.release_behind();
        if let Some(held) = before {
            self.begin_anew(held);
        }
    }

    /// The work that a batch leaves when it is published.
    pub(super) fn end_batch(&self, core: &Core, run: &Run, is_bulk: bool, guard: &Guard) {
        if is_bulk {
            // All that was there is linked: what is left to do is little. What it needs and does not get, a later call will.
            drop(self.grow_up(core, guard));
        }
        self.tend_a_share(core, run.len(), guard);
    }

    /// As [`Index::sweep`], after a batch that is not too small for it.
    pub(super) fn sweep_after(&self, vectors: usize) {
        if vectors >= PIECE {
            self.sweep();
        }
    }

    /// Frees what was unlinked, as far as nobody is inside who may look at it. The caller is not.
    pub(super) fn sweep(&self) {
        (0..FLUSHES).for_each(|_| self.pin().flush());
    }

    /// Gives back what a batch touched behind the last slot that is in use.
    fn release_behind(&self) {
        let pin = self.pin();
        let core = self.core(&pin);
        // Whoever holds `coding` may be making arrays anew.
        let _coding = core.coding.read();
        core.store(&pin).release_behind(&pin, |slots| {
            core.graph.iter().for_each(|graph| graph.release(slots));
            core.codes(&pin).into_iter().for_each(|codes| codes.release(slots));
        });
    }

    /// Leave to bring so many vectors without linking them, if they do not make the index a graph, or only just.
    pub(super) fn stay_flat<'a>(
        &self,
        core: &'a Core,
        vectors: usize,
        guard: &Guard,
    ) -> Option<RwLockReadGuard<'a, ()>> {
        let unlinked = core.growth.stay_flat()?;
        if vectors < super::bulk::FROM || !core.growth.is_enough(core.store(guard).live() + vectors as u64) {
            return Some(unlinked);
        }
        if !self.is_bulk(core, vectors, guard) {
            self.begin_to_move(core, guard);
        }
        None
    }

    /// Writes and claims the slots of a batch on several threads. On an error some slots may be claimed.
    pub(super) fn fill(&self, batch: &Batch<'_>, options: &BuildOptions<'_>) -> Result<()> {
        let total = batch.keys.len();
        let threads = threads_or_cores(options.threads).min(total.div_ceil(PIECE));
        let work = Work::new(total, PIECE);
        let fill_piece = |piece: std::ops::Range<usize>, linker: &mut Linker, guard: &Guard| {
            // What is refused in a moment need not fit.
            let fits = |held: Held, vector| held.fits(vector) || self.scoring.check("vector", vector).is_err();
            let moved = matches!(batch.intent, Intent::Move(_));
            let all_fit = |held: Held| moved || piece.clone().all(|i| fits(held, batch.vectors.row(i)));
            let _coding = match self.filling(batch.core, all_fit, guard) {
                Ok(coding) => coding,
                Err(error) => return work.fail(piece.start, error),
            };
            for i in piece.clone() {
                if let Err(error) = self.fill_one(batch, i, linker, guard) {
                    let text = format!("at position {}: {}", batch.first + i, error.text());
                    return work.fail(i, Error::new(error.status(), text));
                }
            }
            work.done(piece.len());
        };
        let help = |_| {
            let pin = self.pin();
            let mut linker = self.linkers.take();
            while let Some(piece) = work.take() {
                fill_piece(piece, &mut linker, &pin);
            }
            self.linkers.give(linker);
        };
        let lead = || {
            let pin = self.pin();
            let mut linker = self.linkers.take();
            let part = if batch.graph.is_some() { filling(total) } else { total };
            let mut meter = Meter::of_part(options.progress, 0..part, total);
            reentry::calling_back(self.name(), || {
                while let Some(piece) = work.take() {
                    fill_piece(piece, &mut linker, &pin);
                    meter.tell(&work);
                }
            });
            self.linkers.give(linker);
        };
        self.pool.run(threads, help, lead)?;
        work.into_result()?;
        if batch.graph.is_some() {
            return Ok(());
        }
        // The last word comes when all is in and can still be taken back.
        let mut meter = Meter::new(options.progress, total);
        reentry::calling_back(self.name(), || meter.tell_all())
    }

    /// Links the slots of a batch, in an order that spreads runs of similar vectors over the whole batch, and logs it.
    pub(super) fn link_batch(
        &self,
        (core, run, graph): (&Core, &Run, &Graph),
        options: &BuildOptions<'_>,
        log: &mut dyn FnMut() -> Result<()>,
        guard: &Guard,
    ) -> Result<()> {
        let total = run.len();
        let step = spread(total);
        let threads = threads_or_cores(options.threads).min(total.div_ceil(PIECE));
        self.prepare_rows(graph, total, |i| Some(run.slot(i)), threads)?;
        let work = Work::new(total, PIECE);
        let undo = Undo::new(graph, run.clone(), core.store(guard).slots())?;
        let link_piece = |piece: std::ops::Range<usize>, linker: &mut Linker, guard: &Guard| {
            let _coding = core.coding.read();
            let field = core.field(graph, guard);
            let _linking = core.linking.read();
            let room = self.make_linking_room(core, graph, linker, guard);
            if let Err(error) = room.and_then(|()| undo.expect(graph, piece.len())) {
                return work.fail(piece.start, error);
            }
            for i in piece.clone() {
                let place = (i as u64 * step % total as u64) as usize;
                insert::link(field, run.slot(place), self.config.ef_construction as usize, linker, &mut &undo);
            }
            undo.expected(piece.len());
            work.done(piece.len());
        };
        let help = |_| {
            let pin = self.pin();
            let mut linker = self.linkers.take();
            reentry::calling_back(self.name(), || {
                while let Some(piece) = work.take() {
                    link_piece(piece, &mut linker, &pin);
                }
            });
            self.linkers.give(linker);
        };
        let lead = || {
            let mut linker = self.linkers.take();
            let mut meter = Meter::of_part(options.progress, filling(total)..total, total);
            reentry::calling_back(self.name(), || {
                while let Some(piece) = work.take() {
                    link_piece(piece, &mut linker, guard);
                    meter.tell(&work);
                }
            });
            self.linkers.give(linker);
        };
        let ran = self.pool.run(threads, help, lead);
        let mut meter = Meter::new(options.progress, total);
        // The last word comes when all is linked and can still be taken back.
        let done = ran
            .and_then(|()| work.into_result())
            .and_then(|()| reentry::calling_back(self.name(), || meter.tell_all()))
            .and_then(|()| log());
        if done.is_err() {
            let _coding = core.coding.read();
            let _alone = core.linking.write();
            let mut linker = self.linkers.take();
            undo.undo(core.field(graph, guard), &mut linker);
            self.linkers.give(linker);
        }
        done
    }

    fn fill_one(&self, batch: &Batch<'_>, i: usize, linker: &mut Linker, guard: &Guard) -> Result<()> {
        let present = match batch.intent {
            Intent::Put(present) => present,
            Intent::Move(from) => return self.copy_one(batch, i, from[i], linker, guard),
        };
        let (key, vector) = (batch.keys[i], batch.vectors.row(i));
        let (store, slot) = (batch.core.store(guard), batch.run.slot(batch.first + i));
        check_key(key)?;
        let scale = self.scoring.check("vector", vector)?;
        batch.core.view(guard).write(&self.scoring, (slot, key), (vector, scale), &mut linker.work);
        batch.core.write_code(slot, &mut linker.work, guard)?;
        if store.claim_if_absent(slot, guard)? || present == Present::Replace {
            return Ok(());
        }
        Err(Error::new(Status::Exists, format!("key is {key}, which the index or an earlier position holds already")))
    }

    /// Fills a slot with what stands in another one, as it is held.
    fn copy_one(&self, batch: &Batch<'_>, i: usize, from: u32, linker: &mut Linker, guard: &Guard) -> Result<()> {
        let (view, slot) = (batch.core.view(guard), batch.run.slot(i));
        let mut vector = Vec::new();
        if view.reducer().is_some() {
            // Restored and reduced again it would not be quite the same.
            vector.extend_from_slice(view.store.vector_slice(from));
        } else {
            view.unpack(&self.scoring, from, &mut vector);
        }
        view.store.write(slot, batch.keys[i], &vector, view.store.own_scale(from));
        batch.core.write_code(slot, &mut linker.work, guard)
    }

    /// Removes one vector.
    ///
    /// # Errors
    /// `NotFound` if no live vector has this key; `ReadOnly`, `Busy`, `Internal`.
    pub fn remove(&self, key: u64) -> Result<()> {
        if self.remove_batch(&[key])? == 1 {
            Ok(())
        } else {
            Err(Error::new(Status::NotFound, format!("key is {key}, which the index does not hold")))
        }
    }

    /// Removes those that are there and says how many they were.
    ///
    /// # Errors
    /// `ReadOnly`, `Busy`, `Internal`.
    pub fn remove_batch(&self, keys: &[u64]) -> Result<usize> {
        self.check_change()?;
        let mut turn = self.turn(if let [key] = keys { Keys::One(*key) } else { Keys::Many(keys) })?;
        let pin = self.pin();
        turn.remove(|| {
            let store = self.core(&pin).store(&pin);
            keys.iter().copied().filter(|&key| store.find(key, &pin).is_some()).collect()
        })?;
        let gate = self.gate.read();
        let core = self.core(&pin);
        let removed = keys.iter().filter(|&&key| core.store(&pin).remove(key, &pin)).count();
        drop(gate);
        self.tend_a_share(core, removed, &pin);
        Ok(removed)
    }

    /// Brings back the vector that was removed last under a key, in an index that keeps removed vectors.
    ///
    /// # Errors
    /// `NotFound` if there is none (never removed, forgotten, or the index does not keep them); `Exists` if the key has a live vector;
    /// `Memory`, `ReadOnly`, `Busy`, `Internal`.
    pub fn undelete(&self, key: u64) -> Result<()> {
        self.check_change()?;
        let _room = self.make_room(&[key])?;
        let pin = self.pin();
        let _gate = self.gate.read();
        let store = self.core(&pin).store(&pin);
        if store.revive(key, &pin)? {
            Ok(())
        } else if store.find(key, &pin).is_some() {
            Err(Error::new(Status::Exists, format!("key is {key}, whose vector is not removed")))
        } else {
            Err(Error::new(Status::NotFound, format!("key is {key}, under which no removed vector is kept")))
        }
    }

    /// Gives up what [`Index::undelete`] could bring back under a key.
    ///
    /// # Errors
    /// `NotFound` if there is none; `ReadOnly`, `Busy`, `Internal`.
    pub fn forget(&self, key: u64) -> Result<()> {
        self.check_change()?;
        let pin = self.pin();
        if self.core(&pin).store(&pin).forget_removed(key, &pin) {
            return Ok(());
        }
        Err(Error::new(Status::NotFound, format!("key is {key}, under which no removed vector is kept")))
    }

    /// Removes everything and gives the memory back once the last reader has left.
    ///
    /// # Errors
    /// `ReadOnly`, `Busy`, `Internal`.
    pub fn clear(&self) -> Result<()> {
        self.check_change()?;
        let mut turn = self.turn(Keys::All)?;
        turn.clear()?;
        self.replace_core(|_| true, &self.pin())?;
        self.sweep();
        Ok(())
    }

    /// Makes room for `capacity` vectors in all; where the capacity is fixed, fixes it anew.
    ///
    /// # Errors
    /// `Argument` for more than an index can hold, `Memory` if the system refuses; `Full` for less than a fixed capacity must be; `ReadOnly`, `Busy`, `Internal`.
    pub fn reserve(&self, capacity: u64) -> Result<()> {
        self.check_change()?;
        if self.resize_room(capacity)? {
            return Ok(());
        }
        let _grant = self.afford_capacity(capacity)?;
        let pin = self.pin();
        self.core(&pin).store(&pin).reserve(capacity)
    }
}

/// A step that visits every position of `0..total` once when it is added again and again modulo `total`, neighbours far apart.
pub(super) fn spread(total: usize) -> u64 {
    let total = total as u64;
    // Near the golden section, so that the positions visited so far are always evenly spread.
    let mut step = (total as f64 * 0.618_033_988_75) as u64 | 1;
    while gcd(step, total) != 1 {
        step += 1;
    }
    step
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The number of a batch's vectors, if an index can hold so many.
pub(super) fn check_count(count: usize) -> Result<u32> {
    let most = crate::store::MAX_SLOTS;
    let fits = u32::try_from(count).ok().filter(|&count| u64::from(count) <= most);
    fits.ok_or_else(|| Error::argument(format!("count is {count}, an index holds {most}")))
}

fn check_key(key: u64) -> Result<()> {
    if key == NO_KEY {
        return Err(Error::argument(format!("key is {key}, which is reserved (KITH_NO_KEY)")));
    }
    Ok(())
}
