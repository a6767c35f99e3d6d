//! A template as files: migrations (`V1__init.sql` …) and their undos (`U2__….sql`), read and judged before anything
//! runs. Pure but for [`read_folder`]; needs a deep stack.

use std::ops::Range;
use std::path::Path;

use palisade_policies::effect::{Effect, Kind};
use palisade_policies::{Judge, Limits, Namespace, Statement, Verdict, read};
use sha2::{Digest, Sha256};

/// Most files of one template.
pub(crate) const FILES: usize = 2_000;
/// Most statements of one file.
const STATEMENTS: usize = 10_000;
/// Longest file, in bytes.
const FILE_BYTES: usize = 1 << 20;
/// Longest name of a template, in bytes.
const NAME_BYTES: usize = 48;

/// Why a template is refused: where, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", place(.file, .line))]
pub(crate) struct Refusal {
    pub(crate) file: Option<String>,
    /// From 1.
    pub(crate) line: Option<usize>,
    pub(crate) reason: String,
}

fn place(file: &Option<String>, line: &Option<usize>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("file {file}, line {line}: "),
        (Some(file), None) => format!("file {file}: "),
        _ => String::new(),
    }
}

impl Refusal {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { file: None, line: None, reason: reason.into() }
    }

    pub(crate) fn of(file: &str, line: impl Into<Option<usize>>, reason: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), line: line.into(), reason: reason.into() }
    }
}

/// One file that may run.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) file: String,
    pub(crate) body: String,
    /// SHA-256 of the body, hexadecimal.
    pub(crate) checksum: String,
    /// Where each statement stands in the body.
    pub(crate) statements: Vec<Range<usize>>,
}

impl Script {
    /// The line that a byte of the body stands on, from 1. White space in front of a statement does not count.
    pub(crate) fn line(&self, byte: usize) -> usize {
        line_at(&self.body, byte)
    }
}

/// One version: how to reach it, and, where there is an undo, how to leave it.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    pub(crate) version: i32,
    pub(crate) script: Script,
    pub(crate) undo: Option<Script>,
}

/// A template that may be tried.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// In the order of versions; at least one.
    pub(crate) migrations: Vec<Migration>,
}

/// The example template.
pub(crate) fn example() -> Vec<(String, String)> {
    vec![("V1__init.sql".to_owned(), include_str!("../../migrations/tenant/V1__init.sql").to_owned())]
}

/// The `.sql` files of a folder.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, Refusal> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|e| Refusal::new(format!("folder {shown}: {e}")))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Refusal::new(format!("folder {shown}: {e}")))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".sql") {
            continue;
        }
        let text =
            std::fs::read_to_string(entry.path()).map_err(|e| Refusal::of(&name, None, e.to_string()))?;
        files.push((name, text));
    }
    Ok(files)
}

/// Orders the files and refuses what must not run in a tenant.
pub(crate) fn compile(
    name: &str,
    files: Vec<(String, String)>,
    judge: &Judge,
    limits: &Limits,
) -> Result<Source, Refusal> {
    check_name(name)?;
    if files.len() > FILES {
        return Err(Refusal::new(format!("the template has {} files and {FILES} are allowed", files.len())));
    }
    let limits = Limits { statements: STATEMENTS, ..*limits };
    let (mut migrations, mut undos) = (Vec::<Migration>::new(), Vec::new());
    for (file, body) in files {
        let (undo, version) = version_of(&file)?;
        let script = check(file, body, judge, &limits)?;
        if undo {
            undos.push((version, script))
        } else {
            migrations.push(Migration { version, script, undo: None })
        }
    }
    migrations.sort_by_key(|m| m.version);
    if let Some(pair) = migrations.windows(2).find(|pair| pair[0].version == pair[1].version) {
        let reason = format!("has the same version as {}", pair[0].script.file);
        return Err(Refusal::of(&pair[1].script.file, None, reason));
    }
    let Some(first) = migrations.first().map(|m| m.version) else {
        return Err(Refusal::new("there is no V<number>__<name>.sql"));
    };
    for (version, script) in undos {
        let found = migrations.iter_mut().find(|m| m.version == version);
        let file = script.file.clone();
        match found {
            None => {
                return Err(Refusal::of(
                    &file,
                    None,
                    format!("there is no V{version}__….sql that it undoes"),
                ));
            }
            Some(_) if version == first => {
                return Err(Refusal::of(&file, None, "the first version has none before it to go back to"));
            }
            Some(m) if m.undo.is_some() => {
                return Err(Refusal::of(&file, None, format!("version {version} has another undo already")));
            }
            Some(m) => m.undo = Some(script),
        }
    }
    Ok(Source { name: name.to_owned(), migrations })
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let good = !name.is_empty()
        && name.len() <= NAME_BYTES
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if good {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "a template's name has 1 to {NAME_BYTES} characters: lower-case letters, digits, hyphens, underscores"
    )))
}

/// Whether a file is an undo, and its version, by Flyway's naming.
fn version_of(file: &str) -> Result<(bool, i32), Refusal> {
    let parse = || {
        let stem = file.strip_suffix(".sql")?;
        let (undo, rest) = match stem.strip_prefix('V') {
            Some(rest) => (false, rest),
            None => (true, stem.strip_prefix('U')?),
        };
        let (version, name) = rest.split_once("__")?;
        let version = version.parse::<i32>().ok().filter(|v| *v > 0)?;
        (!name.is_empty()).then_some((undo, version))
    };
    parse().ok_or_else(|| {
        Refusal::of(file, None, "must be called V<number>__<name>.sql or U<number>__<name>.sql")
    })
}

