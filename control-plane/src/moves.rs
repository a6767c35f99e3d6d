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
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
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

/// Makes the step. A tenant that is at `to` already is left alone: an earlier try came that far.
pub(crate) async fn run(shared: &Shared, id: &TenantId, step: &Step) -> Result<(), MoveError> {
    let token = random_client_secret();
    let client = shared.pool.get().await?;
    let row = client
        .query_opt("SELECT template_version FROM palisade_control.tenants WHERE id = $1", &[&id.as_str()])
        .await?;
    match row.map(|row| row.get::<_, i32>(0)) {
        Some(version) if version == step.to => return Ok(()),
        Some(version) if version == step.from => {}
        found => {
            let message =
                format!("the tenant is at version {found:?} and the step is from version {}", step.from);
            return Err(MoveError { sqlstate: None, message, again: false });
        }
    }
    let hash = Sha256::digest(token.as_bytes()).to_vec();
    let (from, to) = (step.from, step.to);
    let move_id = Uuid::now_v7();
    // A step that a crash left holds no lock on its row; one that runs does.
    client
        .execute(
            "DELETE FROM palisade_control.moves WHERE id IN (
               SELECT id FROM palisade_control.moves WHERE tenant_id = $1 AND created_at < now() - interval '30 seconds'
               FOR UPDATE SKIP LOCKED)",
            &[&id.as_str()],
        )
        .await?;
    let begun = client
        .execute(
            "INSERT INTO palisade_control.moves (id, tenant_id, from_version, to_version, token_hash)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id) DO NOTHING",
            &[&move_id, &id.as_str(), &from, &to, &hash],
        )
        .await?;
    if begun == 0 {
        let message = "another step of this tenant is under way".to_owned();
        return Err(MoveError { sqlstate: None, message, again: true });
    }
    // Steps may be many and long: they do not hold the control plane's connections.
    drop(client);
    let made = as_tenant(shared, id, step, &token).await;
    if made.is_err() {
        // The token of a failed step opens nothing: the row is gone. One that a crash leaves names a spent secret.
        let client = shared.pool.get().await?;
        client.execute("DELETE FROM palisade_control.moves WHERE id = $1", &[&move_id]).await?;
    }
    made
}

async fn as_tenant(shared: &Shared, id: &TenantId, step: &Step, token: &str) -> Result<(), MoveError> {
    let client = enter(shared, id).await?;
    client.batch_execute("BEGIN").await?;
    client.execute("SELECT palisade_migrate.open($1)", &[&token]).await?;
    client.batch_execute(&step.body).await?;
    client.execute("SELECT palisade_migrate.close($1)", &[&token]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// A session of the tenant's owner, past the proxy.
async fn enter(shared: &Shared, id: &TenantId) -> Result<Client, MoveError> {
    let (schema, owner) = (names::schema(id), names::owner_role(id));
    let role = login_role(id, "owner");
    let mut config: tokio_postgres::Config = shared.config.database_url.parse()?;
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
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // How it ends was said by the last statement.
        let _ = connection.await;
    });
    Ok(client)
}
