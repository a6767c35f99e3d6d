//! A log as a file, one JSON object a line: a header, then checkpoints and events in their order, then a summary. It can
//! be checked without the installation that it is of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Row;
use crate::merkle::{Hash, Tree};

/// Version of this format; a reader refuses a higher one.
pub const BUNDLE_VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`BUNDLE_VERSION`].
    pub palisade_audit_bundle: u32,
    /// The log's public key. Compare it with the one that you were given: anybody can sign with another.
    pub key: String,
    /// How many events were deleted by rule before the first one here.
    pub from: u64,
    /// The tree of those, as the roots of its perfect subtrees in base64.
    pub roots: Vec<String>,
}

impl Header {
    /// The tree of what was deleted by rule.
    #[must_use]
    pub fn tree(&self) -> Option<Tree> {
        let roots = self.roots.iter().map(|root| decode(root)).collect::<Option<Vec<Hash>>>()?;
        Tree::resume(self.from, roots)
    }
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many events stand before it.
    pub events: u64,
    /// How many events had no number yet although later ones had.
    pub unnumbered: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The first.
    Header(Header),
    /// A signed checkpoint.
    Checkpoint(String),
    /// An event.
    Row(Row),
    /// The last.
    Summary(Summary),
}

impl Line {
    /// The line as text, without its end.
    #[must_use]
    pub fn text(&self) -> String {
        let value = match self {
            Self::Header(header) => serde_json::to_value(header).unwrap_or_default(),
            Self::Checkpoint(note) => serde_json::json!({ "checkpoint": note }),
            Self::Row(row) => {
                let mut line = serde_json::json!({ "number": row.number, "leaf": STANDARD.encode(row.leaf) });
                if let Some(event) = &row.event {
                    line["event"] = event.clone();
                }
                if let Some(tombstone) = &row.retired {
                    line["retired"] = tombstone.as_str().into();
                }
                line
            }
            Self::Summary(summary) => serde_json::json!({ "end": summary }),
        };
        value.to_string()
    }
}

/// Reads a line of a bundle; `None` where it is none.
#[must_use]
pub fn parse(line: &str) -> Option<Line> {
    let value: Value = serde_json::from_str(line).ok()?;
    if value.get("palisade_audit_bundle").is_some() {
        let header: Header = serde_json::from_value(value).ok()?;
        return (header.palisade_audit_bundle <= BUNDLE_VERSION).then_some(Line::Header(header));
    }
    if let Some(note) = value.get("checkpoint") {
        return Some(Line::Checkpoint(note.as_str()?.to_owned()));
    }
    if let Some(summary) = value.get("end") {
        return Some(Line::Summary(serde_json::from_value(summary.clone()).ok()?));
    }
    let leaf = decode(value["leaf"].as_str()?)?;
    let retired = value.get("retired").and_then(Value::as_str).map(str::to_owned);
    Some(Line::Row(Row {
        number: value["number"].as_u64()?,
        leaf,
        event: value.get("event").cloned(),
        retired,
    }))
}

fn decode(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let header = Header {
            palisade_audit_bundle: 1,
            key: "k".into(),
            from: 1,
            roots: vec![STANDARD.encode([5; 32])],
        };
        assert_eq!(header.tree().map(|tree| tree.root()), Some([5; 32]));
        for line in [
            Line::Header(header),
            Line::Checkpoint("a\n1\nb\n\n— a x\n".into()),
            Line::Row(Row {
                number: 3,
                leaf: [1; 32],
                event: Some(serde_json::json!({"id": "é"})),
                retired: None,
            }),
            Line::Row(Row { number: 4, leaf: [2; 32], event: None, retired: Some("e9".into()) }),
            Line::Summary(Summary { events: 2, unnumbered: 0 }),
        ] {
            assert_eq!(parse(&line.text()), Some(line));
        }
        for bad in [
            "",
            "{}",
            "[]",
            "{\"leaf\":\"x\",\"number\":1}",
            "{\"palisade_audit_bundle\":2,\"key\":\"\",\"from\":0,\"roots\":[]}",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
