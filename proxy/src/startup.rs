//! Lets a client in: the first packets, TLS, the login.

use std::net::SocketAddr;
use std::sync::Arc;

use palisade_catalog::audit::{Class, Decision, Event, Plane};
use palisade_catalog::snapshot::{Access, Login, TenantEntry};
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, message};
use palisade_wire::scram;
use palisade_wire::startup::{First, Request, STARTUP_BYTES, StartupError, first, request};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Shared;
use crate::clients::{Client, Identity};
use crate::pool::Pool;
use crate::server::Parameters;
use crate::session::Session;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::tls;

/// Longest message of a client during login, in bytes.
const LOGIN_MESSAGE_BYTES: usize = 4_096;

/// What a client is refused with.
type Refusal = Fields;

fn fatal(sqlstate: &str, text: &str) -> Refusal {
    Fields::new("FATAL", sqlstate, text)
}

/// Lets a client in, or says why not. `None`: it is gone or was refused.
pub(crate) async fn enter(shared: &Arc<Shared>, tcp: TcpStream, address: SocketAddr) -> Option<Session> {
    let (mut stream, request) = match hello(shared, tcp).await? {
        (stream, Ok(request)) => (stream, request),
        (mut stream, Err(refusal)) => {
            refuse(&mut stream, &refusal).await;
            return None;
        }
    };
    match admit(shared, &mut stream, &request, address).await? {
        Ok(Admitted { pool, info, settings, parameters }) => {
            Some(Session::new(shared.clone(), pool, stream, info, settings, parameters))
        }
        Err(refusal) => {
            refuse(&mut stream, &refusal).await;
            None
        }
    }
}

/// A client that is let in.
struct Admitted {
    pool: Arc<Pool>,
    info: Arc<Client>,
    settings: Arc<Settings>,
    parameters: Arc<Parameters>,
}

async fn admit(
    shared: &Arc<Shared>,
    stream: &mut Stream,
    request: &Request,
    address: SocketAddr,
) -> Option<Result<Admitted, Refusal>> {
    let snapshot = shared.tenants.load_full();
    let known = snapshot.login(&request.database, &request.user).filter(|(_, login)| login.enabled);
    if !authenticate(shared, stream, request, known.map(|(_, login)| login)).await? {
        shared.metrics.logins.with_label_values(&["refused"]).inc();
        let event = login_event(request, address, Decision::Deny, known.map(|(tenant, _)| tenant));
        // Without a record there is no answer.
        shared.audit.push(event).await.ok()?;
        let text = format!("password authentication failed for user \"{}\"", request.user);
        return Some(Err(fatal("28P01", &text)));
    }
    let (tenant, login) = known?;
    if tenant.access == Access::Closed {
        let text = format!("database \"{}\" is not currently accepting connections", tenant.slug);
        return Some(Err(fatal("55000", &text)));
    }
    let pool = shared.pools.of(shared, tenant, login);
    let (settings, parameters) = match pool.welcome(Settings::startup(&request.settings), shared).await {
        Ok(welcome) => welcome,
        Err(error) => {
            let fields = error.fields(&pool.names);
            return Some(Err(fields.replaced(b'S', "FATAL").replaced(b'V', "FATAL")));
        }
    };
    let identity = Identity {
        tenant_id: tenant.id.to_string(),
        tenant: tenant.slug.to_string(),
        login: login.name.to_string(),
        role: login.server_role.clone(),
        generation: login.generation,
        verifier: login.verifier.clone(),
        address,
        encrypted: stream.encrypted(),
    };
    let most =
        tenant.limits.max_client_connections.map_or(shared.config.tenant_client_connections, |n| n as usize);
    let Some(info) = shared.clients.add(identity, most) else {
        let text = format!("too many connections for database \"{}\"", tenant.slug);
        return Some(Err(
            fatal("53300", &text).with(b'H', Some("The tenant's limit is max_client_connections."))
        ));
    };
    let guard = Leaving { shared, info: Some(info) };
    welcome(stream, guard.info.as_deref()?, &parameters).await?;
    let mut event = login_event(request, address, Decision::Allow, Some(tenant));
    event.session = guard.info.as_ref().map(|info| info.session.clone());
    shared.audit.push(event).await.ok()?;
    shared.metrics.logins.with_label_values(&["ok"]).inc();
    Some(Ok(Admitted { pool, info: guard.stay()?, settings, parameters }))
}

/// Takes a client out again that does not get as far as its session.
struct Leaving<'s> {
    shared: &'s Shared,
    info: Option<Arc<Client>>,
}

impl Leaving<'_> {
    fn stay(mut self) -> Option<Arc<Client>> {
        self.info.take()
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(info) = &self.info {
            self.shared.clients.remove(info);
        }
    }
}

/// What a server tells after a login.
async fn welcome(stream: &mut Stream, info: &Client, parameters: &Parameters) -> Option<()> {
    let mut out = message(b'R', &0i32.to_be_bytes());
    for (name, value) in parameters {
        out.extend(message(b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat()));
    }
    let (pid, key) = info.backend_key();
    out.extend(message(b'K', &[pid.to_be_bytes(), key].concat()));
    out.extend(message(b'Z', b"I"));
    stream.write_all(&out).await.ok()?;
    stream.flush().await.ok()
}

