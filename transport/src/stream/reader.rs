//! The reading half of a connection: frames messages and watches the clock.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use sip::Encoded;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::budget::Share;
use super::connection::{Connection, Outbound};
use super::framer::{Framed, Framer};
use crate::arrival::{self, Next};
use crate::wiring::Wiring;

/// Octets read at a time.
const CHUNK: usize = 16 * 1024;

/// How long the other end may go on sending after its last answer. Closing on unread octets would reset the
/// connection, and the answer with it.
const LINGER: Duration = Duration::from_secs(2);

/// Octets thrown away in that time before the connection is reset after all.
const LINGER_OCTETS: usize = 16 << 20;

/// Pings of ours without a sign of life before a WebSocket is given up.
const UNANSWERED: u32 = 3;

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing more is to be written.
    Over,
    /// The other end sends no more; what is queued is for it to read.
    Settled,
}

/// Reads until the other end, the clock or the endpoint ends it.
pub(super) async fn run<R: AsyncRead + Unpin>(
    wiring: &Arc<Wiring>,
    connection: &Arc<Connection>,
    mut half: R,
    mut framer: Framer,
) -> Ended {
    let mut watch = Watch { wiring, connection, last_read: Instant::now(), begun: None, pings: 0 };
    let mut share = Share::new(wiring.connections.budget());
    loop {
        // Of a WebSocket something may have come with the handshake.
        let next = match take_messages(wiring, connection, &mut framer, &mut watch).await {
            Next::GoOn if !share.hold(framer.buffered()) => no_room(wiring, connection, &mut framer),
            next => next,
        };
        match next {
            Next::GoOn => watch.note(&framer),
            Next::Close => return Ended::Over,
            Next::CloseAfterAnswer => return linger(wiring, connection, &mut half).await,
        }
        let octets = tokio::select! {
            read = timeout_at(watch.deadline(&framer), read(&mut half, |octets| framer.push(octets))) => read,
            () = connection.closed().cancelled() => return Ended::Over,
            // The writer still has time for what waits.
            () = wiring.stop.cancelled() => return linger(wiring, connection, &mut half).await,
        };
        match octets {
            Err(_elapsed) if watch.is_over(&framer) => return Ended::Over,
            Err(_elapsed) => {}
            Ok(Err(_)) => return Ended::Over,
            Ok(Ok(0)) => return last_words(wiring, connection, &mut framer).await,
            Ok(Ok(_)) => watch.heard(),
        }
    }
}

/// One read into a buffer on the stack: an idle connection holds none.
async fn read<R: AsyncRead + Unpin>(half: &mut R, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
    poll_fn(|context| {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut *half).poll_read(context, &mut chunk))?;
        take(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    })
    .await
}

async fn take_messages(
    wiring: &Arc<Wiring>,
    connection: &Arc<Connection>,
    framer: &mut Framer,
    watch: &mut Watch<'_>,
) -> Next {
    loop {
        let next = match framer.next() {
            Ok(None) => return Next::GoOn,
            Ok(Some(Framed::Ping)) => {
                wiring.metrics.keepalives.add_one();
                own(connection, Outbound::own(crlf(), false))
            }
            Ok(Some(Framed::Pong)) => Next::GoOn,
            Ok(Some(Framed::Frame(frame))) => own(connection, frame),
            Ok(Some(Framed::Message(raw))) => {
                watch.begun = None;
                arrival::message(wiring, connection, raw).await
            }
            Err(invalid) => arrival::invalid_on_stream(wiring, connection, &invalid),
        };
        if !matches!(next, Next::GoOn) {
            return next;
        }
    }
}

/// RFC 5626 §3.5.1.
const fn crlf() -> Encoded {
    Encoded { head: Bytes::from_static(b"\r\n"), body: Bytes::new() }
}

/// A peer that pings without reading is not worth a queue.
fn own(connection: &Connection, outbound: Outbound) -> Next {
    let last = outbound.last;
    match connection.send(outbound) {
        Ok(()) if last => Next::CloseAfterAnswer,
        Ok(()) => Next::GoOn,
        Err(_) => Next::Close,
    }
}

/// All connections together hold what they may.
fn no_room(wiring: &Wiring, connection: &Connection, framer: &mut Framer) -> Next {
    wiring.metrics.buffers_full.add_one();
    match framer.no_room() {
        Ok(Framed::Frame(frame)) => own(connection, frame),
        Ok(_) => Next::Close,
        Err(invalid) => arrival::invalid_on_stream(wiring, connection, &invalid),
    }
}

/// The other end sends nothing more. The message it stopped in is answered as a datagram cut short is, and what
/// it asked before still gets its answers, as long as a transaction lasts that is no INVITE (64*T1).
async fn last_words(wiring: &Arc<Wiring>, connection: &Arc<Connection>, framer: &mut Framer) -> Ended {
    if let Some(invalid) = framer.end() {
        arrival::invalid_at_end(wiring, connection, &invalid);
    }
    connection.end();
    wiring.closed(connection);
    let patience = wiring.config.timers.t1 * 64;
    tokio::select! {
        settled = timeout(patience, connection.settled()) => {
            if settled.is_ok() { Ended::Settled } else { Ended::Over }
        }
        () = connection.closed().cancelled() => Ended::Over,
        () = wiring.stop.cancelled() => Ended::Settled,
    }
}

/// Reads and forgets until the other end closes too.
async fn linger<R: AsyncRead + Unpin>(wiring: &Wiring, connection: &Connection, half: &mut R) -> Ended {
    connection.end();
    wiring.closed(connection);
    let discard = async {
        let mut left = LINGER_OCTETS;
        while left > 0 {
            match read(half, |_| {}).await {
                Ok(0) => return Ended::Settled,
                Ok(len) => left = left.saturating_sub(len),
                Err(_) => return Ended::Over,
            }
        }
        Ended::Over
    };
    tokio::select! {
        ended = timeout(LINGER, discard) => ended.unwrap_or(Ended::Over),
        () = connection.closed().cancelled() => Ended::Over,
    }
}

/// The clock over a connection.
struct Watch<'a> {
    wiring: &'a Wiring,
    connection: &'a Connection,
    last_read: Instant,
    /// When the message that is half here began.
    begun: Option<Instant>,
    /// Pings of ours since something was read.
    pings: u32,
}

impl Watch<'_> {
    fn heard(&mut self) {
        self.last_read = Instant::now();
        self.pings = 0;
    }

    /// When to look at [`Self::is_over`].
    fn deadline(&self, framer: &Framer) -> Instant {
        let config = &self.wiring.config;
        match self.begun {
            Some(begun) if framer.in_head() => begun + config.head_deadline,
            Some(begun) => begun + config.message_deadline,
            None if framer.pings() => self.last_read + config.ping * (self.pings + 1),
            None => self.last_read.max(self.connection.last_written()) + config.idle,
        }
    }

    /// Whether a deadline of the other end's is over; a WebSocket is pinged first.
    fn is_over(&mut self, framer: &Framer) -> bool {
        if self.deadline(framer) > Instant::now() {
            return false;
        }
        let metrics = &self.wiring.metrics;
        if self.begun.is_some() {
            metrics.connections_slow.add_one();
            return true;
        }
        if framer.pings() && self.pings < UNANSWERED {
            self.pings += 1;
            return self.connection.send(super::websocket::ping()).is_err();
        }
        metrics.connections_idle.add_one();
        true
    }

    /// Whether a message has begun that was not there before.
    fn note(&mut self, framer: &Framer) {
        if !framer.is_midway() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(self.last_read);
        }
    }
}
