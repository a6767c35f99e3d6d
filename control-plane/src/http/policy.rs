//! `/api/v1/policy`: show, check, activate, roll back; and which tenants only try it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use palisade_catalog::audit::{Class, Event, Plane};
use palisade_policies::Judge;
use palisade_policies::judge::{self, MODEL};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Asked, Body, page_size, short};
use crate::policies::{self, Epoch, Policy, Wish};
use crate::{Shared, audit, tenants};

/// Most differences that an answer shows.
const DIFFERENCES: usize = 500;

/// The policy in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActivePolicy {
    #[serde(flatten)]
    policy: Policy,
    /// Slugs of the tenants in the mode `observe`: what the policy refuses is recorded, and PostgreSQL answers.
    observing: Vec<String>,
}

/// Show the policy in force
#[utoipa::path(get, path = "/policy", tag = "policy", responses((status = 200, body = ActivePolicy)))]
pub(crate) async fn show(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<ActivePolicy>, Problem> {
    let client = shared.pool.get().await?;
    let policy = policies::active(&**client).await?;
    Ok(Json(ActivePolicy { policy, observing: policies::observing(&**client).await? }))
}

/// A policy to check.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyTexts {
    /// casbin's model; absent: the one that comes with Palisade.
    model: Option<String>,
    /// casbin's lines.
    policy: String,
}

impl PolicyTexts {
    fn texts(self) -> (String, String) {
        (self.model.unwrap_or_else(|| MODEL.to_owned()), self.policy)
    }
}

/// Whether a policy can be used, and what it would change.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyCheck {
    /// Whether it can be activated.
    usable: bool,
    /// Everything that is wrong with it.
    #[schema(value_type = Vec<crate::http::shapes::PolicyFault>)]
    faults: Vec<Value>,
    /// Answers that differ from the policy in force, at most 500.
    #[schema(value_type = Vec<crate::http::shapes::PolicyDifference>)]
    differences: Vec<Value>,
    /// How many differ.
    changes: usize,
    /// The epoch that it was compared with.
    epoch: u64,
}

/// Check a policy and show what it would change
#[utoipa::path(post, path = "/policy/check", tag = "policy", request_body = PolicyTexts, responses((status = 200, body = PolicyCheck)))]
pub(crate) async fn check(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Body(body): Body<PolicyTexts>,
) -> Result<Json<PolicyCheck>, Problem> {
    let client = shared.pool.get().await?;
    let active = policies::active(&**client).await?;
    drop(client);
    let (model, policy) = body.texts();
    let now = policies::judge(&shared).await?;
    // Thousands of questions to casbin: not on a thread that serves others.
    tokio::task::spawn_blocking(move || compare(&now, &active, &model, &policy))
        .await
        .map(Json)
        .map_err(|error| Problem::internal(error.to_string()))
}

fn compare(now: &Judge, active: &Policy, model: &str, policy: &str) -> PolicyCheck {
    let faults = judge::check(model, policy);
    let differences = match Judge::new(model, policy, active.about.epoch + 1) {
        Ok(new) if faults.is_empty() => judge::differences((now, &active.policy), (&new, policy)),
        _ => Vec::new(),
    };
    PolicyCheck {
        usable: faults.is_empty(),
        faults: faults.iter().map(shown).collect(),
        changes: differences.len(),
        differences: differences.iter().take(DIFFERENCES).map(shown).collect(),
        epoch: active.about.epoch,
    }
}

/// Strings and numbers: it always has a JSON form.
fn shown(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A policy that is to hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activation {
    /// casbin's model; absent: the one that comes with Palisade.
    model: Option<String>,
    /// casbin's lines.
    policy: String,
    /// At most 200 bytes; stands in the history.
    #[serde(default)]
    comment: String,
    /// The epoch that the caller saw in force; 412 where it is another by now.
    #[schema(minimum = 1)]
    expected_epoch: Option<u64>,
}

/// Activate a policy at all proxies
///
/// It is checked first; one that cannot be used changes nothing. Every verdict is asked again, that of prepared
/// statements too.
#[utoipa::path(post, path = "/policy", tag = "policy", request_body = Activation, responses((status = 201, body = Policy)))]
pub(crate) async fn activate(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(body): Body<Activation>,
) -> Result<(StatusCode, Json<Policy>), Problem> {
    let comment = short(body.comment, "comment")?;
    let model = body.model.unwrap_or_else(|| MODEL.to_owned());
    let faults = judge::check(&model, &body.policy);
    Problem::fields(faults.iter().map(|fault| ("policy".to_owned(), fault.to_string())))?;
    let texts = Some((model, body.policy));
    let wish = Wish { texts, restores: None, comment, expected: body.expected_epoch };
    put(&shared, &wish, "policy.activate", &caller.subject).await
}

/// An epoch whose policy is to hold again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollback {
    /// 1 is the policy that comes with Palisade.
    #[schema(minimum = 1)]
    epoch: u64,
    /// At most 200 bytes; stands in the history.
    #[serde(default)]
    comment: String,
    /// The epoch that the caller saw in force; 412 where it is another by now.
    #[schema(minimum = 1)]
    expected_epoch: Option<u64>,
}

