//! What an operator changes holds within a second, in the middle of a transaction too; a rotation can leave time; and a
//! proxy serves on while the control plane is away.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, Second, connect, free_address, refusal};
use palisade_policies::judge::POLICY;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

/// Longest time until a change holds at a proxy.
const SOON: Duration = Duration::from_secs(1);

fn post(palisade: &Installation, path: &str, body: Value) -> Value {
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let (status, answer) = palisade.api("POST", &format!("/api/v1{path}"), &token, Some(body)).unwrap();
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn gets_in(url: &str) -> bool {
    match tokio_postgres::connect(url, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client.simple_query("SELECT 1").await.is_ok()
        }
        Err(_) => false,
    }
}

/// A session in the middle of a transaction.
async fn in_transaction(url: &str) -> Client {
    let client = connect(url).await;
    client.batch_execute("BEGIN; CREATE TEMP TABLE x (a int); SELECT 1").await.unwrap();
    client
}

async fn ends_soon(client: &Client, what: &str) {
    let started = Instant::now();
    while client.simple_query("SELECT 1").await.is_ok() {
        assert!(started.elapsed() < SOON, "{what}: the transaction goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_hold_within_a_second_and_a_proxy_outlives_the_control_plane() {
    let mut palisade = Installation::start("effective", true);
    let env = palisade.env();
    let old = env["PALISADE_URL_ACME_OWNER"].clone();
    let client = in_transaction(&old).await;
    post(&palisade, "/tenants/acme/suspend", json!({}));
    ends_soon(&client, "suspension").await;
    post(&palisade, "/tenants/acme/resume", json!({}));
    let client = in_transaction(&old).await;
    let new = post(&palisade, "/tenants/acme/logins/owner/rotate", json!({}));
    ends_soon(&client, "rotation").await;
    assert!(!gets_in(&old).await && gets_in(new["url"].as_str().unwrap()).await);
    grace(&palisade, new["url"].as_str().unwrap()).await;
    policy(&palisade).await;
    outlives(&mut palisade).await;
}

/// Both secrets are good for the grace time; sessions of the old one end with it.
async fn grace(palisade: &Installation, old: &str) {
    let before = in_transaction(old).await;
    let new = post(palisade, "/tenants/acme/logins/owner/rotate", json!({ "grace_seconds": 3 }));
    let rotated = Instant::now();
    let new = new["url"].as_str().unwrap();
    let fresh = connect(new).await;
    assert!(gets_in(old).await, "the old secret is refused within its grace time");
    before.simple_query("SELECT 1").await.unwrap();
    let during = connect(old).await;
    while rotated.elapsed() < Duration::from_millis(3_200) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!gets_in(old).await, "the old secret is good beyond its grace time");
    // The control plane takes it away at its next look.
    for (client, what) in [(before, "opened before"), (during, "opened within")] {
        while client.simple_query("SELECT 1").await.is_ok() {
            assert!(
                rotated.elapsed() < Duration::from_secs(8),
                "a session of the old secret lives on: {what}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    fresh.simple_query("SELECT 1").await.unwrap();
    assert!(gets_in(new).await);
}

/// A policy holds for the next statement of a transaction that began before it.
async fn policy(palisade: &Installation) {
    let client = in_transaction(&palisade.env()["PALISADE_URL_GLOBEX_APP"]).await;
    client.batch_execute("SELECT FROM orders").await.unwrap();
    let file = palisade.folder().join("ours.csv");
    std::fs::write(&file, format!("{POLICY}\np, app, relation, @own, orders, select, deny\n")).unwrap();
    let (code, _, said) = palisade.cli(&["policy", "activate", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    let activated = Instant::now();
    let refused = loop {
        match client.batch_execute("SELECT FROM orders").await {
            Ok(()) => assert!(activated.elapsed() < SOON, "the transaction goes on under the old policy"),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused.code().unwrap().code(), "42501");
    assert_eq!(refusal(&client, "SELECT 1").await.0, "25P02");
    assert_eq!(palisade.cli(&["policy", "rollback", "1"]).0, 0);
}

/// A proxy of its own serves old and new clients while the control plane is away, and follows again afterwards.
async fn outlives(palisade: &mut Installation) {
    let env = palisade.env();
    let listen = free_address();
    let proxy = Second::start(palisade, &listen, &[]);
    let (head, rest) = env["PALISADE_URL_GLOBEX_APP"].rsplit_once('@').unwrap();
    let url = format!("{head}@{listen}/{}", rest.split_once('/').unwrap().1);
    let started = Instant::now();
    while !gets_in(&url).await {
        assert!(started.elapsed() < Duration::from_secs(10), "the second proxy does not serve");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let client = connect(&url).await;
    palisade.crash();
    client.query_one("SELECT count(*) FROM users", &[]).await.unwrap();
    assert!(gets_in(&url).await, "a new client is refused without the control plane");
    let proxy = without_catalog(&env["PALISADE_DATABASE_URL"], palisade, (&listen, &url), proxy).await;
    palisade.launch();
    let client = connect(&url).await;
    post(palisade, "/tenants/globex/suspend", json!({}));
    ends_soon(&client, "suspension at the second proxy").await;
    // PostgreSQL itself away and back: the snapshot stays, and the proxy serves again.
    post(palisade, "/tenants/globex/resume", json!({}));
    palisade.pg_ctl(&["restart", "-m", "immediate", "-w"]);
    let started = Instant::now();
    while !gets_in(&url).await {
        assert!(started.elapsed() < Duration::from_secs(10), "the proxy does not serve after a restart");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(proxy);
}

/// The control plane's database lets no proxy in: they serve what they know, also one that is started meanwhile, and
/// follow what has happened when they are let in again.
async fn without_catalog(
    database: &str,
    palisade: &Installation,
    (listen, url): (&str, &str),
    proxy: Second,
) -> Second {
    let admin = connect(database).await;
    let away = "ALTER ROLE palisade_proxy NOLOGIN;
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'palisade_proxy'";
    admin.batch_execute(away).await.unwrap();
    let client = connect(url).await;
    client.query_one("SELECT count(*) FROM users", &[]).await.unwrap();
    drop(proxy);
    let proxy = Second::start(palisade, listen, &[]);
    let client = in_transaction(url).await;
    let suspend = "UPDATE palisade_control.tenants SET desired_state = 'suspended', observed_state = 'suspended' WHERE slug = 'globex'";
    admin.batch_execute(suspend).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
    admin.batch_execute("ALTER ROLE palisade_proxy LOGIN").await.unwrap();
    let again = Instant::now();
    while client.simple_query("SELECT 1").await.is_ok() {
        assert!(again.elapsed() < Duration::from_secs(5), "a suspension from the time away is not followed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!gets_in(url).await);
    let resume = "UPDATE palisade_control.tenants SET desired_state = 'active', observed_state = 'active' WHERE slug = 'globex'";
    admin.batch_execute(resume).await.unwrap();
    let again = Instant::now();
    while !gets_in(url).await {
        assert!(again.elapsed() < Duration::from_secs(5), "a resumption is not followed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy
}
