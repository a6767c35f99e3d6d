//! `palisade audit verify`: the whole log against its checkpoints, from the control plane or from a bundle.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressStyle};
use palisade_trail::{Checker, Line, PublicKey, Report, parse};

use crate::api::{Api, ApiArgs};
use crate::commands::out::print_json;

/// Longest line of a bundle, in bytes.
const LINE_BYTES: u64 = 8 << 20;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// A bundle that `palisade audit bundle` wrote; the control plane is asked where it is left out
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// The log's public key, as `palisade audit checkpoints` showed it. Without it the log's own word is taken
    #[arg(long)]
    key: Option<String>,
    /// A file with a checkpoint that was kept elsewhere; may be given more than once
    #[arg(long)]
    checkpoint: Vec<PathBuf>,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let lines: Box<dyn BufRead> = match &args.bundle {
        Some(file) => {
            let opened = std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?;
            Box::new(BufReader::new(opened))
        }
        None => Box::new(BufReader::new(Api::new(&args.api)?.read("/audit/bundle")?)),
    };
    let report = check(lines, args)?;
    if args.api.json {
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        print_json(&serde_json::json!({
            "events": report.events, "signed": report.signed, "checkpoints": report.checkpoints,
            "faults": faults, "more_faults": report.more,
        }))?;
    } else {
        for fault in &report.faults {
            println!("{fault}");
        }
        println!(
            "{} events, {} of them signed; {} checkpoints hold; {} faults",
            report.events,
            report.signed,
            report.checkpoints,
            report.faults.len() as u64 + report.more
        );
    }
    if !report.faults.is_empty() {
        bail!("the audit trail was altered");
    }
    Ok(())
}

fn check(mut lines: Box<dyn BufRead>, args: &Args) -> Result<Report> {
    let mut number = 0u64;
    let Some(Line::Header(header)) = next(&mut lines, &mut number)? else {
        bail!("the first line is not the header of a bundle of a version that this release reads");
    };
    let key = match &args.key {
        Some(key) => key.clone(),
        None => {
            eprintln!(
                "note: the log's own key is trusted ({}); give --key to hold it to the one you know",
                header.key
            );
            header.key.clone()
        }
    };
    let key = PublicKey::parse(&key)?;
    let mut checker = Checker::new(key, header.tree().context("the bundle's header is malformed")?);
    for file in &args.checkpoint {
        let note = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        checker.checkpoint(&note);
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {pos} events checked")?);
    loop {
        match next(&mut lines, &mut number)? {
            Some(Line::Row(row)) => {
                checker.row(row);
                bar.inc(1);
            }
            Some(Line::Checkpoint(note)) => checker.checkpoint(&note),
            Some(Line::Summary(summary)) => {
                checker.unnumbered(summary.unnumbered);
                break;
            }
            Some(Line::Header(_)) => bail!("line {number}: a second header"),
            None => bail!("the bundle breaks off after {} lines: it has no summary", number),
        }
    }
    bar.finish_and_clear();
    Ok(checker.finish())
}

fn next(lines: &mut Box<dyn BufRead>, number: &mut u64) -> Result<Option<Line>> {
    let mut line = String::new();
    let read = std::io::Read::take(lines, LINE_BYTES).read_line(&mut line).context("reading the bundle")?;
    if read == 0 {
        return Ok(None);
    }
    *number += 1;
    match parse(line.trim_end()) {
        Some(line) => Ok(Some(line)),
        None => bail!("line {number} is not a line of a bundle"),
    }
}
