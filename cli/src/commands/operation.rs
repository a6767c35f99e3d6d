//! `palisade operation …`

use std::io::BufRead;

use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show an operation and its steps
    Show {
        /// The operation's id
        id: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Print what happens, an event a line; without an id, of all operations until Ctrl-C
    Watch {
        /// The operation's id
        id: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Show { id, api } => {
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
