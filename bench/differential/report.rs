//! The tables, for people and for programs.

use std::fmt::Write;

use palisade_policies::Reason;
use serde_json::{Value, json};

use crate::tally::{Sums, Tally};

/// Kinds with fewer texts than this stand in the JSON only.
const FEWEST: u64 = 10;

/// For people.
pub(crate) fn markdown(tally: &Tally, date: &str) -> String {
    let mut out = format!(
        "# Two readers over real SQL, {date}\n\n\
        `bench/differential/run.sh`. Each distinct text once, read by PostgreSQL's grammar and by sqlparser, and judged as \
        the owner of a tenant. *Disagree*: both read it, and not alike, so it is refused. *Not understood*: the grammar \
        reads it and a reader here does not know what it means. The other refusals are the policy's.\n\n"
    );
    table(&mut out, "corpus", tally.corpora.iter().map(|(name, sums)| (name.as_str(), sums)));
    out.push_str("\n## By kind of statement\n\n");
    let kinds = tally.by_kind();
    let often = kinds.iter().filter(|(_, sums)| sums.texts >= FEWEST);
    table(&mut out, "kind", often.map(|(name, sums)| (name.as_str(), sums)));
    let _ = write!(out, "\nKinds with fewer than {FEWEST} texts stand in the JSON beside this.\n");
    out.push_str("\n## Refusals by reason\n\n| corpus | reason | kind | texts |\n|---|---|---|---:|\n");
    for (name, reason, kind, texts) in refusals(tally) {
        let _ = writeln!(out, "| {name} | {reason} | {kind} | {texts} |");
    }
    out
}

fn table<'s>(out: &mut String, what: &str, rows: impl Iterator<Item = (&'s str, &'s Sums)>) {
    let _ = writeln!(
        out,
        "| {what} | texts | grammar | witness | both | disagree | not understood | permitted | refused by policy |\n\
        |---|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for (name, s) in rows {
        let (disagree, unknown) = (s.of(Reason::ReadersDisagree), s.of(Reason::NotUnderstood));
        let syntax = s.of(Reason::SyntaxError);
        let policy = s.refused.values().sum::<u64>() - disagree - unknown - syntax;
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {disagree} | {unknown} | {} | {policy} |",
            s.texts, s.grammar, s.witness, s.both, s.permitted
        );
    }
}

/// Corpus, reason, kind and number of refused texts, most first within a corpus.
fn refusals(tally: &Tally) -> Vec<(&str, &'static str, &str, u64)> {
    let mut all: Vec<_> = tally
        .kinds
        .iter()
        .flat_map(|((corpus, kind), sums)| {
            sums.refused.iter().map(move |(reason, texts)| (corpus.as_str(), *reason, kind.as_str(), *texts))
        })
        .filter(|(.., texts)| *texts >= FEWEST)
        .collect();
    all.sort_by_key(|(corpus, .., texts)| (*corpus, std::cmp::Reverse(*texts)));
    all
}

/// For programs.
pub(crate) fn json(tally: &Tally, date: &str) -> Value {
    let sums = |s: &Sums| {
        json!({
            "texts": s.texts, "grammar": s.grammar, "witness": s.witness, "both": s.both,
            "permitted": s.permitted, "refused": s.refused,
        })
    };
    let corpora: Vec<Value> = tally
        .corpora
        .iter()
        .map(|(name, all)| {
            let kinds: serde_json::Map<String, Value> = tally
                .kinds
                .iter()
                .filter(|((corpus, _), _)| corpus == name)
                .map(|((_, kind), of_kind)| (kind.clone(), sums(of_kind)))
                .collect();
            json!({"corpus": name, "all": sums(all), "kinds": kinds})
        })
        .collect();
    json!({"date": date, "corpora": corpora})
}
