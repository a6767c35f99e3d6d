//! Plans: named sets of limits.

use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Error, Transaction};
use utoipa::ToSchema;

use crate::limits::Limits;

/// A plan as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) description: String,
    #[schema(value_type = Limits)]
    pub(crate) limits: serde_json::Value,
    /// How many tenants are on it, deleted ones left out.
    pub(crate) tenants: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

/// All plans by name. They are few: an operator writes each by hand.
pub(crate) async fn all(client: &Client) -> Result<Vec<Plan>, Error> {
    let rows = client
        .query(
            "SELECT p.name, p.description, p.limits, p.updated_at,
                    (SELECT count(*) FROM palisade_control.tenants t
                     WHERE t.plan = p.name AND t.observed_state <> 'deleted')
             FROM palisade_control.plans p ORDER BY p.name",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Plan {
            name: row.get(0),
            description: row.get(1),
            limits: row.get(2),
            updated_at: row.get(3),
            tenants: row.get(4),
        })
        .collect())
}

/// Makes a plan or changes it; tenants on it have its limits at once.
pub(crate) async fn put(
    tx: &Transaction<'_>,
    name: &str,
    description: &str,
    limits: Limits,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO palisade_control.plans (name, description, limits) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE
           SET description = excluded.description, limits = excluded.limits, updated_at = now()",
        &[&name, &description, &limits.stored()],
    )
    .await?;
    Ok(())
}

/// How many plans there are.
pub(crate) async fn count(tx: &Transaction<'_>) -> Result<i64, Error> {
    Ok(tx.query_one("SELECT count(*) FROM palisade_control.plans", &[]).await?.get(0))
}
