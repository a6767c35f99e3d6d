//! What PostgreSQL itself lets a role kind do with its tenant's objects: the second wall, from the same policy as the
//! first.

use crate::access::{Action, Class};
use crate::judge::Judge;

/// Where a tenant's own objects stand, in a policy's words.
const OWN: &str = "@own";
/// A name that no policy names: what is permitted for it is permitted for every object that a rule does not name.
const ANY: &str = "\u{1}any";

/// The privileges on tables, each with the action that it permits. REFERENCES and TRIGGER are the owner's alone.
const TABLE: [(Action, &str); 5] = [
    (Action::Select, "SELECT"),
    (Action::Insert, "INSERT"),
    (Action::Update, "UPDATE"),
    (Action::Delete, "DELETE"),
    (Action::Truncate, "TRUNCATE"),
];

/// The privileges of a role kind on one sort of objects, in the words of GRANT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privileges {
    /// `TABLES`, `SEQUENCES`, `ROUTINES` or `TYPES`: the words of ALTER DEFAULT PRIVILEGES.
    pub objects: &'static str,
    /// At least one, such as `SELECT`.
    pub privileges: Vec<&'static str>,
}

/// What a role kind that owns nothing needs of PostgreSQL to do what the policy permits with objects that no rule
/// names. A rule about one object by its name is the first wall's alone.
#[must_use]
pub fn privileges(judge: &Judge, kind: &str) -> Vec<Privileges> {
    let permits = |class, action| judge.permits(kind, class, OWN, ANY, action);
    let relation = |action: &Action| permits(Class::Relation, *action);
    let on = |objects, privileges: Vec<&'static str>| Privileges { objects, privileges };
    let tables =
        TABLE.iter().filter(|(action, _)| relation(action)).map(|(_, privilege)| *privilege).collect();
    // A sequence is written by whoever takes a number of it.
    let sequences = if relation(&Action::Update) { vec!["USAGE", "SELECT", "UPDATE"] } else { Vec::new() };
    let routines = if permits(Class::Function, Action::Execute) { vec!["EXECUTE"] } else { Vec::new() };
    let types = if permits(Class::Type, Action::Usage) { vec!["USAGE"] } else { Vec::new() };
    let all =
        [on("TABLES", tables), on("SEQUENCES", sequences), on("ROUTINES", routines), on("TYPES", types)];
    all.into_iter().filter(|privileges| !privileges.privileges.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{MODEL, POLICY};

    fn shown(policy: &str, kind: &str) -> String {
        let judge = Judge::new(MODEL, policy, 1).unwrap();
        let words = |p: &Privileges| format!("{} ON {}", p.privileges.join(", "), p.objects);
        privileges(&judge, kind).iter().map(words).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn privileges_follow_the_policy() {
        let readonly = "SELECT ON TABLES; EXECUTE ON ROUTINES; USAGE ON TYPES";
        let app = "SELECT, INSERT, UPDATE, DELETE ON TABLES; USAGE, SELECT, UPDATE ON SEQUENCES; \
                   EXECUTE ON ROUTINES; USAGE ON TYPES";
        for (more, kind, expected) in [
            ("", "readonly", readonly),
            ("", "app", app),
            ("", "nobody", ""),
            ("p, readonly, relation, @own, orders, insert, allow\n", "readonly", readonly),
            ("p, app, relation, @own, orders, delete, deny\n", "app", app),
            (
                "p, app, relation, @own, *, delete, deny\np, app, relation, @own, *, truncate, allow\n",
                "app",
                "SELECT, INSERT, UPDATE, TRUNCATE ON TABLES; USAGE, SELECT, UPDATE ON SEQUENCES; \
                 EXECUTE ON ROUTINES; USAGE ON TYPES",
            ),
            ("p, readonly, function, *, *, execute, deny\n", "readonly", "SELECT ON TABLES; USAGE ON TYPES"),
            ("p, clerk, relation, @own, *, insert, allow\n", "clerk", "INSERT ON TABLES"),
        ] {
            assert_eq!(shown(&format!("{POLICY}\n{more}"), kind), expected, "{kind}: {more}");
        }
    }
}
