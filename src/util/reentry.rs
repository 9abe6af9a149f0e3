//! reentry.
