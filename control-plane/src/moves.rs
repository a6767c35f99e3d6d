//! Moves one tenant from one template version to a neighbouring one.
//!
//! The step's SQL runs in a session that is logged in as the tenant: its triggers and defaults may run, and whatever
//! they do, they do as the tenant. One transaction holds the step, the proof that it leads where it should, and the
//! registry row.

use std::time::Duration;

use palisade_catalog::ids::TenantId;
use palisade_catalog::names;
use palisade_catalog::secrets::random_client_secret;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::Shared;
use crate::foundation::login_role;
use crate::provision::describe;

/// Longest wait for the tenant's login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) from: i32,
    pub(crate) to: i32,
    /// SQL of the migration or the undo.
    pub(crate) body: String,
}

/// Why a step was not made; nothing of it stays.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct MoveError {
    /// PostgreSQL's code, where it answered.
    pub(crate) sqlstate: Option<String>,
    /// In one line, without the statement.
    pub(crate) message: String,
    /// Whether trying again may help: a lock, a deadlock, a lost connection.
    pub(crate) again: bool,
}

impl From<tokio_postgres::Error> for MoveError {
    fn from(error: tokio_postgres::Error) -> Self {
        let code = error.code();
        let again = match code {
            None => true,
            Some(code) => [
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
                SqlState::ADMIN_SHUTDOWN,
                SqlState::TOO_MANY_CONNECTIONS,
            ]
            .contains(code),
        };
        Self { sqlstate: code.map(|c| c.code().to_owned()), message: describe(&error), again }
    }
}

impl From<deadpool_postgres::PoolError> for MoveError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self { sqlstate: None, message: error.to_string(), again: true }
    }
}

/// What PostgreSQL is told where a quick step finds that the tenant has something of its own.
const OWN_THINGS: &str = "PM001";

/// Makes the step: quickly, and with care where the tenant has something of its own. A tenant that is at `to` already is
/// left alone: an earlier try came that far.
pub(crate) async fn run(shared: &Shared, id: &TenantId, step: &Step) -> Result<(), MoveError> {
    match once(shared, id, step, false).await {
        Err(error) if error.sqlstate.as_deref() == Some(OWN_THINGS) => once(shared, id, step, true).await,
        made => made,
    }
}

async fn once(shared: &Shared, id: &TenantId, step: &Step, careful: bool) -> Result<(), MoveError> {
    let (token, move_id) = (random_client_secret(), Uuid::now_v7());
    if !begin(shared, id, step, (&token, move_id, careful)).await? {
        return Ok(());
    }
    let made = as_tenant(shared, id, step, &token).await;
    if made.is_err() {
        // The token of a failed step opens nothing: the row is gone. One that a crash leaves names a spent secret.
        let client = shared.pool.get().await?;
        client.execute("DELETE FROM palisade_control.moves WHERE id = $1", &[&move_id]).await?;
    }
    made
}

/// Writes the step down. `false`: the tenant is there already. The connection is given back: steps may be many and long.
async fn begin(
    shared: &Shared,
    id: &TenantId,
    step: &Step,
    (token, move_id, careful): (&str, Uuid, bool),
) -> Result<bool, MoveError> {
    let client = shared.pool.get().await?;
    // A step that a crash left holds no lock on its row; one that runs does.
    let sql = client
        .prepare_cached(
            "WITH at AS (SELECT template_version FROM palisade_control.tenants WHERE id = $2),
                  left_over AS (
               DELETE FROM palisade_control.moves WHERE id IN (
                 SELECT id FROM palisade_control.moves WHERE tenant_id = $2 AND created_at < now() - interval '30 seconds'
                 FOR UPDATE SKIP LOCKED)),
                  begun AS (
               INSERT INTO palisade_control.moves (id, tenant_id, from_version, to_version, token_hash, careful)
               SELECT $1, $2, $3, $4, $5, $6 FROM at WHERE template_version = $3
               ON CONFLICT (tenant_id) DO NOTHING RETURNING 1)
             SELECT (SELECT template_version FROM at), EXISTS (SELECT FROM begun)",
        )
        .await?;
    let hash = Sha256::digest(token.as_bytes()).to_vec();
    let row =
        client.query_one(&sql, &[&move_id, &id.as_str(), &step.from, &step.to, &hash, &careful]).await?;
    match (row.get::<_, Option<i32>>(0), row.get(1)) {
        (_, true) => Ok(true),
        (Some(version), false) if version == step.to => Ok(false),
        (Some(version), false) if version == step.from => {
            let message = "another step of this tenant is under way".to_owned();
            Err(MoveError { sqlstate: None, message, again: true })
        }
        (found, false) => {
            let message =
                format!("the tenant is at version {found:?} and the step is from version {}", step.from);
            Err(MoveError { sqlstate: None, message, again: false })
        }
    }
}

/// The whole step as one message: a template has no statement that ends a transaction.
async fn as_tenant(shared: &Shared, id: &TenantId, step: &Step, token: &str) -> Result<(), MoveError> {
    let client = enter(shared, id).await?;
    let step = format!(
        "BEGIN; SELECT palisade_migrate.open('{token}');\n{}\n;SELECT palisade_migrate.close('{token}'); COMMIT",
        step.body
    );
    client.batch_execute(&step).await?;
    Ok(())
}

/// A session of the tenant's owner, past the proxy.
async fn enter(shared: &Shared, id: &TenantId) -> Result<Client, MoveError> {
    let (schema, owner) = (names::schema(id), names::owner_role(id));
    let role = login_role(id, "owner");
    let mut config = shared.postgres.config();
    config
        .user(&role)
        .password(shared.master.server_password(&role, 1))
        .application_name("palisade migration")
        .connect_timeout(CONNECT_TIMEOUT)
        .options(format!(
            "-c search_path={schema},pg_temp -c role={owner} -c client_min_messages=warning -c lock_timeout={} \
             -c statement_timeout={}",
            shared.config.migration_lock_timeout_ms, shared.config.migration_statement_timeout_ms
        ));
    Ok(shared.postgres.session(&config).await?)
}
