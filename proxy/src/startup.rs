//! Lets a client in: the first packets, TLS, the login.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use palisade_catalog::audit::{Class, Decision, Event, Plane};
use palisade_catalog::snapshot::{Access, Login, TenantEntry};
use palisade_wire::error::Fields;
use palisade_wire::frame::message;
use palisade_wire::startup::{
    First, LONG_KEYS_MINOR, NEWEST_MINOR, NEWEST_VERSION, Request, STARTUP_BYTES, StartupError, first,
    request,
};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Shared;
use crate::clients::{Client, Identity};
use crate::login::{self, Proof};
use crate::peers;
use crate::pool::Pool;
use crate::server::Parameters;
use crate::session::Session;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::throttle::Refused;
use crate::tls::{self, Opened};

/// What a client is refused with.
type Refusal = Fields;

fn fatal(sqlstate: &str, text: &str) -> Refusal {
    Fields::new("FATAL", sqlstate, text)
}

/// Lets a client in, or says why not. `None`: it is gone or was refused.
pub(crate) async fn enter(shared: &Arc<Shared>, tcp: TcpStream, address: SocketAddr) -> Option<Session> {
    let (mut opened, hello) = match hello(shared, tcp).await? {
        (opened, Ok(hello)) => (opened, hello),
        (mut opened, Err(refusal)) => {
            refuse(&mut opened.stream, &refusal).await;
            return None;
        }
    };
    match admit(shared, &mut opened, &hello, address).await? {
        Ok(Admitted { pool, info, settings, parameters }) => {
            Some(Session::new(shared.clone(), pool, opened.stream, info, settings, parameters))
        }
        Err(refusal) => {
            refuse(&mut opened.stream, &refusal).await;
            None
        }
    }
}

/// What a client asked for, and in which version of the protocol.
struct Hello {
    request: Request,
    /// The version's minor number that both speak.
    minor: u16,
}

/// A client that is let in.
struct Admitted {
    pool: Arc<Pool>,
    info: Arc<Client>,
    settings: Arc<Settings>,
    parameters: Arc<Parameters>,
}

/// The verifier of the secret that a session stands on: it ends with it.
fn proven_by<'l>(proof: &Proof, login: &'l Login) -> &'l str {
    match (proof, &login.previous) {
        (Proof::OldSecret, Some(previous)) => &previous.verifier,
        _ => &login.verifier,
    }
}

async fn admit(
    shared: &Arc<Shared>,
    opened: &mut Opened,
    hello: &Hello,
    address: SocketAddr,
) -> Option<Result<Admitted, Refusal>> {
    let Opened { stream, scram } = opened;
    let request = &hello.request;
    if let Some((refused, hint)) = login::throttled(shared, request, address) {
        return Some(Err(throttled(shared, request, address, refused, &hint).await?));
    }
    let snapshot = shared.tenants.load_full();
    let known = snapshot.login(&request.database, &request.user).filter(|(_, login)| login.enabled);
    let proof = login::prove(shared, stream, scram, request, address, known).await?;
    let (tenant, login) = match (&proof, known) {
        (Proof::Secret | Proof::OldSecret | Proof::Token(_), Some(known)) => known,
        (Proof::NoToken(why), _) => return Some(Err(fatal("28000", why))),
        (proof, known) => {
            let reason = if let Proof::Nothing(reason) = proof { reason } else { "unknown_login" };
            return Some(Err(
                failed(shared, request, address, known.map(|(tenant, _)| tenant), reason).await?
            ));
        }
    };
    shared.throttle.held(address.ip(), &request.database);
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
        verifier: proven_by(&proof, login).to_owned(),
        address,
        encrypted: stream.encrypted(),
        timeouts: pool.timeouts,
    };
    let most = tenant
        .limits
        .max_client_connections
        .map_or(shared.config().tenant_client_connections, |n| n as usize);
    let long_key = hello.minor >= LONG_KEYS_MINOR;
    let Some(info) = shared.clients.add(identity, most, long_key) else {
        let text = format!("too many connections for database \"{}\"", tenant.slug);
        return Some(Err(
            fatal("53300", &text).with(b'H', Some("The tenant's limit is max_client_connections."))
        ));
    };
    let guard = Leaving { shared, info: Some(info) };
    welcome(stream, guard.info.as_deref()?, &parameters).await?;
    let mut event = login_event(request, address, Decision::Allow, Some(tenant));
    if let Proof::Token(subject) = proof {
        event.detail = serde_json::json!({ "method": "jwt", "subject": subject });
    }
    event.session = guard.info.as_ref().map(|info| info.session.clone());
    // A login that is allowed is class B: on record, and nobody waits for it.
    shared.audit.note(event).await.ok()?;
    shared.metrics.logins.with_label_values(&["ok"]).inc();
    Some(Ok(Admitted { pool, info: guard.stay()?, settings, parameters }))
}

