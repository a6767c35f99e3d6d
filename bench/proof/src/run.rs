//! All attackers for a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::garble;
use crate::generate::{Attack, Generator};
use crate::lab::Lab;
use crate::mutate::Mutator;
use crate::oracle::{Finding, Oracle};
use crate::report::{Leak, Outcome};
use crate::shrink::shrink;
use crate::smith::{self, Watch};
use crate::victim::{Seen, Victim};
use crate::wire::{Address, Ended, Wire, extended, simple};

/// Statements that are sent before their answers are read.
const PIPELINE: usize = 8;
/// A connection is used for so many pipelines: what it keeps (locks, channels, cursors) pins a server connection.
const PIPELINES: usize = 40;
/// An answer that differs so often is no accident.
const SURE: usize = 3;
/// Most leaks that are kept with a reproducer; more are counted.
const MOST_LEAKS: usize = 200;

/// A way to attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attacker {
    /// Hostile SQL by grammar and spelling.
    Generator,
    /// The corpus, as it is and changed.
    Mutator,
    /// The protocol.
    Garbler,
    /// The same with a victim's name and with nobody's.
    Existence,
    /// SQLsmith.
    Smith,
}

impl Attacker {
    /// As it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Mutator => "mutator",
            Self::Garbler => "garbler",
            Self::Existence => "existence",
            Self::Smith => "sqlsmith",
        }
    }
}

/// A run.
pub struct Options {
    /// The attacker first, then at least two victims, each with how its owner logs in. The attackers are told the names
    /// of all but the last.
    pub tenants: Vec<(Lab, Address)>,
    /// How long.
    pub duration: Duration,
    /// Where everything random comes from.
    pub seed: u64,
    /// Who attacks, each on a thread of its own; one may stand there more than once.
    pub attackers: Vec<Attacker>,
    /// Most statements a second of all together; 0 is without a limit. SQLsmith takes its own time.
    pub rate: u64,
    /// The program that attacks as [`Attacker::Smith`].
    pub sqlsmith: Option<PathBuf>,
    /// Only statements that read, in transactions that can do nothing else: for an installation that has work to do.
    pub read_only: bool,
}

/// What can be seen while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Statements and garbled exchanges so far.
    pub statements: AtomicU64,
    /// Answers in which something of a victim stood.
    pub leaks: AtomicU64,
    /// Set by whoever wants the run to end now; what it found until then is its result.
    pub stop: AtomicBool,
    counts: Mutex<BTreeMap<(Attacker, &'static str), u64>>,
    found: Mutex<BTreeMap<String, u64>>,
}

impl Progress {
    /// Forgets what an earlier run has counted.
    pub fn begin(&self) {
        self.statements.store(0, Ordering::Relaxed);
        self.leaks.store(0, Ordering::Relaxed);
        self.counts.lock().clear();
        self.found.lock().clear();
    }

    /// How many attacks so far, by attacker and class.
    #[must_use]
    pub fn attacks(&self) -> BTreeMap<String, u64> {
        let counts = self.counts.lock();
        counts
            .iter()
            .map(|((attacker, class), count)| (format!("{} / {class}", attacker.name()), *count))
            .collect()
    }

    /// How many distinct leaks so far, by attacker and class.
    #[must_use]
    pub fn found(&self) -> BTreeMap<String, u64> {
        self.found.lock().clone()
    }
}

/// What all threads share.
struct Shared {
    attacker: (Lab, Address),
    /// Those of whom the attackers are told.
    victims: Vec<Lab>,
    numbers: Vec<u32>,
    oracle: Oracle,
    until: Instant,
    seed: u64,
    pause: Duration,
    progress: Arc<Progress>,
    sqlsmith: Option<PathBuf>,
    read_only: bool,
    leaks: Mutex<Vec<Leak>>,
    began: Instant,
}

