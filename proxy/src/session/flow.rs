//! Which answers of the server are still to come, and whose they are. Pure.
//!
//! Every message that the server will answer is an [`Op`] in a queue. The server answers in order; after an error in
//! the extended protocol it skips to the next Sync, and so does the queue. Answers of ours (a statement that is already
//! prepared, say) stand in the same queue, so that they reach the client in their place.
//!
//! Source: the protocol chapter of PostgreSQL's manual, "Message Flow".

use std::collections::VecDeque;
use std::sync::Arc;

use crate::statements::Prepared;
use crate::verdicts::Judged;

/// A message that the server answers, or an answer of ours in its place.
#[derive(Debug)]
pub(crate) enum Op {
    /// Query. `at` counts its completed statements. A quiet one is ours: the client sees nothing of it.
    Query { judged: Option<Arc<Judged>>, at: usize, quiet: bool },
    /// Parse.
    Parse(Parse),
    /// Bind.
    Bind(Option<Arc<Judged>>),
    /// Describe of a statement or portal.
    Describe(Option<Arc<Judged>>),
    /// Execute.
    Execute(Option<Arc<Judged>>),
    /// Bind of ours: the client sees nothing of it.
    QuietBind,
    /// Execute of ours, which asks whether these types are the tenant's. Its error is the client's: it stands before the
    /// Parse that names them.
    AskTypes(Vec<u32>),
    /// Close that the server answers; a quiet one is ours.
    Close { quiet: bool },
    /// Sync; a quiet one is ours.
    Sync { quiet: bool },
    /// ParseComplete or CloseComplete of ours, by its type byte.
    Local(u8),
    /// CopyDone or CopyFail that was sent before the server said that it wants data.
    CopyEnd,
}

/// A Parse, and what was noted of it in advance: taken back where it fails.
#[derive(Debug)]
pub(crate) struct Parse {
    /// Ours: the client sees nothing of it.
    pub(crate) quiet: bool,
    pub(crate) judged: Option<Arc<Judged>>,
    /// The client's name for it and what was entered under it among the client's statements.
    pub(crate) name: Option<(Arc<str>, Arc<Prepared>)>,
    /// The server statement that was entered among the connection's.
    pub(crate) statement: Option<u64>,
    /// Where it is the unnamed statement: what was entered, and what stood there before.
    pub(crate) unnamed: Option<Unnamed>,
}

/// The unnamed statement that a Parse entered in advance.
#[derive(Debug)]
pub(crate) struct Unnamed {
    pub(crate) entered: Arc<Prepared>,
    /// The client's before, and the connection's.
    pub(crate) client: Option<Arc<Prepared>>,
    pub(crate) server: Option<Arc<Prepared>>,
}

/// Transaction status of ReadyForQuery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// No transaction.
    Idle,
    /// In a transaction block.
    Open,
    /// In a failed transaction block.
    Failed,
}

/// What a message of the server means.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Not for the client.
    pub(crate) hide: bool,
    /// A statement has been completed: the text and which of its statements.
    pub(crate) completed: Option<(Arc<Judged>, usize)>,
    /// ReadyForQuery.
    pub(crate) ready: bool,
    /// These types are the tenant's.
    pub(crate) types: Vec<u32>,
}

/// What an error of the server means.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// The error is the answer to a message of ours.
    pub(crate) quiet: bool,
    /// The text that it is about, and which of its statements failed.
    pub(crate) judged: Option<Arc<Judged>>,
    pub(crate) statement: usize,
    /// Parses that did not happen, in the order in which they were sent.
    pub(crate) undone: Vec<Parse>,
    /// Whether the first of them is the one that failed; the others were skipped.
    pub(crate) parse_failed: bool,
}

/// The server said something that is no answer to anything: the connection is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Violation;

/// The queue and the transaction's status.
#[derive(Debug)]
pub(crate) struct Flow {
    ops: VecDeque<Op>,
    status: Status,
    /// The server skips to the next Sync.
    skipping: bool,
    /// The server wants CopyData.
    copy_in: bool,
    /// Messages of the extended protocol were sent and no Sync behind them.
    unsynced: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Self { ops: VecDeque::new(), status: Status::Idle, skipping: false, copy_in: false, unsynced: false }
    }
}

impl Flow {
    /// Nothing is to come, and no transaction is open.
    pub(crate) fn idle(&self) -> bool {
        self.status == Status::Idle && self.settled()
    }

