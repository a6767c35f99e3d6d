//! Every endpoint below `/api/v1` with the right that it needs, and every role with its rights: the whole matrix. The
//! golden file `control-plane/rights.golden` shows it; a test fails for an endpoint that is missing.

/// What an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// See tenants, operations, templates, plans.
    View,
    /// Read the audit trail.
    Audit,
    /// Make tenants and change what can be changed back.
    Operate,
    /// Take away, and change what holds for all tenants.
    Admin,
}

/// The roles that a token may have.
pub(crate) const ROLES: [&str; 4] = ["viewer", "auditor", "operator", "admin"];

/// Whether a role has a right. An unknown role has none.
pub(crate) fn allows(role: &str, right: Right) -> bool {
    match role {
        "admin" => true,
        "operator" => matches!(right, Right::View | Right::Operate),
        "auditor" => matches!(right, Right::View | Right::Audit),
        "viewer" => right == Right::View,
        _ => false,
    }
}

/// Method, path and right of every endpoint.
pub(crate) const ENDPOINTS: &[(&str, &str, Right)] = &[
    ("GET", "/tenants", Right::View),
    ("POST", "/tenants", Right::Operate),
    ("GET", "/tenants/{id}", Right::View),
    ("PATCH", "/tenants/{id}", Right::Operate),
    ("DELETE", "/tenants/{id}", Right::Admin),
    ("POST", "/tenants/{id}/undelete", Right::Admin),
    ("GET", "/tenants/{id}/status", Right::View),
    ("POST", "/tenants/{id}/rollback", Right::Admin),
    ("POST", "/tenants/{id}/suspend", Right::Operate),
    ("POST", "/tenants/{id}/resume", Right::Operate),
    ("POST", "/tenants/{id}/logins/{login}/rotate", Right::Operate),
    ("GET", "/slugs/{slug}", Right::View),
    ("GET", "/operations", Right::View),
    ("GET", "/operations/{id}", Right::View),
    ("GET", "/operations/{id}/wait", Right::View),
    ("POST", "/operations/{id}/cancel", Right::Operate),
    ("GET", "/operations/{id}/events", Right::View),
    ("GET", "/events", Right::View),
    ("GET", "/migrations", Right::View),
    ("POST", "/migrations", Right::Admin),
    ("GET", "/migrations/{id}", Right::View),
    ("GET", "/migrations/{id}/targets", Right::View),
    ("GET", "/migrations/{id}/events", Right::View),
    ("POST", "/migrations/{id}/pause", Right::Operate),
    ("POST", "/migrations/{id}/resume", Right::Admin),
    ("POST", "/migrations/{id}/abort", Right::Admin),
    ("POST", "/migrations/{id}/retry", Right::Admin),
    ("GET", "/drift", Right::View),
    ("GET", "/tenants/{id}/drift", Right::View),
    ("GET", "/templates", Right::View),
    ("POST", "/templates", Right::Admin),
    ("GET", "/warm-pool", Right::View),
    ("GET", "/plans", Right::View),
    ("PUT", "/plans/{name}", Right::Admin),
    ("GET", "/audit", Right::Audit),
    ("POST", "/explain", Right::View),
    ("GET", "/whoami", Right::View),
];

/// The right of an endpoint. `None`: it is not in the table, and nobody's.
pub(crate) fn right(method: &str, route: &str) -> Option<Right> {
    ENDPOINTS.iter().find(|(m, p, _)| *m == method && *p == route).map(|(_, _, right)| *right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix as text: one line for each endpoint, who may and who may not.
    fn matrix() -> String {
        let mut out = String::from("# endpoint: roles that may. Written by the test; review every change.\n");
        for (method, path, right) in ENDPOINTS {
            let may: Vec<_> = ROLES.into_iter().filter(|role| allows(role, *right)).collect();
            out.push_str(&format!("{method:<6} {path:<45} {}\n", may.join(" ")));
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
        for right in [Right::View, Right::Audit, Right::Operate, Right::Admin] {
            assert!(!allows("", right) && !allows("root", right));
        }
        assert_eq!(right("DELETE", "/audit"), None);
    }
}
