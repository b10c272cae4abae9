//! The request of one branch (RFC 3261 §16.6 steps 1 to 6), all but its Via and its body.

use sip::{HeaderId, Method, NameAddr, Outgoing, Request};
use transport::Protocol;

use crate::journey::Journey;
use crate::route::Way;
use crate::target::Target;

/// Hops given to a request that came without Max-Forwards (§16.6 step 3).
const MAX_FORWARDS: u32 = 70;

/// The received request with the head it leaves with. `breadth` is the branch's share of Max-Breadth.
pub(crate) fn draft(journey: &Journey, way: &Way, target: &Target, breadth: u32) -> Outgoing {
    let request = &journey.request;
    let mut outgoing = Outgoing::from(request);
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
    record_route(journey, &mut outgoing);
    to_strict_router(&mut outgoing);
    outgoing
}

/// Only dialogs whose bodies we may adapt are kept on our road: those of SUBSCRIBE and NOTIFY (RFC 6665
/// §4.3, CPI.md 6.7). MESSAGE makes no dialog (RFC 3428 §5), and an INVITE's is none of ours.
pub(crate) fn is_recorded(request: &Request) -> bool {
    matches!(request.method(), Method::Subscribe | Method::Notify)
}

fn record_route(journey: &Journey, outgoing: &mut Outgoing) {
    if !is_recorded(&journey.request) {
        return;
    }
    let mark = journey.rooms.key.mark(journey.request.call_id());
    let by = |protocol: Protocol| {
        let host = journey.rooms.endpoint.sent_by(protocol)?;
        Some(if protocol.is_reliable() { format!("{host};transport={}", protocol.name()) } else { host })
    };
    if let Some(host) = Protocol::ALL.into_iter().find_map(by) {
        outgoing.push_record_route(format!("<sip:{mark}@{host};lr>"));
    }
}

/// A next hop without `lr` is a strict router: it wants its own URI in the request line, and the target
/// last in Route (§16.6 step 6).
fn to_strict_router(outgoing: &mut Outgoing) {
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
