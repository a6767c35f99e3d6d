//! Who may do what: JSON Web Tokens and the role × endpoint table.

use axum::http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::config::AuthConfig;
use crate::http::problem::Problem;

/// What an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// See tenants, operations, templates.
    View,
    /// Read the audit trail.
    Audit,
    /// Change anything.
    Admin,
}

/// What a role may: the whole table.
fn allows(role: &str, right: Right) -> bool {
    match role {
        "admin" => true,
        "auditor" => matches!(right, Right::View | Right::Audit),
        "viewer" => right == Right::View,
        _ => false,
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// Somebody with a valid token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) subject: String,
    roles: Vec<String>,
}

impl Caller {
    /// Refuses a caller whose roles do not give the right.
    pub(crate) fn may(&self, right: Right) -> Result<(), Problem> {
        if self.roles.iter().any(|role| allows(role, right)) {
            return Ok(());
        }
        let needed = match right {
            Right::View => "viewer, auditor or admin",
            Right::Audit => "auditor or admin",
            Right::Admin => "admin",
        };
        Err(Problem::forbidden(format!("this needs the role {needed}")))
    }
}

/// Checks tokens.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Reads the public key. Only the configured algorithm is accepted, whatever a token says.
    pub(crate) fn new(config: &AuthConfig) -> Result<Self, String> {
        let file = config.public_key_file.display();
        let pem = std::fs::read(&config.public_key_file).map_err(|e| format!("{file}: {e}"))?;
        let (algorithm, key) = match config.algorithm.as_str() {
            "ES256" => (Algorithm::ES256, DecodingKey::from_ec_pem(&pem)),
            "RS256" => (Algorithm::RS256, DecodingKey::from_rsa_pem(&pem)),
            _ => (Algorithm::EdDSA, DecodingKey::from_ed_pem(&pem)),
        };
        let key = key.map_err(|e| format!("{file} is not a public key for {}: {e}", config.algorithm))?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = config.leeway_seconds;
        Ok(Self { key, validation })
    }

    /// The caller of a request, or why there is none. Nothing of the token is repeated.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let header = headers.get("authorization").and_then(|h| h.to_str().ok());
        let Some(token) = header.and_then(|h| h.strip_prefix("Bearer ")) else {
            return Err(Problem::unauthorized("send a token in the header Authorization: Bearer …"));
        };
        match jsonwebtoken::decode::<Claims>(token.trim(), &self.key, &self.validation) {
            Ok(data) => Ok(Caller { subject: data.claims.sub, roles: data.claims.roles }),
            Err(error) => {
                use jsonwebtoken::errors::ErrorKind as K;
                let why = match error.kind() {
                    K::ExpiredSignature => "the token has expired",
                    K::InvalidIssuer => "the token's issuer is not accepted",
                    K::InvalidAudience => "the token is for another audience",
                    K::InvalidAlgorithm | K::InvalidAlgorithmName => "the token's algorithm is not accepted",
                    K::ImmatureSignature => "the token is not valid yet",
                    _ => "the token is not valid",
                };
                Err(Problem::unauthorized(why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_follow_the_table() {
        for (role, view, audit, admin) in [
            ("admin", true, true, true),
            ("auditor", true, true, false),
            ("viewer", true, false, false),
            ("x", false, false, false),
        ] {
            let got = [Right::View, Right::Audit, Right::Admin].map(|right| allows(role, right));
            assert_eq!(got, [view, audit, admin], "{role}");
        }
    }
}
