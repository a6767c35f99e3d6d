//! JSON Web Tokens that callers show: to the API, and to the proxy in a password's place.
//!
//! - `keys`: a PEM file, a key set (JWKS) from a file or address with rotation, or a secret for development.
//!
//! A key has one algorithm. What a token's header says is compared with it, never followed.

mod keys;

use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use serde::de::DeserializeOwned;

pub use keys::Sources;
use keys::{Key, Keys};

/// Longest token, in bytes.
pub const TOKEN_BYTES: usize = 8_192;

/// What a token must say of itself.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Its issuer (`iss`).
    pub issuer: String,
    /// Its audience (`aud`).
    pub audience: String,
    /// How far clocks may differ, in seconds.
    pub leeway_seconds: u64,
}

/// Why a token is refused. Nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES`].
    #[error("the token is too long")]
    Oversized,
    /// Not a token, or without a claim that is needed.
    #[error("the token is not valid")]
    Malformed,
    /// Its header demands what is not known here.
    #[error("the token's critical headers are not known")]
    Critical,
    /// No key has its id.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The key is for another algorithm.
    #[error("the token's algorithm is not accepted")]
    WrongAlgorithm,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `iss` is another.
    #[error("the token's issuer is not accepted")]
    WrongIssuer,
    /// `aud` is another.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    Early,
    /// Signed by somebody else.
    #[error("the token is not valid")]
    WrongSignature,
}

impl TokenError {
    /// The word for the audit trail.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Oversized => "oversized_token",
            Self::Malformed | Self::Critical => "malformed_token",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::Expired => "expired_token",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Early => "early_token",
            Self::WrongSignature => "wrong_signature",
        }
    }
}

/// Checks tokens.
pub struct Tokens {
    keys: Keys,
    validation: Validation,
}

impl Tokens {
    /// Reads the keys. A key set at an address is asked for later, so that a start does not need it.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn new(sources: &Sources, expected: &Expected) -> Result<Self, String> {
        let mut validation = Validation::default();
        validation.set_issuer(&[&expected.issuer]);
        validation.set_audience(&[&expected.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = expected.leeway_seconds;
        Ok(Self { keys: Keys::new(sources)?, validation })
    }

    /// The claims of a token that holds: signature, issuer, audience, expiry and `nbf`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<T, TokenError> {
        if token.len() > TOKEN_BYTES {
            return Err(TokenError::Oversized);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let mut refusal = TokenError::UnknownKey;
        for key in self.keys.candidates(header.kid.as_deref()).await {
            if key.algorithm != header.alg {
                refusal = TokenError::WrongAlgorithm;
                continue;
            }
            match self.check(token, &key) {
                Ok(claims) => return Ok(claims),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn check<T: DeserializeOwned>(&self, token: &str, key: &Key) -> Result<T, TokenError> {
        let mut validation = self.validation.clone();
        validation.algorithms = vec![key.algorithm];
        let decoded = jsonwebtoken::decode::<T>(token, &key.decoding, &validation);
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            ErrorKind::InvalidIssuer => TokenError::WrongIssuer,
            ErrorKind::InvalidAudience => TokenError::WrongAudience,
            ErrorKind::ImmatureSignature => TokenError::Early,
            ErrorKind::InvalidSignature => TokenError::WrongSignature,
            _ => TokenError::Malformed,
        })
    }

    /// Reads the key set again. Where it cannot be had, the keys of the last one stay good.
    pub async fn refresh(&self) {
        self.keys.refresh().await;
    }
}
