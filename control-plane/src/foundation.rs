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
    let mut sql = format!("CREATE ROLE {owner} NOLOGIN INHERIT;\n");
    for kind in KINDS {
        sql.push_str(&login(shared, &login_role(id, kind)));
    }
    let (own, app, readonly) = (login_role(id, "owner"), login_role(id, "app"), login_role(id, "readonly"));
    // The owner role is in the tenants' group too: it is who the owner's sessions are. From PostgreSQL 16 on a grant
    // inherits as its member does when it is given.
    sql.push_str(&format!(
        "GRANT {TENANT_GROUP} TO {owner};
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

/// A role that server connections log in as, in the tenants' group.
fn login(shared: &Shared, role: &str) -> String {
    let (limit, password) =
        (shared.config.role_connection_limit, verifier(&shared.master.server_password(role, 1)));
    format!(
        "CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
           CONNECTION LIMIT {limit} PASSWORD '{password}' IN ROLE {TENANT_GROUP};\n"
    )
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

/// A role of an operator's own kind: made where it is not there; what it may do with objects that will be made is given
/// anew as a policy permits its kind. [`KIND_GRANTS`] does it for those that are there.
pub(crate) fn kind_role(shared: &Shared, id: &TenantId, kind: &str, judge: &Judge, there: bool) -> String {
    let (schema, owner, role) = (names::schema(id), names::owner_role(id), login_role(id, kind));
    let mut sql = String::new();
    if !there {
        sql.push_str(&login(shared, &role));
        sql.push_str(&format!("GRANT USAGE ON SCHEMA {schema} TO {role};\n"));
    }
    let always = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}");
    for objects in OBJECTS {
        sql.push_str(&format!("{always} REVOKE ALL ON {objects} FROM {role};\n"));
    }
    for Privileges { objects, privileges } in privileges(judge, kind) {
        sql.push_str(&format!("{always} GRANT {} ON {objects} TO {role};\n", privileges.join(", ")));
    }
    sql
}

/// The sorts of objects that [`KIND_GRANTS`] gives, in the order of its parameters from `$4` on.
const OBJECTS: [&str; 4] = ["TABLES", "SEQUENCES", "ROUTINES", "TYPES"];

/// What a role may do with each sort of [`OBJECTS`], in the words of GRANT; `None`: nothing.
pub(crate) fn kind_privileges(judge: &Judge, kind: &str) -> [Option<String>; 4] {
    let given = privileges(judge, kind);
    OBJECTS.map(|objects| Some(given.iter().find(|p| p.objects == objects)?.privileges.join(", ")))
}

/// The statements that take everything from a role and give it what it may do with a tenant's objects: those that the
/// tenant's owner has made. What PostgreSQL makes beside them (a range type's constructors) stays as it is, and so do
/// arrays and multiranges, which have no rights of their own. `$1` is the schema, `$2` its owner, `$3` the role.
pub(crate) const KIND_GRANTS: &str = "SELECT coalesce(string_agg(
       format('REVOKE ALL ON %s %s FROM %I;', word, name, $3::text)
         || CASE WHEN given IS NULL THEN '' ELSE format('GRANT %s ON %s %s TO %I;', given, word, name, $3::text) END,
       ''), '')
     FROM (
       SELECT 'TABLE' AS word, oid::regclass::text AS name, $4::text AS given, relnamespace AS space, relowner AS owner
       FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'p')
       UNION ALL
       SELECT 'SEQUENCE', oid::regclass::text, $5::text, relnamespace, relowner FROM pg_class WHERE relkind = 'S'
       UNION ALL
       SELECT 'ROUTINE', oid::regprocedure::text, $6::text, pronamespace, proowner FROM pg_proc
       UNION ALL
       SELECT 'TYPE', oid::regtype::text, $7::text, typnamespace, typowner FROM pg_type
       WHERE typtype IN ('b', 'c', 'd', 'e', 'r') AND typcategory <> 'A'
     ) AS o WHERE space = $1::text::regnamespace AND owner = $2::text::regrole";

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
    fn an_operators_kind_gets_what_the_policy_permits() {
        use palisade_policies::judge::{MODEL, POLICY};
        let policy = format!("{POLICY}\np, clerk, relation, @own, *, select|insert, allow\n");
        let judge = Judge::new(MODEL, &policy, 2).unwrap();
        assert_eq!(kind_privileges(&judge, "clerk"), [Some("SELECT, INSERT".into()), None, None, None]);
        assert_eq!(kind_privileges(&judge, "nobody"), [None, None, None, None]);
        let all = kind_privileges(&judge, "app");
        assert!(all.iter().all(Option::is_some), "{all:?}");
    }

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
