//! Open Cybersecurity Schema Framework, version 1.3, with its profile "Security Control": <https://schema.ocsf.io/1.3.0>.

use serde_json::{Map, Value, json};

use super::{client, denied, instant, text};

/// OCSF's class and activity of an action.
fn class(event: &Value) -> (u32, u32) {
    let action = text(event, "action");
    if action == "login" {
        return (3002, 1);
    }
    if action.starts_with("statement") {
        let verb = text(event, "verb");
        let activity = match verb.split(' ').next().unwrap_or_default() {
            "SELECT" | "TABLE" | "VALUES" | "SHOW" => 1,
            "UPDATE" | "MERGE" | "ALTER" => 2,
            "INSERT" | "COPY" => 5,
            "CREATE" => 6,
            "DELETE" | "TRUNCATE" | "DROP" => 7,
            _ => 4,
        };
        return (6005, activity);
    }
    let activity = match action.rsplit('.').next().unwrap_or_default() {
        "create" | "register" | "clone" | "import" => 1,
        "list" | "read" | "export" | "show" => 2,
        "delete" | "purge" | "revoke" => 4,
        _ => 3,
    };
    (6003, activity)
}

/// An object of those of its attributes that are there.
fn object<const N: usize>(attributes: [(&str, Value); N]) -> Value {
    let there = |value: &Value| !value.is_null() && value.as_str() != Some("") && *value != json!({});
    Value::Object(
        attributes
            .into_iter()
            .filter(|(_, v)| there(v))
            .map(|(k, v)| (k.to_owned(), v))
            .collect::<Map<_, _>>(),
    )
}

/// An event as OCSF has it; what it has no attribute for is under `unmapped`.
pub(super) fn ocsf(event: &Value) -> Value {
    let (class_uid, activity_id) = class(event);
    let field = |name: &str| Value::String(text(event, name));
    let user = object([("name", field("actor")), ("domain", field("tenant"))]);
    // What the system does by itself has no address.
    let source = match client(event) {
        Some((ip, port)) => object([("ip", json!(ip)), ("port", json!(port))]),
        None => json!({ "name": "palisade" }),
    };
    let at = i64::try_from(instant(event).unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let mut out = json!({
        "class_uid": class_uid,
        "category_uid": class_uid / 1000,
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        "time": at,
        "severity_id": if denied(event) { 3 } else { 1 },
        "status_id": if event["result"] == "ok" { 1 } else { 2 },
        "action_id": if denied(event) { 2 } else { 1 },
        "disposition_id": if denied(event) { 2 } else { 1 },
        "metadata": { "version": "1.3.0", "uid": text(event, "id"), "log_name": "palisade", "profiles": ["security_control"],
            "product": { "name": "Palisade", "vendor_name": "Palisade", "version": env!("CARGO_PKG_VERSION") } },
        "actor": object([("user", user.clone()), ("session", object([("uid", field("session"))]))]),
        "src_endpoint": source,
        "unmapped": event,
    });
    for (attribute, name) in [("status_code", "sqlstate"), ("status_detail", "reason")] {
        if event[name].is_string() {
            out[attribute] = field(name);
        }
    }
    match class_uid {
        3002 => {
            out["user"] = user;
            out["service"] = json!({ "name": "postgresql" });
        }
        6005 => {
            let database =
                object([("name", field("tenant")), ("uid", field("tenant_id")), ("type_id", json!(1))]);
            out["database"] = database;
            out["dst_endpoint"] = json!({ "svc_name": "postgresql" });
            if event["shape"].is_string() {
                out["query_info"] = json!({ "query_string": text(event, "shape") });
            }
        }
        _ => {
            out["api"] = json!({ "operation": text(event, "action") });
            if event["tenant"].is_string() || event["tenant_id"].is_string() {
                let tenant = object([
                    ("uid", field("tenant_id")),
                    ("name", field("tenant")),
                    ("type", json!("tenant")),
                ]);
                out["resources"] = json!([tenant]);
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::export::tests::denial;

    #[test]
    fn classes_of_ocsf_follow_the_action() {
        for (plane, action, verb, want) in [
            ("data", "login", "", (3002, 1)),
            ("data", "statement", "SELECT", (6005, 1)),
            ("data", "statement", "INSERT", (6005, 5)),
            ("data", "statement", "DO", (6005, 4)),
            ("data", "statement", "CREATE TABLE", (6005, 6)),
            ("data", "statement", "DROP TABLE", (6005, 7)),
            ("data", "statement.count", "SELECT", (6005, 1)),
            ("data", "audit.record_damaged", "", (6003, 3)),
            ("control", "tenant.create", "", (6003, 1)),
            ("control", "tenant.suspend", "", (6003, 3)),
            ("control", "tenant.purge", "", (6003, 4)),
        ] {
            assert_eq!(
                class(&json!({ "plane": plane, "action": action, "verb": verb })),
                want,
                "{action} {verb}"
            );
        }
        let event = ocsf(&denial());
        assert_eq!(
            (event["type_uid"].as_u64(), event["time"].as_i64()),
            (Some(600_501), Some(1_795_435_200_500))
        );
        assert_eq!(event["database"]["name"], "acme");
    }
}
