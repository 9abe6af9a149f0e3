//! Who may change which keys now? Changes of one key take turns.
//!
//! A change that is logged is not yet seen, and its record is durable before it is. So that the log tells the changes of each key in
//! the order in which they were seen, a key has one change at a time, from before the index looks at it to after the change was
//! published. Changes of different keys know nothing of each other.

use crate::util::error::{Error, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::HashSet;

/// Keys that a change wants for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keys<'a> {
    One(u64),
    Many(&'a [u64]),
    All,
}

#[derive(Debug, Default)]
struct Taken {
    one: HashSet<u64>,
    many: Vec<(u64, HashSet<u64>)>,
    all: bool,
    /// Changes that wait for all keys.
    waiting: usize,
    /// Names those in `many`.
    next: u64,
}

/// The keys that are being changed.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<Taken>,
    given: Condvar,
}

/// The right to change some keys, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    turns: &'a Turns,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    One(u64),
    Many(u64),
    All,
}

impl Turns {
    /// Waits until nobody else changes these keys.
    pub(crate) fn take(&self, keys: Keys<'_>) -> Result<Held<'_>> {
        let what = match keys {
            Keys::One(key) => self.take_one(key),
            Keys::Many(keys) => self.take_many(keys)?,
            Keys::All => self.take_all(),
        };
        Ok(Held { turns: self, what })
    }

    fn take_one(&self, key: u64) -> What {
        let mut taken = self.taken.lock();
        while taken.is_closed() || taken.has(key) {
            self.given.wait(&mut taken);
        }
        taken.one.insert(key);
        What::One(key)
    }

    fn take_many(&self, all: &[u64]) -> Result<What> {
        let mut keys = HashSet::new();
        keys.try_reserve(all.len()).map_err(|_| Error::memory(all.len().saturating_mul(16)))?;
        keys.extend(all.iter().copied());
        let mut taken = self.taken.lock();
        while taken.is_closed() || taken.has_any(&keys) {
            self.given.wait(&mut taken);
        }
        let name = taken.next;
        taken.next += 1;
        taken.many.push((name, keys));
        Ok(What::Many(name))
    }

    fn take_all(&self) -> What {
        let mut taken = self.taken.lock();
        taken.waiting += 1;
        while taken.all || !taken.one.is_empty() || !taken.many.is_empty() {
            self.given.wait(&mut taken);
        }
        taken.waiting -= 1;
        taken.all = true;
        What::All
    }
}

impl Taken {
    /// Whether nobody may begin: all keys are taken, or somebody waits for that and only short changes are in the way.
    fn is_closed(&self) -> bool {
        self.all || (self.waiting > 0 && self.many.is_empty())
    }

    fn has(&self, key: u64) -> bool {
        self.one.contains(&key) || self.many.iter().any(|(_, keys)| keys.contains(&key))
    }

    fn has_any(&self, keys: &HashSet<u64>) -> bool {
        let meet = |other: &HashSet<u64>| {
            let (few, many) = if other.len() < keys.len() { (other, keys) } else { (keys, other) };
            few.iter().any(|key| many.contains(key))
        };
        meet(&self.one) || self.many.iter().any(|(_, other)| meet(other))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut taken: MutexGuard<'_, Taken> = self.turns.taken.lock();
        match self.what {
            What::One(key) => {
                taken.one.remove(&key);
            }
            What::Many(name) => taken.many.retain(|(other, _)| *other != name),
            What::All => taken.all = false,
        }
        drop(taken);
        self.turns.given.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn whoever_shares_a_key_is_never_inside_together() {
        let (turns, inside) = (Turns::default(), [const { AtomicU32::new(0) }; 8]);
        let enter = |keys: &[u64]| {
            keys.iter().for_each(|&key| assert_eq!(inside[key as usize].fetch_add(1, Ordering::SeqCst), 0));
            std::thread::yield_now();
            keys.iter().for_each(|&key| assert_eq!(inside[key as usize].fetch_sub(1, Ordering::SeqCst), 1));
        };
        std::thread::scope(|scope| {
            for thread in 0..6u64 {
                let (turns, enter) = (&turns, &enter);
                scope.spawn(move || {
                    for step in 0..2000 {
                        let key = (step * 5 + thread) % 8;
                        match (step + thread) % 11 {
                            0 => {
                                let _held = turns.take(Keys::All).unwrap();
                                enter(&[0, 1, 2, 3, 4, 5, 6, 7]);
                            }
                            1..4 => {
                                let keys = [key, (key + 3) % 8, key];
                                let _held = turns.take(Keys::Many(&keys)).unwrap();
                                enter(&keys[..2]);
                            }
                            _ => {
                                let _held = turns.take(Keys::One(key)).unwrap();
                                enter(&[key]);
                            }
                        }
                    }
                });
            }
        });
        let taken = turns.taken.lock();
        assert!(taken.one.is_empty() && taken.many.is_empty() && !taken.all && taken.waiting == 0);
    }
}
