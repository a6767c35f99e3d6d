//! Registers a template: tries every version in a scratch tenant inside one transaction that is rolled back, keeps what
//! each makes, and proves every undo.

use deadpool_postgres::Transaction;
use palisade_catalog::ids::TenantId;
use palisade_catalog::names;
use tokio_postgres::error::ErrorPosition;

use crate::http::problem::Problem;
use crate::template::{Migration, Refusal, Script, Source, line_of};
use crate::templates::{self, TemplateVersion};
use crate::{Shared, foundation, provision};

/// Counts the forms that a description has had. A new form is a reason to try all templates anew.
const DESCRIPTION_FORM: u32 = 1;
/// Held while templates are registered, so that two control planes may do it at once.
const REGISTER_LOCK: i64 = 0x7061_6c69_7465_6d70;

/// Why a template is not registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    /// The template's fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Ours, or the database's.
    #[error("{}", .0.detail)]
    Failed(Problem),
}

impl<E: Into<Problem>> From<E> for RegisterError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What one version makes.
struct Tried<'s> {
    migration: &'s Migration,
    lines: Vec<String>,
    fingerprint: String,
}

/// Tries a template and keeps its versions. `true`: something is new. A dry run keeps nothing.
pub(crate) async fn register(
    shared: &Shared,
    source: &Source,
    actor: &str,
    dry_run: bool,
) -> Result<bool, RegisterError> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&REGISTER_LOCK]).await?;
    let made_with = made_with(&tx).await?;
    let known = templates::all(&*tx, Some(&source.name)).await?.pop().map(|t| t.versions).unwrap_or_default();
    if !compare(&known, source, &made_with)? && !dry_run {
        return Ok(false);
    }
    tx.batch_execute("SAVEPOINT scratch").await?;
    let tried = try_all(shared, &tx, source).await?;
    tx.batch_execute("ROLLBACK TO SAVEPOINT scratch").await?;
    if dry_run {
        return Ok(true);
    }
    for version in &tried {
        keep(&tx, &source.name, version, &made_with, actor).await?;
    }
    let mut event = provision::system_event("template.register", actor);
    let newest = source.migrations.last().map(|m| m.version);
    event.detail = serde_json::json!({ "template": source.name, "version": newest });
    crate::audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(true)
}

/// What a description depends on besides the template: the server's major version and the description's form.
async fn made_with(tx: &Transaction<'_>) -> Result<String, tokio_postgres::Error> {
    let row = tx.query_one("SELECT current_setting('server_version_num')::int / 10000", &[]).await?;
    Ok(format!("{}/{DESCRIPTION_FORM}", row.get::<_, i32>(0)))
}

/// Whether the files say something new. Refuses files that contradict what is registered.
fn compare(known: &[TemplateVersion], source: &Source, made_with: &str) -> Result<bool, Refusal> {
    let mut news = false;
    for k in known {
        let Some(m) = source.migrations.iter().find(|m| m.version == k.version) else {
            let reason = format!("is missing, and version {} was registered from it", k.version);
            return Err(Refusal::of(&k.file, None, reason));
        };
        if m.script.checksum != k.checksum {
            let reason =
                "was edited after it was registered; undo the edit and put the change into a new migration";
            return Err(Refusal::of(&m.script.file, None, reason));
        }
        let undo = m.undo.as_ref().map(|u| u.checksum.as_str());
        news |= undo != k.undo_checksum.as_deref() || k.made_with != made_with;
    }
    let newest = known.last().map_or(0, |k| k.version);
    for m in source.migrations.iter().filter(|m| !known.iter().any(|k| k.version == m.version)) {
        if m.version < newest {
            let reason =
                format!("comes before version {newest}, which is registered; give it a higher number");
            return Err(Refusal::of(&m.script.file, None, reason));
        }
        news = true;
    }
    Ok(news)
}

/// Makes a scratch tenant version by version; behind each, its undo must lead back to exactly what was before.
async fn try_all<'s>(
    shared: &Shared,
    tx: &Transaction<'_>,
    source: &'s Source,
) -> Result<Vec<Tried<'s>>, RegisterError> {
    let id = TenantId::random();
    let (schema, owner) = (names::schema(&id), names::owner_role(&id));
    tx.batch_execute(&foundation::foundation(shared, &id)).await?;
    let mut before: Vec<String> = Vec::new();
    let mut tried = Vec::new();
    for migration in &source.migrations {
        run(tx, &migration.script, &schema, &owner).await?;
        let (lines, fingerprint) = describe(tx, &schema).await?;
        if let Some(undo) = &migration.undo {
            tx.batch_execute("SAVEPOINT undo").await?;
            run(tx, undo, &schema, &owner).await?;
            let (after, _) = describe(tx, &schema).await?;
            if let Some(line) = first_difference(&before, &after) {
                let reason = format!("does not lead back to the version before: {line}");
                return Err(Refusal::of(&undo.file, None, reason).into());
            }
            tx.batch_execute("ROLLBACK TO SAVEPOINT undo").await?;
        }
        before.clone_from(&lines);
        tried.push(Tried { migration, lines, fingerprint });
    }
    Ok(tried)
}

