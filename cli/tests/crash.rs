//! Fifty tenants are made at once while the control plane is killed at random: nothing half-made stays.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use common::{Installation, connect};
use serde_json::json;

const TENANTS: usize = 50;
const KILLS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_control_plane_leaves_no_orphan() {
    let palisade = Arc::new(RwLock::new(Installation::start("crash", false)));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let workers: Vec<_> = (0..TENANTS)
        .map(|n| {
            let (palisade, acknowledged) = (palisade.clone(), acknowledged.clone());
            std::thread::spawn(move || make(&palisade, &acknowledged, n))
        })
        .collect();
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(60 + 90 * kill as u64));
        // The lock waits for no request: a kill comes in the middle of whatever is under way.
        let mut installation = loop {
            if let Ok(guard) = palisade.try_write() {
                break guard;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        installation.crash();
        installation.launch();
    }
    for worker in workers {
        worker.join().unwrap();
    }
    let url = palisade.read().unwrap().env()["PALISADE_DATABASE_URL"].clone();
    let admin = connect(&url).await;
    // What a crash left is removed when its lease has run out.
    let started = Instant::now();
    loop {
        let unfinished: i64 = admin
            .query_one("SELECT count(*) FROM palisade_control.tenants WHERE observed_state <> 'active'", &[])
            .await
            .unwrap()
            .get(0);
        if unfinished == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{unfinished} tenants stay unfinished");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let row = admin
        .query_one(
            "SELECT (SELECT count(*) FROM palisade_control.tenants),
                    (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'),
                    (SELECT count(*) FROM pg_roles WHERE rolname LIKE 't\\_%'),
                    (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname LIKE 't\\_%' AND c.relkind = 'r'),
                    (SELECT count(*) FROM palisade_control.operations WHERE state = 'failed')",
            &[],
        )
        .await
        .unwrap();
    let [tenants, schemas, roles, tables, failed]: [i64; 5] = std::array::from_fn(|i| row.get(i));
    println!(
        "{tenants} tenants, {schemas} schemas, {roles} roles, {tables} tables; {failed} operations were undone"
    );
    assert_eq!((schemas, roles, tables), (tenants, tenants * 4, tenants * 4));
    assert_eq!(tenants, TENANTS as i64);
    assert_eq!(acknowledged.lock().unwrap().len(), TENANTS);
}

/// Asks until the tenant is there. A slug that is taken by an interrupted try becomes free when that is undone.
fn make(palisade: &RwLock<Installation>, acknowledged: &Mutex<Vec<String>>, n: usize) {
    let slug = format!("tenant-{n}");
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < Duration::from_secs(90), "{slug} cannot be made");
        // The lock is not held over the request, so that kills hit requests.
        let (token, request) = {
            let installation = palisade.read().unwrap();
            (installation.env()["PALISADE_ADMIN_TOKEN"].clone(), installation.requester())
        };
        match request("/api/v1/tenants", &token, json!({ "slug": slug })) {
            Ok((201, body)) => {
                acknowledged.lock().unwrap().push(body["tenant"]["id"].to_string());
                return;
            }
            // Made by a try whose answer was lost.
            Ok((409, _)) if active(palisade, &slug) => {
                acknowledged.lock().unwrap().push(slug.clone());
                return;
            }
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn active(palisade: &RwLock<Installation>, slug: &str) -> bool {
    let installation = palisade.read().unwrap();
    let token = installation.env()["PALISADE_ADMIN_TOKEN"].clone();
    let answer = installation.api("GET", &format!("/api/v1/tenants/{slug}"), &token, None);
    matches!(answer, Ok((200, tenant)) if tenant["observed_state"] == "active")
}
