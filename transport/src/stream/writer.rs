//! The writing half of a connection.

use std::io::{self, IoSlice};
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Duration, timeout};

use super::connection::{Connection, Outbound, Queue};
use crate::TransportError;
use crate::wiring::Wiring;

/// Messages written in one go, and the octets after which no more are taken into it.
const BATCH: usize = 16;
const BATCH_OCTETS: usize = 64 * 1024;

/// Writes what is queued until the connection closes or a write fails. A stopping endpoint lets it write what
/// waits already.
pub(super) async fn run(
    wiring: Arc<Wiring>,
    connection: Arc<Connection>,
    mut queue: Queue,
    mut half: OwnedWriteHalf,
) {
    let mut failed = TransportError::FlowClosed;
    loop {
        let first = tokio::select! {
            biased;
            () = connection.closed().cancelled() => None,
            outbound = queue.recv() => outbound,
            () = wiring.stop.cancelled() => queue.try_recv().ok(),
        };
        let Some(first) = first else { break };
        let batch = gather(first, &mut queue, &connection);
        let config = &wiring.config;
        let outcome = timeout(config.message_deadline, write(&mut half, &batch, config.write_timeout)).await;
        failed = match outcome {
            Ok(Ok(())) => {
                connection.wrote();
                if batch.last().is_some_and(|outbound| outbound.last) {
                    break;
                }
                continue;
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => TransportError::WriteTimeout,
        };
        if failed == TransportError::WriteTimeout {
            wiring.metrics.connections_slow.add_one();
        }
        batch.into_iter().for_each(|outbound| report(&wiring, outbound, failed));
        connection.closed().cancel();
        break;
    }
    // The other end may have gone first.
    let _gone = half.shutdown().await;
    report_all(&wiring, queue, failed);
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
        batch.push(next);
    }
    batch
}

/// Heads and bodies in as few writes as the system allows, and none of them copied. `patience` is for each
/// piece that the other end takes: a large message over a thin line takes long, and is no one who does not read.
async fn write(
    half: &mut OwnedWriteHalf,
    batch: &[Outbound],
    patience: Duration,
) -> Result<(), TransportError> {
    let octets = batch.iter().flat_map(|outbound| [&outbound.octets.head[..], &outbound.octets.body[..]]);
    let mut parts: Vec<IoSlice<'_>> = octets.filter(|part| !part.is_empty()).map(IoSlice::new).collect();
    let mut rest = parts.as_mut_slice();
    while !rest.is_empty() {
        let written = match timeout(patience, half.write_vectored(rest)).await {
            Ok(Ok(0)) => return Err(TransportError::Io(io::ErrorKind::WriteZero)),
            Ok(written) => written.map_err(|error| TransportError::from(&error))?,
            Err(_elapsed) => return Err(TransportError::WriteTimeout),
        };
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

/// Tells everyone who waits in the queue, and closes it.
pub(super) fn report_all(wiring: &Wiring, mut queue: Queue, error: TransportError) {
    queue.close();
    while let Ok(outbound) = queue.try_recv() {
        report(wiring, outbound, error);
    }
}

fn report(wiring: &Wiring, outbound: Outbound, error: TransportError) {
    wiring.metrics.send_errors.add_one();
    if let Some(blame) = outbound.blame {
        blame.report(error);
    }
}
