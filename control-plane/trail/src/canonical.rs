//! An event as the bytes that are hashed: JSON with sorted keys and no spaces. The catalog keeps events as `jsonb`, which
//! keeps values but not their order.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::merkle::Hash;

/// Marks a leaf, against a node that is passed off as one (RFC 6962, section 2.1).
const LEAF: u8 = 0;

/// The hash of an event at its place in the log.
#[must_use]
pub fn leaf(number: u64, event: &Value) -> Hash {
    let mut text = String::new();
    write(event, &mut text);
    let mut hash = Sha256::new();
    hash.update([LEAF]);
    hash.update(number.to_be_bytes());
    hash.update(text.as_bytes());
    hash.finalize().into()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            out.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write(&fields[name], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_fields_does_not_matter_and_everything_else_does() {
        let one: Value =
            serde_json::from_str(r#"{"b": [1, {"y": null, "x": "é\n"}], "a": 1}"#).unwrap_or_default();
        let same: Value =
            serde_json::from_str(r#"{"a":1,"b":[1,{"x":"\u00e9\n","y":null}]}"#).unwrap_or_default();
        assert_eq!(leaf(7, &one), leaf(7, &same));
        let mut text = String::new();
        write(&one, &mut text);
        assert_eq!(text, "{\"a\":1,\"b\":[1,{\"x\":\"é\\n\",\"y\":null}]}");
        for other in
            [json!({"a": 1}), json!({"a": 2, "b": [1, {"x": "é\n", "y": null}]}), json!({"a": "1", "b": []})]
        {
            assert_ne!(leaf(7, &one), leaf(7, &other));
        }
        assert_ne!(leaf(7, &one), leaf(8, &one), "the place is part of it");
    }
}
