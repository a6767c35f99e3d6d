//! The demo tenants and their data.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio_postgres::Client;

use crate::api::Api;
use crate::commands::out::text;
use crate::up::{say, server};

/// The demo tenants' slugs.
pub(crate) const TENANTS: [&str; 2] = ["acme", "globex"];
const LOGINS: [&str; 3] = ["owner", "app", "readonly"];
/// Longest wait until the proxy lets a new tenant in.
const PROXY_WAIT: Duration = Duration::from_secs(10);

/// The variable that holds a login's connection string.
pub(crate) fn variable(tenant: &str, login: &str) -> String {
    format!("PALISADE_URL_{}_{}", tenant.to_uppercase(), login.to_uppercase())
}

/// Makes the demo tenants where they are missing, and puts their connection strings into the variables.
pub(crate) fn make(api_url: &str, token: &str, env: &mut BTreeMap<String, String>) -> Result<()> {
    let api = Api::with_token(api_url, token.to_owned());
    for tenant in TENANTS {
        if api.get(&format!("/tenants/{tenant}")).is_err() {
            let made = api.post(
                "/tenants",
                &json!({ "slug": tenant, "display_name": format!("Demo {tenant}") }),
                None,
            )?;
            for credential in made["credentials"].as_array().into_iter().flatten() {
                env.insert(variable(tenant, &text(&credential["login"])), text(&credential["url"]));
            }
            say(&format!("made the demo tenant {tenant}"));
            continue;
        }
        // The tenant is there and its connection strings are lost: secrets are shown once, so new ones are made.
        for login in LOGINS {
            if let Entry::Vacant(lost) = env.entry(variable(tenant, login)) {
                let path = format!("/tenants/{tenant}/logins/{login}/rotate");
                lost.insert(text(&api.post(&path, &json!({}), None)?["url"]));
            }
        }
    }
    Ok(())
}

/// Gives each demo tenant its rows, through the proxy as the tenant's owner, where its tables are there and empty.
///
/// # Errors
/// A tenant cannot be reached through the proxy, or refuses its rows.
pub(crate) async fn seed(env: &BTreeMap<String, String>) -> Result<()> {
    for tenant in TENANTS {
        let Some(url) = env.get(&variable(tenant, "owner")) else { continue };
        let Some(client) = enter(url).await.with_context(|| format!("connecting as {tenant}"))? else {
            continue;
        };
        let rows = fill(&client, rows_of(tenant)).await;
        if let Some(rows) = rows.with_context(|| format!("giving {tenant} its data"))? {
            say(&format!("gave {tenant} {rows} rows of data"));
        }
    }
    Ok(())
}

fn rows_of(tenant: &str) -> &'static str {
    match tenant {
        "acme" => include_str!("demo/acme.sql"),
        _ => include_str!("demo/globex.sql"),
    }
}

/// Connects as a tenant; the proxy hears of a new one some milliseconds after it was made. `None`: the tenant is
/// suspended, which is its operator's wish.
async fn enter(url: &str) -> Result<Option<Client>> {
    let started = Instant::now();
    loop {
        let error = match server::connect(url).await {
            Ok(client) => return Ok(Some(client)),
            Err(error) => error,
        };
        let code = error.downcast_ref::<tokio_postgres::Error>().and_then(|e| e.code()).map(|c| c.code());
        if code == Some("55000") {
            return Ok(None);
        }
        if started.elapsed() > PROXY_WAIT {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Fills the example template's tables in one transaction: all rows or none. `None`: there was nothing to fill.
async fn fill(client: &Client, rows: &str) -> Result<Option<i64>> {
    let mut wanted = vec!["order_lines", "orders", "products", "users"];
    let found = client
        .query("SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = 'public'", &[])
        .await?;
    wanted.retain(|table| !found.iter().any(|row| row.get::<_, &str>(0) == *table));
    if !wanted.is_empty() {
        return Ok(None);
    }
    client.batch_execute("BEGIN; LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").await?;
    let count = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM products)
                 + (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_lines)";
    let before: i64 = client.query_one(count, &[]).await?.get(0);
    if before > 0 {
        client.batch_execute("ROLLBACK").await?;
        return Ok(None);
    }
    client.batch_execute(rows).await?;
    client.batch_execute(include_str!("demo/orders.sql")).await?;
    let after: i64 = client.query_one(count, &[]).await?.get(0);
    client.batch_execute("COMMIT").await?;
    Ok(Some(after))
}
