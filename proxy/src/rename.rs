//! Physical names never reach a client: in errors and notices they become the tenant's own.

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

/// The context of an error without the functions of ours that it came through.
fn context(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("function palisade.")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
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
    fn functions_of_ours_are_left_out_of_contexts() {
        let ours = "PL/pgSQL function palisade.known(text,oid) line 6 at RAISE";
        assert_eq!(context(ours), None);
        assert_eq!(context(&format!("{ours}\nSQL function \"f\"")), Some("SQL function \"f\"".into()));
    }
}
