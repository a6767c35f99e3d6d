//! Queries about tenants.

use palisade_catalog::ids::TenantId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Error, Row};
use utoipa::ToSchema;

use crate::limits::Limits;

/// A login within a tenant, as it is read from the table.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Login {
    /// The user of a connection string.
    pub(crate) name: String,
    /// `owner`, `app`, `readonly` or an operator's own.
    pub(crate) kind: String,
    /// `false`: it is refused.
    pub(crate) enabled: bool,
}

/// A tenant as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tenant {
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) display_name: String,
    pub(crate) cluster: String,
    pub(crate) template: String,
    pub(crate) template_version: i32,
    pub(crate) plan: String,
    /// What is wished: `active`, `suspended` or `deleted`.
    pub(crate) desired_state: String,
    /// What is: `pending`, `verifying`, `active`, `suspended`, `deleted` or `purging`.
    pub(crate) observed_state: String,
    /// `transaction` or `session`.
    pub(crate) pool_mode: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) logins: Vec<Login>,
    /// Its own limits; they stand over its plan's.
    #[schema(value_type = Limits)]
    pub(crate) limits: serde_json::Value,
    /// What holds: its own limits over its plan's.
    #[schema(value_type = Limits)]
    pub(crate) effective_limits: serde_json::Value,
    /// Counts its changes; also its ETag.
    pub(crate) generation: i64,
    /// When a deleted tenant's data is dropped for good.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) purge_after: Option<OffsetDateTime>,
    #[serde(skip)]
    pub(crate) schema: String,
}

const COLUMNS: &str = "t.id, t.slug, t.display_name, t.cluster, t.template, t.template_version, t.plan,
    t.desired_state, t.observed_state, t.pool_mode, t.created_at, t.updated_at, t.schema_name,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', l.name, 'kind', l.kind, 'enabled', l.enabled)
       ORDER BY l.name), '[]') FROM palisade_control.logins l WHERE l.tenant_id = t.id AND l.expires_at IS NULL),
    t.limits, (SELECT p.limits FROM palisade_control.plans p WHERE p.name = t.plan) || t.limits, t.generation, t.purge_after";

impl Tenant {
    fn from_row(row: &Row) -> Self {
        Self {
            id: row.get(0),
            slug: row.get(1),
            display_name: row.get(2),
            cluster: row.get(3),
            template: row.get(4),
            template_version: row.get(5),
            plan: row.get(6),
            desired_state: row.get(7),
            observed_state: row.get(8),
            pool_mode: row.get(9),
            created_at: row.get(10),
            updated_at: row.get(11),
            schema: row.get(12),
            logins: row.get::<_, Json<Vec<Login>>>(13).0,
            limits: row.get(14),
            effective_limits: row.get(15),
            generation: row.get(16),
            purge_after: row.get(17),
        }
    }

    /// Its id, typed.
    pub(crate) fn typed_id(&self) -> Result<TenantId, palisade_catalog::ids::IdError> {
        TenantId::parse(&self.id)
    }
}

/// The tenant of an id or slug. A slug finds the tenant that has it now.
pub(crate) async fn find(client: &Client, id_or_slug: &str) -> Result<Option<Tenant>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM palisade_control.tenants t
         WHERE t.id = $1 OR (t.slug = $1 AND t.observed_state NOT IN ('deleted', 'purging')) ORDER BY t.id = $1 DESC LIMIT 1"
    );
    Ok(client.query_opt(&sql, &[&id_or_slug]).await?.as_ref().map(Tenant::from_row))
}

/// The ids, slugs and times of deletion of whom an id or slug may mean: whoever has it now, or, where nobody has, the
/// deleted ones that had it, the newest first.
pub(crate) async fn meant(
    client: &Client,
    id_or_slug: &str,
) -> Result<Vec<(String, String, Option<OffsetDateTime>)>, Error> {
    let rows = client
        .query(
            "WITH named AS (
               SELECT id, slug, deleted_at, id = $1 AS exact, observed_state NOT IN ('deleted', 'purging') AS living
               FROM palisade_control.tenants WHERE id = $1 OR slug = $1),
             ranked AS (SELECT *, rank() OVER (ORDER BY exact DESC, living DESC) FROM named)
             SELECT id, slug, deleted_at FROM ranked WHERE rank = 1 ORDER BY deleted_at DESC NULLS FIRST",
            &[&id_or_slug],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// Which tenants.
#[derive(Debug, Default)]
pub(crate) struct Filter<'f> {
    /// In this observed state; without it all but deleted ones.
    pub(crate) state: Option<&'f str>,
    /// With this text in slug or display name.
    pub(crate) search: Option<&'f str>,
    /// Of these, by slug or id.
    pub(crate) own: Option<&'f [String]>,
    /// Behind this slug and id.
    pub(crate) after: Option<&'f str>,
}

/// One page in the order of slugs, with the slug that the next page begins behind.
pub(crate) async fn page(
    client: &Client,
    wanted: &Filter<'_>,
    limit: i64,
) -> Result<(Vec<Tenant>, Option<String>), Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM palisade_control.tenants t
         WHERE (($1::text IS NULL AND t.observed_state NOT IN ('deleted', 'purging')) OR t.observed_state = $1)
           AND ($2::text IS NULL OR strpos(t.slug, $2) > 0 OR strpos(lower(t.display_name), lower($2)) > 0)
           AND ($3::text IS NULL OR (t.slug, t.id) > (split_part($3, ' ', 1), split_part($3, ' ', 2)))
           AND ($5::text[] IS NULL OR t.id = ANY ($5) OR t.slug = ANY ($5))
         ORDER BY t.slug, t.id LIMIT $4"
    );
    let rows = client
        .query(&sql, &[&wanted.state, &wanted.search, &wanted.after, &(limit + 1), &wanted.own])
        .await?;
    let mut tenants: Vec<Tenant> = rows.iter().map(Tenant::from_row).collect();
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = tenants.len() > keep;
    tenants.truncate(keep);
    let next = tenants.last().filter(|_| more).map(|t| format!("{} {}", t.slug, t.id));
    Ok((tenants, next))
}
