//! casbin behind a memo: each distinct question is asked once.

use std::collections::HashMap;
use std::sync::RwLock;

use casbin::function_map::OperatorFunction;
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, MgmtApi, StringAdapter};

use crate::judge::PolicyError;

/// Most remembered answers; the memo starts anew beyond.
const MEMO_ENTRIES: usize = 65_536;

/// One question to the policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) kind: String,
    pub(super) class: &'static str,
    pub(super) place: String,
    pub(super) name: String,
    pub(super) action: &'static str,
}

/// The policy's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Permitted by this line.
    Allow(String),
    /// Denied by this line, or, with `None`, by no line allowing it.
    Deny(Option<String>),
}

/// One compiled policy. Never changed: a new policy is a new engine.
pub(super) struct Engine {
    enforcer: Enforcer,
    /// Whether any line looks at names; else the memo need not tell them apart.
    names_matter: bool,
    memo: RwLock<HashMap<Question, Answer>>,
}

impl Engine {
    pub(super) fn new(model: &str, policy: &str) -> Result<Self, PolicyError> {
        let mut enforcer = futures::executor::block_on(async {
            let model = DefaultModel::from_str(model).await?;
            Enforcer::new(model, StringAdapter::new(policy)).await
        })
        .map_err(|error| PolicyError(format!("it cannot be compiled: {error}")))?;
        enforcer.add_function("wordIn", OperatorFunction::Arg2(|word, list| matches(&word, &list, word_in)));
        enforcer
            .add_function("nameLike", OperatorFunction::Arg2(|name, glob| matches(&name, &glob, name_like)));
        let lines = enforcer.get_policy();
        // casbin lets an empty policy allow; a line of the wrong length would be skipped in silence.
        if lines.is_empty() {
            return Err(PolicyError("it has no line".into()));
        }
        if let Some(line) = lines.iter().find(|l| l.len() != 6 || !matches!(l[5].as_str(), "allow" | "deny"))
        {
            return Err(PolicyError(format!(
                "the line \"{}\" must have six fields, the last allow or deny",
                line.join(", ")
            )));
        }
        let names_matter = lines.iter().any(|l| l[3] != "*");
        Ok(Self { enforcer, names_matter, memo: RwLock::default() })
    }

    /// Asks, or remembers. An engine that fails denies.
    pub(super) fn ask(&self, mut question: Question) -> Answer {
        if !self.names_matter {
            "*".clone_into(&mut question.name);
        }
        if let Some(answer) = self.memo.read().ok().and_then(|memo| memo.get(&question).cloned()) {
            return answer;
        }
        let answer = self.decide(&question);
        if let Ok(mut memo) = self.memo.write() {
            if memo.len() >= MEMO_ENTRIES {
                memo.clear();
            }
            memo.insert(question, answer.clone());
        }
        answer
    }

    fn decide(&self, q: &Question) -> Answer {
        let asked = self.enforcer.enforce_ex((&*q.kind, q.class, &*q.place, &*q.name, q.action));
        match asked {
            Ok((true, lines)) => Answer::Allow(last(&lines).unwrap_or_default()),
            Ok((false, lines)) => Answer::Deny(last(&lines)),
            Err(error) => {
                tracing::error!(%error, "the policy engine failed; the statement is denied");
                Answer::Deny(None)
            }
        }
    }
}

fn last(lines: &[Vec<String>]) -> Option<String> {
    lines.last().map(|fields| fields.join(", "))
}

fn matches(value: &Dynamic, pattern: &Dynamic, test: fn(&str, &str) -> bool) -> Dynamic {
    let (value, pattern) = (value.clone().into_string(), pattern.clone().into_string());
    matches!((value, pattern), (Ok(value), Ok(pattern)) if test(&value, &pattern)).into()
}

/// Whether a word is one of a list's (`a|b`), or the list is `*`. An empty word or list is in nothing.
fn word_in(word: &str, list: &str) -> bool {
    if word.is_empty() || list.is_empty() {
        return false;
    }
    // What must never be allowed is never meant by `*`.
    if list == "*" {
        return !matches!(word, "@foreign" | "@hidden" | "@forbidden" | "@pinned");
    }
    list.split('|').any(|entry| entry == word)
}

/// Whether a name fits a pattern that may end in `*`. An empty pattern fits nothing.
fn name_like(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => !pattern.is_empty() && name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names_follow_the_table() {
        assert!(word_in("a", "a|b") && word_in("b", "a|b") && word_in("x", "*"));
        assert!(
            !word_in("", "*") && !word_in("a", "") && !word_in("a", "ab|ba") && !word_in("@foreign", "*")
        );
        assert!(name_like("audit_x", "audit_*") && name_like("x", "*") && name_like("x", "x"));
        assert!(!name_like("x", "") && !name_like("xy", "x"));
    }

    #[test]
    fn broken_policies_are_refused() {
        let model = include_str!("../../model.conf");
        for policy in ["", "p, a, b, c", "p, app, relation, @own, *, select, maybe"] {
            assert!(Engine::new(model, policy).is_err(), "{policy}");
        }
    }
}
