//! Policies as an operator changes them: checked before use, activated as a new epoch, never changed afterwards.
//! Proxies follow the newest epoch; a rollback is a new epoch with an old one's texts.

use std::sync::Arc;

use palisade_policies::Judge;
use palisade_policies::judge::{EMBEDDED_EPOCH, MODEL, POLICY};
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{GenericClient, Row};
use utoipa::ToSchema;

use crate::Shared;
use crate::http::problem::Problem;

/// An activation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Epoch {
    /// Grows with every activation; 1 is the policy that comes with Palisade.
    pub(crate) epoch: u64,
    /// The epoch whose texts these are, where it was a rollback.
    pub(crate) restores: Option<u64>,
    pub(crate) comment: String,
    /// Who activated it.
    pub(crate) made_by: String,
    /// Absent for the policy that comes with Palisade.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) made_at: Option<OffsetDateTime>,
    /// Whether its texts are those that come with Palisade.
    pub(crate) embedded: bool,
}

/// An epoch with its texts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Policy {
    #[serde(flatten)]
    pub(crate) about: Epoch,
    /// casbin's model.
    pub(crate) model: String,
    /// casbin's lines.
    pub(crate) policy: String,
}

const COLUMNS: &str = "epoch, restores, comment, made_by, made_at, model IS NULL, model, policy";

fn number(epoch: i64) -> u64 {
    u64::try_from(epoch).unwrap_or_default()
}

fn about(row: &Row) -> Epoch {
    Epoch {
        epoch: number(row.get(0)),
        restores: row.get::<_, Option<i64>>(1).map(number),
        comment: row.get(2),
        made_by: row.get(3),
        made_at: row.get(4),
        embedded: row.get(5),
    }
}

fn embedded() -> Policy {
    let about = Epoch {
        epoch: EMBEDDED_EPOCH,
        restores: None,
        comment: "comes with Palisade".into(),
        made_by: "system".into(),
        made_at: None,
        embedded: true,
    };
    Policy { about, model: MODEL.into(), policy: POLICY.into() }
}

fn whole(row: &Row) -> Policy {
    let (model, policy): (Option<String>, Option<String>) = (row.get(6), row.get(7));
    Policy {
        about: about(row),
        model: model.unwrap_or_else(|| MODEL.into()),
        policy: policy.unwrap_or_else(|| POLICY.into()),
    }
}

/// The policy in force.
pub(crate) async fn active(client: &impl GenericClient) -> Result<Policy, tokio_postgres::Error> {
    let sql = format!("SELECT {COLUMNS} FROM palisade_control.policies ORDER BY epoch DESC LIMIT 1");
    Ok(client.query_opt(&sql, &[]).await?.as_ref().map_or_else(embedded, whole))
}

/// The policy of an epoch.
pub(crate) async fn find(
    client: &impl GenericClient,
    epoch: u64,
) -> Result<Option<Policy>, tokio_postgres::Error> {
    if epoch == EMBEDDED_EPOCH {
        return Ok(Some(embedded()));
    }
    let Ok(epoch) = i64::try_from(epoch) else { return Ok(None) };
    let sql = format!("SELECT {COLUMNS} FROM palisade_control.policies WHERE epoch = $1");
    Ok(client.query_opt(&sql, &[&epoch]).await?.as_ref().map(whole))
}

/// Epochs before one, newest first; the policy that comes with Palisade is the last.
pub(crate) async fn history(
    client: &impl GenericClient,
    before: Option<u64>,
    limit: i64,
) -> Result<Vec<Epoch>, tokio_postgres::Error> {
    let before = before.map_or(i64::MAX, |epoch| i64::try_from(epoch).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT {COLUMNS} FROM palisade_control.policies WHERE epoch < $1 ORDER BY epoch DESC LIMIT $2"
    );
    let mut epochs: Vec<_> = client.query(&sql, &[&before, &limit]).await?.iter().map(about).collect();
    if (epochs.len() as i64) < limit && before > EMBEDDED_EPOCH.cast_signed() {
        epochs.push(embedded().about);
    }
    Ok(epochs)
}

/// A policy that is to hold.
pub(crate) struct Wish {
    /// `None`: the texts that come with Palisade.
    pub(crate) texts: Option<(String, String)>,
    pub(crate) restores: Option<u64>,
    pub(crate) comment: String,
    /// The epoch that the caller saw; another one in force is a conflict.
    pub(crate) expected: Option<u64>,
}

/// Writes a checked policy as the next epoch. Activations stand in a queue.
pub(crate) async fn activate(tx: &impl GenericClient, wish: &Wish, actor: &str) -> Result<Policy, Problem> {
    tx.batch_execute("LOCK TABLE palisade_control.policies IN SHARE ROW EXCLUSIVE MODE").await?;
    let now = active(tx).await?.about.epoch;
    if wish.expected.is_some_and(|expected| expected != now) {
        return Err(Problem::stale(format!("epoch {now} is in force; read it again")));
    }
    let (model, policy) = wish.texts.as_ref().map(|(model, policy)| (model, policy)).unzip();
    let sql = format!(
        "INSERT INTO palisade_control.policies (epoch, model, policy, restores, comment, made_by)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING {COLUMNS}"
    );
    let (next, restores) = ((now + 1).cast_signed(), wish.restores.map(u64::cast_signed));
    let row = tx.query_one(&sql, &[&next, &model, &policy, &restores, &wish.comment, &actor]).await?;
    Ok(whole(&row))
}

/// The judge of the policy in force, compiled once for each epoch.
pub(crate) async fn judge(shared: &Shared) -> Result<Arc<Judge>, Problem> {
    let client = shared.pool.get().await?;
    let active = active(&**client).await?;
    let known = shared.active.lock().clone();
    if known.epoch() == active.about.epoch {
        return Ok(known);
    }
    let judge = Judge::new(&active.model, &active.policy, active.about.epoch)
        .map_err(|error| Problem::internal(format!("the policy in force: {error}")))?;
    let judge = Arc::new(judge);
    *shared.active.lock() = judge.clone();
    Ok(judge)
}

/// The slugs of the tenants that only try the policy, by name.
pub(crate) async fn observing(client: &impl GenericClient) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = "SELECT slug FROM palisade_control.tenants
               WHERE policy_mode = 'observe' AND observed_state <> 'deleted' ORDER BY slug";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}
