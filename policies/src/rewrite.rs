//! Byte patches in the original text, never a re-print. The patched text is read again: what it names must be exactly
//! what was permitted.

use std::ops::Range;

use crate::access::{Access, Class, Place, Reader};
use crate::judge::Namespace;
use crate::judge::resolve::resolve;
use crate::limits::Limits;
use crate::names;
use crate::read::{BodyName, ReadError, Reading, lex, read};
use crate::verdict::{Patch, Permit, Reason};

/// Longest channel name that PostgreSQL takes, in bytes.
const CHANNEL_BYTES: usize = 63;

/// A name as the rewritten text must hold it.
type Named = (Class, crate::access::Action, Option<String>, String);

/// The text to send instead, with its patches; `None` where the original is sent.
///
/// # Errors
/// A name that must be another and whose place is not known, or a patched text that reads differently.
pub(crate) fn rewrite(
    text: &str,
    reading: &Reading,
    namespace: &Namespace,
    limits: &Limits,
) -> Result<(Option<String>, Vec<Patch>), ReadError> {
    let mut patches = Vec::new();
    for statement in &reading.statements {
        for access in statement.accesses.iter().filter(|access| access.reader == Reader::Grammar) {
            if !(access.place == Place::Body
                && statement.bodies_open
                && replaced_in_bodies(access, namespace))
            {
                patch(text, access, namespace, &mut patches)?;
            }
        }
        patches.extend(statement.body_names.iter().map(|name| match name {
            BodyName::Schema(range) => Patch { range: range.clone(), text: quoted(&namespace.schema) },
            BodyName::Function { range, name } => {
                Patch { range: range.clone(), text: format!("palisade.{name}") }
            }
            BodyName::Catalog { range, view } => Patch { range: range.clone(), text: view.clone() },
        }));
    }
    if patches.is_empty() {
        return Ok((None, patches));
    }
    patches.sort_by_key(|p| (p.range.start, p.range.end));
    patches.dedup();
    if patches.windows(2).any(|pair| pair[0].range.end > pair[1].range.start) {
        return Err(cannot("overlapping names"));
    }
    let rewritten = apply(text, &patches);
    let slack = Limits { statement_bytes: limits.statement_bytes.max(rewritten.len()), ..*limits };
    let slack = Limits { operators: limits.operators.saturating_add(patches.len()), ..slack };
    let again = read(&rewritten, &slack)?;
    if expected(reading, namespace) != named(&again) {
        return Err(cannot("this statement"));
    }
    Ok((Some(rewritten), patches))
}

fn apply(text: &str, patches: &[Patch]) -> String {
    let mut out = String::with_capacity(text.len() + patches.len() * 24);
    let mut from = 0;
    for patch in patches {
        out.push_str(&text[from..patch.range.start]);
        out.push_str(&patch.text);
        from = patch.range.end;
    }
    out.push_str(&text[from..]);
    out
}

/// The schema that must stand in the text. A constant that names a catalog means the catalog's number, which is no
/// secret: `classoid = 'pg_class'::regclass`.
fn wanted(access: &Access, ns: &Namespace) -> Option<String> {
    let schema = resolve(access, ns).schema;
    let number = access.class == Class::Relation && matches!(access.place, Place::Constant(_));
    schema.filter(|schema| !number || *schema == ns.schema)
}

/// `SHOW search_path`: the real path is physical.
fn shows_path(access: &Access) -> bool {
    access.class == Class::Setting
        && access.action == crate::access::Action::Show
        && access.name == "search_path"
}

/// Whether something computed is cast to this type.
fn is_computed(access: &Access) -> bool {
    access.class == Class::Type && access.value.as_deref() == Some(Access::COMPUTED)
}

/// Whether a name in a body is one of those that are replaced there by their tokens.
fn replaced_in_bodies(access: &Access, ns: &Namespace) -> bool {
    let wanted = resolve(access, ns).schema;
    wanted
        .is_some_and(|schema| schema == ns.schema || matches!(schema.as_str(), "palisade" | "palisade_info"))
}

