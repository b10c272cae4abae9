//! The road of a request, stage by stage.

use std::sync::Arc;

use sip::{HeaderId, Request, Response};
use tokio::sync::Semaphore;
use transport::{Endpoint, Flow, Handler, ServerTransaction};

use registrar::{Profiles, Registrar};

use crate::avoid::Avoided;
use crate::journey::Journey;
use crate::links::Links;
use crate::pool::Pool;
use crate::record::RouteKey;
use crate::refuse::Refused;
use crate::rooms::{Policy, Rooms};
use crate::settings::Settings;
use crate::upstream::Upstream;
use crate::{admit, fork, forward, hop, local, metrics, route, target};

/// The proxy: takes what the sockets receive and sends it on its road.
#[derive(Clone)]
pub struct Proxy {
    rooms: Arc<Rooms>,
}

impl Proxy {
    /// A proxy over these rooms. `links` is where indirected content goes; without it nothing is linked.
    pub fn new(
        settings: Settings,
        profiles: Profiles,
        key: RouteKey,
        endpoint: Endpoint,
        registrar: Arc<Registrar>,
        links: Option<Arc<dyn Links>>,
        pool: Arc<Pool>,
    ) -> Proxy {
        let permits = Arc::new(Semaphore::new(settings.in_progress.min(Semaphore::MAX_PERMITS)));
        let sockets = endpoint.local_addrs().into_iter().map(|(_, addr)| addr).collect();
        let policy = Policy::new(settings, profiles, sockets).into();
        let policy = arc_swap::ArcSwap::new(policy);
        let avoided = Avoided::default();
        Proxy { rooms: Arc::new(Rooms { policy, key, endpoint, registrar, avoided, links, pool, permits }) }
    }

    /// Puts other rules in force for requests that come from now on. How many may be on their road stays.
    pub fn reconfigure(&self, settings: Settings, profiles: Profiles) {
        let sockets = self.rooms.endpoint.local_addrs().into_iter().map(|(_, addr)| addr).collect();
        self.rooms.policy.store(Arc::new(Policy::new(settings, profiles, sockets)));
    }
}

/// The stages, in their order (ARCHITECTURE.md, the life of a message). Each takes what the one before it made.
///
/// | stage | value | RFC 3261 |
/// |---|---|---|
/// | [`admit`] | the second part of our branches | §16.3 |
/// | [`route`] | the way | §16.4 |
/// | [`local`] | our own answer, if we are the recipient | §10.3, §11 |
/// | [`target`] | targets with their bindings | §16.5 |
/// | [`fork`] | one branch per target, and the best answer | §16.6, §16.7 |
/// | [`crate::capability`] | what each terminal can show | CPI.md 1.7 |
/// | [`crate::tailor`] | plan, links, transformed body | CPI.md 3 |
/// | [`hop`], [`crate::branch`] | forwarded over UDP or TCP | §16.6 |
/// | [`crate::upstream`] | the answer goes back | §16.7 |
async fn travel(journey: Arc<Journey>, mut upstream: Upstream) {
    let recipient = local::is_recipient(&journey.request, journey.place(&journey.request.uri()));
    let admitted = match admit::check(&journey, recipient) {
        Ok(admitted) => admitted,
        Err(refused) => return upstream.refuse(&refused),
    };
    let way = match way(&journey) {
        Ok(way) => way,
        Err(refused) => return upstream.refuse(&refused),
    };
    if let Some(reply) = local::answer(&journey, &way).await {
        return upstream.reply(&reply);
    }
    let groups = match target::find(&journey, &way) {
        Ok(groups) => groups,
        Err(refused) => return upstream.refuse(&refused),
    };
    fork::run(journey, way, admitted.second_part, groups, upstream).await;
}

fn way(journey: &Journey) -> Result<route::Way, Refused> {
    let request = &journey.request;
    let routes: Vec<&[u8]> = request.values(HeaderId::Route).collect();
    let local = journey.flow.local.ip();
    route::preprocess(
        &request.uri(),
        &routes,
        request.call_id(),
        &journey.policy.ours,
        &journey.rooms.key,
        local,
    )
}

impl Handler for Proxy {
    fn request(&self, request: Request, transaction: ServerTransaction) {
        let permit = Arc::clone(&self.rooms.permits).try_acquire_owned();
        let journey = Arc::new(Journey::begin(Arc::clone(&self.rooms), request, transaction.flow()));
        let mut upstream = Upstream::new(Arc::clone(&journey), transaction);
        let Ok(permit) = permit else { return upstream.refuse(&Refused::Busy) };
        tokio::spawn(async move {
            travel(journey, upstream).await;
            drop(permit);
        });
    }

    fn ack(&self, request: Request, flow: Flow) {
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
    let targets = target::find(journey, &way)?;
    let target = targets.iter().flatten().flatten().next().ok_or(Refused::Unavailable)?;
    let breadth = fork::breadth(journey);
    if breadth == 0 {
        return Err(Refused::Breadth);
    }
    let hop = hop::find(journey, &way, target).await?.into_iter().next().ok_or(Refused::Unreachable)?;
    let draft = forward::draft(journey, &way, target, breadth);
    journey.rooms.endpoint.send_stateless(draft, hop.destination, Some(&admitted.second_part));
    Ok(())
}
