//! Plans, limits, pool mode and a new slug reach the proxy's snapshot, and a stale change is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_the_proxy() {
    let palisade = Installation::start("settings", true);
    let env = palisade.env();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let call = |method: &str, path: &str, body: Value| {
        palisade.api(method, &format!("/api/v1{path}"), &token, Some(body)).unwrap()
    };
    let (status, plan) = call(
        "PUT",
        "/plans/small",
        json!({ "limits": { "max_client_connections": 5, "query_wait_timeout_ms": 900 } }),
    );
    assert_eq!((status, plan["plan"]["limits"]["max_client_connections"].as_i64()), (200, Some(5)), "{plan}");
    let wish = json!({ "plan": "small", "pool_mode": "session", "limits": { "max_client_connections": 7 } });
    let (status, changed) = call("PATCH", "/tenants/acme", wish);
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        changed["tenant"]["effective_limits"],
        json!({ "max_client_connections": 7, "query_wait_timeout_ms": 900 })
    );
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let entry = |slug: &'static str| {
        let admin = &admin;
        async move {
            let row = admin
                .query_one("SELECT entries FROM palisade_control.tenants_since('0')", &[])
                .await
                .unwrap();
            let entries: Value = row.get(0);
            entries.as_array().unwrap().iter().find(|e| e["slug"] == slug).cloned().unwrap()
        }
    };
    let acme = entry("acme").await;
    assert_eq!(
        (acme["pool_mode"].as_str(), acme["limits"]["query_wait_timeout_ms"].as_i64()),
        (Some("session"), Some(900))
    );
    // A plan's new limits reach the tenants that are on it.
    call("PUT", "/plans/small", json!({ "limits": { "query_wait_timeout_ms": 50 } }));
    assert_eq!(
        entry("acme").await["limits"],
        json!({ "max_client_connections": 7, "query_wait_timeout_ms": 50 })
    );
    refusals(&call);
    rename(&palisade, &token, &env["PALISADE_URL_ACME_APP"]).await;
}

fn refusals(call: &impl Fn(&str, &str, Value) -> (u16, Value)) {
    for (body, field) in [
        (json!({ "limits": { "max_client_connections": 0 } }), "limits.max_client_connections"),
        (json!({ "pool_mode": "statement" }), "pool_mode"),
        (json!({ "slug": "No" }), "slug"),
        (json!({ "plan": "none" }), "plan"),
    ] {
        let (status, problem) = call("PATCH", "/tenants/acme", body);
        assert_eq!((status, problem["errors"][0]["field"].as_str()), (422, Some(field)), "{problem}");
    }
    assert_eq!(call("PATCH", "/tenants/acme", json!({ "slug": "globex" })).0, 409);
    assert_eq!(call("PATCH", "/tenants/acme", json!({ "slugg": "x" })).0, 400);
}

/// The old slug is refused, the new one lets in, and the same rows are there.
async fn rename(palisade: &Installation, token: &str, old: &str) {
    let (_, before) = palisade.api("GET", "/api/v1/tenants/acme", token, None).unwrap();
    let tag = format!("\"{}\"", before["generation"]);
    let wish = json!({ "slug": "acme-two" });
    let (status, after) = palisade.matching("/api/v1/tenants/acme", token, wish.clone(), &tag).unwrap();
    assert_eq!((status, after["tenant"]["id"].as_str()), (200, before["id"].as_str()), "{after}");
    // The same If-Match again is stale.
    let (status, stale) = palisade.matching("/api/v1/tenants/acme-two", token, wish, &tag).unwrap();
    assert_eq!((status, stale["type"].as_str()), (412, Some("/problems/stale")));
    let started = Instant::now();
    let new = old.replace("/acme", "/acme-two");
    let client = loop {
        if let Ok((client, connection)) = tokio_postgres::connect(&new, tokio_postgres::NoTls).await {
            tokio::spawn(connection);
            break client;
        }
        assert!(started.elapsed() < Duration::from_secs(2), "the new slug is not let in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let users: i64 = client.query_one("SELECT count(*) FROM users", &[]).await.unwrap().get(0);
    assert_eq!(users, 12);
    assert!(tokio_postgres::connect(old, tokio_postgres::NoTls).await.is_err());
}
