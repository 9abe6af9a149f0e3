//! How does kith compute the same whatever floating-point mode its host runs in?
//!
//! Hosts such as audio engines and games switch the processor to flush-to-zero, or to another rounding. A [`Guard`]
//! made at each entry of the C ABI sets the default mode and puts the host's back when dropped. Where the mode is
//! the default already, as it mostly is, that costs one read.

/// The default mode until dropped, on this thread.
#[derive(Debug)]
#[must_use = "the mode is put back when the guard is dropped"]
pub(crate) struct Guard {
    /// The host's register, if it had to be changed.
    host: Option<arch::Control>,
    /// The register belongs to the thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Guard {
    /// Sets the default mode: round to nearest, denormals kept, no traps.
    #[inline]
    pub(crate) fn new() -> Self {
        let found = arch::read();
        let wanted = arch::wanted(found);
        let changed = wanted != found;
        if changed {
            arch::write(wanted);
        }
        Self { host: changed.then_some(found), _not_send: std::marker::PhantomData }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        if let Some(host) = self.host {
            arch::write(host);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod arch {
    /// MXCSR.
    pub(super) type Control = u32;

    /// Exception flags, which every operation may set and nobody's answer depends on.
    const FLAGS: u32 = 0x003f;
    /// All exceptions masked, round to nearest, no FTZ, no DAZ.
    const DEFAULT: u32 = 0x1f80;

    pub(super) fn wanted(found: Control) -> Control {
        DEFAULT | found & FLAGS
    }

    #[inline]
    pub(super) fn read() -> Control {
        let mut control: Control = 0;
        // SAFETY: stores MXCSR to the local it is given; SSE is part of x86-64.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack, preserves_flags)) };
        control
    }

    #[inline]
    pub(super) fn write(control: Control) {
        // SAFETY: loads a value that was read from MXCSR or is the architectural default, so no reserved bit is set.
        // The compiler assumes the default mode, and only the default or, at the end of a guard, the host's returns.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    /// FPCR.
    pub(super) type Control = u64;

    /// FZ16, rounding mode, FZ, DN, AH and FIZ, trap enables.
    const OURS: u64 = 1 << 19 | 0b11 << 22 | 1 << 24 | 1 << 25 | 0b11 | 0x9f00;

    pub(super) fn wanted(found: Control) -> Control {
        found & !OURS
    }

    #[inline]
    pub(super) fn read() -> Control {
        let control: Control;
        // SAFETY: reads FPCR, which user code may.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
        control
    }

    #[inline]
    pub(super) fn write(control: Control) {
        // SAFETY: writes a value that was read from FPCR, or the same with mode bits cleared, which is the default mode.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) control, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod arch {
    /// Nothing is known of this machine's mode.
    pub(super) type Control = ();

    pub(super) fn wanted(_found: Control) -> Control {}
    pub(super) fn read() -> Control {}
    pub(super) fn write(_control: Control) {}
}

#[cfg(test)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Flush-to-zero (and on x86 denormals-are-zero), rounding up.
    #[cfg(target_arch = "x86_64")]
    const STRANGE: arch::Control = 0x1f80 | 1 << 15 | 1 << 6 | 0b10 << 13;
    #[cfg(target_arch = "aarch64")]
    const STRANGE: arch::Control = 1 << 24 | 0b01 << 22;

    /// What of the register is mode; the rest of MXCSR are flags that any operation may raise.
    #[cfg(target_arch = "x86_64")]
    const MODE: arch::Control = !0x3f;
    #[cfg(target_arch = "aarch64")]
    const MODE: arch::Control = !0;

    fn half_of_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    #[test]
    fn the_default_holds_inside_and_the_host_gets_its_mode_back() {
        let before = arch::read();
        arch::write(STRANGE);
        let flushed = half_of_smallest_normal();
        let kept = {
            let _guard = Guard::new();
            half_of_smallest_normal()
        };
        let flushed_again = half_of_smallest_normal();
        let after = arch::read();
        arch::write(before);
        assert_eq!(flushed, 0.0, "the test's mode works");
        assert_eq!(kept, f32::MIN_POSITIVE / 2.0);
        assert_eq!(flushed_again, 0.0);
        assert_eq!(after & MODE, STRANGE & MODE, "the host has its mode back");
    }

    #[test]
    fn nothing_is_written_in_the_default_mode() {
        let guard = Guard::new();
        assert!(guard.host.is_none());
        let inner = Guard::new();
        assert!(inner.host.is_none());
    }
}
