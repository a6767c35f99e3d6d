//! The same statements through Palisade and to a private database that has no other tenant: the answers must be equal.
//!
//! Rows, tags, columns, codes and words are compared, message by message. Numbers of objects differ between databases:
//! they must differ everywhere in the same way. Differences that are known stand in `twin/known.txt` with their reason.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::generate::Generator;
use crate::lab::{Lab, Tokens};
use crate::victim::one;
use crate::wire::{Address, Ended, Wire, extended, extended_with, messages, simple};

/// What applications, tools and ORMs send; its format is described in `bench/corpus/README.md`.
const CORPUS: &str = include_str!("../../corpus/benign.jsonl");
/// The tables of the corpus's application, between two of its headings.
const LAB: &str = include_str!("../../corpus/leaklab.sql");
/// Differences that are known: what stands in the statement, what stands in either answer, why; tab-separated.
const KNOWN: &str = include_str!("twin/known.txt");
/// First number of an object that is not PostgreSQL's own.
const FIRST_NUMBER: u64 = 16_384;
/// Most differences that are kept; more are counted.
const MOST_DIFFERENCES: usize = 100;
/// What of an answer is kept of a difference, in bytes.
const KEPT_BYTES: usize = 600;
/// Generated statements on one pair of connections.
const STATEMENTS: usize = 500;

/// What stands before the number of a column's table.
const TABLE: &str = " table ";

/// A known difference that is found by looking.
const ORDER: &str = "rows come in another order than their ORDER BY asks for, or leaves open";

/// Makes the statements that empty what a tenant of the usual template has.
const EMPTY: &str = "SELECT coalesce(string_agg(sql, '; '), 'SELECT 1') FROM (
  SELECT format('DROP TABLE IF EXISTS public.%I CASCADE', relname) AS sql FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  UNION ALL SELECT format('DROP FUNCTION IF EXISTS public.%I CASCADE', proname) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace) s";

/// A tenant, and the private database that must answer as it does.
pub struct Pair {
    /// Through the proxy.
    pub palisade: Address,
    /// Straight to PostgreSQL, as an ordinary role that owns the schema `public`.
    pub private: Address,
}

/// Two answers that should be equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The case of the corpus, or the class of the generated statement.
    pub class: String,
    /// The statement.
    pub statement: String,
    /// Where the two answers begin to differ: Palisade's.
    pub palisade: String,
    /// And the private database's.
    pub private: String,
}

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// How long it took.
    pub seconds: f64,
    /// Statements that both were asked.
    pub statements: u64,
    /// Equal answers.
    pub equal: u64,
    /// Differences that are known, by reason.
    pub known: BTreeMap<String, u64>,
    /// All others.
    pub unknown: u64,
    /// Some of them.
    pub differences: Vec<Difference>,
}

/// Asks both the corpus, then generated statements until the time is over or `stop` is set.
///
/// # Errors
/// The tables cannot be made, or a side is lost.
pub fn compare(pair: &Pair, duration: Duration, seed: u64, stop: &AtomicBool) -> Result<Compared> {
    let began = Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let lab = Lab {
        slug: pair.palisade.database.clone(),
        schema: "public".into(),
        space: "public".into(),
        tokens: Tokens::random(&mut rng),
    };
    for address in [&pair.palisade, &pair.private] {
        prepare(address, &lab).with_context(|| format!("the tables in {}", address.database))?;
    }
    let mut twins = Twins::new(pair);
    for case in CORPUS.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        twins.case(&case)?;
    }
    let labs = [lab];
    let generator = Generator::new(&labs, &[]);
    while began.elapsed() < duration && !stop.load(Ordering::Relaxed) {
        twins.generated(&generator, &mut rng, began + duration)?;
    }
    twins.compared.seconds = began.elapsed().as_secs_f64();
    Ok(twins.compared)
}

