//! `/api/v1/tokens`: API tokens for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use palisade_catalog::ids::{Slug, TenantId};
use palisade_catalog::secrets::random_client_secret;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::http::Body;
use crate::http::auth::Caller;
use crate::http::endpoints::ROLES;
use crate::http::problem::Problem;
use crate::tokens::{ApiToken, PREFIX};
use crate::{Shared, audit, provision, tenants, tokens};

/// Longest life of a token, in days.
const DAYS: u32 = 366;
/// Most tokens that are good at once.
const TOKENS: i64 = 1_000;
/// Most tokens that one answer lists.
const LISTED: i64 = 2_000;
/// Most tenants that one token names.
const TENANTS: usize = 100;

/// A wish for a token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateToken {
    /// Who it is for, as a slug; stands in the audit trail as `token:<name>`.
    name: String,
    /// `viewer`, `auditor`, `operator`, `security`, `admin`, `owner`; none that the caller does not have.
    roles: Vec<String>,
    /// Slugs or ids of the tenants that it is for; absent is all of the caller's.
    tenants: Option<Vec<String>>,
    /// Days until it ends, 1 to 366; 90 where absent.
    #[schema(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// A new token, with its secret: it is shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    token: ApiToken,
    /// What the header Authorization takes behind `Bearer`.
    secret: String,
}

/// All tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<ApiToken>,
}

/// List API tokens, the newest first
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = TokenList)))]
pub(crate) async fn list(_: Caller, State(shared): State<Arc<Shared>>) -> Result<Json<TokenList>, Problem> {
    Ok(Json(TokenList { items: tokens::all(&**shared.pool.get().await?, LISTED).await? }))
}

/// Make an API token
///
/// Its secret is shown once.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = CreateToken, responses((status = 201, body = CreatedToken)))]
pub(crate) async fn create(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(wish): Body<CreateToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let days = checked(&caller, &wish)?;
    let tenants = scope(&shared, wish.tenants.as_deref()).await?;
    let (id, secret) = (TenantId::random().as_str()[..12].to_owned(), random_client_secret());
    let now = OffsetDateTime::now_utc();
    let token = ApiToken {
        id,
        name: wish.name,
        roles: wish.roles,
        tenants,
        created_by: caller.person,
        created_at: now,
        expires_at: now + Duration::days(i64::from(days)),
        last_used_at: None,
        last_used_from: None,
        revoked_at: None,
    };
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    if tokens::count(&tx).await? >= TOKENS {
        return Err(Problem::conflict(format!("{TOKENS} tokens are good already; revoke some")));
    }
    if !tokens::insert(&tx, &token, &secret).await? {
        let said = format!("a token with the name \"{}\" is there already", token.name);
        return Err(Problem::conflict(said).about("name"));
    }
    let mut event = provision::system_event("token.create", &caller.subject);
    event.object = Some(token.name.clone());
    event.detail = serde_json::json!({ "token": token.id, "roles": token.roles, "tenants": token.tenants });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    let secret = format!("{PREFIX}{}_{secret}", token.id);
    Ok((StatusCode::CREATED, Json(CreatedToken { token, secret })))
}

fn checked(caller: &Caller, wish: &CreateToken) -> Result<u32, Problem> {
    let days = wish.days.unwrap_or(90);
    let mut errors = Vec::new();
    if let Err(error) = Slug::parse(&wish.name) {
        errors.push(("name".to_owned(), format!("must look like a slug: {error}")));
    }
    if wish.roles.is_empty() {
        errors.push(("roles".to_owned(), "must name at least one role".to_owned()));
    }
    for role in &wish.roles {
        if !ROLES.contains(&role.as_str()) {
            errors.push(("roles".to_owned(), format!("must be of {}", ROLES.join(", "))));
        } else if !caller.has_role(role) {
            errors.push(("roles".to_owned(), format!("you do not have all rights of {role}")));
        }
    }
    if !(1..=DAYS).contains(&days) {
        errors.push(("days".to_owned(), format!("must be 1 to {DAYS}")));
    }
    if wish.tenants.as_ref().is_some_and(|t| t.is_empty() || t.len() > TENANTS) {
        errors.push(("tenants".to_owned(), format!("must name 1 to {TENANTS} tenants")));
    }
    Problem::fields(errors).map(|()| days)
}

/// The ids of named tenants.
async fn scope(shared: &Shared, names: Option<&[String]>) -> Result<Option<Vec<String>>, Problem> {
    let Some(names) = names else { return Ok(None) };
    let client = shared.pool.get().await?;
    let mut ids = Vec::new();
    for name in names {
        let tenant = tenants::find(&client, name).await?;
        let unknown = || Problem::field("tenants", format!("there is no tenant \"{name}\""));
        ids.push(tenant.ok_or_else(unknown)?.id);
    }
    Ok(Some(ids))
}

/// Revoke an API token
///
/// It is refused from now on, and sessions that were opened with it end.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = String, Path, description = "The token's id or name")),
    responses((status = 200, body = ApiToken)))]
pub(crate) async fn revoke(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<ApiToken>, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let token = tokens::revoke(&tx, &id, &caller.subject).await?;
    let token = token.ok_or_else(|| Problem::not_found("there is no good token with this id or name"))?;
    let mut event = provision::system_event("token.revoke", &caller.subject);
    event.object = Some(token.name.clone());
    event.detail = serde_json::json!({ "token": token.id });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(Json(token))
}
