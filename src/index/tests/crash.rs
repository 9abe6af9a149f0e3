//! A power loss at any moment: is everything there that was acknowledged, and nothing that never was?

use super::*;
use crate::disk::simulated::Fault;
use crate::index::SyncPolicy;
use crate::util::error::Status;

/// Steps on one disk, and after how many changes of the disk each was acknowledged.
struct Run {
    disk: Simulated,
    /// What the index is before the first step, after it, and so on.
    states: Vec<Model>,
    /// Changes of the disk when a state was acknowledged.
    acknowledged: Vec<usize>,
}

impl Run {
    fn new(disk: Simulated, before: Model, kind: Kind, log: &LogOptions, steps: usize, random: &mut Random) -> Self {
        let index = open(&disk, kind, log).unwrap();
        assert!(holds(&index, &before));
        let mut run = Self { acknowledged: vec![disk.calls()], disk, states: vec![before] };
        for _ in 0..steps {
            let step = Step::random(random);
            step.run(&index).unwrap();
            let mut state = run.states[run.states.len() - 1].clone();
            step.apply(&mut state);
            run.states.push(state);
            run.acknowledged.push(run.disk.calls());
            if random.below(25) == 0 {
                index.checkpoint().unwrap();
            }
        }
        assert!(holds(&index, &run.states[steps]));
        run
    }

    /// The state that a crashed disk opens to.
    fn judge(&self, calls: usize, image: &Simulated, kind: Kind, log: &LogOptions) -> usize {
        let index = open(image, kind, log).unwrap_or_else(|error| panic!("after {calls} calls: {error}"));
        let acknowledged = self.acknowledged.iter().rposition(|&at| at <= calls).unwrap_or(0);
        // What was acknowledged must be there, and what was under way may be.
        let least = if log.sync == SyncPolicy::Commit { acknowledged } else { 0 };
        let most = (acknowledged + 1).min(self.states.len() - 1);
        (least..=most).rev().find(|&state| holds(&index, &self.states[state])).unwrap_or_else(|| {
            panic!("after {calls} calls, state {acknowledged}: the index holds {:?}", content(&index).keys())
        })
    }
}

