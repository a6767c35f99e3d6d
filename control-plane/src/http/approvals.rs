//! Requests that a second person must approve: `second_person` in the configuration names them. The first person's
//! request is kept as an approval; another person approves it; the first sends it again and names the approval.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::BODY_BYTES;
use crate::http::auth::{Caller, Via};
use crate::http::endpoints::right;
use crate::http::problem::Problem;
use crate::{Shared, audit, provision};

/// How long an approval may be decided and used, as PostgreSQL reads it.
const LIFE: &str = "24 hours";
/// Most approvals that one answer lists.
const LISTED: i64 = 200;
/// Most approvals of one person that wait for a decision.
const WAITING: i64 = 100;

/// A request that waits for a second person, or did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Approval {
    id: Uuid,
    /// Method and endpoint, such as `DELETE /tenants/{id}`.
    action: String,
    /// The path with its query.
    path: String,
    /// The body, without the confirmation.
    #[schema(value_type = Object)]
    body: Value,
    requested_by: String,
    #[serde(with = "time::serde::rfc3339")]
    requested_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// `waiting`, `approved`, `refused`, `used` or `expired`.
    state: String,
    decided_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    decided_at: Option<OffsetDateTime>,
}

/// Approvals, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApprovalList {
    items: Vec<Approval>,
    /// The actions that need a second person.
    actions: Vec<String>,
}

const COLUMNS: &str = "id, method, endpoint, path, body, requested_by, requested_at, expires_at,
    CASE WHEN used_at IS NOT NULL THEN 'used' WHEN decision = 'refused' THEN 'refused' WHEN expires_at < now() THEN 'expired'
         WHEN decision = 'approved' THEN 'approved' ELSE 'waiting' END, decided_by, decided_at, person";

fn from_row(row: &Row) -> Approval {
    Approval {
        id: row.get(0),
        action: format!("{} {}", row.get::<_, &str>(1), row.get::<_, &str>(2)),
        path: row.get(3),
        body: row.get(4),
        requested_by: row.get(5),
        requested_at: row.get(6),
        expires_at: row.get(7),
        state: row.get(8),
        decided_by: row.get(9),
        decided_at: row.get(10),
    }
}

/// What is approved: a request without its confirmation, which is good for five minutes only.
struct Wish {
    endpoint: String,
    path: String,
    body: Value,
    dry_run: bool,
    hash: Vec<u8>,
}

impl Wish {
    fn of(method: &str, route: &str, uri: &Uri, body: &[u8]) -> Self {
        let pairs: Vec<&str> = uri.query().map(|q| q.split('&').collect()).unwrap_or_default();
        let mut dry_run = pairs.contains(&"dry_run=true");
        let kept: Vec<_> = pairs.into_iter().filter(|pair| !pair.starts_with("confirm=")).collect();
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        let path = format!("{}{query}", uri.path());
        let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Value::Object(fields) = &mut body {
            fields.remove("confirm");
            dry_run |= fields.remove("dry_run") == Some(Value::Bool(true));
        }
        let hash = Sha256::digest(format!("{method}\0{path}\0{body}").as_bytes()).to_vec();
        Self { endpoint: route.to_owned(), path, body, dry_run, hash }
    }
}

/// Lets a request pass that needs no second person, or that one has approved.
pub(crate) async fn pass(
    shared: &Shared,
    caller: &Caller,
    route: &str,
    request: Request,
) -> Result<Request, Problem> {
    let action = format!("{} {route}", request.method());
    if !shared.config.second_person.contains(&action) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await.map_err(|_| Problem::too_large("the body is too long"))?;
    let wish = Wish::of(parts.method.as_str(), route, &parts.uri, &body);
    if !wish.dry_run {
        match parts.headers.get("x-approval").and_then(|id| id.to_str().ok()) {
            Some(id) => spend(shared, caller, &wish, id).await?,
            None => return Err(ask(shared, caller, parts.method.as_str(), &wish).await?),
        }
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

async fn spend(shared: &Shared, caller: &Caller, wish: &Wish, id: &str) -> Result<(), Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::bad_request("X-Approval is an approval's id"))?;
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let spent = tx
        .execute(
            "UPDATE palisade_control.approvals SET used_at = now()
             WHERE id = $1 AND request_hash = $2 AND requested_by = $3 AND decision = 'approved' AND used_at IS NULL
               AND expires_at > now()",
            &[&id, &wish.hash, &caller.subject],
        )
        .await?;
    if spent == 0 {
        return Err(Problem::second_person(
            "the approval is not for this request, not given, spent or too old; GET /api/v1/approvals shows it",
        ));
    }
    let mut event = provision::system_event("approval.use", &caller.subject);
    event.object = Some(wish.endpoint.clone());
    event.detail = serde_json::json!({ "approval": id, "path": wish.path });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Keeps the request for a second person, once; the answer names it.
async fn ask(shared: &Shared, caller: &Caller, method: &str, wish: &Wish) -> Result<Problem, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let waiting = "decision IS NULL AND expires_at > now()";
    let sql = format!(
        "SELECT id FROM palisade_control.approvals WHERE request_hash = $1 AND requested_by = $2 AND {waiting} LIMIT 1"
    );
    let earlier = tx.query_opt(&sql, &[&wish.hash, &caller.subject]).await?;
    let id = match earlier {
        Some(row) => row.get(0),
        None => {
            let sql = format!(
                "SELECT count(*) FROM palisade_control.approvals WHERE requested_by = $1 AND {waiting}"
            );
            if tx.query_one(&sql, &[&caller.subject]).await?.get::<_, i64>(0) >= WAITING {
                return Err(Problem::conflict(format!(
                    "{WAITING} of your requests wait for a second person already"
                )));
            }
            let id = Uuid::now_v7();
            tx.execute(
                "INSERT INTO palisade_control.approvals
                   (id, method, endpoint, path, request_hash, body, requested_by, person, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::text::interval)",
                &[
                    &id,
                    &method,
                    &wish.endpoint,
                    &wish.path,
                    &wish.hash,
                    &wish.body,
                    &caller.subject,
                    &caller.person,
                    &LIFE,
                ],
            )
            .await?;
            let mut event = provision::system_event("approval.request", &caller.subject);
            event.object = Some(format!("{method} {}", wish.endpoint));
            event.detail = serde_json::json!({ "approval": id, "path": wish.path });
            audit::insert(&tx, &event).await?;
            id
        }
    };
    tx.commit().await?;
    let mut problem = Problem::second_person(format!(
        "another person must approve this: POST /api/v1/approvals/{id}/approve; then send it again with X-Approval: {id}"
    ));
    problem.approval = Some(id);
    Ok(problem)
}

