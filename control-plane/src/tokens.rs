//! API tokens for programs: `pal_<id>_<secret>`. The secret is kept as a digest; the token ends by itself, can be
//! revoked, and shows when it was used last.

use deadpool_postgres::Transaction;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio_postgres::{Client, Error, Row};
use utoipa::ToSchema;

/// What every API token begins with.
pub(crate) const PREFIX: &str = "pal_";
/// A token's last use is written at most this often, as PostgreSQL reads it.
const NOTED: &str = "1 minute";

/// An API token as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ApiToken {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    /// Ids of the tenants that it is for; null is all.
    pub(crate) tenants: Option<Vec<String>>,
    pub(crate) created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) last_used_at: Option<OffsetDateTime>,
    /// The address of that use.
    pub(crate) last_used_from: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) revoked_at: Option<OffsetDateTime>,
}

const COLUMNS: &str =
    "id, name, roles, tenants, created_by, created_at, expires_at, last_used_at, last_used_from, revoked_at";

fn from_row(row: &Row) -> ApiToken {
    ApiToken {
        id: row.get(0),
        name: row.get(1),
        roles: row.get(2),
        tenants: row.get(3),
        created_by: row.get(4),
        created_at: row.get(5),
        expires_at: row.get(6),
        last_used_at: row.get(7),
        last_used_from: row.get(8),
        revoked_at: row.get(9),
    }
}

/// The digest that is kept of a secret. Secrets are random and long: a plain digest is enough.
pub(crate) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Keeps a new token. `false`: its name is in use.
pub(crate) async fn insert(tx: &Transaction<'_>, token: &ApiToken, secret: &str) -> Result<bool, Error> {
    let inserted = tx
        .execute(
            "INSERT INTO palisade_control.api_tokens (id, name, secret_hash, roles, tenants, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            &[
                &token.id,
                &token.name,
                &digest(secret),
                &token.roles,
                &token.tenants,
                &token.created_by,
                &token.expires_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// All tokens, the newest first. They are few: an operator makes each by hand.
pub(crate) async fn all(client: &Client, limit: i64) -> Result<Vec<ApiToken>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM palisade_control.api_tokens ORDER BY created_at DESC LIMIT $1");
    Ok(client.query(&sql, &[&limit]).await?.iter().map(from_row).collect())
}

/// How many tokens are good.
pub(crate) async fn count(tx: &Transaction<'_>) -> Result<i64, Error> {
    let sql =
        "SELECT count(*) FROM palisade_control.api_tokens WHERE revoked_at IS NULL AND expires_at > now()";
    Ok(tx.query_one(sql, &[]).await?.get(0))
}

/// Revokes a token by id or name. `None`: there is none that is not revoked.
pub(crate) async fn revoke(tx: &Transaction<'_>, id: &str, actor: &str) -> Result<Option<ApiToken>, Error> {
    let sql = format!(
        "UPDATE palisade_control.api_tokens SET revoked_at = now(), revoked_by = $2
         WHERE (id = $1 OR name = $1) AND revoked_at IS NULL RETURNING {COLUMNS}"
    );
    Ok(tx.query_opt(&sql, &[&id, &actor]).await?.as_ref().map(from_row))
}

/// The good token of an id with its secret's digest; where the secret is right, its use is noted.
pub(crate) async fn used(
    client: &deadpool_postgres::Object,
    id: &str,
    secret: &str,
    from: Option<&str>,
) -> Result<Option<(ApiToken, Vec<u8>)>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, secret_hash, coalesce(last_used_at < now() - $2::text::interval, true)
         FROM palisade_control.api_tokens WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()"
    );
    let sql = client.prepare_cached(&sql).await?;
    let Some(row) = client.query_opt(&sql, &[&id, &NOTED]).await? else { return Ok(None) };
    let hash: Vec<u8> = row.get(10);
    if row.get(11) && hash == digest(secret) {
        client
            .execute(
                "UPDATE palisade_control.api_tokens SET last_used_at = now(), last_used_from = $2 WHERE id = $1",
                &[&id, &from],
            )
            .await?;
    }
    Ok(Some((from_row(&row), hash)))
}
