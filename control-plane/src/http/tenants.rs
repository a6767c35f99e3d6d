//! `/api/v1/tenants`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use palisade_catalog::ids::{Slug, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, Query, page_size};
use crate::provision::NewTenant;
use crate::tenants::Tenant;
use crate::{Shared, lifecycle, operations, provision, tenants};

/// How long a rollback's confirmation is good for, in seconds.
const CONFIRM_SECONDS: i64 = 300;
/// Longest text that people may write for people, in bytes.
const TEXT_BYTES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<i64>,
    cursor: Option<String>,
    state: Option<String>,
    q: Option<String>,
}

pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, Problem> {
    let limit = page_size(page.limit)?;
    let after = page.cursor.as_deref().map(decode_cursor).transpose()?;
    let client = shared.pool.get().await?;
    let (items, next) =
        tenants::page(&client, page.state.as_deref(), page.q.as_deref(), after.as_deref(), limit).await?;
    Ok(Json(json!({ "items": items, "next_cursor": next.map(|n| URL_SAFE_NO_PAD.encode(n)) })))
}

/// A cursor is ours to read: anything else is a clear error.
pub(crate) fn decode_cursor(cursor: &str) -> Result<String, Problem> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Problem::bad_request("the cursor is not one that a page gave"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    slug: String,
    display_name: Option<String>,
    template: Option<String>,
    plan: Option<String>,
}

pub(crate) async fn create(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Body(body): Body<Create>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let slug = Slug::parse(&body.slug)?;
    let display_name = short(body.display_name.unwrap_or_else(|| slug.to_string()), "display_name")?;
    let plan = short(body.plan.unwrap_or_else(|| "default".into()), "plan")?;
    if let Some(template) = body.template.filter(|t| *t != shared.template.name) {
        return Err(Problem::invalid(format!(
            "there is no template \"{template}\"; GET /api/v1/templates lists them"
        )));
    }
    let operation = Uuid::now_v7();
    let key = headers.get("idempotency-key").and_then(|k| k.to_str().ok());
    if let Some(key) = key {
        let wish = format!("{slug}\n{display_name}\n{plan}");
        if let Some(earlier) = remember(&shared, &caller.subject, key, &wish, operation).await? {
            return repeat(&shared, earlier).await;
        }
    }
    let actor = caller.subject.clone();
    let tenant = NewTenant { id: TenantId::random(), slug, display_name, plan, operation, actor };
    // A task of its own: a caller that goes away must not leave half a tenant.
    let worker = shared.clone();
    let id = tenant.id.to_string();
    let made = tokio::spawn(async move { provision::create(&worker, &tenant).await }).await;
    let made = made.map_err(|e| Problem::internal(format!("the worker failed: {e}")))?;
    if made.is_err()
        && let Some(key) = key
    {
        forget(&shared, &caller.subject, key).await?;
    }
    let credentials = made?;
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    let operation = operations::find(&client, Some(operation), "").await?;
    let body = json!({ "tenant": tenant, "operation": operation, "credentials": credentials });
    Ok((StatusCode::CREATED, Json(body)))
}

fn short(text: String, what: &str) -> Result<String, Problem> {
    if text.len() > TEXT_BYTES || text.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "{what} must be at most {TEXT_BYTES} bytes without control characters"
        )));
    }
    Ok(text)
}

/// Remembers a key, or finds the operation that it stands for.
async fn remember(
    shared: &Shared,
    subject: &str,
    key: &str,
    wish: &str,
    operation: Uuid,
) -> Result<Option<Uuid>, Problem> {
    if key.is_empty() || key.len() > TEXT_BYTES {
        return Err(Problem::invalid("Idempotency-Key must be 1 to 200 bytes"));
    }
    let hash = Sha256::digest(wish.as_bytes()).to_vec();
    let client = shared.pool.get().await?;
    let inserted = client
        .execute(
            "INSERT INTO palisade_control.idempotency (subject, key, request_hash, operation_id)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &[&subject, &key, &hash, &operation],
        )
        .await?;
    if inserted == 1 {
        return Ok(None);
    }
    let row = client
        .query_one(
            "SELECT request_hash, operation_id FROM palisade_control.idempotency WHERE subject = $1 AND key = $2",
            &[&subject, &key],
        )
        .await?;
    if row.get::<_, Vec<u8>>(0) != hash {
        return Err(Problem::invalid("this Idempotency-Key was used for another request; use a new one"));
    }
    Ok(Some(row.get(1)))
}

/// A request that failed may be tried again with its key.
async fn forget(shared: &Shared, subject: &str, key: &str) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client
        .execute(
            "DELETE FROM palisade_control.idempotency WHERE subject = $1 AND key = $2",
            &[&subject, &key],
        )
        .await?;
    Ok(())
}

