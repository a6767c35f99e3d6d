//! The command line: tables for people, JSON for scripts, an exit code for each kind of failure.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Installation;
use serde_json::Value;

#[test]
fn the_command_line_does_what_the_api_does() {
    let palisade = Installation::start("cli", true);
    let ok = |args: &[&str]| {
        let (code, out, err) = palisade.cli(args);
        assert_eq!(code, 0, "{args:?}: {err}");
        out
    };
    let json = |args: &[&str]| serde_json::from_str::<Value>(&ok(args)).unwrap();
    assert!(ok(&["tenant", "list"]).contains("acme"));
    assert_eq!(json(&["tenant", "list", "--json"]).as_array().unwrap().len(), 2);
    ok(&["plan", "put", "small", "--max-client-connections", "5"]);
    assert!(ok(&["plan", "list"]).contains("small"));
    let set = json(&["tenant", "set", "acme", "--plan", "small", "--statement-timeout-ms", "900", "--json"]);
    assert_eq!(set["tenant"]["effective_limits"]["max_client_connections"], 5, "{set}");
    migration(&palisade, &ok, &json);
    assert!(ok(&["drift"]).contains("0 of 2 tenants differ"));
    let status = json(&["tenant", "status", "acme", "--json"]);
    let operation = status["operation"]["id"].as_str().unwrap();
    assert!(ok(&["operation", "show", operation]).contains("succeeded"));
    assert!(ok(&["operation", "watch", operation]).contains("activate"));
    assert!(ok(&["operation", "list", "--kind", "create", "--tenant", "acme"]).contains(operation));
    assert!(ok(&["operation", "wait", operation]).contains("succeeded"));
    assert_eq!(palisade.cli(&["operation", "cancel", operation]).0, 4);
    installation(&palisade);
    removal(&palisade, &json);
    assert!(ok(&["completions", "bash"]).contains("palisade"));
    for (args, code) in [
        (&["tenant", "status", "nobody"][..], 3),
        (&["tenant", "create", "globex"], 4),
        (&["tenant", "create", "No"], 4),
        (&["tenant", "list", "--token", "x"], 5),
        (&["tenant", "list", "--api-url", "http://127.0.0.1:1"], 6),
        (&["tenant"], 2),
    ] {
        assert_eq!(palisade.cli(args).0, code, "{args:?}");
    }
}

fn migration(palisade: &Installation, ok: &dyn Fn(&[&str]) -> String, json: &dyn Fn(&[&str]) -> Value) {
    let folder = std::env::temp_dir().join(format!("palisade-cli-template-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let shown = folder.to_str().unwrap();
    std::fs::write(folder.join("V1__init.sql"), include_str!("../../migrations/tenant/V1__init.sql"))
        .unwrap();
    std::fs::write(folder.join("V2__phone.sql"), "ALTER TABLE users ADD COLUMN phone text;").unwrap();
    assert!(ok(&["template", "register", shown, "--dry-run"]).contains("can be registered"));
    assert!(ok(&["template", "register", shown]).contains("version 2"));
    assert!(ok(&["template", "list"]).contains("V2__phone.sql"));
    assert!(ok(&["migrate", "plan", "default", "--canary", "acme"]).contains("ACCESS EXCLUSIVE"));
    assert!(
        ok(&["migrate", "start", "default", "--canary", "acme", "--wait"]).contains("succeeded: 2 tenants")
    );
    let list = json(&["migrate", "list", "--json"]);
    assert!(ok(&["migrate", "status", list[0]["id"].as_str().unwrap()]).contains("succeeded"));
    std::fs::write(folder.join("V2__phone.sql"), "ALTER TABLE users ADD COLUMN fax text;").unwrap();
    let (code, _, said) = palisade.cli(&["template", "register", shown]);
    assert!(code == 4 && said.contains("V2__phone.sql"), "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

fn installation(palisade: &Installation) {
    let (code, shown, _) = palisade.cli(&["status"]);
    for part in ["postgresql     ", "policy epoch 1", " active", "audit trail    "] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (json_code, answer, _) = palisade.cli(&["status", "--json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let attention = answer["attention"].as_array().unwrap();
    let expected = if attention.is_empty() { 0 } else { 7 };
    assert_eq!((code, json_code), (expected, expected), "{answer}");
    let proxies = answer["proxies"].as_array().unwrap();
    assert!(proxies.len() == 1 && proxies[0]["reachable"] == true, "{answer}");
    assert_eq!(proxies[0]["policy_epoch"], answer["policy_epoch"]);
    let (code, _, said) = palisade.cli(&["status", "--token", "none"]);
    assert!(code == 5, "{said}");
}

fn removal(palisade: &Installation, json: &dyn Fn(&[&str]) -> Value) {
    let plan = json(&["tenant", "delete", "acme", "--json"]);
    let done = json(&["tenant", "delete", "acme", "--confirm", plan["confirm"].as_str().unwrap(), "--json"]);
    assert_eq!(palisade.cli(&["tenant", "status", "acme"]).0, 3);
    let back = json(&["tenant", "undelete", "acme", "--json"]);
    assert_eq!(back["tenant"]["observed_state"], "active");
    assert_eq!(back["tenant"]["id"], done["tenant"]["id"]);
}
