//! Every endpoint below `/api/v1` with the right that it needs, and every role with its rights: the whole matrix. The
//! golden file `control-plane/rights.golden` shows it; a test fails for an endpoint that is missing.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};

/// What an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// See tenants, operations, templates, plans.
    View,
    /// Read the audit trail.
    Audit,
    /// Make tenants and change what can be changed back.
    Operate,
    /// Make and revoke API tokens.
    Secure,
    /// Take away, and change what holds for all tenants.
    Admin,
}

/// What an endpoint means to a caller whose tenants are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The tenant of the path must be the caller's.
    Tenant,
    /// The operation of the path must be of a tenant of the caller's.
    Operation,
    /// The handler leaves other tenants out.
    Listed,
    /// Nothing in it is a tenant's.
    Common,
    /// It is about all tenants: only for callers of all tenants.
    Global,
}

/// The roles that a token may have.
pub(crate) const ROLES: [&str; 6] = ["viewer", "auditor", "operator", "security", "admin", "owner"];

/// Every right, and how the policy calls it.
pub(crate) const RIGHTS: [(Right, &str); 5] = [
    (Right::View, "view"),
    (Right::Audit, "audit"),
    (Right::Operate, "operate"),
    (Right::Secure, "secure"),
    (Right::Admin, "admin"),
];

/// Who has which right, as casbin answered: each question is asked once.
static ALLOWED: LazyLock<BTreeSet<(&'static str, Right)>> = LazyLock::new(|| {
    let enforcer = futures::executor::block_on(async {
        let model = DefaultModel::from_str(include_str!("../../rights.conf")).await?;
        Enforcer::new(model, StringAdapter::new(include_str!("../../rights.csv"))).await
    });
    let enforcer = match enforcer {
        Ok(enforcer) => enforcer,
        Err(error) => {
            tracing::error!(%error, "the rights cannot be read; nobody has any");
            return BTreeSet::new();
        }
    };
    let questions = ROLES.into_iter().flat_map(|role| RIGHTS.map(|(right, name)| (role, right, name)));
    let allowed = questions.filter(|(role, _, name)| enforcer.enforce((*role, *name)).unwrap_or(false));
    allowed.map(|(role, right, _)| (role, right)).collect()
});

/// Whether a role has a right. An unknown role has none.
pub(crate) fn allows(role: &str, right: Right) -> bool {
    ROLES.iter().find(|known| **known == role).is_some_and(|known| ALLOWED.contains(&(*known, right)))
}

