//! The admin console: PostgreSQL's protocol on an address of its own, with PgBouncer's words, so that existing habits
//! and exporters work: `psql -p 6433 -U palisade -c 'SHOW POOLS'`.
//!
//! - `command`: the words (pure); `tables`: what each `SHOW` answers.
//!
//! Only simple queries are spoken. The password is in a file; a login with it sees and ends sessions of all tenants.

mod command;
mod tables;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::sink::Sink;
use futures::stream;
use palisade_catalog::audit::{Class, Event, Plane};
use pgwire::api::auth::sasl::SASLAuthStartupHandler;
use pgwire::api::auth::sasl::scram::{ScramAuth, gen_salted_password};
use pgwire::api::auth::{AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler};
use pgwire::api::query::SimpleQueryHandler;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireServerHandlers, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::tokio::process_socket;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Shared;
use command::{Command, parse};
use tables::{Cell, Sampler, Table};

/// The console's only user.
pub(crate) const USER: &str = "palisade";
/// Most connections to the console.
const CONNECTIONS: usize = 32;
/// SCRAM iterations, as PostgreSQL's default.
const ITERATIONS: usize = 4_096;
/// How long PAUSE waits for transactions to end.
const PAUSE_LIMIT: Duration = Duration::from_secs(60);

/// Serves the console for ever.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, password: String) {
    let salt: [u8; 16] = rand::random();
    let salted = gen_salted_password(&password, &salt, ITERATIONS);
    let secret = Arc::new(Secret { salt: salt.to_vec(), salted });
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let sampler = Arc::new(Sampler::new());
    let (samples, counted) = (sampler.clone(), shared.clone());
    // It ends with the runtime.
    tokio::spawn(async move { samples.follow(&counted).await });
    loop {
        let Ok((socket, address)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else { continue };
        let handler = Arc::new(Handler {
            shared: shared.clone(),
            sampler: sampler.clone(),
            address: address.to_string(),
        });
        let handlers = Handlers { secret: secret.clone(), handler };
        tokio::spawn(async move {
            // A client that breaks off is its own affair.
            let _ = process_socket(socket, None, handlers).await;
            drop(slot);
        });
    }
}

struct Secret {
    salt: Vec<u8>,
    salted: Vec<u8>,
}

impl Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[async_trait]
impl AuthSource for Secret {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let salted = match login.user() {
            Some(USER) => self.salted.clone(),
            // Nobody has this one.
            _ => rand::random::<[u8; 32]>().to_vec(),
        };
        Ok(Password::new(Some(self.salt.clone()), salted))
    }
}

struct Handlers {
    secret: Arc<Secret>,
    handler: Arc<Handler>,
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        self.handler.clone()
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let mut scram = ScramAuth::new(self.secret.clone());
        scram.set_iterations(ITERATIONS);
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = format!("{}/palisade", env!("CARGO_PKG_VERSION"));
        Arc::new(SASLAuthStartupHandler::new(Arc::new(parameters)).with_scram(scram))
    }
}

struct Handler {
    shared: Arc<Shared>,
    sampler: Arc<Sampler>,
    address: String,
}

