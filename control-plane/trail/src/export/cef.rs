//! ArcSight Common Event Format, version 0.

use std::net::IpAddr;

use serde_json::Value;

use super::{client, denied, instant, text};

/// An event as a line.
pub(super) fn cef(event: &Value) -> String {
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
    if let Some((ip, port)) = client(event) {
        // An address of IPv6 has a field of its own.
        fields.push(match ip {
            IpAddr::V4(ip) => format!("src={ip}"),
            IpAddr::V6(ip) => format!("c6a2Label=Source IPv6 Address c6a2={ip}"),
        });
        fields.extend(port.map(|port| format!("spt={port}")));
    }
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
    use crate::export::tests::denial;

    #[test]
    fn cef_escapes_what_it_uses() {
        let line = cef(&denial());
        let head: Vec<&str> = line.splitn(8, '|').collect();
        assert_eq!(head[..4], ["CEF:0", "Palisade", "Palisade", env!("CARGO_PKG_VERSION")]);
        assert_eq!(head[4..7], ["statement", "statement: foreign-schema", "7"]);
        assert!(head[7].contains("request=SELECT * FROM a|b WHERE x \\= $1\\nAND \"y\""), "{line}");
        assert!(head[7].contains("suser=\\=cmd|x") && !line.contains('\n'));
    }
}
