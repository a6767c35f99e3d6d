//! Verification: nothing becomes `active` that was not looked at. What was made equals what the template makes, and both
//! walls refuse what they must, tried by real logins.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use palisade_catalog::ids::{Slug, TenantId};
use palisade_catalog::names;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::Shared;
use crate::foundation::{KINDS, login_role};
use crate::provision::{Credential, describe};
use crate::templates::Compiled;

/// Wait before each try to be let in by the proxy: so long it takes until it has heard of a tenant. One that is too early
/// is a failed login on record.
const HEARD: Duration = Duration::from_millis(5);
/// How often a login's probe is tried whose connection is lost: a server that an administrator or a failover has ended
/// says nothing of a wall.
const TRIES: u32 = 3;

/// Why a probe did not say yes.
#[derive(Debug, PartialEq)]
enum Doubt {
    /// Its connection was lost: it says neither yes nor no.
    Lost(String),
    /// What must not be.
    Wrong(String),
}

impl Doubt {
    /// What an error says of a probe; `what` stands before it.
    fn of(what: &str, error: &tokio_postgres::Error) -> Self {
        let said = format!("{what}{}", describe(error));
        if is_lost(error.is_closed(), error.code()) { Self::Lost(said) } else { Self::Wrong(said) }
    }
}

/// Whether an error is of the connection: closed, ended by an administrator or a shutdown, or of SQLSTATE's class 08.
fn is_lost(closed: bool, code: Option<&SqlState>) -> bool {
    closed || code.is_some_and(|code| code.code().starts_with("57P0") || code.code().starts_with("08"))
}

/// Does a probe, again where its connection was lost.
async fn probed<F: Future<Output = Result<(), Doubt>>>(probe: impl Fn() -> F) -> Result<(), String> {
    let mut tries = 1;
    loop {
        match probe().await {
            Ok(()) => return Ok(()),
            Err(Doubt::Lost(said)) if tries < TRIES => {
                tracing::warn!(said, tries, "a probe lost its connection and is tried again");
                tries += 1;
            }
            Err(Doubt::Lost(said) | Doubt::Wrong(said)) => return Err(said),
        }
    }
}

/// The schema's fingerprint is the template's, and its roles can do no more than they should.
pub(crate) async fn catalog(shared: &Shared, id: &TenantId, template: &Compiled) -> Result<(), String> {
    let schema = names::schema(id);
    let client = shared.pool.get().await.map_err(|e| e.to_string())?;
    let row = client
        .query_one(
            "SELECT palisade_control.fingerprint($1),
                    (SELECT count(*) FROM pg_roles WHERE rolname = ANY ($2) AND rolcanlogin AND NOT rolsuper
                       AND NOT rolcreaterole AND NOT rolcreatedb AND NOT rolreplication AND NOT rolbypassrls)",
            &[&schema, &KINDS.map(|kind| login_role(id, kind)).to_vec()],
        )
        .await
        .map_err(|e| describe(&e))?;
    let (fingerprint, roles): (Option<String>, i64) = (row.get(0), row.get(1));
    if roles != KINDS.len() as i64 {
        return Err(format!("{roles} of {} login roles are as they should be", KINDS.len()));
    }
    if fingerprint.as_deref() == Some(template.fingerprint.as_str()) {
        return Ok(());
    }
    let row = client
        .query_one(
            "WITH made AS (SELECT line FROM palisade_control.describe_schema($1) AS line),
                  wanted AS (SELECT unnest(description) AS line FROM palisade_control.template_versions
                             WHERE name = $2 AND version = $3)
             SELECT coalesce((SELECT 'it has ' || line FROM (TABLE made EXCEPT TABLE wanted) m LIMIT 1),
                             (SELECT 'it lacks ' || line FROM (TABLE wanted EXCEPT TABLE made) w LIMIT 1),
                             'some line is there twice')",
            &[&schema, &template.name, &template.version],
        )
        .await
        .map_err(|e| describe(&e))?;
    Err(format!("the schema is not what the template makes: {}", row.get::<_, &str>(0)))
}

/// Wall 2: logs in as the tenant's own roles, past the proxy, and asks for what PostgreSQL must refuse.
pub(crate) async fn second_wall(shared: &Shared, id: &TenantId) -> Result<(), String> {
    try_join_all(KINDS.map(|kind| probed(move || as_role(shared, id, kind)))).await.map(drop)
}

/// Wall 2 of one kind of a tenant's.
pub(crate) async fn kind(shared: &Shared, id: &TenantId, kind: &str) -> Result<(), String> {
    probed(|| as_role(shared, id, kind)).await
}

async fn as_role(shared: &Shared, id: &TenantId, kind: &str) -> Result<(), Doubt> {
    let role = login_role(id, kind);
    let mut config = shared.postgres.config();
    config.user(&role).password(shared.master.server_password(&role, 1)).application_name("palisade probe");
    let login = format!("login as {kind}: ");
    let client = shared.postgres.session(&config).await.map_err(|e| Doubt::of(&login, &e))?;
    for (what, sql) in [
        ("read the control tables", "SELECT 1 FROM palisade_control.tenants"),
        ("switch its role", "SET ROLE palisade_proxy"),
    ] {
        refused(&client, what, sql, &[SqlState::INSUFFICIENT_PRIVILEGE]).await?;
    }
    Ok(())
}

