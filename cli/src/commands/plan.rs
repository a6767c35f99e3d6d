//! `palisade plan …`

use anyhow::Result;
use clap::{Args, Subcommand};
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
#[derive(Args, Default)]
pub(crate) struct Limits {
    /// Most client connections
    #[arg(long)]
    max_client_connections: Option<u32>,
    /// Most server connections of each login role
    #[arg(long)]
    max_server_connections: Option<u32>,
    /// Longest statement, in milliseconds
    #[arg(long)]
    statement_timeout_ms: Option<u32>,
    /// Longest idle time inside a transaction, in milliseconds
    #[arg(long)]
    idle_in_transaction_timeout_ms: Option<u32>,
    /// Longest wait for a server connection, in milliseconds
    #[arg(long)]
    query_wait_timeout_ms: Option<u32>,
}

impl Limits {
    /// As the API takes them; `None` where nothing was given.
    pub(crate) fn body(&self) -> Option<Value> {
        let mut body = serde_json::Map::new();
        for (name, value) in [
            ("max_client_connections", self.max_client_connections),
            ("max_server_connections", self.max_server_connections),
            ("statement_timeout_ms", self.statement_timeout_ms),
            ("idle_in_transaction_timeout_ms", self.idle_in_transaction_timeout_ms),
            ("query_wait_timeout_ms", self.query_wait_timeout_ms),
        ] {
            if let Some(value) = value {
                body.insert(name.into(), value.into());
            }
        }
        (!body.is_empty()).then_some(Value::Object(body))
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
