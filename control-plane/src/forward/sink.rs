//! The sinks: where each writes, and how an event looks there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use palisade_catalog::audit::{Class, Decision, Event};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};

use super::Numbered;
use crate::config::{ControlPlaneConfig, is_address};

/// Longest wait for a sink to take a batch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Facility 13, "log audit" (RFC 5424, section 6.2.1).
const FACILITY: u8 = 13;
/// Longest message that is sent as one datagram, in bytes; a longer one is cut (RFC 5426, section 3.2).
const DATAGRAM_BYTES: usize = 8 << 10;

/// Why a sink did not take a batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    /// It cannot be written to.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It answered with a refusal, or not at all.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("nothing was taken within {} seconds", TIMEOUT.as_secs())]
    Slow,
}

/// Where a syslog server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Syslog {
    Udp(String),
    Tcp(String),
    Unix(PathBuf),
}

/// One sink.
pub(crate) enum Sink {
    /// A line of JSON for each event.
    Stdout,
    /// The same, at the end of a file, on the disk before the next batch. It is opened anew each time: whoever rotates it
    /// has nobody to tell.
    File(PathBuf),
    /// RFC 5424 messages.
    Syslog(SyslogSink),
    /// OpenTelemetry's logs over HTTP, in JSON.
    Otlp(String),
}

/// A syslog server and the connection to it.
pub(crate) struct SyslogSink {
    to: Syslog,
    host: String,
    connection: Option<TcpStream>,
}

impl Sink {
    /// The sinks of a configuration.
    ///
    /// # Errors
    /// A sentence about an address that is none.
    pub(crate) fn all(config: &ControlPlaneConfig) -> Result<Vec<Self>, String> {
        let mut sinks = Vec::new();
        if config.audit_stdout {
            sinks.push(Self::Stdout);
        }
        if let Some(path) = &config.audit_file {
            sinks.push(Self::File(path.clone()));
        }
        if let Some(address) = &config.audit_syslog {
            let to = syslog(address).ok_or(
                "audit_syslog must be udp://host:port, tcp://host:port, or unix:///path such as unix:///dev/log",
            )?;
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            sinks.push(Self::Syslog(SyslogSink { to, host, connection: None }));
        }
        if let Some(url) = &config.audit_otlp {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err("audit_otlp must be a URL such as http://collector:4318/v1/logs".into());
            }
            sinks.push(Self::Otlp(url.clone()));
        }
        Ok(sinks)
    }

    /// Its name in the catalog.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Otlp(_) => "otlp",
        }
    }

    /// Gives events to it. After an error some may have been taken.
    pub(crate) async fn give(&mut self, events: &[Numbered]) -> Result<(), SinkError> {
        let given = async {
            match self {
                Self::Stdout => {
                    let mut out = tokio::io::stdout();
                    out.write_all(lines(events).as_bytes()).await?;
                    Ok(out.flush().await?)
                }
                Self::File(path) => {
                    let mut options = tokio::fs::OpenOptions::new();
                    let mut file = options.append(true).create(true).mode(0o600).open(path).await?;
                    file.write_all(lines(events).as_bytes()).await?;
                    file.flush().await?;
                    Ok(file.sync_data().await?)
                }
                Self::Syslog(syslog) => syslog.give(events).await,
                Self::Otlp(url) => post(url.clone(), otlp(events)).await,
            }
        };
        tokio::time::timeout(TIMEOUT, given).await.unwrap_or(Err(SinkError::Slow))
    }
}

fn syslog(address: &str) -> Option<Syslog> {
    let (scheme, rest) = address.split_once("://")?;
    match scheme {
        "udp" if is_address(rest) => Some(Syslog::Udp(rest.to_owned())),
        "tcp" if is_address(rest) => Some(Syslog::Tcp(rest.to_owned())),
        "unix" if rest.starts_with('/') => Some(Syslog::Unix(rest.into())),
        _ => None,
    }
}

/// The event's fields with its number before them, one line each.
fn lines(events: &[Numbered]) -> String {
    events
        .iter()
        .map(|(number, event)| json!({ "number": number, "event": event }).to_string() + "\n")
        .collect()
}

/// Refused things are warnings, what failed is an error, all else a notice.
fn severity(event: &Event) -> u8 {
    match (event.decision, event.result.as_str()) {
        (_, "failed") => 3,
        (Decision::Deny, _) => 4,
        _ if event.class == Class::A => 5,
        _ => 6,
    }
}

/// An event as RFC 5424 has it; the message is the event as JSON.
fn message(host: &str, number: i64, event: &Event) -> String {
    let priority = FACILITY * 8 + severity(event);
    let at = event.at.format(&Rfc3339).unwrap_or_else(|_| "-".into());
    // A message's kind has at most 32 printable characters.
    let kind: String = event.action.chars().filter(char::is_ascii_graphic).take(32).collect();
    let kind = if kind.is_empty() { "-".to_owned() } else { kind };
    let body = serde_json::to_string(event).unwrap_or_default();
    format!(
        "<{priority}>1 {at} {host} palisade {} {kind} [palisade@32473 number=\"{number}\"] {body}",
        std::process::id()
    )
}

