//! How do records get into the log so that many callers share one sync?
//!
//! A caller appends its record to a buffer. If nobody is writing, it leads: it takes the buffer and the file, writes and syncs for
//! all whose records are in it, and wakes them; the others wait. While one syncs, the next buffer fills. A leader waits a moment
//! for those that came back from the last sync at the same time as it did: otherwise 16 callers would go in turns of 1 and 15, and
//! share a sync among 8 on average.

use super::SyncPolicy;
use super::files::Log;
use super::record::{Head, Kind, MOST_PAYLOAD, Part, RECORD_HEADER, encode, record_bytes};
use crate::disk::Folder;
use crate::util::error::{Error, Result, Status};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

/// A leader waits for others at most this part of the time of a sync, and at most so long.
const PATIENCE: u32 = 4;
const MOST_PATIENCE: Duration = Duration::from_millis(2);

/// A buffer that grew beyond this is given back.
const KEEP_BUFFER: usize = 4 << 20;

/// What a leader holds: the file, and the directory for the next file.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) folder: Box<dyn Folder>,
}

/// A log file, as the next open will meet it.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    pub(super) first: u64,
    pub(super) bytes: u64,
}

/// Where a log stands when it is opened.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) writer: Writer,
    /// All files, the one that is written to last.
    pub(super) files: VecDeque<LogFile>,
    /// Number of the next record.
    pub(super) next: u64,
}

#[derive(Debug)]
struct State {
    /// `None` while somebody leads.
    writer: Option<Writer>,
    /// Nobody may append, because the next record belongs to a file that is being made.
    turning: bool,
    buffer: Vec<u8>,
    /// An empty buffer, for its memory.
    spare: Vec<u8>,
    /// Records in the buffer.
    buffered: usize,
    salt: u64,
    /// Bytes of the current file that are known to last.
    lasting: u64,
    /// What the last record said of that.
    told: u64,
    next: u64,
    written: u64,
    durable: u64,
    /// First record of every change that is not seen yet.
    unseen: BTreeSet<u64>,
    files: VecDeque<LogFile>,
    failed: Option<String>,
    /// Callers that may come together.
    expected: usize,
    sync_time: Duration,
    synced_at: Instant,
    syncs: u64,
}

/// The log, as many callers write to it.
#[derive(Debug)]
pub(super) struct Commits {
    policy: SyncPolicy,
    interval: Duration,
    state: Mutex<State>,
    /// A leader is done.
    changed: Condvar,
    /// As many have come as were expected.
    gathered: Condvar,
}

/// Whether a leader syncs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// As the policy says.
    ByPolicy,
    Now,
    No,
}

/// How far the log is; see [`super::LogInfo`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) failed: bool,
    pub(super) last: u64,
    pub(super) durable: u64,
    pub(super) bytes: u64,
    pub(super) syncs: u64,
}

impl Commits {
    pub(super) fn new(standing: Standing, policy: SyncPolicy, interval: Duration) -> Self {
        let Standing { writer, files, next } = standing;
        let state = State {
            turning: false,
            buffer: Vec::new(),
            spare: Vec::new(),
            buffered: 0,
            salt: writer.log.header.salt,
            lasting: writer.log.bytes,
            told: writer.log.bytes,
            writer: Some(writer),
            next,
            written: next - 1,
            durable: next - 1,
            unseen: BTreeSet::new(),
            files,
            failed: None,
            expected: 1,
            sync_time: Duration::ZERO,
            synced_at: Instant::now(),
            syncs: 0,
        };
        let state = Mutex::new(state);
        Self { policy, interval, state, changed: Condvar::new(), gathered: Condvar::new() }
    }

