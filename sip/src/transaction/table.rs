//! The transactions of one shard: finds the machine a message belongs to, keeps its timers, bounds the number.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::key::{Digested, Key, Keys};
use super::machine::Machine;
use super::queue::TimerQueue;
use super::slab::Slab;
use super::spent::Spent;
use super::{Action, Event, Full, Id, RespondError, Sending, Settings, Turn, hop, key};
use crate::answer::acknowledges_stateless_answer;
use crate::{Encoded, Framed, HeaderId, Limits, RawMessage, Request, Response, ResponseBuilder, frame};

/// A table of transactions. `P` is what the transport needs to reach the other end, `U` what the
/// transaction's user left with it. See the module for the loop.
#[derive(Debug)]
pub struct Table<P, U> {
    settings: Settings,
    entries: Slab<Entry<P, U>>,
    index: HashMap<Key, Id, Digested>,
    timers: TimerQueue,
    events: VecDeque<Event<P>>,
    actions: VecDeque<Action<Encoded>>,
    spent: Spent,
    keys: Keys,
    /// Where what identifies a transaction is put together.
    identity: Vec<u8>,
    draining: bool,
}

#[derive(Debug)]
struct Entry<P, U> {
    machine: Machine,
    key: Key,
    peer: P,
    user: Option<U>,
    /// The earliest wake-up that stands in the timer queue.
    armed: Option<Instant>,
    /// Of a server transaction, until it is answered: what an automatic 100 answers.
    request: Option<Box<Asked>>,
    /// Whether the request was answered once, in a transaction that is spent.
    repeated: bool,
    /// Of an INVITE we sent.
    sent: Option<Box<Sent>>,
}

/// What the ACK and the CANCEL of an INVITE are made of.
#[derive(Debug)]
struct Sent {
    head: Bytes,
    branch: Box<[u8]>,
}

/// A request as it came: seldom asked for again, and then read again.
#[derive(Clone, Debug)]
struct Asked {
    octets: Bytes,
    source: Option<SocketAddr>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self { octets: request.raw().octets().clone(), source: request.raw().source() }
    }

    fn read(self) -> Option<RawMessage> {
        // It was inside the limits once.
        let Ok(Framed::Message(mut raw)) = frame::datagram(self.octets, &Limits::NONE) else { return None };
        if let Some(source) = self.source {
            raw.set_source(source);
        }
        Some(raw)
    }
}

/// The message that [`Action::Deliver`] means.
enum Given {
    Nothing,
    Ack(Box<Request>),
    Response(Box<Response>),
}

