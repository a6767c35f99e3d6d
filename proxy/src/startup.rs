//! Lets a client in: the first packets, the login, the server connection.

use std::net::SocketAddr;
use std::time::Duration;

use palisade_catalog::audit::{Class, Decision, Event, Plane};
use palisade_catalog::names;
use palisade_catalog::snapshot::{Access, Login, TenantEntry};
use palisade_policies::Namespace;
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, message};
use palisade_wire::scram;
use palisade_wire::startup::{First, Request, STARTUP_BYTES, StartupError, first, request};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cancel::Target;
use crate::server::{self, Server, ServerError};
use crate::{Shared, rename::Names};

/// Longest message of a client during login, in bytes.
const LOGIN_MESSAGE_BYTES: usize = 4_096;

/// A client that is let in.
pub(crate) struct Entered {
    pub(crate) tenant: TenantEntry,
    pub(crate) login: Login,
    pub(crate) namespace: Namespace,
    pub(crate) names: Names,
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) session: String,
    pub(crate) pid: i32,
}

/// Takes a client through login. `None`: it was refused, or only came to cancel.
pub(crate) async fn enter(shared: &Shared, stream: &mut TcpStream, address: SocketAddr) -> Option<Entered> {
    let request = match hello(shared, stream).await {
        Ok(request) => request?,
        Err((sqlstate, text)) => return refuse(stream, sqlstate, &text).await,
    };
    let snapshot = shared.tenants.load_full();
    let known = snapshot.login(&request.database, &request.user).filter(|(_, login)| login.enabled);
    if !authenticate(shared, stream, &request, known.map(|(_, login)| login)).await? {
        let event = login_event(&request, address, Decision::Deny, known.map(|(tenant, _)| tenant));
        // Without a record there is no answer.
        shared.audit.push(event).await.ok()?;
        let text = format!("password authentication failed for user \"{}\"", request.user);
        return refuse(stream, "28P01", &text).await;
    }
    let (tenant, login) = known?;
    if tenant.access == Access::Closed {
        let text = format!("database \"{}\" is not currently accepting connections", tenant.slug);
        return refuse(stream, "55000", &text).await;
    }
    let entered = open(shared, stream, &request, tenant, login, address).await?;
    let mut event = login_event(&request, address, Decision::Allow, Some(tenant));
    event.session = Some(entered.session.clone());
    if shared.audit.push(event).await.is_err() {
        shared.cancels.remove(entered.pid);
        return None;
    }
    Some(entered)
}

/// The first packets, up to the startup message.
async fn hello(shared: &Shared, stream: &mut TcpStream) -> Result<Option<Request>, (&'static str, String)> {
    // One SSLRequest and one GSSENCRequest may come before.
    for _ in 0..3 {
        let Some(body) = packet(stream).await else { return Ok(None) };
        match first(&body) {
            Ok(First::Ssl | First::Gss) => {
                if stream.write_all(b"N").await.is_err() {
                    return Ok(None);
                }
            }
            Ok(First::Cancel { pid, key }) => {
                shared.cancels.cancel(pid, &key).await;
                return Ok(None);
            }
            Ok(First::Startup { minor, parameters }) => {
                let request = request(&parameters)?;
                if minor > 0 || !request.extensions.is_empty() {
                    negotiate(stream, &request.extensions).await;
                }
                return Ok(Some(request));
            }
            Err(error @ StartupError::Protocol(..)) => return Err(("0A000", error.to_string())),
            Err(error) => return Err(("08P01", error.to_string())),
        }
    }
    Err(("08P01", "invalid startup packet".into()))
}

/// Says that only protocol 3.0 is spoken, and which extensions are not known.
async fn negotiate(stream: &mut TcpStream, extensions: &[String]) {
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
async fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
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
    stream: &mut TcpStream,
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

async fn password_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
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

/// Opens the server connection and tells the client what a server tells after a login.
async fn open(
    shared: &Shared,
    stream: &mut TcpStream,
    request: &Request,
    tenant: &TenantEntry,
    login: &Login,
    address: SocketAddr,
) -> Option<Entered> {
    let namespace = Namespace {
        kind: login.kind.to_string(),
        schema: tenant.schema.clone(),
        database: tenant.slug.to_string(),
        shared: Vec::new(),
    };
    let names = Names::new(&tenant.schema, login.name.as_str(), &tenant.database, tenant.slug.as_str());
    let server = match connect(shared, request, tenant, login, &namespace).await {
        Ok(server) => server,
        Err(error) => {
            tracing::warn!(%error, tenant = %tenant.slug, "no server connection");
            let fields = match error {
                ServerError::Refused(mut fields) => {
                    names.fields(&mut fields, false);
                    fields
                }
                _ => Fields::new("FATAL", "08006", "the database server does not answer"),
            };
            // The client may be gone.
            let _ = stream.write_all(&fields.message(b'E')).await;
            return None;
        }
    };
    let (pid, key) =
        shared.cancels.add(Target { server: shared.config.server.clone(), pid: server.pid, key: server.key });
    let mut out = message(b'R', &0i32.to_be_bytes());
    for (name, value) in &server.parameters {
        let value = if name == "session_authorization" { login.name.as_str() } else { value };
        out.extend(message(b'S', &[name.as_bytes(), b"\0", names.logical(value).as_bytes(), b"\0"].concat()));
    }
    out.extend(message(b'K', &[pid.to_be_bytes(), key.to_be_bytes()].concat()));
    out.extend(message(b'Z', b"I"));
    if stream.write_all(&out).await.is_err() {
        shared.cancels.remove(pid);
        return None;
    }
    let (tenant, login) = (tenant.clone(), login.clone());
    let session = uuid::Uuid::now_v7().to_string();
    Some(Entered { tenant, login, namespace, names, server, address, session, pid })
}

/// The startup packet of a server connection: what pins the session stands in it, so that RESET and DISCARD return to
/// it.
async fn connect(
    shared: &Shared,
    request: &Request,
    tenant: &TenantEntry,
    login: &Login,
    namespace: &Namespace,
) -> Result<Server, ServerError> {
    let path = namespace.search_path();
    let owner = names::owner_role(&tenant.id);
    let mut parameters: Vec<(&str, &str)> =
        request.settings.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    parameters.extend([
        ("user", login.server_role.as_str()),
        ("database", tenant.database.as_str()),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("search_path", path.as_str()),
    ]);
    if namespace.kind == "owner" {
        parameters.push(("role", owner.as_str()));
    }
    let password = shared.master.server_password(&login.server_role, login.generation);
    let timeout = Duration::from_millis(shared.config.server_connect_timeout_ms);
    server::connect(&shared.config.server, &parameters, &password, timeout).await
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

async fn refuse(stream: &mut TcpStream, sqlstate: &str, text: &str) -> Option<Entered> {
    // The client may be gone.
    let _ = stream.write_all(&Fields::new("FATAL", sqlstate, text).message(b'E')).await;
    None
}
