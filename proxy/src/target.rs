//! Whom a request is for (RFC 3261 §16.5): the bindings of a user of ours, or the Request-URI itself where
//! the sender may have it relayed.

use std::net::IpAddr;
use std::sync::Arc;

use registrar::{Binding, Lookup};
use sip::Uri;

use crate::authenticate;
use crate::edge;
use crate::journey::Journey;
use crate::ours::Place;
use crate::prefer::{self, Disposition, Order};
use crate::record::Side;
use crate::refuse::Refused;
use crate::route::Way;

/// One place a request goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The Request-URI of its branch.
    pub(crate) uri: Uri,
    /// Route values that stand before the request's own: the binding's Path (RFC 3327 §5.3), or the
    /// configured next hop.
    pub(crate) path: Vec<Vec<u8>>,
    /// Where the URIs above come from, which decides how far inside they may reach; `None`: from the
    /// operator.
    pub(crate) named_by: Option<IpAddr>,
    /// The binding, if the target is a user of ours.
    pub(crate) binding: Option<Arc<Binding>>,
    /// Where the dialog of the request goes on.
    pub(crate) side: Option<Side>,
    /// Whether it goes there and nowhere else: the sender may not relay.
    pub(crate) bound: bool,
}

/// The target set of a request: groups of equal preference, of each terminal its contacts, the best of
/// everything first. No group and no terminal is empty.
pub(crate) type Groups = Vec<Vec<Vec<Target>>>;

/// Finds the targets of a request.
///
/// # Errors
/// 404 and 480 for users of ours without a contact, or none that a SIPS URI leads to, 403 for what may not be relayed, 430 for a flow that is gone,
/// 421 for a REGISTER with a flow that can't be kept.
pub(crate) fn find(journey: &Journey, way: &Way) -> Result<Groups, Refused> {
    if let Some(side) = edge::named(journey, way)? {
        return Ok(vec![vec![vec![over_its_flow(way, side)]]]);
    }
    edge::check(&journey.request)?;
    let relayed = if leaves(journey, way) { may_relay(journey, way)? } else { Relayed::Anywhere };
    if is_elsewhere(journey, way) {
        return Ok(vec![vec![vec![foreign(journey, way, relayed)]]]);
    }
    of_user(journey, way, relayed)
}

/// Whether a request goes elsewhere than to users of ours alone: by its Request-URI, or by a Route that its sender
/// wrote.
pub(crate) fn leaves(journey: &Journey, way: &Way) -> bool {
    is_elsewhere(journey, way) || !way.routes.is_empty()
}

fn is_elsewhere(journey: &Journey, way: &Way) -> bool {
    journey.place(&way.uri) == Place::Foreign || way.uri.param(b"maddr").is_some()
}

/// Whether the request may be sent on elsewhere. A dialog that was set up through here goes on whoever sends
/// in it, but only to its other side: both ends see our mark, and it must open no other way to them.
fn may_relay(journey: &Journey, way: &Way) -> Result<Relayed, Refused> {
    match journey.policy.settings.relay.permits(journey.standing()) {
        Ok(()) => Ok(Relayed::Anywhere),
        Err(_) if authenticate::is_users_ack(journey, way) => Ok(Relayed::Anywhere),
        Err(_) if way.in_dialog() && journey.request.to_tag().is_some() => Ok(Relayed::ToItsSide),
        Err(_) if edge::serves(journey, way) => Ok(Relayed::Anywhere),
        Err(why) => Err(Refused::Forbidden(why)),
    }
}

/// Where a request may be relayed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relayed {
    Anywhere,
    ToItsSide,
}

/// What a Route of ours sends over a flow: the Request-URI is the phone's Contact already.
fn over_its_flow(way: &Way, side: Side) -> Target {
    let side = Some(Side { only_flow: true, ..side });
    Target { uri: way.uri.clone(), path: Vec::new(), named_by: None, binding: None, side, bound: true }
}

