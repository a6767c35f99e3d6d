//! The startup packet.

use crate::frame::c_string;

/// Longest startup packet, in bytes, as in PostgreSQL (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_BYTES: usize = 10_000;

/// The newest minor version of protocol 3 that is spoken (PostgreSQL 18's).
pub const NEWEST_MINOR: u16 = 2;
/// The minor version from which cancel keys are long.
pub const LONG_KEYS_MINOR: u16 = 2;
/// The version as NegotiateProtocolVersion says it.
pub const NEWEST_VERSION: i32 = (3 << 16) | NEWEST_MINOR as i32;

/// What the first packet of a connection asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// TLS.
    Ssl,
    /// GSSAPI encryption.
    Gss,
    /// To cancel a statement.
    Cancel {
        /// The key's first part.
        pid: i32,
        /// The key's secret part.
        key: Vec<u8>,
    },
    /// A session.
    Startup {
        /// Minor version of protocol 3.
        minor: u16,
        /// Parameters in the packet's order.
        parameters: Vec<(String, String)>,
    },
}

/// Why a first packet is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Not a startup packet.
    #[error("invalid startup packet")]
    Invalid,
    /// Another protocol.
    #[error("unsupported frontend protocol {0}.{1}: server supports 3.0 to 3.2")]
    Protocol(u16, u16),
}

/// Reads a first packet's body (what stands behind its length).
///
/// # Errors
/// [`StartupError`].
pub fn first(body: &[u8]) -> Result<First, StartupError> {
    let (code, rest) = body.split_first_chunk::<4>().ok_or(StartupError::Invalid)?;
    let code = u32::from_be_bytes(*code);
    let (major, minor) = ((code >> 16) as u16, (code & 0xffff) as u16);
    match (major, minor) {
        (1234, 5679) if rest.is_empty() => Ok(First::Ssl),
        (1234, 5680) if rest.is_empty() => Ok(First::Gss),
        (1234, 5678) => {
            let (pid, key) = rest.split_first_chunk::<4>().ok_or(StartupError::Invalid)?;
            Ok(First::Cancel { pid: i32::from_be_bytes(*pid), key: key.to_vec() })
        }
        (3, minor) => Ok(First::Startup { minor, parameters: parameters(rest)? }),
        (major, minor) => Err(StartupError::Protocol(major, minor)),
    }
}

fn parameters(mut bytes: &[u8]) -> Result<Vec<(String, String)>, StartupError> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| StartupError::Invalid);
    let mut out = Vec::new();
    loop {
        let (name, rest) = c_string(bytes).ok_or(StartupError::Invalid)?;
        if name.is_empty() {
            return if rest.is_empty() { Ok(out) } else { Err(StartupError::Invalid) };
        }
        let (value, rest) = c_string(rest).ok_or(StartupError::Invalid)?;
        out.push((text(name)?, text(value)?));
        bytes = rest;
    }
}

/// Settings that a client may give at startup; each changes only how its own session computes or shows things.
const SETTINGS: [&str; 22] = [
    "application_name",
    "datestyle",
    "timezone",
    "extra_float_digits",
    "intervalstyle",
    "bytea_output",
    "xmlbinary",
    "xmloption",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_min_messages",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "default_transaction_deferrable",
    "synchronous_commit",
    "work_mem",
    "enable_seqscan",
    "jit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
];

/// What a client asked for at startup, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The login.
    pub user: String,
    /// The tenant's slug; the login's name where it was not given, as in PostgreSQL.
    pub database: String,
    /// Settings to apply to the session.
    pub settings: Vec<(String, String)>,
    /// The password will be a JSON Web Token (`palisade.auth=jwt`, a word of Palisade's own).
    pub token: bool,
    /// Protocol extensions (`_pq_.…`) that are not known here.
    pub extensions: Vec<String>,
}

/// Why a startup parameter is refused: SQLSTATE and words.
pub type Refusal = (&'static str, String);

/// Sorts the parameters of a startup packet.
///
/// # Errors
/// A parameter that a tenant's client may not set, or no user.
pub fn request(parameters: &[(String, String)]) -> Result<Request, Refusal> {
    let mut out = Request::default();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => out.user.clone_from(value),
            "database" => out.database.clone_from(value),
            "replication" if matches!(value.as_str(), "false" | "off" | "no" | "0") => {}
            "replication" => return Err(("0A000", "replication is not supported through the proxy".into())),
            "options" => {
                for (name, value) in options(value)? {
                    setting(&mut out, &name, &value)?;
                }
            }
            extension if extension.starts_with("_pq_.") => out.extensions.push(extension.to_owned()),
            name => setting(&mut out, name, value)?,
        }
    }
    if out.user.is_empty() {
        return Err(("28000", "no PostgreSQL user name specified in startup packet".into()));
    }
    if out.database.is_empty() {
        out.database.clone_from(&out.user);
    }
    Ok(out)
}

