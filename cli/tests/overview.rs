//! What administrators see of the whole and of a tenant at work, and leak tests that they start; each by its role.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect, events};
use serde_json::{Value, json};

/// Asks the API until the answer is good.
async fn until(call: &dyn Fn() -> Value, good: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let answer = call();
        if good(&answer) {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installation_and_a_tenant_at_work_are_seen() {
    let palisade = Installation::start("overview", true);
    let env = palisade.env();
    let [viewer, operator] = ["viewer", "operator"].map(|role| palisade.token(role));
    let get = |path: &str| palisade.api("GET", &format!("/api/v1{path}"), &viewer, None).unwrap();
    let (status, whole) = get("/installation");
    assert_eq!((status, whole["tenants"]["active"].as_u64()), (200, Some(2)), "{whole}");
    assert_eq!((list(&whole["proxies"]).len(), whole["policy_epoch"].as_u64()), (1, Some(1)), "{whole}");
    assert_eq!(whole["attention"], json!([]), "{whole}");
    let tenants = get("/tenants").1;
    let ids: Vec<&str> =
        list(&tenants["items"]).iter().map(|tenant| tenant["id"].as_str().unwrap()).collect();
    let usage = until(&|| get(&format!("/usage?tenants={}", ids.join(","))).1, |usage| {
        list(&usage["items"]).iter().filter(|item| item["tables"].as_u64() > Some(0)).count() == 2
    })
    .await;
    assert!(usage["items"][0]["bytes"].as_u64() > Some(0), "{usage}");

    // A session that holds a server connection, with its reason; nobody of another tenant is among them.
    let client = connect(&env["PALISADE_URL_ACME_APP"]).await;
    client.batch_execute("LISTEN news").await.unwrap();
    let live = until(&|| get("/tenants/acme/sessions").1, |live| {
        list(&live["sessions"]).iter().any(|session| session["pinned_by"] == json!(["listen"]))
    })
    .await;
    let session = list(&live["sessions"])[0].clone();
    assert_eq!((session["login"].as_str(), list(&live["sessions"]).len()), (Some("app"), 1), "{live}");
    assert!(list(&live["servers"]).iter().any(|server| server["pid"] == session["server_pid"]), "{live}");
    assert_eq!(get("/tenants/globex/sessions").1["sessions"], json!([]));

    let end = |token: &str, tenant: &str| {
        let path = format!("/api/v1/tenants/{tenant}/sessions/{}", session["id"].as_str().unwrap());
        palisade.api("DELETE", &path, token, None).unwrap().0
    };
    assert_eq!(end(&viewer, "acme"), 403);
    assert_eq!(end(&operator, "globex"), 404, "another tenant's session");
    client.simple_query("SELECT 1").await.unwrap();
    assert_eq!(end(&operator, "acme"), 200);
    assert!(client.simple_query("SELECT 1").await.is_err(), "it has been told why, and is closed");
    assert_eq!(end(&operator, "acme"), 404, "it is gone");

    let security = palisade.token("security");
    let integrity = || palisade.api("GET", "/api/v1/audit/integrity", &security, None).unwrap().1;
    let held = until(&integrity, |held| {
        held["unnumbered"] == 0 && held["signed"] == held["size"] && held["size"].as_u64() > Some(0)
    })
    .await;
    assert_eq!(held["faults"], json!([]), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leak_tests_are_started_watched_and_cancelled() {
    let palisade = Installation::start("isolation-runs", true);
    let [viewer, security] = ["viewer", "security"].map(|role| palisade.token(role));
    let runs = "/api/v1/isolation-runs";
    let start = |token: &str, seconds: u32| {
        let wish = json!({ "seconds": seconds, "each_wall": false });
        palisade.api("POST", runs, token, Some(wish)).unwrap()
    };
    assert_eq!(start(&viewer, 3).0, 403);
    assert_eq!(start(&security, 0).0, 422);
    let (status, run) = start(&security, 3);
    assert_eq!((status, run["state"].as_str()), (202, Some("running")), "{run}");
    assert_eq!(start(&security, 3).0, 409, "one at a time");
    let path = format!("{runs}/{}", run["id"].as_str().unwrap());
    // The stream ends with the test; what was read is not told again.
    let told = events(&palisade.stream(&format!("{path}/events"), &security, None, usize::MAX));
    let last = told.last().unwrap();
    assert_eq!((last.2["state"].as_str(), last.2["leaks"].as_u64()), (Some("passed"), Some(0)), "{last:?}");
    assert_eq!(events(&palisade.stream(&format!("{path}/events"), &security, Some(&last.0), usize::MAX)), []);
    let (status, report) = palisade.api("GET", &format!("{path}/report"), &security, None).unwrap();
    assert_eq!(status, 200);
    let file = palisade.folder().join("report.json");
    std::fs::write(&file, report.to_string()).unwrap();
    let (code, said, error) = palisade.cli(&["report", "verify", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}{error}");

    let (_, run) = start(&security, 300);
    let path = format!("{runs}/{}", run["id"].as_str().unwrap());
    assert_eq!(palisade.api("POST", &format!("{path}/cancel"), &viewer, None).unwrap().0, 403);
    assert_eq!(palisade.api("POST", &format!("{path}/cancel"), &security, None).unwrap().0, 202);
    let get = || palisade.api("GET", &path, &viewer, None).unwrap().1;
    let ended = until(&get, |run| run["state"] != "running").await;
    assert_eq!(
        (ended["state"].as_str(), ended["report"].as_bool()),
        (Some("cancelled"), Some(false)),
        "{ended}"
    );
    assert_eq!(palisade.api("GET", &format!("{path}/report"), &security, None).unwrap().0, 404);
    // Nothing of either is left: no tenant, and no token that is good.
    let tenants = || palisade.api("GET", "/api/v1/tenants", &viewer, None).unwrap().1;
    until(&tenants, |page| list(&page["items"]).len() == 2).await;
    let admin = connect(&palisade.env()["PALISADE_DATABASE_URL"]).await;
    let good = "SELECT count(*) FROM palisade_control.api_tokens WHERE name LIKE 'isolation-%' AND revoked_at IS NULL";
    assert_eq!(admin.query_one(good, &[]).await.unwrap().get::<_, i64>(0), 0);
}
