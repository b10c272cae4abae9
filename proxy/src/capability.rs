//! What a target's terminal can show (CPI.md 1.7): what its binding says, what was learned, what its device
//! profile says; where nothing is known and the operator wants it, its answer to one OPTIONS.

use std::sync::Arc;

use cpi::Cpi;
use registrar::{Binding, Query, QueryTicket, Sent};
use sip::{Method, Outgoing, RequestBuilder, Response};
use tokio::time::timeout;
use transport::ClientEvent;

use crate::gate;
use crate::hop::{self, Hop};
use crate::journey::Journey;
use crate::metrics;
use crate::route::Way;
use crate::settings::Unknown;
use crate::target::Target;

/// The capabilities that count for a target; `None`: nothing is known. Asks nobody about a body that may
/// not be adapted anyway.
pub(crate) async fn of(journey: &Journey, way: &Way, target: &Target) -> Option<Arc<Cpi>> {
    let presence = journey.rooms.presence.get();
    if let Some(watching) = presence.and_then(|presence| presence.passing_cpi(&journey.request)) {
        // What the watcher said in the dialog counts before what his binding says (rule L4).
        return gate::carrier(journey, way, target).map(|_| watching);
    }
    let binding = target.binding.as_deref()?;
    gate::carrier(journey, way, target)?;
    let registrar = &journey.rooms.registrar;
    let profiles = &journey.policy.profiles;
    if journey.policy.settings.unknown != Unknown::Options {
        return registrar.cpi_for(binding, profiles, journey.arrived);
    }
    match registrar.query(binding, profiles, journey.arrived) {
        Query::Known(known) => known,
        Query::Wait(wait) => wait.answer().await,
        Query::Ask(ticket) => Box::pin(ask(journey, way, target, binding, ticket)).await,
    }
}

/// What a refusal teaches (rule L8); `None` if nothing.
pub(crate) fn learn(
    journey: &Journey,
    binding: &Binding,
    refusal: &Response,
    body: usize,
    message: usize,
) -> Option<Arc<Cpi>> {
    let octets = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let sent = Sent { body: octets(body), message: octets(message) };
    let profiles = &journey.policy.profiles;
    let learned = journey.rooms.registrar.learn(binding, profiles, refusal, sent, transport::now())?;
    metrics::learned();
    Some(learned)
}

/// One OPTIONS to the contact (rule L7). That nobody answered is remembered; that it could not be sent is
/// not: then nobody was asked, and the contact may come back.
async fn ask(
    journey: &Journey,
    way: &Way,
    target: &Target,
    binding: &Binding,
    ticket: QueryTicket,
) -> Option<Arc<Cpi>> {
    let limit = journey.policy.settings.query_deadline;
    let answer = timeout(limit, query(journey, way, target, binding)).await;
    let answer = match answer {
        Ok(Asked::NotSent) => {
            metrics::options_query("unreachable");
            ticket.not_asked();
            return None;
        }
        Ok(Asked::Answered(response)) => Some(response),
        Ok(Asked::Silent) | Err(_) => None,
    };
    metrics::options_query(if answer.is_some() { "answered" } else { "silent" });
    journey.note(|| "asked with OPTIONS".to_owned());
    ticket.answer(answer.as_deref())
}

/// What came of a query.
enum Asked {
    Answered(Box<Response>),
    Silent,
    NotSent,
}

/// Over the first way to the contact that takes it.
async fn query(journey: &Journey, way: &Way, target: &Target, binding: &Binding) -> Asked {
    let Ok(hops) = hop::find(journey, way, target).await else { return Asked::NotSent };
    for hop in hops {
        let Some(outgoing) = options(journey, target, binding, &hop) else { continue };
        match journey.rooms.endpoint.request(outgoing, hop.destination).last().await {
            Some(ClientEvent::Response(response)) => return Asked::Answered(response),
            Some(ClientEvent::TransportError(_)) => {}
            Some(ClientEvent::Timeout) | None => return Asked::Silent,
        }
    }
    Asked::NotSent
}

fn options(journey: &Journey, target: &Target, binding: &Binding, hop: &Hop) -> Option<Outgoing> {
    let protocol = hop.destination.protocol();
    let settings = &journey.policy.settings;
    let ours = journey.rooms.endpoint.sent_by(protocol)?;
    let number = |bytes: [u8; 8]| u64::from_be_bytes(bytes);
    let (mut tag, mut call) = ([0; 8], [0; 8]);
    getrandom::fill(&mut tag).ok()?;
    getrandom::fill(&mut call).ok()?;
    let mut outgoing = RequestBuilder::new(Method::Options, target.uri.as_bytes())
        .from(format!("<sip:adapt@{}>;tag={:x}", settings.host, number(tag)))
        .to(format!("<{}>", binding.aor))
        .call_id(format!("{:x}@{}", number(call), settings.host))
        .cseq(1)
        .header("Contact", format!("<sip:{ours};transport={}>", protocol.name()))
        .header("Accept", "application/sdp")
        .header("User-Agent", &settings.server)
        .build();
    for route in target.path.iter().rev() {
        outgoing.push_route_front(route);
    }
    Some(outgoing)
}
