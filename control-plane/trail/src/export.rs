//! Events in the formats of other tools. Each ends in a line that states what was exported, signed as a note.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::checkpoint::{CheckpointError, Key};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One event a line, as the API shows it.
    Jsonl,
    /// Comma-separated values (RFC 4180), safe to open in a spreadsheet.
    Csv,
    /// Open Cybersecurity Schema Framework 1.3: Authentication (3002), API Activity (6003), Datastore Activity (6005); one
    /// object a line.
    Ocsf,
    /// ArcSight Common Event Format, version 0.
    Cef,
}

/// What HTTP calls them.
const MEDIA_TYPES: [(Format, &str, &str); 4] = [
    (Format::Jsonl, "jsonl", "application/x-ndjson"),
    (Format::Csv, "csv", "text/csv; charset=utf-8"),
    (Format::Ocsf, "ocsf", "application/x-ndjson"),
    (Format::Cef, "cef", "text/plain; charset=utf-8"),
];

impl Format {
    /// A format by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        MEDIA_TYPES.iter().find(|(_, known, _)| *known == name).map(|(format, ..)| *format)
    }

    /// What HTTP calls it.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        MEDIA_TYPES.iter().find(|(format, ..)| *format == self).map_or("", |(.., media)| media)
    }
}

/// The columns of CSV: fields of an event, in this order.
const COLUMNS: [&str; 20] = [
    "at",
    "id",
    "class",
    "plane",
    "action",
    "decision",
    "result",
    "actor",
    "tenant",
    "tenant_id",
    "client_addr",
    "session",
    "operation",
    "role_kind",
    "verb",
    "object",
    "reason",
    "rule",
    "sqlstate",
    "shape",
];

/// Writes an export, event by event.
pub struct Writer {
    format: Format,
    content: Sha256,
    events: u64,
    first: Option<u64>,
    last: Option<u64>,
}

impl Writer {
    /// Nothing written yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, content: Sha256::new(), events: 0, first: None, last: None }
    }

    /// What stands before the events.
    pub fn header(&mut self) -> String {
        let text = match self.format {
            Format::Csv => format!("{}\r\n", COLUMNS.join(",")),
            Format::Jsonl | Format::Ocsf | Format::Cef => String::new(),
        };
        self.content.update(text.as_bytes());
        text
    }

    /// How many events were written.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// An event with its number in the log, where it has one yet.
    pub fn event(&mut self, number: Option<u64>, event: &Value) -> String {
        self.events += 1;
        self.first = self.first.or(number);
        self.last = number.or(self.last);
        let text = match self.format {
            Format::Jsonl => format!("{event}\n"),
            Format::Csv => csv(event),
            Format::Ocsf => format!("{}\n", ocsf(event)),
            Format::Cef => format!("{}\n", cef(event)),
        };
        self.content.update(text.as_bytes());
        text
    }

    /// The line that states what was exported: the query, how many events, the first and last number, the SHA-256 of
    /// everything before it, and the newest checkpoint; signed by the log's key.
    ///
    /// # Errors
    /// A query with control characters.
    pub fn statement(
        self,
        key: &Key,
        query: &str,
        checkpoint: Option<&str>,
    ) -> Result<String, CheckpointError> {
        let number = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
        let digest = self.content.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();
        let text = format!(
            "palisade audit export\nquery {query}\nevents {}\nfirst {}\nlast {}\nsha256 {digest}\n",
            self.events,
            number(self.first),
            number(self.last),
        );
        let statement = json!({ "palisade_audit_export": {
            "query": query, "events": self.events, "first": self.first, "last": self.last, "sha256": digest,
            "checkpoint": checkpoint, "note": key.note(&text)?, "key": key.public().text(),
        }});
        Ok(match self.format {
            Format::Jsonl | Format::Ocsf => format!("{statement}\n"),
            Format::Csv | Format::Cef => format!("# {statement}\n"),
        })
    }
}

