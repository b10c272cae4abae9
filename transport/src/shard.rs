//! A shard: one task with its own table of transactions, driven by the UDP sockets it reads, two bounded queues
//! and the clock.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;

use sip::transaction::{Event, Id, Sending, Settings, Table};
use sip::{Encoded, Method, Request, Response};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::client::Events;
use crate::datagram::{Inlet, Leaving};
use crate::mailbox::Refused;
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::stream::{Blame, Connection, Goal, Known, Outbound};
use crate::wiring::Wiring;
use crate::{
    ClientEvent, Destination, Flow, Handler, Protocol, ServerTransaction, TransportError, arrival, datagram,
};

/// The clock as the machines know it.
type Clock = std::time::Instant;

/// Room in the queue of a client transaction's user that provisional responses don't take.
const KEPT_FOR_FINALS: usize = 4;

/// Inputs taken in one go before the clock is looked at again.
const BATCH: usize = 64;

thread_local! {
    /// The shard that has this thread to itself, if one has.
    static OF_THIS_WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The shard of the worker that this is called on; `None` on a thread that is no worker's.
pub(crate) fn of_this_worker() -> Option<usize> {
    OF_THIS_WORKER.get()
}

/// A valid message for a shard. Boxed where it arrives, because it is handed on often and its index is large.
#[derive(Debug)]
pub(crate) enum Arrival {
    Request { request: Box<Request>, peer: Peer, reliable: bool },
    Response { response: Box<Response>, flow: Flow },
}

/// What the users of a shard's transactions want.
#[derive(Debug)]
pub(crate) enum Order {
    Respond {
        id: Id,
        octets: Encoded,
        /// Its user answers repetitions of the request.
        once: bool,
    },
    Abandon {
        id: Id,
    },
    Fail {
        id: Id,
    },
    Request(Box<NewRequest>),
    Stateless {
        octets: Encoded,
        destination: Destination,
    },
    Cancel {
        branch: String,
    },
    Failed {
        id: Id,
        error: TransportError,
    },
    /// A response that its connection did not take.
    Redirect {
        id: Id,
        octets: Encoded,
        to: Box<Goal>,
    },
    Unreachable {
        method: Vec<u8>,
        branch: Vec<u8>,
        error: TransportError,
    },
    Drain,
    /// How many transactions have no final response yet.
    CountWaiting(oneshot::Sender<usize>),
}

/// A request of ours on its way to its shard.
#[derive(Debug)]
pub(crate) struct NewRequest {
    pub(crate) method: Vec<u8>,
    pub(crate) branch: String,
    pub(crate) octets: Encoded,
    pub(crate) destination: Destination,
    pub(crate) events: Events,
}

/// The queue of messages into a shard.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals(mpsc::Sender<Arrival>);

impl Arrivals {
    /// Puts it in, or drops and counts it: a datagram that is lost is sent again.
    pub(crate) fn offer(&self, arrival: Arrival, metrics: &Metrics) {
        if self.0.try_send(arrival).is_err() {
            metrics.queue_full.add_one();
        }
    }

    /// Puts it in as soon as there is room.
    pub(crate) async fn wait(&self, arrival: Arrival) {
        // The shard is gone only when the endpoint has stopped.
        let _stopped = self.0.send(arrival).await;
    }
}

/// The queue of orders into a shard. It holds several for each transaction the table may have, so that it is
/// not full unless the shard is stuck.
#[derive(Clone, Debug)]
pub(crate) struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// A queue that leads nowhere.
    pub(crate) fn closed() -> Self {
        Self(mpsc::channel(1).0)
    }

    /// Puts it in. After the endpoint has stopped nobody misses it.
    pub(crate) fn give(&self, order: Order) -> bool {
        match self.0.try_send(order) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::error!("a shard's queue of orders is full, an order is lost");
                false
            }
        }
    }
}

/// The far ends of a shard's queues, until it starts.
#[derive(Debug)]
pub(crate) struct Inbox {
    arrivals: mpsc::Receiver<Arrival>,
    orders: mpsc::Receiver<Order>,
}

/// The queues of one shard.
pub(crate) fn queues(arrivals: usize, transactions: usize) -> (Arrivals, Orders, Inbox) {
    let (arrivals, arrivals_end) = mpsc::channel(arrivals.max(1));
    let (orders, orders_end) = mpsc::channel(1024 + 4 * transactions);
    (Arrivals(arrivals), Orders(orders), Inbox { arrivals: arrivals_end, orders: orders_end })
}

/// Who waits for what a transaction does.
#[derive(Debug)]
enum User {
    Server(CancellationToken),
    Client(Events),
}

