//! Failed logins, limited by address and by tenant, so that secrets cannot be tried out.
//!
//! A failure fills a bucket that empties evenly; a full bucket refuses the next try before anything is checked. A
//! tenant's bucket counts failures under its name whether a tenant has that name or not: nobody learns which names are
//! taken. An address that has logged in to the tenant is let through a full bucket of the tenant's: strangers cannot
//! lock its applications out.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use palisade_catalog::address::network;
use parking_lot::Mutex;

use crate::config::ProxyConfig;

/// Most addresses, tenants, and pairs of both that are remembered; the least recently seen are forgotten.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// In this time a full bucket empties.
const EMPTIES_IN: Duration = Duration::from_secs(60);

/// Which limit refuses a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// `failed_logins_per_address`.
    Address,
    /// `failed_logins_per_tenant`.
    Tenant,
}

impl Full {
    /// The limit's name in the configuration.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Full::Address => "failed_logins_per_address",
            Full::Tenant => "failed_logins_per_tenant",
        }
    }
}

/// A try that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// By which limit.
    pub(crate) full: Full,
    /// When the next try may be made.
    pub(crate) wait: Duration,
    /// The first one since the bucket was full: this one is recorded, the others are counted.
    pub(crate) first: bool,
}

/// Failures in a minute, of one address or one tenant.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
    told: bool,
}

struct Buckets<K: Hash + Eq> {
    all: LruCache<K, Bucket>,
    /// Failures that fill a bucket; 0 is no limit.
    limit: u32,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(limit: u32) -> Self {
        Self { all: LruCache::new(REMEMBERED), limit }
    }

    /// How long until a try fits, where none fits now, and whether that is told for the first time.
    fn full(&mut self, key: &K, now: Instant) -> Option<(Duration, bool)> {
        let bucket = self.all.get_mut(key)?;
        bucket.empty(now, self.limit);
        let over = bucket.level + 1.0 - f64::from(self.limit);
        if self.limit == 0 || over <= 0.0 {
            bucket.told = false;
            return None;
        }
        let first = !std::mem::replace(&mut bucket.told, true);
        Some((EMPTIES_IN.mul_f64(over / f64::from(self.limit)), first))
    }

    fn fill(&mut self, key: K, now: Instant) {
        if self.limit == 0 {
            return;
        }
        let limit = self.limit;
        let bucket = self.all.get_or_insert_mut(key, || Bucket { level: 0.0, at: now, told: false });
        bucket.empty(now, limit);
        bucket.level = (bucket.level + 1.0).min(f64::from(limit));
    }
}

impl Bucket {
    fn empty(&mut self, now: Instant, limit: u32) {
        let share = now.saturating_duration_since(self.at).as_secs_f64() / EMPTIES_IN.as_secs_f64();
        self.level = (self.level - share * f64::from(limit)).max(0.0);
        self.at = now;
    }
}

/// All buckets.
struct State {
    addresses: Buckets<IpAddr>,
    tenants: Buckets<Box<str>>,
    /// Who has logged in where.
    known: LruCache<(IpAddr, Box<str>), ()>,
    /// Whose failures are not limited.
    exempt: Vec<IpAddr>,
}

impl State {
    fn exempts(&self, address: IpAddr) -> bool {
        self.exempt.contains(&address.to_canonical())
    }
}

/// The limits of failed logins.
pub(crate) struct Throttle(Mutex<State>);

impl Throttle {
    /// With the limits of the configuration.
    pub(crate) fn new(config: &ProxyConfig) -> Self {
        Self(Mutex::new(State {
            addresses: Buckets::new(config.failed_logins_per_address),
            tenants: Buckets::new(config.failed_logins_per_tenant),
            known: LruCache::new(REMEMBERED),
            exempt: config.failed_logins_exempt.clone(),
        }))
    }

    /// With the limits of another configuration.
    pub(crate) fn limit(&self, config: &ProxyConfig) {
        let state = &mut *self.0.lock();
        state.addresses.limit = config.failed_logins_per_address;
        state.tenants.limit = config.failed_logins_per_tenant;
        state.exempt.clone_from(&config.failed_logins_exempt);
    }

