//! Opening, closing and describing a durable directory.

use super::*;
use crate::index::SyncPolicy;
use crate::journal::Keys;
use crate::util::error::Status;

fn names(disk: &Simulated) -> Vec<String> {
    use crate::disk::Disk;
    let mut names = disk.list(Path::new(PLACE)).unwrap();
    names.sort();
    names
}

fn disk() -> Simulated {
    Simulated::with_root(Path::new(ROOT))
}

#[test]
fn what_was_there_is_there_again_and_the_log_says_how_far_it_got() {
    let (disk, log) = (disk(), LogOptions { threads: 1, ..LogOptions::default() });
    let index = open(&disk, Kind::Graph, &log).unwrap();
    (0..100).for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    index.remove(7).unwrap();
    let info = index.log_info().unwrap();
    assert_eq!((info.last, info.durable, info.checkpoint, info.replayed, info.cut_bytes), (101, 101, 0, 0, 0));
    let before = content(&index);
    drop(index);
    let index = open(&disk, Kind::Auto, &log).unwrap();
    assert_eq!(content(&index), before);
    let info = index.log_info().unwrap();
    assert_eq!((info.last, info.replayed, info.cut_bytes, info.checkpoint), (101, 101, 0, 0));
    index.checkpoint().unwrap();
    assert_eq!(names(&disk), ["log-0000000000000066.kithlog", "snapshot-0000000000000065.kith"]);
    index.upsert(3, &vector(9)).unwrap();
    let info = index.log_info().unwrap();
    assert_eq!((info.last, info.checkpoint, info.checkpoints, info.failed_checkpoints), (102, 101, 1, 0));
    let before = content(&index);
    drop(index);
    let index = open(&disk, Kind::Graph, &log).unwrap();
    assert_eq!((content(&index), index.log_info().unwrap().replayed), (before, 1));
}

#[test]
fn a_directory_has_one_owner() {
    let (disk, log) = (disk(), LogOptions::default());
    let index = open(&disk, Kind::Flat, &log).unwrap();
    let error = open(&disk, Kind::Flat, &log).unwrap_err();
    assert_eq!(error.status(), Status::Busy);
    assert!(error.text().contains("open already"), "{error}");
    drop(index);
    open(&disk, Kind::Flat, &log).unwrap();
}

#[test]
fn options_must_fit_the_index_that_is_there() {
    let (disk, log) = (disk(), LogOptions::default());
    let open = |options: Option<Options>| {
        Index::open_directory_on(Arc::new(disk.clone()), Path::new(PLACE), options.as_ref(), &log)
    };
    let fitting = options(Kind::Flat);
    assert_eq!(open(None).unwrap_err().status(), Status::Io);
    drop(open(Some(fitting.clone())).unwrap());
    drop(open(None).unwrap());
    drop(open(Some(Options { kind: Kind::Auto, m: 0, seed: 9, ..fitting.clone() })).unwrap());
    for other in [
        Options { dimensions: 5, ..fitting.clone() },
        Options { kind: Kind::Graph, ..fitting.clone() },
        Options { metric: crate::distance::Metric::L1, ..fitting.clone() },
        Options { element: crate::distance::Element::U8, ..fitting },
    ] {
        let error = open(Some(other)).unwrap_err();
        assert_eq!(error.status(), Status::Argument);
        assert!(error.text().contains("the index in /disk/index has 4, L2, f32, Flat"), "{error}");
    }
}

/// A log of 20 inserts, and where the last record but one begins.
fn written(sync: SyncPolicy) -> (Simulated, LogOptions, std::path::PathBuf, usize) {
    let (disk, log) = (disk(), LogOptions { sync, threads: 1, ..LogOptions::default() });
    let index = open(&disk, Kind::Flat, &log).unwrap();
    (0..20).for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    drop(index);
    let path = Path::new(PLACE).join("log-0000000000000001.kithlog");
    (disk.settled(), log, path, 64 + 18 * 56)
}

#[test]
fn a_torn_end_is_cut_and_damage_in_the_middle_is_refused() {
    let (disk, log, path, record) = written(SyncPolicy::Commit);
    // Every byte of the log that was closed is known to last.
    for at in [0, 10, 59, 64, 65, 80, 300, record, record + 40] {
        let disk = disk.settled();
        disk.damage(&path, |bytes| bytes[at] ^= 0x10);
        let error = open(&disk, Kind::Flat, &log).unwrap_err();
        assert!([Status::Corrupt, Status::Version].contains(&error.status()), "{at}: {error}");
        assert!(error.text().contains("log-0000000000000001.kithlog"), "{error}");
    }
    // Without the mark that closes it, and without later records, the end is where a crash may have cut.
    for (cut, left) in [(record, 18), (record + 5, 18), (record + 56, 19), (record + 111, 19)] {
        let disk = disk.settled();
        disk.damage(&path, |bytes| bytes.truncate(cut));
        let index = open(&disk, Kind::Flat, &log).unwrap();
        let info = index.log_info().unwrap();
        assert_eq!((index.describe().count, info.last), (left, left), "{cut}");
        assert_eq!(info.cut_bytes, (cut - (64 + left as usize * 56)) as u64);
        index.insert(1000, &vector(1)).unwrap();
        drop(index);
        let index = open(&disk, Kind::Flat, &log).unwrap();
        assert_eq!((index.describe().count, index.log_info().unwrap().cut_bytes), (left + 1, 0));
    }
}

