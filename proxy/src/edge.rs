//! The first proxy that phones come to (RFC 5626 §5): their flow is kept in the Path of their REGISTER, and
//! what comes back along it goes over that flow, through whatever NAT the phone opened it from.
//!
//! Nothing is stored: the flow stands in the user part of our URI, sealed under a key only this server knows
//! (RFC 5626 §5.2). The seal is HMAC-SHA-256 cut to 80 bits where the RFC's example has HMAC-SHA1-80; nobody
//! but this server reads it. In dialogs the marks of every Record-Route do the same (`record`).

use registrar::Binding;
use sip::{Contact, HeaderId, Method, Outgoing, Request, Uri};
use transport::{Destination, Flow, Protocol};

use crate::forward;
use crate::hop;
use crate::journey::Journey;
use crate::ours::own_uri;
use crate::record::Side;
use crate::refuse::Refused;
use crate::route::Way;

/// The side that the Route of a request names with a flow token, if it is to go there over the flow
/// (RFC 5626 §5.3, incoming requests).
///
/// # Errors
/// 430 for a flow that is gone.
pub(crate) fn named(journey: &Journey, way: &Way) -> Result<Option<Side>, Refused> {
    let Some(side) = way.named else { return Ok(None) };
    match side.flow() {
        Some(flow) if journey.rooms.endpoint.is_open(&flow) => Ok(Some(side)),
        _ => Err(Refused::FlowFailed),
    }
}

/// Whether a binding can be reached at all: one that is a flow only while the flow is there, unless it is
/// someone else's to know (RFC 5626 §6: a flow that failed takes its bindings with it). What the phone
/// said of itself is kept for when it comes back.
pub(crate) fn is_reachable(journey: &Journey, binding: &Binding) -> bool {
    if binding.reg_id().is_none() || !binding.path.is_empty() {
        return true;
    }
    match hop::flow_of(binding).map(|hop| hop.destination) {
        Some(Destination::Flow(flow)) => journey.rooms.endpoint.is_open(&flow),
        other => other.is_some(),
    }
}

/// Whether a request goes where this server is the edge of (`[[route]]` with `edge`): to a phone by its flow, or to
/// the domain or its next hop. Who the sender is, is asked there.
pub(crate) fn passes(journey: &Journey, way: &Way) -> bool {
    way.named.is_some() || serves(journey, way)
}

/// The second half of [`passes`].
pub(crate) fn serves(journey: &Journey, way: &Way) -> bool {
    let host = way.uri.host_octets().unwrap_or_default();
    let next = way.routes.first().and_then(|_| way.next());
    journey.policy.settings.routes.iter().filter(|route| route.edge).any(|route| match &next {
        None => route.domain.as_bytes().eq_ignore_ascii_case(host),
        Some(next) => route.next_hop.parse().is_ok_and(|hop: Uri| is_same_server(next, &hop)),
    })
}

fn is_same_server(one: &Uri, other: &Uri) -> bool {
    one.host().is_some() && one.host() == other.host() && one.port() == other.port()
}

/// Puts us into the way back of a phone with the Path of its REGISTER (RFC 5626 §5.1).
///
/// Whoever wants a flow kept and comes here first must know Path: [`check`] said so before.
pub(crate) fn keep(journey: &Journey, outgoing: &mut Outgoing) {
    let request = &journey.request;
    if request.method() != Method::Register || !is_first_hop(request) || !knows_path(request) {
        return;
    }
    let user = format!("{}@", journey.rooms.key.token(&forward::back(journey)));
    outgoing.push_path(format!("<{};lr;ob>", address(journey, &user)));
}

/// Refuses a REGISTER whose flow can't be kept: it asks for that, comes here first, and its sender would not
/// understand the Path it takes.
///
/// # Errors
/// 421.
pub(crate) fn check(request: &Request) -> Result<(), Refused> {
    let has_flow = || {
        request.contacts().filter_map(Result::ok).any(|contact| match contact {
            Contact::Address(address) => address.params().find_name(b"reg-id").is_some(),
            Contact::Wildcard => false,
        })
    };
    let is_register = request.method() == Method::Register;
    if is_register && is_first_hop(request) && !knows_path(request) && has_flow() {
        return Err(Refused::ExtensionRequired("path"));
    }
    Ok(())
}

/// Whether a token means the flow that a request came on, and so its sender. Over UDP a flow is its two
/// addresses; over anything else it is the connection too.
pub(crate) fn is_own(came_on: &Flow, named: &Side) -> bool {
    named.protocol == came_on.protocol
        && named.remote == came_on.remote
        && (named.protocol == Protocol::Udp || named.flow == Some(came_on.id))
}

fn is_first_hop(request: &Request) -> bool {
    request.vias().nth(1).is_none()
}

fn knows_path(request: &Request) -> bool {
    let mut tags = request.values(HeaderId::Supported).chain(request.values(HeaderId::Require));
    tags.any(|tag| tag.eq_ignore_ascii_case(b"path"))
}

/// Where others reach us, preferably over the protocol of the flow; by a SIPS URI if that is what is registered at
/// (RFC 5630 §5.2), and there is TLS for it.
fn address(journey: &Journey, user: &str) -> String {
    let endpoint = &journey.rooms.endpoint;
    let by =
        |protocol: Protocol, is_sips| Some(own_uri(user, &endpoint.sent_by(protocol)?, protocol, is_sips));
    let secure = || journey.uri.is_sips().then(|| by(Protocol::Tls, true)).flatten();
    // Nobody opens a WebSocket to a server for this.
    let preferred = Some(journey.flow.protocol).filter(|protocol| protocol.is_dialled());
    let plain = || preferred.and_then(|protocol| by(protocol, false));
    let any = || Protocol::ALL.into_iter().find_map(|protocol| by(protocol, false));
    secure().or_else(plain).or_else(any).unwrap_or_default()
}
