//! Texts that sqlparser reads wrong while PostgreSQL reads the secret: each is read right or refused.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its figures"
)]

use palisade_policies::{Class, Limits, read};

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
        "SELECT int4range(1,2) &>'empty', pw FROM secret --'",
        "SELECT pw and FROM secret",
        "SELECT pw or FROM secret",
        "SELECT pw like FROM secret",
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

#[test]
fn deep_statements_at_the_limit_do_not_overflow_the_stack() {
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(|| {
            for text in [
                format!("SELECT 1{}", "+1".repeat(4_000)),
                format!("SELECT {}1{}", "(".repeat(4_000), ")".repeat(4_000)),
                format!("SELECT 1{}", " UNION SELECT 1".repeat(3_000)),
                format!("SELECT true{}", " AND NOT true".repeat(4_000)),
                format!("SELECT {}1{}", "(SELECT ".repeat(1_000), ")".repeat(1_000)),
            ] {
                // Read or refused, but never a crash.
                let _ = read::read(&text, &Limits::default());
            }
        })
        .unwrap()
        .join()
        .unwrap();
}
