//! Derived server passwords, client secrets and their SCRAM verifiers.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key that all server-side passwords are derived from. Never printed.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// Why a master key is refused.
#[derive(Debug, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits (32 bytes); make one with `palisade keys master`")]
pub struct MasterKeyError;

impl MasterKey {
    /// Makes a new key from the operating system's random numbers.
    #[must_use]
    pub fn random() -> Self {
        use rand::RngCore;
        let mut bytes = [0u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Reads a key from 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`MasterKeyError`].
    pub fn from_hex(text: &str) -> Result<Self, MasterKeyError> {
        let bytes =
            data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| MasterKeyError)?;
        Ok(Self(bytes.try_into().map_err(|_| MasterKeyError)?))
    }

    /// The key as text, for the file that holds it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// The password of a server role: HMAC-SHA-256 of the role's name and its generation. No password is stored;
    /// rotation is a new generation.
    #[must_use]
    pub fn server_password(&self, role: &str, generation: u32) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(b"palisade server password v1\0");
        mac.update(role.as_bytes());
        mac.update(b"\0");
        mac.update(&generation.to_be_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// The secret of the key that signs the audit log of this name: HMAC-SHA-256 of the name.
    #[must_use]
    pub fn audit_seed(&self, origin: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(b"palisade audit checkpoint v1\0");
        mac.update(origin.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// A secret for a client, shown once: 192 random bits, safe in a URL.
#[must_use]
pub fn random_client_secret() -> String {
    use rand::RngCore;
    let mut bytes = [0u8; 24];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_differ_by_role_and_generation() {
        let key = MasterKey::random();
        let same = MasterKey::from_hex(&key.to_hex()).unwrap();
        assert_eq!(key.server_password("a", 1), same.server_password("a", 1));
        assert_ne!(key.server_password("a", 1), key.server_password("a", 2));
        assert_ne!(key.server_password("a", 1), key.server_password("b", 1));
        assert_eq!(format!("{key:?}"), "MasterKey(…)");
    }

    #[test]
    fn short_keys_are_refused() {
        assert!(MasterKey::from_hex("abcd").is_err());
    }
}
