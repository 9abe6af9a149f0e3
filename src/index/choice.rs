//! Which quantizer keeps most of the recall where a vector may take so many bytes? And what recall is that likely to be?
//!
//! Whoever has more vectors than memory names the bytes that each may take (`Options::bytes_per_vector`), and the first of [`CHOICES`] that fits is taken: they stand in the order of
//! the recall that they were measured to have. How long codes and reduced vectors are depends on the vectors, which nobody has seen when an index is made: so of all but the last
//! the most is asked that they can take, and of the last, vectors reduced to leading directions, the least. Whether it is more directions or fewer is decided when they are
//! learnt ([`Index::learn_reducer`]), as then it is known how many there are.

use super::Index;
use super::config::{Config, Degree, Kind, Options, Quantizer};
use super::estimate::{beside_vectors, planned};
use crate::distance::Element;
use crate::quant::{self, Reducer, Reduction, Sample};
use crate::store::padded;
use crate::util::error::{Error, Result};
use crate::util::hands::Hands;

/// Vectors of which there are so many that first pages and tables of queries hardly count.
const MANY: u64 = 1_000_000;

/// What may be chosen, the best first, before vectors of leading directions.
const CHOICES: [(Quantizer, Element); 5] = [
    (Quantizer::Auto, Element::F32),
    (Quantizer::Auto, Element::F16),
    (Quantizer::Projected2, Element::F16),
    (Quantizer::BytesProjected4, Element::F32),
    (Quantizer::Bytes, Element::F32),
];

/// The options with a quantizer, and a way of holding vectors, that take as few bytes for each as is asked; as they are if nothing is.
pub(super) fn choose(options: &Options) -> Result<Options> {
    let target = u64::from(options.bytes_per_vector);
    if target == 0 {
        return Ok(options.clone());
    }
    if options.quantizer != Quantizer::Auto || options.held != Element::F32 || options.kind == Kind::Flat {
        return Err(Error::argument(format!(
            "bytes_per_vector is {target} with quantizer {}, held {} and kind {}: it leaves quantizer and held to the library, for a graph",
            options.quantizer as u32, options.held as u32, options.kind as u32
        )));
    }
    let with = |quantizer: Quantizer, held: Element| Options { quantizer, held, ..options.clone() };
    for (quantizer, held) in CHOICES {
        let one = with(quantizer, held);
        // A shape that this one does not know is one for another, or for none.
        let Ok(config) = Config::new(&one) else { continue };
        if planned(&config, MANY).most <= target * MANY {
            return Ok(one);
        }
    }
    let last = with(Quantizer::Leading8Fine, Element::F32);
    // Nobody knows yet whether the vectors will ask for fewer links than is usual.
    let usual = Config { degree: Degree::Given, ..Config::new(&last)? };
    let least = planned(&usual, MANY).least.div_ceil(MANY);
    if least > target {
        return Err(Error::argument(format!(
            "bytes_per_vector is {target}, the least that such an index takes is {least}"
        )));
    }
    Ok(last)
}

/// Recall of the ten nearest with a breadth of 256, or of a flat index with that of its default: the least and the most of what was measured on packages (384-d), mnist (784-d), lowrank
/// (1,024-d) and siftphoto (128-d), as far as it was; benches/record/codes.md and flat.md have the tables.
pub(super) fn predicted(held: Element, quantizer: Quantizer, is_graph: bool) -> (f32, f32) {
    let (least, most): (f32, f32) = match (quantizer, is_graph) {
        (Quantizer::None, false) => (1.0, 1.0),
        (Quantizer::None, true) => (0.999, 1.0),
        (Quantizer::Auto | Quantizer::Projected4, _) => (0.995, 1.0),
        (Quantizer::Bytes, _) => (0.984, 0.997),
        (Quantizer::BytesProjected4, _) => (0.991, 0.993),
        (Quantizer::Leading8, _) => (0.943, 0.959),
        (Quantizer::Leading8Fine, _) => (0.974, 0.991),
        (Quantizer::Projected2, _) => (0.997, 0.999),
        (Quantizer::Projected1, _) => (0.997, 1.0),
        (Quantizer::Product, _) => (0.998, 0.998),
        (Quantizer::Signs, _) => (0.995, 0.995),
    };
    // What rounding alone costs the exact scan of packages.
    match held {
        Element::F16 => (least.min(0.999), most),
        Element::Bf16 => (least.min(0.998), most.min(0.999)),
        _ => (least, most),
    }
}

