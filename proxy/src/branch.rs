//! One branch: its body, its way out, and what came back (RFC 3261 §16.6 steps 7 to 11, §16.8, §16.9).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use adapter::Plan;
use sip::{HeaderId, Method, Outgoing, Response};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use transport::{ClientEvent, ClientTransaction, TransportError};

use crate::capability;
use crate::context::Ending;
use crate::forward;
use crate::hop::{self, Hop};
use crate::journey::Journey;
use crate::metrics;
use crate::refuse::Refused;
use crate::route::Way;
use crate::search;
use crate::silent::{Late, Silent};
use crate::tailor::{self, Kept, Order, Stored};
use crate::target::Target;
use crate::upstream::Answer;

/// The longest datagram there is (RFC 768, IPv4 without options).
const LONGEST_DATAGRAM: usize = 65_507;

/// What a branch tells the response context.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its request leaves.
    Sent,
    /// A provisional response to an INVITE.
    Provisional(Box<Response>),
    /// The terminal of a user, at that address, names others in its place.
    Redirected(Box<Response>, IpAddr),
    /// It has ended; an INVITE may end several times with a 2xx.
    Ended(Ending<Answer>),
}

/// A branch that is ready to go.
pub(crate) struct Branch {
    /// What the search calls it.
    pub(crate) name: search::Branch,
    pub(crate) journey: Arc<Journey>,
    pub(crate) way: Arc<Way>,
    pub(crate) target: Target,
    /// The request with its new head and the body as received.
    pub(crate) draft: Arc<Outgoing>,
    /// Octets of its head, our Via and Record-Route included.
    pub(crate) head: usize,
    /// Octets we added to the head, our Via and Record-Route included.
    pub(crate) added: usize,
    /// Octets of our Via and our Record-Route.
    pub(crate) via: usize,
    /// What is to be made of the body; `None`: it passes untouched.
    pub(crate) order: Option<Box<Order>>,
    /// The plan for that order, if it was made already.
    pub(crate) plan: Option<Box<Plan>>,
    /// There if the body is one that stays as it is: what the order is made of should it be asked for yet.
    pub(crate) kept: Option<Kept>,
    /// What was made of the order, by the octets there were for the whole message: made once, sent as
    /// often as needed.
    pub(crate) made: Vec<(Option<u64>, Arc<Outgoing>)>,
    /// Content that was stored for it.
    pub(crate) stored: Stored,
    pub(crate) second_part: Arc<str>,
    pub(crate) cancel: CancellationToken,
    pub(crate) reports: Reports,
    /// Requests to addresses that were silent, and still are.
    pub(crate) silent: Silent,
}

/// What became of one attempt to send.
enum Attempt {
    Answered(Box<Response>, ClientTransaction),
    /// One that was silent before has answered after all.
    Late(Hop, Box<Response>, ClientTransaction),
    /// Nothing came for as long as this hop was to be waited for.
    Silent(ClientTransaction),
    TimedOut,
    Failed(TransportError),
    Refused(Refused),
}

impl Branch {
    /// Sends the request and reports until nothing more comes.
    pub(crate) async fn run(mut self: Box<Self>) {
        let hops = match hop::find(&self.journey, &self.way, &self.target).await {
            Ok(hops) => hops,
            // A contact without an address gives way to another of its terminal.
            Err(refused) => return self.end_failed(&refused),
        };
        let rooms = Arc::clone(&self.journey.rooms);
        let hops = rooms.avoided.order(hops, Instant::now());
        let settings = &self.journey.policy.settings;
        let (avoid, pace) = (settings.avoid_failed, search::pace(settings.next_after, hops.len()));
        let alone = hops.len() == 1;
        let mut timed_out = false;
        let mut left = hops.into_iter().peekable();
        // RFC 3263 §4.3: a 503, a failure of the transport and silence lead to the next address.
        while let Some(hop) = left.next() {
            let patience = left.peek().map(|_| pace);
            let cause = match self.over(&hop, patience).await {
                Attempt::Answered(response, transaction) => {
                    if response.status() != 503 {
                        rooms.avoided.works(&hop);
                        return self.end(response, transaction).await;
                    }
                    rooms.avoided.refused(&hop, &response, Instant::now(), avoid);
                    if left.peek().is_none() {
                        return self.end(response, transaction).await;
                    }
                    "503"
                }
                Attempt::Late(hop, response, transaction) => {
                    rooms.avoided.works(&hop);
                    return self.end(response, transaction).await;
                }
                Attempt::Refused(refused) => return self.end_refused(&refused),
                Attempt::Silent(transaction) => {
                    rooms.avoided.failed(&hop, Instant::now(), avoid);
                    self.silent.leave(hop, transaction);
                    "silent"
                }
                Attempt::TimedOut => {
                    timed_out = true;
                    break;
                }
                Attempt::Failed(error) => {
                    self.journey.note(|| format!("not sent: {error}"));
                    if !alone {
                        rooms.avoided.failed(&hop, Instant::now(), avoid);
                    }
                    "failed"
                }
            };
            if left.peek().is_some() {
                metrics::failover(cause);
                self.journey.note(|| format!("next address: {cause}"));
            }
        }
        Box::pin(self.wait_for_silent(timed_out)).await;
    }

