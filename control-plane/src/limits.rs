//! A tenant's or a plan's limits, as the API takes them: known names only, each within its range.

use palisade_catalog::snapshot::TenantLimits;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most connections that a limit may allow.
const CONNECTIONS: u32 = 100_000;
/// Longest time that a limit may allow, in milliseconds: a day.
const TIME_MS: u32 = 86_400_000;
/// Most transactions in a second that a limit may allow.
const RATE: u32 = 1_000_000;
/// Longest message that a limit may allow, in bytes: PostgreSQL's own limit.
const MESSAGE_BYTES: u32 = (1 << 30) - 1;

/// Limits; what is absent comes from the plan, then from the proxy's own settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Most client connections, 1 to 100000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_client_connections: Option<u32>,
    /// Most server connections of each login role, 1 to 100000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_server_connections: Option<u32>,
    /// Longest statement, in milliseconds; 0 is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement_timeout_ms: Option<u32>,
    /// Longest idle time inside a transaction, in milliseconds; 0 is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle_in_transaction_timeout_ms: Option<u32>,
    /// Longest wait for a server connection, in milliseconds, 1 to a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_wait_timeout_ms: Option<u32>,
    /// Most clients of each login that wait for a server connection, 1 to 100000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query_queue_clients: Option<u32>,
    /// Longest time that a client may say nothing between transactions, in milliseconds; 0 is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_idle_timeout_ms: Option<u32>,
    /// Most transactions that the tenant may begin in a second, 0 to 1000000; 0 is without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transactions_per_second: Option<u32>,
    /// Longest message of a client, in bytes, 1024 to 1073741823.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_message_bytes: Option<u32>,
}

impl Limits {
    /// Every value that is out of range: the field and a sentence.
    pub(crate) fn errors(&self) -> Vec<(&'static str, String)> {
        [
            ("max_client_connections", self.max_client_connections, 1, CONNECTIONS),
            ("max_server_connections", self.max_server_connections, 1, CONNECTIONS),
            ("statement_timeout_ms", self.statement_timeout_ms, 0, TIME_MS),
            ("idle_in_transaction_timeout_ms", self.idle_in_transaction_timeout_ms, 0, TIME_MS),
            ("query_wait_timeout_ms", self.query_wait_timeout_ms, 1, TIME_MS),
            ("query_queue_clients", self.query_queue_clients, 1, CONNECTIONS),
            ("client_idle_timeout_ms", self.client_idle_timeout_ms, 0, TIME_MS),
            ("transactions_per_second", self.transactions_per_second, 0, RATE),
            ("max_message_bytes", self.max_message_bytes, 1_024, MESSAGE_BYTES),
        ]
        .into_iter()
        .filter(|(_, value, least, most)| value.is_some_and(|v| v < *least || v > *most))
        .map(|(field, _, least, most)| (field, format!("must be {least} to {most}")))
        .collect()
    }

    /// As it is stored: the same names as the snapshot reads.
    pub(crate) fn stored(self) -> serde_json::Value {
        let limits = TenantLimits {
            max_client_connections: self.max_client_connections,
            max_server_connections: self.max_server_connections,
            statement_timeout_ms: self.statement_timeout_ms,
            idle_in_transaction_timeout_ms: self.idle_in_transaction_timeout_ms,
            query_wait_timeout_ms: self.query_wait_timeout_ms,
            query_queue_clients: self.query_queue_clients,
            client_idle_timeout_ms: self.client_idle_timeout_ms,
            transactions_per_second: self.transactions_per_second,
            max_message_bytes: self.max_message_bytes,
        };
        // Numbers always have a JSON form.
        serde_json::to_value(limits).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let field = |text: &str| {
            let limits: Limits = serde_json::from_str(text).unwrap();
            limits.errors().into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert!(field("{}").is_empty());
        assert!(field(r#"{"statement_timeout_ms": 0, "max_client_connections": 100000}"#).is_empty());
        assert_eq!(
            field(r#"{"max_client_connections": 0, "query_wait_timeout_ms": 86400001}"#),
            ["max_client_connections", "query_wait_timeout_ms"]
        );
        assert!(serde_json::from_str::<Limits>(r#"{"max_clients": 1}"#).is_err());
    }

    #[test]
    fn what_is_stored_is_what_the_proxy_reads() {
        let text = r#"{"max_client_connections":1,"max_server_connections":2,"statement_timeout_ms":3,
                       "idle_in_transaction_timeout_ms":4,"query_wait_timeout_ms":5,
                       "query_queue_clients":6,"client_idle_timeout_ms":7,"transactions_per_second":8,
                       "max_message_bytes":1024}"#;
        let limits: Limits = serde_json::from_str(text).unwrap();
        let stored = limits.stored();
        assert_eq!(serde_json::from_value::<Limits>(stored.clone()).unwrap(), limits);
        assert_eq!(stored.as_object().unwrap().len(), 9);
    }
}