impl Index {
    /// Learns how vectors like these are reduced: to fewer directions than was asked for where they would take more memory than they may.
    pub(super) fn learn_reducer(
        &self,
        reduction: Reduction,
        sample: &Sample<'_>,
        hands: &Hands<'_>,
    ) -> Result<Option<Reducer>> {
        let train = |reduction: Reduction| quant::train_reducer(reduction, sample, self.config.seed, hands);
        let learnt = train(reduction)?;
        let target = u64::from(self.config.bytes_per_vector) * MANY;
        let fits = |reducer: &Reducer| {
            padded(reducer.components()) as u64 * MANY + beside_vectors(&self.config, MANY) <= target
        };
        match learnt {
            Some(reducer) if target > 0 && reduction == Reduction::Fine && !fits(&reducer) => train(Reduction::Leading),
            learnt => Ok(learnt),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Metric;
    use crate::index::config::{BuildOptions, OpenFlags};
    use crate::index::{Estimate, Rows};
    use crate::util::error::Status;

    fn options(dimensions: u32, bytes_per_vector: u32) -> Options {
        Options { dimensions, metric: Metric::Cosine, kind: Kind::Graph, bytes_per_vector, ..Options::default() }
    }

    #[test]
    fn the_best_that_fits_is_chosen() {
        for (dimensions, target, quantizer, held) in [
            (384, 2100, Quantizer::Auto, Element::F32),
            (384, 1900, Quantizer::Auto, Element::F16),
            (384, 1100, Quantizer::Projected2, Element::F16),
            (384, 1000, Quantizer::BytesProjected4, Element::F32),
            (384, 700, Quantizer::Bytes, Element::F32),
            (384, 500, Quantizer::Leading8Fine, Element::F32),
            (1024, 900, Quantizer::Leading8Fine, Element::F32),
            // Nothing that is reduced to directions is possible.
            (5000, 1 << 20, Quantizer::Auto, Element::F32),
            (5000, 11_000, Quantizer::Auto, Element::F16),
            (5000, 6000, Quantizer::Bytes, Element::F32),
        ] {
            let chosen = choose(&options(dimensions, target)).unwrap();
            assert_eq!((chosen.quantizer, chosen.held), (quantizer, held), "{dimensions} dimensions, {target} bytes");
            let estimate = Index::estimate(&options(dimensions, target), MANY).unwrap();
            let told = if quantizer == Quantizer::Auto && dimensions > 4096 { Quantizer::None } else { quantizer };
            let told = if told == Quantizer::Auto { Quantizer::Projected4 } else { told };
            assert_eq!((estimate.quantizer, estimate.held), (told, held));
            let takes = if quantizer == Quantizer::Leading8Fine { estimate.least } else { estimate.most };
            assert!(takes <= u64::from(target) * MANY + (1 << 20), "{estimate:?}");
        }
        let none = choose(&options(384, 0)).unwrap();
        assert_eq!((none.quantizer, none.held), (Quantizer::Auto, Element::F32));
    }

    #[test]
    fn what_cannot_be_chosen_for_is_refused() {
        for bad in [
            Options { quantizer: Quantizer::None, ..options(384, 900) },
            Options { held: Element::F16, ..options(384, 900) },
            Options { kind: Kind::Flat, ..options(384, 900) },
        ] {
            assert_eq!(Index::create(&bad).unwrap_err().status(), Status::Argument);
        }
        let text = Index::create(&options(384, 100)).unwrap_err().text().to_owned();
        let least: u32 = text.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((250..330).contains(&least), "{text}");
        Index::create(&options(384, least)).unwrap();
        assert!(Index::create(&options(384, least - 1)).is_err());
    }

    /// A hundred directions hold 96 % of the variance, two hundred more the rest: codes of the leading ones take one line, of more two.
    fn vectors(count: usize, dimensions: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            (crate::util::random::mix(state) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let size = |i: usize| if i < 100 { 1.0 } else { (4.0_f32 / 96.0 * 100.0 / 200.0).sqrt() };
        let component = |i: usize, next: &mut dyn FnMut() -> f32| if i < 300 { next() * size(i) } else { 0.0 };
        (0..count)
            .flat_map(|_| (0..dimensions).map(|i| component(i, &mut next)).collect::<Vec<_>>())
            .flat_map(f32::to_ne_bytes)
            .collect()
    }

    #[test]
    fn how_many_directions_is_decided_when_they_are_learnt() {
        let (dimensions, count) = (400, 3000);
        let (all, keys) = (vectors(count, dimensions), (0..count as u64).collect::<Vec<_>>());
        let folder = tempfile::tempdir().unwrap();
        for (target, quantizer, bytes) in [(350, Quantizer::Leading8, 128), (480, Quantizer::Leading8Fine, 256)] {
            for train_first in [false, true] {
                let index = Index::create(&options(dimensions as u32, target)).unwrap();
                let rows = Rows::packed(&all, 4 * dimensions);
                if train_first {
                    index.train(rows, &BuildOptions::default()).unwrap();
                }
                index.insert_batch(&keys, rows, &BuildOptions::default()).unwrap();
                let told = |index: &Index| (index.describe().quantizer, index.describe().held);
                assert_eq!(told(&index), (quantizer, Element::I8), "{target}");
                let pin = index.pin();
                assert_eq!(index.core(&pin).store(&pin).stride(), bytes);
                let path = folder.path().join("chosen.kith");
                index.save(&path).unwrap();
                assert_eq!(told(&Index::open(&path, OpenFlags::default()).unwrap()), (quantizer, Element::I8));
                // What another index learns from it.
                let other = Index::create(&Options { quantizer, ..options(dimensions as u32, 0) }).unwrap();
                other.import_codec(&index.export_codec().unwrap()).unwrap();
                index.clear().unwrap();
                index.insert_batch(&keys, rows, &BuildOptions::default()).unwrap();
                assert_eq!(told(&index), (quantizer, Element::I8));
            }
        }
    }

    #[test]
    fn predictions_are_recalls_and_the_exact_scan_has_all() {
        let all = (0..=10).map(|number| Quantizer::try_from(number).unwrap());
        for quantizer in all {
            for held in [Element::F32, Element::F16, Element::Bf16] {
                for is_graph in [false, true] {
                    let (least, most) = predicted(held, quantizer, is_graph);
                    assert!(0.9 < least && least <= most && most <= 1.0);
                }
            }
        }
        let flat = Options { kind: Kind::Flat, bytes_per_vector: 0, ..options(100, 0) };
        let Estimate { recall, quantizer, .. } = Index::estimate(&flat, 1000).unwrap();
        assert_eq!((recall, quantizer), ((1.0, 1.0), Quantizer::None));
    }
}
