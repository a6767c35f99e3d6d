//! The keys that tokens are signed with: a PEM file, a JWKS file or URL with rotation, or a secret for development.
//! A key has one algorithm; what a token's header says is compared with it, never followed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::{Mutex, RwLock};

/// Longest JWKS document, in bytes.
const JWKS_BYTES: u64 = 256 << 10;
/// Most keys of one document.
const JWKS_KEYS: usize = 100;
/// Longest wait for a JWKS document.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// A token with an unknown key id asks for the document anew at most this often.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Shortest secret for HS256, in bytes.
const SECRET_BYTES: usize = 32;
/// Shortest RSA modulus, in bits.
const RSA_BITS: usize = 2_048;

/// Where keys come from. Without any, no token holds.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The algorithm of `public_key_file`: `EdDSA`, `ES256` or `RS256`.
    pub algorithm: String,
    /// A public key (PEM), for tokens without a key id.
    pub public_key_file: Option<PathBuf>,
    /// A key set (JWKS), for tokens with a key id.
    pub jwks_file: Option<PathBuf>,
    /// The address of a key set.
    pub jwks_url: Option<String>,
    /// A secret for HS256, 32 bytes or more. For development.
    pub development_secret_file: Option<PathBuf>,
}

/// One key.
#[derive(Clone)]
pub(crate) struct Key {
    id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

/// Where a JWKS document is.
enum Source {
    File(PathBuf),
    Url(String),
}

/// The keys that are good now.
pub(crate) struct Keys {
    fixed: Vec<Key>,
    source: Option<Source>,
    rotating: RwLock<Arc<Vec<Key>>>,
    asked: Mutex<Option<Instant>>,
}

impl Keys {
    /// Reads the files. A JWKS URL is asked later, so that a start does not need it.
    pub(crate) fn new(config: &Sources) -> Result<Self, String> {
        let mut fixed = Vec::new();
        if let Some(file) = &config.public_key_file {
            fixed.push(pem(file, &config.algorithm)?);
        }
        if let Some(file) = &config.development_secret_file {
            fixed.push(secret(file)?);
        }
        let source = match (&config.jwks_file, &config.jwks_url) {
            (Some(file), _) => Some(Source::File(file.clone())),
            (None, Some(url)) => Some(Source::Url(url.clone())),
            (None, None) => None,
        };
        let rotating = match &source {
            Some(Source::File(file)) => read_file(file)?,
            _ => Vec::new(),
        };
        Ok(Self { fixed, source, rotating: RwLock::new(Arc::new(rotating)), asked: Mutex::new(None) })
    }

    /// The keys that a token with this key id may be signed with. An unknown id asks for the document anew.
    pub(crate) async fn candidates(&self, id: Option<&str>) -> Vec<Key> {
        let found = self.known(id).await;
        if !found.is_empty() || id.is_none() || self.source.is_none() {
            return found;
        }
        let mut asked = self.asked.lock().await;
        // Whoever waited for the lock may find what another brought.
        let found = self.known(id).await;
        if !found.is_empty() || asked.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return found;
        }
        *asked = Some(Instant::now());
        self.refresh().await;
        self.known(id).await
    }

    async fn known(&self, id: Option<&str>) -> Vec<Key> {
        let rotating = self.rotating.read().await.clone();
        self.fixed.iter().chain(rotating.iter()).filter(|key| key.id.as_deref() == id).cloned().collect()
    }

    /// Reads the document again. Where it cannot be had, the keys of the last one stay good.
    pub(crate) async fn refresh(&self) {
        let read = match &self.source {
            None => return,
            Some(Source::File(file)) => read_file(file),
            Some(Source::Url(url)) => {
                let url = url.clone();
                let fetched = tokio::task::spawn_blocking(move || fetch(&url)).await;
                fetched.unwrap_or_else(|error| Err(format!("the reader failed: {error}")))
            }
        };
        match read {
            Ok(keys) => *self.rotating.write().await = Arc::new(keys),
            Err(error) => tracing::warn!(%error, "the key set cannot be read; the last known keys stay"),
        }
    }
}

