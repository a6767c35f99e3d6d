//! A role kind of the operator's own: its rules, its logins, its role in PostgreSQL, and that a tenant stays what its template
//! makes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use palisade_policies::judge::POLICY;
use serde_json::{Value, json};

/// Reads, and writes new rows; changes none.
const CLERK: &str = "p, clerk, relation, @own, *, insert, allow\ng, clerk, readonly";
/// Longest time until a change holds at a proxy.
const TAKES_EFFECT: Duration = Duration::from_secs(5);

const OBJECTS: &str = "CREATE TABLE desk (a int PRIMARY KEY, b text); INSERT INTO desk VALUES (1, 'a');
    CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN cents AS int; CREATE TYPE pair AS (a int, b int);
    CREATE TYPE span AS RANGE (subtype = int4); CREATE SEQUENCE numbers; CREATE VIEW seen AS SELECT a FROM desk;
    CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'";

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_kind_has_logins_and_grants() {
    let palisade = Installation::start("kinds", true);
    let env = palisade.env();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let call = |method: &str, path: &str, body: Value| {
        let body = (method != "GET" && method != "DELETE").then_some(body);
        palisade.api(method, &format!("/api/v1/tenants/acme{path}"), &token, body)
    };
    let owner = connect(&env["PALISADE_URL_ACME_OWNER"]).await;
    owner.batch_execute(OBJECTS).await.unwrap();
    let before = described(&env["PALISADE_DATABASE_URL"]).await;

    let wish = json!({ "login": "reports", "kind": "clerk" });
    let (status, said) = call("POST", "/logins", wish.clone()).unwrap();
    assert!(status == 422 && said.to_string().contains("knows the kinds app, owner, readonly"), "{said}");
    let file = palisade.folder().join("clerks.csv").display().to_string();
    std::fs::write(&file, format!("{POLICY}\n{CLERK}\n")).unwrap();
    assert_eq!(palisade.cli(&["policy", "activate", &file]).0, 0);

    let (status, made) = call("POST", "/logins", wish.clone()).unwrap();
    assert_eq!((status, made["kind"].as_str()), (201, Some("clerk")), "{made}");
    assert_eq!(call("POST", "/logins", wish).unwrap().0, 409);
    for (login, kind) in [("Reports", "clerk"), ("x", "Clerk"), ("", "app")] {
        assert_eq!(call("POST", "/logins", json!({ "login": login, "kind": kind })).unwrap().0, 422);
    }
    assert_eq!(described(&env["PALISADE_DATABASE_URL"]).await, before, "the schema is what it was");

    let clerk = comes_in(made["url"].as_str().unwrap()).await;
    owner.batch_execute("CREATE TABLE later (a int); CREATE TYPE late AS ENUM ('x')").await.unwrap();
    for sql in [
        "SELECT * FROM desk, seen, later",
        "INSERT INTO desk VALUES (2, 'b')",
        "INSERT INTO later VALUES (1)",
        "SELECT twice(2), NULL::mood, NULL::cents, NULL::pair, NULL::span, NULL::late",
    ] {
        clerk.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    for sql in
        ["UPDATE desk SET b = 'c'", "DELETE FROM later", "CREATE TABLE mine (a int)", "DROP TABLE desk"]
    {
        assert_eq!(refusal(&clerk, sql).await.0, "42501", "{sql}");
    }
    // The tenant's own lists and dumps do not name it: they could not be given again.
    let row = owner.query_one("SELECT relacl::text FROM pg_class WHERE relname = 'desk'", &[]).await.unwrap();
    let list: String = row.get(0);
    assert!(list.contains("readonly=r/owner") && !list.contains("clerk"), "{list}");
    let (code, _, error) = palisade.cli(&["tenant", "clone", "acme", "acme-two"]);
    assert_eq!(code, 0, "{error}");

    // A second login of its kind, by the command line; and both are removed.
    let (code, url, error) = palisade.cli(&["tenant", "login", "add", "acme", "second", "--kind", "clerk"]);
    assert!(code == 0, "{error}");
    comes_in(url.trim()).await.batch_execute("SELECT * FROM desk").await.unwrap();
    assert_eq!(palisade.cli(&["tenant", "login", "remove", "acme", "second"]).0, 0);
    assert_eq!(call("DELETE", "/logins/reports", Value::Null).unwrap().0, 204);
    assert_eq!(call("DELETE", "/logins/reports", Value::Null).unwrap().0, 404);
    let removed = Instant::now();
    while clerk.batch_execute("SELECT 1").await.is_ok() {
        assert!(removed.elapsed() < TAKES_EFFECT, "a removed login's session goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(tokio_postgres::connect(url.trim(), tokio_postgres::NoTls).await.is_err());
    let mut after = described(&env["PALISADE_DATABASE_URL"]).await;
    after.retain(|line| !line.contains("late"));
    assert_eq!(after, before);
    for action in ["login.create", "login.remove"] {
        let path = format!("/api/v1/audit?action={action}&tenant=acme");
        let (_, found) = palisade.api("GET", &path, &token, None).unwrap();
        assert_eq!(found["items"].as_array().unwrap().len(), 2, "{action}: {found}");
    }
}

/// What describes the tenant's schema to the control plane, a line each.
async fn described(url: &str) -> Vec<String> {
    let of =
        "SELECT line FROM palisade_control.tenants t, palisade_control.describe_schema(t.schema_name) AS line
              WHERE slug = 'acme' ORDER BY 1";
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query(of, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Logs in as soon as the proxy has heard of the login and of its kind's rules.
async fn comes_in(url: &str) -> tokio_postgres::Client {
    let started = Instant::now();
    loop {
        if let Ok((client, connection)) = tokio_postgres::connect(url, tokio_postgres::NoTls).await {
            tokio::spawn(connection);
            if client.batch_execute("SELECT 1 FROM users").await.is_ok() {
                return client;
            }
        }
        assert!(started.elapsed() < TAKES_EFFECT, "a new login is not let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
