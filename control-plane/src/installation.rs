//! The installation as one picture: versions, proxies, tenants, what waits, and what wants somebody's attention.

use std::collections::BTreeMap;

use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::Shared;
use crate::consoles::{self, ProxyState};
use crate::http::problem::Problem;
use crate::policies;
use crate::warm::{self, WarmPool};

/// Events that wait longer than this for their number want attention.
const LONGEST_LAG: Duration = Duration::seconds(60);
/// Operations that run longer than this want attention.
const LONG_OPERATION: Duration = Duration::minutes(15);

/// A proxy as the control plane sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InstalledProxy {
    #[serde(flatten)]
    pub(crate) proxy: ProxyState,
    /// What it calls itself, where it answers.
    pub(crate) version: Option<String>,
    /// The epoch of the policy that it judges by.
    pub(crate) policy_epoch: Option<u64>,
}

/// Operations.
#[derive(Debug, Default, Clone, Serialize, ToSchema)]
pub(crate) struct OperationCounts {
    /// In work now.
    pub(crate) running: i64,
    /// Failed within the last 24 hours.
    pub(crate) failed_24h: i64,
    /// When the oldest of those in work began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) oldest_running: Option<OffsetDateTime>,
}

/// The audit trail's log.
#[derive(Debug, Default, Clone, Serialize, ToSchema)]
pub(crate) struct AuditState {
    /// Events with a number.
    pub(crate) size: i64,
    /// Events that wait for theirs.
    pub(crate) unnumbered: i64,
    /// Since when the first of them waits.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) waits_since: Option<OffsetDateTime>,
    /// When the newest head was signed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) signed_at: Option<OffsetDateTime>,
}

/// The newest leak test that was started through the API.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LastIsolationRun {
    /// `running`, `passed`, `leaked`, `failed` or `cancelled`.
    pub(crate) state: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    /// Distinct leaks; null where it did not come to its end.
    pub(crate) leaks: Option<i64>,
}

/// Something that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Attention {
    /// A word for programs, such as `proxy-unreachable`.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) text: String,
}

/// The installation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Installation {
    /// The control plane's version.
    pub(crate) version: &'static str,
    /// The newest migration of Palisade's own tables.
    pub(crate) catalog_version: i32,
    /// PostgreSQL's version.
    pub(crate) postgres_version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) postgres_started_at: OffsetDateTime,
    /// The proxies whose consoles the control plane knows.
    pub(crate) proxies: Vec<InstalledProxy>,
    /// The epoch of the policy in force.
    pub(crate) policy_epoch: u64,
    /// How many tenants are in each observed state; deleted ones until they are purged.
    pub(crate) tenants: BTreeMap<String, i64>,
    pub(crate) operations: OperationCounts,
    pub(crate) warm_pool: WarmPool,
    /// Actions that wait for a second person.
    pub(crate) approvals_pending: i64,
    pub(crate) audit: AuditState,
    pub(crate) isolation: Option<LastIsolationRun>,
    /// What wants attention; empty where all is well.
    pub(crate) attention: Vec<Attention>,
}

/// The installation as it is now. A proxy that does not answer is waited for two seconds.
pub(crate) async fn show(shared: &Shared) -> Result<Installation, Problem> {
    let proxies = consoles::installed(shared).await;
    let client = shared.pool.get().await?;
    let about = client
        .query_one(
            "SELECT (SELECT max(version) FROM palisade_control.refinery_schema_history), current_setting('server_version'),
               pg_postmaster_start_time(),
               (SELECT count(*) FROM palisade_control.approvals WHERE decision IS NULL AND expires_at > now())",
            &[],
        )
        .await?;
    let tenants =
        client.query("SELECT observed_state, count(*) FROM palisade_control.tenants GROUP BY 1", &[]).await?;
    let operations = client
        .query_one(
            "SELECT (SELECT count(*) FROM palisade_control.operations WHERE state = 'running'),
               (SELECT count(*) FROM palisade_control.operations
                WHERE state = 'failed' AND finished_at > now() - interval '24 hours'),
               (SELECT min(created_at) FROM palisade_control.operations WHERE state = 'running')",
            &[],
        )
        .await?;
    let audit = client
        .query_one(
            "SELECT (SELECT size FROM palisade_control.audit_log), count(*), min(at),
               (SELECT max(at) FROM palisade_control.audit_checkpoints)
             FROM palisade_control.audit_events WHERE number IS NULL",
            &[],
        )
        .await?;
    let isolation = client
        .query_opt(
            "SELECT state, started_at, leaks FROM palisade_control.isolation_runs ORDER BY started_at DESC LIMIT 1",
            &[],
        )
        .await?;
    let policy = policies::active(&**client).await?;
    drop(client);
    let mut installation = Installation {
        version: env!("CARGO_PKG_VERSION"),
        catalog_version: about.get(0),
        postgres_version: about.get(1),
        postgres_started_at: about.get(2),
        proxies,
        policy_epoch: policy.about.epoch,
        tenants: tenants.iter().map(|row| (row.get(0), row.get(1))).collect(),
        operations: OperationCounts {
            running: operations.get(0),
            failed_24h: operations.get(1),
            oldest_running: operations.get(2),
        },
        warm_pool: warm::show(shared).await?,
        approvals_pending: about.get(3),
        audit: AuditState {
            size: audit.get(0),
            unnumbered: audit.get(1),
            waits_since: audit.get(2),
            signed_at: audit.get(3),
        },
        isolation: isolation.map(|row| LastIsolationRun {
            state: row.get(0),
            started_at: row.get(1),
            leaks: row.get(2),
        }),
        attention: Vec::new(),
    };
    installation.attention = attention(&installation, OffsetDateTime::now_utc());
    Ok(installation)
}

