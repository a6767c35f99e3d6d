//! The proxy's settings: the table `[proxy]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use palisade_catalog::tls::ServerTls;
use serde::{Deserialize, Serialize};

/// Most threads that serve clients.
const MOST_THREADS: usize = 256;

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

/// The oldest version of TLS that clients may speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Whether clients show certificates of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    Ignore,
    /// One that is shown must be good.
    Optional,
    /// A client without a good one is refused.
    Require,
}

/// Which permitted statements are audit events of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditStatements {
    /// Definitions only.
    #[default]
    None,
    /// Those that write rows, too.
    Writes,
    /// All.
    All,
}

impl AuditStatements {
    /// Whether anybody wants to know where a statement's time goes.
    pub(crate) fn is_timed(self) -> bool {
        self != Self::None
    }
}

/// How the threads that serve clients are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadUse {
    /// As few as carry the load: the least CPU time.
    #[default]
    Gather,
    /// All of them, with as many clients each.
    Spread,
}

/// What happens to a permitted statement whose event finds the spool full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Its session ends.
    #[default]
    Refuse,
    /// It waits.
    Wait,
}

/// `[proxy.jwt]`: JSON Web Tokens in a password's place.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JwtConfig {
    /// The issuer that tokens must name. Empty: no token is accepted. Default empty.
    pub issuer: String,
    /// The audience that tokens must name. Default `palisade`.
    pub audience: String,
    /// The claim that names the tenant, by slug or id. Default `tenant`.
    pub tenant_claim: String,
    /// The claim that names the login within the tenant: a text, or a list of them. Default `login`.
    pub login_claim: String,
    /// The algorithm of `public_key_file`: `EdDSA`, `ES256` or `RS256`. Default `EdDSA`.
    pub algorithm: String,
    /// File with a public key (PEM). Good for tokens without a key id.
    pub public_key_file: Option<PathBuf>,
    /// File with a key set (JWKS). Good for tokens with a key id.
    pub jwks_file: Option<PathBuf>,
    /// Address of a key set (JWKS), `https://…`; `http://` on loopback only.
    pub jwks_url: Option<String>,
    /// How often the key set is read again, in seconds; a token with an unknown key id asks sooner. Default 300.
    pub jwks_refresh_seconds: u64,
    /// How far clocks may differ, in seconds. Default 30.
    pub leeway_seconds: u64,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: "palisade".into(),
            tenant_claim: "tenant".into(),
            login_claim: "login".into(),
            algorithm: "EdDSA".into(),
            public_key_file: None,
            jwks_file: None,
            jwks_url: None,
            jwks_refresh_seconds: 300,
            leeway_seconds: 30,
        }
    }
}

impl JwtConfig {
    /// Whether tokens are accepted at all.
    #[must_use]
    pub fn enabled(&self) -> bool {
        !self.issuer.is_empty()
    }

    fn errors(&self) -> Vec<String> {
        if !self.enabled() {
            return Vec::new();
        }
        let mut errors = Vec::new();
        let mut check = |good: bool, text: &str| {
            if !good {
                errors.push(format!("[proxy.jwt] {text}"));
            }
        };
        let sources = [self.public_key_file.is_some(), self.jwks_file.is_some(), self.jwks_url.is_some()];
        check(sources.contains(&true), "public_key_file, jwks_file or jwks_url must be set where issuer is");
        check(
            matches!(self.algorithm.as_str(), "EdDSA" | "ES256" | "RS256"),
            "algorithm must be EdDSA, ES256 or RS256",
        );
        let url = self.jwks_url.as_deref().unwrap_or("https://");
        let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
        check(
            url.starts_with("https://") || local.iter().any(|local| url.starts_with(local)),
            "jwks_url must begin with https:// (http:// on loopback only)",
        );
        check(self.jwks_refresh_seconds > 0, "jwks_refresh_seconds must be at least 1");
        errors
    }
}

