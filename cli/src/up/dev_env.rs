//! `.palisade/dev.env`: what shells and tests need, readable by its owner only.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Reads the variables of a file that [`write`] wrote.
pub(crate) fn read(file: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), unquote(value)))
        .collect())
}

/// Writes the variables so that a shell can source them. The file is replaced as a whole.
pub(crate) fn write(file: &Path, variables: &BTreeMap<String, String>) -> Result<()> {
    let mut text = String::from("# Written by palisade up. Source it: . .palisade/dev.env\n");
    for (name, value) in variables {
        text.push_str(&format!("export {name}={}\n", quote(value)));
    }
    let draft = file.with_extension("env.new");
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| format!("making {}", draft.display()))?;
    out.write_all(text.as_bytes()).with_context(|| format!("writing {}", draft.display()))?;
    std::fs::rename(&draft, file).with_context(|| format!("writing {}", file.display()))
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn unquote(value: &str) -> String {
    value.trim().trim_start_matches('\'').trim_end_matches('\'').replace(r"'\''", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_read_back() {
        for value in ["", "plain", "it's", "postgres://a:b@127.0.0.1:6432/acme?x=1&y=2", "$HOME `x`"] {
            assert_eq!(unquote(&quote(value)), value);
        }
    }
}
