//! A new tenant: its slug is reserved, everything is made in one transaction, verified, opened. What fails is removed.

use std::time::Instant;

use deadpool_postgres::Transaction;
use palisade_catalog::audit::{Class, Event, Plane};
use palisade_catalog::ids::{LoginName, RoleKind, Slug, TenantId};
use palisade_catalog::names;
use palisade_catalog::secrets::random_client_secret;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::foundation::{self, KINDS};
use crate::http::problem::Problem;
use crate::store::verifier;
use crate::templates::Compiled;
use crate::{Shared, audit, operations, plans, removal, verify, warm};

/// A wish for a tenant, checked.
pub(crate) struct NewTenant {
    pub(crate) id: TenantId,
    pub(crate) slug: Slug,
    pub(crate) display_name: String,
    pub(crate) plan: String,
    pub(crate) template: Compiled,
    pub(crate) operation: Uuid,
    /// The operation's kind: `create` or `clone`.
    pub(crate) kind: &'static str,
    pub(crate) actor: String,
}

/// A login's secret, shown once.
#[derive(Clone, serde::Serialize, ToSchema)]
pub(crate) struct Credential {
    pub(crate) login: String,
    pub(crate) kind: String,
    /// The password.
    pub(crate) secret: String,
    /// The connection string through the proxy.
    pub(crate) url: String,
}

/// A tenant that is begun: its slug is its own, and its secrets are made.
pub(crate) struct Begun {
    pub(crate) tenant: NewTenant,
    pub(crate) credentials: Vec<Credential>,
    warm: bool,
    started: Instant,
}

/// Reserves the slug, or takes a tenant of the warm pool where there is one. Behind this only a failure removes it.
pub(crate) async fn begin(shared: &Shared, tenant: NewTenant) -> Result<Begun, Problem> {
    let started = Instant::now();
    let begun = begun(shared, tenant, started).await;
    if begun.is_err() {
        shared.metrics.provisioned(started, &begun);
    }
    begun
}

async fn begun(shared: &Shared, mut tenant: NewTenant, started: Instant) -> Result<Begun, Problem> {
    let credentials = credentials(shared, &tenant);
    let warm = tenant.kind == "create" && claim(shared, &mut tenant, &credentials).await?;
    if !warm {
        reserve(shared, &tenant).await?;
    }
    Ok(Begun { tenant, credentials, warm, started })
}

/// Makes, verifies and opens what was begun. What fails is removed.
pub(crate) async fn complete(shared: &Shared, begun: &Begun) -> Result<(), Problem> {
    let made = made(shared, begun).await;
    shared.metrics.provisioned(begun.started, &made);
    made
}

async fn made(shared: &Shared, begun: &Begun) -> Result<(), Problem> {
    let tenant = &begun.tenant;
    match build(shared, tenant, &begun.credentials, begun.warm).await {
        Ok(()) => Ok(()),
        Err(problem) => {
            removal::remove(shared, &tenant.id, tenant.operation, &tenant.actor, &problem.detail).await?;
            Err(problem)
        }
    }
}

/// Roles, schema and grants of a reserved tenant, without its template.
pub(crate) async fn lay_foundation(shared: &Shared, begun: &Begun) -> Result<(), Problem> {
    provision(shared, &begun.tenant, &begun.credentials, "").await
}

/// Verifies both walls of a tenant that was filled otherwise, and opens it.
pub(crate) async fn open_verified(shared: &Shared, begun: &Begun) -> Result<(), Problem> {
    let tenant = &begun.tenant;
    let failed = |reason: String| Problem::internal(format!("verification failed: {reason}"));
    let since = OffsetDateTime::now_utc();
    let inside = async {
        verify::second_wall(shared, &tenant.id).await?;
        Ok(OffsetDateTime::now_utc())
    };
    let through = verify::first_wall(shared, &tenant.id, &tenant.slug, &begun.credentials);
    let (verified, skipped) = tokio::try_join!(inside, through).map_err(failed)?;
    activate(shared, tenant, (since, verified), skipped).await
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
        provision(shared, tenant, credentials, &tenant.template.script).await?;
    }
    let since = OffsetDateTime::now_utc();
    let inside = async {
        if warm {
            return Ok(since);
        }
        let wall = verify::second_wall(shared, &tenant.id);
        tokio::try_join!(verify::catalog(shared, &tenant.id, &tenant.template), wall)?;
        Ok(OffsetDateTime::now_utc())
    };
    let through = verify::first_wall(shared, &tenant.id, &tenant.slug, credentials);
    let (verified, skipped) = tokio::try_join!(inside, through).map_err(failed)?;
    activate(shared, tenant, (since, verified), skipped).await
}

/// Takes a tenant of the warm pool: its id, slug, logins and operation in one transaction. `false`: there is none.
async fn claim(shared: &Shared, t: &mut NewTenant, credentials: &[Credential]) -> Result<bool, Problem> {
    let verifiers = verifiers(credentials);
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let Some(id) = warm::take(&tx, &t.template).await? else { return Ok(false) };
    t.id = id;
    insert_tenant(shared, &tx, t, "verifying").await?;
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
    insert_tenant(shared, &tx, t, "pending").await?;
    tx.commit().await?;
    Ok(())
}

