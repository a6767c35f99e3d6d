//! `palisade report …`

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say whether a report is as it was signed, and what it says
    Verify {
        /// The report's JSON file
        file: PathBuf,
        /// The public key that it must be signed by; without it the report's own is taken
        #[arg(long)]
        key: Option<String>,
    },
}

pub(crate) fn run(command: Command) -> Result<()> {
    let Command::Verify { file, key } = command;
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let verified = palisade_proof::verify(&text, key.as_deref())?;
    println!("the signature holds: {}", verified.key);
    let report = verified.report;
    println!(
        "{} against {}, seed {}, {} tenants",
        report.made_at, report.target, report.seed, report.tenants
    );
    for (wall, outcome) in &report.walls {
        println!(
            "{wall}: {} statements in {:.0} s, {} leaks",
            outcome.statements,
            outcome.seconds,
            outcome.leaks.len()
        );
    }
    Ok(())
}
