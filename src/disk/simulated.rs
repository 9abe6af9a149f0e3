//! A disk that keeps its word and nothing more, for tests.
//!
//! It notes every call. From the calls up to any of them it makes *crash images*: disks as a power loss at that moment may leave them.
//! Of what was not synced an image keeps any sectors, in any combination, some of them torn; of names that were not synced any
//! changes; what was synced is there. The n-th call can be made to fail: then a write may have been done in part, and what a failed
//! sync should have made last may be lost even if a later one succeeds, as the kernel forgets that the pages are dirty.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use super::{Disk, File, Folder, Lock, Source};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that a disk writes whole, or tears.
const SECTOR: usize = 512;

/// Numbers that look random and are the same on every run (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// A call that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    CreateFolder(PathBuf),
    Create(PathBuf, usize),
    Append(usize, Vec<u8>),
    Truncate(usize, u64),
    Sync(usize),
    /// A sync that failed.
    Lose(usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One call fails.
    Once,
    /// That call and all after it fail.
    ForGood,
}

#[derive(Debug, Default)]
struct Inner {
    folders: Vec<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
    /// What was there at the beginning, and lasts.
    first: Image,
    calls: Vec<Call>,
    /// Calls asked for, those that failed among them.
    asked: usize,
    fault: Option<(usize, Fault)>,
    locked: Vec<PathBuf>,
}

/// A file system as it was at one moment.
#[derive(Clone, Debug, Default)]
struct Image {
    folders: Vec<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
}

/// A simulated disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Simulated(Arc<Mutex<Inner>>);

impl Simulated {
    /// A disk with one directory that lasts.
    pub(crate) fn with_root(root: &Path) -> Self {
        Self::of(Image { folders: vec![root.to_owned()], ..Image::default() })
    }

    fn of(image: Image) -> Self {
        let Image { folders, names, files } = image.clone();
        Self(Arc::new(Mutex::new(Inner { folders, names, files, first: image, ..Inner::default() })))
    }

    /// The n-th call from now on (0 is the next) fails.
    pub(crate) fn fail(&self, n: usize, fault: Fault) {
        let mut inner = self.0.lock();
        inner.fault = Some((inner.asked + n, fault));
    }

    /// Calls asked for so far, those that failed among them.
    pub(crate) fn asked(&self) -> usize {
        self.0.lock().asked
    }

    /// Changes made so far.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().calls.len()
    }

    /// The same disk without its past: everything lasts.
    pub(crate) fn settled(&self) -> Self {
        let inner = self.0.lock();
        let (folders, names, files) = (inner.folders.clone(), inner.names.clone(), inner.files.clone());
        drop(inner);
        Self::of(Image { folders, names, files })
    }

    /// Changes a byte of a file.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.0.lock();
        let file = inner.names[path];
        change(&mut inner.files[file]);
    }

    /// A disk as a power loss after the first `calls` changes may leave it.
    pub(crate) fn crash(&self, calls: usize, random: &mut Random) -> Self {
        let inner = self.0.lock();
        let mut image = inner.first.clone();
        let mut files: Vec<Unsynced> = image.files.drain(..).map(Unsynced::of).collect();
        let mut loose: Vec<&Call> = Vec::new();
        // Some images keep most, some little.
        let keep = [0, 10, 50, 90, 100][random.below(5)];
        for call in &inner.calls[..calls] {
            match call {
                Call::Create(_, file) => {
                    files.resize_with(files.len().max(file + 1), Unsynced::default);
                    loose.push(call);
                }
                Call::CreateFolder(_) | Call::Rename(..) | Call::Remove(_) => loose.push(call),
                Call::Append(file, bytes) => files[*file].append(bytes),
                Call::Truncate(file, bytes) => files[*file].truncate(*bytes),
                Call::Sync(file) => files[*file].sync(),
                Call::Lose(file) => files[*file].lose(),
                Call::SyncFolder(folder) => {
                    let (last, rest): (Vec<_>, Vec<_>) = loose.into_iter().partition(|call| call.folder() == folder);
                    last.into_iter().for_each(|call| image.apply(call));
                    loose = rest;
                }
            }
        }
        loose.into_iter().filter(|_| random.below(100) < keep).for_each(|call| image.apply(call));
        image.files = files.iter().map(|file| file.left(keep, random)).collect();
        // A directory that did not last takes what is in it along.
        let Image { folders, names, .. } = &mut image;
        names.retain(|path, _| path.parent().is_some_and(|folder| folders.iter().any(|other| other == folder)));
        drop(inner);
        Self::of(image)
    }

    fn call(&self, call: impl FnOnce(&mut Inner) -> io::Result<Option<Call>>) -> io::Result<()> {
        self.call_or(call, |_| None)
    }

    /// Makes a call, or fails as asked; then `part` says what was done nevertheless.
    fn call_or(
        &self,
        call: impl FnOnce(&mut Inner) -> io::Result<Option<Call>>,
        part: impl FnOnce(&mut Inner) -> Option<Call>,
    ) -> io::Result<()> {
        let mut inner = self.0.lock();
        let number = inner.asked;
        inner.asked += 1;
        let fails = inner.fault.is_some_and(|(at, fault)| number == at || (fault == Fault::ForGood && number > at));
        let done = if fails { part(&mut inner) } else { call(&mut inner)? };
        inner.calls.extend(done);
        if fails { Err(io::Error::other("the simulated disk fails")) } else { Ok(()) }
    }
}

