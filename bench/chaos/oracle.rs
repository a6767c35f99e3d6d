//! Whose tokens stand in an answer. Pure.
//!
//! Tenants' data carries `ten#<id>#`, each connection's own statements carry `cli#<id>.<serial>#`. An answer may hold
//! tokens of the connection's own tenant and of the connection itself, and no other tenant's physical name.

/// What one connection may see.
#[derive(Clone)]
pub(crate) struct Oracle {
    /// `ten#<id>#` of its tenant.
    pub(crate) tenant: String,
    /// `cli#<id>.` of the connection.
    pub(crate) connection: String,
    /// Its tenant's schema, `t_<id>`.
    pub(crate) schema: String,
}

/// Length of a tenant's physical name, `t_` and 20 characters.
const PHYSICAL: usize = 22;
/// Longest token that is shown in a finding, in bytes.
const SHOWN: usize = 40;

impl Oracle {
    /// The first thing in `bytes` that this connection may not see.
    pub(crate) fn foreign(&self, bytes: &[u8]) -> Option<String> {
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            let foreign = match rest {
                [b't', b'e', b'n', b'#', b'0'..=b'9', ..] => !rest.starts_with(self.tenant.as_bytes()),
                [b'c', b'l', b'i', b'#', b'0'..=b'9', ..] => !rest.starts_with(self.connection.as_bytes()),
                [b't', b'_', b'a'..=b'z' | b'2'..=b'7', ..] => {
                    is_physical(rest) && !rest.starts_with(self.schema.as_bytes())
                }
                _ => false,
            };
            if foreign {
                return Some(String::from_utf8_lossy(&rest[..rest.len().min(SHOWN)]).into_owned());
            }
        }
        None
    }
}

fn is_physical(bytes: &[u8]) -> bool {
    let base32 = |b: &u8| matches!(b, b'a'..=b'z' | b'2'..=b'7');
    bytes.len() >= PHYSICAL
        && bytes[2..PHYSICAL].iter().all(base32)
        && !bytes.get(PHYSICAL).is_some_and(base32)
}

#[cfg(test)]
mod tests {
    use super::Oracle;

    #[test]
    fn only_own_tokens_pass() {
        let oracle = Oracle {
            tenant: "ten#7#".into(),
            connection: "cli#12.".into(),
            schema: "t_abcdefghijklmnopqrst".into(),
        };
        for (answer, foreign) in [
            ("a row of ten#7# for cli#12.5#", false),
            ("ten#7", true),
            ("ten#77#", true),
            ("xten#8#", true),
            ("cli#1.5#", true),
            ("cli#123.5#", true),
            ("cli#12.5#cli#13.1#", true),
            ("t_abcdefghijklmnopqrst.book", false),
            ("t_bbcdefghijklmnopqrst.book", true),
            ("start_bbcdefghijklmnopqrst_name_that_is_long", true),
            ("t_short", false),
            ("ten#%# is no token", false),
        ] {
            assert_eq!(oracle.foreign(answer.as_bytes()).is_some(), foreign, "{answer}");
        }
    }
}
