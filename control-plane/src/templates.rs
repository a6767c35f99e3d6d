//! Registered template versions: queries.

use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Error, GenericClient, Row};
use utoipa::ToSchema;

/// A registered version as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TemplateVersion {
    pub(crate) version: i32,
    /// The migration's file.
    pub(crate) file: String,
    /// SHA-256 of the file.
    pub(crate) checksum: String,
    /// The file that takes a tenant back to the version before, where there is one.
    pub(crate) undo_file: Option<String>,
    /// Digest of what a tenant at this version is made of.
    pub(crate) fingerprint: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) registered_at: OffsetDateTime,
    pub(crate) registered_by: String,
    #[serde(skip)]
    pub(crate) undo_checksum: Option<String>,
    #[serde(skip)]
    pub(crate) made_with: String,
}

/// A template as the API shows it: its newest version, and all of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Template {
    pub(crate) name: String,
    /// The newest version: what new tenants are made from.
    pub(crate) version: i32,
    /// SHA-256 of the newest version's file.
    pub(crate) checksum: String,
    /// From the first to the newest.
    pub(crate) versions: Vec<TemplateVersion>,
}

/// What makes a new tenant.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) version: i32,
    /// All migrations up to the version, in order.
    pub(crate) script: String,
    pub(crate) fingerprint: String,
}

fn version_from_row(row: &Row) -> TemplateVersion {
    TemplateVersion {
        version: row.get(1),
        file: row.get(2),
        checksum: row.get(3),
        undo_file: row.get(4),
        fingerprint: row.get(5),
        registered_at: row.get(6),
        registered_by: row.get(7),
        undo_checksum: row.get(8),
        made_with: row.get(9),
    }
}

/// All templates, or the one of a name, by name.
pub(crate) async fn all(client: &impl GenericClient, name: Option<&str>) -> Result<Vec<Template>, Error> {
    let rows = client
        .query(
            "SELECT name, version, file, checksum, undo_file, fingerprint, registered_at, registered_by,
                    undo_checksum, made_with
             FROM palisade_control.template_versions WHERE $1::text IS NULL OR name = $1 ORDER BY name, version",
            &[&name],
        )
        .await?;
    let mut templates: Vec<Template> = Vec::new();
    for row in &rows {
        let (name, version) = (row.get::<_, String>(0), version_from_row(row));
        match templates.last_mut().filter(|t| t.name == name) {
            Some(template) => {
                template.version = version.version;
                template.checksum.clone_from(&version.checksum);
                template.versions.push(version);
            }
            None => templates.push(Template {
                name,
                version: version.version,
                checksum: version.checksum.clone(),
                versions: vec![version],
            }),
        }
    }
    Ok(templates)
}

/// A template compiled up to a version, or to its newest. `None`: there is no such template or version.
pub(crate) async fn compiled(
    client: &impl GenericClient,
    name: &str,
    version: Option<i32>,
) -> Result<Option<Compiled>, Error> {
    let rows = client
        .query(
            "SELECT version, body, fingerprint FROM palisade_control.template_versions
             WHERE name = $1 AND ($2::int IS NULL OR version <= $2) ORDER BY version",
            &[&name, &version],
        )
        .await?;
    let Some(last) = rows.last().filter(|row| version.is_none_or(|v| v == row.get::<_, i32>(0))) else {
        return Ok(None);
    };
    let script = rows.iter().map(|row| row.get::<_, &str>(1)).collect::<Vec<_>>().join("\n;\n");
    let (version, fingerprint) = (last.get(0), last.get(2));
    Ok(Some(Compiled { name: name.to_owned(), version, script, fingerprint }))
}
