//! UDP: one socket for each listener and worker. The kernel spreads senders over the sockets of one address, and
//! a worker's shard reads its own; any shard may send from any of them.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use sip::Encoded;
use sip::transaction::Id;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::batch::{self, Arrived, Buffers};
use crate::wiring::Wiring;
use crate::{Flow, Protocol, TransportError, icmp};

/// The longest datagram that can be sent everywhere (IPv4 without options, the tighter one).
pub(crate) const LONGEST_PAYLOAD: usize = 65_507;

/// Octets the kernel may hold for a socket while its task is busy; it gives less if it must.
const KERNEL_BUFFER: usize = 4 << 20;

/// Times one socket is read before its shard looks at its other work.
const READS: usize = 2;

/// Datagrams sent in one call, at most.
const SENT_AT_ONCE: usize = 32;

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
    /// Opens the sockets of one listener, one on each of `workers`, or one on the current runtime.
    pub(crate) fn bind(
        addr: SocketAddr,
        id: u64,
        queue: usize,
        workers: &[Handle],
    ) -> io::Result<Vec<(Arc<Self>, Waiting)>> {
        if workers.len() < 2 {
            let _inside = workers.first().map(Handle::enter);
            return Ok(vec![Self::of(open(addr, false)?, id, queue)?]);
        }
        // Sockets that share an address would share it with those of another server too. Without sharing, the
        // address is refused if anyone has it.
        let alone = open(addr, false)?;
        let addr = alone.local_addr()?.as_socket().unwrap_or(addr);
        drop(alone);
        let shared = workers.iter().map(|worker| {
            let _inside = worker.enter();
            Self::of(open(addr, true)?, id, queue)
        });
        shared.collect()
    }

    fn of(socket: socket2::Socket, id: u64, queue: usize) -> io::Result<(Arc<Self>, Waiting)> {
        // The kernel's own size serves too, only less burst.
        let _smaller = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _smaller = socket.set_send_buffer_size(KERNEL_BUFFER);
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        icmp::enable(&socket, local.is_ipv6());
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

fn open(addr: SocketAddr, shared: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::DGRAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
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

/// A datagram that leaves with the others of its turn.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) socket: Arc<DatagramSocket>,
    pub(crate) octets: Encoded,
    pub(crate) to: SocketAddr,
    /// Whom an error is told.
    pub(crate) id: Option<Id>,
}

/// Sends what a turn wants sent, in order, as many at a time as go together; `told` hears how each fared.
pub(crate) fn send_all(
    leaving: &[Leaving],
    scratch: &mut Vec<u8>,
    mut told: impl FnMut(Option<Id>, Result<(), TransportError>),
) {
    let of_one_socket = leaving.chunk_by(|one, next| Arc::ptr_eq(&one.socket, &next.socket));
    for mut rest in of_one_socket {
        while let Some((first, others)) = rest.split_first() {
            let pairs = rest.iter().take(SENT_AT_ONCE).map(|each| (&each.octets, each.to));
            let sent = if others.is_empty() { Ok(0) } else { batch::send(&first.socket.socket, pairs) };
            let Ok(count @ 1..) = sent else {
                // By itself: it may have to wait, or to be tried again.
                told(first.id, first.socket.send(&first.octets, first.to, scratch));
                rest = others;
                continue;
            };
            let (gone, left) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            gone.iter().for_each(|each| told(each.id, Ok(())));
            rest = left;
        }
    }
}

/// The sockets that one shard reads.
#[derive(Debug, Default)]
pub(crate) struct Inlet {
    sockets: Vec<Arc<DatagramSocket>>,
    buffers: Buffers,
    arrived: Vec<Arrived>,
}

impl Inlet {
    pub(crate) fn new(sockets: Vec<Arc<DatagramSocket>>) -> Self {
        let buffers = if sockets.is_empty() { Buffers::default() } else { Buffers::new() };
        Self { sockets, buffers, arrived: Vec::new() }
    }

    /// Waits until one of them may have something.
    pub(crate) async fn readable(&self) {
        poll_fn(|context| {
            let ready = self.sockets.iter().filter(|each| each.socket.poll_recv_ready(context).is_ready());
            // All are asked, so that each wakes this task.
            if ready.count() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Gives what has come to `each`.
    pub(crate) fn read(&mut self, mut each: impl FnMut(&Arc<DatagramSocket>, Bytes, SocketAddr)) {
        for socket in &self.sockets {
            for _ in 0..READS {
                let v6 = socket.local.is_ipv6();
                let read = batch::receive(&socket.socket, v6, &mut self.buffers, &mut self.arrived);
                for (octets, source) in self.arrived.drain(..) {
                    each(socket, octets, source);
                }
                if matches!(read, Ok(false)) {
                    break;
                }
            }
        }
    }
}

/// Reports the ICMP errors of a socket until the endpoint stops.
pub(crate) async fn watch_errors(socket: Arc<DatagramSocket>, wiring: Arc<Wiring>) {
    let work = async {
        while socket.socket.ready(Interest::ERROR).await.is_ok() {
            // That there are no more is what lets the next `ready` wait.
            let _drained = socket
                .socket
                .try_io(Interest::ERROR, || icmp::drain(&socket.socket, |failed| wiring.unreachable(failed)));
        }
    };
    tokio::select! {
        () = work => {}
        () = wiring.stop.cancelled() => {}
    }
}
