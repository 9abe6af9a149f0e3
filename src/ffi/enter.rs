//! What surrounds every call from C? The default floating-point mode, a net under panics, and the text of the last error.
//!
//! A call costs a few nanoseconds more than its body: one relaxed load for the hook, the mode guard, two stores to a
//! thread-local, and an unwinding table that is only read when something unwinds.

use super::arguments::borrow;
use super::types::{kith_index, kith_status};
use crate::index::Index;
use crate::util::error::{Error, Result};
use crate::util::float_mode::Guard;
use std::any::Any;
use std::cell::Cell;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

/// Bytes of the longest text of an error, with its zero byte.
const TEXT: usize = 1024;

thread_local! {
    /// This thread's last error as a C string. `const` and without destructor, so it can be used while the thread ends (a C++
    /// `thread_local` object may well call kith in its destructor), and failing needs no memory.
    static LAST: [Cell<u8>; TEXT] = const { [const { Cell::new(0) }; TEXT] };

    /// How many calls of kith this thread is inside of; more than one when a callback calls kith.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs the body of an exported function that changes no index.
pub(super) fn enter(name: &'static str, body: impl FnOnce() -> Result<()>) -> kith_status {
    match guarded(body) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => fail(name, &error),
        Err(defect) => fail(name, &Error::internal(defect)),
    }
}

/// Runs the body of an exported function that changes an index. A panic leaves the index readable but no longer changeable:
/// nobody knows what the interrupted change left behind.
///
/// # Safety
/// - `index` is NULL or a live handle.
pub(super) unsafe fn change(
    name: &'static str,
    index: *const kith_index,
    body: impl FnOnce(&Index) -> Result<()>,
) -> kith_status {
    // SAFETY: the caller's promise, passed on.
    let outcome = guarded(|| body(unsafe { borrow(index) }?));
    match outcome {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => fail(name, &error),
        Err(defect) => {
            // SAFETY: as above.
            if let Ok(index) = unsafe { borrow(index) } {
                // A second defect while noting the first must not get out either; the status below says all there is to say.
                let _ = guarded(|| index.poison(&format!("{name}: {defect}")));
            }
            fail(name, &Error::internal(defect))
        }
    }
}

/// Runs `body` in the default floating-point mode; a panic becomes its sentence.
pub(super) fn guarded<T>(body: impl FnOnce() -> T) -> std::result::Result<T, String> {
    silence_panics();
    let _mode = Guard::new();
    let depth = DEPTH.get();
    DEPTH.set(depth + 1);
    // What a panic can leave broken is either on the stack of `body`, which is gone, or in an index, which `change` poisons.
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(depth);
    outcome.map_err(|payload| defect(payload.as_ref()))
}

/// This thread's last error as a C string; empty when no call has failed yet.
pub(super) fn last_error() -> *const c_char {
    LAST.with(|text| text.as_ptr().cast::<c_char>())
}

#[cold]
fn fail(name: &str, error: &Error) -> kith_status {
    remember(name, error.text());
    error.status() as kith_status
}

/// Stores `name: text`. A text that does not fit loses its middle: its beginning names the argument, its end the cause.
fn remember(name: &str, text: &str) {
    const GAP: &str = " ... ";
    let room = TEXT - 1 - name.len() - 2;
    let (head, gap, tail) = if text.len() <= room {
        (text, "", "")
    } else {
        let half = (room - GAP.len()) / 2;
        (&text[..text.floor_char_boundary(half)], GAP, &text[text.ceil_char_boundary(text.len() - half)..])
    };
    let bytes = [name, ": ", head, gap, tail].into_iter().flat_map(str::bytes);
    LAST.with(|last| {
        let mut end = 0;
        for (place, byte) in last[..TEXT - 1].iter().zip(bytes) {
            // A zero byte would end the text early for C.
            place.set(if byte == 0 { b'?' } else { byte });
            end += 1;
        }
        last[end].set(0);
    });
}

/// What the panic hook saw, kept until the panic arrives at `guarded`, perhaps on another thread (the pool carries it over).
struct Panic {
    message: String,
    place: String,
}

