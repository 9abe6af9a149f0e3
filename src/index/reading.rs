//! Calls that read the index: search, batches, get, contains, keys, describe. They take no lock.

use super::config::{Config, Filter, Info, Kind, MAX_EF, NO_KEY, Quantizer, SearchOptions};
use super::holding::View;
use super::room::Room;
use super::tuning::{Aim, WIDER};
use super::{Core, Index, Opaque, Rows};
use crate::persist::format_for;
use crate::search::flat::{self, Scan, Span};
use crate::search::lives::{each_live, newest};
use crate::search::nearest::Hit;
use crate::search::walk::Field;
use crate::search::{self, Admit, Scratch};
use crate::store::{LIVE, Store};
use crate::util::error::{Error, Result, Status};
use crate::util::memory::{gather, make_room};
use crate::util::pool::threads_or_cores;
use crate::util::progress::Work;
use crate::util::reentry;
use crossbeam_epoch::Guard;

/// Queries that a worker of a batch takes at a time: enough to use every vector it loads many times.
const QUERIES: usize = 64;
/// A scan that shares a query among threads gives each at least this many slots.
const SHARED_FROM: usize = 16 * 1024;

impl Index {
    /// The min(k, live keys that pass) nearest, k being the length of `keys`, ordered by (distance, key). Says how many there
    /// are; unused places get [`NO_KEY`] and +infinity.
    ///
    /// # Errors
    /// `Argument` for k = 0, a wrong length, NaN, infinity, a zero vector under cosine, an ef out of range.
    pub fn search(
        &self,
        query: &[u8],
        keys: &mut [u64],
        distances: Option<&mut [f32]>,
        options: &SearchOptions<'_>,
    ) -> Result<usize> {
        let k = keys.len();
        self.check_search(k, options)?;
        let scale = self.scoring.check("query", query)?;
        if self.is_custom() {
            let mut wide = vec![0.0; k];
            let count = self.search_opaque(Opaque::of(query), keys, Some(&mut wide), options)?;
            if let Some(distances) = distances {
                distances.iter_mut().zip(wide).for_each(|(place, distance)| *place = distance as f32);
            }
            return Ok(count);
        }
        let mut scratch = self.scratches.take();
        let count = match options.filter {
            None => self.search_one((query, scale), k, options, &Admit::All, &mut scratch)?,
            Some(Filter::AnyThread(passes)) => reentry::calling_back(self.name(), || {
                self.search_one((query, scale), k, options, &Admit::Shared(passes), &mut scratch)
            })?,
            Some(Filter::Caller(passes)) => reentry::calling_back(self.name(), || {
                self.search_one((query, scale), k, options, &Admit::Caller(passes), &mut scratch)
            })?,
        };
        put(&scratch.hits, keys, distances);
        self.give(scratch, options.counters);
        Ok(count)
    }

    /// As [`Index::search`], with distances in double precision.
    ///
    /// # Errors
    /// As [`Index::search`].
    pub fn search_wide(
        &self,
        query: &[u8],
        keys: &mut [u64],
        distances: Option<&mut [f64]>,
        options: &SearchOptions<'_>,
    ) -> Result<usize> {
        if self.is_custom() {
            self.scoring.check("query", query)?;
            return self.search_opaque(Opaque::of(query), keys, distances, options);
        }
        let Some(distances) = distances else { return self.search(query, keys, None, options) };
        let mut narrow = vec![0.0; keys.len()];
        let count = self.search(query, keys, Some(&mut narrow), options)?;
        distances.iter_mut().zip(narrow).for_each(|(wide, distance)| *wide = f64::from(distance));
        Ok(count)
    }

