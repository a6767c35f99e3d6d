//! `palisade token …`: API tokens of the control plane, and JSON Web Tokens from a private key.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, Subcommand};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, table, text};

/// Make, list and revoke API tokens; without a subcommand sign a JSON Web Token with a private key
#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sign: Option<Sign>,
}

#[derive(Subcommand)]
enum Command {
    /// Make an API token; prints its secret once
    Create {
        /// Who it is for, as a slug
        name: String,
        /// What it may do; may be given several times
        #[arg(long, default_value = "viewer")]
        role: Vec<String>,
        /// A tenant that it is for (slug or id); all where none is given
        #[arg(long)]
        tenant: Vec<String>,
        /// How long it is good for
        #[arg(long, default_value_t = 90)]
        days: u32,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// List API tokens with their last use
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Revoke an API token
    Revoke {
        /// Its name or id
        named: String,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Sign a JSON Web Token
#[derive(ClapArgs)]
struct Sign {
    /// The Ed25519 private key (PEM); `palisade keys jwt` makes one
    #[arg(long)]
    key: PathBuf,
    /// Who the token is for; stands in the audit trail
    #[arg(long)]
    subject: String,
    /// What it may do: owner, admin, security, operator, auditor, viewer
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
    match (&args.command, &args.sign) {
        (Some(Command::Create { name, role, tenant, days, api }), _) => {
            create(name, role, tenant, *days, api)
        }
        (Some(Command::List { api }), _) => list(api),
        (Some(Command::Revoke { named, api }), _) => {
            let answer = Api::new(api)?.delete(&format!("/tokens/{}", encode(named)))?;
            if api.json {
                return print_json(&answer);
            }
            println!("token {} is revoked", text(&answer["name"]));
            Ok(())
        }
        (None, Some(sign)) => {
            let named = (sign.issuer.as_str(), sign.audience.as_str());
            println!("{}", self::sign(&sign.key, &sign.subject, &sign.role, named, sign.hours)?);
            Ok(())
        }
        (None, None) => anyhow::bail!("give --key and --subject, or one of create, list, revoke"),
    }
}

fn create(name: &str, roles: &[String], tenants: &[String], days: u32, api: &ApiArgs) -> Result<()> {
    let mut body = json!({ "name": name, "roles": roles, "days": days });
    if !tenants.is_empty() {
        body["tenants"] = json!(tenants);
    }
    let answer = Api::new(api)?.post("/tokens", &body, None)?;
    if api.json {
        return print_json(&answer);
    }
    println!("{}", text(&answer["secret"]));
    Ok(())
}

fn list(api: &ApiArgs) -> Result<()> {
    let answer = Api::new(api)?.get("/tokens")?;
    if api.json {
        return print_json(&answer["items"]);
    }
    let words =
        |value: &Value| value.as_array().map(|list| list.iter().map(text).collect::<Vec<_>>().join(","));
    let row = |t: &Value| {
        vec![
            text(&t["name"]),
            words(&t["roles"]).unwrap_or_default(),
            words(&t["tenants"]).unwrap_or_else(|| "all".into()),
            text(&t["expires_at"]),
            text(&t["last_used_at"]),
            text(&t["revoked_at"]),
        ]
    };
    let rows: Vec<_> = items(&answer, "items").iter().map(row).collect();
    table(&["NAME", "ROLES", "TENANTS", "EXPIRES", "LAST USED", "REVOKED"], &rows);
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
