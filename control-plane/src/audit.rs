//! Audit events: written in the transaction of the change that they describe, found again by what they hold.

use palisade_catalog::audit::{Event, WRITE};
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Transaction};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Shared;
use crate::http::problem::Problem;

/// What a reader asks for.
#[derive(Debug, Default, Clone, serde::Deserialize, IntoParams)]
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
    /// The SQLSTATE that the client got, such as `42P01`.
    pub(crate) sqlstate: Option<String>,
    /// How the object begins, such as `relation public.users`.
    pub(crate) object: Option<String>,
    /// The reason's code, such as `foreign_schema`.
    pub(crate) reason: Option<String>,
    /// The proxy's session, or the API's request.
    pub(crate) session: Option<String>,
    /// The fingerprint of a statement's shape.
    pub(crate) fingerprint: Option<String>,
    /// The operation that it belongs to.
    pub(crate) operation: Option<String>,
    /// The policy that decided, by its epoch; or that came into force.
    pub(crate) epoch: Option<String>,
    /// At or after this time (RFC 3339).
    pub(crate) since: Option<String>,
    /// Before this time (RFC 3339).
    pub(crate) until: Option<String>,
    /// Most items, 1 to 200; 50 unless asked otherwise.
    pub(crate) limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl Filter {
    /// What is asked for, in words that stand in an export and in its event.
    pub(crate) fn words(&self) -> String {
        let all = [
            ("tenant", &self.tenant),
            ("action", &self.action),
            ("decision", &self.decision),
            ("actor", &self.actor),
            ("sqlstate", &self.sqlstate),
            ("object", &self.object),
            ("reason", &self.reason),
            ("session", &self.session),
            ("fingerprint", &self.fingerprint),
            ("operation", &self.operation),
            ("epoch", &self.epoch),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let given = all.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        let words = given.collect::<Vec<_>>().join(" ").replace(|c: char| c.is_control(), " ");
        if words.is_empty() { "everything".to_owned() } else { words }
    }
}

/// A filter that was read.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) filter: Filter,
    pub(crate) since: Option<OffsetDateTime>,
    pub(crate) until: Option<OffsetDateTime>,
    /// The beginning of an object as a pattern.
    object: Option<String>,
    /// Whoever has, or had, the slug or the id that is asked for.
    tenants: Vec<String>,
}

impl Asked {
    pub(crate) fn new(
        filter: Filter,
        since: Option<OffsetDateTime>,
        until: Option<OffsetDateTime>,
        tenants: Vec<String>,
    ) -> Self {
        let literal =
            |text: &String| text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_") + "%";
        let object = filter.object.as_ref().map(literal);
        Self { filter, since, until, object, tenants }
    }

    /// The conditions of what is asked for, with their parameters: no others, so that each finds its index.
    fn conditions(&self) -> (String, Vec<&(dyn ToSql + Sync)>) {
        let f = &self.filter;
        let mut all = Conditions { sql: "true".into(), parameters: Vec::new() };
        // One tenant is asked for by equality: then its index has the order, too.
        match (&f.tenant, self.tenants.as_slice()) {
            (None, _) => {}
            (Some(_), [one]) => all.also("tenant_id = #", one),
            (Some(_), _) => all.also("tenant_id = ANY (#)", &self.tenants),
        }
        let texts = [
            ("action = #", &f.action),
            ("decision = #", &f.decision),
            ("actor = #", &f.actor),
            ("event ->> 'sqlstate' = # AND event ? 'sqlstate'", &f.sqlstate),
            ("event ->> 'object' LIKE # AND event ? 'object'", &self.object),
            ("event ->> 'reason' = # AND event ? 'reason'", &f.reason),
            ("event ->> 'session' = # AND event ? 'session'", &f.session),
            ("event ->> 'fingerprint' = # AND event ? 'fingerprint'", &f.fingerprint),
            ("event ->> 'operation' = # AND event ? 'operation'", &f.operation),
            ("event ->> 'epoch' = #", &f.epoch),
        ];
        for (condition, given) in texts {
            if let Some(given) = given {
                all.also(condition, given);
            }
        }
        for (condition, given) in [("at >= #", &self.since), ("at < #", &self.until)] {
            if let Some(given) = given {
                all.also(condition, given);
            }
        }
        (all.sql, all.parameters)
    }
}

struct Conditions<'a> {
    sql: String,
    parameters: Vec<&'a (dyn ToSql + Sync)>,
}

