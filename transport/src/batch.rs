//! Several datagrams in one call to the system (sendmmsg, recvmmsg): what a call costs beside its datagrams is then
//! paid once. Elsewhere than on Linux each goes by itself.

use std::net::SocketAddr;

use bytes::Bytes;

/// Datagrams received in one call, at most.
const AT_ONCE: usize = 32;

/// The longest datagram there is.
const LONGEST: usize = 65_535;

/// What datagrams are read into. Of each only the pages that were ever written to take memory.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Vec<Box<[u8]>>);

impl Buffers {
    pub(crate) fn new() -> Self {
        Self(std::iter::repeat_with(|| vec![0; LONGEST].into()).take(AT_ONCE).collect())
    }
}

/// A datagram that came, in octets of its own length: a slice of a shared buffer would keep all of it alive for as
/// long as the slowest transaction in it.
pub(crate) type Arrived = (Bytes, SocketAddr);

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::RefCell;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::SocketAddr;
    use std::os::fd::AsRawFd;

    use bytes::Bytes;
    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
    use rustix::net::addr::SocketAddrArg;
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
    use sip::Encoded;
    use tokio::io::Interest;
    use tokio::net::UdpSocket;

    use super::{AT_ONCE, Arrived, Buffers};

    /// Sends as many as the socket takes now, from the first on, and says how many that were.
    ///
    /// # Errors
    /// Of the first one, which did not leave.
    pub(crate) fn send<'a>(
        socket: &UdpSocket,
        datagrams: impl Iterator<Item = (&'a Encoded, SocketAddr)>,
    ) -> io::Result<usize> {
        let (mut addresses, mut parts) = (Vec::with_capacity(AT_ONCE), Vec::with_capacity(AT_ONCE));
        for (octets, to) in datagrams {
            addresses.push(to.as_any());
            parts.push([IoSlice::new(&octets.head), IoSlice::new(&octets.body)]);
        }
        let mut controls: Vec<_> = addresses.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let addressed = addresses.iter().zip(&parts).zip(&mut controls);
        let mut headers: Vec<_> =
            addressed.map(|((to, parts), control)| MMsgHdr::new_with_addr(to, parts, control)).collect();
        let write = || sendmmsg(socket, &mut headers, SendFlags::empty()).map_err(io::Error::from);
        socket.try_io(Interest::WRITABLE, write)
    }

    fn headers() -> RefCell<MultiHeaders<SockaddrStorage>> {
        RefCell::new(MultiHeaders::preallocate(AT_ONCE, None))
    }

    thread_local! {
        /// Room for the sources, for each family alone: the system leaves the length of an address in it, and what
        /// comes next must not be longer.
        static HEADERS: [RefCell<MultiHeaders<SockaddrStorage>>; 2] = [headers(), headers()];
    }

    /// Takes what the socket has, up to [`AT_ONCE`], and says whether there may be more.
    ///
    /// # Errors
    /// Of an earlier datagram of ours, whose ICMP error shows up here; the socket itself is well.
    pub(crate) fn receive(
        socket: &UdpSocket,
        v6: bool,
        buffers: &mut Buffers,
        into: &mut Vec<Arrived>,
    ) -> io::Result<bool> {
        let read = || {
            HEADERS.with(|headers| {
                let Some(headers) = headers.get(usize::from(v6)) else { return Ok(()) };
                let mut parts: Vec<_> = buffers.0.iter_mut().map(|each| [IoSliceMut::new(each)]).collect();
                let (mut headers, flags) = (headers.borrow_mut(), MsgFlags::MSG_DONTWAIT);
                let received = recvmmsg(socket.as_raw_fd(), &mut headers, parts.iter_mut(), flags, None)?;
                let mut count = 0;
                for message in received {
                    count += 1;
                    let octets = Bytes::copy_from_slice(message.iovs().next().unwrap_or_default());
                    into.extend(message.address.and_then(address).map(|source| (octets, source)));
                }
                // Said here, it lets the next one wait without a look that finds nothing.
                if count < AT_ONCE { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            })
        };
        match socket.try_io(Interest::READABLE, read) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
        let v4 = storage.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{receive, send};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::net::SocketAddr;

    use bytes::Bytes;
    use sip::Encoded;
    use tokio::net::UdpSocket;

    use super::{Arrived, Buffers};

    pub(crate) fn send<'a>(
        socket: &UdpSocket,
        mut datagrams: impl Iterator<Item = (&'a Encoded, SocketAddr)>,
    ) -> io::Result<usize> {
        let Some((octets, to)) = datagrams.next() else { return Ok(0) };
        socket.try_send_to(&octets.to_bytes(), to).map(|_| 1)
    }

    pub(crate) fn receive(
        socket: &UdpSocket,
        _v6: bool,
        buffers: &mut Buffers,
        into: &mut Vec<Arrived>,
    ) -> io::Result<bool> {
        let Some(buffer) = buffers.0.first_mut() else { return Ok(false) };
        match socket.try_recv_from(buffer) {
            Ok((len, source)) => {
                into.push((Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default()), source));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{receive, send};
