//! Physical names in PostgreSQL, made from the tenant's id and nothing else: renaming a tenant is a row update, and a
//! name that leaks tells nothing.

use crate::ids::{RoleKind, TENANT_ID_CHARS, TenantId};

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

/// The schema in a name of the shape that [`schema`] and the roles' names have; `None` where it has another.
#[must_use]
pub fn schema_of(name: &str) -> Option<&str> {
    let (schema, behind) = name.split_at_checked("t_".len() + TENANT_ID_CHARS)?;
    let physical = schema.strip_prefix("t_").is_some_and(|id| TenantId::parse(id).is_ok());
    (physical && (behind.is_empty() || behind.starts_with('_'))).then_some(schema)
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
