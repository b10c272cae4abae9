//! One NOTIFY on its way: where it goes, how long it is waited for, and what came of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use presence::ending::Reason;
use presence::event::Package;
use presence::notice::{self, Head};
use presence::notifier::Format;
use presence::rules::Decision;
use presence::subscription::{Kind, Subscription};
use presence::table::{Gone, Notice, Outcome};
use presence::time::Moment;
use presence::watchers::{self, Seen};
use sip::{HeaderId, NameAddr, Outgoing, Response, Uri};
use tokio::sync::OwnedSemaphorePermit;
use transport::{Asker, ClientEvent, Endpoint, Protocol, TransportError};

use super::body::{Base, Made, Maker};
use super::{Presence, fit};
use crate::forward;
use crate::hop::{self, Hop};
use crate::journey::Journey;
use crate::metrics;
use crate::ours::own_uri;
use crate::record::{End, Side};
use crate::redact::Redacted;
use crate::rooms::Rooms;

/// How long a NOTIFY that is not answered keeps others from leaving.
const PATIENCE: Duration = Duration::from_secs(1);

/// By so much bodies for narrow ways differ in length: one is for many heads.
const STEP: usize = 32;

/// Digits of a Content-Length that the shortest head does not have yet.
const DIGITS: usize = 4;

/// The longest datagram there is.
const LONGEST_DATAGRAM: usize = 65_507;

/// Octets of our Via beside our name in it.
const VIA: usize = 80;

/// Where a SUBSCRIBE came from: the way back where its contact can't be dialled.
pub(super) struct Origin {
    /// Our end.
    local: IpAddr,
    side: Side,
}

impl Origin {
    pub(super) fn of(journey: &Journey) -> Origin {
        Origin { local: journey.flow.local.ip(), side: forward::back(journey) }
    }

    pub(super) fn encode(&self) -> Bytes {
        let local = match self.local.to_canonical() {
            IpAddr::V4(ip) => [&[4][..], &ip.octets()].concat(),
            IpAddr::V6(ip) => [&[6][..], &ip.octets()].concat(),
        };
        [local, self.side.octets(End::Caller)].concat().into()
    }

    fn decode(octets: &[u8]) -> Option<Origin> {
        let (family, rest) = octets.split_first()?;
        let (local, rest) = match family {
            4 => rest.split_first_chunk::<4>().map(|(ip, rest)| (IpAddr::from(*ip), rest))?,
            _ => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::from(*ip), rest))?,
        };
        let (side, _) = Side::read(rest)?;
        Some(Origin { local, side })
    }
}

/// Where requests of our dialogs come to: a SIPS URI for who is one (RFC 5630 §5.1.2).
pub(super) fn contact(endpoint: &Endpoint, protocol: Protocol, is_sips: bool) -> String {
    let host = endpoint.sent_by(protocol).unwrap_or_default();
    format!("<{}>", own_uri("", &host, protocol, is_sips))
}

/// Whether requests to a watcher are to go over TLS all the way.
fn is_sips(subscription: &Subscription) -> bool {
    Uri::parse(&subscription.target).is_ok_and(|target| target.is_sips())
}

/// Sends a NOTIFY, waits for its answer, and says what came of it. `slot` is its place among those that leave.
pub(super) async fn deliver(
    rooms: Arc<Rooms>,
    presence: Arc<Presence>,
    notice: Notice<Base>,
    slot: OwnedSemaphorePermit,
) {
    let (outcome, base) = attempt(&rooms, &presence, &notice, slot).await;
    metrics::notify(match outcome {
        Outcome::Taken => "taken",
        Outcome::Refused { .. } => "refused",
        Outcome::Silent => "silent",
        Outcome::Unsent => "unsent",
    });
    if outcome != Outcome::Taken {
        let open = rooms.policy.load().settings.open_logs;
        tracing::debug!(
            watcher = %Redacted::new(notice.watcher.as_bytes(), open),
            of = %Redacted::new(notice.resource.aor.as_bytes(), open),
            package = notice.resource.package.name(),
            ?outcome,
            "a NOTIFY is not taken"
        );
    }
    let share = presence.share(&notice.resource);
    let gone = share.lock().answered(notice.id, outcome, base, Moment::from(transport::now()));
    share.wake.notify_one();
    if let Some(gone) = gone {
        let members = match (&gone.kind, &notice.record) {
            (Kind::One, _) => Vec::new(),
            (_, Some(record)) => record.members.clone(),
            (_, None) => {
                presence.shelf.subscription(gone.id).map(|(_, kept)| kept.members).unwrap_or_default()
            }
        };
        presence.leave(gone.id, gone.resource.package, &members);
        presence.leave_elsewhere(&gone.watcher, gone.id, &members);
        clear(&rooms, &presence, gone).await;
    }
}