impl<'a> Conditions<'a> {
    /// One more; `#` is its parameter.
    fn also(&mut self, condition: &str, parameter: &'a (dyn ToSql + Sync)) {
        self.parameters.push(parameter);
        self.sql.push_str(" AND ");
        self.sql.push_str(&condition.replace('#', &format!("${}", self.parameters.len())));
    }
}

/// The ids of whoever has, or had, a slug or an id.
pub(crate) async fn tenants(client: &Client, named: &str) -> Result<Vec<String>, Error> {
    let rows =
        client.query("SELECT id FROM palisade_control.tenants WHERE slug = $1 OR id = $1", &[&named]).await?;
    // Events outlive their tenant: an id that nobody has any more is asked for as it is.
    Ok(if rows.is_empty() { vec![named.to_owned()] } else { rows.iter().map(|row| row.get(0)).collect() })
}

/// Writes an event.
pub(crate) async fn insert(client: &Transaction<'_>, event: &Event) -> Result<(), Error> {
    client.execute(WRITE, &[&serde_json::json!([event]).to_string()]).await.map(|_| ())
}

/// Writes an event that is about no other change.
pub(crate) async fn record(shared: &Shared, event: &Event) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    insert(&tx, event).await?;
    tx.commit().await?;
    Ok(())
}

/// Where an event stands among others, newest or oldest first.
pub(crate) type Place = (OffsetDateTime, Uuid);

/// Which way a list of events goes.
#[derive(Clone, Copy)]
enum Order {
    NewestFirst,
    OldestFirst,
}

/// The next events behind a place: time, id, number, event.
async fn ordered(
    client: &Client,
    asked: &Asked,
    order: Order,
    behind: Option<Place>,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let (is_behind, by) = match order {
        Order::NewestFirst => ("<", "at DESC, id DESC"),
        Order::OldestFirst => (">", "at, id"),
    };
    let (mut sql, mut parameters) = asked.conditions();
    if let Some((at, id)) = &behind {
        parameters.extend([at as &(dyn ToSql + Sync), id]);
        sql.push_str(&format!(
            " AND (at, id) {is_behind} (${}, ${})",
            parameters.len() - 1,
            parameters.len()
        ));
    }
    parameters.push(&limit);
    let limited = parameters.len();
    let sql = format!(
        "SELECT at, id, number, event FROM palisade_control.audit_events e WHERE {sql} ORDER BY {by} LIMIT ${limited}"
    );
    client.query(&sql, &parameters).await
}

/// One page of events, newest first, with where the next begins.
pub(crate) async fn page(
    client: &Client,
    asked: &Asked,
    before: Option<Place>,
    limit: i64,
) -> Result<(Vec<serde_json::Value>, Option<Place>), Error> {
    let rows = ordered(client, asked, Order::NewestFirst, before, limit + 1).await?;
    let more = rows.len() as i64 > limit;
    let shown = &rows[..rows.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
    let next = shown.last().filter(|_| more).map(|row| (row.get(0), row.get(1)));
    Ok((shown.iter().map(|row| row.get(3)).collect(), next))
}

/// The next events of an export, oldest first: place, number and event.
pub(crate) async fn after(
    client: &Client,
    asked: &Asked,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<(Place, Option<u64>, serde_json::Value)>, Error> {
    let rows = ordered(client, asked, Order::OldestFirst, after, limit).await?;
    let number = |row: &Row| row.get::<_, Option<i64>>(2).and_then(|n| u64::try_from(n).ok());
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), number(row), row.get(3))).collect())
}

/// How many events a stretch of time has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// Its beginning (RFC 3339).
    at: String,
    /// Permitted.
    allow: i64,
    /// Refused.
    deny: i64,
}

/// Counts by time: stretches of so many seconds that have any event.
pub(crate) async fn histogram(client: &Client, asked: &Asked, seconds: i64) -> Result<Vec<Bucket>, Error> {
    let (sql, mut parameters) = asked.conditions();
    parameters.push(&seconds);
    let n = parameters.len();
    let sql = format!(
        "SELECT to_char(to_timestamp(floor(extract(epoch FROM at) / ${n}::bigint) * ${n}::bigint) AT TIME ZONE 'UTC',
                  'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                count(*) FILTER (WHERE decision = 'allow'), count(*) FILTER (WHERE decision = 'deny')
         FROM palisade_control.audit_events e WHERE {sql} GROUP BY 1 ORDER BY 1"
    );
    let rows = client.query(&sql, &parameters).await?;
    Ok(rows.iter().map(|row| Bucket { at: row.get(0), allow: row.get(1), deny: row.get(2) }).collect())
}
