//! The tenants of a run, made through the API, and the statements that fill them.

use crate::oracle::Oracle;
use crate::tally::Tally;
use crate::wire::Address;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio_postgres::{Config, NoTls};

/// Rows of the table that every tenant can read at length.
const ROWS: u32 = 5000;
/// Pool sizes that tenants get in turn, in server connections.
const POOLS: [u32; 4] = [1, 2, 3, 4];
/// How long a new tenant's own tables may take.
const SETUP: Duration = Duration::from_secs(30);

/// One tenant and what its clients know of it.
pub(crate) struct Tenant {
    pub(crate) slug: String,
    pub(crate) schema: String,
    pub(crate) token: String,
    pub(crate) address: Address,
    pub(crate) url: String,
    /// Rows whose commit was answered.
    pub(crate) committed: AtomicU64,
    /// Rows whose commit was sent and not answered.
    pub(crate) unknown: AtomicU64,
    pub(crate) suspended: AtomicBool,
}

/// All of a run.
pub(crate) struct World {
    /// What the run's tenants have in their names.
    pub(crate) run: u32,
    /// Where clients connect, where that is not where the API says.
    pub(crate) host: Option<String>,
    /// The console's connection string.
    pub(crate) console: String,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) tally: Tally,
    pub(crate) api: Api,
    pub(crate) admin: String,
    pub(crate) calm: bool,
    connections: AtomicU64,
}

/// The control plane's API.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl Api {
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1{path}", self.base);
        let request = match method {
            "PUT" => self.agent.put(&url),
            _ => self.agent.post(&url),
        };
        let bearer = format!("Bearer {}", self.token);
        let mut answer = if method == "GET" {
            self.agent.get(&url).header("Authorization", bearer).call()
        } else {
            let key = format!("chaos-{}", rand::random::<u64>());
            request.header("Authorization", bearer).header("Idempotency-Key", key).send_json(body)
        }
        .with_context(|| format!("{method} {path}"))?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status().is_success(), "{method} {path}: {} {text}", answer.status());
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// The variables of a file that `palisade up` wrote.
pub(crate) fn read_env(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let pairs = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    Ok(pairs.map(|(k, v)| (k.to_owned(), v.trim_matches('\'').to_owned())).collect())
}

impl World {
    /// Makes the tenants and their tables.
    pub(crate) async fn make(
        env: &HashMap<String, String>,
        number: usize,
        calm: bool,
        host: Option<String>,
    ) -> anyhow::Result<Self> {
        let variable =
            |name: &str| env.get(name).cloned().with_context(|| format!("{name} is not in the file"));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        let api =
            Api { base: variable("PALISADE_API_URL")?, token: variable("PALISADE_ADMIN_TOKEN")?, agent };
        for pool in POOLS {
            api.call(
                "PUT",
                &format!("/plans/chaos-{pool}"),
                &json!({ "description": "chaos", "limits": { "max_server_connections": pool } }),
            )?;
        }
        let run = rand::random::<u32>();
        let mut tenants = Vec::new();
        for n in 0..number {
            tenants.push(Tenant::make(&api, n, run, host.as_deref()).await?);
        }
        Ok(Self {
            run,
            host,
            console: variable("PALISADE_CONSOLE_URL")?,
            tenants,
            tally: Tally::new(),
            api,
            admin: variable("PALISADE_DATABASE_URL")?,
            calm,
            connections: AtomicU64::new(1),
        })
    }

    /// What a new connection of a tenant may see.
    pub(crate) fn oracle(&self, tenant: &Tenant) -> Oracle {
        let id = self.connections.fetch_add(1, Ordering::Relaxed);
        Oracle {
            tenant: tenant.token.clone(),
            connection: format!("cli#{id}."),
            schema: tenant.schema.clone(),
        }
    }
}

