//! `palisade explain`: how a statement is read, judged and rewritten.

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs};
use crate::commands::tenant::{print_json, text};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
    /// The role kind: owner, app, readonly …
    #[arg(long = "as", default_value = "app")]
    kind: String,
    /// The SQL text
    sql: String,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let body = json!({ "tenant": args.tenant, "as": args.kind, "sql": args.sql });
    let answer = Api::new(&args.api)?.post("/explain", &body, None)?;
    if args.api.json {
        return print_json(&answer);
    }
    println!("verdict    {}", text(&answer["verdict"]));
    let denial = &answer["denial"];
    if denial.is_object() {
        println!("answer     ERROR {}: {}", text(&denial["sqlstate"]), text(&denial["message"]));
        if !denial["hint"].is_null() {
            println!("hint       {}", text(&denial["hint"]));
        }
        println!("reason     {}", text(&denial["reason"]));
        if !denial["rule"].is_null() {
            println!("by         {}", text(&denial["rule"]));
        }
        for (n, line) in denial["change"].as_array().into_iter().flatten().enumerate() {
            println!("{:<10} {}", if n == 0 { "change" } else { "" }, text(line));
        }
    }
    if !answer["rewritten"].is_null() {
        println!("rewritten  {}", text(&answer["rewritten"]));
    }
    for (n, statement) in answer["statements"].as_array().into_iter().flatten().enumerate() {
        println!("\nstatement {}: {} ({})", n + 1, text(&statement["verb"]), text(&statement["kind"]));
        for access in statement["accesses"].as_array().into_iter().flatten() {
            println!("  {}", access_line(access));
        }
        for effect in statement["effects"].as_array().into_iter().flatten() {
            println!("  effect    {}", text(effect));
        }
    }
    Ok(())
}

fn access_line(access: &Value) -> String {
    let name = match access["schema"].as_str() {
        Some(schema) => format!("{schema}.{}", text(&access["name"])),
        None => text(&access["name"]),
    };
    format!(
        "{:<10} {:<10} {:<32} in {:<20} {}",
        text(&access["action"]),
        text(&access["class"]),
        name,
        text(&access["resolved"]),
        access["rule"].as_str().map_or_else(|| "no rule allows it".to_owned(), |r| format!("by {r}"))
    )
}