/// List requests that need a second person, the newest first
#[utoipa::path(get, path = "/approvals", tag = "approvals", responses((status = 200, body = ApprovalList)))]
pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<ApprovalList>, Problem> {
    let client = shared.pool.get().await?;
    let sql = format!("SELECT {COLUMNS} FROM palisade_control.approvals ORDER BY requested_at DESC LIMIT $1");
    let items = client.query(&sql, &[&LISTED]).await?.iter().map(from_row).collect();
    Ok(Json(ApprovalList { items, actions: shared.config.second_person.clone() }))
}

/// Approve another person's request
///
/// Needs the right that the request needs. An API token approves nothing.
#[utoipa::path(post, path = "/approvals/{id}/approve", tag = "approvals", params(("id" = String, Path, description = "The approval's id")),
    responses((status = 200, body = Approval)))]
pub(crate) async fn approve(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Approval>, Problem> {
    decide(&shared, &caller, &id, "approved").await.map(Json)
}

/// Refuse another person's request
#[utoipa::path(post, path = "/approvals/{id}/refuse", tag = "approvals", params(("id" = String, Path, description = "The approval's id")),
    responses((status = 200, body = Approval)))]
pub(crate) async fn refuse(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Approval>, Problem> {
    decide(&shared, &caller, &id, "refused").await.map(Json)
}

async fn decide(shared: &Shared, caller: &Caller, id: &str, decision: &str) -> Result<Approval, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::invalid("an approval's id is a UUID"))?;
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let sql = format!(
        "SELECT {COLUMNS}, method, endpoint FROM palisade_control.approvals WHERE id = $1 FOR UPDATE"
    );
    let row = tx.query_opt(&sql, &[&id]).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no approval with this id"))?;
    let approval = from_row(&row);
    if matches!(caller.via, Via::Token { .. }) || caller.person == row.get::<_, &str>(11) {
        return Err(Problem::forbidden(
            "it needs another person than who asked, and a person, not an API token",
        ));
    }
    let needed = right(row.get(12), row.get(13)).map(|(right, _)| right);
    if !needed.is_some_and(|needed| caller.has(needed)) {
        return Err(Problem::forbidden("whoever approves must have the right to do it"));
    }
    if approval.state != "waiting" {
        return Err(Problem::conflict(format!("the approval is {}", approval.state)));
    }
    let sql = format!(
        "UPDATE palisade_control.approvals SET decision = $2, decided_by = $3, decided_at = now() WHERE id = $1 RETURNING {COLUMNS}"
    );
    let row = tx.query_one(&sql, &[&id, &decision, &caller.subject]).await?;
    let mut event = provision::system_event(&format!("approval.{decision}"), &caller.subject);
    event.object = Some(approval.action);
    event.detail =
        serde_json::json!({ "approval": id, "path": approval.path, "requested_by": approval.requested_by });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(from_row(&row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confirmation_is_no_part_of_what_is_approved() {
        let wish = |uri: &str, body: &str| Wish::of("POST", "/x", &uri.parse().unwrap(), body.as_bytes());
        let first = wish("/x?reason=r&confirm=1", r#"{"mode":"delete","confirm":"a"}"#);
        assert_eq!(first.hash, wish("/x?reason=r&confirm=2", r#"{"confirm":"b","mode":"delete"}"#).hash);
        assert_ne!(first.hash, wish("/x?reason=r", r#"{"mode":"version"}"#).hash);
        assert_ne!(first.hash, wish("/y?reason=r", r#"{"mode":"delete"}"#).hash);
        assert!(wish("/x?dry_run=true", "").dry_run && wish("/x", r#"{"dry_run":true}"#).dry_run);
        assert!(!first.dry_run && !wish("/x?dry_run=1", r#"{"dry_run":"true"}"#).dry_run);
    }
}
