//! TLS to PostgreSQL: libpq's modes, and the channel binding of RFC 5929 (`tls-server-end-point`).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// How a connection to PostgreSQL is encrypted; the words and their meaning are libpq's `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerTls {
    /// Never.
    Disable,
    /// Where the server offers it; its certificate is not checked.
    #[default]
    Prefer,
    /// Always; the certificate is not checked.
    Require,
    /// Always; an authority of the file has signed the certificate.
    VerifyCa,
    /// Always; an authority of the file has signed the certificate, and it names the host.
    VerifyFull,
}

impl ServerTls {
    /// Whether a connection that is not encrypted is refused.
    #[must_use]
    pub fn required(self) -> bool {
        !matches!(self, Self::Disable | Self::Prefer)
    }

    /// Whether certificates are checked, which needs the authorities' file.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

/// Why no TLS can be spoken to the server.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The file of authorities holds none.
    #[error("the file of certificate authorities holds no certificate in PEM form: {0}")]
    Authorities(String),
    /// The library refuses.
    #[error("TLS to the server: {0}")]
    Library(String),
}

/// What TLS needs to know to speak to a server; `None` where it is never spoken. `authorities` is the text (PEM) of the
/// file of certificate authorities, read only by the modes that verify.
///
/// # Errors
/// [`ServerTlsError`]: no authority where one is needed.
pub fn client_config(
    mode: ServerTls,
    authorities: &[u8],
) -> Result<Option<Arc<ClientConfig>>, ServerTlsError> {
    if mode == ServerTls::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let library = |e: &dyn std::fmt::Display| ServerTlsError::Library(e.to_string());
    let verifier = if mode.verifies() {
        let roots = roots(authorities)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        Some(verifier.build().map_err(|e| library(&e))?)
    } else {
        None
    };
    let verifier = Verifier { mode, authorities: verifier, provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| library(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

/// The certificates of a PEM text.
///
/// # Errors
/// [`ServerTlsError::Authorities`]: there is none, or one cannot be used.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, ServerTlsError> {
    let error = |e: &dyn std::fmt::Display| ServerTlsError::Authorities(e.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|e| error(&e))?).map_err(|e| error(&e))?;
    }
    if roots.is_empty() {
        return Err(error(&"the file has none"));
    }
    Ok(roots)
}

/// Checks a server's certificate as far as the mode asks for it. The handshake's signature is always checked.
#[derive(Debug)]
struct Verifier {
    mode: ServerTls,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is checked before the name.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == ServerTls::VerifyCa => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The hash of a certificate (DER) that ties a SCRAM login to the TLS connection: `tls-server-end-point` of RFC 5929,
/// section 4.1. `None` where the certificate's signature has no single hash (Ed25519, RSA-PSS).
#[must_use]
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const SHA256: [&str; 4] = [
        // MD5 and SHA-1 with RSA stand for SHA-256; SHA-256 with RSA and with ECDSA.
        "1.2.840.113549.1.1.4",
        "1.2.840.113549.1.1.5",
        "1.2.840.113549.1.1.11",
        "1.2.840.10045.4.3.2",
    ];
    const SHA384: [&str; 2] = ["1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"];
    const SHA512: [&str; 2] = ["1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"];
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let signed_with = parsed.signature_algorithm.algorithm.to_id_string();
    let is = |known: &[&str]| known.contains(&signed_with.as_str());
    if is(&SHA256) {
        Some(Sha256::digest(certificate).to_vec())
    } else if is(&SHA384) {
        Some(Sha384::digest(certificate).to_vec())
    } else if is(&SHA512) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_need_what_they_say() {
        for (mode, pem, works) in [
            (ServerTls::Disable, "", true),
            (ServerTls::Prefer, "", true),
            (ServerTls::Require, "", true),
            (ServerTls::VerifyCa, "", false),
            (ServerTls::VerifyFull, "no certificate", false),
        ] {
            let config = client_config(mode, pem.as_bytes());
            assert_eq!(config.is_ok(), works, "{mode:?}");
            assert_eq!(config.is_ok_and(|c| c.is_some()), works && mode != ServerTls::Disable);
        }
        assert_eq!(serde_json::to_string(&ServerTls::VerifyFull).unwrap(), "\"verify-full\"");
    }

    #[test]
    fn the_end_point_is_the_hash_of_the_signature() {
        for (algorithm, bytes) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
            let certificate = certificate.self_signed(&key).unwrap();
            assert_eq!(end_point(certificate.der()).map(|hash| hash.len()), bytes);
        }
        assert_eq!(end_point(b"no certificate"), None);
    }
}
