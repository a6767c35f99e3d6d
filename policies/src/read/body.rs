//! What can be seen of a function's body, which is a string constant to the grammar.

use pg_query::protobuf::node::Node;

use crate::access::{Action, Class, Place};
use crate::read::grammar;
use crate::read::lex::{Tokens, qualified};
use crate::read::walk::Walk;
use crate::verdict::Reason;

/// Reads a body: SQL in full, PL/pgSQL for the physical names of tenants. What it computes at run time nobody sees
/// here; the database's rights stand behind.
pub(super) fn read(walk: &mut Walk<'_>, language: &str, code: &str) {
    physical_names(walk, code);
    if !walk.in_body {
        match walk.tokens.dollar_quoted(&walk.within, code) {
            Some(base) => {
                let names = Tokens::new(code).replaceable();
                walk.body_names.extend(names.into_iter().map(|name| name.moved(base)));
            }
            None => walk.bodies_open = false,
        }
    }
    if language == "sql" {
        sql(walk, code);
    }
}

fn sql(walk: &mut Walk<'_>, code: &str) {
    if walk.in_body {
        return walk.forbid("54001", "function bodies are nested too deeply", Reason::LimitExceeded);
    }
    let Ok(parsed) = grammar::parse(code) else {
        return walk.forbid("42601", "syntax error in the function's body", Reason::SyntaxError);
    };
    let tokens = Tokens::new(code);
    let mut inner = Walk::new(&tokens, 0..code.len());
    inner.in_body = true;
    for statement in &parsed {
        if let Some(node) = statement.stmt.as_ref().and_then(|s| s.node.as_ref()) {
            inner.node(Node::to_ref(node));
        }
    }
    walk.accesses.append(&mut inner.accesses);
    walk.forbidden = walk.forbidden.take().or(inner.forbidden);
    walk.unknown = walk.unknown.or(inner.unknown);
}

/// Every word of a body that looks like a tenant's physical schema or role is an access, so that a foreign one is
/// refused when the function is made.
fn physical_names(walk: &mut Walk<'_>, code: &str) {
    for word in code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let word = word.to_ascii_lowercase();
        let Some(id) = word.strip_prefix("t_") else { continue };
        let id = id.split('_').next().unwrap_or_default();
        if id.len() == 20 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')) {
            let schema = qualified(&format!("t_{id}")).and_then(|mut names| names.pop()).unwrap_or_default();
            walk.push(Class::Schema, Action::Usage, ["", "", &schema], Place::Body);
        }
    }
}
