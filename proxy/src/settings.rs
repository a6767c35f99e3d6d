//! What a session has set, and what has to be said to a server connection so that it is the same there.
//!
//! A setting is kept as the statement that sets it, already judged and rewritten: it is sent again word for word.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Settings by lower-cased name, each with the statement that sets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Settings(BTreeMap<String, String>);

/// One change of a setting that a server has confirmed but whose transaction is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// `SET name TO …`: the name and the statement to repeat.
    Set(String, String),
    /// `RESET name`.
    Reset(String),
    /// `RESET ALL`, `DISCARD ALL`.
    ResetAll,
}

impl Settings {
    /// The settings of a startup packet.
    pub(crate) fn startup(given: &[(String, String)]) -> Self {
        let set = |(name, value): &(String, String)| (name.clone(), statement(name, &literal(value)));
        Self(given.iter().map(set).collect())
    }

    /// The statements that turn a connection with `self` into one with `wanted`; empty where nothing differs.
    pub(crate) fn difference(&self, wanted: &Settings) -> Vec<String> {
        let gone = self.0.keys().filter(|name| !wanted.0.contains_key(*name));
        let mut out: Vec<String> = gone.map(|name| format!("RESET {}", quoted(name))).collect();
        out.extend(
            wanted.0.iter().filter(|(name, set)| self.0.get(*name) != Some(set)).map(|(_, s)| s.clone()),
        );
        out
    }

    /// Takes changes in. What is reset returns to `base`.
    pub(crate) fn apply(&mut self, changes: &[Change], base: &Settings) {
        for change in changes {
            match change {
                Change::Set(name, statement) => {
                    self.0.insert(name.clone(), statement.clone());
                }
                Change::Reset(name) => match base.0.get(name) {
                    Some(statement) => {
                        self.0.insert(name.clone(), statement.clone());
                    }
                    None => {
                        self.0.remove(name);
                    }
                },
                Change::ResetAll => self.0.clone_from(&base.0),
            }
        }
    }
}

/// Changes of one side's settings; a side that did not change keeps its shared copy.
pub(crate) fn commit(settings: &mut Arc<Settings>, changes: &[Change], base: &Settings) {
    if !changes.is_empty() {
        Arc::make_mut(settings).apply(changes, base);
    }
}

/// `SET name TO value`; the value is SQL.
pub(crate) fn statement(name: &str, value: &str) -> String {
    format!("SET {} TO {value}", quoted(name))
}

/// Settings that end with their transaction whatever the word SET says: nothing to repeat.
pub(crate) fn lasts(name: &str) -> bool {
    !matches!(
        name,
        "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" | "transaction"
    )
}

/// A setting's name as SQL: the parts of `app.user_id` each in quotes, so that a keyword is a name too.
fn quoted(name: &str) -> String {
    let part = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// A string constant. Backslashes are plain: `standard_conforming_strings` is pinned.
fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: &[(&str, &str)]) -> Settings {
        let given: Vec<_> = given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Settings::startup(&given)
    }

    #[test]
    fn a_connection_is_brought_to_what_a_client_set() {
        let none = settings(&[]);
        let utc = settings(&[("timezone", "UTC")]);
        let both = settings(&[("app.user", "o'hara"), ("timezone", "Asia/Tokyo")]);
        for (from, to, want) in [
            (&none, &none, vec![]),
            (&none, &utc, vec!["SET \"timezone\" TO 'UTC'"]),
            (&utc, &none, vec!["RESET \"timezone\""]),
            (&utc, &both, vec!["SET \"app\".\"user\" TO 'o''hara'", "SET \"timezone\" TO 'Asia/Tokyo'"]),
            (&both, &utc, vec!["RESET \"app\".\"user\"", "SET \"timezone\" TO 'UTC'"]),
        ] {
            assert_eq!(from.difference(to), want);
        }
    }

    #[test]
    fn changes_follow_one_another() {
        let base = settings(&[("timezone", "UTC")]);
        let mut own = base.clone();
        let set = |name: &str, value: &str| Change::Set(name.into(), statement(name, value));
        own.apply(&[set("work_mem", "'8MB'"), set("timezone", "'Asia/Tokyo'")], &base);
        assert_eq!(base.difference(&own), ["SET \"timezone\" TO 'Asia/Tokyo'", "SET \"work_mem\" TO '8MB'"]);
        own.apply(&[Change::Reset("timezone".into())], &base);
        assert_eq!(base.difference(&own), ["SET \"work_mem\" TO '8MB'"]);
        own.apply(&[Change::ResetAll], &base);
        assert_eq!(own, base);
    }
}
