//! The control plane's settings: the table `[control_plane]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use palisade_catalog::tls::ServerTls;
use serde::{Deserialize, Serialize};

/// Most consoles of proxies.
const CONSOLES: usize = 32;

/// `[control_plane]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlPlaneConfig {
    /// Address of the API and the UI. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Address for Prometheus (`/metrics`, without a token). Default: none, no metrics are served.
    pub metrics_listen: Option<SocketAddr>,
    /// Connection string of the database that holds Palisade's tables and the tenants. Required.
    pub database_url: String,
    /// How connections to the database are encrypted, in libpq's words: `disable`, `prefer`, `require`, `verify-ca`,
    /// `verify-full`. Default `prefer`.
    pub server_tls: ServerTls,
    /// File with the certificate authorities (PEM), for `verify-ca` and `verify-full`.
    pub server_tls_ca_file: PathBuf,
    /// File with the master key (64 hexadecimal digits). Required.
    pub master_key_file: PathBuf,
    /// Host and port of the proxy as clients reach it; stands in connection strings. Default `127.0.0.1:6432`.
    pub proxy_address: String,
    /// Host and port of a proxy that new tenants are verified through before they are opened. Without it that step
    /// is recorded as skipped. Default: none; `palisade up` sets its own proxy.
    pub verify_through: Option<String>,
    /// Longest wait until that proxy lets a new tenant in, in milliseconds; then the tenant is removed. Default 5000.
    pub verify_timeout_ms: u32,
    /// Admin consoles of the proxies, `host:port` each, for the sessions and pools of a tenant. Default: none; `palisade up`
    /// sets its own proxy's.
    pub consoles: Vec<String>,
    /// File with the consoles' password. Required where there are any.
    pub console_password_file: Option<PathBuf>,
    /// Longest attack of a leak test that is started through the API, in seconds; 0: none may be started. Default 600.
    pub isolation_seconds: u32,
    /// Schemas that every tenant may use by name: `explain` judges as a proxy with these `shared_schemas`. Default: those
    /// of `[proxy]` in the same file, else none.
    pub shared_schemas: Vec<String>,
    /// Folder with the tenants' template (`V1__init.sql` …). Default: the example template of this binary.
    pub template_dir: Option<PathBuf>,
    /// Folder with `pg_dump` and `psql`, for exports and clones. Default: none, they are looked for in PATH.
    pub tools_dir: Option<PathBuf>,
    /// Name of the template. Default `default`.
    pub template_name: String,
    /// Whether the raw catalogs of the database are taken from PUBLIC, so that code that no reader sees into meets the
    /// filtered ones only. Roles of your own that need them: grant them `pg_read_all_data`. Default `true`.
    pub hide_catalogs: bool,
    /// Most connections to the database. Default 8.
    pub pool_size: usize,
    /// Longest statement of the control plane, in milliseconds. Default 30000.
    pub statement_timeout_ms: u32,
    /// Most connections of each of a tenant's login roles, as PostgreSQL counts them. Default 100.
    pub role_connection_limit: u32,
    /// How many tenants of the configured template are kept built and verified, to be taken at once. Default 0.
    pub warm_pool_size: u32,
    /// Most tenants of this cluster, deleted ones that wait for their purge included; 0 is without end. Default 0.
    pub max_tenants: u32,
    /// How long a deleted tenant's data stays, in hours. Default 720 (30 days).
    pub retention_hours: u32,
    /// How long audit events of class A stay, in days from the end of the month in which they came; 0 is for ever. Default 0.
    pub audit_days_a: u32,
    /// The same for class B. Default 0.
    pub audit_days_b: u32,
    /// The same for class C. Default 0.
    pub audit_days_c: u32,
    /// Whether the audit trail is written to standard output too, a line of JSON for each event. Default `false`.
    pub audit_stdout: bool,
    /// File that the audit trail is written to, too. It is opened anew for each batch. Default: none.
    pub audit_file: Option<PathBuf>,
    /// Syslog server (RFC 5424) for the audit trail: `udp://host:port`, `tcp://host:port` or `unix:///dev/log`. Default: none.
    pub audit_syslog: Option<String>,
    /// OpenTelemetry collector for the audit trail: the URL of its logs, such as `http://collector:4318/v1/logs`. Default: none.
    pub audit_otlp: Option<String>,
    /// Longest wait of a template step for the tenant's locks, in milliseconds. Default 2000.
    pub migration_lock_timeout_ms: u32,
    /// Longest statement of a template step, in milliseconds. Default 300000.
    pub migration_statement_timeout_ms: u32,
    /// Most requests of one caller a second; five seconds' worth may come at once. Default 200.
    pub requests_per_second: u32,
    /// Longest life of the admin UI's session, in hours; it never outlives its token. Default 12.
    pub session_hours: u32,
    /// Actions that a second person must approve, as method and endpoint: `DELETE /tenants/{id}`. Default: none.
    pub second_person: Vec<String>,
    /// Signing in to the UI: `[control_plane.oidc]`. Default: none.
    pub oidc: Option<OidcConfig>,
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
    /// File with a secret for HS256, 32 bytes or more. For development: refused unless `listen` is on loopback.
    pub development_secret_file: Option<PathBuf>,
    /// How far clocks may differ, in seconds. Default 30.
    pub leeway_seconds: u64,
}

