//! Why a server connection stays with its client: state that cannot be moved to another one.

use palisade_policies::Effect;

/// A set of reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pins(u16);

/// Every reason with its name in `SHOW CLIENTS`, metrics and documents.
const NAMES: [(Pins, &str); 9] = [
    (Pins::SESSION, "session_mode"),
    (Pins::LISTEN, "listen"),
    (Pins::ADVISORY, "advisory_lock"),
    (Pins::TEMP, "temporary_object"),
    (Pins::CURSOR, "cursor_with_hold"),
    (Pins::PREPARE, "sql_prepare"),
    (Pins::SETTING, "setting"),
    (Pins::SEQUENCE, "sequence_state"),
    (Pins::OPAQUE, "opaque_code"),
];

impl Pins {
    /// The tenant pools by session.
    pub(crate) const SESSION: Pins = Pins(1);
    /// `LISTEN`.
    pub(crate) const LISTEN: Pins = Pins(1 << 1);
    /// A session-level advisory lock.
    pub(crate) const ADVISORY: Pins = Pins(1 << 2);
    /// A temporary table, view, sequence or function.
    pub(crate) const TEMP: Pins = Pins(1 << 3);
    /// `DECLARE … WITH HOLD`.
    pub(crate) const CURSOR: Pins = Pins(1 << 4);
    /// SQL `PREPARE`.
    pub(crate) const PREPARE: Pins = Pins(1 << 5);
    /// A setting that was changed in a way that cannot be repeated elsewhere.
    pub(crate) const SETTING: Pins = Pins(1 << 6);
    /// `currval`, `lastval`.
    pub(crate) const SEQUENCE: Pins = Pins(1 << 7);
    /// `DO`, `CALL`: may have done any of these.
    pub(crate) const OPAQUE: Pins = Pins(1 << 8);

    /// No reason at all.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Everything that `DISCARD ALL` ends.
    pub(crate) fn all_but_session() -> Pins {
        Pins(!Self::SESSION.0)
    }

    /// Every reason's name.
    pub(crate) fn all_names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().map(|(_, name)| name)
    }

    /// Whether any of these reasons holds.
    pub(crate) fn has(self, other: Pins) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds reasons; says whether any is new.
    pub(crate) fn add(&mut self, other: Pins) -> bool {
        let before = self.0;
        self.0 |= other.0;
        self.0 != before
    }

    /// Takes reasons away.
    pub(crate) fn remove(&mut self, other: Pins) {
        self.0 &= !other.0;
    }

    /// The reasons' names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |(pin, _)| self.0 & pin.0 != 0).map(|(_, name)| name)
    }
}

/// What an effect pins. Settings that can be repeated are followed instead.
pub(crate) fn pins(effect: &Effect) -> Pins {
    match effect {
        Effect::Listen => Pins::LISTEN,
        Effect::AdvisoryLock => Pins::ADVISORY,
        Effect::TempObject => Pins::TEMP,
        Effect::HoldCursor => Pins::CURSOR,
        Effect::Prepare { .. } => Pins::PREPARE,
        Effect::OpaqueSetting => Pins::SETTING,
        Effect::SequenceState => Pins::SEQUENCE,
        Effect::Opaque | Effect::TwoPhase => Pins::OPAQUE,
        Effect::Begin
        | Effect::Commit
        | Effect::Rollback
        | Effect::Savepoint
        | Effect::Set { .. }
        | Effect::Reset { .. }
        | Effect::ResetAll
        | Effect::DiscardAll
        | Effect::Discard
        | Effect::Execute { .. }
        | Effect::Deallocate { .. }
        | Effect::Unlisten
        | Effect::Notify
        | Effect::CopyIn
        | Effect::CopyOut => Pins::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_once() {
        let mut held = Pins::default();
        assert!(held.add(pins(&Effect::Listen)) && !held.add(Pins::LISTEN) && held.add(Pins::TEMP));
        assert_eq!(held.names().collect::<Vec<_>>(), ["listen", "temporary_object"]);
        held.remove(Pins::LISTEN);
        assert!(!held.is_empty());
        assert!(pins(&Effect::Commit).is_empty());
    }
}
