//! What a table of transactions promises its user and the other end, held against every event.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sip::Encoded;
use sip::transaction::{Event, Full, Id, RespondError, Timers};

/// Requests of one client, at most: Timer A doubles without bound (§17.1.1.2), Timer E stops at T2 (§17.1.2.2).
const INVITES: usize = 7;
const OTHERS: usize = 11;

/// Ended transactions whose ids are kept to be used wrongly.
const DEAD: usize = 8;

/// The input an event follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Request,
    /// Whether the user's response was taken.
    Respond(bool),
    Send,
    Response(u16),
    Timeout,
    Cancel,
    TransportError,
}

pub(super) struct Model {
    alive: BTreeMap<Id, Seen>,
    dead: Vec<Id>,
    /// Ended since the last input: they make room only once their end was taken.
    ending: usize,
    limit: usize,
    draining: bool,
    /// Before this no 100 may answer a request other than INVITE over UDP (RFC 4320 §4.1).
    quiet: Duration,
    /// Of the transport that the request now given in came over.
    pub(super) reliable: bool,
}

/// What was seen of one transaction.
struct Seen {
    server: bool,
    invite: bool,
    reliable: bool,
    began: Option<Instant>,
    /// The request's copies that went out, of a client.
    copies: usize,
    provisional: bool,
    /// The final response that went out, of a server.
    answer: Option<Encoded>,
    outcome: Option<Outcome>,
    /// Of a server: its user said that no answer will come.
    abandoned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Final(u16),
    Expired,
    Failed,
}