/// Why a statement cannot stand in a template, where it cannot: it ends or needs its own transaction, or changes the
/// session that runs it.
fn misfit(statement: &Statement, text: &str) -> Option<String> {
    let session = statement.kind == Kind::Session && !matches!(statement.verb, "LOCK" | "SET CONSTRAINTS");
    let alone = matches!(statement.verb, "VACUUM" | "CLUSTER");
    let effects = statement.effects.iter().all(|e| matches!(e, Effect::SequenceState | Effect::Opaque));
    if session || alone || !effects {
        return Some(format!("{} cannot stand in a template", statement.verb));
    }
    text.to_ascii_uppercase()
        .contains("CONCURRENTLY")
        .then(|| "CONCURRENTLY cannot run in the tenant's one transaction".to_owned())
}

/// A template may do what a tenant's owner may, in its own schema, and cannot end the transaction that it runs in.
fn check(file: String, body: String, judge: &Judge, limits: &Limits) -> Result<Script, Refusal> {
    if body.len() > FILE_BYTES {
        return Err(Refusal::of(&file, None, format!("is longer than {FILE_BYTES} bytes")));
    }
    // The text runs as it stands, so names must be written without a schema.
    let namespace = Namespace {
        kind: "owner".into(),
        schema: "t_template".into(),
        database: "template".into(),
        shared: vec![],
    };
    let reading = read::read(&body, limits)
        .map_err(|e| Refusal::of(&file, e.position.map(|p| line_of(&body, p)), e.to_string()))?;
    for statement in &reading.statements {
        if let Some(reason) = misfit(statement, &body[statement.range.clone()]) {
            return Err(Refusal::of(&file, line_at(&body, statement.range.start), reason));
        }
    }
    match judge.judge(&body, &reading, &namespace, limits) {
        Verdict::Permit(permit) if permit.rewritten.is_none() => {}
        Verdict::Permit(_) => {
            let reason = "names must be written without \"public.\" or a catalog's schema";
            return Err(Refusal::of(&file, None, reason));
        }
        Verdict::Deny(denial) => {
            let at = reading.statements.get(denial.statement).map_or(1, |s| line_at(&body, s.range.start));
            return Err(Refusal::of(&file, at, denial.message));
        }
    }
    let checksum = hex(&Sha256::digest(body.as_bytes()));
    let statements = reading.statements.into_iter().map(|s| s.range).collect();
    Ok(Script { file, body, checksum, statements })
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The line of a character that PostgreSQL counts from 1.
pub(crate) fn line_of(text: &str, position: usize) -> usize {
    let byte = text.char_indices().nth(position.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    line_at(text, byte)
}

/// The line of a byte; white space in front of a statement does not count.
pub(crate) fn line_of_byte(text: &str, byte: usize) -> usize {
    line_at(text, byte)
}

fn line_at(text: &str, byte: usize) -> usize {
    let start = text[byte..].find(|c: char| !c.is_whitespace()).map_or(byte, |skip| byte + skip);
    text[..start].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(files: &[(&str, &str)]) -> Result<Source, String> {
        let judge = Judge::embedded().unwrap();
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        compile("x", files, &judge, &Limits::default()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_example_template_is_good() {
        let judge = Judge::embedded().unwrap();
        let source = compile("default", example(), &judge, &Limits::default()).unwrap();
        assert_eq!(source.migrations.len(), 1);
        assert!(source.migrations[0].script.statements.len() > 5);
    }

    #[test]
    fn files_are_ordered_by_number_and_undos_find_their_version() {
        let table = "CREATE TABLE a (b int)";
        let source = compiled(&[
            ("V10__c.sql", "CREATE TABLE c (b int)"),
            ("V2__b.sql", "CREATE TABLE b (b int)"),
            ("U10__c.sql", "DROP TABLE c"),
            ("V1__a.sql", table),
        ])
        .unwrap();
        let got: Vec<_> = source.migrations.iter().map(|m| (m.version, m.undo.is_some())).collect();
        assert_eq!(got, [(1, false), (2, false), (10, true)]);
        for (files, want) in [
            (vec![("V1__a.sql", table), ("V01__b.sql", table)], "same version"),
            (vec![("V1__a.sql", table), ("U2__b.sql", "DROP TABLE a")], "no V2__"),
            (vec![("V1__a.sql", table), ("U1__a.sql", "DROP TABLE a")], "none before it"),
            (vec![("init.sql", table)], "must be called"),
            (vec![("V0__a.sql", table)], "must be called"),
            (vec![], "there is no V"),
        ] {
            let error = compiled(&files).unwrap_err();
            assert!(error.contains(want), "{files:?}: {error}");
        }
    }

    #[test]
    fn templates_that_reach_out_are_refused_with_file_and_line() {
        for (text, want) in [
            ("CREATE TABLE a (b int);\nCOMMIT", "line 2: COMMIT"),
            ("CREATE TABLE other.a (b int)", "line 1: schema \"other\" does not exist"),
            ("\n\nCREATE ROLE x", "line 3: permission denied to create role"),
            ("CREATE EXTENSION hstore", "permission denied to create extension"),
            ("SET search_path = x", "SET cannot stand"),
            ("RESET ROLE", "SET cannot stand"),
            ("COPY a FROM STDIN", "COPY FROM cannot stand"),
            ("CREATE TEMP TABLE a (b int)", "cannot stand"),
            ("CREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY i ON a (b)", "line 2: CONCURRENTLY"),
            ("CREATE TABLE public.a (b int)", "without \"public.\""),
            ("CREATE TABEL a ()", "line 1: syntax error"),
        ] {
            let error = compiled(&[("V1__x.sql", text)]).unwrap_err();
            assert!(error.contains("V1__x.sql") && error.contains(want), "{text}: {error}");
        }
    }
}
