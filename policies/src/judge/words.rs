//! A denial in PostgreSQL's own words. They are the same for a thing of another tenant and for one that nobody has.

use crate::access::{Access, Action, Class, Place};
use crate::judge::resolve::Resolved;
use crate::verdict::Reason;

/// SQLSTATE and message for an access that is not permitted.
pub(super) fn of(access: &Access, resolved: &Resolved) -> (&'static str, String) {
    match resolved.reason {
        Reason::ForeignDatabase => {
            let full = [access.database.as_deref(), access.schema.as_deref(), Some(&*access.name)];
            let full: Vec<&str> = full.into_iter().flatten().collect();
            ("0A000", format!("cross-database references are not implemented: \"{}\"", full.join(".")))
        }
        Reason::ForeignSchema => missing(access),
        Reason::ForeignRole => {
            let sqlstate = if access.action == Action::Set { "22023" } else { "42704" };
            (sqlstate, format!("role \"{}\" does not exist", access.name))
        }
        Reason::PinnedSetting => ("42501", format!("permission denied to set parameter \"{}\"", access.name)),
        Reason::ForbiddenFunction => ("42501", format!("permission denied for function {}", access.name)),
        Reason::HiddenCatalog => ("42501", format!("permission denied for table {}", access.name)),
        Reason::ComputedName if access.class == Class::Setting => {
            ("42501", "permission denied to set a parameter whose name is computed".into())
        }
        _ => ("42501", no_right(access)),
    }
}

/// What PostgreSQL says of a name in a schema that does not exist.
fn missing(access: &Access) -> (&'static str, String) {
    let schema = access.schema.as_deref().unwrap_or(&access.name);
    let no_schema = || ("3F000", format!("schema \"{schema}\" does not exist"));
    if access.place == Place::Body {
        return no_schema();
    }
    match (access.class, access.action) {
        (Class::Relation, Action::Create) => no_schema(),
        (Class::Relation, _) => ("42P01", format!("relation \"{schema}.{}\" does not exist", access.name)),
        _ => no_schema(),
    }
}

fn no_right(access: &Access) -> String {
    match access.class {
        Class::Relation if access.action == Action::Create => "permission denied for schema public".into(),
        Class::Relation if matches!(access.action, Action::Alter | Action::Drop | Action::Comment) => {
            format!("must be owner of table {}", access.name)
        }
        Class::Relation => format!("permission denied for table {}", access.name),
        Class::Function if access.action == Action::Create => "permission denied for schema public".into(),
        Class::Setting => format!("permission denied to set parameter \"{}\"", access.name),
        Class::Other => "permission denied".into(),
        class => format!("permission denied for {} {}", class.word(), access.name),
    }
}
