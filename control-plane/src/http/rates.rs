//! How often a caller may ask, and how often an address may be refused.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use palisade_catalog::address::network;
use parking_lot::Mutex;

use crate::http::flood::Buckets;

/// How many seconds' worth of requests may come at once.
const BURST_SECONDS: u32 = 5;
/// Most refused requests of one address at once; one more in each tenth of a second.
const REFUSED: u32 = 200;

/// The limits and their buckets.
pub(crate) struct Rates {
    callers: Mutex<Buckets<String>>,
    addresses: Mutex<Buckets<IpAddr>>,
}

impl Rates {
    /// So many requests of one caller a second.
    pub(crate) fn new(requests_per_second: u32) -> Self {
        let each = Duration::from_secs(1) / requests_per_second.max(1);
        Self {
            callers: Mutex::new(Buckets::new(requests_per_second.saturating_mul(BURST_SECONDS), each)),
            addresses: Mutex::new(Buckets::new(REFUSED, Duration::from_millis(100))),
        }
    }

    /// Whether a caller may ask now.
    pub(crate) fn asked(&self, subject: &str) -> bool {
        self.callers.lock().admit(subject.to_owned(), Instant::now()).is_some()
    }

    /// Whether an address may be refused by reason now, or only be told to wait.
    pub(crate) fn refused(&self, address: IpAddr) -> bool {
        self.addresses.lock().admit(network(address), Instant::now()).is_some()
    }
}
