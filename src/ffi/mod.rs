//! How does C reach the index? Every exported function, struct and constant of `include/kith.h`, and nothing else.
//!
//! The doc comments in this room are the C manual: `tests/header.rs` turns them into `include/kith.h`, so they speak to C
//! programmers. `cbindgen.toml` holds the header's first chapter.
//!
//! - `types`: structs, constants and callback types, as C sees them
//! - `library`, `life`, `content`, `learning`, `upkeep`, `search`, `tuning`, `reading`, `disk`, `durable`, `exchange`: the functions, by
//!   chapter of the header
//! - `enter`: what surrounds every call: floating-point mode, the net under panics, the text of the last error
//! - `arguments`: from C pointers to Rust references, with every check that is possible
//! - `options`: from C structs to the options of [`crate::Index`]
//!
//! # Safety
//!
//! The functions here are unsafe for one reason: they follow pointers. Each needs of its caller what the header says, that is:
//!
//! - a handle comes from `kith_create` or one of the functions named `kith_open`, was not freed, and is not freed while the call runs;
//! - an input pointer is readable, and an output pointer writable, for the number of bytes that the header names; no other
//!   thread writes to them during the call; outputs overlap neither each other nor the inputs;
//! - a `path` ends with a zero byte;
//! - a callback and its `ctx` may be used until the call returns, on the threads that the header names.
//!
//! NULL, misaligned pointers, sizes that overflow and unknown numbers are not part of this list: they are checked.

// The names are those of the C interface, and the chapter above is the safety section of all functions.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod arguments;
mod content;
mod disk;
mod durable;
mod enter;
mod exchange;
#[cfg(feature = "test-hooks")]
mod hooks;
mod learning;
mod library;
mod life;
mod options;
mod reading;
mod search;
mod tuning;
mod types;
mod upkeep;

pub use content::*;
pub use disk::*;
pub use durable::*;
pub use exchange::*;
#[cfg(feature = "test-hooks")]
pub use hooks::*;
pub use learning::*;
pub use library::*;
pub use life::*;
pub use reading::*;
pub use search::*;
pub use tuning::*;
pub use types::*;
pub use upkeep::*;