    /// Leaves the hits of one query in `scratch.hits` and says how many.
    fn search_one(
        &self,
        query: (&[u8], f32),
        k: usize,
        options: &SearchOptions<'_>,
        admit: &Admit<'_>,
        scratch: &mut Scratch,
    ) -> Result<usize> {
        let pin = self.pin();
        let core = self.core(&pin);
        self.make_search_room(core, (1, k), self.breadth(options), scratch, &pin)?;
        let threads = if matches!(admit, Admit::Caller(_)) { 1 } else { options.threads.max(1) as usize };
        let threads = threads.min(core.store(&pin).slots() as usize / SHARED_FROM).max(1);
        if core.graph().is_some() {
            self.search_graph(core, query, (k, self.aim(options)), admit, scratch, &pin);
            return Ok(scratch.hits.len());
        }
        let view = core.view(&pin);
        if threads > 1 && view.is_plain() {
            scratch.set_queries(&self.scoring, std::iter::once(query));
            let store = &*view.store;
            let before = store.replacements();
            let by = self.scan_by(core, self.breadth(options), &pin);
            self.scan_shared((store, by), k, threads, admit, scratch, &pin)?;
            if store.undisturbed(before) && core.is_in_force(view, &pin) {
                return Ok(scratch.hits.len());
            }
            // The spans were not scanned upwards: a vector that was replaced may have been missed in both its slots.
        }
        self.search_here(core, query, (k, self.breadth(options)), admit, scratch, &pin);
        Ok(scratch.hits.len())
    }