fn foreign(journey: &Journey, way: &Way, relayed: Relayed) -> Target {
    let host = way.uri.host_octets().unwrap_or_default();
    let routes = &journey.policy.settings.routes;
    let route = routes.iter().find(|route| route.domain.as_bytes().eq_ignore_ascii_case(host));
    let is_configured = !way.routes.is_empty() && !way.in_dialog() && edge::serves(journey, way);
    // A Route the sender wrote goes before what is configured for the domain.
    let route = route.filter(|_| way.routes.is_empty() && !way.in_dialog());
    Target {
        uri: way.uri.clone(),
        path: route.map(|route| loose(&route.next_hop)).into_iter().collect(),
        named_by: (route.is_none() && !is_configured).then(|| journey.flow.remote.ip()),
        binding: None,
        side: way.side,
        bound: relayed == Relayed::ToItsSide,
    }
}

/// A configured next hop as a Route value of a loose router.
fn loose(next_hop: &str) -> Vec<u8> {
    let is_loose = next_hop.parse::<Uri>().is_ok_and(|uri| uri.param(b"lr").is_some());
    format!("<{next_hop}{}>", if is_loose { "" } else { ";lr" }).into_bytes()
}

fn of_user(journey: &Journey, way: &Way, relayed: Relayed) -> Result<Groups, Refused> {
    let mut bindings = match look_up(journey, &way.uri)? {
        Lookup::Bindings(bindings) => bindings,
        Lookup::Known => return Err(Refused::Unavailable),
        Lookup::Unknown => return Err(Refused::UnknownUser),
    };
    bindings.retain(|binding| edge::is_reachable(journey, binding));
    if bindings.is_empty() {
        return Err(Refused::Unavailable);
    }
    // RFC 5630 §5.3: without the exception that RFC 3261 made for the last hop.
    let is_sips = way.uri.is_sips();
    bindings.retain(|binding| !is_sips || binding.uri.is_sips());
    if bindings.is_empty() {
        return Err(Refused::SipsNotAllowed);
    }
    let chosen = prefer::choose(&journey.request, bindings)?;
    let mut groups = groups(chosen);
    if !is_sips {
        // Nor does a SIP URI become a SIPS URI; `hop` sees to it that it goes over TLS all the same.
        groups.iter_mut().flatten().flatten().for_each(|target| target.uri = target.uri.as_sip());
    }
    if !way.routes.is_empty() {
        // It goes by its Route first, and the user is looked up only for the name.
        let bound = relayed == Relayed::ToItsSide;
        groups
            .iter_mut()
            .flatten()
            .flatten()
            .for_each(|target| (target.side, target.bound) = (way.side, bound));
    }
    Ok(as_asked(groups, prefer::disposition(&journey.request)))
}

fn look_up(journey: &Journey, uri: &Uri) -> Result<Lookup, Refused> {
    let registrar = &journey.rooms.registrar;
    // The registrar reads no more of a URI than user and domain, but for a GRUU.
    if uri.param(b"gr").is_none() && journey.place(uri) == Place::Domain {
        return Ok(registrar.lookup(uri, journey.arrived));
    }
    let aor = aor(journey, uri).ok_or(Refused::UnknownUser)?;
    Ok(registrar.lookup(&aor, journey.arrived))
}

/// The groups as the caller wants them tried.
fn as_asked(mut groups: Groups, asked: Disposition) -> Groups {
    if asked.no_fork {
        groups.truncate(1);
        groups.iter_mut().for_each(|group| group.truncate(1));
    }
    match asked.order {
        None => groups,
        Some(Order::Parallel) => vec![groups.into_iter().flatten().collect()],
        Some(Order::Sequential) => groups.into_iter().flatten().map(|terminal| vec![terminal]).collect(),
    }
}

