//! `palisade leak-test`: probe tenants are made through the API, attacked through the proxy, and deleted again.

mod plain;
mod pooler;
mod progress;
mod twin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args as ClapArgs, ValueEnum};
use palisade_proof::{Address, Attacker, Compared, Lab, Options, Outcome, Pair, Progress, Report, Tokens};
use palisade_trail::Key;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{Api, ApiArgs, encode};
use crate::commands::out::{items, text};
use progress::{Display, Shown};

/// Name of the key that signs reports.
const ORIGIN: &str = "palisade/leak-test";
/// Longest run.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Longest wait until the proxy lets a new tenant in.
const KNOWN: Duration = Duration::from_secs(20);

/// The suite could not be run: that is no leak.
#[derive(Debug, thiserror::Error)]
#[error("the leak test could not be run")]
pub(crate) struct CouldNotRun;

/// Somebody ended the test before its time was over: that nothing leaked says little.
#[derive(Debug, thiserror::Error)]
#[error("the leak test was interrupted; nothing leaked until then")]
pub(crate) struct Interrupted;

/// Which walls stand.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Walls {
    /// The installation as it is
    Both,
    /// Then once more with a policy that is only tried: what the database stops by itself; and, with `--admin`, with the
    /// victims' schemas open to everybody: what the proxy stops by itself
    Each,
}

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// How long each run takes: `45s`, `10m`, `1h`
    #[arg(long, default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// Where everything that is random comes from; drawn and shown where it is left out
    #[arg(long)]
    seed: Option<u64>,
    /// Probe tenants: the first attacks, the others are attacked; the attackers are not told of the last
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=50))]
    tenants: u8,
    /// Attackers at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Most statements a second of all attackers together; 0 is without a limit
    #[arg(long, default_value_t = 0, default_value_if("production", "true", "20"))]
    rate: u64,
    /// For an installation that has work to do: statements that only read, in read-only transactions, of two attackers,
    /// 20 a second unless --rate says otherwise. No walls are opened and nothing is compared
    #[arg(long, conflicts_with_all = ["walls", "admin", "compare", "sqlsmith", "twin", "threads"])]
    production: bool,
    #[arg(long, value_enum, default_value_t = Walls::Both)]
    walls: Walls,
    /// An administrator's connection string to the database: opens the probe tenants' schemas, and nobody else's, for the
    /// run in which the proxy stands alone
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Attack a plain PostgreSQL with one role for each tenant too, in a database made for it: an administrator's
    /// connection string. Shows what the suite finds where nothing filters
    #[arg(long, value_name = "URL")]
    compare: Option<String>,
    /// And the same through PgBouncer in transaction mode: its program
    #[arg(long, value_name = "PROGRAM", requires = "compare")]
    pgbouncer: Option<PathBuf>,
    /// Ask a private database the same as a probe tenant, for the same time: every answer must be equal. An
    /// administrator's connection string to the same version of PostgreSQL
    #[arg(long, value_name = "URL")]
    twin: Option<String>,
    /// Let SQLsmith attack too: its program (Debian: sqlsmith)
    #[arg(long, value_name = "PROGRAM")]
    sqlsmith: Option<PathBuf>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Shown::Bar)]
    progress: Shown,
    /// Eight hexadecimal digits for the names of the probe tenants (`probe-<digits>-…`); drawn where they are left out
    #[arg(long, value_parser = run_name)]
    name: Option<u32>,
    /// Leave the probe tenants: whoever started the test takes them away
    #[arg(long)]
    keep_tenants: bool,
    /// Folder for the report (`report.json`, signed, and `report.html`)
    #[arg(long, default_value = "leak-report")]
    report: PathBuf,
    /// File with the key that signs, 64 hexadecimal digits; made where it is not there
    #[arg(long, default_value = "leak-test.key")]
    key_file: PathBuf,
    #[command(flatten)]
    api: ApiArgs,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let report = attack(args).context(CouldNotRun)?;
    for (wall, outcome) in &report.walls {
        println!(
            "{wall}: {} statements, {:.0} a second, {} leaks; a victim's statement took {:.1} ms (99 of 100: {:.1} ms)",
            outcome.statements,
            outcome.statements_per_second,
            outcome.leaks.len(),
            outcome.victim_p50_ms,
            outcome.victim_p99_ms
        );
        for leak in outcome.leaks.iter().take(5) {
            println!("  {} / {} [{}] {}", leak.attacker, leak.class, leak.kinds.join(", "), leak.reproducer);
        }
    }
    if let Some(twin) = &report.twin {
        let known: u64 = twin.known.values().sum();
        println!(
            "beside a private database: {} statements, {} equal answers, {known} known differences, {} others",
            twin.statements, twin.equal, twin.unknown
        );
        for difference in twin.differences.iter().take(5) {
            println!("  {} {}", difference.class, difference.statement);
        }
    }
    println!("the report is in {}", args.report.display());
    match (report.leaks(), report.twin.as_ref().map_or(0, |twin| twin.unknown)) {
        (0, 0) if report.interrupted => Err(Interrupted.into()),
        (0, 0) => Ok(()),
        (0, others) => bail!("{others} answers differ from a private database's; some stand in the report"),
        (leaks, _) => bail!("{leaks} leaks; each stands in the report with a statement that does it"),
    }
}