/// A subscription is over.
async fn clear(rooms: &Rooms, presence: &Presence, gone: Gone) {
    presence.ends(&gone.watcher, gone.resource.package);
    let is_seen = gone.resource.package == Package::Presence && gone.kind == Kind::One;
    let is_undecided = gone.decision == Decision::Pending && gone.ending.reason == Reason::Timeout;
    let settings = &rooms.policy.load_full().settings.presence;
    if is_seen && !(is_undecided && presence.waits(settings, &gone).await) {
        let seen = Seen {
            id: gone.id,
            watcher: &gone.watcher,
            decision: gone.decision,
            since: gone.created_at,
            expires_at: None,
        };
        let change = seen.watcher(watchers::event(gone.ending), Moment::from(transport::now()));
        presence.watched(&gone.resource.aor, change);
    }
    presence.shelf.unsubscribe(gone.id, gone.stored).await;
}

async fn attempt(
    rooms: &Rooms,
    presence: &Presence,
    notice: &Notice<Base>,
    slot: OwnedSemaphorePermit,
) -> (Outcome, Option<Base>) {
    let stored;
    let subscription = match &notice.record {
        Some(record) => record,
        None => match presence.shelf.subscription(notice.id) {
            Some((_, subscription)) => {
                stored = subscription;
                &stored
            }
            // Nobody could be told anyhow.
            None => return (Outcome::Silent, None),
        },
    };
    let Some(origin) = Origin::decode(&subscription.origin) else { return (Outcome::Silent, None) };
    let mut slot = Some(slot);
    // His name servers may be as dead as he.
    let hops = patiently(presence, &mut slot, hops(rooms, subscription, &origin)).await;
    let maker = Maker { rooms, presence };
    let (made, base) = maker.body(notice, subscription, None).await;
    for hop in hops {
        let sent = over(maker, notice, subscription, &made, &hop, &mut slot).await;
        match sent {
            Sent::Answered(response) => return (outcome(&response), base),
            Sent::Nothing => return (Outcome::Silent, None),
            Sent::Failed(TransportError::QueueFull) => return (Outcome::Unsent, None),
            Sent::Failed(_) => {}
        }
    }
    (Outcome::Silent, None)
}

/// What became of one attempt.
enum Sent {
    Answered(Box<Response>),
    Nothing,
    Failed(TransportError),
}

/// Over one hop, or over TCP to the same address where it is too long for a datagram (CPI.md 3.4 B2).
async fn over(
    maker: Maker<'_>,
    notice: &Notice<Base>,
    subscription: &Subscription,
    made: &Arc<Made>,
    hop: &Hop,
    slot: &mut Option<OwnedSemaphorePermit>,
) -> Sent {
    let draft = |hop: &Hop, made: &Made| draft(maker.rooms, notice, subscription, made, hop);
    let outgoing = draft(hop, made);
    // All of it is ours, so all of it counts (RFC 3261 §18.1.1).
    let via = VIA + maker.rooms.endpoint.longest_sent_by();
    if !hop.is_datagram() || outgoing.head_len() + via + outgoing.body().len() <= hop::DATAGRAM {
        return exchange(maker, outgoing, hop, slot).await;
    }
    if let Some(tcp) = hop.over_tcp() {
        match exchange(maker, draft(&tcp, made), &tcp, slot).await {
            Sent::Failed(TransportError::QueueFull) => return Sent::Failed(TransportError::QueueFull),
            Sent::Failed(_) => {}
            other => return other,
        }
    }
    // Without the fields of the body, which whoever makes it counts.
    let head = draft(hop, &Made::default()).head_len() + DIGITS + via;
    let room = hop::DATAGRAM.saturating_sub(head) / STEP * STEP;
    let narrow = u64::try_from(room).ok().map(|room| room + fit::HEAD);
    let made = match (notice.kind, notice.format) {
        // No way makes it shorter, and what the next one builds upon is what this one says.
        (Kind::One, Format::PidfDiff) => Arc::clone(made),
        _ => maker.body(notice, subscription, narrow).await.0,
    };
    let outgoing = draft(hop, &made);
    if outgoing.head_len() + via + outgoing.body().len() > LONGEST_DATAGRAM {
        return Sent::Failed(TransportError::MessageTooLong);
    }
    exchange(maker, outgoing, hop, slot).await
}

