//! The demo tenants.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::Result;
use serde_json::json;

use crate::api::Api;
use crate::commands::tenant::text;
use crate::up::say;

/// The demo tenants' slugs.
pub(crate) const TENANTS: [&str; 2] = ["acme", "globex"];
const LOGINS: [&str; 3] = ["owner", "app", "readonly"];

/// The variable that holds a login's connection string.
pub(crate) fn variable(tenant: &str, login: &str) -> String {
    format!("PALISADE_URL_{}_{}", tenant.to_uppercase(), login.to_uppercase())
}

/// Makes the demo tenants where they are missing, and puts their connection strings into the variables.
pub(crate) fn make(api_url: &str, token: &str, env: &mut BTreeMap<String, String>) -> Result<()> {
    let api = Api::with_token(api_url, token.to_owned());
    for tenant in TENANTS {
        if api.get(&format!("/tenants/{tenant}")).is_err() {
            let made = api.post(
                "/tenants",
                &json!({ "slug": tenant, "display_name": format!("Demo {tenant}") }),
                None,
            )?;
            for credential in made["credentials"].as_array().into_iter().flatten() {
                env.insert(variable(tenant, &text(&credential["login"])), text(&credential["url"]));
            }
            say(&format!("made the demo tenant {tenant}"));
            continue;
        }
        // The tenant is there and its connection strings are lost: secrets are shown once, so new ones are made.
        for login in LOGINS {
            if let Entry::Vacant(lost) = env.entry(variable(tenant, login)) {
                let path = format!("/tenants/{tenant}/logins/{login}/rotate");
                lost.insert(text(&api.post(&path, &json!({}), None)?["url"]));
            }
        }
    }
    Ok(())
}
