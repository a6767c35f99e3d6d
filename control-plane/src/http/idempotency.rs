//! Idempotency-Key: the same key and wish find the first request's operation.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Shared;
use crate::http::problem::Problem;

/// Longest key, in bytes.
const KEY_BYTES: usize = 200;

/// Remembers a key, or finds the operation that it stands for.
pub(crate) async fn remember(
    shared: &Shared,
    subject: &str,
    key: &str,
    wish: &str,
    operation: Uuid,
) -> Result<Option<Uuid>, Problem> {
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(Problem::invalid(format!("Idempotency-Key must be 1 to {KEY_BYTES} bytes")));
    }
    let hash = Sha256::digest(wish.as_bytes()).to_vec();
    let client = shared.pool.get().await?;
    let inserted = client
        .execute(
            "INSERT INTO palisade_control.idempotency (subject, key, request_hash, operation_id)
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &[&subject, &key, &hash, &operation],
        )
        .await?;
    if inserted == 1 {
        return Ok(None);
    }
    let row = client
        .query_one(
            "SELECT request_hash, operation_id FROM palisade_control.idempotency WHERE subject = $1 AND key = $2",
            &[&subject, &key],
        )
        .await?;
    if row.get::<_, Vec<u8>>(0) != hash {
        return Err(Problem::invalid("this Idempotency-Key was used for another request; use a new one"));
    }
    Ok(Some(row.get(1)))
}

/// A request that failed may be tried again with its key.
pub(crate) async fn forget(shared: &Shared, subject: &str, key: &str) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client
        .execute(
            "DELETE FROM palisade_control.idempotency WHERE subject = $1 AND key = $2",
            &[&subject, &key],
        )
        .await?;
    Ok(())
}
