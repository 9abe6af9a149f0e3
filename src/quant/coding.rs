//! Which kinds of codes are there, and what of them must be known before one is learnt?
//!
//! A [`Coding`] names a kind: in a file, in options, before a codec is there. A [`Rule`] is what a codec has learnt of it beyond the projection that all share.

use super::product::{self, Product};
use super::signs::Angles;
use super::train::LINES;
use super::{FACTORS, Width};
use crate::distance::padded_bytes;
use crate::util::memory::LINE;

/// How the projection of a vector becomes a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Each direction is rounded to a few bits.
    Rounded(Width),
    /// A byte for each of several groups of directions: the nearest of 256 places that were learnt.
    Product,
    /// A bit for each component: on which side of the mean it lies. Nothing is projected, and of a query, too, only the sides count.
    Signs,
}

impl From<Width> for Coding {
    fn from(width: Width) -> Self {
        Self::Rounded(width)
    }
}

/// The same, with what was learnt.
#[derive(Debug)]
pub(super) enum Rule {
    Rounded(Width),
    Product(Box<Product>),
    Signs(Angles),
}

impl Rule {
    pub(super) fn coding(&self) -> Coding {
        match self {
            Self::Rounded(width) => Coding::Rounded(*width),
            Self::Product(_) => Coding::Product,
            Self::Signs(_) => Coding::Signs,
        }
    }

    /// Memory held, beyond the rule itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Rounded(_) => 0,
            Self::Product(product) => product.bytes(),
            Self::Signs(angles) => angles.bytes(),
        }
    }
}

impl Coding {
    /// The most directions that a code of so many lines holds.
    pub(super) fn most_directions(self, lines: usize) -> usize {
        match self {
            Self::Rounded(width) => width.directions(lines),
            Self::Product => product::MOST_OF_A_PART * product::parts(lines),
            Self::Signs => 8 * code_bytes(lines),
        }
    }

    /// Rows of the matrix of a codec for vectors of so many dimensions.
    pub(super) fn rows(self, dimensions: usize, lines: usize) -> usize {
        match self {
            // Those there are no dimensions for are zero.
            Self::Rounded(width) => width.directions(lines),
            Self::Product => self.most_directions(lines).min(dimensions),
            Self::Signs => 0,
        }
    }

    /// Bytes of what a codec has learnt beyond mean and matrix, in a file.
    pub(super) fn rule_bytes(self, dimensions: usize, lines: usize) -> usize {
        match self {
            Self::Rounded(_) | Self::Signs => 0,
            Self::Product => product::blob_bytes(self.rows(dimensions, lines), lines),
        }
    }

    /// The fewest and the most lines that such a code can have for vectors of so many dimensions.
    pub(crate) fn possible_lines(self, dimensions: usize) -> (usize, usize) {
        let all = LINES.into_iter().find(|&lines| self.most_directions(lines) >= dimensions);
        let most = all.unwrap_or(LINES[LINES.len() - 1]);
        (if self == Self::Signs { most } else { LINES[0] }, most)
    }

    /// Memory that a codec for vectors of so many dimensions holds, about.
    pub(crate) fn codec_bytes(self, dimensions: usize, lines: usize) -> usize {
        let rule = match self {
            Self::Rounded(_) => 0,
            Self::Product => product::memory(self.rows(dimensions, lines), lines),
            Self::Signs => Angles::memory(lines),
        };
        4 * dimensions + self.rows(dimensions, lines) * padded_bytes(dimensions) + rule
    }

    /// Whether such codes hold anything of vectors of so many dimensions: all their signs, or their leading directions.
    pub(crate) fn holds(self, dimensions: usize) -> bool {
        self != Self::Signs || self.most_directions(LINES[LINES.len() - 1]) >= dimensions
    }

    /// Vectors that a codec is learnt from, at most, where they have so many dimensions.
    pub(crate) fn sample(self, dimensions: usize) -> usize {
        let least = match self {
            Self::Rounded(_) | Self::Signs => 4096,
            Self::Product => product::SAMPLE,
        };
        least.max(4 * dimensions)
    }
}

/// The most bytes that a code of vectors of so many dimensions has, whatever its kind.
pub(crate) fn most_code_bytes(dimensions: usize) -> usize {
    [Coding::Rounded(Width::Four), Coding::Product]
        .map(|coding| coding.possible_lines(dimensions).1 * LINE)
        .into_iter()
        .fold(0, usize::max)
}

/// Bytes of a code that are no factors.
pub(super) fn code_bytes(lines: usize) -> usize {
    lines * LINE - FACTORS
}
