//! The way to PostgreSQL: where it is, how it is spoken to, and when it is tried again after it has failed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_catalog::tls::{self, ServerTls, ServerTlsError};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::TlsConnector;

use crate::config::ProxyConfig;
use crate::server::ServerError;
use crate::stream::Stream;

/// SSLRequest, <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// First wait after a failure.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait after many failures.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why the way to the server cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The file of authorities cannot be read.
    #[error("[proxy] server_tls_ca_file {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// It holds nothing to verify with.
    #[error("[proxy] server_tls_ca_file: {0}")]
    Tls(#[from] ServerTlsError),
    /// The host cannot stand in a certificate.
    #[error("[proxy] server: the host is neither a name nor an address: {0}")]
    Host(#[from] InvalidDnsNameError),
}

/// The way to one PostgreSQL server.
pub(crate) struct Upstream {
    /// Host and port.
    address: String,
    host: String,
    port: u16,
    mode: ServerTls,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    timeout: Duration,
    backoff: Mutex<Backoff>,
}

impl Upstream {
    /// Reads the file of authorities where the mode needs it.
    pub(crate) fn new(config: &ProxyConfig) -> Result<Self, UpstreamError> {
        let (host, port) = config.server_address();
        let file = &config.server_tls_ca_file;
        let authorities = if config.server_tls.verifies() {
            std::fs::read(file).map_err(|e| UpstreamError::File(file.clone(), e))?
        } else {
            Vec::new()
        };
        let tls = match tls::client_config(config.server_tls, &authorities)? {
            Some(client) => Some((client, ServerName::try_from(host.to_owned())?)),
            None => None,
        };
        Ok(Self {
            address: config.server.clone(),
            host: host.to_owned(),
            port,
            mode: config.server_tls,
            tls,
            timeout: Duration::from_millis(config.server_connect_timeout_ms),
            backoff: Mutex::default(),
        })
    }

    /// Connects and encrypts. A server that has just failed is not asked again at once.
    pub(crate) async fn dial(&self) -> Result<Stream, ServerError> {
        if !self.backoff.lock().may_try(Instant::now(), self.timeout) {
            return Err(ServerError::Down);
        }
        let dialled = match tokio::time::timeout(self.timeout, self.stream()).await {
            Ok(result) => result,
            Err(_) => Err(ServerError::Timeout),
        };
        let mut backoff = self.backoff.lock();
        match &dialled {
            Ok(_) => backoff.succeeded(),
            Err(_) => backoff.failed(Instant::now()),
        }
        dialled
    }

    /// Connects and encrypts, without regard to earlier failures.
    pub(crate) async fn stream(&self) -> Result<Stream, ServerError> {
        let mut tcp = TcpStream::connect(&self.address).await?;
        tcp.set_nodelay(true)?;
        let Some((client, name)) = &self.tls else { return Ok(Stream::Plain(tcp)) };
        tcp.write_all(&SSL_REQUEST).await?;
        // One byte and no more: what an attacker stuffs behind it ends up in the handshake, which fails.
        match tcp.read_u8().await? {
            b'S' => {
                let connector = TlsConnector::from(client.clone());
                let stream = connector.connect(name.clone(), tcp).await?;
                Ok(Stream::tls(stream.into()))
            }
            b'N' if !self.mode.required() => Ok(Stream::Plain(tcp)),
            b'N' => Err(ServerError::Unencrypted),
            _ => Err(ServerError::Protocol),
        }
    }

    /// The configuration of a tokio-postgres connection there, and its TLS.
    pub(crate) fn library(&self) -> (tokio_postgres::Config, Option<MakeRustlsConnect>) {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).connect_timeout(self.timeout).ssl_mode(match self.mode {
            ServerTls::Disable => SslMode::Disable,
            ServerTls::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        (config, self.tls.as_ref().map(|(client, _)| MakeRustlsConnect::new(ClientConfig::clone(client))))
    }
}

/// When a server that has failed is tried again. Until then statements fail at once; one try at a time finds out.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Whether a connection may be tried now. The one that may is given `patience`; the others wait for its outcome.
    fn may_try(&mut self, now: Instant, patience: Duration) -> bool {
        match self.until {
            Some(until) if now < until => false,
            Some(_) => {
                self.until = Some(now + patience);
                true
            }
            None => true,
        }
    }

    fn failed(&mut self, now: Instant) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait);
    }

    fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_failed_is_tried_by_one_at_a_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let patience = Duration::from_secs(5);
        let mut backoff = Backoff::default();
        assert!(backoff.may_try(at(0), patience) && backoff.may_try(at(0), patience));
        backoff.failed(at(0));
        assert!(!backoff.may_try(at(49), patience));
        assert!(backoff.may_try(at(50), patience), "the first wait is over");
        assert!(!backoff.may_try(at(51), patience), "one is on its way");
        backoff.failed(at(60));
        assert!(!backoff.may_try(at(159), patience), "the wait doubles");
        assert!(backoff.may_try(at(160), patience));
        for _ in 0..40 {
            backoff.failed(at(200));
        }
        assert!(!backoff.may_try(at(2_199), patience) && backoff.may_try(at(2_200), patience));
        backoff.succeeded();
        assert!(backoff.may_try(at(2_201), patience) && backoff.may_try(at(2_201), patience));
    }
}
