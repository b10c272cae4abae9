//! Forwarding to the contacts of a user and choosing among their answers (RFC 3261 §16.6, §16.7): drives the
//! `course` of a request with branches over real sockets.

use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use adapter::{Plan, Verdict};
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use sip::{HeaderId, Method, Outgoing, Response};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::branch::{Branch, Event, Reports};
use crate::breadth;
use crate::capability;
use crate::context::{Best, Ending, Final, Step};
use crate::course::Course;
use crate::forward;
use crate::journey::Journey;
use crate::offline;
use crate::prefer;
use crate::record::RouteKey;
use crate::redirect::Asked;
use crate::refuse::Refused;
use crate::route::Way;
use crate::search::{self, Start};
use crate::settings::ForkMode;
use crate::silent::Silent;
use crate::tailor::{Kept, Order, Stored};
use crate::target::{Groups, Target};
use crate::upstream::{Answer, Upstream};

/// How long a message may go without an answer before it is kept: its sender waits 64*T1 = 32 s, and over
/// UDP asks every 4 s, so that an answer which is lost is still asked for.
const KEEP_AFTER: Duration = Duration::from_secs(24);

/// When nobody waits for an answer to anything but an INVITE any more: 64*T1 (Timer F).
const GIVEN_UP: Duration = Duration::from_secs(32);

/// What runs for a request beside others: all of it in the request's own task.
type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A piece of work is through.
enum Done {
    /// Branches that start together are ready to.
    Ready(Vec<(search::Branch, Ready)>),
    /// These broke off; nothing more comes of them.
    Broken(Vec<search::Branch>),
    /// A branch has reported all there was.
    Over,
}

/// What all branches of a request share.
struct Fork {
    journey: Arc<Journey>,
    way: Arc<Way>,
    second_part: Arc<str>,
    /// Cancels the branches of an INVITE.
    cancel: CancellationToken,
    /// A 2xx does not cancel the others (RFC 3841 §9.1).
    no_cancel: bool,
    reports: Reports,
    course: Course<Target, Answer>,
    upstream: Upstream,
    /// Whom the request went to, so that redirections end.
    asked: Asked,
    /// When a message nobody has taken is kept, so that its sender hears of it before he gives up.
    keep_at: Option<Instant>,
    /// Where it is kept, while its branches run on.
    kept: Option<offline::Place>,
}

/// Forwards the request and sends the best answer upstream. Groups come the most preferred first.
pub(crate) async fn run(
    journey: Arc<Journey>,
    way: Way,
    second_part: String,
    groups: Groups,
    mut upstream: Upstream,
) {
    let breadth = breadth(&journey);
    if breadth == 0 {
        return upstream.refuse(&Refused::Breadth);
    }
    let invite = journey.is_invite();
    let pace = journey.policy.settings.next_after;
    let mut fork = Fork {
        way: Arc::new(way),
        second_part: second_part.into(),
        cancel: CancellationToken::new(),
        no_cancel: prefer::disposition(&journey.request).no_cancel,
        reports: Reports::default(),
        asked: Asked::default(),
        course: Course::new(invite, groups, breadth, pace),
        upstream,
        keep_at: may_keep(&journey).then(|| Instant::now() + KEEP_AFTER),
        kept: None,
        journey,
    };
    fork.drive().await;
    fork.finish().await;
}

/// Whether it may be a message to keep; what `offline` says of it takes longer and is asked when it matters.
fn may_keep(journey: &Journey) -> bool {
    journey.request.method() == Method::Message
        && !journey.from_store
        && journey.policy.settings.offline.store
}