/// The tenant's row, its operation and the first step.
async fn insert_tenant(
    shared: &Shared,
    tx: &Transaction<'_>,
    t: &NewTenant,
    state: &str,
) -> Result<(), Problem> {
    room(shared, tx).await?;
    plans::room(tx, &t.plan).await?;
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
        .await?;
    if inserted == 0 {
        let said = format!("the slug \"{}\" is taken; choose another", t.slug);
        return Err(Problem::slug_taken(said).about("slug"));
    }
    operations::begin(tx, t.operation, t.id.as_str(), t.kind, &t.actor).await?;
    operations::step(tx, t.operation, 1, "reserve", "done", "the slug is reserved").await?;
    Ok(())
}

/// Held while it is decided whether the cluster takes one more, where it has a limit.
const ROOM_LOCK: i64 = 0x7061_6c69_726f_6f6d;

/// Whether the cluster takes one more tenant.
async fn room(shared: &Shared, tx: &Transaction<'_>) -> Result<(), Problem> {
    let most = i64::from(shared.config.max_tenants);
    if most == 0 {
        return Ok(());
    }
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&ROOM_LOCK]).await?;
    let held: i64 = tx.query_one("SELECT count(*) FROM palisade_control.tenants", &[]).await?.get(0);
    if held < most {
        return Ok(());
    }
    Err(Problem::cluster_full(format!("the cluster holds {held} tenants and may hold {most} (max_tenants)")))
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
async fn provision(
    shared: &Shared,
    t: &NewTenant,
    credentials: &[Credential],
    script: &str,
) -> Result<(), Problem> {
    let verifiers = verifiers(credentials);
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let since = OffsetDateTime::now_utc();
    ended(&tx, t.operation).await?;
    tx.batch_execute(&foundation::whole(shared, &t.id, script))
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
    let made = ("provision", "done", "roles, schema, objects and grants");
    operations::step_since(&tx, t.operation, 2, made, Some(since)).await?;
    tx.commit().await?;
    Ok(())
}

/// The secrets' verifiers. Each costs thousands of hashes, so they are made side by side, before a transaction holds
/// anything.
fn verifiers(credentials: &[Credential]) -> Vec<String> {
    std::thread::scope(|scope| {
        let made: Vec<_> = credentials.iter().map(|c| scope.spawn(|| verifier(&c.secret))).collect();
        // A thread that fails leaves no verifier: nothing fits an empty one.
        made.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    })
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
        insert_login(tx, &t.id, &login, &kind, verifier).await?;
    }
    Ok(())
}

/// Gives a tenant a login; its kind has a role in PostgreSQL.
pub(crate) async fn insert_login(
    tx: &Transaction<'_>,
    id: &TenantId,
    login: &LoginName,
    kind: &RoleKind,
    verifier: &str,
) -> Result<(), tokio_postgres::Error> {
    let role = names::login_role(id, kind);
    tx.execute(
        "INSERT INTO palisade_control.logins (tenant_id, name, kind, verifier, server_role)
         VALUES ($1, $2, $3, $4, $5)",
        &[&id.as_str(), &login.as_str(), &kind.as_str(), &verifier, &role],
    )
    .await
    .map(drop)
}

/// Refuses to go on with an operation that somebody wants to end. Holds its row: a later wish waits for what it ends.
async fn ended(tx: &Transaction<'_>, operation: Uuid) -> Result<(), Problem> {
    match operations::cancelled_by(tx, operation).await? {
        Some(actor) => Err(Problem::conflict(format!("the operation was cancelled by {actor}"))),
        None => Ok(()),
    }
}

/// Opens a verified tenant; its audit row commits with it. The verification began and ended at the given times.
async fn activate(
    shared: &Shared,
    t: &NewTenant,
    (since, verified): (OffsetDateTime, OffsetDateTime),
    skipped: Option<&str>,
) -> Result<(), Problem> {
    let probed = OffsetDateTime::now_utc();
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    ended(&tx, t.operation).await?;
    let made = "the schema is what the template makes, and PostgreSQL refuses what it must";
    let mut place = 3;
    if t.kind == "clone" {
        operations::step(&tx, t.operation, place, "copy", "done", "through the proxy").await?;
        place += 1;
    }
    operations::timed(&tx, t.operation, place, ("verify", "done", made), (since, verified)).await?;
    let (state, said) = skipped.map_or(("done", "the proxy refuses what it must"), |why| ("skipped", why));
    operations::timed(&tx, t.operation, place + 1, ("probe", state, said), (since, probed)).await?;
    let moved = tx
        .query_opt(
            "UPDATE palisade_control.tenants SET observed_state = 'active'
             WHERE id = $1 AND observed_state = 'verifying' RETURNING slug",
            &[&t.id.as_str()],
        )
        .await?;
    let Some(row) = moved else {
        return Err(Problem::internal("another control plane took this operation over".into()));
    };
    operations::step_since(
        &tx,
        t.operation,
        place + 2,
        ("activate", "done", "the tenant is open"),
        Some(probed),
    )
    .await?;
    operations::finish(&tx, t.operation, None).await?;
    let mut event = event(&format!("tenant.{}", t.kind), &t.actor, &t.id, t.operation);
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