fn attack(args: &Args) -> Result<Report> {
    let key = signing_key(&args.key_file)?;
    std::fs::create_dir_all(&args.report).with_context(|| format!("making {}", args.report.display()))?;
    let api = Api::new(&args.api)?;
    let stop = interrupted()?;
    let seed = args.seed.unwrap_or_else(rand::random);
    println!(
        "seed {seed}, {} tenants, {} attackers, {} s",
        args.tenants,
        attackers(args).len(),
        args.duration.as_secs()
    );
    let mut walls = BTreeMap::new();
    let mut modes = vec![("both walls", false, None)];
    if args.walls == Walls::Each {
        modes.push(("database alone", true, None));
        modes.extend(args.admin.as_deref().map(|admin| ("proxy alone", false, Some(admin))));
    }
    for (name, observe, open) in modes {
        let probes = Probes::make(&api, (args.tenants, args.name), observe, seed)?;
        let ran = probes.opened(open).and_then(|()| one(args, probes.tenants.clone(), seed, name, &stop));
        // The probes go, whatever has happened.
        let deleted = if args.keep_tenants { Ok(()) } else { probes.delete() };
        walls.insert(name.to_owned(), ran?);
        deleted?;
    }
    if let Some(url) = &args.compare {
        let plain = plain::Plain::make(url, args.tenants, seed)?;
        let ran = compare(args, &plain, seed, &stop);
        let deleted = plain.delete();
        walls.extend(ran?);
        deleted?;
    }
    let twin = args.twin.as_deref().map(|url| differential(args, &api, url, seed, &stop)).transpose()?;
    let report = Report {
        made_at: time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339)?,
        suite: env!("CARGO_PKG_VERSION").to_owned(),
        target: format!("Palisade {} at {}", env!("CARGO_PKG_VERSION"), args.api.api_url),
        policy_epoch: api.get("/policy").ok().and_then(|policy| policy["epoch"].as_u64()),
        seed,
        tenants: args.tenants.into(),
        interrupted: stop.stop.load(Ordering::Relaxed),
        walls,
        twin,
    };
    let write = |name: &str, text: String| {
        let file = args.report.join(name);
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    };
    write("report.json", palisade_proof::signed(&report, &key)?)?;
    write("report.html", palisade_proof::html(&report))?;
    println!("signed by {}", key.public().text());
    Ok(report)
}

/// A probe tenant's answers beside those of a private database.
fn differential(args: &Args, api: &Api, url: &str, seed: u64, stop: &Progress) -> Result<Compared> {
    let probes = Probes::make(api, (1, None), false, seed)?;
    let compared = twin::Private::make(url).and_then(|private| {
        let (_, palisade) = probes.tenants.first().context("a probe tenant was made")?;
        let pair = Pair { palisade: palisade.clone(), private: private.address.clone() };
        let compared = palisade_proof::compare(&pair, args.duration, seed, &stop.stop);
        // Both go, whatever has happened.
        private.delete()?;
        compared
    });
    probes.delete()?;
    compared
}

/// What the suite finds in a plain PostgreSQL, and behind PgBouncer where that is wished.
fn compare(
    args: &Args,
    plain: &plain::Plain,
    seed: u64,
    stop: &Arc<Progress>,
) -> Result<BTreeMap<String, Outcome>> {
    let mut walls = BTreeMap::new();
    let name = "plain PostgreSQL";
    walls.insert(name.to_owned(), one(args, plain.tenants(), seed, name, stop)?);
    if let Some(program) = &args.pgbouncer {
        plain.empty()?;
        let pooler = pooler::Pooler::start(program, &plain.tenants())?;
        walls.insert("PgBouncer".to_owned(), one(args, pooler.tenants(), seed, "PgBouncer", stop)?);
    }
    Ok(walls)
}

