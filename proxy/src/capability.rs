//! What a target's terminal can show (CPI.md 1.7): what its binding says, what was learned, what its device
//! profile says; where nothing is known and the operator wants it, its answer to one OPTIONS.

use std::sync::Arc;
use std::time::SystemTime;

use cpi::Cpi;
use registrar::{Binding, Query, QueryTicket, Sent};
use sip::{Method, RequestBuilder, Response};
use tokio::time::timeout;
use transport::ClientEvent;

use crate::gate;
use crate::hop;
use crate::journey::Journey;
use crate::metrics;
use crate::route::Way;
use crate::settings::Unknown;
use crate::target::Target;

/// The capabilities that count for a target; `None`: nothing is known. Asks nobody about a body that may
/// not be adapted anyway.
pub(crate) async fn of(journey: &Journey, way: &Way, target: &Target) -> Option<Arc<Cpi>> {
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
        Query::Ask(ticket) => ask(journey, way, target, binding, ticket).await,
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
    let learned = journey.rooms.registrar.learn(binding, profiles, refusal, sent, SystemTime::now())?;
    metrics::learned();
    Some(learned)
}

/// One OPTIONS to the contact (rule L7).
async fn ask(
    journey: &Journey,
    way: &Way,
    target: &Target,
    binding: &Binding,
    ticket: QueryTicket,
) -> Option<Arc<Cpi>> {
    let limit = journey.policy.settings.query_deadline;
    let answer = timeout(limit, query(journey, way, target, binding)).await.ok().flatten();
    metrics::options_query(if answer.is_some() { "answered" } else { "silent" });
    journey.note(|| "asked with OPTIONS".to_owned());
    ticket.answer(answer.as_ref())
}

async fn query(journey: &Journey, way: &Way, target: &Target, binding: &Binding) -> Option<Response> {
    let hop = hop::find(journey, way, target).await.ok()?.into_iter().next()?;
    let endpoint = &journey.rooms.endpoint;
    let settings = &journey.policy.settings;
    let ours = endpoint.sent_by(hop.destination.protocol())?;
    let number = |bytes: [u8; 8]| u64::from_be_bytes(bytes);
    let (mut tag, mut call) = ([0; 8], [0; 8]);
    getrandom::fill(&mut tag).ok()?;
    getrandom::fill(&mut call).ok()?;
    let mut outgoing = RequestBuilder::new(Method::Options, target.uri.as_bytes())
        .from(format!("<sip:adapt@{}>;tag={:x}", settings.host, number(tag)))
        .to(format!("<{}>", binding.aor))
        .call_id(format!("{:x}@{}", number(call), settings.host))
        .cseq(1)
        .header("Contact", format!("<sip:{ours};transport={}>", hop.destination.protocol().name()))
        .header("Accept", "application/sdp")
        .header("User-Agent", &settings.server)
        .build();
    for route in target.path.iter().rev() {
        outgoing.push_route_front(route);
    }
    match endpoint.request(outgoing, hop.destination).last().await? {
        ClientEvent::Response(response) => Some(response),
        ClientEvent::Timeout | ClientEvent::TransportError(_) => None,
    }
}
