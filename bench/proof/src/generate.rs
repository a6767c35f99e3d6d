//! Hostile SQL by grammar: another tenant's name in every place where the grammar takes one, in every spelling.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::lab::{Lab, RELATIONS};

/// A statement with the class of attack that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attack {
    pub(crate) class: &'static str,
    pub(crate) sql: String,
}

/// Where a relation's name stands: `{q}`. `{n}` is a number that makes new names.
const RELATION: [&str; 40] = [
    "SELECT * FROM {q}",
    "TABLE {q}",
    "SELECT (SELECT v FROM {q} LIMIT 1)",
    "WITH x AS (SELECT * FROM {q}) SELECT * FROM x",
    "WITH RECURSIVE x AS (SELECT id FROM {q} UNION SELECT id + 1 FROM x WHERE id < 3) SELECT * FROM x",
    "SELECT EXISTS (SELECT FROM {q})",
    "SELECT count(*) FROM known_t a JOIN {q} b USING (id)",
    "SELECT * FROM known_t, LATERAL (SELECT * FROM {q} LIMIT 1) l",
    "SELECT * FROM {q} TABLESAMPLE system (100)",
    "SELECT * FROM ONLY {q}",
    "SELECT v FROM known_t ORDER BY (SELECT max(v) FROM {q})",
    "VALUES ((SELECT max(v) FROM {q}))",
    "INSERT INTO known_t (id, v) SELECT id + 1000, v FROM {q} RETURNING v",
    "INSERT INTO {q} VALUES (99, 'x')",
    "INSERT INTO known_t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET v = (SELECT max(v) FROM {q}) RETURNING v",
    "UPDATE known_t SET v = (SELECT max(v) FROM {q}) RETURNING v",
    "UPDATE {q} SET v = 'x' RETURNING *",
    "UPDATE known_t SET v = o.v FROM {q} o RETURNING o.*",
    "DELETE FROM {q} RETURNING *",
    "DELETE FROM known_t USING {q} o WHERE false RETURNING o.v",
    "MERGE INTO known_t t USING {q} s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v",
    "TRUNCATE {q}",
    "LOCK TABLE {q} IN ACCESS SHARE MODE",
    "COPY {q} TO STDOUT",
    "COPY (SELECT * FROM {q}) TO STDOUT",
    "COPY {q} FROM STDIN",
    "EXPLAIN ANALYZE SELECT * FROM {q}",
    "DECLARE c{n} CURSOR WITH HOLD FOR SELECT * FROM {q}",
    "PREPARE p{n} AS SELECT * FROM {q}",
    "SELECT * FROM known_t FOR UPDATE OF {q}",
    "SELECT {q}.* FROM known_t",
    "SELECT NULL::{q}",
    "SELECT (NULL::{q}).*",
    "SELECT '(1)'::{q}",
    "SELECT json_populate_record(NULL::{q}, '{}')",
    "ANALYZE {q}",
    "VACUUM {q}",
    "REINDEX TABLE {q}",
    "CLUSTER {q}",
    "REFRESH MATERIALIZED VIEW {q}",
];

