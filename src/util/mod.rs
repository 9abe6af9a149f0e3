//! Which small tools does every room share? Errors, memory that never moves, threads, floating-point mode, re-entry marks.
//!
//! This room uses no other room.

pub(crate) mod epoch;
pub mod error;
pub(crate) mod float_mode;
pub(crate) mod fork;
pub(crate) mod hands;
pub(crate) mod memory;
pub(crate) mod pool;
pub(crate) mod progress;
pub(crate) mod random;
pub(crate) mod reentry;
pub(crate) mod sync;
pub(crate) mod worker;
