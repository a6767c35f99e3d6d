//! The way to PostgreSQL: where it is, and how the connection is encrypted.

use std::path::PathBuf;

use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use palisade_catalog::tls::{self, ServerTls, ServerTlsError};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::ControlPlaneConfig;

/// Why the way to PostgreSQL cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Not a connection string.
    #[error("[control_plane] database_url: {0}")]
    Url(Error),
    /// The file of authorities cannot be read.
    #[error("[control_plane] server_tls_ca_file {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// No file where one is needed.
    #[error("[control_plane] server_tls_ca_file must name a file for server_tls verify-ca and verify-full")]
    NoFile,
    /// It holds nothing to verify with.
    #[error("[control_plane] server_tls_ca_file: {0}")]
    Tls(#[from] ServerTlsError),
}

/// The way to the database of `database_url`.
pub(crate) struct Postgres {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Postgres {
    /// Reads the connection string, and the file of authorities where the mode needs it. A connection string that
    /// demands encryption by `sslmode=require` is heeded.
    pub(crate) fn new(settings: &ControlPlaneConfig) -> Result<Self, PostgresError> {
        let mut config: Config = settings.database_url.parse().map_err(PostgresError::Url)?;
        let mode = settings.server_tls;
        let file = &settings.server_tls_ca_file;
        let authorities = match mode.verifies() {
            true if file.as_os_str().is_empty() => return Err(PostgresError::NoFile),
            true => std::fs::read(file).map_err(|e| PostgresError::File(file.clone(), e))?,
            false => Vec::new(),
        };
        let demanded = config.get_ssl_mode() == SslMode::Require;
        config.ssl_mode(match mode {
            ServerTls::Disable if !demanded => SslMode::Disable,
            ServerTls::Prefer if !demanded => SslMode::Prefer,
            _ => SslMode::Require,
        });
        // Where nothing is encrypted, what could be is never asked for.
        let known = if mode == ServerTls::Disable { ServerTls::Prefer } else { mode };
        let client = tls::client_config(known, &authorities)?
            .unwrap_or_else(|| unreachable!("only `disable` has none"));
        Ok(Self { config, tls: MakeRustlsConnect::new(ClientConfig::clone(&client)) })
    }

    /// The connection string's settings, to be changed for a session of one's own.
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Connects; the caller drives the connection.
    pub(crate) async fn connect(
        &self,
        config: &Config,
    ) -> Result<(Client, Connection<Socket, impl AsyncRead + AsyncWrite + Unpin + Send + use<>>), Error> {
        config.connect(self.tls.clone()).await
    }

    /// Connects; the connection lives as long as its client.
    pub(crate) async fn session(&self, config: &Config) -> Result<Client, Error> {
        let (client, connection) = self.connect(config).await?;
        tokio::spawn(async move {
            // How it ends, the last statement said.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// For the pool.
    pub(crate) fn manager(&self, config: Config) -> Manager {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        Manager::from_config(config, self.tls.clone(), recycling)
    }
}
