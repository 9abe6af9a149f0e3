//! A distance that the caller computes, between elements that are opaque to kith.

use std::fmt;
use std::sync::Arc;

/// A function of two elements, each by the address of its first byte.
type Function = dyn Fn(*const u8, *const u8) -> f64 + Send + Sync;

/// A caller's distance. The first element is what is looked for, the second a stored one.
#[derive(Clone)]
pub struct Custom(Arc<Function>);

impl Custom {
    /// A distance that may be asked for from several threads at once.
    pub fn new(function: impl Fn(*const u8, *const u8) -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    /// The distance; what is no number is farther than everything.
    #[inline]
    pub fn between(&self, a: *const u8, b: *const u8) -> f64 {
        let distance = (self.0)(a, b);
        if distance.is_nan() { f64::INFINITY } else { distance }
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Custom {}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}