const DEFINITION: [&str; 33] = [
    "CREATE VIEW w{n} AS SELECT * FROM {q}",
    "CREATE MATERIALIZED VIEW w{n} AS SELECT * FROM {q}",
    "CREATE TABLE w{n} (LIKE {q} INCLUDING ALL)",
    "CREATE TABLE w{n} () INHERITS ({q})",
    "CREATE TABLE w{n} AS TABLE {q}",
    "CREATE TEMP TABLE w{n} AS SELECT * FROM {q}",
    "CREATE TABLE w{n} OF {q}",
    "CREATE TABLE w{n} PARTITION OF {q} DEFAULT",
    "CREATE TABLE w{n} (id int REFERENCES {q})",
    "CREATE TABLE w{n} (id int DEFAULT (SELECT max(id) FROM {q}))",
    "ALTER TABLE known_t ADD FOREIGN KEY (id) REFERENCES {q}",
    "ALTER TABLE known_t INHERIT {q}",
    "ALTER TABLE {q} ADD COLUMN x int",
    "ALTER TABLE {q} RENAME TO w{n}",
    "ALTER TABLE {q} OWNER TO owner",
    "ALTER TABLE {q} DISABLE TRIGGER ALL",
    "ALTER SEQUENCE known_s OWNED BY {q}.id",
    "CREATE INDEX ON {q} (id)",
    "CREATE TRIGGER w{n} BEFORE INSERT ON {q} FOR EACH ROW EXECUTE FUNCTION known_g()",
    "CREATE RULE w{n} AS ON INSERT TO known_t DO ALSO SELECT * FROM {q}",
    "CREATE RULE w{n} AS ON SELECT TO {q} DO INSTEAD SELECT 1",
    "CREATE POLICY w{n} ON known_t USING (EXISTS (SELECT FROM {q}))",
    "CREATE STATISTICS w{n} ON id, v FROM {q}",
    "CREATE PUBLICATION w{n} FOR TABLE {q}",
    "CREATE SEQUENCE w{n} OWNED BY {q}.id",
    "COMMENT ON TABLE {q} IS 'x'",
    "COMMENT ON COLUMN {q}.id IS 'x'",
    "GRANT SELECT ON {q} TO PUBLIC",
    "REVOKE ALL ON {q} FROM PUBLIC",
    "DROP TABLE {q}",
    "DROP VIEW IF EXISTS {q} CASCADE",
    "DROP TRIGGER x ON {q}",
    "SECURITY LABEL ON TABLE {q} IS 'x'",
];

/// Where a name stands in a string: `{s}` the schema, `{t}` the relation.
const LITERAL: [&str; 34] = [
    "SELECT '{s}.{t}'::regclass",
    "SELECT '{s}.{t}'::regclass::oid",
    "SELECT CAST('{s}.{t}' AS pg_catalog.regclass)",
    "SELECT regclass '{s}.{t}'",
    "SELECT to_regclass('{s}.{t}')",
    "SELECT to_regtype('{s}.known_e')",
    "SELECT '{s}.known_e'::regtype",
    "SELECT enum_range(NULL::{s}.known_e)",
    "SELECT '{s}.known_f'::regproc",
    "SELECT '{s}'::regnamespace",
    "SELECT '{s}_owner'::regrole",
    "SELECT {s}.known_f()",
    "SELECT nextval('{s}.known_s')",
    "SELECT setval('{s}.known_s', 1)",
    "SELECT pg_relation_size('{s}.{t}')",
    "SELECT has_table_privilege('{s}.{t}', 'SELECT')",
    "SELECT has_schema_privilege('{s}', 'USAGE')",
    "SELECT pg_has_role('{s}_owner', 'MEMBER')",
    "SELECT pg_get_serial_sequence('{s}.{t}', 'id')",
    "SELECT pg_get_viewdef('{s}.known_v')",
    "SELECT obj_description('{s}.{t}'::regclass, 'pg_class')",
    "SELECT query_to_xml('SELECT * FROM {s}.{t}', true, true, '')",
    "SELECT table_to_xml('{s}.{t}', true, true, '')",
    "SELECT schema_to_xml('{s}', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SET search_path = {s}, public",
    "SELECT set_config('search_path', '{s}', false)",
    "SET ROLE {s}_owner",
    "SET SESSION AUTHORIZATION {s}_owner",
    "GRANT {s}_owner TO CURRENT_USER",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT ALL ON TABLES TO PUBLIC",
    "CREATE TABLE {s}.w{n} (a int)",
    "CREATE FUNCTION {s}.w{n}() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP SCHEMA {s} CASCADE",
];

