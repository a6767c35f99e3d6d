//! The fleet moves to a new version wave by wave; what fails stops it, is tried again alone, and nothing is half done.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect, events};
use serde_json::{Value, json};

const TENANTS: usize = 12;
const V1: &str =
    "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);";
const V2: &str = "ALTER TABLE users ADD COLUMN mood text;\nCREATE TABLE extras (a int);";
const V3: &str = "CREATE INDEX users_mood ON users (mood);";

type Call<'a> = &'a dyn Fn(&str, &str, Value) -> (u16, Value);

fn register(call: Call, files: &[(&str, &str)]) {
    let files: Vec<Value> = files.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
    let (status, answer) = call("POST", "/templates", json!({ "name": "shop", "files": files }));
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_moves_wave_by_wave() {
    let palisade = Installation::start("migrations", false);
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let call = |method: &str, path: &str, body: Value| {
        palisade.api(method, &format!("/api/v1{path}"), &token, Some(body)).unwrap()
    };
    register(&call, &[("V1__a.sql", V1)]);
    let mut urls = Vec::new();
    for n in 0..TENANTS {
        let (status, made) = call("POST", "/tenants", json!({ "slug": format!("t{n}"), "template": "shop" }));
        assert_eq!(status, 201, "{made}");
        urls.push(made["credentials"][0]["url"].as_str().unwrap().to_owned());
    }
    register(&call, &[("V1__a.sql", V1), ("V2__b.sql", V2)]);
    planned(&call);
    // One tenant has a table of its own by the new table's name; another holds a lock for a while.
    let stubborn = connect(&urls[3]).await;
    stubborn.batch_execute("CREATE TABLE extras (b text)").await.unwrap();
    let busy = connect(&urls[5]).await;
    busy.batch_execute("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await.unwrap();
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        busy.batch_execute("COMMIT").await.unwrap();
    });
    let (status, begun) =
        call("POST", "/migrations", json!({ "template": "shop", "canary": ["t0"], "waves": [50] }));
    assert_eq!((status, begun["plan"]["waves"].clone()), (202, json!([1, 6, 5])), "{begun}");
    let path = format!("/migrations/{}", begun["migration"]["id"].as_str().unwrap());
    assert_eq!(call("POST", "/migrations", json!({ "template": "shop" })).0, 409);
    let paused = until(&call, &path, "paused").await;
    assert_eq!(paused["targets"]["failed"], 1, "{paused}");
    let watched = |last: Option<&str>, most: usize| {
        events(&palisade.stream(&format!("/api/v1{path}/events"), &token, last, most))
    };
    let seen = watched(None, 1).remove(0);
    assert_eq!((seen.1.as_str(), &seen.2["state"]), ("migration", &json!("paused")));
    let (_, page) = call("GET", &format!("{path}/targets?state=failed"), Value::Null);
    let failed = &page["items"][0];
    assert_eq!(
        (failed["slug"].as_str(), failed["sqlstate"].as_str()),
        (Some("t3"), Some("42P07")),
        "{failed}"
    );
    stubborn.batch_execute("DROP TABLE extras").await.unwrap();
    assert_eq!(call("POST", &format!("{path}/retry"), json!({})).0, 200);
    let ended = until(&call, &path, "succeeded").await;
    assert_eq!(ended["targets"]["done"], TENANTS, "{ended}");
    // Whoever watched until the pause is told what has become of it, once; the stream ends there.
    let rest = watched(Some(&seen.0), usize::MAX);
    assert_eq!((rest.len(), &rest[0].2["state"]), (1, &json!("succeeded")), "{rest:?}");
    assert_eq!(watched(Some(&rest[0].0), usize::MAX), []);
    release.await.unwrap();
    let (_, drift) = call("GET", "/drift", Value::Null);
    assert_eq!(
        (drift["checked"].as_u64(), drift["items"].as_array().unwrap().len()),
        (Some(TENANTS as u64), 0)
    );
    stopped(&call).await;
}

/// A dry run says who goes when, and what the statements do to others.
fn planned(call: Call) {
    let (status, dry) = call(
        "POST",
        "/migrations",
        json!({ "template": "shop", "canary": ["t0", "nobody"], "dry_run": true }),
    );
    assert_eq!(
        (status, dry["migration"].is_null(), dry["plan"]["targets"].as_u64()),
        (200, true, Some(TENANTS as u64))
    );
    assert_eq!(dry["plan"]["unknown_canaries"], json!(["nobody"]));
    assert_eq!(dry["plan"]["files"][0]["statements"][0]["lock"], "ACCESS EXCLUSIVE", "{dry}");
    let (status, problem) =
        call("POST", "/migrations", json!({ "template": "shop", "waves": [10, 5], "parallelism": 0 }));
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2), "{problem}");
}

/// Paused, aborted: the rest is skipped and can go along another time.
async fn stopped(call: Call<'_>) {
    register(call, &[("V1__a.sql", V1), ("V2__b.sql", V2), ("V3__c.sql", V3)]);
    let (_, begun) = call("POST", "/migrations", json!({ "template": "shop", "parallelism": 1 }));
    let path = format!("/migrations/{}", begun["migration"]["id"].as_str().unwrap());
    assert_eq!(call("POST", &format!("{path}/pause"), json!({})).0, 200);
    assert_eq!(call("POST", &format!("{path}/pause"), json!({})).0, 409);
    let (status, aborted) = call("POST", &format!("{path}/abort"), json!({}));
    assert_eq!((status, aborted["state"].as_str()), (200, Some("aborted")), "{aborted}");
    assert_eq!(aborted["targets"]["pending"], 0, "{aborted}");
    let (status, begun) = call("POST", "/migrations", json!({ "template": "shop" }));
    assert_eq!(status, 202, "{begun}");
    let path = format!("/migrations/{}", begun["migration"]["id"].as_str().unwrap());
    until(call, &path, "succeeded").await;
}

async fn until(call: Call<'_>, path: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let (_, migration) = call("GET", path, Value::Null);
        if migration["state"] == state {
            return migration;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "not {state}: {migration}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
