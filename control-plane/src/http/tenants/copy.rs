//! `POST /api/v1/tenants/{id}/export` and `/clone`.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use palisade_catalog::ids::{Slug, TenantId};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use uuid::Uuid;

use super::create::CreatedTenant;
use super::found;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, MaybeBody, short};
use crate::provision::{NewTenant, event};
use crate::tenants::Tenant;
use crate::{Shared, audit, clone, copies, operations, provision, templates, tenants};

/// Bytes of an export that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What is exported.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Export {
    /// `true` leaves the data out.
    structure_only: bool,
}

/// A wish for a clone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloneTenant {
    /// The new tenant's name in connection strings.
    slug: String,
    /// A name for people; the slug where absent.
    display_name: Option<String>,
    /// The plan; the original's where absent.
    plan: Option<String>,
    /// `true` leaves the data out.
    #[serde(default)]
    structure_only: bool,
}

/// Export a tenant
///
/// A dump as of a database of its own, made by pg_dump through the proxy: no other tenant is looked at. It is one
/// snapshot. Where it breaks off, so does the answer.
#[utoipa::path(post, path = "/tenants/{id}/export", tag = "tenants", request_body = Option<Export>,
    params(("id" = String, Path, description = "The tenant's id or slug")),
    responses((status = 200, description = "The dump", body = String, content_type = "application/sql")))]
pub(crate) async fn export(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    MaybeBody(wish): MaybeBody<Export>,
) -> Result<Response, Problem> {
    let (tenant, place) = active(&shared, &id).await?;
    on_record(&shared, &caller, &tenant, "tenant.export").await?;
    let way = copies::open(&shared, &tenant.id, &tenant.slug).await?;
    let started = copies::dump(&shared, &way, wish.structure_only);
    let mut child = match started {
        Ok(child) => child,
        Err(problem) => {
            copies::close(&shared, &tenant.id, &way).await;
            return Err(problem);
        }
    };
    let Some(stdout) = child.stdout.take() else {
        return Err(Problem::internal("pg_dump has no output".into()));
    };
    let named = format!("attachment; filename=\"{}.sql\"", tenant.slug);
    let dump = Dump { shared, tenant: tenant.id, way, child: Some(child), stdout, _place: place };
    let first = dump.next().await;
    let (first, dump) = match first {
        Some((Ok(first), dump)) => (first, dump),
        Some((Err(error), _)) => return Err(Problem::internal(error.to_string())),
        None => return Err(Problem::internal("pg_dump wrote nothing".into())),
    };
    let rest = futures::stream::unfold(Some(dump), |dump| async move {
        let (chunk, dump) = dump?.next().await?;
        let more = chunk.is_ok().then_some(dump);
        Some((chunk, more))
    });
    let whole = futures::StreamExt::chain(futures::stream::iter([Ok(first)]), rest);
    let head = [(CONTENT_TYPE, "application/sql".to_owned()), (CONTENT_DISPOSITION, named)];
    Ok((head, HttpBody::from_stream(whole)).into_response())
}

/// An export under way.
struct Dump {
    shared: Arc<Shared>,
    tenant: String,
    way: copies::Way,
    child: Option<Child>,
    stdout: ChildStdout,
    _place: OwnedSemaphorePermit,
}

impl Dump {
    /// The next bytes. `None`: that was all, and pg_dump says that it was.
    async fn next(mut self) -> Option<(std::io::Result<Bytes>, Self)> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = tokio::time::timeout(copies::LONGEST, self.stdout.read(&mut chunk)).await;
        let read = read.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        match read {
            Ok(0) => {}
            Ok(length) => {
                chunk.truncate(length);
                return Some((Ok(chunk.into()), self));
            }
            Err(error) => return Some((Err(error), self)),
        }
        let child = self.child.take()?;
        copies::close(&self.shared, &self.tenant, &self.way).await;
        let said = copies::ended(child, "pg_dump").await.err()?;
        tracing::warn!(tenant = %self.tenant, %said, "an export broke off");
        Some((Err(std::io::Error::other(said)), self))
    }
}

/// Clone a tenant
///
/// Its structure, or with its data, in one snapshot, into a new tenant with secrets of its own; the operation tells how
/// it goes on.
#[utoipa::path(post, path = "/tenants/{id}/clone", tag = "tenants", request_body = CloneTenant,
    params(("id" = String, Path, description = "The id or slug of the tenant that is cloned")),
    responses((status = 202, description = "Begun", body = CreatedTenant)))]
pub(crate) async fn clone(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(wish): Body<CloneTenant>,
) -> Result<(StatusCode, Json<CreatedTenant>), Problem> {
    let slug = Slug::parse(&wish.slug).map_err(|e| Problem::slug(&e))?;
    let display_name = short(wish.display_name.unwrap_or_else(|| slug.to_string()), "display_name")?;
    let (from, place) = active(&shared, &id).await?;
    let client = shared.pool.get().await?;
    let template = templates::compiled(&**client, &from.template, Some(from.template_version)).await?;
    drop(client);
    let template =
        template.ok_or_else(|| Problem::internal("the tenant's template is not registered".into()))?;
    let tenant = NewTenant {
        id: TenantId::random(),
        slug,
        display_name,
        plan: wish.plan.unwrap_or_else(|| from.plan.clone()),
        template,
        operation: Uuid::now_v7(),
        kind: "clone",
        actor: caller.subject.clone(),
    };
    let (operation, new) = (tenant.operation, tenant.id.clone());
    let begun = Arc::new(provision::begin(&shared, tenant).await?);
    on_record(&shared, &caller, &from, "tenant.copied").await?;
    let (worker, made) = (shared.clone(), begun.clone());
    tokio::spawn(async move {
        let _place = place;
        // Its operation says how it ended.
        let _ = clone::complete(&worker, &made, &from, wish.structure_only).await;
    });
    let client = shared.pool.get().await?;
    let tenant = tenants::find(&client, new.as_str()).await?;
    let operation = operations::find(&client, operation).await?;
    let credentials = begun.credentials.clone();
    Ok((StatusCode::ACCEPTED, Json(CreatedTenant { tenant, operation, credentials })))
}

/// An active tenant, and a place for its copy.
async fn active(shared: &Shared, id: &str) -> Result<(Tenant, OwnedSemaphorePermit), Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, id).await?;
    if tenant.observed_state != "active" {
        let state = &tenant.observed_state;
        return Err(Problem::conflict(format!("the tenant is {state}, and only an active one is copied")));
    }
    let place = shared.copies.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::unavailable("too many copies are made already; try again later"))?;
    Ok((tenant, place))
}

async fn on_record(shared: &Shared, caller: &Caller, tenant: &Tenant, action: &str) -> Result<(), Problem> {
    let mut event = event(action, &caller.subject, &tenant.typed_id()?, Uuid::now_v7());
    event.operation = None;
    event.tenant = Some(tenant.slug.clone());
    audit::record(shared, &event).await
}
