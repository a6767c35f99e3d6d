//! `/api/v1/templates`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::deep::deep;
use crate::http::Body;
use crate::http::auth::Caller;
use crate::http::problem::{FieldError, Problem};
use crate::register::{RegisterError, register as try_and_keep};
use crate::template::{Refusal, compile};
use crate::templates::Template;
use crate::{Shared, templates};

/// All templates.
#[derive(Serialize, ToSchema)]
pub(crate) struct TemplateList {
    items: Vec<Template>,
}

/// List templates
#[utoipa::path(get, path = "/templates", tag = "templates", responses((status = 200, body = TemplateList)))]
pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<TemplateList>, Problem> {
    let client = shared.pool.get().await?;
    Ok(Json(TemplateList { items: templates::all(&**client, None).await? }))
}

/// One file of a template.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateFile {
    /// `V<number>__<name>.sql` or `U<number>__<name>.sql`.
    name: String,
    /// SQL.
    text: String,
}

/// A template, whole: registered versions must be among the files, unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterTemplate {
    name: String,
    files: Vec<TemplateFile>,
    /// `true` tries the template and keeps nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegisteredTemplate {
    /// `false`: everything was registered already, or it was a dry run.
    registered: bool,
    /// As it is registered now; null after a dry run of a new one.
    template: Option<Template>,
}

/// Register a template or its new versions
///
/// Every version is tried in a scratch schema, every undo is proven. Refused with file, line and reason.
#[utoipa::path(post, path = "/templates", tag = "templates", request_body = RegisterTemplate,
    responses((status = 201, body = RegisteredTemplate), (status = 200, description = "Nothing is new, or a dry run", body = RegisteredTemplate)))]
pub(crate) async fn register(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(body): Body<RegisterTemplate>,
) -> Result<(StatusCode, Json<RegisteredTemplate>), Problem> {
    let (judge, limits, name) = (shared.judge.clone(), shared.limits, body.name.clone());
    let files = body.files.into_iter().map(|file| (file.name, file.text)).collect();
    let source = deep(move || compile(&name, files, &judge, &limits)).await;
    let source = source.ok_or_else(|| Problem::internal("the reader failed".into()))?.map_err(refused)?;
    let news =
        try_and_keep(&shared, &source, &caller.subject, body.dry_run).await.map_err(|error| match error {
            RegisterError::Refused(refusal) => refused(refusal),
            RegisterError::Failed(problem) => problem,
        })?;
    let registered = news && !body.dry_run;
    let client = shared.pool.get().await?;
    let template = templates::all(&**client, Some(&body.name)).await?.pop();
    let status = if registered { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(RegisteredTemplate { registered, template })))
}

fn refused(refusal: Refusal) -> Problem {
    let mut problem = Problem::invalid(refusal.to_string());
    let field = refusal.file.as_ref().map_or_else(|| "name".to_owned(), |file| format!("files.{file}"));
    let line = refusal.line.map_or(String::new(), |line| format!("line {line}: "));
    problem.errors.push(FieldError { field, detail: format!("{line}{}", refusal.reason) });
    problem
}
