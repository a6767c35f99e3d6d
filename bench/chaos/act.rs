//! What clients do, and what they must get.

use crate::tenants::Tenant;
use crate::wire::{Frame, Trouble, Wire, cancel, tags};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use rand::Rng;
use rand::rngs::StdRng;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Statements in one pipeline.
const PIPELINE: std::ops::Range<usize> = 2..12;
/// How long a statement runs that is to be cancelled, in seconds.
const SLEEP: u32 = 3;

/// What a client can do; the table gives each its weight.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Simple,
    Prepared,
    Pipeline,
    FailedPipeline,
    Commit,
    Rollback,
    Fail,
    Notice,
    Setting,
    Cancel,
    Rows,
    CopyOut,
    CopyIn,
    Notify,
    Portal,
    VanishMidMessage,
    VanishMidResult,
    VanishInTransaction,
}

pub(crate) const ACTS: [(Act, &str, u32); 18] = [
    (Act::Simple, "simple query", 20),
    (Act::Prepared, "named statement", 15),
    (Act::Pipeline, "pipeline", 15),
    (Act::FailedPipeline, "pipeline with an error", 10),
    (Act::Commit, "committed transaction", 10),
    (Act::Rollback, "rolled back transaction", 5),
    (Act::Fail, "error", 8),
    (Act::Notice, "notice", 8),
    (Act::Setting, "setting", 8),
    (Act::Cancel, "cancel", 3),
    (Act::Rows, "many rows", 3),
    (Act::CopyOut, "copy out", 3),
    (Act::CopyIn, "copy in", 4),
    (Act::Notify, "notify", 3),
    (Act::Portal, "suspended portal", 5),
    (Act::VanishMidMessage, "vanish in a message", 3),
    (Act::VanishMidResult, "vanish in a result", 2),
    (Act::VanishInTransaction, "vanish in a transaction", 3),
];

/// One client at work: its connection, its tenant and its dice.
pub(crate) struct Actor<'a> {
    pub(crate) wire: Wire,
    pub(crate) tenant: &'a Tenant,
    pub(crate) rng: &'a mut StdRng,
    /// Names of statements of the protocol that are prepared.
    pub(crate) prepared: Vec<String>,
    /// What application_name was set to.
    pub(crate) named: Option<String>,
}

/// Whether the client stays.
pub(crate) type Acted = Result<bool, Trouble>;

fn wrong<T>(what: String) -> Result<T, Trouble> {
    Err(Trouble::Wrong(what))
}

fn simple(sql: &str) -> Result<BytesMut, Trouble> {
    let mut out = BytesMut::new();
    frontend::query(sql, &mut out)?;
    Ok(out)
}

fn bind_execute(name: &str, values: &[&str], rows: i32, out: &mut BytesMut) -> Result<(), Trouble> {
    let put = |value: &&str, out: &mut BytesMut| {
        out.extend_from_slice(value.as_bytes());
        Ok(IsNull::No)
    };
    frontend::bind("", name, [], values.iter(), put, [0], out)
        .map_err(|_| Trouble::Wrong("a Bind cannot be written".into()))?;
    frontend::execute("", rows, out)?;
    Ok(())
}

fn rows(frames: &[Frame]) -> Vec<Vec<String>> {
    frames.iter().filter(|f| f.tag == b'D').map(Frame::columns).collect()
}

