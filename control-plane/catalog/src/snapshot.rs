//! What the data plane needs to know about tenants: enough to let clients in with the control plane down.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{LoginName, RoleKind, Slug, TenantId};

/// What the data plane does with a tenant's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Clients are let in.
    Open,
    /// The tenant is being made or verified: only the control plane's own probe logins are let in.
    Probe,
    /// Clients are refused and open sessions are ended.
    Closed,
}

/// Transaction or session pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolMode {
    /// A server connection is held for one transaction.
    #[default]
    Transaction,
    /// A server connection is held for the whole session.
    Session,
}

/// A client's login within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user of the connection string.
    pub name: LoginName,
    /// What it may do.
    pub kind: RoleKind,
    /// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as PostgreSQL writes it.
    pub verifier: String,
    /// The role that server connections authenticate as.
    pub server_role: String,
    /// The generation of the server role's derived password.
    pub generation: u32,
    /// `false` refuses this login.
    pub enabled: bool,
    /// The secret before the last rotation, while it is still good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// A secret that is good for a while after its rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// As [`Login::verifier`], with the same salt and iterations.
    pub verifier: String,
    /// Until when, in seconds since 1970.
    pub until: i64,
}

/// Limits of one tenant; `None` takes the proxy's default. A field that a reader does not know is passed over, so that
/// a newer control plane can serve an older proxy.
#[derive(Debug, Clone, Copy, PartialEq, Hash, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantLimits {
    /// Most client connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_client_connections: Option<u32>,
    /// Most server connections, for each login role: the pool's size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_server_connections: Option<u32>,
    /// Longest statement, in milliseconds; 0 is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u32>,
    /// Longest idle time inside a transaction, in milliseconds; 0 is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_in_transaction_timeout_ms: Option<u32>,
    /// Longest wait for a server connection, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_wait_timeout_ms: Option<u32>,
    /// Most clients of each login that wait for a server connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_queue_clients: Option<u32>,
    /// Longest time that a client may say nothing between transactions, in milliseconds; 0 is without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_idle_timeout_ms: Option<u32>,
    /// Most transactions that the tenant may begin in a second; 0 is without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions_per_second: Option<u32>,
    /// Longest message of a client, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<u32>,
}

/// One tenant as the data plane sees it. This is also the JSON that `palisade_control.tenants_since` returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantEntry {
    /// Its id.
    pub id: TenantId,
    /// The database of the connection string.
    pub slug: Slug,
    /// Where it lives.
    pub cluster: String,
    /// The database there.
    pub database: String,
    /// Its physical schema.
    pub schema: String,
    /// Who is let in.
    pub access: Access,
    /// Transaction or session pooling.
    #[serde(default)]
    pub pool_mode: PoolMode,
    /// Its own limits.
    #[serde(default)]
    pub limits: TenantLimits,
    /// Its logins.
    pub logins: Vec<Login>,
    /// `true` for a tenant that is gone: the entry is taken out.
    #[serde(default)]
    pub gone: bool,
}

/// A policy's two texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// casbin's model (`policies/model.conf`).
    pub model: String,
    /// casbin's lines (`policies/policy.csv`).
    pub policy: String,
}

/// The policy that an operator activated, and who only tries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Grows with every activation; 1 is the policy that comes with Palisade.
    pub epoch: u64,
    /// `None`: the policy that comes with Palisade.
    #[serde(default)]
    pub text: Option<PolicyText>,
    /// Tenants in the mode `observe`: what the policy refuses is recorded, and PostgreSQL's own grants answer.
    #[serde(default)]
    pub observing: BTreeSet<TenantId>,
}

impl Default for PolicyState {
    fn default() -> Self {
        Self { epoch: 1, text: None, observing: BTreeSet::new() }
    }
}

/// All tenants, by slug.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Changes of transactions at or after this one may be missing (`pg_snapshot_xmin`, as decimal text).
    pub xmin: u64,
    /// By slug. A changed snapshot shares what has not changed with the one before.
    #[serde(with = "shared")]
    pub tenants: HashMap<Slug, Arc<TenantEntry>>,
    /// The policy in force.
    #[serde(default)]
    pub policy: PolicyState,
}

impl Snapshot {
    /// Takes changed entries in. An entry may change its slug; the old one is dropped.
    pub fn apply(&mut self, xmin: u64, changed: Vec<TenantEntry>) {
        let ids: std::collections::HashSet<_> = changed.iter().map(|t| t.id.clone()).collect();
        if !ids.is_empty() {
            self.tenants.retain(|_, t| !ids.contains(&t.id));
        }
        for tenant in changed.into_iter().filter(|t| !t.gone) {
            self.tenants.insert(tenant.slug.clone(), Arc::new(tenant));
        }
        self.xmin = xmin;
    }

    /// The tenant of a slug and its login, where both exist.
    #[must_use]
    pub fn login(&self, slug: &str, user: &str) -> Option<(&TenantEntry, &Login)> {
        let tenant = self.tenants.get(&Slug::parse(slug).ok()?)?;
        let login = tenant.logins.iter().find(|l| l.name.as_str() == user)?;
        Some((tenant, login))
    }
}

/// Tenants that are shared are written and read as others.
mod shared {
    use std::collections::HashMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::TenantEntry;
    use crate::ids::Slug;

    type Tenants = HashMap<Slug, Arc<TenantEntry>>;

    pub(super) fn serialize<S: Serializer>(tenants: &Tenants, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(tenants.iter().map(|(slug, tenant)| (slug, tenant.as_ref())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tenants, D::Error> {
        let tenants = HashMap::<Slug, TenantEntry>::deserialize(from)?;
        Ok(tenants.into_iter().map(|(slug, tenant)| (slug, Arc::new(tenant))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"xmin": 7, "tenants": {"acme": {"id": "aaaaaaaaaaaaaaaaaaaa", "slug": "acme",
        "cluster": "main", "database": "palisade", "schema": "t_aaaaaaaaaaaaaaaaaaaa", "access": "open",
        "limits": {"max_client_connections": 5, "of_a_later_release": 1}, "logins": []}}}"#;

    #[test]
    fn a_snapshot_of_an_earlier_release_loads_with_defaults() {
        let snapshot: Snapshot = serde_json::from_str(OLD).unwrap();
        let tenant = &snapshot.tenants[&Slug::parse("acme").unwrap()];
        assert_eq!(tenant.pool_mode, PoolMode::Transaction);
        assert_eq!(snapshot.policy, PolicyState::default());
        let limits = TenantLimits { max_client_connections: Some(5), ..TenantLimits::default() };
        assert_eq!((tenant.limits, tenant.gone), (limits, false));
    }

    #[test]
    fn limits_read_back_and_leave_out_what_is_not_set() {
        let limits = TenantLimits { statement_timeout_ms: Some(0), ..TenantLimits::default() };
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(text, r#"{"statement_timeout_ms":0}"#);
        assert_eq!(serde_json::from_str::<TenantLimits>(&text).unwrap(), limits);
    }
}
