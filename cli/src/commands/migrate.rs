//! `palisade migrate …`

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, table, text};

/// How often a migration is asked for while it is waited for.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say who would be moved when, and what each statement does to others
    Plan(Wish),
    /// Start a migration
    Start {
        #[command(flatten)]
        wish: Wish,
        /// Wait until it ends or pauses
        #[arg(long)]
        wait: bool,
    },
    /// List migrations, the newest first
    List {
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show a migration, and its targets in a state
    Status {
        /// The migration's id
        id: String,
        /// List the targets in this state
        #[arg(long, default_value = "failed")]
        targets: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Pause; targets that have begun are finished
    Pause(Named),
    /// Go on
    Resume(Named),
    /// End; what is done stays done
    Abort(Named),
    /// Try the failed targets again
    Retry(Named),
}

/// Which migration
#[derive(Args)]
pub(crate) struct Named {
    /// The migration's id
    id: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Which migration is wished for
#[derive(Args)]
pub(crate) struct Wish {
    /// The template
    template: String,
    /// The version to move to; the newest where absent
    #[arg(long)]
    to: Option<i32>,
    /// A tenant that goes first (slug or id); may be given several times
    #[arg(long)]
    canary: Vec<String>,
    /// How far each wave reaches, in percent of the rest
    #[arg(long, value_delimiter = ',', default_value = "1,10")]
    waves: Vec<u8>,
    /// How many tenants at a time
    #[arg(long, default_value_t = 4)]
    parallelism: u32,
    /// Pause when more have failed
    #[arg(long, default_value_t = 0)]
    max_failures: u32,
    #[command(flatten)]
    api: ApiArgs,
}

impl Wish {
    fn send(&self, dry_run: bool) -> Result<Value> {
        let mut body = json!({
            "template": self.template, "canary": self.canary, "waves": self.waves,
            "parallelism": self.parallelism, "max_failures": self.max_failures, "dry_run": dry_run,
        });
        if let Some(to) = self.to {
            body["to_version"] = to.into();
        }
        Api::new(&self.api)?.post("/migrations", &body, None)
    }
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Plan(wish) => {
            let answer = wish.send(true)?;
            if wish.api.json {
                return print_json(&answer["plan"]);
            }
            print_plan(&answer["plan"]);
            Ok(())
        }
        Command::Start { wish, wait } => start(&wish, wait),
        Command::List { api } => list(&api),
        Command::Status { id, targets, api } => status(&id, &targets, &api),
        Command::Pause(named) => change(&named, "pause"),
        Command::Resume(named) => change(&named, "resume"),
        Command::Abort(named) => change(&named, "abort"),
        Command::Retry(named) => change(&named, "retry"),
    }
}

fn print_plan(plan: &Value) {
    println!(
        "{} tenants of {} go to version {}",
        plan["targets"],
        text(&plan["template"]),
        plan["to_version"]
    );
    for (wave, size) in items(plan, "waves").iter().enumerate() {
        println!("  wave {wave}: {size}");
    }
    for file in items(plan, "files") {
        println!("{}", text(&file["file"]));
        for s in items(file, "statements") {
            let notes: Vec<_> = items(s, "notes").iter().map(text).collect();
            println!(
                "  line {:<4} {:<24} {:<24} {}",
                s["line"],
                text(&s["verb"]),
                text(&s["lock"]),
                notes.join(" ")
            );
        }
    }
    for unknown in items(plan, "unknown_canaries") {
        println!("canary {} is no tenant of this template that is behind the version", text(unknown));
    }
}

fn start(wish: &Wish, wait: bool) -> Result<()> {
    let answer = wish.send(false)?;
    let id = text(&answer["migration"]["id"]);
    if wait {
        return wait_for(&id, &wish.api);
    }
    if wish.api.json {
        return print_json(&answer["migration"]);
    }
    println!("migration {id} has begun: {} tenants; palisade migrate status {id}", answer["plan"]["targets"]);
    Ok(())
}

fn wait_for(id: &str, args: &ApiArgs) -> Result<()> {
    let api = Api::new(args)?;
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    let migration = loop {
        let migration = api.get(&format!("/migrations/{}", encode(id)))?;
        let count = |state: &str| migration["targets"][state].as_u64().unwrap_or_default();
        bar.set_length(["pending", "running", "done", "failed", "skipped"].into_iter().map(count).sum());
        bar.set_position(count("done") + count("failed") + count("skipped"));
        bar.set_message(format!("wave {}, {} failed", text(&migration["wave"]), count("failed")));
        if migration["state"] != "running" {
            break migration;
        }
        std::thread::sleep(LOOK);
    };
    bar.finish_and_clear();
    if args.json {
        print_json(&migration)?;
    }
    match migration["state"].as_str() {
        Some("succeeded") => {
            if !args.json {
                println!("migration {id} succeeded: {} tenants", migration["targets"]["done"]);
            }
            Ok(())
        }
        state => bail!("migration {id} is {}: {}", state.unwrap_or_default(), text(&migration["reason"])),
    }
}

fn list(args: &ApiArgs) -> Result<()> {
    let answer = Api::new(args)?.get("/migrations")?;
    if args.json {
        return print_json(&answer["items"]);
    }
    let row = |m: &Value| {
        let of = |state: &str| text(&m["targets"][state]);
        vec![
            text(&m["id"]),
            text(&m["template"]),
            text(&m["to_version"]),
            text(&m["state"]),
            of("done"),
            of("pending"),
            of("failed"),
        ]
    };
    let rows: Vec<_> = items(&answer, "items").iter().map(row).collect();
    table(&["ID", "TEMPLATE", "TO", "STATE", "DONE", "PENDING", "FAILED"], &rows);
    Ok(())
}

fn status(id: &str, state: &str, args: &ApiArgs) -> Result<()> {
    let api = Api::new(args)?;
    let migration = api.get(&format!("/migrations/{}", encode(id)))?;
    let page = api.get(&format!("/migrations/{}/targets?limit=200&state={}", encode(id), encode(state)))?;
    if args.json {
        return print_json(&json!({ "migration": migration, "targets": page["items"] }));
    }
    println!(
        "migration  {} of {} to version {}",
        text(&migration["state"]),
        text(&migration["template"]),
        migration["to_version"]
    );
    for count in ["pending", "running", "done", "failed", "skipped"] {
        println!("  {count:<8} {}", migration["targets"][count]);
    }
    if let Some(reason) = migration["reason"].as_str() {
        println!("reason     {reason}");
    }
    let row = |t: &Value| {
        vec![
            text(&t["slug"]),
            text(&t["wave"]),
            text(&t["attempts"]),
            text(&t["sqlstate"]),
            text(&t["error"]),
        ]
    };
    let rows: Vec<_> = items(&page, "items").iter().map(row).collect();
    if !rows.is_empty() {
        table(&["TENANT", "WAVE", "TRIES", "CODE", "ERROR"], &rows);
    }
    Ok(())
}

fn change(named: &Named, verb: &str) -> Result<()> {
    let path = format!("/migrations/{}/{verb}", encode(&named.id));
    let answer = Api::new(&named.api)?.post(&path, &json!({}), None)?;
    if named.api.json {
        return print_json(&answer);
    }
    println!("migration {} is {}", named.id, text(&answer["state"]));
    Ok(())
}
