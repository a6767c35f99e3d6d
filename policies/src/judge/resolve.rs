//! Where a name stands for this tenant. The policy sees the word, never the physical name.

use crate::access::{Access, Action, Class};
use crate::judge::Namespace;
use crate::names::{self, FunctionUse, RelationUse};
use crate::settings::{self, Most};
use crate::verdict::Reason;

/// A name, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The word for the policy.
    pub(crate) place: &'static str,
    /// The reason if no line permits it.
    pub(crate) reason: Reason,
    /// What must stand in the text instead of the written schema, or of a setting's value, where it must be another.
    pub(crate) schema: Option<String>,
}

impl Resolved {
    fn plain(place: &'static str, reason: Reason) -> Self {
        Self { place, reason, schema: None }
    }
}

/// Resolves a name as the pinned path does: the session's temporary schema when named, `pg_catalog`, the tenant's own.
pub(crate) fn resolve(access: &Access, ns: &Namespace) -> Resolved {
    if access.name.is_empty() {
        return Resolved::plain("@computed", Reason::ComputedName);
    }
    if access.database.as_ref().is_some_and(|database| *database != ns.database) {
        return Resolved::plain("@foreign", Reason::ForeignDatabase);
    }
    match access.class {
        Class::Setting => setting(access, ns),
        Class::Role => role(access, ns),
        Class::Channel => Resolved::plain("@own", Reason::NoRight),
        Class::Schema => schema(access, ns),
        Class::Database
        | Class::Tablespace
        | Class::Extension
        | Class::ForeignServer
        | Class::LargeObject
        | Class::Publication
        | Class::EventTrigger
        | Class::AccessMethod
        | Class::Conversion
        | Class::Language
        | Class::Other => Resolved::plain("@foreign", Reason::NoRight),
        Class::File | Class::Program => Resolved::plain("@forbidden", Reason::ServerFile),
        Class::Relation
        | Class::Function
        | Class::Type
        | Class::Operator
        | Class::OperatorClass
        | Class::Collation
        | Class::TextSearch
        | Class::Statistics => qualified(access, ns),
    }
}

fn qualified(access: &Access, ns: &Namespace) -> Resolved {
    match access.schema.as_deref() {
        Some("public") => {
            Resolved { place: "@own", reason: Reason::NoRight, schema: Some(ns.schema.clone()) }
        }
        Some(schema) if schema == ns.schema => Resolved::plain("@own", Reason::NoRight),
        Some("pg_catalog") => catalog(access),
        Some("information_schema") if access.class == Class::Relation => information_schema(access),
        Some("information_schema") => Resolved::plain("information_schema", Reason::NoRight),
        Some("pg_temp") => Resolved::plain("pg_temp", Reason::NoRight),
        Some(schema) if ns.shared.iter().any(|s| s == schema) => Resolved::plain("@shared", Reason::NoRight),
        Some(_) => Resolved::plain("@foreign", Reason::ForeignSchema),
        None if in_catalog(access) => catalog(access),
        None => Resolved::plain("@own", Reason::NoRight),
    }
}

/// Whether an unqualified name is PostgreSQL's own. A new object is made in the first schema of the path instead.
fn in_catalog(access: &Access) -> bool {
    if access.action == Action::Create {
        return false;
    }
    match access.class {
        Class::Relation => names::is_catalog_relation(&access.name),
        Class::Function => names::function(&access.name) != FunctionUse::Unknown,
        Class::Type => names::is_catalog_type(&access.name),
        _ => false,
    }
}

fn catalog(access: &Access) -> Resolved {
    let replaced = Resolved { place: "pg_catalog", reason: Reason::NoRight, schema: Some("palisade".into()) };
    match access.class {
        Class::Relation => match names::relation("pg_catalog", &access.name) {
            RelationUse::View => replaced,
            RelationUse::Raw => Resolved::plain("pg_catalog", Reason::NoRight),
            RelationUse::Hidden | RelationUse::Unknown => Resolved::plain("@hidden", Reason::HiddenCatalog),
        },
        Class::Function => match names::function(&access.name) {
            FunctionUse::Replaced => replaced,
            FunctionUse::NamesThings if access.value.as_deref() == Some(Access::COMPUTED) => replaced,
            FunctionUse::Harmless | FunctionUse::NamesThings => {
                Resolved::plain("pg_catalog", Reason::NoRight)
            }
            FunctionUse::Forbidden | FunctionUse::Unknown => {
                Resolved::plain("@forbidden", Reason::ForbiddenFunction)
            }
        },
        Class::Type if names::is_object_type(&access.name) => replaced,
        // The row type of a filtered view. Row types of hidden catalogs carry no rows.
        Class::Type if names::relation("pg_catalog", &access.name) == RelationUse::View => replaced,
        _ => Resolved::plain("pg_catalog", Reason::NoRight),
    }
}

