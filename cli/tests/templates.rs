//! Templates are tried before they are registered; a tenant that is not what its template makes is never opened.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Installation, connect};
use serde_json::{Value, json};

const V1: &str =
    "CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN amount AS numeric CHECK (VALUE >= 0);
CREATE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * a';
CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE VIEW emails AS SELECT email FROM users;
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_first PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_parts ON parts USING (true);";
const V2: &str = "ALTER TABLE users ADD COLUMN mood mood;\nCREATE INDEX users_mood ON users (mood);";
const U2: &str = "DROP INDEX users_mood;\nALTER TABLE users DROP COLUMN mood;";

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_tried_and_tenants_are_verified() {
    let palisade = Installation::start("templates", false);
    let env = palisade.env();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let post = |path: &str, body: Value| {
        palisade.api("POST", &format!("/api/v1{path}"), &token, Some(body)).unwrap()
    };
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    refusals(&post);
    let files = |list: &[(&str, &str)]| -> Vec<Value> {
        list.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect()
    };
    let whole = files(&[("V1__a.sql", V1), ("V2__b.sql", V2), ("U2__b.sql", U2)]);
    let (status, dry) = post("/templates", json!({ "name": "shop", "files": whole, "dry_run": true }));
    assert_eq!((status, dry["template"].is_null()), (200, true), "{dry}");
    let (status, made) = post("/templates", json!({ "name": "shop", "files": whole }));
    assert_eq!((status, made["template"]["version"].as_i64()), (201, Some(2)), "{made}");
    let (status, again) = post("/templates", json!({ "name": "shop", "files": whole }));
    assert_eq!((status, again["registered"].as_bool()), (200, Some(false)));
    let edited = files(&[("V1__a.sql", "CREATE TABLE users (id int)"), ("V2__b.sql", V2), ("U2__b.sql", U2)]);
    let (status, problem) = post("/templates", json!({ "name": "shop", "files": edited }));
    assert_eq!((status, problem["errors"][0]["field"].as_str()), (422, Some("files.V1__a.sql")), "{problem}");
    let left: i64 = count(&admin, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'").await;
    assert_eq!(left, 0, "a scratch schema stays");
    // Two tenants of one version are alike, and every step is on record.
    for slug in ["one", "two"] {
        let (status, tenant) = post("/tenants", json!({ "slug": slug, "template": "shop" }));
        assert_eq!(status, 201, "{tenant}");
        let steps: Vec<_> = tenant["operation"]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (s["name"].clone(), s["state"].clone()))
            .collect();
        assert_eq!(steps[3], (json!("probe"), json!("done")), "{steps:?}");
    }
    let prints =
        "SELECT count(DISTINCT palisade_control.fingerprint(schema_name)) FROM palisade_control.tenants";
    assert_eq!(count(&admin, prints).await, 1);
    sabotage(&admin, &post).await;
}

async fn count(admin: &tokio_postgres::Client, sql: &str) -> i64 {
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

fn refusals(post: &impl Fn(&str, Value) -> (u16, Value)) {
    for (files, want) in [
        (
            vec![("V1__a.sql", "CREATE TABLE a (b int);\nCREATE TABLE c (d nosuchtype)")],
            "V1__a.sql, line 2: type \"nosuchtype\"",
        ),
        (
            vec![("V1__a.sql", "CREATE TABLE a (b int);\n\nINSERT INTO a VALUES (1 / 0)")],
            "line 3: division by zero",
        ),
        (vec![("V1__a.sql", "DO $$BEGIN COMMIT; END$$")], "line 1: invalid transaction termination"),
        (vec![("V1__a.sql", "DO $$BEGIN EXECUTE 'RESET ROLE'; END$$")], "changes the role"),
        (
            vec![("V1__a.sql", V1), ("V2__b.sql", V2), ("U2__b.sql", "DROP INDEX users_mood")],
            "U2__b.sql: does not lead back",
        ),
        (vec![("V1__a.sql", "CREATE ROLE x")], "line 1: permission denied to create role"),
        (vec![("V1__a.sql", "SELECT * FROM palisade_control.tenants")], "line 1"),
    ] {
        let list: Vec<Value> =
            files.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
        let (status, problem) = post("/templates", json!({ "name": "bad", "files": list }));
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 422 && detail.contains(want), "{want}: {status} {problem}");
    }
}

/// Somebody gives every new table away; then somebody opens the control tables to tenants. Neither tenant is opened.
async fn sabotage(admin: &tokio_postgres::Client, post: &impl Fn(&str, Value) -> (u16, Value)) {
    admin
        .batch_execute(
            "CREATE FUNCTION public.give_away() RETURNS event_trigger LANGUAGE plpgsql AS $$
             DECLARE c record; BEGIN
               FOR c IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
                 EXECUTE 'GRANT SELECT ON ' || c.object_identity || ' TO PUBLIC';
               END LOOP; END $$;
             GRANT USAGE ON SCHEMA public TO PUBLIC;
             CREATE EVENT TRIGGER give_away ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
               EXECUTE FUNCTION public.give_away()",
        )
        .await
        .unwrap();
    let (status, problem) = post("/tenants", json!({ "slug": "three", "template": "shop" }));
    let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
    assert!(status == 500 && detail.contains("not what the template makes: it has relation"), "{problem}");
    admin
        .batch_execute("DROP EVENT TRIGGER give_away; REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        .await
        .unwrap();
    let open = "GRANT USAGE ON SCHEMA palisade_control TO palisade_tenant;
                GRANT SELECT ON palisade_control.tenants TO palisade_tenant";
    admin.batch_execute(open).await.unwrap();
    let (status, problem) = post("/tenants", json!({ "slug": "three", "template": "shop" }));
    let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
    assert!(status == 500 && detail.contains("could read the control tables"), "{problem}");
    let left = "SELECT (SELECT count(*) FROM palisade_control.tenants) * 100
                       + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 't\\_%')
                       + (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%')";
    assert_eq!(count(admin, left).await, 2 * 100 + 2 * 4 + 2);
}