impl Call {
    /// The directory whose names it changes.
    fn folder(&self) -> &Path {
        match self {
            Self::CreateFolder(path) | Self::Create(path, _) | Self::Rename(_, path, _) | Self::Remove(path) => {
                path.parent().unwrap_or(Path::new(""))
            }
            _ => Path::new(""),
        }
    }
}

impl Image {
    fn apply(&mut self, call: &Call) {
        match call {
            Call::CreateFolder(path) => self.folders.push(path.clone()),
            Call::Create(path, file) => drop(self.names.insert(path.clone(), *file)),
            Call::Rename(from, to, file) => {
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            Call::Remove(path) => drop(self.names.remove(path)),
            _ => unreachable!("not a change of names"),
        }
    }
}

/// A file and what was done to it since it was synced.
#[derive(Debug, Default)]
struct Unsynced {
    lasting: Vec<u8>,
    now: Vec<u8>,
    /// Offset and bytes; a cut where the bytes are missing.
    writes: Vec<(usize, Option<Vec<u8>>)>,
    /// Writes from here on are made to last by the next sync.
    lost: usize,
}

impl Unsynced {
    fn of(bytes: Vec<u8>) -> Self {
        Self { lasting: bytes.clone(), now: bytes, ..Self::default() }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.writes.push((self.now.len(), Some(bytes.to_vec())));
        self.now.extend_from_slice(bytes);
    }

    fn truncate(&mut self, bytes: u64) {
        self.now.truncate(bytes as usize);
        self.writes.push((bytes as usize, None));
    }

    fn sync(&mut self) {
        let lasting = self.writes.split_off(self.lost);
        if self.lost == 0 {
            self.lasting.clone_from(&self.now);
            return;
        }
        for (offset, bytes) in lasting {
            put(&mut self.lasting, offset, bytes.as_deref());
        }
    }

    fn lose(&mut self) {
        self.lost = self.writes.len();
    }

