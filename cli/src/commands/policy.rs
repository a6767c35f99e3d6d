//! `palisade policy …`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use palisade_policies::judge::{MODEL, check};
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, table, text};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check a policy file, without a running Palisade
    Check {
        /// The policy's lines
        policy: PathBuf,
        /// The model; the one that comes with Palisade unless given
        #[arg(long)]
        model: Option<PathBuf>,
        /// Ask the control plane, and show what would change against the policy in force
        #[arg(long)]
        diff: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show the policy in force, or that of an epoch
    Show {
        /// The epoch; 1 is the policy that comes with Palisade
        epoch: Option<u64>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Activate a policy at all proxies
    Activate {
        /// The policy's lines
        policy: PathBuf,
        /// The model; the one that comes with Palisade unless given
        #[arg(long)]
        model: Option<PathBuf>,
        /// Why; stands in the history
        #[arg(long, default_value = "")]
        comment: String,
        /// Only where this epoch is in force
        #[arg(long)]
        expected_epoch: Option<u64>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// List activations, newest first
    History {
        /// At most so many, 1 to 200
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Let an earlier policy hold again, as a new epoch
    Rollback {
        /// The epoch whose policy is wanted; 1 is the one that comes with Palisade
        epoch: u64,
        /// Why; stands in the history
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Hold a tenant to the policy, or let it only try it
    Mode {
        /// Slug or id of the tenant
        tenant: String,
        /// How the policy holds
        mode: Mode,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// How the policy holds for a tenant
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    /// What the policy refuses is refused
    Enforce,
    /// It is recorded, and PostgreSQL's own grants answer
    Observe,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Check { policy, model, diff: false, .. } => check_file(&policy, model.as_deref()),
        Command::Check { policy, model, api, .. } => difference(&policy, model.as_deref(), &api),
        Command::Show { epoch, api } => show(epoch, &api),
        Command::Activate { policy, model, comment, expected_epoch, api } => {
            let mut body = texts(&policy, model.as_deref())?;
            body["comment"] = comment.into();
            body["expected_epoch"] = json!(expected_epoch);
            activated(&Api::new(&api)?.post("/policy", &body, None)?, &api)
        }
        Command::History { limit, api } => history(limit, &api),
        Command::Rollback { epoch, comment, api } => {
            let body = json!({ "epoch": epoch, "comment": comment });
            activated(&Api::new(&api)?.post("/policy/rollback", &body, None)?, &api)
        }
        Command::Mode { tenant, mode, api } => {
            let word = if matches!(mode, Mode::Observe) { "observe" } else { "enforce" };
            let path = format!("/tenants/{}/policy-mode", encode(&tenant));
            let answer = Api::new(&api)?.put(&path, &json!({ "mode": word }))?;
            if api.json {
                return print_json(&answer);
            }
            println!("{tenant}: the policy's mode is {word}");
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn texts(policy: &Path, model: Option<&Path>) -> Result<Value> {
    let mut body = json!({ "policy": read(policy)? });
    if let Some(model) = model {
        body["model"] = read(model)?.into();
    }
    Ok(body)
}

fn check_file(policy: &Path, model: Option<&Path>) -> Result<()> {
    let model = model.map_or_else(|| Ok(MODEL.to_owned()), read)?;
    let faults = check(&model, &read(policy)?);
    for fault in &faults {
        println!("{}: {fault}", policy.display());
    }
    if !faults.is_empty() {
        bail!("the policy cannot be used: {} fault(s)", faults.len());
    }
    println!("{}: can be activated", policy.display());
    Ok(())
}

fn difference(policy: &Path, model: Option<&Path>, api: &ApiArgs) -> Result<()> {
    let answer = Api::new(api)?.post("/policy/check", &texts(policy, model)?, None)?;
    if api.json {
        print_json(&answer)?;
    } else {
        for fault in items(&answer, "faults") {
            println!("{}: {} {}", policy.display(), text(&fault["line"]), text(&fault["message"]));
        }
        let row = |d: &Value| {
            let allowed = if d["allowed"] == true { "now allowed" } else { "now refused" };
            vec![
                allowed.to_owned(),
                text(&d["kind"]),
                text(&d["action"]),
                text(&d["class"]),
                text(&d["name"]),
                text(&d["where"]),
            ]
        };
        let rows: Vec<_> = items(&answer, "differences").iter().map(row).collect();
        table(&["CHANGE", "KIND", "ACTION", "CLASS", "NAME", "WHERE"], &rows);
        println!("{} difference(s) from epoch {}", text(&answer["changes"]), text(&answer["epoch"]));
    }
    if answer["usable"] != true {
        bail!("the policy cannot be used");
    }
    Ok(())
}

fn show(epoch: Option<u64>, api: &ApiArgs) -> Result<()> {
    let path = epoch.map_or_else(|| "/policy".to_owned(), |epoch| format!("/policy/epochs/{epoch}"));
    let answer = Api::new(api)?.get(&path)?;
    if api.json {
        return print_json(&answer);
    }
    println!(
        "# epoch {} by {} {}",
        text(&answer["epoch"]),
        text(&answer["made_by"]),
        text(&answer["comment"])
    );
    for slug in items(&answer, "observing") {
        println!("# {} only tries it", text(slug));
    }
    println!("{}", text(&answer["policy"]).trim_end());
    Ok(())
}

fn activated(answer: &Value, api: &ApiArgs) -> Result<()> {
    if api.json {
        return print_json(answer);
    }
    println!("epoch {} is in force", text(&answer["epoch"]));
    Ok(())
}

fn history(limit: u32, api: &ApiArgs) -> Result<()> {
    let answer = Api::new(api)?.get(&format!("/policy/epochs?limit={limit}"))?;
    if api.json {
        return print_json(&answer["items"]);
    }
    let row = |e: &Value| {
        let restores = e["restores"].as_u64().map(|epoch| format!("epoch {epoch}")).unwrap_or_default();
        vec![text(&e["epoch"]), text(&e["made_at"]), text(&e["made_by"]), restores, text(&e["comment"])]
    };
    let rows: Vec<_> = items(&answer, "items").iter().map(row).collect();
    table(&["EPOCH", "AT", "BY", "RESTORES", "COMMENT"], &rows);
    Ok(())
}
