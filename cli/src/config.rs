//! One TOML file plus environment variables; all errors at once.
//!
//! A variable `PALISADE__PROXY__LISTEN` overrides the key `listen` of the table `[proxy]`; more double underscores go
//! deeper. Its text is read as a TOML value where it is one (`10`, `true`, `["a"]`), else as a string.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What the variables begin with.
const PREFIX: &str = "PALISADE__";
/// Most errors that are reported of one file.
const MOST_ERRORS: usize = 50;

/// Reads the file (if one is named) and lays the variables over it.
pub(crate) fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Table> {
    let mut table = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("reading the configuration {}", file.display()))?;
            text.parse::<Table>()
                .with_context(|| format!("the configuration {} is not TOML", file.display()))?
        }
        None => Table::new(),
    };
    for (name, text) in variables {
        if let Some(path) = name.strip_prefix(PREFIX) {
            let keys: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
            set(&mut table, &keys, parse(&text)).with_context(|| format!("the variable {name}"))?;
        }
    }
    Ok(table)
}

fn parse(text: &str) -> Value {
    format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Puts a value at a path of keys; tables on the way are made.
pub(crate) fn set(table: &mut Table, keys: &[String], value: Value) -> Result<()> {
    let [first, rest @ ..] = keys else { bail!("names no key") };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return Ok(());
    }
    let below = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
    match below {
        Value::Table(below) => set(below, rest, value),
        _ => bail!("{first} is not a table"),
    }
}

/// Reads one table into its struct and reports every error in it, not only the first: what is wrong is taken out and
/// the rest is read again.
pub(crate) fn section<T: DeserializeOwned>(table: &Table, name: &str, errors: &mut Vec<String>) -> Option<T> {
    let mut value = table.get(name).cloned().unwrap_or_else(|| Value::Table(Table::new()));
    let before = errors.len();
    while errors.len() - before < MOST_ERRORS {
        match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(read) if errors.len() == before => return Some(read),
            Ok(_) => return None,
            Err(error) => {
                let path = error.path().to_string();
                let at = if path == "." { format!("[{name}]") } else { format!("[{name}] {path}") };
                errors.push(format!("{at}: {}", error.inner().message()));
                if !remove(&mut value, &path) {
                    return None;
                }
            }
        }
    }
    None
}

fn remove(value: &mut Value, path: &str) -> bool {
    let mut here = value;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        let Value::Table(table) = here else { return false };
        if keys.peek().is_none() {
            return table.remove(key).is_some();
        }
        match table.get_mut(key) {
            Some(below) => here = below,
            None => return false,
        }
    }
    false
}

/// Turns collected errors into one, a line each.
pub(crate) fn all_or_nothing(errors: &[String]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    bail!("the configuration has {} error(s):\n  - {}", errors.len(), errors.join("\n  - "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        port: u16,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        deep: Deep,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Deep {
        #[serde(default)]
        wait_ms: u64,
    }

    fn variables(list: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn variables_override_the_file() {
        let given = [
            ("PALISADE__S__PORT", "7"),
            ("PALISADE__S__NAME", "x"),
            ("PALISADE__S__DEEP__WAIT_MS", "9"),
            ("OTHER", "1"),
        ];
        let table = load(None, variables(&given)).unwrap();
        let mut errors = Vec::new();
        let sample: Sample = section(&table, "s", &mut errors).unwrap();
        assert_eq!((sample.port, sample.name.as_deref(), sample.deep.wait_ms), (7, Some("x"), 9));
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let table: Table = "[s]\nport = \"x\"\nname = 3\n[s.deep]\nwait_ms = -1\n".parse().unwrap();
        let mut errors = Vec::new();
        assert!(section::<Sample>(&table, "s", &mut errors).is_none());
        let all = errors.join("\n");
        for key in ["port", "name", "wait_ms"] {
            assert!(all.contains(key), "{key} in {all}");
        }
    }
}