/// The patches that one access needs.
fn patch(text: &str, access: &Access, ns: &Namespace, out: &mut Vec<Patch>) -> Result<(), ReadError> {
    if access.class == Class::Channel {
        return channel(access, ns, out);
    }
    if access.class == Class::Role {
        return role(access, ns, out);
    }
    if access.name.is_empty() {
        return Ok(());
    }
    if let (true, Place::Keyword(range)) = (shows_path(access), &access.place) {
        let text = "SELECT palisade.search_path() AS search_path".to_owned();
        out.push(Patch { range: range.clone(), text });
        return Ok(());
    }
    let wanted = wanted(access, ns);
    let wanted = wanted.as_deref();
    match (&access.place, wanted) {
        (Place::Identifiers { database: Some(database), schema: Some(schema), .. }, _) => {
            // The database is the tenant's own and goes, dot included.
            let to = wanted.map_or_else(|| text[schema.clone()].to_owned(), quoted);
            out.push(Patch { range: database.start..schema.end, text: to });
        }
        (_, None) => {}
        (Place::Identifiers { schema, name, .. }, Some(wanted)) if is_computed(access) => {
            let from = schema.as_ref().map_or(name.start, |schema| schema.start);
            let text = match access.cast {
                None => format!("{wanted}.{}", names::by_name(&access.name)),
                Some(begin) => {
                    out.push(Patch { range: begin..begin, text: "CAST(".to_owned() });
                    format!("{wanted}.{}) AS {wanted}.{}", names::NAMED, access.name)
                }
            };
            out.push(Patch { range: from..name.end, text });
        }
        (Place::Identifiers { schema: Some(schema), .. }, Some(wanted)) => {
            out.push(Patch { range: schema.clone(), text: quoted(wanted) });
        }
        (Place::Identifiers { schema: None, name, .. }, Some(wanted)) if access.class == Class::Schema => {
            out.push(Patch { range: name.clone(), text: quoted(wanted) });
        }
        (Place::Identifiers { schema: None, name, .. }, Some(wanted)) => {
            out.push(Patch { range: name.start..name.start, text: format!("{}.", quoted(wanted)) });
        }
        (Place::Value(range), Some(wanted)) if access.class == Class::Setting => {
            let text =
                if access.name == "search_path" { path_value(text, range, wanted) } else { literal(wanted) };
            out.push(Patch { range: range.clone(), text });
        }
        (Place::Keyword(range), Some(wanted)) => {
            out.push(Patch {
                range: range.clone(),
                text: format!("{wanted}.{}()", keyword_function(&access.name)),
            });
        }
        (Place::Constant(range), Some(wanted)) => constant(text, access, range, wanted, out)?,
        // The elements of a search_path are replaced with the whole value.
        (Place::Unknown, Some(_))
            if access.class == Class::Schema && access.action == crate::access::Action::Set => {}
        (Place::Unknown | Place::Body | Place::Value(_), Some(_)) => return Err(cannot("this name")),
    }
    Ok(())
}

/// A path as it must stand: `set_config` has one string, `SET` a list.
fn path_value(text: &str, range: &Range<usize>, path: &str) -> String {
    let string =
        text[range.clone()].ends_with('\'') && !text[..range.start].trim_end().ends_with(['=', 'o', 'O']);
    if string { literal(path) } else { path.to_owned() }
}

fn constant(
    text: &str,
    access: &Access,
    range: &Range<usize>,
    wanted: &str,
    out: &mut Vec<Patch>,
) -> Result<(), ReadError> {
    let Some(spelled) = lex::string_value(&text[range.clone()]) else {
        return Err(cannot("a name in this kind of string constant"));
    };
    let rest = match access.schema {
        Some(_) => match after_schema(&spelled) {
            Some(rest) => rest,
            None => return Err(cannot("a name in this string constant")),
        },
        None => spelled.trim_start(),
    };
    let to =
        if access.class == Class::Schema { quoted(wanted) } else { format!("{}.{rest}", quoted(wanted)) };
    out.push(Patch { range: range.clone(), text: literal(&to) });
    Ok(())
}

/// What stands behind the first part and its dot.
fn after_schema(name: &str) -> Option<&str> {
    let name = name.trim_start();
    if let Some(quoted) = name.strip_prefix('"') {
        let end = quoted.find("\".")?;
        return Some(quoted[end + 2..].trim_start());
    }
    name.split_once('.').map(|(_, rest)| rest.trim_start())
}

/// A role that the tenant knows by its kind has a physical name in the database.
fn role(access: &Access, ns: &Namespace, out: &mut Vec<Patch>) -> Result<(), ReadError> {
    let Some(physical) = physical_role(&access.name, ns) else { return Ok(()) };
    match &access.place {
        Place::Identifiers { schema: None, name, .. } => {
            out.push(Patch { range: name.clone(), text: quoted(&physical) });
            Ok(())
        }
        // What a setting names is refused or left alone elsewhere.
        Place::Unknown if access.action == crate::access::Action::Set => Ok(()),
        _ => Err(cannot("this role")),
    }
}

/// The name that a role has in the database, where the tenant calls it by its kind.
#[must_use]
pub fn physical_role(name: &str, namespace: &Namespace) -> Option<String> {
    match name {
        "owner" => Some(format!("{}_owner", namespace.schema)),
        "app" | "readonly" => Some(format!("{}_l_{name}", namespace.schema)),
        _ if name == namespace.kind => Some(format!("{}_l_{name}", namespace.schema)),
        _ => None,
    }
}

