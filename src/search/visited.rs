//! Which slots has this walk seen? One byte per slot, and a new mark instead of clearing.

/// The slots that a walk has seen. Resetting takes constant time; every 255th reset clears the bytes.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    marks: Vec<u8>,
    mark: u8,
}

impl Visited {
    /// Forgets all slots; makes room for `slots`.
    pub(crate) fn reset(&mut self, slots: usize) {
        if self.marks.len() < slots {
            // A growing index asks for a little more each time: leave room.
            self.marks.resize(slots + slots / 4, 0);
        }
        if self.mark == u8::MAX {
            self.marks.fill(0);
            self.mark = 0;
        }
        self.mark += 1;
    }

    /// Marks a slot; says whether it was new. Slots beyond the room (linked since the reset) are passed over as seen.
    #[inline(always)]
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        match self.marks.get_mut(slot as usize) {
            Some(mark) if *mark != self.mark => {
                *mark = self.mark;
                true
            }
            _ => false,
        }
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
