//! Tenants of the warm pool are taken, replaced and never orphaned. Prints how long a tenant takes with and without.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect};
use serde_json::{Value, json};

const SIZE: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn warm_tenants_are_taken_and_replaced() {
    let palisade = Installation::with("warm", false, &[("PALISADE__CONTROL_PLANE__WARM_POOL_SIZE", "8")]);
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let call = |method: &str, path: &str, body: Value| {
        palisade.api(method, &format!("/api/v1{path}"), &token, Some(body)).unwrap()
    };
    full(&call).await;
    let (mut warm, mut taken) = (Vec::new(), 0);
    for n in 0..SIZE {
        let started = Instant::now();
        let (status, made) = call("POST", "/tenants", json!({ "slug": format!("w{n}") }));
        warm.push(started.elapsed());
        assert_eq!(status, 201, "{made}");
        taken += usize::from(made["operation"]["steps"][1]["detail"] == "taken from the warm pool");
        let client = connect(made["credentials"][0]["url"].as_str().unwrap()).await;
        client.batch_execute("INSERT INTO users (email, name) VALUES ('a@b', 'a')").await.unwrap();
    }
    assert!(taken >= 1, "none came from the pool");
    warm.sort();
    println!("{taken} of {SIZE} from the pool; median {:?}, longest {:?}", warm[SIZE / 2], warm[SIZE - 1]);
    // A taken slug gives the warm tenant back to the pool.
    assert_eq!(call("POST", "/tenants", json!({ "slug": "w0" })).0, 409);
    full(&call).await;
    let admin = connect(&palisade.env()["PALISADE_DATABASE_URL"]).await;
    let row = admin
        .query_one(
            "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'),
                    (SELECT count(*) FROM pg_roles WHERE rolname LIKE 't\\_%')",
            &[],
        )
        .await
        .unwrap();
    let all = (SIZE * 2) as i64;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (all, all * 4));
}

async fn full(call: &impl Fn(&str, &str, Value) -> (u16, Value)) {
    let started = Instant::now();
    loop {
        let (_, pool) = call("GET", "/warm-pool", Value::Null);
        if pool["ready"] == SIZE && pool["building"] == 0 {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the pool is not full: {pool}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
