//! `SHOW STATS` and its kin: what was counted since the start, and averages per second of the last full period.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Cell, Table};
use crate::Shared;

/// Over this time averages are taken, as PgBouncer's `stats_period`.
const PERIOD: Duration = Duration::from_secs(60);
/// How many numbers are counted.
const NUMBERS: usize = 7;

/// PgBouncer's names: what is counted, and its average.
const TOTALS: [&str; NUMBERS] = [
    "#total_xact_count",
    "#total_query_count",
    "#total_received",
    "#total_sent",
    "#total_xact_time",
    "#total_query_time",
    "#total_wait_time",
];
const AVERAGES: [&str; NUMBERS] = [
    "#avg_xact_count",
    "#avg_query_count",
    "#avg_recv",
    "#avg_sent",
    "#avg_xact_time",
    "#avg_query_time",
    "#avg_wait_time",
];

type Numbers = [u64; NUMBERS];
type ByTenant = BTreeMap<String, Numbers>;

/// The counts at the ends of the last full period.
pub(in crate::console) struct Sampler(Mutex<Samples>);

struct Samples {
    before: ByTenant,
    after: ByTenant,
    at: Instant,
    period: Duration,
}

impl Sampler {
    /// The first period begins.
    pub(in crate::console) fn new() -> Self {
        let none = BTreeMap::new();
        Self(Mutex::new(Samples { before: none.clone(), after: none, at: Instant::now(), period: PERIOD }))
    }

    /// Takes a sample at the end of every period, for ever.
    pub(in crate::console) async fn follow(&self, shared: &Shared) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let counts = counts(shared);
            let mut samples = self.0.lock();
            samples.before = std::mem::replace(&mut samples.after, counts);
            samples.period = samples.at.elapsed();
            samples.at = Instant::now();
        }
    }

    fn averages(&self) -> BTreeMap<String, Numbers> {
        let samples = self.0.lock();
        let average = |(tenant, after): (&String, &Numbers)| {
            let before = samples.before.get(tenant).copied().unwrap_or_default();
            (tenant.clone(), averages_of(before, *after, samples.period))
        };
        samples.after.iter().map(average).collect()
    }
}

/// Counts and bytes are averaged per second; times per transaction, query and transaction, in microseconds.
fn averages_of(before: Numbers, after: Numbers, period: Duration) -> Numbers {
    let grown: Numbers = std::array::from_fn(|at| after[at].saturating_sub(before[at]));
    let [transactions, queries, received, sent, transaction_us, query_us, wait_us] = grown;
    let seconds = period.as_secs().max(1);
    let each = |time: u64, count: u64| time.checked_div(count).unwrap_or_default();
    [
        transactions / seconds,
        queries / seconds,
        received / seconds,
        sent / seconds,
        each(transaction_us, transactions),
        each(query_us, queries),
        each(wait_us, transactions),
    ]
}

fn counts(shared: &Shared) -> ByTenant {
    let numbers = |counts: &crate::pool::Counts| {
        [
            &counts.transactions,
            &counts.queries,
            &counts.received,
            &counts.sent,
            &counts.transaction_us,
            &counts.query_us,
            &counts.wait_us,
        ]
        .map(|count| count.load(Relaxed))
    };
    shared.pools.counts().into_iter().map(|(tenant, counts)| (tenant, numbers(&counts))).collect()
}

fn table(columns: &[&'static str], rows: impl Iterator<Item = (String, Vec<u64>)>) -> Table {
    let columns: Vec<_> = std::iter::once("database").chain(columns.iter().copied()).collect();
    let row = |(tenant, numbers): (String, Vec<u64>)| {
        std::iter::once(Cell::from(tenant)).chain(numbers.into_iter().map(Cell::from)).collect()
    };
    Table::new(&columns, rows.map(row).collect())
}

/// `SHOW STATS`.
pub(super) fn stats(shared: &Shared, sampler: &Sampler) -> Table {
    let averages = sampler.averages();
    let rows = counts(shared).into_iter().map(|(tenant, totals)| {
        let average = averages.get(&tenant).copied().unwrap_or_default();
        (tenant, [totals, average].concat())
    });
    table(&[TOTALS, AVERAGES].concat(), rows)
}

/// `SHOW STATS_TOTALS`.
pub(super) fn totals(shared: &Shared) -> Table {
    table(&TOTALS, counts(shared).into_iter().map(|(tenant, totals)| (tenant, totals.to_vec())))
}

/// `SHOW STATS_AVERAGES`.
pub(super) fn averages(shared: &Shared, sampler: &Sampler) -> Table {
    let averages = sampler.averages();
    let rows = counts(shared).into_keys().map(|tenant| {
        let average = averages.get(&tenant).copied().unwrap_or_default();
        (tenant, average.to_vec())
    });
    table(&AVERAGES, rows)
}

/// `SHOW TOTALS`: of all tenants together, a line each.
pub(super) fn sums(shared: &Shared, sampler: &Sampler) -> Table {
    let sum = |tenants: BTreeMap<String, Numbers>| {
        tenants.into_values().fold(Numbers::default(), |sum, numbers| {
            std::array::from_fn(|at| sum[at].saturating_add(numbers[at]))
        })
    };
    let named = TOTALS.into_iter().zip(sum(counts(shared)));
    let averages = AVERAGES.into_iter().take(4).zip(sum(sampler.averages()));
    let row = |(name, number): (&str, u64)| vec![Cell::from(&name[1..]), Cell::from(number)];
    Table::new(&["name", "#value"], named.chain(averages).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_of_the_period() {
        let before = [100, 200, 1_000, 2_000, 10_000, 8_000, 500];
        let after = [160, 320, 61_000, 122_000, 40_000, 20_000, 1_100];
        assert_eq!(averages_of(before, after, Duration::from_secs(60)), [1, 2, 1_000, 2_000, 500, 100, 10]);
        assert_eq!(averages_of(after, after, Duration::from_secs(60)), [0; NUMBERS]);
    }
}
