//! Room ffi.
