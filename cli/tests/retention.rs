//! What becomes of the audit trail's events: they reach every sink, and leave by rule alone, with a tombstone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Installation, connect, refusal};
use serde_json::Value;
use tokio_postgres::Client;

const DAYS_A: (&str, &str) = ("PALISADE__CONTROL_PLANE__AUDIT_DAYS_A", "30");
const DAYS_B: (&str, &str) = ("PALISADE__CONTROL_PLANE__AUDIT_DAYS_B", "30");
const DAYS_C: (&str, &str) = ("PALISADE__CONTROL_PLANE__AUDIT_DAYS_C", "30");

async fn denials(palisade: &Installation, count: usize) {
    let client = connect(&palisade.env()["PALISADE_URL_ACME_OWNER"]).await;
    for number in 0..count {
        refusal(&client, &format!("SELECT 'S3cret{number}' FROM t_{}.users", "z".repeat(20))).await;
    }
}

/// Waits for something to become true.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(40), "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn number(admin: &Client, sql: &str) -> i64 {
    admin.query_one(sql, &[]).await.unwrap().get::<_, Option<i64>>(0).unwrap_or(-1)
}

/// Waits until every event is numbered and signed.
async fn sealed(admin: &Client) {
    let open = "SELECT (SELECT count(*) FROM palisade_control.audit_events WHERE number IS NULL)
                  + (SELECT size FROM palisade_control.audit_log) - (SELECT max(size) FROM palisade_control.audit_checkpoints)";
    until("every event is signed", async || number(admin, open).await == 0).await;
}

/// A collector that refuses everything first, and takes it then; each record's number is sent on.
fn collector() -> (u16, mpsc::Receiver<i64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, numbers) = mpsc::channel();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).unwrap() > 2 {
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = if count < 2 { "503 Service Unavailable" } else { "200 OK" };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{{}}").unwrap();
            if count < 2 {
                continue;
            }
            let body: Value = serde_json::from_slice(&body).unwrap();
            for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap() {
                assert!(!record.to_string().contains("S3cret"), "{record}");
                let number = record["attributes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|a| a["key"] == "palisade.number")
                    .unwrap();
                send.send(number["value"]["intValue"].as_str().unwrap().parse().unwrap()).unwrap();
            }
        }
    });
    (port, numbers)
}

/// Every sink has the whole log, in its order, once each has come back; a dead one keeps neither clients nor the others
/// waiting.
#[tokio::test(flavor = "multi_thread")]
async fn every_sink_gets_every_event() {
    let mut palisade = Installation::start("sinks", true);
    let file = palisade.folder().join("audit.jsonl");
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (port, numbers) = collector();
    palisade.restart(&[
        ("PALISADE__CONTROL_PLANE__AUDIT_FILE", file.to_str().unwrap()),
        ("PALISADE__CONTROL_PLANE__AUDIT_SYSLOG", &format!("udp://{}", syslog.local_addr().unwrap())),
        ("PALISADE__CONTROL_PLANE__AUDIT_OTLP", &format!("http://127.0.0.1:{port}/v1/logs")),
    ]);
    let admin = connect(&palisade.env()["PALISADE_DATABASE_URL"]).await;
    denials(&palisade, 20).await;
    sealed(&admin).await;
    let size = number(&admin, "SELECT size FROM palisade_control.audit_log").await;
    let behind = format!("SELECT count(*) FROM palisade_control.audit_sinks WHERE number < {size} - 1");
    until("every sink has it", async || number(&admin, &behind).await == 0).await;

    let whole: Vec<i64> = (0..size).collect();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let written: Vec<i64> =
        lines.iter().map(|line| line["number"].as_i64().unwrap()).take(whole.len()).collect();
    assert_eq!(written, whole);
    assert!(
        !text.contains("S3cret")
            && lines.iter().filter(|l| l["event"]["action"] == "statement").count() >= 20
    );

    let collected: Vec<i64> = numbers.try_iter().take(whole.len()).collect();
    assert_eq!(collected, whole, "after two refusals");

    let mut buffer = [0; 65536];
    for want in whole {
        let length = syslog.recv(&mut buffer).unwrap();
        let message = std::str::from_utf8(&buffer[..length]).unwrap();
        let (head, body) = message.split_once("] ").unwrap();
        assert!(
            head.starts_with('<')
                && head.contains(" palisade ")
                && head.ends_with(&format!("number=\"{want}\"")),
            "{head}"
        );
        let event: Value = serde_json::from_str(body).unwrap();
        assert_eq!(event["v"], 1);
    }
    let (code, shown, _) = palisade.cli(&["audit", "sinks", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, shown.as_array().unwrap().len()), (0, 3));
}

