//! Limits of a tenant: each bites where it should, says its name, and holds for sessions that are open already.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Installation, connect};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

/// SQLSTATE and hint of an error.
fn code(error: &tokio_postgres::Error) -> (String, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    (error.code().code().to_owned(), error.hint().unwrap_or_default().to_owned())
}

/// A client whose connection's last words can be read.
async fn watched(url: &str) -> (Client, tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    (client, tokio::spawn(connection))
}

struct Tenant {
    palisade: Installation,
    token: String,
    url: String,
}

impl Tenant {
    /// Sets the limits of acme, all of them, and waits until the proxy knows.
    async fn limit(&self, limits: Value) {
        let body = json!({ "limits": limits });
        let (status, answer) =
            self.palisade.api("PATCH", "/api/v1/tenants/acme", &self.token, Some(body)).unwrap();
        assert_eq!(status, 200, "{answer}");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_bites_and_says_its_name() {
    let palisade = Installation::start("limits", true);
    let env = palisade.env();
    let (token, url) = (env["PALISADE_ADMIN_TOKEN"].clone(), env["PALISADE_URL_ACME_APP"].clone());
    let tenant = Tenant { palisade, token, url };
    // It was there before any limit: they hold for it all the same.
    let (early, _) = watched(&tenant.url).await;
    statements(&tenant, &early).await;
    transactions(&tenant).await;
    silence(&tenant).await;
    messages(&tenant).await;
    queue(&tenant).await;
    rate(&tenant).await;
}

async fn statements(tenant: &Tenant, early: &Client) {
    tenant.limit(json!({ "statement_timeout_ms": 300 })).await;
    let (client, _) = watched(&tenant.url).await;
    let error = client.batch_execute("SELECT pg_sleep(20)").await.unwrap_err();
    assert_eq!(code(&error).0, "57014");
    for client in [&client, early] {
        // PostgreSQL lets a session lift its own timeout; the operator's limit holds.
        client.batch_execute("SET statement_timeout = 0").await.unwrap();
        let started = Instant::now();
        let error = client.batch_execute("SELECT pg_sleep(20)").await.unwrap_err();
        assert_eq!(code(&error), ("57014".into(), "The limit is statement_timeout_ms.".into()));
        assert!(started.elapsed() < Duration::from_secs(10));
        client.batch_execute("SELECT 1").await.unwrap();
    }
}

async fn transactions(tenant: &Tenant) {
    tenant.limit(json!({ "idle_in_transaction_timeout_ms": 300 })).await;
    let (client, connection) = watched(&tenant.url).await;
    client.batch_execute("SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT 1").await.unwrap();
    let error = connection.await.unwrap().unwrap_err();
    assert_eq!(code(&error), ("25P03".into(), "The limit is idle_in_transaction_timeout_ms.".into()));
}

async fn silence(tenant: &Tenant) {
    tenant.limit(json!({ "client_idle_timeout_ms": 800 })).await;
    let (client, connection) = watched(&tenant.url).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1_600) {
        client.batch_execute("SELECT pg_sleep(0.1)").await.expect("it is not silent");
    }
    client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    client.batch_execute("COMMIT").await.expect("a transaction has its own limit");
    let error = connection.await.unwrap().unwrap_err();
    assert_eq!(code(&error), ("57P05".into(), "The limit is client_idle_timeout_ms.".into()));
}

async fn messages(tenant: &Tenant) {
    tenant.limit(json!({ "max_message_bytes": 2048 })).await;
    let (client, _) = watched(&tenant.url).await;
    client.query_one("SELECT length($1)", &[&"x".repeat(1_000)]).await.unwrap();
    let error = client.query_one("SELECT length($1)", &[&"x".repeat(3_000)]).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "54000");
    assert!(error.message().contains("max_message_bytes (2048)"), "{}", error.message());
}

async fn queue(tenant: &Tenant) {
    tenant
        .limit(
            json!({ "max_server_connections": 1, "query_queue_clients": 1, "query_wait_timeout_ms": 1500 }),
        )
        .await;
    let (holder, _) = watched(&tenant.url).await;
    let ((second, _), (third, _)) = (watched(&tenant.url).await, watched(&tenant.url).await);
    holder.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let waiting = tokio::spawn(async move { second.batch_execute("SELECT 2").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (sqlstate, hint) = code(&third.batch_execute("SELECT 3").await.unwrap_err());
    assert_eq!((sqlstate.as_str(), hint.contains("query_queue_clients (1)")), ("53300", true), "{hint}");
    let (sqlstate, hint) = code(&waiting.await.unwrap().unwrap_err());
    assert_eq!((sqlstate.as_str(), hint.contains("1500 ms")), ("57014", true), "{hint}");
    holder.batch_execute("COMMIT").await.unwrap();
}

async fn rate(tenant: &Tenant) {
    tenant.limit(json!({ "transactions_per_second": 10, "query_wait_timeout_ms": 1000 })).await;
    let (client, _) = watched(&tenant.url).await;
    let started = Instant::now();
    // One second's worth comes at once, the rest evenly.
    for _ in 0..20 {
        client.batch_execute("SELECT 1").await.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_millis(800), "{:?}", started.elapsed());
    let mut refused = 0;
    let clients: Vec<_> = futures::future::join_all((0..30).map(|_| watched(&tenant.url))).await;
    let answers = clients.iter().map(|(client, _)| client.batch_execute("SELECT 1"));
    for answer in futures::future::join_all(answers).await {
        if let Err(error) = answer {
            let (sqlstate, hint) = code(&error);
            assert_eq!((sqlstate.as_str(), hint.contains("transactions_per_second (10)")), ("53400", true));
            refused += 1;
        }
    }
    assert!(refused > 0, "nobody was refused");
}

/// One tenant's storm uses up every server connection; another tenant still gets its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_does_not_starve_another_tenant() {
    let settings = [("PALISADE__PROXY__MAX_SERVER_CONNECTIONS", "4"), ("PALISADE__PROXY__POOL_SIZE", "4")];
    let palisade = Installation::with("storm", true, &settings);
    let env = palisade.env();
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut storm = Vec::new();
    for login in ["OWNER", "APP", "READONLY"] {
        for _ in 0..12 {
            let (client, _) = watched(&env[&format!("PALISADE_URL_ACME_{login}")]).await;
            let (stop, done) = (stop.clone(), done.clone());
            storm.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.batch_execute("SELECT pg_sleep(0.02)").await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
    }
    let globex = connect(&env["PALISADE_URL_GLOBEX_APP"]).await;
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        let started = Instant::now();
        globex.batch_execute("SELECT 1").await.unwrap();
        longest = longest.max(started.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    for client in storm {
        client.await.unwrap();
    }
    println!("{} storm transactions, the other's longest wait was {longest:?}", done.load(Ordering::Relaxed));
    assert!(longest < Duration::from_secs(10), "starved for {longest:?}");
    // Every server connection is accounted for.
    let metrics = palisade.metrics();
    let (idle, left) = (metrics["palisade_servers{state=\"idle\"}"], metrics["palisade_server_budget_left"]);
    assert_eq!(idle + left, 4.0, "idle and free places of the budget");
}
