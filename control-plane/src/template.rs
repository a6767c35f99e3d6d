//! A template: a folder of migrations (`V1__init.sql` …), compiled into one script and judged before it may be used.

use std::fmt::Write;

use palisade_policies::{Judge, Limits, Namespace, Verdict, read};
use sha2::{Digest, Sha256};

use crate::config::ControlPlaneConfig;

/// A template that may be used.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) name: String,
    /// The highest migration's number.
    pub(crate) version: i32,
    /// SHA-256 over all files, hexadecimal.
    pub(crate) checksum: String,
    /// All migrations in order: what makes a new tenant.
    pub(crate) script: String,
}

impl Template {
    /// Reads the configured folder, or takes the example template, and refuses one that reaches beyond its schema.
    pub(crate) fn load(config: &ControlPlaneConfig, judge: &Judge, limits: &Limits) -> Result<Self, String> {
        let files = match &config.template_dir {
            Some(folder) => read_folder(folder)?,
            None => vec![(
                1,
                "V1__init.sql".to_owned(),
                include_str!("../../migrations/tenant/V1__init.sql").to_owned(),
            )],
        };
        compile(&config.template_name, files, judge, limits)
    }
}

fn read_folder(folder: &std::path::Path) -> Result<Vec<(i32, String, String)>, String> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|e| format!("folder {shown}: {e}"))?;
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".sql") else { continue };
        let version =
            stem.strip_prefix('V').and_then(|s| s.split_once("__")).and_then(|(v, _)| v.parse().ok());
        let version = version.ok_or_else(|| format!("file {name} must be called V<number>__<name>.sql"))?;
        let text = std::fs::read_to_string(entry.path()).map_err(|e| format!("file {name}: {e}"))?;
        files.push((version, name, text));
    }
    Ok(files)
}

fn compile(
    name: &str,
    mut files: Vec<(i32, String, String)>,
    judge: &Judge,
    limits: &Limits,
) -> Result<Template, String> {
    files.sort();
    if let Some(pair) = files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("files {} and {} have the same version", pair[0].1, pair[1].1));
    }
    let version = files.last().map(|f| f.0).ok_or("folder holds no V<number>__<name>.sql")?;
    let mut digest = Sha256::new();
    let mut script = String::new();
    for (_, file, text) in &files {
        check(file, text, judge, limits)?;
        digest.update(file.as_bytes());
        digest.update([0]);
        digest.update(text.as_bytes());
        script.push_str(text);
        script.push_str("\n;\n");
    }
    let checksum = digest.finalize().iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    });
    Ok(Template { name: name.to_owned(), version, checksum, script })
}

/// A template may do what a tenant's owner may, in its own schema, and cannot end the transaction that it runs in.
fn check(file: &str, text: &str, judge: &Judge, limits: &Limits) -> Result<(), String> {
    // The text runs as it stands, so names must be written without a schema.
    let namespace = Namespace {
        kind: "owner".into(),
        schema: "t_template".into(),
        database: "template".into(),
        shared: vec![],
    };
    let reading =
        read::read(text, limits).map_err(|e| format!("file {file}{}: {e}", line_of(text, e.position)))?;
    let verbs = ["BEGIN", "COMMIT", "ROLLBACK", "SET", "DISCARD", "LISTEN", "PREPARE", "VACUUM", "CLUSTER"];
    for statement in &reading.statements {
        let line = line_at(text, statement.range.start);
        if verbs.contains(&statement.verb) {
            return Err(format!("file {file}, line {line}: {} cannot stand in a template", statement.verb));
        }
        if text[statement.range.clone()].to_ascii_uppercase().contains("CONCURRENTLY") {
            return Err(format!(
                "file {file}, line {line}: CONCURRENTLY cannot run in the tenant's one transaction"
            ));
        }
    }
    match judge.judge(text, &reading, &namespace, limits) {
        Verdict::Permit(permit) if permit.rewritten.is_none() => Ok(()),
        Verdict::Permit(_) => {
            Err(format!("file {file}: names must be written without \"public.\" or a catalog's schema"))
        }
        Verdict::Deny(denial) => {
            let at = reading.statements.get(denial.statement).map_or(1, |s| line_at(text, s.range.start));
            Err(format!("file {file}, line {at}: {}", denial.message))
        }
    }
}

fn line_of(text: &str, position: Option<usize>) -> String {
    position.map_or(String::new(), |p| {
        let byte = text.char_indices().nth(p.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        format!(", line {}", line_at(text, byte))
    })
}

fn line_at(text: &str, byte: usize) -> usize {
    let start = text[byte..].find(|c: char| !c.is_whitespace()).map_or(byte, |skip| byte + skip);
    text[..start].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(text: &str) -> Result<Template, String> {
        let judge = Judge::embedded().unwrap();
        compile("x", vec![(1, "V1__x.sql".into(), text.into())], &judge, &Limits::default())
    }

    #[test]
    fn the_example_template_is_good() {
        let template = compiled(include_str!("../../migrations/tenant/V1__init.sql")).unwrap();
        assert_eq!((template.version, template.checksum.len()), (1, 64));
    }

    #[test]
    fn templates_that_reach_out_are_refused_with_file_and_line() {
        for (text, want) in [
            ("CREATE TABLE a (b int);\nCOMMIT", "line 2: COMMIT"),
            ("CREATE TABLE other.a (b int)", "line 1: schema \"other\" does not exist"),
            ("\n\nCREATE ROLE x", "line 3: permission denied to create role"),
            ("CREATE EXTENSION hstore", "permission denied to create extension"),
            ("SET search_path = x", "SET cannot stand"),
            ("CREATE TABLE a (b int);\nCREATE INDEX CONCURRENTLY i ON a (b)", "line 2: CONCURRENTLY"),
            ("CREATE TABLE public.a (b int)", "without \"public.\""),
            ("CREATE TABEL a ()", "line 1: syntax error"),
        ] {
            let error = compiled(text).unwrap_err();
            assert!(error.contains("V1__x.sql") && error.contains(want), "{text}: {error}");
        }
    }
}
