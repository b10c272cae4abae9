//! The request of one branch (RFC 3261 §16.6 steps 1 to 6), all but its Via, its Record-Route and its body.

use std::net::SocketAddr;

use sip::{HeaderId, Method, NameAddr, Outgoing, Request, Uri};
use transport::{Destination, Protocol};

use crate::edge;
use crate::identity;
use crate::journey::Journey;
use crate::record::{Dialog, End, Side};
use crate::route::Way;
use crate::target::Target;

/// Hops given to a request that came without Max-Forwards (§16.6 step 3).
const MAX_FORWARDS: u32 = 70;

/// The received request with the head it leaves with. `breadth` is the branch's share of Max-Breadth.
pub(crate) fn draft(journey: &Journey, way: &Way, target: &Target, breadth: u32) -> Outgoing {
    let request = &journey.request;
    let mut outgoing = Outgoing::from(request);
    if journey.from_store {
        // The mark of the store; its answers end here.
        outgoing.pop_via();
    }
    outgoing.set_request_uri(target.uri.as_bytes());
    outgoing.set_max_forwards(request.max_forwards().map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1)));
    outgoing.set(HeaderId::MaxBreadth, breadth.to_string());
    if way.rerouted {
        outgoing.remove(HeaderId::Route);
        for route in way.routes.iter().rev() {
            outgoing.push_route_front(route);
        }
    }
    for route in target.path.iter().rev() {
        outgoing.push_route_front(route);
    }
    identity::put_right(journey, target, &mut outgoing);
    edge::keep(journey, &mut outgoing);
    to_strict_router(&mut outgoing);
    outgoing
}

/// Whether a request makes a dialog, or an association that ends like one, in which requests will come that
/// must find their way through here: to phones that are reached over a connection they made, in the name of
/// senders who may not relay, and with bodies we adapt (RFC 6665 §4.3, CPI.md 6.7). MESSAGE makes none
/// (RFC 3428 §5).
pub(crate) fn is_recorded(request: &Request) -> bool {
    matches!(request.method(), Method::Invite | Method::Subscribe | Method::Notify | Method::Refer)
}

/// Writes ourselves into the route of the dialog that a recorded request makes, once for each side; the one that faces onward on top.
pub(crate) fn record_route(journey: &Journey, outgoing: &mut Outgoing, onward: &Side) {
    let dialog = Dialog::of(&journey.request);
    // RFC 3261 §16.6 step 4: a SIPS URI for who asked by one, who came over TLS and goes on over it.
    let is_sips = journey.uri.is_sips();
    for (end, side) in [(End::Caller, &back(journey)), (End::Callee, onward)] {
        if let Some(host) = journey.rooms.endpoint.sent_by(side.protocol) {
            outgoing.push_record_route(journey.rooms.key.record(&dialog, end, side, &host, is_sips));
        }
    }
}

/// The side a request came from. A phone that is its own first hop and says another address than it has is
/// behind a NAT, and one that says `ob` wants its flow used (RFC 5626 §4.3).
pub(crate) fn back(journey: &Journey) -> Side {
    let (request, flow) = (&journey.request, journey.flow);
    let contact = address(request, HeaderId::Contact);
    let is_first_hop = request.values(HeaderId::Via).nth(1).is_none();
    let elsewhere =
        |uri: &Uri| uri.host().and_then(|host| host.ip()).is_some_and(|ip| ip != flow.remote.ip());
    let only_flow =
        is_first_hop && contact.as_ref().is_some_and(|uri| uri.param(b"ob").is_some() || elsewhere(uri));
    // Requests to it will name the proxy below us that stays in the dialog, or its contact.
    let named = address(request, HeaderId::RecordRoute).or(contact);
    Side {
        protocol: flow.protocol,
        remote: flow.remote,
        port: named.and_then(|uri| other_port(&uri, flow.protocol, flow.remote)),
        flow: Some(flow.id),
        only_flow: only_flow || !flow.protocol.is_dialled(),
    }
}

/// The side a branch goes to.
pub(crate) fn onward(target: &Target, destination: &Destination) -> Side {
    let is_outbound = target.binding.as_deref().is_some_and(|binding| binding.reg_id().is_some());
    let flow = match destination {
        Destination::Flow(flow) => Some(flow.id),
        Destination::Address { .. } | Destination::Named { .. } => None,
    };
    let (protocol, remote) = (destination.protocol(), destination.remote());
    let is_named = target.side.is_some_and(|side| side.only_flow);
    let only_flow = flow.is_some() && (is_outbound || is_named || !protocol.is_dialled());
    let port = flow.and_then(|_| other_port(&target.uri, protocol, remote));
    Side { protocol, remote, port, flow, only_flow }
}

fn address(request: &Request, id: HeaderId) -> Option<Uri> {
    request.values(id).next().and_then(|value| NameAddr::parse(value).ok()?.uri().ok())
}

/// The port that a URI means, if it is not that of `remote`.
fn other_port(uri: &Uri, protocol: Protocol, remote: SocketAddr) -> Option<u16> {
    Some(uri.port().unwrap_or(protocol.default_port())).filter(|port| *port != remote.port())
}

/// A next hop without `lr` is a strict router: it wants its own URI in the request line, and the target
/// last in Route (§16.6 step 6).
pub(crate) fn to_strict_router(outgoing: &mut Outgoing) {
    let first = outgoing.values(HeaderId::Route).next().and_then(|value| NameAddr::parse(value).ok());
    let Some(router) = first.and_then(|address| address.uri().ok()) else { return };
    if router.param(b"lr").is_some() {
        return;
    }
    let mut routes: Vec<Vec<u8>> = outgoing.values(HeaderId::Route).skip(1).map(<[u8]>::to_vec).collect();
    routes.push([b"<", outgoing.request_uri(), b">"].concat());
    outgoing.set_request_uri(router.as_bytes());
    outgoing.remove(HeaderId::Route);
    for route in routes.iter().rev() {
        outgoing.push_route_front(route);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[test]
    fn a_strict_router_gets_its_uri_in_the_request_line_and_the_target_last_in_route() {
        let text = "MESSAGE sip:john@phone SIP/2.0\r\nRoute: <sip:strict>, <sip:loose;lr>\r\n";
        let mut outgoing = Outgoing::from(&request(text, b""));
        to_strict_router(&mut outgoing);
        assert_eq!(outgoing.request_uri(), b"sip:strict");
        let routes: Vec<_> = outgoing.values(HeaderId::Route).collect();
        assert_eq!(routes, [&b"<sip:loose;lr>"[..], b"<sip:john@phone>"]);
    }

    #[test]
    fn a_loose_router_changes_nothing() {
        let text = "MESSAGE sip:john@phone SIP/2.0\r\nRoute: <sip:loose;lr>\r\n";
        let mut outgoing = Outgoing::from(&request(text, b""));
        to_strict_router(&mut outgoing);
        assert_eq!(outgoing.request_uri(), b"sip:john@phone");
    }
}