/// Inputs.
impl<P: Clone, U> Table<P, U> {
    /// An empty table.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            entries: Slab::new(),
            index: HashMap::default(),
            timers: TimerQueue::default(),
            events: VecDeque::new(),
            actions: VecDeque::new(),
            spent: Spent::default(),
            keys: Keys::default(),
            identity: Vec::new(),
            draining: false,
        }
    }

    /// A request came from `peer`, to which its responses go.
    pub fn on_request(&mut self, now: Instant, request: impl Into<Box<Request>>, peer: P, reliable: bool) {
        self.on_request_if(now, request.into(), peer, reliable, |_| true);
    }

    /// As [`Self::on_request`], for a user who takes a new request only if `admits` says so; another one is
    /// answered 503 and costs no transaction. A CANCEL and what belongs to a transaction is not asked about.
    pub fn on_request_if(
        &mut self,
        now: Instant,
        request: Box<Request>,
        peer: P,
        reliable: bool,
        admits: impl FnOnce(&Request) -> bool,
    ) {
        let method = request.method();
        if method.as_bytes() == b"ACK" {
            return self.on_ack(now, request);
        }
        let key = self.server_key(&request, method.as_bytes());
        if let Some(&id) = self.index.get(&key) {
            return self.turn(now, id, Given::Nothing, Machine::on_request);
        }
        let repeated = self.spent.holds(key, now, self.settings.timers.transaction());
        let is_cancel = method.as_bytes() == b"CANCEL";
        if self.entries.len() >= self.settings.transactions {
            return self.on_request_when_full(&request, peer);
        }
        if !is_cancel && (self.draining || !admits(&request)) {
            return self.refuse(&request, peer);
        }
        let turn = Turn::new(now, &self.settings.timers, &mut self.actions);
        let machine = Machine::server(method.as_bytes(), reliable, &turn);
        let invite = if is_cancel { self.invite_of(&request) } else { None };
        let entry = Entry {
            request: Some(Box::new(Asked::of(&request))),
            repeated,
            ..Entry::new(machine, key, peer, None, None)
        };
        let Ok(id) = self.insert(entry) else { return };
        match invite {
            Some(invite) => self.on_cancel(now, id, invite, &request),
            None => self.events.push_back(Event::Request { id, request }),
        }
    }

    fn on_ack(&mut self, now: Instant, request: Box<Request>) {
        match self.invite_of(&request) {
            Some(id) => self.turn(now, id, Given::Ack(request), Machine::on_ack),
            // Of a 503 or 400 that was sent without a transaction: it must not be forwarded.
            None if acknowledges_stateless_answer(&request) => {}
            None => self.events.push_back(Event::Ack { request }),
        }
    }

    /// There is no room for a transaction. A CANCEL makes room soon, so it is served without one.
    fn on_request_when_full(&mut self, request: &Request, peer: P) {
        let is_cancel = request.method().as_bytes() == b"CANCEL";
        let Some(invite) = is_cancel.then(|| self.invite_of(request)).flatten() else {
            return self.refuse(request, peer);
        };
        let octets = ResponseBuilder::to_request(request, 200, "OK").encode();
        self.events.push_back(Event::Send { id: None, octets, peer });
        self.tell_cancelled(invite);
    }

    /// RFC 3261 §9.2: the CANCEL is answered here, and has no effect after the final response.
    fn on_cancel(&mut self, now: Instant, id: Id, invite: Id, request: &Request) {
        let answer = ResponseBuilder::to_request(request, 200, "OK").encode();
        if self.respond(now, id, answer).is_ok() {
            self.tell_cancelled(invite);
        }
    }

    fn tell_cancelled(&mut self, invite: Id) {
        if self.entries.get(invite).is_some_and(|entry| entry.machine.is_waiting()) {
            self.events.push_back(Event::Cancelled { id: invite });
        }
    }

    /// The INVITE an ACK or a CANCEL goes with.
    fn invite_of(&mut self, request: &Request) -> Option<Id> {
        let key = self.server_key(request, b"INVITE");
        self.index.get(&key).copied()
    }

    fn server_key(&mut self, request: &Request, method: &[u8]) -> Key {
        key::server(request, method, &mut self.identity);
        self.keys.of(&self.identity)
    }

    fn client_key(&mut self, branch: &[u8], method: &[u8]) -> Key {
        key::client(branch, method, &mut self.identity);
        self.keys.of(&self.identity)
    }

    /// A response came.
    pub fn on_response(&mut self, now: Instant, response: impl Into<Box<Response>>) {
        let response = response.into();
        let branch = response.branch().unwrap_or_default();
        let Some(id) = self.client(branch, response.cseq().method.as_bytes()) else {
            self.events.push_back(Event::Stray { response });
            return;
        };
        let sent = self.entries.get(id).and_then(|entry| Some(entry.sent.as_ref()?.head.clone()));
        let sent = sent.unwrap_or_default();
        let status = response.status();
        // The machine reads the To while the response waits to be delivered.
        let to = response.header(HeaderId::To).map(|to| response.raw().octets().slice_ref(to));
        self.turn(now, id, Given::Response(response), |machine, turn| {
            machine.on_response(status, &sent, &to.unwrap_or_default(), turn);
        });
    }

    /// The client transaction of a branch, as an ICMP error quotes it.
    pub fn client(&mut self, branch: &[u8], method: &[u8]) -> Option<Id> {
        let key = self.client_key(branch, method);
        self.index.get(&key).copied()
    }

    /// Sends a request in a transaction of its own.
    ///
    /// # Errors
    /// [`Full`]: nothing was sent.
    pub fn request(&mut self, now: Instant, sending: Sending<'_, P>, user: Option<U>) -> Result<Id, Full> {
        let Sending { method, branch, octets, peer, reliable } = sending;
        if self.entries.len() >= self.settings.transactions {
            return Err(Full);
        }
        let of_invite = || Box::new(Sent { head: octets.head.clone(), branch: branch.into() });
        let sent = (method == b"INVITE").then(of_invite);
        let mut turn = Turn::new(now, &self.settings.timers, &mut self.actions);
        let machine = Machine::client(method, octets, reliable, &mut turn);
        let key = self.client_key(branch, method);
        let inserted = self.insert(Entry::new(machine, key, peer, user, sent));
        match inserted {
            Ok(id) => self.settle(now, id, Given::Nothing),
            Err(Full) => self.actions.clear(),
        }
        inserted
    }

    /// The user's response to a request.
    ///
    /// # Errors
    /// [`RespondError`]: it was not sent.
    pub fn respond(&mut self, now: Instant, id: Id, octets: Encoded) -> Result<(), RespondError> {
        let status = octets.status().ok_or(RespondError::NotAResponse)?;
        let mut result = Err(RespondError::Late);
        self.turn(now, id, Given::Nothing, |machine, turn| {
            result = machine.respond(status, octets, turn);
        });
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.machine.is_waiting()) {
            // Its octets would pin the receive buffer for as long as the transaction absorbs repetitions.
            entry.request = None;
        }
        result
    }

    /// The user's final response to a request that it can answer again itself, in the same way: it is sent and the
    /// transaction ends, whatever the transport. A repetition makes a new one, of which [`Self::is_repetition`]
    /// holds for as long as the old one would have lasted. Deviation from RFC 3261 §17.2.2, where the transaction
    /// repeats the response: it would hold the response for 32 s.
    ///
    /// # Errors
    /// [`RespondError`]: it was not sent.
    pub fn respond_once(&mut self, now: Instant, id: Id, octets: Encoded) -> Result<(), RespondError> {
        self.respond(now, id, octets)?;
        if let Some(entry) = self.entries.get(id).filter(|entry| entry.machine.is_completed()) {
            let lasting = self.settings.timers.transaction();
            self.spent.add(entry.key, now, lasting, self.settings.transactions);
        }
        self.turn(now, id, Given::Nothing, Machine::finish);
        Ok(())
    }

    /// The user will not answer this non-INVITE request (RFC 4320 §4.2); repetitions are absorbed.
    pub fn abandon(&mut self, now: Instant, id: Id) {
        self.turn(now, id, Given::Nothing, Machine::abandon);
    }

    /// The user went away without an answer: 500, if one is still owed.
    pub fn fail(&mut self, now: Instant, id: Id) {
        if let Some(request) = self.asked(id) {
            let answer = ResponseBuilder::to_request(&request, 500, "Server Internal Error").encode();
            // Too late is as good as answered.
            let _late = self.respond(now, id, answer);
        }
    }

    /// The user wants an INVITE of ours cancelled.
    pub fn cancel(&mut self, now: Instant, id: Id) {
        self.turn(now, id, Given::Nothing, Machine::cancel);
    }

    /// A message of this transaction could not be sent.
    pub fn on_transport_error(&mut self, now: Instant, id: Id) {
        self.turn(now, id, Given::Nothing, Machine::on_transport_error);
    }

    /// The clock came to [`Self::deadline`] or went past it.
    pub fn on_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.timers.pop_due(now) {
            let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.armed == Some(at)) else {
                continue;
            };
            entry.armed = None;
            self.turn(now, id, Given::Nothing, Machine::on_timeout);
        }
    }

    /// From now on new requests are answered 503; what is under way goes on.
    pub const fn drain(&mut self) {
        self.draining = true;
    }
}