/// Attacks until the time is over; then looks at the victims.
///
/// # Errors
/// The lab cannot be made, or a victim cannot be asked for its state.
pub fn run(options: Options, progress: &Arc<Progress>) -> Result<Outcome> {
    let mut tenants = options.tenants.into_iter();
    let attacker = tenants.next().context("a run needs an attacker")?;
    let victims: Vec<Victim> = tenants.map(|(lab, address)| Victim { lab, address }).collect();
    if let Some(shared) = prepare(&attacker, &victims)? {
        return Ok(shared);
    }
    let mut numbers = Vec::new();
    for victim in &victims {
        numbers.extend(victim.numbers()?);
    }
    let before = states(&victims)?;
    let mut labs: Vec<Lab> = victims.iter().map(|victim| victim.lab.clone()).collect();
    let untold = labs.pop().filter(|_| !labs.is_empty()).context("a run needs two victims")?;
    let began = Instant::now();
    let pause = match options.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(options.attackers.len() as f64 / rate as f64),
    };
    let shared = Shared {
        oracle: Oracle::new(&labs, &untold)?,
        attacker,
        victims: labs,
        numbers,
        until: began + options.duration,
        seed: options.seed,
        pause,
        progress: progress.clone(),
        sqlsmith: options.sqlsmith,
        read_only: options.read_only,
        leaks: Mutex::default(),
        began,
    };
    let stop = AtomicBool::new(false);
    let seen: Vec<(String, Seen)> = std::thread::scope(|scope| {
        let working: Vec<_> = victims.iter().map(|victim| scope.spawn(|| victim.work(&stop))).collect();
        let attacking: Vec<_> = options
            .attackers
            .iter()
            .enumerate()
            .map(|(index, attacker)| {
                let shared = &shared;
                scope.spawn(move || shared.attack(*attacker, index as u64))
            })
            .collect();
        for thread in attacking {
            // A panic of an attacker is a fault of ours: the run must not look whole.
            if thread.join().is_err() {
                shared
                    .leaks
                    .lock()
                    .push(Leak::fault("an attacker's thread ended in a panic", shared.seconds()));
            }
        }
        stop.store(true, Ordering::Relaxed);
        let names = victims.iter().map(|victim| victim.lab.slug.clone());
        names.zip(working.into_iter().map(|thread| thread.join().unwrap_or_default())).collect()
    });
    let mut outcome = shared.outcome(seen);
    for (victim, (was, is)) in victims.iter().zip(before.into_iter().zip(states(&victims)?)) {
        if was != is {
            let what = format!("the state of {} has changed: {was:?} {is:?}", victim.lab.slug);
            outcome.leaks.push(Leak::fault(&what, outcome.seconds));
        }
    }
    Ok(outcome)
}

/// Makes what the tenants have. A new tenant has nothing yet: what is there already is another's, and ends the run.
fn prepare(attacker: &(Lab, Address), victims: &[Victim]) -> Result<Option<Outcome>> {
    let first = Victim { lab: attacker.0.clone(), address: attacker.1.clone() };
    for tenant in std::iter::once(&first).chain(victims) {
        match tenant.prepare() {
            Ok(()) => {}
            Err(error) if error.to_string().contains("already exists") => {
                let what = format!("a new tenant, {}: {error:#}", tenant.lab.slug);
                return Ok(Some(Outcome::shared(&what)));
            }
            Err(error) => return Err(error.context(format!("the lab of {}", tenant.lab.slug))),
        }
    }
    Ok(None)
}

fn states(victims: &[Victim]) -> Result<Vec<Vec<String>>> {
    victims.iter().map(Victim::state).collect()
}

impl Watch for Shared {
    fn over(&self) -> bool {
        Instant::now() >= self.until || self.progress.stop.load(Ordering::Relaxed)
    }

    fn look(&self, answer: &[u8]) -> Vec<Finding> {
        self.oracle.look(answer)
    }

    fn asked(&self) {
        self.progress.statements.fetch_add(1, Ordering::Relaxed);
        *self.progress.counts.lock().entry((Attacker::Smith, "statements")).or_default() += 1;
    }

    fn found(&self, found: &[Finding], answer: &[u8], said: &[u8]) {
        self.progress.leaks.fetch_add(1, Ordering::Relaxed);
        let last = said.iter().rposition(|byte| *byte == b'Q').unwrap_or_default();
        let words = String::from_utf8_lossy(&said[last..]).replace(|c: char| c.is_control(), " ");
        self.keep(Attacker::Smith.name(), "statements", found, words, self.oracle.excerpt(answer));
    }
}

