//! How much room tenants take, and when they were last at work.

use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Error};
use utoipa::ToSchema;

/// A tenant's use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// The tenant's id.
    pub(crate) tenant_id: String,
    /// Bytes of its tables, indexes and large values on the disk.
    pub(crate) bytes: i64,
    /// How many tables, partitions included.
    pub(crate) tables: i64,
    /// When the proxies had something of it for the audit trail last: logins, refusals, counts of statements.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) active_at: Option<OffsetDateTime>,
}

/// The use of these tenants, by id; `own` bounds them to a caller's.
///
/// The way to a schema's tables is `pg_depend`: `pg_class` has no index for it. Of a tenant's newest events some are
/// looked at for one of the data plane.
pub(crate) async fn of(client: &Client, ids: &[String], own: Option<&[String]>) -> Result<Vec<Usage>, Error> {
    let rows = client
        .query(
            "SELECT t.id, used.bytes, used.tables, active.at
             FROM palisade_control.tenants t
             CROSS JOIN LATERAL (
               SELECT coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
                 count(*) FILTER (WHERE c.relkind IN ('r', 'p')) AS tables
               FROM pg_catalog.pg_namespace n
               JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = n.oid
                 AND d.classid = 'pg_catalog.pg_class'::regclass
               JOIN pg_catalog.pg_class c ON c.oid = d.objid
               WHERE n.nspname = t.schema_name AND c.relkind IN ('r', 'p', 'm')) used
             LEFT JOIN LATERAL (
               SELECT at FROM (
                 SELECT at, plane FROM palisade_control.audit_events e WHERE e.tenant_id = t.id ORDER BY at DESC, id DESC LIMIT 50
               ) newest WHERE plane = 'data' ORDER BY at DESC LIMIT 1) active ON true
             WHERE t.id = ANY ($1) AND ($2::text[] IS NULL OR t.id = ANY ($2) OR t.slug = ANY ($2))",
            &[&ids, &own],
        )
        .await?;
    let usage = |row: &tokio_postgres::Row| Usage {
        tenant_id: row.get(0),
        bytes: row.get(1),
        tables: row.get(2),
        active_at: row.get(3),
    };
    Ok(rows.iter().map(usage).collect())
}
