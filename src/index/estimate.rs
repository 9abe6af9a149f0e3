//! How much memory will an index take, before there is one?
//!
//! The arrays of an index follow from its options and the number of vectors, but for what depends on the vectors themselves: how many directions
//! hold enough of their variance, so how long codes and reduced vectors are, and which degree they ask for, where that is open; and but for the pages that the system gives, huge ones or not. So the answer
//! is a least and a most.

use super::config::{Config, Degree, Kind, Options, Quantizer};
use super::{Index, choice, coding};
use crate::build::bulk::degree;
use crate::distance::{Element, Metric};
use crate::graph;
use crate::quant::{Coding, Reduction, Width};
use crate::store::{KeyMap, MAX_SLOTS, padded};
use crate::util::error::{Error, Result};
use crate::util::memory::{LINE, Segments};

/// Slots whose levels are looked at one by one.
const KNOWN: u32 = 1 << 20;

/// Bytes that an index will hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// If the variance of the vectors lies in few directions, and pages are small.
    pub least: u64,
    /// If it is spread over all directions, and pages are huge.
    pub most: u64,
    /// What there will be by then, of itself or as it was asked for.
    pub quantizer: Quantizer,
    /// Type of a component as it will be held, if vectors do not turn out to be whole numbers.
    pub held: Element,
    /// Recall of ten hits, least and most of those measured with such on several sets; a prediction. See `index::choice`.
    pub recall: (f32, f32),
}

impl Default for Estimate {
    fn default() -> Self {
        Self { least: 0, most: 0, quantizer: Quantizer::None, held: Element::F32, recall: (1.0, 1.0) }
    }
}

impl Estimate {
    fn add(&mut self, (least, most): (usize, usize)) {
        self.least += least as u64;
        self.most += most as u64;
    }
}

impl Index {
    /// The memory of an index of these options that holds `count` vectors, as [`Index::describe`] tells it before the first search. Vectors that turn
    /// out to be whole numbers, and are held as bytes, take less.
    ///
    /// # Errors
    /// Those of [`Index::create`]; `Argument` for more vectors than such an index can hold.
    pub fn estimate(options: &Options, count: u64) -> Result<Estimate> {
        let config = Config::new(&choice::choose(options)?)?;
        let most = if config.kind == Kind::Graph { graph::MAX_SLOTS } else { MAX_SLOTS };
        let most = config.limit.unwrap_or(most).min(most);
        if count > most {
            return Err(Error::argument(format!("count is {count}, such an index holds {most} at most")));
        }
        let empty = Options { capacity: 0, fixed_capacity: false, memory_limit: 0, ..options.clone() };
        let empty = Self::create(&empty)?.describe().bytes;
        let mut estimate = planned(&config, count);
        estimate.add((empty as usize, empty as usize));
        estimate.recall = choice::predicted(config.held_element(), estimate.quantizer, is_graph(&config, count));
        Ok(estimate)
    }
}

/// The arrays of an index that holds so many.
pub(super) fn planned(config: &Config, count: u64) -> Estimate {
    let learnt = Learnt::of(config, count);
    let quantizer = match learnt {
        Learnt::Nothing => Quantizer::None,
        Learnt::Bytes | Learnt::BytesAndCodes(..) | Learnt::Directions(_) => config.quantizer,
        Learnt::Codes(coding, _) => Quantizer::of_coding(coding),
    };
    let mut estimate = Estimate { quantizer, held: config.held_element(), ..Estimate::default() };
    vectors(config, &learnt, count as usize, &mut estimate);
    if is_graph(config, count) {
        links(config, count as u32, &mut estimate);
    }
    estimate
}

/// The most that an index of so many vectors holds beside them.
pub(super) fn beside_vectors(config: &Config, count: u64) -> u64 {
    let all = planned(&Config { quantizer: Quantizer::None, ..config.clone() }, count).most;
    all - Segments::planned(padded(config.held.bytes_of(config.vector_bytes())), count as usize).1 as u64
}

fn is_graph(config: &Config, count: u64) -> bool {
    config.kind == Kind::Graph && config.graph_from.is_none_or(|from| count >= from)
}

/// What such an index has learnt by then.
enum Learnt {
    Nothing,
    /// To hold a byte for each component.
    Bytes,
    /// The same, with codes of between so many lines.
    BytesAndCodes(Coding, (usize, usize)),
    /// To hold a byte for each of the directions that fill between so many lines of codes, which are not there.
    Directions((usize, usize)),
    /// Codes of this kind, and of between so many lines.
    Codes(Coding, (usize, usize)),
}

