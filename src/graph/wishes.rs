//! What becomes of a link to be put into a row that somebody is editing?
//!
//! An edit takes microseconds, but where there are more threads than cores the editor may be off its core for a hundred milliseconds, and all
//! would wait who want a popular row. So whoever has looked a few times writes down here what it wanted, marks the row's byte ([`row::ask`]) and
//! goes on; nobody lets go of a marked byte before it has looked here ([`super::Locked`]). The editor was inside the index before the
//! wish was made, so the slot that is wished for is not used anew before the wish has come true.

use super::row;
use crate::util::sync::{AtomicU8, AtomicU64, Ordering};

/// Wishes of a graph that can be open at a time.
pub(super) const ROOM: usize = 64;
/// Bits of a slot.
const SLOT: u32 = 31;

/// Open wishes of a graph, in no order. 0: none.
#[derive(Debug)]
pub(super) struct Wishes(Box<[AtomicU64]>);

/// The row of `owner` on `level`, which is at most [`Wish::LEVELS`], is to lead to `link`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) owner: u32,
    pub(super) level: u32,
    pub(super) link: u32,
}

impl Wish {
    /// The highest level.
    pub(super) const LEVELS: u32 = 3;

    /// Never 0: no row leads to its owner.
    fn pack(self) -> u64 {
        u64::from(self.level) << (2 * SLOT) | u64::from(self.owner) << SLOT | u64::from(self.link)
    }

    fn unpack(wish: u64) -> Self {
        let slot = |shift: u32| (wish >> shift) as u32 & ((1 << SLOT) - 1);
        Self { owner: slot(SLOT), level: (wish >> (2 * SLOT)) as u32, link: slot(0) }
    }
}

impl Wishes {
    pub(super) fn new(room: usize) -> Self {
        Self((0..room).map(|_| AtomicU64::new(0)).collect())
    }

    /// Leaves a wish to whoever holds the owner's byte; `false` if nobody does any more. Where too many are open already, the link is given up: the
    /// row has more to choose from than it can hold.
    pub(super) fn leave(&self, byte: &AtomicU8, wish: Wish) -> bool {
        let wish = wish.pack();
        // Release: whoever takes it may look at the slot that is wished for.
        let write = |cell: &&AtomicU64| {
            cell.load(Ordering::Relaxed) == 0
                && cell.compare_exchange(0, wish, Ordering::Release, Ordering::Relaxed).is_ok()
        };
        let Some(cell) = self.0.iter().find(write) else { return true };
        // If it cannot be taken back, somebody else has left a wish for that row, and both were met.
        row::ask(byte) || cell.compare_exchange(wish, 0, Ordering::Relaxed, Ordering::Relaxed).is_err()
    }

    /// Takes the wishes for the rows of a slot, whose byte is held.
    pub(super) fn take(&self, owner: u32, mut each: impl FnMut(Wish)) {
        for cell in &*self.0 {
            let wish = cell.load(Ordering::Relaxed);
            if wish != 0
                && Wish::unpack(wish).owner == owner
                && cell.compare_exchange(wish, 0, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                each(Wish::unpack(wish));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_comes_back_whole() {
        let most = (1 << SLOT) - 1;
        for wish in [
            Wish { owner: 0, level: 0, link: 1 },
            Wish { owner: 1, level: Wish::LEVELS, link: 0 },
            Wish { owner: most, level: 2, link: most - 1 },
        ] {
            assert_eq!(Wish::unpack(wish.pack()), wish);
            assert_ne!(wish.pack(), 0);
        }
    }

    #[test]
    fn wishes_are_left_to_holders_only_and_no_more_than_there_is_room_for() {
        let (wishes, byte) = (Wishes::new(3), AtomicU8::new(0));
        let wish = |link| Wish { owner: 7, level: 1, link };
        assert!(!wishes.leave(&byte, wish(1)), "nobody holds it");
        row::acquire(&byte);
        assert!((1..=5).all(|link| wishes.leave(&byte, wish(link))));
        assert!(!row::release(&byte), "something was left");
        wishes.take(8, |_| unreachable!("of another slot"));
        let mut taken = Vec::new();
        wishes.take(7, |wish| taken.push(wish.link));
        assert_eq!(taken, [1, 2, 3]);
        assert!(row::release(&byte) && !wishes.leave(&byte, wish(1)));
        wishes.take(7, |_| unreachable!("taken back"));
    }
}
