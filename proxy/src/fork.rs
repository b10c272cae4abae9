//! Forwarding to the targets and choosing among their answers: groups of equal preference one after the
//! other, each in parallel as far as Max-Breadth lets it (RFC 3261 §16.6, §16.7, RFC 5393 §5.3).

use std::sync::Arc;

use adapter::{Plan, Verdict};
use sip::{HeaderId, Outgoing};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::Protocol;

use crate::branch::{Branch, Event};
use crate::breadth;
use crate::capability;
use crate::context::{Context, Ending, Step};
use crate::forward;
use crate::journey::Journey;
use crate::refuse::Refused;
use crate::route::Way;
use crate::settings::ForkMode;
use crate::tailor::Order;
use crate::target::Target;
use crate::upstream::{Answer, Upstream};

/// Events that may wait for the response context.
const EVENTS: usize = 32;

/// What all branches of a request share.
struct Fork {
    journey: Arc<Journey>,
    way: Arc<Way>,
    second_part: Arc<str>,
}

/// Forwards the request and sends the best answer upstream. Targets come the most preferred first.
pub(crate) async fn run(
    journey: Arc<Journey>,
    way: Way,
    second_part: String,
    targets: Vec<Target>,
    mut upstream: Upstream,
) {
    let breadth = breadth(&journey);
    if breadth == 0 {
        return upstream.refuse(&Refused::Breadth);
    }
    let mut context = Context::new(journey.is_invite());
    let fork = Fork { journey, way: Arc::new(way), second_part: second_part.into() };
    for group in targets.chunk_by(|a, b| a.q == b.q) {
        let mut rest = group;
        for shares in breadth::waves(breadth, group.len()) {
            let (wave, left) = rest.split_at_checked(shares.len()).unwrap_or((rest, &[]));
            rest = left;
            if context.stopped() || upstream.is_cancelled() {
                break;
            }
            fork.wave(wave, &shares, &mut context, &mut upstream).await;
        }
    }
    upstream.finish(context.best());
}

/// How many branches of this request may run at once.
pub(crate) fn breadth(journey: &Journey) -> u32 {
    let asked = journey.request.header(HeaderId::MaxBreadth).and_then(grammar::decimal);
    breadth::incoming(asked.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
}

impl Fork {
    /// Branches that run at the same time.
    async fn wave(
        &self,
        targets: &[Target],
        shares: &[u32],
        context: &mut Context<Answer>,
        upstream: &mut Upstream,
    ) {
        let (events, mut incoming) = mpsc::channel(EVENTS);
        let cancel = CancellationToken::new();
        for ready in self.ready(targets, shares).await {
            let branch = Branch {
                journey: Arc::clone(&self.journey),
                way: Arc::clone(&self.way),
                target: ready.target,
                draft: ready.draft,
                added: ready.added,
                via: ready.via,
                order: ready.order,
                plan: ready.plan,
                made: Vec::new(),
                second_part: Arc::clone(&self.second_part),
                cancel: cancel.clone(),
                events: events.clone(),
            };
            tokio::spawn(branch.run());
        }
        drop(events);
        let mut ended = 0;
        loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    Some(event) => {
                        ended += usize::from(matches!(event, Event::Ended(_)));
                        self.take(event, context, upstream, &cancel);
                    }
                    None => break,
                },
                () = upstream.cancelled(), if !cancel.is_cancelled() => cancel.cancel(),
            }
        }
        for _ in ended..targets.len() {
            // A branch that broke off must not end in silence.
            let reply = Refused::Broken.reply(&self.journey.policy.settings.host);
            context.settle(Ending::Answered(Answer::Made(reply)));
        }
    }

    fn take(
        &self,
        event: Event,
        context: &mut Context<Answer>,
        upstream: &mut Upstream,
        cancel: &CancellationToken,
    ) {
        match event {
            Event::Provisional(response) if context.forwards_provisional(response.status()) => {
                upstream.forward(&response, &[]);
            }
            Event::Provisional(_) => {}
            Event::Ended(ending) => {
                if let Ending::Answered(answer) = &ending {
                    let status = crate::context::Final::status(answer);
                    self.journey.note(|| format!("branch {status}"));
                }
                match context.settle(ending) {
                    Step::Forward(answer) => {
                        upstream.answer(&answer);
                        cancel.cancel();
                    }
                    Step::Stop => cancel.cancel(),
                    Step::Go | Step::Drop => {}
                }
            }
        }
    }

    /// The branches of a wave with their capabilities and plans; where one needs a change and all take
    /// links, links for all (CPI.md I2).
    async fn ready(&self, targets: &[Target], shares: &[u32]) -> Vec<Ready> {
        let mut getting: Vec<JoinHandle<Ready>> = Vec::with_capacity(targets.len());
        for (target, share) in targets.iter().zip(shares) {
            let (journey, way) = (Arc::clone(&self.journey), Arc::clone(&self.way));
            getting.push(tokio::spawn(Ready::get(journey, way, target.clone(), *share)));
        }
        let mut ready = Vec::with_capacity(getting.len());
        for one in getting {
            // One that broke counts as a branch that broke.
            ready.extend(one.await.ok());
        }
        let indirect = self.journey.policy.settings.fork == ForkMode::Indirect && ready.len() > 1;
        if indirect && ready.iter().any(Ready::needs_change) && ready.iter().all(Ready::accepts_links) {
            for one in &mut ready {
                one.order = one.order.as_ref().map(Order::linked);
                one.plan = None;
            }
        }
        ready
    }
}

/// A branch with all that is known before it starts.
struct Ready {
    target: Target,
    draft: Outgoing,
    added: usize,
    via: usize,
    order: Option<Order>,
    plan: Option<Plan>,
}

impl Ready {
    async fn get(journey: Arc<Journey>, way: Arc<Way>, target: Target, share: u32) -> Ready {
        let cpi = capability::of(&journey, &way, &target).await;
        let draft = forward::draft(&journey, &way, &target, share);
        let via = via_octets(&journey);
        let received = journey.request.raw().head().len();
        let added = (draft.head_len() + via).saturating_sub(received);
        let order = Order::new(&journey, &way, &target, cpi, &draft, via);
        let plan = match &order {
            Some(order) => Some(order.plan(None).await),
            None => None,
        };
        Ready { target, draft, added, via, order, plan }
    }

    fn needs_change(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.verdict() != Verdict::Unchanged)
    }

    fn accepts_links(&self) -> bool {
        self.order.as_ref().is_some_and(Order::accepts_links)
    }
}

/// Octets of the Via we will put on top, at most.
fn via_octets(journey: &Journey) -> usize {
    const ALL_BUT_SENT_BY: usize = "Via: SIP/2.0/UDP ;branch=z9hG4bKffff-;rport\r\n".len() + 16 + 16 + 1 + 16;
    let endpoint = &journey.rooms.endpoint;
    let longest = Protocol::ALL.into_iter().filter_map(|protocol| endpoint.sent_by(protocol));
    ALL_BUT_SENT_BY + longest.map(|sent_by| sent_by.len()).max().unwrap_or(0)
}
