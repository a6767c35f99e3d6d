//! What `bench/` measures and fuzzes of the inside. No part of the interface: it changes with what it shows.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_catalog::snapshot::PolicyState;
use palisade_policies::{Limits, Namespace, PolicyError};
use palisade_wire::frame::{self, FrameError, HEADER_BYTES};

use crate::audit::{Audit, Done, Entry};
use crate::clients::{Client, Clients, Identity};
use crate::policy::Policy;
use crate::session::flow::{Flow, Op, Parse, Status};
use crate::timeouts::Timeouts;
use crate::verdicts::{Judged, Verdicts};

/// The verdicts of one login under the policy that comes with the program.
pub struct LookUp {
    policy: Policy,
    verdicts: Verdicts,
    limits: Limits,
    namespace: Namespace,
}

impl LookUp {
    /// With nothing known yet, and room for `bytes` bytes.
    ///
    /// # Errors
    /// The policy cannot be compiled.
    pub fn new(bytes: u64) -> Result<Self, PolicyError> {
        let namespace = namespace();
        let policy = Policy::new(&PolicyState::default())?;
        Ok(Self { policy, verdicts: Verdicts::new(bytes), limits: Limits::default(), namespace })
    }

    /// The text of a Parse message; says whether its verdict was known.
    #[must_use]
    pub fn parse(&self, text: &str) -> bool {
        self.verdicts.judge(self.policy.wall("acme"), &self.limits, &self.namespace, text).1
    }

    /// The text of a simple query; says whether its verdict was known. It is counted as one that was done.
    #[must_use]
    pub fn query(&self, text: &str) -> bool {
        let (judged, known) =
            self.verdicts.judge_query(self.policy.wall("acme"), &self.limits, &self.namespace, text);
        judged.count();
        known
    }
}

fn namespace() -> Namespace {
    Namespace {
        kind: "owner".into(),
        schema: "t_aaaaaaaaaaaaaaaaaaaa".into(),
        database: "acme".into(),
        shared: Vec::new(),
    }
}

/// A session that leaves what it has done to the trail's writer.
pub struct Record {
    audit: Audit,
    client: Arc<Client>,
    namespace: Arc<Namespace>,
    judged: Arc<Judged>,
}

impl Record {
    /// One that has done the statement `text`; the spool is in `folder`.
    ///
    /// # Errors
    /// The folder cannot be written, or the policy cannot be compiled.
    pub fn new(folder: &Path, text: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let (policy, namespace) = (Policy::new(&PolicyState::default())?, namespace());
        let verdicts = Verdicts::new(1 << 20);
        let (judged, _) = verdicts.judge(policy.wall("acme"), &Limits::default(), &namespace, text);
        let identity = Identity {
            tenant_id: "aaaaaaaaaaaaaaaaaaaa".into(),
            tenant: "acme".into(),
            login: "acme.owner".into(),
            role: "t_aaaaaaaaaaaaaaaaaaaa_owner".into(),
            generation: 1,
            verifier: String::new(),
            address: ([127, 0, 0, 1], 5432).into(),
            encrypted: true,
            timeouts: Timeouts::default(),
        };
        let client = Clients::new(0).add(identity, 1, false).ok_or("no client")?;
        let audit = Audit::open(folder, u64::MAX)?;
        Ok(Self { audit, client, namespace: Arc::new(namespace), judged })
    }

    /// Leaves the statement to the writer; says whether there was room.
    #[must_use]
    pub fn leave(&self) -> bool {
        let done = Done {
            at: time::OffsetDateTime::now_utc(),
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            judged: self.judged.clone(),
            statement: 0,
            rows: Some(1),
            sqlstate: None,
            queue: Duration::ZERO,
            judging: Duration::ZERO,
            server: Instant::now().elapsed(),
        };
        self.audit.offer(Entry::Done(done)).is_ok()
    }

    /// Whether everything that was left to the writer is on the disk.
    #[must_use]
    pub fn written(&self) -> bool {
        self.audit.nothing_waits()
    }
}

/// Walks through what a server says as a session does: where each message ends, and whose answer it is. `asked` simple
/// queries were sent. Says how many messages there are, and whether nothing is due at the end; `None` where the server
/// says what is no answer, and the connection is closed.
///
/// # Errors
/// A header that is none.
pub fn scan(bytes: &[u8], asked: usize) -> Result<Option<(usize, bool)>, FrameError> {
    let mut flow = Flow::default();
    for _ in 0..asked {
        flow.push(Op::Query { judged: None, at: 0, quiet: false });
    }
    let (mut at, mut messages) = (0, 0);
    while let Some(header) = frame::header(&bytes[at..])? {
        let end = at + HEADER_BYTES + header.body;
        let Some(body) = bytes.get(at + HEADER_BYTES..end) else { break };
        match header.tag {
            b'E' => drop(flow.error()),
            tag => {
                if flow.answer(tag, body.first().copied().unwrap_or_default()).is_err() {
                    return Ok(None);
                }
            }
        }
        while flow.due().is_some() {}
        (at, messages) = (end, messages + 1);
    }
    Ok(Some((messages, flow.idle())))
}

/// What a client and its server may say, as bytes: any order of messages, of ours among them. Checks what holds after
/// each: answers never outnumber messages, a connection that is idle has nothing to come.
///
/// # Panics
/// One of these does not hold.
pub fn play(script: &[u8]) {
    let mut flow = Flow::default();
    for &byte in script {
        let before = flow.len();
        match byte {
            0 => flow.push(Op::Query { judged: None, at: 0, quiet: false }),
            1 => flow.push(Op::Query { judged: None, at: 0, quiet: true }),
            2 => flow.push(Op::Bind(None)),
            3 => flow.push(Op::Describe(None)),
            4 => flow.push(Op::Execute(None)),
            5 => flow.push(Op::QuietBind),
            6 => flow.push(Op::AskTypes(vec![1])),
            7 => flow.push(Op::Close { quiet: false }),
            8 => flow.sync(),
            9 => flow.push(Op::Sync { quiet: true }),
            10 => flow.push(Op::Local(b'1')),
            11 => flow.copy_end(),
            12 => {
                let parse =
                    |quiet| Parse { quiet, judged: None, name: None, statement: Some(1), unnamed: None };
                flow.push(Op::Parse(parse(false)));
            }
            13 => {
                flow.error();
                assert!(flow.len() <= before, "an error adds no answer");
            }
            14..=16 => {
                let status = [b'I', b'T', b'E'][usize::from(byte - 14)];
                if flow.answer(b'Z', status).is_err() {
                    return;
                }
                assert!(flow.len() < before, "ReadyForQuery answers something");
            }
            tag => {
                if flow.answer(tag, 0).is_err() {
                    return;
                }
                assert!(flow.len() <= before, "an answer adds none");
            }
        }
        while flow.due().is_some() {}
        assert!(
            !flow.idle() || flow.len() == 0 && flow.status() == Status::Idle,
            "idle with something to come"
        );
    }
}