/// Bindings with what they are worth to the caller as groups of terminals. A terminal stands where its best
/// contact does: its other contacts are tried in that one's place, never beside it (RFC 5626 §5.3).
fn groups(chosen: Vec<(Arc<Binding>, u16)>) -> Groups {
    if let [(only, _)] = &chosen[..] {
        return vec![vec![vec![of_binding(Arc::clone(only))]]];
    }
    let bindings = chosen.iter().map(|(binding, _)| Arc::clone(binding)).collect();
    let rank = |terminal: &[Arc<Binding>]| {
        let first = terminal.first()?;
        chosen
            .iter()
            .find(|(binding, _)| Arc::ptr_eq(binding, first))
            .map(|(binding, worth)| (binding.q, *worth))
    };
    let mut terminals = registrar::by_terminal(bindings);
    terminals.sort_by_key(|terminal| std::cmp::Reverse(rank(terminal)));
    let of_terminal = |terminal: &Vec<Arc<Binding>>| terminal.iter().cloned().map(of_binding).collect();
    let equal = terminals.chunk_by(|one, two| rank(one) == rank(two));
    equal.map(|group| group.iter().map(of_terminal).collect()).collect()
}

/// The address of record a Request-URI means: its user at our domain, whichever of our names or addresses
/// it was written with. `None` without a user.
pub(crate) fn aor(journey: &Journey, uri: &Uri) -> Option<Uri> {
    let domain = match journey.place(uri) {
        Place::Domain => uri.host_octets()?,
        Place::Server => journey.policy.settings.domains.first()?.as_bytes(),
        Place::Foreign => return None,
    };
    // Which device of the user is told by `gr`, and by nothing else (RFC 5627 §6.1).
    let device = uri.params().find(|param| param.is(b"gr")).map(|param| [b";", param.raw].concat());
    Uri::parse(&[b"sip:", uri.user()?, b"@", domain, &device.unwrap_or_default()].concat()).ok()
}

fn of_binding(binding: Arc<Binding>) -> Target {
    Target {
        uri: request_uri(&binding.uri),
        path: binding.path.iter().map(|value| value.to_vec()).collect(),
        named_by: Some(binding.source.remote.ip()),
        binding: Some(binding),
        side: None,
        bound: false,
    }
}

/// A Contact URI without what may not stand in a Request-URI: headers, and the parameter `method`
/// (RFC 3261 §19.1.1 table 1).
pub(crate) fn request_uri(contact: &Uri) -> Uri {
    if contact.headers().is_none() && contact.param(b"method").is_none() {
        return contact.clone();
    }
    let mut text = contact.as_bytes().to_vec();
    if contact.headers().is_some()
        && let Some(at) = headers_start(&text)
    {
        text.truncate(at);
    }
    let params = contact.params_octets().len();
    let mut bare = text.get(..text.len().saturating_sub(params)).unwrap_or_default().to_vec();
    for param in contact.params().filter(|param| !param.is(b"method")) {
        bare.push(b';');
        bare.extend_from_slice(param.raw);
    }
    Uri::parse(&bare).unwrap_or_else(|_| contact.clone())
}

/// Where the headers of a URI begin: the first question mark behind its user part.
fn headers_start(text: &[u8]) -> Option<usize> {
    let host = text.iter().rposition(|&b| b == b'@').unwrap_or(0);
    text.get(host..)?.iter().position(|&b| b == b'?').map(|at| at + host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(contact: &str) -> String {
        request_uri(&contact.parse().unwrap()).to_string()
    }

    #[test]
    fn a_contact_loses_what_no_request_uri_may_have() {
        assert_eq!(stripped("sip:j@h:5070;transport=tcp"), "sip:j@h:5070;transport=tcp");
        assert_eq!(stripped("sip:j@h;method=INVITE;x=1?Subject=a"), "sip:j@h;x=1");
        assert_eq!(stripped("sip:j?k@h?Subject=a"), "sip:j?k@h");
    }

    #[test]
    fn a_configured_next_hop_is_a_loose_route() {
        assert_eq!(loose("sip:edge;transport=tcp"), b"<sip:edge;transport=tcp;lr>");
        assert_eq!(loose("sip:edge;lr"), b"<sip:edge;lr>");
    }
}
