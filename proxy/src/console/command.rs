//! The console's words.

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Clients,
    Config,
    Databases,
    Help,
    Lists,
    Pools,
    Servers,
    State,
    Stats,
    StatsAverages,
    StatsTotals,
    Totals,
    Users,
    Version,
}

/// What can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Show(Show),
    /// New transactions of a tenant wait.
    Pause(Option<String>),
    Resume(Option<String>),
    /// A tenant's sessions are ended.
    Kill(String),
    /// A session is ended, by its number in `SHOW CLIENTS`.
    KillClient(i32),
    /// Idle server connections are closed, others when they come back.
    Reconnect(Option<String>),
    /// The configuration is read again.
    Reload,
    /// Transactions end, then the process.
    Shutdown,
}

/// Every word, for errors and `SHOW HELP`.
pub(super) const HELP: [&str; 21] = [
    "SHOW CLIENTS",
    "SHOW CONFIG",
    "SHOW DATABASES",
    "SHOW HELP",
    "SHOW LISTS",
    "SHOW POOLS",
    "SHOW SERVERS",
    "SHOW STATE",
    "SHOW STATS",
    "SHOW STATS_AVERAGES",
    "SHOW STATS_TOTALS",
    "SHOW TOTALS",
    "SHOW USERS",
    "SHOW VERSION",
    "PAUSE [tenant]",
    "RESUME [tenant]",
    "KILL tenant",
    "KILL_CLIENT ptr",
    "RECONNECT [tenant]",
    "RELOAD",
    "SHUTDOWN",
];

/// Reads a command; an error says what is understood.
pub(super) fn parse(text: &str) -> Result<Command, String> {
    let text = text.trim().trim_end_matches(';').trim();
    let mut words = text.split_whitespace();
    let word = words.next().unwrap_or_default().to_ascii_uppercase();
    let argument = words.next().map(|word| word.trim_matches('"'));
    if words.next().is_some() {
        return Err("invalid command: too many words; use SHOW HELP".into());
    }
    let name = || argument.map(str::to_owned);
    match (word.as_str(), argument) {
        ("SHOW", Some(what)) => Ok(Command::Show(match what.to_ascii_uppercase().as_str() {
            "CLIENTS" => Show::Clients,
            "CONFIG" => Show::Config,
            "DATABASES" | "TENANTS" => Show::Databases,
            "HELP" => Show::Help,
            "LISTS" => Show::Lists,
            "POOLS" => Show::Pools,
            "SERVERS" => Show::Servers,
            "STATE" => Show::State,
            "STATS" => Show::Stats,
            "STATS_AVERAGES" => Show::StatsAverages,
            "STATS_TOTALS" => Show::StatsTotals,
            "TOTALS" => Show::Totals,
            "USERS" => Show::Users,
            "VERSION" => Show::Version,
            _ => return Err("unknown SHOW; use SHOW HELP".into()),
        })),
        ("PAUSE", _) => Ok(Command::Pause(name())),
        ("RESUME", _) => Ok(Command::Resume(name())),
        ("RECONNECT", _) => Ok(Command::Reconnect(name())),
        ("KILL", Some(tenant)) => Ok(Command::Kill(tenant.to_owned())),
        ("KILL_CLIENT", Some(pid)) => {
            let pid =
                pid.parse().map_err(|_| "invalid command: KILL_CLIENT takes a number of SHOW CLIENTS")?;
            Ok(Command::KillClient(pid))
        }
        ("RELOAD", None) => Ok(Command::Reload),
        ("SHUTDOWN", None) => Ok(Command::Shutdown),
        _ => Err("invalid command; use SHOW HELP".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_table() {
        let acme = || Some("acme".to_owned());
        for (text, want) in [
            ("SHOW POOLS", Ok(Command::Show(Show::Pools))),
            (" show  stats ; ", Ok(Command::Show(Show::Stats))),
            ("PAUSE", Ok(Command::Pause(None))),
            ("pause \"acme\";", Ok(Command::Pause(acme()))),
            ("RESUME acme", Ok(Command::Resume(acme()))),
            ("KILL acme", Ok(Command::Kill("acme".into()))),
            ("KILL", Err("invalid command; use SHOW HELP".to_owned())),
            ("KILL_CLIENT 7", Ok(Command::KillClient(7))),
            ("RELOAD;", Ok(Command::Reload)),
            ("RELOAD acme", Err("invalid command; use SHOW HELP".to_owned())),
            ("SHOW ME", Err("unknown SHOW; use SHOW HELP".to_owned())),
            ("SELECT 1", Err("invalid command; use SHOW HELP".to_owned())),
            ("PAUSE a b", Err("invalid command: too many words; use SHOW HELP".to_owned())),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }
}
