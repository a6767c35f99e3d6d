//! `palisade audit …`

mod hold;
mod verify;

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, pour, print_json, table, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List events, newest first
    List(ListArgs),
    /// Count events by time
    Histogram(HistogramArgs),
    /// Write events to a file or to standard output, oldest first; the last line is a signed statement
    Export(ExportArgs),
    /// Write the whole log with its checkpoints to a file, to be verified elsewhere
    Bundle(BundleArgs),
    /// Check that no event was changed, removed, inserted, reordered or cut off
    Verify(verify::Args),
    /// Show the log's public key and newest checkpoints
    Checkpoints(CheckpointArgs),
    /// Keep events from deletion: list, place and release legal holds
    #[command(subcommand)]
    Hold(hold::Command),
    /// Show how far other systems have the trail
    Sinks(CheckpointArgs),
}

/// Which events.
#[derive(ClapArgs)]
struct Filter {
    /// Only this tenant (slug or id)
    #[arg(long)]
    tenant: Option<String>,
    /// Only this action, such as `statement`, `login`, `tenant.create`
    #[arg(long)]
    action: Option<String>,
    /// Only `allow` or `deny`
    #[arg(long)]
    decision: Option<String>,
    /// Only this login or token
    #[arg(long)]
    actor: Option<String>,
    /// Only this SQLSTATE, such as `42P01`
    #[arg(long)]
    sqlstate: Option<String>,
    /// Only objects that begin so, such as `relation public.users`
    #[arg(long)]
    object: Option<String>,
    /// Only this reason, such as `foreign_schema`
    #[arg(long)]
    reason: Option<String>,
    /// Only this session of the proxy
    #[arg(long)]
    session: Option<String>,
    /// Only statements of this fingerprint
    #[arg(long)]
    fingerprint: Option<String>,
    /// Only events of this operation
    #[arg(long)]
    operation: Option<String>,
    /// Only what the policy of this epoch decided, or its coming into force
    #[arg(long)]
    epoch: Option<String>,
    /// Only events at or after this time (RFC 3339)
    #[arg(long)]
    since: Option<String>,
    /// Only events before this time (RFC 3339)
    #[arg(long)]
    until: Option<String>,
}

impl Filter {
    /// As a query string behind what it begins with.
    fn query(&self, begin: String) -> String {
        let given = [
            ("tenant", &self.tenant),
            ("action", &self.action),
            ("decision", &self.decision),
            ("actor", &self.actor),
            ("sqlstate", &self.sqlstate),
            ("object", &self.object),
            ("reason", &self.reason),
            ("session", &self.session),
            ("fingerprint", &self.fingerprint),
            ("operation", &self.operation),
            ("epoch", &self.epoch),
            ("since", &self.since),
            ("until", &self.until),
        ];
        given.into_iter().fold(begin, |mut query, (key, value)| {
            if let Some(value) = value {
                query.push_str(&format!("&{key}={}", encode(value)));
            }
            query
        })
    }
}

#[derive(ClapArgs)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// How many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(ClapArgs)]
pub(crate) struct HistogramArgs {
    #[command(flatten)]
    filter: Filter,
    /// Seconds of a stretch
    #[arg(long)]
    bucket_seconds: Option<u32>,
    #[command(flatten)]
    api: ApiArgs,
}

/// How events are written.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// Open Cybersecurity Schema Framework, one JSON object a line
    Ocsf,
    /// Common Event Format
    Cef,
}

#[derive(ClapArgs)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    filter: Filter,
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file; standard output where it is left out
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(ClapArgs)]
pub(crate) struct BundleArgs {
    /// The file
    output: PathBuf,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(ClapArgs)]
