//! Verdicts, remembered by the text itself: a text is read and judged once for each login of a tenant.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use palisade_catalog::audit::fingerprint;
use palisade_policies::effect::Kind;
use palisade_policies::verdict::PermittedStatement;
use palisade_policies::{Denial, Limits, Namespace, Observed, Permit, Verdict, read};
use palisade_wire::error::Fields;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::pins::{Pins, pins};
use crate::policy::{Stamp, Wall};

/// Longer texts are judged anew each time, in bytes.
const LONGEST_TEXT_BYTES: usize = 32 << 10;
/// What an entry costs besides its text, in bytes; measured roughly, so that the limit is one of memory.
const ENTRY_BYTES: u64 = 512;

/// A text with what was decided about it.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The policy that decided, and how it holds.
    pub(crate) stamp: Stamp,
    /// As the client sent it.
    pub(crate) text: Box<str>,
    pub(crate) outcome: Outcome,
    /// How often it was done since that was last put on record.
    done: AtomicU64,
    /// The text with its literals replaced, and the fingerprint: made when it is first put on record.
    shape: OnceLock<(Option<String>, Option<String>)>,
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
        /// What the policy would have said, where it is only tried.
        would_deny: Option<Box<Denial>>,
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
    fn new(stamp: Stamp, text: &str, observed: Observed) -> Self {
        let would_deny = observed.would_deny;
        let outcome = match observed.verdict {
            Verdict::Permit(permit) => {
                let mut all = Pins::default();
                let effects = || permit.statements.iter().flat_map(|s| &s.effects);
                for effect in effects() {
                    all.add(pins(effect));
                }
                let ddl = permit.statements.iter().find(|s| s.kind == Kind::Ddl).map(|s| s.verb);
                let effects = effects().next().is_some();
                Outcome::Permit { effects, pins: all, ddl, permit, would_deny }
            }
            Verdict::Deny(denial) => {
                let answer = Fields::new("ERROR", denial.sqlstate, &denial.message)
                    .with(b'D', denial.detail.as_deref())
                    .with(b'H', denial.hint.as_deref())
                    .with(b'P', denial.position.map(|p| p.to_string()).as_deref());
                Outcome::Deny { denial, answer }
            }
        };
        Self { stamp, text: text.into(), outcome, done: AtomicU64::new(0), shape: OnceLock::new() }
    }

    /// The text's shape, and its fingerprint.
    pub(crate) fn shape(&self) -> (Option<&str>, Option<&str>) {
        let (shape, fingerprint) = self.shape.get_or_init(|| {
            let shape = palisade_policies::shape(&self.text);
            let fingerprint = shape.as_deref().map(fingerprint);
            (shape, fingerprint)
        });
        (shape.as_deref(), fingerprint.as_deref())
    }

    /// It was done once more.
    pub(crate) fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer that PostgreSQL would give, were the session its own.
    pub(crate) fn refusal(stamp: Stamp, answer: Fields) -> Self {
        Self {
            stamp,
            text: "".into(),
            outcome: Outcome::Refuse { answer },
            done: AtomicU64::new(0),
            shape: OnceLock::new(),
        }
    }

    /// What the client gets instead of the server's error, where the text was replaced.
    pub(crate) fn answer(&self) -> Option<&Fields> {
        match &self.outcome {
            Outcome::Permit { .. } => None,
            Outcome::Deny { answer, .. } | Outcome::Refuse { answer } => Some(answer),
        }
    }

    /// The verb of one of its statements.
    pub(crate) fn verb(&self, statement: usize) -> Option<&'static str> {
        match &self.outcome {
            Outcome::Permit { permit, .. } => permit.statements.get(statement).map(|s| s.verb),
            Outcome::Deny { .. } | Outcome::Refuse { .. } => None,
        }
    }

    /// Whether the verdict is the same for other constants: reads and writes of rows, sent as they are, that do nothing
    /// to the session. Integers name nothing there, strings do only where the reading says so, and PostgreSQL's tree
    /// differs in their values alone.
    fn ignores_constants(&self, masked: &Masked) -> bool {
        let Outcome::Permit { permit, effects: false, ddl: None, pins, would_deny: None } = &self.outcome
        else {
            return false;
        };
        let rows = |s: &PermittedStatement| {
            let plain = matches!(s.verb, "SELECT" | "INSERT" | "UPDATE" | "DELETE") && !s.reads_constants;
            matches!(s.kind, Kind::Read | Kind::Write) && (plain || !masked.strings)
        };
        permit.rewritten.is_none() && pins.is_empty() && permit.statements.iter().all(rows)
    }

    /// What the names of its statements' objects take, in bytes.
    fn objects_bytes(&self) -> usize {
        let Outcome::Permit { permit, .. } = &self.outcome else { return 0 };
        let objects = permit.statements.iter().flat_map(|s| &s.objects);
        objects.map(|object| size_of::<String>() + object.len()).sum()
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
        // The shape comes later, and is about as long as the text.
        (key.len() + 2 * value.text.len() + sent + value.objects_bytes()) as u64 + ENTRY_BYTES
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

    /// The texts that were done since they were last asked for, with how often.
    pub(crate) fn done(&self) -> Vec<(Arc<Judged>, u64)> {
        let counted = |(_, judged): (Box<str>, Arc<Judged>)| {
            let done = judged.done.swap(0, Ordering::Relaxed);
            (done > 0).then_some((judged, done))
        };
        self.cache.iter().filter_map(counted).collect()
    }

    /// The verdict on the text of a simple query, and whether it was known. Texts that differ in plain constants
    /// only share a permit that changes nothing (see [`mask`]): then [`Judged::text`] is another one of them.
    pub(crate) fn judge_query(
        &self,
        wall: Wall<'_>,
        limits: &Limits,
        namespace: &Namespace,
        text: &str,
    ) -> (Arc<Judged>, bool) {
        let Some(masked) = mask(text) else { return self.judge(wall, limits, namespace, text) };
        if let Some(known) = self.known(wall.stamp(), &masked.text) {
            return (known, true);
        }
        let (judged, known) = self.judge(wall, limits, namespace, text);
        if judged.ignores_constants(&masked) {
            self.cache.insert(masked.text.into(), judged.clone());
        }
        (judged, known)
    }

    /// The verdict on a text, where it is known.
    pub(crate) fn known(&self, stamp: Stamp, text: &str) -> Option<Arc<Judged>> {
        self.cache.get(text).filter(|known| known.stamp == stamp)
    }

    /// The verdict on a text, and whether it was known. The text is compared in full; a hash only finds the place.
    pub(crate) fn judge(
        &self,
        wall: Wall<'_>,
        limits: &Limits,
        namespace: &Namespace,
        text: &str,
    ) -> (Arc<Judged>, bool) {
        if let Some(known) = self.known(wall.stamp(), text) {
            return (known, true);
        }
        let observed = match read::read(text, limits) {
            Ok(reading) if wall.observing => wall.judge.observe(text, &reading, namespace, limits),
            Ok(reading) => firm(wall.judge.judge(text, &reading, namespace, limits)),
            Err(error) => firm(Verdict::Deny(Box::new(Denial::from_read_error(error)))),
        };
        let judged = Arc::new(Judged::new(wall.stamp(), text, observed));
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

/// Longest integer that is masked, in digits: always an integer constant of the grammar, never a float.
const DIGITS: usize = 9;

/// A text with its plain constants taken out. Begins with a byte that no text has, so it is no text's key.
struct Masked {
    text: String,
    /// Whether any of them was a string.
    strings: bool,
}

/// A text with its plain integers and strings taken out; `None` where it has none, or where anything stands in it that
/// could hide where a token begins: other quotes, dollars, backslashes, comments, bytes beyond ASCII outside of strings.
/// What is left are words, constants and operators. An integer between blanks, brackets, commas or operators is a token
/// of its own, and so is a string whose quote stands behind one of these (that of `E'…'`, `U&'…'` and `date'…'` does not).
fn mask(text: &str) -> Option<Masked> {
    let bytes = text.as_bytes();
    if bytes.len() > LONGEST_TEXT_BYTES {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() + 1);
    out.push(0);
    let (mut strings, mut at, mut before) = (false, 0, b' ');
    // What is not copied yet begins here.
    let mut from = 0;
    while let Some(&byte) = bytes.get(at) {
        let class = CLASSES[usize::from(byte)];
        if class & WORD != 0 {
            let word = bytes[at..].iter().take_while(|b| CLASSES[usize::from(**b)] & (WORD | DIGIT) != 0);
            at += word.count();
            before = b'a';
        } else if class & DIGIT != 0 {
            let begin = at;
            at += bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
            let behind = bytes.get(at).copied().unwrap_or(b' ');
            let alone =
                CLASSES[usize::from(before)] & BEGINS != 0 && CLASSES[usize::from(behind)] & ENDS != 0;
            before = b'0';
            if alone && at - begin <= DIGITS {
                out.extend_from_slice(&bytes[from..begin]);
                out.push(b'?');
                from = at;
            }
        } else if byte == b'\'' && CLASSES[usize::from(before)] & QUOTES != 0 {
            out.extend_from_slice(&bytes[from..at]);
            out.push(b'\'');
            at = string_end(bytes, at)?;
            (from, strings, before) = (at, true, b'\'');
        } else if class & PLAIN == 0 || matches!((before, byte), (b'-', b'-') | (b'/', b'*')) {
            return None;
        } else {
            before = byte;
            at += 1;
        }
    }
    if from == 0 {
        return None;
    }
    out.extend_from_slice(&bytes[from..]);
    // Constants are left out whole, so what is left is as good as it was.
    Some(Masked { text: String::from_utf8(out).ok()?, strings })
}

/// What a byte may be in a text that is masked.
const WORD: u8 = 1;
const DIGIT: u8 = 2;
/// Blanks, brackets, commas, operators and the like.
const PLAIN: u8 = 4;
/// A constant may stand behind it, an integer in front of it, a string behind it.
const BEGINS: u8 = 8;
const ENDS: u8 = 16;
const QUOTES: u8 = 32;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    const fn add(classes: &mut [u8; 256], bytes: &[u8], class: u8) {
        let mut at = 0;
        while at < bytes.len() {
            classes[bytes[at] as usize] |= class;
            at += 1;
        }
    }
    let mut classes = [0; 256];
    add(&mut classes, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", WORD);
    add(&mut classes, b"0123456789", DIGIT);
    add(&mut classes, b" \t\n\r.,;()=<>+-*/%|:", PLAIN);
    add(&mut classes, b" \t\n\r,(=<>+-*/%", BEGINS | QUOTES);
    add(&mut classes, b"|", QUOTES);
    add(&mut classes, b" \t\n\r,;)=<>+-*/%", ENDS);
    classes
}

/// The first byte behind the string constant that begins at `at`; `None` where it does not end, or holds a backslash:
/// that is a character like any other only while `standard_conforming_strings` is on.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let here = bytes.get(at)?;
        match (here, bytes.get(at + 1)) {
            (b'\\', _) => return None,
            (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// A verdict that holds as it is.
fn firm(verdict: Verdict) -> Observed {
    Observed { verdict, would_deny: None }
}

/// The verdict on bytes that are not UTF-8.
pub(crate) fn unreadable(wall: Wall<'_>, limits: &Limits, bytes: &[u8]) -> Option<Judged> {
    let error = read::read_bytes(bytes, limits).err()?;
    let verdict = Verdict::Deny(Box::new(Denial::from_read_error(error)));
    Some(Judged::new(wall.stamp(), &String::from_utf8_lossy(bytes), firm(verdict)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use palisade_catalog::snapshot::PolicyState;

    #[test]
    fn only_plain_constants_are_masked() {
        for (text, want) in [
            ("SELECT a FROM t WHERE id = 42;", Some("\0SELECT a FROM t WHERE id = ?;")),
            (
                "select a from t1 where id in (1, 22,333) limit 5",
                Some("\0select a from t1 where id in (?, ?,?) limit ?"),
            ),
            ("UPDATE t SET a = a + -5 WHERE id=7", Some("\0UPDATE t SET a = a + -? WHERE id=?")),
            ("SELECT 1.5 + 1", Some("\0SELECT 1.5 + ?")),
            ("SELECT 1e5", None),
            ("SELECT 1_000, 0x1F", None),
            ("SELECT 1234567890", None),
            ("SELECT a1 FROM t2", None),
            ("SELECT 1 WHERE a = '1'", Some("\0SELECT ? WHERE a = '")),
            ("SELECT 'it''s' || 'b', ''", Some("\0SELECT ' || ', '")),
            ("SELECT '\u{e4}''', 'x'::date", Some("\0SELECT ', '::date")),
            ("SELECT 'a'\n'b'", Some("\0SELECT '\n'")),
            ("SELECT 'a", None),
            ("SELECT 'a\\', 1", None),
            ("SELECT E'a'", None),
            ("SELECT U&'a', 1", None),
            ("SELECT date'2020-01-01'", None),
            ("SELECT 1 /* '", None),
            ("SELECT 'a' -- '", None),
            ("SELECT 1 AS \"a\"", None),
            ("SELECT $1 + 1", None),
            ("SELECT 1 -- x", None),
            ("SELECT 1 /* x */", None),
            ("SELECT 1, \u{e4}", None),
            ("SELECT a FROM s.1", None),
        ] {
            assert_eq!(mask(text).map(|m| m.text).as_deref(), want, "{text}");
        }
    }

    fn namespace() -> Namespace {
        Namespace { kind: "owner".into(), schema: "t_a".into(), database: "a".into(), shared: Vec::new() }
    }

    #[test]
    fn texts_share_a_verdict_only_where_constants_do_not_matter() {
        let policy = Policy::new(&PolicyState::default()).unwrap();
        let wall = policy.wall("a");
        let limits = Limits::default();
        let namespace = namespace();
        let verdicts = Verdicts::new(1 << 20);
        for (first, second, shared) in [
            ("SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 2", true),
            ("DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 2", true),
            ("SELECT a FROM public.t WHERE id = 1", "SELECT a FROM public.t WHERE id = 2", false),
            ("SET work_mem = 100", "SET work_mem = 200", false),
            ("SELECT a FROM other.t WHERE id = 1", "SELECT a FROM other.t WHERE id = 2", false),
            ("SELECT a FROM t WHERE b = 'x' AND id = 1", "SELECT a FROM t WHERE b = 'y''z' AND id = 2", true),
            ("INSERT INTO t VALUES ('a')", "INSERT INTO t VALUES ('pg_authid')", true),
            ("SELECT 'a'::regclass", "SELECT 'other.t'::regclass", false),
            ("SELECT '1'::regclass", "SELECT 'other.u'::regclass", false),
            ("SELECT nextval('a')", "SELECT nextval('other.t')", false),
            ("SELECT to_tsvector('english', 'a')", "SELECT to_tsvector('other.x', 'a')", false),
            ("SELECT current_setting('TimeZone')", "SELECT current_setting('data_directory')", false),
            ("COPY t TO STDOUT (FORMAT 'csv')", "COPY t TO STDOUT (FORMAT 'text')", false),
            ("SET application_name = 'a'", "SET application_name = 'b'", false),
            ("CREATE TABLE t (a varchar(1))", "CREATE TABLE t (a varchar(2))", false),
        ] {
            verdicts.judge_query(wall, &limits, &namespace, first);
            let (judged, known) = verdicts.judge_query(wall, &limits, &namespace, second);
            assert_eq!(known, shared, "{second}");
            assert!(known || *judged.text == *second);
            assert!(verdicts.judge(wall, &limits, &namespace, second).0.text == second.into());
        }
    }

    /// A text with other strings in the place of its own; only for texts that have a mask.
    fn with_strings(text: &str, other: &str) -> String {
        let mut out = String::new();
        let mut at = 0;
        while let Some(quote) = text[at..].find('\'') {
            let end = string_end(text.as_bytes(), at + quote).unwrap();
            out.push_str(&format!("{}'{other}'", &text[at..at + quote]));
            at = end;
        }
        out + &text[at..]
    }

    /// All strings in a value.
    fn strings(value: &serde_json::Value) -> Vec<String> {
        match value {
            serde_json::Value::String(text) => vec![text.clone()],
            serde_json::Value::Array(values) => values.iter().flat_map(strings).collect(),
            serde_json::Value::Object(fields) => fields.values().flat_map(strings).collect(),
            _ => Vec::new(),
        }
    }

    /// Every text of the corpora whose verdict is shared is judged alike with any other strings in it.
    #[test]
    fn a_shared_verdict_of_the_corpora_holds_for_every_string() {
        let policy = Policy::new(&PolicyState::default()).unwrap();
        let limits = Limits::default();
        let namespace = namespace();
        let verdicts = Verdicts::new(16 << 20);
        let judged = |text: &str| verdicts.judge(policy.wall("a"), &limits, &namespace, text).0;
        let corpora = [
            include_str!("../../bench/corpus/attacks.jsonl"),
            include_str!("../../bench/corpus/benign.jsonl"),
        ];
        let mut shared = 0;
        let lines = corpora.iter().flat_map(|corpus| corpus.lines());
        for text in lines.flat_map(|line| strings(&serde_json::from_str(line).unwrap())) {
            let text = text.replace("{SA}", "public").replace("{SB}", "t_b");
            let Some(masked) = mask(&text).filter(|masked| masked.strings) else { continue };
            if !judged(&text).ignores_constants(&masked) {
                continue;
            }
            shared += 1;
            for other in [
                "t_b.secret",
                "public.t",
                "18046",
                "",
                "pg_authid",
                "search_path",
                "a.b.c.d",
                "-",
                "{1,2}",
                "x y",
            ] {
                let other = with_strings(&text, other);
                let Outcome::Permit { permit, .. } = &judged(&other).outcome else {
                    panic!("{other} is refused, {text} is not")
                };
                assert_eq!(
                    (&permit.rewritten, mask(&other).map(|m| m.text)),
                    (&None, Some(masked.text.clone())),
                    "{other}"
                );
            }
        }
        assert!(shared > 30, "only {shared} texts share their verdict");
    }
}
