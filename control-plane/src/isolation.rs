//! Leak tests that are started through the API: attacks on the running installation by tenants of their own.
//!
//! - `walls`: what a run has found so far (pure).
//! - `child`: the attacking process and its life.
//!
//! The attacks are `palisade leak-test`, a process of its own: whatever it does, it does from outside, with a token and
//! through the proxy, as anybody could. One run at a time; its tenants, its token and its files go with it, whatever happens.

mod child;
mod walls;

use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::ids::TenantId;
use palisade_catalog::secrets::random_client_secret;
use palisade_trail::Key;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::tokens::ApiToken;
use crate::{Shared, audit, deletion, provision, tenants, tokens};

pub(crate) use walls::Wall;

/// Runs that are kept, the newest; older ones go with their reports.
const KEPT: i64 = 100;
/// A run that was not seen for so long has no control plane any more, as PostgreSQL reads it.
const UNSEEN: &str = "30 seconds";
/// Longest time beside the attacks themselves: tenants are made, victims looked at, the report is written.
const AROUND: Duration = Duration::from_secs(180);
/// The name that the reports' key has; `palisade leak-test` signs with the same.
const ORIGIN: &str = "palisade/leak-test";

/// What is wished of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wish {
    /// How long the attacks take, in seconds, on each set of walls. Default 30.
    pub(crate) seconds: u32,
    /// Probe tenants, 3 to 20: the first attacks, the others are attacked. Default 3.
    pub(crate) tenants: u8,
    /// Attackers at once, 1 to 16. Default 4.
    pub(crate) attackers: u8,
    /// Most statements a second of all attackers together, 1 to 5000. Default 200.
    pub(crate) rate: u32,
    /// Whether the attacks are made once more with the policy only tried, which shows what the database stops by itself.
    pub(crate) each_wall: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self { seconds: 30, tenants: 3, attackers: 4, rate: 200, each_wall: false }
    }
}

impl Wish {
    /// Every fault, by field.
    pub(crate) fn faults(&self, longest: u32) -> Vec<(String, String)> {
        let ranges = [
            ("seconds", u64::from(self.seconds), 1, u64::from(longest)),
            ("tenants", u64::from(self.tenants), 3, 20),
            ("attackers", u64::from(self.attackers), 1, 16),
            ("rate", u64::from(self.rate), 1, 5_000),
        ];
        let wrong = ranges.into_iter().filter(|(_, given, least, most)| !(least..=most).contains(&given));
        wrong
            .map(|(field, _, least, most)| (field.to_owned(), format!("must be {least} to {most}")))
            .collect()
    }

    /// When it must have ended.
    fn longest(&self) -> Duration {
        let runs = if self.each_wall { 2 } else { 1 };
        Duration::from_secs(u64::from(self.seconds) * runs) + AROUND
    }
}

/// A leak test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct IsolationRun {
    pub(crate) id: Uuid,
    /// `running`, `passed`, `leaked`, `failed` (it could not be run) or `cancelled`.
    pub(crate) state: String,
    #[schema(value_type = Wish)]
    pub(crate) wish: serde_json::Value,
    pub(crate) requested_by: String,
    /// Who has cancelled it.
    pub(crate) cancelled_by: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) ended_at: Option<OffsetDateTime>,
    /// Why it could not be run.
    pub(crate) error: Option<String>,
    /// Distinct leaks with all walls; null where it did not come to its end.
    pub(crate) leaks: Option<i64>,
    /// What was found, by the walls that stood; in a list of runs, the sums alone.
    #[schema(value_type = Vec<Wall>)]
    pub(crate) walls: serde_json::Value,
    /// Whether there is a signed report.
    pub(crate) report: bool,
}

const COLUMNS: &str =
    "id, state, wish, requested_by, cancelled_by, started_at, ended_at, error, leaks, walls,
    report_json IS NOT NULL";

fn from_row(row: &Row) -> IsolationRun {
    IsolationRun {
        id: row.get(0),
        state: row.get(1),
        wish: row.get(2),
        requested_by: row.get(3),
        cancelled_by: row.get(4),
        started_at: row.get(5),
        ended_at: row.get(6),
        error: row.get(7),
        leaks: row.get(8),
        walls: row.get(9),
        report: row.get(10),
    }
}