pub(crate) struct CheckpointArgs {
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::List(args) => list(&args),
        Command::Histogram(args) => histogram(&args),
        Command::Export(args) => export(&args),
        Command::Bundle(args) => {
            let stream = Api::new(&args.api)?.read("/audit/bundle")?;
            to_file(stream, &args.output)
        }
        Command::Verify(args) => verify::run(&args),
        Command::Checkpoints(args) => checkpoints(&args),
        Command::Hold(command) => hold::run(command),
        Command::Sinks(args) => sinks(&args),
    }
}

fn list(args: &ListArgs) -> Result<()> {
    let path = args.filter.query(format!("/audit?limit={}", args.limit));
    let answer = Api::new(&args.api)?.get(&path)?;
    if args.api.json {
        return print_json(&answer["items"]);
    }
    for e in items(&answer, "items") {
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

fn histogram(args: &HistogramArgs) -> Result<()> {
    let begin = match args.bucket_seconds {
        Some(seconds) => format!("/audit/histogram?bucket_seconds={seconds}"),
        None => "/audit/histogram?".to_owned(),
    };
    let answer = Api::new(&args.api)?.get(&args.filter.query(begin).replace("?&", "?"))?;
    if args.api.json {
        return print_json(&answer);
    }
    let rows = items(&answer, "items").iter();
    let rows: Vec<Vec<String>> =
        rows.map(|row| vec![text(&row["at"]), text(&row["allow"]), text(&row["deny"])]).collect();
    table(&["from", "allow", "deny"], &rows);
    Ok(())
}

fn checkpoints(args: &CheckpointArgs) -> Result<()> {
    let answer = Api::new(&args.api)?.get("/audit/checkpoints")?;
    if args.api.json {
        return print_json(&answer);
    }
    println!("key {}", text(&answer["key"]));
    println!("{} events numbered, {} waiting", text(&answer["size"]), text(&answer["unnumbered"]));
    let rows = items(&answer, "items").iter();
    let rows: Vec<Vec<String>> = rows.map(|row| vec![text(&row["at"]), text(&row["size"])]).collect();
    table(&["signed at", "events"], &rows);
    Ok(())
}

fn sinks(args: &CheckpointArgs) -> Result<()> {
    let answer = Api::new(&args.api)?.get("/audit/sinks")?;
    if args.api.json {
        return print_json(&answer["items"]);
    }
    let row = |row: &serde_json::Value| {
        vec![
            text(&row["name"]),
            text(&row["number"]),
            text(&row["waiting"]),
            text(&row["at"]),
            text(&row["error"]),
        ]
    };
    let rows: Vec<Vec<String>> = items(&answer, "items").iter().map(row).collect();
    table(&["sink", "has", "waiting", "tried at", "error"], &rows);
    Ok(())
}

fn export(args: &ExportArgs) -> Result<()> {
    let name = args.format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let path = args.filter.query(format!("/audit/export?format={name}"));
    let stream = Api::new(&args.api)?.read(&path)?;
    match &args.output {
        Some(output) => to_file(stream, output),
        None => pour(stream, "the events broke off"),
    }
}

/// Writes a stream to a file, and says how far it is. A stream that breaks off leaves no file.
fn to_file(mut stream: impl Read, output: &std::path::Path) -> Result<()> {
    let part = output.with_extension("part");
    let mut file = std::fs::File::create(&part).with_context(|| format!("making {}", part.display()))?;
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {bytes} written, {bytes_per_sec}")?);
    let mut buffer = vec![0; 64 << 10];
    let copied = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => {
                file.write_all(&buffer[..length]).context("writing the file")?;
                bar.inc(length as u64);
            }
            Err(error) => break Err(error),
        }
    };
    bar.finish_and_clear();
    if let Err(error) = copied {
        std::fs::remove_file(&part).context("removing what was written")?;
        return Err(error).context("the control plane broke off; nothing was kept");
    }
    file.sync_all().context("writing the file")?;
    std::fs::rename(&part, output).with_context(|| format!("naming {}", output.display()))?;
    println!("{} bytes in {}", bar.position(), output.display());
    Ok(())
}
