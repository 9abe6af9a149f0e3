//! kith: a vector index that C and C++ programs link.
//!
//! The public face is the C header `include/kith.h`, generated from the [`ffi`] room; Rust programs use [`Index`] directly.
//! ARCHITECTURE.md draws the rooms (modules) and the arrows between them; a test keeps both true.

mod build;
mod disk;
pub mod distance;
pub mod ffi;
mod foreign;
#[cfg(fuzzing)]
pub mod fuzzing;
mod graph;
pub mod index;
mod journal;
mod persist;
mod quant;
mod search;
pub mod simd;
mod store;
pub mod util;

pub use distance::Custom;
#[cfg(any(test, feature = "test-hooks"))]
#[doc(hidden)]
pub use graph::Audit;
pub use index::config::{BuildOptions, Counters, Filter, Info, Kind, OpenFlags, Options, Quantizer, SearchOptions};
pub use index::{Check, Format, Health, Index, LogInfo, LogOptions, Observer, Opaque, Query, Read, Rows, SyncPolicy};
#[cfg(any(test, feature = "test-hooks"))]
#[doc(hidden)]
pub use quant::{ProductCodec, cluster_rows};
pub use util::error::{Error, Result, Status};
