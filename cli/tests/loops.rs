//! The threads that serve clients: sessions go from one to another between two transactions, and notice nothing; long
//! texts hold nobody up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::authority::{Authority, tls};
use common::{Installation, connect};
use futures::SinkExt;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Statement};

const THREADS: usize = 3;

/// How many clients each thread has, and how many sessions went over so far.
fn seats(palisade: &Installation) -> (Vec<f64>, f64) {
    let metrics = palisade.metrics();
    let on = |n: usize| metrics[&format!("palisade_loop_sessions{{loop=\"{n}\"}}")];
    ((0..THREADS).map(on).collect(), metrics["palisade_loop_moves_total"])
}

async fn encrypted(url: &str, authority: &Authority) -> Client {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.ssl_mode(SslMode::Require);
    let (client, connection) = config.connect(tls(&authority.pem(), None, false)).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A client with state of its own: a setting, a prepared statement, and a temporary table where it is pinned.
struct Kept {
    client: Client,
    number: i64,
    statement: Statement,
    pinned: bool,
}

impl Kept {
    async fn new(client: Client, number: i64) -> Self {
        client.batch_execute(&format!("SET myapp.number = '{number}'")).await.unwrap();
        let statement = client.prepare("SELECT $1::int8 * 2, current_setting('myapp.number')").await.unwrap();
        let pinned = number % 3 == 0;
        if pinned {
            client.batch_execute(&format!("CREATE TEMP TABLE kept AS SELECT {number} AS n")).await.unwrap();
        }
        Self { client, number, statement, pinned }
    }

    async fn works(&self) {
        let row = self.client.query_one(&self.statement, &[&self.number]).await.unwrap();
        assert_eq!(
            (row.get::<_, i64>(0), row.get::<_, &str>(1)),
            (self.number * 2, &*self.number.to_string())
        );
        if self.pinned {
            let row = self.client.query_one("SELECT n::int8 FROM kept", &[]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), self.number);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_go_from_thread_to_thread() {
    let mut palisade = Installation::start("loops", true);
    let folder = palisade.folder().to_owned();
    let authority = Authority::new();
    let (certificate, key) = authority.sign("127.0.0.1");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    };
    let (certificate, key) = (file("server.crt", &certificate), file("server.key", &key));
    file("palisade.toml", "[proxy]\nthread_use = \"spread\"\n");
    palisade.restart(&[
        ("PALISADE__PROXY__THREADS", &THREADS.to_string()),
        ("PALISADE__PROXY__TLS", "allow"),
        ("PALISADE__PROXY__TLS_CERT_FILE", &certificate),
        ("PALISADE__PROXY__TLS_KEY_FILE", &key),
    ]);
    let url = palisade.env()["PALISADE_URL_ACME_OWNER"].clone();
    let console = connect(&palisade.env()["PALISADE_CONSOLE_URL"]).await;
    let mut clients = Vec::new();
    for number in 0..12 {
        let client = if number % 2 == 0 { connect(&url).await } else { encrypted(&url, &authority).await };
        clients.push(Kept::new(client, number).await);
    }
    let (spread, moves) = seats(&palisade);
    assert_eq!((spread, moves), (vec![4.0; THREADS], 0.0), "clients are spread over the threads");
    // Server connections are shared by clients of all threads.
    for _ in 0..20 {
        futures::future::join_all(clients.iter().map(Kept::works)).await;
    }
    file("palisade.toml", "[proxy]\nthread_use = \"gather\"\n");
    console.batch_execute("RELOAD").await.unwrap();
    let started = Instant::now();
    loop {
        // A pinned session holds its connection: it goes over when it lets go of it.
        futures::future::join_all(clients.iter().map(Kept::works)).await;
        let (gathered, moves) = seats(&palisade);
        let pinned = clients.iter().filter(|client| client.pinned).count() as f64;
        if gathered[0] + pinned >= 12.0 && moves >= 5.0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "sessions stay where they are: {gathered:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for client in clients.iter_mut().filter(|client| client.pinned) {
        client.client.batch_execute("DROP TABLE kept").await.unwrap();
        client.pinned = false;
    }
    let started = Instant::now();
    while seats(&palisade).0[0] < 12.0 {
        futures::future::join_all(clients.iter().map(Kept::works)).await;
        assert!(started.elapsed() < Duration::from_secs(30), "a session that is pinned no longer stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(clients);
    let started = Instant::now();
    while seats(&palisade).0.iter().sum::<f64>() > 0.0 {
        assert!(started.elapsed() < Duration::from_secs(10), "clients that have gone are still counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_are_answered_in_their_place() {
    let palisade = Installation::with("long-texts", true, &[("PALISADE__PROXY__THREADS", "1")]);
    let url = &palisade.env()["PALISADE_URL_ACME_APP"];
    let client = connect(url).await;
    let long =
        |length: usize, word: &str| format!("SELECT length('{}') AS n /* {word} */", "x".repeat(length));
    for length in [100, 9_000, 40_000, 600_000] {
        // Simple, twice, and pipelined between short ones.
        for _ in 0..2 {
            let rows = client.simple_query(&long(length, "a")).await.unwrap();
            assert!(format!("{rows:?}").contains(&length.to_string()), "{rows:?}");
        }
        let (before, text, after) = (
            client.query_one("SELECT 1::int4", &[]),
            long(length, "b"),
            client.query_one("SELECT 3::int4", &[]),
        );
        let (before, middle, after) =
            futures::future::try_join3(before, client.query_one(&text, &[]), after).await.unwrap();
        assert_eq!(
            (before.get::<_, i32>(0), middle.get::<_, i32>(0), after.get::<_, i32>(0)),
            (1, i32::try_from(length).unwrap(), 3)
        );
    }
    // A parameter and a row of COPY that come in pieces are no texts.
    for length in [100_usize, 9_000, 6_000_000] {
        let (long, n) = ("é".repeat(length / 2), i32::try_from(length).unwrap());
        let row = client.query_one("SELECT octet_length($1::text), $1::text", &[&long]).await.unwrap();
        assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1) == long), (n, true));
        client.batch_execute("CREATE TEMP TABLE IF NOT EXISTS pieces (v text)").await.unwrap();
        let copy = client.copy_in("COPY pieces FROM STDIN").await.unwrap();
        let mut copy = std::pin::pin!(copy);
        copy.send(bytes::Bytes::from(format!("{long}\n"))).await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 1);
        let row = client.query_one("SELECT max(octet_length(v)) FROM pieces", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), n);
    }
    // One that is refused is refused in its place, and aborts its transaction.
    let foreign = format!("SELECT '{}' FROM palisade_control.tenants", "y".repeat(20_000));
    let refused = client.batch_execute(&foreign).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42P01");
    client.batch_execute("BEGIN").await.unwrap();
    assert!(client.batch_execute(&foreign).await.is_err());
    let aborted = client.batch_execute("SELECT 1").await.unwrap_err();
    assert_eq!(aborted.code().unwrap().code(), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    // Who goes away while a text is read leaves nothing behind.
    for _ in 0..5 {
        let gone = connect(url).await;
        let text = long(900_000, "c");
        let _ = tokio::time::timeout(Duration::from_millis(3), gone.simple_query(&text)).await;
    }
    client.batch_execute("SELECT 1").await.unwrap();
}
