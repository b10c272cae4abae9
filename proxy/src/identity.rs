//! What a request says of its sender when it leaves (RFC 3325, RFC 3261 §22.3): credentials for us stay here, and
//! a P-Asserted-Identity is what this server or a trusted neighbour found out.

use std::net::Ipv4Addr;

use sip::{HeaderId, NameAddr, Outgoing};

use crate::journey::Journey;
use crate::relay::Standing;
use crate::target::Target;

/// Puts the fields about the sender right in the request of one branch.
pub(crate) fn put_right(journey: &Journey, target: &Target, outgoing: &mut Outgoing) {
    for id in [HeaderId::ProxyAuthorization, HeaderId::Authorization] {
        take_credentials(journey, id, outgoing);
    }
    // A wish of the sender; what it wished for is asserted, or not.
    outgoing.remove(HeaderId::PPreferredIdentity);
    let is_hidden = is_private(journey) && !is_trusted(journey, target);
    match journey.standing() {
        Standing::Peer if !is_hidden => {}
        Standing::User(user) if !is_hidden => {
            outgoing.set(HeaderId::PAssertedIdentity, format!("<{}>", user.aor()));
        }
        _ => drop(outgoing.remove(HeaderId::PAssertedIdentity)),
    }
}

/// Credentials for a realm of ours were for us alone; others are for whom the request meets next.
fn take_credentials(journey: &Journey, id: HeaderId, outgoing: &mut Outgoing) {
    if outgoing.header(id).is_none() {
        return;
    }
    let of_id = |outgoing: &Outgoing| -> Vec<Vec<u8>> {
        outgoing.headers().filter(|header| header.id == id).map(|header| header.value.to_vec()).collect()
    };
    let is_ours = |value: &Vec<u8>| journey.policy.ours.realm_of(value).is_some();
    let (ours, others): (Vec<_>, Vec<_>) = of_id(outgoing).into_iter().partition(is_ours);
    if ours.is_empty() {
        return;
    }
    outgoing.remove(id);
    for value in others {
        outgoing.append(id, value);
    }
}

/// Whether the sender asked that nobody outside the circle of trust learns who it is (RFC 3325 §9.3).
fn is_private(journey: &Journey) -> bool {
    let values = journey.request.values(HeaderId::Privacy);
    values
        .flat_map(|value| value.split(|&b| b == b';'))
        .any(|word| grammar::trim(word).eq_ignore_ascii_case(b"id"))
}

/// Whether the branch goes to a trusted neighbour: a next hop that the operator wrote, with the address of a peer,
/// or over TLS to its name.
fn is_trusted(journey: &Journey, target: &Target) -> bool {
    let next = target.path.first().filter(|_| target.named_by.is_none());
    let Some(uri) = next.and_then(|route| NameAddr::parse(route).ok()?.uri().ok()) else { return false };
    let Some(host) = uri.host() else { return false };
    let over_tls = uri.param(b"transport").is_some_and(|name| name.eq_ignore_ascii_case(b"tls"))
        || uri.scheme_octets().eq_ignore_ascii_case(b"sips");
    let identities = || if over_tls { vec![host.to_string()] } else { Vec::new() };
    journey.policy.settings.peers.iter().any(|peer| match host.ip() {
        Some(address) => peer.is(address, identities),
        None => peer.network.is_none() && peer.is(Ipv4Addr::UNSPECIFIED.into(), identities),
    })
}
