//! A whole day of an installation, exported in each format and read back with what reads that format: `serde_json`, `csv`,
//! the types that are generated from OCSF's schema, and rsyslog's normaliser for CEF.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use ocsf_types::{ApiActivity, Authentication, DatastoreActivity};
use palisade_policies::judge::POLICY;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Logins that succeed and fail, definitions, denials, a policy that is changed, a tenant that is suspended and resumed.
async fn day(palisade: &Installation) {
    let env = palisade.env();
    let owner = connect(&env["PALISADE_URL_ACME_OWNER"]).await;
    owner.batch_execute("CREATE TABLE kept (a int, \"odd \"\"name\" text)").await.unwrap();
    for text in
        ["SELECT '=S3cret' FROM t_zzzzzzzzzzzzzzzzzzzz.users", "SET ROLE postgres", "DROP SCHEMA pg_catalog"]
    {
        refusal(&owner, text).await;
    }
    refusal(&owner, "SELECT a = 1, 'S3cret|\\ =x',\n\t\"odd\" FROM other.kept WHERE a = E'S3cret\\n'").await;
    let mut wrong: tokio_postgres::Config = env["PALISADE_URL_ACME_APP"].parse().unwrap();
    wrong.password("S3cret");
    assert!(wrong.connect(tokio_postgres::NoTls).await.is_err());
    let file = palisade.folder().join("ours.csv");
    std::fs::write(&file, format!("{POLICY}\np, readonly, relation, @own, kept, select, deny\n")).unwrap();
    for args in [
        vec!["policy", "activate", file.to_str().unwrap(), "--comment", "nothing kept"],
        vec!["tenant", "suspend", "globex"],
        vec!["tenant", "resume", "globex"],
    ] {
        let (code, out, error) = palisade.cli(&args);
        assert_eq!(code, 0, "{args:?}: {out}{error}");
    }
    let readonly = connect(&env["PALISADE_URL_ACME_READONLY"]).await;
    refusal(&readonly, "SELECT a FROM kept").await;
}

