//! How clients are let in: TLS, channel binding, client certificates, tokens, versions of the protocol, failed logins,
//! and cancels that reach another proxy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use common::authority::{Authority, tls};
use common::{Installation, Second, connect, free_address};
use rcgen::KeyPair;
use serde_json::json;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Logs in over TLS and asks something; `false` where that is refused.
async fn works(url: &str, tls: MakeRustlsConnect) -> bool {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
    let Ok((client, connection)) = config.connect(tls).await else { return false };
    tokio::spawn(connection);
    client.query_one("SELECT count(*) FROM users", &[]).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_logins_are_tied_to_the_connection() {
    let mut palisade = Installation::start("login-tls", true);
    let url = palisade.env()["PALISADE_URL_ACME_APP"].clone();
    let (good, other) = (Authority::new(), Authority::new());
    let (server, client, stranger) =
        (good.sign("127.0.0.1"), good.sign("application"), other.sign("application"));
    let folder = palisade.folder().to_owned();
    let cert = write(&folder, "server.crt", &server.0);
    let key = write(&folder, "server.key", &server.1);
    let ca = write(&folder, "clients.pem", &good.pem());
    let base = [
        ("PALISADE__PROXY__TLS", "require"),
        ("PALISADE__PROXY__TLS_CERT_FILE", &cert),
        ("PALISADE__PROXY__TLS_KEY_FILE", &key),
    ];
    palisade.restart(&base);
    assert!(works(&url, tls(&good.pem(), None, false)).await, "SCRAM-SHA-256-PLUS over TLS 1.3");
    assert!(works(&url, tls(&good.pem(), None, true)).await, "SCRAM-SHA-256-PLUS over TLS 1.2");
    let error = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "28000", "a client without TLS");
    large_result(&url, tls(&good.pem(), None, false)).await;

    let mut settings = base.to_vec();
    settings.extend([
        ("PALISADE__PROXY__TLS_MIN_VERSION", "\"1.3\""),
        ("PALISADE__PROXY__TLS_CLIENT_CERTIFICATES", "optional"),
        ("PALISADE__PROXY__TLS_CLIENT_CA_FILE", &ca),
    ]);
    palisade.restart(&settings);
    for (shown, tls12, want) in [
        (None, false, true),
        (Some(&client), false, true),
        (Some(&stranger), false, false),
        (None, true, false),
    ] {
        assert_eq!(works(&url, tls(&good.pem(), shown, tls12)).await, want, "{} {tls12}", shown.is_some());
    }
    settings[4].1 = "require";
    palisade.restart(&settings);
    assert!(works(&url, tls(&good.pem(), Some(&client), false)).await);
    assert!(!works(&url, tls(&good.pem(), None, false)).await, "a client without a certificate");
}

/// A result that is larger than every buffer reaches a client that reads late, whole.
async fn large_result(url: &str, tls: MakeRustlsConnect) {
    use futures::TryStreamExt;
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.ssl_mode(SslMode::Require);
    let (client, connection) = config.connect(tls).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let rows =
            client.query_raw("SELECT repeat('x', 1000) FROM generate_series(1, 20000)", &[] as &[&str]);
        let rows = rows.await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(rows.try_fold(0, |n, _| async move { Ok(n + 1) }).await.unwrap(), 20_000);
    }
}

/// A client that speaks in frames.
struct Raw {
    stream: TcpStream,
    /// What the server said until it was ready: type and body.
    said: Vec<(u8, Vec<u8>)>,
}

fn address(url: &str) -> String {
    url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned()
}

impl Raw {
    /// Logs in with a token, in this version of the protocol.
    fn login(address: &str, version: i32, extra: &str, token: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let text = format!("user\0app\0database\0acme\0palisade.auth\0jwt\0{extra}\0");
        let length = i32::try_from(8 + text.len()).unwrap();
        let packet = [&length.to_be_bytes()[..], &version.to_be_bytes(), text.as_bytes()].concat();
        stream.write_all(&packet).unwrap();
        let mut raw = Self { stream, said: Vec::new() };
        loop {
            let (tag, body) = raw.message();
            raw.said.push((tag, body));
            let (tag, body) = raw.said.last().unwrap();
            match tag {
                b'R' if body[..4] == 3i32.to_be_bytes() => {
                    let length = i32::try_from(5 + token.len()).unwrap().to_be_bytes();
                    let message = [b"p", &length[..], token.as_bytes(), b"\0"].concat();
                    raw.stream.write_all(&message).unwrap();
                }
                b'Z' | b'E' => return raw,
                _ => {}
            }
        }
    }