    /// Logs a change of one record with a payload of so many bytes, at most [`MOST_PAYLOAD`]; returns when it is as durable as the
    /// policy asks. Its number stands for the change until [`Commits::seen`].
    pub(super) fn log(&self, kind: Kind, payload: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Result<u64> {
        debug_assert!(payload <= MOST_PAYLOAD);
        let mut state = self.state.lock();
        while state.turning {
            self.changed.wait(&mut state);
        }
        check(&state)?;
        let bytes = record_bytes(payload);
        state.buffer.try_reserve(bytes).map_err(|_| Error::memory(bytes))?;
        let number = state.next;
        let head = Head { kind, part: Part::Last, number, lasting: state.lasting };
        state.told = state.lasting;
        let (salt, before) = (state.salt, state.buffer.len());
        encode(&mut state.buffer, salt, head, fill);
        debug_assert_eq!(state.buffer.len() - before, bytes);
        state.next += 1;
        state.buffered += 1;
        state.unseen.insert(number);
        if state.buffered >= state.expected {
            self.gathered.notify_one();
        }
        let settled = self.settle(&mut state, number);
        if settled.is_err() {
            state.unseen.remove(&number);
        }
        settled.map(|()| number)
    }

    /// As [`Commits::log`], of so many records that count only together. They are made and written one by one.
    pub(super) fn log_parts(&self, kind: Kind, parts: usize, mut fill: impl FnMut(usize, &mut Vec<u8>)) -> Result<u64> {
        let mut scratch = Vec::new();
        let most = record_bytes(MOST_PAYLOAD);
        scratch.try_reserve_exact(most).map_err(|_| Error::memory(most))?;
        let mut state = self.state.lock();
        let writer = self.take_writer(&mut state)?;
        let first = state.next;
        state.next += parts as u64;
        state.unseen.insert(first);
        let (salt, lasting) = (state.salt, state.lasting);
        self.lead(&mut state, writer, Sync::ByPolicy, |writer| {
            for i in 0..parts {
                scratch.clear();
                let part = if i + 1 == parts { Part::Last } else { Part::More };
                encode(&mut scratch, salt, Head { kind, part, number: first + i as u64, lasting }, |out| fill(i, out));
                writer.log.append(&scratch)?;
            }
            Ok(())
        });
        let settled = self.settle(&mut state, first + parts as u64 - 1);
        if settled.is_err() {
            state.unseen.remove(&first);
        }
        settled.map(|()| first)
    }

    /// A change that was logged can be seen, or will never be.
    pub(super) fn seen(&self, first: u64) {
        self.state.lock().unseen.remove(&first);
    }

    /// Number of the last record such that it and all before are seen.
    pub(super) fn seen_up_to(&self) -> u64 {
        let state = self.state.lock();
        state.unseen.first().copied().unwrap_or(state.next) - 1
    }

    /// Number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.state.lock().next - 1
    }

    pub(super) fn progress(&self) -> Progress {
        let state = self.state.lock();
        Progress {
            failed: state.failed.is_some(),
            last: state.next - 1,
            durable: state.durable,
            bytes: state.files.iter().map(|file| file.bytes).sum(),
            syncs: state.syncs,
        }
    }

    /// An error if the log cannot be written any more.
    pub(super) fn check(&self) -> Result<()> {
        match &self.state.lock().failed {
            None => Ok(()),
            Some(why) => Err(Error::new(
                Status::ReadOnly,
                format!("changes are refused since {why}; open the directory again to see how far it got"),
            )),
        }
    }

    /// Makes everything last that was logged.
    pub(super) fn sync(&self) -> Result<()> {
        let mut state = self.state.lock();
        let target = state.next - 1;
        while state.durable < target {
            let writer = self.take_writer(&mut state)?;
            self.lead(&mut state, writer, Sync::Now, |_| Ok(()));
        }
        check(&state)
    }

    /// Goes on in a new file; says which record is the first in it. What stands in the old one lasts.
    pub(super) fn turn(&self, make: impl FnOnce(u64, &dyn Folder) -> io::Result<Log>) -> Result<u64> {
        let mut state = self.state.lock();
        let mut writer = self.take_writer(&mut state)?;
        state.turning = true;
        self.lead_on(&mut state, &mut writer, Sync::Now, |_| Ok(()));
        let first = state.next;
        let made = match state.failed {
            None => MutexGuard::unlocked(&mut state, || make(first, &*writer.folder)),
            Some(_) => Err(io::Error::other("the log failed")),
        };
        let made = made.map(|log| {
            (state.salt, state.lasting, state.told) = (log.header.salt, log.bytes, log.bytes);
            state.files.push_back(LogFile { first, bytes: log.bytes });
            writer.log = log;
        });
        state.turning = false;
        state.writer = Some(writer);
        self.changed.notify_all();
        check(&state)?;
        made.map(|()| first).map_err(|cause| Error::new(Status::Io, format!("making a new log file: {cause}")))
    }

    /// Forgets the files whose records are all in a snapshot; says with which record the oldest begins that is left.
    pub(super) fn retire(&self, snapshot: u64) -> u64 {
        let mut state = self.state.lock();
        while state.files.get(1).is_some_and(|next| next.first <= snapshot + 1) {
            state.files.pop_front();
        }
        state.files.front().map_or(0, |oldest| oldest.first)
    }

