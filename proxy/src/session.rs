//! A session: judges what its client says, relays the rest, holds a server connection for a transaction.
//!
//! - `flow`: which answers are to come, and whose they are (pure).
//! - `reading`: long texts are read beside the loop.
//! - `upstream`: client to server: every text is judged; a denied one is replaced.
//! - `extended`: the messages of the extended protocol, with statements under names of ours.
//! - `downstream`: server to client: errors and notices are renamed; a replaced text's error becomes the denial.
//! - `record`: what it puts into the audit trail.
//! - `effects`: what completed statements did to the session.
//! - `pump`: moves bytes both ways until the connection can be given back.
//!
//! A denied text is replaced by a word that is not SQL. PostgreSQL refuses it in the right place of the stream, aborts
//! the transaction, skips to the next Sync: all as it would for a text of the client's own.

mod downstream;
mod effects;
mod extended;
pub(crate) mod flow;
mod pump;
mod reading;
mod record;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use palisade_wire::error::Fields;
use palisade_wire::frame;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use crate::Shared;
use crate::audit::Entry;
use crate::buffers;
use crate::cancel;
use crate::clients::{Client, State};
use crate::config::AuditStatements;
use crate::pins::Pins;
use crate::pool::{Held, Pool};
use crate::server::Parameters;
use crate::settings::{Change, Settings};
use crate::statements::{Named, Prepared};
use crate::stream::Stream;
use crate::timeouts;
use crate::verdicts::Judged;
use flow::Flow;

/// Bytes read at once, at first; a stream that fills them is read in larger pieces.
const READ_BYTES: usize = 8 << 10;
/// Bytes read at once, at most.
const MOST_READ_BYTES: usize = 64 << 10;

/// How long a client may take to read the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// One of the two sides is gone, or said goodbye.
    Gone,
    /// This is the last message for the client.
    Fatal(&'static str, String),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        End::Gone
    }
}

/// What is known of a client between its transactions.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) client: Stream,
    pub(crate) info: Arc<Client>,
    /// What the client has said and nobody has read.
    input: BytesMut,
    /// The rest of a message that is not held whole.
    rest: upstream::Rest,
    names: HashMap<Arc<str>, Named>,
    unnamed: Option<Arc<Prepared>>,
    /// What the client has set.
    settings: Arc<Settings>,
    /// What its startup packet set.
    base: Arc<Settings>,
    /// What the client was told.
    parameters: Arc<Parameters>,
}

/// A server connection at work for a client.
struct Link {
    held: Held,
    flow: Flow,
    pins: Pins,
    portals: extended::Portals,
    to_server: BytesMut,
    to_client: BytesMut,
    /// Bytes of the server's message that go to the client as they are, or to nobody.
    pass: usize,
    drop: usize,
    /// Bytes to read at once.
    read: usize,
    /// What the server has to be asked about when the transaction is over, and what it is being asked.
    doubts: Pins,
    asked: Option<Pins>,
    /// What has been pinned since the question: its answer is older than these.
    renewed: Pins,
    /// Settings are being brought over; the client is told nothing.
    prelude: bool,
    /// Changes of settings whose transaction is not over.
    changes: Vec<Change>,
    /// An error has come since the last ReadyForQuery.
    failed: bool,
    /// The server has said that it closes.
    fatal: bool,
    /// Events that must be durable before anything else is sent.
    events: Vec<Entry>,
    /// A long text that is being read beside the loop, and what came of it.
    reading: Option<JoinHandle<Arc<Judged>>>,
    read_text: Option<Arc<Judged>>,
    since: Instant,
    /// Since when the client is silent inside its transaction, and how long it was before, in microseconds.
    silent: Option<Instant>,
    silent_us: u64,
    /// Which permitted statements are events of their own, and where their time goes.
    audited: AuditStatements,
    times: record::Times,
}

