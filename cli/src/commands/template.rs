//! `palisade template …`

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs};
use crate::commands::out::{items, print_json, table, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List templates and their versions
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Try a folder of migrations (V1__init.sql, U2__undo.sql …) in a scratch schema and register it
    Register {
        /// The folder
        folder: PathBuf,
        /// The template's name
        #[arg(long, default_value = "default")]
        name: String,
        /// Only try it
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List { api } => list(&api),
        Command::Register { folder, name, dry_run, api } => register(&folder, &name, dry_run, &api),
    }
}

fn list(args: &ApiArgs) -> Result<()> {
    let answer = Api::new(args)?.get("/templates")?;
    if args.json {
        return print_json(&answer["items"]);
    }
    let mut rows = Vec::new();
    for template in items(&answer, "items") {
        for version in items(template, "versions") {
            rows.push(vec![
                text(&template["name"]),
                text(&version["version"]),
                text(&version["file"]),
                text(&version["undo_file"]),
                text(&version["registered_at"]),
            ]);
        }
    }
    table(&["TEMPLATE", "VERSION", "FILE", "UNDO", "REGISTERED"], &rows);
    Ok(())
}

fn register(folder: &std::path::Path, name: &str, dry_run: bool, args: &ApiArgs) -> Result<()> {
    let mut files: Vec<Value> = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.ends_with(".sql") {
            let sql = std::fs::read_to_string(entry.path()).with_context(|| format!("reading {file}"))?;
            files.push(json!({ "name": file, "text": sql }));
        }
    }
    let body = json!({ "name": name, "files": files, "dry_run": dry_run });
    let answer = Api::new(args)?.post("/templates", &body, None)?;
    if args.json {
        return print_json(&answer);
    }
    match (dry_run, answer["registered"] == true) {
        (true, _) => println!("template {name} can be registered"),
        (false, true) => {
            println!("template {name} is registered at version {}", text(&answer["template"]["version"]))
        }
        (false, false) => println!("template {name} was registered already; nothing is new"),
    }
    Ok(())
}
