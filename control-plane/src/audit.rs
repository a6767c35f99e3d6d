//! Audit events: written in the transaction of the change that they describe, read newest first.

use palisade_catalog::audit::{Class, Decision, Event, Plane};
use time::OffsetDateTime;
use tokio_postgres::{Client, Error, Transaction};
use utoipa::IntoParams;
use uuid::Uuid;

/// What a reader asks for.
#[derive(Debug, Default, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Slug or id.
    pub(crate) tenant: Option<String>,
    /// Such as `statement`, `login`, `tenant.create`.
    pub(crate) action: Option<String>,
    /// `allow` or `deny`.
    pub(crate) decision: Option<String>,
    /// A login or a token's subject.
    pub(crate) actor: Option<String>,
    /// At or after this time (RFC 3339).
    pub(crate) since: Option<String>,
    /// Before this time (RFC 3339).
    pub(crate) until: Option<String>,
    /// Most items, 1 to 200; 50 unless asked otherwise.
    pub(crate) limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// Writes an event.
pub(crate) async fn insert(client: &Transaction<'_>, event: &Event) -> Result<(), Error> {
    let class = match event.class {
        Class::A => "A",
        Class::B => "B",
        Class::C => "C",
    };
    let plane = if event.plane == Plane::Data { "data" } else { "control" };
    let decision = if event.decision == Decision::Allow { "allow" } else { "deny" };
    // An event is made of strings, numbers and times: it always has a JSON form.
    let body = serde_json::to_value(event).unwrap_or_default();
    client
        .execute(
            "INSERT INTO palisade_control.audit_events
               (id, at, class, plane, action, decision, result, actor, tenant_id, event)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
            &[
                &event.id,
                &event.at,
                &class,
                &plane,
                &event.action,
                &decision,
                &event.result,
                &event.actor,
                &event.tenant_id,
                &body,
            ],
        )
        .await?;
    Ok(())
}

/// One page of events, newest first, with where the next begins.
pub(crate) async fn page(
    client: &Client,
    filter: &Filter,
    since: Option<OffsetDateTime>,
    until: Option<OffsetDateTime>,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<(Vec<serde_json::Value>, Option<(OffsetDateTime, Uuid)>), Error> {
    let (before_at, before_id) = before.unzip();
    let rows = client
        .query(
            "SELECT at, id, event FROM palisade_control.audit_events e
             WHERE ($1::text IS NULL OR tenant_id = $1
                    OR tenant_id IN (SELECT id FROM palisade_control.tenants WHERE slug = $1))
               AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR decision = $3)
               AND ($4::text IS NULL OR actor = $4) AND ($5::timestamptz IS NULL OR at >= $5)
               AND ($6::timestamptz IS NULL OR at < $6) AND ($7::timestamptz IS NULL OR (at, id) < ($7, $8::uuid))
             ORDER BY at DESC, id DESC LIMIT $9",
            &[
                &filter.tenant,
                &filter.action,
                &filter.decision,
                &filter.actor,
                &since,
                &until,
                &before_at,
                &before_id,
                &(limit + 1),
            ],
        )
        .await?;
    let more = rows.len() as i64 > limit;
    let shown = &rows[..rows.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
    let next = shown.last().filter(|_| more).map(|row| (row.get(0), row.get(1)));
    Ok((shown.iter().map(|row| row.get(2)).collect(), next))
}