pub(crate) struct Shard {
    table: Table<Peer, User>,
    wiring: Arc<Wiring>,
    handler: Arc<dyn Handler>,
    number: usize,
    orders: Orders,
    inlet: Inlet,
    /// Datagrams of this turn.
    leaving: Vec<Leaving>,
    connections: Known,
    /// Where head and body of a datagram are joined.
    scratch: Vec<u8>,
    /// Sends that failed while events were drained.
    failures: Vec<(Id, TransportError)>,
    /// Of the message in hand: what a handler is told with an ACK or a stray response.
    flow: Option<Flow>,
    /// Of the transaction that is told of an error.
    error: TransportError,
}

impl Shard {
    pub(crate) fn new(wiring: Arc<Wiring>, handler: Arc<dyn Handler>, number: usize) -> Self {
        let config = &wiring.config;
        let table = Table::new(Settings {
            timers: config.timers,
            transactions: config.transactions_per_shard(),
            retry_after: config.retry_after,
        });
        let error = TransportError::FlowClosed;
        let orders = wiring.shards.get(number).map_or_else(Orders::closed, |queues| queues.orders.clone());
        let sockets = wiring.datagrams.get(number).cloned().unwrap_or_default();
        Self {
            table,
            wiring,
            handler,
            number,
            orders,
            inlet: Inlet::new(sockets),
            leaving: Vec::with_capacity(BATCH),
            connections: Known::default(),
            scratch: Vec::new(),
            failures: Vec::new(),
            flow: None,
            error,
        }
    }

    /// Lives until the endpoint stops. Orders go before messages, so that work in hand is finished first.
    pub(crate) async fn run(mut self, mut inbox: Inbox) {
        if !self.wiring.config.workers.is_empty() {
            OF_THIS_WORKER.set(Some(self.number));
        }
        let mut orders = Vec::with_capacity(BATCH);
        let mut arrivals = Vec::with_capacity(BATCH);
        let stop = self.wiring.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        let mut clock = Alarm::new();
        loop {
            clock.set(self.table.deadline());
            let mut readable = false;
            tokio::select! {
                biased;
                () = &mut stopped => return,
                _ = inbox.orders.recv_many(&mut orders, BATCH) => {}
                () = clock.rings() => {}
                () = self.inlet.readable() => readable = true,
                _ = inbox.arrivals.recv_many(&mut arrivals, BATCH) => {}
            }
            let now = Instant::now().into_std();
            if self.table.deadline().is_some_and(|deadline| deadline <= now) {
                self.table.on_timeout(now);
                self.settle(now);
            }
            for order in orders.drain(..) {
                self.order(now, order);
                self.settle(now);
            }
            if readable {
                self.read(now);
            }
            for arrival in arrivals.drain(..) {
                self.arrive(now, arrival);
                self.settle(now);
            }
            self.flush(now);
        }
    }

    /// Sends the datagrams of this turn, and those that come of it that some did not leave.
    fn flush(&mut self, now: Clock) {
        while !self.leaving.is_empty() {
            self.send_leaving();
            self.settle(now);
        }
    }

    fn send_leaving(&mut self) {
        let (metrics, failures) = (&self.wiring.metrics, &mut self.failures);
        datagram::send_all(&self.leaving, &mut self.scratch, |id, sent| match sent {
            Ok(()) => metrics.messages_out.add_one(),
            Err(error) => {
                metrics.send_errors.add_one();
                if error == TransportError::QueueFull {
                    metrics.send_queue_full.add_one();
                }
                failures.extend(id.map(|id| (id, error)));
            }
        });
        self.leaving.clear();
    }

    /// Takes what the sockets have. What belongs to another shard goes through its queue.
    fn read(&mut self, now: Clock) {
        let wiring = Arc::clone(&self.wiring);
        let mut inlet = std::mem::take(&mut self.inlet);
        inlet.read(|socket, octets, source| {
            let Some((shard, arrival)) = arrival::datagram(&wiring, socket, octets, source) else { return };
            if shard == self.number {
                self.arrive(now, arrival);
                self.settle(now);
            } else if let Some(other) = wiring.shards.get(shard) {
                other.arrivals.offer(arrival, &wiring.metrics);
            }
        });
        self.inlet = inlet;
    }

    fn arrive(&mut self, now: Clock, arrival: Arrival) {
        match arrival {
            Arrival::Request { request, peer, reliable } => {
                let flow = peer.flow();
                self.flow = Some(flow);
                let admits = |request: &Request| self.handler.admits(request, flow);
                self.table.on_request_if(now, request, peer, reliable, admits);
            }
            Arrival::Response { response, flow } => {
                self.flow = Some(flow);
                self.table.on_response(now, response);
            }
        }
    }

