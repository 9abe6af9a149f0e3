//! Which log would somebody write who wants the reader to fail? Samples, mutations that keep the checksums right, and the judge that
//! every outcome must satisfy. Used by the tests and by the fuzz target; not part of a normal build.

use super::files::{Files, log_name};
use super::record::{FILE_HEADER, FileHeader, Head, Kind, Part, RECORD_HEADER, Shape, encode};
use super::recover::{Change, recover};
use crate::disk::Disk;
use crate::disk::simulated::{Random, Simulated};
use crate::util::error::{Result, Status};
use std::path::Path;

const PLACE: &str = "/log";
const SHAPE: Shape = Shape { dimensions: 4, element: 4, metric: 0, vector_bytes: 4 };
const SALT: u64 = 0x5a17;

/// A log of a few records of every kind, one of them in parts.
pub(crate) fn sample() -> Vec<u8> {
    let mut bytes = FileHeader { first: 1, salt: SALT }.encode(&SHAPE).to_vec();
    let kinds = [Kind::Put, Kind::Put, Kind::Remove, Kind::Mark, Kind::Put, Kind::Put, Kind::Clear, Kind::Put];
    let mut number = 1;
    for (i, kind) in kinds.into_iter().enumerate() {
        let part = if i == 4 { Part::More } else { Part::Last };
        let head = Head { kind, part, number, lasting: if i < 6 { bytes.len() as u64 } else { 0 } };
        let each = [12, 8, 0, 0][kind as usize - 1];
        encode(&mut bytes, SALT, head, |out| out.extend((0..each * (1 + i % 3)).map(|byte| byte as u8)));
        number += u64::from(kind != Kind::Mark);
    }
    bytes
}

/// Makes the checksums of the header, and of the records as far as they can be found, fit.
pub(crate) fn fix_checksums(bytes: &mut [u8]) {
    if bytes.len() < FILE_HEADER {
        return;
    }
    let header = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&header.to_le_bytes());
    let salt = crc32c::crc32c(&bytes[24..32]);
    let mut at = FILE_HEADER;
    while let Some(record) = bytes.get_mut(at..).filter(|rest| rest.len() >= RECORD_HEADER) {
        let payload = u32::from_le_bytes([record[24], record[25], record[26], record[27]]) as usize;
        let length = (RECORD_HEADER + payload).next_multiple_of(8);
        let Some(record) = record.get_mut(..length) else { return };
        let checksum = crc32c::crc32c_append(salt, &record[4..]);
        record[..4].copy_from_slice(&checksum.to_le_bytes());
        at += length;
    }
}

/// Changes a log in one to four ways; in most cases with checksums that fit.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1));
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.resize(bytes.len() + random.below(200), random.next() as u8),
            2 if at + 8 <= bytes.len() => {
                let from = random.below(bytes.len() - 7);
                bytes.copy_within(from..from + 8, at);
            }
            3 if at + 4 <= bytes.len() => {
                let edge = [0, 1, 4, 0x7fff_ffff, 0x8000_0001, u32::MAX, 1 << 20][random.below(7)];
                bytes[at / 4 * 4..][..4].copy_from_slice(&u32::to_le_bytes(edge));
            }
            4 if at + 40 <= bytes.len() => {
                // A record twice, or one less.
                let piece = bytes[at / 8 * 8..][..32].to_vec();
                bytes.splice(at / 8 * 8..at / 8 * 8 + random.below(2) * 32, piece);
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
    if random.below(4) > 0 {
        fix_checksums(bytes);
    }
}

/// Reads the bytes as the only log behind a snapshot; panics if anything is not as it must be. Says whether they were believed.
pub(crate) fn judge(bytes: &[u8], snapshot: u64) -> bool {
    let disk = Simulated::with_root(Path::new(PLACE));
    let name = Path::new(PLACE).join(log_name(1));
    disk.create(&name).and_then(|mut file| file.append(bytes)).expect("a file of the simulated disk");
    match read(&disk, snapshot) {
        Ok((changes, cut)) => {
            assert!(cut as usize <= bytes.len());
            // What was cut is gone, and the rest is as it was.
            assert!(read(&disk, snapshot).expect("what was read once") == (changes, 0));
            true
        }
        Err(error) => {
            assert!(matches!(error.status(), Status::Corrupt | Status::Version), "{error:?}");
            assert!(error.text().contains("log"), "{error}");
            false
        }
    }
}

/// The changes that a log holds, and what was cut off.
fn read(disk: &Simulated, snapshot: u64) -> Result<(Vec<String>, u64)> {
    let mut changes = Vec::new();
    let mut note = |change: Change<'_>| {
        if let Change::Put { keys, vectors } = change {
            assert_eq!(keys.len() / 8 * SHAPE.vector_bytes, vectors.len());
        }
        changes.push(format!("{change:?}"));
        Ok(())
    };
    let files = Files { snapshots: vec![snapshot], logs: vec![1] };
    let found = recover(disk, Path::new(PLACE), &files, snapshot, &SHAPE, &mut note)?;
    assert_eq!(found.replayed, changes.len() as u64);
    assert!(found.standing.next > snapshot);
    Ok((changes, found.cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_a_log_or_an_error() {
        assert!(judge(&sample(), 0) && judge(&sample(), 7) && !judge(&sample(), 8));
        let (mut believed, mut random) = (0, Random(1));
        for _ in 0..6000 {
            let mut bytes = sample();
            mutate(&mut bytes, &mut random);
            believed += u32::from(judge(&bytes, random.below(9) as u64));
        }
        assert!((500..5500).contains(&believed), "{believed} of 6000 mutations were believed");
        for _ in 0..500 {
            let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
            assert!(!judge(&bytes, 0));
        }
    }
}
