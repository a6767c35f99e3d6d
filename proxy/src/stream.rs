//! A connection to a client or to a server: plain, or TLS.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use palisade_catalog::tls::end_point;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// Plain, or TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// An encrypted connection.
    pub(crate) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Stream::Tls(Box::new(stream))
    }

    /// Whether something that was taken for sending waits inside, as TLS records do.
    pub(crate) fn holds_back(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(tls) => {
                let (_, state) = tls.get_ref();
                state.wants_write()
            }
        }
    }

    /// Whether the peer has said nothing that nobody has read, and has not gone away.
    pub(crate) fn quiet(&mut self) -> bool {
        let mut byte = [0];
        match self {
            Stream::Plain(tcp) => {
                matches!(tcp.try_read(&mut byte), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
            }
            // What waits may be a session ticket, which reading takes in.
            Stream::Tls(tls) => {
                let mut byte = ReadBuf::new(&mut byte);
                let read = std::future::poll_fn(|cx| {
                    Poll::Ready(Pin::new(tls.as_mut()).poll_read(cx, &mut byte).is_pending())
                });
                tokio::task::unconstrained(read).now_or_never().unwrap_or(false)
            }
        }
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => match tls.as_mut() {
                TlsStream::Server(tls) => tls.get_mut().0,
                TlsStream::Client(tls) => tls.get_mut().0,
            },
        }
    }

    /// Has the event loop of this thread tell when something arrives. The loop that told before does no longer.
    pub(crate) fn come_here(&mut self) -> io::Result<()> {
        let tcp = self.tcp();
        let same = std::net::TcpStream::from(tcp.as_fd().try_clone_to_owned()?);
        *tcp = TcpStream::from_std(same)?;
        Ok(())
    }

    /// Asks the kernel, not the event loop, whether the peer has said nothing and has not gone away.
    pub(crate) fn silent(&mut self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let peeked = socket2::SockRef::from(&*self.tcp()).peek(&mut byte);
        matches!(peeked, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    /// The hash of the peer's certificate that a SCRAM login is tied to.
    pub(crate) fn peer_end_point(&self) -> Option<Vec<u8>> {
        let Stream::Tls(tls) = self else { return None };
        let (_, state) = tls.get_ref();
        end_point(state.peer_certificates()?.first()?)
    }

    /// Ready when a read may give something. Nothing is held while it waits.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(tcp) => tcp.poll_read_ready(cx),
            Stream::Tls(tls) => {
                // What is decrypted already shows in no socket.
                let (tcp, state) = match tls.as_mut() {
                    TlsStream::Server(tls) => {
                        let (tcp, session) = tls.get_mut();
                        (tcp, session.process_new_packets())
                    }
                    TlsStream::Client(tls) => {
                        let (tcp, session) = tls.get_mut();
                        (tcp, session.process_new_packets())
                    }
                };
                let state = state.map_err(io::Error::other)?;
                if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                    return Poll::Ready(Ok(()));
                }
                ready!(tcp.poll_read_ready(cx))?;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Whether the connection is encrypted.
    pub(crate) fn encrypted(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
