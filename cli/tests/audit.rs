//! The audit trail as evidence, on a real installation: each kind of tampering with the database is named, exports are
//! read back, and what is searched for is found.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use palisade_trail::PublicKey;
use serde_json::Value;
use tokio_postgres::Client;

/// Runs `palisade audit verify`, live, and says what it found.
fn verify(palisade: &Installation, more: &[&str]) -> (i32, Vec<String>, u64) {
    let mut args = vec!["audit", "verify", "--json"];
    args.extend(more);
    let (code, out, error) = palisade.cli(&args);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"));
    let faults = report["faults"].as_array().unwrap().iter().map(|f| f.as_str().unwrap().to_owned());
    (code, faults.collect(), report["events"].as_u64().unwrap())
}

/// Waits until every event is numbered and signed.
async fn sealed(admin: &Client) -> i64 {
    let started = Instant::now();
    loop {
        let row = admin
            .query_one(
                "SELECT (SELECT count(*) FROM palisade_control.audit_events WHERE number IS NULL),
                        (SELECT size FROM palisade_control.audit_log), (SELECT max(size) FROM palisade_control.audit_checkpoints)",
                &[],
            )
            .await
            .unwrap();
        let (waiting, size, signed): (i64, i64, Option<i64>) = (row.get(0), row.get(1), row.get(2));
        if waiting == 0 && signed == Some(size) && size > 20 {
            return size;
        }
        assert!(
            started.elapsed() < Duration::from_secs(40),
            "{waiting} waiting, {signed:?} of {size} signed"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Events of several kinds: denials, failed logins, changes of a tenant.
async fn happen(palisade: &Installation) {
    let env = palisade.env();
    let client = connect(&env["PALISADE_URL_ACME_OWNER"]).await;
    for number in 0..20 {
        refusal(&client, &format!("SELECT 'S3cret{number}' FROM t_{}.users", "z".repeat(20))).await;
    }
    for action in ["suspend", "resume"] {
        let (code, out, error) = palisade.cli(&["tenant", action, "globex"]);
        assert_eq!(code, 0, "{out}{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one table of what is done and what is said")]
async fn each_kind_of_tampering_is_named() {
    let palisade = Installation::start("audit-verify", true);
    happen(&palisade).await;
    let env = palisade.env();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    sealed(&admin).await;
    let (code, faults, events) = verify(&palisade, &[]);
    assert!(code == 0 && faults.is_empty() && events > 20, "{faults:?}");

    // A bundle and a checkpoint that were kept elsewhere.
    let folder = palisade.folder().to_owned();
    let (bundle, kept) = (folder.join("bundle.jsonl"), folder.join("kept"));
    let (_, shown, _) = palisade.cli(&["audit", "checkpoints", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let key = shown["key"].as_str().unwrap().to_owned();
    std::fs::write(&kept, shown["items"][0]["note"].as_str().unwrap()).unwrap();
    assert_eq!(palisade.cli(&["audit", "bundle", bundle.to_str().unwrap()]).0, 0);
    let offline = |more: &[&str]| {
        let mut args = vec!["--bundle", bundle.to_str().unwrap(), "--key", &key];
        args.extend(more);
        verify(&palisade, &args).1
    };
    assert_eq!(offline(&[]), Vec::<String>::new());

    // What somebody with all rights in the database does, and how it is undone for the next.
    let table = "palisade_control.audit_events";
    admin.batch_execute(&format!("CREATE TABLE saved AS SELECT * FROM {table}; CREATE TABLE heads AS SELECT * FROM palisade_control.audit_checkpoints")).await.unwrap();
    let restore = format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM saved; TRUNCATE palisade_control.audit_checkpoints;
        INSERT INTO palisade_control.audit_checkpoints SELECT * FROM heads");
    let kept = kept.to_str().unwrap();
    for (what, sql, want) in [
        ("one byte changed", "UPDATE # SET event = jsonb_set(event, '{actor}', '\"owneR\"') WHERE number = 12", "event 12 ("),
        ("one row deleted", "DELETE FROM # WHERE number = 7", "event 7 removed"),
        ("the newest events cut", "DELETE FROM # WHERE number > 15", "events 16 to"),
        (
            "the newest events and checkpoints cut",
            "DELETE FROM # WHERE number > 15; DELETE FROM palisade_control.audit_checkpoints WHERE size > 15",
            "cut off: a checkpoint knows of more",
        ),
        (
            "two swapped",
            "UPDATE # a SET event = b.event FROM # b WHERE (a.number, b.number) IN ((4, 9), (9, 4))",
            "events 4 and 9 reordered",
        ),
        (
            "two swapped by number",
            "UPDATE # SET number = -number WHERE number IN (4, 9); UPDATE # SET number = CASE number WHEN -4 THEN 9 ELSE 4 END WHERE number < 0",
            "rewritten: not what was signed",
        ),
        (
            "one inserted",
            "INSERT INTO # (id, at, class, plane, action, decision, result, actor, event)
             SELECT gen_random_uuid(), at - interval '1 hour', class, plane, action, decision, result, 'nobody', event FROM # WHERE number = 3",
            "1 events inserted without a number",
        ),
        (
            "a checkpoint forged",
            "UPDATE palisade_control.audit_checkpoints SET note = replace(note, E'\\n' || size || E'\\n', E'\\n' || size - 1 || E'\\n')",
            "a checkpoint is forged",
        ),
    ] {
        // The sealer must not number what is put there before it is looked at.
        admin.batch_execute(&format!("BEGIN; LOCK palisade_control.audit_log; {}; ", sql.replace('#', table))).await.unwrap();
        admin.batch_execute("COMMIT").await.unwrap();
        let (code, faults, _) = verify(&palisade, &["--key", &key, "--checkpoint", kept]);
        admin.batch_execute(&restore).await.unwrap();
        let named = faults.iter().any(|fault| fault.contains(want));
        // An event with an old time may have been numbered in the meantime: then it is the log's newest, not an old one.
        assert!(code == 1 && named || what == "one inserted" && faults.is_empty(), "{what}: {faults:?}");
    }

    // The same with a file.
    let text = std::fs::read_to_string(&bundle).unwrap();
    std::fs::write(&bundle, text.replacen("\"denied\"", "\"failed\"", 1)).unwrap();
    assert!(offline(&[])[0].contains("changed"));
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&bundle, lines[..lines.len() - 3].join("\n")).unwrap();
    let (code, _, error) = palisade.cli(&["audit", "verify", "--bundle", bundle.to_str().unwrap()]);
    assert!(code == 1 && error.contains("breaks off"), "{error}");
    std::fs::write(&bundle, &text).unwrap();
    let stranger = palisade_trail::Key::new(key.split('+').next().unwrap(), &[9; 32]).unwrap().public();
    let (_, faults, _) = verify(&palisade, &["--bundle", bundle.to_str().unwrap(), "--key", stranger.text()]);
    assert!(faults[0].contains("forged"), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one day, asked in many ways")]
async fn a_day_is_found_and_exported() {
    let palisade = Installation::start("audit-export", true);
    happen(&palisade).await;
    let env = palisade.env();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    sealed(&admin).await;
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let list = |query: &str| {
        let (status, page) =
            palisade.api("GET", &format!("/api/v1/audit?limit=200&{query}"), &token, None).unwrap();
        assert_eq!(status, 200, "{query}: {page}");
        page["items"].as_array().unwrap().clone()
    };
    let denials = list("tenant=acme&action=statement&decision=deny&object=relation%20t_zzzz");
    assert_eq!(denials.len(), 20);
    let one = &denials[0];
    let text = |field: &str| one[field].as_str().unwrap().to_owned();
    for (query, want) in [
        (format!("sqlstate={}&object=relation%20t_zzzz", text("sqlstate")), 20),
        (format!("object={}", text("object").replace(' ', "%20")), 20),
        ("object=relation%20t%25".to_owned(), 0),
        (format!("session={}&reason={}", text("session"), text("reason")), 20),
        (format!("fingerprint={}", text("fingerprint")), 20),
        ("fingerprint=0000000000000000".to_owned(), 0),
        ("action=tenant.suspend".to_owned(), 1),
        ("since=2100-01-01T00:00:00Z".to_owned(), 0),
    ] {
        assert_eq!(list(&query).len(), want, "{query}");
    }
    let (_, histogram) = palisade
        .api("GET", "/api/v1/audit/histogram?decision=deny&bucket_seconds=3600", &token, None)
        .unwrap();
    let counted: i64 =
        histogram["items"].as_array().unwrap().iter().map(|b| b["deny"].as_i64().unwrap()).sum();
    assert_eq!(counted as usize, list("decision=deny").len());
    for bad in ["bucket_seconds=0&since=2000-01-01T00:00:00Z", "nonsense=1", "since=yesterday"] {
        let (status, _) =
            palisade.api("GET", &format!("/api/v1/audit/histogram?{bad}"), &token, None).unwrap();
        assert!((400..500).contains(&status), "{bad}: {status}");
    }

    for format in ["jsonl", "csv", "ocsf", "cef"] {
        let file = palisade.folder().join(format!("export.{format}"));
        let args = [
            "audit",
            "export",
            "--format",
            format,
            "--tenant",
            "acme",
            "--decision",
            "deny",
            "-o",
            file.to_str().unwrap(),
        ];
        let (code, out, error) = palisade.cli(&args);
        assert_eq!(code, 0, "{out}{error}");
        let whole = std::fs::read_to_string(&file).unwrap();
        assert!(!whole.contains("S3cret"), "no literal of a statement");
        let (content, statement) = whole.trim_end().rsplit_once('\n').unwrap();
        let statement: Value = serde_json::from_str(statement.trim_start_matches("# ")).unwrap();
        let statement = &statement["palisade_audit_export"];
        assert_eq!(statement["query"], "tenant=acme decision=deny");
        let key = PublicKey::parse(statement["key"].as_str().unwrap()).unwrap();
        let signed = key.open(statement["note"].as_str().unwrap()).unwrap();
        assert!(signed.contains(statement["sha256"].as_str().unwrap()));
        let rows = content.lines().count() - usize::from(format == "csv");
        assert_eq!(statement["events"].as_u64().unwrap() as usize, rows, "{format}");
        if format == "ocsf" {
            let classes = content
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["class_uid"].as_u64().unwrap());
            assert!(classes.clone().all(|class| class == 6005 || class == 3002) && classes.count() >= 20);
        }
    }
    assert_eq!(list("action=audit.export").len(), 4, "an export is an event");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_permitted_is_counted_by_shape() {
    let mut palisade = Installation::start("audit-counts", true);
    let env = palisade.env();
    let client = connect(&env["PALISADE_URL_ACME_APP"]).await;
    for number in 0..7 {
        client.simple_query(&format!("SELECT id FROM users WHERE name = 'S3cret{number}'")).await.unwrap();
        client.query("SELECT max(id) FROM users", &[]).await.unwrap();
    }
    drop(client);
    // The counts of the last minute are put on record at the end, and shipped at the next start.
    palisade.stop();
    palisade.launch();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let started = Instant::now();
    let counted = loop {
        let path = "/api/v1/audit?limit=200&tenant=acme&actor=app&action=statement.count";
        let (_, page) = palisade.api("GET", path, &token, None).unwrap();
        let items = page["items"].as_array().unwrap().clone();
        if items.len() >= 2 || started.elapsed() > Duration::from_secs(20) {
            break items;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let of = |shape: &str| {
        let matching = counted.iter().filter(|e| e["shape"].as_str().is_some_and(|s| s.contains(shape)));
        matching.map(|e| e["detail"]["count"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((of("WHERE name = $1"), of("max(id)")), (7, 7), "{counted:?}");
    assert!(counted.iter().all(|e| e["class"] == "C" && !e.to_string().contains("S3cret")));
}

#[test]
fn the_documentation_names_every_field() {
    let text = include_str!("../../docs/audit.md");
    let mut event = palisade_catalog::audit::Event::new(
        time::OffsetDateTime::UNIX_EPOCH,
        palisade_catalog::audit::Class::A,
        palisade_catalog::audit::Plane::Data,
        "statement",
        "owner",
    );
    event.set_shape(Some("SELECT $1".into()));
    let fields = format!("{event:?}");
    // The fields of the structure itself, so that a new one is asked for here.
    for field in fields.split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':')) {
        assert!(text.contains(&format!("`{field}`")), "docs/audit.md says nothing of `{field}`");
    }
}

/// With `audit_statements = "all"` each permitted statement is an event with its objects, rows and times, and each that
/// fails with its SQLSTATE.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_an_event_where_that_is_wished() {
    let palisade = Installation::with("audit-all", true, &[("PALISADE__PROXY__AUDIT_STATEMENTS", "all")]);
    let env = palisade.env();
    let client = connect(&env["PALISADE_URL_ACME_OWNER"]).await;
    client.batch_execute("BEGIN; CREATE TABLE kept (a int, b text); INSERT INTO kept VALUES (1, 'S3cret1'), (2, 'S3cret2'); COMMIT").await.unwrap();
    client.query("SELECT b FROM kept WHERE a = $1", &[&1_i32]).await.unwrap();
    let (code, _) = refusal(&client, "INSERT INTO kept VALUES (3, 1 / 0)").await;
    assert_eq!(code, "22012");
    client.simple_query("SELECT pg_sleep(0.05), 'S3cret3'").await.unwrap();
    let token = env["PALISADE_ADMIN_TOKEN"].clone();
    let started = Instant::now();
    let events = loop {
        let path = "/api/v1/audit?limit=200&tenant=acme&actor=owner&action=statement";
        let (_, page) = palisade.api("GET", path, &token, None).unwrap();
        let items = page["items"].as_array().unwrap().clone();
        if items.iter().any(|e| e["shape"].as_str().is_some_and(|s| s.contains("pg_sleep"))) {
            break items;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{items:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let of = |verb: &str, result: &str| {
        let found = events.iter().find(|e| e["verb"] == verb && e["result"] == result);
        found.unwrap_or_else(|| panic!("no {verb} that is {result}: {events:?}")).clone()
    };
    // The tenant's verification has tried what is refused.
    let strange = events
        .iter()
        .find(|e| e["decision"] == "allow" && e["class"] != "B" || e.to_string().contains("S3cret"));
    assert_eq!(strange, None);
    let insert = of("INSERT", "ok");
    assert_eq!((&insert["detail"]["rows"], &insert["object"]), (&2.into(), &"relation kept insert".into()));
    assert_eq!(of("INSERT", "failed")["sqlstate"], "22012");
    let selects: Vec<&Value> = events.iter().filter(|e| e["verb"] == "SELECT").collect();
    let slept = selects.iter().find(|e| e["shape"].as_str().unwrap().contains("pg_sleep")).unwrap();
    let us = |field: &str| slept["detail"][field].as_u64().unwrap();
    assert!(
        (50_000..5_000_000).contains(&us("server_us"))
            && us("queue_us") < 5_000_000
            && us("judging_us") < 5_000_000
    );
    assert!(selects.iter().any(|e| e["detail"]["rows"] == 1 && e["object"] == "relation kept select"));
    // A definition is one event, made before it is sent.
    assert_eq!(events.iter().filter(|e| e["verb"] == "CREATE TABLE").count(), 1);
}
