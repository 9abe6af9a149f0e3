//! Is this thread inside a callback of that index?
//!
//! A callback may read the index that called it but must not change it. While a call that may run callbacks is under way, its
//! index stands in a list that hangs on this thread; changing calls look there and answer `Busy`.

use std::cell::Cell;
use std::ptr::null;

#[derive(Debug)]
struct Mark {
    index: usize,
    outer: *const Mark,
}

thread_local! {
    /// The innermost mark. `const` and without destructor: usable while the thread ends.
    static INNERMOST: Cell<*const Mark> = const { Cell::new(null()) };
}

/// Runs `body` with `index` (any address that names it) marked as calling back on this thread.
pub(crate) fn calling_back<T>(index: usize, body: impl FnOnce() -> T) -> T {
    struct Restore(*const Mark);
    impl Drop for Restore {
        fn drop(&mut self) {
            INNERMOST.with(|cell| cell.set(self.0));
        }
    }
    let mark = Mark { index, outer: INNERMOST.with(Cell::get) };
    let _restore = Restore(mark.outer);
    INNERMOST.with(|cell| cell.set(&raw const mark));
    body()
}

/// Whether this thread is inside `calling_back(index, ..)`.
pub(crate) fn is_calling_back(index: usize) -> bool {
    let mut mark = INNERMOST.with(Cell::get);
    while !mark.is_null() {
        // SAFETY: every mark in the list lives on this thread's stack in a frame of `calling_back` that has not returned;
        // Restore unhooks it before that frame goes away, by return or by unwinding.
        let here = unsafe { &*mark };
        if here.index == index {
            return true;
        }
        mark = here.outer;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_nest_and_survive_unwinding() {
        assert!(!is_calling_back(1));
        calling_back(1, || {
            calling_back(2, || assert!(is_calling_back(1) && is_calling_back(2)));
            let unwound = std::panic::catch_unwind(|| calling_back(3, || std::panic::resume_unwind(Box::new(()))));
            assert!(unwound.is_err());
            assert!(is_calling_back(1) && !is_calling_back(2) && !is_calling_back(3));
        });
        assert!(!is_calling_back(1));
    }
}
