//! Names in definitions: most stand in lists without a location.

use pg_query::protobuf as p;
use pg_query::protobuf::ObjectType as T;
use pg_query::protobuf::node::Node;

use crate::access::{Action, Class, Place};
use crate::effect::Effect;
use crate::read::walk::{Walk, parts, strings};
use crate::read::{body, forbidden};
use crate::verdict::Reason;

/// Records a name that is a list of strings.
pub(super) fn named(walk: &mut Walk<'_>, names: &[p::Node], class: Class, action: Action) {
    match strings(names) {
        Some(names) => walk.listed(class, action, &names),
        None => walk.unknown("name"),
    }
}

pub(super) fn create_table(walk: &mut Walk<'_>, s: &p::CreateStmt) {
    walk.role(s.relation.as_ref(), Action::Create);
    walk.roles_of(&s.inh_relations, Action::Alter);
    if !s.tablespacename.is_empty() {
        walk.push(Class::Tablespace, Action::Usage, ["", "", &s.tablespacename], Place::Unknown);
    }
}

/// A foreign key names the table that it refers to.
pub(super) fn constraint(walk: &mut Walk<'_>, c: &p::Constraint) {
    walk.role(c.pktable.as_ref(), Action::Usage);
}

pub(super) fn index_element(walk: &mut Walk<'_>, opclass: &[p::Node], collation: &[p::Node]) {
    if !opclass.is_empty() {
        named(walk, opclass, Class::OperatorClass, Action::Usage);
    }
    if !collation.is_empty() {
        named(walk, collation, Class::Collation, Action::Usage);
    }
}

/// Options with names in them: `OWNED BY table.column`, `SET setting` of a function.
pub(super) fn option(walk: &mut Walk<'_>, e: &p::DefElem) {
    // The sequence of an identity column, as pg_dump names it.
    if e.defname == "sequence_name" {
        let names = match e.arg.as_ref().and_then(|a| a.node.as_ref()) {
            Some(Node::List(list)) => strings(&list.items),
            _ => None,
        };
        let Some(names) = names else { return walk.unknown("name of a sequence") };
        return walk.listed(Class::Relation, Action::Create, &names);
    }
    // ALTER DEFAULT PRIVILEGES IN SCHEMA.
    if e.defname == "schemas" {
        let names = match e.arg.as_ref().and_then(|a| a.node.as_ref()) {
            Some(Node::List(list)) => strings(&list.items),
            _ => None,
        };
        let Some(names) = names else { return walk.unknown("schemas of default privileges") };
        for name in names {
            let place = walk.tokens.find_first(&walk.within, &[name]);
            walk.push(Class::Schema, Action::Grant, ["", "", name], place);
        }
        return;
    }
    if e.defname == "owned_by"
        && let Some(Node::List(list)) = e.arg.as_ref().and_then(|a| a.node.as_ref())
    {
        let Some(names) = strings(&list.items) else { return walk.unknown("owner of a sequence") };
        if let [relation @ .., _column] = &names[..]
            && !relation.is_empty()
        {
            owner_column(walk, relation, &names);
        }
    }
}

/// `OWNED BY schema.table.column`: the place of the table is within a chain that is one part longer.
fn owner_column(walk: &mut Walk<'_>, relation: &[&str], chain: &[&str]) {
    let Some(parts) = parts(relation) else { return walk.unknown("owner of a sequence") };
    let place = if chain.len() > 3 { Place::Unknown } else { walk.tokens.find(&walk.within, chain) };
    let place = match place {
        Place::Identifiers { database, schema: Some(name), .. } => {
            Place::Identifiers { database: None, schema: database, name }
        }
        _ => Place::Unknown,
    };
    walk.push(Class::Relation, Action::Alter, parts, place);
}

pub(super) fn alter_table_command(walk: &mut Walk<'_>, c: &p::AlterTableCmd) {
    use p::AlterTableType as A;
    match A::try_from(c.subtype) {
        Ok(A::AtAddInherit | A::AtDropInherit) => {
            if let Some(Node::RangeVar(parent)) = c.def.as_ref().and_then(|d| d.node.as_ref()) {
                walk.role(Some(parent), Action::Alter);
            }
        }
        Ok(A::AtSetTableSpace) => {
            walk.push(Class::Tablespace, Action::Usage, ["", "", &c.name], Place::Unknown);
        }
        Ok(A::Undefined) | Err(_) => walk.unknown("ALTER TABLE command"),
        Ok(_) => {}
    }
}

pub(super) fn object_with_args(
    walk: &mut Walk<'_>,
    o: Option<&p::ObjectWithArgs>,
    class: Class,
    action: Action,
) {
    match o {
        Some(o) => named(walk, &o.objname, class, action),
        None => walk.unknown("object"),
    }
}

