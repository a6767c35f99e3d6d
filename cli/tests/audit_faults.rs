//! The audit trail when things break: the process is killed at any instant, the disk is full or broken. And what it never
//! holds, whatever a statement says.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it has done"
)]

mod common;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use parking_lot::Mutex;
use tokio_postgres::{Client, NoTls};

/// Kills in the short form; `PALISADE_AUDIT_KILLS` asks for more.
const KILLS: u32 = 4;
/// Clients that are refused all the time.
const CLIENTS: usize = 6;

/// Asks for one foreign schema after another until the session ends; notes each refusal that it has seen.
async fn refused_for_ever(url: String, next: Arc<AtomicU64>, seen: Arc<Mutex<BTreeSet<u64>>>) {
    loop {
        let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await else {
            tokio::time::sleep(Duration::from_millis(30)).await;
            continue;
        };
        let connection = tokio::spawn(connection);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let asked = client.simple_query(&format!("SELECT 1 FROM foreign_{number}.t")).await;
            match asked.err().as_ref().and_then(|error| error.as_db_error()) {
                Some(error) if error.code().code() == "3F000" || error.code().code() == "42P01" => {
                    seen.lock().insert(number);
                }
                _ => break,
            }
        }
        connection.abort();
    }
}

/// The refusals that are on record.
async fn on_record(admin: &Client) -> BTreeSet<u64> {
    let sql = "SELECT substring(event ->> 'object' FROM 'foreign_(\\d+)')::bigint FROM palisade_control.audit_events
               WHERE event ->> 'object' LIKE 'relation foreign\\_%'";
    let rows = admin.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap()).collect()
}