/// Makes the same tables on one side.
fn prepare(address: &Address, lab: &Lab) -> Result<()> {
    let begin = LAB.find("CREATE TYPE item_state").context("the corpus's tables begin")?;
    let end = LAB.find("---------------------------------------------------------------- tenant B");
    let tables: String = LAB[begin..end.context("the corpus's tables end")?]
        .lines()
        .filter(|line| {
            !line.starts_with("RESET SESSION")
                && ![":\"SA\"", ":\"RA\""].iter().any(|name| line.contains(name))
                && !line.starts_with('\\')
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let mut wire = Wire::open(address)?;
    let empty = one(&mut wire, EMPTY)?.concat();
    for sql in [&empty, &tables, &lab.sql()] {
        one(&mut wire, sql)?;
    }
    Ok(())
}

/// Both sides.
struct Twins<'p> {
    pair: &'p Pair,
    known: Vec<[&'static str; 3]>,
    /// Numbers of objects: Palisade's, and the private database's.
    numbers: HashMap<u64, u64>,
    compared: Compared,
}

impl<'p> Twins<'p> {
    fn new(pair: &'p Pair) -> Self {
        let known = KNOWN
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .filter_map(|line| line.split('\t').collect::<Vec<_>>().try_into().ok())
            .collect();
        Self { pair, known, numbers: HashMap::new(), compared: Compared::default() }
    }

    fn open(&self) -> Result<(Wire, Wire)> {
        Ok((Wire::open(&self.pair.palisade)?, Wire::open(&self.pair.private)?))
    }

    /// A case of the corpus, on fresh connections. Cases with several sessions or raw messages are left to its runner.
    fn case(&mut self, case: &Value) -> Result<()> {
        let class = format!("{} {}", text(&case["id"]), text(&case["class"]));
        let steps = case["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let Some(steps) = steps.iter().map(|step| step_bytes(step, case)).collect::<Option<Vec<_>>>() else {
            return Ok(());
        };
        let mut wires = self.open()?;
        for (sql, bytes) in steps {
            if !self.ask(&mut wires, &class, &sql, &bytes) {
                break;
            }
        }
        Ok(())
    }

    /// Generated statements on one pair of connections, each taken back.
    fn generated(&mut self, generator: &Generator<'_>, rng: &mut StdRng, until: Instant) -> Result<()> {
        let mut wires = self.open()?;
        for _ in 0..STATEMENTS {
            if Instant::now() > until {
                break;
            }
            let attack = generator.next(rng);
            if matches!(attack.class, "catalog" | "object number") || attack.sql.contains("COMMIT") {
                // Others' objects are no part of these answers, numbers differ, and what is kept differs from then on.
                continue;
            }
            let bytes = if rng.random_range(0..3) == 0 { extended(&attack.sql) } else { simple(&attack.sql) };
            let begun = [&mut wires.0, &mut wires.1]
                .into_iter()
                .all(|wire| wire.ask(&simple("BEGIN"), 1) == Ended::Ready);
            if !begun || !self.ask(&mut wires, attack.class, &attack.sql, &bytes) {
                break;
            }
            for wire in [&mut wires.0, &mut wires.1] {
                wire.ask(&simple("ROLLBACK"), 1);
            }
        }
        Ok(())
    }

    /// Asks both sides. Whether both go on.
    fn ask(&mut self, wires: &mut (Wire, Wire), class: &str, sql: &str, bytes: &[u8]) -> bool {
        let ended = (wires.0.ask(bytes, 1), wires.1.ask(bytes, 1));
        self.compared.statements += 1;
        let mut palisade = words(&wires.0.received, &self.pair.palisade, &self.pair.palisade);
        let mut private = words(&wires.1.received, &self.pair.private, &self.pair.palisade);
        if !sql.to_ascii_lowercase().contains("order by") {
            any_order(&mut palisade);
            any_order(&mut private);
        }
        match self.first_difference(&palisade, &private) {
            None => self.compared.equal += 1,
            // Many rows of the catalogs are equal in what tools order them by.
            Some(_) if class.contains("introspection") => {
                any_order(&mut palisade);
                any_order(&mut private);
                match self.first_difference(&palisade, &private) {
                    None => *self.compared.known.entry(ORDER.to_owned()).or_default() += 1,
                    Some((ours, theirs)) => self.differ(class, sql, ours, theirs),
                }
            }
            Some((ours, theirs)) => self.differ(class, sql, ours, theirs),
        }
        ended == (Ended::Ready, Ended::Ready)
    }

    /// Whether two messages are equal but for the numbers of objects, which must always be the same two. The table that
    /// a column says it is from may be a filtered view where the private database has a catalog.
    fn same(&mut self, ours: &str, theirs: &str) -> bool {
        if ours == theirs {
            return true;
        }
        let (ours, theirs) = (pieces(ours), pieces(theirs));
        let mut before = "";
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(ours, theirs)| {
                let least = if before.ends_with(TABLE) { 1 } else { FIRST_NUMBER };
                before = ours;
                *ours == theirs
                    || match (ours.parse::<u64>(), theirs.parse::<u64>()) {
                        (Ok(ours), Ok(theirs)) if ours >= FIRST_NUMBER && theirs >= least => {
                            *self.numbers.entry(ours).or_insert(theirs) == theirs
                        }
                        _ => false,
                    }
            })
    }

    /// The first two messages that are not the same.
    fn first_difference(&mut self, palisade: &[String], private: &[String]) -> Option<(String, String)> {
        (0..palisade.len().max(private.len())).find_map(|at| {
            let (ours, theirs) = (palisade.get(at).cloned(), private.get(at).cloned());
            let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
            (!self.same(&ours, &theirs)).then_some((ours, theirs))
        })
    }

    fn differ(&mut self, class: &str, sql: &str, ours: String, theirs: String) {
        let lower = sql.to_ascii_lowercase().replace(|c: char| c.is_ascii_whitespace(), " ");
        let known = self.known.iter().find(|[statement, answer, _]| {
            (*statement == "*" || lower.contains(statement) || class.starts_with(statement))
                && (*answer == "*" || ours.contains(answer) || theirs.contains(answer))
        });
        if let Some([_, _, reason]) = known {
            *self.compared.known.entry((*reason).to_owned()).or_default() += 1;
            return;
        }
        self.compared.unknown += 1;
        if self.compared.differences.len() < MOST_DIFFERENCES {
            let from = begins(&ours, &theirs);
            self.compared.differences.push(Difference {
                class: class.to_owned(),
                statement: shown(sql),
                palisade: shown(&ours[from..]),
                private: shown(&theirs[from..]),
            });
        }
    }
}

/// Rows that nobody has put in order are compared in one of ours: without the numbers of objects, which differ.
fn any_order(answer: &mut [String]) {
    let key = |row: &String| {
        let numbers = |piece: &&str| piece.parse::<u64>().is_ok_and(|number| number >= FIRST_NUMBER);
        pieces(row).into_iter().filter(|piece| !numbers(piece)).collect::<String>()
    };
    for rows in answer.chunk_by_mut(|a, b| a.starts_with("D ") && b.starts_with("D ")) {
        rows.sort_by_cached_key(key);
    }
}

/// A little before two answers begin to differ; 0 where that is near their beginning.
fn begins(ours: &str, theirs: &str) -> usize {
    let number = |piece: &str| piece.parse::<u64>().is_ok_and(|number| number >= FIRST_NUMBER);
    let pairs = pieces(ours).into_iter().zip(pieces(theirs));
    let equal =
        pairs.take_while(|(a, b)| a == b || number(a) && number(b)).map(|(a, _)| a.len()).sum::<usize>();
    let from = equal.saturating_sub(KEPT_BYTES / 4);
    (0..=from).rev().find(|&at| ours.is_char_boundary(at) && theirs.is_char_boundary(at)).unwrap_or(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn shown(text: &str) -> String {
    let end = (0..=KEPT_BYTES.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].replace(|c: char| c.is_control() && c != '\n', " ")
}

/// A step of the corpus as text and as bytes; nothing where it is more than one statement of one session.
fn step_bytes(step: &Value, case: &Value) -> Option<(String, Vec<u8>)> {
    let known = ["sql", "params", "types", "pfmt", "proto", "expect_rows", "optional"];
    if let Some(object) = step.as_object()
        && object.keys().any(|key| !known.contains(&key.as_str()))
    {
        return None;
    }
    let sql = step.as_str().or(step["sql"].as_str())?.replace("{SA}", "public").replace("{RA}", "owner");
    if sql.contains('{') && case["vars"].is_object() {
        return None;
    }
    let parameters: Vec<String> = step["params"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|value| value.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    if parameters.iter().any(|value| value.starts_with("hex:")) {
        return None;
    }
    let types = step["types"].as_array().into_iter().flatten();
    let types: Vec<u32> = types.filter_map(Value::as_u64).filter_map(|n| u32::try_from(n).ok()).collect();
    let by_extended = step["proto"] == "extended" || case["protocol"] == "extended";
    let bytes = if by_extended { extended_with(&sql, &types, &parameters) } else { simple(&sql) };
    Some((sql, bytes))
}

/// Digits, and what stands between them.
fn pieces(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begin = 0;
    let bytes = text.as_bytes();
    for at in 1..bytes.len() {
        if bytes[at].is_ascii_digit() != bytes[at - 1].is_ascii_digit() {
            found.push(&text[begin..at]);
            begin = at;
        }
    }
    found.push(&text[begin..]);
    found
}

/// An answer as words, message by message, with `own` names written as `shown`'s.
fn words(received: &[u8], own: &Address, shown: &Address) -> Vec<String> {
    messages(received)
        .filter(|(tag, _)| !matches!(tag, b'A' | b'K'))
        .map(|(tag, body)| {
            let said = match tag {
                b'E' | b'N' => fields(body),
                b'T' => columns(body),
                b'Z' | b'C' | b'S' | b'd' => String::from_utf8_lossy(body).into_owned(),
                b'D' => row(body),
                b't' => numbers(body),
                _ => format!("{body:?}"),
            };
            let said = said.replace(&own.user, &shown.user).replace(&own.database, &shown.database);
            format!("{} {said}", char::from(tag))
        })
        .collect()
}

/// An error or a notice without the place in the server's source.
fn fields(body: &[u8]) -> String {
    body.split(|byte| *byte == 0)
        .filter(|field| !matches!(field.first(), None | Some(b'F' | b'L' | b'R')))
        .map(|field| String::from_utf8_lossy(field).into_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn row(body: &[u8]) -> String {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push("NULL".to_owned());
            rest = after;
            continue;
        };
        let Some((value, after)) = after.split_at_checked(length) else { break };
        values.push(format!("[{}]", String::from_utf8_lossy(value)));
        rest = after;
    }
    values.join(" ")
}

/// Names, types and formats of columns; whether each is a table's.
fn columns(body: &[u8]) -> String {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let (name, after) = rest.split_at(end);
        let Some((facts, after)) = after[1..].split_first_chunk::<18>() else { break };
        let four = |at: usize| u32::from_be_bytes([facts[at], facts[at + 1], facts[at + 2], facts[at + 3]]);
        found.push(format!(
            "{}{TABLE}{} column {} type {} modifier {} format {}",
            String::from_utf8_lossy(name),
            four(0),
            u16::from_be_bytes([facts[4], facts[5]]),
            four(6),
            four(12),
            u16::from_be_bytes([facts[16], facts[17]])
        ));
        rest = after;
    }
    found.join(", ")
}

/// Types of parameters.
fn numbers(body: &[u8]) -> String {
    let types = body.get(2..).unwrap_or_default().chunks_exact(4);
    types.map(|n| u32::from_be_bytes([n[0], n[1], n[2], n[3]]).to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(user: &str, database: &str) -> Address {
        Address { host: String::new(), user: user.into(), password: String::new(), database: database.into() }
    }

    #[test]
    fn numbers_of_objects_may_differ_in_one_way_only() {
        let pair = Pair { palisade: address("owner", "acme"), private: address("role_x", "twin_x") };
        let mut twins = Twins::new(&pair);
        assert!(twins.same("D [relation 20001 of 3]", "D [relation 30001 of 3]"));
        assert!(twins.same("D [20001] [20002]", "D [30001] [30002]"));
        assert!(!twins.same("D [20001]", "D [30002]"), "another pair than before");
        assert!(!twins.same("D [relation 4]", "D [relation 5]"), "no number of an object");
        assert!(!twins.same("D [x]", "D [x] [y]"));
        assert!(twins.same("T oid table 20100 column 1", "T oid table 1259 column 1"), "a catalog's view");
        assert!(!twins.same("T oid table 20100 column 1", "T oid table 2615 column 1"), "another catalog");
        assert!(!twins.same("D [20101]", "D [1259]"), "a number in a row");
    }

    #[test]
    fn answers_are_compared_as_words() {
        let mut body =
            b"SERROR\0VERROR\0C42501\0Mpermission denied for role_x of twin_x\0Faclchk.c\0L1\0Rx\0\0"
                .to_vec();
        let mut received = vec![b'E'];
        received.extend(u32::try_from(body.len() + 4).unwrap_or_default().to_be_bytes());
        received.append(&mut body);
        let said = words(&received, &address("role_x", "twin_x"), &address("owner", "acme"));
        assert_eq!(said, ["E SERROR\nVERROR\nC42501\nMpermission denied for owner of acme"]);
    }

    #[test]
    fn rows_without_an_order_are_compared_in_any() {
        let mut answer =
            ["T x", "D [20002] [b]", "D [20003] [a]", "C SELECT 2", "D [2]", "D [1]"].map(String::from);
        any_order(&mut answer);
        assert_eq!(answer, ["T x", "D [20003] [a]", "D [20002] [b]", "C SELECT 2", "D [1]", "D [2]"]);
    }

    #[test]
    fn every_known_difference_has_its_reason() {
        let pair = Pair { palisade: address("a", "b"), private: address("c", "d") };
        let lines = KNOWN.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count();
        let twins = Twins::new(&pair);
        assert_eq!(twins.known.len(), lines);
        assert!(twins.known.iter().flatten().all(|part| !part.is_empty()));
    }
}
