//! Moves bytes both ways. One task, four directions, none of which waits for another: a client that does not read
//! cannot keep the server from being read for long, and neither can block the other.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::flow::Status;
use super::{End, Link, MOST_READ_BYTES, READ_BYTES, Session};
use crate::buffers;
use crate::clients::State;
use crate::stream::Stream;

/// What waits in a buffer before its source is read no further, in bytes.
const HIGH_WATER: usize = 64 << 10;

/// Why the pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// The server connection can be given back.
    Released,
    /// Events have to be made durable before anything else is sent.
    Record,
}

impl Session {
    /// Waits for the client to say something, and reads it.
    pub(super) async fn listen(&mut self) -> Result<(), End> {
        poll_fn(|cx| {
            if self.info.poll_killed(cx) {
                return Poll::Ready(Err(self.ended()));
            }
            loop {
                std::task::ready!(self.client.poll_readable(cx))?;
                buffers::reserve(&mut self.input, READ_BYTES);
                match poll_read_buf(Pin::new(&mut self.client), cx, &mut self.input) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(End::Gone)),
                    Poll::Ready(Ok(bytes)) => {
                        self.pool.counts.received.fetch_add(bytes as u64, Ordering::Relaxed);
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending if self.input.is_empty() => buffers::lay_down(&mut self.input),
                    Poll::Pending => {}
                }
            }
        })
        .await
    }

    /// Moves bytes until the connection can be given back or events wait.
    pub(super) async fn pump(&mut self, link: &mut Link) -> Result<Pumped, End> {
        poll_fn(|cx| {
            let killed = self.info.poll_killed(cx);
            if killed && self.info.ends(link.flow.idle()) {
                return Poll::Ready(Err(self.ended()));
            }
            let pumped = self.poll_pump(link, cx);
            if killed && pumped.is_pending() && self.info.ends(link.flow.idle()) {
                return Poll::Ready(Err(self.ended()));
            }
            pumped
        })
        .await
    }

    fn ended(&self) -> End {
        let (sqlstate, text) = self.info.reason();
        End::Fatal(sqlstate, text.into())
    }

    fn poll_pump(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Poll<Result<Pumped, End>> {
        // What was read before the connection was taken, before events were recorded, or before a long text was judged.
        if self.poll_reading(link, cx)?.is_ready() {
            self.upstream(link)?;
        }
        loop {
            if !link.events.is_empty() {
                return Poll::Ready(Ok(Pumped::Record));
            }
            let mut moved = match write(&mut link.held.server.stream, &mut link.to_server, cx) {
                Ok(moved) => moved,
                Err(_) => return Poll::Ready(Err(self.hang_up(link, cx))),
            };
            moved |= write(&mut self.client, &mut link.to_client, cx)?;
            if link.released() && !self.client.holds_back() {
                return Poll::Ready(Ok(Pumped::Released));
            }
            if link.fatal && link.to_client.is_empty() && !self.client.holds_back() {
                return Poll::Ready(Err(End::Gone));
            }
            if link.to_client.len() < HIGH_WATER {
                moved |= self.read_server(link, cx)?;
            }
            if link.to_server.len() < HIGH_WATER && link.reading.is_none() {
                moved |= self.read_client(link, cx)?;
            }
            if !moved {
                // A text that has just been given away is waited for like any answer.
                if self.poll_reading(link, cx)?.is_ready() && link.read_text.is_some() {
                    self.upstream(link)?;
                    continue;
                }
                let state = match link.flow.settled() && link.reading.is_none() {
                    false => State::Active,
                    true if link.flow.status() == Status::Idle => State::Idle,
                    true => State::Transaction,
                };
                self.info.set_state(state);
                if state == State::Transaction {
                    link.silent.get_or_insert_with(Instant::now);
                }
                return Poll::Pending;
            }
        }
    }

    fn read_server(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Result<bool, End> {
        let server = &mut link.held.server;
        buffers::reserve(&mut server.input, link.read);
        match poll_read_buf(Pin::new(&mut server.stream), cx, &mut server.input) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Err(self.server_gone(link)),
            Poll::Ready(Ok(bytes)) => {
                self.pool.counts.sent.fetch_add(bytes as u64, Ordering::Relaxed);
                if bytes >= link.read {
                    link.read = (link.read * 2).min(MOST_READ_BYTES);
                }
                self.downstream(link)?;
                Ok(true)
            }
        }
    }

    fn read_client(&mut self, link: &mut Link, cx: &mut Context<'_>) -> Result<bool, End> {
        buffers::reserve(&mut self.input, READ_BYTES);
        match poll_read_buf(Pin::new(&mut self.client), cx, &mut self.input) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(End::Gone),
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(bytes)) => {
                self.pool.counts.received.fetch_add(bytes as u64, Ordering::Relaxed);
                if let Some(silent) = link.silent.take() {
                    link.silent_us += u64::try_from(silent.elapsed().as_micros()).unwrap_or_default();
                }
                self.upstream(link)?;
                Ok(true)
            }
        }
    }

    /// The server takes nothing any more. What it has said to that is read first.
    fn hang_up(&mut self, link: &mut Link, cx: &mut Context<'_>) -> End {
        loop {
            match self.read_server(link, cx) {
                Ok(true) => {}
                Ok(false) => return self.server_gone(link),
                Err(end) => return end,
            }
        }
    }

    /// The server has closed. What it said before is still sent to the client.
    fn server_gone(&self, link: &mut Link) -> End {
        let said = link.fatal;
        link.fatal = true;
        self.shared.metrics.server_errors.inc();
        if said { End::Gone } else { End::Fatal("08006", "server closed the connection unexpectedly".into()) }
    }
}

/// Writes what waits; says whether anything went out.
fn write(to: &mut Stream, bytes: &mut BytesMut, cx: &mut Context<'_>) -> Result<bool, End> {
    let mut moved = false;
    while !bytes.is_empty() {
        match Pin::new(&mut *to).poll_write(cx, bytes)? {
            Poll::Ready(0) => return Err(End::Gone),
            Poll::Ready(written) => {
                bytes.advance(written);
                moved = true;
            }
            Poll::Pending => return Ok(moved),
        }
    }
    if to.holds_back() {
        // TLS keeps records back until it is flushed; what it cannot send now goes out with the next poll.
        let _ = Pin::new(to).poll_flush(cx)?;
    }
    Ok(moved)
}
