//! `GET /api/v1/audit/export` and `/bundle`: as much as there is, a page at a time.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream::unfold;
use palisade_trail::{BUNDLE_VERSION, Format, Header, Line, Row, Summary, Writer};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::IsolationLevel;

use crate::http::Asked;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::{Shared, audit, provision, sealer};

/// Events that are read at once.
const PAGE_EVENTS: i64 = 500;

/// The format beside the filter.
#[derive(Deserialize)]
pub(crate) struct ExportQuery {
    format: Option<String>,
    #[serde(flatten)]
    filter: super::Rest,
}

/// Export events
///
/// Takes the filters of the list. The oldest event comes first; the last line states the query, the count, the first and
/// last number, the SHA-256 of all before it and the newest checkpoint, signed. An export that breaks off has no such line.
#[utoipa::path(get, path = "/audit/export", tag = "audit",
    params(audit::Filter, ("format" = Option<String>, Query, description = "`jsonl` (unless given), `csv`, `ocsf` or `cef`")),
    responses((status = 200, description = "The events", body = String, content_type = "application/x-ndjson")))]
pub(crate) async fn export(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    let name = query.format.as_deref().unwrap_or("jsonl");
    let format =
        Format::named(name).ok_or_else(|| Problem::invalid("format must be jsonl, csv, ocsf or cef"))?;
    let asked = query.filter.read(&shared).await?;
    let place = place(&shared)?;
    on_record(
        &shared,
        &caller,
        "audit.export",
        serde_json::json!({ "format": name, "query": asked.filter.words() }),
    )
    .await?;
    let head = [
        (CONTENT_TYPE, format.media_type().to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"audit.{name}\"")),
    ];
    let writer = Writer::new(format);
    let state = Some(Export { shared, asked, writer, after: None, begun: false, _place: place });
    let pages = unfold(state, |state| async move {
        let mut export = state?;
        match export.next().await {
            Ok((text, true)) => Some((Ok(Bytes::from(text)), Some(export))),
            Ok((text, false)) => Some((export.end(text).await.map(Bytes::from), None)),
            Err(problem) => Some((Err(std::io::Error::other(problem.detail)), None)),
        }
    });
    Ok((head, Body::from_stream(pages)).into_response())
}

/// An export under way.
struct Export {
    shared: Arc<Shared>,
    asked: audit::Asked,
    writer: Writer,
    after: Option<audit::Place>,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The next page as text, and whether there may be more.
    async fn next(&mut self) -> Result<(String, bool), Problem> {
        let mut text = if self.begun { String::new() } else { self.writer.header() };
        self.begun = true;
        let client = self.shared.pool.get().await?;
        let page = audit::after(&client, &self.asked, self.after, PAGE_EVENTS).await?;
        for (at, number, event) in &page {
            text.push_str(&self.writer.event(*number, event));
            self.after = Some(*at);
        }
        Ok((text, page.len() as i64 == PAGE_EVENTS))
    }

    /// The last page with the statement behind it.
    async fn end(self, text: String) -> std::io::Result<String> {
        let stated = async {
            let mut client = self.shared.pool.get().await?;
            let tx = client.transaction().await?;
            let log = sealer::open(&self.shared, &tx, false).await?;
            let newest = "SELECT note FROM palisade_control.audit_checkpoints ORDER BY size DESC LIMIT 1";
            let note: Option<String> = tx.query_opt(newest, &[]).await?.map(|row| row.get(0));
            let query = self.asked.filter.words();
            let statement = self.writer.statement(&log.key, &query, note.as_deref());
            statement.map_err(|error| Problem::internal(error.to_string()))
        };
        stated.await.map(|line| text + line.as_str()).map_err(|problem| std::io::Error::other(problem.detail))
    }
}

/// Download the whole log with its checkpoints
///
/// For `palisade audit verify --bundle`, which needs nothing else: one JSON object a line.
#[utoipa::path(get, path = "/audit/bundle", tag = "audit",
    responses((status = 200, description = "The log", body = String, content_type = "application/x-ndjson")))]
