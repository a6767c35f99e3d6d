//! Confirmations: what a dry run gave, and the call that does it must bring.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::Shared;
use crate::http::problem::Problem;

/// How long a confirmation is good for, in seconds.
const CONFIRM_SECONDS: i64 = 300;

/// A token that is good for one deed on one thing in its present state, for five minutes.
pub(crate) fn issue(shared: &Shared, deed: &str, thing: &str, state: &str) -> String {
    sign(shared, &[deed, thing, state], OffsetDateTime::now_utc().unix_timestamp() + CONFIRM_SECONDS)
}

/// A signature over some texts, good until a time.
pub(crate) fn sign(shared: &Shared, about: &[&str], until: i64) -> String {
    let key = shared.master.server_password("confirmation", 1);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    for part in about {
        mac.update(part.as_bytes());
        mac.update(b"\0");
    }
    mac.update(&until.to_be_bytes());
    format!("{until}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Refuses a token that is not of this deed, thing and state, or too old.
pub(crate) fn check(
    shared: &Shared,
    deed: &str,
    thing: &str,
    state: &str,
    given: Option<&str>,
) -> Result<(), Problem> {
    let Some(given) = given else {
        return Err(Problem::field(
            "confirm",
            "send {\"dry_run\": true} first, and its answer's \"confirm\" with this call",
        ));
    };
    let until = given.split('.').next().and_then(|t| t.parse::<i64>().ok()).unwrap_or_default();
    let expected = sign(shared, &[deed, thing, state], until);
    let same = subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), given.as_bytes());
    if bool::from(same) && until >= OffsetDateTime::now_utc().unix_timestamp() {
        return Ok(());
    }
    Err(Problem::conflict(
        "the confirmation is not for this tenant as it is now, or is older than 5 minutes; ask anew",
    ))
}