/// Outputs.
impl<P: Clone, U> Table<P, U> {
    /// The next thing to do. The one who polls has to take all of them before the next input.
    pub fn poll(&mut self) -> Option<Event<P>> {
        let event = self.events.pop_front()?;
        if let Event::Ended { id } = event {
            self.forget(id);
        }
        Some(event)
    }

    /// When [`Self::on_timeout`] must be called next. It may turn out that nothing was due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What the user left with a transaction.
    pub fn user(&self, id: Id) -> Option<&U> {
        self.entries.get(id)?.user.as_ref()
    }

    /// Leaves something with a transaction.
    pub fn attach(&mut self, id: Id, user: U) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.user = Some(user);
        }
    }

    /// The user has what it waited for.
    pub fn detach(&mut self, id: Id) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.user = None;
        }
    }

    /// The other end of a transaction.
    pub fn peer(&self, id: Id) -> Option<&P> {
        self.entries.get(id).map(|entry| &entry.peer)
    }

    /// Whether the request of this transaction repeats one that was answered by [`Self::respond_once`].
    pub fn is_repetition(&self, id: Id) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.repeated)
    }

    /// Transactions, finished ones that absorb repetitions included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Transactions whose final response has not come or not gone yet. Looks at all of them.
    pub fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.machine.is_waiting()).count()
    }
}

impl<P: Clone, U> Table<P, U> {
    fn refuse(&mut self, request: &Request, peer: P) {
        let retry_after = self.settings.retry_after.to_string();
        let octets = ResponseBuilder::to_request(request, 503, "Service Unavailable")
            .header(HeaderId::RetryAfter, retry_after.as_bytes())
            .encode();
        self.events.push_back(Event::Refused);
        self.events.push_back(Event::Send { id: None, octets, peer });
    }

