//! float_mode.
