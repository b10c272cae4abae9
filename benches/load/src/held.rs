//! Phones that stay connected: each on a connection of its own, registered over it, and reached over it by one
//! MESSAGE. What the server's memory grew by is told for each.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::line::{Line, Transport};
use crate::report::{Connections, Report};
use crate::tally::{Schedule, Tally};
use crate::{Arguments, Kind, LoadError, process, rate};

/// Connections from one address, below what servers allow one source.
const PER_SOURCE: u32 = 500;

/// Requests a second.
const RATE: u32 = 1000;

pub(crate) async fn run(arguments: &Arguments, count: u32) -> Result<Report, LoadError> {
    if arguments.transport == Transport::Udp {
        return Err(LoadError::Arguments("--connections needs a transport with connections"));
    }
    let tally = Arc::new(Tally::new());
    let script = rate::script(arguments);
    let memory = || arguments.pid.and_then(process::memory);
    let before = memory();

    let way = arguments.way()?;
    let mut phones = Vec::new();
    for number in 0..count {
        let from = source(arguments.server.ip(), number);
        let line = Line::open(&way, from, Arc::clone(&tally)).await;
        phones.push(line.map_err(|source| LoadError::System { what: "no further connection", source })?);
    }
    let requests = u64::from(count);
    let interval = Duration::from_secs(1) / RATE;
    let at = |number: u64| usize::try_from(number % requests).ok().and_then(|at| phones.get(at));
    let of = |number: u64| u32::try_from(number % requests).unwrap_or_default();

    let pace = Schedule { first: 0, start: rate::soon(), interval };
    rate::paced(&tally, pace, requests, |number| {
        let phone = at(number)?;
        Some((phone, script.register(number, of(number), phone.local, phone.local)))
    })
    .await;
    let registered = memory();
    let answered = tally.result().0.succeeded;
    if answered < requests {
        let domain = arguments.domain.clone();
        return Err(LoadError::Registration { answered, asked: requests, domain });
    }

    let pace = Schedule { first: requests, start: rate::soon(), interval };
    let seconds = rate::paced(&tally, pace, requests, |number| {
        // Each gets one from its neighbour.
        let sender = at(number + 1)?;
        Some((sender, script.message(Kind::Text, number, of(number), sender.local)))
    })
    .await;
    let each = |now: Option<u64>| {
        let grown = now?.saturating_sub(before?);
        Some(u32::try_from(grown / 1024).map_or(f64::MAX, f64::from) * 1024.0 / f64::from(count))
    };
    let connections = Connections {
        held: requests,
        octets_registered: each(registered),
        octets_after_message: each(memory()),
    };
    let what = format!("one MESSAGE to each of {count} phones");
    let mut report = Report::new(what, arguments.transport.via(), requests, seconds, tally.result());
    report.connections = Some(connections);
    Ok(report)
}

/// On the loopback, several addresses: each has ports of its own, and limits for one source are not met.
fn source(server: IpAddr, number: u32) -> IpAddr {
    match server {
        IpAddr::V4(server) if server.is_loopback() => {
            let host = u8::try_from(2 + number / PER_SOURCE).unwrap_or(u8::MAX);
            Ipv4Addr::new(127, 0, 0, host).into()
        }
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(server) if server.is_loopback() => server.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