/// The first packets, up to the startup message. `None`: the client is gone, or wanted a cancel.
async fn hello(shared: &Shared, tcp: TcpStream) -> Option<(Stream, Result<Request, Refusal>)> {
    let mut stream = tls::direct(shared, tcp).await?;
    // One SSLRequest and one GSSENCRequest may come before.
    for _ in 0..3 {
        let body = packet(&mut stream).await?;
        match first(&body) {
            Ok(First::Ssl) => stream = tls::answer(shared, stream).await?,
            Ok(First::Gss) => stream.write_all(b"N").await.ok()?,
            Ok(First::Cancel { pid, key }) => {
                shared.clients.cancel(pid, &key).await;
                return None;
            }
            Ok(First::Startup { minor, parameters }) => {
                if shared.tls.as_ref().is_some_and(|tls| tls.required) && !stream.encrypted() {
                    let refusal = fatal("28000", "the connection must be encrypted")
                        .with(b'H', Some("Connect with sslmode=require."));
                    return Some((stream, Err(refusal)));
                }
                let request = match request(&parameters) {
                    Ok(request) => request,
                    Err((sqlstate, text)) => return Some((stream, Err(fatal(sqlstate, &text)))),
                };
                if minor > 0 || !request.extensions.is_empty() {
                    negotiate(&mut stream, &request.extensions).await;
                }
                return Some((stream, Ok(request)));
            }
            Err(error @ StartupError::Protocol(..)) => {
                return Some((stream, Err(fatal("0A000", &error.to_string()))));
            }
            Err(error) => return Some((stream, Err(fatal("08P01", &error.to_string())))),
        }
    }
    Some((stream, Err(fatal("08P01", "invalid startup packet"))))
}

/// Says that only protocol 3.0 is spoken, and which extensions are not known.
async fn negotiate(stream: &mut Stream, extensions: &[String]) {
    let mut body = 0i32.to_be_bytes().to_vec();
    body.extend_from_slice(&i32::try_from(extensions.len()).unwrap_or_default().to_be_bytes());
    for extension in extensions {
        body.extend_from_slice(extension.as_bytes());
        body.push(0);
    }
    // A client that is gone is noticed at the next read.
    let _ = stream.write_all(&message(b'v', &body)).await;
}

/// A packet without a type: length, then body.
async fn packet(stream: &mut Stream) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_i32().await.ok()?).ok()?;
    if !(8..=STARTUP_BYTES).contains(&length) {
        return None;
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// SCRAM against the login's verifier, or against one that nobody has. `None`: the client is gone.
async fn authenticate(
    shared: &Shared,
    stream: &mut Stream,
    request: &Request,
    login: Option<&Login>,
) -> Option<bool> {
    let mock = scram::mock_verifier(
        shared.master.server_password("mock verifiers", 1).as_bytes(),
        &format!("{}\0{}", request.database, request.user),
    );
    let verifier = login.map_or(mock.as_str(), |login| &login.verifier);
    let offer = [&10i32.to_be_bytes()[..], scram::MECHANISM.as_bytes(), b"\0\0"].concat();
    stream.write_all(&message(b'R', &offer)).await.ok()?;
    let body = password_message(stream).await?;
    let Ok((answer, exchange)) = scram::begin(&body, verifier) else { return Some(false) };
    stream.write_all(&message(b'R', &[&11i32.to_be_bytes()[..], &answer].concat())).await.ok()?;
    let body = password_message(stream).await?;
    let Ok(answer) = exchange.finish(&body) else { return Some(false) };
    if login.is_none() {
        return Some(false);
    }
    stream.write_all(&message(b'R', &[&12i32.to_be_bytes()[..], &answer].concat())).await.ok()?;
    Some(true)
}

async fn password_message(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head).await.ok()?;
    let header = frame::header(&head).ok()??;
    if header.tag != b'p' || header.body > LOGIN_MESSAGE_BYTES {
        return None;
    }
    let mut body = vec![0; header.body];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

fn login_event(
    request: &Request,
    address: SocketAddr,
    decision: Decision,
    tenant: Option<&TenantEntry>,
) -> Event {
    let denied = decision == Decision::Deny;
    let class = if denied { Class::A } else { Class::B };
    // What an unknown client calls itself is its own text: cut short.
    let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    let mut event = Event::new(OffsetDateTime::now_utc(), class, Plane::Data, "login", &cut(&request.user));
    event.decision = decision;
    event.result = if denied { "denied" } else { "ok" }.into();
    event.tenant_id = tenant.map(|t| t.id.to_string());
    event.tenant = Some(cut(&request.database));
    event.client_addr = Some(address.to_string());
    event.sqlstate = denied.then(|| "28P01".into());
    event
}

async fn refuse(stream: &mut Stream, refusal: &Refusal) {
    // The client may be gone.
    let _ = stream.write_all(&refusal.message(b'E')).await;
    let _ = stream.shutdown().await;
}
