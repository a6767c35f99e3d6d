//! Objects of other tenants, by their numbers and by names that are computed: whatever function of PostgreSQL is asked,
//! the answer is the one for an object that nobody has. The functions are taken from the server's own catalog, so that
//! one that a newer server brings is tried too.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it tried"
)]

mod common;

use common::{Installation, connect};
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Added to a number, it is nobody's.
const NOBODY: u32 = 400_000_000;

/// Objects of every kind, with names that tell.
const OBJECTS: &str = "CREATE TYPE zqb_mood AS ENUM ('zqb_low', 'zqb_high');
    CREATE TABLE zqb_pay (id int PRIMARY KEY, zqb_salary int CHECK (zqb_salary > 0), mood zqb_mood);
    CREATE INDEX zqb_idx ON zqb_pay (zqb_salary); CREATE SEQUENCE zqb_seq; CREATE VIEW zqb_view AS SELECT zqb_salary FROM zqb_pay;
    CREATE FUNCTION zqb_fun() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; /* zqb_body */ END$$;
    CREATE TRIGGER zqb_trg BEFORE UPDATE ON zqb_pay FOR EACH ROW EXECUTE FUNCTION zqb_fun();
    CREATE COLLATION zqb_coll (provider = icu, locale = 'de-DE'); CREATE STATISTICS zqb_stat ON id, zqb_salary FROM zqb_pay;
    CREATE RULE zqb_rule AS ON DELETE TO zqb_pay DO INSTEAD NOTHING; COMMENT ON TABLE zqb_pay IS 'zqb_comment'";

/// Kind and number of what is tried; `$1` is the schema.
const NUMBERS: &str = "SELECT 'relation', c.oid FROM pg_class c WHERE relnamespace = $1::text::regnamespace AND relname LIKE 'zqb%'
    UNION ALL SELECT 'function', oid FROM pg_proc WHERE pronamespace = $1::text::regnamespace AND proname = 'zqb_fun'
    UNION ALL SELECT 'type', oid FROM pg_type WHERE typnamespace = $1::text::regnamespace AND typname IN ('zqb_mood', 'zqb_pay', '_zqb_mood')
    UNION ALL SELECT 'collation', oid FROM pg_collation WHERE collnamespace = $1::text::regnamespace
    UNION ALL SELECT 'statistics', oid FROM pg_statistic_ext WHERE stxnamespace = $1::text::regnamespace
    UNION ALL SELECT 'constraint', oid FROM pg_constraint WHERE connamespace = $1::text::regnamespace AND conrelid = ($1::text || '.zqb_pay')::regclass
    UNION ALL SELECT 'trigger', oid FROM pg_trigger WHERE tgname = 'zqb_trg'
    UNION ALL SELECT 'rule', oid FROM pg_rewrite WHERE rulename = 'zqb_rule'
    UNION ALL SELECT 'schema', $1::text::regnamespace::oid
    UNION ALL SELECT 'role', oid FROM pg_roles WHERE rolname = $1::text || '_owner'";

/// Every function of PostgreSQL that takes a number or a name of an object.
const FUNCTIONS: &str = "SELECT DISTINCT p.proname::text, ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t)
    FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proargtypes::oid[] && ARRAY(SELECT oid FROM pg_type
    WHERE typname IN ('oid', 'oidvector', 'text', 'name') OR typname ~ '^reg')
    AND proname !~ '(in|out|recv|send|eq|ne|lt|le|gt|ge|cmp|larger|smaller)$' AND proname !~ '^(pg_sleep|hash)'
    -- These work on characters, not on names.
    AND (proargtypes::oid[] && ARRAY(SELECT oid FROM pg_type WHERE typname ~ '^(oid|reg)')
         OR provolatile <> 'i' AND proname !~ '^to_(char|date|number|timestamp)$|ts(vector|query)$|^ts_headline$') ORDER BY 1, 2";

