//! Where a branch is sent (RFC 3261 §16.6 step 7; RFC 3263 is `transport`'s), and over what (CPI.md 3.4 B2).

use std::net::{IpAddr, SocketAddr};

use registrar::Binding;
use sip::{Method, NameAddr, Uri};
use transport::{Asker, Destination, Flow, LocateError, Protocol};

use crate::journey::Journey;
use crate::ours::Ours;
use crate::record::Side;
use crate::refuse::Refused;
use crate::route::Way;
use crate::target::Target;

/// Octets a request may have over UDP when nothing is known of the path (RFC 3261 §18.1.1).
pub(crate) const DATAGRAM: usize = 1300;

/// What of our own additions to the head is not counted towards [`DATAGRAM`]. Deviation: §18.1.1 counts the
/// request as it is sent. Counted so, a request that its sender was allowed to send over UDP would change
/// its transport at every proxy for the Via alone; a datagram of 1300 octets and this many still fits the
/// path the number was made for (1500 octets, 200 of them kept free for what is added on the way).
const OWN_HEAD: usize = 160;

/// One way to the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) destination: Destination,
    /// Whether a datagram is the only way there: the terminal is reached over the flow it registered on.
    pub(crate) flow_only: bool,
}

impl Hop {
    /// The same address over TCP, where that may be tried.
    pub(crate) fn over_tcp(&self) -> Option<Hop> {
        let datagram = self.is_datagram() && !self.flow_only;
        let destination = datagram.then(|| self.destination.over(Protocol::Tcp)).flatten()?;
        Some(Hop { destination, flow_only: false })
    }

    /// Whether a request goes there in datagrams.
    pub(crate) fn is_datagram(&self) -> bool {
        self.destination.protocol() == Protocol::Udp
    }
}

/// Whether a request of `octets` may leave as a datagram, `added` of them being what we added to its head.
pub(crate) fn fits_datagram(octets: usize, added: usize) -> bool {
    octets.saturating_sub(added.min(OWN_HEAD)) <= DATAGRAM
}

/// The ways to a target's next hop, best first; never empty.
///
/// # Errors
/// [`Refused::Forbidden`] if a URI of a user points further inside than its user is,
/// [`Refused::SipsNotAllowed`] or [`Refused::SipsRequired`] if it has to be over TLS and is not,
/// [`Refused::NoDomain`], [`Refused::NoAnswer`] or [`Refused::Unreachable`] if it points nowhere we can send to.
pub(crate) async fn find(journey: &Journey, way: &Way, target: &Target) -> Result<Vec<Hop>, Refused> {
    let contact = target.binding.as_deref().map(|binding| &binding.uri).filter(|uri| uri.is_sips());
    // What came over TLS for a SIPS URI, and what goes to a contact that is one, goes on over TLS (RFC 5630 §5.3).
    let lacking = match contact {
        _ if target.uri.is_sips() => Refused::SipsNotAllowed,
        Some(_) => Refused::SipsRequired,
        None => return all(journey, way, target, &target.uri).await,
    };
    let mut hops = all(journey, way, target, contact.unwrap_or(&target.uri)).await?;
    hops.retain(|hop| hop.destination.protocol().is_secure());
    if hops.is_empty() { Err(lacking) } else { Ok(hops) }
}

/// All ways to the next hop of a target that `uri` leads to, where no route does.
async fn all(journey: &Journey, way: &Way, target: &Target, uri: &Uri) -> Result<Vec<Hop>, Refused> {
    let next = match target.path.first().or_else(|| way.routes.first()) {
        Some(route) => {
            Some(NameAddr::parse(route).ok().and_then(|a| a.uri().ok()).ok_or(Refused::Unreachable)?)
        }
        None => None,
    };
    let flow = target.binding.as_deref().filter(|_| next.is_none()).and_then(flow_of);
    let flow = flow.or_else(|| target.side.as_ref().and_then(flow_of_side));
    let is_outbound = target.binding.as_deref().is_some_and(|binding| binding.reg_id().is_some());
    let only_flow = target.side.is_some_and(|side| side.only_flow);
    if (is_outbound && next.is_none()) || only_flow {
        // RFC 5626 §5.3: a contact with a reg-id is reached over its flow alone.
        return Ok(vec![flow.ok_or(Refused::Unreachable)?]);
    }
    let uri = next.as_ref().unwrap_or(uri);
    let asker = if target.named_by.is_some() { Asker::Stranger } else { Asker::Operator };
    let open = |addr| may_go(journey, target, addr);
    let found = journey.rooms.endpoint.locate(uri, asker, open).await;
    let failed = found.as_ref().err().copied();
    let found = found.unwrap_or_default().into_iter();
    let hops: Vec<Hop> = found.map(|destination| Hop { destination, flow_only: false }).collect();
    let hops = with_flow(hops, flow);
    match failed {
        Some(error) if hops.is_empty() => Err(refused(error, target)),
        _ => Ok(hops),
    }
}

/// The ways to a contact and the flow it was registered on, if it is another way than these.
pub(crate) fn with_flow(mut hops: Vec<Hop>, flow: Option<Hop>) -> Vec<Hop> {
    let Some(flow) = flow else { return hops };
    match flow.destination.protocol() {
        // A phone seldom has a certificate for its own address, and nobody opens a WebSocket to it: what it
        // opened itself is tried first. It is another way even to the same address, since nobody proved that
        // this connection leads there.
        Protocol::Tls | Protocol::Ws | Protocol::Wss => hops.insert(0, flow),
        Protocol::Udp | Protocol::Tcp => {
            if hops.iter().all(|hop| hop.destination.remote() != flow.destination.remote()) {
                hops.push(flow);
            }
        }
    }
    hops
}