    /// Whether a login may be tried.
    pub(crate) fn check(&self, address: IpAddr, tenant: &str, now: Instant) -> Result<(), Refused> {
        let state = &mut *self.0.lock();
        if state.exempts(address) {
            return Ok(());
        }
        let address = network(address);
        if let Some((wait, first)) = state.addresses.full(&address, now) {
            return Err(Refused { full: Full::Address, wait, first });
        }
        let key = (address, Box::from(tenant));
        if state.known.get(&key).is_none()
            && let Some((wait, first)) = state.tenants.full(&key.1, now)
        {
            return Err(Refused { full: Full::Tenant, wait, first });
        }
        Ok(())
    }

    /// A login has failed.
    pub(crate) fn failed(&self, address: IpAddr, tenant: &str, now: Instant) {
        let state = &mut *self.0.lock();
        if state.exempts(address) {
            return;
        }
        state.addresses.fill(network(address), now);
        state.tenants.fill(tenant.into(), now);
    }

    /// A login has held.
    pub(crate) fn held(&self, address: IpAddr, tenant: &str) {
        self.0.lock().known.put((network(address), tenant.into()), ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(address: u32, tenant: u32) -> Throttle {
        Throttle::new(&ProxyConfig {
            failed_logins_per_address: address,
            failed_logins_per_tenant: tenant,
            ..ProxyConfig::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_full_bucket_of_an_address_refuses_until_it_empties() {
        let throttle = throttle(3, 0);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(throttle.check(ip("192.0.2.1"), "acme", start), Ok(()));
            throttle.failed(ip("192.0.2.1"), "acme", start);
        }
        let refused = throttle.check(ip("192.0.2.1"), "globex", start).unwrap_err();
        assert_eq!((refused.full, refused.wait, refused.first), (Full::Address, EMPTIES_IN / 3, true));
        assert!(!throttle.check(ip("192.0.2.1"), "acme", start).unwrap_err().first, "told once");
        assert_eq!(throttle.check(ip("192.0.2.2"), "acme", start), Ok(()), "another address");
        let later = start + Duration::from_secs(21);
        assert_eq!(throttle.check(ip("192.0.2.1"), "acme", later), Ok(()), "one fits again");
    }

    #[test]
    fn a_full_bucket_of_a_tenant_lets_known_addresses_through() {
        let throttle = throttle(0, 2);
        let now = Instant::now();
        throttle.held(ip("192.0.2.9"), "acme");
        for n in 1..=2 {
            throttle.failed(ip(&format!("198.51.100.{n}")), "acme", now);
            throttle.failed(ip(&format!("198.51.100.{n}")), "nobody", now);
        }
        for tenant in ["acme", "nobody"] {
            let refused = throttle.check(ip("198.51.100.7"), tenant, now).unwrap_err();
            assert_eq!(refused.full, Full::Tenant, "{tenant}: taken or not, the answer is the same");
        }
        assert_eq!(throttle.check(ip("192.0.2.9"), "acme", now), Ok(()));
        assert_eq!(throttle.check(ip("198.51.100.7"), "globex", now), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let throttle = throttle(1, 0);
        let now = Instant::now();
        throttle.failed(ip("2001:db8::1"), "acme", now);
        assert!(throttle.check(ip("2001:db8::ffff:2"), "acme", now).is_err());
        assert!(throttle.check(ip("2001:db8:0:1::1"), "acme", now).is_ok());
        throttle.failed(ip("::ffff:192.0.2.1"), "acme", now);
        assert!(throttle.check(ip("192.0.2.1"), "acme", now).is_err());
    }

    #[test]
    fn an_exempt_address_is_neither_counted_nor_refused() {
        let throttle = throttle(1, 1);
        let now = Instant::now();
        for _ in 0..5 {
            throttle.failed(ip("::ffff:127.0.0.1"), "acme", now);
            assert_eq!(throttle.check(ip("127.0.0.1"), "acme", now), Ok(()));
        }
        assert_eq!(throttle.check(ip("192.0.2.1"), "acme", now), Ok(()), "the tenant's bucket is empty");
    }
}
