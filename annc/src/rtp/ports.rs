//! Pairs of ports: an even one for RTP, the next one for RTCP (RFC 3550 §11).

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// The sockets of one stream.
#[derive(Debug)]
pub struct Sockets {
    /// RTP.
    pub rtp: UdpSocket,
    /// RTCP.
    pub rtcp: UdpSocket,
    /// The port of `rtp`.
    pub port: u16,
}

/// A range of ports.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    pairs: u32,
    next: AtomicU32,
}

impl Ports {
    /// Pairs from `first` to `last`, both of them included.
    pub fn new(first: u16, last: u16) -> Ports {
        let first = first.saturating_add(first % 2);
        let pairs = (u32::from(last) + 1).saturating_sub(first.into()) / 2;
        Ports { first, pairs, next: AtomicU32::new(0) }
    }

    /// How many streams there can be.
    pub const fn pairs(&self) -> u32 {
        self.pairs
    }

    /// Opens the next pair that is free on an address; `None` if none is. Ports are taken in turn, so that what still comes for one
    /// that ended does not meet its successor.
    pub fn open(&self, address: IpAddr) -> Option<Sockets> {
        for _ in 0..self.pairs {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.pairs;
            let port = u16::try_from(u32::from(self.first) + turn * 2).ok()?;
            let bind = |port| {
                let socket = UdpSocket::bind(SocketAddr::new(address, port))?;
                socket.set_nonblocking(true)?;
                Ok::<_, std::io::Error>(socket)
            };
            if let (Ok(rtp), Ok(rtcp)) = (bind(port), bind(port + 1)) {
                return Some(Sockets { rtp, rtcp, port });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn pairs_are_even_and_odd_and_end_with_the_range() {
        // Ports that nothing else of these tests uses.
        let ports = Ports::new(28_901, 28_905);
        assert_eq!(ports.pairs(), 2);
        let (one, two) = (ports.open(LOOPBACK).unwrap(), ports.open(LOOPBACK).unwrap());
        assert_eq!((one.port, two.port), (28_902, 28_904));
        assert_eq!(one.rtcp.local_addr().unwrap().port(), 28_903);
        assert!(ports.open(LOOPBACK).is_none());
        drop(one);
        assert_eq!(ports.open(LOOPBACK).unwrap().port, 28_902);
    }

    #[test]
    fn an_empty_range_has_none() {
        assert!(Ports::new(100, 100).open(LOOPBACK).is_none());
        assert_eq!(Ports::new(65_535, 65_535).pairs(), 0);
    }
}
