//! The whole matrix of the policy that comes with Palisade, role kind × action × object, as a golden file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use palisade_policies::judge::{EMBEDDED_EPOCH, MODEL};
use palisade_policies::{Action, Class, Judge};

const KINDS: [&str; 3] = ["owner", "app", "readonly"];
const PLACES: [&str; 11] = [
    "@own",
    "@shared",
    "@free",
    "@computed",
    "pg_catalog",
    "information_schema",
    "pg_temp",
    "@foreign",
    "@hidden",
    "@forbidden",
    "@pinned",
];

/// One line for each class and place: who may do what. A class and place where nobody may do anything has no line.
fn matrix(judge: &Judge) -> String {
    let mut out =
        String::from("# class where: kind may action … . Written by the test; review every change.\n");
    for class in Class::ALL {
        for place in PLACES {
            for kind in KINDS {
                let may = |action: &&Action| judge.permits(kind, class, place, "x", **action);
                let actions: Vec<_> = Action::ALL.iter().filter(may).map(|a| a.word()).collect();
                if !actions.is_empty() {
                    let (class, actions) = (class.word(), actions.join(" "));
                    out.push_str(&format!("{class:<14} {place:<20} {kind:<10} {actions}\n"));
                }
            }
        }
    }
    out
}

#[test]
fn the_matrix_is_the_golden_file() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/matrix.golden");
    let matrix = matrix(&Judge::embedded().unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &matrix).unwrap();
    }
    let golden = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(matrix, golden, "run this test with UPDATE_GOLDEN=1 and review the difference");
    for never in ["@foreign", "@hidden", "@forbidden", "@pinned"] {
        assert!(!golden.contains(never), "{never} is allowed somewhere");
    }
}

#[test]
fn an_unknown_kind_may_nothing_and_an_empty_policy_is_none() {
    let judge = Judge::embedded().unwrap();
    for class in Class::ALL {
        for action in Action::ALL {
            for place in PLACES {
                assert!(!judge.permits("nobody", class, place, "x", action), "{class:?} {action:?} {place}");
                assert!(!judge.permits("", class, place, "x", action), "{class:?} {action:?} {place}");
            }
        }
    }
    assert!(Judge::new(MODEL, "", EMBEDDED_EPOCH + 1).is_err());
}
