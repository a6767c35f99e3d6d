//! What the two readers make of texts that PostgreSQL and real clients have: coverage and disagreements by kind of
//! statement.
//!
//! `differential --results FOLDER CORPUS.jsonl…` reads files of `{"corpus": …, "text": …}`, one a line, reads and judges
//! every text as the owner of a tenant, prints the tables and writes `differential-DATE.json` and `.md`. Every text that
//! is refused goes with its reason to `--refused`, which is not for keeping: corpora belong to their authors.

mod report;
mod tally;

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use palisade_policies::{Judge, Limits, Namespace};
use serde::Deserialize;

use crate::tally::Tally;

#[derive(Parser)]
#[command(about = "Coverage and disagreements of the two SQL readers over corpora")]
struct Arguments {
    /// Files of texts, made by `bench/differential/capture.py`
    #[arg(required = true)]
    corpora: Vec<PathBuf>,
    /// Where the tables go
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
    /// Where each refused text goes, with its reason
    #[arg(long)]
    refused: Option<PathBuf>,
    /// The day in the names of the results, as 2026-01-31
    #[arg(long)]
    date: String,
}

/// A line of a corpus.
#[derive(Deserialize)]
struct Line {
    corpus: String,
    text: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let judge = Judge::embedded()?;
    let limits = Limits::default();
    let namespace = Namespace {
        kind: "owner".into(),
        schema: "t_aaaaaaaaaaaaaaaaaaaa".into(),
        database: "acme".into(),
        shared: Vec::new(),
    };
    let mut refused: Box<dyn Write> = match &arguments.refused {
        Some(path) => Box::new(BufWriter::new(std::fs::File::create(path)?)),
        None => Box::new(std::io::sink()),
    };
    let mut tally = Tally::default();
    for path in &arguments.corpora {
        let file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        for line in BufReader::new(file).lines() {
            let line: Line = serde_json::from_str(&line?)?;
            let seen = tally::see(&line.text, &judge, &namespace, &limits);
            if let Some(reason) = seen.refused {
                let record = serde_json::json!({"corpus": line.corpus, "kind": seen.kind, "reason": reason.code(), "said": seen.said, "text": line.text});
                writeln!(refused, "{record}")?;
            }
            tally.add(&line.corpus, &seen);
        }
    }
    refused.flush()?;
    std::fs::create_dir_all(&arguments.results)?;
    let base = arguments.results.join(format!("differential-{}", arguments.date));
    let markdown = report::markdown(&tally, &arguments.date);
    std::fs::write(base.with_extension("md"), &markdown)?;
    let json = serde_json::to_string_pretty(&report::json(&tally, &arguments.date))?;
    std::fs::write(base.with_extension("json"), json + "\n")?;
    writeln!(std::io::stdout(), "{markdown}")?;
    Ok(())
}