/// How many branches of this request may run at once.
pub(crate) fn breadth(journey: &Journey) -> u32 {
    let asked = journey.request.header(HeaderId::MaxBreadth).and_then(grammar::decimal);
    breadth::incoming(asked.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
}

impl Fork {
    /// Until no branch runs and none is left to start.
    async fn drive(&mut self) {
        let mut work = FuturesUnordered::new();
        let mut now = Instant::now();
        loop {
            while let Some((branch, event)) = self.reports.take() {
                self.take(branch, event, now);
            }
            if self.upstream.is_cancelled() || self.is_given_up(now) {
                self.course.stop();
            }
            let starts = self.course.start(now);
            if !starts.is_empty() {
                let mut ready = self.prepare(starts);
                // Nearly always nothing has to be waited for.
                match ready.as_mut().now_or_never() {
                    Some(done) => self.done(done, &mut work),
                    None => work.push(ready),
                }
                continue;
            }
            if work.is_empty() {
                return;
            }
            let deadline = self.course.deadline().into_iter().chain(self.keep_at).min();
            tokio::select! {
                biased;
                done = turn(&mut work, &self.reports) => {
                    if let Some(done) = done {
                        self.done(done, &mut work);
                    }
                }
                () = self.upstream.cancelled(), if !self.cancel.is_cancelled() => self.cancel.cancel(),
                () = until(deadline) => {
                    now = Instant::now();
                    self.course.on_timeout(now);
                    if self.keep_at.is_some_and(|at| at <= now) {
                        self.keep_at = None;
                        Box::pin(self.keep()).await;
                    }
                }
            }
            now = Instant::now();
        }
    }

    /// Whether the sender has given up: what is started now would reach somebody of whom he never hears.
    fn is_given_up(&self, now: Instant) -> bool {
        let waits = self.journey.is_invite() || self.journey.from_store || self.kept.is_some();
        !waits && self.journey.age_at(now) >= GIVEN_UP
    }

    /// Nobody has taken the message for long: keeps it and tells the sender so, while the branches run on.
    async fn keep(&mut self) {
        if self.upstream.is_told() || !self.course.unreached() {
            return;
        }
        if let Some((Some(place), reply)) = offline::keep(&self.journey, &self.way).await {
            self.upstream.reply(&reply);
            self.kept = Some(place);
        }
    }

    /// All branches have ended.
    async fn finish(mut self) {
        if let Some(place) = self.kept {
            // The sender knows that it is kept. What a terminal said after all decides whether it stays.
            return Box::pin(offline::answered(&self.journey, &place, outcome(&self.course.best()))).await;
        }
        let best = self.course.best();
        if may_keep(&self.journey)
            && best.as_ref().is_some_and(offline::unreached)
            && !self.upstream.is_cancelled()
            && let Some((_, reply)) = Box::pin(offline::keep(&self.journey, &self.way)).await
        {
            return self.upstream.reply(&reply);
        }
        self.upstream.finish(best);
    }

    fn done(&mut self, done: Done, work: &mut FuturesUnordered<Work>) {
        match done {
            Done::Ready(ready) => {
                for (branch, ready) in ready {
                    if self.course.is_stopped() || self.upstream.is_cancelled() {
                        // While it was made ready another answered, or the caller gave up.
                        self.settle(branch, Ending::TimedOut);
                    } else {
                        work.push(self.launch(branch, ready));
                    }
                }
            }
            // A branch that broke off must not end in silence.
            Done::Broken(branches) => {
                for branch in branches {
                    let reply = Refused::Broken.reply(&self.journey.policy.settings);
                    self.settle(branch, Ending::Answered(Answer::Made(reply)));
                }
            }
            Done::Over => {}
        }
    }

    fn take(&mut self, branch: search::Branch, event: Event, now: Instant) {
        match event {
            Event::Sent => self.course.sent(branch, now),
            Event::Provisional(response) => {
                if self.course.heard(branch, response.status()) {
                    self.upstream.forward(&response, &[]);
                }
            }
            Event::Redirected(response, named_by) => self.redirect(branch, response, named_by),
            Event::Ended(ending) => self.settle(branch, ending),
        }
    }

    fn settle(&mut self, branch: search::Branch, ending: Ending<Answer>) {
        match &ending {
            Ending::Answered(answer) => self.journey.note(|| format!("branch {}", answer.status())),
            Ending::TimedOut => self.journey.note(|| "branch silent".to_owned()),
            Ending::Failed(_) => {}
        }
        match self.course.ended(branch, ending) {
            Step::Forward(answer) => {
                self.upstream.answer(&answer);
                if !self.no_cancel {
                    self.cancel.cancel();
                }
            }
            Step::Stop => self.cancel.cancel(),
            Step::Go | Step::Drop => {}
        }
    }

    /// A terminal at `named_by` names others in its place.
    fn redirect(&mut self, branch: search::Branch, response: Box<Response>, named_by: IpAddr) {
        let asked = (!self.course.is_stopped())
            .then(|| self.asked.follow(&self.journey, &self.way, &response, named_by))
            .flatten();
        match asked {
            Some(groups) => {
                self.journey.note(|| format!("branch {}, followed", response.status()));
                self.course.redirected(branch, groups);
            }
            None => self.settle(branch, Ending::Answered(Answer::Received(response))),
        }
    }

    /// The branches that start together with their capabilities and plans.
    fn prepare(&self, starts: Vec<Start<Target>>) -> Work {
        let (journey, way) = (Arc::clone(&self.journey), Arc::clone(&self.way));
        let branches: Vec<_> = starts.iter().map(|start| start.branch).collect();
        // Beside others it may be linked although it fits (CPI.md I2).
        let starts = match <[_; 1]>::try_from(starts) {
            Ok([Start { branch, target, breadth }]) => {
                let ready = async move { Ready::get(&journey, &way, target, breadth, true).await };
                return guarded(ready.map(move |ready| Done::Ready(vec![(branch, ready)])), branches);
            }
            Err(starts) => starts,
        };
        let ready = async move {
            let getting = starts.into_iter().map(|Start { branch, target, breadth }| {
                Ready::get(&journey, &way, target, breadth, false).map(move |ready| (branch, ready))
            });
            let mut ready = join_all(getting).await;
            link_all(&journey, &mut ready);
            Done::Ready(ready)
        };
        guarded(ready, branches)
    }

    fn launch(&self, branch: search::Branch, ready: Ready) -> Work {
        let running = Box::new(Branch {
            name: branch,
            journey: Arc::clone(&self.journey),
            way: Arc::clone(&self.way),
            target: ready.target,
            draft: ready.draft,
            head: ready.head,
            added: ready.added,
            via: ready.via,
            order: ready.order,
            plan: ready.plan,
            kept: ready.kept,
            made: Vec::new(),
            stored: Stored::default(),
            second_part: Arc::clone(&self.second_part),
            cancel: self.cancel.clone(),
            reports: self.reports.clone(),
            silent: Silent::default(),
        });
        guarded(running.run().map(|()| Done::Over), vec![branch])
    }
}

/// How a message ended that was kept meanwhile.
fn outcome(best: &Option<Best<Answer>>) -> offline::Outcome {
    match best {
        // A 2xx has come.
        None => offline::Outcome::Answered(200),
        Some(Best::Answer { best: Answer::Received(response), .. }) => {
            offline::Outcome::Answered(response.status())
        }
        Some(_) => offline::Outcome::Silence,
    }
}

/// Work that takes no other with it when it panics.
fn guarded(work: impl Future<Output = Done> + Send + 'static, branches: Vec<search::Branch>) -> Work {
    Box::pin(AssertUnwindSafe(work).catch_unwind().map(|done| done.unwrap_or(Done::Broken(branches))))
}

/// Until a piece of work is through, or what runs has told something.
async fn turn(work: &mut FuturesUnordered<Work>, reports: &Reports) -> Option<Done> {
    poll_fn(|context| match work.poll_next_unpin(context) {
        Poll::Ready(Some(done)) => Poll::Ready(Some(done)),
        Poll::Ready(None) | Poll::Pending if !reports.is_empty() => Poll::Ready(None),
        Poll::Ready(None) | Poll::Pending => Poll::Pending,
    })
    .await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Where one of several branches needs a change and all take links: links for all (CPI.md I2).
fn link_all(journey: &Journey, ready: &mut [(search::Branch, Ready)]) {
    if journey.policy.settings.fork != ForkMode::Indirect || ready.len() < 2 {
        return;
    }
    let needed = ready.iter().any(|(_, one)| one.needs_change());
    if needed && ready.iter().all(|(_, one)| one.accepts_links()) {
        for (_, one) in ready {
            one.order = one.order.as_ref().map(|order| Box::new(order.linked()));
            one.plan = None;
        }
    }
}

/// A branch with all that is known before it starts.
struct Ready {
    target: Target,
    draft: Arc<Outgoing>,
    head: usize,
    added: usize,
    via: usize,
    order: Option<Box<Order>>,
    plan: Option<Box<Plan>>,
    kept: Option<Kept>,
}

impl Ready {
    async fn get(journey: &Journey, way: &Way, target: Target, share: u32, is_alone: bool) -> Ready {
        let cpi = capability::of(journey, way, &target).await;
        let draft = Arc::new(forward::draft(journey, way, &target, share));
        let via = octets_to_come(journey);
        let received = journey.request.raw().head().len();
        let head = draft.head_len() + via;
        let added = head.saturating_sub(received);
        if is_alone && Order::is_needless(journey, way, &target, cpi.as_deref(), head) {
            return Ready {
                target,
                draft,
                head,
                added,
                via,
                order: None,
                plan: None,
                kept: Some(Kept { cpi }),
            };
        }
        let order = Order::new(journey, way, &target, cpi, head);
        let order = match order {
            Some(order) => Some(Box::new(Box::pin(order.with_fetched(journey)).await)),
            None => None,
        };
        let plan = match &order {
            Some(order) => Some(Box::new(Box::pin(order.plan(None)).await)),
            None => None,
        };
        Ready { target, draft, head, added, via, order, plan, kept: None }
    }

    fn needs_change(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.verdict() != Verdict::Unchanged)
    }

    fn accepts_links(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.accepts_links())
    }
}

/// Octets of what is put on top when a branch leaves, at most: our Via, and our Record-Route.
fn octets_to_come(journey: &Journey) -> usize {
    const ALL_BUT_SENT_BY: usize = "Via: SIP/2.0/UDP ;branch=z9hG4bKffff-;rport\r\n".len() + 16 + 16 + 1 + 16;
    let longest = journey.rooms.endpoint.longest_sent_by();
    let record = if forward::is_recorded(&journey.request) { RouteKey::record_octets(longest) } else { 0 };
    ALL_BUT_SENT_BY + longest + record
}