/// The newest runs; of their walls the sums alone.
pub(crate) async fn list(client: &Client) -> Result<Vec<IsolationRun>, Error> {
    let sql =
        format!("SELECT {COLUMNS} FROM palisade_control.isolation_runs ORDER BY started_at DESC LIMIT $1");
    let mut runs: Vec<_> = client.query(&sql, &[&KEPT]).await?.iter().map(from_row).collect();
    for wall in runs.iter_mut().filter_map(|run| run.walls.as_array_mut()).flatten() {
        wall["rows"] = serde_json::json!([]);
    }
    Ok(runs)
}

pub(crate) async fn find(client: &Client, id: Uuid) -> Result<Option<IsolationRun>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM palisade_control.isolation_runs WHERE id = $1");
    Ok(client.query_opt(&sql, &[&id]).await?.as_ref().map(from_row))
}

/// A run's report: as JSON, signed, or as a page.
pub(crate) async fn report(client: &Client, id: Uuid, html: bool) -> Result<Option<String>, Error> {
    let column = if html { "report_html" } else { "report_json" };
    let sql = format!("SELECT {column} FROM palisade_control.isolation_runs WHERE id = $1");
    Ok(client.query_opt(&sql, &[&id]).await?.and_then(|row| row.get(0)))
}

fn seed(shared: &Shared) -> [u8; 32] {
    shared.master.audit_seed(ORIGIN)
}

/// The public key that reports of this installation are signed with.
pub(crate) fn public_key(shared: &Shared) -> Result<String, Problem> {
    let key = Key::new(ORIGIN, &seed(shared)).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(key.public().text().to_owned())
}

/// Who the attacking process is, in the audit trail.
fn actor(name: &str) -> String {
    format!("token:{}", token_name(name))
}

fn token_name(name: &str) -> String {
    format!("isolation-{name}")
}

/// Starts a run. Another one under way is a conflict.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    wish: Wish,
    person: &str,
    subject: &str,
) -> Result<Uuid, Problem> {
    let id = Uuid::now_v7();
    let name = format!("{:08x}", rand::random::<u32>());
    let secret = random_client_secret();
    let token = token(&name, person, wish.longest());
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let inserted = tx
        .execute(
            "INSERT INTO palisade_control.isolation_runs (id, name, state, wish, requested_by) VALUES ($1, $2, 'running', $3, $4)",
            &[&id, &name, &serde_json::to_value(wish).unwrap_or_default(), &subject],
        )
        .await;
    inserted.map_err(|error| match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => {
            Problem::conflict("a leak test is under way; wait for it, or cancel it")
        }
        _ => error.into(),
    })?;
    if !tokens::insert(&tx, &token, &secret).await? {
        return Err(Problem::unavailable("the name that was drawn is in use; try again"));
    }
    audit::insert(
        &tx,
        &event("isolation.start", subject, id, serde_json::json!({ "wish": wish, "token": token.id })),
    )
    .await?;
    tx.execute(
        "DELETE FROM palisade_control.isolation_runs WHERE id IN (
           SELECT id FROM palisade_control.isolation_runs WHERE state <> 'running' AND cleaned ORDER BY started_at DESC OFFSET $1)",
        &[&KEPT],
    )
    .await?;
    tx.commit().await?;
    let secret = format!("{}{}_{secret}", tokens::PREFIX, token.id);
    let run = child::Run { id, name, wish, secret };
    let (worker, place) = (shared.clone(), shared.isolation.clone().try_acquire_owned());
    tokio::spawn(async move {
        // Held until the run and its remains are gone: a shutdown waits for it.
        let _place = place;
        child::run(&worker, &run).await;
    });
    Ok(id)
}

/// A token that does what the attacking process does: make tenants, change how they are judged, read the policy.
fn token(name: &str, person: &str, longest: Duration) -> ApiToken {
    let now = OffsetDateTime::now_utc();
    ApiToken {
        id: TenantId::random().as_str()[..12].to_owned(),
        name: token_name(name),
        roles: vec!["admin".into()],
        tenants: None,
        created_by: person.to_owned(),
        created_at: now,
        expires_at: now + longest,
        last_used_at: None,
        last_used_from: None,
        revoked_at: None,
    }
}

fn event(action: &str, actor: &str, id: Uuid, detail: serde_json::Value) -> palisade_catalog::audit::Event {
    let mut event = provision::system_event(action, actor);
    event.object = Some(id.to_string());
    event.detail = detail;
    event
}