/// Runs a file as the scratch tenant's owner, statement by statement, so that an error has its line.
async fn run(tx: &Transaction<'_>, script: &Script, schema: &str, owner: &str) -> Result<(), RegisterError> {
    tx.batch_execute(&foundation::as_owner(schema, owner)).await?;
    for range in &script.statements {
        let text = &script.body[range.clone()];
        if let Err(error) = tx.batch_execute(text).await {
            let Some(db) = error.as_db_error() else { return Err(error.into()) };
            let line = match db.position() {
                Some(ErrorPosition::Original(position)) => {
                    let skipped = script.body[..range.start].matches('\n').count();
                    skipped + line_of(text, usize::try_from(*position).unwrap_or(1))
                }
                _ => script.line(range.start),
            };
            let reason = format!("{} ({})", db.message(), db.code().code()).replace(schema, "public");
            return Err(Refusal::of(&script.file, line, reason).into());
        }
    }
    let row = tx.query_one("SELECT current_user::text, current_schemas(false)::text[]", &[]).await?;
    let (user, path): (String, Vec<String>) = (row.get(0), row.get(1));
    if user != owner || path.first().map(String::as_str) != Some(schema) {
        return Err(
            Refusal::of(&script.file, None, "changes the role or the search path that it runs with").into()
        );
    }
    tx.batch_execute(foundation::AS_OURSELVES).await?;
    Ok(())
}

/// What a schema is made of, and its digest.
async fn describe(
    tx: &Transaction<'_>,
    schema: &str,
) -> Result<(Vec<String>, String), tokio_postgres::Error> {
    let row = tx
        .query_one(
            "SELECT array_agg(line ORDER BY line COLLATE \"C\"), palisade_control.fingerprint($1)
             FROM palisade_control.describe_schema($1) AS line",
            &[&schema],
        )
        .await?;
    Ok((row.get(0), row.get(1)))
}

/// The first line that only one of two descriptions has.
fn first_difference(wanted: &[String], got: &[String]) -> Option<String> {
    let left = got.iter().find(|line| !wanted.contains(line)).map(|line| format!("it leaves \"{line}\""));
    left.or_else(|| wanted.iter().find(|line| !got.contains(line)).map(|line| format!("it lacks \"{line}\"")))
}

async fn keep(
    tx: &Transaction<'_>,
    name: &str,
    tried: &Tried<'_>,
    made_with: &str,
    actor: &str,
) -> Result<(), tokio_postgres::Error> {
    let (m, undo) = (tried.migration, tried.migration.undo.as_ref());
    tx.execute(
        "INSERT INTO palisade_control.template_versions (name, version, file, body, checksum, undo_file, undo_body,
           undo_checksum, fingerprint, description, made_with, registered_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (name, version) DO UPDATE SET undo_file = excluded.undo_file, undo_body = excluded.undo_body,
           undo_checksum = excluded.undo_checksum, fingerprint = excluded.fingerprint,
           description = excluded.description, made_with = excluded.made_with",
        &[
            &name,
            &m.version,
            &m.script.file,
            &m.script.body,
            &m.script.checksum,
            &undo.map(|u| &u.file),
            &undo.map(|u| &u.body),
            &undo.map(|u| &u.checksum),
            &tried.fingerprint,
            &tried.lines,
            &made_with,
            &actor,
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn differences_name_a_line() {
        for (wanted, got, said) in [
            (&["a", "b"][..], &["a", "b"][..], None),
            (&["a"], &["a", "c"], Some("it leaves \"c\"")),
            (&["a", "b"], &["a"], Some("it lacks \"b\"")),
        ] {
            assert_eq!(first_difference(&lines(wanted), &lines(got)).as_deref(), said);
        }
    }

    fn source(files: &[(i32, &str)]) -> Source {
        let script = |text: &str| Script {
            file: "V__.sql".into(),
            body: text.into(),
            checksum: text.into(),
            statements: Vec::new(),
        };
        let migrations = files.iter().map(|(version, text)| Migration {
            version: *version,
            script: script(text),
            undo: None,
        });
        Source { name: "x".into(), migrations: migrations.collect() }
    }

    fn known(files: &[(i32, &str)]) -> Vec<TemplateVersion> {
        files
            .iter()
            .map(|(version, text)| TemplateVersion {
                version: *version,
                file: "V__.sql".into(),
                checksum: (*text).into(),
                undo_file: None,
                fingerprint: String::new(),
                registered_at: time::OffsetDateTime::UNIX_EPOCH,
                registered_by: String::new(),
                undo_checksum: None,
                made_with: "15/1".into(),
            })
            .collect()
    }

    #[test]
    fn registered_versions_never_change() {
        let base = known(&[(1, "a"), (3, "c")]);
        let say = |files: &[(i32, &str)], with: &str| match compare(&base, &source(files), with) {
            Ok(news) => news.to_string(),
            Err(refusal) => refusal.reason,
        };
        assert_eq!(say(&[(1, "a"), (3, "c")], "15/1"), "false");
        assert_eq!(say(&[(1, "a"), (3, "c")], "16/1"), "true");
        assert_eq!(say(&[(1, "a"), (3, "c"), (4, "d")], "15/1"), "true");
        assert!(say(&[(1, "a"), (3, "x")], "15/1").contains("was edited"));
        assert!(say(&[(1, "a")], "15/1").contains("is missing"));
        assert!(say(&[(1, "a"), (2, "b"), (3, "c")], "15/1").contains("higher number"));
    }
}
