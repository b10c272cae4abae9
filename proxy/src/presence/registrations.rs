//! `reg` (RFC 3680): what happens to registrations, told to who follows them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use presence::document::reginfo::{self, ContactEvent, RegisteredContact, Registration, RegistrationState};
use presence::event::Package;
use presence::notifier::Format;
use presence::subscription::Resource;
use presence::table::{Delta, Notice};
use presence::time::Moment;
use registrar::{Binding, Change, Lookup};
use sha2::{Digest as _, Sha256};
use sip::Uri;
use tokio_util::sync::CancellationToken;

use super::Presence;
use super::body::{Base, Made};
use crate::rooms::Rooms;

/// Parameters of a contact that a document tells, at most.
const PARAMS: usize = 64;

/// Takes what the registrar says, for as long as somebody follows it: what happened to a contact is worked out for
/// each REGISTER then.
pub(super) async fn run(rooms: Arc<Rooms>, presence: Arc<Presence>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if presence.followers.load(Ordering::Relaxed) == 0 {
            tokio::select! {
                () = stop.cancelled() => return,
                () = presence.followed.notified() => {}
            }
            continue;
        }
        let mut feed = rooms.registrar.subscribe();
        // What happened before is in the documents that are due.
        all(&presence);
        while presence.followers.load(Ordering::Relaxed) > 0 {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                () = presence.followed.notified() => continue,
                change = feed.next() => change,
            };
            match change {
                Ok(Some(change)) => told(&presence, &change),
                Ok(None) => return,
                Err(lost) => {
                    tracing::warn!(%lost, "registrations are told anew to all who follow them");
                    all(&presence);
                }
            }
        }
    }
}

/// Everybody who follows registrations is told all of them.
fn all(presence: &Presence) {
    for share in &presence.tables {
        let mut table = share.lock();
        let followed = table.resources().filter(|resource| resource.package == Package::Reg);
        let followed: Vec<_> = followed.map(Arc::clone).collect();
        followed.iter().for_each(|resource| drop(table.changed(resource, None)));
        drop(table);
        share.wake.notify_one();
    }
}

fn told(presence: &Presence, change: &Change) {
    let now = Moment::from(transport::now());
    let contacts = change.contacts.iter().map(|contact| {
        use registrar::ContactEvent as Event;
        let (event, retry_after) = match contact.event {
            Event::Created => (ContactEvent::Registered, None),
            Event::Refreshed => (ContactEvent::Refreshed, None),
            Event::Shortened => (ContactEvent::Shortened, None),
            Event::Expired => (ContactEvent::Expired, None),
            Event::Unregistered => (ContactEvent::Unregistered, None),
            Event::Deactivated => (ContactEvent::Deactivated, None),
            Event::Rejected => (ContactEvent::Rejected, None),
            Event::Probation { retry_after } => (ContactEvent::Probation, Some(retry_after.into())),
        };
        RegisteredContact { retry_after, ..registered(&contact.binding, event, now) }
    });
    let resource = Resource { package: Package::Reg, aor: Arc::clone(&change.aor) };
    presence.changed(&resource, Some(&Delta::Contacts(contacts.collect())));
}

fn registered(binding: &Binding, event: ContactEvent, now: Moment) -> RegisteredContact {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let uri = text(binding.uri.as_bytes());
    let digest = Sha256::digest([uri.as_bytes(), &binding.instance().unwrap_or_default()].concat());
    let id: String = digest.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    let mut q = None;
    let mut unknown_params = Vec::new();
    for param in grammar::params(&binding.params).take(PARAMS) {
        let value = param.value.map(|value| text(&value.text())).unwrap_or_default();
        match param.is(b"q") && q.is_none() {
            true => q = Some(value),
            false => unknown_params.push((text(param.name), value)),
        }
    }
    let since = Moment::from(binding.refreshed_at).seconds();
    let left = Moment::from(binding.expires_at).seconds().saturating_sub(now.seconds());
    RegisteredContact {
        id: format!("c{id}"),
        uri,
        display_name: None,
        event,
        registered: Some(now.seconds().saturating_sub(since)),
        expires: event.is_active().then_some(left),
        retry_after: None,
        q,
        call_id: Some(text(&binding.call_id)),
        cseq: Some(binding.cseq.into()),
        unknown_params,
    }
}

/// What a NOTIFY says of a user's registration.
pub(super) fn body(rooms: &Rooms, notice: &Notice<Base>) -> Arc<Made> {
    let (aor, now) = (&notice.resource.aor, transport::now());
    let uri = aor.parse::<Uri>().ok();
    let found = uri.as_ref().map(|uri| rooms.registrar.lookup(uri, now));
    let state = match &found {
        Some(Lookup::Bindings(bindings)) if !bindings.is_empty() => RegistrationState::Active,
        Some(Lookup::Bindings(_) | Lookup::Known) => RegistrationState::Terminated,
        Some(Lookup::Unknown) | None => RegistrationState::Init,
    };
    let told = notice.deltas.as_ref().map(|deltas| {
        // Of a contact to which several things happened, the last counts.
        let mut contacts: Vec<RegisteredContact> = Vec::new();
        for delta in deltas {
            let Delta::Contacts(changed) = delta else { continue };
            for contact in changed.iter() {
                contacts.retain(|known| known.id != contact.id);
                contacts.push(contact.clone());
            }
        }
        contacts
    });
    let is_full = told.is_none();
    let contacts = told.unwrap_or_else(|| match &found {
        Some(Lookup::Bindings(bindings)) => {
            let each = bindings.iter();
            each.map(|binding| registered(binding, ContactEvent::Registered, Moment::from(now))).collect()
        }
        _ => Vec::new(),
    });
    let registration = Registration { aor: aor.to_string(), id: "r1".to_owned(), state, contacts };
    let body = reginfo::reginfo(&[registration], notice.version, is_full);
    Arc::new(Made::of(Format::Reginfo, body))
}