/// Cancels a run that is under way; its control plane ends it within seconds.
pub(crate) async fn cancel(shared: &Shared, id: Uuid, actor: &str) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let cancelled = tx
        .execute(
            "UPDATE palisade_control.isolation_runs SET cancelled_by = $2 WHERE id = $1 AND state = 'running' AND cancelled_by IS NULL",
            &[&id, &actor],
        )
        .await?;
    if cancelled == 0 {
        return Err(Problem::conflict("the leak test is not under way any more, or is cancelled already"));
    }
    audit::insert(&tx, &event("isolation.cancel", actor, id, serde_json::Value::Null)).await?;
    tx.commit().await?;
    Ok(())
}

/// How a run ended.
struct End {
    state: &'static str,
    error: Option<String>,
    leaks: Option<i64>,
    walls: Option<serde_json::Value>,
    /// JSON and HTML.
    report: Option<(String, String)>,
}

/// Writes a run's end, revokes its token, and takes its tenants away.
async fn end(shared: &Shared, id: Uuid, name: &str, end: End) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    tokens::revoke(&tx, &token_name(name), "system").await?;
    let (json, html) = end.report.unzip();
    tx.execute(
        "UPDATE palisade_control.isolation_runs SET state = $2, ended_at = clock_timestamp(), error = $3, leaks = $4,
           walls = coalesce($5, walls), report_json = $6, report_html = $7 WHERE id = $1 AND state = 'running'",
        &[&id, &end.state, &end.error, &end.leaks, &end.walls, &json, &html],
    )
    .await?;
    let detail = serde_json::json!({ "state": end.state, "leaks": end.leaks });
    audit::insert(&tx, &event("isolation.end", &actor(name), id, detail)).await?;
    tx.commit().await?;
    drop(client);
    clean(shared, id, name).await
}

/// Takes a run's probe tenants away for good. What is still being made is taken later.
async fn clean(shared: &Shared, id: Uuid, name: &str) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    let rows = client
        .query(
            "SELECT t.id, t.observed_state FROM palisade_control.tenants t WHERE starts_with(t.slug, $1)
               AND t.observed_state <> 'purging' AND (t.purge_after IS NULL OR t.purge_after > now())
               AND EXISTS (SELECT FROM palisade_control.operations o WHERE o.tenant_id = t.id AND o.kind = 'create' AND o.requested_by = $2)",
            &[&format!("probe-{name}-"), &actor(name)],
        )
        .await?;
    drop(client);
    let mut left = false;
    for row in rows {
        let (tenant, state): (String, String) = (row.get(0), row.get(1));
        match state.as_str() {
            // Deleted, and then once more: its retention ends.
            "active" | "suspended" => {
                take_away(shared, name, &tenant).await?;
                take_away(shared, name, &tenant).await?;
            }
            "deleted" => take_away(shared, name, &tenant).await?,
            other => left |= other != "failed",
        }
    }
    if !left {
        let client = shared.pool.get().await?;
        let sql = "UPDATE palisade_control.isolation_runs SET cleaned = true WHERE id = $1";
        client.execute(sql, &[&id]).await?;
    }
    Ok(())
}

async fn take_away(shared: &Shared, name: &str, tenant: &str) -> Result<(), Problem> {
    let found = tenants::find(&**shared.pool.get().await?, tenant).await?;
    if let Some(found) = found {
        deletion::delete(shared, &found, "delete", &actor(name), "leak test").await?;
    }
    Ok(())
}

/// Ends runs whose control plane is gone, and takes away what runs have left.
pub(crate) async fn reconcile(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    let rows = client
        .query(
            "SELECT id, name, state = 'running' FROM palisade_control.isolation_runs
             WHERE state = 'running' AND seen_at < clock_timestamp() - $1::text::interval OR state <> 'running' AND NOT cleaned",
            &[&UNSEEN],
        )
        .await?;
    drop(client);
    for row in rows {
        let (id, name, running): (Uuid, String, bool) = (row.get(0), row.get(1), row.get(2));
        if running {
            let error = Some("the control plane stopped meanwhile".to_owned());
            end(shared, id, &name, End { state: "failed", error, leaks: None, walls: None, report: None })
                .await?;
        } else {
            clean(shared, id, &name).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_bounded_field_by_field() {
        assert_eq!(Wish::default().faults(600), []);
        let wish = Wish { seconds: 601, tenants: 2, attackers: 0, rate: 0, each_wall: true };
        let fields: Vec<_> = wish.faults(600).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["seconds", "tenants", "attackers", "rate"]);
        assert_eq!(
            Wish { seconds: 10, each_wall: true, ..Wish::default() }.longest(),
            AROUND + Duration::from_secs(20)
        );
    }
}