/// Whether PostgreSQL has ended the connection as it was told to.
fn was_killed(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<tokio_postgres::Error>();
    error.and_then(tokio_postgres::Error::code) == Some(&tokio_postgres::error::SqlState::ADMIN_SHUTDOWN)
}

impl Tenant {
    pub(crate) async fn make(api: &Api, n: usize, run: u32, other: Option<&str>) -> anyhow::Result<Self> {
        let slug = format!("chaos-{run:08x}-{n}");
        let made = api.call(
            "POST",
            "/tenants",
            &json!({ "slug": slug, "plan": format!("chaos-{}", POOLS[n % POOLS.len()]) }),
        )?;
        let url = made["credentials"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|c| c["login"] == "owner")
            .and_then(|c| c["url"].as_str())
            .context("no owner's URL")?;
        let config: Config = url.parse()?;
        let (Some(tokio_postgres::config::Host::Tcp(host)), Some(port)) =
            (config.get_hosts().first(), config.get_ports().first())
        else {
            anyhow::bail!("the owner's URL names no host");
        };
        let address = Address {
            host: other.map_or_else(|| format!("{host}:{port}"), str::to_owned),
            user: config.get_user().unwrap_or("owner").to_owned(),
            password: String::from_utf8(config.get_password().unwrap_or_default().to_vec())?,
            database: slug.clone(),
        };
        let tenant = Self {
            schema: format!("t_{}", made["tenant"]["id"].as_str().context("no id")?),
            token: format!("ten#{n}#"),
            url: url.to_owned(),
            slug,
            address,
            committed: AtomicU64::default(),
            unknown: AtomicU64::default(),
            suspended: AtomicBool::default(),
        };
        let filled = async {
            loop {
                match tenant.fill().await {
                    // A server that the faults have killed meanwhile: the batch was one transaction.
                    Err(error) if was_killed(&error) => {}
                    filled => return filled,
                }
            }
        };
        tokio::time::timeout(SETUP, filled).await.context("a tenant's tables took too long")??;
        Ok(tenant)
    }

    /// Removes it and all that it has.
    pub(crate) fn remove(&self, api: &Api) -> anyhow::Result<()> {
        let path = format!("/tenants/{}/rollback", self.slug);
        let plan = api.call("POST", &path, &json!({ "dry_run": true }))?;
        api.call("POST", &path, &json!({ "confirm": plan["confirm"], "reason": "chaos" }))?;
        Ok(())
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let token = &self.token;
        self.sql(&format!(
            "CREATE TABLE mark (owner text NOT NULL, n int PRIMARY KEY, filler text NOT NULL);
             INSERT INTO mark SELECT '{token}', i, repeat('{token}', 5) FROM generate_series(1, {ROWS}) i;
             CREATE TABLE ledger (owner text NOT NULL DEFAULT '{token}', kept bool NOT NULL, note text NOT NULL);
             CREATE FUNCTION say(what text) RETURNS text LANGUAGE plpgsql AS
               $$BEGIN RAISE NOTICE '{token} %', what; RETURN what; END$$;
             CREATE FUNCTION complain(what text) RETURNS text LANGUAGE plpgsql AS
               $$BEGIN RAISE EXCEPTION '{token} %', what USING ERRCODE = 'P4711', DETAIL = what, HINT = '{token}'; END$$"
        ))
        .await?;
        Ok(())
    }

    /// Runs statements by a driver, on a connection of its own, and returns the last one's first value.
    pub(crate) async fn sql(&self, text: &str) -> anyhow::Result<String> {
        query(&self.url, text).await
    }
}

/// Runs statements at a URL and returns the last row's first value.
pub(crate) async fn query(url: &str, text: &str) -> anyhow::Result<String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let running = tokio::spawn(connection);
    // Its error before the connection's: the connection only says that it was closed.
    let messages = client.simple_query(text).await?;
    drop(client);
    running.await??;
    let last = messages.into_iter().rev().find_map(|m| match m {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("").to_owned()),
        _ => None,
    });
    Ok(last.unwrap_or_default())
}