impl Learnt {
    fn of(config: &Config, count: u64) -> Self {
        if count < u64::from(coding::codes_from(config.quantizer)) {
            return Self::Nothing;
        }
        let lines = |coding: Coding| coding.possible_lines(config.dimensions as usize);
        match (config.quantizer.reduction(), config.quantizer.coding()) {
            (Some(Reduction::Every), None) => Self::Bytes,
            (Some(Reduction::Every), Some(coding)) => Self::BytesAndCodes(coding, lines(coding)),
            (Some(Reduction::Leading | Reduction::Fine), _) => Self::Directions(lines(Width::Four.into())),
            // A flat index that is to become a graph learns then.
            (None, Some(coding)) if config.graph_from.is_none_or(|from| count >= from) => {
                Self::Codes(coding, lines(coding))
            }
            (None, _) => Self::Nothing,
        }
    }
}

/// Vectors, keys, and what is learnt.
fn vectors(config: &Config, learnt: &Learnt, count: usize, estimate: &mut Estimate) {
    let dimensions = config.dimensions as usize;
    let array = |stride: usize| Segments::planned(stride, count);
    let between = |(few, many): (usize, usize), bytes: &dyn Fn(usize) -> (usize, usize)| (bytes(few).0, bytes(many).1);
    let same = |bytes: usize| (bytes, bytes);
    match *learnt {
        Learnt::Bytes => {
            estimate.add(array(padded(dimensions)));
            estimate.add(same(4 * dimensions));
        }
        Learnt::BytesAndCodes(coding, lines) => {
            estimate.add(array(padded(dimensions)));
            estimate.add(same(4 * dimensions));
            estimate.add(between(lines, &|lines| array(LINE * lines)));
            estimate.add(between(lines, &|lines| same(coding.codec_bytes(dimensions, lines))));
        }
        Learnt::Directions(lines) => {
            estimate.add(between(lines, &|lines| array(padded(2 * LINE * lines))));
            estimate.add(between(lines, &|lines| same(Coding::from(Width::Four).codec_bytes(dimensions, lines))));
        }
        Learnt::Codes(coding, lines) => {
            estimate.add(array(padded(config.held.bytes_of(config.vector_bytes()))));
            estimate.add(between(lines, &|lines| array(LINE * lines)));
            estimate.add(between(lines, &|lines| same(coding.codec_bytes(dimensions, lines))));
        }
        Learnt::Nothing => estimate.add(array(padded(config.held.bytes_of(config.vector_bytes())))),
    }
    estimate.add(array(8));
    estimate.add(array(1));
    if config.metric == Metric::Cosine {
        estimate.add(array(4));
    }
    estimate.add(same(KeyMap::planned(count)));
}

/// The graph, of the degree in force, or of the one that vectors of few dimensions would ask for.
fn links(config: &Config, count: u32, estimate: &mut Estimate) {
    let is_open = config.degree == Degree::ByData && count as usize >= degree::FROM;
    let (least, _) = links_of(if is_open { degree::LOW } else { config.m }, config.seed, count);
    let (_, most) = links_of(config.m, config.seed, count);
    estimate.add((least, most));
}

