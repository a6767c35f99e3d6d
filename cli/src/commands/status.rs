//! `palisade status`: the whole installation, and what of it wants attention.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::Value;

use crate::api::{Api, ApiArgs};
use crate::commands::out::{items, print_json, text};

/// The exit code where something wants attention.
const WANTS_ATTENTION: u8 = 7;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let answer = Api::new(&args.api)?.get("/installation")?;
    if args.api.json {
        print_json(&answer)?;
    } else {
        for (name, value) in lines(&answer) {
            println!("{name:<14} {value}");
        }
    }
    let well = items(&answer, "attention").is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(WANTS_ATTENTION) })
}

/// What is shown, line by line.
fn lines(at: &Value) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("palisade", format!("{}, catalog version {}", text(&at["version"]), text(&at["catalog_version"]))),
        (
            "postgresql",
            format!("{}, up since {}", text(&at["postgres_version"]), text(&at["postgres_started_at"])),
        ),
        ("policy", format!("epoch {}", text(&at["policy_epoch"]))),
    ];
    for proxy in items(at, "proxies") {
        let about = match proxy["reachable"].as_bool() {
            Some(true) => {
                format!("{}, policy epoch {}", text(&proxy["version"]), text(&proxy["policy_epoch"]))
            }
            _ => format!("does not answer: {}", text(&proxy["error"])),
        };
        lines.push(("proxy", format!("{}: {about}", text(&proxy["address"]))));
    }
    if items(at, "proxies").is_empty() {
        lines.push(("proxy", "none is known; [control_plane] consoles names them".to_owned()));
    }
    let tenants = at["tenants"].as_object().into_iter().flatten();
    let tenants: Vec<_> = tenants.map(|(state, count)| format!("{} {state}", text(count))).collect();
    lines.push(("tenants", if tenants.is_empty() { "none".to_owned() } else { tenants.join(", ") }));
    let (operations, pool, audit) = (&at["operations"], &at["warm_pool"], &at["audit"]);
    lines.push((
        "operations",
        format!(
            "{} in work, {} failed within 24 hours",
            text(&operations["running"]),
            text(&operations["failed_24h"])
        ),
    ));
    lines.push(("warm pool", format!("{} of {} ready", text(&pool["ready"]), text(&pool["size"]))));
    lines.push((
        "audit trail",
        format!("{} events, {} wait for their number", text(&audit["size"]), text(&audit["unnumbered"])),
    ));
    if at["isolation"].is_object() {
        let run = &at["isolation"];
        lines.push(("leak test", format!("{}, begun {}", text(&run["state"]), text(&run["started_at"]))));
    }
    for attention in items(at, "attention") {
        lines.push(("attention", text(&attention["text"])));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_has_its_line() {
        let at = json!({
            "version": "0.1.0", "catalog_version": 33, "postgres_version": "15.1", "postgres_started_at": "2026-01-01T00:00:00Z",
            "policy_epoch": 2, "tenants": { "active": 3, "deleted": 1 }, "approvals_pending": 0,
            "proxies": [
                { "address": "a:1", "reachable": true, "error": null, "version": "Palisade 0.1.0", "policy_epoch": 2 },
                { "address": "b:1", "reachable": false, "error": "connection refused" },
            ],
            "operations": { "running": 1, "failed_24h": 0 }, "warm_pool": { "size": 2, "ready": 1 },
            "audit": { "size": 70, "unnumbered": 4 }, "isolation": null,
            "attention": [{ "code": "proxy-unreachable", "text": "b does not answer" }],
        });
        let shown: Vec<_> = lines(&at).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            shown,
            [
                "palisade: 0.1.0, catalog version 33",
                "postgresql: 15.1, up since 2026-01-01T00:00:00Z",
                "policy: epoch 2",
                "proxy: a:1: Palisade 0.1.0, policy epoch 2",
                "proxy: b:1: does not answer: connection refused",
                "tenants: 3 active, 1 deleted",
                "operations: 1 in work, 0 failed within 24 hours",
                "warm pool: 1 of 2 ready",
                "audit trail: 70 events, 4 wait for their number",
                "attention: b does not answer",
            ]
        );
    }
}
