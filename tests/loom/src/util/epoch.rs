//! Pointers that are published, as crossbeam-epoch's, but what is unlinked is freed at the end of the process only. What is deferred runs
//! when nobody is pinned, which is the latest that crossbeam-epoch may take, and the simplest that keeps its promise.

use loom::sync::atomic::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr::null_mut;

#[derive(Debug)]
pub(crate) struct Guard;

/// Who is pinned, and what waits for them.
#[derive(Default)]
struct Inside {
    pinned: usize,
    deferred: Vec<Box<dyn FnOnce() + Send>>,
}

loom::lazy_static! {
    static ref INSIDE: loom::sync::Mutex<Inside> = loom::sync::Mutex::new(Inside::default());
}

/// A thread that is inside.
pub(crate) struct Pin;

impl Pin {
    pub(crate) fn new() -> Self {
        INSIDE.lock().expect("a model that panics ends").pinned += 1;
        Self
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut inside = INSIDE.lock().expect("a model that panics ends");
        inside.pinned -= 1;
        if inside.pinned == 0 {
            let deferred = std::mem::take(&mut inside.deferred);
            drop(inside);
            deferred.into_iter().for_each(|run| run());
        }
    }
}

impl Guard {
    pub(crate) fn defer<R>(&self, run: impl FnOnce() -> R + Send + 'static) {
        let mut inside = INSIDE.lock().expect("a model that panics ends");
        if inside.pinned > 0 {
            return inside.deferred.push(Box::new(move || drop(run())));
        }
        drop(inside);
        drop(run());
    }

    pub(crate) fn flush(&self) {}

    pub(crate) unsafe fn defer_destroy<T>(&self, _unlinked: Shared<'_, T>) {}
}

pub(crate) struct Owned<T>(Box<T>);

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Box::new(value))
    }
}

pub(crate) struct Shared<'g, T>(*mut T, PhantomData<&'g T>);

impl<'g, T> Shared<'g, T> {
    pub(crate) unsafe fn as_ref(&self) -> Option<&'g T> {
        // SAFETY: null, or a box that is never freed while a model runs.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

#[derive(Debug)]
pub(crate) struct Atomic<T>(AtomicPtr<T>);

impl<T> Atomic<T> {
    pub(crate) fn null() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    pub(crate) fn load<'g>(&self, order: Ordering, _guard: &'g Guard) -> Shared<'g, T> {
        Shared(self.0.load(order), PhantomData)
    }

    pub(crate) fn swap<'g>(&self, new: Owned<T>, order: Ordering, _guard: &'g Guard) -> Shared<'g, T> {
        Shared(self.0.swap(Box::into_raw(new.0), order), PhantomData)
    }

    pub(crate) unsafe fn try_into_owned(self) -> Option<Owned<T>> {
        None
    }
}
