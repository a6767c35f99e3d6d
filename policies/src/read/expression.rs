//! Functions, types, columns, operators, collations, and the constants that name things.

use pg_query::protobuf as p;
use pg_query::protobuf::node::Node;

use crate::access::{Access, Action, Class, Place};
use crate::effect::Effect;
use crate::names;
use crate::read::lex;
use crate::read::session;
use crate::read::walk::{Walk, parts, strings};

/// `FOR UPDATE OF t` names an alias of the query, not a relation.
pub(super) fn locking(walk: &mut Walk<'_>, clause: &p::LockingClause) {
    for node in &clause.locked_rels {
        if let Some(Node::RangeVar(relation)) = node.node.as_ref() {
            walk.alias(relation);
        }
    }
}

/// A name in a list that has a location: a function, a sampling method.
pub(super) fn listed_function(walk: &mut Walk<'_>, names: &[p::Node], location: i32) {
    match strings(names).as_deref().and_then(parts) {
        Some(parts) => walk.name(Class::Function, Action::Execute, parts, location),
        None => walk.unknown("function name"),
    }
}

/// A function call, with what its constant arguments name.
pub(super) fn function(walk: &mut Walk<'_>, call: &p::FuncCall) {
    let Some(names) = strings(&call.funcname) else { return walk.unknown("function name") };
    let Some([database, schema, name]) = parts(&names) else { return walk.unknown("function name") };
    // The grammar itself writes pg_catalog for special forms (EXTRACT, TRIM, OVERLAY …): nothing stands in the text.
    let explicit = call.funcformat != p::CoercionForm::CoerceSqlSyntax as i32;
    if explicit {
        walk.name(Class::Function, Action::Execute, [database, schema, name], call.location);
    } else {
        walk.push(Class::Function, Action::Execute, [database, schema, name], Place::Unknown);
    }
    walk.reads_constants |= names::takes_object(name);
    if computes_object(walk, name, call)
        && let Some(access) = walk.accesses.last_mut()
    {
        access.value = Some(Access::COMPUTED.to_owned());
    }
    // A rewritten text calls PostgreSQL's own functions by their replacements.
    if matches!(schema, "" | "pg_catalog" | "palisade") {
        catalog_call(walk, name, call);
    }
}

/// Whether a function that takes an object by name or number is given something else than a constant name. In a body,
/// where only tokens are replaced, that of a text search function with one argument is meant too.
fn computes_object(walk: &Walk<'_>, name: &str, call: &p::FuncCall) -> bool {
    let searches = name.contains("ts");
    names::takes_object(name)
        && (walk.in_body || !searches || call.args.len() > 1)
        && !call.args.first().and_then(constant).is_some_and(|(text, _)| walk.in_body || !is_number(text))
}

/// Whether a constant is the number of an object.
fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// What a call of one of PostgreSQL's own functions does beyond computing.
fn catalog_call(walk: &mut Walk<'_>, name: &str, call: &p::FuncCall) {
    let args = &call.args;
    match name {
        "set_config" => session::set_config(walk, call),
        "current_setting" => session::current_setting(walk, args),
        "pg_notify" => walk.effects.push(Effect::Notify),
        "currval" | "lastval" => walk.effects.push(Effect::SequenceState),
        _ if (name.starts_with("pg_advisory_") || name.starts_with("pg_try_advisory_"))
            && !name.contains("xact") =>
        {
            let releases = name.starts_with("pg_advisory_unlock");
            walk.effects.push(if releases { Effect::AdvisoryUnlock } else { Effect::AdvisoryLock });
        }
        _ => {}
    }
    let class = match name {
        "nextval"
        | "currval"
        | "setval"
        | "pg_get_serial_sequence"
        | "to_regclass"
        | "pg_relation_size"
        | "pg_table_size"
        | "pg_total_relation_size"
        | "pg_indexes_size"
        | "has_table_privilege"
        | "has_any_column_privilege"
        | "has_column_privilege"
        | "has_sequence_privilege"
        | "row_security_active" => Class::Relation,
        "to_regproc" | "to_regprocedure" | "has_function_privilege" => Class::Function,
        "to_regtype" | "has_type_privilege" => Class::Type,
        "to_regnamespace" | "has_schema_privilege" => Class::Schema,
        "to_regrole" | "pg_has_role" => Class::Role,
        "to_tsvector"
        | "to_tsquery"
        | "plainto_tsquery"
        | "phraseto_tsquery"
        | "websearch_to_tsquery"
        | "ts_headline"
        | "get_current_ts_config"
        | "ts_debug"
        | "ts_parse"
        | "ts_lexize"
            if args.len() > 1 || name == "ts_debug" =>
        {
            Class::TextSearch
        }
        _ => return,
    };
    walk.reads_constants = true;
    let named: Vec<_> = args.iter().filter_map(constant).collect();
    let wanted = if name.starts_with("has_") || name == "pg_has_role" { args.len() } else { 1 };
    if class == Class::TextSearch {
        if let Some((text, location)) = args.first().and_then(constant) {
            constant_name(walk, class, text, location);
        }
        return;
    }
    // With has_*_privilege the object is one of the first two constants and the rest are words: all but the last.
    let objects =
        if wanted == 1 { 1 } else { named.len().saturating_sub(1).max(usize::from(args.len() == 1)) };
    if named.is_empty() || args.first().and_then(constant).is_none() && wanted == 1 {
        walk.push(class, Action::Usage, ["", "", ""], Place::Unknown);
    }
    for (text, location) in named.into_iter().take(objects) {
        // A user name may stand before the object; a name without a dot is the tenant's own or nobody's.
        if wanted == 1 || text.contains('.') || class == Class::Schema {
            constant_name(walk, class, text, location);
        }
    }
}