    /// What a scan goes by. An index that is about to become a graph may have codes already, but is exact until then.
    fn scan_by<'g>(&self, core: &Core, breadth: usize, guard: &'g Guard) -> flat::By<'g> {
        core.codes(guard).filter(|_| self.config.kind == Kind::Flat).map(|codes| (codes, breadth))
    }

    /// Makes room for what a search needs that grows with the index or with what is asked for.
    fn make_search_room(
        &self,
        core: &Core,
        (queries, k): (usize, usize),
        breadth: usize,
        scratch: &mut Scratch,
        guard: &Guard,
    ) -> Result<()> {
        let slots = core.store(guard).slots() as usize;
        if core.graph().is_some() {
            return scratch.make_room((queries, self.scoring.query_stride), (k, breadth.max(k)), slots);
        }
        self.make_scan_room((queries, k), self.scan_by(core, breadth, guard), scratch, slots)
    }

    /// As [`Index::make_search_room`], for a scan.
    fn make_scan_room(
        &self,
        (queries, k): (usize, usize),
        by: flat::By<'_>,
        scratch: &mut Scratch,
        slots: usize,
    ) -> Result<()> {
        let kept = flat::kept(by, k);
        scratch.make_room((queries, self.scoring.query_stride), (kept, 0), slots)?;
        if by.is_some() { scratch.make_room_to_rank(kept.min(slots)) } else { Ok(()) }
    }

    /// Searches a graph for one query, with the breadth or for the recall that is asked for, and leaves its hits in `scratch`.
    fn search_graph(
        &self,
        core: &Core,
        query: (&[u8], f32),
        (k, aim): (usize, Aim),
        admit: &Admit<'_>,
        scratch: &mut Scratch,
        guard: &Guard,
    ) {
        let (recall, most) = match aim {
            Aim::Breadth(ef) => return self.search_here(core, query, (k, ef), admit, scratch, guard),
            Aim::Recall { recall, most } => (recall, most),
        };
        let plan = self.tuning.plan(recall, k, self.config.ef_search as usize, most);
        self.search_here(core, query, (k, plan.ef), admit, scratch, guard);
        if plan.again && !scratch.hits.is_empty() {
            let found: Vec<f32> = scratch.hits.iter().map(|hit| hit.distance).collect();
            let ef = (WIDER * plan.ef).min(MAX_EF as usize);
            self.search_here(core, query, (k, ef), admit, scratch, guard);
            if let Some(farthest) = scratch.hits.last() {
                let near = found.iter().filter(|&&distance| distance <= farthest.distance).count();
                self.tuning.learn(recall, k, ef, near as f32 / scratch.hits.len() as f32);
            }
        }
    }

    /// Searches for one query on this thread and leaves its hits in `scratch`.
    pub(super) fn search_here(
        &self,
        core: &Core,
        query: (&[u8], f32),
        (k, ef): (usize, usize),
        admit: &Admit<'_>,
        scratch: &mut Scratch,
        guard: &Guard,
    ) {
        loop {
            let view = core.view(guard);
            let (store, scoring) = (&*view.store, view.ask(&self.scoring, query, scratch));
            consistent((store, guard), k, scratch, |k, scratch| {
                match core.graph() {
                    Some(graph) => {
                        let field = Field { scoring, store, graph, codes: core.codes(guard) };
                        search::graph::search(field, k, ef, admit, scratch, guard);
                    }
                    None => {
                        let by = self.scan_by(core, ef, guard);
                        Scan { scoring, store, by, span: Span::all(store), k }.run(admit, scratch, guard);
                    }
                }
                scratch.finish(0, scoring, store);
            });
            if core.is_in_force(view, guard) {
                return;
            }
        }
    }

    /// One query on several threads, each scanning spans of slots: small ones in turn, or, as every scan by codes has its query prepared and its
    /// candidates ranked, a single one each.
    fn scan_shared(
        &self,
        (store, by): (&Store, flat::By<'_>),
        k: usize,
        threads: usize,
        admit: &Admit<'_>,
        scratch: &mut Scratch,
        guard: &Guard,
    ) -> Result<()> {
        let Some(admit) = admit.shared() else { return Err(Error::internal("a filter for one thread on several")) };
        let slots = store.slots();
        let span = if by.is_some() { (slots as usize).div_ceil(threads) } else { SHARED_FROM };
        let work = Work::new(slots as usize, span);
        let found = parking_lot::Mutex::new(Vec::new());
        let mut query = Scratch::default();
        query.copy_queries(scratch);
        let scan_spans = |scratch: &mut Scratch, pin: &Guard| {
            let mut hits = Vec::new();
            while let Some(piece) = work.take() {
                let span = Span { start: piece.start as u32, end: piece.end as u32, open: false };
                Scan { scoring: &self.scoring, store, by, span, k }.run(&admit.admit(), scratch, pin);
                scratch.finish(0, &self.scoring, store);
                hits.append(&mut scratch.hits);
            }
            found.lock().append(&mut hits);
        };
        let help = |_| {
            let mut own = self.scratches.take();
            match self.make_scan_room((1, k), by, &mut own, slots as usize) {
                Ok(()) => {
                    own.copy_queries(&query);
                    // As on the calling thread, a filter here must not change the index.
                    let pin = self.pin();
                    reentry::calling_back(self.name(), || scan_spans(&mut own, &pin));
                }
                Err(error) => work.fail(0, error),
            }
            self.scratches.give(own);
        };
        self.pool.run(threads, help, || scan_spans(scratch, guard))?;
        work.into_result()?;
        scratch.hits = found.into_inner();
        scratch.hits.sort_unstable();
        scratch.hits.truncate(k);
        Ok(())
    }

    /// Searches for many queries. `keys` (and `distances`) hold k places per query, `counts` one.
    ///
    /// # Errors
    /// As [`Index::search`]; the text names the position of a bad query.
    pub fn search_batch(
        &self,
        queries: Rows<'_>,
        k: usize,
        keys: &mut [u64],
        distances: Option<&mut [f32]>,
        counts: Option<&mut [usize]>,
        options: &SearchOptions<'_>,
    ) -> Result<()> {
        self.check_search(k, options)?;
        let total = queries.count();
        if k.checked_mul(total) != Some(keys.len()) {
            return Err(Error::argument(format!("keys has {} places for {total} queries of k {k}", keys.len())));
        }
        let mut scales = Vec::new();
        make_room(&mut scales, total)?;
        for i in 0..total {
            let scale = self.scoring.check("query", queries.row(i));
            scales
                .push(scale.map_err(|error| Error::new(error.status(), format!("at position {i}: {}", error.text())))?);
        }
        let queries = Queries { rows: queries, scales: &scales };
        let out = Out::new(k, keys, distances, counts)?;
        let work = Work::new(total, QUERIES.min(total.div_ceil(threads_or_cores(options.threads)).max(1)));
        let (aim, breadth, counters) = (self.aim(options), self.breadth(options), options.counters);
        let search_pieces = |admit: &Admit<'_>| {
            let mut scratch = self.scratches.take();
            while let Some(piece) = work.take() {
                if let Err(error) =
                    self.search_piece(&queries, piece.clone(), (k, aim, breadth), admit, &mut scratch, &out)
                {
                    work.fail(piece.start, error);
                }
            }
            self.give(scratch, counters);
        };
        let threads = threads_or_cores(options.threads).min(total.max(1));
        match options.filter {
            None => self.pool.run(threads, |_| search_pieces(&Admit::All), || search_pieces(&Admit::All))?,
            Some(Filter::AnyThread(passes)) => {
                let search = || reentry::calling_back(self.name(), || search_pieces(&Admit::Shared(passes)));
                self.pool.run(threads, |_| search(), search)?;
            }
            Some(Filter::Caller(passes)) => {
                reentry::calling_back(self.name(), || search_pieces(&Admit::Caller(passes)));
            }
        }
        work.into_result()
    }

    fn search_piece(
        &self,
        queries: &Queries<'_>,
        piece: std::ops::Range<usize>,
        (k, aim, breadth): (usize, Aim, usize),
        admit: &Admit<'_>,
        scratch: &mut Scratch,
        out: &Out<'_>,
    ) -> Result<()> {
        if self.is_custom() {
            for i in piece {
                let Aim::Breadth(ef) = aim else { return Err(Error::internal("a recall without a table")) };
                let options = SearchOptions { ef: ef as u32, ..SearchOptions::default() };
                let found = self.quest(Opaque::of(queries.rows.row(i)), k, &options, admit, scratch)?;
                scratch.hits.clear();
                let hits = found.into_iter().map(|(key, distance)| Hit { distance: distance as f32, key, slot: 0 });
                scratch.hits.extend(hits);
                out.put(i, &scratch.hits);
            }
            return Ok(());
        }
        let pin = self.pin();
        let core = self.core(&pin);
        let graph = core.graph();
        let together = if graph.is_none() { piece.len() } else { 1 };
        self.make_search_room(core, (together, k), breadth, scratch, &pin)?;
        let view = core.view(&pin);
        if graph.is_none() && view.is_plain() {
            let store = &*view.store;
            // All queries of the piece pass over each block of vectors together.
            scratch.set_queries(&self.scoring, piece.clone().map(|i| queries.get(i)));
            let before = store.replacements();
            let by = self.scan_by(core, breadth, &pin);
            Scan { scoring: &self.scoring, store, by, span: Span::all(store), k }.run(admit, scratch, &pin);
            if store.undisturbed(before) && core.is_in_force(view, &pin) {
                for (place, i) in piece.enumerate() {
                    scratch.finish(place, &self.scoring, store);
                    out.put(i, &scratch.hits);
                }
                return Ok(());
            }
        }
        for i in piece {
            match aim {
                Aim::Recall { .. } if graph.is_some() => {
                    self.search_graph(core, queries.get(i), (k, aim), admit, scratch, &pin);
                }
                _ => self.search_here(core, queries.get(i), (k, self.breadth_of(aim)), admit, scratch, &pin),
            }
            out.put(i, &scratch.hits);
        }
        Ok(())
    }

    fn aim(&self, options: &SearchOptions<'_>) -> Aim {
        if options.recall == 0.0 {
            return Aim::Breadth(self.breadth(options));
        }
        Aim::Recall { recall: options.recall, most: if options.ef == 0 { MAX_EF } else { options.ef } as usize }
    }

    /// The breadth of a search that is not learnt from.
    fn breadth_of(&self, aim: Aim) -> usize {
        match aim {
            Aim::Breadth(ef) => ef,
            Aim::Recall { .. } => self.config.ef_search as usize,
        }
    }

    pub(super) fn breadth(&self, options: &SearchOptions<'_>) -> usize {
        if options.ef == 0 { self.config.ef_search as usize } else { options.ef as usize }
    }

    pub(super) fn check_search(&self, k: usize, options: &SearchOptions<'_>) -> Result<()> {
        if k == 0 {
            return Err(Error::argument("k is 0, at least 1 hit must be asked for"));
        }
        if options.ef > MAX_EF {
            return Err(Error::argument(format!("ef is {}, allowed are 0 to {MAX_EF}", options.ef)));
        }
        if !(0.0..=1.0).contains(&options.recall) {
            return Err(Error::argument(format!("recall is {}, allowed are 0 to 1", options.recall)));
        }
        if options.recall > 0.0 && self.is_custom() {
            return Err(Error::unsupported(
                "an index with a distance function of the caller's has no recall to ask for",
            ));
        }
        Ok(())
    }

    /// Copies out the vector of a key, bit for bit as it was inserted; or nearly, where vectors are reduced.
    ///
    /// # Errors
    /// `NotFound` if no live vector has this key; `Argument` if `vector` has another length than a vector.
    pub fn get(&self, key: u64, vector: &mut [u8]) -> Result<()> {
        if vector.len() != self.vector_bytes() {
            return Err(Error::argument(format!(
                "vector has {} bytes, the index's have {}",
                vector.len(),
                self.vector_bytes()
            )));
        }
        let pin = self.pin();
        let core = self.core(&pin);
        let Some(slot) = core.store(&pin).find(key, &pin) else {
            return Err(Error::new(Status::NotFound, format!("key is {key}, which the index does not hold")));
        };
        // The view in force now has the slot's vector, whichever had it when the slot was found.
        let view = core.view(&pin);
        if view.reducer().is_none() {
            view.store.held().unpack(view.store.vector_slice(slot), vector);
            return Ok(());
        }
        let mut near = Vec::new();
        view.unpack(&self.scoring, slot, &mut near);
        vector.copy_from_slice(&near);
        Ok(())
    }

    /// Where the vector of a key is stored: live, or removed and kept. The bytes stay as they are until the vector is replaced, or removed
    /// for good, or the index is cleared or dropped. From the first call on vectors are held as they were given.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Memory` if vectors were held in less; `Unsupported` where they are reduced.
    pub fn row(&self, key: u64) -> Result<*const u8> {
        if self.config.quantizer.reduction().is_some() {
            return Err(Error::unsupported("an index of reduced vectors has no place where one stands"));
        }
        if self.config.held.is_rounded() {
            return Err(Error::unsupported(
                "an index that holds vectors rounded has no place where one stands as it was given",
            ));
        }
        let pin = self.pin();
        let core = self.core(&pin);
        let store = core.store(&pin);
        let slot = store
            .find(key, &pin)
            .or_else(|| store.find_removed(key))
            .ok_or_else(|| Error::new(Status::NotFound, format!("key is {key}, which the index does not hold")))?;
        self.hold_as_given(core, &pin)?;
        Ok(core.store(&pin).vector(slot))
    }

    /// Fills `keys` with as many keys as fit whose removed vectors can come back; says how many there are in all.
    ///
    /// # Errors
    /// None at present.
    pub fn removed_keys(&self, keys: &mut [u64]) -> Result<usize> {
        let pin = self.pin();
        let removed = self.core(&pin).store(&pin).all_removed();
        keys.iter_mut().zip(&removed).for_each(|(place, &(key, _))| *place = key);
        Ok(removed.len())
    }

    /// Whether a live vector has this key.
    ///
    /// # Errors
    /// None at present.
    pub fn contains(&self, key: u64) -> Result<bool> {
        let pin = self.pin();
        Ok(self.core(&pin).store(&pin).find(key, &pin).is_some())
    }

    /// Fills `keys` with as many live keys as fit, in order of their places; says how many there are in all.
    ///
    /// # Errors
    /// None at present.
    pub fn keys(&self, keys: &mut [u64]) -> Result<usize> {
        let pin = self.pin();
        let store = self.core(&pin).store(&pin);
        let before = store.replacements();
        let mut all = 0;
        each_live(store, &pin, |slot| {
            if let Some(place) = keys.get_mut(all) {
                *place = store.key(slot);
            }
            all += 1;
        });
        if store.undisturbed(before) {
            return Ok(all);
        }
        // A key that was given another vector meanwhile may have been met with both.
        let mut met = Vec::with_capacity(all);
        let mut known = std::collections::HashSet::with_capacity(all);
        each_live(store, &pin, |slot| {
            if known.insert(store.key(slot)) {
                met.push(store.key(slot));
            }
        });
        keys.iter_mut().zip(&met).for_each(|(place, &key)| *place = key);
        Ok(met.len())
    }

    /// Fills `keys` with as many keys as fit of the vectors that a vector links to on a level, in no order; says
    /// how many there are in all. Removed vectors are passed over.
    ///
    /// # Errors
    /// `NotFound` if no live vector has this key, or it has no such level; `Unsupported` if the index has no graph.
    pub fn neighbours(&self, key: u64, level: u32, keys: &mut [u64]) -> Result<usize> {
        let pin = self.pin();
        let core = self.core(&pin);
        let store = core.store(&pin);
        let Some(graph) = core.graph() else { return Err(Error::unsupported("a flat index has no links")) };
        let Some(slot) = store.find(key, &pin) else {
            return Err(Error::new(Status::NotFound, format!("key is {key}, which the index does not hold")));
        };
        if level > graph.level(slot) {
            let text = format!("level is {level}, the vector of key {key} reaches up to {}", graph.level(slot));
            return Err(Error::new(Status::NotFound, text));
        }
        let mut links = Vec::new();
        graph.neighbours(slot, level, &mut links);
        links.retain(|&slot| store.state(slot) == LIVE);
        keys.iter_mut().zip(&links).for_each(|(place, &slot)| *place = store.key(slot));
        Ok(links.len())
    }

    /// What the index is and holds.
    pub fn describe(&self) -> Info {
        let pin = self.pin();
        let core = self.core(&pin);
        let view = core.view(&pin);
        let View { store, scoring, .. } = view;
        let codes = core.codes(&pin);
        let (kind, m) = self.kind_and_degree(core);
        let config = Config { kind, m, quantizer: self.quantizer(), ..self.config.clone() };
        Info {
            count: store.live(),
            removed: store.waiting(),
            capacity: self.room.as_ref().map_or_else(|| store.capacity(), Room::limit),
            bytes: self.bytes(core, &pin),
            quantizer: match (view.reducer(), codes) {
                (Some(_), _) => self.quantizer(),
                (None, Some(codes)) => Quantizer::of_coding(codes.codec.coding()),
                (None, None) => Quantizer::None,
            },
            held: scoring.element,
            memory_limit: self.memory_limit(),
            code_bytes: codes.map_or(0, |codes| codes.codec.stride() as u32),
            mapped: Self::mapped(core, &pin),
            ..config.info(format_for(&config, store.held()))
        }
    }

    /// What the index is, `Auto` where it is not a graph yet, and the degree in force or by default.
    pub(super) fn kind_and_degree(&self, core: &Core) -> (Kind, u32) {
        match (core.growth.is_over(), &core.graph) {
            (true, Some(graph)) => (self.config.kind, graph.m() as u32),
            (true, None) => (self.config.kind, self.config.m),
            (false, _) => (Kind::Auto, self.config.m),
        }
    }

    /// Bytes in the file or buffer that the index was opened from.
    fn mapped(core: &Core, guard: &Guard) -> u64 {
        let store = core.store(guard);
        let graph = core.graph.as_ref().map_or(0, |graph| graph.mapped(store.slots()));
        let codes = core.codes(guard).map_or(0, |codes| codes.mapped(store.slots()));
        (store.mapped() + graph + codes) as u64
    }

    /// Memory held, heap and mapped, but for what readers still hold of what was replaced.
    pub(super) fn bytes(&self, core: &Core, guard: &Guard) -> u64 {
        let store = core.store(guard);
        let graph =
            core.graph.as_ref().filter(|_| !core.growth.is_flat()).map_or(0, |graph| graph.bytes(store.slots()));
        let codes = core.codes(guard).map_or(0, |codes| codes.bytes(store.slots()));
        let coming = core.coming.bytes(store.slots());
        let buffers = self.scratches.bytes() + self.linkers.bytes() + core.tending.bytes();
        let around = size_of::<Self>() + size_of::<Core>() + self.epochs.bytes();
        store.bytes(guard) + (graph + codes + coming + core.view(guard).bytes() + buffers + around) as u64
    }
}

