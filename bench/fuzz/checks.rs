//! What must hold for any bytes: asked by the coverage-guided targets beside this file, and by `short.rs` for inputs that
//! are made from the corpora.

use std::sync::LazyLock;

use palisade_policies::judge::{MODEL, POLICY};
use palisade_policies::{Judge, Limits, Namespace, Verdict, read};
use palisade_proxy::measured::scan;
use palisade_wire::error::Fields;
use palisade_wire::{frame, startup};

/// The other tenant's schema.
const OTHER: &str = "t_bbbbbbbbbbbbbbbbbbbb";

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::new(MODEL, POLICY, 1).expect("the policy compiles"));

/// Bytes of a client before it is known, and of a server: nothing panics, and what is read of an error is written again.
#[allow(dead_code, reason = "each target asks for one")]
pub(crate) fn frames(bytes: &[u8]) {
    let _ = startup::first(bytes);
    for asked in 0..3 {
        let _ = scan(bytes, asked);
    }
    if let Some((text, rest)) = frame::c_string(bytes) {
        assert_eq!(text.len() + 1 + rest.len(), bytes.len());
    }
    if let Some(fields) = Fields::read(bytes) {
        let message = fields.message(b'E');
        let again = Fields::read(&message[frame::HEADER_BYTES..]);
        assert_eq!(again, Some(fields), "an error is not written as it was read");
    }
    let message = frame::message(b'D', bytes);
    assert_eq!(frame::header(&message), Ok(Some(frame::Header { tag: b'D', body: bytes.len() })));
}

/// Texts of a hostile tenant: read, judged and rewritten. Nothing panics; a text that is permitted names nothing of
/// another tenant; a rewritten text is read again as PostgreSQL will read it, and nothing more has to be done to it.
#[allow(dead_code, reason = "each target asks for one")]
pub(crate) fn statements(bytes: &[u8]) {
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
        let wide =
            Limits { statement_bytes: limits.statement_bytes.max(rewritten.len()), operators, ..limits };
        assert!(
            read::read(&rewritten, &wide).is_ok(),
            "rewritten for {kind}, it cannot be read: {rewritten}"
        );
    }
}
