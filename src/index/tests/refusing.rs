//! An allocator that refuses when a test asks it to.
//!
//! Only what the thread asks for that armed it, from [`LEAST`] bytes on, and where the code can bear it: it went through `try_reserve` or
//! `util::memory::Block`. What it asks for otherwise is granted, because Rust ends the process where such an allocation fails; the places
//! where that happens are kept, for [`granted_places`].

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

/// Smaller allocations are granted.
pub(super) const LEAST: usize = 4096;

/// How an act under [`refusing_at`] ended.
pub(super) struct Ended<T> {
    pub(super) result: T,
    /// Whether an allocation was refused.
    pub(super) refused: bool,
    /// Whether there were as many allocations as that.
    pub(super) reached: bool,
}

thread_local! {
    /// The number of the allocation that is refused; none while it is `None`.
    static AT: Cell<Option<usize>> = const { Cell::new(None) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    static GRANTED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Runs `act`, and refuses the allocation that it asks for after so many others.
pub(super) fn refusing_at<T>(number: usize, act: impl FnOnce() -> T) -> Ended<T> {
    /// Also when `act` panics.
    struct Disarm;
    impl Drop for Disarm {
        fn drop(&mut self) {
            AT.set(None);
        }
    }
    ASKED.set(0);
    REFUSED.set(false);
    let disarm = Disarm;
    AT.set(Some(number));
    let result = act();
    drop(disarm);
    Ended { result, refused: REFUSED.get(), reached: ASKED.get() > number }
}

/// Files of kith in which this thread's tests met allocations that cannot be refused.
pub(super) fn granted_places() -> BTreeSet<String> {
    GRANTED.with(|granted| granted.borrow().clone())
}

fn refuses(layout: Layout, zeroed: bool) -> bool {
    let Some(at) = AT.get() else { return false };
    if layout.size() < LEAST {
        return false;
    }
    let number = ASKED.get();
    ASKED.set(number + 1);
    if number != at {
        return false;
    }
    // What this function allocates is granted.
    AT.set(None);
    // Nothing else wants zeros on a cache line.
    let refuses = zeroed && layout.align() == crate::util::memory::LINE || is_bearable();
    REFUSED.set(refuses);
    AT.set(Some(at));
    refuses
}

fn is_bearable() -> bool {
    let trace = Backtrace::force_capture().to_string();
    if trace.contains("try_reserve") {
        return true;
    }
    let ours = trace.lines().filter_map(|line| line.trim().strip_prefix("at ./src/"));
    let place = ours.map(|line| line.split(':').next().unwrap_or(line)).find(|file| !file.ends_with("refusing.rs"));
    GRANTED.with(|granted| granted.borrow_mut().insert(place.unwrap_or("elsewhere").to_owned()));
    false
}

struct Refusing;

// SAFETY: every call goes to the system's allocator unchanged, or is refused by null, as allocators may.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refuses(layout, false) { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        if refuses(layout, true) { std::ptr::null_mut() } else { unsafe { System.alloc_zeroed(layout) } }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let larger = Layout::from_size_align(size, layout.align()).unwrap_or(layout);
        // SAFETY: the caller's promise.
        if refuses(larger, false) { std::ptr::null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;