#[async_trait]
impl SimpleQueryHandler for Handler {
    async fn do_query<C>(&self, _client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let command = parse(query).map_err(|text| error("42601", &text))?;
        match command {
            Command::Show(show) => Ok(vec![rows(tables::table(&self.shared, &self.sampler, show))?]),
            Command::Pause(tenant) => self.each("PAUSE", &tenant, true).await,
            Command::Resume(tenant) => self.each("RESUME", &tenant, false).await,
            Command::Kill(tenant) => {
                self.record("console.kill", &tenant).await?;
                let clients = self.shared.clients.all();
                let of = clients.iter().filter(|client| client.tenant == tenant);
                of.for_each(|client| {
                    client.kill("57P01", "terminating connection due to administrator command")
                });
                Ok(vec![Response::Execution(Tag::new("KILL"))])
            }
            Command::KillClient(pid) => {
                let clients = self.shared.clients.all();
                let client = clients.iter().find(|client| client.pid() == pid);
                let client = client.ok_or_else(|| error("22023", "there is no such client"))?;
                self.record("console.kill", &client.tenant).await?;
                client.kill("57P01", "terminating connection due to administrator command");
                Ok(vec![Response::Execution(Tag::new("KILL_CLIENT"))])
            }
            Command::Reload => {
                self.record("console.reload", "*").await?;
                self.shared.reload().map_err(|text| error("F0000", &text))?;
                Ok(vec![Response::Execution(Tag::new("RELOAD"))])
            }
            Command::Shutdown => {
                self.record("console.shutdown", "*").await?;
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
                    .map_err(|e| error("58000", &e.to_string()))?;
                Ok(vec![Response::Execution(Tag::new("SHUTDOWN"))])
            }
            Command::Reconnect(tenant) => {
                for pool in self.pools(tenant.as_deref())? {
                    pool.reconnect();
                }
                Ok(vec![Response::Execution(Tag::new("RECONNECT"))])
            }
        }
    }
}

impl Handler {
    fn pools(&self, tenant: Option<&str>) -> PgWireResult<Vec<Arc<crate::pool::Pool>>> {
        if let Some(tenant) = tenant
            && !self.shared.tenants.load().tenants.keys().any(|slug| slug.as_str() == tenant)
        {
            return Err(error("3D000", &format!("there is no tenant \"{tenant}\"")));
        }
        let mut pools = self.shared.pools.all();
        pools.retain(|pool| tenant.is_none_or(|tenant| pool.key.slug == tenant));
        Ok(pools)
    }

    /// PAUSE waits until transactions are over; it is taken back where they take too long.
    async fn each(&self, tag: &str, tenant: &Option<String>, pause: bool) -> PgWireResult<Vec<Response>> {
        let pools = self.pools(tenant.as_deref())?;
        let action = if pause { "console.pause" } else { "console.resume" };
        self.record(action, tenant.as_deref().unwrap_or("*")).await?;
        self.shared.pools.pause(tenant.as_deref(), pause);
        let settled = async {
            while pause && pools.iter().any(|pool| pool.sizes().1 > 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PAUSE_LIMIT, settled).await.is_err() {
            self.shared.pools.pause(tenant.as_deref(), false);
            return Err(error("57014", "transactions did not end within 60 seconds; nothing is paused"));
        }
        if pause {
            pools.iter().for_each(|pool| pool.reconnect());
        }
        Ok(vec![Response::Execution(Tag::new(tag))])
    }

    /// What an operator does is on record before it is done.
    async fn record(&self, action: &str, tenant: &str) -> PgWireResult<()> {
        let mut event = Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Data, action, USER);
        event.tenant = Some(tenant.to_owned());
        event.client_addr = Some(self.address.clone());
        event.result = "ok".into();
        let pushed = self.shared.audit.push(event).await;
        pushed.map_err(|failed| error(failed.sqlstate(), &failed.to_string()))
    }
}

fn error(sqlstate: &str, text: &str) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".into(), sqlstate.into(), text.into())))
}

fn rows(table: Table) -> PgWireResult<Response> {
    let field = |(name, number): &(&str, bool)| {
        let kind = if *number { Type::INT8 } else { Type::TEXT };
        FieldInfo::new((*name).into(), None, None, kind, FieldFormat::Text)
    };
    let fields: Arc<Vec<FieldInfo>> = Arc::new(table.columns.iter().map(field).collect());
    let mut encoder = DataRowEncoder::new(fields.clone());
    let mut encode = |row: Vec<Cell>| {
        for cell in row {
            match cell {
                Cell::Text(text) => encoder.encode_field(&text)?,
                Cell::Number(number) => encoder.encode_field(&number)?,
            }
        }
        Ok(encoder.take_row())
    };
    let rows: Vec<_> = table.rows.into_iter().map(&mut encode).collect();
    let mut response = QueryResponse::new(fields.clone(), stream::iter(rows));
    response.set_command_tag("SHOW");
    Ok(Response::Query(response))
}
