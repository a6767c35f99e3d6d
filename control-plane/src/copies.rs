//! Copies of tenants: `pg_dump` and `psql` through the proxy, logged in as the tenant's owner. The proxy's catalog shows
//! them one tenant only, so no other is looked at, and what they write is a plain database's dump.

use std::process::Stdio;
use std::time::{Duration, Instant};

use palisade_catalog::ids::TenantId;
use palisade_catalog::secrets::random_client_secret;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio_postgres::NoTls;

use crate::Shared;
use crate::foundation::login_role;
use crate::http::problem::Problem;
use crate::store::verifier;

/// Longest copy. The temporary login ends a little later.
pub(crate) const LONGEST: Duration = Duration::from_secs(3_600);
/// Life of a temporary login, as PostgreSQL reads it.
const LOGIN_LIFE: &str = "65 minutes";
/// Most bytes of a tool's complaints that are kept.
const COMPLAINT_BYTES: u64 = 4_096;
/// Wait between two tries to be let in by the proxy.
const RETRY: Duration = Duration::from_millis(10);

/// How a tool reaches a tenant through the proxy.
pub(crate) struct Way {
    host: String,
    port: String,
    slug: String,
    login: String,
    secret: String,
}

/// A way for the control plane itself: a temporary login with the owner's rights. It must be given back by [`close`].
pub(crate) async fn open(shared: &Shared, id: &str, slug: &str) -> Result<Way, Problem> {
    let secret = random_client_secret();
    let login = format!("x_{}", &TenantId::random().as_str()[..12]);
    let role = login_role(&TenantId::parse(id)?, "owner");
    let client = shared.pool.get().await?;
    client
        .execute(
            "INSERT INTO palisade_control.logins (tenant_id, name, kind, verifier, server_role, expires_at)
             VALUES ($1, $2, 'owner', $3, $4, now() + $5::text::interval)",
            &[&id, &login, &verifier(&secret), &role, &LOGIN_LIFE],
        )
        .await?;
    drop(client);
    let way = way(shared, slug, &login, &secret)?;
    match let_in(shared, &way).await {
        Ok(()) => Ok(way),
        Err(problem) => {
            close(shared, id, &way).await;
            Err(problem)
        }
    }
}

/// The way of a login whose secret is known.
pub(crate) fn way(shared: &Shared, slug: &str, login: &str, secret: &str) -> Result<Way, Problem> {
    let proxy = shared.config.verify_through.as_deref().and_then(|proxy| proxy.rsplit_once(':'));
    let (host, port) = proxy.ok_or_else(|| {
        Problem::unavailable("copies go through the proxy named in verify_through, and none is configured")
    })?;
    let own = str::to_owned;
    Ok(Way { host: own(host), port: own(port), slug: own(slug), login: own(login), secret: own(secret) })
}

