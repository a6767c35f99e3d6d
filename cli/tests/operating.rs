//! Running the proxy: the console with PgBouncer's words, reload, and a server that goes away and comes back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use common::{Installation, Second, connect, free_address, refusal};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The rows of a `SHOW`, by column.
async fn show(console: &Client, what: &str) -> Vec<BTreeMap<String, String>> {
    let rows =
        console.simple_query(&format!("SHOW {what}")).await.unwrap_or_else(|e| panic!("{what}: {e:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(
            row.columns()
                .iter()
                .enumerate()
                .map(|(at, column)| (column.name().to_owned(), row.get(at).unwrap_or_default().to_owned()))
                .collect(),
        ),
        _ => None,
    };
    rows.iter().filter_map(row).collect()
}

/// The value of a setting.
async fn setting(console: &Client, key: &str) -> String {
    let rows = show(console, "CONFIG").await;
    rows.iter().find(|row| row["key"] == key).unwrap()["value"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_speaks_as_pgbouncer() {
    let palisade = Installation::start("operating", true);
    let env = palisade.env();
    let console = connect(&env["PALISADE_CONSOLE_URL"]).await;
    let app = connect(&env["PALISADE_URL_ACME_APP"]).await;
    for _ in 0..7 {
        app.batch_execute("SELECT 1").await.unwrap();
    }
    app.batch_execute("LISTEN news").await.unwrap();
    for (what, columns) in [
        ("STATS", &["database", "total_xact_count", "total_query_time", "avg_recv", "avg_wait_time"][..]),
        ("STATS_TOTALS", &["database", "total_received"]),
        ("STATS_AVERAGES", &["database", "avg_sent"]),
        ("TOTALS", &["name", "value"]),
        (
            "POOLS",
            &[
                "database",
                "user",
                "cl_active",
                "cl_waiting",
                "sv_idle",
                "sv_login",
                "maxwait_us",
                "pool_mode",
            ],
        ),
        ("CLIENTS", &["type", "addr", "port", "connect_time", "wait_us", "ptr", "link", "tls", "pinned_by"]),
        ("SERVERS", &["type", "addr", "remote_pid", "application_name"]),
        (
            "DATABASES",
            &["name", "host", "port", "pool_size", "max_connections", "current_connections", "disabled"],
        ),
        ("LISTS", &["list", "items"]),
        ("USERS", &["name", "pool_mode"]),
        ("CONFIG", &["key", "value", "default", "changeable"]),
        ("STATE", &["key", "value"]),
        ("VERSION", &["version"]),
        ("HELP", &["command"]),
    ] {
        let rows = show(&console, what).await;
        let row = rows.first().unwrap_or_else(|| panic!("SHOW {what} is empty"));
        for column in columns {
            assert!(row.contains_key(*column), "SHOW {what} has no {column}: {row:?}");
        }
    }
    let stats = show(&console, "STATS").await;
    let acme = stats.iter().find(|row| row["database"] == "acme").unwrap();
    assert!(acme["total_xact_count"].parse::<u64>().unwrap() >= 8, "{acme:?}");
    let clients = show(&console, "CLIENTS").await;
    let pinned = clients.iter().find(|row| row["pinned_by"] == "listen").unwrap();
    assert_eq!((pinned["database"].as_str(), pinned["user"].as_str()), ("acme", "app"));
    // One session is ended, the others are not.
    let other = connect(&env["PALISADE_URL_ACME_APP"]).await;
    console.batch_execute(&format!("KILL_CLIENT {}", pinned["ptr"])).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(app.is_closed());
    other.batch_execute("SELECT 1").await.unwrap();
    assert_eq!(refusal(&console, "KILL_CLIENT 1").await.0, "22023");
    assert_eq!(refusal(&console, "SELECT 1").await.0, "42601");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_settings_under_sessions() {
    let palisade = Installation::start("reload", true);
    let env = palisade.env();
    let console = connect(&env["PALISADE_CONSOLE_URL"]).await;
    let (idle, busy) =
        (connect(&env["PALISADE_URL_ACME_APP"]).await, connect(&env["PALISADE_URL_ACME_APP"]).await);
    busy.batch_execute("BEGIN; CREATE TEMP TABLE kept (a int)").await.unwrap();
    let prepared = idle.prepare("SELECT count(*) FROM users WHERE id < $1").await.unwrap();
    let file = palisade.folder().join("palisade.toml");
    std::fs::write(&file, "[proxy]\npool_size = 3\nmax_statement_bytes = 2048\n").unwrap();
    palisade.signal("HUP");
    let started = Instant::now();
    while setting(&console, "pool_size").await != "3" {
        assert!(started.elapsed() < Duration::from_secs(5), "SIGHUP changes nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Sessions go on: in their transaction, and with what they have prepared.
    busy.batch_execute("INSERT INTO kept VALUES (1); COMMIT").await.unwrap();
    idle.query_one(&prepared, &[&5i64]).await.unwrap();
    let long = format!("SELECT '{}'", "x".repeat(3_000));
    assert_eq!(refusal(&idle, &long).await.0, "54001");
    // What cannot be used, or cannot change now, is refused by name, and nothing changes.
    for (text, word) in [
        ("[proxy]\npool_size = 0\n", "pool_size"),
        ("[proxy]\npool_sice = 4\n", "pool_sice"),
        (
            "[proxy]\npool_size = 5\ndatabase = \"other\"\nspool_dir = \"/elsewhere\"\npeer_id = 3\n",
            "peer_id",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let (sqlstate, message) = refusal(&console, "RELOAD").await;
        assert_eq!((sqlstate.as_str(), message.contains(word)), ("F0000", true), "{message}");
        assert_eq!(setting(&console, "pool_size").await, "3");
    }
    std::fs::write(&file, "[proxy]\npool_size = 4\n").unwrap();
    console.batch_execute("RELOAD").await.unwrap();
    assert_eq!(setting(&console, "pool_size").await, "4");
    idle.batch_execute(&long).await.unwrap();
}

/// What the road to PostgreSQL does with connections.
const OPEN: u8 = 0;
const SHUT: u8 = 1;
const SILENT: u8 = 2;

/// A road to PostgreSQL that can be shut.
struct Road {
    address: String,
    state: Arc<AtomicU8>,
}

impl Road {
    async fn to(server: String) -> Self {
        let address = free_address();
        let state = Arc::new(AtomicU8::new(OPEN));
        let (listening, known) = (address.clone(), state.clone());
        let listener = TcpListener::bind(&listening).await.unwrap();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, server.clone(), known.clone()));
            }
        });
        Self { address, state }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, server: String, state: Arc<AtomicU8>) {
    match state.load(Ordering::SeqCst) {
        SHUT => return,
        SILENT => return tokio::time::sleep(Duration::from_secs(30)).await,
        _ => {}
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let closed = async {
        while state.load(Ordering::SeqCst) == OPEN {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = closed => {}
    }
}

/// How a statement ends, and after which time. A client that was ended comes again.
async fn attempt(url: &str) -> (Option<String>, Duration) {
    let started = Instant::now();
    let asked = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SELECT 1").await
    };
    let sqlstate = asked.await.err().map(|error| error.code().map_or("none", |code| code.code()).to_owned());
    (sqlstate, started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_fails_statements_quickly_and_is_found_again() {
    let palisade = Installation::start("failover", true);
    let env = palisade.env();
    let database: tokio_postgres::Config = env["PALISADE_DATABASE_URL"].parse().unwrap();
    let road = Road::to(format!("127.0.0.1:{}", database.get_ports()[0])).await;
    let listen = free_address();
    let settings = [
        ("PALISADE__PROXY__SERVER", road.address.as_str()),
        ("PALISADE__PROXY__SERVER_CONNECT_TIMEOUT_MS", "1500"),
    ];
    let _proxy = Second::start(&palisade, &listen, &settings);
    let proxy = env["PALISADE_URL_ACME_APP"].rsplit_once('@').unwrap().0.to_owned();
    let url = format!("{proxy}@{listen}/acme");
    assert_eq!(attempt(&url).await.0, None);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    for state in [SHUT, SILENT] {
        road.set(state);
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The first may find out; then everybody knows.
        attempt(&url).await;
        for _ in 0..5 {
            let (sqlstate, took) = attempt(&url).await;
            assert_eq!(sqlstate.as_deref(), Some("08006"), "{state}");
            assert!(took < Duration::from_secs(4), "{took:?}");
        }
        road.set(OPEN);
        let started = Instant::now();
        while attempt(&url).await.0.is_some() {
            assert!(started.elapsed() < Duration::from_secs(8), "the server is not found again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("found again after {:?}", started.elapsed());
    }
    assert!(client.is_closed(), "a transaction does not outlive its connection");
}
