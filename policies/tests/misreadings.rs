//! Texts that sqlparser reads wrong while PostgreSQL reads the secret: each is read right or refused.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its figures"
)]

use palisade_policies::{Class, Judge, Limits, Namespace, Verdict, read};

/// Whether the text is refused, or its reading names the relation `secret`.
fn caught(text: &str) -> bool {
    match read::read(text, &Limits::default()) {
        Err(_) => true,
        Ok(reading) => reading
            .statements
            .iter()
            .flat_map(|s| &s.accesses)
            .any(|a| a.class == Class::Relation && a.name == "secret"),
    }
}

#[test]
fn every_family_of_misreadings_is_caught() {
    let texts = [
        "SELECT pw end FROM secret",
        "SELECT 1 end; SELECT pw FROM secret",
        "DELETE FROM t RETURNING a end, (SELECT pw FROM secret)",
        "SELECT 'a' ||-- '\n (SELECT pw FROM secret) -- '",
        "SELECT 5 ~-- '\n (SELECT pw FROM secret) -- '",
        "SELECT 5 #-- '\n (SELECT pw FROM secret) -- '",
        "SELECT 5 %-- '\n (SELECT pw FROM secret) -- '",
        "SELECT 5 ?-- '\n (SELECT pw FROM secret) -- '",
        "SELECT 5 #>-- '\n (SELECT pw FROM secret) -- '",
        "SELECT int4range(1,2) &>'empty', pw FROM secret --'",
        "SELECT pw and FROM secret",
        "SELECT pw or FROM secret",
        "SELECT pw like FROM secret",
        "SELECT pw ilike FROM secret",
        "SELECT pw xor FROM secret",
        "SELECT pw rlike FROM secret",
        "SELECT pw regexp FROM secret",
        "SELECT pw collate FROM secret",
        "SELECT (SELECT interval FROM secret LIMIT 1)",
        "SELECT * FROM ONLY secret",
        "SELECT * FROM ONLY (secret)",
        "UPDATE ONLY secret SET a = 1",
        "DELETE FROM ONLY secret",
        "SELECT 'x' UNION ALL TABLE secret",
        "CREATE TABLE n AS TABLE secret",
        "DECLARE c CURSOR FOR TABLE secret",
        "SELECT * INTO secret FROM t",
        "SELECT * INTO s.secret FROM t",
        "UPDATE replace secret SET a = (SELECT pw FROM secret)",
        "SELECT X'41\\', (SELECT pw FROM secret) -- '",
        "SELECT * FROM ROWS FROM (f((SELECT pw FROM secret)))",
        "SELECT f(VARIADIC ARRAY(SELECT pw FROM secret))",
        "WITH RECURSIVE r AS (SELECT pw FROM secret UNION SELECT * FROM r) SEARCH DEPTH FIRST BY pw SET o SELECT * FROM r",
        "SELECT * FROM JSON_TABLE((SELECT pw FROM secret), '$' PASSING 1 AS a COLUMNS (b int))",
        "SELECT typ 'lit', pw FROM secret",
        "SELECT 'a' 'b' FROM secret",
        "SELECT 'a'\n'b', pw FROM secret",
        "COPY secret TO STDOUT",
        "DROP TABLE secret",
        "GRANT SELECT ON secret TO PUBLIC",
        "COMMENT ON TABLE secret IS 'x'",
        "CREATE TABLE n (a int REFERENCES secret)",
        "CREATE TABLE n () INHERITS (secret)",
        "CREATE TABLE n (LIKE secret)",
        "CREATE TRIGGER g BEFORE INSERT ON secret EXECUTE FUNCTION f()",
        "ALTER SEQUENCE q OWNED BY secret.id",
        "VACUUM secret",
        "WITH a AS (SELECT * FROM secret) SELECT * FROM a",
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "WITH secret AS (SELECT 1) INSERT INTO secret SELECT * FROM secret",
        "SELECT (WITH secret AS (SELECT 1) SELECT 1), pw FROM secret",
        "PREPARE p AS SELECT * FROM secret",
        "EXPLAIN ANALYZE SELECT * FROM secret",
        "SELECT 'secret'::regclass",
        "SELECT regclass 'secret'",
        "SELECT nextval('secret')",
        "SELECT * FROM U&\"secret\"",
        "MERGE INTO t USING secret ON true WHEN MATCHED THEN DELETE",
        "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = (SELECT pw FROM secret)",
        "SELECT * FROM t TABLESAMPLE system ((SELECT pw FROM secret))",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT pw FROM secret'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT pw FROM secret; END",
        "CREATE VIEW v AS SELECT * FROM secret",
        "CREATE RULE r AS ON INSERT TO t DO ALSO SELECT * FROM secret",
        "CREATE POLICY p ON t USING (EXISTS (SELECT 1 FROM secret))",
        "SELECT * FROM t FOR UPDATE OF t, (SELECT pw FROM secret)",
    ];
    let missed: Vec<_> = texts.iter().filter(|text| !caught(text)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The names of relations that a text uses, as both readers see them.
fn relations(text: &str) -> Vec<String> {
    let reading = read::read(text, &Limits::default()).unwrap();
    let accesses = reading.statements.into_iter().flat_map(|s| s.accesses);
    accesses.filter(|a| a.class == Class::Relation).map(|a| a.name).collect()
}

#[test]
fn names_are_cut_where_postgresql_cuts_them() {
    let long = "s".repeat(63);
    let want = vec![long.clone()];
    for written in
        [format!("{long}x"), format!("\"{long}yz\""), format!("S{long}"), format!("U&\"\\0073{long}\"")]
    {
        assert_eq!(relations(&format!("SELECT * FROM {written}")), want, "{written}");
    }
    // Never inside a character: 62 bytes and one of two.
    let cut = "s".repeat(62);
    assert_eq!(relations(&format!("SELECT * FROM \"{cut}é\"")), [cut]);
}

#[test]
fn what_a_newer_grammar_reads_as_a_function_is_judged_as_a_relation_too() {
    assert!(relations("SELECT * FROM pg_new_thing").contains(&"pg_new_thing".to_owned()));
    let reading = read::read("SELECT * FROM system_user", &Limits::default()).unwrap();
    assert!(!reading.statements[0].accesses.is_empty());
}

#[test]
fn settings_that_change_how_text_is_read_stay_where_they_are() {
    let judge = Judge::embedded().unwrap();
    let limits = Limits::default();
    let namespace =
        Namespace { kind: "owner".into(), schema: "t_a".into(), database: "acme".into(), shared: Vec::new() };
    for text in [
        "SET standard_conforming_strings = off; SELECT 'a\\' , ' || (SELECT pw FROM secret) -- '",
        "SET standard_conforming_strings = off",
        "SET LOCAL standard_conforming_strings TO 'off'",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SELECT set_config('standard_' || 'conforming_strings', 'off', false)",
        "SET client_encoding = 'GBK'",
        "SET NAMES 'SJIS'",
        "SET CLIENT_ENCODING TO big5",
        "SELECT set_config('client_encoding', 'GBK', true)",
        "SET backslash_quote = on",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET client_encoding = 'GBK' AS 'SELECT 1'",
        "ALTER FUNCTION f() SET standard_conforming_strings = off",
    ] {
        let verdict =
            read::read(text, &limits).map(|reading| judge.judge(text, &reading, &namespace, &limits));
        assert!(!matches!(verdict, Ok(Verdict::Permit(_))), "{text}");
    }
}

#[test]
fn names_of_common_table_expressions_are_not_relations() {
    for text in [
        "WITH secret AS (SELECT 1) SELECT * FROM secret",
        "WITH RECURSIVE secret AS (SELECT 1 UNION ALL SELECT * FROM secret) SELECT * FROM secret",
        "WITH a AS (SELECT 1), secret AS (SELECT * FROM a) SELECT (SELECT count(*) FROM secret)",
    ] {
        assert!(!caught(text), "{text}");
    }
}
