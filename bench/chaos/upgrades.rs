//! A proxy of the run's own beside the installation's, whose listeners a new process takes over again and again while
//! the clients work.

use crate::tenants::World;
use anyhow::Context;
use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two upgrades.
const BETWEEN: Duration = Duration::from_secs(7);
/// How long a new process may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long a new process is given before the old one is told to leave.
const HANDED_OVER: Duration = Duration::from_secs(1);

/// The proxy.
pub(crate) struct Own {
    program: PathBuf,
    folder: PathBuf,
    listen: u16,
    metrics: u16,
    /// The newest process, and those that still serve clients of before.
    processes: Vec<Child>,
}

impl Own {
    /// Starts it with the keys and the database of the installation whose file `env_file` is.
    pub(crate) fn start(
        program: &Path,
        env_file: &Path,
        env: &HashMap<String, String>,
    ) -> anyhow::Result<Self> {
        let data = env_file.parent().context("the file of an installation lies in its folder")?;
        let folder = std::env::temp_dir().join(format!("chaos-proxy-{:08x}", rand::random::<u32>()));
        std::fs::create_dir_all(&folder)?;
        let database: tokio_postgres::Config =
            env.get("PALISADE_DATABASE_URL").context("PALISADE_DATABASE_URL is not in the file")?.parse()?;
        let server = database.get_ports().first().copied().unwrap_or(5432);
        let (listen, metrics) = (free_port()?, free_port()?);
        let path = |name: &str| folder.join(name).display().to_string();
        let text = format!(
            "[proxy]\nlisten = \"127.0.0.1:{listen}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\nserver = \"127.0.0.1:{server}\"\n\
             master_key_file = \"{}\"\nsnapshot_file = \"{}\"\nspool_dir = \"{}\"\nupgrade_socket = \"{}\"\n",
            std::path::absolute(data)?.join("keys/master.key").display(),
            path("snapshot.json"),
            path("spool"),
            path("upgrade.sock"),
        );
        std::fs::write(folder.join("palisade.toml"), text)?;
        let mut own = Self { program: program.to_owned(), folder, listen, metrics, processes: Vec::new() };
        own.process(false)?;
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", listen)).is_err() {
            anyhow::ensure!(started.elapsed() < START, "the run's own proxy does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(own)
    }

    /// Where clients connect.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.listen)
    }

    /// Where its figures are.
    pub(crate) fn metrics(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics)
    }

    fn process(&mut self, upgrade: bool) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = Command::new(&self.program);
        // What the installation is told by the environment is not for this one.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PALISADE"))
        {
            command.env_remove(name);
        }
        let child = command
            .arg("proxy")
            .arg("--config")
            .arg(self.folder.join("palisade.toml"))
            .args(upgrade.then_some("--upgrade"))
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.processes.push(child);
        Ok(())
    }

    /// A new process takes over; the old one goes on with the clients that it has.
    async fn upgrade(&mut self) -> anyhow::Result<()> {
        let old = self.processes.last().context("a proxy runs")?.id();
        self.process(true)?;
        tokio::time::sleep(HANDED_OVER).await;
        let told = Command::new("kill").args(["-QUIT", &old.to_string()]).status()?;
        anyhow::ensure!(told.success(), "the old process has gone by itself");
        let newest = self.processes.last_mut().context("a proxy runs")?;
        anyhow::ensure!(newest.try_wait()?.is_none(), "the new process has ended");
        self.processes.retain_mut(|process| matches!(process.try_wait(), Ok(None)));
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended by itself needs no end.
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Upgrades it until the storm is over, and gives it back.
pub(crate) async fn run(own: Option<Own>, world: Arc<World>, until: Instant) -> Option<Own> {
    let mut own = own?;
    while Instant::now() + BETWEEN < until {
        tokio::time::sleep(BETWEEN).await;
        match own.upgrade().await {
            Ok(()) => world.tally.fault("upgrades"),
            Err(e) => world.tally.found(format!("an upgrade could not be made: {e:#}")),
        }
    }
    Some(own)
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
