//! What both clients write: a line of JSON for each step.

use std::io::Write;

use serde_json::{Value, json};

/// Writes what a step came to: its outcome, or its error.
pub fn emit<E>(step: &str, outcome: Result<Value, E>, error: impl Fn(&E) -> Value) {
    let outcome = match outcome {
        Ok(value) => value,
        Err(failed) => json!({ "error": error(&failed) }),
    };
    writeln!(std::io::stdout(), "{}", json!({ "step": step, "outcome": outcome })).expect("the matrix reads");
}
