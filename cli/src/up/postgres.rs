//! A private PostgreSQL by its own tools: `initdb` once, `pg_ctl` to start and stop.
//!
//! PostgreSQL refuses to run as root, so root hands these commands to an unprivileged user. The cluster listens on
//! loopback only, has no Unix socket, asks for SCRAM-SHA-256 and keeps fsync on.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::commands::keys::write_secret;
use crate::up::layout::Layout;
use crate::up::{ports, say};

/// How often another port is tried.
const PORT_TRIES: usize = 5;
/// The port that is taken where it is free.
const PREFERRED_PORT: u16 = 54_327;
/// Most server connections; the demo's pools fit many times over.
const MAX_CONNECTIONS: u32 = 200;
/// Longest wait for a start or stop, in seconds.
const CONTROL_WAIT_SECONDS: u32 = 60;

/// A running private cluster. [`PrivatePostgres::stop`] stops it.
pub(crate) struct PrivatePostgres {
    tools: Tools,
    data: PathBuf,
    port: u16,
    password: String,
}

impl PrivatePostgres {
    /// Initialises the cluster on the first run, and starts it unless it runs already.
    pub(crate) fn start(layout: &Layout) -> Result<Self> {
        let tools = Tools::find()?;
        let data = tools.place(layout)?;
        let password = password(layout)?;
        let fresh = !data.join("PG_VERSION").exists();
        if fresh {
            say(&format!("initialising a private PostgreSQL ({}) …", tools.version));
            tools.init(layout, &data, &password)?;
        }
        tools.check_version(&data)?;
        let mut cluster = Self { tools, data, port: 0, password };
        cluster.port = cluster.settle_port()?;
        cluster.wait_while_stopping()?;
        if cluster.running() {
            say(&format!("PostgreSQL runs already on 127.0.0.1:{}", cluster.port));
        } else {
            // Another may take the port between the look and the start.
            let mut tries = 0;
            while let Err(error) = cluster.launch(layout) {
                tries += 1;
                if tries == PORT_TRIES || ports::free(cluster.port)? == cluster.port {
                    return Err(error);
                }
                cluster.port = cluster.settle_port()?;
            }
            say(&format!("PostgreSQL {} is up on 127.0.0.1:{}", cluster.tools.version, cluster.port));
        }
        Ok(cluster)
    }

