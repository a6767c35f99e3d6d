//! A tenant in one transaction, its verification, and the removal of what failed.

use std::sync::Arc;

use deadpool_postgres::Transaction;
use palisade_catalog::audit::{Class, Decision, Event, Plane};
use palisade_catalog::ids::{LoginName, RoleKind, Slug, TenantId};
use palisade_catalog::names::{self, TENANT_GROUP};
use palisade_catalog::secrets::random_client_secret;
use time::OffsetDateTime;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::store::verifier;
use crate::{Shared, audit, operations};

/// The role kinds that every tenant has.
pub(crate) const KINDS: [&str; 3] = ["owner", "app", "readonly"];

/// A wish for a tenant, checked.
pub(crate) struct NewTenant {
    pub(crate) id: TenantId,
    pub(crate) slug: Slug,
    pub(crate) display_name: String,
    pub(crate) plan: String,
    pub(crate) operation: Uuid,
    pub(crate) actor: String,
}

/// A login's secret, shown once.
#[derive(serde::Serialize)]
pub(crate) struct Credential {
    pub(crate) login: String,
    pub(crate) kind: String,
    pub(crate) secret: String,
    pub(crate) url: String,
}

/// Makes a tenant: reserves its slug, provisions it in one transaction, verifies it, opens it. What fails is removed.
pub(crate) async fn create(shared: &Arc<Shared>, tenant: &NewTenant) -> Result<Vec<Credential>, Problem> {
    reserve(shared, tenant).await?;
    let credentials = credentials(shared, tenant);
    let result = async {
        provision(shared, tenant, &credentials).await?;
        verify(shared, &tenant.id)
            .await
            .map_err(|reason| Problem::internal(format!("verification failed: {reason}")))?;
        activate(shared, &tenant.id, tenant.operation, &tenant.actor).await
    }
    .await;
    match result {
        Ok(()) => Ok(credentials),
        Err(problem) => {
            remove(shared, &tenant.id, tenant.operation, &tenant.actor, &problem.detail).await?;
            Err(problem)
        }
    }
}

/// The durable intent: a row that reserves the slug, and the operation.
async fn reserve(shared: &Shared, t: &NewTenant) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let template = &shared.template;
    let inserted = tx
        .execute(
            "INSERT INTO palisade_control.tenants
               (id, slug, display_name, schema_name, template, template_version, plan, desired_state, observed_state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'active', 'pending') ON CONFLICT DO NOTHING",
            &[
                &t.id.as_str(),
                &t.slug.as_str(),
                &t.display_name,
                &names::schema(&t.id),
                &template.name,
                &template.version,
                &t.plan,
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
    operations::begin(&tx, t.operation, t.id.as_str(), "create", &t.actor).await?;
    operations::step(&tx, t.operation, 1, "reserve", "done", "the slug is reserved").await?;
    tx.commit().await?;
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
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    operations::step(&tx, t.operation, 2, "provision", "running", "roles, schema, objects and grants")
        .await?;
    tx.batch_execute(&script(shared, &t.id)).await.map_err(|e| Problem::internal(describe(&e)))?;
    for credential in credentials {
        let login = LoginName::parse(&credential.login).map_err(|e| Problem::internal(e.to_string()))?;
        let kind = RoleKind::parse(&credential.kind).map_err(|e| Problem::internal(e.to_string()))?;
        tx.execute(
            "INSERT INTO palisade_control.logins (tenant_id, name, kind, verifier, server_role)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                &t.id.as_str(),
                &login.as_str(),
                &kind.as_str(),
                &verifier(&credential.secret),
                &names::login_role(&t.id, &kind),
            ],
        )
        .await?;
    }
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

/// The whole tenant as one batch. Names are made of our own characters only, verifiers hold no quote.
fn script(shared: &Shared, id: &TenantId) -> String {
    let (schema, owner) = (names::schema(id), names::owner_role(id));
    let limit = shared.config.role_connection_limit;
    let mut sql = format!("CREATE ROLE {owner} NOLOGIN NOINHERIT;\n");
    for kind in KINDS {
        let role = login_role(id, kind);
        let password = verifier(&shared.master.server_password(&role, 1));
        sql.push_str(&format!(
            "CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
               CONNECTION LIMIT {limit} PASSWORD '{password}' IN ROLE {TENANT_GROUP};\n"
        ));
    }
    let (own, app, readonly) = (login_role(id, "owner"), login_role(id, "app"), login_role(id, "readonly"));
    // The owner role is in the tenants' group too: it is who the owner's sessions are.
    sql.push_str(&format!(
        "GRANT {TENANT_GROUP} TO {owner} ;
         ALTER ROLE {owner} INHERIT;
         GRANT {owner} TO {own};
         CREATE SCHEMA {schema} AUTHORIZATION {owner};
         GRANT USAGE ON SCHEMA {schema} TO {app}, {readonly};
         SET LOCAL ROLE {owner};
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {readonly};
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {app};
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT EXECUTE ON ROUTINES TO {app}, {readonly};
         ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
         ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
         ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON TYPES TO {app}, {readonly};
         SET LOCAL search_path = {schema}, pg_temp;
         {}
         RESET ROLE;
         SET LOCAL search_path = pg_catalog, pg_temp;\n",
        shared.template.script
    ));
    sql
}

fn login_role(id: &TenantId, kind: &str) -> String {
    format!("{}_l_{kind}", names::schema(id))
}

/// Looks at what was made, and through the second wall: logs in as the tenant and tries what must fail.
pub(crate) async fn verify(shared: &Shared, id: &TenantId) -> Result<(), String> {
    let schema = names::schema(id);
    let client = shared.pool.get().await.map_err(|e| e.to_string())?;
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
                     WHERE n.nspname = $1 AND r.rolname = $2),
                    (SELECT count(*) FROM pg_roles WHERE rolname = ANY ($3) AND rolcanlogin AND NOT rolsuper),
                    (SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) a
                     WHERE n.nspname = $1
                       AND coalesce((SELECT rolname FROM pg_roles r WHERE r.oid = a.grantee), '') NOT LIKE $4)",
            &[
                &schema,
                &names::owner_role(id),
                &KINDS.map(|k| login_role(id, k)).to_vec(),
                &format!("{}\\_%", schema.replace('_', "\\_")),
            ],
        )
        .await
        .map_err(|e| describe(&e))?;
    let (schemas, roles, strangers): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    if schemas != 1 || roles != KINDS.len() as i64 {
        return Err(format!("{schemas} of 1 schemas and {roles} of {} roles are there", KINDS.len()));
    }
    if strangers != 0 {
        return Err(format!("{strangers} grants on the schema are somebody else's"));
    }
    probe(shared, id).await
}