    fn insert(&mut self, entry: Entry<P, U>) -> Result<Id, Full> {
        let key = entry.key;
        let id = self.entries.insert(entry, self.settings.transactions).ok_or(Full)?;
        self.index.insert(key, id);
        self.arm(id);
        Ok(id)
    }

    /// Gives a machine one input and does what it wants.
    fn turn(
        &mut self,
        now: Instant,
        id: Id,
        given: Given,
        input: impl FnOnce(&mut Machine, &mut Turn<'_, Encoded>),
    ) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let mut turn = Turn::new(now, &self.settings.timers, &mut self.actions);
        input(&mut entry.machine, &mut turn);
        self.settle(now, id, given);
    }

    fn settle(&mut self, now: Instant, id: Id, mut given: Given) {
        while let Some(action) = self.actions.pop_front() {
            let Some(entry) = self.entries.get(id) else { continue };
            match action {
                Action::Send(octets) => {
                    self.events.push_back(Event::Send { id: Some(id), octets, peer: entry.peer.clone() });
                }
                Action::Deliver => match std::mem::replace(&mut given, Given::Nothing) {
                    Given::Ack(request) => self.events.push_back(Event::Ack { request }),
                    Given::Response(response) => self.events.push_back(Event::Response { id, response }),
                    Given::Nothing => {}
                },
                Action::Trying => self.trying(now, id),
                Action::Cancel => self.send_cancel(now, id),
                Action::Expired => self.events.push_back(Event::Expired { id }),
                Action::Failed => self.events.push_back(Event::Failed { id }),
                Action::Terminated => {
                    self.index.remove(&entry.key);
                    self.events.push_back(Event::Ended { id });
                }
            }
        }
        self.arm(id);
    }

    /// The request of a server transaction that is not answered yet.
    fn asked(&self, id: Id) -> Option<RawMessage> {
        self.entries.get(id)?.request.as_deref().cloned()?.read()
    }

    /// Answers 100 for a user who thinks. The machine sends nothing more in this turn.
    fn trying(&mut self, now: Instant, id: Id) {
        if let Some(request) = self.asked(id) {
            let octets = ResponseBuilder::to_request(&request, 100, "Trying").encode();
            // A machine that asks for a 100 takes it.
            self.turn(now, id, Given::Nothing, |machine, turn| {
                let _taken = machine.respond(100, octets, turn);
            });
        }
    }

    /// The CANCEL has a transaction of its own with the INVITE's branch (RFC 3261 §9.1), in which no one waits
    /// for the answer. If there is no room for it, it goes once and without.
    fn send_cancel(&mut self, now: Instant, id: Id) {
        let Some(entry) = self.entries.get(id) else { return };
        let (Machine::InviteClient(invite), Some(sent)) = (&entry.machine, &entry.sent) else { return };
        let octets = Encoded { head: hop::cancel(&sent.head), body: Bytes::new() };
        let (peer, branch) = (entry.peer.clone(), sent.branch.clone());
        let reliable = invite.is_reliable();
        let copy = octets.clone();
        // The turn of the INVITE goes on behind this one: its remaining actions wait.
        let rest = std::mem::take(&mut self.actions);
        let sending = Sending { method: b"CANCEL", branch: &branch, octets, peer: peer.clone(), reliable };
        if self.request(now, sending, None).is_err() {
            self.events.push_back(Event::Send { id: None, octets: copy, peer });
        }
        self.actions = rest;
    }

    /// Puts the machine's deadline into the timer queue, unless an earlier entry will look at it anyway.
    fn arm(&mut self, id: Id) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(deadline) = entry.machine.deadline() else { return };
        if entry.armed.is_none_or(|armed| deadline < armed) {
            entry.armed = Some(deadline);
            self.timers.push(deadline, id);
        }
    }

    fn forget(&mut self, id: Id) {
        self.entries.remove(id);
        let entries = &self.entries;
        self.timers
            .sweep(entries.len(), |at, id| entries.get(id).is_some_and(|entry| entry.armed == Some(at)));
    }
}

impl<P, U> Entry<P, U> {
    const fn new(machine: Machine, key: Key, peer: P, user: Option<U>, sent: Option<Box<Sent>>) -> Self {
        Self { machine, key, peer, user, armed: None, request: None, repeated: false, sent }
    }
}
