//! Which slots has this walk seen? One byte per slot, and a new mark instead of clearing.

use crate::util::error::Result;
use crate::util::memory::make_room;

/// The slots that a walk has seen. Behind the marks of all slots stands one that always counts as seen: numbers beyond the room (links that
/// end a row, slots linked since the reset) are taken for it, so that marking needs no branch. Resetting takes constant time; every 255th reset clears the bytes.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    marks: Vec<u8>,
    mark: u8,
    slots: usize,
}

impl Visited {
    /// Makes room for `slots`, so that the next reset needs no memory.
    pub(crate) fn make_room(&mut self, slots: usize) -> Result<()> {
        if self.marks.len() > slots { Ok(()) } else { make_room(&mut self.marks, room_for(slots)) }
    }

    /// Forgets all slots; makes room for `slots`.
    pub(crate) fn reset(&mut self, slots: usize) {
        if self.marks.len() <= slots {
            self.marks.resize(room_for(slots), 0);
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
        self.marks().insert(slot)
    }

    /// What a loop over slots marks them in.
    #[inline(always)]
    pub(crate) fn marks(&mut self) -> Marks<'_> {
        Marks { marks: &mut self.marks[..=self.slots], mark: self.mark }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.marks.capacity()
    }
}

/// Marks of a walk, by value: a byte that is written could otherwise be, for all a compiler knows, one of the numbers that tell where the marks are.
pub(crate) struct Marks<'a> {
    /// One for each slot, and the last one.
    marks: &'a mut [u8],
    mark: u8,
}

impl Marks<'_> {
    /// Marks a slot; says whether it was new.
    #[inline(always)]
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let last = self.marks.len() - 1;
        let mark = &mut self.marks[(slot as usize).min(last)];
        let new = *mark != self.mark;
        *mark = self.mark;
        new
    }
}

/// A growing index asks for a little more each time: leaves room.
fn room_for(slots: usize) -> usize {
    slots + slots / 4 + 1
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
