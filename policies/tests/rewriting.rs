//! What is sent instead of what a tenant writes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use palisade_policies::{Judge, Limits, Namespace, Verdict, read};

const SCHEMA: &str = "t_aaaaaaaaaaaaaaaaaaaa";

fn sent(text: &str) -> Result<String, String> {
    let limits = Limits::default();
    let namespace = Namespace {
        kind: "owner".into(),
        schema: SCHEMA.into(),
        database: "acme".into(),
        shared: vec!["ext".into()],
    };
    let reading = read::read(text, &limits).map_err(|e| e.message)?;
    match Judge::embedded().unwrap().judge(text, &reading, &namespace, &limits) {
        Verdict::Permit(permit) => {
            Ok(permit.rewritten.unwrap_or_else(|| text.to_owned()).replace(SCHEMA, "T"))
        }
        Verdict::Deny(denial) => Err(denial.message),
    }
}

#[test]
fn names_become_physical_where_they_stand() {
    for (text, want) in [
        ("SELECT * FROM public.users", "SELECT * FROM T.users"),
        (
            "SELECT current_user, session_user, user",
            "SELECT palisade.current_user(), palisade.session_user(), palisade.user()",
        ),
        ("SELECT pg_notify('a', 'b')", "SELECT palisade.pg_notify('a', 'b')"),
        ("SELECT pg_catalog.pg_advisory_lock(1)", "SELECT palisade.pg_advisory_lock(1)"),
        (
            "SELECT has_table_privilege(current_user, 'public.users', 'select')",
            "SELECT palisade.has_table_privilege(palisade.current_user(), 'T.users', 'select')",
        ),
        ("GRANT SELECT ON users TO app, readonly", "GRANT SELECT ON users TO T_l_app, T_l_readonly"),
        ("ALTER TABLE users OWNER TO owner", "ALTER TABLE users OWNER TO T_owner"),
        ("ALTER SCHEMA public OWNER TO owner", "ALTER SCHEMA T OWNER TO T_owner"),
        ("ALTER TABLE users OWNER TO CURRENT_USER", "ALTER TABLE users OWNER TO CURRENT_USER"),
        ("SELECT a COLLATE public.german FROM users", "SELECT a COLLATE T.german FROM users"),
        ("SELECT 1 OPERATOR(public.+) 2", "SELECT 1 OPERATOR(T.+) 2"),
        (
            "ALTER TABLE public.a ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME public.s START WITH 1)",
            "ALTER TABLE T.a ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME T.s START WITH 1)",
        ),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "REVOKE USAGE ON SCHEMA T FROM PUBLIC"),
        ("SET default_tablespace = ''", "SET default_tablespace = ''"),
        ("SHOW search_path ;", "SELECT palisade.search_path() AS search_path ;"),
        ("SHOW timezone", "SHOW timezone"),
        // The filtered catalogs are views.
        (
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "SELECT set_config(name, 'foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
        ),
        ("SET restrict_nonsystem_relation_kind = 'VIEW'", "SET restrict_nonsystem_relation_kind = ''"),
        ("SELECT pg_stat_get_numscans(1)", "SELECT palisade.pg_stat_get_numscans(1)"),
        ("SELECT 'pg_catalog.pg_class'::regclass", "SELECT 'pg_catalog.pg_class'::regclass"),
        ("SELECT 'public.users'::regclass", "SELECT 'T.users'::regclass"),
        ("SELECT ext.digest('a')", "SELECT ext.digest('a')"),
        // Something computed may be a name that begins with the schema.
        ("SELECT (a || b)::regclass", "SELECT (a || b)::palisade.named::palisade.regclass"),
        (
            "SELECT CAST (a || b AS regclass)",
            "SELECT CAST(CAST (a || b AS palisade.named) AS palisade.regclass)",
        ),
        (
            "SELECT * FROM cast('public.' || a AS pg_catalog.regtype)",
            "SELECT * FROM CAST(cast('public.' || a AS palisade.named) AS palisade.regtype)",
        ),
        ("SELECT CAST('public.users' AS regclass)", "SELECT CAST('T.users' AS regclass)"),
        ("SELECT CAST($1 AS regclass)", "SELECT CAST($1 AS palisade.regclass)"),
    ] {
        assert_eq!(sent(text).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn names_by_numbers_are_read_wherever_names_stand() {
    for (text, want) in [
        ("SELECT * FROM U&\"\\0070ublic\".users", "SELECT * FROM T.users"),
        ("SELECT U&\"\\0070ublic\".f(a) FROM u&\"us\\+000065rs\"", "SELECT T.f(a) FROM u&\"us\\+000065rs\""),
        ("SELECT * FROM U&\"!0070ublic\" UESCAPE '!'.users", "SELECT * FROM T.users"),
        ("DROP TABLE U&\"\\0070ublic\".a, public.b", "DROP TABLE T.a, T.b"),
        (
            "DROP TABLE U&\"d!0070ublic\" /* x */ UESCAPE -- y\n '!'",
            "DROP TABLE U&\"d!0070ublic\" /* x */ UESCAPE -- y\n '!'",
        ),
        ("COMMENT ON FUNCTION U&\"\\0070ublic\".f(int) IS 'x'", "COMMENT ON FUNCTION T.f(int) IS 'x'"),
        ("ALTER TABLE a OWNER TO U&\"\\006fwner\"", "ALTER TABLE a OWNER TO T_owner"),
        ("LISTEN U&\"\\0061\"", "LISTEN \"T:a\""),
        ("CREATE TABLE a (b U&\"\\0070ublic\".mood)", "CREATE TABLE a (b T.mood)"),
        ("SELECT a COLLATE U&\"\\0070ublic\".german FROM b", "SELECT a COLLATE T.german FROM b"),
        ("SELECT 1 OPERATOR(U&\"\\0070ublic\".+) 2", "SELECT 1 OPERATOR(T.+) 2"),
        ("SELECT * FROM U&\"\\0070g_class\"", "SELECT * FROM palisade.U&\"\\0070g_class\""),
        ("SELECT U&'\\0070ublic.users'::regclass", "SELECT 'T.users'::regclass"),
        ("SELECT E'public.users'::regclass", "SELECT 'T.users'::regclass"),
        (
            "SELECT $$public.users$$::regclass, nextval($a$public.s$a$)",
            "SELECT 'T.users'::regclass, nextval('T.s')",
        ),
        (
            "DO $$ BEGIN INSERT INTO U&\"\\0070ublic\".log VALUES (1); END $$",
            "DO $$ BEGIN INSERT INTO T.log VALUES (1); END $$",
        ),
        (
            "DO $$ BEGIN PERFORM CAST(a || b AS regclass); END $$",
            "DO $$ BEGIN PERFORM CAST(a || b AS palisade.named)::palisade.regclass; END $$",
        ),
    ] {
        assert_eq!(sent(text).as_deref(), Ok(want), "{text}");
    }
    for foreign in [
        "SELECT * FROM U&\"\\006fther\".users",
        "DROP TABLE U&\"!006fther\" UESCAPE '!'.users",
        "SELECT U&'\\006fther.users'::regclass",
        "SELECT $$other.users$$::regclass",
    ] {
        assert!(sent(foreign).is_err(), "{foreign}");
    }
}

#[test]
fn foreign_names_are_refused_wherever_they_stand() {
    for text in [
        "ALTER TABLE a ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME other.s)",
        "CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME other.s))",
        "SET default_tablespace = 'other'",
        "GRANT USAGE ON SCHEMA other TO PUBLIC",
        "ALTER SCHEMA other OWNER TO owner",
        "ALTER SCHEMA public OWNER TO somebody",
        "ALTER SCHEMA public RENAME TO other",
    ] {
        assert!(sent(text).is_err(), "{text}");
    }
}

#[test]
fn bodies_are_rewritten_where_they_are_dollar_quoted() {
    let function = |body: &str| format!("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS {body}");
    for (body, want) in [
        (
            "$$ BEGIN PERFORM pg_notify('a', NEW.id::text); RETURN NEW; END $$",
            "$$ BEGIN PERFORM palisade.pg_notify('a', NEW.id::text); RETURN NEW; END $$",
        ),
        (
            "$x$ BEGIN INSERT INTO public.log VALUES (current_user); PERFORM pg_catalog.pg_advisory_xact_lock(1); END $x$",
            "$x$ BEGIN INSERT INTO T.log VALUES (palisade.current_user()); PERFORM palisade.pg_advisory_xact_lock(1); END $x$",
        ),
        // Catalogs that are read, and functions that tell of objects by number.
        (
            "$$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace, information_schema.tables WHERE pg_type.typname = 'mood' AND obj_description(t.oid, 'pg_type') IS NULL) THEN RETURN NULL; END IF; END $$",
            "$$ BEGIN IF NOT EXISTS (SELECT 1 FROM palisade.pg_type t JOIN palisade.pg_namespace n ON n.oid = t.typnamespace, palisade_info.tables WHERE pg_type.typname = 'mood' AND palisade.obj_description(t.oid, 'pg_type') IS NULL) THEN RETURN NULL; END IF; END $$",
        ),
        (
            "$$ DECLARE r pg_class%ROWTYPE; BEGIN SELECT 'pg_class'::regclass FROM pg_settings; END $$",
            "$$ DECLARE r pg_class%ROWTYPE; BEGIN SELECT 'pg_class'::regclass FROM pg_settings; END $$",
        ),
        // Fields, strings, other people's functions and comments are left alone.
        (
            "$$ BEGIN NEW.public := 'public.x pg_notify('; -- public.y\n PERFORM mine.pg_notify(1); END $$",
            "$$ BEGIN NEW.public := 'public.x pg_notify('; -- public.y\n PERFORM mine.pg_notify(1); END $$",
        ),
    ] {
        assert_eq!(sent(&function(body)), Ok(function(want)), "{body}");
    }
    assert_eq!(
        sent("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM public.users $$")
            .as_deref(),
        Ok("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM T.users $$"),
    );
    assert_eq!(
        sent("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM pg_class c, pg_catalog.pg_language $$")
            .as_deref(),
        Ok("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM palisade.pg_class c, pg_catalog.pg_language $$"),
    );
    // A quoted body cannot be patched where its quotes are doubled.
    assert!(
        sent("CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.users'")
            .is_err()
    );
    assert_eq!(
        sent("DO $$ BEGIN PERFORM pg_notify('a', 'b'); END $$").as_deref(),
        Ok("DO $$ BEGIN PERFORM palisade.pg_notify('a', 'b'); END $$"),
    );
}
