//! `palisade proxy` by itself: TLS, and a new process that takes the listeners over while clients work.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Installation, connect, free_port};

/// A proxy of its own beside the installation's.
struct Proxy(Child);

impl Proxy {
    fn start(config: &Path, upgrade: bool) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command.arg("proxy").arg("--config").arg(config).args(upgrade.then_some("--upgrade"));
        let child = command.env("RUST_LOG", "warn").stdout(Stdio::null()).stderr(Stdio::inherit());
        Self(child.spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// Waits until the process has ended by itself.
    async fn ended(&mut self) {
        let started = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(20), "the process goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A configuration for another proxy of the same installation.
fn config(palisade: &Installation, folder: &Path, listen: u16) -> PathBuf {
    let database: tokio_postgres::Config = palisade.env()["PALISADE_DATABASE_URL"].parse().unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-keyout",
        ])
        .arg(folder.join("tls.key"))
        .arg("-out")
        .arg(folder.join("tls.crt"))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "[proxy]\nlisten = \"127.0.0.1:{listen}\"\nmetrics_listen = \"127.0.0.1:{}\"\nserver = \"127.0.0.1:{}\"\n\
         master_key_file = \"{}\"\nsnapshot_file = \"{}\"\nspool_dir = \"{}\"\nupgrade_socket = \"{}\"\n\
         tls = \"allow\"\ntls_cert_file = \"{}\"\ntls_key_file = \"{}\"\n",
        free_port(),
        database.get_ports()[0],
        palisade.folder().join("keys/master.key").display(),
        path("snapshot.json"),
        path("spool"),
        path("upgrade.sock"),
        path("tls.crt"),
        path("tls.key"),
    );
    let file = folder.join("palisade.toml");
    std::fs::write(&file, text).unwrap();
    file
}

async fn open(listen: u16) {
    let started = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", listen)).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "the proxy does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_takes_over_while_clients_work() {
    let palisade = Installation::start("upgrade", true);
    let folder = palisade.folder().join("second");
    std::fs::create_dir_all(&folder).unwrap();
    let listen = free_port();
    let file = config(&palisade, &folder, listen);
    let mut old = Proxy::start(&file, false);
    open(listen).await;
    let mut app: tokio_postgres::Config = palisade.env()["PALISADE_URL_ACME_APP"].parse().unwrap();
    let password = String::from_utf8(app.get_password().unwrap().to_vec()).unwrap();
    let url = format!("postgres://app:{password}@127.0.0.1:{listen}/acme");
    app.password(&password);
    tls(&url);
    // A client in the middle of a transaction, and others that come all the time.
    let staying = connect(&url).await;
    staying.batch_execute("BEGIN; CREATE TEMP TABLE mine (a int)").await.unwrap();
    let coming = tokio::spawn({
        let url = url.clone();
        async move {
            for _ in 0..150 {
                connect(&url).await.batch_execute("SELECT 1").await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let new = Proxy::start(&file, true);
    tokio::time::sleep(Duration::from_secs(1)).await;
    old.signal("-QUIT");
    coming.await.expect("nobody was turned away");
    staying.batch_execute("INSERT INTO mine VALUES (1); COMMIT; SELECT * FROM mine").await.unwrap();
    assert!(old.0.try_wait().unwrap().is_none(), "the old process serves whom it has");
    drop(staying);
    old.ended().await;
    connect(&url).await.batch_execute("SELECT 1").await.unwrap();
    drop(new);
}

/// psql over TLS, and without.
fn tls(url: &str) {
    let psql = |mode: &str| {
        let out = Command::new("psql")
            .arg(format!("{url}?sslmode={mode}"))
            .args(["-Atc", "SELECT 6 * 7", "-c", "\\conninfo"])
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let encrypted = psql("require");
    assert!(encrypted.contains("42") && encrypted.contains("TLSv1.3"), "{encrypted}");
    assert!(!psql("disable").contains("TLS"));
}