/// Another proxy of the same installation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its `peer_id`.
    pub id: u8,
    /// Its address for clients, host and port.
    pub address: String,
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
    /// The oldest version of TLS that clients may speak: `1.2` or `1.3`. Default `1.2`.
    pub tls_min_version: TlsVersion,
    /// Whether clients show certificates of their own: `ignore`, `optional` or `require`. Default `ignore`.
    pub tls_client_certificates: ClientCertificates,
    /// File with the certificate authorities (PEM) that may sign clients' certificates. Needed unless
    /// `tls_client_certificates` is `ignore`.
    pub tls_client_ca_file: PathBuf,
    /// JSON Web Tokens in a password's place. Default: none is accepted.
    pub jwt: JwtConfig,
    /// Most failed logins of one address in a minute (of one /64 in IPv6); 0 is no limit. Default 100.
    pub failed_logins_per_address: u32,
    /// Most failed logins of one tenant in a minute, from addresses that have not logged in to it; 0 is no limit.
    /// Default 1000.
    pub failed_logins_per_tenant: u32,
    /// Addresses whose failed logins are not limited: those of the control plane, which asks for new tenants before they
    /// are known. Default loopback.
    pub failed_logins_exempt: Vec<IpAddr>,
    /// This proxy's number among several behind one address, 0 to 127, for cancels. Default 0.
    pub peer_id: u8,
    /// The other proxies: a cancel that reaches the wrong one is handed to the one that knows its key. Default none.
    pub peers: Vec<Peer>,
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
    /// Whether permitted statements are counted by shape and put into the audit trail every minute. Default `true`.
    pub audit_counts: bool,
    /// Which permitted statements are put into the audit trail one by one, beside definitions: `none`, `writes` or `all`.
    /// Default `none`.
    pub audit_statements: AuditStatements,
    /// What happens to a statement that is permitted and whose event finds the spool full: it is `refuse`d with its session,
    /// or it `wait`s. Default `refuse`.
    pub audit_when_full: WhenFull,
    /// Most bytes of this process's part of the spool. At it whatever must be on record is refused (SQLSTATE 53100).
    /// Default 1073741824, at least 67108864.
    pub spool_max_bytes: u64,
    /// Socket over which a new process takes the listeners over (`palisade proxy --upgrade`).
    /// Default `/tmp/palisade-upgrade.sock`.
    pub upgrade_socket: PathBuf,
    /// Threads that serve clients, each with an event loop; 0: one for each core. Default 0.
    pub threads: usize,
    /// How they are used: `gather` clients on as few as carry the load, or `spread` them over all. Default `gather`.
    pub thread_use: ThreadUse,
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
    /// Longest time that a client may say nothing between transactions, in milliseconds, for tenants that have no limit of
    /// their own; 0 is without end. Default 0.
    pub client_idle_timeout_ms: u64,
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
            tls_min_version: TlsVersion::default(),
            tls_client_certificates: ClientCertificates::default(),
            tls_client_ca_file: PathBuf::new(),
            jwt: JwtConfig::default(),
            failed_logins_per_address: 100,
            failed_logins_per_tenant: 1_000,
            failed_logins_exempt: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            peer_id: 0,
            peers: Vec::new(),
            server: String::new(),
            server_tls: ServerTls::default(),
            server_tls_ca_file: PathBuf::new(),
            database: "palisade".into(),
            master_key_file: PathBuf::new(),
            snapshot_file: PathBuf::new(),
            spool_dir: PathBuf::new(),
            audit_counts: true,
            audit_statements: AuditStatements::default(),
            audit_when_full: WhenFull::default(),
            spool_max_bytes: 1 << 30,
            upgrade_socket: "/tmp/palisade-upgrade.sock".into(),
            threads: 0,
            thread_use: ThreadUse::default(),
            shared_schemas: Vec::new(),
            max_client_connections: 10_000,
            tenant_client_connections: 1_000,
            pool_size: 10,
            max_server_connections: 80,
            query_queue_clients: 1_000,
            query_wait_timeout_ms: 120_000,
            client_idle_timeout_ms: 0,
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
    /// Host and port of PostgreSQL. The brackets of an IPv6 address are taken off.
    #[must_use]
    pub fn server_address(&self) -> (&str, u16) {
        let (host, port) = self.server.rsplit_once(':').unwrap_or((&self.server, ""));
        (host.trim_start_matches('[').trim_end_matches(']'), port.parse().unwrap_or(5432))
    }

    /// Whether a setting takes effect only at a start.
    #[must_use]
    pub fn needs_restart(key: &str) -> bool {
        const FIXED: [&str; 23] = [
            "listen",
            "admin_listen",
            "admin_password_file",
            "metrics_listen",
            "tls",
            "tls_cert_file",
            "tls_key_file",
            "tls_min_version",
            "tls_client_certificates",
            "tls_client_ca_file",
            "jwt",
            "peer_id",
            "server",
            "server_tls",
            "server_tls_ca_file",
            "database",
            "master_key_file",
            "snapshot_file",
            "spool_dir",
            "spool_max_bytes",
            "upgrade_socket",
            "threads",
            "server_connect_timeout_ms",
        ];
        FIXED.contains(&key)
    }

    /// The settings that differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let fields = |config: &Self| serde_json::to_value(config).unwrap_or_default();
        let (here, there) = (fields(self), fields(other));
        let fields = here.as_object().into_iter().flatten();
        fields.filter(|(key, value)| there.get(*key) != Some(value)).map(|(key, _)| key.clone()).collect()
    }

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
            self.tls_client_certificates == ClientCertificates::Ignore
                || (self.tls != TlsMode::Off && !self.tls_client_ca_file.as_os_str().is_empty()),
            "tls_client_ca_file must name a file, and tls not be off, unless tls_client_certificates is ignore",
        );
        let mut ids: Vec<u8> = self.peers.iter().map(|peer| peer.id).chain([self.peer_id]).collect();
        ids.sort_unstable();
        ids.dedup();
        check(
            ids.len() == self.peers.len() + 1 && ids.last().is_some_and(|id| *id < 128),
            "peer_id and the ids of peers must differ and be 0 to 127",
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
        check(self.threads <= MOST_THREADS, "threads must be at most 256");
        check((50..=1000).contains(&self.follow_interval_ms), "follow_interval_ms must be 50 to 1000");
        check(
            self.spool_max_bytes >= crate::audit::LEAST_SPOOL_BYTES,
            "spool_max_bytes must be at least 67108864",
        );
        check(self.max_statement_bytes >= 1024, "max_statement_bytes must be at least 1024");
        errors.extend(self.jwt.errors());
        errors
    }
}