impl Session {
    /// A client that is let in. It has been told `parameters`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        pool: Arc<Pool>,
        client: Stream,
        info: Arc<Client>,
        base: Arc<Settings>,
        parameters: Arc<Parameters>,
    ) -> Self {
        Self {
            shared,
            pool,
            client,
            info,
            input: BytesMut::new(),
            rest: upstream::Rest::Pass(0),
            names: HashMap::new(),
            unnamed: None,
            settings: base.clone(),
            base,
            parameters,
        }
    }

    /// Serves until one side is gone or the session is ended, or until it is to go on on another loop: then it says
    /// which.
    pub(crate) async fn run(mut self) -> Option<(Self, usize)> {
        match self.serve().await {
            Ok(to) => Some((self, to)),
            Err(end) => {
                Box::pin(self.last_words(end)).await;
                None
            }
        }
    }

    async fn last_words(&mut self, end: End) {
        if let End::Fatal(sqlstate, text) = end {
            let words =
                Fields::new("FATAL", sqlstate, &text).with(b'H', timeouts::limit(sqlstate)).message(b'E');
            // The client may be gone, or not read.
            let _ = tokio::time::timeout(LAST_WORDS, self.client.write_all(&words)).await;
        }
        let _ = tokio::time::timeout(LAST_WORDS, self.client.shutdown()).await;
    }

    async fn serve(&mut self) -> Result<usize, End> {
        loop {
            self.wanted().await?;
            self.linked().await?;
            if let Some(to) = self.shared.loops.leaves() {
                return Ok(to);
            }
            // A client that always has more to say lets others have their turn.
            tokio::task::consume_budget().await;
        }
    }

    /// Waits until the client says something that a server has to hear.
    async fn wanted(&mut self) -> Result<(), End> {
        loop {
            if self.asks()? {
                return Ok(());
            }
            self.listen().await?;
        }
    }

    /// Takes what needs no server from the input: Terminate, and what is left of a COPY that failed.
    fn asks(&mut self) -> Result<bool, End> {
        loop {
            upstream::take_rest(&mut self.rest, &mut self.input, None);
            let Some(header) = frame::header(&self.input).map_err(|e| End::Fatal("08P01", e.to_string()))?
            else {
                if self.input.is_empty() {
                    // An idle client holds no buffer.
                    buffers::lay_down(&mut self.input);
                }
                return Ok(false);
            };
            match header.tag {
                b'X' => return Err(End::Gone),
                b'd' | b'c' | b'f' => {
                    upstream::within(&self.pool, header)?;
                    drop(self.input.split_to(frame::HEADER_BYTES));
                    self.rest = upstream::Rest::Drop(header.body);
                }
                // A server connection is taken only when there is something to send.
                _ => return self.enough(header, &self.input),
            }
        }
    }

    /// Goes over to the pool of the day: the tenant's limits, or the login's secret for the server, may have changed.
    fn current_pool(&mut self) -> Result<(), End> {
        if !self.pool.closed() {
            return Ok(());
        }
        let snapshot = self.shared.tenants.load_full();
        let found = snapshot.login(&self.info.tenant, &self.info.login);
        let (tenant, login) =
            found.filter(|(tenant, _)| tenant.id.as_str() == self.info.tenant_id).ok_or_else(|| {
                End::Fatal("57P01", "terminating connection due to administrator command".into())
            })?;
        self.pool = self.shared.pools.of(&self.shared, tenant, login);
        *self.info.timeouts.lock() = self.pool.timeouts;
        Ok(())
    }

    /// Takes a server connection, works until it can be given back, and gives it back. What is seldom done stands in
    /// boxes: an idle client pays for the size of this future.
    async fn linked(&mut self) -> Result<(), End> {
        self.current_pool()?;
        let audited = self.shared.config().audit_statements;
        let (held, waited) = match self.pool.try_take() {
            Some(held) => (held, Duration::ZERO),
            None => Box::pin(self.waited()).await?,
        };
        self.info.link(held.server.target.clone());
        self.info.begin(State::Active);
        let mut link = Box::new(Link::new(held, self.pool.key.session_mode, audited));
        link.times.waited = waited;
        self.tell(&mut link);
        let end = self.work(&mut link).await;
        self.info.begin(State::Idle);
        if !link.pins.is_empty() {
            *self.info.pins.lock() = Pins::default();
        }
        if !self.info.try_unlink() {
            Box::pin(self.info.unlink()).await;
        }
        match end {
            Ok(()) => {
                self.pool.give(link.rest(), &self.shared);
                Ok(())
            }
            Err(end) => Err(Box::pin(self.over(link, end)).await),
        }
    }

    /// Waits for a server connection; says how long that took.
    async fn waited(&mut self) -> Result<(Held, Duration), End> {
        self.info.begin(State::Waiting);
        let asked = Instant::now();
        match self.pool.take(&self.shared).await {
            Ok(held) => Ok((held, asked.elapsed())),
            Err(error) => {
                let fields = error.fields(&self.pool.names);
                // The client may be gone.
                let _ = self.client.write_all(&fields.message(b'E')).await;
                Err(End::Gone)
            }
        }
    }

    async fn work(&mut self, link: &mut Link) -> Result<(), End> {
        loop {
            let pumped = self.pump(link).await?;
            if !link.events.is_empty() {
                Box::pin(self.on_record(link)).await?;
            }
            if pumped == pump::Pumped::Released {
                return Ok(());
            }
        }
    }

    /// The session ends while it holds a server connection.
    async fn over(&mut self, mut link: Box<Link>, end: End) -> End {
        let end = self.rest_of(&mut link, end).await;
        self.abandon(*link);
        end
    }

    /// Whole messages that wait are sent before the last words. Within a message there is no place for any.
    async fn rest_of(&mut self, link: &mut Link, end: End) -> End {
        if link.pass > 0 {
            return End::Gone;
        }
        let written = tokio::time::timeout(LAST_WORDS, self.client.write_all(&link.to_client)).await;
        if matches!(written, Ok(Ok(()))) { end } else { End::Gone }
    }

    /// The session is over while it holds a server connection.
    fn abandon(&self, link: Link) {
        let Link { held, flow, fatal, .. } = link;
        if flow.idle() && !fatal && held.server.input.is_empty() {
            let (pool, shared) = (self.pool.clone(), self.shared.clone());
            tokio::spawn(async move { pool.clean(held, &shared).await });
        } else if !flow.settled() && !fatal {
            // Nobody waits for the statement any more. The connection closes when the cancel has been sent.
            tokio::spawn(async move {
                cancel::send(&held.server.target).await;
                drop(held);
            });
        }
    }

    /// A transaction is over.
    fn count(&self, link: &mut Link) {
        let counts = &self.pool.counts;
        counts.transactions.fetch_add(1, Ordering::Relaxed);
        self.shared.metrics.transactions.inc();
        self.info.transactions.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let micros = u64::try_from((now - link.since).as_micros()).unwrap_or(u64::MAX);
        counts.transaction_us.fetch_add(micros, Ordering::Relaxed);
        counts.query_us.fetch_add(micros.saturating_sub(link.silent_us), Ordering::Relaxed);
        link.silent_us = 0;
        link.since = now;
    }
}

