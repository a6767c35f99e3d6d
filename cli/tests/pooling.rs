//! Transaction pooling that nobody notices: many clients on two server connections, each as if it had its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::future::poll_fn;
use std::time::Duration;

use common::{Installation, connect, refusal};
use futures::{StreamExt, stream};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

/// The first column of the first row.
async fn value(client: &Client, sql: &str) -> String {
    let rows = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let row = rows.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("{sql}: no row"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_look_private() {
    let palisade = Installation::with("pooling", true, &[("PALISADE__PROXY__POOL_SIZE", "2")]);
    let env = palisade.env();
    let (owner, app) = (&env["PALISADE_URL_ACME_OWNER"], &env["PALISADE_URL_ACME_APP"]);
    connect(owner).await.batch_execute("CREATE TABLE n (id int PRIMARY KEY, v text)").await.unwrap();
    connections_are_shared(app).await;
    settings_follow_their_client(app).await;
    statements_follow_their_client(app).await;
    definitions_renew_statements(owner, app).await;
    pins_hold_and_are_released(&palisade, owner, app).await;
    pins_end_with_their_reason(&palisade, app).await;
    notifications_arrive(app).await;
    nothing_is_left_behind(owner, app).await;
    reports_are_of_the_connection(app).await;
    cancels_spare_settings(app).await;
    pools_limit(app).await;
}

async fn connections_are_shared(app: &str) {
    let clients: Vec<Client> = stream::iter(0..20).then(|_| connect(app)).collect().await;
    let mut pids: Vec<String> = Vec::new();
    for client in &clients {
        pids.push(value(client, "SELECT pg_backend_pid()").await);
    }
    pids.sort();
    pids.dedup();
    assert!(pids.len() <= 2, "20 clients use {} server connections", pids.len());
}

async fn settings_follow_their_client(app: &str) {
    let (a, b) = (connect(app).await, connect(app).await);
    a.batch_execute("SET timezone TO 'Asia/Tokyo'; SET myapp.user_id = 'o''hara'").await.unwrap();
    b.batch_execute("SET timezone TO 'America/Lima'").await.unwrap();
    for _ in 0..3 {
        assert_eq!(value(&a, "SHOW timezone").await, "Asia/Tokyo");
        assert_eq!(value(&b, "SHOW timezone").await, "America/Lima");
        assert_eq!(value(&a, "SELECT current_setting('myapp.user_id', true)").await, "o'hara");
        assert!(matches!(
            value(&b, "SELECT current_setting('myapp.user_id', true)").await.as_str(),
            "NULL" | ""
        ));
    }
    // What a transaction did not commit is not kept, and what it set locally ends with it.
    a.batch_execute("BEGIN; SET timezone TO 'UTC'; SET LOCAL work_mem = '9MB'; ROLLBACK").await.unwrap();
    assert_eq!(value(&a, "SHOW timezone").await, "Asia/Tokyo");
    assert!(a.batch_execute("SET timezone TO 'Europe/Oslo'; SELECT 1/0").await.is_err());
    assert_eq!(value(&a, "SHOW timezone").await, "Asia/Tokyo");
    a.batch_execute("RESET timezone").await.unwrap();
    assert_ne!(value(&a, "SHOW timezone").await, "Asia/Tokyo");
    b.batch_execute("DISCARD ALL").await.unwrap();
    assert_ne!(value(&b, "SHOW timezone").await, "America/Lima");
    // The settings of a startup packet are what RESET returns to.
    let c = connect(&format!("{app}?options=-c%20timezone%3DAsia%2FTokyo")).await;
    assert_eq!(value(&c, "SHOW timezone").await, "Asia/Tokyo");
    c.batch_execute("SET timezone TO 'UTC'").await.unwrap();
    c.batch_execute("RESET ALL").await.unwrap();
    assert_eq!(value(&c, "SHOW timezone").await, "Asia/Tokyo");
}

async fn statements_follow_their_client(app: &str) {
    let (a, b) = (connect(app).await, connect(app).await);
    // Both libraries call their first statement s0.
    let first = a.prepare("SELECT $1::int + 1").await.unwrap();
    let second = b.prepare("SELECT $1::text || '!'").await.unwrap();
    for n in 0..5 {
        assert_eq!(a.query_one(&first, &[&n]).await.unwrap().get::<_, i32>(0), n + 1);
        assert_eq!(b.query_one(&second, &[&"x"]).await.unwrap().get::<_, String>(0), "x!");
    }
    // SQL's own prepared statements, and SQL that speaks of the protocol's.
    a.batch_execute("PREPARE mine (int) AS SELECT $1 * 2").await.unwrap();
    assert_eq!(value(&a, "EXECUTE mine (21)").await, "42");
    let (code, message) = refusal(&b, "EXECUTE mine (21)").await;
    assert_eq!((code.as_str(), message.as_str()), ("26000", "prepared statement \"mine\" does not exist"));
    a.batch_execute("DEALLOCATE ALL").await.unwrap();
    assert_eq!(refusal(&a, "EXECUTE mine (21)").await.0, "26000");
    assert_eq!(refusal(&b, "DEALLOCATE nothing").await.0, "26000");
    // In a failed transaction nothing runs, as in PostgreSQL.
    assert!(b.batch_execute("BEGIN; SELECT 1/0").await.is_err());
    assert_eq!(b.query_one(&second, &[&"x"]).await.unwrap_err().code().unwrap().code(), "25P02");
    b.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(b.query_one(&second, &[&"x"]).await.unwrap().get::<_, String>(0), "x!");
}

async fn definitions_renew_statements(owner: &str, app: &str) {
    let owner = connect(owner).await;
    owner.batch_execute("CREATE TABLE wide (a int); INSERT INTO wide VALUES (1)").await.unwrap();
    let before = connect(app).await;
    let columns = before.prepare("SELECT * FROM wide").await.unwrap().columns().len();
    assert_eq!(columns, 1);
    owner.batch_execute("ALTER TABLE wide ADD COLUMN b int").await.unwrap();
    let after = connect(app).await;
    let statement = after.prepare("SELECT * FROM wide").await.unwrap();
    assert_eq!(statement.columns().len(), 2);
    assert_eq!(after.query_one(&statement, &[]).await.unwrap().len(), 2);
}

/// Why the one client that works is pinned now.
async fn pinned_by(console: &Client) -> String {
    let rows = console.simple_query("SHOW CLIENTS").await.unwrap();
    let row = rows.iter().filter_map(|m| if let SimpleQueryMessage::Row(row) = m { Some(row) } else { None });
    row.filter_map(|row| row.get("pinned_by")).find(|pins| !pins.is_empty()).unwrap_or_default().to_owned()
}

async fn pins_end_with_their_reason(palisade: &Installation, app: &str) {
    let console = connect(&palisade.env()["PALISADE_CONSOLE_URL"]).await;
    let a = connect(app).await;
    for (begin, reason, part, end) in [
        ("LISTEN one; LISTEN two", "listen", "UNLISTEN one", "UNLISTEN two"),
        ("LISTEN one; LISTEN two", "listen", "BEGIN; UNLISTEN *; ROLLBACK", "UNLISTEN *"),
        (
            "SELECT pg_advisory_lock(1), pg_advisory_lock(1)",
            "advisory_lock",
            "SELECT pg_advisory_unlock(1)",
            "SELECT pg_advisory_unlock(1)",
        ),
        (
            "SELECT pg_advisory_lock_shared(2); SELECT pg_advisory_lock(3)",
            "advisory_lock",
            "SELECT pg_advisory_unlock(3)",
            "SELECT pg_advisory_unlock_all()",
        ),
        (
            "CREATE TEMP TABLE t1 (a int); CREATE TEMP TABLE t2 (a int)",
            "temporary_object",
            "DROP TABLE pg_temp.t1",
            "DROP TABLE pg_temp.t2",
        ),
        ("CREATE TEMP TABLE t3 (a int)", "temporary_object", "SELECT * FROM t3", "DISCARD TEMP"),
        (
            "BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 1; DECLARE i CURSOR WITH HOLD FOR SELECT 2; COMMIT",
            "cursor_with_hold",
            "CLOSE h",
            "CLOSE ALL",
        ),
        ("PREPARE p AS SELECT 1; PREPARE q AS SELECT 2", "sql_prepare", "DEALLOCATE p", "DEALLOCATE q"),
    ] {
        a.batch_execute(begin).await.unwrap();
        assert_eq!(pinned_by(&console).await, reason, "{begin}");
        a.batch_execute(part).await.unwrap();
        // The server is asked behind the answer.
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(pinned_by(&console).await, reason, "{begin}: {part}");
        a.batch_execute(end).await.unwrap();
        unpinned(&console, &format!("{begin}: {end}")).await;
    }
    // A reason that comes again while the server is being asked stays.
    for _ in 0..20 {
        a.batch_execute("LISTEN one").await.unwrap();
        a.batch_execute("UNLISTEN one").await.unwrap();
        a.batch_execute("LISTEN two").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(pinned_by(&console).await, "listen");
        a.batch_execute("UNLISTEN *").await.unwrap();
        unpinned(&console, "UNLISTEN *").await;
    }
    // A temporary table of one transaction pins no longer than that.
    a.batch_execute("BEGIN; CREATE TEMP TABLE t4 (a int) ON COMMIT DROP; INSERT INTO t4 VALUES (1)")
        .await
        .unwrap();
    assert_eq!(pinned_by(&console).await, "temporary_object");
    a.batch_execute("COMMIT").await.unwrap();
    unpinned(&console, "ON COMMIT DROP").await;
}

async fn unpinned(console: &Client, what: &str) {
    let started = std::time::Instant::now();
    while !pinned_by(console).await.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(5), "still pinned: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn pins_hold_and_are_released(palisade: &Installation, owner: &str, app: &str) {
    let pins = |reason: &str| {
        let name = format!("palisade_pins_total{{reason=\"{reason}\"}}");
        palisade.metrics().get(&name).copied().unwrap_or_default()
    };
    let a = connect(app).await;
    a.batch_execute("CREATE TEMP TABLE t (v int); INSERT INTO t VALUES (7)").await.unwrap();
    // Others go on beside it.
    for _ in 0..3 {
        let b = connect(app).await;
        assert_eq!(refusal(&b, "SELECT * FROM t").await.0, "42P01");
        assert_eq!(value(&a, "SELECT v FROM t").await, "7");
    }
    assert!(pins("temporary_object") >= 1.0);
    a.batch_execute("DISCARD ALL").await.unwrap();
    assert_eq!(refusal(&a, "SELECT v FROM t").await.0, "42P01");
    // A lock is the session's own, and is gone with it.
    a.batch_execute("SELECT pg_advisory_lock(4711)").await.unwrap();
    let b = connect(app).await;
    assert_eq!(value(&b, "SELECT pg_try_advisory_lock(4711)").await, "f");
    drop(a);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(value(&b, "SELECT pg_try_advisory_lock(4711)").await, "t");
    drop(b);
    // A cursor WITH HOLD, read after its transaction.
    let c = connect(app).await;
    c.batch_execute("BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT 5; COMMIT").await.unwrap();
    assert_eq!(value(&c, "FETCH h").await, "5");
    // The owner's role comes back after everything was discarded.
    let d = connect(owner).await;
    d.batch_execute("DISCARD ALL").await.unwrap();
    d.batch_execute("CREATE TABLE after_discard (a int)").await.unwrap();
    connect(owner)
        .await
        .batch_execute("ALTER TABLE after_discard ADD b int; DROP TABLE after_discard")
        .await
        .unwrap();
}

async fn notifications_arrive(app: &str) {
    let config: tokio_postgres::Config = app.parse().unwrap();
    let (listener, mut connection) = config.connect(NoTls).await.unwrap();
    let (heard, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(note) = message {
                let _ = heard.send((note.channel().to_owned(), note.payload().to_owned()));
            }
        }
    });
    listener.batch_execute("LISTEN news").await.unwrap();
    connect(app).await.batch_execute("NOTIFY news, 'hello'").await.unwrap();
    let note = tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap().unwrap();
    assert_eq!(note, ("news".to_owned(), "hello".to_owned()));
}

