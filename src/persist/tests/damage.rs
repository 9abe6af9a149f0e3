//! Every file that is not exactly what a save wrote is refused, with an error and without harm.

use super::super::header::{BLOCK, OPTIONAL, PAGE, at, get_u64, put_u32, put_u64};
use super::super::hostile::{
    Outcome, Random, Way, fix_checksums, judge, mutate, open_bytes, samples, with_optional_section, with_section,
};
use super::*;
use crate::distance::{Element, Metric};

fn load(bytes: &[u8]) -> Result<()> {
    let (_, Content { parts, .. }) =
        open_bytes(bytes, Way::Loaded, OpenFlags { one_thread: true, ..PLAIN }, &Pool::default())?;
    let epochs = Epochs::new();
    let guard = epochs.pin();
    Store::from_parts(parts, &guard).map(drop)
}

/// The error of a file after a change that its checksums know of.
pub(super) fn refusal(file: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Error {
    let mut bytes = file.to_vec();
    change(&mut bytes);
    fix_checksums(&mut bytes);
    judge(&bytes);
    load(&bytes).unwrap_err()
}

fn sample() -> Vec<u8> {
    Sample::new(Element::F32, Metric::Cosine, 3, 4).bytes(Keep::Live)
}

/// Where the table says that section number `i` begins.
pub(super) fn offset_of(file: &[u8], i: usize) -> usize {
    get_u64(file, at::SECTIONS + 64 * i + 8) as usize
}

#[test]
fn every_flipped_bit_is_found() {
    for file in [sample(), with_optional_section(&sample())] {
        load(&file).unwrap();
        let mut bytes = file.clone();
        for at in 0..file.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let error = load(&bytes).expect_err("a flipped bit");
                assert_eq!(error.status(), Status::Corrupt, "byte {at} bit {bit}: {error}");
                bytes[at] ^= 1 << bit;
            }
            // Without checksums, damage may go unseen, but never does harm.
            bytes[at] ^= 0xff;
            judge(&bytes);
            bytes[at] ^= 0xff;
        }
        load(&bytes).unwrap();
    }
}

#[test]
fn every_truncation_is_found() {
    for file in samples() {
        for length in 0..file.len() {
            let error = load(&file[..length]).expect_err("a truncated file");
            assert_eq!(error.status(), Status::Corrupt, "{length} bytes: {error}");
            if length % 64 == 0 {
                judge(&file[..length]);
            }
        }
    }
}

#[test]
fn an_appended_byte_is_found() {
    let mut file = sample();
    file.push(0);
    assert!(load(&file).unwrap_err().text().contains("appended"));
}

#[test]
fn damage_is_reported_with_section_and_offset_and_the_first_one_wins() {
    let file = Sample::new(Element::U8, Metric::L2, 4096, 3000).bytes(Keep::Live);
    let mut bytes = file;
    let second = PAGE + BLOCK + 77;
    for at in [second, second + 3 * BLOCK, second + 7 * BLOCK] {
        bytes[at] ^= 4;
    }
    let stated = format!("offset {} ", PAGE + BLOCK);
    for way in Way::ALL {
        for _ in 0..10 {
            let error = open_bytes(&bytes, way, PLAIN, &Pool::default()).unwrap_err();
            assert!(error.text().contains("section vectors") && error.text().contains(&stated), "{error}");
        }
    }
}

