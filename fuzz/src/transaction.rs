//! Transactions: whatever comes, in whatever order, at whatever time, a table of them keeps the promises of its model
//! (`model`), stays within its limit, and has nothing left once everybody answered and all timers ran.
//!
//! The first octet chooses the settings, then three octets are one step: what happens, to whom, how.

mod model;

use std::time::{Duration, Instant};

use bytes::Bytes;
use sip::transaction::{Id, RespondError, Sending, Settings, Table, Timers};
use sip::{Encoded, Framed, Limits, Message, Request, Response, ResponseBuilder, frame};

use model::{Cause, Model};

/// Steps of one run.
const STEPS: usize = 400;

/// Transactions the table may have.
const TRANSACTIONS: usize = 12;

/// Clients whose branch is remembered, so that responses to those long gone come too.
const BRANCHES: usize = 24;

/// Turns of the clock after which all timers must have run.
const TURNS: usize = 10_000;

const METHODS: [&str; 5] = ["INVITE", "MESSAGE", "CANCEL", "ACK", "OPTIONS"];
const STATUSES: [u16; 12] = [100, 180, 183, 200, 202, 302, 404, 408, 486, 487, 503, 603];

/// A run of steps.
pub fn run(data: &[u8]) {
    let Some((&settings, steps)) = data.split_first() else { return };
    let mut world = World::new(settings);
    for &[what, whom, how] in steps.as_chunks().0.iter().take(STEPS) {
        world.step(what, usize::from(whom), usize::from(how));
    }
    world.finish();
}

struct World {
    table: Table<bool, ()>,
    now: Instant,
    model: Model,
    /// Branches and methods of our requests.
    sent: Vec<(String, &'static str)>,
    branches: usize,
}

impl World {
    fn new(settings: u8) -> Self {
        let transactions = 1 + usize::from(settings) % TRANSACTIONS;
        let settings = Settings { timers: Timers::default(), transactions, retry_after: 5 };
        let now = Instant::now();
        Self {
            table: Table::new(settings),
            now,
            model: Model::new(transactions, &settings.timers),
            sent: Vec::new(),
            branches: 0,
        }
    }

    fn step(&mut self, what: u8, whom: usize, how: usize) {
        match what % 16 {
            0..=3 => self.request_comes(whom, how),
            4 | 5 => self.user_answers(whom, how),
            6 | 7 => self.user_sends(whom, how),
            8 | 9 => self.response_comes(whom, how),
            10 | 11 => self.time_passes(how),
            12 => self.on(whom, Cause::Cancel, Table::cancel),
            13 => self.on(whom, Cause::TransportError, Table::on_transport_error),
            14 if how.is_multiple_of(2) => self.user_goes(whom, Table::fail),
            14 => self.user_goes(whom, Table::abandon),
            _ if whom == 255 && how > 192 => {
                self.table.drain();
                self.model.drain();
            }
            _ => self.poke_the_dead(how),
        }
    }

    fn request_comes(&mut self, whom: usize, how: usize) {
        let method = METHODS[how % METHODS.len()];
        // Few branches, so that requests come again, and one of a client from before the cookie.
        let branch = ["z9hG4bK1", "z9hG4bK2", "z9hG4bK3", "z9hG4bK4", "z9hG4bK5", "old"][whom % 6];
        let reliable = whom & 64 != 0;
        let request = request(method, branch);
        self.model.reliable = reliable;
        self.table.on_request(self.now, request, reliable, reliable);
        self.judge(Cause::Request);
    }

    fn user_answers(&mut self, whom: usize, how: usize) {
        let Some(id) = self.model.server(whom) else { return };
        let status = STATUSES[how % STATUSES.len()];
        let request = request(if self.model.is_invite(id) { "INVITE" } else { "MESSAGE" }, "z9hG4bK1");
        let answer = ResponseBuilder::to_request(&request, status, "Answer").encode();
        let result = self.table.respond(self.now, id, answer);
        self.model.answered(id, status, result);
        self.judge(Cause::Respond(result.is_ok()));
    }