    fn order(&mut self, now: Clock, order: Order) {
        match order {
            Order::Respond { id, octets, once } => self.respond(now, id, octets, once),
            Order::Abandon { id } => self.table.abandon(now, id),
            Order::Fail { id } => self.table.fail(now, id),
            Order::Request(new) => self.request(now, *new),
            Order::Stateless { octets, destination } => {
                let sent = self.peer(&destination).and_then(|peer| self.send(None, octets, &peer));
                if sent.is_err() {
                    self.wiring.metrics.send_errors.add_one();
                }
            }
            Order::Cancel { branch } => {
                if let Some(id) = self.table.client(branch.as_bytes(), b"INVITE") {
                    self.table.cancel(now, id);
                }
            }
            Order::Failed { id, error } => self.failures.push((id, error)),
            Order::Redirect { id, octets, to } => {
                let blame = Blame { orders: self.orders.clone(), id, otherwise: None };
                let sent = self.connect(&to, Outbound::new(octets, Some(blame)));
                self.failures.extend(sent.err().map(|error| (id, error)));
            }
            Order::Unreachable { method, branch, error } => {
                let found = self.table.client(&branch, &method);
                self.failures.extend(found.map(|id| (id, error)));
            }
            Order::Drain => self.table.drain(),
            // The one who asked may have gone.
            Order::CountWaiting(answer) => drop(answer.send(self.table.waiting())),
        }
    }

    /// A final response that no datagram can hold becomes a 500: left alone it would fail at every repetition,
    /// and the sender would never hear of it.
    fn respond(&mut self, now: Clock, id: Id, octets: Encoded, once: bool) {
        let by_datagram = matches!(self.table.peer(id), Some(Peer::Datagram { .. }));
        if by_datagram && octets.len() > datagram::LONGEST_PAYLOAD {
            self.wiring.metrics.send_errors.add_one();
            if octets.status().is_some_and(|status| status >= 200) {
                self.table.fail(now, id);
            }
            return;
        }
        let taken = match once {
            true => self.table.respond_once(now, id, octets),
            false => self.table.respond(now, id, octets),
        };
        if taken.is_err() {
            self.wiring.metrics.late_responses.add_one();
        }
    }

    fn request(&mut self, now: Clock, new: NewRequest) {
        let NewRequest { method, branch, octets, destination, events } = new;
        let begun = self.peer(&destination).and_then(|peer| {
            let reliable = destination.protocol().is_reliable();
            let sending = Sending { method: &method, branch: branch.as_bytes(), octets, peer, reliable };
            let user = Some(User::Client(events.clone()));
            self.table.request(now, sending, user).map_err(|_full| {
                self.wiring.metrics.transactions_refused.add_one();
                TransportError::Limit
            })
        });
        if let Err(error) = begun {
            // A user who went away already misses nothing.
            let _gone = events.give(ClientEvent::TransportError(error));
        }
    }

    fn peer(&mut self, destination: &Destination) -> Result<Peer, TransportError> {
        if destination.protocol() == Protocol::Udp {
            return self.wiring.datagram_peer(self.number, destination);
        }
        let Destination::Flow(flow) = destination else {
            return Ok(Peer::Stream { to: Goal::of(destination)? });
        };
        let found = self.connections.of_flow(&self.wiring, flow);
        let connection = found.ok_or(TransportError::FlowClosed)?;
        Ok(Peer::Connection { connection, otherwise: None })
    }

    /// Does what the table wants until it wants nothing.
    fn settle(&mut self, now: Clock) {
        loop {
            while let Some(event) = self.table.poll() {
                self.event(event);
            }
            let Some((id, error)) = self.failures.pop() else { return };
            self.error = error;
            self.table.on_transport_error(now, id);
        }
    }

    fn event(&mut self, event: Event<Peer>) {
        match event {
            Event::Send { id, octets, peer } => {
                if let Err(error) = self.send(id, octets, &peer) {
                    self.wiring.metrics.send_errors.add_one();
                    self.failures.extend(id.map(|id| (id, error)));
                }
            }
            Event::Request { id, request } => self.hand_over(id, request),
            Event::Ack { request } => {
                if let Some(flow) = self.flow {
                    self.handler.ack(*request, flow);
                }
            }
            Event::Cancelled { id } => {
                if let Some(User::Server(cancelled)) = self.table.user(id) {
                    cancelled.cancel();
                }
            }
            Event::Response { id, response } => self.deliver(id, response),
            Event::Stray { response } => {
                self.wiring.metrics.stray_responses.add_one();
                if let Some(flow) = self.flow {
                    self.handler.stray_response(*response, flow);
                }
            }
            Event::Expired { id } => match self.table.user(id) {
                // Nobody waits for the answer any more.
                Some(User::Server(over)) => over.cancel(),
                _ => self.tell(id, ClientEvent::Timeout),
            },
            Event::Failed { id } => self.tell(id, ClientEvent::TransportError(self.error)),
            Event::Refused => self.wiring.metrics.transactions_refused.add_one(),
            Event::Ended { .. } => {}
        }
    }

