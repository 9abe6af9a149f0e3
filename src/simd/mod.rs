//! Room simd.
