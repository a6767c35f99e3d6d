//! Messages that arrive in pieces, and pipelines that go on after an error.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use common::{Installation, connect};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::{Client, Config, NoTls};

/// Sends byte by byte, as long as its allowance lasts.
struct Drip {
    tcp: TcpStream,
    allowance: Arc<AtomicUsize>,
}

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Drip {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.allowance.load(Ordering::SeqCst) == 0 {
            return Poll::Pending;
        }
        let written = std::task::ready!(Pin::new(&mut self.tcp).poll_write(cx, &buf[..buf.len().min(1)]));
        self.allowance.fetch_sub(1, Ordering::SeqCst);
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

async fn drip(url: &str) -> (Client, Arc<AtomicUsize>) {
    let config: Config = url.parse().unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", config.get_ports()[0])).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let allowance = Arc::new(AtomicUsize::new(usize::MAX));
    let (client, connection) =
        config.connect_raw(Drip { tcp, allowance: allowance.clone() }, NoTls).await.unwrap();
    tokio::spawn(connection);
    (client, allowance)
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_and_pipelines() {
    let palisade = Installation::start("segments", true);
    let env = palisade.env();
    let app = &env["PALISADE_URL_ACME_APP"];
    // Every message in pieces of one byte.
    let (client, _) = drip(app).await;
    for n in 0..20i64 {
        let sum: i64 = client.query_one("SELECT $1::bigint + 1", &[&n]).await.unwrap().get(0);
        assert_eq!(sum, n + 1);
        client.batch_execute("BEGIN; SELECT 1; COMMIT").await.unwrap();
    }
    // Half a message stops nobody but its sender.
    let (silent, allowance) = drip(app).await;
    allowance.store(12, Ordering::SeqCst);
    let half = tokio::spawn(async move { silent.batch_execute("SELECT 'this never ends'").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let others = async {
        for _ in 0..20 {
            connect(app).await.batch_execute("SELECT 1").await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), others).await.expect("others are served");
    half.abort();
    // What a driver sends right after an error, before the server is ready again, is not lost.
    let client = connect(app).await;
    for _ in 0..300 {
        let failing = client.query("SELECT 1 / $1::int", &[&0i32]);
        let next = client.query_one("SELECT $1::text", &[&"x"]);
        let (failed, got) = tokio::join!(failing, next);
        assert_eq!(failed.unwrap_err().code().unwrap().code(), "22012");
        assert_eq!(got.unwrap().get::<_, String>(0), "x");
    }
}
