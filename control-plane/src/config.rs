//! The control plane's settings: the table `[control_plane]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[control_plane]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlPlaneConfig {
    /// Address of the API and the UI. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Connection string of the database that holds Palisade's tables and the tenants. Required.
    pub database_url: String,
    /// File with the master key (64 hexadecimal digits). Required.
    pub master_key_file: PathBuf,
    /// Host and port of the proxy as clients reach it; stands in connection strings. Default `127.0.0.1:6432`.
    pub proxy_address: String,
    /// Host and port of a proxy that new tenants are verified through before they are opened. Without it that step
    /// is recorded as skipped. Default: none; `palisade up` sets its own proxy.
    pub verify_through: Option<String>,
    /// Longest wait until that proxy lets a new tenant in, in milliseconds; then the tenant is removed. Default 5000.
    pub verify_timeout_ms: u32,
    /// Folder with the tenants' template (`V1__init.sql` …). Default: the example template of this binary.
    pub template_dir: Option<PathBuf>,
    /// Name of the template. Default `default`.
    pub template_name: String,
    /// Most connections to the database. Default 8.
    pub pool_size: usize,
    /// Longest statement of the control plane, in milliseconds. Default 30000.
    pub statement_timeout_ms: u32,
    /// Most connections of each of a tenant's login roles, as PostgreSQL counts them. Default 100.
    pub role_connection_limit: u32,
    /// Who may use the API: `[control_plane.auth]`.
    pub auth: AuthConfig,
}

/// `[control_plane.auth]`: JSON Web Tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The issuer that tokens must name. Default `palisade`.
    pub issuer: String,
    /// The audience that tokens must name. Default `palisade-api`.
    pub audience: String,
    /// The algorithm of the key: `EdDSA`, `ES256` or `RS256`. Default `EdDSA`.
    pub algorithm: String,
    /// File with the public key (PEM). Required.
    pub public_key_file: PathBuf,
    /// How far clocks may differ, in seconds. Default 30.
    pub leeway_seconds: u64,
}

impl Default for ControlPlaneConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database_url: String::new(),
            master_key_file: PathBuf::new(),
            proxy_address: "127.0.0.1:6432".into(),
            verify_through: None,
            verify_timeout_ms: 5_000,
            template_dir: None,
            template_name: "default".into(),
            pool_size: 8,
            statement_timeout_ms: 30_000,
            role_connection_limit: 100,
            auth: AuthConfig::default(),
        }
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: "palisade".into(),
            audience: "palisade-api".into(),
            algorithm: "EdDSA".into(),
            public_key_file: PathBuf::new(),
            leeway_seconds: 30,
        }
    }
}

impl ControlPlaneConfig {
    /// Every error in the settings, a sentence each.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut check = |good: bool, text: &str| {
            if !good {
                errors.push(format!("[control_plane] {text}"));
            }
        };
        check(
            self.database_url.parse::<tokio_postgres::Config>().is_ok() && !self.database_url.is_empty(),
            "database_url must be a connection string such as postgres://user:password@host:5432/palisade",
        );
        check(
            !self.master_key_file.as_os_str().is_empty(),
            "master_key_file must name a file; `palisade keys master FILE` makes one",
        );
        check(
            !self.auth.public_key_file.as_os_str().is_empty(),
            "auth.public_key_file must name a PEM file; `palisade keys jwt FILE` makes one",
        );
        check(
            matches!(self.auth.algorithm.as_str(), "EdDSA" | "ES256" | "RS256"),
            "auth.algorithm must be EdDSA, ES256 or RS256",
        );
        check((1..=1000).contains(&self.pool_size), "pool_size must be 1 to 1000");
        check(self.role_connection_limit > 0, "role_connection_limit must be at least 1");
        check(self.proxy_address.rsplit_once(':').is_some(), "proxy_address must be host:port");
        check(
            self.verify_through.as_ref().is_none_or(|a| {
                a.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            }),
            "verify_through must be host:port of a proxy",
        );
        check((100..=20_000).contains(&self.verify_timeout_ms), "verify_timeout_ms must be 100 to 20000");
        errors
    }
}
