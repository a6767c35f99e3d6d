//! The pool, and the catalog's migrations at start.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deadpool_postgres::Pool;
use hmac::{Hmac, Mac};
use palisade_catalog::names::{PROXY_ROLE, TENANT_GROUP};
use palisade_catalog::secrets::MasterKey;
use palisade_policies::names;
use sha2::{Digest, Sha256};

use crate::StartError;
use crate::config::ControlPlaneConfig;
use crate::postgres::Postgres;

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
pub(crate) fn open(config: &ControlPlaneConfig, postgres: &Postgres) -> Result<Pool, String> {
    let mut pg = postgres.config();
    pg.application_name("palisade control plane");
    pg.options(format!(
        "-c statement_timeout={} -c search_path=pg_catalog,pg_temp -c jit=off -c client_min_messages=warning",
        config.statement_timeout_ms
    ));
    pg.connect_timeout(std::time::Duration::from_secs(10));
    Pool::builder(postgres.manager(pg)).max_size(config.pool_size).build().map_err(|e| e.to_string())
}

/// An error with what led to it, and no more: a migration's own text is no part of it.
fn words(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Brings Palisade's own tables up to date and gives the proxy's role its derived password.
pub(crate) async fn migrate(
    config: &ControlPlaneConfig,
    postgres: &Postgres,
    pool: &Pool,
    master: &MasterKey,
) -> Result<(), StartError> {
    let failed = |e: &dyn std::error::Error| StartError::Migration(words(e));
    let (mut client, connection) = postgres.connect(&postgres.config()).await.map_err(|e| {
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
    let lock_verb = if hide {
        "REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC"
    } else {
        "GRANT EXECUTE ON FUNCTION %s TO PUBLIC"
    };
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
           -- Advisory locks are taken by the functions in schema palisade, which keep tenants' keys apart.
           FOR r IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
             AND p.proname ~ '^pg_(try_)?advisory_'
           LOOP EXECUTE format('{lock_verb}', r.name); END LOOP;
           -- information_schema asks for the encoding with its caller's rights.
           GRANT SELECT (datname, encoding) ON pg_catalog.pg_database TO {TENANT_GROUP};
         END $$",
        open.join(", "),
        if hide { "" } else { "NOT" },
    )
}

/// A verifier with the salt and iterations of another. Our secrets are plain ASCII: they need no preparation.
pub(crate) fn verifier_like(password: &str, other: &str) -> Option<String> {
    let (parameters, _) = other.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let salted = salted(password, &STANDARD.decode(salt).ok()?, iterations.parse().ok()?);
    let stored = Sha256::digest(sign(&salted, &[b"Client Key"]));
    let server = sign(&salted, &[b"Server Key"]);
    Some(format!("SCRAM-SHA-256${parameters}${}:{}", STANDARD.encode(stored), STANDARD.encode(server)))
}

/// PBKDF2 with one block, as SCRAM calls it: Hi.
fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut last = sign(password.as_bytes(), &[salt, &[0, 0, 0, 1]]);
    let mut sum = last;
    for _ in 1..iterations {
        last = sign(password.as_bytes(), &[&last]);
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A password as PostgreSQL stores it: `SCRAM-SHA-256$…`. Holds no quote.
pub(crate) fn verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_with_a_given_salt_is_the_one_that_postgresql_makes() {
        let made = verifier("secret-of_ours");
        assert_eq!(verifier_like("secret-of_ours", &made).as_ref(), Some(&made));
        assert_ne!(verifier_like("another", &made), Some(made));
        assert_eq!(verifier_like("x", "md5abc"), None);
    }
}
