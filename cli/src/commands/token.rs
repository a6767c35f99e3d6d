//! `palisade token`: an API token from a private key.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use time::OffsetDateTime;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The Ed25519 private key (PEM); `palisade keys jwt` makes one
    #[arg(long)]
    key: PathBuf,
    /// Who the token is for; stands in the audit trail
    #[arg(long)]
    subject: String,
    /// What it may do: admin, operator, auditor, viewer
    #[arg(long, default_value = "viewer")]
    role: String,
    /// Issuer, as the control plane expects it
    #[arg(long, default_value = "palisade")]
    issuer: String,
    /// Audience, as the control plane expects it
    #[arg(long, default_value = "palisade-api")]
    audience: String,
    /// How long it is good for, in hours
    #[arg(long, default_value_t = 12)]
    hours: u32,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    roles: [&'a str; 1],
}

pub(crate) fn run(args: &Args) -> Result<()> {
    println!("{}", sign(&args.key, &args.subject, &args.role, (&args.issuer, &args.audience), args.hours)?);
    Ok(())
}

/// Signs a token for a subject and role.
pub(crate) fn sign(
    key: &Path,
    subject: &str,
    role: &str,
    (issuer, audience): (&str, &str),
    hours: u32,
) -> Result<String> {
    let pem = std::fs::read(key).with_context(|| format!("reading the private key {}", key.display()))?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let exp = now + i64::from(hours) * 3600;
    let claims = Claims { sub: subject, iss: issuer, aud: audience, iat: now, exp, roles: [role] };
    let key = EncodingKey::from_ed_pem(&pem).context("the private key is not an Ed25519 key in PEM")?;
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).context("signing the token")
}