#[test]
fn what_never_lasted_is_cut_wherever_it_is_torn() {
    let (disk, log, path, _) = written(SyncPolicy::Never);
    disk.damage(&path, |bytes| bytes[64 + 5 * 56 + 40] ^= 1);
    let index = open(&disk, Kind::Flat, &log).unwrap();
    assert_eq!((index.describe().count, index.log_info().unwrap().replayed), (5, 5));
}

#[test]
fn missing_files_are_damage() {
    use crate::disk::Disk;
    let (disk, log) = (disk(), LogOptions { threads: 1, ..LogOptions::default() });
    let index = open(&disk, Kind::Flat, &log).unwrap();
    (0..20).for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    index.checkpoint().unwrap();
    (20..40).for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    drop(index);
    let names = names(&disk);
    assert_eq!(names.len(), 2);
    for name in names {
        let disk = disk.settled();
        disk.remove(&Path::new(PLACE).join(&name)).unwrap();
        let error = open(&disk, Kind::Flat, &log).unwrap_err();
        assert_eq!(error.status(), Status::Corrupt, "without {name}: {error}");
    }
}

#[test]
fn a_checkpoint_takes_its_turns_beside_the_changes_that_pay_for_it() {
    let disk = disk();
    let log = LogOptions { threads: 1, checkpoint_bytes: 40_000, ..LogOptions::default() };
    let index = open(&disk, Kind::Graph, &log).unwrap();
    let mut model = Model::new();
    for i in 0..6000u32 {
        let key = u64::from(i % 2500);
        index.upsert(key, &vector(i)).unwrap();
        model.insert(key, i);
        if i == 3000 {
            index.clear().unwrap();
            model.clear();
        }
    }
    let info = index.log_info().unwrap();
    assert!(info.checkpoints >= 2 && info.failed_checkpoints == 0, "{info:?}");
    assert!(info.log_bytes < 400_000, "{info:?}");
    assert!(names(&disk).len() <= 4, "{:?}", names(&disk));
    assert!(holds(&index, &model));
    drop(index);
    assert!(holds(&open(&disk, Kind::Graph, &log).unwrap(), &model));
    // A checkpoint may have been under way, which has left a second log and nothing else.
    assert!(names(&disk).len() <= 3 && names(&disk).iter().all(|name| !name.starts_with('.')), "{:?}", names(&disk));
}

#[test]
fn a_change_that_is_logged_and_not_seen_yet_outlives_a_checkpoint() {
    let (disk, log) = (disk(), busy());
    let index = open(&disk, Kind::Flat, &log).unwrap();
    (0..10).for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    let (mut turn, late) = (index.turn(Keys::One(50)).unwrap(), vector(50));
    turn.put(&[50], |_, out| out.extend_from_slice(&late)).unwrap();
    // Its record lasts, so its caller may be answered at any moment; the snapshot cannot have it.
    (10..20).for_each(|key| index.insert(key, &vector(key as u32)).unwrap());
    index.checkpoint().unwrap();
    assert!(!index.contains(50).unwrap());
    let found = content(&open(&disk.crash(disk.calls(), &mut Random(1)), Kind::Flat, &log).unwrap());
    assert_eq!((found.len(), found.get(&50)), (21, Some(&late)));
}

/// Threads that fight for the same keys: the log must tell of their changes in the order in which they took place.
#[test]
fn the_log_agrees_with_what_was_seen_whoever_was_first() {
    for (seed, kind) in (0..30).zip([Kind::Flat, Kind::Graph].into_iter().cycle()) {
        let disk = disk();
        let index = open(&disk, kind, &busy()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let index = &index;
                scope.spawn(move || {
                    let mut random = Random(seed << 8 | thread);
                    for i in 0..60 {
                        let (key, of) = (random.below(3) as u64, (thread as u32) << 10 | i);
                        let step = match random.below(20) {
                            0..8 => Step::Upsert(key, of),
                            8..12 => Step::Insert(key, of),
                            12..16 => Step::Remove(key),
                            16..19 => Step::Batch(vec![(key, of), (7, of)]),
                            _ => Step::Clear,
                        };
                        step.run(index).unwrap();
                    }
                });
            }
        });
        let before = content(&index);
        drop(index);
        assert_eq!(content(&open(&disk, kind, &busy()).unwrap()), before);
    }
}

#[test]
fn calls_for_a_log_are_refused_where_there_is_none() {
    let index = Index::create(&options(Kind::Flat)).unwrap();
    for refused in [index.log_info().map(drop), index.sync_log(), index.checkpoint()] {
        assert_eq!(refused.unwrap_err().status(), Status::Argument);
    }
}
