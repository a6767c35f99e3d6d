//! How often a tenant may begin a transaction: the generic cell rate algorithm (a leaky bucket that keeps one number).

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So much may come at once, as a time at the full rate.
const BURST: Duration = Duration::from_secs(1);

/// A rate that is shared by all logins of a tenant.
#[derive(Debug)]
pub(crate) struct Rate {
    /// Most transactions in a second.
    pub(crate) per_second: u32,
    interval: Duration,
    /// When the bucket is empty again.
    empty_at: Mutex<Instant>,
}

impl Rate {
    /// An empty bucket. `per_second` is at least 1.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = per_second.max(1);
        Self { per_second, interval: Duration::from_secs(1) / per_second, empty_at: Mutex::new(now) }
    }

    /// Takes a place; says how long to wait before it may be used. `None`: longer than `most`, and no place is taken.
    pub(crate) fn take(&self, now: Instant, most: Duration) -> Option<Duration> {
        let mut empty_at = self.empty_at.lock();
        let next = (*empty_at).max(now) + self.interval;
        let wait = next.saturating_duration_since(now + BURST);
        if wait > most {
            return None;
        }
        *empty_at = next;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_comes_evenly() {
        let start = Instant::now();
        let rate = Rate::new(10, start);
        let most = Duration::from_secs(1);
        for _ in 0..10 {
            assert_eq!(rate.take(start, most), Some(Duration::ZERO));
        }
        for n in 1..=10u32 {
            assert_eq!(rate.take(start, most), Some(Duration::from_millis(100) * n));
        }
        assert_eq!(rate.take(start, most), None, "it would have to wait too long");
        let later = start + Duration::from_secs(2);
        assert_eq!(rate.take(later, most), Some(Duration::ZERO));
    }
}
