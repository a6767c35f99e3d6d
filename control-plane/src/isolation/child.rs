//! The attacking process: started, listened to, ended.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use uuid::Uuid;

use super::walls::{Wall, reported, told};
use super::{End, Wish, end, seed};
use crate::Shared;
use crate::http::problem::Problem;

/// How often the run is written down, and looked at for a cancellation.
const BEAT: Duration = Duration::from_secs(1);
/// Most bytes of a line of progress; of a longer one nothing is understood.
const LINE_BYTES: u64 = 256 << 10;
/// Most bytes of what the process complains that are kept.
const COMPLAINT_BYTES: u64 = 4 << 10;
/// Most bytes of each form of the report.
const REPORT_BYTES: u64 = 4 << 20;

/// A run that is to be made.
pub(super) struct Run {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) wish: Wish,
    /// The token, whole.
    pub(super) secret: String,
}

/// How the process came to its end.
enum Ended {
    /// By itself: 0 nothing leaked, 1 something did.
    Exit(Option<i32>),
    Cancelled,
    TooLong,
    Stopping,
}

/// Makes a run and writes its end down. What cannot be written is left to the reconciler.
pub(super) async fn run(shared: &Shared, run: &Run) {
    let folder = std::env::temp_dir().join(format!("palisade-isolation-{}", run.id));
    let ended = match prepare(&folder, &seed(shared)).and_then(|()| spawn(shared, run, &folder)) {
        Ok(child) => attack(shared, run, &folder, child).await,
        Err(error) => failed(format!("the attacking process cannot be started: {error}")),
    };
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        tracing::warn!(%error, folder = %folder.display(), "a leak test's folder stays");
    }
    if let Err(problem) = end(shared, run.id, &run.name, ended).await {
        tracing::warn!(detail = %problem.detail, "the end of a leak test is not written yet; it will be tried again");
    }
    tracing::info!(id = %run.id, "a leak test has ended");
}

fn failed(error: String) -> End {
    End { state: "failed", error: Some(error), leaks: None, walls: None, report: None }
}

/// A folder of its own with the key that signs, for nobody else to read.
fn prepare(folder: &Path, seed: &[u8; 32]) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    let mut key = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("key"))?;
    key.write_all(data_encoding::HEXLOWER.encode(seed).as_bytes())
}

fn spawn(shared: &Shared, run: &Run, folder: &Path) -> std::io::Result<Child> {
    let wish = &run.wish;
    let mut address = shared.config.listen;
    if address.ip().is_unspecified() {
        // Listening everywhere is listening on loopback too.
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["leak-test", "--progress", "json", "--keep-tenants", "--name", &run.name]);
    command.args(["--duration", &format!("{}s", wish.seconds)]);
    command.args(["--tenants", &wish.tenants.to_string(), "--threads", &wish.attackers.to_string()]);
    command.args(["--rate", &wish.rate.to_string(), "--walls", if wish.each_wall { "each" } else { "both" }]);
    command.args(["--api-url", &format!("http://{address}")]);
    command.arg("--report").arg(folder.join("report")).arg("--key-file").arg(folder.join("key"));
    // Nothing of our own environment; the token is not among the arguments, which everybody on the machine may read.
    command.env_clear().env("PALISADE_ADMIN_TOKEN", &run.secret).env("LC_ALL", "C").current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn()
}

/// Listens to the process until it ends, or must end.
async fn attack(shared: &Shared, run: &Run, folder: &Path, mut child: Child) -> End {
    let complaints = child.stderr.take().map(|stderr| tokio::spawn(complaints(stderr)));
    let mut walls = Vec::new();
    let ended =
        match tokio::time::timeout(run.wish.longest(), listen(shared, run, &mut child, &mut walls)).await {
            Ok(ended) => ended,
            Err(_) => Ended::TooLong,
        };
    // One that has ended already is no error.
    let _ = child.kill().await;
    let said = match complaints {
        Some(task) => task.await.unwrap_or_default(),
        None => String::new(),
    };
    conclude(ended, &walls, folder, &said)
}

