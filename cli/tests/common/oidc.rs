//! A small OpenID Connect provider: everybody who comes is signed in, and PKCE is checked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a code stands for.
struct Granted {
    challenge: String,
    claims: Value,
}

#[derive(Default)]
struct State {
    codes: BTreeMap<String, Granted>,
    seen: String,
}

/// A running provider.
pub(crate) struct Provider {
    issuer: String,
    state: Arc<Mutex<State>>,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let (served, name) = (state.clone(), issuer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &name, &served);
            }
        });
        Self { issuer, state }
    }

    pub(crate) fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// What a browser does at the provider: signs in, and is sent back.
    pub(crate) fn authorize(&self, location: &str, subject: &str, roles: &[&str]) -> String {
        let asked = fields(location.split_once('?').unwrap().1);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["response_type"], "code");
        let code = format!("code-{subject}");
        let claims = json!({
            "iss": self.issuer, "aud": asked["client_id"], "sub": subject, "roles": roles,
            "nonce": asked["nonce"], "exp": 4_000_000_000_i64,
        });
        let granted = Granted { challenge: asked["code_challenge"].clone(), claims };
        self.state.lock().unwrap().codes.insert(code.clone(), granted);
        format!("{}?code={code}&state={}", asked["redirect_uri"], asked["state"])
    }

    /// The issuer, and what was sent to the token endpoint.
    pub(crate) fn seen(&self) -> (String, String) {
        (self.issuer.clone(), self.state.lock().unwrap().seen.clone())
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn answer(mut stream: TcpStream, issuer: &str, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let answer = match path {
        "/.well-known/openid-configuration" => Some(json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        })),
        "/keys" => {
            let x = BASE64URL_NOPAD.encode(key().verifying_key().as_bytes());
            Some(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x }] }))
        }
        "/token" => token(&String::from_utf8(body).unwrap(), state),
        _ => None,
    };
    let (status, text) = answer.map_or(("400 Bad Request", "{}".to_owned()), |a| ("200 OK", a.to_string()));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    // The asker may have gone.
    let _ = stream.write_all(head.as_bytes());
}

/// A code is good once, and only with the secret half of its challenge.
fn token(body: &str, state: &Mutex<State>) -> Option<Value> {
    let asked = fields(body);
    let mut state = state.lock().unwrap();
    state.seen = body.to_owned();
    let granted = state.codes.remove(asked.get("code")?)?;
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(asked.get("code_verifier")?.as_bytes()));
    if challenge != granted.challenge {
        return None;
    }
    let pem = key().to_pkcs8_pem(LineEnding::LF).unwrap();
    let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::EdDSA) };
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    Some(json!({ "id_token": jsonwebtoken::encode(&header, &granted.claims, &key).unwrap() }))
}

/// The fields of a form or query.
fn fields(text: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| {
        let mut out = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                out.push(byte);
            }
        }
        String::from_utf8(out).unwrap()
    };
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), plain(v))).collect()
}