fn pem(file: &Path, algorithm: &str) -> Result<Key, String> {
    let shown = file.display();
    let pem = std::fs::read(file).map_err(|e| format!("{shown}: {e}"))?;
    let (algorithm, decoding) = match algorithm {
        "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem(&pem)),
        "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem(&pem)),
        _ => (Algorithm::EdDSA, DecodingKey::from_ed_pem(&pem)),
    };
    let decoding = decoding.map_err(|e| format!("{shown} is not a public key for {algorithm:?}: {e}"))?;
    Ok(Key { id: None, algorithm, decoding })
}

fn secret(file: &Path) -> Result<Key, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    let secret = text.trim().as_bytes();
    if secret.len() < SECRET_BYTES {
        return Err(format!("{shown} must hold at least {SECRET_BYTES} bytes"));
    }
    Ok(Key { id: None, algorithm: Algorithm::HS256, decoding: DecodingKey::from_secret(secret) })
}

fn read_file(file: &Path) -> Result<Vec<Key>, String> {
    let shown = file.display();
    let size = std::fs::metadata(file).map_err(|e| format!("{shown}: {e}"))?.len();
    if size > JWKS_BYTES {
        return Err(format!("{shown} is longer than {JWKS_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    parse(&text).map_err(|e| format!("{shown}: {e}"))
}

fn fetch(url: &str) -> Result<Vec<Key>, String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(FETCH_TIMEOUT))
        .max_redirects(0)
        .build()
        .new_agent();
    let mut answer = agent.get(url).call().map_err(|e| format!("{url}: {e}"))?;
    let text = answer.body_mut().with_config().limit(JWKS_BYTES).read_to_string();
    parse(&text.map_err(|e| format!("{url}: {e}"))?).map_err(|e| format!("{url}: {e}"))
}

/// The signing keys of a document that are of an accepted kind. One without any is an error: it would lock all out.
fn parse(text: &str) -> Result<Vec<Key>, String> {
    let set: JwkSet = serde_json::from_str(text).map_err(|e| format!("not a key set: {e}"))?;
    if set.keys.len() > JWKS_KEYS {
        return Err(format!("{} keys, and {JWKS_KEYS} are allowed", set.keys.len()));
    }
    let keys: Vec<Key> = set.keys.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Err("no key for EdDSA, ES256 or RS256".into());
    }
    Ok(keys)
}

/// A key of the document, where it is a public key of an accepted kind.
fn key(jwk: &Jwk) -> Option<Key> {
    if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(p) if p.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        // Six bits a character, as base64 has.
        AlgorithmParameters::RSA(p) if p.n.len() * 6 >= RSA_BITS => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    if matches!(jwk.common.key_algorithm, Some(other) if other != named) {
        return None;
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: jwk.common.key_id.clone(), algorithm, decoding })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_signing_keys_of_accepted_kinds_are_taken() {
        let ed =
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let ec = r#"{"kty":"EC","crv":"P-256","kid":"b","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
        let oct = r#"{"kty":"oct","kid":"c","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}"#;
        let small = r#"{"kty":"RSA","kid":"d","n":"sXch","e":"AQAB"}"#;
        let wrong = r#"{"kty":"OKP","crv":"Ed25519","kid":"e","use":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let other = r#"{"kty":"EC","crv":"P-256","kid":"f","alg":"HS256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
        let set = format!(r#"{{"keys":[{ed},{ec},{oct},{small},{wrong},{other}]}}"#);
        let keys = parse(&set).unwrap();
        let got: Vec<_> = keys.iter().map(|k| (k.id.as_deref().unwrap(), k.algorithm)).collect();
        assert_eq!(got, [("a", Algorithm::EdDSA), ("b", Algorithm::ES256)]);
        assert!(parse(&format!(r#"{{"keys":[{oct}]}}"#)).is_err());
        assert!(parse("{}").is_err());
    }
}