/// What of an installation wants somebody's attention.
fn attention(at: &Installation, now: OffsetDateTime) -> Vec<Attention> {
    let mut found = Vec::new();
    let mut add = |code, text: String| found.push(Attention { code, text });
    for InstalledProxy { proxy, policy_epoch, .. } in &at.proxies {
        let address = &proxy.address;
        if let Some(error) = &proxy.error {
            add("proxy-unreachable", format!("the console of the proxy {address} does not answer: {error}"));
        }
        if let Some(epoch) = policy_epoch.filter(|epoch| *epoch != at.policy_epoch) {
            let wanted = at.policy_epoch;
            add(
                "proxy-behind",
                format!("the proxy {address} judges by epoch {epoch}; epoch {wanted} is in force"),
            );
        }
    }
    if at.operations.oldest_running.is_some_and(|since| now - since > LONG_OPERATION) {
        let minutes = LONG_OPERATION.whole_minutes();
        add("operation-long", format!("an operation has been in work for more than {minutes} minutes"));
    }
    if at.operations.failed_24h > 0 {
        add(
            "operations-failed",
            format!("{} operations have failed within 24 hours", at.operations.failed_24h),
        );
    }
    if at.warm_pool.size > 0 && at.warm_pool.ready == 0 {
        add("warm-pool-empty", format!("the warm pool of {} tenants has none ready", at.warm_pool.size));
    }
    if at.audit.waits_since.is_some_and(|since| now - since > LONGEST_LAG) {
        add(
            "audit-lag",
            format!(
                "{} audit events wait for their number, the first for more than a minute",
                at.audit.unnumbered
            ),
        );
    }
    if at.approvals_pending > 0 {
        add("approvals", format!("{} actions wait for a second person", at.approvals_pending));
    }
    if let Some(run) = at.isolation.as_ref().filter(|run| matches!(run.state.as_str(), "leaked" | "failed")) {
        let text = match run.leaks {
            Some(leaks) if run.state == "leaked" => format!("the newest leak test found {leaks} leaks"),
            _ => "the newest leak test could not be run".to_owned(),
        };
        add("isolation", text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = Box<dyn Fn(&mut Installation)>;

    fn well() -> Installation {
        let proxy = ProxyState { address: "a:6433".into(), reachable: true, error: None };
        Installation {
            version: "1",
            catalog_version: 1,
            postgres_version: "15".into(),
            postgres_started_at: OffsetDateTime::UNIX_EPOCH,
            proxies: vec![InstalledProxy { proxy, version: None, policy_epoch: Some(3) }],
            policy_epoch: 3,
            tenants: BTreeMap::from([("active".into(), 5)]),
            operations: OperationCounts::default(),
            warm_pool: WarmPool { size: 0, ready: 0, building: 0, template: "t".into() },
            approvals_pending: 0,
            audit: AuditState::default(),
            isolation: None,
            attention: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_well_is_named() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::hours(1);
        let run = move |state: &str, leaks| LastIsolationRun { state: state.into(), started_at: now, leaks };
        let cases: Vec<(&str, Change)> = vec![
            ("", Box::new(|_| {})),
            ("proxy-unreachable", Box::new(|at| at.proxies[0].proxy.error = Some("gone".into()))),
            ("proxy-behind", Box::new(|at| at.policy_epoch = 4)),
            ("", Box::new(|at| at.proxies[0].policy_epoch = None)),
            ("", Box::new(move |at| at.operations.oldest_running = Some(now - LONG_OPERATION))),
            (
                "operation-long",
                Box::new(move |at| {
                    at.operations.oldest_running = Some(now - LONG_OPERATION - Duration::SECOND)
                }),
            ),
            ("operations-failed", Box::new(|at| at.operations.failed_24h = 1)),
            ("warm-pool-empty", Box::new(|at| at.warm_pool.size = 2)),
            ("", Box::new(move |at| at.audit.waits_since = Some(now - LONGEST_LAG))),
            (
                "audit-lag",
                Box::new(move |at| at.audit.waits_since = Some(now - LONGEST_LAG - Duration::SECOND)),
            ),
            ("approvals", Box::new(|at| at.approvals_pending = 1)),
            ("isolation", Box::new(move |at| at.isolation = Some(run("leaked", Some(2))))),
            ("isolation", Box::new(move |at| at.isolation = Some(run("failed", None)))),
            ("", Box::new(move |at| at.isolation = Some(run("passed", Some(0))))),
        ];
        for (index, (code, change)) in cases.iter().enumerate() {
            let mut at = well();
            change(&mut at);
            let found: Vec<_> = attention(&at, now).iter().map(|attention| attention.code).collect();
            let expected: Vec<_> = Some(*code).filter(|code| !code.is_empty()).into_iter().collect();
            assert_eq!(found, expected, "case {index}");
        }
    }
}
