//! Product codes: how directions are divided, what a file of them may say, and that a codec comes back from its bytes.

use super::product::{bits_of, divide, parts};
use super::tests::{bytes, trained, vectors};
use super::*;

#[test]
fn strong_directions_stand_apart() {
    for (directions, lines) in [(10, 1), (56, 1), (128, 1), (168, 1), (300, 1), (448, 1), (900, 2)] {
        let weights: Vec<f32> = (0..directions).map(|i| 1000.0 / (1.0 + i as f32).powi(2)).collect();
        let stands = divide(&weights, lines);
        let of_part = if directions <= 3 * parts(lines) { 4 } else { 8 };
        let mut taken: Vec<u16> = stands.clone();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), directions, "each has a place of its own");
        assert!(taken.iter().all(|&at| usize::from(at) < of_part * parts(lines)));
        let strong = directions.min(parts(lines));
        let mut of_strong: Vec<usize> = stands[..strong.min(8)].iter().map(|&at| usize::from(at) / of_part).collect();
        of_strong.sort_unstable();
        of_strong.dedup();
        assert_eq!(of_strong.len(), strong.min(8), "the strongest are in different parts: {stands:?}");
    }
}

#[test]
fn bits_are_shared_by_variance() {
    let bits = bits_of(&[64.0, 16.0, 4.0, 1.0, 0.0], 6.0);
    // 64 is two bits above 4, 16 one; with 3 bits among them 1 would be at the level.
    assert!((bits.iter().sum::<f64>() - 6.0).abs() < 1e-6, "{bits:?}");
    assert!((bits[0] - bits[1] - 1.0).abs() < 1e-6 && (bits[1] - bits[2] - 1.0).abs() < 1e-6, "{bits:?}");
    assert_eq!(bits[4], 0.0);
    assert!(bits_of(&[0.0, 0.0], 8.0).iter().all(|bits| (3.9..4.1).contains(bits)));
}

#[test]
fn a_codec_comes_back_from_its_bytes() {
    for dimensions in [20, 200] {
        let rows: Vec<Vec<u8>> = vectors(700, dimensions, 12).iter().map(|vector| bytes(vector)).collect();
        let codec = trained(Coding::Product, Metric::L2, &rows, dimensions).unwrap();
        let blob = codec.to_blob();
        let shape = (Coding::Product, codec.lines());
        assert_eq!(blob.len(), blob_bytes(dimensions, shape));
        let again = Codec::from_blob(Metric::L2, dimensions, shape, &blob).unwrap();
        let (mut one, mut other, mut work) = (vec![0; codec.stride()], vec![0; codec.stride()], Workspace::default());
        for row in &rows[..50] {
            codec.encode(Element::F32, row, f32::NAN, &mut work, &mut one);
            again.encode(Element::F32, row, f32::NAN, &mut work, &mut other);
            assert_eq!(one, other);
        }
        assert_eq!(again.to_blob(), blob);
        // What is held is about what is announced.
        let (held, told) = (codec.bytes(), Coding::Product.codec_bytes(dimensions, codec.lines()));
        assert!(held.abs_diff(told) < told / 20 + 2048, "{held} {told}");
        let learnt = 16 + 4 * dimensions + codec.directions() * crate::distance::padded_bytes(dimensions);
        let bad = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut blob = blob.clone();
            change(&mut blob);
            Codec::from_blob(Metric::L2, dimensions, shape, &blob).unwrap_err().text().to_owned()
        };
        assert!(bad(&|blob| blob[12..16].copy_from_slice(&f32::NAN.to_le_bytes())).contains("its step"));
        assert!(bad(&|blob| blob[12..16].copy_from_slice(&(-1.0_f32).to_le_bytes())).contains("its step"));
        assert!(bad(&|blob| blob.copy_within(learnt..learnt + 2, learnt + 2)).contains("stands where another does"));
        assert!(bad(&|blob| blob[learnt..learnt + 2].fill(0xff)).contains("or nowhere"));
        assert!(bad(&|blob| *blob.last_mut().unwrap() = 1).contains("no save writes"));
        if dimensions == 20 {
            // Most places have one byte that counts.
            let places = learnt + 2 * codec.directions();
            assert!(bad(&|blob| blob[places..places + 4].fill(9)).contains("no save writes"));
        }
    }
}

#[test]
fn learning_can_be_stopped_and_does_not_depend_on_threads() {
    use crate::util::error::Status;
    use crate::util::hands::Hands;
    use crate::util::pool::Pool;
    let rows: Vec<Vec<u8>> = vectors(600, 40, 12).iter().map(|vector| bytes(vector)).collect();
    let sample = Sample {
        metric: Metric::L2,
        element: Element::F32,
        dimensions: 40,
        vectors: rows.iter().map(Vec::as_slice).collect(),
    };
    let pool = Pool::default();
    let learn = |hands: &Hands<'_>| train(Coding::Product, &sample, 1, hands);
    let no = |_, _| true;
    let watched = Hands::watched(&pool, 2, 1, Some(&no), (0, 1));
    // A host is not asked at once.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(learn(&watched).unwrap_err().status(), Status::Cancelled);
    let one = learn(&Hands::quiet(&pool, 1)).unwrap().unwrap();
    let three = learn(&Hands::quiet(&pool, 3)).unwrap().unwrap();
    assert_eq!(one.to_blob(), three.to_blob());
}
