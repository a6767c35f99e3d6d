//! What completed statements did to the session.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use palisade_policies::Effect;
use palisade_policies::effect::{Kind, Scope};

use super::flow::Op;
use super::upstream::send_text;
use super::{Link, Session};
use crate::pins::{self, Pins};
use crate::settings::{self, Change, Settings};
use crate::statements::Named;
use crate::verdicts::{Judged, Outcome};

impl Session {
    /// One statement of a text has been completed. `tag`: the body of its CommandComplete.
    pub(super) fn completed(&mut self, link: &mut Link, judged: &Arc<Judged>, statement: usize, tag: &[u8]) {
        let Outcome::Permit { permit, effects, ddl, .. } = &judged.outcome else { return };
        if statement == 0 {
            judged.count();
            self.pool.done.fetch_add(1, Ordering::Relaxed);
        }
        let Some(done) = permit.statements.get(statement) else { return };
        if link.is_timed() {
            self.done(link, judged, statement, Ok(tag));
        }
        if !effects && ddl.is_none() {
            return;
        }
        if done.kind == Kind::Ddl && !done.effects.contains(&Effect::TempObject) {
            self.pool.definitions.fetch_add(1, Ordering::AcqRel);
            self.pool.types.forget();
        }
        if tag.starts_with(b"DROP") {
            link.doubts.add(Pins::TEMP);
        }
        for effect in &done.effects {
            self.effect(link, judged, effect, tag);
        }
    }

    fn effect(&mut self, link: &mut Link, judged: &Arc<Judged>, effect: &Effect, tag: &[u8]) {
        link.doubts.add(pins::doubts(effect));
        match effect {
            Effect::Set { name, value: Some(value), scope: Scope::Session } if settings::lasts(name) => {
                match self.repeatable(name, value) {
                    Some(statement) => link.changes.push(Change::Set(name.clone(), statement)),
                    None => self.pin(link, Pins::SETTING),
                }
            }
            Effect::Set { name, value: None, scope: Scope::Session } | Effect::Reset { name } => {
                link.changes.push(Change::Reset(name.clone()));
            }
            Effect::ResetAll => link.changes.push(Change::ResetAll),
            Effect::Commit if tag.starts_with(b"COMMIT") => self.commit(link),
            Effect::Commit | Effect::Rollback => link.changes.clear(),
            // ROLLBACK TO undoes some of them: which ones is not known here.
            Effect::Savepoint if tag.starts_with(b"ROLLBACK") && !link.changes.is_empty() => {
                self.pin(link, Pins::SETTING);
            }
            Effect::DiscardAll => self.discarded(link),
            Effect::Deallocate { name: Some(name) } => {
                self.names.remove(name.as_str());
            }
            Effect::Deallocate { name: None } => {
                self.names.clear();
                link.held.server.statements.clear();
                self.unpin(link, Pins::PREPARE);
            }
            Effect::Prepare { name } => {
                self.names.insert(name.as_str().into(), Named::Sql(judged.clone()));
            }
            _ => {}
        }
    }

    /// The statement that sets the same again, where it is permitted.
    fn repeatable(&mut self, name: &str, value: &str) -> Option<String> {
        let judged = self.judge(settings::statement(name, value).as_bytes()).ok()?;
        judged.sent().map(str::to_owned)
    }

    /// `DISCARD ALL`: the connection is as it was at its login.
    fn discarded(&mut self, link: &mut Link) {
        link.changes.clear();
        self.settings = self.base.clone();
        self.names.clear();
        self.unnamed = None;
        link.held.server.discarded();
        self.unpin(link, Pins::all_but_session());
    }

    /// Asks the server which of the doubtful reasons still hold, when nothing else is on its way.
    pub(super) fn ask(&mut self, link: &mut Link) {
        let asked = pins::askable(link.pins).both(std::mem::take(&mut link.doubts));
        if asked.is_empty() || link.pins.has(Pins::SESSION) {
            return;
        }
        if !link.flow.idle() {
            link.doubts.add(asked);
            return;
        }
        send_text(link, b'Q', &pins::question(asked), b"");
        link.flow.push(Op::Query { judged: None, at: 0, quiet: true });
        link.asked = Some(asked);
        link.renewed = Pins::default();
    }

    pub(super) fn unpin(&mut self, link: &mut Link, pins: Pins) {
        link.pins.remove(pins);
        *self.info.pins.lock() = link.pins;
    }

    /// A transaction is over: its changes hold, or never were.
    pub(super) fn settle(&mut self, link: &mut Link) {
        if std::mem::take(&mut link.failed) {
            link.changes.clear();
        } else {
            self.commit(link);
        }
    }

    fn commit(&mut self, link: &mut Link) {
        if link.changes.is_empty() {
            return;
        }
        let server = &mut link.held.server;
        settings::commit(&mut self.settings, &link.changes, &self.base);
        settings::commit(&mut server.settings, &link.changes, &Settings::default());
        if server.settings == self.settings {
            server.settings = self.settings.clone();
        }
        link.changes.clear();
    }
}
