//! What was done and what was wrong.

use crate::say;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// Findings that are printed in full; the rest is counted.
const SHOWN: usize = 20;

#[derive(Default)]
struct Counts {
    done: BTreeMap<&'static str, u64>,
    lost: BTreeMap<String, u64>,
    faults: BTreeMap<&'static str, u64>,
    checks: BTreeMap<String, (bool, String)>,
    wrong: Vec<String>,
}

/// The counts of a run.
pub(crate) struct Tally {
    started: Instant,
    counts: Mutex<Counts>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), counts: Mutex::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// A client did something and got what it must get.
    pub(crate) fn done(&self, act: &'static str) {
        self.with(|c| *c.done.entry(act).or_default() += 1);
    }

    /// A client lost its connection or was refused.
    pub(crate) fn lost(&self, why: String) {
        self.with(|c| *c.lost.entry(why).or_default() += 1);
    }

    pub(crate) fn fault(&self, what: &'static str) {
        self.with(|c| *c.faults.entry(what).or_default() += 1);
    }

    /// A finding.
    pub(crate) fn found(&self, what: String) {
        let number = self.with(|c| {
            c.wrong.push(what.clone());
            c.wrong.len()
        });
        if number <= SHOWN {
            say(&format!("  WRONG after {:.1} s: {what}", self.started.elapsed().as_secs_f64()));
        }
    }

    /// The outcome of a check after the storm.
    pub(crate) fn check(&self, name: &str, good: bool, detail: String) {
        self.with(|c| c.checks.insert(name.to_owned(), (good, detail.clone())));
        if !good {
            self.found(format!("{name}: {detail}"));
        }
    }

    pub(crate) fn wrong(&self) -> usize {
        self.with(|c| c.wrong.len())
    }

    pub(crate) fn progress(&self) -> String {
        self.with(|c| {
            let (done, lost): (u64, u64) = (c.done.values().sum(), c.lost.values().sum());
            format!(
                "  {:>5.0} s  {done} exchanges right, {lost} connections lost, {} wrong",
                self.started.elapsed().as_secs_f64(),
                c.wrong.len()
            )
        })
    }

    pub(crate) fn summary(&self) -> String {
        let joined = |map: Vec<(String, u64)>| {
            map.into_iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ")
        };
        self.with(|c| {
            let faults = joined(c.faults.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect());
            let lost = joined(c.lost.clone().into_iter().collect());
            let mut lines = vec![
                format!("\nfaults: {faults}\nlost: {lost}\n"),
                format!("  {:<26}{:>10}", "what clients did", "right"),
            ];
            lines.extend(c.done.iter().map(|(k, v)| format!("  {k:<26}{v:>10}")));
            lines.extend(c.checks.iter().map(|(name, (good, detail))| {
                format!("  {:<7}{name}: {detail}", if *good { "ok" } else { "WRONG" })
            }));
            lines.push(format!("{} exchanges right, {} wrong", c.done.values().sum::<u64>(), c.wrong.len()));
            lines.join("\n")
        })
    }
}