    fn message(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).unwrap();
        (head[0], body)
    }

    fn query(&mut self, text: &str) {
        let length = i32::try_from(5 + text.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[b"Q", &length[..], text.as_bytes(), b"\0"].concat()).unwrap();
    }

    fn body(&self, tag: u8) -> Option<&[u8]> {
        self.said.iter().find(|(t, _)| *t == tag).map(|(_, body)| &body[..])
    }

    /// SQLSTATE of the error.
    fn sqlstate(&self) -> Option<String> {
        sqlstate(self.body(b'E')?)
    }

    /// The cancel key: both parts.
    fn key(&self) -> &[u8] {
        self.body(b'K').unwrap()
    }
}

fn sqlstate(body: &[u8]) -> Option<String> {
    let field = body.split(|b| *b == 0).find(|field| field.first() == Some(&b'C'))?;
    Some(String::from_utf8_lossy(&field[1..]).into_owned())
}

fn cancel(address: &str, key: &[u8]) {
    let length = i32::try_from(8 + key.len()).unwrap().to_be_bytes();
    let packet = [&length[..], &80_877_102i32.to_be_bytes(), key].concat();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&packet).unwrap();
    let _ = stream.read(&mut [0]);
}

/// Signs tokens of the test's issuer.
struct Signer(jsonwebtoken::EncodingKey);

impl Signer {
    fn token(&self, changes: serde_json::Value) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "palisade", "sub": "service-7", "exp": now + 300,
            "tenant": "acme", "login": ["app", "readonly"],
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims, &self.0).unwrap()
    }
}

/// A key of an issuer: the signer and the file of its public part.
fn issuer(folder: &Path, name: &str) -> (Signer, String) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let public = write(folder, name, &key.public_key_pem());
    (Signer(jsonwebtoken::EncodingKey::from_ed_der(key.serialized_der())), public)
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_versions_cancels_and_limits() {
    let mut palisade = Installation::start("login", true);
    let folder = palisade.folder().to_owned();
    let env = palisade.env();
    let ((signer, public), (stranger, _)) = (issuer(&folder, "issuer.pem"), issuer(&folder, "stranger.pem"));
    let peer = free_address();
    let peers = format!("[{{ id = 9, address = \"{peer}\" }}]");
    palisade.restart(&[
        ("PALISADE__PROXY__JWT__ISSUER", "https://issuer.example"),
        ("PALISADE__PROXY__JWT__PUBLIC_KEY_FILE", &public),
        ("PALISADE__PROXY__FAILED_LOGINS_PER_ADDRESS", "20"),
        ("PALISADE__PROXY__FAILED_LOGINS_EXEMPT", "[]"),
        ("PALISADE__PROXY__PEERS", &peers),
    ]);
    let proxy = address(&env["PALISADE_URL_ACME_APP"]);
    // The tenants are known.
    connect(&env["PALISADE_URL_ACME_APP"]).await;
    tokens(&palisade, &proxy, &signer, &stranger);
    versions(&proxy, &signer);
    let first = format!("[{{ id = 0, address = \"{proxy}\" }}]");
    let second = Second::start(
        &palisade,
        &peer,
        &[
            ("PALISADE__PROXY__PEER_ID", "9"),
            ("PALISADE__PROXY__PEERS", &first),
            ("PALISADE__PROXY__JWT__ISSUER", "https://issuer.example"),
            ("PALISADE__PROXY__JWT__PUBLIC_KEY_FILE", &public),
        ],
    );
    let token = signer.token(json!({}));
    for (version, key_bytes) in [(3 << 16, 8), ((3 << 16) | 2, 36)] {
        for (home, through) in [(&proxy, &proxy), (&proxy, &peer), (&peer, &proxy)] {
            let raw = Raw::login(home, version, "", &token);
            assert_eq!(raw.key().len(), key_bytes, "the key in {version}");
            cancelled(raw, through);
        }
    }
    drop(second);
    limits(&palisade, &proxy, &stranger).await;
}

