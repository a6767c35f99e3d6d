//! Settings, transactions, cursors, channels, COPY: what a statement does to the session.

use std::ops::Range;

use pg_query::protobuf as p;
use pg_query::protobuf::node::Node;

use crate::access::{Action, Class, Place};
use crate::effect::{Effect, Scope};
use crate::names;
use crate::read::expression::constant;
use crate::read::walk::{Walk, strings};
use crate::verdict::Reason;

/// `COPY`: the client's data, never the server's files or programs.
pub(super) fn copy(walk: &mut Walk<'_>, s: &p::CopyStmt) {
    walk.role(s.relation.as_ref(), if s.is_from { Action::Insert } else { Action::Select });
    if s.is_program {
        return walk.forbid(
            "42501",
            "permission denied to COPY to or from an external program",
            Reason::ServerFile,
        );
    }
    if !s.filename.is_empty() {
        return walk.forbid("42501", "permission denied to COPY to or from a file", Reason::ServerFile);
    }
    walk.effects.push(if s.is_from { Effect::CopyIn } else { Effect::CopyOut });
}

pub(super) fn transaction(walk: &mut Walk<'_>, s: &p::TransactionStmt) {
    use p::TransactionStmtKind as K;
    let effect = match K::try_from(s.kind) {
        Ok(K::TransStmtBegin | K::TransStmtStart) => Effect::Begin,
        Ok(K::TransStmtCommit) => Effect::Commit,
        Ok(K::TransStmtRollback) => Effect::Rollback,
        Ok(K::TransStmtSavepoint | K::TransStmtRelease | K::TransStmtRollbackTo) => Effect::Savepoint,
        // A prepared transaction outlives its session and is seen by name in the whole cluster.
        Ok(K::TransStmtPrepare | K::TransStmtCommitPrepared | K::TransStmtRollbackPrepared) => {
            walk.forbid("55000", "prepared transactions are disabled", Reason::ForbiddenStatement);
            Effect::TwoPhase
        }
        Ok(K::Undefined) | Err(_) => return walk.unknown("transaction statement"),
    };
    walk.effects.push(effect);
}

/// `SET`, `RESET` and their relatives.
pub(super) fn set(walk: &mut Walk<'_>, s: &p::VariableSetStmt) {
    use p::VariableSetKind as K;
    let name = s.name.to_ascii_lowercase();
    let scope = if s.is_local { Scope::Transaction } else { Scope::Session };
    match K::try_from(s.kind) {
        Ok(K::VarResetAll) => walk.effects.push(Effect::ResetAll),
        Ok(K::VarReset) => {
            walk.push(Class::Setting, Action::Show, ["", "", &name], Place::Unknown);
            walk.effects.push(Effect::Reset { name });
        }
        Ok(K::VarSetDefault) => {
            walk.push(Class::Setting, Action::Show, ["", "", &name], Place::Unknown);
            walk.effects.push(Effect::Set { name, value: None, scope });
        }
        Ok(K::VarSetMulti) => {
            // SET TRANSACTION and SET SESSION CHARACTERISTICS: isolation, read only, deferrable. A snapshot belongs to
            // another session.
            if name == "transaction snapshot" {
                return walk.forbid(
                    "42501",
                    "permission denied to import a snapshot",
                    Reason::ForbiddenStatement,
                );
            }
            if name == "session characteristics" {
                characteristics(walk, &s.args);
            }
        }
        // `SET x FROM CURRENT` stands in CREATE FUNCTION only, and takes the pinned values.
        Ok(K::VarSetCurrent) => {}
        Ok(K::VarSetValue) => set_value(walk, &name, &s.args, scope),
        Ok(K::Undefined) | Err(_) => walk.unknown("SET"),
    }
}

