//! The writing half of a connection.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Buf;
use sip::Encoded;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

use super::connection::{Connection, Outbound, Queue};
use crate::TransportError;
use crate::wiring::Wiring;

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
        let outbound = tokio::select! {
            biased;
            () = connection.closed().cancelled() => None,
            outbound = queue.recv() => outbound,
            () = wiring.stop.cancelled() => queue.try_recv().ok(),
        };
        let Some(outbound) = outbound else { break };
        connection.taken(outbound.octets.len());
        match timeout(wiring.config.write_timeout, write(&mut half, &outbound.octets)).await {
            Ok(Ok(())) => connection.wrote(),
            outcome => {
                failed = match outcome {
                    Ok(Err(error)) => TransportError::from(&error),
                    _ => TransportError::WriteTimeout,
                };
                if failed == TransportError::WriteTimeout {
                    wiring.metrics.connections_slow.add_one();
                }
                report(&wiring, outbound, failed);
                connection.closed().cancel();
                break;
            }
        }
        if outbound.last {
            break;
        }
    }
    // The other end may have gone first.
    let _gone = half.shutdown().await;
    report_all(&wiring, queue, failed);
}

/// Head and body in as few writes as the system allows, and neither copied.
async fn write(half: &mut OwnedWriteHalf, octets: &Encoded) -> io::Result<()> {
    let mut rest = octets.head.clone().chain(octets.body.clone());
    while rest.has_remaining() {
        let mut parts = [IoSlice::new(&[]), IoSlice::new(&[])];
        let count = rest.chunks_vectored(&mut parts);
        let written = half.write_vectored(parts.get(..count).unwrap_or_default()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        rest.advance(written);
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