/// `[control_plane.oidc]`: signing in to the UI by OpenID Connect (authorization code with PKCE).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// The provider, `https://…` (`http://` on loopback only). Required.
    pub issuer: String,
    /// Our id at the provider. Required.
    pub client_id: String,
    /// File with our secret at the provider. Default: none, a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Where the provider sends the browser back to: this control plane's `/auth/callback`. Required.
    pub redirect_url: String,
    /// What the provider is asked for. Default `openid`, `profile`.
    pub scopes: Vec<String>,
    /// The claim that stands in the audit trail. Default `sub`.
    pub subject_claim: String,
    /// The claim that lists roles or groups. Default `roles`.
    pub roles_claim: String,
    /// Which role each of that claim's words means. Default: none, the words are roles.
    pub role_map: std::collections::BTreeMap<String, String>,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret_file: None,
            redirect_url: String::new(),
            scopes: vec!["openid".into(), "profile".into()],
            subject_claim: "sub".into(),
            roles_claim: "roles".into(),
            role_map: std::collections::BTreeMap::new(),
        }
    }
}

impl Default for ControlPlaneConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics_listen: None,
            database_url: String::new(),
            server_tls: ServerTls::default(),
            server_tls_ca_file: PathBuf::new(),
            master_key_file: PathBuf::new(),
            proxy_address: "127.0.0.1:6432".into(),
            verify_through: None,
            verify_timeout_ms: 5_000,
            consoles: Vec::new(),
            console_password_file: None,
            isolation_seconds: 600,
            shared_schemas: Vec::new(),
            template_dir: None,
            tools_dir: None,
            template_name: "default".into(),
            hide_catalogs: true,
            pool_size: 8,
            statement_timeout_ms: 30_000,
            role_connection_limit: 100,
            warm_pool_size: 0,
            max_tenants: 0,
            retention_hours: 720,
            audit_days_a: 0,
            audit_days_b: 0,
            audit_days_c: 0,
            audit_stdout: false,
            audit_file: None,
            audit_syslog: None,
            audit_otlp: None,
            migration_lock_timeout_ms: 2_000,
            migration_statement_timeout_ms: 300_000,
            requests_per_second: 200,
            session_hours: 12,
            second_person: Vec::new(),
            oidc: None,
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
            public_key_file: None,
            jwks_file: None,
            jwks_url: None,
            jwks_refresh_seconds: 300,
            development_secret_file: None,
            leeway_seconds: 30,
        }
    }
}

impl ControlPlaneConfig {
    /// Whether cookies are for TLS only: always, but on loopback.
    pub(crate) fn secure_cookies(&self) -> bool {
        !self.listen.ip().is_loopback()
    }

    /// How many days audit events of a class stay; 0 is for ever.
    pub(crate) fn audit_days(&self, class: &str) -> u32 {
        match class {
            "A" => self.audit_days_a,
            "B" => self.audit_days_b,
            _ => self.audit_days_c,
        }
    }