impl Model {
    pub(super) fn new(limit: usize, timers: &Timers) -> Self {
        let quiet = timers.e_reaches_t2();
        let (alive, dead) = (BTreeMap::new(), Vec::new());
        Self { alive, dead, ending: 0, limit, draining: false, quiet, reliable: false }
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    pub(super) fn any(&self, which: usize) -> Option<Id> {
        self.alive.keys().copied().nth(which % self.alive.len().max(1))
    }

    pub(super) fn server(&self, which: usize) -> Option<Id> {
        let servers: Vec<Id> = self.alive.iter().filter(|(_, seen)| seen.server).map(|(id, _)| *id).collect();
        servers.get(which % servers.len().max(1)).copied()
    }

    /// A server transaction whose user has not answered.
    pub(super) fn owing(&self) -> Option<Id> {
        let owes = |seen: &Seen| seen.server && seen.outcome.is_none() && !seen.abandoned;
        self.alive.iter().find(|(_, seen)| owes(seen)).map(|(id, _)| *id)
    }

    pub(super) fn dead(&self, which: usize) -> Option<Id> {
        self.dead.get(which % self.dead.len().max(1)).copied()
    }

    pub(super) fn is_invite(&self, id: Id) -> bool {
        self.alive.get(&id).is_some_and(|seen| seen.invite)
    }

    /// The user gave a server transaction a response.
    pub(super) fn answered(&mut self, id: Id, status: u16, result: Result<(), RespondError>) {
        let seen = self.alive.get_mut(&id).expect("a server that is alive");
        let over = seen.abandoned || seen.outcome.is_some();
        match result {
            Ok(()) if seen.invite => {
                let more =
                    matches!(seen.outcome, Some(Outcome::Final(200..=299))) && (200..300).contains(&status);
                assert!(seen.outcome.is_none() || more, "{status} after {:?}", seen.outcome);
            }
            Ok(()) => assert!(!over && (status == 100 || (status >= 200 && status != 408)), "{status}"),
            Err(RespondError::Timeout) => {
                assert!(!seen.invite && !over && status == 408);
                seen.abandoned = true;
            }
            Err(RespondError::Early) => assert!(!seen.invite && !seen.reliable && status == 100),
            Err(RespondError::Provisional) => assert!(!seen.invite && (101..200).contains(&status)),
            Err(RespondError::Late) => assert!(over, "{status} is not late"),
            Err(RespondError::NotAResponse) => unreachable!("a response"),
        }
    }

    pub(super) fn abandoned(&mut self, id: Id) {
        if let Some(seen) = self.alive.get_mut(&id).filter(|seen| !seen.invite) {
            seen.abandoned = true;
        }
    }

    /// The user sent a request.
    pub(super) fn sent(&mut self, begun: Result<Id, Full>, invite: bool, reliable: bool) {
        match begun {
            Ok(id) => self.begin(id, Seen { invite, ..Seen::client(reliable) }),
            Err(Full) => assert_eq!(self.alive.len(), self.limit),
        }
    }

    fn begin(&mut self, id: Id, seen: Seen) {
        assert!(self.alive.insert(id, seen).is_none(), "an id is given twice");
        assert!(!self.dead.contains(&id), "an id comes back");
    }

    pub(super) fn judge(&mut self, event: Event<bool>, cause: Cause, now: Instant) {
        match event {
            Event::Send { id: Some(id), octets, .. } => self.judge_send(id, octets, cause, now),
            Event::Send { id: None, octets, .. } => self.judge_alone(&octets),
            Event::Request { id, request } => {
                assert!(
                    cause == Cause::Request && (!self.draining || request.method().as_bytes() == b"CANCEL")
                );
                let invite = request.method().as_bytes() == b"INVITE";
                self.begin(id, Seen { invite, ..Seen::server(self.reliable, now) });
            }
            Event::Cancelled { id } => {
                let seen = self.seen(id);
                assert!(cause == Cause::Request && seen.server && seen.invite && seen.outcome.is_none());
            }
            Event::Response { id, response } => {
                assert_eq!(cause, Cause::Response(response.status()));
                self.seen(id).delivered(response.status());
            }
            Event::Expired { id } => {
                assert_eq!(cause, Cause::Timeout);
                self.seen(id).expired();
            }
            Event::Failed { id } => {
                assert_eq!(cause, Cause::TransportError);
                self.seen(id).failed();
            }
            Event::Ended { id } => self.end(id),
            Event::Ack { .. } => assert_eq!(cause, Cause::Request),
            Event::Stray { .. } => assert!(matches!(cause, Cause::Response(_))),
            Event::Refused => {
                assert!(self.draining || self.is_full(), "refused with room left")
            }
        }
    }

    fn seen(&mut self, id: Id) -> &mut Seen {
        self.alive.get_mut(&id).expect("an event of a transaction that is alive")
    }

    fn judge_send(&mut self, id: Id, octets: Encoded, cause: Cause, now: Instant) {
        if !self.alive.contains_key(&id) {
            // A CANCEL has a transaction that nobody was told of, whichever side it is of.
            let seen = match octets.status() {
                Some(status) => {
                    assert_eq!((status, cause), (200, Cause::Request));
                    Seen::server(self.reliable, now)
                }
                None => {
                    assert!(
                        octets.head.starts_with(b"CANCEL "),
                        "the first octets of an unknown transaction"
                    );
                    Seen::client(false)
                }
            };
            self.begin(id, seen);
        }
        let quiet = self.quiet;
        let seen = self.seen(id);
        match octets.status() {
            Some(status) if seen.server => seen.answers(status, octets, cause, now, quiet),
            None if !seen.server => seen.requests(&octets, cause),
            _ => panic!("a server sends responses, a client requests"),
        }
    }

    /// What belongs to no transaction: there was no room for one.
    fn judge_alone(&self, octets: &Encoded) {
        let full = self.is_full();
        match octets.status() {
            Some(503) => assert!(full || self.draining),
            Some(200) => assert!(full, "an answer to a CANCEL"),
            None => assert!(full && octets.head.starts_with(b"CANCEL ")),
            Some(status) => panic!("{status} belongs to no transaction"),
        }
    }

    fn is_full(&self) -> bool {
        self.alive.len() + self.ending == self.limit
    }

    fn end(&mut self, id: Id) {
        self.ending += 1;
        let seen = self.alive.remove(&id).expect("a transaction ends once");
        assert!(seen.outcome.is_some() || (seen.server && seen.abandoned), "ended without an outcome");
        if self.dead.len() == DEAD {
            self.dead.remove(0);
        }
        self.dead.push(id);
    }

    /// The table has what the model has, and no more than it may.
    pub(super) fn holds(&mut self, len: usize, waiting: usize) {
        self.ending = 0;
        assert_eq!(len, self.alive.len());
        assert!(len <= self.limit && waiting <= len);
        let open = |seen: &&Seen| seen.outcome.is_none() && !seen.abandoned;
        assert_eq!(waiting, self.alive.values().filter(open).count());
    }
}

impl Seen {
    fn client(reliable: bool) -> Self {
        Self {
            server: false,
            invite: false,
            reliable,
            began: None,
            copies: 0,
            provisional: false,
            answer: None,
            outcome: None,
            abandoned: false,
        }
    }

