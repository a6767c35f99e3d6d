//! What every tenant stands on, before its template runs: roles, schema, grants, default privileges, as SQL text.
//! Names are made of our own characters only, verifiers hold no quote.

use palisade_catalog::ids::TenantId;
use palisade_catalog::names::{self, TENANT_GROUP};
use palisade_policies::{Judge, Privileges, privileges};

use crate::Shared;
use crate::store::verifier;

/// The role kinds that every tenant has.
pub(crate) const KINDS: [&str; 3] = ["owner", "app", "readonly"];

/// Back from [`as_owner`].
pub(crate) const AS_OURSELVES: &str = "RESET ROLE; SET LOCAL search_path = pg_catalog, pg_temp;";

/// The login role of a kind that every tenant has.
pub(crate) fn login_role(id: &TenantId, kind: &str) -> String {
    format!("{}_l_{kind}", names::schema(id))
}

/// Roles, schema and grants of a new tenant.
pub(crate) fn foundation(shared: &Shared, id: &TenantId) -> String {
    let (schema, owner) = (names::schema(id), names::owner_role(id));
    let limit = shared.config.role_connection_limit;
    let mut sql = format!("CREATE ROLE {owner} NOLOGIN NOINHERIT;\n");
    for kind in KINDS {
        let role = login_role(id, kind);
        let password = verifier(&shared.master.server_password(&role, 1));
        sql.push_str(&format!(
            "CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
               CONNECTION LIMIT {limit} PASSWORD '{password}' IN ROLE {TENANT_GROUP};\n"
        ));
    }
    let (own, app, readonly) = (login_role(id, "owner"), login_role(id, "app"), login_role(id, "readonly"));
    // The owner role is in the tenants' group too: it is who the owner's sessions are.
    sql.push_str(&format!(
        "GRANT {TENANT_GROUP} TO {owner};
         ALTER ROLE {owner} INHERIT;
         GRANT {owner} TO {own};
         CREATE SCHEMA {schema} AUTHORIZATION {owner};
         GRANT USAGE ON SCHEMA {schema} TO {app}, {readonly};
         {}
         ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
         ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
         {}
         {AS_OURSELVES}\n",
        as_owner(&schema, &owner),
        grants(&shared.judge, &schema, &[("app", &app), ("readonly", &readonly)])
    ));
    sql
}

/// What each role may do with the tenant's objects, as the policy that comes with Palisade permits its kind.
fn grants(judge: &Judge, schema: &str, roles: &[(&str, &str)]) -> String {
    let mut sql = String::new();
    for (kind, role) in roles {
        for Privileges { objects, privileges } in privileges(judge, kind) {
            let privileges = privileges.join(", ");
            sql.push_str(&format!(
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {privileges} ON {objects} TO {role};\n"
            ));
        }
    }
    sql
}

/// What makes the rest of a transaction run as a tenant's owner, in its schema.
pub(crate) fn as_owner(schema: &str, owner: &str) -> String {
    format!("SET LOCAL ROLE {owner}; SET LOCAL search_path = {schema}, pg_temp;")
}

/// The whole tenant as one batch: its foundation and its template.
pub(crate) fn whole(shared: &Shared, id: &TenantId, template: &str) -> String {
    format!(
        "{}{}\n{template}\n;{AS_OURSELVES}",
        foundation(shared, id),
        as_owner(&names::schema(id), &names::owner_role(id))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_what_the_policy_permits() {
        let judge = Judge::embedded().unwrap();
        assert_eq!(
            grants(&judge, "s", &[("app", "a"), ("readonly", "r")]),
            "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO a;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO a;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT EXECUTE ON ROUTINES TO a;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT USAGE ON TYPES TO a;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO r;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT EXECUTE ON ROUTINES TO r;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT USAGE ON TYPES TO r;
"
        );
    }
}
