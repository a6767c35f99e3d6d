//! The whole path: tenants are there, connect, are stopped at the border, and it is on record.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use futures::{SinkExt, StreamExt};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_works_and_is_stopped_at_the_border() {
    let palisade = Installation::start("e2e", true);
    let env = palisade.env();
    demo_data(&env).await;
    application_work(&env["PALISADE_URL_ACME_OWNER"], &env["PALISADE_URL_ACME_APP"]).await;
    border(&palisade, &env["PALISADE_URL_ACME_OWNER"]).await;
    rights(&env["PALISADE_URL_ACME_READONLY"]).await;
    on_record(&palisade).await;
    suspension(&palisade).await;
    authorisation(&palisade).await;
}

/// Both demo tenants have rows of their own, and the same statement shows each its own only.
async fn demo_data(env: &std::collections::BTreeMap<String, String>) {
    let count = "SELECT count(*) FILTER (WHERE u.email LIKE '%@acme.example'),
                        count(*) FILTER (WHERE u.email LIKE '%@globex.example')
                 FROM users u JOIN orders o ON o.user_id = u.id JOIN order_lines l ON l.order_id = o.id";
    for (variable, want) in [("PALISADE_URL_ACME_APP", (96, 0)), ("PALISADE_URL_GLOBEX_APP", (0, 72))] {
        let row = connect(&env[variable]).await.query_one(count, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), want, "{variable}");
    }
}