/// Waits until the proxy knows the login.
pub(crate) async fn let_in(shared: &Shared, way: &Way) -> Result<(), Problem> {
    let mut config = tokio_postgres::Config::new();
    config.host(&way.host).dbname(&way.slug).user(&way.login).password(&way.secret);
    config.port(way.port.parse().unwrap_or_default());
    let until = Instant::now() + Duration::from_millis(u64::from(shared.config.verify_timeout_ms));
    loop {
        match config.connect(NoTls).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => {
                let said = crate::provision::describe(&error);
                return Err(Problem::unavailable(format!("the proxy does not let the copy in: {said}")));
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Takes a temporary login away. What stays, should that fail, ends by itself.
pub(crate) async fn close(shared: &Shared, id: &str, way: &Way) {
    let sql =
        "DELETE FROM palisade_control.logins WHERE tenant_id = $1 AND name = $2 AND expires_at IS NOT NULL";
    if let Ok(client) = shared.pool.get().await
        && let Err(error) = client.execute(sql, &[&id, &way.login]).await
    {
        tracing::warn!(%error, "a temporary login stays until it expires");
    }
}

/// Takes temporary logins away that have expired.
pub(crate) async fn clean(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client.execute("DELETE FROM palisade_control.logins WHERE expires_at < now()", &[]).await?;
    Ok(())
}

fn tool(shared: &Shared, name: &str, way: &Way) -> Command {
    let program = shared.config.tools_dir.as_ref().map_or_else(|| name.into(), |folder| folder.join(name));
    let mut command = Command::new(program);
    // Nothing of our own environment; the secret is not among the arguments, which everybody on the machine may read.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
    command.env("PGPASSWORD", &way.secret).env("PGCONNECT_TIMEOUT", "10").env("PGAPPNAME", "palisade copy");
    command.args(["-h", &way.host, "-p", &way.port, "-U", &way.login, "-d", &way.slug]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn spawned(child: std::io::Result<Child>, name: &str) -> Result<Child, Problem> {
    child.map_err(|error| {
        Problem::internal(format!(
            "{name} cannot be started: {error}; install PostgreSQL's client tools or set tools_dir"
        ))
    })
}

/// A dump of a tenant, on the child's standard output.
pub(crate) fn dump(shared: &Shared, way: &Way, structure_only: bool) -> Result<Child, Problem> {
    let mut command = tool(shared, "pg_dump", way);
    command.args(["--no-owner", "--no-comments"]).args(structure_only.then_some("--schema-only"));
    spawned(command.stdout(Stdio::piped()).spawn(), "pg_dump")
}

/// A restore of a dump into an empty tenant, in one transaction; the dump is fed to it by [`feed`].
pub(crate) fn restore(shared: &Shared, way: &Way) -> Result<Child, Problem> {
    let mut command = tool(shared, "psql", way);
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "-"]);
    spawned(command.stdin(Stdio::piped()).spawn(), "psql")
}

/// What pg_dump 17 and newer write at their dump's head, and servers before 17 do not know.
const NEWER: &[u8] = b"SET transaction_timeout";

/// Gives a dump to its restore, without what a server older than pg_dump does not know.
///
/// # Errors
/// Either pipe's. What the two tools say tells more.
pub(crate) async fn feed(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).await? > 0 {
        if !line.starts_with(NEWER) {
            to.write_all(&line).await?;
        }
        // The head is comments and settings; behind it a line may be a row of somebody's.
        let head = [&b"--"[..], b"SET ", b"SELECT pg_catalog.set_config", b"\\restrict", b"\n"];
        if !head.iter().any(|start| line.starts_with(start)) {
            break;
        }
        line.clear();
    }
    tokio::io::copy_buf(&mut from, &mut to).await?;
    to.shutdown().await
}

/// Waits for a tool's end; its first complaint where it failed, without the names of the way.
pub(crate) async fn ended(mut child: Child, name: &str) -> Result<(), String> {
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        said = complaints(stderr).await;
    }
    let status = child.wait().await.map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let line = said.lines().find(|line| line.contains("ERROR") || line.contains("error:"));
    Err(format!("{name} failed: {}", line.unwrap_or("it said nothing").chars().take(300).collect::<String>()))
}

/// The first bytes of what a tool complains; the rest is read and forgotten, so that the tool does not wait.
async fn complaints(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    // A pipe that breaks has said all that it will.
    let _ = (&mut from).take(COMPLAINT_BYTES).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dump_is_fed_without_what_older_servers_do_not_know() {
        let head = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\nSET statement_timeout = 0;\n";
        let rest = "SELECT pg_catalog.set_config('search_path', '', false);\n\nCREATE TABLE a (b text);\nCOPY a FROM stdin;\n\
                    SET transaction_timeout = 0;\n\\.\n";
        let mut fed = Vec::new();
        feed(format!("{head}SET transaction_timeout = 0;\n{rest}").as_bytes(), &mut fed).await.unwrap();
        assert_eq!(String::from_utf8(fed).unwrap(), format!("{head}{rest}"));
        let mut fed = Vec::new();
        feed(&b"--\nSET a = 1;"[..], &mut fed).await.unwrap();
        assert_eq!(fed, b"--\nSET a = 1;");
    }
}
