//! Texts of a hostile tenant: read, judged and rewritten. Nothing panics; a text that is permitted names nothing of
//! another tenant; a rewritten text is read again as PostgreSQL will read it, and nothing more has to be done to it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use palisade_policies::judge::{MODEL, POLICY};
use palisade_policies::{Judge, Limits, Namespace, Verdict, read};

/// The other tenant's schema.
const OTHER: &str = "t_bbbbbbbbbbbbbbbbbbbb";

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::new(MODEL, POLICY, 1).expect("the policy compiles"));

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let Ok((text, reading)) = read::read_bytes(bytes, &limits) else { return };
    for kind in ["owner", "app", "readonly"] {
        let namespace = Namespace {
            kind: kind.into(),
            schema: "t_aaaaaaaaaaaaaaaaaaaa".into(),
            database: "acme".into(),
            shared: vec!["ext".into()],
        };
        let Verdict::Permit(permit) = JUDGE.judge(text, &reading, &namespace, &limits) else { continue };
        for access in reading.statements.iter().flat_map(|s| &s.accesses) {
            assert_ne!(access.schema.as_deref(), Some(OTHER), "permitted for {kind}");
        }
        let Some(rewritten) = permit.rewritten else { continue };
        // Names of ours are longer than the tenant's.
        let operators = limits.operators + permit.patches.len();
        let wide = Limits { statement_bytes: limits.statement_bytes.max(rewritten.len()), operators, ..limits };
        assert!(read::read(&rewritten, &wide).is_ok(), "rewritten for {kind}, it cannot be read: {rewritten}");
    }
});