    /// A server that is being stopped is waited for: it takes nobody in any more.
    fn wait_while_stopping(&self) -> Result<()> {
        // The eighth line of the lock file is the server's state (miscadmin.h, LOCK_FILE_LINE_PM_STATUS).
        let stopping = || {
            let text = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
            text.lines().nth(7).is_some_and(|state| state.trim() == "stopping")
        };
        let started = std::time::Instant::now();
        while stopping() && self.running() {
            if started.elapsed().as_secs() > u64::from(CONTROL_WAIT_SECONDS) {
                bail!(
                    "PostgreSQL has been stopping for {CONTROL_WAIT_SECONDS} s; look at its log and try again"
                );
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Ok(())
    }

    /// The superuser's connection string for a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Stops the cluster cleanly: clients are cut off, everything is written.
    pub(crate) fn stop(&self) -> Result<()> {
        self.tools.run(
            "pg_ctl",
            &[
                "-D",
                &self.data.to_string_lossy(),
                "-m",
                "fast",
                "-w",
                "-t",
                &CONTROL_WAIT_SECONDS.to_string(),
                "stop",
            ],
        )
    }

    fn running(&self) -> bool {
        self.tools.run("pg_ctl", &["-D", &self.data.to_string_lossy(), "status"]).is_ok()
    }

    /// The port of the last start, or a free one; kept beside the data.
    fn settle_port(&self) -> Result<u16> {
        let file = self.data.join("palisade.port");
        let kept = std::fs::read_to_string(&file).ok().and_then(|t| t.trim().parse::<u16>().ok());
        if let Some(port) = kept
            && (self.running() || ports::free(port)? == port)
        {
            return Ok(port);
        }
        let port = ports::free(kept.unwrap_or(PREFERRED_PORT))?;
        std::fs::write(&file, format!("{port}\n")).with_context(|| format!("writing {}", file.display()))?;
        Ok(port)
    }

    fn launch(&self, layout: &Layout) -> Result<()> {
        let log = self.data.join("palisade-server.log");
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections={MAX_CONNECTIONS}",
            self.port
        );
        self.tools
            .run(
                "pg_ctl",
                &[
                    "-D",
                    &self.data.to_string_lossy(),
                    "-w",
                    "-t",
                    &CONTROL_WAIT_SECONDS.to_string(),
                    "-l",
                    &log.to_string_lossy(),
                    "-o",
                    &options,
                    "start",
                ],
            )
            .with_context(|| {
                let shown = log.strip_prefix(layout.root()).map_or_else(|_| log.clone(), Path::to_path_buf);
                format!("starting PostgreSQL; its log is {}", shown.display())
            })
    }
}

fn password(layout: &Layout) -> Result<String> {
    let file = layout.postgres_password();
    if !file.exists() {
        write_secret(&file, &palisade_catalog::secrets::random_client_secret())?;
    }
    Ok(std::fs::read_to_string(&file)
        .with_context(|| format!("reading {}", file.display()))?
        .trim()
        .to_owned())
}

/// PostgreSQL's binaries and the user that they run as.
struct Tools {
    folder: PathBuf,
    version: String,
    user: Option<Unprivileged>,
}

/// Who runs PostgreSQL when Palisade is root.
struct Unprivileged {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl Tools {
    fn find() -> Result<Self> {
        let folder =
            candidates().into_iter().find(|f| f.join("initdb").exists() && f.join("pg_ctl").exists());
        let Some(folder) = folder else {
            bail!(
                "PostgreSQL's server binaries (initdb, pg_ctl) are not here; install them (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql), name their folder in PG_BINDIR, or use a server of yours with --database-url"
            );
        };
        let user = if rustix::process::geteuid().is_root() { Some(Unprivileged::find()?) } else { None };
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .with_context(|| format!("running {}/postgres", folder.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().nth(2).unwrap_or("unknown").to_owned();
        Ok(Self { folder, version, user })
    }

    /// Where the data goes: below the data folder, or, where the unprivileged user cannot go there (a checkout in
    /// root's home), below /var/lib/palisade.
    fn place(&self, layout: &Layout) -> Result<PathBuf> {
        let wanted = layout.postgres();
        let Some(user) = &self.user else {
            std::fs::create_dir_all(&wanted).context("making the database's folder")?;
            std::fs::set_permissions(&wanted, PermissionsExt::from_mode(0o700))?;
            return Ok(wanted);
        };
        if let Ok(target) = std::fs::read_link(&wanted) {
            return Ok(target);
        }
        let place = if reachable(layout.root(), user) { wanted.clone() } else { far_place(layout.root()) };
        std::fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        std::fs::set_permissions(&place, PermissionsExt::from_mode(0o700))?;
        chown(&place, Some(user.uid), Some(user.gid))
            .with_context(|| format!("giving {} to {}", place.display(), user.name))?;
        if place != wanted {
            std::os::unix::fs::symlink(&place, &wanted).context("linking the database's folder")?;
            say(&format!(
                "user {} cannot enter this folder, so the database is in {}",
                user.name,
                place.display()
            ));
        }
        Ok(place)
    }

    fn init(&self, layout: &Layout, data: &Path, password: &str) -> Result<()> {
        let pwfile = data.with_file_name(format!("postgres-init-{}", std::process::id()));
        write_secret(&pwfile, password)?;
        if let Some(user) = &self.user {
            chown(&pwfile, Some(user.uid), Some(user.gid))?;
        }
        let result = self.run(
            "initdb",
            &[
                "-D",
                &data.to_string_lossy(),
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "--pwfile",
                &pwfile.to_string_lossy(),
                "-E",
                "UTF8",
                "--locale",
                "C.UTF-8",
            ],
        );
        // The password has been taken over or the start has failed: the copy goes either way.
        let _ = std::fs::remove_file(&pwfile);
        result.with_context(|| format!("initialising the database of {}", layout.root().display()))
    }

    fn check_version(&self, data: &Path) -> Result<()> {
        let of_data = std::fs::read_to_string(data.join("PG_VERSION")).context("reading PG_VERSION")?;
        let major = self.version.split('.').next().unwrap_or_default();
        if of_data.trim() != major {
            bail!(
                "the data in {} was made by PostgreSQL {} and the binaries in {} are {}; name the folder of PostgreSQL {} in PG_BINDIR, or move the data away",
                data.display(),
                of_data.trim(),
                self.folder.display(),
                self.version,
                of_data.trim()
            );
        }
        Ok(())
    }

    /// Runs one of the tools to its end, as the unprivileged user where we are root.
    fn run(&self, tool: &str, args: &[&str]) -> Result<()> {
        let log = std::env::temp_dir().join(format!("palisade-{tool}-{}.log", std::process::id()));
        let out = std::fs::File::create(&log).context("making a temporary file")?;
        let mut command = Command::new(self.folder.join(tool));
        command.args(args).stdin(std::process::Stdio::null());
        // A file, not a pipe: the server that pg_ctl starts inherits it and would keep a pipe open.
        command.stdout(out.try_clone()?).stderr(out);
        // A group of its own: Ctrl-C in the terminal must not reach the server before Palisade has drained.
        command.process_group(0).current_dir("/");
        if let Some(user) = &self.user {
            // libpq and PostgreSQL look into HOME, which is root's and closed to this user.
            command.uid(user.uid).gid(user.gid).env("HOME", "/").env_remove("PGPASSFILE");
        }
        command.env("LC_ALL", "C.UTF-8");
        let status = command.status().with_context(|| format!("running {tool}"));
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(&log);
        let status = status?;
        if status.success() {
            return Ok(());
        }
        let last =
            text.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" · ");
        bail!("{tool} failed ({status}): {last}")
    }
}

impl Unprivileged {
    fn find() -> Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        for name in ["postgres", "nobody"] {
            for line in passwd.lines() {
                let mut fields = line.split(':');
                if fields.next() != Some(name) {
                    continue;
                }
                let ids =
                    (fields.nth(1).and_then(|f| f.parse().ok()), fields.next().and_then(|f| f.parse().ok()));
                if let (Some(uid), Some(gid)) = ids {
                    return Ok(Self { name, uid, gid });
                }
            }
        }
        bail!(
            "PostgreSQL cannot run as root and there is neither a user postgres nor a user nobody; run this as an ordinary user"
        )
    }
}

/// Whether the user can enter every folder on the way.
fn reachable(path: &Path, user: &Unprivileged) -> bool {
    use std::os::unix::fs::MetadataExt;
    path.ancestors().all(|folder| {
        std::fs::metadata(folder).is_ok_and(|m| {
            let bit = if m.uid() == user.uid {
                0o100
            } else if m.gid() == user.gid {
                0o010
            } else {
                0o001
            };
            m.mode() & bit != 0
        })
    })
}

/// A folder of this checkout's own below /var/lib/palisade.
fn far_place(root: &Path) -> PathBuf {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(root.to_string_lossy().as_bytes());
    let name = data_encoding::HEXLOWER.encode(&digest[..8]);
    Path::new("/var/lib/palisade").join(name).join("postgres")
}

/// Folders that may hold PostgreSQL's binaries, best first.
fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(folder) = std::env::var("PG_BINDIR") {
        // Named by the user: nothing else is tried.
        return vec![PathBuf::from(folder)];
    }
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    folders.extend(debian.into_iter().map(|(_, folder)| folder));
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt"] {
        for name in ["postgresql@18", "postgresql@17", "postgresql@16", "postgresql@15", "postgresql"] {
            folders.push(Path::new(prefix).join(name).join("bin"));
        }
    }
    folders
}
