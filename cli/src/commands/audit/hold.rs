//! `palisade audit hold …`

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::Value;

use crate::api::{Api, ApiArgs};
use crate::commands::out::{items, print_json, table, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List holds, those in force first
    List(ListArgs),
    /// Place a hold: the months of what it covers are not deleted while it is in force
    Place(PlaceArgs),
    /// Release a hold
    Release(ReleaseArgs),
}

#[derive(ClapArgs)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(ClapArgs)]
pub(crate) struct PlaceArgs {
    /// Why: a case's number, say
    reason: String,
    /// Only this tenant's events (slug or id)
    #[arg(long)]
    tenant: Option<String>,
    /// Only events at or after this time (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// Only events before this time (RFC 3339)
    #[arg(long)]
    until: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(ClapArgs)]
pub(crate) struct ReleaseArgs {
    /// The hold's id
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List(args) => {
            let answer = Api::new(&args.api)?.get("/audit/holds")?;
            show(&args.api, &answer["items"], items(&answer, "items"))
        }
        Command::Place(args) => {
            let mut wish = serde_json::json!({ "reason": args.reason });
            for (name, value) in [("tenant", &args.tenant), ("since", &args.since), ("until", &args.until)] {
                if let Some(value) = value {
                    wish[name] = value.as_str().into();
                }
            }
            let hold = Api::new(&args.api)?.post("/audit/holds", &wish, None)?;
            show(&args.api, &hold, std::slice::from_ref(&hold))
        }
        Command::Release(args) => {
            let hold =
                Api::new(&args.api)?.delete(&format!("/audit/holds/{}", crate::api::encode(&args.id)))?;
            show(&args.api, &hold, std::slice::from_ref(&hold))
        }
    }
}

fn show(api: &ApiArgs, whole: &Value, holds: &[Value]) -> Result<()> {
    if api.json {
        return print_json(whole);
    }
    let columns = ["id", "tenant_id", "since", "until", "held_by", "held_at", "released_at", "reason"];
    let row = |hold: &Value| columns.iter().map(|name| text(&hold[*name])).collect();
    let rows: Vec<Vec<String>> = holds.iter().map(row).collect();
    table(&["hold", "tenant", "since", "until", "by", "at", "released", "reason"], &rows);
    Ok(())
}