/// Code that runs a text: `{e}` is an expression that makes it.
const DYNAMIC: [&str; 8] = [
    "DO $d$DECLARE r text; BEGIN EXECUTE {e} INTO r; RAISE EXCEPTION '%', r; END$d$",
    "DO $d$DECLARE r text; BEGIN EXECUTE {e} INTO r; RAISE NOTICE '%', r; END$d$",
    "CREATE OR REPLACE FUNCTION dyn() RETURNS text LANGUAGE plpgsql AS $d$DECLARE r text; BEGIN EXECUTE {e} INTO r; RETURN r; END$d$; SELECT dyn()",
    "CREATE OR REPLACE FUNCTION dyn() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $d$DECLARE r text; BEGIN EXECUTE {e} INTO r; RETURN r; END$d$; SELECT dyn()",
    "DO $d$BEGIN EXECUTE 'CREATE OR REPLACE VIEW dynv AS ' || {e}; END$d$; SELECT * FROM dynv",
    "DO $d$BEGIN EXECUTE 'PREPARE dynp AS ' || {e}; END$d$; EXECUTE dynp",
    "DO $d$BEGIN PERFORM set_config('search_path', {p}, false); END$d$; SELECT * FROM known_t",
    "DO $d$DECLARE r record; BEGIN FOR r IN EXECUTE {e} LOOP RAISE WARNING '%', r; END LOOP; END$d$",
];

const CATALOGS: [&str; 44] = [
    "pg_class",
    "pg_namespace",
    "pg_attribute",
    "pg_type",
    "pg_proc",
    "pg_enum",
    "pg_index",
    "pg_constraint",
    "pg_trigger",
    "pg_rewrite",
    "pg_policy",
    "pg_policies",
    "pg_views",
    "pg_tables",
    "pg_indexes",
    "pg_stats",
    "pg_statistic",
    "pg_statistic_ext",
    "pg_roles",
    "pg_authid",
    "pg_user",
    "pg_auth_members",
    "pg_description",
    "pg_depend",
    "pg_shdepend",
    "pg_sequences",
    "pg_stat_activity",
    "pg_stat_all_tables",
    "pg_stat_user_tables",
    "pg_statio_all_tables",
    "pg_locks",
    "pg_database",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_settings",
    "pg_prepared_statements",
    "pg_cursors",
    "information_schema.tables",
    "information_schema.columns",
    "information_schema.views",
    "information_schema.routines",
    "information_schema.schemata",
    "information_schema.check_constraints",
    "information_schema.triggers",
];

/// What is asked of a number: `#`.
const NUMBER: [&str; 22] = [
    "SELECT #::regclass",
    "SELECT #::oid::regclass::text",
    "SELECT '#'::regclass",
    "SELECT #::regproc, #::regprocedure",
    "SELECT #::regtype",
    "SELECT #::regnamespace",
    "SELECT #::regrole",
    "SELECT ARRAY[#]::oid[]::regclass[]",
    "SELECT pg_get_viewdef(#)",
    "SELECT pg_get_functiondef(#)",
    "SELECT pg_get_indexdef(#)",
    "SELECT pg_get_constraintdef(#)",
    "SELECT pg_get_triggerdef(#)",
    "SELECT obj_description(#, 'pg_class'), col_description(#, 2)",
    "SELECT format_type(#, NULL)",
    "SELECT pg_relation_size(#)",
    "SELECT has_table_privilege(#, 'SELECT')",
    "SELECT pg_get_userbyid(#)",
    "SELECT nextval(#)",
    "SELECT pg_describe_object(1259, #, 0)",
    "SELECT * FROM json_to_record('{\"a\": \"#\"}') AS t (a regclass)",
    "DO $d$BEGIN RAISE EXCEPTION '%', #::regclass; END$d$",
];

