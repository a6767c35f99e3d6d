//! A new tenant: its slug is reserved, everything is made in one transaction, verified, opened. What fails is removed.

use std::sync::Arc;
use std::time::Instant;

use deadpool_postgres::Transaction;
use palisade_catalog::audit::{Class, Event, Plane};
use palisade_catalog::ids::{LoginName, RoleKind, Slug, TenantId};
use palisade_catalog::names;
use palisade_catalog::secrets::random_client_secret;
use time::OffsetDateTime;
use tokio_postgres::error::SqlState;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::foundation::{self, KINDS};
use crate::http::problem::Problem;
use crate::store::verifier;
use crate::templates::Compiled;
use crate::{Shared, audit, operations, removal, verify, warm};

/// A wish for a tenant, checked.
pub(crate) struct NewTenant {
    pub(crate) id: TenantId,
    pub(crate) slug: Slug,
    pub(crate) display_name: String,
    pub(crate) plan: String,
    pub(crate) template: Compiled,
    pub(crate) operation: Uuid,
    pub(crate) actor: String,
}

/// A login's secret, shown once.
#[derive(serde::Serialize, ToSchema)]
pub(crate) struct Credential {
    pub(crate) login: String,
    pub(crate) kind: String,
    /// The password.
    pub(crate) secret: String,
    /// The connection string through the proxy.
    pub(crate) url: String,
}

/// Makes a tenant, and counts how that ended.
pub(crate) async fn create(
    shared: &Arc<Shared>,
    tenant: &mut NewTenant,
) -> Result<(TenantId, Vec<Credential>), Problem> {
    let started = Instant::now();
    let made = make(shared, tenant).await;
    shared.metrics.provisioned(started, &made);
    made
}

/// Makes a tenant: one of the warm pool where there is one, else a new one in one transaction; verifies and opens it.
/// What fails is removed.
async fn make(shared: &Arc<Shared>, tenant: &mut NewTenant) -> Result<(TenantId, Vec<Credential>), Problem> {
    let credentials = credentials(shared, tenant);
    let warm = claim(shared, tenant, &credentials).await?;
    if !warm {
        reserve(shared, tenant).await?;
    }
    match build(shared, tenant, &credentials, warm).await {
        Ok(()) => Ok((tenant.id.clone(), credentials)),
        Err(problem) => {
            removal::remove(shared, &tenant.id, tenant.operation, &tenant.actor, &problem.detail).await?;
            Err(problem)
        }
    }
}

/// Provisions, verifies and opens a reserved tenant. One of the warm pool was made and verified before.
async fn build(
    shared: &Shared,
    tenant: &NewTenant,
    credentials: &[Credential],
    warm: bool,
) -> Result<(), Problem> {
    let failed = |reason: String| Problem::internal(format!("verification failed: {reason}"));
    if !warm {
        provision(shared, tenant, credentials).await?;
        verify::catalog(shared, &tenant.id, &tenant.template).await.map_err(failed)?;
        verify::second_wall(shared, &tenant.id).await.map_err(failed)?;
    }
    let skipped = verify::first_wall(shared, &tenant.id, &tenant.slug, credentials).await.map_err(failed)?;
    activate(shared, &tenant.id, tenant.operation, &tenant.actor, skipped).await
}

/// Takes a tenant of the warm pool: its id, slug, logins and operation in one transaction. `false`: there is none.
async fn claim(shared: &Shared, t: &mut NewTenant, credentials: &[Credential]) -> Result<bool, Problem> {
    let verifiers = verifiers(credentials);
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let Some(id) = warm::take(&tx, &t.template).await? else { return Ok(false) };
    t.id = id;
    insert_tenant(&tx, t, "verifying").await?;
    let from_pool = "taken from the warm pool";
    operations::step(&tx, t.operation, 2, "provision", "done", from_pool).await?;
    insert_logins(&tx, t, credentials, &verifiers).await?;
    tx.commit().await?;
    shared.taken.notify_one();
    Ok(true)
}

/// The durable intent: a row that reserves the slug, and the operation.
async fn reserve(shared: &Shared, t: &NewTenant) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    insert_tenant(&tx, t, "pending").await?;
    tx.commit().await?;
    Ok(())
}

