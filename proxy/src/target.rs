//! Whom a request is for (RFC 3261 §16.5): the bindings of a user of ours, or the Request-URI itself where
//! the sender may have it relayed.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use registrar::{Binding, Lookup};
use sip::Uri;

use crate::forward;
use crate::journey::Journey;
use crate::ours::Place;
use crate::prefer::{self, Disposition, Order};
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
}

/// The target set of a request: groups of equal preference, of each terminal its contacts, the best of
/// everything first. No group and no terminal is empty.
pub(crate) type Groups = Vec<Vec<Vec<Target>>>;

/// Finds the targets of a request.
///
/// # Errors
/// 404 and 480 for users of ours without a contact, 403 for what may not be relayed.
pub(crate) fn find(journey: &Journey, way: &Way) -> Result<Groups, Refused> {
    let place = journey.place(&way.uri);
    let has_own_maddr = way.uri.param(b"maddr").is_some();
    if place == Place::Foreign || has_own_maddr || !way.routes.is_empty() {
        may_relay(journey, way)?;
    }
    match place {
        Place::Foreign => Ok(vec![vec![vec![foreign(journey, way)]]]),
        _ if has_own_maddr => Ok(vec![vec![vec![foreign(journey, way)]]]),
        Place::Domain | Place::Server => of_user(journey, way),
    }
}

/// A dialog that was set up through here goes on; all else is the sender's standing. The mark in our
/// Record-Route is seen by both ends: it opens the way for no other kind of request than it was written for.
fn may_relay(journey: &Journey, way: &Way) -> Result<(), Refused> {
    let goes_on = forward::is_recorded(&journey.request) && journey.request.to_tag().is_some();
    if way.in_dialog && goes_on {
        return Ok(());
    }
    journey.policy.settings.relay.permits(journey.standing()).map_err(Refused::Forbidden)
}

fn foreign(journey: &Journey, way: &Way) -> Target {
    let host = way.uri.host_octets().unwrap_or_default();
    let routes = &journey.policy.settings.routes;
    let route = routes.iter().find(|route| route.domain.as_bytes().eq_ignore_ascii_case(host));
    // A Route the sender wrote goes before what is configured for the domain.
    let route = route.filter(|_| way.routes.is_empty());
    Target {
        uri: way.uri.clone(),
        path: route.map(|route| loose(&route.next_hop)).into_iter().collect(),
        named_by: route.is_none().then(|| journey.flow.remote.ip()),
        binding: None,
    }
}

/// A configured next hop as a Route value of a loose router.
fn loose(next_hop: &str) -> Vec<u8> {
    let is_loose = next_hop.parse::<Uri>().is_ok_and(|uri| uri.param(b"lr").is_some());
    format!("<{next_hop}{}>", if is_loose { "" } else { ";lr" }).into_bytes()
}

fn of_user(journey: &Journey, way: &Way) -> Result<Groups, Refused> {
    let aor = aor(journey, &way.uri).ok_or(Refused::UnknownUser)?;
    let bindings = match journey.rooms.registrar.lookup(&aor, journey.arrived) {
        Lookup::Bindings(bindings) => bindings,
        Lookup::Known => return Err(Refused::Unavailable),
        Lookup::Unknown => return Err(Refused::UnknownUser),
    };
    let chosen = prefer::choose(&journey.request, bindings)?;
    Ok(as_asked(groups(chosen), prefer::disposition(&journey.request)))
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

/// Bindings with what they are worth to the caller, the most preferred first, as groups of terminals. A
/// terminal stands where its best contact
/// does: its other contacts are tried in that one's place, never beside it (RFC 5626 §5.3), whether they
/// are further flows (reg-id) or left from before it started anew.
fn groups(bindings: Vec<(Arc<Binding>, u16)>) -> Groups {
    /// A terminal's instance, what it is worth, and its contacts.
    type Terminal = (Option<Vec<u8>>, (u16, u16), Vec<Target>);
    let mut terminals: Vec<Terminal> = Vec::new();
    for (binding, worth) in bindings {
        let instance = binding.instance().map(Cow::into_owned);
        let same = terminals.iter_mut().find(|(known, ..)| instance.is_some() && *known == instance);
        let (rank, target) = ((binding.q, worth), of_binding(binding));
        match same {
            Some((.., contacts)) => contacts.push(target),
            None => terminals.push((instance, rank, vec![target])),
        }
    }
    let equal = terminals.chunk_by(|(_, one, _), (_, two, _)| one == two).map(<[_]>::len);
    let sizes: Vec<usize> = equal.collect();
    let mut terminals = terminals.into_iter().map(|(.., contacts)| contacts);
    sizes.into_iter().map(|size| terminals.by_ref().take(size).collect()).collect()
}

/// The address of record a Request-URI means: its user at our domain, whichever of our names or addresses
/// it was written with. `None` without a user.
pub(crate) fn aor(journey: &Journey, uri: &Uri) -> Option<Uri> {
    let domain = match journey.place(uri) {
        Place::Domain => uri.host_octets()?,
        Place::Server => journey.policy.settings.domains.first()?.as_bytes(),
        Place::Foreign => return None,
    };
    Uri::parse(&[b"sip:", uri.user()?, b"@", domain].concat()).ok()
}

fn of_binding(binding: Arc<Binding>) -> Target {
    Target {
        uri: request_uri(&binding.uri),
        path: binding.path.iter().map(|value| value.to_vec()).collect(),
        named_by: Some(binding.source.remote.ip()),
        binding: Some(binding),
    }
}

/// A Contact URI without what may not stand in a Request-URI: headers, and the parameter `method`
/// (RFC 3261 §19.1.1 table 1).
fn request_uri(contact: &Uri) -> Uri {
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