/// Whatever a client has seen refused, and whatever the API has answered, is on record, though the process, both planes in
/// one, is killed at random instants.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_on_record_whenever_the_process_is_killed() {
    let kills = std::env::var("PALISADE_AUDIT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut palisade = Installation::start("audit-kills", true);
    let env = palisade.env();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let (next, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(refused_for_ever(env["PALISADE_URL_ACME_OWNER"].clone(), next.clone(), seen.clone()))
        })
        .collect();
    let mut answered = 0;
    for kill in 0..kills {
        // Control plane: suspensions that were answered, one of them perhaps cut off by the kill.
        let until = Instant::now() + Duration::from_millis(200 + u64::from(rand::random::<u16>()) % 1_500);
        while Instant::now() < until {
            for action in ["suspend", "resume"] {
                let path = format!("/api/v1/tenants/globex/{action}");
                let (status, _) = palisade.api("POST", &path, &env["PALISADE_ADMIN_TOKEN"], None).unwrap();
                answered += usize::from(status == 200 || status == 202);
            }
        }
        palisade.crash();
        palisade.launch();
        println!("kill {}: {} refusals seen", kill + 1, seen.lock().len());
    }
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    let seen = seen.lock().clone();
    let started = Instant::now();
    let missing = loop {
        let missing: Vec<u64> = seen.difference(&on_record(&admin).await).copied().collect();
        if missing.is_empty() || started.elapsed() > Duration::from_secs(30) {
            break missing;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(seen.len() > 50, "only {} refusals were seen", seen.len());
    assert!(
        missing.is_empty(),
        "{} of {} refusals are not on record: {missing:?}",
        missing.len(),
        seen.len()
    );
    let changes = "SELECT count(*) FROM palisade_control.audit_events WHERE action IN ('tenant.suspend', 'tenant.resume')";
    let recorded: i64 = admin.query_one(changes, &[]).await.unwrap().get(0);
    assert!(
        recorded as usize >= answered && answered > 0,
        "{recorded} changes of {answered} answered are on record"
    );
    let twice = "SELECT count(*) - count(DISTINCT id) FROM palisade_control.audit_events";
    assert_eq!(admin.query_one(twice, &[]).await.unwrap().get::<_, i64>(0), 0);
    let (code, out, error) = palisade.cli(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}{error}");
    println!("{kills} kills, {} refusals and {answered} changes answered, all on record", seen.len());
}

/// A full or broken disk: what must be on record is not answered, in PostgreSQL's words; all else goes on; and when the
/// disk is well again, so is everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_refuses_what_must_be_on_record() {
    let folder = std::env::temp_dir().join(format!("palisade-disk-faults-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (shim, fault) = (folder.join("shim.so"), folder.join("fault"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/disk_faults.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&shim)
        .args([source, "-ldl"])
        .status()
        .unwrap();
    assert!(built.success());
    let palisade = Installation::with(
        "audit-disk",
        true,
        &[("LD_PRELOAD", shim.to_str().unwrap()), ("PALISADE_TEST_DISK_FAULT", fault.to_str().unwrap())],
    );
    let env = palisade.env();
    let url = &env["PALISADE_URL_ACME_OWNER"];
    let bystander = connect(url).await;
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let mut refused = 0;
    for (errno, sqlstate) in [(28, "53100"), (5, "58030")] {
        let client = connect(url).await;
        refusal(&client, "SELECT 1 FROM foreign_1.t").await;
        // The driver gives an error back before ReadyForQuery has come; last words would be taken for an answer to that.
        client.simple_query("SELECT 1").await.unwrap();
        std::fs::write(&fault, errno.to_string()).unwrap();
        assert_eq!(refusal(&client, "SELECT 1 FROM foreign_99.t").await.0, sqlstate);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(client.is_closed(), "the session ends without an answer of the policy");
        // What need not be on record goes on.
        for _ in 0..20 {
            bystander.simple_query("SELECT count(*) FROM users").await.unwrap();
        }
        std::fs::remove_file(&fault).unwrap();
        let client = connect(url).await;
        for number in 2..5 {
            refusal(&client, &format!("SELECT 1 FROM foreign_{number}.t")).await;
        }
        refused += 1;
    }
    let started = Instant::now();
    let want: BTreeSet<u64> = (1..5).collect();
    while on_record(&admin).await != want {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?} after {refused} faults",
            on_record(&admin).await
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Half a batch that a full disk left behind is no event.
    let damaged = "SELECT count(*) FROM palisade_control.audit_events WHERE action = 'audit.record_damaged'";
    assert_eq!(admin.query_one(damaged, &[]).await.unwrap().get::<_, i64>(0), 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Every place where SQL can hold a secret; `#` is it.
const SECRETS: &[&str] = &[
    "ALTER ROLE app PASSWORD '#'",
    "CREATE ROLE x LOGIN PASSWORD '#'",
    "CREATE USER x PASSWORD '#' VALID UNTIL '2030-01-01'",
    "SELECT 1 FROM foreign_1.t -- #",
    "SELECT /* # */ 1 FROM foreign_1.t",
    "/* # */ SELECT 1 FROM foreign_1.t",
    "SELECT '#' FROM foreign_1.t",
    "SELECT E'\\n#' FROM foreign_1.t",
    "SELECT U&'\\0041#' FROM foreign_1.t",
    "SELECT $$#$$ FROM foreign_1.t",
    "SELECT $tag$#$tag$ FROM foreign_1.t",
    "SELECT N'#', 'a' '#' FROM foreign_1.t",
    "SELECT 1 FROM foreign_1.t WHERE a = 'x' AND b LIKE '%#%' AND c IN ('#', 'y')",
    "SELECT 1 FROM foreign_1.t WHERE a = ROW('#', ARRAY['#'], '{\"k\": \"#\"}'::jsonb)",
    "INSERT INTO foreign_1.t VALUES ('#')",
    "UPDATE foreign_1.t SET password = '#'",
    "SELEC '#'",
    "SELECT '#",
    "SELECT $$#",
    "SELECT 1 FROM foreign_1.t WHERE '#' = '#' '",
    "DO $$ BEGIN PERFORM '#' FROM foreign_1.t; END $$",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE app PASSWORD ''#'''; END $$",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '#' $$",
    "CREATE FUNCTION f(a text DEFAULT '#') RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''#''; END'",
    "CREATE TABLE s (a text DEFAULT '#' CHECK (a <> '#'))",
    "CREATE VIEW v AS SELECT '#' AS secret",
    "COMMENT ON TABLE users IS '#'",
    "SECURITY LABEL ON TABLE users IS '#'",
    "ALTER TABLE users ADD COLUMN z text DEFAULT '#'",
    "CREATE SUBSCRIPTION s CONNECTION 'host=x password=#' PUBLICATION p",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (password '#')",
    "CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password '#')",
    "SELECT dblink('host=x password=#', 'SELECT 1')",
    "SELECT dblink_connect('password=#')",
    "SELECT pgp_sym_encrypt('x', '#') FROM foreign_1.t",
    "SET custom.secret = '#'",
    "SET SESSION AUTHORIZATION '#'",
    "SELECT set_config('custom.secret', '#', false)",
    "SELECT set_config('search_path', '#', false)",
    "ALTER SYSTEM SET primary_conninfo = 'password=#'",
    "ALTER ROLE app SET custom.secret = '#'",
    "NOTIFY c, '#'",
    "SELECT pg_notify('c', '#')",
    "PREPARE p AS SELECT '#' FROM foreign_1.t",
    "EXECUTE p ('#')",
    "DECLARE c CURSOR FOR SELECT '#' FROM foreign_1.t",
    "COPY foreign_1.t FROM PROGRAM 'curl -u #'",
    "COPY users TO '/tmp/#'",
    "EXPLAIN SELECT '#' FROM foreign_1.t",
    "CALL p('#')",
    "SELECT * FROM foreign_1.f(a => '#')",
    "SELECT 471181508154711 FROM foreign_1.t",
    "SELECT x'5345' || '#' FROM foreign_1.t",
    "SELECT xmlparse(content '<a>#</a>') FROM foreign_1.t",
    "SELECT json_value('{}', '$.#') FROM foreign_1.t",
    "SELECT 1 FROM foreign_1.t; SELECT '#'",
    "LOAD '#'",
    "DISCARD '#'",
];

/// No secret reaches the trail, the spool, the log or the metrics, whatever becomes of the statement that holds it.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_on_record() {
    const SECRET: &str = "S3cretW0rd";
    let log = std::env::temp_dir().join(format!("palisade-secrets-{}.log", std::process::id()));
    let palisade = Installation::with(
        "audit-secrets",
        true,
        &[("PALISADE__PROXY__AUDIT_STATEMENTS", "all"), ("PALISADE_TEST_LOG", log.to_str().unwrap())],
    );
    let env = palisade.env();
    let url = &env["PALISADE_URL_ACME_OWNER"];
    let client = connect(url).await;
    for text in SECRETS {
        let text = text.replace('#', SECRET);
        let _ = client.simple_query(&text).await;
        let _ = client.simple_query("ROLLBACK").await;
        // The extended protocol, too.
        let _ = client.prepare(&text).await;
    }
    client.batch_execute("CREATE TABLE keep (a text)").await.unwrap();
    client.execute("INSERT INTO keep VALUES ($1)", &[&SECRET]).await.unwrap();
    client.query("SELECT 1 FROM keep WHERE a = $1", &[&SECRET]).await.unwrap();
    let copy = client.copy_in::<_, bytes::Bytes>("COPY keep FROM STDIN").await.unwrap();
    let mut copy = std::pin::pin!(copy);
    futures::SinkExt::send(&mut copy, bytes::Bytes::from(format!("{SECRET}\n"))).await.unwrap();
    futures::SinkExt::close(&mut copy).await.unwrap();
    // Startup packets: a wrong password, a token in its place, and settings.
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    let password = String::from_utf8(config.get_password().unwrap().to_vec()).unwrap();
    for wrong in [SECRET, &format!("eyJhbGciOiJub25lIn0.{SECRET}.x")] {
        assert!(config.password(wrong).connect(NoTls).await.is_err());
    }
    let options = config.password(&password).options(format!("-c search_path={SECRET} -c custom.x={SECRET}"));
    let _ = options.connect(NoTls).await;
    for body in
        [serde_json::json!({ "slug": "x", "password": SECRET }), serde_json::json!({ "token": SECRET })]
    {
        let _ = palisade.api("POST", "/api/v1/tenants", &env["PALISADE_ADMIN_TOKEN"], Some(body));
    }
    let _ = palisade.api("GET", "/api/v1/tenants", SECRET, None);

    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let started = Instant::now();
    let count = "SELECT count(*) FROM palisade_control.audit_events WHERE event ->> 'actor' = 'owner'";
    while admin.query_one(count, &[]).await.unwrap().get::<_, i64>(0) < 80 {
        assert!(started.elapsed() < Duration::from_secs(20), "few events");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rows = admin.query("SELECT event::text FROM palisade_control.audit_events", &[]).await.unwrap();
    let told: Vec<String> = rows
        .iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|event| {
            event.contains(SECRET) || event.contains("471181508154711") || event.contains(&password)
        })
        .collect();
    assert!(told.is_empty(), "{} of {} events tell:\n{}", told.len(), rows.len(), told.join("\n"));
    for place in [palisade.folder().join("spool"), log.clone()] {
        let grep = Command::new("grep")
            .args(["-rlE", &format!("{SECRET}|{password}")])
            .arg(&place)
            .output()
            .unwrap();
        assert!(grep.stdout.is_empty() && grep.status.code() == Some(1), "{}: {grep:?}", place.display());
    }
    assert!(palisade.metrics().keys().all(|name| !name.contains(SECRET)));
    std::fs::remove_file(&log).unwrap();
}