#[test]
fn hostile_headers_with_right_checksums_are_refused() {
    type Change = fn(&mut Vec<u8>);
    let cases: &[(&str, Status, Change)] = &[
        ("not a kith file", Status::Corrupt, |file| file[0] = b'P'),
        ("format 11", Status::Version, |file| put_u32(file, at::FORMAT, 11)),
        ("an index of this kind has 8", Status::Corrupt, |file| {
            put_u32(file, at::KIND, 0);
            put_u64(file, at::GRAPH_FROM, 5000);
        }),
        ("a graph from the start", Status::Corrupt, |file| {
            put_u32(file, at::FORMAT, 8);
            put_u32(file, at::KIND, 0);
            put_u64(file, at::GRAPH_FROM, 1);
        }),
        ("a graph from the start", Status::Corrupt, |file| {
            put_u32(file, at::FORMAT, 8);
            put_u32(file, at::KIND, 0);
            put_u32(file, at::QUANTIZER, 3);
        }),
        ("graph_from is 5000", Status::Corrupt, |file| put_u64(file, at::GRAPH_FROM, 5000)),
        ("format 4, an index of this kind has 1", Status::Corrupt, |file| put_u32(file, at::FORMAT, 4)),
        ("held as element 5", Status::Corrupt, |file| put_u32(file, at::HELD, 5)),
        ("format 1, an index of this kind has 10", Status::Corrupt, |file| put_u32(file, at::HELD, 2)),
        ("held is f16 with element u8", Status::Corrupt, |file| {
            put_u32(file, at::HELD, 1);
            put_u32(file, at::ELEMENT, 4);
        }),
        ("held is bf16 with element f32 and quantizer 3", Status::Corrupt, |file| {
            put_u32(file, at::KIND, 2);
            put_u32(file, at::HELD, 2);
            put_u32(file, at::QUANTIZER, 3);
        }),
        ("reduced to 0 bytes", Status::Corrupt, |file| put_u32(file, at::HELD, 16)),
        ("such vectors are held as element 4", Status::Corrupt, |file| put_u32(file, at::HELD, 4)),
        ("format 0", Status::Corrupt, |file| put_u32(file, at::FORMAT, 0)),
        ("byte order", Status::Version, |file| file[at::BYTE_ORDER..at::BYTE_ORDER + 4].reverse()),
        ("dimensions is 0", Status::Corrupt, |file| put_u32(file, at::DIMENSIONS, 0)),
        ("dimensions is 65537", Status::Corrupt, |file| put_u32(file, at::DIMENSIONS, 65_537)),
        ("metric is 6", Status::Corrupt, |file| put_u32(file, at::METRIC, 6)),
        ("Hamming", Status::Corrupt, |file| put_u32(file, at::METRIC, 4)),
        ("element is 9", Status::Corrupt, |file| put_u32(file, at::ELEMENT, 9)),
        ("kind is 3", Status::Corrupt, |file| put_u32(file, at::KIND, 3)),
        ("format 2, an index of this kind has 8", Status::Corrupt, |file| {
            put_u32(file, at::KIND, 0);
            put_u64(file, at::GRAPH_FROM, 5000);
            put_u32(file, at::FORMAT, 2);
        }),
        ("format 2, an index of this kind has 1", Status::Corrupt, |file| put_u32(file, at::FORMAT, 2)),
        ("format 1, an index of this kind has 2", Status::Corrupt, |file| put_u32(file, at::KIND, 2)),
        ("section rows is missing", Status::Corrupt, |file| {
            put_u32(file, at::KIND, 2);
            put_u32(file, at::FORMAT, 2);
        }),
        ("format 6, an index of this kind has 1", Status::Corrupt, |file| put_u32(file, at::FORMAT, 6)),
        ("format 1, an index of this kind has 6", Status::Corrupt, |file| put_u32(file, at::FLAGS, 1)),
        ("no save writes", Status::Corrupt, |file| put_u64(file, at::CAPACITY, 1)),
        ("a capacity of 1", Status::Corrupt, |file| {
            put_u32(file, at::FORMAT, 6);
            put_u32(file, at::FLAGS, 1);
            put_u64(file, at::CAPACITY, 1);
        }),
        ("no save writes", Status::Corrupt, |file| {
            put_u32(file, at::FORMAT, 6);
            put_u32(file, at::FLAGS, 3);
            put_u64(file, at::CAPACITY, 1000);
        }),
        ("quantizer is 11", Status::Version, |file| put_u32(file, at::QUANTIZER, 11)),
        ("m is 1", Status::Corrupt, |file| put_u32(file, at::M, 1)),
        ("no save writes", Status::Corrupt, |file| put_u32(file, at::M, 0)),
        ("ef_search", Status::Corrupt, |file| put_u32(file, at::EF_SEARCH, u32::MAX)),
        ("no save writes", Status::Corrupt, |file| file[108] = 1),
        ("graph_from is 1,", Status::Corrupt, |file| file[at::GRAPH_FROM] = 1),
        ("no save writes", Status::Corrupt, |file| file[at::CHECKSUM - 1] = 1),
        ("no save writes", Status::Corrupt, |file| file[at::SECTIONS + 40] = 1),
        ("blocks of 0", Status::Corrupt, |file| put_u32(file, at::BLOCK_BYTES, 0)),
        ("5 live", Status::Corrupt, |file| put_u64(file, at::LIVE, 5)),
        ("live", Status::Corrupt, |file| put_u64(file, at::REMOVED, u64::MAX)),
        ("slots", Status::Corrupt, |file| put_u64(file, at::SLOTS, u64::MAX)),
        ("expected are 3", Status::Corrupt, |file| {
            put_u64(file, at::SLOTS, 3);
            put_u64(file, at::LIVE, 3);
        }),
        ("says 3 and 0", Status::Corrupt, |file| put_u64(file, at::LIVE, 3)),
        ("sections", Status::Corrupt, |file| put_u32(file, at::SECTION_COUNT, 0)),
        ("sections", Status::Corrupt, |file| put_u32(file, at::SECTION_COUNT, u32::MAX)),
        ("no place", Status::Corrupt, |file| put_u32(file, at::METRIC, 0)),
        ("behind", Status::Corrupt, |file| file.copy_within(at::SECTIONS..at::SECTIONS + 64, at::SECTIONS + 64)),
        ("begins at", Status::Corrupt, |file| put_u64(file, at::SECTIONS + 64 + 8, 4096)),
        ("begins at", Status::Corrupt, |file| put_u64(file, at::SECTIONS + 64 + 8, u64::MAX - 4095)),
        ("has 9223372036854775807 bytes", Status::Corrupt, |file| put_u64(file, at::SECTIONS + 16, i64::MAX as u64)),
        ("records", Status::Corrupt, |file| put_u64(file, at::SECTIONS + 24, 1 << 63)),
        ("records", Status::Corrupt, |file| put_u32(file, at::SECTIONS + 32, 64)),
        ("flags", Status::Version, |file| put_u32(file, at::SECTIONS + 4, 2)),
        ("section vectors", Status::Corrupt, |file| put_u32(file, at::SECTIONS + 4, OPTIONAL)),
    ];
    let file = sample();
    for (text, status, change) in cases {
        let error = refusal(&file, *change);
        assert_eq!(error.status(), *status, "{text}: {error}");
        assert!(error.text().contains(text), "{text}: {error}");
    }
}

