//! Which bodies may be adapted at all (CPI.md 3.1 step 1).
//!
//! RFC 3261 §16.6 says that a proxy must not change a body. Changing it is what this server is for; it does
//! so only for users of its own domains who can be spoken for, where nobody switched it off.

use adapter::{Entity, Field, Method as Carrier};
use bytes::Bytes;
use sip::{HeaderId, Method, Request};

use crate::journey::Journey;
use crate::ours::Place;
use crate::route::Way;
use crate::settings::Settings;
use crate::target::Target;

/// What carries the body, if it may be adapted for this target; `None`: it passes untouched.
pub(crate) fn carrier(journey: &Journey, way: &Way, target: &Target) -> Option<Carrier> {
    let request = &journey.request;
    let settings = &journey.policy.settings;
    if request.body().is_empty() || is_spiral(request, &settings.adapter.host) {
        return None;
    }
    match request.method() {
        Method::Message => adapts(settings, &target.binding.as_ref()?.aor).then_some(Carrier::Message),
        // The watcher's own address is in To; its dialog was set up through here.
        Method::Notify if way.in_dialog() && is_presence(request) => {
            let watcher = request.to().uri().ok()?;
            let is_ours = journey.place(&watcher) == Place::Domain;
            (is_ours && adapts(settings, &watcher.aor())).then_some(Carrier::Notify)
        }
        _ => None,
    }
}

/// Whether bodies for a canonical address of record are adapted.
fn adapts(settings: &Settings, aor: &str) -> bool {
    let (_, name) = aor.split_once(':').unwrap_or(("", aor));
    let (user, domain) = name.rsplit_once('@').unwrap_or(("", name));
    settings.adapt.on(user, domain)
}

/// The body and the fields that describe it.
pub(crate) fn entity(request: &Request) -> Entity {
    let octets = request.raw().octets();
    let describes = |id: HeaderId| id == HeaderId::Other || Entity::describes(id.name().as_bytes());
    let described = request.headers().filter(|header| describes(header.id)).filter_map(|header| {
        let (name, shared) = match header.id {
            HeaderId::Other => (header.name, None),
            known => (known.name().as_bytes(), Some(known.name())),
        };
        let described = Entity::describes(name);
        let name =
            || shared.map_or_else(|| octets.slice_ref(name), |name| Bytes::from_static(name.as_bytes()));
        described.then(|| Field::new(name(), octets.slice_ref(header.value)))
    });
    Entity { fields: described.collect(), body: request.body() }
}

/// Whether this server adapted the message before: it is on a spiral, and once is enough.
fn is_spiral(request: &Request, host: &str) -> bool {
    request.values(HeaderId::ContentAdapted).any(|value| {
        let adapter = value.split(|&b| b == b';').next().map(grammar::trim);
        adapter.is_some_and(|adapter| adapter.eq_ignore_ascii_case(host.as_bytes()))
    })
}

fn is_presence(request: &Request) -> bool {
    let package = request.header(HeaderId::Event).and_then(|event| event.split(|&b| b == b';').next());
    package.is_some_and(|package| grammar::trim(package).eq_ignore_ascii_case(b"presence"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[test]
    fn a_message_this_host_adapted_is_a_spiral() {
        let text = |value: &str| format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Adapted: {value}\r\n");
        assert!(is_spiral(
            &request(&text("other;ops=\"scale\", Me.example ;ops=\"drop\""), b"x"),
            "me.example"
        ));
        assert!(!is_spiral(&request(&text("other;ops=\"scale\""), b"x"), "me.example"));
    }

    #[test]
    fn the_entity_has_the_describing_fields_under_their_long_names() {
        let text = "MESSAGE sip:a@b SIP/2.0\r\nc: image/gif\r\nContent-Description: x\r\nSubject: y\r\n";
        let entity = entity(&request(text, b"GIF"));
        assert_eq!(entity.field("Content-Type"), Some(&b"image/gif"[..]));
        assert_eq!(entity.fields.len(), 2);
        assert_eq!(&entity.body[..], b"GIF");
    }
}
