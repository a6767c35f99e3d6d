//! Events in the formats of other tools. Each ends in a line that states what was exported, signed as a note.

mod cef;
mod ocsf;

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::checkpoint::{CheckpointError, Key};
use cef::cef;
use ocsf::ocsf;

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

/// Where the client is: its address, and its port where that is known.
fn client(event: &Value) -> Option<(IpAddr, Option<u16>)> {
    let text = text(event, "client_addr");
    match text.parse::<SocketAddr>() {
        Ok(address) => Some((address.ip(), Some(address.port()))),
        Err(_) => text.parse().ok().map(|ip| (ip, None)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    pub(super) fn denial() -> Value {
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
