//! Properties of every text that is permitted, over made-up statements: names in any spelling, comments and constants
//! that look like names between them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use palisade_policies::{Judge, Limits, Namespace, Permit, Reader, Verdict, read};
use proptest::prelude::*;

const OWN: &str = "t_aaaaaaaaaaaaaaaaaaaa";
const FOREIGN: &str = "t_bbbbbbbbbbbbbbbbbbbb";

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge::embedded().unwrap());

/// `@r` is a relation, `@f` a function, `@t` a type, `@c` a constant, `_` what may stand between two words.
const SHAPES: [&str; 24] = [
    "SELECT_*_FROM_@r",
    "SELECT_a.id,_@f(@c)_FROM_@r_AS_a_JOIN_@r_AS_b_ON_a.id_=_b.id_WHERE_a.name_=_@c",
    "SELECT_@c,_(SELECT_count(*)_FROM_@r)_FROM_@r",
    "WITH_w_AS_(SELECT_*_FROM_@r)_SELECT_*_FROM_w,_@r",
    "INSERT_INTO_@r_VALUES_(@c,_@f(1))_RETURNING_id",
    "INSERT_INTO_@r_SELECT_*_FROM_@r_ON_CONFLICT_DO_NOTHING",
    "UPDATE_@r_SET_a_=_@c_FROM_@r_AS_o_WHERE_o.id_=_1",
    "DELETE_FROM_@r_USING_@r_AS_o_WHERE_o.name_=_@c",
    "MERGE_INTO_@r_AS_m_USING_@r_AS_n_ON_m.id_=_n.id_WHEN_MATCHED_THEN_DELETE",
    "TRUNCATE_@r,_@r",
    "COPY_@r_TO_STDOUT",
    "LOCK_TABLE_@r",
    "CREATE_TABLE_@r_(a_@t,_b_int_REFERENCES_@r)",
    "CREATE_TABLE_n_(LIKE_@r)",
    "CREATE_VIEW_v_AS_SELECT_@c::@t_FROM_@r",
    "CREATE_INDEX_ON_@r_(a)",
    "ALTER_TABLE_@r_ADD_COLUMN_b_@t_DEFAULT_@c",
    "DROP_TABLE_@r",
    "COMMENT_ON_TABLE_@r_IS_@c",
    "GRANT_SELECT_ON_@r_TO_app",
    "CREATE_TRIGGER_g_BEFORE_INSERT_ON_@r_FOR_EACH_ROW_EXECUTE_FUNCTION_@f()",
    "EXPLAIN_SELECT_*_FROM_ONLY_@r",
    "PREPARE_p_AS_SELECT_*_FROM_@r_WHERE_a_=_$1",
    "SELECT_*_FROM_@r_UNION_ALL_TABLE_@r;_DELETE_FROM_@r",
];

fn word(name: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(name.to_owned()),
        Just(name.to_ascii_uppercase()),
        Just(format!("\"{name}\"")),
        // The first letter by its number.
        Just(format!("U&\"\\{:04x}{}\"", name.as_bytes()[0], &name[1..])),
    ]
}

/// A schema with its dot, and whether the tenant may use it.
fn schema() -> impl Strategy<Value = (String, bool)> {
    let dotted = |name, own| word(name).prop_map(move |written| (format!("{written}."), own));
    prop_oneof![
        3 => Just((String::new(), true)),
        3 => dotted("public", true),
        1 => dotted("ext", true),
        1 => dotted(FOREIGN, false),
        1 => dotted("secret", false),
        1 => dotted("palisade_control", false),
    ]
}

fn thing(names: [&'static str; 4]) -> impl Strategy<Value = (String, bool)> {
    let name = proptest::sample::select(names.to_vec()).prop_flat_map(word);
    (schema(), name).prop_map(|((schema, own), name)| (format!("{schema}{name}"), own))
}

fn constant() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "'public.users'",
        "'a''b -- public.'",
        "E'\\'public.x'",
        "$$ public.users $$",
        "$a$ $$ public. $a$",
        "U&'\\0070ublic'",
        "'ä public.'",
    ])
    .prop_map(str::to_owned)
}

fn gap() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        " ",
        "\n\t ",
        " /* public.users */ ",
        " -- public.x\n",
        " /* /* t_b. */ ' */ ",
        "\r\n",
    ])
}