/// Method, path, right and scope of every endpoint.
pub(crate) const ENDPOINTS: &[(&str, &str, Right, Scope)] = &[
    ("GET", "/tenants", Right::View, Scope::Listed),
    ("POST", "/tenants", Right::Operate, Scope::Global),
    ("GET", "/tenants/{id}", Right::View, Scope::Tenant),
    ("PATCH", "/tenants/{id}", Right::Operate, Scope::Tenant),
    ("DELETE", "/tenants/{id}", Right::Admin, Scope::Tenant),
    ("POST", "/tenants/{id}/undelete", Right::Admin, Scope::Tenant),
    ("GET", "/tenants/{id}/status", Right::View, Scope::Tenant),
    ("POST", "/tenants/{id}/rollback", Right::Admin, Scope::Tenant),
    ("POST", "/tenants/{id}/suspend", Right::Operate, Scope::Tenant),
    ("POST", "/tenants/{id}/resume", Right::Operate, Scope::Tenant),
    ("POST", "/tenants/{id}/logins", Right::Operate, Scope::Tenant),
    ("DELETE", "/tenants/{id}/logins/{login}", Right::Operate, Scope::Tenant),
    ("POST", "/tenants/{id}/logins/{login}/rotate", Right::Operate, Scope::Tenant),
    ("POST", "/tenants/{id}/export", Right::Admin, Scope::Tenant),
    ("POST", "/tenants/{id}/clone", Right::Admin, Scope::Tenant),
    ("GET", "/tenants/{id}/sessions", Right::View, Scope::Tenant),
    ("DELETE", "/tenants/{id}/sessions/{session}", Right::Operate, Scope::Tenant),
    ("GET", "/usage", Right::View, Scope::Listed),
    ("GET", "/slugs/{slug}", Right::View, Scope::Common),
    ("GET", "/operations", Right::View, Scope::Listed),
    ("GET", "/operations/{id}", Right::View, Scope::Operation),
    ("GET", "/operations/{id}/wait", Right::View, Scope::Operation),
    ("POST", "/operations/{id}/cancel", Right::Operate, Scope::Operation),
    ("GET", "/operations/{id}/events", Right::View, Scope::Operation),
    ("GET", "/events", Right::View, Scope::Global),
    ("GET", "/migrations", Right::View, Scope::Global),
    ("POST", "/migrations", Right::Admin, Scope::Global),
    ("GET", "/migrations/{id}", Right::View, Scope::Global),
    ("GET", "/migrations/{id}/targets", Right::View, Scope::Global),
    ("GET", "/migrations/{id}/events", Right::View, Scope::Global),
    ("POST", "/migrations/{id}/pause", Right::Operate, Scope::Global),
    ("POST", "/migrations/{id}/resume", Right::Admin, Scope::Global),
    ("POST", "/migrations/{id}/abort", Right::Admin, Scope::Global),
    ("POST", "/migrations/{id}/retry", Right::Admin, Scope::Global),
    ("GET", "/drift", Right::View, Scope::Global),
    ("GET", "/tenants/{id}/drift", Right::View, Scope::Tenant),
    ("GET", "/templates", Right::View, Scope::Common),
    ("POST", "/templates", Right::Admin, Scope::Global),
    ("GET", "/warm-pool", Right::View, Scope::Global),
    ("GET", "/installation", Right::View, Scope::Global),
    ("GET", "/plans", Right::View, Scope::Common),
    ("PUT", "/plans/{name}", Right::Admin, Scope::Global),
    ("GET", "/policy", Right::View, Scope::Global),
    ("POST", "/policy", Right::Admin, Scope::Global),
    ("POST", "/policy/check", Right::View, Scope::Global),
    ("POST", "/policy/rollback", Right::Admin, Scope::Global),
    ("GET", "/policy/epochs", Right::View, Scope::Global),
    ("GET", "/policy/epochs/{epoch}", Right::View, Scope::Global),
    ("PUT", "/tenants/{id}/policy-mode", Right::Admin, Scope::Tenant),
    ("GET", "/audit", Right::Audit, Scope::Global),
    ("GET", "/audit/histogram", Right::Audit, Scope::Global),
    ("GET", "/audit/checkpoints", Right::Audit, Scope::Global),
    ("GET", "/audit/integrity", Right::Audit, Scope::Global),
    ("GET", "/audit/export", Right::Audit, Scope::Global),
    ("GET", "/audit/bundle", Right::Audit, Scope::Global),
    ("GET", "/audit/holds", Right::Audit, Scope::Global),
    ("POST", "/audit/holds", Right::Secure, Scope::Global),
    ("DELETE", "/audit/holds/{id}", Right::Secure, Scope::Global),
    ("GET", "/audit/sinks", Right::Audit, Scope::Global),
    ("GET", "/isolation-runs", Right::View, Scope::Global),
    ("POST", "/isolation-runs", Right::Secure, Scope::Global),
    ("GET", "/isolation-runs/{id}", Right::View, Scope::Global),
    ("POST", "/isolation-runs/{id}/cancel", Right::Secure, Scope::Global),
    ("GET", "/isolation-runs/{id}/report", Right::View, Scope::Global),
    ("GET", "/isolation-runs/{id}/events", Right::View, Scope::Global),
    ("POST", "/explain", Right::View, Scope::Listed),
    ("GET", "/whoami", Right::View, Scope::Common),
    ("GET", "/tokens", Right::Secure, Scope::Global),
    ("POST", "/tokens", Right::Secure, Scope::Global),
    ("DELETE", "/tokens/{id}", Right::Secure, Scope::Global),
    ("GET", "/approvals", Right::View, Scope::Global),
    ("POST", "/approvals/{id}/approve", Right::View, Scope::Global),
    ("POST", "/approvals/{id}/refuse", Right::View, Scope::Global),
    ("GET", "/session", Right::View, Scope::Common),
    ("POST", "/session", Right::View, Scope::Common),
    ("DELETE", "/session", Right::View, Scope::Common),
];

/// The right and scope of an endpoint. `None`: it is not in the table, and nobody's.
pub(crate) fn right(method: &str, route: &str) -> Option<(Right, Scope)> {
    ENDPOINTS
        .iter()
        .find(|(m, p, ..)| *m == method && *p == route)
        .map(|(_, _, right, scope)| (*right, *scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix as text: one line for each endpoint, who may and who may not.
    fn matrix() -> String {
        let mut out = String::from(
            "# endpoint: roles that may, and what it means to a caller whose tenants are named. Written by the test; review every change.\n",
        );
        for (method, path, right, scope) in ENDPOINTS {
            let may: Vec<_> = ROLES.into_iter().filter(|role| allows(role, *right)).collect();
            let scope = format!("{scope:?}").to_lowercase();
            out.push_str(&format!("{method:<6} {path:<45} {:<45} {scope}\n", may.join(" ")));
        }
        out
    }

    #[test]
    fn the_matrix_is_the_golden_file() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/rights.golden");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, matrix()).unwrap();
        }
        let golden = std::fs::read_to_string(file).unwrap();
        assert_eq!(matrix(), golden, "run this test with UPDATE_GOLDEN=1 and review the difference");
    }

    #[test]
    fn unknown_roles_and_endpoints_have_nothing() {
        for right in RIGHTS.map(|(right, _)| right) {
            assert!(!allows("", right) && !allows("root", right));
            assert!(allows("owner", right));
        }
        assert_eq!(right("DELETE", "/audit"), None);
    }
}
