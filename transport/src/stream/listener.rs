//! The TCP listeners.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::connection;
use crate::wiring::Wiring;

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// The wait after a failed accept: file descriptors come back when connections close.
const AFTER_ERROR: Duration = Duration::from_millis(100);

pub(crate) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for the connections of the last run.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until the endpoint drains.
pub(crate) async fn accept(listener: TcpListener, wiring: Arc<Wiring>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = wiring.draining.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => begin(&wiring, stream, remote),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

/// Over a limit the stream is dropped, which closes it.
fn begin(wiring: &Arc<Wiring>, stream: TcpStream, remote: SocketAddr) {
    if let Some((connection, queue)) = wiring.connections.accepted(wiring, remote) {
        wiring.tasks.spawn(connection::live(Arc::clone(wiring), connection, queue, stream));
    }
}
