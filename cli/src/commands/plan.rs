//! `palisade plan …`

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, table, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List plans
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Make a plan or change it; tenants on it have its limits at once
    Put {
        /// The plan's name
        name: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Limits of a plan or tenant; what is absent is not limited here
#[derive(Args, Default, Serialize)]
pub(crate) struct Limits {
    /// Most client connections
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_client_connections: Option<u32>,
    /// Most server connections of each login role
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_server_connections: Option<u32>,
    /// Longest statement, in milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    statement_timeout_ms: Option<u32>,
    /// Longest idle time inside a transaction, in milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_in_transaction_timeout_ms: Option<u32>,
    /// Longest wait for a server connection, in milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    query_wait_timeout_ms: Option<u32>,
    /// Most clients of each login that wait for a server connection
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    query_queue_clients: Option<u32>,
    /// Longest silence of a client between transactions, in milliseconds
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    client_idle_timeout_ms: Option<u32>,
    /// Most transactions that the tenant may begin in a second
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    transactions_per_second: Option<u32>,
    /// Longest message of a client, in bytes
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_message_bytes: Option<u32>,
}

impl Limits {
    /// As the API takes them; `None` where nothing was given.
    pub(crate) fn body(&self) -> Option<Value> {
        // Numbers always have a JSON form.
        let body = serde_json::to_value(self).unwrap_or_default();
        body.as_object().is_some_and(|limits| !limits.is_empty()).then_some(body)
    }
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List { api } => list(&api),
        Command::Put { name, description, limits, api } => {
            let limits = limits.body().unwrap_or_else(|| json!({}));
            let body = json!({ "description": description, "limits": limits });
            let answer = Api::new(&api)?.put(&format!("/plans/{}", encode(&name)), &body)?;
            if api.json {
                return print_json(&answer);
            }
            println!("plan {name} is {}", answer["plan"]["limits"]);
            Ok(())
        }
    }
}

fn list(args: &ApiArgs) -> Result<()> {
    let answer = Api::new(args)?.get("/plans")?;
    if args.json {
        return print_json(&answer["items"]);
    }
    let row = |p: &Value| {
        vec![text(&p["name"]), text(&p["tenants"]), p["limits"].to_string(), text(&p["description"])]
    };
    let rows: Vec<_> = items(&answer, "items").iter().map(row).collect();
    table(&["PLAN", "TENANTS", "LIMITS", "DESCRIPTION"], &rows);
    Ok(())
}
