//! Those who watch: their places, what wakes them, and the stream that they read.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::Shared;
use crate::http::problem::Problem;
use crate::template::hex;

/// Longest life of one stream; its reader comes again with Last-Event-ID. Bounds how long a spent token sees events.
pub(crate) const LIFE: Duration = Duration::from_secs(600);
/// A stream looks by itself this often, should a notification be lost.
pub(crate) const LOOK: Duration = Duration::from_secs(2);
/// A comment keeps the connection open this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A place among the watchers, held until it is dropped.
pub(crate) struct Watching {
    happened: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

/// What woke a watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something has happened.
    Told,
    /// It is time to look anyway.
    Look,
    /// Its time is over, or the process stops.
    Over,
}

impl Watching {
    /// Takes a place for so long.
    pub(crate) fn begin(shared: &Shared, longest: Duration) -> Result<Self, Problem> {
        let place = shared.watchers.clone().try_acquire_owned();
        let place = place.map_err(|_| Problem::unavailable("too many watch already; try again later"))?;
        Ok(Self {
            happened: shared.happened.subscribe(),
            stopping: shared.stopping.subscribe(),
            until: Instant::now() + longest,
            _place: place,
        })
    }

    /// Whether its time is over, or the process stops.
    pub(crate) fn over(&self) -> bool {
        *self.stopping.borrow() || Instant::now() >= self.until
    }

    /// What happens from now on wakes. To be called before the reading: what comes during it wakes again.
    pub(crate) fn mark(&mut self) {
        self.happened.mark_unchanged();
    }

    /// Waits until something happens, at most so long.
    pub(crate) async fn woken(&mut self, look: Duration) -> Woken {
        tokio::select! {
            _ = self.happened.changed() => Woken::Told,
            () = tokio::time::sleep(look) => Woken::Look,
            _ = self.stopping.changed() => Woken::Over,
            () = tokio::time::sleep_until(self.until) => Woken::Over,
        }
    }
}

/// Somebody who has events to tell.
pub(crate) trait Teller: Send + 'static {
    /// The next event. `None`: the stream ends.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// An event of this kind with all of a value, unless it is the one that was told last. Its id is made of what it says.
///
/// # Errors
/// The value cannot be written as JSON.
pub(crate) fn whole(
    told: &mut Option<String>,
    kind: &str,
    value: &impl Serialize,
) -> serde_json::Result<Option<Event>> {
    let data = serde_json::to_string(value)?;
    let id = hex(&Sha256::digest(data.as_bytes())[..8]);
    if told.as_ref() == Some(&id) {
        return Ok(None);
    }
    *told = Some(id.clone());
    Ok(Some(Event::default().id(id).event(kind).data(data)))
}

/// The stream of a teller's events.
pub(crate) fn stream(teller: impl Teller) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = futures::stream::unfold(teller, |mut teller| async move {
        let event = teller.next().await?;
        Some((Ok(event), teller))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