    /// Nothing is to come.
    pub(crate) fn settled(&self) -> bool {
        self.ops.is_empty() && !self.unsynced && !self.copy_in
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// The text that the server is busy with, where it is a simple query or an Execute.
    pub(crate) fn busy_with(&self) -> Option<&Judged> {
        match self.ops.front()? {
            Op::Query { judged, .. } | Op::Execute(judged) => judged.as_deref(),
            _ => None,
        }
    }

    /// How many answers are to come.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether the server will skip a message that is sent now. A Sync that was sent already ends the skipping, though
    /// its ReadyForQuery is still to come.
    pub(crate) fn skips(&self) -> bool {
        self.skipping && self.ops.is_empty()
    }

    /// Whether a named statement is only hoped for: its Parse stands before a Sync and has not been answered. It may yet
    /// be skipped, while what is sent now will not be.
    pub(crate) fn hoped_for(&self, statement: u64) -> bool {
        let sent =
            self.ops.iter().position(|op| matches!(op, Op::Parse(p) if p.statement == Some(statement)));
        sent.is_some_and(|at| self.ops.range(at..).any(|op| matches!(op, Op::Sync { .. })))
    }

    /// Notes a message that is sent now.
    pub(crate) fn push(&mut self, op: Op) {
        self.unsynced = !matches!(op, Op::Sync { .. } | Op::Query { .. });
        self.ops.push_back(op);
    }

    /// Sync: within COPY the server ignores it.
    pub(crate) fn sync(&mut self) {
        if !self.copy_in {
            self.push(Op::Sync { quiet: false });
        }
    }

    /// CopyDone or CopyFail is sent now.
    pub(crate) fn copy_end(&mut self) {
        if self.copy_in {
            self.copy_in = false;
        } else if !self.ops.is_empty() {
            self.ops.push_back(Op::CopyEnd);
        }
    }

    /// Whether [`Flow::due`] has something to do.
    pub(crate) fn has_due(&self) -> bool {
        matches!(self.ops.front(), Some(Op::Local(_) | Op::CopyEnd))
    }

    /// The next answer of ours that is due.
    pub(crate) fn due(&mut self) -> Option<u8> {
        while matches!(self.ops.front(), Some(Op::CopyEnd)) {
            self.ops.pop_front();
        }
        match self.ops.front() {
            Some(Op::Local(tag)) => {
                let tag = *tag;
                self.ops.pop_front();
                Some(tag)
            }
            _ => None,
        }
    }

    /// A message of the server other than errors, notices, parameters and notifications. `first` is its body's first
    /// byte.
    pub(crate) fn answer(&mut self, tag: u8, first: u8) -> Result<Step, Violation> {
        let hide = match self.ops.front() {
            Some(Op::Query { quiet, .. } | Op::Close { quiet } | Op::Sync { quiet }) => *quiet,
            Some(Op::Parse(parse)) => parse.quiet,
            Some(Op::QuietBind | Op::AskTypes(_)) => true,
            Some(_) => false,
            None => return Err(Violation),
        };
        let mut step = Step { hide, ..Step::default() };
        match (tag, self.ops.front_mut()) {
            (b'1', Some(Op::Parse(_)))
            | (b'2', Some(Op::Bind(_) | Op::QuietBind))
            | (b'3', Some(Op::Close { .. }))
            | (b'n' | b'T', Some(Op::Describe(_)))
            | (b's', Some(Op::Execute(_))) => {
                self.ops.pop_front();
            }
            (b'C', Some(Op::AskTypes(types))) => {
                step.types = std::mem::take(types);
                self.ops.pop_front();
            }
            (b't', Some(Op::Describe(_)))
            | (b'D', Some(Op::AskTypes(_)))
            | (b'T' | b'D' | b'H' | b'd' | b'c' | b'I', Some(Op::Query { .. }))
            | (b'D' | b'H' | b'd' | b'c', Some(Op::Execute(_))) => {}
            (b'G', Some(Op::Query { .. } | Op::Execute(_))) => self.copy_begin(),
            (b'C', Some(Op::Query { judged, at, .. })) => {
                step.completed = judged.clone().map(|judged| (judged, *at));
                *at += 1;
            }
            (b'C' | b'I', Some(Op::Execute(judged))) => {
                step.completed = judged.take().filter(|_| tag == b'C').map(|judged| (judged, 0));
                self.ops.pop_front();
            }
            (b'Z', Some(Op::Query { .. } | Op::Sync { .. })) => {
                self.ready(first)?;
                step.ready = true;
            }
            _ => return Err(Violation),
        }
        Ok(step)
    }

    fn ready(&mut self, status: u8) -> Result<(), Violation> {
        self.status = match status {
            b'I' => Status::Idle,
            b'T' => Status::Open,
            b'E' => Status::Failed,
            _ => return Err(Violation),
        };
        self.ops.pop_front();
        self.skipping = false;
        self.copy_in = false;
        Ok(())
    }

    /// The server wants data. Syncs that were sent before the data's end are ignored there.
    fn copy_begin(&mut self) {
        let end = self.ops.iter().position(|op| matches!(op, Op::CopyEnd));
        let mut at = 0;
        self.ops.retain(|op| {
            let before = end.is_none_or(|end| at < end);
            let drop = at > 0 && before && matches!(op, Op::Sync { .. }) || end == Some(at);
            at += 1;
            !drop
        });
        self.copy_in = end.is_none();
        if self.copy_in && self.ops.len() == 1 && matches!(self.ops.front(), Some(Op::Execute(_))) {
            self.unsynced = true;
        }
    }

    /// An error of the server.
    pub(crate) fn error(&mut self) -> Failure {
        self.copy_in = false;
        let mut failure = Failure::default();
        match self.ops.front() {
            None => return failure,
            Some(Op::Query { judged, quiet, at }) => {
                failure.judged.clone_from(judged);
                failure.statement = *at;
                failure.quiet = *quiet;
                return failure;
            }
            Some(Op::Sync { quiet }) => {
                failure.quiet = *quiet;
                return failure;
            }
            Some(Op::Parse(parse)) => {
                failure.judged.clone_from(&parse.judged);
                failure.parse_failed = true;
            }
            Some(Op::Bind(judged) | Op::Describe(judged) | Op::Execute(judged)) => {
                failure.judged.clone_from(judged);
            }
            Some(Op::Close { .. } | Op::Local(_) | Op::CopyEnd | Op::QuietBind | Op::AskTypes(_)) => {}
        }
        self.skipping = true;
        while let Some(op) = self.ops.front() {
            if matches!(op, Op::Sync { .. }) {
                break;
            }
            if let Some(Op::Parse(parse)) = self.ops.pop_front() {
                failure.undone.push(parse);
            }
        }
        // A Parse of ours with a Sync of ours behind it fails for us alone.
        failure.quiet = matches!(self.ops.front(), Some(Op::Sync { quiet: true }));
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(quiet: bool) -> Op {
        Op::Parse(Parse { quiet, judged: None, name: None, statement: Some(1), unnamed: None })
    }

    fn query() -> Op {
        Op::Query { judged: None, at: 0, quiet: false }
    }

    /// Feeds the server's messages; says which the client sees.
    fn seen(flow: &mut Flow, messages: &[u8]) -> Result<String, Violation> {
        let mut out = String::new();
        let mut messages = messages.iter().copied();
        while let Some(tag) = messages.next() {
            if tag == b'E' {
                if !flow.error().quiet {
                    out.push('E');
                }
            } else {
                let first = if tag == b'Z' { messages.next().unwrap() } else { 0 };
                if !flow.answer(tag, first)?.hide {
                    out.push(tag.into());
                }
            }
            while let Some(local) = flow.due() {
                out.push(local.into());
            }
        }
        Ok(out)
    }

    #[test]
    fn answers_reach_whom_they_belong_to() {
        let sync = || Op::Sync { quiet: false };
        let cases: Vec<(Vec<Op>, &[u8], &str)> = vec![
            (vec![query()], b"TDDCZI", "TDDCZ"),
            (vec![query()], b"CCZT", "CCZ"),
            (vec![query()], b"EZI", "EZ"),
            (vec![query(), query()], b"IZICZI", "IZCZ"),
            (vec![Op::Query { judged: None, at: 0, quiet: true }, query()], b"CCZICZI", "CZ"),
            (
                vec![parse(false), Op::Bind(None), Op::Describe(None), Op::Execute(None), sync()],
                b"12TDDCZI",
                "12TDDCZ",
            ),
            (vec![parse(true), Op::Bind(None), Op::Execute(None), sync()], b"12CZI", "2CZ"),
            (vec![Op::Local(b'1'), Op::Bind(None), Op::Execute(None), sync()], b"2sZT", "12sZ"),
            (vec![parse(false), Op::Local(b'3'), sync()], b"1ZI", "13Z"),
            (vec![parse(false), Op::Local(b'3'), Op::Bind(None), sync(), query()], b"EZICZI", "EZCZ"),
            (vec![parse(true), Op::Sync { quiet: true }, query()], b"EZECZE", "CZ"),
            (vec![Op::Describe(None), sync()], b"tnZI", "tnZ"),
            (vec![Op::Execute(None), Op::CopyEnd, sync()], b"GCZI", "GCZ"),
            (vec![Op::Execute(None), Op::CopyEnd, sync()], b"EZI", "EZ"),
            (vec![sync()], b"EZI", "EZ"),
            (vec![parse(true), Op::QuietBind, Op::AskTypes(vec![1]), parse(false), sync()], b"12DC1ZI", "1Z"),
            (vec![parse(true), Op::QuietBind, Op::AskTypes(vec![1]), parse(false), sync()], b"12EZI", "EZ"),
        ];
        for (ops, messages, want) in cases {
            let mut flow = Flow::default();
            let mut got = String::new();
            for op in ops {
                flow.push(op);
            }
            while let Some(local) = flow.due() {
                got.push(local.into());
            }
            got.push_str(&seen(&mut flow, messages).unwrap());
            assert_eq!(got, want);
            assert!(flow.settled(), "{want}");
        }
    }

    #[test]
    fn what_is_no_answer_is_a_violation() {
        for (ops, messages) in [
            (vec![], &b"C"[..]),
            (vec![query()], b"2"),
            (vec![Op::Bind(None)], b"1"),
            (vec![Op::Bind(None)], b"ZI"),
            (vec![query()], b"ZX"),
            (vec![query()], b"W"),
        ] {
            let mut flow = Flow::default();
            ops.into_iter().for_each(|op| flow.push(op));
            assert_eq!(seen(&mut flow, messages), Err(Violation));
        }
    }

    #[test]
    fn a_connection_is_idle_only_after_a_sync() {
        let mut flow = Flow::default();
        flow.push(parse(false));
        assert_eq!(seen(&mut flow, b"1").unwrap(), "1");
        assert!(!flow.idle(), "a Flush is no Sync");
        flow.sync();
        assert_eq!(seen(&mut flow, b"ZT").unwrap(), "Z");
        assert!(flow.settled() && !flow.idle());
        flow.push(query());
        assert_eq!(seen(&mut flow, b"CZI").unwrap(), "CZ");
        assert!(flow.idle());
    }

    #[test]
    fn skipping_ends_with_the_sync_that_was_sent() {
        let mut flow = Flow::default();
        flow.push(Op::Bind(None));
        flow.error();
        assert!(flow.skips());
        flow.sync();
        assert!(!flow.skips(), "the next pipeline may come before the server is ready");
        flow.push(parse(false));
        assert_eq!(seen(&mut flow, b"ZI1").unwrap(), "Z1");
    }

    #[test]
    fn copy_swallows_syncs() {
        let mut flow = Flow::default();
        flow.push(Op::Execute(None));
        flow.sync();
        assert_eq!(seen(&mut flow, b"G").unwrap(), "G");
        flow.sync();
        assert_eq!(flow.len(), 1, "no Sync counts while the server wants data");
        flow.copy_end();
        flow.sync();
        assert_eq!(seen(&mut flow, b"CZI").unwrap(), "CZ");
        assert!(flow.idle());
    }

    #[test]
    fn a_parse_before_a_sync_is_only_hoped_for() {
        let mut flow = Flow::default();
        flow.push(parse(false));
        assert!(!flow.hoped_for(1), "both would be skipped");
        flow.sync();
        assert!(flow.hoped_for(1) && !flow.hoped_for(2));
        assert_eq!(seen(&mut flow, b"1").unwrap(), "1");
        assert!(!flow.hoped_for(1));
    }

    #[test]
    fn failed_parses_are_undone() {
        let mut flow = Flow::default();
        for op in [parse(false), parse(true), Op::Bind(None), Op::Sync { quiet: false }, parse(false)] {
            flow.push(op);
        }
        assert_eq!(flow.error().undone.len(), 2);
        assert!(!flow.skips(), "what stands behind the Sync is not skipped");
        assert_eq!(seen(&mut flow, b"ZI1").unwrap(), "Z1");
    }
}
