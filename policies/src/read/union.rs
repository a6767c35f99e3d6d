//! What follows where the two readers differ: PostgreSQL's grammar decides, the witness may only add or object.

use std::collections::HashSet;

use crate::access::{Access, Action, Class, Place, Reader};
use crate::read::guard::Nesting;
use crate::read::lex::Tokens;
use crate::read::witness::{Asked, Saw, Testimony, VerbClass, witness};
use crate::read::{ReadError, Statement};
use crate::verdict::Reason;

/// Takes the witness's reading into the grammar's. Says whether there was one.
///
/// # Errors
/// A different number or kind of statements, or a name in a query that the witness did not see anywhere: the text was
/// made to be read in two ways.
pub(super) fn unite(
    tokens: &Tokens<'_>,
    nesting: Nesting,
    statements: &mut [Statement],
) -> Result<bool, ReadError> {
    let mut asked: Asked<'_> = statements.iter().flat_map(names_of_query).map(|name| (name, false)).collect();
    let written_out = tokens.names_written_out();
    let text = written_out.as_deref().unwrap_or(tokens.whole());
    let saw = match witness(text, nesting.all(), &mut asked) {
        Testimony::Saw(saw) => saw,
        Testimony::Refused => return Ok(false),
    };
    if saw.verbs.len() != statements.len() || asked.values().any(|seen| !seen) {
        return Err(disagree());
    }
    for (statement, class) in statements.iter().zip(&saw.verbs) {
        if class_of(statement.verb).is_some_and(|read| read != *class) {
            return Err(disagree());
        }
    }
    add(statements, &saw);
    Ok(true)
}

/// The verbs for which both readers must agree.
fn class_of(verb: &str) -> Option<VerbClass> {
    Some(match verb {
        "SELECT" => VerbClass::Query,
        "INSERT" => VerbClass::Insert,
        "UPDATE" => VerbClass::Update,
        "DELETE" => VerbClass::Delete,
        "MERGE" => VerbClass::Merge,
        _ => return None,
    })
}

/// The relations and functions that the grammar read in a query, where they stand as identifiers: the witness must have
/// each of them somewhere.
fn names_of_query(statement: &Statement) -> impl Iterator<Item = &str> {
    let query = class_of(statement.verb).is_some();
    let named = move |access: &&Access| {
        query
            && matches!(access.class, Class::Relation | Class::Function)
            && matches!(access.place, Place::Identifiers { .. })
    };
    statement.accesses.iter().filter(named).map(|access| access.name.as_str())
}

/// Names that only the witness saw are judged too: a grammar newer than the server may read a table as a function.
fn add(statements: &mut [Statement], saw: &Saw) {
    let mut seen = Seen::default();
    statements.iter().flat_map(|s| &s.accesses).for_each(|access| seen.note(access));
    let Some(first) = statements.first_mut() else { return };
    let both = [
        (Class::Relation, Action::Select, &saw.relations),
        (Class::Function, Action::Execute, &saw.functions),
    ];
    for (class, action, names) in both {
        for (schema, name) in names {
            // A set-returning function in FROM is a relation to the witness.
            if seen.has(class, schema, name)
                || class == Class::Relation && seen.has(Class::Function, schema, name)
            {
                continue;
            }
            let access = Access {
                class,
                action,
                database: None,
                schema: schema.clone(),
                name: name.clone(),
                value: None,
                place: Place::Unknown,
                cast: None,
                literal: false,
                reader: Reader::Witness,
            };
            seen.note(&access);
            first.accesses.push(access);
        }
    }
}

/// What has been seen by either reader.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    qualified: HashSet<(Class, String, String)>,
}

impl Seen {
    fn note(&mut self, access: &Access) {
        self.names.insert(access.name.clone());
        if let Some(schema) = &access.schema {
            self.qualified.insert((access.class, schema.clone(), access.name.clone()));
        }
    }

    fn has(&self, class: Class, schema: &Option<String>, name: &str) -> bool {
        match schema {
            None => self.names.contains(name),
            Some(schema) => self.qualified.contains(&(class, schema.clone(), name.to_owned())),
        }
    }
}

fn disagree() -> ReadError {
    ReadError {
        sqlstate: "0A000",
        message: "the statement can be read in two ways and is refused".into(),
        hint: Some("Write it without unusual operators, labels or comments.".into()),
        position: None,
        reason: Reason::ReadersDisagree,
    }
}