    /// Every error in the settings, a sentence each.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        errors.extend(crate::forward::Sink::all(self).err().map(|text| format!("[control_plane] {text}")));
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
            self.metrics_listen != Some(self.listen),
            "metrics_listen must differ from listen: metrics ask for no token",
        );
        check(
            !self.master_key_file.as_os_str().is_empty(),
            "master_key_file must name a file; `palisade keys master FILE` makes one",
        );
        for text in self.auth.errors(self.listen.ip().is_loopback()) {
            check(false, text);
        }
        for action in &self.second_person {
            let known = crate::http::known_endpoint(action);
            check(
                known,
                &format!(
                    "second_person: \"{action}\" must be a method and an endpoint that change something, such as DELETE /tenants/{{id}}"
                ),
            );
        }
        if let Some(oidc) = &self.oidc {
            check(good_url(&oidc.issuer), "oidc.issuer must begin with https:// (http:// on loopback only)");
            check(!oidc.client_id.is_empty(), "oidc.client_id is required");
            check(
                oidc.redirect_url.ends_with("/auth/callback"),
                "oidc.redirect_url must end with /auth/callback",
            );
        }
        check(
            (1..=1_000_000).contains(&self.requests_per_second),
            "requests_per_second must be 1 to 1000000",
        );
        check((1..=720).contains(&self.session_hours), "session_hours must be 1 to 720");
        check((1..=1000).contains(&self.pool_size), "pool_size must be 1 to 1000");
        check(self.role_connection_limit > 0, "role_connection_limit must be at least 1");
        check(self.proxy_address.rsplit_once(':').is_some(), "proxy_address must be host:port");
        check(
            self.verify_through.as_deref().is_none_or(is_address),
            "verify_through must be host:port of a proxy",
        );
        check(
            self.consoles.len() <= CONSOLES && self.consoles.iter().all(|console| is_address(console)),
            "consoles must be host:port of proxies' admin consoles, at most 32",
        );
        check(
            self.consoles.is_empty() || self.console_password_file.is_some(),
            "console_password_file must name a file where there are consoles",
        );
        check(self.isolation_seconds <= 3_600, "isolation_seconds must be at most 3600 (an hour)");
        check(self.warm_pool_size <= 1_000, "warm_pool_size must be at most 1000");
        check(self.retention_hours <= 87_600, "retention_hours must be at most 87600 (10 years)");
        check(
            (1..=60_000).contains(&self.migration_lock_timeout_ms),
            "migration_lock_timeout_ms must be 1 to 60000",
        );
        check(self.migration_statement_timeout_ms > 0, "migration_statement_timeout_ms must be at least 1");
        check((100..=20_000).contains(&self.verify_timeout_ms), "verify_timeout_ms must be 100 to 20000");
        errors
    }
}

impl AuthConfig {
    fn errors(&self, on_loopback: bool) -> Vec<&'static str> {
        let secret = self.development_secret_file.is_some();
        let any =
            self.public_key_file.is_some() || self.jwks_file.is_some() || self.jwks_url.is_some() || secret;
        let url = self.jwks_url.as_deref();
        [
            (any, "auth.public_key_file must name a PEM file; `palisade keys jwt FILE` makes one (or set jwks_file, jwks_url)"),
            (matches!(self.algorithm.as_str(), "EdDSA" | "ES256" | "RS256"), "auth.algorithm must be EdDSA, ES256 or RS256"),
            (self.jwks_file.is_none() || url.is_none(), "auth.jwks_file and auth.jwks_url exclude each other"),
            (url.is_none_or(good_url), "auth.jwks_url must begin with https:// (http:// on loopback only)"),
            ((1..=86_400).contains(&self.jwks_refresh_seconds), "auth.jwks_refresh_seconds must be 1 to 86400"),
            (!secret || on_loopback, "auth.development_secret_file is for development: listen must be on loopback"),
        ]
        .into_iter()
        .filter_map(|(good, text)| (!good).then_some(text))
        .collect()
    }
}

/// Keys come over TLS, or not over a network at all.
pub(crate) fn good_url(url: &str) -> bool {
    url.starts_with("https://")
        || ["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|local| {
            url.strip_prefix(local).is_some_and(|rest| rest.starts_with(':') || rest.starts_with('/'))
        })
}

/// Whether a text is `host:port`.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_said() {
        let base = ControlPlaneConfig {
            database_url: "postgres://a@b/c".into(),
            master_key_file: "k".into(),
            ..ControlPlaneConfig::default()
        };
        let with = |change: &dyn Fn(&mut ControlPlaneConfig)| {
            let mut config = base.clone();
            config.auth.public_key_file = Some("p".into());
            change(&mut config);
            config.errors().join("\n")
        };
        assert_eq!(with(&|_| ()), "");
        assert!(with(&|c| c.auth.public_key_file = None).contains("public_key_file"));
        assert!(with(&|c| c.verify_through = Some("x".into())).contains("verify_through"));
        assert!(with(&|c| c.metrics_listen = Some(c.listen)).contains("metrics_listen"));
        for (url, good) in [
            ("https://id.example/keys", true),
            ("http://127.0.0.1:9/keys", true),
            ("http://id.example/keys", false),
            ("http://127.0.0.1.evil.example/keys", false),
        ] {
            assert_eq!(with(&|c| c.auth.jwks_url = Some(url.into())).is_empty(), good, "{url}");
        }
        let development = |c: &mut ControlPlaneConfig| {
            c.auth.development_secret_file = Some("s".into());
            c.listen = ([0, 0, 0, 0], 1).into();
        };
        assert!(with(&development).contains("development"));
    }
}