async fn application_work(owner: &str, app: &str) {
    let owner = connect(owner).await;
    owner
        .batch_execute("CREATE TABLE public.notes (id serial PRIMARY KEY, body text NOT NULL)")
        .await
        .unwrap();
    let mut app = connect(app).await;
    // Extended protocol, parameters, a prepared statement used again.
    let insert = app.prepare("INSERT INTO public.notes (body) VALUES ($1) RETURNING id").await.unwrap();
    for body in ["a", "b", "c"] {
        app.query_one(&insert, &[&body]).await.unwrap();
    }
    // A transaction that is rolled back, with an error inside.
    let tx = app.transaction().await.unwrap();
    tx.execute("DELETE FROM notes", &[]).await.unwrap();
    let error = tx.query("SELECT 1 / 0", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "22012");
    tx.rollback().await.unwrap();
    let count: i64 = app.query_one("SELECT count(*) FROM notes", &[]).await.unwrap().get(0);
    assert_eq!(count, 3);
    // COPY both ways.
    let sink = app.copy_in("COPY notes (body) FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from_static(b"d\ne\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let rows: Vec<_> = app.copy_out("COPY public.notes TO STDOUT").await.unwrap().collect().await;
    assert_eq!(rows.len(), 5);
    // An error in PostgreSQL's words names the tenant's schema, not the physical one.
    let (code, message) = refusal(&app, "SELECT * FROM public.nothing").await;
    assert_eq!((code.as_str(), message.as_str()), ("42P01", "relation \"public.nothing\" does not exist"));
}

async fn border(palisade: &Installation, acme: &str) {
    let env = palisade.env();
    let globex = tenant_schema(palisade, "globex");
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    admin
        .batch_execute(&format!("INSERT INTO {globex}.users (email, name) VALUES ('x@y', 'canary')"))
        .await
        .unwrap();
    let client = connect(acme).await;
    // A foreign name and one that nobody has answer alike.
    for schema in [globex.as_str(), "t_aaaaaaaaaaaaaaaaaaaa"] {
        let (code, message) = refusal(&client, &format!("SELECT * FROM {schema}.users")).await;
        assert_eq!(
            (code.as_str(), message),
            ("42P01", format!("relation \"{schema}.users\" does not exist"))
        );
    }
    for sql in [
        "SET search_path = pg_toast",
        "SET ROLE postgres",
        "COPY users TO '/tmp/x'",
        "ALTER SYSTEM SET x = 1",
    ] {
        refusal(&client, sql).await;
    }
    // A denied statement aborts the transaction as PostgreSQL would.
    client.batch_execute("BEGIN; INSERT INTO notes (body) VALUES ('lost')").await.unwrap();
    refusal(&client, &format!("SELECT * FROM {globex}.users")).await;
    assert_eq!(refusal(&client, "SELECT 1").await.0, "25P02");
    client.batch_execute("COMMIT").await.unwrap();
    let lost: i64 =
        client.query_one("SELECT count(*) FROM notes WHERE body = 'lost'", &[]).await.unwrap().get(0);
    assert_eq!(lost, 0);
    // The extended protocol, and wall 2 behind code that no reader sees into.
    let error =
        client.query(&format!("SELECT * FROM {globex}.users WHERE id = $1"), &[&1i64]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42P01");
    let code =
        format!("DO $$BEGIN EXECUTE 'SELECT 1 FROM ' || 't_' || '{}' || '.users'; END$$", &globex[2..]);
    // In the words of a schema that nobody has.
    assert_eq!(refusal(&client, &code).await.0, "3F000");
}

fn tenant_schema(palisade: &Installation, slug: &str) -> String {
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let (status, tenant) = palisade.api("GET", &format!("/api/v1/tenants/{slug}"), &token, None).unwrap();
    assert_eq!(status, 200);
    format!("t_{}", tenant["id"].as_str().unwrap())
}

async fn rights(readonly: &str) {
    let client = connect(readonly).await;
    assert_eq!(client.query("SELECT * FROM users", &[]).await.unwrap().len(), 12);
    assert_eq!(refusal(&client, "INSERT INTO users (email, name) VALUES ('a', 'b')").await.0, "42501");
    assert_eq!(refusal(&client, "CREATE TABLE x (a int)").await.0, "42501");
}

/// Denials are in the audit trail, without what the statements held.
async fn on_record(palisade: &Installation) {
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let started = Instant::now();
    loop {
        let (_, page) =
            palisade.api("GET", "/api/v1/audit?tenant=acme&decision=deny&limit=200", &token, None).unwrap();
        let text = page.to_string();
        if text.contains("foreign_schema") && text.contains("\"no_right\"") {
            assert!(!text.contains("/tmp/x"), "a literal is in the audit trail");
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "the denials are not in the audit trail: {text}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A suspended tenant is cut off within a second, and let in again when resumed.
async fn suspension(palisade: &Installation) {
    let env = palisade.env();
    let (token, url) = (&env["PALISADE_ADMIN_TOKEN"], &env["PALISADE_URL_GLOBEX_APP"]);
    let client = connect(url).await;
    let why = json!({ "reason": "test" });
    let (status, _) =
        palisade.api("POST", "/api/v1/tenants/globex/suspend", token, Some(why.clone())).unwrap();
    assert_eq!(status, 200);
    let started = Instant::now();
    while client.simple_query("SELECT 1").await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(1), "the session lives on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(tokio_postgres::connect(url, tokio_postgres::NoTls).await.is_err());
    palisade.api("POST", "/api/v1/tenants/globex/resume", token, Some(why)).unwrap();
    let started = Instant::now();
    while tokio_postgres::connect(url, tokio_postgres::NoTls).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(2), "the tenant is not let in again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every endpoint wants a token with a role that may; refusals are on record, without the token, and cannot flood.
async fn authorisation(palisade: &Installation) {
    let matrix = include_str!("../../control-plane/rights.golden");
    let viewer = palisade.token("viewer");
    let mut endpoints = 0;
    for line in matrix.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = format!(
            "/api/v1{}",
            path.replace("{id}", "acme").replace("{login}", "app").replace(['{', '}'], "")
        );
        let (status, problem) = palisade.api(method, &path, "not-a-token", None).unwrap();
        assert_eq!(
            (status, problem["type"].as_str()),
            (401, Some("/problems/unauthorized")),
            "{method} {path}"
        );
        if !words.any(|role| role == "viewer") {
            let (status, _) = palisade.api(method, &path, &viewer, None).unwrap();
            assert_eq!(status, 403, "{method} {path}");
        }
        endpoints += 1;
    }
    assert!(endpoints > 10);
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let (_, page) = palisade.api("GET", "/api/v1/audit?action=api.refused&limit=200", &token, None).unwrap();
    let events = page["items"].as_array().unwrap();
    assert!(
        (5..=12).contains(&events.len()),
        "{} of {endpoints} and more refusals are written",
        events.len()
    );
    assert!(events.iter().any(|e| e["reason"] == "malformed_token" && e["actor"] == "unknown"));
    assert!(events.iter().any(|e| e["reason"] == "no_right" && e["actor"] == "tester"));
    assert!(!page.to_string().contains("not-a-token"), "a token is in the audit trail");
}
