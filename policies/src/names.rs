//! What PostgreSQL itself owns: catalog relations and functions, and how each is treated.
//!
//! The lists are data (`policies/data/*.csv`), read once. A name that is on none of them is not PostgreSQL's own.

use std::collections::HashMap;
use std::sync::LazyLock;

/// How a relation of `pg_catalog` or `information_schema` is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationUse {
    /// Rewritten to the filtered view of the same name in `palisade` or `palisade_info`.
    View,
    /// The same for everybody: read as it is.
    Raw,
    /// Refused.
    Hidden,
    /// Not PostgreSQL's own.
    Unknown,
}

/// How a function of `pg_catalog` is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionUse {
    /// It computes.
    Harmless,
    /// Allowed; its constant arguments are judged as names.
    NamesThings,
    /// Rewritten to the function of the same name in `palisade`.
    Replaced,
    /// Refused.
    Forbidden,
    /// Not PostgreSQL's own.
    Unknown,
}

/// Functions of common extensions that reach files, other servers or other tenants' pages; refused wherever they live.
const FORBIDDEN_PREFIXES: [&str; 13] = [
    "crosstab",
    "dblink",
    "postgres_fdw",
    "file_fdw",
    "pg_stat_statements",
    "pg_buffercache",
    "pgstat",
    "pgrowlocks",
    "bt_",
    "heap_page",
    "get_raw_page",
    "pg_prewarm",
    "autoprewarm",
];
/// The same, whole names.
const FORBIDDEN_NAMES: [&str; 13] = [
    "page_header",
    "fsm_page_contents",
    "pg_freespace",
    "pg_visibility",
    "pg_visibility_map",
    "pg_truncate_visibility_map",
    "pg_check_frozen",
    "pg_check_visible",
    "verify_heapam",
    "connectby",
    "xpath_table",
    "lo_manage",
    "pg_relpages",
];

static RELATIONS: LazyLock<HashMap<(&'static str, &'static str), RelationUse>> = LazyLock::new(|| {
    lines(include_str!("../data/relations.csv"))
        .filter_map(|line| {
            let mut fields = line.split(',');
            let key = (fields.next()?, fields.next()?);
            let treatment = match fields.next()? {
                "view" => RelationUse::View,
                "raw" => RelationUse::Raw,
                _ => RelationUse::Hidden,
            };
            Some((key, treatment))
        })
        .collect()
});

static FUNCTIONS: LazyLock<HashMap<&'static str, FunctionUse>> = LazyLock::new(|| {
    lines(include_str!("../data/functions.csv"))
        .filter_map(|line| {
            let (name, treatment) = line.split_once(',')?;
            let treatment = match treatment {
                "harmless" => FunctionUse::Harmless,
                "names" => FunctionUse::NamesThings,
                "replaced" => FunctionUse::Replaced,
                _ => FunctionUse::Forbidden,
            };
            Some((name, treatment))
        })
        .collect()
});

static TYPES: LazyLock<std::collections::HashSet<&'static str>> =
    LazyLock::new(|| lines(include_str!("../data/types.csv")).collect());

/// Types whose values are numbers of objects that are shown as names: their numbers, those of their arrays, their names
/// (`pg_type.dat`).
const OBJECT_TYPES: [(u32, u32, &str); 11] = [
    (24, 1008, "regproc"),
    (2202, 2207, "regprocedure"),
    (2203, 2208, "regoper"),
    (2204, 2209, "regoperator"),
    (2205, 2210, "regclass"),
    (2206, 2211, "regtype"),
    (3734, 3735, "regconfig"),
    (3769, 3770, "regdictionary"),
    (4089, 4090, "regnamespace"),
    (4096, 4097, "regrole"),
    (4191, 4192, "regcollation"),
];

/// Whether a type, or the elements of an array type, are numbers of objects that are shown as names. PostgreSQL shows any
/// object's name to anybody: schema `palisade` has a domain of the same name that refuses what is not in sight.
#[must_use]
pub fn is_object_type(name: &str) -> bool {
    let name = name.strip_prefix('_').unwrap_or(name);
    OBJECT_TYPES.iter().any(|(.., known)| *known == name)
}

/// What stands in schema `palisade` for such a type where something computed is cast to it: a name may begin with the
/// schema as the tenant calls it.
#[must_use]
pub fn by_name(object_type: &str) -> String {
    format!("{NAMED}::palisade.{object_type}")
}

/// A name or a number of an object, on its way from any type to one of [`is_object_type`].
pub const NAMED: &str = "named";

/// The name of such a type by its number, or by its array's.
#[must_use]
pub fn object_type(number: u32) -> Option<&'static str> {
    OBJECT_TYPES.iter().find(|(one, many, _)| [*one, *many].contains(&number)).map(|(.., name)| *name)
}