/// `CREATE FUNCTION`: its name, language, settings and, where a reader can see into it, its body.
pub(super) fn create_function(walk: &mut Walk<'_>, s: &p::CreateFunctionStmt) {
    named(walk, &s.funcname, Class::Function, Action::Create);
    let mut language = if s.sql_body.is_some() { "sql" } else { "" };
    let mut code = None;
    for node in &s.options {
        let Some(Node::DefElem(e)) = node.node.as_ref() else { continue };
        match (e.defname.as_str(), e.arg.as_ref().and_then(|a| a.node.as_ref())) {
            ("language", Some(Node::String(l))) => language = &l.sval,
            ("as", Some(Node::List(l))) => code = strings(&l.items),
            ("support", _) => {
                forbidden::refuse(walk, "42501", "must be superuser to specify a support function")
            }
            _ => {}
        }
    }
    check_language(walk, language);
    if let Some(code) = code {
        for text in code {
            body::read(walk, language, text);
        }
    }
}

fn check_language(walk: &mut Walk<'_>, language: &str) {
    if !matches!(language, "sql" | "plpgsql") {
        walk.forbid("42501", format!("permission denied for language {language}"), Reason::NoRight);
    }
}

/// `DO`: code that runs at once.
pub(super) fn do_block(walk: &mut Walk<'_>, s: &p::DoStmt) {
    walk.effects.push(Effect::Opaque);
    let (mut language, mut code) = ("plpgsql", None);
    for node in &s.args {
        let Some(Node::DefElem(e)) = node.node.as_ref() else { continue };
        match (e.defname.as_str(), e.arg.as_ref().and_then(|a| a.node.as_ref())) {
            ("language", Some(Node::String(l))) => language = &l.sval,
            ("as", Some(Node::String(text))) => code = Some(text.sval.as_str()),
            _ => walk.unknown("option of DO"),
        }
    }
    check_language(walk, language);
    if let Some(code) = code {
        body::read(walk, language, code);
    }
}

pub(super) fn create_trigger(walk: &mut Walk<'_>, s: &p::CreateTrigStmt) {
    walk.role(s.relation.as_ref(), Action::Alter);
    walk.role(s.constrrel.as_ref(), Action::Usage);
    named(walk, &s.funcname, Class::Function, Action::Execute);
}

pub(super) fn composite(walk: &mut Walk<'_>, s: &p::CompositeTypeStmt) {
    walk.role(s.typevar.as_ref(), Action::Create);
}

pub(super) fn statistics(walk: &mut Walk<'_>, s: &p::CreateStatsStmt) {
    if !s.defnames.is_empty() {
        named(walk, &s.defnames, Class::Statistics, Action::Create);
    }
    walk.roles_of(&s.relations, Action::Alter);
}

/// `CREATE AGGREGATE | OPERATOR | TYPE | COLLATION | TEXT SEARCH …`.
pub(super) fn define(walk: &mut Walk<'_>, s: &p::DefineStmt) {
    let class = match T::try_from(s.kind) {
        Ok(T::ObjectAggregate) => Class::Function,
        Ok(T::ObjectCollation) => Class::Collation,
        // These name functions and types in options that no reader judges yet.
        Ok(T::ObjectType) if s.definition.is_empty() => Class::Type,
        _ => return forbidden::refuse(walk, "42501", "permission denied for schema public"),
    };
    named(walk, &s.defnames, class, Action::Create);
    for node in &s.definition {
        if let Some(Node::DefElem(e)) = node.node.as_ref()
            && let Some(Node::List(list)) = e.arg.as_ref().and_then(|a| a.node.as_ref())
            && let Some(names) = strings(&list.items)
        {
            walk.listed(class, Action::Usage, &names);
        }
    }
}

/// What class an object type of the tree is; `None` for those that hang on a relation.
fn class_of(kind: i32) -> Option<Class> {
    Some(match T::try_from(kind).ok()? {
        T::ObjectTable
        | T::ObjectView
        | T::ObjectMatview
        | T::ObjectIndex
        | T::ObjectSequence
        | T::ObjectForeignTable => Class::Relation,
        T::ObjectFunction | T::ObjectProcedure | T::ObjectRoutine | T::ObjectAggregate => Class::Function,
        T::ObjectType | T::ObjectDomain => Class::Type,
        T::ObjectSchema => Class::Schema,
        T::ObjectCollation => Class::Collation,
        T::ObjectStatisticExt => Class::Statistics,
        T::ObjectOperator => Class::Operator,
        T::ObjectTsconfiguration | T::ObjectTsdictionary | T::ObjectTsparser | T::ObjectTstemplate => {
            Class::TextSearch
        }
        _ => return None,
    })
}

/// Object types whose name is a relation's with one more part: a trigger, a column.
fn hangs_on_relation(kind: i32) -> bool {
    matches!(
        T::try_from(kind),
        Ok(T::ObjectTrigger | T::ObjectRule | T::ObjectPolicy | T::ObjectTabconstraint | T::ObjectColumn)
    )
}

