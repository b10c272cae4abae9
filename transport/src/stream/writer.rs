//! The writing half of a connection.

use std::io::{self, IoSlice};
use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Duration, sleep, timeout};

use super::connection::{Connection, Outbound, Queue};
use super::websocket;
use crate::TransportError;
use crate::wiring::Wiring;

/// Messages written in one go, and the octets after which no more are taken into it.
const BATCH: usize = 16;
const BATCH_OCTETS: usize = 64 * 1024;

/// The time in which the other end says that it took nothing, after it had said that it sends nothing.
const AFTERMATH: Duration = Duration::from_secs(2);

/// How often it is looked whether it said so.
const LOOK: Duration = Duration::from_millis(20);

/// Responses remembered for that time, at most.
const REMEMBERED: usize = 256;

/// Where a connection is written to.
pub(super) trait WriteHalf: AsyncWrite + Unpin + Send {
    /// Waits for a reset; ends without one where it can't be seen, or there is none.
    fn reset(&self) -> impl Future<Output = bool> + Send;
}

impl WriteHalf for OwnedWriteHalf {
    async fn reset(&self) -> bool {
        let stream: &tokio::net::TcpStream = self.as_ref();
        let verdict = async {
            loop {
                if !matches!(stream.take_error(), Ok(None)) {
                    return true;
                }
                // Both ends are through, and all was taken. No event tells of it alone.
                if stream.peer_addr().is_err() {
                    return false;
                }
                sleep(LOOK).await;
            }
        };
        timeout(AFTERMATH, verdict).await.unwrap_or(false)
    }
}

impl<S: AsyncWrite + Unpin + Send> WriteHalf for tokio::io::WriteHalf<S> {
    fn reset(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }
}

/// Writes what is queued until the connection closes or a write fails. A stopping endpoint lets it write what
/// waits already.
pub(super) async fn run<W: WriteHalf>(
    wiring: Arc<Wiring>,
    connection: Arc<Connection>,
    mut queue: Queue,
    mut half: W,
) {
    let mut failed = TransportError::FlowClosed;
    // Written to one who sends nothing more, and who may have gone altogether.
    let mut unsure: Vec<Outbound> = Vec::new();
    let mut said_close = false;
    loop {
        let first = tokio::select! {
            biased;
            () = connection.closed().cancelled() => None,
            outbound = queue.recv() => outbound,
            () = wiring.stop.cancelled() => queue.try_recv().ok(),
        };
        let Some(first) = first else { break };
        let batch = gather(*first, &mut queue, &connection);
        if let Err(error) = write_in_time(&wiring, &connection, &mut half, &batch).await {
            failed = error;
            batch.into_iter().for_each(|outbound| report(&wiring, outbound, failed));
            connection.closed().cancel();
            break;
        }
        connection.wrote();
        let last = batch.last().filter(|outbound| outbound.last);
        let is_last = last.is_some();
        said_close = last.is_some_and(|last| last.is_frame);
        if connection.is_ended() {
            unsure
                .extend(batch.into_iter().filter(Outbound::may_go_otherwise).take(REMEMBERED - unsure.len()));
        }
        if is_last {
            break;
        }
    }
    let aborted = connection.closed().is_cancelled();
    if !aborted && connection.protocol().is_websocket() && !said_close {
        let goodbye = [websocket::close(websocket::GOING_AWAY)];
        let _gone = write_in_time(&wiring, &connection, &mut half, &goodbye).await;
    }
    // The other end may have gone first, or take nothing; TLS has a last word to write.
    let _gone = timeout(wiring.config.write_timeout, half.shutdown()).await;
    if !unsure.is_empty() && half.reset().await {
        unsure.into_iter().for_each(|outbound| report(&wiring, outbound, TransportError::FlowClosed));
    }
    report_all(&wiring, &connection, queue, failed);
}

/// What waits behind the first message, as far as it is worth one write. Nothing follows one that is the last.
fn gather(first: Outbound, queue: &mut Queue, connection: &Connection) -> Vec<Outbound> {
    let mut octets = first.octets.len();
    connection.taken(octets);
    let mut batch = vec![first];
    while batch.len() < BATCH && octets < BATCH_OCTETS && !batch.last().is_some_and(|outbound| outbound.last)
    {
        let Ok(next) = queue.try_recv() else { break };
        connection.taken(next.octets.len());
        octets += next.octets.len();
        batch.push(*next);
    }
    batch
}

async fn write_in_time<W: WriteHalf>(
    wiring: &Wiring,
    connection: &Connection,
    half: &mut W,
    batch: &[Outbound],
) -> Result<(), TransportError> {
    let config = &wiring.config;
    let is_websocket = connection.protocol().is_websocket();
    let writing = timeout(config.message_deadline, write(half, batch, is_websocket, config.write_timeout));
    let outcome = tokio::select! {
        outcome = writing => outcome.unwrap_or(Err(TransportError::WriteTimeout)),
        () = connection.closed().cancelled() => Err(TransportError::FlowClosed),
    };
    if outcome == Err(TransportError::WriteTimeout) {
        wiring.metrics.connections_slow.add_one();
    }
    outcome
}

/// Heads and bodies in as few writes as the system allows, and none of them copied. `patience` is for each
/// piece that the other end takes: a large message over a thin line takes long, and is no one who does not read.
async fn write<W: WriteHalf>(
    half: &mut W,
    batch: &[Outbound],
    is_websocket: bool,
    patience: Duration,
) -> Result<(), TransportError> {
    let envelopes: Vec<websocket::Envelope> =
        if is_websocket { batch.iter().map(websocket::Envelope::of).collect() } else { Vec::new() };
    let mut parts: Vec<IoSlice<'_>> = Vec::with_capacity(batch.len() * 3);
    for (at, outbound) in batch.iter().enumerate() {
        let envelope = envelopes.get(at).map_or(&[][..], websocket::Envelope::octets);
        let octets = [envelope, &outbound.octets.head[..], &outbound.octets.body[..]];
        parts.extend(octets.into_iter().filter(|part| !part.is_empty()).map(IoSlice::new));
    }
    let mut rest = parts.as_mut_slice();
    while !rest.is_empty() {
        let written = match timeout(patience, half.write_vectored(rest)).await {
            Ok(Ok(0)) => return Err(TransportError::Io(io::ErrorKind::WriteZero)),
            Ok(written) => written.map_err(|error| TransportError::from(&error))?,
            Err(_elapsed) => return Err(TransportError::WriteTimeout),
        };
        IoSlice::advance_slices(&mut rest, written);
    }
    match timeout(patience, half.flush()).await {
        Ok(flushed) => flushed.map_err(|error| TransportError::from(&error)),
        Err(_elapsed) => Err(TransportError::WriteTimeout),
    }
}

/// Tells everyone who waits in the queue, and closes it.
pub(super) fn report_all(wiring: &Wiring, connection: &Connection, mut queue: Queue, error: TransportError) {
    queue.close();
    while let Ok(outbound) = queue.try_recv() {
        connection.taken(outbound.octets.len());
        report(wiring, *outbound, error);
    }
}

fn report(wiring: &Wiring, outbound: Outbound, error: TransportError) {
    wiring.metrics.send_errors.add_one();
    if let Some(blame) = outbound.blame {
        blame.report(outbound.octets, error);
    }
}
