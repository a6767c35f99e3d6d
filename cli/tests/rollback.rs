//! A tenant goes back to the template version before, is deleted, given back and purged; nothing of it stays then.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect};
use serde_json::{Value, json};

const V1: &str =
    "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_first PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW emails AS SELECT email FROM users;
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * a';";
const V2: &str = "ALTER TABLE users ADD COLUMN mood text;\nCREATE INDEX users_mood ON users (mood);";
const U2: &str = "UPDATE users SET email = lower(email);\nALTER TABLE users DROP COLUMN mood;";
/// What a hostile owner hopes for: that a step runs his trigger with more rights than his own.
const EVIL: &str = "CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN EXECUTE 'RESET ' || 'ROLE'; EXECUTE 'CREATE ' || 'ROLE pwned'; RETURN NEW; END $$;
    CREATE TRIGGER evil BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION evil()";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_goes_back_and_goes_away() {
    let palisade = Installation::start("rollback", false);
    let env = palisade.env();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let call = |method: &str, path: &str, body: Value| {
        let body = (method != "DELETE").then_some(body);
        palisade.api(method, &format!("/api/v1{path}"), &token, body).unwrap()
    };
    let files: Vec<Value> = [("V1__a.sql", V1), ("V2__b.sql", V2), ("U2__b.sql", U2)]
        .iter()
        .map(|(name, text)| json!({ "name": name, "text": text }))
        .collect();
    assert_eq!(call("POST", "/templates", json!({ "name": "shop", "files": files })).0, 201);
    let (status, made) = call("POST", "/tenants", json!({ "slug": "shop", "template": "shop" }));
    assert_eq!(status, 201, "{made}");
    let url = made["credentials"][0]["url"].as_str().unwrap().to_owned();
    let id = made["tenant"]["id"].as_str().unwrap().to_owned();
    back_a_version(&call, &url).await;
    away_and_back(&call, &url, &id).await;
    by_the_slug_that_it_had(&palisade, &call);
    for_good(&call, &env["PALISADE_DATABASE_URL"], &id).await;
}

fn confirmed(call: &impl Fn(&str, &str, Value) -> (u16, Value)) -> (u16, Value) {
    let (_, plan) = call("POST", "/tenants/shop/rollback", json!({ "dry_run": true }));
    call("POST", "/tenants/shop/rollback", json!({ "confirm": plan["confirm"], "reason": "test" }))
}

async fn back_a_version(call: &impl Fn(&str, &str, Value) -> (u16, Value), url: &str) {
    let owner = connect(url).await;
    owner.batch_execute("CREATE TABLE own (a int); INSERT INTO users (email) VALUES ('A@B')").await.unwrap();
    let (_, plan) = call("POST", "/tenants/shop/rollback", json!({ "dry_run": true }));
    assert_eq!((plan["mode"].as_str(), plan["to_version"].as_i64()), (Some("version"), Some(1)), "{plan}");
    owner.batch_execute(EVIL).await.unwrap();
    let (status, problem) = confirmed(call);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == 409 && detail.contains("permission denied"), "{status} {problem}");
    let (_, tenant) = call("GET", "/tenants/shop", Value::Null);
    assert_eq!(tenant["template_version"], 2);
    owner.batch_execute("DROP FUNCTION evil CASCADE").await.unwrap();
    // A step that waits for a lock gives up, and says so.
    owner.batch_execute("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE").await.unwrap();
    let (status, problem) = confirmed(call);
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("lock timeout"), "{problem}");
    owner.batch_execute("COMMIT").await.unwrap();
    let (status, done) = confirmed(call);
    assert_eq!((status, done["tenant"]["template_version"].as_i64()), (200, Some(1)), "{done}");
    let row = owner.query_one("SELECT email, (SELECT count(*) FROM own) FROM users", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("a@b", 0));
}

async fn away_and_back(call: &impl Fn(&str, &str, Value) -> (u16, Value), url: &str, id: &str) {
    // The first version has no undo: the rest of the way is deletion.
    let (_, plan) = call("POST", "/tenants/shop/rollback", json!({ "dry_run": true }));
    assert_eq!((plan["mode"].as_str(), plan["purge_after"].is_string()), (Some("delete"), true), "{plan}");
    assert_eq!(call("POST", "/tenants/shop/rollback", json!({ "confirm": "1.x" })).0, 409);
    assert_eq!(call("POST", "/tenants/shop/rollback", json!({})).0, 422);
    let (status, done) = confirmed(call);
    assert_eq!((status, done["tenant"]["observed_state"].as_str()), (200, Some("deleted")), "{done}");
    let started = Instant::now();
    while tokio_postgres::connect(url, tokio_postgres::NoTls).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(1), "a deleted tenant is let in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The slug is free meanwhile; the tenant comes back under another, with its data and secrets.
    assert_eq!(call("POST", "/tenants", json!({ "slug": "shop", "template": "shop" })).0, 201);
    assert_eq!(call("POST", &format!("/tenants/{id}/undelete"), json!({})).0, 409);
    let (status, back) = call("POST", &format!("/tenants/{id}/undelete"), json!({ "slug": "shop-old" }));
    assert_eq!((status, back["tenant"]["observed_state"].as_str()), (200, Some("active")), "{back}");
    let client = connect(&url.replace("/shop", "/shop-old")).await;
    assert_eq!(client.query("SELECT * FROM users", &[]).await.unwrap().len(), 1);
}