    /// What a power loss may leave, each sector with a chance of `keep` in a hundred.
    fn left(&self, keep: usize, random: &mut Random) -> Vec<u8> {
        let mut left = self.lasting.clone();
        for (offset, bytes) in &self.writes {
            let Some(bytes) = bytes else {
                if random.below(100) < keep {
                    left.truncate(*offset);
                }
                continue;
            };
            let mut at = 0;
            while at < bytes.len() {
                let end = (at + SECTOR - (offset + at) % SECTOR).min(bytes.len());
                match random.below(100) {
                    luck if luck < keep => put(&mut left, offset + at, Some(&bytes[at..end])),
                    luck if luck % 4 == 0 => {
                        let torn = at + random.below(end - at);
                        put(&mut left, offset + at, Some(&bytes[at..torn]));
                    }
                    _ => {}
                }
                at = end;
            }
        }
        // The length may last without the content.
        if left.len() < self.now.len() && random.below(4) == 0 {
            left.resize(self.now.len(), 0);
        }
        left
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return file.truncate(offset) };
    file.resize(file.len().max(offset + bytes.len()), 0);
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
}

#[derive(Debug)]
struct Handle {
    disk: Simulated,
    file: usize,
}

#[derive(Debug)]
struct FolderHandle {
    disk: Simulated,
    path: PathBuf,
}

/// Unlocks when it is dropped.
struct Locked(Simulated, PathBuf);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.0.lock().locked.retain(|path| *path != self.1);
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Simulated {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.call(|inner| {
            if inner.folders.iter().any(|folder| folder == path) {
                return Ok(None);
            }
            inner.folders.push(path.to_owned());
            Ok(Some(Call::CreateFolder(path.to_owned())))
        })
    }

    fn folder(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        self.call(|inner| inner.folders.iter().any(|folder| folder == path).then_some(None).ok_or_else(missing))?;
        Ok(Box::new(FolderHandle { disk: self.clone(), path: path.to_owned() }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.call(|_| Ok(None))?;
        let inner = self.0.lock();
        let names = inner.names.keys().filter(|name| name.parent() == Some(path));
        Ok(names.map(|name| name.file_name().expect("a name").to_string_lossy().into_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut file = 0;
        self.call(|inner| {
            if inner.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if !inner.folders.iter().any(|folder| path.parent() == Some(folder)) {
                return Err(missing());
            }
            file = inner.files.len();
            inner.files.push(Vec::new());
            inner.names.insert(path.to_owned(), file);
            Ok(Some(Call::Create(path.to_owned(), file)))
        })?;
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.call(|_| Ok(None))?;
        let file = *self.0.lock().names.get(path).ok_or_else(missing)?;
        Ok(Box::new(Handle { disk: self.clone(), file }))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        self.call(|_| Ok(None))?;
        let inner = self.0.lock();
        let file = *inner.names.get(path).ok_or_else(missing)?;
        Ok(Box::new(inner.files[file].clone()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|inner| {
            let file = inner.names.remove(from).ok_or_else(missing)?;
            inner.names.insert(to.to_owned(), file);
            Ok(Some(Call::Rename(from.to_owned(), to.to_owned(), file)))
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|inner| {
            inner.names.remove(path).ok_or_else(missing)?;
            Ok(Some(Call::Remove(path.to_owned())))
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.call(|inner| {
            let there = inner.folders.iter().any(|folder| path.parent() == Some(folder));
            there.then_some(None).ok_or_else(missing)
        })?;
        let mut inner = self.0.lock();
        if inner.locked.iter().any(|locked| locked == path) {
            return Ok(None);
        }
        inner.locked.push(path.to_owned());
        Ok(Some(Box::new(Locked(self.clone(), path.to_owned()))))
    }
}

impl File for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file;
        let write = |inner: &mut Inner, bytes: &[u8]| {
            inner.files[file].extend_from_slice(bytes);
            Call::Append(file, bytes.to_vec())
        };
        // Half of a write that fails is done.
        let half = &bytes[..bytes.len() / 2];
        self.disk.call_or(|inner| Ok(Some(write(inner, bytes))), |inner| Some(write(inner, half)))
    }

    fn sync(&mut self) -> io::Result<()> {
        // A sync takes its time; others go on meanwhile.
        std::thread::yield_now();
        self.disk.call_or(|_| Ok(Some(Call::Sync(self.file))), |_| Some(Call::Lose(self.file)))
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.call(|inner| {
            inner.files[self.file].truncate(bytes as usize);
            Ok(Some(Call::Truncate(self.file, bytes)))
        })
    }
}

impl Folder for FolderHandle {
    fn sync(&self) -> io::Result<()> {
        self.disk.call(|_| Ok(Some(Call::SyncFolder(self.path.clone()))))
    }
}
