//! What is wrong with a policy that somebody wrote: every fault at once, each with its line. casbin passes a line over
//! whose words it does not know; here such a line is a fault.

use std::collections::BTreeSet;
use std::fmt;

use crate::access::{Action, Class};
use crate::judge::Judge;

/// Longest model or policy, in bytes.
pub const POLICY_BYTES: usize = 64 << 10;
/// Most lines of a policy: casbin looks at every one for each new question (1 to 2 ms at 1,000).
pub const POLICY_LINES: usize = 1_000;
/// Longest role kind, in characters, as in a login's row.
const KIND_CHARS: usize = 32;

/// Places that a line may name.
pub(super) const PLACES: [&str; 7] =
    ["@own", "@shared", "@free", "@computed", "pg_catalog", "information_schema", "pg_temp"];
/// Places that no line may allow: other tenants', and what would blind the readers.
pub(super) const NEVER: [&str; 4] = ["@foreign", "@hidden", "@forbidden", "@pinned"];

/// One fault of a policy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The line of the policy from 1; `None` where it is about the whole.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Everything that is wrong with a model and policy; empty where they can be used.
#[must_use]
pub fn check(model: &str, policy: &str) -> Vec<Fault> {
    let mut faults = lines(model, policy);
    if faults.is_empty()
        && let Err(error) = Judge::new(model, policy, 0)
    {
        faults.push(Fault { line: None, message: error.0 });
    }
    faults
}

/// The faults that can be seen line by line.
pub(super) fn lines(model: &str, policy: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut whole = |message: String| faults.push(Fault { line: None, message });
    for (what, text) in [("model", model), ("policy", policy)] {
        if text.len() > POLICY_BYTES {
            whole(format!("the {what} is longer than {POLICY_BYTES} bytes"));
        }
    }
    let written = policy.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let written: Vec<_> = written.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')).collect();
    if written.len() > POLICY_LINES {
        whole(format!("the policy has more than {POLICY_LINES} lines"));
    }
    if !faults.is_empty() {
        return faults;
    }
    for (number, line) in written {
        let found = match fields(line).as_slice() {
            ["p", rule @ ..] => rule_faults(rule),
            ["g", kinds @ ..] => inheritance_faults(kinds),
            _ => vec!["it must begin with p (a rule) or g (a kind that includes another)".into()],
        };
        faults.extend(found.into_iter().map(|message| Fault { line: Some(number), message }));
    }
    faults
}

/// The role kinds that a policy has rules for or that include another.
pub(super) fn kinds(policy: &str) -> BTreeSet<String> {
    let kinds = policy.lines().filter_map(|line| match fields(line).as_slice() {
        ["p" | "g", kind, ..] => Some((*kind).to_owned()),
        _ => None,
    });
    kinds.collect()
}

/// A line's fields; a comment is one field that no line begins with.
pub(super) fn fields(line: &str) -> Vec<&str> {
    line.split(',').map(str::trim).collect()
}

fn rule_faults(fields: &[&str]) -> Vec<String> {
    let [kind, class, place, name, action, effect] = fields else {
        return vec!["a rule has six fields: kind, class, where, name, action, allow or deny".into()];
    };
    let mut faults = Vec::new();
    faults.extend(kind_fault(kind));
    faults.extend(words_fault("class", class, |word| Class::ALL.iter().any(|c| c.word() == word)));
    faults.extend(words_fault("action", action, |word| Action::ALL.iter().any(|a| a.word() == word)));
    faults.extend(words_fault("where", place, |word| PLACES.contains(&word) || NEVER.contains(&word)));
    if *effect == "allow"
        && let Some(never) = place.split('|').find(|word| NEVER.contains(word))
    {
        faults.push(format!("no rule may allow {never}"));
    }
    let start = name.strip_suffix('*').unwrap_or(name);
    if name.is_empty() || start.contains('*') || start.contains('"') {
        faults.push("the name is a plain name, and may end in *".into());
    }
    if !matches!(*effect, "allow" | "deny") {
        faults.push("the last field is allow or deny".into());
    }
    faults
}

fn inheritance_faults(kinds: &[&str]) -> Vec<String> {
    match kinds {
        [kind, includes] if kind == includes => vec![format!("{kind} cannot include itself")],
        [kind, includes] => [kind, includes].into_iter().filter_map(|kind| kind_fault(kind)).collect(),
        _ => vec!["a line with g has two fields: a kind, and the kind that it includes".into()],
    }
}

fn kind_fault(kind: &str) -> Option<String> {
    let good = (1..=KIND_CHARS).contains(&kind.len())
        && kind.starts_with(|c: char| c.is_ascii_lowercase())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (!good).then(|| format!("a role kind is 1 to {KIND_CHARS} characters of a-z, 0-9 and _, not \"{kind}\""))
}

fn words_fault(field: &str, list: &str, known: impl Fn(&str) -> bool) -> Option<String> {
    if list == "*" {
        return None;
    }
    let unknown = list.split('|').find(|word| !known(word))?;
    Some(format!("\"{unknown}\" is no {field}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{MODEL, POLICY};

    #[test]
    fn the_policy_that_comes_with_palisade_has_no_fault() {
        assert_eq!(check(MODEL, POLICY), []);
    }

    #[test]
    fn faults_follow_the_table() {
        for (line, want) in [
            ("p, app, relation, @own, *, selekt, allow", "\"selekt\" is no action"),
            ("p, app, table, @own, *, select, allow", "\"table\" is no class"),
            ("p, app, relation, @ours, *, select, allow", "\"@ours\" is no where"),
            ("p, app, relation, @own|@foreign, *, select, allow", "no rule may allow @foreign"),
            ("p, app, setting, @pinned, *, set, allow", "no rule may allow @pinned"),
            ("p, App, relation, @own, *, select, allow", "a role kind is"),
            ("p, app, relation, @own, a*b, select, allow", "may end in *"),
            ("p, app, relation, @own, *, select, yes", "allow or deny"),
            ("p, app, relation, @own, *, select", "six fields"),
            ("q, app", "must begin with p"),
            ("g, app, app", "cannot include itself"),
            ("g, app", "two fields"),
        ] {
            let faults = check(MODEL, &format!("# ours\n{line}\n{POLICY}"));
            assert!(faults.len() == 1 && faults[0].line == Some(2), "{line}: {faults:?}");
            assert!(faults[0].message.contains(want), "{line}: {}", faults[0].message);
        }
    }

    #[test]
    fn policies_that_say_too_little_or_too_much_are_refused_as_a_whole() {
        let all = MODEL.replace("m = wordIn", "m = true || wordIn");
        for (model, policy, want) in [
            (MODEL, String::new(), "no line"),
            (MODEL, "# nothing".to_owned(), "no line"),
            ("nonsense", POLICY.to_owned(), "cannot be compiled"),
            (&*all, POLICY.to_owned(), "must refuse"),
            (MODEL, "p, app, relation, @own, *, select, allow".to_owned(), "must permit owner"),
            (MODEL, "#".repeat(POLICY_BYTES + 1), "longer than"),
            (MODEL, "g, a, b\n".repeat(POLICY_LINES + 1), "more than"),
        ] {
            let faults = check(model, &policy);
            assert_eq!(faults.len(), 1, "{want}: {faults:?}");
            assert!(faults[0].line.is_none() && faults[0].message.contains(want), "{want}: {faults:?}");
        }
    }
}