/// The events of an export, without the line that states what it is.
fn export(palisade: &Installation, format: &str) -> String {
    let file: PathBuf = palisade.folder().join(format!("day.{format}"));
    let until = "2100-01-01T00:00:00Z";
    let (code, out, error) = palisade.cli(&[
        "audit",
        "export",
        "--format",
        format,
        "--until",
        until,
        "-o",
        file.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{out}{error}");
    let whole = std::fs::read_to_string(&file).unwrap();
    assert!(!whole.contains("S3cret"), "{format}");
    whole.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n"
}

/// What OCSF's schema knows of an event: all of it, or an attribute has a name or a type that is none.
fn known<T: DeserializeOwned + Serialize>(event: &Value) {
    let read: T = serde_json::from_value(event.clone()).unwrap_or_else(|error| panic!("{error}: {event}"));
    assert_eq!(serde_json::to_value(read).unwrap(), *event, "an attribute that the schema has not");
}

/// An event of OCSF as its schema wants it: attributes that it knows, with those that are required and one of those of
/// which it wants at least one (<https://schema.ocsf.io/1.3.0>).
fn ocsf(event: &Value) -> u64 {
    let class = event["class_uid"].as_u64().unwrap();
    let required: &[&str] = match class {
        3002 => {
            known::<Authentication>(event);
            &["/user/name", "/service/name"]
        }
        6003 => {
            known::<ApiActivity>(event);
            &["/actor/user/name", "/api/operation", "/src_endpoint"]
        }
        6005 => {
            known::<DatastoreActivity>(event);
            &["/actor/user/name", "/src_endpoint", "/database/name", "/database/type_id"]
        }
        other => panic!("{other} is none of our classes"),
    };
    let always = [
        "/activity_id",
        "/category_uid",
        "/class_uid",
        "/type_uid",
        "/time",
        "/severity_id",
        "/metadata/version",
        "/metadata/product/name",
    ];
    for pointer in required.iter().chain(&always) {
        let there = event.pointer(pointer).is_some_and(|value| !value.is_null() && value != "");
        assert!(there, "{pointer} is missing: {event}");
    }
    if let Some(ip) = event.pointer("/src_endpoint/ip") {
        assert!(ip.as_str().unwrap().parse::<std::net::IpAddr>().is_ok(), "{ip}");
    } else {
        assert!(event.pointer("/src_endpoint/name").is_some(), "{event}");
    }
    class
}

/// What rsyslog's normaliser reads from lines of CEF.
fn cef(lines: &str) -> Vec<Value> {
    let rules = std::env::temp_dir().join(format!("palisade-cef-{}.rb", std::process::id()));
    std::fs::write(&rules, "version=2\nrule=:%event:cef%\n").unwrap();
    let mut child = Command::new("lognormalizer")
        .arg("-r")
        .arg(&rules)
        .args(["-e", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("lognormalizer (Debian: liblognorm-utils)");
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    std::fs::remove_file(rules).unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until the day's last event is on record.
async fn on_record(palisade: &Installation) {
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let started = Instant::now();
    loop {
        let path = "/api/v1/audit?actor=readonly&decision=deny";
        let (_, page) = palisade.api("GET", path, &token, None).unwrap();
        if !page["items"].as_array().unwrap().is_empty() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// From a change of the policy to what it denied, and from an operation to what it did.
fn ids_join(palisade: &Installation) {
    let token = palisade.env()["PALISADE_ADMIN_TOKEN"].clone();
    let list = |query: &str| {
        let (status, page) = palisade.api("GET", &format!("/api/v1/audit?{query}"), &token, None).unwrap();
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    };
    let change = list("action=policy.activate").remove(0);
    let denied = list(&format!("epoch={}&decision=deny", change["epoch"]));
    assert!(denied.iter().all(|event| event["epoch"] == change["epoch"]));
    assert!(denied.iter().any(|event| event["actor"] == "readonly"), "{denied:?}");
    let suspended = list("action=tenant.suspend").remove(0);
    let of_it = list(&format!("operation={}", suspended["operation"].as_str().unwrap()));
    assert_eq!(of_it.iter().filter(|event| event["id"] == suspended["id"]).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_read_back_with_each_formats_own_tools() {
    let palisade = Installation::start("exports", true);
    day(&palisade).await;
    on_record(&palisade).await;

    let events: BTreeMap<String, Value> = export(&palisade, "jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| (event["id"].as_str().unwrap().to_owned(), event))
        .collect();
    let done: BTreeSet<(&str, &str)> = events
        .values()
        .map(|event| (event["action"].as_str().unwrap(), event["result"].as_str().unwrap()))
        .collect();
    for wanted in [
        ("login", "ok"),
        ("login", "denied"),
        ("statement", "ok"),
        ("statement", "denied"),
        ("tenant.suspend", "ok"),
        ("policy.activate", "ok"),
    ] {
        assert!(done.contains(&wanted), "{wanted:?} of {done:?}");
    }

    ids_join(&palisade);

    // Every event of before stands in the later exports, with what it says.
    let csv = export(&palisade, "csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let mut found = 0;
    for row in &rows {
        let Some(event) = events.get(&row["id"]) else { continue };
        found += 1;
        for (column, cell) in row {
            let plain = event[column].as_str().unwrap_or_default();
            assert_eq!(
                cell.strip_prefix('\'').unwrap_or(cell),
                plain.strip_prefix('\'').unwrap_or(plain),
                "{column}"
            );
        }
    }
    assert_eq!(found, events.len());

    let lines = export(&palisade, "ocsf");
    let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let classes: BTreeSet<u64> = objects.iter().map(ocsf).collect();
    assert_eq!(classes, BTreeSet::from([3002, 6003, 6005]));
    let ids = objects.iter().filter_map(|object| object["metadata"]["uid"].as_str());
    assert_eq!(ids.filter(|id| events.contains_key(*id)).count(), events.len());

    let lines = export(&palisade, "cef");
    let read = cef(&lines);
    let mut found = 0;
    for object in &read {
        let extensions = &object["event"]["Extensions"];
        let id = extensions["externalId"].as_str().unwrap_or_else(|| panic!("not read: {object}"));
        let Some(event) = events.get(id) else { continue };
        found += 1;
        assert_eq!(object["event"]["SignatureID"], event["action"]);
        for (key, field) in
            [("suser", "actor"), ("act", "decision"), ("outcome", "result"), ("request", "shape")]
        {
            assert_eq!(extensions[key].as_str(), event[field].as_str(), "{key}");
        }
    }
    assert_eq!((found, read.len()), (events.len(), lines.lines().count()));
}