/// What would disturb another: its channel, its locks, its sessions, the server. The victims listen on `proof_channel`,
/// hold the lock 4711 and take 4712 again and again.
const INTERFERENCE: [&str; 19] = [
    "NOTIFY proof_channel, 'x'",
    "SELECT pg_notify('proof_channel', 'x')",
    "SELECT pg_notify('{s}:proof_channel', 'x')",
    "NOTIFY \"{s}:proof_channel\"",
    "DO $d$BEGIN PERFORM pg_notify({p}, 'x'); NOTIFY proof_channel; END$d$",
    "LISTEN proof_channel",
    "SELECT pg_try_advisory_lock(4711), pg_try_advisory_lock(4712)",
    "SELECT pg_try_advisory_lock(0, 4712), pg_try_advisory_lock_shared(4712)",
    "DO $d$BEGIN PERFORM pg_try_advisory_lock(4712); END$d$",
    "SELECT pg_advisory_unlock(4711)",
    "SELECT pg_advisory_unlock_all()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE pid <> pg_backend_pid()",
    "DO $d$DECLARE p int; BEGIN FOR p IN SELECT pid FROM pg_locks LOOP PERFORM pg_terminate_backend(p); END LOOP; END$d$",
    "ALTER SYSTEM SET max_connections = 1",
    "SELECT pg_reload_conf(), pg_rotate_logfile()",
    "SELECT pg_stat_reset(), pg_stat_reset_shared('bgwriter')",
    "DROP OWNED BY {s}_owner CASCADE",
    crate::victim::WORK,
];

/// Makes attacks on one victim.
pub(crate) struct Generator<'l> {
    victims: &'l [Lab],
    /// Numbers of victims' objects.
    numbers: &'l [u32],
}

impl<'l> Generator<'l> {
    pub(crate) fn new(victims: &'l [Lab], numbers: &'l [u32]) -> Self {
        Self { victims, numbers }
    }

    /// The next attack.
    pub(crate) fn next(&self, rng: &mut StdRng) -> Attack {
        let Some(victim) = self.victims.choose(rng) else {
            return Attack { class: "relation", sql: "SELECT 1".into() };
        };
        let number = rng.random_range(0..1_000_000u32).to_string();
        let relation = RELATIONS.choose(rng).copied().unwrap_or("known_t");
        let (class, template) = match rng.random_range(0..100) {
            0..38 => ("relation", RELATION.choose(rng)),
            38..54 => ("definition", DEFINITION.choose(rng)),
            54..73 => ("name in a string", LITERAL.choose(rng)),
            73..85 => ("dynamic SQL", DYNAMIC.choose(rng)),
            85..89 => ("interference", INTERFERENCE.choose(rng)),
            // Each costs the server as much as hundreds of others, most as much as a thousand of those that are refused:
            // fewer of them leave more for all the rest.
            89 => return catalog(rng),
            _ => return self.number(rng),
        };
        let template = template.copied().unwrap_or("SELECT 1");
        let schema = spelled(&victim.schema, rng);
        let qualified = format!("{schema}{}{}", dot(rng), spelled(relation, rng));
        let plain = format!("{}.{relation}", victim.schema);
        let sql = template
            .replace("{q}", &qualified)
            .replace("{s}", &victim.schema)
            .replace("{t}", relation)
            .replace("{e}", &expression(&format!("SELECT v FROM {plain} LIMIT 1"), rng))
            .replace("{p}", &expression(&victim.schema, rng))
            .replace("{n}", &number);
        Attack { class, sql: dressed(sql, rng) }
    }

    fn number(&self, rng: &mut StdRng) -> Attack {
        let near = self.numbers.choose(rng).copied().unwrap_or(16_384);
        let number = near.saturating_add_signed(rng.random_range(-40..40)).to_string();
        let template = NUMBER.choose(rng).copied().unwrap_or("SELECT #::regclass");
        Attack { class: "object number", sql: dressed(template.replace('#', &number), rng) }
    }
}

