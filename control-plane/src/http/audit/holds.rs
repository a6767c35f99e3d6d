//! `/api/v1/audit/holds` and `/sinks`: what must not be deleted, and how far other systems have the trail.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::Body;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::{Shared, audit, provision, tenants};

/// Longest reason, in characters.
const REASON_CHARACTERS: usize = 500;
/// Most holds that are in force at once, and that one answer lists.
const MOST: i64 = 1_000;

/// A wish to keep events.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceHold {
    /// Why, 1 to 500 characters: a case's number, say.
    reason: String,
    /// Only this tenant's events, by slug or id.
    tenant: Option<String>,
    /// Only events at or after this time (RFC 3339).
    since: Option<String>,
    /// Only events before this time (RFC 3339).
    until: Option<String>,
}

/// Events that are not deleted while it is in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct Hold {
    id: Uuid,
    reason: String,
    /// Everybody's events where it is missing.
    tenant_id: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    since: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    until: Option<OffsetDateTime>,
    held_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    held_at: OffsetDateTime,
    released_by: Option<String>,
    /// It is in force until then.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    released_at: Option<OffsetDateTime>,
}

impl Hold {
    const COLUMNS: &str = "id, reason, tenant_id, since, until, held_by, held_at, released_by, released_at";

    fn read(row: &Row) -> Self {
        Self {
            id: row.get(0),
            reason: row.get(1),
            tenant_id: row.get(2),
            since: row.get(3),
            until: row.get(4),
            held_by: row.get(5),
            held_at: row.get(6),
            released_by: row.get(7),
            released_at: row.get(8),
        }
    }
}

/// All holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct HoldList {
    items: Vec<Hold>,
}

/// List legal holds, those in force first
#[utoipa::path(get, path = "/audit/holds", tag = "audit", responses((status = 200, body = HoldList)))]
pub(crate) async fn holds(_: Caller, State(shared): State<Arc<Shared>>) -> Result<Json<HoldList>, Problem> {
    let sql = format!(
        "SELECT {} FROM palisade_control.audit_holds ORDER BY released_at IS NOT NULL, held_at DESC LIMIT $1",
        Hold::COLUMNS
    );
    let rows = shared.pool.get().await?.query(&sql, &[&MOST]).await?;
    Ok(Json(HoldList { items: rows.iter().map(Hold::read).collect() }))
}

/// Keep events from deletion
///
/// A month that has any such event stays whole, whatever the retention says.
#[utoipa::path(post, path = "/audit/holds", tag = "audit", request_body = PlaceHold, responses((status = 201, body = Hold)))]
pub(crate) async fn hold(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(wish): Body<PlaceHold>,
) -> Result<(StatusCode, Json<Hold>), Problem> {
    let reason = wish.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS {
        return Err(Problem::field("reason", format!("must have 1 to {REASON_CHARACTERS} characters")));
    }
    let since = wish.since.as_deref().map(|t| super::instant(t, "since")).transpose()?;
    let until = wish.until.as_deref().map(|t| super::instant(t, "until")).transpose()?;
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(Problem::field("until", "must be after since"));
    }
    let mut client = shared.pool.get().await?;
    let tenant = match &wish.tenant {
        Some(name) => {
            let unknown = || Problem::field("tenant", format!("there is no tenant \"{name}\""));
            Some(tenants::find(&client, name).await?.ok_or_else(unknown)?.id)
        }
        None => None,
    };
    let tx = client.transaction().await?;
    let in_force = "SELECT count(*) FROM palisade_control.audit_holds WHERE released_at IS NULL";
    if tx.query_one(in_force, &[]).await?.get::<_, i64>(0) >= MOST {
        return Err(Problem::conflict(format!("{MOST} holds are in force already; release some")));
    }
    let sql = format!(
        "INSERT INTO palisade_control.audit_holds (reason, tenant_id, since, until, held_by) VALUES ($1, $2, $3, $4, $5) RETURNING {}",
        Hold::COLUMNS
    );
    let row = tx.query_one(&sql, &[&reason, &tenant, &since, &until, &caller.subject]).await?;
    let hold = Hold::read(&row);
    let mut event = provision::system_event("audit.hold", &caller.subject);
    event.tenant_id = tenant;
    event.detail = serde_json::json!({ "hold": hold.id, "since": wish.since, "until": wish.until });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(hold)))
}

/// Release a legal hold
///
/// The retention may delete what it has covered from now on.
#[utoipa::path(delete, path = "/audit/holds/{id}", tag = "audit", params(("id" = Uuid, Path, description = "The hold's id")),
    responses((status = 200, body = Hold)))]
pub(crate) async fn release(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<Uuid>,
) -> Result<Json<Hold>, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let sql = format!(
        "UPDATE palisade_control.audit_holds SET released_by = $2, released_at = now() WHERE id = $1 AND released_at IS NULL RETURNING {}",
        Hold::COLUMNS
    );
    let row = tx.query_opt(&sql, &[&id, &caller.subject]).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no hold in force with this id"))?;
    let hold = Hold::read(&row);
    let mut event = provision::system_event("audit.release", &caller.subject);
    event.tenant_id = hold.tenant_id.clone();
    event.detail = serde_json::json!({ "hold": hold.id });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(Json(hold))
}

/// A system beside the catalog that the trail is given to.
#[derive(Serialize, ToSchema)]
pub(crate) struct SinkState {
    /// `stdout`, `file`, `syslog` or `otlp`.
    name: String,
    /// The last number that it has; -1 before the first.
    number: i64,
    /// How many events wait for it.
    waiting: i64,
    /// When it was last tried.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    at: OffsetDateTime,
    /// Why it did not take what was given last.
    error: Option<String>,
}

/// All sinks beside the catalog.
#[derive(Serialize, ToSchema)]
pub(crate) struct SinkList {
    items: Vec<SinkState>,
}

/// Show how far other systems have the audit trail
#[utoipa::path(get, path = "/audit/sinks", tag = "audit", responses((status = 200, body = SinkList)))]
pub(crate) async fn sinks(_: Caller, State(shared): State<Arc<Shared>>) -> Result<Json<SinkList>, Problem> {
    let sql = "SELECT name, number, greatest((SELECT size FROM palisade_control.audit_log) - 1 - number, 0), at, error
               FROM palisade_control.audit_sinks ORDER BY name";
    let rows = shared.pool.get().await?.query(sql, &[]).await?;
    let item = |row: &Row| SinkState {
        name: row.get(0),
        number: row.get(1),
        waiting: row.get(2),
        at: row.get(3),
        error: row.get(4),
    };
    Ok(Json(SinkList { items: rows.iter().map(item).collect() }))
}