/// A text, and whether all its names are in schemas of the tenant.
fn texts() -> impl Strategy<Value = (String, bool)> {
    let relations = proptest::collection::vec(thing(["users", "orders", "public", "pub"]), 4);
    let functions = proptest::collection::vec(thing(["f", "total", "publish", "do_it"]), 2);
    let types = proptest::collection::vec(thing(["mood", "money2", "pos", "public"]), 2);
    let constants = proptest::collection::vec(constant(), 3);
    let gaps = proptest::collection::vec(gap(), 40);
    (proptest::sample::select(SHAPES.to_vec()), relations, functions, types, constants, gaps).prop_map(
        |(shape, mut relations, mut functions, mut types, mut constants, mut gaps)| {
            let (mut text, mut own, mut kind) = (String::new(), true, false);
            for c in shape.chars() {
                let (part, good) = match c {
                    '@' => {
                        kind = true;
                        continue;
                    }
                    'r' if kind => relations.pop().unwrap(),
                    'f' if kind => functions.pop().unwrap(),
                    't' if kind => types.pop().unwrap(),
                    'c' if kind => (constants.pop().unwrap(), true),
                    '_' => (gaps.pop().unwrap().to_owned(), true),
                    _ => (c.to_string(), true),
                };
                kind = false;
                text.push_str(&part);
                own &= good;
            }
            (text, own)
        },
    )
}

fn judged(text: &str) -> Result<Permit, String> {
    let limits = Limits::default();
    let namespace = Namespace {
        kind: "owner".into(),
        schema: OWN.into(),
        database: "acme".into(),
        shared: vec!["ext".into()],
    };
    let reading = read::read(text, &limits).map_err(|e| e.message)?;
    match JUDGE.judge(text, &reading, &namespace, &limits) {
        Verdict::Permit(permit) => Ok(permit),
        Verdict::Deny(denial) => Err(denial.message),
    }
}

/// Whether the shared schema is named: what may be done in it depends on the statement.
fn shares(text: &str) -> bool {
    ["ext.", "\"ext\".", "EXT.", "0065xt\"."].iter().any(|written| text.contains(written))
}

/// Bytes outside the patches stand as they stood, and every patch replaces `public` or stands before a name.
fn patches_alone_changed(text: &str, permit: &Permit) {
    let Some(rewritten) = &permit.rewritten else { return assert!(permit.patches.is_empty()) };
    let (mut rest, mut from) = (rewritten.as_str(), 0);
    for patch in &permit.patches {
        let same = &text[from..patch.range.start];
        rest = rest.strip_prefix(same).unwrap().strip_prefix(&*patch.text).unwrap();
        let replaced = text[patch.range.clone()].to_ascii_lowercase();
        let public = matches!(&*replaced, "public" | "\"public\"" | "u&\"\\0070ublic\"");
        assert!(public && patch.text == OWN || replaced == "app", "{replaced} became {}", patch.text);
        from = patch.range.end;
    }
    assert_eq!(rest, &text[from..]);
}

/// What is sent names, as PostgreSQL reads it, nothing outside the tenant's schema and the shared one.
fn names_nothing_foreign(sent: &str) {
    let reading = read::read(sent, &Limits::default()).unwrap();
    for access in reading.statements.iter().flat_map(|s| &s.accesses) {
        let schema = access.schema.as_deref().filter(|_| access.reader == Reader::Grammar);
        assert!(matches!(schema, None | Some(OWN | "ext" | "pg_catalog")), "{schema:?} in {sent}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_permitted_stays_at_home_and_only_names_change((text, own) in texts()) {
        match judged(&text) {
            Ok(permit) => {
                prop_assert!(own, "a foreign schema was permitted: {}", text);
                patches_alone_changed(&text, &permit);
                let sent = permit.rewritten.as_deref().unwrap_or(&text);
                names_nothing_foreign(sent);
                // The tenant may write its physical schema too: then nothing is left to change.
                if !sent.contains("_l_app") {
                    let again = judged(sent);
                    prop_assert!(matches!(again, Ok(Permit { rewritten: None, .. })), "{} again: {:?}", sent, again);
                }
            }
            Err(message) => prop_assert!(!own || shares(&text), "{}: {}", text, message),
        }
    }

    #[test]
    fn any_text_is_answered(text in "[a-zA-Z0-9_.,;:()'\"$&*=<>|/ \\-\n@\\\\éß]{0,80}") {
        let _ = judged(&text);
    }

    #[test]
    fn any_mutation_is_answered_and_stays_at_home((text, _) in texts(), at in 0usize..200, insert in "[ -~]{0,4}", drop in 0usize..4) {
        let chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let rest = (at + drop).min(chars.len());
        let mutated: String = chars[..at].iter().chain(insert.chars().collect::<Vec<_>>().iter()).chain(&chars[rest..]).collect();
        if let Ok(permit) = judged(&mutated) {
            let sent = permit.rewritten.as_deref().unwrap_or(&mutated);
            let reading = read::read(sent, &Limits::default()).unwrap();
            let foreign = reading.statements.iter().flat_map(|s| &s.accesses).any(|a| a.schema.as_deref() == Some(FOREIGN));
            prop_assert!(!foreign, "{}", sent);
        }
    }
}