/// What stands for an argument of a type: the object where it is one, else something that a function takes.
fn argument(kind: &str, object: Option<&str>, text: Option<&str>) -> Option<String> {
    Some(match kind {
        "oid" => object?.to_owned(),
        "oidvector" => format!("'{}'::oidvector", object?),
        _ if kind.starts_with("reg") => match (object, text) {
            (Some(number), _) => number.to_owned(),
            (None, Some(text)) => format!("({text})"),
            _ => return None,
        },
        "text" | "name" if text.is_some() => format!("({})::{kind}", text?),
        "text" => "'SELECT'".to_owned(),
        "name" => "'owner'".to_owned(),
        "\"char\"" => "'r'".to_owned(),
        "boolean" => "true".to_owned(),
        "smallint" | "integer" | "bigint" => format!("1::{kind}"),
        "text[]" => "'{a}'".to_owned(),
        "pg_node_tree" => return None,
        _ => "NULL".to_owned(),
    })
}

/// All calls that can be made with an object in the place of its arguments.
fn calls(functions: &[(String, Vec<String>)], object: Option<&str>, text: Option<&str>) -> Vec<String> {
    let call = |(name, kinds): &(String, Vec<String>)| {
        let arguments: Option<Vec<String>> = kinds.iter().map(|kind| argument(kind, object, text)).collect();
        let used = kinds.iter().any(|kind| {
            if text.is_some() {
                kind == "text" || kind == "name"
            } else {
                kind.starts_with("oid") || kind.starts_with("reg")
            }
        });
        arguments
            .filter(|_| used)
            .map(|arguments| format!("SELECT pg_catalog.{name}({})", arguments.join(", ")))
    };
    functions.iter().filter_map(call).collect()
}

/// What a client is told, every word of it.
async fn told(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => {
            let cells = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
                }
                _ => None,
            });
            cells.collect::<Vec<_>>().join("\n")
        }
        Err(error) => match error.as_db_error() {
            Some(e) => format!(
                "{} {} {:?} {:?} {:?} {:?}",
                e.code().code(),
                e.message(),
                e.detail(),
                e.hint(),
                e.where_(),
                e.routine()
            ),
            None => panic!("{sql}: {error}"),
        },
    }
}

/// Statements that show an object's name, with a number in the place of `#`.
const SHOWN: [&str; 20] = [
    "SELECT #::regclass",
    "SELECT CAST(# AS pg_catalog.regclass)",
    "SELECT (# + 0)::regclass, (SELECT #)::regproc",
    "SELECT x::regtype FROM (SELECT # AS x) t",
    "SELECT (# || '')::regclass",
    "SELECT regclass '#'",
    "SELECT '#'::regproc, '#'::regprocedure",
    "SELECT ARRAY[#]::oid[]::regtype[]",
    "SELECT '{#}'::regtype[]",
    "SELECT #::regnamespace",
    "SELECT #::regrole",
    "SELECT #::regcollation",
    "SELECT * FROM json_to_record('{\"a\": \"#\"}') AS t (a regclass)",
    "SELECT (json_populate_record(NULL::pg_catalog.pg_type, '{\"typinput\": #}')).typinput",
    "SELECT (json_populate_record((SELECT t FROM pg_type t LIMIT 1), '{\"typinput\": #}')).typinput",
    "SELECT (json_populate_record((SELECT a FROM pg_am a LIMIT 1), '{\"amhandler\": #}')).amhandler",
    "DEALLOCATE ALL; PREPARE sight (regclass) AS SELECT $1; EXECUTE sight(#)",
    "DO $$ BEGIN RAISE EXCEPTION '%', #::regclass; END $$",
    "DO $$ DECLARE r regclass := #; BEGIN RAISE EXCEPTION '%', r; END $$",
    "SELECT oid FROM pg_class WHERE oid = # UNION ALL SELECT oid FROM pg_proc WHERE oid = # UNION ALL SELECT objid FROM pg_depend WHERE # IN (objid, refobjid)",
];