fn crash_everywhere(kind: Kind, log: &LogOptions, seed: u64, rounds: usize) {
    let mut random = Random(seed);
    let (mut disk, mut before) = (Simulated::with_root(Path::new(ROOT)), Model::new());
    for _ in 0..rounds {
        let run = Run::new(disk, before, kind, log, 25, &mut random);
        let last = run.disk.calls();
        for calls in 0..=last {
            for _ in 0..2 {
                let image = run.disk.crash(calls, &mut random);
                run.judge(calls, &image, kind, log);
            }
        }
        // Goes on from one of them; the next round crashes in the middle of recovering, too.
        let calls = random.below(last + 1);
        disk = run.disk.crash(calls, &mut random);
        let state = run.judge(calls, &disk.settled(), kind, log);
        before = run.states[state].clone();
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_nothing_is_half_there() {
    for seed in 0..40 {
        crash_everywhere(Kind::Flat, &busy(), seed, 3);
    }
}

#[test]
fn a_graph_is_as_durable() {
    for seed in 100..106 {
        crash_everywhere(Kind::Graph, &busy(), seed, 2);
    }
}

#[test]
fn without_syncs_what_is_left_is_what_was_there_at_some_moment() {
    for (seed, sync) in [(200, SyncPolicy::Never), (201, SyncPolicy::Interval), (202, SyncPolicy::Never)] {
        crash_everywhere(Kind::Flat, &LogOptions { sync, interval_ms: 1, ..busy() }, seed, 3);
    }
}

/// A process that ends leaves to the system what it did not sync. The next one says that it lasts, so it must see to it.
#[test]
fn what_was_never_synced_lasts_once_it_was_replayed() {
    let (disk, log) = (Simulated::with_root(Path::new(ROOT)), LogOptions { sync: SyncPolicy::Never, ..busy() });
    let log = LogOptions { checkpoint_bytes: u64::MAX, ..log };
    let fill = |index: &Index, keys: std::ops::Range<u64>| {
        keys.for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    };
    fill(&open(&disk, Kind::Flat, &log).unwrap(), 0..20);
    let index = open(&disk, Kind::Flat, &log).unwrap();
    assert_eq!(index.log_info().unwrap().durable, 20);
    let opened = disk.calls();
    fill(&index, 20..40);
    let mut random = Random(1);
    for calls in opened..=disk.calls() {
        for _ in 0..4 {
            let found = open(&disk.crash(calls, &mut random), Kind::Flat, &log).unwrap().describe().count;
            assert!((20..=40).contains(&found), "{found}");
        }
    }
}

/// Several threads, each with keys of its own, so that they share syncs.
#[test]
fn writers_that_share_a_sync_lose_nothing() {
    for seed in 0..6 {
        let disk = Simulated::with_root(Path::new(ROOT));
        let index = open(&disk, Kind::Flat, &busy()).unwrap();
        let write = |thread: u64| {
            let keys = (0..12).map(|i| thread * 100 + i);
            keys.map(|key| {
                index.insert(key, &vector(key as u32)).unwrap();
                (key, disk.calls())
            })
            .collect::<Vec<_>>()
        };
        let acknowledged: Vec<(u64, usize)> = std::thread::scope(|scope| {
            let write = &write;
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || write(thread))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        drop(index);
        let mut random = Random(seed);
        for calls in 0..=disk.calls() {
            let found = content(&open(&disk.crash(calls, &mut random), Kind::Flat, &busy()).unwrap());
            for &(key, at) in &acknowledged {
                assert!(at > calls || found.contains_key(&key), "key {key}, acknowledged after {at} of {calls} calls");
            }
            assert!(found.iter().all(|(&key, found)| *found == vector(key as u32)));
        }
    }
}

/// Every call fails once; each run is as the one before, up to the call that fails.
#[test]
fn a_call_that_fails_loses_nothing_and_is_told() {
    for (fault, seed) in [(Fault::Once, 1), (Fault::ForGood, 1), (Fault::Once, 2), (Fault::ForGood, 3)] {
        for n in 0.. {
            let mut random = Random(seed);
            let disk = Simulated::with_root(Path::new(ROOT));
            disk.fail(n, fault);
            let (mut model, mut maybe, mut failed) = (Model::new(), None, false);
            if let Ok(index) = open(&disk, Kind::Flat, &busy()) {
                for _ in 0..30 {
                    let step = Step::random(&mut random);
                    let mut after = model.clone();
                    step.apply(&mut after);
                    match step.run(&index) {
                        Ok(()) => model = after,
                        Err(error) if error.status() == Status::Io && !failed => {
                            assert!(error.text().contains("the simulated disk fails"), "{error}");
                            (maybe, failed) = (Some(after), true);
                        }
                        Err(error) => {
                            // From the first on if a checkpoint met the fault, behind a change that is safe.
                            assert_eq!(error.status(), Status::ReadOnly, "{error}");
                            assert!(error.text().contains("could not be written"), "{error}");
                            failed = true;
                        }
                    }
                    // A failed call changes nothing that can be seen.
                    assert!(holds(&index, &model));
                }
                assert!(!failed || index.log_info().unwrap().failed);
            }
            let finished = disk.asked() <= n;
            let calls = disk.calls();
            for _ in 0..3 {
                let found = content(&open(&disk.crash(calls, &mut random), Kind::Flat, &busy()).unwrap());
                let is = |model: &Model| found == model.iter().map(|(&key, &of)| (key, vector(of))).collect();
                let text = format!("call {n} of {fault:?}: {:?} is neither {model:?} nor {maybe:?}", found.keys());
                assert!(is(&model) || maybe.as_ref().is_some_and(is), "{text}");
            }
            if finished {
                break;
            }
        }
    }
}
