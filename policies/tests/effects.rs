//! What texts do to the session: the proxy's pooling decides by it.

use palisade_policies::access::{Access, Action, Class};
use palisade_policies::effect::Scope;
use palisade_policies::{Effect, Limits, read};

fn effects(text: &str) -> Vec<Effect> {
    let reading = read::read(text, &Limits::default()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    reading.statements.into_iter().flat_map(|s| s.effects).collect()
}

fn set(name: &str, value: &str, scope: Scope) -> Vec<Effect> {
    vec![Effect::Set { name: name.into(), value: Some(value.into()), scope }]
}

#[test]
fn settings_follow_the_table() {
    use Scope::{Session, Transaction};
    for (text, want) in [
        ("SET TimeZone = 'UTC'", set("timezone", "'UTC'", Session)),
        ("SET LOCAL work_mem TO 100", set("work_mem", "100", Transaction)),
        ("SET DateStyle = ISO, DMY ; ", set("datestyle", "ISO, DMY", Session)),
        ("SET TIME ZONE 'Asia/Tokyo'", set("timezone", "'Asia/Tokyo'", Session)),
        ("SET TIME ZONE -5", set("timezone", "-5", Session)),
        ("SET TIME ZONE LOCAL", vec![Effect::Set { name: "timezone".into(), value: None, scope: Session }]),
        ("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", vec![Effect::OpaqueSetting]),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            set("default_transaction_read_only", "on", Session),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            set("default_transaction_isolation", "'repeatable read'", Session),
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION NOT DEFERRABLE",
            set("default_transaction_deferrable", "off", Session),
        ),
        (
            "SET restrict_nonsystem_relation_kind = 'view, foreign-table'",
            set("restrict_nonsystem_relation_kind", "'foreign-table'", Session),
        ),
        ("SET TRANSACTION READ ONLY", vec![]),
        ("RESET timezone", vec![Effect::Reset { name: "timezone".into() }]),
        ("RESET ALL", vec![Effect::ResetAll]),
        ("SELECT set_config('app.user', 'o''hara', false)", set("app.user", "'o''hara'", Session)),
        ("SELECT set_config('app.user', 'x', true)", vec![]),
        ("SELECT pg_catalog.set_config('search_path', '', false)", vec![Effect::OpaqueSetting]),
        ("SELECT set_config('app.user', 'x', false) FROM t", vec![Effect::OpaqueSetting]),
        ("SELECT set_config('app.user', 'x', false) WHERE false", vec![Effect::OpaqueSetting]),
        ("SELECT coalesce(set_config('app.user', 'x', false), '')", vec![Effect::OpaqueSetting]),
        ("SELECT set_config('app.user', $1, false)", vec![Effect::OpaqueSetting]),
        ("SELECT (SELECT set_config('app.user', 'x', false))", vec![Effect::OpaqueSetting]),
    ] {
        assert_eq!(effects(text), want, "{text}");
    }
}

/// A setting whose name is the row of `pg_settings` that the condition picks is as good as a constant one.
#[test]
fn settings_named_by_a_row_follow_the_table() {
    for (text, want) in [
        ("SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'work_mem'", "work_mem"),
        (
            "SELECT pg_catalog.set_config(name, 'x', false) FROM pg_catalog.pg_settings WHERE name = 'role'",
            "role",
        ),
        ("SELECT set_config(name, 'x', false) FROM pg_settings", ""),
        ("SELECT set_config(name, 'x', false) FROM pg_settings WHERE name <> 'work_mem'", ""),
        ("SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'a' OR name = 'role'", ""),
        ("SELECT set_config(name, 'x', false) FROM pg_settings AS s(x, name) WHERE name = 'work_mem'", ""),
        ("SELECT set_config(name, 'x', false) FROM own.pg_settings WHERE name = 'work_mem'", ""),
        (
            "WITH pg_settings AS (SELECT 'role' AS name) SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'a'",
            "",
        ),
        ("SELECT (SELECT set_config(name, 'x', false) FROM t) FROM pg_settings WHERE name = 'work_mem'", ""),
        ("SELECT set_config(name, 'x', false) FROM pg_settings, t WHERE name = 'work_mem'", ""),
        ("SELECT set_config(name, 'x', false) FROM pg_settings WHERE name OPERATOR(own.=) 'work_mem'", ""),
    ] {
        let reading = read::read(text, &Limits::default()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        let set = |a: &&Access| a.class == Class::Setting && a.action == Action::Set;
        let names: Vec<&str> =
            reading.statements[0].accesses.iter().filter(set).map(|a| a.name.as_str()).collect();
        assert_eq!(names, [want], "{text}");
    }
}

#[test]
fn other_state_follows_the_table() {
    for (text, want) in [
        ("SELECT 1", vec![]),
        ("BEGIN", vec![Effect::Begin]),
        ("COMMIT", vec![Effect::Commit]),
        ("ROLLBACK TO a", vec![Effect::Savepoint]),
        ("CREATE TEMP TABLE t (a int)", vec![Effect::TempObject]),
        ("CREATE TEMP VIEW v AS SELECT 1", vec![Effect::TempObject]),
        ("CREATE TEMP SEQUENCE s", vec![Effect::TempObject]),
        ("SELECT 1 AS a INTO TEMP t", vec![Effect::TempObject]),
        ("CREATE TEMP TABLE t AS SELECT 1", vec![Effect::TempObject]),
        ("SELECT pg_advisory_lock(1)", vec![Effect::AdvisoryLock]),
        ("SELECT pg_advisory_xact_lock(1)", vec![]),
        ("SELECT pg_try_advisory_lock(1, 2)", vec![Effect::AdvisoryLock]),
        ("SELECT pg_advisory_unlock(1)", vec![Effect::AdvisoryUnlock]),
        ("SELECT pg_advisory_unlock_shared(1)", vec![Effect::AdvisoryUnlock]),
        ("SELECT pg_advisory_unlock_all()", vec![Effect::AdvisoryUnlock]),
        ("CLOSE c", vec![Effect::CloseCursor]),
        ("CLOSE ALL", vec![Effect::CloseCursor]),
        ("SELECT lastval()", vec![Effect::SequenceState]),
        ("SELECT nextval('s')", vec![]),
        ("LISTEN a", vec![Effect::Listen]),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", vec![Effect::HoldCursor]),
        ("DECLARE c CURSOR FOR SELECT 1", vec![]),
        ("PREPARE p AS SELECT 1", vec![Effect::Prepare { name: "p".into() }]),
        ("DEALLOCATE ALL", vec![Effect::Deallocate { name: None }]),
        ("DISCARD ALL", vec![Effect::DiscardAll]),
        ("DISCARD TEMP", vec![Effect::Discard]),
        ("DO $$ BEGIN END $$", vec![Effect::Opaque]),
    ] {
        assert_eq!(effects(text), want, "{text}");
    }
}
