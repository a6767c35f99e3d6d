//! Idempotency-Key: the same key and request have the same answer, on every POST. While the first is under way a
//! repetition is told so. An answer may hold secrets; it is kept for a day, sealed with a key that is made from the
//! Idempotency-Key and the master key, and of the Idempotency-Key only a digest is kept.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Shared;
use crate::http::BODY_BYTES;
use crate::http::problem::Problem;

/// Longest key, in bytes.
const KEY_BYTES: usize = 200;
/// How long a request may be under way before it may be tried again, as PostgreSQL reads it. Longer than any request.
const LEASE: &str = "2 minutes";
/// How long an answer is kept, as PostgreSQL reads it.
const KEPT: &str = "24 hours";
/// Most answers that one clean-up deletes.
const CLEANED: i64 = 10_000;

/// What the operation of a request with a key is called, so that a request that is tried again finds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperationId(pub(crate) Uuid);

/// One request with a key.
struct Once {
    subject: String,
    key: String,
    request: Vec<u8>,
}

/// What the table says about a request.
enum Claim {
    /// It is ours to do, and its operation is called so.
    Ours(Uuid),
    /// It was done.
    Done(Response),
}

/// Does a request that has no key, does one with a new key and keeps its answer, or gives the kept one.
pub(crate) async fn once(
    shared: Arc<Shared>,
    subject: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = match request.headers().get("idempotency-key") {
        Some(key) if request.method() == Method::POST => key.clone(),
        _ => return Ok(next.run(request).await),
    };
    let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES).contains(&key.len()));
    let key =
        key.ok_or_else(|| Problem::invalid(format!("Idempotency-Key must be 1 to {KEY_BYTES} bytes")))?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await.map_err(|_| Problem::too_large("the body is too long"))?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let once = Once {
        subject: subject.to_owned(),
        key: key.to_owned(),
        request: Sha256::new().chain_update(path).chain_update(b"\0").chain_update(&body).finalize().to_vec(),
    };
    let operation = match once.claim(&shared).await? {
        Claim::Done(answer) => return Ok(answer),
        Claim::Ours(operation) => operation,
    };
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(OperationId(operation));
    // A task of its own: a caller that goes away must find the answer when it comes back.
    let task = tokio::spawn(async move {
        let answer = next.run(request).await;
        once.keep(&shared, answer).await
    });
    task.await.map_err(|error| Problem::internal(format!("a handler failed: {error}")))?
}

impl Once {
    fn key_hash(&self) -> Vec<u8> {
        Sha256::digest(self.key.as_bytes()).to_vec()
    }

    async fn claim(&self, shared: &Shared) -> Result<Claim, Problem> {
        let client = shared.pool.get().await?;
        let ours = client
            .query_opt(
                "INSERT INTO palisade_control.idempotency AS i (subject, key_hash, request_hash, operation_id, lease_until)
                 VALUES ($1, $2, $3, $4, clock_timestamp() + $5::text::interval)
                 ON CONFLICT (subject, key_hash) DO UPDATE SET lease_until = excluded.lease_until
                   WHERE i.status IS NULL AND i.lease_until < clock_timestamp() AND i.request_hash = excluded.request_hash
                 RETURNING operation_id",
                &[&self.subject, &self.key_hash(), &self.request, &Uuid::now_v7(), &LEASE],
            )
            .await?;
        if let Some(row) = ours {
            return Ok(Claim::Ours(row.get(0)));
        }
        let in_flight =
            || Problem::idempotency_in_flight("the first request with this Idempotency-Key is under way");
        let row = client
            .query_opt(
                "SELECT request_hash, status, answer FROM palisade_control.idempotency WHERE subject = $1 AND key_hash = $2",
                &[&self.subject, &self.key_hash()],
            )
            .await?
            .ok_or_else(in_flight)?;
        if row.get::<_, Vec<u8>>(0) != self.request {
            return Err(Problem::idempotency_reused(
                "this Idempotency-Key was used for another request; use a new one",
            ));
        }
        let (Some(status), Some(sealed)) = (row.get::<_, Option<i32>>(1), row.get::<_, Option<Vec<u8>>>(2))
        else {
            return Err(in_flight());
        };
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let body = self.open(shared, sealed);
        let (Some(status), Some(body)) = (status, body) else {
            return Err(Problem::internal(
                "a kept answer cannot be opened; was the master key changed?".into(),
            ));
        };
        let mut answer = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
        answer.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok(Claim::Done(answer))
    }

    /// Keeps the answer of what succeeded. What failed may be tried again with its key.
    async fn keep(&self, shared: &Shared, answer: Response) -> Result<Response, Problem> {
        let json = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        if !answer.status().is_success() || !json {
            let client = shared.pool.get().await?;
            client
                .execute(
                    "DELETE FROM palisade_control.idempotency WHERE subject = $1 AND key_hash = $2",
                    &[&self.subject, &self.key_hash()],
                )
                .await?;
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX)
            .await
            .map_err(|error| Problem::internal(format!("an answer cannot be read: {error}")))?;
        let status = i32::from(parts.status.as_u16());
        let client = shared.pool.get().await?;
        client
            .execute(
                "UPDATE palisade_control.idempotency SET status = $3, answer = $4 WHERE subject = $1 AND key_hash = $2",
                &[&self.subject, &self.key_hash(), &status, &self.seal(shared, &body)?],
            )
            .await?;
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn cipher(&self, shared: &Shared) -> Option<LessSafeKey> {
        let master = shared.master.server_password("idempotency", 1);
        let mut mac = Hmac::<Sha256>::new_from_slice(master.as_bytes()).ok()?;
        mac.update(self.subject.as_bytes());
        mac.update(b"\0");
        mac.update(self.key.as_bytes());
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &mac.finalize().into_bytes()).ok()?))
    }

    fn seal(&self, shared: &Shared, plain: &Bytes) -> Result<Vec<u8>, Problem> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = plain.to_vec();
        let cipher = self.cipher(shared);
        let done = cipher.and_then(|cipher| {
            cipher
                .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
                .ok()
        });
        done.ok_or_else(|| Problem::internal("an answer cannot be sealed".into()))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, shared: &Shared, sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut rest = rest.to_vec();
        let plain = self.cipher(shared)?.open_in_place(nonce, Aad::empty(), &mut rest).ok()?;
        Some(plain.to_vec())
    }
}

/// Deletes answers that are a day old, some at a time.
pub(crate) async fn clean(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client
        .execute(
            "DELETE FROM palisade_control.idempotency WHERE (subject, key_hash) IN (
               SELECT subject, key_hash FROM palisade_control.idempotency
               WHERE created_at < now() - $1::text::interval ORDER BY created_at LIMIT $2)",
            &[&KEPT, &CLEANED],
        )
        .await?;
    Ok(())
}
