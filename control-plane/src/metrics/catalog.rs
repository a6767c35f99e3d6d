//! What the catalog says about tenants, operations, migrations and the warm pool. Read over indexes, or over tables that
//! hold one row for each tenant.

use prometheus::{IntGauge, IntGaugeVec, Registry};
use tokio_postgres::{Client, Error};

use super::{gauge, gauges};
use crate::Shared;
use crate::http::problem::Problem;

/// The names of these gauges: none of them is said when the catalog cannot be read.
pub(super) const NAMES: [&str; 7] = [
    "palisade_control_tenants",
    "palisade_operations",
    "palisade_migrations",
    "palisade_migration_targets",
    "palisade_warm_tenants",
    "palisade_warm_tenants_wanted",
    "palisade_audit_newest_timestamp_seconds",
];
/// The states that the catalog's own constraints allow.
const TENANTS: [&str; 5] = ["pending", "verifying", "active", "suspended", "deleted"];
const OPERATIONS: [&str; 2] = ["running", "stuck"];
const MIGRATIONS: [&str; 2] = ["running", "paused"];
const TARGETS: [&str; 5] = ["pending", "running", "done", "failed", "skipped"];
const WARM: [&str; 2] = ["ready", "building"];

pub(super) struct Gauges {
    tenants: IntGaugeVec,
    operations: IntGaugeVec,
    migrations: IntGaugeVec,
    targets: IntGaugeVec,
    warm: IntGaugeVec,
    wanted: IntGauge,
    audit: IntGauge,
}

impl Gauges {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let states = |name: &str, help: &str| gauges(registry, name, help, "state");
        Ok(Self {
            tenants: states(NAMES[0], "Tenants by state")?,
            operations: states(NAMES[1], "Operations under way; stuck: nobody works on it any more")?,
            migrations: states(NAMES[2], "Migrations of all tenants that are not at their end")?,
            targets: states(NAMES[3], "Tenants of those migrations, by state")?,
            warm: states(NAMES[4], "Tenants that are built before anybody wants them, by state")?,
            wanted: gauge(registry, NAMES[5], "How many of them there shall be")?,
            audit: gauge(registry, NAMES[6], "When the newest audit event in the catalog happened")?,
        })
    }

    /// Reads everything anew.
    pub(super) async fn read(&self, shared: &Shared) -> Result<(), Problem> {
        let client = shared.pool.get().await?;
        self.touch();
        let of = |sql| states(&client, sql);
        set(
            &self.tenants,
            &of("SELECT observed_state, count(*) FROM palisade_control.tenants GROUP BY 1").await?,
        );
        let running = "SELECT CASE WHEN lease_until < clock_timestamp() - interval '1 minute' THEN 'stuck' ELSE 'running' END,
                         count(*) FROM palisade_control.operations WHERE state = 'running' GROUP BY 1";
        set(&self.operations, &of(running).await?);
        let migrations = "SELECT state, count(*) FROM palisade_control.migrations
                          WHERE state IN ('running', 'paused') GROUP BY 1";
        set(&self.migrations, &of(migrations).await?);
        let targets = "SELECT t.state, count(*) FROM palisade_control.migration_targets t
                       JOIN palisade_control.migrations m ON m.id = t.migration_id
                       WHERE m.state IN ('running', 'paused') GROUP BY 1";
        set(&self.targets, &of(targets).await?);
        let warm = "SELECT CASE WHEN ready THEN 'ready' ELSE 'building' END, count(*)
                    FROM palisade_control.warm_tenants GROUP BY 1";
        set(&self.warm, &of(warm).await?);
        self.wanted.set(i64::from(shared.config.warm_pool_size));
        let newest =
            "SELECT coalesce(extract(epoch FROM max(at)), 0)::int8 FROM palisade_control.audit_events";
        self.audit.set(client.query_one(newest, &[]).await?.get(0));
        Ok(())
    }

    /// Sets every state to 0: one that no row is in is said too.
    pub(super) fn touch(&self) {
        let all: [(&IntGaugeVec, &[&str]); 5] = [
            (&self.tenants, &TENANTS),
            (&self.operations, &OPERATIONS),
            (&self.migrations, &MIGRATIONS),
            (&self.targets, &TARGETS),
            (&self.warm, &WARM),
        ];
        for (gauge, states) in all {
            for state in states {
                gauge.with_label_values(&[*state]).set(0);
            }
        }
    }
}

/// Rows of a state and a count.
async fn states(client: &Client, sql: &str) -> Result<Vec<(String, i64)>, Error> {
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn set(gauge: &IntGaugeVec, rows: &[(String, i64)]) {
    for (state, count) in rows {
        gauge.with_label_values(&[state]).set(*count);
    }
}