/// A constant that is read as a name of this class.
fn constant_name(walk: &mut Walk<'_>, class: Class, text: &str, location: i32) {
    // A number is an OID, which names nothing by itself; `-` is nothing.
    if text == "-" || is_number(text) {
        return walk.push(class, Action::Usage, ["", "", ""], Place::Unknown);
    }
    let bare = match class {
        Class::Function | Class::Type => text.split(['(', '[']).next().unwrap_or_default(),
        _ => text,
    };
    let place = walk.tokens.constant(location);
    match lex::qualified(bare) {
        Some(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            match parts(&names) {
                Some(parts) => walk.push_literal(class, Action::Usage, parts, place),
                None => walk.push(class, Action::Usage, ["", "", ""], Place::Unknown),
            }
        }
        // `double precision` and other spellings of built-in types, or something that PostgreSQL refuses itself.
        None if !bare.contains('.') => walk.push(class, Action::Usage, ["", "", ""], Place::Unknown),
        None => walk.unknown("name in a string constant"),
    }
}

/// The text and location of a string constant.
pub(super) fn constant(node: &p::Node) -> Option<(&str, i32)> {
    match node.node.as_ref()? {
        Node::AConst(c) => match c.val.as_ref()? {
            p::a_const::Val::Sval(s) => Some((s.sval.as_str(), c.location)),
            _ => None,
        },
        Node::TypeCast(c) => constant(c.arg.as_ref()?),
        _ => None,
    }
}

/// A cast to a type whose values are names: what is named is an access.
pub(super) fn cast(walk: &mut Walk<'_>, cast: &p::TypeCast) {
    let Some(type_name) = cast.type_name.as_ref() else { return };
    let Some(names) = strings(&type_name.names) else { return };
    let Some([_, schema, name]) = parts(&names) else { return };
    if !matches!(schema, "" | "pg_catalog" | "palisade") {
        return;
    }
    if !names::is_object_type(name) {
        return;
    }
    walk.reads_constants = true;
    let named = cast.arg.as_deref().and_then(constant).filter(|(text, _)| !is_number(text));
    if named.is_some() && type_name.array_bounds.is_empty() && !name.starts_with('_') {
        walk.judged_types.insert(type_name, ());
    }
    if named.is_none() && is_computed(cast.arg.as_deref()) {
        walk.computed_types.insert(type_name, cast.location);
    }
    let class = match name {
        "regclass" => Class::Relation,
        "regproc" | "regprocedure" => Class::Function,
        "regtype" => Class::Type,
        "regnamespace" => Class::Schema,
        "regrole" => Class::Role,
        "regconfig" | "regdictionary" => Class::TextSearch,
        "regcollation" => Class::Collation,
        "regoper" | "regoperator" => {
            return walk.push(Class::Operator, Action::Usage, ["", "", ""], Place::Unknown);
        }
        _ => return,
    };
    match cast.arg.as_deref().and_then(constant) {
        Some((text, location)) if type_name.array_bounds.is_empty() => {
            constant_name(walk, class, text, location)
        }
        _ => walk.push(class, Action::Usage, ["", "", ""], Place::Unknown),
    }
}