/// One run, with a bar that says how far it is.
fn one(
    args: &Args,
    tenants: Vec<(Lab, Address)>,
    seed: u64,
    name: &str,
    progress: &Arc<Progress>,
) -> Result<Outcome> {
    progress.begin();
    let options = Options {
        tenants,
        duration: args.duration,
        seed,
        attackers: attackers(args),
        rate: args.rate,
        sqlsmith: args.sqlsmith.clone(),
        read_only: args.production,
    };
    let display = Display::new(args.progress, name, args.duration)?;
    let (seen, progress) = (progress.clone(), progress.clone());
    let running = std::thread::spawn(move || palisade_proof::run(options, &seen));
    let began = Instant::now();
    while !running.is_finished() {
        std::thread::sleep(display.pace());
        display.show(&progress, began.elapsed());
    }
    display.end();
    running.join().map_err(|_| anyhow::anyhow!("the run ended in a panic"))?
}

/// Ends runs early when somebody interrupts: what was made for them is removed all the same. A second time ends at once.
fn interrupted() -> Result<Arc<Progress>> {
    let progress = Arc::new(Progress::default());
    let stop = progress.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let Ok(mut end) = signal(SignalKind::terminate()) else { return };
            let mut told = 0;
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = end.recv() => {}
                }
                told += 1;
                stop.stop.store(true, Ordering::Relaxed);
                if told > 1 {
                    std::process::exit(130);
                }
            }
        });
    });
    Ok(progress)
}

/// Who attacks.
fn attackers(args: &Args) -> Vec<Attacker> {
    if args.production {
        return vec![Attacker::Generator, Attacker::Existence];
    }
    threads(args.threads).into_iter().chain(args.sqlsmith.is_some().then_some(Attacker::Smith)).collect()
}

/// One in eight garbles the protocol, one asks whether a name tells, two play the corpus.
fn threads(number: u8) -> Vec<Attacker> {
    (0..number)
        .map(|index| match index % 8 {
            3 => Attacker::Garbler,
            1 | 5 => Attacker::Mutator,
            7 => Attacker::Existence,
            _ => Attacker::Generator,
        })
        .collect()
}

/// The tenants of one run.
struct Probes<'a> {
    api: &'a Api,
    tenants: Vec<(Lab, Address)>,
}

impl<'a> Probes<'a> {
    fn make(api: &'a Api, (number, name): (u8, Option<u32>), observe: bool, seed: u64) -> Result<Self> {
        let mut probes = Self { api, tenants: Vec::new() };
        let mut rng = StdRng::seed_from_u64(seed ^ u64::from(observe));
        let run = name.unwrap_or_else(rand::random);
        for index in 0..number {
            // Those of the run before may still be there. One cannot be put together by chance from another.
            let own: u32 = rand::random();
            let slug = format!("probe-{run:08x}-{}{index}-{own:08x}", if observe { "o" } else { "" });
            let made = probes.tenant(&slug, observe, &mut rng);
            match made {
                Ok(tenant) => probes.tenants.push(tenant),
                Err(error) => {
                    // What was made goes before the error is said.
                    let _ = probes.delete();
                    return Err(error.context(format!("making the probe tenant {slug}")));
                }
            }
        }
        Ok(probes)
    }

    fn tenant(&self, slug: &str, observe: bool, rng: &mut StdRng) -> Result<(Lab, Address)> {
        let body = json!({ "slug": slug, "display_name": "leak test probe" });
        let made = self.api.post("/tenants", &body, None)?;
        if observe {
            self.api.put(&format!("/tenants/{slug}/policy-mode"), &json!({ "mode": "observe" }))?;
        }
        let owner = items(&made, "credentials").iter().find(|c| c["login"] == "owner");
        let address = address(owner.context("the API gave no owner's login")?)?;
        let lab = Lab {
            slug: slug.to_owned(),
            schema: format!("t_{}", text(&made["tenant"]["id"])),
            space: "public".into(),
            tokens: Tokens::random(rng),
        };
        Ok((lab, address))
    }

