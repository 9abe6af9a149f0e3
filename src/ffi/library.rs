//! What library is this, and what went wrong last? The functions that need no index.

use super::enter::{guarded, last_error};
use super::types::kith_status;
use std::ffi::{CStr, c_char};

const VERSION: u32 = 10_000 * number(env!("CARGO_PKG_VERSION_MAJOR"))
    + 100 * number(env!("CARGO_PKG_VERSION_MINOR"))
    + number(env!("CARGO_PKG_VERSION_PATCH"));

const fn number(digits: &str) -> u32 {
    let digits = digits.as_bytes();
    let (mut value, mut i) = (0, 0);
    while i < digits.len() {
        value = value * 10 + (digits[i] - b'0') as u32;
        i += 1;
    }
    value
}

/// Version of the library that runs: 10000 major + 100 minor + patch. KITH_VERSION is that of the header. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn kith_version() -> u32 {
    VERSION
}

/// Which instructions compute the distances: "portable", "avx2", "avx512" or "neon". Chosen once, the best that this machine
/// has, capped by the environment variable KITH_CPU. The text is valid for ever. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn kith_cpu_level() -> *const c_char {
    let name = match guarded(|| crate::simd::detect().name()) {
        Ok("avx2") => c"avx2",
        Ok("avx512") => c"avx512",
        Ok("neon") => c"neon",
        _ => c"portable",
    };
    name.as_ptr()
}

/// One sentence about this thread's last failed call: the function, the argument or file, the value. UTF-8, at most 1,023
/// bytes (a longer sentence loses its middle). Never NULL; empty when no call has failed on this thread. A successful call leaves
/// it. Valid until the next failing call on this thread, so copy it if you keep it. Cannot fail.
///
/// The text is for people: it may change between versions. Programs decide by the status.
#[unsafe(no_mangle)]
pub extern "C" fn kith_last_error() -> *const c_char {
    last_error()
}

/// A few words for a status, such as "no vector has this key"; for a number that is no status, "unknown status". Never NULL; the
/// text is valid for ever. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn kith_status_text(status: kith_status) -> *const c_char {
    status_text(status).as_ptr()
}

fn status_text(status: kith_status) -> &'static CStr {
    match status {
        0 => c"success",
        -1 => c"an argument is not valid",
        -2 => c"no memory: the system refused it, or memory_limit",
        -3 => c"the system refused a file operation",
        -4 => c"the file is damaged or not a kith file",
        -5 => c"the file has a newer format or the other byte order",
        -6 => c"no vector has this key",
        -7 => c"a vector has this key already",
        -8 => c"the index is read-only",
        -9 => c"this version of kith cannot do that",
        -10 => c"cancelled by the progress callback",
        -11 => c"another call is in the way",
        -12 => c"the index is full",
        -99 => c"a defect of kith",
        _ => c"unknown status",
    }
}
