//! `palisade drift`

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::Value;

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, print_json, table, text};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Show how this tenant (slug or id) differs; without it, list the tenants that do
    tenant: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let api = Api::new(&args.api)?;
    if let Some(tenant) = &args.tenant {
        let answer = api.get(&format!("/tenants/{}/drift", encode(tenant)))?;
        if args.api.json {
            return print_json(&answer);
        }
        for line in items(&answer, "lines") {
            println!("{}", text(line));
        }
        if answer["drifted"] != true {
            println!("{tenant} is what its template makes");
        }
        return Ok(());
    }
    let (drifted, checked) = fleet(&api)?;
    if args.api.json {
        return print_json(&Value::Array(drifted));
    }
    let row = |t: &Value| {
        vec![text(&t["slug"]), text(&t["tenant_id"]), text(&t["template"]), text(&t["template_version"])]
    };
    table(&["SLUG", "ID", "TEMPLATE", "VERSION"], &drifted.iter().map(row).collect::<Vec<_>>());
    println!("{} of {checked} tenants differ from their template", drifted.len());
    Ok(())
}

/// Who differs of all, and how many there are.
fn fleet(api: &Api) -> Result<(Vec<Value>, u64)> {
    let (mut drifted, mut checked, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = api.get(&format!("/drift?limit=500{cursor}"))?;
        drifted.extend(items(&page, "items").iter().cloned());
        checked += page["checked"].as_u64().unwrap_or_default();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encode(next)),
            None => return Ok((drifted, checked)),
        }
    }
}