fn setting(out: &mut Request, name: &str, value: &str) -> Result<(), Refusal> {
    let name = name.to_ascii_lowercase();
    if name == "client_encoding" {
        let plain: String =
            value.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        if matches!(plain.as_str(), "utf8" | "unicode") {
            return Ok(());
        }
        return Err(("22023", "the client encoding must be UTF8".into()));
    }
    if name == "palisade.auth" {
        out.token = match value {
            "jwt" => true,
            "scram" => false,
            _ => return Err(("22023", "palisade.auth must be scram or jwt".into())),
        };
        return Ok(());
    }
    if !SETTINGS.contains(&name.as_str()) {
        return Err(("42501", format!("permission denied to set parameter \"{name}\"")));
    }
    out.settings.push((name, value.to_owned()));
    Ok(())
}

/// Takes `options` apart as PostgreSQL does: words with backslash escapes, `-c name=value` or `--name=value`, where a
/// dash in a name means an underscore.
fn options(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let words = words(text);
    let mut words = words.iter();
    let mut out = Vec::new();
    while let Some(word) = words.next() {
        let assignment = if let Some(rest) = word.strip_prefix("--") {
            rest
        } else if word == "-c" {
            words.next().map_or("", String::as_str)
        } else if let Some(rest) = word.strip_prefix("-c") {
            rest
        } else {
            return Err(("42601", "invalid command-line argument for server process".into()));
        };
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| ("42601", format!("-c {assignment} requires a value")))?;
        out.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(out)
}

fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_ascii_whitespace() {
            out.extend(word.take());
            continue;
        }
        let c = if c == '\\' { chars.next().unwrap_or('\\') } else { c };
        word.get_or_insert_default().push(c);
    }
    out.extend(word);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], rest].concat()
    }

    #[test]
    fn first_packets_follow_the_table() {
        assert_eq!(first(&packet(80_877_103, b"")), Ok(First::Ssl));
        assert_eq!(first(&packet(80_877_103, b"stuffed")), Err(StartupError::Protocol(1234, 5679)));
        assert_eq!(first(b"abc"), Err(StartupError::Invalid));
        assert_eq!(first(&packet(196_608, b"user\0a")), Err(StartupError::Invalid));
        assert_eq!(first(&packet(131_072, b"")), Err(StartupError::Protocol(2, 0)));
        let want = First::Startup { minor: 0, parameters: vec![("user".into(), "a".into())] };
        assert_eq!(first(&packet(196_608, b"user\0a\0\0")), Ok(want));
    }

    #[test]
    fn parameters_follow_the_table() {
        let ask = |name: &str, value: &str| {
            request(&[("user".into(), "u".into()), (name.into(), value.into())]).map_err(|(code, _)| code)
        };
        for (name, value, want) in [
            ("database", "acme", None),
            ("application_name", "x'; SET search_path = y; --", None),
            ("client_encoding", "'utf-8'", None),
            ("client_encoding", "SJIS", Some("22023")),
            ("options", "-c statement_timeout=0 -c TimeZone=UTC", None),
            ("options", "-c search_path=x", Some("42501")),
            ("options", "-csearch_path=x", Some("42501")),
            ("options", "--search-path=x", Some("42501")),
            ("options", "-c role=x", Some("42501")),
            ("options", "-c standard_conforming_strings=off", Some("42501")),
            ("options", "-d 5", Some("42601")),
            ("Search_Path", "x", Some("42501")),
            ("role", "x", Some("42501")),
            ("session_authorization", "x", Some("42501")),
            ("replication", "database", Some("0A000")),
            ("_pq_.new", "1", None),
            ("palisade.auth", "jwt", None),
            ("options", "-c palisade.auth=jwt", None),
            ("palisade.auth", "trust", Some("22023")),
        ] {
            assert_eq!(ask(name, value).err(), want, "{name}={value}");
        }
        assert_eq!(request(&[]).err().map(|(code, _)| code), Some("28000"));
        assert_eq!(words(r"a\ b  c\\d"), ["a b", "c\\d"]);
    }
}