/// A graph of a degree: the least and the most.
fn links_of(m: u32, seed: u64, count: u32) -> (usize, usize) {
    // One in m stands a level higher, one in m of those another; of the first ones it is known which.
    let known: u64 = (0..count.min(KNOWN)).map(|slot| u64::from(graph::level_of(seed, m, slot))).sum();
    let upper = known as f64 + f64::from(count.saturating_sub(KNOWN)) / f64::from(m - 1);
    let arrays = [(graph::row_bytes(2 * m), count as usize), (4, count as usize), (1, count as usize)];
    let all = arrays.into_iter().chain([(graph::row_bytes(m), upper.round() as usize)]);
    all.map(|(stride, count)| Segments::planned(stride, count))
        .fold((0, 0), |(least, most), (few, many)| (least + few, most + many))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Element;
    use crate::index::Rows;
    use crate::index::config::{BuildOptions, Quantizer};

    /// Random vectors: every direction is as good as every other, unless `rank` of them have nearly all.
    fn vectors(element: Element, dimensions: usize, rank: usize, count: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            crate::util::random::mix(state)
        };
        let mut bytes = Vec::new();
        for _ in 0..count {
            match element {
                Element::F32 => bytes.extend((0..dimensions).flat_map(|i| {
                    let value = (next() >> 40) as f32 / (1 << 24) as f32 - 0.5;
                    (if i < rank { value } else { value * 1e-3 }).to_le_bytes()
                })),
                Element::F16 | Element::Bf16 => {
                    bytes.extend((0..dimensions).flat_map(|_| ((next() >> 50) as u16 | 0x3000).to_le_bytes()));
                }
                _ => bytes.extend((0..element.vector_bytes(dimensions as u32)).map(|_| (next() >> 56) as u8)),
            }
        }
        bytes
    }

    fn held(options: &Options, vectors: &[u8], count: usize) -> u64 {
        let index = Index::create(options).unwrap();
        let keys: Vec<u64> = (0..count as u64).map(|i| i * 977).collect();
        let rows = Rows::packed(vectors, index.vector_bytes());
        // The buffers of further threads are not part of an estimate.
        index.insert_batch(&keys, rows, &BuildOptions { threads: 1, ..BuildOptions::default() }).unwrap();
        index.describe().bytes
    }

    /// By how much an estimate may be off: 2 %, of a megabyte at least, since small indexes have buffers that do not grow with them.
    fn slack(held: u64) -> u64 {
        held.max(1 << 20) / 50
    }

    fn is_near(estimate: u64, held: u64) -> bool {
        estimate.abs_diff(held) <= slack(held)
    }

    fn is_between(Estimate { least, most, .. }: Estimate, held: u64) -> bool {
        least <= held + slack(held) && held <= most + slack(held)
    }

    #[test]
    fn an_estimate_is_within_two_percent() {
        use Element::{B1, Bf16, F16, F32, I8, U8};
        let shapes = [
            (Metric::L2, F32, 100),
            (Metric::Cosine, F32, 96),
            (Metric::InnerProduct, F16, 300),
            (Metric::L1, Bf16, 40),
            (Metric::L2, I8, 200),
            (Metric::Cosine, U8, 24),
            (Metric::Hamming, B1, 256),
        ];
        let quantizers =
            [Quantizer::Auto, Quantizer::None, Quantizer::Projected2, Quantizer::Projected1, Quantizer::Bytes]
                .into_iter()
                .chain([Quantizer::Product, Quantizer::Signs]);
        for (metric, element, dimensions) in shapes {
            for (kind, m, quantizer) in [(Kind::Flat, 0, Quantizer::Auto), (Kind::Auto, 0, Quantizer::Auto)]
                .into_iter()
                .chain(quantizers.clone().map(|quantizer| (Kind::Graph, 0, quantizer)))
                .chain([(Kind::Graph, 5, Quantizer::None)])
            {
                let options = Options { dimensions, metric, element, kind, m, quantizer, ..Options::default() };
                let large = (metric, element, kind) == (Metric::L2, F32, Kind::Graph);
                for count in [3000, 4096].into_iter().chain(large.then_some(16_384)) {
                    // Options that do not go together.
                    let Ok(estimate) = Index::estimate(&options, count) else { continue };
                    let vectors = vectors(element, dimensions as usize, dimensions as usize, count as usize);
                    let held = held(&options, &vectors, count as usize);
                    let told = format!("{options:?} {count}: {estimate:?}, {held}");
                    assert!(is_between(estimate, held), "{told}");
                    // So many fill the pages of every array: all that is left open is the length of codes, which here is the greatest.
                    assert!(count == 3000 || is_near(estimate.most, held), "{told}");
                }
            }
        }
    }

    #[test]
    fn few_directions_make_the_least() {
        let count = 4096;
        for quantizer in [Quantizer::Projected4, Quantizer::Projected2, Quantizer::Leading8] {
            let options = Options { dimensions: 700, kind: Kind::Graph, quantizer, ..Options::default() };
            let Estimate { least, most, .. } = Index::estimate(&options, count).unwrap();
            assert!(least < most);
            let few = held(&options, &vectors(Element::F32, 700, 40, count as usize), count as usize);
            let all = held(&options, &vectors(Element::F32, 700, 700, count as usize), count as usize);
            assert!(is_near(least, few), "{quantizer:?}: {least}, {few}");
            assert!(is_near(most, all), "{quantizer:?}: {most}, {all}");
        }
        let options = Options { dimensions: 8, ..Options::default() };
        assert!(Index::estimate(&options, 0).unwrap().most < 100_000);
        assert!(Index::estimate(&options, 1 << 31).is_err());
        // Nothing is taken for it.
        let huge = Index::estimate(&Options { dimensions: 4096, ..options }, (1 << 31) - 1).unwrap();
        assert!(huge.least > 1 << 45);
    }

    #[test]
    fn more_than_such_an_index_can_hold_is_refused() {
        let refused = |options: &Options, count| Index::estimate(options, count).unwrap_err().text().to_owned();
        let options = Options { dimensions: 4, ..Options::default() };
        assert!(refused(&options, 1 << 31).contains("such an index holds 2147483647 at most"));
        let fixed = Options { capacity: 100, fixed_capacity: true, ..options };
        Index::estimate(&fixed, 100).unwrap();
        assert!(refused(&fixed, 101).contains("count is 101, such an index holds 100 at most"));
    }
}