impl Link {
    fn new(held: Held, session_mode: bool, audited: AuditStatements) -> Self {
        Self {
            held,
            flow: Flow::default(),
            pins: if session_mode { Pins::SESSION } else { Pins::default() },
            portals: extended::Portals::default(),
            to_server: buffers::take(),
            to_client: buffers::take(),
            pass: 0,
            drop: 0,
            read: READ_BYTES,
            doubts: Pins::default(),
            asked: None,
            renewed: Pins::default(),
            prelude: false,
            changes: Vec::new(),
            failed: false,
            fatal: false,
            events: Vec::new(),
            reading: None,
            read_text: None,
            since: Instant::now(),
            silent: None,
            silent_us: 0,
            audited,
            times: record::Times::default(),
        }
    }

    /// What is left of it: the server connection.
    fn rest(self) -> Held {
        let Self { held, mut to_server, mut to_client, .. } = self;
        buffers::lay_down(&mut to_server);
        buffers::lay_down(&mut to_client);
        held
    }

    /// Whether anybody wants to know where time goes.
    fn is_timed(&self) -> bool {
        self.audited.is_timed()
    }

    /// Nothing of the client is left in the connection, and nothing is on its way.
    fn released(&self) -> bool {
        self.flow.idle()
            && self.reading.is_none()
            && self.pins.is_empty()
            && self.to_client.is_empty()
            && self.to_server.is_empty()
            && self.pass == 0
            && self.drop == 0
            && self.held.server.input.is_empty()
    }
}
