//! tokio-postgres in the client matrix: `client-tokio-postgres URL SCRIPT` plays the script and writes a line of JSON
//! for each step. `play` is what each kind of step does, `show` is what values and errors look like, `param` carries
//! the script's parameters.

mod param;
mod play;
mod show;

use anyhow::Context;
use std::io::Write;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(script)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: client-tokio-postgres URL SCRIPT");
    };
    let mut player = play::Player::open(&url).await?;
    let text = std::fs::read_to_string(&script).with_context(|| format!("cannot read {script}"))?;
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let step: serde_json::Value = serde_json::from_str(line)?;
        let mut outcome = player.step(&step).await;
        let notices = player.take_notices();
        if !notices.is_empty() {
            outcome["notices"] = notices.into();
        }
        let line = serde_json::json!({ "step": step["name"], "outcome": outcome });
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}