    fn server(reliable: bool, now: Instant) -> Self {
        Self { server: true, began: Some(now), ..Self::client(reliable) }
    }

    /// A server sends a response.
    fn answers(&mut self, status: u16, octets: Encoded, cause: Cause, now: Instant, quiet: Duration) {
        if status < 200 {
            assert!(self.answer.is_none() && self.outcome.is_none(), "{status} after the final response");
            let early = self.began.is_some_and(|began| now < began + quiet);
            assert!(self.invite || (status == 100 && (self.reliable || !early)), "{status} is forbidden");
            return;
        }
        let Some(before) = &self.answer else {
            assert!(
                matches!(cause, Cause::Respond(_)) || (cause == Cause::Request && status == 200),
                "{cause:?}"
            );
            assert!(self.outcome.is_none() && (self.invite || status != 408));
            self.answer = Some(octets);
            self.outcome = Some(Outcome::Final(status));
            return;
        };
        let ok = matches!(before.status(), Some(200..=299));
        if self.invite && ok {
            // RFC 6026 §8.5: more 2xx of a fork, from its user alone.
            assert!((200..300).contains(&status) && cause == Cause::Respond(true), "{status} by {cause:?}");
        } else {
            assert!(*before == octets, "a second final response");
            let timer = cause == Cause::Timeout && self.invite && !self.reliable;
            assert!(cause == Cause::Request || timer, "sent again by {cause:?}");
        }
    }

    /// A client sends its request, or the ACK of an INVITE.
    fn requests(&mut self, octets: &Encoded, cause: Cause) {
        if octets.head.starts_with(b"ACK ") {
            assert!(self.invite && matches!(cause, Cause::Response(300..)), "an ACK by {cause:?}");
            return;
        }
        self.copies += 1;
        assert!(self.copies <= if self.invite { INVITES } else { OTHERS }, "{} copies", self.copies);
        if self.copies > 1 {
            assert!(!self.reliable && cause == Cause::Timeout, "sent again by {cause:?}");
            assert!(
                self.outcome.is_none() && !(self.invite && self.provisional),
                "sent again though answered"
            );
        }
    }

    fn delivered(&mut self, status: u16) {
        assert!(!self.server);
        if status < 200 {
            assert!(self.outcome.is_none(), "{status} after {:?}", self.outcome);
            self.provisional = true;
            return;
        }
        let more = self.invite && status < 300 && matches!(self.outcome, Some(Outcome::Final(200..=299)));
        assert!(self.outcome.is_none() || more, "{status} after {:?}", self.outcome);
        self.outcome = Some(Outcome::Final(status));
    }

    fn expired(&mut self) {
        if self.server && self.invite {
            // No ACK came.
            assert!(matches!(self.outcome, Some(Outcome::Final(300..))), "{:?}", self.outcome);
            return;
        }
        assert!(self.outcome.is_none() && !self.abandoned, "expired after {:?}", self.outcome);
        self.outcome = Some(Outcome::Expired);
    }

    fn failed(&mut self) {
        if self.server {
            return;
        }
        // The ACK of an INVITE may fail when its answer was long delivered.
        let ack = self.invite && matches!(self.outcome, Some(Outcome::Final(300..)));
        assert!(self.outcome.is_none() || ack, "failed after {:?}", self.outcome);
        self.outcome = self.outcome.or(Some(Outcome::Failed));
    }
}