    /// Makes the end last, and says so in the file, so that damage to it is told from a torn end. For when nobody writes any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        let asked = self.policy != SyncPolicy::Never;
        // Whoever logged has been answered; nobody is left who could be told of an error.
        if let Ok(writer) = self.take_writer(&mut state) {
            let behind = asked && state.durable < state.written;
            self.lead(&mut state, writer, if behind { Sync::Now } else { Sync::No }, |_| Ok(()));
        }
        if state.lasting > state.told {
            mark(&mut state);
            if let Ok(writer) = self.take_writer(&mut state) {
                self.lead(&mut state, writer, if asked { Sync::Now } else { Sync::No }, |_| Ok(()));
            }
        }
    }

    /// Waits until a record is as durable as the policy asks, leading if nobody does.
    fn settle(&self, state: &mut MutexGuard<'_, State>, number: u64) -> Result<()> {
        loop {
            check(state)?;
            let reached = if self.policy == SyncPolicy::Commit { state.durable } else { state.written };
            if reached >= number {
                return Ok(());
            }
            match state.writer.take() {
                Some(writer) => {
                    self.gather(state);
                    self.lead(state, writer, Sync::ByPolicy, |_| Ok(()));
                }
                None => self.changed.wait(state),
            }
        }
    }

    /// Takes the right to lead.
    fn take_writer(&self, state: &mut MutexGuard<'_, State>) -> Result<Writer> {
        loop {
            check(state)?;
            match state.writer.take() {
                Some(writer) => return Ok(writer),
                None => self.changed.wait(state),
            }
        }
    }

    /// Gives others a moment to come.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        if self.policy != SyncPolicy::Commit {
            return;
        }
        let until = Instant::now() + (state.sync_time / PATIENCE).min(MOST_PATIENCE);
        while state.buffered < state.expected {
            if self.gathered.wait_until(state, until).timed_out() {
                return;
            }
        }
    }

    /// Leads once and lets others lead.
    fn lead(
        &self,
        state: &mut MutexGuard<'_, State>,
        mut writer: Writer,
        sync: Sync,
        more: impl FnOnce(&mut Writer) -> io::Result<()>,
    ) {
        self.lead_on(state, &mut writer, sync, more);
        state.writer = Some(writer);
        self.changed.notify_all();
    }

    /// Writes the buffer, then what `more` writes, and syncs. On an error the log has failed for good: what the file holds now is
    /// not known, and after a failed sync a second one could succeed without the data.
    fn lead_on(
        &self,
        state: &mut MutexGuard<'_, State>,
        writer: &mut Writer,
        sync: Sync,
        more: impl FnOnce(&mut Writer) -> io::Result<()>,
    ) {
        if state.lasting > state.told && state.buffered > 0 {
            // These records were made before the last sync was done. Without a word of it, damage to what was synced would look
            // like a torn end.
            mark(state);
        }
        let spare = std::mem::take(&mut state.spare);
        let mut buffer = std::mem::replace(&mut state.buffer, spare);
        let (upto, count) = (state.next - 1, std::mem::take(&mut state.buffered));
        let due = match (sync, self.policy) {
            (Sync::No, _) | (Sync::ByPolicy, SyncPolicy::Never) => false,
            (Sync::Now, _) | (Sync::ByPolicy, SyncPolicy::Commit) => true,
            (Sync::ByPolicy, SyncPolicy::Interval) => state.synced_at.elapsed() >= self.interval,
        };
        let mut sync_time = Duration::ZERO;
        let done = MutexGuard::unlocked(state, || {
            writer.log.append(&buffer)?;
            more(writer)?;
            if due {
                let began = Instant::now();
                writer.log.file.sync()?;
                sync_time = began.elapsed();
            }
            Ok(())
        });
        if let Err(cause) = done {
            let cause: io::Error = cause;
            state.failed = Some(format!("the log {} could not be written: {cause}", writer.log.path.display()));
            return;
        }
        state.written = upto;
        if due {
            (state.durable, state.lasting) = (upto, writer.log.bytes);
            (state.sync_time, state.synced_at) = (sync_time, Instant::now());
            state.syncs += 1;
            // Those that came meanwhile, and those that go now and may come back.
            state.expected = count + state.buffered;
        }
        if let Some(file) = state.files.back_mut() {
            file.bytes = writer.log.bytes;
        }
        buffer.clear();
        if buffer.capacity() <= KEEP_BUFFER {
            state.spare = buffer;
        }
    }
}

/// Appends a record that says up to where the file lasts, for which there may be no memory.
fn mark(state: &mut State) {
    if state.buffer.try_reserve(RECORD_HEADER).is_ok() {
        let head = Head { kind: Kind::Mark, part: Part::Last, number: state.next, lasting: state.lasting };
        encode(&mut state.buffer, state.salt, head, |_| ());
        state.told = state.lasting;
    }
}

fn check(state: &State) -> Result<()> {
    match &state.failed {
        None => Ok(()),
        Some(why) => Err(Error::new(Status::Io, why.as_str())),
    }
}