/// Wall 1: comes in through the proxy with the tenant's own secrets, reads its own schema, and asks for a foreign one.
/// The reason where no proxy is configured.
pub(crate) async fn first_wall(
    shared: &Shared,
    id: &TenantId,
    slug: &Slug,
    credentials: &[Credential],
) -> Result<Option<&'static str>, String> {
    let Some(proxy) = &shared.config.verify_through else {
        return Ok(Some("no proxy is configured in verify_through"));
    };
    let (host, port) = proxy.rsplit_once(':').ok_or("verify_through is not host:port")?;
    let port: u16 = port.parse().map_err(|_| "verify_through is not host:port")?;
    let foreign = foreign_schema(shared, id).await?;
    let deadline = Instant::now() + Duration::from_millis(u64::from(shared.config.verify_timeout_ms));
    let probes = credentials.iter().filter(|c| c.kind != "readonly").map(|credential| {
        let mut config = tokio_postgres::Config::new();
        config
            .host(host)
            .port(port)
            .dbname(slug.as_str())
            .user(&credential.login)
            .password(&credential.secret);
        probed({
            let foreign = &foreign;
            move || probe(config.clone(), &credential.login, foreign, deadline)
        })
    });
    try_join_all(probes).await.map(|_| None)
}

/// One login through the proxy.
async fn probe(
    config: tokio_postgres::Config,
    login: &str,
    foreign: &str,
    deadline: Instant,
) -> Result<(), Doubt> {
    let client = loop {
        tokio::time::sleep(HEARD).await;
        match enter(&config).await {
            Ok(client) => break client,
            Err(error) if Instant::now() > deadline => {
                return Err(Doubt::of(&format!("login as {login} through the proxy: "), &error));
            }
            Err(_) => {}
        }
    };
    through_the_proxy(&client, foreign).await
}

async fn through_the_proxy(client: &Client, foreign: &str) -> Result<(), Doubt> {
    let row = client.query_one("SELECT current_schema()::text", &[]).await.map_err(|e| Doubt::of("", &e))?;
    let own: Option<String> = row.get(0);
    if own.as_deref() != Some(names::LOGICAL_SCHEMA) {
        return Err(Doubt::Wrong("through the proxy the tenant's schema is not \"public\"".into()));
    }
    client
        .batch_execute("SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace")
        .await
        .map_err(|e| Doubt::of("the tenant cannot read its own schema: ", &e))?;
    let unknown = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    for (what, sql) in [
        ("name a foreign schema", format!("SELECT 1 FROM {foreign}.probe")),
        ("name the control tables", "SELECT 1 FROM palisade_control.tenants".to_owned()),
        ("move its search path", format!("SET search_path = {foreign}")),
    ] {
        refused(client, what, &sql, if sql.starts_with("SELECT") { &unknown } else { &[] }).await?;
    }
    Ok(())
}

/// Another tenant's schema where there is one, else a name that a tenant's could have.
async fn foreign_schema(shared: &Shared, id: &TenantId) -> Result<String, String> {
    let client = shared.pool.get().await.map_err(|e| e.to_string())?;
    let row = client
        .query_opt(
            "SELECT schema_name FROM palisade_control.tenants
             WHERE id <> $1 AND observed_state IN ('active', 'suspended') LIMIT 1",
            &[&id.as_str()],
        )
        .await
        .map_err(|e| describe(&e))?;
    Ok(row.map_or_else(|| names::schema(&TenantId::random()), |row| row.get(0)))
}

/// Logs in. The connection ends with its client.
async fn enter(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // How it ends says nothing: the probe's statements said everything.
        let _ = connection.await;
    });
    Ok(client)
}

/// The statement must fail, and with one of the codes where some are given.
async fn refused(client: &Client, what: &str, sql: &str, codes: &[SqlState]) -> Result<(), Doubt> {
    let Err(error) = client.batch_execute(sql).await else {
        return Err(Doubt::Wrong(format!("the tenant could {what}")));
    };
    match error.code() {
        Some(code) if codes.contains(code) => Ok(()),
        Some(code) if codes.is_empty() && !is_lost(error.is_closed(), Some(code)) => Ok(()),
        _ => Err(Doubt::of(&format!("trying to {what} was answered by: "), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_connections_errors_are_told_from_answers() {
        for (closed, code, lost) in [
            (true, None, true),
            (false, None, false),
            (false, Some("57P01"), true),
            (false, Some("57P03"), true),
            (false, Some("08006"), true),
            (false, Some("57014"), false),
            (false, Some("42501"), false),
        ] {
            let code = code.map(SqlState::from_code);
            assert_eq!(is_lost(closed, code.as_ref()), lost, "{code:?}");
        }
    }

    #[tokio::test]
    async fn a_lost_probe_is_tried_again_and_a_wrong_one_is_not() {
        let lost = || Err(Doubt::Lost("lost".into()));
        let wrong = || Err(Doubt::Wrong("wrong".into()));
        let tries = |answers: Vec<Result<(), Doubt>>| async move {
            let (number, answers) = (AtomicU32::new(0), std::sync::Mutex::new(answers.into_iter()));
            let outcome = probed(|| async {
                number.fetch_add(1, Ordering::Relaxed);
                answers.lock().unwrap().next().unwrap()
            });
            (outcome.await, number.load(Ordering::Relaxed))
        };
        assert_eq!(tries(vec![lost(), Ok(())]).await, (Ok(()), 2));
        assert_eq!(tries(vec![wrong(), Ok(())]).await, (Err("wrong".into()), 1));
        assert_eq!(tries(vec![lost(), wrong()]).await, (Err("wrong".into()), 2));
        assert_eq!(tries(vec![lost(), lost(), lost(), Ok(())]).await, (Err("lost".into()), TRIES));
    }
}
