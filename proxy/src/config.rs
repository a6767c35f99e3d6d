//! The proxy's settings: the table `[proxy]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use palisade_catalog::tls::ServerTls;
use serde::{Deserialize, Serialize};

/// Whether clients may, or must, encrypt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// TLS is declined.
    #[default]
    Off,
    /// TLS is offered.
    Allow,
    /// A client without TLS is refused.
    Require,
}

/// `[proxy]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyConfig {
    /// Address for clients. Default `127.0.0.1:6432`.
    pub listen: SocketAddr,
    /// Address of the admin console. Default `127.0.0.1:6433`.
    pub admin_listen: SocketAddr,
    /// File with the password of the console's user `palisade`. Without it the console is not opened.
    pub admin_password_file: PathBuf,
    /// Address for Prometheus and health checks. Default `127.0.0.1:9464`.
    pub metrics_listen: SocketAddr,
    /// TLS to clients: `off`, `allow` or `require`. Default `off`.
    pub tls: TlsMode,
    /// File with the certificate chain (PEM). Needed unless `tls` is `off`. Taken in anew when it changes.
    pub tls_cert_file: PathBuf,
    /// File with the certificate's private key (PEM). Needed unless `tls` is `off`.
    pub tls_key_file: PathBuf,
    /// Host and port of PostgreSQL. Required. IPv6 addresses stand in brackets.
    pub server: String,
    /// TLS to PostgreSQL, as libpq's `sslmode`: `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    /// Default `prefer`.
    pub server_tls: ServerTls,
    /// File with the certificate authorities (PEM) that may sign PostgreSQL's certificate. Needed by `verify-ca` and
    /// `verify-full`.
    pub server_tls_ca_file: PathBuf,
    /// Database that holds Palisade's tables and the tenants. Default `palisade`.
    pub database: String,
    /// File with the master key (64 hexadecimal digits). Required.
    pub master_key_file: PathBuf,
    /// File that keeps the last known tenants. Required.
    pub snapshot_file: PathBuf,
    /// Folder of the audit spool. Required.
    pub spool_dir: PathBuf,
    /// Socket over which a new process takes the listeners over (`palisade proxy --upgrade`).
    /// Default `/tmp/palisade-upgrade.sock`.
    pub upgrade_socket: PathBuf,
    /// Schemas that every tenant may use by name, such as one that holds extensions. Default none.
    pub shared_schemas: Vec<String>,
    /// Most client connections. Default 10000.
    pub max_client_connections: usize,
    /// Most client connections of one tenant that has no limit of its own. Default 1000.
    pub tenant_client_connections: usize,
    /// Most server connections of one login of a tenant that has no limit of its own. Default 10.
    pub pool_size: usize,
    /// Most server connections of all tenants. Keep it below PostgreSQL's `max_connections`. Default 80.
    pub max_server_connections: usize,
    /// Most clients of one login that wait for a server connection. Default 1000.
    pub query_queue_clients: usize,
    /// Longest wait for a server connection, in milliseconds. Default 120000.
    pub query_wait_timeout_ms: u64,
    /// A server connection that nobody has used for this long is closed, in milliseconds. Default 60000.
    pub server_idle_timeout_ms: u64,
    /// A server connection of this age is closed when it is idle, in milliseconds. Default 3600000.
    pub server_lifetime_ms: u64,
    /// Most named statements that are kept prepared on one server connection. Default 200.
    pub server_prepared_statements: usize,
    /// Most named statements of one client. Default 10000.
    pub client_prepared_statements: usize,
    /// Memory for the verdicts of one login of a tenant, in bytes. Default 4194304.
    pub verdict_cache_bytes: u64,
    /// Longest wait for a client to log in, in milliseconds. Default 10000.
    pub authentication_timeout_ms: u64,
    /// Longest wait for a server to accept a connection or to clean one, in milliseconds. Default 5000.
    pub server_connect_timeout_ms: u64,
    /// How long transactions may take to end at a shutdown, in milliseconds. Default 10000.
    pub shutdown_timeout_ms: u64,
    /// How long clients may stay with the old process after an upgrade, in milliseconds. Default 3600000.
    pub upgrade_timeout_ms: u64,
    /// How often the catalog is asked for changes, in milliseconds. Default 300.
    pub follow_interval_ms: u64,
    /// Longest statement text, in bytes. Default 1048576.
    pub max_statement_bytes: usize,
    /// Longest message of a client that is not held whole (Bind, CopyData), in bytes. Default 1073741823.
    pub max_message_bytes: usize,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            listen: local(6432),
            admin_listen: local(6433),
            admin_password_file: PathBuf::new(),
            metrics_listen: local(9464),
            tls: TlsMode::Off,
            tls_cert_file: PathBuf::new(),
            tls_key_file: PathBuf::new(),
            server: String::new(),
            server_tls: ServerTls::default(),
            server_tls_ca_file: PathBuf::new(),
            database: "palisade".into(),
            master_key_file: PathBuf::new(),
            snapshot_file: PathBuf::new(),
            spool_dir: PathBuf::new(),
            upgrade_socket: "/tmp/palisade-upgrade.sock".into(),
            shared_schemas: Vec::new(),
            max_client_connections: 10_000,
            tenant_client_connections: 1_000,
            pool_size: 10,
            max_server_connections: 80,
            query_queue_clients: 1_000,
            query_wait_timeout_ms: 120_000,
            server_idle_timeout_ms: 60_000,
            server_lifetime_ms: 3_600_000,
            server_prepared_statements: 200,
            client_prepared_statements: 10_000,
            verdict_cache_bytes: 4 << 20,
            authentication_timeout_ms: 10_000,
            server_connect_timeout_ms: 5_000,
            shutdown_timeout_ms: 10_000,
            upgrade_timeout_ms: 3_600_000,
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
        let files = !self.tls_cert_file.as_os_str().is_empty() && !self.tls_key_file.as_os_str().is_empty();
        check(
            self.tls == TlsMode::Off || files,
            "tls_cert_file and tls_key_file must name files unless tls is off",
        );
        check(
            !self.server_tls.verifies() || !self.server_tls_ca_file.as_os_str().is_empty(),
            "server_tls_ca_file must name a file for server_tls verify-ca and verify-full",
        );
        for (value, name) in [
            (self.max_client_connections, "max_client_connections"),
            (self.tenant_client_connections, "tenant_client_connections"),
            (self.pool_size, "pool_size"),
            (self.max_server_connections, "max_server_connections"),
            (self.query_queue_clients, "query_queue_clients"),
            (self.server_prepared_statements, "server_prepared_statements"),
            (self.client_prepared_statements, "client_prepared_statements"),
        ] {
            check(value > 0, &format!("{name} must be at least 1"));
        }
        check((50..=1000).contains(&self.follow_interval_ms), "follow_interval_ms must be 50 to 1000");
        check(self.max_statement_bytes >= 1024, "max_statement_bytes must be at least 1024");
        errors
    }
}
