//! The pool, and the catalog's migrations at start.

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use palisade_catalog::names::{PROXY_ROLE, TENANT_GROUP};
use palisade_catalog::secrets::MasterKey;
use palisade_policies::names;
use tokio_postgres::NoTls;

use crate::StartError;
use crate::config::ControlPlaneConfig;

mod embedded {
    refinery::embed_migrations!("../migrations/catalog");
}

/// What tenants see instead of PostgreSQL's own catalogs; made anew at every start.
const VIEWS: [&str; 4] = [
    include_str!("../../migrations/views/V1__catalog_views.sql"),
    include_str!("../../migrations/views/V2__catalog_functions.sql"),
    include_str!("../../migrations/views/V3__tenant_names.sql"),
    include_str!("../../migrations/views/V4__session.sql"),
];

/// Held while migrations run, so that two control planes may start at once.
const MIGRATION_LOCK: i64 = 0x7061_6c69_7361_6465;

/// A pool on the configured database. Connects lazily.
pub(crate) fn open(config: &ControlPlaneConfig) -> Result<Pool, String> {
    let mut pg: tokio_postgres::Config =
        config.database_url.parse().map_err(|e| format!("database_url: {e}"))?;
    pg.application_name("palisade control plane");
    pg.options(format!(
        "-c statement_timeout={} -c search_path=pg_catalog,pg_temp -c client_min_messages=warning",
        config.statement_timeout_ms
    ));
    pg.connect_timeout(std::time::Duration::from_secs(10));
    let manager =
        Manager::from_config(pg, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Verified });
    Pool::builder(manager).max_size(config.pool_size).build().map_err(|e| e.to_string())
}

/// Brings Palisade's own tables up to date and gives the proxy's role its derived password.
pub(crate) async fn migrate(
    config: &ControlPlaneConfig,
    pool: &Pool,
    master: &MasterKey,
) -> Result<(), StartError> {
    let failed = |e: &dyn std::fmt::Debug| StartError::Migration(format!("{e:?}"));
    let url = &config.database_url;
    let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(|e| {
        StartError::Database(format!("{e}; is it up, and is [control_plane] database_url right?"))
    })?;
    let connection = tokio::spawn(connection);
    client
        .batch_execute(&format!(
            "SELECT pg_advisory_lock({MIGRATION_LOCK}); CREATE SCHEMA IF NOT EXISTS palisade_control;
             SET search_path = palisade_control, pg_temp"
        ))
        .await
        .map_err(|e| failed(&e))?;
    embedded::migrations::runner().run_async(&mut client).await.map_err(|e| failed(&e))?;
    for script in VIEWS {
        client.batch_execute(&format!("BEGIN; {script}; COMMIT")).await.map_err(|e| failed(&e))?;
    }
    client.batch_execute(&catalog_rights(config.hide_catalogs)).await.map_err(|e| failed(&e))?;
    let verifier = verifier(&master.server_password(PROXY_ROLE, 1));
    client
        .batch_execute(&format!("ALTER ROLE {PROXY_ROLE} PASSWORD '{verifier}'"))
        .await
        .map_err(|e| failed(&e))?;
    drop(client);
    // The session's end gives the lock back.
    let _ = connection.await;
    drop(pool.get().await.map_err(|e| StartError::Database(e.to_string()))?);
    Ok(())
}

/// Takes the raw catalogs from PUBLIC, or gives them back: code that no reader sees into (`DO`, PL/pgSQL) meets the
/// filtered ones only. What says the same to everybody stays.
fn catalog_rights(hide: bool) -> String {
    let open: Vec<_> = names::raw_relations().map(|(schema, name)| format!("'{schema}.{name}'")).collect();
    let verb = if hide { "REVOKE SELECT ON %I.%I FROM PUBLIC" } else { "GRANT SELECT ON %I.%I TO PUBLIC" };
    // Only what PostgreSQL itself gives to PUBLIC, by its initial rights, is given back.
    format!(
        "DO $$ DECLARE r record; BEGIN
           FOR r IN SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_init_privs i ON i.objoid = c.oid AND i.classoid = 'pg_class'::regclass AND i.objsubid = 0
             WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v', 'm')
               AND n.nspname || '.' || c.relname <> ALL (ARRAY[{}])
               AND EXISTS (SELECT FROM aclexplode(i.initprivs) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT')
               AND {} EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT')
           LOOP EXECUTE format('{verb}', r.nspname, r.relname); END LOOP;
           -- information_schema asks for the encoding with its caller's rights.
           GRANT SELECT (datname, encoding) ON pg_catalog.pg_database TO {TENANT_GROUP};
         END $$",
        open.join(", "),
        if hide { "" } else { "NOT" },
    )
}

/// A password as PostgreSQL stores it: `SCRAM-SHA-256$…`. Holds no quote.
pub(crate) fn verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}
