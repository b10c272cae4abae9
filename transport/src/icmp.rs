//! ICMP errors for datagrams we sent (RFC 3261 §18.4), which Linux keeps in the socket's error queue together
//! with the beginning of the datagram. Elsewhere they are not seen, and transactions run into their timers.
//!
//! The quoted octets name the transaction: its branch stands in the first header line we wrote, and can't be
//! guessed by whoever might forge an ICMP message.

use std::io;

use sip::transaction::shard_of;

use crate::TransportError;

/// A request of ours that did not arrive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) shard: u16,
    pub(crate) method: Vec<u8>,
    pub(crate) branch: Vec<u8>,
    pub(crate) error: TransportError,
}

/// Whether an error of a send may belong to an earlier datagram.
pub(crate) fn may_be_of_another(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

/// The request that `datagram`, quoted from its beginning, was. Responses are nobody's failure
/// (RFC 6026 §8.8).
fn quoted(datagram: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    /// How the branch of a Via we wrote begins.
    const BRANCH: &[u8] = b";branch=";
    let (method, _) = split_once(datagram, b' ')?;
    let at = datagram.windows(BRANCH.len()).position(|window| window == BRANCH)?;
    let rest = datagram.get(at + BRANCH.len()..)?;
    // A branch that the quotation cuts off is not compared.
    let end = rest.iter().position(|b| matches!(b, b';' | b',' | b'\r'))?;
    let branch = rest.get(..end)?;
    Some((shard_of(branch)?, method, branch))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&b| b == at)?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
        sockopt::Ipv6RecvErr,
    };
    use tokio::net::UdpSocket;

    use super::{Failed, quoted};
    use crate::TransportError;

    /// Errors taken from a queue in one go.
    const AT_ONCE: usize = 64;

    pub(crate) fn enable(socket: &UdpSocket, v6: bool) {
        // Without it, destinations that are gone are found out by Timer B or F.
        let _without =
            if v6 { setsockopt(socket, Ipv6RecvErr, &true) } else { setsockopt(socket, Ipv4RecvErr, &true) };
    }

    /// Reports what there is; `WouldBlock` says that this was all.
    pub(crate) fn drain(socket: &UdpSocket, mut report: impl FnMut(Failed)) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let mut datagram = [0; 1024];
            let Some((len, error)) = next(socket, &mut datagram) else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            let (Some(error), Some(octets)) = (error, datagram.get(..len)) else { continue };
            if let Some((shard, method, branch)) = quoted(octets) {
                report(Failed { shard, method: method.to_vec(), branch: branch.to_vec(), error });
            }
        }
        Ok(())
    }

    /// The next error: how much of the datagram is quoted, and what it means to us.
    fn next(socket: &UdpSocket, datagram: &mut [u8]) -> Option<(usize, Option<TransportError>)> {
        let mut control = nix::cmsg_space!([u8; 128]);
        let mut parts = [IoSliceMut::new(datagram)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
        let error = message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                Some(Errno::from_raw(i32::try_from(error.ee_errno).unwrap_or_default()))
            }
            _ => None,
        });
        // "Fragmentation needed" (EMSGSIZE) cures itself with the next transmission, "time exceeded" and
        // "source quench" are ignored (RFC 3261 §18.4).
        let error = match error {
            Some(Errno::ECONNREFUSED) => Some(TransportError::Refused),
            Some(Errno::EHOSTUNREACH | Errno::ENETUNREACH) => Some(TransportError::Unreachable),
            _ => None,
        };
        Some((message.bytes, error))
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{drain, enable};

#[cfg(not(target_os = "linux"))]
pub(crate) fn enable(_: &tokio::net::UdpSocket, _: bool) {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn drain(_: &tokio::net::UdpSocket, _: impl FnMut(Failed)) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quoted_branch_names_shard_and_transaction() {
        let datagram =
            b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;rport;branch=z9hG4bK2-77.x\r\nVia: ";
        let (shard, method, branch) = quoted(datagram).unwrap();
        assert_eq!((shard, method, branch), (2, &b"MESSAGE"[..], &b"z9hG4bK2-77.x"[..]));
    }

    #[test]
    fn a_branch_cut_off_by_the_quotation_is_not_taken() {
        assert_eq!(quoted(b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK2-7"), None);
        assert_eq!(quoted(b"MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKfoo\r\n"), None);
        assert_eq!(quoted(b""), None);
    }
}
