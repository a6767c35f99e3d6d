//! Drift: how tenants differ from their template's version.

use serde::Serialize;
use tokio_postgres::{Client, Error};
use utoipa::ToSchema;

use crate::tenants::Tenant;

/// A tenant that is not what its template's version makes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftedTenant {
    pub(crate) tenant_id: String,
    pub(crate) slug: String,
    pub(crate) template: String,
    pub(crate) template_version: i32,
    /// What it is now.
    pub(crate) fingerprint: Option<String>,
    /// What its version makes.
    pub(crate) expected: Option<String>,
}

/// One page of the fleet: who differs, how many were looked at, and where the next page begins.
pub(crate) async fn page(
    client: &Client,
    after: Option<&str>,
    limit: i64,
) -> Result<(Vec<DriftedTenant>, usize, Option<String>), Error> {
    let rows = client
        .query(
            "SELECT t.id, t.slug, t.template, t.template_version, palisade_control.fingerprint(t.schema_name), v.fingerprint
             FROM (SELECT * FROM palisade_control.tenants
                   WHERE observed_state IN ('active', 'suspended') AND ($1::text IS NULL OR id > $1)
                   ORDER BY id LIMIT $2) t
             LEFT JOIN palisade_control.template_versions v ON v.name = t.template AND v.version = t.template_version
             ORDER BY t.id",
            &[&after, &limit],
        )
        .await?;
    let full = rows.len() as i64 == limit;
    let next = rows.last().filter(|_| full).map(|row| row.get(0));
    let drifted = rows
        .iter()
        .map(|row| DriftedTenant {
            tenant_id: row.get(0),
            slug: row.get(1),
            template: row.get(2),
            template_version: row.get(3),
            fingerprint: row.get(4),
            expected: row.get(5),
        })
        .filter(|t| t.fingerprint.is_none() || t.fingerprint != t.expected)
        .collect();
    Ok((drifted, rows.len(), next))
}

/// How one tenant differs, a line each: `+` it has more, `-` it lacks.
pub(crate) async fn lines(client: &Client, tenant: &Tenant) -> Result<Vec<String>, Error> {
    let row = client
        .query_one(
            "SELECT palisade_control.deviation($1, $2, $3)",
            &[&tenant.schema, &tenant.template, &tenant.template_version],
        )
        .await?;
    Ok(row.get(0))
}