pub(crate) async fn bundle(caller: Caller, State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let place = place(&shared)?;
    on_record(&shared, &caller, "audit.bundle", serde_json::Value::Null).await?;
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let log = sealer::open(&shared, &tx, false).await?;
    tx.commit().await?;
    drop(client);
    let header = Line::Header(Header {
        palisade_audit_bundle: BUNDLE_VERSION,
        key: log.key.public().text().to_owned(),
        from: log.kept.size(),
        roots: log.kept.roots().iter().map(|root| STANDARD.encode(root)).collect(),
    });
    let state = Some(Bundle { shared, first: Some(header), after: -1, events: 0, _place: place });
    let pages = unfold(state, |state| async move {
        let mut bundle = state?;
        match bundle.next().await {
            Ok((text, more)) => Some((Ok(Bytes::from(text)), more.then_some(bundle))),
            Err(problem) => Some((Err(std::io::Error::other(problem.detail)), None)),
        }
    });
    let head = [
        (CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (CONTENT_DISPOSITION, "attachment; filename=\"audit-bundle.jsonl\"".to_owned()),
    ];
    Ok((head, Body::from_stream(pages)).into_response())
}

/// A bundle under way.
struct Bundle {
    shared: Arc<Shared>,
    first: Option<Line>,
    after: i64,
    events: u64,
    _place: OwnedSemaphorePermit,
}

impl Bundle {
    async fn next(&mut self) -> Result<(String, bool), Problem> {
        let mut lines: Vec<String> = self.first.take().iter().map(Line::text).collect();
        let mut client = self.shared.pool.get().await?;
        // One snapshot: a checkpoint must not speak of rows that came after they were read.
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let client = snapshot.read_only(true).start().await?;
        let rows = client
            .query(
                "(SELECT number, leaf, event, NULL::text FROM palisade_control.audit_events WHERE number > $1 ORDER BY number LIMIT $2)
                 UNION ALL (SELECT number, leaf, NULL, by::text FROM palisade_control.audit_retired WHERE number > $1 ORDER BY number LIMIT $2)
                 ORDER BY number LIMIT $2",
                &[&self.after, &PAGE_EVENTS],
            )
            .await?;
        let begin = self.after;
        let mut events = Vec::new();
        for row in &rows {
            self.after = row.get(0);
            let number = u64::try_from(self.after).unwrap_or_default();
            let leaf =
                row.get::<_, Option<Vec<u8>>>(1).and_then(|leaf| leaf.try_into().ok()).unwrap_or_default();
            events.push(Line::Row(Row { number, leaf, event: row.get(2), retired: row.get(3) }).text());
        }
        self.events += rows.len() as u64;
        let more = rows.len() as i64 == PAGE_EVENTS;
        // Checkpoints stand before their rows.
        let until = if more { self.after + 1 } else { i64::MAX };
        let notes = client
            .query(
                "SELECT note FROM palisade_control.audit_checkpoints WHERE size > $1 AND size <= $2 ORDER BY size",
                &[&(begin + 1), &until],
            )
            .await?;
        lines.extend(notes.iter().map(|row| Line::Checkpoint(row.get(0)).text()));
        lines.append(&mut events);
        if !more {
            // An event that has waited for long was not put there by us.
            let waiting = "SELECT count(*) FROM palisade_control.audit_events WHERE number IS NULL
                           AND at < (SELECT max(at) FROM palisade_control.audit_events WHERE number IS NOT NULL) - interval '10 minutes'";
            let unnumbered: i64 = client.query_one(waiting, &[]).await?.get(0);
            let summary =
                Summary { events: self.events, unnumbered: u64::try_from(unnumbered).unwrap_or_default() };
            lines.push(Line::Summary(summary).text());
        }
        Ok((lines.join("\n") + "\n", more))
    }
}

fn place(shared: &Shared) -> Result<OwnedSemaphorePermit, Problem> {
    let place = shared.copies.clone().try_acquire_owned();
    place.map_err(|_| Problem::unavailable("too many exports are made already; try again later"))
}

async fn on_record(
    shared: &Shared,
    caller: &Caller,
    action: &str,
    detail: serde_json::Value,
) -> Result<(), Problem> {
    let mut event = provision::system_event(action, &caller.subject);
    event.detail = detail;
    audit::record(shared, &event).await
}