    fn user_sends(&mut self, whom: usize, how: usize) {
        let method = ["INVITE", "MESSAGE", "OPTIONS"][whom % 3];
        self.branches += 1;
        let branch = format!("z9hG4bKc{}", self.branches);
        let octets = Encoded { head: text(method, &branch), body: Bytes::new() };
        let reliable = how.is_multiple_of(2);
        let sending = Sending {
            method: method.as_bytes(),
            branch: branch.as_bytes(),
            octets,
            peer: reliable,
            reliable,
        };
        let begun = self.table.request(self.now, sending, (how % 4 < 2).then_some(()));
        self.model.sent(begun, method == "INVITE", reliable);
        self.sent.push((branch, method));
        if self.sent.len() > BRANCHES {
            self.sent.remove(0);
        }
        self.judge(Cause::Send);
    }

    fn response_comes(&mut self, whom: usize, how: usize) {
        if self.sent.is_empty() {
            return;
        }
        let (branch, method) = &self.sent[whom % self.sent.len()];
        let method = if how >= 240 { "CANCEL" } else { method };
        let status = STATUSES[how % STATUSES.len()];
        self.table.on_response(self.now, response(status, branch, method));
        self.judge(Cause::Response(status));
    }

    fn time_passes(&mut self, how: usize) {
        self.now = match how {
            0..64 => self.table.deadline().unwrap_or(self.now).max(self.now),
            64..250 => self.now + Duration::from_millis(1 << (how % 18)),
            // The clock jumps.
            _ => self.now + Duration::from_secs(86_400),
        };
        self.table.on_timeout(self.now);
        self.judge(Cause::Timeout);
    }

    fn on(&mut self, whom: usize, cause: Cause, input: fn(&mut Table<bool, ()>, Instant, Id)) {
        let Some(id) = self.model.any(whom) else { return };
        input(&mut self.table, self.now, id);
        self.judge(cause);
    }

    fn user_goes(&mut self, whom: usize, input: fn(&mut Table<bool, ()>, Instant, Id)) {
        let Some(id) = self.model.server(whom) else { return };
        self.model.abandoned(id);
        input(&mut self.table, self.now, id);
        self.judge(Cause::Respond(false));
    }

    /// An id that outlived its transaction names nothing.
    fn poke_the_dead(&mut self, how: usize) {
        let Some(id) = self.model.dead(how) else { return };
        let answer = ResponseBuilder::to_request(&request("MESSAGE", "z9hG4bK1"), 200, "OK").encode();
        assert_eq!(self.table.respond(self.now, id, answer), Err(RespondError::Late));
        self.table.on_transport_error(self.now, id);
        self.table.cancel(self.now, id);
        self.table.abandon(self.now, id);
        self.table.fail(self.now, id);
        self.table.attach(id, ());
        assert!(self.table.user(id).is_none() && self.table.peer(id).is_none());
        assert!(self.table.poll().is_none());
    }

    fn judge(&mut self, cause: Cause) {
        while let Some(event) = self.table.poll() {
            self.model.judge(event, cause, self.now);
        }
        self.model.holds(self.table.len(), self.table.waiting());
    }

    /// All users answer or go, and all timers run: then nothing is left, not even a timer.
    fn finish(mut self) {
        while let Some(id) = self.model.owing() {
            self.table.fail(self.now, id);
            self.model.abandoned(id);
            self.judge(Cause::Respond(true));
        }
        for _ in 0..TURNS {
            let Some(deadline) = self.table.deadline() else { break };
            self.now = self.now.max(deadline);
            self.table.on_timeout(self.now);
            self.judge(Cause::Timeout);
        }
        assert!(self.table.deadline().is_none(), "a timer is armed for nothing");
        assert!(self.table.is_empty(), "{} transactions never end", self.table.len());
    }
}

fn text(method: &str, branch: &str) -> Bytes {
    let text = format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@h>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: x\r\nCSeq: 7 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    text.into()
}

fn request(method: &str, branch: &str) -> Request {
    match message(text(method, branch)) {
        Message::Request(request) => request,
        Message::Response(_) => unreachable!("a request line"),
    }
}

fn response(status: u16, branch: &str, method: &str) -> Response {
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nFrom: <sip:a@h>;tag=1\r\n\
         To: <sip:bob@example.com>;tag=2\r\nCall-ID: x\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    match message(text.into()) {
        Message::Response(response) => response,
        Message::Request(_) => unreachable!("a status line"),
    }
}

fn message(octets: Bytes) -> Message {
    let limits = Limits::default();
    let Ok(Framed::Message(raw)) = frame::datagram(octets, &limits) else { unreachable!("a whole message") };
    sip::validate(raw, &limits).expect("a valid message")
}
