//! Plans: named sets of limits.

use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Error, Transaction};
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::limits::Limits;

/// A plan as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) description: String,
    #[schema(value_type = Limits)]
    pub(crate) limits: serde_json::Value,
    /// Most tenants on it; null is without end.
    pub(crate) max_tenants: Option<i32>,
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
                     WHERE t.plan = p.name AND t.observed_state NOT IN ('deleted', 'purging')), p.max_tenants
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
            max_tenants: row.get(5),
        })
        .collect())
}

/// Makes a plan or changes it; tenants on it have its limits at once.
pub(crate) async fn put(
    tx: &Transaction<'_>,
    name: &str,
    description: &str,
    limits: Limits,
    max_tenants: Option<i32>,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO palisade_control.plans (name, description, limits, max_tenants) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE
           SET description = excluded.description, limits = excluded.limits, max_tenants = excluded.max_tenants, updated_at = now()",
        &[&name, &description, &limits.stored(), &max_tenants],
    )
    .await?;
    Ok(())
}

/// How many plans there are.
pub(crate) async fn count(tx: &Transaction<'_>) -> Result<i64, Error> {
    Ok(tx.query_one("SELECT count(*) FROM palisade_control.plans", &[]).await?.get(0))
}

/// A plan that is not there.
pub(crate) fn unknown(plan: &str) -> Problem {
    Problem::unknown_plan(format!("there is no plan \"{plan}\"; GET /api/v1/plans lists them")).about("plan")
}

/// Whether one more tenant may come to a plan. Where it has a quota, whoever asks holds the plan until its end, so that
/// two that come at once do not share the last place.
pub(crate) async fn room(tx: &Transaction<'_>, plan: &str) -> Result<(), Problem> {
    let row = tx
        .query_opt("SELECT max_tenants FROM palisade_control.plans WHERE name = $1", &[&plan])
        .await?
        .ok_or_else(|| unknown(plan))?;
    if row.get::<_, Option<i32>>(0).is_none() {
        return Ok(());
    }
    let row = tx
        .query_one(
            "WITH held AS MATERIALIZED (SELECT max_tenants FROM palisade_control.plans WHERE name = $1 FOR UPDATE)
             SELECT max_tenants FROM held",
            &[&plan],
        )
        .await?;
    let most: Option<i32> = row.get(0);
    // A statement of its own: it sees what the one before waited for.
    let held: i64 = tx
        .query_one(
            "SELECT count(*) FROM palisade_control.tenants WHERE plan = $1 AND observed_state NOT IN ('deleted', 'purging')",
            &[&plan],
        )
        .await?
        .get(0);
    match most {
        Some(most) if held >= i64::from(most) => Err(Problem::quota_reached(format!(
            "the plan \"{plan}\" has {held} tenants and may have {most}; choose another or raise it"
        ))
        .about("plan")),
        _ => Ok(()),
    }
}
