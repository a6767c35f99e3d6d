//! What another policy would change: who may do what then and may not now, or the other way round.

use std::collections::BTreeSet;

use crate::access::{Action, Class};
use crate::judge::Judge;
use crate::judge::check::{NEVER, PLACES, fields};

/// A name that stands for all that no line names.
const ANY: &str = "(any)";

/// One answer that is another under the new policy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The role kind.
    pub kind: String,
    /// The action's word.
    pub action: &'static str,
    /// The class's word.
    pub class: &'static str,
    /// Where the thing stands.
    #[serde(rename = "where")]
    pub place: &'static str,
    /// A name that one of the policies names, or `(any)` for all others.
    pub name: String,
    /// Whether the new policy allows it; the old one said the contrary.
    pub allowed: bool,
}

/// Every answer that differs, over the kinds and names that either policy names, each with its text.
#[must_use]
pub fn differences(old: (&Judge, &str), new: (&Judge, &str)) -> Vec<Difference> {
    let (kinds, names) = spoken(&[old.1, new.1]);
    let mut out = Vec::new();
    for kind in &kinds {
        for class in Class::ALL {
            for place in PLACES.into_iter().chain(NEVER) {
                for action in Action::ALL {
                    let differs = |name: &&String| {
                        old.0.permits(kind, class, place, name, action)
                            != new.0.permits(kind, class, place, name, action)
                    };
                    out.extend(names.iter().filter(differs).map(|name| Difference {
                        kind: kind.clone(),
                        action: action.word(),
                        class: class.word(),
                        place,
                        name: name.clone(),
                        allowed: new.0.permits(kind, class, place, name, action),
                    }));
                }
            }
        }
    }
    out
}

/// The kinds and names of some policies, and one name that none of them has.
fn spoken(policies: &[&str]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut kinds, mut names) = (BTreeSet::new(), BTreeSet::from([ANY.to_owned()]));
    for line in policies.iter().flat_map(|policy| policy.lines()) {
        match fields(line).as_slice() {
            ["p", kind, _, _, name, ..] => {
                kinds.insert((*kind).to_owned());
                names.extend(Some(name.trim_end_matches('*').to_owned()).filter(|name| !name.is_empty()));
            }
            ["g", rest @ ..] => kinds.extend(rest.iter().map(|kind| (*kind).to_owned())),
            _ => {}
        }
    }
    (kinds, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{MODEL, POLICY};

    #[test]
    fn a_new_line_shows_what_it_changes_and_nothing_else() {
        let old = Judge::embedded().unwrap();
        let text = format!(
            "{POLICY}\np, app, relation, @own, *, truncate, allow\np, readonly, relation, @own, pay_*, select, deny\n"
        );
        let new = Judge::new(MODEL, &text, 2).unwrap();
        let found = differences((&old, POLICY), (&new, &text));
        let shown: Vec<_> =
            found.iter().map(|d| format!("{} {} {} {}", d.kind, d.action, d.name, d.allowed)).collect();
        // app and owner include readonly: what it is denied, they are.
        assert_eq!(
            shown,
            [
                "app select pay_ false",
                "app truncate (any) true",
                "app truncate pay_ true",
                "owner select pay_ false",
                "readonly select pay_ false"
            ]
        );
        assert_eq!(differences((&old, POLICY), (&old, POLICY)), []);
    }
}