/// Channels of two tenants never meet: the physical name begins with the schema's.
fn channel(access: &Access, ns: &Namespace, out: &mut Vec<Patch>) -> Result<(), ReadError> {
    let physical = physical_channel(&access.name, ns);
    if physical.len() > CHANNEL_BYTES {
        return Err(ReadError {
            sqlstate: "22023",
            message: "channel name too long".into(),
            hint: Some(format!(
                "A channel name has at most {} bytes here.",
                CHANNEL_BYTES - ns.schema.len() - 1
            )),
            position: None,
            reason: Reason::LimitExceeded,
        });
    }
    match &access.place {
        Place::Identifiers { schema: None, name, .. } => {
            out.push(Patch { range: name.clone(), text: quoted(&physical) });
            Ok(())
        }
        _ => Err(cannot("this channel name")),
    }
}

/// The name that a channel has in the database.
#[must_use]
pub fn physical_channel(name: &str, namespace: &Namespace) -> String {
    format!("{}:{name}", namespace.schema)
}

fn keyword_function(name: &str) -> &str {
    if name == "current_catalog" { "current_database" } else { name }
}

/// An identifier, quoted where it must be.
fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether an access must be found again as it was permitted.
fn compared(access: &Access) -> bool {
    access.reader == Reader::Grammar
        && !access.name.is_empty()
        && matches!(
            access.class,
            Class::Relation
                | Class::Function
                | Class::Type
                | Class::Operator
                | Class::OperatorClass
                | Class::Collation
                | Class::TextSearch
                | Class::Statistics
                | Class::Channel
                | Class::Role
        )
}

/// What the rewritten text must name.
fn expected(reading: &Reading, ns: &Namespace) -> Vec<Named> {
    let mut all: Vec<Named> = reading
        .statements
        .iter()
        .flat_map(|s| &s.accesses)
        .filter(|access| compared(access) || shows_path(access) && matches!(access.place, Place::Keyword(_)))
        .map(|access| {
            if shows_path(access) {
                let execute = crate::access::Action::Execute;
                return (Class::Function, execute, Some("palisade".to_owned()), access.name.clone());
            }
            let schema = wanted(access, ns).or_else(|| access.schema.clone());
            let name = match access.class {
                Class::Channel => physical_channel(&access.name, ns),
                Class::Role if access.action != crate::access::Action::Set => {
                    physical_role(&access.name, ns).unwrap_or_else(|| access.name.clone())
                }
                _ if matches!(access.place, Place::Keyword(_)) && schema.as_deref() == Some("palisade") => {
                    keyword_function(&access.name).to_owned()
                }
                _ => access.name.clone(),
            };
            let schema = if access.class == Class::Channel { None } else { schema };
            (access.class, access.action, schema, name)
        })
        .collect();
    let computed = reading.statements.iter().flat_map(|s| &s.accesses).filter(|access| is_computed(access));
    all.extend(
        computed.filter(|access| wanted(access, ns).is_some()).map(|access| {
            (access.class, access.action, Some("palisade".to_owned()), names::NAMED.to_owned())
        }),
    );
    all.sort();
    all
}

/// What a text names.
fn named(reading: &Reading) -> Vec<Named> {
    let mut all: Vec<Named> = reading
        .statements
        .iter()
        .flat_map(|s| &s.accesses)
        .filter(|access| compared(access))
        .map(|access| (access.class, access.action, access.schema.clone(), access.name.clone()))
        .collect();
    all.sort();
    all
}

fn cannot(what: &str) -> ReadError {
    ReadError {
        sqlstate: "0A000",
        message: format!("{what} cannot be mapped to the tenant's schema"),
        hint: Some("Write the name without a schema, as a plain identifier or plain string constant.".into()),
        position: None,
        reason: Reason::NotUnderstood,
    }
}

impl Permit {
    /// Maps a position in the text that was sent (characters from 1, as PostgreSQL counts) to one in the client's.
    #[must_use]
    pub fn map_position(&self, original: &str, position: usize) -> usize {
        let Some(rewritten) = &self.rewritten else { return position };
        let byte =
            rewritten.char_indices().nth(position.saturating_sub(1)).map_or(rewritten.len(), |(at, _)| at);
        let (mut in_new, mut in_old) = (0usize, 0usize);
        for patch in &self.patches {
            let start = in_new + (patch.range.start - in_old);
            if byte < start {
                break;
            }
            let end = start + patch.text.len();
            if byte < end {
                return original[..patch.range.start].chars().count() + 1;
            }
            (in_new, in_old) = (end, patch.range.end);
        }
        let old = (in_old + (byte - in_new)).min(original.len());
        original.get(..old).map_or(position, |before| before.chars().count() + 1)
    }
}