    /// Takes the database's wall away between the probe tenants: whatever is made in their schemas is everybody's.
    fn opened(&self, admin: Option<&str>) -> Result<()> {
        let Some(admin) = admin else { return Ok(()) };
        let open = |(lab, _): &(Lab, Address)| {
            let schema = &lab.schema;
            let defaults = ["TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"].map(|what| {
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {schema}_owner IN SCHEMA {schema} GRANT ALL ON {what} TO PUBLIC;"
                )
            });
            format!(
                "GRANT ALL ON SCHEMA {schema} TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO PUBLIC; {}",
                defaults.concat()
            )
        };
        let sql: String = self.tenants.iter().map(open).collect();
        plain::execute(admin, None, &sql).context("opening the probe tenants' schemas")
    }

    fn delete(&self) -> Result<()> {
        for (lab, _) in &self.tenants {
            let path = format!("/tenants/{}", encode(&lab.slug));
            let planned = self.api.delete(&format!("{path}?dry_run=true"))?;
            let confirm = text(&planned["confirm"]);
            self.api
                .delete(&format!("{path}?confirm={}&reason=leak%20test", encode(&confirm)))
                .with_context(|| format!("deleting the probe tenant {}", lab.slug))?;
        }
        Ok(())
    }
}

/// Host and port of a connection string.
fn place(config: &tokio_postgres::Config) -> Result<String> {
    match (config.get_hosts().first(), config.get_ports().first()) {
        (Some(tokio_postgres::config::Host::Tcp(host)), port) => {
            // An IPv6 address stands in brackets before a port.
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            Ok(format!("{host}:{}", port.unwrap_or(&5432)))
        }
        _ => bail!("the connection string must name a host"),
    }
}

/// Where a credential's connection string leads, once the proxy lets it in.
fn address(credential: &Value) -> Result<Address> {
    let url = text(&credential["url"]);
    let config: tokio_postgres::Config = url.parse().context("the API gave no connection string")?;
    let database = config.get_dbname().context("the connection string has no database")?;
    let address = Address {
        host: place(&config)?,
        user: config.get_user().context("the connection string has no login")?.to_owned(),
        password: text(&credential["secret"]),
        database: database.to_owned(),
    };
    let began = Instant::now();
    while let Err(error) = palisade_proof::log_in(&address) {
        if began.elapsed() > KNOWN {
            return Err(error.context(format!("logging in to {database}")));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(address)
}

/// The key in a file; a new one where there is none.
fn signing_key(file: &Path) -> Result<Key> {
    let seed: [u8; 32] = if file.exists() {
        let hex = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.trim().as_bytes()).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .with_context(|| format!("{} must hold 64 hexadecimal digits", file.display()))?
    } else {
        let seed: [u8; 32] = rand::random();
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
        let mut out = options.open(file).with_context(|| format!("making {}", file.display()))?;
        std::io::Write::write_all(&mut out, data_encoding::HEXLOWER.encode(&seed).as_bytes())?;
        seed
    };
    Ok(Key::new(ORIGIN, &seed)?)
}

/// Eight hexadecimal digits.
fn run_name(given: &str) -> Result<u32, String> {
    let digits = given.len() == 8 && given.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(given, 16)
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| "must be eight hexadecimal digits".into())
}

/// `45s`, `10m`, `1h`, or seconds.
fn duration(given: &str) -> Result<Duration, String> {
    let (number, unit) = given.split_at(given.find(|c: char| !c.is_ascii_digit()).unwrap_or(given.len()));
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("must be seconds, minutes or hours, such as 45s, 10m, 1h".into()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let length = seconds.map(Duration::from_secs).filter(|length| !length.is_zero() && *length <= LONGEST);
    length.ok_or_else(|| "must be 1s to 168h".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (given, want) in [
            ("45s", Some(45)),
            ("10m", Some(600)),
            ("1h", Some(3600)),
            ("7", Some(7)),
            ("0s", None),
            ("1d", None),
            ("", None),
            ("999999h", None),
        ] {
            assert_eq!(duration(given).ok().map(|d| d.as_secs()), want, "{given}");
        }
    }

    #[test]
    fn every_kind_of_attacker_has_its_part() {
        let names = |number| {
            threads(number).iter().map(|a| a.name()).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!((names(1), names(4), names(8)), (1, 3, 4));
    }
}
