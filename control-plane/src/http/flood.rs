//! Buckets of tokens, one for each key: the first few at once, then one in a while; what was left out is counted in the
//! next that is let through.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Most keys that are remembered; the rest share one place.
const KEYS: usize = 4_096;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: u32,
    since: Instant,
    suppressed: u64,
}

/// The remembered keys.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    burst: u32,
    refill: Duration,
    /// `None` is the shared place.
    buckets: HashMap<Option<K>, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// So many at once, then one more after each time.
    pub(crate) fn new(burst: u32, refill: Duration) -> Self {
        Self { burst, refill, buckets: HashMap::new() }
    }

    /// Whether one more of a key is let through now: how many were left out since the last one that was.
    pub(crate) fn admit(&mut self, key: K, now: Instant) -> Option<u64> {
        let mut key = Some(key);
        if !self.buckets.contains_key(&key) && self.buckets.len() >= KEYS {
            let rested = self.refill * self.burst;
            self.buckets.retain(|_, b| b.suppressed > 0 || now.duration_since(b.since) < rested);
            if self.buckets.len() >= KEYS {
                key = None;
            }
        }
        let burst = self.burst;
        let bucket = self.buckets.entry(key).or_insert(Bucket { tokens: burst, since: now, suppressed: 0 });
        let earned = now.duration_since(bucket.since).as_nanos() / self.refill.as_nanos().max(1);
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            bucket.tokens = bucket.tokens.saturating_add(earned).min(burst);
            bucket.since = now;
        }
        if bucket.tokens == 0 {
            bucket.suppressed += 1;
            return None;
        }
        bucket.tokens -= 1;
        Some(std::mem::take(&mut bucket.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const BURST: u32 = 10;
    const REFILL: Duration = Duration::from_secs(6);

    #[test]
    fn a_burst_is_written_then_a_few_and_the_rest_is_counted() {
        let (mut flood, start) = (Buckets::new(BURST, REFILL), Instant::now());
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let written = (0..1_000).filter(|_| flood.admit(address, start).is_some()).count();
        assert_eq!(written, BURST as usize);
        assert_eq!(flood.admit(address, start + REFILL), Some(990));
        assert_eq!(flood.admit(address, start + REFILL), None);
        assert_eq!(flood.admit("10.0.0.2".parse().unwrap(), start), Some(0));
    }

    #[test]
    fn many_addresses_share_what_is_left() {
        let (mut flood, start) = (Buckets::new(BURST, REFILL), Instant::now());
        let written = (0..20_000u32)
            .filter(|n| flood.admit(IpAddr::V4((0x0a00_0000 + n).into()), start).is_some())
            .count();
        assert_eq!(written, KEYS + BURST as usize);
        assert!(flood.buckets.len() <= KEYS + 1);
    }
}
