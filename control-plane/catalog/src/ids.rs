//! A newtype for every id, parsed at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an id, slug or login name is refused. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A tenant id that is not 20 characters of `a–z`, `2–7`.
    #[error("a tenant id has {TENANT_ID_CHARS} characters out of a-z and 2-7")]
    TenantId,
    /// A slug that cannot be a database name in a connection string.
    #[error(
        "a slug has 1 to {SLUG_CHARS} characters: lower-case letters, digits and single hyphens, starting with a letter, not ending with a hyphen"
    )]
    Slug,
    /// A slug that means something else.
    #[error("the slug \"{0}\" is reserved; choose another")]
    ReservedSlug(String),
    /// A login or role kind name.
    #[error(
        "a {0} has 1 to 32 characters: lower-case letters, digits and underscores, starting with a letter"
    )]
    Word(&'static str),
}

/// Length of a tenant id, in characters: 100 random bits in base32.
pub const TENANT_ID_CHARS: usize = 20;
/// Longest slug, in characters.
pub const SLUG_CHARS: usize = 48;
/// Slugs that would be mistaken for PostgreSQL's or Palisade's own databases.
pub const RESERVED_SLUGS: [&str; 7] =
    ["postgres", "template0", "template1", "palisade", "pgbouncer", "admin", "replication"];

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}

text_id!(
    /// A tenant's id: opaque, random, never reused. Physical names are made from it.
    TenantId
);
text_id!(
    /// A tenant's name in connection strings and URLs. May be renamed.
    Slug
);
text_id!(
    /// A login within a tenant: the user of a connection string.
    LoginName
);
text_id!(
    /// A role kind: `owner`, `app`, `readonly`, or an operator's own.
    RoleKind
);

impl TenantId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`IdError::TenantId`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let good =
            text.len() == TENANT_ID_CHARS && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        if good { Ok(Self(text.to_owned())) } else { Err(IdError::TenantId) }
    }

    /// Makes a new id from the operating system's random numbers.
    #[must_use]
    pub fn random() -> Self {
        use rand::RngCore;
        let mut bytes = [0u8; 13];
        rand::rng().fill_bytes(&mut bytes);
        let text = data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        Self(text[..TENANT_ID_CHARS].to_owned())
    }
}

impl Slug {
    /// Reads a slug.
    ///
    /// # Errors
    /// [`IdError::Slug`] or [`IdError::ReservedSlug`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let good = (1..=SLUG_CHARS).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes[bytes.len() - 1] != b'-'
            && !text.contains("--")
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if !good {
            return Err(IdError::Slug);
        }
        if RESERVED_SLUGS.contains(&text) {
            return Err(IdError::ReservedSlug(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

fn word(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=32).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

impl LoginName {
    /// Reads a login name.
    ///
    /// # Errors
    /// [`IdError::Word`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if word(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Word("login name")) }
    }
}

impl RoleKind {
    /// Reads a role kind.
    ///
    /// # Errors
    /// [`IdError::Word`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if word(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Word("role kind")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_follow_the_table() {
        for good in ["a", "acme", "acme-2", "a1-b2-c3"] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "1a", "Acme", "a_b", "ä", "postgres", &"a".repeat(49)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn random_ids_read_back() {
        let id = TenantId::random();
        assert_eq!(TenantId::parse(id.as_str()), Ok(id));
    }
}