/// The tenant's row, its operation and the first step.
async fn insert_tenant(tx: &Transaction<'_>, t: &NewTenant, state: &str) -> Result<(), Problem> {
    let inserted = tx
        .execute(
            "INSERT INTO palisade_control.tenants
               (id, slug, display_name, schema_name, template, template_version, plan, desired_state, observed_state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', $8) ON CONFLICT DO NOTHING",
            &[
                &t.id.as_str(),
                &t.slug.as_str(),
                &t.display_name,
                &names::schema(&t.id),
                &t.template.name,
                &t.template.version,
                &t.plan,
                &state,
            ],
        )
        .await
        .map_err(|error| match error.code() {
            Some(&SqlState::FOREIGN_KEY_VIOLATION) => Problem::field(
                "plan",
                format!("there is no plan \"{}\"; GET /api/v1/plans lists them", t.plan),
            ),
            _ => error.into(),
        })?;
    if inserted == 0 {
        return Err(Problem::conflict(format!("the slug \"{}\" is taken; choose another", t.slug)));
    }
    operations::begin(tx, t.operation, t.id.as_str(), "create", &t.actor).await?;
    operations::step(tx, t.operation, 1, "reserve", "done", "the slug is reserved").await?;
    Ok(())
}

fn credentials(shared: &Shared, t: &NewTenant) -> Vec<Credential> {
    KINDS
        .iter()
        .map(|kind| {
            let secret = random_client_secret();
            let url = url(shared, kind, &secret, t.slug.as_str());
            Credential { login: (*kind).to_owned(), kind: (*kind).to_owned(), secret, url }
        })
        .collect()
}

/// A connection string through the proxy. Secrets, logins and slugs need no escapes.
pub(crate) fn url(shared: &Shared, login: &str, secret: &str, slug: &str) -> String {
    format!("postgres://{login}:{secret}@{}/{slug}", shared.config.proxy_address)
}

/// Roles, schema, template, grants, logins and the operation's step in one transaction.
async fn provision(shared: &Shared, t: &NewTenant, credentials: &[Credential]) -> Result<(), Problem> {
    let verifiers = verifiers(credentials);
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    operations::step(&tx, t.operation, 2, "provision", "running", "roles, schema, objects and grants")
        .await?;
    tx.batch_execute(&foundation::whole(shared, &t.id, &t.template.script))
        .await
        .map_err(|e| Problem::internal(describe(&e)))?;
    insert_logins(&tx, t, credentials, &verifiers).await?;
    let moved = tx
        .execute(
            "UPDATE palisade_control.tenants SET observed_state = 'verifying'
             WHERE id = $1 AND observed_state = 'pending'",
            &[&t.id.as_str()],
        )
        .await?;
    if moved == 0 {
        return Err(Problem::internal("another control plane took this operation over".into()));
    }
    operations::step(&tx, t.operation, 2, "provision", "done", "roles, schema, objects and grants").await?;
    tx.commit().await?;
    Ok(())
}

/// The secrets' verifiers. Each costs thousands of hashes, so they are made before a transaction holds anything.
fn verifiers(credentials: &[Credential]) -> Vec<String> {
    credentials.iter().map(|credential| verifier(&credential.secret)).collect()
}

async fn insert_logins(
    tx: &Transaction<'_>,
    t: &NewTenant,
    credentials: &[Credential],
    verifiers: &[String],
) -> Result<(), Problem> {
    for (credential, verifier) in credentials.iter().zip(verifiers) {
        let login = LoginName::parse(&credential.login).map_err(|e| Problem::internal(e.to_string()))?;
        let kind = RoleKind::parse(&credential.kind).map_err(|e| Problem::internal(e.to_string()))?;
        let role = names::login_role(&t.id, &kind);
        tx.execute(
            "INSERT INTO palisade_control.logins (tenant_id, name, kind, verifier, server_role)
             VALUES ($1, $2, $3, $4, $5)",
            &[&t.id.as_str(), &login.as_str(), &kind.as_str(), &verifier, &role],
        )
        .await?;
    }
    Ok(())
}

/// Opens a verified tenant; its audit row commits with it.
pub(crate) async fn activate(
    shared: &Shared,
    id: &TenantId,
    operation: Uuid,
    actor: &str,
    skipped: Option<&str>,
) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let made = "the schema is what the template makes, and PostgreSQL refuses what it must";
    operations::step(&tx, operation, 3, "verify", "done", made).await?;
    let (state, said) = skipped.map_or(("done", "the proxy refuses what it must"), |why| ("skipped", why));
    operations::step(&tx, operation, 4, "probe", state, said).await?;
    let moved = tx
        .query_opt(
            "UPDATE palisade_control.tenants SET observed_state = 'active'
             WHERE id = $1 AND observed_state = 'verifying' RETURNING slug",
            &[&id.as_str()],
        )
        .await?;
    let Some(row) = moved else {
        return Err(Problem::internal("another control plane took this operation over".into()));
    };
    operations::step(&tx, operation, 5, "activate", "done", "the tenant is open").await?;
    operations::finish(&tx, operation, None).await?;
    let mut event = event("tenant.create", actor, id, operation);
    event.tenant = Some(row.get(0));
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// An event about a tenant.
pub(crate) fn event(action: &str, actor: &str, id: &TenantId, operation: Uuid) -> Event {
    let mut event = Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Control, action, actor);
    event.tenant_id = Some(id.to_string());
    event.operation = Some(operation);
    event
}

/// An event that is about no tenant.
pub(crate) fn system_event(action: &str, actor: &str) -> Event {
    Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Control, action, actor)
}

/// An error of the database in one line: SQLSTATE and message, never the statement.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}