/// `SET SESSION CHARACTERISTICS AS TRANSACTION …`: the defaults of the transactions to come.
fn characteristics(walk: &mut Walk<'_>, options: &[p::Node]) {
    for option in options {
        let Some(Node::DefElem(option)) = option.node.as_ref() else {
            return walk.unknown("SESSION CHARACTERISTICS");
        };
        let given = option.arg.as_ref().and_then(|arg| value(arg));
        let value = match (option.defname.as_str(), given.as_deref()) {
            ("transaction_isolation", Some(level)) => literal(level),
            ("transaction_read_only" | "transaction_deferrable", Some("0" | "false")) => "off".to_owned(),
            ("transaction_read_only" | "transaction_deferrable", Some("1" | "true")) => "on".to_owned(),
            _ => return walk.unknown("SESSION CHARACTERISTICS"),
        };
        let name = format!("default_{}", option.defname);
        walk.push(Class::Setting, Action::Set, ["", "", &name], Place::Unknown);
        walk.effects.push(Effect::Set { name, value: Some(value), scope: Scope::Session });
    }
}

fn set_value(walk: &mut Walk<'_>, name: &str, args: &[p::Node], scope: Scope) {
    let range = value_range(walk, args);
    let values: Option<Vec<String>> = args.iter().map(value).collect();
    let Some(values) = values else { return walk.unknown("value of SET") };
    setting(walk, name, &values, range.clone());
    if !walk.set_is_statement {
        // The clause of a function: it holds while the function runs.
        return;
    }
    let text = range
        .map(|range| lasting(name, &values.join(",")).unwrap_or_else(|| walk.tokens.text(range).to_owned()));
    match text {
        Some(text) => walk.effects.push(Effect::Set { name: name.to_owned(), value: Some(text), scope }),
        None => walk.effects.push(Effect::OpaqueSetting),
    }
}

