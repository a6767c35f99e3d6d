//! `palisade operation …`

use std::io::BufRead;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, table, text};

/// How long one question for an operation waits, in seconds.
const WAIT_SECONDS: u64 = 2;
/// How often the spinner turns.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List operations, the newest first
    List {
        /// Only of this tenant (slug or id)
        #[arg(long)]
        tenant: Option<String>,
        /// Only in this state: running, succeeded, failed, cancelled
        #[arg(long)]
        state: Option<String>,
        /// Only of this kind: create, clone, suspend …
        #[arg(long)]
        kind: Option<String>,
        /// Most operations, 1 to 200
        #[arg(long, default_value_t = 50)]
        limit: u8,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show an operation and its steps
    Show(Named),
    /// Wait until an operation ends; the exit code says how
    Wait(Named),
    /// End an operation at its next step; what it made is removed
    Cancel(Named),
    /// Print what happens, an event a line; without an id, of all operations until Ctrl-C
    Watch {
        /// The operation's id
        id: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Which operation
#[derive(Args)]
pub(crate) struct Named {
    /// The operation's id
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List { tenant, state, kind, limit, api } => {
            let filters = [("tenant", tenant), ("state", state), ("kind", kind)];
            list(filters, limit, &api)
        }
        Command::Wait(named) => wait(&named),
        Command::Cancel(Named { id, api }) => {
            let answer =
                Api::new(&api)?.post(&format!("/operations/{}/cancel", encode(&id)), &json!({}), None)?;
            if api.json {
                return print_json(&answer);
            }
            println!("operation {id} ends at its next step");
            Ok(())
        }
        Command::Show(Named { id, api }) => {
            let operation = Api::new(&api)?.get(&format!("/operations/{}", encode(&id)))?;
            if api.json {
                return print_json(&operation);
            }
            show(&operation);
            Ok(())
        }
        Command::Watch { id, api } => watch(id.as_deref(), &api),
    }
}

fn list(filters: [(&str, Option<String>); 3], limit: u8, args: &ApiArgs) -> Result<()> {
    let mut path = format!("/operations?limit={limit}");
    for (name, value) in filters {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(&value)));
        }
    }
    let answer = Api::new(args)?.get(&path)?;
    if args.json {
        return print_json(&answer["items"]);
    }
    let row = |o: &Value| {
        ["id", "kind", "state", "tenant_id", "requested_by", "created_at"]
            .map(|field| text(&o[field]))
            .to_vec()
    };
    let rows: Vec<_> = items(&answer, "items").iter().map(row).collect();
    table(&["ID", "KIND", "STATE", "TENANT", "BY", "SINCE"], &rows);
    Ok(())
}

fn wait(Named { id, api: args }: &Named) -> Result<()> {
    let operation = wait_for(&Api::new(args)?, id, args.json)?;
    if args.json {
        print_json(&operation)?;
    } else {
        show(&operation);
    }
    if operation["state"] != "succeeded" {
        bail!("the operation is {}", text(&operation["state"]));
    }
    Ok(())
}

/// Waits until an operation ends, and shows its present step meanwhile; the operation as it is then.
pub(crate) fn wait_for(api: &Api, id: &str, quiet: bool) -> Result<Value> {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    bar.enable_steady_tick(TICK);
    loop {
        let operation = api.get(&format!("/operations/{}/wait?seconds={WAIT_SECONDS}", encode(id)))?;
        if operation["state"] != "running" {
            bar.finish_and_clear();
            return Ok(operation);
        }
        let step = items(&operation, "steps").last().map(|step| text(&step["name"]));
        bar.set_message(format!("{} {}", text(&operation["kind"]), step.unwrap_or_default()));
    }
}

/// An operation for people.
pub(crate) fn show(operation: &Value) {
    println!(
        "operation  {} {} {}",
        text(&operation["kind"]),
        text(&operation["state"]),
        text(&operation["id"])
    );
    for step in items(operation, "steps") {
        println!("  {:<12} {:<10} {}", text(&step["name"]), text(&step["state"]), text(&step["detail"]));
    }
    if let Some(message) = operation["error"]["message"].as_str() {
        println!("error      {message}");
    }
}

fn watch(id: Option<&str>, args: &ApiArgs) -> Result<()> {
    let path = id.map_or_else(|| "/events".to_owned(), |id| format!("/operations/{}/events", encode(id)));
    let api = Api::new(args)?;
    let mut last: Option<String> = None;
    loop {
        let mut over = false;
        for line in api.stream(&path, last.as_deref())?.lines() {
            // The stream's end: it is opened anew behind the last event.
            let Ok(line) = line else { break };
            if let Some(number) = line.strip_prefix("id: ") {
                last = Some(number.to_owned());
            }
            if let Some(data) = line.strip_prefix("data: ") {
                over |= print_event(data, args.json)? && id.is_some();
            }
        }
        if over {
            return Ok(());
        }
    }
}

/// Prints an event; whether it is an operation's end.
fn print_event(data: &str, json: bool) -> Result<bool> {
    let event: Value = serde_json::from_str(data)?;
    if json {
        println!("{event}");
    } else {
        let what = event["name"].as_str().or(event["kind"].as_str()).unwrap_or_default();
        println!(
            "{} {} {what:<12} {:<10} {}",
            text(&event["at"]),
            text(&event["tenant_id"]),
            text(&event["state"]),
            text(&event["detail"])
        );
    }
    Ok(event["name"].is_null() && event["state"] != "running")
}
