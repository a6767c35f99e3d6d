//! The second reader: sqlparser. Independent code that catches what the first walk misses; never the authority.
//!
//! For an adversary sqlparser can be made blind, so its own driver here demands the end of the text after the last
//! statement, and its tree is never cloned or printed: deep ones overflow the stack there.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlparser::ast::{
    Expr, ObjectName, ObjectNamePart, SetExpr, Statement, visit_expressions, visit_relations,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::read::lex::truncate;

/// Most operators that this reader is given; beyond, PostgreSQL's reading decides alone.
const MOST_OPERATORS: usize = 2_000;

/// What sqlparser says of a text.
pub(super) enum Testimony {
    /// It cannot read it.
    Refused,
    /// It read all of it.
    Saw(Saw),
}

/// A text as sqlparser reads it.
pub(super) struct Saw {
    /// What each statement does.
    pub(super) verbs: Vec<VerbClass>,
    /// Relations with a schema of their own, or that look like a catalog's.
    pub(super) relations: Vec<(Option<String>, String)>,
    /// Functions with a schema of their own.
    pub(super) functions: Vec<(Option<String>, String)>,
    /// Every identifier of the text, folded.
    pub(super) words: HashSet<String>,
}

/// The coarse kind of a statement, where both readers must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VerbClass {
    Query,
    Insert,
    Update,
    Delete,
    Merge,
    Other,
}

/// Reads a text that has `operators` things that nest.
pub(super) fn witness(text: &str, operators: usize) -> Testimony {
    if operators > MOST_OPERATORS {
        return Testimony::Refused;
    }
    // A panic of the weaker reader is its refusal, nothing more.
    catch_unwind(AssertUnwindSafe(|| read(text))).ok().flatten().map_or(Testimony::Refused, Testimony::Saw)
}

fn read(text: &str) -> Option<Saw> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().ok()?;
    let mut saw =
        Saw { verbs: Vec::new(), relations: Vec::new(), functions: Vec::new(), words: words(&tokens) };
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token().token == Token::EOF {
            return Some(saw);
        }
        let statement = parser.parse_statement().ok()?;
        if !matches!(parser.peek_token().token, Token::SemiColon | Token::EOF) {
            // It stopped before the end: `SELECT pw end FROM secret`.
            return None;
        }
        testify(&statement, &mut saw);
    }
}

fn words(tokens: &[TokenWithSpan]) -> HashSet<String> {
    tokens
        .iter()
        .filter_map(|t| match &t.token {
            Token::Word(word) => Some(fold(&word.value, word.quote_style.is_some())),
            _ => None,
        })
        .collect()
}

fn fold(word: &str, quoted: bool) -> String {
    let mut word = if quoted { word.to_owned() } else { word.to_ascii_lowercase() };
    truncate(&mut word);
    word
}

fn testify(statement: &Statement, saw: &mut Saw) {
    saw.verbs.push(class(statement));
    let _ = visit_relations(statement, |name| {
        if let Some((schema, name)) = split(name)
            && (schema.is_some() || name.starts_with("pg_"))
        {
            saw.relations.push((schema, name));
        }
        ControlFlow::<()>::Continue(())
    });
    let _ = visit_expressions(statement, |expression| {
        if let Expr::Function(function) = expression
            && let Some((Some(schema), name)) = split(&function.name)
        {
            saw.functions.push((Some(schema), name));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The last two parts of a name.
fn split(name: &ObjectName) -> Option<(Option<String>, String)> {
    let mut parts = name.0.iter().rev().map(|part| match part {
        ObjectNamePart::Identifier(ident) => Some(fold(&ident.value, ident.quote_style.is_some())),
        ObjectNamePart::Function(_) => None,
    });
    let last = parts.next()??;
    let schema = match parts.next() {
        Some(part) => Some(part?),
        None => None,
    };
    Some((schema, last))
}

fn class(statement: &Statement) -> VerbClass {
    match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(inner)
            | SetExpr::Update(inner)
            | SetExpr::Delete(inner)
            | SetExpr::Merge(inner) => class(inner),
            _ => VerbClass::Query,
        },
        Statement::Insert(_) => VerbClass::Insert,
        Statement::Update(_) => VerbClass::Update,
        Statement::Delete(_) => VerbClass::Delete,
        Statement::Merge(_) => VerbClass::Merge,
        _ => VerbClass::Other,
    }
}
