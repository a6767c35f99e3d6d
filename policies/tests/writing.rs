//! What a writing statement does to its target, as PostgreSQL asks privileges for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use palisade_policies::{Class, Judge, Limits, Namespace, Verdict, judge::MODEL, judge::POLICY, read};

#[test]
fn every_action_on_a_target_is_read() {
    for (sql, actions) in [
        ("INSERT INTO t VALUES (1)", "insert"),
        ("INSERT INTO t SELECT a FROM u", "insert"),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "insert"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING", "insert select"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", "insert update select"),
        ("INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT c DO UPDATE SET b = excluded.b", "insert update select"),
        ("INSERT INTO t VALUES (1) RETURNING *", "insert select"),
        ("INSERT INTO t VALUES (1) RETURNING 1", "insert"),
        ("UPDATE t SET b = 1", "update"),
        ("UPDATE t SET b = b + 1", "update select"),
        ("UPDATE t SET (a, b) = (SELECT 1, a)", "update select"),
        ("UPDATE t SET b = 1 WHERE a = 2", "update select"),
        ("UPDATE t SET b = 1 RETURNING b", "update select"),
        ("DELETE FROM t", "delete"),
        ("DELETE FROM t WHERE a = 1", "delete select"),
        ("DELETE FROM t RETURNING t.*", "delete select"),
        ("WITH d AS (DELETE FROM t RETURNING a) SELECT * FROM d", "delete select"),
        ("MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT VALUES (1)", "select insert"),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", "select update"),
        (
            "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND t.b = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET b = 1
             WHEN NOT MATCHED THEN INSERT VALUES (1)",
            "select insert update delete",
        ),
        ("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DO NOTHING", "select"),
    ] {
        let reading = read::read(sql, &Limits::default()).unwrap();
        let accesses = reading.statements.iter().flat_map(|s| &s.accesses);
        let on_t = accesses.filter(|a| a.class == Class::Relation && a.name == "t").map(|a| a.action.word());
        assert_eq!(on_t.collect::<Vec<_>>().join(" "), actions, "{sql}");
    }
}

#[test]
fn a_rule_about_one_table_holds_in_every_way_of_writing() {
    let policy = format!(
        "{POLICY}\np, app, relation, @own, secret, select, deny\np, app, relation, @own, kept, update|delete, deny\n"
    );
    let judge = Judge::new(MODEL, &policy, 2).unwrap();
    let namespace = Namespace {
        kind: "app".into(),
        schema: "t_aaaaaaaaaaaaaaaaaaaa".into(),
        database: "acme".into(),
        shared: Vec::new(),
    };
    for (sql, permitted) in [
        ("INSERT INTO secret VALUES (1)", true),
        ("INSERT INTO secret VALUES (1) RETURNING *", false),
        ("UPDATE secret SET a = a RETURNING a", false),
        ("UPDATE secret SET a = 1 WHERE a > 5", false),
        ("DELETE FROM secret RETURNING *", false),
        ("INSERT INTO public.kept VALUES (1)", true),
        ("INSERT INTO public.kept VALUES (1) ON CONFLICT (a) DO NOTHING", true),
        ("INSERT INTO public.kept VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", false),
        ("MERGE INTO kept USING users u ON kept.a = u.a WHEN NOT MATCHED THEN INSERT VALUES (1)", true),
        ("MERGE INTO kept USING users u ON kept.a = u.a WHEN MATCHED THEN DELETE", false),
        ("MERGE INTO kept USING users u ON kept.a = u.a WHEN MATCHED THEN UPDATE SET b = 1", false),
    ] {
        let reading = read::read(sql, &Limits::default()).unwrap();
        let verdict = judge.judge(sql, &reading, &namespace, &Limits::default());
        assert_eq!(matches!(verdict, Verdict::Permit(_)), permitted, "{sql}");
    }
}