/// The answer to a repeated request: the same tenant and operation. Secrets are shown once; rotate for new ones.
async fn repeat(shared: &Shared, operation: Uuid) -> Result<(StatusCode, Json<Value>), Problem> {
    let client = shared.pool.get().await?;
    let Some(operation) = operations::find(&client, Some(operation), "").await? else {
        return Err(Problem::conflict(
            "the first request with this Idempotency-Key has only begun; try again",
        ));
    };
    let tenant = tenants::find(&client, &operation.tenant_id).await?;
    let status = if operation.state == "running" { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(json!({ "tenant": tenant, "operation": operation, "credentials": [] }))))
}

async fn found(client: &tokio_postgres::Client, id: &str) -> Result<Tenant, Problem> {
    tenants::find(client, id)
        .await?
        .ok_or_else(|| Problem::not_found(format!("there is no tenant with the id or slug \"{id}\"")))
}

pub(crate) async fn show(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Tenant>, Problem> {
    let client = shared.pool.get().await?;
    Ok(Json(found(&client, &id).await?))
}

pub(crate) async fn status(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    let operation = operations::find(&client, None, &tenant.id).await?;
    Ok(Json(json!({
        "tenant_id": tenant.id, "slug": tenant.slug, "desired_state": tenant.desired_state,
        "observed_state": tenant.observed_state, "operation": operation,
    })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Why {
    reason: String,
}

pub(crate) async fn suspend(
    caller: Caller,
    state: State<Arc<Shared>>,
    path: Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Problem> {
    switch(caller, state, path, why, "suspended").await
}

pub(crate) async fn resume(
    caller: Caller,
    state: State<Arc<Shared>>,
    path: Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Problem> {
    switch(caller, state, path, why, "active").await
}

async fn switch(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    why: Why,
    to: &'static str,
) -> Result<Json<Value>, Problem> {
    let reason = short(why.reason, "reason")?;
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    lifecycle::switch(&shared, &tenant, to, &caller.subject, &reason).await?;
    let client = shared.pool.get().await?;
    Ok(Json(json!({ "tenant": found(&client, &tenant.id).await? })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rollback {
    dry_run: bool,
    confirm: Option<String>,
    reason: String,
}

pub(crate) async fn rollback(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(body): Body<Rollback>,
) -> Result<Json<Value>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    if body.dry_run {
        let confirm =
            confirmation(&shared, &tenant, OffsetDateTime::now_utc().unix_timestamp() + CONFIRM_SECONDS);
        return Ok(Json(json!({ "effects": effects(&tenant), "confirm": confirm })));
    }
    let Some(confirm) = body.confirm else {
        return Err(Problem::invalid(
            "send {\"dry_run\": true} first, and its answer's \"confirm\" with this call",
        ));
    };
    check_confirmation(&shared, &tenant, &confirm)?;
    let reason = short(body.reason, "reason")?;
    let operation = lifecycle::soft_delete(&shared, &tenant, &caller.subject, &reason).await?;
    let client = shared.pool.get().await?;
    let operation = operations::find(&client, Some(operation), "").await?;
    Ok(Json(json!({ "tenant": tenants::find(&client, &tenant.id).await?, "operation": operation })))
}

/// What a rollback would do, in words.
fn effects(tenant: &Tenant) -> Vec<String> {
    vec![
        format!("All connections of \"{}\" are ended and new ones are refused.", tenant.slug),
        format!("The slug \"{}\" becomes free for another tenant.", tenant.slug),
        format!(
            "Its schema {} and all its data stay until they are purged; nothing is dropped now.",
            tenant.schema
        ),
    ]
}

/// A token that is good for this tenant in this state until a time.
fn confirmation(shared: &Shared, tenant: &Tenant, until: i64) -> String {
    let key = shared.master.server_password("rollback confirmation", 1);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{}\n{}\n{until}", tenant.id, tenant.observed_state).as_bytes());
    format!("{until}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn check_confirmation(shared: &Shared, tenant: &Tenant, given: &str) -> Result<(), Problem> {
    let until = given.split('.').next().and_then(|t| t.parse::<i64>().ok()).unwrap_or_default();
    let expected = confirmation(shared, tenant, until);
    let same = subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), given.as_bytes());
    if bool::from(same) && until >= OffsetDateTime::now_utc().unix_timestamp() {
        return Ok(());
    }
    Err(Problem::conflict(
        "the confirmation is not for this tenant as it is now, or is older than 5 minutes; ask anew",
    ))
}

pub(crate) async fn rotate(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path((id, login)): Path<(String, String)>,
) -> Result<Json<provision::Credential>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    Ok(Json(lifecycle::rotate(&shared, &tenant, &login, &caller.subject).await?))
}
