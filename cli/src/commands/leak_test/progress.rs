//! How far a run is: a bar for people, lines of JSON for programs.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use palisade_proof::Progress;
use serde_json::json;
use std::sync::atomic::Ordering;

/// How often the bar moves.
const BAR: Duration = Duration::from_millis(200);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shown {
    /// A bar on a terminal
    Bar,
    /// A line of JSON a second on standard output
    Json,
}

/// What shows one run.
pub(super) enum Display {
    Bar(ProgressBar),
    Json { wall: String },
}

impl Display {
    pub(super) fn new(shown: Shown, wall: &str, duration: Duration) -> Result<Self> {
        Ok(match shown {
            Shown::Json => Self::Json { wall: wall.to_owned() },
            Shown::Bar => {
                let bar = ProgressBar::new(duration.as_secs());
                bar.set_style(ProgressStyle::with_template("{prefix} {bar:30} {elapsed_precise} {msg}")?);
                bar.set_prefix(wall.to_owned());
                Self::Bar(bar)
            }
        })
    }

    /// How long to wait before it is shown again.
    pub(super) fn pace(&self) -> Duration {
        match self {
            Self::Bar(_) => BAR,
            Self::Json { .. } => LINE,
        }
    }

    pub(super) fn show(&self, progress: &Progress, elapsed: Duration) {
        let statements = progress.statements.load(Ordering::Relaxed);
        let leaking = progress.leaks.load(Ordering::Relaxed);
        match self {
            Self::Bar(bar) => {
                bar.set_position(elapsed.as_secs().min(bar.length().unwrap_or_default()));
                bar.set_message(format!("{statements} statements, {leaking} answers that leak"));
            }
            Self::Json { wall } => println!(
                "{}",
                json!({
                    "wall": wall,
                    "seconds": elapsed.as_secs_f64(),
                    "statements": statements,
                    "leaking_answers": leaking,
                    "attacks": progress.attacks(),
                    "leaks": progress.found(),
                })
            ),
        }
    }

    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
