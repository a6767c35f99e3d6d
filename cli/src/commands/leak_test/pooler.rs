//! The comparison through PgBouncer: its recommended way for many tenants, a login for each, transaction pooling.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use palisade_proof::{Address, Lab};

/// Longest wait until it takes connections.
const START: Duration = Duration::from_secs(10);
/// Whom it becomes where it is started by root, as which it refuses to run: the account of Debian's package.
const ACCOUNT: &str = "postgres";

/// A PgBouncer before a plain PostgreSQL, ended when it is dropped.
pub(super) struct Pooler {
    child: Child,
    folder: PathBuf,
    tenants: Vec<(Lab, Address)>,
}

impl Pooler {
    pub(super) fn start(program: &Path, tenants: &[(Lab, Address)]) -> Result<Self> {
        let (_, first) = tenants.first().context("there are no tenants")?;
        let (host, port) = first.host.rsplit_once(':').context("the server has no port")?;
        let folder = std::env::temp_dir().join(format!("leak-pgbouncer-{:08x}", rand::random::<u32>()));
        std::fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o711))?;
        let listen = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let users: String =
            tenants.iter().map(|(_, a)| format!("\"{}\" \"{}\"\n", a.user, a.password)).collect();
        let ini = format!(
            "[databases]\n{database} = host={host} port={port} dbname={database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {listen}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users.txt\n\
             pool_mode = transaction\ndefault_pool_size = 10\nmax_client_conn = 500\n",
            database = first.database,
            host = host.trim_matches(['[', ']']),
            folder = folder.display(),
        );
        for (name, text) in [("users.txt", users), ("pgbouncer.ini", ini)] {
            std::fs::write(folder.join(name), text)?;
        }
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", ACCOUNT]);
        }
        let child = command
            .args(["-q".as_ref(), folder.join("pgbouncer.ini").as_os_str()])
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let tenants = tenants
            .iter()
            .map(|(lab, a)| (lab.clone(), Address { host: format!("127.0.0.1:{listen}"), ..a.clone() }))
            .collect();
        let mut pooler = Self { child, folder, tenants };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", listen)).is_err() {
            if let Some(status) = pooler.child.try_wait()? {
                bail!("PgBouncer has ended with {status}");
            }
            if began.elapsed() > START {
                bail!("PgBouncer takes no connections");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(pooler)
    }

    pub(super) fn tenants(&self) -> Vec<(Lab, Address)> {
        self.tenants.clone()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Where it has ended by itself there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
