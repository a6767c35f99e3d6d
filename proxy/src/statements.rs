//! Prepared statements: what a client calls them, and what they are called on server connections.
//!
//! A named statement is prepared on a server connection under a name of ours that stands for its text and types. Two
//! clients of one login that prepare the same text share it there. A change of definitions by the tenant begins a new
//! generation: a statement that is prepared afterwards never meets an older plan.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::verdicts::Judged;

/// Most texts of one login that are remembered; beyond it those that nobody uses are forgotten.
const REMEMBERED: usize = 4_096;

/// What stands for a text on server connections.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerStatement {
    /// Never used twice.
    pub(crate) id: u64,
    /// The name there.
    pub(crate) name: String,
}

/// A statement that a client prepared by the protocol.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) judged: Arc<Judged>,
    /// The parameter types of the Parse message: count and OIDs.
    pub(crate) types: Box<[u8]>,
    /// `None` for the unnamed statement.
    pub(crate) server: Option<Arc<ServerStatement>>,
}

/// What a client's name means.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    /// Prepared by a Parse message.
    Protocol(Arc<Prepared>),
    /// Prepared by SQL: it lives on the pinned connection under its own name. What was decided about the text.
    Sql(Arc<Judged>),
}

impl Named {
    /// What was decided about the text that prepared it.
    pub(crate) fn judged(&self) -> &Arc<Judged> {
        match self {
            Named::Protocol(prepared) => &prepared.judged,
            Named::Sql(judged) => judged,
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    text: Box<str>,
    types: Box<[u8]>,
    generation: u64,
}

/// The next statement's id, whatever pool it is for: a session may go on in another pool.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The statements of one login of one tenant.
pub(crate) struct Statements {
    prefix: String,
    known: Mutex<HashMap<Key, Arc<ServerStatement>>>,
}

impl Statements {
    /// Names begin with this; nobody else can know it.
    pub(crate) fn new(nonce: u64) -> Self {
        Self { prefix: format!("palisade_{nonce:016x}"), known: Mutex::default() }
    }

    /// The server statement of a text with these types.
    pub(crate) fn server(&self, sent: &str, types: &[u8], generation: u64) -> Arc<ServerStatement> {
        let key = Key { text: sent.into(), types: types.into(), generation };
        let mut known = self.known.lock();
        if let Some(found) = known.get(&key) {
            return found.clone();
        }
        if known.len() >= REMEMBERED {
            known.retain(|_, statement| Arc::strong_count(statement) > 1);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let made = self.fresh();
        known.insert(key, made.clone());
        made
    }

    /// A server statement that nobody shares.
    pub(crate) fn fresh(&self) -> Arc<ServerStatement> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(ServerStatement { id, name: format!("{}_{id}", self.prefix) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_statement_within_a_generation() {
        let all = Statements::new(7);
        let first = all.server("SELECT 1", b"\0\0", 0);
        assert_eq!(first.name, format!("palisade_0000000000000007_{}", first.id));
        assert_eq!(all.server("SELECT 1", b"\0\0", 0), first);
        for (text, types, generation) in
            [("SELECT 2", &b"\0\0"[..], 0), ("SELECT 1", b"\0\x01\0\0\0\x17", 0), ("SELECT 1", b"\0\0", 1)]
        {
            assert_ne!(all.server(text, types, generation).id, first.id);
        }
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let all = Statements::new(7);
        let used = all.server("used", b"", 0);
        for n in 0..REMEMBERED + 10 {
            all.server(&n.to_string(), b"", 0);
        }
        assert!(all.known.lock().len() <= 20);
        assert_eq!(all.server("used", b"", 0), used);
    }
}