/// Records the object of a statement about one object.
fn object(walk: &mut Walk<'_>, kind: i32, node: Option<&p::Node>, action: Action) {
    let Some(node) = node.and_then(|n| n.node.as_ref()) else { return walk.unknown("object") };
    let names = match node {
        Node::List(list) => strings(&list.items),
        Node::String(name) => Some(vec![name.sval.as_str()]),
        Node::ObjectWithArgs(o) => strings(&o.objname),
        // A type's own visit records it, as used; this records what is done to it.
        Node::TypeName(t) => strings(&t.names),
        _ => None,
    };
    let Some(names) = names else { return walk.unknown("object name") };
    if hangs_on_relation(kind) {
        return part_of_relation(walk, &names, action);
    }
    if matches!(T::try_from(kind), Ok(T::ObjectDomconstraint)) {
        return;
    }
    match class_of(kind) {
        Some(Class::Schema) => match &names[..] {
            [name] => {
                // Behind it may stand the role PUBLIC, which is spelled like a schema.
                let place = match action {
                    Action::Grant => walk.tokens.find_first(&walk.within, &[name]),
                    _ => walk.tokens.find(&walk.within, &[name]),
                };
                walk.push(Class::Schema, action, ["", "", name], place);
            }
            _ => walk.unknown("schema name"),
        },
        Some(class) => walk.listed(class, action, &names),
        None => forbidden::refuse(walk, "42501", "permission denied"),
    }
}

/// `[schema.]table.part`: the place of the table where the parts stand in one chain (COMMENT ON COLUMN), else found.
fn part_of_relation(walk: &mut Walk<'_>, names: &[&str], action: Action) {
    let [relation @ .., _part] = names else { return walk.unknown("object name") };
    let action = if action == Action::Comment { action } else { Action::Alter };
    if relation.is_empty() {
        return;
    }
    match walk.tokens.find(&walk.within, names) {
        Place::Identifiers { .. } if names.len() <= 3 => owner_column_action(walk, relation, names, action),
        _ => walk.listed(Class::Relation, action, relation),
    }
}

fn owner_column_action(walk: &mut Walk<'_>, relation: &[&str], chain: &[&str], action: Action) {
    let before = walk.accesses.len();
    owner_column(walk, relation, chain);
    if let Some(access) = walk.accesses.get_mut(before) {
        access.action = action;
    }
}

pub(super) fn drop_objects(walk: &mut Walk<'_>, s: &p::DropStmt) {
    for node in &s.objects {
        object(walk, s.remove_type, Some(node), Action::Drop);
    }
}

pub(super) fn comment(walk: &mut Walk<'_>, s: &p::CommentStmt) {
    object(walk, s.objtype, s.object.as_deref(), Action::Comment);
}

pub(super) fn rename(walk: &mut Walk<'_>, s: &p::RenameStmt) {
    walk.role(s.relation.as_ref(), Action::Alter);
    if s.relation.is_none() {
        object(walk, s.rename_type, s.object.as_deref(), Action::Alter);
    }
}

pub(super) fn set_schema(walk: &mut Walk<'_>, s: &p::AlterObjectSchemaStmt) {
    walk.role(s.relation.as_ref(), Action::Alter);
    if s.relation.is_none() {
        object(walk, s.object_type, s.object.as_deref(), Action::Alter);
    }
    let place = walk.tokens.find(&walk.within, &[&s.newschema]);
    walk.push(Class::Schema, Action::Create, ["", "", &s.newschema], place);
}

pub(super) fn set_owner(walk: &mut Walk<'_>, s: &p::AlterOwnerStmt) {
    walk.role(s.relation.as_ref(), Action::Alter);
    if s.relation.is_none() {
        // Dumps give the schema to its owner. Any other role PostgreSQL itself refuses to a schema's owner, who is in none.
        let schema = s.object_type == p::ObjectType::ObjectSchema as i32;
        object(walk, s.object_type, s.object.as_deref(), if schema { Action::Grant } else { Action::Alter });
    }
}

pub(super) fn grant(walk: &mut Walk<'_>, s: &p::GrantStmt) {
    if s.targtype == p::GrantTargetType::AclTargetAllInSchema as i32 {
        for name in strings(&s.objects).unwrap_or_default() {
            walk.push(Class::Schema, Action::Grant, ["", "", name], walk.tokens.find(&walk.within, &[name]));
        }
        return;
    }
    for node in &s.objects {
        match node.node.as_ref() {
            Some(Node::RangeVar(relation)) => walk.role(Some(relation), Action::Grant),
            _ => object(walk, s.objtype, Some(node), Action::Grant),
        }
    }
}

/// A role named in a statement.
pub(super) fn role(walk: &mut Walk<'_>, r: &p::RoleSpec) {
    if r.roletype == p::RoleSpecType::RolespecCstring as i32 {
        walk.name(Class::Role, Action::Usage, ["", "", &r.rolename], r.location);
    }
}

pub(super) fn reindex(walk: &mut Walk<'_>, s: &p::ReindexStmt) {
    walk.role(s.relation.as_ref(), Action::Maintain);
    if s.relation.is_none() {
        if s.kind == p::ReindexObjectType::ReindexObjectSchema as i32 {
            walk.push(
                Class::Schema,
                Action::Maintain,
                ["", "", &s.name],
                walk.tokens.find(&walk.within, &[&s.name]),
            );
        } else {
            forbidden::refuse(walk, "42501", "must be owner of database");
        }
    }
}
