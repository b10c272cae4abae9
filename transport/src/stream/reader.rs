//! The reading half of a connection: frames messages and watches the clock.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use sip::{Encoded, Framed, StreamFramer};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::connection::{Connection, Outbound};
use crate::arrival::{self, Next};
use crate::wiring::Wiring;

/// Octets read at a time.
const CHUNK: usize = 16 * 1024;

/// How long the other end may go on sending after its last answer. Closing on unread octets would reset the
/// connection, and the answer with it.
const LINGER: Duration = Duration::from_secs(2);

/// Octets thrown away in that time before the connection is reset after all.
const LINGER_OCTETS: usize = 16 << 20;

/// Reads until the other end, the clock or the endpoint ends it.
pub(super) async fn run(wiring: &Arc<Wiring>, connection: &Arc<Connection>, half: OwnedReadHalf) {
    let mut framer = StreamFramer::new(wiring.config.messages);
    let mut watch = Watch { wiring, connection, last_read: Instant::now(), begun: None };
    loop {
        let readable = tokio::select! {
            readable = timeout_at(watch.deadline(&framer), half.readable()) => readable,
            () = connection.closed().cancelled() => return,
            // The writer still has time for what waits.
            () = wiring.stop.cancelled() => return linger(connection, &half).await,
        };
        match readable {
            Err(_elapsed) if watch.is_over(&framer) => return,
            Err(_elapsed) => continue,
            Ok(Err(_)) => return,
            Ok(Ok(())) => {}
        }
        match read(&half, &mut framer) {
            Ok(0) => return,
            Ok(_) => watch.last_read = Instant::now(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        match take_messages(wiring, connection, &mut framer, &mut watch).await {
            Next::GoOn => {}
            Next::Close => return,
            Next::CloseAfterAnswer => return linger(connection, &half).await,
        }
        watch.note(&framer);
    }
}

/// One read into a buffer on the stack: an idle connection holds none.
fn read(half: &OwnedReadHalf, framer: &mut StreamFramer) -> io::Result<usize> {
    let mut chunk = [0; CHUNK];
    let len = half.try_read(&mut chunk)?;
    framer.push(chunk.get(..len).unwrap_or_default());
    Ok(len)
}

async fn take_messages(
    wiring: &Arc<Wiring>,
    connection: &Arc<Connection>,
    framer: &mut StreamFramer,
    watch: &mut Watch<'_>,
) -> Next {
    loop {
        let next = match framer.next() {
            Ok(None) => return Next::GoOn,
            Ok(Some(Framed::KeepalivePing)) => {
                wiring.metrics.keepalives.add_one();
                pong(connection)
            }
            Ok(Some(Framed::KeepalivePong)) => Next::GoOn,
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

/// RFC 5626 §3.5.1. A peer that pings without reading is not worth a queue.
fn pong(connection: &Connection) -> Next {
    let octets = Encoded { head: Bytes::from_static(b"\r\n"), body: Bytes::new() };
    match connection.send(Outbound { octets, blame: None, last: false }) {
        Ok(()) => Next::GoOn,
        Err(_) => Next::Close,
    }
}

/// Reads and forgets until the other end closes too.
async fn linger(connection: &Connection, half: &OwnedReadHalf) {
    let discard = async {
        let mut chunk = [0; 4096];
        let mut left = LINGER_OCTETS;
        while left > 0 && half.readable().await.is_ok() {
            match half.try_read(&mut chunk) {
                Ok(0) => return,
                Ok(len) => left = left.saturating_sub(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        _ = timeout(LINGER, discard) => {}
        () = connection.closed().cancelled() => {}
    }
}

/// The clock over a connection.
struct Watch<'a> {
    wiring: &'a Wiring,
    connection: &'a Connection,
    last_read: Instant,
    /// When the message that is half here began.
    begun: Option<Instant>,
}

impl Watch<'_> {
    /// When to look at [`Self::is_over`].
    fn deadline(&self, framer: &StreamFramer) -> Instant {
        let config = &self.wiring.config;
        match self.begun {
            Some(begun) if framer.in_head() => begun + config.head_deadline,
            Some(begun) => begun + config.message_deadline,
            None => self.last_read.max(self.connection.last_written()) + config.idle,
        }
    }

    fn is_over(&self, framer: &StreamFramer) -> bool {
        if self.deadline(framer) > Instant::now() {
            return false;
        }
        let metrics = &self.wiring.metrics;
        let counter =
            if self.begun.is_some() { &metrics.connections_slow } else { &metrics.connections_idle };
        counter.add_one();
        true
    }

    /// Whether a message has begun that was not there before.
    fn note(&mut self, framer: &StreamFramer) {
        if !framer.is_midway() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(self.last_read);
        }
    }
}