/// Statements by both protocols, and how many answers end with ReadyForQuery. What may leave a transaction open is
/// followed by its end.
fn pipeline(attacks: &[Attack], rng: &mut StdRng) -> (Vec<u8>, usize) {
    let mut sent = simple("ROLLBACK");
    let mut answers = 1 + attacks.len();
    for attack in attacks {
        sent.extend(if rng.random_range(0..3) == 0 { extended(&attack.sql) } else { simple(&attack.sql) });
        let words = attack.sql.to_ascii_lowercase();
        if words.contains("begin") || words.contains("start") {
            sent.extend(simple("ROLLBACK"));
            answers += 1;
        }
    }
    (sent, answers)
}

/// Whether an attack only reads, and disturbs nobody.
fn reads(attack: &Attack) -> bool {
    let words = attack.sql.trim_start().to_ascii_lowercase();
    attack.class != "interference"
        && !words.contains("setval")
        && ["select", "table", "values", "with", "explain", "copy ("]
            .iter()
            .any(|verb| words.starts_with(verb))
}

/// One statement in two: with a victim's name and, otherwise the same, with nobody's.
struct Doubt {
    somebodys: Attack,
    nobodys: Attack,
    names: [String; 2],
}

impl Doubt {
    fn new(victim: &Lab, rng: &mut StdRng) -> Self {
        let seed: u64 = rng.random();
        let letters = b"abcdefghijklmnopqrstuvwxyz234567";
        let random =
            (0..victim.schema.len() - 2).map(|_| letters.choose(rng).map_or('a', |b| char::from(*b)));
        let nobody = Lab { schema: format!("t_{}", random.collect::<String>()), ..victim.clone() };
        let attack =
            |lab: &Lab| Generator::new(std::slice::from_ref(lab), &[]).next(&mut StdRng::seed_from_u64(seed));
        Self {
            somebodys: attack(victim),
            nobodys: attack(&nobody),
            names: [victim.schema.clone(), nobody.schema],
        }
    }

    /// Both answers where they differ in more than the name; nothing where one of them was not heard, because somebody
    /// else was in the way.
    fn differs(&self, ask: &mut impl FnMut(&str, &str) -> Option<Outline>) -> Option<Result<(), String>> {
        let somebodys = ask(&self.somebodys.sql, &self.names[0])?;
        let nobodys = ask(&self.nobodys.sql, &self.names[1])?;
        // Where only a piece of the name comes back, it is as long.
        let same = somebodys.len() == nobodys.len()
            && somebodys
                .iter()
                .zip(&nobodys)
                .all(|(a, b)| a.0 == b.0 && (a.1 == b.1 || a.1.len() == b.1.len()));
        let said = || format!("{somebodys:?} or, for a name that nobody has, {nobodys:?}");
        Some(if same { Ok(()) } else { Err(said()) })
    }
}

/// An answer without its rows: the type of each message with its code, and its words.
type Outline = Vec<(String, String)>;

/// A statement in a transaction that is taken back, and waits for nobody long.
fn alone(sql: &str) -> Vec<u8> {
    let begin = "BEGIN; SET LOCAL lock_timeout = '300ms'; SET LOCAL statement_timeout = '3s'";
    [simple(begin), simple(sql), simple("ROLLBACK")].concat()
}

/// Whether an answer says that somebody else was in the way: a lock, a time limit, a deadlock.
fn was_in_the_way(answer: &Outline) -> bool {
    answer.iter().any(|(tag, _)| matches!(tag.as_str(), "E 55P03" | "E 57014" | "E 40P01"))
}