/// Logs in as the tenant's owner and asks for what wall 2 must refuse.
async fn probe(shared: &Shared, id: &TenantId) -> Result<(), String> {
    let role = login_role(id, "owner");
    let mut config: tokio_postgres::Config =
        shared.config.database_url.parse().map_err(|e| format!("{e}"))?;
    config.user(&role).password(shared.master.server_password(&role, 1)).application_name("palisade probe");
    let (client, connection) =
        config.connect(NoTls).await.map_err(|e| format!("login as {role}: {}", describe(&e)))?;
    let connection = tokio::spawn(connection);
    let denied = client.batch_execute("SELECT 1 FROM palisade_control.tenants").await;
    let switched = client.batch_execute("SET ROLE palisade_proxy").await;
    drop(client);
    // The connection ends with its client; how it ends says nothing.
    let _ = connection.await;
    for (what, result) in [("read the control tables", denied), ("switch its role", switched)] {
        match result.err().and_then(|e| e.code().cloned()) {
            Some(code) if code == SqlState::INSUFFICIENT_PRIVILEGE => {}
            other => return Err(format!("the tenant could {what} ({other:?})")),
        }
    }
    Ok(())
}

/// Opens a verified tenant; its audit row commits with it.
pub(crate) async fn activate(
    shared: &Shared,
    id: &TenantId,
    operation: Uuid,
    actor: &str,
) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    operations::step(&tx, operation, 3, "verify", "done", "rights and wall 2 hold").await?;
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
    operations::step(&tx, operation, 4, "activate", "done", "the tenant is open").await?;
    operations::finish(&tx, operation, None).await?;
    let mut event = event("tenant.create", actor, id, operation);
    event.tenant = Some(row.get(0));
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes every trace of a tenant that never was active. Safe to repeat.
pub(crate) async fn remove(
    shared: &Shared,
    id: &TenantId,
    operation: Uuid,
    actor: &str,
    reason: &str,
) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    // Whoever removes holds the row: a second remover waits and finds nothing.
    let row = tx
        .query_opt(
            "SELECT slug FROM palisade_control.tenants WHERE id = $1
             AND observed_state IN ('pending', 'verifying') FOR UPDATE",
            &[&id.as_str()],
        )
        .await?;
    drop_objects(&tx, id).await?;
    tx.execute(
        "DELETE FROM palisade_control.tenants WHERE id = $1 AND observed_state IN ('pending', 'verifying')",
        &[&id.as_str()],
    )
    .await?;
    operations::finish(&tx, operation, Some(reason)).await?;
    let mut event = event("tenant.create", actor, id, operation);
    event.tenant = row.map(|row| row.get(0));
    event.decision = Decision::Allow;
    event.result = "failed".into();
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Drops a tenant's schema and roles where they are there.
async fn drop_objects(tx: &Transaction<'_>, id: &TenantId) -> Result<(), Problem> {
    let schema = names::schema(id);
    tx.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await?;
    let roles = tx
        .query(
            "SELECT rolname FROM pg_roles WHERE rolname = $1 OR rolname LIKE $2",
            &[&names::owner_role(id), &format!("{}\\_l\\_%", schema.replace('_', "\\_"))],
        )
        .await?;
    for row in roles {
        let role: String = row.get(0);
        tx.batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await?;
    }
    Ok(())
}

/// An event about a tenant.
pub(crate) fn event(action: &str, actor: &str, id: &TenantId, operation: Uuid) -> Event {
    let mut event = Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Control, action, actor);
    event.tenant_id = Some(id.to_string());
    event.operation = Some(operation);
    event
}

/// An error of the database in one line: SQLSTATE and message, never the statement.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}
