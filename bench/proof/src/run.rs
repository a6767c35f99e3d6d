//! All attackers for a time.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use rand::rngs::StdRng;
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
/// A connection is used for so many pipelines.
const PIPELINES: usize = 200;
/// So many of the last pipelines are known as what the attacker said.
const SAID: usize = 4;
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
            Self::Smith => "sqlsmith",
        }
    }
}

/// A run.
pub struct Options {
    /// The attacker first, then at least one victim, each with how its owner logs in.
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
}

/// What can be seen while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Statements and garbled exchanges so far.
    pub statements: AtomicU64,
    /// Answers in which something of a victim stood.
    pub leaks: AtomicU64,
}

/// What all threads share.
struct Shared {
    attacker: (Lab, Address),
    victims: Vec<Lab>,
    numbers: Vec<u32>,
    oracle: Oracle,
    until: Instant,
    seed: u64,
    pause: Duration,
    progress: Arc<Progress>,
    sqlsmith: Option<PathBuf>,
    counts: Mutex<BTreeMap<(Attacker, &'static str), u64>>,
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
    for (lab, address) in
        std::iter::once((&attacker.0, &attacker.1)).chain(victims.iter().map(|v| (&v.lab, &v.address)))
    {
        Victim { lab: lab.clone(), address: address.clone() }
            .prepare()
            .with_context(|| format!("the lab of {}", lab.slug))?;
    }
    let mut numbers = Vec::new();
    for victim in &victims {
        numbers.extend(victim.numbers()?);
    }
    let before = states(&victims)?;
    let labs: Vec<Lab> = victims.iter().map(|victim| victim.lab.clone()).collect();
    let began = Instant::now();
    let pause = match options.rate {
        0 => Duration::ZERO,
        rate => Duration::from_secs_f64(options.attackers.len() as f64 / rate as f64),
    };
    let shared = Shared {
        oracle: Oracle::new(&labs)?,
        attacker,
        victims: labs,
        numbers,
        until: began + options.duration,
        seed: options.seed,
        pause,
        progress: progress.clone(),
        sqlsmith: options.sqlsmith,
        counts: Mutex::default(),
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
                shared.leaks.lock().push(Leak::fault("an attacker's thread ended in a panic"));
            }
        }
        stop.store(true, Ordering::Relaxed);
        let names = victims.iter().map(|victim| victim.lab.slug.clone());
        names.zip(working.into_iter().map(|thread| thread.join().unwrap_or_default())).collect()
    });
    let mut outcome = shared.outcome(seen);
    for (victim, (was, is)) in victims.iter().zip(before.into_iter().zip(states(&victims)?)) {
        if was != is {
            outcome
                .leaks
                .push(Leak::fault(&format!("the state of {} has changed: {was:?} {is:?}", victim.lab.slug)));
        }
    }
    Ok(outcome)
}

fn states(victims: &[Victim]) -> Result<Vec<Vec<String>>> {
    victims.iter().map(Victim::state).collect()
}

impl Watch for Shared {
    fn look(&self, answer: &[u8], said: &[u8]) -> Vec<Finding> {
        self.oracle.look(answer, said)
    }

    fn asked(&self) {
        self.progress.statements.fetch_add(1, Ordering::Relaxed);
        *self.counts.lock().entry((Attacker::Smith, "statements")).or_default() += 1;
    }

    fn found(&self, found: &[Finding], answer: &[u8], said: &[u8]) {
        self.progress.leaks.fetch_add(1, Ordering::Relaxed);
        let last = said.iter().rposition(|byte| *byte == b'Q').unwrap_or_default();
        let words = String::from_utf8_lossy(&said[last..]).replace(|c: char| c.is_control(), " ");
        self.keep(Attacker::Smith.name(), "statements", found, words, self.oracle.excerpt(answer, said));
    }
}