/// A value that is another in the database than the one written.
fn lasting(name: &str, value: &str) -> Option<String> {
    (name == names::RESTRICTED_KINDS).then(|| names::without_views(value))?.map(|kinds| literal(&kinds))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A setting's change as accesses: the setting itself, and the schemas or the role that its value names.
fn setting(walk: &mut Walk<'_>, name: &str, values: &[String], range: Option<Range<usize>>) {
    let place = range.map_or(Place::Unknown, Place::Value);
    walk.push(Class::Setting, Action::Set, ["", "", name], place);
    if let Some(access) = walk.accesses.last_mut() {
        access.value = Some(values.join(","));
    }
    let class = match name {
        "search_path" | "temp_tablespaces" | "default_tablespace" => Class::Schema,
        "role" | "session_authorization" => Class::Role,
        _ => return,
    };
    for value in values {
        // set_config takes a list in one string.
        for part in value.split(',') {
            let part = part.trim().trim_matches('"');
            if !part.is_empty() {
                walk.push_literal(class, Action::Set, ["", "", part], Place::Unknown);
            }
        }
    }
}

/// A value of SET as text; `None` where it is not a constant.
fn value(node: &p::Node) -> Option<String> {
    let constant = match node.node.as_ref()? {
        Node::AConst(c) => c,
        Node::TypeCast(c) => match c.arg.as_ref()?.node.as_ref()? {
            Node::AConst(c) => c,
            _ => return None,
        },
        _ => return None,
    };
    Some(match constant.val.as_ref() {
        Some(p::a_const::Val::Sval(s)) => s.sval.clone(),
        Some(p::a_const::Val::Ival(i)) => i.ival.to_string(),
        Some(p::a_const::Val::Fval(f)) => f.fval.clone(),
        Some(p::a_const::Val::Boolval(b)) => b.boolval.to_string(),
        Some(p::a_const::Val::Bsval(_)) | None => return None,
    })
}

/// The bytes from the first value to the last, inclusive; `None` where they are not all plain constants.
fn value_range(walk: &Walk<'_>, args: &[p::Node]) -> Option<Range<usize>> {
    // In CREATE FUNCTION other options follow: the range is known only where SET is the whole statement.
    if !walk.set_is_statement {
        return None;
    }
    let location = |n: &p::Node| match n.node.as_ref()? {
        Node::AConst(c) => Some(c.location),
        _ => None,
    };
    let places: Vec<i32> = args.iter().map(location).collect::<Option<_>>()?;
    let start = usize::try_from(*places.first()?).ok()?;
    Some(start..walk.tokens.constant_end(*places.last()?)?)
}

/// What is known of the calls that stand in the list of a simple `SELECT f(…), g(…)`.
pub(super) enum Calls {
    /// Nothing: they may be made any number of times.
    Unknown,
    /// Without any other clause: each is made exactly once.
    Once(Vec<*const p::FuncCall>),
    /// `FROM pg_settings WHERE name = 'x'`: made for that row at most, where column `name` is this constant.
    SettingsRow(Vec<*const p::FuncCall>, String),
}

impl Calls {
    /// What is known of a top-level query's calls.
    pub(super) fn of(select: &p::SelectStmt) -> Self {
        let p::SelectStmt {
            distinct_clause,
            into_clause: None,
            target_list,
            from_clause,
            group_clause,
            having_clause: None,
            window_clause,
            values_lists,
            limit_offset: None,
            limit_count: None,
            locking_clause,
            with_clause: None,
            larg: None,
            rarg: None,
            ..
        } = select
        else {
            return Calls::Unknown;
        };
        let empty = [distinct_clause, group_clause, window_clause, values_lists, locking_clause];
        if empty.iter().any(|clause| !clause.is_empty()) {
            return Calls::Unknown;
        }
        let calls = target_list.iter().filter_map(target_call).collect();
        match (from_clause.as_slice(), select.where_clause.as_deref()) {
            ([], None) => Calls::Once(calls),
            ([from], Some(condition)) if is_pg_settings(from) => {
                setting_named(condition).map_or(Calls::Unknown, |name| Calls::SettingsRow(calls, name))
            }
            _ => Calls::Unknown,
        }
    }

    /// Whether this call is made once and for certain.
    pub(super) fn certain(&self, call: &p::FuncCall) -> bool {
        matches!(self, Calls::Once(calls) if calls.contains(&std::ptr::from_ref(call)))
    }

    /// The constant that column `name` is in this call's arguments.
    pub(super) fn setting(&self, call: &p::FuncCall) -> Option<&str> {
        match self {
            Calls::SettingsRow(calls, name) if calls.contains(&std::ptr::from_ref(call)) => Some(name),
            _ => None,
        }
    }
}

fn target_call(target: &p::Node) -> Option<*const p::FuncCall> {
    match target.node.as_ref()? {
        Node::ResTarget(target) => match target.val.as_ref()?.node.as_ref()? {
            Node::FuncCall(call) => Some(std::ptr::from_ref::<p::FuncCall>(call)),
            _ => None,
        },
        _ => None,
    }
}

/// `pg_settings`, with its own column names; a tenant's relation cannot stand before the catalog's.
fn is_pg_settings(from: &p::Node) -> bool {
    matches!(from.node.as_ref(), Some(Node::RangeVar(relation))
        if relation.relname == "pg_settings"
            && relation.catalogname.is_empty()
            && matches!(relation.schemaname.as_str(), "" | "pg_catalog" | "palisade")
            && relation.alias.is_none())
}

/// `name = 'constant'`.
fn setting_named(condition: &p::Node) -> Option<String> {
    let Some(Node::AExpr(equal)) = condition.node.as_ref() else { return None };
    let plain = equal.kind == p::AExprKind::AexprOp as i32 && strings(&equal.name)? == ["="];
    if !plain || !is_column_name(equal.lexpr.as_ref()?) {
        return None;
    }
    match equal.rexpr.as_ref()?.node.as_ref()? {
        Node::AConst(_) => constant(equal.rexpr.as_ref()?).map(|(text, _)| text.to_owned()),
        _ => None,
    }
}

fn is_column_name(node: &p::Node) -> bool {
    matches!(node.node.as_ref(), Some(Node::ColumnRef(column))
        if strings(&column.fields).as_deref() == Some(&["name"]))
}

/// `set_config(name, value, is_local)`.
pub(super) fn set_config(walk: &mut Walk<'_>, call: &p::FuncCall) {
    let args = &call.args;
    walk.reads_constants = true;
    let certain = walk.calls.certain(call);
    let named = args.first().and_then(|first| match constant(first) {
        Some((name, _)) => Some(name.to_ascii_lowercase()),
        None if is_column_name(first) => walk.calls.setting(call).map(str::to_ascii_lowercase),
        None => None,
    });
    let Some(name) = named else {
        walk.push(Class::Setting, Action::Set, ["", "", ""], Place::Unknown);
        return walk.effects.push(Effect::OpaqueSetting);
    };
    let given = args.get(1).and_then(constant);
    match given {
        Some((text, location)) => {
            let range = match walk.tokens.constant(location) {
                Place::Constant(range) => Some(range),
                _ => None,
            };
            let first = walk.accesses.len();
            setting(walk, &name, &[text.to_owned()], range);
            walk.accesses[first..].iter_mut().for_each(|access| access.literal = true);
        }
        // A computed value: the judge permits it for settings that any value may be given.
        None => walk.push_literal(Class::Setting, Action::Set, ["", "", &name], Place::Unknown),
    }
    let local = args.get(2).and_then(value);
    match (local.as_deref(), given) {
        (Some("true" | "t"), _) => {}
        // The value of a list of schemas is not one name: it cannot be said again as a string.
        (Some("false" | "f"), Some((text, _))) if certain && name != "search_path" => {
            let value = lasting(&name, text).unwrap_or_else(|| literal(text));
            walk.effects.push(Effect::Set { name, value: Some(value), scope: Scope::Session });
        }
        _ => walk.effects.push(Effect::OpaqueSetting),
    }
}

/// `current_setting(name)`.
pub(super) fn current_setting(walk: &mut Walk<'_>, args: &[p::Node]) {
    walk.reads_constants = true;
    if let Some((name, _)) = args.first().and_then(constant) {
        walk.push_literal(Class::Setting, Action::Show, ["", "", &name.to_ascii_lowercase()], Place::Unknown);
    }
}

pub(super) fn show(walk: &mut Walk<'_>, s: &p::VariableShowStmt) {
    // The statement as a whole: what shows the path is another statement.
    let place = walk.tokens.statement(&walk.within).map_or(Place::Unknown, Place::Keyword);
    walk.push(Class::Setting, Action::Show, ["", "", &s.name.to_ascii_lowercase()], place);
}

pub(super) fn discard(walk: &mut Walk<'_>, s: &p::DiscardStmt) {
    let all = s.target == p::DiscardMode::DiscardAll as i32;
    walk.effects.push(if all { Effect::DiscardAll } else { Effect::Discard });
}

pub(super) fn deallocate(walk: &mut Walk<'_>, s: &p::DeallocateStmt) {
    walk.effects.push(Effect::Deallocate { name: (!s.isall && !s.name.is_empty()).then(|| s.name.clone()) });
}

/// `DECLARE … CURSOR WITH HOLD` outlives its transaction.
pub(super) fn declare(walk: &mut Walk<'_>, s: &p::DeclareCursorStmt) {
    const CURSOR_OPT_HOLD: i32 = 0x0020;
    if s.options & CURSOR_OPT_HOLD != 0 {
        walk.effects.push(Effect::HoldCursor);
    }
}

pub(super) fn channel(walk: &mut Walk<'_>, name: &str, action: Action, effect: Effect) {
    if !name.is_empty() {
        let place = walk.tokens.find(&walk.within, &[name]);
        walk.push(Class::Channel, action, ["", "", name], place);
    }
    walk.effects.push(effect);
}
