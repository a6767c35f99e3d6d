//! A policy is checked, activated at the proxy that runs, tried by one tenant only, and rolled back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use palisade_policies::judge::POLICY;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Longest time until an activation holds at a proxy.
const TAKES_EFFECT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_takes_effect_without_restart_and_is_rolled_back() {
    let shared = [("PALISADE__PROXY__SHARED_SCHEMAS", "[\"ext\"]")];
    let palisade = Installation::with("policy", true, &shared);
    let env = palisade.env();
    // What every tenant may use is explained as the proxy judges it.
    for (schema, verdict) in [("ext", "permit"), ("other", "deny")] {
        let sql = format!("SELECT {schema}.similarity('a', 'b')");
        let (code, out, error) = palisade.cli(&["explain", "--tenant", "acme", &sql]);
        assert!(code == 0 && out.starts_with(&format!("verdict    {verdict}")), "{out} {error}");
    }
    let app = connect(&env["PALISADE_URL_ACME_APP"]).await;
    let file = palisade.folder().join("ours.csv");
    let ours = format!("{POLICY}\np, readonly, relation, @own, orders, select|insert|update|delete, deny\n");
    let file_name = file.display().to_string();

    // A file with a fault is refused, offline and by the API, and the policy in force stays.
    std::fs::write(&file, format!("{POLICY}\np, app, tabel, @own, *, select, allow\n")).unwrap();
    let (code, out, _) = palisade.cli(&["policy", "check", &file_name]);
    assert!(code != 0 && out.contains("\"tabel\" is no class"), "{out}");
    assert_ne!(palisade.cli(&["policy", "activate", &file_name]).0, 0);
    for empty in ["", "# nothing\n"] {
        std::fs::write(&file, empty).unwrap();
        assert_ne!(palisade.cli(&["policy", "activate", &file_name]).0, 0);
    }

    // What was prepared before is asked again.
    let prepared = app.prepare("SELECT count(*) FROM orders").await.unwrap();
    let orders: i64 = app.query_one(&prepared, &[]).await.unwrap().get(0);
    app.batch_execute("PREPARE by_sql AS SELECT count(*) FROM orders").await.unwrap();
    permitted(&app, "EXECUTE by_sql").await;
    std::fs::write(&file, &ours).unwrap();
    let (code, out, _) = palisade.cli(&["policy", "check", &file_name, "--diff"]);
    assert!(code == 0 && out.contains("now refused") && out.contains("orders"), "{out}");
    let (code, out, error) = palisade.cli(&["policy", "activate", &file_name, "--comment", "no orders"]);
    assert!(code == 0 && out.contains("epoch 2 is in force"), "{out} {error}");
    refused(&app, "SELECT count(*) FROM orders").await;
    let error = app.query(&prepared, &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
    assert_eq!(refusal(&app, "SELECT 1 FROM orders").await.1, "permission denied for table orders");
    assert_eq!(refusal(&app, "EXECUTE by_sql").await.1, "permission denied for table orders");
    let execute = app.prepare("EXECUTE by_sql").await.unwrap();
    assert_eq!(app.query(&execute, &[]).await.unwrap_err().code().unwrap().code(), "42501");
    app.batch_execute("SELECT count(*) FROM users").await.unwrap();

    tries_it(&palisade, &app, orders).await;

    let (code, out, _) = palisade.cli(&["policy", "rollback", "1"]);
    assert!(code == 0 && out.contains("epoch 3 is in force"), "{out}");
    permitted(&app, "SELECT count(*) FROM orders").await;
    permitted(&app, "EXECUTE by_sql").await;
    let (_, out, _) = palisade.cli(&["policy", "history"]);
    assert!(out.contains("no orders") && out.contains("epoch 1"), "{out}");
    let (_, out, _) = palisade.cli(&["policy", "show", "2"]);
    assert!(out.contains("orders, select|insert"), "{out}");
}

/// In the mode `observe` PostgreSQL's grants answer, and the trail says what the policy would have done.
async fn tries_it(palisade: &Installation, app: &Client, orders: i64) {
    assert_eq!(palisade.cli(&["policy", "mode", "acme", "observe"]).0, 0);
    permitted(app, "SELECT count(*) FROM orders").await;
    let rows = app.simple_query("SELECT count(*) FROM public.orders").await.unwrap();
    let count = rows.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    assert_eq!(count, Some(orders.to_string()));
    // The second wall alone: its grants refuse, and what the session stands on stays pinned.
    assert_eq!(refusal(app, "TRUNCATE orders").await.0, "42501");
    assert_eq!(refusal(app, "SET standard_conforming_strings = off").await.0, "42501");
    on_record(palisade).await;
    assert_eq!(palisade.cli(&["policy", "mode", "acme", "enforce"]).0, 0);
    refused(app, "SELECT count(*) FROM orders").await;
}

async fn on_record(palisade: &Installation) {
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let started = Instant::now();
    loop {
        let path = "/api/v1/audit?tenant=acme&decision=deny&limit=200";
        let (_, page) = palisade.api("GET", path, &token, None).unwrap();
        let observed = |event: &&serde_json::Value| event["result"] == "observed" && event["epoch"] == 2;
        if page["items"].as_array().unwrap().iter().any(|event| observed(&event)) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "what was observed is not on record: {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn refused(client: &Client, sql: &str) {
    until(client, sql, false).await;
}

async fn permitted(client: &Client, sql: &str) {
    until(client, sql, true).await;
}

async fn until(client: &Client, sql: &str, permitted: bool) {
    let started = Instant::now();
    while client.batch_execute(sql).await.is_ok() != permitted {
        assert!(started.elapsed() < TAKES_EFFECT, "{sql}: never permitted = {permitted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
