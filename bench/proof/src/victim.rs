//! The victims: they go on working while they are attacked, and look at their own state before and after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::lab::{Lab, PREPARED, Tokens};
use crate::wire::{Address, Ended, Wire, messages, prepare, simple};

/// How often a victim does something: its session sleeps meanwhile in a statement, which nobody may cancel.
const PACE: &str = "SELECT pg_sleep(0.02)";

/// Its rows, the lock that it holds, and one that must always be free for it. The attackers say the same words about what
/// is their own: nobody may be given what was made of somebody else's.
pub(crate) const WORK: &str =
    "SELECT count(*), pg_try_advisory_lock(4711), pg_try_advisory_xact_lock(4712) FROM public.known_t";

/// A tenant that is attacked.
pub(crate) struct Victim {
    pub(crate) lab: Lab,
    pub(crate) address: Address,
}

/// What a victim saw while it worked.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Milliseconds of each statement.
    pub(crate) milliseconds: Vec<f64>,
    /// What must not have happened, and when.
    pub(crate) disturbed: Vec<(Instant, String)>,
}

impl Seen {
    fn disturbed(&mut self, what: String) {
        self.disturbed.push((Instant::now(), what));
    }
}

impl Victim {
    /// A session of its owner.
    pub(crate) fn open(&self) -> Result<Wire> {
        Wire::open(&self.address).with_context(|| format!("the victim {}", self.lab.slug))
    }

    /// Makes what it has.
    pub(crate) fn prepare(&self) -> Result<()> {
        one(&mut self.open()?, &self.lab.sql()).map(|_| ())
    }

    /// The numbers of its objects.
    pub(crate) fn numbers(&self) -> Result<Vec<u32>> {
        let sql =
            "SELECT string_agg(oid::text, ',') FROM (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
               UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = 'public'::regnamespace
               UNION ALL SELECT oid FROM pg_type WHERE typnamespace = 'public'::regnamespace
               UNION ALL SELECT 'public'::regnamespace::oid) o";
        let row = one(&mut self.open()?, &self.spaced(sql))?;
        Ok(row.first().into_iter().flat_map(|list| list.split(',')).filter_map(|n| n.parse().ok()).collect())
    }

    /// A statement with the name that the victim has for its schema.
    fn spaced(&self, sql: &str) -> String {
        sql.replace("'public'", &format!("'{}'", self.lab.space))
    }

    /// Everything that it has, as one text.
    pub(crate) fn state(&self) -> Result<Vec<String>> {
        let mut wire = self.open()?;
        let hidden =
            format!("SELECT md5(coalesce(string_agg(t::text, ','), '')) FROM {}_t t", self.lab.tokens.name);
        [
            "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM known_t t",
            hidden.as_str(),
            "SELECT last_value || ' ' || is_called FROM known_s",
            "SELECT count(*) FROM users",
            "SELECT md5(string_agg(concat_ws('|', relname, relkind::text, relacl::text, relchecks, relhastriggers, relrowsecurity), ',' ORDER BY relname))
             FROM pg_class WHERE relnamespace = 'public'::regnamespace",
            "SELECT md5(string_agg(concat_ws('|', proname, prosrc, proacl::text), ',' ORDER BY proname)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
            "SELECT coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname = 'public'",
        ]
        .into_iter()
        .map(|sql| Ok(one(&mut wire, &self.spaced(sql))?.join("|")))
        .collect()
    }

    /// Works until it is told to stop: nobody may take its lock, wake it, or make it wait.
    pub(crate) fn work(&self, stop: &AtomicBool) -> Seen {
        let mut seen = Seen::default();
        let began = self.open().and_then(|mut wire| {
            one(&mut wire, "SELECT pg_advisory_lock(4711)")?;
            // A channel that the attackers know, one that they do not; settings and a statement with tokens in them.
            let Tokens { row, source, name, .. } = &self.lab.tokens;
            for sql in [
                "LISTEN proof_channel".to_owned(),
                format!("LISTEN {name}_l"),
                format!("SET application_name = '{source}'"),
                format!("SELECT set_config('proof.{name}', '{row}', false)"),
            ] {
                wire.ask(&simple(&sql), 1);
            }
            wire.ask(&prepare(PREPARED, "SELECT v FROM public.known_t"), 1);
            Ok(wire)
        });
        let mut wire = match began {
            Ok(wire) => wire,
            Err(error) => {
                seen.disturbed(format!("cannot begin to work: {error:#}"));
                return seen;
            }
        };
        let work = WORK.replace("public.", &format!("{}.", self.lab.space));
        while !stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            match one(&mut wire, &work) {
                Ok(row) if row == ["50", "t", "t"] => {}
                Ok(row) => seen.disturbed(format!("its rows or its locks: {row:?}")),
                Err(error) => {
                    seen.disturbed(format!("its session: {error:#}"));
                    break;
                }
            }
            seen.milliseconds.push(started.elapsed().as_secs_f64() * 1000.0);
            if messages(&wire.received).any(|(tag, _)| tag == b'A') {
                seen.disturbed("a notification that nobody of it sent".into());
            }
            if let Err(error) = one(&mut wire, PACE) {
                seen.disturbed(format!("its statement: {error:#}"));
                break;
            }
        }
        seen
    }
}

/// The first row of a statement that must succeed.
pub(crate) fn one(wire: &mut Wire, sql: &str) -> Result<Vec<String>> {
    if wire.ask(&simple(sql), 1) != Ended::Ready {
        bail!("the connection was lost");
    }
    match wire.first_row() {
        (_, Some(error)) => bail!("{error}"),
        (row, None) => Ok(row.unwrap_or_default()),
    }
}
