//! Clients that take too long: between transactions, inside one, or with one statement.
//!
//! PostgreSQL's own timeouts are set in the startup packet, and a tenant may change them for its session, as it may on a
//! server of its own. These are the operator's: they hold whatever a session has set.

use std::time::Duration;

use crate::Shared;
use crate::clients::State;

/// How often clients are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// PostgreSQL ends a statement itself at the limit; after this time more it is cancelled.
const GRACE_MS: u64 = 1_000;

/// Limits of one session in milliseconds; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timeouts {
    pub(crate) idle: u64,
    pub(crate) transaction: u64,
    pub(crate) statement: u64,
}

/// What is done with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Its session ends.
    End(&'static str, &'static str),
    /// Its statement ends.
    Cancel,
}

/// What is done with a client that has been in this state for so long.
pub(crate) fn action(state: State, ms: u64, limits: Timeouts) -> Option<Action> {
    let over = |limit: u64| limit > 0 && ms >= limit;
    match state {
        State::Idle if over(limits.idle) => {
            Some(Action::End("57P05", "terminating connection due to idle-session timeout"))
        }
        State::Transaction if over(limits.transaction) => {
            Some(Action::End("25P03", "terminating connection due to idle-in-transaction timeout"))
        }
        State::Active if limits.statement > 0 && ms >= limits.statement.saturating_add(GRACE_MS) => {
            Some(Action::Cancel)
        }
        _ => None,
    }
}

/// The limit behind an error of the proxy's own, for its hint.
pub(crate) fn limit(sqlstate: &str) -> Option<&'static str> {
    match sqlstate {
        "57P05" => Some("The limit is client_idle_timeout_ms."),
        "25P03" => Some("The limit is idle_in_transaction_timeout_ms."),
        "57014" => Some("The limit is statement_timeout_ms."),
        _ => None,
    }
}

/// Looks at every client, for ever.
pub(crate) async fn watch(shared: std::sync::Arc<Shared>) {
    loop {
        tokio::time::sleep(LOOK).await;
        for client in shared.clients.all() {
            let (state, ms) = client.state_for();
            let limits = *client.timeouts.lock();
            match action(state, ms, limits) {
                None => {}
                Some(Action::End(sqlstate, text)) => client.kill(sqlstate, text),
                Some(Action::Cancel) => {
                    let shared = shared.clone();
                    tokio::spawn(async move { shared.clients.time_out(&client).await });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_the_table() {
        let limits = Timeouts { idle: 500, transaction: 200, statement: 100 };
        let none = Timeouts::default();
        for (state, ms, limits, want) in [
            (State::Idle, 499, limits, None),
            (State::Idle, 500, limits, Some("57P05")),
            (State::Idle, u64::MAX, none, None),
            (State::Transaction, 199, limits, None),
            (State::Transaction, 200, limits, Some("25P03")),
            (State::Transaction, u64::MAX, none, None),
            (State::Active, 1_099, limits, None),
            (State::Active, 1_100, limits, Some("cancel")),
            (State::Active, u64::MAX, none, None),
            (State::Waiting, u64::MAX, limits, None),
        ] {
            let got = action(state, ms, limits).map(|action| match action {
                Action::End(sqlstate, _) => sqlstate,
                Action::Cancel => "cancel",
            });
            assert_eq!(got, want, "{state:?} for {ms} ms");
        }
    }
}
