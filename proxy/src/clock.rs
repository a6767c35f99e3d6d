//! A clock for what need not be exact.

/// Milliseconds since some instant before this process, by a clock that is cheap to read and steps every few.
pub(crate) fn coarse_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let (seconds, nanoseconds) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds.wrapping_mul(1_000).wrapping_add(nanoseconds / 1_000_000)
}