/// A login that did not hold: it counts, it is on record, and the answer says nothing of why.
async fn failed(
    shared: &Shared,
    request: &Request,
    address: SocketAddr,
    tenant: Option<&TenantEntry>,
    reason: &str,
) -> Option<Refusal> {
    shared.throttle.failed(address.ip(), &request.database, Instant::now());
    shared.metrics.logins.with_label_values(&["refused"]).inc();
    let mut event = login_event(request, address, Decision::Deny, tenant);
    event.reason = Some(reason.to_owned());
    // Without a record there is no answer.
    shared.audit.push(event).await.ok()?;
    Some(fatal("28P01", &format!("password authentication failed for user \"{}\"", request.user)))
}

/// A login that is not tried: too many have failed. The first is on record, the others are counted.
async fn throttled(
    shared: &Shared,
    request: &Request,
    address: SocketAddr,
    refused: Refused,
    hint: &str,
) -> Option<Refusal> {
    shared.metrics.logins.with_label_values(&["throttled"]).inc();
    if refused.first {
        let mut event = login_event(request, address, Decision::Deny, None);
        event.sqlstate = Some("53400".into());
        event.reason = Some(refused.full.limit().to_owned());
        shared.audit.push(event).await.ok()?;
    }
    Some(fatal("53400", "too many logins have failed").with(b'H', Some(hint)))
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
    out.extend(message(b'K', &[&pid.to_be_bytes()[..], key].concat()));
    out.extend(message(b'Z', b"I"));
    stream.write_all(&out).await.ok()?;
    stream.flush().await.ok()
}

/// The first packets, up to the startup message. `None`: the client is gone, or wanted a cancel.
async fn hello(shared: &Shared, tcp: TcpStream) -> Option<(Opened, Result<Hello, Refusal>)> {
    let mut opened = tls::direct(shared, tcp).await?;
    // One SSLRequest and one GSSENCRequest may come before.
    for _ in 0..3 {
        let body = packet(&mut opened.stream).await?;
        match first(&body) {
            Ok(First::Ssl) => opened = tls::answer(shared, opened).await?,
            Ok(First::Gss) => {
                opened.stream.write_all(b"N").await.ok()?;
                opened.stream.flush().await.ok()?;
            }
            Ok(First::Cancel { pid, key }) => {
                peers::end_statement(shared, pid, &key).await;
                return None;
            }
            Ok(First::Startup { minor, parameters }) => {
                if shared.tls.as_ref().is_some_and(|tls| tls.required) && !opened.stream.encrypted() {
                    let refusal = fatal("28000", "the connection must be encrypted")
                        .with(b'H', Some("Connect with sslmode=require."));
                    return Some((opened, Err(refusal)));
                }
                let request = match request(&parameters) {
                    Ok(request) => request,
                    Err((sqlstate, text)) => return Some((opened, Err(fatal(sqlstate, &text)))),
                };
                if minor > NEWEST_MINOR || !request.extensions.is_empty() {
                    negotiate(&mut opened.stream, minor, &request.extensions).await;
                }
                return Some((opened, Ok(Hello { request, minor: minor.min(NEWEST_MINOR) })));
            }
            Err(error @ StartupError::Protocol(..)) => {
                return Some((opened, Err(fatal("0A000", &error.to_string()))));
            }
            Err(error) => return Some((opened, Err(fatal("08P01", &error.to_string())))),
        }
    }
    Some((opened, Err(fatal("08P01", "invalid startup packet"))))
}

/// Says which version of the protocol is spoken, and which extensions are not known.
async fn negotiate(stream: &mut Stream, minor: u16, extensions: &[String]) {
    let version = (3 << 16) | i32::from(minor);
    let mut body = version.min(NEWEST_VERSION).to_be_bytes().to_vec();
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
    let _ = stream.flush().await;
    let _ = stream.shutdown().await;
}
