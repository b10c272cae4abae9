//! The listeners of all protocols that stand on TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::Protocol;
use crate::wiring::Wiring;

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// The wait after a failed accept: file descriptors come back when connections close.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// A socket that takes connections of one protocol.
#[derive(Debug)]
pub(crate) struct Listener {
    protocol: Protocol,
    socket: TcpListener,
}

impl Listener {
    pub(crate) fn bind(protocol: Protocol, addr: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // A restart must not wait for the connections of the last run.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { protocol, socket: TcpListener::from_std(socket.into())? })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Accepts until the endpoint drains.
pub(crate) async fn accept(listener: Listener, wiring: Arc<Wiring>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            () = wiring.draining.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => wiring.connections.accepted(&wiring, listener.protocol, stream, remote),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}
