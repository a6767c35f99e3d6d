//! The second reader: sqlparser. Independent code that catches what the first walk misses; never the authority.
//!
//! For an adversary sqlparser can be made blind, so its own driver here demands the end of the text after the last
//! statement, and its tree is never cloned or printed: deep ones overflow the stack there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlparser::ast::{Expr, ObjectName, ObjectNamePart, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::read::lex::{kept, truncate};

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
#[derive(Default)]
pub(super) struct Saw {
    /// What each statement does.
    pub(super) verbs: Vec<VerbClass>,
    /// Relations with a schema of their own, or that look like a catalog's.
    pub(super) relations: Vec<(Option<String>, String)>,
    /// Functions with a schema of their own.
    pub(super) functions: Vec<(Option<String>, String)>,
}

/// Names that the witness is asked for, each with whether it is an identifier of the text.
pub(super) type Asked<'n> = HashMap<&'n str, bool, foldhash::fast::RandomState>;

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

/// Reads a text that has `operators` things that nest, and looks for some names in it.
pub(super) fn witness(text: &str, operators: usize, asked: &mut Asked<'_>) -> Testimony {
    if operators > MOST_OPERATORS {
        return Testimony::Refused;
    }
    // A panic of the weaker reader is its refusal, nothing more.
    let read = AssertUnwindSafe(|| read(text, asked));
    catch_unwind(read).ok().flatten().map_or(Testimony::Refused, Testimony::Saw)
}

fn read(text: &str, asked: &mut Asked<'_>) -> Option<Saw> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location().ok()?;
    look_for(asked, &tokens);
    let mut saw = Saw::default();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token_ref().token == Token::EOF {
            return Some(saw);
        }
        let statement = parser.parse_statement().ok()?;
        if !matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
            // It stopped before the end: `SELECT pw end FROM secret`.
            return None;
        }
        saw.verbs.push(class(&statement));
        let _ = statement.visit(&mut saw);
    }
}

/// Says of each name that is asked for whether a token is spelled so.
fn look_for(asked: &mut Asked<'_>, tokens: &[TokenWithSpan]) {
    if asked.is_empty() {
        return;
    }
    for token in tokens {
        if let Token::Word(word) = &token.token
            && let Some(seen) = asked.get_mut(&*fold(&word.value, word.quote_style.is_some()))
        {
            *seen = true;
        }
    }
}

fn fold(word: &str, quoted: bool) -> Cow<'_, str> {
    let plain = quoted || !word.bytes().any(|b| b.is_ascii_uppercase());
    let word = if plain { Cow::Borrowed(word) } else { Cow::Owned(word.to_ascii_lowercase()) };
    match word {
        Cow::Borrowed(word) => Cow::Borrowed(&word[..kept(word)]),
        Cow::Owned(mut word) => {
            truncate(&mut word);
            Cow::Owned(word)
        }
    }
}

impl Visitor for Saw {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        if let Some((schema, name)) = split(name)
            && (schema.is_some() || name.starts_with("pg_"))
        {
            self.relations.push((schema, name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression
            && let Some((Some(schema), name)) = split(&function.name)
        {
            self.functions.push((Some(schema), name));
        }
        ControlFlow::Continue(())
    }
}

/// The last two parts of a name.
fn split(name: &ObjectName) -> Option<(Option<String>, String)> {
    let mut parts = name.0.iter().rev().map(|part| match part {
        ObjectNamePart::Identifier(ident) => {
            Some(fold(&ident.value, ident.quote_style.is_some()).into_owned())
        }
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
