use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn sign(key: &SigningKey, kid: Option<&str>, claims: &Value) -> String {
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    encode(&header, claims, &EncodingKey::from_ed_pem(pem.as_bytes()).unwrap()).unwrap()
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn claims() -> Value {
    json!({ "sub": "ann", "iss": "palisade", "aud": "palisade-api", "exp": now() + 600, "roles": ["viewer"] })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

async fn outcome(verifier: &Verifier, token: &str) -> String {
    match verifier.jwt(token).await {
        Ok(caller) => caller.subject,
        Err(refusal) => refusal.code.to_owned(),
    }
}

fn pem_verifier(folder: &std::path::Path) -> (Verifier, String) {
    let pem = key(1).verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
    let file = folder.join("key.pem");
    std::fs::write(&file, &pem).unwrap();
    let config = AuthConfig { public_key_file: Some(file), ..AuthConfig::default() };
    (Verifier::new(&config).unwrap(), pem)
}

fn scratch(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("palisade-auth-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn tokens_follow_the_table() {
    let folder = scratch("table");
    let (verifier, pem) = pem_verifier(&folder);
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT" })), part(claims()));
    // The public key as an HMAC secret: what a verifier that follows the header would take.
    let confused =
        encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(pem.as_bytes())).unwrap();
    for (token, want) in [
        (sign(&key(1), None, &claims()), "ann"),
        (sign(&key(2), None, &claims()), "wrong_signature"),
        (sign(&key(1), Some("x"), &claims()), "unknown_key"),
        (none, "malformed_token"),
        (confused, "wrong_algorithm"),
        (sign(&key(1), None, &with("exp", json!(now() - 100))), "expired_token"),
        (sign(&key(1), None, &with("nbf", json!(now() + 100))), "early_token"),
        (sign(&key(1), None, &with("aud", json!("other"))), "wrong_audience"),
        (sign(&key(1), None, &with("iss", json!("other"))), "wrong_issuer"),
        (sign(&key(1), None, &with("exp", Value::Null)), "malformed_token"),
        (sign(&key(1), None, &with("sub", json!("a\nb"))), "malformed_token"),
        (sign(&key(1), None, &with("sub", json!("a".repeat(201)))), "malformed_token"),
        (sign(&key(1), None, &with("pad", json!("a".repeat(9_000)))), "oversized_token"),
        ("a.b.c".into(), "malformed_token"),
    ] {
        assert_eq!(outcome(&verifier, &token).await, want, "{token}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

fn key_set(keys: &[(&str, &SigningKey)]) -> String {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(kid, key)| {
            let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
            json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x })
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_rotates_and_unknown_keys_do_not_flood_its_server() {
    let (old, new) = (key(3), key(4));
    let document = Arc::new(Mutex::new(key_set(&[("old", &old)])));
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let (served, count) = (document.clone(), asked.clone());
    let app = axum::Router::new().route(
        "/keys",
        axum::routing::get(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let text = served.lock().clone();
            async move { text }
        }),
    );
    tokio::spawn(async move { axum::serve(listener, app).await });
    let verifier = Verifier::new(&AuthConfig { jwks_url: Some(url), ..AuthConfig::default() }).unwrap();
    let token = |key: &SigningKey, kid: &str| sign(key, Some(kid), &claims());
    // The first token asks for the document; then it is known.
    assert_eq!(outcome(&verifier, &token(&old, "old")).await, "ann");
    assert_eq!(outcome(&verifier, &token(&new, "old")).await, "wrong_signature");
    *document.lock() = key_set(&[("new", &new)]);
    for _ in 0..50 {
        assert_eq!(outcome(&verifier, &token(&new, "other")).await, "unknown_key");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // The periodic reading brings the new key and takes the old one away.
    verifier.tokens.refresh().await;
    assert_eq!(outcome(&verifier, &token(&new, "new")).await, "ann");
    assert_eq!(outcome(&verifier, &token(&old, "old")).await, "unknown_key");
    // A document that cannot be read leaves the last known keys.
    *document.lock() = "{}".into();
    verifier.tokens.refresh().await;
    assert_eq!(outcome(&verifier, &token(&new, "new")).await, "ann");
}