/// What a URI without an address is to its sender. Who wrote a domain that is not there is told so (404: "the
/// domain in the Request-URI"); of a contact or of the operator's route he knows nothing, and hears that there
/// is no way.
fn refused(error: LocateError, target: &Target) -> Refused {
    match error {
        LocateError::Closed if target.bound => Refused::Forbidden("The dialog does not lead there"),
        LocateError::Closed => Refused::Forbidden("The address lies inside the operator's network"),
        LocateError::NoAnswer => Refused::NoAnswer,
        LocateError::NotFound if target.named_by.is_some() && target.binding.is_none() => Refused::NoDomain,
        LocateError::NotFound | LocateError::NoHost | LocateError::NoTransport => Refused::Unreachable,
    }
}

/// Whether an address that a URI led to may be sent to: none that lies further inside than who named the
/// URI, and for a sender who may not relay none but the other side of his dialog. Where the dialog was set
/// up to, it goes on.
fn may_go(journey: &Journey, target: &Target, addr: SocketAddr) -> bool {
    if target.side.is_some_and(|side| side.is_at(addr)) {
        return true;
    }
    // Of the contact in the 200, which may be at another port, nothing is known here. To an ACK nobody can be asked
    // for a password, and without it there is no call; nothing answers one that it does not wait for.
    let is_ack = journey.request.method() == Method::Ack;
    let is_beside = is_ack && target.side.is_some_and(|side| side.remote.ip() == addr.ip());
    (!target.bound || is_beside) && target.named_by.is_none_or(|source| may_reach(journey, source, addr))
}

pub(crate) fn flow_of_side(side: &Side) -> Option<Hop> {
    Some(Hop { destination: Destination::Flow(side.flow()?), flow_only: true })
}

/// Whether who came from `source` may name that address: none further inside, and of our own machine no port but
/// those where we take SIP from everybody, and its own.
pub(crate) fn may_reach(journey: &Journey, source: IpAddr, addr: SocketAddr) -> bool {
    may_be_named(&journey.policy.ours, journey.flow.local.ip(), source, addr)
}

/// As [`may_reach`]; `local` is our end of the flow on which the address was named.
pub(crate) fn may_be_named(ours: &Ours, local: IpAddr, source: IpAddr, addr: SocketAddr) -> bool {
    let (source, ip) = (source.to_canonical(), addr.ip().to_canonical());
    let is_next_door = ours.is_own_address(ip, local) && !ours.is_own_port(addr.port());
    transport::may_reach(source, addr) && (!is_next_door || source == ip || source.is_loopback())
}

/// The flow a binding was registered on. Of an earlier run only the address is left, which is of use for
/// datagrams.
pub(crate) fn flow_of(binding: &Binding) -> Option<Hop> {
    let source = &binding.source;
    let protocol = Protocol::from_name(source.transport.as_bytes())?;
    let destination = match (source.flow, protocol) {
        (Some(id), _) => Destination::Flow(Flow { protocol, local: source.local, remote: source.remote, id }),
        (None, Protocol::Udp) => Destination::Address { protocol, addr: source.remote },
        (None, Protocol::Tcp | Protocol::Tls | Protocol::Ws | Protocol::Wss) => return None,
    };
    Some(Hop { destination, flow_only: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_allowed_as_a_datagram_on_the_way_in_is_on_the_way_out() {
        assert!(fits_datagram(1300 + 90, 90));
        assert!(!fits_datagram(1301 + 90, 90));
        assert!(!fits_datagram(1300 + 500, 500), "a long Path counts");
        assert!(fits_datagram(1300, 0) && !fits_datagram(1301, 0));
    }

    #[test]
    fn what_a_phone_opened_itself_is_its_best_way_even_where_its_contact_names_the_same_address() {
        let remote = "192.0.2.1:49152".parse().unwrap();
        let address =
            |protocol| Hop { destination: Destination::Address { protocol, addr: remote }, flow_only: false };
        let flow = |protocol| Hop {
            destination: Destination::Flow(Flow {
                protocol,
                local: "192.0.2.9:5061".parse().unwrap(),
                remote,
                id: 7,
            }),
            flow_only: true,
        };
        for protocol in [Protocol::Tls, Protocol::Ws, Protocol::Wss] {
            let hops = with_flow(vec![address(protocol)], Some(flow(protocol)));
            assert_eq!(hops, [flow(protocol), address(protocol)]);
        }
        let tcp = vec![address(Protocol::Tcp)];
        assert_eq!(
            with_flow(tcp.clone(), Some(flow(Protocol::Tcp))),
            tcp,
            "a TCP connection is found by its address"
        );
    }

    #[test]
    fn only_an_address_may_be_tried_over_tcp() {
        let addr = "192.0.2.1:5060".parse().unwrap();
        let udp =
            Hop { destination: Destination::Address { protocol: Protocol::Udp, addr }, flow_only: false };
        assert_eq!(udp.over_tcp().unwrap().destination.protocol(), Protocol::Tcp);
        assert_eq!(udp.over_tcp().unwrap().over_tcp(), None);
        assert_eq!(Hop { flow_only: true, ..udp }.over_tcp(), None);
    }
}