async fn nothing_is_left_behind(owner: &str, app: &str) {
    for _ in 0..5 {
        let gone = connect(app).await;
        gone.batch_execute("BEGIN; INSERT INTO n VALUES (1, 'never committed')").await.unwrap();
        drop(gone);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let b = connect(app).await;
    assert_eq!(value(&b, "SELECT count(*) FROM n").await, "0");
    // A statement whose client is gone is cancelled, not waited for.
    let slow = connect(app).await;
    let _ = tokio::time::timeout(Duration::from_millis(200), slow.batch_execute("SELECT pg_sleep(60)")).await;
    let token = slow.cancel_token();
    token.cancel_query(NoTls).await.unwrap();
    assert_eq!(value(&b, "SELECT 1").await, "1");
    assert_eq!(value(&connect(owner).await, "SELECT count(*) FROM n").await, "0");
}

/// A client is told what its connection reports, and nothing of what one that has gone had set.
async fn reports_are_of_the_connection(app: &str) {
    for _ in 0..3 {
        let gone = connect(app).await;
        // It holds its connection until it goes: PostgreSQL then takes everything back, and reports it.
        gone.batch_execute("SET application_name = 'somebody else'; LISTEN news").await.unwrap();
        drop(gone);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let (client, mut connection) = tokio_postgres::connect(app, NoTls).await.unwrap();
            let begun = client.batch_execute("BEGIN; SELECT 1");
            let spoken = async { while poll_fn(|cx| connection.poll_message(cx)).await.is_some() {} };
            tokio::select! { begun = begun => begun.unwrap(), () = spoken => panic!("it was closed") }
            assert_eq!(connection.parameter("application_name"), Some(""));
            held.push((client, connection));
        }
    }
}