/// A field as text: empty where it is not there.
fn text(event: &Value, field: &str) -> String {
    match &event[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn csv(event: &Value) -> String {
    let cells = COLUMNS.map(|column| harmless(text(event, column)));
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // A record of strings into memory cannot fail.
    let _ = writer.write_record(cells);
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection).
fn harmless(cell: String) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell,
    }
}

fn instant(event: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(&text(event, "at"), &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn denied(event: &Value) -> bool {
    event["decision"] == "deny"
}

/// OCSF's class and activity of an action.
fn class(event: &Value) -> (u32, u32) {
    let action = text(event, "action");
    let last = action.rsplit('.').next().unwrap_or_default();
    if action == "login" {
        return (3002, 1);
    }
    if event["plane"] == "data" {
        let activity = match text(event, "verb").as_str() {
            "SELECT" | "TABLE" | "VALUES" | "SHOW" => 1,
            "INSERT" | "COPY" => 5,
            "UPDATE" | "MERGE" => 2,
            "DELETE" | "TRUNCATE" => 7,
            _ => 4,
        };
        return (6005, activity);
    }
    let activity = match last {
        "create" | "register" | "clone" | "import" => 1,
        "list" | "read" | "export" | "show" => 2,
        "delete" | "purge" | "revoke" => 4,
        _ => 3,
    };
    (6003, activity)
}

fn ocsf(event: &Value) -> Value {
    let (class_uid, activity_id) = class(event);
    let at = instant(event);
    let mut out = json!({
        "class_uid": class_uid,
        "category_uid": class_uid / 1000,
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        "time": i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
        "severity_id": if denied(event) { 3 } else { 1 },
        "status_id": if event["result"] == "ok" { 1 } else { 2 },
        "status_code": text(event, "sqlstate"),
        "status_detail": text(event, "reason"),
        "metadata": { "version": "1.3.0", "uid": text(event, "id"), "log_name": "palisade",
            "product": { "name": "Palisade", "vendor_name": "Palisade" } },
        "actor": { "user": { "name": text(event, "actor") }, "session": { "uid": text(event, "session") } },
        "src_endpoint": { "ip": text(event, "client_addr") },
        "unmapped": event,
    });
    match class_uid {
        3002 => out["user"] = json!({ "name": text(event, "actor"), "domain": text(event, "tenant") }),
        6005 => {
            out["database"] = json!({ "name": text(event, "tenant"), "type_id": 1 });
            out["query_info"] = json!({ "query_string": text(event, "shape") });
            out["dst_endpoint"] = json!({ "svc_name": "postgresql" });
        }
        _ => {
            out["api"] = json!({ "operation": text(event, "action") });
            out["resources"] =
                json!([{ "uid": text(event, "tenant_id"), "name": text(event, "tenant"), "type": "tenant" }]);
        }
    }
    out
}

fn cef(event: &Value) -> String {
    let head = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let value =
        |text: &str| text.replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n").replace('\r', "\\r");
    let action = text(event, "action");
    let name = match text(event, "reason") {
        reason if reason.is_empty() => action.clone(),
        reason => format!("{action}: {reason}"),
    };
    let severity = if denied(event) { 7 } else { 3 };
    let mut out = format!(
        "CEF:0|Palisade|Palisade|{}|{}|{}|{severity}|",
        env!("CARGO_PKG_VERSION"),
        head(&action),
        head(&name)
    );
    let milliseconds = instant(event).unix_timestamp_nanos() / 1_000_000;
    let mut fields = vec![format!("rt={milliseconds}")];
    let plain = [
        ("externalId", "id"),
        ("suser", "actor"),
        ("src", "client_addr"),
        ("act", "decision"),
        ("outcome", "result"),
        ("request", "shape"),
    ];
    let custom = [
        ("tenant", "tenant"),
        ("object", "object"),
        ("sqlstate", "sqlstate"),
        ("session", "session"),
        ("rule", "rule"),
        ("operation", "operation"),
    ];
    for (key, field) in plain {
        let text = text(event, field);
        if !text.is_empty() {
            fields.push(format!("{key}={}", value(&text)));
        }
    }
    for (index, (label, field)) in custom.into_iter().enumerate() {
        let text = text(event, field);
        if !text.is_empty() {
            let number = index + 1;
            fields.push(format!("cs{number}Label={label} cs{number}={}", value(&text)));
        }
    }
    out.push_str(&fields.join(" "));
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn denial() -> Value {
        json!({ "id": "0199", "at": "2026-11-23T12:00:00.5Z", "class": "A", "plane": "data", "action": "statement",
            "decision": "deny", "result": "denied", "actor": "=cmd|x", "tenant": "acme", "client_addr": "127.0.0.1", "verb": "SELECT",
            "shape": "SELECT * FROM a|b WHERE x = $1\nAND \"y\"", "object": "relation t.x select", "reason": "foreign-schema", "sqlstate": "42P01" })
    }

    #[test]
    fn a_spreadsheet_finds_no_formula() {
        let mut writer = Writer::new(Format::Csv);
        let whole = writer.header() + &writer.event(Some(3), &denial());
        let mut reader = csv::Reader::from_reader(whole.as_bytes());
        let names = reader.headers().unwrap().clone();
        let record = reader.records().next().unwrap().unwrap();
        let cell = |name: &str| record.get(names.iter().position(|n| n == name).unwrap()).unwrap();
        assert_eq!(cell("actor"), "'=cmd|x");
        assert_eq!(cell("shape"), denial()["shape"].as_str().unwrap());
        assert_eq!(cell("rule"), "");
    }

    #[test]
    fn classes_of_ocsf_follow_the_action() {
        for (plane, action, verb, want) in [
            ("data", "login", "", (3002, 1)),
            ("data", "statement", "SELECT", (6005, 1)),
            ("data", "statement", "INSERT", (6005, 5)),
            ("data", "statement", "DO", (6005, 4)),
            ("control", "tenant.create", "", (6003, 1)),
            ("control", "tenant.suspend", "", (6003, 3)),
            ("control", "tenant.purge", "", (6003, 4)),
        ] {
            assert_eq!(
                class(&json!({ "plane": plane, "action": action, "verb": verb })),
                want,
                "{action} {verb}"
            );
        }
        let event = ocsf(&denial());
        assert_eq!(
            (event["type_uid"].as_u64(), event["time"].as_i64()),
            (Some(600_501), Some(1_795_435_200_500))
        );
        assert_eq!(event["database"]["name"], "acme");
    }

    #[test]
    fn cef_escapes_what_it_uses() {
        let line = cef(&denial());
        let head: Vec<&str> = line.splitn(8, '|').collect();
        assert_eq!(head[..4], ["CEF:0", "Palisade", "Palisade", env!("CARGO_PKG_VERSION")]);
        assert_eq!(head[4..7], ["statement", "statement: foreign-schema", "7"]);
        assert!(head[7].contains("request=SELECT * FROM a|b WHERE x \\= $1\\nAND \"y\""), "{line}");
        assert!(head[7].contains("suser=\\=cmd|x") && !line.contains('\n'));
    }

    #[test]
    fn an_export_states_what_it_holds() {
        let key = Key::new("palisade/audit/x", &[7; 32]).unwrap();
        for format in [Format::Jsonl, Format::Csv, Format::Ocsf, Format::Cef] {
            let mut writer = Writer::new(format);
            let mut content = writer.header();
            content += &writer.event(Some(3), &denial());
            content += &writer.event(Some(9), &denial());
            let line = writer.statement(&key, "tenant=acme", None).unwrap();
            let statement: Value = serde_json::from_str(line.trim_start_matches("# ")).unwrap();
            let statement = &statement["palisade_audit_export"];
            let digest =
                Sha256::digest(content.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
            assert_eq!(
                (statement["events"].as_u64(), statement["first"].as_u64(), statement["last"].as_u64()),
                (Some(2), Some(3), Some(9))
            );
            assert_eq!(statement["sha256"], digest.as_str());
            let signed = key.public().open(statement["note"].as_str().unwrap()).unwrap();
            assert!(signed.contains(&digest) && signed.contains("query tenant=acme"));
        }
    }
}