#[test]
fn hostile_content_with_right_checksums_is_refused() {
    let file = sample();
    let (vectors, keys, states, scales) =
        (offset_of(&file, 0), offset_of(&file, 1), offset_of(&file, 2), offset_of(&file, 3));
    let not_finite = |value: f32| {
        refusal(&file, |file| file[vectors + 36..vectors + 40].copy_from_slice(&value.to_le_bytes())).text().to_owned()
    };
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(not_finite(value).contains("row 1 has a component that is not finite"));
    }
    assert!(refusal(&file, |file| file[vectors + 32 + 12] = 1).text().contains("row 1 is not zero behind"));
    assert!(refusal(&file, |file| file[states + 2] = 3).text().contains("slot 2 has state 3"));
    assert!(refusal(&file, |file| file[states + 2] = 2).text().contains("3 live and 1 removed"));
    for bits in [0x7f80_0000, 0x7fc0_0001, 0xffc0_0000, (-1.0f32).to_bits()] {
        assert!(refusal(&file, |file| put_u32(file, scales + 8, bits)).text().contains("record 2"));
    }
    assert!(refusal(&file, |file| put_u64(file, keys + 8, u64::MAX)).text().contains("reserved key"));
    assert!(refusal(&file, |file| put_u64(file, keys + 8, 1000)).text().contains("key 1000 stands in slot 1"));
    assert!(refusal(&file, |file| file[keys + 4 * 8] = 1).text().contains("is not zero"));
}

