//! `/api/v1/migrations`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokio_postgres::GenericClient;
use tokio_postgres::error::SqlState;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::deep::deep;
use crate::fleet::{self, Candidate, Migration, Target};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Asked, Body, decode_cursor, page_size};
use crate::lint::{LintedStatement, lint};
use crate::{Shared, audit, provision, templates};

pub(crate) mod control;
pub(crate) mod watch;

/// Most canaries and most percentages of waves.
const NAMED: usize = 100;
/// Most tenants at a time.
const PARALLELISM: i32 = 64;

/// A wish for a migration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartMigration {
    template: String,
    /// The newest version where absent.
    to_version: Option<i32>,
    /// Slugs or ids of the tenants that go first.
    #[serde(default)]
    canary: Vec<String>,
    /// How far each wave reaches, in percent of the rest; a last wave takes whoever is left. Default 1, 10.
    #[serde(default = "default_waves")]
    waves: Vec<u8>,
    /// How many tenants at a time, 1 to 64; 4 where absent.
    #[serde(default = "default_parallelism")]
    parallelism: i32,
    /// It pauses when more have failed; 0 where absent.
    #[serde(default)]
    max_failures: i32,
    /// `true` only says what would happen.
    #[serde(default)]
    dry_run: bool,
}

fn default_waves() -> Vec<u8> {
    vec![1, 10]
}

fn default_parallelism() -> i32 {
    4
}

/// What would happen.
#[derive(Serialize, ToSchema)]
pub(crate) struct MigrationPlan {
    template: String,
    to_version: i32,
    /// How many tenants are behind the version.
    targets: usize,
    /// How many of them are in each wave.
    waves: Vec<usize>,
    /// The files that run, with what they do to those who use the tables meanwhile.
    files: Vec<PlannedFile>,
    /// Canaries that are no tenants behind the version.
    unknown_canaries: Vec<String>,
}

/// One file of a plan.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlannedFile {
    version: i32,
    file: String,
    statements: Vec<LintedStatement>,
}

/// The answer: the plan, and the migration where it was begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct MigrationAnswer {
    plan: MigrationPlan,
    /// Null after a dry run.
    migration: Option<Migration>,
}

/// The newest migrations.
#[derive(Serialize, ToSchema)]
pub(crate) struct MigrationList {
    items: Vec<Migration>,
}

/// List migrations, the newest first
///
/// At most 100.
#[utoipa::path(get, path = "/migrations", tag = "migrations", responses((status = 200, body = MigrationList)))]
pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<MigrationList>, Problem> {
    let client = shared.pool.get().await?;
    Ok(Json(MigrationList { items: fleet::list(&client, None, 100).await? }))
}

/// Start a migration, or plan it
///
/// Every tenant of the template that is behind the version is moved to it, wave by wave, each in its own transactions
/// and its own session. With `dry_run` it says what would happen.
#[utoipa::path(post, path = "/migrations", tag = "migrations", request_body = StartMigration,
    responses((status = 202, description = "Begun", body = MigrationAnswer), (status = 200, description = "A dry run", body = MigrationAnswer)))]
pub(crate) async fn start(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(wish): Body<StartMigration>,
) -> Result<(StatusCode, Json<MigrationAnswer>), Problem> {
    check(&wish)?;
    let mut client = shared.pool.get().await?;
    let template = templates::compiled(&**client, &wish.template, wish.to_version).await?;
    let template = template.ok_or_else(|| {
        Problem::unknown_template(format!("there is no template \"{}\" with this version", wish.template))
            .about("template")
    })?;
    let candidates = fleet::candidates(&**client, &template.name, template.version).await?;
    let placed = fleet::waves(&candidates, &wish.canary, &wish.waves);
    let plan = plan(&**client, &wish, template.version, &candidates, &placed).await?;
    if wish.dry_run {
        return Ok((StatusCode::OK, Json(MigrationAnswer { plan, migration: None })));
    }
    if placed.is_empty() {
        return Err(Problem::conflict("no tenant is behind this version"));
    }
    if let Some(unknown) = plan.unknown_canaries.first() {
        let said = format!("\"{unknown}\" is no tenant of this template that is behind the version");
        return Err(Problem::field("canary", said));
    }
    let id = Uuid::now_v7();
    let tx = client.transaction().await?;
    begin(&tx, id, &wish, &plan, &placed, &caller.subject).await?;
    tx.commit().await?;
    let migration = fleet::list(&client, Some(id), 1).await?.pop();
    Ok((StatusCode::ACCEPTED, Json(MigrationAnswer { plan, migration })))
}

fn check(wish: &StartMigration) -> Result<(), Problem> {
    let rising = wish.waves.windows(2).all(|pair| pair[0] < pair[1]);
    let errors = [
        ((1..=PARALLELISM).contains(&wish.parallelism), "parallelism", "must be 1 to 64"),
        ((0..=1_000_000).contains(&wish.max_failures), "max_failures", "must be 0 to 1000000"),
        (wish.canary.len() <= NAMED, "canary", "names at most 100 tenants"),
        (wish.waves.len() <= NAMED && rising, "waves", "must rise, at most 100 of them"),
        (wish.waves.iter().all(|p| (1..=100).contains(p)), "waves", "must be 1 to 100 each"),
    ];
    let errors = errors.into_iter().filter(|(good, ..)| !good);
    Problem::fields(errors.map(|(_, field, said)| (field.to_owned(), said.to_owned())))
}