/// Whoever is cancelled while settings are brought over to its connection loses a statement, not the session.
async fn cancels_spare_settings(app: &str) {
    let mut clients = Vec::new();
    for number in 0..3 {
        let client = connect(app).await;
        // So many that it takes a while to bring them over.
        for setting in 0..40 {
            let value = format!("{number}").repeat(500);
            client.batch_execute(&format!("SET myapp.s{setting} = '{value}'")).await.unwrap();
        }
        clients.push(client);
    }
    let cancelling: Vec<_> = clients
        .iter()
        .map(|client| {
            let token = client.cancel_token();
            tokio::spawn(async move {
                loop {
                    token.cancel_query(NoTls).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let (mut answered, mut cancelled) = (0, 0);
    for _ in 0..300 {
        for (number, client) in clients.iter().enumerate() {
            match client.simple_query("SELECT current_setting('myapp.s39'), pg_sleep(0.001)").await {
                Ok(rows) => {
                    assert!(format!("{rows:?}").contains(&format!("{number}").repeat(500)), "{rows:?}");
                    answered += 1;
                }
                Err(error) => {
                    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{error:?}");
                    cancelled += 1;
                }
            }
        }
    }
    cancelling.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(answered > 0 && cancelled > 0, "{answered} answered, {cancelled} cancelled");
}

async fn pools_limit(app: &str) {
    let (a, b, c) = (connect(app).await, connect(app).await, connect(app).await);
    a.batch_execute("BEGIN; SELECT 1").await.unwrap();
    b.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let waiting = tokio::spawn(async move { value(&c, "SELECT 3").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "a third transaction waits");
    a.batch_execute("COMMIT").await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap(), "3");
    b.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn session_mode_holds_one_connection_from_the_first_statement_on() {
    let palisade = Installation::with("session-mode", true, &[("PALISADE__PROXY__POOL_SIZE", "2")]);
    let env = palisade.env();
    let app = &env["PALISADE_URL_ACME_APP"];
    let before = connect(app).await;
    before.batch_execute("SELECT 1").await.unwrap();
    let wish = serde_json::json!({ "pool_mode": "session" });
    let (status, answer) =
        palisade.api("PATCH", "/api/v1/tenants/acme", &env["PALISADE_ADMIN_TOKEN"], Some(wish)).unwrap();
    assert_eq!(status, 200, "{answer}");
    let a = held(&palisade, app).await;
    // What transaction mode would not carry over stays: a setting that a function made, and `currval`.
    a.batch_execute("SELECT set_config('myapp.hidden', 'a', false), 1; CREATE TEMP SEQUENCE s")
        .await
        .unwrap();
    assert_eq!(value(&a, "SELECT nextval('s')").await, "1");
    let pid = value(&a, "SELECT pg_backend_pid()").await;
    for _ in 0..3 {
        assert_eq!(value(&a, "SELECT pg_backend_pid()").await, pid);
        assert_eq!(value(&a, "SELECT current_setting('myapp.hidden')").await, "a");
        assert_eq!(value(&a, "SELECT currval('s')").await, "1");
    }
    // A session that was there before goes over to the new mode with its next transaction.
    let other = value(&before, "SELECT pg_backend_pid()").await;
    assert_ne!(other, pid);
    assert_eq!(value(&before, "SELECT pg_backend_pid()").await, other);
    // Both connections are held: a third client waits until one of the others leaves, and finds nothing of it.
    let c = connect(app).await;
    let mut waits = Box::pin(value(&c, "SELECT current_setting('myapp.hidden', true)"));
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut waits).await.is_err());
    drop(a);
    assert!(matches!(waits.await.as_str(), "NULL" | ""));
}

/// A client that holds a connection: the proxy hears of another mode some milliseconds after the API has answered.
async fn held(palisade: &Installation, url: &str) -> Client {
    let started = std::time::Instant::now();
    loop {
        let client = connect(url).await;
        value(&client, "SELECT 1").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        if palisade.metrics()["palisade_servers{state=\"active\"}"] > 0.0 {
            return client;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "no connection is held");
    }
}
