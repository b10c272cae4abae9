//! Calls for the announcement service (RFC 4240): the user `annc` of our domains, or of this server's own name. What to
//! say is `annc`'s; here it is said.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use annc::{Accepted, Answered, Call, Meeting, Open, Refusal, Say};
use sip::{Method, Outgoing, Response, ResponseBuilder, Scheme};
use tokio::time::timeout;
use tracing::Instrument;
use transport::{Asker, ClientEvent, ClientTransaction, Destination, Protocol};

use crate::hop;
use crate::journey::Journey;
use crate::ours::Place;
use crate::relay::Standing;
use crate::route::Way;
use crate::upstream::Upstream;

/// The methods of the service.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";

/// Whether a request is for the service.
pub(crate) fn is_for(journey: &Journey, way: &Way) -> bool {
    way.routes.is_empty() && is_ours(journey, &way.uri)
}

/// Whether a URI means the service.
pub(crate) fn is_ours(journey: &Journey, uri: &sip::Uri) -> bool {
    let is_annc = uri.user().is_some_and(|user| user.eq_ignore_ascii_case(b"annc"));
    is_annc && journey.rooms.annc.get().is_some() && journey.place(uri) != Place::Foreign
}

/// Whether it belongs to a call.
pub(crate) fn is_within(journey: &Journey, way: &Way) -> bool {
    is_for(journey, way) && journey.rooms.annc.get().is_some_and(|annc| annc.knows(&journey.request))
}

/// What a log may show of a Request-URI: what is played may be a URL that opens somebody's mail.
pub(crate) fn shown(uri: &[u8]) -> &[u8] {
    let user = uri.split(|&octet| octet == b':').nth(1).unwrap_or_default();
    match user.get(..5).is_some_and(|user| user.eq_ignore_ascii_case(b"annc@")) {
        true => uri.split(|&octet| octet == b';').next().unwrap_or_default(),
        false => uri,
    }
}

/// Answers a request within a call.
pub(crate) fn within(journey: Arc<Journey>, mut upstream: Upstream) {
    let Some(annc) = journey.rooms.annc.get() else { return };
    let Answered { response, unacked } = annc.request(&journey.request, &meeting(&journey));
    journey.note(|| "announcement".to_owned());
    send(&journey, &mut upstream, response.clone());
    if let Some(mut unacked) = unacked {
        drop(tokio::spawn(async move {
            while unacked.again().await {
                send(&journey, &mut upstream, response.clone());
            }
        }));
    }
}

/// Takes a call, or answers what is none.
pub(crate) async fn answer(journey: Arc<Journey>, mut upstream: Upstream) {
    if journey.request.to_tag().is_some() {
        return within(journey, upstream);
    }
    let Some(annc) = journey.rooms.annc.get() else { return };
    let request = &journey.request;
    if request.method() != Method::Invite {
        let answer = otherwise(request);
        return send(&journey, &mut upstream, answer.build());
    }
    let meeting = meeting(&journey);
    let span = tracing::info_span!("announcement", call = %journey.redacted(request.call_id()));
    let is_stranger =
        matches!(journey.standing(), Standing::Stranger) && journey.rooms.registrar.is_guarded();
    let taken = if is_stranger && !annc.takes_strangers() {
        Err(Refusal::Stranger)
    } else {
        tokio::select! {
            taken = annc.invite(request, &meeting).instrument(span.clone()) => taken,
            () = upstream.cancelled() => Err(Refusal::Cancelled),
        }
    };
    match taken {
        Ok(Accepted { answer, call }) => {
            journey.note(|| "announcement".to_owned());
            drop(tokio::spawn(drive(Arc::clone(&journey), upstream, answer, call).instrument(span)));
        }
        Err(refusal) => {
            journey.note(|| refusal.to_string());
            let answer = annc.refuse(request, &refusal).build();
            send(&journey, &mut upstream, answer);
        }
    }
}

/// What the service does can be asked for; anything else is not for it.
fn otherwise(request: &sip::Request) -> ResponseBuilder {
    match request.method() {
        Method::Options => ResponseBuilder::to_request(request, 200, "OK")
            .header("Accept", "application/sdp")
            .header("Supported", "timer"),
        _ => ResponseBuilder::to_request(request, 405, "Method Not Allowed"),
    }
    .header("Allow", ALLOW)
}

fn send(journey: &Journey, upstream: &mut Upstream, mut answer: Outgoing) {
    let status = answer.start_line().get(8..11).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
    answer.append(sip::HeaderId::Server, &journey.policy.settings.server);
    upstream.send(status.unwrap_or(500), answer.encode());
}

/// Does what a call wants until it is over.
async fn drive(journey: Arc<Journey>, mut upstream: Upstream, answer: Outgoing, mut call: Call) {
    send(&journey, &mut upstream, answer.clone());
    loop {
        match call.next().await {
            Say::Again => send(&journey, &mut upstream, answer.clone()),
            Say::Request(request) => ask(&journey, &mut call, *request, false).await,
            Say::Secret(request) => ask(&journey, &mut call, *request, true).await,
            Say::Over => {
                tracing::debug!("over");
                return;
            }
        }
    }
}

/// How long the caller may take to answer a request of ours (64*T1, Timer F): an INVITE of ours asks nobody, and while it
/// is open the call hears of nothing else.
const PATIENCE: Duration = Duration::from_secs(32);