/// Let an earlier policy hold again, as a new epoch
#[utoipa::path(post, path = "/policy/rollback", tag = "policy", request_body = Rollback, responses((status = 201, body = Policy)))]
pub(crate) async fn rollback(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(body): Body<Rollback>,
) -> Result<(StatusCode, Json<Policy>), Problem> {
    let comment = short(body.comment, "comment")?;
    let old = found(&shared, body.epoch).await?;
    // A later release may know fewer words.
    let faults = judge::check(&old.model, &old.policy);
    Problem::fields(faults.iter().map(|fault| ("epoch".to_owned(), fault.to_string())))?;
    let texts = (!old.about.embedded).then_some((old.model, old.policy));
    let wish = Wish { texts, restores: Some(body.epoch), comment, expected: body.expected_epoch };
    put(&shared, &wish, "policy.rollback", &caller.subject).await
}

async fn put(
    shared: &Shared,
    wish: &Wish,
    action: &str,
    actor: &str,
) -> Result<(StatusCode, Json<Policy>), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let policy = policies::activate(&*tx, wish, actor).await?;
    let mut event = Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Control, action, actor);
    event.epoch = Some(policy.about.epoch);
    event.detail = json!({ "restores": wish.restores });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(policy)))
}

async fn found(shared: &Shared, epoch: u64) -> Result<Policy, Problem> {
    let client = shared.pool.get().await?;
    let policy = policies::find(&**client, epoch).await?;
    policy.ok_or_else(|| Problem::not_found(format!("there is no epoch {epoch}")))
}

/// Which epochs to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only epochs before this one.
    #[param(minimum = 1)]
    before: Option<u64>,
    /// 1 to 200; 50 unless given.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

/// Activations, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct EpochList {
    items: Vec<Epoch>,
    /// What to give as `before` for the next page; absent on the last.
    next_before: Option<u64>,
}

/// List activations, newest first
#[utoipa::path(get, path = "/policy/epochs", tag = "policy", params(Which), responses((status = 200, body = EpochList)))]
pub(crate) async fn epochs(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(which): Asked<Which>,
) -> Result<Json<EpochList>, Problem> {
    let client = shared.pool.get().await?;
    let items = policies::history(&**client, which.before, page_size(which.limit)?).await?;
    let next_before = items.last().map(|last| last.epoch).filter(|epoch| *epoch > judge::EMBEDDED_EPOCH);
    Ok(Json(EpochList { items, next_before }))
}

/// Show the policy of an epoch
#[utoipa::path(get, path = "/policy/epochs/{epoch}", tag = "policy", params(("epoch" = u64, Path, description = "The epoch's number")), responses((status = 200, body = Policy)))]
pub(crate) async fn epoch(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(epoch): Path<String>,
) -> Result<Json<Policy>, Problem> {
    let epoch = epoch.parse().map_err(|_| Problem::invalid("an epoch is a number"))?;
    found(&shared, epoch).await.map(Json)
}

/// How the policy holds for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// What the policy refuses is refused.
    Enforce,
    /// It is recorded, and PostgreSQL's own grants answer: for rolling a policy out.
    Observe,
}

/// How the policy is to hold for a tenant.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyMode {
    mode: Mode,
}

/// Let a tenant only try the policy, or hold it to it
#[utoipa::path(put, path = "/tenants/{id}/policy-mode", tag = "policy", params(("id" = String, Path, description = "The tenant's id or slug")),
    request_body = PolicyMode, responses((status = 200, body = PolicyMode)))]
pub(crate) async fn mode(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(body): Body<PolicyMode>,
) -> Result<Json<PolicyMode>, Problem> {
    let word = if body.mode == Mode::Observe { "observe" } else { "enforce" };
    let mut client = shared.pool.get().await?;
    let tenant = tenants::find(&client, &id).await?;
    let Some(tenant) = tenant else {
        return Err(Problem::not_found(format!("there is no tenant with the id or slug \"{id}\"")));
    };
    let tx = client.transaction().await?;
    tx.execute(
        "UPDATE palisade_control.tenants SET policy_mode = $2 WHERE id = $1 AND policy_mode <> $2",
        &[&tenant.id, &word],
    )
    .await?;
    let mut event =
        Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Control, "policy.mode", &caller.subject);
    event.tenant_id = Some(tenant.id);
    event.tenant = Some(tenant.slug);
    event.detail = json!({ "mode": word });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(Json(body))
}
