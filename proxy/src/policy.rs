//! The policy in force: one judge, swapped as a whole, and the tenants for which it is only tried.

use std::collections::BTreeSet;
use std::sync::Arc;

use palisade_catalog::ids::TenantId;
use palisade_catalog::snapshot::PolicyState;
use palisade_policies::judge::{MODEL, POLICY};
use palisade_policies::{Judge, PolicyError};

/// What holds now. Never changed: a new policy is a new one of these.
pub(crate) struct Policy {
    judge: Arc<Judge>,
    observing: BTreeSet<TenantId>,
}

/// The policy as one tenant has it.
#[derive(Clone, Copy)]
pub(crate) struct Wall<'a> {
    pub(crate) judge: &'a Judge,
    /// What the policy refuses is recorded, and PostgreSQL's own grants answer.
    pub(crate) observing: bool,
}

/// What a verdict holds for: it is asked again under another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) epoch: u64,
    observing: bool,
}

impl Policy {
    /// Compiles a policy.
    ///
    /// # Errors
    /// It cannot be used.
    pub(crate) fn new(state: &PolicyState) -> Result<Self, PolicyError> {
        let (model, policy) = match &state.text {
            Some(text) => (text.model.as_str(), text.policy.as_str()),
            None => (MODEL, POLICY),
        };
        let judge = Arc::new(Judge::new(model, policy, state.epoch)?);
        Ok(Self { judge, observing: state.observing.clone() })
    }

    /// The policy that is to hold after this one. The judge stays where only the tenants that try it are others.
    ///
    /// # Errors
    /// The new policy cannot be used: the old one holds on.
    pub(crate) fn next(&self, state: &PolicyState) -> Result<Self, PolicyError> {
        if state.epoch == self.judge.epoch() {
            return Ok(Self { judge: self.judge.clone(), observing: state.observing.clone() });
        }
        Self::new(state)
    }

    /// For one tenant.
    pub(crate) fn wall(&self, tenant: &str) -> Wall<'_> {
        Wall { judge: &self.judge, observing: self.observing.contains(tenant) }
    }

    /// Which policy this is.
    pub(crate) fn epoch(&self) -> u64 {
        self.judge.epoch()
    }
}

impl Wall<'_> {
    /// What a verdict of now holds for.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { epoch: self.judge.epoch(), observing: self.observing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::snapshot::PolicyText;

    fn state(epoch: u64, policy: &str) -> PolicyState {
        let text = PolicyText { model: MODEL.into(), policy: policy.into() };
        PolicyState { epoch, text: Some(text), observing: BTreeSet::new() }
    }

    #[test]
    fn a_policy_that_cannot_be_used_leaves_the_old_one() {
        let policy = Policy::new(&PolicyState::default()).unwrap();
        assert_eq!(policy.epoch(), 1);
        assert!(policy.next(&state(2, "")).is_err());
        assert_eq!(policy.next(&state(2, POLICY)).unwrap().epoch(), 2);
    }

    #[test]
    fn a_tenant_that_tries_a_policy_has_verdicts_of_its_own() {
        let tenant = TenantId::random();
        let mut tried = PolicyState::default();
        let before = Policy::new(&tried).unwrap();
        tried.observing.insert(tenant.clone());
        let after = before.next(&tried).unwrap();
        assert!(!before.wall(tenant.as_str()).observing && after.wall(tenant.as_str()).observing);
        assert_ne!(before.wall(tenant.as_str()).stamp(), after.wall(tenant.as_str()).stamp());
        assert_eq!(before.wall("other").stamp(), after.wall("other").stamp());
    }
}