#[tokio::test(flavor = "multi_thread")]
async fn other_tenants_objects_are_nobodys() {
    let palisade = Installation::start("sight", true);
    let env = palisade.env();
    let victim = connect(&env["PALISADE_URL_GLOBEX_OWNER"]).await;
    victim.batch_execute(OBJECTS).await.unwrap();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let schema: String = admin
        .query_one("SELECT schema_name::text FROM palisade_control.tenants WHERE slug = 'globex'", &[])
        .await
        .unwrap()
        .get(0);
    let rows = admin.query(NUMBERS, &[&schema]).await.unwrap();
    let numbers: Vec<(String, u32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(numbers.len() > 12, "every kind of object is there: {numbers:?}");
    let rows = admin.query(FUNCTIONS, &[]).await.unwrap();
    let functions: Vec<(String, Vec<String>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let client = connect(&env["PALISADE_URL_ACME_OWNER"]).await;
    let mut leaks = Vec::new();
    let mut tried = 0;
    let mut compare = async |what: &str, theirs: (String, &str), nobodys: (String, &str)| {
        tried += 1;
        let (there, not) = (told(&client, &theirs.0).await, told(&client, &nobodys.0).await);
        if there.contains("zqb") && !theirs.0.contains("zqb") || there != not.replace(nobodys.1, theirs.1) {
            leaks.push(format!("{what}: {}\n    {there}\n    {not}", theirs.0));
        }
    };
    for (what, number) in &numbers {
        let (number, nobody) = (number.to_string(), (number + NOBODY).to_string());
        for text in SHOWN {
            let filled = |with: &str| text.replace('#', with);
            compare(what, (filled(&number), &number), (filled(&nobody), &nobody)).await;
        }
        let theirs = calls(&functions, Some(&number), None);
        for (there, not) in theirs.into_iter().zip(calls(&functions, Some(&nobody), None)) {
            compare(what, (there, &number), (not, &nobody)).await;
        }
    }
    let nobody = format!("t_{}", "z".repeat(20));
    for object in ["zqb_pay", "zqb_seq", "zqb_mood", "zqb_fun", ""] {
        let name = |schema: &str| match object {
            "" => format!("'{schema}' || ''"),
            _ => format!("'{schema}.' || '{object}'"),
        };
        let theirs = calls(&functions, None, Some(&name(&schema)));
        for (there, not) in theirs.into_iter().zip(calls(&functions, None, Some(&name(&nobody)))) {
            compare("computed name", (there, &schema), (not, &nobody)).await;
        }
    }
    for cast in [
        "SELECT (@)::regclass",
        "SELECT CAST((@) AS regclass)",
        "DO $$ BEGIN RAISE EXCEPTION '%', (@)::regclass; END $$",
    ] {
        let asked = |schema: &str| cast.replace('@', &format!("'{schema}.' || 'zqb_pay'"));
        compare("computed name", (asked(&schema), &schema), (asked(&nobody), &nobody)).await;
    }
    println!("{tried} questions about {} objects by {} functions", numbers.len(), functions.len());
    assert!(leaks.is_empty(), "{} of {tried} tell:\n{}", leaks.len(), leaks.join("\n"));

    // A type that is given by its number, as drivers give their own.
    for (_, number) in numbers.iter().filter(|(what, _)| what == "type") {
        let typed = async |number: u32| {
            let kind = Type::new("x".into(), number, Kind::Simple, "public".into());
            let error = client.prepare_typed("SELECT $1", &[kind]).await.unwrap_err();
            let error = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
            format!("{} {}", error.code().code(), error.message()).replace(&number.to_string(), "#")
        };
        assert_eq!(typed(*number).await, typed(number + NOBODY).await);
    }
}

/// information_schema's views, whole.
async fn standard_views(client: &Client) {
    client
        .batch_execute(
            "CREATE TABLE parts (a int, b int, PRIMARY KEY (a, b));
             CREATE TABLE uses (x int, y int, FOREIGN KEY (y, x) REFERENCES parts (b, a))",
        )
        .await
        .unwrap();
    for (sql, want) in [
        (
            "SELECT string_agg(position_in_unique_constraint::text, ',' ORDER BY ordinal_position)
             FROM information_schema.key_column_usage WHERE table_name = 'uses'",
            "2,1",
        ),
        // PostgreSQL's own tables are told of as if they were there, and nothing of ours is.
        (
            "SELECT table_schema FROM information_schema.columns WHERE table_name = 'pg_class' AND column_name = 'relispartition'",
            "pg_catalog",
        ),
        (
            "SELECT count(*) FROM information_schema.columns WHERE concat(table_schema, udt_schema, domain_schema) ~ 'palisade|t_'",
            "0",
        ),
    ] {
        assert_eq!(told(client, sql).await, want, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_objects_are_shown_by_name() {
    let palisade = Installation::start("own-sight", true);
    let env = palisade.env();
    let client = connect(&env["PALISADE_URL_ACME_OWNER"]).await;
    client.batch_execute(OBJECTS).await.unwrap();
    standard_views(&client).await;
    for (sql, want) in [
        ("SELECT oid::regclass FROM pg_class WHERE relname = 'zqb_pay'", "zqb_pay"),
        ("SELECT 'zqb_pay'::regclass::oid::regclass", "zqb_pay"),
        ("SELECT conrelid::regclass FROM pg_constraint WHERE conname = 'zqb_pay_pkey'", "zqb_pay"),
        ("SELECT tgfoid::regproc FROM pg_trigger WHERE tgname = 'zqb_trg'", "zqb_fun"),
        (
            "SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'zqb_pay'::regclass AND attname = 'mood'",
            "zqb_mood",
        ),
        ("SELECT typarray::regtype FROM pg_type WHERE typname = 'zqb_mood'", "zqb_mood[]"),
        ("SELECT reltype::regtype FROM pg_class WHERE relname = 'zqb_pay'", "zqb_pay"),
        ("SELECT ARRAY(SELECT 'zqb_pay'::regclass::oid)::regclass[]", "{zqb_pay}"),
        ("SELECT nextval('zqb_seq'::regclass::oid::regclass)", "1"),
        ("SELECT nextval('zqb_' || 'seq')", "2"),
        ("SELECT setval('zqb_seq', 10), currval('zqb_seq')", "10|10"),
        ("SELECT to_regclass('zqb_' || 'pay'), to_regclass('zqb_' || 'none')", "zqb_pay|NULL"),
        ("SELECT 0::regclass, 1259::regclass, 23::regtype, '-'::regproc", "-|pg_class|integer|-"),
        ("SELECT pg_typeof('zqb_low'::zqb_mood), pg_typeof('zqb_pay'::regclass)", "zqb_mood|regclass"),
        ("SELECT to_tsvector('english', 'cats') @@ to_tsquery('english', 'cat')", "t"),
        ("SELECT to_tsvector(c, 'cats') FROM (VALUES ('english'::regconfig)) v (c)", "'cat':1"),
        ("SELECT count(*) > 100 FROM pg_type WHERE typinput = 'array_in'::regproc", "t"),
        ("SELECT definition LIKE '%zqb_salary%' FROM pg_views WHERE viewname = 'zqb_view'", "t"),
        (
            "SELECT view_definition LIKE '%zqb_salary%' FROM information_schema.views WHERE table_name = 'zqb_view'",
            "t",
        ),
        ("SELECT pg_has_role('owner', 'member'), pg_has_role('postgres', 'member')", "t|f"),
    ] {
        assert_eq!(told(&client, sql).await, want, "{sql}");
    }
    // A column and a parameter of such a type work as ever, and are shown as what they are.
    client
        .batch_execute(
            "CREATE TABLE watched (t regclass PRIMARY KEY); INSERT INTO watched VALUES ('zqb_pay');
             CREATE FUNCTION name_of(x regclass) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN x::text; END$$",
        )
        .await
        .unwrap();
    assert_eq!(
        told(&client, "SELECT t, name_of(t), name_of('zqb_seq') FROM watched").await,
        "zqb_pay|zqb_pay|zqb_seq"
    );
    let of = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'watched'::regclass AND attname = 't'";
    assert_eq!(told(&client, of).await, "regclass");
    // Own types by their numbers, as drivers give them.
    let number: u32 = client.query_one("SELECT 'zqb_mood'::regtype::oid", &[]).await.unwrap().get(0);
    let kind = Type::new("zqb_mood".into(), number, Kind::Simple, "public".into());
    for _ in 0..2 {
        let statement = client.prepare_typed("SELECT $1::text", std::slice::from_ref(&kind)).await.unwrap();
        assert_eq!(statement.params()[0].oid(), number);
    }
}

/// The tenant's own names, put together by the server.
#[tokio::test(flavor = "multi_thread")]
async fn own_names_are_found_however_they_are_put_together() {
    let palisade = Installation::start("named", true);
    let client = connect(&palisade.env()["PALISADE_URL_ACME_OWNER"]).await;
    client.batch_execute("CREATE TABLE own_table (a int); CREATE TYPE mood AS ENUM ('x')").await.unwrap();
    for (sql, want) in [
        ("SELECT ('own_' || 'table')::regclass", "own_table"),
        ("SELECT ('public.own_' || 'table')::regclass", "own_table"),
        ("SELECT ('acme.public.own_' || 'table')::regclass", "own_table"),
        (
            "SELECT (quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass FROM information_schema.tables WHERE table_name = 'own_table'",
            "own_table",
        ),
        ("SELECT oid::regclass FROM pg_class WHERE relname = 'own_table'", "own_table"),
        ("SELECT ('PUBLIC.mo' || 'od')::regtype", "mood"),
        ("SELECT ('pg_catalog.in' || 't4')::regtype", "integer"),
        ("SELECT to_regclass('public.' || 'own_table')", "own_table"),
        ("SELECT has_table_privilege('public.own_' || 'table', 'select')", "t"),
        ("SELECT (NULL || 'x')::regclass IS NULL", "t"),
        ("CREATE VIEW naming AS SELECT ('own_table' || '')::regclass AS r", ""),
        ("SELECT pg_get_viewdef('naming')", " SELECT ((('own_table'::text || ''::text)))::regclass AS r;"),
        (
            "SELECT ('no' || 'pe')::regclass",
            "42P01 relation \"nope\" does not exist None None None Some(\"RangeVarGetRelidExtended\")",
        ),
        (
            "SELECT ('other.public.own_' || 'table')::regclass",
            "0A000 cross-database references are not implemented: \"other.public.own_table\" None None None Some(\"RangeVarGetRelidExtended\")",
        ),
    ] {
        assert_eq!(told(&client, sql).await, want, "{sql}");
    }
}

/// Pages that a query of a tenant's owner touches, as PostgreSQL counts them.
async fn pages(admin: &Client, owner: &str, sql: &str) -> i64 {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
    admin.batch_execute(&format!("SET SESSION AUTHORIZATION {owner}")).await.unwrap();
    // The first time fills the caches.
    admin.simple_query(&explain).await.unwrap();
    let plan: serde_json::Value = admin.query_one(&explain, &[]).await.unwrap().get(0);
    admin.batch_execute("RESET SESSION AUTHORIZATION").await.unwrap();
    let count = |what: &str| plan[0]["Plan"][what].as_i64().unwrap();
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

/// What a tenant sees of the catalogs costs it no more because others are there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_sight_costs_no_more_with_more_tenants() {
    const MORE: usize = 12;
    /// For each tenant more, its own rows of the catalogs that are read whole.
    const PAGES: i64 = 30;
    let palisade = Installation::start("scale", true);
    let env = palisade.env();
    let admin = connect(&env["PALISADE_DATABASE_URL"]).await;
    let of = "SELECT schema_name || '_l_owner' FROM palisade_control.tenants WHERE slug = 'acme'";
    let owner: String = admin.query_one(of, &[]).await.unwrap().get(0);
    let queries = [
        "SELECT palisade.schema_names(), palisade.relations(), palisade.types(), palisade.functions()",
        "SELECT * FROM palisade_info.tables WHERE table_schema = 'public'",
        "SELECT * FROM palisade_info.columns WHERE table_schema = 'public'",
        "SELECT * FROM palisade_info.key_column_usage WHERE table_schema = 'public'",
        "SELECT * FROM palisade_info.referential_constraints WHERE constraint_schema = 'public'",
        "SELECT relname FROM palisade.pg_class WHERE relkind = 'r'",
    ];
    let mut before = Vec::new();
    for sql in queries {
        before.push(pages(&admin, &owner, sql).await);
    }
    for n in 0..MORE {
        let slug = serde_json::json!({ "slug": format!("other-{n}") });
        let (status, made) =
            palisade.api("POST", "/api/v1/tenants", &env["PALISADE_ADMIN_TOKEN"], Some(slug)).unwrap();
        assert_eq!(status, 201, "{made}");
    }
    for (sql, before) in queries.into_iter().zip(before) {
        let after = pages(&admin, &owner, sql).await;
        let most = before + PAGES * i64::try_from(MORE).unwrap();
        assert!(after <= most, "{before} pages before, {after} with {MORE} tenants more: {sql}");
    }
}
