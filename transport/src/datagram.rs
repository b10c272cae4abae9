//! UDP: one socket per listener, shared by all shards.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip::Encoded;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::wiring::Wiring;
use crate::{Flow, Protocol, TransportError, arrival, icmp};

/// The longest datagram there is; what a socket is read into.
const LONGEST: usize = 65_535;

/// The longest datagram that can be sent everywhere (IPv4 without options, the tighter one).
pub(crate) const LONGEST_PAYLOAD: usize = 65_507;

/// Octets the kernel may hold for a socket while its task is busy; it gives less if it must.
const KERNEL_BUFFER: usize = 4 << 20;

/// Times a send is tried again when the socket reports the ICMP error of an earlier datagram instead.
const RETRIES: usize = 3;

/// A bound UDP socket.
#[derive(Debug)]
pub(crate) struct DatagramSocket {
    socket: UdpSocket,
    local: SocketAddr,
    id: u64,
    waiting: mpsc::Sender<(Bytes, SocketAddr)>,
}

/// What waits while the socket takes no more.
pub(crate) type Waiting = mpsc::Receiver<(Bytes, SocketAddr)>;

impl DatagramSocket {
    pub(crate) fn bind(addr: SocketAddr, id: u64, queue: usize) -> io::Result<(Arc<Self>, Waiting)> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::DGRAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // The kernel's own size serves too, only less burst.
        let _smaller = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _smaller = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        icmp::enable(&socket, addr.is_ipv6());
        let local = socket.local_addr()?;
        let (waiting, receiver) = mpsc::channel(queue.max(1));
        Ok((Arc::new(Self { socket, local, id, waiting }), receiver))
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    pub(crate) const fn flow(&self, remote: SocketAddr) -> Flow {
        Flow { protocol: Protocol::Udp, local: self.local, remote, id: self.id }
    }

    /// Sends at once, or queues while the kernel's buffer is full. `scratch` is where head and body are joined.
    pub(crate) fn send(
        &self,
        octets: &Encoded,
        to: SocketAddr,
        scratch: &mut Vec<u8>,
    ) -> Result<(), TransportError> {
        let whole: &[u8] = if octets.body.is_empty() {
            &octets.head
        } else {
            scratch.clear();
            scratch.extend_from_slice(&octets.head);
            scratch.extend_from_slice(&octets.body);
            scratch
        };
        let mut left = RETRIES;
        loop {
            match self.socket.try_send_to(whole, to) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let queued = self.waiting.try_send((Bytes::copy_from_slice(whole), to));
                    return queued.map_err(|_full| TransportError::QueueFull);
                }
                // The error may be of an earlier datagram to someone else, told on this occasion.
                Err(error) if left > 0 && icmp::may_be_of_another(&error) => left -= 1,
                Err(error) => return Err(TransportError::from(&error)),
            }
        }
    }
}

/// Sends what had to wait.
pub(crate) async fn send_waiting(socket: Arc<DatagramSocket>, mut waiting: Waiting, wiring: Arc<Wiring>) {
    let work = async {
        while let Some((octets, to)) = waiting.recv().await {
            if socket.socket.send_to(&octets, to).await.is_err() {
                wiring.metrics.send_errors.add_one();
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = wiring.stop.cancelled() => {}
    }
}

/// Reads datagrams until the endpoint stops. Each is copied out of one buffer into octets of its own length:
/// a slice of a shared buffer would keep all of it alive for as long as the slowest transaction in it.
pub(crate) async fn receive(socket: Arc<DatagramSocket>, wiring: Arc<Wiring>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let received = tokio::select! {
            received = socket.socket.recv_from(&mut buffer) => received,
            () = wiring.stop.cancelled() => return,
        };
        match received {
            Ok((len, source)) => {
                let octets = Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default());
                arrival::datagram(&wiring, &socket, octets, source);
            }
            // An ICMP error shows up as a failed read; the socket itself is well.
            Err(_) => tokio::task::yield_now().await,
        }
        icmp::drain(&socket.socket, |failed| wiring.unreachable(failed));
    }
}