fn information_schema(access: &Access) -> Resolved {
    match names::relation("information_schema", &access.name) {
        RelationUse::View => Resolved {
            place: "information_schema",
            reason: Reason::NoRight,
            schema: Some("palisade_info".into()),
        },
        RelationUse::Raw => Resolved::plain("information_schema", Reason::NoRight),
        RelationUse::Hidden | RelationUse::Unknown => Resolved::plain("@hidden", Reason::HiddenCatalog),
    }
}

/// A schema named as such.
fn schema(access: &Access, ns: &Namespace) -> Resolved {
    let name = access.name.as_str();
    let own = name == "public" || name == ns.schema;
    let in_path = access.action == Action::Set
        && (matches!(name, "$user" | "pg_catalog" | "pg_temp") || ns.shared.iter().any(|s| s == name));
    if own || in_path {
        let schema = (name == "public").then(|| ns.schema.clone());
        return Resolved { place: "@own", reason: Reason::NoRight, schema };
    }
    let usage = access.action == Action::Usage;
    match name {
        "pg_catalog" | "information_schema" if usage => Resolved::plain("pg_catalog", Reason::NoRight),
        _ => Resolved::plain("@foreign", Reason::ForeignSchema),
    }
}

/// A role: the tenant knows its own by their kinds.
fn role(access: &Access, ns: &Namespace) -> Resolved {
    let name = access.name.as_str();
    let known = access.action != Action::Set && crate::rewrite::physical_role(name, ns).is_some();
    let own = matches!(name, "none" | "default")
        || known
        || name.strip_prefix(&*ns.schema).is_some_and(|r| r.starts_with('_'));
    if own {
        Resolved::plain("@own", Reason::NoRight)
    } else {
        Resolved::plain("@foreign", Reason::ForeignRole)
    }
}

/// Settings that change how text is read, or who the session is, stay where they are.
fn setting(access: &Access, ns: &Namespace) -> Resolved {
    if access.action != Action::Set {
        return Resolved::plain("@free", Reason::NoRight);
    }
    let value = access.value.as_deref().map(|v| v.trim().to_ascii_lowercase());
    let same = |good: &[&str]| value.as_deref().is_some_and(|v| good.contains(&v));
    let free = match access.name.as_str() {
        // The schemas and roles of the value are accesses of their own; the path itself is written anew.
        "search_path" if value.is_some() => {
            return Resolved {
                place: "@free",
                reason: Reason::PinnedSetting,
                schema: Some(ns.search_path()),
            };
        }
        names::RESTRICTED_KINDS => {
            let schema = value.as_deref().and_then(names::without_views);
            return Resolved { place: "@free", reason: Reason::PinnedSetting, schema };
        }
        "role" | "session_authorization" => value.is_some(),
        "client_encoding" => same(&["utf8", "utf-8", "unicode"]),
        "standard_conforming_strings" => same(&["on", "true", "1", "yes"]),
        "backslash_quote" => same(&["safe_encoding"]),
        // Empty is what it is anyway.
        "default_tablespace" | "temp_tablespaces" => same(&["", "''"]),
        "search_path"
        | "session_replication_role"
        | "session_preload_libraries"
        | "local_preload_libraries"
        | "dynamic_library_path"
        | "allow_system_table_mods"
        | "lo_compat_privileges"
        | "escape_string_warning" => false,
        name => match settings::most(name) {
            Most::Any => true,
            Most::Nothing => false,
            Most::AtMost(limit) => value.is_some() && access.value.as_deref().is_some_and(|v| limit.holds(v)),
        },
    };
    Resolved::plain(if free { "@free" } else { "@pinned" }, Reason::PinnedSetting)
}
