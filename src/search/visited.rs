//! Which slots has this walk seen? One byte per slot, and a new mark instead of clearing.

/// The slots that a walk has seen. Behind the marks of all slots stands one that always counts as seen: numbers beyond the room (links that
/// end a row, slots linked since the reset) are taken for it, so that marking needs no branch. Resetting takes constant time; every 255th reset clears the bytes.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    marks: Vec<u8>,
    mark: u8,
    slots: usize,
}

impl Visited {
    /// Forgets all slots; makes room for `slots`.
    pub(crate) fn reset(&mut self, slots: usize) {
        if self.marks.len() <= slots {
            // A growing index asks for a little more each time: leave room.
            self.marks.resize(slots + slots / 4 + 1, 0);
        }
        if self.mark == u8::MAX {
            self.marks.fill(0);
            self.mark = 0;
        }
        self.mark += 1;
        self.slots = slots;
        self.marks[slots] = self.mark;
    }

    /// Marks a slot; says whether it was new.
    #[inline(always)]
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let mark = &mut self.marks[(slot as usize).min(self.slots)];
        let new = *mark != self.mark;
        *mark = self.mark;
        new
    }

    pub(crate) fn bytes(&self) -> usize {
        self.marks.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_new_once_per_reset() {
        let mut visited = Visited::default();
        for round in 0..1000 {
            visited.reset(10);
            assert!(visited.insert(3), "round {round}");
            assert!(!visited.insert(3));
            assert!(visited.insert(9));
            assert!(!visited.insert(1_000_000));
        }
    }
}