/// Whether what is cast may be a text that the server puts together: no constant, and no parameter, whose type would be
/// another then.
fn is_computed(node: Option<&p::Node>) -> bool {
    !matches!(node.and_then(|n| n.node.as_ref()), None | Some(Node::AConst(_) | Node::ParamRef(_)))
}

/// A type's name. Built-in types written as keywords are `pg_catalog.x` by the grammar's own doing.
pub(super) fn type_name(walk: &mut Walk<'_>, name: &p::TypeName) {
    let Some(names) = strings(&name.names) else { return walk.unknown("type name") };
    if names.is_empty() || walk.judged_types.contains_key(&std::ptr::from_ref(name)) {
        return;
    }
    // `t.c%TYPE`: the last part is a column.
    let names = if name.pct_type { &names[..names.len() - 1] } else { &names[..] };
    let Some(parts) = parts(names) else { return walk.unknown("type name") };
    let class = if name.pct_type { Class::Relation } else { Class::Type };
    let place = walk.tokens.place(name.location, names.len());
    if place == Place::Unknown && parts[1] == "pg_catalog" && !name.pct_type {
        return;
    }
    if place == Place::Unknown {
        return walk.listed(class, Action::Usage, names);
    }
    let cast = walk.computed_types.get(&std::ptr::from_ref(name)).filter(|_| name.array_bounds.is_empty());
    let form = cast.and_then(|cast| walk.tokens.cast_form(*cast, name.location));
    walk.push(class, Action::Usage, parts, place);
    if let Some(form) = form
        && let Some(access) = walk.accesses.last_mut()
    {
        access.value = Some(Access::COMPUTED.to_owned());
        access.cast = form;
    }
}

/// A column with three or more parts carries a schema: `public.t.c`, `public.t.*`.
pub(super) fn column(walk: &mut Walk<'_>, column: &p::ColumnRef) {
    let names: Vec<&str> = column
        .fields
        .iter()
        .map_while(|n| match n.node.as_ref() {
            Some(Node::String(s)) => Some(s.sval.as_str()),
            _ => None,
        })
        .collect();
    let qualifier = column.fields.len() - 1;
    if qualifier < 2 || names.len() < qualifier {
        return;
    }
    // Four parts or more may be `schema.table.column.field` as well as `database.schema.table.column`.
    let relation = if qualifier >= 3 && names[0] != "public" { &names[..3] } else { &names[..2] };
    let Some(parts) = parts(relation) else { return walk.unknown("column name") };
    let place = walk.tokens.place(column.location, relation.len());
    walk.push(Class::Relation, Action::Usage, parts, place);
}

/// `OPERATOR(schema.op)`; a bare operator is found through the pinned path.
pub(super) fn operator(walk: &mut Walk<'_>, names: &[p::Node], location: i32) {
    let Some(names) = strings(names) else { return walk.unknown("operator name") };
    if let [schema, name] = names[..]
        && schema != "pg_catalog"
    {
        let place = walk.tokens.operator(location, 2);
        walk.push(Class::Operator, Action::Usage, ["", schema, name], place);
    }
}

/// `COLLATE name`.
pub(super) fn collation(walk: &mut Walk<'_>, names: &[p::Node], location: i32) {
    match strings(names) {
        Some(names) if !names.is_empty() => {
            let Some(parts) = parts(&names) else { return walk.unknown("collation name") };
            let place = walk.tokens.after(location, names.len());
            walk.push(Class::Collation, Action::Usage, parts, place);
        }
        Some(_) => {}
        None => walk.unknown("collation name"),
    }
}

/// `current_schema`, `current_user` and the like, written without parentheses.
pub(super) fn value_function(walk: &mut Walk<'_>, function: &p::SqlValueFunction) {
    use p::SqlValueFunctionOp as Op;
    let name = match Op::try_from(function.op) {
        Ok(Op::SvfopCurrentSchema) => "current_schema",
        Ok(Op::SvfopCurrentCatalog) => "current_catalog",
        Ok(Op::SvfopCurrentUser) => "current_user",
        Ok(Op::SvfopCurrentRole) => "current_role",
        Ok(Op::SvfopUser) => "user",
        Ok(Op::SvfopSessionUser) => "session_user",
        Ok(Op::SqlvalueFunctionOpUndefined) | Err(_) => return walk.unknown("SQL value function"),
        Ok(_) => return,
    };
    let place = walk.tokens.keyword(function.location);
    walk.push(Class::Function, Action::Execute, ["", "pg_catalog", name], place);
}