/// Checked queries of a batch.
struct Queries<'a> {
    rows: Rows<'a>,
    scales: &'a [f32],
}

impl<'a> Queries<'a> {
    fn get(&self, i: usize) -> (&'a [u8], f32) {
        (self.rows.row(i), self.scales[i])
    }
}

/// Runs a search again if a replacement took place meanwhile and left two vectors of one key among the hits: once more with room
/// for the older ones, which are then dropped.
fn consistent(
    (store, guard): (&Store, &Guard),
    k: usize,
    scratch: &mut Scratch,
    mut search: impl FnMut(usize, &mut Scratch),
) {
    let mut room = k;
    loop {
        let before = store.replacements();
        search(room, scratch);
        let hits = &mut scratch.hits;
        if store.undisturbed(before) {
            return hits.truncate(k);
        }
        let found = hits.len();
        newest(hits, |hit| hit.slot, store, guard);
        hits.sort_unstable();
        let doubles = found - hits.len();
        if hits.len() >= k || doubles == 0 || found < room {
            return hits.truncate(k);
        }
        room += doubles.max(room / 2);
    }
}

/// Writes hits into one query's places.
fn put(hits: &[Hit], keys: &mut [u64], distances: Option<&mut [f32]>) {
    let found = hits.len().min(keys.len());
    for (place, hit) in keys.iter_mut().zip(hits) {
        *place = hit.key;
    }
    keys[found..].fill(NO_KEY);
    if let Some(distances) = distances {
        for (place, hit) in distances.iter_mut().zip(hits) {
            *place = hit.distance;
        }
        distances[found..].fill(f32::INFINITY);
    }
}