async fn listen(shared: &Shared, run: &Run, child: &mut Child, walls: &mut Vec<Wall>) -> Ended {
    let Some(stdout) = child.stdout.take() else { return Ended::Exit(None) };
    let mut stopping = shared.stopping.subscribe();
    let mut lines = BufReader::new(stdout);
    let mut beat = tokio::time::interval(BEAT);
    let mut line = Vec::new();
    loop {
        let mut bounded = (&mut lines).take(LINE_BYTES);
        tokio::select! {
            read = bounded.read_until(b'\n', &mut line) => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    *walls = told(std::mem::take(walls), &String::from_utf8_lossy(&line));
                    line.clear();
                }
            },
            _ = beat.tick() => match seen(shared, run.id, walls).await {
                Ok(true) => return Ended::Cancelled,
                Ok(false) => {}
                Err(problem) => tracing::warn!(detail = %problem.detail, "a leak test's progress is not written"),
            },
            () = stopped(&mut stopping) => return Ended::Stopping,
        }
    }
    Ended::Exit(child.wait().await.ok().and_then(|status| status.code()))
}

/// Resolves once the shutdown is announced.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: that is a shutdown too.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Writes how far a run is; says whether somebody has cancelled it.
async fn seen(shared: &Shared, id: Uuid, walls: &[Wall]) -> Result<bool, Problem> {
    let client = shared.pool.get().await?;
    let row = client
        .query_opt(
            "UPDATE palisade_control.isolation_runs SET seen_at = clock_timestamp(), walls = $2
             WHERE id = $1 AND state = 'running' RETURNING cancelled_by IS NOT NULL",
            &[&id, &serde_json::to_value(walls).unwrap_or_default()],
        )
        .await?;
    // A run that is not running any more was ended by somebody else.
    Ok(row.is_none_or(|row| row.get(0)))
}

fn conclude(ended: Ended, walls: &[Wall], folder: &Path, said: &str) -> End {
    let told = Some(serde_json::to_value(walls).unwrap_or_default());
    match ended {
        Ended::Cancelled => End { state: "cancelled", error: None, leaks: None, walls: told, report: None },
        Ended::TooLong => failed("it did not end in time, and was ended".into()),
        Ended::Stopping => failed("the control plane stopped meanwhile".into()),
        Ended::Exit(Some(0 | 1)) => match report(walls, folder) {
            Ok(end) => end,
            Err(error) => failed(error),
        },
        Ended::Exit(code) => {
            let code = code.map_or("a signal".into(), |code| code.to_string());
            let said: String = said.trim().chars().take(1_000).collect();
            failed(format!(
                "it ended with {code}: {}",
                if said.is_empty() { "it said nothing" } else { &said }
            ))
        }
    }
}

fn report(walls: &[Wall], folder: &Path) -> Result<End, String> {
    let json = read(folder.join("report/report.json"))?;
    let html = read(folder.join("report/report.html"))?;
    let (walls, leaks) =
        reported(walls, &json).map_err(|error| format!("the report cannot be read: {error}"))?;
    Ok(End {
        state: if leaks == 0 { "passed" } else { "leaked" },
        error: None,
        leaks: Some(leaks),
        walls: Some(serde_json::to_value(walls).unwrap_or_default()),
        report: Some((json, html)),
    })
}

fn read(file: PathBuf) -> Result<String, String> {
    let fault = |error: std::io::Error| format!("the report cannot be read: {error}");
    let length = std::fs::metadata(&file).map_err(fault)?.len();
    if length > REPORT_BYTES {
        return Err(format!("the report has {length} bytes, more than {REPORT_BYTES}"));
    }
    std::fs::read_to_string(file).map_err(fault)
}

/// The first bytes of what the process complains; the rest is read and forgotten, so that it does not wait.
async fn complaints(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    // A pipe that breaks has said all that it will.
    let _ = (&mut from).take(COMPLAINT_BYTES).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}