async fn plan(
    client: &impl GenericClient,
    wish: &StartMigration,
    to_version: i32,
    candidates: &[Candidate],
    placed: &[(Candidate, i32)],
) -> Result<MigrationPlan, Problem> {
    let first = candidates.iter().map(|c| c.version).min().unwrap_or(to_version);
    let rows = client
        .query(
            "SELECT version, file, body FROM palisade_control.template_versions
             WHERE name = $1 AND version > $2 AND version <= $3 ORDER BY version",
            &[&wish.template, &first, &to_version],
        )
        .await?;
    let files: Vec<(i32, String, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let read = deep(move || {
        files
            .into_iter()
            .map(|(version, file, body)| PlannedFile { version, file, statements: lint(&body) })
            .collect()
    });
    let files = read.await.ok_or_else(|| Problem::internal("the reader failed".into()))?;
    let last = placed.iter().map(|(_, wave)| *wave).max();
    let sizes = (0..=last.unwrap_or(-1)).map(|wave| placed.iter().filter(|(_, w)| *w == wave).count());
    let known = |name: &&String| candidates.iter().any(|c| c.slug == **name || c.id == **name);
    Ok(MigrationPlan {
        template: wish.template.clone(),
        to_version,
        targets: placed.len(),
        waves: sizes.collect(),
        files,
        unknown_canaries: wish.canary.iter().filter(|name| !known(name)).cloned().collect(),
    })
}

async fn begin(
    tx: &deadpool_postgres::Transaction<'_>,
    id: Uuid,
    wish: &StartMigration,
    plan: &MigrationPlan,
    placed: &[(Candidate, i32)],
    actor: &str,
) -> Result<(), Problem> {
    let waves = i32::try_from(plan.waves.len()).unwrap_or(i32::MAX);
    tx.execute(
        "INSERT INTO palisade_control.migrations
           (id, template, to_version, state, parallelism, max_failures, waves, requested_by)
         VALUES ($1, $2, $3, 'running', $4, $5, $6, $7)",
        &[&id, &plan.template, &plan.to_version, &wish.parallelism, &wish.max_failures, &waves, &actor],
    )
    .await
    .map_err(|error| match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => {
            Problem::conflict("a migration of this template is running or paused; end it first")
        }
        _ => error.into(),
    })?;
    let ids: Vec<&str> = placed.iter().map(|(c, _)| c.id.as_str()).collect();
    let slugs: Vec<&str> = placed.iter().map(|(c, _)| c.slug.as_str()).collect();
    let versions: Vec<i32> = placed.iter().map(|(c, _)| c.version).collect();
    let waves: Vec<i32> = placed.iter().map(|(_, wave)| *wave).collect();
    tx.execute(
        "INSERT INTO palisade_control.migration_targets (migration_id, tenant_id, slug, from_version, wave)
         SELECT $1, * FROM unnest($2::text[], $3::text[], $4::int[], $5::int[])",
        &[&id, &ids, &slugs, &versions, &waves],
    )
    .await?;
    let mut event = provision::system_event("migration.start", actor);
    event.detail = serde_json::json!({
        "migration": id, "template": plan.template, "to_version": plan.to_version, "targets": plan.targets,
    });
    audit::insert(tx, &event).await?;
    Ok(())
}

/// Which targets.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TargetQuery {
    /// Most items, 1 to 200; 50 unless asked otherwise.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only targets in this state.
    state: Option<String>,
}

/// One page of targets.
#[derive(Serialize, ToSchema)]
pub(crate) struct TargetPage {
    items: Vec<Target>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// Show a migration
#[utoipa::path(get, path = "/migrations/{id}", tag = "migrations", params(("id" = String, Path, description = "The migration's id")),
    responses((status = 200, body = Migration)))]
pub(crate) async fn show(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Migration>, Problem> {
    Ok(Json(found(&shared, &id).await?))
}

/// List a migration's targets
#[utoipa::path(get, path = "/migrations/{id}/targets", tag = "migrations",
    params(("id" = String, Path, description = "The migration's id"), TargetQuery), responses((status = 200, body = TargetPage)))]
pub(crate) async fn targets(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Asked(asked): Asked<TargetQuery>,
) -> Result<Json<TargetPage>, Problem> {
    let limit = page_size(asked.limit)?;
    let after = asked.cursor.as_deref().map(decode_cursor).transpose()?;
    let migration = found(&shared, &id).await?;
    let client = shared.pool.get().await?;
    let (items, next) =
        fleet::targets(&client, migration.id, asked.state.as_deref(), after.as_deref(), limit).await?;
    Ok(Json(TargetPage { items, next_cursor: next.map(|id| URL_SAFE_NO_PAD.encode(id)) }))
}

pub(crate) async fn found(shared: &Shared, id: &str) -> Result<Migration, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::invalid("a migration's id is a UUID"))?;
    let client = shared.pool.get().await?;
    let migration = fleet::list(&client, Some(id), 1).await?.pop();
    migration.ok_or_else(|| Problem::not_found("there is no migration with this id"))
}
