//! How is a codec written down? FORMAT.md has the bytes.

use super::Codec;
use super::coding::{Coding, Rule};
use super::product::Product;
use super::signs::Angles;
use super::train::LINES;
use crate::distance::{Metric, padded_bytes};
use crate::simd::detect;
use crate::util::error::{Error, Result};
use crate::util::memory::{LINE, Lines};

/// Bytes before the mean.
const HEAD: usize = 16;

/// Bytes of a codec for vectors of so many dimensions, with codes of this kind and so many lines: a multiple of a line.
pub(crate) fn blob_bytes(dimensions: usize, (coding, lines): (Coding, usize)) -> usize {
    let matrix = coding.rows(dimensions, lines) * padded_bytes(dimensions);
    (HEAD + 4 * dimensions + matrix + coding.rule_bytes(dimensions, lines)).next_multiple_of(LINE)
}

/// Whether there are codes of so many lines.
pub(crate) fn is_code(lines: usize) -> bool {
    LINES.contains(&lines)
}

impl Codec {
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    pub(crate) fn to_blob(&self) -> Vec<u8> {
        let bytes = blob_bytes(self.dimensions, (self.coding(), self.lines));
        let mut blob = Vec::with_capacity(bytes);
        blob.extend_from_slice(&(self.lines as u32).to_le_bytes());
        blob.extend_from_slice(&(self.dimensions as u32).to_le_bytes());
        blob.extend_from_slice(&self.unit.to_le_bytes());
        if let Rule::Product(product) = &self.rule {
            blob.extend_from_slice(&product.step.to_le_bytes());
        }
        blob.resize(HEAD, 0);
        self.mean.iter().for_each(|value| blob.extend_from_slice(&value.to_le_bytes()));
        blob.extend_from_slice(&self.matrix.bytes()[..self.directions() * self.row_bytes()]);
        if let Rule::Product(product) = &self.rule {
            product.to_blob(&mut blob);
        }
        blob.resize(bytes, 0);
        blob
    }

    /// A codec for vectors of this shape from bytes that somebody wrote.
    pub(crate) fn from_blob(
        metric: Metric,
        dimensions: usize,
        (coding, lines): (Coding, usize),
        blob: &[u8],
    ) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(format!("section codec: {what}"));
        if blob.len() != blob_bytes(dimensions, (coding, lines)) {
            return Err(bad("its length fits no codec for these vectors"));
        }
        let word = |at: usize| [blob[at], blob[at + 1], blob[at + 2], blob[at + 3]];
        if u32::from_le_bytes(word(0)) as usize != lines || u32::from_le_bytes(word(4)) as usize != dimensions {
            return Err(bad("it is for other vectors or codes"));
        }
        let unit = f32::from_le_bytes(word(8));
        if !unit.is_normal() || unit < 0.0 {
            return Err(bad("its unit is not a positive number"));
        }
        let mean: Vec<f32> = (0..dimensions).map(|i| f32::from_le_bytes(word(HEAD + 4 * i))).collect();
        if let Some(i) = mean.iter().position(|value| !value.is_finite()) {
            return Err(bad(&format!("component {i} of its mean is not finite")));
        }
        let mut matrix = Lines::default();
        let directions = coding.rows(dimensions, lines);
        let bytes = directions * padded_bytes(dimensions);
        matrix.reset(bytes);
        let (rows, rest) = blob[HEAD + 4 * dimensions..].split_at(bytes);
        matrix.bytes_mut()[..bytes].copy_from_slice(rows);
        let row = padded_bytes(dimensions);
        let gaps = rows.chunks_exact(row).flat_map(|row| &row[dimensions..]);
        let (rest, rule, spare) = match coding {
            Coding::Rounded(width) => (rest, Rule::Rounded(width), &blob[12..HEAD]),
            Coding::Signs => (rest, Rule::Signs(Angles::new(dimensions, lines)), &blob[12..HEAD]),
            Coding::Product => {
                let (learnt, rest) = rest.split_at(coding.rule_bytes(dimensions, lines));
                let product = Product::from_blob(directions, lines, f32::from_le_bytes(word(12)), learnt, detect())?;
                (rest, Rule::Product(Box::new(product)), &blob[..0])
            }
        };
        if spare.iter().chain(gaps).chain(rest).any(|&byte| byte != 0) {
            return Err(bad("it has bytes that no save writes"));
        }
        Ok(Self { metric, dimensions, rule, lines, mean, matrix, unit, level: detect() })
    }
}