impl SyslogSink {
    async fn give(&mut self, events: &[Numbered]) -> Result<(), SinkError> {
        let messages = events.iter().map(|(number, event)| message(&self.host, *number, event));
        match &self.to {
            Syslog::Udp(to) => {
                let to: SocketAddr = tokio::net::lookup_host(to)
                    .await?
                    .next()
                    .ok_or_else(|| SinkError::Refused(format!("{to} has no address")))?;
                let local = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(local).await?;
                socket.connect(to).await?;
                for message in messages {
                    socket.send(cut(&message).as_bytes()).await?;
                }
            }
            Syslog::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                for message in messages {
                    socket.send(cut(&message).as_bytes()).await?;
                }
            }
            Syslog::Tcp(to) => {
                // Octet counting (RFC 6587, section 3.4.1). A connection that failed is not used again.
                let text: String = messages.map(|message| format!("{} {message}", message.len())).collect();
                let mut connection = match self.connection.take() {
                    Some(connection) if open(&connection) => connection,
                    _ => TcpStream::connect(to).await?,
                };
                connection.write_all(text.as_bytes()).await?;
                connection.flush().await?;
                self.connection = Some(connection);
            }
        }
        Ok(())
    }
}

/// Whether the server has not closed; it has nothing to say to us.
fn open(connection: &TcpStream) -> bool {
    matches!(connection.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// As much as fits a datagram.
fn cut(message: &str) -> &str {
    let mut end = message.len().min(DATAGRAM_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

/// Source: OpenTelemetry's log data model, and its mapping to JSON (OTLP 1.x).
fn otlp(events: &[Numbered]) -> Value {
    let text = |value: &str| json!({ "stringValue": value });
    let records = events.iter().map(|(number, event)| {
        // RFC 5424's severities are 9 (INFO) to 17 (ERROR) there.
        let (severity, word) = match severity(event) {
            0..=3 => (17, "ERROR"),
            4 => (13, "WARN"),
            5 => (10, "INFO2"),
            _ => (9, "INFO"),
        };
        let plain = [
            ("event.name", Some(event.action.as_str())),
            ("palisade.decision", Some(if event.decision == Decision::Deny { "deny" } else { "allow" })),
            ("palisade.result", Some(event.result.as_str())),
            ("palisade.tenant.id", event.tenant_id.as_deref()),
            ("palisade.tenant", event.tenant.as_deref()),
            ("enduser.id", Some(event.actor.as_str())),
            ("client.address", event.client_addr.as_deref()),
            ("db.response.status_code", event.sqlstate.as_deref()),
            ("db.query.text", event.shape.as_deref()),
        ];
        let mut attributes: Vec<Value> = plain
            .into_iter()
            .filter_map(|(key, value)| Some(json!({ "key": key, "value": text(value?) })))
            .collect();
        attributes.push(json!({ "key": "palisade.number", "value": { "intValue": number.to_string() } }));
        json!({
            "timeUnixNano": event.at.unix_timestamp_nanos().to_string(),
            "severityNumber": severity,
            "severityText": word,
            "body": text(&serde_json::to_string(event).unwrap_or_default()),
            "attributes": attributes,
        })
    });
    json!({ "resourceLogs": [{
        "resource": { "attributes": [{ "key": "service.name", "value": text("palisade") }] },
        "scopeLogs": [{ "scope": { "name": "palisade.audit" }, "logRecords": records.collect::<Vec<_>>() }],
    }] })
}

/// Posts a batch; whatever is not a success is an error.
async fn post(url: String, body: Value) -> Result<(), SinkError> {
    let sent =
        tokio::task::spawn_blocking(move || crate::agent(TIMEOUT).post(&url).send_json(&body).map(|_| ()));
    let sent = sent.await.map_err(|error| SinkError::Refused(error.to_string()))?;
    sent.map_err(|error| SinkError::Refused(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use palisade_catalog::audit::Plane;
    use time::OffsetDateTime;

    fn event() -> Event {
        let at = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let mut event = Event::new(at, Class::A, Plane::Data, "statement", "owner");
        (event.decision, event.result, event.tenant) = (Decision::Deny, "denied".into(), Some("acme".into()));
        event
    }

    #[test]
    fn addresses_are_read() {
        for (text, want) in [
            ("udp://127.0.0.1:514", Some(Syslog::Udp("127.0.0.1:514".into()))),
            ("tcp://log.example:6514", Some(Syslog::Tcp("log.example:6514".into()))),
            ("unix:///dev/log", Some(Syslog::Unix("/dev/log".into()))),
            ("127.0.0.1:514", None),
            ("udp://:514", None),
            ("tcp://log.example", None),
            ("unix://dev/log", None),
            ("tls://log.example:6514", None),
        ] {
            assert_eq!(syslog(text), want, "{text}");
        }
    }

    #[test]
    fn messages_are_those_of_the_rfc() {
        let text = message("host", 7, &event());
        let head = format!(
            "<108>1 2023-11-14T22:13:20Z host palisade {} statement [palisade@32473 number=\"7\"] {{\"v\":1",
            std::process::id()
        );
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(cut(&"ä".repeat(DATAGRAM_BYTES)).len(), DATAGRAM_BYTES);
        assert_eq!(cut(&format!("x{}", "ä".repeat(DATAGRAM_BYTES))).len(), DATAGRAM_BYTES - 1);
    }

    #[test]
    fn records_are_those_of_opentelemetry() {
        let body = otlp(&[(7, event())]);
        let record = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["timeUnixNano"], "1700000000000000000");
        assert_eq!(
            (record["severityNumber"].as_i64(), record["severityText"].as_str()),
            (Some(13), Some("WARN"))
        );
        let attribute = |name: &str| {
            record["attributes"].as_array().unwrap().iter().find(|a| a["key"] == name).unwrap()["value"]
                .clone()
        };
        assert_eq!(attribute("palisade.number"), json!({ "intValue": "7" }));
        assert_eq!(attribute("palisade.tenant"), json!({ "stringValue": "acme" }));
    }
}
