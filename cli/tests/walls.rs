//! Both walls alone, over the same statements by every role kind: what the policy says without a database, and what
//! PostgreSQL says to the tenant's own server role without a proxy.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its table"
)]

mod common;

use std::collections::BTreeSet;

use common::{Installation, connect};
use palisade_catalog::secrets::MasterKey;
use palisade_policies::judge::{MODEL, POLICY};
use palisade_policies::{Judge, Limits, Namespace, Verdict, read};
use serde_json::json;

/// What is done with which object.
const STATEMENTS: [(&str, &str); 75] = [
    ("select", "SELECT * FROM wall_t"),
    ("insert", "INSERT INTO wall_t VALUES (2, 'b')"),
    ("update", "UPDATE wall_t SET b = 'c'"),
    ("delete", "DELETE FROM wall_t"),
    (
        "merge",
        "MERGE INTO wall_t t USING (VALUES (9)) v (a) ON t.a = v.a WHEN NOT MATCHED THEN INSERT VALUES (v.a)",
    ),
    ("merge deletes", "MERGE INTO wall_t t USING (VALUES (9)) v (a) ON t.a = v.a WHEN MATCHED THEN DELETE"),
    ("insert or update", "INSERT INTO wall_t VALUES (1, 'b') ON CONFLICT (a) DO UPDATE SET b = 'c'"),
    ("insert or nothing", "INSERT INTO wall_t VALUES (1, 'b') ON CONFLICT (a) DO NOTHING"),
    ("update returning", "UPDATE wall_t SET b = 'c' RETURNING *"),
    ("update where", "UPDATE wall_t SET b = 'c' WHERE a = 1"),
    ("delete returning", "DELETE FROM wall_t RETURNING *"),
    ("insert default", "INSERT INTO wall_t VALUES (4)"),
    ("insert returning", "INSERT INTO wall_t VALUES (3, 'b') RETURNING a"),
    ("truncate", "TRUNCATE wall_t"),
    ("lock", "LOCK TABLE wall_t IN ROW EXCLUSIVE MODE"),
    ("select for update", "SELECT * FROM wall_t FOR UPDATE"),
    ("nextval", "SELECT nextval('wall_s')"),
    ("setval", "SELECT setval('wall_s', 7)"),
    ("select sequence", "SELECT last_value FROM wall_s"),
    ("create table", "CREATE TABLE wall_u (a int)"),
    ("create table as", "CREATE TABLE wall_u AS SELECT * FROM wall_t"),
    ("alter table", "ALTER TABLE wall_t ADD COLUMN c int"),
    ("drop table", "DROP TABLE wall_t CASCADE"),
    ("comment", "COMMENT ON TABLE wall_t IS 'x'"),
    ("create index", "CREATE INDEX ON wall_t (b)"),
    ("create view", "CREATE VIEW wall_w AS SELECT a FROM wall_t"),
    ("select view", "SELECT * FROM wall_v"),
    ("drop view", "DROP VIEW wall_v"),
    ("create sequence", "CREATE SEQUENCE wall_r"),
    ("drop sequence", "DROP SEQUENCE wall_s"),
    ("create function", "CREATE FUNCTION wall_g() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$"),
    ("execute function", "SELECT wall_f()"),
    ("drop function", "DROP FUNCTION wall_f()"),
    ("create type", "CREATE TYPE wall_e AS ENUM ('a')"),
    ("drop type", "DROP TYPE wall_y"),
    ("use type", "SELECT NULL::wall_y"),
    ("create statistics", "CREATE STATISTICS wall_z ON a, b FROM wall_t"),
    ("reindex", "REINDEX TABLE wall_t"),
    ("alter view", "ALTER VIEW wall_v RENAME TO wall_w"),
    ("alter sequence", "ALTER SEQUENCE wall_s INCREMENT 2"),
    ("create materialized view", "CREATE MATERIALIZED VIEW wall_n AS SELECT a FROM wall_t"),
    ("select materialized view", "SELECT * FROM wall_m"),
    ("refresh", "REFRESH MATERIALIZED VIEW wall_m"),
    ("cluster", "CLUSTER wall_t USING wall_t_pkey"),
    ("analyze", "ANALYZE wall_t"),
    (
        "create trigger",
        "CREATE TRIGGER wall_h BEFORE UPDATE ON wall_t FOR EACH ROW EXECUTE FUNCTION wall_k()",
    ),
    ("create rule", "CREATE RULE wall_l AS ON DELETE TO wall_t DO INSTEAD NOTHING"),
    ("row level security", "ALTER TABLE wall_t ENABLE ROW LEVEL SECURITY"),
    ("create policy", "CREATE POLICY wall_o ON wall_t USING (a > 0)"),
    ("grant on table", "GRANT SELECT ON wall_t TO readonly"),
    ("revoke on table", "REVOKE SELECT ON wall_t FROM readonly"),
    ("grant on function", "GRANT EXECUTE ON FUNCTION wall_f() TO readonly"),
    ("alter function", "ALTER FUNCTION wall_f() STABLE"),
    ("comment on function", "COMMENT ON FUNCTION wall_f() IS 'x'"),
    ("create procedure", "CREATE PROCEDURE wall_g() LANGUAGE sql AS $$ SELECT 1 $$"),
    ("call procedure", "CALL wall_p()"),
    ("create aggregate", "CREATE AGGREGATE wall_g (int) (SFUNC = int4larger, STYPE = int)"),
    ("alter type", "ALTER TYPE wall_y RENAME VALUE 'a' TO 'b'"),
    ("comment on type", "COMMENT ON TYPE wall_y IS 'x'"),
    ("create domain", "CREATE DOMAIN wall_e AS int CHECK (value > 0)"),
    ("use domain", "SELECT 1::wall_d"),
    ("create composite type", "CREATE TYPE wall_e AS (a int)"),
    ("create range type", "CREATE TYPE wall_e AS RANGE (subtype = int4)"),
    ("drop statistics", "DROP STATISTICS wall_i"),
    ("create collation", "CREATE COLLATION wall_e FROM \"C\""),
    ("drop collation", "DROP COLLATION wall_c"),
    ("use collation", "SELECT b COLLATE wall_c FROM wall_t"),
    ("create operator", "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)"),
    ("create text search", "CREATE TEXT SEARCH CONFIGURATION wall_e (COPY = pg_catalog.simple)"),
    ("comment on schema", "COMMENT ON SCHEMA public IS 'x'"),
    ("listen", "LISTEN wall_news"),
    ("notify", "NOTIFY wall_news"),
    ("free setting", "SET LOCAL work_mem = '4MB'"),
    ("temporary table", "CREATE TEMP TABLE wall_q (a int)"),
    ("catalog", "SELECT count(*) FROM pg_catalog.pg_type"),
];

