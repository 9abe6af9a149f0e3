//! Which slots does a batch have? Free ones, and adjacent ones behind the last.

/// The slots of a batch, in the order of its vectors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// Ascending, and all below `first`.
    pub(super) reused: Vec<u32>,
    pub(super) first: u32,
    pub(super) rest: u32,
}

impl Run {
    /// A single slot.
    pub(crate) fn one(slot: u32) -> Self {
        Self { reused: Vec::new(), first: slot, rest: 1 }
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.reused.len() + self.rest as usize
    }

    /// The slot of vector `i`.
    pub(crate) fn slot(&self, i: usize) -> u32 {
        match self.reused.get(i) {
            Some(&slot) => slot,
            None => self.first + (i - self.reused.len()) as u32,
        }
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        (self.first..self.first + self.rest).contains(&slot) || self.reused.binary_search(&slot).is_ok()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        (0..self.len()).map(|i| self.slot(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_names_each_slot_once() {
        let run = Run { reused: vec![2, 5], first: 9, rest: 3 };
        assert_eq!(run.iter().collect::<Vec<_>>(), [2, 5, 9, 10, 11]);
        assert!((0..20).all(|slot| run.contains(slot) == run.iter().any(|other| other == slot)));
        assert_eq!((run.len(), Run::default().len(), Run::default().contains(0)), (5, 0, false));
    }
}
