//! Settings that a tenant's session may set only up to a limit, or not at all (`policies/data/settings.csv`).

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a setting may be set to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Most {
    /// Anything that PostgreSQL takes.
    Any,
    /// Up to this, included.
    AtMost(Limit),
    /// Nothing: it stays as it is.
    Nothing,
}

/// A limit in the setting's own unit, as PostgreSQL counts a number that is written without one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The most, in bytes for a size of memory.
    most: f64,
    /// Bytes of a number without a unit; `None` for a setting that is no size.
    unit: Option<f64>,
}

impl Limit {
    /// Whether a value, as it is written, is within the limit. A number that cannot be read here is not. What is no number
    /// at all, or a negative one, PostgreSQL refuses itself.
    #[must_use]
    pub fn holds(&self, value: &str) -> bool {
        let value = value.trim();
        let value = value.strip_prefix('+').unwrap_or(value);
        if !value.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return true;
        }
        let end = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
        let (number, unit) = (&value[..end], value[end..].trim());
        let Ok(number) = number.parse::<f64>() else { return false };
        let factor = match (self.unit, unit) {
            (None, "") => Some(1.0),
            (Some(unit), "") => Some(unit),
            (Some(_), unit) => bytes_of(unit),
            (None, _) => None,
        };
        factor.is_some_and(|factor| number * factor <= self.most)
    }
}

/// PostgreSQL's units of memory, in bytes.
fn bytes_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "B" => 1.0,
        "kB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

/// The unit of a number without one, in bytes: settings of buffers count blocks (`BLCKSZ`).
fn unit_of(word: &str) -> Option<f64> {
    if word == "block" { Some(8192.0) } else { bytes_of(word) }
}

static SETTINGS: LazyLock<HashMap<&'static str, Most>> = LazyLock::new(|| {
    include_str!("../data/settings.csv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (name, most) = line.split_once(',')?;
            Some((name, limit(most)))
        })
        .collect()
});

/// A line's limit: `1GB,kB` (the most, and the unit of a number without one), `8`, or nothing. One that cannot be read
/// permits nothing.
fn limit(text: &str) -> Most {
    let (most, unit) = text.split_once(',').map_or((text, None), |(most, unit)| (most, unit_of(unit)));
    let end = most.find(|c: char| !c.is_ascii_digit()).unwrap_or(most.len());
    let factor = if most[end..].is_empty() { Some(1.0) } else { bytes_of(&most[end..]) };
    match (most[..end].parse::<f64>(), factor) {
        (Ok(number), Some(factor)) => Most::AtMost(Limit { most: number * factor, unit }),
        _ => Most::Nothing,
    }
}

/// What a setting may be set to.
#[must_use]
pub fn most(name: &str) -> Most {
    SETTINGS.get(name).copied().unwrap_or(Most::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stay_within_their_limits() {
        for (name, value, want) in [
            ("work_mem", "64MB", true),
            ("work_mem", "65536", true),
            ("work_mem", "1 GB", true),
            ("work_mem", "20GB", false),
            ("work_mem", "1048577", false),
            ("work_mem", "0x7fffffff", false),
            ("work_mem", "+20GB", false),
            ("work_mem", "1e9", false),
            ("work_mem", ".9e9", false),
            ("work_mem", "-1", true),
            ("work_mem", "lots", true),
            ("temp_buffers", "131072", true),
            ("temp_buffers", "131073", false),
            ("hash_mem_multiplier", "2.5", true),
            ("hash_mem_multiplier", "1000", false),
            ("max_parallel_workers_per_gather", "0", true),
            ("max_parallel_workers_per_gather", "64", false),
        ] {
            let Most::AtMost(limit) = most(name) else { panic!("{name} has no limit") };
            assert_eq!(limit.holds(value), want, "{name} = {value}");
        }
        assert_eq!(most("tcp_user_timeout"), Most::Nothing);
        assert_eq!(most("statement_timeout"), Most::Any);
    }
}
