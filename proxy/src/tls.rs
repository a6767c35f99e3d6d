//! TLS to clients: after an SSLRequest, or at once (ALPN `postgresql`, as PostgreSQL 17's `sslnegotiation=direct`).
//!
//! Nothing is read beyond a packet before the handshake, so bytes that were stuffed in front of it end up in the
//! handshake, which fails (the class of CVE-2021-23222).

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use palisade_wire::scram::Authenticator;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::Shared;
use crate::config::{ClientCertificates, ProxyConfig, TlsMode, TlsVersion};
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
    /// The authorities of clients' certificates cannot be used.
    #[error("{0}: {1}")]
    Authorities(String, String),
}

/// What a handshake needs, and the logins that are tied to its certificate.
struct Offer {
    config: Arc<ServerConfig>,
    scram: Arc<Authenticator>,
}

/// TLS as it is offered now.
pub(crate) struct Tls {
    current: ArcSwap<Offer>,
    /// Whether a client without TLS is refused.
    pub(crate) required: bool,
}

impl Tls {
    /// Reads certificate and key; `None` where TLS is off.
    pub(crate) fn load(config: &ProxyConfig) -> Result<Option<Self>, TlsError> {
        if config.tls == TlsMode::Off {
            return Ok(None);
        }
        let current = ArcSwap::from_pointee(offer(config)?);
        Ok(Some(Self { current, required: config.tls == TlsMode::Require }))
    }

    /// Takes a new certificate in whenever its file has changed, for ever. One that cannot be used is logged; the old
    /// one stays.
    pub(crate) async fn follow(&self, config: &ProxyConfig) {
        let mut seen = changed(config);
        loop {
            tokio::time::sleep(RELOAD).await;
            let now = changed(config);
            if now == seen {
                continue;
            }
            seen = now;
            match offer(config) {
                Ok(new) => {
                    self.current.store(Arc::new(new));
                    tracing::info!("the TLS certificate was taken in anew");
                }
                Err(error) => {
                    tracing::error!(%error, "the new TLS certificate cannot be used; the old one stays")
                }
            }
        }
    }
}

fn changed(config: &ProxyConfig) -> [Option<SystemTime>; 3] {
    [&config.tls_cert_file, &config.tls_key_file, &config.tls_client_ca_file]
        .map(|file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok())
}

fn offer(config: &ProxyConfig) -> Result<Offer, TlsError> {
    let (cert, key) = (&config.tls_cert_file, &config.tls_key_file);
    let named = |file: &Path| {
        let name = file.display().to_string();
        move |error| TlsError::File(name, error)
    };
    let certs = CertificateDer::pem_file_iter(cert).map_err(named(cert))?;
    let certs = certs.collect::<Result<Vec<_>, _>>().map_err(named(cert))?;
    let pem = std::fs::read(cert)
        .map_err(|e| TlsError::File(cert.display().to_string(), rustls::pki_types::pem::Error::Io(e)))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(named(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match config.tls_min_version {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder = match config.tls_client_certificates {
        ClientCertificates::Ignore => builder.with_no_client_auth(),
        wanted => {
            let file = &config.tls_client_ca_file;
            let bad =
                |e: &dyn std::fmt::Display| TlsError::Authorities(file.display().to_string(), e.to_string());
            let roots = std::fs::read(file).map_err(|e| bad(&e))?;
            let roots = palisade_catalog::tls::roots(&roots).map_err(|e| bad(&e))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match wanted {
                ClientCertificates::Require => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| bad(&e))?)
        }
    };
    let mut server = builder.with_single_cert(certs, key)?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Offer { config: Arc::new(server), scram: Arc::new(Authenticator::bound(&pem)) })
}

/// A connection that has got as far as its first packet, and how its login is proven.
pub(crate) struct Opened {
    pub(crate) stream: Stream,
    pub(crate) scram: Arc<Authenticator>,
}

impl Opened {
    fn plain(tcp: TcpStream) -> Self {
        Self { stream: Stream::Plain(tcp), scram: Arc::default() }
    }
}

async fn accept(offer: &Offer, tcp: TcpStream) -> Option<Opened> {
    let stream = TlsAcceptor::from(offer.config.clone()).accept(tcp).await.ok()?;
    Some(Opened { stream: Stream::tls(stream.into()), scram: offer.scram.clone() })
}

/// A client that begins with a handshake is taken at its word; it must name the protocol.
pub(crate) async fn direct(shared: &Shared, tcp: TcpStream) -> Option<Opened> {
    /// The first byte of a TLS handshake record; a startup packet's length never begins so.
    const HANDSHAKE: u8 = 0x16;
    let Some(tls) = &shared.tls else { return Some(Opened::plain(tcp)) };
    let mut byte = [0];
    if tcp.peek(&mut byte).await.ok()? == 0 {
        return None;
    }
    if byte[0] != HANDSHAKE {
        return Some(Opened::plain(tcp));
    }
    let opened = accept(&tls.current.load_full(), tcp).await?;
    match &opened.stream {
        Stream::Tls(tls) if tls.get_ref().1.alpn_protocol() == Some(ALPN) => Some(opened),
        _ => None,
    }
}

/// The answer to an SSLRequest.
pub(crate) async fn answer(shared: &Shared, opened: Opened) -> Option<Opened> {
    match (opened.stream, &shared.tls) {
        (Stream::Plain(mut tcp), Some(tls)) => {
            tcp.write_all(b"S").await.ok()?;
            accept(&tls.current.load_full(), tcp).await
        }
        (mut stream, _) => {
            stream.write_all(b"N").await.ok()?;
            Some(Opened { stream, scram: opened.scram })
        }
    }
}
