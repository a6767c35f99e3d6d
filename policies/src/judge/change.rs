//! The smallest change of a policy that would permit what it refuses.

use crate::judge::Decided;
use crate::verdict::Reason;

/// The lines to add (`+ p, …`) and to take out (`- p, …`), one for each thing that is refused; `None` where no policy
/// can permit the statement, because something in it is not the tenant's to use.
pub(crate) fn smallest<'a>(decided: impl Iterator<Item = &'a Decided>, kind: &str) -> Option<Vec<String>> {
    let mut changes: Vec<String> = Vec::new();
    for one in decided {
        let Err((reason, rule)) = &one.outcome else { continue };
        if !matches!(reason, Reason::NoRight | Reason::ComputedName) || one.place == "@foreign" {
            return None;
        }
        let change = match rule {
            Some(rule) => format!("- p, {rule}"),
            None => format!(
                "+ p, {kind}, {}, {}, {}, {}, allow",
                one.access.class.word(),
                one.place,
                name(&one.access.name),
                one.access.action.word()
            ),
        };
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    Some(changes)
}

/// A name as a policy line can hold it; `*` for one that it cannot.
fn name(name: &str) -> &str {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    if plain { name } else { "*" }
}