static PANICS: Mutex<Vec<Panic>> = Mutex::new(Vec::new());

/// Most panics remembered at a time: those that never arrive (because an inner room handled them) must not pile up.
const MOST_PANICS: usize = 16;

/// Makes panics inside kith silent, once per process. The default hook prints to stderr, which belongs to the host program.
/// In the shared and static libraries the hook sits in kith's own copy of std, where no host can meet it.
fn silence_panics() {
    static INSTALLED: Once = Once::new();
    // The hook cannot be changed by a thread that is unwinding; the next call will do it.
    if INSTALLED.is_completed() || std::thread::panicking() {
        return;
    }
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| if is_ours() { note(info) } else { previous(info) }));
    });
}

/// Whether the panicking thread is inside a call of kith or works for one.
fn is_ours() -> bool {
    DEPTH.get() > 0 || std::thread::current().name().is_some_and(|name| name.starts_with("kith-"))
}

fn note(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "unknown place".to_owned(), |at| format!("{}:{}", at.file(), at.line()));
    let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    if panics.len() == MOST_PANICS {
        panics.remove(0);
    }
    panics.push(Panic { message: message(info.payload()).to_owned(), place });
}

/// The sentence for a panic that arrived: what it said and where.
#[cold]
fn defect(payload: &(dyn Any + Send)) -> String {
    let message = message(payload);
    let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = panics.iter().rposition(|panic| panic.message == message).map(|i| panics.remove(i).place);
    let place = place.as_deref().unwrap_or("unknown place");
    format!("a defect of kith, please report it: {message} ({place})")
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn text() -> String {
        // SAFETY: last_error gives a C string that lives as long as this thread.
        unsafe { CStr::from_ptr(last_error()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn success_leaves_the_text() {
        assert_eq!(text(), "");
        assert_eq!(enter("kith_a", || Err(Error::argument("x is 1"))), -1);
        assert_eq!(enter("kith_b", || Ok(())), 0);
        assert_eq!(text(), "kith_a: x is 1");
    }

    #[test]
    fn long_texts_lose_their_middle_at_a_character_boundary() {
        let long = format!("begin{}end", "ü".repeat(2000));
        enter("kith_a", || Err(Error::argument(&long)));
        let text = text();
        assert!(text.len() < TEXT && text.len() > TEXT - 8, "{}", text.len());
        assert!(text.starts_with("kith_a: beginü") && text.contains("ü ... ü") && text.ends_with("üend"), "{text}");
    }

    #[test]
    fn zero_bytes_do_not_end_a_text() {
        enter("kith_a", || Err(Error::argument("a\0b")));
        assert_eq!(text(), "kith_a: a?b");
    }

    #[test]
    fn a_panic_becomes_a_status_and_names_its_place() {
        let line = line!() + 1;
        assert_eq!(enter("kith_a", || panic!("{} is odd", 7)), -99);
        assert_eq!(text(), format!("kith_a: a defect of kith, please report it: 7 is odd ({}:{line})", file!()));
    }

    #[test]
    fn a_panic_of_a_helping_thread_is_silent_and_names_its_place() {
        let status = enter("kith_a", || {
            let helper = std::thread::Builder::new().name("kith-0".to_owned());
            let payload = helper.spawn(|| panic!("helper")).map(std::thread::JoinHandle::join).unwrap().unwrap_err();
            std::panic::resume_unwind(payload)
        });
        assert_eq!(status, -99);
        assert!(text().contains("helper (src/ffi/enter.rs:"), "{}", text());
    }

    #[test]
    fn errors_are_per_thread_and_work_while_a_thread_ends() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                assert_eq!(enter("kith_late", || Err(Error::argument("x is 2"))), -1);
                assert_eq!(text(), "kith_late: x is 2");
            }
        }
        thread_local! { static LATE: Late = const { Late }; }
        enter("kith_a", || Err(Error::argument("x is 1")));
        let thread = std::thread::spawn(|| {
            LATE.with(|_| ());
            text()
        });
        assert_eq!(thread.join().unwrap(), "");
        assert_eq!(text(), "kith_a: x is 1");
    }
}
