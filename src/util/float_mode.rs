//! Does a result depend on the host's floating-point mode? No: every call computes in the default mode.

/// Puts the thread into the default mode until dropped.
#[derive(Debug)]
pub(crate) struct Guard {}

impl Guard {
    pub(crate) fn new() -> Self {
        Self {}
    }
}
