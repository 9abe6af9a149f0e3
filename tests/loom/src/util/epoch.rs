//! Pointers that are published, as crossbeam-epoch's, but what is unlinked is freed at the end of the process only. The models are
//! not about reclamation.

use loom::sync::atomic::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr::null_mut;

#[derive(Debug)]
pub(crate) struct Guard;

impl Guard {
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
