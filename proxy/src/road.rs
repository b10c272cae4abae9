//! The road of a request, stage by stage.

use std::sync::{Arc, OnceLock};

use sip::{HeaderId, Method, Request, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use transport::{Endpoint, Flow, Handler, ServerTransaction};

use registrar::{Profiles, Registrar};

use crate::avoid::Avoided;
use crate::journey::Journey;
use crate::links::Links;
use crate::offline::{self, Offline, Runs};
use crate::pool::Pool;
use crate::presence::{self, Presence};
use crate::rates::{Lateness, Rates};
use crate::record::{Dialog, RouteKey};
use crate::refuse::Refused;
use crate::rooms::{Policy, Rooms};
use crate::settings::Settings;
use crate::upstream::Upstream;
use crate::{admit, announce, authenticate, fork, forward, hop, local, metrics, route, source, target};

/// The proxy: takes what the sockets receive and sends it on its road.
#[derive(Clone)]
pub struct Proxy {
    rooms: Arc<Rooms>,
}

impl Proxy {
    /// A proxy over these rooms. `links` is where indirected content goes; without it nothing is linked.
    #[expect(clippy::too_many_arguments, reason = "one for each room that it wires together")]
    pub fn new(
        settings: Settings,
        profiles: Profiles,
        key: RouteKey,
        endpoint: Endpoint,
        registrar: Arc<Registrar>,
        links: Option<Arc<dyn Links>>,
        pool: Arc<Pool>,
        offline: Arc<Offline>,
    ) -> Proxy {
        let permits = Arc::new(Semaphore::new(settings.in_progress.min(Semaphore::MAX_PERMITS)));
        let sockets = endpoint.local_addrs().into_iter().map(|(_, addr)| addr).collect();
        let lateness = Lateness::new(settings.delay);
        let (sources, users) = (Rates::new(settings.source_rate), Rates::new(settings.user_rate));
        let policy = Policy::new(settings, profiles, sockets).into();
        let policy = arc_swap::ArcSwap::new(policy);
        Proxy {
            rooms: Arc::new(Rooms {
                policy,
                key,
                endpoint,
                registrar,
                avoided: Avoided::default(),
                links,
                pool,
                offline,
                runs: Runs::default(),
                annc: OnceLock::new(),
                presence: OnceLock::new(),
                lateness,
                sources,
                users,
                permits,
            }),
        }
    }

    /// Lets the user `annc` of our domains play announcements from now on. Once.
    pub fn announce(&self, annc: annc::Annc) {
        let _first_stays = self.rooms.annc.set(annc);
    }

    /// Answers PUBLISH and SUBSCRIBE from now on, if `presence.enabled` says so, and sends NOTIFYs until `stop`. To be
    /// called once, on the runtime that sends them.
    pub fn serve_presence(&self, presence: Arc<Presence>, stop: &CancellationToken) {
        // Only the first is served.
        if self.rooms.presence.set(Arc::clone(&presence)).is_ok() {
            presence::start(&self.rooms, &presence, stop);
        }
    }

    /// Puts other rules in force for requests that come from now on. How many may be on their road stays.
    pub fn reconfigure(&self, settings: Settings, profiles: Profiles) {
        let sockets = self.rooms.endpoint.local_addrs().into_iter().map(|(_, addr)| addr).collect();
        let now = Arc::new(Policy::new(settings, profiles, sockets));
        let before = self.rooms.policy.swap(Arc::clone(&now));
        if let Some(presence) = self.rooms.presence.get() {
            presence.reconfigure(&before.settings.presence, &now.settings.presence);
        }
    }
}

/// The stages, in their order (ARCHITECTURE.md, the life of a message). Each takes what the one before it made.
///
/// | stage | value | RFC 3261 |
/// |---|---|---|
/// | [`admit`] | the second part of our branches | §16.3 |
/// | [`route`] | the way | §16.4 |
/// | [`authenticate`] | whom it comes from | §16.3 step 6, §22 |
/// | [`announce`] | a call for `annc` | RFC 4240 |
/// | [`presence`] | or that of the presence server | RFC 3903, RFC 6665 |
/// | [`local`] | our own answer, if we are the recipient | §10.3, §11 |
/// | [`target`] | targets with their bindings | §16.5 |
/// | [`fork`] | one branch per target, and the best answer | §16.6, §16.7 |
/// | [`crate::capability`] | what each terminal can show | CPI.md 1.7 |
/// | [`crate::tailor`] | plan, links, transformed body | CPI.md 3 |
/// | [`hop`], [`crate::branch`] | forwarded over UDP or TCP | §16.6 |
/// | [`crate::upstream`] | the answer goes back | §16.7 |
/// | [`offline`] | or, if nobody was reached, the message is kept | RFC 3428 §8 |
async fn travel(journey: Arc<Journey>, mut upstream: Upstream) {
    let uri = &journey.uri;
    let recipient =
        local::is_recipient(&journey.request, journey.place(uri)) || presence::is_for(&journey, uri);
    let admitted = match admit::check(&journey, recipient) {
        Ok(admitted) => admitted,
        Err(refused) => return upstream.refuse(&refused),
    };
    let way = match way(&journey) {
        Ok(way) => way,
        Err(refused) => return upstream.refuse(&refused),
    };
    // The tag of its dialog, which nobody can guess, proves enough.
    if announce::is_within(&journey, &way) {
        return announce::within(journey, upstream);
    }
    if let Err(refused) = authenticate::check(&journey, &way, recipient) {
        return upstream.refuse(&refused);
    }
    // Who registers is asked for a password later.
    if journey.request.method() != Method::Register && !authenticate::is_in_rate(&journey, &way) {
        metrics::overload("user");
        return upstream.refuse(&Refused::Busy);
    }
    if announce::is_for(&journey, &way) {
        return Box::pin(announce::answer(journey, upstream)).await;
    }
    if presence::is_for(&journey, &way.uri) {
        return Box::pin(presence::serve(&journey, &way, upstream)).await;
    }
    // What is not on the way of every request is boxed: the task of each is as large as the largest of them.
    if local::is_answered(&journey, &way) {
        let answer = Box::pin(local::answer(&journey, &way, upstream.is_repetition())).await;
        upstream.reply(&answer.reply);
        return local::follow_up(&journey, answer.reachable.as_deref());
    }
    presence::passes(&journey).await;
    let groups = match target::find(&journey, &way) {
        Ok(groups) => groups,
        Err(Refused::Unavailable) => {
            return match Box::pin(offline::keep(&journey, &way)).await {
                Some((_, reply)) => upstream.reply(&reply),
                None => upstream.refuse(&Refused::Unavailable),
            };
        }
        Err(refused) => return upstream.refuse(&refused),
    };
    Box::pin(fork::run(journey, way, admitted.second_part, groups, upstream)).await;
}

fn way(journey: &Journey) -> Result<route::Way, Refused> {
    let request = &journey.request;
    let routes: Vec<&[u8]> = request.values(HeaderId::Route).collect();
    route::preprocess(
        &journey.uri,
        &routes,
        &|| Dialog::of(request),
        &journey.policy.ours,
        &journey.rooms.key,
        &journey.flow,
    )
}

impl Handler for Proxy {
    fn admits(&self, _request: &Request, flow: Flow) -> bool {
        let rooms = &self.rooms;
        let cause = if rooms.permits.available_permits() == 0 {
            "requests"
        } else if rooms.lateness.is_late() {
            "delay"
        } else if rooms.sources.as_ref().is_some_and(|rates| {
            !rooms.policy.load().is_peer(&flow, &rooms.endpoint)
                && !rates.take(source::network(flow.remote.ip()))
        }) {
            "source"
        } else {
            return true;
        };
        metrics::overload(cause);
        false
    }

    fn request(&self, request: Request, transaction: ServerTransaction) {
        let permit = Arc::clone(&self.rooms.permits).try_acquire_owned();
        let journey = Arc::new(Journey::begin(Arc::clone(&self.rooms), request, transaction.flow()));
        let mut upstream = Upstream::new(Arc::clone(&journey), transaction);
        let Ok(permit) = permit else { return upstream.refuse(&Refused::Busy) };
        tokio::spawn(async move {
            journey.rooms.lateness.waited(journey.age());
            travel(journey, upstream).await;
            drop(permit);
        });
    }

    fn ack(&self, request: Request, flow: Flow) {
        if self.rooms.annc.get().is_some_and(|annc| annc.ack(&request, flow.protocol.is_secure())) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.rooms.permits).try_acquire_owned() else { return };
        let rooms = Arc::clone(&self.rooms);
        tokio::spawn(async move {
            acknowledge(rooms, request, flow).await;
            drop(permit);
        });
    }

    fn stray_response(&self, response: Response, flow: Flow) {
        metrics::stray();
        tracing::debug!(status = response.status(), source = %flow.remote, "a response to nothing, dropped");
    }
}

