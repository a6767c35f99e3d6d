//! `palisade audit …`

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{print_json, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List events, newest first
    List(ListArgs),
}

#[derive(ClapArgs)]
pub(crate) struct ListArgs {
    /// Only this tenant (slug or id)
    #[arg(long)]
    tenant: Option<String>,
    /// Only this action, such as `statement`, `login`, `tenant.create`
    #[arg(long)]
    action: Option<String>,
    /// Only `allow` or `deny`
    #[arg(long)]
    decision: Option<String>,
    /// Only events at or after this time (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(command: Command) -> Result<()> {
    let Command::List(args) = command;
    let mut path = format!("/audit?limit={}", args.limit);
    for (key, value) in [
        ("tenant", &args.tenant),
        ("action", &args.action),
        ("decision", &args.decision),
        ("since", &args.since),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", encode(value)));
        }
    }
    let answer = Api::new(&args.api)?.get(&path)?;
    if args.api.json {
        return print_json(&answer["items"]);
    }
    for e in answer["items"].as_array().into_iter().flatten() {
        println!(
            "{} {:<5} {:<16} {:<12} {:<12} {} {}",
            text(&e["at"]),
            text(&e["decision"]),
            text(&e["action"]),
            text(&e["tenant"]),
            text(&e["actor"]),
            text(&e["reason"]),
            e["object"].as_str().or(e["shape"].as_str()).unwrap_or_default()
        );
    }
    Ok(())
}