/// The caller's result arrays, cut into one lockable part per query, so that workers write their own parts at the same time.
struct Out<'a> {
    parts: Vec<parking_lot::Mutex<Part<'a>>>,
}

struct Part<'a> {
    keys: &'a mut [u64],
    distances: Option<&'a mut [f32]>,
    count: Option<&'a mut usize>,
}

impl<'a> Out<'a> {
    fn new(
        k: usize,
        keys: &'a mut [u64],
        distances: Option<&'a mut [f32]>,
        counts: Option<&'a mut [usize]>,
    ) -> Result<Self> {
        let mut distances = distances.map(|distances| distances.chunks_mut(k));
        let mut counts = counts.map(|counts| counts.iter_mut());
        let parts = keys.chunks_mut(k).map(|keys| {
            let distances = distances.as_mut().and_then(Iterator::next);
            let count = counts.as_mut().and_then(Iterator::next);
            parking_lot::Mutex::new(Part { keys, distances, count })
        });
        Ok(Self { parts: gather(parts)? })
    }

    fn put(&self, query: usize, hits: &[Hit]) {
        let mut part = self.parts[query].lock();
        let Part { keys, distances, count } = &mut *part;
        put(hits, keys, distances.as_deref_mut());
        if let Some(count) = count {
            **count = hits.len().min(keys.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::config::{BuildOptions, Options};

    #[test]
    fn candidates_of_an_earlier_query_are_not_hits_before_the_first_slot_is_linked() {
        let index =
            Index::create(&Options { dimensions: 4, kind: super::super::Kind::Graph, ..Default::default() }).unwrap();
        let vectors: Vec<u8> = (0..20_000u32).flat_map(|i| ((i * 37 % 1009) as f32).to_le_bytes()).collect();
        let keys: Vec<u64> = (0..5_000).collect();
        index.insert_batch(&keys, Rows::packed(&vectors, 16), &BuildOptions::default()).unwrap();
        let search = || index.search(&vectors[..16], &mut [0; 10], None, &SearchOptions::default()).unwrap();
        assert_eq!(search(), 10);
        index.clear().unwrap();
        // As a batch does before its first vector is linked.
        let pin = index.pin();
        index.core(&pin).store(&pin).allocate(400).unwrap();
        assert_eq!(search(), 0);
    }
}