/// A deleted tenant comes back by its slug where that says which; who may see one that had a slug does not see who has
/// it now.
fn by_the_slug_that_it_had(palisade: &Installation, call: &impl Fn(&str, &str, Value) -> (u16, Value)) {
    let make = || {
        let (status, made) = call("POST", "/tenants", json!({ "slug": "twin", "template": "shop" }));
        assert_eq!(status, 201, "{made}");
        made["tenant"]["id"].as_str().unwrap().to_owned()
    };
    let delete = || {
        let (_, plan) = call("DELETE", "/tenants/twin?dry_run=true", Value::Null);
        let confirm = plan["confirm"].as_str().unwrap();
        assert_eq!(call("DELETE", &format!("/tenants/twin?confirm={confirm}"), Value::Null).0, 200);
    };
    let back = |named: &str, body: Value| call("POST", &format!("/tenants/{named}/undelete"), body);
    let first = make();
    let wish = json!({ "name": "twins", "roles": ["operator"], "tenants": ["twin"], "days": 1 });
    let (status, token) = call("POST", "/tokens", wish);
    assert_eq!(status, 201, "{token}");
    let own =
        |path: &str| palisade.api("GET", &format!("/api/v1{path}"), token["secret"].as_str().unwrap(), None);
    assert_eq!(back("twin", json!({})).0, 409, "it is not deleted");
    delete();
    assert_eq!(back("twin", json!({})).0, 200);
    assert_eq!(own("/tenants/twin").unwrap().0, 200);
    delete();
    let second = make();
    assert_eq!(own("/tenants/twin").unwrap().0, 404, "the slug is another's now");
    assert_eq!(own(&format!("/tenants/{first}")).unwrap().0, 200);
    // The slug says whoever has it now, who is not deleted.
    assert_eq!(back("twin", json!({ "slug": "elder" })).0, 409);
    delete();
    let (status, problem) = back("twin", json!({}));
    let said = problem["detail"].as_str().unwrap();
    assert!(status == 409 && said.contains(&first) && said.contains(&second), "{problem}");
    assert_eq!(back(&first, json!({ "slug": "elder" })).0, 200);
    assert_eq!(back("twin", json!({})).1["tenant"]["id"], second);
    assert_eq!(back("nobody", json!({})).0, 404);
}

/// Deleted twice is purged: no schema, role or row stays, but its record does.
async fn for_good(call: &impl Fn(&str, &str, Value) -> (u16, Value), database: &str, id: &str) {
    for mode in ["delete", "purge"] {
        let (_, plan) = call("DELETE", &format!("/tenants/{id}?dry_run=true"), Value::Null);
        assert_eq!(plan["mode"].as_str(), Some(mode), "{plan}");
        let confirm = plan["confirm"].as_str().unwrap();
        assert_eq!(call("DELETE", &format!("/tenants/{id}?confirm={confirm}"), Value::Null).0, 200);
    }
    let started = Instant::now();
    while call("GET", &format!("/tenants/{id}"), Value::Null).0 == 200 {
        assert!(started.elapsed() < Duration::from_secs(20), "the tenant is not purged");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let admin = connect(database).await;
    let row = admin
        .query_one(
            "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_' || $1 || '%'),
                    (SELECT count(*) FROM pg_roles WHERE rolname LIKE 't\\_' || $1 || '%'),
                    (SELECT count(*) FROM palisade_control.audit_events WHERE tenant_id = $1 AND action = 'tenant.purge'),
                    (SELECT count(*) FROM palisade_control.operations WHERE tenant_id = $1 AND kind = 'purge' AND state = 'succeeded'),
                    (SELECT count(*) FROM palisade_control.moves)",
            &[&id],
        )
        .await
        .unwrap();
    let counts: [i64; 5] = std::array::from_fn(|i| row.get(i));
    assert_eq!(counts, [0, 0, 1, 1, 0]);
}