fn catalog(rng: &mut StdRng) -> Attack {
    let catalog = CATALOGS.choose(rng).copied().unwrap_or("pg_class");
    let prefix = if catalog.contains('.') || rng.random() { "" } else { "pg_catalog." };
    let sql = match rng.random_range(0..5) {
        0 => format!("SELECT * FROM {prefix}{catalog}"),
        1 => format!("SELECT x::text FROM {prefix}{catalog} x WHERE x::text LIKE '%zq%'"),
        2 => format!("SELECT row_to_json(x) FROM {prefix}{catalog} x LIMIT 3000"),
        3 => format!("COPY (SELECT * FROM {prefix}{catalog}) TO STDOUT"),
        _ => format!(
            "DO $d$DECLARE r record; BEGIN FOR r IN EXECUTE 'SELECT * FROM {prefix}{catalog}' LOOP RAISE NOTICE '%', r; END LOOP; END$d$"
        ),
    };
    Attack { class: "catalog", sql: dressed(sql, rng) }
}

/// An identifier in one of its spellings.
fn spelled(name: &str, rng: &mut StdRng) -> String {
    match rng.random_range(0..7) {
        0 => format!("\"{name}\""),
        1 => name.to_ascii_uppercase(),
        2 => name.chars().map(|c| if rng.random() { c.to_ascii_uppercase() } else { c }).collect(),
        3 => {
            let at = rng.random_range(0..name.len());
            let escaped: String = name
                .char_indices()
                .map(|(i, c)| if i == at { format!("\\{:04x}", c as u32) } else { c.to_string() })
                .collect();
            format!("U&\"{escaped}\"")
        }
        4 => format!(
            "U&\"{}\" UESCAPE '!'",
            name.chars().map(|c| format!("!{:04x}", c as u32)).collect::<String>()
        ),
        _ => name.to_owned(),
    }
}

/// A dot with what may stand around it.
fn dot(rng: &mut StdRng) -> &'static str {
    ["./**/", " . ", ".\n", "/* x */.", ".-- y\n", ".", ".", ".", "."].choose(rng).copied().unwrap_or(".")
}

/// An expression whose value is a text, in one of the ways to write it.
fn expression(text: &str, rng: &mut StdRng) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let at = rng.random_range(1..text.len().max(2)).min(text.len());
    match rng.random_range(0..6) {
        0 => format!("{} || {}", quoted(&text[..at]), quoted(&text[at..])),
        1 => format!("reverse({})", quoted(&text.chars().rev().collect::<String>())),
        2 => format!(
            "convert_from('\\x{}', 'UTF8')",
            text.bytes().map(|b| format!("{b:02x}")).collect::<String>()
        ),
        3 => format!("format('%s%s', {}, {})", quoted(&text[..at]), quoted(&text[at..])),
        4 => format!("concat({}, {})", quoted(&text[..at]), quoted(&text[at..])),
        _ => quoted(text),
    }
}

/// The statement among others, or in other clothes.
fn dressed(sql: String, rng: &mut StdRng) -> String {
    match rng.random_range(0..12) {
        0 => format!("/* {{ */ {sql}"),
        1 => format!("SELECT 1; {sql}"),
        2 => format!("BEGIN; {sql}; COMMIT"),
        3 => format!("{sql} -- "),
        4 => format!("SET LOCAL work_mem = '4MB'; {sql}"),
        5 => sql.replace(' ', "\t"),
        _ => sql,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Tokens;
    use rand::SeedableRng;

    #[test]
    fn one_seed_makes_the_same_attacks_of_every_class() {
        let mut rng = StdRng::seed_from_u64(3);
        let lab = Lab {
            slug: "b".into(),
            schema: "t_bbbbbbbbbbbbbbbbbbbb".into(),
            space: "public".into(),
            tokens: Tokens::random(&mut rng),
        };
        let labs = [lab];
        let generator = Generator::new(&labs, &[20_000]);
        let made = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..500).map(|_| generator.next(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        let mut classes: Vec<&str> = made(1).iter().map(|attack| attack.class).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes.len(), 7, "{classes:?}");
        assert!(made(1).iter().all(|attack| !attack.sql.contains("{q}") && !attack.sql.contains("{s}")));
        // What the attackers are not told of, they cannot write.
        let secrets = labs[0].tokens.all();
        assert!(made(1).iter().all(|attack| secrets.iter().all(|(_, token)| !attack.sql.contains(token))));
    }
}
