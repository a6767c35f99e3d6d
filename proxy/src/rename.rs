//! Physical names never reach a client: in errors and notices they become the tenant's own.

use palisade_catalog::names::schema_of;
use palisade_policies::names::{self, FunctionUse};
use palisade_wire::error::Fields;

/// What the physical names of one session are called.
pub(crate) struct Names {
    /// Physical and logical, longest first.
    pairs: Vec<(String, String)>,
}

impl Names {
    pub(crate) fn new(schema: &str, login: &str, database: &str, slug: &str) -> Self {
        let mut pairs = vec![
            (format!("{schema}_owner"), "owner".to_owned()),
            (format!("{schema}_l_{login}"), login.to_owned()),
            (format!("{schema}_l_"), String::new()),
            (format!("{schema}:"), String::new()),
            (schema.to_owned(), "public".to_owned()),
            (format!("database \"{database}\""), format!("database \"{slug}\"")),
        ];
        pairs.sort_by_key(|(physical, _)| std::cmp::Reverse(physical.len()));
        Self { pairs }
    }

    /// A text as the tenant may see it.
    pub(crate) fn logical(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (physical, logical) in &self.pairs {
            if text.contains(physical.as_str()) {
                text = text.replace(physical.as_str(), logical);
            }
        }
        text
    }

    /// An error that names a schema or role of the shape that tenants' have and that is not this one's. Whether it exists
    /// or not, the words are the same.
    pub(crate) fn foreign(&self, fields: &Fields) -> Option<Fields> {
        let sqlstate = fields.get(b'C')?;
        if !sqlstate.starts_with("42") && !sqlstate.starts_with("3F") {
            return None;
        }
        let own =
            self.pairs.iter().find(|(_, logical)| logical == "public").map(|(schema, _)| schema.as_str());
        let name = words(fields.get(b'M')?)
            .find(|word| schema_of(word).is_some_and(|schema| Some(schema) != own))?;
        let (sqlstate, kind) =
            if schema_of(name) == Some(name) { ("3F000", "schema") } else { ("42704", "role") };
        Some(Fields::new("ERROR", sqlstate, &format!("{kind} \"{name}\" does not exist")))
    }

    /// An error or notice as the tenant may see it. `position` finds a place of the text that was sent in the text of
    /// the client.
    pub(crate) fn fields(&self, fields: &mut Fields, position: impl Fn(usize) -> Option<usize>) {
        fields.map(|tag, value| match tag {
            b'P' => position(value.parse().ok()?).map(|place| place.to_string()),
            b'C' | b'S' | b'V' | b'L' => Some(value.to_owned()),
            b'W' => context(&self.logical(value)),
            _ => Some(self.logical(value)),
        });
    }
}

/// The identifiers of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

/// Whether a line of a context is of a function in schema `palisade`. PostgreSQL leaves the schema out for SQL functions:
/// those have the names of its own functions that they stand for.
fn of_ours(line: &str) -> bool {
    let called = line.strip_prefix("SQL function \"").and_then(|rest| rest.split('"').next());
    line.contains("function palisade.")
        || called.is_some_and(|name| {
            matches!(name, "permit_types" | "physical" | names::NAMED)
                || name.starts_with("named_as_reg")
                || names::function(name) == FunctionUse::Replaced
                || names::takes_object(name)
        })
}

/// The context of an error without the functions of ours that it came through.
fn context(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !of_ours(line)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn physical_names_become_the_tenants() {
        let names = Names::new("t_abc", "app", "palisade", "acme");
        for (text, want) in [
            ("relation \"t_abc.users\" does not exist", "relation \"public.users\" does not exist"),
            ("role \"t_abc_l_app\"", "role \"app\""),
            ("must be owner t_abc_owner", "must be owner owner"),
            ("permission denied for database \"palisade\"", "permission denied for database \"acme\""),
        ] {
            assert_eq!(names.logical(text), want);
        }
    }

    #[test]
    fn a_foreign_name_is_answered_as_one_that_nobody_has() {
        let own = "t_aaaaaaaaaaaaaaaaaaaa";
        let names = Names::new(own, "app", "palisade", "acme");
        let foreign = "t_bbbbbbbbbbbbbbbbbbbb";
        for (sqlstate, text, want) in [
            (
                "42501",
                format!("permission denied for schema {foreign}"),
                Some(("3F000", format!("schema \"{foreign}\" does not exist"))),
            ),
            (
                "42P01",
                format!("relation \"{foreign}.users\" does not exist"),
                Some(("3F000", format!("schema \"{foreign}\" does not exist"))),
            ),
            (
                "42501",
                format!("must be member of role \"{foreign}_owner\""),
                Some(("42704", format!("role \"{foreign}_owner\" does not exist"))),
            ),
            ("42501", format!("permission denied for schema {own}"), None),
            ("22P02", format!("invalid input syntax for type integer: \"{foreign}\""), None),
            ("42P01", "relation \"t_short\" does not exist".into(), None),
        ] {
            let got = names.foreign(&Fields::new("ERROR", sqlstate, &text));
            let got = got.map(|f| (f.get(b'C').unwrap().to_owned(), f.get(b'M').unwrap().to_owned()));
            assert_eq!(got, want.map(|(code, text)| (code.to_owned(), text)), "{text}");
        }
    }

    #[test]
    fn functions_of_ours_are_left_out_of_contexts() {
        let ours = "PL/pgSQL function palisade.known(text,oid) line 6 at RAISE";
        assert_eq!(context(ours), None);
        let by_name = "SQL function \"physical\" statement 1\nSQL function \"named_as_regclass\" statement 1";
        assert_eq!(context(by_name), None);
        assert_eq!(context(&format!("{ours}\nSQL function \"f\"")), Some("SQL function \"f\"".into()));
    }
}