impl Actor<'_> {
    /// Does one thing. `Ok(false)`: the client has vanished on purpose.
    pub(crate) async fn act(&mut self, act: Act) -> Acted {
        match act {
            Act::Simple => self.simple().await,
            Act::Prepared => self.prepared().await,
            Act::Pipeline => self.pipeline().await,
            Act::FailedPipeline => self.failed_pipeline().await,
            Act::Commit => self.commit().await,
            Act::Rollback => self.rollback().await,
            Act::Fail => self.fail().await,
            Act::Notice => self.notice().await,
            Act::Setting => self.setting().await,
            Act::Cancel => self.cancel().await,
            Act::Rows => self.many_rows().await,
            Act::CopyOut => self.copy_out().await,
            Act::CopyIn => self.copy_in().await,
            Act::Notify => self.notify().await,
            Act::Portal => self.portal().await,
            Act::VanishMidMessage => self.vanish_mid_message().await,
            Act::VanishMidResult => self.vanish_mid_result().await,
            Act::VanishInTransaction => self.vanish_in_transaction().await,
        }
    }

    /// Sends, reads, and lets no error through but those that `expected` names.
    async fn exchange(
        &mut self,
        bytes: &[u8],
        readies: usize,
        expected: &[&str],
    ) -> Result<Vec<Frame>, Trouble> {
        let frames = self.wire.exchange(bytes, readies, self.rng).await?;
        for frame in frames.iter().filter(|f| f.tag == b'E') {
            let code = frame.field(b'C');
            if expected.contains(&code.as_str()) {
                continue;
            }
            // What a killed server, a limit or a late cancel of one's own may answer: the client starts anew.
            let forgiven = matches!(code.as_str(), "57P01" | "57P02" | "57P03" | "08006" | "08003" | "53300")
                || code == "57014" && self.wire.cancelled;
            if forgiven {
                return Err(Trouble::Lost(code));
            }
            return wrong(format!("error {code} {} within {}", frame.field(b'M'), tags(&frames)));
        }
        Ok(frames)
    }

    fn same(&self, what: &str, found: &[Vec<String>], due: &[Vec<String>], frames: &[Frame]) -> Acted {
        if found == due {
            return Ok(true);
        }
        wrong(format!("{what} of {}: {found:?} where {due:?} is due ({})", self.tenant.slug, tags(frames)))
    }

    fn shape(&self, what: &str, found: &[Frame], due: &str) -> Acted {
        if tags(found) == due {
            return Ok(true);
        }
        wrong(format!("{what}: answers {} where {due} is due", tags(found)))
    }

    async fn simple(&mut self) -> Acted {
        let (token, n) = (self.wire.token(), self.rng.random_range(1..5000));
        let sql = format!(
            "SELECT '{token}', owner, n FROM mark WHERE n = {n}; SELECT n, '{token}' FROM public.mark WHERE n = {n} + 0"
        );
        let frames = self.exchange(&simple(&sql)?, 1, &[]).await?;
        let due = [vec![token.clone(), self.tenant.token.clone(), n.to_string()], vec![n.to_string(), token]];
        self.same("a simple query", &rows(&frames), &due, &frames)
    }

    async fn prepared(&mut self) -> Acted {
        let mut out = BytesMut::new();
        let mut due = String::new();
        let name = if self.prepared.is_empty() || self.rng.random_bool(0.3) {
            let name = format!("statement {}", self.prepared.len());
            // Few texts for many clients, so that statements are shared.
            let kind = self.rng.random_range(0..12);
            frontend::parse(
                &name,
                &format!("SELECT $1::text, owner, $2::int + {kind} - {kind} FROM mark WHERE n = $2"),
                [],
                &mut out,
            )?;
            self.prepared.push(name.clone());
            due.push('1');
            name
        } else {
            self.prepared[self.rng.random_range(0..self.prepared.len())].clone()
        };
        let (token, n) = (self.wire.token(), self.rng.random_range(1..5000).to_string());
        bind_execute(&name, &[&token, &n], 0, &mut out)?;
        frontend::sync(&mut out);
        let frames = self.exchange(&out, 1, &[]).await?;
        self.shape("a named statement", &frames, &(due + "2DCZ"))?;
        self.same("a named statement", &rows(&frames), &[vec![token, self.tenant.token.clone(), n]], &frames)
    }

    /// Unnamed statements, each under its own Sync or all under one.
    async fn pipeline(&mut self) -> Acted {
        let mut out = BytesMut::new();
        let (number, syncs) = (self.rng.random_range(PIPELINE), self.rng.random_bool(0.5));
        let mut due = Vec::new();
        for i in 0..number {
            let token = self.wire.token();
            frontend::parse("", "SELECT $1::text, owner FROM mark WHERE n = $2", [], &mut out)?;
            bind_execute("", &[&token, "7"], 0, &mut out)?;
            if syncs || i + 1 == number {
                frontend::sync(&mut out);
            }
            due.push(vec![token, self.tenant.token.clone()]);
        }
        let frames = self.exchange(&out, if syncs { number } else { 1 }, &[]).await?;
        self.same("a pipeline", &rows(&frames), &due, &frames)
    }

    /// One of the pipeline's statements fails; at times the rest is sent as soon as its error has come.
    async fn failed_pipeline(&mut self) -> Acted {
        let (before, after) = (self.wire.token(), self.wire.token());
        let divisor = self.rng.random_range(0..100_000);
        let mut out = BytesMut::new();
        frontend::parse("", "SELECT $1::text", [], &mut out)?;
        bind_execute("", &[&before], 0, &mut out)?;
        frontend::parse("", &format!("SELECT {divisor} / $1::int"), [], &mut out)?;
        bind_execute("", &["0"], 0, &mut out)?;
        frontend::parse("", "SELECT 'never'", [], &mut out)?;
        frontend::sync(&mut out);
        let mut rest = BytesMut::new();
        frontend::close(b'S', "nothing", &mut rest)?;
        frontend::sync(&mut rest);
        frontend::parse("", "SELECT $1::text, owner FROM mark WHERE n = 1", [], &mut rest)?;
        bind_execute("", &[&after], 0, &mut rest)?;
        frontend::sync(&mut rest);
        let mut frames = Vec::new();
        if self.rng.random_bool(0.5) {
            self.wire.send(&out, self.rng).await?;
            while frames.last().is_none_or(|f: &Frame| f.tag != b'E') {
                frames.push(
                    tokio::time::timeout(crate::wire::ANSWER, self.wire.frame())
                        .await
                        .map_err(|_| Trouble::Wrong("no error where one is due".into()))??,
                );
                if frames.last().is_some_and(|f| f.tag == b'Z') {
                    return wrong(format!("a pipeline with an error: answers {}", tags(&frames)));
                }
            }
            out = rest;
        } else {
            out.extend_from_slice(&rest);
        }
        if let Some(code) = frames.last().map(|f| f.field(b'C')).filter(|code| code != "22012") {
            return Err(Trouble::Lost(code));
        }
        frames.extend(self.exchange(&out, 3, &["22012"]).await?);
        // PostgreSQL may compute the constant when it plans, which is at Bind.
        let due = if tags(&frames).starts_with("12DC1E") { "12DC1EZ3Z12DCZ" } else { "12DC12EZ3Z12DCZ" };
        self.shape("a pipeline with an error", &frames, due)?;
        self.same(
            "a pipeline with an error",
            &rows(&frames),
            &[vec![before], vec![after, self.tenant.token.clone()]],
            &frames,
        )
    }

    async fn commit(&mut self) -> Acted {
        let token = self.wire.token();
        let sql = if self.rng.random_bool(0.5) {
            format!("BEGIN; INSERT INTO ledger (kept, note) VALUES (true, '{token}'); COMMIT")
        } else {
            let begun = self.exchange(&simple("BEGIN")?, 1, &[]).await?;
            self.shape("BEGIN", &begun, "CZ")?;
            let insert =
                format!("INSERT INTO ledger (kept, note) VALUES (true, '{token}') RETURNING owner, note");
            let frames = self.exchange(&simple(&insert)?, 1, &[]).await?;
            self.same("INSERT", &rows(&frames), &[vec![self.tenant.token.clone(), token]], &frames)?;
            "COMMIT".to_owned()
        };
        self.tenant.unknown.fetch_add(1, Ordering::SeqCst);
        let frames = self.exchange(&simple(&sql)?, 1, &[]).await?;
        if !frames.iter().any(|f| f.tag == b'C' && f.body.starts_with(b"COMMIT")) {
            return wrong(format!("COMMIT was answered by {}", tags(&frames)));
        }
        self.tenant.unknown.fetch_sub(1, Ordering::SeqCst);
        self.tenant.committed.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }

    async fn rollback(&mut self) -> Acted {
        let token = self.wire.token();
        let begin = format!(
            "BEGIN; INSERT INTO ledger (kept, note) VALUES (false, '{token}'); SELECT note FROM ledger WHERE note = '{token}'"
        );
        let frames = self.exchange(&simple(&begin)?, 1, &[]).await?;
        self.same("a transaction", &rows(&frames), &[vec![token]], &frames)?;
        let frames = self.exchange(&simple("ROLLBACK")?, 1, &[]).await?;
        self.shape("ROLLBACK", &frames, "CZ")
    }

    async fn fail(&mut self) -> Acted {
        let token = self.wire.token();
        let (sql, code) = match self.rng.random_range(0..4) {
            0 => (format!("SELECT complain('{token}')"), "P4711"),
            1 => (format!("SELECT '{token}'::int"), "22P02"),
            2 => (format!("SELECT * FROM public.\"{token}\""), "42P01"),
            _ => (format!("SELECT FROM \"{token}\" WHERE ="), "42601"),
        };
        let frames = self.exchange(&simple(&sql)?, 1, &[code]).await?;
        let Some(error) = frames.iter().find(|f| f.tag == b'E') else {
            return wrong(format!("no error where {code} is due: {}", tags(&frames)));
        };
        let says = error.field(b'M');
        if code != "42601" && !says.contains(&token) {
            return wrong(format!("an error without the client's token: {says}"));
        }
        Ok(true)
    }

    async fn notice(&mut self) -> Acted {
        let token = self.wire.token();
        let frames = self.exchange(&simple(&format!("SELECT say('{token}')"))?, 1, &[]).await?;
        let notices: Vec<_> = frames.iter().filter(|f| f.tag == b'N').map(|f| f.field(b'M')).collect();
        if notices != [format!("{} {token}", self.tenant.token)] {
            return wrong(format!("notices {notices:?} where one with {token} is due"));
        }
        self.same("a notice", &rows(&frames), &[vec![token]], &frames)
    }

    async fn setting(&mut self) -> Acted {
        if self.rng.random_bool(0.4) {
            let token = self.wire.token();
            self.exchange(&simple(&format!("SET application_name = '{token}'"))?, 1, &[]).await?;
            self.named = Some(token);
        }
        let frames = self.exchange(&simple("SELECT current_setting('application_name')")?, 1, &[]).await?;
        let due = self.named.clone().unwrap_or_default();
        self.same("application_name", &rows(&frames), &[vec![due]], &frames)
    }

    async fn cancel(&mut self) -> Acted {
        let (token, wait) = (self.wire.token(), self.rng.random_range(0..120));
        self.wire.cancelled = true;
        let sql = simple(&format!("SELECT '{token}', pg_sleep({SLEEP})"))?;
        self.wire.send(&sql, self.rng).await?;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        for _ in 0..self.rng.random_range(1..4) {
            cancel(&self.tenant.address.host, self.wire.key)
                .await
                .map_err(|_| Trouble::Lost("a cancel was not taken".into()))?;
        }
        let frames = self.exchange(&[], 1, &["57014"]).await?;
        let finished = rows(&frames) == [vec![token, String::new()]];
        if !finished && tags(&frames) != "EZ" && tags(&frames) != "TEZ" {
            return wrong(format!("a cancelled statement: answers {}", tags(&frames)));
        }
        Ok(true)
    }

    async fn many_rows(&mut self) -> Acted {
        let token = self.wire.token();
        let frames = self
            .exchange(&simple(&format!("SELECT n, owner, '{token}', filler FROM mark ORDER BY n"))?, 1, &[])
            .await?;
        let found = rows(&frames);
        let good = found.len() == 5000
            && found.iter().zip(1..).all(|(row, n): (_, u32)| row[0] == n.to_string() && row[2] == token);
        if good { Ok(true) } else { wrong(format!("{} rows of 5000, or other ones", found.len())) }
    }

    async fn copy_out(&mut self) -> Acted {
        let token = self.wire.token();
        let frames = self
            .exchange(
                &simple(&format!(
                    "COPY (SELECT owner, '{token}', n FROM public.mark WHERE n <= 200 ORDER BY n) TO STDOUT"
                ))?,
                1,
                &[],
            )
            .await?;
        let text: Vec<u8> = frames.iter().filter(|f| f.tag == b'd').flat_map(|f| f.body.to_vec()).collect();
        let due: String = (1..=200).map(|n| format!("{}\t{token}\t{n}\n", self.tenant.token)).collect();
        if text == due.as_bytes() {
            Ok(true)
        } else {
            wrong(format!("COPY gave {} bytes where {} are due", text.len(), due.len()))
        }
    }

    async fn copy_in(&mut self) -> Acted {
        let token = self.wire.token();
        let number = self.rng.random_range(1..20);
        self.tenant.unknown.fetch_add(number, Ordering::SeqCst);
        self.wire.send(&simple("COPY ledger (kept, note) FROM STDIN")?, self.rng).await?;
        let mut out = BytesMut::new();
        for _ in 0..number {
            frontend::CopyData::new(format!("t\t{token}\n").as_bytes())?.write(&mut out);
        }
        frontend::copy_done(&mut out);
        let frames = self.exchange(&out, 1, &[]).await?;
        self.shape("COPY", &frames, "GCZ")?;
        self.tenant.unknown.fetch_sub(number, Ordering::SeqCst);
        self.tenant.committed.fetch_add(number, Ordering::SeqCst);
        Ok(true)
    }

    /// Every tenant uses the same channel; what arrives goes past the oracle like everything else.
    async fn notify(&mut self) -> Acted {
        let text =
            format!("LISTEN news; NOTIFY news, '{}'; SELECT 1; UNLISTEN *; DISCARD ALL", self.tenant.token);
        for sql in text.split("; ") {
            self.exchange(&simple(sql)?, 1, &[]).await?;
        }
        self.prepared.clear();
        self.named = None;
        Ok(true)
    }

    /// Rows by portions; the portal is left before its end at times.
    async fn portal(&mut self) -> Acted {
        let token = self.wire.token();
        let mut out = BytesMut::new();
        frontend::parse("", "SELECT $1::text, n FROM mark ORDER BY n", [], &mut out)?;
        bind_execute("", &[&token], 3, &mut out)?;
        frontend::execute("", 2, &mut out)?;
        frontend::sync(&mut out);
        let frames = self.exchange(&out, 1, &[]).await?;
        self.shape("a suspended portal", &frames, "12DDDsDDsZ")?;
        let due: Vec<_> = (1..=5).map(|n| vec![token.clone(), n.to_string()]).collect();
        self.same("a suspended portal", &rows(&frames), &due, &frames)
    }

    async fn vanish_mid_message(&mut self) -> Acted {
        let token = self.wire.token();
        let mut out = BytesMut::new();
        frontend::parse("", "SELECT $1::text", [], &mut out)?;
        bind_execute("", &[&token], 0, &mut out)?;
        frontend::sync(&mut out);
        let cut = self.rng.random_range(1..out.len());
        self.wire.send(&out[..cut], self.rng).await?;
        Ok(false)
    }

    async fn vanish_mid_result(&mut self) -> Acted {
        let token = self.wire.token();
        self.wire
            .send(&simple(&format!("SELECT '{token}', filler FROM mark, generate_series(1, 20)"))?, self.rng)
            .await?;
        for _ in 0..self.rng.random_range(0..50) {
            tokio::time::timeout(crate::wire::ANSWER, self.wire.frame())
                .await
                .map_err(|_| Trouble::Wrong("no rows".into()))??;
        }
        Ok(false)
    }

    async fn vanish_in_transaction(&mut self) -> Acted {
        let token = self.wire.token();
        let sql = format!(
            "BEGIN; INSERT INTO ledger (kept, note) VALUES (false, '{token}'); SET LOCAL application_name = '{token}'"
        );
        self.exchange(&simple(&sql)?, 1, &[]).await?;
        Ok(false)
    }
}
