//! Verdicts, remembered by the text itself: a text is read and judged once for each login of a tenant.

use std::sync::Arc;

use palisade_policies::effect::Kind;
use palisade_policies::{Denial, Judge, Limits, Namespace, Permit, Verdict, read};
use palisade_wire::error::Fields;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::pins::{Pins, pins};

/// Longer texts are judged anew each time, in bytes.
const LONGEST_TEXT_BYTES: usize = 32 << 10;
/// What an entry costs besides its text, in bytes; measured roughly, so that the limit is one of memory.
const ENTRY_BYTES: u64 = 512;

/// A text with what was decided about it.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The policy that decided.
    pub(crate) epoch: u64,
    /// As the client sent it.
    pub(crate) text: Box<str>,
    pub(crate) outcome: Outcome,
}

/// Permit or denial, with what a session needs of them.
#[derive(Debug)]
pub(crate) enum Outcome {
    Permit {
        permit: Permit,
        /// What sending it pins.
        pins: Pins,
        /// Whether any statement does something to the session that is followed.
        effects: bool,
        /// The verb of a statement that changes definitions.
        ddl: Option<&'static str>,
    },
    Deny {
        denial: Box<Denial>,
        answer: Fields,
    },
    /// No verdict of the policy: PostgreSQL itself would answer so, were it one session.
    Refuse {
        answer: Fields,
    },
}

impl Judged {
    fn new(epoch: u64, text: &str, verdict: Verdict) -> Self {
        let outcome = match verdict {
            Verdict::Permit(permit) => {
                let mut all = Pins::default();
                let effects = || permit.statements.iter().flat_map(|s| &s.effects);
                for effect in effects() {
                    all.add(pins(effect));
                }
                let ddl = permit.statements.iter().find(|s| s.kind == Kind::Ddl).map(|s| s.verb);
                Outcome::Permit { effects: effects().next().is_some(), pins: all, ddl, permit }
            }
            Verdict::Deny(denial) => {
                let answer = Fields::new("ERROR", denial.sqlstate, &denial.message)
                    .with(b'D', denial.detail.as_deref())
                    .with(b'H', denial.hint.as_deref())
                    .with(b'P', denial.position.map(|p| p.to_string()).as_deref());
                Outcome::Deny { denial, answer }
            }
        };
        Self { epoch, text: text.into(), outcome }
    }

    /// An answer that PostgreSQL would give, were the session its own.
    pub(crate) fn refusal(epoch: u64, answer: Fields) -> Self {
        Self { epoch, text: "".into(), outcome: Outcome::Refuse { answer } }
    }

    /// What the client gets instead of the server's error, where the text was replaced.
    pub(crate) fn answer(&self) -> Option<&Fields> {
        match &self.outcome {
            Outcome::Permit { .. } => None,
            Outcome::Deny { answer, .. } | Outcome::Refuse { answer } => Some(answer),
        }
    }

    /// Whether another text than the client's is sent.
    pub(crate) fn rewritten(&self) -> bool {
        matches!(&self.outcome, Outcome::Permit { permit, .. } if permit.rewritten.is_some())
    }

    /// What is sent to the server for it, where it is permitted.
    pub(crate) fn sent(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Permit { permit, .. } => Some(permit.rewritten.as_deref().unwrap_or(&self.text)),
            Outcome::Deny { .. } | Outcome::Refuse { .. } => None,
        }
    }

    /// The place in the client's text of a place in the text that was sent, both in characters from 1.
    pub(crate) fn position(&self, sent: usize) -> usize {
        match &self.outcome {
            Outcome::Permit { permit, .. } => permit.map_position(&self.text, sent),
            Outcome::Deny { .. } | Outcome::Refuse { .. } => sent,
        }
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Box<str>, Arc<Judged>> for Bytes {
    fn weight(&self, key: &Box<str>, value: &Arc<Judged>) -> u64 {
        let sent = value.sent().map_or(0, str::len);
        (key.len() + value.text.len() + sent) as u64 + ENTRY_BYTES
    }
}

/// The verdicts of one login of one tenant.
pub(crate) struct Verdicts {
    cache: Cache<Box<str>, Arc<Judged>, Bytes>,
}

impl Verdicts {
    /// Room for this many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / (2 * ENTRY_BYTES)).unwrap_or(usize::MAX).max(16);
        Self { cache: Cache::with_weighter(entries, bytes, Bytes) }
    }

    /// The verdict on a text, and whether it was known. The text is compared in full; a hash only finds the place.
    pub(crate) fn judge(
        &self,
        judge: &Judge,
        limits: &Limits,
        namespace: &Namespace,
        text: &str,
    ) -> (Arc<Judged>, bool) {
        if let Some(known) = self.cache.get(text)
            && known.epoch == judge.epoch()
        {
            return (known, true);
        }
        let verdict = match read::read(text, limits) {
            Ok(reading) => judge.judge(text, &reading, namespace, limits),
            Err(error) => Verdict::Deny(Box::new(Denial::from_read_error(error))),
        };
        let judged = Arc::new(Judged::new(judge.epoch(), text, verdict));
        if text.len() <= LONGEST_TEXT_BYTES {
            self.cache.insert(text.into(), judged.clone());
        }
        (judged, false)
    }

    /// Texts and bytes that are held.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.cache.len(), self.cache.weight())
    }
}

/// The verdict on bytes that are not UTF-8.
pub(crate) fn unreadable(judge: &Judge, limits: &Limits, bytes: &[u8]) -> Option<Judged> {
    let error = read::read_bytes(bytes, limits).err()?;
    let verdict = Verdict::Deny(Box::new(Denial::from_read_error(error)));
    Some(Judged::new(judge.epoch(), &String::from_utf8_lossy(bytes), verdict))
}