impl Shared {
    /// Since the run began.
    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn attack(&self, attacker: Attacker, index: u64) {
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(31).wrapping_add(index));
        match attacker {
            Attacker::Generator => {
                let generator = Generator::new(&self.victims, &self.numbers);
                self.statements(attacker, &mut rng, |rng| generator.next(rng));
            }
            Attacker::Mutator => {
                let mutator = Mutator::new(&self.attacker.0, &self.victims, &self.numbers, &mut rng);
                self.statements(attacker, &mut rng, |rng| mutator.next(rng));
            }
            Attacker::Garbler => self.garble(&mut rng),
            Attacker::Existence => self.existence(&mut rng),
            Attacker::Smith => self.smith(index),
        }
    }

    /// Sends statements in pipelines, by both protocols.
    fn statements(&self, attacker: Attacker, rng: &mut StdRng, next: impl Fn(&mut StdRng) -> Attack) {
        let mut wire: Option<(Wire, usize)> = None;
        while !self.over() {
            let (mut open, used) = match wire.take() {
                Some((open, used)) if used < PIPELINES => (open, used),
                _ => match self.open() {
                    Some(open) => (open, 0),
                    None => {
                        std::thread::sleep(Duration::from_millis(50));
                        continue;
                    }
                },
            };
            let attacks: Vec<Attack> = (0..PIPELINE).map(|_| self.next(&next, rng)).collect();
            let (sent, answers) = pipeline(&attacks, rng);
            let ended = open.ask(&sent, answers);
            self.count(attacker, &attacks);
            let found = self.oracle.look(&open.received);
            if !found.is_empty() {
                self.progress.leaks.fetch_add(1, Ordering::Relaxed);
                let answer = self.oracle.excerpt(&open.received);
                self.reproduce(attacker, &attacks, &found, answer);
            }
            if ended == Ended::Ready {
                wire = Some((open, used + 1));
            }
            if !self.pause.is_zero() {
                std::thread::sleep(self.pause * PIPELINE as u32);
            }
        }
    }

    /// A session of the attacker.
    fn open(&self) -> Option<Wire> {
        let mut wire = Wire::open(&self.attacker.1).ok()?;
        if self.read_only && wire.ask(&simple("SET default_transaction_read_only = on"), 1) != Ended::Ready {
            return None;
        }
        Some(wire)
    }

    /// The next attack that may be done.
    fn next(&self, next: &impl Fn(&mut StdRng) -> Attack, rng: &mut StdRng) -> Attack {
        loop {
            let attack = next(rng);
            if !self.read_only || reads(&attack) {
                return attack;
            }
        }
    }

    fn count(&self, attacker: Attacker, attacks: &[Attack]) {
        self.progress.statements.fetch_add(attacks.len() as u64, Ordering::Relaxed);
        let mut counts = self.progress.counts.lock();
        for attack in attacks {
            *counts.entry((attacker, attack.class)).or_default() += 1;
        }
    }

    /// Finds which statement of a pipeline it was, and makes it small.
    fn reproduce(&self, attacker: Attacker, attacks: &[Attack], found: &[Finding], answer: String) {
        let leaks = |sql: &str| -> Vec<Finding> {
            let Ok(mut wire) = Wire::open(&self.attacker.1) else { return Vec::new() };
            wire.ask(&simple(sql), 1);
            self.oracle.look(&wire.received)
        };
        let single = attacks.iter().find(|attack| !leaks(&attack.sql).is_empty());
        let (class, sql) = match single {
            Some(attack) => (attack.class, shrink(&attack.sql, |text| !leaks(text).is_empty())),
            // Only together, or only once: all of them are shown.
            None => ("together", attacks.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(";\n")),
        };
        self.keep(attacker.name(), class, found, sql, answer);
    }

    fn keep(
        &self,
        attacker: &'static str,
        class: &'static str,
        found: &[Finding],
        sql: String,
        answer: String,
    ) {
        let mut leaks = self.leaks.lock();
        if leaks.len() < MOST_LEAKS && !leaks.iter().any(|leak| leak.reproducer == sql) {
            *self.progress.found.lock().entry(format!("{attacker} / {class}")).or_default() += 1;
            leaks.push(Leak {
                attacker: attacker.to_owned(),
                class: class.to_owned(),
                kinds: found.iter().map(|finding| finding.kind.to_owned()).collect(),
                answer,
                after_seconds: self.seconds(),
                reproducer: sql,
            });
        }
    }

    fn garble(&self, rng: &mut StdRng) {
        while !self.over() {
            let victim = &self.victims[rng.random_range(0..self.victims.len())];
            let (sent, received) = garble::attack(&self.attacker.1, &victim.schema, rng);
            self.progress.statements.fetch_add(1, Ordering::Relaxed);
            *self.progress.counts.lock().entry((Attacker::Garbler, "protocol")).or_default() += 1;
            let found = self.oracle.look(&received);
            if !found.is_empty() {
                self.progress.leaks.fetch_add(1, Ordering::Relaxed);
                let hex: String = sent.iter().map(|byte| format!("{byte:02x}")).collect();
                let answer = self.oracle.excerpt(&received);
                self.keep("garbler", "protocol", &found, hex, answer);
            }
            std::thread::sleep(self.pause);
        }
    }

    /// Asks with a victim's name and with one that nobody has: the answers must be the same, so that nothing tells whether
    /// there is such a tenant. Code that is put together on the server is left out: there a name that is somebody's is
    /// refused by the database, in its words, and physical names are random.
    fn existence(&self, rng: &mut StdRng) {
        let mut wire: Option<(Wire, usize)> = None;
        let mut ask = |sql: &str, name: &str| {
            let (mut open, used) = match wire.take() {
                Some((open, used)) if used < PIPELINE * PIPELINES => (open, used),
                _ => (self.open()?, 0),
            };
            let ended = open.ask(&alone(sql), 3);
            let mut answer = open.outcome(name);
            match ended {
                Ended::Ready => wire = Some((open, used + 1)),
                Ended::Closed => answer.push(("closed".to_owned(), String::new())),
                Ended::Silent => return None,
            }
            (!was_in_the_way(&answer)).then_some(answer)
        };
        while !self.over() {
            let Some(victim) = self.victims.choose(rng) else { return };
            let doubt = Doubt::new(victim, rng);
            let asked = matches!(doubt.somebodys.class, "relation" | "definition" | "name in a string");
            if !asked || self.read_only && !reads(&doubt.somebodys) {
                continue;
            }
            // Others of the same tenant work meanwhile: what differs once may be theirs.
            let mut told = doubt.differs(&mut ask);
            for _ in 1..SURE {
                if matches!(told, Some(Err(_))) {
                    told = doubt.differs(&mut ask);
                }
            }
            match told {
                None => std::thread::sleep(Duration::from_millis(50)),
                Some(told) => {
                    self.count(Attacker::Existence, std::slice::from_ref(&doubt.somebodys));
                    if let Err(answers) = told {
                        self.progress.leaks.fetch_add(1, Ordering::Relaxed);
                        let found = [Finding { kind: "existence", victim: victim.slug.clone() }];
                        self.keep("existence", doubt.somebodys.class, &found, doubt.somebodys.sql, answers);
                    }
                }
            }
            std::thread::sleep(self.pause);
        }
    }

    fn smith(&self, index: u64) {
        let Some(program) = &self.sqlsmith else { return };
        let seed = self.seed.wrapping_add(index);
        if let Err(error) = smith::attack(program, &self.attacker.1, seed, self) {
            // A run in which an attacker was missing must not look whole.
            self.leaks
                .lock()
                .push(Leak::fault(&format!("sqlsmith could not attack: {error:#}"), self.seconds()));
        }
    }

    fn outcome(self, seen: Vec<(String, Seen)>) -> Outcome {
        let seconds = self.seconds();
        let mut leaks = self.leaks.into_inner();
        let mut times = Vec::new();
        for (victim, seen) in seen {
            leaks.extend(seen.disturbed.iter().take(20).map(|(when, what)| {
                let after = when.saturating_duration_since(self.began).as_secs_f64();
                Leak::fault(&format!("{victim} was disturbed: {what}"), after)
            }));
            times.extend(seen.milliseconds);
        }
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        let statements = self.progress.statements.load(Ordering::Relaxed);
        Outcome {
            seconds,
            statements,
            statements_per_second: statements as f64 / seconds,
            leaking_answers: self.progress.leaks.load(Ordering::Relaxed),
            attacks: self.progress.attacks(),
            leaks,
            victim_p50_ms: at(0.5),
            victim_p99_ms: at(0.99),
        }
    }
}
