//! How is a codec written down? FORMAT.md has the bytes.

use super::train::LINES;
use super::{Codec, Width};
use crate::distance::{Metric, padded_bytes};
use crate::simd::detect;
use crate::util::error::{Error, Result};
use crate::util::memory::{LINE, Lines};

/// Bytes before the mean.
const HEAD: usize = 16;

/// Bytes of a codec for vectors of so many dimensions, with codes of this width and so many lines: a multiple of a line.
pub(crate) fn blob_bytes(dimensions: usize, (width, lines): (Width, usize)) -> usize {
    (HEAD + 4 * dimensions + width.directions(lines) * padded_bytes(dimensions)).next_multiple_of(LINE)
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
        let mut blob = Vec::with_capacity(blob_bytes(self.dimensions, (self.width, self.lines)));
        blob.extend_from_slice(&(self.lines as u32).to_le_bytes());
        blob.extend_from_slice(&(self.dimensions as u32).to_le_bytes());
        blob.extend_from_slice(&self.unit.to_le_bytes());
        blob.resize(HEAD, 0);
        self.mean.iter().for_each(|value| blob.extend_from_slice(&value.to_le_bytes()));
        blob.extend_from_slice(&self.matrix.bytes()[..self.directions() * self.row_bytes()]);
        blob.resize(blob_bytes(self.dimensions, (self.width, self.lines)), 0);
        blob
    }

    /// A codec for vectors of this shape from bytes that somebody wrote.
    pub(crate) fn from_blob(
        metric: Metric,
        dimensions: usize,
        (width, lines): (Width, usize),
        blob: &[u8],
    ) -> Result<Self> {
        let bad = |what: &str| Error::corrupt(format!("section codec: {what}"));
        if blob.len() != blob_bytes(dimensions, (width, lines)) {
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
        let bytes = width.directions(lines) * padded_bytes(dimensions);
        matrix.reset(bytes);
        let (rows, rest) = blob[HEAD + 4 * dimensions..].split_at(bytes);
        matrix.bytes_mut()[..bytes].copy_from_slice(rows);
        let row = padded_bytes(dimensions);
        let gaps = rows.chunks_exact(row).flat_map(|row| &row[dimensions..]);
        if blob[12..HEAD].iter().chain(gaps).chain(rest).any(|&byte| byte != 0) {
            return Err(bad("it has bytes that no save writes"));
        }
        Ok(Self { metric, dimensions, width, lines, mean, matrix, unit, level: detect() })
    }
}
