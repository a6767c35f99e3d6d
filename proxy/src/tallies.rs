//! Statements that are permitted, counted by login and shape and put on record every minute (class C): what a tenant does all
//! day is known, at the price of one addition a statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use palisade_catalog::audit::{Class, Event, Plane};
use time::OffsetDateTime;

use crate::Shared;
use crate::pool::Pool;
use crate::verdicts::Judged;

/// How often the counts are put on record.
const INTERVAL: Duration = Duration::from_secs(60);
/// Most shapes of one login that are named in one round; the others are counted together.
const MOST_SHAPES: usize = 100;

/// Puts the counts on record for ever.
pub(crate) async fn keep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        record(&shared).await;
    }
}

/// Puts what was counted since the last time on record.
pub(crate) async fn record(shared: &Shared) {
    if !shared.config().audit_counts {
        return;
    }
    if !lost(shared).await {
        return;
    }
    for pool in shared.pools.all() {
        let all = pool.done.swap(0, Ordering::Relaxed);
        if all == 0 {
            continue;
        }
        let done = pool.verdicts.done();
        // Reading texts takes a while: not on a thread that serves clients.
        let shapes = tokio::task::spawn_blocking(move || shapes(done)).await.unwrap_or_default();
        let named: u64 = shapes.iter().map(|shape| shape.count).sum();
        let rest = all.saturating_sub(named);
        let rest = (rest > 0).then_some(Shape { text: None, verb: None, count: rest });
        let mut left = shapes.into_iter().chain(rest);
        while let Some(shape) = left.next() {
            let count = shape.count;
            if let Err(error) = shared.audit.note(event(&pool, shape)).await {
                // A full spool has room again when it was shipped: the other logins are counted then.
                let lost = count + left.map(|shape| shape.count).sum::<u64>();
                shared.counts_lost.fetch_add(lost, Ordering::Relaxed);
                tracing::error!(%error, lost, "counts of permitted statements are lost");
                return;
            }
        }
    }
}

/// Puts on record how many statements were counted and could not be put on record; `false` where that cannot be either.
async fn lost(shared: &Shared) -> bool {
    let lost = shared.counts_lost.swap(0, Ordering::Relaxed);
    if lost == 0 {
        return true;
    }
    let mut event =
        Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Data, "statement.count_lost", "system");
    event.result = "failed".into();
    event.detail = serde_json::json!({ "count": lost });
    let told = shared.audit.push(event).await.is_ok();
    if !told {
        shared.counts_lost.fetch_add(lost, Ordering::Relaxed);
    }
    told
}

/// Statements of one shape.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    /// `None` for all that are not named.
    text: Option<String>,
    verb: Option<&'static str>,
    count: u64,
}

/// Counts of texts as counts of shapes, the most frequent first.
fn shapes(done: Vec<(Arc<Judged>, u64)>) -> Vec<Shape> {
    let mut by_shape: HashMap<String, (Option<&'static str>, u64)> = HashMap::new();
    for (judged, count) in done {
        if let Some(shape) = palisade_policies::shape(&judged.text) {
            by_shape.entry(shape).or_insert((judged.verb(0), 0)).1 += count;
        }
    }
    let mut shapes: Vec<Shape> =
        by_shape.into_iter().map(|(text, (verb, count))| Shape { text: Some(text), verb, count }).collect();
    shapes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
    shapes.truncate(MOST_SHAPES);
    shapes
}

fn event(pool: &Pool, shape: Shape) -> Event {
    let now = OffsetDateTime::now_utc();
    let mut event = Event::new(now, Class::C, Plane::Data, "statement.count", &pool.key.login);
    event.tenant_id = Some(pool.key.tenant.clone());
    event.tenant = Some(pool.key.slug.clone());
    event.role_kind = Some(pool.namespace.kind.clone());
    event.verb = shape.verb.map(str::to_owned);
    event.set_shape(shape.text);
    event.detail = serde_json::json!({ "count": shape.count, "seconds": INTERVAL.as_secs() });
    event
}