/// What the policy permits and PostgreSQL refuses, in its own words: a lock on rows asks for the right to change them,
/// and a sequence is no table to its grants.
const SECOND_ALONE: [&str; 8] = [
    "select for update as readonly",
    "nextval as readonly",
    "setval as readonly",
    "select sequence as readonly",
    "select for update as clerk",
    "nextval as clerk",
    "setval as clerk",
    "select sequence as clerk",
];

/// What the policy refuses and PostgreSQL does not: it has no privilege for channels; where one may not analyze or grant it
/// only warns, and does nothing; and the options of operators and text
/// search configurations name what no reader judges.
const FIRST_ALONE: [&str; 16] = [
    "create text search as owner",
    "create operator as owner",
    "analyze as app",
    "analyze as readonly",
    "analyze as clerk",
    "grant on table as app",
    "grant on table as readonly",
    "grant on table as clerk",
    "revoke on table as app",
    "revoke on table as readonly",
    "revoke on table as clerk",
    "grant on function as app",
    "grant on function as readonly",
    "grant on function as clerk",
    "notify as readonly",
    "notify as clerk",
];

/// Reads, and writes new rows; changes none.
const CLERK: &str = "p, clerk, relation, @own, *, insert|lock, allow\ng, clerk, readonly";

/// Made by the tenant's owner, as its own statements would.
const OBJECTS: &str = "CREATE TABLE wall_t (a int PRIMARY KEY, b text); INSERT INTO wall_t VALUES (1, 'a');
    CREATE VIEW wall_v AS SELECT a FROM wall_t; CREATE SEQUENCE wall_s;
    CREATE FUNCTION wall_f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
    CREATE TYPE wall_y AS ENUM ('a'); CREATE MATERIALIZED VIEW wall_m AS SELECT a FROM wall_t;
    CREATE FUNCTION wall_k() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE PROCEDURE wall_p() LANGUAGE sql AS $$ SELECT 1 $$; CREATE DOMAIN wall_d AS int;
    CREATE STATISTICS wall_i ON a, b FROM wall_t; CREATE COLLATION wall_c FROM \"C\"";