/// Passes the ACK for a 2xx on where its INVITE would have gone; what may not be relayed is dropped, since an
/// ACK has no answer. One target alone, as §16.11 has it for what is sent without a transaction: copies that
/// nothing absorbs would double at every turn of a loop (RFC 5393 §3).
async fn acknowledge(rooms: Arc<Rooms>, request: Request, flow: Flow) {
    let journey = Journey::begin(rooms, request, flow);
    if let Err(refused) = pass_on(&journey).await {
        journey.note(|| refused.to_string());
    }
    journey.end(None);
}

async fn pass_on(journey: &Journey) -> Result<(), Refused> {
    let admitted = admit::check(journey, false)?;
    let way = way(journey)?;
    authenticate::check(journey, &way, false)?;
    let targets = target::find(journey, &way)?;
    let target = targets.iter().flatten().flatten().next().ok_or(Refused::Unavailable)?;
    let breadth = fork::breadth(journey);
    if breadth == 0 {
        return Err(Refused::Breadth);
    }
    let hop = hop::find(journey, &way, target).await?.into_iter().next().ok_or(Refused::Unreachable)?;
    let draft = forward::draft(journey, &way, target, breadth);
    journey.rooms.endpoint.send_stateless(&draft, hop.destination, Some(&admitted.second_part));
    Ok(())
}
