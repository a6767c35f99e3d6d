//! TLS to clients: after an SSLRequest, or at once (ALPN `postgresql`, as PostgreSQL 17's `sslnegotiation=direct`).
//!
//! Nothing is read beyond a packet before the handshake, so bytes that were stuffed in front of it end up in the
//! handshake, which fails (the class of CVE-2021-23222).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::Shared;
use crate::config::{ProxyConfig, TlsMode};
use crate::stream::Stream;

/// The protocol's name in ALPN.
const ALPN: &[u8] = b"postgresql";
/// How often the certificate's file is looked at.
const RELOAD: Duration = Duration::from_secs(10);

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no certificate or key.
    #[error("{0}: {1}")]
    File(String, rustls::pki_types::pem::Error),
    /// Certificate and key do not fit together, or are not supported.
    #[error("the certificate and its key: {0}")]
    Pair(#[from] rustls::Error),
}

/// TLS as it is offered now.
pub(crate) struct Tls {
    current: ArcSwap<ServerConfig>,
    /// Whether a client without TLS is refused.
    pub(crate) required: bool,
}

impl Tls {
    /// Reads certificate and key; `None` where TLS is off.
    pub(crate) fn load(config: &ProxyConfig) -> Result<Option<Self>, TlsError> {
        if config.tls == TlsMode::Off {
            return Ok(None);
        }
        let current = ArcSwap::from(server(&config.tls_cert_file, &config.tls_key_file)?);
        Ok(Some(Self { current, required: config.tls == TlsMode::Require }))
    }

    /// Takes a new certificate in whenever its file has changed, for ever. One that cannot be used is logged; the old
    /// one stays.
    pub(crate) async fn follow(&self, config: &ProxyConfig) {
        let mut seen = changed(&config.tls_cert_file);
        loop {
            tokio::time::sleep(RELOAD).await;
            let now = changed(&config.tls_cert_file);
            if now == seen {
                continue;
            }
            seen = now;
            match server(&config.tls_cert_file, &config.tls_key_file) {
                Ok(new) => {
                    self.current.store(new);
                    tracing::info!("the TLS certificate was taken in anew");
                }
                Err(error) => {
                    tracing::error!(%error, "the new TLS certificate cannot be used; the old one stays")
                }
            }
        }
    }
}

fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

fn server(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let named = |file: &Path| {
        let name = file.display().to_string();
        move |error| TlsError::File(name, error)
    };
    let certs = CertificateDer::pem_file_iter(cert).map_err(named(cert))?;
    let certs = certs.collect::<Result<Vec<_>, _>>().map_err(named(cert))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(named(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(certs, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

async fn accept(config: Arc<ServerConfig>, tcp: TcpStream) -> Option<Stream> {
    let stream = TlsAcceptor::from(config).accept(tcp).await.ok()?;
    Some(Stream::tls(stream.into()))
}

/// A client that begins with a handshake is taken at its word; it must name the protocol.
pub(crate) async fn direct(shared: &Shared, tcp: TcpStream) -> Option<Stream> {
    /// The first byte of a TLS handshake record; a startup packet's length never begins so.
    const HANDSHAKE: u8 = 0x16;
    let Some(tls) = &shared.tls else { return Some(Stream::Plain(tcp)) };
    let mut byte = [0];
    if tcp.peek(&mut byte).await.ok()? == 0 {
        return None;
    }
    if byte[0] != HANDSHAKE {
        return Some(Stream::Plain(tcp));
    }
    let stream = accept(tls.current.load_full(), tcp).await?;
    match &stream {
        Stream::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(ALPN) => Some(stream),
        _ => None,
    }
}

/// The answer to an SSLRequest.
pub(crate) async fn answer(shared: &Shared, stream: Stream) -> Option<Stream> {
    match (stream, &shared.tls) {
        (Stream::Plain(mut tcp), Some(tls)) => {
            tcp.write_all(b"S").await.ok()?;
            accept(tls.current.load_full(), tcp).await
        }
        (mut stream, _) => {
            stream.write_all(b"N").await.ok()?;
            Some(stream)
        }
    }
}