#[test]
fn sixteen_bit_components_must_be_finite() {
    for (element, bits) in
        [(Element::F16, 0x7c00u16), (Element::F16, 0xfe00), (Element::Bf16, 0x7f80), (Element::Bf16, 0xffc0)]
    {
        let file = Sample::new(element, Metric::L2, 9, 3).bytes(Keep::Live);
        let at = offset_of(&file, 0) + 64 + 16;
        let error = refusal(&file, |file| file[at..at + 2].copy_from_slice(&bits.to_le_bytes()));
        assert!(error.text().contains("row 2 has a component"), "{error}");
    }
}

#[test]
fn unknown_sections_are_skipped_if_they_may_be_and_refused_if_not() {
    let file = sample();
    load(&with_section(&file, 12, OPTIONAL, b"a word from the future")).unwrap();
    load(&with_section(&file, 12, OPTIONAL, &[])).unwrap();
    assert_eq!(judge(&with_section(&file, 12, OPTIONAL, &vec![7; 2 * BLOCK + 5])), Outcome::Opened);
    let required = load(&with_section(&file, 12, 0, b"links")).unwrap_err();
    assert_eq!(required.status(), Status::Version, "{required}");
    let plain = Sample::new(Element::F32, Metric::L2, 3, 4).bytes(Keep::Live);
    let misplaced = load(&with_section(&plain, 4, OPTIONAL, &[0; 16])).unwrap_err();
    assert_eq!(misplaced.status(), Status::Corrupt, "{misplaced}");
}

#[test]
fn a_table_of_checksums_belongs_to_one_header() {
    let mut other = sample();
    put_u64(&mut other, at::SEED, 99);
    fix_checksums(&mut other);
    load(&other).unwrap();
    let mut mixed = sample();
    mixed[..PAGE].copy_from_slice(&other[..PAGE]);
    assert!(load(&mixed).unwrap_err().text().contains("belongs to another header"));
}

#[test]
fn keys_chosen_to_collide_open_as_fast_as_others() {
    // Keys whose hash, were the key map not seeded, would agree in all bits that choose a place: the finaliser run backwards.
    let inverse = |odd: u64| (0..6).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))));
    let (first, second) = (inverse(0xff51_afd7_ed55_8ccd), inverse(0xc4ce_b9fe_1a85_ec53));
    let unhash = |hash: u64| {
        let h = (hash ^ (hash >> 33)).wrapping_mul(second);
        let h = (h ^ (h >> 33)).wrapping_mul(first);
        h ^ (h >> 33)
    };
    let count = 100_000;
    let plain = Sample::new(Element::U8, Metric::L2, 1, count).bytes(Keep::Live);
    let mut hostile = plain.clone();
    let keys = offset_of(&plain, 1);
    for i in 0..u64::from(count) {
        put_u64(&mut hostile, keys + 8 * i as usize, unhash(i << 32));
    }
    fix_checksums(&mut hostile);
    let seconds = |file: &[u8]| {
        let start = std::time::Instant::now();
        load(file).unwrap();
        start.elapsed().as_secs_f64()
    };
    let (ordinary, chosen) = (seconds(&plain), seconds(&hostile));
    assert!(chosen < 20.0 * ordinary + 0.2, "{chosen} s for chosen keys, {ordinary} s for others");
}

#[test]
fn twenty_thousand_mutated_files_do_no_harm() {
    let samples = samples();
    let mut random = Random::new(0x6b69_7468);
    let mut opened = 0;
    for _ in 0..20_000 {
        let mut bytes = samples[random.below(samples.len())].clone();
        mutate(&mut bytes, &mut random);
        opened += usize::from(judge(&bytes) == Outcome::Opened);
    }
    // Some mutations are harmless (a seed, a component): if none got through, the mutator would not reach past the header.
    assert!((500..15_000).contains(&opened), "{opened} of 20,000 opened");
}