/// Verifies the log live; what is wrong with it.
fn faults(palisade: &Installation) -> Vec<String> {
    let (_, out, error) = palisade.cli(&["audit", "verify", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}"));
    report["faults"].as_array().unwrap().iter().map(|f| f.as_str().unwrap().to_owned()).collect()
}

/// Puts everything that is there into a month that is long over.
async fn age(admin: &Client, month: &str) {
    sealed(admin).await;
    admin
        .batch_execute(&format!(
            "SELECT palisade_control.audit_month('{month}');
        UPDATE palisade_control.audit_events SET month = '{month}' WHERE month > '{month}'"
        ))
        .await
        .unwrap();
}

/// Events leave by class and by month, when they are old enough, are signed, and nobody holds them; the log without them
/// is still whole, and with one more of them gone it is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_leaves_a_tombstone() {
    let mut palisade = Installation::start("retention", true);
    let admin = connect(&palisade.env()["PALISADE_DATABASE_URL"]).await;
    denials(&palisade, 20).await;
    age(&admin, "2024-01-01").await;
    // One event of class A, by its tenant and its time: its whole month stays.
    let moment = "SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM palisade_control.audit_events,
        LATERAL (VALUES (at), (at + interval '1 microsecond')) AS moments (t)
        WHERE id = (SELECT id FROM palisade_control.audit_events WHERE class = 'A' AND tenant_id = (SELECT id FROM palisade_control.tenants WHERE slug = 'acme') ORDER BY number LIMIT 1) ORDER BY t";
    let moments = admin.query(moment, &[]).await.unwrap();
    let (since, then): (&str, &str) = (moments[0].get(0), moments[1].get(0));
    let (code, out, error) = palisade.cli(&[
        "audit", "hold", "place", "case 7", "--tenant", "acme", "--since", since, "--until", then, "--json",
    ]);
    assert_eq!(code, 0, "{error}");
    let hold: Value = serde_json::from_str(&out).unwrap();
    let of = |class: &str| {
        format!(
            "SELECT count(*) FROM palisade_control.audit_events WHERE month = '2024-01-01' AND class = '{class}'"
        )
    };
    let (a, b) = (number(&admin, &of("A")).await, number(&admin, &of("B")).await);
    assert!(a >= 20 && b > 0, "{a} of class A, {b} of class B");

    // A hold keeps them.
    let looked_at = "SELECT count(*) FROM palisade_control.audit_events WHERE month > '2024-01-01'";
    palisade.restart(&[DAYS_B]);
    until("something new is there", async || number(&admin, looked_at).await > 0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(number(&admin, &of("B")).await, b, "the hold covers them");
    assert_eq!(palisade.cli(&["audit", "hold", "release", hold["id"].as_str().unwrap()]).0, 0);

    // Released, class B goes, class A stays.
    palisade.restart(&[DAYS_B]);
    until("class B is gone", async || number(&admin, &of("B")).await == 0).await;
    assert_eq!(number(&admin, &of("A")).await, a);
    sealed(&admin).await;
    assert_eq!(faults(&palisade), Vec::<String>::new());
    // What no rule has deleted shows.
    admin.batch_execute("CREATE TABLE gone AS SELECT * FROM palisade_control.audit_events WHERE class = 'A' AND month = '2024-01-01' LIMIT 1;
        DELETE FROM palisade_control.audit_events e USING gone g WHERE e.id = g.id;
        INSERT INTO palisade_control.audit_retired SELECT number, leaf, month, (SELECT by FROM palisade_control.audit_retired LIMIT 1) FROM gone").await.unwrap();
    assert!(faults(&palisade).iter().any(|fault| fault.contains("without a tombstone")));
    admin
        .batch_execute(
            "DELETE FROM palisade_control.audit_retired r USING gone g WHERE r.number = g.number;
        INSERT INTO palisade_control.audit_events SELECT * FROM gone",
        )
        .await
        .unwrap();
    assert_eq!(faults(&palisade), Vec::<String>::new());

    // The whole month goes when every class may.
    palisade.restart(&[DAYS_A, DAYS_B, DAYS_C]);
    let table = "SELECT count(*) FROM pg_class WHERE relname = 'audit_events_2024_01'";
    until("the month is gone", async || number(&admin, table).await == 0).await;
    sealed(&admin).await;
    assert_eq!(faults(&palisade), Vec::<String>::new());
    assert!(number(&admin, "SELECT kept_from FROM palisade_control.audit_log").await >= a + b);
    assert_eq!(
        number(&admin, "SELECT count(*) FROM palisade_control.audit_retired WHERE month = '2024-01-01'")
            .await,
        0
    );
    // The tombstone itself cannot be taken away.
    admin.batch_execute("DELETE FROM palisade_control.audit_events WHERE action = 'audit.retire' AND event -> 'detail' ? 'until'").await.unwrap();
    let found = faults(&palisade);
    assert!(found.iter().any(|fault| fault.contains("without a tombstone")), "{found:?}");
}