    fn hand_over(&mut self, id: Id, request: Box<Request>) {
        let Some(flow) = self.table.peer(id).map(Peer::flow) else { return };
        let cancelled = CancellationToken::new();
        self.table.attach(id, User::Server(cancelled.clone()));
        let repeated = self.table.is_repetition(id);
        let transaction = ServerTransaction::new(id, self.orders.clone(), flow, cancelled, repeated);
        if request.method() == Method::Cancel {
            self.handler.cancel(*request, transaction);
        } else {
            self.handler.request(*request, transaction);
        }
    }

    /// A provisional response leaves room in the queue for those that matter.
    fn deliver(&mut self, id: Id, response: Box<Response>) {
        let Some(User::Client(events)) = self.table.user(id) else { return };
        let is_over = response.status() >= 300 || (response.status() >= 200 && !is_invite(&response));
        if response.is_provisional() && events.room() <= KEPT_FOR_FINALS {
            return self.wiring.metrics.user_queue_full.add_one();
        }
        if events.give(ClientEvent::Response(response)) == Err(Refused::Full) {
            self.wiring.metrics.user_queue_full.add_one();
        }
        if is_over {
            // The machine lives on to absorb repetitions; its user need not wait for that.
            self.table.detach(id);
        }
    }

    fn tell(&self, id: Id, event: ClientEvent) {
        if let Some(User::Client(events)) = self.table.user(id) {
            // A user who went away misses nothing, and the queue has room kept for this.
            let _gone = events.give(event);
        }
    }

    fn send(&mut self, id: Option<Id>, octets: Encoded, peer: &Peer) -> Result<(), TransportError> {
        let blame = |otherwise: Option<&Goal>| {
            id.map(|id| Blame { orders: self.orders.clone(), id, otherwise: otherwise.cloned() })
        };
        let sent = match peer {
            Peer::Datagram { socket, to, .. } => {
                self.leaving.push(Leaving { socket: Arc::clone(socket), octets, to: *to, id });
                if self.leaving.len() >= BATCH {
                    self.send_leaving();
                }
                return Ok(());
            }
            Peer::Connection { connection, otherwise } => {
                let outbound = Outbound::new(octets, blame(otherwise.as_ref()));
                match (connection.send(outbound), otherwise) {
                    (Ok(()), _) => Ok(()),
                    // RFC 3261 §18.2.2: the connection of the request is gone.
                    (Err((outbound, TransportError::FlowClosed)), Some(to)) => {
                        self.connect(to, outbound.going_nowhere_else())
                    }
                    (Err((_, error)), _) => Err(error),
                }
            }
            Peer::Stream { to } => self.connect(to, Outbound::new(octets, blame(None))),
        };
        match sent {
            Ok(()) => self.wiring.metrics.messages_out.add_one(),
            Err(TransportError::QueueFull) => self.wiring.metrics.send_queue_full.add_one(),
            Err(_) => {}
        }
        sent
    }

    fn connect(&mut self, to: &Goal, outbound: Outbound) -> Result<(), TransportError> {
        match self.towards(to)?.send(outbound) {
            // It closed in this very moment, and is not found a second time.
            Err((outbound, TransportError::FlowClosed)) => {
                self.towards(to)?.send(*outbound).map_err(|(_, error)| error)
            }
            sent => sent.map_err(|(_, error)| error),
        }
    }

    fn towards(&mut self, to: &Goal) -> Result<Arc<Connection>, TransportError> {
        self.connections.towards(&self.wiring, to)
    }
}

fn is_invite(response: &Response) -> bool {
    response.cseq().method == Method::Invite
}

/// A timer that is set anew at every turn, and costs something only when its time changes.
struct Alarm {
    at: Option<Clock>,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn new() -> Self {
        Self { at: None, sleep: Box::pin(sleep_until(Instant::now())) }
    }

    fn set(&mut self, at: Option<Clock>) {
        if let Some(at) = at.filter(|_| at != self.at) {
            self.sleep.as_mut().reset(Instant::from_std(at));
        }
        self.at = at;
    }

    async fn rings(&mut self) {
        match self.at {
            Some(_) => self.sleep.as_mut().await,
            None => std::future::pending().await,
        }
    }
}