/// Sends a request of ours in the call, and tells it what came of it. One that is secret goes where nobody else reads it,
/// or nowhere.
async fn ask(journey: &Arc<Journey>, call: &mut Call, mut request: Outgoing, is_secret: bool) {
    request.append(sip::HeaderId::UserAgent, &journey.policy.settings.server);
    tracing::debug!(request = %String::from_utf8_lossy(method(&request)), "asks");
    let mut ways = ways(journey, call).await;
    if is_secret && !journey.rooms.annc.get().is_some_and(annc::Annc::sends_keys_in_clear) {
        ways.retain(is_unread);
        if ways.is_empty() {
            tracing::warn!(
                "an announcement under SRTP is not refreshed: the caller knows no UPDATE, and an INVITE would carry its \
                 keys in clear; it ends at the end of its session"
            );
            return call.withheld();
        }
    }
    for destination in ways {
        let mut transaction = journey.rooms.endpoint.request(request.clone(), destination.clone());
        let answer = timeout(PATIENCE, final_answer(&mut transaction)).await.unwrap_or(Some(None));
        // Another way, where this one is closed.
        let Some(answer) = answer else { continue };
        if let Some(ack) = call.answered(answer.as_deref(), is_unread(&destination)) {
            drop(tokio::spawn(acknowledge(Arc::clone(journey), transaction, ack, destination)));
        }
        return;
    }
    call.answered(None, false);
}

/// Whether nobody else reads what goes there.
fn is_unread(destination: &Destination) -> bool {
    destination.protocol().is_secure()
}

/// What ends the transaction: a response, silence (`Some(None)`), or `None` if the request did not leave.
async fn final_answer(transaction: &mut ClientTransaction) -> Option<Option<Box<Response>>> {
    loop {
        match transaction.next().await {
            Some(ClientEvent::Response(response)) if response.status() < 200 => {}
            Some(ClientEvent::TransportError(_)) => return None,
            Some(ClientEvent::Response(response)) => return Some(Some(response)),
            Some(ClientEvent::Timeout) | None => return Some(None),
        }
    }
}

fn method(request: &Outgoing) -> &[u8] {
    request.start_line().split(|octet| *octet == b' ').next().unwrap_or_default()
}

/// Sends the ACK for a 2xx, and again whenever that comes again (RFC 3261 §13.2.2.4).
async fn acknowledge(
    journey: Arc<Journey>,
    mut transaction: ClientTransaction,
    ack: Outgoing,
    destination: Destination,
) {
    loop {
        journey.rooms.endpoint.send_stateless(&ack, destination.clone(), None);
        match transaction.next().await {
            Some(ClientEvent::Response(response)) if is_taken(&response) => {}
            _ => return,
        }
    }
}

fn is_taken(response: &Response) -> bool {
    (200..300).contains(&response.status())
}

/// The ways to the caller: over the flow his INVITE came on, where nobody stands between us (a phone behind NAT is
/// reached in no other way), else where his Contact or the first route leads.
async fn ways(journey: &Journey, call: &Call) -> Vec<Destination> {
    let endpoint = &journey.rooms.endpoint;
    let Some((uri, is_routed)) = call.next_hop() else { return Vec::new() };
    let mut ways = Vec::new();
    let is_direct = !is_routed && journey.request.vias().count() == 1;
    if is_direct && endpoint.is_open(&journey.flow) {
        ways.push(Destination::Flow(journey.flow));
    }
    if ways.is_empty() || journey.flow.protocol.is_reliable() {
        let open = |addr| hop::may_reach(journey, journey.flow.remote.ip(), addr);
        ways.extend(endpoint.locate(&uri, Asker::Stranger, open).await.unwrap_or_default());
    }
    ways
}

fn meeting(journey: &Arc<Journey>) -> Meeting {
    let flow = &journey.flow;
    let here = journey.rooms.endpoint.sent_by(flow.protocol).unwrap_or_else(|| flow.local.to_string());
    let local = match flow.local.ip() {
        ip if ip.is_unspecified() => towards(flow.remote).unwrap_or(ip),
        ip => ip,
    };
    let contact = match (journey.uri.scheme(), flow.protocol) {
        // RFC 5630 §5.1.1.1, §3.1.4: whoever calls a sips URI is given one, which names what TLS is below of.
        (Scheme::Sips, Protocol::Wss) => format!("<sips:annc@{here};transport=ws>"),
        (Scheme::Sips, _) => format!("<sips:annc@{here}>"),
        (_, protocol) => format!("<sip:annc@{here};transport={}>", protocol.name()),
    };
    let caller = Arc::clone(journey);
    // To none that lies further inside than the caller does.
    let open: Open = Arc::new(move |addr| hop::may_reach(&caller, caller.flow.remote.ip(), addr));
    Meeting { local, secure: flow.protocol.is_secure(), contact, open }
}

/// Our address on the way to another.
fn towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if remote.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_nobody_reads_them() {
        let addr = "192.0.2.1:5061".parse().unwrap();
        let unread = |protocol| is_unread(&Destination::Address { protocol, addr });
        assert!(unread(Protocol::Tls) && unread(Protocol::Wss));
        assert!(!unread(Protocol::Udp) && !unread(Protocol::Tcp) && !unread(Protocol::Ws));
    }

    #[test]
    fn what_is_played_is_not_shown() {
        assert_eq!(
            shown(b"sip:annc@h:5060;play=imap://joe@x/;urlauth=anonymous:internal:1"),
            b"sip:annc@h:5060"
        );
        assert_eq!(shown(b"sips:ANNC@h;play=x"), b"sips:ANNC@h");
        assert_eq!(shown(b"sip:john@h;play=x"), b"sip:john@h;play=x");
        assert_eq!(shown(b""), b"");
    }
}
