//! A 300, 301 or 302 of a user's terminal (RFC 3261 §16.5, §16.7 step 4): it is followed here if all that it names
//! may be sent to, else it goes back as an answer among others, and its reader may follow it himself.
//!
//! What may be sent to is what the sender could have written into the Request-URI: users of ours, whoever redirects
//! to them, and other domains as far as `proxy.relay` lets this sender. No address further inside than the terminal
//! that names it. Nobody is asked twice for one request, so that redirections end.

use std::net::{IpAddr, SocketAddr};

use sip::{HeaderId, NameAddr, Response, Uri};

use crate::hop;
use crate::journey::Journey;
use crate::route::Way;
use crate::target::{self, Groups, Target};

/// Contacts of redirections that are followed for one request; what would go beyond goes back.
const MOST: usize = 16;

/// Whom a request went to, known from its first redirection on.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    uris: Vec<Vec<u8>>,
    followed: usize,
}

impl Asked {
    /// The targets that a response names, in the order of their q; `None` if it goes back. `named_by` is where
    /// the terminal is that it came from.
    pub(crate) fn follow(
        &mut self,
        journey: &Journey,
        way: &Way,
        response: &Response,
        named_by: IpAddr,
    ) -> Option<Groups> {
        // Within a dialog, or along a Route, the sender has named more than the user.
        let is_plain = !way.in_dialog() && way.routes.is_empty() && journey.request.to_tag().is_none();
        if !is_plain || journey.from_store {
            return None;
        }
        let named = contacts(response)?;
        // RFC 5630 §5.3: who asked by one scheme decides himself whether the other will do.
        if named.iter().any(|uri| uri.is_sips() != way.uri.is_sips()) {
            return None;
        }
        self.followed += named.len();
        if self.followed > MOST {
            return None;
        }
        let mut groups = Groups::new();
        for uri in &named {
            groups.extend(found(journey, uri, named_by)?);
        }
        if self.uris.is_empty() {
            let first = target::find(journey, way).unwrap_or_default();
            self.uris.extend(uris(&first).chain([&way.uri]).map(|uri| uri.as_bytes().to_vec()));
        }
        let uris: Vec<_> = named.iter().chain(uris(&groups)).map(|uri| uri.as_bytes().to_vec()).collect();
        if groups.is_empty() || uris.iter().any(|uri| self.uris.contains(uri)) {
            return None;
        }
        self.uris.extend(uris);
        Some(groups)
    }
}

fn uris(groups: &Groups) -> impl Iterator<Item = &Uri> {
    groups.iter().flatten().flatten().map(|target| &target.uri)
}

/// The URIs of a response's Contacts, best first; `None` if one is none that a request can be sent to.
fn contacts(response: &Response) -> Option<Vec<Uri>> {
    let read = |value: &[u8]| {
        let contact = NameAddr::parse(value).ok()?;
        let uri = target::request_uri(&contact.uri().ok()?);
        let q = contact.params().find_name(b"q").and_then(|q| q.value).map(|q| thousandths(&q.text()));
        let q = q.unwrap_or(1000);
        uri.host().is_some().then_some((q, uri))
    };
    let mut all = response.values(HeaderId::Contact).map(read).collect::<Option<Vec<_>>>()?;
    all.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
    Some(all.into_iter().map(|(_, uri)| uri).collect())
}

/// A q (RFC 3261 §25.1) as a whole number; what is none counts as the least.
fn thousandths(q: &[u8]) -> u64 {
    let (whole, decimals) = q.split_at_checked(1).unwrap_or_default();
    let decimals = decimals.iter().skip(1).chain(b"000").take(3).copied().collect::<Vec<_>>();
    grammar::decimal(&[whole, &decimals].concat()).map_or(0, |q| q.min(1000))
}

/// Whom a URI means, if the request may go there.
fn found(journey: &Journey, uri: &Uri, named_by: IpAddr) -> Option<Groups> {
    let mut groups = target::find(journey, &Way::to(uri.clone())).ok()?;
    for target in groups.iter_mut().flatten().flatten() {
        if target.binding.is_none() && target.named_by.is_some() {
            *target = Target { named_by: Some(named_by), ..target.clone() };
            let address = uri.host().and_then(|host| host.ip());
            let is_open =
                |ip| hop::may_reach(journey, named_by, SocketAddr::new(ip, uri.port().unwrap_or(5060)));
            address.is_none_or(is_open).then_some(())?;
        }
    }
    Some(groups)
}