fn tokens(palisade: &Installation, proxy: &str, signer: &Signer, stranger: &Signer) {
    let plain = 3 << 16;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (token, why) in [
        (signer.token(json!({"tenant": "globex"})), "wrong_tenant"),
        (signer.token(json!({"login": "owner"})), "wrong_login"),
        (signer.token(json!({"exp": now - 3600})), "expired_token"),
        (signer.token(json!({"nbf": now + 3600})), "early_token"),
        (signer.token(json!({"aud": "palisade-api"})), "wrong_audience"),
        (signer.token(json!({"iss": "https://elsewhere.example"})), "wrong_issuer"),
        (stranger.token(json!({})), "wrong_signature"),
        ("no token".to_owned(), "malformed_token"),
    ] {
        let raw = Raw::login(proxy, plain, "", &token);
        assert_eq!(raw.sqlstate().as_deref(), Some("28P01"), "{why}");
    }
    let mut raw = Raw::login(proxy, plain, "", &signer.token(json!({})));
    assert!(raw.body(b'Z').is_some(), "a good token: {:?}", raw.sqlstate());
    raw.query("SELECT current_user");
    let row = std::iter::from_fn(|| Some(raw.message())).find(|(tag, _)| *tag == b'D').unwrap();
    assert!(row.1.ends_with(b"app"));
    // The trail says why, and who it was; the answer did not.
    let token = palisade.token("admin");
    let started = Instant::now();
    loop {
        let (_, events) = palisade.api("GET", "/api/v1/audit?action=login&limit=50", &token, None).unwrap();
        let text = events.to_string();
        let found = ["wrong_tenant", "wrong_login", "expired_token", "wrong_signature", "service-7"];
        if found.iter().all(|word| text.contains(word)) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "not in the trail: {text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn versions(proxy: &str, signer: &Signer) {
    let token = signer.token(json!({}));
    for (minor, extension, negotiated) in
        [(0, "", None), (2, "", None), (0, "_pq_.unheard\0of\0", Some(3 << 16)), (9, "", Some((3 << 16) | 2))]
    {
        let raw = Raw::login(proxy, (3 << 16) | minor, extension, &token);
        assert!(raw.body(b'Z').is_some(), "3.{minor}: {:?}", raw.sqlstate());
        let said = raw.body(b'v').map(|body| i32::from_be_bytes(body[..4].try_into().unwrap()));
        assert_eq!(said, negotiated, "3.{minor} {extension}");
    }
}

/// A statement ends when its cancel reaches this proxy.
fn cancelled(mut raw: Raw, through: &str) {
    raw.query("SELECT pg_sleep(30)");
    let key = raw.key().to_vec();
    // The statement has to be running.
    std::thread::sleep(Duration::from_millis(300));
    let mut wrong = key.clone();
    *wrong.last_mut().unwrap() ^= 1;
    cancel(through, &wrong);
    let started = Instant::now();
    cancel(through, &key);
    loop {
        let (tag, body) = raw.message();
        if tag == b'E' {
            assert_eq!(sqlstate(&body).as_deref(), Some("57014"));
            assert!(started.elapsed() < Duration::from_secs(5));
            return;
        }
    }
}

async fn limits(palisade: &Installation, proxy: &str, stranger: &Signer) {
    let plain = 3 << 16;
    let wrong = stranger.token(json!({}));
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..30 {
        let raw = Raw::login(proxy, plain, "", &wrong);
        *answers.entry(raw.sqlstate().unwrap()).or_default() += 1;
    }
    // Some of the twenty were used up before, and some have come back.
    assert!(answers["53400"] >= 8 && answers["28P01"] >= 5, "{answers:?}");
    assert!(palisade.metrics()["palisade_client_logins_total{result=\"throttled\"}"] >= 8.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_failures_do_not_lock_its_own_applications_out() {
    let mut palisade = Installation::start("login-tenant", true);
    palisade.restart(&[
        ("PALISADE__PROXY__FAILED_LOGINS_PER_TENANT", "3"),
        ("PALISADE__PROXY__FAILED_LOGINS_EXEMPT", "[]"),
    ]);
    let url = palisade.env()["PALISADE_URL_ACME_APP"].clone();
    connect(&url).await;
    let wrong = url.replacen("://app:", "://app:wrong", 1);
    for _ in 0..8 {
        let error = tokio_postgres::connect(&wrong, tokio_postgres::NoTls).await.err().unwrap();
        assert_eq!(error.code().unwrap().code(), "28P01", "this address has logged in before");
    }
    connect(&url).await;
}
