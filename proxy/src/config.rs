//! The proxy's settings: the table `[proxy]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[proxy]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyConfig {
    /// Address for clients. Default `127.0.0.1:6432`.
    pub listen: SocketAddr,
    /// Host and port of PostgreSQL. Required.
    pub server: String,
    /// Database that holds Palisade's tables and the tenants. Default `palisade`.
    pub database: String,
    /// File with the master key (64 hexadecimal digits). Required.
    pub master_key_file: PathBuf,
    /// File that keeps the last known tenants. Required.
    pub snapshot_file: PathBuf,
    /// Folder of the audit spool. Required.
    pub spool_dir: PathBuf,
    /// Most client connections. Default 1000.
    pub max_client_connections: usize,
    /// Longest wait for a client to log in, in milliseconds. Default 10000.
    pub authentication_timeout_ms: u64,
    /// Longest wait for a server connection, in milliseconds. Default 5000.
    pub server_connect_timeout_ms: u64,
    /// How often the catalog is asked for changes, in milliseconds. Default 300.
    pub follow_interval_ms: u64,
    /// Longest statement text, in bytes. Default 1048576.
    pub max_statement_bytes: usize,
    /// Longest message of a client that is not held whole (Bind, CopyData), in bytes. Default 1073741823.
    pub max_message_bytes: usize,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6432)),
            server: String::new(),
            database: "palisade".into(),
            master_key_file: PathBuf::new(),
            snapshot_file: PathBuf::new(),
            spool_dir: PathBuf::new(),
            max_client_connections: 1_000,
            authentication_timeout_ms: 10_000,
            server_connect_timeout_ms: 5_000,
            follow_interval_ms: 300,
            max_statement_bytes: 1 << 20,
            max_message_bytes: (1 << 30) - 1,
        }
    }
}

impl ProxyConfig {
    /// Every error in the settings, a sentence each.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut check = |good: bool, text: &str| {
            if !good {
                errors.push(format!("[proxy] {text}"));
            }
        };
        check(self.server.rsplit_once(':').is_some(), "server must be host:port of PostgreSQL");
        check(!self.master_key_file.as_os_str().is_empty(), "master_key_file must name a file");
        check(!self.snapshot_file.as_os_str().is_empty(), "snapshot_file must name a file");
        check(!self.spool_dir.as_os_str().is_empty(), "spool_dir must name a folder");
        check(self.max_client_connections > 0, "max_client_connections must be at least 1");
        check((50..=1000).contains(&self.follow_interval_ms), "follow_interval_ms must be 50 to 1000");
        check(self.max_statement_bytes >= 1024, "max_statement_bytes must be at least 1024");
        errors
    }
}