#[tokio::test(flavor = "multi_thread")]
async fn both_walls_give_the_same_answer() {
    let palisade = Installation::start("walls", true);
    let env = palisade.env();
    connect(&env["PALISADE_URL_ACME_OWNER"]).await.batch_execute(OBJECTS).await.unwrap();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let (_, tenant) = palisade.api("GET", "/api/v1/tenants/acme", &token, None).unwrap();
    let schema = format!("t_{}", tenant["id"].as_str().unwrap());
    let key = std::fs::read_to_string(palisade.folder().join("keys/master.key")).unwrap();
    let master = MasterKey::from_hex(&key).unwrap();
    // An operator's own kind beside those that every tenant has, its login made when the objects are there.
    let policy = format!("{POLICY}\n{CLERK}\n");
    let judge = Judge::new(MODEL, &policy, 2).unwrap();
    let call =
        |path: &str, body| palisade.api("POST", &format!("/api/v1{path}"), &token, Some(body)).unwrap();
    assert_eq!(call("/policy", json!({ "policy": policy, "comment": "clerks" })).0, 201);
    assert_eq!(call("/tenants/acme/logins", json!({ "login": "reports", "kind": "clerk" })).0, 201);
    let (mut first_alone, mut second_alone) = (Vec::new(), Vec::new());
    println!("{:<18} {:<10} wall 1   wall 2", "statement", "kind");
    for kind in ["owner", "app", "readonly", "clerk"] {
        let direct = server_role(&env["PALISADE_DATABASE_URL"], &master, &schema, kind).await;
        let version = direct.query_one("SELECT current_setting('server_version_num')::int", &[]).await;
        let merges = version.unwrap().get::<_, i32>(0) >= 150_000;
        for (what, sql) in STATEMENTS.into_iter().filter(|(what, _)| merges || !what.starts_with("merge")) {
            // What is permitted is sent as the policy rewrites it: the raw catalogs are nobody's, and a role's name in the
            // tenant is no role's. What the kind may not is sent as the owner's would be.
            let permitted = policy_alone(&judge, kind, &schema, sql);
            let first = permitted.is_some();
            let sent = permitted.or_else(|| policy_alone(&judge, "owner", &schema, sql));
            let second = database_alone(&direct, sent.as_deref().unwrap_or(sql)).await;
            let word = |permitted: bool| if permitted { "permits" } else { "refuses" };
            println!("{what:<18} {kind:<10} {}  {}", word(first), word(second));
            let name = format!("{what} as {kind}");
            match (first, second) {
                (true, false) => second_alone.push(name),
                (false, true) => first_alone.push(name),
                _ => {}
            }
        }
    }
    for (what, found, known) in
        [("second", second_alone, SECOND_ALONE.as_slice()), ("first", first_alone, FIRST_ALONE.as_slice())]
    {
        let (found, known): (BTreeSet<_>, BTreeSet<_>) =
            (found.into_iter().collect(), known.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(found, known, "where only the {what} wall refuses");
    }
}

/// A connection as the proxy opens it, with a password derived from the master key.
async fn server_role(url: &str, master: &MasterKey, schema: &str, kind: &str) -> tokio_postgres::Client {
    let role = format!("{schema}_l_{kind}");
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.user(&role).password(master.server_password(&role, 1));
    let options = format!("-c search_path={schema},pg_temp");
    config.options(if kind == "owner" { format!("{options} -c role={schema}_owner") } else { options });
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The text that is sent, where the policy permits it.
fn policy_alone(judge: &Judge, kind: &str, schema: &str, sql: &str) -> Option<String> {
    let namespace =
        Namespace { kind: kind.into(), schema: schema.into(), database: "acme".into(), shared: Vec::new() };
    let limits = Limits::default();
    let reading = read::read(sql, &limits).unwrap();
    match judge.judge(sql, &reading, &namespace, &limits) {
        Verdict::Permit(permit) => Some(permit.rewritten.unwrap_or_else(|| sql.to_owned())),
        Verdict::Deny(_) => None,
    }
}

/// Whether PostgreSQL does it; anything but a missing right is a fault of the test.
async fn database_alone(client: &tokio_postgres::Client, sql: &str) -> bool {
    client.batch_execute("BEGIN").await.unwrap();
    let done = client.batch_execute(sql).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    match done {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{sql}: {error}");
            false
        }
    }
}
