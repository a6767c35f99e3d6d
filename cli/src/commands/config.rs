//! `palisade config`: check a configuration file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::commands::serve::sections;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The file to check, with the variables of this shell over it
    file: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let table = crate::config::load(Some(&args.file), std::env::vars())?;
    sections(&table, table.contains_key("control_plane"), table.contains_key("proxy"))?;
    println!("{} is good", args.file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use palisade_control_plane::config::ControlPlaneConfig;
    use palisade_proxy::config::ProxyConfig;
    use serde_json::Value;

    const REFERENCE: &str = include_str!("../../../docs/configuration.md");

    /// Every setting of a table with its default; those of a table within it behind its name and a point.
    fn flat(table: &Value, before: &str, settings: &mut BTreeMap<String, Value>) {
        for (key, value) in table.as_object().into_iter().flatten() {
            let key = format!("{before}{key}");
            match value {
                Value::Object(inner) if !inner.is_empty() => flat(value, &format!("{key}."), settings),
                _ => drop(settings.insert(key, value.clone())),
            }
        }
    }

    /// The rows below a table's heading: key and default. Keys of one meaning share a row.
    fn documented(name: &str) -> BTreeMap<String, String> {
        let section = REFERENCE.split("\n## ").find(|section| section.starts_with(&format!("`[{name}]`")));
        let mut rows = BTreeMap::new();
        for line in section.unwrap().lines().filter(|line| line.starts_with("| `")) {
            let line = line.replace("| |", "|  |");
            let mut cells = line.trim_start_matches("| ").split(" | ");
            let (keys, said) = (cells.next().unwrap(), cells.next().unwrap());
            rows.extend(
                keys.split(", ").map(|key| (key.trim_matches('`').to_owned(), said.trim().to_owned())),
            );
        }
        rows
    }

    /// Whether what the reference says is a setting's default. Words stand where it is no value of its own.
    fn is_default(said: &str, value: &Value) -> bool {
        let plain = said.trim_matches('`').trim_matches('"');
        match value {
            Value::Number(number) => plain == number.to_string(),
            Value::Bool(yes) => plain == yes.to_string(),
            Value::String(text) if text.is_empty() => !said.starts_with('`'),
            Value::String(text) => plain == text || said == "required",
            Value::Array(values) if !values.is_empty() => {
                values.iter().all(|value| said.contains(value.as_str().unwrap_or_default()))
            }
            _ => !said.starts_with('`'),
        }
    }

    #[test]
    fn the_reference_has_every_setting_and_its_default() {
        let tables = [
            ("control_plane", serde_json::to_value(ControlPlaneConfig::default()).unwrap()),
            ("proxy", serde_json::to_value(ProxyConfig::default()).unwrap()),
        ];
        let mut wrong = Vec::new();
        for (name, table) in tables {
            let mut settings = BTreeMap::new();
            flat(&table, "", &mut settings);
            let documented = documented(name);
            for (key, value) in &settings {
                match documented.get(key.as_str()) {
                    // A table that is not set.
                    None if documented.keys().any(|known| known.starts_with(&format!("{key}."))) => {}
                    None => wrong.push(format!("[{name}] {key} is missing")),
                    Some(said) if !is_default(said, value) => {
                        wrong.push(format!("[{name}] {key} is {value} and not {said}"));
                    }
                    Some(_) => {}
                }
            }
            // The table of a sign-in that is not set has no default to be found by.
            let unknown = documented.keys().filter(|key| !settings.contains_key(*key));
            wrong.extend(
                unknown.filter(|key| !key.starts_with("oidc.")).map(|key| format!("[{name}] has no {key}")),
            );
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
