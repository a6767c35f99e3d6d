//! `palisade tenant …`

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::operation;
use crate::commands::out::{items, table};
pub(crate) use crate::commands::out::{print_json, text};
use crate::commands::plan::Limits;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a tenant; prints its connection strings once
    Create {
        /// The tenant's name in connection strings
        slug: String,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
        /// The template to build it from
        #[arg(long)]
        template: Option<String>,
        /// The plan to put it on
        #[arg(long)]
        plan: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// List tenants
    List {
        /// Only tenants in this state
        #[arg(long)]
        state: Option<String>,
        /// Only tenants whose slug or name contains this
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Show a tenant's state and its last operation
    Status(Named),
    /// Refuse and end the tenant's connections
    Suspend(Reasoned),
    /// Let the tenant's connections in again
    Resume(Reasoned),
    /// Roll a tenant back; without --confirm it only says what would happen
    Rollback(Confirmed),
    /// Change a tenant's slug, name, plan, pool mode or limits
    Set {
        /// Slug or id
        tenant: String,
        /// A new slug: connection strings name it
        #[arg(long)]
        slug: Option<String>,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
        /// The plan
        #[arg(long)]
        plan: Option<String>,
        /// transaction or session
        #[arg(long)]
        pool_mode: Option<String>,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Delete a tenant; without --confirm it only says what would happen. Its data stays for the retention
    Delete(Confirmed),
    /// Give a deleted tenant back
    Undelete {
        /// The tenant's id, or the slug that it had
        tenant: String,
        /// Another slug, where the old one is taken
        #[arg(long)]
        slug: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Write a dump of a tenant to the standard output, as of a database of its own
    Export {
        /// Slug or id
        tenant: String,
        /// Leave the data out
        #[arg(long)]
        structure_only: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Make a tenant from another; prints its connection strings once
    Clone {
        /// Slug or id of the tenant that is cloned
        tenant: String,
        /// The new tenant's name in connection strings
        slug: String,
        /// Leave the data out
        #[arg(long)]
        structure_only: bool,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Add and remove a tenant's logins
    #[command(subcommand)]
    Login(LoginCommand),
    /// Give a login a new secret; prints it once
    Rotate {
        /// Slug or id
        tenant: String,
        /// The login: owner, app, readonly …
        login: String,
        /// How long the old secret stays good beside the new one
        #[arg(long, default_value_t = 0)]
        grace_seconds: u32,
        #[command(flatten)]
        api: ApiArgs,
    },
}

#[derive(Subcommand)]
pub(crate) enum LoginCommand {
    /// Add a login; prints its connection string once
    Add {
        /// Slug or id
        tenant: String,
        /// The login's name: the user of its connection string
        login: String,
        /// owner, app, readonly, or a kind that the policy in force has rules for
        #[arg(long, default_value = "app")]
        kind: String,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Remove a login; its sessions end
    Remove {
        /// Slug or id
        tenant: String,
        /// The login's name
        login: String,
        #[command(flatten)]
        api: ApiArgs,
    },
}

/// Which tenant
#[derive(Args)]
pub(crate) struct Named {
    /// Slug or id; of a deleted tenant the id
    tenant: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Which tenant, and why
#[derive(Args)]
pub(crate) struct Reasoned {
    #[command(flatten)]
    named: Named,
    /// Why; stands in the audit trail
    #[arg(long, default_value = "")]
    reason: String,
}

/// Which tenant, why, and the confirmation of a deed that takes away
#[derive(Args)]
pub(crate) struct Confirmed {
    #[command(flatten)]
    reasoned: Reasoned,
    /// The token that the call without --confirm printed
    #[arg(long)]
    confirm: Option<String>,
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Create { slug, name, template, plan, api } => create(&slug, name, template, plan, &api),
        Command::List { state, search, api } => list(state, search, &api),
        Command::Status(named) => status(&named),
        Command::Suspend(reasoned) => switch("suspend", &reasoned),
        Command::Resume(reasoned) => switch("resume", &reasoned),
        Command::Rollback(confirmed) => rollback(&confirmed),
        Command::Set { tenant, slug, name, plan, pool_mode, limits, api } => {
            let fields = [("slug", slug), ("display_name", name), ("plan", plan), ("pool_mode", pool_mode)];
            set(&tenant, fields, &limits, &api)
        }
        Command::Delete(confirmed) => delete(&confirmed),
        Command::Undelete { tenant, slug, api } => undelete(&tenant, slug, &api),
        Command::Export { tenant, structure_only, api } => export(&tenant, structure_only, &api),
        Command::Clone { tenant, slug, structure_only, api } => clone(&tenant, &slug, structure_only, &api),
        Command::Login(LoginCommand::Add { tenant, login, kind, api }) => {
            add_login(&tenant, &login, &kind, &api)
        }
        Command::Login(LoginCommand::Remove { tenant, login, api }) => remove_login(&tenant, &login, &api),
        Command::Rotate { tenant, login, grace_seconds, api } => rotate(&tenant, &login, grace_seconds, &api),
    }
}

fn create(
    slug: &str,
    name: Option<String>,
    template: Option<String>,
    plan: Option<String>,
    args: &ApiArgs,
) -> Result<()> {
    let mut body = json!({ "slug": slug });
    for (key, value) in [("display_name", name), ("template", template), ("plan", plan)] {
        if let Some(value) = value {
            body[key] = Value::String(value);
        }
    }
    let key = uuid::Uuid::new_v4().to_string();
    let answer = Api::new(args)?.post("/tenants", &body, Some(&key))?;
    if args.json {
        return print_json(&answer);
    }
    println!(
        "tenant {} ({}) is {}",
        text(&answer["tenant"]["slug"]),
        text(&answer["tenant"]["id"]),
        text(&answer["tenant"]["observed_state"])
    );
    println!("Connection strings, shown once:");
    for credential in answer["credentials"].as_array().into_iter().flatten() {
        println!("  {:<10} {}", text(&credential["login"]), text(&credential["url"]));
    }
    Ok(())
}

fn list(state: Option<String>, search: Option<String>, args: &ApiArgs) -> Result<()> {
    let api = Api::new(args)?;
    let mut query = String::from("limit=200");
    for (key, value) in [("state", state), ("q", search)] {
        if let Some(value) = value {
            query.push_str(&format!("&{key}={}", encode(&value)));
        }
    }
    let mut cursor = String::new();
    let mut items = Vec::new();
    loop {
        let mut page = api.get(&format!("/tenants?{query}{cursor}"))?;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encode(next)),
            None => break,
        }
    }
    if args.json {
        return print_json(&Value::Array(items));
    }
    let row = |t: &Value| {
        let template = format!("{} v{}", text(&t["template"]), t["template_version"]);
        vec![
            text(&t["slug"]),
            text(&t["id"]),
            text(&t["observed_state"]),
            template,
            text(&t["plan"]),
            text(&t["display_name"]),
        ]
    };
    table(&["SLUG", "ID", "STATE", "TEMPLATE", "PLAN", "NAME"], &items.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn status(Named { tenant, api: args }: &Named) -> Result<()> {
    let answer = Api::new(args)?.get(&format!("/tenants/{}/status", encode(tenant)))?;
    if args.json {
        return print_json(&answer);
    }
    println!("tenant     {} ({})", text(&answer["slug"]), text(&answer["tenant_id"]));
    println!("desired    {}", text(&answer["desired_state"]));
    println!("observed   {}", text(&answer["observed_state"]));
    if answer["operation"].is_object() {
        operation::show(&answer["operation"]);
    }
    Ok(())
}

fn switch(verb: &str, Reasoned { named: Named { tenant, api: args }, reason }: &Reasoned) -> Result<()> {
    let answer = Api::new(args)?.post(
        &format!("/tenants/{}/{verb}", encode(tenant)),
        &json!({ "reason": reason }),
        None,
    )?;
    if args.json {
        return print_json(&answer);
    }
    println!("tenant {} is {}", text(&answer["tenant"]["slug"]), text(&answer["tenant"]["observed_state"]));
    Ok(())
}

fn rollback(Confirmed { reasoned, confirm }: &Confirmed) -> Result<()> {
    let Reasoned { named: Named { tenant, api: args }, reason } = reasoned;
    let path = format!("/tenants/{}/rollback", encode(tenant));
    let api = Api::new(args)?;
    let Some(confirm) = confirm else {
        return print_effects(&api.post(&path, &json!({ "dry_run": true }), None)?, "rollback", tenant, args);
    };
    let answer = api.post(&path, &json!({ "confirm": confirm, "reason": reason }), None)?;
    if args.json {
        return print_json(&answer);
    }
    println!("tenant {tenant} is rolled back (operation {})", text(&answer["operation"]["id"]));
    Ok(())
}

/// What would happen, and how to do it.
fn print_effects(plan: &Value, verb: &str, tenant: &str, args: &ApiArgs) -> Result<()> {
    if args.json {
        return print_json(plan);
    }
    println!("This would happen:");
    for effect in items(plan, "effects") {
        println!("  - {}", text(effect));
    }
    println!("To do it: palisade tenant {verb} {tenant} --confirm {}", text(&plan["confirm"]));
    Ok(())
}

fn set(tenant: &str, fields: [(&str, Option<String>); 4], limits: &Limits, args: &ApiArgs) -> Result<()> {
    let mut body = json!({});
    for (name, value) in fields {
        if let Some(value) = value {
            body[name] = Value::String(value);
        }
    }
    if let Some(limits) = limits.body() {
        body["limits"] = limits;
    }
    let answer = Api::new(args)?.patch(&format!("/tenants/{}", encode(tenant)), &body)?;
    if args.json {
        return print_json(&answer);
    }
    let t = &answer["tenant"];
    println!(
        "tenant {}: plan {}, {} pooling, limits {}",
        text(&t["slug"]),
        text(&t["plan"]),
        text(&t["pool_mode"]),
        t["effective_limits"]
    );
    Ok(())
}

fn delete(Confirmed { reasoned, confirm }: &Confirmed) -> Result<()> {
    let Reasoned { named: Named { tenant, api: args }, reason } = reasoned;
    let path = format!("/tenants/{}", encode(tenant));
    let api = Api::new(args)?;
    let Some(confirm) = confirm else {
        return print_effects(&api.delete(&format!("{path}?dry_run=true"))?, "delete", tenant, args);
    };
    let answer = api.delete(&format!("{path}?confirm={}&reason={}", encode(confirm), encode(reason)))?;
    if args.json {
        return print_json(&answer);
    }
    let t = &answer["tenant"];
    println!(
        "tenant {} ({}) is deleted; its data stays until {}",
        text(&t["slug"]),
        text(&t["id"]),
        text(&t["purge_after"])
    );
    Ok(())
}

fn undelete(tenant: &str, slug: Option<String>, args: &ApiArgs) -> Result<()> {
    let body = slug.map_or_else(|| json!({}), |slug| json!({ "slug": slug }));
    let answer = Api::new(args)?.post(&format!("/tenants/{}/undelete", encode(tenant)), &body, None)?;
    if args.json {
        return print_json(&answer);
    }
    println!("tenant {} is {}", text(&answer["tenant"]["slug"]), text(&answer["tenant"]["observed_state"]));
    Ok(())
}

fn add_login(tenant: &str, login: &str, kind: &str, args: &ApiArgs) -> Result<()> {
    let path = format!("/tenants/{}/logins", encode(tenant));
    let answer = Api::new(args)?.post(&path, &json!({ "login": login, "kind": kind }), None)?;
    if args.json {
        return print_json(&answer);
    }
    println!("{}", text(&answer["url"]));
    Ok(())
}

fn remove_login(tenant: &str, login: &str, args: &ApiArgs) -> Result<()> {
    let path = format!("/tenants/{}/logins/{}", encode(tenant), encode(login));
    Api::new(args)?.delete(&path)?;
    println!("login {login} of {tenant} is gone");
    Ok(())
}

fn rotate(tenant: &str, login: &str, grace_seconds: u32, args: &ApiArgs) -> Result<()> {
    let path = format!("/tenants/{}/logins/{}/rotate", encode(tenant), encode(login));
    let answer = Api::new(args)?.post(&path, &json!({ "grace_seconds": grace_seconds }), None)?;
    if args.json {
        return print_json(&answer);
    }
    println!("{}", text(&answer["url"]));
    Ok(())
}

fn export(tenant: &str, structure_only: bool, args: &ApiArgs) -> Result<()> {
    let path = format!("/tenants/{}/export", encode(tenant));
    let mut dump = Api::new(args)?.download(&path, &json!({ "structure_only": structure_only }))?;
    // A dump that breaks off ends with an error, not with half a file that looks whole.
    std::io::copy(&mut dump, &mut std::io::stdout().lock()).context("the dump broke off; it is not whole")?;
    Ok(())
}

fn clone(tenant: &str, slug: &str, structure_only: bool, args: &ApiArgs) -> Result<()> {
    let path = format!("/tenants/{}/clone", encode(tenant));
    let body = json!({ "slug": slug, "structure_only": structure_only });
    let key = uuid::Uuid::new_v4().to_string();
    let api = Api::new(args)?;
    let answer = api.post(&path, &body, Some(&key))?;
    let ended = operation::wait_for(&api, &text(&answer["operation"]["id"]), args.json)?;
    if args.json {
        print_json(
            &json!({ "operation": ended, "tenant": answer["tenant"], "credentials": answer["credentials"] }),
        )?;
    }
    if ended["state"] != "succeeded" {
        anyhow::bail!("the clone is {}: {}", text(&ended["state"]), text(&ended["error"]["message"]));
    }
    if !args.json {
        for credential in items(&answer, "credentials") {
            println!("{:<9} {}", text(&credential["login"]), text(&credential["url"]));
        }
    }
    Ok(())
}