/// Functions that name things, but not by an argument of a type of [`is_object_type`].
const NAMED_OTHERWISE: [&str; 3] = ["set_config", "current_setting", "lastval"];

/// Whether a function takes an object by name or number: with a computed argument it is replaced by the one in schema
/// `palisade`, which refuses a number that is not in sight.
#[must_use]
pub fn takes_object(name: &str) -> bool {
    function(name) == FunctionUse::NamesThings && !NAMED_OTHERWISE.contains(&name)
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// How a relation of one of PostgreSQL's own schemas is treated. One that a newer server has and no list knows is
/// hidden where its name begins with `pg_`.
#[must_use]
pub fn relation(schema: &str, name: &str) -> RelationUse {
    match RELATIONS.get(&(schema, name)) {
        Some(treatment) => *treatment,
        None if name.starts_with("pg_") => RelationUse::Hidden,
        None => RelationUse::Unknown,
    }
}

/// The relations of PostgreSQL's own schemas that say the same to everybody: schema and name.
pub fn raw_relations() -> impl Iterator<Item = (&'static str, &'static str)> {
    RELATIONS.iter().filter(|(_, treatment)| **treatment == RelationUse::Raw).map(|(key, _)| *key)
}

/// Whether a function's channel or key is the tenant's own: then it is replaced in the bodies of functions too.
#[must_use]
pub fn namespaced(name: &str) -> bool {
    name == "pg_notify" || name.starts_with("pg_advisory_") || name.starts_with("pg_try_advisory_")
}

/// How a function is treated, by its name alone: every overload alike.
#[must_use]
pub fn function(name: &str) -> FunctionUse {
    if let Some(treatment) = FUNCTIONS.get(name) {
        return *treatment;
    }
    let refused = FORBIDDEN_NAMES.contains(&name)
        || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.starts_with("pg_");
    if refused { FunctionUse::Forbidden } else { FunctionUse::Unknown }
}

/// Whether somebody has looked at a function of `pg_catalog`: it is on the list, whatever its treatment.
#[must_use]
pub fn is_classified_function(name: &str) -> bool {
    FUNCTIONS.contains_key(name)
}

/// The same for a relation of `pg_catalog` or `information_schema`.
#[must_use]
pub fn is_classified_relation(schema: &str, name: &str) -> bool {
    RELATIONS.contains_key(&(schema, name))
}

/// Whether `pg_catalog` has a relation of this name: it comes before anything of the tenant's.
#[must_use]
pub fn is_catalog_relation(name: &str) -> bool {
    RELATIONS.contains_key(&("pg_catalog", name))
}

/// Whether `pg_catalog` has a type of this name, row types of its relations included.
#[must_use]
pub fn is_catalog_type(name: &str) -> bool {
    TYPES.contains(name) || TYPES.contains(name.trim_start_matches('_')) || is_catalog_relation(name)
}

/// The setting by which a session refuses views that are not the system's, as `pg_dump` does.
pub(crate) const RESTRICTED_KINDS: &str = "restrict_nonsystem_relation_kind";

/// The value that it may have: the filtered catalogs are views of ours. `None` where the value may stay.
pub(crate) fn without_views(value: &str) -> Option<String> {
    let kinds = || value.split(',').map(|kind| kind.trim().trim_matches('"'));
    let view = |kind: &&str| kind.eq_ignore_ascii_case("view");
    kinds().any(|kind| view(&kind)).then(|| kinds().filter(|kind| !view(kind)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn treatments_follow_the_lists() {
        for (name, want) in [
            ("count", FunctionUse::Harmless),
            ("generate_series", FunctionUse::Harmless),
            ("set_config", FunctionUse::NamesThings),
            ("current_schema", FunctionUse::Replaced),
            ("pg_read_file", FunctionUse::Forbidden),
            ("query_to_xml", FunctionUse::Forbidden),
            ("dblink_connect", FunctionUse::Forbidden),
            ("pg_something_new", FunctionUse::Forbidden),
            ("add_tax", FunctionUse::Unknown),
        ] {
            assert_eq!(function(name), want, "{name}");
        }
        assert_eq!(relation("pg_catalog", "pg_class"), RelationUse::View);
        assert_eq!(relation("pg_catalog", "pg_authid"), RelationUse::Hidden);
        assert_eq!(relation("pg_catalog", "pg_new"), RelationUse::Hidden);
        assert_eq!(relation("information_schema", "tables"), RelationUse::View);
        assert_eq!(relation("pg_catalog", "users"), RelationUse::Unknown);
        assert!(is_catalog_type("int4") && is_catalog_type("_int4") && !is_catalog_type("users"));
    }
}