impl Shared {
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
            Attacker::Smith => self.smith(index),
        }
    }

    /// Sends statements in pipelines, by both protocols.
    fn statements(&self, attacker: Attacker, rng: &mut StdRng, next: impl Fn(&mut StdRng) -> Attack) {
        let mut wire: Option<(Wire, usize)> = None;
        // What was said on this connection lately: an answer may come late, where the protocol was garbled by a COPY.
        let mut said: VecDeque<Vec<u8>> = VecDeque::new();
        while Instant::now() < self.until {
            let (mut open, used) = match wire.take() {
                Some((open, used)) if used < PIPELINES => (open, used),
                _ => match Wire::open(&self.attacker.1) {
                    Ok(open) => {
                        said.clear();
                        (open, 0)
                    }
                    Err(_) => {
                        std::thread::sleep(Duration::from_millis(50));
                        continue;
                    }
                },
            };
            let attacks: Vec<Attack> = (0..PIPELINE).map(|_| next(rng)).collect();
            let mut sent = simple("ROLLBACK");
            for attack in &attacks {
                sent.extend(if rng.random_range(0..3) == 0 {
                    extended(&attack.sql)
                } else {
                    simple(&attack.sql)
                });
                sent.extend(simple("ROLLBACK"));
            }
            let ended = open.ask(&sent, 1 + 2 * PIPELINE);
            self.count(attacker, &attacks);
            said.push_back(sent);
            if said.len() > SAID {
                said.pop_front();
            }
            let found = self.oracle.look(&open.received, &said.make_contiguous().concat());
            if !found.is_empty() {
                self.progress.leaks.fetch_add(1, Ordering::Relaxed);
                let answer = self.oracle.excerpt(&open.received, said.make_contiguous().concat().as_slice());
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

    fn count(&self, attacker: Attacker, attacks: &[Attack]) {
        self.progress.statements.fetch_add(attacks.len() as u64, Ordering::Relaxed);
        let mut counts = self.counts.lock();
        for attack in attacks {
            *counts.entry((attacker, attack.class)).or_default() += 1;
        }
    }

    /// Finds which statement of a pipeline it was, and makes it small.
    fn reproduce(&self, attacker: Attacker, attacks: &[Attack], found: &[Finding], answer: String) {
        let leaks = |sql: &str| -> Vec<Finding> {
            let Ok(mut wire) = Wire::open(&self.attacker.1) else { return Vec::new() };
            wire.ask(&simple(sql), 1);
            self.oracle.look(&wire.received, sql.as_bytes())
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
            leaks.push(Leak {
                attacker: attacker.to_owned(),
                class: class.to_owned(),
                kinds: found.iter().map(|finding| finding.kind.to_owned()).collect(),
                answer,
                after_seconds: self.began.elapsed().as_secs_f64(),
                reproducer: sql,
            });
        }
    }

    fn garble(&self, rng: &mut StdRng) {
        while Instant::now() < self.until {
            let victim = &self.victims[rng.random_range(0..self.victims.len())];
            let (sent, received) = garble::attack(&self.attacker.1, &victim.schema, rng);
            self.progress.statements.fetch_add(1, Ordering::Relaxed);
            *self.counts.lock().entry((Attacker::Garbler, "protocol")).or_default() += 1;
            let found = self.oracle.look(&received, &sent);
            if !found.is_empty() {
                self.progress.leaks.fetch_add(1, Ordering::Relaxed);
                let hex: String = sent.iter().map(|byte| format!("{byte:02x}")).collect();
                let answer = self.oracle.excerpt(&received, &sent);
                self.keep("garbler", "protocol", &found, hex, answer);
            }
            std::thread::sleep(self.pause);
        }
    }

    fn smith(&self, index: u64) {
        let Some(program) = &self.sqlsmith else { return };
        let seed = self.seed.wrapping_add(index);
        if let Err(error) = smith::attack(program, &self.attacker.1, seed, self.until, self) {
            // A run in which an attacker was missing must not look whole.
            self.leaks.lock().push(Leak::fault(&format!("sqlsmith could not attack: {error:#}")));
        }
    }

    fn outcome(self, seen: Vec<(String, Seen)>) -> Outcome {
        let mut leaks = self.leaks.into_inner();
        let mut times = Vec::new();
        for (victim, seen) in seen {
            leaks.extend(
                seen.disturbed
                    .iter()
                    .take(20)
                    .map(|what| Leak::fault(&format!("{victim} was disturbed: {what}"))),
            );
            times.extend(seen.milliseconds);
        }
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
        let statements = self.progress.statements.load(Ordering::Relaxed);
        let seconds = self.began.elapsed().as_secs_f64();
        Outcome {
            seconds,
            statements,
            statements_per_second: statements as f64 / seconds,
            leaking_answers: self.progress.leaks.load(Ordering::Relaxed),
            attacks: self
                .counts
                .into_inner()
                .into_iter()
                .map(|((attacker, class), count)| (format!("{} / {class}", attacker.name()), count))
                .collect(),
            leaks,
            victim_p50_ms: at(0.5),
            victim_p99_ms: at(0.99),
        }
    }
}
