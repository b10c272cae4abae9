//! The life of a connection, from the handshake to the end.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::connection::{Connection, Outbound, Queue};
use super::framer::Framer;
use super::reader::{self, Ended};
use super::writer::{self, WriteHalf};
use super::{Goal, upgrade};
use crate::tls::{self, Tls};
use crate::wiring::Wiring;
use crate::{Protocol, TransportError};

/// Octets both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Connects, then lives. What waits in the queue is reported if there is no connection.
pub(super) async fn open(wiring: Arc<Wiring>, connection: Arc<Connection>, goal: Goal, queue: Queue) {
    let connecting = timeout(wiring.config.connect_timeout, Box::pin(dial(&wiring, &goal)));
    let outcome = tokio::select! {
        outcome = connecting => outcome.unwrap_or(Err(TransportError::ConnectTimeout)),
        () = wiring.stop.cancelled() => return wiring.connections.remove(&connection),
    };
    match outcome {
        Ok(Dialled::Plain(stream)) => {
            connection.shaken(stream.local_addr().ok(), Vec::new());
            plain(wiring, connection, queue, stream).await;
        }
        Ok(Dialled::Secure(stream)) => {
            connection.shaken(stream.get_ref().0.local_addr().ok(), tls::identities(&stream));
            split(wiring, connection, queue, *stream, Framer::sip).await;
        }
        Err(error) => {
            connection.closed().cancel();
            wiring.connections.remove(&connection);
            writer::report_all(&wiring, &connection, queue, error);
        }
    }
}

enum Dialled {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

async fn dial(wiring: &Wiring, goal: &Goal) -> Result<Dialled, TransportError> {
    let stream = TcpStream::connect(goal.addr()).await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => TransportError::ConnectTimeout,
        _ => TransportError::from(&error),
    })?;
    if goal.protocol() != Protocol::Tls {
        return Ok(Dialled::Plain(stream));
    }
    let secure = wiring.tls().connect(stream, goal.name(), goal.addr().ip()).await;
    let secure = secure.inspect_err(|error| {
        wiring.metrics.handshakes_failed.add_one();
        tracing::warn!(to = %goal.addr(), name = goal.name().unwrap_or("-"), %error, "no TLS");
    })?;
    Ok(Dialled::Secure(Box::new(secure)))
}

/// Lives on what was accepted, after the handshakes of its protocol; they have the time a head has.
pub(super) async fn accepted(
    wiring: Arc<Wiring>,
    connection: Arc<Connection>,
    queue: Queue,
    stream: TcpStream,
) {
    connection.shaken(stream.local_addr().ok(), Vec::new());
    if connection.protocol() == Protocol::Tcp {
        return plain(wiring, connection, queue, stream).await;
    }
    let shaking = timeout(wiring.config.head_deadline, Box::pin(shake(&wiring, &connection, stream)));
    let outcome = tokio::select! {
        outcome = shaking => outcome.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into())),
        () = wiring.stop.cancelled() => return wiring.connections.remove(&connection),
    };
    match outcome {
        Ok(Shaken::Secure(stream)) => split(wiring, connection, queue, *stream, Framer::sip).await,
        Ok(Shaken::Socket(stream, rest)) => {
            let framer = |limits| Framer::websocket(limits, &rest);
            let (read, write) = stream.into_split();
            live(wiring, connection, queue, read, write, framer).await;
        }
        Ok(Shaken::SecureSocket(stream, rest)) => {
            split(wiring, connection, queue, *stream, |limits| Framer::websocket(limits, &rest)).await;
        }
        Err(error) => {
            tracing::debug!(from = %connection.remote(), %error, "no handshake");
            wiring.metrics.handshakes_failed.add_one();
            connection.closed().cancel();
            wiring.connections.remove(&connection);
        }
    }
}

/// What a handshake leaves: the stream, and what came behind an upgrade.
enum Shaken {
    Secure(Box<TlsStream<TcpStream>>),
    Socket(TcpStream, Vec<u8>),
    SecureSocket(Box<TlsStream<TcpStream>>, Vec<u8>),
}

async fn shake(wiring: &Wiring, connection: &Connection, mut stream: TcpStream) -> io::Result<Shaken> {
    let origins = &wiring.config.origins;
    if connection.protocol() == Protocol::Ws {
        let rest = upgrade::serve(&mut stream, origins).await?;
        return Ok(Shaken::Socket(stream, rest));
    }
    let mut secure = Box::new(accept_secure(&wiring.tls(), stream).await?);
    connection.shaken(None, tls::identities(&secure));
    if connection.protocol() == Protocol::Tls {
        return Ok(Shaken::Secure(secure));
    }
    let rest = upgrade::serve(&mut *secure, origins).await?;
    Ok(Shaken::SecureSocket(secure, rest))
}

async fn accept_secure(tls: &Tls, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    // Latency over fewer packets; without it the connection only is slower.
    let _slower = stream.set_nodelay(true);
    tls.accept(stream).await
}

/// Lives on a stream whose handshake somebody else made.
pub(super) async fn adopted(
    wiring: Arc<Wiring>,
    connection: Arc<Connection>,
    queue: Queue,
    stream: Box<dyn Duplex>,
) {
    split(wiring, connection, queue, stream, |limits| Framer::websocket(limits, &[])).await;
}

async fn plain(wiring: Arc<Wiring>, connection: Arc<Connection>, queue: Queue, stream: TcpStream) {
    let _slower = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    live(wiring, connection, queue, read, write, Framer::sip).await;
}

async fn split<S: Duplex + 'static>(
    wiring: Arc<Wiring>,
    connection: Arc<Connection>,
    queue: Queue,
    stream: S,
    framer: impl FnOnce(sip::Limits) -> Framer,
) {
    let (read, write) = tokio::io::split(stream);
    live(wiring, connection, queue, read, write, framer).await;
}

/// Reads and writes until one of them ends it.
async fn live<R, W>(
    wiring: Arc<Wiring>,
    connection: Arc<Connection>,
    queue: Queue,
    read: R,
    write: W,
    framer: impl FnOnce(sip::Limits) -> Framer,
) where
    R: AsyncRead + Unpin + Send,
    W: WriteHalf + 'static,
{
    let framer = framer(wiring.config.messages);
    let writing = writer::run(Arc::clone(&wiring), Arc::clone(&connection), queue, write);
    let writing = wiring.tasks.spawn(writing);
    let ended = reader::run(&wiring, &connection, read, framer).await;
    connection.end();
    wiring.closed(&connection);
    if ended == Ended::Settled {
        // What waits is written first; if there is no room for this, little is lost.
        let _full = connection.send(Outbound::own(empty(), true));
    } else {
        connection.closed().cancel();
    }
    // A task of ours does not panic.
    let _done = writing.await;
    connection.closed().cancel();
    wiring.connections.remove(&connection);
}

const fn empty() -> sip::Encoded {
    sip::Encoded { head: bytes::Bytes::new(), body: bytes::Bytes::new() }
}