fn draft(
    rooms: &Rooms,
    notice: &Notice<Base>,
    subscription: &Subscription,
    made: &Made,
    hop: &Hop,
) -> Outgoing {
    let contact = contact(&rooms.endpoint, hop.destination.protocol(), is_sips(subscription));
    let head = Head {
        id: notice.id,
        cseq: notice.cseq,
        ending: notice.ending,
        expires: notice.expires,
        decision: notice.decision,
        contact: &contact,
    };
    let mut outgoing = notice::notify(subscription, &head);
    notice::with_body(&mut outgoing, &made.fields, made.body.clone());
    forward::to_strict_router(&mut outgoing);
    outgoing
}

/// One client transaction. After [`PATIENCE`] others may leave.
async fn exchange(
    maker: Maker<'_>,
    outgoing: Outgoing,
    hop: &Hop,
    slot: &mut Option<OwnedSemaphorePermit>,
) -> Sent {
    let transaction = maker.rooms.endpoint.request(outgoing, hop.destination.clone());
    sent(patiently(maker.presence, slot, transaction.last()).await)
}

/// Waits for what may take long, and after a while keeps nobody else from leaving meanwhile.
async fn patiently<T>(
    presence: &Presence,
    slot: &mut Option<OwnedSemaphorePermit>,
    waiting: impl Future<Output = T>,
) -> T {
    let mut waiting = std::pin::pin!(waiting);
    let mut silent = None;
    if slot.is_some() {
        tokio::select! {
            done = &mut waiting => return done,
            () = tokio::time::sleep(PATIENCE) => {
                // Beyond so many dead watchers all others do wait.
                silent = Arc::clone(&presence.silent).try_acquire_owned().ok();
                if silent.is_some() {
                    *slot = None;
                }
            }
        }
    }
    let done = waiting.await;
    drop(silent);
    done
}

fn sent(event: Option<ClientEvent>) -> Sent {
    match event {
        Some(ClientEvent::Response(response)) => Sent::Answered(response),
        Some(ClientEvent::TransportError(error)) => Sent::Failed(error),
        Some(ClientEvent::Timeout) | None => Sent::Nothing,
    }
}

fn outcome(response: &Response) -> Outcome {
    match response.status() {
        200..=299 => Outcome::Taken,
        status => {
            let retry_after = response.header(HeaderId::RetryAfter).and_then(|value| {
                let digits: Vec<u8> = value.iter().copied().take_while(u8::is_ascii_digit).collect();
                u32::try_from(grammar::decimal(&digits)?).ok()
            });
            Outcome::Refused { status, retry_after }
        }
    }
}

/// The ways to a subscriber, best first: along the route of his dialog to his contact, and back over the flow his
/// SUBSCRIBE came on.
async fn hops(rooms: &Rooms, subscription: &Subscription, origin: &Origin) -> Vec<Hop> {
    let mut hops = all_hops(rooms, subscription, origin).await;
    if is_sips(subscription) {
        hops.retain(|hop| hop.destination.protocol().is_secure());
    }
    hops
}

async fn all_hops(rooms: &Rooms, subscription: &Subscription, origin: &Origin) -> Vec<Hop> {
    let flow = hop::flow_of_side(&origin.side);
    if origin.side.only_flow {
        return flow.into_iter().collect();
    }
    let first = subscription.routes.first();
    let uri = match first {
        Some(route) => NameAddr::parse(route).ok().and_then(|address| address.uri().ok()),
        None => Uri::parse(&subscription.target).ok(),
    };
    let Some(uri) = uri else { return flow.into_iter().collect() };
    let policy = rooms.policy.load();
    let (ours, source) = (&policy.ours, origin.side.remote.ip());
    // Who subscribes may not have us write to what lies further inside than he does.
    let open = |address: SocketAddr| {
        origin.side.is_at(address) || hop::may_be_named(ours, origin.local, source, address)
    };
    let found = rooms.endpoint.locate(&uri, Asker::Stranger, open).await.unwrap_or_default();
    let hops = found.into_iter().map(|destination| Hop { destination, flow_only: false }).collect();
    hop::with_flow(hops, flow)
}