    /// All addresses were tried: what is still open may answer yet.
    async fn wait_for_silent(&mut self, mut timed_out: bool) {
        let timer_c = Instant::now() + self.journey.policy.settings.timer_c;
        let mut cancelled = false;
        while !self.silent.is_empty() {
            tokio::select! {
                late = self.silent.next() => match late {
                    Late::Answered(_, response, transaction) => return self.end(response, transaction).await,
                    Late::Over => timed_out = true,
                },
                () = self.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.silent.cancel();
                }
                () = sleep_until(timer_c), if !cancelled => {
                    cancelled = true;
                    self.silent.cancel();
                }
            }
        }
        match timed_out {
            true => self.tell(Event::Ended(Ending::TimedOut)),
            false => self.end_failed(&Refused::Unreachable),
        }
    }

    /// Over one hop, with one more attempt if the terminal's refusal teaches what it can show (rule L8).
    async fn over(&mut self, hop: &Hop, patience: Option<Duration>) -> Attempt {
        let (first, sent) = self.send_fitting(hop, patience).await;
        let Attempt::Answered(refusal, transaction) = first else { return first };
        let Some(sent) = sent else { return Attempt::Answered(refusal, transaction) };
        if !self.learn(&refusal, &sent) {
            return Attempt::Answered(refusal, transaction);
        }
        Box::pin(self.again(hop, refusal, transaction, sent)).await
    }

    /// The attempt after a refusal that taught what the terminal can show.
    async fn again(
        &mut self,
        hop: &Hop,
        refusal: Box<Response>,
        transaction: ClientTransaction,
        sent: Arc<Outgoing>,
    ) -> Attempt {
        match self.body(None).await {
            Ok(outgoing) if outgoing.body() != sent.body() => {}
            // Nothing else can be made of it: the terminal's own answer counts.
            _ => return Attempt::Answered(refusal, transaction),
        }
        self.journey.note(|| format!("learned from {}", refusal.status()));
        match self.send_fitting(hop, None).await {
            (second @ (Attempt::Answered(..) | Attempt::Late(..)), _) => second,
            // A second attempt that comes to nothing must not lose the first one's answer.
            _ => Attempt::Answered(refusal, transaction),
        }
    }

    fn learn(&mut self, refusal: &Response, sent: &Outgoing) -> bool {
        if !matches!(refusal.status(), 413 | 415 | 513) {
            return false;
        }
        self.order_after_all();
        let (Some(order), Some(binding)) = (&self.order, &self.target.binding) else { return false };
        let body = sent.body().len();
        let message = sent.head_len() + self.via + body;
        let Some(cpi) = capability::learn(&self.journey, binding, refusal, body, message) else {
            return false;
        };
        self.order = Some(Box::new(order.relearned(cpi)));
        self.stored.refused();
        self.plan = None;
        self.made.clear();
        true
    }

    /// Sends over a transport that the request's size allows (CPI.md 3.4 B2), and gives what was sent.
    async fn send_fitting(
        &mut self,
        hop: &Hop,
        patience: Option<Duration>,
    ) -> (Attempt, Option<Arc<Outgoing>>) {
        let outgoing = match self.body(None).await {
            Ok(outgoing) => outgoing,
            Err(refused) => return (Attempt::Refused(refused), None),
        };
        if !hop.is_datagram() || hop::fits_datagram(self.octets(&outgoing), self.added) {
            return (self.send(&outgoing, hop, patience).await, Some(outgoing));
        }
        Box::pin(self.send_otherwise(outgoing, hop, patience)).await
    }

    /// Sends what is too long for a datagram.
    async fn send_otherwise(
        &mut self,
        outgoing: Arc<Outgoing>,
        hop: &Hop,
        patience: Option<Duration>,
    ) -> (Attempt, Option<Arc<Outgoing>>) {
        if let Some(tcp) = hop.over_tcp() {
            match self.send(&outgoing, &tcp, patience).await {
                Attempt::Failed(error) => self.journey.note(|| format!("no TCP: {error}")),
                other => return (other, Some(outgoing)),
            }
        }
        match self.fit_datagram(outgoing).await {
            Ok(outgoing) => (self.send(&outgoing, hop, patience).await, Some(outgoing)),
            Err(refused) => (Attempt::Refused(refused), None),
        }
    }

    /// The request as a datagram must have it where there is no TCP: a body we may adapt is made to fit,
    /// another MESSAGE is refused (RFC 3428 §8). Other methods go as they are, which RFC 3261 §18.1.1 wants
    /// tried when TCP was refused.
    async fn fit_datagram(&mut self, outgoing: Arc<Outgoing>) -> Result<Arc<Outgoing>, Refused> {
        self.order_after_all();
        if self.order.is_some() {
            return self.body(u64::try_from(hop::DATAGRAM).ok()).await;
        }
        let is_message = self.journey.request.method() == Method::Message;
        if !is_message && self.octets(&outgoing) <= LONGEST_DATAGRAM {
            return Ok(outgoing);
        }
        Err(Refused::Unacceptable {
            status: 513,
            reason: "The message does not fit the only way to this terminal".into(),
            headers: Vec::new(),
        })
    }

    /// The request with its body adapted, within `message` octets if given.
    async fn body(&mut self, message: Option<u64>) -> Result<Arc<Outgoing>, Refused> {
        if let Some((_, made)) = self.made.iter().find(|(limit, _)| *limit == message) {
            return Ok(Arc::clone(made));
        }
        if self.order.is_none() {
            return Ok(Arc::clone(&self.draft));
        }
        Box::pin(self.adapted(message)).await
    }

    async fn adapted(&mut self, message: Option<u64>) -> Result<Arc<Outgoing>, Refused> {
        let mut outgoing = Arc::clone(&self.draft);
        let Some(order) = &self.order else { return Ok(outgoing) };
        let (order, plan) = match self.plan.take().filter(|_| message.is_none()) {
            Some(plan) => (Order::clone(order), *plan),
            None => {
                let order = Box::pin(order.renewed().with_fetched(&self.journey)).await;
                let plan = order.plan(message).await;
                (order, plan)
            }
        };
        if let Some(adapted) = order.carry_out(&self.journey, plan, message, &mut self.stored).await? {
            tailor::apply(Arc::make_mut(&mut outgoing), &adapted);
        }
        self.made.push((message, Arc::clone(&outgoing)));
        Ok(outgoing)
    }

    /// The order for a body that was found to stay as it is, now that something is to be made of it.
    fn order_after_all(&mut self) {
        if let Some(Kept { cpi }) = self.kept.take() {
            let order = Order::new(&self.journey, &self.way, &self.target, cpi, self.head);
            self.order = order.map(Box::new);
        }
    }

    fn octets(&self, outgoing: &Arc<Outgoing>) -> usize {
        let is_draft = Arc::ptr_eq(outgoing, &self.draft);
        let head = if is_draft { self.head } else { outgoing.head_len() + self.via };
        head + outgoing.body().len()
    }

    /// One client transaction, with Timer C for an INVITE (§16.6 step 11, §16.8). Without any response it is
    /// waited for no longer than `patience`.
    async fn send(&mut self, outgoing: &Outgoing, hop: &Hop, patience: Option<Duration>) -> Attempt {
        let endpoint = &self.journey.rooms.endpoint;
        metrics::branch(hop.destination.protocol());
        let recorded = forward::is_recorded(&self.journey.request).then(|| {
            let mut recorded = outgoing.clone();
            let onward = forward::onward(&self.target, &hop.destination);
            forward::record_route(&self.journey, &mut recorded, &onward);
            recorded
        });
        let outgoing = recorded.as_ref().unwrap_or(outgoing);
        let mut transaction =
            endpoint.request_marked(outgoing, hop.destination.clone(), Some(&self.second_part));
        self.tell(Event::Sent);
        let invite = self.journey.is_invite();
        let timer_c_anew = || invite.then(|| Instant::now() + self.journey.policy.settings.timer_c);
        let mut timer_c = timer_c_anew();
        let (mut proceeding, mut cancelled) = (false, false);
        let silent_at = patience.map(|patience| Instant::now() + patience);
        loop {
            tokio::select! {
                event = transaction.next() => match event {
                    Some(ClientEvent::Response(response)) if response.is_provisional() => {
                        proceeding = true;
                        if response.status() > 100 {
                            timer_c = timer_c_anew();
                        }
                        if !invite || self.has_way_back(&response) {
                            self.tell(Event::Provisional(response));
                        }
                    }
                    Some(ClientEvent::Response(response)) => return Attempt::Answered(response, transaction),
                    Some(ClientEvent::TransportError(error)) => return Attempt::Failed(error),
                    Some(ClientEvent::Timeout) | None => return Attempt::TimedOut,
                },
                late = self.silent.next(), if !self.silent.is_empty() => {
                    // A late 503 says nothing of the address that is being tried now.
                    if let Late::Answered(late, response, answered) = late && response.status() != 503 {
                        self.silent.leave(hop.clone(), transaction);
                        return Attempt::Late(late, response, answered);
                    }
                }
                () = until(silent_at), if !proceeding && !cancelled => return Attempt::Silent(transaction),
                () = self.cancel.cancelled(), if invite && !cancelled => {
                    cancelled = true;
                    transaction.cancel();
                    self.silent.cancel();
                }
                () = until(timer_c), if !cancelled => {
                    if !proceeding {
                        return Attempt::TimedOut;
                    }
                    cancelled = true;
                    transaction.cancel();
                }
            }
        }
    }

    /// Reports the final response, and every further 2xx to an INVITE (RFC 6026 §7.2), those of addresses that
    /// were taken for silent included.
    async fn end(&mut self, response: Box<Response>, mut transaction: ClientTransaction) {
        self.silent.cancel();
        if !self.has_way_back(&response) {
            return self.end_refused(&Refused::BadAnswer);
        }
        let is_invite = self.journey.is_invite();
        let more = is_invite && response.status() < 300;
        let event = match &self.target.binding {
            Some(binding) if (300..=302).contains(&response.status()) => {
                Event::Redirected(response, binding.source.remote.ip())
            }
            _ => Event::Ended(Ending::Answered(Answer::Received(response))),
        };
        self.tell(event);
        while is_invite && !self.silent.is_empty() {
            if let Late::Answered(_, response, _) = self.silent.next().await
                && response.status() < 300
                && self.has_way_back(&response)
            {
                self.tell(Event::Ended(Ending::Answered(Answer::Received(response))));
            }
        }
        while more && let Some(event) = transaction.next().await {
            let ClientEvent::Response(response) = event else { return };
            if !self.has_way_back(&response) {
                continue;
            }
            self.tell(Event::Ended(Ending::Answered(Answer::Received(response))));
        }
    }

    /// Whether a response has a Via below ours, or ends here anyway.
    fn has_way_back(&self, response: &Response) -> bool {
        self.journey.from_store || response.values(HeaderId::Via).nth(1).is_some()
    }

    fn end_refused(&self, refused: &Refused) {
        self.journey.note(|| refused.to_string());
        let reply = refused.reply(&self.journey.policy.settings);
        self.tell(Event::Ended(Ending::Answered(Answer::Made(reply))));
    }

    fn end_failed(&self, refused: &Refused) {
        self.journey.note(|| refused.to_string());
        let reply = refused.reply(&self.journey.policy.settings);
        self.tell(Event::Ended(Ending::Failed(Answer::Made(reply))));
    }

    fn tell(&self, event: Event) {
        self.reports.push(self.name, event);
    }
}

/// What the branches of a request have told the response context, which takes it whenever they have run: all of
/// them are one task. So there is no more in it than they told in one turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports(Arc<Mutex<VecDeque<(search::Branch, Event)>>>);

impl Reports {
    fn push(&self, branch: search::Branch, event: Event) {
        self.queue().push_back((branch, event));
    }

    pub(crate) fn take(&self) -> Option<(search::Branch, Event)> {
        self.queue().pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<(search::Branch, Event)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
