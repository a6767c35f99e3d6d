//! Physical names in PostgreSQL, made from the tenant's id and nothing else: renaming a tenant is a row update, and a
//! name that leaks tells nothing.

use crate::ids::{RoleKind, TenantId};

/// The schema that holds Palisade's own tables. No tenant role has any right in it.
pub const CONTROL_SCHEMA: &str = "palisade_control";
/// The schema that holds the filtered catalog views and functions that tenants see instead of `pg_catalog`.
pub const CATALOG_SCHEMA: &str = "palisade";
/// The schema that holds the filtered `information_schema` views.
pub const INFORMATION_SCHEMA: &str = "palisade_info";
/// The role that the proxy follows the catalog and ships audit events as.
pub const PROXY_ROLE: &str = "palisade_proxy";
/// What every tenant's login roles are members of: grants on shared objects go to this one role, never to a tenant's.
pub const TENANT_GROUP: &str = "palisade_tenant";
/// The channel on which the control plane tells proxies that the catalog changed.
pub const CHANGES_CHANNEL: &str = "palisade_changes";
/// What the tenant calls its schema.
pub const LOGICAL_SCHEMA: &str = "public";

/// `t_<id>`: the tenant's schema.
#[must_use]
pub fn schema(tenant: &TenantId) -> String {
    format!("t_{tenant}")
}

/// `t_<id>_owner`: owns the tenant's objects, cannot log in.
#[must_use]
pub fn owner_role(tenant: &TenantId) -> String {
    format!("t_{tenant}_owner")
}

/// `t_<id>_l_<kind>`: what a server connection of this kind authenticates as.
#[must_use]
pub fn login_role(tenant: &TenantId, kind: &RoleKind) -> String {
    format!("t_{tenant}_l_{kind}")
}
